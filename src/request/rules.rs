//! Judges a report's blocks against what they rest on and against each other. Pure: the snapshot and the day come in,
//! violations go out. The rules themselves are data ([`RULES`]); here, and in [`context`] for what a report says around
//! its blocks, is only when each of them bites.

mod context;

use super::{
    block::{Block, Demand},
    fields::{FIELDS, RawBlock, field},
    raw::RawReport,
    shape::{self, Draft},
};
use crate::{
    catalogue::Catalogue,
    ids::{DepartmentId, RequestId},
    jurisdiction::Profile,
    labels::FilingBasis,
    task_book::document::{Allowed, Indicators},
    time,
    units::Bytes,
    violation::Findings,
};
use jiff::{Timestamp, ToSpan, civil::Date};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

pub use crate::{
    rule::{Code, RULES, Rule},
    violation::Violation,
};

/// What the rules need to know of the world, read in one go.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The department that asks.
    pub department: DepartmentId,
    /// The newest version of each task book that a block names ([`Wants::numbers`]), by its number.
    pub task_books: BTreeMap<String, TaskBookView>,
    /// Fully qualified names in use (lower-case ASCII), at least those among [`Wants::names`].
    pub taken_names: BTreeSet<String>,
    /// The department's requests that are alike to one of these blocks ([`Wants::likenesses`]) and still hold.
    pub running: BTreeMap<String, Running>,
}

/// A request that still holds.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub id: RequestId,
    pub at: Timestamp,
}

/// What the rules need to know of a task book.
#[derive(Clone, Debug)]
pub struct TaskBookView {
    /// Whose it is. Another department's book is answered as if there were none: departments do not see each other.
    pub department: DepartmentId,
    pub basis: FilingBasis,
    pub valid_from: Date,
    /// The last day on which it is in force.
    pub valid_until: Date,
    /// The last day on which its machines may be used.
    pub lease_until: Date,
    /// Why it was revoked, if it was.
    pub revoked: Option<String>,
    pub limits: Indicators,
    /// What its other requests have claimed.
    pub used: Indicators,
    pub allowed: Allowed,
}

/// What a [`Snapshot`] for a report must be read for, as far as the report says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub numbers: BTreeSet<String>,
    pub names: BTreeSet<String>,
    pub likenesses: BTreeSet<String>,
}

/// The data that rules read besides the world.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'g> {
    pub catalogue: &'g Catalogue,
    pub profile: &'g Profile,
    pub today: Date,
}

/// Reads and judges a report as written: its checked blocks, or every violation at once. A field that cannot be read does
/// not keep the others from being judged. Without a snapshot, whatever asks for the world is left out.
pub fn check(raw: &RawReport, ground: Ground<'_>, snapshot: Option<&Snapshot>) -> Result<Vec<Block>, Vec<Violation>> {
    let mut all = Told::default();
    let mut drafts = Vec::new();
    // What earlier blocks of the report take of each task book.
    let mut world = snapshot.cloned();
    for (n, block) in raw.blocks.iter().enumerate() {
        let mut findings = Findings::new(ground.profile);
        let draft = shape::read(&block.with(&raw.shared), ground.catalogue, &mut findings);
        judge_draft(&draft, ground, world.as_ref(), &mut findings);
        if let Some(running) = world.as_ref().and_then(|world| running(&draft, world)) {
            // A repeated request takes its own names: that it is one says it all.
            findings.retain(|v| v.code != Code::DomainTaken.as_str());
            let values: &[(&str, &dyn Display)] = &[("at", &time::civil(running.at)), ("id", &running.id)];
            findings.add(Code::DuplicateRequest, "/", values);
        }
        if let Some(world) = &mut world {
            take(&draft, world);
        }
        all.of_block(raw, n, findings);
        drafts.push(draft);
    }
    let mut findings = Findings::new(ground.profile);
    context::judge(raw, &drafts, ground.catalogue, &mut findings);
    all.of_report(findings);
    if raw.blocks.is_empty() {
        let mut none = Findings::new(ground.profile);
        none.add(Code::NoBlockFound, "/blocks", &[("reason", &"blocks 为空")]);
        all.of_report(none);
    }
    all.finish(raw, drafts, ground.profile)
}

/// What must be looked up before a report can be judged.
pub fn wants(raw: &RawReport, ground: Ground<'_>) -> Wants {
    let mut wants = Wants::default();
    for block in &raw.blocks {
        let draft = shape::read(&block.with(&raw.shared), ground.catalogue, &mut Findings::new(ground.profile));
        wants.numbers.extend(draft.task_book.clone());
        wants.names.extend(draft.names());
        wants.likenesses.extend(draft.into_block().ok().map(|block| block.likeness()));
    }
    wants
}

