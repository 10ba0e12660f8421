//! The life of a request: one enum, one function. What is not in the table is refused; the table is a golden.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Submitted and found without violation; waits for the authority.
    Submitted,
    /// Sent back by the authority. A mended block is a new request.
    Returned,
    /// Approved: quota and hosts are claimed, its machines are being built.
    Approved,
    /// Every machine answered.
    Delivered,
    /// A machine could not be built; everything was undone and given back.
    Failed,
    /// Called off while its machines were being built; they are being undone.
    Cancelling,
    /// Called off; everything was given back.
    Cancelled,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestEvent {
    /// The authority approves; the claims are in the same transaction.
    Approve,
    /// The authority sends it back with its reasons.
    Return,
    /// The department calls it off.
    Cancel,
    /// The build has ended well.
    Deliver,
    /// The build has ended badly and is undone.
    FailBuild,
    /// What a cancelled build had made is undone.
    Undo,
}

/// The event cannot happen in that state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request that is {state} cannot {event}")]
pub struct Refusal {
    pub state: RequestState,
    pub event: RequestEvent,
}

/// The text is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request state")]
pub struct BadState;

impl RequestState {
    pub const ALL: [Self; 7] = [
        Self::Submitted,
        Self::Returned,
        Self::Approved,
        Self::Delivered,
        Self::Failed,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// The state after the event.
    pub const fn next(self, event: RequestEvent) -> Result<Self, Refusal> {
        use RequestEvent as E;
        match (self, event) {
            (Self::Submitted, E::Approve) => Ok(Self::Approved),
            (Self::Submitted, E::Return) => Ok(Self::Returned),
            (Self::Approved, E::Deliver) => Ok(Self::Delivered),
            (Self::Approved, E::FailBuild) => Ok(Self::Failed),
            (Self::Approved, E::Cancel) => Ok(Self::Cancelling),
            // Before the approval nothing is claimed. After it the build may have failed by itself before it saw that it
            // was called off: undone is undone.
            (Self::Submitted, E::Cancel) | (Self::Cancelling, E::Undo | E::FailBuild) => Ok(Self::Cancelled),
            _ => Err(Refusal { state: self, event }),
        }
    }

    /// Nothing more happens to it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Returned | Self::Delivered | Self::Failed | Self::Cancelled)
    }

    /// The stable word, as in JSON and in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Returned => "returned",
            Self::Approved => "approved",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// As people read it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Submitted => "已提交",
            Self::Returned => "已退回",
            Self::Approved => "已批准，建设中",
            Self::Delivered => "已交付",
            Self::Failed => "建设失败",
            Self::Cancelling => "撤销中",
            Self::Cancelled => "已撤销",
        }
    }
}

impl RequestEvent {
    pub const ALL: [Self; 6] = [Self::Approve, Self::Return, Self::Cancel, Self::Deliver, Self::FailBuild, Self::Undo];

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Return => "return",
            Self::Cancel => "cancel",
            Self::Deliver => "deliver",
            Self::FailBuild => "fail_build",
            Self::Undo => "undo",
        }
    }

    /// As people read it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Approve => "批准",
            Self::Return => "退回",
            Self::Cancel => "撤销",
            Self::Deliver => "交付",
            Self::FailBuild => "登记建设失败",
            Self::Undo => "登记撤销完成",
        }
    }
}

impl Refusal {
    /// The refusal as people read it.
    pub fn message(self) -> String {
        format!("申请处于“{}”状态，不能{}。", self.state.label(), self.event.label())
    }
}

impl fmt::Display for RequestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for RequestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for RequestState {
    type Err = BadState;
    fn from_str(s: &str) -> Result<Self, BadState> {
        Self::ALL.into_iter().find(|state| state.word() == s).ok_or(BadState)
    }
}

/// The whole table as Markdown: a row per state, a column per event, `—` where it is refused.
pub fn transition_table() -> String {
    let mut lines = vec![
        format!("| state | 状态 |{}", RequestEvent::ALL.map(|e| format!(" {e} |")).concat()),
        format!("|---|---|{}", "---|".repeat(RequestEvent::ALL.len())),
    ];
    for state in RequestState::ALL {
        let cells = RequestEvent::ALL.map(|e| format!(" {} |", state.next(e).map_or("—", RequestState::word)));
        lines.push(format!("| {state} | {} |{}", state.label(), cells.concat()));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_table_is_a_golden() {
        insta::with_settings!({snapshot_path => "../../tests/golden", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!("request_lifecycle", transition_table());
        });
    }

    #[test]
    fn final_states_are_those_that_nothing_leaves() {
        for state in RequestState::ALL {
            let leaves = RequestEvent::ALL.into_iter().any(|e| state.next(e).is_ok());
            assert_eq!(state.is_final(), !leaves, "{state}");
            assert_eq!(state.word().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
        assert_eq!("closed".parse::<RequestState>(), Err(BadState));
    }

    #[test]
    fn every_way_through_ends_and_gives_back_once() {
        // From `approved`, each way to an end passes exactly one of the events on which claims are settled.
        fn ways(state: RequestState, settled: u32) {
            if state.is_final() {
                assert_eq!(settled, 1, "{state}");
                return;
            }
            for event in RequestEvent::ALL {
                if let Ok(next) = state.next(event) {
                    let settles = matches!(event, RequestEvent::Deliver | RequestEvent::FailBuild | RequestEvent::Undo);
                    ways(next, settled + u32::from(settles));
                }
            }
        }
        ways(RequestState::Approved, 0);
    }

    #[test]
    fn a_refusal_reads_well() {
        let refusal = RequestState::Delivered.next(RequestEvent::Cancel).unwrap_err();
        assert_eq!(refusal.to_string(), "a request that is delivered cannot cancel");
        assert_eq!(refusal.message(), "申请处于“已交付”状态，不能撤销。");
    }
}
