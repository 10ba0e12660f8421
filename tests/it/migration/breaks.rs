//! Journeys that are broken on the way: each ends on the destination in the end, and never do both hosts run the machine.

use super::{Trip, WRITTEN, Watcher, halting};
use crate::support::{Dice, hosts::Hosts};
use jiyue::provider::{
    Destination, DomainType, Intent, Journey, Provider,
    libvirt::{LibvirtHost, LibvirtSettings},
};
use serde_json::{Value, json};
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What breaks, and how it is mended.
#[derive(Clone, Copy, Debug)]
enum Break {
    DestinationDaemon,
    SourceDaemon,
    Cable,
    DestinationHost,
    SourceHost,
    /// `kill -9` of the broker, a process of its own, and another one comes.
    Broker,
}

const ALL: [Break; 6] = [
    Break::Broker,
    Break::DestinationDaemon,
    Break::SourceDaemon,
    Break::Cable,
    Break::DestinationHost,
    Break::SourceHost,
];

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

/// A broker as a process of its own: this program again, with the one test below.
fn child(trip: &Trip<'_>, intent: &Intent) -> Child {
    let way = [trip.from, trip.to].map(|n| {
        let settings = trip.settings(n);
        json!({"name": settings.name, "uri": settings.uri, "pool": settings.pool, "pool_path": settings.pool_path})
    });
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "migration::breaks::a_broker_to_be_killed", "--ignored", "--nocapture"])
        .env("JIYUE_TEST_JOURNEY", json!({"way": way, "intent": intent}).to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program runs")
}

#[test]
#[ignore = "it is run by others, as a process that they kill"]
fn a_broker_to_be_killed() {
    let Ok(text) = std::env::var("JIYUE_TEST_JOURNEY") else { return };
    let said: Value = serde_json::from_str(&text).unwrap();
    let settings = |n: usize| {
        let word = |key: &str| said["way"][n][key].as_str().unwrap().to_owned();
        LibvirtSettings {
            name: word("name"),
            uri: word("uri"),
            insecure_networks: Vec::new(),
            pool: word("pool"),
            pool_path: word("pool_path"),
            domain_type: DomainType::Qemu,
            networks: Vec::new(),
        }
    };
    let intent: Intent = serde_json::from_value(said["intent"].clone()).unwrap();
    let journey = Journey { from: intent.clone(), to: intent, destination: Destination::Libvirt(settings(1)) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(LibvirtHost::new(settings(0)).migrate(&journey, &|_| ())).unwrap();
}

/// Breaks the journey and goes on with it as another broker. What it was found as at last.
async fn broken(trip: &Trip<'_>, intent: &Intent, journey: &Journey, by: Break, when: Option<Duration>) {
    let begun = Instant::now();
    let mut doomed = matches!(by, Break::Broker).then(|| child(trip, intent));
    let first = doomed.is_none().then(|| {
        let (host, journey) = (trip.host(trip.from), journey.clone());
        tokio::spawn(async move { host.migrate(&journey, &|_| ()).await })
    });
    match when {
        Some(delay) => tokio::time::sleep(delay).await,
        None => trip.under_way(intent).await,
    }
    by.strike(trip.hosts, trip);
    let struck = begun.elapsed();
    if let Some(child) = &mut doomed {
        child.kill().expect("it is there to be killed");
        println!("{by:?} after {struck:.1?}: {:?}", child.wait());
    }
    if let Some(first) = first {
        // It may notice late, and then two brokers are at it.
        let noticed = tokio::time::timeout(Duration::from_secs(4), first).await;
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
    for by in ALL {
        let trip = Trip::new(&hosts, 1, 2).await;
        let intent = trip.intent(halting());
        trip.build_running(&intent).await;
        trip.slow_down(&intent);
        let watcher = Watcher::over(&trip, &intent);
        broken(&trip, &intent, &trip.journey(&intent), by, None).await;
        assert_eq!(watcher.doubles(), [""; 0], "both hosts ran it");
        // Only a host that lost its power has stopped it.
        trip.assert_arrived(&intent, if matches!(by, Break::SourceHost) { "shut off" } else { "running" });
        assert!(trip.is_scribbled(2, &intent, 7, WRITTEN));
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
        let by = dice.pick(&ALL);
        let when = Duration::from_millis(dice.below(2000));
        let trip = Trip::new(&hosts, 1, 2).await;
        let intent = trip.intent(halting());
        let asleep = dice.once_in(2);
        if asleep {
            trip.build(&intent).await;
        } else {
            trip.build_running(&intent).await;
        }
        println!("{} at {when:?}", if asleep { "asleep" } else { "awake" });
        let watcher = Watcher::over(&trip, &intent);
        broken(&trip, &intent, &trip.journey(&intent), by, Some(when)).await;
        assert_eq!(watcher.doubles(), [""; 0], "both hosts ran it");
        // A host that lost its power may have had it then, or no longer, or not yet.
        let cut = matches!(by, Break::SourceHost | Break::DestinationHost) && trip.state(2, &intent) == "shut off";
        trip.assert_arrived(&intent, if asleep || cut { "shut off" } else { "running" });
        assert!(trip.is_scribbled(2, &intent, 7, WRITTEN));
    }
}
