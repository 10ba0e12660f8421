//! What was asked for, approved, given, used and there, by zone and kind of provider; how far collecting has come. Read from
//! the database every few seconds and told as gauges, so that a scrape costs nothing.

pub mod service;
pub mod store;
