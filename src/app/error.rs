//! Why the service does not start.

use crate::{
    config::Faults,
    migration::register::RegisterError,
    secret::KeyFault,
    serve::tls,
    usage::{
        advice::SizingError,
        source::settings,
        verdict::{RuleSets, RulesError},
    },
};

/// Why the service did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the database could not be opened ({url})")]
    Db {
        url: String,
        #[source]
        source: crate::db::DbError,
    },
    #[error("the jurisdiction profile could not be read")]
    Profile(#[from] crate::jurisdiction::ProfileError),
    #[error("the catalogue could not be read")]
    Catalogue(#[from] crate::catalogue::CatalogueError),
    #[error("the idle rules could not be read")]
    IdleRules(#[from] RulesError),
    #[error("the idle rules have no set {}", RuleSets::OWN)]
    NoIdleRules,
    #[error("the dated register could not be read")]
    Register(#[from] RegisterError),
    #[error("the sizing rules could not be read")]
    Sizing(#[from] SizingError),
    #[error("配置无法使用：{0}")]
    Settings(#[from] Faults),
    #[error("配置无法使用：{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("；"))]
    Dns(Vec<crate::dns::SettingsFault>),
    #[error("配置无法使用：{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("；"))]
    UsageSource(Vec<settings::SettingsFault>),
    #[error("配置无法使用：{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("；"))]
    Tls(Vec<tls::TlsFault>),
    #[error("配置无法使用：{0}")]
    Secret(#[from] KeyFault),
    #[error("two metrics have one name")]
    Metrics(#[from] prometheus::Error),
    #[error("cannot listen on {address}")]
    Listen {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the log filter {filter:?} cannot be read")]
    LogFilter {
        filter: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("the service failed")]
    Serve(#[source] std::io::Error),
}
