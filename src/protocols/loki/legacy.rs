//! Loki's first API, under `/api/prom`, and its shapes.

use super::answer::text_of;
use super::envelope::{Context, LokiError, json as answer_json};
use super::reading::take;
use crate::api::json;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat};
use logql::{LogLines, Value};

/// Whether a call is one of the first API.
pub(super) fn is_asked(context: &Context) -> bool {
    context.call.path.contains("/api/prom/")
}

/// Lines of a range; numbers can't be asked for here.
pub(super) fn query(context: &Context) -> Result<Response, LokiError> {
    let range = context.default_range_ns()?;
    let result = context.lines(range, context.limit()?, context.direction()?)?;
    let mut out = b"{\"streams\":".to_vec();
    match &result.value {
        Value::Streams(lines) => streams(&mut out, lines),
        _ => out.extend_from_slice(b"[]"),
    }
    out.push(b'}');
    take(&context.listing_memory(), out.len())?;
    Ok(answer_json(out))
}

/// `[{"labels":"{a=\"b\"}","entries":[{"ts":"…","line":"…"}]}]`
pub(super) fn streams(out: &mut Vec<u8>, lines: &LogLines) {
    json::list(out, lines.merged(), |out, stream| {
        out.extend_from_slice(b"{\"labels\":");
        json::text(out, &stream.labels.to_string());
        out.extend_from_slice(b",\"entries\":");
        json::list(out, stream.entries, |out, entry| {
            out.extend_from_slice(b"{\"ts\":");
            json::text(out, &time(entry.time_ns));
            out.extend_from_slice(b",\"line\":");
            json::text(out, &text_of(&entry.line));
            out.push(b'}');
        });
        out.push(b'}');
    });
}

/// `2023-11-14T22:13:20.5Z`
pub(super) fn time(time_ns: i64) -> String {
    DateTime::from_timestamp_nanos(time_ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
