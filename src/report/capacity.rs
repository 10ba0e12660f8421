//! The capacity report (容量): what each zone and host has, what of it is asked for, given out and used, which task books
//! are near their limits, how long what is free will last, and what waits for a person. One reading of the database is the
//! report, the status page and `jiyue top` alike. Pure.

pub mod service;
pub mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use crate::{
    capacity::standing::HostState,
    labels::Zone,
    metrics::Stage,
    usage::gauges::{
        service::Look,
        store::{Book, Running},
    },
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Days over which the pace is measured.
pub const PACE_DAYS: i64 = 30;
/// A past that is shorter says nothing of a pace.
const SHORTEST_DAYS: i64 = 7;
/// Nothing is foretold beyond.
const FARTHEST_DAYS: f64 = 3_650.0;
/// From this share on a task book is near its limit.
const NEAR_PERCENT: f64 = 80.0;
/// Rows of lists that are for a look: the busiest and the idlest machines, operations, alarms.
pub const MOST: usize = 20;
const DAY_MICROS: i64 = 86_400_000_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityAmount)]
pub struct Amount {
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.vcpu = self.vcpu.saturating_add(other.vcpu);
        self.memory_bytes = self.memory_bytes.saturating_add(other.memory_bytes);
        self.disk_bytes = self.disk_bytes.saturating_add(other.disk_bytes);
    }

    fn less(self, other: Self) -> Self {
        Self {
            vcpu: self.vcpu.saturating_sub(other.vcpu).max(0),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes).max(0),
            disk_bytes: self.disk_bytes.saturating_sub(other.disk_bytes).max(0),
        }
    }
}

/// What machines used, on average over the day so far. Disk is not measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityMeasured)]
pub struct Measured {
    /// Running machines that were measured today, and all that run.
    pub machines: i64,
    pub running: i64,
    pub vcpu: f64,
    pub memory_bytes: i64,
}

/// How what is given out grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CapacityTrend)]
pub enum Trend {
    /// Nothing was given out here for long enough to tell.
    Unknown,
    /// It does not grow.
    Steady,
    Growing,
}

/// How long what is free lasts at the pace of the last [`PACE_DAYS`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityOutlook)]
pub struct Outlook {
    pub trend: Trend,
    /// Of the resource's unit (cores or bytes), as measured; null where unknown.
    #[schema(required)]
    pub per_day: Option<f64>,
    /// Null unless it grows, and where it is farther than ten years.
    #[schema(required)]
    pub days_left: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityOutlooks)]
pub struct Outlooks {
    pub vcpu: Outlook,
    pub memory: Outlook,
    pub disk: Outlook,
}

/// A zone. A host counts in each of its zones.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityZone)]
pub struct ZoneCapacity {
    /// As in requests.
    pub zone: String,
    pub hosts: i64,
    pub machines: i64,
    /// What hosts may give out.
    pub physical: Amount,
    /// What of it a new machine could have: free on hosts that take some.
    pub free: Amount,
    pub requested: Amount,
    pub approved: Amount,
    pub allocated: Amount,
    /// Null where no machine was measured today.
    #[schema(required)]
    pub measured: Option<Measured>,
    pub outlook: Outlooks,
}

#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityHost)]
pub struct HostCapacity {
    pub name: String,
    pub provider: String,
    /// As in `/v1/hosts`.
    pub state: String,
    pub zones: Vec<String>,
    pub machines: i64,
    pub physical: Amount,
    /// Nothing where it takes no machine.
    pub free: Amount,
    pub allocated: Amount,
    #[schema(required)]
    pub measured: Option<Measured>,
    /// Of the resource that most of is given out.
    pub used_percent: f64,
}

/// A task book's indicator that is near its limit.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityTaskBook)]
pub struct NearLimit {
    pub task_book: String,
    pub department: String,
    /// `machines`, `vcpu`, `memory` or `disk`.
    pub indicator: &'static str,
    pub used: i64,
    pub limit: i64,
    pub percent: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityCount)]
