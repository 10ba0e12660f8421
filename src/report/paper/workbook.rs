//! The report as a workbook: every cell with its type, so that no text becomes a formula, and every sum a formula with its
//! value beside it, so that whoever opens it sees where a number comes from.

use super::{PaperError, words};
use crate::{
    identity::Department,
    report::idle::{Age, Group, Holding, IdleReport, Totals},
    time,
    units::GIB,
    usage::judging::Evidence,
};
use jiff::civil::Date;
use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Formula, Workbook, Worksheet, XlsxError,
    utility::row_col_to_cell,
};

/// A cell's text ends there; a workbook takes no longer one.
const LONGEST: usize = 32_000;
/// A sheet ends there: the format's limit less what heads and sums take.
const MOST_ROWS: u32 = 1_048_000;
/// Dates of a workbook begin with it; what was before is text.
const FIRST_YEAR: i16 = 1900;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Owned(String),
    Number(f64),
    Day(Date),
    Empty,
}

#[allow(clippy::cast_precision_loss, reason = "counts and sizes are below 2^53")]
pub(super) fn count(number: i64) -> Cell<'static> {
    Cell::Number(number as f64)
}

#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
pub(super) fn gib(bytes: i64) -> Cell<'static> {
    Cell::Number(bytes as f64 / GIB as f64)
}

