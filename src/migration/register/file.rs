//! A dated register as an office keeps it: a sheet of a workbook or a CSV file, whose head names its columns, under whatever
//! title. Rows of several documents may stand in one file; a work that one document names twice, with two days, is one row
//! with both, each with its clause.

use super::{Also, Entry, Register};
use crate::{
    migration::import::cells,
    request::form::{self, Line, Sheet},
    text::fold,
};
use std::collections::BTreeMap;

/// A head stands in the first rows of a sheet.
const HEAD_WITHIN: usize = 12;
/// More than any annex has.
const MOST_ROWS: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Document,
    Clause,
    No,
    Category,
    Task,
    Owner,
    With,
    Due,
    On,
    Month,
    Note,
}

impl Column {
    const ALL: [(Self, &'static [&'static str]); 11] = [
        (Self::Document, &["文件", "文号", "依据文件"]),
        (Self::Clause, &["条款", "出处", "附件"]),
        (Self::No, &["序号", "编号"]),
        (Self::Category, &["分类", "类别"]),
        (Self::Task, &["工作任务", "任务", "重点任务", "工作内容"]),
        (Self::Owner, &["责任部门", "牵头单位", "责任单位", "牵头部门"]),
        (Self::With, &["协同单位", "配合单位", "配合部门", "参加单位"]),
        (Self::Due, &["时序进度", "进度", "进度要求", "完成时限"]),
        (Self::On, &["期限", "完成日期", "最后一天", "截止日期"]),
        (Self::Month, &["每年几月底", "每年月份"]),
        (Self::Note, &["备注", "说明"]),
    ];
    const NEEDED: [Self; 4] = [Self::Document, Self::Task, Self::Owner, Self::On];

    fn label(self) -> &'static str {
        Self::ALL.iter().find(|(column, _)| *column == self).and_then(|(_, labels)| labels.first()).unwrap_or(&"")
    }
}

type Head = BTreeMap<Column, u32>;

fn heads(row: &Line) -> Head {
    let one = |spot: &form::Spot| {
        let plain = fold(&spot.text);
        Column::ALL
            .iter()
            .find(|(_, labels)| labels.contains(&plain.as_str()))
            .map(|(column, _)| (*column, spot.column))
    };
    row.cells.iter().filter_map(one).collect()
}

