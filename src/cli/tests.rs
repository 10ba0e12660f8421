#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{language::tests::has_chinese, usage, *};
use clap::FromArgMatches as _;

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
