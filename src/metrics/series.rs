//! What there is to be counted and measured: each metric's name, kind, labels and help, once. The registry makes the metrics
//! of it, and rules and dashboards (`seeing/`) take the names from it, so that neither can drift from the other.
//!
//! A label is closed (these values and no others; a test holds them against the domains' own words) or bounded by something
//! that the broker has a limited number of.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Closed(&'static [&'static str]),
    /// In words: what there is one value for each of.
    Bounded(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub name: &'static str,
    pub values: Values,
}

#[derive(Clone, Copy, Debug)]
pub struct Series {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [Label],
    pub help: &'static str,
}

const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Closed(values) }
}

const fn bounded(name: &'static str, by: &'static str) -> Label {
    Label { name, values: Values::Bounded(by) }
}

const fn counter(name: &'static str, labels: &'static [Label], help: &'static str) -> Series {
    Series { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [Label], help: &'static str) -> Series {
    Series { name, kind: Kind::Gauge, labels, help }
}

impl Series {
    /// Its labels' names, in their order.
    pub fn label_names(&self) -> Vec<&'static str> {
        self.labels.iter().map(|label| label.name).collect()
    }

    /// Every combination of its labels' values, if they are all closed.
    pub fn combinations(&self) -> Option<Vec<Vec<&'static str>>> {
        self.labels.iter().try_fold(vec![Vec::new()], |rows, label| {
            let Values::Closed(values) = label.values else { return None };
            let longer = |row: &Vec<&'static str>| -> Vec<Vec<&'static str>> {
                values.iter().map(|value| [row.as_slice(), &[*value]].concat()).collect()
            };
            Some(rows.iter().flat_map(longer).collect())
        })
    }

    /// The line of the golden list.
    pub fn line(&self) -> String {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let label = |label: &Label| match label.values {
            Values::Closed(values) => format!("{}={}", label.name, values.join("|")),
            Values::Bounded(by) => format!("{}=<{by}>", label.name),
        };
        let labels: Vec<_> = self.labels.iter().map(label).collect();
        format!("{} {kind} [{}] {}", self.name, labels.join(", "), self.help)
    }
}

/// Of what a person waits for at the other end of a connection.
const CALL: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Of work on a host.
const WORK: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Of people's doings: a minute, an hour, working days.
const DAYS: &[f64] = &[
    60.0,
    600.0,
    3_600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    172_800.0,
    259_200.0,
    432_000.0,
    864_000.0,
    1_296_000.0,
    2_592_000.0,
];

pub const REQUEST_STATES: &[&str] =
    &["submitted", "returned", "approved", "delivered", "failed", "cancelling", "cancelled"];
pub const OPERATION_KINDS: &[&str] = &[
    "build",
    "start",
    "stop",
    "bin",
    "restore",
    "reboot",
    "resize",
    "migrate",
    "rebuild",
    "import_disk",
    "return_disk",
];
pub const OPEN_OPERATIONS: &[&str] = &["queued", "running", "unwinding"];
pub const PARTS: &[&str] = &["image", "disk", "seed", "address", "name", "domain", "power", "answer", "register"];
pub const HOST_STATES: &[&str] = &["active", "cordoned", "draining", "unknown", "fenced"];
pub const ALARMS: &[&str] = &["foreign", "stray", "missing", "altered", "restarted", "power_cut", "finalizer_stuck"];
pub const MACHINE_STATES: &[&str] = &["building", "running", "stopped", "in_bin", "undone"];
pub const NAME_STATES: &[&str] =
    &["pending", "registered", "refused_key", "refused", "taken", "removing", "removal_refused", "removed"];
pub const VERDICTS: &[&str] = &["busy", "low", "idle", "unknown", "exempt"];
pub const FINDINGS: &[&str] =
    &["suspected", "asked", "answered", "objected", "confirmed", "filed", "dismissed", "exempt"];
