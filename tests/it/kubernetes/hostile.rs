//! Objects that nobody means well (`make test-k8s`: 200): each is refused at apply or answered in a condition, and nothing is built.

use super::lab::{LIMIT, Lab, request, times};
use crate::support::{Dice, broker::On};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What is done to a good request, and whether the definition alone must refuse it.
type Trick = (&'static str, bool, fn(&mut Value, &mut Dice));

const FIELDS: [&str; 12] = [
    "vmCount",
    "cpuCount",
    "memory",
    "disk",
    "osType",
    "workloadDescription",
    "networkZone",
    "mlpsLevel",
    "deployMilestone",
    "omPeriodMonths",
    "omUnit",
    "sshKeys",
];

const TRICKS: &[Trick] = &[
    ("a wrong type", true, |o, dice| {
        let field = dice.pick(&FIELDS);
        o["spec"][field] = json!({"n": [1, "2", null]});
    }),
    ("a missing field", true, |o, dice| {
        o["spec"].as_object_mut().unwrap().remove(dice.pick(&FIELDS));
    }),
    ("an unknown field", true, |o, dice| {
        let field = dice.pick(&["approved", "approvedBy", "vm_count", "状态", "hostDisk", "__proto__"]);
        o["spec"][field] = json!(true);
    }),
    ("too many", true, |o, dice| {
        let (field, value) = dice.pick(&[
            ("vmCount", 65),
            ("vmCount", 0),
            ("cpuCount", 65),
            ("mlpsLevel", 5),
            ("omPeriodMonths", 121),
            ("cpuCount", -1),
        ]);
        o["spec"][field] = json!(value);
    }),
    ("too large", true, |o, dice| {
        let (field, value) = dice.pick(&[
            ("memory", "513Gi"),
            ("memory", "127Mi"),
            ("disk", "17Ti"),
            ("disk", "9007199254740993"),
            ("memory", "1e9"),
            ("disk", "-1Gi"),
            ("memory", "99999999Ti"),
        ]);
        o["spec"][field] = json!(value);
    }),
    ("an unseen character", true, |o, dice| {
        let c = dice.pick(&['\u{202E}', '\u{200B}', '\u{0000}', '\u{FEFF}', '\u{2028}', '\u{3164}']);
        o["spec"]["workloadDescription"] = json!(format!("民政{c}平台"));
    }),
    ("a long text", true, |o, dice| {
        let field = dice.pick(&["workloadDescription", "remarks", "noDomainReason", "taskBook"]);
        o["spec"][field] = json!("长".repeat(2001));
    }),
    ("both or neither", true, |o, dice| {
        if dice.below(2) == 0 {
            o["spec"]["domain"] = json!("oa.xiangcheng.example");
        } else {
            o["spec"].as_object_mut().unwrap().remove("noDomainReason");
        }
    }),
    ("a word that is none", true, |o, dice| {
        let (field, value) = dice.pick(&[
            ("osType", "debian-9"),
            ("osType", "Debian 12"),
            ("dbType", "oracle"),
            ("networkZone", "政务内网"),
            ("secrecyLevel", "secret"),
            ("spread", "always"),
            ("deployMilestone", "2035-02-30"),
            ("filingBasis", "urgent"),
        ]);
        o["spec"][field] = json!(value);
    }),
    ("a private key", true, |o, _| o["spec"]["sshKeys"] = json!(["-----BEGIN OPENSSH PRIVATE KEY----- AAAA"])),
    ("a huge annotation", true, |o, _| o["metadata"]["annotations"] = json!({"x": "y".repeat(300_000)})),
    ("a name that is none", true, |o, dice| {
        o["metadata"]["name"] = json!(dice.pick(&["民政", "ОА", "a/../b", "A", "-a", "a b", "oa\u{200b}"]));
    }),
    ("a confusable domain", false, |o, dice| {
        o["spec"].as_object_mut().unwrap().remove("noDomainReason");
        o["spec"]["domain"] = json!(dice.pick(&[
            "оа.xiangcheng.example",
            "οa.xiangcheng.example",
            "oa.xiаngcheng.example",
            "oa.xiangcheng.example.evil.com",
            "xn--.xiangcheng.example"
        ]));
    }),
    ("a key that is none", false, |o, _| {
        o["spec"]["sshKeys"] = json!(["ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]);
    }),
    ("somebody else's task book", false, |o, dice| {
        o["spec"]["taskBook"] =
            json!(dice.pick(&["相信任〔2026〕18号", "相信任[2026]17号 ", "' or 1=1 --", "相信任〔２０２６〕17号x"]));
    }),
    ("a day gone by", false, |o, _| o["spec"]["deployMilestone"] = json!("2020-01-31")),
    ("a foreign owner", false, |o, _| {
        o["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Namespace", "name": "kube-system", "uid": "00000000-0000-0000-0000-000000000000"}]);
    }),
    ("an approval of its own", false, |o, _| {
        o["metadata"]["annotations"] = json!({"cloud.jiyue.io/approved": "true", "x": "y".repeat(100_000)});
        o["metadata"]["labels"] = json!({"approved": "true"});
    }),
    ("a status of its own", true, |o, _| o["status"] = json!({"phase": "Delivered", "approvedBy": "me"})),
    ("finalizers of its own", false, |o, _| o["metadata"]["finalizers"] = json!(["evil.example/stay"])),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_objects_are_refused_or_answered_and_nothing_is_built() {
    let many = times("JIYUE_TEST_HOSTILE", 2 * TRICKS.len());
    let lab = Lab::start(On::Sqlite, |setup| setup).await;
    let mut dice = Dice::from_env();
    eprintln!("seed {}", dice.seed);
    let foreign = lab.plane.done("admin", &["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"], "");
    let objects: Vec<(Trick, Value)> = (0..many)
        .map(|n| {
            let trick = TRICKS[n % TRICKS.len()];
            let mut object = request(&format!("h{n}"), n);
            trick.2(&mut object, &mut dice);
            if let Some(owner) = object["metadata"]["ownerReferences"].get_mut(0) {
                // One that there is: an object whose owner there is not is deleted by the cluster's own collector.
                owner["uid"] = json!(foreign);
            }
            (trick, object)
        })
        .collect();
    // One after the other, for a refusal of one must be no hindrance to the next; several at a time.
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let lab = &lab;
        let hands: Vec<_> = objects
            .chunks(many.div_ceil(4))
            .map(|some| {
                scope.spawn(move || {
                    let apply = |object: &Value| {
                        let args = ["create", "--validate=strict", "-f", "-"];
                        lab.plane.kubectl_with("zhang", &args, &object.to_string()).status.success()
                    };
                    some.iter().map(|(_, object)| apply(object)).collect::<Vec<_>>()
                })
            })
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    });
    let mut taken = Vec::new();
    for ((trick, object), is_taken) in objects.iter().zip(&outcomes) {
        let (what, must_fail, _) = trick;
        assert!(!(*must_fail && *is_taken), "{what} was taken: {}", object["spec"]);
        if *is_taken {
            taken.push((*what, object["metadata"]["name"].as_str().unwrap()));
        }
    }
    let refused = outcomes.iter().filter(|taken| !**taken).count();
    assert!(taken.len() > many / 5, "only {} came to the broker", taken.len());

    // Whatever was taken is answered.
    let began = Instant::now();
    let answers = loop {
        let all = lab.plane.done("admin", &["get", "rr", "-n", "mzj", "-o", "json"], "");
        let all: Value = serde_json::from_str(&all).unwrap();
        let answered: BTreeMap<String, String> = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|object| object["status"]["observedGeneration"] == object["metadata"]["generation"])
            .map(|object| {
                let (_, reason) = super::lab::condition(object, "Accepted");
                (object["metadata"]["name"].as_str().unwrap().to_owned(), reason.to_owned())
            })
            .collect();
        let open: Vec<_> = taken.iter().filter(|(_, name)| !answered.contains_key(*name)).collect();
        if open.is_empty() {
            break answered;
        }
        assert!(began.elapsed() < LIMIT, "not answered: {open:?}\n{}", lab.broker().log());
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (what, name) in &taken {
        *reasons.entry((what, answers[*name].as_str())).or_default() += 1;
    }
    eprintln!("{refused} of {many} refused at apply; the others: {reasons:#?}");
    for (what, reason) in reasons.keys() {
        let harmless = ["an approval of its own", "finalizers of its own"].contains(what);
        assert_eq!(*reason == "accepted", harmless, "{what}: {reason}");
    }
    assert_eq!(lab.machines().await, 0);
    assert_eq!(lab.sql().await.number("select count(*) from requests where state <> 'submitted'").await, 0);
    assert!(lab.broker().log().lines().all(|line| !line.contains("panicked")));
}
