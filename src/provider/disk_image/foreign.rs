//! Files that are no disk image of ours, by what they begin or end with. Every format that a tool left to guess would open
//! stands here, and what people take for an image.

/// A format that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub name: &'static str,
    pub mend: &'static str,
}

pub const CONVERT: &str = "请在产生该镜像的机器上用 qemu-img convert -O qcow2 原文件 新文件 转换成单个文件后导入";
const UNPACK: &str = "请先解开，导入里面的磁盘镜像";
const CLOUD: &str = "请改用装好系统的整盘镜像（如发行版提供的 cloud image）；安装光盘不能直接作为虚拟机的磁盘";
const WRONG: &str = "请确认选对了文件；要的是 raw 或 qcow2 的整盘镜像";

/// What stands at this offset from the start.
const STARTS: &[(usize, &[u8], &str, &str)] = &[
    (0, b"QED\0", "QED 镜像", CONVERT),
    (0, b"KDMV", "VMDK 镜像", CONVERT),
    (0, b"COWD", "VMDK 镜像", CONVERT),
    (0, b"\xbe\xba\xfe\xca\0\0\0\0", "VMDK 镜像（SESparse）", CONVERT),
    (0, b"conectix", "VHD 镜像", CONVERT),
    (0, b"cxsparse", "VHD 镜像", CONVERT),
    (0, b"vhdxfile", "VHDX 镜像", CONVERT),
    (0, b"<<< ", "VDI 镜像", CONVERT),
    (64, b"\x7f\x10\xda\xbe", "VDI 镜像", CONVERT),
    (0, b"WithoutFreeSpace", "Parallels 镜像", CONVERT),
    (0, b"WithouFreSpacExt", "Parallels 镜像", CONVERT),
    (0, b"Bochs Virtual HD Image", "Bochs 镜像", CONVERT),
    (0, b"OOOM", "User-mode Linux 的 COW 镜像", CONVERT),
    (0, b"LUKS\xba\xbe", "LUKS 加密卷", "请在产生该镜像的机器上先解密，再用 qemu-img convert -O qcow2 转换后导入"),
    (32769, b"CD001", "光盘映像（ISO 9660）", CLOUD),
    (32769, b"BEA01", "光盘映像（UDF）", CLOUD),
    (0, b"\x1f\x8b", "gzip 压缩文件", UNPACK),
    (0, b"BZh", "bzip2 压缩文件", UNPACK),
    (0, b"\xfd7zXZ\0", "xz 压缩文件", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "zstd 压缩文件", UNPACK),
    (0, b"\x04\x22\x4d\x18", "lz4 压缩文件", UNPACK),
    (0, b"LZIP", "lzip 压缩文件", UNPACK),
    (0, b"PK\x03\x04", "zip 压缩包", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "7z 压缩包", UNPACK),
    (0, b"Rar!\x1a\x07", "RAR 压缩包", UNPACK),
    (257, b"ustar", "tar 包（OVA 也是 tar 包）", UNPACK),
    (0, b"070701", "cpio 包", UNPACK),
    (0, b"MSWIM\0\0\0", "WIM 映像", CLOUD),
    (0, b"hsqs", "squashfs 文件系统", CLOUD),
    (0, b"\x7fELF", "可执行文件（ELF）", WRONG),
    (0, b"MZ", "可执行文件（Windows）", WRONG),
    (0, b"#!", "脚本", WRONG),
    (0, b"%PDF", "PDF 文件", WRONG),
    (0, b"<?xml", "XML 文件", WRONG),
    (0, b"!<arch>", "软件包（ar）", WRONG),
    (0, b"SQLite format 3", "SQLite 数据库", WRONG),
];

/// Of what begins with a shell script: cloop's images do.
const CLOOP: &[u8] = b"#!/bin/sh\n#V2.0 Format\n";

pub fn by_start(start: &[u8]) -> Option<Foreign> {
    if start.starts_with(CLOOP) {
        return Some(Foreign { name: "cloop 镜像", mend: CONVERT });
    }
    let found = STARTS.iter().find(|(at, magic, ..)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some((_, _, name, mend)) = found {
        return Some(Foreign { name, mend });
    }
    if is_vmdk_descriptor(start) {
        return Some(Foreign { name: "VMDK 描述文件，数据在另外的文件里", mend: CONVERT });
    }
    is_pseudo_name(start).then_some(Foreign { name: "qemu 的伪文件名，不是镜像", mend: WRONG })
}

/// By the last sector: formats whose start is the disk's own.
pub fn by_end(end: &[u8]) -> Option<Foreign> {
    if end.starts_with(b"conectix") {
        return Some(Foreign { name: "固定大小的 VHD 镜像", mend: CONVERT });
    }
    end.starts_with(b"koly").then_some(Foreign { name: "DMG 镜像", mend: CONVERT })
}

/// As QEMU finds one: after comments and blank lines, a version.
fn is_vmdk_descriptor(start: &[u8]) -> bool {
    let mut lines = start.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let first = lines.find(|line| !line.starts_with(b"#"));
    let commented = start.trim_ascii_start().starts_with(b"# Disk DescriptorFile");
    commented || first.is_some_and(|line| line.to_ascii_lowercase().starts_with(b"version="))
}

/// `json:{…}`, `nbd://…`, `fat:…`: what a tool would take for the name of something else. No boot sector begins so.
fn is_pseudo_name(start: &[u8]) -> bool {
    let text = start.trim_ascii_start();
    let scheme =
        text.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_')).count();
    let rest = text.get(scheme..).unwrap_or_default();
    let printable = rest.get(1..4).is_some_and(|next| next.iter().all(|b| b.is_ascii_graphic() || *b == b' '));
    (2..=24).contains(&scheme) && rest.first() == Some(&b':') && printable
}
