//! A trace by its id, as protobuf or JSON.

use super::envelope::{Context, TempoError, json};
use crate::percent_decode_segment;
use crate::reply;
use crate::traces::json::Style;
use crate::traces::trace_id;
use axum::http::{StatusCode, header};
use axum::response::Response;
use prost::Message as _;
use wire::proto::opentelemetry::proto::trace::v1::ResourceSpans;
use wire::proto::tempopb::{Trace, TraceByIdMetrics, TraceByIdResponse};

const PROTOBUF: &str = "application/protobuf";

/// The trace whose id the path ends in, with what could not be read; empty if there is none.
fn read(context: &Context) -> Result<(Vec<ResourceSpans>, Vec<String>), TempoError> {
    let segment = context.call.path.rsplit('/').next().unwrap_or("");
    Ok(context.whole_trace(trace_id(&percent_decode_segment(segment))?)?)
}

fn wants_protobuf(context: &Context) -> bool {
    let accepted = context.call.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains(PROTOBUF))
}

/// The second version: a trace that is not there is an empty one.
pub(super) fn v2(context: &Context) -> Result<Response, TempoError> {
    let (resource_spans, warnings) = read(context)?;
    let is_partial = !warnings.is_empty();
    if wants_protobuf(context) {
        let answer = TraceByIdResponse {
            trace: Some(Trace { resource_spans }),
            metrics: Some(TraceByIdMetrics::default()),
            status: i32::from(is_partial),
            message: warnings.join("; "),
        };
        return Ok(reply::of(StatusCode::OK, PROTOBUF, answer.encode_to_vec()));
    }
    let mut out = b"{\"trace\":{".to_vec();
    if !resource_spans.is_empty() {
        out.extend_from_slice(b"\"resourceSpans\":");
        Style::Tempo.resource_spans(&mut out, &resource_spans);
    }
    out.extend_from_slice(b"},\"metrics\":{}");
    if is_partial {
        out.extend_from_slice(b",\"status\":\"PARTIAL\",\"message\":");
        crate::api::json::text(&mut out, &warnings.join("; "));
    }
    out.push(b'}');
    Ok(json(out))
}

/// The first version: a trace that is not there is not found.
pub(super) fn v1(context: &Context) -> Result<Response, TempoError> {
    let (resource_spans, _) = read(context)?;
    if resource_spans.is_empty() {
        return Ok(reply::text(StatusCode::NOT_FOUND, "trace not found\n"));
    }
    if wants_protobuf(context) {
        let body = Trace { resource_spans }.encode_to_vec();
        return Ok(reply::of(StatusCode::OK, PROTOBUF, body));
    }
    let mut out = b"{\"batches\":".to_vec();
    Style::Tempo.resource_spans(&mut out, &resource_spans);
    out.push(b'}');
    Ok(json(out))
}
