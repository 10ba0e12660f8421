//! The settings of advice: data, read and checked once at the start.

use crate::{
    request::block::WorkloadClass,
    yaml::{self, YamlError},
};
use serde::Deserialize;

const EMBEDDED: &str = include_str!("../../../profiles/sizing.yaml");

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SizingError {
    #[error("the sizing rules are not valid YAML for sizing rules")]
    Yaml(#[source] YamlError),
    /// Every fault at once, each as `pointer: what`.
    #[error("the sizing rules have faults: {}", .0.join("; "))]
    Faulty(Vec<String>),
}

/// What counts for one class of workload.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub percentile: f64,
    pub headroom_percent: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    pub user_facing: Class,
    pub batch: Class,
    pub test: Class,
}

/// What counts for a legacy server whose work moves to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moving {
    pub percentile: f64,
    pub headroom_percent: f64,
    /// Of how many days.
    pub days: u32,
}

/// `profiles/sizing.yaml` says why each is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizing {
    /// Goes up with any change of what it says.
    pub version: u32,
    /// From 0 to 1.
    pub coverage: f64,
    pub classes: Classes,
    pub memory_over_highest_percent: f64,
    pub disk_headroom_percent: f64,
    pub least_saving_percent: f64,
    pub moving: Moving,
}

impl Sizing {
    /// Those that ship with the broker.
    pub fn embedded() -> Result<Self, SizingError> {
        Self::parse(EMBEDDED)
    }

    pub fn parse(text: &str) -> Result<Self, SizingError> {
        let sizing: Self = yaml::from_str(text).map_err(SizingError::Yaml)?;
        let mut faults = Vec::new();
        let mut within = |pointer: &str, value: f64, least: f64, most: f64| {
            if !(least..=most).contains(&value) {
                faults.push(format!("{pointer}: not within {least} to {most}"));
            }
        };
        within("/version", f64::from(sizing.version), 1.0, 1e6);
        within("/coverage", sizing.coverage, 0.5, 1.0);
        let Classes { user_facing, batch, test } = sizing.classes;
        for (name, class) in [("user_facing", user_facing), ("batch", batch), ("test", test)] {
            within(&format!("/classes/{name}/percentile"), class.percentile, 50.0, 100.0);
            within(&format!("/classes/{name}/headroom_percent"), class.headroom_percent, 0.0, 1000.0);
        }
        let Moving { percentile, headroom_percent, days } = sizing.moving;
        within("/moving/percentile", percentile, 50.0, 100.0);
        within("/moving/headroom_percent", headroom_percent, 0.0, 1000.0);
        within("/moving/days", f64::from(days), 1.0, 400.0);
        within("/memory_over_highest_percent", sizing.memory_over_highest_percent, 0.0, 1000.0);
        within("/disk_headroom_percent", sizing.disk_headroom_percent, 0.0, 1000.0);
        within("/least_saving_percent", sizing.least_saving_percent, 0.0, 100.0);
        if faults.is_empty() { Ok(sizing) } else { Err(SizingError::Faulty(faults)) }
    }

    pub const fn class(&self, of: WorkloadClass) -> Class {
        match of {
            WorkloadClass::UserFacing => self.classes.user_facing,
            WorkloadClass::Batch => self.classes.batch,
            WorkloadClass::Test => self.classes.test,
        }
    }
}
