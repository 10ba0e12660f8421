//! Commands about reports.

use super::{
    Exit, Global, IdArg, ListArgs, LocalArgs, OutputFormat,
    language::{say, tr},
    local,
    output::Screen,
    parsers::name,
    problem::Failure,
    session::Session,
    tables::{
        CAPACITY_ALARM, CAPACITY_BOOK, CAPACITY_HOST, CAPACITY_MACHINE, CAPACITY_OPERATION, CAPACITY_WAITING,
        CAPACITY_ZONE, Column, Kind, REPORT_AGE, REPORT_BORDER, REPORT_GROUP, REPORT_IDLE, REPORT_PROGRESS,
        REPORT_ROOM, REPORT_TARGET, REPORT_UNKNOWN, by_resource,
    },
};
use crate::{
    app,
    error::{Problem, story},
    identity::store::find_department,
    report::{idle::IdleReport, service::put},
    usage::judging::service::Keep,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    io::{BufWriter, Write as _},
    path::PathBuf,
    process::ExitCode,
};

#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// 闲置资源报告：谁闲置、多久、收回能省多少，证据和规格建议
    #[command(after_help = "例：
  jiyue report idle
  jiyue report idle --as-of 2026-10-31 --department education
  jiyue report idle -o xlsx --to 闲置资源报告.xlsx
  jiyue report idle --local --config /etc/jiyue/jiyue.toml

-o 可以是 table、json、yaml、csv、xlsx。同一天的报告什么时候要都一样。")]
    Idle(Box<IdleArgs>),
    /// 机房关停进展：多少已上云，哪些机房会逾期、为什么
    #[command(after_help = "例：
  jiyue report rooms
  jiyue report rooms --as-of 2026-10-31 --department education
  jiyue report rooms -o xlsx --to 机房关停进展.xlsx

