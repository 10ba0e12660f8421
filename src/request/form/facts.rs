//! What the sections of a report say in sentences and tables of their own.

use super::{
    layout::{Item, Layout, Table},
    outline::Prose,
    output::{Output, unit_only},
    rooms,
    scan::{
        Years, about_storage, clauses, date_beside, dates, has, line, lines, sentences, sizes, stored_size, unnumbered,
    },
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
    protection(layout, prose, out);
    network(prose, out);
    secrecy(prose, out);
    shared(prose, out);
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
    let mut texts: Vec<(String, bool, Place)> = Vec::new();
    let mut stored = false;
    for text in below(prose, here) {
        // `1、数据存储量预测` over the text it is of.
        if sizes(&text.text).is_empty() && text.text.chars().count() <= 20 {
            stored = about_storage(&text.text).unwrap_or(stored);
        }
        texts.push((text.text.clone(), stored, text.place.clone()));
    }
    // The head of a table says what its figures are, where one of them is for all.
    let rows = rows(layout, |s| s == Some(here));
    let figures = |table| rows.iter().filter(move |(t, p)| p.table == table && !sizes(t).is_empty());
    for (at, (text, place)) in rows.iter().enumerate() {
        let head = rows.iter().take(at).rfind(|(t, p)| p.table == place.table && sizes(t).is_empty());
        let whole = has(text, &["合计", "总计", "总量", "共计"]) || figures(place.table).count() == 1;
        let headed = whole && head.is_some_and(|(t, _)| about_storage(t) == Some(true));
        texts.push((text.clone(), headed, place.clone()));
    }
    let found = texts.into_iter().filter_map(|(text, stored, place)| {
        stored_size(&text, stored).map(|(rank, size)| (rank, size.to_owned(), place))
    });
    let best = found.reduce(|best, next| if next.0 > best.0 { next } else { best });
    if let Some((_, size, place)) = best {
        out.set("storage_forecast", json!(size), place);
    }
    if let Some(heading) = heading(prose, here) {
        out.room("storage_forecast", heading.place.clone());
    }
}

/// 等保 in sections 四 to 六, in 九.2 and beside 安全措施, where all of them say the same.
fn protection(layout: &Layout, prose: &[Prose], out: &mut Output) {
    let own = |s: Option<Section>| s.is_some_and(|s| (4..=6).contains(&s.chapter()) || s == Section::Part(9, 2));
    let texts = prose.iter().filter(|p| !p.heading && own(p.section)).map(|p| (p.text.clone(), p.place.clone()));
    let safety = rows(layout, |s| s == Some(Section::Application)).into_iter().filter(|(t, _)| t.contains("安全措施"));
    let mut found: Vec<(u8, String, Place)> = Vec::new();
    for (text, place) in texts.chain(safety) {
        for sentence in sentences(&text) {
            // `政务云平台已通过等保三级测评` speaks of another system.
            let others = has(sentence, &["上级系统", "现有系统", "原系统"])
                || has(sentence, &["政务云", "云平台"]) && has(sentence, &["通过", "满足", "具备", "已"]);
            if !others {
                found.extend(levels(sentence).into_iter().map(|(n, l)| (n, l, place.clone())));
            }
        }
    }
    let Some((first, level, place)) = found.first().cloned() else { return };
    if found.iter().all(|(n, _, _)| *n == first) {
        out.set("mlps_level", json!(level), place);
    }
}

const ZONES: &[&str] = &["政务外网", "政务内网", "政务专网", "互联网", "涉密网"];
const DENIED: &[&str] = &["不", "无", "未", "非", "禁", "隔离", "避免", "防止", "如", "若", "现有", "原系统"];

/// 五.2: the network that the system itself runs in.
fn network(prose: &[Prose], out: &mut Output) {
    let mut found: Vec<(&str, Place)> = Vec::new();
    for text in below(prose, Section::Part(5, 2)) {
        let whole = text.text.trim().trim_end_matches('。');
        let alone = ZONES.iter().find(|z| **z == whole).copied();
        for clause in sentences(&text.text).flat_map(clauses) {
            if let Some(zone) = alone.or_else(|| zone(clause))
                && found.iter().all(|(other, _)| *other != zone)
            {
                found.push((zone, text.place.clone()));
            }
        }
    }
    let labelled = out.form.document.get("network_zone").and_then(Value::as_str).map(str::to_owned);
    match (labelled, found.as_slice()) {
        // Whoever fills in the one and plans the other has to say which it is.
        (Some(written), found) => {
            let inner = found.iter().find(|(zone, _)| matches!(*zone, "政务内网" | "涉密网"));
            if let Some((zone, _)) = inner.filter(|_| !has(&written, &["内网", "涉密"])) {
                out.form.document.insert("network_zone".to_owned(), json!([written, zone]));
            }
        }
        (None, [(zone, place)]) if !out.form.places.contains_key("/network_zone") => {
            out.set("network_zone", json!(zone), place.clone());
        }
        _ => {}
    }
}

