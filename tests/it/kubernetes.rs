//! On a real Kubernetes control plane.

mod crowd;
mod definitions;
mod faults;
pub mod gate;
mod hostile;
mod lab;
mod mirrors;
mod requests;
mod stale;
mod two;

use crate::support::control_plane::ControlPlane;
use std::time::{Duration, Instant};

/// What the tests of this file rest on is there: controllers act, the scheduler judges, and nobody may do what no role gives.
#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_is_a_whole_one() {
    let mut plane = ControlPlane::start().await;
    let version = plane.done("admin", &["version", "-o", "json"], "");
    assert!(version.contains("\"gitVersion\": \"v1.36."), "{version}");

    plane.done("admin", &["create", "namespace", "mzj"], "");
    plane.kubeconfig("zhang", None);
    let refused = plane.kubectl("zhang", &["get", "configmaps", "-n", "mzj"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("forbidden"), "{refused:?}");

    // The controller manager writes what a quota allows; the scheduler says that there is no node.
    let until = async |plane: &ControlPlane, args: &[&str], wanted: &str| {
        let began = Instant::now();
        loop {
            let told = plane.done("admin", args, "");
            if told.contains(wanted) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{args:?} never told {wanted}: {told}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    plane.done("admin", &["create", "quota", "q", "-n", "mzj", "--hard=count/configmaps=3"], "");
    until(&plane, &["get", "serviceaccounts", "-n", "default", "-o", "name"], "serviceaccount/default").await;
    plane.done("admin", &["run", "p", "-n", "default", "--image=none"], "");
    until(&plane, &["get", "quota", "q", "-n", "mzj", "-o", "jsonpath={.status.hard}"], "count/configmaps").await;
    until(&plane, &["get", "pod", "p", "-o", "jsonpath={.status.conditions}"], "no nodes available").await;
    let token = plane.done("admin", &["create", "token", "default", "-n", "mzj"], "");
    plane.kubeconfig_by_token("account", token.trim());
    let whoami = plane.done("account", &["auth", "whoami"], "");
    assert!(whoami.contains("system:serviceaccount:mzj:default"), "{whoami}");

    // An API server that was gone comes back with what it knew.
    plane.kill("kube-apiserver");
    assert!(!plane.kubectl("admin", &["get", "namespaces"]).status.success());
    plane.revive().await;
    assert!(plane.done("admin", &["get", "namespaces", "-o", "name"], "").contains("namespace/mzj"));
}
