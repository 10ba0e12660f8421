//! 资源申请: the request block of the feasibility report (相政办〔2018〕150号 附件2 六.3), what it must satisfy, and the life
//! of a request.
//!
//! A block travels [`block::RawBlock`] (as written) → [`shape`] (each field read to its type) → [`rules`] (judged against
//! the task book) → [`block::Block`] (stored, signed, built from). Both middle steps add to one list of violations.

pub mod block;
pub mod domain_name;
pub mod form;
pub mod lifecycle;
pub mod raw;
pub mod rules;
pub mod service;
pub mod shape;
pub mod ssh_key;
pub mod store;
