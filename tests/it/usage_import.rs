//! Histories as CSV files, through the real binary, on both databases. The oracle is what is left in the tables, and what the
//! API says was used.

use crate::{
    support::{
        broker::{Broker, Cast, On, Setup},
        plain,
        raw::{Raw, Reply},
    },
    usage::machine,
};
use flate2::{Compression, write::GzEncoder};
use jiyue::{
    db::{Db, DbError, Options},
    ids::DepartmentId,
    time::Clock,
    usage::{
        Day, Gauge, Interval, Window,
        import::{Folded, History, fold},
        store::{self, Target},
        summary::Summary,
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::Write as _,
    time::{Duration, Instant},
};

/// 2013-08-01 00:00 in the district.
const BEGINS: i64 = 1_375_286_400;
const PATH: &str = "/v1/usage/import";

async fn import(broker: &Broker, cast: &Cast, query: &str, bytes: impl Into<Vec<u8>>) -> Reply {
    let bearer = format!("Bearer {}", cast.operator);
    let headers = [("authorization", &bearer[..]), ("content-type", "text/csv")];
    Raw::new(broker).send(Method::POST, &format!("{PATH}{query}"), &headers, Some(bytes.into())).await
}

fn done(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("packed");
    encoder.finish().expect("packed")
}

/// A trace of one machine: so many samples every `step` seconds.
fn trace(vm: &str, samples: i64, step: i64) -> String {
    let mut text = "vm,ts,cores,cpu_percent,mem_percent,net_rx_kbps,net_tx_kbps\n".to_owned();
    for sample in 1..=samples {
        let cpu = f64::from(u32::try_from(sample % 50).unwrap_or_default()) / 2.0;
        writeln!(text, "{vm},{},2,{cpu},30.5,{},{}", BEGINS + sample * step, sample % 7, sample % 11).expect("written");
    }
    text
}

/// All that is kept of what was measured.
async fn kept(url: &str) -> Vec<String> {
    let hex = if url.starts_with("postgres") { "encode({}, 'hex')" } else { "hex({})" };
    let (data, state) = (hex.replace("{}", "data"), hex.replace("{}", "state"));
    let days = format!("select subject_id || ' ' || day || ' ' || {data} from usage_days order by 1");
    let meters = format!(
        "select subject_id || ' ' || coalesce(last_at, 0) || ' ' || coalesce(open_day, 0) || ' ' || {state} \
         from usage_meters order by 1"
    );
    [plain::texts(url, &days).await, plain::texts(url, &meters).await].concat()
}

/// Hosts are not read any more: what the collector knows of a machine is newer than any history.
async fn nobody_looks(url: &str) {
    let never = format!(
        "insert into usage_rounds (origin, due_at) select id, {0} from hosts where true \
         on conflict (origin) do update set due_at = {0}",
        i64::MAX
    );
    plain::run(url, &never).await.expect("rounds");
}

/// A broker that starts closes days that are over, of whom nothing has come since; and then none until tomorrow.
async fn days_are_closed(url: &str) {
    let began = Instant::now();
    while plain::number(url, "select count(*) from usage_meters where open_day is not null").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody closes them");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Another look, which finds none.
    tokio::time::sleep(Duration::from_secs(3)).await;
}

async fn used(broker: &Broker, cast: &Cast, id: &str) -> Value {
    let path = format!("/v1/machines/{id}/usage?from=2013-07-01&to=2014-07-31");
    broker.get(&path, &cast.operator).await.expect(200)["usage"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_is_there_when_it_is_answered_and_only_once() {
    for on in On::BOTH {
        let setup = Setup::new(on);
        let mut broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let url = setup.database_url.clone();
        nobody_looks(&url).await;
        let id = machine(&broker, &cast).await;

        let text = trace(&id, 1000, 300);
        let answer = done(&import(&broker, &cast, "", packed(&text)).await);
        // Answered is written, whatever becomes of us.
        broker.kill();
        let broker = Broker::start(setup.clone()).await;
        days_are_closed(&url).await;
        assert_eq!(
            answer,
            json!({"rows": 1000, "subjects": 1, "points": 1000, "days": 3, "interval_seconds": 300, "refused": [],
                "first_refused": [], "unknown_names": []})
        );
        let seen = used(&broker, &cast, &id).await;
        assert_eq!((&seen["samples"], &seen["cpu_percent"]["max"]), (&json!(1000), &json!(24.5)), "{seen:#}");
        // Of 1,000 samples a seventh has each of 0 to 6 KiB a second, for five minutes.
        let received: i64 = (1..=1000_i64).map(|sample| sample % 7 * 1024 * 300).sum();
        assert_eq!(seen["received_bytes"], received, "{seen:#}");

        every_window_is_what_is_shown(&url, &id, &seen).await;

        let before = kept(&url).await;
        assert_eq!(before.len(), 3, "two rows of days, one of what is remembered");
        let again = done(&import(&broker, &cast, "", text.clone()).await);
        assert_eq!(again["points"], 0, "{again:#}");
        let counts: Vec<_> =
            again["refused"].as_array().unwrap().iter().map(|r| (r["cause"].clone(), r["count"].clone())).collect();
        assert_eq!(counts, [(json!("doubled"), json!(1)), (json!("late"), json!(999))]);
        assert_eq!(kept(&url).await, before, "a history that is known changes nothing");

        // By its name, its columns in another order, as a spreadsheet saves it.
        let name = plain::texts(&url, "select name from machines").await.remove(0);
        let more = format!(
            "\u{feff}cpu_percent,\"vm\",ts\r\n7,\"{name}\",{}\r\n8,{name},{}\r\n",
            BEGINS + 300_300,
            BEGINS + 300_600
        );
        let more = done(&import(&broker, &cast, "?interval_seconds=300", more).await);
        assert_eq!((&more["points"], &more["refused"]), (&json!(2), &json!([])), "{more:#}");

        // A server that stands in some room, by its name.
        let server = json!({"name": "档案库 1", "department": "mzj"});
        let server = broker.post("/v1/servers", &cast.operator, &server).await.expect(201);
        let answer = done(&import(&broker, &cast, "", trace("档案库 1", 10, 300)).await);
        assert_eq!((&answer["points"], &answer["subjects"]), (&json!(10), &json!(1)), "{answer:#}");
        let server = server["id"].as_str().unwrap();
        let path = format!("/v1/servers/{server}/usage?from=2013-08-01&to=2013-08-01");
        assert_eq!(broker.get(&path, &cast.operator).await.expect(200)["usage"]["samples"], 10);
        let under_way = window(&url, server, (2013, 8, 1), (2013, 8, 1)).await.expect("a summary");
        assert_eq!(under_way.samples, 10, "a day that nothing has ended yet");

        let records = "select count(*) from audit where action = 'usage.import' and outcome = 'done'";
        assert_eq!(plain::number(&url, records).await, 4);
        what_is_wrong_is_told_and_the_rest_is_taken(&broker, &cast, &id).await;
        what_is_no_history_is_refused_whole(&broker, &cast, &id).await;
    }
}

type Ymd = (i16, i8, i8);

/// Read as a report does it.
async fn window(url: &str, id: &str, from: Ymd, to: Ymd) -> Option<Summary> {
    let options = Options { url: url.to_owned(), read_connections: 2, clock: Clock::System };
    let db = Db::open(options).await.expect("a database");
    let date = |(year, month, day)| jiff::civil::date(year, month, day);
    let empty = Window::new(date(from), date(to)).expect("a window");
    let mut conn = db.read().await.expect("a connection");
    let take = |window: &mut Window, day: &Day| _ = window.add(day);
    let all = store::fold(&mut conn, &[id], (empty.from(), empty.to()), &empty, take).await.expect("windows");
    assert!(all.len() <= 1, "{all:?}");
    all.get(id).map(Summary::from)
}

/// What a report reads is what the API says.
async fn every_window_is_what_is_shown(url: &str, id: &str, seen: &Value) {
    let whole = window(url, id, (2013, 7, 1), (2014, 7, 31)).await.expect("a summary");
    assert_eq!(&serde_json::to_value(whole).expect("JSON"), seen);
    // Midnights are samples of the day before.
    let some = window(url, id, (2013, 8, 2), (2013, 8, 3)).await.expect("a summary");
    assert_eq!((some.samples, some.coverage_percent), (576, 100.0));
    let last = window(url, id, (2013, 8, 4), (2013, 8, 9)).await.expect("a summary");
    assert_eq!(last.samples, 1000 - 3 * 288);
    assert_eq!(window(url, id, (2012, 8, 2), (2012, 8, 3)).await, None, "nothing is shown of whom nothing is kept");
}

async fn what_is_wrong_is_told_and_the_rest_is_taken(broker: &Broker, cast: &Cast, id: &str) {
    let from = BEGINS + 10 * 86_400;
    let ahead = jiff::Timestamp::now().as_second() + 3600;
    let before = used(broker, cast, id).await["samples"].as_u64().unwrap();
    let text = format!(
        "vm,ts,cpu_percent,net_rx_kbps\n\
         {id},{},5,1\n\
         {id},{},NaN,1\n\
         {id},{},-5,1\n\
         {id},{},500,18446744073709551615\n\
         {id},{},6,1\n\
         {id},{},6,1\n\
         {id},{ahead},6,1\n\
         nobody,{},6,1\n\
         {id},{},six,1\n\
         {id},{}",
        from,
        from + 300,
        from + 600,
        from + 900,
        from + 900,
        from + 600,
        from + 300,
        from + 1200,
        from + 1500,
    );
    let answer = done(&import(broker, cast, "?interval_seconds=300", text.clone()).await);
    assert_eq!(
        (&answer["rows"], &answer["points"], &answer["unknown_names"]),
        (&json!(10), &json!(5), &json!(["nobody"]))
    );
    let told: Vec<_> = answer["first_refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["line"].clone(), r["column"].clone(), r["cause"].clone()))
        .collect();
    let expected = [
        (3, Some("cpu_percent"), "not_a_number"),
        (4, Some("cpu_percent"), "negative"),
        (5, Some("cpu_percent"), "impossible"),
        (5, Some("net_rx_kbps"), "impossible"),
        (6, Some("ts"), "doubled"),
        (7, Some("ts"), "late"),
        (8, Some("ts"), "future"),
        (9, Some("vm"), "unknown_name"),
        (10, Some("cpu_percent"), "number_unreadable"),
        (11, None, "fields"),
    ];
    assert_eq!(told, expected.map(|(line, column, cause)| (json!(line), json!(column), json!(cause))), "{answer:#}");
    assert_eq!(
        used(broker, cast, id).await["samples"].as_u64().unwrap(),
        before + 4,
        "one that nothing is left of is none"
    );
    let url = &broker.setup.database_url;
    let (kept_before, again) = (kept(url).await, done(&import(broker, cast, "?interval_seconds=300", text).await));
    assert_eq!((&again["points"], kept(url).await), (&json!(0), kept_before), "{again:#}");
}

async fn what_is_no_history_is_refused_whole(broker: &Broker, cast: &Cast, id: &str) {
    let url = &broker.setup.database_url;
    let before = kept(url).await;
    let whole = packed(&trace(id, 20_000, 60));
    for (bytes, code) in [
        (b"vm,ts,cpu\n1,1,1\n".to_vec(), "csv_header_refused"),
        (b"ts,cpu_percent\n1,1\n".to_vec(), "csv_header_refused"),
        (Vec::new(), "csv_header_refused"),
        (whole[..whole.len() / 2].to_vec(), "gzip_broken"),
        (packed(&format!("vm,ts,cpu_percent\n{}", "\n".repeat(40 << 20))), "gzip_bomb"),
        ("x".repeat(17 << 20).into_bytes(), "line_endless"),
        (format!("vm,ts,cpu_percent\n{id},1575286400,5\n").into_bytes(), "interval_unknown"),
    ] {
        let refused = import(broker, cast, "", bytes).await;
        assert_eq!(refused.problem(), code, "{refused:?}");
    }
    let header = import(broker, cast, "", "vm,ts,cpu\n1,1,1\n").await.json()["detail"].as_str().unwrap().to_owned();
    assert!(header.contains("第 3 列 cpu") && header.contains("cpu_percent"), "{header}");
    let refused = import(broker, cast, "?interval_seconds=0", "vm,ts,cpu_percent\n").await;
    assert_eq!(refused.problem(), "malformed");
    let headers = [("authorization", &format!("Bearer {}", cast.operator)[..]), ("content-type", "application/json")];
    let refused = Raw::new(broker).send(Method::POST, PATH, &headers, Some(b"{}".to_vec())).await;
    assert_eq!((refused.status, refused.problem()), (415, "unsupported_media_type".to_owned()));
    assert_eq!(kept(url).await, before, "nothing of them is kept");
}

/// More than a piece, of which the second half never comes: the first is there, and the whole file adds the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_file_and_then_all_of_it_is_all_of_it() {
    let setup = Setup::new(On::Sqlite);
    let broker = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    nobody_looks(&setup.database_url).await;
    let id = machine(&broker, &cast).await;
    let text = trace(&id, 330_000, 60);
    assert!(text.len() > 17 << 20, "{}", text.len());
    let whole = packed(&text);
    let refused = import(&broker, &cast, "", &whole[..whole.len() - 100]).await;
    assert_eq!(refused.problem(), "gzip_broken");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    let through: u64 =
        detail.split("第 ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().expect("a line");
    let seen = used(&broker, &cast, &id).await["samples"].as_u64().unwrap();
    assert_eq!(seen, through - 1, "{detail}");
    assert!(seen > 100_000 && seen < 330_000, "{detail}");
    let rest = done(&import(&broker, &cast, "", whole).await);
    assert_eq!(rest["points"].as_u64().unwrap(), 330_000 - seen, "{rest:#}");
    assert_eq!(used(&broker, &cast, &id).await["samples"], 330_000);
}

/// Two brokers are sent the same at the same time. Each point is counted once, whoever was first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_brokers_that_are_told_the_same_count_it_once() {
    let setup = Setup::new(On::Postgres);
    let broker = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&broker).await;
    let department =
        broker.get("/v1/departments/mzj", &cast.authority).await.expect(200)["id"].as_str().unwrap().to_owned();
    let department: DepartmentId = department.parse().expect("an id");
    let open = async || {
        let options = Options { url: setup.database_url.clone(), read_connections: 1, clock: Clock::System };
        Db::open(options).await.expect("a database")
    };
    let (one, other) = (open().await, open().await);
    let interval = Interval::seconds(300).expect("an interval");
    for round in 0..20 {
        let histories: Vec<History> = (0..20)
            .map(|n| History {
                subject: Target { id: format!("subject-{round:02}-{n:02}"), department },
                gauges: (1..=600)
                    .map(|sample| Gauge {
                        at: jiff::Timestamp::from_second(BEGINS + sample * 300).expect("an instant"),
                        vcpus: None,
                        values: [Some(5.0); 5],
                        logged_in: None,
                        inbound: None,
                    })
                    .collect(),
            })
            .collect();
        let tell = async |db: &Db, samples: usize| {
            let mut histories = histories.clone();
            for history in &mut histories {
                history.gauges.truncate(samples);
            }
            let told =
                db.housekeep(async move |tx| -> Result<Folded, DbError> { fold(tx, &histories, interval).await });
            told.await.expect("folded").tally.points
        };
        // Both find what the first sample has left.
        let mut points = tell(&one, 1).await;
        let (one, other) = tokio::join!(tell(&one, 600), tell(&other, 600));
        points += one + other;
        assert_eq!(points, 20 * 600, "round {round}");
    }
}
