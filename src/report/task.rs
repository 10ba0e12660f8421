//! What is made by itself: each day's judgements once the day is over, and each month's reports.

use super::service::Reports;
use crate::{time, usage::judging::service::Keep};
use jiff::civil::Date;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(60);
/// After a day's end: sources that look seldom have told the last of it by then.
const SETTLE: i64 = 3600;

/// Goes on until `stop`.
pub async fn run(reports: Reports, stop: CancellationToken) {
    let mut done: Option<Date> = None;
    while !stop.is_cancelled() {
        let today = reports.db.clock().today();
        let settled = reports.db.clock().now().as_second() >= time::day_begins(today) + SETTLE;
        if settled && done != Some(today) && turn(&reports).await {
            done = Some(today);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// Judges yesterday, and makes the reports of the month that is over. Whether all of it was done.
pub async fn turn(reports: &Reports) -> bool {
    let judged = reports.judges.judge(reports.judges.yesterday(), Keep::Yes).await;
    if let Err(error) = &judged {
        tracing::warn!(%error, "usage.unjudged");
    }
    let made = reports.make_month().await;
    if let Err(error) = &made {
        tracing::warn!(%error, "report.unmade");
    }
    judged.is_ok() && made.is_ok()
}
