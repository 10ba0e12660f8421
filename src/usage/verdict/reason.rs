//! Why a verdict is what it is: stable codes, and a sentence for people.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $sentence:literal)*) => {
        /// A reason. Kept evidence names codes: they never change their meaning, and are never taken away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $code)] $name,)* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// As people read it.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

codes! {
    // Verdicts.
    CriteriaMet "criteria_met" "规则集的各项条件全部满足"
    CriteriaNotMet "criteria_not_met" "规则集的条件没有全部满足"
    /// A threshold cuts the bin that a figure lies in.
    OnTheBorder "on_the_border" "有指标正处在阈值附近，不按闲置计"
    AllQuiet "all_quiet" "扣除系统自身开销后，观察期内各项指标都没有使用迹象"
    CoverageShort "coverage_short" "观察期内采集到的数据不足，不能据此判断"
    HistoryGaps "history_gaps" "此前的数据有缺失，不能排除期间曾被使用"
    CollectorSilent "collector_silent" "当天采集几乎没有数据"
    TooFewSignals "too_few_signals" "可用的指标少于规定的项数"
    FigureMissing "figure_missing" "判断所需的指标没有数据"
    ExemptUntil "exempt_until" "在豁免期内"
    LoggedIn "logged_in" "观察期内有人登录"
    /// Open all the time: somebody's forgotten terminal. Told, and not taken for use.
    LoginForgotten "login_forgotten" "有一个会话自始至终没有退出，不作为使用依据"
    Connected "connected" "有来自外部的连接"
    SteadyCpu "steady_cpu" "处理器长期高于系统自身开销"
    SteadyReceived "steady_received" "长期有数据流入"
    SteadySent "steady_sent" "长期有数据流出"
    SteadyDisk "steady_disk" "磁盘长期有读写"
    DailyWork "daily_work" "每天都有一段时间在工作"
    BusyDays "busy_days" "观察期内有若干天在工作"
    WorkingHours "working_hours" "使用量随上班时间起落"
    MayReplicate "may_replicate" "像是在接收复制的数据，可能是备机"
    Standby "standby" "同一系统的其他虚拟机在用，本机在接收复制，是备机"
    Recurring "recurring" "以往隔一段时间就会工作，还没有到判定停用的时候"
    OnceAYear "once_a_year" "一年内有过一段时间的工作，到明年同期之前不判为闲置"
    Stopped "stopped" "以前长期在用，后来停了"
    OnlyAtFirst "only_at_first" "只在刚建成时用过"

    // Eligibility.
    NotIdle "not_idle" "没有被判为闲置"
    HistoryShort "history_short" "数据不满一年"
    UsedWithinAYear "used_within_a_year" "一年内曾被使用"
    LoginsUnknown "logins_unknown" "一年里不知道有没有人登录"
    OwnerNotAgreed "owner_not_agreed" "建设单位没有同意回收"
    OwnerObjected "owner_objected" "建设单位不同意回收"
    NotOurRule "not_our_rule" "对照用的规则集，不作为回收依据"
}

/// A code with its sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: Code,
    pub sentence: String,
}

impl From<Code> for Reason {
    fn from(code: Code) -> Self {
        Self { code, sentence: code.sentence().to_owned() }
    }
}
