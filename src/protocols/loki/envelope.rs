//! How Loki's API answers: JSON, and errors as plain text.

use super::Loki;
use crate::api::{self, Api, ApiState};
use crate::reply;
use crate::services::{LogServices, ServiceError};
use axum::http::StatusCode;
use axum::response::Response;
use logql::{ParseError, QueryError};
use model::ErrorKind;
use query::Stop;

/// Why an endpoint has no answer.
#[derive(Clone, Debug)]
pub(crate) struct LokiError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

impl LokiError {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }
}

impl From<ServiceError> for LokiError {
    fn from(error: ServiceError) -> Self {
        Self { kind: error.kind, message: error.message }
    }
}

impl From<log_store::StoreError> for LokiError {
    fn from(error: log_store::StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<ParseError> for LokiError {
    fn from(error: ParseError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<QueryError> for LokiError {
    fn from(error: QueryError) -> Self {
        let kind = error.kind();
        let message = match &error {
            QueryError::Evaluation(query::QueryError::Stopped(Stop::TimedOut)) => {
                TIMED_OUT.to_owned()
            }
            error => error.to_string(),
        };
        Self { kind, message }
    }
}

/// Loki's words for a query that took too long.
const TIMED_OUT: &str = "request timed out, decrease the duration of the request or add more label matchers (prefer exact \
     match over regex match) to reduce the amount of data processed; or raise logs.query_timeout";

/// What an endpoint works with.
pub(super) type Context = api::Context<Loki>;

impl Api for Loki {
    type Error = LokiError;

    fn failure(error: &LokiError) -> Response {
        let response = reply::text(reply::query_status(error.kind), format!("{}\n", error.message));
        match error.kind {
            ErrorKind::Overloaded => reply::with_kind(response, error.kind),
            _ => response,
        }
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

impl Context {
    pub(super) fn logs(&self) -> Result<&LogServices, LokiError> {
        Ok(self.services().logs()?)
    }
}

pub(super) fn json(body: Vec<u8>) -> Response {
    reply::of(StatusCode::OK, "application/json; charset=UTF-8", body)
}
