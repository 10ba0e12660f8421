//! An old guest's disk moves from one real libvirt host to a machine on another: virsh says who runs from what, `sha256sum`
//! what is on each disk, and the old guest's file is looked at before and after.
//!
//! The guests hold a boot sector that halts, so that they cost next to nothing, and this machine answers in their place; a
//! guest that really boots is in `guest`, kills in `kills`, hosts that are away in `away`, and what happens in the wrong moment
//! in `guards`.

mod away;
mod guards;
mod guest;
mod kills;

use crate::support::{
    broker::{self, Answer, Broker, Cast, On, Setup},
    hosts::{self, Hosts, ZONE_BRIDGE},
    plain,
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(150);
/// Numbers of the hosts: the departmental room's and the cloud's.
const ROOM: u8 = 1;
const CLOUD: u8 = 2;
const MIB: usize = 1 << 20;

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value:#}")).to_owned()
}

fn sha256(file: &Path) -> String {
    let out = Command::new("sha256sum").arg(file).output().expect("sha256sum");
    assert!(out.status.success(), "{}", file.display());
    String::from_utf8_lossy(&out.stdout).split_whitespace().next().unwrap_or_default().to_owned()
}

/// Imports that are over, one for each machine, as plain SQL writes them: for lists, and for who may see what.
pub async fn over(url: &str) -> Vec<String> {
    let mut imports = Vec::new();
    for (n, machine) in (1..).zip(plain::texts(url, "select id from machines order by id").await) {
        let [id, operation, domain] = std::array::from_fn(|_| uuid::Uuid::now_v7().to_string());
        let state = if n % 2 == 0 { "failed" } else { "returned" };
        let insert = format!(
            "insert into disk_imports (id, department_id, server_id, machine_id, operation_id, source_host, domain_id, \
             domain_name, disk_file, disk_format, state, address, own_address, file_bytes, virtual_bytes, written, \
             created_by, created_at, ended_at) select '{id}', department_id, (select min(id) from servers where \
             servers.department_id = machines.department_id), id, '{operation}', 'room', '{domain}', 'oa-old', \
             '/pool/oa-old.img', 'qcow2', '{state}', '10.0.0.9', '10.0.0.9', 1048576, 1073741824, '', 'ops', {n}, {n} \
             from machines where id = '{machine}'"
        );
        plain::run(url, &insert).await.unwrap();
        imports.push(id);
    }
    imports
}

/// An old guest's disk: a boot sector that halts, a mark, nothing for long, and a mark at its end; 28 MiB, of which 20 are
/// in pieces with something in them.
fn old_disk() -> Vec<u8> {
    let mut disk = vec![0; 28 * MIB];
    disk[..MIB].copy_from_slice(&broker::halting_image());
    let mut seed = u64::from(std::process::id()) | 1;
    for byte in &mut disk[MIB..9 * MIB] {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = seed.to_be_bytes()[0];
    }
    disk[27 * MIB..].fill(0x5a);
    disk
}

/// A domain on the room's host, with a pool of its own there.
struct Old<'a> {
    hosts: &'a Hosts,
    name: String,
    id: uuid::Uuid,
    file: PathBuf,
    digest: String,
}

impl<'a> Old<'a> {
    fn new(hosts: &'a Hosts) -> Self {
        Self::with(hosts, "raw", &old_disk(), "")
    }

    fn with(hosts: &'a Hosts, format: &str, disk: &[u8], devices: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("old{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = format!("/var/lib/libvirt/{name}");
        for args in
            [&["pool-define-as", &name, "dir", "--target", &folder][..], &["pool-build", &name], &["pool-start", &name]]
        {
            hosts.virsh(ROOM, args).unwrap();
        }
        let file = hosts.seen_from_here(ROOM, &folder).join("system.img");
        std::fs::write(&file, disk).unwrap();
        let old = Self { hosts, digest: sha256(&file), file, name, id: uuid::Uuid::now_v7() };
        old.define(format, devices);
        old.virsh(&["autostart", &old.name]);
        old.virsh(&["start", &old.name]);
        old
    }

