//! Expressions of Prometheus, put together from metrics' constants.
//!
//! A gauge that is read from the database is told by every broker alike, so it is counted once ([`once`]); a counter is each
//! broker's own, so all of them are added up ([`pace`]).

use super::words;
use crate::metrics::series::{Series, VCPUS};
use std::fmt::Write as _;

/// What a label has to be.
#[derive(Clone, Copy, Debug)]
pub enum Want<'a> {
    Is(&'a str),
    /// One of these.
    Among(&'a [&'a str]),
    Not(&'a str),
}

pub type Wants<'a> = &'a [(&'a str, Want<'a>)];

/// In a board, Grafana's own span for rates.
pub const IN_BOARD: &str = "$__rate_interval";

/// `name{label="value"}`
pub fn of(series: &Series, wants: Wants) -> String {
    named(series.name, wants)
}

/// The same, of a name that is not a metric's alone: a recorded one, or a part of a histogram.
pub fn named(name: &str, wants: Wants) -> String {
    let mut text = name.to_owned();
    if wants.is_empty() {
        return text;
    }
    let wants = wants.iter().map(|(label, want)| match want {
        Want::Is(value) => format!("{label}=\"{value}\""),
        Want::Among(values) => format!("{label}=~\"{}\"", values.join("|")),
        Want::Not(value) => format!("{label}!=\"{value}\""),
    });
    // Writing to a String cannot fail.
    let _ = write!(text, "{{{}}}", wants.collect::<Vec<_>>().join(", "));
    text
}

fn by(labels: &[&str]) -> String {
    if labels.is_empty() { String::new() } else { format!(" by ({})", labels.join(", ")) }
}

/// A gauge of the database's, by all its labels, however many brokers tell it.
pub fn once(series: &Series, wants: Wants) -> String {
    format!("max{} ({})", by(&series.label_names()), of(series, wants))
}

/// Such a gauge, added up.
pub fn total(series: &Series, wants: Wants, labels: &[&str]) -> String {
    format!("sum{} ({})", by(labels), once(series, wants))
}

/// What a counter gains per second, of all brokers.
pub fn pace(series: &Series, wants: Wants, labels: &[&str], span: &str) -> String {
    format!("sum{} (rate({}[{span}]))", by(labels), of(series, wants))
}

/// The same, of how often a histogram was told something.
pub fn times(series: &Series, wants: Wants, labels: &[&str], span: &str) -> String {
    format!("sum{} (rate({}[{span}]))", by(labels), named(&format!("{}_count", series.name), wants))
}

/// A quantile of a histogram, over all brokers.
pub fn quantile(q: f64, series: &Series, wants: Wants, labels: &[&str], span: &str) -> String {
    let buckets = named(&format!("{}_bucket", series.name), wants);
    let labels = [&["le"][..], labels].concat();
    format!("histogram_quantile({q}, sum{} (rate({buckets}[{span}])))", by(&labels))
}

/// With the zones' names as people say them.
pub fn zoned(expression: &str) -> String {
    words::ZONES.iter().fold(expression.to_owned(), |inner, (word, label)| {
        format!("label_replace({inner}, \"zone\", \"{label}\", \"zone\", \"{word}\")")
    })
}

/// One stage of one resource, by zone.
pub fn stage(series: &Series, stage: &str) -> String {
    debug_assert_eq!(series.labels, VCPUS.labels);
    total(series, &[("stage", Want::Is(stage))], &["zone"])
}
