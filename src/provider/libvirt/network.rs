//! Reserved leases and A records in a zone's network, kept by the network's own dnsmasq.
//!
//! `virNetworkUpdate` has edges that shape this file. A deletion of a DNS host matches by address *or* by any name, so it
//! can hit somebody else's entry: it is sent only after the exact pair was seen. And the running and the lasting state are
//! two copies of which a cut call may have changed one, so each is read and mended for itself.

use super::{
    fault::Fault,
    network_xml::{Lease, NetworkFacts, NetworkSetup, Record},
};
use virt::{connect::Connect, error::ErrorNumber, network::Network, sys};

/// Both copies of the state: how to read it and how to write it.
const COPIES: [(sys::virNetworkXMLFlags, sys::virNetworkUpdateFlags); 2] =
    [(0, sys::VIR_NETWORK_UPDATE_AFFECT_LIVE), (sys::VIR_NETWORK_XML_INACTIVE, sys::VIR_NETWORK_UPDATE_AFFECT_CONFIG)];

/// Makes sure that the network is defined with this address range, active, and started with the host.
pub fn ensure(connect: &Connect, setup: &NetworkSetup) -> Result<(), Fault> {
    let network = match Network::lookup_by_name(connect, &setup.network) {
        Ok(network) => {
            let facts = NetworkFacts::read(&network.get_xml_desc(sys::VIR_NETWORK_XML_INACTIVE)?)?;
            if facts.gateway != Some((setup.gateway, setup.prefix)) {
                let is = facts.gateway.map_or("no range at all".to_owned(), |(a, p)| format!("{a}/{p}"));
                let want = format!("{}/{}", setup.gateway, setup.prefix);
                return Err(Fault::Permanent(format!("network {} has {is} and not {want}", setup.network)));
            }
            network
        }
        Err(e) if e.code() == ErrorNumber::NoNetwork => Network::define_xml(connect, &setup.to_xml()?)?,
        Err(e) => return Err(e.into()),
    };
    if !network.is_active()? {
        network.create()?;
    }
    if !network.get_autostart()? {
        network.set_autostart(true)?;
    }
    Ok(())
}

/// A network that must be there and run.
fn active(connect: &Connect, name: &str) -> Result<Network, Fault> {
    let network = Network::lookup_by_name(connect, name)?;
    if network.is_active()? { Ok(network) } else { Err(Fault::Transient(format!("network {name} is not active"))) }
}

/// Makes sure of the lease.
pub fn ensure_lease(connect: &Connect, network: &str, lease: &Lease) -> Result<(), Fault> {
    let network = active(connect, network)?;
    let xml = lease.to_xml()?;
    for (read, write) in COPIES {
        let facts = NetworkFacts::read(&network.get_xml_desc(read)?)?;
        if !facts.has_lease(lease).map_err(Fault::Permanent)? {
            add(&network, sys::VIR_NETWORK_SECTION_IP_DHCP_HOST, &xml, write)?;
        }
    }
    Ok(())
}

/// Removes exactly this lease; any other with its hardware address, name or address is somebody else's.
pub fn remove_lease(connect: &Connect, network: &str, lease: &Lease) -> Result<(), Fault> {
    let xml = lease.to_xml()?;
    remove(connect, network, sys::VIR_NETWORK_SECTION_IP_DHCP_HOST, &xml, |facts| facts.leases.contains(lease))
}

/// Makes sure of the A record.
pub fn ensure_record(connect: &Connect, network: &str, record: &Record) -> Result<(), Fault> {
    let network = active(connect, network)?;
    let xml = record.to_xml()?;
    for (read, write) in COPIES {
        let facts = NetworkFacts::read(&network.get_xml_desc(read)?)?;
        if !facts.has_record(record).map_err(Fault::Permanent)? {
            add(&network, sys::VIR_NETWORK_SECTION_DNS_HOST, &xml, write)?;
        }
    }
    Ok(())
}

/// Removes exactly this pair of address and name.
pub fn remove_record(connect: &Connect, network: &str, record: &Record) -> Result<(), Fault> {
    let xml = record.to_xml()?;
    remove(connect, network, sys::VIR_NETWORK_SECTION_DNS_HOST, &xml, |facts| facts.records.contains(record))
}

fn add(
    network: &Network,
    section: sys::virNetworkUpdateSection,
    xml: &str,
    copy: sys::virNetworkUpdateFlags,
) -> Result<(), Fault> {
    Ok(network.update(sys::VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, section, -1, xml, copy)?)
}

fn remove(
    connect: &Connect,
    network: &str,
    section: sys::virNetworkUpdateSection,
    xml: &str,
    there: impl Fn(&NetworkFacts) -> bool,
) -> Result<(), Fault> {
    let network = match Network::lookup_by_name(connect, network) {
        Ok(network) => network,
        // Its entries have gone with it.
        Err(e) if e.code() == ErrorNumber::NoNetwork => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let running = network.is_active()?;
    for (read, write) in COPIES {
        if write == sys::VIR_NETWORK_UPDATE_AFFECT_LIVE && !running {
            continue; // a stopped network has the lasting copy only
        }
        if there(&NetworkFacts::read(&network.get_xml_desc(read)?)?) {
            network.update(sys::VIR_NETWORK_UPDATE_COMMAND_DELETE, section, -1, xml, write)?;
        }
    }
    Ok(())
}
