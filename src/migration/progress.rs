//! How far the district has come, as of a day: sums that always add up, applications in the cloud against targets, rooms
//! that will be late at the measured pace, and how it went day by day.

use super::{
    chain::Waits,
    estate::Estate,
    gates,
    room::{Kind, Reclassified, Standing, Term},
    said::Unit,
};
use crate::ids::RoomId;
use jiff::{ToSpan, civil::Date};
use serde::Serialize;
use std::collections::BTreeMap;

/// Days over which the pace is measured.
pub const PACE_DAYS: i64 = 90;
/// Fewer systems gone in that time say nothing of a pace.
const FEWEST: u32 = 3;
/// Nothing is foretold beyond.
const FARTHEST_DAYS: f64 = 3_650.0;

/// Rooms by where they stand. `closed + exempt + pending = surveyed`, whatever they are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RoomTotals {
    pub surveyed: i64,
    pub closed: i64,
    pub exempt: i64,
    pub pending: i64,
    /// Of the pending ones, those past their last day.
    pub late: i64,
}

/// Systems by where they stand. `in_cloud + discarded + exempt + pending = surveyed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SystemTotals {
    pub surveyed: i64,
    /// The numerator.
    pub in_cloud: i64,
    /// Given up and switched off: they are in no cloud, and no longer anybody's to move.
    pub discarded: i64,
    pub exempt: i64,
    pub pending: i64,
    /// `surveyed - discarded`. What is exempt stays in it.
    pub denominator: i64,
    /// Of the denominator; null where that is 0.
    #[schema(required)]
    pub percent: Option<f64>,
}

#[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn percent(of: i64, all: i64) -> Option<f64> {
    (all > 0).then(|| (of as f64 * 1000.0 / all as f64).round() / 10.0)
}

/// A department's part.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DepartmentProgress {
    pub department: Unit,
    pub rooms: RoomTotals,
    pub systems: SystemTotals,
}

/// Days on which something is to be expected, at the pace of the last [`PACE_DAYS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RoomForecast)]
pub struct Forecast {
    /// With the upper bound of the pace (80 %).
    #[schema(value_type = String, format = Date)]
    pub early: Date,
    #[schema(value_type = String, format = Date)]
    pub likely: Date,
    /// With the lower bound; null where that is farther than ten years.
    #[schema(value_type = Option<String>, format = Date)]
    pub late: Option<Date>,
}

/// The measured pace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Pace {
    /// Systems that left their rooms in these days.
    pub gone: u32,
    pub days: i64,
    /// Per 30 days: low, middle and high; null where too few have gone to tell.
    #[schema(required)]
    pub per_30_days: Option<[f64; 3]>,
}

impl Pace {
    /// A count of independent events and its 80 % interval, by the square root (Anscombe).
    fn of(gone: u32, days: i64) -> Self {
        let (k, z) = (f64::from(gone), 1.281_55_f64);
        #[allow(clippy::cast_precision_loss, reason = "days are few")]
        let per = |count: f64| (count * 30.0 / days.max(1) as f64 * 100.0).round() / 100.0;
        let low = ((k + 0.375).sqrt() - z / 2.0).max(0.0).powi(2) - 0.375;
        let high = ((k + 0.375).sqrt() + z / 2.0).powi(2) - 0.375;
        let told = (gone >= FEWEST).then(|| [per(low.max(0.0)), per(k), per(high)]);
        Self { gone, days, per_30_days: told }
    }

    /// When so many more will have gone.
    #[allow(clippy::cast_possible_truncation, reason = "bounded by the longest that is foretold")]
    fn until(&self, more: f64, today: Date) -> Option<Forecast> {
        let [low, middle, high] = self.per_30_days?;
        let on = |pace: f64| {
            let days = (more / (pace / 30.0)).ceil();
            (days.is_finite() && days <= FARTHEST_DAYS).then(|| today.saturating_add((days as i64).days()))
        };
        Some(Forecast { early: on(high)?, likely: on(middle)?, late: on(low) })
    }
}

