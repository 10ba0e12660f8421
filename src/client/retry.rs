//! What is repeated, and when: pure.
//!
//! | | read | keyed | never |
//! |---|---|---|---|
//! | no connection came about | yes | yes | no |
//! | the answer got lost | yes | yes | no |
//! | 429, 503 | yes | only after what `Retry-After` says | no |
//! | 409 `idempotency_key_in_progress` | | yes | |
//! | any other answer | no | no | no |

use std::time::Duration;

/// What the service says while the first sending of a key is still at work.
const IN_PROGRESS: &str = "idempotency_key_in_progress";

/// What makes a call safe to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// It changes nothing.
    Read,
    /// The service knows it again by its key, and answers as the first time.
    Keyed,
    /// Done twice it would be done twice.
    Once,
}

/// What came in the way of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Not delivered.
    NotSent,
    /// Delivered perhaps, and carried out perhaps.
    Lost,
    Refused {
        status: u16,
        code: Option<String>,
        retry_after: Option<Duration>,
    },
}

/// How long to go on trying.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Sendings of one call, the first among them.
    pub attempts: u32,
    /// The first pause; each is twice the one before.
    pub first: Duration,
    /// No pause is longer, and no `Retry-After` beyond it is waited for.
    pub longest: Duration,
    /// No pause ends later than this after the first sending.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 4,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(20),
            total: Duration::from_secs(90),
        }
    }
}

impl Patience {
    /// Nothing is ever repeated.
    pub const NONE: Self = Self { attempts: 1, first: Duration::ZERO, longest: Duration::ZERO, total: Duration::ZERO };

    /// How long to wait before the call is sent again; `None` to give up. `sent` counts the sendings so far, `luck` lies
    /// between 0 and 1: many clients that failed together must not come back together.
    pub fn pause(
        &self,
        safety: Safety,
        setback: &Setback,
        sent: u32,
        elapsed: Duration,
        luck: f64,
    ) -> Option<Duration> {
        let (asked, counted) = repeatable(safety, setback)?;
        if counted && sent >= self.attempts {
            return None;
        }
        let pause = match asked {
            Some(asked) if asked > self.longest => return None,
            // Never earlier than asked, and not all at the same instant.
            Some(asked) => asked + self.first.mul_f64(luck.clamp(0.0, 1.0)),
            None => {
                let doubled = self.first.saturating_mul(1 << (sent.saturating_sub(1)).min(16)).min(self.longest);
                doubled.mul_f64(0.5 + luck.clamp(0.0, 1.0) / 2.0)
            }
        };
        (elapsed.saturating_add(pause) < self.total).then_some(pause)
    }
}

/// Whether the call may be repeated: after what wait, and whether this counts as one of its attempts.
fn repeatable(safety: Safety, setback: &Setback) -> Option<(Option<Duration>, bool)> {
    if safety == Safety::Once {
        return None;
    }
    match setback {
        Setback::NotSent | Setback::Lost => Some((None, true)),
        Setback::Refused { status: 429 | 503, retry_after, .. } if safety == Safety::Read || retry_after.is_some() => {
            Some((*retry_after, true))
        }
        // Ours, at work: its end is waited for as long as there is time.
        Setback::Refused { status: 409, code, retry_after }
            if safety == Safety::Keyed && code.as_deref() == Some(IN_PROGRESS) =>
        {
            Some((*retry_after, false))
        }
        Setback::Refused { .. } => None,
    }
}

/// Seconds; a date is too rare to be worth reading, and means an ordinary pause.
pub fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, retry_after: Option<u64>) -> Setback {
        Setback::Refused { status, code: Some(code.to_owned()), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn only_what_is_safe_is_repeated() {
        let said =
            |safety, setback: &Setback| Patience::default().pause(safety, setback, 1, Duration::ZERO, 0.0).is_some();
        let cases = [
            (Setback::NotSent, [true, true, false]),
            (Setback::Lost, [true, true, false]),
            (refused(503, "busy", Some(1)), [true, true, false]),
            (refused(503, "busy", None), [true, false, false]),
            (refused(429, "slow_down", Some(1)), [true, true, false]),
            (refused(429, "slow_down", None), [true, false, false]),
            (refused(409, IN_PROGRESS, None), [false, true, false]),
            (refused(409, "conflict", Some(1)), [false, false, false]),
            (refused(409, "idempotency_answer_gone", None), [false, false, false]),
            (refused(422, "idempotency_key_reused", None), [false, false, false]),
            (refused(500, "internal", Some(1)), [false, false, false]),
            (refused(502, "", None), [false, false, false]),
            (refused(404, "not_found", None), [false, false, false]),
        ];
        for (setback, wanted) in cases {
            let got = [Safety::Read, Safety::Keyed, Safety::Once].map(|safety| said(safety, &setback));
            assert_eq!(got, wanted, "{setback:?}");
        }
    }

    #[test]
    fn pauses_double_within_bounds_and_are_scattered() {
        let patience = Patience { attempts: 9, ..Patience::default() };
        let at = |sent, luck| {
            patience.pause(Safety::Read, &Setback::NotSent, sent, Duration::ZERO, luck).map(|p| p.as_millis())
        };
        let least: Vec<_> = (1..=9).map(|sent| at(sent, 0.0)).collect();
        assert_eq!(
            least,
            [Some(100), Some(200), Some(400), Some(800), Some(1600), Some(3200), Some(6400), Some(10_000), None]
        );
        assert_eq!((at(1, 1.0), at(8, 1.0)), (Some(200), Some(20_000)));
    }

    #[test]
    fn the_service_says_how_long_to_wait_but_not_for_ever() {
        let patience = Patience::default();
        let wait = |seconds, elapsed| {
            patience.pause(Safety::Read, &refused(503, "busy", Some(seconds)), 1, Duration::from_secs(elapsed), 0.0)
        };
        assert_eq!(wait(7, 0), Some(Duration::from_secs(7)));
        assert_eq!(wait(21, 0), None, "longer than anybody waits");
        assert_eq!(wait(7, 84), None, "later than the end of all patience");
        assert_eq!(
            (retry_after(" 12 "), retry_after("Fri, 31 Dec 2027 23:59:59 GMT")),
            (Some(Duration::from_secs(12)), None)
        );
    }

    #[test]
    fn an_act_at_work_is_waited_for_as_long_as_there_is_time() {
        let patience = Patience::default();
        let wait = |sent, elapsed| {
            patience.pause(Safety::Keyed, &refused(409, IN_PROGRESS, Some(1)), sent, Duration::from_secs(elapsed), 0.0)
        };
        assert!(wait(60, 60).is_some());
        assert!(wait(60, 90).is_none());
        assert!(Patience::NONE.pause(Safety::Read, &Setback::NotSent, 1, Duration::ZERO, 0.0).is_none());
    }
}
