//! The command line, as types. Four commands run on the server's own machine ([`Command::Serve`], [`Command::Doctor`],
//! [`Command::Token`], [`Command::Openapi`]); all others speak HTTP to a server ([`RemoteCommand`], carried out by [`run`]).
//!
//! Names and flags are English. Whatever a person reads stands here in Chinese, and becomes English by the tables of
//! [`language`] where that is wanted.

mod changes;
pub mod completion;
mod contexts;
mod decisions;
mod disks;
pub mod doctor;
mod document;
mod events;
pub mod exit;
mod follow;
mod format;
mod forms;
mod hosts;
mod images;
pub mod language;
mod layout;
mod lists;
pub mod local;
mod machines;
mod measured;
mod mistakes;
mod moves;
pub mod output;
mod parsers;
mod placement;
pub mod problem;
pub mod report;
mod reports;
mod requests;
mod rooms;
mod run;
mod servers;
mod session;
mod settings;
mod systems;
pub mod tables;
mod top;
mod upload;
mod usage;
mod watch;
mod waves;
mod words;
mod zombies;

pub use contexts::{ContextCommand, context};
pub use disks::DiskImportCommand;
pub use events::{AuditCommand, EventCommand};
pub use exit::Exit;
pub use hosts::{HostAddArgs, HostCommand, ZoneArg};
pub use images::{ImageCommand, ImageImportArgs};
pub use language::Language;
pub use lists::{ListArgs, ShowArgs, WatchArg};
pub use local::{LocalArgs, ServeArgs};
pub use machines::{AlarmCommand, MachineCommand};
pub use measured::UsageCommand;
pub use moves::MoveCommand;
pub use placement::PlacementCommand;
pub use reports::{IdleArgs, ReportCommand};
pub use requests::{FormArg, RequestCommand};
pub use rooms::{DeadlineCommand, RoomCommand};
pub use run::run;
pub use servers::ServerCommand;
pub use systems::SystemCommand;
pub use top::TopArgs;
pub use usage::{command, parse};
pub use waves::{BlackoutCommand, SystemRequestArgs, WaveCommand};
pub use zombies::ZombieCommand;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use parsers::{days, name};
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
#[derive(Debug, Default, Args)]
pub struct Global {
    /// 输出格式：table（给人看）、json、yaml、name（只有编号，一行一个）；报告还可以是 csv、xlsx；默认 table
    #[arg(short, long, global = true, value_enum, default_value_t, hide_default_value = true)]
    #[arg(hide_possible_values = true, value_name = "FORMAT")]
    pub output: OutputFormat,
    #[arg(help = "服务地址；也可用环境变量 JIYUE_SERVER 或上下文；默认 http://127.0.0.1:8460", long, global = true)]
    #[arg(value_name = "URL")]
    pub server: Option<String>,
    #[arg(help = "令牌；最好用环境变量 JIYUE_TOKEN 或上下文，命令行上的参数别人能看到", long, global = true)]
    #[arg(value_name = "TOKEN")]
    pub token: Option<Secret>,
    #[arg(
        help = "https 服务的 CA 证书（PEM），不用系统的；也可用环境变量 JIYUE_CA_FILE 或上下文",
        long,
        global = true
    )]
    #[arg(value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    #[arg(help = "用哪个上下文（见 jiyue context）；也可用环境变量 JIYUE_CONTEXT", long, global = true)]
    #[arg(value_name = "NAME", value_parser = name)]
    pub context: Option<String>,
    #[arg(help = "语言：zh 中文、en 英文；不给则看 LC_ALL、LC_MESSAGES、LANG", long, global = true)]
    #[arg(value_enum, hide_possible_values = true)]
    pub lang: Option<Language>,
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
    /// What other commands take as ID, one a line.
    Name,
    /// Of reports alone, as with the next.
    Csv,
    Xlsx,
}

