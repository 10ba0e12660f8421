#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{
    layout::{self, Paint},
    tables::Kind,
    usage, *,
};
use clap::FromArgMatches as _;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

fn try_parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Cli, clap::Error> {
    let words = words.into_iter();
    usage::command().try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches))
}

fn cli(words: &str) -> Cli {
    try_parse(words.split_whitespace()).unwrap_or_else(|e| panic!("{words}: {e}"))
}

fn mistake(words: &str) -> String {
    let error = try_parse(words.split_whitespace()).expect_err(words);
    usage::explain(&error).expect("told in Chinese")
}

fn help(words: &str) -> String {
    try_parse(words.split_whitespace()).expect_err("help").to_string()
}

#[test]
fn the_command_tree_is_sound() {
    usage::command().debug_assert();
}

#[test]
fn every_command_parses() {
    for words in [
        "jiyue serve --config a.toml",
        "jiyue token create --person z --name 张三 --unit 区信息办 --role authority --expires-days 30",
        "jiyue token create --person l --name 李四 --role requester --department edu",
        "jiyue token list",
        "jiyue token revoke T",
        "jiyue department create edu 区教育局",
        "jiyue department list -o json",
        "jiyue task-book import a.yaml",
        "jiyue task-book revoke XM-1 --reason 终止",
        "jiyue host add n1 --uri qemu:///system --zone zone=a,network=b,bridge=c,cidr=10.0.0.0/24 --vcpu-overcommit 4 --memory-reserve 2GiB",
        "jiyue host add --file host.yaml --wait",
        "jiyue host add n1 --uri qemu:///system --zone zone=a,network=b,bridge=c,cidr=10.0.0.0/24 --mlps-level 三级",
        "jiyue placement explain ID -o json",
        "jiyue placement explain --vcpu 4 --memory 16GiB --disk 100GiB --zone 政务外网 --mlps-level 三级 --spread require",
        "jiyue image import a.qcow2 --os debian-12 --name Debian --stand-in",
        "jiyue image show Debian",
        "jiyue image distribute Debian --host n1 --host n2 --wait",
        "jiyue request check -",
        "jiyue request submit a.yaml --server http://h:1 -o yaml",
        "jiyue request approve ID --wait --comment 同意",
        "jiyue request approve A B C --wait",
        "jiyue request return ID --reason 改",
        "jiyue request return A B --reason 改",
        "jiyue request cancel ID",
        "jiyue request list --state submitted --limit 5",
        "jiyue machine list --request ID --state running",
        "jiyue machine log ID --lines 5",
        "jiyue machine credentials ID",
        "jiyue image import a.qcow2 --os debian-12 --database postgresql-15 --name PG",
        "jiyue machine restore ID --wait",
        "jiyue system create 低保系统 --purpose 审批 --scope 本单位 --frequency daily --department edu",
        "jiyue system set ID --replaced-by 新平台 --clear last_login_on --clear scope",
        "jiyue system attach ID --machine A --request B",
        "jiyue zombie judge ID -o json",
        "jiyue zombie reply ID --answer object --reason 在用 --holds replaced --denies idle --denies little_used",
        "jiyue zombie exempt ID --until 2027-01-01 --evidence 函",
        "jiyue zombie sheet ID --to a.xlsx",
        "jiyue disk-import create --old-server S --source-host room-1 --domain oa --machine M --address keep --old-address 10.0.0.5",
        "jiyue disk-import rollback ID --reason 测试未通过 --wait",
        "jiyue disk-import finish ID --evidence 已拆除",
        "jiyue operation watch ID",
        "jiyue ledger verify",
        "jiyue usage list --department edu --from 2026-10-01 --to 2026-10-31 --sort name",
        "jiyue server create 档案库旧服务器 --department edu --cores 8 --memory 32GiB --source room --instance h:9100",
        "jiyue server list --department edu --source room --sort name",
        "jiyue server show ID",
        "jiyue server set ID --name 新名 --unmeasured",
        "jiyue usage list --kind server",
        "jiyue usage sources",
        "jiyue server replay ID --from 2026-09-01 --to 2026-10-31",
        "jiyue usage show ID --from 2026-10-01 -o json",
        "jiyue usage verdicts --day 2026-10-31 --verdict idle --eligible --department edu",
        "jiyue usage verdicts --machine ID",
        "jiyue usage advice --day 2026-10-31",
        "jiyue machine agree-reclaim ID --until 2027-06-30 --reason 停用",
        "jiyue machine withdraw-reclaim ID",
        "jiyue report idle --as-of 2026-10-31 --department edu -o xlsx --to a.xlsx",
        "jiyue report idle --local --config a.toml -o csv",
        "jiyue report capacity -o xlsx --to a.xlsx",
        "jiyue top --interval 5",
        "jiyue report list --as-of 2026-10-31",
        "jiyue report show ID -o csv",
        "jiyue host set n1 --vcpu 4 --memory 2GiB --disk 1TiB --mlps-level 二级",
        "jiyue host list --state active --sort -name --all --watch --interval 5",
        "jiyue host show n1 --watch",
        "jiyue department rename edu 区教育和体育局",
        "jiyue machine set ID --om-unit 0512",
        "jiyue alarm show ID",
        "jiyue machine list --zone 政务外网 --host n1 --department edu --name x --sort created_at -o name",
        "jiyue request list --task-book 相信任〔2026〕17号 --department edu",
        "jiyue operation list --state running --kind build",
        "jiyue alarm list --cleared --kind missing --host n1",
        "jiyue event list --limit 5 --after-page T",
        "jiyue event watch --after E -o json",
        "jiyue audit list --action machine.delete --person li --outcome denied --sort seq --limit 3 --watch",
        "jiyue department show edu",
        "jiyue image list --os debian-12 --name Debian --sort -name",
        "jiyue operation list --request R --machine M",
        "jiyue task-book list --department edu --number 相信任〔2026〕17号 --sort -number",
        "jiyue context add prod --server https://h --ca-file ca.pem --token-file t",
        "jiyue context add prod --server https://h --replace -- pass show jiyue",
        "jiyue context use prod",
        "jiyue context show",
        "jiyue context remove prod --lang en",
        "jiyue completion bash",
        "jiyue man --to /tmp/man",
        "jiyue openapi",
        "jiyue crd",
        "jiyue dashboards --to /tmp/d",
    ] {
        cli(words);
    }
}