/// `本系统部署在政务外网`, `网络区域为政务外网`
fn zone(clause: &str) -> Option<&'static str> {
    const SAID: &[&str] = &[
        "部署在",
        "部署于",
        "部署到",
        "部署至",
        "运行在",
        "运行于",
        "网络区域为",
        "联网方式为",
        "部署区域为",
        "部署区域：",
        "部署网络为",
    ];
    // `政务外网部署`
    let bare = clause.trim().strip_suffix("部署").and_then(|zone| ZONES.iter().find(|z| **z == zone));
    if bare.is_some() {
        return bare.copied();
    }
    let (at, word) = SAID.iter().filter_map(|w| clause.find(w).map(|at| (at, *w))).min()?;
    let (before, after) = (clause.get(..at)?, clause.get(at + word.len()..)?);
    // Parts of the system may stand elsewhere.
    let part = has(before, &["前置", "移动端", "门户", "接口", "数据库", "服务器", "终端", "备份", "网站", "小程序"]);
    let plain = clause.replace("（涉密网）", "").replace("(涉密网)", "");
    if part || has(&plain.replace("无线", "").replace("非涉密", ""), DENIED) {
        return None;
    }
    let after = after.replace("（涉密网）", "").replace("(涉密网)", "");
    let mut zones = ZONES.iter().filter(|z| after.contains(**z));
    zones.next().copied().filter(|_| zones.next().is_none())
}

/// What sections 四 to 六 say of secrets, where the form was not filled in or says otherwise.
fn secrecy(prose: &[Prose], out: &mut Output) {
    let mine = |p: &&Prose| !p.heading && p.section.is_some_and(|s| (4..=6).contains(&s.chapter()));
    let mut found: Vec<(bool, String, Place)> = Vec::new();
    for text in prose.iter().filter(mine) {
        for sentence in sentences(&text.text) {
            let said = clauses(sentence).filter_map(secret);
            found.extend(said.map(|(is, words)| (is, words.to_owned(), text.place.clone())));
        }
    }
    // `涉及国家秘密，密级为秘密级`: the level says more.
    let level = found.iter().find(|(is, words, _)| *is && words.ends_with('级'));
    let Some((is_secret, words, place)) = level.or(found.first()).cloned() else { return };
    let labelled = out.form.document.get("secrecy_level").and_then(Value::as_str).map(str::to_owned);
    let open = |text: &str| has(text, &["非", "不", "无", "公开", "一般"]);
    let any = found.iter().any(|(is, _, _)| *is);
    // A label for it that was left blank has to be filled in by hand.
    if labelled.is_none() && !any && out.form.places.contains_key("/secrecy_level") {
        return;
    }
    let doubted = match &labelled {
        Some(written) => any && open(written),
        None => found.iter().any(|(is, _, _)| *is != is_secret),
    };
    if doubted && !out.form.repeated.iter().any(|p| p == "/secrecy_level") {
        out.form.repeated.push("/secrecy_level".to_owned());
    }
    out.set("secrecy_level", json!(words), place);
}

/// Whether a clause says of the system that it is secret or that it is not, and with what words.
fn secret(clause: &str) -> Option<(bool, &'static str)> {
    let bare = clause.trim_matches(|c: char| c.is_whitespace() || c == '。');
    let system = has(clause, &["系统", "项目", "平台"]);
    if has(
        clause,
        &["现有系统", "原系统", "上级", "如", "若", "严禁", "禁止", "防止", "不得", "避免", "与涉密", "和涉密"],
    ) {
        return None;
    }
    let none = ["非涉密系统", "非涉密信息系统", "非涉密项目", "为非涉密", "属非涉密", "属于非涉密"];
    if bare == "非涉密"
        || system && has(clause, &none)
        || has(clause, &["密级为非涉密", "密级：非涉密", "密级为不涉密"])
    {
        return Some((false, "非涉密"));
    }
    let kinds = ["信息", "数据", "文件", "内容"].iter().any(|w| clause.contains(&format!("国家秘密的{w}")));
    if has(clause, &["不涉及国家秘密"]) && (system || bare.starts_with("不涉及")) && !kinds {
        return Some((false, "不涉及国家秘密"));
    }
    if bare == "不涉密" || system && clause.contains("不涉密") {
        return Some((false, "不涉密"));
    }
    if has(clause, &["不", "无", "未", "非", "否", "没有"]) {
        return None;
    }
    for (level, words) in [("绝密", "绝密级"), ("机密", "机密级"), ("秘密", "秘密级")] {
        let marks = ["密级为", "密级是", "密级定为", "密级：", "密级:", "密级确定为", "定密为"];
        if marks.iter().any(|m| clause.contains(&format!("{m}{level}"))) {
            return Some((true, words));
        }
    }
    (clause.contains("涉及国家秘密") && !clause.contains("涉及国家秘密的") && (system || bare == "涉及国家秘密"))
        .then_some((true, "涉及国家秘密"))
}

