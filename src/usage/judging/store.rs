//! SQL of judgements, and of what they are made of.

use super::{Agreement, Case, Evidence, Kept, MadeOf, Subject};
use crate::{
    db::{Batch, DbError, Joined, Listing, Slice, Sorts, Tx, placeholders, value},
    identity::{
        Department,
        store::{parsed, parsed_opt},
    },
    ids::{AgreementId, MachineId, SystemId, VerdictId},
    provider::Intent,
    request::block::WorkloadClass,
    time,
    usage::{
        store::number,
        verdict::{Facts, Owner},
        zombie::finding::Exemption,
    },
};
use jiff::civil::Date;
use serde::{Deserialize, de::DeserializeOwned};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::collections::HashMap;

fn json<T: DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<T, DbError> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|_| DbError::Corrupt { what: column.to_owned() })
}

/// What many machines share: read once, and not with each of them.
pub struct Ground {
    departments: HashMap<String, Department>,
    images: HashMap<String, ImageOf>,
    requests: HashMap<String, Asked>,
    /// Names by ids.
    systems: HashMap<String, String>,
    /// Ids by department and name.
    named: HashMap<String, HashMap<String, String>>,
    /// What somebody has put a machine to: a system, or none.
    tied: HashMap<String, Option<String>>,
}

struct ImageOf {
    size: i64,
    os: String,
    name: String,
}

/// What of a request is judged by.
struct Asked {
    class: WorkloadClass,
    project: String,
}

/// What of a request's block is judged by.
#[derive(Deserialize)]
struct Classed {
    #[serde(default)]
    workload_class: WorkloadClass,
}

impl Ground {
    /// What a machine is a part of: what it was put to; else its department's system that is called as the project is.
    fn system(
        &self,
        machine: &str,
        department: &str,
        project: &str,
    ) -> Result<(Option<SystemId>, Option<String>), DbError> {
        let tied = self.tied.get(machine);
        let id = match tied {
            Some(tied) => tied.as_ref(),
            None => self.named.get(department).and_then(|named| named.get(project)),
        };
        let Some(id) = id else { return Ok((None, tied.is_none().then(|| project.to_owned()))) };
        let parsed = id.parse().map_err(|_| DbError::Corrupt { what: "systems.id".to_owned() })?;
        Ok((Some(parsed), self.systems.get(id).cloned()))
    }
}

pub async fn ground(conn: &mut AnyConnection) -> Result<Ground, DbError> {
    let departments =
        sqlx::query("select id as department_id, code as department_code, name as department_name from departments")
            .fetch_all(&mut *conn)
            .await?;
    let images =
        sqlx::query("select sha256, virtual_size_bytes, os_type, name from images").fetch_all(&mut *conn).await?;
    let requests = sqlx::query(
        "select requests.id as id, requests.block as block, task_books.project_name as project_name from requests \
         join task_books on task_books.id = requests.task_book_id",
    )
    .fetch_all(&mut *conn)
    .await?;
    let systems = sqlx::query("select id, department_id, name from systems").fetch_all(&mut *conn).await?;
    let tied = sqlx::query("select machine_id, system_id from system_machines").fetch_all(conn).await?;
    let id = |row: &AnyRow| -> Result<String, DbError> { Ok(row.try_get("id")?) };
    let (mut names, mut named) = (HashMap::new(), HashMap::<String, HashMap<String, String>>::new());
    for row in &systems {
        let name: String = row.try_get("name")?;
        named.entry(row.try_get("department_id")?).or_default().insert(name.clone(), id(row)?);
        names.insert(id(row)?, name);
    }
    Ok(Ground {
        departments: departments
            .iter()
            .map(|row| Ok((row.try_get("department_id")?, department(row)?)))
            .collect::<Result<_, DbError>>()?,
        images: images
            .iter()
            .map(|row| {
                let size = row.try_get("virtual_size_bytes")?;
                Ok((row.try_get("sha256")?, ImageOf { size, os: row.try_get("os_type")?, name: row.try_get("name")? }))
            })
            .collect::<Result<_, DbError>>()?,
        requests: requests
            .iter()
            .map(|row| {
                let class = json::<Classed>(row, "block")?.workload_class;
                Ok((id(row)?, Asked { class, project: row.try_get("project_name")? }))
            })
            .collect::<Result<_, DbError>>()?,
        systems: names,
        named,
        tied: tied
            .iter()
            .map(|row| Ok((row.try_get("machine_id")?, row.try_get("system_id")?)))
            .collect::<Result<_, DbError>>()?,
    })
}

