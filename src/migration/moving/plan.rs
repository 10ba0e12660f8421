//! What is to be done next about a disk import, from what is known of both sides at this moment. Pure, and asked anew before
//! every deed: a broker that was killed anywhere goes on from whatever is so.
//!
//! Of two things that may run from one disk, neither is ever started unless the other was just seen to be off. A side that
//! cannot be asked is not off.

/// Whether one of the two runs, by a look a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Power {
    On,
    Off,
    /// It could not be asked.
    Unknown,
}

impl Power {
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Unknown];
}

/// Where it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The machine runs on the old disk.
    Go,
    /// The old guest runs as it did before.
    Back,
}

/// What is known of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    pub wish: Wish,
    pub old: Power,
    pub machine: Power,
    /// The old guest starts with its host. Of no meaning while that cannot be asked.
    pub autostart: bool,
    /// How the old guest was found is written down; nothing is done to it before.
    pub noted: bool,
    /// It ran then, and started with its host.
    pub ran: bool,
    pub autostarted: bool,
    /// All of its disk lies at the machine's host.
    pub copied: bool,
    /// What lies there was read back and has the digest of what was read.
    pub checked: bool,
    /// The machine's definition may name the imported disk; if not, it surely names its own.
    pub given: bool,
    /// It is to run from the imported disk, and somebody has started it from its own.
    pub astray: bool,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    /// Write down how the old guest was found.
    Note,
    StopMachine,
    /// The old guest no longer starts with its host.
    Quiet,
    StopOld,
    Copy,
    Check,
    /// The old guest ran after its disk was copied: the copy is not what it has now.
    Anew,
    /// The machine is to run on the imported disk from its next start on.
    Give,
    StartMachine,
    /// The machine has its own disk again.
    Take,
    StartOld,
    /// The old guest starts with its host again.
    Autostart,
    /// Somebody cannot be asked: nothing is done until that is over.
    WaitForOld,
    WaitForMachine,
    Done,
}

impl Deed {
    /// The stable English word used in logs, in an operation's step, and as a crash point.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::StopMachine => "stop_machine",
            Self::Quiet => "quiet",
            Self::StopOld => "stop_old",
            Self::Copy => "copy",
            Self::Check => "check",
            Self::Anew => "anew",
            Self::Give => "give",
            Self::StartMachine => "start_machine",
            Self::Take => "take",
            Self::StartOld => "start_old",
            Self::Autostart => "autostart",
            Self::WaitForOld => "wait_for_old",
            Self::WaitForMachine => "wait_for_machine",
            Self::Done => "done",
        }
    }
}

pub const fn next(facts: &Facts) -> Deed {
    match facts.wish {
        Wish::Go => forward(facts),
        Wish::Back => back(facts),
    }
}

const fn forward(facts: &Facts) -> Deed {
    if facts.given && matches!(facts.machine, Power::On) && !facts.astray {
        return Deed::Done;
    }
    if matches!(facts.old, Power::Unknown) {
        return Deed::WaitForOld;
    }
    if matches!(facts.machine, Power::Unknown) {
        return Deed::WaitForMachine;
    }
    if !facts.noted {
        return Deed::Note;
    }
    if matches!(facts.machine, Power::On) {
        return Deed::StopMachine;
    }
    if facts.autostart {
        return Deed::Quiet;
    }
    if matches!(facts.old, Power::On) {
        return if facts.copied || facts.checked { Deed::Anew } else { Deed::StopOld };
    }
    // From here on both are off.
    match (facts.copied, facts.checked, facts.given) {
        (false, ..) => Deed::Copy,
        (true, false, _) => Deed::Check,
        (true, true, false) => Deed::Give,
        (true, true, true) => Deed::StartMachine,
    }
}

