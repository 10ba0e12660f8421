//! A broker as users run it: the real binary, a port of its own, tokens from its console.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

impl On {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// How a broker is started.
#[derive(Clone, Debug)]
pub struct Setup {
    pub folder: PathBuf,
    pub database_url: String,
    /// More settings, as in `("JIYUE_WORKER_WIDTH", "0")`.
    pub env: Vec<(String, String)>,
}

impl Setup {
    pub fn new(on: On) -> Self {
        let folder = super::scratch("broker");
        let database_url = match on {
            On::Sqlite => format!("sqlite:{}", folder.join("jiyue.db").display()),
            On::Postgres => super::postgres::shared().fresh(),
        };
        Self { folder, database_url, env: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sources of usage that nobody answers for, asked once an hour.
    #[must_use]
    pub fn with_silent_sources(self, names: &[&str]) -> Self {
        let block = |name: &&str| {
            format!("[[usage_source]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:1\"\nkind = \"node_exporter\"\n")
                + "interval_seconds = 3600\n"
        };
        let config: String = names.iter().map(block).collect();
        std::fs::write(self.folder.join("config.toml"), config).expect("a configuration");
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jiyue"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("JIYUE_DATABASE_URL", &self.database_url)
            .env("JIYUE_IMAGE_FOLDER", self.folder.join("images"))
            .env("JIYUE_SECRET_KEY_FILE", self.folder.join("secret.key"))
            // Whoever runs the tests may speak English, and have contexts.
            .env("LC_ALL", "zh_CN.UTF-8")
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env("JIYUE_ALLOW_SIMULATED_HOSTS", "true")
            .env("JIYUE_WORKER_POLL_MILLIS", "100")
            .env("JIYUE_WORKER_LEASE_SECONDS", "2")
            .envs(self.env.iter().cloned());
        command
    }

    /// The broker's own program, for what is neither the usual service nor the usual command line.
    pub fn program(&self) -> Command {
        self.command()
    }

    /// The command line, against nothing or against `server`.
    pub fn cli(&self, server: Option<&Broker>, token: &str, args: &[&str]) -> std::process::Output {
        let mut command = self.command();
        if let Some(broker) = server {
            command.env("JIYUE_SERVER", &broker.url);
        }
        command.env("JIYUE_TOKEN", token).args(args).output().expect("jiyue runs")
    }

    /// A token from the console.
    pub fn token(&self, args: &[&str]) -> String {
        let mut all = vec!["token", "create"];
        all.extend(args);
        let out = self.command().args(all).output().expect("jiyue runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
}

/// A running broker; killed by its pid when dropped.
pub struct Broker {
    pub setup: Setup,
    pub url: String,
    child: Child,
    http: reqwest::Client,
}

/// An answer: status and JSON (or null).
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }

    #[track_caller]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_else(|| panic!("not a problem: {self:?}"))
    }
}

impl Broker {
    /// Starts one and waits until it is ready.
    pub async fn start(setup: Setup) -> Self {
        let this = Self::spawn(setup);
        this.ready().await;
        this
    }

