//! `jiyue zombie …`: types, and how they are carried out.

use super::{
    IdArg, ListArgs, ShowArgs,
    language::{say, tr},
    parsers::{choices, name},
    problem::Failure,
    session::{Session, object},
    tables::Kind,
};
use crate::jurisdiction::Criterion;
use clap::{Subcommand, ValueEnum, builder::PossibleValue};
use serde_json::{Value, json};
use std::{io::Write as _, path::PathBuf};

#[derive(Debug, Subcommand)]
pub enum ZombieCommand {
    /// 判定一个信息系统是否疑似僵尸系统，逐条写明依据（审批人、运维员）
    #[command(after_help = "例：
  jiyue zombie judge 系统编号
  jiyue zombie judge 系统编号 -o json

按本地区文件的条件判定。符合任何一条即为疑似；没有数据的条件为“不明”，不作为依据。")]
    Judge(IdArg),
    /// 列出判定
    #[command(after_help = "例：
  jiyue zombie list
  jiyue zombie list --state asked --department education
  jiyue zombie list --system 系统编号")]
    List {
        /// 只看某个状态，如 suspected、asked、confirmed
        #[arg(long)]
        state: Option<String>,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 只看某个系统的
        #[arg(long, value_name = "ID", value_parser = name)]
        system: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一项判定和全部证据
    #[command(after_help = "例：\n  jiyue zombie show ID\n  jiyue zombie show ID --watch")]
    Show(ShowArgs),
    /// 征求建设单位的意见（审批人、运维员）
    #[command(after_help = "例：\n  jiyue zombie ask ID\n  jiyue zombie ask ID --due 2027-01-31")]
    Ask {
        #[command(flatten)]
        target: IdArg,
        /// 答复期限；不给则由服务定
        #[arg(long, value_name = "DATE")]
        due: Option<String>,
    },
    /// 建设单位答复（申请人）
    #[command(after_help = "例：
  jiyue zombie reply ID --answer agree --reason '业务已并入省平台'
  jiyue zombie reply ID --answer replaced --replaced-by 民政一体化平台 --reason '2025 年起停用'
  jiyue zombie reply ID --answer object --reason '每年 6 月年审使用' --denies little_used

认定之前可以再次答复，以最后一次为准。")]
    Reply {
        #[command(flatten)]
        target: IdArg,
        /// agree 认可、replaced 已由其他系统替代、object 有异议
        #[arg(long, value_enum, hide_possible_values = true)]
        answer: Answer,
        /// 理由
        #[arg(long)]
        reason: String,
        /// 由哪个系统替代
        #[arg(long, value_name = "NAME", required_if_eq("answer", "replaced"))]
        replaced_by: Option<String>,
        #[arg(help = "认为符合的条件，可重复：out_of_step、replaced、idle、unmaintained、little_used")]
        #[arg(long, value_enum, value_name = "CRITERION", hide_possible_values = true)]
        holds: Vec<Criterion>,
        /// 认为不符合的条件，可重复
        #[arg(long, value_enum, value_name = "CRITERION", hide_possible_values = true)]
        denies: Vec<Criterion>,
    },
    /// 豁免到某一天，最长一年，写明证据；到期重新判定（审批人）
    #[command(
        after_help = "例：\n  jiyue zombie exempt ID --until 2027-06-30 --evidence '区审计局来函：审计期间保留数据'"
    )]
    Exempt {
        #[command(flatten)]
        target: IdArg,
        /// 豁免到哪一天
        #[arg(long, value_name = "DATE")]
        until: String,
        /// 证据
        #[arg(long, value_name = "TEXT")]
        evidence: String,
    },
    /// 认定为僵尸系统（审批人）
    #[command(after_help = "例：
  jiyue zombie confirm ID --reason '空闲一年以上，单位认可'

