//! The labels of the form as offices write them: with numbers, spaces, marks, hints and units around the words.

use super::scan;
use crate::{
    request::fields::{CONTEXT, FIELDS},
    text,
};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// Every word of every field, folded, to the field's canonical name.
static WORDS: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    FIELDS
        .iter()
        .chain(CONTEXT)
        .flat_map(|f| [f.name, f.label].into_iter().chain(f.aliases.iter().copied()).map(|w| (text::fold(w), f.name)))
        .collect()
});

/// Contact of the 附件1 form.
pub(super) const PHONE: &str = "phone";
/// A label of the forms that is no field of a report: it ends what stands before it.
pub(super) const OTHER: &str = "other";
/// 附件1's 技术标准（开发平台）, beside which its 数据库类型 stands.
pub(super) const PLATFORM: &str = "platform";

/// What a machine is for: its 运行内容, where a form says nothing else of that.
pub(super) const USE: &str = "use";

/// Words on paper beyond those that JSON takes.
const PAPER: &[(&str, &[&str])] = &[
    ("vm_count", &["虚拟机申请数量", "申请虚拟机数", "虚拟机数", "云主机数量", "申请云主机数量"]),
    ("os_type", &["操作系统及版本", "操作系统版本"]),
    ("db_type", &["数据库及版本", "数据库版本"]),
    ("cpu_count", &["cpu核心数", "vcpu核数", "cpu数", "cpu核", "cpu配置", "cpu核数量"]),
    ("memory", &["内存需求", "内存配置", "内存数量"]),
    ("disk", &["磁盘大小", "硬盘空间", "硬盘大小", "磁盘需求", "存储容量"]),
    ("project_name", &["项目全称"]),
    ("om_period_months", &["运维期", "运行维护期", "运维期限", "运行维护期限"]),
    ("network_zone", &["网络联网方式"]),
    (
        PHONE,
        &[
            "联系电话",
            "联系人",
            "联系方式",
            "运维单位联系方式",
            "运维联系方式",
            "运维联系人",
            "运维联系电话",
            "联系人及电话",
        ],
    ),
    (USE, &["服务器用途", "虚拟机用途", "部署内容", "部署应用"]),
    (PLATFORM, &["技术标准", "开发平台"]),
    (
        OTHER,
        &[
            "项目负责人",
            "项目实施地址",
            "参与部门",
            "项目性质",
            "项目建设目标、内容及量化指标",
            "启动年月",
            "计划完成年月",
            "前期准备",
            "预算总投资",
            "年度需要资金",
            "历年已安排资金",
            "本年度申请资金",
            "资金落实情况说明",
            "基础网络",
            "节点数量",
            "网络带宽",
            "安全措施",
            "应用平台",
            "申报时所附材料",
            "主管部门审批意见",
            "填表人",
            "电子信箱",
            "申报日期",
            "规划编制",
            "规划通过专家论证",
        ],
    ),
];

static PAPER_WORDS: LazyLock<HashMap<String, &'static str>> =
    LazyLock::new(|| PAPER.iter().flat_map(|(name, words)| words.iter().map(|w| (text::fold(w), *name))).collect());

/// The form's own words.
static OWN: LazyLock<HashSet<String>> =
    LazyLock::new(|| FIELDS.iter().chain(CONTEXT).map(|f| text::fold(f.label)).collect());

/// The canonical name of a field as written, without regard to case, width, spaces and a number in front.
pub fn field(label: &str) -> Option<&'static str> {
    // Beyond any field's name, however it is spaced.
    if label.len() > 128 {
        return None;
    }
    let folded = text::fold(label);
    // `1. 域名`, `4、cpu 数量`
    let bare = folded.trim_start_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < folded.len() { bare.strip_prefix(['.', '、']).unwrap_or(&folded) } else { &folded };
    WORDS.get(bare).copied()
}

/// A label on paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// The field's canonical name, or one of [`PHONE`], [`PLATFORM`], [`USE`], [`OTHER`].
    pub name: &'static str,
    /// It says of what unit the value is.
    pub unit: Option<&'static str>,
    /// It says 每台 or 合计.
    pub basis: Option<&'static str>,
    /// Numbered, marked or in the form's own words: it cannot be a value that happens to be a field's word.
    pub sure: bool,
}

/// Longest text that is tried as a label, and the longest label without what stands in brackets.
const MAX_LABEL: usize = 240;
const MAX_WORDS: usize = 36;

