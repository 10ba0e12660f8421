//! The DNS client against a real Knot: what it adds, what it never touches, and what it says when it cannot.

use crate::support::{
    Dice,
    knot::{Knot, OTHER_SECRET, SECRET, ZONE},
    wire::{Mode, Wire},
};
use jiyue::{
    dns::{Entry, Fault, KeyFault, Silence, Zone, ZoneSettings, Zones},
    ids::{MachineId, OperationId},
    time::Clock,
};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(5);

fn settings(knot: &Knot, server: SocketAddr) -> ZoneSettings {
    ZoneSettings {
        suffix: ZONE.to_owned(),
        server: server.to_string(),
        key_name: "jiyue".to_owned(),
        algorithm: "hmac-sha256".to_owned(),
        key_file: knot.key_file("jiyue.key", SECRET),
        ttl: 120,
        fudge_seconds: 300,
    }
}

fn zone(settings: ZoneSettings) -> Zone {
    opened(settings, &Clock::System)
}

fn opened(settings: ZoneSettings, clock: &Clock) -> Zone {
    Zones::open(&[settings], clock).unwrap().named(ZONE).unwrap().clone()
}

fn entry(host: &str, last: u8) -> Entry {
    Entry {
        fqdn: format!("{host}.{ZONE}"),
        address: [10, 1, 2, last].into(),
        machine: MachineId::new(),
        operation: OperationId::new(),
    }
}

fn mark(entry: &Entry) -> String {
    format!("\"jiyue machine={} operation={}\"", entry.machine, entry.operation)
}

/// Asked of kdig: exactly this entry stands.
#[track_caller]
fn stands(knot: &Knot, entry: &Entry) {
    assert_eq!(knot.dig(&entry.fqdn, "A"), [entry.address.to_string()], "{}", entry.fqdn);
    assert_eq!(knot.dig(&format!("_jiyue.{}", entry.fqdn), "TXT"), [mark(entry)], "{}", entry.fqdn);
}

#[track_caller]
fn gone(knot: &Knot, entry: &Entry) {
    assert_eq!(knot.dig(&entry.fqdn, "A"), [""; 0], "{}", entry.fqdn);
    assert_eq!(knot.dig(&format!("_jiyue.{}", entry.fqdn), "TXT"), [""; 0], "{}", entry.fqdn);
}

