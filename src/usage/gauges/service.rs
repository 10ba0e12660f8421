//! Reads what the gauges say, and says it.

use super::store::{self, Mean, Running, Sum};
use crate::{
    db::{Db, DbError},
    machine::lifecycle::State as MachineState,
    metrics::{BookUse, MachineUse, Metrics, Stage, Stock},
    request::{block::Block, lifecycle::RequestState},
    usage::{Interval, judging, verdict::Verdict, zombie::lifecycle::State as FindingState},
};
use jiff::civil::Date;
use sqlx::AnyConnection;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// A database that does not answer within so long is down.
const PATIENCE: Duration = Duration::from_secs(20);
/// A machine whose last sample is older than so many intervals is not being measured.
const FRESH: i64 = 3;
/// Blocks that one statement reads.
const MOST: usize = 200;
/// Of a large cloud amounts are read less often: reading takes at most the hundredth part of the time, but never is put off
/// for longer than Prometheus waits between two scrapes.
const SPARING: u32 = 100;
const LONGEST: Duration = Duration::from_secs(15);

/// Keeps the gauges.
pub struct Gauges {
    pub db: Db,
    pub metrics: Metrics,
    /// Between two readings of a machine.
    pub every: Interval,
    /// Whether each machine has its own series.
    pub machines: bool,
    reader: Reader,
    last: Option<Last>,
}

/// Amounts as they were last read.
struct Last {
    mark: String,
    day: Date,
    read: Instant,
    took: Duration,
    look: Look,
}

impl Last {
    /// Whether they will do: nothing has changed since, or it is too soon.
    fn will_do(&self, mark: &str, day: Date, now: Instant) -> bool {
        let pause = (self.took * SPARING).min(LONGEST);
        self.day == day && (self.mark == mark || now.duration_since(self.read) < pause)
    }
}

/// Reads amounts; remembers what never changes, and of what is measured reads what has gone on.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// What requests ask for, by request.
    asked: HashMap<String, Asked>,
    /// What machines used on this day, by machine: the reading up to which that is so, and what came of it.
    means: HashMap<String, (Option<i64>, Option<Mean>)>,
    day: Date,
}

/// What was asked for, approved, given, used and there.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub stocks: Stocks,
    /// What is remembered of each machine that runs.
    pub running: Vec<Running>,
}

#[derive(Clone, Debug)]
struct Asked {
    zone: &'static str,
    vcpu: f64,
    memory_bytes: f64,
    disk_bytes: f64,
}

/// Amounts by stage, zone and kind of provider.
pub type Stocks = BTreeMap<(Stage, String, String), Stock>;

impl Gauges {
    pub fn new(db: Db, metrics: Metrics, every: Interval, machines: bool) -> Self {
        Self { db, metrics, every, machines, reader: Reader::default(), last: None }
    }

