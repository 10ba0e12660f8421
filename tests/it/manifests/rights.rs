//! What the broker's account may do, verb by verb: asked of the real API server, tried on it, and compared with a golden.

use super::build;
use crate::{goldens::golden, support::control_plane::ControlPlane};
use futures_util::{StreamExt as _, stream};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

/// The verbs of calls, and those that only guards ask about.
const VERBS: [&str; 15] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "bind",
    "escalate",
    "impersonate",
    "approve",
    "sign",
    "attest",
    "use",
];
/// Everywhere; then by namespace: its own, a department's, that of images, the cluster's own, anybody's.
const SCOPES: [&str; 6] = ["", "jiyue", "jiyue-mzj", "jiyue-images", "kube-system", "default"];
const FENCE: &str = "the namespace is not one of the broker's";
const ACCOUNT: &str = "system:serviceaccount:jiyue:jiyue";

/// What a real KubeVirt serves beside what the test can install: asked about by name only.
const NOT_SERVED: &[(&str, &str)] = &[
    (
        "subresources.kubevirt.io",
        "virtualmachines/start stop restart migrate addvolume removevolume memorydump portforward expand-spec",
    ),
    (
        "subresources.kubevirt.io",
        "virtualmachineinstances/vnc console portforward pause unpause freeze softreboot addvolume guestosinfo userlist filesystemlist sev usbredir",
    ),
    ("export.kubevirt.io", "virtualmachineexports"),
    ("cloud.jiyue.io", "resourcerequests/finalizers"),
    ("snapshot.kubevirt.io", "virtualmachinesnapshots virtualmachinerestores"),
    ("clone.kubevirt.io", "virtualmachineclones"),
    (
        "kubevirt.io",
        "kubevirts virtualmachineinstancemigrations virtualmachineinstancepresets virtualmachineinstancereplicasets",
    ),
    (
        "instancetype.kubevirt.io",
        "virtualmachineinstancetypes virtualmachineclusterinstancetypes virtualmachinepreferences",
    ),
    ("cdi.kubevirt.io", "datavolumes/source datasources dataimportcrons cdis storageprofiles"),
    ("upload.cdi.kubevirt.io", "uploadtokenrequests"),
    ("k8s.cni.cncf.io", "network-attachment-definitions"),
    ("metrics.k8s.io", "pods nodes"),
];

/// Definitions by name, so that calls reach them: here it is asked who may call, not what is sent.
fn stand_ins() -> String {
    let all = [
        ("kubevirt.io", "virtualmachines", "VirtualMachine", true),
        ("kubevirt.io", "virtualmachineinstances", "VirtualMachineInstance", true),
        ("cdi.kubevirt.io", "datavolumes", "DataVolume", true),
        ("cloud.jiyue.io", "resourcerequests", "ResourceRequest", true),
        ("cloud.jiyue.io", "machines", "Machine", true),
        ("cloud.jiyue.io", "taskbooks", "TaskBook", false),
    ];
    let each = all.map(|(group, plural, kind, namespaced)| {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group, "scope": if namespaced { "Namespaced" } else { "Cluster" },
                "names": {"plural": plural, "singular": plural.trim_end_matches('s'), "kind": kind},
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                }],
            },
        })
    });
    json!({"apiVersion": "v1", "kind": "List", "items": each}).to_string()
}

/// Something that may be acted on: where it is served, if it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Resource {
    group: String,
    /// With its subresource, as in `pods/exec`.
    name: String,
    namespaced: bool,
    /// The folder of its API, and the verbs that it answers to.
    served: Option<(String, Vec<String>)>,
}

impl Resource {
    fn shown(&self) -> String {
        if self.group.is_empty() { self.name.clone() } else { format!("{}/{}", self.group, self.name) }
    }

    /// A namespace is asked for both ways: among all, and as the place that it is.
    fn scopes(&self) -> impl Iterator<Item = &'static str> {
        let by_namespace = self.namespaced || self.name.split('/').next() == Some("namespaces");
        SCOPES.into_iter().filter(move |scope| scope.is_empty() || by_namespace)
    }
}

/// The account's way in.
#[derive(Clone)]
struct Door {
    http: Client,
    server: String,
    token: String,
}

impl Door {
    fn new(plane: &ControlPlane, token: &str) -> Self {
        let ca = Certificate::from_pem(&fs::read(plane.folder.join("ca.crt")).expect("the CA")).expect("PEM");
        jiyue::client::install_ciphers();
        let http = Client::builder().tls_certs_only([ca]).no_proxy().build().expect("a client");
        let config = fs::read_to_string(plane.folder.join("admin.kubeconfig")).expect("a kubeconfig");
        let config: Value = serde_json::from_str(&config).expect("JSON");
        let server = config["clusters"][0]["cluster"]["server"].as_str().expect("an address").to_owned();
        Self { http, server, token: token.trim().to_owned() }
    }

