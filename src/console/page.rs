//! The pages' contents: a report in, HTML out. Whatever comes from outside passes through a template, which escapes it. Pure.

use crate::{
    report::{
        capacity::{Amount, CapacityReport, MachineLoad, NearLimit, OpenAlarm, Outlook, Trend, UnderWay, ZoneCapacity},
        paper::capacity::indicator,
    },
    seeing::words::{self, Words},
    time,
    units::GIB,
};
use askama::Template;
use jiff::Timestamp;

/// Rows of hosts and task books that a page has.
const MOST: usize = 50;
/// A bar's length, in the drawing's units.
const FULL: f64 = 210.0;
/// From one bar to the next.
const STEP: usize = 17;
/// Around a group of bars.
const ROOM: usize = 22;

const OPERATION_KINDS: Words = &[
    ("build", "建设虚拟机"),
    ("start", "开机"),
    ("stop", "停机"),
    ("bin", "移入回收站"),
    ("restore", "从回收站恢复"),
    ("reboot", "重新启动"),
    ("resize", "变更规格"),
    ("migrate", "迁移"),
    ("rebuild", "重建"),
];
const OPERATION_STATES: Words = &[("queued", "排队中"), ("running", "进行中"), ("unwinding", "撤销中")];
const WAITING: Words = &[
    ("requests", "待审批的申请"),
    ("hosts_unknown", "失去联系的宿主机"),
    ("alarms", "还没有人看过的告警"),
    ("findings", "待办的僵尸系统"),
    ("rooms_late", "过了期限的机房"),
    ("rooms_near", "期限临近的机房"),
];

struct Waiting {
    what: String,
    number: i64,
    since: String,
}

struct Bar {
    label: &'static str,
    class: &'static str,
    value: String,
    width: String,
    y: usize,
    text_y: usize,
}

struct Group {
    resource: &'static str,
    y: usize,
    bars: Vec<Bar>,
}

struct Resource {
    resource: &'static str,
    physical: String,
    free: String,
    requested: String,
    approved: String,
    allocated: String,
    measured: String,
    lasts: String,
}

struct Zone {
    name: String,
    hosts: i64,
    machines: i64,
    height: usize,
    groups: Vec<Group>,
    rows: Vec<Resource>,
}

struct Machine {
    name: String,
    department: String,
    system: String,
    host: String,
    cpu: String,
    memory: String,
}

struct Machines {
    title: &'static str,
    rows: Vec<Machine>,
}

struct Host {
    name: String,
    state: String,
    bad: bool,
    zones: String,
    machines: i64,
    vcpu: String,
    memory: String,
    disk: String,
    measured: String,
    percent: String,
}

struct Book {
    number: String,
    department: String,
    indicator: &'static str,
    amount: String,
    percent: String,
}

struct Operation {
    kind: String,
    state: String,
    department: String,
    machine: String,
    step: String,
    percent: String,
    began: String,
}

struct Alarm {
    kind: String,
    name: String,
    host: String,
    seen: String,
    acknowledged: bool,
}

