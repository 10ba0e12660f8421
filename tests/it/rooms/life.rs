//! From the survey to a closed room.

use super::{SYSTEMS, Stage, district, workbook};
use crate::support::{broker::On, plain};
use serde_json::{Value, json};

fn names(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[field].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one life, from its beginning to its end")]
async fn a_room_is_surveyed_blocked_emptied_signed_closed_and_not_opened_in_silence() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let (broker, cast) = (&stage.broker, &stage.cast);
        // Nothing is written until somebody says exactly what.
        let shown = stage.send(&cast.operator, district(), "").await.json();
        assert_eq!(
            (&shown["applied"], &shown["new"], &shown["changed"]),
            (&json!(false), &json!(12), &json!(0)),
            "{shown:#}"
        );
        assert_eq!(stage.rooms(&cast.authority).await, [json!(null); 0]);
        let stale = stage.send(&cast.operator, district(), "&apply=0123").await;
        assert_eq!((stale.status, stale.problem().as_str()), (409, "difference_changed"));
        stage.import(&district()).await;
        for (who, status) in [(&cast.requester, 403), (&cast.auditor, 403)] {
            assert_eq!(stage.send(who, district(), "").await.status, status);
        }
        let url = &broker.setup.database_url;
        assert_eq!(plain::number(url, "select count(*) from systems").await, 5);
        assert_eq!(plain::number(url, "select count(*) from servers").await, 4);
        assert_eq!(plain::number(url, "select count(*) from audit where action = 'room.import'").await, 1);
        // Each department sees its own.
        assert_eq!(stage.rooms(&cast.requester).await.len(), 2);
        assert_eq!(stage.rooms(&cast.other_requester).await.len(), 1);

        let room = stage.room("民政老楼机房").await;
        assert_eq!(
            (&room["due_on"], &room["basis"]),
            (&json!("2020-08-22"), &json!("相政办〔2018〕151号 二（一）具体要求3"))
        );
        assert!(room["late_days"].as_i64().unwrap() > 2000, "{room:#}");
        assert_eq!(stage.room("教育局机房").await["due_on"], "2027-03-01");
        assert_eq!(stage.room("民政接入机房").await["standing"], "exempt");
        // Its own three, and one of another department that one of them waits for.
        let blockers = &room["blockers"];
        let far = blockers.as_array().unwrap().iter().find(|one| one["own"] == false).expect("one from elsewhere");
        assert_eq!((blockers.as_array().unwrap().len(), &far["way"]), (4, &json!(["低保审批系统", "学籍管理系统"])));
        // To the department itself the other's system has no name.
        let path = format!("/v1/rooms/{}", room["id"].as_str().unwrap());
        let own = broker.get(&path, &cast.requester).await.expect(200);
        assert!(!own.to_string().contains("学籍"), "{own:#}");
        assert_eq!(names(&own["blockers"], "system").iter().filter(|name| *name == "-").count(), 1);
        assert_eq!(broker.get(&path, &cast.other_requester).await.code(), "not_found");

        // No gate before the one in front of it.
        for (act, body, code) in [
            ("record", json!({"gate": "servers_off", "evidence": "下电"}), "server_in_use"),
            ("record", json!({"gate": "network_cut", "evidence": "专线已拆"}), "room_gate"),
            ("record", json!({"gate": "signed", "evidence": "x"}), "bad_value"),
            ("sign", json!({"comment": "同意"}), "room_gate"),
        ] {
            let answer = stage.act(&format!("{path}/{act}"), &cast.requester, body.clone()).await;
            assert_eq!(answer.code(), code, "{on:?} {act} {body}: {answer:?}");
        }
        let reopened = stage.act(&format!("{path}/reopen"), &cast.authority, json!({"reason": "x"})).await;
        assert_eq!(reopened.code(), "room_not_closed");

        // What waits does not go first.
        let allowances = stage.system("低保审批系统").await;
        assert_eq!(stage.advance(&allowances, "rehearse").await.code(), "system_stage");
        stage.advance(&allowances, "assess").await.expect(200);
        let fate = json!({"disposition": "inherit", "reason": "先平移"});
        stage.decide(&allowances, fate).await.expect(200);
        stage.prepare("低保审批系统").await;
        stage.advance(&allowances, "plan").await.expect(200);
        stage.advance(&allowances, "rehearse").await.expect(200);
        assert_eq!(stage.advance(&allowances, "cut_over").await.code(), "system_waits", "{on:?}");
        // To the department itself the other's system has no name here either.
        let wish = json!({"step": "cut_over", "evidence": "割接记录"});
        let refused = stage.act(&format!("/v1/systems/{allowances}/advance"), &cast.requester, wish).await;
        assert_eq!(refused.code(), "system_waits");
        assert!(!refused.body.to_string().contains("学籍"), "{refused:?}");
        stage.leave("学籍管理系统").await;
        let seen = broker.get(&format!("/v1/systems/{allowances}/move"), &cast.requester).await.expect(200);
        assert_eq!((&seen["stage"], &seen["waits_for"]), (&json!("rehearsed"), &json!([])), "{seen:#}");
        assert_eq!(seen["difficulty"]["level"].as_u64().map(|level| level >= 4), Some(true), "{seen:#}");
        // The test is no step that can be left out, and until the source is off it can go back.
        stage.advance(&allowances, "cut_over").await.expect(200);
        assert_eq!(stage.advance(&allowances, "switch_off").await.code(), "system_stage");
        let back = stage.advance(&allowances, "roll_back").await.expect(200);
        assert_eq!(back["stage"], "decided");
        for step in ["plan", "rehearse", "cut_over", "test", "switch_off"] {
            stage.advance(&allowances, step).await.expect(200);
        }
        assert_eq!(stage.advance(&allowances, "roll_back").await.code(), "system_stage");

        // What is given up needs a successor that is none of those, or a finding.
        let cards = stage.system("老年证系统").await;
        stage.advance(&cards, "assess").await.expect(200);
        for (fate, word) in [
            (json!({"disposition": "discard", "reason": "不用了"}), "/disposition"),
            (json!({"disposition": "discard", "reason": "不用了", "replaced_by": "老年证系统"}), "/replaced_by"),
            (json!({"disposition": "discard", "reason": "不用了", "replaced_by": "没有的"}), "/replaced_by"),
            (
                json!({"disposition": "discard", "reason": "不用了", "finding_id": jiyue::ids::FindingId::new()}),
                "/finding_id",
            ),
        ] {
            let refused = stage.decide(&cards, fate.clone()).await;
            assert_eq!((refused.status.as_u16(), refused.code()), (422, "bad_value"), "{fate}");
            assert!(refused.body["detail"].as_str().unwrap().starts_with(word), "{refused:?}");
        }
        let fate = json!({"disposition": "discard", "reason": "已并入", "replaced_by": "门户网站"});
        stage.decide(&cards, fate).await.expect(200);
        assert_eq!(stage.advance(&cards, "plan").await.code(), "system_stage", "what is given up is not moved");
        stage.advance(&cards, "switch_off").await.expect(200);

        // The last one stays, until a day.
        let weddings = stage.system("婚姻登记查询").await;
        let exempt = format!("/v1/systems/{weddings}/exempt");
        let today = jiyue::time::Clock::System.today();
        for until in [today.to_string(), "2099-01-01".to_owned()] {
            let body = json!({"until": until, "evidence": "现场生产"});
            assert_eq!(stage.act(&exempt, &cast.authority, body).await.code(), "bad_value");
        }
        let until = today.tomorrow().unwrap();
        stage.act(&exempt, &cast.authority, json!({"until": until, "evidence": "现场生产"})).await.expect(200);

        // Servers off, equipment, network.
        let off = json!({"gate": "servers_off", "evidence": "下电记录", "servers": ["旧服务器1"]});
        let room = stage.act(&format!("{path}/record"), &cast.operator, off).await.expect(200);
        assert_eq!(room["gates"][1]["passed"], false, "{room:#}");
        for gate in ["servers_off", "equipment_disposed", "network_cut"] {
            let body = json!({"gate": gate, "evidence": format!("{gate} 记录")});
            stage.act(&format!("{path}/record"), &cast.requester, body).await.expect(200);
        }
        // Two persons of two units; whoever signed does not sign again.
        let sign = format!("{path}/sign");
        let once = stage.act(&sign, &cast.requester, json!({"comment": "同意关停"})).await.expect(200);
        assert_eq!((&once["standing"], once["signatures"].as_array().unwrap().len()), (&json!("pending"), 1));
        assert_eq!(stage.act(&sign, &cast.requester, json!({"comment": "同意"})).await.code(), "already_signed");
        let closed = stage.act(&sign, &cast.authority, json!({"comment": "核验"})).await.expect(200);
        assert_eq!(
            (&closed["standing"], &closed["closed_on"]),
            (&json!("gone"), &json!(today.to_string())),
            "{closed:#}"
        );

        // It takes in nothing, and nobody opens it but the authority, with a reason that stays.
        let new =
            SYSTEMS.lines().next().unwrap().to_owned() + "\n新系统,相城区民政局,新的,,,,,,,,否,民政老楼机房,,,,,,\n";
        let refused = stage.send(&cast.operator, workbook(&[("系统", &new)]), "").await;
        assert_eq!(
            (refused.status, refused.violations()[0].1.as_str()),
            (422, "survey_room_closed"),
            "{}",
            refused.text
        );
        let body = json!({"gate": "network_cut", "evidence": "x"});
        assert_eq!(stage.act(&format!("{path}/record"), &cast.operator, body).await.code(), "room_closed");
        for who in [&cast.requester, &cast.operator] {
            let answer = stage.act(&format!("{path}/reopen"), who, json!({"reason": "x"})).await;
            assert_eq!(answer.code(), "forbidden");
        }
        let report = broker.get("/v1/reports/rooms", &cast.auditor).await.expect(200);
        let sums = ["surveyed", "closed", "exempt", "pending"].map(|field| report["rooms"][field].as_i64().unwrap());
        assert_eq!(sums, [3, 1, 1, 1], "{report:#}");
        let systems = ["surveyed", "in_cloud", "discarded", "exempt", "pending", "denominator"];
        let systems = systems.map(|field| report["systems"][field].as_i64().unwrap());
        assert_eq!((systems, &report["systems"]["percent"]), ([5, 3, 1, 1, 0, 4], &json!(75.0)));
        let metrics = stage.raw.get("/metrics", &cast.auditor).await.text;
        for line in ["jiyue_rooms{standing=\"closed\"} 1", "jiyue_surveyed_systems{standing=\"in_cloud\"} 3"] {
            assert!(metrics.contains(line), "{line}: {metrics}");
        }
        let again =
            stage.act(&format!("{path}/reopen"), &cast.authority, json!({"reason": "省厅来函"})).await.expect(200);
        assert_eq!((&again["standing"], &again["reopened"][0]["text"]), (&json!("pending"), &json!("省厅来函")));
        assert_eq!(again["signatures"], json!([]), "nobody's signature is under that");
        assert_eq!(plain::number(url, "select count(*) from audit where action = 'room.reopen'").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_surveyed_can_be_neither_changed_nor_deleted() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        stage.import(&district()).await;
        let url = &stage.broker.setup.database_url;
        for sql in ["update estate_versions set standing = 'gone'", "delete from estate_versions"] {
            let refused = plain::run(url, sql).await;
            assert!(
                refused.as_ref().is_err_and(|error| error.contains("what was surveyed")),
                "{on:?} {sql}: {refused:?}"
            );
        }
        assert_eq!(plain::number(url, "select count(*) from estate_versions").await, 12);
        // `insert or replace` deletes without asking the trigger that deletions ask; the one before it is asked.
        if matches!(on, On::Sqlite) {
            let replace = "insert or replace into estate_versions (kind, object_id, revision, day, at, standing, body) \
                select kind, object_id, revision, day, at, 'gone', body from estate_versions";
            let gone = "select count(*) from estate_versions where standing = 'gone'";
            let before = plain::number(url, gone).await;
            let refused = plain::run(url, replace).await;
            assert!(refused.as_ref().is_err_and(|error| error.contains("what was surveyed")), "{refused:?}");
            assert_eq!(plain::number(url, gone).await, before);
            // Without it, all would be rewritten.
            plain::run(url, "drop trigger estate_versions_no_replace").await.expect("dropped");
            plain::run(url, replace).await.expect("nothing else is in the way");
            assert_eq!(plain::number(url, gone).await, 12);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_change_the_survey_at_once_none_undoes_another() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        stage.import(&district()).await;
        let systems = ["低保审批系统", "老年证系统", "婚姻登记查询", "学籍管理系统"];
        let mut ids = Vec::new();
        for name in systems {
            ids.push(stage.system(name).await);
        }
        let calls = ids.iter().map(|id| stage.advance(id, "assess"));
        for answer in futures_util::future::join_all(calls).await {
            answer.expect(200);
        }
        for id in &ids {
            let path = format!("/v1/systems/{id}/move");
            let seen = stage.broker.get(&path, &stage.cast.auditor).await.expect(200);
            assert_eq!(seen["stage"], "assessed", "{on:?}");
        }
        let url = &stage.broker.setup.database_url;
        assert_eq!(plain::number(url, "select revision from estate").await, 5);
        assert_eq!(plain::number(url, "select count(distinct revision) from estate_versions").await, 5);
        // Four at once on the very same system: each of them decides on what the one before has written.
        let calls = (0..4).map(|_| stage.advance(&ids[0], "assess"));
        for answer in futures_util::future::join_all(calls).await {
            answer.expect(200);
        }
        let seen = stage.broker.get(&format!("/v1/systems/{}/move", ids[0]), &stage.cast.auditor).await.expect(200);
        assert_eq!(seen["steps"].as_array().unwrap().len(), 5, "{on:?} {seen:#}");
    }
}
