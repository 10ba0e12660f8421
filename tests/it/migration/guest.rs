//! A guest that really runs: it goes on through its journey, and changes its size after it.

use super::Trip;
use crate::support::{hosts, intent, libvirt::small_guest, scratch};
use jiyue::{
    provider::{ImageFormat, Intent, Part, Provider, Stop},
    units::Bytes,
};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Where something lies that must not come through.
const STALE: &str = "300M 1M";
/// What a guest may take to boot beside other work, emulated.
const BOOT: Duration = Duration::from_secs(120);

/// A key of the test's own.
fn key() -> (PathBuf, String) {
    let file = scratch("key").join("id");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]).arg(&file).status();
    assert!(made.expect("ssh-keygen is installed").success());
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap().trim().to_owned();
    (file, public)
}

/// Runs a command in the guest.
fn ssh(key: &PathBuf, at: Ipv4Addr, command: &str) -> Result<String, String> {
    let options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ConnectTimeout=5",
        "LogLevel=ERROR",
    ];
    let out = Command::new("ssh")
        .args(options.iter().flat_map(|option| ["-o", option]))
        .arg("-i")
        .arg(key)
        .arg(format!("root@{at}"))
        .arg(command)
        .output()
        .expect("ssh is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
}

fn page(at: Ipv4Addr) -> std::io::Result<String> {
    let limit = Duration::from_millis(500);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((at, 80)), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

async fn until(limit: Duration, what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Asks for the guest's page all the time; the longest it had to wait for one.
fn longest_silence(at: Ipv4Addr) -> (Arc<AtomicBool>, std::thread::JoinHandle<Duration>) {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        while !stopped.load(Ordering::Relaxed) {
            if page(at).is_ok() {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        longest.max(last.elapsed())
    });
    (stop, thread)
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines)] // one guest, whose boots are dear
async fn a_running_guest_moves_with_its_memory_its_disk_and_its_address_and_is_resized_there() {
    let hosts = hosts::shared();
    let trip = Trip::new(hosts, 1, 3).await;
    let (key, public) = key();
    let mut intent = Intent {
        memory: Bytes::mib(128).unwrap(),
        disk: Bytes::mib(512).unwrap(),
        ssh_keys: vec![public],
        ..trip.intent(intent::image(small_guest(), ImageFormat::Qcow2))
    };
    let at = intent.network.address;
    let (source, target) = (trip.host(1), trip.host(3));
    let mut told = Vec::new();
    let heard = std::sync::Mutex::new(&mut told);
    source.bring_image(&intent.image, &|percent| heard.lock().unwrap().push(percent)).await.unwrap();
    assert!(told.windows(2).all(|pair| pair[0] <= pair[1]) && told.last() == Some(&100), "{told:?}");
    assert_eq!(source.images().await.unwrap(), [intent.image.sha256.clone()]);
    for part in [Part::Image, Part::Disk, Part::Seed, Part::Address, Part::Name, Part::Domain, Part::Power] {
        source.ensure(part, &intent).await.unwrap();
    }
    until(BOOT, "the guest serves", || page(at).is_ok_and(|text| text.contains(&intent.name))).await;
    until(BOOT, "the guest lets us in", || ssh(&key, at, "true").is_ok()).await;
    // Some on the disk, some in memory, and something that runs.
    let mark = "head -c 3000000 /dev/urandom > /state/kept; sync; sha256sum < /state/kept; cp /state/kept /run/kept; \
                (while :; do date +%s > /run/alive; sleep 1; done) >/dev/null 2>&1 & cat /proc/sys/kernel/random/boot_id";
    let before = ssh(&key, at, mark).unwrap();

    // What an attempt before this one may have left lies at the destination: it must not shine through.
    target.ensure(Part::Image, &intent).await.unwrap();
    target.ensure(Part::Disk, &intent).await.unwrap();
    trip.scribble(3, &intent, 99, STALE);

    let (stop, silence) = longest_silence(at);
    let (begun, percents) = (Instant::now(), std::sync::Mutex::new(Vec::new()));
    source.migrate(&trip.journey(&intent), &|percent| percents.lock().unwrap().push(percent)).await.unwrap();
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let silence = silence.join().unwrap();
    let job = trip.virsh(3, &["domjobinfo", "--completed", &intent.name]);
    let downtime = job.lines().find(|line| line.starts_with("Total downtime")).unwrap_or("no downtime told");
    println!(
        "a guest moved in {:.2} s; {}; longest silence {silence:.2?}; told {:?}",
        took.as_secs_f64(),
        downtime,
        percents.lock().unwrap()
    );
    assert_eq!(percents.lock().unwrap().last(), Some(&100));
    trip.assert_arrived(&intent, "running");

    // The same boot of the same guest at the same address; what it had is there, and it writes on.
    until(Duration::from_secs(20), "it answers at its address", || page(at).is_ok()).await;
    let after =
        ssh(&key, at, "sha256sum < /state/kept; cat /proc/sys/kernel/random/boot_id; cmp /state/kept /run/kept")
            .unwrap();
    assert_eq!(after, before);
    let alive = ssh(&key, at, "cat /run/alive; sleep 2; cat /run/alive; sync").unwrap();
    assert_ne!(alive.lines().next(), alive.lines().last(), "what ran runs on");
    assert!(!trip.is_scribbled(3, &intent, 99, STALE));

    // Its size changes: the disk at once, the rest from the next start on; both while it runs and while it is off.
    (intent.vcpu, intent.memory, intent.disk) = (2, Bytes::mib(192).unwrap(), Bytes::mib(600).unwrap());
    target.reshape(&intent).await.unwrap();
    let sectors = || ssh(&key, at, "cat /sys/block/vda/size").unwrap_or_default();
    until(Duration::from_secs(10), "the guest sees the larger disk", || sectors() == (600 << 11).to_string()).await;
    assert_eq!(ssh(&key, at, "nproc").unwrap(), "1");
    assert!(trip.virsh(3, &["dumpxml", "--inactive", &intent.name]).contains(">2</vcpu>"));
    // The guest restarts; the domain does not.
    let id = trip.virsh(3, &["domid", &intent.name]);
    target.reboot(&intent).await.unwrap();
    until(BOOT, "another boot", || {
        ssh(&key, at, "cat /proc/sys/kernel/random/boot_id").is_ok_and(|boot| !before.contains(&boot))
    })
    .await;
    assert_eq!(trip.virsh(3, &["domid", &intent.name]), id);
    target.stop(&intent, Stop::Graceful(Duration::from_secs(30))).await.unwrap();
    intent.disk = Bytes::mib(700).unwrap();
    target.reshape(&intent).await.unwrap();
    target.reshape(&intent).await.unwrap();
    target.ensure(Part::Power, &intent).await.unwrap();
    until(BOOT, "it boots with its new size", || ssh(&key, at, "nproc").is_ok_and(|n| n == "2")).await;
    assert_eq!(sectors(), (700 << 11).to_string());
    assert!(
        ssh(&key, at, "sed -n 's/MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo").unwrap().parse::<u64>().unwrap()
            > 150_000
    );
    let digest = before.lines().next().unwrap();
    assert_eq!(ssh(&key, at, "sha256sum < /state/kept").unwrap(), digest);
    assert!(target.console(&intent, 1 << 20).await.unwrap().matches("GUEST READY").count() >= 1);
    for part in Part::ALL.into_iter().rev() {
        target.remove(part, &intent).await.unwrap();
    }
    assert_eq!(trip.left_on(3), [""; 0]);
}
