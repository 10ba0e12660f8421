//! SQL of findings.

use super::{finding::Finding, lifecycle::State};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx},
    identity::store::parsed,
    ids::SystemId,
    time,
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{AnyConnection, Row, any::AnyRow};

fn read<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<Option<T>, DbError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| DbError::Corrupt { what: column.to_owned() })).transpose()
}

fn written<T: Serialize>(value: Option<&T>) -> Result<Option<String>, DbError> {
    let broken = |_| DbError::Corrupt { what: "finding".to_owned() };
    value.map(|value| serde_json::to_string(value).map_err(broken)).transpose()
}

fn finding(row: &AnyRow) -> Result<Finding, DbError> {
    Ok(Finding {
        id: parsed(row, "id")?,
        system: parsed(row, "system_id")?,
        system_name: row.try_get("system_name")?,
        department: parsed(row, "department_id")?,
        state: parsed(row, "state")?,
        judgement: read(row, "judgement")?.ok_or_else(|| DbError::Corrupt { what: "judgement".to_owned() })?,
        question: read(row, "question")?,
        answer: read(row, "answer")?,
        exemption: read(row, "exemption")?,
        decision: read(row, "decision")?,
        filing: read(row, "filing")?,
        created_at: time::from_micros(row.try_get("created_at")?),
        updated_at: time::from_micros(row.try_get("updated_at")?),
        revision: row.try_get("revision")?,
    })
}

pub async fn find(conn: &mut AnyConnection, id: &str, department: Option<&str>) -> Result<Option<Finding>, DbError> {
    let row = sqlx::query(
        "select zombie_findings.id as id, system_id, systems.name as system_name, \
         zombie_findings.department_id as department_id, state, judgement, question, answer, exemption, decision, \
         filing, zombie_findings.created_at as created_at, updated_at, zombie_findings.revision as revision \
         from zombie_findings join systems on systems.id = system_id \
         where zombie_findings.id = $1 and (cast($2 as text) is null or zombie_findings.department_id = $2)",
    )
    .bind(id)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(finding).transpose()
}

/// A system's newest finding.
pub async fn last_of(conn: &mut AnyConnection, system: SystemId) -> Result<Option<Finding>, DbError> {
    let row = sqlx::query(
        "select zombie_findings.id as id, system_id, systems.name as system_name, \
         zombie_findings.department_id as department_id, state, judgement, question, answer, exemption, decision, \
         filing, zombie_findings.created_at as created_at, updated_at, zombie_findings.revision as revision \
         from zombie_findings join systems on systems.id = system_id \
         where system_id = $1 order by zombie_findings.id desc limit 1",
    )
    .bind(system.text())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(finding).transpose()
}

pub const SORTS: Sorts = Sorts {
    id: "zombie_findings.id",
    numbered: false,
    by: &[("created_at", "zombie_findings.id"), ("system_name", "systems.name")],
    default: "-created_at",
};

/// Which findings a list has. `scope` is what the caller may see, `department` what was asked for.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub state: Option<&'a str>,
    pub system: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Finding>, DbError> {
    Listing::new(
        "zombie_findings.id as id, system_id, systems.name as system_name, \
         zombie_findings.department_id as department_id, state, judgement, question, answer, exemption, decision, \
         filing, zombie_findings.created_at as created_at, updated_at, zombie_findings.revision as revision",
        "zombie_findings join systems on systems.id = system_id",
    )
    .only("zombie_findings.department_id", filter.scope)
    .only("zombie_findings.department_id", filter.department)
    .only("state", filter.state)
    .only("system_id", filter.system)
    .page(conn, slice, finding)
    .await
}

pub async fn insert(tx: &mut Tx, finding: &Finding) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into zombie_findings (id, system_id, department_id, state, judgement, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(finding.id.text())
    .bind(finding.system.text())
    .bind(finding.department.text())
    .bind(finding.state.word())
    .bind(written(Some(&finding.judgement))?)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts the finding in a state, with all that it holds. False when it is another version by now.
pub async fn update(tx: &mut Tx, finding: &Finding, state: State) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update zombie_findings set state = $2, judgement = $3, question = $4, answer = $5, exemption = $6, \
         decision = $7, filing = $8, updated_at = $9, revision = revision + 1 where id = $1 and revision = $10",
    )
    .bind(finding.id.text())
    .bind(state.word())
    .bind(written(Some(&finding.judgement))?)
    .bind(written(finding.question.as_ref())?)
    .bind(written(finding.answer.as_ref())?)
    .bind(written(finding.exemption.as_ref())?)
    .bind(written(finding.decision.as_ref())?)
    .bind(written(finding.filing.as_ref())?)
    .bind(now)
    .bind(finding.revision)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
