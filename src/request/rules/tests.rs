#[path = "report_tests.rs"]
mod report;

use super::*;
use crate::task_book::document::TaskBookDocument;
use jiff::civil::date;
use proptest::prelude::*;
use report::REPORT_CASES;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::LazyLock};

const REQUEST: &str = include_str!("../../../samples/request.yaml");
const TASK_BOOK: &str = include_str!("../../../samples/task-book.yaml");

/// The sample request against the sample task book, and the day of the check: the world in which one thing at a time is
/// made wrong.
#[derive(Clone)]
struct World {
    raw: RawBlock,
    catalogue: Catalogue,
    profile: Profile,
    snapshot: Snapshot,
    today: Date,
}

impl World {
    fn new() -> Self {
        // Read once: the property tests make thousands of worlds.
        static WORLD: LazyLock<World> = LazyLock::new(World::read);
        WORLD.clone()
    }

    fn read() -> Self {
        let catalogue = Catalogue::embedded().unwrap();
        let profile = Profile::embedded("xiangcheng").unwrap();
        let book = TaskBookDocument::read(TASK_BOOK, &catalogue, &profile).unwrap();
        let department = DepartmentId::new();
        let view = TaskBookView {
            department,
            basis: book.basis,
            valid_from: book.valid_from,
            valid_until: book.valid_until,
            lease_until: book.lease_until.unwrap_or(book.valid_until),
            revoked: None,
            limits: book.indicators,
            used: Indicators::default(),
            allowed: book.allowed,
        };
        let snapshot = Snapshot {
            department,
            task_books: BTreeMap::from([(book.number, view)]),
            taken_names: BTreeSet::new(),
            running: BTreeMap::new(),
        };
        let raw = RawBlock::read(REQUEST, &profile).unwrap();
        Self { raw, catalogue, profile, snapshot, today: date(2026, 11, 20) }
    }

    fn book(&mut self) -> &mut TaskBookView {
        self.snapshot.task_books.values_mut().next().unwrap()
    }

    fn raw(&self) -> RawBlock {
        self.raw.clone()
    }

    fn check(&self, raw: &RawBlock) -> Vec<Violation> {
        self.blocks(raw).err().unwrap_or_default()
    }

    fn blocks(&self, raw: &RawBlock) -> Result<Vec<Block>, Vec<Violation>> {
        check(&RawReport::from(raw.clone()), self.ground(), Some(&self.snapshot))
    }

    fn ground(&self) -> Ground<'_> {
        Ground { catalogue: &self.catalogue, profile: &self.profile, today: self.today }
    }

    /// Pointer and code of every violation of a whole report.
    fn found_in(&self, report: &RawReport) -> Vec<(String, &'static str)> {
        let list = check(report, self.ground(), Some(&self.snapshot)).err().unwrap_or_default();
        list.iter().for_each(sound);
        list.into_iter().map(|v| (v.pointer, v.code)).collect()
    }

    /// Pointer and code of every violation.
    fn found(&self, raw: &RawBlock) -> Vec<(String, &'static str)> {
        let list = self.check(raw);
        for v in &list {
            sound(v);
        }
        list.into_iter().map(|v| (v.pointer, v.code)).collect()
    }
}

/// What every violation owes its reader.
fn sound(v: &Violation) {
    assert!(v.pointer.starts_with('/'), "{v:?}");
    assert!(v.message.ends_with('。') && v.mend.ends_with('。'), "{v:?}");
    assert!(!v.basis.is_empty() && Code::find(v.code).is_some(), "{v:?}");
    for text in [&v.pointer, &v.message, &v.mend] {
        assert!(text.chars().all(|c| !c.is_control()), "{v:?}");
    }
}

fn set(raw: &mut RawBlock, name: &str, value: Value) {
    let mut map = serde_json::to_value(&*raw).unwrap();
    map[name] = value;
    *raw = serde_json::from_value(map).unwrap();
}