    fn define(&self, format: &str, devices: &str) {
        let (name, id, path) = (&self.name, self.id, format!("/var/lib/libvirt/{}/system.img", self.name));
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><uuid>{id}</uuid><memory unit='MiB'>128</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features>\
             <devices><controller type='usb' model='none'/>\
             <disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{path}'/>\
             <target dev='vda' bus='virtio'/></disk>{devices}</devices></domain>"
        );
        let file = crate::support::scratch("old").join(format!("{name}.xml"));
        std::fs::write(&file, xml).unwrap();
        self.virsh(&["define", &file.to_string_lossy()]);
    }

    #[track_caller]
    fn virsh(&self, args: &[&str]) -> String {
        self.hosts.virsh(ROOM, args).unwrap_or_else(|e| panic!("virsh in the room: {args:?}: {e}"))
    }

    fn state(&self) -> String {
        self.virsh(&["domstate", &self.name])
    }

    fn autostarts(&self) -> bool {
        let info = self.virsh(&["dominfo", &self.name]);
        info.lines().any(|line| line.starts_with("Autostart") && line.trim().ends_with("enable"))
    }

    /// Its disk is there, byte for byte as it was.
    #[track_caller]
    fn assert_whole(&self) {
        assert_eq!(sha256(&self.file), self.digest, "the old disk is not what it was");
        assert!(self.virsh(&["list", "--all", "--name"]).lines().any(|name| name == self.name), "it is still defined");
    }
}

impl Drop for Old<'_> {
    fn drop(&mut self) {
        for act in ["destroy", "undefine", "pool-destroy", "pool-undefine"] {
            let _ = self.hosts.virsh(ROOM, &[act, &self.name]);
        }
    }
}

/// A broker with a cloud host, and a room's host that old guests come from.
struct District<'a> {
    hosts: &'a Hosts,
    setup: Setup,
    cast: Cast,
    broker: Option<Broker>,
    sql: Sql,
    /// The name of its pool and of its segment.
    name: String,
    server: String,
}