/// Machines that a day's judgement is of, after one of them in the order of their ids: those that were delivered before its
/// end and had not gone into the bin, and those whose use of it or of a day before is known from elsewhere.
pub async fn machines(
    conn: &mut AnyConnection,
    ground: &Ground,
    day: Date,
    after: &str,
    most: i64,
) -> Result<Vec<Case>, DbError> {
    let rows = "select id, department_id, host_id, request_id, image_sha256, zone, state, intent, ready_at from machines \
         where id > $1 and state <> 'undone' and ready_at is not null and (binned_at is null or binned_at >= $2) \
         and (ready_at < $2 or exists (select 1 from usage_days where usage_days.subject_id = machines.id \
         and usage_days.day <= $3)) order by id limit $4";
    let page = sqlx::query(AssertSqlSafe(MACHINES.sql(conn, rows)))
        .bind(after)
        .bind(end_of(day))
        .bind(number(day))
        .bind(most)
        .fetch_one(&mut *conn)
        .await?;
    MACHINES.read(&page)?.rows().filter_map(|(row, _)| machine(row, ground, day).transpose()).collect()
}

/// What of machines is judged by.
const MACHINES: Joined<9> = Joined {
    texts: ["id", "department_id", "host_id", "request_id", "image_sha256", "zone", "state", "intent", "ready_at"],
    bytes: None,
};

/// The instant at which a day is over, in microseconds.
fn end_of(day: Date) -> i64 {
    (time::day_begins(day) + 86_400) * 1_000_000
}

/// `None` of one whose request came to be after the others were read: it is of no day that is over.
fn machine(row: [&str; 9], ground: &Ground, day: Date) -> Result<Option<Case>, DbError> {
    let [id, department, host, request, image, zone, state, intent, ready_at] = row;
    let intent: Intent = serde_json::from_str(intent).map_err(|_| DbError::Corrupt { what: "intent".to_owned() })?;
    let delivered = time::civil(time::from_micros(value(ready_at, "ready_at")?));
    // Of a machine whose history was brought from elsewhere, our own delivery says nothing.
    let delivered_on = (delivered <= day).then_some(delivered);
    let of = || Some((ground.departments.get(department)?, ground.requests.get(request)?, ground.images.get(image)?));
    let Some((whose, asked, image)) = of() else { return Ok(None) };
    let (system_id, system) = ground.system(id, department, &asked.project)?;
    Ok(Some(Case {
        subject: Subject {
            id: id.to_owned(),
            department: whose.clone(),
            name: intent.name.clone(),
            system,
            system_id,
            vcpu: Some(i64::from(intent.vcpu)),
            memory_bytes: Some(intent.memory.get()),
            disk_bytes: Some(intent.disk.get()),
            workload_class: asked.class,
            state: state.to_owned(),
            delivered_on,
        },
        facts: Facts { created: delivered_on, ..Facts::default() },
        host: (!host.is_empty()).then(|| value(host, "host_id")).transpose()?,
        least_memory: 0,
        least_disk: image.size,
        made_of: Some(MadeOf { os: image.os.clone(), image: image.name.clone(), zone: value(zone, "zone")? }),
        unread: None,
        intent: Some(intent),
    }))
}

/// Legacy servers that a day's judgement is of, in the same way.
pub async fn servers(conn: &mut AnyConnection, day: Date, after: &str, most: i64) -> Result<Vec<Case>, DbError> {
    let rows = sqlx::query(
        "select servers.id as id, servers.name as name, departments.id as department_id, \
         departments.code as department_code, departments.name as department_name, servers.cores as cores, \
         servers.memory_bytes as memory_bytes from servers join departments on departments.id = servers.department_id \
         where servers.id > $1 and (servers.created_at < $2 or exists ( \
         select 1 from usage_days where usage_days.subject_id = servers.id and usage_days.day <= $3)) \
         order by servers.id limit $4",
    )
    .bind(after)
    .bind(end_of(day))
    .bind(number(day))
    .bind(most)
    .fetch_all(conn)
    .await?;
    rows.iter().map(server).collect()
}

/// Nobody has told us which system it is, when it came to be, or how large its disks are.
fn server(row: &AnyRow) -> Result<Case, DbError> {
    Ok(Case {
        subject: Subject {
            id: row.try_get("id")?,
            department: department(row)?,
            name: row.try_get("name")?,
            system: None,
            system_id: None,
            vcpu: row.try_get("cores")?,
            memory_bytes: row.try_get("memory_bytes")?,
            disk_bytes: None,
            workload_class: WorkloadClass::default(),
            state: "server".to_owned(),
            delivered_on: None,
        },
        facts: Facts::default(),
        host: None,
        intent: None,
        least_memory: 0,
        least_disk: 0,
        made_of: None,
        unread: None,
    })
}

