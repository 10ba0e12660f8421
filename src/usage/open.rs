//! A machine's day that is not over, and what has to be remembered until it is. A broker that writes this down after what it
//! has answered for, and reads it after a restart, goes on as if nothing had been.

use super::{
    codec::{self, Broken, Reader},
    day::{self, Day, Part},
    point::{Cause, Interval, Metric, Point},
    track::{Gauge, Taken, Track},
};
use crate::{provider::reading::Reading, time};
use jiff::{SignedDuration, Timestamp, civil::Date};

const VERSION: u8 = 1;
const EPOCH: Date = Date::constant(1970, 1, 1);
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
const HALF_HOUR: i64 = 1_800 * SECOND;
/// One of a day's parts, [`day::PARTS`] of them.
const PART: i64 = 14_400 * SECOND;

/// A day under way.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenDay {
    day: Box<Day>,
    /// Its midnight, in microseconds since the epoch.
    begins: i64,
    half_hour: Option<HalfHour>,
}

/// The half hour under way: its number, and of its samples of CPU the highest, the sum and the count.
#[derive(Clone, Copy, Debug, PartialEq)]
struct HalfHour {
    number: u8,
    max: f64,
    sum: u64,
    count: u32,
}

impl HalfHour {
    fn close(self, day: &mut Day) {
        day.maxima.add(self.max);
        day.highest_half_hour = day.highest_half_hour.max(self.sum / u64::from(self.count));
    }
}

impl OpenDay {
    pub fn new(date: Date) -> Self {
        Self { day: Box::new(Day::new(date)), begins: time::day_begins(date) * SECOND, half_hour: None }
    }

    /// An instant at midnight belongs to the day that ends there, as what ended at it does.
    const fn holds(&self, to: i64) -> bool {
        self.begins < to && to <= self.begins + DAY
    }

    /// Points come in the order of their ends. False, and nothing is counted, for one that ends on another day.
    ///
    /// A point that began on the day before counts as a sample of this one, but covers only what of it is this day's.
    pub fn fold(&mut self, point: &Point) -> bool {
        if !self.holds(point.to) {
            return false;
        }
        let day = &mut *self.day;
        day.interval = Some(point.interval);
        day.vcpus = day::widest(day.vcpus, point.vcpus.filter(|n| *n > 0).map(|n| (n, n)));
        day.traffic.add(point.traffic);
        let covered = (point.to - point.covers_from().max(self.begins)) / 1000;
        let covered = u32::try_from(covered).unwrap_or_default();
        let mut seen = false;
        for ((metric, value), own) in Metric::ALL.into_iter().zip(point.values).zip(&mut day.metrics) {
            let Some(value) = value.filter(|value| own.histogram.add(*value)) else { continue };
            let fixed = metric.fixed(value);
            own.sum = own.sum.saturating_add(fixed);
            own.max = own.max.max(fixed);
            own.covered_ms = day::cover(own.covered_ms, covered);
            seen = true;
        }
        if seen {
            day.samples = day.samples.saturating_add(1);
            day.covered_ms = day::cover(day.covered_ms, covered);
        }
        day.presence.note(point.logged_in, point.inbound);
        let part =
            usize::try_from((point.to - self.begins - 1) / PART).ok().and_then(|number| day.parts.get_mut(number));
        if let Some((part, sample)) = part.zip(Part::sample(&point.values)) {
            part.add(sample);
        }
        let cpu = point.values[Metric::Cpu.index()];
        if let Some(cpu) = cpu.filter(|cpu| Metric::Cpu.scale().bin_of(*cpu).is_some()) {
            self.in_half_hour(point.to, cpu);
        }
        true
    }

    fn in_half_hour(&mut self, to: i64, cpu: f64) {
        let number = u8::try_from((to - self.begins - 1) / HALF_HOUR).unwrap_or_default();
        if let Some(over) = self.half_hour.take_if(|open| open.number != number) {
            over.close(&mut self.day);
        }
        let open = self.half_hour.get_or_insert(HalfHour { number, max: cpu, sum: 0, count: 0 });
        open.max = open.max.max(cpu);
        open.sum = open.sum.saturating_add(Metric::Cpu.fixed(cpu));
        open.count += 1;
    }

    /// The day as it is to be kept.
    pub fn close(self) -> Box<Day> {
        let mut day = self.day;
        if let Some(over) = self.half_hour {
            over.close(&mut day);
        }
        day
    }

