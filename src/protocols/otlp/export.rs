//! An export over HTTP or gRPC, whatever its signal: from a request in one of OTLP's encodings to
//! the number of records that were rejected, or to an error in the same encoding.

use super::Otlp;
use crate::bounds::unpack;
use crate::services::ServiceError;
use crate::{Call, grpc, reply};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use model::ErrorKind;
use std::sync::Arc;
use wire::Encoding;
use wire::otlp::{
    OtlpEncoding, PartialSuccess, StatusCode as RpcCode, export_response, status_body,
};

/// What OTLP does with the records of one signal.
pub(super) trait Signal: 'static {
    /// The field of an answer that counts rejected records, as it is called in JSON.
    const REJECTED: &'static str;

    /// Stores what a request holds; answers what of it was not stored.
    fn export(
        otlp: Arc<Otlp>,
        request: ExportRequest,
    ) -> impl Future<Output = Result<PartialSuccess, ServiceError>> + Send;
}

/// A request that is not unpacked yet.
pub(super) struct ExportRequest {
    pub(super) call: Call,
    pub(super) encoding: OtlpEncoding,
    /// The plain bytes, which takes time: to be called on a worker thread.
    pub(super) unpack: fn(&Call) -> Result<Vec<u8>, ServiceError>,
}

pub(super) async fn http<S: Signal>(otlp: Arc<Otlp>, call: Call) -> Response {
    let Some(encoding) = OtlpEncoding::from_content_type(call.header("content-type")) else {
        let message = "send application/x-protobuf or application/json\n";
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    };
    if content_encoding(&call).is_none() {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return status_reply(encoding, status, RpcCode::InvalidArgument, UNKNOWN_ENCODING);
    }
    let request = ExportRequest { call, encoding, unpack: unpacked_body };
    match S::export(otlp, request).await {
        Ok(partial) => {
            let body = export_response(encoding, &partial, S::REJECTED);
            reply::of(StatusCode::OK, encoding.content_type(), body)
        }
        Err(error) => failure(encoding, error.kind, &error.message),
    }
}

pub(super) async fn grpc<S: Signal>(otlp: Arc<Otlp>, call: Call) -> Response {
    let encoding = OtlpEncoding::Protobuf;
    match S::export(otlp, ExportRequest { call, encoding, unpack: grpc::message }).await {
        Ok(partial) => grpc::answer(&export_response(encoding, &partial, S::REJECTED)),
        Err(error) => grpc::failure(error.kind, &error.message),
    }
}

const UNKNOWN_ENCODING: &str =
    "unknown Content-Encoding: send identity, gzip, deflate, zstd or snappy";

fn content_encoding(call: &Call) -> Option<Encoding> {
    Encoding::from_header(call.header("content-encoding"))
}

fn unpacked_body(call: &Call) -> Result<Vec<u8>, ServiceError> {
    let unknown = || ServiceError::new(ErrorKind::Invalid, UNKNOWN_ENCODING);
    let encoding = content_encoding(call).ok_or_else(unknown)?;
    unpack(call, encoding, &call.body)
}

/// A refusal in the encoding of the request; in protobuf where the request has no known encoding.
pub(super) fn refuse(headers: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let encoding = OtlpEncoding::from_content_type(content_type.unwrap_or(""));
    failure(encoding.unwrap_or(OtlpEncoding::Protobuf), kind, message)
}

/// An export that may succeed later is answered with 503, because clients drop their data at 500.
pub(super) fn failure(encoding: OtlpEncoding, kind: ErrorKind, message: &str) -> Response {
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
    let body = status_body(encoding, code, message, grpc::retry_after(code));
    reply::of(status, encoding.content_type(), body)
}
