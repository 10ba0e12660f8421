#![allow(clippy::unwrap_used, clippy::panic)]

use super::{Amount, Bases, Blackout, Conflict, Days, Demand, Ground, Level, Node, Room, Wave, check, check::knots};
use crate::{
    identity::policy::Scope,
    ids::{BlackoutId, RoomId, SystemId, WaveId},
    jurisdiction::OWN_RULE,
    labels::Zone,
    migration::{
        estate::{Estate, Home, Object, System},
        fate::{Disposition, Exemption, Stage, Step, Taken, Trigger},
        passage::{self, Facts, Plan},
        room::Kind,
        tests::{TERM, TODAY, decided, generated, id, room, said, server, system, unit},
    },
    units::GIB,
};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

fn bases() -> Bases {
    Bases {
        nodes: "节点".to_owned(),
        fates: "去向".to_owned(),
        on_site: "现场".to_owned(),
        secret: "涉密".to_owned(),
        closing: "关停".to_owned(),
        tested: "测试".to_owned(),
    }
}

fn sid(n: usize) -> SystemId {
    SystemId(id(3, n))
}

/// A wave of these systems, in five days from the tenth on.
fn wave(n: u128, systems: &[usize]) -> Wave {
    Wave {
        id: WaveId(Uuid::from_u128(n)),
        name: format!("第{n}批"),
        window: Days { from: TODAY.saturating_add(10.days()), to: TODAY.saturating_add(15.days()) },
        note: None,
        systems: systems.iter().map(|n| (sid(*n), Node::default())).collect(),
        created_at: Timestamp::UNIX_EPOCH,
    }
}

/// Some systems of one room that may stay, decided, with contracts that last: nothing is wrong with them.
fn estate(count: usize) -> Estate {
    let mut estate = Estate::default();
    estate.put(Object::Room(room(0, Kind::Access)));
    for n in 0..count {
        let mut one = system(n, Home::Room(RoomId(id(2, 0))));
        one.stage = Stage::Decided;
        one.decision = decided(Disposition::Inherit);
        one.maintained_until = Some(TODAY.saturating_add(1.year()));
        estate.put(Object::System(Box::new(one)));
    }
    estate
}

#[derive(Default)]
struct Beside {
    rooms: BTreeMap<Zone, Room>,
    demands: BTreeMap<SystemId, Demand>,
}

fn found(estate: &Estate, wave: &Wave, beside: &Beside) -> Vec<Conflict> {
    let bases = bases();
    let ground =
        Ground { estate, today: TODAY, term: TERM, bases: &bases, rooms: &beside.rooms, demands: &beside.demands };
    check(wave, ground)
}

fn codes(estate: &Estate, wave: &Wave) -> Vec<&'static str> {
    found(estate, wave, &Beside::default()).into_iter().map(|conflict| conflict.code).collect()
}

/// With the first system changed.
fn with(change: impl FnOnce(&mut System)) -> Vec<&'static str> {
    let mut estate = estate(2);
    change(estate.systems.get_mut(&sid(0)).unwrap());
    codes(&estate, &wave(1, &[0, 1]))
}

#[test]
fn a_wave_of_systems_that_are_decided_has_no_conflict() {
    assert_eq!(codes(&estate(3), &wave(1, &[0, 1, 2])), [""; 0]);
    assert_eq!(codes(&estate(3), &wave(1, &[])), ["wave_empty"]);
    assert_eq!(codes(&estate(2), &wave(1, &[0, 7])), ["wave_system_unknown"]);
}

#[test]
fn what_keeps_a_system_out_is_named_and_cited() {
    let exempt = |until: Date| Exemption { until, said: said("wang", "区信息办") };
    for (codes, code) in [
        (with(|s| s.decision = None), "wave_system_undecided"),
        (with(|s| s.decision = decided(Disposition::Discard)), "wave_system_discarded"),
        (with(|s| s.exemption = Some(exempt(TODAY))), "wave_system_exempt"),
        (with(|s| s.home = Home::Cloud), "wave_system_in_cloud"),
        (with(|s| s.survey.network = Some("政务内网".to_owned())), "wave_system_secret"),
    ] {
        assert_eq!(codes, [code]);
    }
    assert_eq!(with(|s| s.exemption = Some(exempt(TODAY.yesterday().unwrap()))), [""; 0], "an exemption that is over");
    assert_eq!(with(|s| s.survey.network = Some("政务外网".to_owned())), [""; 0]);
    let mut estate = estate(1);
    estate.systems.get_mut(&sid(0)).unwrap().survey.network = Some("政务内网".to_owned());
    let conflict = found(&estate, &wave(1, &[0]), &Beside::default()).remove(0);
    assert_eq!((conflict.level, conflict.basis.as_str(), conflict.systems), (Level::Blocks, "涉密", vec![sid(0)]));
    assert!(conflict.message.contains("系统0") && conflict.message.contains("政务内网"), "{}", conflict.message);
}

