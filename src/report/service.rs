//! Acts: a report on demand, and the month's, which are kept.

use super::{
    idle::{self, Head, IdleReport},
    paper::{self, PaperError},
    store::{self, Made, Paper},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError},
    error::Problem,
    identity::Department,
    ids::{DepartmentId, ReportId},
    jurisdiction::Profile,
    usage::judging::{
        Line,
        service::{Judges, JudgingError, Keep},
    },
};
use jiff::civil::Date;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::spawn_blocking;

/// The kind of the idle report.
pub const IDLE: &str = "idle";

/// Why a report is not made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Judging(#[from] JudgingError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Paper(#[from] PaperError),
    #[error("the report could not be written as a document")]
    Document(#[from] serde_json::Error),
    #[error("the making came to no end")]
    Cut(#[from] tokio::task::JoinError),
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Judging(error) => error.into(),
            ReportError::Db(error) => error.into(),
            ReportError::Paper(error) => Self::internal(error),
            ReportError::Document(error) => Self::internal(error),
            ReportError::Cut(error) => Self::internal(error),
        }
    }
}

/// Makes reports.
#[derive(Clone)]
pub struct Reports {
    pub db: Db,
    pub judges: Judges,
    pub profile: Arc<Profile>,
}

impl Reports {
    /// The idle report as of a day that is over, of one department or of all.
    pub async fn idle(
        &self,
        as_of: Date,
        department: Option<&Department>,
        keep: Keep,
    ) -> Result<IdleReport, ReportError> {
        let own = department.map(|department| department.id.text());
        Ok(self.report(as_of, department, self.judges.lines(as_of, own.as_deref(), keep).await?))
    }

    fn report(&self, as_of: Date, department: Option<&Department>, all: Vec<Line>) -> IdleReport {
        let (district, authority) = (self.profile.name.as_str(), self.profile.authority_name.as_str());
        // As the department was called then.
        let then = department.map(|now| all.first().map_or(now, |first| &first.subject().department).clone());
        idle::report(Head { as_of, district, authority, department: then.as_ref() }, all)
    }

    /// Makes the reports of the last day of the month before today, unless they are there: one of all departments, and one
    /// of each that has machines. Answers how many were made.
    pub async fn make_month(&self) -> Result<usize, ReportError> {
        let today = self.db.clock().today();
        let Ok(as_of) = today.first_of_month().yesterday() else { return Ok(0) };
        if store::is_made(&mut *self.db.read().await?, IDLE, as_of).await? {
            return Ok(0);
        }
        let judged = self.judges.lines(as_of, None, Keep::Yes).await?;
        if judged.is_empty() {
            return Ok(0);
        }
        let mut departments: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        for line in &judged {
            departments.entry(line.subject().department.id.text()).or_default().push(line.clone());
        }
        let mut reports = vec![(None, self.report(as_of, None, judged))];
        for (_, own) in departments {
            let Some(department) = own.first().map(|line| line.subject().department.clone()) else { continue };
            reports.push((Some(department.id), self.report(as_of, Some(&department), own)));
        }
        let mut made = Vec::new();
        for (department, report) in reports {
            let paper = spawn_blocking(move || put(&report)).await??;
            let made_at = self.db.clock().now();
            let report = Made { id: ReportId::new(), kind: IDLE.to_owned(), as_of, department, made_at };
            made.push((report, paper));
        }
        let (count, made) = (made.len(), Arc::new(made));
        // All or none: of brokers that make them at once, one does.
        let kept = self
            .db
            .write(async move |tx| -> Result<bool, DbError> {
                for (report, paper) in made.iter() {
                    if !store::insert(tx, report, paper).await? {
                        return Ok(false);
                    }
                    let record = Record {
                        who: Who::broker("monthly"),
                        action: "report.make",
                        object_type: "report",
                        object_id: report.id.text(),
                        department_id: report.department.map(DepartmentId::text),
                        outcome: Outcome::Done,
                        detail: json!({"kind": report.kind, "as_of": report.as_of}),
                    };
                    audit::record(tx, record).await?;
                }
                Ok(true)
            })
            .await;
        match kept {
            Ok(true) => {
                tracing::info!(%as_of, reports = count, "report.made");
                Ok(count)
            }
            // Another broker was first; nothing was written here.
            Ok(false) | Err(DbError::Unaudited) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// A report in each of its forms.
pub fn put(report: &IdleReport) -> Result<Paper, ReportError> {
    Ok(Paper {
        document: serde_json::to_string(report)?,
        csv: paper::idle_csv(report)?,
        xlsx: paper::idle_workbook(report)?,
    })
}
