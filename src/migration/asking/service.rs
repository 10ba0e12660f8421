//! Makes a system's ordinary requests, through the very door of any other; or tells what they would be.

use super::{Given, Known, Size, Wish, faults_of, report, size, store, unmeasured};
use crate::{
    error::Problem,
    identity::{Actor, policy::Act},
    ids::{MachineId, RequestId, ServerId, SystemId},
    migration::{
        estate::{Estate, Server, System},
        fate::Disposition,
        service::Estates,
    },
    request::{
        lifecycle::RequestState,
        service::{Original, Rules},
    },
    usage::{self, Window, advice},
    violation::Violation,
};
use jiff::ToSpan;
use serde_json::Value;
use std::collections::HashMap;

/// What somebody else did meanwhile: asked for the same.
const SAME: [&str; 3] = ["system_asked", "duplicate_request", "domain_taken"];

/// A request of a system, and what stands for it.
#[derive(Clone, Debug)]
pub struct Made {
    pub request: RequestId,
    pub server: ServerId,
    pub state: RequestState,
    pub machines: Vec<(MachineId, String, String)>,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub struct Answer {
    pub system: SystemId,
    /// Of what stands asked for, as it was when it was asked for; of the rest as of now.
    pub sizes: Vec<Size>,
    pub requests: Vec<Made>,
    /// Whether this very call made requests.
    pub made: bool,
    /// The report that was handed in, or would be; none where all is asked for.
    pub document: Option<Value>,
    /// Of a preview: what keeps it from being asked for.
    pub lacking: Vec<Violation>,
}

impl Estates {
    /// What is known of servers' use over the days that count.
    pub(in crate::migration) async fn known(&self, servers: &[&Server]) -> Result<HashMap<ServerId, Window>, Problem> {
        let yesterday = self.today().saturating_sub(1.day());
        let empty = Window::ending(yesterday, self.sizing.moving.days);
        let ids: Vec<String> = servers.iter().map(|server| server.id.text()).collect();
        let mut conn = self.db.read().await?;
        let days = (empty.from(), empty.to());
        let windows = usage::store::fold(&mut conn, &ids, days, &empty, |window, day| _ = window.add(day)).await?;
        Ok(servers.iter().filter_map(|server| Some((server.id, windows.get(&server.id.text())?.clone()))).collect())
    }

    pub(in crate::migration) fn size(
        &self,
        estate: &Estate,
        server: &Server,
        given: Option<&Given>,
        window: Option<&Window>,
    ) -> Size {
        size(estate, server, given, self.seen(server, window), &self.sizing, &self.catalogue.bounds)
    }

