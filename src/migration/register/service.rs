//! Acts on the dated register.

use super::{
    super::{
        service::{BEATEN, Estates, TRIES, beaten, busy},
        store,
    },
    Deadline, Met, deadlines, period,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::DbError,
    error::Problem,
    identity::{
        Actor,
        policy::{self, Act},
    },
    time,
};
use serde_json::json;

impl Estates {
    /// The dated register as of today.
    pub async fn deadlines(&self) -> Result<Vec<Deadline>, Problem> {
        let today = self.today();
        let mut conn = self.db.read().await?;
        Ok(deadlines(&self.registers, &store::met(&mut conn, today).await?, today))
    }

    /// Records that a row of the register was done.
    pub async fn meet(&self, actor: &Actor, id: &str, evidence: &str) -> Result<Deadline, Problem> {
        policy::scope(actor, Act::DeadlineMeet)?;
        let said = self.said(actor, "evidence", evidence, None)?;
        let today = self.today();
        let period = period(&self.registers, id, today).ok_or_else(|| Problem::not_found("台账事项"))?;
        let met = Met { period, on: today, evidence: said.text, by: said.by, unit: said.unit };
        let (who, deadline, row) = (Who::from(actor), id.to_owned(), met.clone());
        for _ in 0..TRIES {
            let seen = store::revision(&mut *self.db.read().await?).await?;
            let (who, deadline, row) = (who.clone(), deadline.clone(), row.clone());
            let done = self
                .db
                .write(async move |tx| -> Result<(), Problem> {
                    let today = time::civil(tx.now());
                    let Some((_, day)) = store::advance(tx, seen, today).await? else { return Err(beaten()) };
                    let row = Met { on: day, ..row.clone() };
                    store::insert_met(tx, &deadline, &row).await.map_err(already_met)?;
                    let record = Record {
                        who: who.clone(),
                        action: Act::DeadlineMeet.word(),
                        object_type: "deadline",
                        object_id: deadline.clone(),
                        department_id: None,
                        outcome: Outcome::Done,
                        detail: json!({"evidence": row.evidence, "period": row.period}),
                    };
                    Ok(audit::record(tx, record).await?)
                })
                .await;
            match done {
                Ok(()) => {
                    let all = self.deadlines().await?;
                    return all.into_iter().find(|one| one.id == id).ok_or_else(|| Problem::not_found("台账事项"));
                }
                Err(problem) if problem.code == BEATEN => {}
                Err(problem) => return Err(problem),
            }
        }
        Err(busy())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "called by map_err")]
fn already_met(error: DbError) -> Problem {
    if error.is_duplicate_of("deadline") || error.is_duplicate_of("deadlines_met") {
        return Problem::conflict("deadline_met", "这一项已经记过完成");
    }
    error.into()
}
