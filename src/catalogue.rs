//! The catalogue: operating systems and databases that a request may name, and the sizes that a machine may have. Data,
//! read once at the start.

use crate::{
    quantity,
    text::{self, fold},
    units::Bytes,
    yaml::{self, YamlError},
};
use jiff::civil::Date;
use serde::Deserialize;
use std::{collections::BTreeMap, ops::RangeInclusive, path::Path};

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
}

impl OsEntry {
    /// Nobody mends it any more on that day. A flag for the reviewer, not a refusal.
    pub fn is_ended(&self, on: Date) -> bool {
        on > self.end_of_life
    }
}

/// A database profile (数据库类型).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseEntry {
    /// Stable key; `none` is the absence of one.
    pub key: String,
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// Sizes that one machine may have, and how many machines one request may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub vcpu: RangeInclusive<i64>,
    pub memory: RangeInclusive<Bytes>,
    pub disk: RangeInclusive<Bytes>,
    pub max_machines: i64,
}

/// The catalogue, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    pub os: Vec<OsEntry>,
    pub databases: Vec<DatabaseEntry>,
    pub bounds: Bounds,
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
    databases: Vec<DatabaseEntry>,
    bounds: RawBounds,
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
        let bounds = bounds(&raw.bounds, &mut faults);
        match bounds {
            Some(bounds) if faults.is_empty() => {
                Ok(Self { os: raw.os, databases: raw.databases, bounds, os_words, database_words })
            }
            _ => Err(CatalogueError::Faulty(faults)),
        }
    }

    /// The operating system that the word names.
    pub fn find_os(&self, word: &str) -> Option<&OsEntry> {
        self.os_words.get(&fold(word)).and_then(|n| self.os.get(*n))
    }

    /// The database profile that the word names.
    pub fn find_database(&self, word: &str) -> Option<&DatabaseEntry> {
        self.database_words.get(&fold(word)).and_then(|n| self.databases.get(*n))
    }

    /// The name of an operating system by its key; the key itself when the catalogue no longer has it.
    pub fn os_name<'a>(&'a self, key: &'a str) -> &'a str {
        self.os.iter().find(|e| e.key == key).map_or(key, |e| &e.name)
    }

    /// As [`Self::os_name`], for databases.
    pub fn database_name<'a>(&'a self, key: &'a str) -> &'a str {
        self.databases.iter().find(|e| e.key == key).map_or(key, |e| &e.name)
    }

    /// All operating systems in one phrase.
    pub fn os_names(&self) -> String {
        self.os.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join("、")
    }

    /// All database profiles in one phrase.
    pub fn database_names(&self) -> String {
        self.databases.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join("、")
    }
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
    let vcpu = raw.min_vcpu..=raw.max_vcpu;
    if memory.is_empty() || disk.is_empty() || vcpu.is_empty() {
        faults.push("/bounds: a minimum above its maximum".to_owned());
    }
    if *vcpu.start() < 1 || *vcpu.end() > 4096 {
        faults.push("/bounds/max_vcpu: not within 1 to 4096".to_owned());
    }
    // 64 is also what a machine's name leaves room for (`-63`).
    if !(1..=64).contains(&raw.max_machines) {
        faults.push("/bounds/max_machines: not within 1 to 64".to_owned());
    } else if memory.end().times(raw.max_machines).is_none() || disk.end().times(raw.max_machines).is_none() {
        faults.push("/bounds: the largest request cannot be counted in bytes".to_owned());
    }
    (faults.len() == before).then_some(Bounds { vcpu, memory, disk, max_machines: raw.max_machines })
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
        for word in ["Windows XP", "", "debian", "debian 1 2 3"] {
            assert_eq!(catalogue.find_os(word), None, "{word}");
        }
        for word in ["无", "不需要", "-", "－", "NONE"] {
            assert_eq!(catalogue.find_database(word).map(|e| e.key.as_str()), Some("none"), "{word}");
        }
        assert_eq!(catalogue.find_database("PostgreSQL 15"), None);
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
databases: []
bounds: {min_vcpu: 0, max_vcpu: 64, min_memory: '128', max_memory: 1G, min_disk: 2G, max_disk: 1G, max_machines: 65}
";
        let Err(CatalogueError::Faulty(faults)) = Catalogue::parse(text) else { panic!("accepted") };
        for part in ["/os/1/key", "/os/1: ", "/databases: empty", "max_vcpu", "min_memory", "a minimum", "max_machines"]
        {
            assert!(faults.iter().any(|f| f.contains(part)), "{part} {faults:?}");
        }
    }
}
