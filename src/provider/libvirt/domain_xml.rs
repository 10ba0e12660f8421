//! A machine as libvirt's domain XML, and our mark in it.

use super::{
    filter_xml,
    xml::{Element, XmlError},
};
use crate::provider::{DomainType, ImageFormat, Intent, Mark, NetworkIntent, Shape};

/// The namespace of our mark in a domain's metadata.
pub const MARK: &str = "urn:jiyue:machine:1";
/// The name of the channel on which a guest's agent answers.
const AGENT: &str = "org.qemu.guest_agent.0";
/// How often a guest is asked for its memory, in seconds.
const BALLOON_SECONDS: u32 = 60;

/// Where the parts made earlier lie, as the host's libvirt names them.
#[derive(Clone, Debug)]
pub struct Places {
    /// The machine's own overlay.
    pub disk: String,
    /// The base image under it.
    pub image: String,
    pub seed: String,
    /// The file that the serial console is written to.
    pub console: String,
}

/// The domain. Each disk's format is written down, down to the base image: libvirt and QEMU never have to guess one from
/// bytes that a guest may have written (`hazards` S4).
pub fn domain(intent: &Intent, places: &Places, kind: DomainType) -> Result<String, XmlError> {
    let mark = Element::new("jiyue:machine")
        .attr("xmlns:jiyue", MARK)
        .attr("machine", intent.machine)
        .attr("operation", intent.operation);
    Element::new("domain")
        .attr("type", kind.word())
        .child(Element::new("name").text(&intent.name))
        .child(Element::new("uuid").text(intent.machine))
        .child(Element::new("metadata").child(mark))
        .child(Element::new("memory").attr("unit", "bytes").text(intent.memory.get()))
        .child(Element::new("vcpu").text(intent.vcpu))
        .children(match kind {
            DomainType::Kvm => Some(Element::new("cpu").attr("mode", "host-passthrough").attr("check", "none")),
            DomainType::Qemu => None,
        })
        .child(os())
        .child(Element::new("features").child(Element::new("acpi")).child(Element::new("apic")))
        .child(Element::new("clock").attr("offset", "utc"))
        .child(Element::new("on_poweroff").text("destroy"))
        .child(Element::new("on_reboot").text("restart"))
        .child(Element::new("on_crash").text("destroy"))
        .child(devices(intent, places))
        .to_xml()
}

/// BIOS and hard disk, the same for every machine.
pub fn os() -> Element {
    Element::new("os")
        .child(Element::new("type").attr("arch", "x86_64").attr("machine", "q35").text("hvm"))
        .child(Element::new("boot").attr("dev", "hd"))
}

fn devices(intent: &Intent, places: &Places) -> Element {
    let (format, base) = match &intent.imported {
        // It stands by itself, and nobody is to look in it for what it might stand on.
        Some(imported) => (format_word(imported.format), Element::new("backingStore")),
        None => {
            let base = Element::new("backingStore")
                .attr("type", "file")
                .child(Element::new("format").attr("type", format_word(intent.image.format)))
                .child(Element::new("source").attr("file", &places.image))
                .child(Element::new("backingStore"));
            ("qcow2", base)
        }
    };
    let agent = Element::new("channel")
        .attr("type", "unix")
        .child(Element::new("target").attr("type", "virtio").attr("name", AGENT));
    // Without a period the guest's driver is never asked what it has free.
    let balloon =
        Element::new("memballoon").attr("model", "virtio").child(Element::new("stats").attr("period", BALLOON_SECONDS));
    let random = Element::new("rng")
        .attr("model", "virtio")
        .child(Element::new("backend").attr("model", "random").text("/dev/urandom"));
    // Without a word libvirt adds one: nobody plugs anything into a server here, every start looks through it (some 70 ms
    // of an emulated processor), and it is one device less to break out by.
    let no_usb = Element::new("controller").attr("type", "usb").attr("model", "none");
    Element::new("devices")
        .child(no_usb)
        .child(disk(format, &places.disk, "vda").child(base))
        .child(disk("raw", &places.seed, "vdb").child(Element::new("readonly")))
        .child(card(&intent.network))
        .child(serial(&places.console))
        .child(agent)
        .child(balloon)
        .child(random)
}

/// The machine's card on its zone's network, behind the zone's filter.
pub fn card(network: &NetworkIntent) -> Element {
    Element::new("interface")
        .attr("type", network.link.word())
        .child(Element::new("mac").attr("address", &network.mac))
        .child(source(network))
        .child(Element::new("model").attr("type", "virtio"))
        .child(filter_xml::reference(network))
}

/// Whether every card of a domain is behind a filter of ours; in those of brokers before there were filters none is.
pub fn is_filtered(domain: &Element) -> bool {
    let cards = || domain.find(&["devices"]).into_iter().flat_map(|devices| devices.all("interface"));
    let ours = |card: &Element| {
        card.find(&["filterref"]).and_then(|filter| filter.get("filter")).is_some_and(filter_xml::is_ours)
    };
    cards().next().is_some() && cards().all(ours)
}

