//! Many requests decided by one call, each on its own: what is refused of one is no hindrance to the others.

use super::{
    Api,
    extract::{Caller, Document},
    operations,
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    operation,
};
use axum::{Json, extract::State, http::StatusCode};
use futures_util::{StreamExt, stream::FuturesOrdered};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Requests that one call decides at most.
const MANY: usize = 200;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkApproval {
    /// 1 to 200 requests, each once.
    #[schema(min_items = 1, max_items = 200)]
    pub ids: Vec<String>,
    /// 审批意见，写入每一份
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkReturn {
    /// 1 to 200 requests, each once.
    #[schema(min_items = 1, max_items = 200)]
    pub ids: Vec<String>,
    /// 退回原因，写入每一份
    pub reason: String,
}

/// What became of each, in the order in which they were named.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Outcomes {
    pub items: Vec<OutcomeView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OutcomeView {
    pub request_id: String,
    /// The HTTP status that the call for this one alone would have had.
    pub status: u16,
    /// What builds it, if it was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<operation::View>,
    /// Why not, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemDocument>,
}

impl OutcomeView {
    fn of(request_id: String, done: Result<Option<operation::View>, Problem>) -> Self {
        match done {
            Ok(operation) => {
                let status = if operation.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
                Self { request_id, status: status.as_u16(), operation, problem: None }
            }
            Err(problem) => {
                let problem = problem.into_document();
                Self { request_id, status: problem.status, operation: None, problem: Some(problem) }
            }
        }
    }
}

fn checked(ids: &[String]) -> Result<(), Problem> {
    if !(1..=MANY).contains(&ids.len()) {
        return Err(Problem::malformed(format!("/ids: 一次须有 1 至 {MANY} 份申请；更多的请分几次")));
    }
    let mut seen = HashSet::new();
    match ids.iter().position(|id| !seen.insert(id)) {
        Some(at) => Err(Problem::malformed(format!("/ids/{at}: 同一份申请写了两次；请去掉一个"))),
        None => Ok(()),
    }
}

/// 批量批准：逐份落位、逐份记账，一份不行不影响其他
#[utoipa::path(post, path = "/v1/requests/approve", operation_id = "approve_many", tag = "requests", request_body = BulkApproval,
    responses((status = 200, body = Outcomes), (status = "4XX", body = ProblemDocument)))]
pub async fn approve(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<BulkApproval>,
) -> Result<Json<Outcomes>, Problem> {
    policy::scope(&actor, Act::RequestApprove)?;
    let BulkApproval { ids, comment } = document.value;
    checked(&ids)?;
    // They reach the writer together, which places them as one list.
    let done: FuturesOrdered<_> = ids
        .iter()
        .map(|id| {
            let (api, actor, comment) = (&api, &actor, comment.clone());
            async move {
                let operation = api.approver.approve(actor, id, comment).await?;
                operations::one(api, actor, &operation.text()).await.map(Some)
            }
        })
        .collect();
    let done: Vec<_> = done.collect().await;
    let items = ids.iter().zip(done).map(|(id, done)| OutcomeView::of(id.clone(), done)).collect();
    Ok(Json(Outcomes { items }))
}

/// 批量退回：逐份退回给申请人，原因相同
#[utoipa::path(post, path = "/v1/requests/return", operation_id = "return_many", tag = "requests", request_body = BulkReturn,
    responses((status = 200, body = Outcomes), (status = "4XX", body = ProblemDocument)))]
pub async fn send_back(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<BulkReturn>,
) -> Result<Json<Outcomes>, Problem> {
    policy::scope(&actor, Act::RequestReturn)?;
    let BulkReturn { ids, reason } = document.value;
    checked(&ids)?;
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        let done = api.rules.send_back(&actor, &id, &reason).await;
        items.push(OutcomeView::of(id, done.map(|()| None)));
    }
    Ok(Json(Outcomes { items }))
}
