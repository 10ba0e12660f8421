//! Acts on legacy servers.

use super::{Facts, Place, Server, store};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError},
    error::{Kind, Problem},
    identity::{
        Actor, Department,
        policy::{self, Act},
        service::plain,
    },
    ids::ServerId,
};
use serde_json::{Value, json};

/// No server has more.
const MOST_CORES: u32 = 65_536;
const MOST_MEMORY: i64 = 1 << 50;

impl Facts {
    /// In their canonical form, or the first that cannot be kept. `sources` are those of the settings; a place that is
    /// `kept` as it is need not be among them any more.
    pub fn checked(self, sources: &[&str], kept: Option<&Place>) -> Result<Self, Problem> {
        let name = plain("/name", &self.name)?;
        if self.cores.is_some_and(|cores| !(1..=MOST_CORES).contains(&cores)) {
            return Err(Problem::malformed(format!("/cores: 核数须在 1 至 {MOST_CORES} 之间")));
        }
        if self.memory_bytes.is_some_and(|memory| !(1..=MOST_MEMORY).contains(&memory)) {
            return Err(Problem::malformed(format!("/memory_bytes: 内存字节数须在 1 至 {MOST_MEMORY} 之间")));
        }
        let measured = match self.measured {
            Some(place) if kept != Some(&place) => Some(Self::place(place, sources)?),
            same => same,
        };
        Ok(Self { name, measured, ..self })
    }

    fn place(place: Place, sources: &[&str]) -> Result<Place, Problem> {
        if !sources.contains(&place.source.as_str()) {
            let known =
                if sources.is_empty() { "一个也没有".to_owned() } else { format!("有 {}", sources.join("、")) };
            let detail = format!("/source: 配置文件里没有这个用量来源（{known}）；先写 [[usage_source]]，或改用已有的");
            return Err(Problem::new(Kind::Refused, "usage_source_unknown", detail));
        }
        Ok(Place { instance: plain("/instance", &place.instance)?, source: place.source })
    }

    fn told(&self) -> Value {
        json!({
            "name": self.name,
            "cores": self.cores,
            "memory_bytes": self.memory_bytes,
            "source": self.measured.as_ref().map(|place| &place.source),
            "instance": self.measured.as_ref().map(|place| &place.instance),
        })
    }
}

/// Registers one for a department.
pub async fn create(db: &Db, actor: &Actor, department: &Department, facts: Facts) -> Result<Server, Problem> {
    policy::scope(actor, Act::ServerCreate)?;
    let server = Server { id: ServerId::new(), department: department.id, created_at: db.clock().now(), facts };
    let (who, row) = (Who::from(actor), server.clone());
    db.write(async move |tx| -> Result<(), Problem> {
        store::insert(tx, &row).await.map_err(|error| taken(error, &row.facts))?;
        Ok(audit::record(tx, record(&who, Act::ServerCreate, &row, row.facts.told())).await?)
    })
    .await?;
    Ok(server)
}

/// Makes it what `facts` say, unless somebody changed it since `revision`.
pub async fn change(db: &Db, actor: &Actor, old: &Server, facts: Facts, revision: i64) -> Result<Server, Problem> {
    policy::scope(actor, Act::ServerChange)?;
    let new = Server { facts, ..old.clone() };
    if new == *old {
        return Ok(new);
    }
    let (who, old, row) = (Who::from(actor), old.clone(), new.clone());
    db.write(async move |tx| -> Result<(), Problem> {
        let done = store::set(tx, row.id, &row.facts, revision).await.map_err(|error| taken(error, &row.facts))?;
        if !done {
            return Err(Problem::changed());
        }
        let detail = json!({"from": old.facts.told(), "to": row.facts.told()});
        Ok(audit::record(tx, record(&who, Act::ServerChange, &row, detail)).await?)
    })
    .await?;
    Ok(new)
}

fn record(who: &Who, act: Act, server: &Server, detail: Value) -> Record {
    Record {
        who: who.clone(),
        action: act.word(),
        object_type: "server",
        object_id: server.id.text(),
        department_id: Some(server.department.text()),
        outcome: Outcome::Done,
        detail,
    }
}

fn taken(error: DbError, facts: &Facts) -> Problem {
    if error.is_duplicate_of("instance") {
        let place = facts.measured.as_ref();
        let (source, instance) = place.map_or(("", ""), |place| (&place.source, &place.instance));
        let detail = format!("来源 {source} 的 {instance} 已经是另一台服务器；一个实例只对应一台");
        return Problem::conflict("server_instance_taken", detail);
    }
    if error.is_duplicate_of("name") {
        let detail = format!("这个单位已经有叫 {} 的服务器；请换一个名字", facts.name);
        return Problem::conflict("server_name_taken", detail);
    }
    error.into()
}
