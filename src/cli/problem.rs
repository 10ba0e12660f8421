//! Why a command did not work, in words that say what to do next.

use super::{
    Exit,
    document::DocumentError,
    format,
    language::{clause, colon, say, tr},
    layout::{self, Paint},
    mistakes,
    report::Report,
    settings::SettingsError,
    tables,
    words::{self, Tone},
};
use crate::client::{BadAddress, ClientError, Problem, Violation};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::{error::Error, io};

const GET_A_TOKEN: &str = "在服务器的控制台上运行 jiyue token create --person 登录名 --name 姓名 --unit 单位 --role 角色，\
                           然后 export JIYUE_TOKEN=显示出来的令牌";

/// All the ways in which a command can end badly.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("no token was given")]
    MissingToken,
    /// Refused here, without a server, in a server's words.
    #[error("refused: {}", .0.title)]
    Checked(Box<Problem>),
    /// A profile or a catalogue that cannot be used.
    #[error("{0}")]
    Settings(String),
    /// No rule has this code.
    #[error("no rule {0}")]
    NoRule(String),
    /// It ended, and not well. Holds the operation.
    #[error("the operation did not succeed")]
    Operation(Box<Value>),
    /// Hosts that did not take an image.
    #[error("an image did not reach every host")]
    Undistributed(Vec<Value>),
    /// The differences have been printed.
    #[error("the books do not agree")]
    Differences,
    /// The operation goes on without us.
    #[error("interrupted while following {operation}")]
    Interrupted { operation: String },
    /// Some of several were refused; which, has been printed.
    #[error("not all of them were decided")]
    Some { exit: Exit },
    /// A context without an address.
    #[error("no server was given")]
    NoServer,
    /// The command line's own settings.
    #[error(transparent)]
    Contexts(#[from] SettingsError),
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Failure {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => match error {
                ClientError::BadServer(_) | ClientError::BadToken | ClientError::BadCertificates => Exit::Usage,
                ClientError::Unreachable { .. } | ClientError::AnswerLost { .. } | ClientError::Silent { .. } => {
                    Exit::Unreachable
                }
                ClientError::Refused { status, .. } | ClientError::Strange { status, .. } => Exit::of_status(*status),
            },
            Self::Document(_)
            | Self::MissingToken
            | Self::Settings(_)
            | Self::NoRule(_)
            | Self::NoServer
            | Self::Contexts(_) => Exit::Usage,
            Self::Some { exit } => *exit,
            // The reader left early, as `head` does: that is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) | Self::Operation(_) | Self::Undistributed(_) | Self::Differences | Self::Checked(_) => {
                Exit::Refused
            }
            Self::Interrupted { .. } => Exit::Interrupted,
        }
    }
}

/// What to say of a failure; `None` where everything has been said, or nobody listens any more.
pub fn report(failure: &Failure) -> Option<Report> {
    Some(match failure {
        Failure::Client(error) => client(error),
        Failure::Document(error) => mistakes::document(error),
        Failure::MissingToken => Report::new("no_token", "没有令牌").mend(GET_A_TOKEN),
        Failure::Checked(problem) => Report { status: None, ..refused(0, problem) },
        Failure::Settings(why) => Report::new("settings", "规则文件不能用").detail(format::clean(why)),
        Failure::NoRule(code) => Report::new("no_such_rule", say!("没有规则 {code}", code = format::clean(code)))
            .mend("看有哪些规则：jiyue rules list"),
        Failure::NoServer => Report::new("no_server", "没有给服务地址")
            .mend("加 --server，如 jiyue context add prod --server https://cloud.example.gov.cn"),
        Failure::Contexts(error) => mistakes::settings(error),
        Failure::Operation(operation) => operation_ended(operation),
        Failure::Undistributed(hosts) => {
            let text =
                |host: &Value, key: &str| host.get(key).and_then(Value::as_str).map(format::clean).unwrap_or_default();
            let report = Report::new("image_not_distributed", "没有分发到全部宿主机");
            let report = hosts
                .iter()
                .fold(report, |report, host| report.detail([text(host, "host"), text(host, "reason")].join(colon())));
            report.mend("处理好上面的原因后会自动再试；马上再试：jiyue image distribute")
        }
        Failure::Interrupted { operation } => Report::new("interrupted", "不再跟踪；操作照常进行")
            .mend(say!("再看进度：jiyue operation watch {operation}", operation)),
        Failure::Output(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Report::new("output_failed", "结果写不出去").detail(error.to_string())
        }
        Failure::Differences | Failure::Some { .. } | Failure::Output(_) => return None,
    })
}