pub struct Count {
    pub state: String,
    pub machines: i64,
}

/// What waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityWaiting)]
pub struct Waiting {
    /// `requests`, `hosts_unknown`, `alarms`, `findings`, `rooms_late` or `rooms_near`.
    pub what: &'static str,
    pub number: i64,
    /// Since when the oldest has; null where that is not known.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// An operation without an end yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityOperation)]
pub struct UnderWay {
    pub id: String,
    pub kind: String,
    pub state: String,
    pub department: String,
    #[schema(required)]
    pub machine: Option<String>,
    #[schema(required)]
    pub step: Option<String>,
    pub percent: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityAlarm)]
pub struct OpenAlarm {
    pub id: String,
    pub kind: String,
    pub host: String,
    /// What the host calls the machine.
    pub name: String,
    pub acknowledged: bool,
    #[schema(value_type = String, format = DateTime)]
    pub first_seen_at: Timestamp,
}

/// A running machine that was measured today.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CapacityMachine)]
pub struct MachineLoad {
    pub id: String,
    pub name: String,
    pub department: String,
    #[schema(required)]
    pub system: Option<String>,
    pub host: String,
    pub vcpu: i64,
    /// Of its cores, the mean of the day so far.
    pub cpu_percent: f64,
    #[schema(required)]
    pub memory_percent: Option<f64>,
}

/// 容量
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CapacityReport {
    /// `capacity`
    pub kind: &'static str,
    /// When anything in it was last seen to change.
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    pub district: String,
    pub authority: String,
    pub zones: Vec<ZoneCapacity>,
    /// The fullest first.
    pub hosts: Vec<HostCapacity>,
    /// Indicators of which 80 % or more are used, the fullest first.
    pub task_books: Vec<NearLimit>,
    /// Machines by state; every state is there.
    pub machines: Vec<Count>,
    /// What waits for a person; nothing that does not.
    pub waiting: Vec<Waiting>,
    pub operations_open: i64,
    /// The oldest of them.
    pub operations: Vec<UnderWay>,
    pub alarms_open: i64,
    /// The newest of them.
    pub alarms: Vec<OpenAlarm>,
    pub busiest: Vec<MachineLoad>,
    pub idlest: Vec<MachineLoad>,
}

/// A host as it was read.
#[derive(Clone, Debug)]
pub struct Host {
    pub name: String,
    pub provider: String,
    pub state: HostState,
    pub zones: Vec<String>,
    pub physical: Amount,
    pub allocated: Amount,
}

/// How what is given out in a zone has changed since a day.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// When its first machine was made, in microseconds.
    pub since: i64,
    /// Given to machines made since that day, and held.
    pub came: Amount,
    /// Given back since by machines made before.
    pub went: Amount,
}

/// Whose a machine is.
#[derive(Clone, Debug)]
pub struct Owner {
    pub department: String,
    pub system: Option<String>,
}

/// All that was read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub look: Look,
    pub hosts: Vec<Host>,
    pub paces: BTreeMap<String, Pace>,
    pub books: Vec<Book>,
    /// By state: word and number.
    pub machines: Vec<(String, i64)>,
    pub waiting: Vec<Waiting>,
    pub operations_open: i64,
    pub operations: Vec<UnderWay>,
    pub alarms_open: i64,
    pub alarms: Vec<OpenAlarm>,
    pub owners: BTreeMap<String, Owner>,
}

#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub now: Timestamp,
    pub district: &'a str,
    pub authority: &'a str,
}

