#![allow(clippy::unwrap_used, clippy::panic)]

use super::{
    super::{
        estate::{Estate, Home},
        forms,
        room::Kind,
        said::Unit,
        tests::unit,
    },
    Fault,
    plan::{Ground, Plan, plan},
    table,
};
use crate::request::form::{Line, Sheet, Spot};
use jiff::civil::{Date, date};
use std::collections::HashMap;

const TODAY: Date = date(2026, 11, 30);

/// A sheet of rows of cells; `|` between cells, an empty one is not there.
fn sheet(name: &str, rows: &[&str]) -> Sheet {
    let line = |(number, row): (u32, &&str)| {
        let cells = (1..).zip(row.split('|')).filter(|(_, text)| !text.trim().is_empty());
        let spot =
            |(column, text): (u32, &str)| Spot { column, span: 1, text: text.trim().to_owned(), continued: false };
        Line { number, cells: cells.map(spot).collect() }
    };
    let rows = (1..).zip(rows).map(line).filter(|line| !line.cells.is_empty());
    Sheet { name: name.to_owned(), rows: rows.collect() }
}

const ROOMS: &str = "机房名称|建设单位|机房类型|类型证明|文件日期|关停期限|面积（m²）";
const SERVERS: &str = "服务器名称|建设单位|所在机房|CPU 核数|内存（GB）|操作系统";
const SYSTEMS: &str = "系统名称|建设单位|功能|是否涉密|审批时间|用户规模|所在机房|所在服务器|依赖系统";

fn units() -> Vec<Unit> {
    vec![unit(0), unit(1)]
}

fn read(estate: &Estate, sheets: &[Sheet]) -> Result<Plan, Vec<Fault>> {
    let (departments, systems, servers) = (units(), HashMap::new(), HashMap::new());
    let ground =
        Ground { estate, departments: &departments, systems: &systems, servers: &servers, today: TODAY, by: "ops" };
    plan(table::find(sheets)?, &ground)
}

fn district() -> Vec<Sheet> {
    vec![
        sheet("机房", &["相城区机房普查表", ROOMS, "一号|第0局|普通||||40㎡", "二号|第1局|接入机房|接入批复||||"]),
        sheet("服务器", &[SERVERS, "s1|第0局|一号|8核|64|Windows Server 2008", "s2|第1局|二号|16|128GB|"]),
        sheet(
            "系统",
            &[
                SYSTEMS,
                "甲|第0局|审批|否|2015年6月1日|300人|一号|s1|乙、第1局/丙",
                "乙|第0局|查询||2016/7/2||一号|s1|",
                "丙|d1|共享|非涉密|||二号|s2|",
                "丁|第1局|网站||||政务云||",
            ],
        ),
    ]
}

fn after(plan: &Plan) -> Estate {
    Estate::of(plan.objects.iter().cloned(), 1)
}

#[track_caller]
fn faults(sheets: &[Sheet]) -> Vec<(&'static str, String)> {
    let faults = read(&after(&read(&Estate::default(), &district()).unwrap()), sheets).unwrap_err();
    let place = |fault: &Fault| {
        let place = &fault.note.place;
        format!("{} {}:{}", place.sheet.clone().unwrap_or_default(), place.row.unwrap_or(0), place.column.unwrap_or(0))
    };
    faults.iter().map(|fault| (fault.code, place(fault))).collect()
}

#[test]
fn a_district_is_read_and_read_again_it_is_the_same() {
    let first = read(&Estate::default(), &district()).unwrap();
    let estate = after(&first);
    assert_eq!((estate.rooms.len(), estate.servers.len(), estate.systems.len()), (2, 2, 4));
    let by_name = |name: &str| estate.systems.values().find(|system| system.name == name).unwrap();
    let (one, three) = (by_name("甲"), by_name("丙"));
    assert_eq!(one.needs, [by_name("乙").id, three.id].into());
    assert_eq!((one.survey.approved_on, one.survey.users), (Some(date(2015, 6, 1)), Some(300)));
    assert_eq!((by_name("丁").home, by_name("丁").in_cloud()), (Home::Cloud, true));
    assert_eq!(estate.servers.values().find(|s| s.name == "s1").unwrap().hardware.memory_bytes, Some(64 << 30));
    assert_eq!(estate.rooms.values().find(|r| r.name == "一号").unwrap().facts.area, Some(40.0));
    assert!(first.changes.iter().all(|change| change.new));
    let second = read(&estate, &district()).unwrap();
    assert_eq!((second.changes.len(), second.same, second.objects.len()), (0, 8, 0), "{:#?}", second.changes);
    // The digest is of the changes and of nothing that is new each time.
    assert_eq!(first.digest(), read(&Estate::default(), &district()).unwrap().digest());
    assert_ne!(first.digest(), second.digest());
}