/// Whether a text is short enough for a label: most sentences are not, and need no closer look.
fn is_short(text: &str) -> bool {
    let (mut depth, mut words) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '（' | '[' | '【' | '〔' | '{' => depth += 1,
            ')' | '）' | ']' | '】' | '〕' | '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 && !c.is_whitespace() => words += 1,
            _ => {}
        }
        if words > MAX_WORDS {
            return false;
        }
    }
    words > 0
}

/// The label that a text is, whole.
pub(super) fn whole(text: &str) -> Option<Label> {
    if text.len() > MAX_LABEL || !is_short(text) {
        return None;
    }
    let folded = fold(text);
    let numbered = unnumbered(&folded);
    let marked = |c: char| matches!(c, '*' | '★' | '※' | '☆' | '▲' | '◆' | '●' | '·' | '•' | '-' | '#' | ':');
    let sure = numbered.len() < folded.len() || folded.ends_with(':');
    let (words, hints) = without_brackets(unnumbered(numbered.trim_matches(marked)));
    let bare = words.trim_matches(marked);
    let mut label = Label { name: OTHER, unit: None, basis: None, sure };
    let tokens = hints.split(['(', ')', ',', '/', ';', '+', '、', ':', '=', '，'].as_slice());
    for token in tokens.filter(|token| !token.is_empty()) {
        let token = ["单位", "每台", "单台"].iter().fold(token, |token, word| token.trim_start_matches(word));
        label.unit = label.unit.or_else(|| unit(token));
    }
    label.basis = basis(&hints);
    let name = find(bare)
        .or_else(|| {
            let (head, tail) = bare.split_once('/')?;
            label.unit = label.unit.or_else(|| unit(tail));
            label.basis = label.basis.or_else(|| basis(tail));
            find(head)
        })
        .or_else(|| {
            let (head, tail) = ["每台", "单台", "合计", "总计", "总"].iter().find_map(|p| {
                let rest = bare.strip_prefix(p)?;
                Some((basis(p)?, rest.trim_start_matches('的')))
            })?;
            label.basis = label.basis.or(Some(head));
            find(tail).filter(|n| matches!(*n, "cpu_count" | "memory" | "disk"))
        })
        .or_else(|| {
            let tail = ["gb", "tb", "mb", "gib", "tib", "mib", "g", "t"].iter().find(|u| bare.ends_with(**u))?;
            label.unit = label.unit.or_else(|| unit(tail));
            find(bare.strip_suffix(tail)?).filter(|n| matches!(*n, "memory" | "disk" | "storage_forecast"))
        })?;
    label.name = name;
    label.sure |= OWN.contains(bare);
    Some(label)
}

fn find(word: &str) -> Option<&'static str> {
    WORDS.get(word).or_else(|| PAPER_WORDS.get(word)).copied()
}

/// A label with its value in one text: `备注: 两台做负载均衡`. The value is empty for a label alone.
pub(super) fn with_value(text: &str) -> Option<(Label, &str)> {
    let (label, value) = leading(text, || whole(text))?;
    Some((label, text.get(value..)?.trim()))
}

/// The label that a text begins with, and where the value behind it begins; `all` is the label that the text is as a
/// whole.
pub(super) fn leading(text: &str, all: impl Fn() -> Option<Label>) -> Option<(Label, usize)> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices().take(80) {
        match c {
            '(' | '（' | '[' | '【' => depth += 1,
            ')' | '）' | ']' | '】' => depth -= 1,
            ':' | '：' if depth <= 0 => {
                let mut label = whole(text.get(..at)?)?;
                label.sure = true;
                return Some((label, at + c.len_utf8()));
            }
            // A label alone may be broken over lines; so may one with its value below.
            '\n' if depth <= 0 => {
                if let Some(mut label) = whole(text.get(..at)?)
                    && all().is_none()
                {
                    label.sure = true;
                    return Some((label, at + 1));
                }
            }
            _ => {}
        }
    }
    all().map(|label| (label, text.len()))
}

