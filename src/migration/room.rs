//! Rooms (机房): what kind each is, when it has to be closed, and what has been proven of its closing.

use super::said::{Said, Unit};
use crate::ids::RoomId;
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// 机房类型. Only an ordinary one has to be closed (相政办〔2018〕151号 二（一）基本原则2、具体要求3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomKind)]
pub enum Kind {
    /// 接入机房
    Access,
    /// 上级明确要求不能撤销的机房
    UpperMandated,
    /// 普通机房
    Ordinary,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Access, Self::UpperMandated, Self::Ordinary];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::UpperMandated => "upper_mandated",
            Self::Ordinary => "ordinary",
        }
    }

    /// What people read and write.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Access => "接入机房",
            Self::UpperMandated => "上级指定机房",
            Self::Ordinary => "普通机房",
        }
    }
}

/// Not a kind of room.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of room: {0:?}")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    /// The label may lack its 机房.
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        let same = |kind: &Self| {
            kind.word() == word || kind.label() == word || kind.label().strip_suffix("机房") == Some(word)
        };
        Self::ALL.into_iter().find(same).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// Where a thing of the survey stands in the sum: whatever it is called, it is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomStanding)]
pub enum Standing {
    /// Still to be closed, or to be moved.
    Pending,
    /// May stay, on evidence.
    Exempt,
    /// Closed; switched off at its source.
    Gone,
}

/// Not a standing.
#[derive(Debug, thiserror::Error)]
#[error("unknown standing: {0:?}")]
pub struct UnknownStanding(String);

impl FromStr for Standing {
    type Err = UnknownStanding;
    fn from_str(word: &str) -> Result<Self, UnknownStanding> {
        let all = [Self::Pending, Self::Exempt, Self::Gone];
        all.into_iter().find(|one| one.word() == word).ok_or_else(|| UnknownStanding(word.to_owned()))
    }
}

impl Standing {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Exempt => "exempt",
            Self::Gone => "gone",
        }
    }
}

/// What has to be proven before a room is closed, in this order. The first is known from the systems themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomGate)]
pub enum Gate {
    /// Every system is gone or exempt.
    SystemsGone,
    /// Every server is off, with evidence for each.
    ServersOff,
    /// 设备处置
    EquipmentDisposed,
    /// 网络断开
    NetworkCut,
    /// Two persons of two 单位 have signed.
    Signed,
}

impl Gate {
    pub const ALL: [Self; 5] =
        [Self::SystemsGone, Self::ServersOff, Self::EquipmentDisposed, Self::NetworkCut, Self::Signed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::SystemsGone => "systems_gone",
            Self::ServersOff => "servers_off",
            Self::EquipmentDisposed => "equipment_disposed",
            Self::NetworkCut => "network_cut",
            Self::Signed => "signed",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::SystemsGone => "系统迁出",
            Self::ServersOff => "服务器下电",
            Self::EquipmentDisposed => "设备处置",
            Self::NetworkCut => "网络断开",
            Self::Signed => "两个单位签字",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A signature under a room's closing, good for what the room was when it was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RoomSignature)]
pub struct Signature {
    #[serde(flatten)]
    pub said: Said,
    /// Digest of the room, its systems and servers as they were.
    pub seen: String,
}

/// What the survey says of a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RoomFacts)]
pub struct Facts {
    pub kind: Kind,
    /// What proves that it is of another kind than an ordinary one.
    pub evidence: Option<String>,
    /// The document that orders its closing, where it is another than the district's own.
    pub document: Option<String>,
    /// That document's date.
    #[schema(value_type = Option<String>, format = Date)]
    pub document_on: Option<Date>,
    /// The last day, where somebody has set another than the document's years give.
    #[schema(value_type = Option<String>, format = Date)]
    pub due_on: Option<Date>,
    pub address: Option<String>,
    /// 面积, m².
    pub area: Option<f64>,
    pub racks: Option<i64>,
    /// 供电容量, kW.
    pub power: Option<f64>,
}

/// 机房
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Room {
    pub id: RoomId,
    pub unit: Unit,
    /// 机房名称, one in its department.
    pub name: String,
    pub facts: Facts,
    /// The day on which it came into the survey.
    pub surveyed_on: Date,
    /// What has been recorded, by gate.
    #[serde(default)]
    pub proofs: BTreeMap<Gate, Said>,
    #[serde(default)]
    pub signatures: Vec<Signature>,
    #[serde(default)]
    pub closed_on: Option<Date>,
    /// Why it was opened again, each time.
    #[serde(default)]
    pub reopened: Vec<Said>,
    /// What it was before, each time that its kind was changed.
    #[serde(default)]
    pub reclassified: Vec<Reclassified>,
}

/// A change of a room's kind. It changes no sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RoomReclassified)]
pub struct Reclassified {
    pub from: Kind,
    pub to: Kind,
    #[schema(value_type = String, format = Date)]
    pub on: Date,
    pub by: String,
    /// What proves it.
    pub evidence: Option<String>,
}

/// What a district's documents say of how long rooms may go on; nothing where they say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// The day of the document that orders the closing.
    pub from: Option<Date>,
    /// Within so many years.
    pub years: Option<i64>,
}

impl Room {
    /// An ordinary one, of which nothing else is known yet.
    pub const fn new(id: RoomId, unit: Unit, name: String, surveyed_on: Date) -> Self {
        Self {
            id,
            unit,
            name,
            facts: Facts {
                kind: Kind::Ordinary,
                evidence: None,
                document: None,
                document_on: None,
                due_on: None,
                address: None,
                area: None,
                racks: None,
                power: None,
            },
            surveyed_on,
            proofs: BTreeMap::new(),
            signatures: Vec::new(),
            closed_on: None,
            reopened: Vec::new(),
            reclassified: Vec::new(),
        }
    }

    pub fn standing(&self) -> Standing {
        match (self.closed_on, self.facts.kind) {
            (Some(_), _) => Standing::Gone,
            (None, Kind::Ordinary) => Standing::Pending,
            (None, Kind::Access | Kind::UpperMandated) => Standing::Exempt,
        }
    }

    /// The last day for its closing; none for one that may stay.
    pub fn due_on(&self, term: Term) -> Option<Date> {
        let counted = || Some(self.facts.document_on.or(term.from)?.saturating_add(term.years?.years()));
        self.facts.due_on.or_else(counted).filter(|_| self.facts.kind == Kind::Ordinary)
    }

    /// Days past its last day, on a day; none where it is closed, may stay, or has time.
    pub fn late_days(&self, term: Term, today: Date) -> Option<i64> {
        let due = self.due_on(term).filter(|_| self.standing() == Standing::Pending)?;
        let days = i64::from(due.until(today).map_or(0, |span| span.get_days()));
        (days > 0).then_some(days)
    }
}
