//! Distributions on fixed logarithmic bins. Bins are never fitted to what comes, so that histograms of any two days, machines
//! or brokers can be added, and a percentile over any window is one scan of their sum.
//!
//! What a bin hides is said, never guessed: a percentile is answered with the bounds of its bin, a share below a threshold
//! as what is certain and what is possible.

use super::codec::{self, Broken, Reader};
use serde::Serialize;

/// Room for the bins of either scale.
pub const BINS: usize = 128;

/// What is counted. The bins of a scale never change: stored rows stand on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Of what was allocated: below 0.01 %, then bins each 1.1 times the last up to 100 % and a little over, then the rest.
    Percent,
    /// Bytes per second: below 1, then bins each 1.25 times the last up to 10^12 and a little over, then the rest.
    Rate,
}

/// A value in `low..high`. The last bin of a scale has no end: its `high` is infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    pub low: f64,
    pub high: f64,
}

/// How much of a distribution lies below a threshold, each from 0 to 1. The two differ by the bin that the threshold cuts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    pub certain: f64,
    pub possible: f64,
}

/// Cells that share sign, exponent and four bits of the mantissa: the widest is 1.0625 times its beginning, so that no cell
/// holds two edges of bins, and a value's bin is one look and one comparison away.
const CELLS: usize = 656;
const CELL_BITS: u32 = 48;

struct Table {
    /// Where each bin begins; infinite behind the last.
    edges: [f64; BINS],
    bins: usize,
    first_cell: u64,
    /// The bin in which each cell begins.
    cells: [u8; CELLS],
}

impl Table {
    #[allow(clippy::cast_possible_truncation, reason = "a bin is below 128")]
    const fn new(least: f64, growth: f64, most: f64) -> Self {
        let mut edges = [f64::INFINITY; BINS];
        edges[0] = 0.0;
        edges[1] = least;
        let mut bins = 2;
        while edges[bins - 1] < most {
            edges[bins] = edges[bins - 1] * growth;
            bins += 1;
        }
        let first_cell = least.to_bits() >> CELL_BITS;
        let (mut cells, mut cell, mut bin) = ([0; CELLS], 0, 1);
        while cell < CELLS {
            let begins = f64::from_bits((first_cell + cell as u64) << CELL_BITS);
            while edges[bin + 1] <= begins {
                bin += 1;
            }
            cells[cell] = bin as u8;
            cell += 1;
        }
        Self { edges, bins, first_cell, cells }
    }
}

static PERCENT: Table = Table::new(0.01, 1.1, 100.0);
static RATE: Table = Table::new(1.0, 1.25, 1e12);

impl Scale {
    const fn table(self) -> &'static Table {
        match self {
            Self::Percent => &PERCENT,
            Self::Rate => &RATE,
        }
    }

    /// How many bins there are, the endless one with them.
    pub const fn bins(self) -> usize {
        self.table().bins
    }

    /// The bin of a value; `None` for what is no quantity: negative, infinite, or not a number.
    pub fn bin_of(self, value: f64) -> Option<usize> {
        if !(0.0..f64::INFINITY).contains(&value) {
            return None;
        }
        let table = self.table();
        if value < table.edges[1] {
            return Some(0);
        }
        let cell = usize::try_from((value.to_bits() >> CELL_BITS) - table.first_cell).unwrap_or(CELLS);
        let Some(&bin) = table.cells.get(cell) else { return Some(table.bins - 1) };
        let bin = usize::from(bin);
        Some(bin + usize::from(value >= table.edges[bin + 1]))
    }

    /// What a bin holds; `None` for one that the scale does not have.
    pub fn bounds(self, bin: usize) -> Option<Bounds> {
        let table = self.table();
        (bin < table.bins).then(|| Bounds { low: table.edges[bin], high: table.edges[bin + 1] })
    }
}

/// How often each bin was hit. Dense: adding two is a loop without a branch, which is what a window of many days consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    scale: Scale,
    count: u64,
    counts: [u32; BINS],
}

impl Histogram {
    pub const fn new(scale: Scale) -> Self {
        Self { scale, count: 0, counts: [0; BINS] }
    }

    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// False, and nothing is counted, if the value is no quantity.
    pub fn add(&mut self, value: f64) -> bool {
        let Some(bin) = self.scale.bin_of(value) else { return false };
        self.counts[bin] = self.counts[bin].saturating_add(1);
        self.count += 1;
        true
    }

