//! Hardware that is bought beside the cloud, where a report tells of it in sentences, and the reasons it gives for that.

use super::{
    dates::digit,
    layout::{Item, Layout, Paragraph},
    output::says_nothing,
    scan::{clauses, has, line, sentences},
    section::Section,
};
use crate::{place::Place, text};

const VERBS: &[&str] = &["购置", "采购", "另购", "新购"];
const DEVICES: &[&str] = &[
    "服务器",
    "存储设备",
    "存储",
    "磁盘阵列",
    "交换机",
    "防火墙",
    "路由器",
    "高拍仪",
    "打印机",
    "扫描仪",
    "终端",
    "终端机",
    "一体机",
    "工作站",
    "电脑",
    "计算机",
    "网关",
    "摄像机",
    "摄像头",
    "读卡器",
    "显示屏",
    "大屏",
    "UPS",
    "平板",
    "触摸屏",
    "叫号机",
    "身份证阅读器",
    "硬盘",
    "磁带库",
    "负载均衡",
];
const COUNTED: &[char] = &['台', '套', '个', '块', '组', '部', '件', '只'];
/// Longest name of a device.
const MAX_NAME: usize = 24;
/// Devices of one report that are taken from sentences.
const MAX_DEVICES: usize = 100;
const MAX_BYTES: usize = 4096;

/// A device as far as a sentence tells of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub name: String,
    pub quantity: String,
    pub price: Option<String>,
    pub purpose: Option<String>,
}

/// The devices told of in 六.2 and 六.3, with the item and the place of each.
pub(super) fn told(layout: &Layout) -> Vec<(usize, Device, Place)> {
    let mut out = Vec::new();
    for (item, part) in layout.items.iter().enumerate() {
        let Item::Paragraph(paragraph) = part else { continue };
        if !matches!(paragraph.section, Some(Section::Part(6, 2 | 3))) || paragraph.text.len() > MAX_BYTES {
            continue;
        }
        for sentence in sentences(&paragraph.text) {
            out.extend(bought(sentence).into_iter().map(|device| (item, device, place(paragraph))));
        }
        if out.len() > MAX_DEVICES {
            out.truncate(MAX_DEVICES);
            break;
        }
    }
    out
}

pub(super) fn place(paragraph: &Paragraph) -> Place {
    Place { section: paragraph.section.map(Section::label), ..paragraph.place.clone() }
}

/// `另购置服务器2台，单价8万元，用于数据备份`
fn bought(sentence: &str) -> Vec<Device> {
    let Some((at, verb)) = VERBS.iter().filter_map(|v| Some((sentence.find(v)?, *v))).min() else { return Vec::new() };
    let (before, after) = (sentence.get(..at).unwrap_or_default(), sentence.get(at..).unwrap_or_default());
    let before = before.rsplit(['，', ',', '：', ':']).next().unwrap_or_default();
    if is_denied(before) {
        return Vec::new();
    }
    let mut out: Vec<Device> = Vec::new();
    let rest = after.strip_prefix(verb).unwrap_or_default().trim_start_matches('置');
    for part in rest.split(['、', '和', '及', '，', ',', '（', '(', '）', ')']).map(str::trim) {
        if let Some((name, quantity)) = device(part) {
            out.push(Device { name, quantity, ..Device::default() });
        } else if let Some(last) = out.last_mut() {
            last.price = last.price.take().or_else(|| price(part));
        } else if !part.is_empty() && out.is_empty() && has(part, &["软件", "服务", "系统"]) && !has(part, DEVICES)
        {
            return out;
        }
    }
    let purpose = ["主要用于", "用于", "用作"].iter().find_map(|w| {
        let (_, purpose) = after.split_once(w)?;
        let purpose = purpose.split(['，', ',', '）', ')']).next()?.trim();
        (!purpose.is_empty()).then(|| purpose.to_owned())
    });
    for device in &mut out {
        device.purpose.clone_from(&purpose);
    }
    out
}

