//! Secrets are planted wherever the broker has one, it is led through a working day with everything that goes wrong on one,
//! at the most talkative of logs; then its log, its audit trail, its metrics and its whole database are searched for them.

use crate::{
    service::tls::{self, Ca},
    support::{
        broker::{self, Broker, Cast, On, Setup, raw_image},
        knot::{Knot, OTHER_SECRET, SECRET, ZONE},
        plain, postgres,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::Method;
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// Of the account that the broker has at its database; written into the address as people do, and escaped.
const DATABASE_PASSWORD: &str = "pl4nted/database";
const WRONG_TOKEN: &str = "pl4nted-wrong-token-0123456789abcdefghijkl";
const IN_A_QUERY: &str = "pl4nted-token-in-a-query";
const IN_A_BODY: &str = "pl4nted-password-in-a-body";
const SOON: Duration = Duration::from_secs(90);

/// What is searched for: the secrets, by name, in every form that one may take on its way.
#[derive(Default)]
struct Planted(Vec<(String, Vec<u8>)>);

impl Planted {
    fn plant(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= 16, "{name} is too short to be searched for");
        self.0.push((name.to_owned(), secret.to_vec()));
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let listed = format!("{secret:?}");
        for form in [STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret), hex, listed] {
            self.0.push((name.to_owned(), form.into_bytes()));
        }
        let escaped: String =
            secret.iter().map(|b| if *b == b'/' { "%2F".to_owned() } else { char::from(*b).into() }).collect();
        self.0.push((name.to_owned(), escaped.into_bytes()));
    }

    /// A key in Base64: as it is written, and as it is.
    fn plant_base64(&mut self, name: &str, text: &str) {
        self.plant(name, text.trim().as_bytes());
        self.plant(name, &STANDARD.decode(text.trim()).expect("Base64"));
    }

    /// Names of what stands in the text.
    fn found(&self, text: &[u8]) -> Vec<&str> {
        let holds = |form: &[u8]| text.windows(form.len()).any(|part| part == form);
        let mut found: Vec<_> = self.0.iter().filter(|(_, form)| holds(form)).map(|(name, _)| name.as_str()).collect();
        found.dedup();
        found
    }
}

#[test]
fn the_search_finds_what_is_there() {
    let mut planted = Planted::default();
    planted.plant("a", b"0123456789/bcdef");
    for text in [
        "x0123456789/bcdefx",
        "u:0123456789%2Fbcdef@h",
        "MDEyMzQ1Njc4OS9iY2RlZg==",
        "[48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 47, 98, 99, 100, 101, 102]",
    ] {
        assert_eq!(planted.found(text.as_bytes()), ["a"], "{text}");
    }
    assert_eq!(planted.found(b"0123456789"), [""; 0]);
}

/// What a program that does not start says.
fn refusal(setup: &Setup, args: &[&str], env: &[(&str, &str)]) -> Vec<u8> {
    let out = setup.program().args(args).envs(env.iter().copied()).output().expect("jiyue runs");
    assert!(!out.status.success(), "{args:?} {env:?}");
    [out.stdout, out.stderr].concat()
}

