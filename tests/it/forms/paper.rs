//! A whole report on paper: 附件1 in front when it comes along, then the fourteen chapters of the outline with what the
//! report says where the outline wants it.

use super::{
    application, layout,
    model::{Home, Layout, Report},
    prose::{BUDGET, CHAPTERS, COLLECTED, FUNCTIONS},
    tree::{Cell, Node, Table},
};

const CONFIGURATION: &str = "3、设备与软硬件配置";
const DEPLOYMENT: &str = "4、部署方案";

pub fn nodes(report: &Report) -> Vec<Node> {
    let mut nodes = Vec::new();
    if report.style.application {
        nodes.extend(application::nodes(report, false));
    }
    nodes.push(Node::chapter(format!("{}可行性研究报告", report.said("project_name").unwrap_or_default())));
    for (heading, sentences) in CHAPTERS {
        nodes.push(if heading.starts_with(|c: char| c.is_ascii_digit()) {
            Node::section(*heading)
        } else {
            Node::chapter(*heading)
        });
        let project = report.said("project_name").unwrap_or_default();
        nodes.extend(sentences.iter().map(|sentence| Node::para(sentence.replace("{}", project))));
        nodes.extend(answers(report, heading));
        let planted = report.planted.iter().filter(|(at, _)| at == heading);
        nodes.extend(planted.map(|(_, sentence)| Node::para(sentence)));
    }
    if report.style.home == Home::Annex {
        nodes.push(Node::chapter("附：基础设施资源需求表"));
        nodes.extend(layout::blocks(report));
    }
    nodes
}

/// `标签：值`, where the report says it.
fn line(report: &Report, label: &str, name: &str) -> Option<Node> {
    report.said(name).map(|text| Node::para(format!("{label}：{text}")))
}

fn answers(report: &Report, heading: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    match heading {
        "一、项目概述" => {
            let said = |name| report.said(name).unwrap_or_default();
            nodes.push(Node::para(format!("1、项目名称：{}", said("project_name"))));
            nodes.push(Node::para(format!("2、项目建设单位及负责人：{}，张主任", said("applicant"))));
            nodes.extend(line(report, "任务书编号", "task_book"));
            nodes.extend(line(report, "申请依据", "filing_basis"));
            nodes.extend(line(report, "区政府批准文号", "government_approval"));
            nodes.extend(line(report, "上级统筹项目备案号", "upper_level_filing"));
        }
        "1、数据采集需求分析" => nodes.push(Node::Table(Table::of(COLLECTED))),
        "2、应用系统需求分析" => nodes.extend(shared_resources(report)),
        "2、项目网络架构" if !report.style.application => {
            nodes.extend(report.ticked.iter().map(|zone| Node::para(format!("联网方式：{zone}"))));
        }
        "3、项目功能清单" => nodes.push(Node::Table(Table::of(FUNCTIONS))),
        "4、信息量分析与预测" => nodes.extend(line(report, "数据存储量预测", "storage_forecast")),
        "2、建设方案" => {
            nodes.extend(line(report, "等保级别", "mlps_level"));
            if !report.style.application {
                nodes.extend(line(report, "密级要求", "secrecy_level"));
            }
        }
        CONFIGURATION => nodes.extend(configuration(report)),
        DEPLOYMENT if report.style.home == Home::Deployment => nodes.extend(layout::blocks(report)),
        "2、运行维护机制" => nodes.extend(maintenance(report)),
        "2、实施计划安排" => nodes.extend(schedule(report)),
        "3、资金预算明细" => nodes.push(Node::Table(Table::of(BUDGET))),
        _ => {}
    }
    nodes
}

/// 四.3
fn shared_resources(report: &Report) -> Vec<Node> {
    let mut nodes = vec![Node::section("3、数据共享需求分析")];
    if report.resources.is_empty() {
        nodes.push(Node::para("本项目不需要从外部获取数据资源。"));
        return nodes;
    }
    nodes.push(Node::para("拟从外部获取的信息资源如下表。"));
    let mut table = Table::of(&[&["信息资源名称", "信息资源提供方", "资源获取方式", "资源粒度", "获取频率"]]);
    for resource in &report.resources {
        let row = [resource, "区数据交换共享平台", "接口调用", "逐条", "实时"];
        table.rows.push(row.iter().map(|text| Cell::text(*text)).collect());
    }
    nodes.push(Node::Table(table));
    nodes
}

