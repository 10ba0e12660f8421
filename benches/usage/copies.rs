//! A fleet of any size, by plain SQL.

use super::support::sql::Sql;

/// Copies of one machine, as many as it takes: `m1`, `m2` and so on.
pub async fn machines(url: &str, rows: u64) {
    let mut sql = Sql::writing(url).await;
    let hex = if url.starts_with("sqlite") { "printf('%012x', n)" } else { "lpad(to_hex(n), 12, '0')" };
    sql.run(&format!(
        "insert into machines (id, request_id, department_id, host_id, ordinal, name, state, intent, image_sha256, zone, \
         lease_end, contact, created_at, ready_at) \
         with recursive counter(n) as (select 1 union all select n + 1 from counter where n < {rows}) \
         select '019a0000-0000-7000-8000-' || {hex}, request_id, department_id, host_id, 1000 + n, 'm' || n, 'running', \
         intent, image_sha256, zone, '20' || (30 + n % 50) || '-01-01', contact, created_at, created_at \
         from counter, (select * from machines limit 1) one"
    ))
    .await;
    sql.run("analyze").await;
}
