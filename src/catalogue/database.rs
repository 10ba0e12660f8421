//! Databases of the catalogue (数据库类型): what one needs, where its machines start from, and the part of cloud-config that
//! makes a plain system one. The parts are data, compiled in.

use crate::{
    quantity,
    units::Bytes,
    yaml::{self, YamlError},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// Parts of cloud-config by their names.
const PARTS: &[(&str, &str)] = &[("postgresql", include_str!("../../profiles/databases/postgresql.yaml"))];

/// Key of the absence of a database.
const NO_DATABASE: &str = "none";

/// A database that a request may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseEntry {
    /// Stable key; `none` is the absence of one.
    pub key: String,
    pub name: String,
    pub aliases: Vec<String>,
    /// The last day on which its makers mend it; none for the absence of a database.
    pub end_of_life: Option<Date>,
    /// Machines can be built with it. What is not offered is listed to be recognised when its end has come.
    pub offered: bool,
    /// What is needed to build it; everything on offer but the absence has one.
    pub profile: Option<DatabaseProfile>,
}

impl DatabaseEntry {
    /// Nobody mends it any more on that day.
    pub fn is_ended(&self, on: Date) -> bool {
        self.end_of_life.is_some_and(|end| on > end)
    }

    /// The absence of a database.
    pub fn is_none(&self) -> bool {
        self.key == NO_DATABASE
    }
}

/// How a database is built, and how one knows that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseProfile {
    pub engine: Engine,
    /// The release that its makers count by: what answers must be of it.
    pub major: u32,
    pub port: u16,
    /// Less memory or disk than this is refused, wherever the machine starts from.
    pub least: Least,
    /// How a plain system becomes one on its first start; without it there must be a baked image.
    pub install: Option<Install>,
}

/// The smallest machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Least {
    pub memory: Bytes,
    pub disk: Bytes,
}

/// An installation by cloud-init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The name of a part of cloud-config.
    pub part: String,
    /// Operating systems whose own packages are of this release.
    pub os: Vec<String>,
    /// A full system beside the database wants more.
    pub least: Least,
}

/// What is spoken on the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    Postgresql,
}

impl Engine {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
        }
    }

    /// As its makers write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgresql => "PostgreSQL",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A part of cloud-config: lists, to be appended to those of a machine's own user-data.
pub type Part = BTreeMap<String, Vec<Value>>;

/// The part of this name; `None` when there is none, or it is not a mapping of lists (which a catalogue that names it is
/// refused for).
pub fn part(name: &str) -> Option<Part> {
    let (_, text) = PARTS.iter().find(|(known, _)| *known == name)?;
    yaml::from_str(text).ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub key: String,
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    end_of_life: Option<Date>,
    #[serde(default = "super::yes")]
    offered: bool,
    #[serde(default)]
    profile: Option<RawProfile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    engine: Engine,
    major: u32,
    port: u16,
    min_memory: String,
    min_disk: String,
    install: Option<RawInstall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInstall {
    part: String,
    os: Vec<String>,
    min_memory: String,
    min_disk: String,
}

/// Reads the entries; each fault is noted with its place.
pub(super) fn read(raw: Vec<RawDatabase>, faults: &mut Vec<String>) -> Vec<DatabaseEntry> {
    let mut entries = Vec::new();
    for (n, raw) in raw.into_iter().enumerate() {
        let at = format!("/databases/{n}");
        if raw.offered && raw.key != NO_DATABASE && raw.profile.is_none() {
            faults.push(format!("{at}: offered without a profile"));
        }
        let profile = raw.profile.and_then(|profile| read_profile(profile, &format!("{at}/profile"), faults));
        entries.push(DatabaseEntry {
            key: raw.key,
            name: raw.name,
            aliases: raw.aliases,
            end_of_life: raw.end_of_life,
            offered: raw.offered,
            profile,
        });
    }
    entries
}

fn read_profile(raw: RawProfile, at: &str, faults: &mut Vec<String>) -> Option<DatabaseProfile> {
    let before = faults.len();
    if raw.port == 0 {
        faults.push(format!("{at}/port: 0"));
    }
    let least = least(&raw.min_memory, &raw.min_disk, at, faults);
    let install = raw.install.map(|raw| {
        let at = format!("{at}/install");
        if let Err(why) = known_part(&raw.part) {
            faults.push(format!("{at}/part: {why}"));
        }
        Install { least: self::least(&raw.min_memory, &raw.min_disk, &at, faults), part: raw.part, os: raw.os }
    });
    let profile = DatabaseProfile { engine: raw.engine, major: raw.major, port: raw.port, least, install };
    (faults.len() == before).then_some(profile)
}

fn least(memory: &str, disk: &str, at: &str, faults: &mut Vec<String>) -> Least {
    let mut size = |name: &str, text: &str| {
        let read = quantity::bytes(text).ok();
        if read.is_none() {
            faults.push(format!("{at}/{name}: not a size with its unit"));
        }
        read.unwrap_or_default()
    };
    Least { memory: size("min_memory", memory), disk: size("min_disk", disk) }
}

fn known_part(name: &str) -> Result<(), String> {
    let Some((_, text)) = PARTS.iter().find(|(known, _)| *known == name) else {
        return Err("no such part".to_owned());
    };
    let read: Result<Part, YamlError> = yaml::from_str(text);
    read.map(drop).map_err(|error| error.to_string())
}
