//! The container that the manifests describe, asked by the probes that they describe, and told to end as a kubelet tells it.

use super::{
    Built, build,
    image::{Container, run},
    repository,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What a container's port says, as a kubelet hears it: the status, 0 where nobody answers; and the body.
fn fetch(container: &Container, url: &str, seconds: u64, more: &[&str]) -> (u16, String) {
    let mut command = container.beside("curl");
    command.args(["-sk", "--noproxy", "*", "-m", &seconds.to_string(), "-w", "\n%{http_code}", url]).args(more);
    let out = command.output().expect("curl");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_default();
    (status.parse().unwrap_or(0), body.to_owned())
}

/// A probe of the manifest: where it asks, how often, how long it waits, how many failures it forgives.
struct Probe {
    url: String,
    period: u64,
    timeout: u64,
    failures: u64,
}

impl Probe {
    fn of(built: &Built, name: &str) -> Self {
        let probe = &built.container()[name];
        let get = &probe["httpGet"];
        let scheme = get["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let path = get["path"].as_str().expect("a path");
        let number = |key: &str| probe[key].as_u64().unwrap_or_else(|| panic!("{name} says no {key}"));
        let (period, timeout, failures) =
            (number("periodSeconds"), number("timeoutSeconds"), number("failureThreshold"));
        Self { url: format!("{scheme}://127.0.0.1:{}{path}", built.port(&get["port"])), period, timeout, failures }
    }

    fn good(&self, container: &Container) -> bool {
        (200..400).contains(&fetch(container, &self.url, self.timeout, &[]).0)
    }
}

/// Started, and let in by its probes.
fn started(built: &Built, secrets: &BTreeMap<&str, String>) -> Container {
    let container = Container::start(built, secrets, &[]);
    let startup = Probe::of(built, "startupProbe");
    let (began, limit) = (Instant::now(), Duration::from_secs(startup.period * startup.failures));
    while !startup.good(&container) {
        assert!(container.code().is_none() && began.elapsed() < limit, "it does not come up: {}", container.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    eprintln!("up after {:.1?} of {limit:?}", began.elapsed());
    assert!(Probe::of(built, "livenessProbe").good(&container));
    let ready = Probe::of(built, "readinessProbe");
    while !ready.good(&container) {
        assert!(began.elapsed() < limit, "{}", fetch(&container, &ready.url, 5, &[]).1);
        std::thread::sleep(Duration::from_millis(100));
    }
    container
}

/// A client that has sent half a call and then stands still.
fn stalled(container: &Container) -> Child {
    let script =
        "exec 3<>/dev/tcp/127.0.0.1/8460; printf 'POST /v1/departments HTTP/1.1\\r\\nhost: x\\r\\n' >&3; sleep 60";
    let mut command: Command = container.beside("bash");
    command.args(["-c", script]).stdin(Stdio::null()).spawn().expect("bash")
}

/// What a pod has from its grace when the hook before its end is over.
fn grace(built: &Built) -> Duration {
    let total = built.pod()["terminationGracePeriodSeconds"].as_u64().expect("a grace");
    let hook = built.container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().expect("a hook");
    Duration::from_secs(total.checked_sub(hook).expect("the hook ends first"))
}

/// SIGTERM, as a kubelet sends it: readiness fails while calls are still taken, and all is over within the grace.
fn ends_in_order(built: &Built, container: &Container) {
    let (ready, live) = (Probe::of(built, "readinessProbe"), Probe::of(built, "livenessProbe"));
    let mut hanging = stalled(container);
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    container.signal("TERM");
    let (mut stopping, mut alive) = (None, false);
    while stopping.is_none() {
        let (status, body) = fetch(container, &ready.url, 2, &[]);
        assert_ne!(status, 0, "it left before it said so, after {:?}", began.elapsed());
        if status == 503 {
            assert!(body.contains("stopping"), "{body}");
            stopping = Some(began.elapsed());
            // Not ready and yet alive: a kubelet has no reason to kill it.
            alive = live.good(container);
        }
    }
    let (code, log) = container.ended(grace(built));
    let over = began.elapsed();
    eprintln!("not ready after {:.1?}, over after {over:.1?} of {:?}", stopping.unwrap_or_default(), grace(built));
    let _ = hanging.kill();
    let _ = hanging.wait();
    assert_eq!(code, 0, "{log}");
    assert!(alive, "liveness failed while it was ending");
    assert!(log.contains("service.stopped"), "{log}");
    assert!(over < grace(built), "{over:?}");
}

/// On SQLite: it comes up, does what needs a scratch folder and a process of its own, keeps its data, and ends.
#[test]
fn the_broker_of_the_base_works_on_a_closed_root_and_ends_in_order() {
    let built = build(&["base", "overlays/monitoring"], &[]);
    let container = started(&built, &BTreeMap::new());
    // JSON for whoever collects logs.
    let log = container.log();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    let create = |person: &[&str]| {
        let words = ["/usr/bin/jiyue", "token", "create", "--config", "/etc/jiyue/jiyue.toml"];
        container.exec(&[&words[..], person].concat())
    };
    let authority = create(&["--person", "wang", "--name", "王审", "--unit", "区信息办", "--role", "authority"]);
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let base = format!("http://127.0.0.1:{}", built.port(&json!("http")));
    let post = |path: &str, token: &str, more: &[&str]| {
        fetch(&container, &format!("{base}{path}"), 60, &[&["-H", &bearer(token)][..], more].concat())
    };
    let department = json!({"code": "mzj", "name": "相城区民政局"}).to_string();
    let kind = "content-type: application/json";
    let (status, body) = post("/v1/departments", &authority, &["-H", kind, "-d", &department]);
    assert_eq!(status, 201, "{body}");
    let requester = create(&["--person", "zhang", "--name", "张申", "--role", "requester", "--department", "mzj"]);
    let form = format!("file=@{}", repository().join("samples/feasibility-report.docx").display());
    let (_, body) = post("/v1/requests/check", &requester, &["-F", &form]);
    assert!(body.contains("errors") || body.contains("blocks"), "a report is read in a process of its own: {body}");

    // What Prometheus would read, where the monitor says.
    let endpoint = &built.only("ServiceMonitor")["spec"]["endpoints"][0];
    let service = &built.only("Service")["spec"]["ports"][0];
    assert_eq!(service["name"], endpoint["port"]);
    let path = endpoint["path"].as_str().expect("a path");
    let (status, metrics) =
        fetch(&container, &format!("http://127.0.0.1:{}{path}", built.port(&service["targetPort"])), 10, &[]);
    assert!(status == 200 && metrics.contains("jiyue_"), "{metrics}");

    ends_in_order(&built, &container);
    // What it keeps is on the volume, its own and nobody else's.
    let data = container.folder.join("var-lib-jiyue");
    let key = run(Command::new("stat").args(["-c", "%u %a"]).arg(data.join("secret.key")));
    assert_eq!(key, "10001 600");
    assert!(fs::metadata(data.join("jiyue.db")).expect("the database").len() > 0);
}

/// The secret of the certificate as a kubelet mounts it: the group reads it, and the probes speak HTTPS.
#[test]
fn the_broker_with_tls_is_asked_over_https() {
    let built = build(&["base"], &["components/tls"]);
    let pair = rcgen::generate_simple_self_signed(["jiyue.jiyue.svc".to_owned()]).expect("a pair");
    let secrets = BTreeMap::from([
        ("jiyue-tls/tls.crt", pair.cert.pem()),
        ("jiyue-tls/tls.key", pair.signing_key.serialize_pem()),
    ]);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert!(Probe::of(&built, probe).url.starts_with("https://"), "{probe}");
    }
    let container = started(&built, &secrets);
    let (status, _) = fetch(&container, "http://127.0.0.1:8460/healthz", 5, &[]);
    assert_eq!(status, 400, "plain HTTP is refused");
    ends_in_order(&built, &container);
}