/// What can be read of each block, by the names of the checked block, whatever is missing or wrong.
pub fn known(raw: &RawReport, ground: Ground<'_>) -> Vec<Value> {
    let read = |block: &RawBlock| {
        let draft = shape::read(&block.with(&raw.shared), ground.catalogue, &mut Findings::new(ground.profile));
        // A draft is made of strings, integers and lists of them: it always becomes JSON.
        serde_json::to_value(draft).unwrap_or_default()
    };
    raw.blocks.iter().map(read).collect()
}

/// Judges a block that was checked before, as at its approval: the task book, the names and the day may have changed.
pub fn judge(block: &Block, ground: Ground<'_>, snapshot: &Snapshot) -> Vec<Violation> {
    let mut findings = Findings::new(ground.profile);
    judge_draft(&Draft::of(block), ground, Some(snapshot), &mut findings);
    shape::in_form_order(findings.into_vec())
}

impl RawBlock {
    /// The block with what its report says once for all blocks, where it does not say it itself.
    fn with(&self, shared: &Self) -> Self {
        let mut block = self.clone();
        for field in FIELDS {
            if let (Some(slot), Some(value)) = (block.slot(field.name), shared.get(field.name))
                && slot.is_none()
            {
                *slot = Some(value.clone());
            }
        }
        block
    }
}

/// The violations of a report as they are found: each at its pointer in the document as written, none twice.
#[derive(Default)]
struct Told {
    list: Vec<Violation>,
}

impl Told {
    /// Takes over what was found in block `n`. What its report says for all blocks is told where the report says it; what
    /// nobody says is told once, if it is of a kind that reports say once.
    fn of_block(&mut self, raw: &RawReport, n: usize, findings: Findings<'_>) {
        for mut violation in shape::in_form_order(findings.into_vec()) {
            let name = violation.pointer.split('/').nth(1).unwrap_or_default().to_owned();
            let own = raw.blocks.get(n).is_some_and(|block| block.get(&name).is_some());
            let told_once = !own && (raw.shared.get(&name).is_some() || ONCE.contains(&name.as_str()));
            if !raw.bare && !told_once {
                violation.pointer = format!("/blocks/{n}{}", violation.pointer.trim_end_matches('/'));
            }
            self.add(violation);
        }
    }

    fn of_report(&mut self, findings: Findings<'_>) {
        for violation in findings.into_vec() {
            self.add(violation);
        }
    }

    fn add(&mut self, violation: Violation) {
        let same = |v: &Violation| {
            v.pointer == violation.pointer && v.code == violation.code && v.message == violation.message
        };
        if !self.list.iter().any(same) {
            self.list.push(violation);
        }
    }

    fn finish(mut self, raw: &RawReport, drafts: Vec<Draft>, profile: &Profile) -> Result<Vec<Block>, Vec<Violation>> {
        if self.list.is_empty() {
            let blocks: Result<Vec<Block>, &str> = drafts.into_iter().map(Draft::into_block).collect();
            match blocks {
                Ok(blocks) => return Ok(blocks),
                // Every field that is left out has been found wanting; were one ever not, this still refuses.
                Err(name) => self.list.push(shape::missing(name, profile)),
            }
        }
        for violation in &mut self.list {
            violation.place = raw.place(&violation.pointer).cloned();
        }
        Err(self.list)
    }
}

/// Fields that a report says once, for all of its blocks; their absence is one fault.
const ONCE: &[&str] = &[
    "task_book",
    "filing_basis",
    "government_approval",
    "upper_level_filing",
    "network_zone",
    "secrecy_level",
    "mlps_level",
    "deploy_milestone",
    "om_period_months",
    "om_unit",
    "ssh_keys",
];

/// The request that this block repeats.
fn running(draft: &Draft, world: &Snapshot) -> Option<Running> {
    let block = draft.clone().into_block().ok()?;
    world.running.get(&block.likeness()).copied()
}

/// What the block takes, for the blocks after it.
fn take(draft: &Draft, world: &mut Snapshot) {
    if let (Some(number), Ok(block)) = (&draft.task_book, draft.clone().into_block())
        && let (Some(book), Some(all)) = (world.task_books.get_mut(number), block.totals())
    {
        book.used = book.used.plus(all);
    }
}

/// Judges what is known of a block.
fn judge_draft(draft: &Draft, ground: Ground<'_>, snapshot: Option<&Snapshot>, f: &mut Findings<'_>) {
    let Ground { catalogue, today, .. } = ground;
    let refused = on_offer(draft, catalogue, today, f);
    if !refused.database {
        room_for_database(draft, catalogue, f);
    }
    if let (Some(number), Some(world)) = (&draft.task_book, snapshot) {
        match world.task_books.get(number).filter(|book| book.department == world.department) {
            None => f.add(Code::TaskBookNotFound, "/task_book", &[("value", number)]),
            Some(book) => {
                in_force(number, draft.filing_basis, book, today, f);
                within_indicators(draft, book, f);
                allowed(draft, catalogue, &book.allowed, refused, f);
                lease(draft, book, today, f);
            }
        }
    }
    if let Some(world) = snapshot {
        names(draft, &world.taken_names, f);
    }
    if let Some(milestone) = draft.deploy_milestone.filter(|day| *day < today) {
        f.add(Code::MilestonePast, "/deploy_milestone", &[("value", &milestone), ("today", &today)]);
    }
}

