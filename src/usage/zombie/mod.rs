//! Zombie systems (僵尸系统): a system judged by the criteria of the district's documents, its owner heard, the authority's
//! decision, and the sheet that is filed.
//!
//! Of the criteria only idleness is measured, and parts of two others; the rest is what people have stated. A finding says
//! of each criterion what it rests on. What is not known is never held against a system: [`judge`] calls it unknown, and
//! [`finding::carries`] counts only what is known.

pub mod finding;
pub mod judge;
pub mod lifecycle;
pub mod service;
pub mod sheet;
pub mod store;
#[cfg(test)]
mod tests;
