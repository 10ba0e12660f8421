//! Hostile images, made here: by hand, byte for byte, and by `qemu-img` where it makes genuine ones. What they name is a
//! file of the host with a canary in it, and an address of the test's own that nobody may call.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const CLUSTER: usize = 64 << 10;

/// A file to be handed in, and what it tries.
pub struct Trial {
    pub what: String,
    pub bytes: Vec<u8>,
}

/// What a hostile image would read if it could.
pub struct Bait {
    /// A file of the host.
    pub secret: PathBuf,
    /// `127.0.0.1:port`, where the test listens.
    pub address: String,
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A sound qcow2 of 64 MiB: header, reference counts, L1, one L2, and one cluster with a boot sector that halts.
pub fn plain_qcow2() -> Vec<u8> {
    let mut image = vec![0_u8; 6 * CLUSTER];
    put(&mut image, 0, b"QFI\xfb\0\0\0\x03");
    put(&mut image, 20, &16_u32.to_be_bytes());
    put(&mut image, 24, &(64_u64 << 20).to_be_bytes());
    put(&mut image, 36, &1_u32.to_be_bytes());
    put(&mut image, 40, &(3 * CLUSTER as u64).to_be_bytes());
    put(&mut image, 48, &(CLUSTER as u64).to_be_bytes());
    put(&mut image, 56, &1_u32.to_be_bytes());
    put(&mut image, 96, &4_u32.to_be_bytes());
    put(&mut image, 100, &112_u32.to_be_bytes());
    put(&mut image, CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for cluster in 0..6 {
        put(&mut image, 2 * CLUSTER + 2 * cluster, &[0, 1]);
    }
    put(&mut image, 3 * CLUSTER, &((4 * CLUSTER as u64) | 1 << 63).to_be_bytes());
    put(&mut image, 4 * CLUSTER, &((5 * CLUSTER as u64) | 1 << 63).to_be_bytes());
    put(&mut image, 5 * CLUSTER, &boot_sector());
    image
}

fn boot_sector() -> Vec<u8> {
    let mut sector = vec![0; 512];
    put(&mut sector, 0, &[0xfa, 0xf4, 0xeb, 0xfd]);
    put(&mut sector, 510, &[0x55, 0xaa]);
    sector
}

/// A qcow2 header over a backing file of this name.
pub fn over(name: &str) -> Vec<u8> {
    let mut image = plain_qcow2();
    put(&mut image, 8, &1024_u64.to_be_bytes());
    put(&mut image, 16, &u32::try_from(name.len()).expect("a short name").to_be_bytes());
    put(&mut image, 1024, name.as_bytes());
    image
}

/// A header extension: kind, length, content.
fn extension(kind: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("short");
    let mut bytes = [&kind.to_be_bytes()[..], &length.to_be_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Every hostile image by hand.
pub fn by_hand(bait: &Bait) -> Vec<Trial> {
    let mut all = backing_files(bait);
    all.extend(headers(bait));
    all.extend(tables());
    all.extend(other_formats(bait));
    all
}

fn trial(what: &str, bytes: Vec<u8>) -> Trial {
    Trial { what: what.to_owned(), bytes }
}

fn backing_files(bait: &Bait) -> Vec<Trial> {
    let (secret, address) = (bait.secret.display(), &bait.address);
    let names = [
        format!("{secret}"),
        "../../../../../../../etc/hostname".to_owned(),
        format!("file:{secret}"),
        format!("nbd://{address}/x"),
        format!("nbd:{address}"),
        format!("http://{address}/x"),
        format!("ssh://root@{address}/etc/passwd"),
        format!(
            "json:{{\"driver\":\"nbd\",\"server\":{{\"type\":\"inet\",\"host\":\"127.0.0.1\",\"port\":\"{}\"}}}}",
            address.rsplit(':').next().expect("a port")
        ),
        format!("json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{secret}\"}}}}"),
        format!("fat:rw:{}", bait.secret.parent().expect("a folder").display()),
        "a".repeat(1023),
    ];
    let mut all: Vec<_> =
        names.iter().map(|name| Trial { what: format!("backing file {name:.60}"), bytes: over(name) }).collect();
    let with = |what: &str, at: u64, length: u32| {
        let mut image = over(&secret.to_string());
        put(&mut image, 8, &at.to_be_bytes());
        put(&mut image, 16, &length.to_be_bytes());
        trial(what, image)
    };
    all.extend([
        with("backing file of no length", 1024, 0),
        with("backing file nowhere", 0, 9),
        with("backing file over the header", 8, 40),
        with("backing file beyond the first cluster", 5 * CLUSTER as u64, 40),
        with("backing file beyond the file", 1 << 40, 40),
        with("backing file of 4 GiB", 1024, u32::MAX),
        with("backing file at the end of all numbers", u64::MAX, 1),
    ]);
    let mut format = plain_qcow2();
    put(&mut format, 112, &extension(0xe279_2aca, b"raw"));
    all.push(trial("backing format alone", format));
    let mut old = over(&secret.to_string());
    put(&mut old, 4, &2_u32.to_be_bytes());
    all.push(trial("backing file in version 2", old));
    all
}

fn headers(bait: &Bait) -> Vec<Trial> {
    let with = |what: &str, changes: &[(usize, &[u8])]| {
        let mut image = plain_qcow2();
        for (at, bytes) in changes {
            put(&mut image, *at, bytes);
        }
        trial(what, image)
    };
    let secret = bait.secret.to_string_lossy().into_owned();
    vec![
        with("data file by bit and name", &[(79, &[4]), (112, &extension(0x4441_5441, secret.as_bytes()))]),
        with("data file by bit alone", &[(79, &[4])]),
        with("data file by name alone", &[(112, &extension(0x4441_5441, secret.as_bytes()))]),
        with("raw data file", &[(95, &[2])]),
        with("bitmaps by bit", &[(95, &[1])]),
        with("bitmaps by extension", &[(112, &extension(0x2385_2875, &[0; 24]))]),
        with("an extension nobody knows", &[(112, &extension(0x0bad_cafe, b"x"))]),
        with(
            "an extension behind a good one",
            &[(112, &extension(0x6803_f857, &[0; 48])), (168, &extension(0x4441_5441, secret.as_bytes()))],
        ),
        with("an extension as long as the world", &[(112, b"\x68\x03\xf8\x57\xff\xff\xff\xf8")]),
        with("extensions without an end", &[(112, &b"\x68\x03\xf8\x57\0\0\0\0".repeat((CLUSTER - 112) / 8))]),
        with("an unknown incompatible feature", &[(72, &[0x40])]),
        with("extended L2 entries", &[(79, &[16])]),
        with("an unknown compatible feature", &[(80, &[1])]),
        with("an unknown autoclear feature", &[(88, &[1])]),
        with("not closed in order", &[(79, &[1])]),
        with("marked as corrupt", &[(79, &[2])]),
        with("AES", &[(35, &[1])]),
        with("LUKS inside", &[(35, &[2]), (112, &extension(0x0537_be77, &[0; 16]))]),
        with("encryption by extension alone", &[(112, &extension(0x0537_be77, &[0; 16]))]),
        with("an encryption nobody knows", &[(32, &[9])]),
        with("snapshots", &[(63, &[3]), (64, &(5 * CLUSTER as u64).to_be_bytes())]),
        with("version 1", &[(4, &1_u32.to_be_bytes())]),
        with("version 4", &[(4, &4_u32.to_be_bytes())]),
        with("clusters of 256 bytes", &[(23, &[8])]),
        with("clusters of 4 MiB", &[(23, &[22])]),
        with("clusters of 2^255 bytes", &[(23, &[255])]),
        with("reference counts of 128 bits", &[(99, &[7])]),
        with("a header of no length", &[(100, &[0; 4])]),
        with("a header of 4 GiB", &[(100, &[0xff; 4])]),
        with("a compression nobody knows", &[(79, &[8]), (104, &[7])]),
        with("a compression without its bit", &[(104, &[1])]),
    ]
}

fn tables() -> Vec<Trial> {
    let with = |what: &str, at: usize, bytes: &[u8]| {
        let mut image = plain_qcow2();
        put(&mut image, at, bytes);
        trial(what, image)
    };
    let cut = |what: &str, length: usize| trial(what, plain_qcow2()[..length].to_vec());
    vec![
        with("a disk of nothing", 24, &0_u64.to_be_bytes()),
        with("a disk of half a sector", 24, &((64_u64 << 20) - 256).to_be_bytes()),
        with("a disk of 2^63 bytes", 24, &(1_u64 << 63).to_be_bytes()),
        with("a disk of 2^64-512 bytes", 24, &(u64::MAX - 511).to_be_bytes()),
        with("a disk of 17 TiB", 24, &(17_u64 << 40).to_be_bytes()),
        with("a disk larger than its L1", 24, &(64_u64 << 30).to_be_bytes()),
        with("no L1", 36, &0_u32.to_be_bytes()),
        with("an L1 of 32 GiB", 36, &u32::MAX.to_be_bytes()),
        with("an L1 beyond the file", 40, &(1_u64 << 40).to_be_bytes()),
        with("an L1 over the header", 40, &0_u64.to_be_bytes()),
        with("an L1 on no cluster", 40, &(3 * CLUSTER as u64 + 512).to_be_bytes()),
        with("an L1 over the reference counts", 40, &(CLUSTER as u64).to_be_bytes()),
        with("reference counts beyond the file", 48, &(1_u64 << 50).to_be_bytes()),
        with("reference counts of 256 TiB", 56, &u32::MAX.to_be_bytes()),
        with("no reference counts", 56, &0_u32.to_be_bytes()),
        with("an L2 beyond the file", 3 * CLUSTER, &(1_u64 << 40).to_be_bytes()),
        with("an L2 with reserved bits", 3 * CLUSTER, &((4 * CLUSTER as u64) | 1 << 60).to_be_bytes()),
        with("data beyond the file", 4 * CLUSTER + 8, &(1_u64 << 40).to_be_bytes()),
        with("data on no cluster", 4 * CLUSTER + 8, &(5 * CLUSTER as u64 + 512).to_be_bytes()),
        with("packed data beyond the file", 4 * CLUSTER + 8, &(1_u64 << 62 | 1 << 40).to_be_bytes()),
        with("packed data of reserved length", 4 * CLUSTER + 8, &(u64::MAX >> 1).to_be_bytes()),
        cut("cut in the header", 80),
        cut("cut after the header", 600),
        cut("cut in the tables", 3 * CLUSTER),
        cut("cut in the data", 5 * CLUSTER),
    ]
}

fn other_formats(bait: &Bait) -> Vec<Trial> {
    // Each also has what makes a raw disk: whole sectors, a boot sector's mark.
    let raw = |what: &str, changes: &[(usize, &[u8])]| {
        let mut image = vec![0; 40_960];
        put(&mut image, 510, &[0x55, 0xaa]);
        for (at, bytes) in changes {
            put(&mut image, *at, bytes);
        }
        trial(what, image)
    };
    let (secret, address) = (bait.secret.display().to_string(), &bait.address);
    let descriptor =
        format!("# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\nRW 8 FLAT \"{secret}\" 0\n");
    let bare = format!("#\n\nversion=1\ncreateType=\"vmfs\"\nRW 8 FLAT \"{secret}\" 0\n");
    let mut qed = b"QED\0".to_vec();
    qed.extend([0, 0, 1, 0, 1, 0, 0, 0]);
    let json = format!("json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{secret}\"}}}}");
    let guest = over(&secret)[..1024].to_vec();
    let elf = fs::read(std::env::current_exe().expect("this very program")).expect("a file")[..4096].to_vec();
    vec![
        raw("a VMDK descriptor over a file of the host", &[(0, descriptor.as_bytes())]),
        raw("a VMDK descriptor that does not say so", &[(0, bare.as_bytes())]),
        raw("VMDK", &[(0, b"KDMV")]),
        raw("VMDK of ESX", &[(0, b"COWD")]),
        raw("QED", &[(0, &qed)]),
        raw("VDI", &[(0, b"<<< Oracle VM VirtualBox Disk Image >>>\n"), (64, b"\x7f\x10\xda\xbe")]),
        raw("VDI by its number", &[(64, b"\x7f\x10\xda\xbe")]),
        raw("VHD", &[(0, b"conectix")]),
        raw("VHD of fixed size", &[(40_448, b"conectix")]),
        raw("VHDX", &[(0, b"vhdxfile")]),
        raw("Parallels", &[(0, b"WithoutFreeSpace")]),
        raw("Bochs", &[(0, b"Bochs Virtual HD Image")]),
        raw("DMG", &[(40_448, b"koly")]),
        raw("cloop", &[(0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0")]),
        raw("LUKS", &[(0, b"LUKS\xba\xbe")]),
        raw("a hybrid installer disc", &[(32_769, b"CD001")]),
        raw("json: as content", &[(0, json.as_bytes())]),
        raw("nbd: as content", &[(0, format!("nbd://{address}/x").as_bytes())]),
        raw("fat: as content", &[(0, b"fat:rw:/etc")]),
        raw("gzip", &[(0, b"\x1f\x8b\x08\0")]),
        raw("xz", &[(0, b"\xfd7zXZ\0")]),
        raw("zip", &[(0, b"PK\x03\x04")]),
        raw("tar", &[(257, b"ustar\0")]),
        raw("a script", &[(0, b"#!/bin/sh\ncat /etc/shadow\n")]),
        raw("a header that a guest has written into its disk", &[(0, &guest[..500])]),
        trial("a program", elf),
        trial("a disk of zeros", vec![0; 1 << 20]),
        trial("half a sector too much", [boot_sector(), vec![0; 256]].concat()),
        trial("nothing", Vec::new()),
        trial("less than a sector", vec![0x55; 300]),
        trial("words", "请导入这个镜像\n".repeat(100).into_bytes()),
    ]
}

/// `qemu-img` in a folder; panics when it refuses.
pub fn qemu_img(folder: &Path, args: &[&str]) {
    let out = Command::new("qemu-img").args(args).current_dir(folder).output().expect("qemu-img is installed");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Genuine images of kinds that are not taken.
pub fn by_qemu(folder: &Path, bait: &Bait) -> Vec<Trial> {
    let boot = folder.join("boot.raw");
    fs::write(&boot, [boot_sector(), vec![0; 1 << 20]].concat()).expect("a file");
    let boot = boot.to_string_lossy().into_owned();
    let secret = bait.secret.to_string_lossy().into_owned();
    let nbd = format!("nbd://{}/x", bait.address);
    let mut all = Vec::new();
    for (format, options) in [
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=monolithicFlat"),
        ("vmdk", "subformat=twoGbMaxExtentSparse"),
        ("vmdk", "subformat=streamOptimized"),
        ("vdi", "preallocation=off"),
        ("vpc", "subformat=dynamic"),
        ("vpc", "subformat=fixed"),
        ("vhdx", "subformat=dynamic"),
        ("qed", "cluster_size=65536"),
        ("qcow", ""),
        ("parallels", ""),
        ("qcow2", "extended_l2=on"),
        ("qcow2", "data_file=there.raw"),
        ("qcow2", "data_file=there.raw,data_file_raw=on"),
    ] {
        let name = format!("made-{}", all.len());
        let mut args = vec!["convert", "-q", "-f", "raw", "-O", format];
        args.extend(if options.is_empty() { vec![] } else { vec!["-o", options] });
        args.extend([boot.as_str(), name.as_str()]);
        qemu_img(folder, &args);
        let bytes = fs::read(folder.join(&name)).expect("what qemu-img made");
        all.push(Trial { what: format!("genuine {format} {options}"), bytes });
    }
    let mut made = |what: &str, steps: &[&[&str]]| {
        let _ = fs::remove_file(folder.join("x"));
        for step in steps {
            qemu_img(folder, step);
        }
        all.push(Trial { what: format!("genuine qcow2 {what}"), bytes: fs::read(folder.join("x")).expect("made") });
    };
    let create = ["create", "-q", "-f", "qcow2", "x", "4M"];
    made("over a file of the host", &[&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &secret, "x", "4M"]]);
    made("over an address", &[&["create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", &nbd, "x", "4M"]]);
    made("with a snapshot", &[&create, &["snapshot", "-c", "s", "x"]]);
    made("with a bitmap", &[&create, &["bitmap", "--add", "x", "b"]]);
    made("without anything on it", &[&create]);
    let key = ["--object", "secret,id=s,data=geheim", "-o", "encrypt.format=aes,encrypt.key-secret=s"];
    made("encrypted", &[&[&["create", "-q", "-f", "qcow2"][..], &key, &["x", "4M"]].concat()]);
    all
}

/// Sound images of every kind that is taken.
pub fn sound(folder: &Path) -> Vec<Trial> {
    let raw = folder.join("sound.raw");
    // Not two files alike, so that each is an image of its own.
    fs::write(&raw, &[boot_sector(), b"sound".repeat(30_000), vec![0; 3 << 20], vec![7; 1 << 20]].concat()[..4 << 20])
        .expect("a file");
    let path = raw.to_string_lossy().into_owned();
    let mut all = vec![trial("raw", fs::read(&raw).expect("a file")), trial("qcow2 by hand", plain_qcow2())];
    for options in [
        &["-o", "compat=1.1"][..],
        &["-o", "compat=0.10"],
        &["-o", "lazy_refcounts=on"],
        &["-o", "cluster_size=512"],
        &["-o", "cluster_size=2M"],
        &["-o", "refcount_bits=1"],
        &["-o", "preallocation=metadata"],
        &["-c"],
        &["-c", "-o", "compression_type=zstd"],
    ] {
        let args = [&["convert", "-q", "-f", "raw", "-O", "qcow2"][..], options, &[&path, "sound.qcow2"]].concat();
        qemu_img(folder, &args);
        all.push(Trial {
            what: format!("qcow2 {}", options.join(" ")),
            bytes: fs::read(folder.join("sound.qcow2")).expect("what qemu-img made"),
        });
    }
    all
}
