//! What the survey hands in: 自查报告, 清理整合清单 and 接入清单 (苏高新办〔2019〕2号 附件1 第 1 项), in the same sheets as it is
//! imported from.

use super::{
    PaperError,
    csv::{BOM, guarded},
    workbook::{Cell, Page, count, maybe},
};
use crate::{
    migration::{
        estate::{Estate, System},
        fate::Disposition,
        forms::{self, Column, Table},
        progress,
        room::Term,
    },
    system::record::Scope,
};
use csv::{QuoteStyle, Terminator, WriterBuilder};
use jiff::civil::Date;
use rust_xlsxwriter::{Workbook, XlsxError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Survey,
    Merge,
    Access,
}

impl Form {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Survey => "自查报告",
            Self::Merge => "清理整合清单",
            Self::Access => "接入清单",
        }
    }

    /// Whether a system stands in the list.
    fn has(self, system: &System) -> bool {
        match self {
            Self::Survey => true,
            Self::Merge => !advice(system).is_empty(),
            Self::Access => system.survey.exchange_required == Some(true),
        }
    }

    /// What a list says beside what was asked.
    const fn beside(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Survey => &[],
            Self::Merge => &[("去向", 9.0), ("清理整合的理由", 48.0)],
            Self::Access => &[("接入状态", 12.0)],
        }
    }

    fn said(self, system: &System, today: Date) -> Vec<String> {
        match self {
            Self::Survey => Vec::new(),
            Self::Merge => {
                let fate = system.disposition().map_or("未定", Disposition::label);
                vec![fate.to_owned(), advice(system).join("；")]
            }
            Self::Access => {
                let since = system.survey.exchange_since.filter(|since| *since <= today);
                vec![since.map_or("未接入", |_| "已接入").to_owned()]
            }
        }
    }
}

/// Why a system is to be cleared away or merged.
fn advice(system: &System) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(decision) = system.decision.as_ref().filter(|d| d.disposition == Disposition::Discard) {
        let by = decision.replaced_by.as_deref().map(|other| format!("，由“{other}”替代")).unwrap_or_default();
        advice.push(format!("已定摒弃{by}"));
    }
    if system.scope == Some(Scope::Office) {
        advice.push("以处室名义存在的独立系统，并入部门大系统".to_owned());
    }
    if system.survey.supplier_gone == Some(true) {
        advice.push("原厂商停止支持".to_owned());
    }
    if let Some(why) = &system.survey.deferral {
        advice.push(format!("申请暂缓整合：{why}"));
    }
    advice
}

/// Columns of numbers; all others are text or days.
const NUMBERS: &[&str] = &["area", "racks", "power", "bought_in", "cores", "memory", "disk", "users", "mlps_level"];

/// One of the papers.
pub struct Paper<'a> {
    pub district: &'a str,
    pub today: Date,
    pub form: Form,
}

impl Paper<'_> {
    fn systems<'e>(&self, estate: &'e Estate) -> Vec<&'e System> {
        let mut systems: Vec<_> = estate.systems.values().filter(|system| self.form.has(system)).collect();
        systems.sort_by_key(|system| (&system.unit.code, &system.name));
        systems
    }

    pub fn workbook(&self, estate: &Estate) -> Result<Vec<u8>, PaperError> {
        let mut workbook = Workbook::new();
        let title = |what: &str| format!("{}{}：{what}（{}）", self.district, self.form.label(), self.today);
        if self.form == Form::Survey {
            let mut rooms: Vec<_> = estate.rooms.values().collect();
            rooms.sort_by_key(|room| (&room.unit.code, &room.name));
            let rows = rooms.into_iter().map(|room| (forms::room(room), Vec::new()));
            workbook.push_worksheet(sheet(Table::Rooms, &title("机房"), &[], rows)?);
            let mut servers: Vec<_> = estate.servers.values().collect();
            servers.sort_by_key(|server| (&server.unit.code, &server.name));
            let rows = servers.into_iter().map(|server| (forms::server(estate, server), Vec::new()));
            workbook.push_worksheet(sheet(Table::Servers, &title("服务器"), &[], rows)?);
        }
        let rows = self
            .systems(estate)
            .into_iter()
            .map(|system| (forms::system(estate, system), self.form.said(system, self.today)));
        workbook.push_worksheet(sheet(Table::Systems, &title("信息系统"), self.form.beside(), rows)?);
        if self.form == Form::Survey {
            workbook.push_worksheet(self.numbers(estate, &title("数量"))?);
        }
        Ok(workbook.save_to_buffer()?)
    }

    /// 信息系统数量, by department.
    fn numbers(&self, estate: &Estate, title: &str) -> Result<rust_xlsxwriter::Worksheet, XlsxError> {
        let columns = [("建设单位", 24.0, false), ("机房数量", 10.0, true), ("信息系统数量", 12.0, true)];
        let mut page = Page::new("数量", title, &columns)?;
        for part in progress::progress(estate, &[], Term::default(), self.today).departments {
            page.row(&[Cell::Text(&part.department.name), count(part.rooms.surveyed), count(part.systems.surveyed)])?;
        }
        page.close()
    }

    /// The systems alone: a text table is one table.
    pub fn csv(&self, estate: &Estate) -> Result<Vec<u8>, PaperError> {
        let mut out = BOM.as_bytes().to_vec();
        {
            let mut writer = WriterBuilder::new()
                .quote_style(QuoteStyle::NonNumeric)
                .terminator(Terminator::CRLF)
                .from_writer(&mut out);
            let heads = forms::SYSTEMS.iter().map(|column| column.label);
            writer.write_record(heads.chain(self.form.beside().iter().map(|(head, _)| *head)))?;
            for system in self.systems(estate) {
                let cells = forms::system(estate, system).into_iter().chain(self.form.said(system, self.today));
                writer.write_record(cells.map(|text| guarded(&text)))?;
            }
            writer.flush().map_err(csv::Error::from)?;
        }
        Ok(out)
    }
}

fn sheet(
    table: Table,
    title: &str,
    beside: &[(&'static str, f64)],
    rows: impl Iterator<Item = (Vec<String>, Vec<String>)>,
) -> Result<rust_xlsxwriter::Worksheet, XlsxError> {
    let wide = |column: &Column| match column.key {
        "purpose" | "deferral" | "on_site" | "evidence" => 40.0,
        "name" | "department" | "room" | "servers" | "needs" => 24.0,
        _ => 13.0,
    };
    let mut columns: Vec<(&str, f64, bool)> =
        table.columns().iter().map(|column| (column.label, wide(column), false)).collect();
    columns.extend(beside.iter().map(|(head, width)| (*head, *width, false)));
    let mut page = Page::new(table.label(), title, &columns)?;
    for (cells, more) in rows {
        let typed = table.columns().iter().zip(cells).map(|(column, text)| match () {
            () if text.is_empty() => Cell::Empty,
            () if NUMBERS.contains(&column.key) => maybe(text.parse().ok(), Cell::Number),
            () if column.key.ends_with("_on") || column.key.ends_with("_until") || column.key == "exchange_since" => {
                maybe(text.parse::<Date>().ok(), Cell::Day)
            }
            () => Cell::Owned(text),
        });
        let row: Vec<Cell<'_>> = typed.chain(more.into_iter().map(Cell::Owned)).collect();
        page.row(&row)?;
    }
    page.close()
}
