//! gRPC on the table of routes: a method is a route like any other, with the same authentication,
//! tenant and limits.
//!
//! A message is a byte that says whether it is packed, its length in four bytes, and itself. The
//! status comes in trailers, behind the answer.

use crate::services::ServiceError;
use crate::{Call, reply};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use http_body_util::{BodyExt as _, Full};
use model::ErrorKind;
use std::convert::Infallible;
use wire::Encoding;
use wire::otlp::{OtlpEncoding, StatusCode, status_body};

/// A refusal, as a route names it.
pub(crate) fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    failure(kind, message)
}

/// The HTTP status is 200, as always in gRPC. Because no message follows, the status of the call
/// stands in the headers rather than in trailers.
pub(crate) fn failure(kind: ErrorKind, message: &str) -> Response {
    let code = StatusCode::from_kind(kind);
    let details = status_body(OtlpEncoding::Protobuf, code, message, retry_after(code));
    let details = HeaderValue::from_str(&BASE64.encode(details));
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = trailers(code as i32, message);
    response.headers_mut().insert(DETAILS, details.expect("base64 is printable"));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    reply::with_kind(response, kind)
}

/// After how many seconds a client may try again; `None`: never.
pub(crate) fn retry_after(code: StatusCode) -> Option<u32> {
    code.is_retryable().then_some(reply::RETRY_AFTER_SECONDS)
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// The whole `google.rpc.Status`, for clients that read details.
const DETAILS: &str = "grpc-status-details-bin";

/// The one message of a unary request, unpacked.
pub(crate) fn message(call: &Call) -> Result<Vec<u8>, ServiceError> {
    let invalid = |message: &str| ServiceError::new(ErrorKind::Invalid, message);
    let Some((&[packed, a, b, c, d], message)) = call.body.split_first_chunk::<5>() else {
        return Err(invalid("the request has no gRPC message"));
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(invalid("the request is not one whole gRPC message"));
    }
    let encoding = match packed {
        0 => Encoding::Identity,
        _ => Encoding::from_header(call.header("grpc-encoding"))
            .ok_or_else(|| invalid("unknown grpc-encoding: send identity, gzip or zstd"))?,
    };
    wire::decompress(encoding, message, call.decompressed_max)
        .map_err(|error| ServiceError::new(error.kind(), error.to_string()))
}

/// A successful answer to a unary request.
pub(crate) fn answer(message: &[u8]) -> Response {
    let trailers = trailers(0, "");
    let body = Full::new(frame(message));
    let body = body.with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("answers are small");
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

fn trailers(code: i32, message: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    if !message.is_empty() {
        let encoded = HeaderValue::from_str(&percent_encode(message));
        trailers.insert("grpc-message", encoded.expect("only printable ASCII is left"));
    }
    trailers
}

/// What is not printable ASCII, and the percent sign itself, as `%XX`.
fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
