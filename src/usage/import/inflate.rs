//! A file as it came, plain or gzip: which of the two its first bytes say.

use flate2::write::MultiGzDecoder;
use std::io::{self, Write as _};

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes that are unpacked at a time: a thousand times as many is the most that comes of them.
const STEP: usize = 4 << 10;
/// A trace is packed ten or thirty times as small. What is packed more than this much smaller is no trace, and is not read on.
const MOST_TIMES: u64 = 200;
/// Before which nothing is said of that.
const LEAST: u64 = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Inflate {
    #[error("the gzip file is broken or cut off")]
    Broken(#[source] io::Error),
    #[error("the gzip file unpacks to more than {MOST_TIMES} times its size")]
    Bomb,
}

/// Gives out what was put in, unpacked.
#[derive(Debug, Default)]
pub enum Inflater {
    #[default]
    Unknown,
    /// The first byte of which is not told yet.
    One(u8),
    Plain,
    Gzip {
        decoder: Box<MultiGzDecoder<Vec<u8>>>,
        packed: u64,
        unpacked: u64,
    },
}

impl Inflater {
    /// Hands what comes of `bytes` to `out`, in steps.
    pub fn push<E: From<Inflate>>(
        &mut self,
        bytes: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Unknown | Self::One(_) => {
                let mut head = if let Self::One(byte) = self { vec![*byte] } else { Vec::new() };
                head.extend_from_slice(bytes);
                *self = match &head[..] {
                    [] => Self::Unknown,
                    [byte] if *byte == GZIP[0] => Self::One(*byte),
                    [one, two, ..] if [*one, *two] == GZIP => {
                        Self::Gzip { decoder: Box::new(MultiGzDecoder::new(Vec::new())), packed: 0, unpacked: 0 }
                    }
                    _ => Self::Plain,
                };
                if matches!(self, Self::Unknown | Self::One(_)) { Ok(()) } else { self.push(&head, out) }
            }
            Self::Plain => out(bytes),
            Self::Gzip { decoder, packed, unpacked } => {
                for step in bytes.chunks(STEP) {
                    decoder.write_all(step).map_err(Inflate::Broken)?;
                    *packed += step.len() as u64;
                    *unpacked += decoder.get_ref().len() as u64;
                    if *unpacked > LEAST && *unpacked / MOST_TIMES > *packed {
                        return Err(Inflate::Bomb.into());
                    }
                    out(decoder.get_ref())?;
                    decoder.get_mut().clear();
                }
                Ok(())
            }
        }
    }

    /// What is left at the end.
    pub fn finish<E: From<Inflate>>(&mut self, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Unknown | Self::Plain => Ok(()),
            Self::One(byte) => out(&[*byte]),
            Self::Gzip { decoder, .. } => {
                decoder.try_finish().map_err(Inflate::Broken)?;
                out(decoder.get_ref())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("packed");
        encoder.finish().expect("packed")
    }

    fn unpacked(bytes: &[u8], step: usize) -> Result<Vec<u8>, Inflate> {
        let (mut inflater, mut all) = (Inflater::default(), Vec::new());
        for bytes in bytes.chunks(step) {
            inflater.push(bytes, |out| {
                all.extend_from_slice(out);
                Ok::<_, Inflate>(())
            })?;
        }
        inflater.finish(|out| {
            all.extend_from_slice(out);
            Ok::<_, Inflate>(())
        })?;
        Ok(all)
    }

    #[test]
    fn plain_and_packed_are_told_apart_in_any_steps() {
        let text = b"vm,ts,cpu_percent\n".repeat(1000);
        let two_parts = [packed(&text), packed(&text)].concat();
        for step in [1, 2, 3, 1000, usize::MAX] {
            assert_eq!(unpacked(&text, step).expect("plain"), text);
            assert_eq!(unpacked(&packed(&text), step).expect("gzip"), text);
            assert_eq!(unpacked(&two_parts, step).expect("gzip"), text.repeat(2));
            assert_eq!(unpacked(&[0x1f], step).expect("one byte"), [0x1f]);
        }
        assert_eq!(unpacked(b"", 1).expect("nothing"), b"");
    }

    #[test]
    fn half_a_packed_file_is_told() {
        let text: Vec<u8> =
            (0..20_000_u32).flat_map(|n| format!("{},", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
        let whole = packed(&text);
        for cut in [3, 11, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            assert!(matches!(unpacked(&whole[..cut], 512), Err(Inflate::Broken(_))), "{cut} of {}", whole.len());
        }
        let mut flipped = whole;
        flipped[5_000] ^= 0xff;
        assert!(matches!(unpacked(&flipped, 512), Err(Inflate::Broken(_))));
    }

    #[test]
    fn a_bomb_is_not_unpacked_to_its_end() {
        let bomb = packed(&vec![b'\n'; 24 << 20]);
        let (mut inflater, mut came, mut largest) = (Inflater::default(), 0, 0);
        let end = inflater.push(&bomb, |out| {
            came += out.len() as u64;
            largest = largest.max(out.len());
            Ok::<_, Inflate>(())
        });
        assert!(matches!(end, Err(Inflate::Bomb)), "{end:?}");
        assert!(came <= LEAST && largest <= 8 << 20, "{came} {largest}");
    }
}
