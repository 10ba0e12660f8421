//! Whatever is sent: an answer that names the field and the mend, never a fault of ours, and nothing stored.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
    raw::{Raw, Reply},
};
use jiyue::{jurisdiction::Profile, request::fields::FIELDS, rule::Code};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

struct Stage {
    broker: Broker,
    raw: Raw,
    cast: Cast,
    url: String,
}

impl Stage {
    async fn new(on: On) -> Self {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let (raw, url) = (Raw::new(&broker), broker.setup.database_url.clone());
        Self { broker, raw, cast, url }
    }

    async fn check(&self, block: &Value) -> Reply {
        self.raw.json("/v1/requests/check", &self.cast.requester, block).await
    }
}

/// A document's route, whose token, and a document that is read in full and then refused by the state of things.
struct Target {
    path: String,
    token: String,
    base: Value,
}

async fn targets(stage: &Stage) -> Vec<Target> {
    let cast = &stage.cast;
    let made = stage.broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let request = made["items"][0]["id"].as_str().unwrap();
    stage.broker.post(&format!("/v1/requests/{request}/cancel"), &cast.requester, &json!({})).await.expect(200);
    let mut revoked = broker::task_book();
    revoked["number"] = json!("相信任〔2026〕18号");
    stage.broker.post("/v1/task-books", &cast.authority, &revoked).await.expect(201);
    let revoke = "/v1/task-books/相信任〔2026〕18号/revoke";
    stage.broker.post(revoke, &cast.authority, &json!({"reason": "项目终止"})).await.expect(200);
    let mut homeless = broker::task_book();
    homeless["number"] = json!("相信任〔2026〕19号");
    homeless["department"] = json!("nobody");
    let mut bookless = broker::request();
    bookless["任务书编号"] = json!("相信任〔1999〕1号");
    let host = json!({"name": "sim", "uri": "simulated:", "pool": "jiyue", "pool_path": "/p", "vcpu_overcommit": 4,
        "memory_reserve_bytes": 0, "zones": [{"zone": "internet", "network": "n", "bridge": "b", "cidr": "10.0.0.0/24"}]});
    let target = |path: &str, token: &str, base: Value| Target { path: path.to_owned(), token: token.to_owned(), base };
    vec![
        target("/v1/departments", &cast.authority, json!({"code": "mzj", "name": "某单位"})),
        target("/v1/task-books", &cast.authority, homeless),
        target(revoke, &cast.authority, json!({"reason": "再次撤销"})),
        target("/v1/hosts", &cast.operator, host),
        target("/v1/requests/check", &cast.requester, bookless.clone()),
        target("/v1/requests", &cast.requester, bookless),
        target(&format!("/v1/requests/{request}/approve"), &cast.authority, json!({"comment": "同意"})),
        target(&format!("/v1/requests/{request}/return"), &cast.authority, json!({"reason": "材料不全"})),
        target(&format!("/v1/requests/{request}/cancel"), &cast.requester, json!({"reason": "不再需要"})),
    ]
}

/// JSON pointers of every field of a document, nested ones too.
fn fields(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in children {
        let pointer = format!("{at}/{key}");
        fields(value, &pointer, found);
        found.push(pointer);
    }
}

