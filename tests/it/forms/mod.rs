//! Feasibility reports as offices hand them in, made from a seed: what they mean, how they are written, and how well the
//! broker reads and judges them. The writer shares nothing with the reader.

mod amount;
mod application;
#[cfg(test)]
mod defects;
#[cfg(test)]
mod evaluation;
#[cfg(test)]
mod expect;
pub mod files;
pub mod generate;
mod layout;
pub mod model;
pub mod odf;
#[cfg(test)]
mod online;
pub mod paper;
mod prose;
pub mod render;
mod resave;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod stage;
pub mod tree;
