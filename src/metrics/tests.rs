//! What the registry says of itself.

use super::*;

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.exposition().unwrap()).unwrap()
}

#[test]
fn what_is_registered_is_what_is_listed() {
    let listed: Vec<_> = series::ALL.iter().map(Series::line).collect();
    assert_eq!(Metrics::new().unwrap().catalogue(), listed);
}

/// Its last word, or the one before `_total`.
fn unit(series: &Series) -> Option<&'static str> {
    let name = series.name.strip_suffix("_total").unwrap_or(series.name);
    ["seconds", "bytes", "ratio", "vcpus"].into_iter().find(|unit| name.ends_with(unit))
}

#[test]
fn names_tell_kind_and_unit() {
    for series in series::ALL {
        let (name, kind) = (series.name, series.kind);
        assert!(name.starts_with("jiyue_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        // A count has no unit, and everything else says its own.
        let words = ["duration", "age", "size", "used", "lag", "silence", "expiry", "memory", "disk"];
        if words.iter().any(|word| name.split('_').any(|part| part == *word)) {
            assert!(unit(series).is_some(), "{name}");
        }
        if let Kind::Histogram(buckets) = kind {
            assert!(unit(series) == Some("seconds") && buckets.is_sorted(), "{name}");
        }
        assert!(series.help.is_ascii() && series.help.ends_with('.'), "{name}");
    }
}

#[test]
fn what_can_be_known_is_there_from_the_start() {
    let text = text(&Metrics::new().unwrap());
    for series in series::ALL {
        let rows = series.combinations().unwrap_or_default();
        if series.labels.is_empty() && series.kind == Kind::Gauge {
            continue;
        }
        let suffix = if matches!(series.kind, Kind::Histogram(_)) { "_count" } else { "" };
        let found = text.lines().filter(|line| {
            line.strip_prefix(series.name)
                .and_then(|rest| rest.strip_prefix(suffix))
                .is_some_and(|rest| rest.starts_with([' ', '{']) && rest.ends_with(" 0"))
        });
        assert_eq!(found.count(), rows.len(), "{}", series.name);
    }
    assert!(text.contains("jiyue_hosts{state=\"unknown\"} 0"), "{text}");
    assert!(!text.contains("jiyue_database_up"), "nobody has looked: {text}");
}

#[test]
fn what_is_gone_takes_its_series_with_it() {
    let metrics = Metrics::new().unwrap();
    let book = |number: &str| BookUse {
        number: number.to_owned(),
        department: "a\"b\\c\nd".to_owned(),
        shares: vec![("vcpus", 0.5)],
    };
    let host = |name: &str| HostUse {
        name: name.to_owned(),
        shares: [("vcpus", 0.25), ("memory", 0.5), ("disk", 0.75)],
        silence_seconds: 7.0,
    };
    metrics.task_books_are(&[book("1"), book("2")]);
    metrics.hosts_are(&[host("a"), host("b")]);
    let before = text(&metrics);
    let line = r#"jiyue_task_book_used_ratio{department="a\"b\\c\nd",indicator="vcpus",task_book="2"} 0.5"#;
    assert!(before.lines().any(|found| found == line), "{before}");
    assert!(before.contains("jiyue_host_silence_seconds{host=\"b\"} 7"), "{before}");
    metrics.task_books_are(&[book("1")]);
    metrics.hosts_are(&[host("a")]);
    let after = text(&metrics);
    assert!(!after.contains("task_book=\"2\"") && !after.contains("host=\"b\""), "{after}");
    assert!(after.contains("task_book=\"1\"") && after.contains("host=\"a\""), "{after}");
}

#[test]
fn a_caller_cannot_make_series_by_inventing_methods() {
    let metrics = Metrics::new().unwrap();
    for n in 0..100 {
        metrics.http_answered("none", &format!("MADE-UP-{n}"), 405, Duration::ZERO);
    }
    let text = text(&metrics);
    assert!(!text.contains("MADE-UP"), "{text}");
    assert!(text.contains("jiyue_http_requests_total{method=\"OTHER\",route=\"none\",status=\"405\"} 100"));
}

#[test]
fn a_scrape_of_a_large_cloud_is_small() {
    let metrics = Metrics::new().unwrap();
    let books: Vec<_> = (0..500)
        .map(|n| BookUse {
            number: format!("相信任〔2026〕{n}号"),
            department: "相城区某某局".to_owned(),
            shares: vec![("machines", 0.5), ("vcpus", 0.5), ("memory", 0.5), ("disk", 0.5)],
        })
        .collect();
    metrics.task_books_are(&books);
    let shares = [("vcpus", 0.25), ("memory", 0.5), ("disk", 0.75)];
    let hosts: Vec<_> = (0..300).map(|n| HostUse { name: format!("kvm{n}"), shares, silence_seconds: 0.0 }).collect();
    metrics.hosts_are(&hosts);
    for route in 0..150 {
        for method in METHODS {
            metrics.http_answered(&format!("/v1/route-{route}"), method, 200, Duration::ZERO);
        }
    }
    let scrape = |metrics: &Metrics| {
        let began = std::time::Instant::now();
        let bytes = metrics.exposition().unwrap().len();
        (bytes, began.elapsed())
    };
    let without = scrape(&metrics);
    let machines: Vec<_> = (0..10_000)
        .map(|n| MachineUse {
            id: format!("019ad000-0000-7000-8000-{n:012}"),
            name: format!("machine-{n}.xiangcheng.example"),
            vcpus: 1.5,
            memory_bytes: Some(1e9),
        })
        .collect();
    metrics.machines_use(&machines);
    let with = scrape(&metrics);
    eprintln!("bytes and time of a scrape: {without:?} without series of each of 10,000 machines, {with:?} with them");
    assert!(without.0 < 10_000_000 && with.0 < 10_000_000, "{without:?} {with:?}");
    // No limit of time here: this is an unoptimised build on a machine that may be busy.
}