pub const STAGES: &[&str] = &["requested", "approved", "allocated", "measured", "physical"];
pub const ZONES: &[&str] = &["government_extranet", "internet", "government_private"];
pub const CAUSES: &[&str] = &[
    "first",
    "late",
    "doubled",
    "early",
    "future",
    "clock_set",
    "reset",
    "gap",
    "back",
    "impossible",
    "not_a_number",
    "negative",
    "duplicated",
];
pub const SOURCE_OUTCOMES: &[&str] = &[
    "done",
    "partial",
    "unreachable",
    "timed_out",
    "untrusted",
    "token_unreadable",
    "redirected",
    "http_status",
    "too_large",
    "cut_short",
    "garbage",
    "refused",
    "wrong_type",
    "too_many_series",
    "future",
    "stale",
];

const HOST: Label = bounded("host", "hosts and clusters, by name");
const STAGE: Label = closed("stage", STAGES);
const ZONE: Label = closed("zone", ZONES);
const PROVIDER: Label = bounded("provider", "kinds of provider, and none");
const VERDICT: Label = closed("verdict", VERDICTS);
const KIND: Label = closed("kind", OPERATION_KINDS);
const ENDED: Label = closed("outcome", &["done", "failed"]);
const MACHINE: &[Label] = &[bounded("machine_id", "machines that run"), bounded("name", "the same machines, by name")];
const STOCK: &[Label] = &[STAGE, ZONE, PROVIDER];
const ROUTE: Label = bounded("route", "route patterns");
const METHOD: Label = bounded("method", "methods that the broker knows, and OTHER");

pub const BUILD_INFO: Series =
    gauge("jiyue_build_info", &[bounded("version", "this broker")], "Always 1; the label tells the version.");
pub const HTTP_REQUESTS: Series = counter(
    "jiyue_http_requests_total",
    &[ROUTE, METHOD, bounded("status", "statuses of HTTP")],
    "HTTP requests answered, by route pattern, method and status.",
);
pub const HTTP_SECONDS: Series = Series {
    name: "jiyue_http_request_duration_seconds",
    kind: Kind::Histogram(CALL),
    labels: &[ROUTE, METHOD],
    help: "Time from the request's head to the response's head.",
};
pub const DATABASE_UP: Series = gauge(
    "jiyue_database_up",
    &[],
    "Whether the last look at the database, a reading and a transaction of the writer's, came to its end (1) or not (0).",
);
pub const DATABASE_WRITES: Series = Series {
    name: "jiyue_database_write_duration_seconds",
    kind: Kind::Histogram(CALL),
    labels: &[ENDED],
    help: "Time that a batch of the write queue took to its commit, repetitions included, by how it ended.",
};
pub const CERTIFICATE_EXPIRY: Series = gauge(
    "jiyue_certificate_expiry_timestamp_seconds",
    &[],
    "When the first certificate of the chain in use ends, as seconds since 1970; only where the broker speaks TLS.",
);
pub const OPERATION_RUNS: Series = counter(
    "jiyue_operation_runs_total",
    &[KIND, closed("outcome", &["finished", "interrupted"])],
    "Turns that a worker took at an operation, by kind and how the turn ended.",
);
pub const OPERATIONS: Series = gauge(
    "jiyue_operations",
    &[KIND, closed("state", OPEN_OPERATIONS)],
    "Operations that have not come to their end, by kind and state.",
);
pub const OPERATION_AGE: Series = gauge(
    "jiyue_operation_oldest_age_seconds",
    &[KIND],
    "How long ago the oldest operation without an end was begun, by kind; 0 if there is none.",
);
pub const STEPS: Series = Series {
    name: "jiyue_build_step_duration_seconds",
    kind: Kind::Histogram(WORK),
    labels: &[closed("step", PARTS), ENDED],
    help: "Time that one step of a machine's build took, by step and outcome.",
};
pub const REQUESTS: Series =
    counter("jiyue_requests_total", &[closed("state", REQUEST_STATES)], "Resource requests that entered a state.");
