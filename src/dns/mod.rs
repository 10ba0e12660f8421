//! Names in a district's own DNS: signed dynamic updates (RFC 2136, TSIG RFC 8945) to the server that holds the zone.
//!
//! One entry is two records, written and removed by one atomic update: the A record, and beside it our mark, a TXT record
//! at `_jiyue.<name>` that says which machine of which operation it is. The mark is what every update asks about first:
//!
//! - an entry is only added where the name has no address, alias or delegation, and no mark, of anybody;
//! - "is there, with exactly this mark and this address" is success, so that an update whose answer was lost can be sent
//!   again;
//! - an entry is only removed where exactly this mark stands. Whatever else is there is somebody else's and stays.
//!
//! Those are prerequisites of the update itself, so nobody can come in between. Every answer that anything is concluded
//! from is signed by the key.
//!
//! There are no PTR records: the ranges of the zone networks are private ones, each host's own, and a district's reverse
//! zones do not speak for them.
//!
//! Knows only the ground.

mod exchange;
mod message;
mod settings;

pub use settings::{SettingsFault, ZoneSettings};

use crate::{
    ids::{MachineId, OperationId},
    time::Clock,
};
use message::{Code, Unsigned};
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

/// A name of ours and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Lower-case ASCII, without a dot at the end.
    pub fqdn: String,
    pub address: Ipv4Addr,
    pub machine: MachineId,
    pub operation: OperationId,
}

impl Fault {
    /// Whether the update may still be under way.
    pub const fn leaves_it_open(&self) -> bool {
        matches!(self, Self::Silent(Silence::TimedOut | Silence::Broken))
    }
}

impl Entry {
    /// What the TXT record beside the name says; of this entry and of no other.
    fn mark(&self) -> String {
        format!("jiyue machine={} operation={}", self.machine, self.operation)
    }
}

/// Why an entry is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing was heard, or nothing that makes sense. The update may have been carried out, or may yet be
    /// ([`Zones::memory`]): send it again.
    #[error("no answer: {0}")]
    Silent(Silence),
    /// Ours and the server's idea of the key are not the same.
    #[error("the key is refused: {0}")]
    WrongKey(KeyFault),
    /// The server is there, knows the key, and will not: the zone is not its own, or the key may not update it.
    #[error("refused: {0}")]
    Refused(String),
    /// Somebody else's record stands there. It is never touched.
    #[error("taken by {by}")]
    Taken { by: String },
}

/// How nothing was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    #[error("cannot connect")]
    NoConnection,
    #[error("timed out")]
    TimedOut,
    #[error("the connection broke, or brought no DNS message")]
    Broken,
    #[error("the server has a fault of its own (SERVFAIL)")]
    ServerFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The server does not know the key, or not for this zone.
    #[error("BADKEY")]
    Unknown,
    /// Another secret or another algorithm under this name.
    #[error("BADSIG")]
    Signature,
    /// The clocks are too far apart.
    #[error("BADTIME")]
    Clock,
    /// The answer is not signed by our key, so it proves nothing.
    #[error("the answer carries no valid signature")]
    Answer,
}

/// The zones that are kept by DNS servers; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Zones(Arc<[Zone]>);

/// One zone, the server that takes its updates, and the key.
#[derive(Clone)]
pub struct Zone {
    suffix: String,
    server: SocketAddr,
    key: exchange::Key,
    ttl: u32,
    /// In seconds.
    fudge: u16,
    clock: Clock,
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key has no way to be printed.
        f.debug_struct("Zone").field("suffix", &self.suffix).field("server", &self.server).finish_non_exhaustive()
    }
}

impl Zones {
    /// Checks the settings and reads the keys.
    pub fn open(settings: &[ZoneSettings], clock: &Clock) -> Result<Self, Vec<SettingsFault>> {
        settings::open(settings, clock).map(|zones| Self(zones.into()))
    }

