//! `edges`: which operations of services call each other, how often, how long and how often in vain.

use super::envelope::{Context, Stats, UiError, column, millis, text_or_null, whole};
use crate::api::json as write;
use axum::response::Response;
use traceql::{CallFilter, Calls, CallsFound, Operation};

/// Edges of an answer, unless `limit` says so.
const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

pub(super) fn edges(context: &Context) -> Result<Response, UiError> {
    let (services, store) = (context.services(), &context.traces()?.store);
    let started = services.clock.now();
    let (start, end) = context.times()?;
    let request = context.trace_request((start, end - 1));
    let filter = CallFilter {
        service: context.parameters.text("service"),
        operation: context.parameters.text("op"),
        limit: context.number("limit", LIMIT, LIMIT_MAX)?,
    };
    let answer = context.trace_engine().calls(store, &*services.clock, &request, &filter)?;
    context.finish(written(&answer.value), &Stats::of(&answer), started)
}

fn written(found: &CallsFound) -> Vec<u8> {
    let mut out =
        format!("{{\"count\":{},\"more\":{}", found.list.len(), found.has_more).into_bytes();
    let mut names = |name: &str, operation: fn(&Calls) -> Option<&Operation>, is_service: bool| {
        column(&mut out, name, &found.list, |out, calls| match operation(calls) {
            Some((service, _)) if is_service => text_or_null(out, service.as_deref()),
            Some((_, name)) => write::text(out, name),
            None => text_or_null(out, None),
        });
    };
    names("caller_service", |calls| calls.caller.as_ref(), true);
    names("caller_op", |calls| calls.caller.as_ref(), false);
    names("service", |calls| Some(&calls.called), true);
    names("op", |calls| Some(&calls.called), false);
    column(&mut out, "calls", &found.list, |out, calls| whole(out, calls.calls));
    column(&mut out, "errors", &found.list, |out, calls| whole(out, calls.errors));
    column(&mut out, "total_ms", &found.list, |out, calls| millis(out, calls.total_ns));
    column(&mut out, "max_ms", &found.list, |out, calls| millis(out, calls.longest_ns));
    out
}