#[tokio::test]
async fn an_entry_is_added_once_and_removed_once() {
    let knot = Knot::started();
    let zone = zone(settings(&knot, knot.address()));
    let entry = entry("oa", 1);
    let began = Instant::now();
    zone.register(&entry, LIMIT).await.unwrap();
    let first = began.elapsed();
    stands(&knot, &entry);
    for _ in 0..2 {
        zone.register(&entry, LIMIT).await.unwrap();
    }
    stands(&knot, &entry);
    let began = Instant::now();
    zone.remove(&entry, LIMIT).await.unwrap();
    eprintln!("registered in {first:.1?}, removed in {:.1?}", began.elapsed());
    gone(&knot, &entry);
    for _ in 0..2 {
        zone.remove(&entry, LIMIT).await.unwrap();
    }
    gone(&knot, &entry);
    // Of six calls two have changed the zone.
    assert_eq!(knot.changes(), 2);
    // A name under a wildcard is nobody's, and one with a long or a Chinese label is as good as any.
    for host in ["oa.wild", &"a".repeat(63), "xn--55qx2a"] {
        let entry = self::entry(host, 3);
        zone.register(&entry, LIMIT).await.unwrap();
        stands(&knot, &entry);
        zone.remove(&entry, LIMIT).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_somebody_elses_is_never_touched() {
    let knot = Knot::started();
    let zone = zone(settings(&knot, knot.address()));
    let stranger = entry("_", 9);
    let foreign: [(&str, &str, String); 6] = [
        ("an-address", "A", "192.0.2.1".to_owned()),
        ("the-same-address", "A", "10.1.2.1".to_owned()),
        ("ipv6", "AAAA", "2001:db8::1".to_owned()),
        ("alias", "CNAME", format!("ns.{ZONE}.")),
        ("delegated", "NS", "ns.other.example.".to_owned()),
        ("_jiyue.marked", "TXT", mark(&stranger)),
    ];
    for (host, kind, value) in &foreign {
        knot.by_hand(&[&format!("add {host} 60 {kind} {value}")]);
    }
    let before = knot.changes();
    for (host, kind, value) in &foreign {
        let entry = entry(host.trim_start_matches("_jiyue."), 1);
        let Err(Fault::Taken { by }) = zone.register(&entry, LIMIT).await else { panic!("{host} is free?") };
        assert!(by.starts_with(kind) && by.contains(value.trim_matches('"')), "{host}: {by}");
        // Neither does a removal touch it, though the name and even the address are the same.
        zone.remove(&entry, LIMIT).await.unwrap();
        assert_eq!(knot.changes(), before, "{host}");
    }

    // Records that lead nowhere may stand beside ours, and stay.
    let entry = entry("mail", 2);
    knot.by_hand(&["add mail 60 MX 10 ns", "add mail 60 TXT v=spf1"]);
    zone.register(&entry, LIMIT).await.unwrap();
    stands(&knot, &entry);
    zone.remove(&entry, LIMIT).await.unwrap();
    gone(&knot, &entry);
    assert_eq!(knot.dig(&entry.fqdn, "TXT"), ["\"v=spf1\""]);
    assert_eq!(knot.dig(&entry.fqdn, "MX").len(), 1);

    // Another machine of ours has the name: its entry is as foreign as any.
    let (first, second) = (self::entry("shared", 3), self::entry("shared", 4));
    zone.register(&first, LIMIT).await.unwrap();
    assert!(matches!(zone.register(&second, LIMIT).await, Err(Fault::Taken { .. })));
    zone.remove(&second, LIMIT).await.unwrap();
    stands(&knot, &first);
    zone.remove(&first, LIMIT).await.unwrap();
    zone.register(&second, LIMIT).await.unwrap();
    zone.remove(&first, LIMIT).await.unwrap();
    stands(&knot, &second);

    // What somebody has done to an entry of ours.
    let entry = self::entry("touched", 5);
    zone.register(&entry, LIMIT).await.unwrap();
    knot.by_hand(&["del touched A"]);
    zone.register(&entry, LIMIT).await.unwrap();
    stands(&knot, &entry);
    knot.by_hand(&["add touched 60 A 192.0.2.77"]);
    assert!(matches!(zone.register(&entry, LIMIT).await, Err(Fault::Taken { by }) if by.contains("192.0.2.77")));
    knot.by_hand(&["add _jiyue.touched 60 TXT by-hand"]);
    assert!(matches!(zone.remove(&entry, LIMIT).await, Err(Fault::Taken { by }) if by.contains("by-hand")));
    assert_eq!(knot.dig(&entry.fqdn, "A"), ["10.1.2.5", "192.0.2.77"]);
    knot.by_hand(&["del _jiyue.touched TXT by-hand"]);
    zone.remove(&entry, LIMIT).await.unwrap();
    assert_eq!(knot.dig(&entry.fqdn, "A"), ["192.0.2.77"]);
}

#[tokio::test]
async fn a_wrong_key_is_told_by_its_kind() {
    let mut knot = Knot::started();
    let good = settings(&knot, knot.address());
    let entry = entry("oa", 1);
    let with = |change: fn(&mut ZoneSettings)| {
        let mut settings = good.clone();
        change(&mut settings);
        zone(settings)
    };
    let other = knot.key_file("other.key", OTHER_SECRET);
    let (mut settings, system) = (good.clone(), Clock::System);
    settings.key_file = other;
    let cases = [
        (with(|s| s.key_name = "nobody".to_owned()), KeyFault::Unknown),
        (with(|s| s.key_name = "stranger".to_owned()), KeyFault::Unknown),
        (zone(settings), KeyFault::Signature),
        (with(|s| s.algorithm = "hmac-sha512".to_owned()), KeyFault::Unknown),
        (opened(good.clone(), &clock_off(-1000)), KeyFault::Clock),
        (opened(good.clone(), &clock_off(1000)), KeyFault::Clock),
    ];
    for (zone, fault) in cases {
        let wrong = Err(Fault::WrongKey(fault));
        assert_eq!((zone.register(&entry, LIMIT).await, zone.remove(&entry, LIMIT).await), (wrong.clone(), wrong));
    }
    gone(&knot, &entry);
    // A zone that the server does not have is another matter.
    let mut elsewhere = good.clone();
    elsewhere.suffix = "szxc.gov.cn".to_owned();
    let zones = Zones::open(&[elsewhere], &system).unwrap();
    let outside = Entry { fqdn: "oa.szxc.gov.cn".to_owned(), ..entry.clone() };
    let refused = zones.named("szxc.gov.cn").unwrap().register(&outside, LIMIT).await;
    assert!(matches!(&refused, Err(Fault::Refused(code)) if code == "NOTAUTH" || code == "REFUSED"), "{refused:?}");
    // The longer algorithms work as well.
    for name in ["hmac-sha384", "hmac-sha512"] {
        knot.stop();
        knot.configure(name, SECRET);
        knot.start();
        let zone = zone(ZoneSettings { algorithm: name.to_owned(), ..good.clone() });
        zone.register(&entry, LIMIT).await.unwrap();
        stands(&knot, &entry);
    }
}

/// The time, so many seconds off.
fn clock_off(seconds: i64) -> Clock {
    Clock::Fixed(Arc::new(AtomicI64::new(Clock::System.now().as_microsecond() + seconds * 1_000_000)))
}

#[tokio::test]
async fn a_server_that_is_not_heard_is_told_from_one_that_refuses() {
    let mut knot = Knot::started();
    let wire = Wire::to(knot.address()).await;
    let zone = zone(settings(&knot, wire.address));
    let entry = entry("oa", 1);
    let limit = Duration::from_secs(2);
    for (mode, silence) in
        [(Mode::Mute, Silence::TimedOut), (Mode::CutQuestion, Silence::Broken), (Mode::CutAnswer, Silence::Broken)]
    {
        wire.set(mode);
        let began = Instant::now();
        assert_eq!(zone.register(&entry, limit).await, Err(Fault::Silent(silence)), "{mode:?}");
        assert!(began.elapsed() < limit * 2, "{mode:?} took {:?}", began.elapsed());
    }
    // The last one was carried out, and is found to be so.
    stands(&knot, &entry);
    wire.set(Mode::Through);
    zone.register(&entry, LIMIT).await.unwrap();
    stands(&knot, &entry);
    wire.set(Mode::CutAnswer);
    assert_eq!(zone.remove(&entry, limit).await, Err(Fault::Silent(Silence::Broken)));
    gone(&knot, &entry);
    wire.set(Mode::Through);
    zone.remove(&entry, LIMIT).await.unwrap();

    // Down and up again; and a server that speaks, but not DNS.
    let direct = self::zone(settings(&knot, knot.address()));
    knot.stop();
    assert_eq!(direct.register(&entry, LIMIT).await, Err(Fault::Silent(Silence::NoConnection)));
    knot.start();
    direct.register(&entry, LIMIT).await.unwrap();
    stands(&knot, &entry);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nonsense = self::zone(settings(&knot, listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"\x00\x05hello").await;
        }
    });
    assert_eq!(nonsense.register(&entry, LIMIT).await, Err(Fault::Silent(Silence::Broken)));
}

