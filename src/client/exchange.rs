//! One call and its answer, sent as often as [`retry`](super::retry) allows.

use super::{
    Answer, Client, ClientError, Problem,
    retry::{Safety, Setback, retry_after},
};
use bytes::Bytes;
use reqwest::{
    RequestBuilder, StatusCode, Url,
    header::{ETAG, HeaderMap, HeaderName, LOCATION, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, Instant};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer that has arrived whole.
pub(super) struct Reply {
    url: Url,
    status: StatusCode,
    location: Option<String>,
    pub etag: Option<String>,
    replayed: bool,
    retry_after: Option<Duration>,
    pub body: Bytes,
}

impl Reply {
    fn new(url: &Url, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self {
            url: url.clone(),
            status,
            location: text(LOCATION),
            etag: text(ETAG),
            replayed: text(REPLAYED).as_deref() == Some("true"),
            retry_after: text(RETRY_AFTER).as_deref().and_then(retry_after),
            body,
        }
    }

    fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok().and_then(Problem::from_json)
    }

    fn strange(&self) -> ClientError {
        ClientError::Strange { url: self.url.to_string(), status: self.status.as_u16() }
    }

    pub fn successful(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(match self.problem() {
            Some(problem) => ClientError::Refused { status: self.status.as_u16(), problem: Box::new(problem) },
            None => self.strange(),
        })
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let body: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(body).map_err(|_| self.strange())
    }

    pub fn answer(self) -> Result<Answer, ClientError> {
        let body: Value = self.json()?;
        Ok(Answer { status: self.status.as_u16(), location: self.location, replayed: self.replayed, body })
    }
}

impl Client {
    /// Sends what `build` makes until it is answered for good, or patience ends.
    pub(super) async fn exchange(
        &self,
        safety: Safety,
        url: &Url,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Reply, ClientError> {
        let began = Instant::now();
        let (mut sent, mut lost) = (0, None);
        loop {
            let tried = once(build(), url, safety).await;
            sent += 1;
            let setback = match &tried {
                Ok(reply) if reply.status.is_success() => return tried,
                Ok(reply) => Setback::Refused {
                    status: reply.status.as_u16(),
                    code: reply.problem().and_then(|problem| problem.code),
                    retry_after: reply.retry_after,
                },
                Err(ClientError::AnswerLost { .. }) => Setback::Lost,
                Err(_) if safety == Safety::Read => Setback::Lost,
                Err(_) => Setback::NotSent,
            };
            let Some(pause) = self.patience.pause(safety, &setback, sent, began.elapsed(), luck()) else {
                return match (tried, lost) {
                    // An earlier sending may have got through, whatever happened to this one.
                    (Err(ClientError::Unreachable { .. }), Some(lost)) => Err(lost),
                    (tried, _) => tried?.successful(),
                };
            };
            if let Err(error @ ClientError::AnswerLost { .. }) = tried {
                lost = Some(error);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// One sending and the whole of its answer.
pub(super) async fn once(request: RequestBuilder, url: &Url, safety: Safety) -> Result<Reply, ClientError> {
    let failed = |source: reqwest::Error| {
        if safety == Safety::Read || source.is_connect() || source.is_builder() {
            unreachable(url, source)
        } else {
            ClientError::AnswerLost { url: url.to_string(), source: source.without_url() }
        }
    };
    let response = request.send().await.map_err(failed)?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Reply::new(url, status, &headers, response.bytes().await.map_err(failed)?))
}

pub(super) fn unreachable(url: &Url, source: reqwest::Error) -> ClientError {
    ClientError::Unreachable { url: url.to_string(), source: source.without_url() }
}

/// Between 0 and 1. Where the system has no randomness to give, the middle does.
pub(super) fn luck() -> f64 {
    getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX))
}

/// What an answer that is no success says.
pub(super) async fn refusal(url: &Url, response: reqwest::Response) -> ClientError {
    let (status, headers) = (response.status(), response.headers().clone());
    let reply = match response.bytes().await {
        Ok(body) => Reply::new(url, status, &headers, body),
        Err(source) => return unreachable(url, source),
    };
    let strange = reply.strange();
    reply.successful().err().unwrap_or(strange)
}
