//! Sentences that say the project builds, extends or renovates a machine room (151号 二（一）具体要求1). What is denied, what
//! quotes the rule, and rooms that are given up or used where they are, are not among them.

use super::scan::{clauses, has, sentences};

const WORKS: &[&str] =
    &["新建", "扩建", "改建", "改造", "装修", "翻新", "自建", "改扩建", "建设", "搭建", "新增", "建造"];
/// Words with 建设, 不 or 无 in them that say nothing of works or of their absence.
const HARMLESS: &[&str] = &[
    "建设单位",
    "建设目标",
    "建设内容",
    "建设方案",
    "建设期",
    "建设规模",
    "建设原则",
    "建设必要性",
    "建设项目",
    "建设要求",
    "不间断",
    "无线",
    "不仅",
    "不断",
    "不少于",
    "不小于",
    "不低于",
    "不超过",
    "无人值守",
    "无纸化",
    "无缝",
    "未来",
    "非涉密",
    "非税",
    "免维护",
    "免费",
];
/// Between the work and the room these say that the work is on something else.
const ELSEWHERE: &[&str] =
    &["系统", "平台", "软件", "应用", "部署", "迁", "数据库", "网站", "业务", "接入", "托管", "放置", "存放", "利用"];
const GIVEN_UP: &[&str] = &["撤销", "关停", "迁出", "关闭", "腾退", "取消", "拆除", "停用", "退出"];
const RULE: &[&str] = &["不予立项", "一律", "不得", "禁止", "严禁", "不再允许"];

const PAST: &[&str] = &["曾", "改造过", "进行过", "扩建过", "新建过", "建成过"];
/// What software does with the works of others.
const KEPT: &[&str] = &["登记", "备案", "审批", "审核", "台账", "统计", "填报", "管理"];
const SOFTWARE: &[&str] = &["支持", "系统", "模块", "功能", "平台", "提供", "实现", "建立", "全区", "各单位"];

/// The sentences of a text that speak of such works.
pub(super) fn works(text: &str) -> Vec<&str> {
    if !text.contains("机房") {
        return Vec::new();
    }
    sentences(text).filter(|s| s.contains("机房") && !has(s, RULE) && clauses(s).any(speaks)).collect()
}

fn speaks(clause: &str) -> bool {
    // Nobody writes a longer clause, and each mention of a room looks at all of it.
    if clause.len() > 2_000 || !clause.contains("机房") || has(clause, GIVEN_UP) {
        return false;
    }
    if has(clause, PAST) || is_software(clause) {
        return false;
    }
    let clause = without_titles(clause);
    let plain = HARMLESS.iter().fold(clause, |text, word| text.replace(word, "〇"));
    // The part of a list that is denied denies the list: 不涉及机房新建、扩建和改造.
    if plain.contains(['不', '无', '未', '没', '勿', '免', '非']) {
        return false;
    }
    let shared = has(&plain, &["政务云", "云中心", "云平台", "大数据中心", "数据中心"]);
    if shared && has(&plain, &["由", "依托", "利用", "使用", "共用", "统一", "部署", "租用", "入驻"]) {
        return false;
    }
    let mut from = 0;
    while let Some(at) = plain.get(from..).and_then(|t| t.find("机房")).map(|at| at + from) {
        let (before, after) = (plain.get(..at).unwrap_or_default(), plain.get(at + "机房".len()..).unwrap_or_default());
        if works_before(before) || works_after(after) {
            return true;
        }
        from = at + "机房".len();
    }
    false
}

/// `支持对各单位机房改造项目进行登记`
fn is_software(clause: &str) -> bool {
    clause.split_once("机房").is_some_and(|(before, after)| {
        has(before, SOFTWARE)
            && has(after, KEPT)
            && (has(after, &["项目", "工程", "情况", "申请", "信息"]) || has(before, &["支持", "功能", "模块"]))
    })
}

