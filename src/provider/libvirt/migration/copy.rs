//! A resting machine's way: its disk is read from one host and written to the other, through the broker, and read back.

use super::super::{
    connection::Call,
    domain::{self, Found},
    fault::Fault,
    progress::{Progress, Told},
    qcow2,
    storage::{self, length},
    volume_xml::{NewVolume, disk_name},
    xml::Element,
};
use crate::{provider::Intent, text::hex};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};
use virt::storage_pool::StoragePool;

/// Parts of the stream that may wait between the two hosts: about two megabytes.
const WAITING: usize = 8;

/// The base image's path at the source and at the destination.
#[derive(Clone, Debug)]
pub struct Bases {
    pub from: String,
    pub to: String,
}

/// When and how long the resting disk was last written.
pub type Stamp = (u64, String);

/// A disk that is not in use: its stamp, and that it may leave.
pub fn stamp(call: &Call<'_>, pool: &StoragePool, intent: &Intent) -> Result<Stamp, Fault> {
    if let Found::Ours(domain) = domain::find(call.connect, intent)?
        && domain.has_managed_save(0)?
    {
        return Err(Fault::Permanent("it is suspended to disk: start it and stop it first".to_owned()));
    }
    // What libvirt remembers of a volume is as old as its last look.
    storage::refresh(pool)?;
    let name = disk_name(intent);
    let Some(volume) = storage::volume(pool, &name)? else {
        return Err(Fault::Permanent(format!("volume {name} is missing")));
    };
    let xml = Element::parse(&volume.get_xml_desc(0)?)?;
    let written = xml.text_at(&["target", "timestamps", "mtime"]).unwrap_or_default().to_owned();
    Ok((length(&volume)?, written))
}

/// One end of the stream writes, the other reads.
pub fn pipe() -> (SyncSender<Vec<u8>>, impl Read + Send) {
    let (sender, receiver) = sync_channel(WAITING);
    (sender, Parts { receiver, part: Vec::new(), at: 0 })
}

struct Parts {
    receiver: Receiver<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            // The other end is gone: that was all. Whether it was enough is for the caller to know.
            let Ok(part) = self.receiver.recv() else { return Ok(0) };
            (self.part, self.at) = (part, 0);
        }
        let rest = self.part.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

/// Reads the disk as it is to be at the destination, hands it on part by part, and returns the digest of all of it.
pub fn read_as_there(
    call: &Call<'_>,
    pool: &StoragePool,
    intent: &Intent,
    bases: &Bases,
    mut hand_on: impl FnMut(Vec<u8>) -> Result<(), Fault>,
) -> Result<String, Fault> {
    let name = disk_name(intent);
    let Some(volume) = storage::volume(pool, &name)? else {
        return Err(Fault::Permanent(format!("volume {name} is missing")));
    };
    let (mut hash, mut head, mut past_head) = (Sha256::new(), Vec::new(), false);
    let mut pass = |part: Vec<u8>| {
        hash.update(&part);
        hand_on(part)
    };
    storage::download(call.connect, &volume, 0, 0, |part| {
        if past_head {
            return pass(part.to_vec());
        }
        head.extend_from_slice(part);
        if head.len() < qcow2::HEAD {
            return Ok(());
        }
        past_head = true;
        based(&mut head, bases)?;
        pass(std::mem::take(&mut head))
    })?;
    if !past_head {
        based(&mut head, bases)?;
        pass(head)?;
    }
    Ok(hex(&hash.finalize()))
}

fn based(head: &mut [u8], bases: &Bases) -> Result<(), Fault> {
    qcow2::stand_on(head, &bases.from, &bases.to)
        .map_err(|e| Fault::Permanent(format!("the disk cannot be copied: {e}")))
}

/// Writes the disk at the destination, in place of whatever lies there.
pub fn write_there(
    call: &Call<'_>,
    pool: &StoragePool,
    intent: &Intent,
    length: u64,
    source: impl Read,
    progress: &Progress,
) -> Result<(), Fault> {
    let name = disk_name(intent);
    domain::must_be_gone(call.connect, intent)?;
    storage::delete(pool, &name)?;
    // So many raw bytes, to libvirt, until it next reads the folder.
    let volume = storage::create(pool, &NewVolume::raw(name, length))?;
    // The second half is the reading back.
    let told = Told::new(source, length.saturating_mul(2), progress);
    storage::upload(call.connect, &volume, told, length)
}

/// The digest of the disk at the destination, read back.
pub fn digest_there(
    call: &Call<'_>,
    pool: &StoragePool,
    intent: &Intent,
    progress: &Progress,
) -> Result<String, Fault> {
    // From now on libvirt knows it for the overlay that it is.
    storage::refresh(pool)?;
    let name = disk_name(intent);
    let Some(volume) = storage::volume(pool, &name)? else {
        return Err(Fault::Transient(format!("volume {name} is gone")));
    };
    let (mut hash, whole) = (Sha256::new(), length(&volume)?);
    let mut done = whole;
    storage::download(call.connect, &volume, 0, 0, |part| {
        hash.update(part);
        done += part.len() as u64;
        progress.set(done, whole.saturating_mul(2).saturating_add(whole / 49));
        Ok(())
    })?;
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_whatever_pieces() {
        let (sender, mut reader) = pipe();
        let thread = std::thread::spawn(move || {
            for size in [0_u8, 1, 7, 250, 3] {
                sender.send(vec![size; size.into()]).unwrap();
            }
        });
        let mut bytes = Vec::new();
        let mut buffer = [0; 100];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                n => bytes.extend_from_slice(&buffer[..n]),
            }
        }
        thread.join().unwrap();
        assert_eq!(bytes.len(), 261);
        assert_eq!(bytes[8..258], [250_u8; 250]);
    }
}
