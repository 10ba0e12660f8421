//! Lines to gauges, by subject, each subject's in the file's order.

use super::{
    columns::{Column, Columns},
    faults::{Fault, Faults},
    number::number,
    pieces::Piece,
};
use crate::usage::{
    point::{ByMetric, Interval, Metric},
    track::Gauge,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Nothing that we read was measured before 2000: what says so has another unit, or none.
const EARLIEST: f64 = 946_684_800.0;
/// Seconds of the year 9999; milliseconds of today are far beyond.
const LATEST: f64 = 253_402_000_000.0;
const KB: f64 = 1024.0;
/// A value that was found bad and told: it goes on as one that is refused, so that the day has it in its count.
const REFUSED: f64 = -1.0;

/// What a piece says of one subject.
#[derive(Clone, Debug)]
pub struct Series {
    /// As the file calls it.
    pub name: String,
    pub gauges: Vec<Gauge>,
    /// Of each, counted from the piece's first.
    pub lines: Vec<u32>,
}

/// A piece that was read.
#[derive(Debug, Default)]
pub struct Parsed {
    /// In the order in which the file first names them.
    pub series: Vec<Series>,
    /// Lines that hold anything.
    pub rows: u64,
    pub faults: Faults,
}

/// Reads a piece's lines, without the header.
pub fn parse(columns: &Columns, piece: &Piece) -> Parsed {
    let mut reading = Reading { columns, line: piece.line, parsed: Parsed::default(), known: HashMap::new(), last: 0 };
    let (mut from, text) = (0, &piece.text[..]);
    let ends = memchr::memchr_iter(b'\n', text).chain((!text.ends_with(b"\n")).then_some(text.len()));
    for end in ends {
        let line = text.get(from..end).unwrap_or_default();
        from = end + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            reading.parsed.rows += 1;
            let place = u32::try_from(reading.line - piece.line).unwrap_or(u32::MAX);
            if let Err(cause) = reading.line(place, line) {
                reading.fault(None, cause);
            }
        }
        reading.line += 1;
    }
    reading.parsed
}

struct Reading<'a> {
    columns: &'a Columns,
    line: u64,
    parsed: Parsed,
    known: HashMap<Vec<u8>, usize>,
    /// The series of the line before: the next one is mostly of the same.
    last: usize,
}

type Fields<'a> = [&'a [u8]; Column::ALL.len()];

