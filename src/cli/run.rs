//! Carries out what speaks HTTP: one call per command, its answer to the screen.

use super::{
    AlarmCommand, DepartmentCommand, Exit, FormArg, Global, HostAddArgs, HostCommand, ImageCommand, LedgerCommand,
    ListArgs, MachineCommand, OperationCommand, RemoteCommand, RequestCommand, TaskBookCommand, WaitArg, document,
    forms,
    output::Screen,
    placement,
    problem::Failure,
    tables::{self, Kind},
    upload, watch,
};
use crate::client::{Answer, Client};
use serde_json::{Value, json};
use std::{io::Write as _, process::ExitCode};

/// Runs one command against the server, and tells on the screen how it went.
pub async fn run(global: &Global, command: RemoteCommand) -> ExitCode {
    let screen = Screen::detect(global.output);
    let exit = match execute(global, &screen, command).await {
        Ok(()) => Exit::Done,
        Err(failure) => {
            screen.fail(&failure);
            failure.exit()
        }
    };
    exit.into()
}

async fn execute(global: &Global, screen: &Screen, command: RemoteCommand) -> Result<(), Failure> {
    let token = global.token.as_ref().map(super::Secret::reveal).filter(|token| !token.is_empty());
    if let RemoteCommand::Request(RequestCommand::Check { form, offline, profile }) = &command
        && (*offline || token.is_none())
    {
        return forms::check(form, profile, screen);
    }
    let token = token.ok_or(Failure::MissingToken)?;
    let session = Session { client: Client::new(&global.server, Some(token))?, screen };
    match command {
        RemoteCommand::Department(command) => session.department(command).await,
        RemoteCommand::TaskBook(command) => session.task_book(command).await,
        RemoteCommand::Host(command) => session.host(command).await,
        RemoteCommand::Placement(command) => placement::run(&session.client, screen, command).await,
        RemoteCommand::Alarm(command) => session.alarm(command).await,
        RemoteCommand::Image(command) => session.image(command).await,
        RemoteCommand::Request(command) => session.request(command).await,
        RemoteCommand::Machine(command) => session.machine(command).await,
        RemoteCommand::Operation(command) => session.operation(command).await,
        RemoteCommand::Ledger(LedgerCommand::Verify) => session.ledger().await,
    }
}

struct Session<'a> {
    client: Client,
    screen: &'a Screen,
}