fn client(error: &ClientError) -> Report {
    match error {
        ClientError::BadServer(why) => {
            let why = match why {
                BadAddress::NotAUrl => "不是网址；要写成 http://主机:端口",
                BadAddress::Scheme => "要以 http:// 或 https:// 开头",
                BadAddress::Credentials => "地址里不要放用户名和密码；用 JIYUE_TOKEN",
            };
            Report::new("bad_server", "服务地址不能用").detail(why).mend("改 --server 或环境变量 JIYUE_SERVER")
        }
        ClientError::BadCertificates => Report::new("bad_ca_file", "CA 文件里没有能用的证书")
            .mend("--ca-file（JIYUE_CA_FILE）要指向 PEM 格式的 CA 证书，以 -----BEGIN CERTIFICATE----- 开头"),
        ClientError::Silent { url, after } => Report::new("silent", "服务不再有动静")
            .detail(say!("地址：{url}，已 {seconds} 秒", url, seconds = after.as_secs()))
            .mend("看服务是否还在：jiyue operation list；再跟踪一次即可，事件不会漏"),
        ClientError::BadToken => Report::new("bad_token", "令牌里有不该有的字符")
            .detail("可能复制时带上了换行、空格或中文标点")
            .mend("重新复制令牌；丢了就在服务器上再发一个：jiyue token create"),
        ClientError::Unreachable { url, source } => Report::new("unreachable", "连不上服务")
            .detail(say!("地址：{url}", url))
            .detail(say!("原因：{why}", why = cause(source)))
            .mend("服务没有启动的话，在服务器上运行 jiyue serve")
            .mend("地址不对的话，用 --server URL 或环境变量 JIYUE_SERVER 指定"),
        ClientError::AnswerLost { url, source } => Report::new("answer_lost", "没有等到应答，不确定是否已经办成")
            .detail(say!("地址：{url}", url))
            .detail(say!("原因：{why}", why = cause(source)))
            .mend("先用 list 或 show 看看是否已经生效，再决定要不要重做"),
        ClientError::Strange { url, status } => {
            Report::new("unexpected_answer", "那个地址上的不是集约服务，或版本不合")
                .detail(say!("地址：{url}，HTTP {status}", url, status))
                .mend("检查 --server 或环境变量 JIYUE_SERVER；中间有代理的话，直接连服务试试")
        }
        ClientError::Refused { status, problem } => refused(*status, problem),
    }
}

fn refused(status: u16, problem: &Problem) -> Report {
    let mut report = Report {
        title: format::clean(&problem.title),
        code: problem.code.as_deref().map(format::clean).unwrap_or_default(),
        status: Some(status),
        details: problem.detail.as_deref().map(format::clean).into_iter().collect(),
        mends: Vec::new(),
        problem: Some(Box::new(problem.clone())),
    };
    match status {
        401 => report = report.mend(say!("令牌不对、过期或已吊销。{how}", how = tr(GET_A_TOKEN))),
        412 => report = report.mend("读出来之后别人又改了，没有覆盖；看看现在是什么样，再改一次"),
        500.. => report = report.mend("稍后再试；一直不行就把请求号告诉运维员"),
        _ => {}
    }
    report
}

