//! Calls with nothing done for the caller: any header, any bytes, the whole answer.

use super::broker::Broker;
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

/// A client of one broker.
pub struct Raw {
    http: reqwest::Client,
    url: String,
}

/// The whole answer.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text)
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The stable word of a refusal, which must be a whole RFC 9457 document, in Chinese.
    #[track_caller]
    pub fn problem(&self) -> String {
        let body = self.json();
        assert!((400..500).contains(&self.status), "not a refusal: {self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!((body["type"].as_str(), body["status"].as_u64()), (Some("about:blank"), Some(self.status.into())));
        let chinese = |field: &str| body[field].as_str().is_some_and(|t| t.chars().any(|c| ('一'..='鿿').contains(&c)));
        assert!(chinese("title") && chinese("detail"), "{body:#}");
        let code = body["code"].as_str().expect("a code").to_owned();
        assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        code
    }

    /// `(pointer, code)` of each violation.
    pub fn violations(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|e| (text(&e["pointer"]), text(&e["code"]))).collect()
    }
}

impl Raw {
    pub fn new(broker: &Broker) -> Self {
        Self { http: crate::support::http(), url: broker.url.clone() }
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.expect("a body").to_vec();
        Reply { status, headers, text: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    /// A document with a token.
    pub async fn post(&self, path: &str, token: &str, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
        let bearer = format!("Bearer {token}");
        self.send(Method::POST, path, &[("authorization", &bearer), ("content-type", kind)], Some(body.into())).await
    }

    pub async fn json(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.post(path, token, "application/json", body.to_string()).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], None).await
    }
}
