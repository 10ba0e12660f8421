//! Lists: whole, in order, by the page; and page tokens that nobody can make.

use crate::{
    report::{Beside, lived},
    support::{
        Dice,
        broker::{self, Broker, Cast, On, Setup},
        plain,
        raw::Raw,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiyue::{time::Clock, usage::judging::service::Keep};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// A broker with a few of everything.
async fn stocked(on: On) -> (Broker, Cast, Raw) {
    let broker = Broker::start(Setup::new(on).with_silent_sources(&["room-1", "room-2", "room-3"])).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    for n in 1..4 {
        broker.simulated_host(&cast, &format!("other-{n}")).await;
        let mut server = json!({"name": format!("旧服务器{n}"), "department": if n == 1 { "jyj" } else { "mzj" }});
        server["source"] = json!(format!("room-{}", 1 + n % 2));
        server["instance"] = json!(format!("10.2.0.{n}:9100"));
        broker.post("/v1/servers", &cast.operator, &server).await.expect(201);
        let mut book = broker::task_book();
        book["number"] = json!(format!("相信任〔2026〕2{n}号"));
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        let mut block = broker::request();
        block["域名"] = json!(format!("app{n}.xiangcheng.example"));
        let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
        let id = made["items"][0]["id"].as_str().unwrap();
        let path = format!("/v1/requests/{id}/approve");
        let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
        let limit = Duration::from_secs(20);
        broker.finished(operation["id"].as_str().unwrap(), &cast.authority, limit).await;
    }
    for (name, ended) in [("甲", "2020-12-31"), ("乙", "2021-12-31"), ("丙", "2022-12-31")] {
        let system = json!({"name": name, "purpose": "审批", "maintained_until": ended});
        let system = broker.post("/v1/systems", &cast.requester, &system).await.expect(201);
        let path = format!("/v1/systems/{}/judge", system["id"].as_str().unwrap());
        broker.post(&path, &cast.authority, &json!({})).await.expect(200);
    }
    judged(&broker).await;
    crate::disk_imports::over(&broker.setup.database_url).await;
    let raw = Raw::new(&broker);
    crate::rooms::take(&raw, &cast.operator, &crate::rooms::district()).await;
    for (name, from) in [("第一批", "2031-03-05"), ("第二批", "2031-04-02"), ("第三批", "2031-04-02")] {
        let wave = json!({"name": name, "window_from": from, "window_to": "2031-04-05"});
        broker.post("/v1/waves", &cast.authority, &wave).await.expect(201);
        let blackout = json!({"from": from, "to": "2031-05-01", "reason": "两会保障"});
        broker.post("/v1/blackouts", &cast.operator, &blackout).await.expect(201);
    }
    (broker, cast, raw)
}

/// Lives of the machines before today, verdicts of two days, and the reports of the month that is over.
async fn judged(broker: &Broker) {
    let beside = Beside::new(&broker.setup).await;
    let yesterday = Clock::System.today().yesterday().unwrap();
    for machine in plain::texts(&broker.setup.database_url, "select id from machines order by id").await {
        lived(&beside.db, &machine, yesterday, 75, 95.0, 1e6).await;
    }
    beside.reports.judges.judge(yesterday, Keep::Yes).await.expect("judged");
    beside.reports.make_month().await.expect("made");
}

/// The lists of the document, with their parameters.
fn lists() -> Vec<(String, BTreeMap<String, Value>)> {
    let document = serde_json::to_value(jiyue::http::openapi()).unwrap();
    let mut lists = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parameters = methods["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let named =
            parameters.into_iter().map(|p| (p["name"].as_str().unwrap().to_owned(), p)).collect::<BTreeMap<_, _>>();
        if named.contains_key("sort") {
            lists.push((path.clone(), named));
        }
    }
    lists
}

fn orders(reply: &Value) -> Vec<String> {
    let detail = reply["detail"].as_str().expect("a refusal with the orders");
    let words = detail.split('：').nth(1).and_then(|rest| rest.split('；').next()).expect("the orders");
    words.split('、').map(str::to_owned).collect()
}

async fn pages(raw: &Raw, token: &str, path: &str, query: &str, size: usize) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let reply = raw.get(&format!("{path}?page_size={size}{query}{next}"), token).await;
        assert_eq!(reply.status, 200, "{path} {query} {}", reply.text);
        let page = reply.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= size);
        all.extend(items.iter().cloned().map(|mut item| {
            // What goes on meanwhile: hosts are listed, an image arrives on one.
            let item_fields = item.as_object_mut().unwrap();
            item_fields.remove("listed_at");
            item_fields.remove("hosts_present");
            if item_fields.contains_key("percent") && item_fields.contains_key("host") {
                item_fields.retain(|field, _| field == "host");
            }
            item
        }));
        match page.get("next_page_token") {
            Some(token) => next = format!("&page_token={}", token.as_str().unwrap()),
            None => return all,
        }
        assert!(all.len() < 1000, "{path} {query} never ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_had_whole_in_each_order_and_by_each_filter() {
    for on in On::BOTH {
        let (broker, cast, raw) = stocked(on).await;
        let mut walked = 0;
        for (path, parameters) in lists() {
            let url = &broker.setup.database_url;
            let machine = plain::texts(url, "select id from machines order by id").await.remove(0);
            let path = path.replace("/machines/{id}", &format!("/machines/{machine}")).replace("{id}", "test-image");
            let refused = raw.get(&format!("{path}?sort=nonsense"), &cast.auditor).await;
            assert_eq!(refused.problem(), "malformed", "{path}");
            let whole = pages(&raw, &cast.auditor, &path, "", 200).await;
            assert!(!whole.is_empty() || path == "/v1/alarms", "{path}: nothing to walk");
            let texts = |items: &[Value]| items.iter().map(Value::to_string).collect::<BTreeSet<_>>();
            assert_eq!(json!(orders(&refused.json())), parameters["sort"]["schema"]["enum"], "{path}");
            for order in orders(&refused.json()) {
                let query = format!("&sort={order}");
                let at_once = pages(&raw, &cast.auditor, &path, &query, 200).await;
                let one_by_one = pages(&raw, &cast.auditor, &path, &query, 1).await;
                assert_eq!(at_once, one_by_one, "{on:?} {path} {order}");
                assert_eq!(texts(&at_once), texts(&whole), "{on:?} {path} {order}");
                let other = order.strip_prefix('-').map_or(format!("-{order}"), str::to_owned);
                let mut reversed = pages(&raw, &cast.auditor, &path, &format!("&sort={other}"), 2).await;
                reversed.reverse();
                assert_eq!(reversed, at_once, "{on:?} {path}: {order} and {other} are each other's reverse");
                walked += 1;
            }
            for (name, parameter) in &parameters {
                if parameter["in"] != "query" || ["page_size", "page_token", "sort", "all"].contains(&name.as_str()) {
                    continue;
                }
                // By each value that some row has, exactly the rows that have it.
                let field = |item: &Value| match name.as_str() {
                    "department" => item["department"]["code"].clone(),
                    "zone" if item["zones"].is_array() => item["zones"][0]["zone"].clone(),
                    name => item[name].clone(),
                };
                let values: BTreeSet<_> =
                    whole.iter().filter_map(|item| field(item).as_str().map(str::to_owned)).collect();
                for value in values {
                    let query = format!(
                        "{name}={}",
                        percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC)
                    );
                    let found = pages(&raw, &cast.auditor, &path, &format!("&{query}"), 2).await;
                    let expected: Vec<_> = whole.iter().filter(|item| field(item) == json!(value)).cloned().collect();
                    assert!(!expected.is_empty());
                    assert_eq!(texts(&found), texts(&expected), "{on:?} {path} {name}={value}");
                    walked += 1;
                }
            }
        }
        assert!(walked > 60, "{walked}");
    }
}

