//! How every endpoint of the API answers: `{"status":…,"data":…}`, warnings, errors, gzip, CORS;
//! and how one is run, until its client goes away.

use super::parameters::Parameters;
use super::quick::Key;
use super::{json, read};
use crate::services::{MetricReader, MetricServices, ServiceError, Services};
use crate::stream::{Head, Pieces, stream};
use crate::{Call, reply};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::ErrorKind;
use promql::{CancelFlag, QueryError};
use query::Stop;
use std::io::Write as _;
use std::sync::Arc;

/// What Prometheus says of an error, and with which status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorType {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    Unavailable,
    NotFound,
}

impl ErrorType {
    fn parts(self) -> (&'static str, StatusCode) {
        // Nginx's "client closed request", which Prometheus borrows.
        let closed = StatusCode::from_u16(499).expect("three digits");
        match self {
            Self::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            Self::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Canceled => ("canceled", closed),
            Self::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
        }
    }

    /// The one translation from our kinds.
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
pub(super) struct ApiError {
    pub(super) kind: ErrorType,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { kind: ErrorType::BadData, message: message.into() }
    }

    pub(super) fn parameter(name: &str, message: &str) -> Self {
        Self::bad(format!("invalid parameter {name:?}: {message}"))
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        Self { kind: ErrorType::of(error.kind), message: error.message }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = match advice(&error) {
            Some(advice) => format!("{error}: {advice}"),
            None => error.to_string(),
        };
        match error {
            QueryError::Parse(_) | QueryError::Invalid(_) => Self::parameter("query", &message),
            QueryError::Execution(_)
            | QueryError::TooManySamples
            | QueryError::TooMuchMemory { .. } => Self { kind: ErrorType::Execution, message },
            QueryError::Busy { .. } | QueryError::Stopped(_) | QueryError::Storage(_) => {
                Self { kind: ErrorType::of(error.kind()), message }
            }
        }
    }
}

/// What stands before the data of every answer.
const BEGINNING: &[u8] = b"{\"status\":\"success\",\"data\":";

/// What to do about a limit that a query met. Its text is Prometheus'.
fn advice(error: &QueryError) -> Option<&'static str> {
    match error {
        QueryError::TooManySamples => {
            Some("ask for fewer series or a longer step, or raise promql.max_samples")
        }
        QueryError::Stopped(Stop::TimedOut) => Some("ask for less, or raise promql.timeout"),
        _ => None,
    }
}

/// An answer's data, written, and what to say beside it.
#[derive(Debug)]
pub(super) struct Data {
    /// Written behind the answer's beginning: large answers are not moved.
    pub(super) json: Vec<u8>,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    /// What a query did, where that was asked for.
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
pub(super) struct Context {
    pub(super) services: Arc<Services>,
    pub(super) call: Call,
    pub(super) parameters: Parameters,
    pub(super) cancel: CancelFlag,
}

impl Context {
    pub(super) fn metrics(&self) -> Result<&MetricServices, ApiError> {
        Ok(self.services.metrics()?)
    }

