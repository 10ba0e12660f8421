//! The list of machines as a text table. A program that opens it must take no cell for a formula.

use super::{PaperError, words};
use crate::{
    report::idle::{Age, IdleReport},
    units::GIB,
    usage::{judging::Evidence, summary::Distribution},
};
use csv::{QuoteStyle, Terminator, WriterBuilder};

/// What spreadsheet programs know UTF-8 by.
pub(super) const BOM: &str = "\u{feff}";

const HEADS: [&str; 24] = [
    "建设单位",
    "系统",
    "虚拟机",
    "编号",
    "判定",
    "闲置起",
    "闲置天数",
    "档次",
    "可回收",
    "不可回收的原因",
    "CPU（核）",
    "内存（GiB）",
    "磁盘（GiB）",
    "覆盖率（%）",
    "CPU P95（%）",
    "内存 P95（%）",
    "接收（字节）",
    "发送（字节）",
    "原因",
    "建议",
    "规则集",
    "规则版本",
    "观察期起",
    "观察期止",
];

/// The text with an apostrophe before whatever a program may take for the beginning of a formula: where its first character
/// that shows is one of theirs, full-width forms among them, and so again behind every character at which a program that was
/// told another separator would begin a new cell.
pub fn guarded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    // Where the cell began that a program may be in, until something of it shows.
    let mut begins = Some(0);
    for c in text.chars() {
        let hidden = c.is_whitespace() || c.is_control() || crate::text::is_hidden(c);
        if let Some(at) = begins
            && !hidden
        {
            if is_formula(c) {
                out.insert(at, '\'');
            }
            begins = None;
        }
        out.push(c);
        if matches!(c, ';' | ',' | '|' | '"' | '\t' | '\r' | '\n') {
            begins = Some(out.len());
        }
    }
    if text.starts_with(['\t', '\r', '\n']) && !out.starts_with('\'') {
        out.insert(0, '\'');
    }
    out
}

const fn is_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '−' | '﹦' | '﹢' | '﹣' | '﹫')
}

/// Idle machines, unknown ones and exempt ones, one a line, with a mark of UTF-8 before them. Every text is in quotes.
pub fn idle(report: &IdleReport) -> Result<Vec<u8>, PaperError> {
    let mut out = BOM.as_bytes().to_vec();
    {
        let mut writer =
            WriterBuilder::new().quote_style(QuoteStyle::NonNumeric).terminator(Terminator::CRLF).from_writer(&mut out);
        writer.write_record(HEADS)?;
        for evidence in report.idle.iter().chain(&report.unknown).chain(&report.exempt) {
            writer.write_record(row(evidence))?;
        }
        writer.flush().map_err(csv::Error::from)?;
    }
    Ok(out)
}

fn row(evidence: &Evidence) -> Vec<String> {
    let (subject, judgement) = (&evidence.subject, &evidence.judgement);
    let idle = evidence.idle;
    let number = |value: Option<i64>| value.map_or_else(String::new, |value| value.to_string());
    let p95 = |distribution: Option<Distribution>| distribution.map_or_else(String::new, |d| d.p95.to_string());
    vec![
        guarded(&subject.department.name),
        guarded(subject.system.as_deref().unwrap_or_default()),
        guarded(&subject.name),
        guarded(&subject.id),
        judgement.verdict.chinese().to_owned(),
        idle.map_or_else(String::new, |idle| idle.since.to_string()),
        number(idle.map(|idle| idle.days)),
        idle.map_or_else(String::new, |idle| Age::of(idle.days).chinese().to_owned()),
        if judgement.eligibility.eligible { "是" } else { "否" }.to_owned(),
        guarded(&words::hindrance(&judgement.eligibility)),
        number(subject.vcpu),
        gib(subject.memory_bytes),
        gib(subject.disk_bytes),
        evidence.usage.coverage_percent.to_string(),
        p95(evidence.usage.cpu_percent),
        p95(evidence.usage.memory_percent),
        evidence.usage.received_bytes.to_string(),
        evidence.usage.sent_bytes.to_string(),
        guarded(&words::reasons(evidence)),
        guarded(&words::advice(evidence)),
        guarded(&judgement.rule_set),
        judgement.rule_version.to_string(),
        judgement.window.span.from.to_string(),
        judgement.window.span.to.to_string(),
    ]
}

fn gib(bytes: Option<i64>) -> String {
    #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
    bytes.map_or_else(String::new, |bytes| (bytes as f64 / GIB as f64).to_string())
}
