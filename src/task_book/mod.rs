//! 项目任务书: what the authority issued for a project, and the control indicators in it that every request is measured
//! against (相政办〔2018〕150号 第十二条).

pub mod document;
pub mod service;
pub mod store;
