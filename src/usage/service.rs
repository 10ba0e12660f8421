//! From a host's answer to rows: reads, folds, writes in one transaction.

use super::{
    open::Step,
    point::{Cause, Interval},
    store::{self, Meter},
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
    fn add(&mut self, step: &Step) {
        self.points += u64::from(step.taken.point.is_some());
        for cause in step.taken.causes() {
            *self.causes.entry(Cause::word(cause)).or_default() += 1;
        }
    }
}

impl Collector {
    /// Reads one host, if its time has come and no other broker has taken it. What a host does not answer is unknown: nothing
    /// is written of its machines, and the reason is.
    pub async fn collect(&self, host: HostId) -> Result<(), DbError> {
        let every = self.every.as_micros();
        if !self.db.housekeep(async move |tx| store::take_round(tx, host, every).await).await? {
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
        let failure = match read.await {
            Ok(readings) => {
                let tally = self.keep(readings).await?;
                self.metrics.usage_folded(tally.points, &tally.causes);
                None
            }
            Err(failure) => {
                tracing::warn!(host.id = %host, error = %failure, "usage.host.unread");
                Some(failure)
            }
        };
        self.metrics.usage_round(failure.is_none());
        self.db.housekeep(async move |tx| store::end_round(tx, host, failure.as_deref()).await).await
    }

    /// Folds one look at a host into the days of its machines.
    pub async fn keep(&self, readings: Readings) -> Result<Tally, DbError> {
        let mut all = Tally::default();
        for part in readings.chunks(MOST) {
            let part: Arc<HashMap<String, Reading>> =
                Arc::new(part.iter().map(|(machine, reading)| (machine.text(), reading.clone())).collect());
            let every = self.every;
            let tally = self.db.housekeep(async move |tx| fold(tx, &part, every).await).await?;
            all.points += tally.points;
            for (cause, count) in tally.causes {
                *all.causes.entry(cause).or_default() += count;
            }
        }
        Ok(all)
    }

    /// Closes the days of machines of which nothing has come since they ended. Answers how many.
    pub async fn close_silent(&self) -> Result<usize, DbError> {
        self.db
            .housekeep(async |tx| -> Result<usize, DbError> {
                let today = time::civil(tx.now());
                let mut meters = store::silent_meters(tx, today, 200).await?;
                for meter in &mut meters {
                    if let Some(day) = meter.open.close_before(today) {
                        store::keep_day(tx, &meter.subject, &day).await?;
                    }
                }
                store::keep_meters(tx, &meters).await?;
                Ok(meters.len())
            })
            .await
    }
}

async fn fold(tx: &mut Tx, readings: &HashMap<String, Reading>, every: Interval) -> Result<Tally, DbError> {
    let (now, mut tally) = (tx.now(), Tally::default());
    let mut machines: Vec<String> = readings.keys().cloned().collect();
    machines.sort();
    // What a host has and we do not know is the watch's business.
    let mut meters: Vec<Meter> = store::meters_of_machines(tx.conn(), &machines).await?;
    for meter in &mut meters {
        let Some(reading) = readings.get(&meter.subject) else { continue };
        let step = meter.open.take(reading, every, now);
        tally.add(&step);
        if let Some(day) = step.closed {
            store::keep_day(tx, &meter.subject, &day).await?;
        }
    }
    store::keep_meters(tx, &meters).await?;
    Ok(tally)
}
