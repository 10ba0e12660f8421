//! The provider by itself, against the API server.

use super::{
    lab::{self, Lab},
    player::{Player, client, say},
};
use crate::kubernetes::gate::Gate;
use jiyue::{
    ids::OperationId,
    provider::{
        Estate, Intent, Observed, Part, Power, Provider, ProviderError, Stop,
        kubevirt::{ClusterSettings, KubevirtCluster},
    },
    units::Bytes,
};
use serde_json::{Value, json};
use std::time::Duration;

const SPACE: &str = "jiyue-mzj";

fn intent(name: &str, number: u8) -> Intent {
    lab::intent("mzj", name, [0, number])
}

fn estate(intent: &Intent) -> Estate {
    Estate {
        tenancy: intent.tenancy.clone().unwrap(),
        machines: 3,
        vcpu: 16,
        memory: Bytes::gib(64).unwrap(),
        disk: Bytes::gib(500).unwrap(),
        range: "10.244.0.0/16".parse().unwrap(),
    }
}

/// Repeats what may go away by itself, for a while.
async fn ensure(cluster: &KubevirtCluster, part: Part, intent: &Intent) -> Result<(), ProviderError> {
    for _ in 0..100 {
        match cluster.ensure(part, intent).await {
            Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(100)).await,
            done => return done,
        }
    }
    cluster.ensure(part, intent).await
}

async fn build(cluster: &KubevirtCluster, intent: &Intent) {
    cluster.settle_in(&estate(intent)).await.unwrap();
    for part in Part::ALL {
        ensure(cluster, part, intent).await.unwrap_or_else(|error| panic!("{part}: {error:?}"));
    }
}

