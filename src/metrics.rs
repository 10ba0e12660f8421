//! Every metric, as the rest of the house counts and measures. What there is stands in [`series`]: units in the names, labels
//! bounded. Where all values of a metric's labels are known, its series are there from the start, at zero.

pub mod series;

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};
use series::{Kind, Series};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Methods that have series of their own. A caller may invent others, as many as he likes.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Handles to the metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    catalogue: Arc<[String]>,
    build_info: IntGaugeVec,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
    database_up: IntGaugeVec,
    database_writes: HistogramVec,
    certificate_expiry: IntGaugeVec,
    operations_run: IntCounterVec,
    operations: IntGaugeVec,
    operation_age: GaugeVec,
    steps: HistogramVec,
    requests: IntCounterVec,
    requests_open: IntGaugeVec,
    request_age: GaugeVec,
    decisions: HistogramVec,
    deliveries: HistogramVec,
    violations: IntCounterVec,
    task_books: GaugeVec,
    ledger: IntGaugeVec,
    hosts: IntGaugeVec,
    host_used: GaugeVec,
    host_silence: GaugeVec,
    machines: IntGaugeVec,
    alarms: IntGaugeVec,
    names: IntGaugeVec,
    name_attempts: IntCounterVec,
    usage_points: IntCounterVec,
    usage_refusals: IntCounterVec,
    usage_rounds: IntCounterVec,
    usage_source_rounds: IntCounterVec,
    vcpus: GaugeVec,
    memory_bytes: GaugeVec,
    disk_bytes: GaugeVec,
    verdicts: IntGaugeVec,
    verdict_vcpus: GaugeVec,
    verdict_memory: GaugeVec,
    findings: IntGaugeVec,
    rooms: IntGaugeVec,
    rooms_late: IntGaugeVec,
    rooms_near: IntGaugeVec,
    surveyed: IntGaugeVec,
    kube_leader: IntGaugeVec,
    kube_objects: IntCounterVec,
    kube_leaving: IntGaugeVec,
    kube_oldest: IntGaugeVec,
    usage_coverage: GaugeVec,
    usage_lag: GaugeVec,
    machine_vcpus: GaugeVec,
    machine_memory: GaugeVec,
    /// Labels of series that may go: those of the last look.
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    stocks: BTreeSet<[String; 3]>,
    machines: BTreeSet<[String; 2]>,
    task_books: BTreeSet<Vec<String>>,
    host_used: BTreeSet<Vec<String>>,
    host_silence: BTreeSet<Vec<String>>,
}

/// A task book in force, and how much of each indicator is claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct BookUse {
    pub number: String,
    pub department: String,
    /// By indicator; one that allows nothing has no share.
    pub shares: Vec<(&'static str, f64)>,
}

/// How a host is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct HostUse {
    pub name: String,
    /// By dimension.
    pub shares: [(&'static str, f64); 3],
    /// For how long nothing was heard of it.
    pub silence_seconds: f64,
}

/// How far an amount has come from a wish to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Requested,
    Approved,
    Allocated,
    Measured,
    Physical,
}

impl Stage {
    const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Allocated => "allocated",
            Self::Measured => "measured",
            Self::Physical => "physical",
        }
    }
}

/// An amount of everything. Disk is not measured: nobody tells how full one is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stock {
    pub vcpus: f64,
    pub memory_bytes: f64,
    pub disk_bytes: f64,
}

impl Stock {
    pub fn add(&mut self, vcpus: f64, memory_bytes: f64, disk_bytes: f64) {
        self.vcpus += vcpus;
        self.memory_bytes += memory_bytes;
        self.disk_bytes += disk_bytes;
    }
}

/// What one machine uses.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineUse {
    pub id: String,
    pub name: String,
    pub vcpus: f64,
    pub memory_bytes: Option<f64>,
}

