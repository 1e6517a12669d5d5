//! The API over HTTP: OTLP as JSON within `result`, and errors within `error`.

use super::find::{self, Summary, shown};
use super::question::{TraceQuestion, bad, time_of};
use super::{JaegerV3, reading};
use crate::api::json as write;
use crate::api::prefixed::{knows, reads};
use crate::jaeger::query::names::service_names;
use crate::services::ServiceError;
use crate::traces::json::{Object, Style, hex};
use crate::traces::trace_id;
use crate::{Body, Handler, Route, api, percent_decode_segment, reply};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use model::ErrorKind;
use serde_json::json;

type Context = api::Context<JaegerV3>;
type HttpHandler = Handler<JaegerV3>;
type HttpRoute = Route<HttpHandler>;

const fn get(path: &'static str, handler: HttpHandler, about: &'static str) -> HttpRoute {
    reading(&[Method::GET], path, Body::None, handler, refuse, about)
}

const fn post(path: &'static str, handler: HttpHandler, about: &'static str) -> HttpRoute {
    reading(&[Method::POST], path, Body::Json, handler, refuse, about)
}

pub(super) static ROUTES: &[HttpRoute] = &[
    get("/jaeger/api/v3/services", reads!(HttpHandler, services), "Names of services"),
    get(
        "/jaeger/api/v3/operations",
        reads!(HttpHandler, operations),
        "Names of a service's spans with their kinds",
    ),
    get(
        "/jaeger/api/v3/traces",
        reads!(HttpHandler, search),
        "Traces that a search finds, as OTLP",
    ),
    post("/jaeger/api/v3/traces", reads!(HttpHandler, search), "The same, asked by JSON"),
    get("/jaeger/api/v3/traces/{id}", reads!(HttpHandler, by_id), "A trace by its id, as OTLP"),
    get(
        "/jaeger/api/v3/trace-summaries",
        reads!(HttpHandler, summaries),
        "Traces that a search finds, in few words",
    ),
    post(
        "/jaeger/api/v3/trace-summaries",
        reads!(HttpHandler, summaries),
        "The same, asked by JSON",
    ),
    get("/jaeger/api/v3/dependencies", reads!(HttpHandler, dependencies), "Calls between services"),
    get("/jaeger/api/v3/capabilities", knows!(HttpHandler, capabilities), "What a search may ask"),
];

fn status(kind: ErrorKind) -> StatusCode {
    reply::query_status(kind)
}

pub(super) fn failure(kind: ErrorKind, message: &str) -> Response {
    let status = status(kind);
    let error = json!({ "error": { "httpCode": status.as_u16(), "message": message } });
    reply::with_kind(reply::json(status, &error), kind)
}

fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    failure(kind, message)
}

/// An answer that is one object.
fn object(write: impl FnOnce(&mut Object<'_>)) -> Response {
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    write(&mut object);
    object.end();
    reply::of(StatusCode::OK, "application/json", out)
}

fn services(context: &Context) -> Result<Response, ServiceError> {
    let names = service_names(context)?;
    Ok(object(|object| write::texts(object.key("services"), &names)))
}

/// A parameter under one of its names, the first of which is the newer one.
fn parameter<'c>(context: &'c Context, names: [&str; 2]) -> &'c str {
    match context.parameters.text(names[0]) {
        "" => context.parameters.text(names[1]),
        text => text,
    }
}

fn operations(context: &Context) -> Result<Response, ServiceError> {
    let service = context.parameters.text("service");
    let kind = parameter(context, ["spanKind", "span_kind"]);
    let found = find::operations(context, service, kind)?;
    Ok(object(|object| {
        write::list(object.key("operations"), &found, |out, (name, kind)| {
            let mut object = Object::new(out);
            object.text("name", name);
            object.text("spanKind", kind);
            object.end();
        });
    }))
}