#[test]
fn a_system_stands_in_one_wave() {
    let mut estate = estate(3);
    let (one, other) = (wave(1, &[0, 1]), wave(2, &[1, 2]));
    estate.waves.extend([(one.id, one.clone()), (other.id, other.clone())]);
    assert_eq!(codes(&estate, &one), ["wave_system_twice"]);
    assert_eq!(codes(&estate, &other), ["wave_system_twice"]);
    estate.waves.get_mut(&other.id).unwrap().systems.remove(&sid(1));
    assert_eq!(codes(&estate, &one), [""; 0]);
}

#[test]
fn what_needs_each_other_moves_together_however_far_around() {
    let mut estate = estate(4);
    let mut need = |a: usize, b: usize| {
        estate.systems.get_mut(&sid(a)).unwrap().needs.insert(sid(b));
    };
    // 0 → 1 → 2 → 0, and 3 needs 0.
    need(0, 1);
    need(1, 2);
    need(2, 0);
    need(3, 0);
    assert_eq!(codes(&estate, &wave(1, &[0, 1, 2, 3])), [""; 0]);
    let conflict = found(&estate, &wave(1, &[0, 1]), &Beside::default()).remove(0);
    assert_eq!((conflict.code, conflict.level), ("wave_knot_split", Level::Blocks));
    assert_eq!(conflict.systems, [sid(0), sid(1), sid(2)]);
    // One way is no knot: 3 alone is warned of, and no more.
    assert_eq!(codes(&estate, &wave(1, &[3])), ["wave_dependency_unplanned"]);
    // What may stay, is given up or is in the cloud already binds nobody.
    let other = estate.systems.get_mut(&sid(2)).unwrap();
    other.stage = Stage::Tested;
    assert_eq!(codes(&estate, &wave(1, &[0, 1])), [""; 0]);
}

#[test]
fn a_project_team_is_not_told_what_others_have() {
    let mut estate = estate(2);
    estate.systems.get_mut(&sid(0)).unwrap().needs.insert(sid(1));
    estate.systems.get_mut(&sid(1)).unwrap().needs.insert(sid(0));
    let conflict = found(&estate, &wave(1, &[0]), &Beside::default()).remove(0);
    let told = |scope| {
        let mut told = conflict.clone();
        told.hide_from(scope, &estate);
        told
    };
    assert_eq!(told(Scope::All), conflict);
    let own = told(Scope::Department(unit(0).id));
    assert!(!own.message.contains("系统1") && own.systems == [sid(0)], "{own:?}");
    assert_eq!(own.code, "wave_knot_split");
}

#[test]
fn knots_equal_brute_force_on_a_hundred_estates() {
    let mut knotted = 0;
    for seed in 0..100 {
        let estate = generated(seed);
        let moving: Vec<&System> = estate
            .systems
            .values()
            .filter(|s| {
                let stays = s.exemption.as_ref().is_some_and(|e| e.until >= TODAY);
                let gone = s.home == Home::Cloud || s.stage >= Stage::Tested;
                !gone && !stays && s.disposition() != Some(Disposition::Discard)
            })
            .collect();
        let n = moving.len();
        let mut reach = vec![vec![false; n]; n];
        for (a, row) in reach.iter_mut().enumerate() {
            for (b, cell) in row.iter_mut().enumerate() {
                *cell = moving[a].needs.contains(&moving[b].id);
            }
        }
        for k in 0..n {
            for a in 0..n {
                for b in 0..n {
                    reach[a][b] |= reach[a][k] && reach[k][b];
                }
            }
        }
        let mut groups: BTreeSet<Vec<SystemId>> = BTreeSet::new();
        for (a, row) in reach.iter().enumerate() {
            let group: BTreeSet<SystemId> =
                (0..n).filter(|b| *b == a || (row[*b] && reach[*b][a])).map(|b| moving[b].id).collect();
            if group.len() > 1 {
                groups.insert(group.into_iter().collect());
            }
        }
        knotted += groups.len();
        assert_eq!(knots(&estate, TODAY), groups.iter().cloned().collect::<Vec<_>>(), "{seed}");
        // A wave with one of a knot alone is split; with all of it, it is not.
        for group in &groups {
            let mut one = wave(1, &[]);
            one.systems = [(group[0], Node::default())].into();
            let split = |wave: &Wave| codes(&estate, wave).contains(&"wave_knot_split");
            assert!(split(&one), "{seed}");
            one.systems = group.iter().map(|id| (*id, Node::default())).collect();
            assert!(!split(&one), "{seed}");
        }
    }
    assert!(knotted > 20, "{knotted}");
}

