//! A hundred thousand random histories with gaps, nonsense, resets, late and doubled samples: none is called idle that was
//! busy or of which too little is known, and hardly a zombie of which enough is known is missed. What is known is counted
//! here by what was sent, not by what the product says.

use super::*;
use crate::{
    provider::reading::Reading,
    units::Bytes,
    usage::{Gauge, Open},
};
use std::{num::NonZero, thread};

const HISTORIES: u64 = 100_000;
const SEED: u64 = 20_261;
const DAYS: i64 = 35;
/// Two samples a day.
const SECONDS: i64 = 43_200;
const WINDOW: i64 = 31;

/// Numbers that look like chance and are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.roll()
    }

    fn below(&mut self, most: u32) -> u32 {
        (self.roll() * f64::from(most)) as u32
    }
}

/// What befalls a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Arrives,
    Lost,
    Late,
    Doubled,
    Ahead,
    NotANumber,
    Negative,
    Reborn,
    Untold,
}

/// How a machine was busy, if it was.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Truth {
    Zombie,
    Always,
    /// On some days of the window.
    Days,
    /// On some days, and only over the network.
    Network,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    busy: u32,
    busy_idle: u32,
    short: u32,
    short_idle: u32,
    short_not_unknown: u32,
    zombies: u32,
    found: u32,
    eligible: u32,
}

#[allow(clippy::too_many_lines, reason = "a history from its truth to its verdict, in one piece")]
fn one(set: &RuleSet, number: u64, tally: &mut Tally) {
    let dice = &mut Dice(SEED ^ number.wrapping_mul(0xd134_2543_de82_ef95));
    let truth = [Truth::Zombie, Truth::Zombie, Truth::Always, Truth::Days, Truth::Network][dice.below(5) as usize];
    let counts = dice.roll() < 0.5;
    let faults = [0.0, 0.004, 0.01, 0.03, 0.1, 0.4][dice.below(6) as usize];
    let busy_days: Vec<i64> = (0..3 + dice.below(10)).map(|n| (i64::from(n) * 7 + 1) % WINDOW).collect();
    let agents =
        [dice.between(0.1, 4.0), dice.between(5.0, 2_500.0), dice.between(5.0, 2_500.0), dice.between(10.0, 2e4)];
    let begins = time::day_begins(before(DAYS - 1));
    let (mut open, mut days) = (Open::default(), Vec::new());
    let (mut life, mut count) = (1, [1_u64; 4]);
    // Samples of the window, and of all time, that arrived: of CPU, received, sent and disk.
    let (mut known, mut known_ever) = ([0_i64; 4], [0_i64; 4]);
    let spoilt = (number % 4) as usize;
    let mut held = None;
    let interval = Interval::seconds(SECONDS as u32).expect("an interval");
    let samples = DAYS * 86_400 / SECONDS;
    for sample in 0..=samples {
        let n = DAYS - 1 - (sample - 1).max(0) * SECONDS / 86_400;
        let busy = match truth {
            Truth::Zombie => false,
            Truth::Always => true,
            Truth::Days | Truth::Network => busy_days.contains(&n),
        };
        let mut rates = agents.map(|rate| rate * dice.between(0.7, 1.3));
        if busy && truth == Truth::Network {
            let way = 1 + dice.below(2) as usize;
            rates[way] += dice.between(5e4, 5e6);
        } else if busy {
            rates[0] = dice.between(30.0, 100.0);
        }
        let fate = if dice.roll() >= faults || sample == 0 {
            Fate::Arrives
        } else {
            let any = [
                Fate::Lost,
                Fate::Late,
                Fate::Doubled,
                Fate::Ahead,
                Fate::NotANumber,
                Fate::Negative,
                Fate::Reborn,
                Fate::Untold,
            ];
            any[dice.below(8) as usize]
        };
        let stood = count;
        if matches!(fate, Fate::Reborn | Fate::Untold) && counts {
            life += u64::from(fate == Fate::Reborn);
            count = [1; 4];
        }
        // Of two vCPUs.
        let scales = [2e7, 1.0, 1.0, 1.0];
        for (count, (rate, scale)) in count.iter_mut().zip(rates.iter().zip(scales)) {
            *count += (rate * scale * SECONDS as f64) as u64;
        }
        let at = Timestamp::from_second(begins + sample * SECONDS).expect("an instant");
        let mut send = |open: &mut Open, at: Timestamp, now: Timestamp, instead: Option<f64>| {
            let step = if counts {
                let [cpu, received, sent, disk] = count;
                let reading = Reading {
                    at,
                    life,
                    vcpus: Some(2),
                    memory: Bytes::gib(4),
                    cpu_nanos: Some(cpu),
                    memory_used: Bytes::gib(1),
                    read_bytes: Some(1),
                    written_bytes: Some(disk),
                    received_bytes: Some(received),
                    sent_bytes: Some(sent),
                    guest: None,
                };
                open.take(&reading, interval, now)
            } else {
                let mut values = [rates[0], 20.0, rates[3], rates[1], rates[2]].map(Some);
                if let Some(instead) = instead {
                    values[[0, 3, 4, 2][spoilt]] = Some(instead);
                }
                open.take_gauge(&Gauge { at, vcpus: Some(2), values, logged_in: None, inbound: None }, interval, now)
            };
            days.extend(step.closed.map(|day| *day));
        };
        let release = held.take();
        match fate {
            Fate::Lost => {}
            Fate::Late => held = Some((at, n)),
            Fate::Ahead => send(&mut open, at + SignedDuration::from_hours(300), at, None),
            Fate::Doubled => (0..2).for_each(|_| send(&mut open, at, at, None)),
            Fate::NotANumber => send(&mut open, at, at, Some(f64::NAN)),
            Fate::Negative => send(&mut open, at, at, Some(-1.0)),
            Fate::Arrives | Fate::Reborn | Fate::Untold => send(&mut open, at, at, None),
        }
        if let Some((late, day)) = release {
            send(&mut open, late, at, None);
            // Nothing came before it after all.
            if matches!(fate, Fate::Lost | Fate::Late | Fate::Ahead) {
                for metric in 0..4 {
                    known_ever[metric] += 1;
                    known[metric] += i64::from(day < WINDOW);
                }
            }
        }
        // A counter's first reading, and a gauge's of the instant at which the first day begins, speak for no time.
        if sample > 0 {
            for metric in 0..4 {
                let whole = match fate {
                    Fate::Arrives | Fate::Doubled => true,
                    Fate::NotANumber | Fate::Negative => counts || metric != spoilt,
                    // A counter that began anew and is past where it stood looks as if it had only grown.
                    Fate::Untold => !counts || count[metric] >= stood[metric],
                    Fate::Reborn => !counts,
                    Fate::Lost | Fate::Late | Fate::Ahead => false,
                };
                known_ever[metric] += i64::from(whole);
                known[metric] += i64::from(whole && n < WINDOW);
            }
        }
    }
    days.extend(open.close_before(Date::MAX).map(|day| *day));
    let share = |known: [i64; 4], days: i64| {
        let least = known.into_iter().min().unwrap_or_default();
        least as f64 * SECONDS as f64 / (days * 86_400) as f64
    };
    let is_short = share(known, WINDOW) < 0.95;
    let judgement = judge(set, &Facts::default(), days.iter(), ON);
    let is_idle = judgement.verdict == Verdict::Idle;
    tally.eligible += u32::from(judgement.eligibility.eligible);
    if is_short {
        tally.short += 1;
        tally.short_idle += u32::from(is_idle);
        tally.short_not_unknown += u32::from(judgement.verdict != Verdict::Unknown);
    }
    if truth != Truth::Zombie {
        tally.busy += 1;
        tally.busy_idle += u32::from(is_idle);
    } else if !is_short && share(known_ever, DAYS) >= 0.95 {
        tally.zombies += 1;
        tally.found += u32::from(is_idle);
    }
}

