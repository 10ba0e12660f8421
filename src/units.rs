//! Quantities with their unit in the type. All arithmetic is checked: an overflow is `None`, never a wrap
//! (`hazards`: sizes at the boundary of 2^53 and 2^63).

use serde::{Deserialize, Serialize};
use std::fmt;

/// One gibibyte, in bytes.
pub const GIB: i64 = 1 << 30;
/// One mebibyte, in bytes.
pub const MIB: i64 = 1 << 20;

/// A size in bytes, never negative. JSON integers stay exact up to 2^53, and so does this.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(i64);

impl Bytes {
    /// The largest size that every JSON reader keeps exact: 2^53 - 1 bytes (8 PiB).
    pub const MAX: Self = Self((1 << 53) - 1);

    /// `None` when negative or above [`Bytes::MAX`].
    pub const fn new(bytes: i64) -> Option<Self> {
        if bytes < 0 || bytes > Self::MAX.0 { None } else { Some(Self(bytes)) }
    }

    /// Whole gibibytes.
    pub const fn gib(n: i64) -> Option<Self> {
        match n.checked_mul(GIB) {
            Some(b) => Self::new(b),
            None => None,
        }
    }

    /// Whole mebibytes.
    pub const fn mib(n: i64) -> Option<Self> {
        match n.checked_mul(MIB) {
            Some(b) => Self::new(b),
            None => None,
        }
    }

    /// The plain number, for the database and for JSON.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Times a count.
    pub const fn times(self, n: i64) -> Option<Self> {
        match self.0.checked_mul(n) {
            Some(b) => Self::new(b),
            None => None,
        }
    }

    /// Split over `n` machines; `None` unless it divides evenly.
    pub const fn split(self, n: i64) -> Option<Self> {
        if n > 0 && self.0 % n == 0 { Some(Self(self.0 / n)) } else { None }
    }
}

impl fmt::Display for Bytes {
    /// The largest binary unit that leaves no remainder, as in `16 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut n, mut unit) = (self.0, 0);
        while n != 0 && n % 1024 == 0 && unit < UNITS.len() - 1 {
            n /= 1024;
            unit += 1;
        }
        write!(f, "{n} {}", UNITS[unit])
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_never_wrap() {
        assert_eq!(Bytes::new(-1), None);
        assert_eq!(Bytes::gib(i64::MAX), None);
        assert_eq!(Bytes::gib(16).and_then(|b| b.times(i64::MAX)), None);
        assert_eq!(Bytes::new(1 << 53), None);
        assert_eq!(Bytes::gib(3).and_then(|b| b.split(2)).map(|b| b.to_string()).as_deref(), Some("1536 MiB"));
        assert_eq!(Bytes::gib(3).and_then(|b| b.split(7)), None);
    }

    #[test]
    fn sizes_print_in_the_unit_that_fits() {
        let text = |b: Option<Bytes>| b.map(|b| b.to_string());
        assert_eq!(text(Bytes::gib(2048)).as_deref(), Some("2 TiB"));
        assert_eq!(text(Bytes::mib(128)).as_deref(), Some("128 MiB"));
        assert_eq!(text(Bytes::new(0)).as_deref(), Some("0 B"));
    }
}
