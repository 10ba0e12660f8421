//! `kill -9` at every step of an import and of its way back: after the restart it goes on, and exactly one of the two runs.

use super::{District, Old, Watcher, text};
use crate::support::{broker, hosts};
use serde_json::json;
use std::{collections::VecDeque, sync::Mutex, time::Instant};

/// On the way there; the numbers count the pieces of the copy.
const FORWARD: [&str; 13] = [
    "disk_import.note",
    "disk_import.stop_machine",
    "disk_import.quiet",
    "disk_import.stop_old",
    "disk_import.copy",
    "disk_import.copy.1",
    "disk_import.copy.3",
    "disk_import.copy.4",
    "disk_import.check",
    "disk_import.give",
    "disk_import.start_machine",
    "disk_import.start_machine.defined",
    "disk_import.done",
];
/// On the way back.
const BACK: [&str; 7] = [
    "disk_import.back.stop_machine",
    "disk_import.back.take",
    "disk_import.take.defined",
    "disk_import.back.start_old",
    "disk_import.back.autostart",
    "disk_import.back.done",
    "disk_import.back.home",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_step_there_or_back_exactly_one_runs_after_the_restart() {
    // The way back is walked after every way there, so each of its points is met along the way, and each way there is ended
    // by a way back; the last of each lane ends for good.
    let pairs = FORWARD.iter().enumerate().map(|(n, there)| (*there, BACK[n % BACK.len()]));
    let queue: Mutex<VecDeque<_>> = Mutex::new(pairs.collect());
    std::thread::scope(|scope| {
        for lane in 0..3_u8 {
            let queue = &queue;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                runtime.expect("a runtime").block_on(walk(lane, queue));
            });
        }
    });
}

async fn walk(lane: u8, queue: &Mutex<VecDeque<(&str, &str)>>) {
    let hosts = hosts::shared();
    let first = 210 + 2 * lane;
    let mut district = District::new(hosts, (first, first + 1), broker::halting_image(), true).await;
    let old = Old::new(hosts);
    let machine = district.build("oa", |_| ()).await;
    let watcher = Watcher::over(&old, &machine);
    loop {
        let Some((there, back)) = queue.lock().unwrap().pop_front() else { break };
        let began = Instant::now();
        // There. The machine is running its own disk each time, as when it was delivered.
        if district.machine_state(&machine) != "running" {
            let start = district.on_machine(&machine, "start").await.expect(202);
            district.done(&text(&start, "id")).await;
        }
        let (id, operation) = district.begin_and_die(&old, &machine, there).await;
        district.start(&[]).await;
        district.done(&operation).await;
        district.assert_moved(&old, &machine);
        let import = district.import(&id).await;
        assert_eq!((text(&import, "state").as_str(), &import["sha256"]), ("moved", &json!(old.digest)), "{there}");
        // A broker that died went on where it stood: no more than one piece was sent twice.
        assert!(import["sent_bytes"].as_u64().unwrap() <= (28 << 20), "{there}: {import:#}");

        // And back.
        let operation = district.roll_back_and_die(&id, back).await;
        district.start(&[]).await;
        district.done(&operation).await;
        district.assert_returned(&old, &machine);
        assert_eq!(district.import(&id).await["state"], "returned", "{back}");
        eprintln!("{there}, {back}: {:.1?}", began.elapsed());
    }
    turned_back(&mut district, &old, &machine, lane).await;
    for_good(&mut district, &old, &machine, lane).await;
    watcher.assert_never_both();
    district.books_agree().await;
}

/// Somebody changes her mind in the midst of it, and the broker dies on the way back.
async fn turned_back(district: &mut District<'_>, old: &Old<'_>, machine: &str, lane: u8) {
    let there = ["disk_import.copy.1", "disk_import.start_machine", "disk_import.stop_old"][usize::from(lane)];
    let back = ["disk_import.turned_back", "disk_import.take.defined", "disk_import.back.start_old"][usize::from(lane)];
    let (id, operation) = district.begin_and_die(old, machine, there).await;
    // Nobody works on it while she says so.
    district.start(&[("JIYUE_WORKER_WIDTH", "0")]).await;
    assert_eq!(district.roll_back(&id).await, operation);
    // Where the old guest was never stopped there is nothing to start, and the way back passes that point by.
    let dies = lane != 2;
    if dies {
        district.spawn(&[("JIYUE_CRASH_AT", back)]);
        district.died(back);
        district.start(&[]).await;
    } else {
        district.start(&[("JIYUE_CRASH_AT", back)]).await;
    }
    let done = district.broker().finished(&operation, &district.cast.operator, super::LIMIT).await;
    assert_eq!(done["state"], "cancelled", "{done:#}");
    assert_eq!(old.state(), "running");
    assert!(old.autostarts());
    old.assert_whole();
    assert_eq!(district.import(&id).await["state"], "returned");
    // A copy that nothing ever ran from is gone.
    assert!(!district.disk_of(machine).to_string_lossy().contains(".import-"));
}

/// Killed once more, moved, and finished.
async fn for_good(district: &mut District<'_>, old: &Old<'_>, machine: &str, lane: u8) {
    let there = ["disk_import.copy.3", "disk_import.give", "disk_import.start_machine.defined"][usize::from(lane)];
    let (id, operation) = district.begin_and_die(old, machine, there).await;
    district.start(&[]).await;
    district.done(&operation).await;
    district.assert_moved(old, machine);
    district.finish(&id).await.expect(200);
    district.assert_moved(old, machine);
}