/// The innermost reason, in Chinese where it is a common one.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    let mut kind = None;
    loop {
        kind = last.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        match last.source() {
            Some(next) => last = next,
            None => break,
        }
    }
    let text = format::clean(&last.to_string());
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => tr("那个地址没有服务在听（connection refused）").into(),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => say!("连接被对方断开（{text}）", text),
        Some(io::ErrorKind::TimedOut) => say!("等太久没有回应（{text}）", text),
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => say!("网络不通（{text}）", text),
        _ if text.contains("certificate") => {
            say!("服务器的证书不被信任（{text}）；用 --ca-file 指明签发它的 CA 证书，并用证书上的名字访问", text)
        }
        _ if text.contains("failed to lookup address") => say!("主机名解析不了（{text}）", text),
        _ if text.contains("timed out") => say!("等太久没有回应（{text}）", text),
        _ => text,
    }
}

fn operation_ended(operation: &Value) -> Report {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).filter(|s| !s.is_empty());
    let (state, _) = words::operation_state(text("state").unwrap_or("failed"));
    let kind = words::operation_kind(text("kind").unwrap_or("操作"));
    let mut report = Report::new("operation_failed", [tr(kind), tr(state)].map(format::clean).join(colon()));
    if let Some(step) = text("current_step") {
        report = report.detail(say!("停在步骤：{step}", step = format::clean(step)));
    }
    if let Some(reason) = text("reason") {
        report = report.detail(say!("原因：{why}", why = format::clean(reason)));
    }
    match operation.get("error") {
        Some(Value::String(error)) => report = report.detail(say!("错误：{what}", what = format::clean(error))),
        Some(error @ Value::Object(_)) => {
            report.problem = Problem::from_json(error.clone()).map(Box::new);
            if let Some(problem) = &report.problem {
                let parts = [Some(problem.title.as_str()), problem.detail.as_deref()];
                let parts: Vec<_> = parts.into_iter().flatten().map(format::clean).collect();
                report.details.push(say!("错误：{what}", what = parts.join(clause())));
            }
        }
        _ => {}
    }
    match text("id") {
        Some(id) => report.mend(say!("看详情：jiyue operation show {id}", id = format::clean(id))),
        None => report,
    }
}

/// The report for people: what, why, each violation, what to do; an empty line between the parts.
pub fn text(report: &Report, paint: Paint) -> String {
    let status = report.status.map(|status| format!("HTTP {status}"));
    let code = Some(report.code.clone()).filter(|code| !code.is_empty());
    let marks: Vec<_> = status.into_iter().chain(code).collect();
    let marks =
        if marks.is_empty() { String::new() } else { paint.dim(&say!("（{marks}）", marks = marks.join(clause()))) };
    let title = format!("{}{}{marks}", paint.tone(Tone::Bad, tr("错误：")), paint.bold(&report.title));
    let details = report.details.iter().map(|detail| format!("  {detail}"));
    let mut parts = vec![std::iter::once(title).chain(details).collect::<Vec<_>>()];
    if let Some(problem) = &report.problem {
        let violations = problem.errors.iter().flatten().enumerate();
        parts.extend(violations.map(|(n, violation)| self::violation(n + 1, violation, paint)));
        if let Some(shortage) = problem.shortage.as_deref().filter(|rows| !rows.is_empty()) {
            let table = layout::grid(&tables::SHORTAGE, shortage, &TimeZone::UTC, paint).trim_fmt();
            let rows = table.lines().map(|line| format!("    {line}"));
            parts.push(std::iter::once(format!("  {}", tr("额度或容量不够："))).chain(rows).collect());
        }
    }
    let mend = paint.tone(Tone::Good, tr("怎么办："));
    parts.push(report.mends.iter().map(|text| format!("  {mend}{text}")).collect());
    let id = report.problem.as_ref().and_then(|problem| problem.request_id.as_deref());
    parts.push(
        id.map(|id| paint.dim(&format!("  {}", say!("请求号：{id}", id = format::clean(id))))).into_iter().collect(),
    );
    let parts = parts.iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n"));
    parts.collect::<Vec<_>>().join("\n\n")
}