#[test]
fn global_options_stand_anywhere() {
    for words in ["jiyue -o yaml --server http://x request list", "jiyue request list -o yaml --server http://x"] {
        let cli = cli(words);
        assert_eq!((cli.global.output, cli.global.server.as_deref()), (OutputFormat::Yaml, Some("http://x")));
    }
}

#[test]
fn what_would_name_another_resource_is_refused() {
    for id in ["..", ".", "a/b", "/"] {
        assert!(try_parse(["jiyue", "request", "show", id]).is_err(), "{id}");
    }
    for id in ["", "  ", "a\nb", &"长".repeat(201)] {
        assert!(try_parse(["jiyue", "request", "show", id]).is_err(), "{id:?}");
    }
    assert!(try_parse(["jiyue", "task-book", "show", "相发改〔2026〕1号"]).is_ok());
}

#[test]
fn zones_are_read_key_by_key() {
    assert_eq!(
        "zone=a, cidr=10.0.0.0/24".parse(),
        Ok(ZoneArg(vec![("zone", "a".to_owned()), ("cidr", "10.0.0.0/24".to_owned())]))
    );
    for bad in ["", "zone", "zone=", "vlan=3", "zone=a,zone=b"] {
        assert!(bad.parse::<ZoneArg>().is_err(), "{bad}");
    }
}

#[test]
fn the_token_is_in_no_help_and_no_debug_print() {
    let cli = cli("jiyue --token s3cret request list");
    assert!(!format!("{cli:?}").contains("s3cret"));
    assert_eq!(cli.global.token.as_ref().map(Secret::reveal), Some("s3cret"));
    assert!(!mistake("jiyue --token s3cret request lst").contains("s3cret"));
    assert!(!help("jiyue --token s3cret request list --help").contains("s3cret"));
}

