//! `jiyue doctor` on machines that are well and on machines that are not: each fault has its ✗ and its mend.

use crate::support::{
    broker::{Broker, On, Setup},
    knot::{Knot, OTHER_SECRET, SECRET, ZONE},
    plain,
};
use serde_json::{Value, json};
use std::{net::TcpListener, os::unix::fs::PermissionsExt, path::PathBuf};

struct Patient {
    setup: Setup,
    port: u16,
    knot: Knot,
}

impl Patient {
    /// A machine that is well, with a database, a key and a DNS server.
    fn new(on: On) -> Self {
        let (setup, knot) = (Setup::new(on), Knot::started());
        let this = Self { setup, port: crate::support::free_port(), knot };
        this.dns("jiyue", SECRET, &this.knot.address().to_string());
        // Opening it is what makes it.
        this.setup.token(&["--person", "ops", "--name", "ops", "--unit", "u", "--role", "operator"]);
        std::fs::create_dir_all(this.setup.folder.join("images")).unwrap();
        this
    }

    fn config(&self) -> PathBuf {
        self.setup.folder.join("doctor.toml")
    }

    fn dns(&self, name: &str, secret: &str, server: &str) {
        let key = self.knot.key_file("broker.key", secret);
        let text = format!(
            "[[dns]]\nsuffix = \"{ZONE}\"\nserver = \"{server}\"\nkey_name = \"{name}\"\nkey_file = \"{}\"\n",
            key.display()
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn examined(&self, more: &[(&str, &str)]) -> (bool, Value) {
        let mut command = self.setup.program();
        command.args(["doctor", "-o", "json", "--config"]).arg(self.config());
        // Whether the test's machine keeps the time is not the question.
        command.env("JIYUE_LISTEN", format!("127.0.0.1:{}", self.port)).env("PATH", "/nowhere");
        command.envs(more.iter().copied());
        let out = command.output().expect("jiyue runs");
        let text = String::from_utf8_lossy(&out.stdout);
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&out.stderr)));
        assert_eq!(answer["healthy"], out.status.success(), "{answer:#}");
        (out.status.success(), answer)
    }

    /// The one thing that is bad, with all that is said of it.
    #[track_caller]
    fn only_bad(&self, more: &[(&str, &str)], area: &str, words: &[&str]) {
        let (healthy, answer) = self.examined(more);
        let bad: Vec<_> = findings(&answer).iter().filter(|finding| finding["state"] == "bad").collect();
        assert!(!healthy && bad.len() == 1, "{answer:#}");
        assert_eq!(bad[0]["area"], area, "{:#}", bad[0]);
        assert!(bad[0]["mend"].as_str().is_some_and(|mend| !mend.is_empty()), "{:#}", bad[0]);
        let text = bad[0].to_string();
        for word in words {
            assert!(text.contains(word), "no {word} in {text}");
        }
    }
}

fn findings(answer: &Value) -> &Vec<Value> {
    answer["findings"].as_array().expect("findings")
}

