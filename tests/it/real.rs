//! Real guests on a real libvirtd, from the adding of the host to the recycle bin and back. virsh, DNS and HTTP say
//! whether it is so.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    libvirt::small_guest,
    site::{Site, between},
    sql::Sql,
};
use hickory_resolver::{
    Resolver,
    config::{NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::RData,
};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// What a guest may take to boot beside other work, emulated.
const BOOT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_real_guests_are_built_answer_and_go_through_stop_start_bin_and_restore() {
    let site = Site::new();
    let setup = Setup::new(On::Sqlite).with("JIYUE_SHUTDOWN_SECONDS", "20").with("JIYUE_BOOTS_AT_ONCE", "2");
    // With crash points in the binary, the first build is killed once: after the first guest was switched on.
    let doomed = cfg!(feature = "crash-points");
    let first = if doomed { setup.clone().with("JIYUE_CRASH_AT", "build.0.power") } else { setup.clone() };
    let mut broker = Broker::start(first).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);

    // The host: its probe finds that only emulation boots here or that KVM does; pool and network are made.
    let host = broker.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
    if !std::path::Path::new("/dev/kvm").exists() {
        assert_eq!(host["domain_type"], "qemu", "{host:#}");
    }
    assert!(Site::virsh(&["pool-info", &site.name]).contains("running"));
    let network = Site::virsh(&["net-info", &site.name]);
    assert!(network.lines().any(|line| line.starts_with("Active") && line.ends_with("yes")), "{network}");
    broker.image(&cast, std::fs::read(small_guest()).expect("the guest's image")).await;

    let mut sql = Sql::reading(&setup.database_url).await;
    let began = Instant::now();
    let id = submit(&broker, &cast, "oa.xiangcheng.example", 2).await;
    let operation = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    if doomed {
        assert!(broker.died(Duration::from_secs(60)), "the broker did not come to its crash point");
        broker = Broker::start(setup.clone()).await;
    }
    let done = broker.finished(operation["id"].as_str().unwrap(), &cast.authority, BOOT).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    eprintln!("two guests after {:.1?}", began.elapsed());
    assert_eq!(site.faults(&mut sql).await, Vec::<String>::new());

    let request = broker.get(&format!("/v1/requests/{id}"), &cast.requester).await.expect(200);
    let machines = request["machines"].as_array().unwrap().clone();
    for (machine, fqdn) in machines.iter().zip(["oa.xiangcheng.example", "oa-1.xiangcheng.example"]) {
        assert_eq!(machine["fqdn"], fqdn);
        assert_eq!(machine["stand_in"], true);
        assert_answers(&site, machine).await;
        let log = broker.get(&format!("/v1/machines/{}/log", text(machine, "id")), &cast.requester).await.expect(200);
        assert!(log.as_str().is_some_and(|log| log.contains("GUEST READY")), "{log}");
    }
    // The base image under both is one volume that nobody can write to.
    let image = std::fs::read_dir(site.pool_path()).unwrap().map(|f| f.unwrap()).find(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("image-") && name.ends_with(".qcow2")
    });
    let mode = std::os::unix::fs::PermissionsExt::mode(&image.expect("the image").metadata().unwrap().permissions());
    assert_eq!(mode & 0o222, 0, "{mode:o}");

    let (one, other) = (text(&machines[0], "id"), text(&machines[1], "id"));
    let off = |uuid: &str| Site::virsh(&["domstate", uuid]) == "shut off";
    act(&broker, &cast, &one, "stop").await;
    assert!(off(&one) && !off(&other));
    assert_eq!(site.faults(&mut sql).await, Vec::<String>::new());

    // Into the bin: off, its disk and its name kept, its compute free for others.
    let book = async |sql: &mut Sql| {
        let dimensions = ["machines", "vcpu", "memory_bytes", "disk_bytes"];
        let mut used = Vec::new();
        for dimension in dimensions {
            used.push(sql.number(&format!("select used_{dimension} from task_books")).await);
        }
        used
    };
    let (mib, gib) = (1 << 20, 1 << 30);
    assert_eq!(book(&mut sql).await, [2, 2, 256 * mib, 4 * gib]);
    act(&broker, &cast, &other, "delete").await;
    assert!(off(&other));
    assert_eq!(book(&mut sql).await, [1, 1, 128 * mib, 4 * gib]);
    assert_eq!(site.faults(&mut sql).await, Vec::<String>::new());
    let disk = |uuid: &str| {
        let xml = Site::virsh(&["dumpxml", "--inactive", uuid]);
        let path = between(&xml, "<source file='", "'").next().expect("a disk").to_owned();
        let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).expect("the disk"));
        (path, inode)
    };
    let before = disk(&other);

    // Both come up again at once: one from its stop, one out of the bin, on the disk it had.
    let (start, restore) = (begin(&broker, &cast, &one, "start").await, begin(&broker, &cast, &other, "restore").await);
    for operation in [start, restore] {
        let done = broker.finished(&operation, &cast.operator, BOOT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
    }
    assert_eq!(disk(&other), before);
    for machine in &machines {
        assert_answers(&site, machine).await;
    }
    assert_eq!(book(&mut sql).await, [2, 2, 256 * mib, 4 * gib]);
    assert_eq!(site.faults(&mut sql).await, Vec::<String>::new());
    let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
    assert_eq!(ledger["consistent"], true, "{ledger:#}");
    eprintln!("all after {:.1?}", began.elapsed());

    foreign_domain(&site, &setup, &mut broker, &cast, &mut sql).await;
}

