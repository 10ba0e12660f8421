//! The container image, built by the steps of `Dockerfile` without an engine, and containers made of it.

use super::{Built, repository};
use crate::support::scratch;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Runs it to its end, which has to be a good one; what it printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let out = command.output().expect("the program exists");
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

pub struct Image {
    pub name: String,
    store: PathBuf,
    driver: String,
}

/// Of the program that this test run has built, once for all tests: the steps are those of a release, the program is not
/// optimised.
pub fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let began = Instant::now();
        let folder = scratch("deb");
        let deb = run(Command::new(repository().join("scripts/deb.sh")).arg(env!("CARGO_BIN_EXE_jiyue")).arg(&folder));
        let deb = deb.lines().last().expect("a path").to_owned();
        let built = began.elapsed();
        let told = run(Command::new(repository().join("scripts/image.sh")).arg(&deb));
        let [store, driver, name] = told.lines().collect::<Vec<_>>().try_into().expect("three lines");
        eprintln!("the package in {built:.1?}, the image ({driver}) in {:.1?}", began.elapsed().saturating_sub(built));
        Image { name: name.to_owned(), store: store.into(), driver: driver.to_owned() }
    })
}

impl Image {
    /// buildah on our own store, as words of a command line.
    fn buildah(&self) -> Vec<String> {
        let at = |folder: &str| self.store.join(folder).display().to_string();
        let words = ["buildah", "--root", &at("root"), "--runroot", &at("run"), "--storage-driver", &self.driver];
        words.map(str::to_owned).to_vec()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let words = self.buildah();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(args);
        command
    }
}

/// A container as a kubelet would make it: the image's file system read-only, the volumes in it, the pod's user, no
/// capability, no way to get one, the system calls of the runtime's default profile, a network of its own.
pub struct Container {
    pub folder: PathBuf,
    name: String,
    child: Child,
    pub pid: u32,
}

/// For a shell.
fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("'{}' ", word.replace('\'', "'\\''"))).collect()
}

/// Closes the root and goes into it.
fn enter(buildah: &str, name: &str, options: &str) -> String {
    format!(
        r#"set -e
ip link set lo up
root=$({buildah} mount {name})
# What a runtime makes in its own layer before it closes the root; and what buildah wants to be there.
mkdir -p "$root/etc/jiyue" "$root/etc/jiyue-tls" "$root/state"
touch "$root/run/.containerenv" "$root/etc/resolv.conf" "$root/etc/hosts" "$root/etc/hostname"
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
exec {buildah} run --isolation chroot --cap-drop ALL {options} {name} -- sh /state/go
"#
    )
}

impl Container {
    /// With this composition's settings, volumes, variables and user; and its command line, where no other is given.
    pub fn start(built: &Built, secrets: &BTreeMap<&str, String>, command: &[&str]) -> Self {
        let image = image();
        let folder = scratch("pod");
        let state = folder.join("state");
        fs::create_dir(&state).expect("a folder");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("anybody's");
        let user = |key: &str| {
            let number = built.pod()["securityContext"][key].as_u64().expect("a number");
            u32::try_from(number).expect("a user's number")
        };
        let mut options = vec!["--user".to_owned(), format!("{}:{}", user("runAsUser"), user("runAsGroup"))];
        options.extend(["--volume".to_owned(), format!("{}:/state", state.display())]);
        for (path, volume, read_only) in built.mounts() {
            let here = folder.join(path.trim_start_matches('/').replace('/', "-"));
            fs::create_dir(&here).expect("a folder");
            fill(built, &volume, &here, user("fsGroup"), secrets);
            let mode = if read_only { ":ro" } else { "" };
            options.extend(["--volume".to_owned(), format!("{}:{path}{mode}", here.display())]);
        }
        for (name, value) in built.variables(secrets) {
            options.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        let theirs: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        let words = if theirs.is_empty() { built.command_line() } else { theirs };
        let go = format!(
            "setpriv --no-new-privs {} >/state/log 2>&1 & echo $! >/state/pid; wait $!; echo $? >/state/code\n",
            quoted(&words)
        );
        fs::write(state.join("go"), go).expect("written");
        let name = run(&mut image.command(&["from", "--pull-never", &image.name]));
        let script = enter(&quoted(&image.buildah()), &name, &quoted(&options));
        let outside = fs::File::create(folder.join("outside")).expect("a log");
        let child = Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(outside.try_clone().expect("the log again"))
            .stderr(outside)
            .spawn()
            .expect("unshare runs");
        let mut this = Self { folder, name, child, pid: 0 };
        let began = Instant::now();
        while this.pid == 0 {
            let told = fs::read_to_string(this.folder.join("outside")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "it does not start: {told}");
            std::thread::sleep(Duration::from_millis(20));
            this.pid = this.told("pid").unwrap_or(0);
        }
        this
    }

    fn told(&self, file: &str) -> Option<u32> {
        fs::read_to_string(self.folder.join("state").join(file)).ok()?.trim().parse().ok()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("state/log")).unwrap_or_default()
    }