#[allow(clippy::too_many_lines)] // one day, from one thing that goes wrong to the next
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_stands_in_the_log_the_audit_the_metrics_or_the_database() {
    let mut planted = Planted::default();
    planted.plant("database password", DATABASE_PASSWORD.as_bytes());
    planted.plant("wrong token", WRONG_TOKEN.as_bytes());
    planted.plant("token in a query", IN_A_QUERY.as_bytes());
    planted.plant("password in a body", IN_A_BODY.as_bytes());
    planted.plant_base64("TSIG key", SECRET);

    let mut knot = Knot::started();
    let key = knot.key_file("broker.key", SECRET);
    let mut setup = Setup::new(On::Postgres).with("JIYUE_LOG_FILTER", "trace").with("JIYUE_DNS_RETRY_SECONDS", "1");
    let plain_url = setup.database_url.clone();
    let escaped = DATABASE_PASSWORD.replace('/', "%2F");
    setup.database_url = plain_url.replace("postgres@", &format!("postgres:{escaped}@"));
    let config = format!(
        "[[dns]]\nsuffix = \"{ZONE}\"\nserver = \"{}\"\nkey_name = \"jiyue\"\nkey_file = \"{}\"\n",
        knot.address(),
        key.display()
    );
    fs::write(setup.folder.join("config.toml"), &config).unwrap();

    // A day on which things are done, with machines that have a database.
    let broker = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&broker).await;
    for token in [&cast.authority, &cast.operator, &cast.auditor, &cast.requester, &cast.other_requester] {
        planted.plant("token", token.as_bytes());
    }
    planted.plant_base64("secret key", &fs::read_to_string(setup.folder.join("secret.key")).unwrap());
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.simulated_host(&cast, "sim").await;
    let images = format!("{}/v1/images?name=pg&os_type=debian-12&database=PostgreSQL%2015&stand_in=true", broker.url);
    let http = reqwest::Client::new();
    let taken = http.post(images).bearer_auth(&cast.operator).body(raw_image()).send().await.unwrap();
    assert_eq!(taken.status().as_u16(), 201);
    let mut block = broker::request();
    block["数据库类型"] = json!("PostgreSQL 15");
    block["域名"] = json!(format!("db.{ZONE}"));
    block["申请虚拟机数量"] = json!(1);
    block["内存容量"] = json!("192M");
    block["磁盘空间"] = json!("1G");
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    let id = made["items"][0]["id"].as_str().unwrap().to_owned();
    let approved = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    let done = broker.finished(approved["id"].as_str().unwrap(), &cast.operator, SOON).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let request = broker.get(&format!("/v1/requests/{id}"), &cast.requester).await.expect(200);
    let machine = request["machines"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/machines/{machine}/credentials");
    let handed = broker.post(&path, &cast.requester, &json!({})).await.expect(200);
    planted.plant("machine's password", handed["password"].as_str().unwrap().as_bytes());

    // And on which things go wrong: callers who put secrets where none belong,
    broker.get("/v1/departments", WRONG_TOKEN).await.expect(401);
    let basic =
        http.get(format!("{}/v1/hosts", broker.url)).basic_auth("root", Some(WRONG_TOKEN)).send().await.unwrap();
    assert_eq!(basic.status().as_u16(), 401);
    for path in ["/v1/departments", "/v1/audit-records", "/nowhere"] {
        let answer = broker.get(&format!("{path}?token={IN_A_QUERY}"), &cast.authority).await;
        assert!(answer.status.is_client_error() || answer.status.is_success());
    }
    broker.call(Method::POST, &path, &cast.requester, Some(&json!({"password": IN_A_BODY}))).await;
    let odd = broker.post("/v1/departments", &cast.authority, &json!({"code": "x", "password": IN_A_BODY})).await;
    assert!(odd.status.is_client_error());
    broker
        .post(
            "/v1/hosts",
            &cast.operator,
            &json!({"name": "h", "uri": format!("qemu+ssh://root:{IN_A_BODY}@h/system")}),
        )
        .await;
    broker.post(&path, &cast.other_requester, &json!({})).await.expect(404);
    broker.post(&path, &cast.requester, &json!({})).await.expect(409);
    // a DNS server whose key has changed,
    knot.stop();
    knot.configure("hmac-sha256", OTHER_SECRET);
    knot.start();
    let delete = format!("/v1/machines/{machine}/delete");
    broker.post(&delete, &cast.requester, &json!({})).await.expect(202);
    let began = Instant::now();
    while !broker.log().contains("WrongKey(Signature)") {
        assert!(began.elapsed() < SOON, "{}", &broker.log()[broker.log().len().saturating_sub(3000)..]);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // and a database that hangs up.
    let cluster = postgres::shared();
    let name = plain_url.rsplit('/').next().unwrap();
    let hang_up = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    assert!(cluster.psql("postgres", &hang_up).0);
    for _ in 0..5 {
        broker.post("/v1/departments", &cast.authority, &json!({"code": "swj", "name": "区商务局"})).await;
    }
    let metrics = broker.get("/metrics", "").await.body.as_str().unwrap().to_owned();
    assert!(metrics.contains("jiyue_http_requests_total"));
    let mut log = broker.log().into_bytes();
    assert!(broker.log().contains("TRACE") && broker.log().contains("machine.step.done"));
    drop(broker);

    // The same with TLS: a pair that is changed for one that cannot be used.
    let ca = Ca::new();
    ca.sign("one");
    ca.sign("two");
    ca.install("one", "one");
    for name in ["one", "two"] {
        let pem = fs::read_to_string(ca.folder.join(format!("{name}.key"))).unwrap();
        let lines: Vec<_> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        lines.iter().filter(|line| line.len() >= 32).for_each(|line| planted.plant("TLS key", line.as_bytes()));
        planted.plant_base64("TLS key", &lines.concat());
    }
    fs::remove_file(setup.folder.join("serve.log")).unwrap();
    let broker = tls::ready(&ca, Broker::spawn(ca.on(setup.clone()))).await;
    ca.install("one", "two");
    broker.signal("HUP");
    let began = Instant::now();
    while !broker.log().contains("tls.reload.refused") {
        assert!(began.elapsed() < SOON, "{}", broker.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let secure = format!("{}/v1/departments", broker.url.replace("http:", "https:"));
    let answer = ca.client().get(secure).bearer_auth(&cast.authority).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    log.extend(broker.log().into_bytes());
    drop(broker);

    // What a broker says that does not start.
    let closed = crate::support::free_port();
    let nowhere = [
        format!("postgres://u:{escaped}@127.0.0.1:{closed}/db"),
        format!("postgres://127.0.0.1:{closed}/db?user=u&password={escaped}"),
        format!("mysql://u:{escaped}@h/db"),
    ];
    let wrong_pair = [
        ("JIYUE_TLS_CERTIFICATE", ca.folder.join("one.crt").display().to_string()),
        ("JIYUE_TLS_KEY", ca.folder.join("two.key").display().to_string()),
    ];
    let wrong_pair: Vec<_> = wrong_pair.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for url in &nowhere {
        for args in [&["serve"][..], &["doctor"]] {
            log.extend(refusal(&setup, args, &[("JIYUE_DATABASE_URL", url)]));
        }
    }
    log.extend(refusal(&setup, &["serve"], &wrong_pair));
    let file = setup.folder.join("wrong.toml");
    for text in [format!("database_url = \"{}\n", nowhere[0]), format!("database_url = [\"{}\"]\n", nowhere[0])] {
        fs::write(&file, text).unwrap();
        log.extend(refusal(&setup, &["serve", "--config", file.to_str().unwrap()], &[]));
    }
    for path in [setup.folder.join("secret.key"), key] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let config = setup.folder.join("config.toml");
        for command in ["serve", "doctor"] {
            log.extend(refusal(&setup, &[command, "--config", config.to_str().unwrap()], &[]));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    let audit = plain::texts(&plain_url, "select cast(audit as text) from audit").await;
    assert!(audit.len() > 10 && audit.iter().any(|row| row.contains("machine.credentials")), "{audit:#?}");
    let dump = cluster.program("pg_dump").arg(name).output().unwrap();
    assert!(dump.status.success());
    assert_eq!(planted.found(audit.join("\n").as_bytes()), [""; 0], "in the audit trail");
    assert_eq!(planted.found(metrics.as_bytes()), [""; 0], "in the metrics");
    assert_eq!(planted.found(&dump.stdout), [""; 0], "in the database");
    let found = planted.found(&log);
    let shown: Vec<_> = String::from_utf8_lossy(&log)
        .lines()
        .filter(|line| !planted.found(line.as_bytes()).is_empty())
        .map(|line| line.chars().take(400).collect::<String>())
        .collect();
    assert_eq!(found, [""; 0], "in the log: {shown:#?}");
    eprintln!(
        "{} forms searched for in {} KiB of log and {} KiB of database",
        planted.0.len(),
        log.len() >> 10,
        dump.stdout.len() >> 10
    );
}