#[test]
fn the_sample_passes() {
    let world = World::new();
    let block = world.blocks(&world.raw()).unwrap().remove(0);
    let again = judge(&block, world.ground(), &world.snapshot);
    assert_eq!(again, []);
    let mut world = world;
    let book = world.book().clone();
    assert!(fits(&block.totals().unwrap(), &book.limits, &book.used));
}

/// One field made wrong, and the one violation that follows.
const FIELD_CASES: &[(&str, &str, &str, &str)] = &[
    ("task_book", "null", "/task_book", "task_book_missing"),
    ("task_book", "'　'", "/task_book", "task_book_missing"),
    ("task_book", "\"甲\\u0000\"", "/task_book", "text_refused"),
    ("task_book", "true", "/task_book", "bad_value"),
    ("filing_basis", "领导同意", "/filing_basis", "bad_value"),
    ("filing_basis", "紧急项目", "/government_approval", "urgent_approval_missing"),
    ("filing_basis", "上级统筹项目", "/upper_level_filing", "upper_filing_missing"),
    ("vm_count", "null", "/vm_count", "required"),
    ("vm_count", "0", "/vm_count", "size_outside_catalogue"),
    ("vm_count", "-1", "/vm_count", "size_outside_catalogue"),
    ("vm_count", "65", "/vm_count", "size_outside_catalogue"),
    ("vm_count", "9223372036854775807", "/vm_count", "size_outside_catalogue"),
    ("vm_count", "2.5", "/vm_count", "bad_value"),
    ("vm_count", "若干", "/vm_count", "bad_value"),
    ("basis", "null", "/basis", "basis_unclear"),
    ("basis", "大概", "/basis", "bad_value"),
    ("domain", "null", "/domain", "domain_reason_missing"),
    ("domain", "无", "/domain", "domain_reason_missing"),
    ("domain", "oa", "/domain", "domain_malformed"),
    ("domain", "'oa xiangcheng.example'", "/domain", "domain_malformed"),
    ("domain", "['oa.xiangcheng.example']", "/domain", "domain_malformed"),
    ("domain", "oa.example.com", "/domain", "domain_outside_district"),
    ("no_domain_reason", "内部调用", "/no_domain_reason", "bad_value"),
    ("os_type", "null", "/os_type", "required"),
    ("os_type", "Windows XP", "/os_type", "os_not_in_catalogue"),
    ("os_type", "CentOS 7.9", "/os_type", "os_end_of_life"),
    ("os_type", "Debian 13", "/os_type", "os_not_in_task_book"),
    ("db_type", "null", "/db_type", "required"),
    ("db_type", "Oracle", "/db_type", "database_not_in_catalogue"),
    ("db_type", "MySQL 5.6", "/db_type", "database_end_of_life"),
    ("cpu_count", "null", "/cpu_count", "required"),
    ("cpu_count", "0", "/cpu_count", "size_outside_catalogue"),
    ("cpu_count", "65", "/cpu_count", "size_outside_catalogue"),
    ("cpu_count", "2-4核", "/cpu_count", "quantity_is_range"),
    ("cpu_count", "约4核", "/cpu_count", "quantity_is_range"),
    ("cpu_count", "=2*2", "/cpu_count", "formula_refused"),
    ("cpu_count", "每台1核，共4核", "/cpu_count", "totals_disagree"),
    ("cpu_count", "3台，每台1核", "/cpu_count", "totals_disagree"),
    ("cpu_count", "64", "/cpu_count", "vcpu_over_indicator"),
    ("memory", "null", "/memory", "required"),
    ("memory", "16", "/memory", "unit_missing"),
    ("memory", "'16'", "/memory", "unit_missing"),
    ("memory", "64M", "/memory", "size_outside_catalogue"),
    ("memory", "513G", "/memory", "size_outside_catalogue"),
    ("memory", "8192T", "/memory", "size_outside_catalogue"),
    ("memory", "很大", "/memory", "bad_value"),
    ("memory", "32G", "/memory", "memory_over_indicator"),
    ("disk", "null", "/disk", "required"),
    ("disk", "500", "/disk", "unit_missing"),
    ("disk", "17T", "/disk", "size_outside_catalogue"),
    ("disk", "251G", "/disk", "disk_over_indicator"),
    ("workload_description", "null", "/workload_description", "required"),
    ("workload_description", "\"a\\u202eb\"", "/workload_description", "text_refused"),
    ("workload_class", "游戏", "/workload_class", "bad_value"),
    ("remarks", "\"a\\u0007\"", "/remarks", "text_refused"),
    ("remarks", "{a: 1}", "/remarks", "bad_value"),
    ("network_zone", "null", "/network_zone", "required"),
    ("network_zone", "政务内网", "/network_zone", "intranet_refused"),
    ("network_zone", "[互联网, 政务外网]", "/network_zone", "zone_unclear"),
    ("network_zone", "[互联网, 政务内网（涉密网）]", "/network_zone", "intranet_refused"),
    ("network_zone", "校园网", "/network_zone", "bad_value"),
    ("network_zone", "互联网", "/network_zone", "zone_not_in_task_book"),
    ("secrecy_level", "null", "/secrecy_level", "required"),
    ("secrecy_level", "机密", "/secrecy_level", "secrecy_refused"),
    ("secrecy_level", "一般", "/secrecy_level", "bad_value"),
    ("mlps_level", "null", "/mlps_level", "required"),
    ("mlps_level", "5", "/mlps_level", "out_of_range"),
    ("mlps_level", "4", "/mlps_level", "mlps_not_in_task_book"),
    ("deploy_milestone", "null", "/deploy_milestone", "milestone_missing"),
    ("deploy_milestone", "明年", "/deploy_milestone", "bad_value"),
    ("deploy_milestone", "20270331", "/deploy_milestone", "bad_value"),
    ("deploy_milestone", "2026-11-19", "/deploy_milestone", "milestone_past"),
    ("om_period_months", "null", "/om_period_months", "required"),
    ("om_period_months", "11年", "/om_period_months", "out_of_range"),
    ("om_period_months", "长期", "/om_period_months", "bad_value"),
    ("om_unit", "null", "/om_unit", "required"),
    ("om_unit", "某公司", "/om_unit", "bad_value"),
    ("om_unit", "{name: 某公司}", "/om_unit/contact", "required"),
    ("om_unit", "{name: 某公司, contact: 1, x: 2}", "/om_unit/x", "unknown_field"),
    ("om_unit", "{name: 某公司, 名称: 某公司, contact: 1}", "/om_unit/name", "duplicate_field"),
    ("ssh_keys", "null", "/ssh_keys", "required"),
    ("ssh_keys", "[]", "/ssh_keys", "required"),
    ("ssh_keys", "[x]", "/ssh_keys/0", "ssh_key_refused"),
    ("ssh_keys", "x", "/ssh_keys", "ssh_key_refused"),
    ("ssh_keys", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "/ssh_keys", "out_of_range"),
    ("approved", "true", "/approved", "unknown_field"),
    ("memory_bytes", "1", "/memory_bytes", "unknown_field"),
];

