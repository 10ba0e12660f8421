//! The collector's rounds: every host at its time, each on its own, so that one that hangs holds up no other.

use super::service::Collector;
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
    let mut rounds: HashMap<HostId, JoinHandle<()>> = HashMap::new();
    // Of a day that is over, whoever comes first after its end.
    let mut closed_on = None;
    while !stop.is_cancelled() {
        match hosts(&collector).await {
            Ok(hosts) => {
                rounds.retain(|_, round| !round.is_finished());
                for host in hosts {
                    let collector = &collector;
                    rounds.entry(host).or_insert_with(|| {
                        let collector = collector.clone();
                        tokio::spawn(async move {
                            if let Err(error) = collector.collect(host).await {
                                tracing::warn!(host.id = %host, %error, "usage.unwritten");
                            }
                        })
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "usage.hosts_unread"),
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

/// Hosts that answered when they were last looked at.
async fn hosts(collector: &Collector) -> Result<Vec<HostId>, DbError> {
    let mut conn = collector.db.read().await?;
    let hosts = capacity::store::list_hosts(&mut conn).await?;
    Ok(hosts.into_iter().filter(|host| host.standing.contact == Contact::Reachable).map(|host| host.id).collect())
}
