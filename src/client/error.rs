//! Why a call did not succeed, and what the service says of a refusal.

use crate::place::Place;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// A refusal in the words of RFC 9457, with this product's own fields. Unknown fields stay in [`Problem::raw`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub title: String,
    pub detail: Option<String>,
    /// The stable English word for scripts.
    pub code: Option<String>,
    pub errors: Option<Vec<Violation>>,
    pub shortage: Option<Vec<Value>>,
    pub request_id: Option<String>,
    /// The document as it came.
    #[serde(skip)]
    pub raw: Value,
}

/// One thing that is wrong with what was sent. The numbers are whatever JSON the server sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Violation {
    /// JSON pointer into the document that was sent.
    pub pointer: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
    /// The document and clause that the rule comes from.
    pub basis: Option<String>,
    /// What to change.
    pub mend: Option<String>,
    /// Where in the file it stands.
    pub place: Option<Place>,
    pub asked: Option<Value>,
    pub used: Option<Value>,
    pub limit: Option<Value>,
    pub left: Option<Value>,
    pub unit: Option<String>,
}

impl Problem {
    /// Reads a problem document; `None` when the JSON is not one.
    pub fn from_json(raw: Value) -> Option<Self> {
        let problem = Self::deserialize(&raw).ok().filter(|p| !p.title.is_empty())?;
        Some(Self { raw, ..problem })
    }
}

/// What is wrong with a server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error("not a URL, as http://host:port is")]
    NotAUrl,
    #[error("begins with neither http:// nor https://")]
    Scheme,
    #[error("holds a user name or a password")]
    Credentials,
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("not a usable server address: {0}")]
    BadServer(BadAddress),
    #[error("the token holds characters that no header can carry")]
    BadToken,
    /// The certificates that were given are none.
    #[error("no certificate in PEM form was given")]
    BadCertificates,
    /// Nothing was received, and nothing that changes anything was delivered.
    #[error("cannot reach {url}")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke after the request was on its way: it may have been carried out.
    #[error("no answer from {url}; the act may have been carried out")]
    AnswerLost {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// A stream fell silent, and could not be taken up again.
    #[error("{url} has been silent for {} s", after.as_secs())]
    Silent { url: String, after: Duration },
    #[error("refused with {status}: {}", problem.title)]
    Refused { status: u16, problem: Box<Problem> },
    /// An answer that this service would not give.
    #[error("unexpected answer {status} from {url}")]
    Strange { url: String, status: u16 },
}

impl ClientError {
    /// The stable English word of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => problem.code.as_deref(),
            _ => None,
        }
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Strange { status, .. } => Some(*status),
            _ => None,
        }
    }
}
