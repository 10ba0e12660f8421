//! Words of the command line, read. Pure; what is wrong with one is told in the language of the process.

use super::{
    format,
    language::{comma, say},
};
use crate::{
    labels::{MlpsLevel, ProviderWish, Spread, Zone},
    system::record::{Frequency, Scope},
};

/// Choices of an option, each with its word: what is written on the command line is what the API is told.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident: $($variant:ident = $word:literal),+;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
        pub enum $name { $(#[value(name = $word)] $variant),+ }

        impl $name {
            const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )+};
}
pub(super) use choices;

/// `key=value,key=value` with known keys, each at most once.
pub fn pairs(s: &str, keys: &[&'static str]) -> Result<Vec<(&'static str, String)>, String> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for part in s.split(',') {
        let (key, value) = part.split_once('=').ok_or_else(|| say!("“{part}”不是 键=值", part))?;
        let key = keys.iter().find(|k| **k == key.trim());
        let key = key.ok_or_else(|| say!("“{part}”的键不认识，可用：{keys}", part, keys = keys.join(comma())))?;
        if found.iter().any(|(k, _)| k == key) {
            return Err(say!("{key} 给了两次", key));
        }
        if value.trim().is_empty() {
            return Err(say!("{key} 没有值", key));
        }
        found.push((key, value.trim().to_owned()));
    }
    Ok(found)
}

/// A word that becomes part of a URL's path: `.` and `..` would name another resource, an empty one the list itself.
pub fn name(s: &str) -> Result<String, String> {
    let s = s.trim();
    if s.is_empty() {
        return Err(say!("不能为空"));
    }
    if s == "." || s == ".." || s.chars().any(|c| c == '/' || c.is_control()) {
        return Err(say!("不能是 . 或 ..，也不能有斜杠和控制字符"));
    }
    if s.chars().count() > 200 {
        return Err(say!("太长，最多 200 个字"));
    }
    Ok(s.to_owned())
}

/// A number of things to show.
pub fn count(s: &str) -> Result<u32, String> {
    s.parse().ok().filter(|n| *n > 0).ok_or_else(|| say!("应是大于 0 的整数"))
}

/// A size with its unit, in bytes.
pub fn size(s: &str) -> Result<i64, String> {
    format::parse_size(s).ok_or_else(|| say!("应是带单位的大小，如 2GiB、512MiB"))
}

/// At most ten years: a longer one is a slip of the finger.
pub fn days(s: &str) -> Result<u32, String> {
    s.parse().ok().filter(|n| (1..=3650).contains(n)).ok_or_else(|| say!("应是 1 到 3650 之间的整数"))
}

/// A network zone, by its Chinese name or its word.
pub fn zone(s: &str) -> Result<Zone, String> {
    s.parse().map_err(|_| say!("应是 政务外网、互联网 或 政务专网"))
}

/// A level as people write it: 3, 三级, 等保三级.
pub fn level(s: &str) -> Result<MlpsLevel, String> {
    s.parse().map_err(|_| say!("应是 1 到 4 级，如 三级"))
}

pub fn spread(s: &str) -> Result<Spread, String> {
    s.parse().map_err(|_| say!("应是 prefer（尽量）或 require（必须）"))
}

/// The kind of place to build on.
pub fn provider(s: &str) -> Result<ProviderWish, String> {
    s.parse().map_err(|_| say!("应是 any（不限）、libvirt（宿主机）或 kubevirt（集群）"))
}

/// Who uses a system, by the Chinese name or the word.
pub fn scope(s: &str) -> Result<Scope, String> {
    s.parse().map_err(|_| say!("应是 个别处室、本单位、跨部门 或 面向公众"))
}

/// How often it is used.
pub fn frequency(s: &str) -> Result<Frequency, String> {
    s.parse().map_err(|_| say!("应是 每天、每周、每月、每年 或 几乎不用"))
}

/// Seconds between two looks.
pub fn seconds(s: &str) -> Result<u32, String> {
    s.parse().ok().filter(|n| (1..=3600).contains(n)).ok_or_else(|| say!("应是 1 到 3600 之间的整数"))
}
