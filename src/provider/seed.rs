//! The cloud-init seed of a machine: a small FAT volume labelled `CIDATA`, made in memory, the same bytes for the same
//! intent. Everything in it is serialised as data (`hazards` S2); there is no raw user-data.

use super::{DatabaseIntent, DatabaseStart, Intent, Link};
use crate::catalogue::database as parts;
use base64::{Engine, engine::general_purpose::STANDARD};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use serde::Serialize;
use serde_json::{Map, Value};
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
    #[error("there is no part {0:?} of cloud-config")]
    NoPart(String),
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
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    write_files: Vec<WriteFile>,
    /// The part that installs the database, if it is not in the image: lists, of which one may be `write_files` too.
    #[serde(skip)]
    part: parts::Part,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq, Debug))]
struct WriteFile {
    path: String,
    permissions: String,
    encoding: String,
    content: String,
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

/// What cloud-init reads, as text.
pub struct Documents {
    pub meta_data: String,
    pub user_data: String,
    pub network_config: String,
}

pub fn documents(intent: &Intent) -> Result<Documents, SeedError> {
    Ok(Documents {
        meta_data: yaml(&meta_data(intent))?,
        user_data: format!("#cloud-config\n{}", user_data(intent)?.to_yaml()?),
        network_config: yaml(&network_config(intent))?,
    })
}

/// The volume's bytes.
pub fn volume(intent: &Intent) -> Result<Vec<u8>, SeedError> {
    let Documents { meta_data, user_data, network_config } = documents(intent)?;
    let files = [("meta-data", meta_data), ("user-data", user_data), ("network-config", network_config)];
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

fn user_data(intent: &Intent) -> Result<UserData, SeedError> {
    let part = match intent.database.as_ref().map(|database| &database.start) {
        Some(DatabaseStart::CloudInit { part }) => parts::part(part).ok_or_else(|| SeedError::NoPart(part.clone()))?,
        Some(DatabaseStart::Baked) | None => parts::Part::new(),
    };
    Ok(UserData {
        hostname: intent.name.clone(),
        fqdn: intent.fqdn.clone(),
        manage_etc_hosts: true,
        ssh_pwauth: false,
        disable_root: false,
        ssh_authorized_keys: intent.ssh_keys.clone(),
        write_files: intent.database.as_ref().and_then(database_conf).into_iter().collect(),
        part,
    })
}

/// What the guest makes its database by, once; without a password there is nothing left to make.
fn database_conf(database: &DatabaseIntent) -> Option<WriteFile> {
    let password = database.password.as_ref()?.reveal();
    let conf = format!("database={}\nrole={}\npassword={password}\n", database.name, database.role);
    Some(WriteFile {
        path: "/etc/jiyue/database.conf".to_owned(),
        permissions: "0600".to_owned(),
        encoding: "b64".to_owned(),
        content: STANDARD.encode(conf),
    })
}

impl UserData {
    fn to_yaml(&self) -> Result<String, SeedError> {
        if self.part.is_empty() {
            return yaml(self);
        }
        // The machine's own values, and the part's lists behind them: as values, never as text.
        let mut all = match serde_json::to_value(self) {
            Ok(Value::Object(all)) => all,
            _ => Map::new(),
        };
        for (name, items) in &self.part {
            match all.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(list) => list.extend(items.iter().cloned()),
                // A part gives lists only, and none of the machine's other values is meant to be one.
                other => *other = Value::Array(items.clone()),
            }
        }
        yaml(&all)
    }
}

fn network_config(intent: &Intent) -> NetworkConfig {
    let network = &intent.network;
    let r#match = Match { macaddress: network.mac.clone() };
    let primary = match network.link {
        Link::Network | Link::Pod => {
            Ethernet { r#match, dhcp4: true, addresses: Vec::new(), routes: Vec::new(), nameservers: None }
        }
        // Nobody serves addresses on a network that hosts share.
        Link::Bridge { prefix } | Link::Attached { prefix } => Ethernet {
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
    use crate::provider::tests::{self, database, intent};
    use proptest::prelude::*;
    use std::io::Read;

    fn user_text(intent: &Intent) -> String {
        user_data(intent).unwrap().to_yaml().unwrap()
    }

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
    fn a_baked_database_is_made_by_a_file_that_is_gone_with_its_password() {
        let intent = database(DatabaseStart::Baked);
        let user: UserData = serde_saphyr::from_str(&user_text(&intent)).unwrap();
        let [file] = &user.write_files[..] else { panic!("{user:?}") };
        assert_eq!((file.path.as_str(), file.permissions.as_str()), ("/etc/jiyue/database.conf", "0600"));
        let conf = String::from_utf8(STANDARD.decode(&file.content).unwrap()).unwrap();
        assert_eq!(conf, "database=gw_web_1\nrole=gw_web_1\npassword=Example2Example3Example4\n");
        assert_eq!(user_text(&intent.with_password(None)), user_text(&tests::intent()));
    }

    #[test]
    fn a_database_to_be_installed_has_its_part_s_lists_behind_the_machine_s_own() {
        let intent = database(DatabaseStart::CloudInit { part: "postgresql".to_owned() });
        let all: Value = serde_saphyr::from_str(&user_text(&intent)).unwrap();
        let part = parts::part("postgresql").unwrap();
        assert_eq!(all["write_files"][0]["path"], "/etc/jiyue/database.conf");
        assert_eq!(all["write_files"][1], part["write_files"][0]);
        assert_eq!(
            (&all["packages"], &all["runcmd"]),
            (&part["packages"].clone().into(), &part["runcmd"].clone().into())
        );
        assert_eq!(all["ssh_authorized_keys"][0], tests::intent().ssh_keys[0].as_str());
        assert_eq!((&all["hostname"], &all["ssh_pwauth"]), (&"gw-web-1".into(), &false.into()));
        // Without the password the rest stays, and nothing in it is secret.
        let cleared = user_text(&intent.with_password(None));
        assert!(cleared.contains("jiyue-database") && !cleared.contains("b64"), "{cleared}");
        assert!(volume(&intent).unwrap().len() == SIZE);
        let unknown = database(DatabaseStart::CloudInit { part: "nothing".to_owned() });
        assert!(matches!(volume(&unknown), Err(SeedError::NoPart(_))));
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
            let user: UserData = serde_saphyr::from_str(&user_text(&hostile)).unwrap();
            prop_assert_eq!(user, user_data(&hostile).unwrap());
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
            prop_assert_eq!(read(seed, "user-data"), format!("#cloud-config\n{}", user_text(&intent)));
        }
    }
}
