//! A real Prometheus, two real brokers on one database, real guests on a real libvirtd: every query of every panel has an
//! answer, and counts once what both tell. What would take days (a week of growth, a day's verdicts) is put there beforehand.

use super::queries;
use crate::{
    service::tls::{self, Ca},
    support::{
        broker::{self, Broker, Cast, On, Setup},
        http,
        libvirt::small_guest,
        plain, postgres,
        prometheus::Prometheus,
        site::Site,
    },
};
use jiyue::{
    seeing::{boards, rules},
    time::Clock,
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(150);

/// What has been given out over the last week, an hour apart.
fn past() -> String {
    let now = Clock::System.now().as_second();
    let mut text = String::new();
    let (physical, allocated) = (rules::capacity::PHYSICAL, rules::capacity::ALLOCATED);
    for (name, series) in [(physical, "physical"), (allocated, "allocated")] {
        let _ = writeln!(text, "# TYPE {name} gauge");
        for (resource, ..) in rules::capacity::RESOURCES {
            for hour in 2..=150_i64 {
                let at = now - (152 - hour) * 3600;
                let value = if series == "physical" { 1000.0 } else { 1e-3 * f64::from(u32::try_from(hour).unwrap()) };
                let _ = writeln!(text, "{name}{{resource=\"{resource}\",zone=\"government_extranet\"}} {value} {at}");
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

/// One request's machines, built.
async fn build(broker: &Broker, cast: &Cast, domain: &str) -> u64 {
    let mut block = broker::request();
    block["域名"] = json!(domain);
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    let id = made["items"][0]["id"].as_str().unwrap().to_owned();
    let operation = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    let done = broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(120)).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    block["申请虚拟机数量"].as_u64().unwrap()
}

/// The values of an answer, those that are numbers.
async fn ask(prometheus: &Prometheus, expression: &str) -> Vec<f64> {
    let url = format!("http://{}/api/v1/query", prometheus.address);
    let query = expression.replace("$__rate_interval", "2m");
    let answer: Value = http().get(url).query(&[("query", &query)]).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["status"], "success", "{expression}: {answer:#}");
    let result = answer["data"]["result"].as_array().unwrap();
    let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
    result.iter().filter_map(value).filter(|value| !value.is_nan()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines, reason = "two brokers, two databases, one Prometheus")]
async fn every_query_of_every_panel_has_an_answer_and_counts_once_what_two_brokers_tell() {
    let ca = Ca::new();
    ca.sign("one");
    ca.install("one", "one");
    // Half of it is what a host has to answer in: this one runs the machines of other tests too.
    let setup = Setup::new(On::Postgres).with("JIYUE_USAGE_SECONDS", "6").with_silent_sources(&["room-1"]);
    let broker = Broker::start(setup.clone()).await;
    let other = tls::ready(&ca, Broker::spawn(ca.on(setup))).await;
    let target = |broker: &Broker| broker.url.trim_start_matches("http://").to_owned();
    let root = env!("CARGO_MANIFEST_DIR");
    let config = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [format!("{root}/dashboards/rules.yaml")],
        "scrape_configs": [
            {"job_name": "jiyue", "static_configs": [{"targets": [target(&broker)]}]},
            {"job_name": "jiyue-tls", "scheme": "https", "static_configs": [{"targets": [target(&other)]}],
             "tls_config": {"ca_file": ca.folder.join("ca.pem"), "server_name": "localhost"}},
        ],
    });
    let mut prometheus = Prometheus::configured(&config).with_past(&past());
    prometheus.start().await;
    let cast = Cast::arrive(&broker).await;
    let site = Site::new();
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
    broker.image(&cast, std::fs::read(small_guest()).expect("the guest's image")).await;
    let began = Instant::now();
    while ask(&prometheus, "jiyue_hosts{state=\"active\"} == 1").await.len() < 2 {
        assert!(began.elapsed() < LIMIT, "both are scraped");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let built = build(&broker, &cast, "panel.xiangcheng.example").await;
    let mut waiting = broker::request();
    waiting["域名"] = json!("waits.xiangcheng.example");
    broker.post("/v1/requests", &cast.requester, &waiting).await.expect(201);
    let (url, today) = (&broker.setup.database_url, Clock::System.today());
    for sql in [
        format!(
            "insert into usage_verdicts (id, subject_id, day, department_id, verdict, eligible, rule_set, rule_version, evidence) \
             select machines.id, machines.id, '{today}', requests.department_id, 'idle', 0, 'own', 1, '{{}}' from machines \
             join requests on requests.id = machines.request_id"
        ),
        format!("insert into usage_verdict_days (day, judged_at) values ('{today}', 0)"),
    ] {
        plain::run(url, &sql).await.unwrap();
    }
    let mut left: Vec<_> = boards::all()
        .iter()
        .flat_map(|board| {
            let title = board.title;
            queries(&board.json())
                .into_iter()
                .map(move |(panel, expression, legend)| (title, panel, expression, legend))
        })
        .collect();
    let all = left.len();
    let began = Instant::now();
    while !left.is_empty() {
        let mut silent = Vec::new();
        for (board, panel, expression, legend) in left {
            let values = ask(&prometheus, &expression).await;
            if values.is_empty() {
                silent.push((board, panel, expression, legend));
            } else {
                let some: Vec<_> = values.iter().take(4).map(|value| format!("{value:.4}")).collect();
                eprintln!("{board} | {panel} | {legend} | {} series | {}", values.len(), some.join(" "));
            }
        }
        left = silent;
        assert!(left.is_empty() || began.elapsed() < LIMIT, "{} of {all} have no answer: {left:#?}", left.len());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    eprintln!("{all} queries answered within {:?}", began.elapsed());

    // Two brokers tell of each machine; a board counts it once.
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let machines = built as f64;
    let of = |board: usize, panel: &str, legend: &str| {
        let all = queries(&boards::all()[board].json());
        all.into_iter().find(|(p, _, l)| p == panel && l == legend).unwrap_or_else(|| panic!("{panel} {legend}")).1
    };
    let began = Instant::now();
    while ask(&prometheus, "jiyue_machines{state=\"running\"}").await != [machines, machines] {
        assert!(began.elapsed() < LIMIT, "both brokers look every few seconds");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (board, panel, legend, value) in [
        (0, "虚拟机的状态", "运行中", machines),
        (0, "待审批的申请", "", 1.0),
        (3, "闲置的份额", "", 1.0),
        (3, "闲置的台数", "", machines),
    ] {
        assert_eq!(ask(&prometheus, &of(board, panel, legend)).await, [value], "{panel} {legend}");
    }
    let held = plain::number(url, "select cast(sum(vcpu) as bigint) from claims where compute_held = 1").await;
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let held = held as f64;
    assert_eq!(ask(&prometheus, &of(0, "CPU", "{{zone}} 分配")).await, [held]);
    assert_eq!(ask(&prometheus, &of(3, "闲置占用的 CPU", "")).await, [held]);

    // The pair that the second broker shows is good for two days.
    let left = ask(&prometheus, "min(jiyue_certificate_expiry_timestamp_seconds) - time()").await;
    assert!(left.len() == 1 && (86_400.0..=172_800.0).contains(&left[0]), "{left:?}");

    // The rules run, and what fires reads well.
    let rules: Value =
        http().get(format!("http://{}/api/v1/rules", prometheus.address)).send().await.unwrap().json().await.unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let all: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(all.len() > 25 && all.iter().all(|rule| rule["health"] == "ok"), "{rules:#}");
    let alerts = all.iter().flat_map(|rule| rule["alerts"].as_array().into_iter().flatten());
    let summaries: Vec<_> = alerts.map(|alert| alert["annotations"]["summary"].as_str().unwrap()).collect();
    eprintln!("{summaries:#?}");
    assert!(summaries.iter().all(|summary| !summary.contains("<error") && !summary.contains("{{")), "{summaries:?}");

    // A database that lets nobody in is told, and so is its return.
    let name = url.rsplit('/').next().unwrap();
    let allow = |yes: bool| {
        let cluster = postgres::shared();
        assert!(cluster.psql("postgres", &format!("alter database {name} with allow_connections {yes}")).0);
        let hang_up = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        assert!(cluster.psql("postgres", &hang_up).0);
    };
    for up in [0.0, 1.0] {
        allow(up > 0.5);
        let began = Instant::now();
        while ask(&prometheus, &of(0, "数据库", "")).await != [up] {
            assert!(began.elapsed() < LIMIT, "{up}: {}", broker.log());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        eprintln!("that the database is {up} was told after {:?}", began.elapsed());
    }
}
