//! How well reports are read and judged: sound ones must come back without a violation and with every value as meant, and
//! each planted defect must be found, alone, with the clause it breaks. `SEED=` and `N=` (of each sort) vary it.

use super::{
    defects::DEFECTS,
    expect::{self, Score},
    files::{self, Kind},
    generate::{self, Wish},
    model::Report,
    online::{self, Before, ONLINE},
    stage::Stage,
};
use crate::support::{self, Dice, broker::Setup};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// One file and what must come of it.
struct Case {
    report: Report,
    kind: Kind,
    planted: Option<Planted>,
    online: Option<usize>,
}

struct Planted {
    code: &'static str,
    basis: &'static str,
    /// Any of these; an empty list: anywhere.
    pointers: Vec<String>,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn sound(dice: &mut Dice, n: usize) -> Case {
    // Of twenty: four workbooks, two CSV files (one row of labels or pairs is all that CSV can hold).
    let kind = match n % 20 {
        3 | 9 | 15 | 19 => Kind::Xlsx,
        6 | 16 => Kind::Csv,
        _ => Kind::Docx,
    };
    let layout = match (kind, dice.below(2)) {
        (Kind::Csv, 0) => Some(super::model::Layout::HeaderRow),
        (Kind::Csv, _) => Some(super::model::Layout::Pairs),
        _ => None,
    };
    let plain = n % 10 == 1;
    let wish = Wish { layout, plain, sheet: kind != Kind::Docx, ..Wish::default() };
    Case {
        report: generate::sound(dice, &format!("s{n}"), wish),
        kind,
        planted: None,
        online: plain.then_some(usize::MAX),
    }
}

/// The n-th defect: all in turn, each time in its next phrasing.
fn defect(dice: &mut Dice, n: usize) -> Case {
    let (which, phrasing) = (n % (DEFECTS.len() + ONLINE.len()), n / (DEFECTS.len() + ONLINE.len()));
    let name = format!("d{n}");
    let Some(defect) = which.checked_sub(ONLINE.len()).map(|which| &DEFECTS[which]) else {
        let online = &ONLINE[which];
        let report = generate::sound(dice, &name, online::WISH);
        let pointers = if online.field.is_empty() { vec![] } else { vec![format!("/{}", online.field)] };
        let planted = Planted { code: online.code, basis: online.basis, pointers };
        return Case { report, kind: Kind::Docx, planted: Some(planted), online: Some(which) };
    };
    let mut report = generate::sound(dice, &name, defect.wish);
    let pointers = (defect.plant)(&mut report, dice, phrasing);
    Case {
        report,
        kind: Kind::Docx,
        planted: Some(Planted { code: defect.code, basis: defect.basis, pointers }),
        online: None,
    }
}

/// The broker's answer to a file.
struct Verdict {
    admissible: bool,
    body: Value,
}

/// The beginning of an answer that is none of those agreed on.
fn excerpt(body: &Value) -> String {
    body.to_string().chars().take(200).collect()
}

/// Runs the command on every file, as many at once as there are processors.
fn offline(setup: &Setup, files: &[&Path]) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let width = std::thread::available_parallelism().map_or(2, usize::from);
    let mut verdicts: BTreeMap<usize, Verdict> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            while let Some((n, file)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, files.get(n)?)))
            {
                done.push((n, check(setup, file)));
            }
            done
        };
        let workers: Vec<_> = (0..width).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    (0..files.len()).map(|n| verdicts.remove(&n).expect("each was run")).collect()
}

fn check(setup: &Setup, file: &Path) -> Verdict {
    let out = setup.cli(None, "", &["request", "check", &file.display().to_string(), "-o", "json"]);
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).ok();
    let body = read(&out.stdout).or_else(|| read(&out.stderr)).unwrap_or_else(|| {
        Value::String(
            [&out.stdout[..], &out.stderr[..]].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat(),
        )
    });
    Verdict { admissible: out.status.success(), body }
}

#[derive(Default)]
struct Tally {
    sound: (usize, usize),
    /// By code: planted, found.
    found: BTreeMap<&'static str, (usize, usize)>,
    extra: Vec<String>,
    missed: Vec<String>,
    values: Score,
    typed: Score,
    places: Score,
}