/// A list, not a table: four long Chinese columns fit no terminal.
fn violation(n: usize, violation: &Violation, paint: Paint) -> Vec<String> {
    let clean = |text: &Option<String>| text.as_deref().map(format::clean).unwrap_or_default();
    let pointer = clean(&violation.pointer);
    let key = pointer.rsplit('/').find(|part| part.parse::<u32>().is_err()).unwrap_or_default();
    let place = match words::field(key) {
        Some(name) => say!("{name}（{pointer}）", name, pointer),
        None => pointer.clone(),
    };
    let head: Vec<_> = [place, clean(&violation.message)].into_iter().filter(|text| !text.is_empty()).collect();
    let unit = violation.unit.as_deref().unwrap_or_default();
    let numbers =
        [("申请", &violation.asked), ("已用", &violation.used), ("上限", &violation.limit), ("还剩", &violation.left)];
    let numbers = numbers.iter().filter_map(|(name, value)| Some((name, value.as_ref().filter(|v| !v.is_null())?)));
    let numbers: Vec<_> =
        numbers.map(|(name, value)| format!("{} {}", tr(name), format::quantity(value, unit))).collect();
    let facts = [
        ("位置：  ", violation.place.as_ref().map(|place| format::clean(&place.to_string())).unwrap_or_default()),
        ("数字：  ", numbers.join(clause())),
        ("依据：  ", clean(&violation.basis).trim_start_matches("依据：").to_owned()),
        ("怎么改：", clean(&violation.mend)),
        ("代码：  ", clean(&violation.code)),
    ];
    let facts = facts.iter().filter(|(_, text)| !text.is_empty());
    let facts = facts.map(|(name, text)| format!("     {}{text}", paint.dim(tr(name))));
    std::iter::once(format!("  {n}. {}", paint.bold(&head.join(colon())))).chain(facts).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::cli::language::{self, Language};
    use serde_json::json;

    fn shown(failure: &Failure) -> String {
        text(&report(failure).unwrap(), Paint(false))
    }

    fn refusal(status: u16, problem: Value) -> Failure {
        let problem = Box::new(Problem::from_json(problem).unwrap());
        Failure::Client(ClientError::Refused { status, problem })
    }

    #[test]
    fn a_refusal_names_every_field_with_basis_and_mend() {
        let failure = refusal(
            422,
            json!({
                "type": "about:blank", "title": "申请有 2 处不符合要求", "status": 422,
                "detail": "全部列在下面，改完再提交。", "code": "block_refused", "request_id": "req-7",
                "errors": [
                    {"pointer": "/cpu_count", "code": "indicator_vcpu", "message": "超过任务书的控制指标",
                     "basis": "任务书 XM-2026-001 第 3 条", "mend": "减到 4 核以下，或先变更任务书",
                     "asked": 16, "used": 60, "limit": 64, "unit": "vcpu"},
                    {"pointer": "/memory", "code": "indicator_memory", "message": "超过任务书的控制指标",
                     "basis": null, "mend": "减少", "asked": 34_359_738_368_u64, "used": 0, "limit": 17_179_869_184_u64, "unit": "bytes"},
                    {"pointer": "/ssh_keys/1", "code": "bad_key", "message": "不是\u{1b}[31m公钥"},
                ],
            }),
        );
        assert_eq!(failure.exit(), Exit::Refused);
        insta::assert_snapshot!(shown(&failure), @"
        错误：申请有 2 处不符合要求（HTTP 422，block_refused）
          全部列在下面，改完再提交。

          1. cpu 数量（/cpu_count）：超过任务书的控制指标
             数字：  申请 16 核，已用 60 核，上限 64 核
             依据：  任务书 XM-2026-001 第 3 条
             怎么改：减到 4 核以下，或先变更任务书
             代码：  indicator_vcpu

          2. 内存容量（/memory）：超过任务书的控制指标
             数字：  申请 32 GiB，已用 0 B，上限 16 GiB
             怎么改：减少
             代码：  indicator_memory

          3. SSH 公钥（/ssh_keys/1）：不是�[31m公钥
             代码：  bad_key

          请求号：req-7
        ");
    }

    #[test]
    fn a_shortage_is_a_conflict_told_in_numbers() {
        let failure = refusal(
            409,
            json!({
                "title": "宿主机容量不够", "code": "capacity_shortage", "errors": null,
                "shortage": [
                    {"dimension": "vcpu", "asked": 8, "free": 2},
                    {"dimension": "memory_bytes", "asked": 17_179_869_184_u64, "free": 1_610_612_736, "unit": "bytes"},
                ],
            }),
        );
        assert_eq!(failure.exit(), Exit::Conflict);
        insta::assert_snapshot!(shown(&failure), @"
        错误：宿主机容量不够（HTTP 409，capacity_shortage）

          额度或容量不够：
            维度    申请     空闲
            CPU     8 核     2 核
            内存  16 GiB  1.5 GiB
        ");
    }

    #[test]
    fn a_missing_or_bad_token_says_how_to_get_one() {
        insta::assert_snapshot!(shown(&Failure::MissingToken), @"
        错误：没有令牌（no_token）

          怎么办：在服务器的控制台上运行 jiyue token create --person 登录名 --name 姓名 --unit 单位 --role 角色，然后 export JIYUE_TOKEN=显示出来的令牌
        ");
        insta::assert_snapshot!(shown(&refusal(401, json!({"title": "没有登录", "code": "unauthenticated"}))), @"
        错误：没有登录（HTTP 401，unauthenticated）

          怎么办：令牌不对、过期或已吊销。在服务器的控制台上运行 jiyue token create --person 登录名 --name 姓名 --unit 单位 --role 角色，然后 export JIYUE_TOKEN=显示出来的令牌
        ");
    }

    #[test]
    fn a_failed_operation_says_where_and_why() {
        let operation = json!({
            "id": "op-1", "kind": "build", "state": "failed", "current_step": "start_domain", "reason": "宿主机内存不足",
            "error": {"title": "启动失败", "code": "domain_start", "errors": []},
        });
        let failure = Failure::Operation(Box::new(operation));
        assert_eq!(failure.exit(), Exit::Refused);
        insta::assert_snapshot!(shown(&failure), @"
        错误：建设虚拟机：失败（operation_failed）
          停在步骤：start_domain
          原因：宿主机内存不足
          错误：启动失败

          怎么办：看详情：jiyue operation show op-1
        ");
    }

    #[test]
    fn a_syntax_error_shows_the_place() {
        let error = DocumentError::Syntax {
            path: "block.yaml".into(),
            line: 3,
            column: 5,
            message: "mapping values are not allowed here".into(),
            source_line: "  cpu: 2: 3".into(),
            json: false,
        };
        let failure = Failure::Document(error);
        assert_eq!(failure.exit(), Exit::Usage);
        insta::assert_snapshot!(shown(&failure), @"
        错误：block.yaml 第 3 行第 5 列不是正确的 YAML（file_syntax）
          这里不该再有“字段: 值”：缩进没对齐，或者值里有冒号没加引号
          3 |   cpu: 2: 3

          怎么办：检查缩进（用空格，不用 Tab）、冒号后的空格、引号和括号是否成对
        ");
    }

    #[test]
    fn scripts_get_the_problem_as_it_came() {
        let raw = json!({"title": "没有这份申请", "code": "not_found", "extra": {"kept": true}});
        assert_eq!(report(&refusal(404, raw.clone())).unwrap().to_json(), raw);
        let own = report(&Failure::MissingToken).unwrap().to_json();
        assert_eq!(own.get("code"), Some(&json!("no_token")));
    }

    #[test]
    fn every_failure_of_our_own_is_told_in_english_too() {
        language::set(Language::English);
        let path = || std::path::PathBuf::from("a.yaml");
        let io = |kind: io::ErrorKind| io::Error::from(kind);
        let url = || "http://h/v1/x".to_owned();
        let syntax = |message: &str| {
            let (message, source_line) = (message.to_owned(), "a: b".to_owned());
            DocumentError::Syntax { path: path(), line: 3, column: 5, message, source_line, json: false }.into()
        };
        let operation =
            json!({"id": "op", "kind": "build", "state": "failed", "current_step": "disk", "reason": "full"});
        let failures: Vec<Failure> = vec![
            ClientError::BadServer(BadAddress::NotAUrl).into(),
            ClientError::BadServer(BadAddress::Scheme).into(),
            ClientError::BadServer(BadAddress::Credentials).into(),
            ClientError::BadToken.into(),
            ClientError::BadCertificates.into(),
            ClientError::Silent { url: url(), after: std::time::Duration::from_secs(60) }.into(),
            ClientError::Strange { url: url(), status: 502 }.into(),
            refusal(401, json!({"title": "no", "code": "unauthenticated"})),
            refusal(412, json!({"title": "no", "code": "precondition_failed"})),
            refusal(500, json!({"title": "no", "request_id": "r"})),
            refusal(
                409,
                json!({"title": "no", "errors": [{"pointer": "/cpu_count", "asked": 3, "limit": 2, "unit": "vcpu"}],
                "shortage": [{"dimension": "vcpu", "asked": 8, "free": 2}]}),
            ),
            Failure::MissingToken,
            Failure::NoServer,
            Failure::Settings("why".to_owned()),
            Failure::NoRule("x".to_owned()),
            Failure::Operation(Box::new(operation)),
            Failure::Undistributed(vec![json!({"host": "h", "reason": "r"})]),
            Failure::Interrupted { operation: "op".to_owned() },
            Failure::Output(io(io::ErrorKind::StorageFull)),
            DocumentError::Read { path: path(), source: io(io::ErrorKind::NotFound) }.into(),
            DocumentError::Read { path: "-".into(), source: io(io::ErrorKind::PermissionDenied) }.into(),
            DocumentError::TooLarge { path: path() }.into(),
            DocumentError::NotUtf8 { path: path(), line: 2 }.into(),
            DocumentError::Empty { path: path() }.into(),
            DocumentError::NotAnObject { path: path() }.into(),
            syntax("mapping values are not allowed here"),
            syntax("duplicate mapping key: a"),
            syntax("EOF while parsing"),
            SettingsError::NoHome.into(),
            SettingsError::Exposed { path: path(), mode: 0o644 }.into(),
            SettingsError::Io { path: path(), source: io(io::ErrorKind::NotFound) }.into(),
            SettingsError::Syntax { path: path(), message: "m".to_owned() }.into(),
            SettingsError::NoContext { name: "x".to_owned(), known: Vec::new() }.into(),
            SettingsError::Taken { name: "x".to_owned() }.into(),
            SettingsError::TokenCommand { program: "pass".to_owned(), message: "m".to_owned() }.into(),
            SettingsError::NoToken { path: path() }.into(),
        ];
        for failure in &failures {
            let said = shown(failure);
            let chinese = said
                .chars()
                .find(|c| matches!(c, '\u{3000}'..='\u{303f}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}'));
            assert_eq!(chinese, None, "{said}");
        }
        insta::assert_snapshot!(shown(&failures[8]), @"
        Error: no (HTTP 412, precondition_failed)

          What to do: Somebody else changed it after it was read, and that was not overwritten; look at it as it is now and change it again
        ");
    }

    #[test]
    fn a_reader_that_leaves_early_is_no_failure() {
        let failure = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(failure.exit(), Exit::Done);
        assert!(report(&failure).is_none());
    }
}
