//! `delete`: lines that a query selects are deleted for good.
//!
//! A delete takes effect before it is answered: no reader sees its lines any more. Merges then rewrite
//! the files that still hold them. A delete is listed until that is done, and can't be taken back.

use super::envelope::{Context, LokiError, json};
use super::routes::{LokiHandler, LokiRoute};
use crate::api::{json as write, run, run_query};
use crate::{Access, Body, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use log_store::KnownDelete;
use model::{ErrorKind, TimeRange, TimeUnit};
use query::RegexBudget;
use tokio::runtime::Handle;

const fn route(
    methods: &'static [Method],
    path: &'static str,
    handler: LokiHandler,
    about: &'static str,
) -> LokiRoute {
    let (access, body) = (Access::Tenant(Scope::Admin), Body::Whole);
    let (needs_stores, refuse) = (true, reply::refuse_plainly);
    LokiRoute { methods, path, access, body, needs_stores, handler, refuse, about }
}

const CREATE: LokiHandler = |state, call| Box::pin(run(state, call, create));
const LIST: LokiHandler = |state, call| Box::pin(run_query(state, call, list));
const CANCEL: LokiHandler = |state, call| Box::pin(run_query(state, call, cancel));

const CREATING: &[Method] = &[Method::POST, Method::PUT];
const LISTING: &[Method] = &[Method::GET];
const CANCELLING: &[Method] = &[Method::DELETE];

pub(super) static ROUTES: &[LokiRoute] = &[
    route(CREATING, "/loki/api/v1/delete", CREATE, "Delete the lines that a query selects"),
    route(LISTING, "/loki/api/v1/delete", LIST, "Deletes of which files still hold lines"),
    route(CANCELLING, "/loki/api/v1/delete", CANCEL, "Refused: a delete takes effect at once"),
    route(CREATING, "/loki/loki/api/v1/delete", CREATE, "The same under its prefix"),
    route(LISTING, "/loki/loki/api/v1/delete", LIST, "The same under its prefix"),
    route(CANCELLING, "/loki/loki/api/v1/delete", CANCEL, "The same under its prefix"),
];

fn create(context: &Context) -> Result<Response, LokiError> {
    let query = context.parameters.text("query");
    if query.is_empty() {
        return Err(LokiError::bad("query not set: send a query of lines such as {app=\"web\"}"));
    }
    let time = deleted_time(context)?;
    let delete = logql::delete_of(query, &mut RegexBudget::default())?;
    let (logs, runtime) = (context.logs()?, Handle::current());
    logs.store.delete(&context.call.tenant, &[(time, delete)], |cut| {
        runtime.block_on(logs.gateway.barrier(cut))
    })?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// From `start`, which must be there, to `end`, both included.
fn deleted_time(context: &Context) -> Result<TimeRange, LokiError> {
    let missing = || LokiError::bad("start time not set: send seconds, nanoseconds or RFC 3339");
    let start = context.time_ns("start")?.ok_or_else(missing)?;
    let now = context.now_ns();
    let end = context.time_ns("end")?.unwrap_or(now);
    if end > now {
        return Err(LokiError::bad("deletes in the future are not allowed: send an earlier end"));
    }
    if start > end {
        return Err(LokiError::bad("start time can't be greater than end time"));
    }
    Ok(TimeUnit::Nanos.between(start, end))
}

fn list(context: &Context) -> Result<Response, LokiError> {
    let deletes = context.logs()?.store.deletes(&context.call.tenant)?;
    let mut out = Vec::new();
    write::list(&mut out, &deletes, write_delete);
    Ok(json(out))
}

fn write_delete(out: &mut Vec<u8>, delete: &KnownDelete) {
    out.extend_from_slice(b"{\"request_id\":");
    write::text(out, &delete.id.to_string());
    for (name, time_ms) in [
        ("start_time", TimeUnit::Nanos.to_ms(delete.time.min)),
        ("end_time", TimeUnit::Nanos.to_ms(delete.time.max)),
        ("created_at", delete.created_ms),
    ] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        write::time(out, time_ms);
    }
    out.extend_from_slice(b",\"query\":");
    write::text(out, &delete.text);
    // One that was applied to all files is not listed any more.
    out.extend_from_slice(b",\"status\":\"received\"}");
}

fn cancel(context: &Context) -> Result<Response, LokiError> {
    let id = context.parameters.text("request_id");
    if id.is_empty() {
        return Err(LokiError::bad("request_id not set: the list of deletes names it"));
    }
    let deletes = context.logs()?.store.deletes(&context.call.tenant)?;
    match deletes.iter().any(|delete| delete.id.to_string() == id) {
        true => Err(LokiError::bad(
            "deletion of request which is already applied is not allowed: a delete takes effect at once, and \
             its lines can't be brought back",
        )),
        false => Err(LokiError {
            kind: ErrorKind::NotFound,
            message: format!(
                "could not find delete request with given id {id:?}: it may have been applied to all files"
            ),
        }),
    }
}
