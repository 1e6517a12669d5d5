//! Alertmanager's API, version 2: alerts, groups, silences, receivers, status; under `/alertmanager` and
//! at the root.
//!
//! Lives here: the routes, what is common to answers. `alerts`, `silences`, `status`: the parts of the
//! API. `wanted`: the filters of a request.
//! Not here: what becomes of alerts (alerting).
//! Invariants: `/alertmanager/alertmanager/…` is not served, by which Grafana tells this server from
//! Mimir; version 1 answers 410.

mod alerts;
mod silences;
mod status;
#[cfg(test)]
mod tests;
mod wanted;

use crate::route::bind;
use crate::services::ServiceError;
use crate::{Access, Body, Call, Handler, Native, Protocol, Route, Services, handler, reply};
use alerting::engine::SilenceError;
use alerting::service::{AlertingError, Alertmanagers};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use model::ErrorKind;
use serde_json::Value;
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
struct Alertmanager {
    services: Arc<Services>,
}

impl Alertmanager {
    fn managers(&self) -> Result<&Alertmanagers, ServiceError> {
        Ok(&self.services.alerting()?.managers)
    }
}

pub(crate) fn protocol(services: &Arc<Services>) -> Protocol {
    let state = Arc::new(Alertmanager { services: Arc::clone(services) });
    let native = Native { http: vec![(9_093, "/alertmanager")], ..Native::default() };
    Protocol { routes: bind(&state, ROUTES), native, ..Protocol::new("alertmanager") }
}

const fn get(
    path: &'static str,
    handler: Handler<Alertmanager>,
    about: &'static str,
) -> Route<Handler<Alertmanager>> {
    Route {
        methods: &[Method::GET],
        path,
        access: Access::Tenant(Scope::Read),
        body: Body::None,
        needs_stores: true,
        handler,
        refuse,
        about,
    }
}

const fn post(
    path: &'static str,
    scope: Scope,
    handler: Handler<Alertmanager>,
    about: &'static str,
) -> Route<Handler<Alertmanager>> {
    Route {
        methods: &[Method::POST],
        access: Access::Tenant(scope),
        body: Body::Whole,
        ..get(path, handler, about)
    }
}

const fn delete(
    path: &'static str,
    handler: Handler<Alertmanager>,
    about: &'static str,
) -> Route<Handler<Alertmanager>> {
    let (methods, access) = (&[Method::DELETE], Access::Tenant(Scope::Rules));
    Route { methods, access, ..get(path, handler, about) }
}

const fn gone(path: &'static str) -> Route<Handler<Alertmanager>> {
    Route {
        methods: &[Method::GET, Method::POST, Method::DELETE],
        access: Access::Public,
        needs_stores: false,
        ..get(path, handler!(status::version_1), "Alertmanager's first API, which is no more: 410")
    }
}

const AT_ROOT: &str = "The same at the root";

static ROUTES: &[Route<Handler<Alertmanager>>] = &[
    get(
        "/alertmanager/api/v2/status",
        handler!(status::status),
        "Alertmanager's configuration and state",
    ),
    get("/api/v2/status", handler!(status::status), AT_ROOT),
    get("/alertmanager/api/v2/receivers", handler!(status::receivers), "Names of receivers"),
    get("/api/v2/receivers", handler!(status::receivers), AT_ROOT),
    get("/alertmanager/api/v2/alerts", handler!(alerts::list), "Alerts that fire, by filters"),
    get("/api/v2/alerts", handler!(alerts::list), AT_ROOT),
    post(
        "/alertmanager/api/v2/alerts",
        Scope::Write,
        handler!(alerts::take),
        "Takes alerts, as Prometheus sends them",
    ),
    post("/api/v2/alerts", Scope::Write, handler!(alerts::take), AT_ROOT),
    get(
        "/alertmanager/api/v2/alerts/groups",
        handler!(alerts::groups),
        "Alerts in the groups in which they are told",
    ),
    get("/api/v2/alerts/groups", handler!(alerts::groups), AT_ROOT),
    get("/alertmanager/api/v2/silences", handler!(silences::list), "Silences, by filters"),
    get("/api/v2/silences", handler!(silences::list), AT_ROOT),
    post(
        "/alertmanager/api/v2/silences",
        Scope::Rules,
        handler!(silences::set),
        "Makes or changes a silence",
    ),
    post("/api/v2/silences", Scope::Rules, handler!(silences::set), AT_ROOT),
    get("/alertmanager/api/v2/silence/{id}", handler!(silences::one), "A silence"),
    get("/api/v2/silence/{id}", handler!(silences::one), AT_ROOT),
    delete("/alertmanager/api/v2/silence/{id}", handler!(silences::end), "Ends a silence"),
    delete("/api/v2/silence/{id}", handler!(silences::end), AT_ROOT),
    gone("/alertmanager/api/v1/alerts"),
    gone("/alertmanager/api/v1/alerts/groups"),
    gone("/alertmanager/api/v1/receivers"),
    gone("/alertmanager/api/v1/silence/{id}"),
    gone("/alertmanager/api/v1/silences"),
    gone("/alertmanager/api/v1/status"),
    Route {
        access: Access::Public,
        needs_stores: false,
        ..get("/alertmanager/-/healthy", handler!(status::healthy), "Whether the process lives")
    },
    Route {
        access: Access::Public,
        ..get("/alertmanager/-/ready", handler!(status::healthy), "Whether alerts are taken")
    },
    Route {
        methods: &[Method::POST],
        access: Access::Server(Scope::Admin),
        ..get(
            "/alertmanager/-/reload",
            handler!(status::reload),
            "Reads the configuration of Alertmanager again",
        )
    },
];

/// Errors are JSON texts.
fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    failure(reply::status(kind), kind, message)
}

fn failure(status: StatusCode, kind: ErrorKind, message: &str) -> Response {
    reply::with_kind(reply::json(status, &Value::from(message)), kind)
}

fn failed(error: &ServiceError) -> Response {
    failure(reply::status(error.kind), error.kind, &error.message)
}

fn bad_request(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorKind::Invalid, message)
}

impl From<AlertingError> for ServiceError {
    fn from(error: AlertingError) -> Self {
        let kind = match &error {
            AlertingError::Silence(SilenceError::NotFound(_)) => ErrorKind::NotFound,
            AlertingError::Silence(SilenceError::Invalid(_)) => ErrorKind::Invalid,
            AlertingError::Silence(SilenceError::TooMany)
            | AlertingError::TooManyTenants
            | AlertingError::TooManyAlerts(_) => ErrorKind::Limit,
            AlertingError::Record(_) => ErrorKind::Overloaded,
        };
        Self::new(kind, error.to_string())
    }
}

/// An answer in the words of the API.
fn answered(result: Result<Response, ServiceError>) -> Response {
    result.unwrap_or_else(|error| failed(&error))
}

/// The last segment of the path.
fn id_of(call: &Call) -> String {
    let segment = call.path.rsplit('/').next().unwrap_or("");
    crate::percent_decode_segment(segment)
}

/// As the API writes times: `2026-11-21T09:00:00.000Z`.
fn time_text(at_ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A time of a request; `None` where it is missing or Go's time that is no time.
fn time_of(value: Option<&Value>, what: &str) -> Result<Option<i64>, ServiceError> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(bad_request(format!("{what} must be a time as text"))),
    };
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text);
    let time = time.map_err(|error| bad_request(format!("{what} {text:?}: {error}")))?;
    Ok(Some(time.timestamp_millis()))
}
