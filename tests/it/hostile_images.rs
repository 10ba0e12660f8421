//! Images that read other files, call other machines, or lie about what they are (`hazards` S3, S4): none is taken, nothing
//! of what they name comes out anywhere, and nobody is called.

mod files;
mod guest;

use crate::support::{
    broker::{Broker, Cast, On, Setup},
    libvirt::small_guest,
    raw::{Raw, Reply},
    site::Site,
};
use files::{Bait, Trial};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// In the secret file; nowhere else, ever.
const CANARY: &[u8] = b"CANARY-7f3a91c2-of-the-host";

/// An address that nobody may call, and how often somebody did.
struct Trap {
    address: String,
    calls: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, calls }
    }

    async fn bait(folder: &Path) -> (Bait, Self) {
        let secret = folder.join("secret-of-the-host");
        // Long enough to be a disk, so that nothing is refused for its size.
        std::fs::write(&secret, CANARY.repeat((1 << 20) / CANARY.len() + 1)).expect("a file");
        let trap = Self::set().await;
        (Bait { secret, address: trap.address.clone() }, trap)
    }

    /// None; and the trap does count.
    async fn assert_untouched(&self) {
        assert_eq!(self.calls.load(Ordering::SeqCst), 0, "somebody was called");
        drop(tokio::net::TcpStream::connect(&self.address).await.expect("it listens"));
        let began = Instant::now();
        while self.calls.load(Ordering::SeqCst) == 0 && began.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.calls.load(Ordering::SeqCst), 1);
    }
}

/// Every file that a process opens and every address that it calls, by the kernel.
struct Trace {
    child: Child,
    log: PathBuf,
}

impl Trace {
    fn of(pid: u32, log: PathBuf) -> Self {
        let child = Command::new("strace")
            .args(["-f", "-qq", "-s", "300", "-e", "trace=open,openat,openat2,connect,execve", "-o"])
            .arg(&log)
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed");
        let traced = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        };
        let began = Instant::now();
        while !traced() {
            assert!(began.elapsed() < Duration::from_secs(10), "strace does not take hold");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, log }
    }

    fn end(mut self) -> String {
        // Asked to go, it lets go of what it traces and ends its file.
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(asked.expect("kill runs").success());
        let _ = self.child.wait();
        std::fs::read_to_string(&self.log).expect("what was traced")
    }
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).map(|files| files.flatten().collect::<Vec<_>>()).unwrap_or_default();
    files.into_iter().map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// Files below a folder that hold the canary.
fn leaks(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(leaks(&path));
        } else if has(&std::fs::read(&path).unwrap_or_default(), CANARY) {
            found.push(path);
        }
    }
    found
}

/// A broker with a real host, and a folder for what a test makes.
struct Stage {
    broker: Broker,
    cast: Cast,
    raw: Raw,
    site: Site,
    folder: PathBuf,
    given: AtomicUsize,
}

impl Stage {
    async fn new() -> Self {
        let site = Site::new();
        // A guest that does nothing does not hear the power button either.
        let broker = Broker::start(Setup::new(On::Sqlite).with("JIYUE_SHUTDOWN_SECONDS", "1")).await;
        let cast = Cast::arrive(&broker).await;
        broker.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
        let folder = crate::support::scratch("hostile");
        Self { raw: Raw::new(&broker), broker, cast, site, folder, given: AtomicUsize::new(0) }
    }

    fn images(&self) -> PathBuf {
        self.broker.setup.folder.join("images")
    }

    async fn import(&self, bytes: Vec<u8>) -> Reply {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let path = format!("/v1/images?name=trial-{number}&os_type=debian-12&stand_in=true");
        self.raw.post(&path, &self.cast.operator, "application/octet-stream", bytes).await
    }

