//! From a decision and the places found for it to what the approval writes: pure, and the last moment at which anything
//! that identifies a machine is chosen.

use super::{Machine, build, lifecycle::State, origin::Origin};
use crate::{
    audit::{Outcome, Record, Who},
    capacity::{
        Amount, Claim,
        inventory::{ImageNeed, Place},
    },
    identity::{Actor, policy::Act},
    ids::{MachineId, OperationId},
    labels::Spread,
    operation::{Kind, NewOperation},
    provider::{ImageRef, Intent, NetworkIntent, Tenancy},
    request::store::{Approved, Request},
    task_book,
};
use jiff::civil::Date;
use serde_json::json;
use std::{net::Ipv4Addr, path::PathBuf};

/// Everything that was read and decided before places are sought.
pub struct Decision {
    pub actor: Actor,
    pub comment: Option<String>,
    pub request: Request,
    /// The department's code.
    pub department: String,
    pub book: task_book::store::Held,
    pub origin: Origin,
    /// This broker has the image's file. Looked at before: the transaction does no other IO.
    pub image_is_here: bool,
    /// All machines of the request together.
    pub amount: Amount,
    pub lease_end: Date,
}

impl Decision {
    pub fn image_need(&self) -> ImageNeed<'_> {
        ImageNeed { sha256: &self.origin.image.sha256, sendable: self.image_is_here }
    }
}

/// Everything that one approval writes.
pub struct Approval {
    pub decision: Approved,
    pub machines: Vec<(Claim, Machine)>,
    pub operation: NewOperation,
    pub record: Record,
}

/// Fixes all machines of a decision, one at each place.
pub fn compose(decision: &Decision, places: &[Place]) -> Approval {
    let Decision { actor, request, book, .. } = decision;
    let operation = OperationId::new();
    let names = request.block.machine_names();
    let machines = places
        .iter()
        .enumerate()
        .map(|(ordinal, place)| {
            let name = names.as_ref().and_then(|names| names.get(ordinal));
            compose_machine(decision, place, operation, ordinal, name.map(|n| (n.host.as_str(), n.fqdn.as_str())))
        })
        .collect();
    Approval {
        decision: Approved {
            request: request.id,
            digest: request.digest.clone(),
            by: actor.person.id,
            unit: actor.unit.clone(),
            reason: decision.comment.clone(),
            operation,
        },
        machines,
        operation: NewOperation {
            id: operation,
            kind: Kind::Build,
            department: request.department,
            request: Some(request.id),
            machine: None,
            steps_total: build::steps_total(places.len()),
            trace_id: actor.trace_id.clone(),
            started_by: actor.person.login.clone(),
            plan: None,
        },
        record: Record {
            who: Who::from(actor),
            action: Act::RequestApprove.word(),
            object_type: "request",
            object_id: request.id.text(),
            department_id: Some(request.department.text()),
            outcome: Outcome::Done,
            detail: json!({"digest": request.digest, "task_book": book.number, "version": book.version,
                "operation": operation, "comment": decision.comment}),
        },
    }
}

/// Fixes everything that identifies one machine.
fn compose_machine(
    decision: &Decision,
    place: &Place,
    operation: OperationId,
    ordinal: usize,
    name: Option<(&str, &str)>,
) -> (Claim, Machine) {
    let Decision { request, book, origin: Origin { image, database }, .. } = decision;
    let id = MachineId::new();
    let host_name = slug_of(name.map_or("vm", |(host, _)| host), id);
    let mac = mac_of(place.address);
    let fqdn = name.map(|(_, fqdn)| fqdn.to_owned());
    let intent = Intent {
        machine: id,
        operation,
        database: database.as_ref().map(|template| template.of(&host_name)),
        name: host_name,
        fqdn: fqdn.clone(),
        vcpu: place.size.vcpu,
        memory: place.size.memory,
        disk: place.size.disk,
        image: ImageRef {
            sha256: image.sha256.clone(),
            format: image.format,
            size: image.size,
            path: PathBuf::from(&image.path),
        },
        network: NetworkIntent {
            network: place.network.device().to_owned(),
            link: place.network.link(),
            mac: mac.clone(),
            address: place.address,
            gateway: place.network.gateway,
            dns: place.network.dns,
        },
        ssh_keys: request.block.ssh_keys.clone(),
        tenancy: place.network.cluster.then(|| Tenancy {
            department: request.department,
            code: decision.department.clone(),
            request: request.id,
            zone: request.block.zone,
            apart: request.block.spread == Spread::Require,
        }),
        imported: None,
    };
    let claim = Claim {
        machine: id,
        task_book: book.id,
        host: place.host,
        network: place.network.id,
        pool: place.network.pool(),
        size: place.size,
        address: place.address,
        mac,
        fqdn,
    };
    let unit = &request.block.om_unit;
    let machine = Machine {
        id,
        request: request.id,
        department: request.department,
        host: place.host,
        ordinal: i64::try_from(ordinal).unwrap_or(i64::MAX),
        state: State::Building,
        intent,
        zone: request.block.zone,
        lease_end: decision.lease_end,
        contact: format!("{} {}", unit.name, unit.contact),
        operation: Some(operation),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        ready_at: None,
        binned_at: None,
        run: None,
        stuck_reason: None,
        address_seen: None,
    };
    (claim, machine)
}

/// A hardware address that is the address in other words: QEMU's own prefix, then its four bytes. dnsmasq keeps an
/// address for about an hour for the card that had it last, whatever is reserved; so who inherits an address must
/// inherit its card too. Within a network it is unique because the address is.
pub fn mac_of(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("52:54:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// The domain's name on its host: readable, and unique by the identifier's random tail. At most 63 characters.
fn slug_of(host: &str, id: MachineId) -> String {
    let bytes = id.0.as_bytes();
    let host: String = host.chars().take(50).collect();
    format!("{}-{:02x}{:02x}{:02x}{:02x}", host.trim_end_matches('-'), bytes[8] & 0x3f, bytes[9], bytes[10], bytes[11])
}
