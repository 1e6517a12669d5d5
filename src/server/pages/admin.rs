//! Flush, merge, tokens, users.

use crate::access::{AccessBook, TokenRequest, UserRequest};
use crate::app::App;
use crate::http::{Call, reply};
use crate::snapshots::{SnapshotError, Snapshots};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::CatalogError;
use model::ErrorKind;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// Writes the heads to parts and answers when that is done.
pub(crate) async fn flush(app: Arc<App>, _: Call) -> Response {
    let stores = Arc::clone(app.stores().expect("the route needs stores"));
    match stores.keeper.flush(&stores.gateway).await {
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
        stores.keeper.flush(&stores.gateway).await?;
        let dropped = stores.keeper.retain(stores.retention()).await?;
        let merged = stores.keeper.merge(&stores.gateway, stores.merge_request(true)).await?;
        Ok::<_, ingest::EngineError>((merged, dropped))
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
        Err(_) => reply::error(ErrorKind::Bug, "a mistake in this program; its log says more"),
    }
}

/// A disk that fails now may work later.
fn retryable(kind: ErrorKind) -> ErrorKind {
    if kind == ErrorKind::Limit { ErrorKind::Overloaded } else { kind }
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
        Err(_) => reply::error(ErrorKind::Bug, "a mistake in this program; its log says more"),
    }
}

fn parse<T: DeserializeOwned>(call: &Call) -> Result<T, Box<Response>> {
    serde_json::from_slice(&call.body)
        .map_err(|error| Box::new(reply::error(ErrorKind::Invalid, &format!("the body: {error}"))))
}

fn last_segment(call: &Call) -> String {
    let encoded = call.path.rsplit('/').next().unwrap_or("");
    // In a path a plus is a plus.
    protocols::percent_decode(&encoded.replace('+', "%2b"))
}