/// A bearer token: never part of any message, not even of a debug print of the arguments.
#[derive(Clone, PartialEq, Eq)]
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
    /// 检查服务器：配置、数据库、磁盘、libvirt、DNS、时间（在服务器上运行）
    #[command(
        after_help = "例：\n  sudo -u jiyue jiyue doctor --config /etc/jiyue/jiyue.toml\n\n✓ 好，✗ 要处理（写明怎么办），– 不知道或不相干。有 ✗ 时退出码为 1。什么都不改。"
    )]
    Doctor(LocalArgs),
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
    /// 上下文：记住几个服务的地址、CA 证书和令牌在哪里，随时切换
    #[command(subcommand)]
    Context(ContextCommand),
    #[command(about = "打印 bash、zsh、fish 的补全脚本", after_help = completion::EXAMPLES)]
    Completion {
        #[arg(help = "bash、zsh 或 fish", value_parser = completion::shell(), value_name = "SHELL", hide_possible_values = true)]
        shell: Shell,
    },
    #[command(
        about = "把手册页写到一个目录",
        after_help = "例：\n  jiyue man --to /usr/local/share/man/man1\n  man jiyue-request-approve"
    )]
    Man {
        /// 目录，没有就新建；同名的手册页会换成新的
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    #[command(about = "打印 OpenAPI 文档（不需要服务）", after_help = "例：\n  jiyue openapi > openapi.json")]
    Openapi,
    #[command(
        about = "打印 Kubernetes 的资源定义（不需要服务）",
        after_help = "例：\n  jiyue crd | kubectl apply --server-side -f -"
    )]
    Crd,
    #[command(
        about = "把 Prometheus 规则与 Grafana 仪表盘写到一个目录（不需要服务）",
        after_help = "例：\n  jiyue dashboards --to /etc/jiyue/dashboards"
    )]
    Dashboards {
        /// 目录，没有就新建；同名的文件会换成新的
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
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
    #[command(after_help = "例：\n  jiyue token list --config /etc/jiyue/jiyue.toml")]
    List(LocalArgs),
    /// 吊销一个令牌，立即失效
    #[command(after_help = "例：\n  jiyue token revoke 019aa2c0-0000-7000-8000-000000000000")]
    Revoke(TokenRevokeArgs),
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
    /// 建设单位：登记、列出、查看、改名
    #[command(subcommand)]
    Department(DepartmentCommand),
    /// 项目任务书：导入、列出、查看、撤销
    #[command(subcommand)]
    TaskBook(TaskBookCommand),
    /// 宿主机：接入、查看、改设置、暂停接收、迁出、隔离
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
    /// 原有的服务器：登记、列出、查看、修改
    #[command(subcommand)]
    Server(ServerCommand),
    /// 实际用量：列出、逐日查看、导入，判定，规格建议
    #[command(subcommand)]
    Usage(UsageCommand),
    /// 信息系统：登记、查看、修改、列入和移出虚拟机，去向和迁移
    #[command(subcommand)]
    System(SystemCommand),
    /// 僵尸系统：判定、征求意见、答复、豁免、认定、备案
    #[command(subcommand)]
    Zombie(ZombieCommand),
    /// 旧机磁盘迁入：迁、看进度、退回、了结
    #[command(subcommand)]
    DiskImport(DiskImportCommand),
    /// 机房：导入普查表、查看、记录关停的证明、签字、导出
    #[command(subcommand)]
    Room(RoomCommand),
    /// 迁移批次：建、查看、检查冲突、修改、删除
    #[command(subcommand)]
    Wave(WaveCommand),
    /// 封网期：哪些天不割接
    #[command(subcommand)]
    Blackout(BlackoutCommand),
    /// 台账：各文件要求谁在什么时候做完什么
    #[command(subcommand)]
    Deadline(DeadlineCommand),
    /// 报告：闲置资源、机房关停进展、容量，随时要一份，或取回每月留存的
    #[command(subcommand)]
    Report(ReportCommand),
    /// 实时概况：容量、最忙和最闲的虚拟机、正在进行的操作、告警
    #[command(after_help = "例：
  jiyue top
  jiyue top --interval 10
  jiyue top -o json

按键：s 换排序，/ 筛选（回车确定，Esc 取消），r 马上刷新，q 退出。
输出不是终端时只打印一次；-o json 给程序用。数据都来自服务，不经过 Prometheus。")]
    Top(TopArgs),
    /// 操作（建设、停机等长任务）：列出、查看、跟踪进度
    #[command(subcommand)]
    Operation(OperationCommand),
    /// 事件：发生了什么，列出、跟踪
    #[command(subcommand)]
    Event(EventCommand),
    /// 审计记录：谁、什么时候、对什么、做了什么
    #[command(subcommand)]
    Audit(AuditCommand),
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
    #[command(after_help = "例：\n  jiyue department list\n  jiyue department list --sort name -o json")]
    List {
        /// 只看叫这个名字的
        #[arg(long, value_parser = name)]
        name: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一个建设单位
    #[command(after_help = "例：\n  jiyue department show education")]
    Show(ShowArgs),
    /// 改一个建设单位的全称
    #[command(
        after_help = "例：\n  jiyue department rename education 区教育和体育局\n\n改的时候别人也改了的，不会覆盖：退出码 4，重新看一遍再改。"
    )]
    Rename {
        #[command(flatten)]
        target: IdArg,
        /// 新的全称
        #[arg(value_parser = name)]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TaskBookCommand {
    /// 从 YAML 或 JSON 文件导入任务书
    #[command(
        after_help = "例：\n  jiyue task-book import task-book.yaml\n  cat task-book.yaml | jiyue task-book import -"
    )]
    Import(FileArg),
    /// 列出任务书与各项指标的已用、上限
    #[command(
        after_help = "例：\n  jiyue task-book list\n  jiyue task-book list --department education --sort -number"
    )]
    List {
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 只看这个文号的
        #[arg(long, value_name = "NUMBER")]
        number: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一份任务书
    #[command(after_help = "例：\n  jiyue task-book show XM-2026-001")]
    Show(ShowArgs),
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
pub enum OperationCommand {
    /// 列出操作
    #[command(after_help = "例：\n  jiyue operation list --state running\n  jiyue operation list --kind build --watch")]
    List {
        /// 只看某个状态，如 running、failed
        #[arg(long)]
        state: Option<String>,
        /// 只看某一种，如 build、migrate
        #[arg(long)]
        kind: Option<String>,
        /// 只看某份申请的
        #[arg(long, value_name = "ID", value_parser = name)]
        request: Option<String>,
        /// 只看某台虚拟机的
        #[arg(long, value_name = "ID", value_parser = name)]
        machine: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一个操作
    #[command(after_help = "例：\n  jiyue operation show ID\n  jiyue operation show ID --watch")]
    Show(ShowArgs),
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

#[cfg(test)]
mod tests;
