//! The rounds of the watch: one task per host, which lists it at least every so often and sooner when something has
//! happened there.

use super::{service::Watch, store};
use crate::{
    capacity::{
        self, Host,
        standing::{Contact, HostState},
    },
    db::DbError,
    ids::HostId,
    metrics::{HostUse, Metrics},
};
use jiff::Timestamp;
use std::{collections::HashMap, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between two looks at a host that does not answer: its return must be noticed soon.
const AGAIN: Duration = Duration::from_secs(3);
/// Events come in swarms; one listing answers for all.
const SETTLE: Duration = Duration::from_millis(500);
/// After a listing that events asked for, the host is left alone for so many times as long as it took: while hundreds of
/// machines are being built, each of them an event, looking at all the others would take more of the host than building.
const LEAVE_ALONE: u32 = 9;

pub struct Rounds {
    pub watch: Watch,
    pub metrics: Metrics,
    /// At least this often each host is listed in full.
    pub every: Duration,
    /// A host that has not answered for so long is unknown.
    pub silence: Duration,
}

impl Rounds {
    /// Goes round until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks: HashMap<HostId, JoinHandle<()>> = HashMap::new();
        loop {
            match self.hosts().await {
                Ok(hosts) => {
                    for host in hosts {
                        tasks.entry(host).or_insert_with(|| {
                            let (watch, every, silence) = (self.watch.clone(), self.every, self.silence);
                            tokio::spawn(rounds_of(watch, host, every, silence, stop.child_token()))
                        });
                    }
                }
                Err(error) => tracing::warn!(%error, "host.watch.hosts_unread"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(Duration::from_secs(2)) => {}
            }
        }
        for (_, task) in tasks {
            let _ = task.await;
        }
    }

    /// All hosts; sets the gauges on the way.
    async fn hosts(&self) -> Result<Vec<HostId>, DbError> {
        let mut conn = self.watch.db.read().await?;
        let hosts = capacity::store::list_hosts(&mut conn).await?;
        for state in HostState::ALL {
            let count = hosts.iter().filter(|host| host.standing.state() == state).count();
            self.metrics.hosts(state.word(), count);
        }
        let now = self.watch.db.clock().now();
        self.metrics.hosts_are(&hosts.iter().map(|host| doing(host, now)).collect::<Vec<_>>());
        for (kind, count) in super::service::by_kind(&store::count_open(&mut conn).await?) {
            self.metrics.alarms(kind, count);
        }
        Ok(hosts.into_iter().map(|host| host.id).collect())
    }
}

/// What people see of one host.
#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
fn doing(host: &Host, now: Timestamp) -> HostUse {
    let share = |used: i64, limit: i64| if limit > 0 { used as f64 / limit as f64 } else { 0.0 };
    let (used, limit) = (host.used, host.limit);
    let silent = host.standing.contact_since.filter(|_| host.standing.contact == Contact::Unknown);
    HostUse {
        name: host.name.clone(),
        shares: [
            ("vcpus", share(used.vcpu, limit.vcpu)),
            ("memory", share(used.memory_bytes, limit.memory_bytes)),
            ("disk", share(used.disk_bytes, limit.disk_bytes)),
        ],
        silence_seconds: silent.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0)),
    }
}

async fn rounds_of(watch: Watch, host: HostId, every: Duration, silence: Duration, stop: CancellationToken) {
    let mut heard_at = Instant::now();
    let mut lost = false;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let pause = match watch.look(host).await {
            Ok(true) => {
                (heard_at, lost) = (Instant::now(), false);
                every
            }
            Ok(false) => {
                if !lost && heard_at.elapsed() >= silence {
                    let reason = format!("{} 秒没有回应", heard_at.elapsed().as_secs());
                    match watch.silent(host, &reason).await {
                        Ok(()) => lost = true,
                        Err(error) => tracing::warn!(host.id = %host, %error, "host.watch.unwritten"),
                    }
                }
                AGAIN.min(every)
            }
            Err(error) => {
                tracing::warn!(host.id = %host, %error, "host.watch.unwritten");
                AGAIN.min(every)
            }
        };
        let settle = settle(began.elapsed(), every);
        let provider = watch.providers.of(host).await.ok();
        let something = async {
            match &provider {
                // A host that does not answer has no news either.
                Some(provider) if pause == every => provider.changed().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            outcome = timeout(pause, something) => if outcome.is_ok() { sleep(settle).await },
        }
    }
}

/// How long to wait after an event for others to come, by how long the last listing took; never longer than a listing is
/// due anyway.
fn settle(took: Duration, every: Duration) -> Duration {
    SETTLE.max(took * LEAVE_ALONE).min(every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_take_a_tenth_of_the_time_at_most_and_come_at_least_when_due() {
        let (millis, every) = (Duration::from_millis, Duration::from_secs(30));
        assert_eq!(settle(millis(20), every), SETTLE);
        assert_eq!(settle(millis(300), every), millis(2700));
        assert_eq!(settle(Duration::from_secs(10), every), every);
        assert_eq!(settle(millis(20), millis(100)), millis(100));
    }
}