#[test]
fn what_is_written_out_is_read_in_as_the_same() {
    let estate = after(&read(&Estate::default(), &district()).unwrap());
    let row = |cells: Vec<String>| cells.join("|");
    let heads = |columns: &[forms::Column]| columns.iter().map(|c| c.label).collect::<Vec<_>>().join("|");
    let mut rooms = vec![heads(forms::ROOMS)];
    rooms.extend(estate.rooms.values().map(|room| row(forms::room(room))));
    let mut servers = vec![heads(forms::SERVERS)];
    servers.extend(estate.servers.values().map(|server| row(forms::server(&estate, server))));
    let mut systems = vec![heads(forms::SYSTEMS)];
    systems.extend(estate.systems.values().map(|system| row(forms::system(&estate, system))));
    let sheets = [("a", rooms), ("b", servers), ("c", systems)]
        .map(|(name, rows)| sheet(name, &rows.iter().map(String::as_str).collect::<Vec<_>>()));
    let again = read(&estate, &sheets).unwrap();
    assert_eq!(again.changes, []);
    assert_eq!(again.same, 8);
}

#[test]
fn a_second_file_changes_by_key_and_says_from_what_to_what() {
    let estate = after(&read(&Estate::default(), &district()).unwrap());
    let second =
        [sheet("系统", &["系统名称|建设单位|用户规模|所在机房|功能", "甲|第0局|500|一号|审批", "戊|第0局||一号|新的"])];
    let plan = read(&estate, &second).unwrap();
    let told: Vec<_> = plan
        .changes
        .iter()
        .map(|change| {
            (
                change.name.as_str(),
                change.new,
                change.fields.iter().map(|f| (f.field.as_str(), f.from.as_str(), f.to.as_str())).collect::<Vec<_>>(),
            )
        })
        .collect();
    assert!(told.contains(&("甲", false, vec![("用户规模", "300", "500")])), "{told:?}");
    assert!(told.iter().any(|(name, new, _)| *name == "戊" && *new));
    // A column that is not there says nothing; a system that is not there stays.
    let kept = after(&plan);
    let one = kept.systems.values().find(|system| system.name == "甲").unwrap();
    assert_eq!((one.survey.approved_on, one.needs.len()), (Some(date(2015, 6, 1)), 2));
    assert_eq!(plan.absent, ["信息系统 乙"]);
    // An empty cell says that it is not known any more.
    let blank = [sheet("系统", &["系统名称|建设单位|用户规模|所在机房|功能", "甲|第0局||一号|审批"])];
    let plan = read(&estate, &blank).unwrap();
    assert_eq!(after(&plan).systems.values().next().unwrap().survey.users, None);
}