#[test]
fn each_wrong_field_is_one_violation_at_its_place() {
    let world = World::new();
    for (name, value, pointer, code) in FIELD_CASES {
        let mut raw = world.raw();
        set(&mut raw, name, crate::yaml::from_str(value).unwrap());
        assert_eq!(world.found(&raw), [((*pointer).to_owned(), *code)], "{name}: {value}");
    }
}

type Change = fn(&mut World, &mut RawBlock);

/// One thing in the world made wrong, and the violation that follows.
const WORLD_CASES: &[(Change, &str, &str)] = &[
    (|w, _| w.snapshot.task_books.clear(), "/task_book", "task_book_not_found"),
    (|w, _| w.book().department = DepartmentId::new(), "/task_book", "task_book_not_found"),
    (|w, _| w.book().valid_from = date(2026, 11, 21), "/task_book", "task_book_not_yet_valid"),
    (|w, _| w.book().valid_until = date(2026, 11, 19), "/task_book", "task_book_expired"),
    (|w, _| w.book().revoked = Some("年内未启动。".to_owned()), "/task_book", "task_book_revoked"),
    (|w, _| w.book().basis = FilingBasis::Urgent, "/filing_basis", "filing_basis_mismatch"),
    (|w, _| w.book().lease_until = date(2038, 6, 29), "/om_period_months", "lease_beyond_task_book"),
    (
        |w, _| {
            let block = w.blocks(&w.raw()).unwrap().remove(0);
            let running = Running { id: RequestId::new(), at: jiff::Timestamp::UNIX_EPOCH };
            w.snapshot.running.insert(block.likeness(), running);
            // Its own names are taken, and that is not told besides.
            w.snapshot.taken_names.insert("oa.xiangcheng.example".to_owned());
        },
        "/",
        "duplicate_request",
    ),
    (|w, _| w.book().limits.machines = 1, "/vm_count", "machines_over_indicator"),
    (|w, _| w.book().used.vcpu = 19, "/cpu_count", "vcpu_over_indicator"),
    (|w, _| w.book().used.memory = Bytes::gib(40).unwrap(), "/memory", "memory_over_indicator"),
    (|w, _| w.book().limits.disk = Bytes::gib(3).unwrap(), "/disk", "disk_over_indicator"),
    (|w, _| w.book().allowed.os.clear(), "/os_type", "os_not_in_task_book"),
    (|w, _| w.book().allowed.databases.clear(), "/db_type", "database_not_in_task_book"),
    (
        |w, raw| {
            w.book().allowed.databases.insert("postgresql-15".to_owned());
            set(raw, "db_type", json!("PostgreSQL 15"));
        },
        "/memory",
        "database_undersized",
    ),
    (
        |w, raw| {
            w.book().allowed.databases.insert("postgresql-15".to_owned());
            set(raw, "db_type", json!("PG 15"));
            set(raw, "memory", json!("192M"));
            w.catalogue.databases[1].profile.as_mut().unwrap().least.disk = Bytes::gib(3).unwrap();
        },
        "/disk",
        "database_undersized",
    ),
    (
        |w, raw| {
            // What nobody offers need not have room.
            w.catalogue.databases[1].offered = false;
            set(raw, "db_type", json!("PG 15"));
        },
        "/db_type",
        "database_not_in_catalogue",
    ),
    (|w, _| w.book().allowed.zones.clear(), "/network_zone", "zone_not_in_task_book"),
    (|w, _| w.book().allowed.mlps_levels.clear(), "/mlps_level", "mlps_not_in_task_book"),
    (|w, _| _ = w.snapshot.taken_names.insert("oa-1.xiangcheng.example".to_owned()), "/domain", "domain_taken"),
    (|w, _| w.profile.zones = vec![crate::labels::Zone::Internet], "/network_zone", "zone_not_offered"),
    (
        |_, raw| {
            set(raw, "basis", json!("total"));
            set(raw, "cpu_count", json!(3));
            set(raw, "memory", json!("256M"));
        },
        "/cpu_count",
        "not_divisible",
    ),
    (
        |w, raw| {
            let text = format!("{REQUEST}memory: 1G\n");
            *raw = RawBlock::read(&text, &w.profile).unwrap();
        },
        "/memory",
        "duplicate_field",
    ),
];

