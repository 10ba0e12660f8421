//! A zone's network as libvirt's XML: the network itself, its reserved leases and its A records.

use super::xml::{Element, XmlError};
use crate::provider::Intent;
use std::net::Ipv4Addr;

/// A zone's network on one host, to be there before any machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSetup {
    /// The libvirt network's name.
    pub network: String,
    /// The bridge's interface name, at most 15 bytes.
    pub bridge: String,
    pub gateway: Ipv4Addr,
    pub prefix: u8,
    /// The DNS domain that is answered here and never asked elsewhere.
    pub domain: Option<String>,
    /// Machines reach other networks, behind the host's address. Without it the network is isolated.
    pub forward: bool,
}

impl NetworkSetup {
    /// There is no dynamic range on purpose: libvirt then has dnsmasq answer reserved machines only
    /// (`dhcp-range=…,static`, from the first reservation on), so that an unknown guest gets no address.
    pub fn to_xml(&self) -> Result<String, XmlError> {
        let bridge = Element::new("bridge").attr("name", &self.bridge).attr("stp", "on").attr("delay", 0);
        let domain =
            self.domain.as_ref().map(|name| Element::new("domain").attr("name", name).attr("localOnly", "yes"));
        Element::new("network")
            .child(Element::new("name").text(&self.network))
            .children(self.forward.then(|| Element::new("forward").attr("mode", "nat")))
            .child(bridge)
            .children(domain)
            .child(Element::new("dns").attr("enable", "yes"))
            .child(Element::new("ip").attr("address", self.gateway).attr("prefix", self.prefix))
            .to_xml()
    }
}

/// A reserved lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub mac: String,
    pub name: String,
    pub address: Ipv4Addr,
}

impl Lease {
    pub fn of(intent: &Intent) -> Self {
        Self {
            mac: intent.network.mac.to_ascii_lowercase(),
            name: intent.name.clone(),
            address: intent.network.address,
        }
    }

    pub fn to_xml(&self) -> Result<String, XmlError> {
        Element::new("host").attr("mac", &self.mac).attr("name", &self.name).attr("ip", self.address).to_xml()
    }
}

/// An address and the names that the zone's DNS gives it. libvirt keeps one record per address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub address: Ipv4Addr,
    pub names: Vec<String>,
}

impl Record {
    /// `None` when the machine has no name.
    pub fn of(intent: &Intent) -> Option<Self> {
        let name = intent.fqdn.as_ref()?.trim_end_matches('.').to_ascii_lowercase();
        Some(Self { address: intent.network.address, names: vec![name] })
    }

    pub fn to_xml(&self) -> Result<String, XmlError> {
        let names = self.names.iter().map(|name| Element::new("hostname").text(name));
        Element::new("host").attr("ip", self.address).children(names).to_xml()
    }
}

/// What a network's XML says of the things above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkFacts {
    pub gateway: Option<(Ipv4Addr, u8)>,
    pub leases: Vec<Lease>,
    pub records: Vec<Record>,
}

impl NetworkFacts {
    pub fn read(xml: &str) -> Result<Self, XmlError> {
        let network = Element::parse(xml)?;
        let ip = network.all("ip").find(|e| e.get("family").is_none_or(|f| f == "ipv4"));
        let gateway = ip.and_then(|e| {
            let prefix = match (e.get("prefix"), e.get("netmask")) {
                (Some(prefix), _) => prefix.parse().ok()?,
                (None, Some(mask)) => prefix_of(mask.parse().ok()?)?,
                (None, None) => return None,
            };
            Some((e.get("address")?.parse().ok()?, prefix))
        });
        let hosts = ip.and_then(|e| e.find(&["dhcp"])).into_iter().flat_map(|e| e.all("host"));
        let leases = hosts.filter_map(|e| {
            let value = |name| e.get(name).unwrap_or_default().to_owned();
            Some(Lease {
                mac: value("mac").to_ascii_lowercase(),
                name: value("name"),
                address: e.get("ip")?.parse().ok()?,
            })
        });
        let hosts = network.find(&["dns"]).into_iter().flat_map(|e| e.all("host"));
        let records = hosts.filter_map(|e| {
            let names = e.all("hostname").map(|n| n.text.trim().to_ascii_lowercase()).collect();
            Some(Record { address: e.get("ip")?.parse().ok()?, names })
        });
        Ok(Self { gateway, leases: leases.collect(), records: records.collect() })
    }

