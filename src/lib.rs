//! 集约 Jiyue: a government cloud's resource broker and capacity manager.
//!
//! The map of the house. A request travels down this list; an arrow of `use` runs only from an earlier module to a
//! later one (a test keeps it so).
//!
//! ```text
//! cli, client      the command line; speaks HTTP like anybody else
//! doctor           looks at the server's machine: what is wrong, and how to mend it
//! app, config      builds the parts once, starts them, stops them
//! serve            the listener: TLS, slow clients, an orderly end
//! console          pages for people, whole as they arrive: 总览
//! http, k8s        router and OpenAPI from one list, a file of handlers per domain; custom resources and their controller
//! report           what people print: the idle report, monthly and on demand
//! migration        out of the departmental rooms: the survey, what becomes of each system, closing rooms
//! usage            what machines really use: meter, daily roll-ups, verdicts
//! system           政务信息系统: whose they are, what they are for, their machines
//! watch            what hosts really run, held against what is known; alarms
//! server           legacy servers: whose, how large, where measured
//! machine          approval → build → running → bin; images; the ledger
//! request          block → rules → lifecycle
//! capacity         hosts, claims, placement
//! task_book        indicators, versions, validity
//! operation        durable long work: lease, worker
//! identity         people, tokens, the one policy function
//! error            the closed list of problems, and their HTTP status codes
//! audit            one record per act, in the act's own transaction
//! db               one SQL text, the write queue
//! provider         what we need of a place that runs machines; libvirt, kubevirt, simulated. Knows only the ground.
//! seeing           rules for Prometheus, boards for Grafana: pure, from the metrics' names. Knows only the ground.
//! dns              signed updates of a district's DNS. Knows only the ground.
//! ground           ids, units, time, text, labels, quantity, place, field, rule, rulebook, violation, yaml,
//!                  jurisdiction, catalogue, secret, metrics
//! ```
//!
//! The invariants stand in `ARCHITECTURE.md`, each with the test that fails when it is broken.

pub mod app;
pub mod audit;
pub mod capacity;
pub mod catalogue;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
pub mod db;
pub mod dns;
pub mod doctor;
pub mod error;
pub mod field;
pub mod http;
pub mod identity;
pub mod ids;
pub mod jurisdiction;
pub mod k8s;
pub mod labels;
pub mod machine;
pub mod metrics;
pub mod migration;
pub mod operation;
pub mod place;
pub mod provider;
pub mod quantity;
pub mod report;
pub mod request;
pub mod rule;
pub mod rulebook;
pub mod secret;
pub mod seeing;
pub mod serve;
pub mod server;
pub mod system;
pub mod task_book;
pub mod text;
pub mod time;
pub mod units;
pub mod usage;
pub mod violation;
pub mod watch;
pub mod yaml;
