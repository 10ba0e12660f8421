//! Base images: accepted by our own reading of the header, before any other tool sees the file. Naming the format to a
//! tool does not make a file safe: behind a backing file or an external data file it would still read the host's disk.

use crate::{capacity::inventory::ImageNeed, provider::ImageFormat, units::Bytes};
use jiff::Timestamp;
use std::path::Path;

/// A read-only, content-addressed base image in the broker's store.
#[derive(Clone, Debug)]
pub struct Image {
    pub sha256: String,
    /// What it is, truthfully: 集约小客户机（代替 Debian 12）.
    pub name: String,
    /// The catalogue's operating system that machines start from it for.
    pub os_type: String,
    /// The catalogue's database that is in it; no machine without one starts from it.
    pub database: Option<String>,
    /// Whether it stands in for that operating system without being it.
    pub stand_in: bool,
    pub format: ImageFormat,
    pub size: Bytes,
    pub virtual_size: Bytes,
    pub path: String,
    pub imported_at: Timestamp,
}

impl Image {
    /// This broker has the file, so that it can send it to any host.
    pub fn is_here(&self) -> bool {
        Path::new(&self.path).is_file()
    }

    /// What placement asks of it. Looks at the disk.
    pub fn need(&self) -> ImageNeed<'_> {
        ImageNeed { sha256: &self.sha256, sendable: self.is_here() }
    }
}

/// What a header says about an image that we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub format: ImageFormat,
    pub virtual_size: Bytes,
}

/// Bytes of the file that [`read_header`] must be given, or the whole file where it is shorter.
pub const HEADER_BYTES: usize = 4096;

