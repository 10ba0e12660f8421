//! Every composition on the real API server: strictly, under the strictest pod security, and a second time without a change.

use super::{Built, COMPOSITIONS, build};
use crate::support::control_plane::ControlPlane;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The fields of a `ServiceMonitor` that we send, and no others: the operator's own definition is not to be had here. That it
/// has these fields is known from its documentation only.
const SERVICE_MONITORS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {plural: servicemonitors, singular: servicemonitor, kind: ServiceMonitor}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [selector, endpoints]
              properties:
                selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}
                endpoints:
                  type: array
                  items:
                    type: object
                    properties:
                      port: {type: string}
                      path: {type: string}
                      scheme: {type: string, enum: [http, https]}
                      interval: {type: string, pattern: '^([0-9]+s)$'}
                      scrapeTimeout: {type: string, pattern: '^([0-9]+s)$'}
                      tlsConfig:
                        type: object
                        properties:
                          serverName: {type: string}
                          ca: {type: object, properties: {secret: {type: object, required: [name, key], properties: {name: {type: string}, key: {type: string}}}}}
";

/// The fields of a `PrometheusRule` that we send, in the same way.
const PROMETHEUS_RULES: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheusrules.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {plural: prometheusrules, singular: prometheusrule, kind: PrometheusRule}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                groups:
                  type: array
                  items:
                    type: object
                    required: [name]
                    properties:
                      name: {type: string, minLength: 1}
                      rules:
                        type: array
                        items:
                          type: object
                          required: [expr]
                          properties:
                            record: {type: string}
                            alert: {type: string}
                            expr: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                            for: {type: string, pattern: '^(0|(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?)$'}
                            labels: {type: object, additionalProperties: {type: string}}
                            annotations: {type: object, additionalProperties: {type: string}}
";

/// As `kubectl apply --server-side` is used by hand; what it said.
fn apply(plane: &ControlPlane, text: &str, more: &[&str]) -> Result<String, String> {
    let args = [&["apply", "--server-side", "--validate=strict", "-f", "-"][..], more].concat();
    let out = plane.kubectl_with("admin", &args, text);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    if out.status.success() { Ok(String::from_utf8_lossy(&out.stdout).into_owned() + &told) } else { Err(told) }
}

/// The objects as they are kept, without what controllers write to them.
fn kept(plane: &ControlPlane, built: &Built) -> Vec<Value> {
    let text = plane.done("admin", &["get", "-f", "-", "-o", "json", "--show-managed-fields"], &built.text);
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let mut objects = list["items"].as_array().expect("a list").clone();
    assert_eq!(objects.len(), built.objects.len());
    for object in &mut objects {
        if object["kind"] == "Deployment" {
            object["metadata"]["annotations"] = Value::Null;
        }
        let controlled = !object["status"].is_null() || object["kind"] == "ValidatingAdmissionPolicy";
        if controlled {
            object["status"] = Value::Null;
            object["metadata"]["resourceVersion"] = Value::Null;
            let managers = object["metadata"]["managedFields"].as_array_mut().expect("managers");
            managers.retain(|manager| manager["manager"] == "kubectl");
            // An apply that meets a controller's write on its way is tried anew, at a new time.
            for manager in managers {
                manager["time"] = Value::Null;
            }
        }
    }
    objects
}