    /// Looks every few seconds, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let db = self.db.clone();
            let looked = async {
                db.probe_writing().await?;
                self.glance().await
            };
            let up = match timeout(PATIENCE, looked).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "usage.gauges_unread");
                    false
                }
                Err(_) => {
                    tracing::warn!(patience_s = PATIENCE.as_secs(), "usage.gauges_late");
                    false
                }
            };
            self.metrics.database_is(up);
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(EVERY) => {}
            }
        }
    }

    /// Looks once, at everything.
    pub async fn look(&mut self) -> Result<(), DbError> {
        self.last = None;
        self.glance().await
    }

    /// Looks once; what was read before and will do is not read again.
    async fn glance(&mut self) -> Result<(), DbError> {
        let (now, today) = (self.db.clock().now().as_microsecond(), self.db.clock().today());
        let db = self.db.clone();
        let mark = db.mark().await?;
        let mut conn = db.read().await?;
        let last = match self.last.take().filter(|last| last.will_do(&mark, today, Instant::now())) {
            Some(last) => last,
            None => self.amounts(&mut conn, mark, today).await?,
        };
        self.collected(&last.look.running, now);
        self.last = Some(last);
        self.waiting(&mut conn, now, today).await
    }

    /// Reads what grows with the cloud, and tells it.
    #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
    async fn amounts(&mut self, conn: &mut AnyConnection, mark: String, day: Date) -> Result<Last, DbError> {
        let read = Instant::now();
        let look = self.reader.look(conn, day).await?;
        let verdicts = judging::store::counts(conn).await?;
        self.metrics.stocks(&look.stocks);
        for verdict in Verdict::ALL {
            let count = verdicts.iter().find(|count| count.verdict == verdict.word()).cloned().unwrap_or_default();
            self.metrics.verdicts_are(verdict.word(), count.number, count.vcpu as f64, count.memory_bytes as f64);
        }
        if self.machines {
            let uses = look.running.iter().filter_map(|machine| {
                let used = machine.used()?;
                let (id, name) = (machine.id.clone(), machine.name.clone());
                Some(MachineUse { id, name, vcpus: used.vcpus, memory_bytes: used.memory_bytes })
            });
            self.metrics.machines_use(&uses.collect::<Vec<_>>());
        }
        Ok(Last { mark, day, read, took: read.elapsed(), look })
    }

    /// What waits for somebody, and how full task books are.
    async fn waiting(&self, conn: &mut AnyConnection, now: i64, today: Date) -> Result<(), DbError> {
        let operations = store::operations(conn).await?;
        let open: Vec<_> =
            operations.into_iter().map(|open| (open.kind, open.state, open.number, age(now, open.oldest))).collect();
        self.metrics.operations_open(&open);
        let requests = store::requests(conn).await?;
        for (state, aged) in
            [(RequestState::Submitted, true), (RequestState::Approved, true), (RequestState::Cancelling, false)]
        {
            let found = requests.iter().find(|(word, ..)| word == state.word());
            let (number, oldest) = found.map_or((0, None), |(_, number, oldest)| (*number, *oldest));
            self.metrics.requests_are(state.word(), number, aged.then(|| age(now, oldest)));
        }
        let of = |counts: &[(String, i64)], word: &str| {
            counts.iter().find(|(found, _)| found == word).map_or(0, |(_, number)| *number)
        };
        let machines = store::machines(conn).await?;
        for state in MachineState::ALL {
            self.metrics.machines_are(state.word(), of(&machines, state.word()));
        }
        let findings = store::findings(conn).await?;
        for state in FindingState::ALL {
            self.metrics.findings_are(state.word(), of(&findings, state.word()));
        }
        let books: Vec<_> = store::task_books(conn, today).await?.into_iter().map(claimed).collect();
        self.metrics.task_books_are(&books);
        Ok(())
    }

    /// How many of the machines that run are being measured, and how far back the one is that was measured longest ago.
    #[allow(clippy::cast_precision_loss, reason = "counts and spans for people")]
    fn collected(&self, running: &[Running], now: i64) {
        let ages: Vec<i64> = running.iter().filter_map(|machine| Some(now - machine.last_at?)).collect();
        let fresh = ages.iter().filter(|age| **age <= FRESH * self.every.as_micros()).count();
        let share = if running.is_empty() { 1.0 } else { fresh as f64 / running.len() as f64 };
        let lag = ages.into_iter().max().unwrap_or(0).max(0) as f64 / 1e6;
        self.metrics.usage_collected(share, lag);
    }
}

impl Reader {
    /// Looks once.
    pub async fn look(&mut self, conn: &mut AnyConnection, today: Date) -> Result<Look, DbError> {
        let mut stocks = Stocks::new();
        let asked = store::asked(conn).await?;
        let new: Vec<String> = asked
            .iter()
            .filter(|request| !self.asked.contains_key(&request.id))
            .map(|request| request.id.clone())
            .collect();
        for part in new.chunks(MOST) {
            for (id, block) in store::blocks(conn, part).await? {
                let block: Block =
                    serde_json::from_str(&block).map_err(|_| DbError::Corrupt { what: "requests.block".to_owned() })?;
                self.asked.insert(id, Asked::of(&block));
            }
        }
        let ids: HashSet<&String> = asked.iter().map(|request| &request.id).collect();
        self.asked.retain(|id, _| ids.contains(id));
        for request in &asked {
            let Some(block) = self.asked.get(&request.id) else { continue };
            let provider = request.provider.clone().unwrap_or_else(|| "none".to_owned());
            let stages: &[Stage] =
                if request.state == "submitted" { &[Stage::Requested] } else { &[Stage::Requested, Stage::Approved] };
            for stage in stages {
                let stock = stocks.entry((*stage, block.zone.to_owned(), provider.clone())).or_default();
                stock.add(block.vcpu, block.memory_bytes, block.disk_bytes);
            }
        }
        let hosts = store::hosts(conn).await?;
        enter(&mut stocks, Stage::Allocated, store::allocated(conn, &hosts).await?);
        enter(&mut stocks, Stage::Physical, store::physical(conn).await?);
        let mut running = store::running(conn, today, &hosts).await?;
        self.measure(conn, today, &mut running).await?;
        for machine in &running {
            let Some(used) = machine.used() else { continue };
            let key = (Stage::Measured, machine.zone.clone(), machine.provider.clone());
            stocks.entry(key).or_default().add(used.vcpus, used.memory_bytes.unwrap_or(0.0), 0.0);
        }
        Ok(Look { stocks, running })
    }

