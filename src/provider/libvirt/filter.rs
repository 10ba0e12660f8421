//! Filters on a host: there, and as we mean them, before a machine is defined or started on them.

use super::{
    fault::Fault,
    filter_xml::{self, is_same},
    xml::Element,
};
use crate::provider::NetworkIntent;
use ipnet::Ipv4Net;
use virt::{connect::Connect, error::ErrorNumber, nwfilter::NWFilter};

/// Makes sure of the filters of a machine on this network. One that somebody has altered is put right, which holds at once
/// for every machine that runs on it.
pub fn ensure(connect: &Connect, network: &NetworkIntent, away: &[Ipv4Net]) -> Result<(), Fault> {
    filter_xml::filters(network, away).iter().try_for_each(|filter| ensure_one(connect, filter))
}

/// The part that is the same for all, whatever zones there will be.
pub fn ensure_guest(connect: &Connect) -> Result<(), Fault> {
    ensure_one(connect, &filter_xml::guest())
}

fn ensure_one(connect: &Connect, wanted: &Element) -> Result<(), Fault> {
    let mut attempts = 0;
    loop {
        let mut definition = wanted.clone();
        let name = wanted.get("name").unwrap_or_default();
        match NWFilter::lookup_by_name(connect, name) {
            Ok(there) => {
                let shown = Element::parse(&there.get_xml_desc(0)?)?;
                if is_same(wanted, &shown) {
                    return Ok(());
                }
                tracing::warn!(name, "a network filter is put right");
                // By its UUID the definition takes the place of the old one.
                let uuid = shown.text_at(&["uuid"]).unwrap_or_default().to_owned();
                definition.children.insert(0, Element::new("uuid").text(uuid));
            }
            Err(e) if e.code() == ErrorNumber::NoNwfilter => {}
            Err(e) if e.code() == ErrorNumber::NoSupport => {
                return Err(Fault::Permanent(format!("the host's libvirt has no nwfilter driver: {}", e.message())));
            }
            Err(e) => return Err(e.into()),
        }
        match NWFilter::define_xml(connect, &definition.to_xml()?) {
            Ok(_) => return Ok(()),
            // Another broker may have been quicker, with a UUID of its own.
            Err(e) if attempts == 0 && !super::fault::is_loss(&e) => attempts += 1,
            Err(e) => return Err(e.into()),
        }
    }
}

/// Whether libvirt failed to write a card's rules because somebody else changed rules meanwhile, which may pass.
pub fn collided(message: &str) -> bool {
    message.contains("ebtables") && ["RULE_", "CHAIN_", "TABLE_"].iter().any(|word| message.contains(word))
}

/// What an operator should know when a host cannot filter; `None` when the story is about something else.
pub fn explain(story: &str) -> Option<&'static str> {
    const MEANINGS: [(&str, &str); 4] = [
        (
            "no nwfilter driver",
            "宿主机的 libvirt 没有 nwfilter 驱动，虚拟机的防冒用过滤无从生效：请安装 libvirt-daemon-driver-nwfilter（或启用 virtnwfilterd）后重试",
        ),
        (
            "tech driver",
            "宿主机的 libvirt 用不了 ebtables，虚拟机的防冒用过滤无从生效：请以系统服务（root）运行 libvirtd，并安装 Debian 的 iptables 软件包",
        ),
        (
            "ebtables",
            "虚拟机的防冒用过滤在宿主机上不能生效：请安装 ebtables（Debian 的 iptables 软件包），并确认内核有 nf_tables 的网桥过滤（nft_compat、CONFIG_NF_TABLES_BRIDGE）",
        ),
        ("referenced filter", "虚拟机的防冒用过滤规则在宿主机上被人删除：请重试"),
    ];
    MEANINGS.iter().find(|(words, _)| story.contains(words)).map(|(_, meaning)| *meaning)
}
