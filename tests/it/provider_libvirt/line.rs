//! What happens when the way to the host breaks: in the middle of every act, or by falling silent.

use super::{Place, UP_TO_DOMAIN, blank, uri};
use crate::support::{libvirt::Libvirt, scratch};
use jiyue::{
    ids::MachineId,
    provider::{
        Intent, NetworkIntent, Observed, Part, Provider, ProviderError,
        libvirt::{LibvirtHost, LibvirtSettings, NetworkSetup},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::net::{UnixListener, UnixStream};

/// A line to the daemon that can be cut and frozen.
struct Line {
    uri: String,
    cut: Arc<tokio::sync::Notify>,
    frozen: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Line {
    fn new() -> Self {
        let real = uri().split_once("socket=").map_or("/run/libvirt/libvirt-sock".to_owned(), |(_, s)| s.to_owned());
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let (cut, frozen) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicBool::new(false)));
        let (cut_too, frozen_too) = (Arc::clone(&cut), Arc::clone(&frozen));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (cut, frozen, real) = (Arc::clone(&cut_too), Arc::clone(&frozen_too), real.clone());
                tokio::spawn(async move {
                    let server = UnixStream::connect(real).await.unwrap();
                    tokio::select! {
                        () = pump(&client, &server, &frozen) => {}
                        () = pump(&server, &client, &frozen) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        Self { uri: format!("qemu+unix:///system?socket={}", socket.display()), cut, frozen, _folder: folder }
    }
}

async fn pump(from: &UnixStream, to: &UnixStream, frozen: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        from.readable().await.unwrap();
        let n = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        while frozen.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut rest = &buffer[..n];
        while !rest.is_empty() {
            if to.writable().await.is_err() {
                return;
            }
            match to.try_write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_line_that_is_cut_all_the_time_leaves_one_machine_and_then_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let line = Line::new();
    let host = LibvirtHost::new(LibvirtSettings { uri: line.uri.clone(), ..place.settings.clone() });
    let intent = place.intent(10, blank(&folder));
    let cut = Arc::clone(&line.cut);
    let cutter = tokio::spawn(async move {
        // Uneven, so that no step is always or never hit.
        for n in 0_u64.. {
            tokio::time::sleep(Duration::from_millis(11 + n * 7919 % 97)).await;
            cut.notify_waiters();
        }
    });
    let (mut cuts, mut refused) = (0, Vec::new());
    for round in 0..4 {
        for part in UP_TO_DOMAIN.into_iter().chain([Part::Power]) {
            while let Err(e) = host.ensure(part, &intent).await {
                assert!(e.is_transient(), "{part}: {e}");
                cuts += 1;
                if matches!(e, ProviderError::Transient { .. }) {
                    refused.push(e.to_string());
                }
            }
        }
        assert_eq!((place.domains().len(), place.volumes().len(), place.network_hosts().len()), (1, 3, 4), "{round}");
        for part in Part::ALL.into_iter().rev() {
            while let Err(e) = host.remove(part, &intent).await {
                assert!(e.is_transient(), "removing {part}: {e}");
                cuts += 1;
            }
        }
        place.assert_clean();
    }
    cutter.abort();
    println!("{cuts} calls were cut; not called unreachable: {refused:?}");
    assert!(cuts > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_host_is_unreachable_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let line = Line::new();
    let host = LibvirtHost::new(LibvirtSettings { uri: line.uri.clone(), ..place.settings.clone() });
    let intent = place.intent(10, blank(&folder));
    let unreachable =
        |result: &Result<Observed, ProviderError>| matches!(result, Err(ProviderError::Unreachable { .. }));
    // Cut between calls: the next one notices by itself or is told so, and the one after it works.
    for _ in 0..5 {
        assert_eq!(host.observe(&intent).await.unwrap(), Observed::Absent);
        line.cut.notify_waiters();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let after = host.observe(&intent).await;
        assert!(after.is_ok() || unreachable(&after), "{after:?}");
    }
    // Frozen in the middle of calls, more of them than there are lanes: known within the keepalive's 20 s.
    host.observe(&intent).await.unwrap();
    line.frozen.store(true, Ordering::Relaxed);
    let host = Arc::new(host);
    let begun = Instant::now();
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (host, intent) = (Arc::clone(&host), Intent { machine: MachineId::new(), ..intent.clone() });
            tokio::spawn(async move { host.observe(&intent).await })
        })
        .collect();
    for call in calls {
        let result = call.await.unwrap();
        assert!(unreachable(&result), "{result:?}");
    }
    println!("unreachable after {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(45));
    // Opening hangs as well, and is not begun anew by each call.
    let begun = Instant::now();
    assert!(unreachable(&host.observe(&intent).await));
    println!("opening gives up after {:.1} s", begun.elapsed().as_secs_f64());
    line.frozen.store(false, Ordering::Relaxed);
    let begun = Instant::now();
    while host.observe(&intent).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the host answers again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Nobody there at all.
    let nowhere = LibvirtSettings { uri: "qemu+unix:///system?socket=/nonexistent".into(), ..place.settings.clone() };
    assert!(unreachable(&LibvirtHost::new(nowhere).observe(&intent).await));
    let script = LibvirtSettings { uri: "qemu+ext:///system?command=/bin/true".into(), ..place.settings.clone() };
    let refused = LibvirtHost::new(script).observe(&intent).await;
    assert!(matches!(refused, Err(ProviderError::Permanent { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_is_unreachable_and_the_machine_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Libvirt::up(scratch("lvk"));
    let place = Place::new().await; // only for an intent whose network no other test has
    let settings = LibvirtSettings {
        uri: daemon.uri.clone(),
        pool_path: daemon.folder.join("pool").to_string_lossy().into_owned(),
        ..place.settings.clone()
    };
    let [a, b, c, d] = place.setup.gateway.octets();
    let gateway = std::net::Ipv4Addr::new(a, b + 1, c, d);
    let setup = NetworkSetup { bridge: format!("{}k", place.setup.bridge), gateway, ..place.setup.clone() };
    let host = LibvirtHost::new(settings);
    host.prepare(&[setup]).await.unwrap();
    let mut intent = place.intent(10, blank(&folder));
    intent.network = NetworkIntent {
        address: std::net::Ipv4Addr::new(a, b + 1, c, 10),
        gateway,
        dns: gateway,
        ..intent.network.clone()
    };
    let build = async || {
        for part in UP_TO_DOMAIN.into_iter().chain([Part::Power]) {
            // Daemons of other tests change the same tables of the kernel's; the worker tries again too.
            let began = std::time::Instant::now();
            while let Err(error) = host.ensure(part, &intent).await {
                let passes = matches!(error, ProviderError::Transient { .. });
                assert!(passes && began.elapsed() < std::time::Duration::from_secs(30), "{error:?}");
            }
        }
    };
    build().await;
    let guest = daemon.virsh(&["domid", &intent.name]).unwrap();
    daemon.kill_daemon();
    let lost = host.observe(&intent).await;
    assert!(matches!(lost, Err(ProviderError::Unreachable { .. })), "{lost:?}");
    let lost = host.ensure(Part::Power, &intent).await;
    assert!(matches!(lost, Err(ProviderError::Unreachable { .. })), "{lost:?}");
    daemon.start_daemon();
    assert_eq!(host.observe(&intent).await.unwrap(), Observed::Running);
    build().await;
    assert_eq!(daemon.virsh(&["domid", &intent.name]).unwrap(), guest, "never restarted");
    for part in Part::ALL.into_iter().rev() {
        host.remove(part, &intent).await.unwrap();
    }
    assert_eq!(daemon.virsh(&["list", "--all", "--name"]).unwrap(), "");
}