#[test]
fn each_wrong_thing_in_the_world_is_one_violation_at_its_place() {
    for (n, (change, pointer, code)) in WORLD_CASES.iter().enumerate() {
        let mut world = World::new();
        let mut raw = world.raw();
        change(&mut world, &mut raw);
        assert_eq!(world.found(&raw), [((*pointer).to_owned(), *code)], "case {n}");
    }
}

#[test]
fn every_rule_is_shown_to_bite() {
    let mut shown: BTreeSet<&str> = FIELD_CASES.iter().map(|c| c.3).chain(WORLD_CASES.iter().map(|c| c.2)).collect();
    shown.extend(REPORT_CASES.iter().map(|c| c.2));
    // These two are about documents; their cases stand with the task book.
    shown.extend(["period_reversed", "document_malformed"]);
    // And these about files; theirs stand with the forms.
    shown.extend(["file_not_recognised", "file_encrypted", "file_has_macros", "file_too_large", "file_damaged"]);
    let all: BTreeSet<&str> = RULES.iter().map(|r| r.code).collect();
    assert_eq!(shown, all);
    // A rule with a field of its own bites there.
    for (_, _, pointer, code) in FIELD_CASES {
        let field = Code::find(code).unwrap().rule().field;
        assert!(field.is_empty() || pointer.starts_with(field), "{code}");
    }
}