-o 可以是 table、json、yaml、csv、xlsx。过去任何一天的报告什么时候要都一样；今天的是到现在为止的。")]
    Rooms {
        /// 截至哪一天；默认是今天
        #[arg(long, value_name = "DATE")]
        as_of: Option<String>,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 写到这个文件，已有的不覆盖
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// 容量：各网络区域、宿主机实有、可用、申请、批准、分配、实测多少，还能用几天
    #[command(after_help = "例：
  jiyue report capacity
  jiyue report capacity -o json
  jiyue report capacity -o xlsx --to 容量报告.xlsx

-o 可以是 table、json、yaml、csv、xlsx。审批人、运维员、审计员能看。一直开着看：jiyue top")]
    Capacity {
        /// 写到这个文件，已有的不覆盖
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// 列出每月自动生成、留存的报告
    #[command(after_help = "例：\n  jiyue report list\n  jiyue report list --as-of 2026-10-31")]
    List {
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        /// 只看截至这一天的
        #[arg(long, value_name = "DATE")]
        as_of: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 取回一份留存的报告，一字节不差
    #[command(after_help = "例：\n  jiyue report show ID\n  jiyue report show ID -o xlsx --to 闲置资源报告.xlsx")]
    Show {
        #[command(flatten)]
        target: IdArg,
        /// 写到这个文件，已有的不覆盖
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct IdleArgs {
    /// 截至哪一天，须已过完；默认是昨天
    #[arg(long, value_name = "DATE")]
    pub as_of: Option<String>,
    /// 只看某个建设单位的
    #[arg(long, value_name = "CODE", value_parser = name)]
    pub department: Option<String>,
    /// 写到这个文件，已有的不覆盖
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// 不经过服务，直接读本机的数据库（在服务器上运行）；什么都不写入
    #[arg(long)]
    pub local: bool,
    #[command(flatten)]
    pub config: LocalArgs,
}

/// What the service calls the format.
const fn format(output: OutputFormat) -> &'static str {
    match output {
        OutputFormat::Csv => "csv",
        OutputFormat::Xlsx => "xlsx",
        OutputFormat::Table | OutputFormat::Json | OutputFormat::Yaml | OutputFormat::Name => "json",
    }
}

pub async fn run(session: &Session<'_>, command: ReportCommand) -> Result<(), Failure> {
    let (client, screen) = (&session.client, session.screen);
    let form = format(screen.format());
    match command {
        ReportCommand::List { department, as_of, list } => {
            let fields = [("department", department.as_deref()), ("as_of", as_of.as_deref())];
            session.list(Kind::Report, &["reports"], &fields, &list).await
        }
        ReportCommand::Show { target, to } => {
            let bytes = client.bytes_by(&["reports", &target.id], &[("format", form)]).await?;
            deliver(screen, to, &bytes)
        }
        ReportCommand::Idle(args) => {
            let mut query = vec![("format", form)];
            query.extend(args.as_of.as_deref().map(|day| ("as_of", day)));
            query.extend(args.department.as_deref().map(|department| ("department", department)));
            let bytes = client.bytes_by(&["reports", "idle"], &query).await?;
            deliver(screen, args.to, &bytes)
        }
        ReportCommand::Capacity { to } => {
            let bytes = client.bytes_by(&["reports", "capacity"], &[("format", form)]).await?;
            deliver(screen, to, &bytes)
        }
        ReportCommand::Rooms { as_of, department, to } => {
            let mut query = vec![("format", form)];
            query.extend(as_of.as_deref().map(|day| ("as_of", day)));
            query.extend(department.as_deref().map(|department| ("department", department)));
            let bytes = client.bytes_by(&["reports", "rooms"], &query).await?;
            deliver(screen, to, &bytes)
        }
    }
}

/// Made from the database on this machine, without a server. Nothing is written there.
pub async fn here(global: &Global, args: &IdleArgs) -> ExitCode {
    let settings = match local::settings(args.config.config.as_deref()) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let screen = Screen::detect(global.output);
    let made = async {
        let db = app::open_database(&settings).await.map_err(Problem::internal)?;
        let reports = app::reports(&db, &settings).map_err(Problem::internal)?;
        let as_of = match &args.as_of {
            Some(day) => day.parse().map_err(|_| Problem::malformed("--as-of 须为日期，如 2026-10-31"))?,
            None => reports.judges.yesterday(),
        };
        let department = match &args.department {
            Some(key) => {
                let mut conn = db.read().await?;
                let found = find_department(&mut conn, key).await?;
                Some(found.ok_or_else(|| Problem::not_found("建设单位"))?)
            }
            None => None,
        };
        Ok(reports.idle(as_of, department.as_ref(), Keep::No).await?)
    };
    let report: IdleReport = match made.await {
        Ok(report) => report,
        Err(problem) => return refuse(&problem),
    };
    let shown = match screen.format() {
        // Of ten thousand machines it is too long to be kept as a text, or read and written once more.
        OutputFormat::Json if args.to.is_none() => write(&report).map_err(Failure::from),
        format => match document(&report, format) {
            Ok(bytes) => deliver(&screen, args.to.clone(), &bytes),
            Err(problem) => return refuse(&problem),
        },
    };
    // Not taken apart piece by piece, for a process that ends with this.
    std::mem::forget(report);
    match shown {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            screen.fail(&failure);
            failure.exit().into()
        }
    }
}

fn refuse(problem: &Problem) -> ExitCode {
    eprintln!("{}", story(problem).join(": "));
    Exit::Refused.into()
}

fn document(report: &IdleReport, format: OutputFormat) -> Result<Vec<u8>, Problem> {
    Ok(match format {
        OutputFormat::Csv => put(report)?.csv,
        OutputFormat::Xlsx => put(report)?.xlsx,
        _ => serde_json::to_vec(report).map_err(Problem::internal)?,
    })
}

fn write(report: &IdleReport) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, report)?;
    out.write_all(b"\n").and_then(|()| out.flush())
}

/// To a file as it is; else to the screen.
fn deliver(screen: &Screen, to: Option<PathBuf>, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(to) = to {
        std::fs::File::create_new(&to).and_then(|mut file| file.write_all(bytes))?;
        let text = say!("报告已存到 {to}", to = to.display());
        match screen.format() {
            // What the file holds is no answer to whoever reads this.
            OutputFormat::Csv | OutputFormat::Xlsx => screen.progress(&text)?,
            _ => screen.done(&text, &json!({"file": to, "size_bytes": bytes.len()}))?,
        }
        return Ok(());
    }
    if matches!(screen.format(), OutputFormat::Csv | OutputFormat::Xlsx) {
        return Ok(print(bytes)?);
    }
    let report: Value = serde_json::from_slice(bytes).map_err(std::io::Error::other)?;
    match report.get("kind").and_then(Value::as_str) {
        _ if !screen.for_people() => Ok(screen.document(&report)?),
        Some("rooms") => board(screen, &report),
        Some("capacity") => capacity(screen, &report),
        _ => show(screen, &report),
    }
}

