//! From the rows of days to what people print, on both databases: each day judged once and kept, the same report whenever it
//! is asked for, the owner's agreement, the month's reports, and the gauges.

mod paper;

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
};
use jiff::{ToSpan, civil::Date};
use jiyue::{
    app,
    config::Settings,
    db::{Db, Options},
    ids::MachineId,
    metrics::Metrics,
    report::service::Reports,
    time::{self, Clock},
    usage::{
        Day, Interval, OpenDay, Point, Traffic,
        gauges::service::Gauges,
        judging::{self, service::Keep},
        store,
        verdict::{Code, Verdict},
    },
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60);

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// One request's machines, built.
pub async fn machines(broker: &Broker, cast: &Cast, count: u32, domain: &str) -> Vec<String> {
    let mut block = broker::request();
    block["申请虚拟机数量"] = json!(count);
    block["域名"] = json!(domain);
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    let id = text(&made, "/items/0/id");
    let operation = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    let done = broker.finished(&text(&operation, "/id"), &cast.authority, LIMIT).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let request = broker.get(&format!("/v1/requests/{id}"), &cast.operator).await.expect(200);
    request["machines"].as_array().unwrap().iter().map(|machine| text(machine, "/id")).collect()
}

/// A day of half hours: `cpu` percent of two processors, `rate` bytes a second each way, a little of it on the disk.
pub fn day(date: Date, cpu: f64, rate: f64) -> Day {
    day_of(date, [cpu, 30.0, 500.0, rate, rate / 2.0])
}

/// The same of CPU, memory, disk, received, sent.
pub fn day_of(date: Date, values: [f64; 5]) -> Day {
    let interval = Interval::seconds(1800).expect("an interval");
    let mut open = OpenDay::new(date);
    let begins = time::day_begins(date) * 1_000_000;
    for half_hour in 0..48_i64 {
        let from = begins + half_hour * interval.as_micros();
        open.fold(&Point {
            from,
            to: from + interval.as_micros(),
            interval,
            vcpus: Some(2),
            values: values.map(Some),
            traffic: Traffic { disk: 1000, received: 2000, sent: 1000 },
            logged_in: Some(false),
            inbound: Some(0),
        });
    }
    *open.close()
}

/// Rows of days, as a collector would have left them.
pub async fn lived(db: &Db, machine: &str, last: Date, days: i64, cpu: f64, rate: f64) {
    let days = (0..days).map(|ago| day(last.checked_sub(ago.days()).expect("a day"), cpu, rate)).collect();
    kept(db, machine, days).await;
}

/// Keeps days.
pub async fn kept(db: &Db, machine: &str, days: Vec<Day>) {
    let (machine, days) = (machine.to_owned(), Arc::new(days));
    db.housekeep(async move |tx| -> Result<(), jiyue::db::DbError> {
        let days: Vec<_> = days.iter().map(|day| (&machine[..], Box::new(day.clone()))).collect();
        store::keep_days(tx, &days).await
    })
    .await
    .expect("kept");
}

/// A second way into the broker's database, at whatever time.
pub struct Beside {
    pub db: Db,
    micros: Arc<AtomicI64>,
    pub reports: Reports,
}

impl Beside {
    pub async fn new(setup: &Setup) -> Self {
        let micros = Arc::new(AtomicI64::new(Clock::System.now().as_microsecond()));
        let clock = Clock::Fixed(Arc::clone(&micros));
        let options = Options { url: setup.database_url.clone(), read_connections: 2, clock };
        let db = Db::open(options).await.expect("a database");
        let reports = app::reports(&db, &Settings::default()).expect("rules");
        Self { db, micros, reports }
    }

    /// To the morning of a day.
    fn morning_of(&self, day: Date) {
        self.micros.store((time::day_begins(day) + 7200) * 1_000_000, Ordering::Relaxed);
    }

