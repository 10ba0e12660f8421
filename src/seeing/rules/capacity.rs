//! What zones have left, and task books.

use super::{Alert, Group, Record, Severity};
use crate::{
    metrics::series::{self, Series},
    seeing::query::{named, once, stage, zoned},
};

/// What can run out, under the name it has in the label `resource`.
pub const RESOURCES: [(&str, &str, Series); 3] =
    [("vcpus", "CPU", series::VCPUS), ("memory", "内存", series::MEMORY), ("disk", "磁盘", series::DISK)];

/// By zone and resource.
pub const PHYSICAL: &str = "jiyue:zone_physical:sum";
pub const ALLOCATED: &str = "jiyue:zone_allocated:sum";
pub const FREE: &str = "jiyue:zone_free:ratio";
/// Until nothing is left, if it goes on as over the last week. None where nothing is added.
pub const DAYS_LEFT: &str = "jiyue:zone_free:days";

fn labelled(resource: &str) -> &'static [(&'static str, &'static str)] {
    match resource {
        "vcpus" => &[("resource", "vcpus")],
        "memory" => &[("resource", "memory")],
        _ => &[("resource", "disk")],
    }
}

pub fn group() -> Group {
    let mut records = Vec::new();
    for (word, _, series) in &RESOURCES {
        let (physical, allocated) = (stage(series, "physical"), stage(series, "allocated"));
        let labels = labelled(word);
        // A zone in which nothing is given out yet has given out nothing.
        let allocated = format!("{allocated} or {physical} * 0");
        records.push(Record { name: PHYSICAL, expression: physical, labels });
        records.push(Record { name: ALLOCATED, expression: allocated, labels });
    }
    records.push(Record {
        name: FREE,
        expression: format!("({PHYSICAL} - {ALLOCATED}) / ({PHYSICAL} > 0)"),
        labels: &[],
    });
    records.push(Record {
        name: DAYS_LEFT,
        expression: format!("({PHYSICAL} - {ALLOCATED}) / (deriv({ALLOCATED}[7d]) * 86400 > 0)"),
        labels: &[],
    });
    let book = once(&series::TASK_BOOK_USED, &[]);
    let runbook = "运行 jiyue task-book show 看各项指标；确要再建的，由建设单位先办任务书变更，新版本导入后再批。";
    Group {
        name: "jiyue-capacity",
        records,
        alerts: vec![
            Alert {
                name: "JiyueTaskBookNearlyUsed",
                severity: Severity::Warning,
                expression: format!("{book} >= 0.8 < 0.95"),
                lasting: "5m",
                summary: "{{ $labels.department }}的任务书 {{ $labels.task_book }} 已用 {{ $value | humanizePercentage }}（{{ $labels.indicator }}）",
                runbook,
            },
            Alert {
                name: "JiyueTaskBookUsedUp",
                severity: Severity::Critical,
                expression: format!("{book} >= 0.95"),
                lasting: "5m",
                summary: "{{ $labels.department }}的任务书 {{ $labels.task_book }} 将用尽：{{ $value | humanizePercentage }}（{{ $labels.indicator }}）",
                runbook,
            },
            Alert {
                name: "JiyueZoneNearlyFull",
                severity: Severity::Warning,
                expression: format!("{} < 0.15", zoned(&named(FREE, &[]))),
                lasting: "15m",
                summary: "{{ $labels.zone }}的 {{ $labels.resource }} 只剩 {{ $value | humanizePercentage }}",
                runbook: "先按闲置报告收回不用的；再增加宿主机（jiyue host add），或把暂停接收的放开（jiyue host uncordon）。",
            },
            Alert {
                name: "JiyueZoneFillingUp",
                severity: Severity::Warning,
                expression: format!("{} < 30", zoned(&named(DAYS_LEFT, &[]))),
                lasting: "6h",
                summary: "照近七天的增速，{{ $labels.zone }}的 {{ $labels.resource }} 再过 {{ $value | humanize }} 天用完",
                runbook: "现在就安排扩容：采购与上架要几周；同时看闲置报告里可以收回多少。",
            },
        ],
    }
}
