//! Domains: defined, started, watched, stopped and removed, and never one that is not ours.

use super::{
    domain_xml::{self, Places},
    fault::Fault,
    filter, probe,
    storage::{self, path_of},
    volume_xml::{NewVolume, console_name, disk_name, image_name, seed_name},
    xml::Element,
};
use crate::provider::{DomainType, Intent, Mark, Observed, Power, Seen};
use ipnet::Ipv4Net;
use virt::{connect::Connect, domain::Domain, error::ErrorNumber, storage_pool::StoragePool, sys};

/// What stands where the machine's domain should be.
pub enum Found {
    /// Nothing with its UUID or name.
    Nothing,
    /// The machine, made by this very operation.
    Ours(Domain),
    /// Its UUID, without our mark or with another operation's.
    ForeignId,
    /// Its name, with another UUID.
    ForeignName,
}

/// Looks by UUID, which is the identity, and then by name.
pub fn find(connect: &Connect, intent: &Intent) -> Result<Found, Fault> {
    match Domain::lookup_by_uuid_string(connect, &intent.machine.text()) {
        Ok(domain) => {
            let xml = match domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE) {
                Ok(xml) => xml,
                Err(e) if gone(&e) => return Ok(Found::Nothing),
                Err(e) => return Err(e.into()),
            };
            let ours = Mark::read(&Element::parse(&xml)?) == Some(Mark::of(intent));
            return Ok(if ours { Found::Ours(domain) } else { Found::ForeignId });
        }
        Err(e) if gone(&e) => {}
        Err(e) => return Err(e.into()),
    }
    match Domain::lookup_by_name(connect, &intent.name) {
        Ok(_) => Ok(Found::ForeignName),
        Err(e) if gone(&e) => Ok(Found::Nothing),
        Err(e) => Err(e.into()),
    }
}

fn gone(error: &virt::error::Error) -> bool {
    error.code() == ErrorNumber::NoDomain
}

fn foreign(intent: &Intent) -> Fault {
    Fault::NotOurs(format!("domain {} ({})", intent.name, intent.machine))
}

/// Whether a domain with the machine's UUID is defined, whoever made it: then its volumes are in use.
pub fn in_use(connect: &Connect, intent: &Intent) -> Result<bool, Fault> {
    Ok(matches!(find(connect, intent)?, Found::Ours(_) | Found::ForeignId))
}

/// Refuses while a volume of the machine may be in use. A foreign domain with its UUID may well be ours without its mark,
/// so its disk is not ours to delete either.
pub fn must_be_gone(connect: &Connect, intent: &Intent) -> Result<(), Fault> {
    match find(connect, intent)? {
        Found::Ours(_) => Err(Fault::Transient("its domain is still defined".to_owned())),
        Found::ForeignId => Err(foreign(intent)),
        Found::Nothing | Found::ForeignName => Ok(()),
    }
}

/// What a host adds to a machine's definition.
#[derive(Clone, Debug)]
pub struct Setting {
    pub kind: DomainType,
    /// Ranges of the host that are not for this zone; see [`filter`].
    pub away: Vec<Ipv4Net>,
}

/// Makes sure that the domain is defined. Defining is atomic in libvirt, so "there, with our mark" is whole.
pub fn ensure_defined(connect: &Connect, pool: &StoragePool, intent: &Intent, setting: &Setting) -> Result<(), Fault> {
    match find(connect, intent)? {
        Found::Ours(_) => return Ok(()),
        Found::ForeignId | Found::ForeignName => return Err(foreign(intent)),
        Found::Nothing => {}
    }
    ensure_console(pool, intent)?;
    define(connect, pool, intent, setting)
}

fn define(connect: &Connect, pool: &StoragePool, intent: &Intent, setting: &Setting) -> Result<(), Fault> {
    filter::ensure(connect, &intent.network, &setting.away)?;
    Domain::define_xml(connect, &domain_xml::domain(intent, &places(pool, intent)?, setting.kind)?)?;
    Ok(())
}

/// The console's file is made as a volume first: it is then in libvirt's list from the start, and read like any other.
pub fn ensure_console(pool: &StoragePool, intent: &Intent) -> Result<(), Fault> {
    let console = console_name(intent);
    if storage::volume(pool, &console)?.is_none() {
        storage::create(pool, &NewVolume::raw(console, 0))?;
    }
    Ok(())
}

