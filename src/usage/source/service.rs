//! From a source's answers to rows: asks, folds, writes in one transaction; and the past of one server, on demand.

use super::{
    Kind, Source,
    answer::{self, Failure, Values},
    query::Question,
    store::{self, Measured},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Tx},
    error::{Kind as Of, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    server::Server,
    time,
    usage::{
        day::Day,
        open::Open,
        point::{ByMetric, Cause, Interval, Metric},
        service::{Collector, Tally},
        store::{self as usage_store, Ending, Target},
        track::Gauge,
    },
};
use futures_util::future::join_all;
use jiff::{Timestamp, civil::Date};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Subjects that one transaction carries.
const MOST: usize = 200;
/// Values of one server that one question asks for; Prometheus itself gives 11,000.
const MOST_STEPS: i64 = 10_000;
/// Days that one call replays.
pub const MOST_DAYS: i64 = 92;

/// The key of a source's rounds.
pub fn origin(source: &str) -> String {
    format!("source/{source}")
}

/// What one round found, by question.
type Answers = BTreeMap<Question, Values>;

impl Question {
    const fn metric(self) -> Option<Metric> {
        match self {
            Self::Cpu => Some(Metric::Cpu),
            Self::Memory => Some(Metric::Memory),
            Self::Disk => Some(Metric::Disk),
            Self::Received => Some(Metric::Received),
            Self::Sent => Some(Metric::Sent),
            Self::Vcpus | Self::Logins | Self::Inbound => None,
        }
    }
}

/// A whole number of cores.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bounds that are looked at")]
fn cores(value: f64) -> Option<u32> {
    (1.0..=65_536.0).contains(&value).then(|| value.round() as u32)
}

/// What is said of one instance: nothing where no question has an answer for it, and why single answers are refused.
fn gauge(
    at: Timestamp,
    registered: Option<u32>,
    of: impl Fn(Question) -> Option<Result<f64, Cause>>,
) -> (Option<Gauge>, Vec<Cause>) {
    let (mut values, mut refused): (ByMetric<Option<f64>>, Vec<Cause>) = Default::default();
    for question in Question::ALL {
        match (question.metric(), of(question)) {
            (_, Some(Err(cause))) => refused.push(cause),
            (Some(metric), Some(Ok(value))) => {
                if let Some(slot) = values.get_mut(metric.index()) {
                    *slot = Some(value);
                }
            }
            _ => {}
        }
    }
    let vcpus = of(Question::Vcpus).and_then(Result::ok).and_then(cores).or(registered);
    let believed = |question| of(question).and_then(Result::ok).filter(|value| value.is_finite() && *value >= 0.0);
    let (logged_in, inbound) = (believed(Question::Logins).map(|logins| logins > 0.0), believed(Question::Inbound));
    let gauge = values.iter().any(Option::is_some).then_some(Gauge { at, vcpus, values, logged_in, inbound });
    (gauge, refused)
}

impl Collector {
    /// Asks one source, if its time has come and no other broker has taken it. What it does not answer, or not so that it
    /// can be believed, is unknown, and the reason is kept.
    pub async fn collect_source(&self, source: &Source) -> Result<(), DbError> {
        let origin = origin(&source.name);
        if !self.take(origin.clone(), source.interval).await? {
            return Ok(());
        }
        let at = self.db.clock().now();
        let (answers, failures) = ask_all(source, at).await;
        let mut ending = Ending::default();
        if !answers.is_empty() {
            let (tally, measured) = self.keep_answers(source, at, answers).await?;
            self.metrics.usage_folded(tally.points, &tally.causes);
            ending.measured = Some(measured);
        }
        if let Some((_, first)) = failures.first() {
            let text = failures.iter().map(|(question, failure)| format!("{}：{failure}", question.word()));
            let text = text.collect::<Vec<_>>().join("；");
            tracing::warn!(source = source.name, error = %text, "usage.source.unread");
            ending.failure = Some((first.word(), text));
        }
        let outcome = match &ending.failure {
            None => "done",
            Some(_) if ending.measured.is_some() => "partial",
            Some((code, _)) => code,
        };
        self.metrics.usage_source_round(&source.name, outcome);
        self.end(origin, ending).await
    }

