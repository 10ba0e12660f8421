//! The acts, by what they are done to: `client.machines().stop(id)`.

use super::{
    Answer, Client, ClientError, Filter, Items, Stream, Tagged,
    types::{
        Advised, Agreement, Alarm, AuditRecord, Credentials, Department, Event, Host, Image, Ledger, Machine,
        Operation, Outcome, Replayed, Report, Request, Rule, Server, Submitted, System, TaskBook, Transfer, Usage,
        UsageImport, UsageSource, Verdict, ZombieFinding, ZombieJudgement,
    },
};
use bytes::Bytes;
use futures_util::TryStream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use std::{io, marker::PhantomData, time::Duration};

/// Between two looks at an operation whose stream cannot be had.
const POLL: Duration = Duration::from_millis(500);

/// All things of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Collection<'c, T> {
    client: &'c Client,
    path: &'static str,
    of: PhantomData<fn() -> T>,
}

impl Client {
    /// 建设单位
    pub fn departments(&self) -> Collection<'_, Department> {
        self.collection("departments")
    }

    /// 项目任务书
    pub fn task_books(&self) -> Collection<'_, TaskBook> {
        self.collection("task-books")
    }

    /// 宿主机
    pub fn hosts(&self) -> Collection<'_, Host> {
        self.collection("hosts")
    }

    /// 镜像
    pub fn images(&self) -> Collection<'_, Image> {
        self.collection("images")
    }

    /// 资源申请
    pub fn requests(&self) -> Collection<'_, Request> {
        self.collection("requests")
    }

    /// 虚拟机
    pub fn machines(&self) -> Collection<'_, Machine> {
        self.collection("machines")
    }

    /// 信息系统
    pub fn systems(&self) -> Collection<'_, System> {
        self.collection("systems")
    }

    /// 僵尸系统判定
    pub fn zombie_findings(&self) -> Collection<'_, ZombieFinding> {
        self.collection("zombie-findings")
    }

    /// 实际用量, of machines and legacy servers.
    pub fn usage(&self) -> Collection<'_, Usage> {
        self.collection("usage")
    }

    /// What measures legacy servers, and how it was when last asked.
    pub fn usage_sources(&self) -> Collection<'_, UsageSource> {
        self.collection("usage-sources")
    }

    /// 判定, one per machine and day.
    pub fn verdicts(&self) -> Collection<'_, Verdict> {
        self.collection("verdicts")
    }

    /// 报告 that are kept.
    pub fn reports(&self) -> Collection<'_, Report> {
        self.collection("reports")
    }

    /// Legacy servers.
    pub fn servers(&self) -> Collection<'_, Server> {
        self.collection("servers")
    }

    /// 操作
    pub fn operations(&self) -> Collection<'_, Operation> {
        self.collection("operations")
    }

    /// 告警
    pub fn alarms(&self) -> Collection<'_, Alarm> {
        self.collection("alarms")
    }

    /// 事件
    pub fn events(&self) -> Collection<'_, Event> {
        self.collection("events")
    }

    /// 审计记录
    pub fn audit_records(&self) -> Collection<'_, AuditRecord> {
        self.collection("audit-records")
    }

    /// 审核规则
    pub fn rules(&self) -> Collection<'_, Rule> {
        self.collection("rules")
    }

    /// 账目, every counter computed anew from its rows.
    pub async fn ledger(&self) -> Result<Ledger, ClientError> {
        self.get(&["ledger"], &[]).await
    }

    /// Where machines would be placed, and why nowhere else: of a request, or of a size.
    pub async fn explain_placement(&self, question: &Value) -> Result<Value, ClientError> {
        Ok(self.post(&["placement", "explain"], question).await?.body)
    }

    fn collection<T>(&self, path: &'static str) -> Collection<'_, T> {
        Collection { client: self, path, of: PhantomData }
    }
}