async fn remove(cluster: &KubevirtCluster, intent: &Intent) -> Result<(), ProviderError> {
    for part in Part::ALL.into_iter().rev() {
        // The cluster's own collector takes its time to know of new kinds.
        let mut left = 900;
        loop {
            match cluster.remove(part, intent).await {
                Err(error) if error.is_transient() && left > 0 => left -= 1,
                done => break done?,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// Each part twice, by two brokers; then everything that becomes of a machine, and that nothing is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_built_changed_and_removed_under_the_role_alone() {
    let lab = Lab::start().await;
    lab.storage_class();
    println!("the definitions are KubeVirt's own: {}", lab.genuine);
    let (cluster, machine) = (lab.provider(), intent("gw-web-1", 5));
    assert_eq!(cluster.examine().await.unwrap(), [""; 0]);
    // Without its image nothing is begun.
    let missing = cluster.ensure(Part::Image, &machine).await.unwrap_err();
    assert!(!missing.is_transient() && missing.to_string().contains("image-abab"), "{missing}");
    assert_eq!(cluster.images().await.unwrap(), [""; 0]);
    lab.image(&machine.image.sha256).await;
    for _ in 0..100 {
        // The watch tells it in a moment.
        if cluster.images().await.unwrap() == std::slice::from_ref(&machine.image.sha256) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(cluster.images().await.unwrap(), std::slice::from_ref(&machine.image.sha256));

    let player = Player::begin(&lab.plane.folder.join("admin.kubeconfig")).await;
    cluster.settle_in(&estate(&machine)).await.unwrap();
    for part in Part::ALL {
        ensure(&cluster, part, &machine).await.unwrap_or_else(|error| panic!("{part}: {error:?}"));
        ensure(&lab.provider(), part, &machine).await.unwrap_or_else(|error| panic!("{part} again: {error:?}"));
    }
    assert_eq!(lab.names("vm"), [format!("{SPACE}/gw-web-1")]);
    let made = lab.get(SPACE, "vm", "gw-web-1").unwrap();
    let spec = &made["spec"]["template"]["spec"];
    assert_eq!((&spec["domain"]["cpu"]["cores"], &made["spec"]["runStrategy"]), (&json!(2), &json!("RerunOnFailure")));
    assert_eq!(spec["domain"]["memory"]["guest"], (4_i64 << 30).to_string());
    assert!(made["spec"].get("instancetype").is_none());
    // The API server kept every field that was sent: nothing was pruned behind our back.
    assert_eq!(spec["readinessProbe"]["tcpSocket"]["port"], 22);
    let labels = &made["spec"]["dataVolumeTemplates"][0]["metadata"]["labels"];
    assert_eq!(labels["cloud.jiyue.io/machine"], machine.machine.text());
    for (kind, name) in [("quota", "jiyue"), ("limitrange", "jiyue"), ("networkpolicy", "zone-government-extranet")] {
        assert!(lab.get(SPACE, kind, name).is_some(), "{kind}");
    }
    assert_eq!(cluster.observe(&machine).await.unwrap(), Observed::Running);
    seen(&cluster, "running", |power| matches!(power, Power::On(_))).await;

    cluster.stop(&machine, Stop::Graceful(Duration::from_secs(20))).await.unwrap();
    cluster.stop(&machine, Stop::Now).await.unwrap();
    assert_eq!(cluster.observe(&machine).await.unwrap(), Observed::Off);
    assert_eq!(lab.names("vmi"), [""; 0]);
    seen(&cluster, "stopped", |power| power == Power::Cut).await;

    // Larger, with a disk that the played CDI has made of the template.
    let disk = "gw-web-1-root";
    let owner = json!([{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": "gw-web-1",
        "uid": made["metadata"]["uid"]}]);
    lab.claim(SPACE, disk, labels, "10Gi", &owner).await;
    let larger = Intent { vcpu: 4, memory: Bytes::gib(8).unwrap(), disk: Bytes::gib(20).unwrap(), ..machine.clone() };
    cluster.reshape(&larger).await.unwrap();
    cluster.reshape(&larger).await.unwrap();
    let now = lab.get(SPACE, "vm", "gw-web-1").unwrap();
    let domain = &now["spec"]["template"]["spec"]["domain"];
    assert_eq!((&domain["cpu"]["cores"], &domain["memory"]["guest"]), (&json!(4), &json!((8_i64 << 30).to_string())));
    let claim = lab.get(SPACE, "pvc", disk).unwrap();
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], (20_i64 << 30).to_string());

    for part in [Part::Domain, Part::Power, Part::Answer] {
        ensure(&cluster, part, &larger).await.unwrap();
    }
    let before = lab.get(SPACE, "vmi", "gw-web-1").unwrap()["metadata"]["uid"].clone();
    cluster.reboot(&larger).await.unwrap();
    ensure(&cluster, Part::Answer, &larger).await.unwrap();
    assert_ne!(lab.get(SPACE, "vmi", "gw-web-1").unwrap()["metadata"]["uid"], before);

    // A second one costs the API server few requests, by its own word.
    let before = lab.plane.asked();
    let second = intent("gw-web-2", 6);
    build(&cluster, &second).await;
    let mut cost = lab.plane.asked();
    cost.retain(|kind, count| {
        *count -= before.get(kind).unwrap_or(&0);
        *count > 0
    });
    // Two writes. Looks are added where the watches were slow.
    let writes: Vec<_> = cost.iter().filter(|(what, _)| !what.starts_with("get ")).collect();
    let made = ["create secrets", "create virtualmachines"].map(str::to_owned);
    assert_eq!(writes, [(&made[0], &1), (&made[1], &1)], "{cost:?}");
    assert!(cost.values().sum::<u32>() <= 8, "{cost:?}");
    println!("requests for one machine: {cost:?}");
    remove(&cluster, &second).await.unwrap();

    // A guest that shuts itself down is off, and comes up again when it is told to.
    let admin = client(&lab.plane.folder.join("admin.kubeconfig")).await;
    say(&admin, SPACE, "gw-web-1", &json!({"phase": "Succeeded"})).await;
    seen(&cluster, "shut down", |power| power == Power::ShutDown).await;
    for part in [Part::Power, Part::Answer] {
        ensure(&cluster, part, &larger).await.unwrap();
    }

    remove(&cluster, &larger).await.unwrap();
    remove(&cluster, &larger).await.unwrap();
    let left: Vec<_> = ["vm", "vmi", "secret", "pvc"]
        .iter()
        .flat_map(|kind| lab.names(kind))
        .filter(|name| name.starts_with("jiyue-"))
        .collect();
    assert_eq!(left, [format!("jiyue-images/image-{}", machine.image.sha256)]);
    drop(player);
}

/// Waits until the listing, which is the watch's, says so of the only machine.
async fn seen(cluster: &KubevirtCluster, what: &str, holds: impl Fn(Power) -> bool) {
    for _ in 0..100 {
        let all = cluster.list().await.unwrap();
        if matches!(&all[..], [one] if holds(one.power)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never {what}: {:?}", cluster.list().await);
}

/// Between our look and our deletion somebody deletes the machine and makes another of its name: that one stays. And a disk
/// is gone when it is gone, not when it was told to go.
async fn raced(lab: &Lab) {
    let gate = Gate::open(&lab.plane, "broker").await;
    let cluster = KubevirtCluster::new(ClusterSettings { kubeconfig: Some(gate.kubeconfig.clone()), ..lab.settings() });
    let raced = intent("raced", 10);
    build(&cluster, &raced).await;
    let made = lab.get(SPACE, "vm", "raced").unwrap();
    cluster.stop(&raced, Stop::Now).await.unwrap();
    let (http, server) = lab.plane.client("admin");
    let mut copy = made.clone();
    copy["metadata"] = json!({"namespace": SPACE, "name": "raced", "labels": made["metadata"]["labels"]});
    copy["spec"]["runStrategy"] = "Halted".into();
    copy.as_object_mut().unwrap().remove("status");
    let another = async move {
        let all = format!("{server}/apis/kubevirt.io/v1/namespaces/{SPACE}/virtualmachines");
        assert!(http.delete(format!("{all}/raced")).send().await.expect("an answer").status().is_success());
        let call = http.post(&all).header("content-type", "application/json").body(copy.to_string());
        assert!(call.send().await.expect("an answer").status().is_success());
    };
    gate.interpose(|call| call.method == "DELETE", another);
    let refused = cluster.remove(Part::Domain, &raced).await;
    assert!(gate.has_interposed(), "it was deleted");
    let now = lab.get(SPACE, "vm", "raced").expect("what came in its place stays");
    assert_ne!(now["metadata"]["uid"], made["metadata"]["uid"]);
    assert!(refused.unwrap_err().is_transient());
    // Looked at again, it bears our marks, and goes.
    let labels = &now["spec"]["dataVolumeTemplates"][0]["metadata"]["labels"];
    lab.claim(SPACE, "raced-root", labels, "10Gi", &Value::Null).await;
    let hold = |finalizers: Value| {
        let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
        lab.plane.done("admin", &["patch", "pvc", "raced-root", "-n", SPACE, "--type=merge", "-p", &patch], "");
    };
    hold(json!(["jiyue.test/held"]));
    cluster.remove(Part::Domain, &raced).await.unwrap();
    lab.plane.done("admin", &["delete", "pvc", "raced-root", "-n", SPACE, "--wait=false"], "");
    let early = cluster.remove(Part::Disk, &raced).await.unwrap_err();
    assert!(early.is_transient() && early.to_string().contains("raced-root"), "{early}");
    hold(Value::Null);
    remove(&cluster, &raced).await.unwrap();
    assert_eq!(lab.get(SPACE, "pvc", "raced-root"), None);
}

fn admin(lab: &Lab, args: &[&str], object: &Value) {
    lab.plane.done("admin", args, &object.to_string());
}

/// What carries our names and not our marks is left as it is; what was ours and is gone is not made anew in silence.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one stranger after the other, on one cluster")]
async fn strangers_are_left_alone_and_what_was_deleted_is_missed() {
    let lab = Lab::start().await;
    lab.storage_class();
    lab.image(&intent("x", 2).image.sha256).await;
    let _player = Player::begin(&lab.plane.folder.join("admin.kubeconfig")).await;
    let cluster = lab.provider();
    let ours = intent("ours", 5);
    build(&cluster, &ours).await;

    // A machine, a secret and a claim of somebody else's under names that we would give.
    let template = lab.get(SPACE, "vm", "ours").unwrap()["spec"]["template"].clone();
    let stranger = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "metadata": {"namespace": SPACE, "name": "theirs"}, "spec": {"runStrategy": "Always", "template": template}});
    admin(&lab, &["create", "-f", "-"], &stranger);
    let theirs = intent("theirs", 6);
    let secret = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": SPACE, "name": name},
            "stringData": {"userdata": "theirs"}})
    };
    let refused = cluster.ensure(Part::Seed, &theirs).await.unwrap_err();
    assert!(matches!(refused, ProviderError::NotOurs { .. }), "{refused:?}");
    assert_eq!(lab.get(SPACE, "secret", "theirs-seed"), None);
    assert_eq!(cluster.observe(&theirs).await.unwrap(), Observed::Foreign);
    for part in [Part::Power, Part::Domain] {
        let refused = cluster.remove(part, &theirs).await.unwrap_err();
        assert!(matches!(refused, ProviderError::NotOurs { .. }), "{part}: {refused:?}");
    }
    assert!(matches!(cluster.stop(&theirs, Stop::Now).await, Err(ProviderError::NotOurs { .. })));
    assert!(matches!(cluster.reshape(&theirs).await, Err(ProviderError::NotOurs { .. })));
    // The same name with another operation's mark is not this operation's either.
    let later = Intent { operation: OperationId::new(), ..ours.clone() };
    assert!(matches!(cluster.remove(Part::Domain, &later).await, Err(ProviderError::NotOurs { .. })));
    // An instance of our machine's name that it does not own is none of it, whatever is done to the machine.
    ensure(&cluster, Part::Power, &ours).await.unwrap();
    cluster.stop(&ours, Stop::Now).await.unwrap();
    let instance = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance",
        "metadata": {"namespace": SPACE, "name": "ours"}, "spec": template["spec"]});
    admin(&lab, &["create", "-f", "-"], &instance);
    assert_eq!(cluster.observe(&ours).await.unwrap(), Observed::Off);
    cluster.stop(&ours, Stop::Now).await.unwrap();
    assert!(cluster.reboot(&ours).await.is_err());
    assert!(lab.get(SPACE, "vmi", "ours").is_some());
    lab.plane.done("admin", &["delete", "vmi", "ours", "-n", SPACE], "");
    for part in [Part::Power, Part::Answer] {
        ensure(&cluster, part, &ours).await.unwrap();
    }
    // Its seed stays as long as it does: without it the machine could not start again.
    let early = cluster.remove(Part::Seed, &ours).await.unwrap_err();
    assert!(early.is_transient() && lab.get(SPACE, "secret", "ours-seed").is_some(), "{early:?}");
    // Killed between the machine and its seed: the next run finds the one and makes the other, with the note of it. A note
    // that somebody took off comes back.
    let uid = lab.get(SPACE, "vm", "ours").unwrap()["metadata"]["uid"].clone();
    let noted =
        || lab.get(SPACE, "secret", "ours-seed").unwrap()["metadata"]["annotations"]["cloud.jiyue.io/made"].clone();
    assert_eq!(noted(), uid);
    lab.plane.done("admin", &["delete", "secret", "ours-seed", "-n", SPACE], "");
    ensure(&cluster, Part::Seed, &ours).await.unwrap();
    assert_eq!((noted(), &lab.get(SPACE, "vm", "ours").unwrap()["metadata"]["uid"]), (uid.clone(), &uid));
    for part in [Part::Seed, Part::Power] {
        lab.plane.done("admin", &["annotate", "secret", "ours-seed", "-n", SPACE, "cloud.jiyue.io/made-"], "");
        assert_eq!(noted(), Value::Null);
        ensure(&lab.provider(), part, &ours).await.unwrap();
        assert_eq!((noted(), &lab.get(SPACE, "vm", "ours").unwrap()["metadata"]["uid"]), (uid.clone(), &uid));
    }

    // A seed's name is taken: the machine that was made for it does not stay.
    admin(&lab, &["create", "-f", "-"], &secret("other-seed"));
    let other = intent("other", 7);
    assert!(matches!(cluster.ensure(Part::Seed, &other).await, Err(ProviderError::NotOurs { .. })));
    assert_eq!(lab.get(SPACE, "vm", "other"), None);
    assert!(matches!(cluster.remove(Part::Seed, &other).await, Err(ProviderError::NotOurs { .. })));
    assert_eq!(lab.get(SPACE, "vm", "theirs").unwrap()["spec"]["runStrategy"], "Always");
    assert!(lab.get(SPACE, "secret", "other-seed").is_some());

    // A broker that comes late makes nothing again: what was made once is noted, and what is made in spite of it goes.
    let late = intent("late", 9);
    ensure(&lab.provider(), Part::Seed, &late).await.unwrap();
    lab.plane.done("admin", &["delete", "vm", "late", "-n", SPACE], "");
    for part in [Part::Seed, Part::Domain, Part::Power] {
        let refused = ensure(&cluster, part, &late).await.unwrap_err();
        assert!(!refused.is_transient() && refused.to_string().contains("behind our back"), "{part}: {refused}");
        assert_eq!(lab.get(SPACE, "vm", "late"), None, "{part}");
    }
    remove(&cluster, &late).await.unwrap();
    raced(&lab).await;

    // A namespace of our name that is not ours.
    let mut elsewhere = intent("elsewhere", 8);
    elsewhere.tenancy.as_mut().unwrap().code = "fgj".into();
    admin(
        &lab,
        &["create", "-f", "-"],
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "jiyue-fgj"}}),
    );
    assert!(matches!(cluster.settle_in(&estate(&elsewhere)).await, Err(ProviderError::NotOurs { .. })));
    assert_eq!(lab.get("jiyue-fgj", "quota", "jiyue"), None);

    // The stranger is told of as one, ours as ours, and a copy with all our labels as a stranger.
    let mut copy = lab.get(SPACE, "vm", "ours").unwrap();
    copy["metadata"] = json!({"namespace": SPACE, "name": "copy", "labels": copy["metadata"]["labels"]});
    copy.as_object_mut().unwrap().remove("status");
    admin(&lab, &["create", "-f", "-"], &copy);
    let mut marks = Vec::new();
    for _ in 0..50 {
        let all = cluster.list().await.unwrap();
        marks = all.into_iter().map(|one| (one.name, one.mark.map(|mark| mark.machine))).collect();
        marks.sort();
        if marks.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let wanted = [("copy".to_owned(), None), ("ours".to_owned(), Some(ours.machine)), ("theirs".to_owned(), None)];
    assert_eq!(marks, wanted);

    // Deleted behind our back, its disk with it: it is missed, and not made again as if nothing were.
    lab.plane.done("admin", &["delete", "vm", "ours", "-n", SPACE], "");
    assert_eq!(cluster.observe(&ours).await.unwrap(), Observed::Absent);
    for part in [Part::Domain, Part::Power] {
        let refused = cluster.ensure(part, &ours).await.unwrap_err();
        assert!(!refused.is_transient() && refused.to_string().contains("behind our back"), "{part}: {refused}");
    }
    assert_eq!(lab.get(SPACE, "vm", "ours"), None);
    remove(&cluster, &ours).await.unwrap();

    // The role is no more than it says.
    for (verb, what) in [
        ("create", "virtualmachineinstances"),
        ("list", "secrets"),
        ("delete", "namespaces"),
        ("create", "pods"),
        ("get", "virtualmachineinstances.subresources.kubevirt.io/console"),
        ("update", "virtualmachines.subresources.kubevirt.io/start"),
        ("create", "virtualmachineexports.export.kubevirt.io"),
        ("delete", "persistentvolumeclaims"),
        ("create", "clusterroles"),
    ] {
        let (kind, part) = what.split_once('/').unwrap_or((what, ""));
        let subresource = format!("--subresource={part}");
        let out = lab.plane.kubectl("broker", &["auth", "can-i", verb, kind, "-n", SPACE, &subresource]);
        assert!(String::from_utf8_lossy(&out.stdout).starts_with("no"), "{verb} {what}");
    }
}