/// 六.3
fn configuration(report: &Report) -> Vec<Node> {
    let mut nodes = Vec::new();
    match report.style.home {
        Home::Configuration => nodes.extend(layout::blocks(report)),
        Home::Deployment => nodes.push(Node::para("资源需求见“4、部署方案”。")),
        Home::Annex => nodes.push(Node::para("资源需求见报告所附基础设施资源需求表。")),
    }
    nodes.extend(line(report, "SSH 公钥", "ssh_keys"));
    if report.hardware.is_empty() {
        nodes.push(Node::para("本项目无需额外采购其他硬件设备。"));
        return nodes;
    }
    nodes.push(Node::para("需额外采购的其他硬件设备："));
    let mut table = Table::of(&[&["硬件名称", "价格", "数量", "用途"]]);
    for (n, item) in report.hardware.iter().enumerate() {
        let cell = |text: &str, field: &str| Cell::text(text).marked(format!("/extra_hardware/{n}/{field}"));
        table.rows.push(vec![
            cell(item.name, "name"),
            cell(&item.price, "price"),
            cell(&item.quantity, "quantity"),
            cell(&item.purpose, "purpose"),
        ]);
    }
    nodes.push(Node::Table(table));
    nodes.extend(line(report, "另行采购理由", "off_cloud_procurement_reason"));
    nodes
}

/// 九.2
fn maintenance(report: &Report) -> Vec<Node> {
    let facts =
        [("运维周期", "om_period_months"), ("运维单位", "om_unit_name"), ("运维单位联系方式", "om_unit_contact")];
    let said = facts.iter().filter_map(|(label, name)| report.said(name).map(|text| (*label, text)));
    if report.style.plan_table {
        let rows = said.map(|(label, text)| vec![Cell::text(label), Cell::text(text)]).collect();
        return vec![Node::Table(Table { rows }), Node::para("")];
    }
    said.map(|(label, text)| Node::para(format!("{label}：{text}"))).collect()
}

/// 十.2
fn schedule(report: &Report) -> Vec<Node> {
    let steps = [("系统部署", "deploy_milestone"), ("共享交换实施", "exchange_milestone")];
    let said = steps.iter().filter_map(|(label, name)| report.said(name).map(|text| (*label, text)));
    if report.style.plan_table {
        let mut table =
            Table::of(&[&["阶段", "计划完成时间"], &["需求调研", "2034年12月"], &["软件开发", "2035年1月"]]);
        table.rows.extend(said.map(|(label, text)| vec![Cell::text(label), Cell::text(text)]));
        table.rows.push(vec![Cell::text("竣工验收"), Cell::text("系统上线三个月后")]);
        return vec![Node::Table(table), Node::para("")];
    }
    let sentences = said.map(|(label, text)| Node::para(format!("{text}完成{label}。")));
    std::iter::once(Node::para("2034年12月完成需求调研。")).chain(sentences).collect()
}

/// The report for a workbook: what is said as pairs, then the blocks, then the hardware.
pub fn sheets(report: &Report) -> Vec<(&'static str, Vec<Node>)> {
    const SAID: &[(&str, &str)] = &[
        ("项目名称", "project_name"),
        ("申报部门", "applicant"),
        ("任务书编号", "task_book"),
        ("申请依据", "filing_basis"),
        ("区政府批准文号", "government_approval"),
        ("上级统筹项目备案号", "upper_level_filing"),
        ("密级要求", "secrecy_level"),
        ("等保级别", "mlps_level"),
        ("系统部署日期", "deploy_milestone"),
        ("共享交换实施日期", "exchange_milestone"),
        ("运维周期", "om_period_months"),
        ("运维单位", "om_unit_name"),
        ("运维单位联系方式", "om_unit_contact"),
        ("数据存储量预测", "storage_forecast"),
        ("SSH 公钥", "ssh_keys"),
        ("另行采购理由", "off_cloud_procurement_reason"),
    ];
    let mut rows: Vec<Vec<Cell>> = SAID
        .iter()
        .filter_map(|(label, name)| report.said(name).map(|text| vec![Cell::text(*label), Cell::text(text)]))
        .collect();
    rows.extend(report.ticked.iter().map(|zone| vec![Cell::text("联网方式"), Cell::text(*zone)]));
    let mut blocks = vec![Node::Table(Table { rows }), Node::para("")];
    debug_assert!(!matches!(report.style.layout, Layout::Nested | Layout::Paragraphs), "a sheet has neither");
    blocks.extend(layout::blocks(report));
    let mut all = vec![("基础设施资源需求", blocks)];
    if !report.hardware.is_empty() {
        let list = configuration(report).into_iter().filter(|node| matches!(node, Node::Table(_))).last();
        all.push(("其他硬件设备", list.into_iter().collect()));
    }
    all
}
