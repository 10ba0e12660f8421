//! Rule sets: data, each with its source, read and checked once at the start.

use super::assumed::{Assumed, ImageFloor, ZoneLink};
use crate::{
    usage::point::Metric,
    yaml::{self, YamlError},
};
use jiff::civil::Date;
use serde::Deserialize;
use std::path::Path;

const EMBEDDED: &str = include_str!("../../../profiles/idle-rules.yaml");

/// Why rule sets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("the idle rules {path} cannot be read")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the idle rules are not valid YAML for rule sets")]
    Yaml(#[source] YamlError),
    /// Every fault at once, each as `pointer: what`.
    #[error("the idle rules have faults: {}", .0.join("; "))]
    Faulty(Vec<String>),
}

/// Where a rule set comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub publisher: String,
    pub title: String,
    #[serde(default)]
    pub url: Option<String>,
    /// When it was last held against its source.
    #[serde(default)]
    pub read: Option<Date>,
}

/// One thing that a vendor's rule demands of a quiet machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Criterion {
    /// On at least so many days of the window CPU was at most this on average, and so few bytes went through.
    QuietDays { cpu_percent: f64, traffic_bytes: f64, days: u32 },
    /// No sample of CPU reached this.
    CpuPeakBelow { percent: f64 },
    /// On no day did so many bytes go through.
    DailyTrafficBelow { bytes: f64 },
    /// CPU was below this for such a share of the time.
    CpuBelow { vcpus: f64, share: f64 },
    /// CPU or memory was below this for such a share of the time: a percentile, by nearest rank.
    PercentBelow { metric: Percent, percent: f64, share: f64 },
    /// Received or sent was below this for such a share of the time.
    RateBelow { metric: Direction, bytes_per_second: f64, share: f64 },
    /// A percentile of the half hours' highest samples of CPU.
    CpuMaximaBelow { percentile: f64, percent: f64 },
    /// The highest mean of CPU over a half hour in the last days.
    CpuHalfHourAtMost { days: u32, percent: f64 },
    /// Sent on average, of what the link can.
    SentOfLinkBelow { share: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Received,
    Sent,
}

impl Direction {
    pub const fn metric(self) -> Metric {
        match self {
            Self::Received => Metric::Received,
            Self::Sent => Metric::Sent,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Percent {
    Cpu,
    Memory,
}

impl Percent {
    pub const fn metric(self) -> Metric {
        match self {
            Self::Cpu => Metric::Cpu,
            Self::Memory => Metric::Memory,
        }
    }
}

/// Thresholds of our own rule, each an operator's setting. `profiles/idle-rules.yaml` says why each is what it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    // What has to be known.
    pub coverage: f64,
    pub coverage_last_day: f64,
    pub signals: u32,
    pub lookback_days: u32,
    pub assumed_vcpus: f64,
    // Who is there.
    pub login_days: u32,
    pub login_forgotten_share: f64,
    pub inbound_per_second: f64,
    // What agents may do without end.
    pub steady_vcpus: f64,
    pub steady_cpu_share: f64,
    pub steady_received: f64,
    pub steady_sent: f64,
    pub steady_disk: f64,
    // What upkeep may do in a day.
    pub upkeep_vcpu_hours: f64,
    pub upkeep_cpu_share: f64,
    pub upkeep_received_bytes: f64,
    // What makes a day stand out.
    pub unusual_vcpu_hours: f64,
    pub unusual_cpu_share: f64,
    pub unusual_received_bytes: f64,
    pub unusual_sent_bytes: f64,
    pub unusual_times: f64,
    pub weekly_sent_bytes: f64,
    pub weekly_vcpu_hours: f64,
    pub weekly_cpu_share: f64,
    pub raised_share: f64,
    pub raised_vcpus: f64,
    pub raised_received: f64,
    pub raised_sent: f64,
    pub raised_days_of_seven: u32,
    pub weekly_share: f64,
    // Working hours.
    pub rhythm_z: f64,
    pub rhythm_both_z: f64,
    pub rhythm_share: f64,
    pub rhythm_vcpus: f64,
    pub rhythm_received: f64,
    pub rhythm_sent: f64,
    pub rhythm_inbound: f64,
    // Replication.
    pub replica_received: f64,
    pub replica_written: f64,
    pub replica_z: f64,
    pub replica_together: f64,
    pub replica_spread: f64,
    pub replica_ratio: f64,
    pub replica_disk_share: f64,
    pub replica_variation: f64,
    pub peer_received: f64,
    pub peer_ratio: f64,
    pub peer_disk: f64,
    // Cycles, in days.
    pub pause_days: u32,
    pub season_days: u32,
    pub late_days: u32,
    pub first_use_days: u32,
    pub existed_days: u32,
    // Busy rather than low.
    pub busy_cpu_mean_percent: f64,
    pub busy_cpu_p95_percent: f64,
    pub busy_rate: f64,
    // Reclaim.
    pub history_days: u32,
    pub gap_days: u32,
}

/// How a set judges.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Idle where all hold.
    Criteria(Vec<Criterion>),
    Signals(Box<Thresholds>),
}

/// A rule set.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// Stable, as `azure-advisor`.
    pub name: String,
    /// Goes up with any change of what it says.
    pub version: u32,
    pub title: String,
    pub source: Source,
    pub window_days: u32,
    pub method: Method,
}

