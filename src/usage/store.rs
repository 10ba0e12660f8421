//! SQL of what is measured. The times of rounds are the database's clock, as with operations.

use super::{codec::Broken, day::Day, open::Open};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx, placeholders},
    identity::store::parsed,
    ids::{DepartmentId, HostId},
    machine::Machine,
    provider::Intent,
    server::Server,
};
use jiff::civil::Date;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::{collections::HashMap, str::FromStr};

const EPOCH: Date = Date::constant(1970, 1, 1);

/// A day as its number.
pub fn number(day: Date) -> i64 {
    day.duration_since(EPOCH).as_hours() / 24
}

fn date(number: i64) -> Result<Date, DbError> {
    let unread = || DbError::Corrupt { what: format!("usage_days.day {number}") };
    let since = number.checked_mul(24).and_then(jiff::SignedDuration::try_from_hours).ok_or_else(unread)?;
    EPOCH.checked_add(since).map_err(|_| unread())
}

fn corrupt(what: &'static str) -> impl Fn(Broken) -> DbError {
    move |broken| DbError::Corrupt { what: format!("{what}: {broken}") }
}

/// Takes this round of a host for the caller: false when it is not due, or another broker has it.
pub async fn take_round(tx: &mut Tx, host: HostId, every_micros: i64) -> Result<bool, DbError> {
    let now = tx.database_now().await?;
    // On a grid, so that a round that is late does not move all that come after it.
    let next = (now / every_micros + 1) * every_micros;
    let done = sqlx::query(
        "insert into usage_rounds (host_id, due_at) values ($1, $3) \
         on conflict (host_id) do update set due_at = excluded.due_at where usage_rounds.due_at <= $2",
    )
    .bind(host.text())
    .bind(now)
    .bind(next)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How the round ended.
pub async fn end_round(tx: &mut Tx, host: HostId, failure: Option<&str>) -> Result<(), DbError> {
    let now = tx.database_now().await?;
    sqlx::query("update usage_rounds set failure = $3, collected_at = coalesce($2, collected_at) where host_id = $1")
        .bind(host.text())
        .bind(failure.is_none().then_some(now))
        .bind(failure)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// What is remembered of a subject, and whose it is.
#[derive(Clone, Debug)]
pub struct Meter {
    pub subject: String,
    pub department: DepartmentId,
    pub open: Open,
}

/// What usage is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A virtual machine of ours.
    Machine,
    /// A legacy server.
    Server,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Server => "server",
        }
    }
}

/// Neither of the two.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of subject: expected machine or server")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        [Self::Machine, Self::Server].into_iter().find(|kind| kind.word() == word).ok_or(UnknownKind)
    }
}

/// One machine or server.
#[derive(Clone, Debug)]
pub struct Subject {
    pub kind: Kind,
    pub id: String,
    pub name: String,
    pub department: DepartmentId,
    pub vcpu: Option<u32>,
    pub memory_bytes: Option<i64>,
}

impl From<&Machine> for Subject {
    fn from(machine: &Machine) -> Self {
        Self {
            kind: Kind::Machine,
            id: machine.id.text(),
            name: machine.intent.name.clone(),
            department: machine.department,
            vcpu: Some(machine.intent.vcpu),
            memory_bytes: Some(machine.intent.memory.get()),
        }
    }
}

impl From<&Server> for Subject {
    fn from(server: &Server) -> Self {
        Self {
            kind: Kind::Server,
            id: server.id.text(),
            name: server.facts.name.clone(),
            department: server.department,
            vcpu: server.facts.cores,
            memory_bytes: server.facts.memory_bytes,
        }
    }
}

/// Which subjects a list has. `scope` is what the caller may see, `department` what was asked for.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub kind: Option<&'a str>,
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
}

pub const SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("created_at", "id"), ("name", "name")], default: "-created_at" };

