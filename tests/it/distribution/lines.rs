//! What a bad line does to an image on its way: the cable is out in the midst, bytes arrive as others, and what had arrived
//! whole is something else later.

use super::{LIMIT, Stage, image};
use crate::support::{
    broker::{self, Broker, On, Setup},
    hosts::{Hosts, ZONE_BRIDGE},
    intent,
    line::{Line, MARK},
    raw::Raw,
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

const POOL: &str = "lines";

fn document(hosts: &Hosts, n: u8, uri: &str) -> Value {
    json!({"name": format!("h{n}"), "uri": uri, "pool": POOL, "pool_path": format!("/var/lib/libvirt/{POOL}"),
        "memory_reserve_bytes": 0, "vcpu_overcommit": 16, "zones": [{"zone": "government_extranet", "segment": "hall",
        "bridge": ZONE_BRIDGE, "cidr": format!("{}/24", hosts.guest(0)), "gateway": hosts.guest(1),
        "addresses": format!("{}-{}", hosts.guest(100), hosts.guest(140))}]})
}

fn file(hosts: &Hosts, n: u8, sha256: &str) -> PathBuf {
    hosts.seen_from_here(n, &format!("/var/lib/libvirt/{POOL}/image-{sha256}.raw"))
}

/// It has its digest and its record there.
fn is_whole(hosts: &Hosts, n: u8, sha256: &str) -> bool {
    let path = file(hosts, n, sha256);
    std::fs::read(&path).is_ok_and(|bytes| intent::sha256(&bytes) == sha256)
        && path.with_extension("raw.ready").exists()
}

impl Stage {
    async fn host_is(&self, host: &str, state: &str) {
        let began = Instant::now();
        loop {
            let seen = self.broker.get(&format!("/v1/hosts/{host}"), &self.cast.operator).await.expect(200);
            if seen["state"] == state {
                return;
            }
            assert!(began.elapsed() < LIMIT, "{seen:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bad_line_brings_an_image_late_and_never_another_one() {
    let hosts = Hosts::up(2);
    let setup = Setup::new(On::Sqlite)
        .with("JIYUE_INSECURE_NETWORKS", &hosts.management())
        .with("JIYUE_SILENCE_SECONDS", "3")
        .with("JIYUE_IMAGE_RETRY_SECONDS", "2")
        .with("JIYUE_STEP_SECONDS", "5");
    let mut stage = Stage::new(setup).await;
    let mut sql = Sql::reading(&stage.broker.setup.database_url).await;
    let line = Line::lay(IpAddr::from(hosts.at(1)), SocketAddr::from((hosts.at(11), 16509))).await;
    let uri = format!("qemu+tcp://{}/system", line.address);
    for document in [document(&hosts, 1, &uri), document(&hosts, 2, &hosts.tls(2, "good"))] {
        stage.broker.post("/v1/hosts", &stage.cast.operator, &document).await.expect(201);
    }

    // The cable comes out in the midst. The other host has it all the same, and nobody is told that this one has.
    let large = stage.import("large", image(48 << 20, 21)).await;
    let began = Instant::now();
    loop {
        let transfer = stage.transfer(&large, "h1").await;
        if (5..45).contains(&transfer["percent"].as_i64().expect("a number")) {
            break;
        }
        assert!(began.elapsed() < LIMIT && transfer["state"] != "present", "{transfer:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    hosts.cut(1);
    stage.until(&large, "h2", "present").await;
    stage.host_is("h1", "unknown").await;
    let broken = stage.until(&large, "h1", "failed").await;
    assert!(!broken["reason"].as_str().expect("a reason").is_empty(), "{broken:#}");
    assert_eq!(sql.number("select count(*) from host_images").await, 1);
    let image_of = |n| file(&hosts, n, &large);
    assert!(!image_of(1).with_extension("raw.ready").exists() && is_whole(&hosts, 2, &large));
    // As long as the host does not answer, nobody tries.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stage.transfer(&large, "h1").await["attempts"], broken["attempts"]);
    hosts.mend(1);
    stage.until(&large, "h1", "present").await;
    assert!(is_whole(&hosts, 1, &large));
    eprintln!("cut and mended after {:.1?}", began.elapsed());

    // One bit in the midst arrives as another: libvirt has taken it, the digest has not.
    let mut bytes = image(2 << 20, 22);
    // In every packet of the stream, so that one is whole in a piece.
    for at in (4096..bytes.len() - 4096).step_by(16 << 10) {
        bytes[at..at + MARK.len()].copy_from_slice(MARK);
    }
    line.garble(true);
    let garbled = stage.import("garbled", bytes).await;
    let broken = stage.until(&garbled, "h1", "failed").await;
    assert!(broken["reason"].as_str().is_some_and(|reason| reason.contains("did not arrive whole")), "{broken:#}");
    assert!(
        line.garbled() > 0 && intent::sha256(&std::fs::read(file(&hosts, 1, &garbled)).expect("it came")) != garbled
    );
    assert!(!file(&hosts, 1, &garbled).with_extension("raw.ready").exists());
    let there = format!("select count(*) from host_images where sha256 = '{garbled}'");
    stage.until(&garbled, "h2", "present").await;
    assert_eq!(sql.number(&there).await, 1);
    line.garble(false);
    stage.until(&garbled, "h1", "present").await;
    assert!(is_whole(&hosts, 1, &garbled));
    assert_eq!(sql.number(&there).await, 2);

    // What was whole is something else later. Whoever looks anew finds it: no machine stands on it, and placement is told.
    let path = file(&hosts, 1, &garbled);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("a file of root's");
    let mut spoiled = std::fs::read(&path).expect("the image");
    spoiled[1 << 20] ^= 1;
    std::fs::write(&path, spoiled).expect("a file of root's");
    let setup = stage.broker.setup.clone();
    stage.broker.kill();
    stage.broker = Broker::start(setup).await;
    stage.raw = Raw::new(&stage.broker);
    stage.broker.post("/v1/hosts/h2/cordon", &stage.cast.operator, &json!({})).await.expect(200);
    stage.broker.post("/v1/task-books", &stage.cast.authority, &broker::task_book()).await.expect(201);
    let mut block = broker::request();
    block["申请虚拟机数量"] = json!(1);
    let made = stage.broker.post("/v1/requests", &stage.cast.requester, &block).await.expect(201);
    let path = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().expect("an id"));
    let operation = stage.broker.post(&path, &stage.cast.authority, &json!({})).await.expect(202);
    let done = stage.broker.finished(operation["id"].as_str().expect("an id"), &stage.cast.authority, LIMIT).await;
    assert!(done["state"] != "succeeded" && done.to_string().contains("no longer has its digest"), "{done:#}");
    let found = stage.transfer(&garbled, "h1").await;
    assert!(
        found["state"] == "failed"
            && found["reason"].as_str().is_some_and(|reason| reason.contains("no longer has its digest")),
        "{found:#}"
    );
    assert_eq!(sql.number(&there).await, 1);
    assert_eq!(hosts.virsh(1, &["list", "--all", "--name"]).expect("virsh answers"), "");
}
