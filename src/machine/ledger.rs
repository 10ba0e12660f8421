//! The ledger: every counter beside what its rows add up to.

use super::store;
use crate::{
    capacity::{self, store::Sum},
    db::{Db, DbError},
    metrics::Metrics,
};
use jiff::Timestamp;
use serde::Serialize;

/// One counter that is not what its rows say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// `task_book` or `host`.
    pub of: &'static str,
    /// The task book's number or the host's name.
    pub subject: String,
    pub dimension: &'static str,
    pub recorded: i64,
    pub recomputed: i64,
}

/// A machine whose state and claim contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Contradiction {
    pub machine_id: String,
    pub state: &'static str,
    pub compute_held: bool,
    pub storage_held: bool,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Verdict {
    pub consistent: bool,
    pub task_books_checked: usize,
    pub hosts_checked: usize,
    pub differences: Vec<Difference>,
    pub contradictions: Vec<Contradiction>,
    #[schema(value_type = String, format = DateTime)]
    pub checked_at: Timestamp,
}

/// Recomputes everything from the rows. Each statement compares counters and rows within one snapshot of its own.
pub async fn verify(db: &Db, metrics: &Metrics) -> Result<Verdict, DbError> {
    let mut conn = db.read().await?;
    let task_books = capacity::store::sums_of_task_books(&mut conn).await?;
    let hosts = capacity::store::sums_of_hosts(&mut conn).await?;
    let contradictions: Vec<_> = store::contradictions(&mut conn)
        .await?
        .into_iter()
        .map(|(machine_id, state, compute_held, storage_held)| Contradiction {
            machine_id,
            state: state.word(),
            compute_held,
            storage_held,
        })
        .collect();
    let mut differences = compare("task_book", &task_books);
    differences.extend(compare("host", &hosts));
    metrics.ledger_verified(differences.len() + contradictions.len());
    Ok(Verdict {
        consistent: differences.is_empty() && contradictions.is_empty(),
        task_books_checked: task_books.len(),
        hosts_checked: hosts.len(),
        differences,
        contradictions,
        checked_at: db.clock().now(),
    })
}

fn compare(of: &'static str, sums: &[Sum]) -> Vec<Difference> {
    sums.iter()
        .flat_map(|sum| {
            let pairs = sum.recorded.dimensions().into_iter().zip(sum.recomputed.dimensions());
            pairs.filter(|(recorded, recomputed)| recorded != recomputed).map(
                |((dimension, recorded), (_, recomputed))| Difference {
                    of,
                    subject: sum.subject.clone(),
                    dimension,
                    recorded,
                    recomputed,
                },
            )
        })
        .collect()
}
