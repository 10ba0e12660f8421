//! What operators see: rules for Prometheus (`rules/`), boards for Grafana (`boards/`), and the files they are kept in. Pure:
//! data in, text out. It knows the metrics by their constants and nothing of any domain, so a metric that is renamed is
//! renamed here too. A subject that gets metrics of its own brings one file to `rules/` and one to `boards/`.

pub mod boards;
mod files;
pub mod panel;
pub mod query;
pub mod rules;
pub mod words;

pub use files::{File, FilesError, files};
