//! What a script learns from the exit code.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The service said no (4xx), or what was waited for failed, or the books do not agree.
    Refused,
    /// The arguments, the file or the token are wrong; nothing was sent.
    Usage,
    /// No service there, or it failed (5xx): the same command may pass later.
    Unreachable,
    /// 409 or 412: the world is not as the command supposes.
    Conflict,
    /// Ctrl-C, as shells count it.
    Interrupted,
}

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Conflict => 4,
            Self::Interrupted => 130,
        }
    }

    /// What an HTTP status that is not a success means to a script.
    pub const fn of_status(status: u16) -> Self {
        match status {
            409 | 412 => Self::Conflict,
            400..=499 => Self::Refused,
            _ => Self::Unreachable,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_exit_code() {
        let codes = [400, 401, 403, 404, 409, 412, 413, 422, 428, 429, 500, 502, 503, 504, 302]
            .map(|status| (status, Exit::of_status(status).code()));
        insta::assert_compact_debug_snapshot!(codes, @"[(400, 1), (401, 1), (403, 1), (404, 1), (409, 4), (412, 4), (413, 1), (422, 1), (428, 1), (429, 1), (500, 3), (502, 3), (503, 3), (504, 3), (302, 3)]");
    }
}
