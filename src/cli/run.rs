//! Carries out what speaks HTTP: one call per command, its answer to the screen.

use super::{
    AlarmCommand, AuditCommand, DepartmentCommand, Exit, FormArg, Global, HostAddArgs, HostCommand, ImageCommand,
    LedgerCommand, MachineCommand, OperationCommand, RemoteCommand, ReportCommand, RequestCommand, ServerCommand,
    TaskBookCommand, WaitArg, ZoneArg, changes, decisions, disks, document, events, forms,
    language::{say, tr},
    measured,
    output::Screen,
    placement,
    problem::Failure,
    reports, rooms,
    servers::ServerFacts,
    session::{Session, object},
    systems,
    tables::{self, Kind},
    top, upload, watch, waves, zombies,
};
use crate::{
    client::{Answer, Client},
    labels::Zone,
};
use serde_json::{Map, Value, json};
use std::{io::Write as _, process::ExitCode};

/// Runs one command against the server, and tells on the screen how it went.
pub async fn run(global: &Global, command: RemoteCommand) -> ExitCode {
    if let RemoteCommand::Report(ReportCommand::Idle(args)) = &command
        && args.local
    {
        return reports::here(global, args).await;
    }
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
    let offline = match &command {
        RemoteCommand::Request(RequestCommand::Check { form, offline, profile }) => Some((form, *offline, profile)),
        _ => None,
    };
    if let Some((form, true, profile)) = offline {
        return forms::check(form, profile, screen);
    }
    let chosen = super::contexts::chosen(global)?;
    let Some(token) = chosen.token else {
        return match offline {
            Some((form, _, profile)) => forms::check(form, profile, screen),
            None => Err(Failure::MissingToken),
        };
    };
    let client = Client::builder(&chosen.server).token(token.fetch()?.reveal());
    let client = match &chosen.ca_file {
        Some(path) => {
            let unreadable = |source| document::DocumentError::Read { path: path.clone(), source };
            client.authorities(&std::fs::read(path).map_err(unreadable)?)
        }
        None => client,
    };
    let session = Session { client: client.build()?, screen };
    match command {
        RemoteCommand::Department(command) => session.department(command).await,
        RemoteCommand::TaskBook(command) => session.task_book(command).await,
        RemoteCommand::Host(command) => session.host(command).await,
        RemoteCommand::Placement(command) => placement::run(&session.client, screen, command).await,
        RemoteCommand::Alarm(command) => session.alarm(command).await,
        RemoteCommand::Image(command) => session.image(command).await,
        RemoteCommand::Request(command) => session.request(command).await,
        RemoteCommand::Machine(command) => session.machine(command).await,
        RemoteCommand::Server(command) => session.server(command).await,
        RemoteCommand::Usage(command) => measured::run(&session, command).await,
        RemoteCommand::System(command) => systems::run(&session, command).await,
        RemoteCommand::Zombie(command) => zombies::run(&session, command).await,
        RemoteCommand::DiskImport(command) => disks::run(&session, command).await,
        RemoteCommand::Room(command) => rooms::run(&session, command).await,
        RemoteCommand::Wave(command) => waves::run(&session, command).await,
        RemoteCommand::Blackout(command) => waves::blackout(&session, command).await,
        RemoteCommand::Deadline(command) => rooms::deadline(&session, command).await,
        RemoteCommand::Report(command) => reports::run(&session, command).await,
        RemoteCommand::Top(args) => top::run(&session, args).await,
        RemoteCommand::Operation(command) => session.operation(command).await,
        RemoteCommand::Event(command) => events::event(&session.client, screen, command).await,
        RemoteCommand::Audit(AuditCommand::List(args)) => {
            let (fields, list) = args.parts();
            session.list(Kind::Audit, &["audit-records"], &fields, list).await
        }
        RemoteCommand::Ledger(LedgerCommand::Verify) => session.ledger().await,
    }
}

