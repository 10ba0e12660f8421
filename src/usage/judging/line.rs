//! A judgement as a report needs it.

use super::{Evidence, Subject};
use crate::usage::{
    advice::Advice,
    verdict::{Code, Judgement, Verdict},
};
use serde::Deserialize;

/// Whole where a report shows what it rests on; of the many machines that are only counted, what is counted and advised.
#[derive(Clone, Debug)]
pub enum Line {
    Whole(Box<Evidence>),
    Brief(Box<Brief>),
}

/// The part of kept evidence that a report has of a machine in use.
#[derive(Clone, Debug, Deserialize)]
pub struct Brief {
    subject: Subject,
    judgement: Short,
    advice: Vec<Advice>,
}

#[derive(Clone, Debug, Deserialize)]
struct Short {
    rule_set: String,
    rule_version: u32,
    verdict: Verdict,
    reasons: Vec<Why>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Why {
    code: Code,
}

impl Brief {
    /// `None` of what a report shows with all that it rests on.
    pub(super) fn of(subject: &Subject, judgement: &Judgement, advice: &[Advice]) -> Option<Self> {
        let judgement = Short {
            rule_set: judgement.rule_set.clone(),
            rule_version: judgement.rule_version,
            verdict: judgement.verdict,
            reasons: judgement.reasons.iter().map(|why| Why { code: why.code }).collect(),
        };
        judgement.is_enough().then(|| Self { subject: subject.clone(), judgement, advice: advice.to_vec() })
    }
}

impl Short {
    fn is_enough(&self) -> bool {
        let border = self.reasons.iter().any(|why| why.code == Code::OnTheBorder);
        matches!(self.verdict, Verdict::Busy | Verdict::Low) && !border
    }
}

impl Line {
    /// From evidence as it was kept.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        let brief: Brief = serde_json::from_str(text)?;
        if brief.judgement.is_enough() {
            return Ok(Self::Brief(Box::new(brief)));
        }
        Ok(Self::Whole(serde_json::from_str(text)?))
    }

    pub fn subject(&self) -> &Subject {
        match self {
            Self::Whole(evidence) => &evidence.subject,
            Self::Brief(brief) => &brief.subject,
        }
    }

    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Whole(evidence) => evidence.judgement.verdict,
            Self::Brief(brief) => brief.judgement.verdict,
        }
    }

    /// The name and the version of the rules that it was judged by.
    pub fn rules(&self) -> (&str, u32) {
        match self {
            Self::Whole(evidence) => (&evidence.judgement.rule_set, evidence.judgement.rule_version),
            Self::Brief(brief) => (&brief.judgement.rule_set, brief.judgement.rule_version),
        }
    }

    pub fn advice(&self) -> &[Advice] {
        match self {
            Self::Whole(evidence) => &evidence.advice,
            Self::Brief(brief) => &brief.advice,
        }
    }

    /// What it rests on, if it is here.
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Whole(evidence) => Some(evidence),
            Self::Brief(_) => None,
        }
    }
}

impl From<Evidence> for Line {
    fn from(evidence: Evidence) -> Self {
        Self::Whole(Box::new(evidence))
    }
}