/// What no field takes, as JSON text.
fn odd_values() -> Vec<String> {
    let mut values: Vec<_> = [
        "-1",
        "0",
        "2147483648",
        "9007199254740992",
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "1.5",
        "-0.0",
        "true",
        "null",
        "[]",
        "{}",
        "[[[[]]]]",
        "\"\"",
        "\"\\u0000\"",
        "\"甲\\u202e乙\"",
        "\"\\u0007\"",
        "\"\\ud800\"",
        "\"' or 1=1 --\"",
        "\"<a>&#x0;]]>\"",
        "\"${jndi:x}{authority}{\"",
        "\"1E400\"",
        "\"-1 GiB\"",
        "\"9223372036854775807 TiB\"",
        "\"٣\"",
        "\"..\\/..\\/etc\\/passwd\"",
    ]
    .map(str::to_owned)
    .into();
    values.push(format!("\"{}\"", "长".repeat(5000)));
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn no_odd_value_in_any_field_of_any_document_is_stored_or_makes_us_fail() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let targets = targets(&stage).await;
        let before = plain::counts(&stage.url, plain::TABLES).await;
        let mut tried = 0;
        for Target { path, token, base } in &targets {
            let mut pointers = Vec::new();
            fields(base, "", &mut pointers);
            for pointer in &pointers {
                for (n, odd) in odd_values().into_iter().enumerate() {
                    // Text is the same to all routes; what PostgreSQL minds more than SQLite is tried on both.
                    if on == On::Postgres && n % 3 != 0 && !odd.contains("\\u") {
                        continue;
                    }
                    // Put in as text, because some of it is no value that JSON can hold.
                    let mut document = base.clone();
                    *document.pointer_mut(pointer).unwrap() = json!("@@");
                    let body = document.to_string().replace("\"@@\"", &odd);
                    let reply = stage.raw.post(path, token, "application/json", body).await;
                    assert!(reply.status < 500 && reply.status >= 400, "{on:?} {path} {pointer} = {odd}: {reply:?}");
                    reply.problem();
                    // What only a document of its own type can hold is named by its field.
                    if odd == "{}" && reply.status == 400 {
                        let name = pointer.split('/').nth(1).unwrap();
                        assert!(reply.text.contains(name), "{on:?} {path} {pointer} = {odd}: {}", reply.text);
                    }
                    tried += 1;
                }
            }
        }
        println!("{on:?}: {tried} documents");
        assert!(tried > 1000, "{tried}");
        assert_eq!(plain::counts(&stage.url, plain::TABLES).await, before, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_read_is_refused_with_its_place() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let targets = targets(&stage).await;
        let before = plain::counts(&stage.url, plain::TABLES).await;
        let deep = "[".repeat(100_000);
        let aliases = "a: &a [x,x,x]\nb: *a\n";
        let many = format!("{{\"reason\": \"{}\"}}", "x".repeat(1 << 20));
        let json = "application/json";
        for Target { path, token, base } in &targets {
            let cases: &[(&str, Vec<u8>, u16)] = &[
                (json, b"{".to_vec(), 400),
                (json, b"nonsense".to_vec(), 400),
                (json, b"{} {}".to_vec(), 400),
                (json, b"\xff\xfe{}".to_vec(), 400),
                (json, deep.clone().into_bytes(), 400),
                (json, many.clone().into_bytes(), 413),
                ("text/plain", base.to_string().into_bytes(), 415),
                ("application/xml", b"<a/>".to_vec(), 415),
                // Reports come as files too.
                (
                    "multipart/form-data; boundary=x",
                    b"--x--".to_vec(),
                    if path.ends_with("/check") || *path == "/v1/requests" { 400 } else { 415 },
                ),
                ("application/yaml", aliases.as_bytes().to_vec(), 400),
                ("application/yaml", b"a: [1,\n".to_vec(), 400),
                ("application/yaml", b"a: 1\n---\nb: 2\n".to_vec(), 400),
                ("text/yaml; charset=utf-8", b"!!python/object:os.system ls".to_vec(), 400),
            ];
            for (kind, body, status) in cases {
                let reply = stage.raw.post(path, token, kind, body.clone()).await;
                let start = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
                assert_eq!(reply.status, *status, "{on:?} {path} {kind} {start}: {reply:?}");
                reply.problem();
            }
            for body in ["[]", "\"text\"", "1", "null", "[{}]"] {
                let reply = stage.raw.post(path, token, json, body).await;
                assert!(matches!(reply.status, 400 | 422), "{on:?} {path} {body}: {reply:?}");
                reply.problem();
            }
            // A field that does not exist, and one given twice.
            let mut stray = base.clone();
            stray["is_admin"] = json!(true);
            let reply = stage.raw.json(path, token, &stray).await;
            assert!(matches!(reply.status, 400 | 422), "{on:?} {path}: {reply:?}");
            reply.problem();
            assert!(reply.text.contains("is_admin"), "{on:?} {path}: {}", reply.text);
            let (key, value) = base.as_object().unwrap().iter().next().unwrap();
            let twice = base.to_string().replacen('{', &format!("{{\"{key}\": {value}, "), 1);
            let reply = stage.raw.post(path, token, json, twice).await;
            assert!(matches!(reply.status, 400 | 422), "{on:?} {path} {key} twice: {reply:?}");
            reply.problem();
        }
        // An image's body is any bytes; what is said about it stands in the query.
        for (query, status) in [
            ("", 400),
            ("?name=a", 400),
            ("?name=a&os_type=debian-12&x=1", 400),
            ("?name=a&os_type=debian-12&stand_in=maybe", 400),
            ("?name=%00&os_type=debian-12", 400),
            ("?name=&os_type=debian-12", 400),
            ("?name=a%0Ab&os_type=debian-12", 400),
            ("?name=a&os_type=Windows%20XP", 422),
            ("?name=a&os_type=%00", 400),
            ("?name=other&os_type=debian-12", 409),
            ("?name=test-image&os_type=debian-12&stand_in=true", 422),
        ] {
            let body = if status == 422 { b"short".to_vec() } else { broker::raw_image() };
            let reply = stage.raw.post(&format!("/v1/images{query}"), &stage.cast.operator, "image/x", body).await;
            assert_eq!(reply.status, status, "{on:?} {query}: {reply:?}");
            reply.problem();
        }
        assert_eq!(plain::counts(&stage.url, plain::TABLES).await, before, "{on:?}");
        let left: Vec<_> = std::fs::read_dir(stage.broker.setup.folder.join("images")).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{on:?}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_id_in_a_path_or_query_is_refused_and_finds_nothing() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let odd = [
            "%00",
            "%FF",
            "a%00b",
            "'%20or%201=1",
            "%E2%80%AE",
            "..%2F..%2Fetc",
            "-1",
            "%25",
            "00000000-0000-0000-0000-000000000000",
        ];
        let long = "x".repeat(5000);
        for id in odd.into_iter().chain([long.as_str()]) {
            for (method, path, token) in [
                ("GET", "/v1/requests/{id}", &stage.cast.authority),
                ("GET", "/v1/machines/{id}", &stage.cast.authority),
                ("GET", "/v1/machines/{id}/log", &stage.cast.operator),
                ("GET", "/v1/operations/{id}", &stage.cast.authority),
                ("GET", "/v1/hosts/{id}", &stage.cast.authority),
                ("GET", "/v1/task-books/{id}", &stage.cast.authority),
                ("POST", "/v1/task-books/{id}/revoke", &stage.cast.authority),
                ("POST", "/v1/requests/{id}/approve", &stage.cast.authority),
                ("POST", "/v1/requests/{id}/cancel", &stage.cast.requester),
                ("POST", "/v1/machines/{id}/stop", &stage.cast.requester),
            ] {
                let bearer = format!("Bearer {token}");
                let body = (method == "POST").then(|| json!({"reason": "原因"}).to_string().into_bytes());
                let body = if path.ends_with("approve") { Some(b"{}".to_vec()) } else { body };
                let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                let reply = stage.raw.send(method.parse().unwrap(), &path.replace("{id}", id), &headers, body).await;
                assert!(matches!(reply.status, 400 | 404), "{on:?} {method} {path} {id}: {reply:?}");
                reply.problem();
            }
        }
        for (path, token) in [
            ("/v1/requests", &stage.cast.authority),
            ("/v1/machines", &stage.cast.authority),
            ("/v1/operations", &stage.cast.authority),
            ("/v1/task-books", &stage.cast.authority),
            ("/v1/departments", &stage.cast.authority),
            ("/v1/hosts", &stage.cast.operator),
            ("/v1/audit-records", &stage.cast.auditor),
        ] {
            for query in [
                "page_size=0",
                "page_size=201",
                "page_size=-1",
                "page_size=abc",
                "page_size=1.5",
                "page_size=9223372036854775808",
                "page_size=",
                "page_size=1&page_size=2",
                "unknown=1",
                "page_size=%00",
            ] {
                let reply = stage.raw.get(&format!("{path}?{query}"), token).await;
                assert_eq!(reply.status, 400, "{on:?} {path}?{query}: {reply:?}");
                reply.problem();
            }
            if path != "/v1/audit-records" {
                for token_text in
                    ["", "x", "%00", "AAAA", "ffffffff-ffff-ffff-ffff-ffffffffffff", "%F0%9F%98%80", &"A".repeat(4000)]
                {
                    let reply = stage.raw.get(&format!("{path}?page_token={token_text}"), token).await;
                    assert_eq!(reply.status, 400, "{on:?} {path} {token_text}: {reply:?}");
                    assert!(reply.text.contains("page_token"), "{}", reply.text);
                    reply.problem();
                }
            }
        }
        for path in [
            "/v1/requests?state=open",
            "/v1/machines?state=%00",
            "/v1/machines?request_id=%00",
            "/v1/audit-records?before=x",
        ] {
            let reply = stage.raw.get(path, &stage.cast.auditor).await;
            assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"), "{on:?} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn walking_all_pages_gives_each_item_once() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let cast = &stage.cast;
        for n in 0..7 {
            let mut block = broker::request();
            block["域名"] = json!(format!("app{n}.xiangcheng.example"));
            block["申请虚拟机数量"] = json!(1);
            let made = stage.broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
            let path = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().unwrap());
            let operation = stage.broker.post(&path, &cast.authority, &json!({})).await.expect(202);
            stage.broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(20)).await;
            stage.broker.simulated_host(cast, &format!("sim{n}")).await;
            let mut book = broker::task_book();
            book["number"] = json!(format!("相信任〔2026〕{}号", 100 + n));
            stage.broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
            let department = json!({"code": format!("d{n}"), "name": format!("单位{n}")});
            stage.broker.post("/v1/departments", &cast.authority, &department).await.expect(201);
        }
        for (path, token, rows) in [
            ("/v1/requests", &cast.requester, 7),
            ("/v1/machines", &cast.requester, 7),
            ("/v1/operations", &cast.authority, 7),
            ("/v1/hosts", &cast.operator, 8),
            ("/v1/task-books", &cast.authority, 8),
            ("/v1/departments", &cast.auditor, 9),
        ] {
            for size in [1, 3, 7, 200] {
                let (mut seen, mut next) = (Vec::new(), String::new());
                loop {
                    let page = stage.broker.get(&format!("{path}?page_size={size}{next}"), token).await.expect(200);
                    let items = page["items"].as_array().unwrap();
                    assert!(items.len() <= size && (page["next_page_token"].is_null() || items.len() == size));
                    seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
                    match page["next_page_token"].as_str() {
                        Some(token) => next = format!("&page_token={token}"),
                        None => break,
                    }
                }
                let once: BTreeSet<_> = seen.iter().collect();
                assert_eq!((seen.len(), once.len()), (rows, rows), "{on:?} {path} by {size}");
                let sorted = seen.is_sorted() || seen.iter().rev().is_sorted();
                assert!(sorted, "{on:?} {path}: {seen:?}");
            }
        }
    }
}

