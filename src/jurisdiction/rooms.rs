//! What a district's documents say of machine rooms: when ordinary ones have to be closed, and how much has to be in the
//! cloud by when.

use super::{Clause, Document, clause_faults};
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Applications in the cloud, by a day.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Of all applications. Where the document has no number, the platform's reading.
    pub percent: u8,
    pub by: Date,
    /// As printed.
    pub text: String,
    pub clause: Clause,
}

/// All that they say. A profile without the section says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rooms {
    /// Where it says that ordinary rooms are closed.
    #[serde(default)]
    pub closing: Option<Clause>,
    /// Within so many years of that document's day.
    #[serde(default)]
    pub within_years: Option<i64>,
    /// Where it says at which nodes (升级、改造、续建、运维) systems move.
    #[serde(default)]
    pub nodes: Option<Clause>,
    /// Where it says that each system is inherited, rebuilt or discarded.
    #[serde(default)]
    pub fates: Option<Clause>,
    /// Where it says that what stays on site may stay.
    #[serde(default)]
    pub on_site: Option<Clause>,
    /// Where it says that a system is tested after it was moved.
    #[serde(default)]
    pub tested: Option<Clause>,
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Which dated registers (台账) hold here.
    #[serde(default)]
    pub registers: Vec<String>,
}

impl Rooms {
    pub(super) fn faults(&self, documents: &BTreeMap<String, Document>, faults: &mut Vec<String>) {
        for (field, clause) in [
            ("closing", &self.closing),
            ("nodes", &self.nodes),
            ("fates", &self.fates),
            ("on_site", &self.on_site),
            ("tested", &self.tested),
        ] {
            if let Some(clause) = clause {
                clause_faults(&format!("/rooms/{field}"), clause, documents, faults);
            }
        }
        if self.within_years.is_some_and(|years| !(1..=50).contains(&years)) {
            faults.push("/rooms/within_years: not between 1 and 50".to_owned());
        }
        for (n, target) in self.targets.iter().enumerate() {
            let pointer = format!("/rooms/targets/{n}");
            if !(1..=100).contains(&target.percent) {
                faults.push(format!("{pointer}/percent: not between 1 and 100"));
            }
            if target.text.trim().is_empty() {
                faults.push(format!("{pointer}/text: empty"));
            }
            clause_faults(&pointer, &target.clause, documents, faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::jurisdiction::{OWN_RULE, Profile, ProfileError};
    use jiff::civil::date;

    #[test]
    fn each_district_has_its_own_days_and_clauses() {
        let xiangcheng = Profile::embedded("xiangcheng").unwrap();
        assert_eq!(xiangcheng.closing_basis(), "相政办〔2018〕151号 二（一）具体要求3");
        assert_eq!((xiangcheng.closing_from(), xiangcheng.rooms.within_years), (Some(date(2018, 8, 22)), Some(2)));
        let snd = Profile::embedded("suzhou-new-district").unwrap();
        assert_eq!((snd.closing_basis().as_str(), snd.closing_from()), (OWN_RULE, None));
        let percents: Vec<_> = snd.rooms.targets.iter().map(|target| (target.percent, target.by)).collect();
        assert_eq!(percents, [(50, date(2019, 12, 31)), (95, date(2020, 12, 31))]);
        for target in &snd.rooms.targets {
            assert_eq!(snd.cite(&target.clause), "苏高新办〔2019〕2号 三（二）6");
        }
    }

    #[test]
    fn the_faults_of_rooms_are_named_with_all_others() {
        let text = "
id: x
name: x
authority_name: x
leading_group: x
domain_suffixes: [a.example]
documents: {a: {number: 甲, title: 《甲》, in_force_from: 2020-01-01}}
clauses: {}
zones: [internet]
rooms:
  closing: {document: b, clause: 一}
  within_years: 0
  targets:
    - {percent: 101, by: 2020-01-01, text: ' ', clause: {document: a, clause: ''}}
";
        let Err(ProfileError::Faulty(faults)) = Profile::parse(text) else { panic!("accepted") };
        for pointer in ["/rooms/closing", "/rooms/within_years", "/rooms/targets/0/percent", "/rooms/targets/0/text"] {
            assert!(faults.iter().any(|fault| fault.starts_with(pointer)), "{pointer} {faults:?}");
        }
        assert_eq!(faults.len(), 5, "{faults:?}");
    }
}
