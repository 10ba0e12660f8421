//! From what is written to [`Settings`]: every unknown word and every value of the wrong kind, at once.
//!
//! Messages never show a value: the database's address may hold a password, and what stands here ends up in a log.

use super::{DOCUMENTED, Fault, Faults, Settings};
use crate::{
    dns::ZoneSettings, k8s::settings::KubernetesSettings, migration::moving::settings::SourceHostSettings,
    provider::kubevirt::ClusterSettings, usage::source::settings::SourceSettings,
};
use serde::{
    Deserialize, Deserializer,
    de::{Visitor, value::Error as Nothing},
};
use std::{fs, path::Path};
use toml::{Table, Value};

/// Where all of it is explained, once the package is installed.
const MANUAL: &str = "每一项的写法见 /usr/share/doc/jiyue/jiyue.toml";
/// So many names can be listed in a sentence.
const LISTED: usize = 10;
/// Variables that share the prefix and are not settings: the command line's own, and the tests'.
const NOT_OURS: [&str; 4] = ["JIYUE_SERVER", "JIYUE_TOKEN", "JIYUE_CRASH_AT", "JIYUE_CACHE"];

/// Settings that are lists of blocks, and one that is a block; no variable can hold them.
const BLOCKS: [&str; 4] = ["dns", "usage_source", "cluster", "source_host"];
const BLOCK: &str = "kubernetes";

pub fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Settings, Faults> {
    let mut table = match file {
        Some(file) => from_file(file).map_err(|fault| Faults(vec![fault]))?,
        None => Table::new(),
    };
    let known = names::<Settings>();
    let mut faults: Vec<Fault> = table
        .iter()
        .flat_map(|(key, value)| match key.as_str() {
            "dns" => blocks::<ZoneSettings>(key, &["suffix", "server", "key_name", "key_file"], value),
            "usage_source" => blocks::<SourceSettings>(key, &["name", "url", "kind"], value),
            BLOCK => match value.as_table() {
                Some(entry) => block::<KubernetesSettings>("kubernetes.", &[], entry),
                None => vec![Fault::new(key, format!("写的是{}", kind(value)), "写一段 [kubernetes]，放在文件的最后")],
            },
            "cluster" => blocks::<ClusterSettings>(key, &["name"], value),
            "source_host" => blocks::<SourceHostSettings>(key, &["name", "uri"], value),
            _ => judge(known, key, value),
        })
        .collect();
    for (variable, text) in variables {
        let Some(key) = variable.strip_prefix("JIYUE_") else { continue };
        if NOT_OURS.contains(&variable.as_str()) || key.starts_with("TEST_") {
            continue;
        }
        match from_variable(known, &variable, &key.to_ascii_lowercase(), text) {
            Ok((key, value)) => _ = table.insert(key, value),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    // Each value was read alone, so all of them together can be.
    Value::Table(table).try_into().map_err(|_| Faults(vec![Fault::new("", "设置读不出", MANUAL)]))
}

fn from_file(file: &Path) -> Result<Table, Fault> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        Fault::new("", format!("配置文件 {shown} 读不出（{error}）"), "检查路径与权限，文件应是 UTF-8")
    })?;
    text.parse::<Table>().map_err(|error| {
        // The parser's own message quotes the line, and a password may stand in it.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let what = format!("配置文件 {shown} 第 {line} 行不是 TOML（{}）", error.message());
        Fault::new("", what, "写成 名字 = 值，文字加双引号，同一项只写一次")
    })
}

/// One setting from a variable: of the readings that a text has, the one that the setting takes.
fn from_variable(known: &[&str], variable: &str, key: &str, text: String) -> Result<(String, Value), Fault> {
    if key == BLOCK {
        return Err(Fault::new(variable, "这一项不能用环境变量", "写进配置文件的 [kubernetes]"));
    }
    if BLOCKS.contains(&key) {
        return Err(Fault::new(variable, "这一项不能用环境变量", format!("写进配置文件的 [[{key}]]")));
    }
    let list = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut readings = vec![Value::Array(list.map(|part| Value::String(part.to_owned())).collect())];
    readings.extend(text.trim().parse().ok().map(Value::Integer));
    readings.extend(text.trim().parse().ok().map(Value::Boolean));
    let string = Value::String(text);
    let told = judge(known, key, &string);
    readings.push(string);
    match (readings.into_iter().find(|value| judge(known, key, value).is_empty()), told.into_iter().next()) {
        (Some(value), _) => Ok((key.to_owned(), value)),
        (None, told) => {
            let (what, mend) = told.map_or_else(Default::default, |fault| (fault.what, fault.mend));
            let what = what.replace("写的是文字，这一项不收", "写的这一项不收");
            Err(Fault::new(variable, what, mend))
        }
    }
}