#[test]
fn heads_of_two_rows_and_merged_departments_are_read() {
    let spot = |column, span, text: &str, continued| Spot { column, span, text: text.to_owned(), continued };
    let line = |number, cells| Line { number, cells };
    let sheet = Sheet {
        name: "服务器".to_owned(),
        rows: vec![
            line(1, vec![spot(1, 6, "服务器普查表", false)]),
            line(
                2,
                vec![
                    spot(1, 1, "序号", false),
                    spot(2, 1, "单位", false),
                    spot(3, 1, "主机名", false),
                    spot(4, 1, "机房", false),
                    spot(5, 2, "规格", false),
                ],
            ),
            line(
                3,
                vec![
                    spot(1, 1, "序号", true),
                    spot(2, 1, "单位", true),
                    spot(3, 1, "主机名", true),
                    spot(4, 1, "机房", true),
                    spot(5, 1, "核数", false),
                    spot(6, 1, "内存(GB)", false),
                ],
            ),
            line(
                4,
                vec![
                    spot(1, 1, "1", false),
                    spot(2, 1, "第0局", false),
                    spot(3, 1, "n1", false),
                    spot(4, 1, "一号", false),
                    spot(5, 1, "4", false),
                    spot(6, 1, "8", false),
                ],
            ),
            line(
                5,
                vec![
                    spot(1, 1, "2", false),
                    spot(2, 1, "第0局", true),
                    spot(3, 1, "n2", false),
                    spot(4, 1, "一号", true),
                    spot(5, 1, "8（待核实）", false),
                ],
            ),
            line(6, vec![spot(1, 1, "3", false), spot(2, 1, "第0局", true), spot(4, 1, "一号", true)]),
            line(7, vec![spot(1, 6, "注：虚拟机不填。", false)]),
            line(8, vec![spot(1, 2, "合计", false), spot(5, 1, "12", false)]),
        ],
    };
    let estate = after(&read(&Estate::default(), &district()).unwrap());
    let plan = read(&estate, &[sheet]).unwrap();
    let names: Vec<_> = plan.changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["n1", "n2"]);
    let said: Vec<_> = plan.notes.iter().map(|note| (note.place.row, note.message.as_str())).collect();
    assert!(said.contains(&(Some(5), "括号里的“待核实”没有记入")), "{said:?}");
    assert!(said.iter().any(|(row, _)| *row == Some(7)) && said.iter().any(|(row, _)| *row == Some(8)), "{said:?}");
}