fn print(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

fn show(screen: &Screen, report: &Value) -> Result<(), Failure> {
    let rows = |key: &str| report.pointer(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |key: &str| report.pointer(key).and_then(Value::as_i64).unwrap_or(0);
    let as_of = report.get("as_of").and_then(Value::as_str).unwrap_or_default();
    let title = say!(
        "截至 {as_of}：虚拟机 {all} 台，闲置 {idle} 台，其中可回收 {eligible} 台；无法判断 {unknown} 台",
        as_of,
        all = number("/totals/machines"),
        idle = number("/totals/idle/machines"),
        eligible = number("/totals/eligible/machines"),
        unknown = number("/totals/unknown")
    );
    screen.section(&title, &REPORT_AGE, &rows("/totals/ages"))?;
    for (title, columns, key) in [
        ("按建设单位和系统", &REPORT_GROUP[..], "/groups"),
        ("闲置的", &REPORT_IDLE[..], "/idle"),
        ("处在阈值附近的", &REPORT_BORDER, "/borderline"),
        ("无法判断的", &REPORT_UNKNOWN[..], "/unknown"),
        ("规格建议", Kind::Advice.columns(), "/advice"),
    ] {
        let rows = rows(key);
        if !rows.is_empty() {
            screen.section(&format!("\n{}", tr(title)), columns, &rows)?;
        }
    }
    Ok(())
}

/// What there is and what is left of it, and what waits for somebody.
pub fn capacity(screen: &Screen, report: &Value) -> Result<(), Failure> {
    let rows = |key: &str| report.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let sections: [(&str, &[Column], Vec<Value>); 8] = [
        ("各网络区域", &CAPACITY_ZONE, by_resource(report)),
        ("各宿主机", &CAPACITY_HOST, rows("hosts")),
        ("将满的任务书", &CAPACITY_BOOK, rows("task_books")),
        ("要人办的", &CAPACITY_WAITING, rows("waiting")),
        ("正在进行的操作", &CAPACITY_OPERATION, rows("operations")),
        ("未消除的告警", &CAPACITY_ALARM, rows("alarms")),
        ("最忙的虚拟机", &CAPACITY_MACHINE, rows("busiest")),
        ("最闲的虚拟机", &CAPACITY_MACHINE, rows("idlest")),
    ];
    let mut before = "";
    for (title, columns, rows) in sections {
        if !rows.is_empty() {
            screen.section(&format!("{before}{}", tr(title)), columns, &rows)?;
            before = "\n";
        }
    }
    if before.is_empty() {
        screen.note(tr("没有宿主机，也没有申请。"))?;
    }
    Ok(())
}

/// The room board: how much is in the cloud, and which rooms will be late.
fn board(screen: &Screen, report: &Value) -> Result<(), Failure> {
    let rows = |key: &str| report.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |key: &str| report.pointer(key).and_then(Value::as_i64).unwrap_or(0);
    let percent = report.pointer("/systems/percent").and_then(Value::as_f64);
    let title = say!(
        "截至 {as_of}：应用 {all} 个，已上云 {cloud} 个（{percent}%）；机房 {rooms} 个，已关停 {closed}，保留 {exempt}，待关停 {pending}，其中逾期 {late}",
        as_of = report.get("as_of").and_then(Value::as_str).unwrap_or_default(),
        all = number("/systems/denominator"),
        cloud = number("/systems/in_cloud"),
        percent = percent.map_or_else(|| "-".to_owned(), |percent| percent.to_string()),
        rooms = number("/rooms/surveyed"),
        closed = number("/rooms/closed"),
        exempt = number("/rooms/exempt"),
        pending = number("/rooms/pending"),
        late = number("/rooms/late")
    );
    screen.section(&title, &REPORT_PROGRESS, &rows("departments"))?;
    let sections: [(&str, &[Column], &str); 3] = [
        ("上云目标", &REPORT_TARGET, "targets"),
        ("各机房", &REPORT_ROOM, "board"),
        ("台账逾期", Kind::Deadline.columns(), "overdue"),
    ];
    for (title, columns, key) in sections {
        let rows = rows(key);
        if !rows.is_empty() {
            screen.section(&format!("\n{}", tr(title)), columns, &rows)?;
        }
    }
    Ok(())
}
