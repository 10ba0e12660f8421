//! How hard a system is to move: a score of what is known of it, each part with its points and its reason. 依据：平台规则;
//! the documents ask for the assessment (相政办〔2018〕151号 二（一）具体要求2) and give no scale. A planner may overrule it
//! with a reason; both are shown.

use super::estate::{Estate, System};
use crate::text::fold;
use jiff::civil::Date;
use serde::Serialize;

/// One part of the score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DifficultyPart)]
pub struct Part {
    /// `os`, `database`, `architecture`, `dependencies`, `size` or `supplier`.
    pub part: &'static str,
    pub points: u8,
    pub most: u8,
    /// Chinese, with what it rests on; says so where nothing is known.
    pub reason: String,
    /// Nothing is known: half of the points, rounded up, are taken.
    pub unknown: bool,
}

/// The difficulty of one system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Difficulty)]
pub struct Difficulty {
    /// 0 to 20.
    pub points: u8,
    /// 1 to 5: the points in steps of four.
    pub level: u8,
    pub parts: Vec<Part>,
    /// The level that a planner has set instead, and why.
    pub overruled: Option<Overruled>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DifficultyOverruled)]
pub struct Overruled {
    pub level: u8,
    pub reason: String,
    pub by: String,
}

/// Words of systems that nobody has supported for long, of those that are still about, and of what runs in a cloud as it is.
const OLD: &[&str] =
    &["2000", "2003", "windowsxp", "2008", "aix", "solaris", "hp-ux", "centos5", "centos6", "rhel5", "rhel6"];
const AGEING: &[&str] = &["2012", "centos7", "rhel7", "windows7", "ubuntu14", "ubuntu16"];

fn judge(text: Option<&str>, old: &[&str], ageing: &[&str]) -> Option<u8> {
    let text = fold(text?);
    Some(match () {
        () if old.iter().any(|word| text.contains(word)) => 4,
        () if ageing.iter().any(|word| text.contains(word)) => 2,
        () => 0,
    })
}

/// The score of a system as of a day.
pub fn difficulty(estate: &Estate, system: &System, today: Date) -> Difficulty {
    let part = |part, most, told: Option<(u8, String)>, unknown: &str| match told {
        Some((points, reason)) => Part { part, points: points.min(most), most, reason, unknown: false },
        None => Part { part, points: most.div_ceil(2), most, reason: unknown.to_owned(), unknown: true },
    };
    let servers: Vec<_> = system.servers.iter().filter_map(|id| estate.servers.get(id)).collect();
    let os = servers.iter().filter_map(|s| Some((judge(s.hardware.os.as_deref(), OLD, AGEING)?, s)));
    let os = os.max_by_key(|(points, _)| *points).map(|(points, server)| {
        (points, format!("操作系统 {}（{}）", server.hardware.os.as_deref().unwrap_or_default(), server.name))
    });
    let age = servers.iter().filter_map(|s| s.hardware.bought_in).min();
    let survey = &system.survey;
    let database = survey.database.as_deref().map(|name| {
        let folded = fold(name);
        let none = ["无", "没有", "none"].contains(&folded.as_str());
        let heavy = ["oracle", "db2", "sybase", "informix"].iter().any(|word| folded.contains(word));
        let old = ["2000", "2005", "2008", "access", "foxpro"].iter().any(|word| folded.contains(word));
        let points = if none { 0 } else { 1 + u8::from(heavy) + 2 * u8::from(old) };
        (points, format!("数据库 {name}"))
    });
    let architecture = survey.architecture.as_deref().map(|name| {
        let folded = fold(name);
        let points = match () {
            () if folded.contains("单机") => 3,
            () if folded.contains("c/s") || folded.contains("cs架构") => 2,
            () => 0,
        };
        (points, format!("架构 {name}"))
    });
    let users = estate.systems.values().filter(|other| other.needs.contains(&system.id)).count();
    let ties = system.needs.len() + users;
    let tied = (
        u8::try_from(ties.div_ceil(2)).unwrap_or(u8::MAX),
        format!("依赖 {} 个系统，被 {users} 个系统依赖", system.needs.len()),
    );
    let disk = servers
        .iter()
        .filter_map(|s| s.hardware.disk_bytes)
        .fold(None, |sum: Option<i64>, disk| Some(sum.unwrap_or(0).saturating_add(disk)));
    let size = disk.map(|bytes| {
        let gib = bytes >> 30;
        let points = match gib {
            ..200 => 0,
            200..1_000 => 1,
            1_000..10_000 => 2,
            _ => 3,
        };
        let years = age.map(|year| i64::from(today.year()) - year).filter(|years| *years > 8);
        let old = years.map(|years| format!("，最早的服务器已用 {years} 年")).unwrap_or_default();
        (points, format!("数据盘合计 {gib} GiB{old}"))
    });
    let supplier = survey
        .supplier_gone
        .map(|gone| if gone { (2, "原厂商已停止支持".to_owned()) } else { (0, "原厂商仍在支持".to_owned()) });
    let parts = vec![
        part("os", 4, os, "操作系统不明"),
        part("database", 4, database, "数据库不明"),
        part("architecture", 3, architecture, "架构不明"),
        part("dependencies", 4, Some(tied), ""),
        part("size", 3, size, "数据量不明"),
        part("supplier", 2, supplier, "原厂商是否仍在支持不明"),
    ];
    let points = parts.iter().map(|part| part.points).sum::<u8>();
    let overruled = system.overruled.as_ref().map(|(level, said)| Overruled {
        level: *level,
        reason: said.text.clone(),
        by: said.by.clone(),
    });
    Difficulty { points, level: (points / 4 + 1).min(5), parts, overruled }
}
