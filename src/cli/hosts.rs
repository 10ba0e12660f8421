//! `jiyue host …`, as types.

use super::{
    IdArg, ListArgs, ShowArgs, WaitArg,
    parsers::{count, level, name, pairs, size, zone},
};
use crate::labels::{MlpsLevel, Zone};
use clap::{Args, Subcommand};
use std::{path::PathBuf, str::FromStr};

#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// 接入一台宿主机
    #[command(after_help = "例：
  jiyue host add node1 --uri qemu:///system --pool jiyue --pool-path /var/lib/jiyue/pool \\
    --zone zone=government_extranet,network=jiyue-egov,bridge=jiyue0,cidr=10.66.0.0/24 \\
    --vcpu-overcommit 4 --memory-reserve 2GiB --wait
  jiyue host add --file host.yaml")]
    Add(HostAddArgs),
    /// 列出宿主机与容量
    #[command(after_help = "例：\n  jiyue host list\n  jiyue host list --state cordoned\n  jiyue host list --watch")]
    List {
        /// 只看某个状态，如 active、cordoned、unknown
        #[arg(long)]
        state: Option<String>,
        /// 只看接入了某个网络区域的：政务外网、互联网、政务专网
        #[arg(long, value_parser = zone)]
        zone: Option<Zone>,
        /// 只看叫这个名字的
        #[arg(long, value_parser = name)]
        name: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一台宿主机
    #[command(after_help = "例：\n  jiyue host show node1\n  jiyue host show node1 --watch")]
    Show(ShowArgs),
    /// 改可以分给虚拟机的容量、最高等保级别
    #[command(after_help = "例：
  jiyue host set node1 --vcpu 128 --memory 240GiB
  jiyue host set node1 --disk 10TiB --mlps-level 二级

只改给出的几项。改的时候别人也改了的，不会覆盖：退出码 4，重新看一遍再改。")]
    Set {
        #[command(flatten)]
        target: IdArg,
        /// 一共可以分出多少个虚拟核
        #[arg(long, value_name = "N", value_parser = count, required_unless_present_any = ["memory", "disk", "mlps_level"])]
        vcpu: Option<u32>,
        /// 一共可以分出多少内存，如 240GiB
        #[arg(long, value_name = "SIZE", value_parser = size)]
        memory: Option<i64>,
        /// 一共可以分出多少磁盘，如 10TiB
        #[arg(long, value_name = "SIZE", value_parser = size)]
        disk: Option<i64>,
        /// 最高承载的等保级别，如 三级
        #[arg(long, value_name = "LEVEL", value_parser = level)]
        mlps_level: Option<MlpsLevel>,
    },
    /// 暂停接收新的虚拟机；已有的不动
    #[command(after_help = "例：\n  jiyue host cordon node1")]
    Cordon(IdArg),
    /// 恢复接收
    #[command(after_help = "例：\n  jiyue host uncordon node1")]
    Uncordon(IdArg),
    /// 迁出全部虚拟机，供维护；宿主机同时暂停接收
    #[command(after_help = "例：
  jiyue host drain node1 --wait
  jiyue host drain node1 --cancel      停止迁出；要恢复接收再用 host uncordon

回收站里的留在原处。迁不走的写明原因，腾出地方后会自己再试。")]
    Drain {
        #[command(flatten)]
        target: IdArg,
        /// 停止迁出
        #[arg(long, conflicts_with = "wait")]
        cancel: bool,
        #[command(flatten)]
        wait: WaitArg,
    },
    #[command(
        about = "执行服务设置里的隔离命令（fence_command）；成功才算已断电",
        after_help = "例：\n  jiyue host fence node1"
    )]
    Fence(IdArg),
    /// 亲自确认一台失去联系的宿主机已断电
    #[command(
        name = "confirm-fenced",
        after_help = "例：
  jiyue host confirm-fenced node1 --name node1 --reason '机房值班员已拔电源，10:35'

确认之后，它上面的虚拟机才能在别处重建（jiyue machine rebuild）。确认错了，同一台虚拟机就会有两台在运行。"
    )]
    ConfirmFenced {
        #[command(flatten)]
        target: IdArg,
        /// 再写一遍宿主机名
        #[arg(long)]
        name: String,
        /// 怎样确认的，记入审计
        #[arg(long)]
        reason: String,
    },
    /// 重新接入已隔离的宿主机
    #[command(after_help = "例：\n  jiyue host readmit node1")]
    Readmit(IdArg),
}

#[derive(Debug, Args)]
pub struct HostAddArgs {
    /// 宿主机名
    #[arg(value_parser = name, required_unless_present = "file")]
    pub name: Option<String>,
    #[arg(help = "libvirt 地址，如 qemu:///system", long, required_unless_present = "file")]
    pub uri: Option<String>,
    /// 存储池名
    #[arg(long)]
    pub pool: Option<String>,
    /// 存储池目录（宿主机上的路径）
    #[arg(long, value_name = "PATH")]
    pub pool_path: Option<String>,
    /// 网络区域，可重复：zone=政务外网,network=网络名,bridge=网桥,cidr=网段；多台宿主机共用的网段把 network 换成 segment
    #[arg(long = "zone", value_name = "KEY=VALUE,…", required_unless_present = "file")]
    pub zones: Vec<ZoneArg>,
    /// 每个物理线程分出多少个虚拟核；不给则由服务定
    #[arg(long, value_name = "N", value_parser = count)]
    pub vcpu_overcommit: Option<u32>,
    /// 留给宿主机自己的内存，如 2GiB；不给则由服务定
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory_reserve: Option<i64>,
    /// 最高承载的等保级别，如 三级；不给则为四级
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub mlps_level: Option<MlpsLevel>,
    /// 改用 YAML 或 JSON 文件描述宿主机（- 为标准输入）
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "uri", "pool", "pool_path", "zones", "vcpu_overcommit", "memory_reserve", "mlps_level"])]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub wait: WaitArg,
}

/// One `--zone`: the keys that were given, for the server to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneArg(pub Vec<(&'static str, String)>);

impl FromStr for ZoneArg {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        pairs(s, &["zone", "network", "bridge", "cidr", "segment", "gateway", "dns", "addresses"]).map(Self)
    }
}