fn department(row: &AnyRow) -> Result<Department, DbError> {
    Ok(Department {
        id: parsed(row, "department_id")?,
        code: row.try_get("department_code")?,
        name: row.try_get("department_name")?,
    })
}

/// Owners' agreements that count on a day, by machine.
pub async fn agreed(conn: &mut AnyConnection, day: Date) -> Result<HashMap<String, Owner>, DbError> {
    let rows = sqlx::query(
        "select machine_id from reclaim_agreements where agreed_on <= $1 and until >= $1 \
         and (withdrawn_on is null or withdrawn_on > $1)",
    )
    .bind(day.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("machine_id")?, Owner::Agreed))).collect()
}

/// The last day of each system's exemption, by the system's id.
pub async fn exempt(conn: &mut AnyConnection) -> Result<HashMap<String, Date>, DbError> {
    let rows =
        sqlx::query("select system_id, exemption from zombie_findings where state = 'exempt'").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("system_id")?, json::<Exemption>(row, "exemption")?.until))).collect()
}

/// Why hosts could not be read, by host.
pub async fn unread_hosts(conn: &mut AnyConnection) -> Result<HashMap<String, String>, DbError> {
    let rows =
        sqlx::query("select origin, failure from usage_rounds where failure is not null").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("origin")?, row.try_get("failure")?))).collect()
}

