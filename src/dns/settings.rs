//! `[[dns]]` in the settings: checked once, at the start.

use super::{Zone, exchange::Key};
use crate::{secret::open_to_others, time::Clock};
use base64::{Engine, engine::general_purpose::STANDARD};
use hickory_proto::rr::{Name, TSigner, rdata::tsig::TsigAlgorithm};
use serde::Deserialize;
use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// A shorter secret is no secret.
const SHORTEST_SECRET: usize = 16;
const LONGEST_TTL: u32 = 86_400;
const LONGEST_FUDGE: u16 = 3600;

/// One zone that a DNS server keeps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneSettings {
    /// The zone, as `xiangcheng.gov.cn`; names below it are registered there.
    pub suffix: String,
    /// `address:port`, or an address alone for port 53. The zone's primary server.
    pub server: String,
    pub key_name: String,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    #[serde(default = "default_algorithm")]
    pub algorithm: String,
    /// The file that holds the key's secret in Base64, readable by its owner alone.
    pub key_file: PathBuf,
    #[serde(default = "default_ttl")]
    pub ttl: u32,
    /// Seconds by which our clock and the server's may differ; RFC 8945 recommends 300. Twice that is how long an update
    /// that was held up on its way may still be carried out, so a removal is not called final before.
    #[serde(default = "default_fudge")]
    pub fudge_seconds: u16,
}

fn default_algorithm() -> String {
    "hmac-sha256".to_owned()
}

const fn default_ttl() -> u32 {
    300
}

const fn default_fudge() -> u16 {
    300
}

/// A setting that cannot be used: which one, why, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dns[{index}].{field}：{fault}；{mend}")]
pub struct SettingsFault {
    /// Which `[[dns]]`, counted from 0.
    pub index: usize,
    pub field: &'static str,
    pub fault: String,
    pub mend: String,
}

