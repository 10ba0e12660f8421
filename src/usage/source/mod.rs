//! Prometheus-compatible sources: what they are asked, whether their answers can be believed, and what of them is kept.
//!
//! A source is named in the settings and nowhere else, so nobody can make the broker speak to an address of their choosing.

pub mod answer;
pub mod ask;
pub mod query;
pub mod service;
pub mod settings;
pub mod store;

use super::point::Interval;
use query::Queries;
use std::{path::PathBuf, time::Duration};

/// One source, checked.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub kind: Kind,
    /// Without credentials, query and fragment.
    pub url: String,
    pub interval: Interval,
    /// Of one question.
    pub timeout: Duration,
    pub queries: Queries,
    /// Addresses of the clusters whose machines it measures, as hosts have them; of none, whichever it knows the names of.
    pub clusters: Vec<String>,
    token: Option<PathBuf>,
    http: ask::Http,
}

/// Which exporter's metrics a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NodeExporter,
    WindowsExporter,
    Snmp,
    /// Measures machines of ours, by their names.
    Kubevirt,
    /// All queries stand in the settings.
    Custom,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::NodeExporter, Self::WindowsExporter, Self::Snmp, Self::Kubevirt, Self::Custom];

    pub const fn word(self) -> &'static str {
        match self {
            Self::NodeExporter => "node_exporter",
            Self::WindowsExporter => "windows_exporter",
            Self::Snmp => "snmp",
            Self::Kubevirt => "kubevirt",
            Self::Custom => "custom",
        }
    }

    const fn profile(self) -> Option<&'static str> {
        match self {
            Self::NodeExporter => Some(include_str!("../../../profiles/usage/node_exporter.yaml")),
            Self::WindowsExporter => Some(include_str!("../../../profiles/usage/windows_exporter.yaml")),
            Self::Snmp => Some(include_str!("../../../profiles/usage/snmp.yaml")),
            Self::Kubevirt => Some(include_str!("../../../profiles/usage/kubevirt.yaml")),
            Self::Custom => None,
        }
    }
}
