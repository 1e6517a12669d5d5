//! Zipkin's collector: `POST /zipkin/api/v2/spans` in JSON or protobuf, `POST /zipkin/api/v1/spans` in JSON
//! or Thrift; and its query API (`query`).
//!
//! Not here: decoding (wire).
//! Invariant: what can never be stored is answered with 400, while the rest of the request is stored;
//! what may be stored later is answered with 503.

use crate::route::bind;
use crate::services::ServiceError;
use crate::traces::{Guard, commit, room_for_spans, taken};
use crate::{Access, Body, Call, Handler, Native, Protocol, Route, Services, handler, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use serde_json::json;
use std::sync::Arc;
use wire::{
    Rejections, decode_zipkin_json, decode_zipkin_protobuf, decode_zipkin_v1_json,
    decode_zipkin_v1_thrift,
};

mod query;
#[cfg(test)]
mod tests;

/// What the handlers see.
#[derive(Debug)]
struct Zipkin {
    services: Arc<Services>,
}

pub(crate) fn protocol(services: &Arc<Services>) -> Protocol {
    let state = Arc::new(Zipkin { services: Arc::clone(services) });
    let native = Native { http: vec![(9_411, "/zipkin")], ..Native::default() };
    let mut routes = bind(&state, ROUTES);
    routes.extend(query::routes(services));
    Protocol { routes, native, ..Protocol::new("zipkin") }
}

const fn spans(
    path: &'static str,
    handler: Handler<Zipkin>,
    about: &'static str,
) -> Route<Handler<Zipkin>> {
    let (methods, access) = (&[Method::POST], Access::Tenant(Scope::Write));
    let (body, needs_stores, refuse) = (Body::Whole, true, reply::refuse_plainly);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

static ROUTES: &[Route<Handler<Zipkin>>] = &[
    spans("/zipkin/api/v2/spans", handler!(version2), "Zipkin's spans, JSON or protobuf"),
    spans(
        "/zipkin/api/v1/spans",
        handler!(version1),
        "Zipkin's spans of version 1, JSON or Thrift",
    ),
    Route {
        methods: &[Method::GET],
        access: Access::Public,
        body: Body::None,
        ..spans("/zipkin/health", handler!(health), "Whether spans can be stored")
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Protobuf,
    Version1,
    Version1Thrift,
}

async fn version2(zipkin: Arc<Zipkin>, call: Call) -> Response {
    let format = match media(&call) {
        "application/x-protobuf" => Format::Protobuf,
        _ => Format::Json,
    };
    store(&zipkin, call, format).await
}

async fn version1(zipkin: Arc<Zipkin>, call: Call) -> Response {
    let format = match media(&call) {
        "application/x-thrift" => Format::Version1Thrift,
        _ => Format::Version1,
    };
    store(&zipkin, call, format).await
}

fn media(call: &Call) -> &str {
    call.header("content-type").split(';').next().unwrap_or("").trim()
}

async fn store(zipkin: &Zipkin, call: Call, format: Format) -> Response {
    let now_ms = zipkin.services.clock.wall_ms();
    let now_ns = u64::try_from(now_ms).unwrap_or(0).saturating_mul(1_000_000);
    let fill = move |call: &Call, guard: &mut Guard<'_>| fill(call, format, now_ns, guard);
    match commit(&zipkin.services, call, fill).await.and_then(taken) {
        Ok(()) => reply::empty(StatusCode::ACCEPTED),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

fn fill(
    call: &Call,
    format: Format,
    now_ns: u64,
    guard: &mut Guard<'_>,
) -> Result<Rejections, ServiceError> {
    room_for_spans(&call.held, call.body.len())?;
    let mut room = &call.held;
    let decoded = match format {
        Format::Json => decode_zipkin_json(&call.body, now_ns, &mut room, guard)?,
        Format::Protobuf => decode_zipkin_protobuf(&call.body, now_ns, &mut room, guard)?,
        Format::Version1 => decode_zipkin_v1_json(&call.body, now_ns, &mut room, guard)?,
        Format::Version1Thrift => decode_zipkin_v1_thrift(&call.body, now_ns, &mut room, guard)?,
    };
    Ok(decoded.rejected)
}

async fn health(_: Arc<Zipkin>, _: Call) -> Response {
    reply::json(StatusCode::OK, &json!({ "status": "UP" }))
}
