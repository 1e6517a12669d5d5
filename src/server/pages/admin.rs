//! Flush, merge, tokens, users.

use crate::access::{AccessBook, TokenRequest, UserRequest};
use crate::app::App;
use crate::http::{Call, reply};
use crate::snapshots::{SnapshotError, Snapshots};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::CatalogError;
use engine::RefusedBatches;
use model::{ErrorKind, Signal, TenantId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

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

pub(crate) async fn list_refused(app: Arc<App>, _: Call) -> Response {
    let stores = app.stores().expect("the route needs stores");
    let entry = |batches: RefusedBatches| {
        json!({
            "signal": batches.signal.as_str(),
            "tenant": batches.tenant.as_str(),
            "batches": batches.count,
            "position": batches.lowest.to_string(),
        })
    };
    let refused: Vec<Value> = stores.maintenance.refused().into_iter().map(entry).collect();
    reply::json(StatusCode::OK, &json!({ "refused": refused }))
}

pub(crate) async fn forget_refused(app: Arc<App>, call: Call) -> Response {
    let mut segments = call.path.rsplit('/').map(segment);
    let (tenant, signal) = (segments.next(), segments.next());
    let signal = signal.and_then(|name| Signal::from_name(&name));
    let tenant = tenant.and_then(|name| TenantId::new(&name).ok());
    let (Some(signal), Some(tenant)) = (signal, tenant) else {
        let message = "write /api/admin/refused/SIGNAL/TENANT as GET /api/admin/refused lists them";
        return reply::error(ErrorKind::Invalid, message);
    };
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    let forget = move || stores.maintenance.forget_refused(signal, &tenant);
    match tokio::task::spawn_blocking(forget).await {
        Ok(Ok(0)) => reply::error(ErrorKind::NotFound, "nothing was refused there"),
        Ok(Ok(count)) => reply::json(StatusCode::OK, &json!({ "given_up": count })),
        Ok(Err(error)) => reply::error(error.kind, &error.to_string()),
        Err(_) => {
            reply::error(ErrorKind::Bug, "a mistake in this program; the server's log says more")
        }
    }
}

pub(crate) async fn list_tokens(app: Arc<App>, _: Call) -> Response {
    with_access(app, |access| Ok(json!({ "tokens": access.list_tokens() }))).await
}

pub(crate) async fn create_token(app: Arc<App>, call: Call) -> Response {
    match parse::<TokenRequest>(&call) {
        Err(refusal) => *refusal,
        Ok(request) => {
            with_access(app, |access| {
                let token = access.create_token(request)?;
                Ok(json!({ "token": token.secret(), "info": token.info }))
            })
            .await
        }
    }
}

pub(crate) async fn revoke_token(app: Arc<App>, call: Call) -> Response {
    let id = last_segment(&call);
    with_access(app, move |access| {
        access.tokens.revoke(&id)?;
        Ok(json!({ "status": "revoked" }))
    })
    .await
}

pub(crate) async fn list_users(app: Arc<App>, _: Call) -> Response {
    with_access(app, |access| Ok(json!({ "users": access.users.list() }))).await
}

pub(crate) async fn set_user(app: Arc<App>, call: Call) -> Response {
    let name = last_segment(&call);
    match parse::<UserRequest>(&call) {
        Err(refusal) => *refusal,
        Ok(request) => {
            with_access(app, move |access| Ok(json!({ "user": access.set_user(&name, &request)? })))
                .await
        }
    }
}

pub(crate) async fn remove_user(app: Arc<App>, call: Call) -> Response {
    let name = last_segment(&call);
    with_access(app, move |access| {
        access.users.remove(&name)?;
        Ok(json!({ "status": "removed" }))
    })
    .await
}

/// Runs a change of tokens or users where it may block.
async fn with_access(
    app: Arc<App>,
    work: impl FnOnce(&AccessBook) -> Result<Value, CatalogError> + Send + 'static,
) -> Response {
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    match tokio::task::spawn_blocking(move || work(&stores.access)).await {
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
    segment(call.path.rsplit('/').next().unwrap_or(""))
}

/// Decodes a segment of a path, in which a plus is not a space.
fn segment(encoded: &str) -> String {
    protocols::percent_decode(&encoded.replace('+', "%2b"))
}
