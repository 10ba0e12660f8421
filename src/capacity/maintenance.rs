//! Acts on hosts that are in service: cordon, drain, and proving that one is off.

use super::{
    Amount, Host, ProviderKind,
    inventory::Inventory,
    standing::{Contact, store as standing},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Tx},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    labels::MlpsLevel,
    text,
};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// How long the fence command may take: switching a power strip and asking whether it is off.
const FENCE_LIMIT: Duration = Duration::from_mins(2);

/// What these acts need of the house.
#[derive(Clone)]
pub struct Maintenance {
    pub db: Db,
    pub inventory: Inventory,
    /// A program that switches a host off and succeeds only when it is off: `PROGRAM NAME URI`.
    pub fence_command: Option<PathBuf>,
}

impl Maintenance {
    /// No new machines; what is there stays.
    pub async fn cordon(&self, actor: &Actor, key: &str) -> Result<Host, Problem> {
        let host = self.find(actor, Act::HostCordon, key).await?;
        let id = host.id;
        self.change(actor, Act::HostCordon, &host, json!({}), async move |tx| {
            standing::set_cordoned(tx, id, true).await?;
            Ok(())
        })
        .await
    }

    /// Takes new machines again; ends a drain.
    pub async fn uncordon(&self, actor: &Actor, key: &str) -> Result<Host, Problem> {
        let host = self.find(actor, Act::HostUncordon, key).await?;
        if host.standing.contact == Contact::Fenced {
            return Err(Problem::conflict(
                "host_fenced",
                format!("宿主机 {} 已隔离；确认其上没有旧虚拟机在运行后，用 jiyue host readmit 重新接入", host.name),
            ));
        }
        let id = host.id;
        self.change(actor, Act::HostUncordon, &host, json!({}), async move |tx| {
            standing::end_drain(tx, id).await?;
            standing::set_cordoned(tx, id, false).await?;
            Ok(())
        })
        .await
    }

    /// Moves every machine away, one after the other; see [`crate::machine::drain`].
    pub async fn drain(&self, actor: &Actor, key: &str) -> Result<Host, Problem> {
        let host = self.find(actor, Act::HostDrain, key).await?;
        no_cluster(&host, "迁出")?;
        if host.standing.contact != Contact::Reachable {
            return Err(Problem::conflict(
                "host_not_reachable",
                format!("宿主机 {} 目前联系不上，不能迁出；失去联系的宿主机先确认隔离", host.name),
            ));
        }
        let id = host.id;
        self.change(actor, Act::HostDrain, &host, json!({}), async move |tx| {
            standing::begin_drain(tx, id).await?;
            Ok(())
        })
        .await
    }

    /// Stops moving machines away. What is on its way arrives; the host stays cordoned.
    pub async fn cancel_drain(&self, actor: &Actor, key: &str) -> Result<Host, Problem> {
        let host = self.find(actor, Act::HostDrain, key).await?;
        let id = host.id;
        self.change(actor, Act::HostDrain, &host, json!({"cancelled": true}), async move |tx| {
            standing::end_drain(tx, id).await?;
            Ok(())
        })
        .await
    }