    /// False, and nothing is added, if the other is of another scale.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.scale != other.scale {
            return false;
        }
        for (own, new) in self.counts.iter_mut().zip(&other.counts) {
            *own = own.saturating_add(*new);
        }
        self.count += other.count;
        true
    }

    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Of the scale's own bins.
    pub fn counts(&self) -> &[u32] {
        &self.counts[..self.scale.bins()]
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        codec::write_counts(out, self.counts());
    }

    /// Of an empty one.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Broken> {
        self.count = reader.counts(&mut self.counts[..self.scale.bins()])?;
        Ok(())
    }

    /// Bins that were hit, from the lowest, with how often.
    pub fn hits(&self) -> impl Iterator<Item = (Bounds, u32)> {
        let hit = self.counts().iter().enumerate().filter(|(_, count)| **count > 0);
        hit.filter_map(|(bin, count)| Some((self.scale.bounds(bin)?, *count)))
    }

    /// The bin that holds the percentile by nearest rank: of n values in ascending order the ⌈q · n / 100⌉th, and the first
    /// for q = 0. `None` without a value, and for a q that is no percentage.
    pub fn percentile(&self, q: f64) -> Option<Bounds> {
        let rank = rank(q, self.count())?;
        let mut below = 0;
        let mut hits = self.hits();
        hits.find(|(_, count)| {
            below += u64::from(*count);
            below >= rank
        })
        .map(|(bounds, _)| bounds)
    }

    /// The share of values below `value`; `None` without a value.
    pub fn share_below(&self, value: f64) -> Option<Share> {
        let (mut below, mut cut, mut all) = (0, 0, 0);
        for (bounds, count) in self.hits() {
            let count = u64::from(count);
            all += count;
            if bounds.high <= value {
                below += count;
            } else if bounds.low < value {
                cut += count;
            }
        }
        Share::of(below, below + cut, all)
    }
}

impl Share {
    /// `None` of nothing.
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(super) fn of(certain: u64, possible: u64, all: u64) -> Option<Self> {
        let share = |part: u64| part as f64 / all as f64;
        (all > 0).then(|| Self { certain: share(certain), possible: share(possible) })
    }
}

