//! What happens in the one moment in which it does harm: a byte that changes on its way, a disk that becomes another between
//! the look at it and its copy, and either side started by hand after the last look of the plan. The broker stands still
//! there, and goes on when it has happened.

use super::{
    CLOUD, District, LIMIT, MIB, Old,
    away::{stand_still_at, stopped},
    old_disk, text,
};
use crate::support::{broker, hosts};
use serde_json::json;
use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// The copy that lies at the machine's host.
fn copy_of(district: &District<'_>, machine: &str) -> PathBuf {
    let folder = district.hosts.seen_from_here(CLOUD, &format!("/var/lib/libvirt/{}", district.name));
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(machine) && name.contains(".import-")
    };
    files.into_iter().find(ours).expect("a copy")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_that_differs_at_the_other_end_starts_nothing_and_is_copied_anew() {
    let hosts = hosts::shared();
    let mut district = District::new(hosts, (220, 221), broker::halting_image(), true).await;
    let old = Old::new(hosts);
    let machine = district.build("oa", |_| ()).await;
    stand_still_at(&mut district, "disk_import.check").await;
    let (id, operation) = district.begin(&old, &machine).await;
    stopped(&district).await;
    // Far from its head, in the midst of what the old guest has written.
    let copy = OpenOptions::new().read(true).write(true).open(copy_of(&district, &machine)).unwrap();
    let (at, mut byte) = (5 * MIB as u64 + 7, [0]);
    copy.read_exact_at(&mut byte, at).unwrap();
    copy.write_all_at(&[byte[0] ^ 1], at).unwrap();
    drop(copy);
    district.broker().signal("CONT");
    let began = Instant::now();
    while !district.broker().log().contains("disk_import.differs") {
        assert!(began.elapsed() < LIMIT, "nobody has noticed:\n{}", district.broker().log());
        assert_ne!(district.machine_state(&machine), "running", "it runs on what nobody has checked");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    district.done(&operation).await;
    district.assert_moved(&old, &machine);
    assert_eq!(district.import(&id).await["sha256"], json!(old.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_names_another_file_by_the_time_of_its_copy_stays_where_it_is() {
    let hosts = hosts::shared();
    let mut district = District::new(hosts, (222, 223), broker::halting_image(), true).await;
    let folder = crate::support::scratch("turning");
    let qemu_img = |args: &[&str]| {
        let done = Command::new("qemu-img").current_dir(&folder).args(args).status();
        assert!(done.unwrap().success(), "{args:?}");
    };
    std::fs::write(folder.join("plain.img"), old_disk()).unwrap();
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", "plain.img", "good.qcow2"]);
    qemu_img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-u", "-b", "/etc/passwd", "bad.qcow2", "16M"]);
    let old = Old::with(hosts, "qcow2", &std::fs::read(folder.join("good.qcow2")).unwrap(), "");
    let machine = district.build("oa", |_| ()).await;
    stand_still_at(&mut district, "disk_import.copy").await;
    let (id, operation) = district.begin(&old, &machine).await;
    stopped(&district).await;
    std::fs::copy(folder.join("bad.qcow2"), &old.file).unwrap();
    district.broker().signal("CONT");
    let done = district.broker().finished(&operation, &district.cast.operator, LIMIT).await;
    assert_eq!(done["state"], "failed", "{done:#}");
    assert!(text(&done, "reason").contains("后备文件"), "{done:#}");
    let import = district.import(&id).await;
    assert_eq!((&import["state"], &import["copied_bytes"]), (&json!("failed"), &json!(0)), "{import:#}");
    assert_eq!(old.state(), "running", "it goes on as it was found");
    assert_eq!(district.volumes(&machine), ["console.log", "root.qcow2", "seed.img"], "nothing of it has come");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_starts_beside_the_other_that_somebody_has_started_after_the_last_look() {
    let hosts = hosts::shared();
    let mut district = District::new(hosts, (224, 225), broker::halting_image(), true).await;
    let old = Old::new(hosts);
    let machine = district.build("oa", |_| ()).await;

    // There: both were seen to be off, the machine's definition names the copy, and now the old guest is started by hand.
    stand_still_at(&mut district, "disk_import.start_machine.defined").await;
    let (id, operation) = district.begin(&old, &machine).await;
    stopped(&district).await;
    old.virsh(&["start", &old.name]);
    district.broker().signal("CONT");
    let log = "the old guest is running";
    refuses(&district, log, || district.machine_state(&machine) == "running").await;
    // It has written since: what was copied is not what it has now.
    district.done(&operation).await;
    district.assert_moved(&old, &machine);
    assert!(district.broker().log().contains("deed=\"anew\""), "{}", district.broker().log());

    // And back: the machine has its own disk again, was seen to be off, and is started by hand.
    stand_still_at(&mut district, "disk_import.back.start_old").await;
    let back = district.roll_back(&id).await;
    stopped(&district).await;
    hosts.virsh(CLOUD, &["start", &machine]).unwrap();
    district.broker().signal("CONT");
    refuses(&district, "the machine is running", || old.state() == "running").await;
    district.done(&back).await;
    district.assert_returned(&old, &machine);
}

/// The intent says so already and the definition does not yet: a machine that somebody starts then runs from its own empty
/// disk, which is no move.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_started_by_hand_from_its_own_disk_has_not_moved() {
    let hosts = hosts::shared();
    let mut district = District::new(hosts, (226, 227), broker::halting_image(), true).await;
    let old = Old::new(hosts);
    let machine = district.build("oa", |_| ()).await;
    let (_, operation) = district.begin_and_die(&old, &machine, "disk_import.start_machine").await;
    hosts.virsh(CLOUD, &["start", &machine]).unwrap();
    district.start(&[]).await;
    district.done(&operation).await;
    district.assert_moved(&old, &machine);
}

/// Waits until the broker has said that it does not start the one because of the other, which until then must not run.
async fn refuses(district: &District<'_>, why: &str, runs: impl Fn() -> bool) {
    let began = Instant::now();
    while !district.broker().log().contains(why) {
        assert!(!runs(), "it was started all the same:\n{}", district.broker().log());
        assert!(began.elapsed() < LIMIT, "nothing is refused:\n{}", district.broker().log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
