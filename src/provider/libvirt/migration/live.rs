//! A running machine's way: libvirt's own migration, with a copy of the disk.
//!
//! The source's libvirtd drives it from end to end (peer to peer), not the broker: a broker that dies in the middle then
//! changes nothing, and the next one finds a job to follow or a machine that has arrived. Were the broker to drive it, its
//! death between "perform" and "finish" would leave the machine paused on both hosts. The price is that the hosts must
//! trust each other: with TLS they need certificates of their own as clients and as servers, for libvirt (`/etc/pki/libvirt`)
//! and for QEMU (`/etc/pki/qemu`).
//!
//! `VIR_MIGRATE_UNSAFE` is not needed: libvirt asks for it where a disk is neither shared nor copied, and ours is copied;
//! the seed is not, but it is read-only.

use super::{
    super::{
        connection::Call,
        domain::{self, Found},
        domain_xml::{self, Places},
        fault::Fault,
        filter_xml,
        progress::Progress,
        storage,
        volume_xml::seed_name,
        xml::Element,
    },
    plan::There,
};
use crate::{
    provider::{DomainType, Intent, Journey},
    units::Bytes,
};
use virt::{
    connect::Connect,
    domain::{Domain, MigrateParameters},
    error::ErrorNumber,
    storage_pool::StoragePool,
    sys,
};

/// The disk that travels, by the name it has in every machine's definition.
const DISK: &str = "vda";

/// What the host has of the machine.
pub fn look(connect: &Connect, intent: &Intent) -> Result<There, Fault> {
    match domain::find(connect, intent)? {
        Found::Nothing => Ok(There::Nothing),
        Found::ForeignId | Found::ForeignName => Ok(There::Foreign),
        Found::Ours(domain) => match standing(&domain) {
            Err(Fault::Libvirt(e)) if e.code() == ErrorNumber::NoDomain => Ok(There::Nothing),
            other => other,
        },
    }
}

fn standing(domain: &Domain) -> Result<There, Fault> {
    let (state, reason) = domain.get_state()?;
    if !domain.is_active()? {
        return Ok(There::Off);
    }
    if is_under_way(domain)? {
        return Ok(There::Busy);
    }
    let reason = u32::try_from(reason).unwrap_or_default();
    let held = state == sys::VIR_DOMAIN_PAUSED
        && matches!(reason, sys::VIR_DOMAIN_PAUSED_MIGRATION | sys::VIR_DOMAIN_PAUSED_STARTING_UP);
    Ok(if held { There::Held } else { There::Running })
}