/// What no text of a database holds is refused before it is asked for, by every parameter of every list.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_with_a_control_character_is_refused() {
    for on in On::BOTH {
        let (_broker, cast, raw) = stocked(on).await;
        for (path, parameters) in lists() {
            let path = path.replace("{id}", "test-image");
            let texts = parameters.iter().filter(|(_, parameter)| parameter["in"] == "query");
            for (name, _) in texts {
                for value in ["%00", "a%00b", "%0a", "%7f"] {
                    let reply = raw.get(&format!("{path}?{name}={value}"), &cast.auditor).await;
                    assert_eq!(reply.problem(), "malformed", "{on:?} {path} {name}={value}: {}", reply.text);
                }
            }
        }
        let none = raw.get("/v1/machines/a%00b", &cast.auditor).await;
        assert_eq!(none.problem(), "malformed", "{on:?}");
    }
}

/// The same in documents: a fault of the caller's, or taken, and never one of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_with_a_nul_is_no_fault_of_ours() {
    for on in On::BOTH {
        let (_broker, cast, raw) = stocked(on).await;
        let mut block = broker::request();
        block["域名"] = json!("nul.xiangcheng.example");
        let made = raw.json("/v1/requests", &cast.requester, &block).await.json();
        let waiting = made["items"][0]["id"].as_str().unwrap().to_owned();
        let machine =
            raw.get("/v1/machines", &cast.auditor).await.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let nul = "a\u{0}b";
        let mut faults = Vec::new();
        for (path, token, body) in [
            ("/v1/departments".to_owned(), &cast.authority, json!({"code": nul, "name": nul})),
            ("/v1/departments".to_owned(), &cast.authority, json!({"code": "nul", "name": nul})),
            ("/v1/task-books/相信任〔2026〕21号/revoke".to_owned(), &cast.authority, json!({"reason": nul})),
            (format!("/v1/requests/{waiting}/return"), &cast.authority, json!({"reason": nul})),
            (format!("/v1/requests/{waiting}/approve"), &cast.authority, json!({"comment": nul})),
            (format!("/v1/requests/{waiting}/cancel"), &cast.requester, json!({"reason": nul})),
            ("/v1/requests/approve".to_owned(), &cast.authority, json!({"ids": [nul], "comment": nul})),
            ("/v1/requests/return".to_owned(), &cast.authority, json!({"ids": [waiting], "reason": nul})),
            ("/v1/placement/explain".to_owned(), &cast.operator, json!({"request": nul})),
            ("/v1/images/test-image/distribute".to_owned(), &cast.operator, json!({"hosts": [nul]})),
            (format!("/v1/machines/{machine}/migrate"), &cast.operator, json!({"to": nul})),
            (format!("/v1/machines/{machine}/extend"), &cast.authority, json!({"lease_end": nul})),
            ("/v1/hosts/sim/confirm-fenced".to_owned(), &cast.operator, json!({"name": "sim", "reason": nul})),
            (
                "/v1/hosts".to_owned(),
                &cast.operator,
                json!({"name": nul, "uri": "simulated:", "zones": [
                {"zone": "internet", "network": nul, "bridge": nul, "cidr": "10.9.0.0/24"}]}),
            ),
        ] {
            let reply = raw.json(&path, token, &body).await;
            if !(200..500).contains(&reply.status) {
                faults.push(format!("{path} {body}: {}", reply.text));
            }
        }
        assert_eq!(faults, [""; 0], "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_continues_its_own_list_and_nothing_else() {
    let (_broker, cast, raw) = stocked(On::Sqlite).await;
    let first = raw.get("/v1/machines?page_size=1&sort=name", &cast.auditor).await.json();
    let token = first["next_page_token"].as_str().unwrap();
    let good = format!("/v1/machines?page_size=1&sort=name&page_token={token}");
    assert_eq!(raw.get(&good, &cast.auditor).await.status, 200);
    // Its size may change; its order, its filters, its list and whose it is may not.
    assert_eq!(
        raw.get(&format!("/v1/machines?page_size=9&sort=name&page_token={token}"), &cast.authority).await.status,
        200
    );
    for (path, caller) in [
        (format!("/v1/machines?page_token={token}"), &cast.auditor),
        (format!("/v1/machines?sort=-name&page_token={token}"), &cast.auditor),
        (format!("/v1/machines?sort=name&state=running&page_token={token}"), &cast.auditor),
        (format!("/v1/task-books?sort=number&page_token={token}"), &cast.auditor),
        (format!("/v1/machines?sort=name&page_token={token}"), &cast.requester),
        (format!("/v1/events?page_token={token}"), &cast.auditor),
    ] {
        let reply = raw.get(&path, caller).await;
        assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"), "{path}");
        assert!(reply.json()["detail"].as_str().unwrap().contains("page_token"), "{}", reply.text);
    }
    // A row of somebody else's making under our own mark.
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    let forged = [&bytes[..16], br#"["zzz","zzz"]"#].concat();
    let forged = URL_SAFE_NO_PAD.encode(forged);
    assert_eq!(raw.get(&format!("/v1/machines?sort=name&page_token={forged}"), &cast.auditor).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_odd_cursors_are_refused_and_none_breaks_anything() {
    let (_broker, cast, raw) = stocked(On::Sqlite).await;
    let first = raw.get("/v1/machines?page_size=1", &cast.auditor).await.json();
    let good = first["next_page_token"].as_str().unwrap().to_owned();
    let mut dice = Dice::from_env();
    eprintln!("seed {}", dice.seed);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut pick = |n: usize| usize::try_from(dice.below(n as u64)).unwrap();
    let raw = std::sync::Arc::new(raw);
    let mut odd = Vec::new();
    while odd.len() < 10_000 {
        let mut token = good.clone().into_bytes();
        match pick(5) {
            0 => {
                let at = pick(token.len());
                token[at] = alphabet[pick(64)];
            }
            1 => token.truncate(pick(token.len())),
            2 => {
                for _ in 0..=pick(40) {
                    token.push(alphabet[pick(64)]);
                }
            }
            3 => token = (0..pick(120)).map(|_| alphabet[pick(64)]).collect(),
            _ => {
                let (a, b) = (pick(token.len()), pick(token.len()));
                token.swap(a, b);
            }
        }
        let token = String::from_utf8(token).unwrap();
        // What decodes to the same bytes is the same token: the last letter of Base64 has bits that say nothing, which the
        // decoder refuses unless they are zero.
        if token != good && !token.is_empty() {
            odd.push(token);
        }
    }
    let (mut clients, odd) = (tokio::task::JoinSet::new(), std::sync::Arc::new(odd));
    for lane in 0..8 {
        let (raw, odd, auditor) = (raw.clone(), odd.clone(), cast.auditor.clone());
        clients.spawn(async move {
            let mut times = Vec::new();
            for token in odd.iter().skip(lane).step_by(8) {
                let began = Instant::now();
                let reply = raw.get(&format!("/v1/machines?page_size=1&page_token={token}"), &auditor).await;
                assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"), "{token}");
                times.push(began.elapsed());
            }
            times
        });
    }
    let mut times = clients.join_all().await.concat();
    times.sort();
    let (middle, slow) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    eprintln!("{} odd cursors by 8 clients: median {middle:.1?}, 99 % within {slow:.1?}", times.len());
    assert!(slow < Duration::from_millis(500), "{slow:?}");
    assert_eq!(raw.get(&format!("/v1/machines?page_size=1&page_token={good}"), &cast.auditor).await.status, 200);
}
