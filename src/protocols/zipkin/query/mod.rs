//! The second version of Zipkin's query API, as its page and Grafana ask it.
//!
//! Lives here: the endpoints, `document` (a trace as Zipkin writes it).
//! Not here: how spans come in, reading the store (`traces`).
//! Invariants: errors are plain text; times of spans are microseconds, those of questions milliseconds.

mod document;
#[cfg(test)]
mod tests;

use crate::api::json as write;
use crate::api::prefixed::reads;
use crate::api::{self, Api, ApiState};
use crate::route::{Bound, bind};
use crate::services::ServiceError;
use crate::traces::json::Object;
use crate::traces::{SpanFilter, service_name, trace_id};
use crate::{Access, Body, Handler, Route, Services, percent_decode_segment, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use model::ErrorKind;
use std::sync::Arc;
use traceql::{Attribute, Intrinsic};

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct ZipkinQuery {
    api: ApiState,
}

type Context = api::Context<ZipkinQuery>;
type QueryHandler = Handler<ZipkinQuery>;

impl Api for ZipkinQuery {
    type Error = ServiceError;

    fn failure(error: &ServiceError) -> Response {
        match error.kind {
            // A client that exceeds a limit has to ask for less.
            ErrorKind::Limit => {
                reply::text(StatusCode::BAD_REQUEST, format!("{}\n", error.message))
            }
            kind => reply::plain_error(kind, &error.message),
        }
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

pub(super) fn routes(services: &Arc<Services>) -> Vec<Route<Bound>> {
    bind(&Arc::new(ZipkinQuery { api: ApiState::new(services) }), ROUTES)
}

const fn reading(
    path: &'static str,
    handler: QueryHandler,
    about: &'static str,
) -> Route<QueryHandler> {
    let (methods, access) = (&[Method::GET], Access::Tenant(Scope::Read));
    let (body, needs_stores, refuse) = (Body::None, true, reply::refuse_plainly);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

static ROUTES: &[Route<QueryHandler>] = &[
    reading(
        "/zipkin/api/v2/services",
        reads!(QueryHandler, services),
        "Names of services in Zipkin's form",
    ),
    reading("/zipkin/api/v2/spans", reads!(QueryHandler, spans), "Names of a service's spans"),
    reading(
        "/zipkin/api/v2/traces",
        reads!(QueryHandler, traces),
        "Traces by service, span, annotations, time and duration",
    ),
    reading(
        "/zipkin/api/v2/trace/{id}",
        reads!(QueryHandler, trace),
        "A trace by its id in Zipkin's form",
    ),
    reading(
        "/zipkin/api/v2/dependencies",
        reads!(QueryHandler, dependencies),
        "Calls between services, and how many failed",
    ),
];

const MICRO_NS: i64 = 1_000;
const MILLI_NS: i64 = 1_000_000;
/// Without a `lookback`, questions look back a day, as Zipkin does.
const LOOKBACK_MS: i64 = 86_400_000;
/// Traces of an answer, as in Zipkin.
const LIMIT: usize = 10;

fn bad(message: String) -> ServiceError {
    ServiceError::new(ErrorKind::Invalid, message)
}

fn json(body: Vec<u8>) -> Response {
    reply::of(StatusCode::OK, "application/json", body)
}

impl Context {
    /// A whole number from 0 on.
    fn number(&self, name: &str) -> Result<Option<i64>, ServiceError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || bad(format!("invalid {name}: {text:?} is no whole number"));
        text.parse().ok().filter(|number| *number >= 0).map(Some).ok_or_else(wrong)
    }

    /// The time of `lookback` before `endTs`, in nanoseconds.
    fn times(&self) -> Result<(i64, i64), ServiceError> {
        let end = match self.number("endTs")? {
            Some(millis) => millis.saturating_mul(MILLI_NS),
            None => self.newest_ns(),
        };
        let lookback = self.number("lookback")?.unwrap_or(LOOKBACK_MS).saturating_mul(MILLI_NS);
        Ok((end.saturating_sub(lookback), end))
    }
}

fn services(context: &Context) -> Result<Response, ServiceError> {
    let filter = SpanFilter::default();
    let names = context.trace_values(context.recent(), &service_name(), filter)?;
    let mut out = Vec::new();
    write::texts(&mut out, &names);
    Ok(json(out))
}

fn spans(context: &Context) -> Result<Response, ServiceError> {
    let service = context.parameters.text("serviceName");
    if service.is_empty() {
        return Err(bad("serviceName is required: name one of /api/v2/services".to_owned()));
    }
    let mut filter = SpanFilter::default();
    filter.service(service);
    let name = Attribute::intrinsic(Intrinsic::Name);
    let names = context.trace_values(context.recent(), &name, filter)?;
    let mut out = Vec::new();
    write::texts(&mut out, &names);
    Ok(json(out))
}

fn traces(context: &Context) -> Result<Response, ServiceError> {
    let mut filter = SpanFilter::default();
    let text = |name| match context.parameters.text(name) {
        // Zipkin's page writes so what stands for any.
        "all" => "",
        text => text,
    };
    filter.service(text("serviceName"));
    filter.name(text("spanName"));
    let micros =
        |name| Ok::<_, ServiceError>(context.number(name)?.map(|n| n.saturating_mul(MICRO_NS)));
    let (min, max) = (micros("minDuration")?, micros("maxDuration")?);
    if max.is_some() && max < min {
        return Err(bad("maxDuration is less than minDuration: exchange them".to_owned()));
    }
    filter.duration(min, max);
    annotations(&mut filter, context.parameters.text("annotationQuery"));
    let limit = match context.number("limit")? {
        None => LIMIT,
        Some(0) => return Err(bad("limit must be at least 1".to_owned())),
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let found = context.find_traces(context.times()?, filter, limit)?;
    let ids: Vec<[u8; 16]> = found.iter().map(|trace| trace.trace_id).collect();
    let mut out = Vec::new();
    context.write_traces(&mut out, &ids, document::trace)?;
    Ok(json(out))
}

/// `http.method=GET and error`: tags with their values, and tags or annotations without.
fn annotations(filter: &mut SpanFilter, query: &str) {
    for part in query.split(" and ").map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((key, value)) => filter.tag(key, value),
            None => filter.tag_or_event(part),
        }
    }
}

fn trace(context: &Context) -> Result<Response, ServiceError> {
    let segment = context.call.path.rsplit('/').next().unwrap_or("");
    let id = trace_id(&percent_decode_segment(segment))?;
    let (spans, _) = context.whole_trace(id)?;
    if spans.is_empty() {
        return Err(ServiceError::new(ErrorKind::NotFound, "trace not found"));
    }
    let mut out = Vec::new();
    document::trace(&mut out, &spans);
    context.call.held.take(out.len())?;
    Ok(json(out))
}

fn dependencies(context: &Context) -> Result<Response, ServiceError> {
    let found = context.dependencies(context.times()?)?;
    let mut out = Vec::new();
    write::list(&mut out, &found, |out, ((parent, child), calls)| {
        let mut object = Object::new(out);
        write::text(object.key("parent"), parent);
        write::text(object.key("child"), child);
        object.key("callCount").extend_from_slice(calls.calls.to_string().as_bytes());
        object.key("errorCount").extend_from_slice(calls.errors.to_string().as_bytes());
        object.end();
    });
    Ok(json(out))
}