/// Machines and servers, in one order.
pub async fn subjects(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Subject>, DbError> {
    Listing::new(
        "kind, id, department_id, name, intent, cores, memory_bytes",
        "(select 'machine' as kind, id, department_id, name, intent, cast(null as bigint) as cores, \
         cast(null as bigint) as memory_bytes from machines union all \
         select 'server' as kind, id, department_id, name, null, cores, memory_bytes from servers) as subjects",
    )
    .only("kind", filter.kind)
    .only("department_id", filter.scope)
    .only("department_id", filter.department)
    .page(conn, slice, subject)
    .await
}

fn subject(row: &AnyRow) -> Result<Subject, DbError> {
    let corrupt = |what: &str| DbError::Corrupt { what: what.to_owned() };
    let (mut vcpu, mut memory_bytes) = (row.try_get::<Option<i64>, _>("cores")?, row.try_get("memory_bytes")?);
    let intent: Option<String> = row.try_get("intent")?;
    if let Some(intent) = &intent {
        let intent: Intent = serde_json::from_str(intent).map_err(|_| corrupt("intent"))?;
        (vcpu, memory_bytes) = (Some(intent.vcpu.into()), Some(intent.memory.get()));
    }
    Ok(Subject {
        kind: parsed(row, "kind")?,
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        department: parsed(row, "department_id")?,
        vcpu: vcpu.map(u32::try_from).transpose().map_err(|_| corrupt("servers.cores"))?,
        memory_bytes,
    })
}

/// The machines of the list that we have, each with what is remembered of it. State that cannot be read is begun anew.
pub async fn meters_of_machines(conn: &mut AnyConnection, machines: &[String]) -> Result<Vec<Meter>, DbError> {
    if machines.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select m.id, m.department_id, u.state from machines m left join usage_meters u on u.subject_id = m.id \
         where m.id in {}",
        placeholders(1, machines.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for machine in machines {
        query = query.bind(machine.as_str());
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let subject: String = row.try_get("id")?;
            let state: Option<Vec<u8>> = row.try_get("state")?;
            let open = state.map_or_else(Open::default, |state| read_open(&subject, &state));
            Ok(Meter { department: parsed(row, "department_id")?, subject, open })
        })
        .collect()
}

fn read_open(subject: &str, state: &[u8]) -> Open {
    Open::decode(state).unwrap_or_else(|error| {
        // A day's part is lost, which its coverage shows; the collecting goes on.
        tracing::error!(subject, %error, "usage.state.unread");
        Open::default()
    })
}

pub async fn keep_meters(tx: &mut Tx, meters: &[Meter]) -> Result<(), DbError> {
    if meters.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "insert into usage_meters (subject_id, department_id, state, last_at, open_day) values {} \
         on conflict (subject_id) do update set department_id = excluded.department_id, state = excluded.state, \
         last_at = excluded.last_at, open_day = excluded.open_day",
        placeholders(meters.len(), 5)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for meter in meters {
        query = query
            .bind(meter.subject.as_str())
            .bind(meter.department.text())
            .bind(meter.open.encode())
            .bind(meter.open.last())
            .bind(meter.open.date().map(number));
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

/// Subjects whose day under way is over, for nothing has come of them since.
pub async fn silent_meters(tx: &mut Tx, today: Date, most: i64) -> Result<Vec<Meter>, DbError> {
    let rows = sqlx::query(
        "select subject_id, department_id, state from usage_meters where open_day is not null and open_day < $1 \
         order by open_day, subject_id limit $2",
    )
    .bind(number(today))
    .bind(most)
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            let subject: String = row.try_get("subject_id")?;
            let open = read_open(&subject, &row.try_get::<Vec<u8>, _>("state")?);
            Ok(Meter { department: parsed(row, "department_id")?, subject, open })
        })
        .collect()
}

/// Keeps a day, or adds to what is kept of it.
pub async fn keep_day(tx: &mut Tx, subject: &str, day: &Day) -> Result<(), DbError> {
    let number = number(day.date());
    let kept = sqlx::query("select data from usage_days where subject_id = $1 and day = $2")
        .bind(subject)
        .bind(number)
        .fetch_optional(tx.conn())
        .await?;
    let mut day = day.clone();
    if let Some(kept) = kept {
        let kept: Vec<u8> = kept.try_get("data")?;
        day.merge(&Day::decode(day.date(), &kept).map_err(corrupt("usage_days.data"))?);
    }
    sqlx::query(
        "insert into usage_days (subject_id, day, data) values ($1, $2, $3) \
         on conflict (subject_id, day) do update set data = excluded.data",
    )
    .bind(subject)
    .bind(number)
    .bind(day.encode())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The days of some subjects, both ends included, each subject's in their order; what is under way counts as it stands.
pub async fn days(
    conn: &mut AnyConnection,
    subjects: &[String],
    from: Date,
    to: Date,
) -> Result<HashMap<String, Vec<Day>>, DbError> {
    let mut found: HashMap<String, Vec<Day>> = HashMap::new();
    if subjects.is_empty() {
        return Ok(found);
    }
    let sql = format!(
        "select subject_id, day, data from usage_days where day between ${} and ${} and subject_id in {} \
         order by subject_id, day",
        subjects.len() + 1,
        subjects.len() + 2,
        placeholders(1, subjects.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for subject in subjects {
        query = query.bind(subject.as_str());
    }
    for row in query.bind(number(from)).bind(number(to)).fetch_all(&mut *conn).await? {
        let data: Vec<u8> = row.try_get("data")?;
        let day = Day::decode(date(row.try_get("day")?)?, &data).map_err(corrupt("usage_days.data"))?;
        found.entry(row.try_get("subject_id")?).or_default().push(day);
    }
    let sql = format!(
        "select subject_id, state from usage_meters where open_day is not null and subject_id in {}",
        placeholders(1, subjects.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for subject in subjects {
        query = query.bind(subject.as_str());
    }
    for row in query.fetch_all(conn).await? {
        let subject: String = row.try_get("subject_id")?;
        let open = read_open(&subject, &row.try_get::<Vec<u8>, _>("state")?);
        let Some(day) = open.so_far().filter(|day| from <= day.date() && day.date() <= to) else { continue };
        let days = found.entry(subject).or_default();
        // A day of which a part was kept already (a clock was set back) is one day.
        match days.iter_mut().find(|kept| kept.date() == day.date()) {
            Some(kept) => drop(kept.merge(&day)),
            None => days.push(*day),
        }
    }
    Ok(found)
}
