//! An Alertmanager: routes, grouping, silences, inhibition, notifications. Step 8.
//!
//! Lives here: `alertmanager.yml` ([`config`]), one tenant's alerts and what is due of them
//! ([`engine`]), matchers, routes, intervals of the calendar.
//! Not here: which alerts there are (rules, or whoever sends them), HTTP APIs (protocols).
//! Invariants: who was told is on the disk before it counts as told, so that nobody is told twice
//! within a repeat interval, also after a crash; a receiver that hangs holds up no other; everything
//! that waits is bounded.

mod alert;
pub mod config;
pub mod engine;
mod forward;
mod intervals;
mod matchers;
mod notify;
mod receivers;
mod records;
mod routing;
pub mod service;
mod smtp;
mod telemetry;

pub use alert::{Fingerprint, KeptAlert};
pub use forward::{ForwardTarget, Forwarder};
pub use intervals::{Span, TimeInterval};
pub use matchers::{matcher_text, matchers_text, parse_matcher, parse_matchers};
pub use notify::{TemplateError, Templates};
pub use receivers::{SendError, Sender};
pub use records::{Record, RecordFile, Recorder};
pub use routing::{GroupBy, Route, Routes, Timing};
pub use telemetry::METRICS;
