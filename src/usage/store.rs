//! SQL of what is measured. The times of rounds are the database's clock, as with operations.

use super::{block, codec::Broken, day::Day, open::Open};
use crate::{
    db::{Batch, DbError, Joined, Listing, Page, Slice, Sorts, Tx, placeholders, value},
    identity::store::parsed,
    ids::DepartmentId,
    machine::Machine,
    provider::{Intent, reading::Guest},
    server::Server,
    time,
};
use jiff::{Timestamp, civil::Date};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    str::FromStr,
};

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

/// Takes this round of a host or source for the caller: false when it is not due, or another broker has it.
pub async fn take_round(tx: &mut Tx, origin: &str, every_micros: i64) -> Result<bool, DbError> {
    let now = tx.database_now().await?;
    // On a grid, so that a round that is late does not move all that come after it.
    let next = (now / every_micros + 1) * every_micros;
    let done = sqlx::query(
        "insert into usage_rounds (origin, due_at) values ($1, $3) \
         on conflict (origin) do update set due_at = excluded.due_at where usage_rounds.due_at <= $2",
    )
    .bind(origin)
    .bind(now)
    .bind(next)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How a round ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Machines and servers that it measured, if anything came of it.
    pub measured: Option<usize>,
    /// What was amiss: a word and a sentence.
    pub failure: Option<(&'static str, String)>,
}

pub async fn end_round(tx: &mut Tx, origin: &str, ending: &Ending) -> Result<(), DbError> {
    let now = tx.database_now().await?;
    sqlx::query(
        "update usage_rounds set collected_at = coalesce($2, collected_at), failure_code = $3, failure = $4, \
         measured = $5 where origin = $1",
    )
    .bind(origin)
    .bind(ending.measured.map(|_| now))
    .bind(ending.failure.as_ref().map(|(code, _)| *code))
    .bind(ending.failure.as_ref().map(|(_, text)| text.as_str()))
    .bind(ending.measured.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is measured, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub id: String,
    pub department: DepartmentId,
}

/// What is remembered of a subject.
#[derive(Clone, Debug)]
pub struct Meter {
    pub subject: Target,
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

/// The machines and servers of the list that we have.
pub async fn targets(conn: &mut AnyConnection, ids: &[String]) -> Result<Vec<Target>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let list = placeholders(1, ids.len());
    let sql = format!(
        "select id, department_id from machines where id in {list} union all \
         select id, department_id from servers where id in {list}"
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for id in ids {
        query = query.bind(id.as_str());
    }
    query.fetch_all(conn).await?.iter().map(|row| target(row, "id")).collect()
}

/// Those that are called so, each with its name: a name may be that of several, on different hosts, of different departments.
pub async fn named(conn: &mut AnyConnection, names: &[&str]) -> Result<Vec<(String, Target)>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let list = placeholders(1, names.len());
    let sql = format!(
        "select id, name, department_id from machines where state <> 'undone' and name in {list} union all \
         select id, name, department_id from servers where name in {list}"
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for name in names {
        query = query.bind(*name);
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, target(row, "id")?))).collect()
}

pub(super) fn target(row: &AnyRow, id: &str) -> Result<Target, DbError> {
    Ok(Target { id: row.try_get(id)?, department: parsed(row, "department_id")? })
}

/// What is remembered of each, which nobody else changes until the transaction ends: of two brokers one waits here. State
/// that cannot be read is begun anew. Subjects come in the order of their ids, so that no two wait for each other.
pub async fn hold_meters(tx: &mut Tx, subjects: &[&Target]) -> Result<Vec<Meter>, DbError> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "insert into usage_meters (subject_id, department_id, state) values {} \
         on conflict (subject_id) do update set department_id = excluded.department_id returning subject_id, state",
        placeholders(subjects.len(), 3)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for subject in subjects {
        query = query.bind(subject.id.as_str()).bind(subject.department.text()).bind(Open::default().encode());
    }
    let mut states: HashMap<String, Open> = HashMap::with_capacity(subjects.len());
    for row in query.fetch_all(tx.conn()).await? {
        let subject: String = row.try_get("subject_id")?;
        let open = read_open(&subject, row.try_get("state")?);
        states.insert(subject, open);
    }
    let held = subjects.iter().map(|subject| {
        let open = states.remove(&subject.id).unwrap_or_default();
        Meter { subject: (*subject).clone(), open }
    });
    Ok(held.collect())
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
            .bind(meter.subject.id.as_str())
            .bind(meter.subject.department.text())
            .bind(meter.open.encode())
            .bind(meter.open.last())
            .bind(meter.open.date().map(number));
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

/// Keeps what guests have told of themselves; what was told before is gone with that.
pub async fn keep_guests(tx: &mut Tx, guests: &[(&str, i64, &Guest)]) -> Result<(), DbError> {
    if guests.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "insert into usage_guests (subject_id, told_at, told) values {} \
         on conflict (subject_id) do update set told_at = excluded.told_at, told = excluded.told",
        placeholders(guests.len(), 3)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (subject, at, guest) in guests {
        let told =
            serde_json::to_string(guest).map_err(|_| DbError::Corrupt { what: "usage_guests.told".to_owned() })?;
        query = query.bind(*subject).bind(*at).bind(told);
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

/// What a machine's guest has told last, and when.
pub async fn guest(conn: &mut AnyConnection, subject: &str) -> Result<Option<(Timestamp, Guest)>, DbError> {
    let row = sqlx::query("select told_at, told from usage_guests where subject_id = $1")
        .bind(subject)
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        let told: &str = row.try_get("told")?;
        let guest =
            serde_json::from_str(told).map_err(|_| DbError::Corrupt { what: "usage_guests.told".to_owned() })?;
        Ok((time::from_micros(row.try_get("told_at")?), guest))
    })
    .transpose()
}

/// Subjects whose day under way is over, for nothing has come of them since.
pub async fn silent(tx: &mut Tx, today: Date, most: i64) -> Result<Vec<Target>, DbError> {
    let rows = sqlx::query(
        "select subject_id, department_id from usage_meters where open_day is not null and open_day < $1 \
         order by open_day, subject_id limit $2",
    )
    .bind(number(today))
    .bind(most)
    .fetch_all(tx.conn())
    .await?;
    rows.iter().map(|row| target(row, "subject_id")).collect()
}

/// Keeps days, or adds to what is kept of them. Whoever keeps a subject's days holds its meter.
pub async fn keep_days(tx: &mut Tx, days: &[(&str, Box<Day>)]) -> Result<(), DbError> {
    let mut rows: BTreeMap<(&str, i64), BTreeMap<i64, Box<Day>>> = BTreeMap::new();
    for (subject, day) in days {
        let number = number(day.date());
        let first = block::first(number);
        match rows.entry((*subject, first)).or_default().entry(number - first) {
            Entry::Vacant(place) => _ = place.insert(day.clone()),
            // The same day twice, where a clock was set back.
            Entry::Occupied(mut known) => _ = known.get_mut().merge(day),
        }
    }
    let firsts = || rows.keys().map(|(_, first)| *first);
    let (Some(from), Some(to)) = (firsts().min(), firsts().max()) else { return Ok(()) };
    let mut subjects: Vec<&str> = rows.keys().map(|(subject, _)| *subject).collect();
    subjects.dedup();
    let mut kept: HashMap<(usize, i64), Vec<u8>> = HashMap::new();
    for ([subject, first], data) in rows_between(tx.conn(), &subjects, from, to).await?.rows() {
        if let Ok(at) = subjects.binary_search(&subject) {
            kept.insert((at, value(first, "usage_days.day")?), data.to_vec());
        }
    }
    let sql = format!(
        "insert into usage_days (subject_id, day, data) values {} \
         on conflict (subject_id, day) do update set data = excluded.data",
        placeholders(rows.len(), 3)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for ((subject, first), days) in rows {
        let known = subjects.binary_search(&subject).ok().and_then(|at| kept.get(&(at, first)));
        let data = block::add(known.map(Vec::as_slice), &days).map_err(corrupt("usage_days.data"))?;
        query = query.bind(subject).bind(first).bind(data);
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

/// Rows of days as one: subject, first day, days.
const DAYS: Joined<2> = Joined { texts: ["subject_id", "day"], bytes: Some("data") };

/// Rows whose first days lie between, each subject's in their order.
async fn rows_between<S: AsRef<str>>(
    conn: &mut AnyConnection,
    subjects: &[S],
    from: i64,
    to: i64,
) -> Result<Page<2>, DbError> {
    let rows = format!(
        "select subject_id, day, data from usage_days where day between ${} and ${} and subject_id in {} \
         order by subject_id, day",
        subjects.len() + 1,
        subjects.len() + 2,
        placeholders(1, subjects.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(DAYS.sql(conn, &rows)));
    for subject in subjects {
        query = query.bind(subject.as_ref());
    }
    DAYS.read(&query.bind(from).bind(to).fetch_one(conn).await?)
}

/// The days of a row that lie between, each read into the same place.
fn days_of(first: i64, data: &[u8], from: i64, to: i64, mut each: impl FnMut(&mut Day)) -> Result<(), DbError> {
    let begins = date(first)?;
    let mut read = || {
        let mut day = Day::new(begins);
        for (place, bytes) in block::days(data)? {
            if (from..=to).contains(&(first + place)) {
                block::read(begins, place, bytes, &mut day)?;
                each(&mut day);
            }
        }
        Ok(())
    };
    read().map_err(corrupt("usage_days.data"))
}

/// The days of some subjects, both ends included, each subject's in their order.
pub async fn days<S: AsRef<str>>(
    conn: &mut AnyConnection,
    subjects: &[S],
    from: Date,
    to: Date,
) -> Result<HashMap<String, Vec<Day>>, DbError> {
    fold(conn, subjects, (from, to), &Vec::new(), |days, day| days.push(day.clone())).await
}

/// Shows the days of some subjects, both ends included, each subject's in their order, to what is kept of that subject; what
/// is under way counts as it stands. A subject without a day has nothing.
pub async fn fold<S: AsRef<str>, T: Clone>(
    conn: &mut AnyConnection,
    subjects: &[S],
    (from, to): (Date, Date),
    empty: &T,
    mut add: impl FnMut(&mut T, &Day),
) -> Result<HashMap<String, T>, DbError> {
    let mut found: HashMap<String, T> = HashMap::with_capacity(subjects.len());
    if subjects.is_empty() {
        return Ok(found);
    }
    let (first, last) = (number(from), number(to));
    let mut open = so_far(conn, subjects, first, last).await?;
    for ([subject, begins], data) in rows_between(conn, subjects, block::first(first), last).await?.rows() {
        if !found.contains_key(subject) {
            found.insert(subject.to_owned(), empty.clone());
        }
        let Some(kept) = found.get_mut(subject) else { continue };
        days_of(value(begins, "usage_days.day")?, data, first, last, |day| {
            complete(day, subject, &mut open);
            add(kept, day);
        })?;
    }
    for (subject, so_far) in open {
        add(found.entry(subject).or_insert_with(|| empty.clone()), &so_far);
    }
    Ok(found)
}

/// A day of which a part is kept already while the rest is under way (a clock was set back) is one day.
fn complete(day: &mut Day, subject: &str, open: &mut HashMap<String, Box<Day>>) {
    if open.get(subject).is_some_and(|so_far| day.merge(so_far)) {
        open.remove(subject);
    }
}

/// What is remembered of subjects, as one row.
const STATES: Joined<1> = Joined { texts: ["subject_id"], bytes: Some("state") };

/// Days under way of some subjects, if they lie between.
async fn so_far<S: AsRef<str>>(
    conn: &mut AnyConnection,
    subjects: &[S],
    from: i64,
    to: i64,
) -> Result<HashMap<String, Box<Day>>, DbError> {
    // Of a range that is over there is mostly none, which is known at one look.
    let any = sqlx::query("select 1 from usage_meters where open_day between $1 and $2 limit 1").bind(from).bind(to);
    if any.fetch_optional(&mut *conn).await?.is_none() {
        return Ok(HashMap::new());
    }
    let rows = format!(
        // Of subjects by their ids: what has a day under way may be all there is, and is not to be gone through each time.
        "select subject_id, state from usage_meters where open_day + 0 between ${} and ${} and subject_id in {}",
        subjects.len() + 1,
        subjects.len() + 2,
        placeholders(1, subjects.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(STATES.sql(conn, &rows)));
    for subject in subjects {
        query = query.bind(subject.as_ref());
    }
    let states = STATES.read(&query.bind(from).bind(to).fetch_one(conn).await?)?;
    let open = |([subject], state): ([&str; 1], &[u8])| Some((subject.to_owned(), read_open(subject, state).so_far()?));
    Ok(states.rows().filter_map(open).collect())
}