/// Whether what stands before the verb takes it back, makes a condition of it or puts it in the past.
fn is_denied(before: &str) -> bool {
    if has(before, &["已经", "已于", "曾", "现有", "原有", "前期", "一期", "此前", "上年"]) {
        return true;
    }
    let mut bare = before.trim();
    let fill = [
        "另行", "另外", "另", "再", "单独", "额外", "自行", "需要", "需", "须", "要", "得", "涉及", "进行", "予",
        "重新", "新",
    ];
    while let Some(rest) = fill.iter().find_map(|w| bare.strip_suffix(w)) {
        bare = rest;
    }
    [
        "不", "无", "未", "勿", "免", "已", "如", "若", "凡", "是否", "禁止", "避免", "杜绝", "取消", "代替", "替代",
        "政府",
    ]
    .iter()
    .any(|w| bare.ends_with(w))
}

/// `数据库服务器2台`, `2台数据库服务器`
fn device(part: &str) -> Option<(String, String)> {
    let numeral = |c: char| digit(c).is_some() || "一二两三四五六七八九十百".contains(c);
    let mut from = 0;
    while let Some(at) = part.get(from..).and_then(|p| p.find(numeral)).map(|i| from + i) {
        let tail = part.get(at..).unwrap_or_default();
        let digits = tail.find(|c| !numeral(c)).unwrap_or(tail.len());
        from = at + digits;
        let unit = tail.get(digits..).unwrap_or_default().trim_start().chars().next();
        let Some(unit) = unit.filter(|c| COUNTED.contains(c)) else { continue };
        let end = from + part.get(from..).and_then(|p| p.find(unit)).unwrap_or_default() + unit.len_utf8();
        let quantity = part.get(at..end).unwrap_or_default().to_owned();
        let before = part.get(..at).unwrap_or_default().trim_end_matches(['共', '各', '约', '计', ' ', '为']);
        let behind = part.get(end..).unwrap_or_default();
        return [before, behind].into_iter().find_map(named).map(|name| (name, quantity));
    }
    None
}

/// The name of a device that a text is or, before other words, begins with.
fn named(words: &str) -> Option<String> {
    let bare = words.trim().trim_start_matches(['了', '的', '相', '关', '：', ':']);
    let end = DEVICES.iter().filter_map(|d| Some(bare.rfind(d)? + d.len())).max()?;
    let (name, rest) = (bare.get(..end)?, bare.get(end..)?.trim());
    let whole = rest.is_empty() || has(rest, &["用于", "用作", "，"]) || rest == "设备";
    let cloud = has(name, &["虚拟", "云", "软件", "许可", "授权", "系统"]);
    (whole && !cloud && name.chars().count() <= MAX_NAME).then(|| name.to_owned())
}

/// `单价8万元`, `12万元`
fn price(part: &str) -> Option<String> {
    let at = part.find('元')?;
    let figures = part.get(..at)?;
    let start = figures
        .char_indices()
        .rev()
        .take_while(|(_, c)| digit(*c).is_some() || matches!(c, '.' | '万' | '千' | '百' | ' '))
        .last()
        .map(|(i, _)| i)?;
    let price = part.get(start..at + '元'.len_utf8())?.trim();
    price.contains(|c| digit(c).is_some()).then(|| price.to_owned())
}

/// Why hardware is bought beside the cloud: said around the place where it is told of, before a list or below it.
pub(super) fn reason(layout: &Layout, item: usize) -> Option<(String, Place)> {
    const NEAR: usize = 3;
    let paragraph = |at: usize| match layout.items.get(at) {
        Some(Item::Paragraph(paragraph)) => Some(paragraph),
        _ => None,
    };
    let here = paragraph(item).into_iter();
    let below = (item + 1..=item + NEAR).map_while(paragraph);
    let above = (item.saturating_sub(NEAR)..item).rev().map_while(paragraph);
    here.chain(below).chain(above).filter(|p| p.text.len() <= MAX_BYTES && p.section.is_some()).find_map(|p| {
        let said = because(&p.text)?;
        Some((said, place(p)))
    })
}