pub const REQUESTS_OPEN: Series = gauge(
    "jiyue_requests_open",
    &[closed("state", &["submitted", "approved", "cancelling"])],
    "Resource requests that somebody waits for, by state.",
);
pub const REQUEST_AGE: Series = gauge(
    "jiyue_request_oldest_age_seconds",
    &[closed("state", &["submitted", "approved"])],
    "How long the request that has waited longest in a state has; 0 if none waits.",
);
pub const DECISION_SECONDS: Series = Series {
    name: "jiyue_request_decision_seconds",
    kind: Kind::Histogram(DAYS),
    labels: &[closed("outcome", &["approved", "returned"])],
    help: "Time from a request's submission to the decision on it.",
};
pub const DELIVERY_SECONDS: Series = Series {
    name: "jiyue_request_delivery_seconds",
    kind: Kind::Histogram(DAYS),
    labels: &[closed("outcome", &["delivered", "failed", "cancelled"])],
    help: "Time from a request's approval to the end of its build.",
};
pub const VIOLATIONS: Series = counter(
    "jiyue_rule_violations_total",
    &[bounded("code", "rules of the rule book")],
    "Rules that refused a request block, by rule code.",
);
pub const TASK_BOOK_USED: Series = gauge(
    "jiyue_task_book_used_ratio",
    &[
        bounded("task_book", "task books in force, by number"),
        bounded("department", "departments, by name"),
        closed("indicator", &["machines", "vcpus", "memory", "disk"]),
    ],
    "Share of a task book's control indicator that is claimed, for task books in force.",
);
pub const LEDGER: Series = gauge(
    "jiyue_ledger_differences",
    &[],
    "Differences found by the last verification of the ledger; anything but 0 is a fault.",
);
pub const HOSTS: Series = gauge("jiyue_hosts", &[closed("state", HOST_STATES)], "Hosts by how they stand.");
pub const HOST_USED: Series = gauge(
    "jiyue_host_used_ratio",
    &[HOST, closed("dimension", &["vcpus", "memory", "disk"])],
    "Share of what a host may give out that machines hold.",
);
pub const HOST_SILENCE: Series = gauge(
    "jiyue_host_silence_seconds",
    &[HOST],
    "How long a host has been unknown; 0 for one that answers, or that is fenced.",
);
pub const MACHINES: Series = gauge("jiyue_machines", &[closed("state", MACHINE_STATES)], "Machines by state.");
pub const ALARMS_OPEN: Series =
    gauge("jiyue_alarms_open", &[closed("kind", ALARMS)], "Alarms about what hosts run that nobody has cleared.");
pub const NAMES: Series =
    gauge("jiyue_names", &[closed("state", NAME_STATES)], "Names that are kept in a DNS server, by state.");
pub const NAME_ATTEMPTS: Series = counter(
    "jiyue_name_attempts_total",
    &[
        closed("act", &["register", "remove"]),
        closed("outcome", &["done", "silent", "refused_key", "taken", "refused"]),
    ],
    "Attempts at a DNS server, by what was wanted and what it came to.",
);
pub const USAGE_POINTS: Series =
    counter("jiyue_usage_points_total", &[], "Intervals of machines that entered a day of theirs.");
pub const USAGE_REFUSALS: Series = counter(
    "jiyue_usage_refusals_total",
    &[closed("cause", CAUSES)],
    "Readings of machines, or single metrics of them, that gave no sample, by cause.",
);
pub const USAGE_ROUNDS: Series = counter(
    "jiyue_usage_rounds_total",
    &[ENDED],
    "Times that a host was read for what its machines use, by how it ended.",
);
pub const USAGE_SOURCE_ROUNDS: Series = counter(
    "jiyue_usage_source_rounds_total",
    &[bounded("source", "sources of the settings"), closed("outcome", SOURCE_OUTCOMES)],
    "Times that a source of the settings was asked what servers use, by its name and how it ended.",
);
pub const VCPUS: Series = gauge(
    "jiyue_vcpus",
    STOCK,
    "vCPUs requested, approved, allocated, measured (mean of the day so far) and physical (what hosts may give out; a host counts in each of its zones), by zone and kind of provider (none: not placed yet).",
);
pub const MEMORY: Series = gauge("jiyue_memory_bytes", STOCK, "Memory, as jiyue_vcpus.");
pub const DISK: Series = gauge("jiyue_disk_bytes", STOCK, "Disk, as jiyue_vcpus; never measured.");
pub const VERDICT_MACHINES: Series = gauge(
    "jiyue_verdicts",
    &[VERDICT],
    "Machines by what they were judged to be, as of the newest day that was judged.",
);
pub const VERDICT_VCPUS: Series = gauge(
    "jiyue_verdict_vcpus",
    &[VERDICT],
    "vCPUs that machines hold, by what the machines were judged to be on the newest day that was judged.",
);
pub const VERDICT_MEMORY: Series = gauge("jiyue_verdict_memory_bytes", &[VERDICT], "Memory, as jiyue_verdict_vcpus.");
pub const ZOMBIE_FINDINGS: Series =
    gauge("jiyue_zombie_findings", &[closed("state", FINDINGS)], "Findings about zombie systems, by state.");
