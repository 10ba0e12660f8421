//! Volumes of a pool: their names, their XML, and what libvirt says of one.

use super::xml::{Element, XmlError};
use crate::provider::{ImageRef, Intent, libvirt::domain_xml::format_word};

/// The volume of a base image. The name carries the digest, so that equal images are one volume.
pub fn image_name(image: &ImageRef) -> String {
    format!("image-{}.{}", image.sha256, format_word(image.format))
}

/// The empty volume that says "the image of this name is whole".
pub fn ready_name(image: &ImageRef) -> String {
    format!("{}.ready", image_name(image))
}

/// The machine's own disk. Machine and operation in the name are the mark by which a volume is known as ours.
pub fn disk_name(intent: &Intent) -> String {
    format!("{}.{}.root.qcow2", intent.machine, intent.operation)
}

pub fn seed_name(intent: &Intent) -> String {
    format!("{}.{}.seed.img", intent.machine, intent.operation)
}

pub fn console_name(intent: &Intent) -> String {
    format!("{}.{}.console.log", intent.machine, intent.operation)
}

/// A volume to be made.
#[derive(Clone, Debug)]
pub struct NewVolume {
    pub name: String,
    /// Bytes that the guest or the reader sees.
    pub capacity: u64,
    pub format: &'static str,
    /// Octal, as in `0444`.
    pub mode: &'static str,
    /// Path and format of the image beneath.
    pub backing: Option<(String, &'static str)>,
}

impl NewVolume {
    pub fn raw(name: String, capacity: u64) -> Self {
        Self { name, capacity, format: "raw", mode: "0600", backing: None }
    }

    pub fn to_xml(&self) -> Result<String, XmlError> {
        let permissions = Element::new("permissions").child(Element::new("mode").text(self.mode));
        let target = Element::new("target").child(Element::new("format").attr("type", self.format)).child(permissions);
        let backing = self.backing.as_ref().map(|(path, format)| {
            Element::new("backingStore")
                .child(Element::new("path").text(path))
                .child(Element::new("format").attr("type", format))
        });
        Element::new("volume")
            .child(Element::new("name").text(&self.name))
            .child(Element::new("capacity").attr("unit", "bytes").text(self.capacity))
            // Sparse: without it libvirt writes a raw volume full of zeros first.
            .child(Element::new("allocation").attr("unit", "bytes").text(0))
            .child(target)
            .children(backing)
            .to_xml()
    }
}

/// What libvirt knows of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFacts {
    pub capacity: u64,
    pub format: String,
    pub backing: Option<String>,
    pub backing_format: Option<String>,
}

impl VolumeFacts {
    pub fn read(xml: &str) -> Result<Self, XmlError> {
        let volume = Element::parse(xml)?;
        let missing = |what: &str| XmlError::Malformed(format!("a volume without {what}"));
        let capacity = volume.text_at(&["capacity"]).and_then(|t| t.parse().ok()).ok_or_else(|| missing("capacity"))?;
        let format = volume.find(&["target", "format"]).and_then(|e| e.get("type")).ok_or_else(|| missing("format"))?;
        Ok(Self {
            capacity,
            format: format.to_owned(),
            backing: volume.text_at(&["backingStore", "path"]).map(str::to_owned),
            backing_format: volume.find(&["backingStore", "format"]).and_then(|e| e.get("type")).map(str::to_owned),
        })
    }
}

/// Why a file is no qcow2 image that may lie under a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Qcow2Error {
    #[error("it is not a qcow2 image of version 2 or 3")]
    Foreign,
    #[error("it names a backing file")]
    BackingFile,
    #[error("it has incompatible features, among which an external data file may be")]
    Features,
}

/// Bytes of a qcow2 header that [`qcow2_size`] looks at.
pub const QCOW2_HEADER: usize = 80;

/// The virtual size in a qcow2 header. Images were checked when they came in; this second look keeps an image that reads
/// other files of the host (`hazards` S3) from ever being a base, whoever put it into the pool.
pub fn qcow2_size(header: &[u8]) -> Result<u64, Qcow2Error> {
    let field = |at: usize| header.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    let (Some(start), Some(backing), Some(size)) = (field(0), field(8), field(24)) else {
        return Err(Qcow2Error::Foreign);
    };
    let version = start & 0xffff_ffff;
    if start >> 32 != 0x5146_49fb || !(2..=3).contains(&version) {
        return Err(Qcow2Error::Foreign);
    }
    if backing != 0 {
        return Err(Qcow2Error::BackingFile);
    }
    // Bit 0 (dirty) would be a running image's; only bit 3, the compression type, is harmless.
    if version == 3 && field(72).ok_or(Qcow2Error::Foreign)? & !0b1000 != 0 {
        return Err(Qcow2Error::Features);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_names_its_base_and_its_format() {
        let new = NewVolume { format: "qcow2", backing: Some(("/p/b".into(), "raw")), ..NewVolume::raw("n".into(), 5) };
        insta::assert_snapshot!(new.to_xml().unwrap());
        let facts = VolumeFacts::read(&new.to_xml().unwrap()).unwrap();
        assert_eq!((facts.capacity, facts.format.as_str()), (5, "qcow2"));
        assert_eq!((facts.backing.as_deref(), facts.backing_format.as_deref()), (Some("/p/b"), Some("raw")));
    }

    #[test]
    fn only_plain_qcow2_is_a_base() {
        let mut header = vec![0; QCOW2_HEADER];
        assert_eq!(qcow2_size(&header), Err(Qcow2Error::Foreign));
        assert_eq!(qcow2_size(b"QFI\xfb"), Err(Qcow2Error::Foreign));
        header[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        header[24..32].copy_from_slice(&77_u64.to_be_bytes());
        assert_eq!(qcow2_size(&header), Ok(77));
        header[79] = 8;
        assert_eq!(qcow2_size(&header), Ok(77));
        header[79] = 4;
        assert_eq!(qcow2_size(&header), Err(Qcow2Error::Features));
        header[15] = 104;
        assert_eq!(qcow2_size(&header), Err(Qcow2Error::BackingFile));
    }
}
