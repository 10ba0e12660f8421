//! The service as its machine sees it: TLS with real clients, clients that are slow on purpose, the end, and what it says
//! of itself.

pub mod tls;

use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// A connection of a client that does as it likes.
fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(broker.url.trim_start_matches("http://")).expect("the broker listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    stream
}

/// All that comes until the other side has closed; an error when it does not.
fn read_out(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => return Err(error),
        _ => {}
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn quick(on: On) -> Setup {
    Setup::new(on).with("JIYUE_HTTP_HEADER_SECONDS", "2").with("JIYUE_HTTP_STALL_SECONDS", "2")
}

#[tokio::test]
async fn clients_that_stand_still_are_cut_and_the_others_served() {
    let broker = Broker::start(quick(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    let began = Instant::now();
    // Three hundred that send a byte of their head now and then, which never ends.
    let slow: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = connect(&broker);
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").expect("sent");
            stream
        })
        .collect();
    let drips: Vec<_> = slow.iter().map(|stream| stream.try_clone().expect("a handle")).collect();
    let dripping = std::thread::spawn(move || {
        for _ in 0..20 {
            for mut stream in &drips {
                let _ = stream.write_all(b"x: y\r\n");
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    });
    // One whose body does not come, and one whose body comes by the byte.
    let body = |pieces: u32| {
        let (mut stream, token) = (connect(&broker), cast.authority.clone());
        std::thread::spawn(move || {
            let head = format!(
                "POST /v1/departments HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: \
                 application/json\r\ncontent-length: 500\r\n\r\n{{\"code\": \""
            );
            stream.write_all(head.as_bytes()).expect("sent");
            for _ in 0..pieces {
                let _ = stream.write_all(b"a");
                std::thread::sleep(Duration::from_millis(100));
            }
            let answer = read_out(&mut stream).expect("the broker closes");
            (began.elapsed(), answer)
        })
    };
    let bodies = [body(0), body(40)];
    // Meanwhile everybody else is served, at the usual speed.
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_millis(1900) {
        let asked = Instant::now();
        broker.get("/v1/departments", &cast.authority).await.expect(200);
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    dripping.join().expect("dripped");
    for mut stream in slow {
        read_out(&mut stream).expect("the broker closes");
    }
    let cut = began.elapsed();
    eprintln!("300 slow heads were cut after {cut:.1?} at most; the slowest answer to others took {slowest:.1?}");
    assert!(cut > Duration::from_secs(2) && cut < Duration::from_secs(10), "{cut:?}");
    for body in bodies {
        let (cut, answer) = body.join().expect("a client");
        assert!(cut > Duration::from_secs(2) && cut < Duration::from_secs(9), "{cut:?}");
        assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
    }
    assert_eq!(broker.log().matches("http.body.too_slow").count(), 2, "{}", broker.log());
}

#[tokio::test]
async fn what_moves_passes_however_long_it_takes() {
    let broker = Broker::start(quick(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    // An image of 6 MiB for which the client takes longer than any limit; every piece comes in time.
    let (mut stream, token) = (connect(&broker), cast.operator.clone());
    let answer = tokio::task::spawn_blocking(move || {
        let mut image = vec![0_u8; 6 << 20];
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        let head = format!(
            "POST /v1/images?name=slow&os_type=debian-12&stand_in=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \
             {token}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            image.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        for piece in image.chunks(image.len() / 24) {
            stream.write_all(piece).expect("sent");
            std::thread::sleep(Duration::from_millis(200));
        }
        read_out(&mut stream).expect("the broker closes")
    });
    let answer = answer.await.expect("a client");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");

    // A client that does not take its answer is cut, and nobody else notices. The answer is larger than what the kernel
    // keeps for it.
    let (mut deaf, token) = (connect(&broker), cast.operator.clone());
    let call = format!("GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    let began = Instant::now();
    let sent = tokio::task::spawn_blocking(move || {
        deaf.set_write_timeout(Some(Duration::from_secs(15))).expect("a time limit");
        let mut calls = 0;
        while deaf.write_all(call.as_bytes()).is_ok() {
            calls += 1;
        }
        calls
    });
    let calls = sent.await.expect("a client");
    let cut = began.elapsed();
    assert!(calls > 1 && cut < Duration::from_secs(12), "{calls} calls in {cut:?}");
    broker.get("/v1/departments", &cast.authority).await.expect(200);
}

#[tokio::test]
async fn heads_and_bodies_have_their_size() {
    let broker = Broker::start(quick(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    let answer = |head: String| {
        let mut stream = connect(&broker);
        // The broker may have answered and closed before all of it is sent.
        let _ = stream.write_all(head.as_bytes());
        read_out(&mut stream).expect("the broker closes")
    };
    let head = |bytes: usize| {
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(bytes))
    };
    assert!(answer(head(60_000)).starts_with("HTTP/1.1 200"));
    let refused = answer(head(200_000));
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
    let many: String = (0..150).map(|n| format!("x-{n}: y\r\n")).collect();
    let refused = answer(format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{many}\r\n"));
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    // Said to be too large, or found to be.
    let call = format!("POST /v1/departments HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", cast.authority);
    let said = answer(format!(
        "{call}content-type: application/json\r\ncontent-length: 2000000\r\n\r\n{}",
        " ".repeat(2_000_000)
    ));
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 413"), "{said}");
    let found = answer(format!(
        "{call}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n200000\r\n{}\r\n0\r\n\r\n",
        " ".repeat(0x20_0000)
    ));
    assert!(found.is_empty() || found.starts_with("HTTP/1.1 413"), "{found}");
    broker.get("/v1/departments", &cast.authority).await.expect(200);
}

/// The end of a broker, and how long it took.
async fn end(broker: &mut Broker) -> Duration {
    let began = Instant::now();
    while broker.ended().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not end:\n{}", broker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(broker.ended().is_some_and(|status| status.success()), "{}", broker.log());
    began.elapsed()
}

#[tokio::test]
async fn at_the_end_calls_finish_and_nobody_new_is_taken() {
    for on in On::BOTH {
        let mut broker = Broker::start(quick(on)).await;
        let cast = Cast::arrive(&broker).await;
        let (mut upload, token) = (connect(&broker), cast.operator.clone());
        let call = tokio::task::spawn_blocking(move || {
            let mut image = vec![0_u8; 1 << 20];
            image[510..512].copy_from_slice(&[0x55, 0xaa]);
            let head = format!(
                "POST /v1/images?name=last&os_type=debian-12&stand_in=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \
                 {token}\r\ncontent-length: {}\r\n\r\n",
                image.len()
            );
            upload.write_all(head.as_bytes()).expect("sent");
            for piece in image.chunks(image.len() / 8) {
                upload.write_all(piece).expect("sent");
                std::thread::sleep(Duration::from_millis(300));
            }
            read_out(&mut upload).expect("the broker closes")
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        broker.signal("TERM");
        // Whoever distributes calls is told at once, and there is time to hear it.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let told = broker.get("/readyz", "").await;
        assert_eq!(told.code(), "stopping", "{told:?}");
        told.expect(503);
        broker.get("/v1/departments", &cast.authority).await.expect(200);
        tokio::time::sleep(Duration::from_millis(1200)).await;
        TcpStream::connect(broker.url.trim_start_matches("http://")).expect_err("nobody new");
        let answer = call.await.expect("a client");
        assert!(answer.starts_with("HTTP/1.1 201"), "{on:?} {answer}");
        let took = end(&mut broker).await;
        assert!(took < Duration::from_secs(3), "{on:?} {took:?}");
        // What was answered is there.
        let names = plain::texts(&broker.setup.database_url, "select name from images").await;
        assert_eq!(names, ["last"], "{on:?}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_does_not_hold_up_the_end() {
    let mut broker = Broker::start(Setup::new(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    let mut half = connect(&broker);
    half.write_all(b"GET /healthz HTTP/1.1\r\n").expect("sent");
    let mut body = connect(&broker);
    let call = format!(
        "POST /v1/departments HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 500\r\n\r\n{{",
        cast.authority
    );
    body.write_all(call.as_bytes()).expect("sent");
    let idle = connect(&broker);
    tokio::time::sleep(Duration::from_millis(200)).await;
    broker.signal("TERM");
    let took = end(&mut broker).await;
    eprintln!("with clients that hang the broker ended after {took:.1?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(broker.log().contains("http.calls.cut"), "{}", broker.log());
    drop((half, body, idle));
}

#[track_caller]
fn part<'a>(body: &'a Value, name: &str) -> &'a Value {
    let parts = body["parts"].as_array().unwrap_or_else(|| panic!("no parts: {body:#}"));
    parts.iter().find(|part| part["part"] == name).unwrap_or_else(|| panic!("no {name}: {body:#}"))
}

/// Asks until `judge` is content.
async fn until(broker: &Broker, judge: impl Fn(u16, &Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let answer = broker.call(Method::GET, "/readyz", "", None).await;
        if judge(answer.status.as_u16(), &answer.body) {
            return answer.body;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{answer:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        let ready = broker.get("/readyz", "").await.expect(200);
        assert_eq!(ready["status"], "ready");
        assert_eq!(ready["parts"].as_array().map(Vec::len), Some(6));
        // A broker without hosts serves, and says that nothing can be approved.
        let hosts = part(&ready, "hosts");
        assert_eq!((&hosts["ok"], &hosts["required"]), (&json!(false), &json!(false)));
        assert!(hosts["mend"].as_str().is_some_and(|mend| mend.contains("host add")));
        broker.simulated_host(&cast, "sim").await;
        assert_eq!(part(&broker.get("/readyz", "").await.expect(200), "hosts")["ok"], true);

        // The image folder's place is taken by a file.
        let images = broker.setup.folder.join("images");
        let _ = std::fs::remove_dir_all(&images);
        std::fs::write(&images, "x").unwrap();
        let answer = broker.get("/readyz", "").await;
        assert_eq!(answer.code(), "not_ready");
        let body = answer.expect(503);
        assert_eq!((&body["title"], &body["status"]), (&json!("暂时无法服务"), &json!(503)));
        assert_eq!(part(&body, "image_folder")["ok"], false);
        assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("image_folder")), "{body:#}");
        assert_eq!(part(&body, "database")["ok"], true);
        std::fs::remove_file(&images).unwrap();
        broker.get("/readyz", "").await.expect(200);

        // The key is gone: it goes on, and tells.
        let key = broker.setup.folder.join("secret.key");
        let kept = std::fs::read(&key).unwrap();
        std::fs::remove_file(&key).unwrap();
        let body = broker.get("/readyz", "").await.expect(200);
        assert!(part(&body, "secret_key")["ok"] == false && part(&body, "secret_key")["mend"].is_string());
        std::fs::write(&key, kept).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(part(&broker.get("/readyz", "").await.expect(200), "secret_key")["ok"], true);

        // Nobody may write: the tables are set back, or renamed away from under it.
        plain::run(&broker.setup.database_url, "alter table hosts rename to hidden").await.unwrap();
        let body = until(&broker, |status, _| status == 503).await;
        assert_eq!((&part(&body, "write_queue")["ok"], &part(&body, "database")["ok"]), (&json!(false), &json!(true)));
        plain::run(&broker.setup.database_url, "alter table hidden rename to hosts").await.unwrap();
        until(&broker, |status, _| status == 200).await;
        plain::run(&broker.setup.database_url, "delete from _sqlx_migrations where version > 2").await.unwrap();
        let body = until(&broker, |status, _| status == 503).await;
        assert_eq!(part(&body, "database")["ok"], false, "{body:#}");
    }
}

#[tokio::test]
async fn a_broker_does_not_start_with_settings_that_cannot_be_and_names_them_all() {
    let setup = Setup::new(On::Sqlite);
    let file = setup.folder.join("wrong.toml");
    let run = |args: &[&str]| {
        let out = setup.program().args(args).arg("--config").arg(&file).output().expect("jiyue runs");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    std::fs::write(&file, "worker_widht = 1\nlisten = 3\n").unwrap();
    for args in [&["serve"][..], &["serve", "--check"], &["token", "list"]] {
        let (code, told) = run(args);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("worker_widht：") && told.contains("listen："), "{told}");
    }
    std::fs::write(&file, "worker_lease_seconds = 0\nstep_seconds = 0\nfence_command = \"/nowhere\"\n").unwrap();
    // What the environment sets for all brokers of the tests goes before the file.
    for args in [&["serve"][..], &["serve", "--check"]] {
        let (code, told) = run(args);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("step_seconds：0 不在范围内") && told.contains("fence_command："), "{told}");
    }
    std::fs::write(&file, "listen = \"0.0.0.0:8460\"\n").unwrap();
    let (code, told) = run(&["serve", "--check"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("提醒") && told.contains("TLS"), "{told}");
    // Looked at, and nothing made.
    assert!(!setup.folder.join("jiyue.db").exists() && !setup.folder.join("images").exists());
}