    pub(super) fn reader(&self) -> Result<Box<dyn MetricReader>, ApiError> {
        Ok(self.metrics()?.queries.reader(&self.call.tenant)?)
    }
}

/// An endpoint that answers JSON.
pub(super) type Endpoint = fn(&Context) -> Result<Data, ApiError>;

/// An endpoint that answers something else.
pub(super) type RawEndpoint = fn(&Context) -> Result<Response, ApiError>;

/// An endpoint whose answer is sent while it is made.
#[derive(Clone, Copy)]
pub(super) struct StreamedEndpoint {
    pub(super) content_type: fn(&Call) -> &'static str,
    pub(super) write: fn(&Context, &mut Pieces<ApiError>) -> Result<(), ApiError>,
}

/// Raises the flag when the client goes away, which drops the handler.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

pub(super) async fn serve(services: Arc<Services>, call: Call, endpoint: Endpoint) -> Response {
    ask(services, call, move |context| endpoint(context).map(succeeded)).await
}

pub(super) async fn serve_raw(
    services: Arc<Services>,
    call: Call,
    endpoint: RawEndpoint,
) -> Response {
    ask(services, call, endpoint).await
}

/// Of an endpoint that changes something, or waits for something.
pub(super) async fn serve_change(
    services: Arc<Services>,
    call: Call,
    endpoint: RawEndpoint,
) -> Response {
    run(services, call, endpoint).await
}

pub(super) async fn serve_streamed(
    services: Arc<Services>,
    call: Call,
    endpoint: StreamedEndpoint,
) -> Response {
    let origin = services.prometheus.cors_origin.clone();
    let head =
        Head { content_type: (endpoint.content_type)(&call), is_gzip: takes_gzip(&call.headers) };
    with_cors(stream_to(services, call, head, endpoint.write).await, &origin)
}

/// Remote read: who takes chunks is sent them as they are made, others one message.
pub(super) async fn serve_read(services: Arc<Services>, call: Call) -> Response {
    let decode = move || (read::request(&call), call);
    let (request, call) = match tokio::task::spawn_blocking(decode).await {
        Ok((Ok(request), call)) => (request, call),
        Ok((Err(error), _)) => return failure(&error),
        Err(_) => return failure(&mistake()),
    };
    if request.takes_chunks {
        let head = Head { content_type: read::STREAM, is_gzip: false };
        let write = move |context: &Context, pieces: &mut Pieces<ApiError>| {
            read::chunks(context, &request, pieces)
        };
        return stream_to(services, call, head, write).await;
    }
    run(services, call, move |context| read::samples(context, &request)).await
}

async fn stream_to(
    services: Arc<Services>,
    call: Call,
    head: Head,
    write: impl FnOnce(&Context, &mut Pieces<ApiError>) -> Result<(), ApiError> + Send + 'static,
) -> Response {
    let cancel = CancelFlag::new();
    let parameters = Parameters::of(&call, services.clock.wall_ms());
    let context = Context { services, call, parameters, cancel: cancel.clone() };
    let fail = |error: Option<ApiError>| failure(&error.unwrap_or_else(mistake));
    let sent = stream(head, cancel, move |pieces| write(&context, pieces), fail).await;
    sent.unwrap_or_else(|busy| {
        failure(&ApiError { kind: ErrorType::Unavailable, message: busy.to_string() })
    })
}

fn mistake() -> ApiError {
    let message = "a mistake in this program; its log says more".to_owned();
    ApiError { kind: ErrorType::Internal, message }
}

/// Runs a query on this thread when it is known to be quick, and on a worker thread otherwise.
async fn ask(
    services: Arc<Services>,
    call: Call,
    endpoint: impl FnOnce(&Context) -> Result<Response, ApiError> + Send + 'static,
) -> Response {
    let key = Key::of(&call);
    let is_quick = key.is_some_and(|key| services.quick.know(key));
    let timed = move |context: &Context| {
        let clock = &context.services.clock;
        let since = clock.now();
        let answer = endpoint(context);
        if let Some(key) = key {
            context.services.quick.learn(key, clock.now().since(since));
        }
        answer
    };
    if is_quick {
        let origin = services.prometheus.cors_origin.clone();
        let takes_gzip = takes_gzip(&call.headers);
        let response = answer(services, call, CancelFlag::new(), timed);
        return finish(response, takes_gzip, &origin).await;
    }
    run(services, call, timed).await
}

/// On a worker thread, which may block.
async fn run(
    services: Arc<Services>,
    call: Call,
    endpoint: impl FnOnce(&Context) -> Result<Response, ApiError> + Send + 'static,
) -> Response {
    let cancel = CancelFlag::new();
    let _guard = CancelOnDrop(cancel.clone());
    let origin = services.prometheus.cors_origin.clone();
    let takes_gzip = takes_gzip(&call.headers);
    let work = move || answer(services, call, cancel, endpoint);
    let response = tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| failure(&mistake()));
    finish(response, takes_gzip, &origin).await
}

fn answer(
    services: Arc<Services>,
    call: Call,
    cancel: CancelFlag,
    endpoint: impl FnOnce(&Context) -> Result<Response, ApiError>,
) -> Response {
    let parameters = Parameters::of(&call, services.clock.wall_ms());
    let context = Context { services, call, parameters, cancel };
    endpoint(&context).unwrap_or_else(|error| failure(&error))
}

async fn finish(response: Response, takes_gzip: bool, origin: &str) -> Response {
    let is_packed = response.headers().contains_key(header::CONTENT_ENCODING);
    let response = if takes_gzip && !is_packed { packed(response).await } else { response };
    with_cors(response, origin)
}

/// Answers the preflight request that a browser sends before a request from another site.
pub(super) async fn options(services: Arc<Services>, _: Call) -> Response {
    with_cors(reply::empty(StatusCode::NO_CONTENT), &services.prometheus.cors_origin)
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

/// Of a request that is not let in: the status is the house's, because Prometheus knows no callers.
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

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let refused = |weight: &str| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        parts.next() == Some("gzip") && !parts.any(refused)
    })
}

/// Smaller answers gain nothing.
const GZIP_FROM: usize = 1_024;
/// Larger ones are packed on a worker thread.
const GZIP_IN_PLACE_MAX: usize = 32 << 10;

async fn packed(response: Response) -> Response {
    use http_body_util::BodyExt as _;
    let (mut parts, body) = response.into_parts();
    let Ok(plain) = body.collect().await.map(|body| body.to_bytes()) else {
        return Response::from_parts(parts, axum::body::Body::empty());
    };
    if plain.len() < GZIP_FROM {
        return Response::from_parts(parts, plain.into());
    }
    let is_small = plain.len() <= GZIP_IN_PLACE_MAX;
    let squeeze = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        encoder.write_all(&plain).and_then(|()| encoder.finish()).unwrap_or_default()
    };
    let packed = match is_small {
        true => squeeze(),
        false => tokio::task::spawn_blocking(squeeze).await.unwrap_or_default(),
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, packed.into())
}

fn with_cors(mut response: Response, origin: &str) -> Response {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding, Origin"));
    let Ok(origin) = HeaderValue::from_str(origin) else { return response };
    if !origin.is_empty() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in [
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Authorization, Content-Type, Origin, X-Scope-OrgID",
            ),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}
