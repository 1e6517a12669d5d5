//! `active`: the spans in flight of which senders have told, and how many run for how long; as events
//! (`Accept: text/event-stream`), every two seconds.
//!
//! `inferred`: spans that must be in flight because others below them have arrived. Those are a guess, and
//! listed apart.

mod inferred;

use super::Ui;
use super::envelope::{Context, Stats, UiError, column, millis, text_or_null, whole};
use crate::api::events::{self, Events};
use crate::api::{json as write, run_query};
use crate::traces::active::{ActiveSpan, SpanKey};
use crate::traces::json::hex;
use crate::{Call, reply};
use axum::http::StatusCode;
use axum::response::Response;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

/// Events are this far apart.
const EVERY: Duration = Duration::from_secs(2);

/// From this long on a span is slow, and very slow.
const SLOW_NS: u64 = 3_000_000_000;
const VERY_SLOW_NS: u64 = 8_000_000_000;

pub(super) async fn active(ui: Arc<Ui>, call: Call) -> Response {
    if events::are_asked_for(&call) {
        return events::send(ui, call, Events { name: "active", every: EVERY, write: body }).await;
    }
    let answer =
        |context: &Context| Ok(reply::of(StatusCode::OK, "application/json", body(context)?));
    run_query(ui, call, answer).await
}

fn body(context: &Context) -> Result<Vec<u8>, UiError> {
    let started = context.services().clock.now();
    let limit = context.number("limit", LIMIT, LIMIT_MAX)?;
    let wants_inferred = context.parameters.text("inferred") != "0";
    let now_ns = u64::try_from(context.services().clock.wall_ns()).unwrap_or_default();
    let service = context.parameters.text("service");
    let all = context.services().active.list(&context.call.tenant);
    let known: HashSet<SpanKey> = all.iter().map(|span| span.key).collect();
    let is_of_service = |span: &&ActiveSpan| service.is_empty() || *span.service == *service;
    let spans: Vec<&ActiveSpan> = all.iter().filter(is_of_service).collect();
    let mut stats = Stats::default();
    let mut out = b"{\"now_ms\":".to_vec();
    millis(&mut out, now_ns);
    write_counts(&mut out, &spans, &known, now_ns);
    write_spans(&mut out, &spans[..spans.len().min(limit)], &known, now_ns);
    if wants_inferred {
        let found = inferred::find(context, &known, service, now_ns, &mut stats)?;
        inferred::write_list(&mut out, &found[..found.len().min(limit)], now_ns);
    }
    context.write_stats(&mut out, &stats, started);
    out.extend_from_slice(b"}\n");
    Ok(out)
}

/// Whether no span in flight is above it: spans below another are steps of that.
fn is_top(span: &ActiveSpan, known: &HashSet<SpanKey>) -> bool {
    span.parent_id.is_none_or(|parent| !known.contains(&(span.key.0, parent)))
}

/// How many spans run for how long, those below others in flight left out.
fn write_counts(out: &mut Vec<u8>, spans: &[&ActiveSpan], known: &HashSet<SpanKey>, now_ns: u64) {
    let (mut normal, mut slow, mut very_slow) = (0u64, 0u64, 0u64);
    for span in spans.iter().filter(|span| is_top(span, known)) {
        match now_ns.saturating_sub(span.start_ns) {
            ..SLOW_NS => normal += 1,
            SLOW_NS..VERY_SLOW_NS => slow += 1,
            _ => very_slow += 1,
        }
    }
    let total = normal + slow + very_slow;
    let counts =
        format!(",\"total\":{total},\"normal\":{normal},\"slow\":{slow},\"very_slow\":{very_slow}");
    out.extend_from_slice(counts.as_bytes());
}

fn write_spans(out: &mut Vec<u8>, spans: &[&ActiveSpan], known: &HashSet<SpanKey>, now_ns: u64) {
    out.extend_from_slice(b",\"count\":");
    whole(out, spans.len());
    column(out, "trace_id", spans, |out, span| write::text(out, &hex(&span.key.0)));
    column(out, "span_id", spans, |out, span| write::text(out, &hex(&span.key.1)));
    column(out, "parent_id", spans, |out, span| {
        text_or_null(out, span.parent_id.map(|id| hex(&id)).as_deref());
    });
    column(out, "top", spans, |out, span| flag(out, is_top(span, known)));
    column(out, "service", spans, |out, span| write::text(out, &span.service));
    column(out, "name", spans, |out, span| write::text(out, &span.name));
    column(out, "detail", spans, |out, span| write::text(out, &span.detail));
    column(out, "kind", spans, |out, span| whole(out, span.kind));
    column(out, "start_ms", spans, |out, span| millis(out, span.start_ns));
    column(out, "elapsed_ms", spans, |out, span| {
        millis(out, now_ns.saturating_sub(span.start_ns));
    });
    column(out, "told_by", spans, |out, span| write::text(out, span.told_by.as_str()));
}

fn flag(out: &mut Vec<u8>, flag: bool) {
    out.extend_from_slice(if flag { b"true" } else { b"false" });
}
