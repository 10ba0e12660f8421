//! The room board as a workbook and as a text table.

use super::{
    PaperError,
    csv::{BOM, guarded},
    workbook::{Cell, Page, begin, count, heading, maybe},
};
use crate::{
    migration::{
        progress::{RoomProgress, RoomTotals, SystemTotals},
        room::Standing,
    },
    report::rooms::RoomsReport,
};
use csv::{QuoteStyle, Terminator, WriterBuilder};
use rust_xlsxwriter::{Worksheet, XlsxError};

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Pending => "待关停",
        Standing::Exempt => "保留",
        Standing::Gone => "已关停",
    }
}

/// A summary, the rooms, how it went, and what the register wants.
pub fn workbook(report: &RoomsReport) -> Result<Vec<u8>, PaperError> {
    let title = format!("{}机房关停进展", report.district);
    let mut workbook = begin(&title, &report.authority, report.as_of)?;
    let about = |what: &str| heading(&title, what, report.department.as_ref(), report.as_of);
    workbook.push_worksheet(summary(report, &about("汇总"))?);
    workbook.push_worksheet(targets(report, &about("上云目标"))?);
    workbook.push_worksheet(board(report, &about("各机房"))?);
    workbook.push_worksheet(burn_down(report, &about("逐日剩余"))?);
    workbook.push_worksheet(overdue(report, &about("台账逾期"))?);
    Ok(workbook.save_to_buffer()?)
}

fn sums(rooms: &RoomTotals, systems: &SystemTotals) -> Vec<Cell<'static>> {
    let numbers = [
        rooms.surveyed,
        rooms.closed,
        rooms.exempt,
        rooms.pending,
        rooms.late,
        systems.surveyed,
        systems.in_cloud,
        systems.discarded,
        systems.exempt,
        systems.pending,
        systems.denominator,
    ];
    let mut cells: Vec<_> = numbers.into_iter().map(count).collect();
    cells.push(maybe(systems.percent, Cell::Number));
    cells
}

fn summary(report: &RoomsReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [
        ("建设单位", 24.0, false),
        ("机房", 8.0, true),
        ("已关停", 8.0, true),
        ("保留", 8.0, true),
        ("待关停", 8.0, true),
        ("逾期", 8.0, true),
        ("系统", 8.0, true),
        ("已上云", 8.0, true),
        ("已停用", 8.0, true),
        ("豁免", 8.0, true),
        ("待迁移", 8.0, true),
        ("应上云（分母）", 10.0, true),
        ("上云率（%）", 10.0, false),
    ];
    let mut page = Page::new("汇总", title, &columns)?;
    for part in &report.progress.departments {
        let mut cells = vec![Cell::Text(&part.department.name)];
        cells.extend(sums(&part.rooms, &part.systems));
        page.row(&cells)?;
    }
    page.close()
}

fn targets(report: &RoomsReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [
        ("目标", 40.0, false),
        ("依据", 36.0, false),
        ("应达到（%）", 11.0, false),
        ("期限", 12.0, false),
        ("已达到（%）", 11.0, false),
        ("结果", 10.0, false),
    ];
    let mut page = Page::new("上云目标", title, &columns)?;
    for target in &report.targets {
        page.row(&[
            Cell::Text(&target.text),
            Cell::Text(&target.basis),
            count(target.percent.into()),
            Cell::Day(target.by),
            maybe(target.reached_percent, Cell::Number),
            Cell::Text(if target.met {
                "达到"
            } else if target.missed {
                "逾期未达到"
            } else {
                "未到期"
            }),
        ])?;
    }
    page.close()
}

