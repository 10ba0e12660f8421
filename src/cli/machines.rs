//! Commands about machines, and about what is odd on their hosts.

use super::{
    ActArgs, IdArg, ListArgs, ShowArgs, WaitArg,
    parsers::{count, name, size, zone},
};
use crate::labels::Zone;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum MachineCommand {
    /// 列出虚拟机
    #[command(after_help = "例：
  jiyue machine list
  jiyue machine list --request ID --state running
  jiyue machine list --zone 政务外网 --sort name --all
  jiyue machine list --state building --watch
  jiyue machine list --department education -o name")]
    List {
        /// 只看某份申请的
        #[arg(long, value_name = "ID", value_parser = name)]
        request: Option<String>,
        /// 只看某个状态，如 running、stopped
        #[arg(long)]
        state: Option<String>,
        /// 只看某个网络区域的：政务外网、互联网、政务专网
        #[arg(long, value_parser = zone)]
        zone: Option<Zone>,
        /// 只看某台宿主机上的
        #[arg(long, value_name = "HOST", value_parser = name)]
        host: Option<String>,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 只看叫这个名字的
        #[arg(long, value_parser = name)]
        name: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一台虚拟机
    #[command(after_help = "例：\n  jiyue machine show ID\n  jiyue machine show ID --watch")]
    Show(ShowArgs),
    /// 改运维单位
    #[command(after_help = "例：
  jiyue machine set ID --om-unit '区民政局信息中心 0512-00000000'

改的时候别人也改了的，不会覆盖：退出码 4，重新看一遍再改。")]
    Set {
        #[command(flatten)]
        target: IdArg,
        /// 运维单位和联系方式
        #[arg(long, value_name = "TEXT")]
        om_unit: String,
    },
    /// 开机
    #[command(after_help = "例：\n  jiyue machine start ID --wait")]
    Start(ActArgs),
    /// 停机
    #[command(after_help = "例：\n  jiyue machine stop ID --wait")]
    Stop(ActArgs),
    /// 重新启动
    #[command(after_help = "例：\n  jiyue machine reboot ID --wait")]
    Reboot(ActArgs),
    /// 变更规格；超出任务书指标或宿主机容量时拒绝，并写明差多少
    #[command(after_help = "例：
  jiyue machine resize ID --vcpu 4 --memory 8GiB --wait
  jiyue machine resize ID --disk 200GiB --wait

CPU、内存要停机重启才生效；磁盘只能扩大，不停机。")]
    Resize {
        #[command(flatten)]
        target: IdArg,
        /// CPU 核数
        #[arg(long, value_name = "N", value_parser = count, required_unless_present_any = ["memory", "disk"])]
        vcpu: Option<u32>,
        /// 内存，如 8GiB
        #[arg(long, value_name = "SIZE", value_parser = size)]
        memory: Option<i64>,
        /// 磁盘，如 200GiB
        #[arg(long, value_name = "SIZE", value_parser = size)]
        disk: Option<i64>,
        #[command(flatten)]
        wait: WaitArg,
    },
    /// 迁移到另一台宿主机；运行中的不停机（运维员）
    #[command(after_help = "例：
  jiyue machine migrate ID --wait
  jiyue machine migrate ID --to node2 --wait

磁盘一起过去。只有接在共用网段上的虚拟机可以迁移，地址不变。")]
    Migrate {
        #[command(flatten)]
        target: IdArg,
        /// 目的宿主机；不给则自动选择
        #[arg(long, value_name = "HOST", value_parser = name)]
        to: Option<String>,
        #[command(flatten)]
        wait: WaitArg,
    },
    /// 在别处重建：宿主机已证明断电之后，磁盘是新的（运维员）
    #[command(after_help = "例：\n  jiyue machine rebuild ID --wait")]
    Rebuild(ActArgs),
    /// 延长使用期限，不超过任务书的资源使用期限
    #[command(after_help = "例：\n  jiyue machine extend ID --until 2028-12-31")]
    Extend {
        #[command(flatten)]
        target: IdArg,
        /// 用到哪一天
        #[arg(long, value_name = "DATE")]
        until: String,
    },
    /// 同意收回：到期前，判为闲置就可以收回（建设单位）
    #[command(after_help = "例：\n  jiyue machine agree-reclaim ID --until 2027-06-30 --reason 系统已停用")]
    AgreeReclaim {
        #[command(flatten)]
        target: IdArg,
        /// 到哪一天为止，最长一年
        #[arg(long, value_name = "DATE")]
        until: String,
        /// 理由
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// 撤回同意收回（建设单位）
    #[command(after_help = "例：\n  jiyue machine withdraw-reclaim ID")]
    WithdrawReclaim {
        #[command(flatten)]
        target: IdArg,
    },
    /// 删除：先进回收站，期限内可以恢复
    #[command(after_help = "例：\n  jiyue machine delete ID --wait")]
    Delete(ActArgs),
    /// 从回收站恢复
    #[command(after_help = "例：\n  jiyue machine restore ID --wait")]
    Restore(ActArgs),
    /// 马上再登记一次域名（区里的 DNS）
    #[command(
        after_help = "例：\n  jiyue machine register-name ID\n\n域名被占用、密钥被拒等问题处理好之后用；登记状态见 jiyue machine show ID。"
    )]
    RegisterName(IdArg),
    /// 领取数据库口令：只给一次，平台不再保存（申请人）
    #[command(
        after_help = "例：\n  jiyue machine credentials ID\n  jiyue machine credentials ID -o json > 只有自己能读的文件\n\n交付之后由申请单位领取，第二次就没有了。遗失的，用申请时的 SSH 公钥登录虚拟机改一个。"
    )]
    Credentials(IdArg),
    /// 打印串口控制台日志
    #[command(after_help = "例：\n  jiyue machine log ID --lines 50")]
    Log {
        #[command(flatten)]
        target: IdArg,
        /// 只要最后多少行
        #[arg(long, value_name = "N", value_parser = count)]
        lines: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub enum AlarmCommand {
    /// 列出告警
    #[command(
        after_help = "例：\n  jiyue alarm list\n  jiyue alarm list --kind missing --host node1\n  jiyue alarm list --watch"
    )]
    List {
        /// 已经消失的也列出
        #[arg(long)]
        cleared: bool,
        /// 只看某一种，如 foreign、missing、altered
        #[arg(long)]
        kind: Option<String>,
        /// 只看某台宿主机上的
        #[arg(long, value_name = "HOST", value_parser = name)]
        host: Option<String>,
        /// 只看某台虚拟机的
        #[arg(long, value_name = "ID", value_parser = name)]
        machine: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一条告警
    #[command(after_help = "例：\n  jiyue alarm show ID")]
    Show(ShowArgs),
    /// 知悉一条告警，记入审计；只发生一次的事（未经平台启动）就此了结
    #[command(after_help = "例：\n  jiyue alarm acknowledge ID")]
    Acknowledge(IdArg),
}