/// Where the machine's volumes lie, all of which must be there by now.
pub fn places(pool: &StoragePool, intent: &Intent) -> Result<Places, Fault> {
    Ok(Places {
        disk: path_of(pool, &disk_name(intent))?,
        image: match &intent.imported {
            Some(_) => String::new(),
            None => path_of(pool, &image_name(&intent.image))?,
        },
        seed: path_of(pool, &seed_name(intent))?,
        console: path_of(pool, &console_name(intent))?,
    })
}

/// Removes the definition and the console log.
pub fn remove_definition(connect: &Connect, pool: &StoragePool, intent: &Intent) -> Result<(), Fault> {
    match find(connect, intent)? {
        Found::Ours(domain) => {
            // Undefining a running domain would only make it transient, and then it would be nobody's.
            power_off(&domain)?;
            undefine(&domain)?;
        }
        Found::ForeignId => return Err(foreign(intent)),
        // Another's domain that merely has the name is not in the way of "ours is gone".
        Found::Nothing | Found::ForeignName => {}
    }
    // All that begin so: where virtlogd keeps the log it also keeps `.0`, `.1` and so on.
    storage::delete_all(pool, &console_name(intent))
}

/// Has the host forget the domain and all that it keeps of it besides volumes.
pub fn undefine(domain: &Domain) -> Result<(), Fault> {
    let flags = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | sys::VIR_DOMAIN_UNDEFINE_NVRAM;
    match domain.undefine_flags(flags) {
        Err(e) if !gone(&e) => Err(e.into()),
        _ => Ok(()),
    }
}

/// Makes sure that the domain runs.
pub fn ensure_running(connect: &Connect, pool: &StoragePool, intent: &Intent, setting: &Setting) -> Result<(), Fault> {
    match find(connect, intent)? {
        Found::Ours(domain) => {
            match domain.get_state()?.0 {
                sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED => {}
                sys::VIR_DOMAIN_PAUSED => drop(domain.resume()?),
                sys::VIR_DOMAIN_PMSUSPENDED => drop(domain.pm_wakeup(0)?),
                sys::VIR_DOMAIN_SHUTDOWN => return Err(Fault::Transient("it is just shutting down".to_owned())),
                _ => {
                    if domain_xml::is_filtered(&Element::parse(&domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?)?) {
                        // Somebody may have removed or altered a filter that nobody was using.
                        filter::ensure(connect, &intent.network, &setting.away)?;
                    } else {
                        define(connect, pool, intent, setting)?;
                    }
                    domain.create()?;
                }
            }
            Ok(())
        }
        Found::ForeignId | Found::ForeignName => Err(foreign(intent)),
        Found::Nothing => Err(Fault::Permanent("the domain is not defined".to_owned())),
    }
}

/// Cuts the power; off already, or not there at all, is success.
pub fn ensure_off(connect: &Connect, intent: &Intent) -> Result<(), Fault> {
    match find(connect, intent)? {
        Found::Ours(domain) => power_off(&domain),
        Found::ForeignId => Err(foreign(intent)),
        Found::Nothing | Found::ForeignName => Ok(()),
    }
}

/// Presses the power button. True when there is nothing left to wait for.
pub fn press_button(connect: &Connect, intent: &Intent) -> Result<bool, Fault> {
    match find(connect, intent)? {
        Found::Ours(domain) => {
            if !domain.is_active()? {
                return Ok(true);
            }
            // ACPI and not the agent: an agent that hangs would hold the call.
            match domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) {
                Err(e) if e.code() != ErrorNumber::OperationInvalid => Err(e.into()),
                _ => Ok(false),
            }
        }
        Found::ForeignId => Err(foreign(intent)),
        Found::Nothing | Found::ForeignName => Ok(true),
    }
}

