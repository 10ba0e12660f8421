//! The life of a request that came by `kubectl`, and what people try with it.

use super::lab::{Lab, condition, request};
use crate::support::broker::On;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_is_applied_followed_built_and_put_into_the_bin() {
    let lab = Lab::start(On::Sqlite, |setup| setup).await;
    assert!(lab.apply(&request("oa", 1)).contains("resourcerequest.cloud.jiyue.io/oa created"));
    let waiting = lab.until_phase("oa", "Submitted");
    assert_eq!(condition(&waiting, "Accepted"), ("True", "accepted"));
    assert_eq!(condition(&waiting, "Approved"), ("Unknown", "waiting"));
    assert_eq!(waiting["metadata"]["finalizers"], json!(["cloud.jiyue.io/machines"]));
    lab.approve(&waiting).await;
    let done = lab.until("oa", |object| condition(object, "Ready").0 == "True");
    assert_eq!(done["status"]["phase"], "Delivered");
    assert_eq!(condition(&done, "Provisioned"), ("True", "delivered"));
    assert_eq!(done["status"]["observedGeneration"], done["metadata"]["generation"]);

    let table = lab.plane.done("zhang", &["get", "jiyue", "-n", "mzj"], "");
    eprintln!("{table}");
    let row: Vec<_> = table.lines().find(|line| line.starts_with("resourcerequest")).unwrap().split_whitespace().collect();
    assert_eq!(&row[1..5], ["Delivered", "True", "1/1", "相信任〔2026〕17号"]);
    let head: Vec<_> = table.lines().find(|l| l.contains("TASKBOOK")).unwrap().split_whitespace().collect();
    assert_eq!(head, ["NAME", "PHASE", "READY", "MACHINES", "TASKBOOK", "DEADLINE", "AGE"]);
    assert!(table.contains("machine.cloud.jiyue.io/") && table.contains("Running"), "{table}");

    lab.plane.done("zhang", &["delete", "rr", "oa", "-n", "mzj", "--timeout=60s"], "");
    lab.until_gone("oa");
    let machines = lab.broker().get("/v1/machines", &lab.cast.authority).await.expect(200);
    assert_eq!(machines["items"][0]["state"], "in_bin", "{machines:#}");
}
