//! SQL of reports that are kept.

use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx},
    identity::store::{parsed, parsed_opt},
    ids::{DepartmentId, ReportId},
    time,
};
use jiff::{Timestamp, civil::Date};
use sqlx::{AnyConnection, Row, any::AnyRow};

/// A report that was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: ReportId,
    pub kind: String,
    pub as_of: Date,
    /// `None`: of all departments.
    pub department: Option<DepartmentId>,
    pub made_at: Timestamp,
}

/// A report with its bytes, in each of its forms.
#[derive(Clone, Debug, Default)]
pub struct Paper {
    pub document: String,
    pub csv: Vec<u8>,
    pub xlsx: Vec<u8>,
}

fn made(row: &AnyRow) -> Result<Made, DbError> {
    Ok(Made {
        id: parsed(row, "id")?,
        kind: row.try_get("kind")?,
        as_of: parsed(row, "as_of")?,
        department: parsed_opt(row, "department_id")?,
        made_at: time::from_micros(row.try_get("made_at")?),
    })
}

pub const SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("made_at", "id"), ("as_of", "as_of")], default: "-made_at" };

/// Which reports a list has. `scope` is what the caller may see.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub as_of: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Made>, DbError> {
    Listing::new("id, kind, as_of, department_id, made_at", "reports")
        .only("department_id", filter.scope)
        .only("department_id", filter.department)
        .only("as_of", filter.as_of)
        .page(conn, slice, made)
        .await
}

pub async fn find(
    conn: &mut AnyConnection,
    id: &str,
    department: Option<&str>,
) -> Result<Option<(Made, Paper)>, DbError> {
    let row = sqlx::query(
        "select id, kind, as_of, department_id, made_at, document, csv, xlsx from reports \
         where id = $1 and (cast($2 as text) is null or department_id = $2)",
    )
    .bind(id)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref()
        .map(|row| {
            let paper =
                Paper { document: row.try_get("document")?, csv: row.try_get("csv")?, xlsx: row.try_get("xlsx")? };
            Ok((made(row)?, paper))
        })
        .transpose()
}

/// Whether there is one of all departments as of a day.
pub async fn is_made(conn: &mut AnyConnection, kind: &str, as_of: Date) -> Result<bool, DbError> {
    let row = sqlx::query("select id from reports where kind = $1 and as_of = $2 and department_id is null")
        .bind(kind)
        .bind(as_of.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// Keeps a report. False, and nothing is kept, where there is one already.
pub async fn insert(tx: &mut Tx, report: &Made, paper: &Paper) -> Result<bool, DbError> {
    let done = sqlx::query(
        "insert into reports (id, kind, as_of, department_id, made_at, document, csv, xlsx) \
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (kind, as_of, coalesce(department_id, '')) do nothing",
    )
    .bind(report.id.text())
    .bind(report.kind.as_str())
    .bind(report.as_of.to_string())
    .bind(report.department.map(DepartmentId::text))
    .bind(report.made_at.as_microsecond())
    .bind(paper.document.as_str())
    .bind(paper.csv.as_slice())
    .bind(paper.xlsx.as_slice())
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
