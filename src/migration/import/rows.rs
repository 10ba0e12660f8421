//! A row onto a thing of the survey: each column that the sheet has says what is so now, an empty cell that nothing is known
//! any more; a column that the sheet has not says nothing.

use super::{
    super::{
        estate::{Server, System},
        room,
    },
    Fault, Note,
    cells::{self, Wrong},
    table::Row,
};
use crate::{system::record, text};
use jiff::civil::Date;
use std::str::FromStr;

const MOST_CORES: i64 = 65_536;
const MOST_PEOPLE: i64 = 2_000_000_000;

/// A row while it is read.
pub(super) struct Reading<'a> {
    pub row: &'a Row,
    pub faults: &'a mut Vec<Fault>,
    pub notes: &'a mut Vec<Note>,
    pub today: Date,
}

impl Reading<'_> {
    fn note(&self, key: &str, message: String) -> Note {
        let column = self.row.cells.get(key).map(|cell| cell.heading.clone()).unwrap_or_default();
        Note { place: self.row.place(key), column, message }
    }

    pub fn fault(&mut self, key: &str, wrong: Wrong) {
        let note = self.note(key, wrong.what);
        self.faults.push(Fault { note, code: wrong.code, mend: wrong.mend });
    }

    pub fn refuse(&mut self, key: &str, code: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        self.fault(key, Wrong { code, what: what.into(), mend: mend.into() });
    }

    /// What a column says, where the sheet has it and the cell can be read: `None` in it where the cell is empty.
    #[allow(clippy::option_option, reason = "a column that is not there and an empty cell are two things")]
    fn said<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<Option<T>> {
        let text = self.row.text(key)?.to_owned();
        if text.is_empty() {
            return Some(None);
        }
        match cells::no_formula(&text).and_then(|()| read(&text)) {
            Ok(value) => Some(Some(value)),
            Err(wrong) => {
                self.fault(key, wrong);
                None
            }
        }
    }

    /// The same of a value behind which a note may stand.
    #[allow(clippy::option_option, reason = "a column that is not there and an empty cell are two things")]
    fn noted<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<Option<T>> {
        let mut aside = None;
        let said = self.said(key, |text| {
            let (value, note) = cells::without_note(text);
            aside = note.map(str::to_owned);
            read(value)
        });
        if let (Some(Some(_)), Some(note)) = (&said, aside) {
            let note = self.note(key, format!("括号里的“{}”没有记入", text::shown(&note)));
            self.notes.push(note);
        }
        said
    }

    fn written(text: &str, limits: text::Limits) -> Result<String, Wrong> {
        text::said(text, limits).map_err(|fault| Wrong {
            code: "survey_text",
            what: format!("“{}”{fault}", text::shown(text)),
            mend: format!("改为 1 至 {} 字{}", limits.max_chars, if limits.multiline { "" } else { "的一行文字" }),
        })
    }

    /// A text that has to be there: in a new thing, or where the sheet has its column.
    pub fn required(&mut self, key: &'static str, limits: text::Limits, label: &str) -> Option<String> {
        match self.said(key, |text| Self::written(text, limits)) {
            Some(Some(text)) => Some(text),
            Some(None) => {
                self.refuse(key, "survey_missing", format!("没有填写{label}"), format!("填写{label}"));
                None
            }
            None => None,
        }
    }

    fn text(&mut self, key: &str, slot: &mut Option<String>, limits: text::Limits) {
        if let Some(said) = self.said(key, |text| Self::written(text, limits)) {
            *slot = said;
        }
    }

    fn day(&mut self, key: &str, slot: &mut Option<Date>) {
        if let Some(said) = self.noted(key, cells::day) {
            *slot = said.map(|(day, of_month)| {
                if of_month {
                    let note = self.note(key, format!("只写到月，按 {day} 记"));
                    self.notes.push(note);
                }
                day
            });
        }
    }

    /// A day that is over.
    fn past(&mut self, key: &str, slot: &mut Option<Date>) {
        let before = *slot;
        self.day(key, slot);
        if let Some(day) = slot.filter(|day| *day > self.today && Some(*day) != before) {
            let today = self.today;
            self.refuse(key, "survey_date", format!("{day} 还没有到（今天是 {today}）"), "填写已经过去的日期");
        }
    }

    fn count(&mut self, key: &str, slot: &mut Option<i64>, units: &[&str], range: (i64, i64)) {
        if let Some(said) = self.noted(key, |text| cells::count(text, units, range.0, range.1)) {
            *slot = said;
        }
    }

    fn bytes(&mut self, key: &str, slot: &mut Option<i64>) {
        let unit = self.row.cells.get(key).and_then(|cell| cell.unit.clone());
        if let Some(said) = self.noted(key, |text| cells::bytes(text, unit.as_deref())) {
            *slot = said;
        }
    }

    fn flag(&mut self, key: &str, slot: &mut Option<bool>) {
        if let Some(said) = self.noted(key, cells::flag) {
            *slot = said;
        }
    }

    fn word<T: FromStr>(&mut self, key: &str, slot: &mut Option<T>, allowed: &str) {
        let read = |text: &str| {
            text::fold(text).parse::<T>().map_err(|_| Wrong {
                code: "survey_word",
                what: format!("“{}”不是这一栏的说法", text::shown(text)),
                mend: format!("从中选一个：{allowed}；不知道就不填"),
            })
        };
        if let Some(said) = self.noted(key, read) {
            *slot = said;
        }
    }

    pub fn room(&mut self, facts: &mut room::Facts) {
        let mut kind = Some(facts.kind);
        self.word("kind", &mut kind, "普通机房、接入机房、上级指定机房");
        if kind.is_none() {
            self.refuse("kind", "survey_missing", "没有填写机房类型", "填写 普通机房、接入机房 或 上级指定机房");
        }
        facts.kind = kind.unwrap_or(facts.kind);
        self.text("evidence", &mut facts.evidence, text::PROSE);
        self.text("document", &mut facts.document, text::NAME);
        self.past("document_on", &mut facts.document_on);
        self.day("due_on", &mut facts.due_on);
        self.text("address", &mut facts.address, text::NAME);
        let square = |text: &str| cells::decimal(text, &["平方米", "m2", "㎡", "m²", "平米"], 1e6);
        if let Some(said) = self.noted("area", square) {
            facts.area = said;
        }
        self.count("racks", &mut facts.racks, &["个", "台", "架", "组", "个机柜"], (0, 100_000));
        if let Some(said) = self.noted("power", |text| cells::decimal(text, &["千瓦", "kw", "kva"], 1e6)) {
            facts.power = said;
        }
    }

    pub fn server(&mut self, server: &mut Server) {
        let hardware = &mut server.hardware;
        self.text("rack", &mut hardware.rack, text::NAME);
        self.text("model", &mut hardware.model, text::NAME);
        if self.row.text("bought_in").is_some_and(|text| text.contains(['-', '/', '.', '月'])) {
            let mut day = hardware.bought_in.and_then(|year| Date::new(i16::try_from(year).ok()?, 1, 1).ok());
            self.day("bought_in", &mut day);
            hardware.bought_in = day.map(|day| i64::from(day.year()));
        } else {
            let this_year = i64::from(self.today.year());
            self.count("bought_in", &mut hardware.bought_in, &["年"], (1970, this_year));
        }
        self.count("cores", &mut hardware.cores, &["核", "个", "核心", "c", "core", "cores"], (1, MOST_CORES));
        self.bytes("memory", &mut hardware.memory_bytes);
        self.bytes("disk", &mut hardware.disk_bytes);
        self.text("os", &mut hardware.os, text::NAME);
        self.text("on_site", &mut hardware.on_site, text::PROSE);
    }

    pub fn system(&mut self, system: &mut System) {
        if let Some(purpose) = self.required("purpose", text::PROSE, "功能") {
            system.purpose = purpose;
        }
        self.word::<record::Scope>("scope", &mut system.scope, "个别处室、本单位、跨部门、面向公众");
        self.word::<record::Frequency>("frequency", &mut system.frequency, "每天、每周、每月、每年、几乎不用");
        self.past("last_updated_on", &mut system.last_updated_on);
        self.day("maintained_until", &mut system.maintained_until);
        let survey = &mut system.survey;
        self.text("approving_department", &mut survey.approving_department, text::NAME);
        self.past("approved_on", &mut survey.approved_on);
        self.text("funding", &mut survey.funding, text::NAME);
        self.count("users", &mut survey.users, &["人", "个", "户", "名"], (0, MOST_PEOPLE));
        if let Some(said) = self.noted("mlps_level", cells::mlps) {
            survey.mlps_level = said.flatten();
        }
        self.text("network", &mut survey.network, text::NAME);
        self.text("backup", &mut survey.backup, text::NAME);
        self.text("supplier", &mut survey.supplier, text::NAME);
        self.flag("supplier_gone", &mut survey.supplier_gone);
        self.text("architecture", &mut survey.architecture, text::NAME);
        self.text("database", &mut survey.database, text::NAME);
        self.text("deferral", &mut survey.deferral, text::PROSE);
        self.text("website", &mut survey.website, text::NAME);
        self.text("website_filing", &mut survey.website_filing, text::NAME);
        self.flag("exchange_required", &mut survey.exchange_required);
        self.day("exchange_since", &mut survey.exchange_since);
        self.text("on_site", &mut survey.on_site, text::PROSE);
    }

    /// A system that is secret, or of which nobody can say, does not come in.
    pub fn secret(&mut self) {
        if self.noted("secret", cells::secret) == Some(Some(true)) {
            self.refuse(
                "secret",
                "survey_secret",
                "是涉密系统；涉密系统不进入政务云，也不在这里登记",
                "从表中删去这一行，按保密规定另行处理",
            );
        }
    }
}
