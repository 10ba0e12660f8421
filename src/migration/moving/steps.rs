//! Looks at both sides, and the deeds that need nothing written down: provider IO, no SQL.

use super::{DiskImport, plan::Power, settings::SourceHostSettings};
use crate::{
    machine::mac_of,
    operation::crash,
    provider::{
        Imported, Intent, Observed, Part, Provider, ProviderError, Stop, disks::Disks, libvirt::SourceHost,
        old_guest::OldPower,
    },
};
use ipnet::IpNet;
use std::{sync::Arc, time::Duration};

/// Source hosts of the settings, each with connections of its own.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<[SourceHost]>);

impl Sources {
    /// Connects to none of them yet. `insecure_networks` are those in which hosts may be spoken to by bare TCP.
    pub fn open(hosts: &[SourceHostSettings], insecure_networks: &[IpNet]) -> Self {
        Self(hosts.iter().map(|host| SourceHost::new(&host.name, &host.uri, insecure_networks)).collect())
    }

    pub fn of(&self, name: &str) -> Option<&SourceHost> {
        self.0.iter().find(|host| host.name() == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(SourceHost::name)
    }
}

/// The old guest and the machine, and how each is asked.
pub struct Sides<'a> {
    pub import: &'a DiskImport,
    pub source: &'a SourceHost,
    pub provider: &'a dyn Provider,
    pub disks: &'a dyn Disks,
}

/// What was seen of both, and why one could not be asked.
pub struct Look {
    pub old: Power,
    pub autostart: bool,
    pub machine: Power,
    /// It runs, and not from the disk that its intent names.
    pub astray: bool,
    pub unasked: Option<ProviderError>,
}

/// The machine as it is on the imported disk.
pub fn given(machine: &Intent, import: &DiskImport) -> Intent {
    let imported = Some(Imported { import: import.id, format: import.disk_format, settled: false });
    Intent { imported, ..at(machine, import.address) }
}

/// The machine as it is on the disk that it was built with.
pub fn own(machine: &Intent, import: &DiskImport) -> Intent {
    Intent { imported: None, ..at(machine, import.own_address) }
}

fn at(machine: &Intent, address: std::net::Ipv4Addr) -> Intent {
    let mut intent = machine.clone();
    intent.network.address = address;
    intent.network.mac = mac_of(address);
    intent
}

impl Sides<'_> {
    /// Asks both at this moment.
    pub async fn look(&self, machine: &Intent) -> Look {
        let mut look =
            Look { old: Power::Unknown, autostart: false, machine: Power::Unknown, astray: false, unasked: None };
        match self.source.look(&self.import.domain_id.to_string()).await {
            Ok(Some(guest)) => {
                look.old = if guest.power == OldPower::On { Power::On } else { Power::Off };
                look.autostart = guest.autostart;
            }
            // What is not defined there cannot be started there.
            Ok(None) => look.old = Power::Off,
            Err(error) => look.unasked = Some(error),
        }
        match self.provider.observe(machine).await {
            // Between the intent and the definition somebody may have started it as it was.
            Ok(Observed::Running) => match self.disks.runs_on(machine).await {
                Ok(runs) => (look.machine, look.astray) = (Power::On, !runs),
                Err(error) => look.unasked = Some(error),
            },
            Ok(Observed::Off | Observed::Absent) => look.machine = Power::Off,
            Ok(Observed::Foreign) => {
                look.unasked = Some(ProviderError::NotOurs { what: format!("domain {}", machine.name) });
            }
            Err(error) => look.unasked = Some(error),
        }
        look
    }

    pub async fn stop_machine(&self, machine: &Intent, grace: Duration) -> Result<(), ProviderError> {
        self.provider.stop(machine, Stop::Graceful(grace)).await
    }

    /// Has the machine run on the imported disk. The old guest is looked at once more, last of all before the start.
    pub async fn start_machine(&self, machine: &Intent) -> Result<(), ProviderError> {
        self.disks.change_disk(machine).await?;
        crash::point("disk_import.start_machine.defined");
        self.settle_address(machine).await?;
        match self.source.power(self.import.domain_id).await? {
            OldPower::Off | OldPower::Gone => self.provider.ensure(Part::Power, machine).await,
            OldPower::On => Err(wait("the old guest is running")),
        }
    }

    /// Has the machine run on its own disk from its next start on.
    pub async fn take(&self, machine: &Intent, own: &Intent) -> Result<(), ProviderError> {
        self.disks.change_disk(own).await?;
        crash::point("disk_import.take.defined");
        self.leave_address(machine, own).await?;
        self.settle_address(own).await
    }

    /// Starts the old guest. The machine is looked at once more, last of all before the start.
    pub async fn start_old(&self, machine: &Intent) -> Result<(), ProviderError> {
        match self.provider.observe(machine).await? {
            Observed::Off | Observed::Absent => self.source.start(self.import.domain_id).await,
            Observed::Running => Err(wait("the machine is running")),
            Observed::Foreign => Err(ProviderError::NotOurs { what: format!("domain {}", machine.name) }),
        }
    }

    /// Gives up the reservation and the name at an address that the machine leaves.
    pub async fn leave_address(&self, from: &Intent, to: &Intent) -> Result<(), ProviderError> {
        if from.network == to.network {
            return Ok(());
        }
        for part in [Part::Name, Part::Address] {
            self.provider.remove(part, from).await?;
        }
        Ok(())
    }

    /// The reservation, the name and what the seed says of the address; there already, where it has not changed.
    async fn settle_address(&self, intent: &Intent) -> Result<(), ProviderError> {
        if self.import.address == self.import.own_address {
            return Ok(());
        }
        self.provider.clear_seed(intent).await?;
        for part in [Part::Address, Part::Name] {
            self.provider.ensure(part, intent).await?;
        }
        Ok(())
    }
}

fn wait(reason: &str) -> ProviderError {
    ProviderError::Transient { act: "starting".to_owned(), reason: reason.to_owned() }
}
