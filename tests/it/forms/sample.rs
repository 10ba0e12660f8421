//! The samples that come with the broker, rendered by LibreOffice: a report for the sample task book that says what
//! `samples/request.yaml` says, and the empty forms to fill in. `make sample-report` writes them anew.

use super::{
    application,
    generate::{self, KEY},
    layout,
    model::{Block, Home, Layout, Report, Spelling, Style, Truth, Typed},
    odf, paper,
    render::{self, Format},
    tree::{Cell, Node, Table},
};
use crate::support::{self, Dice};
use std::{collections::BTreeMap, path::Path};

/// The printed form, and nothing else of note.
const PRINTED: Style = Style {
    spelling: Spelling::Form,
    layout: Layout::Form,
    home: Home::Configuration,
    label_units: false,
    application: true,
    boxes: ("☑", "□"),
    split: false,
    plan_table: true,
    note: None,
    resaved: false,
    seed: 1,
};
/// What a request needs beside the block and 附件1: label and canonical name.
const BESIDE: &[(&str, &str)] = &[
    ("任务书编号", "task_book"),
    ("等保级别", "mlps_level"),
    ("数据存储量预测", "storage_forecast"),
    ("系统部署日期", "deploy_milestone"),
    ("共享交换实施日期", "exchange_milestone"),
    ("运维周期", "om_period_months"),
    ("运维单位", "om_unit_name"),
    ("运维单位联系方式", "om_unit_contact"),
    ("SSH 公钥", "ssh_keys"),
];

fn report(blocks: &[&[(&'static str, &str)]]) -> Report {
    let block = |fields: &&[(&'static str, &str)]| Block {
        fields: fields.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(),
        typed: Typed::default(),
    };
    Report {
        name: "feasibility-report".to_owned(),
        blocks: blocks.iter().map(block).collect(),
        said: BTreeMap::new(),
        ticked: Vec::new(),
        hardware: Vec::new(),
        resources: Vec::new(),
        planted: Vec::new(),
        style: PRINTED,
        truth: Truth::default(),
    }
}

/// The sample project's report: two machines that serve, and one with the database behind them.
pub fn filled() -> Report {
    let serving = [
        ("vm_count", "2台"),
        ("domain", "oa.xiangcheng.example"),
        ("os_type", "Debian 12"),
        ("db_type", "无"),
        ("cpu_count", "每台1核"),
        ("memory", "每台128M"),
        ("disk", "每台2G"),
        (
            "workload_description",
            "民政综合业务管理平台的应用服务，供区民政局和各镇（街道）民政工作人员办理业务使用。\n两台虚拟机互为备份。",
        ),
        ("remarks", "试运行阶段，先按最小规格申请。"),
    ];
    let storing = [
        ("vm_count", "1台"),
        ("domain", "oa-db.xiangcheng.example"),
        ("os_type", "Debian 12"),
        ("db_type", "PostgreSQL 15"),
        ("cpu_count", "1核"),
        ("memory", "256M"),
        ("disk", "2G"),
        ("workload_description", "民政综合业务管理平台的数据库，只由应用服务访问。"),
        ("remarks", ""),
    ];
    let mut report = report(&[&serving, &storing]);
    for (name, text) in [
        ("project_name", "民政综合业务管理平台"),
        ("applicant", "区民政局"),
        ("task_book", "相信任〔2026〕17号"),
        ("application_db_type", "PostgreSQL 15"),
        ("secrecy_level", "非涉密"),
        ("mlps_level", "二级"),
        ("storage_forecast", "3GB"),
        ("deploy_milestone", "2035年6月30日"),
        ("exchange_milestone", "2035年12月"),
        ("om_period_months", "3年"),
        ("om_unit_name", "相城区民政局信息中心"),
        ("om_unit_contact", "联系人 0512-00000000"),
        ("ssh_keys", KEY),
    ] {
        report.say(name, text);
    }
    report.ticked = vec!["政务外网"];
    report.resources = vec!["人口基础信息", "婚姻登记信息"];
    generate::add_hardware(&mut Dice::new(1), &mut report, 1);
    report
}

fn blank() -> Report {
    let fields = ["vm_count", "domain", "os_type", "db_type", "cpu_count", "memory", "disk", "workload_description"];
    let more = ["basis", "no_domain_reason", "remarks"];
    report(&[&fields.iter().chain(&more).map(|name| (*name, "")).collect::<Vec<_>>()])
}

fn beside(report: &Report, more: &[(&str, &str)]) -> Table {
    let rows = more
        .iter()
        .chain(BESIDE)
        .map(|(label, name)| vec![Cell::text(*label), Cell::text(report.said(name).unwrap_or_default())]);
    Table { rows: rows.collect() }
}

const HOW: &str = "一组相同的虚拟机填一张表，几组就复制几张。内存、磁盘写明单位（如 16G）；申请多台的，数量口径必填。";

fn form() -> Vec<Node> {
    let blank = blank();
    let mut nodes = application::nodes(&blank, true);
    nodes.push(Node::chapter("六、项目建设方案"));
    nodes.push(Node::section("3、设备与软硬件配置"));
    nodes.extend(layout::blocks(&blank));
    nodes.push(Node::para(HOW));
    nodes.push(Node::section("申请资源另需写明"));
    nodes.push(Node::Table(beside(&blank, &[])));
    nodes
}

/// A workbook has no 附件1, so what that says is asked for beside.
fn workbook() -> Vec<(&'static str, Vec<Node>)> {
    let blank = blank();
    let application = [
        ("项目名称", "project_name"),
        ("申报部门", "applicant"),
        ("联网方式", "network_zone"),
        ("密级要求", "secrecy_level"),
    ];
    let mut nodes = vec![Node::Table(beside(&blank, &application)), Node::para("")];
    nodes.extend(layout::blocks(&blank));
    nodes.push(Node::para(HOW));
    vec![("基础设施资源需求", nodes)]
}

/// The committed samples read as what the writer makes of them today; `WRITE_SAMPLES=1` writes them anew.
#[cfg(test)]
#[test]
fn the_samples_are_what_their_writer_makes() {
    let folder = support::scratch("samples");
    let write = |name: &str, bytes: Vec<u8>| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let papers = [
        write("feasibility-report.fodt", odf::text(&paper::nodes(&filled()))),
        write("request-form.fodt", odf::text(&form())),
    ];
    let sheets = [write("request-form.fods", odf::sheets(&workbook()))];
    let made = [render::all(&folder, &papers, Format::Docx), render::all(&folder, &sheets, Format::Xlsx)].concat();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    for file in made {
        let kept = samples.join(file.file_name().unwrap());
        if std::env::var_os("WRITE_SAMPLES").is_some() {
            std::fs::copy(&file, &kept).unwrap();
        }
        let read = |path: &Path| jiyue::request::form::read(&std::fs::read(path).unwrap(), "").unwrap();
        assert_eq!(read(&kept), read(&file), "{}: make sample-report writes it anew", kept.display());
    }
    std::fs::remove_dir_all(folder).unwrap();
}
