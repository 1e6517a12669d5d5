//! Foreign protocols: bytes to `model`, a call, and back. Step 9.
//!
//! Lives here: the route table's types and the one way from a request to its handler, answers and
//! the one translation from error kinds to statuses, how settings are declared.
//! Not here: sockets, TLS, credentials (server); storage and languages (the crates below).
//! Invariant: a handler is only reached through a [`Route`], and a `Route` always says who may
//! call it.

mod principal;
pub mod reply;
mod route;
pub mod settings;

pub use principal::{Principal, Refusal, TENANT_HEADER};
pub use route::{
    Access, Answer, Body, BodyLimits, Call, Handler, Host, Identified, Route, not_found,
    percent_decode, router,
};

/// This crate's instruments.
pub static METRICS: &[&dyn observe::Metric] = route::METRICS;