#[test]
fn indicators_are_judged_with_their_figures() {
    let mut world = World::new();
    world.book().used =
        Indicators { machines: 9, vcpu: 20, memory: Bytes::gib(40).unwrap(), disk: Bytes::gib(497).unwrap() };
    let list = world.check(&world.raw());
    let figures: BTreeMap<_, _> =
        list.iter().map(|v| (v.pointer.as_str(), (v.asked, v.used, v.limit, v.left, v.unit))).collect();
    assert_eq!(figures["/vm_count"], (Some(2), Some(9), Some(10), Some(1), Some("machines")));
    assert_eq!(figures["/cpu_count"], (Some(2), Some(20), Some(20), Some(0), Some("vcpu")));
    assert_eq!(figures["/memory"], (Some(256 << 20), Some(40 << 30), Some(40 << 30), Some(0), Some("bytes")));
    assert_eq!(figures["/disk"], (Some(4 << 30), Some(497 << 30), Some(500 << 30), Some(3 << 30), Some("bytes")));
    let memory = list.iter().find(|v| v.pointer == "/memory").unwrap();
    assert_eq!(memory.message, "合计申请内存 256 MiB，任务书核定 40 GiB，已用 40 GiB，剩余 0 B。");
    assert_eq!(memory.basis, "相政办〔2018〕150号 第十二条");
}

#[test]
fn the_last_unit_can_be_taken_and_not_one_more() {
    let mut world = World::new();
    world.book().limits =
        Indicators { machines: 2, vcpu: 2, memory: Bytes::mib(256).unwrap(), disk: Bytes::gib(4).unwrap() };
    assert_eq!(world.found(&world.raw()), []);
    let mut raw = world.raw();
    set(&mut raw, "memory", json!("129M"));
    assert_eq!(world.found(&raw), [("/memory".to_owned(), "memory_over_indicator")]);
}

#[test]
fn the_reason_for_no_domain_stands_where_offices_put_it() {
    let world = World::new();
    for (domain, remarks, reason) in [
        ("无（仅供内部调用）", "试运行", Some("仅供内部调用")),
        ("无需域名，后台批处理", "试运行", Some("后台批处理")),
        ("无", "后台服务，不需要域名", Some("后台服务，不需要域名")),
        ("/", "仅供内网调用", Some("仅供内网调用")),
        ("无", "试运行", None),
        ("不申请域名，理由：内部服务", "试运行", Some("理由：内部服务")),
        ("拟申请oa.xiangcheng.example（暂定）", "试运行", None),
        ("无锡.xiangcheng.example", "试运行", None),
    ] {
        let mut raw = world.raw();
        set(&mut raw, "domain", json!(domain));
        set(&mut raw, "remarks", json!(remarks));
        let block = world.blocks(&raw).ok().map(|mut blocks| blocks.remove(0));
        assert_eq!(block.as_ref().and_then(|b| b.no_domain_reason.as_deref()), reason, "{domain} {remarks}");
        assert_eq!(block.is_some(), reason.is_some() || domain.len() > 10, "{domain} {remarks}");
    }
}

