//! What questions find: traces, their summaries, operations.

use super::question::TraceQuestion;
use crate::api::{Api, Context};
use crate::jaeger::query::names::operation_names;
use crate::services::ServiceError;
use crate::traces::document::UNKNOWN_SERVICE;
use std::collections::BTreeSet;
use traceql::{Kind, QueryError, TraceFound};
use wire::proto::opentelemetry::proto::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};

/// The newest traces with a span that is asked for.
pub(super) fn traces<A: Api>(
    context: &Context<A>,
    question: &TraceQuestion,
) -> Result<Vec<TraceFound>, ServiceError> {
    context.find_traces(question.times(context)?, question.filter()?, question.limit())
}

/// A trace in few words.
pub(super) struct Summary {
    pub(super) found: TraceFound,
    /// Spans, and how many of them failed, or miss their parent.
    pub(super) spans: u64,
    pub(super) errors: u64,
    pub(super) orphans: u64,
}

impl Summary {
    pub(super) fn root_service(&self) -> &str {
        self.found.root_service.as_deref().unwrap_or("")
    }

    pub(super) fn root_name(&self) -> &str {
        self.found.root_name.as_deref().unwrap_or("")
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.found.start_ns.saturating_add(self.found.duration_ns)
    }
}

pub(super) fn summaries<A: Api>(
    context: &Context<A>,
    question: &TraceQuestion,
) -> Result<Vec<Summary>, ServiceError> {
    let control = context.trace_control();
    let summary = |found: TraceFound| {
        control.check().map_err(QueryError::from)?;
        let orphans = context.orphans(found.trace_id)?;
        let count = |of: fn(&traceql::ServiceSpans) -> u64| found.services.values().map(of).sum();
        let (spans, errors) = (count(|service| service.spans), count(|service| service.errors));
        Ok(Summary { found, spans, errors, orphans })
    };
    traces(context, question)?.into_iter().map(summary).collect()
}

/// The name of a service as answers tell it.
pub(super) fn shown(service: &str) -> &str {
    if service.is_empty() { UNKNOWN_SERVICE } else { service }
}

/// Names with kinds. Jaeger takes spans without a kind for internal ones.
pub(super) fn operations<A: Api>(
    context: &Context<A>,
    service: &str,
    kind: &str,
) -> Result<BTreeSet<(String, &'static str)>, ServiceError> {
    let found = operation_names(context, service, kind)?.into_iter();
    Ok(found
        .map(|(name, kind)| match kind {
            Kind::Unspecified => (name, Kind::Internal.as_str()),
            kind => (name, kind.as_str()),
        })
        .collect())
}

/// As much of a trace as a message holds.
const MESSAGE_SIZE: usize = 1 << 20;

/// A trace in as many messages as it needs, in the order of its spans.
pub(super) fn messages(
    trace: Vec<ResourceSpans>,
    mut each: impl FnMut(TracesData) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let (mut message, mut size) = (TracesData::default(), 0);
    for ResourceSpans { resource, scope_spans } in trace {
        let of_resource = || ResourceSpans { resource: resource.clone(), scope_spans: Vec::new() };
        message.resource_spans.push(of_resource());
        for ScopeSpans { scope, spans } in scope_spans {
            let of_scope = || ScopeSpans { scope: scope.clone(), spans: Vec::new() };
            push_scope(&mut message, of_scope());
            for span in spans {
                let length = prost::Message::encoded_len(&span);
                if size > 0 && size + length > MESSAGE_SIZE {
                    each(std::mem::take(&mut message))?;
                    size = 0;
                    message.resource_spans.push(of_resource());
                    push_scope(&mut message, of_scope());
                }
                size += length;
                push_span(&mut message, span);
            }
        }
    }
    if size > 0 { each(message) } else { Ok(()) }
}

/// Begins a scope of the resource that was begun last.
fn push_scope(message: &mut TracesData, scope: ScopeSpans) {
    if let Some(resource) = message.resource_spans.last_mut() {
        resource.scope_spans.push(scope);
    }
}

/// Adds a span to the scope that was begun last.
fn push_span(message: &mut TracesData, span: Span) {
    let resource = message.resource_spans.last_mut();
    if let Some(scope) = resource.and_then(|resource| resource.scope_spans.last_mut()) {
        scope.spans.push(span);
    }
}
