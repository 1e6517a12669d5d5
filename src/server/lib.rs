//! Mirador's server. Step 10: the only crate that knows all the others.
//!
//! Lives here: settings, listeners, the table of routes, wiring, the command line, the front page.
//! Not here: anything that a test of a lower crate would want to reach.
//! Invariant: what is started in `serve` is stopped there in the opposite order.

mod access;
mod alert_sink;
mod alerting;
pub mod app;
pub mod commands;
pub mod config;
mod control;
pub mod http;
mod lifecycle;
mod objects;
mod operator_files;
mod own_logs_writer;
mod own_metrics_writer;
mod own_spans_writer;
mod pages;
pub mod probe;
mod reload;
pub mod routes;
mod rules;
mod scraping;
mod sending;
mod serve;
mod snapshots;
mod stores;
mod stream_retention;
mod web_ui;

pub use app::VERSION;
