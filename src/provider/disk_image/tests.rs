use super::*;
use proptest::prelude::*;
use std::io::Cursor;

const CLUSTER: usize = 64 << 10;

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A disk of 2 GiB that `qemu-img` could have written: header, reference counts, L1, one L2, one cluster with a boot sector.
fn qcow2() -> Vec<u8> {
    let mut image = vec![0_u8; 6 * CLUSTER];
    put(&mut image, 0, b"QFI\xfb\0\0\0\x03");
    put(&mut image, 20, &16_u32.to_be_bytes());
    put(&mut image, 24, &(2_u64 << 30).to_be_bytes());
    put(&mut image, 36, &4_u32.to_be_bytes());
    put(&mut image, 40, &(3 * CLUSTER as u64).to_be_bytes());
    put(&mut image, 48, &(CLUSTER as u64).to_be_bytes());
    put(&mut image, 56, &1_u32.to_be_bytes());
    put(&mut image, 96, &4_u32.to_be_bytes());
    put(&mut image, 100, &112_u32.to_be_bytes());
    put(&mut image, 3 * CLUSTER, &((4 * CLUSTER as u64) | 1 << 63).to_be_bytes());
    put(&mut image, 4 * CLUSTER, &((5 * CLUSTER as u64) | 1 << 63).to_be_bytes());
    put(&mut image, 5 * CLUSTER + 510, &[0x55, 0xaa]);
    image
}

fn raw() -> Vec<u8> {
    let mut image = vec![0; 4096];
    put(&mut image, 510, &[0x55, 0xaa]);
    image
}

fn judge(image: Vec<u8>) -> Result<Header, Refusal> {
    read_file(&mut Cursor::new(image)).map_err(|error| match error {
        ReadError::Refused(refusal) => refusal,
        ReadError::Io(error) => panic!("{error}"),
    })
}

/// The good image with these bytes in that place.
fn with(at: usize, bytes: &[u8]) -> Result<Header, Refusal> {
    let mut image = qcow2();
    put(&mut image, at, bytes);
    judge(image)
}

#[test]
fn a_plain_qcow2_and_a_raw_disk_are_taken() {
    let header = Header { format: ImageFormat::Qcow2, virtual_size: Bytes::gib(2).unwrap() };
    assert_eq!(judge(qcow2()), Ok(header));
    // Older writers: a shorter header, version 2. Lazy reference counts. zstd.
    assert_eq!(with(100, &104_u32.to_be_bytes()), Ok(header));
    assert_eq!(with(4, &2_u32.to_be_bytes()), Ok(header));
    assert_eq!(with(80, &1_u64.to_be_bytes()), Ok(header));
    let mut zstd = qcow2();
    put(&mut zstd, 79, &[8]);
    put(&mut zstd, 104, &[1]);
    assert_eq!(judge(zstd), Ok(header));
    // Named features say nothing that matters.
    assert_eq!(with(112, b"\x68\x03\xf8\x57\0\0\0\x30"), Ok(header));
    assert_eq!(judge(raw()), Ok(Header { format: ImageFormat::Raw, virtual_size: Bytes::new(4096).unwrap() }));
}

#[test]
fn whatever_points_elsewhere_is_refused() {
    for (at, bytes, refusal) in [
        (15, &[200][..], Refusal::BackingFile),
        (19, &[9], Refusal::BackingFile),
        (112, b"\xe2\x79\x2a\xca\0\0\0\x03raw", Refusal::BackingFile),
        (79, &[4], Refusal::DataFile),
        (95, &[2], Refusal::DataFile),
        (112, b"DATA\0\0\0\x04/etc", Refusal::DataFile),
        (79, &[1], Refusal::Unclean),
        (79, &[2], Refusal::Unclean),
        (79, &[16], Refusal::Features(16)),
        (72, &[128], Refusal::Features(1 << 63)),
        (87, &[2], Refusal::Features(2)),
        (95, &[4], Refusal::Features(4)),
        (95, &[1], Refusal::Bitmaps),
        (112, b"\x23\x85\x28\x75\0\0\0\x18", Refusal::Bitmaps),
        (112, b"\x05\x37\xbe\x77\0\0\0\x10", Refusal::Encrypted),
        (112, b"\x12\x34\x56\x78\0\0\0\x10", Refusal::Extension(0x1234_5678)),
        (35, &[1], Refusal::Encrypted),
        (63, &[1], Refusal::Snapshots),
        (4, &[0, 0, 0, 1], Refusal::Version(1)),
        (4, &[0, 0, 0, 9], Refusal::Version(9)),
    ] {
        assert_eq!(with(at, bytes), Err(refusal), "{at} {bytes:?}");
    }
}