/// Waits until the controllers have asked for a pod, which the namespace's pod security has then let in.
async fn has_a_pod(plane: &ControlPlane, kind: &str) {
    let began = Instant::now();
    loop {
        let text = plane.done("admin", &["get", "pods", "-n", "jiyue", "-o", "json"], "");
        let pods: Value = serde_json::from_str(&text).expect("JSON");
        let of_kind = |pod: &&Value| {
            let owner = pod["metadata"]["ownerReferences"][0]["kind"].as_str();
            owner == Some(if kind == "Deployment" { "ReplicaSet" } else { kind })
        };
        let count = pods["items"].as_array().expect("pods").iter().filter(of_kind).count();
        if count >= if kind == "Deployment" { 3 } else { 1 } {
            return;
        }
        let events = || plane.done("admin", &["get", "events", "-n", "jiyue"], "");
        assert!(began.elapsed() < Duration::from_secs(60), "{count} pods of a {kind}: {}", events());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_composition_is_taken_whole_and_changes_nothing_the_second_time() {
    let plane = ControlPlane::start().await;
    for definition in [SERVICE_MONITORS, PROMETHEUS_RULES] {
        apply(&plane, definition, &[]).expect("a definition");
    }
    plane.done("admin", &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
    // Whatever a cluster has by default: a namespace of one's own policy is not undone by it.
    let began = Instant::now();
    for (resources, components) in COMPOSITIONS {
        let built = build(resources, components);
        apply(&plane, &built.text, &[]).unwrap_or_else(|told| panic!("{resources:?}: {told}"));
        let kind = built.workload()["kind"].as_str().expect("a kind");
        has_a_pod(&plane, kind).await;
        let first = kept(&plane, &built);
        let told = apply(&plane, &built.text, &[]).expect("a second time");
        assert!(!told.contains("Warning"), "{resources:?}: {told}");
        for (now, before) in kept(&plane, &built).iter().zip(&first) {
            assert_eq!(now, before, "{resources:?}: the second time changed something");
        }
        pods_are_judged(&plane, &built);
        slips_are_refused(&plane, &built);
    }
    eprintln!("{} compositions in {:.1?}", COMPOSITIONS.len(), began.elapsed());
}

/// The template as a pod by itself: pod security judges it as it stands, and without any one of the settings it asks for.
fn pods_are_judged(plane: &ControlPlane, built: &Built) {
    let pod = |spec: &Value| {
        let meta = json!({"name": "judged", "namespace": "jiyue"});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}).to_string()
    };
    let judged = |spec: &Value| apply(plane, &pod(spec), &["--dry-run=server"]);
    // Claims of a template are volumes only once its controller has made them.
    let mut spec = built.pod().clone();
    for claim in built.workload()["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let name = claim["metadata"]["name"].as_str().expect("a name");
        let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": format!("{name}-jiyue-0")}});
        spec["volumes"].as_array_mut().expect("volumes").push(volume);
    }
    let told = judged(&spec).expect("as it stands");
    assert!(!told.contains("Warning"), "{told}");
    for path in [
        "/securityContext/runAsNonRoot",
        "/securityContext/seccompProfile",
        "/containers/0/securityContext/allowPrivilegeEscalation",
        "/containers/0/securityContext/capabilities",
    ] {
        let mut lax = spec.clone();
        let (parent, key) = path.rsplit_once('/').expect("a path");
        let removed = lax.pointer_mut(parent).and_then(Value::as_object_mut).and_then(|object| object.remove(key));
        assert!(removed.is_some(), "{path}");
        let told = judged(&lax).expect_err(path);
        assert!(told.contains("violates PodSecurity \"restricted:latest\""), "{path}: {told}");
    }
    // What pod security does not ask for, and we do.
    let container = built.container();
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert!(spec["securityContext"]["runAsUser"].as_u64().is_some_and(|user| user >= 10_000));
    for resource in ["requests", "limits"] {
        assert!(container["resources"][resource]["memory"].is_string(), "{resource}");
    }
}

/// Strict means strict: a field that nobody knows is refused.
fn slips_are_refused(plane: &ControlPlane, built: &Built) {
    for (right, wrong) in [("terminationGracePeriodSeconds", "terminationGraceSeconds"), ("podSelector", "podSelektor")]
    {
        assert!(built.text.contains(right));
        let told = apply(plane, &built.text.replace(right, wrong), &["--dry-run=server"]).expect_err(wrong);
        assert!(told.contains(wrong), "{told}");
    }
}