/// All of them, our own among them, with what is assumed of machines.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSets {
    sets: Vec<RuleSet>,
    judged_by: String,
    assumed: Assumed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSets {
    #[serde(default = "own")]
    judged_by: String,
    #[serde(default)]
    floors: Vec<ImageFloor>,
    #[serde(default)]
    links: Vec<ZoneLink>,
    rule_sets: Vec<RawSet>,
}

fn own() -> String {
    RuleSets::OWN.to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSet {
    name: String,
    version: u32,
    title: String,
    source: Source,
    window_days: u32,
    #[serde(default)]
    criteria: Vec<Criterion>,
    #[serde(default)]
    signals: Option<Box<Thresholds>>,
}

impl RuleSet {
    /// How many days to the end of one are looked at.
    pub fn lookback(&self) -> u32 {
        match &self.method {
            Method::Criteria(_) => self.window_days,
            Method::Signals(thresholds) => thresholds.lookback_days.max(self.window_days),
        }
    }
}

impl RuleSets {
    /// The name of our own set.
    pub const OWN: &str = "jiyue";

    /// Those that ship with the broker.
    pub fn embedded() -> Result<Self, RulesError> {
        Self::parse(EMBEDDED)
    }

    /// An operator's own from a file; those that ship with the broker where there is none.
    pub fn open(path: Option<&Path>) -> Result<Self, RulesError> {
        let Some(path) = path else { return Self::embedded() };
        let text = std::fs::read_to_string(path)
            .map_err(|source| RulesError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let mut raw: RawSets = yaml::from_str(text).map_err(RulesError::Yaml)?;
        let (mut sets, mut faults) = (Vec::<RuleSet>::new(), Vec::new());
        for (n, raw) in std::mem::take(&mut raw.rule_sets).into_iter().enumerate() {
            let at = format!("/rule_sets/{n}");
            if raw.name.is_empty()
                || !raw.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            {
                faults.push(format!("{at}/name: not of lower-case letters, digits and hyphens"));
            }
            if sets.iter().any(|set| set.name == raw.name) {
                faults.push(format!("{at}/name: {} is there already", crate::text::shown(&raw.name)));
            }
            if raw.version == 0 {
                faults.push(format!("{at}/version: versions count from 1"));
            }
            if !(1..=400).contains(&raw.window_days) {
                faults.push(format!("{at}/window_days: not within 1 to 400"));
            }
            let method = match (raw.criteria, raw.signals) {
                (criteria, None) if !criteria.is_empty() => {
                    for (m, criterion) in criteria.iter().enumerate() {
                        criterion.check(&format!("{at}/criteria/{m}"), raw.window_days, &mut faults);
                    }
                    Method::Criteria(criteria)
                }
                (criteria, Some(signals)) if criteria.is_empty() => {
                    signals.check(&format!("{at}/signals"), raw.window_days, &mut faults);
                    Method::Signals(signals)
                }
                _ => {
                    faults.push(format!("{at}: neither criteria nor signals, or both"));
                    continue;
                }
            };
            let RawSet { name, version, title, source, window_days, .. } =
                RawSet { criteria: Vec::new(), signals: None, ..raw };
            sets.push(RuleSet { name, version, title, source, window_days, method });
        }
        if !sets.iter().any(|set| set.name == Self::OWN && matches!(set.method, Method::Signals(_))) {
            faults.push(format!("/rule_sets: none is named {} and judges by signals", Self::OWN));
        }
        if !sets.iter().any(|set| set.name == raw.judged_by) {
            faults.push(format!("/judged_by: there is no set {}", crate::text::shown(&raw.judged_by)));
        }
        let assumed = Assumed { floors: raw.floors, links: raw.links };
        faults.extend(assumed.faults());
        if faults.is_empty() {
            Ok(Self { sets, judged_by: raw.judged_by, assumed })
        } else {
            Err(RulesError::Faulty(faults))
        }
    }

    pub fn all(&self) -> &[RuleSet] {
        &self.sets
    }

    pub fn find(&self, name: &str) -> Option<&RuleSet> {
        self.sets.iter().find(|set| set.name == name)
    }

    /// The one that machines are judged by.
    pub fn judging(&self) -> Option<&RuleSet> {
        self.find(&self.judged_by)
    }

    pub const fn assumed(&self) -> &Assumed {
        &self.assumed
    }
}

/// Notes what is not a quantity of its kind.
fn demand(faults: &mut Vec<String>, at: &str, name: &str, value: f64, most: f64) {
    if !(value > 0.0 && value <= most) {
        faults.push(format!("{at}/{name}: not above 0 and at most {most}"));
    }
}

const ANY: f64 = 1e15;

impl Criterion {
    fn check(&self, at: &str, window_days: u32, faults: &mut Vec<String>) {
        let mut check = |name: &str, value: f64, most: f64| demand(faults, at, name, value, most);
        match self {
            Self::QuietDays { cpu_percent, traffic_bytes, days } => {
                check("cpu_percent", *cpu_percent, 100.0);
                check("traffic_bytes", *traffic_bytes, ANY);
                check("days", f64::from(*days), f64::from(window_days));
            }
            Self::CpuPeakBelow { percent } => check("percent", *percent, 100.0),
            Self::DailyTrafficBelow { bytes } => check("bytes", *bytes, ANY),
            Self::CpuBelow { vcpus, share } => {
                check("vcpus", *vcpus, ANY);
                check("share", *share, 1.0);
            }
            Self::PercentBelow { percent, share, .. } => {
                check("percent", *percent, 100.0);
                check("share", *share, 1.0);
            }
            Self::RateBelow { bytes_per_second, share, .. } => {
                check("bytes_per_second", *bytes_per_second, ANY);
                check("share", *share, 1.0);
            }
            Self::CpuMaximaBelow { percentile, percent } => {
                check("percentile", *percentile, 100.0);
                check("percent", *percent, 100.0);
            }
            Self::CpuHalfHourAtMost { days, percent } => {
                check("days", f64::from(*days), f64::from(window_days));
                check("percent", *percent, 100.0);
            }
            Self::SentOfLinkBelow { share } => check("share", *share, 1.0),
        }
    }
}

impl Thresholds {
    fn check(&self, at: &str, window_days: u32, faults: &mut Vec<String>) {
        let mut check = |name: &str, value: f64, most: f64| demand(faults, at, name, value, most);
        for (name, share) in [
            ("coverage", self.coverage),
            ("coverage_last_day", self.coverage_last_day),
            ("login_forgotten_share", self.login_forgotten_share),
            ("steady_cpu_share", self.steady_cpu_share),
            ("upkeep_cpu_share", self.upkeep_cpu_share),
            ("unusual_cpu_share", self.unusual_cpu_share),
            ("weekly_share", self.weekly_share),
            ("weekly_cpu_share", self.weekly_cpu_share),
            ("replica_together", self.replica_together),
            ("replica_spread", self.replica_spread),
        ] {
            check(name, share, 1.0);
        }
        for (name, quantity) in [
            ("assumed_vcpus", self.assumed_vcpus),
            ("inbound_per_second", self.inbound_per_second),
            ("steady_vcpus", self.steady_vcpus),
            ("steady_received", self.steady_received),
            ("steady_sent", self.steady_sent),
            ("steady_disk", self.steady_disk),
            ("upkeep_vcpu_hours", self.upkeep_vcpu_hours),
            ("upkeep_received_bytes", self.upkeep_received_bytes),
            ("unusual_vcpu_hours", self.unusual_vcpu_hours),
            ("unusual_received_bytes", self.unusual_received_bytes),
            ("unusual_sent_bytes", self.unusual_sent_bytes),
            ("unusual_times", self.unusual_times),
            ("weekly_sent_bytes", self.weekly_sent_bytes),
            ("weekly_vcpu_hours", self.weekly_vcpu_hours),
            ("raised_share", self.raised_share),
            ("raised_vcpus", self.raised_vcpus),
            ("raised_received", self.raised_received),
            ("raised_sent", self.raised_sent),
            ("rhythm_z", self.rhythm_z),
            ("rhythm_both_z", self.rhythm_both_z),
            ("rhythm_share", self.rhythm_share),
            ("rhythm_vcpus", self.rhythm_vcpus),
            ("rhythm_received", self.rhythm_received),
            ("rhythm_sent", self.rhythm_sent),
            ("rhythm_inbound", self.rhythm_inbound),
            ("replica_received", self.replica_received),
            ("replica_written", self.replica_written),
            ("replica_z", self.replica_z),
            ("replica_ratio", self.replica_ratio),
            ("replica_disk_share", self.replica_disk_share),
            ("replica_variation", self.replica_variation),
            ("peer_received", self.peer_received),
            ("peer_ratio", self.peer_ratio),
            ("peer_disk", self.peer_disk),
            ("busy_cpu_mean_percent", self.busy_cpu_mean_percent),
            ("busy_cpu_p95_percent", self.busy_cpu_p95_percent),
            ("busy_rate", self.busy_rate),
        ] {
            check(name, quantity, ANY);
        }
        for (name, days, most) in [
            ("signals", self.signals, 6),
            ("login_days", self.login_days, window_days),
            ("raised_days_of_seven", self.raised_days_of_seven, 7),
            ("pause_days", self.pause_days, 60),
            ("season_days", self.season_days, 200),
            ("late_days", self.late_days, 180),
            ("first_use_days", self.first_use_days, 60),
            ("existed_days", self.existed_days, 365),
            ("lookback_days", self.lookback_days, 800),
            ("history_days", self.history_days, self.lookback_days),
            ("gap_days", self.gap_days, 30),
        ] {
            check(name, f64::from(days), f64::from(most));
        }
        // Fewer would never see a year whole, nor a month's end in every window.
        if self.lookback_days < 365 || self.history_days < 365 {
            faults.push(format!("{at}/lookback_days, history_days: less than a year"));
        }
        if window_days < 31 {
            faults.push(format!("{at}: a window below 31 days may hold no end of a month"));
        }
        if self.coverage < 0.95 {
            faults.push(format!("{at}/coverage: below 0.95"));
        }
    }
}
