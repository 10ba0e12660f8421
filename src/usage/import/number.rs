//! Numbers as text, many millions of them.

/// Powers of ten that a double holds exactly, as far as they are needed.
const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The number that the text says, be it none (`NaN`); `None` for what is no number at all.
///
/// Fifteen digits and a power of ten below 10^22 are exact as doubles, so that their quotient is the nearest double (Clinger
/// 1990): what is mostly written needs no more than this. The rest is for the library.
pub fn number(text: &[u8]) -> Option<f64> {
    plain(text).or_else(|| std::str::from_utf8(text).ok()?.trim().parse().ok())
}

#[allow(clippy::cast_precision_loss, reason = "fifteen digits are below 2^53")]
fn plain(text: &[u8]) -> Option<f64> {
    // With the point.
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    let (mut digits, mut behind) = (0_u64, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if behind.is_none() => behind = Some(text.len() - at - 1),
            _ => return None,
        }
    }
    match behind {
        None if text.len() <= 15 => Some(digits as f64),
        // A point alone is no number.
        Some(behind) if text.len() > 1 => Some(digits as f64 / TENS.get(behind)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", ".", "1.2.3", "0x10", "1,5", "12a", "--1", "一"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
        assert_eq!(number(b" 7.5 "), Some(7.5));
        assert_eq!(number(b"-3e2"), Some(-300.0));
        assert!(number(b"NaN").is_some_and(f64::is_nan));
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_reads(
            text in prop_oneof!["[0-9]{0,17}\\.?[0-9]{0,17}", "-?[0-9]{1,20}(\\.[0-9]{1,9})?(e-?[0-9]{1,3})?", "[-+.e0-9]{1,8}"],
        ) {
            let library: Option<f64> = text.trim().parse().ok();
            prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), library.map(f64::to_bits), "{}", text);
        }
    }
}
