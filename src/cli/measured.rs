//! Commands about what machines really use.

use super::{IdArg, ListArgs, parsers::name, problem::Failure, run::Session, tables::Kind};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// 列出各虚拟机、服务器实际用了多少
    #[command(after_help = "例：
  jiyue usage list
  jiyue usage list --department education --from 2026-10-01 --to 2026-10-31
  jiyue usage list --all -o json

覆盖率是有样本的时间占整段时间的百分比；没有样本的时间是不知道，不是闲置。")]
    List {
        /// 只看虚拟机 machine，或原有的服务器 server
        #[arg(long, value_enum, hide_possible_values = true)]
        kind: Option<SubjectKind>,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        #[command(flatten)]
        days: DaysArgs,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 一台虚拟机或服务器逐日用了多少
    #[command(after_help = "例：\n  jiyue usage show ID\n  jiyue usage show ID --from 2026-10-01 --to 2026-10-31")]
    Show {
        #[command(flatten)]
        target: IdArg,
        #[command(flatten)]
        days: DaysArgs,
    },
}

/// What usage is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SubjectKind {
    Machine,
    Server,
}

impl SubjectKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Server => "server",
        }
    }
}

#[derive(Debug, Args)]
pub struct DaysArgs {
    /// 从哪一天起；默认是最后一天之前的 29 天
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// 到哪一天为止，含这一天；默认是今天
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
}

pub async fn run(session: &Session<'_>, command: UsageCommand) -> Result<(), Failure> {
    match command {
        UsageCommand::List { kind, department, days, list } => {
            let fields = [
                ("kind", kind.map(SubjectKind::word)),
                ("department", department.as_deref()),
                ("from", days.from.as_deref()),
                ("to", days.to.as_deref()),
            ];
            session.list(Kind::Usage, "usage", &fields, &list).await
        }
        UsageCommand::Show { target, days } => {
            let query: Vec<_> = [("from", days.from.as_deref()), ("to", days.to.as_deref())]
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)))
                .collect();
            let client = &session.client;
            let usage: Value = match client.get(&["machines", &target.id, "usage"], &query).await {
                // An id is a machine's or a server's; which, only the service knows.
                Err(error) if error.code() == Some("not_found") => {
                    client.get(&["servers", &target.id, "usage"], &query).await?
                }
                answer => answer?,
            };
            Ok(session.screen.one(Kind::Usage, &usage)?)
        }
    }
}
