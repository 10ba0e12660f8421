//! `[[usage_source]]` in the settings: checked once, at the start. What is wrong with a file is told without a byte of it.

use super::{
    Kind, Source,
    ask::{BadHttp, Http},
    query::{BadQuery, Queries},
};
use crate::{secret::open_to_others, usage::point::Interval};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const LONGEST_INTERVAL: u32 = 3600;

/// One source, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// What servers are assigned to: 1 to 64 lower-case letters, digits and hyphens.
    pub name: String,
    /// Where its API is, up to `/api/v1`.
    pub url: String,
    /// `node_exporter`, `windows_exporter`, `snmp`, `kubevirt` or `custom`.
    pub kind: String,
    /// How often it is asked, and how much each answer speaks for.
    #[serde(default = "default_interval")]
    pub interval_seconds: u32,
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// A file that holds a bearer token and nothing else, readable by its owner alone.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// Authorities in PEM form, trusted instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The label that names a server, if it is not the kind's own.
    #[serde(default)]
    pub label: Option<String>,
    /// Instead of the kind's own, by what they ask for.
    #[serde(default)]
    pub queries: BTreeMap<String, String>,
}

const fn default_interval() -> u32 {
    60
}

const fn default_timeout() -> u32 {
    10
}

/// A setting that cannot be used: which one, why, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("usage_source[{index}].{field}：{fault}；{mend}")]
pub struct SettingsFault {
    /// Which `[[usage_source]]`, counted from 0.
    pub index: usize,
    pub field: &'static str,
    pub fault: String,
    pub mend: String,
}

type Wrong = (&'static str, String, String);

/// The sources, or every fault of every one of them.
pub fn open(settings: &[SourceSettings]) -> Result<Vec<Source>, Vec<SettingsFault>> {
    let (mut sources, mut faults): (Vec<Source>, Vec<SettingsFault>) = (Vec::new(), Vec::new());
    for (index, one) in settings.iter().enumerate() {
        let mut note = |(field, fault, mend): Wrong| faults.push(SettingsFault { index, field, fault, mend });
        if settings.iter().take(index).any(|other| other.name == one.name) {
            note(wrong("name", "和前面的重名", "每个来源一个名字"));
        }
        match open_one(one) {
            Ok(source) => sources.push(source),
            Err(wrong) => wrong.into_iter().for_each(note),
        }
    }
    if faults.is_empty() { Ok(sources) } else { Err(faults) }
}

fn wrong(field: &'static str, fault: impl Into<String>, mend: impl Into<String>) -> Wrong {
    (field, fault.into(), mend.into())
}

fn open_one(s: &SourceSettings) -> Result<Source, Vec<Wrong>> {
    let mut faults = Vec::new();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=64).contains(&s.name.len()) || !s.name.bytes().all(plain) {
        faults.push(wrong("name", "不是名字", "1 至 64 个小写字母、数字和连字符，如 room-1"));
    }
    if !(1..=LONGEST_INTERVAL).contains(&s.interval_seconds) {
        let what = format!("{} 秒不在范围内", s.interval_seconds);
        faults.push(wrong("interval_seconds", what, format!("填写 1 至 {LONGEST_INTERVAL}，例如 60")));
    } else if !(1..=s.interval_seconds).contains(&s.timeout_seconds) {
        let what = format!("{} 秒不在范围内", s.timeout_seconds);
        faults.push(wrong("timeout_seconds", what, "至少 1，不超过 interval_seconds"));
    }
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == s.kind);
    if kind.is_none() {
        let known = Kind::ALL.map(Kind::word).join("、");
        faults.push(wrong("kind", "没有这一种", format!("填写其中一个：{known}")));
    }
    let queries = kind.map(|kind| Queries::new(kind, s.label.as_deref(), &s.queries));
    if let Some(Err(wrongs)) = &queries {
        let mend = "可用 $range、$label、$only；每条都要有 $only，写法见 /usr/share/doc/jiyue/jiyue.toml";
        faults.extend(wrongs.iter().map(|fault| {
            let field = if *fault == BadQuery::Label { "label" } else { "queries" };
            wrong(field, fault.to_string(), mend)
        }));
    }
    faults.extend(s.bearer_token_file.as_deref().and_then(token_fault));
    let authorities = s.ca_file.as_ref().map(fs::read).transpose();
    if let Err(error) = &authorities {
        faults.push(wrong("ca_file", format!("打不开（{error}）"), "检查路径与权限"));
    }
    // No message shows the address: somebody may have written a password into it, which is refused too.
    let http = Http::new(&s.url, authorities.ok().flatten().as_deref());
    let http = http.map_err(|bad| faults.push(unreachable(bad))).ok();
    match (kind, queries, http, Interval::seconds(s.interval_seconds)) {
        (Some(kind), Some(Ok(queries)), Some(http), Some(interval)) if faults.is_empty() => Ok(Source {
            name: s.name.clone(),
            kind,
            url: s.url.trim().to_owned(),
            interval,
            timeout: Duration::from_secs(s.timeout_seconds.into()),
            queries,
            clusters: Vec::new(),
            token: s.bearer_token_file.clone(),
            http,
        }),
        _ => Err(faults),
    }
}

