//! Base images on their way to the hosts: each image that machines may start from is to lie on every host, so that no
//! building waits for it. One row per host and image says how far it is; the courier of any broker takes a row under a
//! lease and sends. Sending is repeatable, so a death at any instant costs a repetition.

pub mod courier;
pub mod service;
pub mod store;

use crate::{
    ids::HostId,
    machine::image::Image,
    provider::{ImageRef, ProviderError},
};
use jiff::Timestamp;
use std::{path::PathBuf, str::FromStr, time::Duration};

/// How far an image is on its way to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has wanted it there yet.
    Absent,
    Waiting,
    Sending,
    /// It lies there whole.
    Present,
    /// The last attempt failed; there will be another.
    Failed,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Absent, Self::Waiting, Self::Sending, Self::Present, Self::Failed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Present => "present",
            Self::Failed => "failed",
        }
    }
}

/// Not a word for a state.
#[derive(Debug, thiserror::Error)]
#[error("unknown state {0:?}")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}

/// An image and a host.
#[derive(Clone, Debug)]
pub struct Transfer {
    pub host: HostId,
    pub host_name: String,
    pub state: State,
    pub percent: i64,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    pub attempts: i64,
    /// Nothing happens before.
    pub next_try: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
}

/// What a provider is told of an image.
pub fn reference(image: &Image) -> ImageRef {
    ImageRef { sha256: image.sha256.clone(), format: image.format, size: image.size, path: PathBuf::from(&image.path) }
}

const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait after so many attempts in a row that failed. What will not go away by itself is for people to look at;
/// it is still tried, for they mend it without telling us.
pub fn pause(attempts: i64, error: &ProviderError, longest: Duration) -> Duration {
    if !error.is_transient() {
        return longest;
    }
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    FIRST_PAUSE.saturating_mul(1 << doublings).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest() {
        let error = |transient| {
            let (act, reason) = (String::new(), String::new());
            if transient { ProviderError::Transient { act, reason } } else { ProviderError::Permanent { act, reason } }
        };
        let pauses = [-1, 1, 2, 3, 8, i64::MAX].map(|n| pause(n, &error(true), Duration::from_mins(10)).as_secs());
        assert_eq!(pauses, [5, 5, 10, 20, 600, 600]);
        assert_eq!(pause(1, &error(false), Duration::from_mins(10)), Duration::from_mins(10));
    }

    #[test]
    fn words_are_read_back() {
        for state in State::ALL {
            assert_eq!(state.word().parse::<State>().unwrap(), state);
        }
        assert!("lost".parse::<State>().is_err());
    }
}
