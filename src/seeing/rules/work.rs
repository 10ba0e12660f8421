//! What people and the worker have to come to an end with, and whether machines are measured.

use super::{Alert, Group, Record, Severity};
use crate::{
    metrics::series,
    seeing::query::{Want, of, once, pace, total},
};

/// Of the machines that were judged, those that are idle.
pub const IDLE: &str = "jiyue:idle_machines:ratio";

pub fn group() -> Group {
    let waiting = once(&series::REQUEST_AGE, &[("state", Want::Is("submitted"))]);
    Group {
        name: "jiyue-work",
        records: Vec::new(),
        alerts: vec![
            Alert {
                name: "JiyueRequestWaiting",
                severity: Severity::Warning,
                expression: format!("{waiting} > 5 * 86400"),
                lasting: "1h",
                summary: "有申请已等了 {{ $value | humanizeDuration }} 没有批复",
                runbook: "运行 jiyue request list --state submitted --sort submitted_at，从最早的办起；五天是平台自定的期限。",
            },
            Alert {
                name: "JiyueOperationStuck",
                severity: Severity::Critical,
                expression: format!("{} > 3600", once(&series::OPERATION_AGE, &[])),
                lasting: "10m",
                summary: "{{ $labels.kind }} 操作已进行了 {{ $value | humanizeDuration }}",
                runbook: "运行 jiyue operation list --state running 看停在哪一步、为什么；多半是宿主机没有回应，它回来后会自己接着做。",
            },
            Alert {
                name: "JiyueBuildsFail",
                severity: Severity::Warning,
                expression: format!(
                    "{} * 3600 >= 3",
                    pace(&series::REQUESTS, &[("state", Want::Is("failed"))], &[], "1h")
                ),
                lasting: "0s",
                summary: "一小时内有 {{ $value | humanize }} 个申请建设失败",
                runbook: "运行 jiyue operation list --state failed 看原因；看「申请与办理」板上是哪一步失败。",
            },
        ],
    }
}

pub fn measuring() -> Group {
    let judged = total(&series::VERDICT_MACHINES, &[], &[]);
    let idle = total(&series::VERDICT_MACHINES, &[("verdict", Want::Is("idle"))], &[]);
    let failing = pace(&series::USAGE_SOURCE_ROUNDS, &[("outcome", Want::Not("done"))], &["source"], "15m");
    let fine = pace(&series::USAGE_SOURCE_ROUNDS, &[("outcome", Want::Is("done"))], &["source"], "15m");
    Group {
        name: "jiyue-usage",
        records: vec![Record { name: IDLE, expression: format!("{idle} / ({judged} > 0)"), labels: &[] }],
        alerts: vec![
            Alert {
                name: "JiyueCollectorGap",
                severity: Severity::Warning,
                expression: format!("max ({}) < 0.95", of(&series::COVERAGE, &[])),
                lasting: "15m",
                summary: "只有 {{ $value | humanizePercentage }} 的虚拟机在采集用量",
                runbook: "运行 jiyue usage list 看缺哪些；日志里找 usage. 开头的警告。采不到的日子判不了闲置，越早补越好。",
            },
            Alert {
                name: "JiyueUsageSourceFailing",
                severity: Severity::Warning,
                expression: format!("({failing} > 0) unless ({fine} > 0)"),
                lasting: "15m",
                summary: "用量来源 {{ $labels.source }} 一刻钟没有问到数据",
                runbook: "运行 jiyue usage sources 看失败的原因：地址、令牌、证书，或那边的 Prometheus 停了。",
            },
            Alert {
                name: "JiyueIdleShare",
                severity: Severity::Warning,
                expression: format!("{IDLE} > 0.2"),
                lasting: "1h",
                summary: "判为闲置的虚拟机占 {{ $value | humanizePercentage }}",
                runbook: "运行 jiyue report idle，按单位发出去征求意见；单位认可的可以收回。",
            },
        ],
    }
}
