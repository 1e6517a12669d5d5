//! `GET` and `POST /-/probe`.

use super::records::{self, Records, SCHEMA};
use crate::app::App;
use crate::http::{Call, reply};
use crate::probe::ProbeEngine;
use crate::stores::Stores;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use ingest::{BatchKind, EngineError, Intake};
use model::{ErrorKind, Signal, TenantId};
use std::sync::Arc;
use wal::Position;

const WARNING: HeaderName = HeaderName::from_static("x-mirador-warning");

/// Stores lines of `ID TEXT`; 204 when they are durable and readable.
pub(crate) async fn write(app: Arc<App>, call: Call) -> Response {
    let Some((stores, probe)) = switched_on(&app) else { return switched_off() };
    let records = match records::parse_lines(&call.body, app.clock.wall_ms()) {
        Ok(records) => records,
        Err(error) => return reply::error(ErrorKind::Invalid, &error.to_string()),
    };
    // Spawned: a client that goes away in the middle must not leave a batch logged but unapplied.
    let stored = tokio::spawn(async move {
        let (tenant, signal) = (&call.tenant, Signal::Probe);
        let kind = BatchKind { tenant, signal, schema: SCHEMA };
        stores.gateway.commit(kind, ProbeIntake { probe, tenant, records }).await
    });
    match stored.await {
        Ok(Ok(())) => reply::empty(StatusCode::NO_CONTENT),
        Ok(Err(error)) => reply::error(error.kind(), &error.to_string()),
        Err(_) => reply::error(ErrorKind::Bug, "a mistake in this program; its log says more"),
    }
}

struct ProbeIntake<'a> {
    probe: Arc<ProbeEngine>,
    tenant: &'a TenantId,
    records: Records,
}

impl Intake for ProbeIntake<'_> {
    type Done = ();

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        *payload = records::encode(self.records.iter().map(|(id, record)| (*id, record)));
        Ok(())
    }

    fn apply(self, position: Position) -> Result<(), EngineError> {
        Ok(self.probe.apply(self.tenant, self.records, position)?)
    }
}

/// All records, one a line, by rising id.
pub(crate) async fn read(app: Arc<App>, call: Call) -> Response {
    let Some((_, probe)) = switched_on(&app) else { return switched_off() };
    let found = tokio::task::spawn_blocking(move || probe.read(&call.tenant)).await;
    let (records, warnings) = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return refused(&error.into()),
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

fn switched_on(app: &App) -> Option<(Arc<Stores>, Arc<ProbeEngine>)> {
    let stores = app.stores()?;
    Some((Arc::clone(stores), Arc::clone(stores.probe.as_ref()?)))
}

fn switched_off() -> Response {
    reply::error(ErrorKind::NotFound, "the probe is off: set testing.probe = true")
}

fn refused(error: &EngineError) -> Response {
    reply::error(error.kind, &error.to_string())
}
