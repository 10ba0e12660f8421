//! Certificate and key: read, held against each other, and read again when they change. A new pair that cannot be used
//! leaves the old one in place.

use crate::metrics::Metrics;
use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{signal::unix::Signal, time::sleep};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What is wrong with a pair of files; told without a byte of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}：{fault}；{mend}")]
pub struct TlsFault {
    /// `tls_certificate` or `tls_key`.
    pub field: &'static str,
    pub fault: String,
    pub mend: String,
}

const CERTIFICATE: &str = "tls_certificate";
const KEY: &str = "tls_key";

fn fault(field: &'static str, fault: String, mend: &str) -> TlsFault {
    TlsFault { field, fault, mend: mend.to_owned() }
}

/// Where a pair lies.
#[derive(Clone, Debug)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The library that does the arithmetic, on both sides.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Chooses it for all HTTP clients of this process; whoever makes one calls this first, once or more.
pub fn choose() {
    // An error says that it has been chosen already.
    let _ = ring::default_provider().install_default();
}

impl Files {
    /// The pair, or what is wrong with each of them.
    pub fn read(&self) -> Result<Arc<CertifiedKey>, Vec<TlsFault>> {
        let (chain, key) = match (chain(&self.certificate), key(&self.key)) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
        };
        CertifiedKey::from_der(chain, key, &provider()).map(Arc::new).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            vec![match error {
                rustls::Error::InconsistentKeys(_) => {
                    fault(KEY, format!("{key} 不是证书 {certificate} 的私钥"), "换成申请这张证书时用的那把私钥")
                }
                other => fault(
                    CERTIFICATE,
                    format!("{certificate} 或 {key} 用不了（{other}）"),
                    "换成 RSA（2048 位以上）、ECDSA 或 Ed25519 的证书和私钥",
                ),
            }]
        })
    }

    /// Changes when one of the files does.
    fn stamp(&self) -> Vec<Option<(u64, u64, i64, i64)>> {
        let of = |file: &PathBuf| fs::metadata(file).ok().map(|m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec()));
        [&self.certificate, &self.key].map(of).to_vec()
    }
}

fn contents(field: &'static str, file: &Path) -> Result<Vec<u8>, TlsFault> {
    fs::read(file).map_err(|error: io::Error| {
        fault(field, format!("{} 读不出（{error}）", file.display()), "检查路径与权限，要让运行服务的账号能读")
    })
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let pem = contents(CERTIFICATE, file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(fault(
            CERTIFICATE,
            format!("{} 里没有 PEM 格式的证书", file.display()),
            "文件里应有 -----BEGIN CERTIFICATE-----；DER 格式的用 openssl x509 -inform der 转换",
        )),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let pem = contents(KEY, file)?;
    let mode = fs::metadata(file).map(|metadata| metadata.permissions().mode() & 0o777).unwrap_or_default();
    if mode & 0o007 != 0 {
        let shown = file.display();
        return Err(fault(KEY, format!("{shown} 的权限是 {mode:o}，谁都能读"), &format!("chmod 640 {shown}")));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        fault(
            KEY,
            format!("{} 里没有不加密的 PEM 私钥", file.display()),
            "文件里应有 -----BEGIN PRIVATE KEY-----；加了密的用 openssl pkey 去掉口令",
        )
    })
}

/// The pair in use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // The lock holds a pointer that is whole at any time.
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Keeps the pair in use up to date with its files.
pub struct Keeper {
    files: Files,
    current: Arc<Current>,
    stamp: Vec<Option<(u64, u64, i64, i64)>>,
}

/// What makes connections of the pair, and what keeps it up to date.
pub fn open(files: Files) -> Result<(TlsAcceptor, Keeper), Vec<TlsFault>> {
    // Before the files are read: what changes meanwhile is read again.
    let stamp = files.stamp();
    let current = Arc::new(Current(RwLock::new(files.read()?)));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| vec![fault(CERTIFICATE, format!("TLS 用不了（{error}）"), "请报告这个错误")])?;
    let mut config = config.with_no_client_auth().with_cert_resolver(Arc::<Current>::clone(&current));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), Keeper { files, current, stamp }))
}

/// Until when the certificate is good that is shown first, in seconds since 1970.
fn ends(pair: &CertifiedKey) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(pair.cert.first()?).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

impl Keeper {
    fn tell(&self, metrics: &Metrics) {
        let pair = Arc::clone(&self.current.0.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(at) = ends(&pair) {
            metrics.certificate_ends(at);
        }
    }

    /// Goes on for ever.
    pub async fn run(mut self, mut hangup: Signal, metrics: Metrics) {
        loop {
            self.tell(&metrics);
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = sleep(LOOK) => false,
            };
            let stamp = self.files.stamp();
            if !asked && stamp == self.stamp {
                continue;
            }
            self.stamp = stamp;
            match self.files.read() {
                Ok(pair) => {
                    *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
                    tracing::info!(certificate = %self.files.certificate.display(), "tls.reloaded");
                }
                Err(faults) => {
                    for fault in faults {
                        tracing::error!(%fault, "tls.reload.refused");
                    }
                }
            }
        }
    }
}
