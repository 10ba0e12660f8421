//! Machine rooms and their last days.

use super::{Alert, Group, Severity};
use crate::{metrics::series, seeing::query::of};

pub fn group() -> Group {
    Group {
        name: "jiyue-rooms",
        records: Vec::new(),
        alerts: vec![Alert {
            name: "JiyueRoomLate",
            severity: Severity::Warning,
            expression: format!("max ({}) > 0", of(&series::ROOMS_LATE, &[])),
            lasting: "1h",
            summary: "有 {{ $value }} 个机房过了撤并期限还没有关停",
            runbook: "运行 jiyue room list 看是哪几个、还卡在哪一步；确要延期的按文件办手续。",
        }],
    }
}