impl Session<'_> {
    async fn department(&self, command: DepartmentCommand) -> Result<(), Failure> {
        match command {
            DepartmentCommand::Create { code, name } => {
                let answer = self.client.post(&["departments"], &json!({"code": code, "name": name})).await?;
                if !self.screen.for_people() {
                    return Ok(self.screen.one(Kind::Department, &answer.body)?);
                }
                Ok(self.screen.done(&say!("已登记 {name}（{code}）", name, code), &answer.body)?)
            }
            DepartmentCommand::List { name, list } => {
                self.list(Kind::Department, &["departments"], &[("name", name.as_deref())], &list).await
            }
            DepartmentCommand::Show(args) => self.show(Kind::Department, "departments", args).await,
            DepartmentCommand::Rename { target, name } => {
                let change = object(&[("name", Some(name.into()))]);
                let answer = changes::set(&self.client, &["departments", &target.id], change).await?;
                self.made("已改名", Kind::Department, &answer.body)
            }
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
            TaskBookCommand::List { department, number, list } => {
                let fields = [("department", department.as_deref()), ("number", number.as_deref())];
                self.list(Kind::TaskBook, &["task-books"], &fields, &list).await
            }
            TaskBookCommand::Show(args) => self.show(Kind::TaskBook, "task-books", args).await,
            TaskBookCommand::Revoke { target, reason } => {
                let path = ["task-books", &target.id, "revoke"];
                let answer = self.client.post(&path, &json!({"reason": reason})).await?;
                Ok(self.screen.done(tr("任务书已撤销；已批准的不受影响，不能再批新的"), &answer.body)?)
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
            HostCommand::List { state, zone, name, list } => {
                let fields = [("state", state.as_deref()), ("zone", zone.map(Zone::word)), ("name", name.as_deref())];
                self.list(Kind::Host, &["hosts"], &fields, &list).await
            }
            HostCommand::Show(args) => self.show(Kind::Host, "hosts", args).await,
            HostCommand::Set { target, vcpu, memory, disk, mlps_level } => {
                let capacity = object(&[
                    ("vcpu", vcpu.map(Into::into)),
                    ("memory_bytes", memory.map(Into::into)),
                    ("disk_bytes", disk.map(Into::into)),
                ]);
                let change = object(&[
                    ("capacity", (!capacity.is_empty()).then(|| capacity.into())),
                    ("mlps_level", mlps_level.map(|level| level.get().into())),
                ]);
                let answer = changes::set(&self.client, &["hosts", &target.id], change).await?;
                self.made("宿主机设置已改", Kind::Host, &answer.body)
            }
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
            AlarmCommand::List { cleared, kind, host, machine, list } => {
                let fields = [
                    ("all", cleared.then_some("true")),
                    ("kind", kind.as_deref()),
                    ("host", host.as_deref()),
                    ("machine_id", machine.as_deref()),
                ];
                self.list(Kind::Alarm, &["alarms"], &fields, &list).await
            }
            AlarmCommand::Show(args) => self.show(Kind::Alarm, "alarms", args).await,
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
                let answer = upload::file(&self.client, &upload::IMAGE, &args.file, &query).await?;
                self.made("镜像已导入", Kind::Image, &answer.body)
            }
            ImageCommand::List { os_type, name, list } => {
                let fields = [("os_type", os_type.as_deref()), ("name", name.as_deref())];
                self.list(Kind::Image, &["images"], &fields, &list).await
            }
            ImageCommand::Show { target, watch: true } => {
                let mut to = watch::image_hosts(&self.client, &target.id).await?;
                // Where nobody wants it, nothing happens.
                to.retain(|host| host.get("state").and_then(Value::as_str) != Some("absent"));
                watch::distributed(&self.client, &target.id, &to, self.screen).await
            }
            ImageCommand::Show { target, watch: false } => {
                let mut image: Value = self.client.get(&["images", &target.id], &[]).await?;
                // Who may not see hosts sees the image all the same.
                if let (Value::Object(image), Ok(hosts)) =
                    (&mut image, watch::image_hosts(&self.client, &target.id).await)
                {
                    image.insert("hosts".to_owned(), hosts.into());
                }
                Ok(self.screen.one(Kind::Image, &image)?)
            }
            ImageCommand::Distribute { target, hosts, wait } => {
                let answer = self.client.post(&["images", &target.id, "distribute"], &json!({"hosts": hosts})).await?;
                let to = answer.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                if wait.wait {
                    return watch::distributed(&self.client, &target.id, &to, self.screen).await;
                }
                if !self.screen.for_people() {
                    return Ok(self.screen.items("/host", &to)?);
                }
                self.screen.done(tr("已安排分发"), &answer.body)?;
                Ok(self.screen.note(&say!("看进度：jiyue image show {id}", id = target.id))?)
            }
        }
    }

    async fn request(&self, command: RequestCommand) -> Result<(), Failure> {
        match command {
            RequestCommand::Check { form, .. } => {
                let answer = self.hand_in(&["requests", "check"], &form).await?;
                self.screen.done(tr("可以提交：没有不符合之处（只是检查，什么都没有写入）"), &answer.body)?;
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
                self.screen.done(&say!("已提交 {n} 份申请，等待审批", n = items.len()), &answer.body)?;
                for item in &items {
                    self.screen.one(Kind::Request, item)?;
                    let id = item.get("id").and_then(Value::as_str).unwrap_or("ID");
                    self.screen.note(&say!("审批人批准：jiyue request approve {id} --wait", id))?;
                }
                Ok(())
            }
            RequestCommand::Original { target, to } => {
                let content = self.client.bytes(&["requests", &target.id, "original"]).await?;
                std::fs::File::create_new(&to).and_then(|mut file| file.write_all(&content))?;
                let answer = json!({"file": to, "size_bytes": content.len()});
                Ok(self.screen.done(&say!("原件已存到 {to}", to = to.display()), &answer)?)
            }
            RequestCommand::Approve { ids, comment, wait } => {
                let fields = object(&[("comment", comment.map(Into::into))]);
                let [id] = &ids[..] else {
                    return decisions::decide(&self.client, self.screen, "approve", &ids, fields, wait).await;
                };
                let answer = self.client.post(&["requests", id, "approve"], &fields).await?;
                self.goes_on(&answer, wait).await
            }
            RequestCommand::Return { ids, reason } => {
                let (fields, wait) = (object(&[("reason", Some(reason.into()))]), WaitArg { wait: false });
                let [id] = &ids[..] else {
                    return decisions::decide(&self.client, self.screen, "return", &ids, fields, wait).await;
                };
                let answer = self.client.post(&["requests", id, "return"], &fields).await?;
                Ok(self.screen.done(tr("申请已退回"), &answer.body)?)
            }
            RequestCommand::Cancel { target, reason, wait } => {
                let path = ["requests", &target.id, "cancel"];
                let answer = self.client.post(&path, &object(&[("reason", reason.map(Into::into))])).await?;
                if answer.goes_on() {
                    return self.goes_on(&answer, wait).await;
                }
                Ok(self.screen.done(tr("申请已取消，额度与容量已归还"), &answer.body)?)
            }
            RequestCommand::List { state, task_book, department, list } => {
                let fields = [
                    ("state", state.as_deref()),
                    ("task_book", task_book.as_deref()),
                    ("department", department.as_deref()),
                ];
                self.list(Kind::Request, &["requests"], &fields, &list).await
            }
            RequestCommand::Show(args) => self.show(Kind::Request, "requests", args).await,
        }
    }

    async fn machine(&self, command: MachineCommand) -> Result<(), Failure> {
        let (act, args) = match command {
            MachineCommand::List { request, state, zone, host, department, name, list } => {
                let fields = [
                    ("request_id", request.as_deref()),
                    ("state", state.as_deref()),
                    ("zone", zone.map(Zone::word)),
                    ("host", host.as_deref()),
                    ("department", department.as_deref()),
                    ("name", name.as_deref()),
                ];
                return self.list(Kind::Machine, &["machines"], &fields, &list).await;
            }
            MachineCommand::Show(args) => return self.show(Kind::Machine, "machines", args).await,
            MachineCommand::Set { target, om_unit } => {
                let change = object(&[("om_unit", Some(om_unit.into()))]);
                let answer = changes::set(&self.client, &["machines", &target.id], change).await?;
                return self.made("已改", Kind::Machine, &answer.body);
            }
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
                return Ok(self.screen.note(tr("连接：psql -h 地址 -p 端口 -U 角色 -d 数据库，口令在提示时输入"))?);
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
                let body = object(&[
                    ("vcpu", vcpu.map(Into::into)),
                    ("memory_bytes", memory.map(Into::into)),
                    ("disk_bytes", disk.map(Into::into)),
                ]);
                let answer = self.client.post(&["machines", &target.id, "resize"], &body).await?;
                return self.goes_on(&answer, wait).await;
            }
            MachineCommand::Migrate { target, to, wait } => {
                let answer = self
                    .client
                    .post(&["machines", &target.id, "migrate"], &object(&[("to", to.map(Into::into))]))
                    .await?;
                return self.goes_on(&answer, wait).await;
            }
            MachineCommand::Rebuild(args) => ("rebuild", args),
            MachineCommand::AgreeReclaim { target, until, reason } => {
                let body = object(&[("until", Some(until.into())), ("reason", reason.map(Into::into))]);
                let answer = self.client.post(&["machines", &target.id, "agree-reclaim"], &body).await?;
                return self.made("已同意收回", Kind::Agreement, &answer.body);
            }
            MachineCommand::WithdrawReclaim { target } => {
                let answer = self.client.post(&["machines", &target.id, "withdraw-reclaim"], &json!({})).await?;
                return self.made("已撤回同意", Kind::Agreement, &answer.body);
            }
            MachineCommand::Extend { target, until } => {
                let path = ["machines", &target.id, "extend"];
                let answer = self.client.post(&path, &json!({"lease_end": until})).await?;
                return self.made("期限已延长", Kind::Machine, &answer.body);
            }
        };
        let answer = self.client.post(&["machines", &args.target.id, act], &json!({})).await?;
        self.goes_on(&answer, args.wait).await
    }

    async fn server(&self, command: ServerCommand) -> Result<(), Failure> {
        let said = |facts: ServerFacts| {
            [
                ("cores", facts.cores.map(Value::from)),
                ("memory_bytes", facts.memory.map(Value::from)),
                ("source", facts.source.map(Value::from)),
                ("instance", facts.instance.map(Value::from)),
            ]
        };
        match command {
            ServerCommand::Create { name, department, facts } => {
                let mut body = object(&said(facts));
                body.extend(object(&[("name", Some(name.into())), ("department", Some(department.into()))]));
                let answer = self.client.post(&["servers"], &body).await?;
                self.made("服务器已登记", Kind::Server, &answer.body)
            }
            ServerCommand::List { department, name, source, list } => {
                let fields =
                    [("department", department.as_deref()), ("name", name.as_deref()), ("source", source.as_deref())];
                self.list(Kind::Server, &["servers"], &fields, &list).await
            }
            ServerCommand::Show(args) => self.show(Kind::Server, "servers", args).await,
            ServerCommand::Replay { target, from, to } => {
                let path = ["servers", &target.id, "replay-usage"];
                let answer = self.client.post(&path, &json!({"from": from, "to": to})).await?;
                let count = |key: &str| answer.body.get(key).and_then(Value::as_i64).unwrap_or_default();
                let (found, written) = (count("days_found"), count("days_written"));
                Ok(self.screen.done(&say!("来源有 {found} 天，写入 {written} 天", found, written), &answer.body)?)
            }
            ServerCommand::Set { target, name, facts, unmeasured } => {
                let mut change = object(&said(facts));
                change.extend(object(&[("name", name.map(Into::into))]));
                if unmeasured {
                    change.extend(object(&[("source", Some(Value::Null)), ("instance", Some(Value::Null))]));
                }
                let answer = changes::set(&self.client, &["servers", &target.id], change).await?;
                self.made("服务器已改", Kind::Server, &answer.body)
            }
        }
    }

    async fn operation(&self, command: OperationCommand) -> Result<(), Failure> {
        match command {
            OperationCommand::List { state, kind, request, machine, list } => {
                let fields = [
                    ("state", state.as_deref()),
                    ("kind", kind.as_deref()),
                    ("request_id", request.as_deref()),
                    ("machine_id", machine.as_deref()),
                ];
                self.list(Kind::Operation, &["operations"], &fields, &list).await
            }
            OperationCommand::Show(args) => self.show(Kind::Operation, "operations", args).await,
            OperationCommand::Watch(target) => self.follow(&target.id).await,
        }
    }

    async fn ledger(&self) -> Result<(), Failure> {
        let ledger: Value = self.client.get(&["ledger"], &[]).await?;
        let consistent = ledger.get("consistent") == Some(&Value::Bool(true));
        if !self.screen.for_people() {
            self.screen.document(&ledger)?;
        } else if consistent {
            self.screen.done(tr("账目一致：按明细重算，与任务书额度、宿主机容量的账都对得上"), &ledger)?;
        } else {
            let parts = [
                ("账上的数与明细不符", "differences", &tables::DIFFERENCE[..]),
                ("虚拟机的状态与占用不符", "contradictions", &tables::CONTRADICTION[..]),
            ];
            for (title, key, columns) in parts {
                let rows = ledger.get(key).and_then(Value::as_array).filter(|rows| !rows.is_empty());
                if let Some(rows) = rows {
                    self.screen.section(tr(title), columns, rows)?;
                }
            }
        }
        if consistent { Ok(()) } else { Err(Failure::Differences) }
    }
}

fn host_body(args: &HostAddArgs) -> Value {
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let zone = |ZoneArg(pairs): &ZoneArg| -> Value {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))).collect::<Map<_, _>>().into()
    };
    let zones: Value = args.zones.iter().map(zone).collect();
    Value::Object(object(&[
        ("name", text(&args.name)),
        ("uri", text(&args.uri)),
        ("pool", text(&args.pool)),
        ("pool_path", text(&args.pool_path)),
        ("zones", Some(zones)),
        ("vcpu_overcommit", args.vcpu_overcommit.map(Into::into)),
        ("mlps_level", args.mlps_level.map(|level| level.get().into())),
        ("memory_reserve_bytes", args.memory_reserve.map(Into::into)),
    ]))
}
