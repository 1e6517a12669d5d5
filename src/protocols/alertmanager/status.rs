//! What this Alertmanager is, and the reload of its configuration.

use super::wanted::matchers;
use super::{Alertmanager, answered, failure, time_text};
use crate::api::parameters::Parameters;
use crate::services::ServiceError;
use crate::{Call, reply};
use alerting::config::Receiver;
use axum::http::StatusCode;
use axum::response::Response;
use model::{ErrorKind, Matcher};
use serde_json::{Value, json};
use std::sync::Arc;

/// The version of Alertmanager whose API this is.
const VERSION: &str = "0.34.0";

pub(super) async fn status(state: Arc<Alertmanager>, _: Call) -> Response {
    answered(shown(&state))
}

fn shown(state: &Alertmanager) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    let version = json!({
        "branch": "",
        "buildDate": "",
        "buildUser": "",
        "goVersion": "",
        "revision": format!("mirador-{}", state.services.version),
        "version": VERSION,
    });
    let status = json!({
        "cluster": { "peers": [], "status": "disabled" },
        "config": { "original": managers.config_text() },
        "uptime": time_text(state.services.started_ms),
        "versionInfo": version,
    });
    Ok(reply::json(StatusCode::OK, &status))
}

pub(super) async fn receivers(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(listed(&state, &call))
}

fn listed(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    let filter = matchers(&Parameters::of(call, managers.now_ms())?, "receiver_matchers")?;
    let loaded = managers.loaded();
    let fits = |receiver: &&Receiver| {
        let value = |name: &str| receiver.labels.get(name).map_or("", String::as_str);
        filter.iter().all(|matcher: &Matcher| matcher.matches(value(&matcher.name)))
    };
    let receivers = loaded.config.receivers.iter().filter(fits).map(|receiver| {
        let mut made = json!({ "name": receiver.name });
        if !receiver.labels.is_empty() {
            made["labels"] = json!(receiver.labels);
        }
        made
    });
    Ok(reply::json(StatusCode::OK, &receivers.collect::<Vec<Value>>().into()))
}

pub(super) async fn healthy(_: Arc<Alertmanager>, _: Call) -> Response {
    reply::text(StatusCode::OK, "OK")
}

pub(super) async fn version_1(_: Arc<Alertmanager>, _: Call) -> Response {
    let text = "The Alertmanager v1 API was deprecated in version 0.16.0 and removed as of version \
                0.27.0 - please use the equivalent route in the v2 API";
    let body = json!({ "status": "deprecated", "error": text });
    reply::json(StatusCode::GONE, &body)
}

pub(super) async fn reload(state: Arc<Alertmanager>, _: Call) -> Response {
    let alerting = match state.services.alerting() {
        Ok(alerting) => alerting.clone(),
        Err(error) => return super::failed(&error),
    };
    let reloaded = tokio::task::spawn_blocking(move || alerting.reload()).await;
    match reloaded {
        Ok(Ok(())) => reply::empty(StatusCode::OK),
        Ok(Err(why)) => {
            let message = format!("failed to reload config: {why}");
            failure(StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Invalid, &message)
        }
        Err(_) => super::failed(&ServiceError::mistake()),
    }
}
