//! The command line, as types. Three commands run on the server's own machine ([`Command::Serve`], [`Command::Token`],
//! [`Command::Openapi`]); all others speak HTTP to a server ([`RemoteCommand`], carried out by [`run`]).
//!
//! Names and flags are English, whatever a person reads is Chinese.

mod document;
pub mod exit;
mod format;
mod forms;
mod layout;
pub mod local;
mod machines;
pub mod output;
mod placement;
pub mod problem;
mod requests;
mod run;
pub mod tables;
mod upload;
mod usage;
mod watch;
mod words;

pub use exit::Exit;
pub use machines::{AlarmCommand, MachineCommand};
pub use placement::PlacementCommand;
pub use requests::{FormArg, RequestCommand};
pub use run::run;
pub use usage::parse;

use crate::{client::Filter, labels::MlpsLevel};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::{fmt, path::PathBuf, str::FromStr};

/// Where the server listens unless told otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8460";

const START_HERE: &str = "\
第一次用（在服务器上）：
  jiyue serve                                    启动服务
  jiyue token create --person zhang --name 张三 --unit 区信息办 --role operator
                                                 发一个令牌，只显示这一次
  export JIYUE_TOKEN=令牌                        之后的命令都用它

一次申请从头到尾（括号里是谁来做，各用各的令牌）：
  jiyue host add … / image import …              接入宿主机，导入镜像（运维员）
  jiyue task-book import task-book.yaml          任务书入库：谁能用多少（审批人）
  jiyue request check 可研报告.docx              先检查，列出所有不符合之处，什么都不写（申请人）
  jiyue request submit 可研报告.docx             提交申请（申请人）
  jiyue request approve ID --wait                批准并等到虚拟机建好（审批人）
  jiyue machine list                             看虚拟机的地址和域名

每个命令都有说明和例子：jiyue request approve --help

退出码：
  0 成功   1 被拒绝，或所等的操作失败、账目不符   2 用法、文件或令牌不对
  3 连不上服务或服务出错   4 与现状冲突（额度或容量不够、已被别人改过）";

/// 集约：政务云资源申请、审批、建设与额度管理
#[derive(Debug, Parser)]
#[command(name = "jiyue", version, after_help = START_HERE)]
#[command(disable_help_flag = true, disable_version_flag = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    /// 显示版本
    #[arg(short = 'V', long, action = ArgAction::Version)]
    pub version: Option<bool>,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub struct Global {
    /// 输出格式：table（给人看）、json、yaml；默认 table
    #[arg(short, long, global = true, value_enum, default_value_t, hide_default_value = true)]
    #[arg(hide_possible_values = true, value_name = "FORMAT")]
    pub output: OutputFormat,
    #[arg(help = "服务地址；也可用环境变量 JIYUE_SERVER；默认 http://127.0.0.1:8460", long, global = true, env = "JIYUE_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    #[arg(hide_default_value = true, hide_env = true)]
    pub server: String,
    #[arg(
        help = "令牌；最好用环境变量 JIYUE_TOKEN，命令行上的参数别人能看到",
        long,
        global = true,
        env = "JIYUE_TOKEN",
        value_name = "TOKEN",
        hide_env = true,
        hide_env_values = true
    )]
    pub token: Option<Secret>,
    /// 显示帮助
    #[arg(short, long, global = true, action = ArgAction::Help)]
    pub help: Option<bool>,
}

/// How answers are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    #[default]
    Table,
    Json,
    Yaml,
}

/// A bearer token: never part of any message, not even of a debug print of the arguments.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The token itself, for the one header that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(Self(s.trim().to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// 启动服务（在服务器上运行）
    Serve(ServeArgs),
    /// 令牌：发放、列出、吊销（在服务器上运行）
    #[command(subcommand)]
    Token(TokenCommand),
    #[command(flatten)]
    Remote(RemoteCommand),
    /// 审核规则：列出、查看（不需要服务）
    #[command(subcommand)]
    Rules(RulesCommand),
    /// The other side of [`crate::request::apart`]; never reached from here.
    #[command(name = "read-form", hide = true)]
    ReadForm,
    #[command(about = "打印 OpenAPI 文档（不需要服务）", after_help = "例：\n  jiyue openapi > openapi.json")]
    Openapi,
}

#[derive(Debug, Args)]
#[command(after_help = "例：\n  jiyue serve\n  jiyue serve --config /etc/jiyue/config.toml")]
pub struct ServeArgs {
    #[arg(help = "配置文件（TOML）；不给则用默认设置与 JIYUE_ 开头的环境变量", long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// 发一个令牌，明文只显示这一次
    #[command(after_help = "例：
  jiyue token create --person zhang --name 张三 --unit 区信息办 --role authority
  jiyue token create --person li --name 李四 --role requester --department education --expires-days 90

同一个人的两个令牌算同一个人：提交人不能批准自己的申请。")]
    Create(TokenCreateArgs),
    /// 列出令牌（不含明文）
    List(LocalArgs),
    /// 吊销一个令牌，立即失效
    #[command(after_help = "例：\n  jiyue token revoke 019aa2c0-0000-7000-8000-000000000000")]
    Revoke(TokenRevokeArgs),
}

