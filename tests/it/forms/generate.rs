//! Sound reports: everything in them can be read in one way only, however it is spelled.

use super::{
    amount::{self, Scope},
    model::{Block, GIB, Hardware, Home, Layout, Report, Spelling, Style, Truth, Typed},
};
use crate::support::Dice;
use std::collections::BTreeMap;

pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMBOF11sz54+bPZs6DViXtHXPljimFjdnCDOdz0c5uq6";

const PROJECTS: &[(&str, &str)] = &[
    ("民政综合业务管理平台", "区民政局"),
    ("养老服务管理系统", "区民政局"),
    ("智慧教育管理平台", "区教育局"),
    ("城市管理综合执法平台", "区城管局"),
    ("不动产档案管理系统", "区自然资源局"),
    ("公共卫生应急指挥系统", "区卫生健康委"),
    ("安全生产监管信息系统", "区应急管理局"),
];
const WORKLOADS: &[&str] = &[
    "应用服务，供区级各部门和各镇（街道）工作人员办理业务使用",
    "前置服务与接口服务，对接区数据交换共享平台",
    "后台批量统计与报表生成",
    "移动端接入服务，面向居民和企业",
    "文件与影像存储服务",
];
const REMARKS: &[&str] = &["", "做负载均衡", "试运行阶段", "无", "与现有系统并行三个月"];
const OPERATING: &[(&str, &str)] = &[
    ("Debian 12", "debian-12"),
    ("debian12", "debian-12"),
    ("Debian 13", "debian-13"),
    ("Ｄｅｂｉａｎ １２", "debian-12"),
    ("Debian GNU/Linux 12", "debian-12"),
];
const SUFFIXES: &[&str] = &["szxc.gov.cn", "xc.suzhou.gov.cn", "xiangcheng.example"];
const HARDWARE: &[(&str, &str, &str)] = &[
    ("高拍仪", "2000元", "窗口采集证件影像"),
    ("身份证阅读器", "1200元", "窗口核验身份"),
    ("自助服务终端", "3.5万元", "大厅自助办理"),
    ("执法记录仪", "1800元", "现场取证"),
];
const RESOURCES: &[&str] = &["人口基础信息", "法人基础信息", "婚姻登记信息", "地理空间信息"];
/// The words of 附件1 and the answer's.
pub const ZONES: &[(&str, &str)] =
    &[("政务外网", "government_extranet"), ("互联网", "internet"), ("政务专网", "government_private")];

/// What may be fixed beforehand; the rest is thrown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    pub blocks: Option<usize>,
    pub layout: Option<Layout>,
    /// Every block has this many machines.
    pub machines: Option<u64>,
    /// Nothing that a task book restricts is out of the ordinary: 政务外网, Debian 12, level 2.
    pub plain: bool,
    /// Blocks can be changed one by one: each says its own units and basis, and no row of labels binds them together.
    pub loose: bool,
    /// For a workbook: tables only, and no 附件1.
    pub sheet: bool,
    pub application: Option<bool>,
}

/// A sound report of its own.
pub fn sound(dice: &mut Dice, name: &str, wish: Wish) -> Report {
    let (project, applicant) = dice.pick(PROJECTS);
    let mut style = style(dice, wish);
    let zone = if wish.plain { ZONES[0] } else { dice.pick(ZONES) };
    // No tick or two: then each block says its own network.
    let ticked = match dice.below(5) {
        0 if !wish.plain && style.application => vec![],
        1 if !wish.plain && style.application => vec!["互联网", "政务外网"],
        _ => vec![zone.0],
    };
    let count = wish.blocks.unwrap_or(1 + usize::try_from(dice.below(4)).expect("small"));
    let scope = report_scope(dice, &style, wish);
    if scope == Some(Told::Note) {
        style.note = Some(dice.pick(&["注：以上均为每台配置。", "说明：上述配置均按每台虚拟机填写。"]));
    }
    let mut blocks: Vec<Block> = (0..count).map(|n| block(dice, name, n, &style, scope, wish)).collect();
    for block in &mut blocks {
        block.typed.zone = zone.1;
        if ticked.len() != 1 {
            block.set("network_zone", zone.0);
        }
    }
    if style.layout == Layout::HeaderRowMerged {
        let (text, key) = (blocks[0].text("os_type").unwrap_or_default().to_owned(), blocks[0].typed.os);
        for block in &mut blocks {
            block.set("os_type", text.clone());
            block.typed.os = key;
        }
    }
    let mut report = Report {
        name: name.to_owned(),
        blocks,
        said: BTreeMap::new(),
        ticked,
        hardware: Vec::new(),
        resources: Vec::new(),
        planted: Vec::new(),
        style,
        truth: Truth::default(),
    };
    say(dice, &mut report, project, applicant, wish);
    report
}

