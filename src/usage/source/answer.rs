//! What a source answers, and what of it is believed. Pure. An answer is somebody else's text: it may be no JSON, half of it,
//! of other types, of another time, or say two things of one server.

use crate::usage::{point::Cause, point::Interval, track::AHEAD};
use serde::Deserialize;
use std::collections::BTreeMap;

/// More series are a mistake in the query.
const MOST_SERIES: usize = 100_000;

/// Why a question had no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("连接不上")]
    Unreachable,
    #[error("没有按时答复")]
    TimedOut,
    #[error("证书不被信任")]
    Untrusted,
    #[error("令牌文件读不出")]
    Token,
    #[error("要转到别处去（HTTP {0}），不跟随")]
    Redirected(u16),
    #[error("答复 HTTP {0}")]
    Status(u16),
    #[error("答复超过 32 MiB")]
    TooLarge,
    #[error("答复到一半断了")]
    CutShort,
    #[error("答复不是 Prometheus 的")]
    Garbage,
    /// Its own word for the kind of error.
    #[error("拒绝了查询（{0}）")]
    Refused(String),
    #[error("查询得出的不是所要的类型")]
    WrongType,
    #[error("得出的序列太多")]
    TooMany,
    #[error("答复的时间还没有到，两边的时钟不一致")]
    Future,
    #[error("答复的是很久以前")]
    Stale,
}

impl Failure {
    /// The stable word for programs and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Untrusted => "untrusted",
            Self::Token => "token_unreadable",
            Self::Redirected(_) => "redirected",
            Self::Status(_) => "http_status",
            Self::TooLarge => "too_large",
            Self::CutShort => "cut_short",
            Self::Garbage => "garbage",
            Self::Refused(_) => "refused",
            Self::WrongType => "wrong_type",
            Self::TooMany => "too_many_series",
            Self::Future => "future",
            Self::Stale => "stale",
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

/// A number of seconds since the epoch, and a value as text: `NaN` and `+Inf` have no form in JSON.
type Pair = (f64, String);

#[derive(Deserialize)]
struct Instant {
    metric: BTreeMap<String, String>,
    value: Pair,
}

#[derive(Deserialize)]
struct Range {
    metric: BTreeMap<String, String>,
    values: Vec<Pair>,
}

/// By instance: its value, or why it is not believed.
pub type Values = BTreeMap<String, Result<f64, Cause>>;

/// An instant in microseconds; an unreadable one lies nowhere.
#[allow(clippy::cast_possible_truncation, reason = "a cast saturates, and what is that far off is refused")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// What cannot be read as a number is as good as none; the fold refuses it by that name.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn result<T: for<'de> Deserialize<'de>>(body: &[u8], status: u16, kind: &str) -> Result<Vec<T>, Failure> {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let Some(envelope) = envelope else {
        return Err(if status == 200 { Failure::Garbage } else { Failure::Status(status) });
    };
    if envelope.status == "error" {
        let word = envelope.error_type.unwrap_or_default();
        return Err(Failure::Refused(crate::text::shown(&word)));
    }
    let Some(data) = envelope.data.filter(|_| status == 200 && envelope.status == "success") else {
        return Err(if status == 200 { Failure::Garbage } else { Failure::Status(status) });
    };
    if data.kind != kind {
        return Err(Failure::WrongType);
    }
    if data.result.as_array().is_some_and(|all| all.len() > MOST_SERIES) {
        return Err(Failure::TooMany);
    }
    serde_json::from_value(data.result).map_err(|_| Failure::Garbage)
}

/// The answer to a question of one instant, asked at `asked`: what is of another time is refused, all of it, since then the
/// two clocks or the source's own store are not to be relied on.
pub fn instant(body: &[u8], status: u16, label: &str, asked: i64, interval: Interval) -> Result<Values, Failure> {
    let mut values = Values::new();
    for series in result::<Instant>(body, status, "vector")? {
        let at = micros(series.value.0);
        if at > asked + AHEAD {
            return Err(Failure::Future);
        }
        if at < asked - interval.as_micros() * 5 / 2 {
            return Err(Failure::Stale);
        }
        // A series that names nobody speaks for nobody.
        let Some(instance) = series.metric.get(label) else { continue };
        let value = number(&series.value.1);
        values.entry(instance.clone()).and_modify(|known| *known = Err(Cause::Duplicated)).or_insert(Ok(value));
    }
    Ok(values)
}

