//! What is said of a day that is over is the same whenever it is asked.

use super::{ROOMS, SERVERS, SYSTEMS};
use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
};
use jiff::{ToSpan, civil::Date};
use jiyue::{
    catalogue::Catalogue,
    db::{Db, Options},
    identity::{Actor, Person, Role, policy::Scope},
    ids::{DepartmentId, PersonId, TokenId},
    jurisdiction::Profile,
    migration::{
        fate::{Disposition, Step, Trigger},
        register,
        room::Gate,
        service::{Advance, Decide, Estates, Proof},
        wave::{
            Days,
            service::{Draft, Named},
        },
    },
    request::form,
    time::{self, Clock},
    usage::advice::Sizing,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// The acts of the house on a database, at times of our choosing.
struct Years {
    estates: Estates,
    micros: Arc<AtomicI64>,
    today: Date,
}

fn actor(login: &str, unit: &str, role: Role, department: Option<DepartmentId>) -> Actor {
    Actor {
        token: TokenId::new(),
        person: Person { id: PersonId::new(), login: login.to_owned(), name: login.to_owned() },
        unit: unit.to_owned(),
        role,
        department,
        trace_id: "t".to_owned(),
    }
}

impl Years {
    async fn open(setup: &Setup) -> Self {
        let today = Clock::System.today();
        let micros = Arc::new(AtomicI64::new(Clock::System.now().as_microsecond()));
        let options =
            Options { url: setup.database_url.clone(), read_connections: 2, clock: Clock::Fixed(Arc::clone(&micros)) };
        let db = Db::open(options).await.expect("a database");
        let profile = Arc::new(Profile::embedded("suzhou-new-district").unwrap());
        let registers = Arc::new(register::registers(&profile.rooms.registers).unwrap());
        let estates = Estates {
            db,
            profile,
            registers,
            reader: jiyue::request::apart::Reader::default(),
            catalogue: Arc::new(Catalogue::embedded().unwrap()),
            sizing: Sizing::embedded().unwrap(),
            last: Arc::default(),
        };
        Self { estates, micros, today }
    }

    /// To ten in the morning of a day.
    fn on(&mut self, day: Date) {
        self.today = day;
        self.micros.store((time::day_begins(day) + 36_000) * 1_000_000, Ordering::Relaxed);
    }

    async fn told(&self, day: Date) -> String {
        let (progress, deadlines) = self.estates.progress(day, Scope::All).await.expect("a report");
        serde_json::to_string(&(progress, deadlines)).unwrap()
    }
}

fn sheets(texts: &[&str]) -> Vec<form::Sheet> {
    texts.iter().flat_map(|text| form::sheets(text.as_bytes()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_past_days_report_is_the_same_whenever_it_is_asked() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        let mut years = Years::open(&broker.setup).await;
        let (planner, authority) =
            (actor("ops", "运维中心", Role::Operator, None), actor("wang", "区信息办", Role::Authority, None));
        let first = years.today.saturating_add(10.days());
        years.on(first);
        let files = sheets(&[ROOMS, SERVERS, SYSTEMS]);
        let shown = years.estates.take(&planner, &files, None).await.expect("a difference");
        years.estates.take(&planner, &files, Some(&shown.digest)).await.expect("taken");
        let mut told: Vec<(Date, String)> = Vec::new();
        // Each has a machine and a wave, so that it can be moved.
        for id in years.estates.now().await.unwrap().systems.values().filter(|s| s.room().is_some()).map(|s| s.id) {
            super::machine_of(&broker, &cast, &id.text()).await;
            let draft = Draft {
                name: format!("{id}的批次"),
                window: Days { from: first, to: first.saturating_add(90.days()) },
                note: None,
                systems: vec![Named { system: id.text(), trigger: None, on: None }],
            };
            years.estates.create_wave(&authority, draft).await.expect("a wave");
        }
        let ids: Vec<String> = years.estates.now().await.unwrap().systems.values().map(|s| s.id.text()).collect();
        let steps = [Step::Assess, Step::Plan, Step::Rehearse, Step::CutOver, Step::Test, Step::SwitchOff];
        for n in 0..24_i64 {
            let day = first.saturating_add((n * 3 + 1).days());
            years.on(day);
            // Something happens, to one after the other; what is refused is refused.
            let id = &ids[usize::try_from(n).unwrap() % ids.len()];
            for step in steps {
                let advance = Advance {
                    step,
                    evidence: "记录".to_owned(),
                    difficulty: None,
                    cutover_on: Some(day),
                    trigger: Some(Trigger::Upgrade),
                };
                if years.estates.advance(&planner, id, advance).await.is_ok() {
                    break;
                }
            }
            let decide = Decide {
                disposition: Disposition::Inherit,
                reason: "平移".to_owned(),
                replaced_by: None,
                finding_id: None,
            };
            let _ = years.estates.decide(&authority, id, decide).await;
            if n == 5 {
                // A room is called otherwise.
                let renamed = sheets(&["机房名称,建设单位,机房类型,类型证明\n民政老楼机房,mzj,上级指定,省厅函\n"]);
                let shown = years.estates.take(&planner, &renamed, None).await.expect("a difference");
                years.estates.take(&planner, &renamed, Some(&shown.digest)).await.expect("taken");
            }
            if n == 9 {
                years.estates.meet(&authority, "jiangsu-2017-5", "报告").await.expect("met");
            }
            // The day before is over; so are all before it, and they are as they were.
            let yesterday = day.yesterday().unwrap();
            told.push((yesterday, years.told(yesterday).await));
            for (day, report) in &told {
                assert_eq!(years.told(*day).await, *report, "{on:?} {day} asked on {}", years.today);
            }
            // And the sums are the survey's.
            let (progress, _) = years.estates.progress(yesterday, Scope::All).await.unwrap();
            assert_eq!(progress.rooms.closed + progress.rooms.exempt + progress.rooms.pending, progress.rooms.surveyed);
            assert_eq!((progress.rooms.surveyed, progress.systems.surveyed), (3, 5));
        }
        let distinct: std::collections::BTreeSet<_> = told.iter().map(|(_, report)| report).collect();
        assert!(distinct.len() > 10, "the days differ: {}", distinct.len());
        // A day before the survey has nothing, and one to come is none.
        assert!(years.told(first.yesterday().unwrap()).await.contains("\"surveyed\":0"));
        assert!(years.estates.progress(years.today.tomorrow().unwrap(), Scope::All).await.is_err());
        let last = years.told(years.today.yesterday().unwrap()).await;
        assert!(last.contains("reclassified\":[{\"room\":\"民政老楼机房\""), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_writes_into_no_day_that_was_told() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let _cast = Cast::arrive(&broker).await;
        let mut years = Years::open(&broker.setup).await;
        let planner = actor("ops", "运维中心", Role::Operator, None);
        let day = years.today.saturating_add(10.days());
        years.on(day);
        let files = sheets(&[ROOMS]);
        let shown = years.estates.take(&planner, &files, None).await.expect("a difference");
        years.estates.take(&planner, &files, Some(&shown.digest)).await.expect("taken");
        years.on(day.tomorrow().unwrap());
        let told = years.told(day).await;
        // The clock is put back by a day, and something is written.
        years.on(day);
        let more = sheets(&[SERVERS, SYSTEMS]);
        let shown = years.estates.take(&planner, &more, None).await.expect("a difference");
        years.estates.take(&planner, &more, Some(&shown.digest)).await.expect("taken");
        years.on(day.tomorrow().unwrap());
        assert_eq!(years.told(day).await, told, "{on:?}");
        let url = &broker.setup.database_url;
        let written = format!("select count(*) from estate_versions where day = '{}'", day.tomorrow().unwrap());
        assert_eq!(plain::number(url, &written).await, 9, "{on:?}: it is of the day after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_void_when_the_room_is_another() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let _cast = Cast::arrive(&broker).await;
    let mut years = Years::open(&broker.setup).await;
    let day = years.today.saturating_add(1.days());
    years.on(day);
    let (planner, authority) =
        (actor("ops", "运维中心", Role::Operator, None), actor("wang", "区信息办", Role::Authority, None));
    let files = sheets(&[ROOMS]);
    let shown = years.estates.take(&planner, &files, None).await.expect("a difference");
    years.estates.take(&planner, &files, Some(&shown.digest)).await.expect("taken");
    let estate = years.estates.now().await.unwrap();
    let room = estate.rooms.values().find(|room| room.name == "民政老楼机房").unwrap();
    let (id, owner) = (room.id.text(), actor("zhang", "相城区民政局", Role::Requester, Some(room.unit.id)));
    for gate in [Gate::ServersOff, Gate::EquipmentDisposed, Gate::NetworkCut] {
        let proof = Proof { gate, evidence: "记录".to_owned(), on: None, servers: Vec::new() };
        years.estates.record(&planner, &id, proof).await.expect("recorded");
    }
    years.estates.sign(&owner, &id, "同意").await.expect("signed");
    // Somebody finds a server in it.
    let found = sheets(&["服务器名称,建设单位,所在机房\n漏报的,mzj,民政老楼机房\n"]);
    let shown = years.estates.take(&planner, &found, None).await.expect("a difference");
    years.estates.take(&planner, &found, Some(&shown.digest)).await.expect("taken");
    let refused = years.estates.sign(&authority, &id, "同意").await.expect_err("a server is on");
    assert_eq!(refused.code, "room_gate");
    let proof = Proof { gate: Gate::ServersOff, evidence: "补记".to_owned(), on: None, servers: Vec::new() };
    years.estates.record(&planner, &id, proof).await.expect("recorded");
    years.estates.sign(&authority, &id, "同意").await.expect("signed");
    let estate = years.estates.now().await.unwrap();
    let room = estate.rooms.values().find(|room| room.name == "民政老楼机房").unwrap();
    assert_eq!(room.closed_on, None, "the first signature was under another room");
    years.estates.sign(&owner, &id, "仍同意").await.expect("signed");
    let estate = years.estates.now().await.unwrap();
    assert!(estate.rooms.values().any(|room| room.name == "民政老楼机房" && room.closed_on == Some(day)));
}