#[derive(Template)]
#[template(path = "status.html")]
struct Status {
    district: String,
    changed_at: String,
    waiting: Vec<Waiting>,
    zones: Vec<Zone>,
    states: Vec<Bar>,
    states_height: usize,
    machines: [Machines; 2],
    hosts: Vec<Host>,
    hosts_left: usize,
    books: Vec<Book>,
    books_left: usize,
    operations: Vec<Operation>,
    operations_open: i64,
    alarms: Vec<Alarm>,
    alarms_open: i64,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    fault: &'a str,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal<'a> {
    fault: &'a str,
}

/// Asks for a token; `fault` is what was wrong with the last one.
pub fn sign_in(fault: &str) -> Result<String, askama::Error> {
    SignIn { fault }.render()
}

/// Why nothing is shown.
pub fn refusal(fault: &str) -> Result<String, askama::Error> {
    Refusal { fault }.render()
}

/// 总览
pub fn status(report: &CapacityReport) -> Result<String, askama::Error> {
    #[allow(clippy::cast_precision_loss, reason = "counts")]
    let most = report.machines.iter().map(|count| count.machines).max().unwrap_or(0).max(1) as f64;
    let states = report.machines.iter().enumerate().map(|(n, count)| {
        #[allow(clippy::cast_precision_loss, reason = "counts")]
        let share = count.machines as f64 / most;
        bar(label(words::MACHINE_STATES, &count.state), "state", share, count.machines.to_string(), n * STEP + 4)
    });
    let machines = |title, all: &[MachineLoad]| Machines { title, rows: all.iter().map(machine).collect() };
    let page = Status {
        district: report.district.clone(),
        changed_at: at(report.changed_at),
        waiting: report
            .waiting
            .iter()
            .map(|waiting| Waiting {
                what: said(WAITING, waiting.what),
                number: waiting.number,
                since: waiting.since.map(at).unwrap_or_default(),
            })
            .collect(),
        zones: report.zones.iter().map(zone).collect(),
        states: states.collect(),
        states_height: report.machines.len() * STEP + 8,
        machines: [machines("最忙的虚拟机", &report.busiest), machines("最闲的虚拟机", &report.idlest)],
        hosts: report.hosts.iter().take(MOST).map(host).collect(),
        hosts_left: report.hosts.len().saturating_sub(MOST),
        books: report.task_books.iter().take(MOST).map(book).collect(),
        books_left: report.task_books.len().saturating_sub(MOST),
        operations: report.operations.iter().map(operation).collect(),
        operations_open: report.operations_open,
        alarms: report.alarms.iter().map(alarm).collect(),
        alarms_open: report.alarms_open,
    };
    page.render()
}

/// What people read for one of our words; the word itself where there is none.
fn said(words: Words, word: &str) -> String {
    words.iter().find(|(known, _)| *known == word).map_or(word, |(_, said)| said).to_owned()
}

fn label(words: Words, word: &str) -> &'static str {
    words.iter().find(|(known, _)| *known == word).map_or("其他", |(_, said)| said)
}

fn at(instant: Timestamp) -> String {
    time::civil_minute(instant)
}

/// Tenths of a GiB, rounded down: what is free is never shown as more than it is.
fn gib(bytes: i64) -> String {
    let tenths = i128::from(bytes) * 10 / i128::from(GIB);
    if tenths % 10 == 0 { format!("{} GiB", tenths / 10) } else { format!("{}.{} GiB", tenths / 10, tenths % 10) }
}

fn percent(percent: f64) -> String {
    format!("{percent}%")
}

fn bar(label: &'static str, class: &'static str, share: f64, value: String, y: usize) -> Bar {
    Bar { label, class, value, width: format!("{:.1}", share.clamp(0.0, 1.0) * FULL), y, text_y: y + 11 }
}

fn lasts(outlook: Outlook) -> String {
    match (outlook.trend, outlook.days_left) {
        (Trend::Unknown, _) => "不明".to_owned(),
        (Trend::Steady, _) => "没有增长".to_owned(),
        (Trend::Growing, Some(days)) => format!("{days} 天"),
        (Trend::Growing, None) => "十年以上".to_owned(),
    }
}

