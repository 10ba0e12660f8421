//! A guest writes what it likes into its own disk and onto its console: also the header of an image that names a file of the
//! host. It stays what it is, the content of a disk: formats are told and never guessed, at a start, a resize, a listing.

use super::{CANARY, Stage, Trap, files, has, leaks};
use crate::support::{
    broker::{Broker, halting_image, request},
    site::{Site, between},
};
use serde_json::{Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// Headers that the guest writes; each goes into the disk's first cluster.
fn headers(bait: &files::Bait) -> Vec<(String, Vec<u8>)> {
    let secret = bait.secret.display().to_string();
    let mut all: Vec<_> = files::by_hand(bait).into_iter().map(|trial| (trial.what, trial.bytes)).collect();
    all.retain(|(what, bytes)| {
        let names = has(bytes, secret.as_bytes()) || has(bytes, bait.address.as_bytes());
        (names || what.starts_with("backing")) && bytes.len() >= 512
    });
    for n in 0..50_u32.saturating_sub(u32::try_from(all.len()).expect("few")) {
        // The same once more, over links and detours to the secret.
        let detour = format!("{}{secret}", "/proc/self/root".repeat(usize::try_from(n % 20).expect("small")));
        all.push((format!("detour {n}"), files::over(&detour)));
    }
    all
}

struct Machine {
    id: String,
    disk: PathBuf,
    console: PathBuf,
}

impl Stage {
    async fn finished(&self, answer: Value, token: &str) {
        let done = self.broker.finished(answer["id"].as_str().expect("an id"), token, Duration::from_secs(90)).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
    }

    /// One machine on a disk that holds nothing but a halt; off.
    async fn machine(&self) -> Machine {
        let broker: &Broker = &self.broker;
        broker.post("/v1/task-books", &self.cast.authority, &crate::support::broker::task_book()).await.expect(201);
        broker.image(&self.cast, halting_image()).await;
        self.site.play_guests(4, true).await;
        let mut block = request();
        block["申请虚拟机数量"] = json!(1);
        let made = broker.post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        let path = format!("/v1/requests/{}", made["items"][0]["id"].as_str().expect("an id"));
        let approved = broker.post(&format!("{path}/approve"), &self.cast.authority, &json!({})).await.expect(202);
        self.finished(approved, &self.cast.authority).await;
        let made = broker.get(&path, &self.cast.requester).await.expect(200);
        let id = made["machines"][0]["id"].as_str().expect("an id").to_owned();
        let xml = Site::virsh(&["dumpxml", "--inactive", &id]);
        let disk = between(&xml, "<source file='", "'").next().expect("a disk").into();
        let console = between(&xml, "<source path='", "'").next().expect("a console").into();
        let machine = Machine { id, disk, console };
        self.act(&machine, "stop", &json!({}), &self.cast.requester).await;
        machine
    }

    async fn act(&self, machine: &Machine, act: &str, body: &Value, token: &str) {
        let path = format!("/v1/machines/{}/{act}", machine.id);
        let answer = self.broker.post(&path, token, body).await.expect(202);
        self.finished(answer, token).await;
    }
}

/// The formats of a machine's disks in its XML, from the top one down, and what lies under them.
fn formats(machine: &Machine, flags: &[&str]) -> Vec<String> {
    let xml = Site::virsh(&[&["dumpxml", machine.id.as_str()], flags].concat());
    between(&xml, "<disk ", "</disk>")
        .map(|disk| {
            let drivers = between(disk, "<driver ", "/>").filter_map(|driver| between(driver, "type='", "'").next());
            let below = between(disk, "<format type='", "'");
            drivers.chain(below).collect::<Vec<_>>().join(" on ")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_header_that_a_guest_wrote_stays_the_content_of_its_disk() {
    let stage = Stage::new().await;
    let (bait, trap) = Trap::bait(&stage.folder).await;
    let machine = stage.machine().await;
    let (disk, pool) = (machine.disk.to_str().expect("a path").to_owned(), stage.site.name.as_str());
    let trials = headers(&bait);
    assert!(trials.len() >= 50);
    let mut size = 2_i64 << 30;
    for (number, (what, header)) in trials.iter().enumerate() {
        // As a guest does it: into the disk, through the overlay; and a copy onto its console.
        let written = stage.folder.join("written");
        let whole = [&header[..], &vec![0; header.len().next_multiple_of(512) - header.len()]].concat();
        std::fs::write(&written, &whole).expect("a file");
        files::qemu_img(&stage.folder, &["convert", "-n", "-f", "raw", "-O", "qcow2", "written", &disk]);
        std::fs::write(&machine.console, &whole).expect("a console");
        Site::virsh(&["pool-refresh", pool]);
        // libvirt takes the console for an image; whatever it names, the words on it can be read, and only they.
        let log = stage.raw.get(&format!("/v1/machines/{}/log", machine.id), &stage.cast.requester).await;
        assert!(log.status == 200 && !has(&log.bytes, CANARY), "{what}: {log:?}");
        assert_eq!(formats(&machine, &["--inactive"]), ["qcow2 on raw", "raw"], "{what}");
        let volume = Site::virsh(&["vol-dumpxml", &disk]);
        assert!(volume.contains("<format type='qcow2'/>") && volume.contains("/image-"), "{what}: {volume}");
        if number % 10 == 0 {
            size += 1 << 30;
            stage.act(&machine, "resize", &json!({"disk_bytes": size}), &stage.cast.authority).await;
            assert_eq!(formats(&machine, &["--inactive"]), ["qcow2 on raw", "raw"], "{what}");
            stage.act(&machine, "start", &json!({}), &stage.cast.requester).await;
            assert_eq!(formats(&machine, &[]), ["qcow2 on raw", "raw"], "{what}");
            let out = std::process::Command::new("pgrep").args(["-f", &format!("uuid {}", machine.id)]).output();
            let pid = String::from_utf8_lossy(&out.expect("pgrep runs").stdout).trim().to_owned();
            assert!(!open_files(&pid).is_empty(), "{pid} has the disk open");
            assert_eq!(open_files(&pid).iter().filter(|file| file.contains("secret-of-the-host")).count(), 0, "{what}");
            stage.act(&machine, "stop", &json!({}), &stage.cast.requester).await;
        }
        // The guest reads back what it wrote, as a disk's content.
        files::qemu_img(&stage.folder, &["convert", "-f", "qcow2", "-O", "raw", &disk, "read"]);
        let mut read = vec![0; 4 << 20];
        let mut file = std::fs::File::open(stage.folder.join("read")).expect("what the guest reads");
        file.read_exact(&mut read).expect("a disk");
        assert!(read[..whole.len()] == whole && !has(&read, CANARY), "{what}");
        std::fs::remove_file(stage.folder.join("read")).expect("it is there");
    }
    eprintln!("{} headers written by a guest", trials.len());
    assert_eq!(leaks(Path::new(&stage.site.pool_path())), Vec::<PathBuf>::new());
    trap.assert_untouched().await;
}

/// Files that a process has open.
fn open_files(pid: &str) -> Vec<String> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.filter_map(|link| std::fs::read_link(link.path()).ok()).map(|path| path.display().to_string()).collect()
}