    /// How the program ended, once it has.
    pub fn code(&self) -> Option<u32> {
        self.told("code")
    }

    /// How it ended and what it said, when it has ended.
    pub fn ended(&self, limit: Duration) -> (u32, String) {
        let began = Instant::now();
        loop {
            if let Some(code) = self.code() {
                return (code, self.log());
            }
            assert!(began.elapsed() < limit, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A program of this machine in the container's network.
    pub fn beside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--net", program]);
        command
    }

    /// A program of the image in the container, as `kubectl exec` starts it: with the process's user and variables.
    pub fn exec(&self, words: &[&str]) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let id = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
            line.split_whitespace().next().expect("a number").to_owned()
        };
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--mount", "--net", "--root", "--wd=/"]);
        command.args(["--setuid", &id("Uid:"), "--setgid", &id("Gid:")]);
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).expect("its variables");
        let variables = environment.split(|byte| *byte == 0).filter_map(|entry| {
            let text = String::from_utf8_lossy(entry).into_owned();
            text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        run(command.args(words).env_clear().envs(variables))
    }

    pub fn signal(&self, name: &str) {
        run(Command::new("kill").args(["-s", name, &self.pid.to_string()]));
    }
}

/// A volume as a kubelet leaves it: root's, and the pod's group may use it.
fn fill(built: &Built, volume: &Value, here: &Path, group: u32, secrets: &BTreeMap<&str, String>) {
    if let Some(map) = volume["configMap"]["name"].as_str() {
        built.config_files(map, here);
    } else if let Some(name) = volume["secret"]["secretName"].as_str() {
        let mode = volume["secret"]["defaultMode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).expect("a mode");
        let keys = secrets.iter().filter_map(|(path, text)| Some((path.strip_prefix(name)?.strip_prefix('/')?, text)));
        for (key, text) in keys {
            let file = here.join(key);
            fs::write(&file, text).expect("written");
            chown(&file, Some(0), Some(group)).expect("its group");
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
        }
    } else {
        chown(here, Some(0), Some(group)).expect("its group");
        fs::set_permissions(here, fs::Permissions::from_mode(0o2775)).expect("its mode");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.pid != 0 && self.code().is_none() {
            let _ = Command::new("kill").args(["-s", "KILL", &self.pid.to_string()]).status();
        } else if self.pid == 0 {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = image().command(&["umount", &self.name]).output();
        let _ = image().command(&["rm", &self.name]).output();
    }
}

#[test]
fn the_image_is_bare_nobody_s_root_and_runs_on_a_closed_root() {
    let image = image();
    let about: Value =
        serde_json::from_str(&run(&mut image.command(&["inspect", "--type", "image", &image.name]))).expect("JSON");
    let config = &about["OCIv1"]["config"];
    assert_eq!(config["User"], "10001:10001");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/jiyue"]));
    assert_eq!(config["ExposedPorts"], serde_json::json!({"8460/tcp": {}}));
    let built = super::build(&["base"], &[]);
    assert_eq!(built.pod()["securityContext"]["runAsUser"], 10001, "the manifests say the same number");

    let ask = |command: &[&str]| Container::start(&built, &BTreeMap::new(), command).ended(Duration::from_secs(60));
    let (code, told) = ask(&["/usr/bin/jiyue", "--version"]);
    assert!(code == 0 && told.contains(concat!("jiyue ", env!("CARGO_PKG_VERSION"))), "{code} {told}");
    let (code, told) = ask(&["/usr/bin/jiyue", "serve", "--check", "--config", "/etc/jiyue/jiyue.toml"]);
    assert!(code == 0 && told.contains("配置可用"), "{code} {told}");

    // The container is as narrow as it is said to be: what the other tests of this folder rest on.
    let script = "id -u; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\t'
        for folder in / /etc /usr/bin /etc/jiyue /var/tmp /run; do touch $folder/x 2>/dev/null && echo wrote $folder; done
        for folder in /tmp /var/lib/jiyue; do touch $folder/x && echo wrote $folder; done
        ls -A /var/lib/apt/lists
        test -s /etc/ssl/certs/ca-certificates.crt && echo trusts
        command -v gcc curl python3 || echo bare";
    let (_, told) = ask(&["sh", "-c", script]);
    let lines: Vec<_> = told.lines().collect();
    let all = ["10001", "CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2"];
    assert_eq!(lines, [&all[..], &["wrote /tmp", "wrote /var/lib/jiyue", "trusts", "bare"]].concat());
}