/// A room on the board; the data of a Gantt chart's row.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RoomProgress {
    #[schema(value_type = String, format = Uuid)]
    pub id: RoomId,
    pub name: String,
    pub department: Unit,
    pub kind: Kind,
    pub standing: Standing,
    #[schema(value_type = String, format = Date)]
    pub surveyed_on: Date,
    /// Null for a room that may stay.
    #[schema(required, value_type = Option<String>, format = Date)]
    pub due_on: Option<Date>,
    #[schema(required, value_type = Option<String>, format = Date)]
    pub closed_on: Option<Date>,
    /// Days past its last day.
    #[schema(required)]
    pub late_days: Option<i64>,
    pub systems: i64,
    /// Of those, still to leave.
    pub systems_left: i64,
    pub servers: i64,
    pub servers_on: i64,
    /// Systems that block it, its own and those that these wait for.
    pub blockers: i64,
    /// The gate that is shut, and what is missing there.
    #[schema(required)]
    pub next_gate: Option<String>,
    pub missing: Vec<String>,
    /// When its systems will be gone, rooms being emptied in the order of their last days; null where they are, where it
    /// may stay, or where no pace is known.
    #[schema(required)]
    pub forecast: Option<Forecast>,
    /// Its likely day is past its last day.
    pub will_be_late: bool,
}

/// How many were left at the end of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = BurnDown)]
pub struct Burn {
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    pub rooms_pending: i64,
    pub systems_pending: i64,
}

/// What is kept of one change, for the count of days: what it was of, and where that stood from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub kind: String,
    pub id: String,
    pub day: Date,
    pub standing: Standing,
}

/// A room's kind was changed.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RoomRenamed {
    pub room: String,
    pub department: Unit,
    #[serde(flatten)]
    pub change: Reclassified,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = RoomsProgress)]
pub struct Progress {
    pub rooms: RoomTotals,
    pub systems: SystemTotals,
    pub pace: Pace,
    pub departments: Vec<DepartmentProgress>,
    /// Late ones first, then by their last day.
    pub board: Vec<RoomProgress>,
    pub reclassified: Vec<RoomRenamed>,
    pub burn_down: Vec<Burn>,
}

/// The sums of what passes a filter.
pub fn totals(estate: &Estate, term: Term, today: Date, of: Option<&Unit>) -> (RoomTotals, SystemTotals) {
    let own = |unit: &Unit| of.is_none_or(|of| of.id == unit.id);
    let mut rooms = RoomTotals::default();
    for room in estate.rooms.values().filter(|room| own(&room.unit)) {
        rooms.surveyed += 1;
        match room.standing() {
            Standing::Gone => rooms.closed += 1,
            Standing::Exempt => rooms.exempt += 1,
            Standing::Pending => rooms.pending += 1,
        }
        rooms.late += i64::from(room.late_days(term, today).is_some());
    }
    let mut systems = SystemTotals::default();
    for system in estate.systems.values().filter(|system| own(&system.unit)) {
        systems.surveyed += 1;
        match () {
            () if system.discarded() => systems.discarded += 1,
            () if system.in_cloud() => systems.in_cloud += 1,
            () if system.exempt(today) => systems.exempt += 1,
            () => systems.pending += 1,
        }
    }
    systems.denominator = systems.surveyed - systems.discarded;
    systems.percent = percent(systems.in_cloud, systems.denominator);
    (rooms, systems)
}

/// The whole of it as of a day, from the estate as of that day and what moved until then.
pub fn progress(estate: &Estate, moved: &[Moved], term: Term, today: Date) -> Progress {
    let (rooms, systems) = totals(estate, term, today, None);
    let mut units: BTreeMap<String, &Unit> = BTreeMap::new();
    for unit in estate.rooms.values().map(|r| &r.unit).chain(estate.systems.values().map(|s| &s.unit)) {
        units.insert(unit.code.clone(), unit);
    }
    let departments = units
        .into_values()
        .map(|unit| {
            let (rooms, systems) = totals(estate, term, today, Some(unit));
            DepartmentProgress { department: unit.clone(), rooms, systems }
        })
        .collect();
    let pace = pace(moved, today);
    let reclassified = estate.rooms.values().flat_map(|room| {
        let named = |change: &Reclassified| RoomRenamed {
            room: room.name.clone(),
            department: room.unit.clone(),
            change: change.clone(),
        };
        room.reclassified.iter().map(named)
    });
    Progress {
        rooms,
        systems,
        pace,
        departments,
        board: board(estate, &pace, term, today),
        reclassified: reclassified.collect(),
        burn_down: burn_down(moved, today),
    }
}

