//! Many small domains, of which nothing boots, on a libvirtd of their own.

use super::{libvirt::Libvirt, scratch};
use jiyue::{
    ids::{MachineId, OperationId},
    provider::{
        DomainType, Provider,
        libvirt::{LibvirtHost, LibvirtSettings},
    },
};
use std::fmt::Write as _;

pub struct Farm {
    pub libvirt: Libvirt,
    pub host: LibvirtHost,
}

impl Farm {
    #[allow(clippy::new_without_default, reason = "starts a daemon")]
    pub fn new() -> Self {
        let libvirt = Libvirt::up(scratch("rd"));
        let settings = LibvirtSettings {
            name: "farm".into(),
            uri: libvirt.uri.clone(),
            insecure_networks: Vec::new(),
            pool: "none".into(),
            pool_path: "/nonexistent".into(),
            domain_type: DomainType::Qemu,
            networks: Vec::new(),
        };
        Self { libvirt, host: LibvirtHost::new(settings) }
    }

    pub fn virsh(&self, args: &[&str]) {
        self.libvirt.virsh(args).unwrap_or_else(|error| panic!("virsh {args:?}: {error}"));
    }

    /// Started domains with these marks.
    pub fn start(&self, domains: impl IntoIterator<Item = (MachineId, String)>) {
        let mut orders = String::new();
        for (id, mark) in domains {
            let xml = format!(
                "<domain type='qemu'><name>{id}</name><uuid>{id}</uuid><metadata>{mark}</metadata>\
                 <memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os></domain>"
            );
            let file = self.libvirt.folder.join(format!("{id}.xml"));
            std::fs::write(&file, xml).unwrap();
            write!(orders, "define {}; start {id}; ", file.display()).unwrap();
        }
        self.virsh(&[&orders]);
    }

    pub async fn told(&self) -> Vec<MachineId> {
        self.host.readings().await.unwrap().into_iter().map(|(id, _)| id).collect()
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        let domains = self.libvirt.virsh(&["list", "--name"]).unwrap_or_default();
        let orders: String = domains.lines().map(|name| format!("destroy {name}; ")).collect();
        let _ = self.libvirt.virsh(&[&orders]);
    }
}

/// What says that a domain is ours.
pub fn mark(machine: MachineId) -> String {
    format!("<m:machine xmlns:m='urn:jiyue:machine:1' machine='{machine}' operation='{}'/>", OperationId::new())
}
