//! OTLP: metrics over HTTP (protobuf and JSON) and gRPC.
//!
//! Lives here: `names` (naming strategies), `translate` (points to series), `delta` (adding up),
//! `grpc` (unary framing).
//! Not here: decoding (wire).
//! Invariants: an answer has the encoding of its request; whatever may succeed later is 503 or
//! UNAVAILABLE, because clients drop data at 500 and INTERNAL.

mod delta;
mod grpc;
mod names;
mod settings;
#[cfg(test)]
mod tests;
mod translate;

pub(crate) use delta::DeltaState;
pub use settings::{OtlpSettings, TranslationStrategy};

use crate::guard::{ExtraLabels, Guard, Window, count_refused};
use crate::prometheus::commit;
use crate::services::{MetricBatch, ServiceError, Services};
use crate::{Access, Body, Call, Handler, Protocol, Refuse, Route, handler, reply};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use catalog::Scope;
use delta::{DeltaDraft, DeltaLimits};
use model::ErrorKind;
use std::sync::Arc;
use translate::Translator;
use wire::otlp::{
    MetricsRequest, OtlpEncoding, PartialSuccess, StatusCode as RpcCode, decode_otlp_metrics,
    decode_otlp_metrics_json, export_response, status_body,
};
use wire::{Encoding, LabelBuffer, Rejections};

pub(crate) const PROTOCOL: Protocol = Protocol { name: "otlp", routes: &[ROUTES] };

