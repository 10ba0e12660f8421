//! What happens, as it happens: `/v1/events` for everything that the caller may see, `/v1/operations/{id}/events` for one
//! operation. Both are taken up again where they broke off, by the id of the last event that was heard.

use super::{
    Api,
    extract::{Caller, Path, Query},
    operations,
    page::Cut,
};
use crate::{
    audit::{self, Happening, Mark},
    db::{Key, MAX_PAGE, Sorts},
    error::{Problem, ProblemDocument},
    identity::{
        Actor,
        policy::{self, Act},
    },
    operation,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use tokio_util::sync::CancellationToken;

/// Between two looks at the database.
const PAUSE: Duration = Duration::from_millis(400);
/// So long a silence is filled with a comment, so that whatever stands in between does not close the connection.
const ALIVE: Duration = Duration::from_secs(15);

const SORTS: Sorts = Sorts { id: "seq", numbered: true, by: &[("seq", "seq")], default: "seq" };

/// As `CloudEvents` 1.0 has it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventView {
    #[schema(example = "1.0")]
    pub specversion: &'static str,
    /// Of the audit record that it comes from.
    #[schema(value_type = String, format = Uuid)]
    pub id: String,
    /// The thing that it happened to.
    #[schema(example = "/v1/requests/019a8f6e-0000-7000-8000-000000000000")]
    pub source: String,
    /// `jiyue.` and the act.
    #[schema(rename = "type", example = "jiyue.request.approve")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The thing's id.
    pub subject: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    #[schema(example = "application/json")]
    pub datacontenttype: &'static str,
    pub data: EventData,
}

/// Who did it and why stands in the audit trail, for those who may read it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventData {
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub department_id: Option<String>,
    /// The id of the call that began it.
    pub trace_id: String,
}

impl From<Happening> for EventView {
    fn from(it: Happening) -> Self {
        let collection = format!("{}s", it.object_type.replace('_', "-"));
        Self {
            specversion: "1.0",
            id: it.id,
            source: format!("/v1/{collection}/{}", it.object_id),
            kind: format!("jiyue.{}", it.action),
            subject: it.object_id.clone(),
            time: it.at,
            datacontenttype: "application/json",
            data: EventData {
                action: it.action,
                object_type: it.object_type,
                object_id: it.object_id,
                department_id: it.department_id,
                trace_id: it.trace_id,
            },
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventPage {
    pub items: Vec<EventView>,
    /// Always there: asked with it again, what has happened since is answered.
    pub next_page_token: String,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    /// `next_page_token` of the answer before, or the id of the last event of a stream; from the first event when absent.
    pub page_token: Option<String>,
    /// Only what happens from now on. Not with `page_token`.
    #[serde(default)]
    pub from_now: bool,
}

/// 事件：发生了什么，最早的在前；Accept 为 text/event-stream 时持续推送
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "从这个事件之后接着推送")),
    responses((status = 200, content((EventPage = "application/json"), (String = "text/event-stream"))), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = policy::scope(&actor, Act::EventRead)?.filter();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let token = last.or(query.page_token);
    if query.from_now && token.is_some() {
        return Err(Problem::malformed(
            "查询参数 from_now 与 page_token 不能同时使用；接着看用 page_token，只看以后的用 from_now",
        ));
    }
    let page = super::page::PageQuery { page_size: query.page_size, page_token: token, sort: None };
    let cut = Cut::new(&api, "events", &SORTS, page, &[scope.as_deref()])?;
    let mut after = match &cut.slice.after {
        Some(Key { value, id }) => mark(value, id)?,
        None => Mark::default(),
    };
    if query.from_now {
        let mut conn = api.db.read().await?;
        let horizon = api.db.horizon(&mut conn).await?;
        after = audit::last(&mut conn, horizon).await?;
    }
    let reader = Reader { api: api.clone(), scope, cut, after };
    if streams(&headers) {
        return Ok(follow(reader, api.stop.clone()));
    }
    let mut reader = reader;
    let items: Vec<_> = reader.read().await?.into_iter().map(|(_, event)| event).collect();
    let next_page_token = reader.token();
    Ok(Json(EventPage { items, next_page_token }).into_response())
}

fn mark(transaction: &str, seq: &str) -> Result<Mark, Problem> {
    match (transaction.parse(), seq.parse()) {
        (Ok(transaction), Ok(seq)) => Ok(Mark { transaction, seq }),
        _ => Err(Problem::malformed("查询参数 page_token 无效；请原样使用上一次的 next_page_token")),
    }
}

fn streams(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim() == "text/event-stream")
}

