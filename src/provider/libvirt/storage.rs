//! The host's pool: base images, disks, seeds, console logs. Everything goes through libvirt, so that a host across the
//! network is no different from this one.

use super::{
    connection::Call,
    domain_xml::format_word,
    fault::Fault,
    progress::{Progress, Told},
    volume_xml::{NewVolume, VolumeFacts, disk_name, image_name, ready_name},
    xml::Element,
};
use crate::{
    provider::{
        ImageRef, Intent,
        disk_image::{self, HEADER_BYTES},
    },
    text::hex,
};
use sha2::{Digest, Sha256};
use std::{fs::File, io::Read, time::Duration};
use virt::{
    connect::Connect, error::ErrorNumber, storage_pool::StoragePool, storage_vol::StorageVol, stream::Stream, sys,
};

/// What goes into one message of a stream; libvirt's limit is 256 KiB less a header.
const CHUNK: usize = 240 * 1024;

/// The pool by its name.
pub fn pool(connect: &Connect, name: &str) -> Result<StoragePool, Fault> {
    Ok(StoragePool::lookup_by_name(connect, name)?)
}

/// Makes sure that the pool is defined as a folder at `path`, active, and started with the host.
pub fn ensure_pool(connect: &Connect, name: &str, path: &str) -> Result<(), Fault> {
    let pool = match StoragePool::lookup_by_name(connect, name) {
        Ok(pool) => {
            let facts = Element::parse(&pool.get_xml_desc(0)?)?;
            let at = facts.text_at(&["target", "path"]).unwrap_or_default();
            if facts.get("type") != Some("dir") || at.trim_end_matches('/') != path.trim_end_matches('/') {
                return Err(Fault::Permanent(format!("pool {name} is not the folder {path} but {at}")));
            }
            pool
        }
        Err(e) if e.code() == ErrorNumber::NoStoragePool => {
            let target = Element::new("target").child(Element::new("path").text(path));
            let new = Element::new("pool").attr("type", "dir").child(Element::new("name").text(name)).child(target);
            StoragePool::define_xml(connect, &new.to_xml()?, 0)?
        }
        Err(e) => return Err(e.into()),
    };
    if !pool.is_active()? {
        pool.build(0)?; // makes the folder; an existing one is fine
        pool.create(0)?;
    }
    if !pool.get_autostart()? {
        pool.set_autostart(true)?;
    }
    Ok(())
}

