//! `jaeger.storage.v2`: how Jaeger's own query service reads from this server, as from any storage. Most of
//! its messages are those of the query API.

use super::question::bad;
use super::rpc::{self, RpcContext, ids, traces};
use super::{JaegerRpc, answers, method};
use crate::grpc::push_frame;
use crate::services::ServiceError;
use crate::{Handler, Route};
use wire::proto::jaeger::storage::v2 as pb;

pub(super) static ROUTES: &[Route<Handler<JaegerRpc>>] = &[
    method(
        "/jaeger.storage.v2.TraceReader/GetServices",
        answers!(rpc::services),
        "Names of services",
    ),
    method(
        "/jaeger.storage.v2.TraceReader/GetOperations",
        answers!(rpc::operations),
        "Names of a service's spans with their kinds",
    ),
    method("/jaeger.storage.v2.TraceReader/GetTraces", answers!(by_ids), "Traces by their ids"),
    method(
        "/jaeger.storage.v2.TraceReader/FindTraces",
        answers!(search),
        "Traces that a search finds",
    ),
    method(
        "/jaeger.storage.v2.TraceReader/FindTraceIDs",
        answers!(search_ids),
        "Ids of the traces that a search finds",
    ),
    method(
        "/jaeger.storage.v2.TraceReader/FindTraceSummaries",
        answers!(summaries),
        "Traces that a search finds, in few words",
    ),
    method(
        "/jaeger.storage.v2.DependencyReader/GetDependencies",
        answers!(rpc::dependencies),
        "Calls between services",
    ),
    method(
        "/jaeger.storage.v2.Capabilities/GetCapabilities",
        answers!(rpc::capabilities),
        "What a search may ask",
    ),
];

type Ended = Result<(), ServiceError>;

fn by_ids(context: &RpcContext, of: &pb::GetTracesRequest, out: &mut Vec<u8>) -> Ended {
    let id = |of: &pb::GetTraceParams| {
        let wrong = || bad(format!("a trace id has 16 bytes, and not {}", of.trace_id.len()));
        of.trace_id.as_slice().try_into().map_err(|_| wrong())
    };
    let ids = of.query.iter().map(id).collect::<Result<Vec<[u8; 16]>, _>>()?;
    traces(context, &ids, out)
}

fn search(context: &RpcContext, of: &pb::FindTracesRequest, out: &mut Vec<u8>) -> Ended {
    traces(context, &ids(context, &of.try_into()?)?, out)
}

fn search_ids(context: &RpcContext, of: &pb::FindTracesRequest, out: &mut Vec<u8>) -> Ended {
    let found = ids(context, &of.try_into()?)?.into_iter();
    let trace_ids = found.map(|id| pb::FoundTraceId { trace_id: id.to_vec() }).collect();
    push_frame(out, &pb::FindTraceIDsResponse { trace_ids });
    Ok(())
}

fn summaries(context: &RpcContext, of: &pb::FindTracesRequest, out: &mut Vec<u8>) -> Ended {
    rpc::summaries_of(context, &of.try_into()?, |id| id.to_vec(), out)
}
