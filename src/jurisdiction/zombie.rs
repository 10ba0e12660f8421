//! What makes a system a zombie (僵尸系统), as a district's documents have it: the provincial plan and the new district
//! name five criteria (三（一）3), Xiangcheng three (相政办〔2018〕151号 二（二）具体要求5).

use super::{Clause, Document, clause_faults};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// One of the criteria that documents name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ZombieCriterion)]
pub enum Criterion {
    /// 系统使用与实际业务流程长期脱节
    OutOfStep,
    /// 功能可被其他系统替代
    Replaced,
    /// 所占用资源长期处于空闲状态
    Idle,
    /// 运行维护停止更新服务
    Unmaintained,
    /// 使用范围小、频度低
    LittleUsed,
}

impl Criterion {
    pub const ALL: [Self; 5] = [Self::OutOfStep, Self::Replaced, Self::Idle, Self::Unmaintained, Self::LittleUsed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::OutOfStep => "out_of_step",
            Self::Replaced => "replaced",
            Self::Idle => "idle",
            Self::Unmaintained => "unmaintained",
            Self::LittleUsed => "little_used",
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a criterion.
#[derive(Debug, thiserror::Error)]
#[error("unknown criterion {0:?}: expected out_of_step, replaced, idle, unmaintained or little_used")]
pub struct UnknownCriterion(String);

impl FromStr for Criterion {
    type Err = UnknownCriterion;
    fn from_str(word: &str) -> Result<Self, UnknownCriterion> {
        Self::ALL.into_iter().find(|c| c.word() == word).ok_or_else(|| UnknownCriterion(word.to_owned()))
    }
}

/// A criterion as this district's document words it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    pub criterion: Criterion,
    /// As printed.
    pub text: String,
    pub clause: Clause,
}

/// What the district judges systems by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zombie {
    /// How many of the criteria must be met. The documents list them and give no number.
    pub needed: usize,
    /// Empty where the profile names none: then nothing can be judged.
    pub criteria: Vec<Stated>,
    /// Where it says that what is cleared away is reported (报送备案).
    #[serde(default)]
    pub filing: Option<Clause>,
}

impl Default for Zombie {
    fn default() -> Self {
        Self { needed: 1, criteria: Vec::new(), filing: None }
    }
}

impl Zombie {
    pub(super) fn faults(&self, documents: &BTreeMap<String, Document>, faults: &mut Vec<String>) {
        if !(1..=self.criteria.len()).contains(&self.needed) {
            faults.push(format!("/zombie/needed: not between 1 and the number of criteria ({})", self.criteria.len()));
        }
        for (n, stated) in self.criteria.iter().enumerate() {
            let pointer = format!("/zombie/criteria/{n}");
            if stated.text.trim().is_empty() {
                faults.push(format!("{pointer}/text: empty"));
            }
            if self.criteria.iter().take(n).any(|other| other.criterion == stated.criterion) {
                faults.push(format!("{pointer}: {} stands there twice", stated.criterion));
            }
            clause_faults(&pointer, &stated.clause, documents, faults);
        }
        if let Some(clause) = &self.filing {
            clause_faults("/zombie/filing", clause, documents, faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jurisdiction::{Profile, ProfileError};

    #[test]
    fn each_district_has_its_own_criteria_and_clauses() {
        let xiangcheng = Profile::embedded("xiangcheng").unwrap();
        let words = |profile: &Profile| profile.zombie.criteria.iter().map(|s| s.criterion).collect::<Vec<_>>();
        assert_eq!(words(&xiangcheng), [Criterion::Idle, Criterion::Unmaintained, Criterion::Replaced]);
        for stated in &xiangcheng.zombie.criteria {
            assert_eq!(xiangcheng.cite(&stated.clause), "相政办〔2018〕151号 二（二）具体要求5");
        }
        assert_eq!(xiangcheng.filing_basis(), "相政办〔2018〕151号 二（二）具体要求5");
        let snd = Profile::embedded("suzhou-new-district").unwrap();
        assert_eq!(words(&snd), Criterion::ALL);
        for stated in &snd.zombie.criteria {
            assert_eq!(snd.cite(&stated.clause), "苏高新办〔2019〕2号 三（一）3");
        }
        // Its plan asks for no filing.
        assert_eq!(snd.filing_basis(), crate::jurisdiction::OWN_RULE);
    }

    #[test]
    fn the_faults_of_criteria_are_named_with_all_others() {
        let text = "
id: x
name: x
authority_name: x
leading_group: x
domain_suffixes: [a.example]
documents: {a: {number: 甲, title: 《甲》, in_force_from: 2020-01-01}}
clauses: {}
zones: [internet]
zombie:
  needed: 3
  criteria:
    - {criterion: idle, text: ' ', clause: {document: a, clause: 一}}
    - {criterion: idle, text: 空闲, clause: {document: b, clause: 一}}
  filing: {document: a, clause: ''}
";
        let Err(ProfileError::Faulty(faults)) = Profile::parse(text) else { panic!("accepted") };
        let pointers = ["/zombie/needed", "/zombie/criteria/0/text", "/zombie/criteria/1", "/zombie/filing"];
        for pointer in pointers {
            assert!(faults.iter().any(|fault| fault.starts_with(pointer)), "{pointer} {faults:?}");
        }
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(Profile::parse(&text.replace("idle, text: 空闲", "dead, text: 空闲")).is_err());
        // A profile without the section judges nothing, and is none the worse for it.
        let without = text.split("zombie:").next().unwrap();
        assert_eq!(Profile::parse(without).unwrap().zombie, Zombie::default());
    }

    #[test]
    fn words_and_criteria_are_one_to_one() {
        for criterion in Criterion::ALL {
            assert_eq!(criterion.word().parse::<Criterion>().unwrap(), criterion);
            assert_eq!(serde_json::to_value(criterion).unwrap(), criterion.word());
        }
        assert!("dead".parse::<Criterion>().is_err());
    }
}
