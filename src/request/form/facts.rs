//! What the sections of a report say in sentences and tables of their own.

use super::{
    layout::{Item, Layout, Table},
    outline::Prose,
    output::{Output, unit_only},
    rooms,
    scan::{Years, clauses, date_beside, dates, has, line, lines, sentences, stored_size, unnumbered},
    section::Section,
};
use crate::place::Place;
use crate::text;
use serde_json::{Value, json};

pub(super) fn read(layout: &Layout, prose: &[Prose], out: &mut Output) {
    names(prose, out);
    whole_section(layout, prose, Section::Part(4, 4), "performance", out);
    whole_section(layout, prose, Section::Part(6, 1), "user_scale", out);
    storage(layout, prose, out);
    protection(prose, out);
    off_cloud(prose, out);
    plan(layout, prose, out);
    machine_rooms(layout, prose, out);
}

fn below(prose: &[Prose], section: Section) -> impl Iterator<Item = &Prose> {
    prose.iter().filter(move |p| !p.heading && p.section == Some(section))
}

fn heading(prose: &[Prose], section: Section) -> Option<&Prose> {
    prose.iter().find(|p| p.heading && p.section == Some(section))
}

/// Rows of tables in a section, each as one text with its place.
fn rows(layout: &Layout, wanted: impl Fn(Option<Section>) -> bool) -> Vec<(String, Place)> {
    let mut out = Vec::new();
    for item in &layout.items {
        let Item::Table(table) = item else { continue };
        for (at, row) in table.rows.iter().enumerate() {
            if wanted(row.section) {
                let words: Vec<String> = row
                    .cells
                    .iter()
                    .filter(|c| c.origin.is_none())
                    .map(|c| line(&c.text))
                    .filter(|t| !t.is_empty())
                    .collect();
                if !words.is_empty() {
                    let column = row.cells.first().map_or(1, |c| c.column);
                    out.push((words.join(" "), table.place_at(at, column)));
                }
            }
        }
    }
    out
}

/// 一.1 and 一.2
fn names(prose: &[Prose], out: &mut Output) {
    for (section, name) in [(Section::Part(1, 1), "project_name"), (Section::Part(1, 2), "applicant")] {
        if let Some(text) = below(prose, section).next() {
            let written = if section == Section::Part(1, 2) { unit_only(&text.text) } else { &text.text };
            let mut words = line(written);
            // 项目建设单位及负责人: the unit comes first.
            if section == Section::Part(1, 2) {
                words = words.split(['，', ',', '、', '；', ';']).next().unwrap_or_default().trim().to_owned();
            }
            if !words.is_empty() {
                out.set(name, json!(words), text.place.clone());
            }
        }
        if let Some(heading) = heading(prose, section) {
            out.room(name, heading.place.clone());
        }
    }
}

/// All that a section says is one value.
fn whole_section(layout: &Layout, prose: &[Prose], section: Section, name: &str, out: &mut Output) {
    let texts: Vec<&Prose> = below(prose, section).collect();
    if let Some(first) = texts.first() {
        let all: Vec<String> = texts.iter().map(|t| lines(&t.text)).collect();
        out.set(name, json!(all.join("\n")), first.place.clone());
    } else {
        let rows = rows(layout, |s| s == Some(section));
        if let Some((_, place)) = rows.first() {
            let all: Vec<&str> = rows.iter().map(|(t, _)| t.as_str()).collect();
            out.set(name, json!(all.join("\n")), place.clone());
        }
    }
    if let Some(heading) = heading(prose, section) {
        out.room(name, heading.place.clone());
    }
}

/// 五.4: the size that is said of storage.
fn storage(layout: &Layout, prose: &[Prose], out: &mut Output) {
    let here = Section::Part(5, 4);
    let texts = below(prose, here).map(|p| (p.text.clone(), p.place.clone()));
    let found = texts
        .chain(rows(layout, |s| s == Some(here)))
        .filter_map(|(t, place)| stored_size(&t, false).map(|(rank, size)| (rank, size.to_owned(), place)));
    let best = found.reduce(|best, next| if next.0 > best.0 { next } else { best });
    if let Some((_, size, place)) = best {
        out.set("storage_forecast", json!(size), place);
    }
    if let Some(heading) = heading(prose, here) {
        out.room("storage_forecast", heading.place.clone());
    }
}

/// 等保 in sections 四 to 六, where all of them say the same.
fn protection(prose: &[Prose], out: &mut Output) {
    let mut found: Vec<(u8, String, Place)> = Vec::new();
    let mine = |p: &&Prose| !p.heading && p.section.is_some_and(|s| (4..=6).contains(&s.chapter()));
    for text in prose.iter().filter(mine) {
        for sentence in sentences(&text.text) {
            found.extend(levels(sentence).into_iter().map(|(n, l)| (n, l, text.place.clone())));
        }
    }
    let Some((first, level, place)) = found.first().cloned() else { return };
    if found.iter().all(|(n, _, _)| *n == first) {
        out.set("mlps_level", json!(level), place);
    }
}

