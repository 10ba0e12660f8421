//! Waves: checked, planned by, and what their systems ask of the cloud.

use super::{Stage, district};
use crate::{
    report::{Beside, lived},
    support::{
        broker::{self, On},
        plain,
    },
};
use jiff::{ToSpan, civil::Date};
use jiyue::time::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

fn codes(check: &Value) -> Vec<&str> {
    check["conflicts"].as_array().unwrap().iter().map(|conflict| conflict["code"].as_str().unwrap()).collect()
}

fn errors(problem: &Value) -> Vec<&str> {
    problem["errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|e| e["code"].as_str().unwrap())
        .collect()
}

impl Stage {
    async fn wave(&self, name: &str, (from, to): (Date, Date), systems: Value) -> Value {
        let wave = json!({"name": name, "window_from": from, "window_to": to, "systems": systems});
        self.act("/v1/waves", &self.cast.authority, wave).await.expect(201)
    }

    async fn settle(&self, name: &str) -> String {
        let system = self.system(name).await;
        self.advance(&system, "assess").await.expect(200);
        self.decide(&system, json!({"disposition": "inherit", "reason": "平移"})).await.expect(200);
        system
    }

    async fn patch(&self, path: &str, seen: &str, change: Value) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.cast.authority);
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/merge-patch+json"), ("if-match", seen)];
        let reply = self.raw.send(Method::PATCH, path, &headers, Some(change.to_string().into_bytes())).await;
        (reply.status, reply.json())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_is_made_checked_changed_and_planned_by() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let (broker, cast) = (&stage.broker, &stage.cast);
        stage.import(&district()).await;
        let today = Clock::System.today();
        let days = |from: i64, to: i64| (today.saturating_add(from.days()), today.saturating_add(to.days()));
        let allowances = stage.settle("低保审批系统").await;
        // By name; one that is not decided is named, with what it needs.
        let made =
            stage.wave("第一批", days(0, 5), json!([{"system": "低保审批系统"}, {"system": "老年证系统"}])).await;
        let path = format!("/v1/waves/{}", made["id"].as_str().unwrap());
        let found = codes(&made["check"]);
        for code in ["wave_system_undecided", "wave_dependency_unplanned", "wave_node_missing", "wave_size_unknown"] {
            assert!(found.contains(&code), "{code} {made:#}");
        }
        assert_eq!(made["check"]["passes"], false);
        assert_eq!(broker.get(&format!("{path}/check"), &cast.operator).await.expect(200), made["check"]);
        let gate = stage.advance(&allowances, "plan").await;
        assert_eq!((gate.code(), errors(&gate.body)), ("system_gate", vec!["wave_system_undecided"]), "{gate:?}");
        // What cannot be: a name twice, days the wrong way round, a system that is not there, one said twice.
        for (wave, word) in [
            (json!({"name": "第一批", "window_from": today, "window_to": today}), "wave_exists"),
            (json!({"name": "反", "window_from": today, "window_to": today.yesterday().unwrap()}), "bad_value"),
            (
                json!({"name": "空", "window_from": today, "window_to": today, "systems": [{"system": "没有"}]}),
                "bad_value",
            ),
            (
                json!({"name": "重", "window_from": today, "window_to": today,
                    "systems": [{"system": "低保审批系统"}, {"system": allowances}]}),
                "bad_value",
            ),
        ] {
            assert_eq!(stage.act("/v1/waves", &cast.authority, wave).await.code(), word);
        }
        // Changed under what was seen; what another changed meanwhile is not overwritten.
        let read = stage.raw.get(&path, &cast.authority).await;
        let (tag, change) =
            (read.header("etag").to_owned(), json!({"systems": [{"system": "低保审批系统", "trigger": "upgrade"}]}));
        let (status, changed) = stage.patch(&path, &tag, change.clone()).await;
        assert_eq!((status, &changed["check"]["passes"]), (200, &json!(true)), "{changed:#}");
        assert_eq!(stage.patch(&path, &tag, change).await.0, 412, "{on:?}");

        // A blackout over it, of its department and of another; the wave itself does not change.
        let blackout = |department: &str| json!({"department": department, "from": days(3, 3).0, "to": days(9, 9).0, "reason": "两会保障"});
        stage.act("/v1/blackouts", &cast.operator, blackout("jyj")).await.expect(201);
        assert_eq!(broker.get(&format!("{path}/check"), &cast.auditor).await.expect(200)["passes"], true);
        let mine = stage.act("/v1/blackouts", &cast.operator, blackout("mzj")).await.expect(201);
        assert!(
            codes(&broker.get(&format!("{path}/check"), &cast.auditor).await.expect(200)).contains(&"wave_blackout")
        );
        assert_eq!(errors(&stage.advance(&allowances, "plan").await.body), ["wave_blackout"]);
        // A project team sees the district's and its own.
        let seen = broker.get("/v1/blackouts", &cast.requester).await.expect(200);
        assert_eq!(seen["items"].as_array().unwrap().len(), 1);
        let gone = format!("/v1/blackouts/{}/delete", mine["id"].as_str().unwrap());
        stage.act(&gone, &cast.operator, json!({})).await.expect(200);

        // Two waves with one system: neither lets it be planned.
        let other = stage.wave("第二批", days(0, 9), json!([{"system": allowances, "trigger": "upgrade"}])).await;
        assert_eq!(errors(&stage.advance(&allowances, "plan").await.body), ["wave_system_twice"]);
        let delete = format!("/v1/waves/{}/delete", other["id"].as_str().unwrap());
        stage.act(&delete, &cast.operator, json!({})).await.expect(200);

        // Planned, it stays in its wave until it is rolled back.
        let out = json!({"step": "plan", "evidence": "排期表", "cutover_on": days(6, 6).0});
        let advance = format!("/v1/systems/{allowances}/advance");
        assert_eq!(errors(&stage.act(&advance, &cast.operator, out).await.body), ["cutover_outside_window"]);
        let plan = json!({"step": "plan", "evidence": "排期表", "cutover_on": today});
        let planned = stage.act(&advance, &cast.operator, plan).await.expect(200);
        assert_eq!((&planned["trigger"], &planned["waves"][0]["name"]), (&json!("upgrade"), &json!("第一批")));
        assert_eq!(stage.patch(&path, "*", json!({"systems": []})).await.1["code"], "wave_in_use");
        let late = json!({"window_from": days(2, 2).0});
        assert_eq!(stage.patch(&path, "*", late).await.1["code"], "wave_in_use");
        assert_eq!(stage.act(&format!("{path}/delete"), &cast.authority, json!({})).await.code(), "wave_in_use");
        // Nothing is rehearsed, nor cut over, to where nothing stands.
        assert_eq!(errors(&stage.advance(&allowances, "rehearse").await.body), ["system_without_machine"]);
        super::machine_of(broker, cast, &allowances).await;
        stage.advance(&allowances, "rehearse").await.expect(200);
        stage.advance(&allowances, "roll_back").await.expect(200);
        stage.act(&format!("{path}/delete"), &cast.authority, json!({})).await.expect(200);
        let url = &broker.setup.database_url;
        assert_eq!(plain::number(url, "select count(*) from wave_systems").await, 0, "{on:?}");
        let acts = "select count(*) from audit where action in ('wave.create', 'wave.change', 'wave.delete', \
            'blackout.create', 'blackout.delete')";
        assert_eq!(plain::number(url, acts).await, 8, "{on:?}");
        // Whoever may not is refused.
        let wave = json!({"name": "x", "window_from": today, "window_to": today});
        assert_eq!(stage.act("/v1/waves", &cast.requester, wave).await.code(), "forbidden");
    }
}

