//! What zones may share: on one host nothing, and across hosts a segment, which then has to be the same one everywhere.

use super::{Host, HostNetwork};

/// What two zones of one new host share, by the pointer of the one that comes second.
pub fn shared_within(networks: &[HostNetwork]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, network) in networks.iter().enumerate() {
        for earlier in networks.iter().take(index) {
            // What keeps zones apart on a cluster's pod network is a policy of each.
            let on_pods = |one: &HostNetwork| one.cluster && one.segment.is_none();
            if on_pods(network) && on_pods(earlier) {
                continue;
            }
            let zone = earlier.zone.word();
            let mut fault =
                |field: &str, what: &str| faults.push(format!("/zones/{index}/{field}: 与区域 {zone} {what}"));
            if network.bridge == earlier.bridge {
                fault("bridge", &format!("共用网桥 {}，两个区域之间就没有隔离；请各用各的网桥", network.bridge));
            }
            if network.segment.is_none() && earlier.segment.is_none() && network.network == earlier.network {
                fault("network", &format!("共用 libvirt 网络 {}；请各用各的网络", network.network));
            }
            if network.segment.is_some() && network.segment == earlier.segment {
                fault("segment", &format!("共用网段 {}；请各用各的网段", earlier.pool()));
            }
            if overlap(network, earlier) {
                fault("cidr", &format!("的地址段重叠：{} 与 {}；请改用互不重叠的地址段", network.cidr, earlier.cidr));
            }
        }
    }
    faults
}

