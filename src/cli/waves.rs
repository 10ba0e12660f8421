//! `jiyue wave …`, `jiyue blackout …` and `jiyue system request`: types, and how they are carried out.

use super::{
    IdArg, ListArgs, ShowArgs, changes, document,
    parsers::name,
    problem::Failure,
    session::{Session, object},
    tables::Kind,
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum WaveCommand {
    /// 建迁移批次，并检查（审批人、运维员）
    #[command(after_help = "例：
  jiyue wave create 第一批 --from 2027-03-05 --to 2027-03-07 --system 低保审批系统 --system 学籍管理系统
  jiyue wave create 第二批 --from 2027-04-02 --to 2027-04-04 --system 婚姻登记查询=upgrade@2027-06-30

有冲突也可以先建；消除之前，里面的系统不能排期。")]
    Create(WaveArgs),
    /// 列出迁移批次
    #[command(after_help = "例：\n  jiyue wave list\n  jiyue wave list --sort name")]
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看迁移批次：系统、逐项冲突、各网络区域够不够
    #[command(after_help = "例：\n  jiyue wave show ID\n  jiyue wave show ID --watch")]
    Show(ShowArgs),
    /// 检查迁移批次，说出每一处冲突
    #[command(after_help = "例：\n  jiyue wave check ID\n  jiyue wave check ID -o json")]
    Check(IdArg),
    /// 改迁移批次；给了 --system 的，整批换成给出的这些（审批人、运维员）
    #[command(after_help = "例：
  jiyue wave set ID --from 2027-03-12 --to 2027-03-14
  jiyue wave set ID --system 低保审批系统 --system 学籍管理系统

已排期的系统不能移出，先退回它。改的时候别人也改了的，不会覆盖：退出码 4，重新看一遍再改。")]
    Set(WaveSetArgs),
    /// 删除迁移批次；已有系统按它排期的不能删（审批人、运维员）
    #[command(after_help = "例：\n  jiyue wave delete ID")]
    Delete(IdArg),
}

#[derive(Debug, Args)]
pub struct WaveArgs {
    /// 批次名称
    #[arg(value_parser = name)]
    pub name: String,
    /// 割接窗口的第一天
    #[arg(long, value_name = "DATE")]
    pub from: String,
    /// 割接窗口的最后一天
    #[arg(long, value_name = "DATE")]
    pub to: String,
    #[arg(
        help = "系统的名称或编号，可重复；可带节点和日期：名称=upgrade@2027-06-30（upgrade 升级、renovate 改造、continue 续建、maintain 运维）",
        long = "system",
        value_name = "NAME[=NODE[@DATE]]"
    )]
    pub systems: Vec<String>,
    /// 说明
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