pub(super) fn maybe<T>(value: Option<T>, cell: impl Fn(T) -> Cell<'static>) -> Cell<'static> {
    value.map_or(Cell::Empty, cell)
}

struct Looks {
    title: Format,
    head: Format,
    text: Format,
    day: Format,
    number: Format,
    sum: Format,
}

/// A sheet that is written from the top down.
pub(super) struct Page {
    sheet: Worksheet,
    looks: Looks,
    row: u32,
    columns: u16,
    /// Where the table begins, and the sums of its columns of numbers.
    begins: u32,
    sums: Vec<Option<f64>>,
}

impl Page {
    /// `columns` are heads with widths, and whether the column is summed.
    pub(super) fn new(name: &str, title: &str, columns: &[(&str, f64, bool)]) -> Result<Self, XlsxError> {
        let cell = || Format::new().set_border(FormatBorder::Thin).set_align(FormatAlign::VerticalCenter);
        let looks = Looks {
            title: Format::new().set_bold().set_font_size(14),
            head: cell().set_bold().set_text_wrap().set_align(FormatAlign::Center).set_background_color("#DDEBF7"),
            text: cell().set_text_wrap(),
            day: cell().set_num_format("yyyy-mm-dd"),
            number: cell().set_num_format("#,##0.###"),
            sum: cell().set_bold().set_num_format("#,##0.###"),
        };
        let mut sheet = Worksheet::new();
        sheet.set_name(name)?;
        sheet.set_paper_size(9).set_landscape().set_print_fit_to_pages(1, 0);
        sheet.write_string_with_format(0, 0, title, &looks.title)?;
        for (column, (head, width, _)) in (0..).zip(columns) {
            sheet.set_column_width(column, *width)?;
            sheet.write_string_with_format(1, column, *head, &looks.head)?;
        }
        // Title and heads stay in sight, and are printed on every page.
        sheet.set_freeze_panes(2, 0)?;
        sheet.set_repeat_rows(0, 1)?;
        let width = u16::try_from(columns.len()).unwrap_or(u16::MAX);
        let sums = columns.iter().map(|(_, _, summed)| summed.then_some(0.0)).collect();
        Ok(Self { sheet, looks, row: 2, columns: width, begins: 2, sums })
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), XlsxError> {
        if self.row >= MOST_ROWS {
            return Ok(());
        }
        for ((column, cell), sum) in (0..).zip(cells).zip(&mut self.sums) {
            let (sheet, looks, row) = (&mut self.sheet, &self.looks, self.row);
            match cell {
                Cell::Text(text) => sheet.write_string_with_format(row, column, cut(text), &looks.text)?,
                Cell::Owned(text) => sheet.write_string_with_format(row, column, cut(text), &looks.text)?,
                Cell::Number(number) => {
                    if let Some(sum) = sum {
                        *sum += number;
                    }
                    sheet.write_number_with_format(row, column, *number, &looks.number)?
                }
                Cell::Day(day) if day.year() >= FIRST_YEAR => {
                    sheet.write_datetime_with_format(row, column, day, &looks.day)?
                }
                Cell::Day(day) => sheet.write_string_with_format(row, column, day.to_string(), &looks.text)?,
                Cell::Empty => sheet.write_blank(row, column, &looks.text)?,
            };
        }
        self.row += 1;
        Ok(())
    }

    /// Closes the table: the sums of its columns, and a filter over it.
    pub(super) fn close(mut self) -> Result<Worksheet, XlsxError> {
        let last = self.row;
        if self.row >= MOST_ROWS {
            self.sheet.write_string_with_format(
                last,
                0,
                "行数超过工作表上限，以下略；全部内容见 JSON",
                &self.looks.text,
            )?;
            self.row += 1;
        }
        if self.sums.iter().any(Option::is_some) {
            let row = self.row;
            self.sheet.write_string_with_format(row, 0, "合计", &self.looks.sum)?;
            for (column, sum) in (1..self.columns).zip(self.sums.iter().skip(1)) {
                let Some(sum) = sum else {
                    self.sheet.write_blank(row, column, &self.looks.sum)?;
                    continue;
                };
                let formula = if last > self.begins {
                    let (from, to) = (row_col_to_cell(self.begins, column), row_col_to_cell(last - 1, column));
                    format!("=SUM({from}:{to})")
                } else {
                    "=SUM(0)".to_owned()
                };
                let formula = Formula::new(formula).set_result(sum.to_string());
                self.sheet.write_formula_with_format(row, column, formula, &self.looks.sum)?;
            }
        }
        if last > self.begins {
            self.sheet.autofilter(self.begins - 1, 0, last - 1, self.columns - 1)?;
        }
        Ok(self.sheet)
    }
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(LONGEST).map_or(text, |(at, _)| &text[..at])
}

/// A workbook without a sheet yet. It was made at the end of the day that it is of, and not when it was: the same report is
/// the same file.
pub(super) fn begin(title: &str, authority: &str, as_of: Date) -> Result<Workbook, XlsxError> {
    let made = if as_of.year() < FIRST_YEAR {
        ExcelDateTime::from_ymd(FIRST_YEAR.unsigned_abs(), 1, 1)?
    } else {
        ExcelDateTime::from_timestamp(time::day_begins(as_of) + 86_400)?
    };
    let mut workbook = Workbook::new();
    workbook.set_properties(&DocProperties::new().set_title(title).set_author(authority).set_creation_datetime(&made));
    Ok(workbook)
}

/// What stands over a sheet: of which report it is, what it tells, of whom, and as of which day.
pub(super) fn heading(title: &str, what: &str, department: Option<&Department>, as_of: Date) -> String {
    let of = department.map_or("全部建设单位", |department| &department.name);
    format!("{title}：{what}（{of}，截至 {as_of}）")
}

/// The workbook: a summary, the idle machines, their evidence, the unknown ones, and advice.
pub fn idle(report: &IdleReport) -> Result<Vec<u8>, PaperError> {
    let title = format!("{}闲置资源报告", report.district);
    let mut workbook = begin(&title, &report.authority, report.as_of)?;
    let about = |what: &str| heading(&title, what, report.department.as_ref(), report.as_of);
    workbook.push_worksheet(summary(report, &about("汇总"))?);
    workbook.push_worksheet(machines(report, &about("闲置虚拟机"))?);
    workbook.push_worksheet(evidence(report, &about("判定证据"))?);
    workbook.push_worksheet(unknown(report, &about("无法判断与豁免"))?);
    workbook.push_worksheet(borderline(report, &about("处在阈值附近"))?);
    workbook.push_worksheet(advice(report, &about("规格建议"))?);
    Ok(workbook.save_to_buffer()?)
}

fn summary(report: &IdleReport, title: &str) -> Result<Worksheet, XlsxError> {
    let mut columns =
        vec![("建设单位", 24.0, false), ("系统", 28.0, false), ("虚拟机", 9.0, true), ("在用", 8.0, true)];
    columns.extend([("低使用", 8.0, true), ("闲置", 8.0, true), ("无法判断", 9.0, true), ("豁免", 8.0, true)]);
    columns.extend(Age::ALL.map(|age| (age.chinese(), 11.0, true)));
    columns.extend([("可释放 CPU（核）", 11.0, true), ("可释放内存（GiB）", 12.0, true)]);
    columns.extend([("可释放磁盘（GiB）", 12.0, true), ("其中可回收（台）", 10.0, true)]);
    columns.extend([
        ("可回收 CPU（核）", 11.0, true),
        ("可回收内存（GiB）", 12.0, true),
        ("可回收磁盘（GiB）", 12.0, true),
    ]);
    let mut page = Page::new("汇总", title, &columns)?;
    for Group { department, system, totals } in &report.groups {
        let mut cells = vec![Cell::Text(&department.name), Cell::Text(system.as_deref().unwrap_or("（没有登记系统）"))];
        cells.extend(numbers(totals));
        page.row(&cells)?;
    }
    page.close()
}

fn numbers(totals: &Totals) -> Vec<Cell<'static>> {
    let Totals { machines, busy, low, unknown, exempt, idle, eligible, ages } = totals;
    let mut cells: Vec<Cell<'static>> =
        [*machines, *busy, *low, idle.machines, *unknown, *exempt].into_iter().map(count).collect();
    cells.extend(ages.iter().map(|aged| count(aged.holding.machines)));
    let size = |holding: &Holding| [count(holding.vcpu), gib(holding.memory_bytes), gib(holding.disk_bytes)];
    cells.extend(size(idle));
    cells.push(count(eligible.machines));
    cells.extend(size(eligible));
    cells
}

