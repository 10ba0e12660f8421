//! What is recorded of a system, and when it can be kept. Pure.

use crate::text;
use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Dates outside of these are slips of the pen.
const EARLIEST: Date = date(1970, 1, 1);
const LATEST: Date = date(2099, 12, 31);

/// 使用范围, from small to large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SystemScope)]
pub enum Scope {
    /// 个别处室
    Office,
    /// 本单位
    Department,
    /// 跨部门
    District,
    /// 面向公众
    Public,
}

/// 使用频度
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SystemFrequency)]
pub enum Frequency {
    /// 每天
    Daily,
    /// 每周
    Weekly,
    /// 每月
    Monthly,
    /// 每年
    Yearly,
    /// 几乎不用
    Rarely,
}

/// Not one of the words.
#[derive(Debug, thiserror::Error)]
#[error("unknown word: {0:?}")]
pub struct UnknownWord(String);

macro_rules! words {
    ($name:ident: $($variant:ident = $word:literal, $label:literal;)+) => {
        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable word, as in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What people read.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(s: &str) -> Result<Self, UnknownWord> {
                let found = Self::ALL.iter().find(|one| one.word() == s || one.label() == s);
                found.copied().ok_or_else(|| UnknownWord(s.to_owned()))
            }
        }
    };
}

words! { Scope:
    Office = "office", "个别处室";
    Department = "department", "本单位";
    District = "district", "跨部门";
    Public = "public", "面向公众";
}

words! { Frequency:
    Daily = "daily", "每天";
    Weekly = "weekly", "每周";
    Monthly = "monthly", "每月";
    Yearly = "yearly", "每年";
    Rarely = "rarely", "几乎不用";
}

/// What its department says of a system. An absent value is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SystemFacts)]
pub struct Facts {
    /// 系统名称, one in its department.
    pub name: String,
    /// 功能
    pub purpose: String,
    pub scope: Option<Scope>,
    pub frequency: Option<Frequency>,
    /// The day of the last update or patch.
    #[schema(value_type = Option<String>, format = Date)]
    pub last_updated_on: Option<Date>,
    /// The last day of the maintenance contract.
    #[schema(value_type = Option<String>, format = Date)]
    pub maintained_until: Option<Date>,
    /// The day of the last login that somebody knows of.
    #[schema(value_type = Option<String>, format = Date)]
    pub last_login_on: Option<Date>,
    /// The system that does its work now: a name or an id of ours.
    pub replaced_by: Option<String>,
}

impl Facts {
    /// The facts in their canonical form, or everything that is wrong with them, each as `/field: 说明；改法`.
    pub fn check(self, today: Date) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut kept = |field: &str, text: &str, limits: text::Limits| {
            text::said(text, limits).unwrap_or_else(|fault| {
                faults.push(format!(
                    "/{field}: 文字不符合要求（{fault}）；请改为 1 至 {} 字{}",
                    limits.max_chars,
                    if limits.multiline { "" } else { "的一行文字" }
                ));
                String::new()
            })
        };
        let name = kept("name", &self.name, text::NAME);
        let purpose = kept("purpose", &self.purpose, text::PROSE);
        let replaced_by = self.replaced_by.as_deref().map(|other| kept("replaced_by", other, text::NAME));
        let itself = replaced_by.as_ref().is_some_and(|other| text::fold(other) == text::fold(&name));
        if itself && !name.is_empty() {
            faults.push("/replaced_by: 系统不能由自己替代；请填写替代它的系统的名称，没有就不填".to_owned());
        }
        for (field, day, past) in [
            ("last_updated_on", self.last_updated_on, true),
            ("maintained_until", self.maintained_until, false),
            ("last_login_on", self.last_login_on, true),
        ] {
            let Some(day) = day else { continue };
            if !(EARLIEST..=LATEST).contains(&day) {
                faults.push(format!("/{field}: {day} 不在 1970 至 2099 年之间；请核对日期"));
            } else if past && day > today {
                faults.push(format!("/{field}: {day} 还没有到（今天是 {today}）；请填写已经过去的日期，不知道就不填"));
            }
        }
        if faults.is_empty() { Ok(Self { name, purpose, replaced_by, ..self }) } else { Err(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = date(2026, 11, 30);

    fn facts() -> Facts {
        Facts {
            name: "低保审批系统".to_owned(),
            purpose: "低保申请的受理与审批".to_owned(),
            scope: Some(Scope::Department),
            frequency: None,
            last_updated_on: Some(date(2024, 5, 1)),
            maintained_until: Some(date(2027, 1, 1)),
            last_login_on: Some(TODAY),
            replaced_by: None,
        }
    }

    #[test]
    fn facts_are_kept_in_one_form() {
        let kept = Facts { name: " 低保审批系统\t".to_owned(), ..facts() }.check(TODAY).unwrap();
        assert_eq!(kept, facts());
    }

    #[test]
    fn every_fault_is_told_at_once_by_its_field() {
        let bad = Facts {
            name: "a\u{202e}b".to_owned(),
            purpose: " ".to_owned(),
            last_updated_on: Some(date(2026, 12, 1)),
            maintained_until: Some(date(9999, 1, 1)),
            last_login_on: Some(date(1969, 12, 31)),
            replaced_by: Some("字".repeat(101)),
            ..facts()
        };
        let faults = bad.check(TODAY).unwrap_err();
        let fields =
            ["/name:", "/purpose:", "/last_updated_on:", "/maintained_until:", "/last_login_on:", "/replaced_by:"];
        for field in fields {
            assert!(faults.iter().any(|fault| fault.starts_with(field)), "{field} {faults:?}");
        }
        assert_eq!(faults.len(), fields.len(), "{faults:?}");
    }

    #[test]
    fn no_system_is_replaced_by_itself() {
        let bad = Facts { replaced_by: Some("低保 审批系统".to_owned()), ..facts() };
        assert!(bad.check(TODAY).unwrap_err()[0].starts_with("/replaced_by:"));
    }

    #[test]
    fn words_and_labels_are_read_and_nothing_else() {
        for scope in Scope::ALL {
            assert_eq!(scope.word().parse::<Scope>().unwrap(), *scope);
            assert_eq!(scope.label().parse::<Scope>().unwrap(), *scope);
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.word());
        }
        for frequency in Frequency::ALL {
            assert_eq!(frequency.label().parse::<Frequency>().unwrap(), *frequency);
            assert_eq!(serde_json::to_value(frequency).unwrap(), frequency.word());
        }
        assert!("全区".parse::<Scope>().is_err() && "".parse::<Frequency>().is_err());
    }
}