impl<'a> District<'a> {
    /// `first` and `last` are addresses in the zone that nobody else has.
    async fn new(hosts: &'a Hosts, (first, last): (u8, u8), image: Vec<u8>, answering: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cloud{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let setup = Setup::new(On::Sqlite)
            .with("JIYUE_SHUTDOWN_SECONDS", if answering { "1" } else { "20" })
            .with("JIYUE_LISTING_SECONDS", "2")
            .with("JIYUE_INSECURE_NETWORKS", &hosts.management());
        let config = format!("[[source_host]]\nname = \"room\"\nuri = \"{}\"\n", hosts.tcp(ROOM));
        std::fs::write(setup.folder.join("config.toml"), config).unwrap();
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 100, "vcpu": 100, "memory": "400 GiB", "disk": "400 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        let document = json!({"name": name, "uri": hosts.tls(CLOUD, "good"), "pool": name,
            "pool_path": format!("/var/lib/libvirt/{name}"), "memory_reserve_bytes": 0, "vcpu_overcommit": 16,
            "zones": [{"zone": "government_extranet", "segment": name, "bridge": ZONE_BRIDGE,
                "cidr": format!("{}/24", hosts.guest(0)), "gateway": hosts.guest(1),
                "addresses": format!("{}-{}", hosts.guest(first), hosts.guest(last))}]});
        broker.post("/v1/hosts", &cast.operator, &document).await.expect(201);
        broker.image(&cast, image).await;
        if answering {
            hosts.play_guests(first..=last).await;
        }
        let server = json!({"name": "机房旧服务器", "department": "mzj"});
        let server = text(&broker.post("/v1/servers", &cast.operator, &server).await.expect(201), "id");
        let sql = Sql::reading(&setup.database_url).await;
        Self { hosts, setup, cast, broker: Some(broker), sql, name, server }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("a broker")
    }

    /// Ends the one there is by SIGKILL and starts another.
    async fn start(&mut self, env: &[(&str, &str)]) {
        self.spawn(env);
        self.broker().ready().await;
    }

    /// The same for one that may be dead before it is ready: what it finds half done leads it to where it dies.
    fn spawn(&mut self, env: &[(&str, &str)]) {
        self.broker = None;
        let setup = env.iter().fold(self.setup.clone(), |setup, (key, value)| setup.with(key, value));
        self.broker = Some(Broker::spawn(setup));
    }

    async fn build(&self, domain: &str, change: impl Fn(&mut Value)) -> String {
        let mut block = broker::request();
        block["域名"] = json!(format!("{domain}.xiangcheng.example"));
        block["申请虚拟机数量"] = json!(1);
        block["磁盘空间"] = json!("1G");
        change(&mut block);
        let made = self.broker().post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        let path = format!("/v1/requests/{}", text(&made["items"][0], "id"));
        let operation = self.broker().post(&format!("{path}/approve"), &self.cast.authority, &json!({})).await;
        self.done(&text(&operation.expect(202), "id")).await;
        let request = self.broker().get(&path, &self.cast.operator).await.expect(200);
        text(&request["machines"][0], "id")
    }

    async fn order(&self, order: &Value) -> Answer {
        self.broker().post("/v1/disk-imports", &self.cast.operator, order).await
    }

    fn plain_order(&self, old: &Old<'_>, machine: &str) -> Value {
        json!({"server_id": self.server, "source_host": "room", "domain": old.name, "machine_id": machine,
            "address": "new"})
    }

    /// Begins one, and answers its id and its operation's.
    async fn begin(&self, old: &Old<'_>, machine: &str) -> (String, String) {
        let import = self.order(&self.plain_order(old, machine)).await.expect(201);
        (text(&import, "id"), text(&import, "operation_id"))
    }

    /// Asks for something of which the broker may die before it has answered.
    async fn try_post(&self, path: &str, body: &Value) {
        let url = format!("{}{path}", self.broker().url);
        let sent = crate::support::http().post(url).bearer_auth(&self.cast.operator).json(body).send().await;
        if let Ok(answer) = sent {
            assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap_or_default());
        }
    }

    /// Begins one with a broker that dies at `point`; its id and its operation's.
    async fn begin_and_die(&mut self, old: &Old<'_>, machine: &str, point: &str) -> (String, String) {
        self.start(&[("JIYUE_CRASH_AT", point)]).await;
        self.try_post("/v1/disk-imports", &self.plain_order(old, machine)).await;
        self.died(point);
        let newest = "select id || ' ' || operation_id from disk_imports order by id desc limit 1";
        let row = self.sql.column(newest).await.remove(0);
        let (id, operation) = row.split_once(' ').expect("two ids");
        (id.to_owned(), operation.to_owned())
    }

    /// The same for its way back; the operation's id.
    async fn roll_back_and_die(&mut self, id: &str, point: &str) -> String {
        self.start(&[("JIYUE_CRASH_AT", point)]).await;
        self.try_post(&format!("/v1/disk-imports/{id}/rollback"), &json!({"reason": "迁移后测试未通过"})).await;
        self.died(point);
        self.sql.column(&format!("select operation_id from disk_imports where id = '{id}'")).await.remove(0)
    }

    #[track_caller]
    fn died(&mut self, point: &str) {
        let died = self.broker.as_mut().expect("a broker").died(Duration::from_secs(120));
        assert!(died, "the broker did not come to {point}:\n{}", self.broker().log());
    }

    async fn done(&self, operation: &str) -> Value {
        let done = self.broker().finished(operation, &self.cast.operator, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}\n{}", self.broker().log());
        done
    }

    async fn import(&self, id: &str) -> Value {
        self.broker().get(&format!("/v1/disk-imports/{id}"), &self.cast.operator).await.expect(200)
    }

    async fn roll_back(&self, id: &str) -> String {
        let path = format!("/v1/disk-imports/{id}/rollback");
        let reason = json!({"reason": "迁移后测试未通过"});
        text(&self.broker().post(&path, &self.cast.operator, &reason).await.expect(202), "id")
    }

    async fn finish(&self, id: &str) -> Answer {
        self.broker().post(&format!("/v1/disk-imports/{id}/finish"), &self.cast.operator, &json!({})).await
    }

    async fn on_machine(&self, machine: &str, act: &str) -> Answer {
        self.broker().post(&format!("/v1/machines/{machine}/{act}"), &self.cast.operator, &json!({})).await
    }

    fn machine_state(&self, machine: &str) -> String {
        self.hosts.virsh(CLOUD, &["domstate", machine]).unwrap_or_default()
    }

    /// The file of the machine's first disk, as its definition says.
    fn disk_of(&self, machine: &str) -> PathBuf {
        let xml = self.hosts.virsh(CLOUD, &["dumpxml", "--inactive", machine]).unwrap();
        let path = xml.split("<source file='").nth(1).and_then(|rest| rest.split('\'').next()).expect("a disk");
        self.hosts.seen_from_here(CLOUD, path)
    }

    /// Its volumes, by the last parts of their names.
    fn volumes(&self, machine: &str) -> Vec<String> {
        let folder = self.hosts.seen_from_here(CLOUD, &format!("/var/lib/libvirt/{}", self.name));
        let names = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().to_string_lossy().into_owned());
        let mut own: Vec<_> = names
            .filter(|name| name.starts_with(machine))
            .map(|name| name.split('.').skip(2).collect::<Vec<_>>().join("."))
            .map(|name| if name.starts_with("import-") { "import".to_owned() } else { name })
            .collect();
        own.sort();
        own
    }

    /// The machine, and it alone, runs from what the old guest had.
    #[track_caller]
    fn assert_moved(&self, old: &Old<'_>, machine: &str) {
        assert_eq!((old.state().as_str(), self.machine_state(machine).as_str()), ("shut off", "running"));
        assert!(!old.autostarts(), "it would start with its host");
        let disk = self.disk_of(machine);
        assert!(disk.to_string_lossy().contains(".import-"), "{}", disk.display());
        assert_eq!(sha256(&disk), old.digest, "what the machine runs from is what the old guest had");
        old.assert_whole();
    }

    /// The old guest, and it alone, runs from what it had.
    #[track_caller]
    fn assert_returned(&self, old: &Old<'_>, machine: &str) {
        assert_eq!((old.state().as_str(), self.machine_state(machine).as_str()), ("running", "shut off"));
        assert!(old.autostarts(), "it starts with its host, as it did");
        let disk = self.disk_of(machine);
        assert!(disk.to_string_lossy().ends_with(".root.qcow2"), "{}", disk.display());
        old.assert_whole();
    }

    async fn books_agree(&mut self) {
        assert_eq!(self.sql.faults().await, Vec::<String>::new());
        let ledger = self.broker().get("/v1/ledger", &self.cast.auditor).await.expect(200);
        assert_eq!(ledger["consistent"], true, "{ledger:#}");
        let alarms = self.broker().get("/v1/alarms?state=open", &self.cast.operator).await;
        if alarms.status == 200 {
            assert_eq!(alarms.body["items"], json!([]), "the watch finds nothing odd");
        }
    }
}

