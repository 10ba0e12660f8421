//! The sheet by which a cleared system is reported (报送备案), as a workbook: what was decided, on which criteria and
//! clauses, by whom, and behind it every piece of evidence. Pure: a finding in, bytes out, the same each time.
//!
//! Every cell has its type. What people wrote is text whatever it begins with, so that nothing becomes a formula.

use super::finding::{Finding, Judged, Signed};
use crate::{
    jurisdiction::Profile,
    system::record::{Frequency, Scope},
    time,
};
use jiff::civil::Date;
use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError,
};
use unicode_width::UnicodeWidthStr;

/// The media type of a workbook.
pub const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// The last column of the form.
const LAST: u16 = 5;
/// Narrow characters in a line of what a label says.
const FIELD_WIDTH: usize = 84;
const LINE_POINTS: u32 = 15;
/// Lines in a row at most; Excel has no higher one.
const HIGHEST: u32 = 27;
/// Nobody has said.
const NOTHING: &str = "未登记";

/// What the sheet is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sheet<'a> {
    pub profile: &'a Profile,
    /// The owner's full name.
    pub department: &'a str,
    pub finding: &'a Finding,
}

/// What a cell holds.
enum Cell<'a> {
    Text(&'a str),
    Day(Date),
    Number(i64),
    Empty,
}

impl<'a> Cell<'a> {
    fn day(day: Option<Date>) -> Self {
        day.map_or(Self::Text(NOTHING), Self::Day)
    }

    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Text(NOTHING), Self::Text)
    }

    fn number(number: Option<i64>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }
}

/// How cells look.
struct Looks {
    title: Format,
    head: Format,
    text: Format,
    day: Format,
    number: Format,
}

impl Looks {
    fn new() -> Self {
        let cell =
            || Format::new().set_border(FormatBorder::Thin).set_text_wrap().set_align(FormatAlign::VerticalCenter);
        Self {
            title: Format::new().set_bold().set_font_size(16).set_align(FormatAlign::Center),
            head: cell().set_bold().set_align(FormatAlign::Center),
            text: cell(),
            day: cell().set_num_format("yyyy-mm-dd").set_align(FormatAlign::Left),
            number: cell().set_num_format("0"),
        }
    }
}

/// A page that is written from the top down.
struct Page {
    sheet: Worksheet,
    looks: Looks,
    row: u32,
}

impl Page {
    fn put(&mut self, column: u16, cell: &Cell<'_>) -> Result<(), XlsxError> {
        let (row, looks) = (self.row, &self.looks);
        match cell {
            Cell::Text(text) => self.sheet.write_string_with_format(row, column, *text, &looks.text)?,
            Cell::Day(day) => self.sheet.write_datetime_with_format(row, column, day, &looks.day)?,
            // Days are far below what a cell's number can hold exactly.
            #[allow(clippy::cast_precision_loss, reason = "days")]
            Cell::Number(number) => self.sheet.write_number_with_format(row, column, *number as f64, &looks.number)?,
            Cell::Empty => self.sheet.write_blank(row, column, &looks.text)?,
        };
        Ok(())
    }

    fn heads(&mut self, heads: &[&str]) -> Result<(), XlsxError> {
        for (column, head) in (0..).zip(heads) {
            self.sheet.write_string_with_format(self.row, column, *head, &self.looks.head)?;
        }
        self.row += 1;
        Ok(())
    }

    fn cells(&mut self, cells: &[Cell<'_>]) -> Result<(), XlsxError> {
        for (column, cell) in (0..).zip(cells) {
            self.put(column, cell)?;
        }
        self.row += 1;
        Ok(())
    }

    /// A label and what it says, over the whole width. A merged cell does not make its row as high as its text needs.
    fn field(&mut self, label: &str, cell: &Cell<'_>) -> Result<(), XlsxError> {
        if let Cell::Text(text) = cell {
            let lines: usize = text.lines().map(|line| line.width().div_ceil(FIELD_WIDTH).max(1)).sum();
            let lines = u32::try_from(lines).unwrap_or(u32::MAX).clamp(1, HIGHEST);
            self.sheet.set_row_height(self.row, f64::from(lines * LINE_POINTS))?;
        }
        self.sheet.write_string_with_format(self.row, 0, label, &self.looks.head)?;
        self.sheet.merge_range(self.row, 1, self.row, LAST, "", &self.looks.text)?;
        self.put(1, cell)?;
        self.row += 1;
        Ok(())
    }

    /// A line over the whole width.
    fn title(&mut self, text: &str) -> Result<(), XlsxError> {
        self.sheet.merge_range(self.row, 0, self.row, LAST, text, &self.looks.title)?;
        self.row += 1;
        Ok(())
    }

    fn signed(&mut self, what: &str, text: &str, signed: &Signed) -> Result<(), XlsxError> {
        self.field(what, &Cell::Text(text))?;
        self.field("经办人", &Cell::Text(&signed.by))?;
        self.field("所在单位", &Cell::Text(&signed.unit))?;
        self.field("日期", &Cell::Day(time::civil(signed.at)))
    }
}

impl Sheet<'_> {
    /// The workbook.
    pub fn write(&self) -> Result<Vec<u8>, XlsxError> {
        let mut workbook = Workbook::new();
        // The time of the decision, not of the writing: the same finding is the same file.
        let made = self.finding.decision.as_ref().map_or(self.finding.created_at, |decision| decision.signed.at);
        let properties = DocProperties::new()
            .set_title(self.name())
            .set_author(&self.profile.authority_name)
            .set_creation_datetime(&ExcelDateTime::from_timestamp(made.as_second())?);
        workbook.set_properties(&properties);
        workbook.push_worksheet(self.form()?);
        workbook.push_worksheet(self.evidence()?);
        workbook.save_to_buffer()
    }