impl<T: DeserializeOwned> Collection<'_, T> {
    /// Those that the filter lets through.
    pub async fn list(&self, filter: &Filter) -> Result<Items<T>, ClientError> {
        self.client.list(&[self.path], filter).await
    }

    /// One, by its id, or by the name where the server takes names.
    pub async fn show(&self, id: &str) -> Result<T, ClientError> {
        self.client.get(&[self.path, id], &[]).await
    }

    /// One, with the mark that a change of it has to show.
    pub async fn read(&self, id: &str) -> Result<Tagged<T>, ClientError> {
        self.client.get_tagged(&[self.path, id]).await
    }

    async fn act<B: Serialize, R: DeserializeOwned>(&self, id: &str, act: &str, body: &B) -> Result<R, ClientError> {
        let path = [self.path, id, act];
        self.parsed(&path, self.client.post(&path, body).await?)
    }

    async fn change<B: Serialize + ?Sized>(&self, id: &str, etag: &str, change: &B) -> Result<T, ClientError> {
        let path = [self.path, id];
        self.parsed(&path, self.client.patch(&path, etag, change).await?)
    }

    fn parsed<R: DeserializeOwned>(&self, path: &[&str], answer: Answer) -> Result<R, ClientError> {
        let strange = |_| ClientError::Strange { url: self.client.url(path, &[]).to_string(), status: answer.status };
        serde_json::from_value(answer.body).map_err(strange)
    }
}

impl Collection<'_, Department> {
    pub async fn create(&self, code: &str, name: &str) -> Result<Department, ClientError> {
        let answer = self.client.post(&[self.path], &json!({"code": code, "name": name})).await?;
        self.parsed(&[self.path], answer)
    }

    pub async fn rename(&self, id: &str, etag: &str, name: &str) -> Result<Department, ClientError> {
        self.change(id, etag, &json!({"name": name})).await
    }
}

impl Collection<'_, TaskBook> {
    pub async fn import(&self, document: &Value) -> Result<TaskBook, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], document).await?)
    }

    pub async fn revoke(&self, id: &str, reason: &str) -> Result<TaskBook, ClientError> {
        self.act(id, "revoke", &json!({"reason": reason})).await
    }
}

impl Collection<'_, Host> {
    pub async fn add(&self, host: &Value) -> Result<Host, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], host).await?)
    }

    /// `capacity` (`vcpu`, `memory_bytes`, `disk_bytes`), `mlps_level`.
    pub async fn set<B: Serialize + ?Sized>(&self, id: &str, etag: &str, change: &B) -> Result<Host, ClientError> {
        self.change(id, etag, change).await
    }

    pub async fn cordon(&self, id: &str) -> Result<Host, ClientError> {
        self.act(id, "cordon", &json!({})).await
    }

    pub async fn uncordon(&self, id: &str) -> Result<Host, ClientError> {
        self.act(id, "uncordon", &json!({})).await
    }

    pub async fn drain(&self, id: &str) -> Result<Host, ClientError> {
        self.act(id, "drain", &json!({})).await
    }

    pub async fn cancel_drain(&self, id: &str) -> Result<Host, ClientError> {
        self.act(id, "cancel-drain", &json!({})).await
    }

    pub async fn fence(&self, id: &str) -> Result<Host, ClientError> {
        self.act(id, "fence", &json!({})).await
    }

    /// A person's word that it is without power. `name` is the host's, once more.
    pub async fn confirm_fenced(&self, id: &str, name: &str, reason: &str) -> Result<Host, ClientError> {
        self.act(id, "confirm-fenced", &json!({"name": name, "reason": reason})).await
    }

    pub async fn readmit(&self, id: &str) -> Result<Host, ClientError> {
        self.act(id, "readmit", &json!({})).await
    }
}

/// What is said of an image that is sent.
#[derive(Clone, Copy, Debug)]
pub struct NewImage<'a> {
    pub name: &'a str,
    /// The catalogue's code of its operating system.
    pub os_type: &'a str,
    /// The catalogue's code of the database that is in it.
    pub database: Option<&'a str>,
    /// It is not that system itself, and says so wherever it is used.
    pub stand_in: bool,
}

impl Collection<'_, Image> {
    /// Sends a disk image of `length` bytes as they come. Never repeated by itself.
    pub async fn import<S>(&self, image: NewImage<'_>, length: u64, content: S) -> Result<Image, ClientError>
    where
        S: TryStream<Ok = Bytes, Error = io::Error> + Send + 'static,
    {
        let mut query = vec![("name", image.name), ("os_type", image.os_type)];
        query.extend(image.database.map(|database| ("database", database)));
        query.extend(image.stand_in.then_some(("stand_in", "true")));
        self.parsed(
            &[self.path],
            self.client.upload(&[self.path], &query, "application/octet-stream", length, content).await?,
        )
    }

    /// How far it has come on each host.
    pub async fn hosts(&self, id: &str) -> Result<Items<Transfer>, ClientError> {
        self.client.list(&[self.path, id, "hosts"], &Filter::new()).await
    }

    /// To these hosts, or to all that can be reached.
    pub async fn distribute(&self, id: &str, hosts: &[&str]) -> Result<Items<Transfer>, ClientError> {
        self.act(id, "distribute", &json!({"hosts": hosts})).await
    }
}

