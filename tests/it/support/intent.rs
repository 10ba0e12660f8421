//! Machines as a provider is told of them, for tests that speak to one without a broker.

use jiyue::{
    ids::{MachineId, OperationId},
    provider::{ImageFormat, ImageRef, Intent, NetworkIntent},
    units::Bytes,
};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A digest as everybody writes it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The image that lies in this file.
pub fn image(path: &Path, format: ImageFormat) -> ImageRef {
    let bytes = std::fs::read(path).expect("the image");
    let size = Bytes::new(bytes.len().try_into().expect("no giant")).expect("a size");
    ImageRef { sha256: sha256(&bytes), format, size, path: path.to_owned() }
}

/// A base that halts as soon as it is booted, in this folder.
pub fn halting(folder: &Path) -> ImageRef {
    let path: PathBuf = folder.join("halting.raw");
    std::fs::write(&path, super::broker::halting_image()).expect("the scratch folder takes it");
    image(&path, ImageFormat::Raw)
}

/// The least that a machine is: whoever wants more says so (`Intent { disk, ..plain(…) }`).
pub fn plain(name: String, image: ImageRef, network: NetworkIntent) -> Intent {
    Intent {
        machine: MachineId::new(),
        operation: OperationId::new(),
        name,
        fqdn: None,
        vcpu: 1,
        memory: Bytes::mib(128).expect("a size"),
        disk: Bytes::gib(1).expect("a size"),
        image,
        network,
        ssh_keys: Vec::new(),
        database: None,
        tenancy: None,
        imported: None,
    }
}