/// Levels close to the word: 等保二级, 二级等保, 安全保护等级为第三级.
fn levels(sentence: &str) -> Vec<(u8, String)> {
    let chars: Vec<char> = sentence.chars().collect();
    let mut out: Vec<(u8, String)> = Vec::new();
    let words: Vec<Vec<char>> = ["等保", "等级保护", "保护等级"].iter().map(|w| w.chars().collect()).collect();
    let mut seen = 0;
    for at in 0..chars.len() {
        let Some(word) = words.iter().find(|w| chars.get(at..).is_some_and(|c| c.starts_with(w))) else { continue };
        let near = |from: usize, to: usize| {
            (from.max(1)..to.min(chars.len())).find_map(|i| {
                let number = chars.get(i - 1)?;
                let level = "一二三四"
                    .chars()
                    .position(|c| c == *number)
                    .or_else(|| "1234".chars().position(|c| c == *number))?;
                (chars.get(i) == Some(&'级'))
                    .then(|| (i, u8::try_from(level + 1).unwrap_or_default(), format!("{number}级")))
            })
        };
        let behind = near(at + word.len() + 1, at + word.len() + 14);
        let before = near(at.saturating_sub(6), at);
        if let Some((i, number, level)) = behind.or(before)
            && i >= seen
        {
            seen = i;
            out.push((number, level));
        }
    }
    out
}

/// A sentence that gives the reason for buying outside the cloud.
fn off_cloud(prose: &[Prose], out: &mut Output) {
    for text in below(prose, Section::Part(6, 3)) {
        for sentence in sentences(&text.text) {
            let said = has(sentence, &["理由", "原因"]) && has(sentence, &["采购", "另购", "外购", "购置"]);
            if said && !has(sentence, &["须说明理由", "需说明理由"]) {
                out.set("off_cloud_procurement_reason", json!(sentence), text.place.clone());
            }
        }
    }
}

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
fn plan(layout: &Layout, prose: &[Prose], out: &mut Output) {
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

/// Sentences about machine rooms that are kept.
const MAX_WORKS: usize = 200;

/// Sentences about works on machine rooms, where the report says what it will build.
fn machine_rooms(layout: &Layout, prose: &[Prose], out: &mut Output) {
    let headed = prose.iter().any(|p| p.section.is_some());
    let mine = |section: Option<Section>| match section {
        Some(Section::Application) => true,
        Some(Section::Part(1, item)) => matches!(item, 5 | 6),
        Some(Section::Part(chapter, _)) => matches!(chapter, 5..=7 | 10 | 11),
        None => !headed,
    };
    let mut found: Vec<(String, Place)> = Vec::new();
    for text in prose.iter().filter(|p| !p.heading && p.place.row.is_none() && mine(p.section)) {
        found.extend(rooms::works(&text.text).into_iter().map(|s| (s.to_owned(), text.place.clone())));
    }
    for item in &layout.items {
        let Item::Table(table) = item else { continue };
        for (at, row) in table.rows.iter().enumerate().filter(|(_, r)| mine(r.section)) {
            in_row(table, at, row.cells.len(), &mut found);
        }
    }
    found.dedup_by(|a, b| a.0 == b.0);
    found.truncate(MAX_WORKS);
    if found.is_empty() || out.has("machine_room_works") {
        return;
    }
    let mut list = Vec::new();
    for (i, (sentence, place)) in found.into_iter().enumerate() {
        if i == 0 {
            out.place("/machine_room_works".to_owned(), place.clone());
        }
        out.place(format!("/machine_room_works/{i}"), place);
        list.push(Value::String(sentence));
    }
    out.form.document.insert("machine_room_works".to_owned(), Value::Array(list));
}

fn in_row(table: &Table, row: usize, cells: usize, found: &mut Vec<(String, Place)>) {
    let before = found.len();
    let mut words: Vec<String> = Vec::new();
    for cell in 0..cells {
        let Some(here) = table.rows.get(row).and_then(|r| r.cells.get(cell)).filter(|c| c.origin.is_none()) else {
            continue;
        };
        found.extend(rooms::works(&here.text).into_iter().map(|s| (s.to_owned(), table.place_of(row, cell))));
        if here.text.len() < 4096 {
            words.push(line(&here.text));
        }
    }
    let whole = words.iter().filter(|w| !w.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ");
    if found.len() == before && text::fold(&whole).contains("机房") && rooms::equipment(&whole) {
        found.push((whole, table.place_of(row, 0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_stand_near_their_word() {
        let found = |t| levels(t).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(found("按等保二级建设"), [2]);
        assert_eq!(found("安全保护等级为第三级"), [3]);
        assert_eq!(found("满足等保2.0要求"), Vec::<u8>::new());
        assert_eq!(found("达到三级等保"), [3]);
        assert_eq!(found("按照网络安全等级保护2级要求"), [2]);
    }

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
