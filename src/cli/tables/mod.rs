//! Which columns each kind of thing has, as a list and as a sheet of its own. Pure: JSON in, text out.

mod block;
mod capacity;
mod columns;
mod disks;
mod reports;
mod rooms;
mod systems;
mod usage;
mod waves;

pub use block::{block_lines, read_from};
pub use capacity::{
    CAPACITY_ALARM, CAPACITY_BOOK, CAPACITY_HOST, CAPACITY_MACHINE, CAPACITY_OPERATION, CAPACITY_WAITING,
    CAPACITY_ZONE, by_resource, waiting,
};
pub use columns::{CONTEXT, CONTEXT_SHEET, CONTRADICTION, DIFFERENCE, OUTCOME, READ, REFUSED_HOST, SHORTAGE};
pub use reports::{REPORT_AGE, REPORT_BORDER, REPORT_GROUP, REPORT_IDLE, REPORT_UNKNOWN};
pub use rooms::{REPORT_PROGRESS, REPORT_ROOM, REPORT_TARGET};

use super::{
    format::{self, NOTHING},
    language::tr,
    words::Tone,
};
use columns::{
    ALARM, AUDIT, CREDENTIALS, DEPARTMENT, EVENT, HOST, HOST_SHEET, IMAGE, IMAGE_SHEET, INDICATOR, MACHINE,
    MACHINE_SHEET, OPERATION, OPERATION_SHEET, REQUEST, REQUEST_SHEET, RULE, RULE_SHEET, STUCK, TASK_BOOK,
    TASK_BOOK_SHEET, TOKEN, TRANSFER, ZONE,
};
use jiff::tz::TimeZone;
use serde_json::Value;
use systems::{CRITERION, MEMBER, SYSTEM, SYSTEM_SHEET, ZOMBIE, ZOMBIE_SHEET};

