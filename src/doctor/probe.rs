//! Looks at the machine. What is made on the way (a file in the image folder) is gone again at the end.

use super::{
    PATIENCE,
    judge::{Account, Database, Filter, Port},
};
use crate::{
    capacity,
    config::Settings,
    db::{self, DbError},
    dns::{Fault, Zones},
    machine::credentials,
    secret::{KeyFault, Vault},
    serve::tls,
    time::Clock,
};
use rustix::{fs::statvfs, process::geteuid};
use std::{
    fs, io,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{net::UnixStream, process::Command, time::timeout};

/// Where libvirt's daemon of the whole machine is spoken to.
const LIBVIRT: [&str; 2] = ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"];
const EBTABLES: [&str; 3] = ["/usr/sbin/ebtables", "/sbin/ebtables", "/usr/bin/ebtables"];

pub fn account(settings: &Settings) -> Account {
    let file = db::file(&settings.database_url).unwrap_or(&settings.secret_key_file);
    let owner = fs::metadata(file).ok().map(|metadata| metadata.uid());
    Account { root: geteuid().is_root(), owner }
}

pub async fn database(settings: &Settings, clock: &Clock) -> Result<Database, DbError> {
    if db::file(&settings.database_url).is_some_and(|file| !file.exists()) {
        return Ok(Database { seen: None, sealed_by_others: 0, local_hosts: 0 });
    }
    // A connection of our own, for reading: giving it up leaves nothing behind.
    let looked = timeout(PATIENCE, db::look(&settings.database_url, clock)).await;
    let (seen, mut conn) =
        looked.unwrap_or_else(|_| Err(DbError::Unreachable(io::Error::from(io::ErrorKind::TimedOut).into())))?;
    let (mut sealed_by_others, mut local_hosts) = (0, 0);
    // Older tables may lack what is asked for here; the next start brings them up to date.
    if seen.tables == Some(seen.known) {
        let ours = Vault::from_file(&settings.secret_key_file).map(|vault| vault.key_id().to_owned());
        let other_than = ours.unwrap_or_default();
        sealed_by_others = credentials::store::of_other_keys(&mut conn, &other_than).await?;
        let here = |uri: &str| uri.starts_with("qemu:///") || uri.starts_with("qemu+unix:///");
        local_hosts = capacity::store::list_hosts(&mut conn).await?.iter().filter(|host| here(&host.uri)).count();
    }
    Ok(Database { seen: Some(seen), sealed_by_others, local_hosts })
}

/// The part of the path that is there.
fn existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|part| part.exists())
}

/// What is free where the service keeps its things.
pub fn disks(settings: &Settings) -> Vec<(&'static str, io::Result<u64>)> {
    let free = |path: &Path| {
        let there = existing(path).ok_or(io::ErrorKind::NotFound)?;
        statvfs(there).map(|at| at.f_bavail.saturating_mul(at.f_frsize)).map_err(io::Error::from)
    };
    let mut disks = vec![("镜像目录", free(&settings.image_folder))];
    disks.extend(db::file(&settings.database_url).map(|file| ("数据库", free(file))));
    disks
}

/// The key's id; `None` where there is no file.
pub fn secret_key(settings: &Settings) -> Option<Result<String, KeyFault>> {
    let file = &settings.secret_key_file;
    file.exists().then(|| Vault::from_file(file).map(|vault| vault.key_id().to_owned()))
}

/// Tried, not guessed from modes; `None` where there is no folder yet.
pub fn writable(folder: &Path) -> Option<io::Result<()>> {
    folder.exists().then(|| {
        let file = folder.join(".doctor");
        fs::write(&file, "x")?;
        fs::remove_file(&file)
    })
}

/// Who listens where we want to.
pub async fn port(settings: &Settings) -> Port {
    match TcpListener::bind(settings.listen) {
        Ok(_) => Port::Free,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => ours(settings).await.unwrap_or(Port::Somebody),
        Err(error) => Port::Fault(error),
    }
}

/// Asks whoever listens whether he is one of us; he need not prove who he is for that.
async fn ours(settings: &Settings) -> Option<Port> {
    tls::choose();
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if settings.tls().is_some() { "https" } else { "http" };
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().tls_danger_accept_invalid_certs(true);
    let answer = client.build().ok()?.get(format!("{scheme}://{address}/readyz")).send().await.ok()?;
    let ready = answer.status().is_success();
    let document: serde_json::Value = answer.json().await.ok()?;
    document.get("parts")?.is_array().then_some(Port::Ours { ready })
}

pub async fn libvirt() -> io::Result<()> {
    let mut told = io::Error::from(io::ErrorKind::NotFound);
    for socket in LIBVIRT {
        match timeout(PATIENCE, UnixStream::connect(socket)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(Err(error)) => told = error,
            Err(_) => told = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(told)
}

pub fn kvm() -> io::Result<()> {
    fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").map(drop)
}

/// What a program of this machine says.
async fn said(program: &Path, args: &[&str]) -> io::Result<std::process::Output> {
    let run = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(PATIENCE, run).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

pub async fn filter() -> Filter {
    let Some(program) = EBTABLES.map(PathBuf::from).into_iter().find(|program| program.exists()) else {
        return Filter::Missing;
    };
    if !geteuid().is_root() {
        return Filter::NotRoot;
    }
    match said(&program, &["-t", "nat", "-L"]).await {
        Ok(out) if out.status.success() => Filter::Works,
        Ok(out) => Filter::Refuses(String::from_utf8_lossy(&out.stderr).trim().chars().take(200).collect()),
        Err(error) => Filter::Refuses(error.to_string()),
    }
}

/// Asked of whichever keeper of the time is there.
pub async fn synchronised() -> Option<bool> {
    if let Ok(out) = said(Path::new("chronyc"), &["-n", "-c", "tracking"]).await
        && out.status.success()
    {
        // The last of the fields: Normal, Insert second, Delete second, or Not synchronised.
        return Some(!String::from_utf8_lossy(&out.stdout).contains("Not synchronised"));
    }
    let out = said(Path::new("timedatectl"), &["show", "--property=NTPSynchronized", "--value"]).await.ok()?;
    match String::from_utf8_lossy(&out.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Each zone, asked of its server. Zones that cannot even be set up are told with the settings.
pub async fn zones(settings: &Settings, clock: &Clock) -> Vec<(String, Result<(), Fault>)> {
    let Ok(zones) = Zones::open(&settings.dns, clock) else { return Vec::new() };
    let mut seen = Vec::new();
    for zone in zones.all() {
        seen.push((zone.suffix().to_owned(), zone.probe(PATIENCE).await));
    }
    seen
}
