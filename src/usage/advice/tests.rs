use super::*;
use crate::{
    catalogue::Catalogue,
    usage::{Interval, OpenDay, Point, Traffic},
};
use jiff::{ToSpan, civil::date};

const GB: i64 = GIB;

/// Ten days of half hours, one in forty of them at the peak.
fn window(usual: f64, peak: f64, memory: f64) -> Window {
    let last = date(2026, 10, 31);
    let interval = Interval::seconds(1800).unwrap();
    let mut window = Window::ending(last, 10);
    for ago in 0..10 {
        let date = last.checked_sub(ago.days()).unwrap();
        let mut open = OpenDay::new(date);
        let begins = crate::time::day_begins(date) * 1_000_000;
        for half_hour in 0..48_i64 {
            let from = begins + half_hour * interval.as_micros();
            let cpu = if half_hour % 40 == 5 { peak } else { usual };
            open.fold(&Point {
                from,
                to: from + interval.as_micros(),
                interval,
                vcpus: Some(8),
                values: [Some(cpu), Some(memory), Some(1.0), Some(1.0), Some(1.0)],
                traffic: Traffic::default(),
                logged_in: None,
                inbound: None,
            });
        }
        window.add(&open.close());
    }
    window
}

fn size(class: WorkloadClass) -> Size {
    Size { vcpu: 8, memory: Some(16 * GB), disk: Some(500 * GB), least_memory: GB, least_disk: 2 * GB, class }
}

fn of(size: Size, life: Life, window: &Window) -> Vec<(Change, Resource, i64)> {
    let (sizing, bounds) = (Sizing::embedded().unwrap(), Catalogue::embedded().unwrap().bounds);
    let all = advise(&sizing, &bounds, &size, &life, window);
    all.into_iter().map(|advice| (advice.change, advice.resource, advice.to)).collect()
}

#[test]
fn who_serves_people_keeps_room_for_the_peak_and_who_works_by_night_does_not() {
    // Of eight processors: one in forty half hours at half of them.
    let window = window(5.0, 50.0, 20.0);
    let vcpu = |class| of(size(class), Life::default(), &window).into_iter().find(|(_, of, _)| *of == Resource::Vcpu);
    // P99 is 4 vCPUs and a bin, and four tenths more: 6. P95 is 0.4, and two tenths more: 1.
    assert_eq!(vcpu(WorkloadClass::UserFacing), Some((Change::Smaller, Resource::Vcpu, 6)));
    assert_eq!(vcpu(WorkloadClass::Batch), Some((Change::Smaller, Resource::Vcpu, 1)));
    assert_eq!(vcpu(WorkloadClass::Test), Some((Change::Smaller, Resource::Vcpu, 1)));
}

#[test]
fn memory_is_a_multiple_of_the_step_and_never_below_what_its_image_needs() {
    let memory = |percent, size: Size| {
        let advice = of(size, Life::default(), &window(5.0, 5.0, percent));
        advice.into_iter().find(|(_, of, _)| *of == Resource::Memory)
    };
    let (_, _, to) = memory(10.0, size(WorkloadClass::UserFacing)).unwrap();
    // A tenth of 16 GiB up to a bin above it, and four tenths more.
    assert!((16 * GB / 10 * 14 / 10..16 * GB / 10 * 16 / 10 + (128 << 20)).contains(&to), "{to}");
    assert_eq!(to % (128 << 20), 0);
    let large = Size { least_memory: 8 * GB, ..size(WorkloadClass::UserFacing) };
    assert_eq!(memory(0.5, large), Some((Change::Smaller, Resource::Memory, 8 * GB)));
    assert_eq!(memory(95.0, size(WorkloadClass::Batch)).map(|(change, ..)| change), Some(Change::Larger));
    assert_eq!(memory(65.0, size(WorkloadClass::Batch)), None, "as it should be");
}

#[test]
fn a_little_less_is_not_worth_a_stop_and_what_is_not_known_is_not_advised() {
    // Six of eight are wanted: two saved, which is worth it; seven are not.
    assert_eq!(of(size(WorkloadClass::Batch), Life::default(), &window(68.0, 68.0, 60.0)), []);
    let empty = Window::ending(date(2026, 10, 31), 31);
    assert_eq!(of(size(WorkloadClass::Batch), Life::default(), &empty), []);
    // Ten days of thirty-one are not enough.
    let mut month = Window::ending(date(2026, 10, 31), 31);
    assert!(month.add(&day_of(date(2026, 10, 31))));
    assert_eq!(of(size(WorkloadClass::Batch), Life::default(), &month), []);
}

fn day_of(date: Date) -> Box<crate::usage::Day> {
    OpenDay::new(date).close()
}

#[test]
fn what_was_never_used_is_given_back_whole_and_a_disk_but_for_what_went_through_it() {
    let window = window(5.0, 5.0, 10.0);
    let life = Life { never_used_since: Some(date(2026, 1, 1)), disk_bytes: Some(10 * GIB.unsigned_abs()) };
    let advice = of(size(WorkloadClass::UserFacing), life, &window);
    assert_eq!(advice[0], (Change::NeverUsed, Resource::Machine, 0));
    // 2 GiB of its system, 10 that may have been written, and half of them more.
    assert_eq!(advice[1..], [(Change::NeverUsed, Resource::Disk, 17 * GB)]);
    let full = Life { never_used_since: None, disk_bytes: Some(400 * GIB.unsigned_abs()) };
    assert!(of(size(WorkloadClass::UserFacing), full, &window).iter().all(|(_, of, _)| *of != Resource::Disk));
}

#[test]
fn every_fault_of_the_settings_is_named_at_once() {
    let text = include_str!("../../../profiles/sizing.yaml")
        .replace("coverage: 0.95", "coverage: 0.1")
        .replace("percentile: 99", "percentile: 101")
        .replace("disk_headroom_percent: 50", "disk_headroom_percent: -1");
    let Err(SizingError::Faulty(faults)) = Sizing::parse(&text) else { panic!("accepted") };
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(matches!(Sizing::parse("version: 1\nmore: 2\n"), Err(SizingError::Yaml(_))));
}

#[test]
fn what_moves_is_sized_by_its_use_and_never_by_the_iron() {
    let (sizing, bounds) = (Sizing::embedded().unwrap(), Catalogue::embedded().unwrap().bounds);
    let known = window(5.0, 50.0, 20.0);
    let (vcpu, memory) = needed(&sizing, &bounds, Some(16 * GB), &known);
    // Of eight processors P95 is 0.4 and a bin, and four tenths more: 1. The peak, one in forty, does not count.
    assert_eq!(vcpu.unwrap().to, 1);
    // A fifth of 16 GiB is 3.2, and four tenths more 4.5; whole steps.
    let memory = memory.unwrap().to;
    assert!((9 * GB / 2 - GB / 8..5 * GB).contains(&memory), "{memory}");
    assert_eq!(memory % bounds.memory_step.get(), 0);
    let (vcpu, memory) = needed(&sizing, &bounds, None, &known);
    assert!(vcpu.is_some() && memory.is_none(), "memory of an unknown size");
    let mut longer = Window::ending(known.to(), 30);
    longer.add(&OpenDay::new(known.to()).close());
    assert_eq!(needed(&sizing, &bounds, Some(16 * GB), &longer), (None, None), "nobody looked");
}
