//! Out of the departmental rooms: what the survey found, what becomes of each system, and how each room comes to be closed.
//!
//! Whatever changes is kept whole, with the day on which it was written (`estate_versions`), and nothing of a day that is
//! over is ever written again: what is said of a past day is the same whenever it is asked. Acts read the whole survey into
//! memory, decide there by the pure files, and write under the revision that they have read.

pub mod asking;
pub mod chain;
pub mod difficulty;
pub mod estate;
pub mod fate;
pub mod forms;
pub mod gates;
pub mod import;
pub mod moving;
pub mod passage;
pub mod progress;
pub mod register;
pub mod room;
pub mod said;
pub mod service;
pub mod store;
#[cfg(test)]
mod tests;
pub mod wave;
