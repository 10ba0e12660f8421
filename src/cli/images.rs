//! `jiyue image …`, as types.

use super::{IdArg, ListArgs, WaitArg, parsers::name};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// 上传一个磁盘镜像（raw 或 qcow2）
    #[command(after_help = "例：
  jiyue image import debian-12.qcow2 --os debian-12 --name 'Debian 12'
  jiyue image import small.qcow2 --os debian-12 --name '小型替身镜像' --stand-in
  jiyue image import pg.qcow2 --os debian-12 --database postgresql-15 --name 'Debian 12 与 PostgreSQL 15'")]
    Import(ImageImportArgs),
    /// 列出镜像
    #[command(after_help = "例：\n  jiyue image list\n  jiyue image list --os debian-12 --sort name")]
    List {
        /// 只看某种操作系统的（目录里的代码）
        #[arg(long = "os", value_name = "OS_TYPE", value_parser = name)]
        os_type: Option<String>,
        /// 只看叫这个名字的
        #[arg(long, value_parser = name)]
        name: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一个镜像，以及它在各宿主机上的分发进度
    #[command(after_help = "例：
  jiyue image show 'Debian 12'
  jiyue image show 3f2a9c01b7e4    SHA-256 的开头，至少 8 位
  jiyue image show 'Debian 12' --watch

--watch 时 Ctrl-C 只停止跟踪，分发照常进行。")]
    Show {
        #[command(flatten)]
        target: IdArg,
        /// 跟踪分发，直到每台宿主机都已有它或失败；有失败的退出码为 1
        #[arg(long)]
        watch: bool,
    },
    /// 马上把镜像分发到宿主机（运维员）；新镜像、新宿主机会自动分发，不用这一步
    #[command(after_help = "例：
  jiyue image distribute 'Debian 12' --wait
  jiyue image distribute 3f2a9c01b7e4 --host node1 --host node2")]
    Distribute {
        #[command(flatten)]
        target: IdArg,
        /// 只到这台宿主机，可重复；不给则为所有联系得上的
        #[arg(long = "host", value_name = "HOST", value_parser = name)]
        hosts: Vec<String>,
        #[command(flatten)]
        wait: WaitArg,
    },
}

#[derive(Debug, Args)]
pub struct ImageImportArgs {
    /// 镜像文件
    pub file: PathBuf,
    /// 操作系统类型（目录里的代码）
    #[arg(long = "os", value_name = "OS_TYPE", value_parser = name)]
    pub os_type: String,
    /// 目录里显示的名字
    #[arg(long)]
    pub name: String,
    /// 镜像里已有的数据库（目录里的代码），如 postgresql-15；只用来建要这种数据库的虚拟机
    #[arg(long, value_name = "DB_TYPE", value_parser = name)]
    pub database: Option<String>,
    /// 这是替身：不是那个系统本身，凡用到处都会写明
    #[arg(long)]
    pub stand_in: bool,
}