fn style(dice: &mut Dice, wish: Wish) -> Style {
    use Layout as L;
    use Spelling as S;
    // Loose ones first, those without tables last.
    let layouts: &[Layout] = &[
        L::HeaderRow,
        L::HeaderRowMerged,
        L::Form,
        L::FormWithSide,
        L::Pairs,
        L::Stacked,
        L::OneCell,
        L::Form,
        L::Form,
        L::Nested,
        L::Paragraphs,
    ];
    let (from, to) = (if wish.loose { 2 } else { 0 }, if wish.sheet { 7 } else { layouts.len() });
    let layout = wish.layout.unwrap_or_else(|| dice.pick(&layouts[from..to]));
    let spelling = dice.pick(&[S::Form, S::Form, S::Plain, S::Comma, S::Bracketed, S::FullWidth, S::Colon]);
    Style {
        // Without a colon, label and value in one cell could not be told apart.
        spelling: if matches!(layout, L::OneCell | L::Paragraphs) && dice.once_in(2) { S::Colon } else { spelling },
        layout,
        home: dice.pick(&[
            Home::Configuration,
            Home::Configuration,
            Home::Configuration,
            Home::Deployment,
            Home::Annex,
        ]),
        label_units: dice.once_in(6) && !wish.loose,
        application: wish.application.unwrap_or_else(|| !dice.once_in(3)) && !wish.sheet,
        boxes: dice.pick(&[("☑", "□"), ("☒", "☐"), ("√", "□"), ("■", "□")]),
        split: dice.once_in(2),
        plan_table: dice.once_in(2),
        note: None,
        resaved: dice.once_in(3),
        seed: dice.below(u64::MAX),
    }
}

/// How all blocks of the report tell what their figures are for; `None`: each in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Row,
    SumRow,
    Remark,
    /// A sentence behind the blocks.
    Note,
    Figures(Scope),
}

fn report_scope(dice: &mut Dice, style: &Style, wish: Wish) -> Option<Told> {
    if style.label_units {
        return Some(dice.pick(&[Told::Row, Told::SumRow, Told::Remark]));
    }
    // One row of labels holds for all, so all have the same fields.
    let header = matches!(style.layout, Layout::HeaderRow | Layout::HeaderRowMerged);
    match dice.below(6) {
        0 if !wish.loose => Some(Told::Note),
        n => (header || n < 3).then(|| told(dice)),
    }
}

fn told(dice: &mut Dice) -> Told {
    dice.pick(&[
        Told::Row,
        Told::Row,
        Told::SumRow,
        Told::Remark,
        Told::Figures(Scope::Each),
        Told::Figures(Scope::SumSaid),
        Told::Figures(Scope::Both),
    ])
}

fn block(dice: &mut Dice, name: &str, number: usize, style: &Style, told_by: Option<Told>, wish: Wish) -> Block {
    let (os, key) = if wish.plain { OPERATING[0] } else { dice.pick(OPERATING) };
    let typed = Typed {
        machines: wish.machines.unwrap_or_else(|| dice.pick(&[1, 1, 2, 2, 3, 4, 6, 12])),
        vcpu: dice.pick(&[1, 2, 4, 8, 16]),
        memory: GIB * dice.pick(&[1, 2, 4, 8, 16, 32, 64]),
        disk: GIB * dice.pick(&[20, 50, 100, 200, 500, 1024, 1124, 2048]),
        os: key,
        zone: "",
    };
    let told_by = told_by.unwrap_or_else(|| told(dice));
    let mut remarks = dice.pick(REMARKS).to_owned();
    let (mut basis, mut scope) = (None, Scope::Bare);
    match told_by {
        Told::Row => basis = Some("每台"),
        Told::SumRow => (basis, scope) = (Some("合计"), Scope::Sum),
        _ if typed.machines == 1 => {}
        Told::Note => {}
        Told::Remark => remarks = dice.pick(&["以上均为每台配置", "以上配置为单台虚拟机配置"]).to_owned(),
        Told::Figures(said) => scope = said,
    }
    let mut figure = |field: &str, each: u64| {
        if style.label_units {
            let amount = if scope == Scope::Sum { each * typed.machines } else { each };
            return if field == "cpu_count" { amount.to_string() } else { (amount / GIB).to_string() };
        }
        amount::figure(dice, field, each, typed.machines, scope)
    };
    let (cpu, memory, disk) =
        (figure("cpu_count", typed.vcpu), figure("memory", typed.memory), figure("disk", typed.disk));
    let vm_count = if style.label_units { typed.machines.to_string() } else { amount::machines(dice, typed.machines) };
    let homeless = dice.once_in(6);
    // Letters only: `-1` is what the second machine of a request gets.
    let host = format!("{}{}", dice.pick(&["yw", "oa", "app", "Sys"]), name.replace('-', ""))
        + ["a", "b", "c", "d"][number % 4];
    let domain = if homeless { "无".to_owned() } else { format!("{host}.{}", dice.pick(SUFFIXES)) };
    let mut fields = vec![
        ("vm_count", vm_count),
        ("domain", domain),
        ("os_type", os.to_owned()),
        ("db_type", dice.pick(&["无", "无", "不需要"]).to_owned()),
        ("cpu_count", cpu),
        ("memory", memory),
        ("disk", disk),
        // Each block has its own work: two of the same would be one need asked for twice.
        ("workload_description", WORKLOADS[(number + name.len()) % WORKLOADS.len()].to_owned()),
    ];
    fields.extend(basis.map(|basis| ("basis", basis.to_owned())));
    let header = matches!(style.layout, Layout::HeaderRow | Layout::HeaderRowMerged);
    if homeless || header {
        let reason = if homeless { "仅供本项目内部调用" } else { "" };
        fields.push(("no_domain_reason", reason.to_owned()));
    }
    fields.push(("remarks", remarks));
    Block { fields, typed }
}

