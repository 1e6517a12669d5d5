//! OTLP over HTTP (protobuf and JSON) and gRPC.
//!
//! Lives here: `export` (what the exports of all signals have in common: encodings, partial success,
//! errors), `metrics`, `logs` and `traces` (what is done with each signal). Another signal is a file
//! beside them and its lines in the table below.
//! Not here: decoding (wire), gRPC's framing (`grpc`).
//! Invariants: an answer has the encoding of its request. An export that may succeed later is
//! answered with 503 or UNAVAILABLE, because clients drop their data at 500 and INTERNAL.

mod export;
mod logs;
mod metrics;
mod settings;
#[cfg(test)]
mod tests;
mod traces;

pub use settings::{OtlpSettings, TranslationStrategy};

use crate::cors::{Allowed, Cors};
use crate::route::bind;
use crate::{Access, Body, Call, Handler, Protocol, Refuse, Route, Services, grpc, handler, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use logs::Logs;
use metrics::{DeltaState, Metrics};
use std::sync::Arc;
use traces::Traces;

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct Otlp {
    services: Arc<Services>,
    settings: OtlpSettings,
    /// Shared with exports under way, which may take back what they added.
    deltas: Arc<DeltaState>,
}

const CORS: Allowed = Allowed {
    methods: "POST, OPTIONS",
    headers: "Accept, Authorization, Content-Encoding, Content-Type, X-Scope-OrgID",
    exposed: None,
};

pub(crate) fn protocol(settings: &OtlpSettings, services: &Arc<Services>) -> Protocol {
    let otlp = Arc::new(Otlp {
        services: Arc::clone(services),
        settings: settings.clone(),
        deltas: Arc::default(),
    });
    let cors = Cors::new(&settings.cors_origins, CORS);
    Protocol { routes: bind(&otlp, ROUTES), cors, ..Protocol::new("otlp") }
}

type OtlpRoute = Route<Handler<Otlp>>;

const fn route(
    path: &'static str,
    handler: Handler<Otlp>,
    refuse: Refuse,
    about: &'static str,
) -> OtlpRoute {
    let (methods, access) = (&[Method::POST], Access::Tenant(Scope::Write));
    let (body, needs_stores) = (Body::AsSent, true);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

const fn http_metrics(path: &'static str, about: &'static str) -> OtlpRoute {
    route(path, handler!(export::http::<Metrics>), export::refuse, about)
}

const fn http_logs(path: &'static str, about: &'static str) -> OtlpRoute {
    route(path, handler!(export::http::<Logs>), export::refuse, about)
}

const fn http_traces(path: &'static str, about: &'static str) -> OtlpRoute {
    route(path, handler!(export::http::<Traces>), export::refuse, about)
}

/// The route of the requests that browsers send before an export from another site.
const fn preflight(path: &'static str) -> OtlpRoute {
    let of_post = route(path, handler!(options), export::refuse, "CORS");
    Route { methods: &[Method::OPTIONS], access: Access::Public, body: Body::None, ..of_post }
}

static ROUTES: &[OtlpRoute] = &[
    http_metrics("/v1/metrics", "OTLP metrics, protobuf or JSON"),
    http_metrics("/otlp/v1/metrics", "The same under Mimir's name"),
    http_metrics("/api/v1/otlp/v1/metrics", "The same under Prometheus' name"),
    http_metrics("/prometheus/api/v1/otlp/v1/metrics", "The same under its prefix"),
    route(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        handler!(export::grpc::<Metrics>),
        grpc::refuse,
        "OTLP metrics over gRPC",
    ),
    http_logs("/v1/logs", "OTLP logs, protobuf or JSON"),
    http_logs("/otlp/v1/logs", "The same under Loki's name"),
    http_logs("/loki/otlp/v1/logs", "The same under its prefix"),
    http_logs("/insert/opentelemetry/v1/logs", "The same under VictoriaLogs' name"),
    route(
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        handler!(export::grpc::<Logs>),
        grpc::refuse,
        "OTLP logs over gRPC",
    ),
    http_traces("/v1/traces", "OTLP traces, protobuf or JSON"),
    http_traces("/otlp/v1/traces", "The same under Tempo's name"),
    http_traces("/insert/opentelemetry/v1/traces", "The same under VictoriaTraces' name"),
    route(
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        handler!(export::grpc::<Traces>),
        grpc::refuse,
        "OTLP traces over gRPC",
    ),
    preflight("/v1/metrics"),
    preflight("/v1/logs"),
    preflight("/otlp/v1/logs"),
    preflight("/loki/otlp/v1/logs"),
    preflight("/insert/opentelemetry/v1/logs"),
    preflight("/otlp/v1/metrics"),
    preflight("/api/v1/otlp/v1/metrics"),
    preflight("/prometheus/api/v1/otlp/v1/metrics"),
    preflight("/v1/traces"),
    preflight("/otlp/v1/traces"),
    preflight("/insert/opentelemetry/v1/traces"),
];

async fn options(_: Arc<Otlp>, _: Call) -> Response {
    reply::empty(StatusCode::NO_CONTENT)
}
