//! What becomes of a system: how hard it is to move, what was decided (继承、重构、摒弃), and how far it has come.

use super::said::Said;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// 继承、重构、摒弃必要性分析 (苏高新办〔2019〕2号 三（二）6). There is no fourth: what stays is exempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// 继承: moved as it is.
    Inherit,
    /// 重构: built anew for the cloud.
    Rebuild,
    /// 摒弃: given up.
    Discard,
}

impl Disposition {
    pub const ALL: [Self; 3] = [Self::Inherit, Self::Rebuild, Self::Discard];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Inherit => "inherit",
            Self::Rebuild => "rebuild",
            Self::Discard => "discard",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Inherit => "继承",
            Self::Rebuild => "重构",
            Self::Discard => "摒弃",
        }
    }
}

/// How far a system has come on its way out of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SystemStage)]
pub enum Stage {
    Surveyed,
    /// Its difficulty has been looked at.
    Assessed,
    Decided,
    /// It has a day.
    Planned,
    Rehearsed,
    CutOver,
    /// 迁移后测试通过: the one test that the three-year plan demands (五（一）1).
    Tested,
    SourceOff,
    Archived,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SystemStep)]
pub enum Step {
    Assess,
    Decide,
    Plan,
    Rehearse,
    CutOver,
    Test,
    SwitchOff,
    Archive,
    /// Back to where it was decided; the source runs on.
    RollBack,
}

/// The step does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a system that is {stage} does not take {step}")]
pub struct Refusal {
    pub stage: Stage,
    pub step: Step,
}

impl Stage {
    pub const ALL: [Self; 9] = [
        Self::Surveyed,
        Self::Assessed,
        Self::Decided,
        Self::Planned,
        Self::Rehearsed,
        Self::CutOver,
        Self::Tested,
        Self::SourceOff,
        Self::Archived,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Surveyed => "surveyed",
            Self::Assessed => "assessed",
            Self::Decided => "decided",
            Self::Planned => "planned",
            Self::Rehearsed => "rehearsed",
            Self::CutOver => "cut_over",
            Self::Tested => "tested",
            Self::SourceOff => "source_off",
            Self::Archived => "archived",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Surveyed => "已普查",
            Self::Assessed => "已评估",
            Self::Decided => "已定去向",
            Self::Planned => "已排期",
            Self::Rehearsed => "已演练",
            Self::CutOver => "已割接",
            Self::Tested => "测试通过",
            Self::SourceOff => "原址已停",
            Self::Archived => "已归档",
        }
    }

    /// One step at a time, and what is given up is not moved: it is switched off from where it was decided.
    pub fn next(self, step: Step, fate: Option<Disposition>) -> Result<Self, Refusal> {
        let moves = matches!(fate, Some(Disposition::Inherit | Disposition::Rebuild));
        let ends = fate == Some(Disposition::Discard);
        match (self, step) {
            (Self::Surveyed | Self::Assessed, Step::Assess) => Ok(Self::Assessed),
            // Until it has a day, it may be decided otherwise.
            (Self::Assessed | Self::Decided, Step::Decide)
            | (Self::Planned | Self::Rehearsed | Self::CutOver | Self::Tested, Step::RollBack) => Ok(Self::Decided),
            (Self::Decided, Step::Plan) if moves => Ok(Self::Planned),
            (Self::Planned, Step::Rehearse) => Ok(Self::Rehearsed),
            (Self::Rehearsed, Step::CutOver) => Ok(Self::CutOver),
            (Self::CutOver, Step::Test) => Ok(Self::Tested),
            (from, Step::SwitchOff) if from == Self::Tested || (from == Self::Decided && ends) => Ok(Self::SourceOff),
            (Self::SourceOff, Step::Archive) => Ok(Self::Archived),
            (stage, step) => Err(Refusal { stage, step }),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Step {
    pub const ALL: [Self; 9] = [
        Self::Assess,
        Self::Decide,
        Self::Plan,
        Self::Rehearse,
        Self::CutOver,
        Self::Test,
        Self::SwitchOff,
        Self::Archive,
        Self::RollBack,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Assess => "assess",
            Self::Decide => "decide",
            Self::Plan => "plan",
            Self::Rehearse => "rehearse",
            Self::CutOver => "cut_over",
            Self::Test => "test",
            Self::SwitchOff => "switch_off",
            Self::Archive => "archive",
            Self::RollBack => "roll_back",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a node at which systems move.
#[derive(Debug, thiserror::Error)]
#[error("unknown trigger: {0:?}")]
pub struct UnknownTrigger(String);

/// 升级、改造、续建、运维: the nodes at which systems move (相政办〔2018〕151号 二（一）具体要求2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MoveTrigger)]
pub enum Trigger {
    Upgrade,
    Renovate,
    Continue,
    Maintain,
}

impl Trigger {
    pub const ALL: [Self; 4] = [Self::Upgrade, Self::Renovate, Self::Continue, Self::Maintain];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Renovate => "renovate",
            Self::Continue => "continue",
            Self::Maintain => "maintain",
        }
    }
}

impl FromStr for Trigger {
    type Err = UnknownTrigger;
    fn from_str(word: &str) -> Result<Self, UnknownTrigger> {
        Self::ALL.into_iter().find(|one| one.word() == word).ok_or_else(|| UnknownTrigger(word.to_owned()))
    }
}

/// The decision, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SystemDecision)]
pub struct Decision {
    pub disposition: Disposition,
    /// 必要性分析: why. Its author and day.
    #[serde(flatten)]
    pub said: Said,
    /// The system that does its work from now on.
    pub replaced_by: Option<String>,
    /// The finding that it is a zombie.
    pub finding_id: Option<String>,
}

/// May stay until a day, on evidence (现场生产作业, 相政办〔2018〕151号 二（一）基本原则3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SystemExemption)]
pub struct Exemption {
    /// The last day.
    #[schema(value_type = String, format = Date)]
    pub until: Date,
    #[serde(flatten)]
    pub said: Said,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SystemStepTaken)]
pub struct Taken {
    pub step: Step,
    #[serde(flatten)]
    pub said: Said,
}
