//! Idle rules held against machines of which it is known what they are.
//!
//! `cargo bench --bench eval_idle` (`DATA=trace.csv[.gz] INTERVAL=300 SEED=1 SEEDS=3 N=60
//! WRITE=docs/eval-idle.md VERBOSE=1`; `INTERVAL` is the trace's, in seconds)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "an evaluation fails by panicking")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "counts that are small, and figures for people"
)]

mod dice;
mod machines;
mod trace;

use dice::Dice;
use jiff::{SignedDuration, Timestamp, civil::Date};
use jiyue::{
    time,
    usage::{
        Day, Gauge, Interval, Open,
        verdict::{Judgement, RuleSets, Verdict, judge},
    },
};
use machines::{Kind, Machine, Sample};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

const HISTORY: i64 = 396;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What befalls the samples of a machine on their way.
#[derive(Clone, Copy)]
struct Loss {
    share: f64,
    /// Days of which nothing arrives.
    silent: (i64, i64),
}

/// The machine's days as they would be kept.
fn fold(machine: &Machine, first: Date, loss: Loss, dice: &mut Dice) -> Vec<Day> {
    let interval = Interval::seconds(300).expect("an interval");
    let (mut open, mut days) = (Open::default(), Vec::new());
    let size = f64::from(machine.cores);
    for number in machine.born..HISTORY {
        let date = first + SignedDuration::from_hours(24 * number);
        let begins = time::day_begins(date);
        if (loss.silent.0..loss.silent.1).contains(&number) {
            continue;
        }
        for (at, sample) in machine.day(number, date).into_iter().enumerate() {
            if dice.chance(loss.share) {
                continue;
            }
            let Sample { cpu, memory, disk, received, sent, logged_in, inbound } = sample;
            let instant = Timestamp::from_second(begins + (at as i64 + 1) * 300).expect("an instant");
            let gauge = Gauge {
                at: instant,
                vcpus: Some(machine.cores),
                values: [cpu * 100.0 / size, memory.min(100.0), disk, received, sent].map(Some),
                logged_in: machine.logins_known.then_some(logged_in),
                inbound: machine.inbound_known.then_some(inbound),
            };
            days.extend(open.take_gauge(&gauge, interval, instant).closed.map(|day| *day));
        }
    }
    days.extend(open.close_before(Date::MAX).map(|day| *day));
    days
}

/// How often a set called machines of a class idle.
#[derive(Clone, Copy, Default)]
struct Count {
    all: u32,
    idle: u32,
    unknown: u32,
    eligible: u32,
}

type Counts = BTreeMap<(String, String), Count>;

fn note(counts: &mut Counts, class: &str, judgement: &Judgement) {
    let count = counts.entry((judgement.rule_set.clone(), class.to_owned())).or_default();
    count.all += 1;
    count.idle += u32::from(judgement.verdict == Verdict::Idle);
    count.unknown += u32::from(judgement.verdict == Verdict::Unknown);
    count.eligible += u32::from(judgement.eligibility.eligible);
}

/// Precision, recall, F1.
fn score(counts: &Counts, set: &str, classes: &[(String, bool)]) -> (f64, f64, f64) {
    let (mut hit, mut wrong, mut missed) = (0.0, 0.0, 0.0);
    for (class, is_zombie) in classes {
        let Some(count) = counts.get(&(set.to_owned(), class.clone())) else { continue };
        if *is_zombie {
            hit += f64::from(count.idle);
            missed += f64::from(count.all - count.idle);
        } else {
            wrong += f64::from(count.idle);
        }
    }
    let of = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
    (of(hit, hit + wrong), of(hit, hit + missed), of(2.0 * hit, 2.0 * hit + wrong + missed))
}

fn table(out: &mut String, sets: &RuleSets, counts: &Counts, classes: &[(String, bool)]) {
    _ = writeln!(out, "| 规则集 | 精确率 | 召回率 | F1 | 可回收 |\n|---|---|---|---|---|");
    for set in sets.all() {
        let (precision, recall, f1) = score(counts, &set.name, classes);
        let eligible: u32 = classes
            .iter()
            .filter_map(|(class, _)| counts.get(&(set.name.clone(), class.clone())))
            .map(|count| count.eligible)
            .sum();
        _ = writeln!(out, "| {} | {precision:.3} | {recall:.3} | {f1:.3} | {eligible} |", set.name);
    }
    _ = writeln!(out);
    _ = write!(out, "| 类别 | 实际 | 台数 |");
    for set in sets.all() {
        _ = write!(out, " {} |", set.name);
    }
    _ = writeln!(out, "\n|---|---|---|{}", "---|".repeat(sets.all().len()));
    for (class, is_zombie) in classes {
        let count = |set: &str| counts.get(&(set.to_owned(), class.clone())).copied().unwrap_or_default();
        let truth = if *is_zombie { "闲置" } else { "在用" };
        _ = write!(out, "| {class} | {truth} | {} |", count(RuleSets::OWN).all);
        for set in sets.all() {
            let count = count(&set.name);
            let unknown =
                if count.unknown > 0 { format!("（{} 无法判断）", count.unknown) } else { String::new() };
            _ = write!(out, " {}{unknown} |", count.idle);
        }
        _ = writeln!(out);
    }
    _ = writeln!(out);
}