impl Metrics {
    /// Registers them all; an error means two of one name, which a test finds.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let catalogue = RefCell::new(Vec::new());
        let enter = |series: &Series, metric: Box<dyn Collector>| {
            catalogue.borrow_mut().push(series.line());
            registry.register(metric)
        };
        let options = |series: &Series| Opts::new(series.name, series.help);
        let counter = |series: &Series| -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(options(series), &series.label_names())?;
            begun(series, |row| drop(metric.with_label_values(row)));
            enter(series, Box::new(metric.clone()))?;
            Ok(metric)
        };
        let histogram = |series: &Series| -> Result<HistogramVec, prometheus::Error> {
            let buckets = if let Kind::Histogram(buckets) = series.kind { buckets.to_vec() } else { Vec::new() };
            let options = HistogramOpts::from(options(series)).buckets(buckets);
            let metric = HistogramVec::new(options, &series.label_names())?;
            begun(series, |row| drop(metric.with_label_values(row)));
            enter(series, Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |series: &Series| -> Result<IntGaugeVec, prometheus::Error> {
            let metric = IntGaugeVec::new(options(series), &series.label_names())?;
            begun(series, |row| drop(metric.with_label_values(row)));
            enter(series, Box::new(metric.clone()))?;
            Ok(metric)
        };
        let amount = |series: &Series| -> Result<GaugeVec, prometheus::Error> {
            let metric = GaugeVec::new(options(series), &series.label_names())?;
            begun(series, |row| drop(metric.with_label_values(row)));
            enter(series, Box::new(metric.clone()))?;
            Ok(metric)
        };
        let mut metrics = Self {
            catalogue: Arc::default(),
            build_info: gauge(&series::BUILD_INFO)?,
            http_requests: counter(&series::HTTP_REQUESTS)?,
            http_seconds: histogram(&series::HTTP_SECONDS)?,
            database_up: gauge(&series::DATABASE_UP)?,
            database_writes: histogram(&series::DATABASE_WRITES)?,
            certificate_expiry: gauge(&series::CERTIFICATE_EXPIRY)?,
            operations_run: counter(&series::OPERATION_RUNS)?,
            operations: gauge(&series::OPERATIONS)?,
            operation_age: amount(&series::OPERATION_AGE)?,
            steps: histogram(&series::STEPS)?,
            requests: counter(&series::REQUESTS)?,
            requests_open: gauge(&series::REQUESTS_OPEN)?,
            request_age: amount(&series::REQUEST_AGE)?,
            decisions: histogram(&series::DECISION_SECONDS)?,
            deliveries: histogram(&series::DELIVERY_SECONDS)?,
            violations: counter(&series::VIOLATIONS)?,
            task_books: amount(&series::TASK_BOOK_USED)?,
            ledger: gauge(&series::LEDGER)?,
            hosts: gauge(&series::HOSTS)?,
            host_used: amount(&series::HOST_USED)?,
            host_silence: amount(&series::HOST_SILENCE)?,
            machines: gauge(&series::MACHINES)?,
            alarms: gauge(&series::ALARMS_OPEN)?,
            names: gauge(&series::NAMES)?,
            name_attempts: counter(&series::NAME_ATTEMPTS)?,
            usage_points: counter(&series::USAGE_POINTS)?,
            usage_refusals: counter(&series::USAGE_REFUSALS)?,
            usage_rounds: counter(&series::USAGE_ROUNDS)?,
            usage_source_rounds: counter(&series::USAGE_SOURCE_ROUNDS)?,
            vcpus: amount(&series::VCPUS)?,
            memory_bytes: amount(&series::MEMORY)?,
            disk_bytes: amount(&series::DISK)?,
            verdicts: gauge(&series::VERDICT_MACHINES)?,
            verdict_vcpus: amount(&series::VERDICT_VCPUS)?,
            verdict_memory: amount(&series::VERDICT_MEMORY)?,
            findings: gauge(&series::ZOMBIE_FINDINGS)?,
            rooms: gauge(&series::ROOMS)?,
            rooms_late: gauge(&series::ROOMS_LATE)?,
            rooms_near: gauge(&series::ROOMS_NEAR)?,
            surveyed: gauge(&series::SURVEYED)?,
            kube_leader: gauge(&series::KUBE_LEADER)?,
            kube_objects: counter(&series::KUBE_RECONCILES)?,
            kube_leaving: gauge(&series::KUBE_LEAVING)?,
            kube_oldest: gauge(&series::KUBE_OLDEST)?,
            usage_coverage: amount(&series::COVERAGE)?,
            usage_lag: amount(&series::LAG)?,
            machine_vcpus: amount(&series::MACHINE_VCPUS)?,
            machine_memory: amount(&series::MACHINE_MEMORY)?,
            told: Arc::default(),
            registry,
        };
        metrics.catalogue = catalogue.take().into();
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        metrics.ledger_verified(0);
        // Also where no cluster is driven: a rule that asks for them finds an answer.
        metrics.kube_leads(false);
        metrics.kube_leaving(0, 0);
        Ok(metrics)
    }

    pub fn http_answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let method = if METHODS.contains(&method) { method } else { "OTHER" };
        self.http_requests.with_label_values(&[route, method, &status.to_string()]).inc();
        self.http_seconds.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }

    /// Whether the database answered, to a reader and to the writer.
    pub fn database_is(&self, up: bool) {
        self.database_up.with_label_values(&[] as &[&str]).set(i64::from(up));
    }

    /// A batch of the write queue came to its end.
    pub fn batch_written(&self, done: bool, took: Duration) {
        self.database_writes.with_label_values(&[ended(done)]).observe(took.as_secs_f64());
    }

    /// Until when the certificate in use is good, in seconds since 1970.
    pub fn certificate_ends(&self, at: i64) {
        self.certificate_expiry.with_label_values(&[] as &[&str]).set(at);
    }

    /// Operations that have not come to their end: each kind and state that there is, with number and age of the oldest.
    pub fn operations_open(&self, open: &[(String, String, i64, f64)]) {
        let mut oldest: BTreeMap<&str, f64> = BTreeMap::new();
        for kind in series::OPERATION_KINDS {
            for state in series::OPEN_OPERATIONS {
                let found = open.iter().find(|(k, s, ..)| k == kind && s == state);
                let (number, age) = found.map_or((0, 0.0), |(.., number, age)| (*number, *age));
                self.operations.with_label_values(&[*kind, *state]).set(number);
                let before = oldest.entry(kind).or_default();
                *before = before.max(age);
            }
        }
        for (kind, age) in oldest {
            self.operation_age.with_label_values(&[kind]).set(age);
        }
    }

    /// Requests in a state that somebody waits for, and for how long the oldest has.
    pub fn requests_are(&self, state: &str, number: i64, oldest_seconds: Option<f64>) {
        self.requests_open.with_label_values(&[state]).set(number);
        if let Some(age) = oldest_seconds {
            self.request_age.with_label_values(&[state]).set(age);
        }
    }

    pub fn request_decided(&self, outcome: &str, waited_seconds: f64) {
        self.decisions.with_label_values(&[outcome]).observe(waited_seconds.max(0.0));
    }

    pub fn request_built(&self, outcome: &str, took_seconds: f64) {
        self.deliveries.with_label_values(&[outcome]).observe(took_seconds.max(0.0));
    }

    /// The rules that there are: each is counted from zero.
    pub fn rules(&self, codes: impl IntoIterator<Item = &'static str>) {
        for code in codes {
            self.violations.with_label_values(&[code]);
        }
    }

    /// Answers that are foreseen (route, method, status): each is counted from zero.
    pub fn answers<'a>(&self, all: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) {
        for (route, method, status) in all {
            self.http_requests.with_label_values(&[route, method, status]);
        }
    }

    /// The sources that there are: each way in which asking one can end is counted from zero.
    pub fn usage_sources<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            for outcome in series::SOURCE_OUTCOMES {
                self.usage_source_rounds.with_label_values(&[name, *outcome]);
            }
        }
    }

    /// All task books in force anew.
    pub fn task_books_are(&self, books: &[BookUse]) {
        let rows = books.iter().flat_map(|book| {
            let row = |indicator: &str| vec![book.number.clone(), book.department.clone(), indicator.to_owned()];
            book.shares.iter().map(move |(indicator, share)| (row(indicator), *share))
        });
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        renew(&self.task_books, &mut told.task_books, rows.collect());
    }

    /// All hosts anew.
    pub fn hosts_are(&self, hosts: &[HostUse]) {
        let used = hosts.iter().flat_map(|host| {
            host.shares.iter().map(|(dimension, share)| (vec![host.name.clone(), (*dimension).to_owned()], *share))
        });
        let silent = hosts.iter().map(|host| (vec![host.name.clone()], host.silence_seconds));
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        renew(&self.host_used, &mut told.host_used, used.collect());
        renew(&self.host_silence, &mut told.host_silence, silent.collect());
    }

    pub fn machines_are(&self, state: &str, number: i64) {
        self.machines.with_label_values(&[state]).set(number);
    }

    pub fn findings_are(&self, state: &str, number: i64) {
        self.findings.with_label_values(&[state]).set(number);
    }

    /// What came of readings.
    pub fn usage_folded<'a>(&self, points: u64, causes: impl IntoIterator<Item = (&'a &'static str, &'a u64)>) {
        self.usage_points.with_label_values(&[] as &[&str]).inc_by(points);
        for (cause, count) in causes {
            self.usage_refusals.with_label_values(&[*cause]).inc_by(*count);
        }
    }

    pub fn usage_round(&self, done: bool) {
        self.usage_rounds.with_label_values(&[ended(done)]).inc();
    }

    /// `done`, `partial`, or why it came to nothing.
    pub fn usage_source_round(&self, source: &str, outcome: &str) {
        self.usage_source_rounds.with_label_values(&[source, outcome]).inc();
    }

    pub fn operation_ran(&self, kind: &str, outcome: &str) {
        self.operations_run.with_label_values(&[kind, outcome]).inc();
    }

    pub fn step_took(&self, step: &str, outcome: &str, took: Duration) {
        self.steps.with_label_values(&[step, outcome]).observe(took.as_secs_f64());
    }

    pub fn request_entered(&self, state: &str) {
        self.requests.with_label_values(&[state]).inc();
    }

    pub fn rule_violated(&self, code: &str) {
        self.violations.with_label_values(&[code]).inc();
    }

    pub fn ledger_verified(&self, differences: usize) {
        self.ledger.with_label_values(&[] as &[&str]).set(i64::try_from(differences).unwrap_or(i64::MAX));
    }

    pub fn hosts(&self, state: &str, count: usize) {
        self.hosts.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Rooms closed, exempt, pending, late and near their last day; systems in the cloud, discarded, exempt and pending.
    pub fn survey(&self, rooms: [i64; 5], systems: [i64; 4]) {
        for (standing, count) in ["closed", "exempt", "pending"].into_iter().zip(rooms) {
            self.rooms.with_label_values(&[standing]).set(count);
        }
        self.rooms_late.with_label_values(&[] as &[&str]).set(rooms[3]);
        self.rooms_near.with_label_values(&[] as &[&str]).set(rooms[4]);
        for (standing, count) in ["in_cloud", "discarded", "exempt", "pending"].into_iter().zip(systems) {
            self.surveyed.with_label_values(&[standing]).set(count);
        }
    }

    pub fn alarms(&self, kind: &str, count: i64) {
        self.alarms.with_label_values(&[kind]).set(count);
    }

    pub fn names_are(&self, state: &str, number: i64) {
        self.names.with_label_values(&[state]).set(number);
    }

    pub fn name_tried(&self, act: &str, outcome: &str) {
        self.name_attempts.with_label_values(&[act, outcome]).inc();
    }

    /// All amounts anew; those that are not among them any more go.
    pub fn stocks(&self, stocks: &BTreeMap<(Stage, String, String), Stock>) {
        let mut now = BTreeSet::new();
        for ((stage, zone, provider), stock) in stocks {
            let labels = [stage.word(), zone.as_str(), provider.as_str()];
            self.vcpus.with_label_values(&labels).set(stock.vcpus);
            self.memory_bytes.with_label_values(&labels).set(stock.memory_bytes);
            if *stage != Stage::Measured {
                self.disk_bytes.with_label_values(&labels).set(stock.disk_bytes);
            }
            now.insert(labels.map(str::to_owned));
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in told.stocks.difference(&now) {
            let labels = gone.each_ref().map(String::as_str);
            for amount in [&self.vcpus, &self.memory_bytes, &self.disk_bytes] {
                // What was never set (a measured disk) is not there to go.
                let _ = amount.remove_label_values(&labels);
            }
        }
        told.stocks = now;
    }

    /// Machines with this verdict, and what they hold.
    pub fn verdicts_are(&self, verdict: &str, number: i64, vcpus: f64, memory_bytes: f64) {
        self.verdicts.with_label_values(&[verdict]).set(number);
        self.verdict_vcpus.with_label_values(&[verdict]).set(vcpus);
        self.verdict_memory.with_label_values(&[verdict]).set(memory_bytes);
    }

    /// Whether this broker drives the controller.
    pub fn kube_leads(&self, leads: bool) {
        self.kube_leader.with_label_values(&[] as &[&str]).set(i64::from(leads));
    }

    /// `done`, `conflict` or `failed`.
    pub fn kube_reconciled(&self, outcome: &str) {
        self.kube_objects.with_label_values(&[outcome]).inc();
    }

    pub fn kube_leaving(&self, waiting: usize, oldest_seconds: i64) {
        self.kube_leaving.with_label_values(&[] as &[&str]).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.kube_oldest.with_label_values(&[] as &[&str]).set(oldest_seconds);
    }

    /// `share` from 0 to 1.
    pub fn usage_collected(&self, share: f64, lag_seconds: f64) {
        self.usage_coverage.with_label_values(&[] as &[&str]).set(share);
        self.usage_lag.with_label_values(&[] as &[&str]).set(lag_seconds);
    }

    /// Every machine anew; those that are not among them any more go.
    pub fn machines_use(&self, machines: &[MachineUse]) {
        let mut now = BTreeSet::new();
        for machine in machines {
            let labels = [machine.id.as_str(), machine.name.as_str()];
            self.machine_vcpus.with_label_values(&labels).set(machine.vcpus);
            match machine.memory_bytes {
                Some(memory) => self.machine_memory.with_label_values(&labels).set(memory),
                // What yesterday told is not what is used today.
                None => _ = self.machine_memory.remove_label_values(&labels),
            }
            now.insert(labels.map(str::to_owned));
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in told.machines.difference(&now) {
            let labels = gone.each_ref().map(String::as_str);
            for amount in [&self.machine_vcpus, &self.machine_memory] {
                let _ = amount.remove_label_values(&labels);
            }
        }
        told.machines = now;
    }

    /// The text exposition.
    pub fn exposition(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Name, kind, labels and help of each metric, whether or not it has been counted yet: the golden list.
    pub fn catalogue(&self) -> &[String] {
        &self.catalogue
    }
}

const fn ended(done: bool) -> &'static str {
    if done { "done" } else { "failed" }
}

/// Makes the series of a metric whose labels' values are all known. A gauge without labels is left out: nobody has looked yet.
fn begun(series: &Series, make: impl Fn(&[&str])) {
    if series.kind == Kind::Gauge && series.labels.is_empty() {
        return;
    }
    for row in series.combinations().unwrap_or_default() {
        make(&row);
    }
}

/// Sets all rows of a gauge anew; those that are not among them any more go.
fn renew(gauge: &GaugeVec, told: &mut BTreeSet<Vec<String>>, rows: Vec<(Vec<String>, f64)>) {
    for (labels, value) in &rows {
        gauge.with_label_values(labels).set(*value);
    }
    let now: BTreeSet<_> = rows.into_iter().map(|(labels, _)| labels).collect();
    for gone in told.difference(&now) {
        let _ = gauge.remove_label_values(gone);
    }
    *told = now;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
