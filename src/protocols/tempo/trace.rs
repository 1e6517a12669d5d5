//! A trace by its id, as protobuf or JSON.

use super::envelope::{Context, TempoError, json};
use crate::percent_decode_segment;
use crate::reply;
use crate::traces::document::resource_spans;
use crate::traces::json::Style;
use axum::http::{StatusCode, header};
use axum::response::Response;
use model::TimeUnit;
use prost::Message as _;
use trace_store::Select;
use wire::proto::opentelemetry::proto::trace::v1::ResourceSpans;
use wire::proto::tempopb::{Trace, TraceByIdMetrics, TraceByIdResponse};

const PROTOBUF: &str = "application/protobuf";

/// The id in a path that ends in it: up to 32 hexadecimal digits, leading zeros left out or not.
fn trace_id(context: &Context) -> Result<[u8; 16], TempoError> {
    let segment = context.call.path.rsplit('/').next().unwrap_or("");
    let text = percent_decode_segment(segment);
    let wrong = |why: &str| {
        TempoError::bad(format!("trace ids can only be 1 to 32 hexadecimal digits: {text:?} {why}"))
    };
    if text.is_empty() || text.len() > 32 {
        return Err(wrong("has none, or more"));
    }
    let number = u128::from_str_radix(&text, 16).map_err(|_| wrong("has something else"))?;
    Ok(number.to_be_bytes())
}

/// The trace, with what could not be read; empty if there is none.
fn read(context: &Context) -> Result<(Vec<ResourceSpans>, Vec<String>), TempoError> {
    let time = TimeUnit::Nanos.everything();
    let wanted = Select { time, trace_id: Some(trace_id(context)?), are_whole: true };
    let selection = context.traces()?.store.select(&context.call.tenant, &wanted)?;
    let mut found = Vec::new();
    for index in 0..selection.pieces().len() {
        let Some(piece) = selection.read(index)? else { continue };
        found.extend(resource_spans(&piece, 0..piece.rows())?);
    }
    Ok((found, selection.warnings()))
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
