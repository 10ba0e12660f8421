//! Hosts that cannot be asked, in the midst of a copy and after it: nobody is taken for off who cannot be asked.

use super::{CLOUD, District, Old, ROOM, text};
use crate::support::{broker, hosts::Hosts};
use serde_json::json;
use std::time::{Duration, Instant};

/// What is given to whoever must not start, to show that it does not.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_broke_off_goes_on_and_nobody_is_taken_for_off_who_cannot_be_asked() {
    let hosts = &Hosts::up(2);
    let mut district = District::new(hosts, (200, 205), broker::halting_image(), true).await;
    let old = Old::new(hosts);
    let machine = district.build("oa", |_| ()).await;

    // The cloud's daemon dies when one piece is there, and the rest has still to come.
    stand_still_at(&mut district, "disk_import.copy.1").await;
    let (id, operation) = district.begin(&old, &machine).await;
    stopped(&district).await;
    hosts.kill_daemon(CLOUD);
    district.broker().signal("CONT");
    postponed(&mut district, &operation).await;
    assert_eq!(old.state(), "shut off");
    hosts.start_daemon(CLOUD);
    assert_eq!(district.machine_state(&machine), "shut off");
    district.done(&operation).await;
    district.assert_moved(&old, &machine);
    let import = district.import(&id).await;
    // Twenty MiB were to be sent; had it started over, the first eight would have been sent twice.
    assert_eq!(import["sent_bytes"], json!(20 << 20), "{import:#}");
    let went_on = |line: &str| line.contains("disk_import.copy") && line.contains("from=8388608");
    assert!(district.broker().log().lines().any(went_on), "it went on: {}", district.broker().log());

    // The room's host cannot be asked: the machine, once stopped, does not start, for nobody knows what the old guest does.
    let stop = district.on_machine(&machine, "stop").await.expect(202);
    district.done(&text(&stop, "id")).await;
    hosts.kill_daemon(ROOM);
    let unproven = district.finish(&id).await;
    assert_eq!(unproven.code(), "source_host_unreachable", "{unproven:?}");
    let start = district.on_machine(&machine, "start").await.expect(202);
    stays(&district, || district.machine_state(&machine) == "shut off", "the machine stays off").await;
    let path = format!("/v1/operations/{}", text(&start, "id"));
    let waiting = district.broker().get(&path, &district.cast.operator).await.expect(200);
    assert_eq!(waiting["finished_at"], json!(null), "{waiting:#}");
    hosts.start_daemon(ROOM);
    district.done(&text(&start, "id")).await;
    district.assert_moved(&old, &machine);

    // On the way back the cloud's host cannot be asked: the old guest stays off until the machine was seen to be off.
    stand_still_at(&mut district, "disk_import.back.stop_machine").await;
    let back = district.roll_back(&id).await;
    stopped(&district).await;
    hosts.kill_daemon(CLOUD);
    district.broker().signal("CONT");
    stays(&district, || old.state() == "shut off", "the old guest stays off").await;
    hosts.start_daemon(CLOUD);
    district.done(&back).await;
    district.assert_returned(&old, &machine);

    // With the room's host away in the midst of the copy, nobody runs until it is back.
    stand_still_at(&mut district, "disk_import.copy.3").await;
    let (_, operation) = district.begin(&old, &machine).await;
    stopped(&district).await;
    hosts.kill_daemon(ROOM);
    district.broker().signal("CONT");
    postponed(&mut district, &operation).await;
    assert_eq!(district.machine_state(&machine), "shut off");
    hosts.start_daemon(ROOM);
    assert_eq!(old.state(), "shut off", "it does not start with its host's daemon");
    district.done(&operation).await;
    district.assert_moved(&old, &machine);
}

/// The next broker stands still there. Its lease outlives that.
pub(super) async fn stand_still_at(district: &mut District<'_>, point: &str) {
    district.start(&[("JIYUE_TEST_STOP_AT", point), ("JIYUE_WORKER_LEASE_SECONDS", "120")]).await;
}

/// Waits until the broker stands still at its point.
pub(super) async fn stopped(district: &District<'_>) {
    let stat = format!("/proc/{}/stat", district.broker().pid());
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(&stat).unwrap_or_default();
        if text.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "it does not come to its point:\n{}",
            district.broker().log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the operation was let go of, with a reason.
pub(super) async fn postponed(district: &mut District<'_>, operation: &str) {
    let began = Instant::now();
    let sql =
        format!("select count(*) from operations where id = '{operation}' and run_after > 0 and reason is not null");
    while district.sql.number(&sql).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(120), "it is not put off:\n{}", district.broker().log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn stays(district: &District<'_>, so: impl Fn() -> bool, what: &str) {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        assert!(so(), "{what}:\n{}", district.broker().log());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
