//! 资源申请: the request block of the feasibility report (相政办〔2018〕150号 附件2 六.3), what it must satisfy, and the life
//! of a request.
//!
//! A report travels file → [`form`] (read, in a process of its own: [`apart`]) → [`raw::RawReport`] (as written) →
//! [`shape`] and [`sizes`] (each field read to its type) → [`rules`] (judged against the task book and against itself) →
//! [`block::Block`]s (stored, signed, built from). The middle steps add to one list of violations.

pub mod apart;
pub mod block;
pub mod domain_name;
pub mod fields;
pub mod form;
pub mod lifecycle;
pub mod offline;
pub mod raw;
pub mod rules;
pub mod service;
pub mod shape;
mod sizes;
pub mod ssh_key;
pub mod stated;
pub mod store;