/// Looks at both hosts all the time, and remembers each moment in which both ran from the old guest's disk.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<(u32, u32)>>,
}

impl Watcher {
    fn over(old: &Old<'_>, machine: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (room, cloud) = (old.hosts.socket(ROOM), old.hosts.socket(CLOUD));
        let (name, machine, stopped) = (old.name.clone(), machine.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let ask = |uri: &str, args: [&str; 2]| {
                let out = Command::new("virsh").args(["-q", "-c", uri]).args(args).output().expect("virsh");
                String::from_utf8_lossy(&out.stdout).trim().to_owned()
            };
            let (mut looks, mut doubles) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                // The old guest before and after the machine: both run only if it is so in one moment.
                let before = ask(&room, ["domstate", &name]);
                let runs = ask(&cloud, ["domstate", &machine]) == "running"
                    && ask(&cloud, ["dumpxml", &machine]).contains(".import-");
                looks += 1;
                if runs && before == "running" && ask(&room, ["domstate", &name]) == "running" {
                    doubles += 1;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            (looks, doubles)
        });
        Self { stop, thread: Some(thread) }
    }

    #[track_caller]
    fn assert_never_both(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let (looks, doubles) = self.thread.take().unwrap().join().unwrap();
        assert!(looks > 0);
        assert_eq!(doubles, 0, "both ran from one disk, in {doubles} of {looks} looks");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_guests_disk_moves_goes_back_moves_again_and_stays() {
    let hosts = hosts::shared();
    let mut district = District::new(hosts, (200, 205), broker::halting_image(), true).await;
    let old = Old::new(hosts);
    let machine = district.build("oa", |_| ()).await;
    let watcher = Watcher::over(&old, &machine);
    let began = Instant::now();
    let (id, operation) = district.begin(&old, &machine).await;
    // A guest is in one import's hands, and so is a machine.
    let again = district.order(&district.plain_order(&old, &machine)).await;
    assert_eq!(again.code(), "machine_busy", "{again:?}");
    district.done(&operation).await;
    println!("a disk of {} MiB moved in {:.1?}", 28, began.elapsed());
    district.assert_moved(&old, &machine);
    let import = district.import(&id).await;
    assert_eq!((text(&import, "state").as_str(), &text(&import, "sha256")), ("moved", &old.digest));
    assert_eq!((&import["file_bytes"], &import["copied_bytes"]), (&json!(28 * MIB), &json!(28 * MIB)));
    assert_eq!(import["sent_bytes"], json!(20 * MIB), "eight MiB of zeros are on both sides already");
    assert_eq!((&import["answered"], import["checked_at"].is_string()), (&json!(true), true));
    assert_eq!(district.volumes(&machine), ["console.log", "import", "root.qcow2", "seed.img"]);
    district.books_agree().await;

    // While there is a way back, the machine is not built anew elsewhere, nor does it travel.
    assert_eq!(district.on_machine(&machine, "rebuild").await.code(), "disk_import_open");
    assert_eq!(district.on_machine(&machine, "migrate").await.code(), "machine_on_imported_disk");
    // Somebody starts the old guest by hand while the machine is off: the machine does not start beside it.
    let stopped = district.on_machine(&machine, "stop").await.expect(202);
    district.done(&text(&stopped, "id")).await;
    old.virsh(&["start", &old.name]);
    let start = district.on_machine(&machine, "start").await.expect(202);
    let refused = district.broker().finished(&text(&start, "id"), &district.cast.operator, LIMIT).await;
    assert_eq!(refused["state"], "failed", "{refused:#}");
    assert!(text(&refused, "reason").contains(&old.name), "{refused:#}");
    assert_eq!(district.finish(&id).await.code(), "source_guest_running");
    old.virsh(&["destroy", &old.name]);
    let start = district.on_machine(&machine, "start").await.expect(202);
    district.done(&text(&start, "id")).await;
    district.assert_moved(&old, &machine);

    let back = district.roll_back(&id).await;
    district.done(&back).await;
    district.assert_returned(&old, &machine);
    // What the machine ran from may hold what is nowhere else: it is set aside.
    assert_eq!(district.volumes(&machine), ["console.log", "import", "root.qcow2", "seed.img"]);
    assert_eq!(district.import(&id).await["state"], "returned");
    assert_eq!(district.finish(&id).await.code(), "disk_import_state");
    watcher.assert_never_both();

    // And once more, to stay; the address is the old guest's.
    let kept = hosts.guest(230).to_string();
    let mut order = district.plain_order(&old, &machine);
    order["address"] = json!("keep");
    for (address, word) in [(Value::Null, "old_address"), (json!("10.99.1.2"), "网段"), (json!(hosts.guest(1)), "可用")]
    {
        order["old_address"] = address;
        let refused = district.order(&order).await;
        assert_eq!(refused.code(), "address_not_kept", "{refused:?}");
        assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{refused:?}");
    }
    order["old_address"] = json!(kept);
    hosts.play_guests(230..=230).await;
    let own = district.broker().get(&format!("/v1/machines/{machine}"), &district.cast.operator).await.expect(200);
    let import = district.order(&order).await.expect(201);
    district.done(&text(&import, "operation_id")).await;
    district.assert_moved(&old, &machine);
    let now = district.broker().get(&format!("/v1/machines/{machine}"), &district.cast.operator).await.expect(200);
    assert_eq!(text(&now, "address"), kept);
    assert_ne!(text(&now, "address"), text(&own, "address"));
    assert!(hosts.virsh(CLOUD, &["dumpxml", &machine]).unwrap().contains(&kept), "its filter lets it speak from there");
    // Its own address is kept for the way back, and given to nobody.
    let held = district.sql.column("select address from kept_addresses").await;
    assert_eq!(held, [text(&own, "address")]);

    let id = text(&import, "id");
    let finished = district.finish(&id).await.expect(200);
    assert_eq!(
        (text(&finished, "state").as_str(), &finished["evidence"]["domain_state"]),
        ("finished", &json!("shut off"))
    );
    assert!(finished["evidence"]["at"].is_string());
    district.finish(&id).await.expect(200);
    district.assert_moved(&old, &machine);
    assert_eq!(district.volumes(&machine), ["console.log", "import", "import", "seed.img"], "its own disk is given up");
    assert_eq!(district.sql.number("select count(*) from kept_addresses").await, 0);
    let path = format!("/v1/disk-imports/{id}/rollback");
    let late = district.broker().post(&path, &district.cast.operator, &json!({"reason": "晚了"})).await;
    assert_eq!(late.code(), "disk_import_state");
    district.books_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_move_is_refused_while_its_guest_runs_on() {
    let hosts = hosts::shared();
    let district = District::new(hosts, (206, 209), broker::halting_image(), true).await;
    let machine = district.build("crm", |_| ()).await;
    let good = Old::new(hosts);
    let refused = async |order: Value, code: &str, word: &str| {
        let answer = district.order(&order).await;
        assert_eq!(answer.code(), code, "{answer:?}");
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(word), "{word} is not in {detail}");
    };
    let with = |field: &str, value: &str| {
        let mut order = district.plain_order(&good, &machine);
        order[field] = json!(value);
        order
    };
    refused(with("source_host", "nowhere"), "source_host_unknown", "room").await;
    refused(with("domain", "nobody"), "source_guest_unknown", "/domain").await;
    refused(with("domain", "a\u{0}b"), "malformed", "/domain").await;
    refused(with("machine_id", "x"), "malformed", "/machine_id").await;
    refused(with("server_id", &uuid::Uuid::now_v7().to_string()), "not_found", "服务器").await;

    // A qcow2 file that reads another one: the host's own.
    let canary = "root:x:0:0";
    let overlay = crate::support::scratch("overlay").join("overlay.qcow2");
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-u", "-b", "/etc/passwd"])
        .arg(&overlay)
        .arg("16M")
        .status();
    assert!(made.unwrap().success());
    let chained = std::fs::read(&overlay).unwrap();
    let hostile = Old::with(hosts, "raw", &old_disk(), "");
    hostile.virsh(&["destroy", &hostile.name]);
    std::fs::write(&hostile.file, &chained).unwrap();
    hostile.define("qcow2", "");
    refused(district.plain_order(&hostile, &machine), "source_guest_unfit", "后备文件").await;
    // The same file under the name of a raw disk.
    hostile.define("raw", "");
    refused(district.plain_order(&hostile, &machine), "source_guest_unfit", "").await;
    // One that is larger than the machine's disk: a GiB and a MiB, of which hardly any is there.
    let large = std::fs::File::create(&hostile.file).unwrap();
    large.set_len((1 << 30) + (1 << 20)).unwrap();
    refused(district.plain_order(&hostile, &machine), "source_guest_unfit", "resize").await;
    // Two disks; and a disk in no pool.
    let second = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/x.img'/>\
        <target dev='vdb' bus='virtio'/></disk>";
    hostile.define("raw", second);
    refused(district.plain_order(&hostile, &machine), "source_guest_unfit", "2 块").await;
    hostile.define("raw", "");
    hostile.virsh(&["pool-destroy", &hostile.name]);
    refused(district.plain_order(&hostile, &machine), "source_guest_unfit", "virsh pool-create-as").await;

    // Nothing was done to anybody.
    assert_eq!((good.state().as_str(), good.autostarts()), ("running", true));
    good.assert_whole();
    assert_eq!(district.machine_state(&machine), "running");
    assert_eq!(district.volumes(&machine), ["console.log", "root.qcow2", "seed.img"]);
    let list = district.broker().get("/v1/disk-imports", &district.cast.operator).await.expect(200);
    assert_eq!(list["items"], json!([]));
    let folder = hosts.seen_from_here(CLOUD, &format!("/var/lib/libvirt/{}", district.name));
    let leaked = Command::new("grep").args(["-rlaF", canary]).arg(folder).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&leaked.stdout), "", "no file of the host's came along");
}

