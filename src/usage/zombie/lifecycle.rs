//! The life of a finding, from a suspicion to its filing.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A criterion is met, on whatever evidence; nobody has been asked.
    Suspected,
    /// The owner has been asked and has not answered.
    Asked,
    /// The owner agrees.
    Answered,
    /// The owner objects.
    Objected,
    /// The authority has decided that it is one.
    Confirmed,
    /// Reported and on file (备案).
    Filed,
    /// The authority has decided that it is none.
    Dismissed,
    /// Excused until a day.
    Exempt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Ask,
    Agree,
    Object,
    Confirm,
    File,
    Dismiss,
    Exempt,
    /// An exemption's last day is over.
    Lapse,
}

/// The event does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a finding that is {state} does not take {event:?}")]
pub struct Refusal {
    pub state: State,
    pub event: Event,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Suspected,
        Self::Asked,
        Self::Answered,
        Self::Objected,
        Self::Confirmed,
        Self::Filed,
        Self::Dismissed,
        Self::Exempt,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Objected => "objected",
            Self::Confirmed => "confirmed",
            Self::Filed => "filed",
            Self::Dismissed => "dismissed",
            Self::Exempt => "exempt",
        }
    }

    /// What people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Suspected => "疑似",
            Self::Asked => "待单位答复",
            Self::Answered => "单位已认可",
            Self::Objected => "单位有异议",
            Self::Confirmed => "已认定",
            Self::Filed => "已备案",
            Self::Dismissed => "不予认定",
            Self::Exempt => "暂予豁免",
        }
    }

    pub fn next(self, event: Event) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Suspected, Event::Ask) => Ok(Self::Asked),
            // Who has answered may think better of it until the decision.
            (Self::Asked | Self::Answered | Self::Objected, Event::Agree) => Ok(Self::Answered),
            (Self::Asked | Self::Answered | Self::Objected, Event::Object) => Ok(Self::Objected),
            // Whoever has not been heard is not confirmed; a silent owner is, once the days are over.
            (Self::Asked | Self::Answered | Self::Objected, Event::Confirm) => Ok(Self::Confirmed),
            (Self::Confirmed, Event::File) => Ok(Self::Filed),
            (
                Self::Suspected | Self::Asked | Self::Answered | Self::Objected | Self::Confirmed | Self::Exempt,
                Event::Dismiss,
            ) => Ok(Self::Dismissed),
            (
                Self::Suspected | Self::Asked | Self::Answered | Self::Objected | Self::Confirmed | Self::Exempt,
                Event::Exempt,
            ) => Ok(Self::Exempt),
            (Self::Exempt, Event::Lapse) => Ok(Self::Suspected),
            (state, event) => Err(Refusal { state, event }),
        }
    }

    /// Whether evidence is still gathered. What was decided stays as it was decided on.
    pub const fn is_open_to_evidence(self) -> bool {
        !matches!(self, Self::Confirmed | Self::Filed | Self::Dismissed)
    }

    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filed | Self::Dismissed)
    }
}

impl Event {
    pub const ALL: [Self; 8] =
        [Self::Ask, Self::Agree, Self::Object, Self::Confirm, Self::File, Self::Dismiss, Self::Exempt, Self::Lapse];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a state of a finding.
#[derive(Debug, thiserror::Error)]
#[error("unknown state of a finding: {0:?}")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}