/// Whether there is a channel on which a guest's agent may answer.
pub fn has_agent(domain: &Element) -> bool {
    let mut channels = domain.find(&["devices"]).into_iter().flat_map(|devices| devices.all("channel"));
    channels.any(|channel| channel.find(&["target"]).is_some_and(|target| target.get("name") == Some(AGENT)))
}

/// The names in the guest of the disks that it may write: not of seeds and cdroms.
pub fn own_disks(domain: &Element) -> Vec<String> {
    let disks = domain.find(&["devices"]).into_iter().flat_map(|devices| devices.all("disk"));
    let own =
        disks.filter(|disk| disk.get("device").is_none_or(|kind| kind == "disk") && disk.find(&["readonly"]).is_none());
    own.filter_map(|disk| Some(disk.find(&["target"])?.get("dev")?.to_owned())).collect()
}

/// What a card is plugged into.
pub fn source(network: &NetworkIntent) -> Element {
    Element::new("source").attr(network.link.word(), &network.network)
}

/// A virtio disk on a file.
pub fn disk(format: &str, file: &str, target: &str) -> Element {
    Element::new("disk")
        .attr("type", "file")
        .attr("device", "disk")
        .child(Element::new("driver").attr("name", "qemu").attr("type", format))
        .child(Element::new("source").attr("file", file))
        .child(Element::new("target").attr("dev", target).attr("bus", "virtio"))
}

/// The first serial port, kept in a file over restarts.
pub fn serial(file: &str) -> Element {
    Element::new("serial")
        .attr("type", "file")
        .child(Element::new("source").attr("path", file).attr("append", "on"))
        .child(Element::new("target").attr("port", 0))
}

/// libvirt's word for a format.
pub const fn format_word(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Raw => "raw",
        ImageFormat::Qcow2 => "qcow2",
    }
}

impl Mark {
    /// The mark in a domain's XML. Anything that is not exactly one well-formed mark of ours is no mark.
    pub fn read(domain: &Element) -> Option<Self> {
        let marks = domain.find(&["metadata"])?.all("machine").filter(|e| e.namespace.as_deref() == Some(MARK));
        match marks.collect::<Vec<_>>()[..] {
            [mark] => Some(Self {
                machine: mark.get("machine")?.parse().ok()?,
                operation: mark.get("operation")?.parse().ok()?,
            }),
            _ => None,
        }
    }
}

