//! Judges a block against the task book it names. Pure: the snapshot and the day come in, violations go out. The rules
//! themselves are data ([`RULES`]); here is only when each of them bites.

use super::{
    block::{Block, Demand},
    raw::RawBlock,
    shape::{self, Draft},
};
use crate::{
    catalogue::Catalogue,
    ids::DepartmentId,
    jurisdiction::Profile,
    task_book::document::{Allowed, Indicators},
    units::Bytes,
    violation::Findings,
};
use jiff::civil::Date;
use std::{collections::BTreeSet, fmt::Display};

pub use crate::{
    rule::{Code, RULES, Rule},
    violation::Violation,
};

/// What the rules need to know of the world, read in one go.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The department that asks.
    pub department: DepartmentId,
    /// The newest version of the task book that the block names ([`super::shape::Wants::task_book`]), if there is one.
    pub task_book: Option<TaskBookView>,
    /// Fully qualified names in use (lower-case ASCII), at least those among [`super::shape::Wants::names`].
    pub taken_names: BTreeSet<String>,
}

/// What the rules need to know of a task book.
#[derive(Clone, Debug)]
pub struct TaskBookView {
    /// Whose it is. Another department's book is answered as if there were none: departments do not see each other.
    pub department: DepartmentId,
    pub valid_from: Date,
    /// The last day on which it is in force.
    pub valid_until: Date,
    /// Why it was revoked, if it was.
    pub revoked: Option<String>,
    pub limits: Indicators,
    /// What its other requests have claimed.
    pub used: Indicators,
    pub allowed: Allowed,
}

/// Reads and judges a block as written: the checked block, or every violation at once. A field that cannot be read does
/// not keep the others from being judged.
pub fn check(
    raw: &RawBlock,
    catalogue: &Catalogue,
    profile: &Profile,
    snapshot: &Snapshot,
    today: Date,
) -> Result<Block, Vec<Violation>> {
    let mut findings = Findings::new(profile);
    let draft = shape::read(raw, catalogue, &mut findings);
    judge_draft(&draft, catalogue, snapshot, today, &mut findings);
    draft.finish(findings)
}

/// Judges a block that was checked before, as at its approval: the task book, the names and the day may have changed.
pub fn judge(
    block: &Block,
    catalogue: &Catalogue,
    profile: &Profile,
    snapshot: &Snapshot,
    today: Date,
) -> Vec<Violation> {
    let mut findings = Findings::new(profile);
    judge_draft(&Draft::of(block), catalogue, snapshot, today, &mut findings);
    shape::in_form_order(findings.into_vec())
}

/// Judges what is known of a block.
fn judge_draft(draft: &Draft, catalogue: &Catalogue, snapshot: &Snapshot, today: Date, f: &mut Findings<'_>) {
    if let Some(number) = &draft.task_book {
        match snapshot.task_book.as_ref().filter(|book| book.department == snapshot.department) {
            None => f.add(Code::TaskBookNotFound, "/task_book", &[("value", number)]),
            Some(book) => {
                in_force(number, book, today, f);
                within_indicators(draft, book, f);
                allowed(draft, catalogue, &book.allowed, f);
            }
        }
    }
    names(draft, &snapshot.taken_names, f);
    if let Some(milestone) = draft.deploy_milestone.filter(|day| *day < today) {
        f.add(Code::MilestonePast, "/deploy_milestone", &[("value", &milestone), ("today", &today)]);
    }
}

fn in_force(number: &str, book: &TaskBookView, today: Date, f: &mut Findings<'_>) {
    let values: &[(&str, &dyn Display)] = &[
        ("value", &number),
        ("from", &book.valid_from),
        ("until", &book.valid_until),
        ("today", &today),
        ("reason", &book.revoked.as_deref().unwrap_or_default().trim_end_matches(['。', '.'])),
    ];
    if book.revoked.is_some() {
        f.add(Code::TaskBookRevoked, "/task_book", values);
    }
    if today < book.valid_from {
        f.add(Code::TaskBookNotYetValid, "/task_book", values);
    }
    if today > book.valid_until {
        f.add(Code::TaskBookExpired, "/task_book", values);
    }
}

