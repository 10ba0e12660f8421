//! The peer: what somebody would write without us. No looks before the acts, no marks read back.

use jiyue::provider::Intent;
use virt::{connect::Connect, domain::Domain};

/// The domain as the provider's own golden has it, so that the two are always alike.
const GOLDEN: &str = include_str!(
    "../../src/provider/libvirt/snapshots/jiyue__provider__libvirt__domain_xml__tests__the_domain_is_as_agreed.snap"
);

/// The domain that the provider would define for this machine, with its volumes in the pool at `pool`. `image` is the
/// file that the golden calls `image.qcow2`.
pub fn domain(intent: &Intent, pool: &str, link: (&str, &str)) -> String {
    let xml = GOLDEN.splitn(3, "---").nth(2).expect("a snapshot has a head").trim();
    let volume = |end: &str| format!("{pool}/{}.{}.{end}", intent.machine, intent.operation);
    let (kind, name) = link;
    [
        ("01890000-0000-7000-8000-000000000001", intent.machine.to_string()),
        ("01890000-0000-7000-8000-000000000002", intent.operation.to_string()),
        ("gw-web-1", intent.name.clone()),
        ("536870912", intent.memory.get().to_string()),
        ("<vcpu>2<", format!("<vcpu>{}<", intent.vcpu)),
        ("/pool/root.qcow2", volume("root.qcow2")),
        ("<format type=\"qcow2\"/>", format!("<format type=\"{}\"/>", intent.image.format.word())),
        ("/pool/image.qcow2", format!("{pool}/image-{}.{}", intent.image.sha256, intent.image.format.word())),
        ("/pool/seed.img", volume("seed.img")),
        ("/pool/console.log", volume("console.log")),
        ("52:54:00:00:00:05", intent.network.mac.clone()),
        ("<interface type=\"network\">", format!("<interface type=\"{kind}\">")),
        (" network=\"zone-a\"", format!(" {kind}=\"{name}\"")),
        ("jiyue-network-1-zone-a", format!("jiyue-{kind}-1-{name}")),
        ("value=\"10.8.0.5\"", format!("value=\"{}\"", intent.network.address)),
    ]
    .into_iter()
    .fold(xml.to_owned(), |xml, (agreed, real)| {
        assert!(xml.contains(agreed), "the golden has no {agreed}");
        xml.replace(agreed, &real)
    })
}

/// Defines and starts it.
pub fn define_and_start(connect: &Connect, xml: &str) -> Domain {
    let domain = Domain::define_xml(connect, xml).expect("libvirt takes the domain");
    domain.create().expect("it starts");
    domain
}

/// 32 MiB, no disk, and these devices; without any it is the least that QEMU makes of a domain.
pub fn diskless(name: &str, devices: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
    )
}

/// The network card of a machine's domain, behind its zone's filter; without the program that would try to start from the
/// network for ever where there is no disk.
pub fn card(domain: &str) -> String {
    let from = domain.find("<interface").expect("a machine has a card");
    let end = "</interface>";
    let to = domain[from..].find(end).expect("which ends") + from + end.len();
    domain[from..to].replace(end, &format!("<rom enabled=\"no\"/>{end}"))
}
