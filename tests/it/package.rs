//! The package, installed in a small Debian of its own; and the service's unit, judged by systemd and held against what the
//! program really asks of the kernel.

use crate::support::{free_port, scratch};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// What `systemd-analyze security` may say at most, in tenths; 14 is what it says.
const EXPOSURE: &str = "--threshold=15";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs it to its end, which has to be a good one; what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let out = command.output().expect("the program exists");
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// A Debian in a folder, which goes away with the test.
struct Chroot(PathBuf);

impl Chroot {
    fn unpacked() -> Self {
        let base = run(&mut Command::new(repository().join("hypervisor/chroot/build.sh")));
        let root = scratch("chroot").join("root");
        fs::create_dir(&root).expect("a folder");
        run(Command::new("tar").arg("-C").arg(&root).args(["--numeric-owner", "-xf", &base]));
        Self(root)
    }

    /// A program with this machine's devices and processes in there, started by `before`.
    fn within(&self, before: &[&str], program: &str, args: &[&str]) -> Command {
        let script = "mount --rbind /dev \"$1/dev\" && mount -t proc proc \"$1/proc\" && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(&self.0);
        command.args(before).arg(program).args(args);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command
    }

    fn root(&self, program: &str, args: &[&str]) -> Command {
        let root = self.0.to_string_lossy().into_owned();
        self.within(&["chroot", &root], program, args)
    }

