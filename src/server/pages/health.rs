//! `/healthy`, `/ready` and `/version`.

use crate::app::{App, VERSION};
use crate::http::{Call, reply};
use crate::lifecycle::Phase;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ingest::ClockTrust;
use serde_json::{Value, json};
use std::sync::Arc;
use wal::Health;

/// 200 as long as the process answers: an orchestrator must not restart a server because its disk
/// is full. The body says what is wrong.
pub(crate) async fn healthy(app: Arc<App>, _: Call) -> Response {
    let wal = wal_health(&app);
    let damage = app.stores().and_then(|stores| stores.access.catalog.damage());
    let refused = app.stores().map_or(Vec::new(), |stores| stores.maintenance.refused());
    let missing = refused.iter().filter(|batches| !batches.missing.is_empty()).count();
    let refused: usize = refused.iter().map(|batches| batches.count).sum();
    let clock = clock(&app);
    let degraded = wal["state"] == "failed"
        || clock["state"] == "distrusted"
        || damage.is_some()
        || missing > 0
        || refused > 0;
    let status = if degraded { "degraded" } else { "healthy" };
    let body = json!({
        "status": status,
        "write_ahead_log": wal,
        "clock": clock,
        "catalog_damage": damage,
        "refused_batches": refused,
        "tenants_with_missing_rows": missing,
    });
    reply::json(StatusCode::OK, &body)
}

fn wal_health(app: &App) -> Value {
    let Some(stores) = app.stores() else {
        return json!({ "state": "opening" });
    };
    match stores.gateway.wal().health() {
        Health::Healthy => json!({ "state": "healthy" }),
        Health::Failed { since_ms, reason } => json!({
            "state": "failed",
            "since_ms": since_ms,
            "reason": &*reason,
            "meaning": "writes are refused with 503, reads work; the write-ahead log is tried again every second",
        }),
    }
}

fn clock(app: &App) -> Value {
    let Some(stores) = app.stores() else {
        return json!({ "state": "opening" });
    };
    match stores.maintenance.clock_trust() {
        ClockTrust::Trusted => json!({ "state": "trusted" }),
        ClockTrust::Distrusted { wall_ms, expected_ms, trusted_in } => json!({
            "state": "distrusted",
            "wall_ms": wall_ms,
            "expected_ms": expected_ms,
            "trusted_in_seconds": trusted_in.as_secs(),
            "meaning": "the wall clock is more than a day away from the time that is expected: \
                retention by age goes by the earlier one until the clock is back or has kept pace \
                for a day; set the machine's clock, or wait if it is right",
        }),
    }
}

/// 200 when requests are served, 503 with the progress before and after.
pub(crate) async fn ready(app: Arc<App>, _: Call) -> Response {
    let phase = app.lifecycle.phase();
    let (done, total) = app.lifecycle.progress();
    let (status, name) = match phase {
        Phase::Ready => (StatusCode::OK, "ready"),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let mut body = json!({ "status": name });
    if phase == Phase::Starting {
        body["replayed_bytes"] = done.into();
        body["log_bytes"] = total.into();
    }
    let mut response = reply::json(status, &body);
    if phase != Phase::Ready {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

pub(crate) async fn version(_: Arc<App>, _: Call) -> Response {
    reply::json(StatusCode::OK, &json!({ "name": "mirador", "version": VERSION }))
}