/// Whether every machine was judged as of a day.
pub async fn is_judged(conn: &mut AnyConnection, day: Date) -> Result<bool, DbError> {
    let row = sqlx::query("select day from usage_verdict_days where day = $1")
        .bind(day.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// Keeps judgements. What was kept before stays.
pub async fn keep(tx: &mut Tx, day: Date, all: &[&Evidence]) -> Result<(), DbError> {
    if all.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "insert into usage_verdicts (id, subject_id, day, department_id, verdict, eligible, rule_set, rule_version, \
         evidence) values {} on conflict (subject_id, day) do nothing",
        placeholders(all.len(), 9)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for evidence in all {
        let judgement = &evidence.judgement;
        let text = serde_json::to_string(evidence).map_err(|_| DbError::Corrupt { what: "evidence".to_owned() })?;
        query = query
            .bind(VerdictId::new().text())
            .bind(evidence.subject.id.as_str())
            .bind(day.to_string())
            .bind(evidence.subject.department.id.text())
            .bind(judgement.verdict.word())
            .bind(i64::from(judgement.eligibility.eligible))
            .bind(judgement.rule_set.as_str())
            .bind(i64::from(judgement.rule_version))
            .bind(text);
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

/// From now on the day's judgements are whole.
pub async fn close(tx: &mut Tx, day: Date) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query("insert into usage_verdict_days (day, judged_at) values ($1, $2) on conflict (day) do nothing")
        .bind(day.to_string())
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

fn kept(row: &AnyRow) -> Result<Kept, DbError> {
    Ok(Kept { id: parsed(row, "id")?, day: parsed(row, "day")?, evidence: json(row, "evidence")? })
}

/// The evidence of a day's judgements after one of them, a line each, and which was the last; `None` behind the end. As one
/// text, for of ten thousand rows most of the time would go into handing them over.
pub async fn lines(
    conn: &mut AnyConnection,
    day: Date,
    department: Option<&str>,
    after: &str,
    most: i64,
) -> Result<Option<(String, String)>, DbError> {
    let row = sqlx::query(
        "select max(id) as last, string_agg(evidence, $1) as evidence from (select id, evidence from usage_verdicts \
         where day = $2 and (cast($3 as text) is null or department_id = $3) and id > $4 order by id limit $5) as page",
    )
    .bind("\n")
    .bind(day.to_string())
    .bind(department)
    .bind(after)
    .bind(most)
    .fetch_one(conn)
    .await?;
    let last: Option<String> = row.try_get("last")?;
    last.map(|last| Ok((last, row.try_get("evidence")?))).transpose()
}

/// The newest judgement of each of some machines, as of a day or before.
pub async fn newest(conn: &mut AnyConnection, machines: &[String], day: Date) -> Result<Vec<Kept>, DbError> {
    if machines.is_empty() {
        return Ok(Vec::new());
    }
    let n = machines.len() + 1;
    let sql = format!(
        "select id, day, evidence from usage_verdicts where day = (select max(other.day) from usage_verdicts other \
         where other.subject_id = usage_verdicts.subject_id and other.day <= ${n}) and subject_id in {} \
         order by subject_id",
        placeholders(1, machines.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for machine in machines {
        query = query.bind(machine.as_str());
    }
    let rows = query.bind(day.to_string()).fetch_all(conn).await?;
    rows.iter().map(kept).collect()
}

/// The newest verdict on each machine of a request, of days whose judgements are whole: machine and word.
pub async fn of_request(conn: &mut AnyConnection, request: &str) -> Result<Vec<(String, String)>, DbError> {
    let rows = sqlx::query(
        "select subject_id, verdict from usage_verdicts join machines on machines.id = subject_id \
         where machines.request_id = $1 and day = (select max(whole.day) from usage_verdict_days whole \
         join usage_verdicts other on other.day = whole.day where other.subject_id = usage_verdicts.subject_id)",
    )
    .bind(request)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("subject_id")?, row.try_get("verdict")?))).collect()
}

/// The newest day whose judgements are whole.
pub async fn last_day(conn: &mut AnyConnection) -> Result<Option<String>, DbError> {
    let row = sqlx::query("select max(day) as day from usage_verdict_days").fetch_one(conn).await?;
    Ok(row.try_get("day")?)
}

/// How many machines have a verdict, and what they hold now.
#[derive(Clone, Debug, Default)]
pub struct Count {
    pub verdict: String,
    pub number: i64,
    pub vcpu: i64,
    pub memory_bytes: i64,
}

/// As of the newest day that was judged.
pub async fn counts(conn: &mut AnyConnection) -> Result<Vec<Count>, DbError> {
    let rows = sqlx::query(
        "select usage_verdicts.verdict as verdict, count(*) as number, \
         cast(coalesce(sum(claims.vcpu * claims.compute_held), 0) as bigint) as vcpu, \
         cast(coalesce(sum(claims.memory_bytes * claims.compute_held), 0) as bigint) as memory_bytes \
         from usage_verdicts left join claims on claims.machine_id = usage_verdicts.subject_id \
         where usage_verdicts.day = (select max(day) from usage_verdict_days) group by usage_verdicts.verdict",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Count {
                verdict: row.try_get("verdict")?,
                number: row.try_get("number")?,
                vcpu: row.try_get("vcpu")?,
                memory_bytes: row.try_get("memory_bytes")?,
            })
        })
        .collect()
}

pub const SORTS: Sorts = Sorts { id: "id", numbered: false, by: &[("day", "day")], default: "-day" };

/// Which judgements a list has. `scope` is what the caller may see.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub day: Option<&'a str>,
    pub verdict: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub eligible: bool,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Kept>, DbError> {
    Listing::new("id, day, evidence", "usage_verdicts")
        .only("department_id", filter.scope)
        .only("department_id", filter.department)
        .only("day", filter.day)
        .only("verdict", filter.verdict)
        .only("subject_id", filter.subject)
        .when(filter.eligible, "eligible = 1")
        .page(conn, slice, kept)
        .await
}

fn agreement(row: &AnyRow) -> Result<Agreement, DbError> {
    Ok(Agreement {
        id: parsed(row, "id")?,
        machine_id: parsed(row, "machine_id")?,
        agreed_on: parsed(row, "agreed_on")?,
        until: parsed(row, "until")?,
        reason: row.try_get("reason")?,
        agreed_by: row.try_get("agreed_by")?,
        agreed_at: time::from_micros(row.try_get("agreed_at")?),
        withdrawn_on: parsed_opt(row, "withdrawn_on")?,
        withdrawn_by: row.try_get("withdrawn_by")?,
    })
}

pub async fn find_agreement(conn: &mut AnyConnection, id: AgreementId) -> Result<Option<Agreement>, DbError> {
    let row = sqlx::query(
        "select id, machine_id, agreed_on, until, reason, agreed_by, agreed_at, withdrawn_on, withdrawn_by \
         from reclaim_agreements where id = $1",
    )
    .bind(id.text())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(agreement).transpose()
}

pub async fn agree(tx: &mut Tx, agreement: &Agreement) -> Result<(), DbError> {
    sqlx::query(
        "insert into reclaim_agreements (id, machine_id, agreed_on, until, reason, agreed_by, agreed_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(agreement.id.text())
    .bind(agreement.machine_id.text())
    .bind(agreement.agreed_on.to_string())
    .bind(agreement.until.to_string())
    .bind(agreement.reason.as_deref())
    .bind(agreement.agreed_by.as_str())
    .bind(agreement.agreed_at.as_microsecond())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Withdraws the agreement that stands, and answers which that was.
pub async fn withdraw(tx: &mut Tx, machine: MachineId, on: Date, by: &str) -> Result<Option<AgreementId>, DbError> {
    let row = sqlx::query(
        "update reclaim_agreements set withdrawn_on = $2, withdrawn_by = $3 \
         where machine_id = $1 and withdrawn_on is null returning id",
    )
    .bind(machine.text())
    .bind(on.to_string())
    .bind(by)
    .fetch_optional(tx.conn())
    .await?;
    row.as_ref().map(|row| parsed(row, "id")).transpose()
}