type Wrong = (&'static str, String, String);

/// The zones, or every fault of every one of them.
pub fn open(settings: &[ZoneSettings], clock: &Clock) -> Result<Vec<Zone>, Vec<SettingsFault>> {
    let (mut zones, mut faults): (Vec<Zone>, Vec<SettingsFault>) = (Vec::with_capacity(settings.len()), Vec::new());
    for (index, zone) in settings.iter().enumerate() {
        let mut note = |(field, fault, mend): Wrong| faults.push(SettingsFault { index, field, fault, mend });
        match open_one(zone, clock) {
            Ok(zone) if zones.iter().any(|other| other.suffix == zone.suffix) => {
                note(("suffix", format!("{} 写了两次", zone.suffix), "每个后缀只写一个 [[dns]]".to_owned()));
            }
            Ok(zone) => zones.push(zone),
            Err(wrong) => wrong.into_iter().for_each(note),
        }
    }
    if faults.is_empty() { Ok(zones) } else { Err(faults) }
}

fn open_one(settings: &ZoneSettings, clock: &Clock) -> Result<Zone, Vec<Wrong>> {
    let mut faults = Vec::new();
    let mut within = |field, value: u32, longest: u32| {
        if !(1..=longest).contains(&value) {
            faults.push((field, format!("{value} 秒不在范围内"), format!("填写 1 至 {longest}，例如 300")));
        }
    };
    within("ttl", settings.ttl, LONGEST_TTL);
    within("fudge_seconds", settings.fudge_seconds.into(), LONGEST_FUDGE.into());
    let (suffix, server) = (suffix(&settings.suffix), server(&settings.server));
    match (suffix, server, key(settings)) {
        (Ok(suffix), Ok(server), Ok(key)) if faults.is_empty() => {
            let (ttl, fudge) = (settings.ttl, settings.fudge_seconds);
            Ok(Zone { suffix, server, key, ttl, fudge, clock: clock.clone() })
        }
        (suffix, server, key) => {
            faults.extend(suffix.err());
            faults.extend(server.err());
            faults.extend(key.err().into_iter().flatten());
            Err(faults)
        }
    }
}

fn wrong<T>(field: &'static str, fault: String, mend: &str) -> Result<T, Wrong> {
    Err((field, fault, mend.to_owned()))
}

fn suffix(text: &str) -> Result<String, Wrong> {
    let suffix = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if suffix.len() > 200 || !suffix.split('.').all(label) {
        return wrong(
            "suffix",
            format!("“{}”不是域名后缀", text.escape_default()),
            "填写区的名字，例如 xiangcheng.gov.cn；中文的写成 xn-- 开头的 ASCII 形式",
        );
    }
    Ok(suffix)
}

fn server(text: &str) -> Result<SocketAddr, Wrong> {
    let text = text.trim();
    let address = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    match address {
        Ok(address) if address.port() != 0 && !address.ip().is_unspecified() => Ok(address),
        _ => wrong(
            "server",
            format!("“{}”不是地址", text.escape_default()),
            "填写 IP 地址或“地址:端口”，例如 10.1.1.53:53；不能是主机名",
        ),
    }
}

fn key(settings: &ZoneSettings) -> Result<Key, Vec<Wrong>> {
    let parts = (key_name(&settings.key_name), algorithm(&settings.algorithm), secret(&settings.key_file));
    let (name, algorithm, secret) = match parts {
        (Ok(name), Ok(algorithm), Ok(secret)) => (name, algorithm, secret),
        (name, algorithm, secret) => {
            return Err([name.err(), algorithm.err(), secret.err()].into_iter().flatten().collect());
        }
    };
    let signer = TSigner::new(secret, algorithm, name, settings.fudge_seconds);
    signer.map(Key).map_err(|error| vec![("algorithm", error.to_string(), "填写 hmac-sha256".to_owned())])
}

fn key_name(text: &str) -> Result<Name, Wrong> {
    let name = text.trim().to_ascii_lowercase();
    match Name::from_ascii(&name) {
        Ok(read) if !name.is_empty() => Ok(read),
        _ => {
            let fault = format!("“{}”不是密钥名", text.escape_default());
            wrong("key_name", fault, "填写 DNS 服务器上这把密钥的名字，例如 jiyue")
        }
    }
}

fn algorithm(text: &str) -> Result<TsigAlgorithm, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "hmac-sha256" => Ok(TsigAlgorithm::HmacSha256),
        "hmac-sha384" => Ok(TsigAlgorithm::HmacSha384),
        "hmac-sha512" => Ok(TsigAlgorithm::HmacSha512),
        _ => {
            let fault = format!("“{}”不受支持", text.escape_default());
            wrong("algorithm", fault, "填写 hmac-sha256、hmac-sha384 或 hmac-sha512，与服务器上这把密钥的一致")
        }
    }
}