/// Each indicator by itself, as far as the block's figures are known.
fn within_indicators(draft: &Draft, book: &TaskBookView, f: &mut Findings<'_>) {
    let Some(machines) = draft.machines.map(i64::from) else { return };
    let (limits, used) = (&book.limits, &book.used);
    let plain = |n: i64| n.to_string();
    let size = |n: i64| Bytes::new(n).map_or_else(|| format!("{n} B"), |b| b.to_string());
    // A figure too large to count is over any limit.
    let all = |each: i64| each.checked_mul(machines).unwrap_or(i64::MAX);
    over(f, Code::MachinesOverIndicator, machines, used.machines, limits.machines, "machines", plain);
    if let Some(vcpu) = draft.vcpu {
        over(f, Code::VcpuOverIndicator, all(vcpu.into()), used.vcpu, limits.vcpu, "vcpu", plain);
    }
    if let Some(memory) = draft.memory {
        let asked = all(memory.get());
        over(f, Code::MemoryOverIndicator, asked, used.memory.get(), limits.memory.get(), "bytes", size);
    }
    if let Some(disk) = draft.disk {
        over(f, Code::DiskOverIndicator, all(disk.get()), used.disk.get(), limits.disk.get(), "bytes", size);
    }
}

fn over(
    f: &mut Findings<'_>,
    code: Code,
    asked: i64,
    used: i64,
    limit: i64,
    unit: &'static str,
    print: impl Fn(i64) -> String,
) {
    let left = limit.saturating_sub(used).max(0);
    if asked <= left {
        return;
    }
    let values: &[(&str, &dyn Display)] =
        &[("asked", &print(asked)), ("used", &print(used)), ("limit", &print(limit)), ("left", &print(left))];
    let violation = Violation::new(f.profile(), code, code.rule().field, values);
    f.push(violation.with_figures(asked, used, limit, unit));
}

fn allowed(draft: &Draft, catalogue: &Catalogue, allowed: &Allowed, f: &mut Findings<'_>) {
    let join = |words: Vec<&str>| if words.is_empty() { "（无）".to_owned() } else { words.join("、") };
    if let Some(os) = draft.os.as_deref().filter(|os| !allowed.os.contains(*os)) {
        let list = join(allowed.os.iter().map(|key| catalogue.os_name(key)).collect());
        f.add(Code::OsNotInTaskBook, "/os_type", &[("value", &catalogue.os_name(os)), ("allowed", &list)]);
    }
    if let Some(db) = draft.database.as_deref().filter(|db| !allowed.databases.contains(*db)) {
        let list = join(allowed.databases.iter().map(|key| catalogue.database_name(key)).collect());
        f.add(Code::DatabaseNotInTaskBook, "/db_type", &[("value", &catalogue.database_name(db)), ("allowed", &list)]);
    }
    if let Some(zone) = draft.zone.filter(|zone| !allowed.zones.contains(zone)) {
        let list = join(allowed.zones.iter().map(|z| z.label()).collect());
        f.add(Code::ZoneNotInTaskBook, "/network_zone", &[("value", &zone.label()), ("allowed", &list)]);
    }
    if let Some(level) = draft.mlps_level.filter(|level| !allowed.mlps_levels.contains(level)) {
        let levels: Vec<String> = allowed.mlps_levels.iter().map(|l| format!("{l} 级")).collect();
        let list = join(levels.iter().map(String::as_str).collect());
        f.add(Code::MlpsNotInTaskBook, "/mlps_level", &[("value", &level), ("allowed", &list)]);
    }
}

fn names(draft: &Draft, taken: &BTreeSet<String>, f: &mut Findings<'_>) {
    const SHOWN: usize = 5;
    let wanted = draft.names();
    let clashes: Vec<&str> = wanted.iter().map(String::as_str).filter(|n| taken.contains(*n)).collect();
    if clashes.is_empty() {
        return;
    }
    let mut list = clashes.iter().take(SHOWN).copied().collect::<Vec<_>>().join("、");
    if clashes.len() > SHOWN {
        list.push_str(" 等");
    }
    f.add(Code::DomainTaken, "/domain", &[("value", &list)]);
}

/// What a block takes of each indicator may be claimed from the book as it stands. The claim itself is decided by the
/// database; this says beforehand what it would answer.
pub fn fits(demand: &Demand, limits: &Indicators, used: &Indicators) -> bool {
    let within = |asked: i64, used: i64, limit: i64| used.checked_add(asked).is_some_and(|sum| sum <= limit);
    within(demand.machines, used.machines, limits.machines)
        && within(demand.vcpu, used.vcpu, limits.vcpu)
        && within(demand.memory.get(), used.memory.get(), limits.memory.get())
        && within(demand.disk.get(), used.disk.get(), limits.disk.get())
}

#[cfg(test)]
mod tests;
