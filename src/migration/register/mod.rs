//! The dated register (台账): what the documents want done by whom and by when, row by row as their annexes have it. Where a
//! document gives two days for one work, both are shown with their places, and the earlier one alarms.

pub mod file;
pub mod service;

use crate::yaml::{self, YamlError};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use std::path::Path;

const EMBEDDED: &[&str] = &[
    include_str!("../../../profiles/register/suzhou-new-district-2019.yaml"),
    include_str!("../../../profiles/register/jiangsu-2017.yaml"),
];

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("a dated register is not valid YAML for one")]
    Yaml(#[source] YamlError),
    #[error("there is no dated register {0:?}")]
    Unknown(String),
    #[error("row {row} of the dated register {register} has no day, or two kinds of them")]
    Undated { register: String, row: u32 },
    #[error("cannot read the dated register {path}")]
    Read { path: String, source: std::io::Error },
    #[error("the dated register {path}: {}", .faults.join("; "))]
    Faulty { path: String, faults: Vec<String> },
    #[error("two dated registers are called {0:?}")]
    Twice(String),
}

/// One document's annex.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    pub id: String,
    /// As it is cited.
    pub document: String,
    pub title: String,
    pub clause: String,
    pub rows: Vec<Entry>,
}

/// One row, as printed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 序号
    pub no: u32,
    /// 分类
    #[serde(default)]
    pub category: Option<String>,
    /// 工作任务
    pub task: String,
    /// 责任部门, 牵头单位
    pub owner: String,
    /// 协同单位
    #[serde(default)]
    pub with: Option<String>,
    /// 时序进度
    pub due: String,
    /// Its last day.
    #[serde(default)]
    pub on: Option<Date>,
    /// Due every year by the end of this month.
    #[serde(default)]
    pub yearly_month: Option<i8>,
    #[serde(default)]
    pub also: Vec<Also>,
    #[serde(default)]
    pub note: Option<String>,
}

/// Another day that the same document gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DeadlineConflict)]
#[serde(deny_unknown_fields)]
pub struct Also {
    pub clause: String,
    #[schema(value_type = String, format = Date)]
    pub on: Date,
    pub text: String,
}

/// That something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DeadlineMet)]
pub struct Met {
    /// The year of what is due every year; empty otherwise.
    pub period: String,
    #[schema(value_type = String, format = Date)]
    pub on: Date,
    pub evidence: String,
    pub by: String,
    pub unit: String,
}

/// A row of the register, as of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Deadline {
    /// As `jiangsu-2017-5`.
    pub id: String,
    pub no: u32,
    /// Document and clause.
    pub basis: String,
    #[schema(required)]
    pub category: Option<String>,
    pub task: String,
    pub owner: String,
    #[schema(required)]
    pub with: Option<String>,
    /// As printed.
    pub due: String,
    /// What it alarms by: the earlier day where there are two, the next or last one where it comes every year.
    #[schema(value_type = String, format = Date)]
    pub due_on: Date,
    /// Other days that the document gives for it.
    pub also: Vec<Also>,
    #[schema(required)]
    pub note: Option<String>,
    /// Null where nobody has recorded that it was done (of what comes every year: this time).
    #[schema(required)]
    pub met: Option<Met>,
    /// Its day is over and it is not recorded as done.
    pub overdue: bool,
}

/// The registers of these names: one that ships with the broker by its id, a district's own by its file, which is a sheet
/// ([`file`]) or, where it ends so, YAML as ours.
pub fn registers(names: &[String]) -> Result<Vec<Register>, RegisterError> {
    let mut all: Vec<Register> = Vec::new();
    for name in names {
        let path = Path::new(name);
        all.extend(if name.contains('/') || path.extension().is_some() { open(path)? } else { vec![embedded(name)?] });
    }
    for (n, register) in all.iter().enumerate() {
        if let Some(row) = register.rows.iter().find(|row| row.on.is_some() == row.yearly_month.is_some()) {
            return Err(RegisterError::Undated { register: register.id.clone(), row: row.no });
        }
        if all.iter().take(n).any(|other| other.id == register.id) {
            return Err(RegisterError::Twice(register.id.clone()));
        }
    }
    Ok(all)
}

