//! Every expression, read by a parser that is not ours: each metric is one that the broker has, each label one that the
//! metric has, each value one that the label can have.

use super::queries;
use jiyue::{
    metrics::series::{self, Kind, Values},
    seeing::{boards, rules},
};
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{self, Expr, LabelModifier},
};
use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeSet<String>;

/// Names that may be asked for, and their labels with the values that are known.
struct Known(BTreeMap<String, BTreeMap<String, Option<Vec<String>>>>);

/// What a scrape adds to every series.
const SCRAPED: [&str; 2] = ["instance", "job"];

impl Known {
    fn metrics() -> Self {
        let mut known = BTreeMap::new();
        for series in series::ALL {
            let labels = || -> BTreeMap<String, Option<Vec<String>>> {
                let own = series.labels.iter().map(|label| {
                    let values = match label.values {
                        Values::Closed(values) => Some(values.iter().map(|value| (*value).to_owned()).collect()),
                        Values::Bounded(_) => None,
                    };
                    (label.name.to_owned(), values)
                });
                own.chain(SCRAPED.map(|label| (label.to_owned(), None))).collect()
            };
            if let Kind::Histogram(_) = series.kind {
                for part in ["sum", "count"] {
                    known.insert(format!("{}_{part}", series.name), labels());
                }
                let mut buckets = labels();
                buckets.insert("le".to_owned(), None);
                known.insert(format!("{}_bucket", series.name), buckets);
            } else {
                known.insert(series.name.to_owned(), labels());
            }
        }
        let alerts = ["alertname", "alertstate", "severity"].map(|label| (label.to_owned(), None));
        known.insert("ALERTS".to_owned(), alerts.into_iter().collect());
        Self(known)
    }

    /// The metrics, and what the rules record, each read before it is known.
    fn all() -> Self {
        let mut known = Self::metrics();
        for group in rules::groups() {
            for record in group.records {
                let mut labels: BTreeMap<_, _> =
                    known.read(&record.expression).unwrap().into_iter().map(|label| (label, None)).collect();
                labels.extend(record.labels.iter().map(|(label, _)| ((*label).to_owned(), None)));
                known.0.entry(record.name.to_owned()).or_default().extend(labels);
            }
        }
        known
    }

    /// The labels that its answer has.
    fn read(&self, expression: &str) -> Result<Labels, String> {
        let text = expression.replace("$__rate_interval", "5m");
        let tree = parser::parse(&text).map_err(|error| format!("{error}: {text}"))?;
        self.labels(&tree).map_err(|fault| format!("{fault}: {text}"))
    }

    fn selected(&self, name: Option<&String>, matchers: &[Matcher]) -> Result<Labels, String> {
        let name = name.ok_or("a selector without a name")?;
        let labels = self.0.get(name).ok_or_else(|| format!("no metric is called {name}"))?;
        for matcher in matchers {
            let values = labels.get(&matcher.name).ok_or_else(|| format!("{name} has no label {}", matcher.name))?;
            let wanted: Vec<_> = match matcher.op {
                MatchOp::Re(_) | MatchOp::NotRe(_) => matcher.value.split('|').collect(),
                MatchOp::Equal | MatchOp::NotEqual => vec![matcher.value.as_str()],
            };
            if let Some(values) = values
                && let Some(none) = wanted.iter().find(|value| !values.iter().any(|known| known == *value))
            {
                return Err(format!("{}of {name} is never {none}", matcher.name.clone() + " "));
            }
        }
        Ok(labels.keys().cloned().collect())
    }