impl Session<'_> {
    async fn department(&self, command: DepartmentCommand) -> Result<(), Failure> {
        match command {
            DepartmentCommand::Create { code, name } => {
                let answer = self.client.post(&["departments"], &json!({"code": code, "name": name})).await?;
                Ok(self.screen.done(&format!("已登记 {name}（{code}）"), &answer.body)?)
            }
            DepartmentCommand::List(list) => self.list(Kind::Department, "departments", &[], list).await,
        }
    }

    /// A request as its file is, or as the document that it holds.
    async fn hand_in(&self, path: &[&str], form: &FormArg) -> Result<Answer, Failure> {
        if form.goes_as_file() {
            return forms::send(&self.client, path, form).await;
        }
        Ok(self.client.post(path, &document::read(&form.file)?).await?)
    }

    async fn task_book(&self, command: TaskBookCommand) -> Result<(), Failure> {
        match command {
            TaskBookCommand::Import(file) => {
                let answer = self.client.post(&["task-books"], &document::read(&file.file)?).await?;
                self.made("任务书已入库", Kind::TaskBook, &answer.body)
            }
            TaskBookCommand::List(list) => self.list(Kind::TaskBook, "task-books", &[], list).await,
            TaskBookCommand::Show(target) => self.show(Kind::TaskBook, "task-books", &target.id).await,
            TaskBookCommand::Revoke { target, reason } => {
                let path = ["task-books", &target.id, "revoke"];
                let answer = self.client.post(&path, &json!({"reason": reason})).await?;
                Ok(self.screen.done("任务书已撤销；已批准的不受影响，不能再批新的", &answer.body)?)
            }
        }
    }

    async fn host(&self, command: HostCommand) -> Result<(), Failure> {
        match command {
            HostCommand::Add(args) => {
                let body = match &args.file {
                    Some(file) => document::read(file)?,
                    None => host_body(&args),
                };
                let answer = self.client.post(&["hosts"], &body).await?;
                if answer.goes_on() {
                    return self.goes_on(&answer, args.wait).await;
                }
                self.made("宿主机已接入", Kind::Host, &answer.body)
            }
            HostCommand::List(list) => self.list(Kind::Host, "hosts", &[], list).await,
            HostCommand::Show(target) => self.show(Kind::Host, "hosts", &target.id).await,
            HostCommand::Cordon(target) => self.on_host(&target.id, "cordon", "宿主机暂停接收").await,
            HostCommand::Uncordon(target) => self.on_host(&target.id, "uncordon", "宿主机恢复接收").await,
            HostCommand::Drain { target, cancel: true, .. } => {
                self.on_host(&target.id, "cancel-drain", "已停止迁出；宿主机仍暂停接收").await
            }
            HostCommand::Drain { target, wait, .. } => {
                self.on_host(&target.id, "drain", "开始迁出；宿主机暂停接收").await?;
                if wait.wait { watch::drained(&self.client, &target.id, self.screen).await } else { Ok(()) }
            }
            HostCommand::Fence(target) => self.on_host(&target.id, "fence", "隔离命令成功，宿主机按已断电处理").await,
            HostCommand::Readmit(target) => self.on_host(&target.id, "readmit", "宿主机已重新接入").await,
            HostCommand::ConfirmFenced { target, name, reason } => {
                let path = ["hosts", &target.id, "confirm-fenced"];
                let answer = self.client.post(&path, &json!({"name": name, "reason": reason})).await?;
                self.made("已确认断电，它上面的虚拟机可以在别处重建", Kind::Host, &answer.body)
            }
        }
    }

    async fn on_host(&self, id: &str, act: &str, said: &str) -> Result<(), Failure> {
        let answer = self.client.post(&["hosts", id, act], &json!({})).await?;
        self.made(said, Kind::Host, &answer.body)
    }

    async fn alarm(&self, command: AlarmCommand) -> Result<(), Failure> {
        match command {
            AlarmCommand::List { all, list } => {
                let query = if all { vec![("all", "true")] } else { Vec::new() };
                self.list(Kind::Alarm, "alarms", &query, list).await
            }
            AlarmCommand::Acknowledge(target) => {
                let answer = self.client.post(&["alarms", &target.id, "acknowledge"], &json!({})).await?;
                self.made("已知悉", Kind::Alarm, &answer.body)
            }
        }
    }

    async fn image(&self, command: ImageCommand) -> Result<(), Failure> {
        match command {
            ImageCommand::Import(args) => {
                let mut query = vec![("name", args.name.as_str()), ("os_type", args.os_type.as_str())];
                query.extend(args.database.as_deref().map(|database| ("database", database)));
                if args.stand_in {
                    query.push(("stand_in", "true"));
                }
                let answer = upload::image(&self.client, &args.file, &query).await?;
                self.made("镜像已导入", Kind::Image, &answer.body)
            }
            ImageCommand::List(list) => self.list(Kind::Image, "images", &[], list).await,
            ImageCommand::Show { target, watch: true } => {
                let hosts: Value = self.client.get(&["images", &target.id, "hosts"], &[]).await?;
                let mut to = hosts.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                // Where nobody wants it, nothing happens.
                to.retain(|host| host.get("state").and_then(Value::as_str) != Some("absent"));
                watch::distributed(&self.client, &target.id, &to, self.screen).await
            }
            ImageCommand::Show { target, watch: false } => {
                let mut image: Value = self.client.get(&["images", &target.id], &[]).await?;
                // Who may not see hosts sees the image all the same.
                if let (Value::Object(image), Ok(hosts)) =
                    (&mut image, self.client.get::<Value>(&["images", &target.id, "hosts"], &[]).await)
                {
                    image.insert("hosts".to_owned(), hosts.get("items").cloned().unwrap_or_default());
                }
                Ok(self.screen.one(Kind::Image, &image)?)
            }
            ImageCommand::Distribute { target, hosts, wait } => {
                let answer = self.client.post(&["images", &target.id, "distribute"], &json!({"hosts": hosts})).await?;
                if wait.wait {
                    let to = answer.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                    return watch::distributed(&self.client, &target.id, &to, self.screen).await;
                }
                self.screen.done("已安排分发", &answer.body)?;
                Ok(self.screen.note(&format!("看进度：jiyue image show {}", target.id))?)
            }
        }
    }

    async fn request(&self, command: RequestCommand) -> Result<(), Failure> {
        match command {
            RequestCommand::Check { form, .. } => {
                let answer = self.hand_in(&["requests", "check"], &form).await?;
                self.screen.done("可以提交：没有不符合之处（只是检查，什么都没有写入）", &answer.body)?;
                if self.screen.for_people() {
                    self.screen.report(&answer.body)?;
                }
                Ok(())
            }
            RequestCommand::Submit(form) => {
                let answer = self.hand_in(&["requests"], &form).await?;
                if !self.screen.for_people() {
                    return Ok(self.screen.document(&answer.body)?);
                }
                let items = answer.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                self.screen.done(&format!("已提交 {} 份申请，等待审批", items.len()), &answer.body)?;
                for item in &items {
                    self.screen.one(Kind::Request, item)?;
                    let id = item.get("id").and_then(Value::as_str).unwrap_or("ID");
                    self.screen.note(&format!("审批人批准：jiyue request approve {id} --wait"))?;
                }
                Ok(())
            }
            RequestCommand::Original { target, to } => {
                let content = self.client.bytes(&["requests", &target.id, "original"]).await?;
                std::fs::File::create_new(&to).and_then(|mut file| file.write_all(&content))?;
                let answer = json!({"file": to, "size_bytes": content.len()});
                Ok(self.screen.done(&format!("原件已存到 {}", to.display()), &answer)?)
            }
            RequestCommand::Approve { target, comment, wait } => {
                let path = ["requests", &target.id, "approve"];
                let answer = self.client.post(&path, &optional(&[("comment", comment)])).await?;
                self.goes_on(&answer, wait).await
            }
            RequestCommand::Return { target, reason } => {
                let path = ["requests", &target.id, "return"];
                let answer = self.client.post(&path, &json!({"reason": reason})).await?;
                Ok(self.screen.done("申请已退回", &answer.body)?)
            }
            RequestCommand::Cancel { target, reason, wait } => {
                let path = ["requests", &target.id, "cancel"];
                let answer = self.client.post(&path, &optional(&[("reason", reason)])).await?;
                if answer.goes_on() {
                    return self.goes_on(&answer, wait).await;
                }
                Ok(self.screen.done("申请已取消，额度与容量已归还", &answer.body)?)
            }
            RequestCommand::List { state, list } => {
                let query: Vec<_> = state.as_deref().map(|state| ("state", state)).into_iter().collect();
                self.list(Kind::Request, "requests", &query, list).await
            }
            RequestCommand::Show(target) => self.show(Kind::Request, "requests", &target.id).await,
        }
    }

    async fn machine(&self, command: MachineCommand) -> Result<(), Failure> {
        let (act, args) = match command {
            MachineCommand::List { request, state, list } => {
                let query = [("request", request.as_deref()), ("state", state.as_deref())];
                let query: Vec<_> = query.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
                return self.list(Kind::Machine, "machines", &query, list).await;
            }
            MachineCommand::Show(target) => return self.show(Kind::Machine, "machines", &target.id).await,
            MachineCommand::RegisterName(target) => {
                let answer = self.client.post(&["machines", &target.id, "register-name"], &json!({})).await?;
                return self.made("已安排登记；结果见 jiyue machine show", Kind::Machine, &answer.body);
            }
            MachineCommand::Credentials(target) => {
                let answer = self.client.post(&["machines", &target.id, "credentials"], &json!({})).await?;
                if !self.screen.for_people() {
                    return Ok(self.screen.document(&answer.body)?);
                }
                self.made("数据库口令，只此一次：平台不再保存，请现在就记下", Kind::Credentials, &answer.body)?;
                return Ok(self.screen.note("连接：psql -h 地址 -p 端口 -U 角色 -d 数据库，口令在提示时输入")?);
            }
            MachineCommand::Log { target, lines } => {
                let lines = lines.map(|n| n.to_string());
                let query: Vec<_> = lines.as_deref().map(|n| ("lines", n)).into_iter().collect();
                let log = self.client.text(&["machines", &target.id, "log"], &query).await?;
                return Ok(self.screen.raw(&log)?);
            }
            MachineCommand::Start(args) => ("start", args),
            MachineCommand::Stop(args) => ("stop", args),
            MachineCommand::Delete(args) => ("delete", args),
            MachineCommand::Restore(args) => ("restore", args),
            MachineCommand::Reboot(args) => ("reboot", args),
            MachineCommand::Resize { target, vcpu, memory, disk, wait } => {
                let mut body = serde_json::Map::new();
                body.extend(vcpu.map(|n| ("vcpu".to_owned(), n.into())));
                body.extend(memory.map(|bytes| ("memory_bytes".to_owned(), bytes.into())));
                body.extend(disk.map(|bytes| ("disk_bytes".to_owned(), bytes.into())));
                let answer = self.client.post(&["machines", &target.id, "resize"], &Value::Object(body)).await?;
                return self.goes_on(&answer, wait).await;
            }
            MachineCommand::Migrate { target, to, wait } => {
                let answer = self.client.post(&["machines", &target.id, "migrate"], &optional(&[("to", to)])).await?;
                return self.goes_on(&answer, wait).await;
            }
            MachineCommand::Rebuild(args) => ("rebuild", args),
            MachineCommand::Extend { target, until } => {
                let path = ["machines", &target.id, "extend"];
                let answer = self.client.post(&path, &json!({"lease_end": until})).await?;
                return self.made("期限已延长", Kind::Machine, &answer.body);
            }
        };
        let answer = self.client.post(&["machines", &args.target.id, act], &json!({})).await?;
        self.goes_on(&answer, args.wait).await
    }

    async fn operation(&self, command: OperationCommand) -> Result<(), Failure> {
        match command {
            OperationCommand::List(list) => self.list(Kind::Operation, "operations", &[], list).await,
            OperationCommand::Show(target) => self.show(Kind::Operation, "operations", &target.id).await,
            OperationCommand::Watch(target) => self.follow(&target.id).await,
        }
    }

    async fn ledger(&self) -> Result<(), Failure> {
        let ledger: Value = self.client.get(&["ledger"], &[]).await?;
        let consistent = ledger.get("consistent") == Some(&Value::Bool(true));
        if !self.screen.for_people() {
            self.screen.document(&ledger)?;
        } else if consistent {
            self.screen.done("账目一致：按明细重算，与任务书额度、宿主机容量的账都对得上", &ledger)?;
        } else {
            let parts = [
                ("账上的数与明细不符", "differences", &tables::DIFFERENCE[..]),
                ("虚拟机的状态与占用不符", "contradictions", &tables::CONTRADICTION[..]),
            ];
            for (title, key, columns) in parts {
                let rows = ledger.get(key).and_then(Value::as_array).filter(|rows| !rows.is_empty());
                if let Some(rows) = rows {
                    self.screen.section(title, columns, rows)?;
                }
            }
        }
        if consistent { Ok(()) } else { Err(Failure::Differences) }
    }

    async fn list(&self, kind: Kind, path: &str, query: &[(&str, &str)], list: ListArgs) -> Result<(), Failure> {
        Ok(self.screen.list(kind, &self.client.list(&[path], &list.filter(query)).await?)?)
    }

    async fn show(&self, kind: Kind, path: &str, id: &str) -> Result<(), Failure> {
        Ok(self.screen.one(kind, &self.client.get(&[path, id], &[]).await?)?)
    }

    /// Something new: a line that says so, then its sheet.
    fn made(&self, said: &str, kind: Kind, body: &Value) -> Result<(), Failure> {
        self.screen.done(said, body)?;
        if self.screen.for_people() {
            self.screen.one(kind, body)?;
        }
        Ok(())
    }

    /// A long act has begun: follow it, or say how to.
    async fn goes_on(&self, answer: &Answer, wait: WaitArg) -> Result<(), Failure> {
        let id = answer.body.get("id").and_then(Value::as_str);
        let id = id.or_else(|| answer.location.as_deref().and_then(|location| location.rsplit('/').next()));
        let Some(id) = id else { return Ok(self.screen.done("已办", &answer.body)?) };
        if wait.wait {
            return self.follow(id).await;
        }
        self.screen.done(&format!("已受理，操作 {id}"), &answer.body)?;
        Ok(self.screen.note(&format!("看进度：jiyue operation watch {id}"))?)
    }

    /// Until the end; scripts get the finished operation whether it went well or not.
    async fn follow(&self, id: &str) -> Result<(), Failure> {
        let operation = watch::follow(&self.client, id, self.screen).await?;
        let went = watch::succeeded(&operation);
        if !self.screen.for_people() {
            self.screen.document(&operation)?;
        } else if went.is_ok() {
            self.screen.done("操作已完成", &operation)?;
            let (kind, what) = self.result(&operation).await;
            self.screen.one(kind, &what)?;
        }
        went
    }

    /// What the operation was about, as it is now: people wait for the machines' addresses, not for the operation. The
    /// operation itself where that cannot be read, since it did succeed.
    async fn result(&self, operation: &Value) -> (Kind, Value) {
        let places = [("machine_id", "machines", Kind::Machine), ("request_id", "requests", Kind::Request)];
        for (key, path, kind) in places {
            if let Some(id) = operation.get(key).and_then(Value::as_str).filter(|id| !id.is_empty())
                && let Ok(value) = self.client.get(&[path, id], &[]).await
            {
                return (kind, value);
            }
        }
        (Kind::Operation, operation.clone())
    }
}

/// An object of what was given.
fn optional(fields: &[(&str, Option<String>)]) -> Value {
    let given = fields.iter().filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?.into())));
    Value::Object(given.collect())
}

fn host_body(args: &HostAddArgs) -> Value {
    let fields = [("name", &args.name), ("uri", &args.uri), ("pool", &args.pool), ("pool_path", &args.pool_path)];
    let Value::Object(mut body) = optional(&fields.map(|(key, value)| (key, value.clone()))) else {
        return Value::Null;
    };
    let zone = |pairs: &Vec<(&'static str, String)>| {
        Value::Object(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())).collect())
    };
    body.insert("zones".into(), args.zones.iter().map(|z| zone(&z.0)).collect());
    body.extend(args.vcpu_overcommit.map(|n| ("vcpu_overcommit".to_owned(), n.into())));
    body.extend(args.mlps_level.map(|level| ("mlps_level".to_owned(), level.get().into())));
    body.extend(args.memory_reserve.map(|bytes| ("memory_reserve_bytes".to_owned(), bytes.into())));
    Value::Object(body)
}
