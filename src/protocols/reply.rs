//! Answers, and the one translation from what went wrong to an HTTP status.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use model::ErrorKind;
use serde_json::{Value, json};

/// Seconds a client should wait before it tries again.
pub(crate) const RETRY_AFTER_SECONDS: u32 = 2;

pub fn text(status: StatusCode, body: impl Into<String>) -> Response {
    of(status, "text/plain; charset=utf-8", body.into())
}

pub fn json(status: StatusCode, value: &Value) -> Response {
    let mut body = value.to_string();
    body.push('\n');
    of(status, "application/json", body)
}

pub fn of(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An error in the server's own JSON. Every retryable error says when to retry.
pub fn error(kind: ErrorKind, message: &str) -> Response {
    let body = json!({ "error": message, "kind": kind.as_str() });
    with_kind(json(status(kind), &body), kind)
}

/// [`error`], in the form of `Route::refuse`.
pub fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    error(kind, message)
}

/// [`plain_error`], in the form of `Route::refuse`.
pub fn refuse_plainly(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    plain_error(kind, message)
}

/// An error whose body is its text, for protocols that show it to people as it is.
pub fn plain_error(kind: ErrorKind, message: &str) -> Response {
    with_kind(text(status(kind), format!("{message}\n")), kind)
}

/// Adds the headers that belong to a kind of error.
pub fn with_kind(mut response: Response, kind: ErrorKind) -> Response {
    let headers = response.headers_mut();
    if kind.is_retryable() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    if kind == ErrorKind::Unauthenticated {
        let challenge = HeaderValue::from_static("Basic realm=\"mirador\", charset=\"UTF-8\"");
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

pub fn with_header(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

/// The status of a query that fails, in the APIs of Loki and Tempo.
pub fn query_status(kind: ErrorKind) -> StatusCode {
    match kind {
        // A client that exceeds a limit has to ask for less.
        ErrorKind::Invalid | ErrorKind::Limit => StatusCode::BAD_REQUEST,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        // Nginx's status for a request that its client closed, which both use too.
        ErrorKind::Cancelled => StatusCode::from_u16(499).expect("three digits"),
        kind => status(kind),
    }
}

/// Permanent errors are 4xx, at which agents drop their data; temporary ones are 503, at which they
/// send it again.
pub fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Limit => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Overloaded | ErrorKind::Io | ErrorKind::Timeout => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorKind::Cancelled => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::Corrupt | ErrorKind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
