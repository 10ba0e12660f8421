//! What to do next about a machine on its way, judged by what both hosts say now and by nothing that is remembered: a
//! broker, a libvirtd or a host may have died at any instant before.
//!
//! Two facts of libvirt carry it. A domain that comes in by migration stays paused, for that very reason, until its memory
//! and disk are there whole and the source has let go; so one that is paused so has never run. And the source stays paused
//! for the same reason once it has let go; so it must not go on before it is certain that the other side has not begun.

/// What one host has of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    Nothing,
    /// Something with its UUID or name that does not carry its mark.
    Foreign,
    /// Defined, not running.
    Off,
    /// It runs, or somebody other than a migration has paused it: its memory counts.
    Running,
    /// Paused by a migration. At the source: let go. At the destination: never begun.
    Held,
    /// A job of libvirt's is under way on it.
    Busy,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Only leftovers at the source are to be removed.
    Arrived,
    /// Send it running.
    Live,
    /// Send it at rest.
    Cold,
    /// A job is under way at the source, whoever began it: wait for its end.
    Follow,
    /// What is at the destination has never run, or is older than the source: remove it.
    ClearThere,
    /// The destination does not have it: let it go on where it is.
    Resume,
    /// It has begun at the destination: what the source still has must not.
    DropHere,
    /// Both have it at rest: the same disk means that it has arrived, another one that the copy is stale.
    Compare,
    /// Not ours to touch.
    Foreign,
    /// Neither host has it.
    Gone,
    /// Both run it. This is never brought about here, and nobody but a person can say which one counts.
    Both,
    /// The source has nothing and the destination has not begun: libvirt has yet to make up its mind.
    Wait,
}

pub const fn next(here: There, there: There) -> Step {
    use There::{Busy, Foreign, Held, Nothing, Off, Running};
    match (here, there) {
        (Foreign, _) | (_, Foreign) => Step::Foreign,
        (Nothing, Nothing) => Step::Gone,
        (Nothing, Off | Running) => Step::Arrived,
        (Nothing, Held | Busy) => Step::Wait,
        (Busy, _) => Step::Follow,
        (Running, Nothing) => Step::Live,
        (Running, Running) => Step::Both,
        // Never begun there; or at rest, and then the copy of an attempt given up, which the source has outrun.
        (Running, Off) | (Running | Held | Off, Held | Busy) => Step::ClearThere,
        (Held, Nothing) => Step::Resume,
        // At rest there: before anything is sent the destination is cleared, so it came, ran, and was switched off.
        (Held, Off) | (Held | Off, Running) => Step::DropHere,
        (Off, Nothing) => Step::Cold,
        (Off, Off) => Step::Compare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use There::{Busy, Foreign, Held, Nothing, Off, Running};

    const ALL: [There; 6] = [Nothing, Foreign, Off, Running, Held, Busy];

    /// Plays a step on both hosts; `None` where it ends.
    fn play(step: Step, here: There, there: There) -> Option<(There, There)> {
        match step {
            Step::Live => Some((Nothing, Running)),
            Step::Cold => Some((Off, Off)),
            Step::ClearThere => Some((here, Nothing)),
            Step::Follow | Step::Resume => Some((Running, there)),
            Step::DropHere | Step::Compare => Some((Nothing, there)),
            Step::Arrived | Step::Foreign | Step::Gone | Step::Both | Step::Wait => None,
        }
    }

    #[test]
    fn from_every_state_it_comes_to_an_end_and_never_runs_twice() {
        for here in ALL {
            for there in ALL {
                let (mut h, mut t, mut seen) = (here, there, Vec::new());
                loop {
                    let step = next(h, t);
                    assert!(!seen.contains(&step), "{here:?}/{there:?} goes round: {seen:?} {step:?}");
                    seen.push(step);
                    // What may be lost is never touched: neither the only one there is, nor one that runs.
                    if step == Step::ClearThere {
                        assert!(h != Nothing && t != Running, "{here:?}/{there:?}: {seen:?}");
                    }
                    if step == Step::DropHere {
                        assert!(
                            matches!(t, Off | Running) && !matches!(h, Running | Busy),
                            "{here:?}/{there:?}: {seen:?}"
                        );
                    }
                    if matches!(step, Step::Resume | Step::Live | Step::Cold) {
                        assert!(t == Nothing, "{here:?}/{there:?}: {seen:?}");
                    }
                    let Some(next) = play(step, h, t) else { break };
                    (h, t) = next;
                    assert!(
                        (h, t) != (Running, Running) || (here, there) == (Running, Running) || seen == [Step::Follow]
                    );
                }
                let ends = seen.last();
                let bad = [Foreign, Nothing].contains(&here)
                    || there == Foreign
                    || (there == Running && matches!(here, Running | Busy));
                assert!(ends == Some(&Step::Arrived) || bad, "{here:?}/{there:?} ends with {seen:?}");
            }
        }
    }

    #[test]
    fn nothing_that_is_not_ours_is_touched() {
        for other in ALL {
            assert_eq!((next(Foreign, other), next(other, Foreign)), (Step::Foreign, Step::Foreign));
        }
    }
}
