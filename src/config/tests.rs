//! The settings as people meet them: the documented file, and every way to get them wrong.

use super::*;
use read::{load, names};
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

fn from_text(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Faults> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jiyue.toml");
    fs::write(&file, text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Some(&file), variables)
}

/// The documented settings, with their lines, those that begin with one `#` and a name.
fn documented() -> Vec<(&'static str, &'static str)> {
    let lines = DOCUMENTED.lines().filter_map(|line| line.strip_prefix('#'));
    let lines = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
    lines.map(|line| (line.split(" = ").next().unwrap_or_default(), line)).collect()
}

#[test]
fn the_documented_file_has_every_setting_with_its_default() {
    assert_eq!(from_text(DOCUMENTED, &[]), Ok(Settings::default()));
    let all = documented();
    let at = |name: &str| all.iter().position(|(key, _)| *key == name).unwrap();
    let (heading, second) = (at("[[dns]]"), at("[[usage_source]]"));
    let (third, fourth) = (at("[kubernetes]"), at("[[cluster]]"));
    let fifth = at("[[source_host]]");
    let (plain, dns) = (&all[..heading], &all[heading + 1..second]);
    let (sources, kubernetes, clusters) = (&all[second + 1..third], &all[third + 1..fourth], &all[fourth + 1..fifth]);
    let keys = |of: &[(&'static str, &str)]| of.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    let known: BTreeSet<_> = names::<Settings>()
        .iter()
        .copied()
        .filter(|name| !["dns", "usage_source", "kubernetes", "cluster", "source_host"].contains(name))
        .collect();
    assert!(known.len() > 25, "{known:?}");
    assert_eq!((keys(plain).len(), keys(plain).into_iter().collect::<BTreeSet<_>>()), (known.len(), known));
    assert_eq!(keys(dns), names::<ZoneSettings>());
    assert_eq!(keys(sources), names::<SourceSettings>());
    assert_eq!(keys(kubernetes), names::<KubernetesSettings>());
    assert_eq!(keys(clusters), names::<ClusterSettings>());
    assert_eq!(keys(&all[fifth + 1..]), names::<SourceHostSettings>());

    // Each line says what the default is; four settings have none, and say so.
    let optional = ["tls_certificate", "tls_key", "fence_command", "idle_rules"];
    let text =
        |lines: &mut dyn Iterator<Item = &(&str, &str)>| lines.map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    let defaults = text(&mut plain.iter().filter(|(key, _)| !optional.contains(key)));
    assert_eq!(from_text(&defaults, &[]), Ok(Settings::default()));
    assert_eq!(DOCUMENTED.matches("默认没有").count(), 7, "two settings in one, two, and four lists of blocks");
    // A default that is written down wrong would be found.
    assert_ne!(from_text(&defaults.replace("worker_width = 4", "worker_width = 5"), &[]), Ok(Settings::default()));

    // All lines together are a file, and what is left out of [[dns]] is what stands there.
    let whole = from_text(&text(&mut all.iter()), &[]).unwrap();
    assert!(whole.tls().is_some() && whole.fence_command.is_some());
    let left_out = [
        "algorithm",
        "ttl",
        "fudge_seconds",
        "interval_seconds",
        "timeout_seconds",
        "department_label",
        "stuck_seconds",
        "namespace_prefix",
        "image_namespace",
    ];
    let must = text(&mut all[heading..].iter().filter(|(key, _)| !left_out.contains(key)));
    let short = from_text(&must, &[]).unwrap();
    assert_eq!((short.dns, short.usage_source), (whole.dns, whole.usage_source));
    assert_eq!((short.kubernetes, short.cluster), (whole.kubernetes, whole.cluster));
}

/// Key and whole sentence of each fault.
#[track_caller]
fn faults<T: fmt::Debug>(result: Result<T, Faults>) -> Vec<(String, String)> {
    let faults = result.unwrap_err();
    for fault in &faults.0 {
        assert!(!fault.what.is_empty() && !fault.mend.is_empty(), "{fault:?}");
    }
    faults.0.into_iter().map(|fault| (fault.key.clone(), fault.to_string())).collect()
}

fn keys(faults: &[(String, String)]) -> Vec<&str> {
    faults.iter().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn every_unknown_word_and_every_wrong_kind_is_told_at_once() {
    let text = "listen = 8460\nworker_witdh = 3\nworker_width = \"many\"\nlog_format = \"xml\"\nfoo = 1\n\
        insecure_networks = [\"10.0.0.0/33\"]\ndatabase_url = 3\n\
        [[dns]]\nsuffix = 3\nserver = \"10.0.0.1\"\nkeyname = \"jiyue\"\nttl = \"long\"\n\
        [[usage_source]]\nname = \"a\"\nurl = 3\ntimeout = 1\nqueries = \"up\"\n";
    let found = faults(from_text(text, &[("JIYUE_STEP_SECONDS", "soon"), ("JIYUE_DNS", "x"), ("JIYUE_FOO", "1")]));
    let mut keys = keys(&found);
    keys.sort_unstable();
    let mut wanted = [
        "listen",
        "worker_witdh",
        "worker_width",
        "log_format",
        "foo",
        "insecure_networks",
        "database_url",
        "dns[0].key_name",
        "dns[0].key_file",
        "dns[0].suffix",
        "dns[0].keyname",
        "dns[0].ttl",
        "usage_source[0].kind",
        "usage_source[0].url",
        "usage_source[0].timeout",
        "usage_source[0].queries",
        "JIYUE_STEP_SECONDS",
        "JIYUE_DNS",
        "JIYUE_FOO",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    let of = |key: &str| found.iter().find(|(k, _)| k == key).map(|(_, text)| text.as_str()).unwrap();
    assert_eq!(of("worker_witdh"), "worker_witdh：没有这一项设置；是不是想写 worker_width？不要的话删去这一行");
    assert_eq!(of("worker_width"), "worker_width：写的是文字，这一项不收；照这样写：worker_width = 4");
    assert_eq!(of("dns[0].key_file"), "dns[0].key_file：没有写；照这样写：key_file = \"/etc/jiyue/dns.key\"");
    assert!(of("foo").contains("/usr/share/doc/jiyue/jiyue.toml"));
}

#[test]
fn variables_go_before_the_file_and_are_read_as_the_setting_takes_them() {
    let variables = [
        ("JIYUE_WORKER_WIDTH", "9"),
        ("JIYUE_INSECURE_NETWORKS", "10.77.0.0/16, fd00::/8"),
        ("JIYUE_ALLOW_SIMULATED_HOSTS", "true"),
        ("JIYUE_LOG_FILTER", "1"),
        ("JIYUE_FENCE_COMMAND", "/bin/true"),
        ("JIYUE_TOKEN", "not a setting"),
        ("JIYUE_TEST_SEED", "nor this"),
        ("HOME", "nor this"),
    ];
    let settings = from_text("worker_width = 2\nboots_at_once = 7\n", &variables).unwrap();
    assert_eq!((settings.worker_width, settings.boots_at_once), (9, 7));
    assert_eq!(settings.insecure_networks.len(), 2);
    assert!(settings.allow_simulated_hosts);
    assert_eq!((settings.log_filter.as_str(), settings.fence_command.is_some()), ("1", true));
    assert_eq!(from_text("", &[("JIYUE_INSECURE_NETWORKS", "")]).unwrap().insecure_networks, []);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_its_line_and_without_its_text() {
    let text = "listen = \"127.0.0.1:1\"\ndatabase_url = postgres://u:pl4nted@h/db\n";
    let found = faults(from_text(text, &[]));
    assert!(found[0].1.contains("第 2 行") && !found[0].1.contains("pl4nted"), "{found:?}");
    for text in ["a = 1\na = 2\n", "database_url = \"postgres://u:pl4nted@h/db\n", "database_url = 'pl4nted'x\n"] {
        let found = faults(from_text(text, &[]));
        assert!(found.len() == 1 && !found[0].1.contains("pl4nted"), "{found:?}");
    }
    let found = faults(load(Some(Path::new("/nowhere/jiyue.toml")), std::iter::empty()));
    assert!(found[0].1.contains("/nowhere/jiyue.toml"));
    // Neither does a value of the wrong kind show.
    for text in ["database_url = [\"pl4nted\"]\n", "log_format = \"pl4nted\"\n"] {
        assert!(!faults(from_text(text, &[]))[0].1.contains("pl4nted"));
    }
    let shown =
        format!("{:?}", Settings { database_url: "postgres://u:pl4nted@h/db".to_owned(), ..Settings::default() });
    assert!(!shown.contains("pl4nted"));
}

/// Settings that this machine could serve with.
fn good(folder: &Path) -> Settings {
    Settings {
        database_url: format!("sqlite:{}", folder.join("new/jiyue.db").display()),
        secret_key_file: folder.join("new/secret.key"),
        image_folder: folder.join("new/images"),
        ..Settings::default()
    }
}

type Change = fn(&mut Settings, &Path);

#[test]
fn what_cannot_serve_is_told_key_by_key_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(good(folder).check(), Ok(()));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "looking makes nothing");
    fs::write(folder.join("file"), "x").unwrap();
    fs::set_permissions(folder.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
    let wrong: [(&str, Change); 32] = [
        ("http_header_seconds", |s, _| s.http_header_seconds = 0),
        ("http_stall_seconds", |s, _| s.http_stall_seconds = 3601),
        ("database_read_connections", |s, _| s.database_read_connections = 0),
        ("image_max_bytes", |s, _| s.image_max_bytes = 1),
        ("image_sends_at_once", |s, _| s.image_sends_at_once = 1001),
        ("image_retry_seconds", |s, _| s.image_retry_seconds = 0),
        ("listing_seconds", |s, _| s.listing_seconds = 0),
        ("usage_seconds", |s, _| s.usage_seconds = 3601),
        ("silence_seconds", |s, _| s.silence_seconds = u64::MAX),
        ("worker_width", |s, _| s.worker_width = usize::MAX),
        ("worker_lease_seconds", |s, _| s.worker_lease_seconds = 0),
        ("worker_poll_millis", |s, _| s.worker_poll_millis = 9),
        ("boots_at_once", |s, _| s.boots_at_once = 0),
        ("answer_seconds", |s, _| s.answer_seconds = 0),
        ("install_seconds", |s, _| s.install_seconds = 0),
        ("step_seconds", |s, _| s.step_seconds = 86_401),
        ("shutdown_seconds", |s, _| s.shutdown_seconds = 86_401),
        ("dns_timeout_seconds", |s, _| s.dns_timeout_seconds = 0),
        ("dns_retry_seconds", |s, _| s.dns_retry_seconds = 0),
        ("dns_wait_seconds", |s, _| s.dns_wait_seconds = 3601),
        ("database_url", |s, _| s.database_url = "mysql://h/db".to_owned()),
        ("database_url", |s, f| s.database_url = format!("sqlite:{}", f.join("file/jiyue.db").display())),
        ("database_url", |s, f| s.database_url = format!("sqlite:{}", f.display())),
        ("secret_key_file", |s, f| s.secret_key_file = f.join("file")),
        ("image_folder", |s, f| s.image_folder = f.join("file")),
        ("image_folder", |s, _| s.image_folder = "/proc/nowhere".into()),
        ("jurisdiction", |s, _| s.jurisdiction = "atlantis".to_owned()),
        ("idle_rules", |s, f| s.idle_rules = Some(f.join("nowhere"))),
        ("idle_rules", |s, f| s.idle_rules = Some(f.join("file"))),
        ("fence_command", |s, f| s.fence_command = Some(f.join("file"))),
        ("fence_command", |s, _| s.fence_command = Some("fence".into())),
        ("log_filter", |s, _| s.log_filter = "jiyue=loud".to_owned()),
    ];
    for (key, change) in wrong {
        let mut settings = good(folder);
        change(&mut settings, folder);
        assert_eq!(keys(&faults(settings.check())), [key]);
    }
    let mut all = good(folder);
    for (_, change) in wrong {
        change(&mut all, folder);
    }
    all.dns = vec![ZoneSettings {
        suffix: "a b".to_owned(),
        server: "dns".to_owned(),
        key_name: String::new(),
        algorithm: "md5".to_owned(),
        key_file: "/nowhere".into(),
        ttl: 0,
        fudge_seconds: 0,
    }];
    (all.tls_certificate, all.tls_key) = (Some("/nowhere".into()), None);
    let found = faults(all.check());
    let wanted: BTreeSet<_> = wrong.iter().map(|(key, _)| *key).collect();
    assert_eq!(found.len(), wanted.len() + 1 + 7, "{found:#?}");
}

#[test]
fn certificate_and_key_are_held_against_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["one", "two"] {
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-keyout"])
            .arg(at(&format!("{name}.key")))
            .arg("-out")
            .arg(at(&format!("{name}.crt")))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    fs::write(at("empty"), "").unwrap();
    fs::set_permissions(at("empty"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::copy(at("one.key"), at("open.key")).unwrap();
    fs::set_permissions(at("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let check = |certificate: Option<&str>, key: Option<&str>| {
        let mut settings = good(folder.path());
        (settings.tls_certificate, settings.tls_key) = (certificate.map(at), key.map(at));
        settings.check()
    };
    assert_eq!(check(Some("one.crt"), Some("one.key")), Ok(()));
    let (cert, key) = ("tls_certificate", "tls_key");
    let wrong: [(Option<&str>, Option<&str>, &[&str]); 8] = [
        (Some("one.crt"), None, &[key]),
        (None, Some("one.key"), &[cert]),
        (Some("one.crt"), Some("two.key"), &[key]),
        (Some("nowhere"), Some("nowhere"), &[cert, key]),
        (Some("empty"), Some("empty"), &[cert, key]),
        (Some("one.key"), Some("one.key"), &[cert]),
        (Some("one.crt"), Some("one.crt"), &[key]),
        (Some("one.crt"), Some("open.key"), &[key]),
    ];
    for (certificate, private, wanted) in wrong {
        assert_eq!(keys(&faults(check(certificate, private))), wanted, "{certificate:?} {private:?}");
    }
}

#[test]
fn what_should_not_stay_is_warned_of() {
    let mut settings = Settings::default();
    assert_eq!(settings.warnings(), [""; 0]);
    settings.listen = "0.0.0.0:8460".parse().unwrap();
    assert!(settings.warnings()[0].contains("TLS"));
    (settings.tls_certificate, settings.tls_key) = (Some("a".into()), Some("b".into()));
    assert_eq!(settings.warnings(), [""; 0]);
    settings.allow_simulated_hosts = true;
    assert_eq!(settings.warnings().len(), 1);
}