/// Somebody else's domain has the name that ours would have: the build turns back, gives everything back, and the other's
/// domain is as it was.
async fn foreign_domain(site: &Site, setup: &Setup, broker: &mut Broker, cast: &Cast, sql: &mut Sql) {
    // The name is known once the request is approved, so the worker is paused between that and the build.
    broker.kill();
    *broker = Broker::start(setup.clone().with("JIYUE_WORKER_WIDTH", "0")).await;
    let id = submit(broker, cast, "crm.xiangcheng.example", 1).await;
    let operation = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    let name = sql.column(&format!("select name from machines where request_id = '{id}'")).await.remove(0);
    let file = setup.folder.join("foreign.xml");
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    );
    std::fs::write(&file, xml).unwrap();
    Site::virsh(&["define", &file.to_string_lossy()]);
    let before = Site::virsh(&["dumpxml", &name]);
    broker.kill();
    *broker = Broker::start(setup.clone()).await;
    let done = broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(60)).await;
    assert_eq!(done["state"], "failed", "{done:#}");
    assert!(text(&done, "reason").contains(&name), "{done:#}");
    let request = broker.get(&format!("/v1/requests/{id}"), &cast.requester).await.expect(200);
    assert_eq!(request["state"], "failed");
    assert_eq!(Site::virsh(&["dumpxml", &name]), before);
    // Nothing of ours is left of it, neither on the host nor in the books.
    assert_eq!(site.faults(sql).await, Vec::<String>::new());
    Site::virsh(&["undefine", &name]);
}

async fn submit(broker: &Broker, cast: &Cast, domain: &str, machines: u32) -> String {
    let mut block = broker::request();
    block["域名"] = json!(domain);
    block["申请虚拟机数量"] = json!(machines);
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    text(&made["items"][0], "id")
}

async fn begin(broker: &Broker, cast: &Cast, machine: &str, act: &str) -> String {
    let path = format!("/v1/machines/{machine}/{act}");
    text(&broker.post(&path, &cast.requester, &json!({})).await.expect(202), "id")
}

async fn act(broker: &Broker, cast: &Cast, machine: &str, act: &str) {
    let operation = begin(broker, cast, machine, act).await;
    let done = broker.finished(&operation, &cast.operator, BOOT).await;
    assert_eq!(done["state"], "succeeded", "{act}: {done:#}");
}

/// The network's DNS gives its name exactly one address, and a web server there says the machine's host name.
async fn assert_answers(site: &Site, machine: &Value) {
    let (fqdn, address) = (text(machine, "fqdn"), text(machine, "address"));
    let server: IpAddr = site.gateway().parse().unwrap();
    let config = ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(server)]);
    let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build().expect("a resolver");
    let lookup = resolver.ipv4_lookup(format!("{fqdn}.")).await.expect("the name answers");
    let found: Vec<_> = lookup
        .answers()
        .iter()
        .filter_map(|record| if let RData::A(a) = &record.data { Some(a.0.to_string()) } else { None })
        .collect();
    assert_eq!(found, [address.as_str()], "{fqdn}");
    let page = reqwest::get(format!("http://{address}/")).await.expect("port 80 answers").text().await.expect("a page");
    let name = text(machine, "name");
    assert!(page.contains(&name), "{name}: {page}");
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value:#}")).to_owned()
}
