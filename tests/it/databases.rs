//! Machines with a database: from a request to SQL, and the password on its one way. psql is the oracle.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup, raw_image},
    guest,
    libvirt::postgresql_guest,
    plain,
    psql::Client,
    site::Site,
    sql::Sql,
    ssh::Key,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

/// What a guest may take to boot and to make its database beside other work, emulated.
const BOOT: Duration = Duration::from_secs(240);
const SOON: Duration = Duration::from_secs(90);

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value:#}")).to_owned()
}

/// The sample's request for machines with it.
fn request(name: &str, machines: u32) -> Value {
    let mut block = broker::request();
    block["数据库类型"] = json!("PostgreSQL 15");
    block["域名"] = json!(format!("{name}.xiangcheng.example"));
    block["申请虚拟机数量"] = json!(machines);
    block["内存容量"] = json!("192M");
    block["磁盘空间"] = json!("1G");
    block
}

/// A disk that nothing boots from, and another one for each number.
fn image(number: u8) -> Vec<u8> {
    let mut image = raw_image();
    image[0] = number;
    image
}

async fn import(broker: &Broker, cast: &Cast, query: &str, bytes: Vec<u8>) -> (u16, Value) {
    let url = format!("{}/v1/images?os_type=debian-12&{query}", broker.url);
    let http = crate::support::http();
    let response = http.post(url).bearer_auth(&cast.operator).body(bytes).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn submit(broker: &Broker, cast: &Cast, block: &Value) -> String {
    text(&broker.post("/v1/requests", &cast.requester, block).await.expect(201), "/items/0/id")
}

async fn approve(broker: &Broker, cast: &Cast, id: &str) -> String {
    let path = format!("/v1/requests/{id}/approve");
    text(&broker.post(&path, &cast.authority, &json!({})).await.expect(202), "/id")
}

async fn succeeded(broker: &Broker, cast: &Cast, operation: &str, limit: Duration) {
    let done = broker.finished(operation, &cast.operator, limit).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
}

async fn machines(broker: &Broker, cast: &Cast, request: &str) -> Vec<Value> {
    let request = broker.get(&format!("/v1/requests/{request}"), &cast.requester).await.expect(200);
    request["machines"].as_array().expect("machines").clone()
}

/// A broker with a simulated host and two images, one of them with the database in it.
async fn furnished(setup: Setup) -> (Broker, Cast) {
    let broker = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.simulated_host(&cast, "sim").await;
    broker.image(&cast, raw_image()).await;
    let baked = "name=pg&database=PostgreSQL%2015&stand_in=true";
    let (status, baked) = import(&broker, &cast, baked, image(1)).await;
    assert_eq!((status, baked["database"].as_str()), (201, Some("postgresql-15")), "{baked:#}");
    (broker, cast)
}

fn log(setup: &Setup) -> String {
    std::fs::read_to_string(setup.folder.join("serve.log")).expect("the broker's log")
}

/// All that the database holds, as bytes that one may search.
fn dump(setup: &Setup) -> Vec<u8> {
    if let Some(path) = setup.database_url.strip_prefix("sqlite:") {
        return ["", "-wal"].iter().flat_map(|end| std::fs::read(format!("{path}{end}")).unwrap_or_default()).collect();
    }
    let name = setup.database_url.rsplit('/').next().expect("a name");
    let out = crate::support::postgres::shared().program("pg_dump").arg(name).output().expect("pg_dump runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_password_is_handed_over_once_to_whose_machine_it_is_and_stands_nowhere_else() {
    for on in On::BOTH {
        let setup = Setup::new(on).with("JIYUE_LOG_FILTER", "trace");
        let (mut broker, cast) = furnished(setup.clone().with("JIYUE_WORKER_WIDTH", "0")).await;
        let id = submit(&broker, &cast, &request("db", 2)).await;
        let operation = approve(&broker, &cast, &id).await;
        let made = machines(&broker, &cast, &id).await;
        let machine = text(&made[0], "/id");
        assert_eq!(made[0]["database"]["credentials"], "building", "{:#}", made[0]);
        let path = format!("/v1/machines/{machine}/credentials");
        let ask = async |broker: &Broker, token: &str| broker.post(&path, token, &json!({})).await;
        assert_eq!(ask(&broker, &cast.requester).await.code(), "not_delivered");
        // A row for each, of which nothing can be read without the key.
        let mut sql = Sql::reading(&setup.database_url).await;
        let kept = "select count(*) from machine_secrets";
        assert_eq!(sql.number(kept).await, 2);

        broker.kill();
        broker = Broker::start(setup.clone()).await;
        succeeded(&broker, &cast, &operation, SOON).await;
        assert_eq!(machines(&broker, &cast, &id).await[0]["database"]["credentials"], "waiting");
        for token in [&cast.authority, &cast.operator, &cast.auditor] {
            assert_eq!(ask(&broker, token).await.code(), "forbidden");
        }
        assert_eq!(ask(&broker, &cast.other_requester).await.code(), "not_found");

        // Many ask at once, and nothing is written before all have seen that it is there: one gets it.
        let mut lock = Sql::writing(&setup.database_url).await;
        let statements: &[_] = match on {
            On::Sqlite => &["begin immediate"],
            On::Postgres => &["begin", "lock table machine_secrets in share row exclusive mode"],
        };
        for statement in statements {
            lock.run(statement).await;
        }
        let asked = futures_util::future::join_all((0..16).map(|_| ask(&broker, &cast.requester)));
        let release = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            lock.run("commit").await
        };
        let (answers, _) = tokio::join!(asked, release);
        let mut given = Vec::new();
        for answer in answers {
            match answer.status.as_u16() {
                200 => given.push(answer.body),
                409 => assert_eq!(answer.code(), "credentials_handed_over"),
                other => panic!("{other}: {answer:?}"),
            }
        }
        let [credentials] = &given[..] else { panic!("{on:?}: {} were given it", given.len()) };
        let password = text(credentials, "/password");
        assert!(password.len() >= 24 && password.bytes().all(|b| b.is_ascii_alphanumeric()), "{password}");
        let shown = machines(&broker, &cast, &id).await;
        let database = &shown[0]["database"];
        for key in ["database", "role", "port"] {
            assert_eq!(credentials[key], database[key], "{key}");
        }
        assert_eq!((&credentials["address"], &credentials["engine"]), (&shown[0]["address"], &json!("postgresql")));
        assert_eq!(text(database, "/role"), text(&shown[0], "/name").replace('-', "_"));
        assert_eq!(
            (&database["credentials"], &shown[1]["database"]["credentials"]),
            (&json!("handed_over"), &json!("waiting"))
        );
        assert_eq!(sql.number(kept).await, 1);
        assert_eq!(ask(&broker, &cast.requester).await.code(), "credentials_handed_over");
        let records = "select detail from audit where action = 'machine.credentials'";
        let records = plain::texts(&setup.database_url, records).await;
        assert_eq!(records.len(), 1, "{records:?}");
        assert!(records[0].contains(&text(database, "/role")), "{records:?}");

        // By the command line, as a table; the second machine has a password of its own.
        let other = text(&shown[1], "/id");
        let out = setup.cli(Some(&broker), &cast.requester, &["machine", "credentials", &other]);
        let table = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success() && table.contains("口令") && !table.contains(&password), "{table}");
        let second = table.lines().find_map(|line| line.trim().strip_prefix("口令")).expect("a line").trim().to_owned();
        let out = setup.cli(Some(&broker), &cast.requester, &["machine", "credentials", &other]);
        assert_eq!(out.status.code(), Some(4), "{}", String::from_utf8_lossy(&out.stderr));

        // Nowhere: neither as it is, nor as it was on its way.
        let (log, dump) = (log(&setup), dump(&setup));
        assert!(log.contains("machine.step.done") && holds(&dump, &machine));
        for password in [&password, &second] {
            let encoded = STANDARD.encode(format!("password={password}\n"));
            for form in [password.as_str(), &encoded, &STANDARD.encode(password)] {
                assert!(!log.contains(form) && !holds(&dump, form), "{on:?}: it stands in the log or the database");
            }
        }

        // No database, no password.
        let id = submit(&broker, &cast, &broker::request()).await;
        let operation = approve(&broker, &cast, &id).await;
        succeeded(&broker, &cast, &operation, SOON).await;
        let bare = machines(&broker, &cast, &id).await[0].clone();
        assert!(bare["database"].is_null() && bare["image"] == "test-image", "{bare:#}");
        let path = format!("/v1/machines/{}/credentials", text(&bare, "/id"));
        assert_eq!(broker.post(&path, &cast.requester, &json!({})).await.code(), "no_database");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_built_anew_has_a_new_password_and_one_undone_has_none() {
    for on in On::BOTH {
        let setup = Setup::new(on).with("JIYUE_LISTING_SECONDS", "3600");
        let (broker, cast) = furnished(setup.clone()).await;
        let id = submit(&broker, &cast, &request("db", 1)).await;
        let operation = approve(&broker, &cast, &id).await;
        succeeded(&broker, &cast, &operation, SOON).await;
        let machine = text(&machines(&broker, &cast, &id).await[0], "/id");
        let hand_over =
            async || broker.post(&format!("/v1/machines/{machine}/credentials"), &cast.requester, &json!({})).await;
        let first = text(&hand_over().await.expect(200), "/password");
        assert_eq!(hand_over().await.code(), "credentials_handed_over");

        let mut sql = Sql::writing(&setup.database_url).await;
        while sql.number("select count(*) from hosts where listed_at is not null").await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sql.run("update hosts set contact = 'unknown', contact_since = 1").await;
        let word = json!({"name": "sim", "reason": "值班员拔了电源"});
        broker.post("/v1/hosts/sim/confirm-fenced", &cast.operator, &word).await.expect(200);
        broker.simulated_host(&cast, "sim2").await;
        let path = format!("/v1/machines/{machine}/rebuild");
        let operation = text(&broker.post(&path, &cast.operator, &json!({})).await.expect(202), "/id");
        succeeded(&broker, &cast, &operation, SOON).await;
        let second = hand_over().await.expect(200);
        assert_ne!(text(&second, "/password"), first, "{on:?}");
        assert_eq!(second["address"], machines(&broker, &cast, &id).await[0]["address"]);

        // Undone while nobody worked on it: its password goes with it.
        let mut paused = broker;
        paused.kill();
        let mut paused = Broker::start(setup.clone().with("JIYUE_WORKER_WIDTH", "0")).await;
        let id = submit(&paused, &cast, &request("gone", 1)).await;
        let operation = approve(&paused, &cast, &id).await;
        assert_eq!(sql.number("select count(*) from machine_secrets").await, 1);
        let cancel = format!("/v1/requests/{id}/cancel");
        paused.post(&cancel, &cast.requester, &json!({"reason": "不要了"})).await.expect(202);
        paused.kill();
        let broker = Broker::start(setup.clone()).await;
        broker.finished(&operation, &cast.authority, SOON).await;
        assert_eq!(sql.number("select count(*) from machine_secrets").await, 0, "{on:?}");
        let gone = text(&machines(&broker, &cast, &id).await[0], "/id");
        let path = format!("/v1/machines/{gone}/credentials");
        assert_eq!(broker.post(&path, &cast.requester, &json!({})).await.code(), "machine_state");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_image_that_becomes_the_database_nothing_is_approved() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.simulated_host(&cast, "sim").await;
    broker.image(&cast, raw_image()).await;
    let id = submit(&broker, &cast, &request("db", 1)).await;
    let path = format!("/v1/requests/{id}/approve");
    let attempt = async || broker.post(&path, &cast.authority, &json!({})).await;
    let refused = attempt().await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "image_missing"));
    let detail = text(&refused.body, "/detail");
    assert!(detail.contains("jiyue image import 文件 --os debian-12 --database postgresql-15"), "{detail}");

    // The real system would do, but these machines are too small for it.
    let (status, _) = import(&broker, &cast, "name=Debian", image(2)).await;
    assert_eq!(status, 201);
    let refused = attempt().await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "size_below_database"));
    assert!(text(&refused.body, "/detail").contains("内存 1 GiB、磁盘 4 GiB"), "{refused:?}");

    // An image says what is in it, and only of what the catalogue offers.
    for word in ["MySQL 5.7", "无", "达梦"] {
        let (status, refused) = import(&broker, &cast, &format!("name=x&database={word}"), image(3)).await;
        assert_eq!((status, refused["code"].as_str()), (422, Some("database_not_in_catalogue")), "{word}");
    }
    let (status, _) = import(&broker, &cast, "name=pg&database=postgresql-15&stand_in=true", image(1)).await;
    assert_eq!(status, 201);
    let (status, again) = import(&broker, &cast, "name=pg&stand_in=true", image(1)).await;
    assert_eq!((status, again["code"].as_str()), (409, Some("image_known")));
    let operation = text(&attempt().await.expect(202), "/id");
    succeeded(&broker, &cast, &operation, SOON).await;
    let made = &machines(&broker, &cast, &id).await[0];
    assert_eq!(
        (&made["image"], &made["stand_in"], &made["database"]["db_type"]),
        (&json!("pg"), &json!(true), &json!("postgresql-15"))
    );
    // A machine for a database stays large enough for it.
    let path = format!("/v1/machines/{}/resize", text(made, "/id"));
    let refused = broker.post(&path, &cast.authority, &json!({"memory_bytes": 128 << 20})).await;
    assert_eq!(refused.code(), "size_refused");
    assert!(text(&refused.body, "/detail").contains("192 MiB"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_the_wrong_key_does_not_start_and_says_why() {
    let setup = Setup::new(On::Sqlite);
    let key = setup.folder.join("secret.key");
    let (mut broker, cast) = furnished(setup.clone().with("JIYUE_WORKER_WIDTH", "0")).await;
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let id = submit(&broker, &cast, &request("db", 1)).await;
    approve(&broker, &cast, &id).await;
    broker.kill();
    let good = std::fs::read(&key).unwrap();
    let refused = |why: &str| {
        let mut broker = Broker::spawn(setup.clone());
        assert!(broker.died(SOON), "it starts all the same");
        let log = log(&setup);
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains("secret_key_file") && last.contains(why), "{last}");
        assert!(!log.contains(String::from_utf8_lossy(&good).trim()), "the key is in the log");
    };
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("chmod 600");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, "AAAA\n").unwrap();
    refused("不是一把密钥");
    // Lost: another one is made, and it cannot open what is kept.
    std::fs::remove_file(&key).unwrap();
    refused("不是封存数据库里那 1 个口令的密钥");
    std::fs::write(&key, &good).unwrap();
    Broker::start(setup).await;
}