/// An answer that says "done" without our key's signature is not believed: a server that answers for another.
#[tokio::test]
async fn an_unsigned_answer_proves_nothing() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let knot = Knot::prepared();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let zone = zone(settings(&knot, listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await.unwrap();
            // The same id, an update's answer, no error, and nothing in any section.
            let answer = [&[0, 12], &question[..2], &[0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
            stream.write_all(&answer).await.unwrap();
        }
    });
    let wrong = Err(Fault::WrongKey(KeyFault::Answer));
    let entry = entry("oa", 1);
    assert_eq!((zone.register(&entry, LIMIT).await, zone.remove(&entry, LIMIT).await), (wrong.clone(), wrong));
}

/// A line that loses half of what it carries, and many names at once: each is registered and removed in the end, and
/// nothing else happens to the zone.
#[tokio::test]
async fn on_a_bad_line_every_name_comes_to_its_end() {
    let knot = Knot::started();
    let wire = Wire::to(knot.address()).await;
    let zone = zone(settings(&knot, wire.address));
    let mut dice = Dice::from_env();
    eprintln!("seed {}", dice.seed);
    wire.bad(dice.split());
    let entries: Vec<_> = (0..40).map(|n| entry(&format!("m{n}"), n)).collect();
    let limit = Duration::from_millis(200);
    let attempts: Vec<usize> = futures_util::future::join_all(entries.iter().map(async |entry| {
        let mut attempts = 1;
        while let Err(fault) = zone.register(entry, limit).await {
            assert!(matches!(fault, Fault::Silent(_)), "{fault}");
            attempts += 1;
        }
        attempts
    }))
    .await;
    eprintln!("{} attempts for {} names", attempts.iter().sum::<usize>(), entries.len());
    for entry in &entries {
        stands(&knot, entry);
    }
    let leaving: Vec<_> = entries.iter().filter(|_| dice.once_in(2)).collect();
    futures_util::future::join_all(leaving.iter().map(async |entry| {
        while let Err(fault) = zone.remove(entry, limit).await {
            assert!(matches!(fault, Fault::Silent(_)), "{fault}");
        }
    }))
    .await;
    for entry in &entries {
        if leaving.contains(&entry) { gone(&knot, entry) } else { stands(&knot, entry) }
    }
}
