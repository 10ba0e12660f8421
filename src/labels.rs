//! Labels that a request, a task book and the capacity share: where a machine may stand and how well it is protected.

use crate::text::fold;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Network zone (相政办〔2018〕150号 附件1 联网方式). 政务内网 is not one of them: it carries state secrets, which this
/// broker must not (相政办〔2018〕151号 二（一）), so it cannot even be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// 政务外网
    GovernmentExtranet,
    /// 互联网
    Internet,
    /// 政务专网
    GovernmentPrivate,
}

/// Why a text is no [`Zone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneFault {
    /// 政务内网（涉密网）
    #[error("the secret intranet is not served")]
    Intranet,
    #[error("not a network zone")]
    Unknown,
}

impl Zone {
    pub const ALL: [Self; 3] = [Self::GovernmentExtranet, Self::Internet, Self::GovernmentPrivate];

    /// The stable word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::GovernmentExtranet => "government_extranet",
            Self::Internet => "internet",
            Self::GovernmentPrivate => "government_private",
        }
    }

    /// The word of the form.
    pub const fn label(self) -> &'static str {
        match self {
            Self::GovernmentExtranet => "政务外网",
            Self::Internet => "互联网",
            Self::GovernmentPrivate => "政务专网",
        }
    }
}

impl FromStr for Zone {
    type Err = ZoneFault;
    fn from_str(s: &str) -> Result<Self, ZoneFault> {
        match fold(s).as_str() {
            "government_extranet" | "政务外网" | "电子政务外网" | "政务外网区" | "电子政务外网区" => {
                Ok(Self::GovernmentExtranet)
            }
            "internet" | "互联网" | "互联网区" | "互联网接入区" => Ok(Self::Internet),
            "government_private" | "政务专网" | "政务专网区" => Ok(Self::GovernmentPrivate),
            "government_intranet" | "政务内网" | "电子政务内网" | "政务内网(涉密网)" | "政务内网区" | "涉密网" => {
                Err(ZoneFault::Intranet)
            }
            _ => Err(ZoneFault::Unknown),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Level of protection 1 to 4 (等级保护). Level 5 exists in the standard and never on a shared cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct MlpsLevel(u8);

/// Not a level from 1 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an MLPS level from 1 to 4")]
pub struct BadLevel;

impl MlpsLevel {
    /// The highest that can be held here.
    pub const HIGHEST: Self = Self(4);

    pub const fn new(level: i64) -> Option<Self> {
        match level {
            1 => Some(Self(1)),
            2 => Some(Self(2)),
            3 => Some(Self(3)),
            4 => Some(Self(4)),
            _ => None,
        }
    }

    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for MlpsLevel {
    type Error = BadLevel;
    fn try_from(level: u8) -> Result<Self, BadLevel> {
        Self::new(level.into()).ok_or(BadLevel)
    }
}

impl From<MlpsLevel> for u8 {
    fn from(level: MlpsLevel) -> Self {
        level.0
    }
}

impl FromStr for MlpsLevel {
    type Err = BadLevel;
    /// `2`, `2级`, `第二级`, `等保二级`, `按网络安全等级保护第二级建设`: the one level that the text names.
    fn from_str(s: &str) -> Result<Self, BadLevel> {
        let level = |c: char| match c {
            '1' | '一' => Ok(Self(1)),
            '2' | '二' => Ok(Self(2)),
            '3' | '三' => Ok(Self(3)),
            '4' | '四' => Ok(Self(4)),
            _ => Err(BadLevel),
        };
        // Nothing longer names a level, and a number of two digits is none.
        let text: Vec<char> = fold(s).chars().take(100).collect();
        if let [one] = text[..] {
            return level(one);
        }
        let named: Vec<_> = (1..text.len())
            .filter(|n| text[*n] == '级' && text[n - 1] != '等')
            .map(|n| {
                let more = n > 1 && (text[n - 2].is_ascii_digit() || "一二三四五六七八九十".contains(text[n - 2]));
                if more { Err(BadLevel) } else { level(text[n - 1]) }
            })
            .collect();
        match named.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => *first,
            _ => Err(BadLevel),
        }
    }
}

impl fmt::Display for MlpsLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 分散要求: how strongly the machines of one request must keep apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// 尽量: on different hosts while there are enough.
    #[default]
    Prefer,
    /// 必须: each on a host of its own, or none at all.
    Require,
}

/// Not a way to keep apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither prefer nor require")]
pub struct BadSpread;

impl Spread {
    /// For leaving the usual case out of documents.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub fn is_prefer(&self) -> bool {
        *self == Self::Prefer
    }
}

impl FromStr for Spread {
    type Err = BadSpread;
    fn from_str(s: &str) -> Result<Self, BadSpread> {
        let text = fold(s);
        match text.split('(').next().unwrap_or_default() {
            "prefer" | "尽量" | "尽量分散" => Ok(Self::Prefer),
            "require" | "必须" | "必须分散" | "各台分散" => Ok(Self::Require),
            _ => Err(BadSpread),
        }
    }
}

/// 落位要求: what kind of place the machines of a request are to be built on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderWish {
    /// 不限: wherever they fit best.
    #[default]
    Any,
    /// 宿主机: a host of its own.
    Libvirt,
    /// 集群: a Kubernetes cluster.
    Kubevirt,
}