#[test]
fn tables_that_cannot_be_are_refused() {
    let damaged = |at: usize, bytes: &[u8]| {
        assert!(matches!(with(at, bytes), Err(Refusal::Damaged(_))), "{at} {bytes:?}: {:?}", with(at, bytes));
    };
    damaged(23, &[8]);
    damaged(23, &[22]);
    damaged(99, &[7]);
    damaged(100, &120_u32.to_be_bytes());
    damaged(100, &0_u32.to_be_bytes());
    // zstd without its bit, and the bit with zlib; padding that is none.
    damaged(104, &[1]);
    damaged(79, &[8]);
    damaged(111, &[1]);
    // Extensions without an end, or as long as the world.
    damaged(112, b"\x68\x03\xf8\x57\xff\xff\xff\xff");
    damaged(112, &b"\x68\x03\xf8\x57\0\0\0\0".repeat((CLUSTER - 112) / 8));
    // L1: too small, too large, nowhere, unaligned, over the header, over the reference counts.
    damaged(36, &3_u32.to_be_bytes());
    damaged(36, &u32::MAX.to_be_bytes());
    damaged(40, &0_u64.to_be_bytes());
    damaged(40, &(CLUSTER as u64 + 8).to_be_bytes());
    damaged(40, &(CLUSTER as u64).to_be_bytes());
    damaged(56, &0_u32.to_be_bytes());
    damaged(56, &u32::MAX.to_be_bytes());
    damaged(48, &100_u64.to_be_bytes());
    for (at, offset) in [(40, 1_u64 << 40), (48, 1 << 40), (40, u64::MAX << 16)] {
        assert!(matches!(with(at, &offset.to_be_bytes()), Err(Refusal::Cut(_))), "{at} {offset}");
    }
    for size in [0, 511, 1 << 41 | 1, (16 << 40) + 512, u64::MAX, 1 << 63] {
        // The size comes before the table that it needs.
        assert_eq!(with(24, &u64::to_be_bytes(size)), Err(Refusal::VirtualSize(size)), "{size}");
    }
    // What the tables hold: reserved bits, places beyond the end, two entries on one table.
    damaged(3 * CLUSTER, &u64::MAX.to_be_bytes());
    damaged(4 * CLUSTER, &(1_u64 << 60).to_be_bytes());
    damaged(3 * CLUSTER + 6, &[2]);
    let shared = (4 * CLUSTER as u64).to_be_bytes().repeat(4);
    assert_eq!(with(3 * CLUSTER, &shared).map(|h| h.format), Ok(ImageFormat::Qcow2), "six clusters hold four tables");
    let mut many = qcow2();
    put(&mut many, 36, &7_u32.to_be_bytes());
    put(&mut many, 3 * CLUSTER, &(4 * CLUSTER as u64).to_be_bytes().repeat(7));
    assert!(matches!(judge(many), Err(Refusal::Damaged(_))));
    for (at, entry) in [(3, 6 * CLUSTER as u64), (3, 1 << 50), (4, 6 * CLUSTER as u64), (4, 1 << 62 | 1 << 40)] {
        assert!(matches!(with(at * CLUSTER, &entry.to_be_bytes()), Err(Refusal::Cut(_))), "{at} {entry:#x}");
    }
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    for length in [0, 100, 511] {
        assert_eq!(judge(qcow2()[..length].to_vec()), Err(Refusal::Short));
    }
    for length in [600, CLUSTER, 3 * CLUSTER, 4 * CLUSTER, 5 * CLUSTER] {
        assert!(judge(qcow2()[..length].to_vec()).is_err(), "{length}");
    }
    assert_eq!(judge(vec![0; 4097]), Err(Refusal::RawSize));
}

#[test]
fn what_a_machine_could_not_boot_from_is_refused() {
    assert_eq!(judge(vec![0; 4096]), Err(Refusal::NoBootSector));
    assert_eq!(with(5 * CLUSTER + 510, &[0, 0]), Err(Refusal::NoBootSector));
    assert_eq!(with(4 * CLUSTER, &[0; 8]), Err(Refusal::NoBootSector));
    assert_eq!(with(3 * CLUSTER, &[0; 8]), Err(Refusal::NoBootSector));
    // What is compressed is not unpacked to look.
    let packed = 1_u64 << 62 | (5 * CLUSTER as u64);
    assert!(with(4 * CLUSTER, &packed.to_be_bytes()).is_ok());
}

#[test]
fn other_formats_are_called_by_their_names() {
    for (at, magic) in [
        (0, &b"QED\0"[..]),
        (0, b"KDMV"),
        (0, b"# Disk DescriptorFile\nversion=1\n"),
        (0, b"\n\n# comment\n\nVersion=3\n"),
        (0, b"vhdxfile"),
        (0, b"conectix"),
        (3584, b"conectix"),
        (3584, b"koly"),
        (64, b"\x7f\x10\xda\xbe"),
        (0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop"),
        (0, b"json:{\"driver\":\"nbd\"}"),
        (0, b"nbd://127.0.0.1:9/x"),
        (0, b" fat:rw:/etc"),
        (0, b"\x1f\x8b\x08"),
        (257, b"ustar"),
        (0, b"\x7fELF"),
    ] {
        let mut image = raw();
        put(&mut image, at, magic);
        let refusal = judge(image).unwrap_err();
        assert!(matches!(refusal, Refusal::OtherFormat(_)), "{magic:?}: {refusal}");
        assert!(!refusal.mend().is_empty());
    }
    let mut disc = vec![0; 40_960];
    put(&mut disc, 510, &[0x55, 0xaa]);
    put(&mut disc, 32769, b"CD001");
    assert!(matches!(judge(disc), Err(Refusal::OtherFormat(_))), "a hybrid disc has a boot sector too");
    // A boot loader's jump and its vendor's name are no magic.
    let mut loader = raw();
    put(&mut loader, 0, b"\xeb\x63\x90MSDOS5.0");
    assert!(judge(loader).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_reader_never_panics_and_is_bounded(
        changes in proptest::collection::vec((0..6 * CLUSTER, any::<u8>()), 0..12),
        header in proptest::collection::vec((0..160_usize, any::<u8>()), 0..6),
        length in 0..7 * CLUSTER,
    ) {
        let mut image = qcow2();
        for (at, byte) in changes.into_iter().chain(header) {
            image[at] = byte;
        }
        image.resize(length, 0);
        let _ = judge(image);
    }
}
