//! Journeys that are broken on the way: each ends on the destination in the end, and never do both hosts run the machine.

use super::{Trip, Watcher, halting};
use crate::support::{Dice, hosts::Hosts};
use jiyue::provider::{Intent, Journey, Provider};
use std::time::{Duration, Instant};

/// What breaks, and how it is mended.
#[derive(Clone, Copy, Debug)]
enum Break {
    DestinationDaemon,
    SourceDaemon,
    Cable,
    DestinationHost,
    SourceHost,
    /// The broker's task is dropped, and another broker comes.
    Broker,
}

impl Break {
    fn strike(self, hosts: &Hosts, trip: &Trip<'_>) {
        match self {
            Self::DestinationDaemon => hosts.kill_daemon(trip.to),
            Self::SourceDaemon => hosts.kill_daemon(trip.from),
            Self::Cable => hosts.cut(trip.to),
            Self::DestinationHost => hosts.kill(trip.to),
            Self::SourceHost => hosts.kill(trip.from),
            Self::Broker => {}
        }
    }

    fn mend(self, hosts: &Hosts, trip: &Trip<'_>) {
        match self {
            Self::DestinationDaemon => hosts.start_daemon(trip.to),
            Self::SourceDaemon => hosts.start_daemon(trip.from),
            Self::Cable => hosts.mend(trip.to),
            Self::DestinationHost => hosts.boot(trip.to),
            Self::SourceHost => hosts.boot(trip.from),
            Self::Broker => {}
        }
    }
}

/// Breaks the journey and goes on with it as another broker. What it was found as at last.
async fn broken(trip: &Trip<'_>, intent: &Intent, journey: &Journey, by: Break, when: Option<Duration>) {
    let begun = Instant::now();
    let first = {
        let (host, journey) = (trip.host(trip.from), journey.clone());
        tokio::spawn(async move { host.migrate(&journey, &|_| ()).await })
    };
    match when {
        Some(delay) => tokio::time::sleep(delay).await,
        None => trip.under_way(intent).await,
    }
    by.strike(trip.hosts, trip);
    let struck = begun.elapsed();
    if matches!(by, Break::Broker) {
        first.abort();
    } else {
        // Whether it notices soon or late, it does not claim to have arrived when it has not.
        let noticed = tokio::time::timeout(Duration::from_secs(8), first).await;
        println!("{by:?} after {struck:.1?}: {noticed:?}");
    }
    by.mend(trip.hosts, trip);
    trip.speed_up(intent);
    trip.insist(journey).await;
    println!("{by:?}: arrived {:.1?} after it was struck", begun.elapsed().checked_sub(struck).unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_in_the_middle_it_arrives_once() {
    // Hosts that are killed are nobody else's.
    let hosts = Hosts::up(2);
    for by in [
        Break::Broker,
        Break::DestinationDaemon,
        Break::SourceDaemon,
        Break::Cable,
        Break::DestinationHost,
        Break::SourceHost,
    ] {
        let trip = Trip::new(&hosts, 1, 2).await;
        let intent = trip.intent(halting());
        trip.build_running(&intent).await;
        trip.slow_down(&intent);
        let watcher = Watcher::over(&trip, &intent);
        broken(&trip, &intent, &trip.journey(&intent), by, None).await;
        watcher.done();
        // Only a host that lost its power has stopped it.
        trip.assert_arrived(&intent, if matches!(by, Break::SourceHost) { "shut off" } else { "running" });
        trip.assert_scribbled(2, &intent, 7, 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_at_any_instant_it_arrives_once() {
    let hosts = Hosts::up(2);
    let mut dice = Dice::from_env();
    println!("seed {}", dice.seed);
    // A campaign sets a number of its own.
    let trials = std::env::var("JIYUE_TEST_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    for _ in 0..trials {
        let by = dice.pick(&[Break::Broker, Break::DestinationDaemon, Break::SourceDaemon, Break::Cable]);
        let when = Duration::from_millis(dice.below(2500));
        let trip = Trip::new(&hosts, 1, 2).await;
        let intent = trip.intent(halting());
        trip.build_running(&intent).await;
        let watcher = Watcher::over(&trip, &intent);
        broken(&trip, &intent, &trip.journey(&intent), by, Some(when)).await;
        watcher.done();
        trip.assert_arrived(&intent, "running");
        trip.assert_scribbled(2, &intent, 7, 8);
    }
}
