//! Which domain type really boots. `/dev/kvm` may open, libvirt may offer `kvm`, a domain may start, and the guest never
//! execute an instruction; so a type is believed only after a guest of ours has spoken on its serial port.

use super::{
    connection::Call,
    domain_xml::{disk, os, serial},
    fault::Fault,
    filter, storage,
    volume_xml::NewVolume,
    xml::Element,
};
use crate::{provider::DomainType, time::wall_clock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;
use virt::{connect::Connect, domain::Domain, error::ErrorNumber, storage_pool::StoragePool, sys};

/// How long a probe may take to speak. It needs about a second, under emulation too.
pub const PROBE_LIMIT: Duration = Duration::from_secs(15);
/// Every name that a probe leaves on a host begins so and goes on with a time-ordered UUID.
const PREFIX: &str = "jiyue-probe-";
/// The namespace of the probe's mark in its domain's metadata.
const MARK: &str = "urn:jiyue:probe:1";
/// A probe of this age is nobody's any more.
const LEFTOVER: Duration = Duration::from_mins(2);
const MESSAGE: &[u8] = b"JIYUE-PROBE-OK";

/// A boot sector's program, loaded by the BIOS at 0x7c00 in real mode: it writes [`MESSAGE`], which follows it, to the
/// first serial port and halts.
const PROGRAM: [u8; 0x23] = [
    0xfa, // 00        cli
    0xfc, // 01        cld
    0x31, 0xc0, // 02        xor  ax, ax
    0x8e, 0xd8, // 04        mov  ds, ax
    0xbe, 0x23, 0x7c, // 06        mov  si, 0x7c23        ; the message
    0xac, // 09  next: lodsb
    0x84, 0xc0, // 0a        test al, al
    0x74, 0x12, // 0c        jz   done
    0x88, 0xc4, // 0e        mov  ah, al
    0xba, 0xfd, 0x03, // 10        mov  dx, 0x3fd         ; COM1, line status
    0xec, // 13  wait: in   al, dx
    0xa8, 0x20, // 14        test al, 0x20          ; transmitter empty?
    0x74, 0xfb, // 16        jz   wait
    0x88, 0xe0, // 18        mov  al, ah
    0xba, 0xf8, 0x03, // 1a        mov  dx, 0x3f8         ; COM1, data
    0xee, // 1d        out  dx, al
    0xeb, 0xe9, // 1e        jmp  next
    0xf4, // 20  done: hlt
    0xeb, 0xfd, // 21        jmp  done
];

/// The disk: the sector with the program, and zeros up to a size that no BIOS finds odd.
fn boot_disk() -> Vec<u8> {
    let mut bytes = PROGRAM.to_vec();
    bytes.extend_from_slice(MESSAGE);
    bytes.extend_from_slice(b"\r\n");
    bytes.resize(510, 0);
    bytes.extend_from_slice(&[0x55, 0xaa]); // what makes a sector bootable
    bytes.resize(1 << 20, 0);
    bytes
}

fn domain(name: &str, id: Uuid, kind: DomainType, cards: &[Element], image: &str, log: &str) -> Element {
    let mark = Element::new("jiyue:probe").attr("xmlns:jiyue", MARK);
    let cpu = Element::new("cpu").attr("mode", "host-passthrough").attr("check", "none");
    let drive = disk("raw", image, "vda").child(Element::new("readonly"));
    Element::new("domain")
        .attr("type", kind.word())
        .child(Element::new("name").text(name))
        .child(Element::new("uuid").text(id))
        .child(Element::new("metadata").child(mark))
        .child(Element::new("memory").attr("unit", "MiB").text(32))
        .child(Element::new("vcpu").text(1))
        .children((kind == DomainType::Kvm).then_some(cpu))
        .child(os())
        .child(Element::new("on_poweroff").text("destroy"))
        .child(Element::new("on_reboot").text("destroy"))
        .child(Element::new("on_crash").text("destroy"))
        .child(Element::new("devices").child(drive).children(cards.iter().map(mute)).child(serial(log)))
}

/// A machine's card for a probe, which has no address of its own: without the firmware that would ask for one to boot from.
fn mute(card: &Element) -> Element {
    let mut card = card.clone().child(Element::new("rom").attr("enabled", "no"));
    card.children.retain(|child| child.name != "mac");
    card
}

/// The best type that boots: `kvm` where the host offers it and it does, else emulation.
pub fn best(call: &Call<'_>, pool: &StoragePool, cards: &[Element], limit: Duration) -> Result<DomainType, Fault> {
    clear_leftovers(call.connect, pool)?;
    let capabilities = Element::parse(&call.connect.get_capabilities()?)?;
    let mut reasons = Vec::new();
    for kind in [DomainType::Kvm, DomainType::Qemu] {
        if !offers(&capabilities, kind) {
            reasons.push(format!("{} is not offered", kind.word()));
            continue;
        }
        // Emulation comes last, so it may be given the patience of a loaded machine.
        let limit = if kind == DomainType::Qemu { limit * 2 } else { limit };
        match boots(call.connect, pool, kind, cards, limit)? {
            Ok(()) => return Ok(kind),
            Err(reason) => {
                tracing::warn!(kind = kind.word(), reason, "a probe guest did not boot");
                reasons.push(format!("{}: {reason}", kind.word()));
            }
        }
    }
    Err(Fault::Permanent(format!("no probe guest has booted ({})", reasons.join("; "))))
}

/// Whether the host says that it can run x86-64 guests of this type.
fn offers(capabilities: &Element, kind: DomainType) -> bool {
    let arches = capabilities.all("guest").flat_map(|guest| guest.all("arch"));
    let mut ours = arches.filter(|arch| arch.get("name") == Some("x86_64"));
    ours.any(|arch| arch.all("domain").any(|domain| domain.get("type") == Some(kind.word())))
}

/// Boots one probe. The inner error is the reason why it did not; the outer one means that nothing was learnt.
fn boots(
    connect: &Connect,
    pool: &StoragePool,
    kind: DomainType,
    cards: &[Element],
    limit: Duration,
) -> Result<Result<(), String>, Fault> {
    let id = Uuid::now_v7();
    let name = format!("{PREFIX}{id}");
    let outcome = attempt(connect, pool, limit, &name, |image, log| domain(&name, id, kind, cards, image, log));
    // In all cases; and should this fail too, the next probe finds the leftovers.
    let cleared = clear(connect, pool, &name);
    let booted = outcome?;
    cleared?;
    Ok(booted)
}

fn attempt(
    connect: &Connect,
    pool: &StoragePool,
    limit: Duration,
    name: &str,
    document: impl Fn(&str, &str) -> Element,
) -> Result<Result<(), String>, Fault> {
    let bytes = boot_disk();
    let image = storage::create(pool, &NewVolume::raw(format!("{name}.img"), bytes.len() as u64))?;
    storage::upload(connect, &image, bytes.as_slice(), bytes.len() as u64)?;
    let log = storage::create(pool, &NewVolume::raw(format!("{name}.log"), 0))?;
    let xml = document(&image.get_path()?, &log.get_path()?).to_xml()?;
    let begun = Instant::now();
    // Transient, and destroyed by libvirt itself when this connection goes.
    let mut collisions = 0;
    let domain = loop {
        match Domain::create_xml(connect, &xml, sys::VIR_DOMAIN_START_AUTODESTROY) {
            Ok(domain) => break domain,
            Err(e) if super::fault::is_loss(&e) => return Err(e.into()),
            // Rules of nftables' bridges are rewritten as a whole: who else does so at the same instant spoils it for both.
            Err(e) if collisions < 3 && filter::collided(e.message()) => collisions += 1,
            Err(e) => return Ok(Err(format!("it does not start: {}", e.message()))),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    while begun.elapsed() < limit {
        let said = storage::tail(connect, pool, &format!("{name}.log"), 64 << 10)?;
        if said.windows(MESSAGE.len()).any(|w| w == MESSAGE) {
            tracing::info!(name, after = ?begun.elapsed(), "a probe guest booted");
            return Ok(Ok(()));
        }
        if !domain.is_active().unwrap_or(false) {
            return Ok(Err("it went off without a word".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Err(format!("no sign of life within {limit:?}")))
}

fn clear(connect: &Connect, pool: &StoragePool, name: &str) -> Result<(), Fault> {
    match Domain::lookup_by_name(connect, name) {
        Ok(domain) => match domain.destroy() {
            Err(e) if e.code() != ErrorNumber::NoDomain && domain.is_active().unwrap_or(false) => return Err(e.into()),
            _ => {}
        },
        Err(e) if e.code() == ErrorNumber::NoDomain => {}
        Err(e) => return Err(e.into()),
    }
    for suffix in [".img", ".log"] {
        storage::delete(pool, &format!("{name}{suffix}"))?;
    }
    Ok(())
}

/// What killed probes have left. A younger one may be another broker's that is just running.
fn clear_leftovers(connect: &Connect, pool: &StoragePool) -> Result<(), Fault> {
    for domain in connect.list_all_domains(0)? {
        let Ok(name) = domain.get_name() else { continue };
        if is_leftover(&name, wall_clock()) && domain.get_xml_desc(0).is_ok_and(|xml| has_mark(&xml)) {
            tracing::info!(name, "an old probe is removed");
            domain.destroy()?;
        }
    }
    for volume in pool.list_all_volumes(0)? {
        let Ok(name) = volume.get_name() else { continue };
        let stem = name.strip_suffix(".img").or_else(|| name.strip_suffix(".log"));
        if stem.is_some_and(|stem| is_leftover(stem, wall_clock())) {
            volume.delete(0)?;
        }
    }
    Ok(())
}

/// Whether a listed domain is a probe that has its time yet; an older one is as odd as any stranger.
pub fn is_running_probe(name: &str, domain: &Element) -> bool {
    let probe = name.strip_prefix(PREFIX).is_some_and(|id| Uuid::parse_str(id).is_ok());
    probe && is_marked(domain) && !is_leftover(name, wall_clock())
}

fn has_mark(xml: &str) -> bool {
    Element::parse(xml).is_ok_and(|domain| is_marked(&domain))
}

fn is_marked(domain: &Element) -> bool {
    let metadata = domain.find(&["metadata"]);
    metadata.is_some_and(|m| m.all("probe").any(|e| e.namespace.as_deref() == Some(MARK)))
}

/// Whether the name is a probe's whose time is over, by the time that its UUID was made.
fn is_leftover(name: &str, now: SystemTime) -> bool {
    let Some(id) = name.strip_prefix(PREFIX).and_then(|id| Uuid::parse_str(id).ok()) else { return false };
    let Some(made) = id.get_timestamp() else { return false };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // From either side: after a clock was set back, an old name lies in the future.
    now.abs_diff(made.to_unix().0) > LEFTOVER.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_finds_its_message() {
        let disk = boot_disk();
        let at = usize::from(u16::from_le_bytes([PROGRAM[7], PROGRAM[8]]) - 0x7c00);
        assert_eq!(&disk[at..at + MESSAGE.len()], MESSAGE);
        assert_eq!((disk[at + MESSAGE.len() + 2], &disk[510..512]), (0, &[0x55, 0xaa][..]));
        // Each short jump, by where it stands and where it must land.
        for (at, to) in [(0x0c_usize, 0x20), (0x16, 0x13), (0x1e, 0x09), (0x21, 0x20)] {
            assert_eq!((at + 2).wrapping_add_signed(i8::from_le_bytes([PROGRAM[at + 1]]).into()), to);
        }
    }

    #[test]
    fn only_old_probes_are_leftovers() {
        let id = Uuid::now_v7();
        let (name, now) = (format!("{PREFIX}{id}"), SystemTime::now());
        assert!(!is_leftover(&name, now));
        assert!(is_leftover(&name, now + LEFTOVER * 2));
        assert!(is_leftover(&name, now - LEFTOVER * 2));
        for other in ["jiyue-probe-", "jiyue-probe-x", "web", &id.to_string()] {
            assert!(!is_leftover(other, now + LEFTOVER * 2), "{other}");
        }
    }

    #[test]
    fn an_offer_is_for_our_architecture() {
        let read = |xml: &str| Element::parse(xml).unwrap();
        let host = read(
            "<c><guest><arch name='i686'><domain type='kvm'/></arch></guest><guest><arch name='x86_64'><domain type='qemu'/></arch></guest></c>",
        );
        assert!(!offers(&host, DomainType::Kvm));
        assert!(offers(&host, DomainType::Qemu));
    }
}
