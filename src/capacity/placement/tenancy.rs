//! Who is on a host, in as few numbers as the score needs; every arrival can be undone exactly.

use super::FOREVER;
use std::collections::BTreeMap;

/// The machines that run on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenancy {
    machines: i64,
    since_sum: i64,
    /// How many leases end when; one that is not known never does.
    ends: BTreeMap<i64, i64>,
}

impl Tenancy {
    /// `machines` machines arrive: `since_sum` is the sum of the instants at which they did.
    pub fn arrive(&mut self, machines: i64, since_sum: i64, lease_end: Option<i64>) {
        self.machines += machines;
        self.since_sum += since_sum;
        *self.ends.entry(lease_end.unwrap_or(FOREVER)).or_default() += machines;
    }

    /// One of them goes again.
    pub fn leave(&mut self, since: i64, lease_end: Option<i64>) {
        let end = lease_end.unwrap_or(FOREVER);
        let Some(held) = self.ends.get_mut(&end) else { return };
        *held -= 1;
        if *held == 0 {
            self.ends.remove(&end);
        }
        self.machines -= 1;
        self.since_sum -= since;
    }

    pub const fn machines(&self) -> i64 {
        self.machines
    }

    pub const fn since_sum(&self) -> i64 {
        self.since_sum
    }

    /// When the last lease ends; of an empty host, the beginning of time.
    pub fn last_end(&self) -> i64 {
        self.ends.last_key_value().map_or(i64::MIN, |(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_and_left_again_was_never_there() {
        let mut tenancy = Tenancy::default();
        tenancy.arrive(2, 300, Some(900));
        let before = tenancy.clone();
        tenancy.arrive(1, 200, Some(1000));
        tenancy.arrive(1, 250, None);
        assert_eq!((tenancy.machines(), tenancy.since_sum(), tenancy.last_end()), (4, 750, FOREVER));
        tenancy.leave(250, None);
        assert_eq!(tenancy.last_end(), 1000);
        tenancy.leave(200, Some(1000));
        assert_eq!(tenancy, before);
        // One that was never there takes nothing with it.
        tenancy.leave(7, Some(7));
        assert_eq!(tenancy, before);
    }
}