#[test]
fn totals_and_single_machines_come_down_to_one_machine() {
    let world = World::new();
    let mut raw = world.raw();
    for (name, value) in
        [("basis", json!("合计")), ("cpu_count", json!("4核")), ("memory", json!("1G")), ("disk", json!("8G"))]
    {
        set(&mut raw, name, value);
    }
    let block = world.blocks(&raw).unwrap().remove(0);
    assert_eq!((block.vcpu, Some(block.memory), Some(block.disk)), (2, Bytes::mib(512), Bytes::gib(4)));

    let mut raw = world.raw();
    set(&mut raw, "vm_count", json!("一台"));
    set(&mut raw, "basis", Value::Null);
    assert_eq!(world.found(&raw), []);
    // In all 128 MiB for two: each below the least.
    let mut raw = world.raw();
    set(&mut raw, "basis", json!("total"));
    set(&mut raw, "cpu_count", json!(2));
    assert_eq!(world.found(&raw), [("/memory".to_owned(), "size_outside_catalogue")]);
}

#[test]
fn a_malformed_field_does_not_hide_the_rest() {
    let mut world = World::new();
    world.book().revoked = Some("年内未启动".to_owned());
    world.snapshot.taken_names.insert("oa.xiangcheng.example".to_owned());
    let mut raw = world.raw();
    for (name, value) in [
        ("memory", json!("很大")),
        ("secrecy_level", json!("涉密")),
        ("network_zone", json!("政务内网")),
        ("cpu_count", json!(64)),
        ("deploy_milestone", Value::Null),
        ("ssh_keys", json!([])),
        ("extra", json!(1)),
    ] {
        set(&mut raw, name, value);
    }
    assert_eq!(
        world.found(&raw),
        [
            ("/task_book", "task_book_revoked"),
            ("/domain", "domain_taken"),
            ("/cpu_count", "vcpu_over_indicator"),
            ("/memory", "bad_value"),
            ("/network_zone", "intranet_refused"),
            ("/secrecy_level", "secrecy_refused"),
            ("/deploy_milestone", "milestone_missing"),
            ("/ssh_keys", "required"),
            ("/extra", "unknown_field"),
        ]
        .map(|(p, c)| (p.to_owned(), c))
    );
}

#[test]
fn an_empty_block_is_told_every_field_it_lacks() {
    let world = World::new();
    let list = world.check(&RawBlock::default());
    insta::with_settings!({snapshot_path => "../../../tests/golden", prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!("empty_block_violations", list);
    });
}

#[test]
fn another_departments_book_answers_as_if_there_were_none() {
    let mut world = World::new();
    world.book().department = DepartmentId::new();
    world.book().limits = Indicators::default();
    world.book().revoked = Some("秘".to_owned());
    let others = world.check(&world.raw());
    world.snapshot.task_books.clear();
    assert_eq!(others, world.check(&world.raw()));
}

#[test]
fn the_snapshot_can_be_asked_for_what_the_block_wants() {
    let world = World::new();
    let all = wants(&RawReport::from(world.raw()), world.ground());
    assert_eq!(Vec::from_iter(&all.numbers), ["相信任〔2026〕17号"]);
    assert_eq!(Vec::from_iter(&all.names), ["oa-1.xiangcheng.example", "oa.xiangcheng.example"]);
    assert_eq!(all.likenesses.len(), 1);
    assert_eq!(wants(&RawReport::from(RawBlock::default()), world.ground()), Wants::default());
}

