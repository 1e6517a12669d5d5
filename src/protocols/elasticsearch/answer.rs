//! Answers and errors in Elasticsearch's words.

use crate::reply;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use model::ErrorKind;
use serde_json::{Value, json};

/// Marks the answer as one of Elasticsearch.
pub(super) fn marked(mut response: Response) -> Response {
    let product = HeaderValue::from_static("Elasticsearch");
    response.headers_mut().insert("x-elastic-product", product);
    response
}

pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    marked(reply::json(status, value))
}

/// A refusal, in the form of `Route::refuse`.
pub(super) fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    failure(kind, message)
}

/// An error of a whole request. What may succeed later has 429 or 503, at which agents send again.
pub(super) fn failure(kind: ErrorKind, message: &str) -> Response {
    let status = match kind {
        ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Corrupt | ErrorKind::Bug => StatusCode::SERVICE_UNAVAILABLE,
        _ => reply::status(kind),
    };
    let retryable = matches!(kind, ErrorKind::Corrupt | ErrorKind::Bug);
    let kind_of_answer = if retryable { ErrorKind::Overloaded } else { kind };
    reply::with_kind(error(status, type_of(kind), message), kind_of_answer)
}

pub(super) fn error(status: StatusCode, kind: &str, reason: &str) -> Response {
    let cause = json!({ "type": kind, "reason": reason });
    let body = json!({
        "error": { "root_cause": [cause], "type": kind, "reason": reason },
        "status": status.as_u16(),
    });
    json(status, &body)
}

pub(in crate::elasticsearch) fn type_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid | ErrorKind::Conflict => "illegal_argument_exception",
        ErrorKind::NotFound => "resource_not_found_exception",
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => "security_exception",
        ErrorKind::Limit => "content_too_long_exception",
        ErrorKind::Overloaded => "es_rejected_execution_exception",
        ErrorKind::Timeout | ErrorKind::Cancelled => "process_cluster_event_timeout_exception",
        ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Bug => "unavailable_shards_exception",
    }
}
