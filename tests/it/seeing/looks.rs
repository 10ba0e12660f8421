//! What is remembered between two looks at what machines use.

use super::status::{machines, until};
use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
};
use jiyue::{
    db::{Db, Options},
    time::Clock,
    usage::gauges::{service::Reader, store::Running},
};
use std::collections::BTreeSet;

async fn look(reader: &mut Reader, db: &Db) -> Vec<Running> {
    let mut conn = db.read().await.unwrap();
    let mut running = reader.look(&mut conn, db.clock().today()).await.unwrap().running;
    running.sort_by(|a, b| a.id.cmp(&b.id));
    running
}

/// What stands in the database is decoded again where it has gone on, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_on_is_read_again_and_nothing_else() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "1")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        machines(&broker, &cast, "looks.xiangcheng.example", 2).await;
        let url = broker.setup.database_url.clone();
        let options = Options { url: url.clone(), read_connections: 2, clock: Clock::System };
        let db = Db::open(options).await.expect("a database");
        let (mut reader, mut instants) = (Reader::default(), BTreeSet::new());
        until("the same as whoever looks for the first time, at four instants", async || {
            let (remembered, fresh) = (look(&mut reader, &db).await, look(&mut Reader::default(), &db).await);
            for (a, b) in remembered.iter().zip(&fresh).filter(|(a, b)| a.last_at == b.last_at) {
                assert_eq!((&a.id, a.mean), (&b.id, b.mean), "{on:?}");
                instants.extend(a.mean.and(a.last_at));
            }
            instants.len() >= 4
        })
        .await;
        drop(broker);

        let before: Vec<_> = look(&mut reader, &db).await.iter().map(|machine| machine.mean).collect();
        assert!(before.len() == 2 && before.iter().all(Option::is_some), "{on:?} {before:?}");
        let nothing = if on == On::Sqlite { "x'00'" } else { "'\\x00'" };
        plain::run(&url, &format!("update usage_meters set state = {nothing}")).await.unwrap();
        let after: Vec<_> = look(&mut reader, &db).await.iter().map(|machine| machine.mean).collect();
        assert_eq!(after, before, "{on:?}: nothing was read since");
        assert!(look(&mut Reader::default(), &db).await.iter().all(|machine| machine.mean.is_none()), "{on:?}");
        plain::run(&url, "update usage_meters set last_at = last_at + 1").await.unwrap();
        assert!(look(&mut reader, &db).await.iter().all(|machine| machine.mean.is_none()), "{on:?}: read again");
    }
}
