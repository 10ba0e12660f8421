//! `jiyue server …`, as types.

use super::{
    IdArg, ListArgs, ShowArgs,
    parsers::{count, name, size},
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// 登记一台原有的服务器（运维员）
    #[command(after_help = "例：
  jiyue server create 档案库旧服务器 --department education
  jiyue server create 档案库旧服务器 --department education --cores 8 --memory 32GiB --source room-1 --instance 10.2.0.7:9100")]
    Create {
        /// 名称，在本单位里不重复
        #[arg(value_parser = name)]
        name: String,
        /// 哪个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: String,
        #[command(flatten)]
        facts: ServerFacts,
    },
    /// 列出原有的服务器
    #[command(
        after_help = "例：\n  jiyue server list --department education\n  jiyue server list --source room-1 --all"
    )]
    List {
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 只看叫这个名字的
        #[arg(long, value_parser = name)]
        name: Option<String>,
        /// 只看由某个来源测量的
        #[arg(long, value_parser = name)]
        source: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一台原有的服务器
    #[command(after_help = "例：\n  jiyue server show ID\n  jiyue usage show ID      它逐日用了多少")]
    Show(ShowArgs),
    /// 从它的来源补读过去的用量；重复补读不改变什么（运维员）
    #[command(
        after_help = "例：\n  jiyue server replay ID --from 2026-09-01 --to 2026-10-31\n\n一次最多 92 天；今天由平台自己读。"
    )]
    Replay {
        #[command(flatten)]
        target: IdArg,
        /// 从哪一天起
        #[arg(long, value_name = "DATE")]
        from: String,
        /// 到哪一天为止，含这一天
        #[arg(long, value_name = "DATE")]
        to: String,
    },
    /// 改一台原有的服务器：名称、规格、在哪里测量
    #[command(after_help = "例：
  jiyue server set ID --name 档案库旧服务器二号
  jiyue server set ID --source room-1 --instance 10.2.0.7:9100
  jiyue server set ID --unmeasured

改的时候别人也改了的，不会覆盖：退出码 4，重新看一遍再改。")]
    Set {
        #[command(flatten)]
        target: IdArg,
        /// 新的名称
        #[arg(long, value_parser = name)]
        name: Option<String>,
        #[command(flatten)]
        facts: ServerFacts,
        /// 不再测量；已有的用量留着
        #[arg(long, conflicts_with_all = ["source", "instance"])]
        unmeasured: bool,
    },
}

#[derive(Debug, Args)]
pub struct ServerFacts {
    /// CPU 核数
    #[arg(long, value_name = "N", value_parser = count)]
    pub cores: Option<u32>,
    /// 内存，如 8GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<i64>,
    #[arg(help = "由哪个来源测量（服务设置里的 [[usage_source]]，见 jiyue usage sources）", long)]
    #[arg(value_name = "NAME", value_parser = name)]
    pub source: Option<String>,
    /// 来源里它叫什么，如 10.2.0.7:9100
    #[arg(long, value_name = "TEXT")]
    pub instance: Option<String>,
}
