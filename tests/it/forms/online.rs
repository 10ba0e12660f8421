//! Defects that only the broker can see: they lie between the report and its task book, or another request.

use super::{
    defects::OWN,
    generate::Wish,
    model::{GIB, Report},
};
use serde_json::{Value, json};

const OVER_12: &str = "相政办〔2018〕150号 第十二条";
const BOOK_15: &str = "相政办〔2018〕150号 第十五条";
const UNUSED_20: &str = "相政办〔2018〕150号 第二十条";

const OTHER_ZONES: [&str; 2] = ["互联网", "政务专网"];

/// What the broker has before the report comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The task book.
    Book,
    Nothing,
    Revoked,
    /// Another request holds the report's first name.
    NameHeld,
    /// The same report has been handed in.
    Submitted,
    /// The book admits a database that the catalogue no longer has.
    OtherDatabase,
}

pub struct Online {
    pub code: &'static str,
    pub basis: &'static str,
    /// Last part of the pointer.
    pub field: &'static str,
    pub before: Before,
    pub change: fn(&mut Report, &mut Value, usize),
}

/// Reports whose task book is the sample's.
pub const WISH: Wish =
    Wish { blocks: None, layout: None, machines: None, plain: true, loose: true, sheet: false, application: None };

/// A task book that admits the report with room to spare.
pub fn book(report: &Report, number: &str) -> Value {
    json!({
        "number": number, "version": 1, "department": "mzj",
        "project": {"code": report.name, "name": report.said("project_name")},
        "valid_from": "2026-01-01", "valid_until": "2099-12-31",
        "indicators": {"machines": 1000, "vcpu": 10_000, "memory": "1048576 GiB", "disk": "1048576 GiB"},
        "allowed": {"os": ["Debian 12"], "databases": ["无"], "zones": ["政务外网"], "mlps_levels": [2]},
    })
}

/// One less than all blocks ask for.
fn short(report: &Report, book: &mut Value, dimension: usize, key: &str) {
    let total = report.totals()[dimension];
    book["indicators"][key] = if dimension < 2 { json!(total - 1) } else { json!(format!("{} GiB", total / GIB - 1)) };
}

/// A total of one would leave an indicator of nothing.
fn room(report: &mut Report) {
    let block = &mut report.blocks[0];
    (block.typed.machines, block.typed.vcpu, block.typed.memory, block.typed.disk) = (3, 2, 4 * GIB, 50 * GIB);
    for (name, text) in
        [("vm_count", "3台"), ("cpu_count", "每台2核"), ("memory", "每台4G"), ("disk", "每台50G"), ("remarks", "")]
    {
        block.set(name, text);
    }
    block.remove("basis");
    report.said.remove("storage_forecast");
}

const fn none(_: &mut Report, _: &mut Value, _: usize) {}

const fn found(code: &'static str, basis: &'static str, field: &'static str) -> Online {
    Online { code, basis, field, before: Before::Book, change: none }
}

pub const ONLINE: &[Online] = &[
    Online {
        before: Before::Nothing,
        change: |report, _, _| _ = report.said.remove("task_book"),
        ..found("task_book_missing", BOOK_15, "task_book")
    },
    Online { before: Before::Nothing, ..found("task_book_not_found", BOOK_15, "task_book") },
    Online {
        change: |_, book, _| book["valid_from"] = json!("2090-01-01"),
        ..found("task_book_not_yet_valid", BOOK_15, "task_book")
    },
    Online {
        change: |_, book, _| {
            book["valid_from"] = json!("2020-01-01");
            book["valid_until"] = json!("2021-12-31");
            // Its machines may be used for longer than the book admits new ones.
            book["lease_until"] = json!("2099-12-31");
        },
        ..found("task_book_expired", BOOK_15, "task_book")
    },
    Online { before: Before::Revoked, ..found("task_book_revoked", UNUSED_20, "task_book") },
    Online {
        change: |report, book, _| {
            room(report);
            short(report, book, 0, "machines");
        },
        ..found("machines_over_indicator", OVER_12, "vm_count")
    },
    Online {
        change: |report, book, _| {
            room(report);
            short(report, book, 1, "vcpu");
        },
        ..found("vcpu_over_indicator", OVER_12, "cpu_count")
    },
    Online {
        change: |report, book, _| {
            room(report);
            short(report, book, 2, "memory");
        },
        ..found("memory_over_indicator", OVER_12, "memory")
    },
    Online {
        change: |report, book, _| {
            room(report);
            short(report, book, 3, "disk");
        },
        ..found("disk_over_indicator", OVER_12, "disk")
    },
    Online {
        change: |_, book, _| book["allowed"]["os"] = json!(["Debian 13"]),
        ..found("os_not_in_task_book", OVER_12, "os_type")
    },
    Online { before: Before::OtherDatabase, ..found("database_not_in_task_book", OVER_12, "db_type") },
    Online {
        change: |_, book, n| book["allowed"]["zones"] = json!([OTHER_ZONES[n % 2]]),
        ..found("zone_not_in_task_book", OVER_12, "network_zone")
    },
    Online {
        change: |_, book, n| {
            let other = if n.is_multiple_of(2) { 3 } else { 1 };
            book["allowed"]["mlps_levels"] = json!([other]);
        },
        ..found("mlps_not_in_task_book", OVER_12, "mlps_level")
    },
    Online {
        before: Before::NameHeld,
        change: |report, _, _| {
            let name = format!("held-{}.xiangcheng.example", report.name);
            report.blocks[0].remove("no_domain_reason");
            report.blocks[0].set("domain", name);
        },
        ..found("domain_taken", OWN, "domain")
    },
    Online {
        before: Before::Submitted,
        change: |report, _, _| {
            // Without names: a name that is taken would be a second defect.
            for block in &mut report.blocks {
                block.set("domain", "无");
                block.set("no_domain_reason", "仅供本项目内部调用");
            }
        },
        ..found("duplicate_request", OWN, "")
    },
    Online {
        change: |_, book, _| book["valid_until"] = json!("2034-12-31"),
        ..found("lease_beyond_task_book", OVER_12, "om_period_months")
    },
    Online {
        // The number that the report gives as an approval is on record as a task book.
        change: |report, _, n| {
            let number = report.said.remove("task_book").unwrap_or_default();
            let (basis, field) = [("紧急项目", "government_approval"), ("上级统筹项目", "upper_level_filing")][n % 2];
            report.say("filing_basis", basis);
            report.say(field, number);
        },
        ..found("filing_basis_mismatch", OWN, "filing_basis")
    },
];