/// A change to the sample request, and the one violation that follows.
const RULES: &[(&str, &str, &str, &str)] = &[
    ("任务书编号", "null", "/task_book", "task_book_missing"),
    ("任务书编号", "\"相信任〔1999〕1号\"", "/task_book", "task_book_not_found"),
    ("任务书编号", "\"foreign\"", "/task_book", "task_book_not_found"),
    ("任务书编号", "\"future\"", "/task_book", "task_book_not_yet_valid"),
    ("任务书编号", "\"past\"", "/task_book", "task_book_expired"),
    ("任务书编号", "\"revoked\"", "/task_book", "task_book_revoked"),
    ("申请虚拟机数量", "11", "/vm_count", "machines_over_indicator"),
    ("cpu数量", "11", "/cpu_count", "vcpu_over_indicator"),
    ("内存容量", "\"21 GiB\"", "/memory", "memory_over_indicator"),
    ("磁盘空间", "\"251 GiB\"", "/disk", "disk_over_indicator"),
    ("secrecy_level", "\"秘密\"", "/secrecy_level", "secrecy_refused"),
    ("secrecy_level", "null", "/secrecy_level", "required"),
    ("network_zone", "\"政务内网\"", "/network_zone", "intranet_refused"),
    ("network_zone", "\"互联网\"", "/network_zone", "zone_not_in_task_book"),
    ("域名", "\"oa_x.xiangcheng.example\"", "/domain", "domain_malformed"),
    ("域名", "\"oa.example.com\"", "/domain", "domain_outside_district"),
    ("域名", "\"taken.xiangcheng.example\"", "/domain", "domain_taken"),
    ("域名", "null", "/domain", "domain_reason_missing"),
    ("操作系统类型", "\"Windows XP\"", "/os_type", "os_not_in_catalogue"),
    ("操作系统类型", "\"Debian 13\"", "/os_type", "os_not_in_task_book"),
    ("操作系统类型", "\"CentOS 7.9\"", "/os_type", "os_end_of_life"),
    ("数据库类型", "\"MySQL 5.6\"", "/db_type", "database_end_of_life"),
    ("运维周期", "\"10年\"", "/om_period_months", "lease_beyond_task_book"),
    ("申请依据", "\"紧急项目\"", "/government_approval", "urgent_approval_missing"),
    ("申请依据", "\"上级统筹项目\"", "/upper_level_filing", "upper_filing_missing"),
    ("cpu数量", "\"2-4核\"", "/cpu_count", "quantity_is_range"),
    ("cpu数量", "\"每台1核，共4核\"", "/cpu_count", "totals_disagree"),
    ("机房建设内容", "\"改造三楼机房\"", "/machine_room_works", "machine_room_refused"),
    ("数据存储量预测", "\"500G\"", "/storage_forecast", "disk_unlike_forecast"),
    ("附件1 数据库类型", "\"PostgreSQL 15\"", "/db_type", "database_unlike_application"),
    ("数据库类型", "\"Oracle\"", "/db_type", "database_not_in_catalogue"),
    ("mlps_level", "4", "/mlps_level", "mlps_not_in_task_book"),
    ("deploy_milestone", "null", "/deploy_milestone", "milestone_missing"),
    ("deploy_milestone", "\"2020-01-01\"", "/deploy_milestone", "milestone_past"),
    ("basis", "null", "/basis", "basis_unclear"),
    ("内存容量", "128", "/memory", "unit_missing"),
    ("备注", "\"a\\u202eb\"", "/remarks", "text_refused"),
    ("ssh_keys", "[\"x\"]", "/ssh_keys/0", "ssh_key_refused"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_bites_through_the_api_with_its_basis_and_all_bite_at_once() {
    let profile = Profile::embedded("xiangcheng").unwrap();
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        for (number, change) in [
            ("future", json!({"valid_from": "2099-01-01", "valid_until": "2099-12-31"})),
            ("past", json!({"valid_from": "2020-01-01", "valid_until": "2020-12-31"})),
            ("revoked", json!({})),
            ("foreign", json!({"department": "jyj"})),
        ] {
            let mut book = broker::task_book();
            book["number"] = json!(number);
            book["lease_until"] = json!("2099-12-31");
            book.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            stage.broker.post("/v1/task-books", &stage.cast.authority, &book).await.expect(201);
        }
        let revoke = "/v1/task-books/revoked/revoke";
        stage.broker.post(revoke, &stage.cast.authority, &json!({"reason": "年内未启动"})).await.expect(200);
        let mut holder = broker::request();
        holder["域名"] = json!("taken.xiangcheng.example");
        holder["运行内容"] = json!("占用域名的申请");
        stage.broker.post("/v1/requests", &stage.cast.requester, &holder).await.expect(201);
        let before = plain::counts(&stage.url, plain::TABLES).await;
        for (field, value, pointer, code) in RULES {
            let mut block = broker::request();
            block[field] = serde_json::from_str(value).unwrap();
            for path in ["/v1/requests/check", "/v1/requests"] {
                let reply = stage.raw.json(path, &stage.cast.requester, &block).await;
                assert_eq!(reply.problem(), "rules_violated", "{on:?} {field} = {value}");
                assert_eq!(
                    reply.violations(),
                    [((*pointer).to_owned(), (*code).to_owned())],
                    "{on:?} {field} = {value}"
                );
                let violation = &reply.json()["errors"][0];
                let basis = profile.basis_at(Code::find(code).unwrap(), pointer);
                assert_eq!(violation["basis"], basis, "{on:?} {code}");
                assert!(basis == "依据：平台规则" || basis.contains('〔'), "{basis}");
                assert!(violation["mend"].as_str().is_some_and(|mend| mend.ends_with('。')), "{violation:#}");
            }
        }
        // The numbers of an indicator, and the clause of the first rule of all, word for word.
        let mut block = broker::request();
        block["cpu数量"] = json!(11);
        block["任务书编号"] = json!("相信任〔2026〕17号");
        let over = stage.check(&block).await.json()["errors"][0].clone();
        let numbers = ["asked", "used", "limit", "left", "unit"].map(|key| over[key].clone());
        assert_eq!(numbers, [json!(22), json!(0), json!(20), json!(20), json!("vcpu")], "{on:?}");
        block["任务书编号"] = json!(null);
        let missing = stage.check(&block).await.json()["errors"][0].clone();
        assert_eq!(missing["basis"], "相政办〔2018〕150号 第十五条", "{on:?}");
        // Eight faults, eight violations.
        let mut block = broker::request();
        for (field, value) in [
            ("申请虚拟机数量", json!(11)),
            ("cpu数量", json!(2)),
            ("域名", json!("oa")),
            ("操作系统类型", json!("Windows XP")),
            ("secrecy_level", json!("绝密")),
            ("network_zone", json!("政务内网")),
            ("deploy_milestone", json!(null)),
            ("is_admin", json!(true)),
        ] {
            block[field] = value;
        }
        let found: Vec<_> = stage.check(&block).await.violations().into_iter().map(|(_, code)| code).collect();
        let wanted = [
            "machines_over_indicator",
            "domain_malformed",
            "os_not_in_catalogue",
            "vcpu_over_indicator",
            "intranet_refused",
            "secrecy_refused",
            "milestone_missing",
            "unknown_field",
        ];
        assert_eq!(found, wanted, "{on:?}");
        assert_eq!(plain::counts(&stage.url, plain::TABLES).await, before, "{on:?}");
        // The sample itself is admissible: what was refused was refused for its fault alone.
        assert_eq!(stage.check(&broker::request()).await.status, 200);
        let yaml = include_str!("../../samples/request.yaml");
        let reply = stage.raw.post("/v1/requests/check", &stage.cast.requester, "application/yaml", yaml).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

/// A small generator (xorshift), so that a seed is all there is to a run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.roll(2) == 0),
            2 => json!([0, -1, 1, 2, 64, 1 << 31, 1 << 53, i64::MAX, i64::MIN][self.roll(9)]),
            3 => json!([0.5, -0.0, 1e300, 2.0, 18_446_744_073_709_551_616.0][self.roll(5)]),
            4 => json!(
                (0..self.roll(40))
                    .map(|_| u32::try_from(self.roll(0x11_0000)).ok().and_then(char::from_u32).unwrap_or('甲'))
                    .collect::<String>()
            ),
            5 => json!(
                [
                    "",
                    "2",
                    "16 GiB",
                    "128M",
                    "政务外网",
                    "非涉密",
                    "Debian 12",
                    "3年",
                    "2030-01-01",
                    "无",
                    "total",
                    "２核",
                    "\u{0}"
                ][self.roll(13)]
            ),
            6 => json!(u64::MAX),
            7 => Value::Array((0..self.roll(5)).map(|_| self.value(depth - 1)).collect()),
            _ => Value::Object((0..self.roll(5)).map(|_| (self.key(), self.value(depth - 1))).collect()),
        }
    }

    fn key(&mut self) -> String {
        match self.roll(8) {
            0 => ["name", "contact", "名称", "", "\u{202e}", "a/b~c", "is_admin"][self.roll(7)].to_owned(),
            1 => FIELDS[self.roll(FIELDS.len())].label.to_owned(),
            _ => FIELDS[self.roll(FIELDS.len())].name.to_owned(),
        }
    }

    /// A block of random fields, or the sample with a few fields made random.
    fn block(&mut self) -> Value {
        let mut block = if self.roll(2) == 0 { broker::request() } else { json!({}) };
        for _ in 0..self.roll(12) {
            let (key, value) = (self.key(), self.value(3));
            block[key] = value;
        }
        block
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_random_blocks_are_judged_and_none_makes_us_fail() {
    const SEED: u64 = 0x6a69_7975_6531_3530;
    println!("seed {SEED:#x}");
    for on in On::BOTH {
        let (stage, mut dice) = (Stage::new(on).await, Dice(SEED));
        let before = plain::counts(&stage.url, plain::TABLES).await;
        let mut admissible = 0;
        for n in 0..1000 {
            let block = dice.block();
            let reply = stage.check(&block).await;
            match reply.status {
                200 => admissible += 1,
                400 | 422 => _ = reply.problem(),
                _ => panic!("{on:?} block {n} of seed {SEED:#x}: {reply:?}\n{block:#}"),
            }
        }
        assert!((1..500).contains(&admissible), "{admissible}");
        assert_eq!(plain::counts(&stage.url, plain::TABLES).await, before, "{on:?}");
    }
}