#[test]
fn a_dependency_that_comes_later_warns() {
    let mut estate = estate(2);
    estate.systems.get_mut(&sid(0)).unwrap().needs.insert(sid(1));
    let (one, mut other) = (wave(1, &[0]), wave(2, &[1]));
    assert_eq!(codes(&estate, &one), ["wave_dependency_unplanned"]);
    estate.waves.insert(other.id, other.clone());
    assert_eq!(codes(&estate, &one), [""; 0], "on the same days");
    other.window = Days { from: TODAY.saturating_add(11.days()), to: TODAY.saturating_add(12.days()) };
    estate.waves.insert(other.id, other.clone());
    assert_eq!(codes(&estate, &one), ["wave_dependency_later"]);
    assert!(found(&estate, &one, &Beside::default()).iter().all(|conflict| conflict.level == Level::Warns));
    estate.systems.get_mut(&sid(1)).unwrap().decision = decided(Disposition::Discard);
    assert_eq!(codes(&estate, &one), ["wave_dependency_discarded"]);
}

#[test]
fn systems_move_by_their_nodes() {
    let mut estate = estate(1);
    let mut one = wave(1, &[0]);
    let end = one.window.to;
    one.systems.insert(sid(0), Node { trigger: Some(Trigger::Upgrade), on: Some(end) });
    assert_eq!(codes(&estate, &one), [""; 0]);
    one.systems.insert(sid(0), Node { trigger: Some(Trigger::Upgrade), on: Some(end.yesterday().unwrap()) });
    let conflict = found(&estate, &one, &Beside::default()).remove(0);
    assert_eq!((conflict.code, conflict.level, conflict.basis.as_str()), ("wave_after_node", Level::Blocks, "节点"));
    assert!(conflict.message.contains("升级"), "{}", conflict.message);
    // The contract's end is a node of its own, which can be put off.
    one.systems.insert(sid(0), Node::default());
    estate.systems.get_mut(&sid(0)).unwrap().maintained_until = Some(end.yesterday().unwrap());
    let conflict = found(&estate, &one, &Beside::default()).remove(0);
    assert_eq!((conflict.code, conflict.level), ("wave_after_maintenance", Level::Warns));
    // One that ended long ago is no node.
    estate.systems.get_mut(&sid(0)).unwrap().maintained_until = Some(date(2020, 1, 1));
    assert_eq!(codes(&estate, &one), ["wave_node_missing"]);
}

