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
///
/// A disk that was taken over lies beside the one that the machine was built with, under a name of its own: libvirt renames
/// nothing, and so neither is ever in the other's place.
pub fn disk_name(intent: &Intent) -> String {
    match &intent.imported {
        None => format!("{}.{}.root.qcow2", intent.machine, intent.operation),
        Some(imported) => {
            let format = format_word(imported.format);
            format!("{}.{}.import-{}.{format}", intent.machine, intent.operation, imported.import)
        }
    }
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
}
