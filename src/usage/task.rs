//! The collector's rounds: every host and every source at its time, each on its own, so that one that hangs holds up no other.

use super::{service::Collector, source::service::origin};
use crate::{
    capacity::{self, standing::Contact},
    db::DbError,
    ids::HostId,
};
use std::{collections::HashMap, time::Duration};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

/// Between two looks at whose time has come; brokers that share the work look at different instants.
const LOOK: Duration = Duration::from_secs(1);

/// Goes round until `stop`.
pub async fn run(collector: Collector, stop: CancellationToken) {
    let mut rounds: HashMap<String, JoinHandle<()>> = HashMap::new();
    // Of a day that is over, whoever comes first after its end.
    let mut closed_on = None;
    while !stop.is_cancelled() {
        rounds.retain(|_, round| !round.is_finished());
        match hosts(&collector).await {
            Ok(hosts) => {
                for host in hosts {
                    begin(
                        &mut rounds,
                        host.text(),
                        &collector,
                        |collector| async move { collector.collect(host).await },
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "usage.hosts_unread"),
        }
        for source in collector.sources.iter().cloned() {
            let key = origin(&source.name);
            begin(&mut rounds, key, &collector, |collector| async move { collector.collect_source(&source).await });
        }
        let today = collector.db.clock().today();
        if closed_on != Some(today) {
            match collector.close_silent().await {
                Ok(0) => closed_on = Some(today),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "usage.days_unclosed"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LOOK) => {}
        }
    }
    for (_, round) in rounds {
        // What was read and is not written yet is one minute's sample.
        round.abort();
    }
}

/// Begins a round, unless the last one of its kind is still under way.
fn begin<F>(
    rounds: &mut HashMap<String, JoinHandle<()>>,
    origin: String,
    collector: &Collector,
    round: impl FnOnce(Collector) -> F,
) where
    F: Future<Output = Result<(), DbError>> + Send + 'static,
{
    rounds.entry(origin.clone()).or_insert_with(|| {
        let round = round(collector.clone());
        tokio::spawn(async move {
            if let Err(error) = round.await {
                tracing::warn!(origin, %error, "usage.unwritten");
            }
        })
    });
}

/// Hosts that answered when they were last looked at.
async fn hosts(collector: &Collector) -> Result<Vec<HostId>, DbError> {
    let mut conn = collector.db.read().await?;
    let hosts = capacity::store::list_hosts(&mut conn).await?;
    Ok(hosts.into_iter().filter(|host| host.standing.contact == Contact::Reachable).map(|host| host.id).collect())
}
