//! Traces by parameters and by their ids.

use super::document;
use super::envelope::{Context, bad, data};
use super::names::MICRO_NS;
use crate::percent_decode_segment;
use crate::services::ServiceError;
use crate::traces::{SpanFilter, trace_id};
use axum::response::Response;
use model::{ErrorKind, parse_duration_ns};
use serde_json::Value;
use std::collections::BTreeMap;

/// Traces of an answer, as in Jaeger.
const LIMIT: usize = 100;
/// Without a start and a `lookback`, a search looks back two days, as in Jaeger.
const LOOKBACK_NS: i64 = 48 * 3_600 * 1_000_000_000;

pub(super) fn by_id(context: &Context) -> Result<Response, ServiceError> {
    let segment = context.call.path.rsplit('/').next().unwrap_or("");
    let id = trace_id(&percent_decode_segment(segment))?;
    data(|out| match context.write_traces(out, &[id], document::trace)? {
        0 => Err(ServiceError::new(ErrorKind::NotFound, "trace not found")),
        count => Ok(count),
    })
}

pub(super) fn search(context: &Context) -> Result<Response, ServiceError> {
    let named = context.parameters.all("traceID").map(trace_id);
    let mut ids = named.collect::<Result<Vec<_>, _>>()?;
    if ids.is_empty() {
        ids = found(context)?;
    }
    data(|out| context.write_traces(out, &ids, document::trace))
}

fn found(context: &Context) -> Result<Vec<[u8; 16]>, ServiceError> {
    let mut filter = SpanFilter::default();
    filter.service(context.needed("service")?);
    // The pages of Jaeger and Grafana write so what stands for any.
    let operation = context.parameters.text("operation");
    filter.name(if operation == "all" { "" } else { operation });
    let (min, max) = (context.duration_ns("minDuration")?, context.duration_ns("maxDuration")?);
    if max.is_some() && max < min {
        return Err(bad("'maxDuration' should be greater than 'minDuration'"));
    }
    filter.duration(min, max);
    tags(context)?.iter().for_each(|(key, value)| filter.tag(key, value));
    let limit = match context.number("limit")? {
        None | Some(0) => LIMIT,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let traces = context.find_traces(times(context)?, filter, limit)?;
    Ok(traces.iter().map(|trace| trace.trace_id).collect())
}

/// From `start` to `end`, in microseconds.
fn times(context: &Context) -> Result<(i64, i64), ServiceError> {
    let micros =
        |name| Ok::<_, ServiceError>(context.number(name)?.map(|n| n.saturating_mul(MICRO_NS)));
    let end = micros("end")?.unwrap_or_else(|| context.newest_ns());
    // "custom" says that there is a start.
    let lookback = match context.parameters.text("lookback") {
        "" | "custom" => LOOKBACK_NS,
        text => parse_duration_ns(text)
            .map_err(|message| bad(format!("unable to parse param 'lookback': {message}")))?,
    };
    let start = micros("start")?.unwrap_or_else(|| end.saturating_sub(lookback));
    Ok((start, end))
}

/// The tags of `tags`, an object of texts as JSON, and those of each `tag`, as `key:value`.
fn tags(context: &Context) -> Result<BTreeMap<String, String>, ServiceError> {
    let mut found = BTreeMap::new();
    for tag in context.parameters.all("tag") {
        let wrong = || bad(format!("malformed 'tag' parameter, expecting key:value: {tag:?}"));
        let (key, value) = tag.split_once(':').ok_or_else(wrong)?;
        found.insert(key.to_owned(), value.to_owned());
    }
    for object in context.parameters.all("tags").filter(|object| !object.is_empty()) {
        let wrong =
            |error| bad(format!("malformed 'tags' parameter, cannot unmarshal JSON: {error}"));
        let tags: BTreeMap<String, Value> = serde_json::from_str(object).map_err(wrong)?;
        for (key, value) in tags {
            let text = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => {
                    let message = format!("malformed 'tags' parameter: {key:?} must be a text");
                    return Err(bad(message));
                }
            };
            found.insert(key, text);
        }
    }
    Ok(found)
}
