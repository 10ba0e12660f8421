//! The catalogue: operating systems and databases that a request may name, and the sizes that a machine may have. Data,
//! read once at the start.

pub mod database;

use crate::{
    quantity,
    text::{self, fold},
    units::Bytes,
    yaml::{self, YamlError},
};
use jiff::civil::Date;
use serde::Deserialize;
use std::{collections::BTreeMap, ops::RangeInclusive, path::Path};

pub use database::DatabaseEntry;

const EMBEDDED: &str = include_str!("../profiles/catalogue.yaml");

/// An operating system (操作系统类型).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OsEntry {
    /// Stable key, as `debian-12`.
    pub key: String,
    /// As people read it, `Debian 12`.
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The last day on which its makers mend it.
    pub end_of_life: Date,
    /// Machines can be built with it. What is not offered is listed to be recognised when its end has come.
    #[serde(default = "yes")]
    pub offered: bool,
}

impl OsEntry {
    /// Nobody mends it any more on that day.
    pub fn is_ended(&self, on: Date) -> bool {
        on > self.end_of_life
    }
}

const fn yes() -> bool {
    true
}

/// How much disk is in keeping with the storage that a report forecasts (附件2 五.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageRule {
    /// At most this many times the forecast,
    pub times_forecast: i64,
    /// and so much for each machine besides, for its system.
    pub allowance: Bytes,
}

/// Sizes that one machine may have, and how many machines one request may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub vcpu: RangeInclusive<i64>,
    pub memory: RangeInclusive<Bytes>,
    pub disk: RangeInclusive<Bytes>,
    pub max_machines: i64,
    /// Sizes that are advised are whole multiples of these.
    pub vcpu_step: i64,
    pub memory_step: Bytes,
    pub disk_step: Bytes,
}

