//! Flush, merge, tokens, users.

use crate::access::{AccessBook, TokenRequest, UserRequest};
use crate::app::App;
use crate::http::{Call, reply};
use crate::snapshots::{SnapshotError, Snapshots};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{CatalogError, Identity};
use engine::RefusedBatches;
use model::{ErrorKind, Signal};
use protocols::percent_decode_segment;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinError;

/// Writes the heads to parts and answers when that is done.
pub(crate) async fn flush(app: Arc<App>, _: Call) -> Response {
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    match stores.maintenance.flush(&stores.gateway).await {
        Ok(report) => {
            let millis = report.elapsed.as_millis() as u64;
            reply::json(StatusCode::OK, &json!({ "status": "flushed", "milliseconds": millis }))
        }
        Err(error) => reply::error(retryable(error.kind), &format!("flush failed: {error}")),
    }
}

/// Flushes, then merges each day into one part, applies deletes and retention, and answers when
/// that is done.
pub(crate) async fn merge(app: Arc<App>, _: Call) -> Response {
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    let work = async {
        stores.maintenance.flush(&stores.gateway).await?;
        let dropped = stores.retain().await?;
        let merged = stores.maintenance.merge(&stores.gateway, stores.merge_request(true)).await?;
        Ok::<_, engine::EngineError>((merged, dropped))
    };
    match work.await {
        Ok((merged, dropped)) => {
            let body =
                json!({ "status": "merged", "merged_parts": merged, "dropped_parts": dropped });
            reply::json(StatusCode::OK, &body)
        }
        Err(error) => reply::error(retryable(error.kind), &format!("merge failed: {error}")),
    }
}

pub(crate) async fn list_snapshots(app: Arc<App>, _: Call) -> Response {
    with_snapshots(app, |snapshots| Ok(json!({ "snapshots": snapshots.list()? }))).await
}

pub(crate) async fn remove_snapshot(app: Arc<App>, call: Call) -> Response {
    let name = last_segment(&call);
    with_snapshots(app, move |snapshots| {
        snapshots.remove(&name)?;
        Ok(json!({ "status": "removed" }))
    })
    .await
}

async fn with_snapshots(
    app: Arc<App>,
    work: impl FnOnce(&Snapshots) -> Result<Value, SnapshotError> + Send + 'static,
) -> Response {
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    match tokio::task::spawn_blocking(move || work(&stores.snapshots)).await {
        Ok(Ok(value)) => reply::json(StatusCode::OK, &value),
        Ok(Err(error)) => reply::error(error.kind(), &error.to_string()),
        Err(_) => {
            reply::error(ErrorKind::Bug, "a mistake in this program; the server's log says more")
        }
    }
}

/// Tells the caller to try again where a disk refuses: it may work later.
fn retryable(kind: ErrorKind) -> ErrorKind {
    if kind == ErrorKind::Limit { ErrorKind::Overloaded } else { kind }
}

/// Those of the tenants that the caller may act for.
pub(crate) async fn list_refused(app: Arc<App>, call: Call) -> Response {
    let stores = app.stores().expect("the route needs stores");
    let entry = |batches: RefusedBatches| {
        json!({
            "signal": batches.signal.as_str(),
            "tenant": batches.tenant.as_str(),
            "batches": batches.count,
            "position": batches.lowest.map(|position| position.to_string()),
            "missing": batches.missing,
        })
    };
    let mut refused = stores.maintenance.refused();
    refused.retain(|batches| call.principal.may_act_for(&batches.tenant));
    let refused: Vec<Value> = refused.into_iter().map(entry).collect();
    reply::json(StatusCode::OK, &json!({ "refused": refused }))
}

