//! Rules on whole reports, and where their violations point.

use super::*;

/// A report around the sample's block: `blocks` twice, apart by their names, and whatever is said around them.
pub(super) fn report(world: &World) -> RawReport {
    let mut second = world.raw();
    set(&mut second, "domain", json!("oa2.xiangcheng.example"));
    let value = json!({
        "blocks": [world.raw(), second],
        "application_db_type": "无",
        "storage_forecast": "约5GB",
        "exchange_milestone": "2027年1月",
        "shared_resources": ["人口基础信息"],
        "extra_hardware": [{"硬件名称": "高拍仪", "价格": "2000元", "数量": "3", "用途": "窗口采集", "理由": "外设"}],
        "machine_room_works": "无",
    });
    serde_json::from_value(value).unwrap()
}

type Change = fn(&mut RawReport);

fn context(report: &mut RawReport, name: &str, value: Value) {
    *report.context.slot(name).unwrap() = Some(value);
}

/// One thing in the report made wrong, and the violation that follows.
pub(super) const REPORT_CASES: &[(Change, &str, &str)] = &[
    (|r| set(&mut r.blocks[1], "domain", json!("oa.xiangcheng.example")), "/blocks/1/domain", "domain_repeated"),
    (|r| set(&mut r.blocks[1], "domain", json!("oa-1.xiangcheng.example")), "/blocks/1/domain", "domain_repeated"),
    (
        |r| {
            for block in &mut r.blocks {
                set(block, "domain", Value::Null);
                set(block, "no_domain_reason", json!("内部调用"));
            }
        },
        "/blocks/1/workload_description",
        "block_repeated",
    ),
    (|r| set(&mut r.blocks[1], "memory", json!("很大")), "/blocks/1/memory", "bad_value"),
    (|r| context(r, "application_db_type", json!("PostgreSQL 15")), "/blocks/0/db_type", "database_unlike_application"),
    (|r| context(r, "storage_forecast", json!("三年累计约 9 GB")), "/storage_forecast", "disk_unlike_forecast"),
    (|r| context(r, "storage_forecast", json!("500")), "/storage_forecast", "unit_missing"),
    (
        |r| {
            context(r, "storage_forecast", json!("10G"));
            set(&mut r.blocks[0], "disk", json!("218G"));
        },
        "/storage_forecast",
        "disk_unlike_forecast",
    ),
    (
        |r| context(r, "machine_room_works", json!(["改造本单位三楼机房，新增精密空调。"])),
        "/machine_room_works",
        "machine_room_refused",
    ),
    (
        |r| {
            context(
                r,
                "extra_hardware",
                json!([{"name": "服务器", "price": "5万元", "quantity": 1, "purpose": "数据库"}]),
            );
        },
        "/off_cloud_procurement_reason",
        "off_cloud_reason_missing",
    ),
    (
        |r| context(r, "extra_hardware", json!([{"name": "服务器", "quantity": 1, "reason": "涉及现场采集"}])),
        "/extra_hardware/0",
        "hardware_incomplete",
    ),
    (|r| context(r, "extra_hardware", json!("服务器一台")), "/extra_hardware", "bad_value"),
    (|r| context(r, "exchange_milestone", json!("")), "/exchange_milestone", "exchange_milestone_missing"),
    (|r| context(r, "exchange_milestone", json!("近期")), "/exchange_milestone", "bad_value"),
    (|r| r.blocks.clear(), "/blocks", "no_block_found"),
    (|r| r.shared.repeated.push("task_book"), "/task_book", "duplicate_field"),
    (|r| r.context.repeated.push("storage_forecast"), "/storage_forecast", "duplicate_field"),
    (|r| _ = r.context.unknown.insert("机房面积".to_owned(), json!(1)), "/机房面积", "unknown_field"),
];

#[test]
fn each_wrong_thing_in_a_report_is_one_violation_at_its_place() {
    let world = World::new();
    assert_eq!(world.found_in(&report(&world)), []);
    for (n, (change, pointer, code)) in REPORT_CASES.iter().enumerate() {
        let mut report = report(&world);
        change(&mut report);
        assert_eq!(world.found_in(&report), [((*pointer).to_owned(), *code)], "case {n}");
    }
}

#[test]
fn databases_agree_with_the_application_as_people_write_them() {
    let world = World::new();
    let unlike = |application: &str, blocks: [&str; 2]| {
        let mut report = report(&world);
        context(&mut report, "application_db_type", json!(application));
        for (block, word) in report.blocks.iter_mut().zip(blocks) {
            set(block, "db_type", json!(word));
        }
        let found = world.found_in(&report);
        found.into_iter().filter(|f| f.1 == "database_unlike_application").map(|f| f.0).collect::<Vec<_>>()
    };
    for (application, blocks) in [
        ("PostgreSQL 15", ["无", "PostgreSQL 15"]),
        ("PostgreSQL", ["无", "PostgreSQL 15"]),
        ("ＭySQL、Redis 7", ["MySQL 8.0", "redis 7"]),
        ("不涉及", ["无", "不需要"]),
    ] {
        assert_eq!(unlike(application, blocks), [""; 0], "{application} {blocks:?}");
    }
    assert_eq!(unlike("MySQL 8.0", ["无", "PostgreSQL 15"]), ["/blocks/1/db_type"]);
    assert_eq!(unlike("无", ["PostgreSQL 15", "PostgreSQL 15"]), ["/blocks/0/db_type", "/blocks/1/db_type"]);
    assert_eq!(unlike("MySQL 8.0", ["无", "无"]), ["/blocks/0/db_type"]);
}

