//! What a file must be to become the disk under a machine: raw, or qcow2 that stands by itself. Judged by our own reading,
//! before any other tool sees the file. Naming the format to a tool does not make a file safe: behind a backing file or an
//! external data file it would still read the host's disk (`hazards` S3). Whatever is not known to be harmless is refused.
//!
//! [`read_file`] judges a whole file when it comes in. [`read_header`] is the part of it that looks at the start only, for
//! the second look at what already lies on a host.

mod clusters;
mod foreign;
mod qcow2;

use super::ImageFormat;
use crate::units::Bytes;
use foreign::Foreign;
use qcow2::Layout;
use std::io::{self, Read, Seek, SeekFrom};

/// What is learnt of an image that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub format: ImageFormat,
    pub virtual_size: Bytes,
}

/// Bytes of the file that [`read_header`] must be given, or the whole file where it is shorter.
pub const HEADER_BYTES: usize = 64 << 10;
const SECTOR: u64 = 512;
/// No disk is larger: more than any machine may have.
const LARGEST: u64 = 16 << 40;

/// Why an image is not accepted. The messages are for people and stand inside a sentence; [`Refusal::mend`] is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("文件是空的，或者不足一个扇区（512 字节）")]
    Short,
    #[error("这是{}", .0.name)]
    OtherFormat(Foreign),
    #[error("qcow2 的版本是 {0}，只接收 2 和 3")]
    Version(u32),
    #[error("带有后备文件（backing file），运行时会去读另一个文件")]
    BackingFile,
    #[error("数据在另一个文件里（external data file）")]
    DataFile,
    #[error("已加密")]
    Encrypted,
    #[error("带有内部快照")]
    Snapshots,
    #[error("带有持久位图（persistent bitmap）")]
    Bitmaps,
    #[error("没有正常关闭，或者已标记为损坏")]
    Unclean,
    #[error("用了不认识的特性（{0:#x}）")]
    Features(u64),
    #[error("文件头带有不认识的扩展（{0:#010x}）")]
    Extension(u32),
    #[error("磁盘大小 {0} 字节不可用：须为 512 的整数倍，大于 0，不超过 16 TiB")]
    VirtualSize(u64),
    #[error("文件已损坏：{0}")]
    Damaged(&'static str),
    #[error("文件不完整：{0}在文件末尾之外")]
    Cut(&'static str),
    #[error("raw 镜像的大小不是 512 字节的整数倍")]
    RawSize,
    #[error("磁盘的第一个扇区不是启动扇区（末尾没有 55 AA），虚拟机无法从它启动")]
    NoBootSector,
}

impl Refusal {
    /// What to do about it. Tools that would follow what the file names are to be run where it comes from, not here.
    pub const fn mend(&self) -> &'static str {
        match self {
            Self::OtherFormat(foreign) => foreign.mend,
            Self::Version(_)
            | Self::BackingFile
            | Self::DataFile
            | Self::Snapshots
            | Self::Bitmaps
            | Self::Features(_)
            | Self::Extension(_)
            | Self::VirtualSize(_) => foreign::CONVERT,
            Self::Encrypted => "请在产生该镜像的机器上先解密，再用 qemu-img convert -O qcow2 转换后导入",
            Self::Unclean => "请先正常关闭使用它的虚拟机，用 qemu-img check -r all 修复，再重新导入",
            Self::Damaged(_) | Self::Short | Self::Cut(_) | Self::RawSize => {
                "请与来源核对文件的大小和 SHA-256，重新下载或导出后再导入"
            }
            Self::NoBootSector => "请提供装好系统、能以 BIOS 方式启动的整盘镜像（不是单个分区，也不是空盘）",
        }
    }
}

/// Why a file was not judged to be good.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
}

/// Judges a file by its start. What does not start like another format is raw, and will be named raw to every tool, so that
/// a guest which later writes a header into its own disk changes nothing.
pub fn read_header(start: &[u8], file_size: u64) -> Result<Header, Refusal> {
    Ok(judge(start, file_size)?.header())
}

/// Judges a whole file: also what only its end or its tables tell, and whether a machine could boot from it.
pub fn read_file(file: &mut (impl Read + Seek)) -> Result<Header, ReadError> {
    let size = file.seek(SeekFrom::End(0))?;
    let start = bytes_at(file, 0, HEADER_BYTES as u64)?;
    let judged = judge(&start, size)?;
    let boots = match &judged {
        Judged::Raw { .. } => {
            let end = bytes_at(file, size - SECTOR, SECTOR)?;
            if let Some(foreign) = foreign::by_end(&end) {
                return Err(Refusal::OtherFormat(foreign).into());
            }
            has_boot_mark(&start)
        }
        Judged::Qcow2(layout) => match clusters::check(file, layout, size)? {
            clusters::First::Absent => false,
            clusters::First::At(offset) => has_boot_mark(&bytes_at(file, offset, SECTOR)?),
            // What is packed there only the machine will see.
            clusters::First::Packed => true,
        },
    };
    if boots { Ok(judged.header()) } else { Err(Refusal::NoBootSector.into()) }
}

enum Judged {
    Raw { size: Bytes },
    Qcow2(Layout),
}

impl Judged {
    const fn header(&self) -> Header {
        match self {
            Self::Raw { size } => Header { format: ImageFormat::Raw, virtual_size: *size },
            Self::Qcow2(layout) => Header { format: ImageFormat::Qcow2, virtual_size: layout.virtual_size },
        }
    }
}

fn judge(start: &[u8], file_size: u64) -> Result<Judged, Refusal> {
    if start.len() < 512 || file_size < SECTOR {
        return Err(Refusal::Short);
    }
    if start.starts_with(qcow2::MAGIC) {
        return qcow2::read(start, file_size).map(Judged::Qcow2);
    }
    if let Some(foreign) = foreign::by_start(start) {
        return Err(Refusal::OtherFormat(foreign));
    }
    if !file_size.is_multiple_of(SECTOR) {
        return Err(Refusal::RawSize);
    }
    Ok(Judged::Raw { size: disk_size(file_size)? })
}

fn disk_size(bytes: u64) -> Result<Bytes, Refusal> {
    let sound = bytes != 0 && bytes.is_multiple_of(SECTOR) && bytes <= LARGEST;
    let size = i64::try_from(bytes).ok().and_then(Bytes::new).filter(|_| sound);
    size.ok_or(Refusal::VirtualSize(bytes))
}

/// The mark without which a BIOS does not boot from a disk, whatever partitions it has.
fn has_boot_mark(sector: &[u8]) -> bool {
    sector.get(510..512) == Some(&[0x55, 0xaa])
}

/// At most so many bytes from there on: fewer where the file ends.
fn bytes_at(file: &mut (impl Read + Seek), offset: u64, most: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