/// 四.3 in a sentence: `需从区公安分局获取人口信息`.
fn shared(prose: &[Prose], out: &mut Output) {
    if out.has("shared_resources") {
        return;
    }
    let mut found: Vec<(String, Place)> = Vec::new();
    for text in below(prose, Section::Part(4, 3)) {
        for clause in sentences(&text.text).flat_map(clauses) {
            let names = resource(clause).into_iter().flat_map(|names| names.split(['、', '和', '及']));
            let names = names.map(|n| n.trim_end_matches('等').trim()).filter(|n| !n.is_empty());
            found.extend(names.map(|n| (n.to_owned(), text.place.clone())));
        }
    }
    found.truncate(MAX_WORKS);
    let Some((_, first)) = found.first() else { return };
    out.place("/shared_resources".to_owned(), first.clone());
    let mut list = Vec::new();
    for (name, place) in found {
        out.place(format!("/shared_resources/{}", list.len()), place);
        list.push(Value::String(name));
    }
    out.form.document.insert("shared_resources".to_owned(), Value::Array(list));
}

/// What a clause says is to come from another office.
fn resource(clause: &str) -> Option<&str> {
    let denied = has(clause, &["无需", "不", "无", "未", "本单位", "本局", "我局", "内部", "可从", "已"]);
    let (at, from) = ["从", "由", "与"].iter().filter_map(|w| clause.find(w).map(|at| (at, *w))).min()?;
    let rest = clause.get(at + from.len()..).filter(|_| !denied && clause.len() < 300)?;
    let verbs: &[&str] = match from {
        "从" => &["获取", "共享", "接入", "调取", "读取", "查询"],
        "由" => &["提供", "共享"],
        _ => &["共享"],
    };
    let (at, verb) = verbs.iter().filter_map(|v| rest.find(v).map(|at| (at, *v))).min()?;
    let office = rest.get(..at)?;
    let names = rest.get(at + verb.len()..)?.trim_start_matches(['：', ':', '的']);
    let offices = ["局", "委", "办", "中心", "法院", "部门", "公安", "街道", "税务", "银行", "院"];
    let named = names.ends_with(['息', '据', '库', '录', '照', '等', '料']) && names.chars().count() <= 40;
    (has(office, &offices) && named).then_some(names)
}

/// Levels close to the word: 等保二级, 二级等保, 安全保护等级为第三级.
fn levels(sentence: &str) -> Vec<(u8, String)> {
    let chars: Vec<char> = sentence.chars().collect();
    let mut out: Vec<(u8, String)> = Vec::new();
    let words: Vec<Vec<char>> =
        ["等保", "等级保护", "保护等级", "系统安全等级"].iter().map(|w| w.chars().collect()).collect();
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
        assert_eq!(found("信息系统安全等级：二级"), [2]);
        assert_eq!(found("安全保护等级为第三级"), [3]);
        assert_eq!(found("满足等保2.0要求"), Vec::<u8>::new());
        assert_eq!(found("达到三级等保"), [3]);
        assert_eq!(found("按照网络安全等级保护2级要求"), [2]);
    }

    #[test]
    fn a_network_is_that_of_the_system_itself() {
        for (text, found) in [
            ("系统部署在政务外网", Some("政务外网")),
            ("系统部署于区政务云政务外网区", Some("政务外网")),
            ("本系统网络区域为政务外网", Some("政务外网")),
            ("系统部署在政务内网（涉密网）", Some("政务内网")),
            ("部署区域为政务外网", Some("政务外网")),
            ("政务外网部署", Some("政务外网")),
            ("系统不部署在互联网", None),
            ("系统部署在政务外网和互联网", None),
            ("前置机部署在互联网", None),
            ("部署在政务外网的系统不接入互联网", None),
            ("系统通过政务外网访问", None),
        ] {
            assert_eq!(zone(text), found, "{text}");
        }
    }

    #[test]
    fn secrets_are_told_from_rules_about_them() {
        for (text, found) in [
            ("本系统为非涉密系统", Some((false, "非涉密"))),
            ("非涉密", Some((false, "非涉密"))),
            ("系统密级：非涉密", Some((false, "非涉密"))),
            ("非涉密系统", Some((false, "非涉密"))),
            ("系统不涉及国家秘密", Some((false, "不涉及国家秘密"))),
            ("密级为秘密级", Some((true, "秘密级"))),
            ("本系统涉及国家秘密", Some((true, "涉及国家秘密"))),
            ("严禁处理秘密、机密级文件", None),
            ("防止涉密信息上传", None),
            ("涉及国家秘密的文件走机要通道", None),
            ("安全设计：非涉密数据", None),
        ] {
            assert_eq!(secret(text), found, "{text}");
        }
    }

    #[test]
    fn resources_of_other_offices_are_named() {
        for (text, found) in [
            ("本项目需通过区数据交换共享平台从区公安分局获取人口信息", Some("人口信息")),
            ("由区公安分局提供人口信息、户籍信息", Some("人口信息、户籍信息")),
            ("本项目不需要从外部获取数据", None),
            ("无需从区公安分局获取人口信息", None),
            ("数据从业务系统获取", None),
        ] {
            assert_eq!(resource(text), found, "{text}");
        }
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
