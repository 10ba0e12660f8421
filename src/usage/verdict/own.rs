//! Our own rule. A machine is idle where enough is known of it, nothing of what is known shows use beyond what its system
//! does by itself, and nothing of what was before says that it is only waiting. Any doubt makes it low or unknown.

use super::{
    Coverage, Cycle, Eligibility, Facts, Figure, Judgement, Owner, RuleSet, Span, Thresholds, Verdict, cycle,
    days_before, days_between,
    judgement::rounded,
    levels::{self, CORE, Levels},
    past::Past,
    reason::{Code, Reason},
    rhythm,
};
use crate::usage::{point::Metric, window::Window};
use jiff::civil::Date;

pub fn judge(set: &RuleSet, t: &Thresholds, facts: &Facts, recent: &Window, year: &Past) -> Judgement {
    let on = recent.to();
    let mut case = Case { t, facts, recent, year, figures: Vec::new(), reasons: Vec::new() };
    let exempt = facts.exempt_until.is_some_and(|until| on <= until);
    let mut work = Vec::new();
    let verdict = if exempt {
        case.reasons.push(Code::ExemptUntil);
        Verdict::Exempt
    } else if case.is_unknown() {
        Verdict::Unknown
    } else {
        let levels = Levels::of(recent, facts, t);
        let worked = levels.worked(recent, year, t);
        work = cycle::spans(&worked, t);
        case.verdict(&levels, &worked, &work)
    };
    let eligibility = case.eligibility(verdict, !work.is_empty());
    let history = year.first_evidence().map(|from| Coverage {
        span: Span { from, to: on },
        all: rounded(year.coverage()),
        by_metric: Metric::ALL.map(|metric| rounded(year.coverage_of(metric))),
    });
    Judgement {
        rule_set: set.name.clone(),
        rule_version: set.version,
        day: on,
        verdict,
        reasons: case.reasons.into_iter().map(Reason::from).collect(),
        eligibility,
        window: Coverage::of(recent),
        history,
        work,
        figures: case.figures,
        facts: *facts,
    }
}

struct Case<'a> {
    t: &'a Thresholds,
    facts: &'a Facts,
    recent: &'a Window,
    year: &'a Past,
    figures: Vec<Figure>,
    reasons: Vec<Code>,
}