    /// The zone that a name is registered in: of those that it stands below, the one with the longest suffix.
    pub fn serving(&self, fqdn: &str) -> Option<&Zone> {
        let below =
            |zone: &&Zone| fqdn.strip_suffix(&zone.suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
        self.0.iter().filter(below).max_by_key(|zone| zone.suffix.len())
    }

    /// How long an update that got no answer may still be carried out: as long as a server takes its signature for fresh,
    /// whichever way the two clocks differ.
    pub fn memory(&self) -> Duration {
        2 * Duration::from_secs(self.0.iter().map(|zone| u64::from(zone.fudge)).max().unwrap_or_default())
    }

    /// Every one of them.
    pub fn all(&self) -> impl Iterator<Item = &Zone> {
        self.0.iter()
    }

    /// The zone by its own name.
    pub fn named(&self, suffix: &str) -> Option<&Zone> {
        self.0.iter().find(|zone| zone.suffix == suffix)
    }
}

impl Zone {
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Makes sure of the entry, within `limit`.
    pub async fn register(&self, entry: &Entry, limit: Duration) -> Result<(), Fault> {
        timeout(limit, self.make_sure(entry)).await.map_err(|_| Fault::Silent(Silence::TimedOut)).flatten()
    }

    /// Makes sure that nothing of the entry is left, within `limit`.
    pub async fn remove(&self, entry: &Entry, limit: Duration) -> Result<(), Fault> {
        timeout(limit, self.make_sure_of_none(entry)).await.map_err(|_| Fault::Silent(Silence::TimedOut)).flatten()
    }

    /// Would an update be taken? Changes nothing: the zone's own record is asked for, and an update is sent that is all
    /// prerequisite.
    pub async fn probe(&self, limit: Duration) -> Result<(), Fault> {
        let asked = async {
            // First the update: its answer tells best what is wrong with a key.
            if self.update(message::nothing(self)?).await? == Code::NotSo {
                return Err(Fault::Taken { by: message::PROBE.to_owned() });
            }
            let soa = exchange::ask(self, message::soa(self)?).await?.told()?;
            if soa.iter().any(|text| text.starts_with("SOA ")) {
                Ok(())
            } else {
                Err(Fault::Refused(format!("no SOA at {}", self.suffix)))
            }
        };
        timeout(limit, asked).await.map_err(|_| Fault::Silent(Silence::TimedOut)).flatten()
    }

    async fn make_sure(&self, entry: &Entry) -> Result<(), Fault> {
        // Nobody's yet; ours already; or ours, with the address taken away by somebody.
        for message in [message::claim, message::confirm, message::mend] {
            if self.update(message(self, entry)?).await? == Code::Done {
                return Ok(());
            }
        }
        Err(Fault::Taken { by: self.told(entry).await?.join(", ") })
    }

    async fn make_sure_of_none(&self, entry: &Entry) -> Result<(), Fault> {
        for message in [message::withdraw, message::is_unmarked] {
            if self.update(message(self, entry)?).await? == Code::Done {
                return Ok(());
            }
        }
        // A mark that is not exactly ours: another entry's, and ours is gone; or ours, with something added by hand.
        let told = self.told(entry).await?;
        let ours = told.iter().any(|text| text.contains(&entry.mark()));
        if ours { Err(Fault::Taken { by: told.join(", ") }) } else { Ok(()) }
    }

    async fn update(&self, message: Unsigned) -> Result<Code, Fault> {
        exchange::ask(self, message).await?.code()
    }

    /// What stands at the name and at its mark.
    async fn told(&self, entry: &Entry) -> Result<Vec<String>, Fault> {
        let mut told = Vec::new();
        for question in message::questions(entry)? {
            told.extend(exchange::ask(self, question).await?.told()?);
        }
        told.dedup();
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_the_longest_suffix_that_it_stands_below() {
        let zone = |suffix: &str| settings::tests::zone(suffix);
        let zones = Zones(vec![zone("example"), zone("xc.example"), zone("other.example")].into());
        let of = |name: &str| zones.serving(name).map(Zone::suffix);
        assert_eq!(of("oa.xc.example"), Some("xc.example"));
        assert_eq!(of("a.b.xc.example"), Some("xc.example"));
        assert_eq!(of("oa.evilxc.example"), Some("example"));
        assert_eq!(of("xc.example"), Some("example"));
        assert_eq!(of("example"), None);
        assert_eq!(of(".example"), None);
        assert_eq!(of("oa.test"), None);
        assert_eq!(zones.named("xc.example").map(Zone::suffix), Some("xc.example"));
        assert!(zones.named("oa.xc.example").is_none());
    }
}