fn unreachable(bad: BadHttp) -> Wrong {
    if bad == BadHttp::Authorities {
        return wrong("ca_file", "里面没有能用的证书", "放 PEM 格式的 CA 证书");
    }
    let mend = "写成 http://主机:端口 或 https://主机:端口，可以有路径；口令用 bearer_token_file";
    wrong("url", bad.to_string(), mend)
}

fn token_fault(file: &Path) -> Option<Wrong> {
    const FIELD: &str = "bearer_token_file";
    let shown = file.display();
    let metadata = match fs::metadata(file) {
        Err(error) => return Some(wrong(FIELD, format!("{shown} 打不开（{error}）"), "检查路径与权限")),
        Ok(metadata) => metadata,
    };
    if let Some(mode) = open_to_others(&metadata) {
        return Some(wrong(FIELD, format!("{shown} 的权限是 {mode:o}，别人也能读"), format!("chmod 600 {shown}")));
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let good = !text.trim().is_empty() && text.trim().bytes().all(|b| b.is_ascii_graphic());
    (!good).then(|| wrong(FIELD, format!("{shown} 里不是令牌"), "文件里只放令牌，不要别的"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn settings(kind: &str, url: &str) -> SourceSettings {
        SourceSettings {
            name: "room-1".to_owned(),
            url: url.to_owned(),
            kind: kind.to_owned(),
            interval_seconds: 60,
            timeout_seconds: 10,
            bearer_token_file: None,
            ca_file: None,
            label: None,
            queries: BTreeMap::new(),
        }
    }

    #[test]
    fn every_kind_with_queries_of_its_own_opens() {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Custom) {
            assert!(open(&[settings(kind.word(), "https://prom.example/select/0/prometheus")]).is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once_and_no_value_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, "s3cret-of-the-file").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
        let worst = SourceSettings {
            name: "Room 1".to_owned(),
            interval_seconds: 0,
            bearer_token_file: Some(token.clone()),
            ca_file: Some(token.clone()),
            queries: BTreeMap::from([("cpu".to_owned(), "up".to_owned())]),
            ..settings("custom", "http://user:s3cret@prom.example")
        };
        let slow = SourceSettings { timeout_seconds: 61, ca_file: Some(token), ..settings("telegraf", "http://a") };
        let faults = open(&[worst, slow.clone(), slow]).unwrap_err();
        let places: Vec<_> = faults.iter().map(|fault| (fault.index, fault.field)).collect();
        let second = [(1, "timeout_seconds"), (1, "kind"), (1, "ca_file")];
        let wanted = [
            (0, "name"),
            (0, "interval_seconds"),
            (0, "queries"),
            (0, "bearer_token_file"),
            (0, "url"),
            second[0],
            second[1],
            second[2],
            (2, "name"),
            (2, "timeout_seconds"),
            (2, "kind"),
            (2, "ca_file"),
        ];
        assert_eq!(places, wanted);
        assert!(faults.iter().all(|fault| !fault.to_string().contains("s3cret")), "{faults:#?}");
        for url in ["prom.example", "ftp://a", "http://a/?token=x", "http://a/#x", "file:///etc/passwd", ""] {
            let fault = open(&[settings("snmp", url)]).unwrap_err();
            assert_eq!((fault.len(), fault[0].field), (1, "url"), "{url}");
        }
    }
}