#[test]
fn mistakes_are_told_in_chinese() {
    insta::assert_snapshot!(mistake("jiyue requst list"), @"
    错误：不认识的命令：requst
    是不是想写：rules、request

    用法：jiyue [OPTIONS] <COMMAND>

    加 --help 看说明和例子。
    ");
    insta::assert_snapshot!(mistake("jiyue request return ID"), @"
    错误：缺少：--reason <REASON>

    用法：jiyue request return --reason <REASON> <ID>...

    加 --help 看说明和例子。
    ");
    insta::assert_snapshot!(mistake("jiyue request list -o xml"), @"
    错误：--output <FORMAT> 的值“xml”不对
    可用：table、json、yaml、name、csv、xlsx

    加 --help 看说明和例子。
    ");
    insta::assert_snapshot!(mistake("jiyue machine log ID --line 3"), @"
    错误：不认识的参数：--line
    是不是想写：--lines

    用法：jiyue machine log --lines <N> <ID>

    加 --help 看说明和例子。
    ");
    insta::assert_snapshot!(mistake("jiyue machine log ID --lines 0"), @"
    错误：--lines <N> 的值“0”不对：应是大于 0 的整数

    加 --help 看说明和例子。
    ");
    insta::assert_snapshot!(mistake("jiyue request show .."), @"
    错误：<ID> 的值“..”不对：不能是 . 或 ..，也不能有斜杠和控制字符

    加 --help 看说明和例子。
    ");
    insta::assert_snapshot!(mistake("jiyue host add n1 --file x.yaml"), @"
    错误：[NAME] 不能和 --file <FILE> 一起用

    用法：jiyue host add <NAME>

    加 --help 看说明和例子。
    ");
}

#[test]
fn half_a_command_is_answered_with_its_help() {
    let words = ["jiyue", "request", "--token", "t"];
    let error = usage::instead(try_parse(words).unwrap_err(), words.map(Into::into).to_vec());
    assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp);
    assert!(error.to_string().contains("jiyue request [OPTIONS] <COMMAND>"));
}

#[test]
fn help_is_chinese_and_begins_with_what_to_do_first() {
    insta::assert_snapshot!(help("jiyue --help"), @"
    集约：政务云资源申请、审批、建设与额度管理

    用法：jiyue [OPTIONS] <COMMAND>

    命令:
      serve        启动服务（在服务器上运行）
      doctor       检查服务器：配置、数据库、磁盘、libvirt、DNS、时间（在服务器上运行）
      token        令牌：发放、列出、吊销（在服务器上运行）
      department   建设单位：登记、列出、查看、改名
      task-book    项目任务书：导入、列出、查看、撤销
      host         宿主机：接入、查看、改设置、暂停接收、迁出、隔离
      placement    落位：说明虚拟机会落在哪台宿主机，为什么
      alarm        告警：宿主机上实际运行的与账上不符之处
      image        镜像：导入、列出、查看、分发到宿主机
      request      资源申请：检查、提交、批准、退回、取消、查看
      machine      虚拟机：查看、开停、变更规格、延期、迁移、删除、恢复、数据库口令、串口日志
      server       原有的服务器：登记、列出、查看、修改
      usage        实际用量：列出、逐日查看、导入，判定，规格建议
      system       信息系统：登记、查看、修改、列入和移出虚拟机，去向和迁移
      zombie       僵尸系统：判定、征求意见、答复、豁免、认定、备案
      disk-import  旧机磁盘迁入：迁、看进度、退回、了结
      room         机房：导入普查表、查看、记录关停的证明、签字、导出
      wave         迁移批次：建、查看、检查冲突、修改、删除
      blackout     封网期：哪些天不割接
      deadline     台账：各文件要求谁在什么时候做完什么
      report       报告：闲置资源、机房关停进展、容量，随时要一份，或取回每月留存的
      top          实时概况：容量、最忙和最闲的虚拟机、正在进行的操作、告警
      operation    操作（建设、停机等长任务）：列出、查看、跟踪进度
      event        事件：发生了什么，列出、跟踪
      audit        审计记录：谁、什么时候、对什么、做了什么
      ledger       账目：按明细重算，与账上核对
      rules        审核规则：列出、查看（不需要服务）
      context      上下文：记住几个服务的地址、CA 证书和令牌在哪里，随时切换
      completion   打印 bash、zsh、fish 的补全脚本
      man          把手册页写到一个目录
      openapi      打印 OpenAPI 文档（不需要服务）
      crd          打印 Kubernetes 的资源定义（不需要服务）
      dashboards   把 Prometheus 规则与 Grafana 仪表盘写到一个目录（不需要服务）

    通用选项:
      -o, --output <FORMAT>  输出格式：table（给人看）、json、yaml、name（只有编号，一行一个）；报告还可以是 csv、xlsx；默认 table
          --server <URL>     服务地址；也可用环境变量 JIYUE_SERVER 或上下文；默认 http://127.0.0.1:8460
          --token <TOKEN>    令牌；最好用环境变量 JIYUE_TOKEN 或上下文，命令行上的参数别人能看到
          --ca-file <FILE>   https 服务的 CA 证书（PEM），不用系统的；也可用环境变量 JIYUE_CA_FILE 或上下文
          --context <NAME>   用哪个上下文（见 jiyue context）；也可用环境变量 JIYUE_CONTEXT
          --lang <LANG>      语言：zh 中文、en 英文；不给则看 LC_ALL、LC_MESSAGES、LANG
      -h, --help             显示帮助
      -V, --version          显示版本

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
      3 连不上服务或服务出错   4 与现状冲突（额度或容量不够、已被别人改过）
    ");
    insta::assert_snapshot!(help("jiyue request approve --help"), @"
    批准：占额度、占容量，开始建设；可以一次几份，各自决定

    用法：jiyue request approve [OPTIONS] <ID>...

    参数:
      <ID>...  申请编号

    选项:
          --comment <COMMENT>  审批意见
          --wait               等到操作结束，显示进度

    通用选项:
      -o, --output <FORMAT>  输出格式：table（给人看）、json、yaml、name（只有编号，一行一个）；报告还可以是 csv、xlsx；默认 table
          --server <URL>     服务地址；也可用环境变量 JIYUE_SERVER 或上下文；默认 http://127.0.0.1:8460
          --token <TOKEN>    令牌；最好用环境变量 JIYUE_TOKEN 或上下文，命令行上的参数别人能看到
          --ca-file <FILE>   https 服务的 CA 证书（PEM），不用系统的；也可用环境变量 JIYUE_CA_FILE 或上下文
          --context <NAME>   用哪个上下文（见 jiyue context）；也可用环境变量 JIYUE_CONTEXT
          --lang <LANG>      语言：zh 中文、en 英文；不给则看 LC_ALL、LC_MESSAGES、LANG
      -h, --help             显示帮助

    例：
      jiyue request approve ID --wait
      jiyue request approve ID --comment 同意
      jiyue request approve ID ID ID --wait

    几份一起批时列出每一份的结果。有没批成的：都是与现状冲突，退出码 4；否则 1。
    ");
}

/// One row of each kind as the API sends it, with Chinese of different lengths and gaps.
#[allow(clippy::too_many_lines, reason = "a list of one of each")]
fn samples(kind: Kind) -> Vec<Value> {
    let department = json!({"code": "edu", "name": "区教育局"});
    match kind {
        Kind::Department => vec![department, json!({"code": "development-reform", "name": "区发展和改革委员会"})],
        Kind::TaskBook => vec![
            json!({"id": "tb-1", "number": "相发改〔2026〕1号", "version": 2, "department": department,
                "project": {"code": "p1", "name": "智慧校园"}, "valid_from": "2026-01-01", "valid_until": "2026-12-31T16:00:00Z",
                "revoked_at": null, "indicators": [
                    {"dimension": "machines", "limit": 10, "used": 2, "free": 8},
                    {"dimension": "memory_bytes", "limit": 68_719_476_736_u64, "used": 1_610_612_736, "free": 67_108_864_000_u64}]}),
            json!({"number": "B"}),
        ],
        Kind::Host => vec![
            json!({"id": "h-1", "name": "node1", "provider": "libvirt", "uri": "qemu:///system", "domain_type": "qemu",
                "state": "active", "capacity": {"vcpu": 16, "memory_bytes": 17_179_869_184_u64, "disk_bytes": 1_099_511_627_776_u64},
                "used": {"vcpu": 2, "memory_bytes": 0, "disk_bytes": 0},
                "zones": [{"zone": "government_extranet", "network": "n", "cidr": "10.0.0.0/24", "gateway": "10.0.0.1"}]}),
            json!({"name": "二号机房三号宿主机", "state": "a_newer_state"}),
        ],
        Kind::Rule => vec![
            json!({"code": "basis_unclear", "field": "/basis", "sentence": "没有说明是每台的还是合计的。", "mend": "写明。",
                "document": null, "clause": null, "basis": "依据：平台规则", "jurisdiction": "平台", "in_force_from": "2026-11-21"}),
            json!({"code": "task_book_missing", "field": "/task_book", "basis": "相政办〔2018〕150号 第十五条"}),
        ],
        Kind::Image => {
            vec![json!({"sha256": "0123456789abcdef0123", "name": "小型替身", "os_type": "debian-12", "stand_in": true,
            "format": "qcow2", "size_bytes": 52_428_800, "virtual_size_bytes": 2_147_483_648_u64, "hosts_present": 1, "hosts_total": 2, "imported_at": "2026-11-21T01:00:00Z"})]
        }
        Kind::Request => vec![
            json!({"id": "019aa2c0-0000-7000-8000-000000000001", "state": "submitted", "department": department,
                "task_book": "相发改〔2026〕1号", "block": {"machines": 2, "zone": "government_extranet", "om_unit": {"name": "信息中心", "contact": "0512-1"}, "domain": "school.gov.cn", "remarks": "无",
                "memory_bytes": 4_294_967_296_u64, "zeta": [1, 2]}, "submitted_by": {"login": "li", "name": "李四"},
                "submitted_at": "2026-11-21T01:00:00Z",
                "machines": [{"id": "m-1", "name": "school", "fqdn": "school.gov.cn", "address": "10.0.0.2", "state": "running", "host": "node1"}]}),
            json!({"id": "2", "state": "a_newer_state", "submitted_by": "王五"}),
        ],
        Kind::Machine => vec![
            json!({"id": "m-1", "name": "school", "fqdn": "school.gov.cn", "state": "running", "host": "node1",
                "zone": "government_private", "address": "10.0.0.2", "mac": "52:54:00:00:00:01", "vcpu": 2, "memory_bytes": 4_294_967_296_u64,
                "disk_bytes": 42_949_672_960_u64, "image": "小型替身", "os_type": "debian-12", "stand_in": true,
                "request_id": "r", "department": department, "lease_end": "2027-11-21", "om_unit": "某某公司"}),
            json!({"id": "m-2", "name": "bad\u{1b}[31m\nname", "state": "undone"}),
        ],
        Kind::System => vec![
            json!({"id": "s-1", "name": "低保审批系统", "department": department, "purpose": "低保审批", "scope": "office",
                "frequency": "rarely", "last_updated_on": "2024-05-01", "maintained_until": null, "last_login_on": null,
                "replaced_by": "民政一体化平台", "recorded_by": "zhang", "recorded_at": "2026-11-21T01:00:00Z",
                "machines": [{"id": "m-1", "name": "school", "by": "project"}]}),
            json!({"id": "s-2", "name": "=1+1", "scope": "a_newer_scope"}),
        ],
        Kind::Zombie => vec![
            json!({"id": "z-1", "system_id": "s-1", "system_name": "低保审批系统", "department": department, "state": "asked",
                "judgement": {"on": "2026-11-21", "needed": 1, "criteria": [
                    {"criterion": "replaced", "text": "功能被其他系统替代", "basis": "相政办〔2018〕151号 二（二）具体要求5",
                        "outcome": "met", "confidence": "high", "evidence": [
                            {"source": "record", "on": "2026-11-20", "by": "zhang", "text": "登记为由“民政一体化平台”替代"}]},
                    {"criterion": "idle", "text": "长期处于空闲状态", "outcome": "unknown", "confidence": "low", "evidence": []}]},
                "question": {"due_on": "2026-12-06", "by": "wang", "unit": "区信息办", "at": "2026-11-21T01:00:00Z"},
                "answer": null, "exemption": null, "exemption_over": false, "decision": null, "filing": null}),
            json!({"id": "z-2", "state": "a_newer_state"}),
        ],
        Kind::Operation => vec![
            json!({"id": "op-1", "kind": "build", "state": "running", "percent": 33, "steps_done": 3, "steps_total": 9,
                "current_step": "disk", "reason": null, "created_at": "2026-11-21T01:00:00Z", "finished_at": null}),
        ],
        Kind::Alarm => vec![json!({"id": "a-1", "kind": "foreign", "host": "node1", "name": "挖矿", "domain_id": "x",
            "detail": "没有集约的标记", "first_seen_at": "2026-11-21T01:00:00Z", "acknowledged_by": null, "cleared_at": null})],
        Kind::Credentials => {
            vec![json!({"machine_id": "m-1", "engine": "postgresql", "address": "10.0.0.2", "port": 5432,
            "database": "school_db", "role": "school_db", "password": "abc"})]
        }
        Kind::Event => vec![json!({"specversion": "1.0", "id": "e-1", "source": "/jiyue", "type": "machine.delivered",
            "subject": "machines/m-1", "time": "2026-11-21T01:00:00Z", "data": {"a": 1}})],
        Kind::Audit => vec![json!({"seq": 14, "at": "2026-11-21T01:00:00Z", "person": "zhang", "unit": "区信息办",
            "role": "requester", "action": "machine.delete", "object_type": "machine", "object_id": "m-1", "outcome": "done"})],
        Kind::Verdict => vec![json!({"id": "v-1", "day": "2026-11-20", "subject": {"id": "m-1", "name": "school",
            "department": department}, "judgement": {"verdict": "idle", "eligibility": {"eligible": true, "reasons": []},
            "reasons": [{"code": "all_quiet", "sentence": "都没有使用迹象"}]}, "idle": {"since": "2026-08-01", "days": 112},
            "cause": null})],
        Kind::Advice => vec![json!({"id": "m-1", "name": "school", "department": department, "system": "智慧校园",
            "advice": {"change": "smaller", "resource": "memory", "from": 4_294_967_296_u64, "to": 1_073_741_824,
                "sentence": "近 31 天内存 P99 为 0.60 GiB"}})],
        Kind::Report => vec![json!({"id": "r-1", "kind": "idle", "as_of": "2026-10-31", "department": department,
            "made_at": "2026-11-01T01:00:00Z"})],
        Kind::Agreement => {
            vec![json!({"id": "g-1", "machine_id": "m-1", "agreed_on": "2026-11-21", "until": "2027-06-30",
            "reason": "停用", "withdrawn_on": null})]
        }
        Kind::Usage => vec![
            json!({"kind": "machine", "id": "m-1", "name": "school", "department_id": "d", "vcpu": 2, "memory_bytes": 4_294_967_296_u64,
                "usage": {"from": "2026-10-23", "to": "2026-11-21", "samples": 1440, "coverage_percent": 3.333,
                    "cpu_percent": {"mean": 1.25, "p50": 1.0, "p95": 4.0, "p99": 5.0, "max": 88.0}, "memory_percent": null,
                    "received_bytes": 1_048_576, "sent_bytes": 0},
                "days": [{"date": "2026-11-21", "samples": 1440, "coverage_percent": 100.0, "cpu_mean_percent": 1.25,
                    "cpu_max_percent": 88.0, "memory_mean_percent": null, "received_bytes": 1_048_576, "sent_bytes": 0}],
                "guest": {"told_at": "2026-11-21T08:00:00Z", "logins": ["root"], "addresses": ["10.66.0.7"],
                    "filesystems": [{"mountpoint": "/", "total_bytes": 21_474_836_480_u64, "used_bytes": 1_048_576}]}}),
        ],
        Kind::UsageImport => {
            vec![json!({"rows": 288, "subjects": 1, "points": 286, "days": 0, "interval_seconds": 300,
                "refused": [{"cause": "late", "column": "ts", "count": 2, "first_line": 7}],
                "first_refused": [{"line": 7, "column": "ts", "cause": "late"}], "unknown_names": ["fs1"]})]
        }
        Kind::Server => vec![json!({"id": "s-1", "name": "档案库旧服务器", "department": {"id": "d", "code": "mzj",
            "name": "区民政局"}, "cores": 8, "memory_bytes": 34_359_738_368_u64, "source": null, "instance": null,
            "created_at": "2026-11-21T01:00:00Z"})],
        Kind::UsageSource => vec![json!({"name": "room-1", "kind": "node_exporter", "state": "partial", "servers": 12,
            "measured": 11, "collected_at": "2026-11-21T01:00:00Z", "failure_code": "timed_out", "failure": "disk：没有按时答复"})],
        Kind::Room => vec![json!({"id": "r-1", "name": "老楼一号机房", "department": department, "kind": "ordinary",
            "standing": "pending", "evidence": null, "due_on": "2020-08-22", "basis": "相政办〔2018〕151号 二（一）具体要求3",
            "late_days": 2291, "systems_left": 2, "systems_all": 3, "gates": [
                {"gate": "systems_gone", "passed": false, "missing": ["还没有迁出的系统 2 个：甲、乙"]}],
            "blockers": [{"system": "乙", "department": department, "room": "二号机房", "own": false, "way": ["甲", "乙"]}]})],
        Kind::SurveyImport => {
            vec![json!({"applied": false, "digest": "ab12", "new": 1, "changed": 1, "same": 7, "absent_all": 2,
            "changes": [{"kind": "system", "department": "区教育局", "name": "甲", "new": false,
                "fields": [{"field": "用户规模", "from": "300", "to": "500"}]}],
            "notes": [{"place": {"sheet": "系统", "row": 5}, "column": "", "message": "是说明"}]})]
        }
        Kind::SystemMove => vec![json!({"id": "s-1", "name": "甲", "department": department, "room": "老楼一号机房",
            "standing": "pending", "stage": "decided", "difficulty": {"points": 9, "level": 3, "overruled": {"level": 4},
                "parts": [{"part": "os", "points": 4, "most": 4, "reason": "操作系统 2003"}]},
            "decision": {"disposition": "rebuild", "text": "架构过时"}, "needs": ["乙"], "waits_for": ["乙"], "goes_with": []})],
        Kind::Deadline => vec![json!({"id": "jiangsu-2017-5", "due_on": "2017-12-31", "overdue": true, "task": "清理",
            "owner": "各部门", "due": "2017年12月底前", "basis": "附件 第 5 项", "also": [{"clause": "二", "on": "2018-01-31"}], "met": null})],
        Kind::DiskImport => vec![json!({"id": "i-1", "domain": "oa-old", "domain_id": "u", "source_host": "room-1",
            "department": department, "state": "moved", "server_id": "s-1", "machine_id": "m-1", "address": "10.8.0.21",
            "format": "qcow2", "copied_bytes": 16_777_216, "file_bytes": 16_777_216, "sha256": "ab",
            "checked_at": "2026-11-21T01:00:00Z", "answered": true, "note": null, "evidence": null,
            "operation_id": "op-1", "moved_at": "2026-11-21T01:00:00Z", "ended_at": null})],
        Kind::Wave => {
            vec![json!({"id": "w-1", "name": "第一批", "window_from": "2027-03-05", "window_to": "2027-03-07",
            "note": null, "systems_all": 3, "systems_moved": 1, "check": {"passes": false, "conflicts": [{"level": "blocks",
                "code": "wave_blackout", "message": "窗口与封网期重叠。", "basis": "依据：平台规则"}], "zones": []}})]
        }
        Kind::WaveCheck => vec![json!({"passes": true, "conflicts": [], "zones": []})],
        Kind::Blackout => vec![json!({"id": "b-1", "department": department, "from": "2027-03-01", "to": "2027-03-15",
            "reason": "两会保障", "created_by": "ops"})],
        Kind::SystemRequests => {
            vec![json!({"system_id": "s-1", "dry_run": false, "made": true, "requests": [], "sizes": [],
            "lacking": []})]
        }
        Kind::Token => {
            vec![json!({"id": "t-1", "person": "zhang", "name": "张三", "unit": "区信息办", "role": "authority",
            "created_at": "2026-11-21T01:00:00Z"})]
        }
    }
}

fn beijing() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}

#[test]
fn every_line_of_every_table_is_as_wide_as_the_others() {
    for kind in Kind::ALL {
        let rows = samples(kind);
        let table = layout::grid(kind.columns(), &rows, &beijing(), Paint(false));
        let widths: Vec<_> = table.lines().map(|line| line.width()).collect();
        assert_eq!(widths.len(), rows.len() + 1, "{kind:?}: one line for each row");
        assert!(widths.windows(2).all(|two| two[0] == two[1]), "{kind:?}: {widths:?}\n{table}");
    }
}

#[test]
fn what_was_read_is_shown_with_its_place_in_the_order_of_the_file() {
    let answer = json!({
        "document": {"blocks": [{"memory": "16G", "remarks": "长".repeat(40)}], "storage_forecast": "3GB",
            "extra_hardware": [{"name": "高拍仪", "quantity": 3}], "om_unit": {"name": "信息中心"}},
        "places": {"/blocks/0": {"table": 2}, "/blocks/0/memory": {"section": "六.3", "table": 2, "row": 4, "column": 2},
            "/blocks/0/remarks": {"table": 2, "row": 6, "column": 1}, "/storage_forecast": {"section": "五.4", "paragraph": 9},
            "/extra_hardware/0/quantity": {"table": 3, "row": 2, "column": 3}, "/om_unit/name": {"sheet": "表一", "row": 1, "column": 2},
            "/om_period_months": {"paragraph": 12}},
    });
    let rows = tables::read_from(&answer);
    insta::assert_snapshot!(super::layout::grid(&tables::READ, &rows, &jiff::tz::TimeZone::UTC, super::layout::Paint(false)).trim_fmt(), @"
    栏目                           文件中写的                                                         位置
    数据存储量预测                 3GB                                                                五.4 第 9 段
    第 1 组 内存容量               16G                                                                六.3 表 2 第 4 行第 2 列
    第 1 组 备注                   长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长…  表 2 第 6 行第 1 列
    需额外采购的其他硬件设备（1）  3                                                                  表 3 第 2 行第 3 列
    运维单位                       信息中心                                                           工作表“表一”第 1 行第 2 列
    ");
}

#[test]
fn tables_read_well() {
    let mut all = String::new();
    for kind in Kind::ALL {
        all += &layout::grid(kind.columns(), &samples(kind), &beijing(), Paint(false)).trim_fmt();
        all += "\n\n";
    }
    insta::assert_snapshot!(all, @"
    代码                名称
    edu                 区教育局
    development-reform  区发展和改革委员会

    文号               版本  建设单位  项目      有效期                    虚拟机  CPU              内存  磁盘
    相发改〔2026〕1号     2  区教育局  智慧校园  2026-01-01 至 2027-01-01  2 / 10    -  1.5 GiB / 64 GiB     -
    B                     -  -         -         -                              -    -                 -     -

    名称                状态           类型     虚拟化     CPU          内存         磁盘  网络区域
    node1               可用           libvirt  qemu    2 / 16  0 B / 16 GiB  0 B / 1 TiB  政务外网
    二号机房三号宿主机  a_newer_state  -        -            -             -            -  -

    名称      操作系统   替身  格式   文件大小  磁盘大小  SHA-256       宿主机  导入时间
    小型替身  debian-12  是    qcow2    50 MiB     2 GiB  0123456789ab     1/2  2026-11-21 09:00

    编号                                  状态           建设单位  任务书             域名           台数  提交人  提交时间
    019aa2c0-0000-7000-8000-000000000001  待审批         区教育局  相发改〔2026〕1号  school.gov.cn     2  李四    2026-11-21 09:00
    2                                     a_newer_state  -         -                  -                 -  王五    -

    编号  名称           状态    地址      域名           规格                 系统               宿主机
    m-1   school         运行中  10.0.0.2  school.gov.cn  2 核 4 GiB / 40 GiB  debian-12（替身）  node1
    m-2   bad�[31m name  未建成  -         -              -                    -                  -

    编号  名称          建设单位  使用范围       使用频度  替代系统
    s-1   低保审批系统  区教育局  个别处室       几乎不用  民政一体化平台
    s-2   =1+1          -         a_newer_scope  -         -

    编号  信息系统      建设单位  状态           符合  答复期限    判定日期
    z-1   低保审批系统  区教育局  待单位答复      1/2  2026-12-06  2026-11-21
    z-2   -             -         a_newer_state     -  -           -

    编号  内容        状态          进度  开始时间          结束时间
    op-1  建设虚拟机  进行中  33%（3/9）  2026-11-21 09:00  -

    编号  登录名  姓名  单位      角色    建设单位  发放时间          到期时间
    t-1   zhang   张三  区信息办  审批人  -         2026-11-21 09:00  -

    代码               字段        依据                          生效日期
    basis_unclear      /basis      依据：平台规则                2026-11-21
    task_book_missing  /task_book  相政办〔2018〕150号 第十五条  -

    编号  种类      宿主机  虚拟机  说明            首次发现
    a-1   来历不明  node1   挖矿    没有集约的标记  2026-11-21 09:00

    虚拟机  地址      端口  数据库     角色       口令
    m-1     10.0.0.2  5432  school_db  school_db  abc

    时间              事件               对象          编号  来自
    2026-11-21 09:00  machine.delivered  machines/m-1  e-1   /jiyue

    序号  时间              登录名  单位      角色    动作            对象     编号  结果
      14  2026-11-21 09:00  zhang   区信息办  申请人  machine.delete  machine  m-1   done

    编号  名称    类型    样本数  覆盖率  CPU 平均  CPU P95  CPU 最高  内存 P95   接收  发送
    m-1   school  虚拟机    1440    3.3%      1.2%     4.0%     88.0%         -  1 MiB   0 B

    行数  机器数  计入样本  满日  采样间隔  不认识的名称
    288   1       286       0     300 s     fs1

    编号  名称            建设单位  CPU    内存  来源  实例  登记时间
    s-1   档案库旧服务器  区民政局    8  32 GiB  -     -     2026-11-21 09:00

    日期        编号  名称    建设单位  判定  闲置天数  可回收  原因
    2026-11-20  m-1   school  区教育局  闲置       112  可回收  都没有使用迹象

    编号  名称    建设单位  建议  资源           改为  依据
    m-1   school  区教育局  缩小  内存  4 GiB → 1 GiB  近 31 天内存 P99 为 0.60 GiB

    编号  截至        建设单位  生成时间
    r-1   2026-10-31  区教育局  2026-11-01 09:00

    虚拟机  同意于      到期        理由
    m-1     2026-11-21  2027-06-30  停用

    名称    类型           状态      服务器  已测  最近一次          原因
    room-1  node_exporter  缺一部分      12    11  2026-11-21 09:00  disk：没有按时答复

    编号  机房          建设单位  类型      状态    期限        逾期天数  待迁出
    r-1   老楼一号机房  区教育局  普通机房  待关停  2020-08-22      2291   2 / 3

    核对码  新增  变更  不变  未提到
    ab12       1     1     7       2

    编号  系统  建设单位  机房          进展      去向
    s-1   甲    区教育局  老楼一号机房  已定去向  重构

    编号            期限        逾期  工作任务  责任部门  另一日期         完成于
    jiangsu-2017-5  2017-12-31  逾期  清理      各部门    2018-01-31 (二)  -

    编号  旧机    源宿主机  状态            地址       已复制      共
    i-1   oa-old  room-1    已迁入，可退回  10.8.0.21  16 MiB  16 MiB

    编号  批次    窗口从      窗口到      已割接
    w-1   第一批  2027-03-05  2027-03-07   1 / 3

    可以排期
    可以

    编号  建设单位  封网从      封网到      原因      设置人
    b-1   区教育局  2027-03-01  2027-03-15  两会保障  ops

    系统编号  新提交
    s-1       新提交
    ");
}

#[test]
fn sheets_show_one_thing_whole() {
    let sheet = |kind| layout::sheet(kind, &samples(kind)[0], &beijing(), Paint(false), None);
    insta::assert_snapshot!(sheet(Kind::TaskBook), @"
    文号      相发改〔2026〕1号
    编号      tb-1
    版本      2
    建设单位  区教育局（edu）
    项目      智慧校园（p1）
    有效期    2026-01-01 至 2027-01-01

    控制指标
    指标       已用    上限      还剩
    虚拟机     2 台   10 台      8 台
    内存    1.5 GiB  64 GiB  62.5 GiB
    ");
    insta::assert_snapshot!(sheet(Kind::Request), @"
    编号      019aa2c0-0000-7000-8000-000000000001
    状态      待审批
    建设单位  区教育局（edu）
    任务书    相发改〔2026〕1号
    提交人    李四
    提交时间  2026-11-21 09:00

    申请内容
    申请虚拟机数量  2
    域名            school.gov.cn
    每台内存容量    4 GiB
    备注            无
    网络区域        政务外网
    运维单位        信息中心（0512-1）
    zeta            1、2

    虚拟机
    编号  名称    状态    地址      域名           宿主机
    m-1   school  运行中  10.0.0.2  school.gov.cn  node1
    ");
    insta::assert_snapshot!(sheet(Kind::Machine), @"
    名称      school
    编号      m-1
    状态      运行中
    域名      school.gov.cn
    地址      10.0.0.2
    MAC       52:54:00:00:00:01
    网络区域  政务专网
    规格      2 核 4 GiB / 40 GiB
    系统      debian-12（替身）
    镜像      小型替身
    宿主机    node1
    建设单位  区教育局
    申请      r
    租期至    2027-11-21
    运维单位  某某公司
    ");
}

#[test]
fn colour_changes_no_width() {
    let plain = layout::grid(Kind::Machine.columns(), &samples(Kind::Machine), &beijing(), Paint(false)).to_string();
    let coloured = layout::grid(Kind::Machine.columns(), &samples(Kind::Machine), &beijing(), Paint(true)).to_string();
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(super::format::clean_lines(&coloured), plain);
}

#[test]
fn an_empty_answer_breaks_nothing() {
    for kind in Kind::ALL {
        for odd in [json!({}), json!(null), json!([1]), json!({"indicators": 3, "zones": "x", "block": 1, "state": {}})]
        {
            layout::sheet(kind, &odd, &beijing(), Paint(false), Some(20));
            layout::grid(kind.columns(), &[odd], &beijing(), Paint(false)).to_string();
        }
    }
}

fn has_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3000}'..='\u{303f}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}'))
}

/// Every text of the help, with the command that it belongs to.
fn help_texts(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
    if command.is_hide_set() {
        return;
    }
    let path = format!("{path}{} ", command.get_name());
    let mut note = |what: &str, text: Option<String>| found.push((format!("{path}{what}"), text.unwrap_or_default()));
    note("about", command.get_about().map(ToString::to_string));
    if let Some(text) = command.get_after_help() {
        note("examples", Some(text.to_string()));
    }
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        note(arg.get_id().as_str(), arg.get_help().map(ToString::to_string));
        note("heading", arg.get_help_heading().map(Into::into));
    }
    for sub in command.get_subcommands() {
        help_texts(sub, &path, found);
    }
}

#[test]
fn help_is_whole_in_both_languages() {
    let texts = || {
        let mut found = Vec::new();
        help_texts(&usage::command(), "", &mut found);
        found
    };
    let chinese = texts();
    assert!(chinese.len() > 300, "{}", chinese.len());
    // Examples may be nothing but commands.
    let without: Vec<_> =
        chinese.iter().filter(|(place, text)| !place.ends_with("examples") && !has_chinese(text)).collect();
    assert!(without.is_empty(), "no Chinese: {without:#?}");
    language::set(Language::English);
    let english = texts();
    let lines = english.iter().flat_map(|(_, text)| text.lines()).filter(|line| has_chinese(line));
    let left: std::collections::BTreeSet<_> = lines.map(str::trim).collect();
    assert!(left.is_empty(), "no English:\n{}", left.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(english.iter().all(|(_, text)| !text.is_empty()));
    let help = help("jiyue request approve --help");
    assert!(!has_chinese(&help) && help.contains("Usage: jiyue request approve"), "{help}");
    let mistake = mistake("jiyue requst list");
    assert!(!has_chinese(&mistake) && mistake.contains("unknown command"), "{mistake}");
}

/// Commands that do something and show no example of it.
fn without_example(command: &clap::Command, path: &str) -> Vec<String> {
    let path = format!("{path} {}", command.get_name());
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    if command.has_subcommands() {
        return shown.flat_map(|sub| without_example(sub, &path)).collect();
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if help.contains(path.trim_start()) { Vec::new() } else { vec![path] }
}

#[test]
fn every_command_shows_an_example() {
    let bare = without_example(&usage::command(), "");
    assert_eq!(bare, [""; 0]);
}

#[test]
fn tables_and_sheets_are_whole_in_english() {
    language::set(Language::English);
    for kind in Kind::ALL {
        let sections = kind.sections().iter().map(|(title, _, columns)| (Some(title), *columns));
        for (title, columns) in [(None, kind.columns()), (None, kind.sheet())].into_iter().chain(sections) {
            let titles = columns.iter().map(|column| language::tr(column.title));
            let titles = titles.chain(title.map(|title| language::tr(title)));
            let left: Vec<_> = titles.filter(|title| has_chinese(title)).collect();
            assert!(left.is_empty(), "{kind:?}: {left:?}");
        }
        assert!(!has_chinese(language::tr(kind.name())));
        let nothing = layout::grid(kind.columns(), &[json!({})], &beijing(), Paint(false)).trim_fmt();
        assert!(!has_chinese(&nothing), "{nothing}");
    }
    insta::assert_snapshot!(layout::grid(Kind::Machine.columns(), &samples(Kind::Machine), &beijing(), Paint(false)).trim_fmt(), @"
    ID   Name           State    Address   Domain name    Size                    System                Host
    m-1  school         running  10.0.0.2  school.gov.cn  2 cores 4 GiB / 40 GiB  debian-12 (stand-in)  node1
    m-2  bad�[31m name  undone   -         -              -                       -                     -
    ");
    insta::assert_snapshot!(layout::sheet(Kind::Request, &samples(Kind::Request)[0], &beijing(), Paint(false), None), @"
    ID            019aa2c0-0000-7000-8000-000000000001
    State         submitted
    Department    区教育局 (edu)
    Task book     相发改〔2026〕1号
    Submitted by  李四
    Submitted at  2026-11-21 09:00

    What is asked for
    Machines     2
    Domain name  school.gov.cn
    Memory each  4 GiB
    Remarks      无
    Zone         government extranet
    Operated by  信息中心 (0512-1)
    zeta         1, 2

    Machine
    ID   Name    State    Address   Domain name    Host
    m-1  school  running  10.0.0.2  school.gov.cn  node1
    ");
}