/// The machines to look at, of those that were measured: the busiest, then the idlest, by CPU.
pub fn extremes(running: &[Running]) -> (Vec<&Running>, Vec<&Running>) {
    let share = |machine: &Running| machine.used().map(|used| percent_of(used.vcpus, machine.vcpu));
    let mut known: Vec<(f64, &Running)> = running.iter().filter_map(|m| Some((share(m)?, m))).collect();
    known.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.id.cmp(&y.id)));
    let busiest = known.iter().take(MOST).map(|(_, machine)| *machine).collect();
    let idlest = known.iter().rev().take(MOST).map(|(_, machine)| *machine).collect();
    (busiest, idlest)
}

pub fn report(head: Head<'_>, read: Reading) -> CapacityReport {
    let zones = zones(&read, head.now);
    let mut on: BTreeMap<&str, Vec<&Running>> = BTreeMap::new();
    for machine in &read.look.running {
        on.entry(&machine.host).or_default().push(machine);
    }
    let mut hosts: Vec<_> =
        read.hosts.iter().map(|host| standing(host, on.get(host.name.as_str()).map_or(&[], Vec::as_slice))).collect();
    hosts.sort_by(|a, b| b.used_percent.total_cmp(&a.used_percent).then_with(|| a.name.cmp(&b.name)));
    let mut task_books: Vec<_> = read.books.iter().flat_map(near).collect();
    task_books.sort_by(|a, b| b.percent.total_cmp(&a.percent).then_with(|| a.task_book.cmp(&b.task_book)));
    let (busiest, idlest) = extremes(&read.look.running);
    let load = |machine: &&Running| load(machine, read.owners.get(&machine.id));
    let (busiest, idlest) = (busiest.iter().filter_map(load).collect(), idlest.iter().filter_map(load).collect());
    CapacityReport {
        kind: "capacity",
        changed_at: head.now,
        district: head.district.to_owned(),
        authority: head.authority.to_owned(),
        zones,
        hosts,
        task_books,
        machines: read.machines.into_iter().map(|(state, machines)| Count { state, machines }).collect(),
        waiting: read.waiting.into_iter().filter(|waiting| waiting.number > 0).collect(),
        operations_open: read.operations_open,
        operations: read.operations,
        alarms_open: read.alarms_open,
        alarms: read.alarms,
        busiest,
        idlest,
    }
}

fn zones(read: &Reading, now: Timestamp) -> Vec<ZoneCapacity> {
    let zones = Zone::ALL.into_iter().filter_map(|zone| {
        let word = zone.word();
        let hosts: Vec<_> = read.hosts.iter().filter(|host| host.zones.iter().any(|own| own == word)).collect();
        let sum = |stage| {
            let mut sum = Amount::default();
            for (_, stock) in read.look.stocks.iter().filter(|((s, z, _), _)| *s == stage && z == word) {
                sum.add(Amount {
                    vcpu: whole(stock.vcpus),
                    memory_bytes: whole(stock.memory_bytes),
                    disk_bytes: whole(stock.disk_bytes),
                });
            }
            sum
        };
        let requested = sum(Stage::Requested);
        if hosts.is_empty() && requested == Amount::default() {
            return None;
        }
        let mut free = Amount::default();
        for host in &hosts {
            free.add(placeable(host));
        }
        let running: Vec<_> = read.look.running.iter().filter(|machine| machine.zone == word).collect();
        Some(ZoneCapacity {
            zone: word.to_owned(),
            hosts: count(hosts.len()),
            machines: count(running.len()),
            physical: sum(Stage::Physical),
            free,
            requested,
            approved: sum(Stage::Approved),
            allocated: sum(Stage::Allocated),
            measured: measured(&running),
            outlook: outlook(read.paces.get(word), free, now),
        })
    });
    zones.collect()
}

/// What a new machine could have of it.
fn placeable(host: &Host) -> Amount {
    if host.state == HostState::Active { host.physical.less(host.allocated) } else { Amount::default() }
}

