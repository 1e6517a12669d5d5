//! Tempo's API over HTTP, and its service of gRPC that streams answers.
//!
//! Lives here: `trace` (a trace by its id), `search`, `metrics`, `tags` (what queries and their editors
//! are answered), with `parameters` and `envelope` under them, `routes`; `streams` (the same answers as
//! messages of gRPC, which `messages` makes); `delete` (traces are deleted).
//! Not here: how spans come in (`otlp`, `zipkin`, `jaeger`), a trace as OTLP (`traces`), the language
//! (traceql), storage.
//! Invariants: errors are plain text. Grafana refuses JSON with fields that it does not know, so answers
//! have only those that Tempo has had since 2025.

mod delete;
mod envelope;
mod messages;
mod metrics;
mod parameters;
mod routes;
mod search;
mod streams;
mod tags;
#[cfg(test)]
mod tests;
mod trace;

use crate::api::ApiState;
use crate::route::bind;
use crate::{Native, Protocol, Services};
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct Tempo {
    api: ApiState,
}

/// What the methods of gRPC see.
#[derive(Debug)]
pub(crate) struct Streams {
    api: ApiState,
}

pub(crate) fn protocol(services: &Arc<Services>) -> Protocol {
    let tempo = Arc::new(Tempo { api: ApiState::new(services) });
    let streams = Arc::new(Streams { api: ApiState::new(services) });
    let mut routes = bind(&tempo, routes::ROUTES);
    routes.extend(bind(&tempo, delete::ROUTES));
    routes.extend(bind(&streams, streams::ROUTES));
    let native = Native { http: vec![(3_200, "")], ..Native::default() };
    Protocol { routes, native, ..Protocol::new("tempo") }
}
