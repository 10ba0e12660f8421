//! From what a source tells to points. Remembers one reading per machine, and doubts each new one: what cannot be believed
//! is refused by name, metric by metric where it can be, and never guessed.

use super::{
    codec::{self, Broken, Reader},
    point::{ByMetric, Cause, Interval, Metric, Point, Traffic},
};
use crate::{provider::reading::Reading, units::Bytes};
use jiff::Timestamp;

/// How far a source's clock may be ahead of ours, in microseconds.
pub const AHEAD: i64 = 30_000_000;
/// What is a little above all there is comes of clocks that are read a moment apart, and counts as all; beyond this it is wrong.
const MOST_PERCENT: f64 = 110.0;
/// No machine moves more bytes a second.
const MOST_RATE: f64 = 1e12;

/// What a source that knows rates says of one instant (a Prometheus query, a trace). `None` is "does not tell".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    pub at: Timestamp,
    pub vcpus: Option<u32>,
    /// Percent of what is allocated, bytes per second; means over the source's interval before that instant.
    pub values: ByMetric<Option<f64>>,
    /// Whether anybody is logged in.
    pub logged_in: Option<bool>,
    /// Connections a second that others open to the machine, as `node_exporter`'s passive opens.
    pub inbound: Option<f64>,
}

/// What came of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken {
    pub point: Option<Point>,
    /// What was the matter with all of it.
    pub cause: Option<Cause>,
    /// What was the matter with single metrics.
    pub refused: ByMetric<Option<Cause>>,
}

impl Taken {
    const fn nothing(cause: Cause) -> Self {
        Self { point: None, cause: Some(cause), refused: [None; 5] }
    }

    /// Each cause once, however many metrics it refused.
    pub fn causes(&self) -> impl Iterator<Item = Cause> {
        let all = || self.cause.into_iter().chain(self.refused.into_iter().flatten());
        Cause::ALL.into_iter().filter(move |cause| all().any(|found| found == *cause))
    }
}

/// What is remembered of a machine's last reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// When it was, in microseconds since the epoch.
    at: Option<i64>,
    base: Option<Base>,
}

/// Where the counters stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Base {
    life: u64,
    vcpus: Option<u32>,
    cpu: Counter,
    read: Counter,
    written: Counter,
    received: Counter,
    sent: Counter,
}

/// One counter, and where it stood before it went back, until it is there again: the last time, and the highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counter {
    value: Option<u64>,
    peak: Option<u64>,
    highest: Option<u64>,
}

impl Counter {
    const fn new(value: Option<u64>) -> Self {
        Self { value, peak: None, highest: None }
    }

    /// How far it has come. One that went back is refused, and believed again from its next growth on; but where it returns
    /// to a peak the way there is refused too, since a counter that was misread once (a dip to zero) does just that, and
    /// the whole of its past would look like one minute's traffic.
    fn step(&mut self, new: Option<u64>) -> Result<Option<u64>, Cause> {
        let (Some(old), Some(new)) = (std::mem::replace(&mut self.value, new), new) else {
            return Ok(None);
        };
        let Some(grown) = new.checked_sub(old) else {
            self.peak = Some(old);
            self.highest = self.highest.max(Some(old));
            return Err(Cause::Back);
        };
        let reached = |peak: &mut Option<u64>| peak.take_if(|peak| new >= *peak).is_some();
        // Both are looked at: one that is passed is forgotten.
        if reached(&mut self.peak) | reached(&mut self.highest) { Err(Cause::Back) } else { Ok(Some(grown)) }
    }
}

/// Sums that one part of is missing are missing; sums that one part of was refused are refused.
fn both(one: Result<Option<u64>, Cause>, other: Result<Option<u64>, Cause>) -> Result<Option<u64>, Cause> {
    Ok(one?.zip(other?).map(|(one, other)| one.saturating_add(other)))
}

/// A value as its metric may have it.
fn believed(metric: Metric, value: f64) -> Result<f64, Cause> {
    let most = match metric {
        Metric::Cpu | Metric::Memory => MOST_PERCENT,
        Metric::Disk | Metric::Received | Metric::Sent => MOST_RATE,
    };
    match value {
        _ if !value.is_finite() => Err(Cause::NotANumber),
        _ if value < 0.0 => Err(Cause::Negative),
        _ if value > most => Err(Cause::Impossible),
        _ if most == MOST_PERCENT => Ok(value.min(100.0)),
        _ => Ok(value),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a quotient of counters needs no more than 53 bits")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates; values are not negative")]