/// Folded, with circled numbers as numbers with a point.
fn fold(text: &str) -> String {
    if !text.contains(|c| matches!(c, '①'..='⑳' | '❶'..='➓')) {
        return text::fold(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            // ①…⑳, ❶…❿, ➀…➓
            n @ (0x2460..=0x2473 | 0x2776..=0x2793) => {
                let n = if n < 0x2776 { n - 0x245F } else { (n - 0x2776) % 10 + 1 };
                plain.push_str(&n.to_string());
                plain.push('.');
            }
            _ => plain.push(c),
        }
    }
    text::fold(&plain)
}

const NUMERALS: &str = "一二三四五六七八九十";

/// Without the number in front of a folded text, in any form. A number alone stays.
pub(super) fn unnumbered(folded: &str) -> &str {
    let digit = |c: char| c.is_ascii_digit() || NUMERALS.contains(c);
    // `(1)`, `(三)`
    if let Some(inner) = folded.strip_prefix('(')
        && let Some((number, rest)) = inner.split_once(')')
        && !number.is_empty()
        && number.chars().all(digit)
        && !rest.is_empty()
    {
        return rest.trim_start_matches(['、', '.']);
    }
    // `1.`, `1.2.`, `一、`, `1)`
    let rest = folded.trim_start_matches(|c: char| digit(c) || c == '.' || c == '-');
    let number = folded.len() - rest.len();
    let rest = if folded.get(..number).is_some_and(|n| n.ends_with('.')) { Some(rest) } else { None }
        .or_else(|| rest.strip_prefix(['、', ')', '．', ',']));
    match rest {
        Some(rest) if number > 0 && folded.starts_with(digit) && !rest.is_empty() => rest,
        _ => folded,
    }
}

/// The words, and what stands in brackets.
pub(super) fn without_brackets(folded: &str) -> (Cow<'_, str>, String) {
    if !folded.contains(['(', '[', '【', '〔', '{']) {
        return (folded.into(), String::new());
    }
    let (mut words, mut hints, mut depth) = (String::new(), String::new(), 0_usize);
    for c in folded.chars() {
        match c {
            '(' | '[' | '【' | '〔' | '{' => {
                depth += 1;
                hints.push(',');
            }
            ')' | ']' | '】' | '〕' | '}' if depth > 0 => depth -= 1,
            _ if depth > 0 => hints.push(c),
            _ => words.push(c),
        }
    }
    (words.into(), hints)
}

/// A unit that stands in a label.
fn unit(token: &str) -> Option<&'static str> {
    Some(match token {
        "gb" => "GB",
        "g" => "G",
        "gib" => "GiB",
        "tb" => "TB",
        "t" => "T",
        "tib" => "TiB",
        "mb" => "MB",
        "m" => "M",
        "mib" => "MiB",
        "核" | "核心" | "核数" | "个核" | "vcpu" => "核",
        "台" => "台",
        "元" => "元",
        "万元" => "万元",
        "个月" | "月" => "个月",
        "年" => "年",
        _ => return None,
    })
}

/// Whether a text is a unit and nothing else, with what it counts by or without: `GB`, `核/台`, `GB（每台）`.
pub(super) fn is_unit(text: &str) -> bool {
    if text.len() > 40 {
        return false;
    }
    let folded = text::fold(text);
    let ends = ["/台", "/每台", "/单台", "/虚拟机", "/vm", "(每台)", "(单台)", "(合计)", "(总计)"];
    let bare = ends.iter().find_map(|end| folded.strip_suffix(end)).unwrap_or(&folded);
    matches!(bare, "个" | "颗") || unit(bare).is_some_and(|u| !matches!(u, "元" | "万元" | "年" | "个月"))
}

pub(super) fn basis(words: &str) -> Option<&'static str> {
    if ["每台", "单台", "/台"].iter().any(|w| words.contains(w)) {
        Some("每台")
    } else if ["合计", "总计", "总"].iter().any(|w| words.contains(w)) {
        Some("合计")
    } else {
        None
    }
}

/// The value with the unit and the basis that its label gave.
pub(super) fn complete(value: &str, label: &Label) -> String {
    let value = value.trim();
    if value.is_empty() || !value.contains(|c: char| c.is_numeric()) || value.starts_with('=') {
        return value.to_owned();
    }
    let with_unit = match label.unit {
        Some(unit) => add_unit(value, unit),
        None => value.to_owned(),
    };
    let says = |words: &[&str]| words.iter().any(|w| value.contains(w));
    match label.basis {
        Some(basis)
            if !says(&["每", "单", "各", "共", "总", "合计"])
                && matches!(label.name, "cpu_count" | "memory" | "disk") =>
        {
            format!("{basis}{with_unit}")
        }
        _ => with_unit,
    }
}

