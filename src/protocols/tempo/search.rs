//! `search`: traces in which spans fulfil a query.

use super::envelope::{Context, TempoApi, TempoError, json};
use crate::api::json as write;
use crate::traces::json::{double, hex};
use axum::response::Response;
use traceql::ast::Query;
use traceql::{
    Answer, FieldValue, OldSearch, SearchLimits, SetFound, SpanFound, Statistics, TraceFound,
};

const LIMIT: usize = 20;
const SPANS_PER_SET: usize = 3;

/// Tempo's words for a trace without a root.
const NO_ROOT: &str = "<root span not yet received>";

/// What a search answers.
pub(super) struct Found {
    pub(super) answer: Answer<Vec<TraceFound>>,
    /// Who asks by tags gets no spans: only a query selects some.
    pub(super) has_sets: bool,
}

pub(super) fn found<A: TempoApi>(context: &Context<A>) -> Result<Found, TempoError> {
    let query = query_of(context)?;
    let limits = SearchLimits {
        traces: context.positive("limit", LIMIT)?,
        spans: context.positive("spss", SPANS_PER_SET)?,
    };
    let request = context.trace_request(context.times()?);
    let (services, store) = (context.services(), &context.traces()?.store);
    let answer =
        context.trace_engine().search(store, &*services.clock, &request, &query, limits)?;
    Ok(Found { answer, has_sets: !context.query().is_empty() })
}

pub(super) fn search(context: &Context) -> Result<Response, TempoError> {
    let Found { answer, has_sets } = found(context)?;
    let mut out = b"{\"traces\":".to_vec();
    write::list(&mut out, &answer.value, |out, found| trace(out, found, has_sets));
    statistics(&mut out, &answer.statistics, answer.value.len());
    Ok(json(out))
}

/// The parameter `q`, or those that there were before it.
fn query_of<A: TempoApi>(context: &Context<A>) -> Result<Query, TempoError> {
    let (query, tags) = (context.query(), context.parameters.text("tags"));
    let old = OldSearch {
        tags,
        min_duration_ns: context.duration_ns("minDuration")?,
        max_duration_ns: context.duration_ns("maxDuration")?,
    };
    let has_old = old != OldSearch::default();
    match (query, has_old) {
        ("", _) => Ok(old.into_query()?),
        (_, true) => Err(TempoError::bad(
            "invalid request: `q` says everything: send it, or tags with minDuration and \
             maxDuration, not both",
        )),
        (query, false) => Ok(traceql::parse(query)?),
    }
}

/// An id without leading zeros.
pub(super) fn short_id(id: [u8; 16]) -> String {
    let id = hex(&id);
    let short = id.trim_start_matches('0');
    if short.is_empty() { "0" } else { short }.to_owned()
}

/// The service of a trace's root.
pub(super) fn root_service(trace: &TraceFound) -> &str {
    trace.root_service.as_deref().unwrap_or(NO_ROOT)
}

fn trace(out: &mut Vec<u8>, trace: &TraceFound, has_sets: bool) {
    out.extend_from_slice(b"{\"traceID\":");
    write::text(out, &short_id(trace.trace_id));
    out.extend_from_slice(b",\"rootServiceName\":");
    write::text(out, root_service(trace));
    if let Some(name) = trace.root_name.as_deref().filter(|name| !name.is_empty()) {
        out.extend_from_slice(b",\"rootTraceName\":");
        write::text(out, name);
    }
    out.extend_from_slice(b",\"startTimeUnixNano\":");
    long(out, trace.start_ns);
    let millis = trace.duration_ns / 1_000_000;
    if millis > 0 {
        out.extend_from_slice(b",\"durationMs\":");
        out.extend_from_slice(itoa::Buffer::new().format(millis).as_bytes());
    }
    if let Some(first) = trace.sets.first().filter(|_| has_sets) {
        out.extend_from_slice(b",\"spanSet\":");
        set(out, first);
        out.extend_from_slice(b",\"spanSets\":");
        write::list(out, &trace.sets, set);
    }
    out.extend_from_slice(b",\"serviceStats\":{");
    for (index, (service, spans)) in trace.services.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write::text(out, service);
        out.extend_from_slice(format!(":{{\"spanCount\":{}", spans.spans).as_bytes());
        if spans.errors > 0 {
            out.extend_from_slice(format!(",\"errorCount\":{}", spans.errors).as_bytes());
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}

/// A number of 64 bits, which is a text in JSON.
pub(super) fn long(out: &mut Vec<u8>, number: impl itoa::Integer) {
    write::text(out, itoa::Buffer::new().format(number));
}

fn set(out: &mut Vec<u8>, set: &SetFound) {
    out.extend_from_slice(b"{\"spans\":");
    write::list(out, &set.spans, span);
    out.extend_from_slice(b",\"matched\":");
    out.extend_from_slice(itoa::Buffer::new().format(set.matched).as_bytes());
    attributes(out, &set.attributes);
    out.push(b'}');
}

fn span(out: &mut Vec<u8>, span: &SpanFound) {
    out.extend_from_slice(b"{\"spanID\":");
    write::text(out, &hex(&span.span_id));
    if !span.name.is_empty() {
        out.extend_from_slice(b",\"name\":");
        write::text(out, &span.name);
    }
    out.extend_from_slice(b",\"startTimeUnixNano\":");
    long(out, span.start_ns);
    out.extend_from_slice(b",\"durationNanos\":");
    long(out, span.duration_ns);
    attributes(out, &span.attributes);
    out.push(b'}');
}

fn attributes(out: &mut Vec<u8>, list: &[(String, FieldValue)]) {
    if !list.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        labels(out, list);
    }
}

/// Names with their values, as OTLP writes attributes.
pub(super) fn labels(out: &mut Vec<u8>, list: &[(String, FieldValue)]) {
    write::list(out, list, |out, (name, value)| {
        out.extend_from_slice(b"{\"key\":");
        write::text(out, name);
        out.extend_from_slice(b",\"value\":");
        field_value(out, value);
        out.push(b'}');
    });
}

fn field_value(out: &mut Vec<u8>, value: &FieldValue) {
    match value {
        FieldValue::Int(number) => {
            out.extend_from_slice(b"{\"intValue\":");
            long(out, *number);
        }
        FieldValue::Float(number) => {
            out.extend_from_slice(b"{\"doubleValue\":");
            double(out, *number);
        }
        FieldValue::Bool(truth) => {
            out.extend_from_slice(format!("{{\"boolValue\":{truth}").as_bytes());
        }
        FieldValue::List(values) => {
            out.extend_from_slice(b"{\"arrayValue\":{\"values\":");
            write::list(out, values, field_value);
            out.push(b'}');
        }
        other => {
            out.extend_from_slice(b"{\"stringValue\":");
            write::text(out, &other.to_string());
        }
    }
    out.push(b'}');
}

/// What a query looked at, with the brace that ends the answer. `traces`: how many it found.
pub(super) fn statistics(out: &mut Vec<u8>, of: &Statistics, traces: usize) {
    let text = format!(
        ",\"metrics\":{{\"inspectedTraces\":{traces},\"inspectedBytes\":\"{}\",\"totalBlocks\":{},\
         \"completedJobs\":1,\"totalJobs\":1,\"totalBlockBytes\":\"{}\",\"inspectedSpans\":\"{}\"}}}}",
        of.bytes, of.pieces, of.bytes, of.spans
    );
    out.extend_from_slice(text.as_bytes());
}
