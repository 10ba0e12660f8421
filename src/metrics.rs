//! Every metric, named once. Units stand in the names; labels are bounded and in the golden list.

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Handles to the metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    catalogue: Arc<[String]>,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
    operations_run: IntCounterVec,
    steps: HistogramVec,
    requests: IntCounterVec,
    violations: IntCounterVec,
    ledger: IntGaugeVec,
    hosts: IntGaugeVec,
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
    rooms: IntGaugeVec,
    rooms_late: IntGaugeVec,
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
    #[allow(clippy::too_many_lines, reason = "the one list of all metrics")]
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let catalogue = RefCell::new(Vec::new());
        let enter = |kind: &str, metric: Box<dyn Collector>| {
            catalogue.borrow_mut().extend(metric.desc().into_iter().map(|desc| line(kind, desc)));
            registry.register(metric)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            enter("counter", Box::new(metric.clone()))?;
            Ok(metric)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| -> Result<_, prometheus::Error> {
            let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
            enter("histogram", Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            enter("gauge", Box::new(metric.clone()))?;
            Ok(metric)
        };
        let amount = |name: &str, help: &str, labels: &[&str]| -> Result<GaugeVec, prometheus::Error> {
            let metric = GaugeVec::new(Opts::new(name, help), labels)?;
            enter("gauge", Box::new(metric.clone()))?;
            Ok(metric)
        };
        let stock = ["stage", "zone", "provider"];
        let mut metrics = Self {
            catalogue: Arc::default(),
            http_requests: counter(
                "jiyue_http_requests_total",
                "HTTP requests answered, by route pattern, method and status.",
                &["route", "method", "status"],
            )?,
            http_seconds: histogram(
                "jiyue_http_request_duration_seconds",
                "Time from the request's head to the response's head.",
                &["route", "method"],
                &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0],
            )?,
            operations_run: counter(
                "jiyue_operation_runs_total",
                "Turns that a worker took at an operation, by kind and how the turn ended.",
                &["kind", "outcome"],
            )?,
            steps: histogram(
                "jiyue_build_step_duration_seconds",
                "Time that one step of a machine's build took, by step and outcome.",
                &["step", "outcome"],
                &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0],
            )?,
            requests: counter("jiyue_requests_total", "Resource requests that entered a state.", &["state"])?,
            violations: counter(
                "jiyue_rule_violations_total",
                "Rules that refused a request block, by rule code.",
                &["code"],
            )?,
            ledger: gauge(
                "jiyue_ledger_differences",
                "Differences found by the last verification of the ledger; anything but 0 is a fault.",
                &[],
            )?,
            hosts: gauge("jiyue_hosts", "Hosts by how they stand.", &["state"])?,
            alarms: gauge("jiyue_alarms_open", "Alarms about what hosts run that nobody has cleared.", &["kind"])?,
            names: gauge("jiyue_names", "Names that are kept in a DNS server, by state.", &["state"])?,
            name_attempts: counter(
                "jiyue_name_attempts_total",
                "Attempts at a DNS server, by what was wanted and what it came to.",
                &["act", "outcome"],
            )?,
            usage_points: counter(
                "jiyue_usage_points_total",
                "Intervals of machines that entered a day of theirs.",
                &[],
            )?,
            usage_refusals: counter(
                "jiyue_usage_refusals_total",
                "Readings of machines, or single metrics of them, that gave no sample, by cause.",
                &["cause"],
            )?,
            usage_rounds: counter(
                "jiyue_usage_rounds_total",
                "Times that a host was read for what its machines use, by how it ended.",
                &["outcome"],
            )?,
            usage_source_rounds: counter(
                "jiyue_usage_source_rounds_total",
                "Times that a source of the settings was asked what servers use, by its name and how it ended.",
                &["source", "outcome"],
            )?,
            vcpus: amount(
                "jiyue_vcpus",
                "vCPUs requested, approved, allocated, measured (mean of the day so far) and physical (what hosts may give out; a host counts in each of its zones), by zone and kind of provider (none: not placed yet).",
                &stock,
            )?,
            memory_bytes: amount("jiyue_memory_bytes", "Memory, as jiyue_vcpus.", &stock)?,
            disk_bytes: amount("jiyue_disk_bytes", "Disk, as jiyue_vcpus; never measured.", &stock)?,
            verdicts: gauge(
                "jiyue_verdicts",
                "Machines by what they were judged to be, as of the newest day that was judged.",
                &["verdict"],
            )?,
            rooms: gauge(
                "jiyue_rooms",
                "Machine rooms of the survey by where they stand: closed, exempt or pending.",
                &["standing"],
            )?,
            rooms_late: gauge("jiyue_rooms_late", "Pending rooms past their last day.", &[])?,
            surveyed: gauge(
                "jiyue_surveyed_systems",
                "Systems of the survey by where they stand: in_cloud, discarded, exempt or pending.",
                &["standing"],
            )?,
            kube_leader: gauge(
                "jiyue_kubernetes_leader",
                "Whether this broker is the one that drives the Kubernetes controller (1) or not (0).",
                &[],
            )?,
            kube_objects: counter(
                "jiyue_kubernetes_reconciles_total",
                "Looks at request objects of the cluster, by how they ended.",
                &["outcome"],
            )?,
            kube_leaving: gauge(
                "jiyue_kubernetes_deletions_waiting",
                "Request objects that are to be deleted and wait for their machines to enter the bin.",
                &[],
            )?,
            kube_oldest: gauge(
                "jiyue_kubernetes_deletion_age_seconds",
                "How long the one of them that has waited longest has.",
                &[],
            )?,
            usage_coverage: amount(
                "jiyue_usage_coverage_ratio",
                "Share of the machines that run which gave a sample within three intervals.",
                &[],
            )?,
            usage_lag: amount(
                "jiyue_usage_lag_seconds",
                "Age of the last sample of the machine that runs and was measured longest ago.",
                &[],
            )?,
            machine_vcpus: amount(
                "jiyue_machine_used_vcpus",
                "vCPUs that one machine used on average over the day so far; only with usage_machine_metrics.",
                &["machine_id", "name"],
            )?,
            machine_memory: amount(
                "jiyue_machine_used_memory_bytes",
                "Memory that one machine used on average over the day so far; only with usage_machine_metrics.",
                &["machine_id", "name"],
            )?,
            told: Arc::default(),
            registry,
        };
        metrics.catalogue = catalogue.take().into();
        for state in ["submitted", "returned", "approved", "delivered", "failed", "cancelled"] {
            metrics.requests.with_label_values(&[state]);
        }
        metrics.usage_points.with_label_values(&[] as &[&str]);
        for outcome in ["done", "failed"] {
            metrics.usage_rounds.with_label_values(&[outcome]);
        }
        metrics.ledger.with_label_values(&[] as &[&str]).set(0);
        Ok(metrics)
    }

    pub fn http_answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        self.http_requests.with_label_values(&[route, method, &status.to_string()]).inc();
        self.http_seconds.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }

    /// What came of readings.
    pub fn usage_folded<'a>(&self, points: u64, causes: impl IntoIterator<Item = (&'a &'static str, &'a u64)>) {
        self.usage_points.with_label_values(&[] as &[&str]).inc_by(points);
        for (cause, count) in causes {
            self.usage_refusals.with_label_values(&[*cause]).inc_by(*count);
        }
    }

    pub fn usage_round(&self, done: bool) {
        self.usage_rounds.with_label_values(&[if done { "done" } else { "failed" }]).inc();
    }

    /// `done`, `partial`, or why it came to nothing.
    pub fn usage_source_round(&self, source: &str, outcome: &str) {
        self.usage_source_rounds.with_label_values(&[source, outcome]).inc();
    }

    /// A kind of operation that this broker runs: its counters are there before its first run.
    pub fn operation_runs(&self, kind: &str) {
        for outcome in ["finished", "interrupted"] {
            self.operations_run.with_label_values(&[kind, outcome]);
        }
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

    /// Rooms closed, exempt, pending and late; systems in the cloud, discarded, exempt and pending.
    pub fn survey(&self, rooms: [i64; 4], systems: [i64; 4]) {
        for (standing, count) in ["closed", "exempt", "pending"].into_iter().zip(rooms) {
            self.rooms.with_label_values(&[standing]).set(count);
        }
        self.rooms_late.with_label_values(&[] as &[&str]).set(rooms[3]);
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

    pub fn verdicts_are(&self, verdict: &str, number: i64) {
        self.verdicts.with_label_values(&[verdict]).set(number);
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
            if let Some(memory) = machine.memory_bytes {
                self.machine_memory.with_label_values(&labels).set(memory);
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

fn line(kind: &str, desc: &Desc) -> String {
    format!("{} {kind} [{}] {}", desc.fq_name, desc.variable_labels.join(", "), desc.help)
}