/// The answer to a question of a time from `from` to `to`, about one instance: its values by their instants.
pub fn range(
    body: &[u8],
    status: u16,
    (label, instance): (&str, &str),
    (from, to): (i64, i64),
) -> Result<Result<BTreeMap<i64, f64>, Cause>, Failure> {
    let series = result::<Range>(body, status, "matrix")?;
    let mut ours = series.into_iter().filter(|one| one.metric.get(label).is_some_and(|name| name == instance));
    let Some(one) = ours.next() else { return Ok(Ok(BTreeMap::new())) };
    if ours.next().is_some() {
        return Ok(Err(Cause::Duplicated));
    }
    let mut values = BTreeMap::new();
    for (at, value) in one.values {
        let at = micros(at);
        if at < from {
            return Err(Failure::Stale);
        }
        if at > to {
            return Err(Failure::Future);
        }
        values.insert(at, number(&value));
    }
    Ok(Ok(values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_700_000_000_000_000;
    const SECONDS: f64 = 1_700_000_000.0;

    fn asked(body: &[u8], status: u16) -> Result<Values, Failure> {
        instant(body, status, "instance", NOW, Interval::MINUTE)
    }

    fn vector(series: &Value) -> Vec<u8> {
        json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string().into_bytes()
    }

    fn of(instance: &str, at: f64, value: &str) -> Value {
        json!({"metric": {"instance": instance, "job": "node"}, "value": [at, value]})
    }

    #[test]
    fn each_instance_has_its_value_and_whoever_is_named_twice_none() {
        let series = json!([
            of("a", SECONDS, "12.5"),
            of("b", SECONDS - 60.0, "NaN"),
            of("c", SECONDS, "+Inf"),
            of("d", SECONDS, "1"),
            of("d", SECONDS, "1"),
            {"metric": {}, "value": [SECONDS, "7"]},
        ]);
        let values = asked(&vector(&series), 200).unwrap();
        assert_eq!(values.len(), 4);
        assert_eq!(values["a"], Ok(12.5));
        assert!(values["b"].unwrap().is_nan() && values["c"].unwrap().is_infinite());
        assert_eq!(values["d"], Err(Cause::Duplicated));
    }

    #[test]
    fn what_is_of_another_time_is_refused() {
        for (off, wanted) in
            [(31.0, Some(Failure::Future)), (29.0, None), (-149.0, None), (-151.0, Some(Failure::Stale))]
        {
            let series = json!([of("a", SECONDS, "1"), of("b", SECONDS + off, "1")]);
            assert_eq!(asked(&vector(&series), 200).err(), wanted, "{off}");
        }
        assert_eq!(asked(&vector(&json!([of("a", 1e300, "1")])), 200), Err(Failure::Future));
    }

    #[test]
    fn every_answer_that_is_none_has_its_name() {
        let good = vector(&json!([of("a", SECONDS, "1")]));
        // Cut anywhere, it is no answer.
        for end in 0..good.len() {
            assert_eq!(asked(&good[..end], 200), Err(Failure::Garbage), "{end}");
        }
        let json = |value: Value| value.to_string().into_bytes();
        for (body, status, wanted) in [
            (b"<html>".to_vec(), 502, Failure::Status(502)),
            (b"\xff\xfe".to_vec(), 200, Failure::Garbage),
            (json(json!([])), 200, Failure::Garbage),
            (json(json!({"status": "success"})), 200, Failure::Garbage),
            (json(json!({"status": "odd", "data": {"resultType": "vector", "result": []}})), 200, Failure::Garbage),
            (vector(&json!([])), 500, Failure::Status(500)),
            (json(json!({"status": "error", "errorType": "bad_data"})), 400, Failure::Refused("bad_data".to_owned())),
            (json(json!({"status": "error", "errorType": "timeout"})), 200, Failure::Refused("timeout".to_owned())),
            (
                json(json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}})),
                200,
                Failure::WrongType,
            ),
            (vector(&json!({"a": 1})), 200, Failure::Garbage),
            (vector(&json!([{"metric": {"instance": 3}, "value": [SECONDS, "1"]}])), 200, Failure::Garbage),
            (vector(&json!([{"metric": {"instance": "a"}, "value": [SECONDS, 1]}])), 200, Failure::Garbage),
            (vector(&json!([{"metric": {"instance": "a"}, "values": []}])), 200, Failure::Garbage),
        ] {
            assert_eq!(asked(&body, status), Err(wanted), "{}", String::from_utf8_lossy(&body));
        }
        assert_eq!(asked(&vector(&json!([of("a", SECONDS, "1,5")])), 200).unwrap()["a"].map(f64::is_nan), Ok(true));
    }

    #[test]
    fn a_past_is_of_one_server_and_within_what_was_asked() {
        let matrix = |series: Value| {
            json!({"status": "success", "data": {"resultType": "matrix", "result": series}}).to_string().into_bytes()
        };
        let one = |name: &str, at: f64| json!({"metric": {"instance": name}, "values": [[SECONDS, "1"], [at, "2"]]});
        let read = |series| range(&matrix(series), 200, ("instance", "a"), (NOW, NOW + 60_000_000));
        let values = read(json!([one("b", SECONDS), one("a", SECONDS + 60.0)])).unwrap().unwrap();
        assert_eq!(values.into_iter().collect::<Vec<_>>(), [(NOW, 1.0), (NOW + 60_000_000, 2.0)]);
        assert_eq!(read(json!([])), Ok(Ok(BTreeMap::new())));
        assert_eq!(read(json!([one("a", SECONDS), one("a", SECONDS)])), Ok(Err(Cause::Duplicated)));
        assert_eq!(read(json!([one("a", SECONDS + 61.0)])), Err(Failure::Future));
        assert_eq!(read(json!([one("a", SECONDS - 1.0)])), Err(Failure::Stale));
    }
}