    async fn call(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let mut call = self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.token);
        if let Some(body) = body {
            call = call.header("content-type", kind).body(body.to_string());
        }
        let answer = call.send().await.expect("the API server answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn review(&self, attributes: &Value) -> bool {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": attributes,
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (status, answer) = self.call(Method::POST, path, "application/json", Some(&body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["status"]["allowed"] == true
    }

    /// In the server's own judgement.
    async fn may(&self, resource: &Resource, scope: &str, verb: &str) -> bool {
        let (name, sub) = resource.name.split_once('/').unwrap_or((&resource.name, ""));
        let group = &resource.group;
        let attributes =
            json!({"group": group, "resource": name, "subresource": sub, "namespace": scope, "verb": verb});
        self.review(&json!({"resourceAttributes": attributes})).await
    }

    /// Really tried, on something that is not there and without leaving a trace: whether the door was shut. `None` where no
    /// call stands for the verb.
    async fn refused(&self, resource: &Resource, scope: &str, verb: &str) -> Option<bool> {
        let (folder, verbs) = resource.served.as_ref()?;
        if !verbs.iter().any(|served| served == verb) {
            return None;
        }
        let (name, sub) = resource.name.split_once('/').unwrap_or((&resource.name, ""));
        let whole = matches!(verb, "list" | "watch" | "deletecollection") || (verb == "create" && sub.is_empty());
        // An object of a namespace is in one; all of them together are in none.
        if resource.namespaced && scope.is_empty() && !matches!(verb, "list" | "watch") {
            return None;
        }
        let is_namespace = name == "namespaces" && !scope.is_empty();
        if is_namespace && whole {
            return None;
        }
        let place = if scope.is_empty() || is_namespace { String::new() } else { format!("/namespaces/{scope}") };
        let mut path = format!("{folder}{place}/{name}");
        if !whole {
            write!(path, "/{}", if is_namespace { scope } else { "nothing-of-this-name" }).expect("a path");
        }
        if !sub.is_empty() {
            write!(path, "/{sub}").expect("a path");
        }
        let (json, merge) = ("application/json", "application/merge-patch+json");
        let nothing = json!({});
        let (method, query, kind, body) = match verb {
            "get" | "list" => (Method::GET, "?limit=1", json, None),
            "watch" => (Method::GET, "?watch=true&timeoutSeconds=1", json, None),
            "create" => (Method::POST, "?dryRun=All", json, Some(&nothing)),
            "update" => (Method::PUT, "?dryRun=All", json, Some(&nothing)),
            "patch" => (Method::PATCH, "?dryRun=All", merge, Some(&nothing)),
            "delete" | "deletecollection" => (Method::DELETE, "?dryRun=All", json, None),
            _ => return None,
        };
        let (status, answer) = self.call(method, &format!("{path}{query}"), kind, body).await;
        // Only the authorizer says who cannot; behind it stands the fence, which is another matter.
        let told = answer["message"].as_str().unwrap_or_default();
        let cannot = told.contains(&format!("\"{ACCOUNT}\" cannot "));
        let fenced = told.contains("'jiyue-fence' with binding 'jiyue-fence' denied request");
        assert_eq!(status == StatusCode::FORBIDDEN, cannot || fenced, "{verb} {path}: {answer}");
        Some(cannot)
    }
}

/// Everything that the server serves, and what it would serve with KubeVirt.
async fn resources(admin: &Door) -> Vec<Resource> {
    let mut folders = vec![(String::new(), "/api/v1".to_owned())];
    let (_, groups) = admin.call(Method::GET, "/apis", "", None).await;
    for group in groups["groups"].as_array().expect("groups") {
        let name = group["name"].as_str().expect("a name");
        for version in group["versions"].as_array().expect("versions") {
            folders.push((name.to_owned(), format!("/apis/{}", version["groupVersion"].as_str().expect("a version"))));
        }
    }
    let mut all: BTreeMap<(String, String), Resource> = BTreeMap::new();
    for (group, folder) in folders {
        let (status, list) = admin.call(Method::GET, &folder, "", None).await;
        assert_eq!(status, StatusCode::OK, "{folder}");
        for resource in list["resources"].as_array().expect("resources") {
            let name = resource["name"].as_str().expect("a name").to_owned();
            let verbs: Vec<String> = serde_json::from_value(resource["verbs"].clone()).expect("verbs");
            let namespaced = resource["namespaced"] == true;
            // The first version stands for all: rights know no versions.
            all.entry((group.clone(), name.clone())).or_insert_with(|| Resource {
                group: group.clone(),
                name,
                namespaced,
                served: Some((folder.clone(), verbs)),
            });
        }
    }
    assert!(all.len() > 100, "{}", all.len());
    for (group, names) in NOT_SERVED {
        let (parent, names) = names.split_once('/').map_or(("", *names), |(parent, subs)| (parent, subs));
        for name in names.split(' ') {
            let name = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
            let group = (*group).to_owned();
            all.entry((group.clone(), name.clone())).or_insert(Resource {
                group,
                name,
                namespaced: true,
                served: None,
            });
        }
    }
    all.into_values().collect()
}

/// By scope and resource, the verbs that are allowed.
type Rights = BTreeMap<&'static str, BTreeMap<String, BTreeSet<&'static str>>>;

/// What is allowed everywhere, and then what is besides in each namespace.
fn table(rights: &Rights) -> String {
    let mut text = String::new();
    let everywhere = &rights[""];
    for scope in SCOPES {
        let lines: Vec<_> = rights[scope]
            .iter()
            .filter_map(|(resource, verbs)| {
                let known = everywhere.get(resource).filter(|_| !scope.is_empty());
                let verbs: Vec<_> = VERBS
                    .into_iter()
                    .filter(|verb| verbs.contains(verb) && !known.is_some_and(|k| k.contains(verb)))
                    .collect();
                (!verbs.is_empty()).then(|| format!("  {resource}: {}\n", verbs.join(" ")))
            })
            .collect();
        let title = if scope.is_empty() { "everywhere".to_owned() } else { format!("in {scope}, besides") };
        let lines = if lines.is_empty() { "  nothing\n".to_owned() } else { lines.concat() };
        write!(text, "{title}\n{lines}").expect("text");
    }
    text
}

/// As they are asked for by paths that are no resource's.
const PATHS: [&str; 12] = [
    "/",
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/readyz",
    "/version",
    "/openapi/v3",
    "/metrics",
    "/logs/",
    "/debug/pprof/",
    "/configz",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_account_may_do_what_the_golden_says_and_nothing_else() {
    let plane = ControlPlane::start().await;
    plane.done("admin", &["apply", "--server-side", "-f", "-"], &stand_ins());
    plane.done("admin", &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
    let given = build(&["base", "overlays/kubevirt"], &[]);
    plane.done("admin", &["apply", "--server-side", "--validate=strict", "-f", "-"], &given.text);
    let token = |user: &str| plane.done("admin", &["create", "token", user, "-n", "jiyue", "--duration=1h"], "");
    let account = token("jiyue");
    plane.kubeconfig_by_token("account", account.trim());
    fence_stands(&plane).await;
    plane.done("admin", &["create", "serviceaccount", "walker", "-n", "jiyue"], "");
    let walker = ["--clusterrole=cluster-admin", "--serviceaccount=jiyue:walker"];
    plane.done("admin", &[&["create", "clusterrolebinding", "walker"][..], &walker].concat(), "");
    let (door, admin) = (Door::new(&plane, &account), Door::new(&plane, &token("walker")));

    let began = Instant::now();
    let all = resources(&admin).await;
    let questions: Vec<_> = all
        .iter()
        .flat_map(|resource| resource.scopes().flat_map(move |scope| VERBS.map(|verb| (resource.clone(), scope, verb))))
        .collect();
    let count = questions.len();
    let answers: Vec<_> = stream::iter(questions)
        .map(|(resource, scope, verb)| {
            let door = door.clone();
            async move {
                let allowed = door.may(&resource, scope, verb).await;
                let refused = door.refused(&resource, scope, verb).await;
                (resource, scope, verb, allowed, refused)
            }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    let mut rights: Rights = SCOPES.into_iter().map(|scope| (scope, BTreeMap::new())).collect();
    let (mut tried, mut shut) = (0, 0);
    let mut otherwise = Vec::new();
    for (resource, scope, verb, allowed, refused) in answers {
        if let Some(refused) = refused {
            tried += 1;
            shut += u32::from(refused);
            if refused == allowed {
                otherwise.push(format!("{verb} {} in {scope:?}", resource.shown()));
            }
        }
        if allowed {
            rights.get_mut(scope).expect("a scope").entry(resource.shown()).or_default().insert(verb);
        }
    }
    let mut text = table(&rights);
    text.push_str("paths\n");
    for path in PATHS {
        let may = door.review(&json!({"nonResourceAttributes": {"path": path, "verb": "get"}})).await;
        let (status, _) = door.call(Method::GET, path, "", None).await;
        assert_eq!(status != StatusCode::FORBIDDEN, may, "{path}");
        if may {
            writeln!(text, "  {path}").expect("text");
        }
    }
    let resources = all.len();
    eprintln!("{resources} resources, {count} questions, {tried} calls, {shut} refused, in {:.1?}", began.elapsed());
    assert_eq!(otherwise, [""; 0], "what the server says of a verb and what it does differ");
    assert!(shut > 2000, "{shut}");
    golden("cluster_rights", &text);
    for word in
        ["vnc", "console", "portforward", "export", "exec", "impersonate", "escalate", "bind", "token", "datavolumes"]
    {
        assert!(!text.contains(word), "{word}");
    }
    acts(&plane, &door).await;
}

/// A policy counts some moments after it was applied. Then the department's namespace is made, by the broker as always.
async fn fence_stands(plane: &ControlPlane) {
    let began = Instant::now();
    while plane
        .kubectl_with("account", &["create", "--dry-run=server", "-f", "-"], &namespace("x", ""))
        .status
        .success()
    {
        assert!(began.elapsed() < Duration::from_secs(60), "the fence never stood");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    plane.done("account", &["create", "-f", "-"], &namespace("jiyue-mzj", "jiyue"));
}

/// A few of the acts themselves: what is granted is done, and beyond the fence it is refused.
async fn acts(plane: &ControlPlane, door: &Door) {
    let object = |version: &str, kind: &str, namespace: &str, more: Value| {
        let mut object =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": namespace}});
        object.as_object_mut().expect("an object").extend(more.as_object().expect("fields").clone());
        object.to_string()
    };
    let made = |namespace: &str| {
        [
            object("v1", "Secret", namespace, json!({"stringData": {"userdata": "x"}})),
            object("v1", "ResourceQuota", namespace, json!({"spec": {"hard": {"pods": "9"}}})),
            object("v1", "LimitRange", namespace, json!({"spec": {"limits": []}})),
            object("networking.k8s.io/v1", "NetworkPolicy", namespace, json!({"spec": {"podSelector": {}}})),
            object("kubevirt.io/v1", "VirtualMachine", namespace, json!({"spec": {"runStrategy": "Halted"}})),
        ]
    };
    let apply = ["apply", "--server-side", "-f", "-"];
    let refused = |args: &[&str], input: &str, why: &str| {
        let out = plane.kubectl_with("account", args, input);
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && told.contains(why), "{args:?} {input}: {told}");
    };
    for text in made("jiyue-mzj") {
        // Twice: made, then changed.
        plane.done("account", &apply, &text);
        plane.done("account", &apply, &text.replace("\"9\"", "\"8\""));
    }
    let secret = ["get", "secret", "x", "-n", "jiyue-mzj", "-o", "jsonpath={.data.userdata}"];
    assert_eq!(plane.done("account", &secret, ""), "eA==");
    plane.done("account", &["delete", "secret", "x", "-n", "jiyue-mzj", "--wait=false"], "");
    plane.done("account", &["delete", "virtualmachine", "x", "-n", "jiyue-mzj", "--wait=false"], "");
    for namespace in ["kube-system", "default", "jiyue", "jiyue-images"] {
        for text in made(namespace) {
            refused(&apply, &text, FENCE);
            // What somebody else has made there, it neither changes, and so reads, nor deletes.
            plane.done("admin", &apply, &text);
            refused(&[&apply[..], &["--force-conflicts"]].concat(), &text.replace("\"9\"", "\"8\""), FENCE);
        }
        refused(&["delete", "secret", "x", "-n", namespace], "", FENCE);
        refused(&["delete", "virtualmachine", "x", "-n", namespace], "", FENCE);
        refused(&["label", "namespace", namespace, "app.kubernetes.io/managed-by=jiyue"], "", "cannot patch");
        refused(&["delete", "namespace", namespace], "", "cannot delete");
    }
    let create = ["create", "-f", "-"];
    refused(&create, &namespace("jiyue-x", ""), "makes namespaces of its own");
    refused(&create, &namespace("jiyue-images-2", "somebody"), "makes namespaces of its own");
    refused(&create, &namespace("other", "jiyue"), "makes namespaces of its own");

    let request = object("cloud.jiyue.io/v1", "ResourceRequest", "jiyue-mzj", json!({"spec": {}}));
    // A mirror of what came by another way is made, once, and never replaced.
    plane.done("account", &create, &request);
    refused(&["replace", "-f", "-"], &request, "cannot update");
    // As the controller does it: without reading first.
    let path = "/apis/cloud.jiyue.io/v1/namespaces/jiyue-mzj/resourcerequests/x";
    let phase = json!({"status": {"phase": "x"}});
    let finalizer = json!({"metadata": {"finalizers": ["cloud.jiyue.io/bin"]}});
    for (path, change) in [(format!("{path}/status"), phase), (path.to_owned(), finalizer)] {
        let (status, answer) = door.call(Method::PATCH, &path, "application/merge-patch+json", Some(&change)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    refused(&["delete", "resourcerequest", "x", "-n", "jiyue-mzj"], "", "cannot delete");
}

fn namespace(name: &str, manager: &str) -> String {
    let labels = if manager.is_empty() { json!({}) } else { json!({"app.kubernetes.io/managed-by": manager}) };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}).to_string()
}
