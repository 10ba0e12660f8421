//! Network, secrecy and level of protection, where a report tells them in sentences.

use super::{
    layout::Layout,
    outline::Prose,
    output::Output,
    scan::{clauses, has, sentences},
    section::Section,
    sections::{below, rows},
};
use crate::place::Place;
use serde_json::{Value, json};

/// 等保 in sections 四 to 六, in 九.2 and beside 安全措施, where all of them say the same.
pub(super) fn protection(layout: &Layout, prose: &[Prose], out: &mut Output) {
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
pub(super) fn network(prose: &[Prose], out: &mut Output) {
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
pub(super) fn secrecy(prose: &[Prose], out: &mut Output) {
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
}