/// Where a command that runs on the server's own machine finds the server's settings.
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// 配置文件（TOML），与 jiyue serve 用的相同
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TokenRevokeArgs {
    /// 令牌号（见 jiyue token list）
    #[arg(value_parser = name)]
    pub id: String,
    #[command(flatten)]
    pub local: LocalArgs,
}

#[derive(Debug, Args)]
pub struct TokenCreateArgs {
    /// 登录名：认人的依据，一人一个
    #[arg(long, value_name = "LOGIN", value_parser = name)]
    pub person: String,
    /// 姓名
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// 所在单位；申请人的就是其建设单位，不用给
    #[arg(long, value_name = "UNIT", required_unless_present = "department")]
    pub unit: Option<String>,
    /// 角色：requester 申请人、authority 审批人、operator 运维员、auditor 审计员
    #[arg(long, value_enum, hide_possible_values = true)]
    pub role: Role,
    /// 建设单位代码；申请人必须有，其他角色不用
    #[arg(long, value_name = "CODE", required_if_eq("role", "requester"))]
    pub department: Option<String>,
    /// 有效天数，最多 90；不给则为 90
    #[arg(long, value_name = "N", value_parser = days)]
    pub expires_days: Option<u32>,
    #[command(flatten)]
    pub local: LocalArgs,
}

/// What a token's holder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Requester,
    Authority,
    Operator,
    Auditor,
}

impl Role {
    /// The word the API and the database use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Authority => "authority",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum RemoteCommand {
    /// 建设单位：登记、列出
    #[command(subcommand)]
    Department(DepartmentCommand),
    /// 项目任务书：导入、列出、查看、撤销
    #[command(subcommand)]
    TaskBook(TaskBookCommand),
    /// 宿主机：接入、查看、暂停接收、迁出、隔离
    #[command(subcommand)]
    Host(HostCommand),
    /// 落位：说明虚拟机会落在哪台宿主机，为什么
    #[command(subcommand)]
    Placement(PlacementCommand),
    /// 告警：宿主机上实际运行的与账上不符之处
    #[command(subcommand)]
    Alarm(AlarmCommand),
    /// 镜像：导入、列出、查看、分发到宿主机
    #[command(subcommand)]
    Image(ImageCommand),
    /// 资源申请：检查、提交、批准、退回、取消、查看
    #[command(subcommand)]
    Request(RequestCommand),
    /// 虚拟机：查看、开停、变更规格、延期、迁移、删除、恢复、数据库口令、串口日志
    #[command(subcommand)]
    Machine(MachineCommand),
    /// 操作（建设、停机等长任务）：列出、查看、跟踪进度
    #[command(subcommand)]
    Operation(OperationCommand),
    /// 账目：按明细重算，与账上核对
    #[command(subcommand)]
    Ledger(LedgerCommand),
}

#[derive(Debug, Subcommand)]
pub enum DepartmentCommand {
    /// 登记一个建设单位
    #[command(after_help = "例：\n  jiyue department create education 区教育局")]
    Create {
        /// 单位代码，英文短名
        #[arg(value_parser = name)]
        code: String,
        /// 单位全称
        #[arg(value_parser = name)]
        name: String,
    },
    /// 列出建设单位
    List(ListArgs),
}

#[derive(Debug, Subcommand)]
pub enum TaskBookCommand {
    /// 从 YAML 或 JSON 文件导入任务书
    #[command(
        after_help = "例：\n  jiyue task-book import task-book.yaml\n  cat task-book.yaml | jiyue task-book import -"
    )]
    Import(FileArg),
    /// 列出任务书与各项指标的已用、上限
    List(ListArgs),
    /// 查看一份任务书
    Show(IdArg),
    /// 撤销任务书；已批的不动，不能再批新的
    #[command(after_help = "例：\n  jiyue task-book revoke XM-2026-001 --reason 项目终止")]
    Revoke {
        #[command(flatten)]
        target: IdArg,
        /// 理由，记入审计
        #[arg(long)]
        reason: String,
    },
}

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
    List(ListArgs),
    /// 查看一台宿主机
    Show(IdArg),
    /// 暂停接收新的虚拟机；已有的不动
    Cordon(IdArg),
    /// 恢复接收
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
    #[command(about = "执行服务设置里的隔离命令（fence_command）；成功才算已断电")]
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
    #[arg(long, value_name = "LEVEL", value_parser = placement::level)]
    pub mlps_level: Option<MlpsLevel>,
    /// 改用 YAML 或 JSON 文件描述宿主机（- 为标准输入）
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "uri", "pool", "pool_path", "zones", "vcpu_overcommit", "memory_reserve", "mlps_level"])]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub wait: WaitArg,
}

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// 上传一个磁盘镜像（raw 或 qcow2）
    #[command(after_help = "例：
  jiyue image import debian-12.qcow2 --os debian-12 --name 'Debian 12'
  jiyue image import small.qcow2 --os debian-12 --name '小型替身镜像' --stand-in
  jiyue image import pg.qcow2 --os debian-12 --database postgresql-15 --name 'Debian 12 与 PostgreSQL 15'")]
    Import(ImageImportArgs),
    /// 列出镜像
    List(ListArgs),
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

