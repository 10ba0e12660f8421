//! What people print. A report is made of judgements that are kept ([`crate::usage::judging`]), so one of a past day is the
//! same whenever it is made.

pub mod capacity;
pub mod idle;
pub mod paper;
pub mod rooms;
pub mod service;
pub mod store;
pub mod task;
#[cfg(test)]
mod tests;
