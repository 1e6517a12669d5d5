//! `GET` and `POST /-/probe`.

use super::engine::{ProbeBatch, ProbeStore, read_all};
use super::records;
use crate::app::App;
use crate::http::{Call, reply};
use crate::stores::Stores;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use model::ErrorKind;
use std::sync::Arc;

const WARNING: HeaderName = HeaderName::from_static("x-mirador-warning");

/// Stores lines of `ID TEXT`; 204 when they are durable and readable.
pub(crate) async fn write(app: Arc<App>, call: Call) -> Response {
    let Some((stores, store)) = switched_on(&app) else { return switched_off() };
    let records = match records::parse_lines(&call.body, app.clock.wall_ms()) {
        Ok(records) => records,
        Err(error) => return reply::error(ErrorKind::Invalid, &error.to_string()),
    };
    let tenant = call.tenant;
    match stores.gateway.commit(ProbeBatch { store, tenant, records }).await {
        Ok(()) => reply::empty(StatusCode::NO_CONTENT),
        Err(error) => reply::error(error.kind(), &error.to_string()),
    }
}

/// All records, one a line, by rising id.
pub(crate) async fn read(app: Arc<App>, call: Call) -> Response {
    let Some((_, store)) = switched_on(&app) else { return switched_off() };
    let found = tokio::task::spawn_blocking(move || read_all(&store, &call.tenant)).await;
    let (records, warnings) = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return reply::error(error.kind, &error.to_string()),
        Err(_) => return reply::error(ErrorKind::Bug, "a mistake in this program"),
    };
    let mut body = Vec::new();
    for (id, record) in records {
        body.extend_from_slice(format!("{id} ").as_bytes());
        body.extend_from_slice(&record.text);
        body.push(b'\n');
    }
    let mut response = reply::of(StatusCode::OK, "text/plain; charset=utf-8", body);
    for warning in warnings {
        if let Ok(value) = HeaderValue::from_str(&warning) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

fn switched_on(app: &App) -> Option<(Arc<Stores>, Arc<ProbeStore>)> {
    let stores = app.stores()?;
    Some((Arc::clone(stores), Arc::clone(stores.probe.as_ref()?)))
}

fn switched_off() -> Response {
    reply::error(ErrorKind::NotFound, "the probe is off: set testing.probe = true")
}