    /// Folds one round into the days of those that the source measures. Answers how many it measured.
    async fn keep_answers(&self, source: &Source, at: Timestamp, answers: Answers) -> Result<(Tally, usize), DbError> {
        let when = (at, source.interval);
        let mut names: Vec<String> = Vec::new();
        if source.kind == Kind::Kubevirt {
            names.extend(answers.values().flat_map(BTreeMap::keys).cloned());
            names.sort_unstable();
            names.dedup();
        }
        let (answers, mut all, mut measured, mut after) = (Arc::new(answers), Tally::default(), 0, String::new());
        loop {
            let (answers, name, from) = (Arc::clone(&answers), source.name.clone(), after.clone());
            // Read in the transaction that writes: nobody else folds in between.
            let ((tally, seen), last) = self
                .db
                .housekeep(async move |tx| -> Result<_, DbError> {
                    let servers = store::servers_of(tx.conn(), &name, &from, MOST).await?;
                    let last = servers.last().map(|server| server.subject.id.clone());
                    Ok((fold(tx, &answers, servers, when).await?, last))
                })
                .await?;
            all.absorb(tally);
            measured += seen;
            let Some(last) = last else { break };
            after = last;
        }
        for names in names.chunks(MOST) {
            let (answers, names, clusters) = (Arc::clone(&answers), names.to_vec(), source.clusters.clone());
            let (tally, seen) = self
                .db
                .housekeep(async move |tx| -> Result<_, DbError> {
                    let machines = store::machines_named(tx.conn(), &names, &clusters).await?;
                    fold(tx, &answers, machines, when).await
                })
                .await?;
            all.absorb(tally);
            measured += seen;
        }
        Ok((all, measured))
    }
}

/// One transaction's part of those that a source measures. Answers what came of it, and how many had a value.
async fn fold(
    tx: &mut Tx,
    answers: &Answers,
    subjects: Vec<Measured>,
    (at, interval): (Timestamp, Interval),
) -> Result<(Tally, usize), DbError> {
    let (now, mut tally, mut said) = (tx.now(), Tally::default(), Vec::new());
    for one in &subjects {
        let (gauge, refused) = gauge(at, one.cores, |question| answers.get(&question)?.get(&one.instance).copied());
        match (&gauge, refused.first()) {
            // Nothing is written of it: it is unknown.
            (None, None) => tally.refuse("no_series"),
            (_, refused) => said.push((&one.subject, gauge, refused.copied())),
        }
    }
    let held: Vec<&Target> = said.iter().map(|(subject, ..)| *subject).collect();
    let (mut meters, mut closed, mut measured) = (usage_store::hold_meters(tx, &held).await?, Vec::new(), 0);
    for (meter, (subject, gauge, refused)) in meters.iter_mut().zip(&said) {
        if let Some(gauge) = gauge {
            let step = meter.open.take_gauge(gauge, interval, now);
            tally.add(&step);
            closed.extend(step.closed.map(|day| (&subject.id[..], day)));
            measured += 1;
        }
        if let Some(cause) = refused {
            meter.open.note(*cause);
            tally.refuse(cause.word());
        }
    }
    usage_store::keep_days(tx, &closed).await?;
    usage_store::keep_meters(tx, &meters).await?;
    Ok((tally, measured))
}

/// Every question of a source at one instant, side by side: one answer speaks for all that it measures.
async fn ask_all(source: &Source, at: Timestamp) -> (Answers, Vec<(Question, Failure)>) {
    let asked = at.as_microsecond();
    let questions = source.queries.of_all(source.interval);
    let outcomes = join_all(questions.iter().map(|(_, query)| ask_now(source, query, asked))).await;
    let (mut answers, mut failures) = (Answers::new(), Vec::new());
    for ((question, _), outcome) in questions.iter().zip(outcomes) {
        match outcome {
            Ok(values) => _ = answers.insert(*question, values),
            Err(failure) => failures.push((*question, failure)),
        }
    }
    (answers, failures)
}

async fn ask_now(source: &Source, query: &str, asked: i64) -> Result<Values, Failure> {
    let (body, status) = source.ask("query", &[("query", query), ("time", seconds(asked).as_str())]).await?;
    answer::instant(&body, status, &source.queries.label, asked, source.interval)
}

/// An instant as Prometheus takes it, to the millisecond, which is all it knows.
fn seconds(micros: i64) -> String {
    let millis = micros.div_euclid(1000);
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Days of which the source had samples.
    pub found: usize,
    /// Days of which nothing was known before.
    pub written: usize,
}