    /// Puts beside each machine what it used. State is read of those alone that were read since: decoding it is what costs.
    async fn measure(&mut self, conn: &mut AnyConnection, today: Date, running: &mut [Running]) -> Result<(), DbError> {
        if self.day != today {
            self.day = today;
            self.means.clear();
        }
        let known = |machine: &Running| self.means.get(&machine.id).is_some_and(|(at, _)| *at == machine.last_at);
        let news: Vec<&str> = running
            .iter()
            .filter(|machine| machine.today && !known(machine))
            .map(|machine| machine.id.as_str())
            .collect();
        let mut read = Vec::new();
        for part in news.chunks(MOST) {
            read.append(&mut store::means(conn, today, part).await?);
        }
        self.means.extend(read.into_iter().map(|(id, at, mean)| (id, (at, mean))));
        for machine in running.iter_mut().filter(|machine| machine.today) {
            machine.mean = self.means.get(&machine.id).and_then(|(_, mean)| *mean);
        }
        if self.means.len() > running.len() {
            let ids: HashSet<&str> = running.iter().map(|machine| machine.id.as_str()).collect();
            self.means.retain(|id, _| ids.contains(id.as_str()));
        }
        Ok(())
    }
}

impl Asked {
    #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
    fn of(block: &Block) -> Self {
        let all = block.totals();
        let sizes = all.map(|all| (all.vcpu as f64, all.memory.get() as f64, all.disk.get() as f64));
        let (vcpu, memory_bytes, disk_bytes) = sizes.unwrap_or_default();
        Self { zone: block.zone.word(), vcpu, memory_bytes, disk_bytes }
    }
}

/// Seconds since then; none if nothing is there.
#[allow(clippy::cast_precision_loss, reason = "spans for people")]
fn age(now: i64, since: Option<i64>) -> f64 {
    since.map_or(0.0, |since| (now - since).max(0) as f64 / 1e6)
}

/// An indicator that allows nothing has no share.
#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
fn claimed(book: store::Book) -> BookUse {
    let indicators = ["machines", "vcpus", "memory", "disk"].into_iter().zip(book.indicators);
    let shares = indicators.filter(|(_, (_, limit))| *limit > 0);
    BookUse {
        shares: shares.map(|(indicator, (used, limit))| (indicator, used as f64 / limit as f64)).collect(),
        number: book.number,
        department: book.department,
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
fn enter(stocks: &mut Stocks, stage: Stage, sums: Vec<Sum>) {
    for sum in sums {
        let stock = stocks.entry((stage, sum.zone, sum.provider)).or_default();
        stock.add(sum.vcpu as f64, sum.memory_bytes as f64, sum.disk_bytes as f64);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_large_cloud_is_read_less_often_and_a_quiet_one_not_at_all() {
        let (read, day) = (Instant::now(), Date::constant(2026, 11, 30));
        let after = |took, seconds, mark: &str, day| {
            let last = Last {
                mark: "1".to_owned(),
                day: Date::constant(2026, 11, 30),
                read,
                took: Duration::from_millis(took),
                look: Look::default(),
            };
            last.will_do(mark, day, read + Duration::from_secs(seconds))
        };
        assert!(after(1, 3600, "1", day), "nothing has changed");
        assert!(!after(1, 5, "2", day), "a small one is read at each look");
        assert!(after(100, 9, "2", day) && !after(100, 10, "2", day), "a hundredth of the time");
        assert!(!after(9_000, 15, "2", day), "however long it takes");
        assert!(!after(100, 1, "1", day.tomorrow().unwrap()), "what was used today");
    }
}
