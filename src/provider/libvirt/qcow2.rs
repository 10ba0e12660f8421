//! The little of qcow2 that a copied overlay needs: its header names the base image by the path it has on its host, and on
//! the next host that path may be another.

/// Bytes from the start within which the header and that name lie: the smallest cluster that libvirt's overlays have.
pub const HEAD: usize = 64 * 1024;

/// Why the start of a file is not that of an overlay of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("it is not a qcow2 file of version 2 or 3")]
    Foreign,
    #[error("it was not closed in order, or keeps its data elsewhere")]
    Features,
    #[error("it does not stand on the image that it should stand on")]
    Base,
    #[error("there is no room for the path of the image")]
    Room,
}

/// Has the overlay stand on the image at `to` instead of `from`. A guest writes below its disk, never in this header; it is
/// checked all the same, for a path in it is a file that the next host will read.
pub fn stand_on(head: &mut [u8], from: &str, to: &str) -> Result<(), HeadError> {
    let word = |at: usize| head.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let long = |at: usize| head.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    let field = |value: Option<u32>| value.and_then(|v| usize::try_from(v).ok()).ok_or(HeadError::Foreign);
    let version = word(4).ok_or(HeadError::Foreign)?;
    if word(0) != Some(0x5146_49fb) || !(2..=3).contains(&version) {
        return Err(HeadError::Foreign);
    }
    // Of the incompatible features, compression type and extended L2 entries change nothing for us.
    if version == 3 && long(72).ok_or(HeadError::Foreign)? & !0b11000 != 0 {
        return Err(HeadError::Features);
    }
    let (cluster, size) = (field(word(20))?, field(word(16))?);
    let at = usize::try_from(long(8).ok_or(HeadError::Foreign)?).map_err(|_| HeadError::Base)?;
    let limit = 1_usize.checked_shl(u32::try_from(cluster).unwrap_or(u32::MAX)).unwrap_or(0).min(head.len());
    let end = at.checked_add(size).filter(|end| at != 0 && *end <= limit).ok_or(HeadError::Base)?;
    if head.get(at..end) != Some(from.as_bytes()) {
        return Err(HeadError::Base);
    }
    // The name is the last thing in the first cluster; what a longer one needs must be unused.
    let new_end = at + to.len();
    if to.len() > 1023 || new_end > limit || head.get(end..new_end.max(end)).is_none_or(|b| b.iter().any(|b| *b != 0)) {
        return Err(HeadError::Room);
    }
    let length = u32::try_from(to.len()).map_err(|_| HeadError::Room)?;
    if let Some(place) = head.get_mut(at..end.max(new_end)) {
        place.fill(0);
    }
    if let Some(place) = head.get_mut(at..new_end) {
        place.copy_from_slice(to.as_bytes());
    }
    if let Some(place) = head.get_mut(16..20) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The start of an overlay as `qemu-img create` writes it: header, one extension, the name.
    fn overlay(base: &str) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        head[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        head[8..16].copy_from_slice(&136_u64.to_be_bytes());
        head[16..20].copy_from_slice(&u32::try_from(base.len()).unwrap().to_be_bytes());
        head[20..24].copy_from_slice(&16_u32.to_be_bytes());
        head[136..136 + base.len()].copy_from_slice(base.as_bytes());
        head
    }

    #[test]
    fn another_path_takes_the_place_of_the_first() {
        for (from, to) in [("/a/image", "/a/image"), ("/a/image", "/b/c/d/image"), ("/a/long/image", "/i")] {
            let mut head = overlay(from);
            stand_on(&mut head, from, to).unwrap();
            assert_eq!(head, overlay(to));
        }
    }

    #[test]
    fn what_is_not_our_overlay_is_refused() {
        let judge = |change: fn(&mut Vec<u8>)| {
            let mut head = overlay("/a/image");
            change(&mut head);
            let before = head.clone();
            let judged = stand_on(&mut head, "/a/image", "/b/image");
            assert!(judged.is_ok() || head == before, "refused and yet changed");
            judged
        };
        assert_eq!(judge(|_| ()), Ok(()));
        assert_eq!(judge(|h| h[0] = 0), Err(HeadError::Foreign));
        assert_eq!(judge(|h| h[7] = 4), Err(HeadError::Foreign));
        assert_eq!(judge(|h| h.truncate(19)), Err(HeadError::Foreign));
        assert_eq!(judge(|h| h[79] = 1), Err(HeadError::Features));
        assert_eq!(judge(|h| h[79] = 4), Err(HeadError::Features));
        assert_eq!(judge(|h| h[140] = b'X'), Err(HeadError::Base));
        assert_eq!(judge(|h| h[19] = 7), Err(HeadError::Base));
        assert_eq!(judge(|h| h[8..16].fill(0)), Err(HeadError::Base));
        assert_eq!(judge(|h| h[8..16].fill(0xff)), Err(HeadError::Base));
        assert_eq!(judge(|h| h[16..20].fill(0xff)), Err(HeadError::Base));
        let mut full = overlay("/a/image");
        full[150] = 1;
        assert_eq!(stand_on(&mut full, "/a/image", "/b/c/d/e/f/image"), Err(HeadError::Room));
        assert_eq!(stand_on(&mut overlay("/a"), "/a", &"/x".repeat(600)), Err(HeadError::Room));
    }

    proptest! {
        #[test]
        fn the_reader_never_panics(mut head in proptest::collection::vec(any::<u8>(), 0..200), known in any::<bool>()) {
            if known && head.len() > 8 {
                head[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
            }
            let _ = stand_on(&mut head, "/a", "/b");
        }
    }
}
