//! The room board (机房关停进展): how much is in the cloud, which rooms will close late, and why. Pure.

use crate::{
    identity::Department,
    jurisdiction::Profile,
    migration::{
        estate::Estate,
        progress::Progress,
        register::Deadline,
        room::{Standing, Term},
    },
};
use jiff::{ToSpan, civil::Date};
use serde::Serialize;

/// So many days before its last one a room's is near.
pub const NEAR_DAYS: i64 = 30;

/// Pending rooms whose last day is near and not over.
pub fn near(estate: &Estate, term: Term, today: Date) -> i64 {
    let until = today.saturating_add(NEAR_DAYS.days());
    let pending = estate.rooms.values().filter(|room| room.standing() == Standing::Pending);
    let near = pending.filter(|room| room.due_on(term).is_some_and(|due| (today..=until).contains(&due)));
    i64::try_from(near.count()).unwrap_or(i64::MAX)
}

/// A target of the documents, against what was reached.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TargetStanding {
    /// As printed.
    pub text: String,
    /// Document and clause.
    pub basis: String,
    pub percent: u8,
    #[schema(value_type = String, format = Date)]
    pub by: Date,
    /// What was reached; null where there is nothing to count.
    #[schema(required)]
    pub reached_percent: Option<f64>,
    pub met: bool,
    /// Its day is over, and it is not met.
    pub missed: bool,
}

/// 机房关停进展
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RoomsReport {
    /// `rooms`
    pub kind: &'static str,
    /// The day at whose end all of this was so.
    #[schema(value_type = String, format = Date)]
    pub as_of: Date,
    /// The day is over: this is what it will always be.
    pub is_final: bool,
    pub district: String,
    pub authority: String,
    /// `null`: of all departments.
    #[schema(required)]
    pub department: Option<Department>,
    /// What the last days of ordinary rooms rest on.
    pub basis: String,
    #[serde(flatten)]
    pub progress: Progress,
    pub targets: Vec<TargetStanding>,
    /// Rows of the dated register that are over and not recorded as done.
    pub overdue: Vec<Deadline>,
}

/// Whose report it is.
pub struct Head<'a> {
    pub as_of: Date,
    pub is_final: bool,
    pub profile: &'a Profile,
    pub department: Option<&'a Department>,
}

pub fn report(head: &Head<'_>, progress: Progress, deadlines: Vec<Deadline>) -> RoomsReport {
    let reached = progress.systems.percent;
    let targets = head.profile.rooms.targets.iter().map(|target| {
        let met = reached.is_some_and(|reached| reached >= f64::from(target.percent));
        TargetStanding {
            text: target.text.clone(),
            basis: head.profile.cite(&target.clause),
            percent: target.percent,
            by: target.by,
            reached_percent: reached,
            met,
            missed: !met && target.by < head.as_of,
        }
    });
    RoomsReport {
        kind: "rooms",
        as_of: head.as_of,
        is_final: head.is_final,
        district: head.profile.name.clone(),
        authority: head.profile.authority_name.clone(),
        department: head.department.cloned(),
        basis: head.profile.closing_basis(),
        targets: targets.collect(),
        progress,
        overdue: deadlines.into_iter().filter(|deadline| deadline.overdue).collect(),
    }
}
