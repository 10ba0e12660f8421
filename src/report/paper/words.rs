//! What figures and reasons are called on paper.

use crate::{
    report::idle::why,
    usage::{
        judging::Evidence,
        verdict::{Eligibility, Held},
    },
};

/// A figure's name as people read it; one that has no such name keeps its code.
pub fn figure(code: &str) -> &str {
    match code {
        "coverage" => "覆盖率",
        "history_coverage" => "此前的覆盖率",
        "last_day_coverage" => "当天的覆盖率",
        "cpu_coverage" => "CPU 覆盖率",
        "received_coverage" => "接收覆盖率",
        "sent_coverage" => "发送覆盖率",
        "disk_coverage" => "磁盘覆盖率",
        "signals" => "可用指标数",
        "cpu_steady" => "CPU 中位数",
        "received_steady" => "接收中位数",
        "sent_steady" => "发送中位数",
        "disk_steady" => "磁盘中位数",
        "cpu_daily" => "每天 CPU（扣除自身开销）",
        "received_daily" => "每天接收（扣除自身开销）",
        "days_of_work" => "工作的天数",
        "login_days" => "有人登录的天数",
        "login_share" => "有人登录的时间",
        "inbound" => "外来连接",
        "cpu_working_hours" => "CPU 随上班时间起落",
        "received_working_hours" => "接收随上班时间起落",
        "sent_working_hours" => "发送随上班时间起落",
        "replica_received" => "复制流入",
        "quiet_days" => "安静的天数",
        "cpu_peak" => "CPU 最高",
        "daily_traffic_most" => "一天流量最多",
        "cpu_below" => "CPU 低于阈值的时间",
        "memory_below" => "内存低于阈值的时间",
        "sent_below" => "发送低于阈值的时间",
        "received_below" => "接收低于阈值的时间",
        "cpu_maxima_percentile" => "CPU 高峰的百分位",
        "cpu_half_hour_most" => "CPU 半小时平均最高",
        "sent_of_link" => "发送占带宽",
        other => other,
    }
}

pub fn unit(code: &str) -> &str {
    match code {
        "percent" => "%",
        "share" => "份额",
        "vcpus" => "核",
        "bytes_per_second" => "字节/秒",
        "bytes" => "字节",
        "days" => "天",
        "signals" => "项",
        "per_second" => "个/秒",
        other => other,
    }
}

pub const fn held(held: Held) -> &'static str {
    match held {
        Held::Certain => "满足",
        Held::Possible => "在阈值附近",
        Held::Not => "不满足",
        Held::Unknown => "没有数据",
    }
}

/// Why a machine may not be proposed for reclaim; empty where it may.
pub fn hindrance(eligibility: &Eligibility) -> String {
    eligibility.reasons.iter().map(|reason| reason.sentence.as_str()).collect::<Vec<_>>().join("；")
}

pub fn advice(evidence: &Evidence) -> String {
    evidence.advice.iter().map(|advice| advice.sentence.as_str()).collect::<Vec<_>>().join("；")
}

/// Why the verdict is what it is.
pub fn reasons(evidence: &Evidence) -> String {
    why(evidence)
}
