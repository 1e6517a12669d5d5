//! Alerts: those that are sent, those that there are, and their groups.

use super::wanted::wanted;
use super::{Alertmanager, answered, bad_request, time_of, time_text};
use crate::api::parameters::Parameters;
use crate::services::ServiceError;
use crate::{Call, reply};
use alerting::engine::{AlertView, GroupView, ToldAlert};
use axum::http::StatusCode;
use axum::response::Response;
use model::{Alert, LABEL_LENGTH_MAX, Labels, LabelsBuilder};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What is made of a byte of JSON, roughly.
const PARSED_GROWTH: usize = 6;
/// What an alert takes in an answer, roughly.
const SHOWN_BYTES: usize = 2_048;

pub(super) async fn list(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(listed(&state, &call))
}

fn listed(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    let wanted = wanted(&Parameters::of(call, managers.now_ms())?)?;
    let views = managers.alerts(&call.tenant, &wanted);
    call.held.take(views.len() * SHOWN_BYTES)?;
    let alerts: Vec<Value> = views.iter().map(alert_json).collect();
    Ok(reply::json(StatusCode::OK, &alerts.into()))
}

pub(super) async fn groups(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(grouped(&state, &call))
}

fn grouped(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    let wanted = wanted(&Parameters::of(call, managers.now_ms())?)?;
    let groups = managers.groups(&call.tenant, &wanted);
    let alerts: usize = groups.iter().map(|group| group.alerts.len()).sum();
    call.held.take(alerts * SHOWN_BYTES)?;
    let groups: Vec<Value> = groups.iter().map(group_json).collect();
    Ok(reply::json(StatusCode::OK, &groups.into()))
}

fn group_json(group: &GroupView) -> Value {
    json!({
        "labels": labels_json(&group.labels),
        "receiver": { "name": group.receiver },
        "alerts": group.alerts.iter().map(alert_json).collect::<Vec<_>>(),
    })
}

fn alert_json(view: &AlertView) -> Value {
    let alert = &view.alert.alert;
    let receivers: Vec<Value> = view.receivers.iter().map(|name| json!({ "name": name })).collect();
    let mut made = json!({
        "annotations": labels_json(&alert.annotations),
        "endsAt": time_text(alert.ends_at_ms),
        "fingerprint": view.alert.fingerprint.to_string(),
        "labels": labels_json(&alert.labels),
        "receivers": receivers,
        "startsAt": time_text(alert.starts_at_ms),
        "status": {
            "inhibitedBy": view.inhibited_by,
            "mutedBy": view.muted_by,
            "silencedBy": view.silenced_by,
            "state": view.state().name(),
        },
        "updatedAt": time_text(view.alert.updated_at_ms),
    });
    if !alert.generator_url.is_empty() {
        made["generatorURL"] = alert.generator_url.clone().into();
    }
    made
}

fn labels_json(labels: &Labels) -> Value {
    let pairs = labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
    pairs.collect::<Map<String, Value>>().into()
}

pub(super) async fn take(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(taken(&state, &call))
}

/// Alerts that are right are taken; if some were wrong the answer says so.
fn taken(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    call.held.take(call.body.len().saturating_mul(PARSED_GROWTH))?;
    let sent: Vec<Value> = serde_json::from_slice(&call.body)
        .map_err(|error| bad_request(format!("the body is not a list of alerts: {error}")))?;
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    for (index, one) in sent.iter().enumerate() {
        match read(one) {
            Ok(alert) => told.push(alert),
            Err(error) => wrong.push(format!("alert {index}: {}", error.message)),
        }
    }
    managers.tell(&call.tenant, told)?;
    /// Of many mistakes the first ones say enough.
    const SHOWN: usize = 10;
    wrong.truncate(SHOWN);
    match wrong.is_empty() {
        true => Ok(reply::empty(StatusCode::OK)),
        false => Err(bad_request(wrong.join("; "))),
    }
}

fn read(sent: &Value) -> Result<ToldAlert, ServiceError> {
    let labels = read_labels(sent.get("labels"), "label")?;
    if labels.is_empty() {
        return Err(bad_request("at least one label pair required"));
    }
    let starts = time_of(sent.get("startsAt"), "startsAt")?;
    let ends = time_of(sent.get("endsAt"), "endsAt")?;
    if let (Some(starts), Some(ends)) = (starts, ends)
        && ends < starts
    {
        return Err(bad_request("start time must be before end time"));
    }
    let alert = Alert {
        labels,
        annotations: read_labels(sent.get("annotations"), "annotation")?,
        starts_at_ms: starts.unwrap_or(0),
        ends_at_ms: ends.unwrap_or(0),
        generator_url: sent
            .get("generatorURL")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    };
    Ok(ToldAlert { alert, has_start: starts.is_some(), has_end: ends.is_some() })
}

fn read_labels(value: Option<&Value>, what: &str) -> Result<Labels, ServiceError> {
    let pairs = match value {
        None | Some(Value::Null) => return Ok(Labels::empty()),
        Some(Value::Object(pairs)) => pairs,
        Some(_) => return Err(bad_request(format!("{what}s must be an object of texts"))),
    };
    let mut builder = LabelsBuilder::new();
    for (name, value) in pairs {
        let Value::String(value) = value else {
            return Err(bad_request(format!("the {what} {name:?} is not a text")));
        };
        if name.is_empty() {
            return Err(bad_request(format!("a {what} has no name")));
        }
        if name.len().max(value.len()) > LABEL_LENGTH_MAX {
            return Err(bad_request(format!("a {what} is longer than {LABEL_LENGTH_MAX} bytes")));
        }
        builder.set(name, value);
    }
    Ok(builder.build())
}
