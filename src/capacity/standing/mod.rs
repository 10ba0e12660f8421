//! How a host stands: what its operators want of it, and whether it was heard of. Pure.
//!
//! The two are kept apart, because a host that was cordoned before it fell silent is cordoned when it comes back. People
//! see one word of both ([`HostState`]).

pub mod store;

use super::UnknownWord;
use jiff::Timestamp;
use std::str::FromStr;

/// Whether the host answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contact {
    #[default]
    Reachable,
    /// It does not answer. Its machines may well run: they are unknown, not gone.
    Unknown,
    /// It is proven to be off: by the fence command, or by an operator's word. Only now may its machines be built anew.
    Fenced,
}

impl Contact {
    pub const ALL: [Self; 3] = [Self::Reachable, Self::Unknown, Self::Fenced];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Unknown => "unknown",
            Self::Fenced => "fenced",
        }
    }

    /// After a listing: an answer ends a silence, but never a fencing. Who was fenced may hold machines that have been
    /// built elsewhere meanwhile, so an operator takes it back in.
    #[must_use]
    pub const fn heard(self, answered: bool) -> Self {
        match (self, answered) {
            (Self::Fenced, _) => Self::Fenced,
            (Self::Reachable | Self::Unknown, true) => Self::Reachable,
            (Self::Reachable | Self::Unknown, false) => Self::Unknown,
        }
    }
}

impl FromStr for Contact {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|contact| contact.word() == word).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

/// 宿主机状态
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostState {
    /// Takes new machines.
    Active,
    /// Keeps what it has, takes nothing new.
    Cordoned,
    /// Cordoned, and its machines are being moved away.
    Draining,
    /// Does not answer.
    Unknown,
    /// Proven to be off.
    Fenced,
}

impl HostState {
    pub const ALL: [Self; 5] = [Self::Active, Self::Cordoned, Self::Draining, Self::Unknown, Self::Fenced];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
            Self::Unknown => "unknown",
            Self::Fenced => "fenced",
        }
    }

    /// What people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "可用",
            Self::Cordoned => "暂停接收",
            Self::Draining => "迁出中",
            Self::Unknown => "失去联系",
            Self::Fenced => "已隔离",
        }
    }
}

impl FromStr for HostState {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

/// Everything that is known of how a host stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub cordoned: bool,
    pub draining: bool,
    /// Machines that were on it when draining began.
    pub drain_total: i64,
    pub drain_started_at: Option<Timestamp>,
    pub contact: Contact,
    pub contact_since: Option<Timestamp>,
    pub contact_reason: Option<String>,
    /// The last full listing.
    pub listed_at: Option<Timestamp>,
}

impl Standing {
    /// What is worst comes first.
    pub const fn state(&self) -> HostState {
        match (self.contact, self.draining, self.cordoned) {
            (Contact::Fenced, ..) => HostState::Fenced,
            (Contact::Unknown, ..) => HostState::Unknown,
            (_, true, _) => HostState::Draining,
            (_, _, true) => HostState::Cordoned,
            _ => HostState::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_says_nothing_of_what_was_wanted() {
        let mut host = Standing { cordoned: true, ..Standing::default() };
        host.contact = host.contact.heard(false);
        assert_eq!(host.state(), HostState::Unknown);
        host.contact = host.contact.heard(true);
        assert_eq!(host.state(), HostState::Cordoned);
        host.draining = true;
        assert_eq!(host.state(), HostState::Draining);
    }

    #[test]
    fn a_fenced_host_does_not_come_back_by_answering() {
        assert_eq!(Contact::Fenced.heard(true), Contact::Fenced);
        assert_eq!(Contact::Fenced.heard(false), Contact::Fenced);
        assert_eq!(Standing { contact: Contact::Fenced, ..Standing::default() }.state(), HostState::Fenced);
    }
}