/// Not a kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither any nor libvirt nor kubevirt")]
pub struct BadProviderWish;

impl ProviderWish {
    /// For leaving the usual case out of documents.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

impl FromStr for ProviderWish {
    type Err = BadProviderWish;
    fn from_str(s: &str) -> Result<Self, BadProviderWish> {
        let text = fold(s);
        match text.split('(').next().unwrap_or_default() {
            "any" | "不限" | "无要求" => Ok(Self::Any),
            "libvirt" | "宿主机" => Ok(Self::Libvirt),
            "kubevirt" | "集群" => Ok(Self::Kubevirt),
            _ => Err(BadProviderWish),
        }
    }
}

/// 密级要求. Only what is not secret can be held; everything else is refused on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecrecyLevel {
    /// 非涉密
    None,
}

/// Why a text is no admissible [`SecrecyLevel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecrecyFault {
    /// 涉密、秘密、机密、绝密
    #[error("state secrets are not served")]
    Secret,
    #[error("not a secrecy level")]
    Unknown,
}

impl FromStr for SecrecyLevel {
    type Err = SecrecyFault;
    fn from_str(s: &str) -> Result<Self, SecrecyFault> {
        // What is said not to be secret is taken out; what then still speaks of secrets is one.
        const NOT: [&str; 7] = ["非涉密", "不涉密", "不涉及国家秘密", "不涉及秘密", "不含涉密", "未涉密", "无涉密"];
        let mut text = fold(s);
        let said = NOT.iter().any(|word| text.contains(word));
        for word in NOT {
            text = text.replace(word, "");
        }
        if said && !text.contains('密') {
            return Ok(Self::None);
        }
        match text.as_str() {
            "none" | "非密" | "无" | "无密级" | "公开" => Ok(Self::None),
            "secret" | "confidential" | "top_secret" => Err(SecrecyFault::Secret),
            // Any other word that speaks of secrets is taken as one: to err here is to put a secret on the wrong network.
            _ if text.contains('密') => Err(SecrecyFault::Secret),
            _ => Err(SecrecyFault::Unknown),
        }
    }
}

/// On what a request rests (相政办〔2018〕150号): a task book (第十五条), an urgent project that the district government has
/// approved (第十三条), or a project of an upper level that is on file with the authority (第十四条). All three are
/// registered with their control indicators; the number is that of the task book, the approval or the filing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilingBasis {
    /// 项目任务书
    #[default]
    TaskBook,
    /// 特殊或紧急项目
    Urgent,
    /// 国家、省、市统筹项目
    UpperLevel,
}

/// Not a basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a basis for resources")]
pub struct BadBasis;

impl FilingBasis {
    pub const ALL: [Self; 3] = [Self::TaskBook, Self::Urgent, Self::UpperLevel];

    pub const fn word(self) -> &'static str {
        match self {
            Self::TaskBook => "task_book",
            Self::Urgent => "urgent",
            Self::UpperLevel => "upper_level",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::TaskBook => "项目任务书",
            Self::Urgent => "紧急项目",
            Self::UpperLevel => "上级统筹项目",
        }
    }

    /// For leaving the usual case out of documents.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub fn is_task_book(&self) -> bool {
        *self == Self::TaskBook
    }
}

impl FromStr for FilingBasis {
    type Err = BadBasis;
    fn from_str(s: &str) -> Result<Self, BadBasis> {
        let text = fold(s);
        let text = text.split('(').next().unwrap_or_default();
        match text {
            "task_book" | "项目任务书" | "任务书" => Ok(Self::TaskBook),
            "urgent" => Ok(Self::Urgent),
            "upper_level" => Ok(Self::UpperLevel),
            _ => {
                // 特殊或紧急建设项目, 省统筹安排建设项目: known by the word of its clause, if by one only.
                let urgent = text.contains("紧急") || text.contains("特殊");
                let upper = text.contains("统筹") || text.contains("上级");
                match (urgent, upper, text.contains("任务书")) {
                    (true, false, false) => Ok(Self::Urgent),
                    (false, true, false) => Ok(Self::UpperLevel),
                    _ => Err(BadBasis),
                }
            }
        }
    }
}

