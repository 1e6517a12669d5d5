//! Pulling metrics: the configuration of Prometheus, discovery of targets, scrapes. Step 8.
//!
//! Lives here: `config` (the file), `discovery` (where targets are), `target` (what labels become), `page`
//! (what a page says, as samples), `scraper` (one target over time), `schedule`, `fetch` (pages over
//! HTTP), `store` (where samples go), `pool` (a job at work), `manager` (all jobs, reloads, views),
//! `alertmanagers` (where alerts are to be sent).
//! Not here: how connections are made (`outbound`), relabeling (`relabel`), how samples are kept
//! (`ingest`, `metric_store`), the API that shows targets (`protocols`).
//! Invariants: one scrape is one batch; what failed is told in words and ends the series of its
//! target; scrapes and pages at once are bounded.
//!
//! Read first: [`Manager`], [`config::Config`], [`Pages`].

mod alertmanagers;
pub mod config;
pub mod discovery;
mod fetch;
mod manager;
mod page;
mod pool;
mod schedule;
mod scraper;
mod store;
mod target;
#[cfg(test)]
mod target_tests;
mod telemetry;

pub use alertmanagers::Alertmanagers;
pub use fetch::ScrapeError;
pub use manager::{ApplyError, Manager, relabel_steps};
pub use page::{Metadata, PageCounts, PageError, PageFormat, PageRules, Pages};
pub use pool::{ActiveTarget, Health, PoolView, Status};
pub use store::Destination;
pub use target::Target;
pub use telemetry::METRICS;