/// Whose a row is.
fn whose(evidence: &Evidence) -> [Cell<'_>; 4] {
    let subject = &evidence.subject;
    [
        Cell::Text(&subject.department.name),
        subject.system.as_deref().map_or(Cell::Empty, Cell::Text),
        Cell::Text(&subject.name),
        Cell::Text(&subject.id),
    ]
}

const WHOSE: [(&str, f64, bool); 4] =
    [("建设单位", 24.0, false), ("系统", 28.0, false), ("虚拟机", 22.0, false), ("编号", 38.0, false)];

fn machines(report: &IdleReport, title: &str) -> Result<Worksheet, XlsxError> {
    let mut columns = WHOSE.to_vec();
    columns.extend([("闲置起", 12.0, false), ("闲置天数", 9.0, false), ("档次", 12.0, false), ("可回收", 8.0, false)]);
    columns.extend([("不可回收的原因", 36.0, false), ("CPU（核）", 9.0, true), ("内存（GiB）", 10.0, true)]);
    columns.extend([("磁盘（GiB）", 10.0, true), ("覆盖率（%）", 10.0, false), ("CPU P95（%）", 10.0, false)]);
    columns.extend([("接收（字节）", 16.0, false), ("发送（字节）", 16.0, false), ("原因", 48.0, false)]);
    let mut page = Page::new("闲置清单", title, &columns)?;
    for evidence in &report.idle {
        let (subject, judgement, usage) = (&evidence.subject, &evidence.judgement, &evidence.usage);
        let eligible = judgement.eligibility.eligible;
        let mut cells = whose(evidence).to_vec();
        cells.extend([
            maybe(evidence.idle, |idle| Cell::Day(idle.since)),
            maybe(evidence.idle, |idle| count(idle.days)),
            maybe(evidence.idle, |idle| Cell::Text(Age::of(idle.days).chinese())),
            Cell::Text(if eligible { "是" } else { "否" }),
            Cell::Owned(words::hindrance(&judgement.eligibility)),
            maybe(subject.vcpu, count),
            maybe(subject.memory_bytes, gib),
            maybe(subject.disk_bytes, gib),
            Cell::Number(usage.coverage_percent),
            maybe(usage.cpu_percent, |cpu| Cell::Number(cpu.p95)),
            bytes(usage.received_bytes),
            bytes(usage.sent_bytes),
            Cell::Owned(words::reasons(evidence)),
        ]);
        page.row(&cells)?;
    }
    page.close()
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
const fn bytes(bytes: u64) -> Cell<'static> {
    Cell::Number(bytes as f64)
}

