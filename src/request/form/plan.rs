//! 十.2 实施计划安排: when the system is to be deployed, and when the exchange of data begins.

use super::{
    dates::{Years, date_beside, dates},
    layout::Layout,
    outline::Prose,
    output::Output,
    scan::{clauses, has, sentences, unnumbered},
    section::Section,
    sections::{heading, rows},
};
use crate::place::Place;
use serde_json::json;

const DEPLOY: &[&str] = &[
    "系统部署",
    "系统的部署",
    "部署到",
    "部署至",
    "部署于",
    "上云",
    "完成部署",
    "部署完成",
    "部署完毕",
    "部署上线",
    "安装部署",
    "应用部署",
    "平台部署",
    "软件部署",
    "部署实施",
    "部署工作",
    "部署调试",
    "部署日期",
    "部署时间",
    "云部署",
    "云的部署",
    "云上的部署",
    "云平台的部署",
    "云上部署",
];
/// Work about a deployment that is not the deployment.
const NOT_DEPLOY: &[&str] = &[
    "部署方案",
    "部署设计",
    "部署调研",
    "部署架构",
    "部署规划",
    "部署文档",
    "部署手册",
    "部署准备",
    "部署申请",
    "部署评审",
    "部署会",
    "部署工作会",
    "部署图",
    "部署前",
    "部署后",
    "部署完成前",
    "部署完成后",
    "部署完毕后",
    "部署到位后",
    "部署工作完成后",
    "工作部署",
    "上云方案",
    "上云申请",
    "上云培训",
    "上云评估",
    "上云前",
    "上云后",
];
const EXCHANGE: &[&str] = &["共享交换", "数据共享", "交换平台", "数据交换", "共享平台"];

/// 十.2: the dates next to 系统部署 and 共享交换.
pub(super) fn plan(layout: &Layout, prose: &[Prose], out: &mut Output) {
    let mine = |s: Option<Section>| s.is_some_and(|s| s.chapter() == 10);
    let mut texts: Vec<(String, Place)> = Vec::new();
    let (mut years, mut here) = (Years::default(), None);
    for text in prose.iter().filter(|p| !p.heading && mine(p.section)) {
        if here != text.section {
            (years, here) = (Years::default(), text.section);
        }
        for sentence in sentences(&text.text) {
            texts.push((years.fill(unnumbered(sentence)), text.place.clone()));
        }
    }
    texts.extend(rows(layout, mine).into_iter().map(|(t, place)| (Years::default().fill(&t), place)));
    for (name, words) in [("deploy_milestone", DEPLOY), ("exchange_milestone", EXCHANGE)] {
        for (text, place) in &texts {
            if let Some(date) = milestone(text, words) {
                out.set(name, json!(date), place.clone());
                break;
            }
        }
        if let Some(heading) = heading(prose, Section::Part(10, 2)) {
            out.room(name, heading.place.clone());
        }
    }
}

/// The date in the clause with the words, or in one beside it that says little else.
fn milestone(sentence: &str, words: &[&str]) -> Option<String> {
    let bare = NOT_DEPLOY.iter().fold(sentence.to_owned(), |text, word| text.replace(word, "〇"));
    let named = |text: &str| find(text, DEPLOY).or_else(|| find(text, EXCHANGE)).is_some();
    // `使用政务云和交换共享平台的计划：` says of what the clauses behind it speak.
    let tail = bare.split_once(['：', ':']).filter(|(head, tail)| {
        let first = clauses(tail).next().unwrap_or_default();
        dates(head).is_empty() && (named(first) || find(tail, words).is_some())
    });
    let clauses: Vec<&str> = clauses(tail.map_or(bare.as_str(), |(_, tail)| tail)).collect();
    let (at, from, to) = clauses.iter().enumerate().find_map(|(i, c)| {
        let denied = has(c, &["不进行", "暂不", "未完成", "测试环境", "开发环境"]);
        find(c, words).filter(|_| !denied).map(|(from, to)| (i, from, to))
    })?;
    let spare = |i: usize| clauses.get(i).is_some_and(|c| !named(c));
    // Only a date alone speaks for clauses beside it: in `6月完成调研，完成系统部署` the date is that of another work.
    let alone = |i: usize| {
        let clause = clauses.get(i).filter(|c| c.len() < 200)?;
        let found = dates(clause);
        let words = found.iter().fold((*clause).to_owned(), |text, date| text.replace(date, ""));
        let little = words.chars().filter(|c| !c.is_whitespace()).count() <= 3;
        found.last().copied().filter(|_| little)
    };
    let inside = clauses.get(at).and_then(|c| date_beside(c, from, to));
    // `2026年7月至12月，系统开发，完成系统部署`
    let leading = || (0..at).rev().take_while(|i| spare(*i)).find_map(alone);
    inside.or_else(leading).or_else(|| Some(at + 1).filter(|i| spare(*i)).and_then(alone)).map(str::to_owned)
}