/// How one resource is taken out of an amount, and put in words.
type Reader = (&'static str, fn(&Amount) -> i64, fn(i64) -> String);

const READERS: [Reader; 3] = [
    ("CPU", |amount| amount.vcpu, |n| format!("{n} 核")),
    ("内存", |amount| amount.memory_bytes, gib),
    ("磁盘", |amount| amount.disk_bytes, gib),
];

fn zone(zone: &ZoneCapacity) -> Zone {
    let (mut groups, mut rows, mut y) = (Vec::new(), Vec::new(), 0);
    for (n, (resource, of, text)) in READERS.into_iter().enumerate() {
        // As a number for the bar, and as it is written; disk is not measured.
        #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
        let measured = zone.measured.and_then(|measured| match n {
            0 => Some((measured.vcpu, format!("{} 核", measured.vcpu))),
            1 => Some((measured.memory_bytes as f64, gib(measured.memory_bytes))),
            _ => None,
        });
        let stages = [
            ("实有", "physical", &zone.physical),
            ("分配", "allocated", &zone.allocated),
            ("批准", "approved", &zone.approved),
            ("申请", "requested", &zone.requested),
        ];
        #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
        let most = stages.iter().map(|(.., amount)| of(amount)).max().unwrap_or(0).max(1) as f64;
        y += ROOM;
        let mut group = Group { resource, y: y - 6, bars: Vec::new() };
        for (label, class, amount) in stages {
            #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
            group.bars.push(bar(label, class, of(amount) as f64 / most, text(of(amount)), y));
            y += STEP;
        }
        if let Some((used, written)) = &measured {
            group.bars.push(bar("实测", "measured", used / most, written.clone(), y));
            y += STEP;
        }
        groups.push(group);
        let outlook = [zone.outlook.vcpu, zone.outlook.memory, zone.outlook.disk];
        let cell = |amount: &Amount| text(of(amount));
        rows.push(Resource {
            resource,
            physical: cell(&zone.physical),
            free: cell(&zone.free),
            requested: cell(&zone.requested),
            approved: cell(&zone.approved),
            allocated: cell(&zone.allocated),
            measured: measured.map(|(_, written)| written).unwrap_or_default(),
            lasts: outlook.get(n).copied().map(lasts).unwrap_or_default(),
        });
    }
    Zone {
        name: said(words::ZONES, &zone.zone),
        hosts: zone.hosts,
        machines: zone.machines,
        height: y + 4,
        groups,
        rows,
    }
}

fn machine(load: &MachineLoad) -> Machine {
    Machine {
        name: load.name.clone(),
        department: load.department.clone(),
        system: load.system.clone().unwrap_or_default(),
        host: load.host.clone(),
        cpu: percent(load.cpu_percent),
        memory: load.memory_percent.map(percent).unwrap_or_default(),
    }
}

fn host(host: &crate::report::capacity::HostCapacity) -> Host {
    let of = |used: i64, all: i64, text: fn(i64) -> String| format!("{} / {}", text(used), text(all));
    let [vcpu, memory, disk] = READERS.map(|(_, take, text)| of(take(&host.allocated), take(&host.physical), text));
    let zones = host.zones.iter().map(|zone| said(words::ZONES, zone));
    Host {
        name: host.name.clone(),
        state: said(words::HOST_STATES, &host.state),
        bad: matches!(host.state.as_str(), "unknown" | "fenced"),
        zones: zones.collect::<Vec<_>>().join("、"),
        machines: host.machines,
        vcpu,
        memory,
        disk,
        measured: host.measured.map(|measured| format!("{} 核", measured.vcpu)).unwrap_or_default(),
        percent: percent(host.used_percent),
    }
}

fn book(near: &NearLimit) -> Book {
    let text = |n: i64| if matches!(near.indicator, "memory" | "disk") { gib(n) } else { n.to_string() };
    Book {
        number: near.task_book.clone(),
        department: near.department.clone(),
        indicator: indicator(near.indicator),
        amount: format!("{} / {}", text(near.used), text(near.limit)),
        percent: percent(near.percent),
    }
}

fn operation(open: &UnderWay) -> Operation {
    Operation {
        kind: said(OPERATION_KINDS, &open.kind),
        state: said(OPERATION_STATES, &open.state),
        department: open.department.clone(),
        machine: open.machine.clone().unwrap_or_default(),
        step: open.step.clone().unwrap_or_default(),
        percent: format!("{}%", open.percent),
        began: at(open.created_at),
    }
}

fn alarm(alarm: &OpenAlarm) -> Alarm {
    Alarm {
        kind: said(words::ALARMS, &alarm.kind),
        name: alarm.name.clone(),
        host: alarm.host.clone(),
        seen: at(alarm.first_seen_at),
        acknowledged: alarm.acknowledged,
    }
}
