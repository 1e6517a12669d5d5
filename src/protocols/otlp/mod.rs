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

use crate::guard::Guard;
use crate::prometheus::commit;
use crate::services::{MetricBatch, ServiceError, Services};
use crate::{Access, Body, Call, Handler, Protocol, Route, handler, reply};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use catalog::Scope;
use delta::DeltaLimits;
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
    about: &'static str,
) -> Route<Services> {
    let (methods, access) = (&[Method::POST], Access::Needs(Scope::Write));
    Route { methods, path, access, body: Body::AsSent, needs_stores: true, handler, about }
}

static ROUTES: &[Route<Services>] = &[
    route("/v1/metrics", handler!(metrics), "OTLP metrics, protobuf or JSON"),
    route("/otlp/v1/metrics", handler!(metrics), "The same under Mimir's name"),
    route("/api/v1/otlp/v1/metrics", handler!(metrics), "The same under Prometheus' name"),
    route("/prometheus/api/v1/otlp/v1/metrics", handler!(metrics), "The same under its prefix"),
    route(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        handler!(grpc::metrics),
        "OTLP metrics over gRPC",
    ),
];

async fn metrics(services: Arc<Services>, call: Call) -> Response {
    let Some(encoding) = OtlpEncoding::from_content_type(call.header("content-type")) else {
        let message = "send application/x-protobuf or application/json\n";
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    };
    let Some(packing) = Encoding::from_header(call.header("content-encoding")) else {
        let message = "unknown Content-Encoding: send identity, gzip, deflate, zstd or snappy\n";
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    };
    let unpack = move |call: &Call| unpacked(packing, &call.body, call.decompressed_max);
    match export(services, call, encoding, unpack).await {
        Ok(partial) => {
            let body = export_response(encoding, &partial, "rejectedDataPoints");
            reply::of(StatusCode::OK, encoding.content_type(), body)
        }
        Err(error) => refuse(encoding, &error),
    }
}

fn unpacked(packing: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, ServiceError> {
    wire::decompress(packing, body, limit)
        .map_err(|error| ServiceError::new(error.kind(), error.to_string()))
}

/// What may succeed later is 503 (500 would be dropped), what is too large 413.
fn refuse(encoding: OtlpEncoding, error: &ServiceError) -> Response {
    let code = RpcCode::from_kind(error.kind);
    let status = match code {
        RpcCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => reply::status(error.kind),
    };
    let body = status_body(encoding, code, &error.message);
    let response = reply::of(status, encoding.content_type(), body);
    match status {
        StatusCode::SERVICE_UNAVAILABLE => reply::with_kind(response, ErrorKind::Overloaded),
        _ => response,
    }
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
    let (mut rejected, committed) = commit(fill).await?;
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

fn fill(
    services: &Services,
    call: &Call,
    request: &MetricsRequest<'_>,
) -> Result<(Box<dyn MetricBatch>, Rejections), ServiceError> {
    let mut batch = services.metrics()?.writer.batch(&call.tenant);
    let (now_ms, settings) = (services.clock.wall_ms(), &services.otlp);
    let expiry = settings.delta_expiry.0.as_millis();
    let delta_limits = DeltaLimits {
        now_ms,
        expiry_ms: i64::try_from(expiry).unwrap_or(i64::MAX),
        series_max: settings.delta_series_max,
    };
    let mut guard = Guard::new(&mut *batch, now_ms, services.prometheus.future_grace_ms());
    let mut translator = Translator {
        sink: &mut guard,
        settings,
        limits: services.prometheus.label_limits(),
        tenant: &call.tenant,
        deltas: &services.deltas,
        delta_limits,
        buffer: LabelBuffer::default(),
        rejected: Rejections::default(),
    };
    translator.request(request);
    let mut rejected = translator.rejected;
    rejected.merge(guard.rejected);
    Ok((batch, rejected))
}

/// The header that names a body's type, for answers that are built elsewhere.
const CONTENT_TYPE: header::HeaderName = header::CONTENT_TYPE;
