//! 附件1 相城区政务信息化项目申报(审核、备案)表, with its merged cells as printed.

use super::{
    generate::ZONES,
    model::Report,
    tree::{Cell, Node, Table},
};

/// Of a form to fill in, only what is printed on it.
pub fn nodes(report: &Report, blank: bool) -> Vec<Node> {
    let said = |name| report.said(name).unwrap_or_default();
    let office = |text: &'static str| if blank { "" } else { text };
    vec![
        Node::para("附件1："),
        Node::chapter(format!("相城区政务信息化项目申报(审核、备案)表（{}年度）", office("2034"))),
        Node::para(format!("申报部门(盖章)：{}", said("applicant"))),
        Node::para(format!("申报日期：{}", office("2034年9月1日"))),
        Node::Table(table(report, blank)),
        Node::para(format!("填表人：{}", office("赵工"))),
        Node::para(format!("联系电话：{}", office("0512-00000009"))),
        Node::para(format!("电子信箱：{}", office("office@example.gov.cn"))),
        Node::para(""),
    ]
}

fn boxed(report: &Report, ticked: bool, text: &str) -> String {
    let (yes, no) = report.style.boxes;
    format!("{}{text}", if ticked { yes } else { no })
}

/// 政务内网 is on the form too, whoever may tick it.
fn networks(report: &Report) -> String {
    let words = [ZONES[1].0, ZONES[0].0, ZONES[2].0, "政务内网(涉密网)"];
    let options = words.map(|word| boxed(report, report.ticked.contains(&word), word));
    options.join("  ")
}

fn table(report: &Report, blank: bool) -> Table {
    let office = |text: &'static str| if blank { "" } else { text };
    let said = |name| report.said(name).unwrap_or_default();
    let pair = |label: &str, text: &str| [Cell::text(label), Cell::text(text)];
    let long = |label: &str, text: &str, columns| vec![Cell::text(label), Cell::text(text).wide(columns)];
    let two = |left: (&str, &str), right: (&str, &str), wide| {
        let ([a, b], [c, d]) = (pair(left.0, left.1), pair(right.0, right.1));
        vec![a, b.wide(wide), c, d.wide(4 - wide)]
    };
    let yes_no = |ticked: bool| {
        let (yes, no) = (ticked && !blank, !ticked && !blank);
        format!("{} / {}", boxed(report, yes, "是"), boxed(report, no, "否"))
    };
    let mut rows = vec![
        two(("项目名称", said("project_name")), ("项目负责人", office("张主任")), 3),
        two(("项目实施地址", office("相城区")), ("联系电话", office("0512-00000009")), 3),
        two(("参与部门", office("各镇（街道）")), ("项目性质", office("新建")), 3),
        long("项目建设目标、内容及量化指标", office("实现业务全流程网上办理，网上办件率不低于 90%。"), 5),
        two(("启动年月", office("2034年11月")), ("计划完成年月", office("2035年7月")), 2),
        vec![
            Cell::text("前期准备"),
            Cell::text(format!("规划编制({})", yes_no(true))).wide(2),
            Cell::text(format!("规划通过专家论证({})", yes_no(false))).wide(3),
        ],
        two(("预算总投资", office("186.5万元")), ("年度需要资金", office("120万元")), 3),
    ];
    for line in [
        ["", "合计", "其中申请财政拨款", "单位自筹", "国家下拨", "其它"],
        ["历年已安排资金(万元)", office("0"), office("0"), office("0"), office("0"), office("0")],
        ["本年度申请资金(万元)", office("120"), office("120"), office("0"), office("0"), office("0")],
    ] {
        rows.push(line.iter().map(|text| Cell::text(*text)).collect());
    }
    rows.push(long("资金落实情况说明", office("区财政统筹安排。"), 5));
    let mut network = long("联网方式", &networks(report), 4);
    network.insert(0, Cell::text("基础网络").tall(3));
    rows.push(network);
    let ([a, b], [c, d]) = (pair("节点数量", office("12")), pair("网络带宽", office("100Mbps")));
    rows.push(vec![a, b, c, d.wide(2)]);
    rows.push(long("安全措施", office("防火墙、入侵检测、日志审计"), 4));
    let ([a, b], [c, d]) =
        (pair("技术标准(开发平台)", office("B/S 架构")), pair("数据库类型", said("application_db_type")));
    rows.push(vec![Cell::text("应用平台").tall(2), a, b, c, d.wide(2)]);
    rows.push(long("密级要求", said("secrecy_level"), 4));
    rows.push(long(
        "申报时所附材料",
        "1、项目可行性研究报告(含技术方案)\n2、专家论证意见或信息技术中介机构的评审意见",
        5,
    ));
    rows.push(long("主管部门审批意见", "(盖章)  年  月  日", 5));
    Table { rows }
}
