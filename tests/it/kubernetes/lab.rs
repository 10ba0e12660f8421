//! A real control plane and a real broker that listens to it. What the broker builds on is the simulated provider: nothing
//! boots in these tests.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    control_plane::ControlPlane,
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often something is tried, by an environment variable or else as `make test` does.
pub fn times(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

pub const LIMIT: Duration = Duration::from_secs(90);

pub struct Lab {
    pub plane: ControlPlane,
    pub setup: Setup,
    pub brokers: Vec<Broker>,
    pub cast: Cast,
}

impl Lab {
    /// `zhang` may do what a project team may, in the namespace `mzj`; the broker what `src/k8s/mod.rs` says it needs.
    pub async fn start(on: On, adjust: impl Fn(Setup) -> Setup) -> Self {
        Self::start_by(on, adjust, async |plane| (plane.kubeconfig("jiyue", None), ())).await.0
    }

    /// The same, with a way in of one's own: its kubeconfig, and what has to be kept of it.
    pub async fn start_by<T>(
        on: On,
        adjust: impl Fn(Setup) -> Setup,
        way_in: impl AsyncFnOnce(&ControlPlane) -> (PathBuf, T),
    ) -> (Self, T) {
        let plane = ControlPlane::start().await;
        let setup = adjust(Setup::new(on));
        let crd = setup.cli(None, "", &["crd"]);
        assert!(crd.status.success());
        plane.done("admin", &["apply", "--server-side", "-f", "-"], &String::from_utf8(crd.stdout).unwrap());
        plane.done("admin", &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
        for (namespace, code) in [("mzj", Some("mzj")), ("jyj", Some("jyj")), ("ours", None), ("lost", Some("nobody"))]
        {
            plane.done("admin", &["create", "namespace", namespace], "");
            if let Some(code) = code {
                let label = format!("cloud.jiyue.io/department={code}");
                plane.done("admin", &["label", "namespace", namespace, &label], "");
            }
        }
        plane.done("admin", &["apply", "-f", "-"], &roles().to_string());
        plane.kubeconfig("zhang", None);
        let (kubeconfig, kept) = way_in(&plane).await;
        configure(&kubeconfig, &setup);
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 5000, "vcpu": 5000, "memory": "4000 GiB", "disk": "20000 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        broker.simulated_host(&cast, "sim").await;
        broker.image(&cast, broker::raw_image()).await;
        (Self { plane, setup, brokers: vec![broker], cast }, kept)
    }

    pub fn broker(&self) -> &Broker {
        &self.brokers[0]
    }

    /// As `zhang` applies it.
    #[track_caller]
    pub fn apply(&self, object: &Value) -> String {
        self.plane.done("zhang", &["apply", "-f", "-"], &object.to_string())
    }

    /// The words of a refusal; panics where there is none.
    #[track_caller]
    pub fn refused(&self, user: &str, args: &[&str], input: &str) -> String {
        let out = self.plane.kubectl_with(user, args, input);
        assert!(!out.status.success(), "not refused: {args:?} {input}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    }

    pub fn object(&self, name: &str) -> Option<Value> {
        self.plane.read(&format!("/apis/cloud.jiyue.io/v1alpha1/namespaces/mzj/resourcerequests/{name}"))
    }

    /// Waits until the object is as wished.
    #[track_caller]
    pub fn until(&self, name: &str, wish: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let object = self.object(name).unwrap_or_default();
            if wish(&object) {
                return object;
            }
            let log: Vec<_> = self.brokers.iter().map(|broker| tail(&broker.log())).collect();
            assert!(began.elapsed() < LIMIT, "{name} never was as wished: {object:#}\n{}", log.join("\n—\n"));
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    #[track_caller]
    pub fn until_phase(&self, name: &str, phase: &str) -> Value {
        self.until(name, |object| object["status"]["phase"] == phase)
    }

    /// Waits until all its machines run and were handed over: they run before that.
    #[track_caller]
    pub fn until_ready(&self, name: &str) -> Value {
        self.until(name, |object| condition(object, "Ready").0 == "True" && object["status"]["phase"] == "Delivered")
    }

    #[track_caller]
    pub fn until_gone(&self, name: &str) {
        self.until(name, Value::is_null);
    }

    /// Approves the request that an object has become, where requests are approved.
    pub async fn approve(&self, object: &Value) -> Value {
        let id = object["status"]["requestId"].as_str().expect("a request");
        let path = format!("/v1/requests/{id}/approve");
        self.broker().post(&path, &self.cast.authority, &json!({})).await.expect(202)
    }

    /// Another broker in the place of the first one, with more settings.
    pub fn restart(&mut self, adjust: impl Fn(Setup) -> Setup) {
        drop(self.brokers.remove(0));
        self.brokers.insert(0, Broker::spawn(adjust(self.setup.clone())));
    }

    /// All machines that there are, in whatever state.
    pub async fn machines(&self) -> i64 {
        self.sql().await.number("select count(*) from machines").await
    }

    pub async fn sql(&self) -> Sql {
        Sql::reading(&self.setup.database_url).await
    }

    /// Whatever befell: each object is one request that holds, and no request has machines beyond what it asked for.
    pub async fn is_once(&self) {
        let mut sql = self.sql().await;
        for (what, statement) in [
            (
                "objects that are two requests which hold",
                "select cast(count(*) as text) from (select domain_objects.name \
              from (select submissions.name as name from requests join submissions on submissions.id = submission_id \
              where requests.state in ('submitted', 'approved', 'delivered') and submissions.name like '%.mzj.json') \
              as domain_objects group by domain_objects.name having count(*) > 1) as twice",
            ),
            (
                "requests with more machines than asked for",
                "select cast(count(*) as text) from (select request_id from \
              machines group by request_id having count(*) > 1) as more",
            ),
        ] {
            assert_eq!(sql.rows(statement).await, [["0"]], "{what}");
        }
        assert_eq!(sql.faults().await, [""; 0]);
    }
}

/// The end of a log.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().rev().take(25).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// The broker's way into the cluster, and its settings.
pub fn configure(kubeconfig: &Path, setup: &Setup) {
    let text = format!("[kubernetes]\nkubeconfig = \"{}\"\nstuck_seconds = 5\n", kubeconfig.display());
    std::fs::write(setup.folder.join("config.toml"), text).expect("a configuration");
}

/// What the broker may, as `src/k8s/mod.rs` lists it, and what a project team may.
fn roles() -> Value {
    let group = "cloud.jiyue.io";
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let role = |kind: &str, name: &str, namespace: Option<&str>, rules: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace}, "rules": rules})
    };
    let bind = |kind: &str, of: &str, name: &str, namespace: Option<&str>| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": of, "name": name},
            "subjects": [{"kind": "User", "name": if of == "Role" { "zhang" } else { "jiyue" }}]})
    };
    let all = ["get", "list", "watch", "create", "update", "patch", "delete"];
    json!({"apiVersion": "v1", "kind": "List", "items": [
        role("ClusterRole", "jiyue", None, json!([
            rule("", &["namespaces"], &["list", "watch"]),
            rule(group, &["resourcerequests"], &["get", "list", "watch", "create", "patch"]),
            rule(group, &["resourcerequests/status", "machines/status", "taskbooks/status"], &["patch"]),
            rule(group, &["resourcerequests/finalizers"], &["update"]),
            rule(group, &["machines", "taskbooks"], &["list", "watch", "create", "patch"]),
        ])),
        bind("ClusterRoleBinding", "ClusterRole", "jiyue", None),
        role("ClusterRole", "books", None, json!([rule(group, &["taskbooks"], &["get", "list", "watch"])])),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "books"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "books"},
            "subjects": [{"kind": "User", "name": "zhang"}]}),
        role("Role", "team", Some("mzj"), json!([
            rule(group, &["resourcerequests"], &all),
            rule(group, &["machines"], &["get", "list", "watch"]),
        ])),
        bind("RoleBinding", "Role", "team", Some("mzj")),
    ]})
}