#[derive(Deserialize)]
struct Outcomes {
    items: Vec<Outcome>,
}

impl Collection<'_, Request> {
    /// What the rules say of a document; nothing is written.
    pub async fn check(&self, document: &Value) -> Result<Value, ClientError> {
        Ok(self.client.post(&[self.path, "check"], document).await?.body)
    }

    pub async fn submit(&self, document: &Value) -> Result<Submitted, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], document).await?)
    }

    /// A file as it is, with the fields that it lacks.
    pub async fn submit_file(&self, name: &str, content: Vec<u8>, fields: &Value) -> Result<Submitted, ClientError> {
        self.parsed(&[self.path], self.client.hand_in(&[self.path], name, content, fields).await?)
    }

    /// The file as it was handed in.
    pub async fn original(&self, id: &str) -> Result<Bytes, ClientError> {
        self.client.bytes(&[self.path, id, "original"]).await
    }

    pub async fn approve(&self, id: &str, comment: Option<&str>) -> Result<Operation, ClientError> {
        self.act(id, "approve", &given(&[("comment", comment)])).await
    }

    /// Gives it back to be changed.
    pub async fn send_back(&self, id: &str, reason: &str) -> Result<Request, ClientError> {
        self.act(id, "return", &json!({"reason": reason})).await
    }

    /// The request, or the operation that takes down what is being built.
    pub async fn cancel(&self, id: &str, reason: Option<&str>) -> Result<Answer, ClientError> {
        self.client.post(&[self.path, id, "cancel"], &given(&[("reason", reason)])).await
    }

    /// Each is decided on its own; at most 200.
    pub async fn approve_many(&self, ids: &[&str], comment: Option<&str>) -> Result<Vec<Outcome>, ClientError> {
        let mut body = given(&[("comment", comment)]);
        body.insert("ids".to_owned(), json!(ids));
        let path = [self.path, "approve"];
        let outcomes: Outcomes = self.parsed(&path, self.client.post(&path, &body).await?)?;
        Ok(outcomes.items)
    }

    /// Each on its own; at most 200.
    pub async fn send_back_many(&self, ids: &[&str], reason: &str) -> Result<Vec<Outcome>, ClientError> {
        let path = [self.path, "return"];
        let answer = self.client.post(&path, &json!({"ids": ids, "reason": reason})).await?;
        let outcomes: Outcomes = self.parsed(&path, answer)?;
        Ok(outcomes.items)
    }
}

