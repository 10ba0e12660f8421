//! Reads what the capacity report says, once for each state of the database that somebody asks in.

use super::{CapacityReport, Head, MOST, PACE_DAYS, Reading, Waiting, extremes, report, store};
use crate::{
    capacity::standing::HostState,
    db::{Db, DbError},
    jurisdiction::Profile,
    machine::lifecycle::State as MachineState,
    migration::{progress, service::Estates},
    report::rooms,
    time,
    usage::{
        gauges::{service::Reader, store as gauges},
        zombie::lifecycle::State as FindingState,
    },
};
use jiff::civil::Date;
use sqlx::AnyConnection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as Turn;

/// Findings that wait for the authority.
const ITS_TURN: [FindingState; 4] =
    [FindingState::Suspected, FindingState::Answered, FindingState::Objected, FindingState::Confirmed];
const DAY_MICROS: i64 = 86_400_000_000;

/// A report, and which one it is: as long as nothing in it changes it is the same one.
#[derive(Debug)]
pub struct Seen {
    pub number: u64,
    pub report: CapacityReport,
}

/// Clones share what was read.
#[derive(Clone)]
pub struct Capacities {
    db: Db,
    estates: Estates,
    profile: Arc<Profile>,
    last: Arc<Mutex<Option<Last>>>,
    /// Of those who find it old one reads; the others take what it has read.
    reader: Arc<Turn<Reader>>,
}

#[derive(Clone)]
struct Last {
    mark: String,
    day: Date,
    seen: Arc<Seen>,
}

impl Capacities {
    pub fn new(db: Db, estates: Estates, profile: Arc<Profile>) -> Self {
        Self { db, estates, profile, last: Arc::default(), reader: Arc::default() }
    }

    fn last(&self) -> Option<Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known(&self, mark: &str, day: Date) -> Option<Arc<Seen>> {
        self.last().filter(|last| last.mark == mark && last.day == day).map(|last| last.seen)
    }

    /// The report as it is now. Nothing is read while nothing was committed.
    pub async fn now(&self) -> Result<Arc<Seen>, DbError> {
        let (mark, day) = (self.db.mark().await?, self.db.clock().today());
        if let Some(seen) = self.known(&mark, day) {
            return Ok(seen);
        }
        let mut reader = self.reader.lock().await;
        // Others may have waited for the same; what was committed meanwhile is taken along.
        let (mark, day) = (self.db.mark().await?, self.db.clock().today());
        if let Some(seen) = self.known(&mark, day) {
            return Ok(seen);
        }
        let read = self.read(&mut reader, day).await?;
        let head =
            Head { now: self.db.clock().now(), district: &self.profile.name, authority: &self.profile.authority_name };
        let report = report(head, read);
        let before = self.last().map(|last| last.seen);
        let seen = match before {
            Some(before) if same(&before.report, &report) => before,
            before => Arc::new(Seen { number: before.map_or(1, |before| before.number + 1), report }),
        };
        let last = Last { mark, day, seen: Arc::clone(&seen) };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok(seen)
    }

    async fn read(&self, reader: &mut Reader, day: Date) -> Result<Reading, DbError> {
        let estate = self.estates.now().await?;
        let (rooms, _) = progress::totals(&estate, self.estates.term(), day, None);
        let near = rooms::near(&estate, self.estates.term(), day);
        let mut conn = self.db.read().await?;
        let look = reader.look(&mut conn, day).await?;
        let owners = {
            let (busiest, idlest) = extremes(&look.running);
            let mut ids: Vec<&str> = busiest.iter().chain(&idlest).map(|machine| machine.id.as_str()).collect();
            ids.sort_unstable();
            ids.dedup();
            store::owners(&mut conn, &ids).await?
        };
        let hosts = store::hosts(&mut conn).await?;
        let since = self.db.clock().now().as_microsecond() - PACE_DAYS * DAY_MICROS;
        let paces = store::paces(&mut conn, since).await?;
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let (alarms_open, unseen, oldest_alarm) = store::alarms_open(&mut conn).await?;
        let silent = hosts.iter().filter(|host| host.state == HostState::Unknown).count();
        let counts = gauges::machines(&mut conn).await?;
        let mut waiting = waiting(&mut conn).await?;
        let mut add = |what, number, since: Option<i64>| {
            waiting.push(Waiting { what, number, since: since.map(time::from_micros) });
        };
        add("hosts_unknown", i64::try_from(silent).unwrap_or(i64::MAX), store::silent_since(&mut conn).await?);
        add("alarms", unseen, oldest_alarm);
        add("rooms_late", rooms.late, None);
        add("rooms_near", near, None);
        Ok(Reading {
            owners,
            hosts,
            paces,
            books: gauges::task_books(&mut conn, day).await?,
            machines: MachineState::ALL
                .into_iter()
                .map(|state| {
                    let found = counts.iter().find(|(word, _)| word == state.word());
                    (state.word().to_owned(), found.map_or(0, |(_, number)| *number))
                })
                .collect(),
            waiting,
            operations_open: gauges::operations(&mut conn).await?.iter().map(|open| open.number).sum(),
            operations: store::operations(&mut conn, most).await?,
            alarms_open,
            alarms: store::alarms(&mut conn, most).await?,
            look,
        })
    }
}

/// Requests and findings.
async fn waiting(conn: &mut AnyConnection) -> Result<Vec<Waiting>, DbError> {
    let requests = gauges::requests(conn).await?;
    let submitted = requests.iter().find(|(state, ..)| state == "submitted");
    let findings = gauges::findings(conn).await?;
    let turn = findings.iter().filter(|(word, _)| ITS_TURN.iter().any(|state| state.word() == word));
    Ok(vec![
        Waiting {
            what: "requests",
            number: submitted.map_or(0, |(_, number, _)| *number),
            since: submitted.and_then(|(.., oldest)| oldest.map(time::from_micros)),
        },
        Waiting { what: "findings", number: turn.map(|(_, number)| number).sum(), since: None },
    ])
}

/// But for when it was read.
fn same(before: &CapacityReport, now: &CapacityReport) -> bool {
    let now = CapacityReport { changed_at: before.changed_at, ..now.clone() };
    *before == now
}
