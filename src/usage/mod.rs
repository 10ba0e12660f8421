//! What machines really use.
//!
//! A reading is what a source has counted at one instant; two of them are a point, an interval with rates; points are folded
//! into one row per machine and day, and rows into a window of any length. Nothing keeps single samples.

pub mod histogram;
