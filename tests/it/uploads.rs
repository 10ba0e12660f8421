//! Reports as files, through the API and the command line: what becomes of them, and what hostile ones can do.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    intent, plain,
    raw::{Raw, Reply},
};
use serde_json::{Value, json};
use std::{
    io::{Cursor, Write as _},
    process::{Command, Stdio},
};

const REPORT: &[u8] = include_bytes!("../../samples/feasibility-report.docx");

/// Two blocks as an office keeps them in a table.
const TABLE: &str = "\
申请虚拟机数量,域名,操作系统类型,数据库类型,cpu 数量,内存容量（GB）,磁盘空间,运行内容,备注
2,a.xiangcheng.example,Debian 12,无,每台1核,每台1,每台10G,应用服务,两台互备
1,b.xiangcheng.example,Debian 12,无,2核,2,20G,接口服务,
";

fn fields() -> Value {
    let sample = broker::request();
    json!({
        "任务书编号": sample["任务书编号"], "network_zone": "政务外网", "secrecy_level": "非涉密", "mlps_level": 2,
        "deploy_milestone": "2035年6月", "运维周期": "3年", "om_unit": sample["om_unit"], "ssh_keys": sample["ssh_keys"],
    })
}

/// The parts of an upload as a browser sends them.
async fn upload(raw: &Raw, path: &str, token: &str, name: &str, content: &[u8], fields: Option<&Value>) -> Reply {
    let mut body = Vec::new();
    let head = format!("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(content);
    if let Some(fields) = fields {
        let part = format!("\r\n--x\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"\r\n--x--\r\n");
    raw.post(path, token, "multipart/form-data; boundary=x", body).await
}

struct Stage {
    broker: Broker,
    cast: Cast,
    raw: Raw,
}

impl Stage {
    async fn new(on: On) -> Self {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let raw = Raw::new(&broker);
        Self { broker, cast, raw }
    }

    async fn upload(&self, path: &str, name: &str, content: &[u8], fields: Option<&Value>) -> Reply {
        upload(&self.raw, path, &self.cast.requester, name, content, fields).await
    }

    async fn counts(&self) -> Vec<i64> {
        plain::counts(&self.broker.setup.database_url, plain::TABLES).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_report_becomes_a_request_and_is_kept_byte_for_byte() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let before = stage.counts().await;
        let checked = stage.upload("/v1/requests/check", "报告.docx", REPORT, None).await;
        assert_eq!(checked.status, 200, "{on:?} {checked:?}");
        let checked = checked.json();
        assert_eq!(checked["document"]["blocks"][0]["memory"], "每台128M");
        assert!(checked["places"]["/blocks/0/memory"]["table"].is_u64(), "{checked:#}");
        assert_eq!(stage.counts().await, before, "{on:?}: a check writes nothing");

        let made = stage.upload("/v1/requests", "报告.docx", REPORT, None).await;
        assert_eq!(made.status, 201, "{on:?} {made:?}");
        let items = made.json()["items"].as_array().unwrap().clone();
        let [request, other] = &items[..] else { panic!("{items:#?}") };
        let id = request["id"].as_str().unwrap();
        assert_eq!(made.header("location"), "", "there is no one place of two");
        for (item, checked) in [request, other].into_iter().zip(checked["blocks"].as_array().unwrap()) {
            assert_eq!(item["digest"], checked["digest"]);
        }
        assert_eq!(
            (&request["block"]["database"], &other["block"]["database"]),
            (&json!("none"), &json!("postgresql-15"))
        );
        let digest = intent::sha256(REPORT);
        assert_eq!(request["file"]["sha256"], digest);
        assert_eq!(
            (&request["file"]["name"], &request["file"]["size_bytes"]),
            (&json!("报告.docx"), &json!(REPORT.len()))
        );
        assert_eq!(request["block_number"], 1);
        let detail = format!("select detail from audit where action = 'request.submit' and object_id = '{id}'");
        assert!(plain::texts(&stage.broker.setup.database_url, &detail).await[0].contains(&digest));

        let path = format!("/v1/requests/{id}/original");
        assert!(stage.raw.get(&path, &stage.cast.authority).await.bytes == REPORT, "{on:?}");
        let seen = stage.raw.get(&path, &stage.cast.requester).await;
        assert_eq!(seen.header("x-content-type-options"), "nosniff");
        assert!(seen.header("content-disposition").starts_with("attachment; filename*=UTF-8''%E6"), "{seen:?}");
        assert_eq!(stage.raw.get(&path, &stage.cast.other_requester).await.status, 404);
        // One machine of one table has one place.
        let table: String = TABLE.split_inclusive('\n').take(2).collect();
        let one = stage.upload("/v1/requests", "申请.csv", table.as_bytes(), Some(&fields())).await;
        let item = one.json()["items"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(one.header("location"), format!("/v1/requests/{item}"), "{on:?}");
        // The same report once more is the same need.
        let again = stage.upload("/v1/requests", "报告2.docx", REPORT, None).await;
        let twice = ["/blocks/0", "/blocks/1"].map(|at| (at.to_owned(), "duplicate_request".to_owned()));
        assert_eq!(again.violations(), twice, "{on:?}");
        assert!(again.json()["errors"][0]["message"].as_str().unwrap().contains(id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blocks_of_a_file_become_requests_all_or_none() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let before = stage.counts().await;
        // The second block's name is wrong: the first is not taken either.
        let faulty = TABLE.replace("b.xiangcheng.example", "b.example.com");
        let reply = stage.upload("/v1/requests", "申请.csv", faulty.as_bytes(), Some(&fields())).await;
        assert_eq!(reply.violations(), [("/blocks/1/domain".to_owned(), "domain_outside_district".to_owned())]);
        assert_eq!(reply.json()["errors"][0]["place"]["row"], 3, "{on:?} {reply:?}");
        assert_eq!(stage.counts().await, before, "{on:?}");
        // Without the fields that a table of machines has no place for, each is named once.
        let reply = stage.upload("/v1/requests", "申请.csv", TABLE.as_bytes(), None).await;
        let missing: Vec<_> = reply.violations().into_iter().map(|v| v.0).collect();
        let named = ["/task_book", "/network_zone", "/secrecy_level", "/mlps_level", "/deploy_milestone"];
        assert!(named.iter().all(|name| missing.iter().filter(|m| m == name).count() == 1), "{on:?} {missing:?}");

        let made = stage.upload("/v1/requests", "申请.csv", TABLE.as_bytes(), Some(&fields())).await;
        assert_eq!(made.status, 201, "{on:?} {made:?}");
        let items = made.json()["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 2);
        for (n, item) in items.iter().enumerate() {
            assert_eq!(item["block_number"], n + 1);
            assert_eq!(item["file"], items[0]["file"]);
        }
        assert_eq!(items[1]["block"]["memory_bytes"], 2_i64 << 30);
        let one = "select count(*) from submissions";
        assert_eq!(plain::number(&stage.broker.setup.database_url, one).await, 1, "{on:?}");
        assert!(made.header("location").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_need_handed_in_many_times_at_once_is_taken_once() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let mut block = broker::request();
        block["域名"] = Value::Null;
        block["无域名理由"] = json!("仅供本项目内部调用");
        let all = (0..16).map(|_| stage.broker.post("/v1/requests", &stage.cast.requester, &block));
        let answers = futures_util::future::join_all(all).await;
        let taken = answers.iter().filter(|answer| answer.status.as_u16() == 201).count();
        assert_eq!(taken, 1, "{on:?} {answers:?}");
        for refused in answers.iter().filter(|answer| answer.status.as_u16() != 201) {
            let by_rule = refused.body["errors"][0]["code"] == "duplicate_request";
            assert!(by_rule || refused.code() == "duplicate_request", "{on:?} {refused:?}");
        }
        let kept = "select count(*) from requests";
        assert_eq!(plain::number(&stage.broker.setup.database_url, kept).await, 1, "{on:?}");
        let files = "select count(*) from submissions";
        assert_eq!(plain::number(&stage.broker.setup.database_url, files).await, 1, "{on:?}");
    }
}

/// A zip with one entry.
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap().into_inner()
}

/// Kilobytes of a processes' memory, by the kernel.
fn kilobytes(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_file_is_refused_in_words_and_costs_the_broker_nothing() {
    let stage = Stage::new(On::Sqlite).await;
    let spaces = vec![b' '; 300 << 20];
    let ole = [&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1][..], &[0; 4096]].concat();
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><w:document xmlns:w="x"><w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>"#;
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("a.docx", b"not a zip".to_vec(), 422, "file_not_recognised"),
        ("a.pdf", b"%PDF-1.7 ...".to_vec(), 422, "file_not_recognised"),
        ("a.doc", ole, 422, "file_not_recognised"),
        ("a.docx", zip("word/document.xml", &spaces), 413, "file_too_large"),
        ("a.docx", zip("word/document.xml", laughs.as_bytes()), 422, "file_damaged"),
        ("a.docx", zip("word/vbaProject.bin", b"x"), 422, "file_has_macros"),
        ("a.docx", zip("readme.txt", b"x"), 422, "file_not_recognised"),
        ("a.docx", REPORT[..REPORT.len() / 2].to_vec(), 422, "file_damaged"),
        ("a.csv", "姓名,单位\n张三,区民政局\n".into(), 422, "no_block_found"),
        ("a.yaml", b"a: [1,\n".to_vec(), 422, "file_damaged"),
        ("a.docx", Vec::new(), 422, "file_not_recognised"),
    ];
    drop(spaces);
    let before = stage.counts().await;
    for (name, content, status, code) in &cases {
        let reply = stage.upload("/v1/requests", name, content, None).await;
        assert_eq!((reply.status, reply.problem().as_str()), (*status, "file_refused"), "{name} {code}: {reply:?}");
        assert_eq!(reply.violations()[0].1, *code, "{reply:?}");
    }
    let whole = stage.upload("/v1/requests", "a.docx", &vec![0; 18 << 20], None).await;
    assert_eq!((whole.status, whole.problem().as_str()), (413, "document_too_large"));
    assert_eq!(stage.counts().await, before);
    // What was unpacked was unpacked elsewhere.
    let peak = kilobytes(stage.broker.pid(), "VmHWM:");
    assert!(peak < 256 << 10, "{peak} kB");
}

#[test]
fn the_reading_process_is_bounded_by_the_kernel() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_jiyue"))
        .arg("read-form")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It sets its bounds before it reads: once it waits for its input, they hold.
    let limits = (0..200)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
            limits.lines().any(|l| l.starts_with("Max data size") && l.contains("234881024")).then_some(limits)
        })
        .expect("bounds");
    assert!(limits.lines().any(|l| l.starts_with("Max cpu time") && !l.contains("unlimited     ")), "{limits}");
    child.stdin.take().unwrap().write_all(b"a.txt\n").unwrap();
    let out = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["fault"]["code"], "file_not_recognised");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_checks_without_a_server_and_hands_in_with_one() {
    let setup = Setup::new(On::Sqlite);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let table = setup.folder.join("申请.csv");
    std::fs::write(&table, TABLE).unwrap();
    let (report, table) = ("samples/feasibility-report.docx", table.to_str().unwrap());
    // Without a token: here, and it says what was not checked.
    let out = setup.cli(None, "", &["request", "check", report]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("没有检查：任务书与控制指标、域名占用、重复申请"), "{}", text(&out.stderr));
    // What the form has no place for is asked for, not blamed on it; a milestone it must have.
    let out = setup.cli(None, "", &["-o", "json", "request", "check", table, "--set", "系统部署日期=2035年6月"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    let needed: Vec<_> = answer["needed"].as_array().unwrap().iter().map(|n| n["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        needed,
        ["/task_book", "/network_zone", "/secrecy_level", "/mlps_level", "/om_period_months", "/om_unit", "/ssh_keys"]
    );
    let out = setup.cli(None, "", &["request", "check", table]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("milestone_missing") && text(&out.stderr).contains("附件2 十.2"));
    for (args, code, word) in [
        (&["request", "check", "没有.docx"][..], 2, "没有这个文件"),
        (&["request", "check", "Cargo.lock"], 1, "file_not_recognised"),
        (&["request", "check", table, "--set", "颜色=红"], 2, "不认识字段"),
        (&["request", "check", report, "--profile", "nowhere"], 2, "nowhere"),
        (&["request", "submit", report], 2, "没有令牌"),
        (&["rules", "show", "no_such"], 2, "没有规则"),
    ] {
        let out = setup.cli(None, "", args);
        assert_eq!(out.status.code(), Some(code), "{args:?} {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(word), "{args:?} {}", text(&out.stderr));
    }
    let out = setup.cli(None, "", &["-o", "json", "rules", "show", "machine_room_refused"]);
    let rule: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(rule["basis"], "相政办〔2018〕151号 二（一）具体要求1");

    let broker = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let served: Value =
        reqwest::get(format!("{}/v1/rules/machine_room_refused", broker.url)).await.unwrap().json().await.unwrap();
    assert_eq!(served, rule);
    let out = setup.cli(Some(&broker), &cast.requester, &["-o", "json", "request", "submit", report]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let made: Value = serde_json::from_slice(&out.stdout).unwrap();
    let id = made["items"][0]["id"].as_str().unwrap();
    let copy = setup.folder.join("copy.docx");
    let args = ["request", "original", id, "--to", copy.to_str().unwrap()];
    let out = setup.cli(Some(&broker), &cast.requester, &args);
    assert_eq!((out.status.code(), std::fs::read(&copy).unwrap() == REPORT), (Some(0), true));
    // What is there already is not written over.
    assert_eq!(setup.cli(Some(&broker), &cast.requester, &args).status.code(), Some(1));
}