    fn write(&self, out: &mut Vec<u8>) {
        codec::write_signed(out, self.day.date().duration_since(EPOCH).as_hours() / 24);
        match &self.half_hour {
            None => out.push(0),
            Some(open) => {
                codec::write(out, u64::from(open.count));
                out.push(open.number);
                out.extend(open.max.to_bits().to_le_bytes());
                codec::write(out, open.sum);
            }
        }
        self.day.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Broken> {
        const DATE: Broken = Broken::Value("a date");
        const HALF: Broken = Broken::Value("a half hour");
        let hours = reader.signed()?.checked_mul(24).ok_or(DATE)?;
        let since = SignedDuration::try_from_hours(hours).ok_or(DATE)?;
        let mut open = Self::new(EPOCH.checked_add(since).map_err(|_| DATE)?);
        let count = reader.small(u32::MAX, "a number of samples")?;
        if count > 0 {
            let number = reader.byte()?;
            let max = f64::from_bits(u64::from_le_bytes(reader.eight()?));
            if number >= 48 || Metric::Cpu.scale().bin_of(max).is_none() {
                return Err(HALF);
            }
            open.half_hour = Some(HalfHour { number, max, sum: reader.number()?, count });
        }
        open.day.read(reader.rest())?;
        Ok(open)
    }
}

/// What came of a reading, and the day that it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub taken: Taken,
    /// To be kept. If there is a row of that day already (a clock was set back), they are to be merged.
    pub closed: Option<Box<Day>>,
}

/// All that a broker remembers of one machine between two readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Open {
    track: Track,
    day: Option<OpenDay>,
}

impl Open {
    /// The next reading of a source that counts.
    pub fn take(&mut self, reading: &Reading, interval: Interval, now: Timestamp) -> Step {
        let taken = self.track.take(reading, interval, now);
        self.settle(taken)
    }

    /// The next reading of a source that knows rates.
    pub fn take_gauge(&mut self, gauge: &Gauge, interval: Interval, now: Timestamp) -> Step {
        let taken = self.track.take_gauge(gauge, interval, now);
        self.settle(taken)
    }

    /// As [`Open::take_gauge`], of what somebody has kept and may tell again: what is refused as a whole changes nothing, not
    /// even the day's count of what was refused, so that the same history once more leaves everything as it is.
    pub fn replay(&mut self, gauge: &Gauge, interval: Interval, now: Timestamp) -> Step {
        let taken = self.track.take_gauge(gauge, interval, now);
        let nothing = taken.point.is_none() && taken.cause != Some(Cause::ClockSet);
        if nothing { Step { taken, closed: None } } else { self.settle(taken) }
    }

    /// Counts a cause that the source itself is to blame for, on the day under way.
    pub fn note(&mut self, cause: Cause) {
        if let Some(day) = &mut self.day {
            day.day.note(cause);
        }
    }

    fn settle(&mut self, taken: Taken) -> Step {
        let mut closed = None;
        if let Some(point) = &taken.point
            && !self.day.as_mut().is_some_and(|day| day.fold(point))
        {
            let mut day = OpenDay::new(time::civil(time::from_micros(point.to - 1)));
            day.fold(point);
            closed = self.day.replace(day).map(OpenDay::close);
        }
        if let Some(day) = &mut self.day {
            taken.causes().for_each(|cause| day.day.note(cause));
        }
        Step { taken, closed }
    }

    /// The instant of the last reading that was taken, in microseconds since the epoch.
    pub const fn last(&self) -> Option<i64> {
        self.track.last()
    }

    /// The date of the day under way.
    pub fn date(&self) -> Option<Date> {
        self.day.as_ref().map(|open| open.day.date())
    }

    /// The day under way, as it stands.
    pub fn so_far(&self) -> Option<Box<Day>> {
        self.day.clone().map(OpenDay::close)
    }

    /// The day under way if it is over: of a machine that has fallen silent nothing else would close it. What is left of it
    /// may still come (a reading that was on its way), and makes a second part of that day, to be merged.
    pub fn close_before(&mut self, today: Date) -> Option<Box<Day>> {
        self.day.take_if(|open| open.day.date() < today).map(OpenDay::close)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.push(VERSION);
        self.track.write(&mut out);
        out.push(u8::from(self.day.is_some()));
        if let Some(day) = &self.day {
            day.write(&mut out);
        }
        out
    }

    /// What [`Open::encode`] made, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Broken> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let track = Track::read(&mut reader)?;
        let day = if reader.flag()? { Some(OpenDay::read(&mut reader)?) } else { None };
        reader.end()?;
        Ok(Self { track, day })
    }
}
