//! The clock. Nothing else in the crate reads it: decisions are handed `now`.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// Microseconds since the epoch, moved by a test.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The instant, cut to the microseconds that the database keeps.
    pub fn now(&self) -> Timestamp {
        let micros = match self {
            Self::System => Timestamp::now().as_microsecond(),
            Self::Fixed(micros) => micros.load(Ordering::Relaxed),
        };
        from_micros(micros)
    }

    /// The civil date in the district: China Standard Time, which has had no summer time since 1991.
    pub fn today(&self) -> Date {
        civil(self.now())
    }
}

/// The civil date of an instant in China Standard Time.
pub fn civil(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::fixed(jiff::tz::offset(8))).date()
}

/// The minute of an instant in China Standard Time, as people write it.
pub fn civil_minute(at: Timestamp) -> String {
    at.to_zoned(TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The second since the epoch at which a day begins in China Standard Time.
pub fn day_begins(day: Date) -> i64 {
    // Whole days since the epoch fit a calendar of 20,000 years with ease.
    let days = i64::from(Date::constant(1970, 1, 1).until(day).map_or(0, |span| span.get_days()));
    days * 86_400 - 8 * 3_600
}

/// An instant from the database. Values outside the calendar (years -9999 to 9999) become its nearest end.
pub fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A duration in the database's unit; one beyond 70,000 years is cut, so that it can still be added to an instant.
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

/// The host's own clock, for judging how old something left behind is. Nothing is decided by it but tidying up.
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_the_district() {
        assert_eq!(day_begins(Date::constant(1970, 1, 1)), -8 * 3600);
        let begins = day_begins(Date::constant(2035, 6, 30));
        assert_eq!(civil(from_micros(begins * 1_000_000)), Date::constant(2035, 6, 30));
        assert_eq!(civil(from_micros(begins * 1_000_000 - 1)), Date::constant(2035, 6, 29));
    }
}
