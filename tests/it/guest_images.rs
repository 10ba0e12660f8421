//! The images that `hypervisor/` builds, on real guests without the broker: what they take from a seed, and what of it
//! outlasts reboots, power cuts and larger disks.

use crate::support::{
    guest::{self, Guest, Seed},
    libvirt::postgresql_guest,
    site::Site,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const PASSWORD: &str = "Tr0ub4dorTr0ub4dorTr0ub4dor";
const GIB: u64 = 1 << 30;

/// What a guest may take to boot beside other work, emulated.
const BOOT: Duration = Duration::from_secs(120);

#[test]
fn a_postgresql_guest_answers_sql_and_keeps_its_data_through_a_power_cut_onto_a_larger_disk() {
    let site = Site::new();
    guest::network(&site);
    let guest = Guest::new(&site, postgresql_guest(), 192, "1G", 10);
    let meta_data = "instance-id: 'i-1'\nlocal-hostname: 'db-1'\n";
    // A fixed address, in the words of our own seed.
    let network_config = format!(
        "version: 2\nethernets:\n  primary:\n    match:\n      macaddress: '{}'\n    dhcp4: false\n    addresses:\n    \
         - '{}/24'\n    routes:\n    - to: 'default'\n      via: '{}'\n    nameservers:\n      addresses:\n      - '{}'\n",
        guest::mac(10).to_uppercase(),
        guest.address,
        site.gateway(),
        site.gateway()
    );
    let conf = STANDARD.encode(format!("database=app\nrole=app_owner\npassword={PASSWORD}\n"));
    let user_data = format!(
        "#cloud-config\nhostname: 'db-1'\nwrite_files:\n- path: '/etc/jiyue/database.conf'\n  permissions: '0600'\n  \
         encoding: 'b64'\n  content: '{conf}'\n"
    );
    guest.seed(&Seed { meta_data, user_data: &user_data, network_config: &network_config });
    let line = guest.start("POSTGRES", BOOT);
    assert!(line.contains("POSTGRES READY database=app role=app_owner port=5432 boot=first"), "{line}");

    let psql = |role: &str, database: &str, password: &str, sql: &str| {
        let out = Command::new("psql")
            .args(["-XAtq", "-h", &guest.address, "-U", role, "-d", database, "-c", sql])
            .envs([("PGPASSWORD", password), ("PGCONNECT_TIMEOUT", "10")])
            .output()
            .expect("psql is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    };
    let ask = |sql: &str| psql("app_owner", "app", PASSWORD, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    ask(
        "create table kept (n int primary key, t text); insert into kept select n, md5(n::text) from generate_series(1, 5000) n",
    );
    let sum = "select md5(string_agg(t, '' order by n)) || count(*) from kept";
    let before = ask(sum);
    assert_eq!(ask("select rolsuper or rolcreaterole or rolcreatedb from pg_roles where rolname = current_user"), "f");
    assert_eq!(ask("show data_checksums"), "on");
    let refused = |role: &str, database: &str, password: &str, why: &str| {
        let error = psql(role, database, password, "select 1").expect_err("refused");
        assert!(error.contains(why), "{role}@{database}: {error}");
    };
    refused("app_owner", "app", "Tr0ub4dor", "password authentication failed");
    refused("postgres", "postgres", PASSWORD, "no pg_hba.conf entry");
    refused("app_owner", "postgres", PASSWORD, "no pg_hba.conf entry");
    let small = guest.capacity("/state");
    assert!((GIB * 7 / 10..GIB).contains(&small), "{small}");
    let read = json!({"path": "/etc/jiyue/database.conf", "mode": "r"});
    assert_eq!(guest.agent("guest-file-open", &read), None, "the file with the password is gone");

    // The power fails; the disk becomes larger; the seed has no password any more.
    guest.virsh("destroy");
    guest::run(Command::new("qemu-img").args(["resize", "-q"]).arg(guest.disk()).arg("3G"));
    guest.seed(&Seed { meta_data, user_data: "#cloud-config\nhostname: 'db-1'\n", network_config: &network_config });
    let line = guest.start("POSTGRES", BOOT);
    assert!(line.contains("POSTGRES READY database=app role=app_owner port=5432 boot=later"), "{line}");
    assert_eq!(ask(sum), before);
    let large = guest.capacity("/state");
    assert!((small + 19 * GIB / 10..3 * GIB).contains(&large), "{small} {large}");
    refused("app_owner", "app", "Tr0ub4dor", "password authentication failed");

    guest.shut_down();
    assert!(!guest.console().contains(PASSWORD) && !guest.console().contains(&conf));
    let disk = std::fs::read(guest.disk()).unwrap();
    for secret in [PASSWORD, &conf] {
        assert!(!disk.windows(secret.len()).any(|part| part == secret.as_bytes()), "the password is on the disk");
    }
    guest.remove();
}

/// The guest's reader of YAML, by what another program makes of the same values.
fn lines(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                lines(&format!("{path}/{key}"), value, found);
            }
        }
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                lines(&format!("{path}/{n}"), value, found);
            }
        }
        Value::String(text) => found.push(format!("{path}\t{}", text.replace('\n', "\u{1e}"))),
        other => found.push(format!("{path}\t{other}")),
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-zA-Z0-9+/=.: -]{0,60}",
        r#"[-:#'"\\\[\]{}|>&*!%@`,?~= a-z\n]{0,20}"#,
        Just("true".to_owned()),
        Just("52:54:00:00:00:05".to_owned()),
    ];
    let leaf = prop_oneof![text.prop_map(Value::String), any::<bool>().prop_map(Value::Bool)];
    let node = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Value::Array),
            proptest::collection::hash_map("[a-z][a-z0-9_-]{0,8}", inner, 1..4).prop_map(|m| m.into_iter().collect()),
        ]
    });
    proptest::collection::hash_map("[a-z][a-z0-9_-]{0,8}", node, 1..5).prop_map(|m| m.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn the_guest_reads_what_yaml_writers_write(document in documents()) {
        let quoted = serde_saphyr::ser_options! { quote_all: true, prefer_block_scalars: false };
        let writers = [
            format!("#cloud-config\n{}", serde_saphyr::to_string_with_options(&document, quoted).unwrap()),
            document.to_string(),
            serde_json::to_string_pretty(&document).unwrap(),
        ];
        let mut expected = Vec::new();
        lines("-", &document, &mut expected);
        for text in writers {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hypervisor/guest/rootfs/etc/yaml.awk");
            let mut awk = Command::new("awk").arg("-f").arg(script).arg("-")
                .env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("awk is installed");
            std::io::Write::write_all(&mut awk.stdin.take().unwrap(), text.as_bytes()).unwrap();
            let out = awk.wait_with_output().unwrap();
            let found = String::from_utf8(out.stdout).unwrap();
            prop_assert_eq!(found.lines().collect::<Vec<_>>(), expected.clone(), "{}", text);
        }
    }
}