pub const ROOMS: Series = gauge(
    "jiyue_rooms",
    &[closed("standing", &["closed", "exempt", "pending"])],
    "Machine rooms of the survey by where they stand: closed, exempt or pending.",
);
pub const ROOMS_LATE: Series = gauge("jiyue_rooms_late", &[], "Pending rooms past their last day.");
pub const ROOMS_NEAR: Series =
    gauge("jiyue_rooms_near", &[], "Pending rooms whose last day is not over, and at most 30 days away.");
pub const SURVEYED: Series = gauge(
    "jiyue_surveyed_systems",
    &[closed("standing", &["in_cloud", "discarded", "exempt", "pending"])],
    "Systems of the survey by where they stand: in_cloud, discarded, exempt or pending.",
);
pub const KUBE_LEADER: Series = gauge(
    "jiyue_kubernetes_leader",
    &[],
    "Whether this broker is the one that drives the Kubernetes controller (1) or not (0).",
);
pub const KUBE_RECONCILES: Series = counter(
    "jiyue_kubernetes_reconciles_total",
    &[closed("outcome", &["done", "conflict", "failed"])],
    "Looks at request objects of the cluster, by how they ended.",
);
pub const KUBE_LEAVING: Series = gauge(
    "jiyue_kubernetes_deletions_waiting",
    &[],
    "Request objects that are to be deleted and wait for their machines to enter the bin.",
);
pub const KUBE_OLDEST: Series =
    gauge("jiyue_kubernetes_deletion_age_seconds", &[], "How long the one of them that has waited longest has.");
pub const COVERAGE: Series = gauge(
    "jiyue_usage_coverage_ratio",
    &[],
    "Share of the machines that run which gave a sample within three intervals.",
);
pub const LAG: Series = gauge(
    "jiyue_usage_lag_seconds",
    &[],
    "Age of the last sample of the machine that runs and was measured longest ago.",
);
pub const MACHINE_VCPUS: Series = gauge(
    "jiyue_machine_used_vcpus",
    MACHINE,
    "vCPUs that one machine used on average over the day so far; only with usage_machine_metrics.",
);
pub const MACHINE_MEMORY: Series = gauge(
    "jiyue_machine_used_memory_bytes",
    MACHINE,
    "Memory that one machine used on average over the day so far; only with usage_machine_metrics.",
);

/// All of them, in the order of the golden list.
pub const ALL: &[Series] = &[
    BUILD_INFO,
    HTTP_REQUESTS,
    HTTP_SECONDS,
    DATABASE_UP,
    DATABASE_WRITES,
    CERTIFICATE_EXPIRY,
    OPERATION_RUNS,
    OPERATIONS,
    OPERATION_AGE,
    STEPS,
    REQUESTS,
    REQUESTS_OPEN,
    REQUEST_AGE,
    DECISION_SECONDS,
    DELIVERY_SECONDS,
    VIOLATIONS,
    TASK_BOOK_USED,
    LEDGER,
    HOSTS,
    HOST_USED,
    HOST_SILENCE,
    MACHINES,
    ALARMS_OPEN,
    NAMES,
    NAME_ATTEMPTS,
    USAGE_POINTS,
    USAGE_REFUSALS,
    USAGE_ROUNDS,
    USAGE_SOURCE_ROUNDS,
    VCPUS,
    MEMORY,
    DISK,
    VERDICT_MACHINES,
    VERDICT_VCPUS,
    VERDICT_MEMORY,
    ZOMBIE_FINDINGS,
    ROOMS,
    ROOMS_LATE,
    ROOMS_NEAR,
    SURVEYED,
    KUBE_LEADER,
    KUBE_RECONCILES,
    KUBE_LEAVING,
    KUBE_OLDEST,
    COVERAGE,
    LAG,
    MACHINE_VCPUS,
    MACHINE_MEMORY,
];