/// What the catalogue refuses needs no second refusal by the task book.
#[derive(Clone, Copy)]
struct Refused {
    os: bool,
    database: bool,
}

/// Whether machines may be built with what the block names, on that day.
fn on_offer(draft: &Draft, catalogue: &Catalogue, today: Date, f: &mut Findings<'_>) -> Refused {
    let before = f.count_so_far();
    if let Some(os) = draft.os.as_deref().and_then(|key| catalogue.find_os(key)) {
        let values: &[(&str, &dyn Display)] =
            &[("value", &os.name), ("ended", &os.end_of_life), ("offered", &catalogue.os_names())];
        if os.is_ended(today) {
            f.add(Code::OsEndOfLife, "/os_type", values);
        } else if !os.offered {
            f.add(Code::OsNotInCatalogue, "/os_type", values);
        }
    }
    let os = f.count_so_far() > before;
    let before = f.count_so_far();
    if let Some(database) = draft.database.as_deref().and_then(|key| catalogue.find_database(key)) {
        let ended = database.end_of_life.map(|day| day.to_string()).unwrap_or_default();
        let values: &[(&str, &dyn Display)] =
            &[("value", &database.name), ("ended", &ended), ("offered", &catalogue.database_names())];
        if database.is_ended(today) {
            f.add(Code::DatabaseEndOfLife, "/db_type", values);
        } else if !database.offered {
            f.add(Code::DatabaseNotInCatalogue, "/db_type", values);
        }
    }
    Refused { os, database: f.count_so_far() > before }
}

/// A machine with a database has room for it.
fn room_for_database(draft: &Draft, catalogue: &Catalogue, f: &mut Findings<'_>) {
    let Some(database) = draft.database.as_deref().and_then(|key| catalogue.find_database(key)) else { return };
    let Some(profile) = &database.profile else { return };
    let sizes = [("memory", draft.memory, profile.least.memory), ("disk", draft.disk, profile.least.disk)];
    for (name, asked, min) in sizes {
        if let Some(asked) = asked.filter(|asked| *asked < min) {
            let values: &[(&str, &dyn Display)] =
                &[("value", &database.name), ("field", &field(name).label), ("min", &min), ("asked", &asked)];
            f.add(Code::DatabaseUndersized, &format!("/{name}"), values);
        }
    }
}

fn in_force(number: &str, stated: FilingBasis, book: &TaskBookView, today: Date, f: &mut Findings<'_>) {
    let values: &[(&str, &dyn Display)] = &[
        ("value", &number),
        ("from", &book.valid_from),
        ("until", &book.valid_until),
        ("today", &today),
        ("registered", &book.basis.label()),
        ("stated", &stated.label()),
        ("reason", &book.revoked.as_deref().unwrap_or_default().trim_end_matches(['。', '.'])),
    ];
    if book.basis != stated {
        f.add(Code::FilingBasisMismatch, "/filing_basis", values);
    }
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

/// The lease runs from the day on which the system is to be deployed.
fn lease(draft: &Draft, book: &TaskBookView, today: Date, f: &mut Findings<'_>) {
    let (Some(months), Some(milestone)) = (draft.om_period_months, draft.deploy_milestone) else { return };
    // A book that is not in force has been told.
    if book.revoked.is_some() || today < book.valid_from || today > book.valid_until {
        return;
    }
    let from = milestone.max(today);
    let end = from.checked_add(i64::from(months).months()).unwrap_or(Date::MAX);
    if end > book.lease_until {
        let values: &[(&str, &dyn Display)] =
            &[("months", &months), ("from", &from), ("end", &end), ("until", &book.lease_until)];
        f.add(Code::LeaseBeyondTaskBook, "/om_period_months", values);
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

fn allowed(draft: &Draft, catalogue: &Catalogue, allowed: &Allowed, refused: Refused, f: &mut Findings<'_>) {
    let join = |words: Vec<&str>| if words.is_empty() { "（无）".to_owned() } else { words.join("、") };
    if let Some(os) = draft.os.as_deref().filter(|os| !refused.os && !allowed.os.contains(*os)) {
        let list = join(allowed.os.iter().map(|key| catalogue.os_name(key)).collect());
        f.add(Code::OsNotInTaskBook, "/os_type", &[("value", &catalogue.os_name(os)), ("allowed", &list)]);
    }
    if let Some(db) = draft.database.as_deref().filter(|db| !refused.database && !allowed.databases.contains(*db)) {
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