#[derive(Debug, Subcommand)]
pub enum OperationCommand {
    /// 列出操作
    List(ListArgs),
    /// 查看一个操作
    Show(IdArg),
    /// 跟踪一个操作直到结束；失败时退出码为 1
    #[command(after_help = "例：\n  jiyue operation watch ID\n\nCtrl-C 只停止跟踪，操作照常进行。")]
    Watch(IdArg),
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// 列出审核规则与各自的依据
    #[command(after_help = "例：\n  jiyue rules list\n  jiyue rules list --profile suzhou-new-district -o json")]
    List {
        #[command(flatten)]
        district: DistrictArg,
    },
    /// 查看一条规则：说明、怎么改、依据、生效日期
    #[command(after_help = "例：\n  jiyue rules show basis_unclear")]
    Show {
        /// 规则代码（见 jiyue rules list）
        code: String,
        #[command(flatten)]
        district: DistrictArg,
    },
}

#[derive(Debug, Args)]
pub struct DistrictArg {
    /// 哪个地区：xiangcheng、suzhou-new-district 或规则文件
    #[arg(long, value_name = "ID|FILE", default_value = "xiangcheng", hide_default_value = true)]
    pub profile: String,
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// 核对额度与容量；有出入时退出码为 1
    #[command(after_help = "例：\n  jiyue ledger verify")]
    Verify,
}

#[derive(Debug, Args)]
pub struct IdArg {
    /// 编号（或名字、文号，以各命令的列表为准）
    #[arg(value_parser = name)]
    pub id: String,
}

#[derive(Debug, Args)]
pub struct FileArg {
    /// YAML 或 JSON 文件，UTF-8；- 为标准输入
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct ActArgs {
    #[command(flatten)]
    pub target: IdArg,
    #[command(flatten)]
    pub wait: WaitArg,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct WaitArg {
    /// 等到操作结束，显示进度
    #[arg(long)]
    pub wait: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct ListArgs {
    /// 最多列出多少条；不给则全部列出
    #[arg(long, value_name = "N", value_parser = count)]
    pub limit: Option<u32>,
}

impl ListArgs {
    fn filter(self, query: &[(&str, &str)]) -> Filter {
        let filter = query.iter().fold(Filter::new(), |filter, (field, value)| filter.by(field, value));
        match self.limit {
            Some(limit) => filter.limit(limit),
            None => filter,
        }
    }
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

/// `key=value,key=value` with known keys, each at most once.
fn pairs(s: &str, keys: &[&'static str]) -> Result<Vec<(&'static str, String)>, String> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for part in s.split(',') {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("“{part}”不是 键=值"))?;
        let key = keys.iter().find(|k| **k == key.trim());
        let key = key.ok_or_else(|| format!("“{part}”的键不认识，可用：{}", keys.join("、")))?;
        if found.iter().any(|(k, _)| k == key) {
            return Err(format!("{key} 给了两次"));
        }
        if value.trim().is_empty() {
            return Err(format!("{key} 没有值"));
        }
        found.push((key, value.trim().to_owned()));
    }
    Ok(found)
}

/// A word that becomes part of a URL's path: `.` and `..` would name another resource, an empty one the list itself.
fn name(s: &str) -> Result<String, String> {
    let s = s.trim();
    if s.is_empty() {
        return Err("不能为空".into());
    }
    if s == "." || s == ".." || s.chars().any(|c| c == '/' || c.is_control()) {
        return Err("不能是 . 或 ..，也不能有斜杠和控制字符".into());
    }
    if s.chars().count() > 200 {
        return Err("太长，最多 200 个字".into());
    }
    Ok(s.to_owned())
}

/// A number of things to show.
fn count(s: &str) -> Result<u32, String> {
    s.parse().ok().filter(|n| *n > 0).ok_or_else(|| "应是大于 0 的整数".into())
}

/// A size with its unit, in bytes.
fn size(s: &str) -> Result<i64, String> {
    format::parse_size(s).ok_or_else(|| "应是带单位的大小，如 2GiB、512MiB".into())
}

/// At most ten years: a longer one is a slip of the finger.
fn days(s: &str) -> Result<u32, String> {
    s.parse().ok().filter(|n| (1..=3650).contains(n)).ok_or_else(|| "应是 1 到 3650 之间的整数".into())
}

#[cfg(test)]
mod tests;
