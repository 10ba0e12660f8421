//! The hand-over.

use super::{
    super::{Machine, lifecycle::State, service::Machines},
    Credentials, store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    machine,
    secret::VaultError,
};
use serde_json::json;

impl Machines {
    /// Gives a machine's password to those whose machine it is, and forgets it in the same transaction.
    pub async fn hand_over(&self, actor: &Actor, id: &str) -> Result<Credentials, Problem> {
        let scope = policy::scope(actor, Act::MachineCredentials)?;
        let machine = self.find(id, scope.filter()).await?;
        let Some(database) = machine.intent.database.clone() else {
            return Err(Problem::conflict("no_database", "这台虚拟机没有数据库，没有口令可领"));
        };
        delivered(&machine)?;
        let mut conn = self.db.read().await?;
        let sealed = store::find(&mut conn, machine.id).await?.ok_or_else(handed_over)?;
        drop(conn);
        // Opened before it is taken away: what cannot be opened stays.
        let password = self.vault.open(machine.id, &sealed).map_err(|error| unopened(&error))?;
        let credentials = Credentials::of(&machine, &password).ok_or_else(handed_over)?;
        let who = Who::from(actor);
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                if !store::take(tx, machine.id, &sealed).await? {
                    return Err(handed_over());
                }
                // Built anew meanwhile, it has another one, which is not known yet to work.
                let now = machine::store::find(tx.conn(), &machine.id.text(), None).await?;
                delivered(&now.ok_or_else(|| Problem::not_found("虚拟机"))?)?;
                let detail = json!({"name": machine.intent.name, "database": database.name, "role": database.role});
                let record = Record {
                    who: who.clone(),
                    action: Act::MachineCredentials.word(),
                    object_type: "machine",
                    object_id: machine.id.text(),
                    department_id: Some(machine.department.text()),
                    outcome: Outcome::Done,
                    detail,
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        Ok(credentials)
    }
}

fn delivered(machine: &Machine) -> Result<(), Problem> {
    match machine.state {
        State::Building => Err(Problem::conflict("not_delivered", "虚拟机还没有交付；交付之后再领取数据库口令")),
        State::Undone => Err(Problem::conflict("machine_state", "虚拟机没有建成，没有数据库口令")),
        State::Running | State::Stopped | State::InBin => Ok(()),
    }
}

fn handed_over() -> Problem {
    Problem::conflict(
        "credentials_handed_over",
        "数据库口令已经领取过，平台不再保存；遗失的，用申请时的 SSH 公钥登录虚拟机，以 postgres 身份执行 alter role 改一个",
    )
}

fn unopened(error: &VaultError) -> Problem {
    let detail = match error {
        VaultError::OtherKey { .. } => {
            "口令是用另一把密钥封存的；请运维人员把 secret_key_file 换回原来的文件后重启服务"
        }
        _ => "口令的封存数据打不开，没有动它；请运维人员检查数据库与 secret_key_file",
    };
    Problem::new(Kind::Unavailable, "credentials_sealed", detail)
}