/// The catalogue, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    pub os: Vec<OsEntry>,
    pub databases: Vec<DatabaseEntry>,
    pub bounds: Bounds,
    pub storage: StorageRule,
    /// Folded word to place in the list.
    os_words: BTreeMap<String, usize>,
    database_words: BTreeMap<String, usize>,
}

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("the catalogue {path} cannot be read")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the catalogue is not valid YAML for a catalogue")]
    Yaml(#[source] YamlError),
    /// Every fault at once, each as `pointer: what`.
    #[error("the catalogue has faults: {}", .0.join("; "))]
    Faulty(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    os: Vec<OsEntry>,
    databases: Vec<database::RawDatabase>,
    bounds: RawBounds,
    storage: RawStorage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStorage {
    times_forecast: i64,
    allowance_per_machine: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBounds {
    min_vcpu: i64,
    max_vcpu: i64,
    min_memory: String,
    max_memory: String,
    min_disk: String,
    max_disk: String,
    max_machines: i64,
    vcpu_step: i64,
    memory_step: String,
    disk_step: String,
}

impl Catalogue {
    /// The catalogue that ships with the broker.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Self::parse(EMBEDDED)
    }

    /// A catalogue from a file.
    pub fn open(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CatalogueError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads and checks a catalogue; every fault is named at once.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let raw: RawCatalogue = yaml::from_str(text).map_err(CatalogueError::Yaml)?;
        let mut faults = Vec::new();
        let os_words =
            words("/os", raw.os.iter().map(|e| (e.key.as_str(), e.name.as_str(), e.aliases.as_slice())), &mut faults);
        let database_words = words(
            "/databases",
            raw.databases.iter().map(|e| (e.key.as_str(), e.name.as_str(), e.aliases.as_slice())),
            &mut faults,
        );
        let databases = database::read(raw.databases, &mut faults);
        let bounds = bounds(&raw.bounds, &mut faults);
        let storage = storage(&raw.storage, &mut faults);
        match bounds.zip(storage) {
            Some((bounds, storage)) if faults.is_empty() => {
                Ok(Self { os: raw.os, databases, bounds, storage, os_words, database_words })
            }
            _ => Err(CatalogueError::Faulty(faults)),
        }
    }

    /// The operating system that the word names.
    pub fn find_os(&self, word: &str) -> Option<&OsEntry> {
        named(&self.os_words, word).and_then(|n| self.os.get(n))
    }

    /// The database profile that the word names.
    pub fn find_database(&self, word: &str) -> Option<&DatabaseEntry> {
        named(&self.database_words, word).and_then(|n| self.databases.get(n))
    }

    /// The name of an operating system by its key; the key itself when the catalogue no longer has it.
    pub fn os_name<'a>(&'a self, key: &'a str) -> &'a str {
        self.os.iter().find(|e| e.key == key).map_or(key, |e| &e.name)
    }

    /// As [`Self::os_name`], for databases.
    pub fn database_name<'a>(&'a self, key: &'a str) -> &'a str {
        self.databases.iter().find(|e| e.key == key).map_or(key, |e| &e.name)
    }

    /// The database of this very key.
    pub fn database(&self, key: &str) -> Option<&DatabaseEntry> {
        self.databases.iter().find(|e| e.key == key)
    }

    /// All operating systems on offer in one phrase.
    pub fn os_names(&self) -> String {
        self.os.iter().filter(|e| e.offered).map(|e| e.name.as_str()).collect::<Vec<_>>().join("、")
    }

    /// All database profiles on offer in one phrase.
    pub fn database_names(&self) -> String {
        self.databases.iter().filter(|e| e.offered).map(|e| e.name.as_str()).collect::<Vec<_>>().join("、")
    }
}

/// The entry that a word names, alone or with a minor release and an edition behind it: `CentOS 7.9 64位`.
fn named(words: &BTreeMap<String, usize>, word: &str) -> Option<usize> {
    const EDITIONS: &[&str] = &[
        "64位",
        "bookworm",
        "trixie",
        "64bit",
        "64-bit",
        "x86_64",
        "x64",
        "amd64",
        "lts",
        "r2",
        "sp1",
        "sp2",
        "版本",
        "企业版",
        "标准版",
        "社区版",
        "服务器版",
        "数据中心版",
        "enterprise",
        "standard",
        "datacenter",
        "community",
        "server",
        "(",
        ")",
        "-",
        "版",
    ];
    // Beyond any entry's name.
    if word.len() > 200 {
        return None;
    }
    let folded = fold(word);
    if let Some(n) = words.get(&folded) {
        return Some(*n);
    }
    let mut bare = folded.as_str();
    while let Some(rest) = EDITIONS.iter().find_map(|edition| bare.strip_suffix(edition)) {
        bare = rest;
    }
    // What is left is the entry's word, alone or before `.9.2009`.
    let major = |at: usize| {
        let (head, minor) = bare.split_at(at);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let minor = minor.is_empty() || minor.strip_prefix('.').is_some_and(|m| m.split('.').all(digits));
        words.get(head).filter(|_| minor && head.ends_with(|c: char| c.is_ascii_digit() || c == 'g')).copied()
    };
    let whole = major(bare.len()).or_else(|| bare.rmatch_indices('.').find_map(|(at, _)| major(at)));
    // `Linux（Debian 12）`: what stands in the brackets, if what stands before them names no release.
    whole.or_else(|| {
        let (before, inner) = folded.split_once('(')?;
        let inner = inner.strip_suffix(')').filter(|inner| !inner.contains('('))?;
        let nothing = !before.contains(|c: char| c.is_ascii_digit());
        named(words, inner).filter(|_| nothing)
    })
}

fn words<'a>(
    pointer: &str,
    entries: impl Iterator<Item = (&'a str, &'a str, &'a [String])>,
    faults: &mut Vec<String>,
) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for (n, (key, name, aliases)) in entries.enumerate() {
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b)) {
            faults.push(format!("{pointer}/{n}/key: not of lower-case letters, digits and hyphens"));
        }
        for word in [key, name].into_iter().chain(aliases.iter().map(String::as_str)) {
            let folded = fold(word);
            if folded.is_empty() {
                faults.push(format!("{pointer}/{n}: an empty word"));
            } else if out.insert(folded, n).is_some_and(|other| other != n) {
                faults.push(format!("{pointer}/{n}: {:?} already names another entry", text::shown(word)));
            }
        }
    }
    if out.is_empty() {
        faults.push(format!("{pointer}: empty"));
    }
    out
}

