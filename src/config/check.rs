//! The settings held against this machine: what would keep the service from doing its work. Looks, and changes nothing.

use super::{Fault, Settings};
use crate::{
    db,
    dns::Zones,
    jurisdiction::Profile,
    k8s::settings::KubernetesSettings,
    migration::{moving, register},
    provider::kubevirt::settings as cluster,
    secret::Vault,
    serve::tls,
    time::Clock,
    usage::{source, verdict::RuleSets},
};
use std::{
    fs,
    ops::RangeInclusive,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tracing_subscriber::EnvFilter;

const DAY: u64 = 86_400;
/// A smaller image is none.
const LEAST_IMAGE: u64 = 1 << 20;

pub fn faults(settings: &Settings) -> Vec<Fault> {
    let mut faults = numbers(settings);
    faults.extend(tls_faults(settings));
    faults.extend(database(&settings.database_url));
    faults.extend(secret_key(&settings.secret_key_file));
    faults.extend(folder("image_folder", &settings.image_folder));
    match Profile::named(&settings.jurisdiction) {
        Ok(profile) => {
            if let Err(error) = register::registers(&profile.rooms.registers) {
                let what =
                    format!("规则文件里 rooms.registers 的台账用不了（{}）", crate::error::story(&error).join(": "));
                let mend = "写自带台账的名字，或台账文件（.csv、.xlsx、.yaml）的完整路径".to_owned();
                faults.push(Fault::new("jurisdiction", what, mend));
            }
        }
        Err(error) => {
            let known = Profile::embedded_ids().collect::<Vec<_>>().join("、");
            let what = format!("用不了（{}）", crate::error::story(&error).join(": "));
            faults.push(Fault::new("jurisdiction", what, format!("填写 {known}，或一个可用的规则文件的路径")));
        }
    }
    if let Err(error) = RuleSets::open(settings.idle_rules.as_deref()) {
        let what = format!("用不了（{}）", crate::error::story(&error).join(": "));
        faults.push(Fault::new("idle_rules", what, "改正文件；各项的含义见 profiles/idle-rules.yaml".to_owned()));
    }
    if let Some(program) = &settings.fence_command {
        faults.extend(executable(program));
    }
    if let Err(wrong) = Zones::open(&settings.dns, &Clock::System) {
        let each = wrong.into_iter();
        faults.extend(each.map(|w| Fault::new(format!("dns[{}].{}", w.index, w.field), w.fault, w.mend)));
    }
    if let Err(wrong) = source::settings::open(&settings.usage_source) {
        let each = wrong.into_iter();
        faults.extend(each.map(|w| Fault::new(format!("usage_source[{}].{}", w.index, w.field), w.fault, w.mend)));
    }
    let kubernetes = settings.kubernetes.iter().flat_map(KubernetesSettings::faults);
    faults.extend(kubernetes.map(|w| Fault::new(format!("kubernetes.{}", w.field), w.fault, w.mend)));
    let measured = settings.usage_source.iter().filter(|source| source.kind == "kubevirt");
    let measured: Vec<_> = measured.map(|source| source.name.as_str()).collect();
    let wrong = cluster::check(&settings.cluster, &measured).into_iter();
    faults.extend(wrong.map(|w| Fault::new(format!("cluster[{}].{}", w.index, w.field), w.fault, w.mend)));
    let wrong = moving::settings::check(&settings.source_host).into_iter();
    faults.extend(wrong.map(|w| Fault::new(format!("source_host[{}].{}", w.index, w.field), w.fault, w.mend)));
    if EnvFilter::try_new(&settings.log_filter).is_err() {
        let mend = "填写 error、warn、info、debug 或 trace，可以分模块，如 info,jiyue=debug";
        faults.push(Fault::new("log_filter", "看不懂", mend));
    }
    faults
}

fn numbers(settings: &Settings) -> Vec<Fault> {
    let s = settings;
    let many = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let all: [(&str, u64, RangeInclusive<u64>); 24] = [
        ("http_header_seconds", s.http_header_seconds, 1..=600),
        ("http_stall_seconds", s.http_stall_seconds, 1..=3600),
        ("database_read_connections", s.database_read_connections.into(), 1..=1000),
        ("image_max_bytes", s.image_max_bytes, LEAST_IMAGE..=1 << 50),
        ("image_sends_at_once", many(s.image_sends_at_once), 0..=1000),
        ("image_retry_seconds", s.image_retry_seconds, 1..=DAY),
        ("listing_seconds", s.listing_seconds, 1..=DAY),
        ("usage_seconds", s.usage_seconds.into(), 1..=3600),
        ("silence_seconds", s.silence_seconds, 1..=DAY),
        ("worker_width", many(s.worker_width), 0..=1000),
        ("worker_lease_seconds", s.worker_lease_seconds, 1..=3600),
        ("worker_poll_millis", s.worker_poll_millis, 10..=60_000),
        ("boots_at_once", many(s.boots_at_once), 1..=1000),
        ("answer_seconds", s.answer_seconds, 1..=DAY),
        ("install_seconds", s.install_seconds, 1..=DAY),
        ("step_seconds", s.step_seconds, 1..=DAY),
        ("shutdown_seconds", s.shutdown_seconds, 0..=DAY),
        ("dns_timeout_seconds", s.dns_timeout_seconds, 1..=600),
        ("dns_retry_seconds", s.dns_retry_seconds, 1..=DAY),
        ("dns_wait_seconds", s.dns_wait_seconds, 0..=3600),
        ("zombie_idle_days", s.zombie_idle_days.into(), 14..=3650),
        ("zombie_unmaintained_days", s.zombie_unmaintained_days.into(), 30..=3650),
        ("zombie_unused_days", s.zombie_unused_days.into(), 30..=3650),
        ("zombie_answer_days", s.zombie_answer_days.into(), 1..=180),
    ];
    let beyond = all.into_iter().filter(|(_, value, range)| !range.contains(value));
    beyond
        .map(|(key, value, range)| {
            Fault::new(key, format!("{value} 不在范围内"), format!("填写 {} 至 {}", range.start(), range.end()))
        })
        .collect()
}

fn tls_faults(settings: &Settings) -> Vec<Fault> {
    match (&settings.tls_certificate, &settings.tls_key) {
        (None, None) => Vec::new(),
        (Some(_), None) => {
            vec![Fault::new("tls_key", "没有写", "证书和私钥要写就都写；不用 TLS 的，tls_certificate 也删去")]
        }
        (None, Some(_)) => {
            vec![Fault::new("tls_certificate", "没有写", "证书和私钥要写就都写；不用 TLS 的，tls_key 也删去")]
        }
        (Some(certificate), Some(key)) => {
            let files = tls::Files { certificate: certificate.clone(), key: key.clone() };
            let faults = files.read().err().into_iter().flatten();
            faults.map(|fault| Fault::new(fault.field, fault.fault, fault.mend)).collect()
        }
    }
}

fn database(url: &str) -> Vec<Fault> {
    const KEY: &str = "database_url";
    if db::judge_url(url).is_err() {
        let mend = "写成 sqlite:/路径/文件，或 postgres://用户:口令@主机:端口/库；口令里的特殊字符写成 %40 这样的形式";
        return vec![Fault::new(KEY, "不是数据库地址", mend)];
    }
    let Some(file) = url.strip_prefix("sqlite:").map(Path::new) else { return Vec::new() };
    if file.is_dir() {
        return vec![Fault::new(
            KEY,
            format!("{} 是目录", file.display()),
            "写成文件的路径，如 sqlite:/var/lib/jiyue/jiyue.db",
        )];
    }
    file.parent().map(|parent| folder(KEY, parent)).unwrap_or_default()
}

fn secret_key(file: &Path) -> Vec<Fault> {
    const KEY: &str = "secret_key_file";
    if file.exists() {
        let wrong = Vault::from_file(file).err().into_iter();
        return wrong.map(|wrong| Fault::new(KEY, wrong.fault, wrong.mend)).collect();
    }
    file.parent().map(|parent| folder(KEY, parent)).unwrap_or_default()
}

/// A folder that is there or can be made: what of the path exists has to be a folder.
fn folder(key: &str, path: &Path) -> Vec<Fault> {
    if path.as_os_str().is_empty() {
        return vec![Fault::new(key, "没有写路径", "写绝对路径，如 /var/lib/jiyue")];
    }
    let exists = path.ancestors().find(|part| part.symlink_metadata().is_ok());
    match exists {
        Some(part) if !part.is_dir() => {
            let mend = "改成别的位置，或把挡着的文件挪开";
            vec![Fault::new(key, format!("{} 不是目录，里面放不了东西", part.display()), mend)]
        }
        // The kernel's own folders take nothing, whoever asks.
        Some(part) if part != path && (part.starts_with("/proc") || part.starts_with("/sys")) => {
            vec![Fault::new(key, format!("{} 里建不了目录", part.display()), "改成别的位置，如 /var/lib/jiyue")]
        }
        _ => Vec::new(),
    }
}

fn executable(program: &PathBuf) -> Option<Fault> {
    const KEY: &str = "fence_command";
    let shown = program.display();
    if !program.is_absolute() {
        return Some(Fault::new(KEY, format!("“{shown}”不是绝对路径"), "写绝对路径，如 /usr/local/sbin/fence-host"));
    }
    match fs::metadata(program) {
        Err(error) => Some(Fault::new(KEY, format!("{shown} 打不开（{error}）"), "检查路径与权限")),
        Ok(metadata) if !metadata.is_file() => Some(Fault::new(KEY, format!("{shown} 不是文件"), "写程序的路径")),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            Some(Fault::new(KEY, format!("{shown} 不能执行"), format!("chmod +x {shown}")))
        }
        Ok(_) => None,
    }
}

pub fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if !settings.listen.ip().is_loopback() && settings.tls().is_none() {
        warnings.push(format!(
            "在 {} 上监听而没有 TLS：令牌和口令在网络上是明文；设置 tls_certificate 和 tls_key，或只监听 127.0.0.1",
            settings.listen
        ));
    }
    if settings.allow_simulated_hosts {
        warnings.push("allow_simulated_hosts 打开了：模拟的宿主机上什么也不运行，正式服务要关掉".to_owned());
    }
    warnings
}
