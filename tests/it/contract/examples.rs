//! One journey through every route: each answer is what the document says it is, and gives the document its examples.
//! `WRITE_EXAMPLES=1` writes them down anew (`src/http/examples.json`).

use super::document::{Route, document, routes};
use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
    raw::{Raw, Reply},
};
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(30);
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/examples.json");
/// Not on this journey, and where they are called.
const ELSEWHERE: &[(&str, &str)] = &[
    ("hosts_fence", "faults: it needs a command that switches a host off"),
    ("machines_credentials", "databases: it needs a machine with a database"),
    ("machines_register_name", "names: it needs a zone of a DNS server"),
    ("reports_show", "report: it needs a month that is over"),
    ("servers_replay", "usage_sources::real: it needs a Prometheus"),
    ("operations_events", "contract::events: it is no JSON"),
    ("disk_imports_create", "disk_imports: it needs two libvirt hosts"),
    ("disk_imports_rollback", "disk_imports: it needs two libvirt hosts"),
    ("disk_imports_finish", "disk_imports: it needs two libvirt hosts"),
];

fn validator(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

/// The name of a schema that is a whole body.
fn named(content: &Value) -> Option<String> {
    content["schema"]["$ref"].as_str().and_then(|path| path.rsplit('/').next()).map(str::to_owned)
}

struct Journey {
    raw: Raw,
    document: Value,
    routes: HashMap<String, Route>,
    called: BTreeSet<String>,
    examples: BTreeMap<String, Value>,
}

impl Journey {
    fn new(broker: &Broker) -> Self {
        let document = document();
        let routes = routes(&document);
        let routes = routes.into_iter().map(|r| (r.operation["operationId"].as_str().unwrap().to_owned(), r)).collect();
        Self { raw: Raw::new(broker), document, routes, called: BTreeSet::new(), examples: BTreeMap::new() }
    }

    /// Calls a route by its name, and holds the answer to the document.
    async fn call(&mut self, id: &str, key: &str, token: &str, body: Option<Value>) -> Value {
        let query = match id {
            "images_import" => "?name=second&os_type=debian-12&stand_in=true",
            "usage_import" => "?interval_seconds=300",
            "rooms_import" => key,
            _ => "",
        };
        let route = &self.routes[id];
        let path = route.path.replace("{id}", key).replace("{code}", key) + query;
        let content = route.operation["requestBody"]["content"].as_object();
        let kind = content.and_then(|content| content.keys().find(|kind| !kind.starts_with("multipart"))).cloned();
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str()), ("if-match", "*")];
        headers.extend(kind.as_deref().map(|kind| ("content-type", kind)));
        let method: Method = route.method.parse().unwrap();
        let bytes = match (&body, id) {
            (_, "images_import") => Some([&broker::raw_image()[..], &[1; 512]].concat()),
            (_, "usage_import") => {
                Some(format!("vm,ts,cpu_percent\n{key},1375308000,3.5\n{key},1375308300,-1\nfs1,1375308300,2\n").into())
            }
            (_, "rooms_import") => Some(crate::rooms::district()),
            (Some(body), _) => Some(body.to_string().into_bytes()),
            (None, _) => (method != Method::GET).then(|| b"{}".to_vec()),
        };
        let reply = self.raw.send(method, &path, &headers, bytes).await;
        let what = format!("{id} {path}: {} {}", reply.status, reply.text);
        assert!((200..300).contains(&reply.status), "{what}");
        let answer = self.hold(id, &reply, &what);
        if let (Some(body), Some(kind)) = (body, kind) {
            let content = &self.routes[id].operation["requestBody"]["content"][&kind];
            // What is said to be an object and no more is shown by its route's name.
            let name = named(content).unwrap_or_else(|| id.to_owned());
            let validator = validator(&self.document, &content["schema"]);
            let errors: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
            assert_eq!(errors, [""; 0], "what was sent, {what}");
            self.examples.entry(name).or_insert(body);
        }
        answer
    }

    fn hold(&mut self, id: &str, reply: &Reply, what: &str) -> Value {
        let documented = &self.routes[id].operation["responses"][reply.status.to_string()];
        assert!(documented.is_object(), "the document does not know {what}");
        if matches!(reply.status, 201 | 202) {
            assert!(reply.header("location").starts_with("/v1/"), "no Location: {what}");
        }
        let kind = reply.header("content-type").split(';').next().unwrap_or_default().to_owned();
        let as_it_came = !documented["content"]["*/*"].is_null();
        let content = &documented["content"][if as_it_came { "*/*" } else { &kind }];
        assert!(content.is_object(), "{kind} is not in the document: {what}");
        self.called.insert(id.to_owned());
        if kind != "application/json" || as_it_came {
            return Value::Null;
        }
        let value = reply.json();
        let validator = validator(&self.document, &content["schema"]);
        let errors: Vec<_> =
            validator.iter_errors(&value).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert_eq!(errors, [""; 0], "{what}");
        if let Some(name) = named(content) {
            // The fullest says most.
            let held = self.examples.entry(name).or_insert_with(|| value.clone());
            let rows = |value: &Value| value["items"].as_array().map_or(0, Vec::len).min(1);
            if rows(&value) > rows(held) {
                *held = value.clone();
            }
        }
        value
    }
}

