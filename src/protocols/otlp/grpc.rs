//! gRPC's framing of one request and one answer, so that a method is a route like any other: with
//! the same authentication, tenant and limits.
//!
//! A message is a byte that says whether it is packed, its length in four bytes, and itself. The
//! status comes in trailers, behind the answer.

use super::{CONTENT_TYPE, export, retry, unpacked};
use crate::services::{ServiceError, Services};
use crate::{Call, reply};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use http_body_util::{BodyExt as _, Full};
use model::ErrorKind;
use std::convert::Infallible;
use std::sync::Arc;
use wire::Encoding;
use wire::otlp::{OtlpEncoding, StatusCode, export_response, status_body};

const PROTOBUF: OtlpEncoding = OtlpEncoding::Protobuf;

pub(super) async fn metrics(services: Arc<Services>, call: Call) -> Response {
    match export(services, call, PROTOBUF, message).await {
        Ok(partial) => {
            let body = export_response(PROTOBUF, &partial, "rejectedDataPoints");
            answer(frame(&body), trailers(0, ""))
        }
        Err(error) => failure(error.kind, &error.message),
    }
}

pub(super) fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    failure(kind, message)
}

/// HTTP says 200 as always. With no message to follow, what would be trailers are headers.
fn failure(kind: ErrorKind, message: &str) -> Response {
    let code = StatusCode::from_kind(kind);
    let details = status_body(PROTOBUF, code, message, retry(code));
    let details = HeaderValue::from_str(&BASE64.encode(details));
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = trailers(code as i32, message);
    response.headers_mut().insert(DETAILS, details.expect("base64 is printable"));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    reply::with_kind(response, kind)
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// The whole `google.rpc.Status`, for clients that read details.
const DETAILS: &str = "grpc-status-details-bin";

/// The one message of a request, unpacked.
fn message(call: &Call) -> Result<Vec<u8>, ServiceError> {
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
    unpacked(encoding, message, call.decompressed_max)
}

fn answer(framed: Bytes, trailers: HeaderMap) -> Response {
    let body = Full::new(framed).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
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