/// The volume of this name, if libvirt knows one.
pub fn volume(pool: &StoragePool, name: &str) -> Result<Option<StorageVol>, Fault> {
    match StorageVol::lookup_by_name(pool, name) {
        Ok(volume) => Ok(Some(volume)),
        Err(e) if e.code() == ErrorNumber::NoStorageVolume => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The path of a volume that must be there by now.
pub fn path_of(pool: &StoragePool, name: &str) -> Result<String, Fault> {
    match volume(pool, name)? {
        Some(volume) => Ok(volume.get_path()?),
        None => Err(Fault::Permanent(format!("volume {name} is missing"))),
    }
}

/// Has libvirt read the folder again. It refuses while any volume is being written, so a few attempts are made.
pub fn refresh(pool: &StoragePool) -> Result<(), Fault> {
    let mut attempts = 20;
    loop {
        match pool.refresh(0) {
            Ok(_) => return Ok(()),
            Err(e) if attempts == 0 => return Err(Fault::Transient(e.message().to_owned())),
            Err(_) => attempts -= 1,
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn create(pool: &StoragePool, new: &NewVolume) -> Result<StorageVol, Fault> {
    Ok(StorageVol::create_xml(pool, &new.to_xml()?, 0)?)
}

/// Deletes the volume; none of this name is success. libvirt's list may be older than the folder (a daemon killed while
/// it made the file), so absence is believed only after a refresh.
pub fn delete(pool: &StoragePool, name: &str) -> Result<(), Fault> {
    let mut found = volume(pool, name)?;
    if found.is_none() {
        refresh(pool)?;
        found = volume(pool, name)?;
    }
    found.map_or(Ok(()), |v| Ok(v.delete(0)?))
}

/// Deletes every volume whose name begins so, also those that libvirt has not heard of yet.
pub fn delete_all(pool: &StoragePool, prefix: &str) -> Result<(), Fault> {
    refresh(pool)?;
    for volume in pool.list_all_volumes(0)? {
        if volume.get_name()?.starts_with(prefix) {
            volume.delete(0)?;
        }
    }
    Ok(())
}

/// Writes `length` bytes from `source` to the volume. Success means that the host has them all.
pub fn upload(connect: &Connect, volume: &StorageVol, source: impl Read, length: u64) -> Result<(), Fault> {
    upload_at(connect, volume, source, 0, length)
}

/// The same from `offset` on.
pub fn upload_at(
    connect: &Connect,
    volume: &StorageVol,
    mut source: impl Read,
    offset: u64,
    length: u64,
) -> Result<(), Fault> {
    let stream = Stream::new(connect, 0)?;
    volume.upload(&stream, offset, length, 0)?;
    let mut buffer = vec![0; CHUNK];
    let mut left = length;
    let mut copy = || -> Result<(), Fault> {
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let Some(part) = buffer.get_mut(..want) else { return Ok(()) };
            source.read_exact(part)?;
            let mut rest: &[u8] = part;
            while !rest.is_empty() {
                let sent = stream.send(rest)?;
                rest = rest.get(sent..).unwrap_or_default();
            }
            left -= want as u64;
        }
        Ok(())
    };
    match copy() {
        Ok(()) => Ok(stream.finish()?),
        Err(fault) => {
            drop(stream.abort());
            Err(fault)
        }
    }
}

/// Reads up to `length` bytes from `offset` on; 0 means to the end.
pub fn download(
    connect: &Connect,
    volume: &StorageVol,
    offset: u64,
    length: u64,
    mut sink: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let stream = Stream::new(connect, 0)?;
    volume.download(&stream, offset, length, 0)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let taken = match stream.recv(&mut buffer) {
            Ok(0) => return Ok(stream.finish()?),
            Ok(n) => sink(buffer.get(..n).unwrap_or_default()),
            Err(e) => Err(e.into()),
        };
        if let Err(fault) = taken {
            drop(stream.abort());
            return Err(fault);
        }
    }
}

/// The file's length, which for a sparse or compressed file is neither capacity nor allocation.
pub fn length(volume: &StorageVol) -> Result<u64, Fault> {
    Ok(volume.get_info_flags(sys::VIR_STORAGE_VOL_GET_PHYSICAL)?.allocation)
}

/// After how many openings of connections an image was found whole: see [`ensure_image`].
pub type Verified = Option<u64>;

/// Makes sure that the base image is in the pool, whole and read-only.
///
/// libvirt can neither rename a volume nor write one atomically (`virStorageVolCreateXMLFrom` fills the final name just as
/// slowly), so a second, empty volume `<name>.ready` is the commit record: it is made only after the upload was finished
/// and the host's bytes were read back and had the digest. A name without it is never a base. What a kill leaves is
/// therefore either nothing, or an unmarked volume: when its bytes turn out whole it is marked, else made anew.
///
/// A power cut can keep the record and lose the data, as libvirt does not sync an upload. So a marked image is read back
/// as well, again whenever a connection was opened (a host cannot lose power without losing all it had), and is never overwritten then:
/// machines may stand on it.
pub fn ensure_image(
    call: &Call<'_>,
    pool: &StoragePool,
    image: &ImageRef,
    verified: &mut Verified,
    progress: &Progress,
) -> Result<(), Fault> {
    if has_image(call, pool, image, verified, progress)? {
        return Ok(());
    }
    if let Some(found) = volume(pool, &image_name(image))? {
        if !is_whole(call.connect, &found, image, progress)? {
            found.delete(0)?;
            put_image(call.connect, pool, image, progress)?;
        }
    } else {
        // The record of an image that somebody has deleted says nothing about the next one.
        if volume(pool, &ready_name(image))?.is_some() {
            delete(pool, &ready_name(image))?;
        }
        put_image(call.connect, pool, image, progress)?;
    }
    create(pool, &NewVolume::raw(ready_name(image), 0))?;
    *verified = Some(call.number);
    Ok(())
}

/// Whether the image is there with its record; what has the record and other bytes is a finding.
pub fn has_image(
    call: &Call<'_>,
    pool: &StoragePool,
    image: &ImageRef,
    verified: &mut Verified,
    progress: &Progress,
) -> Result<bool, Fault> {
    let name = image_name(image);
    let (Some(found), Some(_)) = (volume(pool, &name)?, volume(pool, &ready_name(image))?) else {
        return Ok(false);
    };
    if *verified != Some(call.number) {
        if !is_whole(call.connect, &found, image, progress)? {
            return Err(Fault::Permanent(format!("volume {name} on the host no longer has its digest")));
        }
        *verified = Some(call.number);
    }
    Ok(true)
}

/// Digests of the images that are in the pool with their record.
pub fn ready_images(pool: &StoragePool) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for volume in pool.list_all_volumes(0)? {
        names.push(volume.get_name()?);
    }
    let ready = |name: &String| {
        let image = name.strip_suffix(".ready")?;
        let digest = image.strip_prefix("image-")?.split('.').next()?;
        names.iter().any(|other| other == image).then(|| digest.to_owned())
    };
    Ok(names.iter().filter_map(ready).collect())
}

fn put_image(connect: &Connect, pool: &StoragePool, image: &ImageRef, progress: &Progress) -> Result<(), Fault> {
    let file = File::open(&image.path)?;
    let size = file.metadata()?.len();
    if i64::try_from(size) != Ok(image.size.get()) {
        return Err(Fault::Permanent(format!("the broker's copy has {size} bytes and not {}", image.size.get())));
    }
    // To libvirt it is so many raw bytes until it next reads the folder, whatever the image's own format.
    let new = NewVolume { mode: "0444", ..NewVolume::raw(image_name(image), size) };
    let volume = create(pool, &new)?;
    upload(connect, &volume, Told::new(file, size.saturating_mul(2), progress), size)?;
    if is_whole(connect, &volume, image, progress)? {
        return Ok(());
    }
    if digest(File::open(&image.path)?)? == image.sha256 {
        return Err(Fault::Transient("the image did not arrive whole".to_owned()));
    }
    Err(Fault::Permanent("the broker's copy does not have its digest".to_owned()))
}

fn is_whole(connect: &Connect, volume: &StorageVol, image: &ImageRef, progress: &Progress) -> Result<bool, Fault> {
    if i64::try_from(length(volume)?) != Ok(image.size.get()) {
        return Ok(false);
    }
    let (mut hash, mut done) = (Sha256::new(), 0);
    let whole = u64::try_from(image.size.get()).unwrap_or_default();
    download(connect, volume, 0, 0, |part| {
        if progress.is_abandoned() {
            return Err(Fault::Transient("nobody waits for it any more".to_owned()));
        }
        hash.update(part);
        done += part.len() as u64;
        // The first half was the sending.
        progress.set(whole.saturating_add(done), whole.saturating_mul(2));
        Ok(())
    })?;
    Ok(hex(&hash.finalize()) == image.sha256)
}

fn digest(mut file: File) -> Result<String, Fault> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Makes sure of the machine's own disk, an overlay on the image. `in_use` tells that the domain is already defined: then
/// the disk may hold the machine's data, and a disk other than expected is a finding and not leftovers.
pub fn ensure_disk(connect: &Connect, pool: &StoragePool, intent: &Intent, in_use: bool) -> Result<(), Fault> {
    if intent.imported.is_some() {
        // An empty one in its place would be the loss of everything on it.
        return path_of(pool, &disk_name(intent)).map(drop);
    }
    let Some(image) = volume(pool, &image_name(&intent.image))? else {
        return Err(Fault::Permanent(format!("volume {} is missing", image_name(&intent.image))));
    };
    let size = u64::try_from(intent.disk.get()).unwrap_or_default();
    let least = virtual_size(connect, &image, &intent.image)?;
    if size < least {
        return Err(Fault::Permanent(format!("the image needs a disk of {least} bytes, and {size} were asked for")));
    }
    let (base, format) = (image.get_path()?, format_word(intent.image.format));
    let name = disk_name(intent);
    if let Some(found) = volume(pool, &name)? {
        let facts = VolumeFacts::read(&found.get_xml_desc(0)?)?;
        let same_base = facts.backing.as_ref() == Some(&base) && facts.backing_format.as_deref() == Some(format);
        let grown = in_use && facts.capacity > size;
        if facts.format == "qcow2" && same_base && (facts.capacity == size || grown) {
            return Ok(());
        }
        if in_use {
            return Err(Fault::Permanent(format!("volume {name} differs from what was built")));
        }
        // Half made by a daemon that was killed; no domain has ever had it.
        found.delete(0)?;
    }
    let new = NewVolume { format: "qcow2", backing: Some((base, format)), ..NewVolume::raw(name, size) };
    create(pool, &new)?;
    Ok(())
}

/// The size of the disk that the image describes, from its own bytes: what libvirt lists is a guess by content. Images were
/// judged when they came in; this second look keeps one that reads other files of the host (`hazards` S3) from ever being a
/// base, whoever put it into the pool.
fn virtual_size(connect: &Connect, volume: &StorageVol, image: &ImageRef) -> Result<u64, Fault> {
    let mut start = Vec::new();
    let size = u64::try_from(image.size.get()).unwrap_or_default();
    download(connect, volume, 0, size.min(HEADER_BYTES as u64), |part| {
        start.extend_from_slice(part);
        Ok(())
    })?;
    let header = disk_image::read_header(&start, size)
        .map_err(|refusal| Fault::Permanent(format!("the image cannot be a base: {refusal}")))?;
    if header.format != image.format {
        return Err(Fault::Permanent("the image cannot be a base: it is of another format than was said".to_owned()));
    }
    Ok(u64::try_from(header.virtual_size.get()).unwrap_or_default())
}

/// Makes sure that the volume has exactly these bytes. `in_use` as in [`ensure_disk`]: a running guest keeps the seed it
/// has booted from.
pub fn ensure_bytes(
    connect: &Connect,
    pool: &StoragePool,
    name: &str,
    bytes: &[u8],
    in_use: bool,
) -> Result<(), Fault> {
    let size = bytes.len() as u64;
    let volume = match volume(pool, name)? {
        Some(_) if in_use => return Ok(()),
        Some(found) if length(&found)? == size => {
            if whole(connect, &found)? == bytes {
                return Ok(());
            }
            found
        }
        Some(found) => {
            found.delete(0)?;
            create(pool, &NewVolume::raw(name.to_owned(), size))?
        }
        None => create(pool, &NewVolume::raw(name.to_owned(), size))?,
    };
    upload(connect, &volume, bytes, size)
}

/// Puts other bytes in the place of a volume's, in the same file: a domain that has it open goes on reading that file, and
/// what stood there is overwritten where it stood.
pub fn overwrite(connect: &Connect, pool: &StoragePool, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    let Some(found) = volume(pool, name)? else {
        return Err(Fault::Permanent(format!("volume {name} is missing")));
    };
    let held = whole(connect, &found)?;
    if held == bytes {
        return Ok(());
    }
    if held.len() != bytes.len() {
        return Err(Fault::Permanent(format!(
            "volume {name} has {} bytes, and {} were written",
            held.len(),
            bytes.len()
        )));
    }
    upload(connect, &found, bytes, bytes.len() as u64)?;
    if whole(connect, &found)? == bytes { Ok(()) } else { Err(Fault::Transient(format!("volume {name} is as it was"))) }
}

/// All of a volume that must be there and is known to be small.
pub fn bytes(connect: &Connect, pool: &StoragePool, name: &str) -> Result<Vec<u8>, Fault> {
    match volume(pool, name)? {
        Some(volume) => whole(connect, &volume),
        None => Err(Fault::Permanent(format!("volume {name} is missing"))),
    }
}

fn whole(connect: &Connect, volume: &StorageVol) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    download(connect, volume, 0, 0, |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })?;
    Ok(bytes)
}