/// Reads on from where it is.
struct Reader {
    api: Api,
    scope: Option<String>,
    cut: Cut,
    after: Mark,
}

impl Reader {
    /// What has happened since, each with the id by which a stream is taken up after it.
    async fn read(&mut self) -> Result<Vec<(String, EventView)>, Problem> {
        let mut conn = self.api.db.read().await?;
        let horizon = self.api.db.horizon(&mut conn).await?;
        let size = i64::try_from(self.cut.slice.size).unwrap_or(MAX_PAGE);
        let all = audit::happenings(&mut conn, self.scope.as_deref(), self.after, horizon, size).await?;
        let mut events = Vec::with_capacity(all.len());
        for it in all {
            self.after = it.mark;
            events.push((self.token(), it.into()));
        }
        Ok(events)
    }

    fn token(&self) -> String {
        self.cut.token(&Key { value: self.after.transaction.to_string(), id: self.after.seq.to_string() })
    }
}

fn follow(reader: Reader, stop: CancellationToken) -> Response {
    let events = stream::unfold((reader, VecDeque::new(), stop), async |(mut reader, mut waiting, stop)| {
        loop {
            if let Some((id, event)) = waiting.pop_front() {
                let event: EventView = event;
                let event = Event::default().id(id).event(event.kind.clone()).json_data(&event).ok()?;
                return Some((Ok::<_, Infallible>(event), (reader, waiting, stop)));
            }
            match reader.read().await {
                Ok(events) if events.is_empty() => {
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => return None,
                    }
                }
                Ok(events) => waiting.extend(events),
                // The stream ends; whoever follows comes again, with the last id.
                Err(problem) => {
                    tracing::warn!(cause = %problem, "http.events.ended");
                    return None;
                }
            }
        }
    });
    answer(events)
}

fn answer(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response();
    let headers = response.headers_mut();
    // Proxies that gather answers would keep the events to themselves.
    headers.insert("x-accel-buffering", header::HeaderValue::from_static("no"));
    response
}

/// 一个操作的进展：每有变化推送一次，操作结束后推送最后一次并关闭
#[utoipa::path(get, path = "/v1/operations/{id}/events", operation_id = "events", tag = "operations",
    params(("id" = String, Path), ("Last-Event-ID" = Option<String>, Header, description = "已看到的最后一个事件；没有变化就不再推送它")),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = "4XX", body = ProblemDocument)))]
pub async fn operation(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Who may not see it learns so at once, and not from a stream without events.
    operations::one(&api, &actor, &id).await?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let stop = api.stop.clone();
    let watch = Watch { api, actor, id, seen, over: false };
    let events = stream::unfold((watch, stop), async |(mut watch, stop)| {
        loop {
            if watch.over {
                return None;
            }
            match watch.look().await {
                Ok(Some(event)) => return Some((Ok::<_, Infallible>(event), (watch, stop))),
                Ok(None) if watch.over => return None,
                Ok(None) => tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.cancelled() => return None,
                },
                Err(problem) => {
                    tracing::warn!(cause = %problem, "http.events.ended");
                    return None;
                }
            }
        }
    });
    Ok(answer(events))
}

/// One operation under somebody's eyes.
struct Watch {
    api: Api,
    actor: Actor,
    id: String,
    /// What was sent last, as its id.
    seen: Option<String>,
    over: bool,
}

impl Watch {
    /// The operation, if it is no longer as it was.
    async fn look(&mut self) -> Result<Option<Event>, Problem> {
        let view = operations::one(&self.api, &self.actor, &self.id).await?;
        self.over = view.finished_at.is_some();
        let id = state(&view);
        if self.seen.as_ref() == Some(&id) {
            return Ok(None);
        }
        let event = Event::default().id(&id).event("operation").json_data(&view).map_err(Problem::internal)?;
        self.seen = Some(id);
        Ok(Some(event))
    }
}

/// Two looks at an operation that has not moved give the same.
fn state(view: &operation::View) -> String {
    let step = view.current_step.as_deref().unwrap_or("-");
    format!("{}/{}/{}/{step}", view.state, view.steps_done, view.steps_total)
}
