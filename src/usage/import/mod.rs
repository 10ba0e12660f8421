//! Histories that somebody else has kept: traces as CSV, and whatever else comes as rates rather than counts.
//!
//! A file is read in pieces of whole lines, and each piece is folded in one transaction: all of it or nothing. What is wrong
//! with single values or lines is told by line and column and keeps nothing else from being folded. A file that breaks off
//! leaves the pieces before; sending it again adds the rest and nothing twice, since what is not newer than what is known is
//! refused.

mod columns;
mod faults;
mod inflate;
mod number;
mod pieces;
mod rows;
pub mod service;
#[cfg(test)]
mod tests;

pub use faults::{Count, Fault, Faults};
pub use service::{Folded, History, Imported, Importer, Refused, fold};