/// What is wrong with a key file is told without a byte of what is in it.
fn secret(file: &Path) -> Result<Vec<u8>, Wrong> {
    let shown = file.display();
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) => return wrong("key_file", format!("{shown} 打不开（{error}）"), "检查路径与权限"),
    };
    if let Some(mode) = open_to_others(&metadata) {
        return wrong("key_file", format!("{shown} 的权限是 {mode:o}，别人也能读"), &format!("chmod 600 {shown}"));
    }
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return wrong("key_file", format!("{shown} 读不出（{error}）"), "文件里只放 Base64 的密钥"),
    };
    let Ok(secret) = STANDARD.decode(text.trim()) else {
        return wrong("key_file", format!("{shown} 的内容不是 Base64"), "文件里只放 Base64 的密钥，不要别的");
    };
    if secret.len() < SHORTEST_SECRET {
        return wrong(
            "key_file",
            format!("{shown} 的密钥只有 {} 字节", secret.len()),
            "用 keymgr -t 或 tsig-keygen 重新生成，至少 16 字节",
        );
    }
    Ok(secret)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    const SECRET: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";

    pub fn zone(suffix: &str) -> Zone {
        let signer = TSigner::new(vec![7; 32], TsigAlgorithm::HmacSha256, Name::from_ascii("k").unwrap(), 300);
        let server = "192.0.2.1:53".parse().unwrap();
        Zone { suffix: suffix.to_owned(), server, key: Key(signer.unwrap()), ttl: 60, fudge: 300, clock: Clock::System }
    }

    fn key_file(folder: &Path, text: &str, mode: u32) -> PathBuf {
        use std::io::Write as _;
        let path = folder.join(uuid::Uuid::now_v7().to_string());
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    }

    fn settings(key_file: PathBuf) -> ZoneSettings {
        ZoneSettings {
            suffix: "XC.example.".to_owned(),
            server: "192.0.2.1".to_owned(),
            key_name: "jiyue".to_owned(),
            algorithm: "hmac-sha512".to_owned(),
            key_file,
            ttl: 300,
            fudge_seconds: 300,
        }
    }

    /// The only fault that there is.
    #[track_caller]
    fn one(opened: Result<Vec<Zone>, Vec<SettingsFault>>) -> SettingsFault {
        let mut faults = opened.unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.remove(0)
    }

    type Change = fn(&mut ZoneSettings);

    #[test]
    fn a_zone_is_read_and_its_secret_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(key_file(folder.path(), &format!("{SECRET}\n"), 0o600));
        let zones = open(std::slice::from_ref(&settings), &Clock::System).unwrap();
        assert_eq!((zones[0].suffix(), zones[0].server().to_string()), ("xc.example", "192.0.2.1:53".to_owned()));
        let shown = format!("{settings:?} {zones:?}");
        assert!(!shown.contains(SECRET) && !shown.contains("12345678"), "{shown}");
    }

    #[test]
    fn settings_that_cannot_be_used_name_the_field_and_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        let good = || key_file(folder.path(), SECRET, 0o600);
        let with = |change: Change| {
            let mut settings = settings(good());
            change(&mut settings);
            one(open(&[settings], &Clock::System))
        };
        let wrong: [(&str, Change); 11] = [
            ("suffix", |s| s.suffix = "相城.example".to_owned()),
            ("suffix", |s| s.suffix = String::new()),
            ("suffix", |s| s.suffix = "-a.example".to_owned()),
            ("server", |s| s.server = "dns.example".to_owned()),
            ("server", |s| s.server = "0.0.0.0:53".to_owned()),
            ("key_name", |s| s.key_name = " ".to_owned()),
            ("algorithm", |s| s.algorithm = "hmac-md5".to_owned()),
            ("ttl", |s| s.ttl = 0),
            ("ttl", |s| s.ttl = u32::MAX),
            ("fudge_seconds", |s| s.fudge_seconds = 0),
            ("key_file", |s| s.key_file = "/nowhere/key".into()),
        ];
        for (field, change) in wrong {
            let fault = with(change);
            assert_eq!((fault.field, fault.index), (field, 0), "{fault}");
            assert!(!fault.mend.is_empty() && fault.to_string().starts_with(&format!("dns[0].{field}")), "{fault}");
        }
        for (text, mode) in [(SECRET, 0o640), (SECRET, 0o604), ("not base64!", 0o600), ("QUJD", 0o600), ("", 0o600)] {
            let fault = one(open(&[settings(key_file(folder.path(), text, mode))], &Clock::System));
            assert_eq!(fault.field, "key_file", "{fault}");
            assert!(text.is_empty() || !fault.to_string().contains(text), "{fault}");
        }
        let twice = one(open(&[settings(good()), settings(good())], &Clock::System));
        assert_eq!((twice.index, twice.field), (1, "suffix"));
        // All at once, of all zones.
        let mut bad = settings("/nowhere/key".into());
        (bad.ttl, bad.server, bad.algorithm) = (0, "dns.example".to_owned(), "md5".to_owned());
        let faults = open(&[settings(good()), bad.clone(), bad], &Clock::System).unwrap_err();
        let found: Vec<_> = faults.iter().map(|fault| (fault.index, fault.field)).collect();
        let each = ["ttl", "server", "algorithm", "key_file"];
        assert_eq!(found, [1, 2].map(|index| each.map(|field| (index, field))).concat());
    }
}