#[test]
fn everything_wrong_is_told_at_once_by_sheet_row_and_column() {
    let bad = vec![
        sheet(
            "机房",
            &[
                ROOMS,
                "三号|第0局|接入||||",
                "四号|第0局|普通||2024-06-01|2024-05-01|",
                "五号|无此局|普通||||",
                "六号|第0局|普通||||=A1*2",
                "七号|第0局|旧机房||||",
                "|第0局|普通||||",
            ],
        ),
        sheet("服务器", &[SERVERS, "s3|第0局|九号|8|64|", "s4|第0局|一号|若干|64 左右|"]),
        sheet(
            "系统",
            &[
                SYSTEMS,
                "子|第0局|审批|是|||一号||",
                "丑|第0局|审批||2015年13月1日||一号||",
                "寅|第0局|审批||2030-01-01|很多|一号||",
                "卯|第0局|审批||||一号|s2|",
                "辰|第0局|审批||||一号||辰",
                "巳|第0局|审批||||一号||无此系统",
                "午|第0局|||||一号||",
                "未|第0局|审批||||||",
                "申|第0局|审批||||一号||",
                "申|第0局|查询||||一号||",
                "酉|第0局|审批||||一号||",
                "酉|第0局|审批||||二号||",
            ],
        ),
    ];
    let mut found = faults(&bad);
    found.sort();
    let mut expected = vec![
        ("survey_evidence_missing", "机房 2:4"),
        ("survey_due_before_document", "机房 3:6"),
        ("survey_department_unknown", "机房 4:2"),
        ("survey_formula", "机房 5:7"),
        ("survey_word", "机房 6:3"),
        ("survey_missing", "机房 7:1"),
        ("survey_name_unknown", "服务器 2:3"),
        ("survey_number", "服务器 3:4"),
        ("survey_number", "服务器 3:5"),
        ("survey_secret", "系统 2:4"),
        ("survey_date", "系统 3:5"),
        ("survey_date", "系统 4:5"),
        ("survey_number", "系统 4:6"),
        ("survey_two_rooms", "系统 5:8"),
        ("survey_needs_itself", "系统 6:9"),
        ("survey_name_unknown", "系统 7:9"),
        ("survey_missing", "系统 8:3"),
        ("survey_missing", "系统 9:7"),
        ("survey_twice", "系统 11:1"),
        ("survey_two_rooms", "系统 13:7"),
    ];
    expected.sort_unstable();
    assert_eq!(found.iter().map(|(code, place)| (*code, place.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn a_deadline_that_is_merely_past_is_taken_and_shown_late() {
    let past = [sheet("机房", &[ROOMS, "旧|第0局|普通||2010-01-01|2012-01-01|"])];
    let plan = read(&Estate::default(), &past).unwrap();
    let estate = after(&plan);
    let room = estate.rooms.values().next().unwrap();
    assert!(room.late_days(super::super::room::Term::default(), TODAY).is_some_and(|days| days > 5_000));
}

#[test]
fn cycles_are_taken_and_named() {
    let rows = [SYSTEMS, "子|第0局|审批||||一号||丑", "丑|第0局|审批||||一号||寅", "寅|第0局|审批||||一号||子"];
    let estate = after(&read(&Estate::default(), &district()).unwrap());
    let plan = read(&estate, &[sheet("系统", &rows)]).unwrap();
    assert_eq!(plan.changes.len(), 3);
    assert!(plan.notes.iter().any(|note| note.message.contains("3 个系统相互依赖")), "{:?}", plan.notes);
    // The same by a sheet of pairs.
    let pairs = [sheet("依赖关系", &["系统名称|依赖的系统", "甲|丙", "丙|甲"])];
    let plan = read(&estate, &pairs).unwrap();
    assert_eq!(plan.changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["丙"]);
    assert!(plan.notes.iter().any(|note| note.message.contains("2 个系统相互依赖")));
}

#[test]
fn what_is_no_survey_says_what_one_looks_like() {
    for sheets in [
        vec![],
        vec![sheet("空", &[])],
        vec![sheet("说明", &["请于月底前报送", "联系人：张三"])],
        vec![sheet("机房", &[ROOMS])],
        vec![sheet("机房", &[ROOMS, "注：没有机房的不填|||||"])],
    ] {
        let faults = read(&Estate::default(), &sheets).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].code, "survey_empty");
        assert!(faults[0].mend.contains("机房名称") && faults[0].mend.contains("系统名称"), "{:?}", faults[0]);
    }
    // Beside a survey it is only noted.
    let mut beside = district();
    beside.push(sheet("填表说明", &["请于月底前报送"]));
    let plan = read(&Estate::default(), &beside).unwrap();
    assert!(plan.notes.iter().any(|note| note.place.sheet.as_deref() == Some("填表说明")));
    let twice = [sheet("机房", &["机房名称|建设单位|机房类型|类型", "一号|第0局|普通|普通"])];
    assert_eq!(read(&Estate::default(), &twice).unwrap_err()[0].code, "survey_column_twice");
}

#[test]
fn a_closed_room_takes_nothing_in_and_is_not_changed_by_a_sheet() {
    let mut estate = after(&read(&Estate::default(), &district()).unwrap());
    let room = estate.rooms.values_mut().find(|room| room.name == "一号").unwrap();
    room.closed_on = Some(TODAY);
    let refused = |rows: &[&str]| {
        let faults = read(&estate, &[sheet("表", rows)]).unwrap_err();
        faults.iter().map(|fault| fault.code).collect::<Vec<_>>()
    };
    assert_eq!(refused(&[ROOMS, "一号|第0局|接入|批复|||"]), ["survey_room_closed"]);
    assert_eq!(refused(&[SYSTEMS, "新|第0局|审批||||一号||"]), ["survey_room_closed"]);
    assert_eq!(refused(&[SERVERS, "新|第0局|一号|8|64|"]), ["survey_room_closed"]);
    // What is there already may be said again, and otherwise.
    assert!(read(&estate, &[sheet("表", &[SYSTEMS, "甲|第0局|审批和查询||||一号||"])]).is_ok());
}

#[test]
fn a_change_of_kind_is_kept_with_its_proof() {
    let estate = after(&read(&Estate::default(), &district()).unwrap());
    let plan = read(&estate, &[sheet("表", &[ROOMS, "一号|第0局|上级指定|省厅函|||"])]).unwrap();
    let room = after(&plan).rooms.into_values().next().unwrap();
    let change = &room.reclassified[0];
    assert_eq!((change.from, change.to, change.on), (Kind::Ordinary, Kind::UpperMandated, TODAY));
    assert_eq!((change.by.as_str(), change.evidence.as_deref()), ("ops", Some("省厅函")));
}

#[test]
fn a_sheet_moves_no_system_into_the_cloud() {
    let estate = after(&read(&Estate::default(), &district()).unwrap());
    let faults = read(&estate, &[sheet("表", &[SYSTEMS, "甲|第0局|审批||||政务云||"])]).unwrap_err();
    assert_eq!(faults[0].code, "survey_moved");
}
