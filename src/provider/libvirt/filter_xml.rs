//! What a machine may send, as libvirt's network filters. A filter works where the machine's card meets the bridge
//! (ebtables), before anybody else hears a frame, and without the guest's help.
//!
//! There are two: [`GUEST`] says who the machine is and is the same everywhere; the zone's own says what of the host may be
//! spoken to from there, and refers to the first. The interface refers to the zone's.
//!
//! Everything stands in layer 2 and keeps no state. Rules of layer 3 would go by iptables, which sees bridged frames only
//! where `bridge-nf-call-iptables` is on, and says nothing where it is off.

use super::xml::Element;
use crate::provider::{Link, NetworkIntent};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Who a machine is: its card and its address, and nobody else. The number goes up when brokers of two versions must not
/// put each other's right.
pub const GUEST: &str = "jiyue-guest-1";

/// TCP ports of the host that its own connections start from, and to which a guest's answers therefore go: Linux's
/// `ip_local_port_range` less those on which QEMU listens for a machine that is coming in, where a stranger must not be
/// the first to speak.
const ANSWERS: [(u16, u16); 2] = [(32768, 49151), (49216, 60999)];

/// The name of a zone's filter on a host.
pub fn zone_name(network: &NetworkIntent) -> String {
    format!("jiyue-{}-1-{}", network.link.word(), network.network)
}

/// Whether a filter of this name is a zone's.
pub fn is_ours(name: &str) -> bool {
    ["jiyue-network-1-", "jiyue-bridge-1-"].iter().any(|prefix| name.starts_with(prefix))
}

/// The reference to it in a machine's interface. The card's own address is libvirt's variable `MAC`; without `IP` libvirt
/// would believe the first address that the guest uses.
pub fn reference(network: &NetworkIntent) -> Element {
    let address = Element::new("parameter").attr("name", "IP").attr("value", network.address);
    Element::new("filterref").attr("filter", zone_name(network)).child(address)
}

/// Both filters, in the order in which they must be there. `away` are ranges of the host that are not this zone's.
pub fn filters(network: &NetworkIntent, away: &[Ipv4Net]) -> [Element; 2] {
    [guest(), zone(network, away)]
}

/// A machine sends from its card and its IPv4 address, ARP included, and nothing of any other kind.
///
/// IPv6 is among what is dropped: zones have no IPv6 ranges, so nothing could be checked, and every bridge has a
/// link-local address by which the host would be reached past all the rules here. So are tagged frames, spanning tree and
/// whatever else could speak to a switch.
pub fn guest() -> Element {
    let ip = || Element::new("ip");
    let arp = |opcode: &str, address: &str| {
        Element::new("arp")
            .attr("hwtype", 1)
            .attr("protocoltype", "0x800")
            .attr("opcode", opcode)
            .attr("arpsrcmacaddr", "$MAC")
            .attr("arpsrcipaddr", address)
    };
    filter(GUEST)
        .child(rule("drop", 100).child(Element::new("mac").attr("match", "no").attr("srcmacaddr", "$MAC")))
        .child(rule("drop", 300).child(ip().attr("match", "no").attr("srcipaddr", "$IP")))
        // Who answers DHCP says where the gateway is.
        .child(rule("drop", 310).child(ip().attr("protocol", "udp").attr("srcportstart", 67)))
        .child(rule("accept", 600).child(arp("Request", "$IP")))
        .child(rule("accept", 600).child(arp("Reply", "$IP")))
        // Whoever takes an address asks first whether it is free, and has none while asking (RFC 5227).
        .child(rule("accept", 600).child(arp("Request", "0.0.0.0")))
        .child(rule("accept", 900).child(ip().attr("srcipaddr", "$IP")))
        .child(rule("drop", 1000))
}

fn zone(network: &NetworkIntent, away: &[Ipv4Net]) -> Element {
    let mut away: Vec<_> = away.iter().filter(|range| !range.contains(&network.gateway)).collect();
    away.sort();
    away.dedup();
    let to = |range: &Ipv4Net| {
        let element = Element::new("ip").attr("dstipaddr", range.network());
        if range.prefix_len() == 32 { element } else { element.attr("dstipmask", range.prefix_len()) }
    };
    let own = match network.link {
        Link::Network => host_as_gateway(network.gateway),
        // The gateway is a router somewhere else, which looks after itself.
        Link::Bridge { .. } | Link::Pod | Link::Attached { .. } => Vec::new(),
    };
    filter(&zone_name(network))
        .child(Element::new("filterref").attr("filter", GUEST))
        .children(own)
        .children(away.into_iter().map(|range| rule("drop", 500).child(to(range))))
}

