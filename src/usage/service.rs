//! From a host's answer to rows: reads, folds, writes in one transaction.

use super::{
    open::Step,
    point::{Cause, Interval},
    source::Source,
    store::{self, Ending, Meter},
};
use crate::{
    capacity::providers::Providers,
    db::{Db, DbError, Tx},
    error::story,
    ids::HostId,
    metrics::Metrics,
    provider::reading::{Reading, Readings},
    time,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// Machines that one statement carries.
const MOST: usize = 200;

/// Reads hosts and keeps what it reads.
#[derive(Clone)]
pub struct Collector {
    pub db: Db,
    pub providers: Providers,
    pub metrics: Metrics,
    /// Between two readings of a machine.
    pub every: Interval,
    /// What measures servers.
    pub sources: Arc<[Source]>,
}

/// What came of some readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Points that entered a day.
    pub points: u64,
    /// Why readings, or metrics of them, gave none.
    pub causes: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, step: &Step) {
        self.points += u64::from(step.taken.point.is_some());
        step.taken.causes().for_each(|cause| self.refuse(Cause::word(cause)));
    }

    pub(super) fn refuse(&mut self, cause: &'static str) {
        *self.causes.entry(cause).or_default() += 1;
    }

    pub(super) fn absorb(&mut self, other: Self) {
        self.points += other.points;
        for (cause, count) in other.causes {
            *self.causes.entry(cause).or_default() += count;
        }
    }
}

impl Collector {
    /// Reads one host, if its time has come and no other broker has taken it. What a host does not answer is unknown: nothing
    /// is written of its machines, and the reason is.
    pub async fn collect(&self, host: HostId) -> Result<(), DbError> {
        if !self.take(host.text(), self.every).await? {
            return Ok(());
        }
        let read = async {
            let provider = self.providers.of(host).await.map_err(|error| story(&error).join(": "))?;
            let limit = Duration::from_millis(u64::from(self.every.as_millis()) / 2);
            match tokio::time::timeout(limit, provider.readings()).await {
                Ok(Ok(readings)) => Ok(readings),
                Ok(Err(error)) => Err(story(&error).join(": ")),
                Err(_) => Err(format!("没有在 {} 秒内答复", limit.as_secs())),
            }
        };
        let ending = match read.await {
            Ok(readings) => {
                let measured = Some(readings.len());
                let tally = self.keep(readings).await?;
                self.metrics.usage_folded(tally.points, &tally.causes);
                Ending { measured, failure: None }
            }
            Err(failure) => {
                tracing::warn!(host.id = %host, error = %failure, "usage.host.unread");
                Ending { failure: Some(("unread", failure)), ..Ending::default() }
            }
        };
        self.metrics.usage_round(ending.measured.is_some());
        self.end(host.text(), ending).await
    }

    /// Whether this round of a host or source is ours.
    pub(super) async fn take(&self, origin: String, every: Interval) -> Result<bool, DbError> {
        self.db.housekeep(async move |tx| store::take_round(tx, &origin, every.as_micros()).await).await
    }

    pub(super) async fn end(&self, origin: String, ending: Ending) -> Result<(), DbError> {
        self.db.housekeep(async move |tx| store::end_round(tx, &origin, &ending).await).await
    }

    /// Folds one look at a host into the days of its machines.
    pub async fn keep(&self, readings: Readings) -> Result<Tally, DbError> {
        let mut all = Tally::default();
        for part in readings.chunks(MOST) {
            let part: Arc<HashMap<String, Reading>> =
                Arc::new(part.iter().map(|(machine, reading)| (machine.text(), reading.clone())).collect());
            let every = self.every;
            let tally = self.db.housekeep(async move |tx| fold(tx, &part, every).await).await?;
            all.absorb(tally);
        }
        Ok(all)
    }

    /// Closes the days of machines of which nothing has come since they ended. Answers how many.
    pub async fn close_silent(&self) -> Result<usize, DbError> {
        self.db
            .housekeep(async |tx| -> Result<usize, DbError> {
                let today = time::civil(tx.now());
                let mut silent = store::silent(tx, today, 200).await?;
                silent.sort_unstable();
                let mut meters = store::hold_meters(tx, &silent.iter().collect::<Vec<_>>()).await?;
                let closed = meters.iter_mut().zip(&silent);
                let closed =
                    closed.filter_map(|(meter, subject)| Some((&subject.id[..], meter.open.close_before(today)?)));
                store::keep_days(tx, &closed.collect::<Vec<_>>()).await?;
                store::keep_meters(tx, &meters).await?;
                Ok(meters.len())
            })
            .await
    }
}

async fn fold(tx: &mut Tx, readings: &HashMap<String, Reading>, every: Interval) -> Result<Tally, DbError> {
    let (now, mut tally) = (tx.now(), Tally::default());
    // What a host has and we do not know is the watch's business.
    let machines: Vec<String> = readings.keys().cloned().collect();
    let mut machines = store::targets(tx.conn(), &machines).await?;
    machines.sort_unstable();
    let mut meters: Vec<Meter> = store::hold_meters(tx, &machines.iter().collect::<Vec<_>>()).await?;
    let (mut closed, mut guests) = (Vec::new(), Vec::new());
    for (meter, machine) in meters.iter_mut().zip(&machines) {
        let Some(reading) = readings.get(&machine.id) else { continue };
        let step = meter.open.take(reading, every, now);
        tally.add(&step);
        guests.extend(reading.guest.as_ref().map(|guest| (&machine.id[..], reading.at.as_microsecond(), guest)));
        closed.extend(step.closed.map(|day| (&machine.id[..], day)));
    }
    store::keep_days(tx, &closed).await?;
    store::keep_meters(tx, &meters).await?;
    store::keep_guests(tx, &guests).await?;
    Ok(tally)
}
