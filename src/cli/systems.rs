//! `jiyue system …`: types, and how they are carried out.

use super::{
    IdArg, ListArgs, MoveCommand, ShowArgs, SystemRequestArgs, changes, moves,
    parsers::{choices, frequency, name, scope},
    problem::Failure,
    session::{Session, object},
    tables::Kind,
    waves,
};
use crate::system::record::{Frequency, Scope};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// 登记一个信息系统
    #[command(after_help = "例：
  jiyue system create 低保审批系统 --purpose '低保申请的受理与审批' --scope 本单位 --frequency 每天
  jiyue system create 老年证系统 --purpose '老年证办理' --department civil --maintained-until 2024-06-30

只写知道的；没有写的按不明处理，不作为认定僵尸系统的依据。名称与任务书的项目名称相同时，在该任务书上申请的虚拟机自动列入。")]
    Create {
        /// 系统名称，本单位内不重复
        #[arg(value_parser = name)]
        name: String,
        /// 功能：做什么用
        #[arg(long, value_name = "TEXT")]
        purpose: String,
        /// 建设单位代码；申请人的就是本单位，不用给
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        #[command(flatten)]
        facts: FactArgs,
    },
    /// 列出信息系统
    #[command(after_help = "例：\n  jiyue system list\n  jiyue system list --department education --sort name")]
    List {
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 只看叫这个名字的
        #[arg(long, value_parser = name)]
        name: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一个信息系统和它的虚拟机
    #[command(after_help = "例：\n  jiyue system show ID\n  jiyue system show ID -o yaml")]
    Show(ShowArgs),
    /// 改一个信息系统的登记
    #[command(after_help = "例：
  jiyue system set ID --last-updated 2026-10-15 --maintained-until 2027-12-31
  jiyue system set ID --replaced-by 民政一体化平台
  jiyue system set ID --clear replaced_by

只改给出的几项。改的时候别人也改了的，不会覆盖：退出码 4，重新看一遍再改。")]
    Set {
        #[command(flatten)]
        target: IdArg,
        /// 新的名称
        #[arg(long, value_parser = name)]
        name: Option<String>,
        /// 功能：做什么用
        #[arg(long, value_name = "TEXT")]
        purpose: Option<String>,
        #[command(flatten)]
        facts: FactArgs,
        #[arg(
            help = "改回不明的项目，可重复：scope、frequency、last_updated_on、maintained_until、last_login_on、replaced_by"
        )]
        #[arg(long, value_enum, value_name = "FIELD", hide_possible_values = true)]
        clear: Vec<Clearable>,
    },
    /// 把虚拟机列入系统
    #[command(after_help = "例：
  jiyue system attach ID --machine 虚拟机编号 --machine 另一台
  jiyue system attach ID --request 申请编号      这份申请的全部虚拟机

一台虚拟机只属于一个系统。")]
    Attach(MachinesArgs),
    /// 把虚拟机从系统移出
    #[command(after_help = "例：\n  jiyue system detach ID --machine 虚拟机编号")]
    Detach(MachinesArgs),
    /// 为批次里的系统申请虚拟机：规格取自旧服务器的实际用量（申请人；审批人可以看）
    #[command(after_help = "例：
  jiyue system request ID --task-book 相信任〔2026〕17号 --block 共有字段.yaml --dry-run
  jiyue system request ID --task-book 相信任〔2026〕17号 --block 共有字段.yaml --servers 规格.yaml

每台旧服务器一份申请，再办一次不会重复。没有足够用量记录的服务器，在 --servers 的文件里写明规格和理由：
  - server: 旧服务器1
    vcpu: 2
    memory_bytes: 4294967296
    disk_bytes: 107374182400
    reason: 新装采集不到一个月")]
    Request(SystemRequestArgs),
    #[command(flatten)]
    Move(MoveCommand),
}

