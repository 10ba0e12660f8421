//! A stream of events that outlives its connections.

use super::{
    Client, ClientError, Message, exchange,
    retry::{Safety, Setback, retry_after},
    sse::Decoder,
};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use std::time::{Duration, Instant};

/// Events as they happen. A connection that breaks, or says nothing for too long, is made again and goes on after the
/// last event that arrived.
#[derive(Debug)]
pub struct Stream {
    client: Client,
    url: Url,
    endless: bool,
    last_id: Option<String>,
    connection: Option<Response>,
    decoder: Decoder,
    /// Attempts since the last sign of life, and when that was.
    attempts: u32,
    alive: Instant,
}

impl Stream {
    pub(super) fn new(client: Client, url: Url) -> Self {
        Self {
            client,
            url,
            endless: false,
            last_id: None,
            connection: None,
            decoder: Decoder::default(),
            attempts: 0,
            alive: Instant::now(),
        }
    }

    /// The server never ends it by intent: where it does, it restarts, and the stream is taken up again.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.endless = true;
        self
    }

    /// Begins after this event.
    #[must_use]
    pub fn after(mut self, id: &str) -> Self {
        self.last_id = Some(id.to_owned());
        self
    }

    /// The last event that arrived.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next event; `None` when the server has ended the stream.
    pub async fn next(&mut self) -> Result<Option<Message>, ClientError> {
        loop {
            if let Some(message) = self.decoder.next_message() {
                self.last_id = self.decoder.last_id().map(Into::into).or(self.last_id.take());
                return Ok(Some(message));
            }
            let Some(connection) = &mut self.connection else {
                self.connect().await?;
                continue;
            };
            match tokio::time::timeout(self.client.idle, connection.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    (self.attempts, self.alive) = (0, Instant::now());
                    if self.decoder.push(&bytes).is_err() {
                        return Err(ClientError::Strange { url: self.url.to_string(), status: 200 });
                    }
                }
                Ok(Ok(None)) if !self.endless => return Ok(None),
                // Ended, broken or silent: the same from here.
                _ => {
                    self.connection = None;
                    self.attempts = self.attempts.max(1);
                }
            }
        }
    }

    /// Connects, as often as patience allows.
    async fn connect(&mut self) -> Result<(), ClientError> {
        self.decoder.restart();
        // A server that ends each stream at once is not to be hammered.
        if self.attempts > 0 {
            let wait = self.pause(&Setback::Lost).ok_or_else(|| self.silent())?;
            let wait = self.decoder.retry_ms().map_or(wait, |ms| wait.max(Duration::from_millis(ms.min(10_000))));
            tokio::time::sleep(wait).await;
        }
        loop {
            self.attempts += 1;
            let request = self.client.request(Method::GET, &self.url).header(ACCEPT, "text/event-stream");
            let request = match &self.last_id {
                Some(id) => request.header("last-event-id", id),
                None => request,
            };
            let tried = tokio::time::timeout(self.client.idle, request.send()).await;
            let (setback, error) = match tried {
                Ok(Ok(response)) if response.status() == StatusCode::OK => return self.accept(response),
                Ok(Ok(response)) => {
                    let status = response.status().as_u16();
                    let after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(retry_after);
                    let url = self.url.clone();
                    let error = exchange::refusal(&url, response).await;
                    (Setback::Refused { status, code: None, retry_after: after }, error)
                }
                Ok(Err(source)) => (Setback::NotSent, exchange::unreachable(&self.url, source)),
                Err(_) => (Setback::Lost, self.silent()),
            };
            match self.pause(&setback) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    fn accept(&mut self, response: Response) -> Result<(), ClientError> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(ClientError::Strange { url: self.url.to_string(), status: 200 });
        }
        self.connection = Some(response);
        Ok(())
    }

    fn pause(&self, setback: &Setback) -> Option<Duration> {
        let (patience, luck) = (&self.client.patience, exchange::luck());
        patience.pause(Safety::Read, setback, self.attempts, self.alive.elapsed(), luck)
    }

    fn silent(&self) -> ClientError {
        ClientError::Silent { url: self.url.to_string(), after: self.alive.elapsed() }
    }
}
