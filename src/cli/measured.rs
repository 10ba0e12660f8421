//! Commands about what machines really use.

use super::{
    IdArg, ListArgs,
    parsers::{choices, name},
    problem::Failure,
    session::Session,
    tables::Kind,
    upload,
};
use crate::client::Filter;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::path::PathBuf;

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
    #[command(
        about = "用量来源（服务设置里的 [[usage_source]]）：最近一次问得怎样",
        after_help = "例：\n  jiyue usage sources\n\n来源没有好好答复的，它的服务器就是不知道，不当作闲置。"
    )]
    Sources,
    /// 一台虚拟机或服务器逐日用了多少
    #[command(after_help = "例：\n  jiyue usage show ID\n  jiyue usage show ID --from 2026-10-01 --to 2026-10-31")]
    Show {
        #[command(flatten)]
        target: IdArg,
        #[command(flatten)]
        days: DaysArgs,
    },
    /// 判定：在用、低使用、闲置、无法判断、豁免，每台每天一条
    #[command(after_help = "例：
  jiyue usage verdicts --day 2026-10-31 --verdict idle
  jiyue usage verdicts --machine ID
  jiyue usage verdicts --eligible -o json")]
    Verdicts {
        /// 哪一天，须已过完；不给则所有判定过的日子
        #[arg(long, value_name = "DATE", conflicts_with = "machine")]
        day: Option<String>,
        /// busy、low、idle、unknown、exempt
        #[arg(long, value_name = "VERDICT", conflicts_with = "machine")]
        verdict: Option<String>,
        /// 只看可以回收的
        #[arg(long, conflicts_with = "machine")]
        eligible: bool,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name, conflicts_with = "machine")]
        department: Option<String>,
        /// 只看这一台
        #[arg(long, value_name = "ID", value_parser = name)]
        machine: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 规格建议：哪些该缩小、扩大，哪些从未使用
    #[command(after_help = "例：\n  jiyue usage advice\n  jiyue usage advice --day 2026-10-31 --department education")]
    Advice {
        /// 哪一天，须已过完；默认是昨天
        #[arg(long, value_name = "DATE")]
        day: Option<String>,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 导入历史用量（运维员）：CSV，可用 gzip 压缩
    #[command(after_help = "例：
  jiyue usage import trace.csv.gz
  jiyue usage import trace.csv --interval 300

首行是表头，列的次序不限：vm（虚拟机编号或名称）、ts（秒），以及 cores、cpu_percent、
mem_percent 或 mem_capacity_kb 与 mem_used_kb、disk_read_kbps 与 disk_write_kbps、
net_rx_kbps、net_tx_kbps 中的若干列。
不可信的值逐个拒绝，指出行和列，其余照常计入；同一个文件再导入一次，什么也不会多出来。")]
    Import {
        /// CSV 文件
        file: PathBuf,
        /// 采样间隔（秒）；默认从文件里看出来
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
        interval: Option<u32>,
    },
}

choices! {
    /// What usage is told of.
    SubjectKind: Machine = "machine", Server = "server";
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
            session.list(Kind::Usage, &["usage"], &fields, &list).await
        }
        UsageCommand::Verdicts { machine: Some(machine), list, .. } => {
            session.list(Kind::Verdict, &["machines", &machine, "verdicts"], &[], &list).await
        }
        UsageCommand::Verdicts { day, verdict, eligible, department, list, machine: None } => {
            let fields = [
                ("day", day.as_deref()),
                ("verdict", verdict.as_deref()),
                ("eligible", eligible.then_some("true")),
                ("department", department.as_deref()),
            ];
            session.list(Kind::Verdict, &["verdicts"], &fields, &list).await
        }
        UsageCommand::Advice { day, department, list } => {
            let fields = [("day", day.as_deref()), ("department", department.as_deref())];
            session.list(Kind::Advice, &["usage", "advice"], &fields, &list).await
        }
        UsageCommand::Sources => {
            let sources = session.client.list(&["usage-sources"], &Filter::new()).await?;
            Ok(session.screen.list(Kind::UsageSource, &sources)?)
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
        UsageCommand::Import { file, interval } => {
            let interval = interval.map(|seconds| seconds.to_string());
            let query: Vec<_> = interval.iter().map(|seconds| ("interval_seconds", &seconds[..])).collect();
            let answer = upload::file(&session.client, &upload::USAGE, &file, &query).await?;
            Ok(session.screen.one(Kind::UsageImport, &answer.body)?)
        }
    }
}
