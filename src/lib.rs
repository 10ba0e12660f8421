pub mod cli;
pub mod client;
pub mod ids;
pub mod provider;
pub mod units;
