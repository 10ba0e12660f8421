//! The status page: who gets it, what it follows, and how it looks in a real browser.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain, scratch,
};
use jiff::Timestamp;
use jiyue::{
    console::page,
    report::capacity::{
        CapacityReport, Count, MachineLoad, NearLimit, OpenAlarm, Outlook, Outlooks, Trend, UnderWay, ZoneCapacity,
    },
};
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);

/// A browser that follows nothing by itself.
fn plain_client() -> Client {
    jiyue::client::install_ciphers();
    Client::builder().redirect(Policy::none()).build().expect("a client")
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn page_of(broker: &Broker, token: &str) -> String {
    let answer =
        plain_client().get(format!("{}/status", broker.url)).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("text")
}

/// Asks for machines, and has them built.
pub async fn machines(broker: &Broker, cast: &Cast, domain: &str, number: u64) {
    let mut request = broker::request();
    request["域名"] = json!(domain);
    request["申请虚拟机数量"] = json!(number);
    let made = broker.post("/v1/requests", &cast.requester, &request).await.expect(201);
    let path = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().unwrap());
    let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
    broker.finished(operation["id"].as_str().unwrap(), &cast.authority, LIMIT).await;
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Opens the alarm that a test has written again, should the listing after a building have cleared it.
pub async fn alarmed(broker: &Broker, cast: &Cast) {
    until("the alarm is open", async || {
        plain::run(&broker.setup.database_url, "update alarms set cleared_at = null").await.unwrap();
        // What somebody else wrote is seen after our own next commit, which comes by itself.
        tokio::time::sleep(Duration::from_secs(2)).await;
        broker.get("/v1/reports/capacity", &cast.auditor).await.expect(200)["alarms_open"] == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_follows_what_is_committed() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on).with("JIYUE_USAGE_SECONDS", "1")).await;
        let cast = Cast::arrive(&broker).await;
        assert!(page_of(&broker, &cast.auditor).await.contains("还没有接入宿主机"), "{on:?}");
        // Nobody has fenced a host yet: that it was never done is told, so that the first time is seen as one.
        let metrics = plain_client().get(format!("{}/metrics", broker.url)).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let never = "jiyue_http_requests_total{method=\"POST\",route=\"/v1/hosts/{id}/fence\",status=\"200\"} 0";
        assert!(metrics.lines().any(|line| line == never), "{metrics}");
        broker.furnish(&cast).await;
        let before = page_of(&broker, &cast.auditor).await;
        assert!(before.contains("sim") && before.contains("现在没有要人办的事"), "{on:?} {before}");
        broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
        // At once: what this broker has committed is in its next answer.
        let waiting = page_of(&broker, &cast.auditor).await;
        assert!(waiting.contains("待审批的申请<strong>1</strong>"), "{on:?} {waiting}");
        machines(&broker, &cast, "page.xiangcheng.example", 2).await;
        until("machines are measured and named with their owner", async || {
            let page = page_of(&broker, &cast.auditor).await;
            page.contains("<th scope=\"row\">page") && page.contains("相城区民政局")
        })
        .await;
        // The report says the same, in each of its forms.
        let report = broker.get("/v1/reports/capacity", &cast.auditor).await.expect(200);
        assert_eq!(report["kind"], "capacity");
        let zone = &report["zones"][0];
        let held = |column: &str| format!("select cast(sum({column}) as bigint) from claims where compute_held = 1");
        let url = &broker.setup.database_url;
        assert_eq!(zone["allocated"]["vcpu"], plain::number(url, &held("vcpu")).await, "{on:?} {report:#}");
        assert_eq!(zone["allocated"]["memory_bytes"], plain::number(url, &held("memory_bytes")).await);
        assert_eq!(zone["approved"], zone["allocated"], "{on:?} {report:#}");
        assert!(zone["requested"]["vcpu"].as_i64() > zone["approved"]["vcpu"].as_i64(), "one waits: {report:#}");
        assert!(zone["measured"]["machines"].as_i64() > Some(0), "{report:#}");
        assert_eq!(zone["outlook"]["vcpu"], json!({"trend": "unknown", "per_day": null, "days_left": null}));
        let free = zone["physical"]["vcpu"].as_i64().unwrap() - zone["allocated"]["vcpu"].as_i64().unwrap();
        assert_eq!(zone["free"]["vcpu"], free);
        // A host that takes nothing new has nothing free for placement.
        broker.post("/v1/hosts/sim/cordon", &cast.operator, &json!({})).await.expect(200);
        let report = broker.get("/v1/reports/capacity", &cast.operator).await.expect(200);
        assert_eq!(report["zones"][0]["free"], json!({"vcpu": 0, "memory_bytes": 0, "disk_bytes": 0}));
        for form in ["csv", "xlsx"] {
            let path = format!("{}/v1/reports/capacity?format={form}", broker.url);
            let answer = plain_client().get(path).bearer_auth(&cast.authority).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{form}");
            assert!(header(&answer, "content-disposition").contains(form));
            let bytes = answer.bytes().await.expect("bytes");
            assert!(if form == "csv" { bytes.starts_with("\u{feff}".as_bytes()) } else { bytes.starts_with(b"PK") });
        }
        assert_eq!(broker.get("/v1/reports/capacity", &cast.requester).await.code(), "forbidden");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_exchanged_for_a_session_that_ends_with_it() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    let (client, url) = (plain_client(), broker.url.clone());
    let at = |path: &str| format!("{url}{path}");
    let form = "application/x-www-form-urlencoded";
    let sign_in =
        |token: &str| client.post(at("/status/sign-in")).header("content-type", form).body(format!("token={token}"));

    let answer = client.get(at("/status")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/status/sign-in"));
    let answer = client.get(at("/status")).bearer_auth("jiyue_no").send().await.unwrap();
    assert_eq!(answer.status(), 401, "a program is told");

    let answer = sign_in("jiyue_wrong").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (401, "text/html; charset=utf-8"));
    assert_eq!(header(&answer, "set-cookie"), "");
    let text = answer.text().await.unwrap();
    assert!(text.contains("令牌无效、已过期或已吊销") && text.contains("<form method=\"post\""), "{text}");
    let answer = client.post(at("/status/sign-in")).body("nonsense").send().await.unwrap();
    assert_eq!(answer.status(), 400);

    let answer = sign_in(&cast.auditor).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/status"));
    let cookie = header(&answer, "set-cookie").to_owned();
    for part in ["jiyue=", "; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(&cast.auditor) && !cookie.contains("Secure"), "{cookie}");
    let answer = sign_in(&cast.auditor).header("x-forwarded-proto", "https").send().await.unwrap();
    let over_tls = header(&answer, "set-cookie");
    assert!(over_tls.starts_with("__Host-jiyue=") && over_tls.ends_with("; Secure"), "{over_tls}");

    let pair = cookie.split(';').next().unwrap().to_owned();
    let with = |pair: &str| client.get(at("/status")).header("cookie", pair.to_owned());
    let answer = with(&pair).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let policy = header(&answer, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let forged = format!("{}0", &pair[..pair.len() - 1]);
    let forged = if forged == pair { format!("{}1", &pair[..pair.len() - 1]) } else { forged };
    assert_eq!(with(&forged).send().await.unwrap().status(), 303, "{forged}");
    // A session is good for the page and not for the API.
    let answer = client.get(at("/v1/hosts")).header("cookie", pair.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 401);

    // Nobody else's page signs anybody in or out.
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")] {
        let answer = sign_in(&cast.auditor).header(name, value).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "set-cookie")), (403, ""), "{name}: {value}");
    }
    let answer =
        sign_in(&cast.auditor).header("origin", url.clone()).header("sec-fetch-site", "same-origin").send().await;
    assert_eq!(answer.unwrap().status(), 303, "ours does");

    // Whoever may not see it is told so, and it is written down.
    let answer = client.get(at("/status")).bearer_auth(&cast.requester).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("capacity.read"));
    let denied = "select count(*) from audit where action = 'policy.denied' and outcome = 'denied'";
    assert_eq!(plain::number(&broker.setup.database_url, denied).await, 1);

    let answer = client.post(at("/status/sign-out")).header("cookie", pair.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert!(header(&answer, "set-cookie").starts_with("jiyue=; Path=/; Max-Age=0"));

    // The token is revoked: its sessions are over, within the time that a token is believed.
    plain::run(&broker.setup.database_url, "update tokens set revoked_at = 1 where role = 'auditor'").await.unwrap();
    until("a revoked token's session ends", async || with(&pair).send().await.unwrap().status() == 303).await;
}