    /// Starts one without waiting: for tests in which it dies early.
    pub fn spawn(setup: Setup) -> Self {
        jiyue::client::install_ciphers();
        let port = super::free_port();
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(setup.folder.join("serve.log")).expect("a log");
        let mut command = setup.command();
        command.arg("serve");
        let config = setup.folder.join("config.toml");
        if config.exists() {
            command.arg("--config").arg(config);
        }
        let child = command
            .env("JIYUE_LISTEN", format!("127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("jiyue serves");
        Self { setup, url: format!("http://127.0.0.1:{port}"), child, http: crate::support::http() }
    }

    pub async fn ready(&self) {
        let began = Instant::now();
        let gone = format!("/proc/{}/cmdline", self.pid());
        while !matches!(self.http.get(format!("{}/readyz", self.url)).send().await, Ok(r) if r.status().is_success()) {
            let log = std::fs::read_to_string(self.setup.folder.join("serve.log")).unwrap_or_default();
            let alive = std::fs::read(&gone).is_ok_and(|line| !line.is_empty());
            assert!(alive && began.elapsed() < Duration::from_secs(90), "the broker is not ready:\n{log}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.setup.folder.join("serve.log")).unwrap_or_default()
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Waits until it has died by itself.
    pub fn died(&mut self, limit: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            if self.child.try_wait().expect("a child").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub async fn call(&self, method: Method, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.expect("the broker answers");
        let status = response.status();
        let text = response.text().await.expect("a body");
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, token, Some(body)).await
    }

    /// Polls an operation until it has ended.
    pub async fn finished(&self, id: &str, token: &str, limit: Duration) -> Value {
        let began = Instant::now();
        loop {
            let operation = self.get(&format!("/v1/operations/{id}"), token).await.expect(200);
            if !operation["finished_at"].is_null() {
                return operation;
            }
            assert!(began.elapsed() < limit, "not finished: {operation:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The usual people: an authority, an operator, an auditor and a requester of each of two departments.
pub struct Cast {
    pub authority: String,
    pub operator: String,
    pub auditor: String,
    pub requester: String,
    pub other_requester: String,
}

impl Cast {
    pub async fn arrive(broker: &Broker) -> Self {
        let setup = &broker.setup;
        let person = |login: &str, role: &str| {
            setup.token(&["--person", login, "--name", login, "--unit", "区信息办", "--role", role])
        };
        let (authority, operator, auditor) =
            (person("wang", "authority"), person("ops", "operator"), person("audit", "auditor"));
        for (code, name) in [("mzj", "相城区民政局"), ("jyj", "相城区教育局")] {
            broker.post("/v1/departments", &authority, &json!({"code": code, "name": name})).await.expect(201);
        }
        let requester = |login: &str, code: &str| {
            setup.token(&["--person", login, "--name", login, "--role", "requester", "--department", code])
        };
        let (requester, other_requester) = (requester("zhang", "mzj"), requester("li", "jyj"));
        Self { authority, operator, auditor, requester, other_requester }
    }
}

/// The sample task book, for changing.
pub fn task_book() -> Value {
    serde_saphyr::from_str(include_str!("../../../samples/task-book.yaml")).expect("the sample is YAML")
}

/// The sample request, for changing.
pub fn request() -> Value {
    serde_saphyr::from_str(include_str!("../../../samples/request.yaml")).expect("the sample is YAML")
}

/// A tiny raw image with nothing but a boot sector's mark: enough for simulated hosts.
pub fn raw_image() -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

/// One MiB of disk with a boot sector that halts (`cli; hlt; jmp` back): a guest that costs next to nothing.
pub fn halting_image() -> Vec<u8> {
    let mut image = vec![0; 1 << 20];
    image[..4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

impl Broker {
    /// Task book, one simulated host with ample room, and an image: ready for approvals.
    pub async fn furnish(&self, cast: &Cast) {
        self.post("/v1/task-books", &cast.authority, &task_book()).await.expect(201);
        self.simulated_host(cast, "sim").await;
        self.image(cast, raw_image()).await;
    }

    pub async fn simulated_host(&self, cast: &Cast, name: &str) {
        let host = json!({"name": name, "uri": "simulated:", "zones": [
            {"zone": "government_extranet", "network": "n1", "bridge": "b1", "cidr": "10.0.0.0/8"}]});
        self.post("/v1/hosts", &cast.operator, &host).await.expect(201);
    }

    pub async fn image(&self, cast: &Cast, bytes: Vec<u8>) {
        let url = format!("{}/v1/images?name=test-image&os_type=debian-12&stand_in=true", self.url);
        let response = self.http.post(url).bearer_auth(&cast.operator).body(bytes).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 201, "{}", response.text().await.unwrap_or_default());
    }
}