fn whole(bytes: f64) -> u64 {
    (bytes + 0.5) as u64
}

impl Track {
    /// The instant of the last reading that was taken, in microseconds since the epoch.
    pub const fn last(&self) -> Option<i64> {
        self.at
    }

    /// The next reading of a source that counts.
    ///
    /// A new life gives no point: how much of the time the machine was off, and what its counters began from, is not known
    /// (a network card may outlive its guest). The life's own next readings do. Over a gap within one life only bytes are
    /// known, not when they went.
    pub fn take(&mut self, reading: &Reading, interval: Interval, now: Timestamp) -> Taken {
        let at = reading.at.as_microsecond();
        let last = match self.admit(at, interval, now) {
            Ok(last) => last,
            Err(cause) => return Taken::nothing(cause),
        };
        self.at = Some(at);
        let Some((from, base)) = last.zip(self.base.as_mut()) else {
            self.base = Some(Base::of(reading));
            return Taken::nothing(if last.is_none() { Cause::First } else { Cause::Reset });
        };
        if base.life != reading.life {
            *base = Base::of(reading);
            return Taken::nothing(Cause::Reset);
        }
        let gap = at - from > interval.as_micros() * 5 / 2;
        let mut taken = Taken { point: None, cause: gap.then_some(Cause::Gap), refused: [None; 5] };
        // By the larger of two sizes: a machine that was resized in between could have run on all of them, so that this
        // never says more than it did.
        let vcpus = base.vcpus.max(reading.vcpus).filter(|vcpus| *vcpus > 0);
        base.vcpus = reading.vcpus;
        let logged_in = reading.guest.as_ref().map(|guest| !guest.logins.is_empty());
        let mut point = Point { logged_in, ..Point::new(from, at, interval, vcpus) };
        let seconds = float((at - from).unsigned_abs()) / 1e6;
        let disk = both(base.read.step(reading.read_bytes), base.written.step(reading.written_bytes));
        let cpu = base.cpu.step(reading.cpu_nanos);
        let steps = [
            (Metric::Disk, disk),
            (Metric::Received, base.received.step(reading.received_bytes)),
            (Metric::Sent, base.sent.step(reading.sent_bytes)),
        ];
        let cpu = cpu.map(|nanos| nanos.zip(vcpus).map(|(nanos, n)| float(nanos) / (seconds * f64::from(n) * 1e7)));
        taken.put(&mut point, Metric::Cpu, cpu, gap);
        taken.put(&mut point, Metric::Memory, Ok(memory(reading)), gap);
        for (metric, step) in steps {
            let rate = step.map(|bytes| bytes.map(|bytes| float(bytes) / seconds));
            if taken.put(&mut point, metric, rate, gap)
                && let Ok(Some(bytes)) = step
            {
                point.traffic.add(Traffic::of(metric, bytes));
            }
        }
        taken.point = Some(point);
        taken
    }

    /// The next reading of a source that knows rates. Each stands for the interval before it, or what of that the last one
    /// left: what came before is a gap that nobody can say anything of.
    pub fn take_gauge(&mut self, gauge: &Gauge, interval: Interval, now: Timestamp) -> Taken {
        let at = gauge.at.as_microsecond();
        let last = match self.admit(at, interval, now) {
            Ok(last) => last,
            Err(cause) => return Taken::nothing(cause),
        };
        // Counters, if there were any, are those of another source.
        *self = Self { at: Some(at), base: None };
        let began = at - interval.as_micros();
        let from = last.map_or(began, |last| began.max(last));
        let gap = last.is_some_and(|last| at - last > interval.as_micros() * 5 / 2);
        let mut taken = Taken { point: None, cause: gap.then_some(Cause::Gap), refused: [None; 5] };
        let vcpus = gauge.vcpus.filter(|vcpus| *vcpus > 0);
        let seconds = float((at - from).unsigned_abs()) / 1e6;
        // What is no quantity is as good as not told.
        let inbound = gauge.inbound.filter(|rate| (0.0..MOST_RATE).contains(rate)).map(|rate| whole(rate * seconds));
        let mut point = Point { logged_in: gauge.logged_in, inbound, ..Point::new(from, at, interval, vcpus) };
        for (metric, value) in Metric::ALL.into_iter().zip(gauge.values) {
            if taken.put(&mut point, metric, Ok(value), false)
                && let Some(rate) = value
            {
                point.traffic.add(Traffic::of(metric, whole(rate * seconds)));
            }
        }
        taken.point = Some(point);
        taken
    }

