//! Several real hosts: how they are reached, and what is refused before anything is dialled.

use crate::support::{
    broker::{Answer, Broker, Cast, On, Setup},
    hosts::{self, Hosts},
};
use jiyue::provider::{
    DomainType, Provider, ProviderError,
    libvirt::{LibvirtHost, LibvirtSettings},
};
use serde_json::{Value, json};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// The document that adds a host, with a pool and a network that only this test has.
fn document(name: &str, uri: &str, cidr: &str) -> Value {
    json!({"name": name, "uri": uri, "pool": name, "pool_path": format!("/var/lib/libvirt/{name}"),
        "memory_reserve_bytes": 0, "zones": [{"zone": "government_extranet", "network": name,
        "bridge": format!("jy-{name}"), "cidr": cidr}]})
}

async fn add(broker: &Broker, cast: &Cast, uri: &str) -> Answer {
    broker.post("/v1/hosts", &cast.operator, &document("kvm", uri, "10.200.1.0/24")).await
}

#[track_caller]
fn refused(answer: &Answer, code: &str, words: &[&str]) {
    assert_eq!((answer.status.as_u16(), answer.code()), (422, code), "{answer:?}");
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    for word in words {
        assert!(detail.contains(word), "{word} is not in {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_way_to_a_host_is_refused_before_anything_is_dialled() {
    // A port that notices whoever comes.
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = trap.local_addr().unwrap().port();
    let broker = Broker::start(Setup::new(On::Sqlite).with("JIYUE_INSECURE_NETWORKS", "10.77.0.0/16,fd00::/8")).await;
    let cast = Cast::arrive(&broker).await;
    let marker = broker.setup.folder.join("ran");
    let touch = format!("command=/usr/bin/touch+{}", marker.display());
    for (uri, words) in [
        (format!("qemu+ext:///system?{touch}"), &["/uri", "qemu+ext", "qemu+tls"][..]),
        (format!("qemu+ssh://127.0.0.1:{port}/system?{touch}"), &["/uri", "qemu+ssh"]),
        (format!("qemu+unix:///system?socket=/x&{touch}"), &["/uri", "command"]),
        (format!("qemu+tls://127.0.0.1:{port}/system?no_verify=1"), &["/uri", "no_verify", "核验"]),
        (format!("qemu+tls://127.0.0.1:{port}/system?pkipath=/p&netcat=/bin/nc"), &["/uri", "netcat"]),
        (format!("qemu+libssh://127.0.0.1:{port}/system?keyfile=/k"), &["/uri", "qemu+libssh"]),
        ("qemu+tls://10.77.0.1/system?proxy=auto".to_owned(), &["/uri", "proxy"]),
        ("qemu:///system?mode=direct".to_owned(), &["/uri", "mode"]),
        ("test:///default".to_owned(), &["/uri", "test"]),
        // Bare TCP: only where the settings say so, whatever the name.
        (format!("qemu+tcp://127.0.0.1:{port}/system"), &["/uri", "回环", "qemu+tls"]),
        (format!("qemu+tcp://localhost:{port}/system"), &["/uri", "localhost", "回环"]),
        (format!("qemu+tcp://[::ffff:127.0.0.1]:{port}/system"), &["/uri", "回环"]),
        (format!("qemu+tcp://[::1]:{port}/system"), &["/uri", "回环"]),
        (format!("qemu+tcp://127.1:{port}/system"), &["/uri", "127.1"]),
        ("qemu+tcp://169.254.169.254:80/system".to_owned(), &["/uri", "元数据"]),
        ("qemu+tls://169.254.169.254:80/system".to_owned(), &["/uri", "元数据"]),
        ("qemu+tcp://192.168.9.9/system".to_owned(), &["/uri", "insecure_networks", "qemu+tls"]),
        ("qemu+tls://no-such-host.invalid/system".to_owned(), &["/uri", "no-such-host.invalid", "DNS"]),
    ] {
        refused(&add(&broker, &cast, &uri).await, "host_refused", words);
    }
    assert!(!marker.exists());
    let dialled = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
    assert!(dialled.is_err(), "{dialled:?}");
    assert_eq!(broker.get("/v1/hosts", &cast.operator).await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_added_over_tls_or_over_tcp_in_a_listed_network_and_bad_certificates_are_told_apart() {
    let begun = Instant::now();
    let hosts = hosts::shared();
    println!("three hosts up after {:.2} s", begun.elapsed().as_secs_f64());
    let broker = Broker::start(Setup::new(On::Sqlite).with("JIYUE_INSECURE_NETWORKS", &hosts.management())).await;
    let cast = Cast::arrive(&broker).await;
    for (case, words) in [
        ("wrong-ca", &["未通过核验", "CA"][..]),
        ("expired", &["代理的客户端证书已过期", "clientcert.pem"]),
        ("foreign", &["代理的客户端证书不是由", "CA"]),
        ("none", &["没有出示客户端证书", "clientcert.pem"]),
        ("absent", &["cacert.pem"]),
    ] {
        refused(&add(&broker, &cast, &hosts.tls(2, case)).await, "host_unusable", words);
    }
    // A name that the certificate does not carry; a certificate of the server's that has expired; nobody at all; and a
    // port at which TLS is not spoken.
    let pki = hosts.pki("good").display().to_string();
    let at = |address, port: u16| format!("qemu+tls://{address}:{port}/system?pkipath={pki}");
    refused(&add(&broker, &cast, &at(hosts.at(112), 16514)).await, "host_unusable", &["未通过核验", "主机名"]);
    let stale = ExpiredServer::start(hosts);
    refused(&add(&broker, &cast, &at(hosts.at(1), stale.port)).await, "host_unusable", &["未通过核验", "已过期"]);
    refused(&add(&broker, &cast, &at(hosts.at(12), 9)).await, "host_unusable", &["没有 libvirt 在监听"]);
    refused(&add(&broker, &cast, &at(hosts.at(12), 16509)).await, "host_unusable", &["TLS"]);
    let pools = hosts.virsh(2, &["pool-list", "--all", "--name"]).unwrap();
    assert!(!pools.contains("kvm"), "nothing was made on the way: {pools}");

    // And so it goes well: by TLS without a warning, by TCP with one.
    let tls = broker.post("/v1/hosts", &cast.operator, &document("kvm2", &hosts.tls(2, "good"), "10.200.2.0/24")).await;
    let tls = tls.expect(201);
    assert_eq!(tls["warnings"], json!([]), "{tls:#}");
    let tcp = broker.post("/v1/hosts", &cast.operator, &document("kvm3", &hosts.tcp(3), "10.200.3.0/24")).await;
    let tcp = tcp.expect(201);
    assert!(tcp["warnings"][0].as_str().is_some_and(|w| w.contains("不加密") && w.contains("qemu+tls")), "{tcp:#}");
    for n in [2, 3] {
        assert!(hosts.virsh(n, &["pool-info", &format!("kvm{n}")]).unwrap().contains("running"));
    }
    let log = std::fs::read_to_string(broker.setup.folder.join("serve.log")).unwrap();
    assert!(log.contains("host.insecure"), "{log}");

    // The second wall: a row may be older than the settings. The provider looks for itself.
    let strict = LibvirtHost::new(LibvirtSettings {
        name: "kvm3".into(),
        uri: hosts.tcp(3),
        insecure_networks: Vec::new(),
        pool: "kvm3".into(),
        pool_path: "/var/lib/libvirt/kvm3".into(),
        domain_type: DomainType::Qemu,
        networks: Vec::new(),
    });
    let refused = strict.list().await;
    assert!(
        matches!(&refused, Err(ProviderError::Permanent { reason, .. }) if reason.contains("insecure_networks")),
        "{refused:?}"
    );
    for n in [2, 3] {
        for (act, what) in
            [("net-destroy", "net"), ("net-undefine", "net"), ("pool-destroy", "pool"), ("pool-undefine", "pool")]
        {
            hosts.virsh(n, &[act, &format!("kvm{n}")]).unwrap_or_else(|e| panic!("{what}: {e}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_hasten_and_without_them_the_listing_is_still_the_truth() {
    let hosts = Hosts::up(1);
    let host = LibvirtHost::new(LibvirtSettings {
        name: "kvm1".into(),
        uri: hosts.tls(1, "good"),
        insecure_networks: Vec::new(),
        pool: "events".into(),
        pool_path: "/var/lib/libvirt/events".into(),
        domain_type: DomainType::Qemu,
        networks: Vec::new(),
    });
    let soon = async |what: &str| {
        let begun = Instant::now();
        tokio::time::timeout(Duration::from_secs(10), host.changed())
            .await
            .unwrap_or_else(|_| panic!("{what} is not heard"));
        println!("{what} heard after {:.3} s", begun.elapsed().as_secs_f64());
    };
    let quiet = async || tokio::time::timeout(Duration::from_millis(300), host.changed()).await.is_err();
    let names = async || {
        let listed = host.list().await.expect("a listing");
        listed.into_iter().map(|seen| (seen.name, seen.mark.is_none())).collect::<Vec<_>>()
    };
    let xml = crate::support::scratch("event").join("d.xml");
    let domain = |name: &str| {
        let xml_of = format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>"
        );
        std::fs::write(&xml, xml_of).unwrap();
        hosts.virsh(1, &["define", xml.to_str().unwrap()]).unwrap();
    };
    // Before it began to listen it heard nothing, so the beginning itself is told.
    soon("the beginning").await;
    assert!(quiet().await, "nothing has happened");
    // A domain by somebody else: heard, and listed as nobody's.
    domain("stranger");
    soon("a definition").await;
    while !quiet().await {}
    assert_eq!(names().await, [("stranger".to_owned(), true)]);
    hosts.virsh(1, &["start", "stranger"]).unwrap();
    soon("a start").await;
    while !quiet().await {}
    // What happens while nobody waits is not lost.
    hosts.virsh(1, &["destroy", "stranger"]).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    soon("an end").await;
    // The line: its loss and its return, and all that nobody heard in between.
    while !quiet().await {}
    hosts.kill_daemon(1);
    soon("the loss").await;
    assert!(host.list().await.is_err());
    hosts.start_daemon(1);
    domain("unheard");
    assert_eq!(names().await.len(), 2, "the listing needs no events");
    soon("the return").await;
    // A waiter that is always cut short costs nothing and hangs nothing.
    hosts.kill_daemon(1);
    for _ in 0..20 {
        let _ = tokio::time::timeout(Duration::from_millis(5), host.changed()).await;
    }
    hosts.start_daemon(1);
    assert_eq!(names().await.len(), 2);
}

/// A TLS server whose certificate has expired; ended by its pid.
struct ExpiredServer {
    port: u16,
    child: std::process::Child,
}

impl ExpiredServer {
    fn start(hosts: &Hosts) -> Self {
        let port = crate::support::free_port();
        let folder = hosts.pki("expired");
        let at = format!("{}:{port}", hosts.at(1));
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &at, "-cert"])
            .arg(folder.join("clientcert.pem"))
            .arg("-key")
            .arg(folder.join("clientkey.pem"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let begun = Instant::now();
        while std::net::TcpStream::connect(&at).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "openssl listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { port, child }
    }
}

impl Drop for ExpiredServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
