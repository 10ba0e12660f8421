//! What a judgement takes in besides the machine's own days, and that it takes in no others: on both databases.

use crate::{
    report::{Beside, day_of, kept, machines},
    support::broker::{Broker, Cast, On, Setup},
};
use jiff::{Timestamp, ToSpan, civil::Date};
use jiyue::{
    db::{Db, DbError},
    ids::DepartmentId,
    time::{self, Clock},
    usage::{
        Day, Gauge, Interval,
        judging::{self, Evidence, service::Keep},
        store::{self, Target},
        verdict::{Code, Verdict},
    },
};
use serde_json::json;
use sqlx::Row;

/// CPU, memory, disk, received, sent.
type Values = [f64; 5];

/// What agents do.
const QUIET: Values = [1.0, 20.0, 3_000.0, 300.0, 200.0];
/// What comes to a machine that only keeps a copy of another's data.
const FED: Values = [1.0, 20.0, 5_000.0, 2_000.0, 200.0];
const BUSY: Values = [60.0, 50.0, 5_000.0, 200_000.0, 200_000.0];

/// A reading of a day that is under way since then.
async fn reads(db: &Db, subject: Target, on: Date) {
    db.housekeep(async move |tx| -> Result<(), DbError> {
        let mut meters = store::hold_meters(tx, &[&subject]).await?;
        let interval = Interval::seconds(300).expect("an interval");
        for sample in 1..=24 {
            let at = Timestamp::from_second(time::day_begins(on) + sample * 300).expect("an instant");
            let gauge = Gauge { at, vcpus: None, values: [Some(5.0); 5], logged_in: None, inbound: None };
            meters[0].open.replay(&gauge, interval, at);
        }
        store::keep_meters(tx, &meters).await
    })
    .await
    .expect("kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_come_of_their_window_and_no_others() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "3600")).await;
        let cast = Cast::arrive(&broker).await;
        let department = broker.get("/v1/departments/mzj", &cast.authority).await.expect(200);
        let department: DepartmentId = department["id"].as_str().unwrap().parse().unwrap();
        let db = Beside::new(&broker.setup).await.db;
        let first = Date::constant(2026, 5, 1);
        let on_day = |n: i64| first.checked_add(n.days()).unwrap();
        // Two rows and a part of one, with a gap; then a day that is under way.
        let all = (0..40).filter(|n| *n != 17).map(|n| day_of(on_day(n), QUIET)).collect();
        kept(&db, "one", all).await;
        reads(&db, Target { id: "one".to_owned(), department }, on_day(40)).await;
        kept(&db, "other", vec![day_of(on_day(20), BUSY)]).await;
        reads(&db, Target { id: "other".to_owned(), department }, on_day(30)).await;
        let mut conn = db.read().await.unwrap();
        for (from, to) in [(0, 0), (3, 9), (16, 18), (17, 17), (5, 39), (39, 40), (40, 40), (41, 90), (-20, -1)] {
            let found = store::days(&mut conn, &["one"], on_day(from), on_day(to)).await.unwrap();
            let dates = found.get("one").map(|days| days.iter().map(Day::date).collect::<Vec<_>>()).unwrap_or_default();
            let wanted: Vec<Date> = (from..=to).filter(|n| (0..=40).contains(n) && *n != 17).map(on_day).collect();
            assert_eq!(dates, wanted, "{on:?} {from}..={to}");
            assert!(!found.contains_key("other"), "{on:?}: nobody asked for it");
        }
        assert!(store::days(&mut conn, &[] as &[&str], on_day(0), on_day(40)).await.unwrap().is_empty());
    }
}

async fn evidence(beside: &Beside, day: Date, machine: &str) -> Evidence {
    beside.reports.judges.judge(day, Keep::Yes).await.expect("judged");
    let mut conn = beside.db.read().await.expect("a connection");
    judging::store::newest(&mut conn, &[machine.to_owned()], day).await.expect("verdicts").remove(0).evidence
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_known_by_its_peer_and_a_host_that_could_not_be_read_is_named() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "3600")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let ids = machines(&broker, &cast, 3, "peer.xiangcheng.example").await;
        let beside = Beside::new(&broker.setup).await;
        let yesterday = Clock::System.today().yesterday().unwrap();
        let year =
            |values: Values| (0..400).map(|ago| day_of(yesterday.checked_sub(ago.days()).unwrap(), values)).collect();
        kept(&beside.db, &ids[0], year(FED)).await;
        kept(&beside.db, &ids[1], year(BUSY)).await;
        // The third was seen long ago, and its host has not answered since.
        kept(&beside.db, &ids[2], vec![day_of(yesterday.checked_sub(300.days()).unwrap(), QUIET)]).await;
        beside
            .db
            .housekeep({
                let machine = ids[2].clone();
                async move |tx| -> Result<(), DbError> {
                    let row = sqlx::query("select host_id from machines where id = $1")
                        .bind(machine.as_str())
                        .fetch_one(tx.conn())
                        .await?;
                    sqlx::query("delete from usage_rounds where origin = $1")
                        .bind(row.try_get::<String, _>("host_id")?)
                        .execute(tx.conn())
                        .await?;
                    sqlx::query(
                        "insert into usage_rounds (origin, due_at, failure_code, failure) values ($1, $2, 'x', $3)",
                    )
                    .bind(row.try_get::<String, _>("host_id")?)
                    // Not due before the test is over: the broker would read it.
                    .bind(i64::MAX)
                    .bind("连不上")
                    .execute(tx.conn())
                    .await?;
                    Ok(())
                }
            })
            .await
            .expect("kept");

        let eve = yesterday.yesterday().unwrap();
        let alone = evidence(&beside, eve, &ids[0]).await;
        assert_eq!(alone.judgement.verdict, Verdict::Idle, "{on:?}: of no system, it has no peer: {alone:#?}");
        let unseen = evidence(&beside, eve, &ids[2]).await;
        assert_eq!(unseen.judgement.verdict, Verdict::Unknown, "{on:?}");
        assert_eq!(unseen.cause.as_deref(), Some("读不到所在宿主机：连不上"), "{on:?}");

        let system = json!({"name": "双机", "purpose": "主备"});
        let system = broker.post("/v1/systems", &cast.requester, &system).await.expect(201);
        let path = format!("/v1/systems/{}/attach", system["id"].as_str().unwrap());
        broker.post(&path, &cast.requester, &json!({"machines": ids[..2]})).await.expect(200);
        let standby = evidence(&beside, yesterday, &ids[0]).await;
        let codes: Vec<_> = standby.judgement.reasons.iter().map(|reason| reason.code).collect();
        assert_eq!((standby.judgement.verdict, codes), (Verdict::Low, vec![Code::Standby]), "{on:?}");
    }
}