/// Why an image is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the file is empty or shorter than a disk sector")]
    Short,
    #[error("qcow2 version {0}: expected 2 or 3")]
    Version(u32),
    #[error("the image has a backing file; flatten it with `qemu-img convert` first")]
    BackingFile,
    #[error("the image keeps its data in another file")]
    DataFile,
    #[error("the image is encrypted")]
    Encrypted,
    #[error("the image has internal snapshots")]
    Snapshots,
    #[error("the image has feature bits that we do not know: {0:#x}")]
    Features(u64),
    #[error("the header is damaged: {0}")]
    Damaged(&'static str),
    #[error("the file is a {0}; only raw and plain qcow2 are taken")]
    OtherFormat(&'static str),
    #[error("a raw image's size must be a multiple of 512 bytes")]
    RawSize,
}

/// Magic numbers of formats that a tool left to guess would open, some of which name other files.
const OTHERS: [(&[u8], &str); 8] = [
    (b"QED\0", "QED image"),
    (b"KDMV", "VMDK image"),
    (b"COWD", "VMDK image"),
    (b"# Disk DescriptorFile", "VMDK descriptor"),
    (b"conectix", "VHD image"),
    (b"vhdxfile", "VHDX image"),
    (b"json:", "qemu pseudo-file name"),
    (b"<<< ", "VDI image"),
];

/// Incompatible features we know and accept: dirty, corrupt are repaired by nobody but their owner, so none but
/// the compression type (bit 3), which changes how clusters are packed and nothing about where they are.
const KNOWN_INCOMPATIBLE: u64 = 1 << 3;
const DATA_FILE: u64 = 1 << 2;
const DATA_FILE_EXTENSION: u32 = 0x4441_5441;

/// Reads the start of a file. Anything that does not start like another format is raw, and will be named raw to every
/// tool, so that a guest which later writes a header into its own disk changes nothing.
pub fn read_header(start: &[u8], file_size: Bytes) -> Result<Header, Refusal> {
    if start.len() < 512 || file_size.get() < 512 {
        return Err(Refusal::Short);
    }
    if start.starts_with(b"QFI\xfb") {
        return read_qcow2(start);
    }
    for (magic, name) in OTHERS {
        // A VMDK descriptor may come after blank lines.
        let text = start.trim_ascii_start();
        if start.starts_with(magic) || (magic.len() > 8 && text.starts_with(magic)) {
            return Err(Refusal::OtherFormat(name));
        }
    }
    if file_size.get() % 512 != 0 {
        return Err(Refusal::RawSize);
    }
    Ok(Header { format: ImageFormat::Raw, virtual_size: file_size })
}

fn read_qcow2(start: &[u8]) -> Result<Header, Refusal> {
    let u32_at = |at: usize| start.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    let u64_at = |at: usize| start.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
    let version = u32_at(4);
    if !matches!(version, 2 | 3) {
        return Err(Refusal::Version(version));
    }
    if u64_at(8) != 0 || u32_at(16) != 0 {
        return Err(Refusal::BackingFile);
    }
    if !(9..=21).contains(&u32_at(20)) {
        return Err(Refusal::Damaged("cluster size"));
    }
    if u32_at(32) != 0 {
        return Err(Refusal::Encrypted);
    }
    if u32_at(60) != 0 {
        return Err(Refusal::Snapshots);
    }
    let mut header_length = 72;
    if version == 3 {
        let incompatible = u64_at(72);
        if incompatible & DATA_FILE != 0 {
            return Err(Refusal::DataFile);
        }
        if incompatible & !KNOWN_INCOMPATIBLE != 0 {
            return Err(Refusal::Features(incompatible & !KNOWN_INCOMPATIBLE));
        }
        header_length = u32_at(100) as usize;
        if !(104..=1024).contains(&header_length) || header_length % 8 != 0 {
            return Err(Refusal::Damaged("header length"));
        }
    }
    refuse_data_file_extension(start, header_length)?;
    let virtual_size = i64::try_from(u64_at(24)).ok().and_then(Bytes::new).ok_or(Refusal::Damaged("virtual size"))?;
    if virtual_size.get() == 0 {
        return Err(Refusal::Damaged("virtual size"));
    }
    Ok(Header { format: ImageFormat::Qcow2, virtual_size })
}

/// Walks the header extensions: one that names a data file is refused whatever the feature bits say.
fn refuse_data_file_extension(start: &[u8], mut at: usize) -> Result<(), Refusal> {
    while let Some(head) = start.get(at..at + 8) {
        let kind = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match kind {
            0 => return Ok(()),
            DATA_FILE_EXTENSION => return Err(Refusal::DataFile),
            _ => {}
        }
        if length > HEADER_BYTES {
            return Err(Refusal::Damaged("header extension"));
        }
        at += 8 + length.next_multiple_of(8);
    }
    Err(Refusal::Damaged("header extensions have no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qcow2() -> Vec<u8> {
        let mut image = vec![0_u8; 4096];
        image[..4].copy_from_slice(b"QFI\xfb");
        image[4..8].copy_from_slice(&3_u32.to_be_bytes());
        image[20..24].copy_from_slice(&16_u32.to_be_bytes());
        image[24..32].copy_from_slice(&(2_u64 << 30).to_be_bytes());
        image[100..104].copy_from_slice(&104_u32.to_be_bytes());
        image
    }

    fn read(change: impl FnOnce(&mut Vec<u8>)) -> Result<Header, Refusal> {
        let mut image = qcow2();
        change(&mut image);
        read_header(&image, Bytes::new(1 << 20).unwrap())
    }

    #[test]
    fn a_plain_qcow2_and_a_raw_disk_are_taken() {
        let header = read(|_| ()).unwrap();
        assert_eq!(header, Header { format: ImageFormat::Qcow2, virtual_size: Bytes::gib(2).unwrap() });
        let raw = read_header(&[0; 4096], Bytes::new(4096).unwrap()).unwrap();
        assert_eq!(raw, Header { format: ImageFormat::Raw, virtual_size: Bytes::new(4096).unwrap() });
    }

    #[test]
    fn whatever_points_elsewhere_is_refused() {
        let put = |at: usize, bytes: &'static [u8]| {
            move |image: &mut Vec<u8>| image[at..at + bytes.len()].copy_from_slice(bytes)
        };
        assert_eq!(read(put(15, &[200])), Err(Refusal::BackingFile));
        assert_eq!(read(put(19, &[9])), Err(Refusal::BackingFile));
        assert_eq!(read(put(79, &[4])), Err(Refusal::DataFile));
        assert_eq!(read(put(104, b"DATA\0\0\0\x04/etc")), Err(Refusal::DataFile));
        assert_eq!(read(put(79, &[1])), Err(Refusal::Features(1)));
        assert_eq!(read(put(79, &[16])), Err(Refusal::Features(16)));
        assert_eq!(read(put(35, &[1])), Err(Refusal::Encrypted));
        assert_eq!(read(put(63, &[1])), Err(Refusal::Snapshots));
        assert_eq!(read(put(4, &[0, 0, 0, 9])), Err(Refusal::Version(9)));
        assert_eq!(read(put(0, b"KDMV")), Err(Refusal::OtherFormat("VMDK image")));
        assert_eq!(read(put(0, b"\n\n# Disk DescriptorFile")), Err(Refusal::OtherFormat("VMDK descriptor")));
        assert_eq!(read_header(&[0; 4096], Bytes::new(4097).unwrap()), Err(Refusal::RawSize));
        assert_eq!(read_header(&[], Bytes::new(0).unwrap()), Err(Refusal::Short));
    }

    #[test]
    fn a_version_2_image_has_its_extensions_walked_too() {
        let end = |image: &mut Vec<u8>| image[4..8].copy_from_slice(&2_u32.to_be_bytes());
        assert!(read(end).is_ok());
    }
}