fn standing(host: &Host, running: &[&Running]) -> HostCapacity {
    #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
    let shares = [
        (host.allocated.vcpu, host.physical.vcpu),
        (host.allocated.memory_bytes, host.physical.memory_bytes),
        (host.allocated.disk_bytes, host.physical.disk_bytes),
    ]
    .map(|(used, all)| percent_of(used as f64, all));
    HostCapacity {
        name: host.name.clone(),
        provider: host.provider.clone(),
        state: host.state.word().to_owned(),
        zones: host.zones.clone(),
        machines: count(running.len()),
        physical: host.physical,
        free: placeable(host),
        allocated: host.allocated,
        measured: measured(running),
        used_percent: shares.into_iter().fold(0.0, f64::max),
    }
}

fn measured(running: &[&Running]) -> Option<Measured> {
    let mut sum = Measured { machines: 0, running: count(running.len()), vcpu: 0.0, memory_bytes: 0 };
    for used in running.iter().filter_map(|machine| machine.used()) {
        sum.machines += 1;
        sum.vcpu += used.vcpus;
        sum.memory_bytes = sum.memory_bytes.saturating_add(whole(used.memory_bytes.unwrap_or(0.0)));
    }
    sum.vcpu = hundredths(sum.vcpu);
    (sum.machines > 0).then_some(sum)
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "bounded by the farthest day")]
fn outlook(pace: Option<&Pace>, free: Amount, now: Timestamp) -> Outlooks {
    // Over the zone's own past, where that is the shorter; in whole days, so that nothing changes by the hour.
    let days = pace.map(|pace| ((now.as_microsecond() - pace.since) / DAY_MICROS).min(PACE_DAYS));
    let one = |free: i64, of: fn(&Amount) -> i64| {
        let Some((pace, days)) = pace.zip(days).filter(|(_, days)| *days >= SHORTEST_DAYS) else {
            return Outlook { trend: Trend::Unknown, per_day: None, days_left: None };
        };
        let per_day = (of(&pace.came) - of(&pace.went)) as f64 / days as f64;
        if per_day <= 0.0 {
            return Outlook { trend: Trend::Steady, per_day: Some(hundredths(per_day)), days_left: None };
        }
        let left = (free as f64 / per_day).floor();
        let days_left = (left <= FARTHEST_DAYS).then_some(left as i64);
        Outlook { trend: Trend::Growing, per_day: Some(hundredths(per_day)), days_left }
    };
    Outlooks {
        vcpu: one(free.vcpu, |amount| amount.vcpu),
        memory: one(free.memory_bytes, |amount| amount.memory_bytes),
        disk: one(free.disk_bytes, |amount| amount.disk_bytes),
    }
}

fn near(book: &Book) -> impl Iterator<Item = NearLimit> {
    let indicators = ["machines", "vcpu", "memory", "disk"].into_iter().zip(book.indicators);
    indicators.filter_map(|(indicator, (used, limit))| {
        #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
        let percent = percent_of(used as f64, limit);
        (limit > 0 && percent >= NEAR_PERCENT).then(|| NearLimit {
            task_book: book.number.clone(),
            department: book.department.clone(),
            indicator,
            used,
            limit,
            percent,
        })
    })
}

fn load(machine: &Running, owner: Option<&Owner>) -> Option<MachineLoad> {
    let used = machine.used()?;
    Some(MachineLoad {
        id: machine.id.clone(),
        name: machine.name.clone(),
        department: owner.map_or_else(String::new, |owner| owner.department.clone()),
        system: owner.and_then(|owner| owner.system.clone()),
        host: machine.host.clone(),
        vcpu: machine.vcpu,
        cpu_percent: percent_of(used.vcpus, machine.vcpu),
        memory_percent: used.memory_bytes.map(|bytes| percent_of(bytes, machine.memory_bytes)),
    })
}

/// With one decimal; 0 of nothing.
#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
fn percent_of(part: f64, all: i64) -> f64 {
    if all > 0 { (part * 1000.0 / all as f64).round() / 10.0 } else { 0.0 }
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[allow(clippy::cast_possible_truncation, reason = "a cast from float saturates, and sizes are below 2^53")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