const fn route(
    path: &'static str,
    handler: Handler<Services>,
    refuse: Refuse,
    about: &'static str,
) -> Route<Services> {
    let (methods, access) = (&[Method::POST], Access::Needs(Scope::Write));
    let (body, needs_stores) = (Body::AsSent, true);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

const fn http(path: &'static str, about: &'static str) -> Route<Services> {
    route(path, handler!(metrics), refuse, about)
}

/// What browsers ask before they send from another site.
const fn preflight(path: &'static str) -> Route<Services> {
    let of_post = route(path, handler!(options), refuse, "CORS");
    Route { methods: &[Method::OPTIONS], access: Access::Public, body: Body::None, ..of_post }
}

static ROUTES: &[Route<Services>] = &[
    http("/v1/metrics", "OTLP metrics, protobuf or JSON"),
    http("/otlp/v1/metrics", "The same under Mimir's name"),
    http("/api/v1/otlp/v1/metrics", "The same under Prometheus' name"),
    http("/prometheus/api/v1/otlp/v1/metrics", "The same under its prefix"),
    route(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        handler!(grpc::metrics),
        grpc::refuse,
        "OTLP metrics over gRPC",
    ),
    preflight("/v1/metrics"),
    preflight("/otlp/v1/metrics"),
    preflight("/api/v1/otlp/v1/metrics"),
    preflight("/prometheus/api/v1/otlp/v1/metrics"),
];

async fn options(services: Arc<Services>, _: Call) -> Response {
    with_cors(reply::empty(StatusCode::NO_CONTENT), &services.otlp.cors_origin)
}

fn with_cors(mut response: Response, origin: &str) -> Response {
    let Ok(origin) = HeaderValue::from_str(origin) else { return response };
    if !origin.is_empty() {
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let methods = HeaderValue::from_static("POST, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = "Accept, Authorization, Content-Encoding, Content-Type, X-Scope-OrgID";
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    }
    response
}

async fn metrics(services: Arc<Services>, call: Call) -> Response {
    let origin = services.otlp.cors_origin.clone();
    with_cors(take(services, call).await, &origin)
}

async fn take(services: Arc<Services>, call: Call) -> Response {
    let Some(encoding) = OtlpEncoding::from_content_type(call.header("content-type")) else {
        let message = "send application/x-protobuf or application/json\n";
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    };
    let Some(packing) = Encoding::from_header(call.header("content-encoding")) else {
        let message = "unknown Content-Encoding: send identity, gzip, deflate, zstd or snappy";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return status_reply(encoding, status, RpcCode::InvalidArgument, message);
    };
    let unpack = move |call: &Call| unpacked(packing, &call.body, call.decompressed_max);
    match export(services, call, encoding, unpack).await {
        Ok(partial) => {
            let body = export_response(encoding, &partial, "rejectedDataPoints");
            reply::of(StatusCode::OK, encoding.content_type(), body)
        }
        Err(error) => failure(encoding, error.kind, &error.message),
    }
}

fn unpacked(packing: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, ServiceError> {
    wire::decompress(packing, body, limit)
        .map_err(|error| ServiceError::new(error.kind(), error.to_string()))
}

/// A refusal in the encoding of the request; protobuf where it has none that we know.
fn refuse(headers: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let encoding = OtlpEncoding::from_content_type(content_type.unwrap_or(""));
    failure(encoding.unwrap_or(OtlpEncoding::Protobuf), kind, message)
}

/// What may succeed later is 503 (500 would be dropped), what is too large 413.
fn failure(encoding: OtlpEncoding, kind: ErrorKind, message: &str) -> Response {
    let code = RpcCode::from_kind(kind);
    let status = match code {
        _ if code.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => reply::status(kind),
    };
    let response = status_reply(encoding, status, code, message);
    reply::with_kind(response, if code.is_retryable() { ErrorKind::Overloaded } else { kind })
}

fn status_reply(
    encoding: OtlpEncoding,
    status: StatusCode,
    code: RpcCode,
    message: &str,
) -> Response {
    reply::of(status, encoding.content_type(), status_body(encoding, code, message, retry(code)))
}

/// When a client may try again, where it may.
fn retry(code: RpcCode) -> Option<u32> {
    code.is_retryable().then_some(reply::RETRY_AFTER_SECONDS)
}

/// From a request to what of it was not stored. HTTP and gRPC differ in how they unpack it.
async fn export(
    services: Arc<Services>,
    call: Call,
    encoding: OtlpEncoding,
    unpack: impl FnOnce(&Call) -> Result<Vec<u8>, ServiceError> + Send + 'static,
) -> Result<PartialSuccess, ServiceError> {
    let fill = move || {
        let plain = unpack(&call)?;
        let request = decode(encoding, &plain)?;
        fill(&services, &call, &request)
    };
    // The deltas are kept or taken back wherever this ends: a client that goes away stops nothing.
    let done = tokio::spawn(async move {
        let ((rejected, deltas), committed) = commit(fill).await?;
        deltas.keep();
        Ok::<_, ServiceError>((rejected, committed))
    });
    let mistake = |_| ServiceError::new(ErrorKind::Bug, "a mistake in this program");
    let (mut rejected, committed) = done.await.map_err(mistake)??;
    rejected.merge(committed.rejected);
    Ok(PartialSuccess { rejected: rejected.count, message: rejected.summary() })
}

fn decode(encoding: OtlpEncoding, plain: &[u8]) -> Result<MetricsRequest<'_>, ServiceError> {
    match encoding {
        OtlpEncoding::Protobuf => decode_otlp_metrics(plain)
            .map_err(|error| ServiceError::new(ErrorKind::Invalid, error.to_string())),
        OtlpEncoding::Json => decode_otlp_metrics_json(plain)
            .map_err(|error| ServiceError::new(error.kind(), error.to_string())),
    }
}

/// What goes with a batch: what was left out of it, and the sums that become true with it.
type Beside = (Rejections, DeltaDraft);

fn fill(
    services: &Arc<Services>,
    call: &Call,
    request: &MetricsRequest<'_>,
) -> Result<(Box<dyn MetricBatch>, Beside), ServiceError> {
    let mut batch = services.metrics()?.writer.batch(&call.tenant);
    let (now_ms, settings) = (services.clock.wall_ms(), &services.otlp);
    let expiry = settings.delta_expiry.0.as_millis();
    let delta_limits = DeltaLimits {
        now_ms,
        expiry_ms: i64::try_from(expiry).unwrap_or(i64::MAX),
        series_max: settings.delta_series_max,
    };
    let window = Window::now(services);
    let extra = Arc::new(ExtraLabels::of(call)?);
    let mut guard = Guard::new(&mut *batch, window).with_labels(Arc::clone(&extra));
    let mut translator = Translator {
        sink: &mut guard,
        window,
        settings,
        limits: services.prometheus.label_limits(),
        target_info_step_ms: (services.engine.lookback_ms / 2).max(1),
        tenant: &call.tenant,
        extra: &extra,
        deltas: DeltaDraft::new(Arc::clone(services), delta_limits),
        buffer: LabelBuffer::default(),
        rejected: Rejections::default(),
    };
    translator.request(request);
    let Translator { mut rejected, deltas, .. } = translator;
    rejected.merge(guard.rejected);
    count_refused(&rejected);
    Ok((batch, (rejected, deltas)))
}

/// The header that names a body's type, for answers that are built elsewhere.
const CONTENT_TYPE: header::HeaderName = header::CONTENT_TYPE;
