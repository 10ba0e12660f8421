//! The tables of a qcow2 file: everything that they point at lies in the file. A download that was cut short is found here,
//! and not by the first machine that reads the part that is missing.

use super::{ReadError, Refusal, bytes_at, qcow2::Layout};
use std::io::{Read, Seek};

/// Where the disk's first cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Nowhere: it reads as zeros.
    Absent,
    At(u64),
    /// Compressed.
    Packed,
}

const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Its reference count is exactly one: a hint that carries nothing.
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Reads as zeros, whatever is there.
const ZERO: u64 = 1;

/// The work is bounded by the file's own size: each table of the second level takes a cluster, and no two share one.
pub fn check(file: &mut (impl Read + Seek), layout: &Layout, file_size: u64) -> Result<First, ReadError> {
    let cluster = layout.cluster();
    let mut tables = 0_u64;
    let mut first = First::Absent;
    for (number, entry) in entries(&bytes_at(file, layout.l1_offset, layout.l1_entries * 8)?).enumerate() {
        let offset = entry & OFFSET;
        if entry & !(OFFSET | COPIED) != 0 || !offset.is_multiple_of(cluster) {
            return Err(Refusal::Damaged("L1 表的内容").into());
        }
        if offset == 0 {
            continue;
        }
        if offset.saturating_add(cluster) > file_size {
            return Err(Refusal::Cut("L2 表").into());
        }
        tables += 1;
        if tables.saturating_mul(cluster) > file_size {
            return Err(Refusal::Damaged("L2 表互相重叠").into());
        }
        for (place, entry) in entries(&bytes_at(file, offset, cluster)?).enumerate() {
            let found = judge(entry, layout, file_size)?;
            if (number, place) == (0, 0) {
                first = found;
            }
        }
    }
    Ok(first)
}

fn entries(table: &[u8]) -> impl Iterator<Item = u64> {
    table.chunks_exact(8).filter_map(|entry| entry.try_into().ok()).map(u64::from_be_bytes)
}

/// One entry of the second level. A cluster must begin in the file; QEMU reads zeros where it ends beyond it.
fn judge(entry: u64, layout: &Layout, file_size: u64) -> Result<First, Refusal> {
    if entry & COMPRESSED != 0 {
        let sector_bits = layout.cluster_bits - 8;
        let offset = entry & ((1 << (62 - sector_bits)) - 1);
        let sectors = (entry & !(COPIED | COMPRESSED)) >> (62 - sector_bits);
        let end = (offset & !511).saturating_add((sectors + 1) * 512);
        let whole = offset >= layout.cluster() && end <= file_size.next_multiple_of(512);
        return if whole { Ok(First::Packed) } else { Err(Refusal::Cut("压缩的数据")) };
    }
    let offset = entry & OFFSET;
    let zero = if layout.version == 3 { ZERO } else { 0 };
    if entry & !(OFFSET | COPIED | zero) != 0 || !offset.is_multiple_of(layout.cluster()) {
        return Err(Refusal::Damaged("L2 表的内容"));
    }
    if offset >= file_size {
        return Err(Refusal::Cut("数据"));
    }
    Ok(if offset == 0 || entry & ZERO != 0 { First::Absent } else { First::At(offset) })
}
