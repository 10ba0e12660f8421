#![allow(clippy::unwrap_used, clippy::panic)]

use super::{
    chain::Waits,
    estate::{Estate, Home, Object, Server, System},
    fate::{Decision, Disposition, Exemption, Stage, Step},
    gates,
    progress::{self, Moved},
    room::{Facts, Gate, Kind, Room, Signature, Standing, Term},
    said::{Said, Unit},
};
use crate::{
    ids::{DepartmentId, RoomId, ServerId, SystemId},
    server::survey::Hardware,
    system::survey::Survey,
};
use jiff::{
    ToSpan,
    civil::{Date, date},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub(super) const TODAY: Date = date(2026, 11, 30);
pub(super) const TERM: Term = Term { from: Some(date(2018, 8, 22)), years: Some(2) };

pub(super) fn id(kind: u128, n: usize) -> Uuid {
    Uuid::from_u128((kind << 64) + n as u128 + 1)
}

pub fn unit(n: usize) -> Unit {
    Unit { id: DepartmentId(id(1, n)), code: format!("d{n}"), name: format!("第{n}局") }
}

pub fn said(by: &str, of: &str) -> Said {
    Said { text: "证明".to_owned(), on: TODAY, by: by.to_owned(), unit: of.to_owned() }
}

pub fn room(n: usize, kind: Kind) -> Room {
    let mut room = Room::new(RoomId(id(2, n)), unit(n % 3), format!("机房{n}"), date(2026, 1, 1));
    (room.facts.kind, room.facts.evidence) = (kind, Some("文".to_owned()));
    room
}

pub fn server(n: usize, room: RoomId) -> Server {
    Server {
        id: ServerId(id(4, n)),
        unit: unit(0),
        name: format!("服务器{n}"),
        room,
        hardware: Hardware::default(),
        surveyed_on: date(2026, 1, 1),
        off: None,
    }
}

pub fn system(n: usize, home: Home) -> System {
    let known = System::new(SystemId(id(3, n)), unit(n % 3), format!("系统{n}"), home, date(2026, 1, 1));
    System { purpose: "用途".to_owned(), ..known }
}

#[allow(clippy::unnecessary_wraps, reason = "as a system has it")]
pub(super) fn decided(disposition: Disposition) -> Option<Decision> {
    Some(Decision { disposition, said: said("wang", "区信息办"), replaced_by: None, finding_id: None })
}

/// Numbers that look random and can be had again (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap()
    }
}

/// An estate of any shape: chains, cycles, systems given up, exempt, in the cloud, exemptions that are over.
pub(super) fn generated(seed: u64) -> Estate {
    let mut dice = Dice(seed);
    let (rooms, systems) = (1 + dice.below(8), dice.below(40));
    let mut estate = Estate::default();
    for n in 0..rooms {
        let mut room = room(n, Kind::ALL[dice.below(3)]);
        room.closed_on = (dice.below(6) == 0).then_some(TODAY);
        estate.put(Object::Room(room));
    }
    for n in 0..systems {
        let home = if dice.below(10) == 0 { Home::Cloud } else { Home::Room(RoomId(id(2, dice.below(rooms)))) };
        let mut one = system(n, home);
        one.stage = Stage::ALL[dice.below(9)];
        if dice.below(3) > 0 {
            one.decision = decided(Disposition::ALL[dice.below(3)]);
        }
        if dice.below(5) == 0 {
            let until = if dice.below(2) == 0 { TODAY } else { TODAY.yesterday().unwrap() };
            one.exemption = Some(Exemption { until, said: said("wang", "区信息办") });
        }
        for _ in 0..dice.below(5) {
            let other = dice.below(systems);
            if other != n {
                one.needs.insert(SystemId(id(3, other)));
            }
        }
        estate.put(Object::System(Box::new(one)));
    }
    estate
}

