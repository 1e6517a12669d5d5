//! `trace/{id}/logs`: a trace with the lines that carry its id, wherever in a line or its fields it stands.
//!
//! Lines are looked for from an hour before the trace to an hour behind it; of a trace that is not stored,
//! in the time that the request names.

use super::envelope::{Context, Stats, UiError, millis, whole};
use crate::ServiceError;
use crate::api::json as write;
use crate::traces::json::{Style, hex};
use axum::response::Response;
use log_store::{LogField, LogRows, NO_TEXTS, Needs, Order, Scratch, Select, Selection};
use model::{ErrorKind, TimeRange, TimeUnit};
use query::{Control, Holding, HoldingLimits, Weight};
use std::collections::{BTreeMap, BTreeSet};
use traceql::QueryError;
use wire::proto::opentelemetry::proto::trace::v1::ResourceSpans;

/// Lines before and behind a trace belong to it, too.
const AROUND_NS: i64 = 3_600 * 1_000_000_000;

const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

/// The fields in which senders put the id of a span.
const SPAN_ID_FIELDS: [&str; 5] = ["span_id", "spanid", "spanId", "SpanId", "span.id"];

/// What is kept of a line beside its texts.
const LINE_BYTES: usize = 64;

struct Line {
    time_ns: i64,
    stream: u32,
    text: String,
    span_id: Option<String>,
}

/// The first lines that carry the id.
#[derive(Default)]
struct Found {
    lines: Vec<Line>,
    bytes: usize,
    scanned: u64,
    has_more: bool,
}

pub(super) fn with_lines(context: &Context) -> Result<Response, UiError> {
    let started = context.services().clock.now();
    let trace_id = context.trace_in_path()?;
    let limit = context.number("limit", LIMIT, LIMIT_MAX)?;
    let (spans, warnings) = context.whole_trace(trace_id)?;
    let (first, last) = times_of(&spans).map_or_else(|| context.times(), Ok)?;
    let time =
        TimeUnit::Nanos.between(first.saturating_sub(AROUND_NS), last.saturating_add(AROUND_NS));
    let memory = memory(context);
    let selection = select(context, &trace_id, time)?;
    let found = find(&selection, &context.trace_control(), &memory, limit)?;
    if spans.is_empty() && found.lines.is_empty() {
        let message = "there is no trace with this id, and no line of its time has it";
        return Err(UiError::new(ErrorKind::NotFound, message));
    }
    let mut stats = Stats { scanned: found.scanned + span_count(&spans), warnings };
    stats.warnings.extend(selection.warnings());
    if found.has_more {
        stats.warnings.push(format!("there are more lines than the first {limit}"));
    }
    let mut out = b"{\"trace_id\":".to_vec();
    write::text(&mut out, &hex(&trace_id));
    out.extend_from_slice(b",\"trace\":{");
    if !spans.is_empty() {
        out.extend_from_slice(b"\"resourceSpans\":");
        Style::Tempo.resource_spans(&mut out, &spans);
    }
    out.push(b'}');
    write_lines(&mut out, &selection, &found.lines);
    context.finish(out, &stats, started)
}

fn memory(context: &Context) -> Holding {
    let services = context.services();
    let limits = HoldingLimits {
        samples: usize::MAX,
        bytes: services.logql.limits.memory_max,
        bytes_setting: "logs.max_memory",
        bytes_advice: "fewer lines (limit)",
    };
    Holding::new(limits, Some(&services.query_memory))
}

fn span_count(spans: &[ResourceSpans]) -> u64 {
    let scopes = spans.iter().flat_map(|of| &of.scope_spans);
    scopes.map(|of| of.spans.len() as u64).sum()
}

/// From the first start to the last end of a trace; `None` if it has no span.
fn times_of(spans: &[ResourceSpans]) -> Option<(i64, i64)> {
    let spans = || spans.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans);
    let first = spans().map(|span| span.start_time_unix_nano).min()?;
    let last = spans().map(|span| span.end_time_unix_nano).max()?;
    let signed = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
    Some((signed(first), signed(last)))
}

fn select(context: &Context, trace_id: &[u8; 16], time: TimeRange) -> Result<Selection, UiError> {
    let fields: BTreeSet<String> = SPAN_ID_FIELDS.map(str::to_owned).into();
    let needs = Needs { lines: true, fields: Some(fields) };
    let wanted = Select {
        time,
        matchers: &[],
        conditions: &[],
        identifier: Some(trace_id),
        texts: &NO_TEXTS,
        order: Order::OldestFirst,
        needs: &needs,
    };
    let store = &context.services().logs()?.store;
    let selection = store.select(&context.call.tenant, &wanted);
    Ok(selection.map_err(ServiceError::from)?)
}

/// The first lines of a selection, and whether there are more.
fn find(
    selection: &Selection,
    control: &Control<'_>,
    memory: &Holding,
    limit: usize,
) -> Result<Found, UiError> {
    let (mut found, mut scratch) = (Found::default(), Scratch::default());
    for (index, piece) in selection.pieces().iter().enumerate() {
        let last = found.lines.last().filter(|_| found.lines.len() == limit);
        if last.is_some_and(|last| piece.time.min > last.time_ns) {
            found.has_more = true;
            break;
        }
        control.check().map_err(QueryError::from)?;
        let rows = selection.read(index, &mut scratch).map_err(ServiceError::from)?;
        let added = found.add(&rows);
        memory.take(Weight::bytes(added)).map_err(QueryError::from)?;
        found.scanned += piece.rows;
        found.lines.sort_by_key(|line| line.time_ns);
        found.has_more |= found.lines.len() > limit;
        found.lines.truncate(limit);
    }
    Ok(found)
}

impl Found {
    /// Adds the rows of a piece; answers what they take.
    fn add(&mut self, rows: &LogRows<'_>) -> usize {
        let before = self.bytes;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for (row, time_ns) in rows.times.iter().enumerate() {
            let id = |field: &LogField| field.column.get(row).map(text);
            let line = Line {
                time_ns: *time_ns,
                stream: rows.streams[row],
                text: text(rows.lines.get(row)),
                span_id: rows.fields.iter().find_map(id),
            };
            self.bytes += LINE_BYTES + line.text.len();
            self.lines.push(line);
        }
        self.bytes - before
    }
}

fn write_lines(out: &mut Vec<u8>, selection: &Selection, lines: &[Line]) {
    let mut places: BTreeMap<u32, usize> = BTreeMap::new();
    for line in lines {
        let next = places.len();
        places.entry(line.stream).or_insert(next);
    }
    let mut streams: Vec<(usize, u32)> =
        places.iter().map(|(stream, place)| (*place, *stream)).collect();
    streams.sort_unstable();
    out.extend_from_slice(b",\"streams\":");
    write::list(out, streams, |out, (_, stream)| write::labels(out, selection.labels(stream)));
    out.extend_from_slice(b",\"lines\":");
    write::list(out, lines, |out, line| {
        out.extend_from_slice(b"{\"time_ms\":");
        match u64::try_from(line.time_ns) {
            Ok(nanos) => millis(out, nanos),
            Err(_) => whole(out, line.time_ns / 1_000_000),
        }
        out.extend_from_slice(b",\"stream\":");
        whole(out, places[&line.stream]);
        if let Some(span_id) = &line.span_id {
            out.extend_from_slice(b",\"span_id\":");
            write::text(out, span_id);
        }
        out.extend_from_slice(b",\"line\":");
        write::text(out, &line.text);
        out.push(b'}');
    });
}