/// A request of one machine; the number makes it unlike the others.
pub fn request(name: &str, number: usize) -> Value {
    json!({
        "apiVersion": "cloud.jiyue.io/v1alpha1",
        "kind": "ResourceRequest",
        "metadata": {"name": name, "namespace": "mzj"},
        "spec": {
            "taskBook": "相信任〔2026〕17号",
            "vmCount": 1,
            "cpuCount": 1,
            "memory": "128Mi",
            "disk": "2Gi",
            "osType": "debian-12",
            "dbType": "none",
            "noDomainReason": "仅供本项目内部调用",
            "workloadDescription": format!("民政综合业务管理平台第 {number} 组"),
            "networkZone": "government_extranet",
            "secrecyLevel": "none",
            "mlpsLevel": 2,
            "deployMilestone": "2035-06-30",
            "omPeriodMonths": 36,
            "omUnit": {"name": "相城区民政局信息中心", "contact": "联系人 0512-00000000"},
            "sshKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMBOF11sz54+bPZs6DViXtHXPljimFjdnCDOdz0c5uq6"],
        },
    })
}

/// A condition's status and reason.
pub fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let all = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|condition| condition["type"] == kind);
    found.map_or(("", ""), |c| (c["status"].as_str().unwrap_or_default(), c["reason"].as_str().unwrap_or_default()))
}