impl Tally {
    fn count(&mut self, case: &Case, verdict: &Verdict) {
        let empty = Vec::new();
        let errors = verdict.body["errors"].as_array().unwrap_or(&empty);
        let shown =
            |error: &Value| format!("{} {} {} {}", error["code"], error["pointer"], error["basis"], error["message"]);
        let name = &case.report.name;
        let Some(planted) = &case.planted else {
            self.sound.1 += 1;
            if verdict.admissible {
                self.sound.0 += 1;
            } else if errors.is_empty() {
                self.missed.push(format!("{name}: sound, answered {}", excerpt(&verdict.body)));
            }
            self.extra.extend(errors.iter().map(|error| format!("{name} (sound): {}", shown(error))));
            let paper = case.kind == Kind::Docx;
            self.values.add(expect::document(
                &case.report,
                &verdict.body,
                paper && case.report.style.application,
                paper,
            ));
            self.typed.add(expect::typed(&case.report, &verdict.body));
            if paper {
                self.places.add(expect::places(&case.report, &verdict.body));
            }
            return;
        };
        let hit = |error: &Value| {
            let pointer = error["pointer"].as_str().unwrap_or_default();
            // What is said once may be told of the report or of a block.
            let there = planted.pointers.is_empty()
                || planted
                    .pointers
                    .iter()
                    .any(|p| pointer == p || (p.rfind('/') == Some(0) && pointer.ends_with(p.as_str())));
            error["code"] == planted.code && error["basis"] == planted.basis && there
        };
        let entry = self.found.entry(planted.code).or_default();
        entry.0 += 1;
        let hits = errors.iter().filter(|error| hit(error)).count();
        if hits > 0 && !verdict.admissible {
            entry.1 += 1;
        } else {
            let answer = errors.iter().map(shown).collect::<Vec<_>>().join("; ");
            let answer = if errors.is_empty() { excerpt(&verdict.body) } else { answer };
            self.missed.push(format!(
                "{name}: {} ({}) at {:?}, answered {answer}",
                planted.code, planted.basis, planted.pointers
            ));
        }
        // One indicator is exceeded by every block that comes too late: each says so.
        let others = errors.iter().filter(|error| error["code"] != planted.code);
        self.extra.extend(others.map(|error| format!("{name} ({}): {}", planted.code, shown(error))));
    }

    fn perfect(&self) -> bool {
        self.sound.0 == self.sound.1
            && self.missed.is_empty()
            && self.extra.is_empty()
            && [&self.values, &self.typed, &self.places].iter().all(|score| score.missed.is_empty())
    }

    fn table(&self) -> String {
        let mut text = String::new();
        let mut list = |title: &str, lines: &[String]| {
            for line in lines.iter().take(setting("SHOW", 20).try_into().unwrap_or(20)) {
                _ = writeln!(text, "  {title}: {line}");
            }
        };
        list("missed", &self.missed);
        list("extra", &self.extra);
        list("value", &self.values.missed);
        list("typed", &self.typed.missed);
        list("place", &self.places.missed);
        _ = writeln!(text, "{:<44}{:>5}/{}", "sound, without violation", self.sound.0, self.sound.1);
        let all = self.found.values().fold((0, 0), |all, (planted, found)| (all.0 + planted, all.1 + found));
        _ = writeln!(text, "{:<44}{:>5}/{}", "defect found, with its code and clause", all.1, all.0);
        for (code, (planted, found)) in &self.found {
            _ = writeln!(text, "  {code:<42}{found:>5}/{planted}");
        }
        _ = writeln!(text, "{:<44}{:>5}", "violations that were not planted", self.extra.len());
        for (title, score) in [
            ("values as written", &self.values),
            ("values of the checked blocks", &self.typed),
            ("places", &self.places),
        ] {
            _ = writeln!(text, "{title:<44}{:>5}/{}", score.asked - score.missed.len(), score.asked);
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluation() {
    let began = Instant::now();
    let seed = setting("SEED", 1);
    let each = usize::try_from(setting("N", 100)).expect("a number");
    let mut dice = Dice::new(seed);
    let mut cases: Vec<Case> = (0..each).map(|n| sound(&mut dice, n)).collect();
    cases.extend((0..each).map(|n| defect(&mut dice, n)));
    let stage = Stage::new().await;
    for (n, case) in cases.iter_mut().enumerate() {
        let Some(which) = case.online else { continue };
        let online = ONLINE.get(which);
        let before = online.map_or(Before::Book, |online| online.before);
        let change = online.map_or(Before::unchanged(), |online| online.change);
        stage.prepare(&mut case.report, n, before, change).await;
    }
    let folder = support::scratch("forms");
    let reports: Vec<(&Report, Kind)> = cases.iter().map(|case| (&case.report, case.kind)).collect();
    let paths: Vec<PathBuf> = files::write(&folder, &reports);
    let rendered = began.elapsed();
    let here: Vec<&Path> = cases
        .iter()
        .zip(&paths)
        .filter(|(case, _)| case.planted.is_none() || case.online.is_none())
        .map(|(_, p)| p.as_path())
        .collect();
    let mut verdicts = offline(&stage.broker.setup, &here).into_iter();
    let mut tally = Tally::default();
    for (case, path) in cases.iter().zip(&paths) {
        if case.planted.is_none() || case.online.is_none() {
            tally.count(case, &verdicts.next().expect("one for each"));
        }
        if let Some(which) = case.online {
            let again = ONLINE.get(which).is_some_and(|online| online.before == Before::Submitted);
            let reply = stage.check(&case.report, path, again).await;
            tally.count(case, &Verdict { admissible: reply.status == 200, body: reply.json() });
        }
    }
    println!(
        "{}SEED={seed} N={each}; {rendered:.1?} to write and render, {:.1?} in all",
        tally.table(),
        began.elapsed()
    );
    assert!(tally.perfect(), "see the table; the files are in {}", folder.display());
    let _ = std::fs::remove_dir_all(folder);
}
