//! What machines are found to use, on real guests and real domains; and guests that lie.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::format_push_string,
    reason = "plain words and small figures in a test"
)]

use super::{Place, UP_TO_DOMAIN, ensure};
use crate::support::{
    farm::{Farm, mark},
    intent,
    libvirt::small_guest,
    ssh::Key,
};
use jiyue::{
    ids::MachineId,
    provider::{ImageFormat, Intent, Part, Provider, ProviderError, libvirt::LibvirtHost, reading::Reading},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Between two questions to an agent, in these tests.
const PAUSE: Duration = Duration::from_secs(2);

async fn read(host: &LibvirtHost, machine: MachineId) -> Reading {
    let readings = host.readings().await.unwrap();
    readings.into_iter().find(|(id, _)| *id == machine).expect("it runs").1
}

/// Looks do not wait for whoever is silent, who would be waited for each time. The quickest of some: this machine has other
/// work, too.
async fn nobody_is_waited_for(host: &LibvirtHost) {
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        host.readings().await.unwrap();
        quickest = quickest.min(began.elapsed());
        sleep(PAUSE / 2).await;
    }
    assert!(quickest < Duration::from_secs(4), "the quickest of five looks took {quickest:.1?}");
}

/// Reads until it is as wanted.
async fn until(host: &LibvirtHost, machine: MachineId, wanted: impl Fn(&Reading) -> bool) -> Reading {
    let began = Instant::now();
    loop {
        let reading = read(host, machine).await;
        if wanted(&reading) {
            return reading;
        }
        assert!(began.elapsed() < Duration::from_secs(45), "{reading:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Percent of what was allocated.
fn busy(before: &Reading, after: &Reading) -> f64 {
    assert_eq!(before.life, after.life);
    let nanos = after.cpu_nanos.unwrap().checked_sub(before.cpu_nanos.unwrap()).expect("it only grows");
    let passed = after.at.duration_since(before.at).as_secs_f64();
    nanos as f64 / 1e7 / passed / f64::from(after.vcpus.unwrap())
}

/// Seconds for which its only processor was ready to run and did not.
fn waited(intent: &Intent) -> f64 {
    let told = super::virsh(&["domstats", "--vcpu", &intent.name]);
    let delay = told.lines().find_map(|line| line.trim().strip_prefix("vcpu.0.delay="));
    delay.map_or(0.0, |nanos| nanos.parse::<f64>().unwrap() / 1e9)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_real_guests_use_is_read() {
    let place = Place::new().await;
    let host = place.again().asking_agents_every(PAUSE);
    let key = Key::new();
    let image = intent::image(small_guest(), ImageFormat::Qcow2);
    let guest = |last| Intent { ssh_keys: vec![key.public()], ..place.intent(last, image.clone()) };
    let (hard, idle) = (guest(10), guest(11));
    for intent in [&hard, &idle] {
        for part in UP_TO_DOMAIN.into_iter().chain([Part::Power]) {
            ensure(&host, part, intent).await;
        }
    }
    for intent in [&hard, &idle] {
        ensure(&host, Part::Answer, intent).await;
    }
    let run = |intent: &Intent, command: &str, input: &str| {
        let address = intent.network.address.to_string();
        key.run(&address, command, input).unwrap_or_else(|error| panic!("{command}: {error:?}"))
    };
    bytes_are_counted(&host, &hard, &run).await;

    run(&hard, "setsid sh -c 'while :; do :; done' > /dev/null 2>&1 < /dev/null &", "");
    // What its processor was kept waiting by this machine's other work is not its idleness; and the other guest may have
    // something to finish yet.
    let mut windows = Vec::new();
    loop {
        let waited = waited(&hard);
        let before = (read(&host, hard.machine).await, read(&host, idle.machine).await);
        sleep(Duration::from_secs(10)).await;
        let after = (read(&host, hard.machine).await, read(&host, idle.machine).await);
        let waited = (self::waited(&hard) - waited) / after.0.at.duration_since(before.0.at).as_secs_f64();
        let (one, other) = (busy(&before.0, &after.0), busy(&before.1, &after.1));
        windows.push((one, 100.0 * waited, other));
        assert!(one < 102.0 && other < 102.0, "{windows:?}");
        if one > 80.0 * (1.0 - waited) && one > 20.0 && other < 15.0 {
            break;
        }
        assert!(windows.len() < 6, "{windows:?}");
    }
    println!("percent busy, kept waiting, and idle, in windows of 10 s: {windows:.1?}");

    for intent in [&hard, &idle] {
        let reading = until(&host, intent.machine, |r| r.memory_used.is_some() && r.guest.is_some()).await;
        println!("{reading:?}");
        assert_eq!((reading.vcpus, reading.memory), (Some(1), Some(intent.memory)));
        let used = reading.memory_used.unwrap().get();
        assert!((4 << 20..intent.memory.get()).contains(&used), "{used}");
        let told = reading.guest.unwrap();
        assert_eq!((told.logins, told.addresses), (vec![], vec![intent.network.address.into()]));
        let state = told.filesystems.iter().find(|fs| fs.mountpoint == "/state").expect("its state partition");
        assert!(state.used.get() > 0 && state.used < state.total && state.total.get() > 512 << 20, "{state:?}");
    }
    liars_are_cut_short(&host, &idle, &hard, &run).await;

    let before = read(&host, idle.machine).await;
    host.remove(Part::Power, &idle).await.unwrap();
    // Other tests have machines on the same daemon.
    assert!(host.readings().await.unwrap().iter().all(|(id, _)| *id != idle.machine));
    ensure(&host, Part::Power, &idle).await;
    let after = read(&host, idle.machine).await;
    assert_ne!(before.life, after.life);
    // What was heard in another life is not this one's.
    assert_eq!(after.guest, None);
    for intent in [&hard, &idle] {
        super::remove_all(&host, intent).await;
    }
    place.assert_clean();
}

/// Each way is counted as the guest sees it.
async fn bytes_are_counted(host: &LibvirtHost, intent: &Intent, run: &impl Fn(&Intent, &str, &str) -> String) {
    const MANY: u64 = 2_000_000;
    let text = "x".repeat(MANY as usize);
    let counters = |r: &Reading| [r.received_bytes, r.sent_bytes, r.written_bytes, r.read_bytes].map(Option::unwrap);
    let before = counters(&read(host, intent.machine).await);
    run(intent, "cat > /state/bytes; sync", &text);
    let middle = counters(&read(host, intent.machine).await);
    assert_eq!(run(intent, "echo 3 > /proc/sys/vm/drop_caches; cat /state/bytes", "").len(), text.len());
    let after = counters(&read(host, intent.machine).await);
    let grown =
        |from: [u64; 4], to: [u64; 4]| [0, 1, 2, 3].map(|n| to[n].checked_sub(from[n]).unwrap() > MANY * 9 / 10);
    assert_eq!(grown(before, middle), [true, false, true, false], "{before:?} {middle:?}");
    let [received, sent, _, read] = grown(middle, after);
    // The file system still makes itself ready meanwhile, and writes.
    assert_eq!([received, sent, read], [false, true, true], "{middle:?} {after:?}");
}

/// A guest's own agent, as whoever owns the guest may write it: it answers each command with a file, or not at all.
const AGENT: &str = r#"
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = org.qemu.guest_agent.0 ] && device=/dev/${port##*/}
done
exec 3<> "$device"
while :; do
  while read -r line <&3; do
    case $line in
      *guest-sync*) echo "{\"return\": $(echo "$line" | tr -cd 0-9)}" >&3 ;;
      *) file=/answers/$(echo "$line" | sed 's/.*"execute": *"\([a-z-]*\)".*/\1/')
        [ ! -f "$file" ] || cat "$file" >&3 ;;
    esac
  done
  sleep 0.2
done
"#;

async fn liars_are_cut_short(
    host: &LibvirtHost,
    liar: &Intent,
    honest: &Intent,
    run: &impl Fn(&Intent, &str, &str) -> String,
) {
    let answer = |command: &str, answer: &Value| {
        let text = json!({"return": answer}).to_string() + "\n";
        run(liar, &format!("cat > /answers/new && mv /answers/new /answers/{command}"), &text);
    };
    // It greets, and then says nothing.
    run(
        liar,
        "mkdir /answers; cat > /agent; kill $(cat /run/qemu-ga.pid); sleep 1; setsid sh /agent > /dev/null 2>&1 < /dev/null &",
        AGENT,
    );
    until(host, liar.machine, |r| r.guest.is_none()).await;
    nobody_is_waited_for(host).await;
    until(host, honest.machine, |r| r.guest.is_some()).await;

    // It speaks at last, and more than anybody wants to hear. That it was waited for in vain has not cost its channel.
    let users: Vec<_> =
        (0..300).map(|n| json!({"user": format!("{n}\u{1b}[2J{}", "甲".repeat(300)), "login-time": 1.5})).collect();
    let filesystems: Vec<_> = (0..90)
        .map(|n| {
            json!({"name": "vda", "mountpoint": format!("/{n}\n{}", "m".repeat(300)), "type": "ext4", "disk": [],
            "total-bytes": 1000, "used-bytes": n})
        })
        .collect();
    let addresses: Vec<_> = (0..200)
        .map(|n| json!({"ip-address": format!("10.250.0.{n}"), "ip-address-type": "ipv4", "prefix": 24}))
        .collect();
    answer("guest-get-fsinfo", &json!(filesystems));
    answer("guest-network-get-interfaces", &json!([{"name": "eth0", "ip-addresses": addresses}]));
    answer("guest-get-users", &json!(users));
    let told = until(host, liar.machine, |r| r.guest.is_some()).await.guest.unwrap();
    assert_eq!((told.logins.len(), told.filesystems.len(), told.addresses.len()), (64, 64, 64));
    for name in told.logins.iter().chain(told.filesystems.iter().map(|fs| &fs.mountpoint)) {
        assert!(name.chars().count() == 64 && !name.chars().any(char::is_control), "{name:?}");
    }

    // So much that libvirt does not pass it on; what is no list; and what is no answer.
    let more: Vec<_> = (0..3000).map(|n| json!({"user": n.to_string(), "login-time": 1.5})).collect();
    for nonsense in [json!(more), json!({"user": 1}), json!([{"user": ["root"]}])] {
        answer("guest-get-users", &nonsense);
        until(host, liar.machine, |r| r.guest.is_none()).await;
        answer("guest-get-users", &json!([{"user": "root", "login-time": 1.5}]));
        let told = until(host, liar.machine, |r| r.guest.is_some()).await.guest.unwrap();
        assert_eq!(told.logins, ["root"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_is_at_our_own_and_whole_or_an_error() {
    let farm = Farm::new();
    assert_eq!(farm.told().await, []);
    let [ours, unmarked, copied] = [(); 3].map(|()| MachineId::new());
    // One with the mark of another machine is as foreign as one without.
    farm.start([(ours, mark(ours)), (unmarked, String::new()), (copied, mark(ours))]);
    for _ in 0..2 {
        assert_eq!(farm.told().await, [ours]);
    }
    let before = read(&farm.host, ours).await;
    assert_eq!((before.read_bytes, before.sent_bytes, before.memory_used), (Some(0), Some(0), None));

    farm.virsh(&["suspend", &ours.text()]);
    assert_eq!(farm.told().await, []);
    farm.virsh(&["resume", &ours.text()]);
    assert_eq!(farm.told().await, [ours]);

    farm.libvirt.kill_daemon();
    for _ in 0..2 {
        let lost = farm.host.readings().await;
        assert!(matches!(lost, Err(ProviderError::Unreachable { .. })), "{lost:?}");
    }
    farm.libvirt.start_daemon();
    let after = read(&farm.host, ours).await;
    assert_eq!((after.life, after.cpu_nanos >= before.cpu_nanos), (before.life, true));
    farm.virsh(&["destroy", &ours.text()]);
    assert_eq!(farm.told().await, []);
    farm.virsh(&["start", &ours.text()]);
    assert_ne!(read(&farm.host, ours).await.life, after.life);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qemu_that_hangs_costs_one_look() {
    let farm = Farm::new();
    let [stuck, well] = [(); 2].map(|()| MachineId::new());
    farm.start([stuck, well].map(|id| (id, mark(id))));
    let whole = read(&farm.host, stuck).await;
    let find = std::process::Command::new("pgrep").args(["-f", "--", &format!("-uuid {stuck}")]).output().unwrap();
    let pid = String::from_utf8_lossy(&find.stdout).trim().to_owned();
    let signal =
        |signal: &str| assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    signal("-STOP");
    let began = Instant::now();
    let late = farm.host.readings().await;
    println!("the first look: {:?} after {:.1?}", late.as_ref().map(Vec::len), began.elapsed());
    // The look that waits for it is over, one way or the other; the next ones do not wait.
    nobody_is_waited_for(&farm.host).await;
    let part = read(&farm.host, stuck).await;
    assert!(part.life == whole.life && part.cpu_nanos.is_some(), "{part:?}");
    assert!(read(&farm.host, well).await.cpu_nanos.is_some());
    signal("-CONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_machines_are_one_call() {
    let farm = Farm::new();
    let ids: Vec<_> = (0..50).map(|_| MachineId::new()).collect();
    let began = Instant::now();
    farm.start(ids.iter().map(|id| (*id, mark(*id))));
    println!("started after {:.1?}", began.elapsed());
    for look in ["first", "next", "next", "next"] {
        let began = Instant::now();
        let told = farm.told().await;
        println!("the {look} look at 50 machines: {:.1?}", began.elapsed());
        assert_eq!(told.len(), 50);
    }
}
