//! The judge against a table of cases, and the rules on what carries a decision.

use super::{
    finding::{
        Answer, Answered, Confidence, Course, Finding, Hindrance, Judgement, Outcome, Question, Signed, Source,
        carries, course,
    },
    judge::{Case, Logins, MachineUse, Thresholds, Use, judge},
    lifecycle::State,
};
use crate::{
    ids::{DepartmentId, MachineId, SystemId},
    jurisdiction::{Criterion, Profile},
    system::{
        System,
        record::{Facts, Frequency, Scope},
    },
    time,
};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
};

const TODAY: Date = date(2026, 11, 30);

fn now() -> Timestamp {
    time::from_micros(time::day_begins(TODAY) * 1_000_000 + 1)
}

fn ago(days: i64) -> Date {
    TODAY.saturating_sub(days.days())
}

fn system() -> System {
    System {
        id: SystemId::new(),
        department: DepartmentId::new(),
        facts: Facts {
            name: "低保审批系统".to_owned(),
            purpose: "低保审批".to_owned(),
            scope: None,
            frequency: None,
            last_updated_on: None,
            maintained_until: None,
            last_login_on: None,
            replaced_by: None,
        },
        recorded_by: "zhang".to_owned(),
        recorded_at: now(),
        created_at: now(),
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> System {
    let mut system = system();
    change(&mut system.facts);
    system
}

fn machine(verdict: Use, idle_days: i64) -> MachineUse {
    MachineUse { machine: MachineId::new(), name: "vm".to_owned(), verdict, idle_days, logins: None }
}

fn answer(answer: Answered, holds: &[Criterion], denies: &[Criterion]) -> Answer {
    Answer {
        answer,
        reason: "业务已停办".to_owned(),
        replaced_by: None,
        holds: holds.to_vec(),
        denies: denies.to_vec(),
        signed: Signed { by: "zhang".to_owned(), unit: "区民政局".to_owned(), at: now() },
    }
}

/// By the five criteria.
fn judged(system: &System, machines: &[MachineUse], answer: Option<&Answer>) -> Judgement {
    let profile = Profile::embedded("suzhou-new-district").unwrap();
    let case = Case { system, machines, answer, replacement_is_known: false, today: TODAY };
    judge(case, &profile, Thresholds::default())
}

fn of(judgement: &Judgement, criterion: Criterion) -> (Outcome, Confidence) {
    let one = judgement.criteria.iter().find(|c| c.criterion == criterion).unwrap();
    assert!(!one.evidence.is_empty(), "{criterion} rests on nothing");
    (one.outcome, one.confidence)
}

const MET_HIGH: (Outcome, Confidence) = (Outcome::Met, Confidence::High);
const MET_MEDIUM: (Outcome, Confidence) = (Outcome::Met, Confidence::Medium);
const MET_LOW: (Outcome, Confidence) = (Outcome::Met, Confidence::Low);
const NOT: (Outcome, Confidence) = (Outcome::NotMet, Confidence::High);
const UNKNOWN: (Outcome, Confidence) = (Outcome::Unknown, Confidence::Low);

#[test]
fn of_what_nobody_knows_nothing_is_said() {
    for machines in [vec![], vec![machine(Use::Unknown, 0), machine(Use::Unknown, 900)]] {
        let judgement = judged(&system(), &machines, None);
        assert_eq!(judgement.criteria.len(), 5);
        for criterion in Criterion::ALL {
            assert_eq!(of(&judgement, criterion), UNKNOWN, "{criterion}");
        }
        assert!(!judgement.is_suspicious());
    }
}

#[test]
fn each_district_is_judged_by_its_own_criteria_and_clauses() {
    let profile = Profile::embedded("xiangcheng").unwrap();
    let system = system();
    let case = Case { system: &system, machines: &[], answer: None, replacement_is_known: false, today: TODAY };
    let judgement = judge(case, &profile, Thresholds::default());
    let told: Vec<_> = judgement.criteria.iter().map(|c| (c.criterion, c.text.as_str(), c.basis.as_str())).collect();
    let basis = "相政办〔2018〕151号 二（二）具体要求5";
    let expected = [
        (Criterion::Idle, "长期处于空闲状态", basis),
        (Criterion::Unmaintained, "停止运行维护", basis),
        (Criterion::Replaced, "功能被其他系统替代", basis),
    ];
    assert_eq!(told, expected);
}

#[test]
fn idleness_is_of_all_machines_for_long_enough() {
    use Use::{Busy, Exempt, Idle, Low, Unknown};
    let idle = |machines: &[(Use, i64)], frequency| {
        let machines: Vec<_> = machines.iter().map(|(verdict, days)| machine(*verdict, *days)).collect();
        of(&judged(&with(|facts| facts.frequency = frequency), &machines, None), Criterion::Idle)
    };
    for (machines, expected) in [
        (&[(Idle, 89)][..], NOT),
        (&[(Idle, 90)], MET_MEDIUM),
        (&[(Idle, 365)], MET_MEDIUM),
        (&[(Idle, 366)], MET_HIGH),
        (&[(Idle, 900), (Idle, 91)], MET_MEDIUM),
        (&[(Idle, 900), (Busy, 0)], NOT),
        (&[(Idle, 900), (Low, 0)], NOT),
        (&[(Idle, 900), (Exempt, 0)], NOT),
        // What one meter does not know is not made up for by the others; a machine in use clears the system all the same.
        (&[(Idle, 900), (Unknown, 0)], UNKNOWN),
        (&[(Idle, 900), (Unknown, 900)], UNKNOWN),
        (&[(Unknown, 0), (Busy, 0)], NOT),
    ] {
        assert_eq!(idle(machines, None), expected, "{machines:?}");
    }
    // What is used once a year is idle in between.
    assert_eq!(idle(&[(Idle, 366)], Some(Frequency::Yearly)), NOT);
    assert_eq!(idle(&[(Idle, 396)], Some(Frequency::Yearly)), NOT);
    assert_eq!(idle(&[(Idle, 397)], Some(Frequency::Yearly)), MET_HIGH);
    assert_eq!(idle(&[(Idle, 120)], Some(Frequency::Monthly)), MET_MEDIUM);
}

#[test]
fn upkeep_has_ended_where_both_the_contract_and_the_updates_have() {
    let case = |until: Option<i64>, updated: Option<i64>| {
        let system = with(|facts| {
            facts.maintained_until = until.map(ago);
            facts.last_updated_on = updated.map(ago);
        });
        of(&judged(&system, &[], None), Criterion::Unmaintained)
    };
    for (until, updated, expected) in [
        (None, None, UNKNOWN),
        (Some(1), Some(365), MET_HIGH),
        (Some(0), Some(900), NOT),
        (Some(-30), Some(900), NOT),
        (Some(1), Some(364), (Outcome::NotMet, Confidence::Medium)),
        (Some(900), None, MET_LOW),
        (None, Some(900), MET_LOW),
        (None, Some(10), (Outcome::NotMet, Confidence::Medium)),
    ] {
        assert_eq!(case(until, updated), expected, "{until:?} {updated:?}");
    }
}

#[test]
fn small_and_seldom_means_both() {
    let case = |scope, frequency, logins: Option<Logins>| {
        let system = with(|facts| (facts.scope, facts.frequency) = (scope, frequency));
        let machines = [MachineUse { logins, ..machine(Use::Unknown, 0) }];
        of(&judged(&system, &machines, None), Criterion::LittleUsed)
    };
    let (office, public) = (Some(Scope::Office), Some(Scope::Public));
    let (rarely, daily) = (Some(Frequency::Rarely), Some(Frequency::Daily));
    assert_eq!(case(office, rarely, None), MET_MEDIUM);
    assert_eq!(case(office, daily, None), NOT);
    assert_eq!(case(public, rarely, None), NOT);
    assert_eq!(case(public, None, None), NOT);
    assert_eq!(case(office, None, None), UNKNOWN);
    assert_eq!(case(None, rarely, None), UNKNOWN);
    // Logins that would have been seen make sure; those that nobody could see do not.
    let seen = |known_days, last: Option<i64>| Some(Logins { known_days, last: last.map(ago) });
    assert_eq!(case(office, rarely, seen(180, None)), MET_HIGH);
    assert_eq!(case(office, rarely, seen(179, None)), MET_MEDIUM);
    assert_eq!(case(office, rarely, seen(900, Some(10))), MET_MEDIUM);
}

#[test]
fn logins_are_a_hint_and_the_newest_counts() {
    let case = |said: Option<i64>, seen: Option<(i64, Option<i64>)>| {
        let system = with(|facts| facts.last_login_on = said.map(ago));
        let logins = seen.map(|(known_days, last)| Logins { known_days, last: last.map(ago) });
        of(&judged(&system, &[MachineUse { logins, ..machine(Use::Idle, 900) }], None), Criterion::OutOfStep)
    };
    let not_low = (Outcome::NotMet, Confidence::Low);
    assert_eq!(case(None, None), UNKNOWN);
    assert_eq!(case(Some(180), None), MET_LOW);
    assert_eq!(case(Some(179), None), not_low);
    assert_eq!(case(Some(900), Some((30, Some(3)))), not_low);
    assert_eq!(case(Some(3), Some((900, Some(800)))), not_low);
    assert_eq!(case(None, Some((900, None))), MET_LOW);
    assert_eq!(case(None, Some((30, None))), UNKNOWN);
}

#[test]
fn a_named_replacement_counts_and_a_known_one_counts_more() {
    let system = with(|facts| facts.replaced_by = Some("民政一体化平台".to_owned()));
    let profile = Profile::embedded("xiangcheng").unwrap();
    let case = |replacement_is_known| {
        let case = Case { system: &system, machines: &[], answer: None, replacement_is_known, today: TODAY };
        of(&judge(case, &profile, Thresholds::default()), Criterion::Replaced)
    };
    assert_eq!((case(false), case(true)), (MET_MEDIUM, MET_HIGH));
}

#[test]
fn the_owners_word_is_weighed() {
    use Criterion::{Idle, LittleUsed, OutOfStep, Replaced, Unmaintained};
    let idle = |days| vec![machine(Use::Idle, days)];
    let hear = |system: &System, machines: &[MachineUse], said: &Answer, criterion| {
        of(&judged(system, machines, Some(said)), criterion)
    };
    let (agree, object) = (answer(Answered::Agree, &[], &[]), answer(Answered::Object, &[], &[]));
    // A word to the whole is one to what was found, and makes up nothing else.
    assert_eq!(hear(&system(), &idle(100), &agree, Idle), MET_HIGH);
    assert_eq!(hear(&system(), &idle(100), &object, Idle), MET_LOW);
    assert_eq!(hear(&system(), &idle(400), &object, Idle), MET_MEDIUM);
    for criterion in [OutOfStep, Replaced, Unmaintained, LittleUsed] {
        assert_eq!(hear(&system(), &idle(100), &agree, criterion), UNKNOWN, "{criterion}");
    }
    // Of what only the owner knows, the owner's word is enough, either way.
    let said = answer(Answered::Object, &[OutOfStep], &[Unmaintained]);
    assert_eq!(hear(&system(), &[], &said, OutOfStep), MET_HIGH);
    assert_eq!(hear(&system(), &[], &said, Unmaintained), (Outcome::NotMet, Confidence::Medium));
    assert_eq!(hear(&system(), &[], &answer(Answered::Replaced, &[], &[]), Replaced), MET_HIGH);
    // A word does not make a meter know, nor a busy machine idle.
    let said = answer(Answered::Agree, &[Idle, Unmaintained], &[]);
    assert_eq!(hear(&system(), &[machine(Use::Unknown, 0)], &said, Idle), UNKNOWN);
    assert_eq!(hear(&system(), &[], &said, Idle), UNKNOWN);
    assert_eq!(hear(&system(), &[machine(Use::Busy, 0)], &said, Idle), NOT);
    // Where it contradicts the owner's own record, nobody knows.
    let kept = with(|facts| facts.maintained_until = Some(ago(-100)));
    assert_eq!(hear(&kept, &[], &said, Unmaintained), UNKNOWN);
    let judgement = judged(&kept, &[], Some(&said));
    let sources: Vec<_> = judgement.criteria[3].evidence.iter().map(|e| (e.source, e.by.as_deref())).collect();
    assert_eq!(sources, [(Source::Record, Some("zhang")), (Source::Owner, Some("zhang"))]);
    // A denied hint is none any more.
    let old = with(|facts| facts.last_login_on = Some(ago(900)));
    assert_eq!(hear(&old, &[], &object, OutOfStep), UNKNOWN);
}

fn finding(judgement: Judgement, answer: Option<Answer>, due_on: Option<Date>) -> Finding {
    let signed = Signed { by: "wang".to_owned(), unit: "区信息办".to_owned(), at: now() };
    let question = due_on.map(|due_on| Question { due_on, signed });
    Finding { state: State::Asked, answer, question, ..Finding::suspected(&system(), judgement, now()) }
}

#[test]
fn missing_data_never_carries_a_decision() {
    let all = [answer(Answered::Agree, &[], &[]), answer(Answered::Object, &[], &[])];
    for said in [None].into_iter().chain(all.iter().map(Some)) {
        let judgement = judged(&system(), &[machine(Use::Unknown, 900)], said);
        let finding = finding(judgement.clone(), said.cloned(), Some(ago(1)));
        assert!(matches!(carries(&finding, &judgement, TODAY), Err(Hindrance::TooLittle { met: 0, .. })), "{said:?}");
    }
    // A hint does not either.
    let old = with(|facts| facts.last_login_on = Some(ago(900)));
    let judgement = judged(&old, &[], None);
    assert!(judgement.is_suspicious());
    assert!(carries(&finding(judgement.clone(), None, Some(ago(1))), &judgement, TODAY).is_err());
}

#[test]
fn an_owner_is_heard_before_the_decision_and_silence_needs_certainty() {
    let likely = judged(&system(), &[machine(Use::Idle, 100)], None);
    let certain = judged(&system(), &[machine(Use::Idle, 400)], None);
    let heard = |judgement: &Judgement, due_on| carries(&finding(judgement.clone(), None, due_on), judgement, TODAY);
    assert_eq!(heard(&certain, None), Err(Hindrance::OwnerNotHeard { due_on: None }));
    assert_eq!(heard(&certain, Some(TODAY)), Err(Hindrance::OwnerNotHeard { due_on: Some(TODAY) }));
    assert_eq!(heard(&certain, Some(ago(1))), Ok(()));
    // With under a year of history a machine may be idle; without the owner's word that decides nothing.
    let too_little = Hindrance::TooLittle { met: 0, needed: 1, least: Confidence::High };
    assert_eq!(heard(&likely, Some(ago(1))), Err(too_little));
    let agree = answer(Answered::Agree, &[], &[]);
    let agreed = judged(&system(), &[machine(Use::Idle, 100)], Some(&agree));
    assert_eq!(carries(&finding(agreed.clone(), Some(agree), Some(ago(-5))), &agreed, TODAY), Ok(()));
    let object = answer(Answered::Object, &[], &[]);
    let objected = judged(&system(), &[machine(Use::Idle, 100)], Some(&object));
    assert!(carries(&finding(objected.clone(), Some(object), Some(ago(1))), &objected, TODAY).is_err());
    // As many as the profile asks for.
    let two = Judgement { needed: 2, ..certain.clone() };
    assert!(matches!(heard(&two, Some(ago(1))), Err(Hindrance::TooLittle { met: 1, needed: 2, .. })));
}

#[test]
fn what_was_decided_is_raised_again_only_on_news() {
    let idle = judged(&system(), &[machine(Use::Idle, 100)], None);
    let more = judged(&with(|f| f.replaced_by = Some("别的系统".to_owned())), &[machine(Use::Idle, 100)], None);
    let nothing = judged(&system(), &[], None);
    let last = |state| Finding { state, ..finding(idle.clone(), None, None) };
    assert_eq!((course(None, &nothing), course(None, &idle)), (Course::Leave, Course::Open));
    assert_eq!(course(Some(&last(State::Dismissed)), &idle), Course::Leave);
    assert_eq!(course(Some(&last(State::Dismissed)), &more), Course::Open);
    for state in [State::Filed, State::Confirmed] {
        assert_eq!(course(Some(&last(state)), &more), Course::Leave, "{state}");
    }
    for state in [State::Suspected, State::Asked, State::Answered, State::Objected, State::Exempt] {
        assert_eq!(course(Some(&last(state)), &nothing), Course::Renew, "{state}");
    }
}

#[test]
fn states_are_kept_by_their_words_and_no_end_is_open() {
    use super::lifecycle::Event;
    for state in State::ALL {
        assert_eq!(state.word().parse::<State>().unwrap(), state);
        let ends = Event::ALL.into_iter().all(|event| state.next(event).is_err());
        assert_eq!(state.is_final(), ends, "{state}");
    }
}

#[test]
fn a_judgement_keeps_through_json() {
    let agree = answer(Answered::Agree, &[Criterion::OutOfStep], &[]);
    let judgement = judged(&system(), &[machine(Use::Idle, 400), machine(Use::Busy, 0)], Some(&agree));
    let text = serde_json::to_string(&judgement).unwrap();
    assert_eq!(serde_json::from_str::<Judgement>(&text).unwrap(), judgement);
    let text = serde_json::to_string(&agree).unwrap();
    assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), agree);
}
