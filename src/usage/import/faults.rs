//! What was wrong, by line and column: all of it counted, the first of it told.

use std::collections::BTreeMap;

/// Faults that are told one by one.
pub const TOLD: usize = 100;

/// A line, or one value of it, that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// From 1, which is the header's.
    pub line: u64,
    /// As the header calls it; `None` for the whole line.
    pub column: Option<&'static str>,
    pub cause: &'static str,
}

/// How often, and where first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub count: u64,
    pub first_line: u64,
}

/// By cause and column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    counts: BTreeMap<(&'static str, Option<&'static str>), Count>,
    first: Vec<Fault>,
}

impl Faults {
    pub fn note(&mut self, fault: Fault) {
        let new = Count { count: 0, first_line: fault.line };
        let known = self.counts.entry((fault.cause, fault.column)).or_insert(new);
        known.count += 1;
        known.first_line = known.first_line.min(fault.line);
        self.first.push(fault);
        if self.first.len() >= 2 * TOLD {
            self.cut();
        }
    }

    pub fn absorb(&mut self, other: Self) {
        for (key, Count { count, first_line }) in other.counts {
            let known = self.counts.entry(key).or_insert(Count { count: 0, first_line });
            known.count += count;
            known.first_line = known.first_line.min(first_line);
        }
        self.first.extend(other.first);
        self.cut();
    }

    fn cut(&mut self) {
        self.first.sort_unstable();
        self.first.truncate(TOLD);
    }

    /// Cause, column, how often.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, Option<&'static str>, Count)> {
        self.counts.iter().map(|((cause, column), count)| (*cause, *column, *count))
    }

    /// The first ones, in the order of the file.
    pub fn first(mut self) -> Vec<Fault> {
        self.cut();
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_told() {
        let (mut whole, mut part) = (Faults::default(), Faults::default());
        for line in (2..=1000).rev() {
            let into = if line % 2 == 0 { &mut whole } else { &mut part };
            into.note(Fault { line, column: Some("ts"), cause: "late" });
        }
        whole.absorb(part);
        assert_eq!(whole.counts().collect::<Vec<_>>(), [("late", Some("ts"), Count { count: 999, first_line: 2 })]);
        let told: Vec<u64> = whole.first().iter().map(|fault| fault.line).collect();
        assert_eq!(told, (2..102).collect::<Vec<_>>());
    }
}
