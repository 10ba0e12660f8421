//! `jiyue system move`, `decide`, `advance`, `exempt`: what becomes of a system on its way out of its room.

use super::{
    IdArg,
    parsers::{choices, name},
    problem::Failure,
    session::{Session, object},
    tables::Kind,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum MoveCommand {
    /// 查看系统的去向：迁移难度、走到哪一步、在等什么
    #[command(after_help = "例：\n  jiyue system move ID\n  jiyue system move ID -o json")]
    Move(IdArg),
    /// 定系统的去向：继承、重构、摒弃（审批人）
    #[command(after_help = "例：
  jiyue system decide ID --disposition inherit --reason '架构可直接上云'
  jiyue system decide ID --disposition discard --reason '功能已并入' --replaced-by 民政一体化平台
  jiyue system decide ID --disposition discard --reason '已认定为僵尸系统' --finding 判定编号

先评估再定；摒弃要写明由哪个系统替代，或附上已认定的僵尸系统判定。")]
    Decide(DecideArgs),
    /// 办理系统迁移的下一步，或退回；每一步都要有证明
    #[command(after_help = "例：
  jiyue system advance ID --step assess --evidence '评估表 2026-11-20'
  jiyue system advance ID --step plan --evidence 排期表 --cutover-on 2027-03-06 --trigger upgrade
  jiyue system advance ID --step test --evidence '迁移后测试报告第3号'
  jiyue system advance ID --step roll_back --evidence '演练发现数据不一致'

依次为 assess 评估、（定去向）、plan 排期、rehearse 演练、cut_over 割接、test 测试、switch_off 停原址、archive 归档；停原址之前可以 roll_back 退回。")]
    Advance(AdvanceArgs),
    /// 准许系统暂不迁出，到某一天为止（审批人）
    #[command(after_help = "例：\n  jiyue system exempt ID --until 2027-12-31 --evidence '现场生产作业，区经信局来函'")]
    Exempt {
        #[command(flatten)]
        target: IdArg,
        /// 到哪一天为止，最长三年
        #[arg(long, value_name = "DATE")]
        until: String,
        /// 证据
        #[arg(long, value_name = "TEXT")]
        evidence: String,
    },
}

#[derive(Debug, Args)]
pub struct DecideArgs {
    #[command(flatten)]
    pub target: IdArg,
    /// inherit 继承、rebuild 重构、discard 摒弃
    #[arg(long, value_enum, hide_possible_values = true)]
    pub disposition: Disposition,
    /// 必要性分析
    #[arg(long)]
    pub reason: String,
    /// 今后由哪个系统替代
    #[arg(long, value_name = "NAME")]
    pub replaced_by: Option<String>,
    /// 已认定的僵尸系统判定
    #[arg(long, value_name = "ID", value_parser = name)]
    pub finding: Option<String>,
}

#[derive(Debug, Args)]
pub struct AdvanceArgs {
    #[command(flatten)]
    pub target: IdArg,
    #[arg(help = "哪一步，如 assess、plan、test、roll_back", long, value_enum, hide_possible_values = true)]
    pub step: Step,
    /// 证明；退回时写原因
    #[arg(long, value_name = "TEXT")]
    pub evidence: String,
    /// 评估时：不用评分，改定的难度，1 至 5
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub difficulty: Option<u8>,
    /// 排期时：哪一天割接
    #[arg(long, value_name = "DATE")]
    pub cutover_on: Option<String>,
    /// 排期时的节点：upgrade 升级、renovate 改造、continue 续建、maintain 运维
    #[arg(long, value_enum, hide_possible_values = true)]
    pub trigger: Option<Trigger>,
}

choices! {
    /// What becomes of a system.
    Disposition: Inherit = "inherit", Rebuild = "rebuild", Discard = "discard";
    /// A step on its way.
    Step: Assess = "assess", Plan = "plan", Rehearse = "rehearse", CutOver = "cut_over", Test = "test",
        SwitchOff = "switch_off", Archive = "archive", RollBack = "roll_back";
    /// At which node it moves.
    Trigger: Upgrade = "upgrade", Renovate = "renovate", Continue = "continue", Maintain = "maintain";
}

pub async fn run(session: &Session<'_>, command: MoveCommand) -> Result<(), Failure> {
    let (id, act, body, said) = match command {
        MoveCommand::Move(target) => {
            let system = session.client.get(&["systems", &target.id, "move"], &[]).await?;
            return Ok(session.screen.one(Kind::SystemMove, &system)?);
        }
        MoveCommand::Decide(args) => {
            let body = object(&[
                ("disposition", Some(args.disposition.word().into())),
                ("reason", Some(args.reason.into())),
                ("replaced_by", args.replaced_by.map(Into::into)),
                ("finding_id", args.finding.map(Into::into)),
            ]);
            (args.target.id, "decide", body, "去向已定")
        }
        MoveCommand::Advance(args) => {
            let body = object(&[
                ("step", Some(args.step.word().into())),
                ("evidence", Some(args.evidence.into())),
                ("difficulty", args.difficulty.map(Into::into)),
                ("cutover_on", args.cutover_on.map(Into::into)),
                ("trigger", args.trigger.map(|trigger| trigger.word().into())),
            ]);
            (args.target.id, "advance", body, "已办理这一步")
        }
        MoveCommand::Exempt { target, until, evidence } => {
            let body = object(&[("until", Some(until.into())), ("evidence", Some(evidence.into()))]);
            (target.id, "exempt", body, "已准许暂不迁出")
        }
    };
    let answer = session.client.post(&["systems", &id, act], &body).await?;
    session.made(said, Kind::SystemMove, &answer.body)
}