#[test]
fn windows_are_held_against_blackouts_deadlines_and_the_calendar() {
    let mut estate = estate(3);
    let one = wave(1, &[0, 1]);
    let (from, to) = (one.window.from, one.window.to);
    let mut blackout = Blackout {
        id: BlackoutId(Uuid::from_u128(1)),
        unit: None,
        days: Days { from: to, to: to.saturating_add(3.days()) },
        reason: "两会保障".to_owned(),
        by: "ops".to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
    };
    for (days, unit, hit) in [
        (Days { from: to, to: to.saturating_add(3.days()) }, None, true),
        (Days { from: from.saturating_sub(3.days()), to: from }, None, true),
        (Days { from: to.tomorrow().unwrap(), to: to.saturating_add(3.days()) }, None, false),
        (Days { from: from.saturating_sub(3.days()), to: from.yesterday().unwrap() }, None, false),
        // System 1 is department 1's, and none is department 2's.
        (Days { from, to }, Some(unit(1)), true),
        (Days { from, to }, Some(unit(2)), false),
    ] {
        (blackout.days, blackout.unit) = (days, unit);
        estate.blackouts.insert(blackout.id, blackout.clone());
        assert_eq!(codes(&estate, &one).contains(&"wave_blackout"), hit, "{days:?} {:?}", blackout.unit);
    }
    let named = |estate: &Estate| found(estate, &one, &Beside::default()).remove(0);
    (blackout.days, blackout.unit) = (one.window, Some(unit(1)));
    estate.blackouts.insert(blackout.id, blackout);
    assert_eq!((named(&estate).systems, named(&estate).basis.as_str()), (vec![sid(1)], OWN_RULE));
    estate.blackouts.clear();

    // The room has to be closed before the window ends: warned of, since the later it is the sooner they have to go.
    estate.rooms.get_mut(&RoomId(id(2, 0))).unwrap().facts.kind = Kind::Ordinary;
    let late = named(&estate);
    assert_eq!((late.code, late.level, late.basis.as_str()), ("wave_after_deadline", Level::Warns, "关停"));
    let room = estate.rooms.get_mut(&RoomId(id(2, 0))).unwrap();
    room.facts.due_on = Some(to);
    assert_eq!(codes(&estate, &one), [""; 0], "on the last day of the window");

    // A window that is over keeps nobody waiting, and lets nobody in.
    let mut past = one;
    past.window = Days { from: TODAY.saturating_sub(9.days()), to: TODAY.yesterday().unwrap() };
    assert!(codes(&estate, &past).contains(&"wave_window_past"));
    past.window.to = TODAY;
    assert!(!codes(&estate, &past).contains(&"wave_window_past"));
    past.window.to = TODAY.yesterday().unwrap();
    for n in 0..2 {
        estate.systems.get_mut(&sid(n)).unwrap().stage = Stage::CutOver;
    }
    assert_eq!(codes(&estate, &past), [""; 0], "all of it was cut over");
}

#[test]
fn what_a_zone_has_is_all_that_is_not_claimed_and_leases_that_end_stand_beside() {
    let estate = estate(2);
    let one = wave(1, &[0, 1]);
    let amount = |vcpu, gib: i64| Amount { vcpu, memory_bytes: gib * GIB, disk_bytes: gib * GIB };
    let extranet = Zone::GovernmentExtranet;
    let mut beside = Beside::default();
    for n in 0..2 {
        let demand = Demand { zone: Some(extranet), amount: amount(4, 8), unknown: Vec::new() };
        beside.demands.insert(sid(n), demand);
    }
    beside.rooms.insert(extranet, Room { free: amount(8, 16), leases: Vec::new() });
    assert_eq!(found(&estate, &one, &beside), []);
    // One vCPU less; the hundred that come free by then are told, and do not count.
    let leases = vec![(one.window.from, amount(100, 100)), (one.window.from.tomorrow().unwrap(), amount(1000, 1000))];
    beside.rooms.insert(extranet, Room { free: amount(7, 16), leases });
    let conflict = found(&estate, &one, &beside).remove(0);
    assert_eq!((conflict.code, conflict.level), ("wave_capacity_short", Level::Blocks));
    for figure in ["要 8 核", "剩 7 核", "100 核", "没有算作剩余"] {
        assert!(conflict.message.contains(figure), "{figure}: {}", conflict.message);
    }
    assert!(!conflict.message.contains("1100"), "leases that end later: {}", conflict.message);
    // A zone that no host has, and one of which nobody knows how much is asked.
    beside.demands.get_mut(&sid(1)).unwrap().zone = Some(Zone::Internet);
    let codes: Vec<_> = found(&estate, &one, &beside).into_iter().map(|conflict| conflict.code).collect();
    assert_eq!(codes, ["wave_capacity_short"]);
    let demand = beside.demands.get_mut(&sid(1)).unwrap();
    (demand.amount, demand.unknown) = (Amount::default(), vec!["旧服务器".to_owned()]);
    let codes: Vec<_> = found(&estate, &one, &beside).into_iter().map(|conflict| conflict.code).collect();
    assert_eq!(codes, ["wave_size_unknown"]);
}

fn lacks(estate: &Estate, step: Step, cutover_on: Option<Date>, facts: &Facts) -> Vec<&'static str> {
    let system = &estate.systems[&sid(0)];
    let lacking = passage::missing(estate, system, step, Plan { cutover_on }, facts, &bases(), TODAY);
    lacking.into_iter().map(|violation| violation.code).collect()
}

