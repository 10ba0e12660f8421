//! A real guest on a hand-made domain, with a hand-made seed: what the images promise, without the broker between.

use super::{libvirt, site::Site};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// A domain with the devices that the broker gives its machines, on an overlay of an image.
pub struct Guest {
    pub name: String,
    pub address: String,
    folder: PathBuf,
}

/// The three files of a cloud-init seed.
pub struct Seed<'a> {
    pub meta_data: &'a str,
    pub user_data: &'a str,
    pub network_config: &'a str,
}

/// A network for the site, with DHCP.
pub fn network(site: &Site) {
    let (name, bridge, gateway) = (&site.name, &site.bridge, site.gateway());
    let range = format!("<range start='{}' end='{}'/>", site.address(100), site.address(199));
    let xml = format!(
        "<network><name>{name}</name><bridge name='{bridge}' stp='off'/>\
         <ip address='{gateway}' netmask='255.255.255.0'><dhcp>{range}</dhcp></ip></network>"
    );
    let file = super::scratch("net").join("network.xml");
    std::fs::write(&file, xml).unwrap();
    Site::virsh(&["net-define", &file.to_string_lossy()]);
    Site::virsh(&["net-start", name]);
}

impl Guest {
    /// Defined, not started; its address is what the seed or the network will give it.
    pub fn new(site: &Site, image: &Path, memory_mib: u32, disk: &str, last: u8) -> Self {
        let guest = Self {
            name: format!("{}-{last}", site.name),
            address: site.address(last),
            folder: libvirt::shared().folder.join(format!("{}-{last}", site.name)),
        };
        std::fs::create_dir_all(&guest.folder).unwrap();
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]).arg(image).arg(guest.disk()).arg(disk);
        run(&mut create);
        let file = guest.folder.join("domain.xml");
        std::fs::write(&file, guest.xml(site, memory_mib, last)).unwrap();
        Site::virsh(&["define", &file.to_string_lossy()]);
        guest
    }

    fn xml(&self, site: &Site, memory_mib: u32, last: u8) -> String {
        let (name, network, mac) = (&self.name, &site.name, mac(last));
        let (disk, seed, log) = (self.disk(), self.seed_file(), self.log_file());
        let (disk, seed, log) = (disk.display(), seed.display(), log.display());
        format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory_mib}</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features>\
             <clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><devices>\
             <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>\
             <target dev='vda' bus='virtio'/></disk>\
             <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{seed}'/>\
             <target dev='vdb' bus='virtio'/><readonly/></disk>\
             <interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/>\
             </interface><serial type='file'><source path='{log}' append='on'/><target port='0'/></serial>\
             <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\
             <memballoon model='virtio'/>\
             <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>"
        )
    }

    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk.qcow2")
    }

    fn seed_file(&self) -> PathBuf {
        self.folder.join("seed.img")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// What it has said on its console so far, in all its boots.
    pub fn console(&self) -> String {
        std::fs::read(self.log_file()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Makes the seed anew, with mkfs.fat and mcopy.
    pub fn seed(&self, seed: &Seed) {
        let image = self.seed_file();
        let _ = std::fs::remove_file(&image);
        std::fs::File::create(&image).and_then(|file| file.set_len(1 << 20)).unwrap();
        run(Command::new("mkfs.fat").args(["-n", "CIDATA"]).arg(&image));
        for (name, text) in
            [("meta-data", seed.meta_data), ("user-data", seed.user_data), ("network-config", seed.network_config)]
        {
            let file = self.folder.join(name);
            std::fs::write(&file, text).unwrap();
            run(Command::new("mcopy").arg("-i").arg(&image).arg(&file).arg("::/"));
        }
    }

    pub fn virsh(&self, act: &str) -> String {
        Site::virsh(&[act, &self.name])
    }

    /// Starts it and waits until it says this once more than it has before; that line.
    pub fn start(&self, until: &str, patience: Duration) -> String {
        let said = |console: &str| console.matches(until).count();
        let before = said(&self.console());
        self.virsh("start");
        let began = Instant::now();
        loop {
            let console = self.console();
            if said(&console) > before {
                let line = console.lines().rev().find(|line| line.contains(until)).expect("it was said");
                eprintln!("{} after {:.1?}: {line}", self.name, began.elapsed());
                return line.to_owned();
            }
            assert!(began.elapsed() < patience, "{} did not say '{until}':\n{console}", self.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses the power button and waits.
    pub fn shut_down(&self) {
        Site::virsh(&["shutdown", &self.name, "--mode", "acpi"]);
        let began = Instant::now();
        while Site::virsh(&["domstate", &self.name]) != "shut off" {
            assert!(began.elapsed() < Duration::from_secs(20), "{} does not hear the button", self.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A command of the guest's agent; nothing when the agent refuses.
    pub fn agent(&self, execute: &str, arguments: &Value) -> Option<Value> {
        agent(&self.name, execute, arguments)
    }

    /// Bytes of the file system mounted there, as the agent says.
    pub fn capacity(&self, mountpoint: &str) -> u64 {
        capacity(&self.name, mountpoint)
    }

    /// Takes away domain and disk.
    pub fn remove(self) {
        let _ = libvirt::shared().virsh(&["destroy", &self.name]);
        self.virsh("undefine");
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// A command of a domain's guest agent; nothing when the agent refuses.
pub fn agent(domain: &str, execute: &str, arguments: &Value) -> Option<Value> {
    let command = json!({"execute": execute, "arguments": arguments}).to_string();
    let text = libvirt::shared().virsh(&["qemu-agent-command", domain, &command]).ok()?;
    Some(serde_json::from_str::<Value>(&text).expect("the agent speaks JSON")["return"].take())
}

/// Bytes of the file system that a domain's guest has mounted there, as its agent says.
pub fn capacity(domain: &str, mountpoint: &str) -> u64 {
    let systems = agent(domain, "guest-get-fsinfo", &json!({})).expect("the agent answers");
    let systems = systems.as_array().expect("a list");
    let found = systems.iter().find(|system| system["mountpoint"] == mountpoint);
    found.and_then(|system| system["total-bytes"].as_u64()).unwrap_or_else(|| panic!("{systems:#?}"))
}

pub fn mac(last: u8) -> String {
    format!("52:54:00:a7:00:{last:02x}")
}

/// Runs to a good end.
pub fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    out
}
