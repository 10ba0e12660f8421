//! Zombie systems, from the suspicion to the filing: who asks, who answers, who decides, and on what.

use crate::{
    goldens,
    support::{broker::On, plain},
    systems::{Stage, id},
};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use jiyue::usage::zombie::lifecycle::{Event, State};
use quick_xml::{Reader, events};
use serde_json::{Value, json};
use std::{
    io::{Cursor, Read},
    path::Path,
    process::Command,
};

fn in_days(days: i64) -> Date {
    let today = Timestamp::now().to_zoned(TimeZone::fixed(jiff::tz::offset(8))).date();
    today.saturating_add(Span::new().days(days))
}

impl Stage {
    /// Maintained by nobody for years, on the record: certain without any meter.
    async fn abandoned(&self) -> String {
        let facts = json!({"maintained_until": "2020-12-31", "last_updated_on": "2020-06-30"});
        id(&self.system("低保审批系统", facts).await)
    }

    async fn judge(&self, system: &str) -> Value {
        let path = format!("/v1/systems/{system}/judge");
        self.broker.post(&path, &self.cast.authority, &json!({})).await.expect(200)
    }

    async fn suspect(&self) -> String {
        let system = self.abandoned().await;
        id(&self.judge(&system).await["finding"])
    }

    async fn act(&self, finding: &str, act: &str, token: &str, body: Value) -> crate::support::broker::Answer {
        self.broker.post(&format!("/v1/zombie-findings/{finding}/{act}"), token, &body).await
    }

    async fn ask(&self, finding: &str) -> Value {
        self.act(finding, "ask", &self.cast.operator, json!({})).await.expect(200)
    }

    async fn answer(&self, finding: &str, answer: &str) -> Value {
        let body = json!({"answer": answer, "reason": "业务已并入省平台"});
        self.act(finding, "reply", &self.cast.requester, body).await.expect(200)
    }

    async fn confirm(&self, finding: &str) -> crate::support::broker::Answer {
        self.act(finding, "confirm", &self.cast.authority, json!({"reason": "依据充分"})).await
    }

    /// What a day does, done by hand.
    async fn turn_back(&self, column: &str, from: &str) {
        let sql = format!("update zombie_findings set {column} = replace({column}, '\"{from}\"', '\"2020-01-01\"')");
        plain::run(&self.broker.setup.database_url, &sql).await.unwrap();
    }
}

fn outcome<'a>(judgement: &'a Value, criterion: &str) -> (&'a str, &'a str) {
    let all = judgement["criteria"].as_array().unwrap();
    let one = all.iter().find(|one| one["criterion"] == criterion).unwrap_or_else(|| panic!("{judgement:#}"));
    (one["outcome"].as_str().unwrap(), one["confidence"].as_str().unwrap())
}