#[test]
fn what_a_report_says_once_is_told_once() {
    let world = World::new();
    let mut whole = report(&world);
    for name in ["task_book", "ssh_keys", "network_zone", "mlps_level"] {
        for block in &mut whole.blocks {
            *block.slot(name).unwrap() = None;
        }
    }
    *whole.shared.slot("network_zone").unwrap() = Some(json!("校园网"));
    *whole.shared.slot("mlps_level").unwrap() = Some(json!("二级"));
    assert_eq!(
        world.found_in(&whole),
        [("/task_book", "task_book_missing"), ("/network_zone", "bad_value"), ("/ssh_keys", "required")]
            .map(|(p, c)| (p.to_owned(), c))
    );
    // A block's own word stands above its report's.
    set(&mut whole.blocks[0], "network_zone", json!("政务外网"));
    assert!(world.found_in(&whole).contains(&("/network_zone".to_owned(), "bad_value")));
    set(&mut whole.blocks[1], "network_zone", json!("政务外网"));
    assert!(!world.found_in(&whole).iter().any(|f| f.0 == "/network_zone"));
}

#[test]
fn blocks_of_a_report_share_what_the_task_book_leaves() {
    let mut world = World::new();
    world.book().limits.machines = 3;
    let whole = report(&world);
    let list = check(&whole, world.ground(), Some(&world.snapshot)).unwrap_err();
    let over = list.iter().find(|v| v.pointer == "/blocks/1/vm_count").unwrap();
    assert_eq!((over.code, over.asked, over.used, over.left), ("machines_over_indicator", Some(2), Some(2), Some(1)));
    assert_eq!(list.len(), 1);
}

#[test]
fn a_violation_says_where_in_the_file_it_stands() {
    let world = World::new();
    let mut whole = report(&world);
    let place = crate::place::Place { table: Some(3), row: Some(4), column: Some(2), ..Default::default() };
    whole.places.insert("/blocks/1/memory".to_owned(), place.clone());
    whole.places.insert("/blocks/1/om_unit".to_owned(), crate::place::Place::default());
    set(&mut whole.blocks[1], "memory", json!("很大"));
    set(&mut whole.blocks[1], "om_unit", json!({"name": "某公司"}));
    let list = check(&whole, world.ground(), Some(&world.snapshot)).unwrap_err();
    assert_eq!(list[0].place, Some(place));
    assert_eq!(list[1].pointer, "/blocks/1/om_unit/contact");
    assert_eq!(list[1].place, Some(crate::place::Place::default()));
}

#[test]
fn the_other_bases_carry_a_request_as_a_task_book_does() {
    let mut world = World::new();
    let book = world.book().clone();
    let mut raw = world.raw();
    set(&mut raw, "task_book", Value::Null);
    for (basis, field, number) in [
        (FilingBasis::Urgent, "government_approval", "相政复〔2026〕8号"),
        (FilingBasis::UpperLevel, "upper_level_filing", "相信备〔2026〕3号"),
    ] {
        let view = TaskBookView { basis, ..book.clone() };
        world.snapshot.task_books.insert(number.to_owned(), view);
        let mut raw = raw.clone();
        set(&mut raw, field, json!(number));
        // The number says by itself which basis it is.
        for stated in [Value::Null, json!(basis.label())] {
            set(&mut raw, "filing_basis", stated);
            let block = world.blocks(&raw).unwrap().remove(0);
            assert_eq!((block.task_book.as_str(), block.filing_basis), (number, basis));
        }
    }
}

#[test]
fn without_the_world_only_the_file_is_judged() {
    let world = World::new();
    let mut whole = report(&world);
    set(&mut whole.blocks[0], "task_book", json!("没有这个号"));
    set(&mut whole.blocks[0], "cpu_count", json!("64核"));
    assert_eq!(check(&whole, world.ground(), None).map(|blocks| blocks.len()), Ok(2));
    set(&mut whole.blocks[0], "secrecy_level", json!("机密"));
    let list = check(&whole, world.ground(), None).unwrap_err();
    assert_eq!(list.iter().map(|v| v.code).collect::<Vec<_>>(), ["secrecy_refused"]);
}

#[test]
fn a_form_is_not_blamed_for_what_it_has_no_place_for() {
    use crate::request::offline;
    let world = World::new();
    let mut whole = report(&world);
    for block in &mut whole.blocks {
        for name in ["task_book", "ssh_keys", "secrecy_level"] {
            *block.slot(name).unwrap() = None;
        }
    }
    whole.places.insert("/blocks/0/memory".to_owned(), crate::place::Place::default());
    let shown = offline::check(&whole, world.ground());
    assert_eq!(shown.violations, []);
    let needed: Vec<_> = shown.needed.iter().map(|n| n.pointer.as_str()).collect();
    assert_eq!(needed, ["/task_book", "/secrecy_level", "/ssh_keys"]);
    // A place that was left blank is a fault of the form.
    whole.places.insert("/secrecy_level".to_owned(), crate::place::Place::default());
    let shown = offline::check(&whole, world.ground());
    assert_eq!(shown.violations.iter().map(|v| v.pointer.as_str()).collect::<Vec<_>>(), ["/secrecy_level"]);
}