pub fn power_off(domain: &Domain) -> Result<(), Fault> {
    if !domain.is_active()? {
        return Ok(());
    }
    match domain.destroy() {
        Ok(()) => Ok(()),
        Err(e) if gone(&e) => Ok(()),
        // It went off by itself in between.
        Err(e) if e.code() == ErrorNumber::OperationInvalid && !domain.is_active()? => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// What is there.
pub fn observe(connect: &Connect, intent: &Intent) -> Result<Observed, Fault> {
    Ok(match find(connect, intent)? {
        Found::Nothing => Observed::Absent,
        Found::Ours(domain) => {
            if domain.is_active()? {
                Observed::Running
            } else {
                Observed::Off
            }
        }
        Found::ForeignId | Found::ForeignName => Observed::Foreign,
    })
}

/// Every domain of the host, ours or not.
pub fn list(connect: &Connect) -> Result<Vec<Seen>, Fault> {
    let mut seen = Vec::new();
    for domain in connect.list_all_domains(0)? {
        // The lasting definition where there is one: what runs may differ until its next start.
        let xml = match domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE) {
            Ok(xml) => xml,
            // Gone since the listing.
            Err(e) if gone(&e) => continue,
            Err(e) => return Err(e.into()),
        };
        let read = Element::parse(&xml)?;
        let Ok(id) = domain.get_uuid() else { continue };
        let name = domain.get_name()?;
        if probe::is_running_probe(&name, &read) {
            continue;
        }
        seen.push(Seen {
            id,
            name,
            mark: Mark::read(&read),
            power: power(&domain)?,
            shape: domain_xml::shape(&read),
            address: None,
        });
    }
    Ok(seen)
}

fn power(domain: &Domain) -> Result<Power, Fault> {
    let (state, reason) = match domain.get_state() {
        Ok((state, reason)) => (state, u32::try_from(reason).unwrap_or_default()),
        Err(e) if gone(&e) => return Ok(Power::Cut),
        Err(e) => return Err(e.into()),
    };
    if let Some(run) = domain.get_id() {
        return Ok(Power::On(run.into()));
    }
    Ok(match (state, reason) {
        (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN) => Power::ShutDown,
        // Unknown is what a daemon says of domains that ran before the host lost its power.
        (
            sys::VIR_DOMAIN_SHUTOFF | sys::VIR_DOMAIN_CRASHED,
            sys::VIR_DOMAIN_SHUTOFF_UNKNOWN
            | sys::VIR_DOMAIN_SHUTOFF_CRASHED
            | sys::VIR_DOMAIN_SHUTOFF_FAILED
            | sys::VIR_DOMAIN_SHUTOFF_DAEMON,
        ) => Power::Lost,
        _ => Power::Cut,
    })
}

/// Has the guest restart, by its power button's other function; a guest that does not listen is reset.
pub fn reboot(connect: &Connect, intent: &Intent) -> Result<(), Fault> {
    match find(connect, intent)? {
        Found::Ours(domain) => match domain.reboot(sys::VIR_DOMAIN_REBOOT_GUEST_AGENT) {
            Ok(()) => Ok(()),
            Err(_) if domain.is_active()? => {
                domain.reset()?;
                Ok(())
            }
            Err(e) => Err(e.into()),
        },
        Found::ForeignId | Found::ForeignName => Err(foreign(intent)),
        Found::Nothing => Err(Fault::Permanent("the domain is not defined".to_owned())),
    }
}

/// Redefines the domain as the intent says; what runs keeps what it has until its next start.
pub fn redefine(connect: &Connect, pool: &StoragePool, intent: &Intent, setting: &Setting) -> Result<(), Fault> {
    match find(connect, intent)? {
        Found::Ours(_) => {}
        Found::ForeignId | Found::ForeignName => return Err(foreign(intent)),
        Found::Nothing => return Err(Fault::Permanent("the domain is not defined".to_owned())),
    }
    define(connect, pool, intent, setting)
}

/// Grows the machine's disk to the intent's size, under the running guest or at rest; larger already is success.
pub fn grow_disk(connect: &Connect, pool: &StoragePool, intent: &Intent) -> Result<(), Fault> {
    let Found::Ours(domain) = find(connect, intent)? else { return Err(foreign(intent)) };
    let name = disk_name(intent);
    let Some(volume) = storage::volume(pool, &name)? else {
        return Err(Fault::Permanent(format!("volume {name} is missing")));
    };
    let wanted = u64::try_from(intent.disk.get()).unwrap_or_default();
    let path = volume.get_path()?;
    if domain.is_active()? {
        let has = domain.get_block_info(&path, 0)?.capacity;
        if has < wanted {
            domain.block_resize(&path, wanted, sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES)?;
        }
        return Ok(());
    }
    // What libvirt remembers of a volume may be older than a growth under the running guest.
    storage::refresh(pool)?;
    if volume.get_info()?.capacity < wanted {
        volume.resize(wanted, 0)?;
    }
    Ok(())
}
