//! Approvals per second by the public endpoint, beside what an engineer would otherwise write: one SQL statement that
//! checks the quota, picks the best-fitting host and records the claim, run by pgbench on a durable PostgreSQL of its own
//! (`PEER=`, by default `../shared/bench`; without it only our own figure is printed, and that is said).
//!
//! Ours is the real binary with `make run`'s settings: SQLite with full synchronisation, bearer tokens, audit on; 1,000
//! simulated hosts, 200 task books, the build worker paused. The requests waiting for approval are written straight into
//! the database before the clock starts. Both are run in turn, A B A B; medians are what counts, and their ratio.
//!
//! `cargo bench --bench claim` (`SECONDS=5 ROUNDS=3 CLIENTS=1,8,32`)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::format_collect, dead_code, reason = "shares the tests' support, of which it needs a part")]

#[path = "../tests/it/support/mod.rs"]
mod support;

use jiyue::{
    catalogue::Catalogue,
    ids::{DepartmentId, RequestId},
    jurisdiction::Profile,
    request::{block::Block, fields::RawBlock},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection;
use std::{
    io::{Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{
    broker::{Broker, Cast, On, Setup},
    postgres::Postgres,
};

const HOSTS: usize = 1000;
const BOOKS: usize = 200;

#[tokio::main]
async fn main() {
    let seconds = setting("SECONDS", 5);
    let rounds = setting("ROUNDS", 3);
    let clients: Vec<usize> =
        std::env::var("CLIENTS").unwrap_or_else(|_| "1,8,32".into()).split(',').map(|n| n.parse().unwrap()).collect();
    let (broker, cast, ids) = ours(6000 * seconds * rounds * clients.len()).await;
    let peer = Peer::new();
    println!("fdatasync: {:.0}/s in {}", fdatasync_rate(&broker.setup.folder), broker.setup.folder.display());
    println!("{HOSTS} hosts, {BOOKS} task books, {seconds} s a run, {rounds} rounds, A B A B; medians\n");
    println!("{:>8} {:>16} {:>16} {:>14} {:>8}", "clients", "jiyue /s", "peer /s", "peer, 1 book", "ratio");
    let next = Arc::new(AtomicUsize::new(0));
    for width in clients {
        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            a.push(approve(&broker, &cast, &ids, &next, width, seconds).await);
            if let Some(peer) = &peer {
                b.push(peer.run("claim_bestfit.sql", width, seconds));
                c.push(peer.run("claim_hot.sql", width, seconds));
            }
        }
        let (a, b, c) = (median(a), median(b), median(c));
        println!("{width:>8} {a:>16.0} {b:>16.0} {c:>14.0} {:>8.2}", a / b);
    }
    let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
    assert_eq!(ledger["consistent"], true, "{ledger:#}");
    println!("\n{} approvals; the ledger agrees", next.load(Ordering::Relaxed));
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A broker with everything in place and `count` requests waiting.
async fn ours(count: usize) -> (Broker, Cast, Arc<Vec<String>>) {
    let setup = Setup::new(On::Sqlite).with("JIYUE_WORKER_WIDTH", "0").with("JIYUE_LOG_FILTER", "warn");
    let broker = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&broker).await;
    broker.image(&cast, support::broker::raw_image()).await;
    for host in 0..HOSTS {
        // Each with a network of its own: a /14 holds more machines than the run makes.
        let body = json!({"name": format!("h{host}"), "uri": "simulated:", "zones": [
            {"zone": "government_extranet", "network": "n", "bridge": "b", "cidr": "10.0.0.0/14"}]});
        broker.post("/v1/hosts", &cast.operator, &body).await.expect(201);
    }
    let mut books = Vec::new();
    for book in 0..BOOKS {
        let mut body = support::broker::task_book();
        body["number"] = json!(format!("B-{book}"));
        body["indicators"] =
            json!({"machines": 100_000, "vcpu": 1_000_000, "memory": "1000000 GiB", "disk": "1000000 GiB"});
        let made = broker.post("/v1/task-books", &cast.authority, &body).await.expect(201);
        books.push(made["id"].as_str().unwrap().to_owned());
    }
    let ids = waiting(&setup, &books, count).await;
    (broker, cast, Arc::new(ids))
}

/// Writes waiting requests straight into the tables: what is measured begins with the approval.
async fn waiting(setup: &Setup, books: &[String], count: usize) -> Vec<String> {
    let (profile, catalogue) = (Profile::embedded("xiangcheng").unwrap(), Catalogue::embedded().unwrap());
    let blocks: Vec<Block> = (0..books.len())
        .map(|book| {
            let raw = json!({
                "task_book": format!("B-{book}"), "vm_count": 1, "no_domain_reason": "仅内部接口使用",
                "os_type": "debian-12", "db_type": "none", "cpu_count": 2, "memory": "4 GiB", "disk": "40 GiB",
                "workload_description": "批准速度的测量", "network_zone": "government_extranet",
                "secrecy_level": "none", "mlps_level": 2, "deploy_milestone": "2035-06-30", "om_period_months": 36,
                "om_unit": {"name": "信息中心", "contact": "0512-00000000"},
                "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMBOF11sz54+bPZs6DViXtHXPljimFjdnCDOdz0c5uq6"],
            });
            let raw: RawBlock = serde_json::from_value(raw).unwrap();
            raw.check_shape(&catalogue, &profile).unwrap()
        })
        .collect();
    let path = setup.database_url.trim_start_matches("sqlite:").to_owned();
    let mut conn = sqlx::SqliteConnection::connect(&format!("sqlite:{path}")).await.unwrap();
    let department: String =
        sqlx::query_scalar("select id from departments where code = 'mzj'").fetch_one(&mut conn).await.unwrap();
    let _: DepartmentId = department.parse().unwrap();
    let person: String =
        sqlx::query_scalar("select id from people where login = 'zhang'").fetch_one(&mut conn).await.unwrap();
    let texts: Vec<_> = blocks.iter().map(|block| (block.canonical_json(), block.digest())).collect();
    let mut tx = conn.begin().await.unwrap();
    let mut ids = Vec::with_capacity(count);
    for n in 0..count {
        let (id, (block, digest)) = (RequestId::new().text(), &texts[n % texts.len()]);
        sqlx::query(
            "insert into requests (id, department_id, task_book_id, task_book_version, state, block, digest, \
             submitted_by, submitted_unit, submitted_at) values ($1, $2, $3, 1, 'submitted', $4, $5, $6, '相城区民政局', 0)",
        )
        .bind(&id)
        .bind(&department)
        .bind(&books[n % books.len()])
        .bind(block)
        .bind(digest)
        .bind(&person)
        .execute(&mut *tx)
        .await
        .unwrap();
        ids.push(id);
    }
    tx.commit().await.unwrap();
    ids
}

/// Approvals per second by `width` clients.
async fn approve(
    broker: &Broker,
    cast: &Cast,
    ids: &Arc<Vec<String>>,
    next: &Arc<AtomicUsize>,
    width: usize,
    seconds: usize,
) -> f64 {
    let (began, end) = (Instant::now(), Instant::now() + Duration::from_secs(seconds as u64));
    jiyue::client::install_ciphers();
    let http = reqwest::Client::builder().pool_max_idle_per_host(width).build().unwrap();
    let tasks: Vec<_> = (0..width)
        .map(|_| {
            let (http, ids, next) = (http.clone(), Arc::clone(ids), Arc::clone(next));
            let (url, token) = (broker.url.clone(), cast.authority.clone());
            tokio::spawn(async move {
                let mut done = 0_u32;
                while Instant::now() < end {
                    let id = &ids[next.fetch_add(1, Ordering::Relaxed)];
                    let call =
                        http.post(format!("{url}/v1/requests/{id}/approve")).bearer_auth(&token).json(&json!({}));
                    let response = call.send().await.unwrap();
                    let status = response.status();
                    let body: Value = response.json().await.unwrap();
                    assert_eq!(status, StatusCode::ACCEPTED, "{body:#}");
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0_u32;
    for task in tasks {
        done += task.await.unwrap();
    }
    f64::from(done) / began.elapsed().as_secs_f64()
}

/// The one-statement peer on a PostgreSQL of its own.
struct Peer {
    postgres: Postgres,
    folder: PathBuf,
}

impl Peer {
    fn new() -> Option<Self> {
        let folder = std::env::var_os("PEER")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bench"), PathBuf::from);
        if !folder.join("peer.sql").exists() {
            println!("no peer.sql in {} (PEER=): only our own figures follow", folder.display());
            return None;
        }
        let postgres = Postgres::start(true);
        let (ok, text) = postgres.psql("postgres", "create database peer");
        assert!(ok, "{text}");
        let load =
            postgres.program("psql").args(["-Xq", "-d", "peer", "-f"]).arg(folder.join("peer.sql")).output().unwrap();
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
        Some(Self { postgres, folder })
    }

    fn run(&self, script: &str, width: usize, seconds: usize) -> f64 {
        let threads = width.min(2).to_string();
        let out = self
            .postgres
            .program("pgbench")
            .args(["-n", "-M", "prepared", "-c", &width.to_string(), "-j", &threads, "-T", &seconds.to_string(), "-f"])
            .arg(self.folder.join(script))
            .arg("peer")
            .output()
            .expect("pgbench is installed");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&out.stderr)))
    }
}

/// How often a second this disk makes a small write durable.
fn fdatasync_rate(folder: &Path) -> f64 {
    let mut file = std::fs::File::create(folder.join("fdatasync")).unwrap();
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(1) {
        file.rewind().unwrap();
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}