/// The same question asked of every pair: whether one waits for another.
fn waits(a: &System, b: &System) -> bool {
    let leaves = |s: &System| {
        let gone = s.home == Home::Cloud || s.stage >= Stage::SourceOff;
        let stays = s.exemption.as_ref().is_some_and(|e| e.until >= TODAY);
        !gone && !stays
    };
    let fate = |s: &System| s.decision.as_ref().map(|d| d.disposition);
    let given_up = |s: &System| fate(s) == Some(Disposition::Discard);
    let arrived = |s: &System| s.home == Home::Cloud || (s.stage >= Stage::Tested && !given_up(s));
    if !leaves(a) {
        return false;
    }
    if given_up(a) {
        return b.needs.contains(&a.id) && !(given_up(b) && b.stage >= Stage::SourceOff);
    }
    !arrived(a) && a.needs.contains(&b.id) && leaves(b) && !arrived(b)
}

#[test]
fn blockers_equal_brute_force_on_a_hundred_estates() {
    let (mut long, mut knotted) = (0, 0);
    for seed in 0..100 {
        let estate = generated(seed);
        let systems: Vec<&System> = estate.systems.values().collect();
        let n = systems.len();
        let far = usize::MAX / 4;
        // Floyd and Warshall: how many steps from each to each.
        let mut steps = vec![vec![far; n]; n];
        for (a, row) in steps.iter_mut().enumerate() {
            for (b, cell) in row.iter_mut().enumerate() {
                if a == b {
                    *cell = 0;
                } else if waits(systems[a], systems[b]) {
                    *cell = 1;
                }
            }
        }
        for k in 0..n {
            for a in 0..n {
                for b in 0..n {
                    steps[a][b] = steps[a][b].min(steps[a][k] + steps[k][b]);
                }
            }
        }
        let at = |id: SystemId| systems.iter().position(|s| s.id == id).unwrap();
        let walk = Waits::new(&estate, TODAY);
        let counts = walk.counts();
        for room in estate.rooms.values() {
            let own: Vec<usize> =
                (0..n).filter(|s| systems[*s].room() == Some(room.id) && systems[*s].open(TODAY)).collect();
            let expected: BTreeMap<SystemId, usize> = (0..n)
                .filter_map(|b| Some((systems[b].id, own.iter().map(|a| steps[*a][b]).min()?)))
                .filter(|(_, steps)| *steps < far)
                .collect();
            let blockers = walk.blockers(room.id);
            let found: BTreeMap<SystemId, usize> =
                blockers.iter().map(|blocker| (blocker.system, blocker.way.len() - 1)).collect();
            assert_eq!(found, expected, "seed {seed}, {}", room.name);
            assert_eq!(blockers.len(), expected.len(), "each once");
            assert_eq!(counts.get(&room.id).copied().unwrap_or_default(), expected.len());
            for blocker in &blockers {
                assert!(own.contains(&at(blocker.way[0])) && blocker.way.last() == Some(&blocker.system));
                for pair in blocker.way.windows(2) {
                    assert!(waits(systems[at(pair[0])], systems[at(pair[1])]), "seed {seed}: {:?}", blocker.way);
                }
                long += usize::from(blocker.way.len() > 3);
            }
        }
        // Who goes together: those that wait for each other, each way round.
        let mut expected: BTreeSet<Vec<SystemId>> = BTreeSet::new();
        for (a, from) in steps.iter().enumerate() {
            let with = (0..n).filter(|b| from[*b] < far && steps[*b][a] < far);
            let knot: Vec<SystemId> = with.map(|b| systems[b].id).collect();
            if knot.len() > 1 {
                expected.insert(knot);
            }
        }
        knotted += expected.len();
        assert_eq!(walk.knots().into_iter().collect::<BTreeSet<_>>(), expected, "seed {seed}");
        for a in 0..n {
            let next: BTreeSet<_> = walk.waits_for(systems[a].id).collect();
            let direct = (0..n).filter(|b| *b != a && waits(systems[a], systems[*b])).map(|b| systems[b].id);
            assert_eq!(next, direct.collect(), "seed {seed}");
        }
    }
    assert!(long > 50 && knotted > 10, "the estates have long chains ({long}) and knots ({knotted})");
}