/// On a network of its own the host is the zone's gateway, its DHCP and its DNS; nothing else of it is for guests, its SSH
/// and libvirtd least of all.
fn host_as_gateway(gateway: Ipv4Addr) -> Vec<Element> {
    let to = |protocol: &str| Element::new("ip").attr("dstipaddr", gateway).attr("protocol", protocol);
    let discovery = Element::new("ip")
        .attr("srcipaddr", "0.0.0.0")
        .attr("dstipaddr", "255.255.255.255")
        .attr("protocol", "udp")
        .attr("srcportstart", 68)
        .attr("dstportstart", 67);
    let answers = ANSWERS.map(|(first, last)| to("tcp").attr("dstportstart", first).attr("dstportend", last));
    let allowed = [
        to("udp").attr("dstportstart", 53),
        to("tcp").attr("dstportstart", 53),
        to("udp").attr("dstportstart", 67),
        to("icmp"),
    ];
    let allowed = allowed.into_iter().chain(answers).map(|what| rule("accept", 400).child(what));
    std::iter::once(rule("accept", 200).child(discovery))
        .chain(allowed)
        .chain([rule("drop", 410).child(Element::new("ip").attr("dstipaddr", gateway))])
        .collect()
}

fn filter(name: &str) -> Element {
    Element::new("filter").attr("name", name).attr("chain", "root")
}

/// A rule for what the guest sends; rules of both filters are one list by their priority.
fn rule(action: &str, priority: i16) -> Element {
    Element::new("rule").attr("action", action).attr("direction", "out").attr("priority", priority)
}

/// Whether a filter that a host shows says what ours says. libvirt writes attributes in its own order and adds a UUID.
pub fn is_same(wanted: &Element, shown: &Element) -> bool {
    let children = |element: &Element| {
        let mut all = element.children.clone();
        all.retain(|child| child.name != "uuid");
        all
    };
    let attributes = |element: &Element| {
        let mut all = element.attributes.clone();
        all.sort();
        all
    };
    let (ours, theirs) = (children(wanted), children(shown));
    wanted.name == shown.name
        && attributes(wanted) == attributes(shown)
        && ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(a, b)| is_same(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::intent;

    fn range(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn the_filters_of_a_network_are_as_agreed() {
        let away = [range("10.9.0.0/24"), range("10.77.0.11/32"), range("10.8.0.0/24"), range("10.9.0.0/24")];
        let xml = filters(&intent().network, &away).map(|filter| filter.to_xml().unwrap());
        insta::assert_snapshot!(xml.join("\n"));
    }

    #[test]
    fn on_a_bridge_the_gateway_is_somebody_else_s_and_nobody_serves_dhcp() {
        let mut network = intent().network;
        network.link = Link::Bridge { prefix: 24 };
        let [_, zone] = filters(&network, &[range("10.9.0.0/24")]);
        insta::assert_snapshot!(zone.to_xml().unwrap(), @r#"
        <filter name="jiyue-bridge-1-zone-a" chain="root">
          <filterref filter="jiyue-guest-1"/>
          <rule action="drop" direction="out" priority="500">
            <ip dstipaddr="10.9.0.0" dstipmask="24"/>
          </rule>
        </filter>
        "#);
    }

    #[test]
    fn what_libvirt_shows_is_known_again_and_what_was_altered_is_not() {
        let [wanted, _] = filters(&intent().network, &[]);
        let shown = wanted.to_xml().unwrap().replace(
            r#"<filter name="jiyue-guest-1" chain="root">"#,
            "<filter chain='root' name='jiyue-guest-1'>\n<uuid>c910b593-2864-4fb9-bcb5-397c8bca2423</uuid>",
        );
        assert!(is_same(&wanted, &Element::parse(&shown).unwrap()));
        for (from, to) in [
            (r#"priority="1000""#, r#"priority="999""#),
            (r#"action="drop""#, r#"action="accept""#),
            ("$IP", "0.0.0.0"),
            (r#"<rule action="drop" direction="out" priority="1000"/>"#, ""),
            ("</filter>", "<filterref filter='allow-arp'/></filter>"),
        ] {
            let altered = shown.replacen(from, to, 1);
            assert_ne!(altered, shown, "{from}");
            assert!(!is_same(&wanted, &Element::parse(&altered).unwrap()), "{from}");
        }
    }
}
