//! Usage, in three parts, each beside its peer on this very machine.
//!
//! - `PART=ingest`: the same CSV file sent by the same HTTP client to `jiyue serve` (SQLite) and to `VictoriaMetrics`, until what
//!   was sent is on disk: ours when it has answered, theirs when `/internal/force_flush` has.
//! - `PART=report`: `jiyue report idle --local` on the database that the import has filled, of a day that nobody has judged
//!   yet: by the default rules, and by a rule set that says idle by the P95 of CPU and network over 30, 14, 7 and 1 days; then
//!   by the default rules of a day that the service has judged, as it does each night. Beside each a process of `DuckDB`'s that
//!   asks its native table for the exact P95 over as many days. Whole processes, warm page cache, and the same list.
//! - `PART=collect`: what reading 50 real machines of a libvirtd of its own costs (needs root).
//!
//! `make bench-usage` (`MACHINES=10000`, `DAYS=30`, `ORDER=time` for lines by instant instead of by machine, `ROUNDS=3`)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::format_collect,
    dead_code,
    reason = "counts become figures for people; shares the tests' support"
)]

mod copies;
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod trace;

use jiyue::{
    db::{Db, Options},
    ids::MachineId,
    time::Clock,
    usage::store,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use support::{
    broker::{self, Broker, Cast, On, Setup},
    farm::{Farm, mark},
};

/// Idle is who is below both: percent, and bytes a second.
const CPU: f64 = 5.0;
const RATE: f64 = 2048.0;

fn setting(name: &str, default: i64) -> i64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let part = std::env::var("PART").unwrap_or_default();
        let (machines, days) = (setting("MACHINES", 10_000), setting("DAYS", 30));
        if part != "collect" {
            let by_time = std::env::var("ORDER").is_ok_and(|order| order == "time");
            let folder = PathBuf::from(std::env::var("BENCH_FOLDER").unwrap_or_else(|_| "/tmp".to_owned()));
            let order = if by_time { "time" } else { "machine" };
            let file = folder.join(format!("trace-{machines}-{days}-{order}.csv"));
            if !file.exists() {
                println!("writes {}", file.display());
                trace::write(&file, machines, days, by_time).expect("a trace");
            }
            let bytes = std::fs::metadata(&file).expect("a file").len();
            println!(
                "\n{machines} machines × {days} days × {} samples × 4 metrics = {:.1} M values, {:.2} GB of CSV by {order}",
                trace::SAMPLES,
                values(machines, days) / 1e6,
                bytes as f64 / 1e9
            );
            let (broker, token) = ingest(&file, machines, days, part != "report").await;
            if part.is_empty() || part == "report" {
                report(&broker, &file, &folder, days, &token).await;
            }
        }
        if part.is_empty() || part == "collect" {
            collect().await;
        }
    });
}

fn values(machines: i64, days: i64) -> f64 {
    (machines * days * trace::SAMPLES * 4) as f64
}

/// What it costs to read fifty machines once a minute, of this process and of the daemon that it asks.
async fn collect() {
    let count = setting("DOMAINS", 50) as usize;
    let farm = Farm::new();
    let ids: Vec<MachineId> = (0..count).map(|_| MachineId::new()).collect();
    farm.start(ids.iter().map(|id| (*id, mark(*id))));
    // The daemon is in a namespace of processes of its own, which its keeper has made.
    let keeper = std::fs::read_to_string(farm.libvirt.folder.join("pid")).expect("the keeper's number");
    let theirs = std::fs::read_link(format!("/proc/{}/ns/pid_for_children", keeper.trim())).expect("a namespace");
    let daemon = std::fs::read_dir("/proc").expect("processes").flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        let own = name.trim() == "libvirtd" && std::fs::read_link(entry.path().join("ns/pid")).ok()? == theirs;
        own.then_some(pid)
    });
    let daemon = daemon.expect("its daemon").to_string();
    // The first look opens the connection.
    assert_eq!(farm.told().await.len(), count);
    let looks = 30;
    let before = (ticks("self"), ticks(&daemon), Instant::now());
    for _ in 0..looks {
        assert_eq!(farm.told().await.len(), count);
    }
    // A tick is a hundredth of a second.
    let each = |now: u64, before: u64| (now - before) as f64 * 10.0 / f64::from(looks);
    let (ours, theirs) = (each(ticks("self"), before.0), each(ticks(&daemon), before.1));
    let share = |millis: f64| millis / 60_000.0 * 100.0;
    println!(
        "\n{count} real domains without disks, once a minute, mean of {looks} looks of {:.0} ms:",
        before.2.elapsed().as_secs_f64() * 1000.0 / f64::from(looks)
    );
    println!(
        "{:<44}{ours:>10.1} ms a look, {:.3} % of a core; of four times as many {:.3} %",
        "processor, ours",
        share(ours),
        share(ours * 4.0)
    );
    println!(
        "{:<44}{theirs:>10.1} ms a look, {:.3} % of a core; of four times as many {:.3} %",
        "processor, libvirtd",
        share(theirs),
        share(theirs * 4.0)
    );
    println!("{:<44}{:>10.3} %  (below 2)", "both, of four times as many", share((ours + theirs) * 4.0));
}