impl fmt::Display for FilingBasis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_by_word_and_label() {
        for zone in Zone::ALL {
            assert_eq!(zone.word().parse(), Ok(zone));
            assert_eq!(zone.label().parse(), Ok(zone));
            assert_eq!(serde_json::to_value(zone).unwrap(), zone.word());
        }
        for text in ["政务内网", "政务内网（涉密网）", "government_intranet", " 政务 内网 "] {
            assert_eq!(text.parse::<Zone>(), Err(ZoneFault::Intranet), "{text}");
        }
        assert_eq!("校园网".parse::<Zone>(), Err(ZoneFault::Unknown));
    }

    #[test]
    fn bases_are_read_by_word_and_label() {
        for basis in FilingBasis::ALL {
            assert_eq!(basis.word().parse(), Ok(basis));
            assert_eq!(basis.label().parse(), Ok(basis));
            assert_eq!(serde_json::to_value(basis).unwrap(), basis.word());
        }
        assert_eq!("task_book（项目任务书）".parse(), Ok(FilingBasis::TaskBook));
        assert_eq!("紧急建设项目".parse(), Ok(FilingBasis::Urgent));
        assert_eq!("省统筹安排并拨付资金的项目".parse(), Ok(FilingBasis::UpperLevel));
        assert_eq!("上级统筹的紧急项目".parse::<FilingBasis>(), Err(BadBasis));
        assert_eq!("领导口头同意".parse::<FilingBasis>(), Err(BadBasis));
    }

    #[test]
    fn levels_are_one_to_four() {
        for text in
            ["2", "２级", "二级", "第二级", "等保二级", "等保 2 级", "按网络安全等级保护第二级建设", "二级（第二级）"]
        {
            assert_eq!(text.parse::<MlpsLevel>().map(MlpsLevel::get), Ok(2), "{text}");
        }
        for n in [i64::MIN, -1, 0, 5, 256 + 2, 1 << 32, i64::MAX] {
            assert_eq!(MlpsLevel::new(n), None, "{n}");
        }
        assert!(serde_json::from_str::<MlpsLevel>("5").is_err());
        assert!(serde_json::from_str::<MlpsLevel>("258").is_err());
    }

    #[test]
    fn spreads_are_read_by_word_and_label() {
        for (text, spread) in [
            ("prefer", Spread::Prefer),
            ("尽量", Spread::Prefer),
            ("require（必须）", Spread::Require),
            ("必须", Spread::Require),
        ] {
            assert_eq!(text.parse(), Ok(spread), "{text}");
        }
        assert_eq!("随便".parse::<Spread>(), Err(BadSpread));
    }

    #[test]
    fn wishes_are_read_by_word_and_label() {
        for (text, wish) in [
            ("any", ProviderWish::Any),
            ("不限", ProviderWish::Any),
            ("libvirt（宿主机）", ProviderWish::Libvirt),
            ("宿主机", ProviderWish::Libvirt),
            ("KubeVirt", ProviderWish::Kubevirt),
            (" 集群 ", ProviderWish::Kubevirt),
        ] {
            assert_eq!(text.parse(), Ok(wish), "{text}");
        }
        assert_eq!("公有云".parse::<ProviderWish>(), Err(BadProviderWish));
    }

    #[test]
    fn whatever_speaks_of_secrets_is_secret() {
        for text in ["涉密", "秘密", "机密", "绝密", "工作秘密", "内部（涉密）", "secret", "可能涉密"]
        {
            assert_eq!(text.parse::<SecrecyLevel>(), Err(SecrecyFault::Secret), "{text}");
        }
        for text in ["非涉密（含机密附件）", "非涉密为主，部分涉密"] {
            assert_eq!(text.parse::<SecrecyLevel>(), Err(SecrecyFault::Secret), "{text}");
        }
        for text in ["非涉密", "不涉密", "none", "无", " 非 涉 密 ", "非涉密信息系统", "本项目不涉及国家秘密"]
        {
            assert_eq!(text.parse(), Ok(SecrecyLevel::None), "{text}");
        }
        assert_eq!("普通".parse::<SecrecyLevel>(), Err(SecrecyFault::Unknown));
    }
}