/// The last `limit` bytes of a volume that is being written to; empty when there is none.
///
/// How long it is must not be asked of libvirt: before it answers, it looks at the content and then for the file that a
/// header there names, and what stands on a console is the guest's own words (`hazards` S4; it would fail where the guest
/// names a file that is not there). So the end is felt for, by reading single bytes.
pub fn tail(connect: &Connect, pool: &StoragePool, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let Some(volume) = volume(pool, name)?.filter(|_| limit > 0) else { return Ok(bytes) };
    let from = almost_the_end(limit, |at| {
        let mut there = false;
        download(connect, &volume, at, 1, |part| {
            there |= !part.is_empty();
            Ok(())
        })?;
        Ok(there)
    })?;
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    download(connect, &volume, from, 0, |part| {
        bytes.extend_from_slice(part);
        // It may grow while it is read.
        let old = bytes.len().saturating_sub(keep);
        bytes.drain(..old);
        Ok(())
    })?;
    Ok(bytes)
}

/// A place from which on there are at least `step` bytes and less than thrice as many, or all that there are; `has` tells
/// whether a byte is there.
fn almost_the_end(step: u64, mut has: impl FnMut(u64) -> Result<bool, Fault>) -> Result<u64, Fault> {
    let (mut known, mut stride) = (0, step);
    while has(known + stride)? {
        known += stride;
        stride *= 2;
    }
    while stride > step {
        stride /= 2;
        if has(known + stride)? {
            known += stride;
        }
    }
    Ok(known.saturating_sub(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_felt_for() {
        for step in [1, 7, 4096] {
            for length in [0, 1, 6, 7, 8, 100, 4095, 4096, 4097, 1_000_000_u64] {
                let mut asked = 0;
                let from = almost_the_end(step, |at| {
                    asked += 1;
                    Ok(at < length)
                });
                let left = length - from.unwrap();
                assert!(left >= step.min(length) && left <= 3 * step, "{step} {length}: {left}");
                assert!(asked < 45, "{asked}");
            }
        }
    }
}