/// The names under which a figure of each of [`CORE`] is kept.
type Names = [&'static str; 4];
const STEADY: Names = ["cpu_steady", "received_steady", "sent_steady", "disk_steady"];
const COVERAGE: Names = ["cpu_coverage", "received_coverage", "sent_coverage", "disk_coverage"];
const UNITS: Names = ["vcpus", "bytes_per_second", "bytes_per_second", "bytes_per_second"];

#[allow(clippy::cast_precision_loss, reason = "counts become figures for people and thresholds")]
const fn float(count: u64) -> f64 {
    count as f64
}

impl Case<'_> {
    fn is_unknown(&mut self) -> bool {
        let (t, recent) = (self.t, self.recent);
        let mut codes = Vec::new();
        let mut signals = 0;
        let all = recent.coverage();
        self.figures.push(Figure::at_least("coverage", "share", Some(all), t.coverage));
        let mut short = all < t.coverage;
        self.figures.push(Figure::at_least("history_coverage", "share", Some(self.year.coverage()), t.coverage));
        for (metric, name) in CORE.into_iter().zip(COVERAGE) {
            let covered = recent.coverage_of(metric);
            signals += u32::from(covered >= t.coverage);
            // What a source never tells is no signal. What it tells now and then is missing.
            if self.year.knows(metric) {
                self.figures.push(Figure::at_least(name, "share", Some(covered), t.coverage));
                short |= covered < t.coverage;
            }
        }
        let presence = presence(recent);
        let samples = float(recent.samples()) * t.coverage;
        signals += u32::from(presence.asked > 0 && float(presence.asked) >= samples);
        signals += u32::from(presence.counted > 0 && float(presence.counted) >= samples);
        self.figures.push(Figure::at_least("signals", "signals", Some(f64::from(signals)), f64::from(t.signals)));
        let last = recent.last_days(1).first().map_or(0.0, |day| day.coverage);
        self.figures.push(Figure::at_least("last_day_coverage", "share", Some(last), t.coverage_last_day));
        for (is, code) in [
            (short, Code::CoverageShort),
            (last < t.coverage_last_day, Code::CollectorSilent),
            (signals < t.signals || recent.coverage_of(Metric::Cpu) < t.coverage, Code::TooFewSignals),
        ] {
            if is {
                codes.push(code);
            }
        }
        self.reasons.append(&mut codes);
        !self.reasons.is_empty()
    }

    /// Whether the time before the window has holes. They leave the verdict to the window, which speaks for itself; but what
    /// may have been in them is not known, and nothing is taken back on that.
    fn has_gaps(&self) -> bool {
        let short = |coverage: f64| coverage < self.t.coverage;
        let mut known = CORE.into_iter().filter(|metric| self.year.knows(*metric));
        short(self.year.coverage()) || known.any(|metric| short(self.year.coverage_of(metric)))
    }

    fn verdict(&mut self, levels: &Levels, worked: &[Date], work: &[Span]) -> Verdict {
        let (t, recent, on) = (self.t, self.recent, self.recent.to());
        let first = self.year.first_evidence().unwrap_or(on);
        let cycle = cycle::cycle(work, first, self.facts.created, recent.from(), on, t);
        let mut found = Vec::new();
        let forgotten = self.people(&mut found);
        let border = self.steady(levels, &mut found);
        self.daily(levels, &mut found);
        let days = worked.iter().filter(|day| **day >= recent.from()).count();
        self.figures.push(Figure::at_most("days_of_work", "days", Some(float(days as u64)), 0.0));
        if cycle == Cycle::Now {
            found.push(Code::BusyDays);
        }
        self.rhythm(worked, &mut found);
        let used = !found.is_empty();
        if !used {
            match cycle {
                Cycle::Recurring => found.push(Code::Recurring),
                Cycle::OnceAYear => found.push(Code::OnceAYear),
                // The turn that was missed may have come in a hole.
                Cycle::Missed if self.has_gaps() => found.push(Code::OnceAYear),
                _ => {}
            }
            self.replication(worked, &mut found);
        }
        let verdict = if used && self.is_busy() {
            Verdict::Busy
        } else if !found.is_empty() {
            if found.iter().all(|code| border.contains(code)) {
                found.push(Code::OnTheBorder);
            }
            Verdict::Low
        } else {
            found.push(Code::AllQuiet);
            match cycle {
                Cycle::Stopped | Cycle::Missed => found.push(Code::Stopped),
                Cycle::OnlyAtFirst => found.push(Code::OnlyAtFirst),
                _ => {}
            }
            if self.has_gaps() {
                found.push(Code::HistoryGaps);
            }
            Verdict::Idle
        };
        if forgotten {
            found.push(Code::LoginForgotten);
        }
        self.reasons.append(&mut found);
        verdict
    }

    /// Logins and connections. Whether a login was open all the time.
    fn people(&mut self, found: &mut Vec<Code>) -> bool {
        let (t, presence) = (self.t, presence(self.recent));
        let mut forgotten = false;
        if presence.asked > 0 {
            let share = float(presence.logged_in) / float(presence.asked);
            forgotten = share >= t.login_forgotten_share;
            let days = self.recent.days().iter().filter(|day| day.presence.logged_in > 0).count();
            self.figures.push(Figure::below("login_days", "days", Some(float(days as u64)), f64::from(t.login_days)));
            self.figures.push(Figure::below("login_share", "share", Some(share), t.login_forgotten_share));
            if !forgotten && float(days as u64) >= f64::from(t.login_days) {
                found.push(Code::LoggedIn);
            }
        }
        if presence.counted > 0 {
            let seconds = self.recent.coverage() * float(self.recent.length()) * 86_400.0;
            let rate = (seconds > 0.0).then(|| float(presence.inbound) / seconds);
            self.figures.push(Figure::below("inbound", "per_second", rate, t.inbound_per_second));
            if rate.is_some_and(|rate| rate >= t.inbound_per_second) {
                found.push(Code::Connected);
            }
        }
        forgotten
    }

    /// What it does without end. Answers those that a threshold cuts.
    fn steady(&mut self, levels: &Levels, found: &mut Vec<Code>) -> Vec<Code> {
        let mut border = Vec::new();
        let codes = [Code::SteadyCpu, Code::SteadyReceived, Code::SteadySent, Code::SteadyDisk];
        for core in 0..4 {
            let Some(middle) = levels.middle[core] else { continue };
            let figure = Figure::bounds_below(STEADY[core], UNITS[core], Some(middle), levels.steady_most[core]);
            // What lies on the border is not below it.
            if figure.held != super::Held::Certain {
                found.push(codes[core]);
            }
            if figure.held == super::Held::Possible {
                border.push(codes[core]);
            }
            self.figures.push(figure);
        }
        border
    }

    fn daily(&mut self, levels: &Levels, found: &mut Vec<Code>) {
        let names = [("cpu_daily", "vcpus"), ("received_daily", "bytes_per_second")];
        let figures =
            [0, 1].map(|n| Figure::at_most(names[n].0, names[n].1, levels.daily()[n], levels.upkeep(self.t)[n]));
        if figures.iter().any(|figure| figure.held == super::Held::Not) {
            found.push(Code::DailyWork);
        }
        self.figures.extend(figures);
    }

    /// Days since the last one of work.
    fn quiet(&self, worked: &[Date]) -> &[crate::usage::Figures] {
        let days = self.year.days();
        let first = worked.last().map_or(0, |last| days.partition_point(|day| day.date <= *last));
        &days[first..]
    }

    /// Of the quiet time alone: what was before would drown it.
    fn rhythm(&mut self, worked: &[Date], found: &mut Vec<Code>) {
        let t = self.t;
        let least = [t.rhythm_vcpus, t.rhythm_received, t.rhythm_sent];
        let rhythms = rhythm::rhythms(self.quiet(worked), t);
        let names = ["cpu_working_hours", "received_working_hours", "sent_working_hours"];
        self.figures.extend([0, 1, 2].map(|n| Figure::below(names[n], "z", Some(rhythms[n].z), t.rhythm_z)));
        // One that can be seen, or two that agree.
        let seen = |(rhythm, least): (&rhythm::Rhythm, f64)| {
            rhythm.z >= t.rhythm_z && rhythm.rise >= least.max(t.rhythm_share * rhythm.from)
        };
        let agree = rhythms.iter().filter(|rhythm| rhythm.z >= t.rhythm_both_z).count() >= 2;
        let inbound = rhythm::inbound(self.quiet(worked));
        if presence(self.recent).counted > 0 {
            self.figures.push(Figure::below("inbound_working_days", "z", Some(inbound.z), t.rhythm_z));
        }
        if inbound.z >= t.rhythm_z && inbound.rise >= t.rhythm_inbound {
            found.push(Code::Connected);
        }
        if agree || rhythms.iter().zip(least).any(seen) {
            found.push(Code::WorkingHours);
        }
    }

    /// A stream that comes in, goes nowhere and is written down. Broadcasts come in as well; but they are as steady as a
    /// clock, and data is not.
    fn replication(&mut self, worked: &[Date], found: &mut Vec<Code>) {
        let t = self.t;
        let at = |core, q| levels::percentile(self.recent, core, q, t.assumed_vcpus);
        let (Some(received), Some(high), Some(sent), Some(disk)) = (at(1, 50.0), at(1, 95.0), at(2, 50.0), at(3, 50.0))
        else {
            return;
        };
        let peer = self.facts.peer_busy == Some(true);
        // What was received was written: on days with more of the one there is more of the other.
        let together = rhythm::together(self.quiet(worked));
        let written =
            together.z >= t.replica_z && together.share >= t.replica_together && together.spread >= t.replica_spread;
        let (least, ratio) = match (peer, written) {
            (true, _) => (t.peer_received, t.peer_ratio),
            (false, true) => (t.replica_written, t.replica_ratio),
            (false, false) => (t.replica_received, t.replica_ratio),
        };
        let varies = high.low >= received.low * t.replica_variation;
        let stream = received.high >= least
            && received.high >= ratio * sent.low
            && disk.high >= t.replica_disk_share * received.low
            && (varies || written || peer);
        self.figures.push(Figure::bounds_below("replica_received", "bytes_per_second", Some(received), least));
        self.figures.push(Figure::below("replica_written", "share", Some(together.share), t.replica_together));
        if stream || (peer && disk.high >= t.peer_disk) {
            found.push(if peer { Code::Standby } else { Code::MayReplicate });
        }
    }

    fn is_busy(&self) -> bool {
        let (t, recent) = (self.t, self.recent);
        let above = |value: Option<f64>, least: f64| value.is_some_and(|value| value >= least);
        let high = recent.histogram(Metric::Cpu).percentile(95.0);
        above(recent.mean(Metric::Cpu), t.busy_cpu_mean_percent)
            || high.is_some_and(|high| high.low >= t.busy_cpu_p95_percent)
            || [Metric::Received, Metric::Sent].into_iter().any(|metric| above(recent.mean(metric), t.busy_rate))
    }

    /// Another question than the verdict. An owner may agree to what a year has not shown; nobody may to what is not idle.
    fn eligibility(&self, verdict: Verdict, worked: bool) -> Eligibility {
        let (t, on) = (self.t, self.year.to());
        let mut codes = Vec::new();
        if verdict != Verdict::Idle {
            codes.push(Code::NotIdle);
        }
        if self.facts.owner == Some(Owner::Objected) {
            codes.push(Code::OwnerObjected);
        }
        if self.facts.owner != Some(Owner::Agreed) {
            let before = codes.len();
            let days = self.year.days();
            let long = self
                .year
                .first_evidence()
                .is_some_and(|first| days_between(first, on) + 1 >= i64::from(t.history_days));
            if !long {
                codes.push(Code::HistoryShort);
            }
            let share =
                |day: &crate::usage::Figures| f64::from(day.presence.logged_in) / f64::from(day.presence.asked.max(1));
            let logged_in = days.iter().any(|day| day.presence.logged_in > 0 && share(day) < t.login_forgotten_share);
            if worked || logged_in {
                codes.push(Code::UsedWithinAYear);
            }
            let mut seen = days.iter().filter(|day| day.coverage >= 0.5).map(|day| day.date).collect::<Vec<_>>();
            seen.push(days_before(on, -1));
            if self.has_gaps() || seen.windows(2).any(|pair| days_between(pair[0], pair[1]) - 1 > i64::from(t.gap_days))
            {
                codes.push(Code::HistoryGaps);
            }
            // That nobody was there is known only where somebody looked.
            let asked: u64 = days.iter().map(|day| u64::from(day.presence.asked)).sum();
            if float(asked) < t.coverage * float(self.year.samples()) {
                codes.push(Code::LoginsUnknown);
            }
            if codes.len() > before {
                codes.push(Code::OwnerNotAgreed);
            }
        }
        Eligibility { eligible: codes.is_empty(), reasons: codes.into_iter().map(Reason::from).collect() }
    }
}

/// Samples and counts of the whole window.
struct Presence {
    asked: u64,
    logged_in: u64,
    counted: u64,
    inbound: u64,
}

fn presence(window: &Window) -> Presence {
    let mut sum = Presence { asked: 0, logged_in: 0, counted: 0, inbound: 0 };
    for day in window.days() {
        sum.asked += u64::from(day.presence.asked);
        sum.logged_in += u64::from(day.presence.logged_in);
        sum.counted += u64::from(day.presence.counted);
        sum.inbound = sum.inbound.saturating_add(day.presence.inbound);
    }
    sum
}