    async fn verdict(&self, day: Date, machine: &str) -> (Verdict, bool, Vec<Code>) {
        self.reports.judges.judge(day, Keep::Yes).await.expect("judged");
        let machines = [machine.to_owned()];
        let mut conn = self.db.read().await.expect("a connection");
        let kept = judging::store::newest(&mut conn, &machines, day).await.expect("verdicts").remove(0);
        assert_eq!(kept.day, day, "of that very day");
        let judgement = kept.evidence.judgement;
        let codes = judgement.eligibility.reasons.iter().map(|reason| reason.code).collect();
        (judgement.verdict, judgement.eligibility.eligible, codes)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_judged_once_and_kept() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "3600")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let ids = machines(&broker, &cast, 3, "idle.xiangcheng.example").await;
        let beside = Beside::new(&broker.setup).await;
        let yesterday = Clock::System.today().yesterday().unwrap();
        lived(&beside.db, &ids[0], yesterday, 400, 0.4, 50.0).await;
        lived(&beside.db, &ids[1], yesterday, 400, 60.0, 200_000.0).await;
        // The third stands for what was measured for a week only.
        lived(&beside.db, &ids[2], yesterday, 7, 0.4, 50.0).await;

        let path = format!("/v1/reports/idle?as_of={yesterday}");
        let report = broker.get(&path, &cast.authority).await.expect(200);
        let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_i64).unwrap_or(-1);
        assert_eq!(
            ["/totals/machines", "/totals/busy", "/totals/idle/machines", "/totals/unknown"].map(count),
            [3, 1, 1, 1],
            "{report:#}"
        );
        assert_eq!(text(&report, "/idle/0/subject/id"), ids[0]);
        assert_eq!(report.pointer("/idle/0/judgement/eligibility/eligible"), Some(&json!(true)), "{report:#}");
        assert_eq!(report.pointer("/idle/0/idle/days"), Some(&json!(396)), "as far back as anybody looks");
        assert_eq!(text(&report, "/totals/ages/3/age"), "over_90");
        assert_eq!(count("/totals/ages/3/holding/machines"), 1);
        assert_eq!(count("/totals/idle/vcpu"), count("/idle/0/subject/vcpu"));
        assert!(!text(&report, "/unknown/0/judgement/reasons/0/code").is_empty(), "{report:#}");
        let figure = |name: &str| {
            let figures = report.pointer("/idle/0/judgement/figures").and_then(Value::as_array).unwrap();
            figures.iter().find(|figure| figure["name"] == name).cloned().unwrap_or_default()
        };
        assert_eq!(figure("coverage")["held"], "certain", "{:#}", figure("coverage"));
        let p95 = report.pointer("/idle/0/usage/cpu_percent/p95").and_then(Value::as_f64).unwrap();
        assert!((0.4..0.48).contains(&p95), "{p95}");

        // The same again, in every form, whatever is brought in meanwhile.
        let raw = |format: &str, token: &str| {
            let (path, token) = (format!("{path}&format={format}"), token.to_owned());
            let broker = &broker;
            async move { bytes(broker, &path, &token).await }
        };
        let before =
            [raw("json", &cast.authority).await, raw("csv", &cast.authority).await, raw("xlsx", &cast.authority).await];
        lived(&beside.db, &ids[0], yesterday, 20, 95.0, 1e6).await;
        let after =
            [raw("json", &cast.authority).await, raw("csv", &cast.authority).await, raw("xlsx", &cast.authority).await];
        assert!(before == after, "a day's report does not change");
        assert!(before[1].starts_with("\u{feff}\"建设单位\"".as_bytes()), "{}", String::from_utf8_lossy(&before[1]));
        let rows = "select count(*) from usage_verdicts";
        assert_eq!(plain::number(&broker.setup.database_url, rows).await, 3);
        // The day before was not judged yet, so what was brought in counts for it.
        let eve = yesterday.yesterday().unwrap();
        assert_eq!(beside.verdict(eve, &ids[0]).await.0, Verdict::Busy);

        scopes(&broker, &cast, &path, yesterday, &ids).await;
        let advice = broker.get(&format!("/v1/usage/advice?day={yesterday}"), &cast.requester).await.expect(200);
        for item in advice["items"].as_array().unwrap() {
            assert_ne!(text(item, "/id"), ids[2], "nothing is advised of what is unknown: {item:#}");
        }
    }
}