/// What may be said of a system.
#[derive(Debug, Args)]
pub struct FactArgs {
    /// 使用范围：个别处室、本单位、跨部门、面向公众
    #[arg(long, value_parser = scope)]
    pub scope: Option<Scope>,
    /// 使用频度：每天、每周、每月、每年、几乎不用
    #[arg(long, value_parser = frequency)]
    pub frequency: Option<Frequency>,
    /// 最近一次更新或打补丁是哪一天
    #[arg(long, value_name = "DATE")]
    pub last_updated: Option<String>,
    /// 运维合同到哪一天
    #[arg(long, value_name = "DATE")]
    pub maintained_until: Option<String>,
    /// 最近一次有人登录是哪一天
    #[arg(long, value_name = "DATE")]
    pub last_login: Option<String>,
    /// 已由哪个系统替代
    #[arg(long, value_name = "NAME")]
    pub replaced_by: Option<String>,
}

#[derive(Debug, Args)]
pub struct MachinesArgs {
    #[command(flatten)]
    pub target: IdArg,
    /// 虚拟机编号，可重复
    #[arg(long = "machine", value_name = "ID", value_parser = name, required_unless_present = "requests")]
    pub machines: Vec<String>,
    /// 申请编号，可重复：这份申请的全部虚拟机
    #[arg(long = "request", value_name = "ID", value_parser = name)]
    pub requests: Vec<String>,
}

choices! {
    /// What can be taken back to unknown.
    Clearable: Scope = "scope", Frequency = "frequency", LastUpdatedOn = "last_updated_on",
        MaintainedUntil = "maintained_until", LastLoginOn = "last_login_on", ReplacedBy = "replaced_by";
}

impl FactArgs {
    fn fields(self) -> Map<String, Value> {
        object(&[
            ("scope", self.scope.map(|scope| scope.word().into())),
            ("frequency", self.frequency.map(|frequency| frequency.word().into())),
            ("last_updated_on", self.last_updated.map(Into::into)),
            ("maintained_until", self.maintained_until.map(Into::into)),
            ("last_login_on", self.last_login.map(Into::into)),
            ("replaced_by", self.replaced_by.map(Into::into)),
        ])
    }
}

pub async fn run(session: &Session<'_>, command: SystemCommand) -> Result<(), Failure> {
    let client = &session.client;
    match command {
        SystemCommand::Create { name, purpose, department, facts } => {
            let mut body = facts.fields();
            body.extend(object(&[
                ("name", Some(name.into())),
                ("purpose", Some(purpose.into())),
                ("department", department.map(Into::into)),
            ]));
            let answer = client.post(&["systems"], &body).await?;
            session.made("信息系统已登记", Kind::System, &answer.body)
        }
        SystemCommand::List { department, name, list } => {
            let fields = [("department", department.as_deref()), ("name", name.as_deref())];
            session.list(Kind::System, &["systems"], &fields, &list).await
        }
        SystemCommand::Show(args) => session.show(Kind::System, "systems", args).await,
        SystemCommand::Set { target, name, purpose, facts, clear } => {
            let mut change = facts.fields();
            change.extend(object(&[("name", name.map(Into::into)), ("purpose", purpose.map(Into::into))]));
            change.extend(clear.into_iter().map(|one| (one.word().to_owned(), Value::Null)));
            let answer = changes::set(client, &["systems", &target.id], change).await?;
            session.made("信息系统的登记已改", Kind::System, &answer.body)
        }
        SystemCommand::Attach(args) => machines(session, args, "attach", "虚拟机已列入系统").await,
        SystemCommand::Detach(args) => machines(session, args, "detach", "虚拟机已移出系统").await,
        SystemCommand::Request(args) => waves::request(session, args).await,
        SystemCommand::Move(command) => moves::run(session, command).await,
    }
}

async fn machines(session: &Session<'_>, args: MachinesArgs, act: &str, said: &str) -> Result<(), Failure> {
    let body = json!({"machines": args.machines, "requests": args.requests});
    let answer = session.client.post(&["systems", &args.target.id, act], &body).await?;
    session.made(said, Kind::System, &answer.body)
}
