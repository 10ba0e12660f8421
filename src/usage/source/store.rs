//! SQL of sources: whom they measure, and how their last rounds went.

use crate::{
    db::{DbError, placeholders},
    time,
    usage::store::{Target, target},
};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::HashMap;

/// A server or machine that a source measures: what the source calls it, and how many cores it is registered with.
pub struct Measured {
    pub instance: String,
    pub cores: Option<u32>,
    pub subject: Target,
}

/// The servers assigned to a source, by their ids, after one of them.
pub async fn servers_of(
    conn: &mut AnyConnection,
    source: &str,
    after: &str,
    most: usize,
) -> Result<Vec<Measured>, DbError> {
    let rows = sqlx::query(
        "select id, department_id, instance, cores from servers where source = $1 and id > $2 order by id limit $3",
    )
    .bind(source)
    .bind(after)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let cores: Option<i64> = row.try_get("cores")?;
            let cores = cores.and_then(|cores| u32::try_from(cores).ok());
            Ok(Measured { instance: row.try_get("instance")?, cores, subject: target(row, "id")? })
        })
        .collect()
}

/// The machines of these names that libvirt does not read; where the settings say whose source it is, those on that cluster
/// alone. Of two that have one name neither is meant.
pub async fn machines_named(
    conn: &mut AnyConnection,
    names: &[String],
    clusters: &[String],
) -> Result<Vec<Measured>, DbError> {
    let sql = format!(
        "select m.id, m.department_id, m.name, h.uri from machines m join hosts h on h.id = m.host_id \
         where h.provider <> 'libvirt' and m.state not in ('undone', 'in_bin') and m.name in {} order by m.id",
        placeholders(1, names.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for name in names {
        query = query.bind(name.as_str());
    }
    let mut found: Vec<Measured> = Vec::new();
    for row in query.fetch_all(conn).await? {
        if !clusters.is_empty() && !clusters.contains(&row.try_get::<String, _>("uri")?) {
            continue;
        }
        found.push(Measured { instance: row.try_get("name")?, cores: None, subject: target(&row, "id")? });
    }
    let mut times: HashMap<String, usize> = HashMap::new();
    for one in &found {
        *times.entry(one.instance.clone()).or_default() += 1;
    }
    found.retain(|one| times.get(&one.instance) == Some(&1));
    Ok(found)
}

/// How a source's last rounds went.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pub collected_at: Option<Timestamp>,
    pub failure: Option<(String, String)>,
    /// By the last round, if anything came of it.
    pub measured: Option<i64>,
}

/// By origin.
pub async fn health(conn: &mut AnyConnection) -> Result<HashMap<String, Health>, DbError> {
    let rows = sqlx::query("select origin, collected_at, failure_code, failure, measured from usage_rounds")
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            let code: Option<String> = row.try_get("failure_code")?;
            let health = Health {
                collected_at: row.try_get::<Option<i64>, _>("collected_at")?.map(time::from_micros),
                failure: code.zip(row.try_get("failure")?),
                measured: row.try_get("measured")?,
            };
            Ok((row.try_get("origin")?, health))
        })
        .collect()
}

/// How many servers each source has.
pub async fn assigned(conn: &mut AnyConnection) -> Result<HashMap<String, i64>, DbError> {
    let rows = sqlx::query("select source, count(*) as servers from servers where source is not null group by source")
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("source")?, row.try_get("servers")?))).collect()
}
