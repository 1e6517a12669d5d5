//! Services, the names of their spans, and which services call which.

use super::envelope::{Context, bad, data};
use crate::api::{self, Api, json as write};
use crate::percent_decode_segment;
use crate::services::ServiceError;
use crate::traces::json::Object;
use crate::traces::{SpanFilter, service_name};
use axum::response::Response;
use std::collections::BTreeSet;
use traceql::{Attribute, Intrinsic, Kind};

/// Microseconds and milliseconds in nanoseconds.
pub(super) const MICRO_NS: i64 = 1_000;
const MILLI_NS: i64 = 1_000_000;

/// The names of services, whichever version of the API is asked.
pub(in crate::jaeger) fn service_names<A: Api>(
    context: &api::Context<A>,
) -> Result<BTreeSet<String>, ServiceError> {
    context.trace_values(context.recent(), &service_name(), SpanFilter::default())
}

pub(super) fn services(context: &Context) -> Result<Response, ServiceError> {
    let names = service_names(context)?;
    data(|out| {
        write::texts(out, &names);
        Ok(names.len())
    })
}

/// The names of a service's spans, of one kind or of any.
fn span_names<A: Api>(
    context: &api::Context<A>,
    service: &str,
    kind: Option<Kind>,
) -> Result<BTreeSet<String>, ServiceError> {
    let mut filter = SpanFilter::default();
    filter.service(service);
    kind.into_iter().for_each(|kind| filter.kind(kind));
    context.trace_values(context.recent(), &Attribute::intrinsic(Intrinsic::Name), filter)
}

pub(super) fn operations_of_service(context: &Context) -> Result<Response, ServiceError> {
    let segment = context.call.path.rsplit('/').nth(1).unwrap_or("");
    let names = span_names(context, &percent_decode_segment(segment), None)?;
    data(|out| {
        write::texts(out, &names);
        Ok(names.len())
    })
}

/// The names of a service's spans, each with its kind: spans of one name may have several. `wanted`: the
/// kind that is asked for, or an empty text.
pub(in crate::jaeger) fn operation_names<A: Api>(
    context: &api::Context<A>,
    service: &str,
    wanted: &str,
) -> Result<Vec<(String, Kind)>, ServiceError> {
    let mut kinds = Kind::ALL.to_vec();
    if !wanted.is_empty() {
        kinds.retain(|kind| kind.as_str() == wanted.to_ascii_lowercase());
        if kinds.is_empty() {
            return Err(bad(format!(
                "unable to parse param 'spanKind': {wanted:?} is none of server, client, producer, \
                 consumer, internal, unspecified"
            )));
        }
    }
    let mut found = Vec::new();
    for kind in kinds {
        let names = span_names(context, service, Some(kind))?;
        found.extend(names.into_iter().map(|name| (name, kind)));
    }
    found.sort();
    Ok(found)
}

pub(super) fn operations(context: &Context) -> Result<Response, ServiceError> {
    let service = context.needed("service")?;
    let found = operation_names(context, service, context.parameters.text("spanKind"))?;
    data(|out| {
        write::list(out, &found, |out, (name, kind)| {
            let mut object = Object::new(out);
            write::text(object.key("name"), name);
            // Jaeger knows spans without a kind by an empty one.
            let kind = if *kind == Kind::Unspecified { "" } else { kind.as_str() };
            write::text(object.key("spanKind"), kind);
            object.end();
        });
        Ok(found.len())
    })
}

/// The calls of the time `lookback` (a day, in milliseconds) before `endTs`.
pub(super) fn dependencies(context: &Context) -> Result<Response, ServiceError> {
    const DAY_MS: i64 = 86_400_000;
    let end = match context.number("endTs")? {
        Some(millis) => millis.saturating_mul(MILLI_NS),
        None => context.newest_ns(),
    };
    let lookback = context.number("lookback")?.unwrap_or(DAY_MS).saturating_mul(MILLI_NS);
    let found = context.dependencies((end.saturating_sub(lookback), end))?;
    data(|out| {
        write::list(out, &found, |out, ((parent, child), calls)| {
            let mut object = Object::new(out);
            write::text(object.key("parent"), parent);
            write::text(object.key("child"), child);
            let count = calls.calls.to_string();
            object.key("callCount").extend_from_slice(count.as_bytes());
            object.end();
        });
        Ok(found.len())
    })
}
