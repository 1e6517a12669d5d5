//! The JSON of a query's answer. The order of the keys is part of the protocol: Grafana reads
//! `resultType` and `encodingFlags` before `result`.

use super::envelope::{Context, LokiError};
use crate::api::json;
use logql::{LabelPairs, LogEntry, LogLines, QueryError, QueryResult, Statistics, Value};
use query::{CancelFlag, Stop};
use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

/// Between two looks at whether the client still waits, this many lines or series are written.
const LOOK_EVERY: usize = 256;

/// The header by which a client asks for the labels of lines by where they come from.
const FLAGS: &str = "x-loki-response-encoding-flags";
const CATEGORIZE: &str = "categorize-labels";

pub(super) fn asks_for_categories(context: &Context) -> bool {
    context.call.header(FLAGS).split(',').any(|flag| flag.trim() == CATEGORIZE)
}

pub(super) fn write(
    result: &QueryResult,
    is_categorized: bool,
    took: Duration,
    cancel: &CancelFlag,
) -> Result<Vec<u8>, LokiError> {
    let mut out = Vec::with_capacity(1_024);
    out.extend_from_slice(b"{\"status\":\"success\",");
    if !result.warnings.is_empty() {
        out.extend_from_slice(b"\"warnings\":");
        json::texts(&mut out, &result.warnings);
        out.push(b',');
    }
    let kind = match result.value {
        Value::Streams(_) => "streams",
        Value::Vector(_) => "vector",
        Value::Matrix { .. } => "matrix",
        Value::Scalar { .. } => "scalar",
    };
    put(&mut out, format_args!("\"data\":{{\"resultType\":\"{kind}\","));
    if is_categorized && matches!(result.value, Value::Streams(_)) {
        out.extend_from_slice(b"\"encodingFlags\":[\"categorize-labels\"],");
    }
    out.extend_from_slice(b"\"result\":");
    value(&mut out, &result.value, is_categorized, cancel)?;
    result.hold(out.len()).map_err(QueryError::from)?;
    out.extend_from_slice(b",\"stats\":");
    statistics(&mut out, &result.statistics, took);
    out.extend_from_slice(b"}}");
    Ok(out)
}

/// Writing into memory can't fail.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes everything");
}

fn value(
    out: &mut Vec<u8>,
    value: &Value,
    is_categorized: bool,
    cancel: &CancelFlag,
) -> Result<(), LokiError> {
    match value {
        Value::Streams(lines) => return streams(out, lines, is_categorized, cancel),
        Value::Scalar { time_ms, value } => json::point(out, *time_ms, *value),
        Value::Vector(samples) => json::list(out, samples, |out, sample| {
            out.extend_from_slice(b"{\"metric\":");
            json::labels(out, &sample.labels);
            out.extend_from_slice(b",\"value\":");
            json::point(out, sample.time_ms, sample.value);
            out.push(b'}');
        }),
        Value::Matrix { times_ms, series } => {
            let mut written = 0;
            let mut stopped = false;
            json::list(out, series, |out, one| {
                written += 1;
                stopped |= written % LOOK_EVERY == 0 && cancel.is_cancelled();
                if stopped {
                    return;
                }
                out.extend_from_slice(b"{\"metric\":");
                json::labels(out, &one.labels);
                out.extend_from_slice(b",\"values\":");
                let steps = (0..one.column.steps())
                    .filter_map(|step| Some((times_ms[step], one.column.float(step)?)));
                json::list(out, steps, |out, (time_ms, value)| json::point(out, time_ms, value));
                out.push(b'}');
            });
            if stopped {
                return Err(QueryError::from(Stop::Cancelled).into());
            }
        }
    }
    Ok(())
}

pub(super) fn streams(
    out: &mut Vec<u8>,
    lines: &LogLines,
    is_categorized: bool,
    cancel: &CancelFlag,
) -> Result<(), LokiError> {
    let streams = if is_categorized { lines.categorized() } else { lines.merged() };
    let (mut written, mut stopped) = (0, false);
    json::list(out, &streams, |out, stream| {
        out.extend_from_slice(b"{\"stream\":");
        pairs(out, &stream.labels);
        out.extend_from_slice(b",\"values\":");
        json::list(out, &stream.entries, |out, entry| {
            written += 1;
            stopped |= written % LOOK_EVERY == 0 && cancel.is_cancelled();
            if !stopped {
                write_entry(out, entry, is_categorized);
            }
        });
        out.push(b'}');
    });
    if stopped { Err(QueryError::from(Stop::Cancelled).into()) } else { Ok(()) }
}

fn write_entry(out: &mut Vec<u8>, entry: &LogEntry, is_categorized: bool) {
    put(out, format_args!("[\"{}\",", entry.time_ns));
    json::text(out, &text_of(&entry.line));
    if is_categorized {
        out.push(b',');
        categories(out, entry);
    }
    out.push(b']');
}

/// A line as JSON can hold it: bytes that are no UTF-8 become replacement characters.
pub(super) fn text_of(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line)
}

fn categories(out: &mut Vec<u8>, entry: &LogEntry) {
    out.push(b'{');
    let mut is_first = true;
    for (name, labels) in
        [("structuredMetadata", &entry.labels.fields), ("parsed", &entry.labels.parsed)]
    {
        if labels.is_empty() {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        put(out, format_args!("\"{name}\":"));
        pairs(out, labels);
    }
    out.push(b'}');
}

pub(super) fn pairs(out: &mut Vec<u8>, labels: &LabelPairs) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::text(out, name);
        out.push(b':');
        json::text(out, value);
    }
    out.push(b'}');
}

/// What the query did, in Loki's shape. The parts of Loki that Mirador has not are left out.
fn statistics(out: &mut Vec<u8>, statistics: &Statistics, took: Duration) {
    let Statistics { lines, bytes, metadata_bytes, lines_after_filters, entries_returned, .. } =
        *statistics;
    let seconds = took.as_secs_f64();
    let per_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
    put(
        out,
        format_args!(
            "{{\"summary\":{{\"bytesProcessedPerSecond\":{},\"linesProcessedPerSecond\":{},\
             \"totalBytesProcessed\":{bytes},\"totalLinesProcessed\":{lines},\"execTime\":{seconds},\
             \"queueTime\":0,\"subqueries\":0,\"totalEntriesReturned\":{entries_returned},\"splits\":0,\
             \"shards\":0,\"totalPostFilterLines\":{lines_after_filters},\
             \"totalStructuredMetadataBytesProcessed\":{metadata_bytes}}}}}",
            per_second(bytes),
            per_second(lines),
        ),
    );
}