impl Collection<'_, Machine> {
    pub async fn start(&self, id: &str) -> Result<Operation, ClientError> {
        self.act(id, "start", &json!({})).await
    }

    pub async fn stop(&self, id: &str) -> Result<Operation, ClientError> {
        self.act(id, "stop", &json!({})).await
    }

    pub async fn reboot(&self, id: &str) -> Result<Operation, ClientError> {
        self.act(id, "reboot", &json!({})).await
    }

    /// To the recycle bin.
    pub async fn delete(&self, id: &str) -> Result<Operation, ClientError> {
        self.act(id, "delete", &json!({})).await
    }

    pub async fn restore(&self, id: &str) -> Result<Operation, ClientError> {
        self.act(id, "restore", &json!({})).await
    }

    pub async fn rebuild(&self, id: &str) -> Result<Operation, ClientError> {
        self.act(id, "rebuild", &json!({})).await
    }

    /// `None` leaves as it is.
    pub async fn resize(
        &self,
        id: &str,
        vcpu: Option<u32>,
        memory_bytes: Option<i64>,
        disk_bytes: Option<i64>,
    ) -> Result<Operation, ClientError> {
        let body = json!({"vcpu": vcpu, "memory_bytes": memory_bytes, "disk_bytes": disk_bytes});
        self.act(id, "resize", &body).await
    }

    /// To this host, or to the one that fits best.
    pub async fn migrate(&self, id: &str, to: Option<&str>) -> Result<Operation, ClientError> {
        self.act(id, "migrate", &given(&[("to", to)])).await
    }

    pub async fn extend(&self, id: &str, lease_end: jiff::civil::Date) -> Result<Machine, ClientError> {
        self.act(id, "extend", &json!({"lease_end": lease_end})).await
    }

    /// `om_unit`.
    pub async fn set<B: Serialize + ?Sized>(&self, id: &str, etag: &str, change: &B) -> Result<Machine, ClientError> {
        self.change(id, etag, change).await
    }

    pub async fn register_name(&self, id: &str) -> Result<Machine, ClientError> {
        self.act(id, "register-name", &json!({})).await
    }

    /// Once, and never again.
    pub async fn credentials(&self, id: &str) -> Result<Credentials, ClientError> {
        self.act(id, "credentials", &json!({})).await
    }

    /// What it has used day by day; `days` is from and to, and may lack either.
    pub async fn usage(&self, id: &str, days: &[(&str, &str)]) -> Result<Usage, ClientError> {
        self.client.get(&[self.path, id, "usage"], days).await
    }

    /// Its verdicts, the last first.
    pub async fn verdicts(&self, id: &str, filter: &Filter) -> Result<Items<Verdict>, ClientError> {
        self.client.list(&[self.path, id, "verdicts"], filter).await
    }

    /// That it may be taken back when it is judged idle, until a day: of the department itself.
    pub async fn agree_reclaim(
        &self,
        id: &str,
        until: jiff::civil::Date,
        reason: Option<&str>,
    ) -> Result<Agreement, ClientError> {
        self.act(id, "agree-reclaim", &json!({"until": until, "reason": reason})).await
    }

    pub async fn withdraw_reclaim(&self, id: &str) -> Result<Agreement, ClientError> {
        self.act(id, "withdraw-reclaim", &json!({})).await
    }

    /// The serial console.
    pub async fn log(&self, id: &str, lines: Option<u32>) -> Result<String, ClientError> {
        let lines = lines.map(|n| n.to_string());
        let query: Vec<_> = lines.as_deref().map(|n| ("lines", n)).into_iter().collect();
        self.client.text(&[self.path, id, "log"], &query).await
    }
}

impl Collection<'_, Usage> {
    /// Sends a history, a CSV of `length` bytes, as it comes; `interval_seconds` is read off it where it is not given.
    pub async fn import<S>(
        &self,
        interval_seconds: Option<u32>,
        length: u64,
        content: S,
    ) -> Result<UsageImport, ClientError>
    where
        S: TryStream<Ok = Bytes, Error = io::Error> + Send + 'static,
    {
        let interval = interval_seconds.map(|seconds| seconds.to_string());
        let query: Vec<_> = interval.iter().map(|seconds| ("interval_seconds", &seconds[..])).collect();
        let path = [self.path, "import"];
        self.parsed(&path, self.client.upload(&path, &query, "text/csv", length, content).await?)
    }

    /// Which machines should be smaller or larger, and which were never used.
    pub async fn advice(&self, filter: &Filter) -> Result<Items<Advised>, ClientError> {
        self.client.list(&[self.path, "advice"], filter).await
    }
}

impl Collection<'_, Report> {
    /// The idle report as of a day, yesterday where none is named; `format` is `json`, `csv` or `xlsx`.
    pub async fn idle(&self, query: &[(&str, &str)]) -> Result<Bytes, ClientError> {
        self.client.bytes_by(&[self.path, "idle"], query).await
    }

    /// One that is kept, byte for byte.
    pub async fn fetch(&self, id: &str, format: &str) -> Result<Bytes, ClientError> {
        self.client.bytes_by(&[self.path, id], &[("format", format)]).await
    }
}

impl Collection<'_, System> {
    pub async fn create(&self, system: &Value) -> Result<System, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], system).await?)
    }

    /// What is null is taken back.
    pub async fn set<B: Serialize + ?Sized>(&self, id: &str, etag: &str, change: &B) -> Result<System, ClientError> {
        self.change(id, etag, change).await
    }

    pub async fn attach(&self, id: &str, machines: &[&str], requests: &[&str]) -> Result<System, ClientError> {
        self.act(id, "attach", &json!({"machines": machines, "requests": requests})).await
    }

    pub async fn detach(&self, id: &str, machines: &[&str], requests: &[&str]) -> Result<System, ClientError> {
        self.act(id, "detach", &json!({"machines": machines, "requests": requests})).await
    }

    pub async fn judge(&self, id: &str) -> Result<ZombieJudgement, ClientError> {
        self.act(id, "judge", &json!({})).await
    }
}

