//! Claims that change while they stand: a machine that grows or shrinks where it is, or goes to another host.
//!
//! A machine that changes its size holds the larger of both in each dimension until the change has come to its end. A
//! machine on its way holds its place on both hosts until it has arrived.

pub mod store;

use super::{Amount, Size};
use crate::units::Bytes;

/// The larger of both in each dimension.
pub fn larger(a: Size, b: Size) -> Size {
    Size { vcpu: a.vcpu.max(b.vcpu), memory: a.memory.max(b.memory), disk: a.disk.max(b.disk) }
}

/// What `to` takes beyond `from`; nothing where it takes less.
pub fn growth(from: Size, to: Size) -> Amount {
    let beyond = |from: Bytes, to: Bytes| (to.get() - from.get()).max(0);
    Amount {
        machines: 0,
        vcpu: (i64::from(to.vcpu) - i64::from(from.vcpu)).max(0),
        memory_bytes: beyond(from.memory, to.memory),
        disk_bytes: beyond(from.disk, to.disk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_and_the_larger_agree() {
        let size = |vcpu, gib| Size { vcpu, memory: Bytes::gib(gib).unwrap(), disk: Bytes::gib(20).unwrap() };
        let (from, to) = (size(4, 2), size(2, 8));
        assert_eq!(larger(from, to), size(4, 8));
        assert_eq!(growth(from, to), Amount { memory_bytes: 6 << 30, ..Amount::default() });
        assert_eq!(growth(from, larger(from, to)), growth(from, to));
        assert_eq!(growth(to, from), Amount { vcpu: 2, ..Amount::default() });
    }
}
