//! What machines really use.
//!
//! A reading is what a source has counted at one instant; two of them are a point, an interval with rates; points are folded
//! into one small record per machine and day, sixteen of which are a row, and records into a window of any length. Nothing keeps single samples.

pub mod advice;
mod block;
mod codec;
mod day;
pub mod gauges;
pub mod histogram;
pub mod import;
pub mod judging;
mod open;
mod point;
pub mod service;
pub mod source;
pub mod store;
pub mod summary;
pub mod task;
#[cfg(test)]
mod tests;
mod track;
pub mod verdict;
mod window;
pub mod zombie;

pub use codec::Broken;
pub use day::{Day, PARTS, Part, Presence};
pub use histogram::{Bounds, Histogram, Scale, Share};
pub use open::{Open, OpenDay, Step};
pub use point::{ByMetric, Cause, Interval, Metric, Point, Traffic};
pub use track::{AHEAD, Gauge, Taken, Track};
pub use window::{Figures, Window};