    /// Base images on the host.
    fn bases(&self) -> Vec<String> {
        names(Path::new(&self.site.pool_path())).into_iter().filter(|name| name.starts_with("image-")).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_images_are_refused_and_lead_nowhere() {
    let stage = Stage::new().await;
    let (bait, trap) = Trap::bait(&stage.folder).await;
    let mut trials = files::by_hand(&bait);
    let hand_made = trials.len();
    trials.extend(files::by_qemu(&stage.folder, &bait));
    let trace = Trace::of(stage.broker.pid(), stage.folder.join("strace.log"));
    let mut taken = Vec::new();
    let mut reasons = BTreeSet::new();
    for Trial { what, bytes } in &trials {
        let reply = stage.import(bytes.clone()).await;
        if reply.status != 422 || reply.problem() != "image_refused" {
            taken.push(format!("{what}: {} {}", reply.status, reply.text));
            continue;
        }
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.starts_with("镜像未被接受：") && detail.contains("。请"), "{what}: {detail}");
        assert!(!has(&reply.bytes, CANARY), "{what}: {}", reply.text);
        reasons.insert(detail);
    }
    assert_eq!(taken, Vec::<String>::new());
    // By the command line, as people do it: refused in words, and with the mend.
    for Trial { what, bytes } in trials.iter().step_by(23) {
        let file = stage.folder.join("trial.img");
        std::fs::write(&file, bytes).expect("a file");
        let args = ["image", "import", file.to_str().expect("a path"), "--os", "debian-12", "--name", "试"];
        let out = stage.broker.setup.cli(Some(&stage.broker), &stage.cast.operator, &args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let said_so = said.contains("image_refused") && said.contains("镜像未被接受：") || bytes.is_empty();
        assert!(matches!(out.status.code(), Some(1 | 2)) && said_so, "{what}: {said}");
    }
    let traced = trace.end();
    eprintln!("{} hostile images ({hand_made} by hand), {} reasons", trials.len(), reasons.len());

    assert_eq!(names(&stage.images()), BTreeSet::new(), "something stayed");
    assert_eq!(stage.bases(), Vec::<String>::new(), "something came to the host");
    let listed = stage.raw.get("/v1/images", &stage.cast.operator).await;
    assert_eq!(listed.json()["items"], serde_json::json!([]));
    for folder in [stage.broker.setup.folder.as_path(), Path::new(&stage.site.pool_path())] {
        assert_eq!(leaks(folder), Vec::<PathBuf>::new());
    }
    // The kernel saw each upload being written, and nobody opening the secret, calling anybody or starting a program.
    let opened = |needle: &str| traced.lines().filter(|line| line.contains(needle)).count();
    assert!(opened("/images/upload-") >= trials.len(), "{}", opened("/images/upload-"));
    assert_eq!(opened("secret-of-the-host"), 0);
    let calls: Vec<_> = traced.lines().filter(|line| line.contains("connect(") && !line.contains("AF_UNIX")).collect();
    assert_eq!((calls, opened("execve(")), (Vec::<&str>::new(), 0));
    trap.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sound_images_of_every_kind_are_taken() {
    let stage = Stage::new().await;
    let mut sound = files::sound(&stage.folder);
    sound.push(Trial { what: "the small guest".into(), bytes: std::fs::read(small_guest()).expect("the guest") });
    let count = sound.len();
    for Trial { what, bytes } in sound {
        let reply = stage.import(bytes).await;
        assert_eq!(reply.status, 201, "{what}: {}", reply.text);
        let image = reply.json();
        let file = stage.images().join(format!(
            "{}.{}",
            image["sha256"].as_str().expect("a digest"),
            image["format"].as_str().expect("a format")
        ));
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().expect("the file").permissions());
        assert_eq!(mode & 0o222, 0, "{what}: {mode:o}");
        // QEMU reads the same size in it as we did.
        let out = Command::new("qemu-img")
            .args(["info", "--output=json", "-f"])
            .arg(image["format"].as_str().expect("a format"))
            .arg(&file)
            .output();
        let info: serde_json::Value = serde_json::from_slice(&out.expect("qemu-img runs").stdout).expect("JSON");
        assert_eq!(info["virtual-size"], image["virtual_size_bytes"], "{what}");
    }
    assert_eq!(names(&stage.images()).len(), count);
    // The name is taken: the file that has just come goes again, and that of the image that has the name stays.
    stage.given.store(0, Ordering::Relaxed);
    let again = stage.import([files::plain_qcow2(), vec![0; 512]].concat()).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "image_name_taken"));
    assert_eq!(names(&stage.images()).len(), count);
    // Systems that nobody mends any more have no images.
    for (os, code) in
        [("centos-7", "os_end_of_life"), ("CentOS 7.9", "os_end_of_life"), ("plan-9", "os_not_in_catalogue")]
    {
        let path = format!("/v1/images?name=old&os_type={}", os.replace(' ', "%20"));
        let reply = stage.raw.post(&path, &stage.cast.operator, "application/octet-stream", files::plain_qcow2()).await;
        assert_eq!((reply.status, reply.problem().as_str()), (422, code), "{reply:?}");
    }
}