/// Where the words stand in a clause.
fn find(clause: &str, words: &[&str]) -> Option<(usize, usize)> {
    let word = words.iter().filter_map(|w| clause.find(w).map(|at| (at, at + w.len()))).min();
    if word.is_some() || words != DEPLOY {
        return word;
    }
    let at = clause.find("部署")?;
    let (before, after) = (clause.get(..at)?, clause.get(at + "部署".len()..)?);
    // `完成系统在区政务云平台部署`
    let system = ["系统在", "平台在", "应用在", "软件在", "系统于"].iter().any(|w| before.contains(w));
    // `2027年5月：部署`
    let rest = dates(before).iter().fold(before.to_owned(), |text, date| text.replace(date, ""));
    let mark = |c: char| c.is_whitespace() || "：:前完成第阶段一二三四五六0123456789底".contains(c);
    let only = !dates(before).is_empty() && rest.chars().all(mark) && after.trim().is_empty();
    (system || only).then_some((at, at + "部署".len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_stand_beside_their_words() {
        let at = |t: &str, w| milestone(t, w);
        let text = "2026年12月完成系统部署，2027年1月完成共享交换实施";
        assert_eq!(at(text, DEPLOY).as_deref(), Some("2026年12月"));
        assert_eq!(at(text, EXCHANGE).as_deref(), Some("2027年1月"));
        assert_eq!(at("2026年12月底前，完成系统部署", DEPLOY).as_deref(), Some("2026年12月底"));
        assert_eq!(at("系统部署计划：2026-12-31", DEPLOY).as_deref(), Some("2026-12-31"));
        let text = "2026年7月至2026年12月，系统开发，完成系统部署";
        assert_eq!(at(text, DEPLOY).as_deref(), Some("2026年12月"));
        assert_eq!(at("2026年6月完成调研，完成系统部署", DEPLOY), None);
        assert_eq!(at("完成系统部署", DEPLOY), None);
        for text in [
            "2027年5月31日前完成系统在区政务云的部署",
            "2027年5月31日前部署完毕并试运行",
            "2027年5月31日前完成软件安装部署，2027年8月验收",
            "2026年8月完成部署方案编制，2027年5月31日前完成系统部署",
            "计划于2027年5月31日完成系统部署、2027年6月30日完成验收",
            "2027年5月31日前完成系统的部署",
            "系统部署：2027年5月31日，验收：2027年6月30日",
            "使用政务云和区数据交换共享平台的实施计划：系统部署于2027年5月31日前完成，共享交换于2027年6月30日前实施完毕",
            "第2阶段 2027年5月31日：部署",
            "2027年3月1日至2027年5月31日，系统部署及联调",
            "验收 2027年8月 系统部署 2027年5月31日",
        ] {
            assert_eq!(at(text, DEPLOY).as_deref(), Some("2027年5月31日"), "{text}");
        }
        let text = "使用政务云和区数据交换共享平台的实施计划：系统部署于2027年4月30日前完成，共享交换于2027年5月31日前实施完毕";
        assert_eq!(at(text, EXCHANGE).as_deref(), Some("2027年5月31日"));
        for text in [
            "2026年8月完成部署方案编制",
            "系统部署完成后，于2027年7月组织培训",
            "2027年3月召开工作部署会",
            "2027年3月10日完成测试环境系统部署",
            "2027年5月20日前完成验收，系统部署由承建单位负责",
        ] {
            assert_eq!(at(text, DEPLOY), None, "{text}");
        }
    }
}