const fn back(facts: &Facts) -> Deed {
    if !facts.noted {
        // Nothing was ever done to it.
        return Deed::Done;
    }
    if facts.given {
        return match facts.machine {
            Power::On => Deed::StopMachine,
            Power::Unknown => Deed::WaitForMachine,
            Power::Off => Deed::Take,
        };
    }
    if matches!(facts.old, Power::Unknown) {
        return Deed::WaitForOld;
    }
    if facts.ran && matches!(facts.old, Power::Off) {
        return match facts.machine {
            Power::On => Deed::StopMachine,
            Power::Unknown => Deed::WaitForMachine,
            Power::Off => Deed::StartOld,
        };
    }
    if facts.autostarted && !facts.autostart { Deed::Autostart } else { Deed::Done }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all() -> Vec<Facts> {
        let mut all = Vec::new();
        for wish in [Wish::Go, Wish::Back] {
            for old in Power::ALL {
                for machine in Power::ALL {
                    for bits in 0..=u8::MAX {
                        let bit = |n: u8| bits & (1 << n) != 0;
                        all.push(Facts {
                            wish,
                            old,
                            machine,
                            autostart: bit(0),
                            noted: bit(1),
                            ran: bit(2),
                            autostarted: bit(3),
                            copied: bit(4),
                            checked: bit(5),
                            given: bit(6),
                            astray: bit(7),
                        });
                    }
                }
            }
        }
        all
    }

    #[test]
    fn neither_is_started_unless_the_other_was_seen_to_be_off() {
        let mut started = (0, 0);
        for facts in all() {
            match next(&facts) {
                Deed::StartMachine => {
                    assert_eq!((facts.old, facts.machine), (Power::Off, Power::Off), "{facts:?}");
                    assert!(
                        facts.checked && facts.copied && facts.given && facts.noted && !facts.autostart,
                        "{facts:?}"
                    );
                    started.0 += 1;
                }
                Deed::StartOld => {
                    assert_eq!((facts.old, facts.machine), (Power::Off, Power::Off), "{facts:?}");
                    assert!(!facts.given && facts.ran && facts.noted, "{facts:?}");
                    started.1 += 1;
                }
                // A disk is copied, and changes hands, only while nobody runs.
                Deed::Copy | Deed::Check | Deed::Give => {
                    assert_eq!((facts.old, facts.machine), (Power::Off, Power::Off), "{facts:?}");
                }
                Deed::Take => assert_eq!(facts.machine, Power::Off, "{facts:?}"),
                Deed::Done if facts.wish == Wish::Go => {
                    assert!(facts.given && facts.machine == Power::On && !facts.astray, "{facts:?}");
                }
                Deed::Autostart => assert!(!facts.given, "{facts:?}"),
                _ => {}
            }
        }
        assert!(started.0 > 0 && started.1 > 0, "{started:?}");
    }

    #[test]
    fn nothing_is_done_to_an_old_guest_before_it_is_written_down_how_it_was_found() {
        for facts in all().into_iter().filter(|facts| !facts.noted) {
            let deed = next(&facts);
            let touches = matches!(
                deed,
                Deed::Quiet | Deed::StopOld | Deed::StartOld | Deed::Autostart | Deed::Copy | Deed::Give
            );
            assert!(!touches, "{facts:?}: {deed:?}");
        }
    }

    /// What a deed makes of the facts, when it is done as it should be.
    fn done(facts: Facts, deed: Deed) -> Facts {
        match deed {
            Deed::Note => Facts { noted: true, ran: facts.old == Power::On, autostarted: facts.autostart, ..facts },
            Deed::StopMachine => Facts { machine: Power::Off, astray: false, ..facts },
            Deed::Quiet => Facts { autostart: false, ..facts },
            Deed::StopOld => Facts { old: Power::Off, ..facts },
            Deed::Copy => Facts { copied: true, checked: false, ..facts },
            Deed::Check => Facts { checked: true, ..facts },
            Deed::Anew => Facts { copied: false, checked: false, ..facts },
            Deed::Give => Facts { given: true, ..facts },
            Deed::StartMachine => Facts { machine: Power::On, ..facts },
            Deed::Take => Facts { given: false, ..facts },
            Deed::StartOld => Facts { old: Power::On, ..facts },
            Deed::Autostart => Facts { autostart: true, ..facts },
            Deed::WaitForOld | Deed::WaitForMachine | Deed::Done => facts,
        }
    }

    /// From the beginning on, with a change of mind at any step: it comes to an end, and then exactly one of the two runs
    /// from the disk, as it did in the beginning.
    #[test]
    fn wherever_it_turns_back_exactly_one_runs_in_the_end() {
        let mut seen = HashSet::new();
        for (ran, autostart, machine) in [(true, true, Power::On), (true, false, Power::Off), (false, true, Power::On)]
        {
            let first = Facts {
                wish: Wish::Go,
                old: if ran { Power::On } else { Power::Off },
                machine,
                autostart,
                noted: false,
                ran: false,
                autostarted: false,
                copied: false,
                checked: false,
                given: false,
                astray: false,
            };
            for turn in 0..20 {
                let mut facts = first;
                for step in 0..40 {
                    if step == turn {
                        facts.wish = Wish::Back;
                    }
                    let deed = next(&facts);
                    seen.insert(deed);
                    if deed == Deed::Done && (facts.wish == Wish::Back || turn > 15) {
                        break;
                    }
                    facts = done(facts, deed);
                    let both = facts.old == Power::On && facts.machine == Power::On && facts.given;
                    assert!(!both, "two run from one disk after {deed:?}: {facts:?}");
                }
                assert_eq!(next(&facts), Deed::Done, "{facts:?}");
                if facts.wish == Wish::Back {
                    assert_eq!((facts.old == Power::On, facts.autostart), (ran, autostart), "{facts:?}");
                    assert!(!facts.given);
                } else {
                    assert_eq!((facts.old, facts.machine), (Power::Off, Power::On), "{facts:?}");
                }
            }
        }
        assert!(seen.contains(&Deed::StartMachine) && seen.contains(&Deed::Take) && seen.contains(&Deed::StartOld));
    }

    #[test]
    fn an_old_guest_that_ran_meanwhile_is_copied_anew() {
        let facts = Facts {
            wish: Wish::Go,
            old: Power::On,
            machine: Power::Off,
            autostart: false,
            noted: true,
            ran: true,
            autostarted: false,
            copied: true,
            checked: true,
            given: true,
            astray: false,
        };
        assert_eq!(next(&facts), Deed::Anew);
        assert_eq!(next(&done(facts, Deed::Anew)), Deed::StopOld);
    }
}