/// The fields of every block.
fn block() -> Value {
    json!({"操作系统类型": "Debian 12", "数据库类型": "无", "无域名理由": "仅供本单位内部调用", "network_zone": "政务外网",
        "运维周期": "3年", "om_unit": {"name": "区民政局信息中心", "contact": "0512-00000000"}, "mlps_level": 2,
        "ssh_keys": broker::request()["ssh_keys"]})
}

const BOOK: &str = "相信任〔2026〕17号";

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one system, from what it used to the machines that it has")]
async fn a_system_asks_for_what_its_servers_used_once_and_by_the_door_of_all_requests() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let (broker, cast) = (&stage.broker, &stage.cast);
        let url = &broker.setup.database_url;
        stage.import(&district()).await;
        broker.furnish(cast).await;
        let weddings = stage.settle("婚姻登记查询").await;
        let path = format!("/v1/systems/{weddings}/request");
        let ask = async |token: &str, body: Value| stage.act(&path, token, body).await;
        let wish = json!({"task_book": BOOK, "block": block()});
        // Not in a wave yet, only a preview is given.
        assert_eq!(ask(&cast.requester, wish.clone()).await.code(), "system_without_wave");
        let today = Clock::System.today();
        let window = (today, today.saturating_add(60.days()));
        stage.wave("第一批", window, json!([{"system": weddings, "trigger": "upgrade"}])).await;

        // Two servers; nobody has measured either of them.
        let refused = ask(&cast.requester, wish.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), errors(&refused.body)),
            (422, vec!["server_unmeasured"; 2]),
            "{refused:?}"
        );
        let list = broker.get("/v1/servers?page_size=200", &cast.operator).await.expect(200);
        let server = |name: &str| {
            let list = list["items"].as_array().unwrap().iter();
            list.clone().find(|server| server["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let beside = Beside::new(&broker.setup).await;
        lived(&beside.db, &server("旧服务器1"), today.yesterday().unwrap(), 40, 95.0, 50.0).await;
        let refused = ask(&cast.requester, wish.clone()).await;
        assert_eq!(errors(&refused.body), ["server_unmeasured"], "{on:?} {refused:?}");
        assert!(refused.body["errors"][0]["message"].as_str().unwrap().contains("旧服务器2"), "{refused:?}");

        // A size without a reason is none; with one it stands, and says so.
        let mut given = json!({"server": "旧服务器2", "vcpu": 1, "memory_bytes": 134_217_728,
            "disk_bytes": 2_147_483_648_i64});
        let mut whole = wish.clone();
        whole["servers"] = json!([given]);
        assert_eq!(errors(&ask(&cast.requester, whole.clone()).await.body), ["size_reason_missing"]);
        given["reason"] = json!("停用采集期间");
        // The survey's disk of 2 TB is more than the book has: refused by the very rules of any request.
        whole["servers"] = json!([given]);
        let refused = ask(&cast.requester, whole.clone()).await;
        assert_eq!(refused.code(), "rules_violated");
        assert!(errors(&refused.body).contains(&"disk_over_indicator"), "{refused:?}");
        assert_eq!(plain::number(url, "select count(*) from requests").await, 0);
        let disk = json!({"server": "旧服务器1", "disk_bytes": 10_737_418_240_i64, "reason": "实际占用 3 GiB"});
        whole["servers"] = json!([given, disk]);

        // The preview: where each figure comes from, and nothing is written; planners may look.
        let mut look = whole.clone();
        look["dry_run"] = json!(true);
        for token in [&cast.requester, &cast.authority] {
            let shown = ask(token, look.clone()).await.expect(200);
            assert_eq!((&shown["made"], &shown["lacking"]), (&json!(false), &json!([])), "{on:?} {shown:#}");
            let sizes = shown["sizes"].as_array().unwrap();
            let measured = sizes.iter().find(|size| size["server"] == "旧服务器1").unwrap();
            assert_eq!(
                (&measured["vcpu"]["source"], &measured["disk"]["source"]),
                (&json!("measured"), &json!("given"))
            );
            // Most of two processors and four tenths more, not the sixteen cores of the survey.
            let vcpu = measured["vcpu"]["value"].as_i64().unwrap();
            assert!((2..=3).contains(&vcpu), "{measured:#}");
            assert_eq!(shown["document"]["blocks"].as_array().unwrap().len(), 2);
        }
        // By the command line it is the same: the block in one file, the servers' list in another.
        let file = |name: &str, value: &Value| {
            let path = broker.setup.folder.join(name);
            std::fs::write(&path, value.to_string()).unwrap();
            path.display().to_string()
        };
        let (block, servers) = (file("block.json", &whole["block"]), file("servers.json", &whole["servers"]));
        let args = [
            "-o",
            "json",
            "system",
            "request",
            &weddings,
            "--task-book",
            BOOK,
            "--block",
            &block,
            "--servers",
            &servers,
            "--dry-run",
        ];
        let out = broker.setup.cli(Some(broker), &cast.requester, &args);
        let shown: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        assert_eq!(shown["lacking"], json!([]), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(shown["sizes"].as_array().unwrap().len(), 2);
        assert_eq!(plain::number(url, "select count(*) from requests").await, 0);
        assert_eq!(ask(&cast.authority, whole.clone()).await.code(), "forbidden", "planners look, and do not ask");
        assert_eq!(ask(&cast.other_requester, whole.clone()).await.code(), "not_found");

        // Ten at once, and once more: two requests, one for each server.
        let calls = (0..10).map(|_| ask(&cast.requester, whole.clone()));
        let answers = futures_util::future::join_all(calls).await;
        let mut made = 0;
        for answer in answers {
            assert_eq!(answer.status.as_u16(), 200, "{on:?} {answer:?}");
            made += usize::from(answer.body["made"] == true);
            assert_eq!(answer.body["requests"].as_array().unwrap().len(), 2, "{on:?} {answer:?}");
        }
        assert_eq!(made, 1, "{on:?}");
        let again = ask(&cast.requester, whole.clone()).await.expect(200);
        assert_eq!(plain::number(url, "select count(*) from requests").await, 2, "{on:?}");
        assert_eq!(plain::number(url, "select count(*) from submissions").await, 1, "{on:?}");

        // Sent back, that one is asked for anew, and that one alone.
        let requests: Vec<String> =
            again["requests"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect();
        let back = format!("/v1/requests/{}/return", requests[0]);
        stage.act(&back, &cast.authority, json!({"reason": "材料不全"})).await.expect(200);
        let anew = ask(&cast.requester, whole.clone()).await.expect(200);
        assert_eq!((&anew["made"], anew["requests"].as_array().unwrap().len()), (&json!(true), 2), "{anew:#}");
        assert_eq!(plain::number(url, "select count(*) from requests").await, 3, "{on:?}");

        // Approved and built like any other; the machine is the system's without anybody saying so.
        let approve = format!("/v1/requests/{}/approve", requests[1]);
        let operation = broker.post(&approve, &cast.authority, &json!({})).await.expect(202);
        broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(60)).await;
        let system = broker.get(&format!("/v1/systems/{weddings}"), &cast.requester).await.expect(200);
        assert_eq!(system["machines"][0]["by"], "request", "{system:#}");
        let seen = broker.get(&format!("/v1/systems/{weddings}/move"), &cast.requester).await.expect(200);
        let delivered = seen["requests"].as_array().unwrap().iter().find(|r| r["state"] == "delivered").unwrap();
        assert_eq!(delivered["machines"][0]["id"], system["machines"][0]["id"], "{seen:#}");
        stage.advance(&weddings, "plan").await.expect(200);
        stage.advance(&weddings, "rehearse").await.expect(200);
    }
}