/// `新建一间约60平方米的机房`
fn works_before(before: &str) -> bool {
    WORKS.iter().any(|work| {
        before.rfind(work).is_some_and(|at| {
            let between = before.get(at + work.len()..).unwrap_or_default();
            let done = before.get(..at).unwrap_or_default().ends_with(['已', '曾']);
            !done && between.chars().count() <= 24 && !has(between, ELSEWHERE)
        })
    })
}

/// `机房改造`, `机房进行升级改造`
fn works_after(after: &str) -> bool {
    WORKS.iter().any(|work| {
        after.find(work).is_some_and(|at| {
            let (between, behind) =
                (after.get(..at).unwrap_or_default(), after.get(at + work.len()..).unwrap_or_default());
            // 机房建设标准, 机房建设情况
            let named =
                ["标准", "规范", "要求", "规定", "情况", "现状", "水平", "完成"].iter().any(|w| behind.starts_with(w));
            !named && between.chars().count() <= 12 && !has(between, ELSEWHERE) && !has(between, &["内", "已", "中"])
        })
    })
}

/// Without the titles of documents in 《》.
fn without_titles(clause: &str) -> String {
    let mut depth = 0_u32;
    let keep = |c: &char| {
        match c {
            '《' => depth += 1,
            '》' => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    };
    clause.chars().filter(keep).collect()
}

/// Equipment of a machine room, in a row that says it is for one.
pub(super) fn equipment(row: &str) -> bool {
    const THINGS: &[&str] = &[
        "精密空调",
        "UPS",
        "ups",
        "不间断电源",
        "机柜",
        "防静电地板",
        "消防",
        "动环",
        "动力环境",
        "配电",
        "发电机",
        "气体灭火",
        "装修",
        "改造",
        "新风",
    ];
    let plain = HARMLESS.iter().fold(row.to_owned(), |text, word| text.replace(word, "〇"));
    row.len() < 4_096
        && row.contains("机房")
        && has(row, THINGS)
        && !has(row, &["政务云", "云中心", "云平台"])
        && !has(row, GIVEN_UP)
        && !plain.contains(['无', '未', '勿'])
        && !plain.contains("不")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_on_machine_rooms_are_found() {
        for text in [
            "本项目新建一间约60平方米的标准化机房。",
            "对三楼现有机房进行升级改造。",
            "机房改造及装修工程",
            "建设内容包括机房建设、网络建设。",
            "扩建机房，增加机柜20个",
            "为保障业务连续，拟对现有机房实施改造",
            "机房装修及消防、精密空调",
            "新建及改造中心机房",
            "撤销原有机房，新建区级机房",
            "采购不间断电源，用于机房改造",
            "为支持系统运行，对机房进行改造",
            "建设管理平台一套，新建机房一间",
            "改造机房供电系统，提升管理水平",
        ] {
            assert_eq!(works(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_builds_no_room_is_not_taken() {
        for text in [
            "本项目不新建机房。",
            "不涉及机房改造",
            "无机房建设内容",
            "本项目不涉及机房新建、扩建、改造等内容",
            "涉及新建机房、扩建机房及改造机房的项目一律不予立项。",
            "原有机房撤销，设备迁出",
            "依托区政务云中心机房部署",
            "机房由政务云统一提供",
            "由政务云中心负责机房建设",
            "对业务系统进行升级改造，部署在区政务云机房",
            "改造后的系统部署在政务云机房",
            "符合《数据中心机房建设规范》的要求",
            "机房建设标准按国家标准执行",
            "部署在建设单位机房",
            "机房内的业务系统改造",
            "现有机房已改造完成",
            "新建业务系统",
            "2019年我局曾对机房进行过改造，现已关停。",
            "系统包含机房巡检管理模块，支持对各单位机房改造项目进行登记、审核。",
            "监管对象包括全区在建机房工程，系统对机房建设项目进行备案登记。",
            "为全区学校机房（计算机教室）建设情况建立台账。",
        ] {
            assert_eq!(works(text), Vec::<&str>::new(), "{text}");
        }
        assert!(equipment("精密空调 2万元 1 机房制冷"));
        assert!(!equipment("精密空调 2万元 1 会议室"));
    }
}
