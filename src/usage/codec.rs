//! Numbers as few bytes. Reading is strict: each content has exactly one form, and any other bytes are refused, so that a row
//! that was damaged is told from one that says something.

use std::ops::Range;

/// Bytes that no row or state of ours could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("written in form {0}, which this program does not know")]
    Version(u8),
    #[error("ends in the middle")]
    Short,
    #[error("goes on behind its end")]
    Long,
    #[error("holds a number written otherwise than we write it")]
    Number,
    #[error("holds a value that cannot be: {0}")]
    Value(&'static str),
}

/// Seven bits a byte, the lowest first; the last byte has its highest bit clear.
pub fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Small for numbers near zero of either sign.
pub fn write_signed(out: &mut Vec<u8>, value: i64) {
    write(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

pub fn write_option(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}

/// Counts that are mostly zero and stand together: runs, each with how far it is from the last.
pub fn write_counts(out: &mut Vec<u8>, counts: &[u32]) {
    write(out, runs(counts).count() as u64);
    let mut end = 0;
    for run in runs(counts) {
        write(out, (run.start - end) as u64);
        write(out, run.len() as u64);
        end = run.end;
        for count in &counts[run] {
            write(out, u64::from(*count));
        }
    }
}

/// From a count to a count, over single zeros: a new run costs what two zeros cost.
fn runs(counts: &[u32]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + counts[from..].iter().position(|count| *count > 0)?;
        let rest = &counts[start..];
        let length = rest.windows(2).position(|pair| pair == [0, 0]).unwrap_or(rest.len());
        let length = rest[..length].iter().rposition(|count| *count > 0)? + 1;
        from = start + length;
        Some(start..from)
    })
}

pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    pub const fn end(&self) -> Result<(), Broken> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Broken::Long) }
    }

    pub fn version(&mut self, known: u8) -> Result<(), Broken> {
        match self.byte()? {
            version if version == known => Ok(()),
            version => Err(Broken::Version(version)),
        }
    }

    pub fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.bytes.split_first().ok_or(Broken::Short)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// So many as they are.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (bytes, rest) = self.bytes.split_at_checked(count).ok_or(Broken::Short)?;
        self.bytes = rest;
        Ok(bytes)
    }

    pub fn eight(&mut self) -> Result<[u8; 8], Broken> {
        let (eight, rest) = self.bytes.split_first_chunk().ok_or(Broken::Short)?;
        self.bytes = rest;
        Ok(*eight)
    }

    #[inline]
    pub fn number(&mut self) -> Result<u64, Broken> {
        let first = self.byte()?;
        if first < 0x80 { Ok(u64::from(first)) } else { self.long(first) }
    }

    fn long(&mut self, first: u8) -> Result<u64, Broken> {
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            // The tenth byte has one bit to give.
            if shift == 63 && byte > 1 {
                return Err(Broken::Number);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if byte == 0 { Err(Broken::Number) } else { Ok(value) };
            }
        }
        Err(Broken::Number)
    }

    pub fn signed(&mut self) -> Result<i64, Broken> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that may be `most` at most.
    #[inline]
    pub fn small(&mut self, most: u32, what: &'static str) -> Result<u32, Broken> {
        let value = u32::try_from(self.number()?).map_err(|_| Broken::Value(what))?;
        if value <= most { Ok(value) } else { Err(Broken::Value(what)) }
    }

    pub fn flag(&mut self) -> Result<bool, Broken> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Broken::Value("yes or no")),
        }
    }

    pub fn option(&mut self) -> Result<Option<u64>, Broken> {
        Ok(if self.flag()? { Some(self.number()?) } else { None })
    }

    /// Counts as [`write_counts`] writes them, into zeros; their sum.
    pub fn counts(&mut self, into: &mut [u32]) -> Result<u64, Broken> {
        const RUN: Broken = Broken::Value("a run of counts");
        let (mut left, mut sum, first) = (into, 0, self.number()?);
        for run in 0..first {
            let skip = usize::try_from(self.number()?).map_err(|_| RUN)?;
            let length = usize::try_from(self.number()?).map_err(|_| RUN)?;
            if run > 0 && skip < 2 {
                return Err(RUN);
            }
            let counts = left.get_mut(skip..).and_then(|left| left.get_mut(..length)).ok_or(RUN)?;
            let mut hole = true;
            for slot in counts {
                let count = self.small(u32::MAX, "a count")?;
                if count == 0 && hole {
                    return Err(RUN);
                }
                hole = count == 0;
                sum += u64::from(count);
                *slot = count;
            }
            // A run that is empty, or ends in a hole.
            if hole {
                return Err(RUN);
            }
            left = left.get_mut(skip + length..).unwrap_or_default();
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(of: impl Strategy<Value = u32>) -> impl Strategy<Value = Vec<u32>> {
        proptest::collection::vec(prop_oneof![3 => Just(0), 2 => of], 0..130)
    }

    #[test]
    fn counts_that_stand_together_cost_a_byte_each() {
        let mut counts = [0; 99];
        counts[40..60].fill(72);
        counts[50] = 0;
        let mut out = Vec::new();
        write_counts(&mut out, &counts);
        assert_eq!(out.len(), 1 + 2 + 20);
        out.clear();
        write_counts(&mut out, &[0; 99]);
        assert_eq!(out, [0]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in any::<u64>(), bits in 0..64_u32, sign in any::<i64>(), some in any::<Option<u64>>(),
                                    counts in counts(1..=u32::MAX)) {
            let mut out = Vec::new();
            write(&mut out, value >> bits);
            write_signed(&mut out, sign >> bits);
            write_option(&mut out, some);
            write_counts(&mut out, &counts);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Ok(value >> bits));
            prop_assert_eq!(reader.signed(), Ok(sign >> bits));
            prop_assert_eq!(reader.option(), Ok(some));
            let mut read = vec![0; counts.len()];
            prop_assert_eq!(reader.counts(&mut read), Ok(counts.iter().map(|c| u64::from(*c)).sum()));
            prop_assert_eq!(read, counts);
            prop_assert_eq!(reader.end(), Ok(()));
        }

        /// Whatever is read without a complaint is what we would have written.
        #[test]
        fn every_content_has_one_form(bytes in proptest::collection::vec(prop_oneof![3 => 0..6_u8, 1 => any::<u8>()], 0..40)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.number() {
                let mut out = Vec::new();
                write(&mut out, value);
                prop_assert_eq!(&out[..], &bytes[..out.len()]);
            }
            let (mut reader, mut counts) = (Reader::new(&bytes), [0; 30]);
            if reader.counts(&mut counts).is_ok() {
                let mut out = Vec::new();
                write_counts(&mut out, &counts);
                prop_assert_eq!(&out[..], &bytes[..bytes.len() - reader.rest().len()]);
            }
        }
    }
}