/// What a domain is made of, by its XML. Whatever cannot be read counts as nothing, which no machine of ours is.
pub fn shape(domain: &Element) -> Shape {
    let number = |element: &Element| element.text.trim().parse::<i64>().unwrap_or_default();
    let memory = domain.find(&["memory"]).map_or(0, |memory| {
        let unit = match memory.get("unit").unwrap_or("KiB") {
            "b" | "bytes" => 1,
            "KiB" | "k" => 1 << 10,
            "MiB" | "M" => 1 << 20,
            "GiB" | "G" => 1 << 30,
            _ => 0,
        };
        number(memory).saturating_mul(unit)
    });
    let devices = || domain.find(&["devices"]).into_iter();
    let file = |disk: &Element| {
        let path = disk.find(&["source"])?.get("file")?;
        Some(path.rsplit('/').next().unwrap_or(path).to_owned())
    };
    Shape {
        vcpu: domain.find(&["vcpu"]).map_or(0, |vcpu| u32::try_from(number(vcpu)).unwrap_or_default()),
        memory_bytes: memory,
        disks: devices().flat_map(|d| d.all("disk")).filter_map(file).collect(),
        macs: devices()
            .flat_map(|d| d.all("interface"))
            .filter_map(|i| Some(i.find(&["mac"])?.get("address")?.to_ascii_lowercase()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{MachineId, OperationId},
        provider::tests::intent,
    };
    use proptest::prelude::*;

    fn places() -> Places {
        let path = |name: &str| format!("/pool/{name}");
        Places {
            disk: path("root.qcow2"),
            image: path("image.qcow2"),
            seed: path("seed.img"),
            console: path("console.log"),
        }
    }

    #[test]
    fn the_domain_is_as_agreed() {
        insta::assert_snapshot!(domain(&intent(), &places(), DomainType::Qemu).unwrap());
    }

    #[test]
    fn a_disk_that_was_taken_over_stands_by_itself_in_the_format_that_was_read() {
        let import = "01890000-0000-7000-8000-000000000009".parse().unwrap();
        let imported = Some(crate::provider::Imported { import, format: ImageFormat::Raw, settled: false });
        let xml = domain(&Intent { imported, ..intent() }, &places(), DomainType::Qemu).unwrap();
        let read = Element::parse(&xml).unwrap();
        let disk = read.find(&["devices"]).unwrap().all("disk").next().unwrap();
        assert_eq!(disk.find(&["driver"]).and_then(|driver| driver.get("type")), Some("raw"));
        assert!(disk.find(&["backingStore"]).is_some_and(|base| base.find(&["source"]).is_none()), "{xml}");
        assert!(!xml.contains("image.qcow2"), "nothing of the image is in it: {xml}");
    }

    #[test]
    fn kvm_passes_the_processor_through() {
        let read = Element::parse(&domain(&intent(), &places(), DomainType::Kvm).unwrap()).unwrap();
        assert_eq!(read.get("type"), Some("kvm"));
        assert_eq!(read.find(&["cpu"]).and_then(|e| e.get("mode")), Some("host-passthrough"));
    }

    #[test]
    fn the_mark_is_read_back() {
        let read = Element::parse(&domain(&intent(), &places(), DomainType::Qemu).unwrap()).unwrap();
        assert_eq!(Mark::read(&read), Some(Mark::of(&intent())));
    }

    #[test]
    fn the_shape_is_read_back() {
        let read = Element::parse(&domain(&intent(), &places(), DomainType::Qemu).unwrap()).unwrap();
        let shape = shape(&read);
        assert_eq!((shape.vcpu, shape.memory_bytes), (2, 512 << 20));
        assert_eq!(shape.disks, ["root.qcow2", "seed.img"]);
        assert_eq!(shape.macs, ["52:54:00:00:00:05"]);
    }

    #[test]
    fn a_card_without_our_filter_is_seen() {
        let xml = domain(&intent(), &places(), DomainType::Qemu).unwrap();
        let filtered = |xml: &str| is_filtered(&Element::parse(xml).unwrap());
        assert!(filtered(&xml));
        assert!(!filtered(&xml.replace("jiyue-network-1-zone-a", "clean-traffic")));
        assert!(!filtered(&xml.replace("</devices>", "<interface type='user'/></devices>")));
        let begin = xml.find("<filterref").unwrap();
        let end = begin + xml[begin..].find("</filterref>").unwrap() + "</filterref>".len();
        assert!(!filtered(&[&xml[..begin], &xml[end..]].concat()));
    }

    #[test]
    fn what_looks_like_a_mark_is_none() {
        let (m, o) = (MachineId::new(), OperationId::new());
        let mark = |ns: &str, n: usize| {
            let one = format!("<j:machine xmlns:j='{ns}' machine='{m}' operation='{o}'/>").repeat(n);
            Mark::read(&Element::parse(&format!("<domain><metadata>{one}</metadata></domain>")).unwrap())
        };
        assert_eq!(mark(MARK, 1), Some(Mark { machine: m, operation: o }));
        assert_eq!(mark("urn:other", 1), None);
        assert_eq!(mark(MARK, 2), None);
        for xml in [
            format!("<domain><metadata><machine machine='{m}' operation='{o}'/></metadata></domain>"),
            format!("<domain><metadata><machine xmlns='{MARK}' machine='{m}'/></metadata></domain>"),
            format!("<domain><metadata><machine xmlns='{MARK}' machine='{m}' operation='x'/></metadata></domain>"),
            format!("<domain><machine xmlns='{MARK}' machine='{m}' operation='{o}'/></domain>"),
            format!("<domain><description>&lt;machine xmlns='{MARK}' machine='{m}'/></description></domain>"),
        ] {
            assert_eq!(Mark::read(&Element::parse(&xml).unwrap()), None, "{xml}");
        }
    }

    /// The names of all nodes, in order; what an injection would change.
    fn skeleton(xml: &str) -> Vec<String> {
        let mut names = Vec::new();
        let mut reader = quick_xml::Reader::from_str(xml); // not our own reader: an independent view
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(e) | quick_xml::events::Event::Empty(e) => {
                    let keys = e.attributes().map(|a| a.unwrap().key.as_ref().to_owned()).collect::<Vec<_>>();
                    names.push(format!("{} {keys:?}", e.name().as_ref()));
                }
                quick_xml::events::Event::Eof => return names,
                _ => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn no_string_adds_a_node(text in r#"(</name>|<x/>|'|"|>|<|&|\]\]>|<!--|;|\PC){1,30}"#) {
            let template = skeleton(&domain(&intent(), &places(), DomainType::Qemu).unwrap());
            let mut hostile = intent();
            hostile.name.clone_from(&text);
            hostile.network.mac.clone_from(&text);
            hostile.network.network.clone_from(&text);
            let places = Places { disk: text.clone(), image: text.clone(), seed: text.clone(), console: text.clone() };
            if let Ok(xml) = domain(&hostile, &places, DomainType::Qemu) {
                prop_assert_eq!(skeleton(&xml), template);
                let read = Element::parse(&xml).unwrap();
                prop_assert_eq!(&read.find(&["name"]).unwrap().text, &text);
                prop_assert_eq!(Mark::read(&read), Some(Mark::of(&hostile)));
            }
        }
    }
}
