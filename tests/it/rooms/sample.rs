//! The survey that comes with the broker and that `make run` goes on with: a district of three rooms and twelve systems, as
//! offices fill it. A workbook saved by LibreOffice, with titles, merged heads, blank rows, notes and days in several
//! spellings, and a CSV of one department as a Chinese spreadsheet saves it. `make sample-report` writes both anew.

use super::{Stage, import, take};
use crate::{
    forms::{
        odf,
        render::{self, Format},
        tree::{Cell, Node, Table},
    },
    support::{self, broker::On},
};
use jiyue::request::form;
use serde_json::json;
use std::path::PathBuf;

const SURVEY: &str = "district-survey.xlsx";
const HEALTH: &str = "district-survey-health.csv";

fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

fn row(cells: &[&str]) -> Vec<Cell> {
    cells.iter().map(|text| Cell::text(*text)).collect()
}

/// A sheet under a title over its whole width.
fn sheet(title: &str, width: usize, mut head: Vec<Vec<Cell>>, body: &[&[&str]], note: &str) -> Vec<Node> {
    let mut rows = vec![vec![Cell::text(title).wide(width)]];
    rows.append(&mut head);
    rows.extend(body.iter().map(|cells| row(cells)));
    rows.push(vec![Cell::text(note).wide(width)]);
    vec![Node::Table(Table { rows })]
}

fn rooms() -> Vec<Node> {
    let head = row(&[
        "机房名称",
        "单位",
        "机房类型",
        "证明材料",
        "文号",
        "发文日期",
        "面积（m²）",
        "机柜数",
        "供电容量（kW）",
    ]);
    let body: &[&[&str]] = &[
        &["民政老楼机房", "相城区民政局", "普通机房", "", "相政办〔2018〕151号", "2018年8月22日", "38㎡", "4个", "20"],
        &[],
        &["教育局机房", "相城区教育局", "普通", "", "相教办〔2026〕1号", "2026.3.2", "60", "6", "30"],
        &[
            "卫健委机房",
            "相城区卫生健康委员会",
            "普通",
            "",
            "相卫办〔2026〕8号",
            "2026/5/11",
            "25.5",
            "3（一个空着）",
            "15",
        ],
    ];
    sheet("附表1  部门机房情况", 9, vec![head], body, "填表说明：接入机房、上级指定机房要附证明材料。")
}

fn servers() -> Vec<Node> {
    let upper = vec![
        Cell::text("服务器名称").tall(2),
        Cell::text("单位").tall(2),
        Cell::text("所在机房").tall(2),
        Cell::text("基本情况").wide(3),
        Cell::text("配置").wide(4),
    ];
    let lower = row(&["机柜号", "品牌型号", "购置时间", "CPU核心数", "内存（GB）", "硬盘（GB）", "操作系统"]);
    let body: &[&[&str]] = &[
        &[
            "民政虚机1",
            "相城区民政局",
            "民政老楼机房",
            "A2",
            "虚拟机（在 R720 上）",
            "2013",
            "2核",
            "1",
            "4",
            "Debian 10",
        ],
        &[
            "民政服务器2",
            "相城区民政局",
            "民政老楼机房",
            "A3",
            "联想 T168",
            "2009年3月",
            "2",
            "4GB",
            "146",
            "Windows Server 2003",
        ],
        &[],
        &["教育服务器1", "相城区教育局", "教育局机房", "B1", "戴尔 R730", "2016", "24", "128", "4TB", "CentOS 7"],
        &["教育服务器2", "相城区教育局", "教育局机房", "B2", "戴尔 R730", "2016", "24", "128", "4TB", "CentOS 7"],
        &[
            "卫健服务器1",
            "相城区卫生健康委员会",
            "卫健委机房",
            "1",
            "浪潮 NF5280",
            "2019/6/1",
            "32",
            "256",
            "8TB",
            "CentOS 7",
        ],
        &["冷链采集机", "相城区卫生健康委员会", "卫健委机房", "2", "研华 610", "2020", "4", "16", "500", "Windows 10"],
    ];
    sheet("附表2  服务器情况", 10, vec![upper, lower], body, "合计 6 台")
}

