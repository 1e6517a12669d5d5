//! Jaeger's collector and agent: Thrift over HTTP and as datagrams, gRPC; and its query APIs.
//!
//! Lives here: the routes of what comes in, `datagrams` (what clients send to the agent), `sampling`
//! (what they ask before), `query` (the first version of the query API), `v3` (the third, and how Jaeger
//! reads from another server).
//! Not here: decoding (wire).
//! Invariant: what can never be stored is answered with an error at which clients drop it, while the rest
//! of the request is stored; what may be stored later is answered with 503 or UNAVAILABLE.

mod datagrams;
mod query;
mod sampling;
mod settings;
#[cfg(test)]
mod tests;
mod v3;

pub use settings::JaegerSettings;

use crate::route::bind;
use crate::services::ServiceError;
use crate::traces::{Guard, commit, room_for_spans, taken};
use crate::{
    Access, Body, Call, Handler, Listener, Native, Protocol, Refuse, Route, Services, grpc,
    handler, reply,
};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use observe::{CounterFamily, Metric};
use std::sync::Arc;
use wire::{JaegerDatagram, Rejections, decode_jaeger_protobuf, decode_jaeger_thrift};

static DATAGRAMS: CounterFamily = CounterFamily::new(
    "mirador_jaeger_datagrams_total",
    "Datagrams of Jaeger's clients that arrived, by their encoding.",
    &["encoding"],
);
static DROPPED: CounterFamily = CounterFamily::new(
    "mirador_jaeger_dropped_total",
    "Datagrams of Jaeger's clients that were lost: those that the kernel threw away before they were read, \
     those for which there was no memory, those that are no batch of spans, and those that the store did \
     not take.",
    &["reason"],
);
static INSTRUMENTS: &[&dyn Metric] = &[&DATAGRAMS, &DROPPED];

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct Jaeger {
    services: Arc<Services>,
    settings: JaegerSettings,
}

pub(crate) fn protocol(settings: &JaegerSettings, services: &Arc<Services>) -> Protocol {
    let jaeger = Arc::new(Jaeger { services: Arc::clone(services), settings: settings.clone() });
    let http = vec![
        (14_268, "/jaeger"),
        (14_250, ""),
        (16_686, "/jaeger"),
        (16_685, ""),
        (17_271, ""),
        (5_778, "/jaeger"),
    ];
    let mut native = Native { http, ..Native::default() };
    let mut listeners = Vec::new();
    for (setting, address, encoding, port) in [
        ("jaeger.compact_address", &settings.compact_address, JaegerDatagram::Compact, ":6831"),
        ("jaeger.binary_address", &settings.binary_address, JaegerDatagram::Binary, ":6832"),
    ] {
        let transport = datagrams::transport(&jaeger, encoding);
        match address.is_empty() {
            true => {
                native.listeners.push(Listener { setting, address: port.to_owned(), transport });
            }
            false => listeners.push(Listener { setting, address: address.clone(), transport }),
        }
    }
    let instruments = INSTRUMENTS;
    let mut routes = bind(&jaeger, ROUTES);
    routes.extend(bind(&jaeger, sampling::ROUTES));
    routes.extend(query::routes(services));
    routes.extend(v3::routes(services));
    Protocol { routes, listeners, native, instruments, ..Protocol::new("jaeger") }
}

const fn batches(
    path: &'static str,
    body: Body,
    handler: Handler<Jaeger>,
    refuse: Refuse,
    about: &'static str,
) -> Route<Handler<Jaeger>> {
    let (methods, access) = (&[Method::POST], Access::Tenant(Scope::Write));
    Route { methods, path, access, body, needs_stores: true, handler, refuse, about }
}

const fn over_http(path: &'static str, about: &'static str) -> Route<Handler<Jaeger>> {
    batches(path, Body::Whole, handler!(thrift), reply::refuse_plainly, about)
}

static ROUTES: &[Route<Handler<Jaeger>>] = &[
    over_http("/jaeger/api/traces", "Jaeger's batches of spans, Thrift"),
    over_http("/api/traces", "The same at the root"),
    batches(
        "/jaeger.api_v2.CollectorService/PostSpans",
        Body::AsSent,
        handler!(post_spans),
        grpc::refuse,
        "Jaeger's batches of spans over gRPC",
    ),
];

const MEDIA: [&str; 2] = ["application/x-thrift", "application/vnd.apache.thrift.binary"];

async fn thrift(jaeger: Arc<Jaeger>, call: Call) -> Response {
    let media = call.header("content-type").split(';').next().unwrap_or("").trim();
    if !MEDIA.contains(&media) {
        let message = format!("send {}\n", MEDIA.join(" or "));
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let fill = |call: &Call, guard: &mut Guard<'_>| -> Result<Rejections, ServiceError> {
        room_for_spans(&call.held, call.body.len())?;
        Ok(decode_jaeger_thrift(&call.body, &mut &call.held, guard)?.rejected)
    };
    match commit(&jaeger.services, call, fill).await.and_then(taken) {
        Ok(()) => reply::empty(StatusCode::ACCEPTED),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

async fn post_spans(jaeger: Arc<Jaeger>, call: Call) -> Response {
    let fill = |call: &Call, guard: &mut Guard<'_>| -> Result<Rejections, ServiceError> {
        let message = grpc::message(call)?;
        room_for_spans(&call.held, message.len())?;
        Ok(decode_jaeger_protobuf(&message, &mut &call.held, guard)?.rejected)
    };
    match commit(&jaeger.services, call, fill).await.and_then(taken) {
        Ok(()) => grpc::answer(b""),
        Err(error) => grpc::failure(error.kind, &error.message),
    }
}
