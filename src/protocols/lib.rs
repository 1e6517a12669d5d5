//! Foreign protocols: bytes to `model`, a call, and back. Step 9.
//!
//! Lives here: the route table's types and the one way from a request to its handler, answers and
//! the one translation from error kinds to statuses, what every HTTP API needs (`api`), what a
//! protocol's own listeners are, the memory and the turns of requests (`bounds`), how settings are
//! declared.
//! Not here: binding sockets, TLS, credentials (server); storage and languages (the crates below).
//! Invariant: a handler is only reached through a [`Route`], and a `Route` always says who may
//! call it.

mod alertmanager;
mod api;
mod bounds;
mod commit;
mod cors;
mod datagrams;
pub mod elasticsearch;
pub mod fluent;
pub mod grpc;
mod guard;
pub mod jaeger;
mod jsonline;
mod logs;
mod loki;
pub mod otlp;
mod own_spans;
mod principal;
pub mod prometheus;
mod protocol;
pub mod pushgateway;
pub mod reply;
mod route;
mod ruler;
mod services;
pub mod settings;
mod sockets;
mod stop;
pub mod syslog;
mod tempo;
#[cfg(test)]
mod testing;
mod traces;
mod ui;
mod zipkin;

pub use bounds::{Held, RequestMemory, WorkTurns};
pub use cors::Cors;
pub use logs::{LogOptions, LogsSettings};
pub use own_spans::{OwnSpan, OwnSpans, RequestSpan};
pub use principal::{Principal, Refusal, TENANT_HEADER};
pub use protocol::{Keeper, Native, Protocol, ProtocolSettings, all};
pub use route::{
    Access, Answer, Body, BodyLimits, Bound, Call, FromReserve, Handler, Host, Identified, Refuse,
    Route, StreamedBody, bind, not_found, percent_decode, percent_decode_bytes,
    percent_decode_segment, router,
};
pub use services::{
    AlertingServices, AlertingSource, Kept, LogServices, Machine, MetricOptions, MetricServices,
    PerTenant, RuleServices, ServiceError, Services, Snapshots, TraceServices,
};
pub use sockets::{
    Accepted, Listener, ServeConnection, ServeDatagrams, Session, Socket, Transport, Upgrade, Work,
};
pub use stop::{Stop, Stopper};
pub use traces::{ActiveOptions, ActiveSpans, TraceOptions, TracesSettings};

/// The instruments of what all protocols share; a protocol brings its own.
pub static METRICS: &[&[&dyn observe::Metric]] = &[
    route::METRICS,
    bounds::METRICS,
    guard::METRICS,
    logs::METRICS,
    traces::METRICS,
    own_spans::METRICS,
    traces::active::METRICS,
];
