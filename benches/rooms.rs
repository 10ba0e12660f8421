//! What blocks each room of a city: the chains of all rooms in memory, beside a recursive SQL query over the same rows on a
//! PostgreSQL of its own, in the same run; and the whole report. Both give the same answer, which is checked. Then the same
//! city as a workbook, imported in one transaction on both databases, and what each report takes of a processor (`survey`).
//!
//! `cargo bench --bench rooms` (`ROUNDS=5`, `ROOMS=150`, `SYSTEMS=2000`, `NEEDS=20000`)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::format_collect, dead_code, reason = "shares the tests' support, of which it needs a part")]

#[path = "../tests/it/support/mod.rs"]
mod support;
#[path = "rooms/survey.rs"]
mod survey;

use jiff::civil::date;
use jiyue::{
    identity::Department,
    ids::{DepartmentId, RoomId, SystemId},
    migration::{
        chain::Waits,
        estate::{Estate, Home, Object, System},
        progress::{self, Moved},
        room::{Room, Standing, Term},
    },
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};
use support::{Dice, postgres::Postgres};

const TODAY: jiff::civil::Date = date(2026, 11, 30);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn city(rooms: u64, systems: u64, needs: u64) -> Estate {
    let mut dice = Dice::new(7);
    let unit = |n: u64| Department {
        id: DepartmentId(uuid::Uuid::from_u128(u128::from(n % 30) + 1)),
        code: format!("d{}", n % 30),
        name: format!("第{}局", n % 30),
    };
    let room_id = |n: u64| RoomId(uuid::Uuid::from_u128((1 << 64) + u128::from(n)));
    let system_id = |n: u64| SystemId(uuid::Uuid::from_u128((2 << 64) + u128::from(n)));
    let mut estate = Estate::default();
    for n in 0..rooms {
        estate.put(Object::Room(Room::new(room_id(n), unit(n), format!("机房{n}"), TODAY)));
    }
    for n in 0..systems {
        let home = Home::Room(room_id(dice.below(rooms)));
        let known = System::new(system_id(n), unit(n), format!("系统{n}"), home, TODAY);
        estate.put(Object::System(Box::new(System { purpose: "用途".to_owned(), ..known })));
    }
    let mut made = 0;
    while made < needs {
        // Most lie near each other, as within a department; a few reach far.
        let from = dice.below(systems);
        let to = if dice.once_in(20) { dice.below(systems) } else { (from + 1 + dice.below(60)) % systems };
        if from != to
            && let Some(system) = estate.systems.get_mut(&system_id(from))
        {
            made += u64::from(system.needs.insert(system_id(to)));
        }
    }
    estate
}

#[tokio::main]
async fn main() {
    let (rounds, rooms, systems, needs) =
        (setting("ROUNDS", 5), setting("ROOMS", 150), setting("SYSTEMS", 2_000), setting("NEEDS", 20_000));
    let estate = city(rooms, systems, needs);
    let postgres = Postgres::start(false);
    let mut peer = PgConnection::connect(&postgres.fresh()).await.unwrap();
    peer.execute("create table systems (id int primary key, room int not null); create table needs (id int, other int, primary key (id, other)); create index systems_by_room on systems (room)").await.unwrap();
    let number: BTreeMap<SystemId, usize> = estate.systems.keys().enumerate().map(|(n, id)| (*id, n)).collect();
    let place: BTreeMap<RoomId, usize> = estate.rooms.keys().enumerate().map(|(n, id)| (*id, n)).collect();
    let mut sql = String::from("insert into systems values ");
    for system in estate.systems.values() {
        write!(sql, "({}, {}),", number[&system.id], place[&system.room().unwrap()]).unwrap();
    }
    peer.execute(AssertSqlSafe(sql.trim_end_matches(',').to_owned())).await.unwrap();
    let mut sql = String::from("insert into needs values ");
    for system in estate.systems.values() {
        for other in &system.needs {
            write!(sql, "({}, {}),", number[&system.id], number[other]).unwrap();
        }
    }
    peer.execute(AssertSqlSafe(sql.trim_end_matches(',').to_owned())).await.unwrap();
    peer.execute("analyze").await.unwrap();
    println!("{rooms} rooms, {systems} systems, {needs} dependencies; {rounds} rounds, in turn; medians");
    let recursive = "with recursive blocked (room, id) as ( \
        select room, id from systems union select blocked.room, needs.other from blocked join needs on needs.id = blocked.id) \
        select room, count(*) from blocked group by room order by room";
    let (mut ours, mut ways, mut theirs, mut reports) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let moved: Vec<Moved> = estate
        .systems
        .keys()
        .map(|id| Moved { kind: "system".to_owned(), id: id.text(), day: TODAY, standing: Standing::Pending })
        .collect();
    for _ in 0..rounds {
        let began = Instant::now();
        let counts = Waits::new(&estate, TODAY).counts();
        ours.push(began.elapsed());
        let began = Instant::now();
        let waits = Waits::new(&estate, TODAY);
        let all: usize = estate.rooms.keys().map(|room| waits.blockers(*room).len()).sum();
        ways.push(began.elapsed());
        let began = Instant::now();
        let rows = peer.fetch_all(recursive).await.unwrap();
        theirs.push(began.elapsed());
        let began = Instant::now();
        let report = progress::progress(&estate, &moved, Term::default(), TODAY);
        let bytes = serde_json::to_vec(&report).unwrap().len();
        reports.push(began.elapsed());
        assert!(bytes > 1000);
        let found: Vec<(i32, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let expected: Vec<(i32, i64)> = counts
            .iter()
            .map(|(room, count)| (i32::try_from(place[room]).unwrap(), i64::try_from(*count).unwrap()))
            .collect();
        assert_eq!(found, expected, "both count the same");
        assert_eq!(all, counts.values().sum::<usize>());
    }
    let (a, w, b, r) = (median(ours), median(ways), median(theirs), median(reports));
    println!("in memory, counts            {a:>12.1?}");
    println!("in memory, with every way    {w:>12.1?}");
    println!("recursive SQL on PostgreSQL  {b:>12.1?}   {:.0} times", b.as_secs_f64() / a.as_secs_f64());
    println!("the whole report as JSON     {r:>12.1?}");
    survey::measure(&estate).await;
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