/// A setting by itself.
fn judge(known: &[&str], key: &str, value: &Value) -> Vec<Fault> {
    if !known.contains(&key) {
        return vec![unknown(known, "", key)];
    }
    let alone = Table::from_iter([(key.to_owned(), value.clone())]);
    let read = Value::Table(alone).try_into::<Settings>();
    read.err().map(|_| wrong_kind("", key, value)).into_iter().collect()
}

/// `[[dns]]` and `[[usage_source]]`: each entry, and in it each word.
fn blocks<T: for<'de> Deserialize<'de>>(key: &str, must: &[&str], value: &Value) -> Vec<Fault> {
    let Some(entries) = value.as_array().filter(|entries| entries.iter().all(Value::is_table)) else {
        let mend = format!("每个写一段 [[{key}]]，放在文件的最后");
        return vec![Fault::new(key, format!("写的是{}", kind(value)), mend)];
    };
    let entries = entries.iter().filter_map(Value::as_table).enumerate();
    entries.flat_map(|(index, entry)| block::<T>(&format!("{key}[{index}]."), must, entry)).collect()
}

/// What an entry must have is text, all of it.
fn block<T: for<'de> Deserialize<'de>>(place: &str, must: &[&str], entry: &Table) -> Vec<Fault> {
    let known = names::<T>();
    let whole = must.iter().map(|key| ((*key).to_owned(), Value::String(String::new())));
    let absent = must.iter().filter(|key| !entry.contains_key(**key));
    let mut faults: Vec<Fault> =
        absent.map(|key| Fault::new(format!("{place}{key}"), "没有写", example(key))).collect();
    for (key, value) in entry {
        if !known.contains(&key.as_str()) {
            faults.push(unknown(known, place, key));
            continue;
        }
        let mut one: Table = whole.clone().collect();
        one.insert(key.clone(), value.clone());
        if Value::Table(one).try_into::<T>().is_err() {
            faults.push(wrong_kind(place, key, value));
        }
    }
    faults
}

fn unknown(known: &[&str], place: &str, key: &str) -> Fault {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(name, key), *name)).min();
    let mend = match near {
        Some((distance, name)) if distance * 3 <= name.len() => format!("是不是想写 {name}？不要的话删去这一行"),
        _ if known.len() <= LISTED => format!("删去这一行，或改成其中一个：{}", known.join("、")),
        _ => format!("删去这一行；{MANUAL}"),
    };
    Fault::new(format!("{place}{}", crate::text::shown(key)), "没有这一项设置", mend)
}

fn wrong_kind(place: &str, key: &str, value: &Value) -> Fault {
    Fault::new(format!("{place}{key}"), format!("写的是{}，这一项不收", kind(value)), example(key))
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "文字",
        Value::Integer(_) => "整数",
        Value::Float(_) => "小数",
        Value::Boolean(_) => "真假",
        Value::Datetime(_) => "日期时间",
        Value::Array(_) => "列表",
        Value::Table(_) => "表",
    }
}

/// How it is written, from the documented file.
fn example(key: &str) -> String {
    let line = DOCUMENTED.lines().filter_map(|line| line.strip_prefix('#'));
    let mut line = line.filter(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = ")));
    line.next().map_or_else(|| MANUAL.to_owned(), |line| format!("照这样写：{line}"))
}

/// The names of a struct's fields, as they are told to serde.
pub fn names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It always ends in an error: there is nothing to read.
    let _ = T::deserialize(Asked(&mut names));
    names
}

struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Nothing;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Nothing> {
        *self.0 = fields;
        Err(serde::de::Error::custom("only the names"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Nothing> {
        Err(serde::de::Error::custom("not a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
