//! `/api/admin/traces/delete`: traces are deleted for good. Tempo itself has no such endpoint.
//!
//! A delete takes effect before it is answered: no reader sees its spans any more. Merges then rewrite
//! the files that still hold them. A delete is listed until that is done, and can't be taken back. Spans
//! of such a trace that arrive later are stored.

use super::envelope::{Context, TempoError};
use super::routes::{TempoHandler, TempoRoute};
use crate::api::{run, run_query};
use crate::traces::json::hex;
use crate::traces::trace_id;
use crate::{Access, Body, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use trace_store::{KnownDelete, TraceDelete};

const fn route(
    methods: &'static [Method],
    handler: TempoHandler,
    about: &'static str,
) -> TempoRoute {
    let (path, access, body) =
        ("/api/admin/traces/delete", Access::Tenant(Scope::Admin), Body::Whole);
    let (needs_stores, refuse) = (true, reply::refuse);
    TempoRoute { methods, path, access, body, needs_stores, handler, refuse, about }
}

const CREATE: TempoHandler =
    |state, call| Box::pin(run(state, call, |context| said(create, context)));
const LIST: TempoHandler =
    |state, call| Box::pin(run_query(state, call, |context| said(list, context)));

pub(super) static ROUTES: &[TempoRoute] = &[
    route(
        &[Method::POST],
        CREATE,
        "Deletes the traces that `trace_id` names, once or several times",
    ),
    route(&[Method::GET], LIST, "Deletes of traces of which files still hold spans"),
];

type Endpoint = fn(&Context) -> Result<Value, TempoError>;

/// Answers in the server's own form.
fn said(endpoint: Endpoint, context: &Context) -> Result<Response, TempoError> {
    Ok(match endpoint(context) {
        Ok(value) => reply::json(StatusCode::OK, &value),
        Err(error) => reply::error(error.kind, &error.message),
    })
}

fn create(context: &Context) -> Result<Value, TempoError> {
    let named = context.parameters.all("trace_id").map(trace_id);
    let mut trace_ids = named.collect::<Result<Vec<_>, _>>()?;
    trace_ids.sort_unstable();
    trace_ids.dedup();
    if trace_ids.is_empty() {
        return Err(TempoError::bad("trace_id not set: send the ids of the traces in hexadecimal"));
    }
    let deleted: Vec<String> = trace_ids.iter().map(|id| hex(id)).collect();
    let (traces, runtime) = (context.traces()?, Handle::current());
    traces.store.delete(&context.call.tenant, &TraceDelete { trace_ids }, |cut| {
        runtime.block_on(traces.gateway.barrier(cut))
    })?;
    Ok(json!({ "status": "deleted", "trace_ids": deleted }))
}

fn list(context: &Context) -> Result<Value, TempoError> {
    let entry = |delete: &KnownDelete| {
        let ids: Vec<String> = delete.trace_ids.iter().map(|id| hex(id)).collect();
        json!({ "id": delete.id.to_string(), "created_ms": delete.created_ms, "trace_ids": ids })
    };
    let deletes = context.traces()?.store.deletes(&context.call.tenant)?;
    Ok(json!({ "deletes": deletes.iter().map(entry).collect::<Vec<_>>() }))
}
