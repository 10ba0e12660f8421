//! Sixteen days of one subject as one row. A window over many machines reads many days, and what it costs is rows: three
//! instead of thirty. A day is a few hundred bytes, so that the row is still small enough to be written anew when a day is
//! added.

use super::{
    codec::{self, Broken, Reader},
    day::Day,
};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// Days that a row holds.
pub const DAYS: i64 = 16;
/// The form of a row of such rows.
const VERSION: u8 = 1;

/// The number of the first day of the row that holds this one.
pub const fn first(day: i64) -> i64 {
    day.div_euclid(DAYS) * DAYS
}

/// The days of a row, each by its place in it, in order.
pub fn days(bytes: &[u8]) -> Result<Vec<(i64, &[u8])>, Broken> {
    let (mut reader, mut days) = (Reader::new(bytes), Vec::with_capacity(16));
    reader.version(VERSION)?;
    let mut next = 0;
    while !reader.is_empty() {
        let place = i64::from(reader.byte()?);
        if !(next..DAYS).contains(&place) {
            return Err(Broken::Value("a day's place"));
        }
        next = place + 1;
        let length = reader.small(u32::from(u16::MAX), "a day's length")?;
        days.push((place, reader.bytes(length as usize)?));
    }
    Ok(days)
}

/// The row with these days added to it, each to what is there of it already.
pub fn add(row: Option<&[u8]>, new: &BTreeMap<i64, Box<Day>>) -> Result<Vec<u8>, Broken> {
    let mut all: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    for (place, bytes) in row.map(days).transpose()?.unwrap_or_default() {
        all.insert(place, bytes.to_vec());
    }
    for (place, day) in new {
        let whole = match all.get(place) {
            None => day.encode(),
            Some(kept) => {
                let mut whole = Day::decode(day.date(), kept)?;
                whole.merge(day);
                whole.encode()
            }
        };
        all.insert(*place, whole);
    }
    let mut out = Vec::with_capacity(1 + all.values().map(|day| day.len() + 4).sum::<usize>());
    out.push(VERSION);
    for (place, day) in all {
        // Below sixteen.
        out.push(place.to_le_bytes()[0]);
        codec::write(&mut out, day.len() as u64);
        out.extend(day);
    }
    Ok(out)
}

/// A day of a row, into one that is not needed any more: a day is four thousand bytes, and a window has many.
pub fn read(first: Date, place: i64, bytes: &[u8], into: &mut Day) -> Result<(), Broken> {
    let span = jiff::SignedDuration::from_hours(24 * place);
    let date = first.checked_add(span).map_err(|_| Broken::Value("a date"))?;
    *into = Day::new(date);
    into.read(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Cause, Interval, Metric, OpenDay, Point, Traffic};
    use jiff::ToSpan;

    const FIRST: Date = Date::constant(2035, 3, 1);

    fn of(place: i64, cpu: f64) -> Box<Day> {
        let date = FIRST + place.days();
        let from = crate::time::day_begins(date) * 1_000_000;
        let mut open = OpenDay::new(date);
        let mut values = [None; 5];
        values[Metric::Cpu.index()] = Some(cpu);
        let interval = Interval::MINUTE;
        assert!(open.fold(&Point {
            from,
            to: from + interval.as_micros(),
            interval,
            vcpus: None,
            values,
            traffic: Traffic::default(),
            logged_in: None,
            inbound: None,
        }));
        open.close()
    }

    fn all(row: &[u8]) -> Result<Vec<Day>, Broken> {
        let one = |(place, bytes)| {
            let mut day = Day::new(FIRST);
            super::read(FIRST, place, bytes, &mut day).map(|()| day)
        };
        days(row)?.into_iter().map(one).collect()
    }

    #[test]
    fn days_belong_to_the_sixteen_that_they_are_of() {
        assert_eq!([-17, -16, -1, 0, 15, 16, 31].map(first), [-32, -16, -16, 0, 0, 16, 16]);
    }

    #[test]
    fn a_row_is_its_days_whenever_they_came() {
        let map = |days: &[Box<Day>], places: &[i64]| places.iter().copied().zip(days.iter().cloned()).collect();
        let row = add(None, &map(&[of(3, 1.0)], &[3])).expect("a row");
        let row = add(Some(&row), &map(&[of(0, 2.0), of(15, 3.0)], &[0, 15])).expect("a row");
        let expected: Vec<Day> = [of(0, 2.0), of(3, 1.0), of(15, 3.0)].into_iter().map(|day| *day).collect();
        assert_eq!(all(&row), Ok(expected));
        // A second part of a day that is there.
        let row = add(Some(&row), &map(&[of(3, 9.0)], &[3])).expect("a row");
        let day = all(&row).expect("days").remove(1);
        assert_eq!((day.samples(), day.mean(Metric::Cpu), day.caused(Cause::Late)), (2, Some(5.0), 0));
        assert_eq!(add(None, &BTreeMap::new()), Ok(vec![VERSION]));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let row = add(None, &[(2, of(2, 1.0)), (5, of(5, 1.0))].into_iter().collect()).expect("a row");
        for cut in 0..row.len() {
            let kept = all(&row[..cut]);
            let boundary = kept.as_ref().is_ok_and(|days| {
                add(None, &days.iter().map(|day| (i64::from(day.date().day()) - 1, Box::new(day.clone()))).collect())
                    .as_deref()
                    == Ok(&row[..cut])
            });
            assert!(kept.is_err() || boundary, "{cut} of {}", row.len());
        }
        let mut other = row.clone();
        other[1] = 7;
        assert_eq!(all(&other), Err(Broken::Value("a day's place")), "not in order");
        other[1] = 16;
        assert_eq!(all(&other), Err(Broken::Value("a day's place")));
        other[0] = 9;
        assert_eq!(all(&other), Err(Broken::Version(9)));
    }
}
