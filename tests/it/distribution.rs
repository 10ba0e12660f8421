//! Images find their way to every host by themselves, are brought again when they have gone, and are sent once, whoever
//! dies or wakes up on the way. virsh and the pool's own files say where an image lies.

mod lines;

use crate::support::{
    broker::{self, Broker, Cast, On, Setup, halting_image},
    intent,
    raw::Raw,
    site::Site,
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(90);

/// So many bytes of disk with a boot sector, unlike any other number's.
fn image(length: usize, number: u8) -> Vec<u8> {
    let pages = (0..length.div_ceil(4096)).map(|page| [u8::try_from(page % 251).expect("small") ^ number; 4096]);
    let mut image = pages.collect::<Vec<_>>().concat();
    image.truncate(length);
    image[..512].copy_from_slice(&halting_image()[..512]);
    image
}

struct Stage {
    broker: Broker,
    cast: Cast,
    raw: Raw,
}

impl Stage {
    async fn new(setup: Setup) -> Self {
        let broker = Broker::start(setup.with("JIYUE_LISTING_SECONDS", "1")).await;
        let cast = Cast::arrive(&broker).await;
        Self { raw: Raw::new(&broker), broker, cast }
    }

    async fn import(&self, name: &str, bytes: Vec<u8>) -> String {
        let path = format!("/v1/images?name={name}&os_type=debian-12&stand_in=true");
        let reply = self.raw.post(&path, &self.cast.operator, "application/octet-stream", bytes).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["sha256"].as_str().expect("a digest").to_owned()
    }

    /// State and percent of an image on a host.
    async fn transfer(&self, image: &str, host: &str) -> Value {
        let all = self.broker.get(&format!("/v1/images/{image}/hosts"), &self.cast.operator).await.expect(200);
        let all = all["items"].as_array().expect("a list").clone();
        all.into_iter().find(|transfer| transfer["host"] == host).unwrap_or_else(|| panic!("no {host}"))
    }

    async fn until(&self, image: &str, host: &str, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let transfer = self.transfer(image, host).await;
            if transfer["state"] == state {
                return transfer;
            }
            assert!(began.elapsed() < LIMIT, "{transfer:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn cli(&self, token: &str, args: &[&str]) -> (Option<i32>, String, String) {
        let out = self.broker.setup.cli(Some(&self.broker), token, args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    }
}

fn file(site: &Site, sha256: &str) -> PathBuf {
    Path::new(&site.pool_path()).join(format!("image-{sha256}.raw"))
}

/// The image lies there, whole, marked, and nobody can write to it.
fn assert_whole(site: &Site, sha256: &str) {
    let path = file(site, sha256);
    let bytes = std::fs::read(&path).expect("the image");
    assert_eq!(intent::sha256(&bytes), sha256);
    assert_eq!(path.metadata().expect("the image").mode() & 0o222, 0);
    // libvirt refuses it while anybody still sends to the pool.
    let began = Instant::now();
    while let Err(error) = Site::libvirt().virsh(&["pool-refresh", &site.name]) {
        assert!(error.contains("asynchronous jobs") && began.elapsed() < LIMIT, "{error}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let listed = Site::virsh(&["vol-list", &site.name]);
    let images: BTreeSet<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let name = format!("image-{sha256}.raw");
    assert!(images.contains(name.as_str()) && images.contains(format!("{name}.ready").as_str()), "{images:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn images_find_every_host_by_themselves_and_are_brought_again() {
    let stage = Stage::new(Setup::new(On::Sqlite)).await;
    let (one, two) = (Site::new(), Site::new());
    stage.broker.post("/v1/hosts", &stage.cast.operator, &one.host()).await.expect(201);
    let (first, second) =
        (stage.import("first", image(8 << 20, 1)).await, stage.import("second", image(4096, 2)).await);
    for sha256 in [&first, &second] {
        stage.until(sha256, &one.name, "present").await;
        assert_whole(&one, sha256);
    }
    // An image of a system that nobody mends any more goes nowhere by itself, and says so.
    let old = stage.import("old", image(4096, 3)).await;
    let mut sql = Sql::writing(&stage.broker.setup.database_url).await;
    stage.until(&old, &one.name, "present").await;
    sql.run(&format!("update images set os_type = 'centos-7' where sha256 = '{old}'")).await;
    let shown = stage.broker.get("/v1/images/old", &stage.cast.requester).await.expect(200);
    assert_eq!((&shown["ended"], &shown["end_of_life"]), (&json!(true), &json!("2024-06-30")));
    let (code, list, _) = stage.cli(&stage.cast.operator, &["image", "list"]);
    assert!(code == Some(0) && list.lines().any(|line| line.contains("old") && line.contains("已停止维护")), "{list}");

    // Another host gets what there is, and nobody has asked for it.
    stage.broker.post("/v1/hosts", &stage.cast.operator, &two.host()).await.expect(201);
    for sha256 in [&first, &second] {
        stage.until(sha256, &two.name, "present").await;
        assert_whole(&two, sha256);
    }
    assert_eq!(stage.transfer(&old, &two.name).await["state"], "absent");
    let rows = "select count(*) from host_images";
    assert_eq!(sql.number(rows).await, 5);
    let (_, list, _) = stage.cli(&stage.cast.requester, &["image", "list"]);
    assert!(list.lines().any(|line| line.contains("first") && line.contains("2/2")), "{list}");
    assert!(list.lines().any(|line| line.contains("old") && line.contains("1/2")), "{list}");

    // Somebody deletes it on the host: it is missed at the next listing, and brought again.
    let name = format!("image-{first}.raw");
    let before = file(&two, &first).metadata().expect("the image").ino();
    for volume in [format!("{name}.ready"), name] {
        Site::virsh(&["vol-delete", "--pool", &two.name, &volume]);
    }
    let began = Instant::now();
    while !file(&two, &first).exists() {
        assert!(began.elapsed() < LIMIT, "it is not brought again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.until(&first, &two.name, "present").await;
    assert_whole(&two, &first);
    assert_eq!(sql.number(rows).await, 5);

    // Asked for by hand: what is there stays as it is.
    let at_rest = (file(&one, &first).metadata().unwrap(), file(&two, &first).metadata().unwrap());
    let (code, said, error) = stage.cli(&stage.cast.operator, &["image", "distribute", "first", "--wait"]);
    assert!(code == Some(0) && said.contains("已分发到 2 台宿主机"), "{said}{error}");
    for (site, before) in [(&one, at_rest.0), (&two, at_rest.1)] {
        let now = file(site, &first).metadata().unwrap();
        assert_eq!((now.ino(), now.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    }
    eprintln!("inode before the deletion {before}");
    let (code, sheet, _) = stage.cli(&stage.cast.operator, &["image", "show", &first[..12]]);
    assert!(code == Some(0) && sheet.matches("已在").count() == 2, "{sheet}");
    let (code, said, error) = stage.cli(&stage.cast.operator, &["image", "show", "first", "--watch"]);
    assert!(code == Some(0) && said.contains("已分发到 2 台宿主机"), "{said}{error}");
    // Who may not see hosts sees the image, and not where it lies.
    let (code, sheet, _) = stage.cli(&stage.cast.requester, &["image", "show", "first"]);
    assert!(code == Some(0) && !sheet.contains(&one.name) && sheet.contains("2/2"), "{sheet}");
    assert_eq!(stage.cli(&stage.cast.requester, &["image", "distribute", "first"]).0, Some(1));
    assert_eq!(stage.cli(&stage.cast.operator, &["image", "distribute", "third"]).0, Some(1));
    assert_eq!(stage.cli(&stage.cast.operator, &["image", "distribute", "first", "--host", "nowhere"]).0, Some(1));

    // A copy of the broker's that has gone: told in words, and mended by bringing it back.
    let copy = stage.broker.setup.folder.join("images").join(format!("{old}.raw"));
    let aside = stage.broker.setup.folder.join("aside");
    std::fs::rename(&copy, &aside).unwrap();
    let (code, _, error) =
        stage.cli(&stage.cast.operator, &["image", "distribute", "old", "--host", &two.name, "--wait"]);
    assert!(
        code == Some(1) && error.contains("没有分发到全部宿主机") && error.contains("the broker's own copy"),
        "{error}"
    );
    assert_eq!(stage.transfer(&old, &two.name).await["state"], "failed");
    std::fs::rename(&aside, &copy).unwrap();
    let (code, _, error) =
        stage.cli(&stage.cast.operator, &["image", "distribute", "old", "--host", &two.name, "--wait"]);
    assert_eq!(code, Some(0), "{error}");
    assert_whole(&two, &old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sending_that_is_cut_is_taken_up_and_two_brokers_send_once() {
    let setup = Setup::new(On::Postgres);
    let mut stage = Stage::new(setup.clone()).await;
    let site = Site::new();
    stage.broker.post("/v1/hosts", &stage.cast.operator, &site.host()).await.expect(201);
    let mut sql = Sql::reading(&setup.database_url).await;
    let setup = stage.broker.setup.clone();

    // Killed in the middle.
    let large = stage.import("large", image(96 << 20, 4)).await;
    let began = Instant::now();
    while stage.transfer(&large, &site.name).await["state"] != "sending" {
        assert!(began.elapsed() < LIMIT, "nobody sends it");
    }
    stage.broker.kill();
    assert!(!Path::new(&site.pool_path()).join(format!("image-{large}.raw.ready")).exists());
    assert_eq!(sql.number("select count(*) from host_images").await, 0);
    stage.broker = Broker::start(setup.clone()).await;
    stage.raw = Raw::new(&stage.broker);
    stage.until(&large, &site.name, "present").await;
    assert_whole(&site, &large);
    assert_eq!(sql.number("select count(*) from host_images").await, 1);

    // Killed at the two instants that matter: taken and not sent; sent and not written down.
    if cfg!(feature = "crash-points") {
        for (number, point) in [(5, "image.taken"), (6, "image.sent")] {
            stage.broker.kill();
            stage.broker = Broker::start(setup.clone().with("JIYUE_CRASH_AT", point)).await;
            stage.raw = Raw::new(&stage.broker);
            let sha256 = stage.import(point, image(1 << 20, number)).await;
            assert!(stage.broker.died(Duration::from_secs(120)), "it did not come to {point}");
            stage.broker = Broker::start(setup.clone()).await;
            stage.raw = Raw::new(&stage.broker);
            stage.until(&sha256, &site.name, "present").await;
            assert_whole(&site, &sha256);
        }
    }

    // Stopped in good order while it sends: it does not stay for the end, and the next one takes it up.
    let other = stage.import("other", image(96 << 20, 7)).await;
    stage.until(&other, &site.name, "sending").await;
    let asked = std::process::Command::new("kill").args(["-TERM", &stage.broker.pid().to_string()]).status();
    assert!(asked.expect("kill runs").success());
    let began = Instant::now();
    assert!(stage.broker.died(Duration::from_secs(20)), "it stays");
    eprintln!("stopped after {:.1?}", began.elapsed());

    // Two brokers: each image is sent by one of them.
    let mut second = setup.clone().with("JIYUE_IMAGE_FOLDER", &setup.folder.join("images").to_string_lossy());
    second.folder = crate::support::scratch("second");
    let before = sent(&setup.folder);
    stage.broker = Broker::start(setup.clone()).await;
    stage.raw = Raw::new(&stage.broker);
    let twin = Broker::start(second.clone()).await;
    stage.until(&other, &site.name, "present").await;
    let mut images = vec![other];
    for number in 8..12 {
        images.push(stage.import(&format!("n{number}"), image(2 << 20, number)).await);
    }
    for sha256 in &images {
        stage.until(sha256, &site.name, "present").await;
        assert_whole(&site, sha256);
    }
    // A machine that needs its image at once: neither the broker that builds nor the other one sends it a second time.
    stage.broker.post("/v1/task-books", &stage.cast.authority, &broker::task_book()).await.expect(201);
    site.play_guests(8, true).await;
    for number in 12..15 {
        let mut block = broker::request();
        block["域名"] = json!(format!("{}-n{number}.xiangcheng.example", site.name));
        block["申请虚拟机数量"] = json!(2);
        block["磁盘空间"] = json!("1G");
        let made = stage.broker.post("/v1/requests", &stage.cast.requester, &block).await.expect(201);
        let path = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().expect("an id"));
        images.push(stage.import(&format!("n{number}"), image(24 << 20, number)).await);
        let asked = stage.broker.post(&path, &stage.cast.authority, &json!({})).await.expect(202);
        let done = stage.broker.finished(asked["id"].as_str().expect("an id"), &stage.cast.authority, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let sha256 = images.last().expect("it was pushed");
        stage.until(sha256, &site.name, "present").await;
        assert_whole(&site, sha256);
    }
    let (here, there) = (sent(&setup.folder) - before, sent(&second.folder));
    eprintln!("{here} sent by one, {there} by the other");
    assert_eq!(here + there, images.len());
    // Nor has one of them tried in vain, for the other was at it.
    for folder in [&setup.folder, &second.folder] {
        let log = std::fs::read_to_string(folder.join("serve.log")).expect("a log");
        assert!(!log.contains("image.not_sent") && !log.contains("image.lease.lost"), "{}", folder.display());
    }
    drop(twin);
}

/// How many images a broker says that it has sent.
fn sent(folder: &Path) -> usize {
    let log = std::fs::read_to_string(folder.join("serve.log")).unwrap_or_default();
    log.lines().filter(|line| line.contains("image.sent")).count()
}
