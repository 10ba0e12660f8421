//! Base images: what is known of one, and how people name it. What is taken at all is for [`crate::provider::disk_image`].

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

/// How many characters of a digest name an image, at least.
const SHORTEST_PREFIX: usize = 8;

/// The image that a person means: by its digest, the beginning of it, or its name.
pub fn named<'a>(images: &'a [Image], key: &str) -> Option<&'a Image> {
    let exact = images.iter().find(|image| image.sha256 == key || image.name == key);
    let mut begun = images.iter().filter(|image| key.len() >= SHORTEST_PREFIX && image.sha256.starts_with(key));
    // A beginning that two have is nobody's.
    exact.or_else(|| begun.next().filter(|_| begun.next().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_digest_the_beginning_of_it_or_its_name() {
        let image = |sha256: &str, name: &str| Image {
            sha256: sha256.repeat(16),
            name: name.to_owned(),
            os_type: "debian-12".to_owned(),
            database: None,
            stand_in: false,
            format: ImageFormat::Raw,
            size: Bytes::MAX,
            virtual_size: Bytes::MAX,
            path: String::new(),
            imported_at: Timestamp::UNIX_EPOCH,
        };
        let mut images = vec![image("abcd", "一"), image("abce", "二")];
        let found = |images: &[Image], key: &str| named(images, key).map(|image| image.name.clone());
        assert_eq!(found(&images, "二").as_deref(), Some("二"));
        assert_eq!(found(&images, &"abcd".repeat(16)).as_deref(), Some("一"));
        assert_eq!(found(&images, "abcdabcd").as_deref(), Some("一"));
        assert_eq!(found(&images, "abcdabc"), None);
        assert_eq!(found(&images, ""), None);
        images.push(Image { name: "三".to_owned(), sha256: format!("{}00", "abcd".repeat(15)), ..image("", "") });
        assert_eq!(found(&images, "abcdabcd"), None);
    }
}