#[allow(clippy::too_many_lines, reason = "a sheet is long")]
fn systems() -> Vec<Node> {
    let upper = vec![
        Cell::text("序号").tall(2),
        Cell::text("系统名称").tall(2),
        Cell::text("单位").tall(2),
        Cell::text("功能").tall(2),
        Cell::text("使用情况").wide(3),
        Cell::text("立项").wide(3),
        Cell::text("安全").wide(2),
        Cell::text("运维").wide(4),
        Cell::text("部署").wide(6),
    ];
    let lower = row(&[
        "使用范围",
        "使用频度",
        "用户规模",
        "审批部门",
        "审批时间",
        "经费来源",
        "等保级别",
        "密级",
        "运维合同到期",
        "备份方式",
        "承建单位",
        "停止支持",
        "架构",
        "数据库",
        "联网方式",
        "所在机房",
        "所在服务器",
        "依赖系统",
    ]);
    let approved = "区发改局";
    let funds = "财政资金";
    let body: &[&[&str]] = &[
        &[
            "1",
            "低保审批系统",
            "相城区民政局",
            "低保、低收入家庭认定的受理、核对与审批",
            "本单位",
            "每天",
            "300人",
            approved,
            "2013年5月20日",
            funds,
            "二级",
            "非涉密",
            "2026-12-31",
            "每周手工",
            "苏州某软件公司",
            "否",
            "B/S",
            "MySQL 5.6",
            "政务外网",
            "民政老楼机房",
            "民政虚机1",
            "民政综合业务管理平台",
        ],
        &[
            "2",
            "老年证管理系统",
            "相城区民政局",
            "老年证办理（2021 年起改在省平台办）",
            "个别处室",
            "几乎不用",
            "20",
            approved,
            "20090301",
            funds,
            "无",
            "否",
            "",
            "无",
            "原厂商已注销",
            "是",
            "单机",
            "Access",
            "政务外网",
            "民政老楼机房",
            "民政服务器2",
            "",
        ],
        &[
            "3",
            "民政综合业务管理平台",
            "相城区民政局",
            "民政业务的统一受理与办理",
            "跨部门",
            "每天",
            "900",
            approved,
            "2026.1.15",
            funds,
            "二级",
            "非涉密",
            "2029-12-31",
            "云上快照",
            "",
            "否",
            "B/S",
            "PostgreSQL 15",
            "政务外网",
            "政务云",
            "",
            "",
        ],
        &[
            "4",
            "民政门户网站",
            "相城区民政局",
            "信息公开",
            "面向公众",
            "每天",
            "90000",
            approved,
            "2021/1/4",
            funds,
            "二级",
            "否",
            "2027年6月30日",
            "云上快照",
            "",
            "否",
            "B/S",
            "PostgreSQL",
            "互联网",
            "政务云",
            "",
            "",
        ],
        &[],
        &[
            "5",
            "学籍管理系统",
            "相城区教育局",
            "中小学学籍",
            "跨部门",
            "每天",
            "2000",
            approved,
            "2016.7.1",
            funds,
            "三级",
            "非涉密",
            "2027-03-31",
            "每天异地",
            "某教育科技公司",
            "否",
            "B/S",
            "MySQL 5.6",
            "政务外网",
            "教育局机房",
            "教育服务器1",
            "招生报名系统",
        ],
        &[
            "6",
            "招生报名系统",
            "相城区教育局",
            "义务教育阶段招生报名",
            "面向公众",
            "每年",
            "60000",
            approved,
            "2017年6月",
            funds,
            "三级",
            "否",
            "2027-03-31",
            "每天异地",
            "某教育科技公司",
            "否",
            "B/S",
            "MySQL 5.6",
            "政务外网",
            "教育局机房",
            "教育服务器1",
            "学籍管理系统",
        ],
        &[
            "7",
            "教师培训系统",
            "相城区教育局",
            "教师继续教育的课程与学时",
            "本单位",
            "每周",
            "4000人",
            approved,
            "2015-09-01",
            "自筹",
            "二级",
            "否",
            "2026-12-31",
            "无",
            "",
            "是",
            "B/S",
            "SQL Server 2008",
            "政务外网",
            "教育局机房",
            "教育服务器2",
            "学籍管理系统",
        ],
        &[
            "8",
            "校园安防监控",
            "相城区教育局",
            "校园视频监控的汇聚",
            "本单位",
            "每天",
            "60",
            approved,
            "2019-11-11",
            funds,
            "二级",
            "否",
            "2028-11-10",
            "无",
            "",
            "否",
            "C/S",
            "",
            "政务外网",
            "教育局机房",
            "教育服务器2",
            "",
        ],
    ];
    sheet("附表3  政务信息系统情况", 22, vec![upper, lower], body, "注：卫健委的系统另表报送。")
}