#[test]
fn the_life_of_a_finding_is_a_golden() {
    let text = goldens::table(&State::ALL, &Event::ALL, |s| s.to_string(), |e| format!("{e:?}"), |s, e| s.next(e).ok());
    goldens::golden("zombie_lifecycle", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_asked_answers_and_the_system_goes_on_file() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let cast = &stage.cast;
        let system = stage.abandoned().await;
        let judged = stage.judge(&system).await;
        assert_eq!(judged["suspected"], true, "{judged:#}");
        let judgement = &judged["judgement"];
        assert_eq!(judgement["criteria"].as_array().unwrap().len(), 3, "Xiangcheng has three criteria");
        assert_eq!(outcome(judgement, "unmaintained"), ("met", "high"));
        assert_eq!(outcome(judgement, "idle"), ("unknown", "low"));
        assert_eq!(outcome(judgement, "replaced"), ("unknown", "low"));
        assert_eq!(judgement["criteria"][0]["basis"], "相政办〔2018〕151号 二（二）具体要求5");
        let finding = id(&judged["finding"]);
        assert_eq!(judged["finding"]["state"], "suspected");
        // One open finding, however often it is judged.
        assert_eq!(id(&stage.judge(&system).await["finding"]), finding, "{on:?}");

        // Nobody decides before the owner was asked, and the owner does not answer before.
        assert_eq!(stage.confirm(&finding).await.code(), "finding_state");
        let early = json!({"answer": "agree", "reason": "x"});
        assert_eq!(stage.act(&finding, "reply", &cast.requester, early).await.code(), "finding_state");
        let asked = stage.ask(&finding).await;
        assert_eq!((&asked["state"], &asked["question"]["due_on"]), (&json!("asked"), &json!(in_days(15))));
        assert_eq!(stage.confirm(&finding).await.code(), "evidence_insufficient", "{on:?}: the owner may still answer");
        // Who is nobody's owner does not answer, and is not told that there is a question.
        let body = json!({"answer": "agree", "reason": "x"});
        assert_eq!(stage.act(&finding, "reply", &cast.other_requester, body.clone()).await.code(), "not_found");
        assert_eq!(stage.act(&finding, "reply", &cast.authority, body).await.code(), "forbidden");

        let answered = stage.answer(&finding, "agree").await;
        assert_eq!(answered["state"], "answered");
        let evidence = answered["judgement"]["criteria"][1]["evidence"].as_array().unwrap().clone();
        assert_eq!(evidence.last().unwrap()["source"], "owner", "{evidence:#?}");
        assert_eq!((&evidence.last().unwrap()["by"], evidence.len()), (&json!("zhang"), 3));
        let early = stage.broker.get(&format!("/v1/zombie-findings/{finding}/sheet"), &cast.authority).await;
        assert_eq!(early.code(), "finding_not_confirmed");
        let confirmed = stage.confirm(&finding).await.expect(200);
        assert_eq!((&confirmed["state"], &confirmed["decision"]["by"]), (&json!("confirmed"), &json!("wang")));
        // What was decided stays as it was decided on.
        stage.set(&system, json!({"last_updated_on": null, "maintained_until": null})).await;
        let again = stage.judge(&system).await;
        assert_eq!((again["suspected"].as_bool(), id(&again["finding"])), (Some(false), finding.clone()));
        assert_eq!(again["finding"]["judgement"], confirmed["judgement"], "{on:?}");
        let filed =
            stage.act(&finding, "file", &cast.authority, json!({"number": "相信清〔2026〕3号"})).await.expect(200);
        assert_eq!((&filed["state"], &filed["filing"]["number"]), (&json!("filed"), &json!("相信清〔2026〕3号")));
        for (act, body) in [
            ("ask", json!({})),
            ("confirm", json!({"reason": "x"})),
            ("dismiss", json!({"reason": "x"})),
            ("exempt", json!({"until": in_days(9), "evidence": "x"})),
            ("file", json!({})),
        ] {
            assert_eq!(stage.act(&finding, act, &cast.authority, body).await.code(), "finding_state", "{on:?} {act}");
        }

        // Each act left its record, with the owner's department.
        let url = &stage.broker.setup.database_url;
        let acts = "select action from audit where action like 'zombie.%' and outcome = 'done' \
            and department_id = (select id from departments where code = 'mzj') order by seq";
        let expected = [
            "zombie.judge",
            "zombie.judge",
            "zombie.ask",
            "zombie.reply",
            "zombie.confirm",
            "zombie.judge",
            "zombie.file",
        ];
        assert_eq!(plain::texts(url, acts).await, expected, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_confirms_nothing() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let unknown = id(&stage.system("无人知晓", json!({})).await);
        let judged = stage.judge(&unknown).await;
        assert_eq!((&judged["suspected"], &judged["finding"]), (&json!(false), &Value::Null), "{on:?}");
        // A contract that has ended and nothing else: a reason to ask, whatever the owner answers none to decide.
        let hint = id(&stage.system("只有线索", json!({"maintained_until": "2020-12-31"})).await);
        let judged = stage.judge(&hint).await;
        assert_eq!(outcome(&judged["judgement"], "unmaintained"), ("met", "low"));
        let finding = id(&judged["finding"]);
        let asked = stage.ask(&finding).await;
        stage.turn_back("question", asked["question"]["due_on"].as_str().unwrap()).await;
        let silent = stage.confirm(&finding).await;
        assert_eq!((silent.status.as_u16(), silent.code()), (409, "evidence_insufficient"), "{on:?}");
        stage.answer(&finding, "object").await;
        assert_eq!(stage.confirm(&finding).await.code(), "evidence_insufficient", "{on:?}: over an objection");
        // The record taken back after the answer counts as it is now, not as it was.
        stage.answer(&finding, "agree").await;
        stage.set(&hint, json!({"maintained_until": null})).await;
        assert_eq!(stage.confirm(&finding).await.code(), "evidence_insufficient", "{on:?}: on what is no more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_owner_is_waited_for_until_the_day_is_over() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let finding = stage.suspect().await;
        let asked = stage.ask(&finding).await;
        assert_eq!(stage.confirm(&finding).await.code(), "evidence_insufficient");
        stage.turn_back("question", asked["question"]["due_on"].as_str().unwrap()).await;
        let confirmed = stage.confirm(&finding).await.expect(200);
        assert_eq!((&confirmed["state"], &confirmed["answer"]), (&json!("confirmed"), &Value::Null), "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_on_their_own_units_system() {
    let stage = Stage::new(On::Sqlite).await;
    let finding = stage.suspect().await;
    stage.ask(&finding).await;
    stage.answer(&finding, "agree").await;
    let token = |login: &str, unit: &str| {
        stage.broker.setup.token(&["--person", login, "--name", login, "--unit", unit, "--role", "authority"])
    };
    for (login, unit, code) in [("zhang", "区信息办", "self_decision"), ("sun", "相城区民政局", "own_unit_decision")]
    {
        let token = token(login, unit);
        for (act, body) in [
            ("confirm", json!({"reason": "x"})),
            ("dismiss", json!({"reason": "x"})),
            ("exempt", json!({"until": in_days(9), "evidence": "x"})),
            ("file", json!({})),
        ] {
            let answer = stage.act(&finding, act, &token, body).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (403, code), "{login} {act}");
        }
    }
    stage.confirm(&finding).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exemption_has_evidence_and_an_end_and_then_is_none() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let cast = &stage.cast;
        let finding = stage.suspect().await;
        let exempt = |until: Value, evidence: &'static str| {
            let body = json!({"until": until, "evidence": evidence});
            async { stage.act(&finding, "exempt", &stage.cast.authority, body).await }
        };
        for (until, evidence, status, word) in [
            (json!(in_days(0)), "来函", 422, "/until: "),
            (json!(in_days(-30)), "来函", 422, "/until: "),
            (json!(in_days(367)), "来函", 422, "/until: "),
            (json!("9999-12-31"), "来函", 422, "/until: "),
            (Value::Null, "来函", 400, "/until"),
            (json!("以后"), "来函", 400, "/until"),
            (json!(in_days(30)), " ", 422, "/evidence: "),
        ] {
            let answer = exempt(until.clone(), evidence).await;
            assert_eq!(answer.status.as_u16(), status, "{on:?} {until} {answer:?}");
            assert!(answer.body["detail"].as_str().unwrap().contains(word), "{until} {answer:?}");
        }
        let without_end = stage.act(&finding, "exempt", &cast.authority, json!({"evidence": "来函"})).await;
        assert_eq!(without_end.status.as_u16(), 400, "{on:?}: open-ended");
        let excused = exempt(json!(in_days(30)), "区审计局来函").await.expect(200);
        assert_eq!((&excused["state"], &excused["exemption_over"]), (&json!("exempt"), &json!(false)));
        // As long as it holds, judging renews the evidence and nothing else.
        let system = excused["system_id"].as_str().unwrap();
        assert_eq!(stage.judge(system).await["finding"]["state"], "exempt", "{on:?}");
        assert_eq!(stage.act(&finding, "ask", &cast.authority, json!({})).await.code(), "finding_state");
        stage.turn_back("exemption", &in_days(30).to_string()).await;
        let path = format!("/v1/zombie-findings/{finding}");
        assert_eq!(stage.broker.get(&path, &cast.requester).await.expect(200)["exemption_over"], true);
        let judged = stage.judge(system).await;
        assert_eq!((&judged["finding"]["state"], id(&judged["finding"])), (&json!("suspected"), finding.clone()));
        stage.ask(&finding).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dismissed_is_raised_again_only_on_news() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let cast = &stage.cast;
        let finding = stage.suspect().await;
        let body = json!({"reason": "每年年审使用，保留"});
        let dismissed = stage.act(&finding, "dismiss", &cast.authority, body).await.expect(200);
        let system = dismissed["system_id"].as_str().unwrap();
        assert_eq!(id(&stage.judge(system).await["finding"]), finding, "{on:?}: nothing is new");
        stage.set(system, json!({"replaced_by": "民政一体化平台"})).await;
        let news = stage.judge(system).await;
        assert_ne!(id(&news["finding"]), finding, "{on:?}");
        assert_eq!(news["finding"]["state"], "suspected");
        let list =
            stage.broker.get(&format!("/v1/zombie-findings?system_id={system}"), &cast.auditor).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_it_means() {
    let stage = Stage::new(On::Sqlite).await;
    let finding = stage.suspect().await;
    let late = json!({"due_on": in_days(181)});
    for due in [late, json!({"due_on": in_days(0)})] {
        let answer = stage.act(&finding, "ask", &stage.cast.authority, due).await;
        assert!(answer.body["detail"].as_str().unwrap().contains("/due_on: "), "{answer:?}");
    }
    stage.ask(&finding).await;
    let token = &stage.cast.requester;
    for (body, status, word) in [
        (json!({"answer": "agree"}), 400, "reason"),
        (json!({"answer": "yes", "reason": "x"}), 400, "/answer"),
        (json!({"answer": "agree", "reason": " "}), 422, "/reason: "),
        (json!({"answer": "replaced", "reason": "x"}), 422, "/replaced_by: "),
        (json!({"answer": "replaced", "reason": "x", "replaced_by": "低保审批系统"}), 422, "/replaced_by: "),
        (json!({"answer": "object", "reason": "x", "denies": ["dead"]}), 400, "/denies"),
        (json!({"answer": "object", "reason": "x", "holds": ["idle"], "denies": ["idle"]}), 422, "/denies: "),
    ] {
        let answer = stage.act(&finding, "reply", token, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains(word), "{body} {answer:?}");
    }
    let body = json!({"answer": "replaced", "reason": "2025 年起停用", "replaced_by": "民政一体化平台"});
    let answered = stage.act(&finding, "reply", token, body).await.expect(200);
    assert_eq!(
        (&answered["state"], outcome(&answered["judgement"], "replaced")),
        (&json!("answered"), ("met", "high"))
    );
    // Until the decision it can be said otherwise.
    let objected = stage.answer(&finding, "object").await;
    assert_eq!(
        (&objected["state"], outcome(&objected["judgement"], "replaced")),
        (&json!("objected"), ("unknown", "low"))
    );
    assert_eq!(outcome(&objected["judgement"], "unmaintained"), ("met", "medium"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_act_at_once_do_not_overwrite_each_other() {
    for on in On::BOTH {
        let stage = std::sync::Arc::new(Stage::new(on).await);
        let system = stage.abandoned().await;
        let (mut tasks, mut findings) = (tokio::task::JoinSet::new(), std::collections::BTreeSet::new());
        for _ in 0..8 {
            let (stage, system) = (stage.clone(), system.clone());
            tasks.spawn(async move {
                let path = format!("/v1/systems/{system}/judge");
                stage.broker.post(&path, &stage.cast.authority, &json!({})).await
            });
        }
        for answer in tasks.join_all().await {
            assert!(matches!(answer.status.as_u16(), 200 | 409), "{on:?} {answer:?}");
            findings.extend(answer.body["finding"]["id"].as_str().map(str::to_owned));
        }
        assert_eq!(findings.len(), 1, "{on:?}");
        let finding = findings.into_iter().next().unwrap();
        stage.ask(&finding).await;
        stage.answer(&finding, "agree").await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..8 {
            let (stage, finding) = (stage.clone(), finding.clone());
            let act = if n % 2 == 0 { "confirm" } else { "dismiss" };
            tasks.spawn(async move { stage.act(&finding, act, &stage.cast.authority, json!({"reason": "x"})).await });
        }
        // Whoever comes first decides; a confirmed one may be dismissed after that, and nothing else.
        let done = tasks.join_all().await.into_iter().filter(|answer| answer.status.is_success()).count();
        let url = &stage.broker.setup.database_url;
        let decided =
            "select count(*) from audit where action in ('zombie.confirm', 'zombie.dismiss') and outcome = 'done'";
        assert_eq!(plain::number(url, decided).await, i64::try_from(done).unwrap(), "{on:?}");
        assert!((1..=2).contains(&done), "{on:?} {done}");
    }
}

/// The text of an entry of a package.
fn entry(package: &[u8], name: &str) -> String {
    let mut package = zip::ZipArchive::new(Cursor::new(package)).expect("a package");
    let mut text = String::new();
    package.by_name(name).expect("an entry").read_to_string(&mut text).expect("UTF-8");
    text
}

/// The elements of a sheet by their names.
fn count(xml: &str, element: &str) -> usize {
    let (mut reader, mut n) = (Reader::from_str(xml), 0);
    loop {
        match reader.read_event().expect("XML") {
            events::Event::Eof => return n,
            events::Event::Start(tag) | events::Event::Empty(tag) if tag.name().as_ref() == element => n += 1,
            _ => {}
        }
    }
}

/// LibreOffice's own reading of a sheet, row by row.
fn read(folder: &Path, file: &Path, sheet: &str) -> Vec<Vec<String>> {
    let text = folder.join(format!("sheet-{sheet}.csv"));
    if !text.exists() {
        // Every sheet as text, in a file of its own.
        let filter = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1";
        let out = Command::new("soffice")
            .arg("--headless")
            .arg(format!("-env:UserInstallation=file://{}", folder.join("soffice").display()))
            .args(["--convert-to", filter, "--outdir"])
            .arg(folder)
            .arg(file)
            .output()
            .expect("LibreOffice is installed (make setup)");
        assert!(text.exists(), "{sheet} was not read: {}", String::from_utf8_lossy(&out.stderr));
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(text).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sheet_is_a_workbook_that_libreoffice_opens_and_in_which_nothing_is_a_formula() {
    let stage = Stage::new(On::Sqlite).await;
    let name = "=HYPERLINK(\"http://x\",\"低保\")";
    let facts = json!({"purpose": "@SUM(1+1)", "maintained_until": "2020-12-31", "last_updated_on": "2020-06-30"});
    let system = id(&stage.system(name, facts).await);
    let finding = id(&stage.judge(&system).await["finding"]);
    stage.ask(&finding).await;
    let body = json!({"answer": "agree", "reason": "+cmd|' /C calc'!A0"});
    stage.act(&finding, "reply", &stage.cast.requester, body).await.expect(200);
    stage.confirm(&finding).await.expect(200);
    stage.act(&finding, "file", &stage.cast.authority, json!({"number": "-1+1"})).await.expect(200);

    let reply = stage.raw.get(&format!("/v1/zombie-findings/{finding}/sheet"), &stage.cast.requester).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), jiyue::usage::zombie::sheet::MEDIA_TYPE);
    assert!(reply.header("content-disposition").starts_with("attachment;"), "{reply:?}");
    // The same finding is the same file.
    let again = stage.raw.get(&format!("/v1/zombie-findings/{finding}/sheet"), &stage.cast.auditor).await;
    assert_eq!(again.bytes, reply.bytes);
    for sheet in ["xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"] {
        let xml = entry(&reply.bytes, sheet);
        assert!(count(&xml, "c") > 10, "{xml}");
        assert_eq!((count(&xml, "f"), count(&xml, "hyperlink")), (0, 0), "{xml}");
    }

    // The command line keeps it in a file, and overwrites none.
    let folder = crate::support::scratch("sheet");
    let file = folder.join("sheet.xlsx");
    let path = file.to_str().unwrap();
    let args = ["zombie", "sheet", finding.as_str(), "--to", path];
    let out = stage.broker.setup.cli(Some(&stage.broker), &stage.cast.requester, &args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(std::fs::read(&file).unwrap(), reply.bytes);
    let out = stage.broker.setup.cli(Some(&stage.broker), &stage.cast.requester, &args);
    assert!(!out.status.success());

    let form = read(&folder, &file, "备案表");
    let field = |label: &str| {
        let row = form.iter().find(|row| row[0] == label).unwrap_or_else(|| panic!("{label} {form:#?}"));
        row[1].clone()
    };
    assert_eq!(form[0][0], "相城区政务信息系统清理备案表");
    for (label, value) in [
        ("备案机关", "区信息办"),
        ("备案依据", "相政办〔2018〕151号 二（二）具体要求5"),
        ("备案号", "-1+1"),
        ("报送单位", "相城区民政局"),
        ("系统名称", name),
        ("系统功能", "@SUM(1+1)"),
        ("最近更新", "2020-06-30"),
        ("运维合同到期", "2020-12-31"),
        ("最近登录", "未登记"),
        ("建设单位答复", "认可"),
        ("理由", "+cmd|' /C calc'!A0"),
    ] {
        assert_eq!(field(label), value, "{label}");
    }
    let criteria: Vec<_> = form.iter().filter(|row| row[0].parse::<u8>().is_ok()).collect();
    assert_eq!(criteria.len(), 3, "{form:#?}");
    assert_eq!(criteria[1][1..5], ["停止运行维护", "相政办〔2018〕151号 二（二）具体要求5", "符合", "高"]);
    let evidence = read(&folder, &file, "证据");
    assert!(
        evidence.iter().any(|row| row[0] == "停止运行维护" && row[1] == "单位答复" && row[3] == "zhang"),
        "{evidence:#?}"
    );
    let days = evidence.iter().find(|row| row[6].contains("最近一次更新")).unwrap();
    assert!(days[4].parse::<i64>().unwrap() > 2000 && days[5] == "365", "{days:?}");
}
