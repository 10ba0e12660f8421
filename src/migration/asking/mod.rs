//! What a system asks of the cloud: one ordinary request block for each of its servers, sized by what that server has used
//! and not by the old iron. Every figure says where it comes from; what nobody has measured is asked of the planner, with a
//! reason. Pure.

pub mod service;
pub mod store;
#[cfg(test)]
mod tests;

use super::estate::{Estate, Server, System};
use crate::{
    catalogue::Bounds,
    ids::ServerId,
    jurisdiction::OWN_RULE,
    labels::{MlpsLevel, Zone},
    request::{fields::RawBlock, form::label, raw::RawReport},
    text,
    units::GIB,
    usage::{
        Metric, Window,
        advice::{Need, Sizing},
    },
    violation::{Violation, pointer_token},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const MIB: i64 = 1 << 20;
/// Fields of a block that are worked out, and so are not said.
const OURS: [&str; 6] = ["vm_count", "basis", "cpu_count", "memory", "disk", "task_book"];

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SystemSizeSource)]
pub enum Source {
    /// What the server has used, with headroom.
    Measured,
    /// What the survey says: of disks, of which nobody measures how full they are.
    Surveyed,
    /// A planner's word, with a reason.
    Given,
}

/// vCPUs or bytes, and what they rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SystemSizeFigure)]
pub struct Figure {
    pub value: i64,
    pub source: Source,
    /// Chinese.
    pub sentence: String,
}

/// The size of the machine that takes over from a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SystemSize)]
pub struct Size {
    #[schema(value_type = String, format = Uuid)]
    pub server_id: ServerId,
    pub server: String,
    /// Null where nobody knows it, as with the two that follow.
    #[schema(required)]
    pub vcpu: Option<Figure>,
    #[schema(required)]
    pub memory: Option<Figure>,
    #[schema(required)]
    pub disk: Option<Figure>,
    /// Other systems on that server: what was measured is the use of all of them.
    pub others_on_it: i64,
}

/// What a planner says of one server.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Its name or id.
    pub server: String,
    pub vcpu: Option<i64>,
    pub memory_bytes: Option<i64>,
    pub disk_bytes: Option<i64>,
    pub reason: Option<String>,
    /// Fields of this server's block alone, as a domain name.
    pub fields: Map<String, Value>,
}

/// What a planner says of a system's requests.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub task_book: String,
    /// Fields of every block, by the form's words or the English ones.
    pub block: Map<String, Value>,
    pub servers: Vec<Given>,
}

/// What is known of a server's use.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub window: Option<&'a Window>,
    pub needs: (Option<Need>, Option<Need>),
}

impl Given {
    pub fn names(&self, server: &Server) -> bool {
        self.server == server.id.text() || text::fold(&self.server) == text::fold(&server.name)
    }
}

fn gib(bytes: i64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let gib = bytes as f64 / GIB as f64;
    format!("{gib:.2} GiB")
}

fn rounded_up(wanted: i64, step: i64) -> i64 {
    let over = wanted.rem_euclid(step.max(1));
    if over == 0 { wanted } else { wanted.saturating_add(step - over) }
}

/// The size of what takes over from a server.
pub fn size(
    estate: &Estate,
    server: &Server,
    given: Option<&Given>,
    known: Known<'_>,
    sizing: &Sizing,
    bounds: &Bounds,
) -> Size {
    let moving = sizing.moving;
    let (percentile, headroom) = (moving.percentile, moving.headroom_percent);
    let said = |value: Option<i64>| {
        let reason = given.and_then(|given| given.reason.as_deref()).unwrap_or_default();
        value.map(|value| Figure { value, source: Source::Given, sentence: format!("规划员给定：{reason}") })
    };
    let vcpu = said(given.and_then(|given| given.vcpu)).or_else(|| {
        let Need { to, used } = known.needs.0?;
        let sentence = format!(
            "近 {} 天 CPU P{percentile} 为 {used:.2} 核，加 {headroom}% 余量为 {to} 核（旧机 {}）",
            moving.days,
            server.hardware.cores.map_or_else(|| "核数不明".to_owned(), |cores| format!("{cores} 核")),
        );
        Some(Figure { value: to, source: Source::Measured, sentence })
    });
    let memory = said(given.and_then(|given| given.memory_bytes)).or_else(|| {
        let Need { to, used } = known.needs.1?;
        #[allow(clippy::cast_possible_truncation, reason = "a cast saturates")]
        let used = gib(used as i64);
        let old = server.hardware.memory_bytes.map_or_else(|| "内存不明".to_owned(), gib);
        let sentence = format!(
            "近 {} 天内存 P{percentile} 为 {used}，加 {headroom}% 余量为 {}（旧机 {old}）",
            moving.days,
            gib(to),
        );
        Some(Figure { value: to, source: Source::Measured, sentence })
    });
    let disk = said(given.and_then(|given| given.disk_bytes)).or_else(|| {
        let disk = server.hardware.disk_bytes?;
        let value = rounded_up(disk, bounds.disk_step.get()).max(bounds.disk.start().get());
        let sentence = format!("磁盘用了多少没有测量，按普查登记的 {}；要小些的写明大小和理由", gib(disk));
        Some(Figure { value, source: Source::Surveyed, sentence })
    });
    let on_it = estate.systems.values().filter(|system| system.servers.contains(&server.id)).count();
    Size {
        server_id: server.id,
        server: server.name.clone(),
        vcpu,
        memory,
        disk,
        others_on_it: i64::try_from(on_it.saturating_sub(1)).unwrap_or(i64::MAX),
    }
}

