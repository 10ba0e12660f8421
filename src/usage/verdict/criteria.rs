//! Rules that are lists of thresholds, as the public clouds publish theirs. They look at what there is and ask nothing about
//! what is missing; that is how they are published, and one more reason why nothing is reclaimed on their word.

use super::{
    Coverage, Criterion, Eligibility, Facts, Figure, Held, Judgement, RuleSet, Verdict,
    reason::{Code, Reason},
};
use crate::usage::{point::Metric, window::Window};

pub fn judge(set: &RuleSet, criteria: &[Criterion], facts: &Facts, window: &Window) -> Judgement {
    let figures: Vec<Figure> = criteria.iter().map(|criterion| figure(criterion, facts, window)).collect();
    let any = |held| figures.iter().any(|figure| figure.held == held);
    let (verdict, code) = if any(Held::Not) {
        (Verdict::Busy, Code::CriteriaNotMet)
    } else if any(Held::Unknown) {
        (Verdict::Unknown, Code::FigureMissing)
    } else if any(Held::Possible) {
        (Verdict::Low, Code::OnTheBorder)
    } else {
        (Verdict::Idle, Code::CriteriaMet)
    };
    Judgement {
        rule_set: set.name.clone(),
        rule_version: set.version,
        day: window.to(),
        verdict,
        reasons: vec![code.into()],
        eligibility: Eligibility { eligible: false, reasons: vec![Reason::from(Code::NotOurRule)] },
        window: Coverage::of(window),
        history: None,
        work: Vec::new(),
        figures,
        facts: *facts,
    }
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people and thresholds")]
fn figure(criterion: &Criterion, facts: &Facts, window: &Window) -> Figure {
    let days = window.days();
    let seen = days.iter().any(|day| day.samples > 0);
    let through = |day: &crate::usage::Figures| (day.traffic.received.saturating_add(day.traffic.sent)) as f64;
    match criterion {
        Criterion::QuietDays { cpu_percent, traffic_bytes, days: least } => {
            let quiet = days.iter().filter(|day| {
                day.mean[Metric::Cpu.index()].is_some_and(|cpu| cpu <= *cpu_percent)
                    && day.mean[Metric::Received.index()].or(day.mean[Metric::Sent.index()]).is_some()
                    && through(day) <= *traffic_bytes
            });
            Figure::at_least("quiet_days", "days", seen.then(|| quiet.count() as f64), f64::from(*least))
        }
        Criterion::CpuPeakBelow { percent } => Figure::below("cpu_peak", "percent", window.max(Metric::Cpu), *percent),
        Criterion::DailyTrafficBelow { bytes } => {
            let known = window.mean(Metric::Received).or(window.mean(Metric::Sent)).is_some();
            let most = days.iter().map(through).max_by(f64::total_cmp).filter(|_| known);
            Figure::below("daily_traffic_most", "bytes", most, *bytes)
        }
        Criterion::CpuBelow { vcpus, share } => {
            let held = window.share_below_vcpus(*vcpus).map(|share| (share.certain, share.possible));
            Figure::share_at_least("cpu_below", held, *share)
        }
        Criterion::PercentBelow { metric, percent, share } => {
            let metric = metric.metric();
            let held = window.histogram(metric).share_below(*percent);
            Figure::share_at_least(
                if metric == Metric::Memory { "memory_below" } else { "cpu_below" },
                held.map(|share| (share.certain, share.possible)),
                *share,
            )
        }
        Criterion::RateBelow { metric, bytes_per_second, share } => {
            let metric = metric.metric();
            let held = window.histogram(metric).share_below(*bytes_per_second);
            Figure::share_at_least(
                if metric == Metric::Sent { "sent_below" } else { "received_below" },
                held.map(|share| (share.certain, share.possible)),
                *share,
            )
        }
        Criterion::CpuMaximaBelow { percentile, percent } => {
            Figure::bounds_below("cpu_maxima_percentile", "percent", window.maxima().percentile(*percentile), *percent)
        }
        Criterion::CpuHalfHourAtMost { days, percent } => {
            Figure::at_most("cpu_half_hour_most", "percent", window.highest_half_hour(*days), *percent)
        }
        Criterion::SentOfLinkBelow { share } => {
            let of_link = window.mean(Metric::Sent).zip(facts.link).map(|(sent, link)| sent / link);
            Figure::below("sent_of_link", "share", of_link, *share)
        }
    }
}
