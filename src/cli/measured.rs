//! Commands about what machines really use.

use super::{IdArg, ListArgs, parsers::name, problem::Failure, run::Session, tables::Kind};
use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// 列出各虚拟机实际用了多少
    #[command(after_help = "例：
  jiyue usage list
  jiyue usage list --department education --from 2026-10-01 --to 2026-10-31
  jiyue usage list --all -o json

覆盖率是有样本的时间占整段时间的百分比；没有样本的时间是不知道，不是闲置。")]
    List {
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        #[command(flatten)]
        days: DaysArgs,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 一台虚拟机逐日用了多少
    #[command(after_help = "例：\n  jiyue usage show ID\n  jiyue usage show ID --from 2026-10-01 --to 2026-10-31")]
    Show {
        #[command(flatten)]
        target: IdArg,
        #[command(flatten)]
        days: DaysArgs,
    },
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
        UsageCommand::List { department, days, list } => {
            let fields =
                [("department", department.as_deref()), ("from", days.from.as_deref()), ("to", days.to.as_deref())];
            session.list(Kind::Usage, "usage", &fields, &list).await
        }
        UsageCommand::Show { target, days } => {
            let query: Vec<_> = [("from", days.from.as_deref()), ("to", days.to.as_deref())]
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)))
                .collect();
            let usage: Value = session.client.get(&["machines", &target.id, "usage"], &query).await?;
            Ok(session.screen.one(Kind::Usage, &usage)?)
        }
    }
}
