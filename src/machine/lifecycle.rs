//! The life of a machine. What is under way on it is its operation; the state is what it was when nothing was.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Approved and claimed, not yet answering.
    Building,
    Running,
    Stopped,
    /// In the recycle bin: compute freed; disk, name and address kept.
    InBin,
    /// Its build was undone: it holds nothing.
    Undone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Built,
    Undone,
    Stopped,
    Started,
    Binned,
    Restored,
}

/// The event does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a machine that is {state} cannot become {event:?}")]
pub struct Refusal {
    pub state: State,
    pub event: Event,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Building, Self::Running, Self::Stopped, Self::InBin, Self::Undone];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::InBin => "in_bin",
            Self::Undone => "undone",
        }
    }

    /// What people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Building => "建设中",
            Self::Running => "运行中",
            Self::Stopped => "已停机",
            Self::InBin => "回收站",
            Self::Undone => "已撤销",
        }
    }

    pub fn next(self, event: Event) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Building, Event::Built)
            | (Self::Stopped | Self::Running, Event::Started)
            | (Self::InBin, Event::Restored) => Ok(Self::Running),
            (Self::Building, Event::Undone) => Ok(Self::Undone),
            (Self::Running | Self::Stopped, Event::Stopped) => Ok(Self::Stopped),
            (Self::Running | Self::Stopped, Event::Binned) => Ok(Self::InBin),
            (state, event) => Err(Refusal { state, event }),
        }
    }

    /// Whether a machine in this state holds compute and storage: what the ledger checks.
    pub const fn holds(self) -> (bool, bool) {
        match self {
            Self::Building | Self::Running | Self::Stopped => (true, true),
            Self::InBin => (false, true),
            Self::Undone => (false, false),
        }
    }
}

impl Event {
    pub const ALL: [Self; 6] = [Self::Built, Self::Undone, Self::Stopped, Self::Started, Self::Binned, Self::Restored];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a state of a machine.
#[derive(Debug, thiserror::Error)]
#[error("unknown state of a machine: {0:?}")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}