/// Every file of the pool with these bytes in it.
fn files_with(pool: &Path, secret: &str) -> Vec<String> {
    let files = std::fs::read_dir(pool).expect("the pool").map(|file| file.unwrap().path());
    // Base images are the same for everybody, and large.
    let ours = files.filter(|file| !file.file_name().unwrap().to_string_lossy().starts_with("image-"));
    ours.filter(|file| holds(&std::fs::read(file).expect("a volume"), secret))
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_real_database_answers_keeps_its_data_and_its_password_is_on_no_disk() {
    let site = Site::new();
    let setup = Setup::new(On::Sqlite).with("JIYUE_SHUTDOWN_SECONDS", "20").with("JIYUE_LOG_FILTER", "trace");
    // With crash points in the binary it is killed around each step that has to do with the password: there are so many
    // seeds with one afterwards.
    let kills: &[(&str, usize)] = if cfg!(feature = "crash-points") {
        &[("build.0.seed", 1), ("build.0.answer", 1), ("build.0.cleared", 0)]
    } else {
        &[]
    };
    let doomed = |kill: usize| match kills.get(kill) {
        Some((point, _)) => setup.clone().with("JIYUE_CRASH_AT", point),
        None => setup.clone(),
    };
    let mut broker = Broker::start(doomed(0)).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
    let image = std::fs::read(postgresql_guest()).expect("the guest's image");
    let (status, _) = import(&broker, &cast, "name=pg-guest&database=postgresql-15&stand_in=true", image).await;
    assert_eq!(status, 201);
    let (key, mut block) = (Key::new(), request("db", 1));
    block["ssh_keys"] = json!([key.public()]);
    let id = submit(&broker, &cast, &block).await;
    let began = Instant::now();
    let operation = approve(&broker, &cast, &id).await;
    let pool = site.pool_path();
    let pool = Path::new(&pool);
    let mut sql = Sql::reading(&setup.database_url).await;
    let kept = "select sealed from machine_secrets";
    let sealed = sql.column(kept).await;
    assert_eq!(sealed.len(), 1);
    for (n, (point, seeds)) in kills.iter().enumerate() {
        assert!(broker.died(BOOT), "the broker did not come to {point}");
        eprintln!("{point} after {:.1?}", began.elapsed());
        assert_eq!(files_with(pool, "/etc/jiyue/database.conf").len(), *seeds, "{point}");
        assert_eq!(sql.column(kept).await, sealed, "{point}: it is another password");
        // The next one may be dead before it is ready.
        broker = Broker::spawn(doomed(n + 1));
    }
    broker.ready().await;
    succeeded(&broker, &cast, &operation, BOOT).await;
    eprintln!("delivered after {:.1?}", began.elapsed());
    let machine = machines(&broker, &cast, &id).await[0].clone();
    let uuid = text(&machine, "/id");
    assert_eq!(files_with(pool, "/etc/jiyue/database.conf"), [""; 0]);

    let path = format!("/v1/machines/{uuid}/credentials");
    let given = broker.post(&path, &cast.requester, &json!({})).await.expect(200);
    let (role, password) = (text(&given, "/role"), text(&given, "/password"));
    let client = Client { address: text(&given, "/address"), database: text(&given, "/database") };
    let ask = |sql: &str| client.run(&role, &password, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    ask(
        "create table kept (n int primary key, t text); insert into kept select n, md5(n::text) from generate_series(1, 1000) n",
    );
    let sum = "select md5(string_agg(t, '' order by n)) || count(*) from kept";
    let before = ask(sum);
    assert_eq!(ask("select current_setting('server_version_num')::int / 10000"), "15");
    assert!(client.run(&role, "not-the-password", "select 1").unwrap_err().contains("password authentication failed"));

    // Stopped, given more memory and disk while off, and started: it has its data, and room for more.
    let act = async |act: &str, body: &Value| {
        let (method, path) = (Method::POST, format!("/v1/machines/{uuid}/{act}"));
        let token = if act == "resize" { &cast.authority } else { &cast.requester };
        let operation = text(&broker.call(method, &path, token, Some(body)).await.expect(202), "/id");
        succeeded(&broker, &cast, &operation, BOOT).await;
    };
    let name = text(&machine, "/name");
    let small = guest::capacity(&name, "/state");
    act("stop", &json!({})).await;
    assert!(client.run(&role, &password, "select 1").is_err());
    act("resize", &json!({"memory_bytes": 256 << 20, "disk_bytes": 2_u64 << 30})).await;
    let started = Instant::now();
    act("start", &json!({})).await;
    eprintln!("again after {:.1?}", started.elapsed());
    assert_eq!(ask(sum), before);
    let large = guest::capacity(&name, "/state");
    assert!(large > small + (9 << 30) / 10, "{small} {large}");
    assert_eq!(ask("select 1 + 1"), "2");

    assert_eq!(site.faults(&mut sql).await, Vec::<String>::new());
    let conf = format!("database={}\nrole={role}\npassword={password}\n", client.database);
    let console = broker.get(&format!("/v1/machines/{uuid}/log"), &cast.requester).await.expect(200);
    assert!(console.as_str().is_some_and(|text| text.contains("POSTGRES READY") && !text.contains(&password)));
    // Whoever has lost it makes another one, as the broker's own words say.
    let renewed = "Renewed2Renewed3Renewed4";
    let alter = format!("alter role \"{role}\" password '{renewed}';\n");
    assert_eq!(key.run(&client.address, "su postgres -c psql", &alter).as_deref(), Ok("ALTER ROLE"));
    assert!(client.run(&role, &password, "select 1").is_err());
    assert_eq!(client.run(&role, renewed, "select 2").as_deref(), Ok("2"));

    let domains: String = site.domains().into_values().map(|domain| domain.xml).collect();
    assert!(domains.contains(&name));
    assert!(log(&setup).contains("TRACE"));
    for form in [password.as_str(), &STANDARD.encode(&conf), &STANDARD.encode(&password)] {
        assert!(!domains.contains(form), "the password is in the domain's XML");
        assert_eq!(files_with(pool, form), [""; 0], "the password is on the host's disk");
        assert!(
            !log(&setup).contains(form) && !holds(&dump(&setup), form),
            "the password is in the log or the database"
        );
    }
    eprintln!("all after {:.1?}", began.elapsed());
}
