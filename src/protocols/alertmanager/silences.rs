//! Silences.

use super::wanted::{flag, matchers};
use super::{Alertmanager, answered, bad_request, id_of, time_of, time_text};
use crate::api::parameters::Parameters;
use crate::services::ServiceError;
use crate::{Call, reply};
use alerting::engine::{Silence, SilenceState};
use axum::http::StatusCode;
use axum::response::Response;
use model::{ErrorKind, MatchOp, Matcher};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn list(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(listed(&state, &call))
}

/// Active ones that end soonest first, then pending ones, then those that ended last.
fn listed(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    let now_ms = managers.now_ms();
    let parameters = Parameters::of(call, now_ms)?;
    let filter = matchers(&parameters, "filter")?;
    let creators: Vec<&str> = parameters.all("creator").collect();
    let states = [
        (SilenceState::Active, flag(&parameters, "active")?),
        (SilenceState::Pending, flag(&parameters, "pending")?),
        (SilenceState::Expired, flag(&parameters, "expired")?),
    ];
    let mut silences = managers.silences(&call.tenant);
    silences.retain(|silence| {
        states.contains(&(silence.state(now_ms), true))
            && (creators.is_empty() || creators.contains(&silence.created_by.as_str()))
            && filter.iter().all(|wanted| fits(silence, wanted))
    });
    silences.sort_by_key(|silence| {
        let state = silence.state(now_ms);
        let by = match state {
            SilenceState::Active => silence.ends_at_ms,
            SilenceState::Pending => silence.starts_at_ms,
            SilenceState::Expired => -silence.ends_at_ms,
        };
        (state, by)
    });
    call.held.take(silences.len() * 1_024)?;
    let silences: Vec<Value> = silences.iter().map(|one| silence_json(one, now_ms)).collect();
    Ok(reply::json(StatusCode::OK, &silences.into()))
}

/// Whether a silence's own conditions, taken as labels, meet a condition.
fn fits(silence: &Silence, wanted: &Matcher) -> bool {
    let found = silence.matchers.iter().find(|matcher| matcher.name == wanted.name);
    let value = found.map_or("", |matcher| matcher.value.as_str());
    match (wanted.op.is_positive(), wanted.value.is_empty()) {
        // An empty value asks whether the silence names the label at all.
        (false, true) if found.is_some() => true,
        (true, true) if found.is_none() => true,
        _ => wanted.matches(value),
    }
}

fn silence_json(silence: &Silence, now_ms: i64) -> Value {
    let matcher = |matcher: &Matcher| {
        json!({
            "name": matcher.name,
            "value": matcher.value,
            "isRegex": matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
            "isEqual": matcher.op.is_positive(),
        })
    };
    let mut made = json!({
        "id": silence.id,
        "status": { "state": silence.state(now_ms).name() },
        "updatedAt": time_text(silence.updated_at_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "startsAt": time_text(silence.starts_at_ms),
        "endsAt": time_text(silence.ends_at_ms),
        "matchers": silence.matchers.iter().map(matcher).collect::<Vec<_>>(),
    });
    if !silence.annotations.is_empty() {
        made["annotations"] = json!(silence.annotations);
    }
    made
}

pub(super) async fn one(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(shown(&state, &call))
}

fn shown(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    let id = id_of(call);
    Ok(match managers.silence(&call.tenant, &id) {
        Some(silence) => reply::json(StatusCode::OK, &silence_json(&silence, managers.now_ms())),
        None => reply::empty(StatusCode::NOT_FOUND),
    })
}

pub(super) async fn end(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(ended(&state, &call).await)
}

async fn ended(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let ended = state.managers()?.end_silence(&call.tenant, &id_of(call)).await;
    match ended.map_err(ServiceError::from) {
        Ok(()) => Ok(reply::empty(StatusCode::OK)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(reply::empty(StatusCode::NOT_FOUND)),
        Err(error) => Err(error),
    }
}

pub(super) async fn set(state: Arc<Alertmanager>, call: Call) -> Response {
    answered(was_set(&state, &call).await)
}

async fn was_set(state: &Alertmanager, call: &Call) -> Result<Response, ServiceError> {
    let managers = state.managers()?;
    let silence = read(&call.body, managers.now_ms())?;
    let id = managers.set_silence(&call.tenant, silence).await?;
    Ok(reply::json(StatusCode::OK, &json!({ "silenceID": id })))
}

fn read(body: &[u8], now_ms: i64) -> Result<Silence, ServiceError> {
    let sent: Value = serde_json::from_slice(body)
        .map_err(|error| bad_request(format!("the body is not a silence: {error}")))?;
    let text = |name: &str| match sent.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(bad_request(format!("{name} must be a text"))),
    };
    let needed = |name: &str| match sent.get(name) {
        Some(value) if !value.is_null() => Ok(value),
        _ => Err(bad_request(format!("{name} in body is required"))),
    };
    let (_, _) = (needed("comment")?, needed("createdBy")?);
    let time = |name: &'static str| {
        let time = time_of(Some(needed(name)?), name)?;
        time.ok_or_else(|| bad_request(format!("{name} in body is required")))
    };
    let (starts_at_ms, ends_at_ms) = (time("startsAt")?, time("endsAt")?);
    if starts_at_ms >= ends_at_ms {
        let message = "Failed to create silence: start time must be before end time";
        return Err(bad_request(message));
    }
    if ends_at_ms < now_ms {
        let message = "Failed to create silence: end time can't be in the past";
        return Err(bad_request(message));
    }
    let matchers = needed("matchers")?.as_array();
    let matchers = matchers.ok_or_else(|| bad_request("matchers must be a list"))?;
    let annotations: BTreeMap<String, String> = match sent.get("annotations") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| bad_request("annotations must be an object of texts"))?,
    };
    Ok(Silence {
        id: text("id")?,
        matchers: matchers.iter().map(read_matcher).collect::<Result<_, _>>()?,
        starts_at_ms,
        ends_at_ms,
        updated_at_ms: now_ms,
        created_by: text("createdBy")?,
        comment: text("comment")?,
        annotations,
    })
}

fn read_matcher(sent: &Value) -> Result<Matcher, ServiceError> {
    let text = |name: &str| {
        let value = sent.get(name).and_then(Value::as_str);
        value.ok_or_else(|| bad_request(format!("{name} of a matcher in body is required")))
    };
    let flag = |name: &str| sent.get(name).and_then(Value::as_bool);
    let is_regex =
        flag("isRegex").ok_or_else(|| bad_request("isRegex of a matcher in body is required"))?;
    let op = match (is_regex, flag("isEqual").unwrap_or(true)) {
        (false, true) => MatchOp::Equal,
        (false, false) => MatchOp::NotEqual,
        (true, true) => MatchOp::Regex,
        (true, false) => MatchOp::NotRegex,
    };
    let name = text("name")?;
    if name.is_empty() {
        return Err(bad_request("invalid silence: a matcher has no name"));
    }
    Matcher::new(op, name, text("value")?)
        .map_err(|why| bad_request(format!("invalid silence: {why}")))
}