#[test]
fn a_hundred_thousand_histories_and_none_is_called_idle_that_is_not() {
    let sets = sets();
    let set = sets.find(RuleSets::OWN).expect("our own");
    let workers = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let work = |worker: u64| {
            let mut tally = Tally::default();
            (worker..HISTORIES).step_by(workers as usize).for_each(|number| one(set, number, &mut tally));
            tally
        };
        let handles: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        handles.into_iter().map(|handle| handle.join().expect("a worker")).collect()
    });
    let sum = |of: fn(&Tally) -> u32| tallies.iter().map(of).sum::<u32>();
    println!(
        "{HISTORIES} histories, seed {SEED}: {} busy, of these {} called idle; {} known too little of, of these {} called idle; \
         {} of {} zombies found; {} eligible",
        sum(|t| t.busy),
        sum(|t| t.busy_idle),
        sum(|t| t.short),
        sum(|t| t.short_idle),
        sum(|t| t.found),
        sum(|t| t.zombies),
        sum(|t| t.eligible)
    );
    assert_eq!((sum(|t| t.busy_idle), sum(|t| t.short_idle), sum(|t| t.eligible)), (0, 0, 0));
    assert_eq!(sum(|t| t.short_not_unknown), 0);
    assert!(sum(|t| t.busy) > 50_000 && sum(|t| t.short) > 20_000 && sum(|t| t.zombies) > 15_000);
    assert!(f64::from(sum(|t| t.found)) >= 0.95 * f64::from(sum(|t| t.zombies)));
}