/// How one value of a row becomes text; the text is a JSON pointer into the row.
#[derive(Clone, Copy)]
pub enum Show {
    Text(&'static str),
    /// By the unit that the last part of the pointer names.
    Field(&'static str),
    Time(&'static str),
    /// A state, in Chinese and coloured.
    State(&'static str, fn(&str) -> (&str, Tone)),
    /// An English word with a Chinese one for it.
    Word(&'static str, fn(&str) -> &str),
    /// The text for true; nothing for false.
    Flag(&'static str, &'static str),
    /// Put together from several values.
    Of(fn(&Value, &TimeZone) -> String),
}

/// One column.
#[derive(Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    pub show: Show,
    pub right: bool,
    /// Left out where no row has it.
    pub optional: bool,
}

impl Column {
    pub(super) const fn new(title: &'static str, show: Show) -> Self {
        Self { title, show, right: false, optional: false }
    }

    pub(super) const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    pub(super) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The row's text in this column, and how it should look.
    pub fn cell(&self, row: &Value, zone: &TimeZone) -> (String, Tone) {
        let at = |pointer: &str| row.pointer(pointer).unwrap_or(&Value::Null);
        let plain = |text: String| (text, Tone::Plain);
        match self.show {
            Show::Text(pointer) => plain(format::scalar(at(pointer))),
            Show::Field(pointer) => plain(format::field(pointer, at(pointer))),
            Show::Time(pointer) => plain(at(pointer).as_str().map_or(NOTHING.into(), |t| format::time(t, zone))),
            Show::State(pointer, words) => match at(pointer).as_str() {
                Some(word) => {
                    let (text, tone) = words(word);
                    (format::clean(tr(text)), tone)
                }
                None => plain(NOTHING.into()),
            },
            Show::Word(pointer, words) => {
                plain(at(pointer).as_str().map_or(NOTHING.into(), |w| format::clean(tr(words(w)))))
            }
            Show::Flag(pointer, text) => plain(if at(pointer) == true { tr(text).into() } else { NOTHING.into() }),
            Show::Of(make) => plain(make(row, zone)),
        }
    }
}

/// The kinds of things that answers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Department,
    TaskBook,
    Host,
    Image,
    Request,
    Machine,
    System,
    Zombie,
    Operation,
    Token,
    Rule,
    Alarm,
    Credentials,
    Event,
    Audit,
    Usage,
    UsageImport,
    Server,
    Verdict,
    Advice,
    Report,
    Agreement,
    UsageSource,
    Room,
    SurveyImport,
    SystemMove,
    Deadline,
    DiskImport,
    Wave,
    WaveCheck,
    Blackout,
    SystemRequests,
}

impl Kind {
    pub const ALL: [Self; 32] = [
        Self::Department,
        Self::TaskBook,
        Self::Host,
        Self::Image,
        Self::Request,
        Self::Machine,
        Self::System,
        Self::Zombie,
        Self::Operation,
        Self::Token,
        Self::Rule,
        Self::Alarm,
        Self::Credentials,
        Self::Event,
        Self::Audit,
        Self::Usage,
        Self::UsageImport,
        Self::Server,
        Self::Verdict,
        Self::Advice,
        Self::Report,
        Self::Agreement,
        Self::UsageSource,
        Self::Room,
        Self::SurveyImport,
        Self::SystemMove,
        Self::Deadline,
        Self::DiskImport,
        Self::Wave,
        Self::WaveCheck,
        Self::Blackout,
        Self::SystemRequests,
    ];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Department => "建设单位",
            Self::TaskBook => "任务书",
            Self::Host => "宿主机",
            Self::Image => "镜像",
            Self::Request => "申请",
            Self::Machine => "虚拟机",
            Self::System => "信息系统",
            Self::Zombie => "僵尸系统判定",
            Self::Operation => "操作",
            Self::Token => "令牌",
            Self::Rule => "规则",
            Self::Alarm => "告警",
            Self::Credentials => "数据库口令",
            Self::Event => "事件",
            Self::Audit => "审计记录",
            Self::Usage => "实际用量",
            Self::UsageImport => "用量导入",
            Self::Server => "服务器",
            Self::Verdict => "判定",
            Self::Advice => "规格建议",
            Self::Report => "报告",
            Self::Agreement => "同意回收",
            Self::UsageSource => "用量来源",
            Self::Room => "机房",
            Self::SurveyImport => "普查导入",
            Self::SystemMove => "系统去向",
            Self::Deadline => "台账事项",
            Self::DiskImport => "磁盘迁入",
            Self::Wave => "迁移批次",
            Self::WaveCheck => "批次检查",
            Self::Blackout => "封网期",
            Self::SystemRequests => "系统的申请",
        }
    }

    /// Where the word stands that other commands take as its ID.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Department | Self::Rule => "/code",
            Self::Host | Self::UsageSource => "/name",
            Self::Image => "/sha256",
            Self::Credentials | Self::Agreement => "/machine_id",
            Self::Audit => "/seq",
            Self::SurveyImport => "/digest",
            // Nothing is done to it afterwards.
            Self::UsageImport => "/rows",
            Self::WaveCheck => "/passes",
            Self::SystemRequests => "/system_id",
            Self::TaskBook
            | Self::Request
            | Self::Machine
            | Self::System
            | Self::Zombie
            | Self::Operation
            | Self::Token
            | Self::Alarm
            | Self::Event
            | Self::Usage
            | Self::Server
            | Self::Verdict
            | Self::Advice
            | Self::Report
            | Self::Room
            | Self::SystemMove
            | Self::Deadline
            | Self::DiskImport
            | Self::Wave
            | Self::Blackout => "/id",
        }
    }

    /// The columns of a list.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Department => &DEPARTMENT,
            Self::TaskBook => &TASK_BOOK,
            Self::Host => &HOST,
            Self::Image => &IMAGE,
            Self::Request => &REQUEST,
            Self::Machine => &MACHINE,
            Self::System => &SYSTEM,
            Self::Zombie => &ZOMBIE,
            Self::Operation => &OPERATION,
            Self::Token => &TOKEN,
            Self::Rule => &RULE,
            Self::Alarm => &ALARM,
            Self::Credentials => &CREDENTIALS,
            Self::Event => &EVENT,
            Self::Audit => &AUDIT,
            Self::Usage => &usage::USAGE,
            Self::UsageImport => &usage::IMPORT,
            Self::Server => &usage::SERVER,
            Self::Verdict => &reports::VERDICT,
            Self::Advice => &reports::ADVICE,
            Self::Report => &reports::REPORT,
            Self::Agreement => &reports::AGREEMENT,
            Self::UsageSource => &usage::SOURCE,
            Self::Room => &rooms::ROOM,
            Self::SurveyImport => &rooms::SURVEY,
            Self::SystemMove => &rooms::MOVE,
            Self::Deadline => &rooms::DEADLINE,
            Self::DiskImport => &disks::DISK_IMPORT,
            Self::Wave => &waves::WAVE,
            Self::WaveCheck => &waves::CHECK,
            Self::Blackout => &waves::BLACKOUT,
            Self::SystemRequests => &waves::ASKED,
        }
    }

    /// The lines of one thing's sheet, before its nested tables.
    pub const fn sheet(self) -> &'static [Column] {
        match self {
            Self::TaskBook => &TASK_BOOK_SHEET,
            Self::Host => &HOST_SHEET,
            Self::Request => &REQUEST_SHEET,
            Self::Machine => &MACHINE_SHEET,
            Self::System => &SYSTEM_SHEET,
            Self::Zombie => &ZOMBIE_SHEET,
            Self::Operation => &OPERATION_SHEET,
            Self::Rule => &RULE_SHEET,
            Self::Image => &IMAGE_SHEET,
            Self::Usage => &usage::USAGE_SHEET,
            Self::Room => &rooms::ROOM_SHEET,
            Self::SystemMove => &rooms::MOVE_SHEET,
            Self::Deadline => &rooms::DEADLINE_SHEET,
            Self::DiskImport => &disks::DISK_IMPORT_SHEET,
            Self::Wave => &waves::WAVE_SHEET,
            Self::Department
            | Self::Token
            | Self::Alarm
            | Self::Credentials
            | Self::Event
            | Self::Audit
            | Self::UsageImport
            | Self::Server
            | Self::Verdict
            | Self::Advice
            | Self::Report
            | Self::Agreement
            | Self::UsageSource
            | Self::SurveyImport
            | Self::WaveCheck
            | Self::Blackout
            | Self::SystemRequests => self.columns(),
        }
    }

    /// The tables under the sheet: title, where the rows stand, columns.
    pub const fn sections(self) -> &'static [(&'static str, &'static str, &'static [Column])] {
        match self {
            Self::TaskBook => &[("控制指标", "/indicators", &INDICATOR)],
            Self::Host => &[("网络区域", "/zones", &ZONE), ("迁不走的", "/drain/stuck", &STUCK)],
            Self::Request => &[("虚拟机", "/machines", &MACHINE)],
            Self::System => &[("虚拟机", "/machines", &MEMBER)],
            Self::Zombie => &[("认定条件", "/judgement/criteria", &CRITERION)],
            Self::Image => &[("在各宿主机上", "/hosts", &TRANSFER)],
            Self::Usage => &[
                ("逐日", "/days", &usage::DAY),
                ("系统里的代理说的：文件系统", "/guest/filesystems", &usage::FILESYSTEM),
            ],
            Self::UsageImport => {
                &[("未计入的", "/refused", &usage::REFUSED), ("其中最前的", "/first_refused", &usage::FIRST_REFUSED)]
            }
            Self::Room => &[
                ("关停的关口", "/gates", &rooms::GATE),
                ("挡住它的系统", "/blockers", &rooms::BLOCKER),
                ("信息系统", "/systems", &rooms::SYSTEM_IN),
                ("服务器", "/servers", &rooms::SERVER_IN),
                ("签字", "/signatures", &rooms::SIGNATURE),
                ("重新启用", "/reopened", &rooms::SIGNATURE),
            ],
            Self::SurveyImport => &[("变化", "/changes", &rooms::CHANGE), ("读取时的说明", "/notes", &rooms::NOTE)],
            Self::SystemMove => &[
                ("难度评分", "/difficulty/parts", &rooms::PART),
                ("迁移批次", "/waves", &waves::WAVE_IN),
                ("资源申请", "/requests", &waves::MADE),
                ("已办步骤", "/steps", &rooms::STEP),
            ],
            Self::Wave => &[
                ("逐项冲突", "/check/conflicts", &waves::CONFLICT),
                ("各网络区域", "/check/zones", &waves::ZONE_STAND),
                ("信息系统", "/systems", &waves::WAVE_SYSTEM),
            ],
            Self::WaveCheck => {
                &[("逐项冲突", "/conflicts", &waves::CONFLICT), ("各网络区域", "/zones", &waves::ZONE_STAND)]
            }
            Self::SystemRequests => &[
                ("规格和来历", "/sizes", &waves::SIZE),
                ("资源申请", "/requests", &waves::MADE),
                ("还差什么才能申请", "/lacking", &waves::LACKING),
            ],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests;