/// Processor time that a process has used, in ticks.
fn ticks(process: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
}

/// Into the page cache.
fn warm(path: &Path) {
    std::io::copy(&mut std::fs::File::open(path).expect("a file"), &mut std::io::sink()).expect("read");
}

/// Sends the file, and says how long it took until the answer was there.
async fn send(file: &Path, url: &str, token: &str) -> (Duration, String) {
    warm(file);
    let client = reqwest::Client::new();
    let open = tokio::fs::File::open(file).await.expect("a file");
    let length = open.metadata().await.expect("a length").len();
    let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(open, 256 << 10));
    let began = Instant::now();
    let request = client.post(url).header("content-type", "text/csv").header("content-length", length);
    let answer = request.bearer_auth(token).body(body).send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("an answer");
    assert!(status.is_success(), "{status} {text}");
    (began.elapsed(), text)
}

async fn ingest(file: &Path, machines: i64, days: i64, peer: bool) -> (Broker, String) {
    let setup = Setup::new(On::Sqlite)
        .with("JIYUE_LOG_FILTER", "warn")
        .with("JIYUE_WORKER_WIDTH", "0")
        .with("JIYUE_USAGE_SECONDS", "3600");
    let broker = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let request = made["items"][0]["id"].as_str().unwrap().to_owned();
    broker.post(&format!("/v1/requests/{request}/approve"), &cast.authority, &json!({})).await.expect(202);
    copies::machines(&broker.setup.database_url, machines.unsigned_abs()).await;
    let (ours, answer) = send(file, &format!("{}/v1/usage/import", broker.url), &cast.operator).await;
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let rows = machines * days * trace::SAMPLES;
    assert_eq!((answer["points"].as_i64(), &answer["refused"]), (Some(rows), &json!([])), "{answer:#}");
    let ours = values(machines, days) / ours.as_secs_f64();
    println!("\n{:<44}{:>14}", "until it is on disk", "values/s");
    println!("{:<44}{ours:>14.0}", "jiyue");
    if let Some(theirs) = if peer { victoria(file, rows).await } else { None } {
        let theirs = values(machines, days) / theirs.as_secs_f64();
        println!("{:<44}{theirs:>14.0}", "VictoriaMetrics");
        println!("{:<44}{:>13.2}×  (at least 1, 3 is the goal)", "ours ÷ theirs", ours / theirs);
    }
    sizes(&broker, machines).await;
    (broker, cast.authority)
}

