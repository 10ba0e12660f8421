//! The broker of the evaluation: task books for the reports that need one, and what else must have happened before.

use super::{
    generate::KEY,
    model::Report,
    online::{self, Before},
};
use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
    raw::{Raw, Reply},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

pub struct Stage {
    pub broker: Broker,
    cast: Cast,
    raw: Raw,
}

type Change = fn(&mut Report, &mut Value, usize);

impl Before {
    /// For a sound report.
    pub const fn unchanged() -> Change {
        |_, _, _| {}
    }
}

impl Stage {
    pub async fn new() -> Self {
        let broker = Broker::start(Setup::new(On::Sqlite).with("JIYUE_WORKER_WIDTH", "0")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let raw = Raw::new(&broker);
        Self { broker, cast, raw }
    }

    /// Makes the world in which the report is handed in.
    pub async fn prepare(&self, report: &mut Report, n: usize, before: Before, change: Change) {
        let number = format!("相信任〔2026〕{}号", 1000 + n);
        report.say("task_book", number.clone());
        let mut book = online::book(report, &number);
        change(report, &mut book, n);
        if before == Before::Nothing {
            return;
        }
        self.broker.post("/v1/task-books", &self.cast.authority, &book).await.expect(201);
        match before {
            Before::Revoked => {
                let path = format!("/v1/task-books/{number}/revoke");
                let reason = json!({"reason": "未能在年内启动建设"});
                self.broker.post(&path, &self.cast.authority, &reason).await.expect(200);
            }
            Before::NameHeld => self.hold(report, &number).await,
            Before::OtherDatabase => {
                let sql = format!(
                    "update task_books set allowed = replace(allowed, '\"none\"', '\"x-db\"') where number = '{number}'"
                );
                plain::run(&self.broker.setup.database_url, &sql).await.expect("the statement is fine");
            }
            Before::Book | Before::Nothing | Before::Submitted => {}
        }
    }

    /// Another project's request takes the first block's name.
    async fn hold(&self, report: &Report, number: &str) {
        let mut request = crate::support::broker::request();
        request["任务书编号"] = json!(number);
        request["域名"] = json!(report.blocks[0].text("domain"));
        request["运行内容"] = json!("另一个系统");
        let made = self.broker.post("/v1/requests", &self.cast.requester, &request).await.expect(201);
        let path = format!("/v1/requests/{}/approve", made["id"].as_str().expect("an id"));
        self.broker.post(&path, &self.cast.authority, &json!({})).await.expect(202);
    }

    /// Hands the file to the check, `again` after it has been submitted.
    pub async fn check(&self, report: &Report, file: &Path, again: bool) -> Reply {
        if again {
            let first = self.send("/v1/requests", report, file).await;
            assert!(first.status < 300, "{first:?}");
        }
        self.send("/v1/requests/check", report, file).await
    }

    async fn send(&self, path: &str, report: &Report, file: &Path) -> Reply {
        let fields = if report.said("ssh_keys").is_some() { json!({}) } else { json!({"ssh_keys": [KEY]}) };
        let boundary = "form-boundary-9f1c";
        let name = file.file_name().expect("a name").to_string_lossy();
        let content = std::fs::read(file).expect("just written");
        let body = [
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n")
                .as_bytes(),
            b"Content-Type: application/octet-stream\r\n\r\n",
            &content,
            format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n")
                .as_bytes(),
            format!("--{boundary}--\r\n").as_bytes(),
        ]
        .concat();
        let (bearer, kind) =
            (format!("Bearer {}", self.cast.requester), format!("multipart/form-data; boundary={boundary}"));
        self.raw.send(Method::POST, path, &[("authorization", &bearer), ("content-type", &kind)], Some(body)).await
    }
}
