//! Tests that start the real binary, or need more than one crate: over HTTP and gRPC, with kills,
//! full disks and power cuts.
//!
//! Not here: what one crate can test by itself.
//! `LEDGER_CYCLES=1000` runs the kill ledger longer; `SEED=…` repeats a random test.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests stand outside: they use the machine as a client does"
)]

mod access;
mod alerts;
mod bad_input;
mod client;
mod commands;
mod damage;
mod differential;
mod disk_full;
mod explain;
mod hard_cases;
mod hostile;
mod house;
mod kill_ledger;
mod kill_logs;
mod kill_metrics;
mod kill_traces;
mod kills;
mod lab;
mod limits;
mod log_clients;
mod logs_in;
mod long_traces;
mod metrics;
mod metrics_api;
mod objects;
mod power_cut;
mod prometheus;
mod pushes;
mod real_clients;
mod refused;
mod remote_write;
mod rules;
mod scraping;
mod screens;
mod searches;
mod sending;
mod serving;
mod span_series;
mod stopping;
mod stream_retention;
mod supply_chain;
mod support;
mod tools;
mod trace_clients;
mod trace_streams;
mod traces_in;
mod web_ui;