/// Reads a server's past from its source, day by day, and keeps each day of which nothing is known yet. So repeating it
/// changes nothing. The day under way is the collector's.
pub async fn replay(
    db: &Db,
    actor: &Actor,
    source: &Source,
    server: &Server,
    (from, to): (Date, Date),
) -> Result<Replayed, Problem> {
    policy::scope(actor, Act::ServerReplay)?;
    let instance = server.facts.measured.as_ref().map(|place| place.instance.as_str()).unwrap_or_default();
    let mut days: Vec<Day> = Vec::new();
    let (mut date, last) = (from, to.min(db.clock().today().yesterday().unwrap_or(Date::MIN)));
    while date <= last {
        let day = one_day(source, instance, server.facts.cores, date, db.clock().now()).await;
        let refused = |failure: Failure| {
            let detail = format!("来源 {} 没有给出 {date} 的用量（{failure}）；什么都没有写入", source.name);
            Problem::new(Of::Unavailable, "usage_source_failed", detail)
        };
        days.extend(day.map_err(refused)?.filter(|day| day.samples() > 0).map(|day| *day));
        let Ok(next) = date.tomorrow() else { break };
        date = next;
    }
    let (who, server, range, found) = (Who::from(actor), server.clone(), (from, to), days.len());
    let days = Arc::new(days);
    let written = db
        .write(async move |tx| -> Result<usize, Problem> {
            let target = Target { id: server.id.text(), department: server.department };
            // Held, so that nobody folds meanwhile.
            let meters = usage_store::hold_meters(tx, &[&target]).await?;
            let open = meters.first().and_then(|meter| meter.open.date());
            let subject = target.id;
            let known = usage_store::days(tx.conn(), std::slice::from_ref(&subject), range.0, range.1).await?;
            let known: BTreeSet<Date> = known.values().flatten().map(Day::date).collect();
            let new =
                days.iter().filter(|day| open.is_none_or(|open| day.date() < open) && !known.contains(&day.date()));
            let new: Vec<(&str, Box<Day>)> = new.map(|day| (&subject[..], Box::new(day.clone()))).collect();
            usage_store::keep_days(tx, &new).await?;
            let written = new.len();
            let record = Record {
                who: who.clone(),
                action: Act::ServerReplay.word(),
                object_type: "server",
                object_id: subject.clone(),
                department_id: Some(server.department.text()),
                outcome: Outcome::Done,
                detail: json!({"from": range.0, "to": range.1, "days_found": found, "days_written": written}),
            };
            audit::record(tx, record).await?;
            Ok(written)
        })
        .await?;
    Ok(Replayed { found, written })
}

/// One day of one server, folded as if it had been watched.
async fn one_day(
    source: &Source,
    instance: &str,
    cores: Option<u32>,
    date: Date,
    now: Timestamp,
) -> Result<Option<Box<Day>>, Failure> {
    let begins = time::day_begins(date) * 1_000_000;
    let step = source.interval.as_micros();
    let ends = begins + 86_400_000_000;
    let mut open = Open::default();
    let mut at = begins + step;
    while at <= ends {
        let end = ends.min(at + step * (MOST_STEPS - 1));
        let answers = ask_past(source, instance, (at, end)).await?;
        let instants: BTreeSet<i64> = answers
            .values()
            .filter_map(|values| values.as_ref().ok())
            .flat_map(|values| values.keys().copied())
            .collect();
        for instant in instants {
            let of = |question: Question| match answers.get(&question)? {
                Ok(values) => values.get(&instant).copied().map(Ok),
                Err(cause) => Some(Err(*cause)),
            };
            let (gauge, refused) = gauge(time::from_micros(instant), cores, of);
            refused.first().into_iter().for_each(|cause| open.note(*cause));
            if let Some(gauge) = gauge {
                open.take_gauge(&gauge, source.interval, now);
            }
        }
        at = end + step;
    }
    Ok(open.so_far().filter(|day| day.date() == date))
}

type Past = BTreeMap<Question, Result<BTreeMap<i64, f64>, Cause>>;

async fn ask_past(source: &Source, instance: &str, (from, to): (i64, i64)) -> Result<Past, Failure> {
    let (start, end, step) = (seconds(from), seconds(to), seconds(source.interval.as_micros()));
    let mut past = Past::new();
    for (question, query) in source.queries.of_one(source.interval, instance) {
        let form =
            [("query", query.as_str()), ("start", start.as_str()), ("end", end.as_str()), ("step", step.as_str())];
        let (body, status) = source.ask("query_range", &form).await?;
        past.insert(question, answer::range(&body, status, (&source.queries.label, instance), (from, to))?);
    }
    Ok(past)
}
