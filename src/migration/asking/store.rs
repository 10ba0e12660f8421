//! SQL of which request was made for which server of which system.

use super::Size;
use crate::{
    db::{DbError, Tx},
    identity::store::parsed,
    ids::{MachineId, RequestId, ServerId, SystemId},
    migration::wave::Amount,
    request::{block::Block, lifecycle::RequestState},
};
use sqlx::{AnyConnection, Row, any::AnyRow};

/// A request that was made for a server of a system.
#[derive(Clone, Debug)]
pub struct Asked {
    pub request: RequestId,
    pub system: SystemId,
    pub server: ServerId,
    pub round: i64,
    pub state: RequestState,
    pub block: Block,
    pub sizes: Size,
}

impl Asked {
    /// It waits, is being built, or was delivered.
    pub const fn stands(&self) -> bool {
        matches!(self.state, RequestState::Submitted | RequestState::Approved | RequestState::Delivered)
    }

    /// What it will take and has not claimed yet.
    pub fn unclaimed(&self) -> Amount {
        let totals = if self.state == RequestState::Submitted { self.block.totals() } else { None };
        totals.map_or_else(Amount::default, |totals| Amount {
            vcpu: totals.vcpu,
            memory_bytes: totals.memory.get(),
            disk_bytes: totals.disk.get(),
        })
    }
}

fn asked(row: &AnyRow) -> Result<Asked, DbError> {
    let (block, sizes): (String, String) = (row.try_get("block")?, row.try_get("sizes")?);
    let corrupt = |what: &str| DbError::Corrupt { what: what.to_owned() };
    Ok(Asked {
        request: parsed(row, "request_id")?,
        system: parsed(row, "system_id")?,
        server: parsed(row, "server_id")?,
        round: row.try_get("round")?,
        state: parsed(row, "state")?,
        block: serde_json::from_str(&block).map_err(|_| corrupt("requests.block"))?,
        sizes: serde_json::from_str(&sizes).map_err(|_| corrupt("system_requests.sizes"))?,
    })
}

/// All of them, the first rounds first.
pub async fn all(conn: &mut AnyConnection) -> Result<Vec<Asked>, DbError> {
    let rows = sqlx::query(
        "select request_id, system_id, server_id, round, state, block, sizes from system_requests \
         join requests on requests.id = request_id order by system_id, server_id, round",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(asked).collect()
}

/// A system's, the first rounds first.
pub async fn of_system(conn: &mut AnyConnection, system: SystemId) -> Result<Vec<Asked>, DbError> {
    let rows = sqlx::query(
        "select request_id, system_id, server_id, round, state, block, sizes from system_requests \
         join requests on requests.id = request_id where system_id = $1 order by server_id, round",
    )
    .bind(system.text())
    .fetch_all(conn)
    .await?;
    rows.iter().map(asked).collect()
}

/// Of one server of a system, in a round that nobody else has.
pub async fn insert(tx: &mut Tx, request: RequestId, system: SystemId, round: i64, size: &Size) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    let sizes =
        serde_json::to_string(size).map_err(|_| DbError::Corrupt { what: "system_requests.sizes".to_owned() })?;
    sqlx::query(
        "insert into system_requests (request_id, system_id, server_id, round, sizes, created_at) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(request.text())
    .bind(system.text())
    .bind(size.server_id.text())
    .bind(round)
    .bind(sizes)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The machines of a request that stand.
pub async fn machines(
    conn: &mut AnyConnection,
    request: RequestId,
) -> Result<Vec<(MachineId, String, String)>, DbError> {
    let rows = sqlx::query(
        "select id, name, state from machines where request_id = $1 and state not in ('in_bin', 'undone') order by ordinal",
    )
    .bind(request.text())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((parsed(row, "id")?, row.try_get("name")?, row.try_get("state")?))).collect()
}