#[derive(Debug, Args)]
pub struct WaveSetArgs {
    #[command(flatten)]
    pub target: IdArg,
    /// 新的批次名称
    #[arg(long, value_parser = name)]
    pub name: Option<String>,
    /// 割接窗口的第一天
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// 割接窗口的最后一天
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    /// 系统的名称或编号，写法同 wave create，可重复
    #[arg(long = "system", value_name = "NAME[=NODE[@DATE]]")]
    pub systems: Vec<String>,
    /// 说明
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum BlackoutCommand {
    /// 设封网期：这些天不割接（运维员）
    #[command(after_help = "例：
  jiyue blackout create --from 2027-03-01 --to 2027-03-15 --reason 两会保障
  jiyue blackout create --department education --from 2027-06-01 --to 2027-06-20 --reason 中高考")]
    Create {
        /// 只对某个建设单位；不给则全区
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 第一天
        #[arg(long, value_name = "DATE")]
        from: String,
        /// 最后一天
        #[arg(long, value_name = "DATE")]
        to: String,
        /// 为什么封网
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// 列出封网期
    #[command(after_help = "例：\n  jiyue blackout list")]
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// 取消封网期（运维员）
    #[command(after_help = "例：\n  jiyue blackout delete ID")]
    Delete(IdArg),
}

#[derive(Debug, Args)]
pub struct SystemRequestArgs {
    #[command(flatten)]
    pub target: IdArg,
    /// 任务书编号
    #[arg(long, value_name = "NUMBER", value_parser = name)]
    pub task_book: String,
    /// 各份申请共有的字段（操作系统、数据库、运维单位、公钥等），YAML 或 JSON 文件
    #[arg(long, value_name = "FILE")]
    pub block: Option<PathBuf>,
    /// 各台服务器另写的规格、理由和字段，YAML 或 JSON 文件，一个清单
    #[arg(long, value_name = "FILE")]
    pub servers: Option<PathBuf>,
    /// 只看要申请什么、每个数从哪里来
    #[arg(long)]
    pub dry_run: bool,
}

/// `NAME`, `NAME=NODE` or `NAME=NODE@DATE`.
fn member(text: &str) -> Value {
    let (system, node) = text.rsplit_once('=').map_or((text, None), |(system, node)| (system, Some(node)));
    let mut member = Map::new();
    member.insert("system".to_owned(), system.trim().into());
    if let Some(node) = node {
        let (trigger, on) = node.split_once('@').map_or((node, None), |(trigger, on)| (trigger, Some(on)));
        member.insert("trigger".to_owned(), trigger.trim().into());
        member.extend(on.map(|on| ("node_on".to_owned(), on.trim().into())));
    }
    Value::Object(member)
}

fn members(systems: &[String]) -> Value {
    systems.iter().map(|text| member(text)).collect()
}

pub async fn run(session: &Session<'_>, command: WaveCommand) -> Result<(), Failure> {
    let client = &session.client;
    match command {
        WaveCommand::Create(args) => {
            let body = object(&[
                ("name", Some(args.name.into())),
                ("window_from", Some(args.from.into())),
                ("window_to", Some(args.to.into())),
                ("note", args.note.map(Into::into)),
                ("systems", Some(members(&args.systems))),
            ]);
            let answer = client.post(&["waves"], &body).await?;
            session.made("迁移批次已建", Kind::Wave, &answer.body)
        }
        WaveCommand::List { list } => session.list(Kind::Wave, &["waves"], &[], &list).await,
        WaveCommand::Show(args) => session.show(Kind::Wave, "waves", args).await,
        WaveCommand::Check(target) => {
            let check: Value = client.get(&["waves", &target.id, "check"], &[]).await?;
            Ok(session.screen.one(Kind::WaveCheck, &check)?)
        }
        WaveCommand::Set(args) => {
            let systems = (!args.systems.is_empty()).then(|| members(&args.systems));
            let change = object(&[
                ("name", args.name.map(Into::into)),
                ("window_from", args.from.map(Into::into)),
                ("window_to", args.to.map(Into::into)),
                ("note", args.note.map(Into::into)),
                ("systems", systems),
            ]);
            let answer = changes::set(client, &["waves", &args.target.id], change).await?;
            session.made("迁移批次已改", Kind::Wave, &answer.body)
        }
        WaveCommand::Delete(target) => {
            let answer = client.post(&["waves", &target.id, "delete"], &json!({})).await?;
            session.made("迁移批次已删除", Kind::Wave, &answer.body)
        }
    }
}

pub async fn blackout(session: &Session<'_>, command: BlackoutCommand) -> Result<(), Failure> {
    let client = &session.client;
    match command {
        BlackoutCommand::Create { department, from, to, reason } => {
            let body = object(&[
                ("department", department.map(Into::into)),
                ("from", Some(from.into())),
                ("to", Some(to.into())),
                ("reason", Some(reason.into())),
            ]);
            let answer = client.post(&["blackouts"], &body).await?;
            session.made("封网期已设", Kind::Blackout, &answer.body)
        }
        BlackoutCommand::List { list } => session.list(Kind::Blackout, &["blackouts"], &[], &list).await,
        BlackoutCommand::Delete(target) => {
            let answer = client.post(&["blackouts", &target.id, "delete"], &json!({})).await?;
            session.made("封网期已取消", Kind::Blackout, &answer.body)
        }
    }
}

pub async fn request(session: &Session<'_>, args: SystemRequestArgs) -> Result<(), Failure> {
    let block = args.block.map(|path| document::read(&path)).transpose()?;
    let servers = args.servers.map(|path| document::read_list(&path)).transpose()?;
    let body = object(&[
        ("task_book", Some(args.task_book.into())),
        ("block", block),
        ("servers", servers),
        ("dry_run", Some(args.dry_run.into())),
    ]);
    let answer = session.client.post(&["systems", &args.target.id, "request"], &body).await?;
    let made = answer.body.get("made") == Some(&Value::Bool(true));
    let said = match (args.dry_run, made) {
        (true, _) => "什么都没有提交；要申请的如下",
        (false, true) => "已按实测用量提交申请",
        (false, false) => "早已申请，没有重复提交",
    };
    session.made(said, Kind::SystemRequests, &answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_may_come_with_its_node_and_day() {
        assert_eq!(member("低保审批系统"), json!({"system": "低保审批系统"}));
        assert_eq!(member("甲=upgrade"), json!({"system": "甲", "trigger": "upgrade"}));
        let whole = json!({"system": "甲", "trigger": "maintain", "node_on": "2027-06-30"});
        assert_eq!(member("甲=maintain@2027-06-30"), whole);
    }
}