/// The rank of a percentile among `count` values, from 1.
#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a count")]
pub(super) fn rank(q: f64, count: u64) -> Option<u64> {
    ((0.0..=100.0).contains(&q) && count > 0).then(|| ((q * count as f64 / 100.0).ceil() as u64).clamp(1, count))
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss, clippy::float_cmp, reason = "figures of tests are small, and some are exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCALES: [Scale; 2] = [Scale::Percent, Scale::Rate];

    /// By definition: the last bin that begins at or below the value.
    fn plainly(scale: Scale, value: f64) -> usize {
        (0..scale.bins()).rev().find(|bin| scale.bounds(*bin).is_some_and(|b| b.low <= value)).expect("a bin")
    }

    #[test]
    fn scales_cover_what_they_say() {
        assert_eq!((Scale::Percent.bins(), Scale::Rate.bins()), (99, 126));
        for (scale, least, growth, most) in [(Scale::Percent, 0.01, 1.1, 100.0), (Scale::Rate, 1.0, 1.25, 1e12)] {
            let bounds: Vec<_> = (0..scale.bins()).map(|bin| scale.bounds(bin).expect("a bin")).collect();
            assert_eq!(bounds[0], Bounds { low: 0.0, high: least });
            for pair in bounds[1..].windows(2) {
                assert_eq!(pair[0].high, pair[1].low);
                assert!((pair[0].high / pair[0].low / growth - 1.0).abs() < 1e-12);
            }
            let last = bounds[bounds.len() - 1];
            assert!(last.low >= most && last.low < most * growth && last.high.is_infinite());
            assert_eq!(scale.bounds(scale.bins()), None);
        }
    }

    #[test]
    fn every_edge_belongs_to_the_bin_above_it() {
        for scale in SCALES {
            for bin in 0..scale.bins() {
                let Bounds { low, high } = scale.bounds(bin).expect("a bin");
                assert_eq!(scale.bin_of(low), Some(bin));
                assert_eq!(scale.bin_of(high.next_down()), Some(bin), "{high}");
                if bin > 0 {
                    assert_eq!(scale.bin_of(low.next_down()), Some(bin - 1), "{low}");
                }
            }
            for cell in 0..CELLS as u64 + 40 {
                let value = f64::from_bits((scale.table().first_cell + cell) << CELL_BITS);
                for value in [value, value.next_down(), value.next_up()] {
                    assert_eq!(scale.bin_of(value), Some(plainly(scale, value)), "{value}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_quantity_is_not_counted() {
        for scale in SCALES {
            let mut histogram = Histogram::new(scale);
            for value in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE] {
                assert!(!histogram.add(value), "{value}");
            }
            assert_eq!((histogram.count(), histogram.percentile(50.0)), (0, None));
            assert_eq!(histogram.share_below(1.0), None);
            for value in [0.0, -0.0, f64::MIN_POSITIVE, f64::MAX] {
                assert!(histogram.add(value), "{value}");
            }
            assert_eq!(histogram.percentile(75.0).map(|b| b.low), Some(0.0));
            assert_eq!(histogram.percentile(76.0).map(|b| b.high), Some(f64::INFINITY));
            for q in [-0.1, 100.1, f64::NAN] {
                assert_eq!(histogram.percentile(q), None);
            }
        }
        assert!(!Histogram::new(Scale::Percent).merge(&Histogram::new(Scale::Rate)));
    }

    fn value(scale: Scale) -> impl Strategy<Value = f64> {
        let (low, high) = if scale == Scale::Percent { (-9.0_f64, 6.0_f64) } else { (-3.0, 32.0) };
        prop_oneof![8 => (low..high).prop_map(f64::exp), 1 => Just(0.0), 1 => Just(100.0)]
    }

    proptest! {
        #[test]
        fn a_bin_is_what_its_bounds_say(bits in any::<u64>(), log in -10.0..40.0_f64) {
            for scale in SCALES {
                for value in [f64::from_bits(bits), log.exp()] {
                    let expected = (value >= 0.0 && value.is_finite()).then(|| plainly(scale, value));
                    prop_assert_eq!(scale.bin_of(value), expected, "{}", value);
                }
            }
        }

        #[test]
        fn percentiles_and_shares_hold_the_exact_ones(
            scale in prop_oneof![Just(Scale::Percent), Just(Scale::Rate)],
            seed in proptest::collection::vec((value(Scale::Percent), value(Scale::Rate), any::<bool>()), 1..300),
            q in 0.0..=100.0_f64,
        ) {
            let values: Vec<f64> = seed.iter().map(|(p, r, _)| if scale == Scale::Percent { *p } else { *r }).collect();
            let (mut whole, mut left, mut right) =
                (Histogram::new(scale), Histogram::new(scale), Histogram::new(scale));
            for (value, (_, _, side)) in values.iter().zip(&seed) {
                prop_assert!(whole.add(*value));
                let half = if *side { &mut left } else { &mut right };
                prop_assert!(half.add(*value));
            }
            prop_assert!(left.merge(&right));
            prop_assert_eq!(&left, &whole);
            prop_assert_eq!(whole.count(), values.len() as u64);

            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            for q in [q, 0.0, 50.0, 95.0, 97.0, 99.0, 100.0] {
                // The smallest value that at least q percent of all are not above.
                let exact = sorted.iter().enumerate()
                    .find(|(i, _)| (*i as f64 + 1.0) >= q * sorted.len() as f64 / 100.0)
                    .map(|(_, v)| *v).expect("a value");
                let bounds = whole.percentile(q).expect("bounds");
                prop_assert!(bounds.low <= exact && exact < bounds.high, "P{} = {} in {:?}", q, exact, bounds);
            }
            for threshold in [values[0], values[0].next_up(), 3.0] {
                let exact = values.iter().filter(|v| **v < threshold).count() as f64 / values.len() as f64;
                let share = whole.share_below(threshold).expect("a share");
                prop_assert!(share.certain <= exact && exact <= share.possible, "{} {:?}", exact, share);
            }
        }
    }
}