    /// As the service's own account.
    fn service(&self, args: &[&str]) -> Command {
        let root = self.0.to_string_lossy().into_owned();
        self.within(&["chroot", "--userspec=jiyue:jiyue", &root], "/usr/bin/jiyue", args)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Owner, group and mode, by their names there.
    fn owned(&self, path: &str) -> String {
        run(&mut self.root("stat", &["-c", "%U:%G %a", path]))
    }
}

impl Drop for Chroot {
    fn drop(&mut self) {
        // Nothing is mounted in it outside the namespaces of its programs.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The package of the program that this test run has built.
fn package() -> PathBuf {
    let folder = scratch("deb");
    let made = run(Command::new(repository().join("scripts/deb.sh")).arg(env!("CARGO_BIN_EXE_jiyue")).arg(&folder));
    PathBuf::from(made.lines().last().expect("a path"))
}

fn dpkg(chroot: &Chroot, args: &[&str]) -> String {
    run(chroot.root("dpkg", args).env("DEBIAN_FRONTEND", "noninteractive"))
}

#[test]
fn the_package_installs_checks_serves_and_goes() {
    let deb = package();
    let list = run(Command::new("dpkg-deb").arg("-c").arg(&deb));
    let holds = |path: &str, mode: &str| {
        let line = list.lines().find(|line| line.ends_with(&format!(" .{path}")));
        assert!(line.is_some_and(|line| line.starts_with(mode)), "{path} {mode}:\n{list}");
    };
    holds("/usr/bin/jiyue", "-rwxr-xr-x");
    holds("/usr/lib/systemd/system/jiyue.service", "-rw-r--r--");
    holds("/etc/jiyue/jiyue.toml", "-rw-r-----");
    holds("/usr/share/doc/jiyue/jiyue.toml", "-rw-r--r--");
    holds("/usr/share/doc/jiyue/copyright", "-rw-r--r--");
    for completion in
        ["bash-completion/completions/jiyue", "zsh/vendor-completions/_jiyue", "fish/vendor_completions.d/jiyue.fish"]
    {
        holds(&format!("/usr/share/{completion}"), "-rw-r--r--");
    }
    assert!(list.matches("/usr/share/man/man1/jiyue").count() > 60, "{list}");
    assert!(!list.contains("secret") && !list.contains("/home/") && !list.contains("/root/"), "{list}");
    assert_eq!(run(Command::new("dpkg-deb").args(["-I"]).arg(&deb).arg("conffiles")), "/etc/jiyue/jiyue.toml");
    let depends = run(Command::new("dpkg-deb").args(["-f"]).arg(&deb).arg("Depends"));
    assert!(["adduser", "libc6 (>=", "libvirt0 (>="].iter().all(|word| depends.contains(word)), "{depends}");

    let began = Instant::now();
    let chroot = Chroot::unpacked();
    fs::copy(&deb, chroot.at("/jiyue.deb")).expect("copied");
    // The libvirt of the machine has its group before the package comes.
    run(&mut chroot.root("addgroup", &["--system", "--quiet", "libvirt"]));
    dpkg(&chroot, &["-i", "/jiyue.deb"]);
    eprintln!("installed {:.1?} after the base was asked for", began.elapsed());
    let passwd = run(&mut chroot.root("getent", &["passwd", "jiyue"]));
    assert!(passwd.contains(":/var/lib/jiyue:") && passwd.ends_with("/nologin"), "{passwd}");
    assert_eq!(run(&mut chroot.root("id", &["-nG", "jiyue"])), "jiyue libvirt");
    assert_eq!(chroot.owned("/etc/jiyue"), "root:jiyue 750");
    assert_eq!(chroot.owned("/etc/jiyue/jiyue.toml"), "root:jiyue 640");
    assert_eq!(chroot.owned("/var/lib/jiyue"), "jiyue:jiyue 750");

    // As it is installed, its settings can be used, and its own account can serve with them.
    let config = ["--config", "/etc/jiyue/jiyue.toml"];
    let told = run(&mut chroot.service(&[&["serve", "--check"][..], &config].concat()));
    assert!(told.contains("配置可用"), "{told}");
    let told = run(&mut chroot.service(&[&["doctor"][..], &config].concat()));
    assert!(told.contains("没有发现问题"), "{told}");
    kernel_calls_are_allowed(&chroot);
    assert_eq!(chroot.owned("/var/lib/jiyue/secret.key"), "jiyue:jiyue 600");
    unit_is_sound(&chroot);

    // An upgrade keeps what the administrator has written; removing keeps it and the data; purging takes both.
    let mut text = fs::read_to_string(chroot.at("/etc/jiyue/jiyue.toml")).expect("settings");
    text.push_str("worker_width = 3\n");
    fs::write(chroot.at("/etc/jiyue/jiyue.toml"), &text).expect("written");
    dpkg(&chroot, &["-i", "/jiyue.deb"]);
    assert_eq!(fs::read_to_string(chroot.at("/etc/jiyue/jiyue.toml")).expect("settings"), text);
    assert_eq!(chroot.owned("/etc/jiyue/jiyue.toml"), "root:jiyue 640");
    dpkg(&chroot, &["-r", "jiyue"]);
    assert!(!chroot.at("/usr/bin/jiyue").exists());
    for kept in ["/etc/jiyue/jiyue.toml", "/var/lib/jiyue/jiyue.db", "/var/lib/jiyue/secret.key"] {
        assert!(chroot.at(kept).exists(), "{kept}");
    }
    dpkg(&chroot, &["-P", "jiyue"]);
    for gone in ["/etc/jiyue", "/var/lib/jiyue", "/usr/share/doc/jiyue", "/usr/lib/systemd/system/jiyue.service"] {
        assert!(!chroot.at(gone).exists(), "{gone}");
    }
    // The account's number is not given to somebody else.
    run(&mut chroot.root("getent", &["passwd", "jiyue"]));
}

/// What systemd says of the installed unit.
fn unit_is_sound(chroot: &Chroot) {
    let unit = chroot.at("/usr/lib/systemd/system/jiyue.service");
    // The program is looked for on this machine: it is told where it lies.
    let text = fs::read_to_string(&unit).expect("the unit");
    let here = chroot.at("/usr/bin/jiyue").display().to_string();
    let moved = scratch("unit").join("jiyue.service");
    fs::write(&moved, text.replace("ExecStart=/usr/bin/jiyue", &format!("ExecStart={here}"))).expect("written");
    let verify = |unit: &Path| -> Output {
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(unit).output().expect("systemd-analyze")
    };
    let out = verify(&moved);
    let told = String::from_utf8_lossy(&out.stderr);
    let of_ours: Vec<_> = told.lines().filter(|line| line.contains("jiyue")).collect();
    assert!(out.status.success() && of_ours.is_empty(), "{told}");
    run(Command::new("systemd-analyze").args(["security", "--offline=true", EXPOSURE]).arg(&unit));
    // Both would notice.
    fs::write(&moved, text.replace("NoNewPrivileges=yes", "NoNewPriviliges=yes")).expect("written");
    assert!(String::from_utf8_lossy(&verify(&moved).stderr).contains("NoNewPriviliges"));
    let soft = text.replace("CapabilityBoundingSet=\n", "").replace("ProtectSystem=strict\n", "");
    fs::write(&moved, soft).expect("written");
    let judged = Command::new("systemd-analyze").args(["security", "--offline=true", EXPOSURE]).arg(&moved).output();
    assert!(!judged.expect("systemd-analyze").status.success());
}

/// The system calls that the unit's filters let through, as systemd expands them.
fn allowed() -> BTreeSet<String> {
    let text = include_str!("../../packaging/debian/jiyue.service");
    let sets = run(Command::new("systemd-analyze").arg("syscall-filter"));
    let members = |name: &str| -> Vec<String> {
        let lines = sets.lines().skip_while(|line| line.trim() != name).skip(1);
        let lines = lines.take_while(|line| line.starts_with(' ')).map(str::trim);
        lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let mut expanded = |name: &str| {
        let (mut found, mut todo) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(name) = todo.pop() {
            if name.starts_with('@') {
                let inner = members(&name);
                assert!(!inner.is_empty(), "systemd knows no {name}");
                todo.extend(inner);
            } else {
                found.insert(name);
            }
        }
        found
    };
    let mut allowed = BTreeSet::new();
    for filter in text.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (taken, names) = filter.strip_prefix('~').map_or((false, filter), |names| (true, names));
        for name in names.split(' ').flat_map(&mut expanded) {
            _ = if taken { allowed.remove(&name) } else { allowed.insert(name) };
        }
    }
    assert!(allowed.len() > 200 && !allowed.contains("chroot"), "{allowed:?}");
    allowed
}

/// The service with its own account, from its start through a report that it reads to its end: every system call is one
/// that the unit allows, and no memory is both written and executed.
fn kernel_calls_are_allowed(chroot: &Chroot) {
    let port = free_port();
    let trace = scratch("strace").join("calls");
    let root = chroot.0.to_string_lossy().into_owned();
    let strace = ["strace", "-f", "-qq", "-o", &trace.to_string_lossy(), "chroot", "--userspec=jiyue:jiyue", &root];
    let mut child = chroot
        .within(&strace, "/usr/bin/jiyue", &["serve", "--config", "/etc/jiyue/jiyue.toml"])
        .env("JIYUE_LISTEN", format!("127.0.0.1:{port}"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the service starts");
    let url = format!("http://127.0.0.1:{port}");
    let fetch = |path: &str, more: &[&str]| {
        let out = Command::new("curl").args(["-s", "--noproxy", "*", &format!("{url}{path}")]).args(more).output();
        String::from_utf8_lossy(&out.expect("curl").stdout).into_owned()
    };
    let began = Instant::now();
    while !fetch("/readyz", &[]).contains("\"ready\"") {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", fetch("/readyz", &[]));
        std::thread::sleep(Duration::from_millis(100));
    }
    let create = ["token", "create", "--config", "/etc/jiyue/jiyue.toml", "--person", "li", "--name", "李"];
    let token = run(&mut chroot.service(&[&create[..], &["--unit", "区信息办", "--role", "authority"]].concat()));
    let bearer = format!("authorization: Bearer {token}");
    let department = "{\"code\": \"mzj\", \"name\": \"相城区民政局\"}";
    let json = "content-type: application/json";
    let made = fetch("/v1/departments", &["-H", &bearer, "-H", json, "-d", department]);
    assert!(made.contains("mzj"), "{made}");
    let create = [&create[..5], &["zhang", "--name", "张", "--role", "requester", "--department", "mzj"]].concat();
    let create = [&["token", "create", "--config", "/etc/jiyue/jiyue.toml", "--person"][..], &create[5..]].concat();
    let token = run(&mut chroot.service(&create));
    let report = repository().join("samples/feasibility-report.docx");
    let form = format!("file=@{}", report.display());
    let checked = fetch("/v1/requests/check", &["-H", &format!("authorization: Bearer {token}"), "-F", &form]);
    assert!(checked.contains("errors") || checked.contains("blocks"), "{checked}");
    // strace hands the signal's effects on; the service itself is its child.
    let service = run(Command::new("pgrep").args(["-f", "-x", "/usr/bin/jiyue serve --config /etc/jiyue/jiyue.toml"]));
    for pid in service.lines() {
        let owner = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
        if owner.contains(&format!("JIYUE_LISTEN=127.0.0.1:{port}")) {
            run(Command::new("kill").args(["-s", "TERM", pid]));
        }
    }
    let began = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if began.elapsed() > Duration::from_secs(20) {
            let _ = child.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let trace = fs::read_to_string(&trace).expect("a trace");
    let (_, ours) = trace.split_once("execve(\"/usr/bin/jiyue\"").expect("the program was started");
    assert!(ours.contains("read-form"), "the reader of forms was a part of it");
    let called: BTreeSet<_> = ours
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1)?.split_once('(').map(|(name, _)| name.to_owned()))
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        .collect();
    assert!(called.len() > 40, "{called:?}");
    let allowed = allowed();
    let refused: Vec<_> = called.iter().filter(|name| !allowed.contains(*name)).collect();
    eprintln!("{} system calls used, {} allowed", called.len(), allowed.len());
    assert_eq!(refused, [""; 0]);
    let both: Vec<_> = ours
        .lines()
        .filter(|line| line.contains("PROT_WRITE|PROT_EXEC") || line.contains("PROT_EXEC|PROT_WRITE"))
        .collect();
    assert_eq!(both, [""; 0]);
}