建设单位答复之后，或答复期限过后，依据充分的才能认定；不明的条件不计。")]
    Confirm {
        #[command(flatten)]
        target: IdArg,
        /// 认定意见
        #[arg(long)]
        reason: String,
    },
    /// 不予认定（审批人）
    #[command(after_help = "例：\n  jiyue zombie dismiss ID --reason '每年年审使用，保留'")]
    Dismiss {
        #[command(flatten)]
        target: IdArg,
        /// 理由
        #[arg(long)]
        reason: String,
    },
    /// 备案（审批人）
    #[command(after_help = "例：\n  jiyue zombie file ID --number 相信清〔2026〕3号")]
    File {
        #[command(flatten)]
        target: IdArg,
        /// 备案号
        #[arg(long, value_name = "NUMBER")]
        number: Option<String>,
    },
    /// 把备案表存为 Excel 文件；认定之后才有
    #[command(after_help = "例：\n  jiyue zombie sheet ID --to 备案表.xlsx")]
    Sheet {
        #[command(flatten)]
        target: IdArg,
        /// 存到哪个文件；已有的不覆盖
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

choices! {
    /// What an owner says.
    Answer: Agree = "agree", Replaced = "replaced", Object = "object";
}

impl ValueEnum for Criterion {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.word()))
    }
}

pub async fn run(session: &Session<'_>, command: ZombieCommand) -> Result<(), Failure> {
    let client = &session.client;
    let (id, act, body, said) = match command {
        ZombieCommand::Judge(target) => return judge(session, &target.id).await,
        ZombieCommand::List { state, department, system, list } => {
            let fields =
                [("state", state.as_deref()), ("department", department.as_deref()), ("system_id", system.as_deref())];
            return session.list(Kind::Zombie, &["zombie-findings"], &fields, &list).await;
        }
        ZombieCommand::Show(args) => return session.show(Kind::Zombie, "zombie-findings", args).await,
        ZombieCommand::Sheet { target, to } => {
            let content = client.bytes(&["zombie-findings", &target.id, "sheet"]).await?;
            std::fs::File::create_new(&to).and_then(|mut file| file.write_all(&content))?;
            let answer = json!({"file": to, "size_bytes": content.len()});
            return Ok(session.screen.done(&say!("备案表已存到 {to}", to = to.display()), &answer)?);
        }
        ZombieCommand::Ask { target, due } => {
            (target.id, "ask", object(&[("due_on", due.map(Into::into))]), "已征求建设单位的意见")
        }
        ZombieCommand::Reply { target, answer, reason, replaced_by, holds, denies } => {
            let body = object(&[
                ("answer", Some(answer.word().into())),
                ("reason", Some(reason.into())),
                ("replaced_by", replaced_by.map(Into::into)),
                ("holds", Some(json!(holds))),
                ("denies", Some(json!(denies))),
            ]);
            (target.id, "reply", body, "已答复")
        }
        ZombieCommand::Exempt { target, until, evidence } => {
            let body = object(&[("until", Some(until.into())), ("evidence", Some(evidence.into()))]);
            (target.id, "exempt", body, "已豁免")
        }
        ZombieCommand::Confirm { target, reason } => {
            (target.id, "confirm", object(&[("reason", Some(reason.into()))]), "已认定为僵尸系统")
        }
        ZombieCommand::Dismiss { target, reason } => {
            (target.id, "dismiss", object(&[("reason", Some(reason.into()))]), "不予认定")
        }
        ZombieCommand::File { target, number } => {
            (target.id, "file", object(&[("number", number.map(Into::into))]), "已备案")
        }
    };
    let answer = client.post(&["zombie-findings", &id, act], &body).await?;
    session.made(said, Kind::Zombie, &answer.body)
}

/// The finding where there is one; else what each criterion says.
async fn judge(session: &Session<'_>, id: &str) -> Result<(), Failure> {
    let answer = session.client.post(&["systems", id, "judge"], &json!({})).await?;
    let body = &answer.body;
    if !session.screen.for_people() {
        return Ok(session.screen.document(body)?);
    }
    let suspected = body.get("suspected") == Some(&Value::Bool(true));
    session.screen.done(tr(if suspected { "疑似僵尸系统" } else { "没有符合的条件" }), body)?;
    match body.get("finding").filter(|finding| finding.is_object()) {
        Some(finding) => Ok(session.screen.one(Kind::Zombie, finding)?),
        None => Ok(session.screen.one(Kind::Zombie, body)?),
    }
}