#[test]
fn a_chain_of_a_hundred_thousand_is_walked_without_a_deep_stack() {
    const LONG: usize = 100_000;
    let mut estate = Estate::default();
    estate.put(Object::Room(room(0, Kind::Ordinary)));
    for n in 0..LONG {
        let mut one = system(n, Home::Room(RoomId(id(2, 0))));
        one.needs.insert(SystemId(id(3, (n + 1) % LONG)));
        estate.put(Object::System(Box::new(one)));
    }
    let waits = Waits::new(&estate, TODAY);
    assert_eq!(waits.knots().first().map(Vec::len), Some(LONG));
    assert_eq!(waits.counts().get(&RoomId(id(2, 0))), Some(&LONG));
}

#[test]
fn sums_are_the_survey_whatever_a_room_or_a_system_is_called() {
    for seed in 0..100 {
        let mut estate = generated(seed);
        let mut dice = Dice(seed + 1000);
        for _ in 0..20 {
            let (rooms, systems) = progress::totals(&estate, TERM, TODAY, None);
            assert_eq!(rooms.closed + rooms.exempt + rooms.pending, rooms.surveyed);
            assert_eq!(rooms.surveyed, i64::try_from(estate.rooms.len()).unwrap());
            assert_eq!(
                systems.in_cloud + systems.discarded + systems.exempt + systems.pending,
                systems.surveyed,
                "seed {seed}"
            );
            assert_eq!(systems.surveyed, i64::try_from(estate.systems.len()).unwrap());
            // By department they are the same sums.
            let whole = progress::progress(&estate, &[], TERM, TODAY);
            let all = |of: fn(&progress::DepartmentProgress) -> i64| whole.departments.iter().map(of).sum::<i64>();
            assert_eq!(all(|part| part.rooms.surveyed), rooms.surveyed);
            assert_eq!(all(|part| part.systems.in_cloud), systems.in_cloud);
            assert_eq!(whole.board.len(), estate.rooms.len());
            // Somebody calls something otherwise.
            let nth = dice.below(estate.rooms.len());
            if let Some(room) = estate.rooms.values_mut().nth(nth) {
                room.facts.kind = Kind::ALL[dice.below(3)];
                room.name = format!("另一个名字{nth}");
            }
            let nth = dice.below(estate.systems.len());
            if let Some(system) = estate.systems.values_mut().nth(nth) {
                system.stage = Stage::ALL[dice.below(9)];
            }
        }
    }
}

fn closing() -> (Estate, Room) {
    let mut estate = Estate::default();
    let room = room(0, Kind::Ordinary);
    estate.put(Object::Room(room.clone()));
    estate.put(Object::Server(server(0, room.id)));
    let mut system = system(0, Home::Room(room.id));
    system.servers.insert(ServerId(id(4, 0)));
    estate.put(Object::System(Box::new(system)));
    (estate, room)
}

fn shut(estate: &Estate, room: &Room) -> Option<Gate> {
    gates::next(estate, room, TODAY).map(|stand| stand.gate)
}