    fn labels(&self, tree: &Expr) -> Result<Labels, String> {
        Ok(match tree {
            Expr::VectorSelector(one) => self.selected(one.name.as_ref(), &one.matchers.matchers)?,
            Expr::MatrixSelector(many) => self.selected(many.vs.name.as_ref(), &many.vs.matchers.matchers)?,
            Expr::Aggregate(sum) => {
                let inner = self.labels(&sum.expr)?;
                match &sum.modifier {
                    Some(LabelModifier::Include(by)) => {
                        let by: Labels = by.labels.iter().cloned().collect();
                        if let Some(none) = by.difference(&inner).next() {
                            return Err(format!("grouped by {none}, which is not there"));
                        }
                        by
                    }
                    Some(LabelModifier::Exclude(_)) => return Err("grouped without".to_owned()),
                    None if sum.param.is_some() => inner,
                    None => Labels::new(),
                }
            }
            Expr::Call(call) => {
                let mut inner = Labels::new();
                for argument in &call.args.args {
                    inner.extend(self.labels(argument)?);
                }
                let text = |n: usize| match call.args.args.get(n).map(|argument| &**argument) {
                    Some(Expr::StringLiteral(text)) => text.val.clone(),
                    other => panic!("no text: {other:?}"),
                };
                match call.func.name {
                    "histogram_quantile" if !inner.remove("le") => return Err("a quantile of no buckets".to_owned()),
                    "label_replace" if !inner.contains(&text(3)) => return Err(format!("no label {}", text(3))),
                    "absent" => return Ok(Labels::new()),
                    _ => {}
                }
                inner
            }
            Expr::Binary(both) => {
                let (left, right) = (self.labels(&both.lhs)?, self.labels(&both.rhs)?);
                if both.modifier.as_ref().is_some_and(|modifier| modifier.matching.is_some()) {
                    return Err("matched by a part of the labels".to_owned());
                }
                if !left.is_empty() && !right.is_empty() && left != right {
                    return Err(format!("{left:?} beside {right:?}"));
                }
                if left.is_empty() { right } else { left }
            }
            Expr::Paren(inner) => self.labels(&inner.expr)?,
            Expr::Unary(inner) => self.labels(&inner.expr)?,
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Labels::new(),
            Expr::Subquery(_) | Expr::Extension(_) => return Err("not one that we use".to_owned()),
        })
    }
}

/// The labels that a pattern names, between `open` and `close`.
fn named<'a>(pattern: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    pattern.split(open).skip(1).map(|rest| rest.split(close).next().unwrap().trim()).collect()
}

#[test]
fn every_expression_asks_for_what_there_is() {
    let known = Known::all();
    let mut read = 0;
    for board in boards::all() {
        for (title, expression, legend) in queries(&board.json()) {
            let labels = known.read(&expression).unwrap_or_else(|fault| panic!("{title}: {fault}"));
            for label in named(&legend, "{{", "}}") {
                assert!(labels.contains(label), "{title}: {legend} of {labels:?}");
            }
            read += 1;
        }
    }
    for group in rules::groups() {
        for record in &group.records {
            known.read(&record.expression).unwrap_or_else(|fault| panic!("{}: {fault}", record.name));
            read += 1;
        }
        for alert in &group.alerts {
            let labels = known.read(&alert.expression).unwrap_or_else(|fault| panic!("{}: {fault}", alert.name));
            for word in named(alert.summary, "$labels.", " ") {
                assert!(labels.contains(word), "{}: {word} of {labels:?}", alert.name);
            }
            let one_of_many = !labels.is_empty() && !alert.summary.contains("$labels");
            assert!(!one_of_many || labels == Labels::from(["state".to_owned()]), "{}: which of them?", alert.name);
            assert!(!alert.runbook.is_ascii() && alert.runbook.ends_with('。'), "{}", alert.name);
            read += 1;
        }
    }
    assert!(read > 120, "{read}");
}

#[test]
fn what_is_not_there_is_found_out() {
    let known = Known::all();
    for (offender, fault) in [
        ("jiyue_hostss", "no metric is called"),
        ("jiyue_hosts{zone=\"internet\"}", "has no label zone"),
        ("jiyue_hosts{state=\"lost\"}", "is never lost"),
        ("jiyue_alarms_open{kind=~\"foreign|strange\"}", "is never strange"),
        ("sum by (zone) (jiyue_hosts)", "grouped by zone"),
        (
            "histogram_quantile(0.5, sum by (route) (rate(jiyue_http_request_duration_seconds_bucket[5m])))",
            "no buckets",
        ),
        ("rate(jiyue_http_request_duration_seconds[5m])", "no metric is called"),
        ("sum(jiyue_hosts", "unclosed"),
        ("jiyue_usage_points_total / jiyue_requests_total", "beside"),
    ] {
        let found = known.read(offender).unwrap_err();
        assert!(found.contains(fault) || fault == "unclosed", "{offender}: {found}");
    }
}
