//! How Jaeger's query API answers.

use super::JaegerQuery;
use crate::api::{self, Api, ApiState};
use crate::reply;
use crate::services::ServiceError;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use model::{ErrorKind, parse_duration_ns};
use serde_json::json;

pub(super) type Context = api::Context<JaegerQuery>;

impl Api for JaegerQuery {
    type Error = ServiceError;

    fn failure(error: &ServiceError) -> Response {
        refuse(&HeaderMap::new(), error.kind, &error.message)
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        // A client that exceeds a limit has to ask for less.
        ErrorKind::Invalid | ErrorKind::Limit => StatusCode::BAD_REQUEST,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        kind => reply::status(kind),
    }
}

/// An error in Jaeger's words.
pub(super) fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    let status = status(kind);
    let errors = json!([{ "code": status.as_u16(), "msg": message }]);
    let body = json!({ "data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors });
    reply::with_kind(reply::json(status, &body), kind)
}

/// An answer without errors. `write` writes the data and answers how many there are.
pub(super) fn data(
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, ServiceError>,
) -> Result<Response, ServiceError> {
    let mut out = b"{\"data\":".to_vec();
    let total = write(&mut out)?;
    let rest = format!(",\"total\":{total},\"limit\":0,\"offset\":0,\"errors\":null}}");
    out.extend_from_slice(rest.as_bytes());
    Ok(reply::of(StatusCode::OK, "application/json", out))
}

pub(super) fn bad(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorKind::Invalid, message)
}

impl Context {
    /// A parameter that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, ServiceError> {
        match self.parameters.text(name) {
            "" => Err(bad(format!("parameter '{name}' is required"))),
            text => Ok(text),
        }
    }

    /// A whole number from 0 on.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, ServiceError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || bad(format!("unable to parse param '{name}': {text:?} is no whole number"));
        text.parse().ok().filter(|number| *number >= 0).map(Some).ok_or_else(wrong)
    }

    /// A duration such as `1.5s`, in nanoseconds.
    pub(super) fn duration_ns(&self, name: &str) -> Result<Option<i64>, ServiceError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |message| bad(format!("unable to parse param '{name}': {message}"));
        parse_duration_ns(text).map(Some).map_err(wrong)
    }
}
