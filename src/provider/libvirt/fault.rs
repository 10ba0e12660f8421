//! What can go wrong inside a blocking call, and what that means to the broker.

use super::xml::XmlError;
use crate::provider::ProviderError;
use virt::error::{Error, ErrorDomain, ErrorNumber};

/// Why a blocking call failed, before it is known which host and which act it was for.
#[derive(Debug)]
pub enum Fault {
    /// libvirt said so.
    Libvirt(Error),
    Xml(XmlError),
    /// The broker's own files.
    Io(std::io::Error),
    /// Wrong for good.
    Permanent(String),
    /// Not right yet.
    Transient(String),
    /// Somebody else's, named.
    NotOurs(String),
    /// The connection is gone, or was never there.
    Lost(Option<Error>),
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Self::Libvirt(e)
    }
}

impl From<XmlError> for Fault {
    fn from(e: XmlError) -> Self {
        Self::Xml(e)
    }
}

impl From<std::io::Error> for Fault {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

impl Fault {
    pub fn into_provider_error(self, act: &str) -> ProviderError {
        let act = act.to_owned();
        match self {
            Self::Libvirt(error) => {
                let reason = error.message().to_owned();
                if is_permanent(error.code()) {
                    ProviderError::Permanent { act, reason }
                } else {
                    ProviderError::Transient { act, reason }
                }
            }
            Self::Xml(error) => ProviderError::Permanent { act, reason: error.to_string() },
            Self::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                ProviderError::Permanent { act, reason: format!("the broker's own copy: {error}") }
            }
            Self::Io(error) => ProviderError::Transient { act, reason: error.to_string() },
            Self::Permanent(reason) => ProviderError::Permanent { act, reason },
            Self::Transient(reason) => ProviderError::Transient { act, reason },
            Self::NotOurs(what) => ProviderError::NotOurs { what },
            Self::Lost(_) => ProviderError::Transient { act, reason: "the connection is gone".to_owned() },
        }
    }
}

/// Whether the error speaks of the line and not of what was asked. The RPC layer reports a closed socket, a missed
/// keepalive and an unreadable reply in its own domain.
pub fn is_loss(error: &Error) -> bool {
    matches!(error.domain(), ErrorDomain::Rpc)
        || matches!(error.code(), ErrorNumber::NoConnect | ErrorNumber::InvalidConn | ErrorNumber::Rpc)
}

/// Codes that mean the same however often one asks. All else may pass: a full disk, a busy pool, a job that still runs,
/// and the catch-all "internal error". The caller repeats only within its own deadline.
const fn is_permanent(code: ErrorNumber) -> bool {
    use ErrorNumber as E;
    matches!(
        code,
        E::XmlError
            | E::XmlDetail
            | E::XmlInvalidSchema
            | E::InvalidArg
            | E::InvalidMac
            | E::NoSupport
            | E::ConfigUnsupported
            | E::ArgumentUnsupported
            | E::OperationUnsupported
            | E::OperationDenied
            | E::AuthFailed
            | E::AccessDenied
            | E::DomExist
            | E::NetworkExist
            | E::NoNetwork
            | E::NoStoragePool
            | E::UnknownHost
    )
}
