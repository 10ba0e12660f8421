//! A department's place on a cluster, as its task books are at this moment.

use super::Machine;
use crate::{
    capacity,
    provider::{Estate, Provider},
    task_book,
    units::Bytes,
};
use sqlx::AnyConnection;

/// What the place of a machine's department has to be before the machine is built there, started or grown; `None` where
/// departments have no places.
pub async fn of(
    conn: &mut AnyConnection,
    provider: &dyn Provider,
    machine: &Machine,
) -> Result<Option<Estate>, crate::db::DbError> {
    let Some(tenancy) = machine.intent.tenancy.clone().filter(|_| provider.keeps_departments_apart()) else {
        return Ok(None);
    };
    let [machines, vcpu, memory, disk] = task_book::store::granted(conn, machine.department).await?;
    let host = capacity::store::find_host(conn, &machine.host.text()).await?;
    let network = host.and_then(|host| host.networks.into_iter().find(|network| network.zone == machine.zone));
    let bytes = |n: i64| Bytes::new(n).unwrap_or(Bytes::MAX);
    Ok(network.map(|network| Estate {
        tenancy,
        machines,
        vcpu,
        memory: bytes(memory),
        disk: bytes(disk),
        range: network.cidr,
    }))
}
