//! The header of a qcow2 file, against an allow-list: what QEMU's own `qemu-img` writes for an image that stands by itself.

use super::{HEADER_BYTES, Refusal, disk_size};
use crate::units::Bytes;

pub const MAGIC: &[u8] = b"QFI\xfb";

/// Where an accepted image keeps what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub virtual_size: Bytes,
    pub version: u32,
    pub cluster_bits: u32,
    pub l1_offset: u64,
    pub l1_entries: u64,
}

impl Layout {
    pub const fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }
}

const DIRTY_OR_CORRUPT: u64 = 0b11;
const DATA_FILE: u64 = 1 << 2;
/// How clusters are packed; says nothing about where they are.
const COMPRESSION: u64 = 1 << 3;
/// Lazy reference counts: of interest to a writer only.
const LAZY: u64 = 1;
const BITMAPS: u64 = 1;
const RAW_DATA_FILE: u64 = 1 << 1;

/// As large as QEMU takes the two tables.
const MAX_L1_BYTES: u64 = 32 << 20;
const MAX_REFCOUNT_BYTES: u64 = 8 << 20;

mod extension {
    pub const END: u32 = 0;
    pub const BACKING_FORMAT: u32 = 0xe279_2aca;
    pub const FEATURE_NAMES: u32 = 0x6803_f857;
    pub const BITMAPS: u32 = 0x2385_2875;
    pub const ENCRYPTION: u32 = 0x0537_be77;
    pub const DATA_FILE: u32 = 0x4441_5441;
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// `start` begins with the magic number and has 512 bytes at least.
pub fn read(start: &[u8], file_size: u64) -> Result<Layout, Refusal> {
    let version = u32_at(start, 4);
    if !matches!(version, 2 | 3) {
        return Err(Refusal::Version(version));
    }
    // A place or a length alone is no backing file to QEMU today; nothing sound has one without the other.
    if u64_at(start, 8) != 0 || u32_at(start, 16) != 0 {
        return Err(Refusal::BackingFile);
    }
    if u32_at(start, 32) != 0 {
        return Err(Refusal::Encrypted);
    }
    if u32_at(start, 60) != 0 {
        return Err(Refusal::Snapshots);
    }
    let header_length = if version == 3 { read_version_3(start)? } else { 72 };
    let cluster_bits = u32_at(start, 20);
    if !(9..=21).contains(&cluster_bits) {
        return Err(Refusal::Damaged("簇大小不在 512 字节至 2 MiB 之间"));
    }
    let cluster = 1_u64 << cluster_bits;
    read_extensions(start.get(..usize::try_from(cluster).unwrap_or(usize::MAX)).unwrap_or(start), header_length)?;
    let virtual_size = disk_size(u64_at(start, 24))?;
    let l1_entries = u64::from(u32_at(start, 36));
    let described = l1_entries.saturating_mul(cluster).saturating_mul(cluster / 8);
    if described < u64_at(start, 24) {
        return Err(Refusal::Damaged("L1 表装不下整个磁盘"));
    }
    let refcount_bytes = u64::from(u32_at(start, 56)).saturating_mul(cluster);
    let l1 = table(u64_at(start, 40), l1_entries.saturating_mul(8), MAX_L1_BYTES, cluster, file_size, "L1 表")?;
    let refcounts = table(u64_at(start, 48), refcount_bytes, MAX_REFCOUNT_BYTES, cluster, file_size, "引用计数表")?;
    if l1.0 < refcounts.1 && refcounts.0 < l1.1 {
        return Err(Refusal::Damaged("L1 表与引用计数表重叠"));
    }
    Ok(Layout { virtual_size, version, cluster_bits, l1_offset: l1.0, l1_entries })
}

/// What version 3 has beyond version 2; answers the header's length.
fn read_version_3(start: &[u8]) -> Result<usize, Refusal> {
    let (incompatible, compatible, autoclear) = (u64_at(start, 72), u64_at(start, 80), u64_at(start, 88));
    if incompatible & DATA_FILE != 0 || autoclear & RAW_DATA_FILE != 0 {
        return Err(Refusal::DataFile);
    }
    if incompatible & DIRTY_OR_CORRUPT != 0 {
        return Err(Refusal::Unclean);
    }
    if autoclear & BITMAPS != 0 {
        return Err(Refusal::Bitmaps);
    }
    let unknown = (incompatible & !COMPRESSION) | (compatible & !LAZY) | autoclear;
    if unknown != 0 {
        return Err(Refusal::Features(unknown));
    }
    if u32_at(start, 96) > 6 {
        return Err(Refusal::Damaged("引用计数的位数"));
    }
    let length = u32_at(start, 100);
    // The compression type came with the eight bytes after the first 104: zlib (0) or zstd (1), and the bit when not zlib.
    let kind: &[u8] = if length == 112 { start.get(104..112).unwrap_or_default() } else { &[0; 8] };
    let known = match kind {
        [0, rest @ ..] => incompatible & COMPRESSION == 0 && rest.iter().all(|b| *b == 0),
        [1, rest @ ..] => incompatible & COMPRESSION != 0 && rest.iter().all(|b| *b == 0),
        _ => false,
    };
    match length {
        104 | 112 if known => usize::try_from(length).map_err(|_| Refusal::Damaged("文件头的长度")),
        104 | 112 => Err(Refusal::Damaged("压缩类型")),
        _ => Err(Refusal::Damaged("文件头的长度")),
    }
}

/// Walks the header extensions in the first cluster. One that is not known may mean anything.
fn read_extensions(area: &[u8], mut at: usize) -> Result<(), Refusal> {
    while let Some(head) = area.get(at..at + 8) {
        let (kind, length) = (u32_at(head, 0), u32_at(head, 4));
        match kind {
            extension::END => return Ok(()),
            extension::FEATURE_NAMES => {}
            extension::BACKING_FORMAT => return Err(Refusal::BackingFile),
            extension::DATA_FILE => return Err(Refusal::DataFile),
            extension::ENCRYPTION => return Err(Refusal::Encrypted),
            extension::BITMAPS => return Err(Refusal::Bitmaps),
            other => return Err(Refusal::Extension(other)),
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > HEADER_BYTES {
            return Err(Refusal::Damaged("文件头扩展的长度"));
        }
        at += 8 + length.next_multiple_of(8);
    }
    Err(Refusal::Damaged("文件头的扩展没有结尾"))
}

/// The beginning and end of a table that must lie within the file, on a cluster of its own.
fn table(
    offset: u64,
    length: u64,
    most: u64,
    cluster: u64,
    file_size: u64,
    name: &'static str,
) -> Result<(u64, u64), Refusal> {
    if length == 0 || length > most {
        return Err(Refusal::Damaged("L1 表或引用计数表的大小"));
    }
    if offset == 0 || !offset.is_multiple_of(cluster) {
        return Err(Refusal::Damaged("L1 表或引用计数表的位置"));
    }
    let end = offset.checked_add(length).filter(|end| *end <= file_size).ok_or(Refusal::Cut(name))?;
    Ok((offset, end))
}