/// `理由：…`, or a sentence that says why the cloud cannot provide it.
fn because(written: &str) -> Option<String> {
    for sentence in sentences(written) {
        if has(sentence, &["须说明", "需说明", "应说明", "请说明"]) {
            continue;
        }
        if let Some((label, said)) = sentence.split_once(['：', ':']) {
            let label = text::fold(label);
            let bare = label.trim_start_matches(|c: char| !c.is_alphabetic());
            if bare.chars().count() <= 12
                && (has(bare, &["理由", "原因"]) || matches!(bare, "必要性" | "采购必要性" | "必要性说明" | "说明"))
            {
                let said = line(said);
                if !says_nothing(&said) && (bare != "说明" || explains(&said)) {
                    return Some(said);
                }
                continue;
            }
        }
        if explains(sentence) {
            return Some(line(sentence.trim_end_matches(['：', ':'])));
        }
    }
    None
}

/// The cloud does not have it, or it is needed where the cloud is not; and that is said of buying.
fn explains(sentence: &str) -> bool {
    let cloud = clauses(sentence).any(|clause| {
        has(clause, &["云"])
            && has(clause, &["无法", "不能", "不提供", "未提供", "没有", "不具备", "不支持", "不满足", "难以"])
    });
    let because = has(sentence, &["因", "由于", "鉴于", "理由", "原因"]) && has(sentence, VERBS);
    cloud && !is_about_use(sentence) || because && !has(sentence, &["因此", "因而"])
}

/// `政务云无法访问`: a fault of the service, not what it lacks.
fn is_about_use(sentence: &str) -> bool {
    has(sentence, &["访问", "登录", "中断", "故障"]) && !has(sentence, VERBS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_in_sentences() {
        let all = |t: &str| {
            bought(t)
                .into_iter()
                .map(|d| [d.name, d.quantity, d.price.unwrap_or_default(), d.purpose.unwrap_or_default()].join("|"))
                .collect::<Vec<_>>()
        };
        for (text, found) in [
            ("另购置服务器2台，单价8万元，用于数据备份", vec!["服务器|2台|8万元|数据备份"]),
            (
                "存储方案：采购磁盘阵列1台（12万元）放置在本单位，用于存储业务数据",
                vec!["磁盘阵列|1台|12万元|存储业务数据"],
            ),
            ("本项目另需采购数据库服务器2台，单价8万元", vec!["数据库服务器|2台|8万元|"]),
            ("新购2台服务器、1台交换机", vec!["服务器|2台||", "交换机|1台||"]),
            ("采购打印机十台和高拍仪5台", vec!["打印机|十台||", "高拍仪|5台||"]),
            ("因政务云不能提供故采购防火墙１台", vec!["防火墙|１台||"]),
            ("政务云无法提供，另购防火墙1台用于隔离", vec!["防火墙|1台||隔离"]),
        ] {
            assert_eq!(all(text), found, "{text}");
        }
        for text in [
            "本项目不购置服务器2台",
            "无需采购服务器2台",
            "不再另行采购服务器2台",
            "已采购服务器2台",
            "如需采购服务器2台以上",
            "前期项目采购服务器3台",
            "采购服务器杀毒软件2套",
            "采购云服务器2台",
            "采购虚拟服务器2台",
            "采购数据库软件1套",
            "采购高拍仪等设备",
            "现有服务器2台",
            "申请虚拟机2台，采购服务",
            "通过政府采购服务器2台",
            "采购1套应用系统，部署在服务器上",
        ] {
            assert_eq!(all(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn reasons_are_told_in_sentences() {
        for (text, said) in [
            ("理由：窗口现场设备，政务云无法提供。", Some("窗口现场设备，政务云无法提供")),
            ("采购理由：窗口现场使用", Some("窗口现场使用")),
            (
                "因窗口现场需要，政务云不能提供下列终端设备，须另行采购：",
                Some("因窗口现场需要，政务云不能提供下列终端设备，须另行采购"),
            ),
            ("由于现场环境限制，需采购高拍仪10台", Some("由于现场环境限制，需采购高拍仪10台")),
            ("如需另行采购，须说明理由", None),
            ("理由：无", None),
            ("另购置服务器2台，单价8万元，用于数据备份。", None),
            ("说明：价格含税", None),
            ("系统部署在政务云平台。", None),
        ] {
            assert_eq!(because(text).as_deref(), said, "{text}");
        }
    }
}