fn fault(pointer: String, code: &'static str, message: String, mend: &str) -> Violation {
    Violation {
        pointer,
        code,
        message,
        basis: OWN_RULE.to_owned(),
        mend: mend.to_owned(),
        place: None,
        asked: None,
        used: None,
        limit: None,
        left: None,
        unit: None,
    }
}

/// What of a wish cannot be worked with: servers that are none of the system's, sizes without a reason, fields that are worked
/// out here.
pub fn faults_of(wish: &Wish, servers: &[&Server]) -> Vec<Violation> {
    let mut faults = Vec::new();
    let mut ours = |pointer: &str, fields: &Map<String, Value>| {
        for name in fields.keys() {
            let known = label::field(name).unwrap_or(name.as_str());
            if OURS.contains(&known) {
                let pointer = format!("{pointer}/{}", pointer_token(name));
                let message = format!("“{}”由实测用量或任务书得出，不在这里填写。", text::shown(name));
                faults.push(fault(
                    pointer,
                    "size_not_given_here",
                    message,
                    "数量和规格写在 servers 里，并写明理由；任务书写在 task_book 里。",
                ));
            }
        }
    };
    ours("/block", &wish.block);
    for (n, given) in wish.servers.iter().enumerate() {
        ours(&format!("/servers/{n}/fields"), &given.fields);
    }
    for (n, given) in wish.servers.iter().enumerate() {
        let pointer = format!("/servers/{n}");
        if !servers.iter().any(|server| given.names(server)) {
            let message = format!("系统没有叫“{}”的服务器。", text::shown(&given.server));
            faults.push(fault(
                format!("{pointer}/server"),
                "server_unknown",
                message,
                "填写普查表里这个系统所在服务器的名称或编号。",
            ));
        }
        let sized = given.vcpu.is_some() || given.memory_bytes.is_some() || given.disk_bytes.is_some();
        if sized && given.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
            let message = format!("“{}”的规格没有写理由。", text::shown(&given.server));
            faults.push(fault(
                format!("{pointer}/reason"),
                "size_reason_missing",
                message,
                "不按实测用量的，写明为什么给这个规格。",
            ));
        }
    }
    faults
}

/// What nobody knows of a server's size, as what has to be mended before it can be asked for.
pub fn unmeasured(size: &Size, known: Known<'_>, sizing: &Sizing) -> Option<Violation> {
    let seen = |metric| known.window.map_or(0.0, |window| window.coverage_of(metric) * 100.0);
    let mut missing = Vec::new();
    if size.vcpu.is_none() {
        missing.push(format!("CPU 有数据的时间占 {:.0}%", seen(Metric::Cpu)));
    }
    if size.memory.is_none() {
        missing.push(format!("内存有数据的时间占 {:.0}%", seen(Metric::Memory)));
    }
    if size.disk.is_none() {
        missing.push("普查没有登记磁盘大小".to_owned());
    }
    if missing.is_empty() {
        return None;
    }
    let message = format!(
        "服务器“{}”近 {} 天没有足够的用量记录（{}；要有 {:.0}%），不按旧机器的配置申请。",
        size.server,
        sizing.moving.days,
        missing.join("，"),
        sizing.coverage * 100.0,
    );
    let mend = "接入用量采集或导入历史用量；急着迁的，由规划员在 servers 里写明规格和理由。";
    Some(fault(format!("/servers/{}", pointer_token(&size.server)), "server_unmeasured", message, mend))
}

/// The report that asks for machines of these sizes: an ordinary one. What the survey knows is filled in where the planner
/// says nothing.
pub fn report(
    system: &System,
    wish: &Wish,
    sizes: &[Size],
    deploy: Option<Date>,
) -> Result<RawReport, serde_json::Error> {
    let mut shared = Map::new();
    shared.insert("task_book".to_owned(), json!(wish.task_book));
    shared.insert("secrecy_level".to_owned(), json!("非涉密"));
    let zone = system.survey.network.as_deref().and_then(|network| network.parse::<Zone>().ok());
    shared.extend(zone.map(|zone| ("network_zone".to_owned(), json!(zone.word()))));
    let level = system.survey.mlps_level.and_then(MlpsLevel::new);
    shared.extend(level.map(|level| ("mlps_level".to_owned(), json!(level.get()))));
    shared.extend(deploy.map(|day| ("deploy_milestone".to_owned(), json!(day.to_string()))));
    let put = |into: &mut Map<String, Value>, fields: &Map<String, Value>| {
        for (name, value) in fields {
            let known = label::field(name).unwrap_or(name.as_str());
            into.insert(known.to_owned(), value.clone());
        }
    };
    put(&mut shared, &wish.block);
    let blocks = sizes.iter().map(|size| {
        let mut block = shared.clone();
        block
            .entry("workload_description")
            .or_insert_with(|| json!(format!("{}（原服务器 {}）：{}", system.name, size.server, system.purpose)));
        let given = wish.servers.iter().find(|given| {
            given.server == size.server_id.text() || text::fold(&given.server) == text::fold(&size.server)
        });
        if let Some(given) = given {
            put(&mut block, &given.fields);
        }
        let value = |figure: &Option<Figure>| figure.as_ref().map_or(0, |figure| figure.value);
        block.insert("vm_count".to_owned(), json!(1));
        block.insert("basis".to_owned(), json!("per_machine"));
        block.insert("cpu_count".to_owned(), json!(value(&size.vcpu)));
        block.insert("memory".to_owned(), json!(format!("{} MiB", value(&size.memory) / MIB)));
        block.insert("disk".to_owned(), json!(format!("{} MiB", value(&size.disk) / MIB)));
        serde_json::from_value::<RawBlock>(Value::Object(block))
    });
    Ok(RawReport { blocks: blocks.collect::<Result<_, _>>()?, ..RawReport::default() })
}