fn bounds(raw: &RawBounds, faults: &mut Vec<String>) -> Option<Bounds> {
    let before = faults.len();
    let mut size = |name: &str, text: &str| {
        let read = quantity::bytes(text).ok().filter(|b| b.get() > 0);
        if read.is_none() {
            faults.push(format!("/bounds/{name}: not a size with its unit"));
        }
        read.unwrap_or_default()
    };
    let memory = size("min_memory", &raw.min_memory)..=size("max_memory", &raw.max_memory);
    let disk = size("min_disk", &raw.min_disk)..=size("max_disk", &raw.max_disk);
    let (memory_step, disk_step) = (size("memory_step", &raw.memory_step), size("disk_step", &raw.disk_step));
    let vcpu_step = raw.vcpu_step;
    let vcpu = raw.min_vcpu..=raw.max_vcpu;
    if memory.is_empty() || disk.is_empty() || vcpu.is_empty() {
        faults.push("/bounds: a minimum above its maximum".to_owned());
    }
    if *vcpu.start() < 1 || *vcpu.end() > 4096 {
        faults.push("/bounds/max_vcpu: not within 1 to 4096".to_owned());
    }
    if !(1..=64).contains(&vcpu_step) {
        faults.push("/bounds/vcpu_step: not within 1 to 64".to_owned());
    }
    // 64 is also what a machine's name leaves room for (`-63`).
    if !(1..=64).contains(&raw.max_machines) {
        faults.push("/bounds/max_machines: not within 1 to 64".to_owned());
    } else if memory.end().times(raw.max_machines).is_none() || disk.end().times(raw.max_machines).is_none() {
        faults.push("/bounds: the largest request cannot be counted in bytes".to_owned());
    }
    (faults.len() == before).then_some(Bounds {
        vcpu,
        memory,
        disk,
        max_machines: raw.max_machines,
        vcpu_step,
        memory_step,
        disk_step,
    })
}

