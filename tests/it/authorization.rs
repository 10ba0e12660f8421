//! Who may do what: every route of the OpenAPI document with every kind of caller gives what the policy's table says.

use crate::{
    goldens::golden,
    report::{Beside, lived},
    support::{
        broker::{self, Broker, Cast, On, Setup},
        plain,
        raw::{Raw, Reply},
        sql::Sql,
    },
};
use jiyue::{
    http::acts::ACTS,
    identity::{
        Role,
        policy::{Act, Reach, reach},
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

/// Every route, and the act that the document says it is; `None` is open to all.
fn routes() -> Vec<(String, String, Option<Act>)> {
    let document = serde_json::to_value(jiyue::http::openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let what = format!("{} {path}", method.to_uppercase());
            let word = operation["x-act"].as_str().unwrap_or_else(|| panic!("{what} has no row in http/acts.rs"));
            let act = Act::ALL.iter().find(|act| act.word() == word).copied();
            assert!(act.is_some() || word == "open", "{what}: {word} is no act");
            routes.push((method.to_uppercase(), path.clone(), act));
        }
    }
    routes
}

/// What each role gets of each route, on its own department's objects and on another's.
#[test]
fn the_table_of_routes_is_as_agreed() {
    let mut table = String::from(
        "| route | act | requester, own | requester, foreign | authority | operator | auditor | no token |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (method, path, act) in routes() {
        let cell = |role, foreign: bool| match act.map(|act| reach(role, act)) {
            None | Some(Reach::All) => "yes",
            Some(Reach::Own) if !foreign => "yes",
            Some(Reach::Own) if path.contains("{id}") => "404",
            Some(Reach::Own) => "own only",
            Some(Reach::None) => "403",
        };
        let word = act.map_or("–", Act::word);
        let open = if act.is_none() { "yes" } else { "401" };
        writeln!(
            table,
            "| {method} {path} | {word} | {} | {} | {} | {} | {} | {open} |",
            cell(Role::Requester, false),
            cell(Role::Requester, true),
            cell(Role::Authority, true),
            cell(Role::Operator, true),
            cell(Role::Auditor, true),
        )
        .unwrap();
    }
    golden("routes", &table);
}

#[test]
fn no_route_is_without_a_row() {
    let document = serde_json::to_value(jiyue::http::openapi()).unwrap();
    let mut served = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        served.extend(methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    let rows = ACTS.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(rows.collect::<BTreeSet<_>>(), served, "http/acts.rs has a row for each route, and for nothing else");
    let judged: BTreeSet<_> = ACTS.iter().filter_map(|(_, _, act)| act.map(Act::word)).collect();
    assert_eq!(judged, Act::ALL.iter().map(|act| act.word()).collect(), "every act is asked by some route");
    // What needs no token says so in the document.
    for (method, path, act) in ACTS {
        let open = document["paths"][path][method.to_lowercase()]["security"] == json!([{}]);
        assert_eq!(open, act.is_none(), "{method} {path}");
    }
}

/// Lists and papers in which another department has something of its own.
const NOT_EMPTY: &[&str] = &[
    "/v1/blackouts",
    "/v1/reports/idle",
    "/v1/reports/rooms",
    "/v1/rooms",
    "/v1/rooms/export",
    "/v1/servers",
    "/v1/systems",
    "/v1/usage",
];

/// One department's objects of every kind, in states in which no act of the walk can change anything.
struct World {
    broker: Broker,
    raw: Raw,
    cast: Cast,
    request: String,
    machine: String,
    server: String,
    operation: String,
    alarm: String,
    revoked_book: String,
    system: String,
    /// On file: no act changes it any more.
    finding: String,
    report: String,
    /// With a system in it that has still to leave.
    room: String,
    surveyed: String,
    /// It is over, and nothing changes it any more.
    disk_import: String,
    /// By which a system is planned, so that it cannot be deleted.
    wave: String,
    blackout: String,
}

impl World {
    async fn new(on: On) -> Self {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let mut book = broker::task_book();
        book["number"] = json!("相信任〔2026〕18号");
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        let revoked_book = "相信任〔2026〕18号".to_owned();
        let path = format!("/v1/task-books/{revoked_book}/revoke");
        broker.post(&path, &cast.authority, &json!({"reason": "项目终止"})).await.expect(200);
        let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
        let request = made["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/requests/{request}/approve");
        let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
        let operation = operation["id"].as_str().unwrap().to_owned();
        broker.finished(&operation, &cast.authority, Duration::from_secs(20)).await;
        let made = broker.get(&format!("/v1/requests/{request}"), &cast.requester).await.expect(200);
        let machine = made["machines"][0]["id"].as_str().unwrap().to_owned();
        let server = json!({"name": "档案库旧服务器", "department": "mzj"});
        let server = broker.post("/v1/servers", &cast.operator, &server).await.expect(201);
        let server = server["id"].as_str().unwrap().to_owned();
        let raw = Raw::new(&broker);
        let alarm = uuid::Uuid::now_v7().to_string();
        let mut sql = Sql::writing(&broker.setup.database_url).await;
        sql.run(&format!(
            "insert into alarms (id, host_id, kind, domain_id, name, detail, first_seen_at, last_seen_at) \
             select '{alarm}', id, 'foreign', 'x', 'x', 'x', 1, 1 from hosts where name = 'sim'"
        ))
        .await;
        let (system, finding) = filed(&broker, &cast, &machine).await;
        let report = reported(&broker, &machine).await;
        let (room, surveyed) = surveyed(&broker, &cast, &raw).await;
        let disk_import = crate::disk_imports::over(&broker.setup.database_url).await.remove(0);
        let wave = planned(&broker, &cast, &surveyed).await;
        let blackout = json!({"department": "jyj", "from": "2031-06-01", "to": "2031-06-20", "reason": "中高考"});
        let blackout = broker.post("/v1/blackouts", &cast.operator, &blackout).await.expect(201);
        let blackout = blackout["id"].as_str().unwrap().to_owned();
        Self {
            broker,
            raw,
            cast,
            request,
            machine,
            server,
            operation,
            alarm,
            revoked_book,
            system,
            finding,
            report,
            room,
            surveyed,
            disk_import,
            wave,
            blackout,
        }
    }

    /// The path with an object's id in it.
    fn path(&self, path: &str, object: Option<&str>) -> String {
        let object = object.unwrap_or(match path {
            path if path.contains("/requests/") => &self.request,
            path if path.contains("/machines/") => &self.machine,
            path if path.contains("/servers/") => &self.server,
            path if path.contains("/operations/") => &self.operation,
            path if path.contains("/alarms/") => &self.alarm,
            path if ["/move", "/decide", "/advance"].iter().any(|end| path.ends_with(end)) => &self.surveyed,
            "/v1/systems/{id}/exempt" | "/v1/systems/{id}/request" => &self.surveyed,
            path if path.contains("/waves/") => &self.wave,
            path if path.contains("/blackouts/") => &self.blackout,
            path if path.contains("/rooms/") => &self.room,
            path if path.contains("/deadlines/") => "jiangsu-2017-5",
            path if path.contains("/systems/") => &self.system,
            path if path.contains("/zombie-findings/") => &self.finding,
            path if path.contains("/reports/") => &self.report,
            path if path.contains("/disk-imports/") => &self.disk_import,
            path if path.contains("/images/") => "test-image",
            path if path.contains("/departments/") => "mzj",
            path if path.ends_with("/revoke") => &self.revoked_book,
            path if path.contains("/task-books/") => "相信任〔2026〕17号",
            _ => "sim",
        });
        path.replace("{id}", object).replace("{code}", "required")
    }

    /// A call that can be read, and that changes nothing even when it is allowed.
    async fn call(&self, method: &str, path: &str, object: Option<&str>, bearer: Option<&str>) -> Reply {
        let mut full = self.path(path, object);
        let document: Value = match (method, path) {
            ("POST", "/v1/departments") => json!({"code": "mzj", "name": "已经登记的单位"}),
            ("POST", "/v1/hosts") => json!({"name": "sim", "uri": "simulated:", "zones": [
                {"zone": "internet", "network": "n", "bridge": "b", "cidr": "10.0.0.0/24"}]}),
            ("POST", path) if path.ends_with("/replay-usage") => json!({"from": "2026-01-01", "to": "2026-01-02"}),
            ("POST", "/v1/servers") => json!({"name": "档案库旧服务器", "department": "mzj"}),
            ("POST", "/v1/task-books") => broker::task_book(),
            ("POST", "/v1/requests" | "/v1/requests/check") => broker::request(),
            ("POST", "/v1/requests/return") => json!({"ids": [self.request], "reason": "材料不全"}),
            ("POST", path) if path.ends_with("/return") || path.ends_with("/revoke") => json!({"reason": "材料不全"}),
            ("POST", "/v1/systems") => json!({"name": "低保审批系统", "purpose": "审批", "department": "mzj"}),
            // Its own already; and one that cannot be taken away from a system that it is not of.
            ("POST", "/v1/systems/{id}/attach" | "/v1/systems/{id}/detach") => json!({"machines": [self.machine]}),
            ("POST", path) if path.ends_with("/confirm") || path.ends_with("/dismiss") => json!({"reason": "依据充分"}),
            ("POST", path) if path.ends_with("/reply") => json!({"answer": "object", "reason": "在用"}),
            ("POST", path) if path.ends_with("/exempt") => json!({"until": "2099-01-01", "evidence": "来函"}),
            // A server in use, a gate that is shut, a room that is not closed, a stage that the step does not fit.
            ("POST", path) if path.ends_with("/record") => json!({"gate": "servers_off", "evidence": "下电"}),
            ("POST", path) if path.ends_with("/sign") => json!({"comment": "同意"}),
            ("POST", path) if path.ends_with("/reopen") => json!({"reason": "来函"}),
            ("POST", path) if path.ends_with("/decide") => json!({"disposition": "inherit", "reason": "平移"}),
            ("POST", path) if path.ends_with("/advance") => json!({"step": "archive", "evidence": "归档"}),
            ("POST", path) if path.ends_with("/meet") => json!({"evidence": "报告"}),
            // A source host that the settings do not name; and what is over does not go back.
            ("POST", "/v1/disk-imports") => json!({"server_id": self.server, "source_host": "nowhere", "domain": "oa",
                "machine_id": self.machine, "address": "new"}),
            ("POST", path) if path.ends_with("/rollback") => json!({"reason": "测试未通过"}),
            // A name that is taken, a system that is not decided.
            ("POST", "/v1/waves") => json!({"name": "第一批", "window_from": "2031-03-05", "window_to": "2031-03-07"}),
            ("POST", "/v1/blackouts") => json!({"from": "2031-03-05", "to": "2031-03-07", "reason": "保障"}),
            ("POST", "/v1/systems/{id}/request") => json!({"task_book": "相信任〔2026〕17号"}),
            ("POST", "/v1/requests/approve") => json!({"ids": [self.request]}),
            ("POST", path) if path.ends_with("/confirm-fenced") => json!({"name": "sim", "reason": "拔了电源"}),
            // The size and the date that it has already are refused, after the right to ask.
            ("POST", path) if path.ends_with("/extend") => json!({"lease_end": "2026-01-01"}),
            ("POST", path) if path.ends_with("/agree-reclaim") => {
                json!({"until": jiyue::time::Clock::System.today().checked_add(jiff::ToSpan::days(30)).unwrap()})
            }
            _ => json!({}),
        };
        let mut body = document.to_string().into_bytes();
        if (method, path) == ("POST", "/v1/images") {
            full.push_str("?name=test-image&os_type=debian-12&stand_in=true");
            body = broker::raw_image();
        }
        let file = (method, path) == ("POST", "/v1/rooms/import");
        if file {
            body = crate::rooms::ROOMS.into();
        }
        let patches = method == "PATCH";
        let kind = match () {
            () if patches => "application/merge-patch+json",
            () if file => "application/octet-stream",
            () => "application/json",
        };
        let mut headers = vec![("content-type", kind)];
        headers.extend(patches.then_some(("if-match", "*")));
        headers.extend(bearer.map(|bearer| ("authorization", bearer)));
        let method: Method = method.parse().unwrap();
        let body = (method != Method::GET).then_some(body);
        self.raw.send(method, &full, &headers, body).await
    }
}

/// The department's report of the month that is over, in which the machine had lived already.
async fn reported(broker: &Broker, machine: &str) -> String {
    let beside = Beside::new(&broker.setup).await;
    let yesterday = jiyue::time::Clock::System.today().yesterday().unwrap();
    lived(&beside.db, machine, yesterday, 75, 0.4, 50.0).await;
    assert_eq!(beside.reports.make_month().await.expect("made"), 2);
    let own = "select id from reports where department_id is not null";
    plain::texts(&broker.setup.database_url, own).await.remove(0)
}

/// A small district, and a row of the register that is done.
async fn surveyed(broker: &Broker, cast: &Cast, raw: &Raw) -> (String, String) {
    crate::rooms::take(raw, &cast.operator, &crate::rooms::district()).await;
    let list = broker.get("/v1/rooms?sort=name", &cast.requester).await.expect(200);
    let rooms = list["items"].as_array().unwrap().clone();
    let room = rooms.iter().find(|room| room["kind"] == "ordinary").unwrap()["id"].as_str().unwrap().to_owned();
    let whole = broker.get(&format!("/v1/rooms/{room}"), &cast.requester).await.expect(200);
    let system = whole["systems"][0]["id"].as_str().unwrap().to_owned();
    let met = "/v1/deadlines/jiangsu-2017-5/meet";
    broker.post(met, &cast.authority, &json!({"evidence": "清理报告"})).await.expect(200);
    (room, system)
}

/// A wave with a system in it that is planned by it, so that it cannot be deleted.
async fn planned(broker: &Broker, cast: &Cast, system: &str) -> String {
    let today = jiyue::time::Clock::System.today();
    let path = format!("/v1/systems/{system}");
    for (act, token, body) in [
        ("advance", &cast.operator, json!({"step": "assess", "evidence": "评估表"})),
        ("decide", &cast.authority, json!({"disposition": "inherit", "reason": "平移"})),
    ] {
        broker.post(&format!("{path}/{act}"), token, &body).await.expect(200);
    }
    let wave = json!({"name": "第一批", "window_from": today, "window_to": today, "systems": [{"system": system}]});
    let wave = broker.post("/v1/waves", &cast.authority, &wave).await.expect(201);
    let plan = json!({"step": "plan", "evidence": "排期表", "cutover_on": today, "trigger": "upgrade"});
    broker.post(&format!("{path}/advance"), &cast.operator, &plan).await.expect(200);
    wave["id"].as_str().unwrap().to_owned()
}

/// A system and what was found of it, decided and on file.
async fn filed(broker: &Broker, cast: &Cast, machine: &str) -> (String, String) {
    let facts = json!({"name": "低保审批系统", "purpose": "审批", "maintained_until": "2020-12-31",
        "last_updated_on": "2020-12-31"});
    let system = broker.post("/v1/systems", &cast.requester, &facts).await.expect(201);
    let system = system["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/systems/{system}");
    broker.post(&format!("{path}/attach"), &cast.requester, &json!({"machines": [machine]})).await.expect(200);
    let judged = broker.post(&format!("{path}/judge"), &cast.authority, &json!({})).await.expect(200);
    let finding = judged["finding"]["id"].as_str().unwrap().to_owned();
    for (act, token, body) in [
        ("ask", &cast.authority, json!({})),
        ("reply", &cast.requester, json!({"answer": "agree", "reason": "停用"})),
        ("confirm", &cast.authority, json!({"reason": "依据充分"})),
        ("file", &cast.authority, json!({})),
    ] {
        broker.post(&format!("/v1/zombie-findings/{finding}/{act}"), token, &body).await.expect(200);
    }
    (system, finding)
}

fn role_of(cast: &Cast) -> [(Role, &str); 4] {
    [
        (Role::Requester, &cast.requester),
        (Role::Authority, &cast.authority),
        (Role::Operator, &cast.operator),
        (Role::Auditor, &cast.auditor),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_gives_every_caller_what_the_policy_says() {
    for on in On::BOTH {
        let world = World::new(on).await;
        let (url, cast) = (&world.broker.setup.database_url, &world.cast);
        // Stopping and deleting change a running machine, so let it be in the bin, where both are refused by its state.
        let path = format!("/v1/machines/{}/delete", world.machine);
        let binned = world.broker.post(&path, &cast.requester, &json!({})).await.expect(202);
        world.broker.finished(binned["id"].as_str().unwrap(), &cast.requester, Duration::from_secs(20)).await;
        // Restoring is refused while its task book has no room for it.
        plain::run(url, "update task_books set limit_machines = used_machines").await.unwrap();
        let before = plain::counts(url, &plain::TABLES[..14]).await;
        let refused = "select count(*) from audit where action = 'policy.denied' and outcome = 'denied'";
        assert_eq!(plain::number(url, refused).await, 0);
        let mut denied = 0;
        for (method, path, act) in &routes() {
            let Some(act) = act else {
                assert_eq!(world.call(method, path, None, None).await.status, 200, "{on:?} {method} {path}");
                continue;
            };
            for (role, token) in role_of(cast) {
                let reply = world.call(method, path, None, Some(&format!("Bearer {token}"))).await;
                let what = format!("{on:?} {method} {path} as {role}: {} {}", reply.status, reply.text);
                if reach(role, *act) == Reach::None {
                    assert_eq!((reply.status, reply.problem().as_str()), (403, "forbidden"), "{what}");
                    denied += 1;
                } else {
                    // Some are let in and then refused for what they ask: that there is nothing to change.
                    let idle = ["/resize", "/extend"].iter().any(|end| path.ends_with(end)) && reply.status == 400;
                    assert!(idle || !matches!(reply.status, 400..=404 | 500..), "{what}");
                }
            }
        }
        assert!(denied > 30, "{denied}");
        assert_eq!(plain::number(url, refused).await, denied, "{on:?}: each denial is in the audit");
        assert_eq!(plain::counts(url, &plain::TABLES[..14]).await, before, "{on:?}: the walk changed something");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_departments_objects_are_as_if_they_were_not_there() {
    for on in On::BOTH {
        let world = World::new(on).await;
        let foreign = format!("Bearer {}", world.cast.other_requester);
        let nobody = jiyue::ids::RequestId::new().text();
        let mut walked = 0;
        for (method, path, act) in &routes() {
            let Some(act) = act.filter(|act| reach(Role::Requester, *act) == Reach::Own) else { continue };
            let what = format!("{on:?} {method} {path}");
            if path.contains("{id}") {
                let there = world.call(method, path, None, Some(&foreign)).await;
                let not_there = world.call(method, path, Some(&nobody), Some(&foreign)).await;
                assert_eq!((there.status, there.problem().as_str()), (404, "not_found"), "{what} {}", there.text);
                assert_eq!(there.text, not_there.text, "{what}: the two must not be told apart");
                walked += 1;
            } else if method == "GET" {
                let reply = world.call(method, path, None, Some(&foreign)).await;
                assert_eq!(reply.status, 200, "{what}");
                for hidden in [
                    &world.request,
                    &world.machine,
                    &world.server,
                    &world.operation,
                    "相信任",
                    "oa.xiangcheng",
                    "民政",
                    "档案",
                ] {
                    assert!(!reply.text.contains(hidden), "{what} shows {hidden}: {}", reply.text);
                }
                // Its own of what the others have too: a room of its own, a report of nothing else.
                let listed = !NOT_EMPTY.contains(&path.as_str());
                if listed && ![Act::DepartmentRead, Act::AuditRead, Act::EventRead].contains(&act) {
                    assert_eq!(reply.json()["items"], json!([]), "{what}");
                }
                walked += 1;
            }
        }
        assert!(walked >= 14, "{walked}");
        // A filter on another's object finds nothing, and a task book of another cannot be asked from.
        let path = format!("/v1/machines?request_id={}", world.request);
        let reply = world.raw.get(&path, &world.cast.other_requester).await;
        assert_eq!(reply.json()["items"], json!([]), "{on:?}");
        let reply = world.raw.json("/v1/requests/check", &world.cast.other_requester, &broker::request()).await;
        let mine = reply.violations();
        assert!(mine.contains(&("/task_book".to_owned(), "task_book_not_found".to_owned())), "{on:?} {mine:?}");
        let mut made_up = broker::request();
        made_up["任务书编号"] = json!("相信任〔1999〕99号");
        let reply = world.raw.json("/v1/requests/check", &world.cast.other_requester, &made_up).await;
        assert_eq!(reply.violations(), mine, "{on:?}: another's number is as good as a made-up one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_valid_opens_nothing() {
    let world = World::new(On::Sqlite).await;
    let setup = &world.broker.setup;
    let issue = |login: &str| {
        let args = ["-o", "json", "token", "create", "--person", login, "--name", login, "--unit", "区信息办"];
        let out = setup.cli(None, "", &[&args[..], &["--role", "authority"]].concat());
        let made: Value = serde_json::from_slice(&out.stdout).expect("a token as JSON");
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let ((revoked, revoked_token), (expired, expired_token)) = (issue("past"), issue("late"));
    for token in [&revoked_token, &expired_token] {
        assert_eq!(world.raw.get("/v1/requests", token).await.status, 200);
    }
    assert!(setup.cli(None, "", &["token", "revoke", &revoked]).status.success());
    let sql = format!("update tokens set expires_at = 1 where id = '{expired}'");
    plain::run(&setup.database_url, &sql).await.unwrap();
    // What has been read of a token is believed for two seconds, and no longer.
    let began = std::time::Instant::now();
    while world.raw.get("/v1/requests", &revoked_token).await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(5), "a revoked token still opens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let good = &world.cast.authority;
    let last = if good.ends_with('A') { "B" } else { "A" };
    let altered = format!("Bearer {}{last}", &good[..good.len() - 1]);
    let bad = [
        None,
        Some(format!("Bearer {revoked_token}")),
        Some(format!("Bearer {expired_token}")),
        Some(altered),
        Some(format!("Bearer jiyue_{}", "A".repeat(43))),
        Some(format!("Bearer  {good}")),
        Some(format!("bearer{good}")),
        Some(format!("Basic {good}")),
        Some(good.clone()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer jiyue_{}", "'".repeat(43))),
        Some(format!("Bearer {}", "x".repeat(4000))),
    ];
    let routes: Vec<_> = routes().into_iter().filter(|(_, _, act)| act.is_some()).collect();
    for (n, bearer) in bad.iter().enumerate() {
        // The first four on every route; the rest on a read and a write.
        let some = if n < 4 { &routes[..] } else { &routes[..3] };
        for (method, path, _) in some {
            let reply = world.call(method, path, None, bearer.as_deref()).await;
            let what = format!("{method} {path} with {bearer:?}: {}", reply.text);
            assert_eq!((reply.status, reply.problem().as_str()), (401, "unauthenticated"), "{what}");
            assert_eq!(reply.header("www-authenticate"), "Bearer", "{what}");
        }
    }
    assert_eq!(world.raw.get("/v1/requests", good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_refused_as_a_problem() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let raw = Raw::new(&broker);
    for (method, path, status, code) in [
        ("GET", "/v1/nothing", 404, "route_not_found"),
        ("GET", "/v1/requests/", 404, "route_not_found"),
        ("GET", "/../etc/passwd", 404, "route_not_found"),
        ("DELETE", "/v1/requests", 405, "method_not_allowed"),
        ("PUT", "/v1/machines/x", 405, "method_not_allowed"),
        ("PATCH", "/v1/images", 405, "method_not_allowed"),
    ] {
        let reply = raw.send(method.parse().unwrap(), path, &[], None).await;
        assert_eq!((reply.status, reply.problem().as_str()), (status, code), "{method} {path}");
    }
}