#[test]
fn gates_open_one_behind_the_other_and_two_units_sign() {
    let (mut estate, mut room) = closing();
    // What was recorded too early counts for nothing.
    room.proofs.insert(Gate::NetworkCut, said("ops", "运维"));
    assert_eq!(shut(&estate, &room), Some(Gate::SystemsGone));
    assert!(gates::stands(&estate, &room, TODAY).iter().all(|stand| !stand.passed));
    if let Some(system) = estate.systems.values_mut().next() {
        system.exemption = Some(Exemption { until: TODAY, said: said("wang", "区信息办") });
    }
    assert_eq!(shut(&estate, &room), Some(Gate::ServersOff), "an exempt system holds no room");
    if let Some(server) = estate.servers.values_mut().next() {
        server.off = Some(said("ops", "运维"));
    }
    assert_eq!(shut(&estate, &room), Some(Gate::EquipmentDisposed));
    room.proofs.insert(Gate::EquipmentDisposed, said("ops", "运维"));
    assert_eq!(shut(&estate, &room), Some(Gate::Signed));
    let sign = |room: &mut Room, by: &str, of: &str| {
        let seen = gates::seal(&estate, room, TODAY);
        room.signatures.push(Signature { said: said(by, of), seen });
    };
    sign(&mut room, "zhang", "第0局");
    assert_eq!(shut(&estate, &room), Some(Gate::Signed), "one is not two");
    for (by, of) in [("zhang", "区信息办"), ("li", "第0局")] {
        let mut other = room.clone();
        sign(&mut other, by, of);
        assert_eq!(shut(&estate, &other), Some(Gate::Signed), "one person twice, or one unit twice: {by} {of}");
    }
    let mut whole = room.clone();
    sign(&mut whole, "wang", "区信息办");
    assert_eq!(shut(&estate, &whole), None);
    // A signature is under what was there: another server makes it one under something else.
    estate.put(Object::Server(Server { off: Some(said("ops", "运维")), ..server(1, room.id) }));
    assert_eq!(shut(&estate, &whole), Some(Gate::Signed));
}

#[test]
fn a_room_is_due_by_its_document_and_late_only_behind_its_last_day() {
    let mut one = room(0, Kind::Ordinary);
    assert_eq!(one.due_on(TERM), Some(date(2020, 8, 22)));
    assert_eq!(one.late_days(TERM, date(2020, 8, 22)), None);
    assert_eq!(one.late_days(TERM, date(2020, 8, 23)), Some(1));
    one.facts.document_on = Some(date(2024, 2, 29));
    assert_eq!(one.due_on(TERM), Some(date(2026, 2, 28)));
    one.facts.due_on = Some(date(2027, 1, 1));
    assert_eq!(one.due_on(TERM), Some(date(2027, 1, 1)));
    // Where the documents say nothing, only what somebody has said counts.
    one.facts = Facts { due_on: None, document_on: None, ..one.facts };
    assert_eq!(one.due_on(Term::default()), None);
    one.facts.kind = Kind::Access;
    assert_eq!((one.due_on(TERM), one.standing()), (None, Standing::Exempt));
    one.closed_on = Some(TODAY);
    assert_eq!((one.standing(), one.late_days(TERM, TODAY)), (Standing::Gone, None));
}

fn moved(kind: &str, n: usize, day: Date, standing: Standing) -> Moved {
    Moved { kind: kind.to_owned(), id: n.to_string(), day, standing }
}

