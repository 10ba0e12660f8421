//! The rules as people read them: each with the clause that it rests on in one district, and since when.

use crate::{
    jurisdiction::{OWN_RULE, Profile},
    rule::{Code, OWN_RULES_SINCE},
};
use jiff::civil::Date;
use serde::Serialize;
use std::fmt::Write as _;

/// One rule in one district.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Rule)]
pub struct Entry {
    /// Stable; also the reason in a Kubernetes condition.
    pub code: &'static str,
    /// JSON pointer of the field that it judges; empty for a rule about any field.
    pub field: &'static str,
    /// What it says; … stands for the values.
    pub sentence: String,
    pub mend: String,
    /// The document's printed number, or its title; absent for a rule of the platform's own.
    pub document: Option<String>,
    pub clause: Option<String>,
    /// Document and clause in one, or 依据：平台规则.
    pub basis: String,
    /// The district whose document it is; 平台 for a rule of the platform's own.
    pub jurisdiction: String,
    #[schema(value_type = String, format = Date)]
    pub in_force_from: Date,
}

/// All rules in a district, in the order of the table.
pub fn entries(profile: &Profile) -> Vec<Entry> {
    Code::ALL.iter().map(|code| entry(profile, *code)).collect()
}

fn entry(profile: &Profile, code: Code) -> Entry {
    let rule = code.rule();
    let clause = profile.clauses.get(&code);
    let document = clause.and_then(|clause| profile.documents.get(&clause.document));
    Entry {
        code: rule.code,
        field: rule.field,
        sentence: plain(rule.sentence, profile),
        mend: plain(rule.mend, profile),
        document: document.map(|d| d.number.clone().unwrap_or_else(|| d.title.clone())),
        clause: clause.map(|clause| clause.clause.clone()),
        basis: profile.basis(code),
        jurisdiction: document.map_or_else(|| "平台".to_owned(), |_| profile.name.clone()),
        in_force_from: document.map_or(OWN_RULES_SINCE, |d| d.in_force_from),
    }
}

/// The sentence with its places as ….
fn plain(sentence: &str, profile: &Profile) -> String {
    let mut out = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, tail) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(if place == "authority" { &profile.authority_name } else { "…" });
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The page of documentation.
pub fn page(profile: &Profile) -> String {
    let mut text = format!(
        "# 审核规则（{}）\n\n由 `jiyue rules list` 的同一张表生成，改动规则后用测试更新，不手工编辑。{OWN_RULE}，指没有条文依据、由平台自定的规则。\n\n\
         | 规则 | 字段 | 说明 | 怎么改 | 依据 | 适用 | 生效日期 |\n|---|---|---|---|---|---|---|\n",
        profile.name
    );
    for e in entries(profile) {
        let field = if e.field.is_empty() { "任一字段" } else { e.field };
        // Writing to a string cannot fail.
        _ = writeln!(
            text,
            "| `{}` | {field} | {} | {} | {} | {} | {} |",
            e.code, e.sentence, e.mend, e.basis, e.jurisdiction, e.in_force_from
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_document_clause_and_day() {
        let profile = Profile::embedded("xiangcheng").unwrap();
        let all = entries(&profile);
        assert!(all.len() >= 25);
        let of = |code: &str| all.iter().find(|e| e.code == code).unwrap();
        let room = of("machine_room_refused");
        assert_eq!(room.basis, "相政办〔2018〕151号 二（一）具体要求1");
        assert_eq!((room.jurisdiction.as_str(), room.in_force_from.to_string()), ("相城区", "2018-08-22".to_owned()));
        let own = of("basis_unclear");
        assert_eq!((own.document.as_deref(), own.basis.as_str(), own.jurisdiction.as_str()), (None, OWN_RULE, "平台"));
        assert!(all.iter().all(|e| !e.sentence.contains('{') && !e.mend.contains('}')));
    }

    #[test]
    fn a_code_can_be_the_reason_of_a_kubernetes_condition() {
        for code in Code::ALL {
            let word = code.as_str();
            assert!(word.len() <= 1024 && word.starts_with(|c: char| c.is_ascii_alphabetic()), "{word}");
            assert!(word.ends_with(|c: char| c.is_ascii_alphanumeric()), "{word}");
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || "_,:".contains(c)), "{word}");
        }
    }
}