fn board(estate: &Estate, pace: &Pace, term: Term, today: Date) -> Vec<RoomProgress> {
    let counts = Waits::new(estate, today).counts();
    let mut board: Vec<RoomProgress> = estate
        .rooms
        .values()
        .map(|room| {
            let systems: Vec<_> = estate.systems_of(room.id).collect();
            let servers: Vec<_> = estate.servers_of(room.id).collect();
            let next = (room.standing() == Standing::Pending).then(|| gates::next(estate, room, today)).flatten();
            RoomProgress {
                id: room.id,
                name: room.name.clone(),
                department: room.unit.clone(),
                kind: room.facts.kind,
                standing: room.standing(),
                surveyed_on: room.surveyed_on,
                due_on: room.due_on(term),
                closed_on: room.closed_on,
                late_days: room.late_days(term, today),
                systems: count(systems.len()),
                systems_left: count(systems.iter().filter(|system| system.open(today)).count()),
                servers: count(servers.len()),
                servers_on: count(servers.iter().filter(|server| server.off.is_none()).count()),
                blockers: count(counts.get(&room.id).copied().unwrap_or_default()),
                next_gate: next.as_ref().map(|stand| stand.gate.word().to_owned()),
                missing: next.map(|stand| stand.missing).unwrap_or_default(),
                forecast: None,
                will_be_late: false,
            }
        })
        .collect();
    board.sort_by(|a, b| {
        let key =
            |r: &RoomProgress| (r.standing, std::cmp::Reverse(r.late_days.unwrap_or(0)), r.due_on, r.name.clone());
        key(a).cmp(&key(b)).then(a.id.cmp(&b.id))
    });
    let mut ahead = 0.0;
    for room in board.iter_mut().filter(|room| room.standing == Standing::Pending && room.systems_left > 0) {
        #[allow(clippy::cast_precision_loss, reason = "a count")]
        {
            ahead += room.systems_left as f64;
        }
        room.forecast = pace.until(ahead, today);
        room.will_be_late = room.forecast.zip(room.due_on).is_some_and(|(forecast, due)| forecast.likely > due)
            || room.late_days.is_some();
    }
    board
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How many systems left within the last days, net of those that came back.
fn pace(moved: &[Moved], today: Date) -> Pace {
    let since = today.saturating_sub(PACE_DAYS.days());
    let mut before: BTreeMap<&str, Standing> = BTreeMap::new();
    let mut now: BTreeMap<&str, Standing> = BTreeMap::new();
    for one in moved.iter().filter(|one| one.kind == "system" && one.day <= today) {
        if one.day <= since {
            before.insert(&one.id, one.standing);
        }
        now.insert(&one.id, one.standing);
    }
    let gone = |map: &BTreeMap<&str, Standing>, id: &str| map.get(id) == Some(&Standing::Gone);
    // One that came into the survey as gone already has not left anything.
    let first: BTreeMap<&str, Standing> =
        moved.iter().rev().filter(|one| one.kind == "system").map(|one| (one.id.as_str(), one.standing)).collect();
    let left = now.keys().filter(|id| gone(&now, id) && !gone(&before, id) && !gone(&first, id)).count();
    // A survey that is younger than that has a pace over its own days.
    let began = moved.iter().map(|one| one.day).min().unwrap_or(today).max(since);
    let days = i64::from(began.until(today).map_or(0, |span| span.get_days())).clamp(1, PACE_DAYS);
    Pace::of(u32::try_from(left).unwrap_or(u32::MAX), days)
}

/// One line for each day on which something moved.
fn burn_down(moved: &[Moved], today: Date) -> Vec<Burn> {
    let mut standing: BTreeMap<(&str, &str), Standing> = BTreeMap::new();
    let mut burns: Vec<Burn> = Vec::new();
    let (mut rooms, mut systems) = (0_i64, 0_i64);
    for one in moved.iter().filter(|one| one.day <= today) {
        let pending = |standing: Option<Standing>| i64::from(standing == Some(Standing::Pending));
        let before = standing.insert((&one.kind, &one.id), one.standing);
        let change = pending(Some(one.standing)) - pending(before);
        match one.kind.as_str() {
            "room" => rooms += change,
            "system" => systems += change,
            _ => continue,
        }
        let burn = Burn { day: one.day, rooms_pending: rooms, systems_pending: systems };
        match burns.last_mut() {
            Some(last) if last.day == one.day => *last = burn,
            _ => burns.push(burn),
        }
    }
    burns
}