#[test]
fn the_pace_is_what_left_and_too_little_is_no_pace() {
    let (mut estate, _) = closing();
    for n in 1..20 {
        estate.put(Object::System(Box::new(system(n, Home::Room(RoomId(id(2, 0)))))));
    }
    let began = TODAY.saturating_sub(60.days());
    let mut history: Vec<Moved> = (0..20).map(|n| moved("system", n, began, Standing::Pending)).collect();
    // In the cloud when it came: it has left nothing.
    history.push(moved("system", 99, began, Standing::Gone));
    let two = [moved("system", 20, TODAY, Standing::Gone), moved("system", 21, TODAY, Standing::Gone)];
    let few = progress::progress(&estate, &[history.clone(), two.to_vec()].concat(), TERM, TODAY);
    assert_eq!((few.pace.gone, few.pace.per_30_days), (0, None), "{:?}", few.pace);
    assert_eq!(few.board[0].forecast, None, "nobody knows");
    assert!(few.board[0].will_be_late, "its day is over");
    for n in 0..12 {
        history.push(moved("system", n, TODAY.saturating_sub(10.days()), Standing::Gone));
    }
    // One came back.
    history.push(moved("system", 3, TODAY, Standing::Pending));
    let told = progress::progress(&estate, &history, TERM, TODAY);
    assert_eq!((told.pace.gone, told.pace.days), (11, 60));
    let [low, middle, high] = told.pace.per_30_days.unwrap();
    assert!(low < middle && middle < high && (middle - 5.5).abs() < 0.01, "{low} {middle} {high}");
    let forecast = told.board[0].forecast.unwrap();
    assert!(forecast.early < forecast.likely && forecast.late.is_some_and(|late| late > forecast.likely));
    // Twenty systems at 5.5 in thirty days: a hundred and ten days.
    assert_eq!(forecast.likely, TODAY.saturating_add(110.days()));
    let last = told.burn_down.last().unwrap();
    assert_eq!((last.day, last.systems_pending), (TODAY, 9));
    assert_eq!(told.burn_down.first().unwrap().systems_pending, 20);
}

#[test]
fn no_stage_is_left_out_and_nothing_goes_back_behind_the_source() {
    for stage in Stage::ALL {
        for fate in [None, Some(Disposition::Inherit), Some(Disposition::Discard)] {
            let back = stage.next(Step::RollBack, fate);
            assert_eq!(back.is_ok(), (Stage::Planned..=Stage::Tested).contains(&stage), "{stage}");
            // The test is no step that can be left out.
            if let Ok(Stage::SourceOff) = stage.next(Step::SwitchOff, fate) {
                assert!(stage == Stage::Tested || fate == Some(Disposition::Discard), "{stage} {fate:?}");
            }
            for step in Step::ALL.into_iter().filter(|step| *step != Step::RollBack) {
                if let Ok(next) = stage.next(step, fate) {
                    assert!(next >= stage, "{stage} {step}");
                }
            }
        }
    }
}

#[test]
fn difficulty_is_the_sum_of_its_parts_and_what_is_unknown_is_said() {
    let (mut estate, room) = closing();
    let one = estate.systems.values().next().unwrap().clone();
    let unknown = super::difficulty::difficulty(&estate, &one, TODAY);
    assert_eq!(unknown.points, unknown.parts.iter().map(|part| part.points).sum::<u8>());
    assert_eq!(unknown.parts.iter().filter(|part| part.unknown).count(), 5, "{unknown:#?}");
    let mut old = server(0, room.id);
    old.hardware.os = Some("Windows Server 2003".to_owned());
    old.hardware.disk_bytes = Some(20 << 40);
    estate.put(Object::Server(old));
    let mut hard = one.clone();
    hard.survey.database = Some("Oracle 9i / SQL Server 2000".to_owned());
    hard.survey.architecture = Some("C/S".to_owned());
    hard.survey.supplier_gone = Some(true);
    hard.needs = (1..8).map(|n| SystemId(id(3, n))).collect();
    let hardest = super::difficulty::difficulty(&estate, &hard, TODAY);
    assert_eq!((hardest.points, hardest.level), (19, 5), "{hardest:#?}");
    let mut easy = one;
    easy.servers.clear();
    easy.survey = Survey {
        database: Some("无".to_owned()),
        architecture: Some("B/S".to_owned()),
        supplier_gone: Some(false),
        ..Survey::default()
    };
    let easy = super::difficulty::difficulty(&estate, &easy, TODAY);
    assert!(easy.level <= 2, "{easy:#?}");
}

#[test]
fn objects_are_read_as_they_were_written() {
    let estate = generated(7);
    let objects = estate
        .rooms
        .values()
        .cloned()
        .map(Object::Room)
        .chain(estate.systems.values().cloned().map(|system| Object::System(Box::new(system))));
    for object in objects {
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), object, "{text}");
    }
}