    /// When the last reading was, if this one may follow it.
    fn admit(&mut self, at: i64, interval: Interval, now: Timestamp) -> Result<Option<i64>, Cause> {
        let latest = now.as_microsecond().saturating_add(AHEAD);
        if at > latest {
            return Err(Cause::Future);
        }
        let Some(last) = self.at else { return Ok(None) };
        if last > latest {
            // Else nothing would be believed until our clock is there again.
            *self = Self { at: Some(at), base: None };
            return Err(Cause::ClockSet);
        }
        match at - last {
            0 => Err(Cause::Doubled),
            ..0 => Err(Cause::Late),
            // Samples that crowd together would outweigh the others. The counters stay where they were, so that the next
            // one in time speaks for this one too.
            since if since < interval.as_micros() / 2 => Err(Cause::Early),
            _ => Ok(Some(last)),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.at.is_some()) + u8::from(self.base.is_some()));
        if let Some(at) = self.at {
            codec::write_signed(out, at);
        }
        if let Some(base) = &self.base {
            codec::write(out, base.life);
            codec::write_option(out, base.vcpus.map(u64::from));
            for counter in [base.cpu, base.read, base.written, base.received, base.sent] {
                codec::write_option(out, counter.value);
                codec::write_option(out, counter.peak);
                codec::write_option(out, counter.highest);
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Broken> {
        let parts = reader.byte()?;
        if parts > 2 {
            return Err(Broken::Value("what is known of the last reading"));
        }
        let at = if parts > 0 { Some(reader.signed()?) } else { None };
        if at.is_some_and(|at| Timestamp::from_microsecond(at).is_err()) {
            return Err(Broken::Value("an instant"));
        }
        let base = if parts > 1 { Some(Base::read(reader)?) } else { None };
        Ok(Self { at, base })
    }
}

impl Taken {
    /// Whether the metric was believed. Over a gap it is doubted all the same, but says nothing of any minute.
    fn put(&mut self, point: &mut Point, metric: Metric, value: Result<Option<f64>, Cause>, gap: bool) -> bool {
        let at = metric.index();
        match value.and_then(|value| value.map(|value| believed(metric, value)).transpose()) {
            Ok(value) => {
                point.values[at] = value.filter(|_| !gap);
                true
            }
            Err(cause) => {
                self.refused[at] = Some(cause);
                false
            }
        }
    }
}

/// Percent of what is allocated.
#[allow(clippy::cast_precision_loss, reason = "a size is below 2^53")]
fn memory(reading: &Reading) -> Option<f64> {
    let (used, all) = (reading.memory_used?, reading.memory.filter(|all| *all > Bytes::default())?);
    Some(used.get() as f64 * 100.0 / all.get() as f64)
}

impl Base {
    fn of(reading: &Reading) -> Self {
        Self {
            life: reading.life,
            vcpus: reading.vcpus,
            cpu: Counter::new(reading.cpu_nanos),
            read: Counter::new(reading.read_bytes),
            written: Counter::new(reading.written_bytes),
            received: Counter::new(reading.received_bytes),
            sent: Counter::new(reading.sent_bytes),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Broken> {
        let life = reader.number()?;
        let vcpus = reader.option()?.map(u32::try_from).transpose().map_err(|_| Broken::Value("a number of vCPUs"))?;
        let mut counter = || Ok(Counter { value: reader.option()?, peak: reader.option()?, highest: reader.option()? });
        Ok(Self {
            life,
            vcpus,
            cpu: counter()?,
            read: counter()?,
            written: counter()?,
            received: counter()?,
            sent: counter()?,
        })
    }
}
