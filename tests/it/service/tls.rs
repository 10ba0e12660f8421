//! TLS with clients that are not ours: openssl, and reqwest with a CA of the test's own.

use crate::support::{
    broker::{Broker, On, Setup},
    scratch,
};
use reqwest::{Certificate, Client};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// A CA and the pairs that it has signed.
pub struct Ca {
    pub folder: PathBuf,
}

fn openssl(folder: &Path, args: &[&str]) {
    let out = Command::new("openssl").current_dir(folder).args(args).output().expect("openssl is installed");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

impl Ca {
    pub fn new() -> Self {
        let folder = scratch("ca");
        let ca = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA"];
        openssl(&folder, &[&ca[..], &["-keyout", "ca.key", "-out", "ca.pem"]].concat());
        Self { folder }
    }

    /// A pair for this machine, `NAME.crt` and `NAME.key`.
    pub fn sign(&self, name: &str) {
        let (key, csr, crt, ext) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"), format!("{name}.ext"));
        fs::write(self.folder.join(&ext), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("written");
        let subject = format!("/CN={name}");
        let request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", &subject];
        openssl(&self.folder, &[&request[..], &["-keyout", &key, "-out", &csr]].concat());
        let sign = ["x509", "-req", "-in", &csr, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
        openssl(&self.folder, &[&sign[..], &["-extfile", &ext, "-out", &crt]].concat());
    }

    /// Puts a signed pair where the broker reads it, the key first.
    pub fn install(&self, certificate: &str, key: &str) {
        for (from, to) in [(format!("{key}.key"), "server.key"), (format!("{certificate}.crt"), "server.crt")] {
            let fresh = self.folder.join("fresh");
            fs::copy(self.folder.join(from), &fresh).expect("copied");
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).expect("its owner's alone");
            fs::rename(&fresh, self.folder.join(to)).expect("in place");
        }
    }

    fn setup(&self) -> Setup {
        self.on(Setup::new(On::Sqlite))
    }

    /// A broker that speaks TLS with the installed pair.
    pub fn on(&self, setup: Setup) -> Setup {
        setup
            .with("JIYUE_TLS_CERTIFICATE", &self.folder.join("server.crt").to_string_lossy())
            .with("JIYUE_TLS_KEY", &self.folder.join("server.key").to_string_lossy())
    }

    /// A client that trusts this CA and nobody else.
    pub fn client(&self) -> Client {
        jiyue::client::install_ciphers();
        let ca = Certificate::from_pem(&fs::read(self.folder.join("ca.pem")).expect("the CA")).expect("PEM");
        Client::builder().tls_certs_only([ca]).pool_max_idle_per_host(0).build().expect("a client")
    }
}

fn address(broker: &Broker) -> String {
    broker.url.trim_start_matches("http://").to_owned()
}

/// What `openssl s_client` says, and whether a handshake came about.
fn s_client(broker: &Broker, args: &[&str]) -> (bool, String) {
    let out = Command::new("openssl")
        .args(["s_client", "-connect", &address(broker), "-servername", "localhost"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub async fn started(ca: &Ca) -> Broker {
    ready(ca, Broker::spawn(ca.setup())).await
}

/// Waits until it is ready, as a client sees it that trusts the CA.
pub async fn ready(ca: &Ca, broker: Broker) -> Broker {
    let (client, url, began) = (ca.client(), format!("https://{}/readyz", address(&broker)), Instant::now());
    while !matches!(client.get(&url).send().await, Ok(answer) if answer.status().is_success()) {
        assert!(began.elapsed() < Duration::from_secs(60), "not ready:\n{}", broker.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    broker
}

#[tokio::test]
async fn tls_is_spoken_as_it_is_today_and_with_the_right_certificate() {
    let ca = Ca::new();
    ca.sign("one");
    ca.install("one", "one");
    let broker = started(&ca).await;
    let trusted = ca.folder.join("ca.pem").to_string_lossy().into_owned();
    for version in ["-tls1_2", "-tls1_3"] {
        let verified = ["-CAfile", &trusted, "-verify_return_error", "-verify_hostname", "localhost", version];
        let (ok, text) = s_client(&broker, &verified);
        assert!(ok && text.contains("Verify return code: 0 (ok)") && subject_in(&text) == "CN=one", "{version} {text}");
    }
    // What is too old is refused by us: openssl itself is told to allow it.
    for version in ["-tls1", "-tls1_1"] {
        let (ok, text) = s_client(&broker, &[version, "-cipher", "DEFAULT:@SECLEVEL=0"]);
        let refused = ["alert protocol version", "alert handshake failure"].iter().any(|alert| text.contains(alert));
        assert!(!ok && refused && text.contains("no peer certificate"), "{version} {text}");
    }
    let (ok, text) = s_client(&broker, &["-alpn", "h2,http/1.1"]);
    assert!(ok && text.contains("ALPN protocol: http/1.1"), "{text}");

    // Plain HTTP is answered with what to do, and with nothing else.
    let plain = crate::support::http().get(format!("{}/healthz", broker.url)).send().await.expect("an answer");
    assert_eq!(plain.status().as_u16(), 400);
    assert!(plain.text().await.expect("text").contains("https://"));
    // Who does not know the CA does not talk to us, and our own command line says why.
    let stranger = broker
        .setup
        .program()
        .args(["--server", &format!("https://{}", address(&broker)), "host", "list"])
        .env("JIYUE_TOKEN", "t")
        .output()
        .expect("jiyue runs");
    let told = String::from_utf8_lossy(&stranger.stderr);
    assert!(stranger.status.code() == Some(3) && told.contains("--ca-file"), "{told}");
    let token = broker.setup.token(&["--person", "ops", "--name", "ops", "--unit", "u", "--role", "operator"]);
    let listed = broker
        .setup
        .program()
        .args(["--server", &format!("https://{}", address(&broker)), "host", "list"])
        .env("JIYUE_TOKEN", token)
        .env("JIYUE_CA_FILE", &trusted)
        .output()
        .expect("jiyue runs");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    // Nobody has to finish a handshake, but nobody waits for one either.
    let log = broker.log();
    let warnings: Vec<_> = log.lines().filter(|l| l.contains("WARN") && !l.contains("allow_simulated_hosts")).collect();
    assert_eq!(warnings, [""; 0]);
}

/// The certificate's name as openssl sees it now.
fn subject(broker: &Broker) -> String {
    subject_in(&s_client(broker, &[]).1)
}

/// Written with and without blanks, by the release of openssl.
fn subject_in(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("subject="));
    line.unwrap_or_else(|| panic!("{text}")).replace(' ', "")
}

fn until(broker: &Broker, limit: Duration, judge: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !judge() {
        assert!(began.elapsed() < limit, "{}", broker.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_taken_without_dropping_anybody_and_a_bad_one_is_not() {
    let ca = Ca::new();
    for name in ["one", "two", "three"] {
        ca.sign(name);
    }
    ca.install("one", "one");
    let broker = started(&ca).await;
    assert_eq!(subject(&broker), "CN=one");
    // Calls without end, each on a connection of its own; and one connection that lasts.
    let (client, url) = (ca.client(), format!("https://{}/healthz", address(&broker)));
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let calling = tokio::spawn(async move {
        loop {
            let answer = client.get(&url).send().await.expect("nobody is dropped");
            assert_eq!(answer.text().await.expect("a body"), "ok\n");
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Found by itself.
    ca.install("two", "two");
    let took = until(&broker, Duration::from_secs(20), || subject(&broker) == "CN=two");
    eprintln!("a changed certificate was in use after {took:.1?}");
    // At once, when asked.
    ca.install("three", "three");
    broker.signal("HUP");
    let asked = until(&broker, Duration::from_secs(20), || subject(&broker) == "CN=three");
    assert!(asked < Duration::from_secs(5), "{asked:?}");
    // A pair that does not belong together, one that is no pair, and nothing at all: the old one stays.
    let refused = || broker.log().matches("tls.reload.refused").count();
    ca.install("one", "two");
    until(&broker, Duration::from_secs(20), || refused() > 0);
    assert_eq!(subject(&broker), "CN=three");
    fs::write(ca.folder.join("server.crt"), "no certificate").expect("written");
    let before = refused();
    until(&broker, Duration::from_secs(20), || refused() > before);
    assert_eq!(subject(&broker), "CN=three");
    fs::remove_file(ca.folder.join("server.key")).expect("removed");
    let before = refused();
    broker.signal("HUP");
    until(&broker, Duration::from_secs(20), || refused() > before);
    assert_eq!(subject(&broker), "CN=three");
    // And a good one is taken again.
    ca.install("one", "one");
    until(&broker, Duration::from_secs(20), || subject(&broker) == "CN=one");
    calling.abort();
    let ended = calling.await.expect_err("it has no end of its own");
    assert!(ended.is_cancelled() && calls.load(Ordering::Relaxed) > 20, "{ended} after {calls:?} calls");
    assert!(!broker.log().contains("PRIVATE KEY"), "{}", broker.log());
}

#[tokio::test]
async fn without_tls_a_hangup_is_nothing_and_listening_to_all_is_warned_of() {
    let mut broker = Broker::start(Setup::new(On::Sqlite)).await;
    broker.signal("HUP");
    until(&broker, Duration::from_secs(10), || broker.log().contains("service.reload.nothing_to_do"));
    assert!(broker.ended().is_none());
    assert!(!broker.log().contains("settings.warning listen"));
    let settings = jiyue::config::Settings { listen: "0.0.0.0:1".parse().expect("an address"), ..Default::default() };
    assert_eq!(settings.warnings().len(), 1);
    broker.get("/readyz", "").await.expect(200);
}
