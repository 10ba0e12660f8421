//! `jiyue room …` and `jiyue deadline …`: types, and how they are carried out.

use super::{
    IdArg, ListArgs, ShowArgs,
    language::{say, tr},
    parsers::{choices, name},
    problem::Failure,
    session::{Session, object},
    tables::Kind,
    upload,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{io::Write as _, path::PathBuf};

#[derive(Debug, Subcommand)]
pub enum RoomCommand {
    /// 导入普查表：先看差异，再写入（审批人、运维员）
    #[command(after_help = "例：
  jiyue room import 自查表.xlsx                  看会有什么变化，什么都不写
  jiyue room import 自查表.xlsx --apply 核对码   写入刚才看到的变化
  jiyue room export --to 样表.xlsx               先导出一份当样表

一个 .xlsx 或 .csv 文件，含机房、服务器、信息系统、依赖关系中的一张或几张表。有一处不对就都不收，逐处指出。")]
    Import(RoomImportArgs),
    /// 列出机房：期限、还剩几个系统
    #[command(after_help = "例：
  jiyue room list
  jiyue room list --standing pending --sort due_on
  jiyue room list --department education --kind ordinary")]
    List {
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        #[arg(
            help = "只看某一类：ordinary 普通、access 接入、upper_mandated 上级指定",
            long,
            value_enum,
            hide_possible_values = true
        )]
        kind: Option<RoomKind>,
        /// 只看：pending 待关停、exempt 保留、gone 已关停
        #[arg(long, value_enum, hide_possible_values = true)]
        standing: Option<RoomStanding>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看机房：系统、服务器、关停的各道关口、被什么挡住
    #[command(after_help = "例：\n  jiyue room show ID\n  jiyue room show ID --watch")]
    Show(ShowArgs),
    /// 记录关停的证明：服务器下电、设备处置、网络断开（申请人、运维员）
    #[command(after_help = "例：
  jiyue room record ID --gate servers_off --evidence '下电记录 2026-11-20' --server-name 旧服务器1
  jiyue room record ID --gate equipment_disposed --evidence 资产处置单第7号
  jiyue room record ID --gate network_cut --evidence 专线已拆")]
    Record(RoomRecordArgs),
    /// 在机房关停上签字；两个单位的两个人都签了，机房即关停（申请人、审批人）
    #[command(after_help = "例：\n  jiyue room sign ID --comment '现场核验，同意关停'")]
    Sign {
        #[command(flatten)]
        target: IdArg,
        /// 意见
        #[arg(long, value_name = "TEXT")]
        comment: String,
    },
    /// 写明理由，重新启用已关停的机房（审批人）
    #[command(after_help = "例：\n  jiyue room reopen ID --reason '省厅来函，保留至年底'")]
    Reopen {
        #[command(flatten)]
        target: IdArg,
        /// 理由，记入审计
        #[arg(long)]
        reason: String,
    },
    /// 导出自查报告、清理整合清单或接入清单，改好可以再导入
    #[command(after_help = "例：
  jiyue room export --to 自查报告.xlsx
  jiyue room export --form merge --to 清理整合清单.xlsx
  jiyue room export --form access --format csv --department education --to 接入清单.csv")]
    Export(RoomExportArgs),
}

#[derive(Debug, Args)]
pub struct RoomImportArgs {
    /// .xlsx 或 .csv 文件
    pub file: PathBuf,
    /// 看差异时给出的核对码
    #[arg(long, value_name = "DIGEST", value_parser = name)]
    pub apply: Option<String>,
}