fn storage(raw: &RawStorage, faults: &mut Vec<String>) -> Option<StorageRule> {
    let allowance = quantity::bytes(&raw.allowance_per_machine).ok();
    if allowance.is_none() {
        faults.push("/storage/allowance_per_machine: not a size with its unit".to_owned());
    }
    if !(1..=100).contains(&raw.times_forecast) {
        faults.push("/storage/times_forecast: not within 1 to 100".to_owned());
        return None;
    }
    Some(StorageRule { times_forecast: raw.times_forecast, allowance: allowance? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn words_are_found_without_regard_to_case_width_and_spaces() {
        let catalogue = Catalogue::embedded().unwrap();
        for word in ["debian-12", "Debian 12", "DEBIAN12", "ｄｅｂｉａｎ　１２", "Debian GNU/Linux 12", " debian 12 "]
        {
            assert_eq!(catalogue.find_os(word).map(|e| e.key.as_str()), Some("debian-12"), "{word}");
        }
        for word in ["Linux（Debian 12）", "Debian 12.5", "Debian 12 64位", "Debian 12（64位）", "Debian 12.5 amd64"]
        {
            assert_eq!(catalogue.find_os(word).map(|e| e.key.as_str()), Some("debian-12"), "{word}");
        }
        assert_eq!(catalogue.find_os("CentOS 7.9.2009 64位").map(|e| e.key.as_str()), Some("centos-7"));
        assert_eq!(catalogue.find_database("MySQL 5.7.30 社区版").map(|e| e.key.as_str()), Some("mysql-5.7"));
        assert!(!catalogue.os_names().contains("CentOS") && catalogue.os_names().contains("Debian 13"));
        for word in [
            "Windows XP",
            "",
            "debian",
            "debian 1 2 3",
            "Debian 12 或 CentOS 7",
            "CentOS 7或（Debian 12）",
            "Debian 12x",
            "Debian 12.",
        ] {
            assert_eq!(catalogue.find_os(word), None, "{word}");
        }
        for word in ["无", "不需要", "-", "－", "NONE"] {
            assert_eq!(catalogue.find_database(word).map(|e| e.key.as_str()), Some("none"), "{word}");
        }
        for word in
            ["PostgreSQL 15", "postgresql15", "PostgreSQL 15.8", "Postgres 15", "PG 15", "pg15", "PostgreSQL 15 社区版"]
        {
            assert_eq!(catalogue.find_database(word).map(|e| e.key.as_str()), Some("postgresql-15"), "{word}");
        }
        assert_eq!(catalogue.database_names(), "无、PostgreSQL 15");
        for word in ["PostgreSQL", "PostgreSQL 16", "PostgreSQL 1", "PG"] {
            assert_eq!(catalogue.find_database(word), None, "{word}");
        }
        assert_eq!(catalogue.os_name("debian-12"), "Debian 12");
        assert_eq!(catalogue.os_name("gone-1"), "gone-1");
    }

    #[test]
    fn bounds_and_end_of_life() {
        let catalogue = Catalogue::embedded().unwrap();
        assert_eq!(catalogue.bounds.vcpu, 1..=64);
        assert_eq!(Some(*catalogue.bounds.memory.start()), Bytes::mib(128));
        assert_eq!(Some(*catalogue.bounds.disk.end()), Bytes::gib(16 << 10));
        let os = catalogue.find_os("debian 12").unwrap();
        assert!(!os.is_ended(date(2028, 6, 30)) && os.is_ended(date(2028, 7, 1)));
    }

    #[test]
    fn every_fault_of_a_catalogue_is_named_at_once() {
        let text = "
os:
  - {key: a, name: A 1, end_of_life: 2030-01-01}
  - {key: B, name: a1, end_of_life: 2030-01-01}
databases:
  - {key: d, name: D}
  - key: e
    name: E
    profile:
      {engine: postgresql, major: 1, port: 0, min_memory: 1, min_disk: 1G,
       install: {part: nothing, os: [], min_memory: 1G, min_disk: x}}
bounds: {min_vcpu: 0, max_vcpu: 64, min_memory: '128', max_memory: 1G, min_disk: 2G, max_disk: 1G, max_machines: 65, vcpu_step: 0, memory_step: '1', disk_step: 1G}
storage: {times_forecast: 0, allowance_per_machine: many}
";
        let Err(CatalogueError::Faulty(faults)) = Catalogue::parse(text) else { panic!("accepted") };
        for part in [
            "/os/1/key",
            "/os/1: ",
            "/databases/0: offered without a profile",
            "/databases/1/profile/port",
            "/databases/1/profile/min_memory",
            "/databases/1/profile/install/part",
            "/databases/1/profile/install/min_disk",
            "max_vcpu",
            "min_memory",
            "a minimum",
            "max_machines",
            "vcpu_step",
            "memory_step",
            "times_forecast",
            "allowance",
        ] {
            assert!(faults.iter().any(|f| f.contains(part)), "{part} {faults:?}");
        }
    }

    #[test]
    fn an_offered_database_can_be_built() {
        let catalogue = Catalogue::embedded().unwrap();
        let offered = catalogue.databases.iter().filter(|e| e.offered && !e.is_none());
        for entry in offered {
            let profile = entry.profile.as_ref().unwrap();
            assert!(profile.least.memory >= *catalogue.bounds.memory.start(), "{}", entry.key);
            let Some(install) = &profile.install else { continue };
            assert!(install.os.iter().all(|os| catalogue.find_os(os).is_some_and(|e| e.key == *os && e.offered)));
            assert!(install.least.memory >= profile.least.memory && install.least.disk >= profile.least.disk);
            let part = database::part(&install.part).unwrap();
            assert!(part.contains_key("packages") && part.contains_key("runcmd"), "{:?}", part.keys());
        }
        let entry = catalogue.find_database("PG 15").unwrap();
        assert!(!entry.is_ended(date(2027, 11, 11)) && entry.is_ended(date(2027, 11, 12)));
    }
}
