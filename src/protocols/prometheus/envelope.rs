//! How the API answers: `{"status":…,"data":…}`, with warnings, or with an error and its type.

use super::Prometheus;
use crate::api::parameters::ParameterError;
use crate::api::{self, Api, ApiState, json};
use crate::reply;
use crate::services::{MetricServices, ServiceError};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use metric_store::StoreError;
use model::ErrorKind;
use promql::QueryError;
use query::Stop;

/// How Prometheus classifies an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorType {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    Unavailable,
    /// A setting switches it off: asking again would not help.
    SwitchedOff,
    NotFound,
}

impl ErrorType {
    fn parts(self) -> (&'static str, StatusCode) {
        // Nginx's status for a request that its client closed, which Prometheus uses too.
        let closed = StatusCode::from_u16(499).expect("three digits");
        match self {
            Self::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            Self::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Canceled => ("canceled", closed),
            Self::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::SwitchedOff => ("unavailable", StatusCode::FORBIDDEN),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
        }
    }

    /// The one translation from the kinds of errors.
    fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::Unauthenticated
            | ErrorKind::Forbidden => Self::BadData,
            ErrorKind::Limit => Self::Execution,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Overloaded | ErrorKind::Io => Self::Unavailable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Cancelled => Self::Canceled,
            ErrorKind::Corrupt | ErrorKind::Bug => Self::Internal,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(super) kind: ErrorType,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { kind: ErrorType::BadData, message: message.into() }
    }

    pub(super) fn parameter(name: &str, message: &str) -> Self {
        ParameterError::new(name, message).into()
    }
}

impl From<ParameterError> for ApiError {
    fn from(error: ParameterError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        Self { kind: ErrorType::of(error.kind), message: error.message }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = match advice(&error) {
            Some(advice) => format!("{error}: {advice}"),
            None => error.to_string(),
        };
        use query::QueryError::{Execution, TooManySamples, TooMuchMemory};
        match error {
            QueryError::Parse(_) | QueryError::Invalid(_) => Self::parameter("query", &message),
            QueryError::Evaluation(Execution(_) | TooManySamples | TooMuchMemory { .. }) => {
                Self { kind: ErrorType::Execution, message }
            }
            QueryError::Evaluation(_) | QueryError::Storage(_) => {
                Self { kind: ErrorType::of(error.kind()), message }
            }
        }
    }
}

/// The bytes before the data of every answer.
const BEGINNING: &[u8] = b"{\"status\":\"success\",\"data\":";

/// What a person can do about the limit that a query hit, to be added to Prometheus' own text.
fn advice(error: &QueryError) -> Option<&'static str> {
    let QueryError::Evaluation(error) = error else { return None };
    match error {
        query::QueryError::TooManySamples => {
            Some("ask for fewer series or a longer step, or raise promql.max_samples")
        }
        query::QueryError::Stopped(Stop::TimedOut) => Some("ask for less, or raise promql.timeout"),
        _ => None,
    }
}

/// The data of an answer as JSON, with its warnings.
#[derive(Debug)]
pub(super) struct Data {
    /// Begins with [`BEGINNING`], so that a large answer is not copied to put it in front.
    pub(super) json: Vec<u8>,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    /// What the query did, when the request asks for a trace.
    pub(super) trace: Option<serde_json::Value>,
}

impl Default for Data {
    fn default() -> Self {
        let mut json = Vec::with_capacity(512);
        json.extend_from_slice(BEGINNING);
        Self { json, warnings: Vec::new(), infos: Vec::new(), trace: None }
    }
}

impl Data {
    pub(super) fn of(json: impl AsRef<[u8]>) -> Self {
        let mut data = Self::default();
        data.json.extend_from_slice(json.as_ref());
        data
    }

    pub(super) fn truncated(&mut self) {
        self.warnings.push("results truncated due to limit".to_owned());
    }
}

/// What an endpoint works with.
pub(super) type Context = api::Context<Prometheus>;

impl Api for Prometheus {
    type Error = ApiError;

    fn failure(error: &ApiError) -> Response {
        failure(error)
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

impl Context {
    pub(super) fn metrics(&self) -> Result<&MetricServices, ApiError> {
        Ok(self.services().metrics()?)
    }
}

pub(super) fn succeeded(data: Data) -> Response {
    reply::of(StatusCode::OK, "application/json", success(data))
}

fn success(data: Data) -> Vec<u8> {
    let mut out = data.json;
    for (name, texts) in [("warnings", &data.warnings), ("infos", &data.infos)] {
        if !texts.is_empty() {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            json::texts(&mut out, texts);
        }
    }
    if let Some(trace) = data.trace {
        out.extend_from_slice(format!(",\"trace\":{trace}").as_bytes());
    }
    out.push(b'}');
    out
}

/// A refusal before the handler is reached. Prometheus has no statuses for callers that may not do
/// something, so the server's own are used.
pub(super) fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    let (name, _) = ErrorType::of(kind).parts();
    let response = reply::of(reply::status(kind), "application/json", error_body(name, message));
    reply::with_kind(response, kind)
}

fn error_body(name: &str, message: &str) -> Vec<u8> {
    let mut out =
        format!("{{\"status\":\"error\",\"errorType\":\"{name}\",\"error\":").into_bytes();
    json::text(&mut out, message);
    out.push(b'}');
    out
}

fn failure(error: &ApiError) -> Response {
    let (name, status) = error.kind.parts();
    let response = reply::of(status, "application/json", error_body(name, &error.message));
    match error.kind {
        ErrorType::Unavailable => reply::with_kind(response, ErrorKind::Overloaded),
        _ => response,
    }
}