fn is_under_way(domain: &Domain) -> Result<bool, Fault> {
    let job = match domain.get_job_info() {
        // Of a machine that is just coming in, only the host that sends it can tell more.
        Err(e) if e.code() == ErrorNumber::OperationUnsupported => return Ok(true),
        job => job?,
    };
    let kind = u32::try_from(job.r#type).unwrap_or_default();
    Ok(matches!(kind, sys::VIR_DOMAIN_JOB_BOUNDED | sys::VIR_DOMAIN_JOB_UNBOUNDED))
}

/// How far the job has come; whether there is one at all.
pub fn follow(connect: &Connect, intent: &Intent, progress: &Progress) -> Result<bool, Fault> {
    let Found::Ours(domain) = domain::find(connect, intent)? else { return Ok(false) };
    let ask = || {
        if !domain.is_active()? || !is_under_way(&domain)? {
            return Ok(false);
        }
        let job = domain.get_job_info()?;
        // The last hundredth is the arrival, which libvirt does not count.
        if let (Some(done), Some(whole)) = (job.data_processed, job.data_total) {
            progress.set(done, whole.saturating_add(whole / 99));
        }
        Ok(true)
    };
    match ask() {
        // It has left in between.
        Err(Fault::Libvirt(e)) if e.code() == ErrorNumber::NoDomain => Ok(false),
        other => other,
    }
}

/// Lets the machine go on at the source.
pub fn resume(connect: &Connect, intent: &Intent) -> Result<(), Fault> {
    match domain::find(connect, intent)? {
        Found::Ours(domain) if standing(&domain)? == There::Held => {
            domain.resume()?;
            Ok(())
        }
        _ => Err(Fault::Transient("it changed in the meantime".to_owned())),
    }
}

/// Removes a domain that does not run: it is off, or a migration has left it paused.
pub fn drop_domain(connect: &Connect, intent: &Intent, may: &[There]) -> Result<(), Fault> {
    let Found::Ours(domain) = domain::find(connect, intent)? else { return Ok(()) };
    // Looked at again right before: what runs is never ended here.
    if !may.contains(&standing(&domain)?) {
        return Err(Fault::Transient("it changed in the meantime".to_owned()));
    }
    domain::power_off(&domain)?;
    domain::undefine(&domain)
}

/// What is known of the machine at the source before it leaves.
pub struct Leaving {
    /// Its disk's size, which may have outgrown the intent.
    pub capacity: Bytes,
    pub seed: Vec<u8>,
    pub places: Places,
}

pub fn leaving(call: &Call<'_>, pool: &StoragePool, intent: &Intent) -> Result<Leaving, Fault> {
    let Found::Ours(domain) = domain::find(call.connect, intent)? else {
        return Err(Fault::Transient("it changed in the meantime".to_owned()));
    };
    let places = domain::places(pool, intent)?;
    let capacity = domain.get_block_info(&places.disk, 0)?.capacity;
    let capacity = i64::try_from(capacity).ok().and_then(Bytes::new);
    let capacity = capacity.ok_or_else(|| Fault::Permanent("its disk is beyond all bounds".to_owned()))?;
    let seed = storage::bytes(call.connect, pool, &seed_name(intent))?;
    Ok(Leaving { capacity, seed, places })
}

/// How the source gets to the destination.
#[derive(Clone, Debug)]
pub struct Peer {
    /// For the calls.
    pub uri: String,
    /// For memory and disk.
    pub data_uri: String,
    /// Both encrypted, both sides known to each other.
    pub tls: bool,
    pub kind: DomainType,
}

/// Sends it, and returns when it has arrived and the source has forgotten it.
pub fn send(call: &Call<'_>, journey: &Journey, from: &Places, to: &Places, peer: &Peer) -> Result<(), Fault> {
    let Found::Ours(domain) = domain::find(call.connect, &journey.from)? else {
        return Err(Fault::Transient("it changed in the meantime".to_owned()));
    };
    let running = domain.get_xml_desc(sys::VIR_DOMAIN_XML_MIGRATABLE | sys::VIR_DOMAIN_XML_SECURE)?;
    let parameters = MigrateParameters {
        uri: Some(peer.data_uri.clone()),
        dest_xml: Some(as_there(&running, from, to, &journey.to)?),
        // What it is from its next start on: a change of its size that has not taken effect yet goes along.
        persist_xml: Some(domain_xml::domain(&journey.to, to, peer.kind)?),
        migrate_disks: vec![DISK.to_owned()],
        ..MigrateParameters::default()
    };
    let flags = sys::VIR_MIGRATE_LIVE
        | sys::VIR_MIGRATE_PEER2PEER
        | sys::VIR_MIGRATE_PERSIST_DEST
        | sys::VIR_MIGRATE_UNDEFINE_SOURCE
        // The overlay alone: the destination has put one of its own on its own copy of the image.
        | sys::VIR_MIGRATE_NON_SHARED_INC
        // A guest that writes faster than the line carries is slowed down rather than never sent.
        | sys::VIR_MIGRATE_AUTO_CONVERGE
        // An error of the disk on the way ends the journey, not the guest.
        | sys::VIR_MIGRATE_ABORT_ON_ERROR
        | if peer.tls { sys::VIR_MIGRATE_TLS } else { 0 };
    domain.migrate_to_uri3(Some(&peer.uri), parameters, flags)?;
    Ok(())
}

/// The running machine's document with the places and the network that it has at the destination. Everything else must
/// stay to the letter: the guest has already seen it.
fn as_there(running: &str, from: &Places, to: &Places, intent: &Intent) -> Result<String, Fault> {
    let pairs =
        [(&from.disk, &to.disk), (&from.image, &to.image), (&from.seed, &to.seed), (&from.console, &to.console)];
    let mut domain = Element::parse(running)?;
    rewrite(&mut domain, &pairs, intent);
    Ok(domain.to_xml()?)
}

fn rewrite(element: &mut Element, pairs: &[(&String, &String)], intent: &Intent) {
    // Between elements there is only the other side's indentation.
    if element.text.trim().is_empty() {
        element.text.clear();
    }
    for (name, value) in &mut element.attributes {
        if matches!(name.as_str(), "file" | "path")
            && let Some((_, to)) = pairs.iter().find(|(from, _)| *from == value)
        {
            value.clone_from(to);
        }
    }
    if element.name == "interface" {
        for source in element.children.iter_mut().filter(|child| child.name == "source") {
            // Not the port and the bridge that a network has given it on its old host.
            *source = domain_xml::source(&intent.network);
        }
        // The zone's filter as it is called there. It is no device that the guest has seen, so a machine that has come
        // without one so far gets it on the way.
        let reference = filter_xml::reference(&intent.network);
        match element.children.iter_mut().find(|child| child.name == "filterref") {
            Some(filter) => *filter = reference,
            None => element.children.push(reference),
        }
    }
    for child in &mut element.children {
        rewrite(child, pairs, intent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::intent;

    #[test]
    fn only_places_and_network_change_on_the_way() {
        let places = |folder: &str| {
            let path = |name: &str| format!("/{folder}/{name}");
            Places { disk: path("d"), image: path("i"), seed: path("s"), console: path("c") }
        };
        let running = domain_xml::domain(&intent(), &places("here"), DomainType::Qemu).unwrap();
        let mut there = intent();
        there.network.network = "zone-b".into();
        let sent = as_there(&running, &places("here"), &places("there"), &there).unwrap();
        assert_eq!(sent, domain_xml::domain(&there, &places("there"), DomainType::Qemu).unwrap());
        // As libvirt shows a running domain: what a network has given, other files, our mark under a prefix.
        let shown = "<domain type='qemu' id='3'>\n  <metadata>\n    <j:machine xmlns:j='urn:jiyue:machine:1' machine='m'/>\n  </metadata>
            <devices><interface type='network'><source network='z' portid='p' bridge='virbr0'/><target dev='vnet0'/></interface>
            <disk><source file='/here/d' index='2'/></disk><rng><backend model='random'>/dev/urandom</backend></rng></devices></domain>";
        let sent = as_there(shown, &places("here"), &places("there"), &there).unwrap();
        insta::assert_snapshot!(sent, @r#"
        <domain type="qemu" id="3">
          <metadata>
            <j:machine xmlns:j="urn:jiyue:machine:1" machine="m"/>
          </metadata>
          <devices>
            <interface type="network">
              <source network="zone-b"/>
              <target dev="vnet0"/>
              <filterref filter="jiyue-network-1-zone-b">
                <parameter name="IP" value="10.8.0.5"/>
              </filterref>
            </interface>
            <disk>
              <source file="/there/d" index="2"/>
            </disk>
            <rng>
              <backend model="random">/dev/urandom</backend>
            </rng>
          </devices>
        </domain>
        "#);
    }
}