fn evidence(report: &IdleReport, title: &str) -> Result<Worksheet, XlsxError> {
    let mut columns = WHOSE.to_vec();
    columns.extend([("判定", 10.0, false), ("观察期起", 12.0, false), ("观察期止", 12.0, false)]);
    columns.extend([("覆盖率（%）", 10.0, false), ("规则集", 12.0, false), ("规则版本", 8.0, false)]);
    columns.extend([("指标", 26.0, false), ("单位", 10.0, false), ("不低于", 14.0, false), ("不高于", 14.0, false)]);
    columns.extend([("阈值", 14.0, false), ("要求", 10.0, false), ("结论", 12.0, false)]);
    let mut page = Page::new("证据", title, &columns)?;
    for evidence in report.idle.iter().chain(&report.unknown).chain(&report.exempt) {
        let judgement = &evidence.judgement;
        let mut own = whose(evidence).to_vec();
        own.extend([
            Cell::Text(judgement.verdict.chinese()),
            Cell::Day(judgement.window.span.from),
            Cell::Day(judgement.window.span.to),
            Cell::Number(evidence.usage.coverage_percent),
            Cell::Text(&judgement.rule_set),
            count(i64::from(judgement.rule_version)),
        ]);
        for figure in &judgement.figures {
            let mut cells = own.clone();
            cells.extend([
                Cell::Text(words::figure(&figure.name)),
                Cell::Text(words::unit(&figure.unit)),
                maybe(figure.low, Cell::Number),
                maybe(figure.high, Cell::Number),
                Cell::Number(figure.threshold),
                Cell::Text(if figure.at_least { "不低于" } else { "不高于" }),
                Cell::Text(words::held(figure.held)),
            ]);
            page.row(&cells)?;
        }
        for sentence in &evidence.assumed {
            let mut cells = own.clone();
            cells.push(Cell::Text("假设"));
            cells.extend([Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty]);
            cells.push(Cell::Text(sentence));
            page.row(&cells)?;
        }
    }
    page.close()
}

fn unknown(report: &IdleReport, title: &str) -> Result<Worksheet, XlsxError> {
    let mut columns = WHOSE.to_vec();
    columns.extend([("判定", 10.0, false), ("覆盖率（%）", 10.0, false), ("原因", 70.0, false)]);
    let mut page = Page::new("无法判断与豁免", title, &columns)?;
    for evidence in report.unknown.iter().chain(&report.exempt) {
        let mut cells = whose(evidence).to_vec();
        cells.extend([
            Cell::Text(evidence.judgement.verdict.chinese()),
            Cell::Number(evidence.usage.coverage_percent),
            Cell::Owned(words::reasons(evidence)),
        ]);
        page.row(&cells)?;
    }
    page.close()
}

fn borderline(report: &IdleReport, title: &str) -> Result<Worksheet, XlsxError> {
    let mut columns = WHOSE.to_vec();
    columns.extend([("指标", 26.0, false), ("单位", 10.0, false), ("不低于", 14.0, false), ("不高于", 14.0, false)]);
    columns.push(("阈值", 14.0, false));
    let mut page = Page::new("阈值附近", title, &columns)?;
    for machine in &report.borderline {
        for figure in &machine.figures {
            page.row(&[
                Cell::Text(&machine.department.name),
                machine.system.as_deref().map_or(Cell::Empty, Cell::Text),
                Cell::Text(&machine.name),
                Cell::Text(&machine.id),
                Cell::Text(words::figure(&figure.name)),
                Cell::Text(words::unit(&figure.unit)),
                maybe(figure.low, Cell::Number),
                maybe(figure.high, Cell::Number),
                Cell::Number(figure.threshold),
            ])?;
        }
    }
    page.close()
}

fn advice(report: &IdleReport, title: &str) -> Result<Worksheet, XlsxError> {
    let mut columns = WHOSE.to_vec();
    columns.extend([("建议", 10.0, false), ("资源", 8.0, false), ("现有", 16.0, false), ("建议为", 16.0, false)]);
    columns.extend([("单位", 8.0, false), ("依据", 80.0, false)]);
    let mut page = Page::new("规格建议", title, &columns)?;
    for advised in &report.advice {
        use crate::usage::advice::Resource;
        let advice = &advised.advice;
        let (unit, size): (_, fn(i64) -> Cell<'static>) = match advice.resource {
            Resource::Vcpu => ("核", count),
            Resource::Machine => ("台", count),
            Resource::Memory | Resource::Disk => ("GiB", gib),
        };
        page.row(&[
            Cell::Text(&advised.department.name),
            advised.system.as_deref().map_or(Cell::Empty, Cell::Text),
            Cell::Text(&advised.name),
            Cell::Text(&advised.id),
            Cell::Text(advice.change.chinese()),
            Cell::Text(advice.resource.chinese()),
            size(advice.from),
            size(advice.to),
            Cell::Text(unit),
            Cell::Text(&advice.sentence),
        ])?;
    }
    page.close()
}