    fn name(&self) -> String {
        format!("{}政务信息系统清理备案表", self.profile.name)
    }

    fn form(&self) -> Result<Worksheet, XlsxError> {
        let mut page = page("备案表", &[14.0, 30.0, 30.0, 10.0, 8.0, 10.0])?;
        page.sheet.set_paper_size(9).set_landscape().set_print_fit_to_pages(1, 0);
        let (finding, judgement) = (self.finding, &self.finding.judgement);
        let record = &judgement.record;
        page.title(&self.name())?;
        let (basis, id) = (self.profile.filing_basis(), finding.id.text());
        page.field("备案机关", &Cell::Text(&self.profile.authority_name))?;
        page.field("备案依据", &Cell::Text(&basis))?;
        page.field("备案号", &Cell::text(finding.filing.as_ref().and_then(|filing| filing.number.as_deref())))?;
        page.field("判定编号", &Cell::Text(&id))?;
        page.field("报送单位", &Cell::Text(self.department))?;
        page.field("系统名称", &Cell::Text(&record.name))?;
        page.field("系统功能", &Cell::Text(&record.purpose))?;
        page.field("使用范围", &Cell::text(record.scope.map(Scope::label)))?;
        page.field("使用频度", &Cell::text(record.frequency.map(Frequency::label)))?;
        page.field("最近更新", &Cell::day(record.last_updated_on))?;
        page.field("运维合同到期", &Cell::day(record.maintained_until))?;
        page.field("最近登录", &Cell::day(record.last_login_on))?;
        page.field("替代系统", &Cell::text(record.replaced_by.as_deref()))?;
        let machines = judgement.machines.join("、");
        page.field("虚拟机", &Cell::Text(if machines.is_empty() { NOTHING } else { &machines }))?;
        page.field("判定日期", &Cell::Day(judgement.on))?;
        page.heads(&["序号", "认定条件", "依据", "结论", "把握", "证据（条）"])?;
        for (n, judged) in (1..).zip(&judgement.criteria) {
            page.cells(&[
                Cell::Number(n),
                Cell::Text(&judged.text),
                Cell::Text(&judged.basis),
                Cell::Text(judged.outcome.label()),
                Cell::Text(judged.confidence.label()),
                Cell::number(i64::try_from(judged.evidence.len()).ok()),
            ])?;
        }
        match &finding.answer {
            Some(answer) => {
                page.field("建设单位答复", &Cell::Text(answer.answer.label()))?;
                page.signed("理由", &answer.reason, &answer.signed)?;
            }
            None => page.field("建设单位答复", &Cell::Text("期限内未答复"))?,
        }
        if let Some(decision) = &finding.decision {
            page.signed("认定意见", &decision.reason, &decision.signed)?;
        }
        if let Some(filing) = &finding.filing {
            page.signed("备案", "已备案", &filing.signed)?;
        }
        Ok(page.sheet)
    }

    fn evidence(&self) -> Result<Worksheet, XlsxError> {
        let mut page = page("证据", &[30.0, 10.0, 12.0, 14.0, 10.0, 10.0, 60.0])?;
        page.sheet.set_paper_size(9).set_landscape().set_print_fit_to_pages(1, 0);
        page.heads(&["认定条件", "来源", "日期", "陈述人", "天数", "须满天数", "说明"])?;
        for Judged { text, evidence, .. } in &self.finding.judgement.criteria {
            for one in evidence {
                page.cells(&[
                    Cell::Text(text),
                    Cell::Text(one.source.label()),
                    Cell::Day(one.on),
                    one.by.as_deref().map_or(Cell::Empty, Cell::Text),
                    Cell::number(one.days),
                    Cell::number(one.limit_days),
                    Cell::Text(&one.text),
                ])?;
            }
        }
        Ok(page.sheet)
    }
}

fn page(name: &str, widths: &[f64]) -> Result<Page, XlsxError> {
    let mut sheet = Worksheet::new();
    sheet.set_name(name)?;
    for (column, width) in (0..).zip(widths) {
        sheet.set_column_width(column, *width)?;
    }
    Ok(Page { sheet, looks: Looks::new(), row: 0 })
}