fn classes(kinds: &[Kind]) -> Vec<(String, bool)> {
    kinds.iter().map(|kind| (kind.word().to_owned(), kind.is_zombie())).collect()
}

struct Outcome {
    counts: Counts,
    idle_in_gaps: u32,
    gaps: u32,
    eligible_negatives: u32,
}

fn inject(sets: &RuleSets, seed: u64, per_kind: u64, borrowed: &[Vec<Sample>], on: Date, verbose: bool) -> Outcome {
    let first = on - SignedDuration::from_hours(24 * (HISTORY - 1));
    let mut outcome = Outcome { counts: Counts::new(), idle_in_gaps: 0, gaps: 0, eligible_negatives: 0 };
    for kind in Kind::ASKED.into_iter().chain(Kind::FURTHER) {
        for n in 0..per_kind {
            let own = seed.wrapping_mul(1_000_003) ^ ((kind as u64) << 32) ^ n;
            let mut dice = Dice::fork(own, 77);
            let machine = Machine::draw(kind, own, HISTORY, borrowed, first);
            let share = if dice.chance(0.5) { dice.between(0.0, 0.03) } else { 0.0 };
            let days = fold(&machine, first, Loss { share, silent: (0, 0) }, &mut dice);
            for set in sets.all() {
                let judgement = judge(set, &machine.facts, days.iter(), on);
                note(&mut outcome.counts, kind.word(), &judgement);
                if set.name == RuleSets::OWN {
                    outcome.eligible_negatives += u32::from(!kind.is_zombie() && judgement.eligibility.eligible);
                    if verbose && (judgement.verdict == Verdict::Idle) != kind.is_zombie() {
                        let codes: Vec<_> = judgement.reasons.iter().map(|reason| reason.code.word()).collect();
                        println!(
                            "WRONG {} #{n} {} cores {} {codes:?}",
                            kind.word(),
                            judgement.verdict.word(),
                            machine.cores
                        );
                        println!(
                            "   work {:?} from {} to {} born {} borrowed {} patch {:?} scan {:?}",
                            judgement.work.iter().map(|span| format!("{}..{}", span.from, span.to)).collect::<Vec<_>>(),
                            machine.from,
                            machine.to,
                            machine.born,
                            machine.noise.borrowed.is_some(),
                            machine.noise.patch,
                            machine.noise.scan
                        );
                        for figure in judgement
                            .figures
                            .iter()
                            .filter(|figure| figure.held != jiyue::usage::verdict::Held::Certain || !kind.is_zombie())
                        {
                            println!(
                                "   {} {:?}..{:?} / {} {:?}",
                                figure.name, figure.low, figure.high, figure.threshold, figure.held
                            );
                        }
                    }
                }
            }
            // The same machine, of which too little is known: in the window, or before it.
            if n % 4 == 0 {
                let share = dice.between(0.06, 0.4);
                let length = dice.whole(3, 25);
                let begins = dice.whole(HISTORY - 31, HISTORY - 1 - length / 2);
                let losses = [Loss { share, silent: (0, 0) }, Loss { share: 0.0, silent: (begins, begins + length) }];
                for loss in losses {
                    let days = fold(&machine, first, loss, &mut dice);
                    let own = sets.find(RuleSets::OWN).expect("our own set");
                    let judgement = judge(own, &machine.facts, days.iter(), on);
                    if judgement.window.all < 0.95 {
                        outcome.gaps += 1;
                        outcome.idle_in_gaps += u32::from(judgement.verdict == Verdict::Idle);
                    }
                }
            }
        }
    }
    outcome
}