    fn seen<'w>(&self, server: &Server, window: Option<&'w Window>) -> Known<'w> {
        let memory = server.hardware.memory_bytes;
        let needs =
            window.map_or((None, None), |window| advice::needed(&self.sizing, &self.catalogue.bounds, memory, window));
        Known { window, needs }
    }

    /// Asks for the machines of a system's servers that nobody has asked for yet; in a preview, tells what would be asked.
    pub async fn ask(
        &self,
        rules: &Rules,
        actor: &Actor,
        id: &str,
        wish: &Wish,
        preview: bool,
    ) -> Result<Answer, Problem> {
        let (estate, system) = self.system(actor, Act::SystemRequest, id).await?;
        fits(&estate, &system, preview)?;
        match self.ask_once(rules, actor, &estate, &system, wish, preview).await {
            Err(problem) if is_asked(&problem) => {
                // Whoever was faster has made what was asked for, or it is another's.
                let answer = self.standing(&estate, &system).await?;
                if answer.requests.len() < system.servers.len() { Err(problem) } else { Ok(answer) }
            }
            other => other,
        }
    }

    async fn ask_once(
        &self,
        rules: &Rules,
        actor: &Actor,
        estate: &Estate,
        system: &System,
        wish: &Wish,
        preview: bool,
    ) -> Result<Answer, Problem> {
        let mut conn = self.db.read().await?;
        let asked = store::of_system(&mut conn, system.id).await?;
        drop(conn);
        let servers: Vec<&Server> = system.servers.iter().filter_map(|id| estate.servers.get(id)).collect();
        let open: Vec<&Server> = servers
            .iter()
            .filter(|server| !asked.iter().any(|asked| asked.server == server.id && asked.stands()))
            .copied()
            .collect();
        if open.is_empty() && !servers.is_empty() {
            return self.standing(estate, system).await;
        }
        let known = self.known(&open).await?;
        let mut lacking = faults_of(wish, &servers);
        let mut sizes = Vec::new();
        for server in &open {
            let given = wish.servers.iter().find(|given| given.names(server));
            let window = known.get(&server.id);
            let size = self.size(estate, server, given, window);
            lacking.extend(unmeasured(&size, self.seen(server, window), &self.sizing));
            sizes.push(size);
        }
        let deploy = estate.waves_of(system.id).next().map(|wave| wave.window.to);
        let report =
            report(system, wish, &sizes, deploy).map_err(|error| Problem::malformed(format!("/block: {error}")))?;
        let document = report.as_read();
        if preview {
            if lacking.is_empty() {
                match rules.check_for(system.unit.id, &report).await {
                    Err(problem) if problem.code == "rules_violated" => lacking = problem.errors,
                    other => _ = other?,
                }
            }
            let standing = self.standing(estate, system).await?;
            sizes.extend(standing.sizes);
            return Ok(Answer { sizes, document: Some(document), lacking, ..standing });
        }
        if !lacking.is_empty() {
            return Err(Problem::refused(lacking));
        }
        let original = Original {
            name: format!("{}.json", system.id),
            media_type: "application/json".to_owned(),
            content: document.to_string().into_bytes(),
        };
        let rounds: Vec<i64> = sizes
            .iter()
            .map(|size| {
                asked.iter().filter(|asked| asked.server == size.server_id).map(|a| a.round).max().unwrap_or(0) + 1
            })
            .collect();
        let id = system.id;
        rules
            .submit_with(actor, &report, original, async move |tx, requests| {
                for ((request, size), round) in requests.iter().zip(&sizes).zip(&rounds) {
                    store::insert(tx, *request, id, *round, size).await.map_err(asked_meanwhile)?;
                }
                Ok(())
            })
            .await?;
        let answer = self.standing(estate, system).await?;
        Ok(Answer { made: true, document: Some(document), ..answer })
    }

    /// What stands asked for.
    async fn standing(&self, estate: &Estate, system: &System) -> Result<Answer, Problem> {
        let mut conn = self.db.read().await?;
        let (mut sizes, mut requests) = (Vec::new(), Vec::new());
        for asked in store::of_system(&mut conn, system.id).await?.into_iter().filter(store::Asked::stands) {
            if !estate.servers.contains_key(&asked.server) {
                continue;
            }
            let machines = store::machines(&mut conn, asked.request).await?;
            requests.push(Made { request: asked.request, server: asked.server, state: asked.state, machines });
            sizes.push(asked.sizes);
        }
        Ok(Answer { system: system.id, sizes, requests, made: false, document: None, lacking: Vec::new() })
    }

    /// A system's requests that stand, for whoever may see the system.
    pub async fn requests_of(&self, estate: &Estate, system: &System) -> Result<Vec<Made>, Problem> {
        Ok(self.standing(estate, system).await?.requests)
    }
}

/// Whether the same was asked for already, as the write says it or, a moment later, the rules.
fn is_asked(problem: &Problem) -> bool {
    let told = |violation: &Violation| SAME.contains(&violation.code);
    SAME.contains(&problem.code) || (!problem.errors.is_empty() && problem.errors.iter().all(told))
}

fn asked_meanwhile(error: crate::db::DbError) -> Problem {
    if error.is_duplicate_of("system_requests") || error.is_duplicate_of("system_id") {
        Problem::conflict("system_asked", "这个系统的申请刚刚已由别人提出；请重新查询")
    } else {
        error.into()
    }
}

/// It is to move, and is in a wave; a preview may come before the wave.
fn fits(estate: &Estate, system: &System, preview: bool) -> Result<(), Problem> {
    let name = &system.name;
    let refused = match system.disposition() {
        _ if system.gone() => Some(format!("系统“{name}”已经迁出，不用再申请")),
        Some(Disposition::Discard) => Some(format!("系统“{name}”定为摒弃，不迁移；不用申请")),
        None => Some(format!("系统“{name}”还没有定去向；请先评估并定去向")),
        Some(_) => None,
    };
    if let Some(detail) = refused {
        return Err(Problem::conflict("system_stage", detail));
    }
    if system.servers.is_empty() {
        let detail =
            format!("普查没有写系统“{name}”在哪台服务器上，无从得出规格；请补齐后重新导入，或直接提交资源申请");
        return Err(Problem::conflict("system_without_servers", detail));
    }
    if !preview && estate.waves_of(system.id).next().is_none() {
        let detail = format!("系统“{name}”不在任何迁移批次里；请先列入批次");
        return Err(Problem::conflict("system_without_wave", detail));
    }
    Ok(())
}