fn board(report: &RoomsReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [
        ("机房", 24.0, false),
        ("建设单位", 24.0, false),
        ("类型", 12.0, false),
        ("状态", 9.0, false),
        ("期限", 12.0, false),
        ("逾期天数", 9.0, false),
        ("关停于", 12.0, false),
        ("系统", 8.0, true),
        ("待迁出", 8.0, true),
        ("服务器", 8.0, true),
        ("未下电", 8.0, true),
        ("挡住它的系统", 10.0, false),
        ("预计最早", 12.0, false),
        ("预计", 12.0, false),
        ("预计最晚", 12.0, false),
        ("会逾期", 8.0, false),
        ("还差什么", 60.0, false),
    ];
    let mut page = Page::new("各机房", title, &columns)?;
    for room in &report.progress.board {
        let forecast = room.forecast;
        page.row(&[
            Cell::Text(&room.name),
            Cell::Text(&room.department.name),
            Cell::Text(room.kind.label()),
            Cell::Text(standing(room.standing)),
            maybe(room.due_on, Cell::Day),
            maybe(room.late_days, count),
            maybe(room.closed_on, Cell::Day),
            count(room.systems),
            count(room.systems_left),
            count(room.servers),
            count(room.servers_on),
            count(room.blockers),
            maybe(forecast.map(|forecast| forecast.early), Cell::Day),
            maybe(forecast.map(|forecast| forecast.likely), Cell::Day),
            maybe(forecast.and_then(|forecast| forecast.late), Cell::Day),
            Cell::Text(if room.will_be_late { "是" } else { "" }),
            Cell::Owned(room.missing.join("；")),
        ])?;
    }
    page.close()
}

fn burn_down(report: &RoomsReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [("日期", 12.0, false), ("待关停机房", 12.0, false), ("待迁移系统", 12.0, false)];
    let mut page = Page::new("逐日剩余", title, &columns)?;
    for burn in &report.progress.burn_down {
        page.row(&[Cell::Day(burn.day), count(burn.rooms_pending), count(burn.systems_pending)])?;
    }
    page.close()
}

fn overdue(report: &RoomsReport, title: &str) -> Result<Worksheet, XlsxError> {
    let columns = [
        ("期限", 12.0, false),
        ("工作任务", 60.0, false),
        ("责任部门", 30.0, false),
        ("时序进度", 18.0, false),
        ("依据", 40.0, false),
        ("同一文件的另一日期", 40.0, false),
    ];
    let mut page = Page::new("台账逾期", title, &columns)?;
    for row in &report.overdue {
        let also = row.also.iter().map(|also| format!("{}：{}", also.clause, also.on));
        page.row(&[
            Cell::Day(row.due_on),
            Cell::Text(&row.task),
            Cell::Text(&row.owner),
            Cell::Text(&row.due),
            Cell::Text(&row.basis),
            Cell::Owned(also.collect::<Vec<_>>().join("；")),
        ])?;
    }
    page.close()
}

const HEADS: [&str; 17] = [
    "机房",
    "建设单位",
    "类型",
    "状态",
    "期限",
    "逾期天数",
    "关停于",
    "系统",
    "待迁出",
    "服务器",
    "未下电",
    "挡住它的系统",
    "预计最早",
    "预计",
    "预计最晚",
    "会逾期",
    "还差什么",
];

/// The rooms, one a line.
pub fn csv_of(report: &RoomsReport) -> Result<Vec<u8>, PaperError> {
    let mut out = BOM.as_bytes().to_vec();
    {
        let mut writer =
            WriterBuilder::new().quote_style(QuoteStyle::NonNumeric).terminator(Terminator::CRLF).from_writer(&mut out);
        writer.write_record(HEADS)?;
        for room in &report.progress.board {
            writer.write_record(line(room))?;
        }
        writer.flush().map_err(csv::Error::from)?;
    }
    Ok(out)
}

fn line(room: &RoomProgress) -> Vec<String> {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    vec![
        guarded(&room.name),
        guarded(&room.department.name),
        room.kind.label().to_owned(),
        standing(room.standing).to_owned(),
        text(room.due_on),
        text(room.late_days),
        text(room.closed_on),
        room.systems.to_string(),
        room.systems_left.to_string(),
        room.servers.to_string(),
        room.servers_on.to_string(),
        room.blockers.to_string(),
        text(room.forecast.map(|forecast| forecast.early)),
        text(room.forecast.map(|forecast| forecast.likely)),
        text(room.forecast.and_then(|forecast| forecast.late)),
        if room.will_be_late { "是" } else { "" }.to_owned(),
        guarded(&room.missing.join("；")),
    ]
}
