//! A machine's name in a district's DNS: one row per machine whose name stands below a configured zone, and a registrar
//! that drives each row to its end.
//!
//! The build puts the row down once the machine answers, and waits a little for the registrar; the undoing of a build, the
//! recycle bin and the purge of a machine turn the row to removal, and what comes out of the bin is registered again.
//! Neither fails because a DNS server is down, refuses, or holds the name for somebody else: the row says so, and is tried
//! again. A machine whose name stands below no configured zone has no row; its name is kept by the libvirt network's own
//! DNS ([`crate::provider::Part::Name`]).

pub mod lifecycle;
pub mod registrar;
pub mod service;
pub mod store;

use super::Machine;
use crate::{
    dns::{Entry, Zones},
    ids::{DepartmentId, MachineId},
    operation::worker::Bell,
};
use jiff::Timestamp;
use lifecycle::State;
use std::{net::SocketAddr, time::Duration};

/// What parts that deal with names need of the house.
#[derive(Clone)]
pub struct Names {
    pub zones: Zones,
    /// Wakes the registrar.
    pub bell: Bell,
    /// How long a build waits for a name before it is delivered without.
    pub wait: Duration,
}

/// A name to be registered.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub entry: Entry,
    pub department: DepartmentId,
    /// The suffix of the zone that it is registered in.
    pub zone: String,
    pub server: SocketAddr,
}

impl Names {
    /// What to register for a machine; `None` when its network's own DNS keeps its name, or it has none.
    pub fn wanted(&self, machine: &Machine) -> Option<Wanted> {
        let fqdn = machine.intent.fqdn.clone()?;
        let zone = self.zones.serving(&fqdn)?;
        Some(Wanted {
            department: machine.department,
            zone: zone.suffix().to_owned(),
            server: zone.server(),
            entry: Entry {
                fqdn,
                address: machine.intent.network.address,
                machine: machine.id,
                operation: machine.intent.operation,
            },
        })
    }
}

/// A name's row.
#[derive(Clone, Debug)]
pub struct Registration {
    pub entry: Entry,
    pub department: DepartmentId,
    pub zone: String,
    /// The server it was last taken to.
    pub server: String,
    pub state: State,
    /// Why it is not (yet) as it should be; Chinese, for people.
    pub reason: Option<String>,
    /// Attempts since somebody last wished something of it.
    pub attempts: i64,
    pub next_try: Option<Timestamp>,
    pub updated_at: Timestamp,
}

impl Registration {
    pub const fn machine(&self) -> MachineId {
        self.entry.machine
    }
}
