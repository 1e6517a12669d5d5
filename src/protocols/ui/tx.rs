//! `tx`: the transactions in a box of end and duration, as columns.

use super::envelope::{Context, Stats, UiError, column, millis, text_or_null, whole};
use crate::api::json as write;
use crate::traces::json::hex;
use axum::response::Response;
use traceql::{EntryBox, EntryList, EntryOrder};

const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

pub(super) fn transactions(context: &Context) -> Result<Response, UiError> {
    let (services, store) = (context.services(), &context.traces()?.store);
    let started = services.clock.now();
    let (start, end) = context.times()?;
    let wanted = wanted(context)?;
    let query = context.query()?;
    let filter = context.filter(query.as_ref());
    let request = context.trace_request((start, end - 1));
    let engine = context.trace_engine();
    let answer = engine.entry_list(store, &*services.clock, &request, &filter, &wanted)?;
    let out = written(&answer.value);
    context.finish(out, &Stats::of(&answer), started)
}

fn wanted(context: &Context) -> Result<EntryBox, UiError> {
    let least = context.duration_ns("min")?.unwrap_or(0);
    let most = context.duration_ns("max")?.unwrap_or(u64::MAX);
    if most <= least {
        return Err(UiError::bad("there is no duration between `min` and `max`: exchange them"));
    }
    let are_errors = match context.parameters.text("status") {
        "" => None,
        "error" => Some(true),
        "ok" => Some(false),
        other => {
            let message = format!("invalid status: {other:?} is neither `error` nor `ok`");
            return Err(UiError::bad(message));
        }
    };
    let order = match context.parameters.text("sort") {
        "" | "end" => EntryOrder::End,
        "duration" => EntryOrder::Duration,
        other => {
            let message = format!("invalid sort: {other:?} is neither `end` nor `duration`");
            return Err(UiError::bad(message));
        }
    };
    let limit = context.number("limit", LIMIT, LIMIT_MAX)?;
    Ok(EntryBox { durations: least..most, are_errors, order, limit })
}

/// The names of statuses, as OTLP numbers them.
const STATUSES: [&str; 3] = ["unset", "ok", "error"];

fn written(list: &EntryList) -> Vec<u8> {
    let entries = &list.entries;
    let mut out = format!("{{\"count\":{},\"more\":{}", entries.len(), list.has_more).into_bytes();
    column(&mut out, "trace_id", entries, |out, one| write::text(out, &hex(&one.trace_id)));
    column(&mut out, "span_id", entries, |out, one| write::text(out, &hex(&one.span_id)));
    column(&mut out, "end_ms", entries, |out, one| millis(out, one.end_ns));
    column(&mut out, "duration_ms", entries, |out, one| millis(out, one.duration_ns));
    column(&mut out, "service", entries, |out, one| text_or_null(out, one.service.as_deref()));
    column(&mut out, "name", entries, |out, one| write::text(out, &one.name));
    column(&mut out, "status", entries, |out, one| {
        text_or_null(out, STATUSES.get(usize::from(one.status)).copied());
    });
    column(&mut out, "http_status", entries, |out, one| match one.http_status {
        Some(status) => whole(out, status),
        None => out.extend_from_slice(b"null"),
    });
    out
}