fn cell(row: &Line, head: &Head, column: Column) -> Option<String> {
    let at = *head.get(&column)?;
    let spot = row.cells.iter().find(|spot| (spot.column..spot.column.saturating_add(spot.span)).contains(&at))?;
    Some(spot.text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The registers of a file, as many as it names documents and clauses; `id` is the first's, with a number behind the others'.
/// Everything that is wrong is told at once.
pub fn read(bytes: &[u8], id: &str) -> Result<Vec<Register>, Vec<String>> {
    let sheets = form::sheets(bytes).map_err(|fault| vec![fault.reason])?;
    let mut registers: Vec<Register> = Vec::new();
    let mut faults = Vec::new();
    let mut found = false;
    for sheet in &sheets {
        let Some((below, head)) = head_of(sheet) else { continue };
        found = true;
        for row in sheet.rows.iter().skip(below).take(MOST_ROWS) {
            if let Err(fault) = take(&mut registers, row, &head, id) {
                faults.push(format!("{}第 {} 行：{fault}", sheet_name(sheet), row.number));
            }
        }
        if sheet.rows.len() > below + MOST_ROWS {
            faults.push(format!("{}超过 {MOST_ROWS} 行", sheet_name(sheet)));
        }
    }
    if !found {
        let needed = Column::NEEDED.map(Column::label).join("、");
        faults.push(format!("没有找到台账：表头至少要有 {needed}"));
    }
    if faults.is_empty() { Ok(registers) } else { Err(faults) }
}

fn sheet_name(sheet: &Sheet) -> String {
    if sheet.name.is_empty() { String::new() } else { format!("工作表“{}”", sheet.name) }
}

fn head_of(sheet: &Sheet) -> Option<(usize, Head)> {
    let rows = sheet.rows.iter().take(HEAD_WITHIN).map(heads).enumerate();
    rows.into_iter()
        .find(|(_, head)| Column::NEEDED.iter().all(|column| head.contains_key(column)))
        .map(|(n, head)| (n + 1, head))
}

fn take(registers: &mut Vec<Register>, row: &Line, head: &Head, id: &str) -> Result<(), String> {
    let text = |column| cell(row, head, column);
    let needed = |column: Column| text(column).ok_or_else(|| format!("没有填写{}", column.label()));
    let (document, task) = (needed(Column::Document)?, needed(Column::Task)?);
    let clause = text(Column::Clause).unwrap_or_default();
    let on = text(Column::On).map(|text| cells::day(&text));
    let on = on.transpose().map_err(|wrong| format!("{}：{}", Column::On.label(), wrong.what))?;
    // What is due in a month is due by its end.
    let on = on.map(|(day, of_month)| if of_month { day.last_of_month() } else { day });
    let month = text(Column::Month).map(|text| cells::count(&text, &["月"], 1, 12));
    let month = month.transpose().map_err(|wrong| format!("{}：{}", Column::Month.label(), wrong.what))?;
    if on.is_some() == month.is_some() {
        return Err(format!("{}和{}要填一个，也只填一个", Column::On.label(), Column::Month.label()));
    }
    let due = text(Column::Due).or_else(|| Some(on?.to_string())).unwrap_or_default();
    // The same work in the same document once more is its other day.
    let of_document = registers.iter_mut().filter(|register| register.document == document);
    let known = of_document.flat_map(|register| &mut register.rows).find(|entry| fold(&entry.task) == fold(&task));
    if let Some(entry) = known {
        let Some(on) = on.filter(|on| Some(*on) != entry.on) else {
            return Err(format!("“{task}”写了两次，日期相同或没有日期"));
        };
        entry.also.push(Also { clause, on, text: due });
        return Ok(());
    }
    let owner = needed(Column::Owner)?;
    let known = registers.iter().position(|register| register.document == document && register.clause == clause);
    let at = known.unwrap_or(registers.len());
    if known.is_none() {
        let id = if at == 0 { id.to_owned() } else { format!("{id}-{}", at + 1) };
        registers.push(Register { id, title: document.clone(), document, clause, rows: Vec::new() });
    }
    let Some(register) = registers.get_mut(at) else { return Ok(()) };
    let no = match text(Column::No) {
        None => register.rows.iter().map(|entry| entry.no).max().unwrap_or(0) + 1,
        Some(text) => cells::count(&text, &[], 1, 100_000)
            .ok()
            .and_then(|no| u32::try_from(no).ok())
            .ok_or_else(|| format!("{}“{text}”不是整数", Column::No.label()))?,
    };
    if register.rows.iter().any(|entry| entry.no == no) {
        return Err(format!("{}{no} 在同一文件、同一条款里有两个", Column::No.label()));
    }
    let yearly_month = month.and_then(|month| i8::try_from(month).ok());
    let (category, with, note) = (text(Column::Category), text(Column::With), text(Column::Note));
    register.rows.push(Entry { no, category, task, owner, with, due, on, yearly_month, also: Vec::new(), note });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const OURS: &str = "\
区级台账（2027 年）,,,,,,
文件,条款,序号,工作任务,责任部门,时序进度,期限
相政办〔2027〕3号,附件,1,完成部门机房撤并,各单位,2027年9月底前,2027年9月
相政办〔2027〕3号,附件,2,政务应用上云率达到 98%,区数据局,,2027-12-31
相政办〔2027〕3号,二 工作目标,,完成部门机房撤并,,2027年上半年,2027/6/30
相数〔2027〕1号,三,1,完成系统清单复核,区数据局,,2027.4.15
";

    #[test]
    fn an_offices_own_register_is_read_with_both_days_of_one_work() {
        let found = read(OURS.as_bytes(), "ours").unwrap();
        let ids: Vec<_> = found.iter().map(|r| (r.id.as_str(), r.document.as_str(), r.rows.len())).collect();
        assert_eq!(ids, [("ours", "相政办〔2027〕3号", 2), ("ours-2", "相数〔2027〕1号", 1)]);
        let first = &found[0].rows[0];
        assert_eq!((first.on, first.also[0].on), (Some(date(2027, 9, 30)), date(2027, 6, 30)));
        assert_eq!((first.also[0].clause.as_str(), first.also[0].text.as_str()), ("二 工作目标", "2027年上半年"));
        let rows = super::super::deadlines(&found, &[], date(2027, 7, 1));
        assert_eq!((rows[0].due_on, rows[0].overdue), (date(2027, 6, 30), true), "the earlier one alarms");
        assert_eq!(rows[1].due, "2027-12-31");
        assert_eq!(rows[2].basis, "相数〔2027〕1号 三 第 1 项");
    }

    #[test]
    fn everything_that_is_wrong_with_a_register_is_told_by_its_row() {
        let faults = |text: &str| read(text.as_bytes(), "x").unwrap_err();
        assert!(faults("a,b\n1,2\n")[0].contains("没有找到台账"));
        let head = "文件,条款,序号,工作任务,责任部门,期限,每年几月底\n";
        let all = faults(&format!(
            "{head}甲,一,1,做完,某局,去年,\n甲,一,1,再做,某局,2027-01-01,1月\n甲,一,1,三做,某局,2027-01-01,\n甲,一,1,四做,某局,2027-02-01,\n,一,5,五做,某局,2027-02-01,\n甲,一,6,六做,,2027-02-01,\n甲,一,7,三做,某局,2027-01-01,\n"
        ));
        for (fault, (row, word)) in
            all.iter().zip([(2, "期限"), (3, "只填一个"), (5, "有两个"), (6, "文件"), (7, "责任部门"), (8, "写了两次")])
        {
            assert!(fault.contains(&format!("第 {row} 行")) && fault.contains(word), "{fault}");
        }
        assert_eq!(all.len(), 6, "{all:?}");
    }
}
