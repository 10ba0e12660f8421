//! The capacity report as a workbook and as a text table.

use super::{
    PaperError,
    csv::{BOM, guarded},
    workbook::{Cell, Page, begin, count, gib, heading, maybe},
};
use crate::{
    report::capacity::{Amount, CapacityReport, Outlook, Trend},
    seeing::words::{self, Words},
    time,
    units::GIB,
};
use csv::{QuoteStyle, Terminator, WriterBuilder};
use rust_xlsxwriter::{Worksheet, XlsxError};

/// What people read for a word; the word itself where there is none.
fn said<'a>(words: Words, word: &'a str) -> &'a str {
    words.iter().find(|(known, _)| *known == word).map_or(word, |(_, said)| said)
}

fn zones(all: &[String]) -> String {
    all.iter().map(|zone| said(words::ZONES, zone)).collect::<Vec<_>>().join("、")
}

/// In words: days, or why there are none.
fn lasts(outlook: Outlook) -> String {
    match (outlook.trend, outlook.days_left) {
        (Trend::Unknown, _) => "不明".to_owned(),
        (Trend::Steady, _) => "没有增长".to_owned(),
        (Trend::Growing, Some(days)) => days.to_string(),
        (Trend::Growing, None) => "十年以上".to_owned(),
    }
}

/// Zones, hosts, task books near their limits.
pub fn workbook(report: &CapacityReport) -> Result<Vec<u8>, PaperError> {
    let title = format!("{}容量报告", report.district);
    let as_of = time::civil(report.changed_at);
    let mut workbook = begin(&title, &report.authority, as_of)?;
    let about = |what: &str| heading(&title, what, None, as_of);
    workbook.push_worksheet(zone_sheet(report, &about("网络区域"))?);
    workbook.push_worksheet(host_sheet(report, &about("宿主机"))?);
    workbook.push_worksheet(book_sheet(report, &about("将满的任务书"))?);
    Ok(workbook.save_to_buffer()?)
}

fn amounts(amount: Amount) -> [Cell<'static>; 3] {
    [count(amount.vcpu), gib(amount.memory_bytes), gib(amount.disk_bytes)]
}

fn zone_sheet(report: &CapacityReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [
        ("网络区域", 12.0, false),
        ("资源", 14.0, false),
        ("实有", 12.0, false),
        ("可用于落位", 12.0, false),
        ("申请", 12.0, false),
        ("批准", 12.0, false),
        ("分配", 12.0, false),
        ("实测（当天至今平均）", 12.0, false),
        ("每天增长", 12.0, false),
        ("照此还能用几天", 14.0, false),
    ];
    let mut page = Page::new("网络区域", title, &columns)?;
    for zone in &report.zones {
        let measured = zone.measured;
        let resources = ["CPU（核）", "内存（GiB）", "磁盘（GiB）"].into_iter();
        let stages = [zone.physical, zone.free, zone.requested, zone.approved, zone.allocated].map(amounts);
        let used = [
            maybe(measured, |measured| Cell::Number(measured.vcpu)),
            maybe(measured, |measured| gib(measured.memory_bytes)),
            Cell::Empty,
        ];
        let outlooks = [(zone.outlook.vcpu, 1), (zone.outlook.memory, GIB), (zone.outlook.disk, GIB)];
        for (n, ((resource, used), (outlook, unit))) in resources.zip(used).zip(outlooks).enumerate() {
            let mut cells = vec![Cell::Text(said(words::ZONES, &zone.zone)), Cell::Text(resource)];
            cells.extend(stages.iter().filter_map(|stage| stage.get(n).cloned()));
            #[allow(clippy::cast_precision_loss, reason = "a unit")]
            let pace = maybe(outlook.per_day, |per_day| Cell::Number(per_day / unit as f64));
            cells.extend([used, pace, Cell::Owned(lasts(outlook))]);
            page.row(&cells)?;
        }
    }
    page.close()
}

