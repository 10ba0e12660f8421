//! The life of an operation.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Written by the act, not yet taken up.
    Queued,
    Running,
    /// Undoing what it did, in reverse.
    Unwinding,
    Succeeded,
    /// Undone after a failure.
    Failed,
    /// Undone because somebody asked for it.
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Take,
    TurnBack,
    Succeed,
    Fail,
    Cancel,
}

/// The event does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an operation that is {state} cannot {event:?}")]
pub struct Refusal {
    pub state: State,
    pub event: Event,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Unwinding, Self::Succeeded, Self::Failed, Self::Cancelled];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Unwinding => "unwinding",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    pub fn next(self, event: Event) -> Result<Self, Refusal> {
        match (self, event) {
            // Taking up again is what happens after a crash.
            (Self::Queued | Self::Running, Event::Take) => Ok(Self::Running),
            (Self::Unwinding, Event::Take) | (Self::Queued | Self::Running, Event::TurnBack) => Ok(Self::Unwinding),
            (Self::Running, Event::Succeed) => Ok(Self::Succeeded),
            (Self::Running | Self::Unwinding, Event::Fail) => Ok(Self::Failed),
            (Self::Unwinding, Event::Cancel) => Ok(Self::Cancelled),
            (state, event) => Err(Refusal { state, event }),
        }
    }
}

impl Event {
    pub const ALL: [Self; 5] = [Self::Take, Self::TurnBack, Self::Succeed, Self::Fail, Self::Cancel];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a state of an operation.
#[derive(Debug, thiserror::Error)]
#[error("unknown state of an operation: {0:?}")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}