const HEALTH_ROWS: &str = "\
系统名称,单位名称,主要功能,范围,频度,立项审批部门,批准时间,资金来源,用户数,等保等级,是否涉密,部署机房,部署服务器,依赖的系统,现场生产
预防接种系统,相城区卫生健康委员会,接种预约与登记,面向公众,每天,区发改局,2018年4月2日,财政资金,50000,三级,否,卫健委机房,卫健服务器1,健康档案系统,
健康档案系统,相城区卫生健康委员会,居民健康档案,跨部门,每天,区发改局,2014-10-08,财政资金,1500,三级,否,卫健委机房,卫健服务器1,相城区教育局/学籍管理系统,
卫生监督系统,相城区卫生健康委员会,卫生许可与监督检查,本单位,每周,区发改局,2012.12.3,财政资金,120,二级,否,卫健委机房,卫健服务器1,,
疫苗冷链监测,相城区卫生健康委员会,冷库温度的现场采集与告警,本单位,每天,区发改局,2020/2/20,财政资金,30,二级,否,卫健委机房,冷链采集机,,冷库现场的采集设备接在本机上
合计,,,,,,,,,,,,,,
";

/// The committed samples read as what their writer makes of them today; `WRITE_SAMPLES=1` writes them anew.
#[test]
fn the_survey_is_what_its_writer_makes() {
    let folder = support::scratch("survey");
    let source = folder.join(SURVEY).with_extension("fods");
    let book = [("机房", rooms()), ("服务器", servers()), ("信息系统", systems())];
    std::fs::write(&source, odf::sheets(&book)).unwrap();
    let made = render::all(&folder, &[source], Format::Xlsx).remove(0);
    let (health, _, unmappable) = encoding_rs::GB18030.encode(HEALTH_ROWS);
    assert!(!unmappable);
    if std::env::var_os("WRITE_SAMPLES").is_some() {
        std::fs::copy(&made, kept(SURVEY)).unwrap();
        std::fs::write(kept(HEALTH), &health).unwrap();
    }
    let read = |path: PathBuf| form::sheets(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(read(kept(SURVEY)), read(made), "make sample-report writes it anew");
    assert_eq!(std::fs::read(kept(HEALTH)).unwrap(), health.as_ref(), "make sample-report writes it anew");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_survey_of_make_run_is_three_rooms_and_twelve_systems() {
    let stage = Stage::new(On::Sqlite).await;
    let cast = &stage.cast;
    let health = json!({"code": "wjw", "name": "相城区卫生健康委员会"});
    stage.act("/v1/departments", &cast.authority, health).await.expect(201);
    let book = std::fs::read(kept(SURVEY)).unwrap();
    let shown = take(&stage.raw, &cast.operator, &book).await;
    assert_eq!((&shown["new"], &shown["changed"]), (&json!(17), &json!(0)), "{shown:#}");
    // Titles, notes and sums were told and not taken.
    assert!(shown["notes"].as_array().unwrap().len() >= 3, "{shown:#}");
    let shown = take(&stage.raw, &cast.operator, &std::fs::read(kept(HEALTH)).unwrap()).await;
    assert_eq!(shown["new"], 4, "{shown:#}");
    let again = import(&stage.raw, &cast.operator, book, "").await.json();
    assert_eq!((&again["new"], &again["changed"], &again["same"]), (&json!(0), &json!(0), &json!(17)), "{again:#}");
    let report = stage.raw.get("/v1/reports/rooms", &cast.auditor).await.json();
    assert_eq!((&report["rooms"]["surveyed"], &report["systems"]["surveyed"]), (&json!(3), &json!(12)), "{report:#}");
    assert_eq!(report["systems"]["in_cloud"], 2, "{report:#}");
    // Three systems in a knot and behind it, from another department's room.
    let board = report["board"].as_array().unwrap();
    let blockers = |name: &str| board.iter().find(|room| room["name"] == name).unwrap()["blockers"].clone();
    assert_eq!(blockers("民政老楼机房"), 2, "{report:#}");
    assert_eq!(blockers("教育局机房"), 4);
    assert_eq!(blockers("卫健委机房"), 6, "its own four, and the knot that one of them waits for");
}
