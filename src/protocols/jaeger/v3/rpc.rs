//! `jaeger.api_v3.QueryService`: the API over gRPC.

use super::find::{self, Summary, shown};
use super::question::{TraceQuestion, bad, nanos, nanos_of};
use super::{JaegerRpc, answers, method};
use crate::api::Context;
use crate::grpc::{push_frame, push_items};
use crate::jaeger::query::names::service_names;
use crate::services::ServiceError;
use crate::traces::json::hex;
use crate::traces::trace_id;
use crate::{Handler, Route};
use model::ErrorKind;
use wire::proto::jaeger::api_v3 as pb;

pub(super) static ROUTES: &[Route<Handler<JaegerRpc>>] = &[
    method("/jaeger.api_v3.QueryService/GetServices", answers!(services), "Names of services"),
    method(
        "/jaeger.api_v3.QueryService/GetOperations",
        answers!(operations),
        "Names of a service's spans with their kinds",
    ),
    method("/jaeger.api_v3.QueryService/GetTrace", answers!(by_id), "A trace by its id"),
    method(
        "/jaeger.api_v3.QueryService/FindTraces",
        answers!(search),
        "Traces that a search finds",
    ),
    method(
        "/jaeger.api_v3.QueryService/FindTraceSummaries",
        answers!(summaries),
        "Traces that a search finds, in few words",
    ),
    method(
        "/jaeger.api_v3.QueryService/GetDependencies",
        answers!(dependencies),
        "Calls between services",
    ),
    method(
        "/jaeger.api_v3.Capabilities/GetCapabilities",
        answers!(capabilities),
        "What a search may ask",
    ),
];

type Ended = Result<(), ServiceError>;
pub(super) type RpcContext = Context<JaegerRpc>;

pub(super) fn services(
    context: &RpcContext,
    _: &pb::GetServicesRequest,
    out: &mut Vec<u8>,
) -> Ended {
    let services = service_names(context)?.into_iter().collect();
    push_frame(out, &pb::GetServicesResponse { services });
    Ok(())
}

pub(super) fn operations(
    context: &RpcContext,
    of: &pb::GetOperationsRequest,
    out: &mut Vec<u8>,
) -> Ended {
    let found = find::operations(context, &of.service, &of.span_kind)?;
    let operation =
        |(name, kind): (String, &str)| pb::Operation { name, span_kind: kind.to_owned() };
    let operations = found.into_iter().map(operation).collect();
    push_frame(out, &pb::GetOperationsResponse { operations });
    Ok(())
}

/// Adds the traces that are there, each in messages of its own.
pub(super) fn traces(context: &RpcContext, ids: &[[u8; 16]], out: &mut Vec<u8>) -> Ended {
    context.each_trace(ids, |trace| {
        find::messages(trace, |message| {
            let before = out.len();
            push_frame(out, &message);
            Ok(context.call.held.take(out.len() - before)?)
        })
    })
}

fn by_id(context: &RpcContext, of: &pb::GetTraceRequest, out: &mut Vec<u8>) -> Ended {
    traces(context, &[trace_id(&of.trace_id)?], out)?;
    match out.is_empty() {
        true => Err(ServiceError::new(ErrorKind::NotFound, "trace not found")),
        false => Ok(()),
    }
}

/// The ids of the traces that a search finds.
pub(super) fn ids(
    context: &RpcContext,
    question: &TraceQuestion,
) -> Result<Vec<[u8; 16]>, ServiceError> {
    Ok(find::traces(context, question)?.iter().map(|trace| trace.trace_id).collect())
}

fn search(context: &RpcContext, of: &pb::FindTracesRequest, out: &mut Vec<u8>) -> Ended {
    traces(context, &ids(context, &of.try_into()?)?, out)
}

/// A count of messages, whose numbers are shorter than ours.
fn count(number: u64) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn summary(of: &Summary, trace_id: Vec<u8>) -> pb::TraceSummary {
    let services = of.found.services.iter().map(|(service, spans)| pb::ServiceSummary {
        name: shown(service).to_owned(),
        span_count: count(spans.spans),
        error_span_count: count(spans.errors),
    });
    pb::TraceSummary {
        trace_id,
        root_service_name: of.root_service().to_owned(),
        root_operation_name: of.root_name().to_owned(),
        min_start_time_unix_nano: of.found.start_ns,
        max_end_time_unix_nano: of.end_ns(),
        span_count: count(of.spans),
        error_span_count: count(of.errors),
        orphan_span_count: count(of.orphans),
        services: services.collect(),
    }
}

/// Adds the summaries of the traces that a search finds, with their ids as `id` writes them.
pub(super) fn summaries_of(
    context: &RpcContext,
    question: &TraceQuestion,
    id: impl Fn(&[u8; 16]) -> Vec<u8>,
    out: &mut Vec<u8>,
) -> Ended {
    let found = find::summaries(context, question)?;
    let summaries = found.iter().map(|found| summary(found, id(&found.found.trace_id)));
    push_items(out, summaries, |summaries, _| pb::FindTraceSummariesResponse { summaries });
    Ok(())
}

fn summaries(context: &RpcContext, of: &pb::FindTracesRequest, out: &mut Vec<u8>) -> Ended {
    summaries_of(context, &of.try_into()?, |id| hex(id).into_bytes(), out)
}

/// Both times of a request about calls between services, which must be there.
fn both(start: Option<i64>, end: Option<i64>) -> Result<(i64, i64), ServiceError> {
    start.zip(end).ok_or_else(|| bad("start_time and end_time are required"))
}

pub(super) fn dependencies(
    context: &RpcContext,
    of: &pb::GetDependenciesRequest,
    out: &mut Vec<u8>,
) -> Ended {
    let found = context.dependencies(both(nanos_of!(of.start_time), nanos_of!(of.end_time))?)?;
    let dependencies = found.into_iter().map(|((parent, child), calls)| pb::Dependency {
        parent,
        child,
        call_count: calls.calls,
    });
    push_frame(out, &pb::DependenciesResponse { dependencies: dependencies.collect() });
    Ok(())
}

pub(super) fn capabilities(
    _: &RpcContext,
    _: &pb::GetCapabilitiesRequest,
    out: &mut Vec<u8>,
) -> Ended {
    let search =
        Some(pb::SearchCapabilities { without_service_name: true, same_span_conjunction: true });
    push_frame(out, &pb::GetCapabilitiesResponse { search });
    Ok(())
}
