//! One question to a source over HTTP. Redirects are not followed, and no proxy is asked: a source is where the settings say.

use super::{Source, answer::Failure};
use futures_util::StreamExt as _;
use reqwest::{Certificate, Url, header::HeaderValue, redirect::Policy};
use std::{error::Error, path::Path, time::Duration};

/// A larger answer is not read to its end.
const MOST_BYTES: usize = 32 << 20;

/// A connection pool of one source.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    base: Url,
}

/// Why a source cannot be asked. For people, inside a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHttp {
    #[error("不是 http 或 https 的网址")]
    Address,
    #[error("网址里不能有用户名、口令、? 和 #")]
    Extras,
    #[error("certificates cannot be used")]
    Authorities,
}

impl Http {
    /// `authorities` in PEM form instead of the system's.
    pub fn new(address: &str, authorities: Option<&[u8]>) -> Result<Self, BadHttp> {
        let base = Url::parse(address.trim()).map_err(|_| BadHttp::Address)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(BadHttp::Address);
        }
        if base.username() != "" || base.password().is_some() || base.query().is_some() || base.fragment().is_some() {
            return Err(BadHttp::Extras);
        }
        // An error says that a library of ciphers has been chosen already.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("jiyue/", env!("CARGO_PKG_VERSION")));
        let client = match authorities {
            None => client,
            Some(pem) => {
                let all = Certificate::from_pem_bundle(pem).ok().filter(|all| !all.is_empty());
                client.tls_certs_only(all.ok_or(BadHttp::Authorities)?)
            }
        };
        Ok(Self { client: client.build().map_err(|_| BadHttp::Authorities)?, base })
    }
}

impl Source {
    /// The body of the answer and its status, all of it within the source's time. `path` is that of the API after
    /// `/api/v1/`.
    pub async fn ask(&self, path: &str, form: &[(&str, &str)]) -> Result<(Vec<u8>, u16), Failure> {
        let asking = async {
            let mut url = self.http.base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(["api", "v1", path]);
            }
            url.query_pairs_mut().extend_pairs(form);
            let mut request = self.http.client.get(url);
            if let Some(file) = &self.token {
                request = request.header(reqwest::header::AUTHORIZATION, bearer(file).await?);
            }
            let answer = request.send().await.map_err(|error| unsent(&error))?;
            let status = answer.status().as_u16();
            if answer.status().is_redirection() {
                return Err(Failure::Redirected(status));
            }
            let (mut body, mut stream) = (Vec::new(), answer.bytes_stream());
            while let Some(part) = stream.next().await {
                let part = part.map_err(|_| Failure::CutShort)?;
                if body.len() + part.len() > MOST_BYTES {
                    return Err(Failure::TooLarge);
                }
                body.extend_from_slice(&part);
            }
            Ok((body, status))
        };
        tokio::time::timeout(self.timeout, asking).await.unwrap_or(Err(Failure::TimedOut))
    }
}

/// Read each time, so that a token can be changed while the service runs.
async fn bearer(file: &Path) -> Result<HeaderValue, Failure> {
    let token = tokio::fs::read_to_string(file).await.map_err(|_| Failure::Token)?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| Failure::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn unsent(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if error.to_string().contains("certificate") {
            return Failure::Untrusted;
        }
        cause = error.source();
    }
    if error.is_timeout() { Failure::TimedOut } else { Failure::Unreachable }
}