impl Collection<'_, ZombieFinding> {
    pub async fn ask(&self, id: &str, due_on: Option<jiff::civil::Date>) -> Result<ZombieFinding, ClientError> {
        self.act(id, "ask", &json!({"due_on": due_on})).await
    }

    /// `answer` (`agree`, `replaced`, `object`), `reason`, `replaced_by`, `holds`, `denies`.
    pub async fn reply(&self, id: &str, reply: &Value) -> Result<ZombieFinding, ClientError> {
        self.act(id, "reply", reply).await
    }

    pub async fn exempt(
        &self,
        id: &str,
        until: jiff::civil::Date,
        evidence: &str,
    ) -> Result<ZombieFinding, ClientError> {
        self.act(id, "exempt", &json!({"until": until, "evidence": evidence})).await
    }

    pub async fn confirm(&self, id: &str, reason: &str) -> Result<ZombieFinding, ClientError> {
        self.act(id, "confirm", &json!({"reason": reason})).await
    }

    pub async fn dismiss(&self, id: &str, reason: &str) -> Result<ZombieFinding, ClientError> {
        self.act(id, "dismiss", &json!({"reason": reason})).await
    }

    pub async fn file(&self, id: &str, number: Option<&str>) -> Result<ZombieFinding, ClientError> {
        self.act(id, "file", &given(&[("number", number)])).await
    }

    /// The sheet that is filed, an .xlsx.
    pub async fn sheet(&self, id: &str) -> Result<Bytes, ClientError> {
        self.client.bytes(&[self.path, id, "sheet"]).await
    }
}

impl Collection<'_, Server> {
    /// Reads its past from its source; repeating it changes nothing.
    pub async fn replay(
        &self,
        id: &str,
        from: jiff::civil::Date,
        to: jiff::civil::Date,
    ) -> Result<Replayed, ClientError> {
        self.act(id, "replay-usage", &json!({"from": from, "to": to})).await
    }

    /// `name`, `department`, and where they are known `cores`, `memory_bytes`, `source` and `instance`.
    pub async fn create<B: Serialize + ?Sized>(&self, server: &B) -> Result<Server, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], server).await?)
    }

    /// The same fields but the department.
    pub async fn set<B: Serialize + ?Sized>(&self, id: &str, etag: &str, change: &B) -> Result<Server, ClientError> {
        self.change(id, etag, change).await
    }

    /// What it has used day by day; `days` is from and to, and may lack either.
    pub async fn usage(&self, id: &str, days: &[(&str, &str)]) -> Result<Usage, ClientError> {
        self.client.get(&[self.path, id, "usage"], days).await
    }
}

impl Collection<'_, Alarm> {
    pub async fn acknowledge(&self, id: &str) -> Result<Alarm, ClientError> {
        self.act(id, "acknowledge", &json!({})).await
    }
}

impl Collection<'_, Event> {
    /// As they happen, beginning after the one whose id is given, or now.
    pub fn follow(&self, after: Option<&str>) -> Stream {
        let stream = self.client.stream(&[self.path], &[]).endless();
        match after {
            Some(id) => stream.after(id),
            None => stream,
        }
    }
}

impl Collection<'_, Operation> {
    /// Each state that the operation takes, until its last.
    pub fn follow(&self, id: &str) -> Stream {
        self.client.stream(&[self.path, id, "events"], &[])
    }

    /// The operation after it has ended, well or not: by its stream, or by asking where there is none.
    pub async fn wait(&self, id: &str) -> Result<Operation, ClientError> {
        let mut stream = self.follow(id);
        while let Ok(Some(message)) = stream.next().await {
            if let Ok(operation) = serde_json::from_str::<Operation>(&message.data)
                && operation.ended()
            {
                return Ok(operation);
            }
        }
        loop {
            let operation = self.show(id).await?;
            if operation.ended() {
                return Ok(operation);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

mod disks;
mod rooms;
mod waves;

/// An object of what was given.
fn given(fields: &[(&str, Option<&str>)]) -> Map<String, Value> {
    fields.iter().filter_map(|(key, value)| Some(((*key).to_owned(), Value::from((*value)?)))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