pub(crate) async fn forget_refused(app: Arc<App>, call: Call) -> Response {
    let signal = call.path.rsplit('/').nth(1).map(percent_decode_segment);
    let Some(signal) = signal.and_then(|name| Signal::from_name(&name)) else {
        let message = "write /api/admin/refused/SIGNAL/TENANT as GET /api/admin/refused lists them";
        return reply::error(ErrorKind::Invalid, message);
    };
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    let forget = move || stores.maintenance.forget_refused(signal, &call.tenant);
    match tokio::task::spawn_blocking(forget).await {
        Ok(Ok(0)) => reply::error(ErrorKind::NotFound, "nothing was refused there"),
        Ok(Ok(count)) => reply::json(StatusCode::OK, &json!({ "given_up": count })),
        Ok(Err(error)) => reply::error(error.kind, &error.to_string()),
        Err(_) => {
            reply::error(ErrorKind::Bug, "a mistake in this program; the server's log says more")
        }
    }
}

pub(crate) async fn acknowledge_damage(app: Arc<App>, _: Call) -> Response {
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    let acknowledge = move || stores.access.catalog.acknowledge_damage();
    answered(
        tokio::task::spawn_blocking(acknowledge)
            .await
            .map(|done| done.map(|()| json!({ "status": "acknowledged" }))),
    )
}

pub(crate) async fn list_tokens(app: Arc<App>, call: Call) -> Response {
    with_access(app, &call, |access, by| Ok(json!({ "tokens": access.list_tokens(by) }))).await
}

pub(crate) async fn create_token(app: Arc<App>, call: Call) -> Response {
    match parse::<TokenRequest>(&call) {
        Err(refusal) => *refusal,
        Ok(request) => {
            with_access(app, &call, |access, by| {
                let token = access.create_token(by, request)?;
                Ok(json!({ "token": token.secret(), "info": token.info }))
            })
            .await
        }
    }
}

pub(crate) async fn revoke_token(app: Arc<App>, call: Call) -> Response {
    let id = last_segment(&call);
    with_access(app, &call, move |access, by| {
        access.revoke_token(by, &id)?;
        Ok(json!({ "status": "revoked" }))
    })
    .await
}

pub(crate) async fn list_users(app: Arc<App>, call: Call) -> Response {
    with_access(app, &call, |access, by| Ok(json!({ "users": access.list_users(by) }))).await
}

pub(crate) async fn set_user(app: Arc<App>, call: Call) -> Response {
    let name = last_segment(&call);
    match parse::<UserRequest>(&call) {
        Err(refusal) => *refusal,
        Ok(request) => {
            let set = move |access: &AccessBook, by: &Identity| {
                Ok(json!({ "user": access.set_user(by, &name, request)? }))
            };
            with_access(app, &call, set).await
        }
    }
}

pub(crate) async fn remove_user(app: Arc<App>, call: Call) -> Response {
    let name = last_segment(&call);
    with_access(app, &call, move |access, by| {
        access.remove_user(by, &name)?;
        Ok(json!({ "status": "removed" }))
    })
    .await
}

/// Runs a change of tokens or users in the caller's name, where it may block.
async fn with_access(
    app: Arc<App>,
    call: &Call,
    work: impl FnOnce(&AccessBook, &Identity) -> Result<Value, CatalogError> + Send + 'static,
) -> Response {
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    let by = call.principal.grant().cloned().expect("the route asks for a caller with a grant");
    answered(tokio::task::spawn_blocking(move || work(&stores.access, &by)).await)
}

fn answered(outcome: Result<Result<Value, CatalogError>, JoinError>) -> Response {
    match outcome {
        Ok(Ok(value)) => reply::json(StatusCode::OK, &value),
        Ok(Err(error)) => reply::error(error.kind(), &error.to_string()),
        Err(_) => {
            reply::error(ErrorKind::Bug, "a mistake in this program; the server's log says more")
        }
    }
}

fn parse<T: DeserializeOwned>(call: &Call) -> Result<T, Box<Response>> {
    serde_json::from_slice(&call.body)
        .map_err(|error| Box::new(reply::error(ErrorKind::Invalid, &format!("the body: {error}"))))
}

fn last_segment(call: &Call) -> String {
    percent_decode_segment(call.path.rsplit('/').next().unwrap_or(""))
}