    /// Whether the lease is there already; else what stands in its way.
    pub fn has_lease(&self, lease: &Lease) -> Result<bool, String> {
        if self.leases.contains(lease) {
            return Ok(true);
        }
        let clash = self
            .leases
            .iter()
            .find(|l| l.mac == lease.mac || l.address == lease.address || (!l.name.is_empty() && l.name == lease.name));
        match clash {
            None => Ok(false),
            Some(l) => Err(format!("a lease for {} named {:?} at {} stands in the way", l.mac, l.name, l.address)),
        }
    }

    /// Whether the record is there already; else what stands in its way.
    pub fn has_record(&self, record: &Record) -> Result<bool, String> {
        let mut there = false;
        for r in &self.records {
            if r == record {
                there = true;
            } else if r.address == record.address {
                return Err(format!("{} is already named {}", r.address, r.names.join(", ")));
            } else if let Some(name) = r.names.iter().find(|n| record.names.contains(n)) {
                return Err(format!("the name {name} is taken by {}", r.address));
            }
        }
        Ok(there)
    }
}

fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    (bits.count_ones() == ones).then(|| u8::try_from(ones).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> NetworkSetup {
        NetworkSetup {
            network: "zone-a".into(),
            bridge: "jy-a".into(),
            gateway: Ipv4Addr::new(10, 8, 0, 1),
            prefix: 24,
            domain: Some("a.gov.test".into()),
            forward: true,
        }
    }

    #[test]
    fn the_network_has_no_dynamic_range() {
        insta::assert_snapshot!(setup().to_xml().unwrap());
        assert_eq!(
            NetworkFacts::read(&setup().to_xml().unwrap()).unwrap().gateway,
            Some((Ipv4Addr::new(10, 8, 0, 1), 24))
        );
    }

    #[test]
    fn entries_are_read_and_clashes_named() {
        let facts = NetworkFacts::read(
            "<network><dns><host ip='10.8.0.5'><hostname>A.gov.test</hostname></host>
             <host ip='10.8.0.6'><hostname>b.gov.test</hostname><hostname>c.gov.test</hostname></host></dns>
             <ip address='10.8.0.1' netmask='255.255.254.0'><dhcp>
             <host mac='52:54:00:00:00:0A' name='a' ip='10.8.0.5'/></dhcp></ip></network>",
        )
        .unwrap();
        assert_eq!(facts.gateway, Some((Ipv4Addr::new(10, 8, 0, 1), 23)));
        let lease = |mac: &str, name: &str, last| Lease {
            mac: mac.into(),
            name: name.into(),
            address: Ipv4Addr::new(10, 8, 0, last),
        };
        assert_eq!(facts.has_lease(&lease("52:54:00:00:00:0a", "a", 5)), Ok(true));
        assert_eq!(facts.has_lease(&lease("52:54:00:00:00:0b", "b", 6)), Ok(false));
        for other in
            [lease("52:54:00:00:00:0a", "b", 6), lease("52:54:00:00:00:0b", "b", 5), lease("52:54:00:00:00:0b", "a", 6)]
        {
            assert!(facts.has_lease(&other).unwrap_err().contains("10.8.0.5"));
        }
        let record = |name: &str, last| Record { address: Ipv4Addr::new(10, 8, 0, last), names: vec![name.into()] };
        assert_eq!(facts.has_record(&record("a.gov.test", 5)), Ok(true));
        assert_eq!(facts.has_record(&record("d.gov.test", 7)), Ok(false));
        assert!(facts.has_record(&record("a.gov.test", 7)).unwrap_err().contains("taken by 10.8.0.5"));
        assert!(facts.has_record(&record("b.gov.test", 6)).is_err(), "an address with names that are not ours");
    }

    #[test]
    fn a_mask_with_holes_is_no_prefix() {
        assert_eq!(prefix_of(Ipv4Addr::new(255, 0, 255, 0)), None);
        assert_eq!(prefix_of(Ipv4Addr::new(255, 255, 255, 128)), Some(25));
    }
}
