//! Hosts that fall silent, machines that change behind the broker's back, and what operators do about them; on simulated
//! hosts where the fault is what matters, on a real libvirtd where the domains are.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    site::Site,
    sql::Sql,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Waits until the answer at `path` satisfies `so`.
async fn until(broker: &Broker, token: &str, path: &str, limit: Duration, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let body = broker.get(path, token).await.expect(200);
        if so(&body) {
            return body;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {body:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// `kill -9` of the QEMU that runs a domain.
fn kill_qemu(name: &str) {
    let mark = format!("guest={name},");
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&read).into_owned();
        let program = line.split('\0').next().unwrap_or_default();
        if program.contains("qemu-system") && line.contains(&mark) {
            let pid = process.file_name().to_string_lossy().into_owned();
            assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            return;
        }
    }
    panic!("no QEMU runs {name}");
}

/// A broker with one real host, two machines with disks that hold nothing but a halt, and guests played by the test.
async fn two_machines(site: &Site, setup: Setup) -> (Broker, Cast, Vec<Value>) {
    let broker = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
    broker.image(&cast, broker::halting_image()).await;
    site.play_guests(9, true).await;
    let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let id = text(&made["items"][0], "id");
    let operation = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    let done = broker.finished(&text(&operation, "id"), &cast.authority, Duration::from_secs(180)).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let request = broker.get(&format!("/v1/requests/{id}"), &cast.operator).await.expect(200);
    (broker, cast, request["machines"].as_array().unwrap().clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_behind_our_back_is_alarmed_and_never_touched() {
    let site = Site::new();
    let setup = Setup::new(On::Sqlite).with("JIYUE_LISTING_SECONDS", "1").with("JIYUE_SHUTDOWN_SECONDS", "1");
    let (broker, cast, machines) = two_machines(&site, setup.clone()).await;
    let mut sql = Sql::reading(&setup.database_url).await;
    let (one, other) = (text(&machines[0], "id"), text(&machines[1], "id"));
    let limit = Duration::from_secs(60);
    let alarms = async |so: &(dyn Fn(&Value) -> bool + Sync)| {
        until(&broker, &cast.operator, "/v1/alarms?page_size=200", limit, |body| {
            let items: Vec<_> =
                body["items"].as_array().unwrap().iter().filter(|a| a["host"] == site.name).cloned().collect();
            so(&json!({"items": items}))
        })
        .await
    };
    // The shared libvirtd runs other tests' domains: to this broker they are foreign, all of them. Only what carries
    // this test's names is looked at.
    let of = |body: &Value, name: &str| -> Vec<String> {
        let named = body["items"].as_array().unwrap().iter().filter(|a| text(a, "name") == name);
        let mut kinds: Vec<_> = named.map(|alarm| text(alarm, "kind")).collect();
        kinds.sort();
        kinds
    };
    let (first, second) = (text(&machines[0], "name"), text(&machines[1], "name"));

    // A stranger, and a machine of ours that somebody changed.
    let stranger = format!("{}-miner", site.name);
    let xml = format!(
        "<domain type='qemu'><name>{stranger}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    );
    let file = setup.folder.join("stranger.xml");
    std::fs::write(&file, &xml).unwrap();
    Site::virsh(&["create", &file.to_string_lossy()]);
    Site::virsh(&["setvcpus", &second, "1", "--config", "--maximum"]);
    Site::virsh(&["setmaxmem", &second, "65536", "--config"]);
    alarms(&|body| of(body, &stranger) == ["foreign"] && of(body, &second).contains(&"altered".to_owned())).await;
    // Seen and left alone.
    assert_eq!(Site::virsh(&["domstate", &stranger]), "running");

    // Cut off by hand: an alarm, and nobody starts it but an operator.
    Site::virsh(&["destroy", &first]);
    alarms(&|body| of(body, &first) == ["power_cut"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(Site::virsh(&["domstate", &first]), "shut off");
    // Started by hand: it runs, and not by our doing.
    Site::virsh(&["start", &first]);
    let restarted = alarms(&|body| of(body, &first) == ["restarted"]).await;
    let alarm = restarted["items"].as_array().unwrap().iter().find(|a| text(a, "name") == first).unwrap().clone();
    assert_eq!(text(&alarm, "machine_id"), one);
    let seen = broker.post(&format!("/v1/alarms/{}/acknowledge", text(&alarm, "id")), &cast.operator, &json!({})).await;
    assert!(!seen.expect(200)["cleared_at"].is_null());
    alarms(&|body| of(body, &first).is_empty()).await;

    // QEMU dies by itself: that is nobody's wish, so the machine comes back.
    kill_qemu(&first);
    until(&broker, &cast.operator, "/v1/operations", limit, |body| {
        body["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|o| o["kind"] == "start" && o["machine_id"] == *one && o["state"] == "succeeded")
    })
    .await;
    assert_eq!(Site::virsh(&["domstate", &first]), "running");

    // Its definition taken away: missing, not deleted; an operator has it made anew, on the disk that it had.
    let volumes = site.volumes();
    Site::virsh(&["destroy", &second]);
    Site::virsh(&["undefine", &second]);
    alarms(&|body| of(body, &second).contains(&"missing".to_owned())).await;
    assert_eq!(site.volumes(), volumes);
    let operation = broker.post(&format!("/v1/machines/{other}/start"), &cast.operator, &json!({})).await.expect(202);
    let done = broker.finished(&text(&operation, "id"), &cast.operator, limit).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    alarms(&|body| of(body, &second).is_empty()).await;
    Site::virsh(&["destroy", &stranger]);
    alarms(&|body| of(body, &stranger).is_empty()).await;
    assert_eq!(site.faults(&mut sql).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_grows_where_it_is_or_is_refused_with_the_numbers() {
    let site = Site::new();
    let setup = Setup::new(On::Sqlite).with("JIYUE_SHUTDOWN_SECONDS", "1");
    let (broker, cast, machines) = two_machines(&site, setup.clone()).await;
    let mut sql = Sql::reading(&setup.database_url).await;
    let (id, name) = (text(&machines[0], "id"), text(&machines[0], "name"));
    let disk = machines[0]["disk_bytes"].as_i64().unwrap();
    let resize = async |body: &Value| broker.post(&format!("/v1/machines/{id}/resize"), &cast.authority, body).await;

    // What cannot be is refused before anything is written.
    for (body, code) in [
        (json!({}), "malformed"),
        (json!({"disk_bytes": disk - (1 << 30)}), "size_refused"),
        (json!({"vcpu": 0}), "size_refused"),
        (json!({"vcpu": 64}), "indicator_exceeded"),
        (json!({"memory_bytes": 1_i64 << 39}), "indicator_exceeded"),
    ] {
        let answer = resize(&body).await;
        assert_eq!(answer.code(), code, "{body}: {:#}", answer.body);
    }
    assert_eq!(
        broker.post(&format!("/v1/machines/{id}/resize"), &cast.requester, &json!({"vcpu": 2})).await.status,
        403
    );

    // The disk alone grows under the running guest.
    let run = Site::virsh(&["domid", &name]);
    let done = async |operation: Value| {
        let done = broker.finished(&text(&operation, "id"), &cast.authority, Duration::from_secs(180)).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
    };
    done(resize(&json!({"disk_bytes": disk + (1 << 30)})).await.expect(202)).await;
    assert_eq!(Site::virsh(&["domid", &name]), run, "it was not restarted");
    assert!(Site::virsh(&["domblkinfo", &name, "vda"]).contains(&(disk + (1 << 30)).to_string()));

    // Processors and memory take a restart.
    done(resize(&json!({"vcpu": 2, "memory_bytes": 192 << 20})).await.expect(202)).await;
    assert_ne!(Site::virsh(&["domid", &name]), run);
    let info = Site::virsh(&["dominfo", &name]);
    assert!(info.contains("196608 KiB"), "{info}");
    assert_eq!(site.faults(&mut sql).await, Vec::<String>::new());
    let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
    assert_eq!(ledger["consistent"], true, "{ledger:#}");
    assert_eq!(sql.number("select used_vcpu from task_books").await, 3);

    // And back: what is given up is free again.
    done(resize(&json!({"vcpu": 1, "memory_bytes": 128 << 20})).await.expect(202)).await;
    assert_eq!(sql.number("select used_vcpu from task_books").await, 2);
    let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
    assert_eq!(ledger["consistent"], true, "{ledger:#}");

    // Longer, but not beyond what the task book allows.
    let extend = async |until: &str| {
        broker.post(&format!("/v1/machines/{id}/extend"), &cast.authority, &json!({"lease_end": until})).await
    };
    assert_eq!(extend("2020-01-01").await.code(), "malformed");
    assert_eq!(extend("2099-01-01").await.code(), "lease_beyond_task_book");
    let end = sql.rows("select coalesce(lease_until, valid_until) from task_books").await[0][0].clone();
    assert_eq!(extend(&end).await.expect(200)["lease_end"], end.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_host_that_is_proven_off_has_its_machines_built_elsewhere() {
    for on in On::BOTH {
        let fence = crate::support::scratch("fence").join("fence");
        std::fs::write(&fence, "#!/bin/sh\n[ \"$1\" = sim ] && [ -e \"$(dirname \"$0\")/off\" ]\n").unwrap();
        std::fs::set_permissions(&fence, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        // Listed once, and then not for an hour: what the test writes of its silence stays.
        let setup =
            Setup::new(on).with("JIYUE_FENCE_COMMAND", &fence.to_string_lossy()).with("JIYUE_LISTING_SECONDS", "3600");
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
        let request = text(&made["items"][0], "id");
        let path = format!("/v1/requests/{request}/approve");
        let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
        broker.finished(&text(&operation, "id"), &cast.authority, Duration::from_secs(90)).await;
        let machine =
            broker.get(&format!("/v1/requests/{request}"), &cast.operator).await.expect(200)["machines"][0].clone();
        let id = text(&machine, "id");
        let on_host =
            async |act: &str, body: &Value| broker.post(&format!("/v1/hosts/sim/{act}"), &cast.operator, body).await;
        let word = json!({"name": "sim", "reason": "值班员拔了电源"});

        // While it answers, nobody can call it dead.
        assert_eq!(on_host("confirm-fenced", &word).await.code(), "host_answers");
        assert_eq!(on_host("fence", &json!({})).await.code(), "host_answers");
        let rebuild = async || broker.post(&format!("/v1/machines/{id}/rebuild"), &cast.operator, &json!({})).await;
        assert_eq!(rebuild().await.code(), "host_not_fenced");

        // Silent: its machines are unknown, not gone, and their claims stay.
        until(&broker, &cast.operator, "/v1/hosts/sim", Duration::from_secs(10), |h| !h["listed_at"].is_null()).await;
        let mut sql = Sql::writing(&setup.database_url).await;
        sql.run("update hosts set contact = 'unknown', contact_since = 1 where name = 'sim'").await;
        let shown = broker.get(&format!("/v1/machines/{id}"), &cast.operator).await.expect(200);
        assert_eq!((text(&shown, "state"), text(&shown, "last_known_state")), ("unknown".into(), "running".into()));
        assert_eq!(broker.get("/v1/hosts/sim", &cast.operator).await.expect(200)["state"], "unknown");
        assert_eq!(rebuild().await.code(), "host_not_fenced");
        let used = "select used_machines from task_books";
        let before = sql.number(used).await;

        // A fence command that fails proves nothing; nor does a word that does not name the host.
        assert_eq!(on_host("fence", &json!({})).await.code(), "fence_failed");
        let other = json!({"name": "sim2", "reason": "值班员拔了电源"});
        assert_eq!(on_host("confirm-fenced", &other).await.code(), "malformed");
        assert_eq!(rebuild().await.code(), "host_not_fenced");
        std::fs::write(fence.with_file_name("off"), "").unwrap();
        if on == On::Sqlite {
            assert_eq!(on_host("fence", &json!({})).await.expect(200)["state"], "fenced");
        } else {
            assert_eq!(on_host("confirm-fenced", &word).await.expect(200)["state"], "fenced");
        }

        // Now it is built anew, elsewhere and with another mark; the books say so.
        assert_eq!(rebuild().await.code(), "capacity_exceeded");
        broker.simulated_host(&cast, "sim2").await;
        let operation = rebuild().await.expect(202);
        let done = broker.finished(&text(&operation, "id"), &cast.operator, Duration::from_secs(90)).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let shown = broker.get(&format!("/v1/machines/{id}"), &cast.operator).await.expect(200);
        assert_eq!((text(&shown, "state"), text(&shown, "host")), ("running".into(), "sim2".into()));
        assert_eq!(sql.number(used).await, before);
        assert_eq!(sql.faults().await, Vec::<String>::new());
        let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
        assert_eq!(ledger["consistent"], true, "{ledger:#}");

        // The old host still has the old one: it is not taken back in before somebody has cleared that up.
        assert_eq!(on_host("uncordon", &json!({})).await.code(), "host_fenced");
        let refused = on_host("readmit", &json!({})).await;
        assert_eq!(refused.code(), "stray_machines");
        assert!(refused.body["detail"].as_str().unwrap().contains("运行中"), "{refused:?}");
    }
}