/// Puts a unit behind numbers that have none: behind a number alone, or behind each that ends its part of a list.
fn add_unit(value: &str, unit: &str) -> String {
    let mut out = String::new();
    for part in scan::listed(value) {
        let body = part
            .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '，' | ',' | '；' | ';' | '、' | '+' | '＋'));
        let factor = body.contains(['×', '*', 'x', 'X']);
        out.push_str(body);
        if body.ends_with(|c: char| c.is_numeric()) && !factor {
            out.push_str(unit);
        }
        out.push_str(part.get(body.len()..).unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_are_found_however_they_are_written() {
        for (text, name) in [
            ("1. 域 名", "domain"),
            ("１．域名", "domain"),
            ("（1）域名", "domain"),
            ("(1) 域名：", "domain"),
            ("①域名", "domain"),
            ("一、域名", "domain"),
            ("1）域名", "domain"),
            ("*域名", "domain"),
            ("★ 1、域名*", "domain"),
            ("磁盘空间（系统盘+数据盘）", "disk"),
            ("申请虚拟机数量※", "vm_count"),
            ("联 系 电 话", PHONE),
            ("技术标准(开发平台)", PLATFORM),
            ("项目建设目标、内容及量化指标", OTHER),
            ("cpu\n数量", "cpu_count"),
        ] {
            assert_eq!(whole(text).map(|l| l.name), Some(name), "{text}");
        }
        for text in ["", "4.", "内存 容量 大小 多少", "2", "（1）", "域名管理", "1：2"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_unit_or_basis_of_the_label_goes_to_the_value() {
        for (label, value, full) in [
            ("内存容量（GB）", "16", "16GB"),
            ("内存容量（GB）", "16G", "16G"),
            ("内存容量（每台，GB）", "16", "每台16GB"),
            ("cpu 数量（每台，核）", "4", "每台4核"),
            ("磁盘空间（合计/T）", "1.5", "合计1.5T"),
            ("磁盘空间（单位：GB）", "系统盘100，数据盘500", "系统盘100GB，数据盘500GB"),
            ("磁盘空间（GB）", "系统盘100G，数据盘1T", "系统盘100G，数据盘1T"),
            ("内存/GB", "8", "8GB"),
            ("每台内存", "8G", "每台8G"),
            ("每台内存", "合计16G", "合计16G"),
            ("运维周期（月）", "36", "36个月"),
            ("内存容量", "16", "16"),
            ("磁盘空间（GB）", "2,000", "2,000GB"),
            ("内存容量（GB）", "无", "无"),
        ] {
            assert_eq!(complete(value, &whole(label).unwrap()), full, "{label}");
        }
    }

    #[test]
    fn a_label_and_its_value_may_share_a_cell() {
        for (text, name, value) in [
            ("备注: 两台做负载均衡", "remarks", "两台做负载均衡"),
            ("域名：a.b.c", "domain", "a.b.c"),
            ("备注:", "remarks", ""),
            ("备注\n一\n二", "remarks", "一\n二"),
            ("磁盘空间（单位：GB）：100", "disk", "100"),
        ] {
            let (label, found) = with_value(text).unwrap();
            assert_eq!((label.name, found), (name, value), "{text}");
        }
        assert_eq!(with_value("ssh-ed25519 AAAA a:b"), None);
    }

    proptest! {
        #[test]
        fn numbers_spaces_and_width_do_not_matter(
            at in 0..FIELDS.len(), number in prop::sample::select(vec!["", "3. ", "３．", "4、", "（2）", "(12)", "⑦", "三、", "5) "]),
            gap in prop::sample::select(vec!["", " ", "\u{3000}", "\n"]), end in prop::sample::select(vec!["", "：", ":", " *", "（GB）"]),
        ) {
            let spaced: Vec<String> = FIELDS[at].label.chars().map(String::from).collect();
            let text = format!("{number}{}{end}", spaced.join(gap));
            prop_assert_eq!(whole(&text).map(|l| l.name), Some(FIELDS[at].name), "{}", text);
        }

        #[test]
        fn any_text_is_a_label_or_not(text in any::<String>()) {
            let _ = with_value(&text);
            let _ = complete(&text, &whole("内存容量（每台，GB）").unwrap());
        }
    }
}