/// What the report says around its blocks.
fn say(dice: &mut Dice, report: &mut Report, project: &str, applicant: &str, wish: Wish) {
    report.say("project_name", project);
    report.say("applicant", applicant);
    report.say("task_book", format!("相信任〔2026〕{}号", 1 + dice.below(99)));
    if !wish.plain {
        match dice.below(8) {
            0 => {
                report.say("filing_basis", "紧急项目");
                report.say("government_approval", "相政复〔2026〕8号");
            }
            1 => {
                report.said.remove("task_book");
                report.say("filing_basis", "上级统筹项目");
                report.say("upper_level_filing", "相信备〔2026〕3号");
            }
            _ => {}
        }
    }
    report.say("secrecy_level", dice.pick(&["非涉密", "非涉密", "不涉密"]));
    let (level, number) =
        if wish.plain { ("二级", 2) } else { dice.pick(&[("二级", 2), ("第三级", 3), ("2", 2), ("三级", 3)]) };
    report.say("mlps_level", level);
    if report.style.application {
        report.say("application_db_type", "无");
    }
    let (year, month) = (2035 + dice.below(3), 1 + dice.below(12));
    let day = dice.pick(&[15, 28, 30].map(|d| if month == 2 { 28 } else { d }));
    report.say("deploy_milestone", date(dice, year, month, day));
    let (months, period) = dice.pick(&[(36, "3年"), (36, "36个月"), (12, "一年"), (60, "五年"), (24, "24 个月")]);
    report.say("om_period_months", period);
    let unit = format!("{applicant}信息中心");
    report.say("om_unit_name", unit.clone());
    report.say("om_unit_contact", dice.pick(&["王工 0512-00000000", "0512-00000001", "李工，电话 0512-00000002"]));
    if !dice.once_in(5) {
        report.say("ssh_keys", KEY);
    }
    if !dice.once_in(4) {
        let total = report.totals()[3] / GIB;
        report.say("storage_forecast", amount::size(dice, GIB * (total / 2).max(1)));
    }
    if !dice.once_in(3) {
        report.resources = RESOURCES[..1 + usize::try_from(dice.below(4)).expect("small")].to_vec();
        report.say("exchange_milestone", date(dice, year, month, day));
    }
    if dice.once_in(2) {
        let count = 1 + usize::try_from(dice.below(3)).expect("small");
        add_hardware(dice, report, count);
    }
    let truth = &mut report.truth;
    (truth.om_months, truth.om_unit, truth.mlps) = (months, unit, number);
    truth.deploy_month = format!("{year}-{month:02}");
}

pub fn add_hardware(dice: &mut Dice, report: &mut Report, count: usize) {
    report.hardware = HARDWARE[..count]
        .iter()
        .map(|(name, price, purpose)| {
            let quantity = dice.pick(&["3", "2台", "10 台"]).to_owned();
            Hardware { name, price: (*price).to_owned(), quantity, purpose: (*purpose).to_owned() }
        })
        .collect();
    report.say("off_cloud_procurement_reason", "窗口外设，政务云不提供");
}

fn date(dice: &mut Dice, year: u64, month: u64, day: u64) -> String {
    match dice.below(6) {
        0 => format!("{year}-{month:02}-{day:02}"),
        1 => format!("{year}/{month}/{day}"),
        2 => format!("{year}.{month}.{day}"),
        3 => format!("{year}年{month}月"),
        4 => amount::full_width(&year.to_string()) + &format!(" 年 {month} 月 {day} 日"),
        _ => format!("{year}年{month}月{day}日"),
    }
}