/// By parameters, or by a body that is a message as JSON.
fn question(context: &Context) -> Result<TraceQuestion, ServiceError> {
    match context.call.method {
        Method::POST => TraceQuestion::of_body(&context.call.body),
        _ => TraceQuestion::of_parameters(context),
    }
}

fn search(context: &Context) -> Result<Response, ServiceError> {
    let found = find::traces(context, &question(context)?)?;
    let ids: Vec<[u8; 16]> = found.iter().map(|trace| trace.trace_id).collect();
    traces(context, &ids)
}

fn by_id(context: &Context) -> Result<Response, ServiceError> {
    let segment = context.call.path.rsplit('/').next().unwrap_or("");
    traces(context, &[trace_id(&percent_decode_segment(segment))?])
}

/// The resources of all traces in one list.
fn traces(context: &Context, ids: &[[u8; 16]]) -> Result<Response, ServiceError> {
    let mut out = b"{\"result\":{\"resourceSpans\":[".to_vec();
    let mut count = 0;
    context.each_trace(ids, |spans| {
        let before = out.len();
        if count > 0 {
            out.push(b',');
        }
        let mut list = Vec::new();
        Style::Otlp.resource_spans(&mut list, &spans);
        // The brackets of the list are those around all.
        out.extend_from_slice(&list[1..list.len() - 1]);
        count += 1;
        Ok(context.call.held.take(out.len() - before)?)
    })?;
    if count == 0 {
        return Err(ServiceError::new(ErrorKind::NotFound, "No traces found"));
    }
    out.extend_from_slice(b"]}}");
    Ok(reply::of(StatusCode::OK, "application/json", out))
}

fn summaries(context: &Context) -> Result<Response, ServiceError> {
    let found = find::summaries(context, &question(context)?)?;
    Ok(object(|object| write::list(object.key("summaries"), &found, summary)))
}

/// A count; zero is left out.
fn count(object: &mut Object<'_>, name: &str, number: u64) {
    object.count(name, number.try_into().unwrap_or(u32::MAX));
}

fn summary(out: &mut Vec<u8>, of: &Summary) {
    let mut object = Object::new(out);
    object.text("traceId", &hex(&of.found.trace_id));
    object.text("rootServiceName", of.root_service());
    object.text("rootOperationName", of.root_name());
    object.text("minStartTimeUnixNano", itoa::Buffer::new().format(of.found.start_ns));
    object.text("maxEndTimeUnixNano", itoa::Buffer::new().format(of.end_ns()));
    count(&mut object, "spanCount", of.spans);
    count(&mut object, "errorSpanCount", of.errors);
    count(&mut object, "orphanSpanCount", of.orphans);
    write::list(object.key("services"), &of.found.services, |out, (service, spans)| {
        let mut object = Object::new(out);
        object.text("name", shown(service));
        count(&mut object, "spanCount", spans.spans);
        count(&mut object, "errorSpanCount", spans.errors);
        object.end();
    });
    object.end();
}

fn dependencies(context: &Context) -> Result<Response, ServiceError> {
    let time = |names: [&'static str; 2]| match parameter(context, names) {
        "" => Err(bad(format!("parameter '{}' is required", names[0]))),
        text => time_of(names[0], text),
    };
    let times = (time(["startTime", "start_time"])?, time(["endTime", "end_time"])?);
    let found = context.dependencies(times)?;
    Ok(object(|object| {
        write::list(object.key("dependencies"), &found, |out, ((parent, child), calls)| {
            let mut object = Object::new(out);
            object.text("parent", parent);
            object.text("child", child);
            // A number of 64 bits is a text.
            object.text("callCount", itoa::Buffer::new().format(calls.calls));
            object.end();
        });
    }))
}

fn capabilities(_: &Context) -> Result<Response, ServiceError> {
    let search = json!({ "withoutServiceName": true, "sameSpanConjunction": true });
    Ok(reply::json(StatusCode::OK, &json!({ "search": search })))
}