/// In what a new host contradicts those that are there, with both values.
///
/// A segment is one network wherever it is, so it must be described alike, and no other segment may have its addresses,
/// nor may a network of another zone. Networks of two hosts' own may have the same range: each is behind its own host,
/// and no packet of one is ever seen in the other.
pub fn contradictions(networks: &[HostNetwork], hosts: &[Host]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, network) in networks.iter().enumerate() {
        for (host, there) in hosts.iter().flat_map(|host| host.networks.iter().map(move |there| (&host.name, there))) {
            match (&network.segment, &there.segment) {
                (Some(name), Some(other)) if name == other => {
                    let pairs = [
                        ("zone", network.zone.word().to_owned(), there.zone.word().to_owned()),
                        ("cidr", network.cidr.to_string(), there.cidr.to_string()),
                        ("gateway", network.gateway.to_string(), there.gateway.to_string()),
                        ("dns", network.dns.to_string(), there.dns.to_string()),
                    ];
                    for (field, ours, theirs) in pairs.into_iter().filter(|(_, ours, theirs)| ours != theirs) {
                        faults.push(format!(
                            "/zones/{index}/{field}: 共用网段 {name} 在宿主机 {host} 上登记为 {theirs}，这里写的是 {ours}；同一网段各处须一致，否则请另起网段名"
                        ));
                    }
                }
                (None, None) => {}
                (Some(_), Some(_)) if overlap(network, there) => faults.push(clash(index, network, host, there)),
                _ if network.zone != there.zone && overlap(network, there) => {
                    faults.push(clash(index, network, host, there));
                }
                _ => {}
            }
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

fn clash(index: usize, network: &HostNetwork, host: &str, there: &HostNetwork) -> String {
    format!(
        "/zones/{index}/cidr: {} 与宿主机 {host} 上区域 {} 的 {}（{}）重叠；共用网段的地址段须与其他网段、其他区域互不重叠",
        network.cidr,
        there.zone.word(),
        there.segment.as_deref().unwrap_or(&there.network),
        there.cidr
    )
}

fn overlap(one: &HostNetwork, other: &HostNetwork) -> bool {
    // Ranges either lie one within the other or apart.
    one.cidr.contains(&other.cidr) || other.cidr.contains(&one.cidr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capacity::{Amount, ProviderKind, standing::Standing},
        ids::{HostId, NetworkId},
        labels::Zone,
        provider::DomainType,
    };
    use ipnet::Ipv4Net;

    fn network(zone: Zone, name: &str, cidr: &str) -> HostNetwork {
        let cidr: Ipv4Net = cidr.parse().unwrap();
        let gateway = cidr.hosts().next().unwrap();
        HostNetwork {
            id: NetworkId::new(),
            zone,
            network: name.to_owned(),
            bridge: format!("br-{name}"),
            cidr,
            gateway,
            dns: gateway,
            segment: None,
            first: gateway,
            last: gateway,
            cluster: false,
        }
    }

    fn segment(zone: Zone, name: &str, cidr: &str) -> HostNetwork {
        HostNetwork { segment: Some(name.to_owned()), network: String::new(), ..network(zone, name, cidr) }
    }

    fn host(networks: Vec<HostNetwork>) -> Host {
        Host {
            id: HostId::new(),
            name: "kvm1".to_owned(),
            provider: ProviderKind::Libvirt,
            uri: String::new(),
            pool: String::new(),
            pool_path: String::new(),
            domain_type: DomainType::Kvm,
            mlps_level: crate::labels::MlpsLevel::HIGHEST,
            standing: Standing::default(),
            limit: Amount::default(),
            used: Amount::default(),
            networks,
        }
    }

    const GOV: Zone = Zone::GovernmentExtranet;
    const NET: Zone = Zone::Internet;

    /// The pointers alone.
    fn fields(faults: &[String]) -> Vec<&str> {
        faults.iter().map(|fault| fault.split(':').next().unwrap()).collect()
    }

    #[test]
    fn zones_of_one_host_share_nothing() {
        let one = network(GOV, "a", "10.8.0.0/24");
        assert_eq!(shared_within(&[one.clone(), network(NET, "b", "10.9.0.0/24")]), [""; 0]);
        let same = HostNetwork { zone: NET, ..one.clone() };
        assert_eq!(
            fields(&shared_within(&[one.clone(), same])),
            ["/zones/1/bridge", "/zones/1/network", "/zones/1/cidr"]
        );
        assert_eq!(fields(&shared_within(&[one.clone(), network(NET, "b", "10.0.0.0/8")])), ["/zones/1/cidr"]);
        let (a, b) = (segment(GOV, "s", "10.8.0.0/24"), segment(NET, "s", "10.9.0.0/24"));
        assert_eq!(fields(&shared_within(&[a.clone(), b])), ["/zones/1/bridge", "/zones/1/segment"]);
        // A network and a segment, whose empty network names are none.
        assert_eq!(shared_within(&[a, segment(NET, "t", "10.9.0.0/24")]), [""; 0]);
    }

    #[test]
    fn a_segment_is_the_same_on_every_host() {
        let there = segment(GOV, "s", "10.8.0.0/24");
        let hosts = [host(vec![there.clone()])];
        assert_eq!(contradictions(&[segment(GOV, "s", "10.8.0.0/24")], &hosts), [""; 0]);
        let other = HostNetwork { zone: NET, gateway: "10.8.0.254".parse().unwrap(), ..there };
        let faults = contradictions(&[other], &hosts);
        assert_eq!(fields(&faults), ["/zones/0/gateway", "/zones/0/zone"]);
        assert!(
            faults[0].contains("10.8.0.254") && faults[0].contains("10.8.0.1；") || faults[0].contains("10.8.0.1，")
        );
        assert_eq!(fields(&contradictions(&[segment(GOV, "s", "10.8.0.0/25")], &hosts)), ["/zones/0/cidr"]);
    }

    #[test]
    fn ranges_of_segments_are_nobody_else_s() {
        let hosts = [host(vec![segment(GOV, "s", "10.8.0.0/24"), network(NET, "n", "10.9.0.0/24")])];
        assert_eq!(fields(&contradictions(&[segment(GOV, "t", "10.8.0.128/25")], &hosts)), ["/zones/0/cidr"]);
        assert_eq!(fields(&contradictions(&[network(NET, "m", "10.8.0.0/16")], &hosts)), ["/zones/0/cidr"]);
        assert_eq!(fields(&contradictions(&[segment(GOV, "t", "10.9.0.0/24")], &hosts)), ["/zones/0/cidr"]);
        // Behind a host of its own, a range may be another's too.
        assert_eq!(
            contradictions(&[network(GOV, "n", "10.9.0.0/24"), network(NET, "n", "10.9.0.0/24")], &hosts),
            [""; 0]
        );
    }
}