#[test]
fn each_gate_names_what_is_missing() {
    let mut estate = estate(1);
    let (none, arrived) = (Facts::default(), Facts { arrived: true, ..Facts::default() });
    let day = Some(TODAY.saturating_add(12.days()));
    assert_eq!(lacks(&estate, Step::Assess, None, &none), [""; 0]);
    estate.systems.get_mut(&sid(0)).unwrap().purpose.clear();
    assert_eq!(lacks(&estate, Step::Assess, None, &none), ["system_purpose_missing"]);
    assert_eq!(lacks(&estate, Step::Plan, day, &none), ["system_without_wave"]);
    assert_eq!(lacks(&estate, Step::CutOver, None, &none), ["system_without_machine", "system_without_wave"]);

    let one = wave(1, &[0]);
    estate.waves.insert(one.id, one);
    assert_eq!(lacks(&estate, Step::Plan, day, &none), [""; 0]);
    assert_eq!(lacks(&estate, Step::Plan, Some(TODAY), &none), ["cutover_outside_window"]);
    let conflict =
        |level, code| Conflict { level, code, message: "甲".to_owned(), basis: "乙".to_owned(), systems: Vec::new() };
    let conflicts = vec![conflict(Level::Blocks, "wave_blackout"), conflict(Level::Warns, "wave_after_deadline")];
    let facts = Facts { conflicts, ..Facts::default() };
    assert_eq!(lacks(&estate, Step::Plan, day, &facts), ["wave_blackout"], "what warns keeps nobody back");

    assert_eq!(lacks(&estate, Step::Rehearse, None, &none), ["system_without_machine"]);
    assert_eq!(lacks(&estate, Step::Rehearse, None, &arrived), [""; 0]);
    assert_eq!(lacks(&estate, Step::CutOver, None, &arrived), ["cutover_before_window"]);
    let begun = estate.waves.values_mut().next().unwrap();
    begun.window.from = TODAY;
    assert_eq!(lacks(&estate, Step::CutOver, None, &arrived), [""; 0]);

    // A blackout that was set after the plan.
    let blackout = |from: Date| Blackout {
        id: BlackoutId(Uuid::from_u128(1)),
        unit: None,
        days: Days { from, to: from },
        reason: "保障".to_owned(),
        by: "ops".to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
    };
    estate.blackouts.insert(BlackoutId(Uuid::from_u128(1)), blackout(TODAY));
    assert_eq!(lacks(&estate, Step::CutOver, None, &arrived), ["cutover_in_blackout"]);
    estate.blackouts.insert(BlackoutId(Uuid::from_u128(1)), blackout(TODAY.tomorrow().unwrap()));
    assert_eq!(lacks(&estate, Step::CutOver, None, &arrived), [""; 0]);

    // The test is what the documents want.
    estate.systems.get_mut(&sid(0)).unwrap().stage = Stage::CutOver;
    let bases = bases();
    let system = &estate.systems[&sid(0)];
    let untested = passage::missing(&estate, system, Step::SwitchOff, Plan::default(), &arrived, &bases, TODAY);
    assert_eq!((untested[0].code, untested[0].basis.as_str()), ("system_untested", "测试"));
    estate.systems.get_mut(&sid(0)).unwrap().stage = Stage::Tested;
    assert_eq!(lacks(&estate, Step::SwitchOff, None, &arrived), [""; 0]);

    // Nothing is archived while its own server runs on; one that others need may.
    let iron = server(0, RoomId(id(2, 0)));
    let on = iron.id;
    estate.put(Object::Server(iron));
    let gone = estate.systems.get_mut(&sid(0)).unwrap();
    (gone.stage, gone.servers) = (Stage::SourceOff, [on].into());
    gone.steps.push(Taken { step: Step::SwitchOff, said: said("ops", "运维中心") });
    assert_eq!(lacks(&estate, Step::Archive, None, &arrived), ["server_still_on"]);
    let mut other = system_on(1);
    other.servers = [on].into();
    estate.put(Object::System(Box::new(other)));
    assert_eq!(lacks(&estate, Step::Archive, None, &arrived), [""; 0]);
    estate.systems.remove(&sid(1));
    estate.servers.get_mut(&on).unwrap().off = Some(said("ops", "运维中心"));
    assert_eq!(lacks(&estate, Step::Archive, None, &arrived), [""; 0]);
}

fn system_on(n: usize) -> System {
    system(n, Home::Room(RoomId(id(2, 0))))
}