#[tokio::test]
async fn a_broker_in_good_health_is_told_so() {
    for on in On::BOTH {
        let patient = Patient::new(on);
        let before = patient.knot.changes();
        let (healthy, answer) = patient.examined(&[]);
        assert!(healthy, "{on:?} {answer:#}");
        for area in ["settings", "database", "disk", "secret_key", "image_folder", "port", "dns"] {
            let of: Vec<_> = findings(&answer).iter().filter(|finding| finding["area"] == area).collect();
            assert!(of.iter().any(|finding| finding["state"] == "good"), "{on:?} {area} {answer:#}");
        }
        // Looking has changed nothing.
        assert_eq!(patient.knot.changes(), before);
        let rows = plain::number(&patient.setup.database_url, "select count(*) from audit").await;
        assert_eq!((patient.examined(&[]).0, rows), (true, 1), "the token's record alone");
        // With the service under way, too.
        let broker = Broker::start(patient.setup.clone()).await;
        let (healthy, answer) = patient.examined(&[("JIYUE_LISTEN", broker.url.trim_start_matches("http://"))]);
        assert!(healthy && answer.to_string().contains("上是集约"), "{answer:#}");
        // For people, a table.
        let out = patient.setup.program().args(["doctor", "--config"]).arg(patient.config()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(text.contains('✓') && text.contains('–') && text.contains("密钥文件"), "{text}");
        // Before anything is there: nothing is wrong, and nothing is made.
        let fresh = Setup::new(On::Sqlite);
        let out = fresh.program().args(["doctor"]).env("JIYUE_LISTEN", format!("127.0.0.1:{}", patient.port)).output();
        let out = out.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        assert_eq!(std::fs::read_dir(&fresh.folder).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn each_fault_has_its_cross_and_its_mend() {
    let patient = Patient::new(On::Sqlite);
    assert!(patient.examined(&[]).0);
    let at = |name: &str| patient.setup.folder.join(name);
    let url = |path: PathBuf| format!("sqlite:{}", path.display());

    patient.only_bad(&[("JIYUE_WORKER_LEASE_SECONDS", "0")], "settings", &["worker_lease_seconds", "1 至 3600"]);
    let (healthy, answer) = patient.examined(&[("JIYUE_WORKER_WIDHT", "0"), ("JIYUE_STEP_SECONDS", "x")]);
    assert!(!healthy && findings(&answer).len() == 3, "{answer:#}");

    std::fs::write(at("not-a-database"), "x".repeat(5000)).unwrap();
    patient.only_bad(&[("JIYUE_DATABASE_URL", &url(at("not-a-database")))], "database", &["不是 SQLite 数据库"]);
    let nobody = format!("postgres://u:pl4nted@127.0.0.1:{}/db", crate::support::free_port());
    patient.only_bad(&[("JIYUE_DATABASE_URL", &nobody)], "database", &["连不上", "pg_hba.conf"]);
    assert!(!patient.examined(&[("JIYUE_DATABASE_URL", &nobody)]).1.to_string().contains("pl4nted"));
    plain::run(&patient.setup.database_url, "update _sqlx_migrations set version = 9999 where version = 1")
        .await
        .unwrap();
    patient.only_bad(&[], "database", &["9999", "装上不低于"]);
    plain::run(&patient.setup.database_url, "update _sqlx_migrations set version = 1 where version = 9999")
        .await
        .unwrap();
    assert!(patient.examined(&[]).0);

    // A key that is not the one that passwords were sealed by, one that is gone, and one that others can read.
    let key = Broker::start(patient.setup.clone()).await.setup.folder.join("secret.key");
    let sealed = "insert into machine_secrets (machine_id, key_id, sealed, made_at) values ('m', 'other', 's', 1)";
    plain::run(&patient.setup.database_url, &format!("pragma foreign_keys = off; {sealed}")).await.unwrap();
    patient.only_bad(&[], "secret_key", &["不是封存", "换回原来的文件"]);
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    patient.only_bad(&[], "secret_key", &["没有了", "从备份恢复"]);
    plain::run(&patient.setup.database_url, "delete from machine_secrets").await.unwrap();
    assert!(patient.examined(&[]).0);
    std::fs::write(&key, kept).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (healthy, answer) = patient.examined(&[]);
    assert!(!healthy && answer.to_string().contains("chmod 600"), "{answer:#}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();

    // A folder that takes nothing, whoever asks: the kernel's own.
    // It is a full disk, too.
    let (_, answer) = patient.examined(&[("JIYUE_IMAGE_FOLDER", "/proc/sys")]);
    let bad: Vec<_> = findings(&answer).iter().filter(|finding| finding["state"] == "bad").collect();
    assert_eq!(
        (&bad[0]["area"], &bad[1]["area"], bad.len()),
        (&json!("disk"), &json!("image_folder"), 2),
        "{answer:#}"
    );
    let told = format!("{} {}", bad[0], bad[1]);
    assert!(["只剩 0 MiB", "至少留 1 GiB", "写不进", "chown jiyue"].iter().all(|word| told.contains(word)), "{told}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || drop(taken.accept()));
    patient.only_bad(&[("JIYUE_LISTEN", &listen)], "port", &["被别的程序占用", "ss -ltnp"]);
    answering.join().unwrap();
    patient.only_bad(&[("JIYUE_LISTEN", "192.0.2.1:8460")], "port", &["没有 192.0.2.1 这个地址"]);

    let server = patient.knot.address().to_string();
    patient.dns("jiyue", OTHER_SECRET, &server);
    patient.only_bad(&[], "dns", &["密钥不对", "key_file"]);
    patient.dns("unknown", SECRET, &server);
    patient.only_bad(&[], "dns", &["不认识这把密钥", "key_name"]);
    patient.dns("stranger", SECRET, &server);
    patient.only_bad(&[], "dns", &["不让它更新", "allow-update"]);
    patient.dns("jiyue", SECRET, &format!("127.0.0.1:{}", crate::support::free_port()));
    patient.only_bad(&[], "dns", &["连不上", "防火墙"]);
    patient.dns("jiyue", SECRET, &server);
    let text = std::fs::read_to_string(patient.config()).unwrap();
    std::fs::write(patient.config(), text.replace(ZONE, "other.example")).unwrap();
    patient.only_bad(&[], "dns", &["other.example", "主服务器"]);
    patient.dns("jiyue", SECRET, &server);
    assert!(patient.examined(&[]).0);

    // Hosts that are this machine, and no libvirt on it (the test's libvirtds have sockets of their own).
    if !std::path::Path::new("/run/libvirt/libvirt-sock").exists() {
        let broker = Broker::start(patient.setup.clone()).await;
        let cast = crate::support::broker::Cast::arrive(&broker).await;
        broker.simulated_host(&cast, "here").await;
        drop(broker);
        plain::run(&patient.setup.database_url, "update hosts set uri = 'qemu:///system'").await.unwrap();
        patient.only_bad(&[], "libvirt", &["qemu:///system", "libvirtd"]);
    }
}