#[allow(clippy::too_many_lines, reason = "the evaluation from its machines to its table")]
fn main() {
    let sets = RuleSets::embedded().expect("rule sets");
    let (seed, seeds, per_kind) = (number("SEED", 20_261), number("SEEDS", 3), number("N", 60));
    let verbose = number("VERBOSE", 0) > 0;
    let every = number("INTERVAL", 300);
    let interval = u32::try_from(every).ok().and_then(Interval::seconds).expect("INTERVAL is a number of seconds");
    let path = std::env::var_os("DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bitbrains-rnd-2013-08-100vms.csv.gz"),
        PathBuf::from,
    );
    let mut report = String::new();
    let traced = trace::read(&path, interval).unwrap_or_else(|| {
        println!("NO TRACE at {}: only injected machines are judged, with drawn noise alone", path.display());
        BTreeMap::new()
    });
    // The last day that is whole for most machines.
    let mut ends: Vec<Date> = traced
        .values()
        .filter_map(|machine| machine.days.iter().rev().find(|day| day.coverage() > 0.95))
        .map(Day::date)
        .collect();
    ends.sort();
    let on = ends.get(ends.len() / 2).copied().unwrap_or(Date::constant(2013, 8, 30));
    _ = writeln!(report, "## 轨迹\n");
    if !traced.is_empty() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let labelled = traced.values().filter(|machine| !machine.label.is_empty()).count();
        _ = writeln!(
            report,
            "`{name}`，{} 台，判定日 {on}，其中有标注 {labelled} 台。没有标注的只列出判定，不计分。\n",
            traced.len()
        );
        let (mut counts, mut verdicts) = (Counts::new(), BTreeMap::<(String, &str), u32>::new());
        let mut labels = BTreeMap::new();
        for (name, machine) in &traced {
            for set in sets.all() {
                let judgement = judge(set, &machine.facts, machine.days.iter(), on);
                *verdicts.entry((set.name.clone(), judgement.verdict.word())).or_default() += 1;
                if verbose && set.name == RuleSets::OWN {
                    let codes: Vec<_> = judgement.reasons.iter().map(|reason| reason.code.word()).collect();
                    println!("TRACE {name} {} {codes:?} {}", judgement.verdict.word(), machine.label);
                }
                if !machine.label.is_empty() {
                    let is_zombie = machine.label == "idle" || machine.label.starts_with("zombie");
                    labels.insert(machine.label.clone(), is_zombie);
                    note(&mut counts, &machine.label, &judgement);
                }
            }
        }
        _ = writeln!(report, "| 规则集 | 在用 | 低使用 | 闲置 | 无法判断 |\n|---|---|---|---|---|");
        for set in sets.all() {
            let of = |word| verdicts.get(&(set.name.clone(), word)).copied().unwrap_or_default();
            _ = writeln!(
                report,
                "| {} | {} | {} | {} | {} |",
                set.name,
                of("busy"),
                of("low"),
                of("idle"),
                of("unknown")
            );
        }
        _ = writeln!(report);
        if !labels.is_empty() {
            table(&mut report, &sets, &counts, &labels.into_iter().collect::<Vec<_>>());
        }
    }
    // Noise as it really is: of machines that use next to nothing, and that evenly. What is bursty may be use.
    let quiet = |machine: &&trace::Traced| {
        let (n, cores) = (machine.samples.len() as f64, f64::from(machine.cores));
        let mean = |of: fn(&Sample) -> f64| machine.samples.iter().map(of).sum::<f64>() / n;
        let even = |of: fn(&Sample) -> f64| {
            let mut sorted: Vec<f64> = machine.samples.iter().map(of).collect();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() * 99 / 100] <= 5.0 * sorted[sorted.len() / 2] + 3_000.0
        };
        n > 8_000.0
            && cores > 0.0
            && mean(|s| s.cpu) < 0.06
            && mean(|s| s.received) < 8e3
            && mean(|s| s.sent) < 8e3
            && mean(|s| s.disk) < 3e4
            && even(|s| s.received)
            && even(|s| s.sent)
            && even(|s| s.cpu * 1e5)
    };
    let borrowed: Vec<Vec<Sample>> = traced.values().filter(quiet).map(|machine| machine.samples.clone()).collect();
    println!("noise is borrowed from {} machines of the trace", borrowed.len());
    let mut fine = true;
    for seed in seed..seed + seeds {
        let began = std::time::Instant::now();
        let outcome = inject(&sets, seed, per_kind, &borrowed, on, verbose);
        _ = writeln!(report, "## 注入的虚拟机，种子 {seed}\n");
        let asked = classes(&Kind::ASKED);
        table(&mut report, &sets, &outcome.counts, &asked);
        _ = writeln!(report, "要求之外的类别：\n");
        table(&mut report, &sets, &outcome.counts, &classes(&Kind::FURTHER));
        _ = writeln!(
            report,
            "在用的虚拟机中被判为可回收：{}。覆盖不足 95% 的 {} 台次中被判为闲置：{}。\n",
            outcome.eligible_negatives, outcome.gaps, outcome.idle_in_gaps
        );
        let f1 = |set: &str| score(&outcome.counts, set, &asked).2;
        let best =
            sets.all().iter().filter(|set| set.name != RuleSets::OWN).map(|set| f1(&set.name)).fold(0.0, f64::max);
        let own = f1(RuleSets::OWN);
        fine &= own >= 0.95 && own - best >= 0.20 && outcome.eligible_negatives == 0 && outcome.idle_in_gaps == 0;
        println!("seed {seed}: own F1 {own:.3}, best of the others {best:.3}, {:.1} s", began.elapsed().as_secs_f64());
    }
    println!("{report}");
    if let Some(to) = std::env::var_os("WRITE") {
        let head = include_str!("head.md");
        std::fs::write(to, format!("{head}\n{report}")).expect("the report can be written");
    }
    assert!(fine, "our own rule misses what it owes");
}