impl Reading<'_> {
    fn fault(&mut self, column: Option<Column>, cause: &'static str) {
        self.parsed.faults.note(Fault { line: self.line, column: column.map(Column::word), cause });
    }

    /// What is wrong with the whole line, if it is.
    fn line(&mut self, place: u32, line: &[u8]) -> Result<(), &'static str> {
        const FIELDS: &str = "fields";
        if memchr::memchr(b'"', line).is_some() {
            let mut record = csv::ByteRecord::new();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
            reader.read_byte_record(&mut record).map_err(|_| FIELDS)?;
            return self.fields(place, record.iter()).ok_or(FIELDS);
        }
        self.fields(place, line.split(|byte| *byte == b',')).ok_or(FIELDS)
    }

    /// `None` when there are more fields or fewer than the header has.
    fn fields<'l>(&mut self, place: u32, of: impl Iterator<Item = &'l [u8]>) -> Option<()> {
        let mut fields: Fields<'l> = [&[]; Column::ALL.len()];
        let mut order = self.columns.order().iter();
        for field in of {
            fields[order.next()?.index()] = field;
        }
        if order.next().is_some() {
            return None;
        }
        self.row(place, &fields);
        Some(())
    }

    fn row(&mut self, place: u32, fields: &Fields<'_>) {
        let Some(at) = instant(fields[Column::Ts.index()]) else {
            return self.fault(Some(Column::Ts), "time_unreadable");
        };
        let Some(series) = self.series(fields[Column::Vm.index()].trim_ascii()) else {
            return self.fault(Some(Column::Vm), "name_unreadable");
        };
        let mut value = |column| self.value(fields, column);
        let vcpus = value(Column::Cores);
        let cpu = value(Column::CpuPercent);
        let percent = value(Column::MemPercent);
        let (used, all) = (value(Column::MemUsedKb), value(Column::MemCapacityKb));
        let (read, written) = (value(Column::DiskReadKbps), value(Column::DiskWriteKbps));
        let (received, sent) = (value(Column::NetRxKbps), value(Column::NetTxKbps));
        let vcpus = vcpus.and_then(|vcpus| self.vcpus(vcpus));
        let memory = percent.or_else(|| {
            let (used, all) = (used?, all.filter(|all| *all != 0.0)?);
            Some(both(used, all, |used, all| used * 100.0 / all))
        });
        let disk = read.zip(written).map(|(read, written)| both(read, written, |read, written| (read + written) * KB));
        let rate = |kb: Option<f64>| kb.map(|kb| both(kb, kb, |kb, _| kb * KB));
        let mut values: ByMetric<Option<f64>> = [None; 5];
        for (metric, value) in [
            (Metric::Cpu, cpu),
            (Metric::Memory, memory),
            (Metric::Disk, disk),
            (Metric::Received, rate(received)),
            (Metric::Sent, rate(sent)),
        ] {
            values[metric.index()] = value;
        }
        if let Some(series) = self.parsed.series.get_mut(series) {
            series.gauges.push(Gauge { at, vcpus, values, logged_in: None, inbound: None });
            series.lines.push(place);
        }
    }

    fn series(&mut self, name: &[u8]) -> Option<usize> {
        if self.parsed.series.get(self.last).is_some_and(|series| series.name.as_bytes() == name) {
            return Some(self.last);
        }
        if let Some(known) = self.known.get(name) {
            self.last = *known;
            return Some(*known);
        }
        let text = std::str::from_utf8(name).ok().filter(|text| !text.is_empty())?;
        self.last = self.parsed.series.len();
        self.known.insert(name.to_owned(), self.last);
        self.parsed.series.push(Series { name: text.to_owned(), gauges: Vec::new(), lines: Vec::new() });
        Some(self.last)
    }

    /// `None` where the file does not tell, or nothing that is a number; what is a number and no quantity is told and goes on
    /// as one that is refused.
    fn value(&mut self, fields: &Fields<'_>, column: Column) -> Option<f64> {
        let text = fields[column.index()];
        if text.is_empty() {
            return None;
        }
        let cause = match number(text) {
            Some(value) if (0.0..f64::INFINITY).contains(&value) => return Some(value),
            None => "number_unreadable",
            Some(value) if value < 0.0 && value > f64::NEG_INFINITY => "negative",
            Some(_) => "not_a_number",
        };
        self.fault(Some(column), cause);
        match cause {
            "number_unreadable" => None,
            "negative" => Some(REFUSED),
            _ => Some(f64::NAN),
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 0 to 65,536")]
    fn vcpus(&mut self, vcpus: f64) -> Option<u32> {
        if vcpus.fract() == 0.0 && (0.0..=65_536.0).contains(&vcpus) {
            return Some(vcpus as u32).filter(|vcpus| *vcpus > 0);
        }
        // What is negative or none was told already.
        if vcpus >= 0.0 {
            self.fault(Some(Column::Cores), "impossible");
        }
        None
    }
}

/// Of two quantities a third; of what was refused, refused. What is too large for a number is still no infinity, but more than
/// there is.
fn both(one: f64, other: f64, make: impl Fn(f64, f64) -> f64) -> f64 {
    if one.is_nan() || other.is_nan() {
        f64::NAN
    } else if one < 0.0 || other < 0.0 {
        REFUSED
    } else {
        make(one, other).min(f64::MAX)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "microseconds before the year 9999 fit")]
fn instant(text: &[u8]) -> Option<Timestamp> {
    let seconds = number(text).filter(|seconds| (EARLIEST..LATEST).contains(seconds))?;
    Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()
}

/// How often the file's source looks: what most often lies between two lines of one subject, in whole seconds.
pub fn learn<'a>(subjects: impl Iterator<Item = &'a [Gauge]>) -> Option<Interval> {
    let mut found: BTreeMap<u32, u64> = BTreeMap::new();
    for pair in subjects.flat_map(|gauges| gauges.windows(2)) {
        let micros = pair[1].at.as_microsecond() - pair[0].at.as_microsecond();
        let seconds = u32::try_from((micros + 500_000) / 1_000_000).ok().and_then(Interval::seconds);
        if let Some(seconds) = seconds {
            *found.entry(seconds.as_millis()).or_default() += 1;
        }
    }
    // The shortest of those that are as frequent.
    let (millis, _) = found.into_iter().max_by_key(|(millis, count)| (*count, u32::MAX - millis))?;
    Interval::millis(millis)
}