async fn bytes(broker: &Broker, path: &str, token: &str) -> Vec<u8> {
    let answer = reqwest::Client::new().get(format!("{}{path}", broker.url)).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

/// Who sees what, and what is no question.
async fn scopes(broker: &Broker, cast: &Cast, path: &str, yesterday: Date, ids: &[String]) {
    let own = broker.get(path, &cast.requester).await.expect(200);
    assert_eq!(own.pointer("/totals/machines"), Some(&json!(3)));
    assert_eq!(text(&own, "/department/code"), "mzj");
    let theirs = broker.get(path, &cast.other_requester).await.expect(200);
    assert_eq!(theirs.pointer("/totals/machines"), Some(&json!(0)), "{theirs:#}");
    assert!(!theirs.to_string().contains(&ids[0]));
    assert_eq!(broker.get(&format!("{path}&department=mzj"), &cast.other_requester).await.code(), "not_found");
    let listed = format!("/v1/verdicts?day={yesterday}");
    assert_eq!(broker.get(&listed, &cast.other_requester).await.expect(200)["items"], json!([]));
    let idle = broker.get(&format!("{listed}&verdict=idle&eligible=true"), &cast.requester).await.expect(200);
    assert_eq!(idle["items"].as_array().map(Vec::len), Some(1), "{idle:#}");
    let of = |id: &str| format!("/v1/machines/{id}/verdicts");
    let history = broker.get(&of(&ids[0]), &cast.auditor).await.expect(200);
    assert_eq!(text(&history, "/items/0/day"), yesterday.to_string());
    assert_eq!(broker.get(&of(&ids[0]), &cast.other_requester).await.code(), "not_found");
    let today = Clock::System.today();
    for (wrong, status) in [
        (format!("/v1/reports/idle?as_of={today}"), 400),
        ("/v1/reports/idle?as_of=soon".to_owned(), 400),
        ("/v1/reports/idle?format=pdf".to_owned(), 400),
        (format!("/v1/verdicts?day={today}"), 400),
        ("/v1/verdicts?verdict=zombie".to_owned(), 400),
        ("/v1/reports/idle?department=nobody".to_owned(), 404),
    ] {
        let refused = broker.get(&wrong, &cast.authority).await;
        assert_eq!(refused.status.as_u16(), status, "{wrong}: {refused:?}");
    }
    // Before there was anything there is a report all the same, of nothing.
    for format in ["json", "csv", "xlsx"] {
        assert!(
            !bytes(broker, &format!("/v1/reports/idle?as_of=2001-01-01&format={format}"), &cast.auditor)
                .await
                .is_empty()
        );
    }
    assert_eq!(
        plain::number(&broker.setup.database_url, "select count(*) from usage_verdict_days where day < '2002'").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_legacy_servers_history_is_judged_as_of_its_own_days() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        let server = json!({"name": "旧服务器", "department": "mzj", "cores": 8, "memory_bytes": 17_179_869_184_i64});
        let server = text(&broker.post("/v1/servers", &cast.operator, &server).await.expect(201), "/id");
        // Of long before it was entered here.
        let then = jiff::civil::date(2013, 8, 31);
        lived(&Beside::new(&broker.setup).await.db, &server, then, 75, 0.4, 50.0).await;
        let path = format!("/v1/reports/idle?as_of={then}");
        let old = broker.get(&path, &cast.requester).await.expect(200);
        assert_eq!(old.pointer("/totals/machines"), Some(&json!(1)), "{old:#}");
        assert_eq!(text(&old, "/idle/0/subject/id"), server);
        assert_eq!(old.pointer("/idle/0/idle/days"), Some(&json!(75)));
        assert_eq!(old.pointer("/idle/0/judgement/eligibility/eligible"), Some(&json!(false)));
        let before = broker.get("/v1/reports/idle?as_of=2013-01-01", &cast.authority).await.expect(200);
        assert_eq!(before.pointer("/totals/machines"), Some(&json!(0)), "{before:#}");
        assert_eq!(
            broker.get(&path, &cast.other_requester).await.expect(200).pointer("/totals/machines"),
            Some(&json!(0))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_agrees_until_a_day_and_may_think_again() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "3600")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let id = machines(&broker, &cast, 1, "agree.xiangcheng.example").await.remove(0);
        let beside = Beside::new(&broker.setup).await;
        let today = Clock::System.today();
        let after = |days: i64| today.checked_add(days.days()).unwrap();
        // Sixty days: idle, and too short a time for anybody but its owner.
        lived(&beside.db, &id, after(10), 60, 0.4, 50.0).await;

        let agree = format!("/v1/machines/{id}/agree-reclaim");
        let until = json!({"until": after(4), "reason": "已停用"});
        for (token, code) in
            [(&cast.authority, "forbidden"), (&cast.operator, "forbidden"), (&cast.other_requester, "not_found")]
        {
            assert_eq!(broker.post(&agree, token, &until).await.code(), code);
        }
        for (body, code) in [
            (json!({"until": after(-1)}), "agreement_untimely"),
            (json!({"until": after(400)}), "agreement_untimely"),
            (json!({"until": after(1), "reason": "a\u{202e}b"}), "text_refused"),
            (json!({}), "malformed"),
        ] {
            assert_eq!(broker.post(&agree, &cast.requester, &body).await.code(), code, "{body}");
        }
        let withdraw = format!("/v1/machines/{id}/withdraw-reclaim");
        assert_eq!(broker.post(&withdraw, &cast.requester, &json!({})).await.code(), "not_agreed");
        let agreed = broker.post(&agree, &cast.requester, &until).await.expect(200);
        assert_eq!((text(&agreed, "/agreed_by"), text(&agreed, "/until")), ("zhang".to_owned(), after(4).to_string()));

        beside.morning_of(after(2));
        assert_eq!(beside.verdict(today, &id).await, (Verdict::Idle, true, Vec::new()));
        // An agreement counts from its day on and no longer than to its last.
        let (verdict, eligible, codes) = beside.verdict(after(-1), &id).await;
        assert_eq!((verdict, eligible), (Verdict::Idle, false));
        assert!(codes.contains(&Code::HistoryShort) && codes.contains(&Code::OwnerNotAgreed), "{codes:?}");
        beside.morning_of(after(8));
        assert!(!beside.verdict(after(5), &id).await.1, "it was until the day before");
        // Withdrawn today: what was kept stays, what is judged from now on knows it.
        broker.post(&withdraw, &cast.requester, &json!({})).await.expect(200);
        assert!(beside.verdict(today, &id).await.1, "kept");
        assert!(!beside.verdict(after(3), &id).await.1, "withdrawn before");
        let acts = plain::texts(
            &broker.setup.database_url,
            "select action from audit where action like 'machine.%reclaim' order by seq",
        )
        .await;
        assert_eq!(acts, ["machine.agree_reclaim", "machine.withdraw_reclaim"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_months_reports_make_themselves_and_stay_as_they_are() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "3600")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let id = machines(&broker, &cast, 1, "month.xiangcheng.example").await.remove(0);
        let beside = Beside::new(&broker.setup).await;
        let today = Clock::System.today();
        let end = today.last_of_month();
        let next = end.tomorrow().unwrap();
        beside.morning_of(next);
        lived(&beside.db, &id, end, 60, 0.4, 50.0).await;
        let both = tokio::join!(beside.reports.make_month(), beside.reports.make_month());
        assert_eq!(both.0.expect("made") + both.1.expect("made"), 2, "one of all, one of the department; once");
        assert_eq!(beside.reports.make_month().await.expect("made"), 0);

        let listed = broker.get("/v1/reports", &cast.authority).await.expect(200);
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed:#}");
        let own = broker.get("/v1/reports", &cast.requester).await.expect(200);
        assert_eq!(own["items"].as_array().map(Vec::len), Some(1), "{own:#}");
        assert_eq!(text(&own, "/items/0/department/code"), "mzj");
        assert_eq!(text(&own, "/items/0/as_of"), end.to_string());
        assert_eq!(broker.get("/v1/reports", &cast.other_requester).await.expect(200)["items"], json!([]));
        let whole = listed["items"].as_array().unwrap().iter().find(|item| item["department"].is_null()).unwrap();
        let path = format!("/v1/reports/{}", text(whole, "/id"));
        assert_eq!(broker.get(&path, &cast.requester).await.code(), "not_found");
        let before = [
            bytes(&broker, &path, &cast.auditor).await,
            bytes(&broker, &format!("{path}?format=xlsx"), &cast.auditor).await,
        ];
        lived(&beside.db, &id, end, 60, 90.0, 1e6).await;
        let after = [
            bytes(&broker, &path, &cast.auditor).await,
            bytes(&broker, &format!("{path}?format=xlsx"), &cast.auditor).await,
        ];
        assert!(before == after);
        let document: Value = serde_json::from_slice(&before[0]).expect("JSON");
        assert_eq!(text(&document, "/idle/0/subject/id"), id, "{document:#}");
        let acts = "select count(*) from audit where action = 'report.make'";
        assert_eq!(plain::number(&broker.setup.database_url, acts).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines, reason = "one broker's gauges, from the first to the last")]
async fn what_is_asked_given_and_used_is_told_as_gauges() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "1")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let ids = machines(&broker, &cast, 2, "gauge.xiangcheng.example").await;
        let mut waiting = broker::request();
        waiting["域名"] = json!("waits.xiangcheng.example");
        broker.post("/v1/requests", &cast.requester, &waiting).await.expect(201);
        let beside = Beside::new(&broker.setup).await;
        let told = async |machines: bool| {
            let metrics = Metrics::new().expect("metrics");
            let mut gauges = Gauges::new(beside.db.clone(), metrics.clone(), Interval::MINUTE, machines);
            gauges.look().await.expect("looked");
            String::from_utf8(metrics.exposition().expect("text")).expect("UTF-8")
        };
        let value = |text: &str, series: &str| -> Option<f64> {
            text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
        };
        let began = std::time::Instant::now();
        let all = loop {
            let all = told(true).await;
            if ids.iter().all(|id| all.contains(&format!("jiyue_machine_used_vcpus{{machine_id=\"{id}\""))) {
                break all;
            }
            assert!(began.elapsed() < LIMIT, "{all}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let sum = |column: &str| {
            let sql = format!("select cast(sum({column}) as bigint) from claims where compute_held = 1");
            let url = broker.setup.database_url.clone();
            async move { plain::number(&url, &sql).await }
        };
        let zone = |stage: &str, provider: &str| {
            format!("{{provider=\"{provider}\",stage=\"{stage}\",zone=\"government_extranet\"}}")
        };
        #[allow(clippy::cast_precision_loss, reason = "small")]
        for (metric, column) in
            [("jiyue_vcpus", "vcpu"), ("jiyue_memory_bytes", "memory_bytes"), ("jiyue_disk_bytes", "disk_bytes")]
        {
            let held = sum(column).await as f64;
            for stage in ["allocated", "approved", "requested"] {
                assert_eq!(
                    value(&all, &format!("{metric}{}", zone(stage, "simulated"))),
                    Some(held),
                    "{stage} {metric}: {all}"
                );
            }
            let waits = value(&all, &format!("{metric}{}", zone("requested", "none"))).unwrap();
            assert!(waits > 0.0);
            assert!(value(&all, &format!("{metric}{}", zone("physical", "simulated"))).unwrap() >= held);
        }
        assert_eq!(value(&all, "jiyue_usage_coverage_ratio"), Some(1.0), "{all}");
        assert!(value(&all, "jiyue_usage_lag_seconds").unwrap() < 60.0);
        assert!(
            !all.contains("jiyue_disk_bytes{provider=\"simulated\",stage=\"measured\""),
            "nobody measures how full a disk is"
        );
        assert!(ids.iter().all(|id| all.contains(&format!("jiyue_machine_used_vcpus{{machine_id=\"{id}\""))), "{all}");
        assert!(!told(false).await.contains("jiyue_machine_used_vcpus{"), "switched off");
        // What the broker itself tells.
        let served = reqwest::get(format!("{}/metrics", broker.url)).await.unwrap().text().await.unwrap();
        assert!(served.contains("jiyue_verdicts{verdict=\"idle\"} 0"), "{served}");
        for (series, told) in [
            ("jiyue_database_up", 1.0),
            ("jiyue_request_decision_seconds_count{outcome=\"approved\"}", 1.0),
            ("jiyue_request_decision_seconds_count{outcome=\"returned\"}", 0.0),
            ("jiyue_request_delivery_seconds_count{outcome=\"delivered\"}", 1.0),
            ("jiyue_host_silence_seconds{host=\"sim\"}", 0.0),
            ("jiyue_database_write_duration_seconds_count{outcome=\"failed\"}", 0.0),
        ] {
            assert_eq!(value(&served, series), Some(told), "{series}: {served}");
        }
        assert!(value(&served, "jiyue_database_write_duration_seconds_count{outcome=\"done\"}").unwrap() > 0.0);
        assert!(!served.contains("jiyue_certificate_expiry"), "it speaks no TLS");
        for (series, told) in [
            ("jiyue_machines{state=\"running\"}", 2.0),
            ("jiyue_machines{state=\"stopped\"}", 0.0),
            ("jiyue_requests_open{state=\"submitted\"}", 1.0),
            ("jiyue_requests_open{state=\"approved\"}", 0.0),
            ("jiyue_operations{kind=\"build\",state=\"running\"}", 0.0),
            ("jiyue_operation_oldest_age_seconds{kind=\"build\"}", 0.0),
            ("jiyue_zombie_findings{state=\"suspected\"}", 0.0),
        ] {
            assert_eq!(value(&all, series), Some(told), "{series}: {all}");
        }
        assert!(value(&all, "jiyue_request_oldest_age_seconds{state=\"submitted\"}").unwrap() > 0.0, "{all}");
        let url = broker.setup.database_url.as_str();
        for (indicator, column) in
            [("machines", "machines"), ("vcpus", "vcpu"), ("memory", "memory_bytes"), ("disk", "disk_bytes")]
        {
            let of = |kind: &str| format!("select cast(sum({kind}_{column}) as bigint) from task_books");
            let (used, limit) = (plain::number(url, &of("used")).await, plain::number(url, &of("limit")).await);
            let book = all.lines().find(|line| {
                line.starts_with("jiyue_task_book_used_ratio{department=\"相城区民政局\"")
                    && line.contains(&format!("indicator=\"{indicator}\""))
            });
            let told: f64 = book.unwrap().split_whitespace().last().unwrap().parse().unwrap();
            #[allow(clippy::cast_precision_loss, reason = "small")]
            let share = used as f64 / limit as f64;
            assert!(used > 0 && (told - share).abs() < 1e-9, "{indicator}: {told} and {share}");
        }
        // A machine that is gone takes its series with it.
        let metrics = Metrics::new().expect("metrics");
        let mut gauges = Gauges::new(beside.db.clone(), metrics.clone(), Interval::MINUTE, true);
        gauges.look().await.expect("looked");
        let machine: MachineId = ids[0].parse().unwrap();
        plain::run(
            &broker.setup.database_url,
            &format!("update machines set state = 'stopped' where id = '{machine}'"),
        )
        .await
        .unwrap();
        gauges.look().await.expect("looked");
        let left = String::from_utf8(metrics.exposition().unwrap()).unwrap();
        assert!(!left.contains(&ids[0]) && left.contains(&ids[1]), "{left}");
        assert_eq!(value(&left, "jiyue_machines{state=\"stopped\"}"), Some(1.0), "{left}");
        // So does a task book that is no longer in force; and what is stuck is told by its age.
        for sql in [
            "update task_books set revoked_at = 1".to_owned(),
            format!(
                "insert into operations (id, kind, department_id, state, steps_total, trace_id, started_by, created_at, \
                 lease_until) select 'stuck', 'migrate', department_id, 'running', 1, 't', 's', {}, {} from task_books",
                beside.db.clock().now().as_microsecond() - 7_200_000_000,
                // Nobody is to take it up.
                i64::MAX
            ),
        ] {
            plain::run(url, &sql).await.unwrap();
        }
        gauges.look().await.expect("looked");
        let left = String::from_utf8(metrics.exposition().unwrap()).unwrap();
        assert!(!left.contains("jiyue_task_book_used_ratio{"), "{left}");
        assert_eq!(value(&left, "jiyue_operations{kind=\"migrate\",state=\"running\"}"), Some(1.0), "{left}");
        let age = value(&left, "jiyue_operation_oldest_age_seconds{kind=\"migrate\"}").unwrap();
        assert!((7200.0..7300.0).contains(&age), "{age}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_made_without_a_server_and_writes_nothing() {
    let mut broker = Broker::start(Setup::new(On::Sqlite).with("JIYUE_USAGE_SECONDS", "3600")).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let id = machines(&broker, &cast, 1, "local.xiangcheng.example").await.remove(0);
    let yesterday = Clock::System.today().yesterday().unwrap();
    lived(&Beside::new(&broker.setup).await.db, &id, yesterday, 400, 0.4, 50.0).await;
    let setup = broker.setup.clone();
    broker.kill();
    let run = |args: &[&str]| {
        let out = setup.program().args(args).output().expect("run");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let report: Value = serde_json::from_slice(&run(&["report", "idle", "--local", "-o", "json"])).expect("JSON");
    assert_eq!(text(&report, "/idle/0/subject/id"), id, "{report:#}");
    let table = String::from_utf8(run(&["report", "idle", "--local"])).expect("UTF-8");
    assert!(table.contains("90 天以上") && table.contains(&id), "{table}");
    assert!(run(&["report", "idle", "--local", "-o", "xlsx"]).starts_with(b"PK"));
    assert_eq!(plain::number(&setup.database_url, "select count(*) from usage_verdicts").await, 0);
    let other = setup.program().args(["machine", "list", "-o", "csv"]).output().expect("run");
    assert_eq!(other.status.code(), Some(2), "csv is of reports alone: {other:?}");
}
