//! Kubernetes' amounts: `2`, `1500m`, `16Gi`, `1e3`. Exact, in thousandths; what cannot be read is nothing.

/// Thousandths of the amount.
pub fn milli(text: &str) -> Option<i128> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let negative = whole.starts_with('-');
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    if number.is_empty() || fraction.len() > 18 || fraction.bytes().any(|b| !b.is_ascii_digit()) {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    // In units of 1 / scale.
    let units = whole.checked_mul(scale)?.checked_add(if negative { -part } else { part })?;
    let (times, over) = factor(suffix)?;
    Some(units.checked_mul(times)?.checked_mul(1000)?.div_euclid(scale.checked_mul(over)?))
}

/// What a suffix multiplies and divides by.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, n: u32| base.checked_pow(n).map(|times| (times, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "P" => power(1000, 5),
        "E" => power(1000, 6),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        _ => {
            let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|n| *n <= 18)?;
            power(10, exponent)
        }
    }
}

/// Whole units, rounded down.
pub fn whole(text: &str) -> Option<i64> {
    milli(text).and_then(|milli| i64::try_from(milli.div_euclid(1000)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_writes_them() {
        let read = [
            ("2", 2000),
            ("1500m", 1500),
            ("0.5", 500),
            (".5", 500),
            ("1e3", 1_000_000),
            ("3Ki", 3_072_000),
            ("1.5Gi", 1_610_612_736_000),
            ("16Gi", 17_179_869_184_000),
            ("2k", 2_000_000),
            ("-1", -1000),
            ("100u", 0),
        ];
        for (text, milli_units) in read {
            assert_eq!(milli(text), Some(milli_units), "{text}");
        }
        for text in ["", "Gi", "1Gb", "1 Gi", "x", "1..2", "1e99", "99999999999999999999999999999999999999Ei", "1.-2"] {
            assert_eq!(milli(text), None, "{text}");
        }
        assert_eq!((whole("7900m"), whole("32Gi")), (Some(7), Some(32 << 30)));
    }
}