fn host_sheet(report: &CapacityReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [
        ("宿主机", 20.0, false),
        ("状态", 10.0, false),
        ("网络区域", 20.0, false),
        ("运行的虚拟机", 9.0, true),
        ("实有 CPU（核）", 10.0, true),
        ("实有内存（GiB）", 10.0, true),
        ("实有磁盘（GiB）", 10.0, true),
        ("可用 CPU（核）", 10.0, true),
        ("可用内存（GiB）", 10.0, true),
        ("可用磁盘（GiB）", 10.0, true),
        ("分配 CPU（核）", 10.0, true),
        ("分配内存（GiB）", 10.0, true),
        ("分配磁盘（GiB）", 10.0, true),
        ("实测 CPU（核）", 10.0, true),
        ("实测内存（GiB）", 10.0, true),
        ("最满的一项（%）", 10.0, false),
    ];
    let mut page = Page::new("宿主机", title, &columns)?;
    for host in &report.hosts {
        let mut cells = vec![
            Cell::Text(&host.name),
            Cell::Text(said(words::HOST_STATES, &host.state)),
            Cell::Owned(zones(&host.zones)),
            count(host.machines),
        ];
        for amount in [host.physical, host.free, host.allocated] {
            for cell in amounts(amount) {
                cells.push(cell);
            }
        }
        cells.extend([
            maybe(host.measured, |measured| Cell::Number(measured.vcpu)),
            maybe(host.measured, |measured| gib(measured.memory_bytes)),
            Cell::Number(host.used_percent),
        ]);
        page.row(&cells)?;
    }
    page.close()
}

/// What people call a task book's indicator.
pub fn indicator(word: &str) -> &'static str {
    match word {
        "machines" => "虚拟机（台）",
        "vcpu" => "CPU（核）",
        "memory" => "内存（GiB）",
        _ => "磁盘（GiB）",
    }
}

fn book_sheet(report: &CapacityReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [
        ("任务书", 24.0, false),
        ("建设单位", 24.0, false),
        ("指标", 14.0, false),
        ("已用", 10.0, false),
        ("上限", 10.0, false),
        ("已用（%）", 10.0, false),
    ];
    let mut page = Page::new("将满的任务书", title, &columns)?;
    for near in &report.task_books {
        let amount = |n: i64| if matches!(near.indicator, "memory" | "disk") { gib(n) } else { count(n) };
        page.row(&[
            Cell::Text(&near.task_book),
            Cell::Text(&near.department),
            Cell::Text(indicator(near.indicator)),
            amount(near.used),
            amount(near.limit),
            Cell::Number(near.percent),
        ])?;
    }
    page.close()
}

const HEADS: [&str; 16] = [
    "宿主机",
    "状态",
    "网络区域",
    "运行的虚拟机",
    "实有 CPU（核）",
    "实有内存（GiB）",
    "实有磁盘（GiB）",
    "可用 CPU（核）",
    "可用内存（GiB）",
    "可用磁盘（GiB）",
    "分配 CPU（核）",
    "分配内存（GiB）",
    "分配磁盘（GiB）",
    "实测 CPU（核）",
    "实测内存（GiB）",
    "最满的一项（%）",
];

/// The hosts, one a line.
pub fn csv_of(report: &CapacityReport) -> Result<Vec<u8>, PaperError> {
    #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
    let gib = |bytes: i64| (bytes as f64 / GIB as f64).to_string();
    let amounts = |amount: Amount| [amount.vcpu.to_string(), gib(amount.memory_bytes), gib(amount.disk_bytes)];
    let mut out = BOM.as_bytes().to_vec();
    {
        let mut writer =
            WriterBuilder::new().quote_style(QuoteStyle::NonNumeric).terminator(Terminator::CRLF).from_writer(&mut out);
        writer.write_record(HEADS)?;
        for host in &report.hosts {
            let mut line = vec![
                guarded(&host.name),
                said(words::HOST_STATES, &host.state).to_owned(),
                zones(&host.zones),
                host.machines.to_string(),
            ];
            line.extend([host.physical, host.free, host.allocated].into_iter().flat_map(amounts));
            line.extend([
                host.measured.map_or_else(String::new, |measured| measured.vcpu.to_string()),
                host.measured.map_or_else(String::new, |measured| gib(measured.memory_bytes)),
                host.used_percent.to_string(),
            ]);
            writer.write_record(line)?;
        }
        writer.flush().map_err(csv::Error::from)?;
    }
    Ok(out)
}