fn embedded(id: &str) -> Result<Register, RegisterError> {
    for text in EMBEDDED {
        let register: Register = yaml::from_str(text).map_err(RegisterError::Yaml)?;
        if register.id == id {
            return Ok(register);
        }
    }
    Err(RegisterError::Unknown(id.to_owned()))
}

fn open(path: &Path) -> Result<Vec<Register>, RegisterError> {
    let shown = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| RegisterError::Read { path: shown(), source })?;
    if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
        return Ok(vec![yaml::from_str(&String::from_utf8_lossy(&bytes)).map_err(RegisterError::Yaml)?]);
    }
    let id = path.file_stem().unwrap_or_default().to_string_lossy();
    file::read(&bytes, &id).map_err(|faults| RegisterError::Faulty { path: shown(), faults })
}

impl Entry {
    /// The day that it alarms by, and the period that it is of.
    fn due_on(&self, today: Date) -> (Date, String) {
        if let Some(month) = self.yearly_month {
            let end = |year: i16| Date::new(year, month, 1).map_or(today, Date::last_of_month);
            // The one of this year until it is over and the next has begun: what was due in January counts until December.
            let day = end(today.year());
            return (day, day.year().to_string());
        }
        let days = self.on.into_iter().chain(self.also.iter().map(|also| also.on));
        (days.min().unwrap_or(today), String::new())
    }
}

/// Every row as of a day. `met` is what has been recorded until then.
pub fn deadlines(registers: &[Register], met: &[(String, Met)], today: Date) -> Vec<Deadline> {
    let row = |register: &Register, entry: &Entry| {
        let id = format!("{}-{}", register.id, entry.no);
        let (due_on, period) = entry.due_on(today);
        let done = met.iter().find(|(of, met)| *of == id && met.period == period).map(|(_, met)| met.clone());
        Deadline {
            no: entry.no,
            basis: format!("{} {} 第 {} 项", register.document, register.clause, entry.no),
            category: entry.category.clone(),
            task: entry.task.clone(),
            owner: entry.owner.clone(),
            with: entry.with.clone(),
            due: entry.due.clone(),
            due_on,
            also: entry.also.clone(),
            note: entry.note.clone(),
            overdue: done.is_none() && due_on < today,
            met: done,
            id,
        }
    };
    registers.iter().flat_map(|register| register.rows.iter().map(|entry| row(register, entry))).collect()
}

/// The period that something done now is of.
pub fn period(registers: &[Register], id: &str, today: Date) -> Option<String> {
    let all = registers.iter().flat_map(|register| register.rows.iter().map(move |entry| (register, entry)));
    let mut of = all.filter(|(register, entry)| format!("{}-{}", register.id, entry.no) == id);
    of.next().map(|(_, entry)| entry.due_on(today).1)
}

