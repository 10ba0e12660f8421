//! A real Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler on ports of their own,
//! with TLS and RBAC, stopped by pid. There is no node: pods never run.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use reqwest::{Certificate, Client, Identity};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};

const READY_LIMIT: Duration = Duration::from_secs(120);

/// The programs, built once for all runs (or those of `KUBEBUILDER_ASSETS`).
pub fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/control-plane.sh");
        let out = Command::new(script).stderr(Stdio::inherit()).output().expect("the script runs");
        assert!(out.status.success(), "{script} has failed; its words stand above");
        PathBuf::from(String::from_utf8_lossy(&out.stdout).trim())
    })
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Who signs all certificates of one control plane.
fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test CA");
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// A certificate and its key, as PEM, of a server on this machine and of a client: a user and its group.
fn pair(ca: &Issuer, user: &str, group: Option<&str>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.subject_alt_names =
        vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into()), SanType::DnsName("localhost".try_into().expect("a name"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// A control plane takes a good part of a machine, and its tests mostly wait: two at once.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Running, until it is dropped.
pub struct ControlPlane {
    pub folder: PathBuf,
    port: u16,
    etcd: u16,
    children: BTreeMap<&'static str, Child>,
    ca: Issuer,
    admin: OnceLock<(Client, String)>,
    _turn: SemaphorePermit<'static>,
}

impl ControlPlane {
    pub async fn start() -> Self {
        let turn = TURNS.acquire().await.expect("never closed");
        let folder = super::scratch("kube");
        let ca = authority();
        let (port, etcd) = (super::free_port(), super::free_port());
        let mut this = Self { folder, port, etcd, children: BTreeMap::new(), ca, admin: OnceLock::new(), _turn: turn };
        this.write("ca.crt", &this.ca.pem());
        let (certificate, key) = pair(&this.ca, "kube-apiserver", None);
        this.write("server.crt", &certificate);
        this.write("server.key", &key);
        let accounts = KeyPair::generate().expect("a key");
        this.write("sa.key", &accounts.serialize_pem());
        this.write("sa.pub", &accounts.public_key_pem());
        // What the broker asks, by the server's own word; nobody else is written down.
        let policy = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": ["broker"]}, {"level": "None"}]});
        this.write("audit-policy.json", &policy.to_string());
        this.kubeconfig("admin", Some("system:masters"));
        this.kubeconfig("system:kube-controller-manager", None);
        this.kubeconfig("system:kube-scheduler", None);
        this.run_etcd();
        this.run_api_server();
        this.ready().await;
        let manager = super::free_port();
        this.run(
            "kube-controller-manager",
            &[
                "--kubeconfig=system:kube-controller-manager.kubeconfig",
                "--bind-address=127.0.0.1",
                &format!("--secure-port={manager}"),
                "--leader-elect=false",
                "--service-account-private-key-file=sa.key",
                "--root-ca-file=ca.crt",
                "--use-service-account-credentials=true",
            ],
        );
        let scheduler = super::free_port();
        this.run(
            "kube-scheduler",
            &[
                "--kubeconfig=system:kube-scheduler.kubeconfig",
                "--bind-address=127.0.0.1",
                &format!("--secure-port={scheduler}"),
                "--leader-elect=false",
            ],
        );
        this
    }

    fn run_etcd(&mut self) {
        let (client, peer) =
            (format!("http://127.0.0.1:{}", self.etcd), format!("http://127.0.0.1:{}", super::free_port()));
        self.run(
            "etcd",
            &[
                "--data-dir=etcd",
                "--unsafe-no-fsync",
                "--log-level=warn",
                &format!("--listen-client-urls={client}"),
                &format!("--advertise-client-urls={client}"),
                &format!("--listen-peer-urls={peer}"),
                &format!("--initial-advertise-peer-urls={peer}"),
                &format!("--initial-cluster=default={peer}"),
            ],
        );
    }

    fn run_api_server(&mut self) {
        self.run(
            "kube-apiserver",
            &[
                &format!("--etcd-servers=http://127.0.0.1:{}", self.etcd),
                &format!("--secure-port={}", self.port),
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                "--tls-cert-file=server.crt",
                "--tls-private-key-file=server.key",
                "--client-ca-file=ca.crt",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-account-key-file=sa.pub",
                "--service-account-signing-key-file=sa.key",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--audit-policy-file=audit-policy.json",
                "--audit-log-path=audit.log",
            ],
        );
    }

    fn run(&mut self, program: &'static str, args: &[&str]) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join(format!("{program}.log")));
        let child = Command::new(programs().join(program))
            .current_dir(&self.folder)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn();
        self.children.insert(program, child.unwrap_or_else(|error| panic!("{program} does not start: {error}")));
    }

    /// SIGKILL, and gone.
    pub fn kill(&mut self, program: &'static str) {
        if let Some(mut child) = self.children.remove(program) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The API server again, on its old port and store.
    pub async fn revive(&mut self) {
        self.run_api_server();
        self.ready().await;
    }

    /// The store forgets all versions but the newest: who watches from an older one is told that it is gone (410).
    pub async fn compact(&self) {
        let list = self.done("admin", &["get", "--raw", "/api/v1/namespaces"], "");
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let version = list["metadata"]["resourceVersion"].as_str().expect("a version");
        let url = format!("http://127.0.0.1:{}/v3/kv/compaction", self.etcd);
        let asked = super::http().post(url).json(&json!({"revision": version, "physical": true})).send().await;
        let answer = asked.expect("etcd answers");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }

    async fn ready(&self) {
        let began = Instant::now();
        while !self.kubectl("admin", &["get", "--raw", "/readyz"]).status.success() {
            let log = fs::read_to_string(self.folder.join("kube-apiserver.log")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(20).collect();
            assert!(began.elapsed() < READY_LIMIT, "the API server is not ready:\n{}", end.join("\n"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How often the user `broker` has asked, by verb and resource.
    pub fn asked(&self) -> BTreeMap<String, u32> {
        let log = fs::read_to_string(self.folder.join("audit.log")).unwrap_or_default();
        let mut asked = BTreeMap::new();
        for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let (verb, resource) = (event["verb"].as_str(), event["objectRef"]["resource"].as_str());
            *asked.entry(format!("{} {}", verb.unwrap_or("?"), resource.unwrap_or("?"))).or_default() += 1;
        }
        asked
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.join(name);
        // Keys and ways in are their owner's alone, or the broker does not take them.
        super::private_file(&path, content);
        path
    }

    /// The way in for a user, by a client certificate.
    pub fn kubeconfig(&self, user: &str, group: Option<&str>) -> PathBuf {
        let (certificate, key) = pair(&self.ca, user, group);
        let user_entry = json!({
            "client-certificate": self.write(&format!("{user}.crt"), &certificate),
            "client-key": self.write(&format!("{user}.key"), &key),
        });
        self.write(&format!("{user}.kubeconfig"), &self.config(&user_entry).to_string())
    }

    /// The way in for the holder of a token.
    pub fn kubeconfig_by_token(&self, name: &str, token: &str) -> PathBuf {
        self.write(&format!("{name}.kubeconfig"), &self.config(&json!({"token": token})).to_string())
    }

    fn config(&self, user: &Value) -> Value {
        let server = format!("https://127.0.0.1:{}", self.port);
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": self.folder.join("ca.crt")}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "default"}}],
        })
    }

    /// Whoever has a kubeconfig, as a plain client of HTTP, and the server's address.
    pub fn client(&self, user: &str) -> (Client, String) {
        super::http();
        let read = |name: String| fs::read(self.folder.join(name)).expect("a file of the control plane");
        let both = [read(format!("{user}.crt")), read(format!("{user}.key"))].concat();
        let ca = Certificate::from_pem(&read("ca.crt".to_owned())).expect("the CA");
        let identity = Identity::from_pem(&both).expect("a pair");
        let http = Client::builder().tls_certs_only([ca]).identity(identity).no_proxy().build().expect("a client");
        (http, format!("https://127.0.0.1:{}", self.port))
    }

    /// What an administrator is answered at a path, if anything: a look that costs no process, for tests that look often.
    pub fn read(&self, path: &str) -> Option<Value> {
        let (http, server) = self.admin.get_or_init(|| self.client("admin"));
        let answer = async {
            for _ in 0..3 {
                // A server that was away has left connections that are none any more.
                let Ok(answer) = http.get(format!("{server}{path}")).send().await else { continue };
                return if answer.status().is_success() { answer.json().await.ok() } else { None };
            }
            None
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(answer))
    }

    /// The command line that is not ours, as somebody whose kubeconfig was made.
    pub fn kubectl(&self, user: &str, args: &[&str]) -> Output {
        self.kubectl_with(user, args, "")
    }

    pub fn kubectl_with(&self, user: &str, args: &[&str], input: &str) -> Output {
        use std::io::Write as _;
        let mut child = Command::new(programs().join("kubectl"))
            .arg("--kubeconfig")
            .arg(self.folder.join(format!("{user}.kubeconfig")))
            .arg("--cache-dir")
            .arg(self.folder.join("cache"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("read by kubectl");
        child.wait_with_output().expect("kubectl ends")
    }

    /// What it answered, which must be no refusal.
    #[track_caller]
    pub fn done(&self, user: &str, args: &[&str], input: &str) -> String {
        let out = self.kubectl_with(user, args, input);
        assert!(out.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // The store last, so that nobody complains of it in its log.
        for program in ["kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"] {
            self.kill(program);
        }
    }
}
