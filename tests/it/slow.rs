//! What takes minutes where guests are emulated: `make test-slow`. Every test in here is ignored otherwise.

use crate::support::{
    guest::{self, Guest, Seed},
    libvirt,
    site::Site,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    process::Command,
    time::{Duration, Instant},
};

const PASSWORD: &str = "Tr0ub4dorTr0ub4dorTr0ub4dor";

/// The full Debian takes from our kind of seed what the small guest does, and the part for databases makes it a
/// PostgreSQL server, with packages from its own apt sources.
#[test]
#[ignore = "slow: make test-slow"]
fn a_full_debian_answers_by_ssh_and_then_sql() {
    let site = Site::new();
    guest::network(&site, true);
    let guest = Guest::new(&site, libvirt::debian(), 1024, "8G", 11);
    let folder = crate::support::scratch("ssh");
    let key = folder.join("key");
    guest::run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();

    let conf = STANDARD.encode(format!("database=app\nrole=app_owner\npassword={PASSWORD}\n"));
    let mut user_data = json!({
        "hostname": "db-2", "fqdn": "db-2.zone.test", "manage_etc_hosts": true, "ssh_pwauth": false,
        "disable_root": false, "ssh_authorized_keys": [public.trim()],
        "write_files": [{"path": "/etc/jiyue/database.conf", "permissions": "0600", "encoding": "b64", "content": conf}],
    });
    // The part's lists are appended to the machine's own.
    let part: Value = serde_saphyr::from_str(include_str!("../../profiles/databases/postgresql.yaml")).unwrap();
    for (name, items) in part.as_object().expect("a mapping") {
        let list = user_data.as_object_mut().unwrap().entry(name).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().extend(items.as_array().expect("lists only").iter().cloned());
    }
    let network_config = json!({"version": 2, "ethernets": {"primary": {
        "match": {"macaddress": guest::mac(11)}, "dhcp4": false, "addresses": [format!("{}/24", guest.address)],
        "routes": [{"to": "default", "via": site.gateway()}], "nameservers": {"addresses": [site.gateway()]},
    }}});
    let yaml = |value: &Value| {
        let quoted = serde_saphyr::ser_options! { quote_all: true, prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(value, quoted).unwrap()
    };
    guest.seed(&Seed {
        meta_data: "instance-id: 'i-2'\nlocal-hostname: 'db-2'\n",
        user_data: &format!("#cloud-config\n{}", yaml(&user_data)),
        network_config: &yaml(&network_config),
    });
    let began = Instant::now();
    guest.virsh("start");

    let ssh_once = |command: &str| {
        let out = Command::new("ssh")
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5"])
            .args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-i"])
            .arg(&key)
            .args([&format!("root@{}", guest.address), command])
            .output()
            .expect("ssh is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err((out.status.code(), text(&out.stderr))) }
    };
    // cloud-init starts the server anew once it has been up, and then there is none for a moment.
    let ssh = |command: &str| {
        for _ in 0..30 {
            match ssh_once(command) {
                Err((Some(255), _)) => std::thread::sleep(Duration::from_secs(1)),
                other => return other.map_err(|(_, text)| text),
            }
        }
        Err("no connection".to_owned())
    };
    let within = |patience: u64, what: &str, ready: &dyn Fn() -> bool| {
        while !ready() {
            assert!(began.elapsed() < Duration::from_secs(patience), "{what} takes too long:\n{}", guest.console());
            std::thread::sleep(Duration::from_secs(1));
        }
        eprintln!("{what} after {:.0?}", began.elapsed());
    };
    within(600, "SSH", &|| ssh_once("true").is_ok());
    assert_eq!(ssh("hostname -f").unwrap(), "db-2.zone.test");
    assert!(ssh("cat /etc/debian_version").unwrap().starts_with(char::is_numeric));
    let root: u64 = ssh("df --output=size -B1 / | tail -n 1").unwrap().trim().parse().unwrap();
    assert!(root > 7 << 30, "the root file system has grown: {root}");
    assert_eq!(guest.agent("guest-ping", &json!({})), Some(json!({})));

    within(1500, "PostgreSQL", &|| guest.console().contains("POSTGRES"));
    let console = guest.console();
    assert!(console.contains("POSTGRES READY database=app role=app_owner port=5432"), "{console}");
    let psql = |role: &str, password: &str, sql: &str| {
        Command::new("psql")
            .args(["-XAtq", "-h", &guest.address, "-U", role, "-d", "app", "-c", sql])
            .env("PGPASSWORD", password)
            .output()
            .expect("psql is installed")
    };
    let made = psql("app_owner", PASSWORD, "create table t (n int); insert into t values (42); select n from t");
    assert_eq!(String::from_utf8_lossy(&made.stdout).trim(), "42", "{}", String::from_utf8_lossy(&made.stderr));
    assert!(!psql("app_owner", "Tr0ub4dor", "select 1").status.success());
    assert!(!psql("postgres", PASSWORD, "select 1").status.success());
    assert!(ssh("test ! -e /etc/jiyue/database.conf").is_ok(), "the file with the password is gone");
    assert!(!console.contains(PASSWORD) && !console.contains(&conf));
    assert!(ssh(&format!("! grep -rq {PASSWORD} /var/log /etc")).is_ok(), "the password is in no log");
    let status = ssh("cloud-init status --wait --long || true").unwrap();
    assert!(status.contains("status: done"), "{status}");
    guest.remove();
}