/// The first day after which something would be late, for whoever waits.
pub fn soon(deadline: &Deadline, today: Date, days: i64) -> bool {
    deadline.met.is_none() && deadline.due_on >= today && deadline.due_on <= today.saturating_add(days.days())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jurisdiction::Profile;
    use jiff::civil::date;

    fn all() -> Vec<Register> {
        registers(&Profile::embedded("suzhou-new-district").unwrap().rooms.registers).unwrap()
    }

    #[test]
    fn the_annexes_are_whole() {
        let all = all();
        let counts: Vec<_> = all.iter().map(|register| register.rows.len()).collect();
        assert_eq!(counts, [25, 23]);
        for register in &all {
            let numbers: Vec<u32> = register.rows.iter().map(|row| row.no).collect();
            assert_eq!(numbers, (1..=u32::try_from(register.rows.len()).unwrap()).collect::<Vec<_>>());
        }
        for id in Profile::embedded_ids() {
            assert!(registers(&Profile::embedded(id).unwrap().rooms.registers).is_ok(), "{id}");
        }
        assert!(matches!(registers(&["x".to_owned()]), Err(RegisterError::Unknown(_))));
    }

    #[test]
    fn a_districts_own_register_stands_beside_ours_by_its_file() {
        let folder = std::env::temp_dir().join(format!("register-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let named = |name: &str, text: &str| {
            std::fs::write(folder.join(name), text).unwrap();
            folder.join(name).display().to_string()
        };
        let sheet =
            named("own.csv", "文件,条款,工作任务,责任部门,期限\n相政办〔2027〕3号,附件,完成撤并,各单位,2027-09-30\n");
        let yaml = named(
            "more.yaml",
            "id: more\ndocument: 甲\ntitle: 《甲》\nclause: 一\nrows:\n  - {no: 1, task: 做完, owner: 某局, due: 年底前, on: 2027-12-31}\n",
        );
        let of = |names: &[&String]| registers(&names.iter().map(|name| (*name).clone()).collect::<Vec<_>>());
        let ours = "jiangsu-2017".to_owned();
        let ids: Vec<_> = of(&[&ours, &sheet, &yaml]).unwrap().into_iter().map(|r| (r.id, r.rows.len())).collect();
        assert_eq!(ids, [("jiangsu-2017".to_owned(), 23), ("own".to_owned(), 1), ("more".to_owned(), 1)]);
        assert!(matches!(of(&[&sheet, &sheet]), Err(RegisterError::Twice(_))));
        assert!(matches!(of(&[&"/nowhere.csv".to_owned()]), Err(RegisterError::Read { .. })));
        let broken = named("broken.csv", "文件,工作任务,责任部门,期限\n甲,做,某局,不久\n");
        let Err(RegisterError::Faulty { faults, .. }) = of(&[&broken]) else { panic!("taken") };
        assert!(faults[0].contains("第 2 行"), "{faults:?}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn of_two_days_both_are_shown_and_the_earlier_alarms() {
        let rows = deadlines(&all(), &[], date(2019, 6, 1));
        let row = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
        let cloud = row("suzhou-new-district-2019-7");
        assert_eq!((cloud.due_on, cloud.also[0].on), (date(2019, 12, 31), date(2020, 6, 30)));
        assert!(!cloud.overdue);
        // Here the text has the earlier day.
        let bases = row("suzhou-new-district-2019-17");
        assert_eq!((bases.due_on, bases.also[0].clause.as_str()), (date(2018, 12, 31), "二 工作目标"));
        assert!(bases.overdue, "and it is over");
        assert_eq!(bases.basis, "苏高新办〔2019〕2号 附件1 第 17 项");
    }

    #[test]
    fn what_is_due_every_year_is_due_again() {
        let id = "suzhou-new-district-2019-25".to_owned();
        let at =
            |today, met: &[(String, Met)]| deadlines(&all(), met, today).into_iter().find(|row| row.id == id).unwrap();
        let done = |period: &str| Met {
            period: period.to_owned(),
            on: date(2026, 1, 20),
            evidence: "报送函".to_owned(),
            by: "wang".to_owned(),
            unit: "区发改局".to_owned(),
        };
        assert_eq!(at(date(2026, 1, 15), &[]).due_on, date(2026, 1, 31));
        assert!(at(date(2026, 2, 1), &[]).overdue);
        let met = [(id.clone(), done("2026"))];
        assert!(!at(date(2026, 12, 1), &met).overdue);
        assert!(at(date(2027, 2, 1), &met).overdue, "last year's is not this year's");
        assert_eq!(period(&all(), &id, date(2027, 2, 1)).as_deref(), Some("2027"));
        assert_eq!(period(&all(), "nothing-1", date(2027, 2, 1)), None);
        assert!(soon(&at(date(2027, 1, 15), &met), date(2027, 1, 15), 30));
    }
}
