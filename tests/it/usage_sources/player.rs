//! Plays a source that nobody should believe, byte by byte.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What is answered to a call; nothing at all is silence.
type Play = dyn Fn(&str) -> Vec<u8> + Send + Sync;

pub struct Player {
    pub address: String,
    play: Arc<Mutex<Arc<Play>>>,
    pub calls: Arc<AtomicUsize>,
}

/// A whole answer.
pub fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

impl Player {
    pub async fn start(play: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let play: Arc<Mutex<Arc<Play>>> = Arc::new(Mutex::new(Arc::new(play)));
        let player = Self { address, play, calls: Arc::default() };
        let (play, calls) = (player.play.clone(), player.calls.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                calls.fetch_add(1, Ordering::Relaxed);
                let play = play.lock().expect("a play").clone();
                tokio::spawn(answer(stream, play));
            }
        });
        player
    }

    pub fn plays(&self, play: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) {
        *self.play.lock().expect("a play") = Arc::new(play);
    }
}

async fn answer(mut stream: TcpStream, play: Arc<Play>) {
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&part[..n]),
        }
    }
    let line = String::from_utf8_lossy(&head).into_owned();
    let bytes = play(&line);
    if bytes.is_empty() {
        // Until the other side has had enough.
        while matches!(stream.read(&mut part).await, Ok(n) if n > 0) {}
    } else {
        let _ = stream.write_all(&bytes).await;
    }
}

/// What KubeVirt tells of its machines, as it was recorded, its counters at a steady pace since then.
pub fn recording(since: Instant) -> String {
    let passed = since.elapsed().as_secs_f64();
    let grown = |line: &str| -> String {
        let Some((series, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else {
            return line.to_owned();
        };
        let pace = match series {
            _ if series.contains("_seconds_total") => 0.5,
            _ if series.contains("_bytes_total") => 1000.0,
            _ => 0.0,
        };
        format!("{series} {}", value.parse::<f64>().expect("a value") + pace * passed)
    };
    let lines: Vec<_> = include_str!("../../data/kubevirt.prom").lines().map(grown).collect();
    lines.join("\n") + "\n"
}
