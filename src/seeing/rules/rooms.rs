//! Machine rooms and their last days.

use super::{Alert, Group, Severity};
use crate::{metrics::series, seeing::query::of};

pub fn group() -> Group {
    Group {
        name: "jiyue-rooms",
        records: Vec::new(),
        alerts: vec![
            Alert {
                name: "JiyueRoomLate",
                severity: Severity::Warning,
                expression: format!("max ({}) > 0", of(&series::ROOMS_LATE, &[])),
                lasting: "1h",
                summary: "有 {{ $value }} 个机房过了撤并期限还没有关停",
                runbook: "运行 jiyue room list 看是哪几个、还卡在哪一步；确要延期的按文件办手续。",
            },
            Alert {
                name: "JiyueRoomDeadlineNear",
                severity: Severity::Warning,
                expression: format!("max ({}) > 0", of(&series::ROOMS_NEAR, &[])),
                lasting: "1h",
                summary: "有 {{ $value }} 个机房离撤并期限不到三十天，还没有关停",
                runbook: "运行 jiyue report rooms 看是哪几个、还差什么、照现在的进度会不会逾期；挡住它的系统先迁。",
            },
        ],
    }
}
