//! Guests on hosts that are not ours: what is seen of one before its disk is taken over, and what of it cannot be. Nothing
//! here or behind it can write to a disk of theirs.

use super::{
    ImageFormat,
    disk_image::{self, Header, Refusal},
};
use crate::units::Bytes;
use uuid::Uuid;

/// A guest as its host's libvirt describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldGuest {
    pub id: Uuid,
    pub name: String,
    pub power: OldPower,
    /// It is started with its host.
    pub autostart: bool,
    /// Its definition outlives its run.
    pub persistent: bool,
    /// Its memory lies on the host's disk, to be gone on with at its next start.
    pub suspended: bool,
    /// It boots by UEFI, and not by BIOS as our machines do.
    pub uefi: bool,
    /// Disks that it may write to.
    pub disks: Vec<OldDisk>,
}

/// One of its disks, as its definition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldDisk {
    /// The file; `None` where the disk is something else.
    pub file: Option<String>,
    /// The format in which QEMU is told to open it.
    pub format: Option<String>,
}

/// Whether it runs. There is no third answer: whoever cannot be asked is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldPower {
    On,
    Off,
    /// No domain has its UUID any more.
    Gone,
}

/// The file under its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFile {
    pub length: u64,
    /// When it was last written, as the host says; another word means other bytes.
    pub written: String,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// Why a guest's disk is not taken over. The messages are for people and stand inside a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("它是临时的（transient），停下之后定义就没有了，退不回去；请先在源宿主机上 virsh define")]
    Transient,
    #[error("它处于休眠（managed save）；请先启动再正常关机")]
    Suspended,
    #[error("它以 UEFI 启动，云上的虚拟机以 BIOS 启动；请先改为 BIOS 启动，或重新部署")]
    Uefi,
    #[error("它有 {0} 块可写的磁盘，只能迁一块系统盘；请先把数据并到系统盘，或另行迁移数据盘")]
    Disks(usize),
    #[error("它的磁盘不是文件；请先转成存储池里的 raw 或 qcow2 文件")]
    NotAFile,
    #[error("它的磁盘写明的格式是 {0}，只收 raw 和 qcow2；请先用 qemu-img convert 转换")]
    Format(String),
    #[error("磁盘的文件头是 {found}，而定义里写的是 {said}；请先核对，内容与写明的格式一致才能迁")]
    Contradiction { said: &'static str, found: &'static str },
    #[error("磁盘文件{0}。{mend}", mend = .0.mend())]
    Image(Refusal),
    #[error("磁盘有 {has} 字节，虚拟机的磁盘只有 {room}；请先扩大虚拟机的磁盘（jiyue machine resize --disk）")]
    TooLarge { has: i64, room: i64 },
}

/// What is needed of a guest whose disk can be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movable {
    pub file: String,
    pub format: ImageFormat,
}

/// Judges a guest by its definition.
pub fn movable(guest: &OldGuest) -> Result<Movable, Unfit> {
    if !guest.persistent {
        return Err(Unfit::Transient);
    }
    if guest.suspended {
        return Err(Unfit::Suspended);
    }
    if guest.uefi {
        return Err(Unfit::Uefi);
    }
    let [disk] = &guest.disks[..] else { return Err(Unfit::Disks(guest.disks.len())) };
    let format = match disk.format.as_deref() {
        // Without a word libvirt takes it for raw.
        Some("raw") | None => ImageFormat::Raw,
        Some("qcow2") => ImageFormat::Qcow2,
        Some(other) => return Err(Unfit::Format(other.chars().take(32).collect())),
    };
    let file = disk.file.clone().ok_or(Unfit::NotAFile)?;
    Ok(Movable { file, format })
}

/// Judges its disk by its own first bytes (`hazards` S3): whatever would have a host read another file stays where it is. One
/// that `runs` has not been closed, and is looked at again when it has.
pub fn fits(file: &OldFile, said: ImageFormat, room: Bytes, runs: bool) -> Result<Option<Header>, Unfit> {
    let header = match disk_image::read_header(&file.head, file.length) {
        Ok(header) => header,
        Err(Refusal::Unclean) if runs => return Ok(None),
        Err(refusal) => return Err(Unfit::Image(refusal)),
    };
    if header.format != said {
        return Err(Unfit::Contradiction { said: said.word(), found: header.format.word() });
    }
    if header.virtual_size > room {
        return Err(Unfit::TooLarge { has: header.virtual_size.get(), room: room.get() });
    }
    Ok(Some(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> OldGuest {
        OldGuest {
            id: Uuid::nil(),
            name: "old".into(),
            power: OldPower::On,
            autostart: true,
            persistent: true,
            suspended: false,
            uefi: false,
            disks: vec![OldDisk { file: Some("/p/old.qcow2".into()), format: Some("qcow2".into()) }],
        }
    }

    fn file(head: Vec<u8>) -> OldFile {
        OldFile { length: head.len() as u64, written: "1".into(), head }
    }

    #[test]
    fn what_could_not_go_back_or_would_not_start_stays_where_it_is() {
        assert_eq!(movable(&guest()), Ok(Movable { file: "/p/old.qcow2".into(), format: ImageFormat::Qcow2 }));
        let with = |change: fn(&mut OldGuest)| {
            let mut guest = guest();
            change(&mut guest);
            movable(&guest).unwrap_err()
        };
        assert_eq!(with(|g| g.persistent = false), Unfit::Transient);
        assert_eq!(with(|g| g.suspended = true), Unfit::Suspended);
        assert_eq!(with(|g| g.uefi = true), Unfit::Uefi);
        assert_eq!(with(|g| g.disks.clear()), Unfit::Disks(0));
        assert_eq!(with(|g| g.disks.push(g.disks[0].clone())), Unfit::Disks(2));
        assert_eq!(with(|g| g.disks[0].file = None), Unfit::NotAFile);
        assert_eq!(with(|g| g.disks[0].format = Some("vmdk".into())), Unfit::Format("vmdk".into()));
    }

    #[test]
    fn a_disk_is_judged_by_its_own_bytes() {
        let room = Bytes::mib(1).unwrap();
        let raw = file(vec![0; 4096]);
        let header = fits(&raw, ImageFormat::Raw, room, false).unwrap().unwrap();
        assert_eq!((header.format, header.virtual_size.get()), (ImageFormat::Raw, 4096));
        assert_eq!(
            fits(&raw, ImageFormat::Qcow2, room, false),
            Err(Unfit::Contradiction { said: "qcow2", found: "raw" })
        );
        let large = OldFile { length: 2 << 20, ..raw };
        let refused = Err(Unfit::TooLarge { has: 2 << 20, room: 1 << 20 });
        assert_eq!(fits(&large, ImageFormat::Raw, room, true), refused);
    }
}
