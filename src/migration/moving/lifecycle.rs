//! The life of a disk import.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// On its way: the old guest is stopped for it.
    Importing,
    /// The machine runs on it; there is a way back.
    Moved,
    /// On the way back.
    Returning,
    /// The old guest has its place again.
    Returned,
    /// It came to nothing, and everything is as it was.
    Failed,
    /// The old guest stays off for good.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Move,
    /// Somebody wants it back.
    TurnBack,
    Return,
    Fail,
    Finish,
}

/// The event does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a disk import that is {state} cannot {event:?}")]
pub struct Refusal {
    pub state: State,
    pub event: Event,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::Importing, Self::Moved, Self::Returning, Self::Returned, Self::Failed, Self::Finished];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Importing => "importing",
            Self::Moved => "moved",
            Self::Returning => "returning",
            Self::Returned => "returned",
            Self::Failed => "failed",
            Self::Finished => "finished",
        }
    }

    /// What people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Importing => "迁入中",
            Self::Moved => "已迁入，可退回",
            Self::Returning => "退回中",
            Self::Returned => "已退回",
            Self::Failed => "未成，已复原",
            Self::Finished => "已了结",
        }
    }

    pub fn next(self, event: Event) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Importing, Event::Move) => Ok(Self::Moved),
            (Self::Moved, Event::TurnBack) => Ok(Self::Returning),
            (Self::Importing | Self::Returning, Event::Return) => Ok(Self::Returned),
            (Self::Importing, Event::Fail) => Ok(Self::Failed),
            (Self::Moved, Event::Finish) => Ok(Self::Finished),
            (state, event) => Err(Refusal { state, event }),
        }
    }
}

impl Event {
    pub const ALL: [Self; 5] = [Self::Move, Self::TurnBack, Self::Return, Self::Fail, Self::Finish];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a state of a disk import.
#[derive(Debug, thiserror::Error)]
#[error("unknown state of a disk import: {0:?}")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}
