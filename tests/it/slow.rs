//! What takes minutes where guests are emulated: `make test-slow`. Every test in here is ignored otherwise.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    guest, libvirt,
    psql::Client,
    site::Site,
    ssh::Key,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::time::{Duration, Instant};

/// A full Debian as the broker builds it where there is no image with the database in it: the part for databases makes it
/// a PostgreSQL server on its first start, with packages from its own apt sources.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: make test-slow"]
async fn a_full_debian_becomes_a_database_on_its_first_start() {
    let site = Site::new();
    let setup = Setup::new(On::Sqlite).with("JIYUE_ANSWER_SECONDS", "600").with("JIYUE_INSTALL_SECONDS", "1500");
    let broker = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
    let image = std::fs::read(libvirt::debian()).expect("the image");
    let url = format!("{}/v1/images?os_type=debian-12&name=Debian", broker.url);
    let import = crate::support::http().post(url).bearer_auth(&cast.operator).body(image);
    assert_eq!(import.send().await.expect("an answer").status().as_u16(), 201);

    let key = Key::new();
    let mut block = broker::request();
    block["ssh_keys"] = json!([key.public()]);
    for (name, text) in [("数据库类型", "PostgreSQL 15"), ("内存容量", "1G"), ("磁盘空间", "8G")] {
        block[name] = json!(text);
    }
    block["申请虚拟机数量"] = json!(1);
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    let id = made["items"][0]["id"].as_str().expect("an id");
    let began = Instant::now();
    let path = format!("/v1/requests/{id}/approve");
    let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
    let done = broker.finished(operation["id"].as_str().unwrap(), &cast.operator, Duration::from_secs(2100)).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    eprintln!("delivered after {:.0?}", began.elapsed());

    let machine = broker.get(&format!("/v1/requests/{id}"), &cast.requester).await.expect(200)["machines"][0].clone();
    let path = format!("/v1/machines/{}", machine["id"].as_str().unwrap());
    let given = broker.post(&format!("{path}/credentials"), &cast.requester, &json!({})).await.expect(200);
    let text = |name: &str| given[name].as_str().expect(name).to_owned();
    let (address, role, password) = (text("address"), text("role"), text("password"));
    let client = Client { address: address.clone(), database: text("database") };
    let made = client.run(&role, &password, "create table t (n int); insert into t values (42); select n from t");
    assert_eq!(made.as_deref(), Ok("42"));
    assert!(client.run(&role, "Tr0ub4dor", "select 1").is_err());
    assert!(client.run("postgres", &password, "select 1").is_err());

    // cloud-init starts the server anew once it has been up, and then there is none for a moment.
    let ssh = |command: &str| {
        for _ in 0..30 {
            match key.run(&address, command, "") {
                Err((Some(255), _)) => std::thread::sleep(Duration::from_secs(1)),
                other => return other.map_err(|(_, text)| text),
            }
        }
        Err("no connection".to_owned())
    };
    let status = ssh("cloud-init status --wait --long || true").unwrap();
    assert!(status.contains("status: done"), "{status}");
    assert_eq!(ssh("hostname -f").as_deref(), Ok(machine["fqdn"].as_str().unwrap()));
    assert!(ssh("cat /etc/debian_version").unwrap().starts_with(char::is_numeric));
    let root: u64 = ssh("df --output=size -B1 / | tail -n 1").unwrap().trim().parse().unwrap();
    assert!(root > 7 << 30, "the root file system has grown: {root}");
    let domain = machine["name"].as_str().unwrap();
    assert_eq!(guest::agent(domain, "guest-ping", &json!({})), Some(json!({})));
    assert!(ssh("test ! -e /etc/jiyue/database.conf").is_ok(), "the file with the password is gone");
    assert!(ssh(&format!("! grep -rq {password} /var/log /etc")).is_ok(), "the password is in a log");
    let conf = STANDARD.encode(format!("database={}\nrole={role}\npassword={password}\n", client.database));
    let console = broker.get(&format!("{path}/log"), &cast.requester).await.expect(200);
    assert!(console.as_str().is_some_and(|text| !text.contains(&password) && !text.contains(&conf)));
    // The seed is the host's; the disk is the machine's own, where cloud-init keeps for root what it was told.
    let seeds = std::fs::read_dir(site.pool_path()).expect("the pool").map(|file| file.unwrap().path());
    let seeds: Vec<_> = seeds.filter(|path| path.to_string_lossy().ends_with(".seed.img")).collect();
    let [seed] = &seeds[..] else { panic!("{seeds:?}") };
    let seed = String::from_utf8_lossy(&std::fs::read(seed).unwrap()).into_owned();
    assert!(seed.contains("jiyue-database"), "it has the part that installs");
    assert!(!seed.contains(&password) && !seed.contains(&conf), "the seed has the password");

    // It comes up again from the seed that has no password in it any more.
    let began = Instant::now();
    let operation = broker.post(&format!("{path}/reboot"), &cast.requester, &json!({})).await.expect(202);
    let done = broker.finished(operation["id"].as_str().unwrap(), &cast.operator, Duration::from_secs(600)).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    eprintln!("again after {:.0?}", began.elapsed());
    assert_eq!(client.run(&role, &password, "select n from t").as_deref(), Ok("42"));
}
