//! The life of a name in a district's DNS, when it is tried again, and what people are told. Pure.

use crate::dns::{Fault, KeyFault, Silence};
use std::{fmt, str::FromStr, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// To be registered; not yet, or the server is not to be reached.
    Pending,
    Registered,
    /// The server does not accept our key.
    RefusedKey,
    /// The server does not take updates of this zone from us.
    Refused,
    /// The name is somebody else's.
    Taken,
    /// To be removed.
    Removing,
    /// To be removed, and the server or what stands there does not let us.
    RemovalRefused,
    Removed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The server has done it.
    Done,
    /// Nothing was heard.
    Silent,
    KeyRefused,
    Refused,
    Taken,
    /// An operator wants it tried (or looked after) again.
    Again,
    /// The machine goes.
    Withdraw,
}

/// The event does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name that is {state} cannot {event:?}")]
pub struct Refusal {
    pub state: State,
    pub event: Event,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Registered,
        Self::RefusedKey,
        Self::Refused,
        Self::Taken,
        Self::Removing,
        Self::RemovalRefused,
        Self::Removed,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Registered => "registered",
            Self::RefusedKey => "refused_key",
            Self::Refused => "refused",
            Self::Taken => "taken",
            Self::Removing => "removing",
            Self::RemovalRefused => "removal_refused",
            Self::Removed => "removed",
        }
    }

    /// Whether the machine is going, and its name with it.
    pub const fn is_leaving(self) -> bool {
        matches!(self, Self::Removing | Self::RemovalRefused | Self::Removed)
    }

    /// Whether there is something to be done yet.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Registered | Self::Removed)
    }

    pub fn next(self, event: Event) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Pending | Self::RefusedKey | Self::Refused | Self::Taken, event) => Ok(match event {
                Event::Done => Self::Registered,
                Event::Silent | Event::Again => Self::Pending,
                Event::KeyRefused => Self::RefusedKey,
                Event::Refused => Self::Refused,
                Event::Taken => Self::Taken,
                Event::Withdraw => Self::Removing,
            }),
            (Self::Registered, Event::Again) => Ok(Self::Pending),
            (Self::Registered, Event::Withdraw) => Ok(Self::Removing),
            (Self::Removing | Self::RemovalRefused, event) => Ok(match event {
                Event::Done => Self::Removed,
                Event::Silent | Event::Again | Event::Withdraw => Self::Removing,
                Event::KeyRefused | Event::Refused | Event::Taken => Self::RemovalRefused,
            }),
            (Self::Removed, Event::Withdraw) => Ok(Self::Removed),
            (state, event) => Err(Refusal { state, event }),
        }
    }

    /// How long to wait after so many attempts. What may mend itself is soon tried again, what a person must mend now and
    /// then, and a name that is somebody else's seldom.
    pub fn pause(self, attempts: i64, longest: Duration) -> Duration {
        match self {
            Self::RefusedKey | Self::Refused | Self::RemovalRefused => longest * 5,
            Self::Taken => longest * 60,
            _ => Duration::from_secs(1 << attempts.saturating_sub(1).clamp(0, 20)).min(longest),
        }
    }
}

impl Event {
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Silent, Self::KeyRefused, Self::Refused, Self::Taken, Self::Again, Self::Withdraw];
}

impl From<&Result<(), Fault>> for Event {
    fn from(result: &Result<(), Fault>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(Fault::Silent(_)) => Self::Silent,
            Err(Fault::WrongKey(_)) => Self::KeyRefused,
            Err(Fault::Refused(_)) => Self::Refused,
            Err(Fault::Taken { .. }) => Self::Taken,
        }
    }
}

/// What people are told about a fault, and what they can do.
pub fn reason(fault: &Fault, server: &str, leaving: bool) -> String {
    match fault {
        Fault::Silent(silence) => {
            let how = match silence {
                Silence::NoConnection => "连接不上",
                Silence::TimedOut => "没有按时回答",
                Silence::Broken => "连接中断或回答无法读懂",
                Silence::ServerFault => "服务器自身出错（SERVFAIL）",
            };
            format!("DNS 服务器 {server}：{how}；恢复后会自动重试")
        }
        Fault::WrongKey(fault) => {
            let what = match fault {
                KeyFault::Unknown => {
                    "服务器不认这把密钥，或不准它更新这个区（BADKEY）；请核对 key_name 和服务器上的授权"
                }
                KeyFault::Signature => "签名不对（BADSIG）；请核对 key_file 和 algorithm 与服务器上的一致",
                KeyFault::Clock => "时钟相差太大（BADTIME）；请校准两边的时钟",
                KeyFault::Answer => "回答没有用这把密钥签名，不能采信；请核对 server、key_name 和 key_file",
            };
            format!("DNS 服务器 {server}：{what}")
        }
        Fault::Refused(code) => {
            format!("DNS 服务器 {server} 拒绝更新（{code}）；请核对这个区是否由它作主、密钥是否有更新权")
        }
        Fault::Taken { by } if leaving => {
            format!("登记标记已被人改动（{by}），未敢删除；请 DNS 管理员核对后手工清理")
        }
        Fault::Taken { by } => {
            format!("域名已有他人的记录（{by}），不会改动它；请 DNS 管理员处理后执行 jiyue machine register-name")
        }
    }
}

/// Why a name that is gone is looked for once more.
pub const WAITING: &str = "记录已删除；此前有一次更新没有得到回答，待其确已失效后再核对一次";

/// The setting for the row's zone has gone.
pub fn no_zone(zone: &str) -> String {
    format!("设置里没有 {zone} 的 DNS 服务器；请在 [[dns]] 中补上并重启服务")
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a state of a name.
#[derive(Debug, thiserror::Error)]
#[error("unknown state of a name: {0:?}")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leaving_never_comes_back() {
        for state in State::ALL.into_iter().filter(|state| state.is_leaving()) {
            for event in Event::ALL {
                assert!(state.next(event).map_or(true, State::is_leaving), "{state} {event:?}");
            }
        }
        for state in State::ALL {
            assert!(state.next(Event::Withdraw).is_ok_and(State::is_leaving), "{state}");
        }
    }

    #[test]
    fn the_more_a_person_must_do_the_longer_the_pause() {
        let longest = Duration::from_secs(60);
        let of = |state: State, attempts| state.pause(attempts, longest).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 1000, 0].map(|n| of(State::Pending, n)), [1, 2, 4, 32, 60, 60, 1]);
        assert_eq!(of(State::Removing, 2), 2);
        assert_eq!((of(State::RefusedKey, 1), of(State::Taken, 1)), (300, 3600));
    }
}