/// What the browser says that it saw.
pub fn browse(args: &[&str]) -> Value {
    let root = env!("CARGO_MANIFEST_DIR");
    let modules = Command::new(format!("{root}/scripts/browser.sh")).output().expect("the script runs");
    assert!(modules.status.success(), "{}", String::from_utf8_lossy(&modules.stderr));
    let out = Command::new("node")
        .arg(format!("{root}/tests/it/seeing/browser.cjs"))
        .args(args)
        .env("NODE_PATH", String::from_utf8_lossy(&modules.stdout).trim())
        .output()
        .expect("node is installed: hypervisor/install.sh test");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_it_to_everybody_and_runs_nothing() {
    let setup = Setup::new(On::Sqlite).with("JIYUE_USAGE_SECONDS", "1").with("JIYUE_LISTING_SECONDS", "3600");
    let broker = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    for name in ["kvm-1", "kvm-2"] {
        broker.simulated_host(&cast, name).await;
    }
    machines(&broker, &cast, "oa.xiangcheng.example", 3).await;
    machines(&broker, &cast, "zwfw.xiangcheng.example", 2).await;
    let mut waiting = broker::request();
    waiting["域名"] = json!("waits.xiangcheng.example");
    broker.post("/v1/requests", &cast.requester, &waiting).await.expect(201);
    let url = &broker.setup.database_url;
    // Names as somebody would write them who wants a browser to do something.
    let hostile = "<img src=x onerror=\"window.hits=(window.hits||0)+1\">";
    plain::run(url, &format!("update departments set name = '区教育局{hostile}' where code = 'mzj'")).await.unwrap();
    plain::run(
        url,
        "insert into alarms (id, host_id, kind, domain_id, name, detail, first_seen_at, last_seen_at) \
             select '019ad000-0000-7000-8000-000000000001', id, 'foreign', 'x', '</svg><script>window.hits=9</script>', \
             'x', 1790000000000000, 1 from hosts where name = 'sim'",
    )
    .await
    .unwrap();
    alarmed(&broker, &cast).await;
    until("all machines are measured", async || {
        let page = page_of(&broker, &cast.auditor).await;
        page.matches("区教育局&#60;img").count() >= 10 && page.contains("window.hits=9")
    })
    .await;
    let folder = scratch("browser");
    let saw = browse(&["status", &broker.url, &cast.auditor, &folder.display().to_string()]);
    eprintln!("{saw:#}");
    assert_eq!((saw["first"].as_str(), saw["last"].as_str()), (Some("/status/sign-in"), Some("/status/sign-in")));
    assert_eq!((&saw["console"], &saw["failed"]), (&json!([]), &json!([])));
    assert_eq!(saw["policy"], jiyue::console::POLICY);
    let cookies = saw["cookies"].as_array().unwrap();
    assert_eq!(cookies.len(), 1);
    assert_eq!((&cookies[0]["httpOnly"], &cookies[0]["sameSite"]), (&json!(true), &json!("Strict")));
    assert_eq!(saw["signIn"]["violations"], json!([]));
    for width in ["1280", "390"] {
        let at = &saw["widths"][width];
        assert_eq!(at["violations"], json!([]), "{width}");
        assert!(at["passes"].as_u64() > Some(15), "{width}: axe looked at next to nothing: {at}");
        assert_eq!(at["overflow"], 0, "{width}: wider than the screen");
        assert!(at["smallest"].as_f64() >= Some(11.0), "{width}: {at}");
    }
    assert!(saw["charts"].as_u64() >= Some(3));
    assert_eq!((&saw["hits"], &saw["hitsAfter"]), (&json!(0), &json!(0)));
    assert_eq!(saw["refused"], "script-src-elem", "the policy is in force");
    let text = saw["text"].as_str().unwrap();
    assert!(text.contains(hostile), "shown letter for letter: {text}");
    if let Some(to) = std::env::var_os("JIYUE_TEST_PICTURES") {
        for width in ["1280", "390"] {
            let name = format!("status-{width}.png");
            std::fs::copy(folder.join(&name), Path::new(&to).join(&name)).unwrap();
        }
    }
}

/// Ways to make a browser do something, `CALL` being what.
const WAYS: &[&str] = &[
    "<script>CALL</script>",
    "<ScRiPt >CALL</sCrIpT>",
    "</script><script>CALL</script>",
    "<img src=x onerror=\"CALL\">",
    "<img src=x onerror=CALL>",
    "<img/src=x/onerror=CALL>",
    "\"><img src=x onerror=\"CALL\">",
    "'><img src=x onerror='CALL'>",
    "<svg onload=\"CALL\"></svg>",
    "</svg><svg onload=CALL></svg>",
    "</text><script>CALL</script>",
    "</title><img src=x onerror=CALL>",
    "</td></tr></table><img src=x onerror=CALL>",
    "--><img src=x onerror=CALL><!--",
    "<iframe srcdoc=\"<script>parent.CALL</script>\"></iframe>",
    "<details open ontoggle=\"CALL\">x</details>",
    "<input autofocus onfocus=\"CALL\">",
    "<video><source onerror=\"CALL\"></video>",
    "<audio src=x onerror=\"CALL\"></audio>",
    "<object data=\"x\" onerror=\"CALL\"></object>",
    "<style>@keyframes k{}</style><b style=\"animation:k 1ms\" onanimationstart=\"CALL\">x</b>",
    "]]><script>CALL</script>",
    "{{ }}<script>CALL</script>",
    "\u{0}<script>CALL</script>",
    "\u{202e}<img src=x onerror=CALL>",
];

fn payloads() -> Vec<String> {
    let call = "window.hits=(window.hits||0)+1";
    let around: Vec<(String, String)> = (0..20).map(|n| (format!("机{n}"), "号".repeat(n % 3))).collect();
    let one = |way: &str, (before, after): &(String, String)| format!("{before}{}{after}", way.replace("CALL", call));
    WAYS.iter().flat_map(|way| around.iter().map(move |around| one(way, around))).collect()
}

fn report(names: &[String]) -> CapacityReport {
    let unknown = Outlook { trend: Trend::Unknown, per_day: None, days_left: None };
    let at = Timestamp::from_second(1_790_000_000).unwrap();
    let load = |name: &String| MachineLoad {
        id: "1".to_owned(),
        name: name.clone(),
        department: name.clone(),
        system: Some(name.clone()),
        host: name.clone(),
        vcpu: 2,
        cpu_percent: 50.0,
        memory_percent: Some(50.0),
    };
    let one = |n: usize| names[n % names.len()].clone();
    CapacityReport {
        kind: "capacity",
        changed_at: at,
        district: one(0),
        authority: one(1),
        zones: vec![ZoneCapacity {
            zone: one(2),
            hosts: 1,
            machines: 1,
            physical: jiyue::report::capacity::Amount::default(),
            free: jiyue::report::capacity::Amount::default(),
            requested: jiyue::report::capacity::Amount::default(),
            approved: jiyue::report::capacity::Amount::default(),
            allocated: jiyue::report::capacity::Amount::default(),
            measured: None,
            outlook: Outlooks { vcpu: unknown, memory: unknown, disk: unknown },
        }],
        hosts: Vec::new(),
        task_books: names
            .iter()
            .map(|name| NearLimit {
                task_book: name.clone(),
                department: name.clone(),
                indicator: "vcpu",
                used: 9,
                limit: 10,
                percent: 90.0,
            })
            .collect(),
        machines: vec![Count { state: "running".to_owned(), machines: 1 }],
        waiting: Vec::new(),
        operations_open: 1,
        operations: vec![UnderWay {
            id: "1".to_owned(),
            kind: one(3),
            state: one(4),
            department: one(5),
            machine: Some(one(6)),
            step: Some(one(7)),
            percent: 5,
            created_at: at,
        }],
        alarms_open: 1,
        alarms: names
            .iter()
            .map(|name| OpenAlarm {
                id: "1".to_owned(),
                kind: "foreign".to_owned(),
                host: name.clone(),
                name: name.clone(),
                acknowledged: false,
                first_seen_at: at,
            })
            .collect(),
        busiest: names.iter().map(load).collect(),
        idlest: Vec::new(),
    }
}

#[test]
fn a_browser_runs_none_of_five_hundred_payloads() {
    let names = payloads();
    assert_eq!(names.len(), 500);
    let html = page::status(&report(&names)).unwrap();
    // Without the policy, which would stop most of it by itself: what is looked for is the escaping.
    let folder = scratch("hostile");
    let open = |name: &str, html: &str| {
        let file = folder.join(name);
        std::fs::write(&file, html).unwrap();
        browse(&["file", &file.display().to_string()])
    };
    let escaped = open("escaped.html", &html);
    eprintln!("escaped: {} run, {} tags", escaped["hits"], escaped["tags"]);
    assert_eq!((&escaped["hits"], &escaped["tags"]), (&json!(0), &json!(0)));
    let shown = escaped["text"].as_str().unwrap();
    assert!(shown.matches("window.hits=(window.hits||0)+1").count() >= 2000, "they are all there, as text");
    // The browser does notice where they are not escaped.
    let mut raw = html;
    for (entity, letter) in [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")] {
        assert!(entity == "&#38;" || raw.contains(entity), "{entity}");
        raw = raw.replace(entity, letter);
    }
    let unescaped = open("raw.html", &raw);
    eprintln!("not escaped: {} run", unescaped["hits"]);
    assert!(unescaped["hits"].as_u64() > Some(50), "{}", unescaped["hits"]);
}