/// Until it has flushed; `None` where it is not installed.
async fn victoria(file: &Path, rows: i64) -> Option<Duration> {
    let folder = tempfile::tempdir().expect("a folder");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let mut server = Command::new("victoria-metrics")
        .arg(format!("-storageDataPath={}", folder.path().display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-retentionPeriod=100y", "-loggerLevel=ERROR"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .inspect_err(|error| println!("no VictoriaMetrics: {error}"))
        .ok()?;
    let url = format!("http://127.0.0.1:{port}");
    let get = async |path: &str| Some(reqwest::get(format!("{url}{path}")).await.ok()?.text().await.expect("text"));
    while get("/health").await.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let metrics = trace::HEADER[2..].iter().enumerate().map(|(at, name)| format!(",{}:metric:{name}", at + 3));
    let format: String = ["1:label:vm,2:time:unix_s".to_owned()].into_iter().chain(metrics).collect();
    let (sent, _) = send(file, &format!("{url}/api/v1/import/csv?format={format}"), "none").await;
    let began = Instant::now();
    get("/internal/force_flush").await.expect("flushed");
    let took = sent + began.elapsed();
    let metrics = get("/metrics").await.expect("metrics");
    let inserted = metrics.lines().find_map(|line| line.strip_prefix("vm_rows_inserted_total{type=\"csvimport\"} "));
    let inserted: i64 = inserted.expect("a counter").parse().expect("a number");
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(inserted, rows * 4, "it has taken all of it");
    Some(took)
}

async fn open(url: &str) -> Db {
    let options = Options { url: url.to_owned(), read_connections: 2, clock: Clock::System };
    Db::open(options).await.expect("a database")
}

/// What a machine-day takes.
async fn sizes(broker: &Broker, machines: i64) {
    let db = open(&broker.setup.database_url).await;
    let step = (machines / 100).max(1);
    let some: Vec<String> =
        (1..=machines).step_by(step as usize).map(|n| format!("019a0000-0000-7000-8000-{n:012x}")).collect();
    let (from, last) = (jiff::civil::date(2024, 1, 1), jiff::civil::date(2025, 1, 1));
    let days = store::days(&mut db.read().await.expect("a connection"), &some, from, last).await.expect("days");
    let mut sizes: Vec<usize> = days.values().flatten().map(|day| day.encode().len()).collect();
    sizes.sort_unstable();
    println!(
        "{:<44}{:>14}  (512 at most; longest {})",
        "bytes of the median machine-day",
        sizes[sizes.len() / 2],
        sizes[sizes.len() - 1]
    );
}

/// What a day's judgements take, once they are kept, and how long it takes to read them again.
async fn evidence(broker: &Broker, token: &str, days: i64) {
    let path = format!("/v1/reports/idle?as_of={}", date(days - 1));
    let mut took = Vec::new();
    for _ in 0..2 {
        let began = Instant::now();
        broker.get(&path, token).await.expect(200);
        took.push(began.elapsed().as_secs_f64());
    }
    let mut sql = support::sql::Sql::writing(&broker.setup.database_url).await;
    let median = "select length(evidence) from usage_verdicts order by 1 limit 1 offset \
                  (select count(*) / 2 from usage_verdicts)";
    let (median, most) =
        (sql.number(median).await, sql.number("select max(length(evidence)) from usage_verdicts").await);
    println!("{:<44}{median:>14}  (longest {most})", "bytes of the median verdict's evidence");
    println!("{:<44}{:>10.2}, {:.2} s", "report by the service: judged and kept, kept", took[0], took[1]);
}

fn date(day: i64) -> jiff::civil::Date {
    jiyue::time::civil(jiff::Timestamp::from_second(trace::BEGINS + day * 86_400).expect("an instant"))
}

/// What runs of a process came to.
struct Run {
    seconds: f64,
    /// The most memory that it had.
    peak: u64,
    said: Value,
}

/// The median of some runs of a process, and what it said.
fn timed(rounds: i64, make: impl Fn() -> Command) -> Run {
    let (mut times, mut peak, mut said) = (Vec::new(), 0, Value::Null);
    for _ in 0..=rounds {
        let out = tempfile::NamedTempFile::new().expect("a file");
        let began = Instant::now();
        let mut command = make();
        command.stdout(out.reopen().expect("a file")).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("a process");
        // Its high-water mark, as long as there is one to be read: it only rises.
        let status = format!("/proc/{}/status", child.id());
        let ended = loop {
            if let Some(ended) = child.try_wait().expect("a process") {
                break ended;
            }
            let mark = std::fs::read_to_string(&status).ok();
            let mark = mark.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("VmHWM:")));
            if let Some(mark) = mark {
                peak = peak.max(mark.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        times.push(began.elapsed().as_secs_f64());
        assert!(ended.success(), "{ended}");
        said = serde_json::from_reader(std::io::BufReader::new(out.reopen().expect("a file"))).expect("JSON");
    }
    // The first was to warm up.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Run { seconds: times[times.len() / 2], peak, said }
}

fn names(said: &Value, key: &str, name: &str) -> BTreeSet<String> {
    let all = said[key].as_array().into_iter().flatten();
    all.map(|one| one.pointer(name).and_then(Value::as_str).expect("a name").to_owned()).collect()
}

/// The rules that ship with the broker, and one more that judges: P95 of three metrics over so many days. Idle is whose values
/// are below the limits for 95 % of the samples, which is what a percentile by nearest rank says.
fn rules(folder: &Path, days: i64) -> PathBuf {
    let own = include_str!("../../profiles/idle-rules.yaml").replace("judged_by: jiyue", "judged_by: p95");
    let set = format!(
        "\n  - name: p95\n    version: 1\n    title: P95\n    source: {{publisher: bench, title: bench}}\n    \
         window_days: {days}\n    criteria:\n      \
         - {{kind: percent_below, metric: cpu, percent: {CPU}, share: 0.95}}\n      \
         - {{kind: rate_below, metric: received, bytes_per_second: {RATE}, share: 0.95}}\n      \
         - {{kind: rate_below, metric: sent, bytes_per_second: {RATE}, share: 0.95}}\n"
    );
    let path = folder.join(format!("p95-{days}.yaml"));
    std::fs::write(&path, own + &set).expect("a file");
    path
}

async fn report(broker: &Broker, file: &Path, folder: &Path, days: i64, token: &str) {
    let rounds = setting("ROUNDS", 3);
    let python = std::env::var("PEER_PYTHON").ok();
    let base = folder.join("peer.duckdb");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/usage/peer.py");
    let peer = |args: &[&str]| {
        let mut command = Command::new(python.as_deref().unwrap_or("python3"));
        command.arg(&script).args(args);
        command
    };
    let base = base.to_str().expect("a path");
    if python.is_some() {
        let _ = std::fs::remove_file(base);
        let loaded = peer(&["load", base, file.to_str().expect("a path")]).output().expect("python");
        assert!(loaded.status.success(), "{loaded:?}");
    }
    let as_of = date(days - 1).to_string();
    let ours = |rules: Option<&Path>| {
        let mut command = broker.setup.program();
        command.args(["report", "idle", "--local", "--as-of", &as_of, "-o", "json"]);
        command.envs(rules.map(|rules| ("JIYUE_IDLE_RULES", rules)));
        command
    };
    let mega = |bytes: f64| bytes / 1e6;
    println!(
        "\n{:<20}{:>10}{:>10}{:>9}{:>11}{:>11}{:>7}{:>8}{:>12}",
        "whole process", "jiyue s", "DuckDB s", "", "jiyue MB", "DuckDB MB", "", "idle", "borderline"
    );
    for (length, rules, judged) in [
        (30, Some(30), false),
        (14, Some(14), false),
        (7, Some(7), false),
        (1, Some(1), false),
        (30, None, false),
        (30, None, true),
    ] {
        if length > days {
            continue;
        }
        if judged {
            evidence(broker, token, days).await;
        }
        let path = rules.map(|length| self::rules(folder, length));
        let own = timed(rounds, || ours(path.as_deref()));
        let by = match (rules, judged) {
            (Some(_), _) => "p95",
            (None, false) => "default",
            (None, true) => "judged",
        };
        let what = format!("{length} days, {by}");
        let (idle, border) = (names(&own.said, "idle", "/subject/id"), names(&own.said, "borderline", "/id"));
        let row = |theirs: Option<(f64, f64)>| {
            let figure = |value: Option<f64>, digits: usize, unit: &str| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}{unit}"))
            };
            let own_peak = mega(own.peak as f64);
            println!(
                "{what:<20}{:>10.3}{:>10}{:>9}{own_peak:>11.0}{:>11}{:>7}{:>8}{:>12}",
                own.seconds,
                figure(theirs.map(|theirs| theirs.0), 3, ""),
                figure(theirs.map(|theirs| theirs.0 / own.seconds), 1, "×"),
                figure(theirs.map(|theirs| theirs.1), 0, ""),
                figure(theirs.map(|theirs| own_peak / theirs.1), 2, ""),
                idle.len(),
                border.len()
            );
        };
        if python.is_none() {
            row(None);
            continue;
        }
        // The last sample of a day is of its midnight.
        let at = |day: i64| (trace::BEGINS + day * 86_400).to_string();
        let (begins, ends, cpu, rate) = (at(days - length), at(days), CPU.to_string(), RATE.to_string());
        let exact = timed(rounds, || peer(&["report", base, &begins, &ends, &cpu, &rate]));
        row(Some((exact.seconds, mega(exact.said["peak"].as_f64().expect("a number")))));
        if rules.is_none() {
            continue;
        }
        let name = |id: &String| {
            let number = id.rsplit('-').next().and_then(|hex| i64::from_str_radix(hex, 16).ok());
            format!("m{}", number.expect("a number"))
        };
        let (sure, border): (BTreeSet<_>, BTreeSet<_>) =
            (idle.iter().map(name).collect(), border.iter().map(name).collect());
        let exact_idle: BTreeSet<String> =
            exact.said["idle"].as_array().expect("a list").iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        assert!(!exact_idle.is_empty(), "somebody is idle");
        assert!(sure.is_subset(&exact_idle), "named idle, and is not: {:?}", sure.difference(&exact_idle));
        let either: BTreeSet<_> = sure.union(&border).cloned().collect();
        assert!(exact_idle.is_subset(&either), "idle, and not named: {:?}", exact_idle.difference(&either));
        println!("{:<20}the same list, but for {} on the border", "", exact_idle.difference(&sure).count());
    }
    let _ = std::fs::remove_file(base);
}
