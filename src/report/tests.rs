use super::idle::{Age, Head, report};
use crate::{
    catalogue::Catalogue,
    identity::Department,
    ids::DepartmentId,
    request::block::WorkloadClass,
    usage::{
        Day, Interval, OpenDay, Point, Traffic,
        advice::Sizing,
        judging::{Case, Evidence, Idle, Line, Rules, Subject, judge},
        verdict::{Assumed, Code, Facts, Reason, RuleSets, Verdict},
    },
};
use jiff::{
    ToSpan,
    civil::{Date, date},
};

const ON: Date = date(2026, 10, 31);

fn day(date: Date, cpu: f64) -> Day {
    let interval = Interval::seconds(3600).unwrap();
    let mut open = OpenDay::new(date);
    let begins = crate::time::day_begins(date) * 1_000_000;
    for hour in 0..24 {
        let from = begins + hour * interval.as_micros();
        open.fold(&Point {
            from,
            to: from + interval.as_micros(),
            interval,
            vcpus: Some(2),
            values: [cpu, 20.0, 10.0, 10.0, 10.0].map(Some),
            traffic: Traffic::default(),
            logged_in: None,
            inbound: None,
        });
    }
    *open.close()
}

/// So many days of use, then so many of none, to the day of the report.
fn evidence(name: &str, used: i64, quiet: i64) -> Evidence {
    let rules = Rules {
        set: RuleSets::embedded().unwrap().find(RuleSets::OWN).unwrap().clone(),
        sizing: Sizing::embedded().unwrap(),
        assumed: Assumed::default(),
        bounds: Catalogue::embedded().unwrap().bounds,
    };
    let case = Case {
        subject: Subject {
            id: name.to_owned(),
            department: Department { id: DepartmentId::new(), code: "mzj".to_owned(), name: "民政局".to_owned() },
            name: name.to_owned(),
            system: Some("救助系统".to_owned()),
            system_id: None,
            vcpu: Some(2),
            memory_bytes: Some(4 << 30),
            disk_bytes: Some(40 << 30),
            workload_class: WorkloadClass::Batch,
            state: "running".to_owned(),
            delivered_on: None,
        },
        facts: Facts::default(),
        host: None,
        intent: None,
        least_memory: 0,
        least_disk: 0,
        made_of: None,
        unread: None,
    };
    let mut history = rules.history(ON);
    for ago in (0..used + quiet).rev() {
        history.add(&day(ON.checked_sub(ago.days()).unwrap(), if ago < quiet { 0.3 } else { 70.0 }));
    }
    judge(&rules, &case, &history)
}

fn head() -> Head<'static> {
    Head { as_of: ON, district: "相城区", authority: "区信息办", department: None }
}

#[test]
fn ages_begin_with_their_day() {
    let ages = [0, 29, 30, 59, 60, 89, 90, 1000].map(Age::of);
    assert_eq!(
        ages,
        [
            Age::Under30Days,
            Age::Under30Days,
            Age::From30Days,
            Age::From30Days,
            Age::From60Days,
            Age::From60Days,
            Age::From90Days,
            Age::From90Days
        ]
    );
}

#[test]
fn a_machine_is_idle_from_the_day_after_its_last_work() {
    let stopped = evidence("stopped", 200, 100);
    assert_eq!(stopped.judgement.verdict, Verdict::Idle, "{stopped:#?}");
    let idle = stopped.idle.unwrap();
    assert_eq!((idle.days, idle.since, idle.never_used), (100, ON.checked_sub(99.days()).unwrap(), false));
    let never = evidence("never", 0, 75);
    let idle = never.idle.unwrap_or_else(|| panic!("{never:#?}"));
    assert_eq!((idle.days, idle.never_used), (75, true));
    assert_eq!(evidence("busy", 100, 0).idle, None);
}

#[test]
fn a_report_is_the_same_in_whatever_order_its_judgements_come() {
    let all = vec![evidence("a", 200, 100), evidence("b", 0, 75), evidence("c", 100, 0), evidence("d", 0, 5)];
    let one = report(head(), all.clone().into_iter().map(Line::from).collect());
    let other = report(head(), all.into_iter().rev().map(Line::from).collect());
    assert_eq!(one, other);
    assert_eq!((one.totals.machines, one.totals.busy, one.totals.idle.machines, one.totals.unknown), (4, 1, 2, 1));
    assert_eq!((one.totals.idle.vcpu, one.totals.idle.memory_bytes), (4, 8 << 30));
    assert_eq!(one.totals.ages.iter().map(|aged| aged.holding.machines).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(
        one.idle.iter().map(|evidence| evidence.subject.name.as_str()).collect::<Vec<_>>(),
        ["a", "b"],
        "oldest first"
    );
    assert_eq!(one.groups.len(), 1);
    assert_eq!(one.groups[0].totals, one.totals);
}

#[test]
fn what_only_a_bin_keeps_from_being_idle_is_named_when_it_is_read_again() {
    let mut border = evidence("border", 100, 0);
    let reasons = vec![Reason::from(Code::OnTheBorder)];
    border.judgement.reasons = reasons;
    let again = |evidence: &Evidence| Line::read(&serde_json::to_string(evidence).unwrap()).unwrap();
    let of = |lines| report(head(), lines).borderline.iter().map(|line| line.name.clone()).collect::<Vec<_>>();
    assert_eq!(of(vec![again(&border), again(&evidence("busy", 100, 0))]), ["border"]);
    assert!(matches!(again(&evidence("busy", 100, 0)), Line::Brief(_)), "of a machine in use no more is read");
}

#[test]
fn a_day_before_workbooks_know_days_is_text() {
    for year in [-9999, 0, 716, 1899, 1900, 2026] {
        let mut old = evidence("old", 0, 75);
        let day = Date::new(year, 1, 1).unwrap();
        old.idle = old.idle.map(|idle| Idle { since: day, ..idle });
        let bytes = super::paper::idle_workbook(&report(Head { as_of: day, ..head() }, vec![old.into()]));
        assert!(bytes.unwrap_or_else(|error| panic!("{year}: {error}")).starts_with(b"PK"));
    }
}
