//! The cloud-init seed of a machine: a small FAT volume labelled `CIDATA`, made in memory, the same bytes for the same
//! intent. Everything in it is serialised as data (`hazards` S2); there is no raw user-data.

use super::{Intent, Link};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use serde::Serialize;
use std::{
    io::{Cursor, Write},
    net::Ipv4Addr,
};

/// Bytes of the volume.
pub const SIZE: usize = 1 << 20;

/// The seed cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("the seed's files do not fit")]
    Volume(#[source] std::io::Error),
    #[error("the seed cannot be written as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
#[serde(rename_all = "kebab-case")]
struct MetaData {
    instance_id: String,
    local_hostname: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct UserData {
    hostname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fqdn: Option<String>,
    manage_etc_hosts: bool,
    ssh_pwauth: bool,
    disable_root: bool,
    ssh_authorized_keys: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct NetworkConfig {
    version: u8,
    ethernets: Ethernets,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct Ethernets {
    primary: Ethernet,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct Ethernet {
    r#match: Match,
    dhcp4: bool,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    routes: Vec<Route>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    nameservers: Option<Nameservers>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct Route {
    to: String,
    via: Ipv4Addr,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct Nameservers {
    addresses: Vec<Ipv4Addr>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct Match {
    macaddress: String,
}

/// The volume's bytes.
pub fn volume(intent: &Intent) -> Result<Vec<u8>, SeedError> {
    let files = [
        ("meta-data", yaml(&meta_data(intent))?),
        ("user-data", format!("#cloud-config\n{}", yaml(&user_data(intent))?)),
        ("network-config", yaml(&network_config(intent))?),
    ];
    let mut disk = Cursor::new(vec![0; SIZE]);
    let write = |disk: &mut Cursor<Vec<u8>>| -> std::io::Result<()> {
        fatfs::format_volume(&mut *disk, FormatVolumeOptions::new().volume_label(*b"CIDATA     "))?;
        disk.set_position(0);
        // Without the `chrono` feature every time stamp is FAT's first instant, which keeps the bytes the same.
        let volume = FileSystem::new(&mut *disk, FsOptions::new().update_accessed_date(false))?;
        for (name, text) in &files {
            let mut file = volume.root_dir().create_file(name)?;
            file.write_all(text.as_bytes())?;
            file.flush()?;
        }
        volume.unmount()
    };
    write(&mut disk).map_err(SeedError::Volume)?;
    Ok(disk.into_inner())
}

/// Every string is quoted, so that no reader, of whichever version of YAML, takes one for a number, a truth value or a
/// date; and none is folded over lines.
fn yaml(value: &impl Serialize) -> Result<String, SeedError> {
    let options = serde_saphyr::ser_options! { quote_all: true, prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options).map_err(SeedError::Yaml)
}

fn meta_data(intent: &Intent) -> MetaData {
    MetaData { instance_id: intent.machine.text(), local_hostname: intent.name.clone() }
}

fn user_data(intent: &Intent) -> UserData {
    UserData {
        hostname: intent.name.clone(),
        fqdn: intent.fqdn.clone(),
        manage_etc_hosts: true,
        ssh_pwauth: false,
        disable_root: false,
        ssh_authorized_keys: intent.ssh_keys.clone(),
    }
}

fn network_config(intent: &Intent) -> NetworkConfig {
    let network = &intent.network;
    let r#match = Match { macaddress: network.mac.clone() };
    let primary = match network.link {
        Link::Network => {
            Ethernet { r#match, dhcp4: true, addresses: Vec::new(), routes: Vec::new(), nameservers: None }
        }
        // Nobody serves addresses on a bridge that hosts share.
        Link::Bridge { prefix } => Ethernet {
            r#match,
            dhcp4: false,
            addresses: vec![format!("{}/{prefix}", network.address)],
            routes: vec![Route { to: "0.0.0.0/0".to_owned(), via: network.gateway }],
            nameservers: Some(Nameservers { addresses: vec![network.dns] }),
        },
    };
    NetworkConfig { version: 2, ethernets: Ethernets { primary } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::intent;
    use proptest::prelude::*;
    use std::io::Read;

    fn read(volume: Vec<u8>, name: &str) -> String {
        let volume = FileSystem::new(Cursor::new(volume), FsOptions::new()).unwrap();
        assert_eq!(volume.read_volume_label_from_root_dir().unwrap().as_deref(), Some("CIDATA"));
        let mut text = String::new();
        volume.root_dir().open_file(name).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_seed_is_as_agreed() {
        let seed = volume(&intent()).unwrap();
        assert_eq!(seed.len(), SIZE);
        let files =
            ["meta-data", "user-data", "network-config"].map(|name| format!("=> {name}\n{}", read(seed.clone(), name)));
        insta::assert_snapshot!(files.join("\n"));
    }

    #[test]
    fn on_a_shared_bridge_the_address_stands_in_the_seed() {
        let mut intent = intent();
        intent.network.link = Link::Bridge { prefix: 24 };
        insta::assert_snapshot!(yaml(&network_config(&intent)).unwrap(), @"
        version: 2
        ethernets:
          primary:
            match:
              macaddress: '52:54:00:00:00:05'
            dhcp4: false
            addresses:
            - '10.8.0.5/24'
            routes:
            - to: '0.0.0.0/0'
              via: '10.8.0.1'
            nameservers:
              addresses:
              - '10.8.0.1'
        ");
    }

    #[test]
    fn the_same_intent_gives_the_same_bytes() {
        let first = volume(&intent()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(first == volume(&intent()).unwrap());
    }

    #[test]
    fn too_much_is_an_error() {
        let ssh_keys = vec!["ssh-ed25519 AAAA".repeat(10_000); 10];
        assert!(matches!(volume(&Intent { ssh_keys, ..intent() }), Err(SeedError::Volume(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn hostile_strings_come_back_as_they_were(
            name in r#"[-:#'"\\\[\]{}|>&*!%@`,?~= \ta-z0-9]{0,30}|\PC{0,30}|yes|NO|null|1e3|0x1f|12:30:00|2020-01-01"#,
            keys in proptest::collection::vec(r#"ssh-ed25519 (\PC{0,60}|[\n\r\t'"\\:#&*\- a-z]{0,60})|.{0,90}"#, 0..4),
        ) {
            let mut hostile = Intent { ssh_keys: keys, fqdn: Some(name.clone()), name: name.clone(), ..intent() };
            hostile.network.mac = name;
            let meta: MetaData = serde_saphyr::from_str(&yaml(&meta_data(&hostile)).unwrap()).unwrap();
            prop_assert_eq!(meta, meta_data(&hostile));
            let user: UserData = serde_saphyr::from_str(&yaml(&user_data(&hostile)).unwrap()).unwrap();
            prop_assert_eq!(user, user_data(&hostile));
            let network: NetworkConfig = serde_saphyr::from_str(&yaml(&network_config(&hostile)).unwrap()).unwrap();
            prop_assert_eq!(network, network_config(&hostile));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn the_volume_holds_the_files_as_they_were(keys in proptest::collection::vec(r"ssh-rsa \PC{0,900}", 0..9)) {
            let intent = Intent { ssh_keys: keys, ..intent() };
            let seed = volume(&intent).unwrap();
            prop_assert_eq!(read(seed.clone(), "meta-data"), yaml(&meta_data(&intent)).unwrap());
            prop_assert_eq!(read(seed, "user-data"), format!("#cloud-config\n{}", yaml(&user_data(&intent)).unwrap()));
        }
    }
}