#[derive(Debug, Args)]
pub struct RoomRecordArgs {
    #[command(flatten)]
    pub target: IdArg,
    #[arg(
        help = "哪道关口：servers_off 服务器下电、equipment_disposed 设备处置、network_cut 网络断开",
        long,
        value_enum,
        hide_possible_values = true
    )]
    pub gate: RoomGate,
    /// 证明：文件、编号、在场人员
    #[arg(long, value_name = "TEXT")]
    pub evidence: String,
    /// 哪一天办的；默认今天
    #[arg(long, value_name = "DATE")]
    pub on: Option<String>,
    /// 哪台服务器，可重复；不给则机房里还开着的全部
    #[arg(long = "server-name", value_name = "NAME")]
    pub servers: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RoomExportArgs {
    /// survey 自查报告、merge 清理整合清单、access 接入清单；默认 survey
    #[arg(long, value_enum, hide_possible_values = true)]
    pub form: Option<SurveyForm>,
    /// xlsx 或 csv；默认 xlsx
    #[arg(long, value_enum, hide_possible_values = true)]
    pub format: Option<SheetFormat>,
    /// 只看某个建设单位的
    #[arg(long, value_name = "CODE", value_parser = name)]
    pub department: Option<String>,
    /// 写到这个文件，已有的不覆盖
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

choices! {
    /// What kind of room.
    RoomKind: Ordinary = "ordinary", Access = "access", UpperMandated = "upper_mandated";
    /// Where it stands.
    RoomStanding: Pending = "pending", Exempt = "exempt", Gone = "gone";
    /// What can be recorded of its closing.
    RoomGate: ServersOff = "servers_off", EquipmentDisposed = "equipment_disposed", NetworkCut = "network_cut";
    /// Which paper.
    SurveyForm: Survey = "survey", Merge = "merge", Access = "access";
    /// As what.
    SheetFormat: Csv = "csv", Xlsx = "xlsx";
}

#[derive(Debug, Subcommand)]
pub enum DeadlineCommand {
    /// 列出台账：谁在什么时候做完什么，依据哪个文件
    #[command(after_help = "例：\n  jiyue deadline list\n  jiyue deadline list --sort -due_on -o json")]
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// 记台账的一项已经完成（审批人）
    #[command(after_help = "例：\n  jiyue deadline meet jiangsu-2017-5 --evidence '清理报告 2026-06-20'")]
    Meet {
        #[command(flatten)]
        target: IdArg,
        /// 证明：文件、编号
        #[arg(long, value_name = "TEXT")]
        evidence: String,
    },
}

pub async fn run(session: &Session<'_>, command: RoomCommand) -> Result<(), Failure> {
    let client = &session.client;
    match command {
        RoomCommand::Import(args) => import(session, args).await,
        RoomCommand::List { department, kind, standing, list } => {
            let fields = [
                ("department", department.as_deref()),
                ("kind", kind.map(RoomKind::word)),
                ("standing", standing.map(RoomStanding::word)),
            ];
            session.list(Kind::Room, &["rooms"], &fields, &list).await
        }
        RoomCommand::Show(args) => session.show(Kind::Room, "rooms", args).await,
        RoomCommand::Record(args) => {
            let body = object(&[
                ("gate", Some(args.gate.word().into())),
                ("evidence", Some(args.evidence.into())),
                ("on", args.on.map(Into::into)),
                ("servers", Some(json!(args.servers))),
            ]);
            let answer = client.post(&["rooms", &args.target.id, "record"], &body).await?;
            session.made("已记录", Kind::Room, &answer.body)
        }
        RoomCommand::Sign { target, comment } => {
            let answer = client.post(&["rooms", &target.id, "sign"], &json!({"comment": comment})).await?;
            let closed = answer.body.get("closed_on").is_some_and(|day| !day.is_null());
            let said = if closed {
                "已签字，机房已关停"
            } else {
                "已签字；还要另一个单位的另一个人签"
            };
            session.made(said, Kind::Room, &answer.body)
        }
        RoomCommand::Reopen { target, reason } => {
            let answer = client.post(&["rooms", &target.id, "reopen"], &json!({"reason": reason})).await?;
            session.made("机房已重新启用", Kind::Room, &answer.body)
        }
        RoomCommand::Export(args) => {
            let mut query = Vec::new();
            query.extend(args.form.map(|form| ("form", form.word())));
            query.extend(args.format.map(|format| ("format", format.word())));
            query.extend(args.department.as_deref().map(|department| ("department", department)));
            let content = client.bytes_by(&["rooms", "export"], &query).await?;
            std::fs::File::create_new(&args.to).and_then(|mut file| file.write_all(&content))?;
            let answer = json!({"file": args.to, "size_bytes": content.len()});
            Ok(session.screen.done(&say!("已存到 {to}", to = args.to.display()), &answer)?)
        }
    }
}

/// What the file would change, or has changed.
async fn import(session: &Session<'_>, args: RoomImportArgs) -> Result<(), Failure> {
    let file = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut query = vec![("name", file.as_str())];
    query.extend(args.apply.as_deref().map(|digest| ("apply", digest)));
    let answer = upload::file(&session.client, &upload::SURVEY, &args.file, &query).await?;
    let body = &answer.body;
    session.screen.one(Kind::SurveyImport, body)?;
    let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    if !session.screen.for_people() {
        return Ok(());
    }
    if body.get("applied") == Some(&Value::Bool(true)) {
        return Ok(session.screen.note(tr("已写入"))?);
    }
    let file = args.file.display();
    let again =
        say!("什么都没有写。照此写入：jiyue room import {file} --apply {digest}", file, digest = text("digest"));
    Ok(session.screen.note(&again)?)
}

pub async fn deadline(session: &Session<'_>, command: DeadlineCommand) -> Result<(), Failure> {
    match command {
        DeadlineCommand::List { list } => session.list(Kind::Deadline, &["deadlines"], &[], &list).await,
        DeadlineCommand::Meet { target, evidence } => {
            let path = ["deadlines", &target.id, "meet"];
            let answer = session.client.post(&path, &json!({"evidence": evidence})).await?;
            session.made("已记完成", Kind::Deadline, &answer.body)
        }
    }
}