/// Words of libvirt's interface that write, delete or define; none of them stands where old guests' hosts are spoken to, nor
/// is any of its functions called past the crate.
const WRITES: [&str; 9] =
    ["sys::virS", ".delete(", ".wipe", ".resize(", ".upload(", "upload_at(", "create_xml", "define_xml", "undefine"];
/// What our own disks and theirs are read by; everything else there may write.
const READS: [&str; 2] = ["download(", "length("];

fn writes(source: &str) -> Vec<&str> {
    let ours = source.split("storage::").skip(1).filter(|rest| !READS.iter().any(|read| rest.starts_with(read)));
    let ours = ours.filter_map(|rest| rest.split('(').next());
    WRITES.into_iter().filter(|word| source.contains(word)).chain(ours).collect()
}

#[test]
fn what_speaks_to_an_old_guests_host_has_no_word_for_writing() {
    let source = include_str!("../../src/provider/libvirt/old_guest.rs");
    let code = source.split("#[cfg(test)]").next().unwrap();
    assert_eq!(writes(code), [""; 0]);
    // The check can fail.
    for (offence, word) in [
        ("volume(call.connect, &key)?.delete(0)?;", ".delete("),
        ("unsafe { sys::virStorageVolWipe(volume.as_ptr(), 0) };", "sys::virS"),
        ("storage::delete_all(&pool, \"old\")?;", "delete_all"),
        ("storage::overwrite(connect, &pool, \"old\", b\"\")?;", "overwrite"),
    ] {
        let offender = code.replace("domain.create()?;", offence);
        assert_ne!(offender, code);
        assert_eq!(writes(&offender), [word]);
    }
}
