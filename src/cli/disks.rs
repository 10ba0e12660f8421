//! `jiyue disk-import …`: types, and how they are carried out.

use super::{
    IdArg, ListArgs, ShowArgs, WaitArg,
    parsers::{choices, name},
    problem::Failure,
    session::{Session, object},
    tables::Kind,
};
use clap::Subcommand;
use serde_json::json;
use std::net::Ipv4Addr;

#[derive(Debug, Subcommand)]
pub enum DiskImportCommand {
    /// 把旧机的系统盘迁入一台已交付的虚拟机（运维员）
    #[command(after_help = "例：
  jiyue disk-import create --old-server 服务器编号 --source-host mzj-room-1 --domain oa-old --machine 虚拟机编号 --address new
  jiyue disk-import create --old-server 服务器编号 --source-host mzj-room-1 --domain oa-old --machine 虚拟机编号 --address keep --old-address 10.8.0.21 --wait

旧机在复制期间停机。迁入之后旧机一直关着，它的磁盘不写也不删；了结之前都可以退回。")]
    Create {
        /// 普查里的哪一台服务器
        #[arg(long, value_name = "ID", value_parser = name)]
        old_server: String,
        #[arg(help = "旧机所在的源宿主机（服务设置里的 [[source_host]]）", long)]
        #[arg(value_name = "NAME", value_parser = name)]
        source_host: String,
        /// 旧机在那台宿主机上的名字或 UUID
        #[arg(long, value_name = "NAME", value_parser = name)]
        domain: String,
        /// 换成旧机磁盘的虚拟机，须已交付
        #[arg(long, value_name = "ID", value_parser = name)]
        machine: String,
        /// keep 保留旧机的地址、new 用虚拟机自己的地址
        #[arg(long, value_enum, hide_possible_values = true)]
        address: Which,
        /// 旧机的地址，保留时写明
        #[arg(long, value_name = "ADDRESS", required_if_eq("address", "keep"))]
        old_address: Option<Ipv4Addr>,
        #[command(flatten)]
        wait: WaitArg,
    },
    /// 列出磁盘迁入
    #[command(after_help = "例：
  jiyue disk-import list
  jiyue disk-import list --state moved --department education
  jiyue disk-import list --old-server 服务器编号")]
    List {
        /// 只看某个状态，如 importing、moved、finished
        #[arg(long)]
        state: Option<String>,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 只看某台虚拟机的
        #[arg(long, value_name = "ID", value_parser = name)]
        machine: Option<String>,
        /// 只看某台服务器的
        #[arg(long, value_name = "ID", value_parser = name)]
        old_server: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一次磁盘迁入：到哪一步、复制了多少、校验和
    #[command(after_help = "例：\n  jiyue disk-import show ID\n  jiyue disk-import show ID --watch")]
    Show(ShowArgs),
    /// 退回旧机：虚拟机停下并换回原来的空盘，确认之后旧机才启动（运维员）
    #[command(after_help = "例：\n  jiyue disk-import rollback ID --reason '迁移后测试未通过' --wait")]
    Rollback {
        #[command(flatten)]
        target: IdArg,
        /// 理由
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        wait: WaitArg,
    },
    /// 了结：旧机从此不再启动，以后不能退回（运维员）
    #[command(after_help = "例：
  jiyue disk-import finish ID
  jiyue disk-import finish ID --evidence '旧宿主机已于 5 月 3 日下电拆除，见移交单 12 号'

了结时会当场看一次旧机是不是关着；源宿主机已经问不到的，写明依据。")]
    Finish {
        #[command(flatten)]
        target: IdArg,
        /// 旧机不再启动的依据
        #[arg(long, value_name = "TEXT")]
        evidence: Option<String>,
    },
}

choices! {
    /// Which address a machine has on the old disk.
    Which: Keep = "keep", New = "new";
}

pub async fn run(session: &Session<'_>, command: DiskImportCommand) -> Result<(), Failure> {
    let client = &session.client;
    match command {
        DiskImportCommand::Create { old_server, source_host, domain, machine, address, old_address, wait } => {
            let body = object(&[
                ("server_id", Some(old_server.into())),
                ("source_host", Some(source_host.into())),
                ("domain", Some(domain.into())),
                ("machine_id", Some(machine.into())),
                ("address", Some(address.word().into())),
                ("old_address", old_address.map(|address| address.to_string().into())),
            ]);
            let answer = client.post(&["disk-imports"], &body).await?;
            if wait.wait
                && let Some(operation) = answer.body.get("operation_id").and_then(serde_json::Value::as_str)
            {
                return session.follow(operation).await;
            }
            session.made("已开始迁入", Kind::DiskImport, &answer.body)
        }
        DiskImportCommand::List { state, department, machine, old_server, list } => {
            let fields = [
                ("state", state.as_deref()),
                ("department", department.as_deref()),
                ("machine_id", machine.as_deref()),
                ("server_id", old_server.as_deref()),
            ];
            session.list(Kind::DiskImport, &["disk-imports"], &fields, &list).await
        }
        DiskImportCommand::Show(args) => session.show(Kind::DiskImport, "disk-imports", args).await,
        DiskImportCommand::Rollback { target, reason, wait } => {
            let answer = client.post(&["disk-imports", &target.id, "rollback"], &json!({"reason": reason})).await?;
            session.goes_on(&answer, wait).await
        }
        DiskImportCommand::Finish { target, evidence } => {
            let body = object(&[("evidence", evidence.map(Into::into))]);
            let answer = client.post(&["disk-imports", &target.id, "finish"], &body).await?;
            session.made("已了结", Kind::DiskImport, &answer.body)
        }
    }
}
