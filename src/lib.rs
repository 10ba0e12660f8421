pub mod ids;
pub mod provider;
pub mod units;