#[test]
fn a_flood_of_unknown_fields_is_cut_short() {
    let world = World::new();
    let mut raw = world.raw();
    for n in 0..10_000 {
        raw.unknown.insert(format!("x{n}/~\n"), Value::Null);
    }
    let found = world.found(&raw);
    assert_eq!(found.len(), 21);
    assert!(world.check(&raw).iter().any(|v| v.message.contains("9980")));
}

#[test]
fn a_private_key_is_never_repeated() {
    let world = World::new();
    let mut raw = world.raw();
    set(&mut raw, "ssh_keys", json!(["-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0"]));
    let list = world.check(&raw);
    assert!(list[0].message.contains("私钥"));
    assert!(!serde_json::to_string(&list).unwrap().contains("c2VjcmV0"));
}

#[test]
fn boundary_integers_are_violations_in_every_numeric_field() {
    let world = World::new();
    let odd = [
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(1_i64 << 31),
        json!(1_u64 << 32),
        json!((1_u64 << 32) + 2),
        json!(1_i64 << 53),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(0.5),
        json!(2.0),
        json!(1e308),
        json!("NaN"),
        json!("-0"),
        json!("1e2"),
        json!("18446744073709551617"),
    ];
    for field in ["vm_count", "cpu_count", "memory", "disk", "mlps_level", "om_period_months"] {
        for value in &odd {
            let mut raw = world.raw();
            set(&mut raw, field, value.clone());
            let pointer = format!("/{field}");
            assert!(world.found(&raw).iter().any(|(p, _)| *p == pointer), "{field}: {value}");
        }
    }
    for value in ["0G", "-1G", "9223372036854775807B", "9007199254740992B", "8796093022208M", "8589934592G", "NaNG"] {
        for field in ["memory", "disk"] {
            let mut raw = world.raw();
            set(&mut raw, field, json!(value));
            let pointer = format!("/{field}");
            assert!(world.found(&raw).iter().any(|(p, _)| *p == pointer), "{field}: {value}");
        }
    }
}

/// Any JSON, with a liking for strings that nearly mean something.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9]{1,20} ?[KMGT]?i?B?".prop_map(Value::from),
        prop::sample::select(vec!["无", "政务外网", "政务内网", "非涉密", "涉密", "total", "per_machine", "二级"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("name|contact|联系人|\\PC{0,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_block_is_refused_with_pointers_and_mends_or_is_whole(
        fields in prop::collection::btree_map(
            prop_oneof![
                4 => prop::sample::select(super::super::fields::FIELDS.iter().map(|f| f.name).collect::<Vec<_>>())
                    .prop_map(ToOwned::to_owned),
                1 => any::<String>(),
            ],
            json_value(),
            0..8,
        ),
    ) {
        let world = World::new();
        let mut raw = world.raw();
        let mut map = serde_json::to_value(&raw).unwrap();
        for (name, value) in fields {
            map[name] = value;
        }
        raw = serde_json::from_value(map).unwrap();
        match world.blocks(&raw) {
            Ok(blocks) => {
                let block = blocks[0].clone();
                prop_assert!(block.totals().is_some());
                let again: Block = serde_json::from_str(&block.canonical_json()).unwrap();
                prop_assert_eq!(again, block);
            }
            Err(list) => {
                prop_assert!(!list.is_empty());
                list.iter().for_each(sound);
            }
        }
    }

    #[test]
    fn any_json_is_a_raw_block_or_refused(value in json_value()) {
        let world = World::new();
        if let Ok(raw) = serde_json::from_value::<RawBlock>(value) {
            let list = world.check(&raw);
            prop_assert!(!list.is_empty());
            list.iter().for_each(sound);
        }
    }

    #[test]
    fn any_text_is_a_raw_block_or_refused(text in any::<String>()) {
        let world = World::new();
        if let Err(list) = RawBlock::read(&text, &world.profile) {
            prop_assert!(!list.is_empty());
            list.iter().for_each(sound);
        }
    }
}