    /// Runs the fence command. Only its success is proof.
    pub async fn fence(&self, actor: &Actor, key: &str) -> Result<Host, Problem> {
        let host = self.find(actor, Act::HostFence, key).await?;
        may_fence(&host)?;
        let Some(program) = &self.fence_command else {
            return Err(Problem::conflict(
                "fence_command_missing",
                "没有设置隔离命令（fence_command）；设置后重启服务，或者亲自断电后用 jiyue host confirm-fenced 确认",
            ));
        };
        // A program and its arguments, no shell.
        let mut command = Command::new(program);
        command.arg(&host.name).arg(&host.uri).stdin(Stdio::null()).kill_on_drop(true);
        let outcome = timeout(FENCE_LIMIT, command.output()).await;
        let failed = |why: String| {
            Problem::new(Kind::Unavailable, "fence_failed", format!("隔离命令没有成功：{why}；宿主机仍按失去联系处理"))
        };
        let output = outcome
            .map_err(|_| failed(format!("{} 秒没有结束", FENCE_LIMIT.as_secs())))?
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let tail: String = said.trim().chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
            return Err(failed(format!("{}，{tail}", output.status)));
        }
        self.fenced(actor, Act::HostFence, &host, "隔离命令成功".to_owned()).await
    }

    /// Gives it other limits or another level, unless somebody changed it since `revision`.
    pub async fn reconfigure(&self, actor: &Actor, host: &Host, new: Limits, revision: i64) -> Result<Host, Problem> {
        policy::scope(actor, Act::HostChange)?;
        let (limit, level) = new.over(host)?;
        if limit == host.limit && level == host.mlps_level {
            return Ok(host.clone());
        }
        let said = |amount: Amount, level: MlpsLevel| {
            json!({"vcpu": amount.vcpu, "memory_bytes": amount.memory_bytes, "disk_bytes": amount.disk_bytes,
                "mlps_level": level.get()})
        };
        let detail = json!({"from": said(host.limit, host.mlps_level), "to": said(limit, level)});
        let (id, name) = (host.id, host.name.clone());
        self.change(actor, Act::HostChange, host, detail, async move |tx| {
            let done = store::change_host(tx, id, limit, level, revision).await.map_err(|error| match error {
                DbError::Constraint { .. } => below_use(&name),
                other => other.into(),
            })?;
            if done { Ok(()) } else { Err(Problem::changed()) }
        })
        .await
    }

    /// An operator's word that the host is off. The name once more, because this lets its machines be built elsewhere.
    pub async fn confirm_fenced(
        &self,
        actor: &Actor,
        key: &str,
        name_again: &str,
        reason: &str,
    ) -> Result<Host, Problem> {
        let host = self.find(actor, Act::HostConfirmFenced, key).await?;
        may_fence(&host)?;
        if name_again != host.name {
            return Err(Problem::malformed(format!("/name: 请再写一遍宿主机的名称 {}，确认断电的确实是它", host.name)));
        }
        let reason = text::check(reason, text::NAME).map_err(|fault| {
            Problem::malformed(format!("/reason: 请写明怎样确认它已断电（{fault}），不超过 100 字"))
        })?;
        self.fenced(actor, Act::HostConfirmFenced, &host, reason).await
    }

    async fn fenced(&self, actor: &Actor, act: Act, host: &Host, reason: String) -> Result<Host, Problem> {
        let (id, name) = (host.id, host.name.clone());
        self.change(actor, act, host, json!({"reason": reason}), async move |tx| {
            if standing::set_contact(tx, id, Contact::Unknown, Contact::Fenced, Some(&reason)).await? {
                return Ok(());
            }
            Err(Problem::conflict("host_answers", format!("宿主机 {name} 刚刚恢复了联系，没有隔离")))
        })
        .await
    }

    async fn find(&self, actor: &Actor, act: Act, key: &str) -> Result<Host, Problem> {
        policy::scope(actor, act)?;
        let mut conn = self.db.read().await?;
        store::find_host(&mut conn, key).await?.ok_or_else(|| Problem::not_found("宿主机"))
    }

    /// A change with its audit record; answers the host as it stands then.
    async fn change<F>(&self, actor: &Actor, act: Act, host: &Host, detail: Value, change: F) -> Result<Host, Problem>
    where
        F: AsyncFn(&mut Tx) -> Result<(), Problem> + Send + 'static,
    {
        let who = Who::from(actor);
        let (id, name) = (host.id, host.name.clone());
        let record = Record {
            who,
            action: act.word(),
            object_type: "host",
            object_id: id.text(),
            department_id: None,
            outcome: Outcome::Done,
            detail: json!({"name": name, "detail": detail}),
        };
        let host = self
            .db
            .write(async move |tx| -> Result<Host, Problem> {
                change(tx).await?;
                audit::record(tx, record.clone()).await?;
                store::find_host(tx.conn(), &id.text()).await?.ok_or_else(|| Problem::not_found("宿主机"))
            })
            .await?;
        self.inventory.stale();
        Ok(host)
    }
}

/// What an operator may give a host otherwise than it was measured; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub vcpu: Option<i64>,
    pub memory_bytes: Option<i64>,
    pub disk_bytes: Option<i64>,
    pub mlps_level: Option<MlpsLevel>,
}

impl Limits {
    /// Whatever the host: no limit is below nothing.
    pub fn checked(self) -> Result<Self, Problem> {
        let all = [("vcpu", self.vcpu), ("memory_bytes", self.memory_bytes), ("disk_bytes", self.disk_bytes)];
        match all.iter().find(|(_, value)| value.is_some_and(|value| value < 0)) {
            Some((field, _)) => Err(Problem::malformed(format!("/capacity/{field}: 不能小于 0"))),
            None => Ok(self),
        }
    }

    /// The host's own with these in their place.
    fn over(self, host: &Host) -> Result<(Amount, MlpsLevel), Problem> {
        let limit = Amount {
            vcpu: self.vcpu.unwrap_or(host.limit.vcpu),
            memory_bytes: self.memory_bytes.unwrap_or(host.limit.memory_bytes),
            disk_bytes: self.disk_bytes.unwrap_or(host.limit.disk_bytes),
            ..host.limit
        };
        let level = self.mlps_level.unwrap_or(host.mlps_level);
        if level < host.mlps_level && host.used.vcpu + host.used.memory_bytes + host.used.disk_bytes > 0 {
            return Err(Problem::conflict(
                "host_in_use",
                format!("/mlps_level: 宿主机 {} 上还有虚拟机，等级不能降低；先用 jiyue host drain 腾空", host.name),
            ));
        }
        Ok((limit, level))
    }
}

fn below_use(name: &str) -> Problem {
    Problem::conflict(
        "capacity_below_use",
        format!("/capacity: 宿主机 {name} 上已占用的超过新的容量；先迁走一些虚拟机，或改大容量"),
    )
}

/// A cluster sees to its nodes itself.
fn no_cluster(host: &Host, what: &str) -> Result<(), Problem> {
    if host.provider != ProviderKind::Kubevirt {
        return Ok(());
    }
    let detail = format!(
        "{} 是集群，节点的{what}由集群自己做（kubectl drain）；要它不再接收新的虚拟机，用 jiyue host cordon",
        host.name
    );
    Err(Problem::conflict("host_is_cluster", detail))
}

/// A host that answers is not off, whatever anybody says.
fn may_fence(host: &Host) -> Result<(), Problem> {
    no_cluster(host, "隔离")?;
    match host.standing.contact {
        Contact::Unknown => Ok(()),
        Contact::Reachable => Err(Problem::conflict(
            "host_answers",
            format!("宿主机 {} 仍有回应，不能按已断电处理；要腾空它，用 jiyue host drain", host.name),
        )),
        Contact::Fenced => Err(Problem::conflict("host_fenced", format!("宿主机 {} 已经隔离", host.name))),
    }
}