/// The same for every run: identifiers, instants and random words are replaced, and long lists cut.
fn plainly(value: &mut Value, seen: &mut HashMap<String, String>) {
    match value {
        Value::String(text) => {
            if uuid::Uuid::parse_str(text).is_ok() {
                let next = seen.len() + 1;
                let other = seen.entry(text.clone()).or_insert_with(|| format!("019a8f6e-0000-7000-8000-{next:012}"));
                text.clone_from(other);
            } else if text.parse::<jiff::Timestamp>().is_ok() {
                "2026-11-21T02:00:00Z".clone_into(text);
            } else {
                for (from, to) in seen.iter() {
                    *text = text.replace(from, to);
                }
            }
        }
        Value::Array(items) => {
            items.truncate(2);
            for item in items {
                plainly(item, seen);
            }
        }
        Value::Object(map) => {
            if map.contains_key("next_page_token") {
                map.insert("next_page_token".to_owned(), json!("q83vEjRWeJASNFZ4kKvN71siIiwiMDE5YSJd"));
            }
            for value in map.values_mut() {
                plainly(value, seen);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_what_the_document_says() {
    let setup = Setup::new(On::Sqlite).with("JIYUE_LISTING_SECONDS", "3600").with_silent_sources(&["room-1"]);
    let broker = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let mut walk = Journey::new(&broker);
    let Cast { authority, operator, auditor, .. } = &cast;

    for id in ["healthz", "metrics", "readyz", "openapi", "ledger"] {
        walk.call(&format!("observability_{id}"), "", auditor, None).await;
    }
    let rule = walk.call("rules_list", "", auditor, None).await["items"][0]["code"].as_str().unwrap().to_owned();
    walk.call("rules_show", &rule, auditor, None).await;
    walk.call("departments_create", "", authority, Some(json!({"code": "wj", "name": "相城区文教局"}))).await;
    walk.call("departments_list", "", authority, None).await;
    walk.call("departments_show", "wj", authority, None).await;
    walk.call("departments_change", "wj", authority, Some(json!({"name": "相城区文化教育局"}))).await;
    let host = json!({"name": "node2", "uri": "simulated:", "zones": [
        {"zone": "government_extranet", "segment": "egov", "bridge": "br0", "cidr": "10.66.0.0/16", "gateway": "10.66.0.1"}]});
    let mut shared = host.clone();
    shared["name"] = json!("node3");
    walk.call("hosts_add", "", operator, Some(host)).await;
    walk.call("hosts_add", "", operator, Some(shared)).await;
    walk.call("hosts_list", "", operator, None).await;
    walk.call("hosts_change", "node2", operator, Some(json!({"capacity": {"vcpu": 500}, "mlps_level": 4}))).await;
    // What follows goes to the hosts that share a network.
    walk.call("hosts_cordon", "sim", operator, None).await;
    walk.call("images_import", "", operator, None).await;
    walk.call("images_list", "", operator, None).await;
    walk.call("images_show", "test-image", operator, None).await;
    walk.call("images_distribute", "test-image", operator, Some(json!({"hosts": ["node2"]}))).await;
    walk.call("images_hosts", "test-image", operator, None).await;
    let mut book = broker::task_book();
    book["number"] = json!("相信任〔2026〕18号");
    walk.call("task_books_import", "", authority, Some(book)).await;
    walk.call("task_books_list", "", authority, None).await;
    walk.call("task_books_show", "相信任〔2026〕17号", authority, None).await;
    walk.call("task_books_revoke", "相信任〔2026〕18号", authority, Some(json!({"reason": "项目终止"}))).await;

    let server = json!({"name": "档案库旧服务器", "department": "mzj", "cores": 8, "memory_bytes": 34_359_738_368_i64,
        "source": "room-1", "instance": "10.2.0.7:9100"});
    let server = walk.call("servers_create", "", operator, Some(server)).await["id"].as_str().unwrap().to_owned();
    walk.call("servers_change", &server, operator, Some(json!({"name": "档案库旧服务器二号", "cores": 16}))).await;
    walk.call("servers_show", &server, operator, None).await;
    walk.call("servers_list", "", auditor, None).await;
    walk.call("usage_of_server", &server, auditor, None).await;
    walk.call("usage_sources", "", operator, None).await;
    let machine = requests(&mut walk, &broker, &cast).await;
    machines(&mut walk, &broker, &cast, &machine).await;
    systems(&mut walk, &cast, &machine).await;
    rooms(&mut walk, &cast).await;
    let imports = crate::disk_imports::over(&broker.setup.database_url).await;
    walk.call("disk_imports_list", "", auditor, None).await;
    walk.call("disk_imports_show", &imports[0], auditor, None).await;
    hosts(&mut walk, &broker, &cast, &machine).await;
    walk.call("observability_audit_records", "", auditor, None).await;
    walk.call("events_list", "", auditor, None).await;

    let elsewhere: BTreeSet<_> = ELSEWHERE.iter().map(|(id, _)| (*id).to_owned()).collect();
    let all: BTreeSet<_> = walk.routes.keys().cloned().collect();
    assert_eq!(walk.called.union(&elsewhere).cloned().collect::<BTreeSet<_>>(), all, "every route is walked");
    if std::env::var_os("WRITE_EXAMPLES").is_some() {
        write(walk.examples);
    }
}

/// Every way that a request can go; answers the machine of the one that was built.
async fn requests(walk: &mut Journey, broker: &Broker, cast: &Cast) -> String {
    let Cast { authority, operator, requester, .. } = cast;
    let mut requests = Vec::new();
    walk.call("requests_check", "", requester, Some(broker::request())).await;
    for n in 0..5 {
        let mut block = broker::request();
        block["域名"] = json!(format!("walk{n}.xiangcheng.example"));
        block["申请虚拟机数量"] = json!(1);
        let made = walk.call("requests_submit", "", requester, Some(block)).await;
        requests.push(made["items"][0]["id"].as_str().unwrap().to_owned());
    }
    walk.call("requests_original", &requests[0], requester, None).await;
    walk.call("hosts_explain", "", operator, Some(json!({"request": requests[0]}))).await;
    let approved = walk.call("requests_approve", &requests[0], authority, Some(json!({"comment": "同意"}))).await;
    broker.finished(approved["id"].as_str().unwrap(), authority, LIMIT).await;
    walk.call("requests_return", &requests[1], authority, Some(json!({"reason": "材料不全"}))).await;
    walk.call("requests_approve_many", "", authority, Some(json!({"ids": [requests[2]], "comment": "同意"}))).await;
    walk.call("requests_return_many", "", authority, Some(json!({"ids": [requests[3]], "reason": "材料不全"}))).await;
    walk.call("requests_cancel", &requests[4], requester, Some(json!({"reason": "不再需要"}))).await;
    walk.call("requests_list", "", requester, None).await;
    let shown = walk.call("requests_show", &requests[0], requester, None).await;
    shown["machines"][0]["id"].as_str().unwrap().to_owned()
}

/// Every act on a machine, but its rebuilding.
async fn machines(walk: &mut Journey, broker: &Broker, cast: &Cast, machine: &str) {
    let Cast { authority, operator, requester, .. } = cast;
    let home = walk.call("machines_show", machine, requester, None).await;
    walk.call("machines_list", "", requester, None).await;
    walk.call("machines_change", machine, requester, Some(json!({"om_unit": "区民政局信息中心 0512-00000000"}))).await;
    walk.call("machines_log", machine, requester, None).await;
    walk.call("usage_of_machine", machine, requester, None).await;
    walk.call("usage_list", "", requester, None).await;
    walk.call("usage_import", machine, operator, None).await;
    // Its life before today, so that there is something to judge.
    let beside = crate::report::Beside::new(&broker.setup).await;
    let yesterday = jiyue::time::Clock::System.today().yesterday().unwrap();
    crate::report::lived(&beside.db, machine, yesterday, 40, 0.4, 50.0).await;
    walk.call("reports_idle", "", requester, None).await;
    walk.call("reports_list", "", requester, None).await;
    walk.call("verdicts_list", "", requester, None).await;
    walk.call("verdicts_of_machine", machine, requester, None).await;
    walk.call("verdicts_advice", "", requester, None).await;
    let until = yesterday.checked_add(jiff::ToSpan::days(90)).unwrap();
    let agreement = json!({"until": until, "reason": "系统已停用"});
    walk.call("verdicts_agree", machine, requester, Some(agreement)).await;
    walk.call("verdicts_withdraw", machine, requester, None).await;
    let size = json!({"vcpu": 3, "memory_bytes": home["memory_bytes"]});
    for (id, token, body) in [
        ("machines_stop", requester, None),
        ("machines_start", requester, None),
        ("machines_reboot", requester, None),
        ("machines_resize", authority, Some(size)),
        ("machines_migrate", operator, Some(json!({}))),
        ("machines_delete", requester, None),
        ("machines_restore", requester, None),
    ] {
        let operation = walk.call(id, machine, token, body).await;
        let done = broker.finished(operation["id"].as_str().unwrap(), authority, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{id}: {done:#}");
    }
    let until = home["lease_end"].as_str().unwrap().parse::<jiff::civil::Date>().unwrap().tomorrow().unwrap();
    walk.call("machines_extend", machine, authority, Some(json!({"lease_end": until}))).await;
    let operations = walk.call("operations_list", "", requester, None).await;
    let operation = operations["items"][0]["id"].as_str().unwrap().to_owned();
    walk.call("operations_show", &operation, requester, None).await;
}

/// A system, its machines, and every way that a finding can go.
async fn systems(walk: &mut Journey, cast: &Cast, machine: &str) {
    let Cast { authority, operator, requester, .. } = cast;
    let facts = json!({"name": "低保审批系统", "purpose": "低保申请的受理与审批", "department": "mzj", "scope": "office",
        "frequency": "rarely", "last_updated_on": "2020-06-30", "maintained_until": "2020-12-31",
        "last_login_on": "2021-03-01", "replaced_by": "民政一体化平台"});
    let made = walk.call("systems_create", "", requester, Some(facts)).await;
    let system = made["id"].as_str().unwrap().to_owned();
    let machines = json!({"machines": [machine], "requests": []});
    walk.call("systems_attach", &system, requester, Some(machines.clone())).await;
    walk.call("systems_show", &system, requester, None).await;
    walk.call("systems_list", "", requester, None).await;
    let judged = walk.call("systems_judge", &system, operator, None).await;
    let finding = judged["finding"]["id"].as_str().unwrap().to_owned();
    let due = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let due = due.saturating_add(jiff::Span::new().days(30));
    let exemption = json!({"until": due, "evidence": "区审计局来函：审计期间保留数据"});
    let reply = json!({"answer": "replaced", "reason": "2025 年起停用", "replaced_by": "民政一体化平台",
        "holds": ["unmaintained"], "denies": []});
    let decision = json!({"reason": "已由其他系统替代，单位认可"});
    for (id, token, body) in [
        ("zombie_findings_ask", operator, json!({"due_on": due})),
        ("zombie_findings_reply", requester, reply),
        ("zombie_findings_confirm", authority, decision.clone()),
        ("zombie_findings_file", authority, json!({"number": "相信清〔2026〕3号"})),
    ] {
        walk.call(id, &finding, token, Some(body)).await;
    }
    walk.call("zombie_findings_sheet", &finding, authority, None).await;
    walk.call("zombie_findings_show", &finding, requester, None).await;
    walk.call("zombie_findings_list", "", requester, None).await;
    walk.call("systems_change", &system, requester, Some(json!({"frequency": "yearly"}))).await;
    walk.call("systems_detach", &system, requester, Some(machines)).await;
    let other = json!({"name": "老年证系统", "purpose": "老年证办理", "replaced_by": "民政一体化平台"});
    let other = walk.call("systems_create", "", requester, Some(other)).await;
    let judged = walk.call("systems_judge", other["id"].as_str().unwrap(), operator, None).await;
    let other = judged["finding"]["id"].as_str().unwrap().to_owned();
    walk.call("zombie_findings_exempt", &other, authority, Some(exemption)).await;
    walk.call("zombie_findings_dismiss", &other, authority, Some(decision)).await;
}

/// A small district: one of its systems moves, one stays, and a room is closed and opened again.
async fn rooms(walk: &mut Journey, cast: &Cast) {
    let Cast { authority, operator, requester, .. } = cast;
    let shown = walk.call("rooms_import", "?name=survey.xlsx", operator, None).await;
    let apply = format!("?name=survey.xlsx&apply={}", shown["digest"].as_str().unwrap());
    walk.call("rooms_import", &apply, operator, None).await;
    walk.call("rooms_list", "", requester, None).await;
    walk.call("rooms_export", "", requester, None).await;
    let rooms = walk.call("rooms_list", "", authority, None).await;
    let room = |kind: &str| {
        let rooms = rooms["items"].as_array().unwrap().iter();
        let mine = rooms.filter(|room| room["department"]["code"] == "mzj");
        mine.clone().find(|room| room["kind"] == kind).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (old, access) = (room("ordinary"), room("access"));
    let shown = walk.call("rooms_show", &old, requester, None).await;
    let systems: Vec<String> =
        shown["systems"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
    let evidence = "评估表 2026-11-20";
    let assess = json!({"step": "assess", "evidence": evidence, "difficulty": 4});
    walk.call("systems_advance", &systems[0], operator, Some(assess)).await;
    let fate = json!({"disposition": "rebuild", "reason": "架构过时，按云上规范重写"});
    walk.call("systems_decide", &systems[0], authority, Some(fate)).await;
    let until = jiyue::time::Clock::System.today().checked_add(jiff::ToSpan::days(90)).unwrap();
    let stay = json!({"until": until, "evidence": "现场生产作业，区经信局来函"});
    walk.call("systems_exempt", &systems[1], authority, Some(stay)).await;
    waves(walk, cast, &systems[0]).await;
    walk.call("systems_show_move", &systems[0], requester, None).await;
    // The room with no system in it goes all the way.
    for gate in ["servers_off", "equipment_disposed", "network_cut"] {
        let proof = json!({"gate": gate, "evidence": "下电记录 2026-11-20，现场照片 12 张"});
        walk.call("rooms_record", &access, operator, Some(proof)).await;
    }
    let comment = json!({"comment": "现场核验，同意关停"});
    walk.call("rooms_sign", &access, requester, Some(comment.clone())).await;
    walk.call("rooms_sign", &access, authority, Some(comment)).await;
    walk.call("rooms_reopen", &access, authority, Some(json!({"reason": "省厅来函，保留至年底"}))).await;
    walk.call("reports_rooms", "", authority, None).await;
    walk.call("reports_capacity", "", authority, None).await;
    walk.call("deadlines_list", "", requester, None).await;
    walk.call("deadlines_meet", "jiangsu-2017-5", authority, Some(json!({"evidence": "清理报告 2026-06-20"}))).await;
}

/// A wave of one system, what that asks of the cloud, and days on which nothing is cut over.
async fn waves(walk: &mut Journey, cast: &Cast, system: &str) {
    let Cast { authority, operator, requester, .. } = cast;
    let blackout = json!({"department": "mzj", "from": "2031-03-01", "to": "2031-03-06", "reason": "两会保障"});
    let blackout = walk.call("waves_create_blackout", "", operator, Some(blackout)).await;
    walk.call("waves_blackouts", "", requester, None).await;
    let member = json!({"system": system, "trigger": "upgrade", "node_on": "2031-06-30"});
    let wave = json!({"name": "第一批", "window_from": "2031-03-05", "window_to": "2031-03-07", "note": "先易后难",
        "systems": [member]});
    let wave = walk.call("waves_create", "", authority, Some(wave)).await["id"].as_str().unwrap().to_owned();
    walk.call("waves_list", "", authority, None).await;
    walk.call("waves_check", &wave, authority, None).await;
    walk.call("waves_show", &wave, operator, None).await;
    let block = json!({"操作系统类型": "Debian 12", "数据库类型": "无", "无域名理由": "仅供本单位内部调用",
        "network_zone": "政务外网", "运维周期": "3年", "om_unit": {"name": "区民政局信息中心", "contact": "0512-00000000"},
        "ssh_keys": broker::request()["ssh_keys"], "mlps_level": 2});
    let servers: Vec<Value> = ["旧服务器1", "旧服务器2"]
        .into_iter()
        .map(|server| {
            json!({"server": server, "vcpu": 1, "memory_bytes": 134_217_728, "disk_bytes": 2_147_483_648_i64,
            "reason": "新装采集不到一个月"})
        })
        .collect();
    let mut body = json!({"task_book": "相信任〔2026〕17号", "block": block, "servers": [], "dry_run": true});
    let shown = walk.call("waves_request", system, requester, Some(body.clone())).await;
    let mine: BTreeSet<&str> =
        shown["sizes"].as_array().unwrap().iter().map(|size| size["server"].as_str().unwrap()).collect();
    body["servers"] = servers.into_iter().filter(|one| mine.contains(one["server"].as_str().unwrap())).collect();
    body["dry_run"] = json!(false);
    walk.call("waves_request", system, requester, Some(body)).await;
    walk.call("waves_change", &wave, authority, Some(json!({"window_from": "2031-03-06"}))).await;
    walk.call("waves_delete", &wave, authority, None).await;
    walk.call("waves_delete_blackout", blackout["id"].as_str().unwrap(), operator, None).await;
}

/// Every act on a host, and what is done with a machine that lost its own.
async fn hosts(walk: &mut Journey, broker: &Broker, cast: &Cast, machine: &str) {
    let Cast { authority, operator, .. } = cast;
    let url = &broker.setup.database_url;
    let now = walk.call("machines_show", machine, operator, None).await;
    let on = now["host"].as_str().unwrap().to_owned();
    walk.call("hosts_drain", &on, operator, None).await;
    walk.call("hosts_cancel_drain", &on, operator, None).await;
    walk.call("hosts_uncordon", &on, operator, None).await;
    let alarm = uuid::Uuid::now_v7();
    plain::run(
        url,
        &format!(
            "insert into alarms (id, host_id, kind, domain_id, name, detail, first_seen_at, last_seen_at) \
         select '{alarm}', id, 'foreign', '9a1d', 'test-vm', '不是集约建的', 1, 1 from hosts where name = 'sim'"
        ),
    )
    .await
    .unwrap();
    walk.call("alarms_list", "", operator, None).await;
    walk.call("alarms_show", &alarm.to_string(), operator, None).await;
    walk.call("alarms_acknowledge", &alarm.to_string(), operator, None).await;

    // The draining may have begun to move it before it was called off.
    let began = Instant::now();
    let on = loop {
        let now = broker.get(&format!("/v1/machines/{machine}"), operator).await.expect(200);
        if now["operation_id"].is_null() {
            break now["host"].as_str().unwrap().to_owned();
        }
        assert!(began.elapsed() < LIMIT, "{now:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };

    // Its host and an empty one are lost and proven to be off: it is built elsewhere, and the empty one comes back.
    let empty = if on == "sim" { "node2" } else { "sim" };
    for host in [on.as_str(), empty] {
        let lost = format!("update hosts set contact = 'unknown', contact_since = 1 where name = '{host}'");
        plain::run(url, &lost).await.unwrap();
        let word = json!({"name": host, "reason": "现场拔了电源"});
        walk.call("hosts_confirm_fenced", host, operator, Some(word)).await;
    }
    let operation = walk.call("machines_rebuild", machine, operator, None).await;
    let done = broker.finished(operation["id"].as_str().unwrap(), authority, LIMIT).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    walk.call("hosts_readmit", empty, operator, None).await;
    walk.call("hosts_show", &on, operator, None).await;
}

fn write(mut examples: BTreeMap<String, Value>) {
    let held: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let mut seen = HashMap::new();
    for example in examples.values_mut() {
        plainly(example, &mut seen);
    }
    // What no journey gives was written by hand.
    for (name, example) in held {
        examples.entry(name).or_insert(example);
    }
    std::fs::write(FILE, serde_json::to_string_pretty(&examples).unwrap() + "\n").unwrap();
}

#[test]
fn every_body_has_an_example_that_fits_its_schema() {
    let document = document();
    let (mut without, mut shown) = (Vec::new(), BTreeSet::new());
    for route in routes(&document) {
        let responses = route.operation["responses"].as_object().unwrap();
        let bodies = responses.iter().chain(
            [("the body", &route.operation["requestBody"])]
                .map(|(a, b)| (Box::leak(Box::new(a.to_owned())) as &String, b)),
        );
        for (place, body) in bodies {
            for (kind, content) in
                body["content"].as_object().into_iter().flatten().filter(|(kind, _)| kind.contains("json"))
            {
                let what = format!("{} {} {place} {kind}", route.method, route.path);
                if route.path == "/v1/openapi.json" {
                    continue;
                }
                let Some(example) = content.get("example") else {
                    without.push(what);
                    continue;
                };
                let errors: Vec<_> =
                    validator(&document, &content["schema"]).iter_errors(example).map(|e| e.to_string()).collect();
                assert_eq!(errors, [""; 0], "{what}: {example:#}");
                shown.insert(
                    named(content).unwrap_or_else(|| route.operation["operationId"].as_str().unwrap().to_owned()),
                );
            }
        }
    }
    assert_eq!(without, [""; 0], "bodies without an example");
    let held: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    // Said of every route, and so under no schema's name.
    let held: BTreeSet<_> = held.keys().filter(|name| *name != "Unavailable").cloned().collect();
    assert_eq!(held, shown, "examples that nothing shows");
}
