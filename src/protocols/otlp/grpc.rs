//! gRPC's framing of one request and one answer, so that a method is a route like any other: with
//! the same authentication, tenant and limits.
//!
//! A message is a byte that says whether it is packed, its length in four bytes, and itself. The
//! status comes in trailers, behind the answer.

use super::{CONTENT_TYPE, export, unpacked};
use crate::Call;
use crate::services::{ServiceError, Services};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use http_body_util::{BodyExt as _, Full};
use model::ErrorKind;
use std::convert::Infallible;
use std::sync::Arc;
use wire::Encoding;
use wire::otlp::{OtlpEncoding, StatusCode, export_response};

const PROTOBUF: OtlpEncoding = OtlpEncoding::Protobuf;

pub(super) async fn metrics(services: Arc<Services>, call: Call) -> Response {
    match export(services, call, PROTOBUF, message).await {
        Ok(partial) => {
            let body = export_response(PROTOBUF, &partial, "rejectedDataPoints");
            answer(Some(&body), 0, "")
        }
        Err(error) => answer(None, StatusCode::from_kind(error.kind) as i32, &error.message),
    }
}

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

fn answer(body: Option<&[u8]>, code: i32, message: &str) -> Response {
    let framed: Bytes = body.map_or_else(Bytes::new, frame);
    let trailers = trailers(code, message);
    let body = Full::new(framed).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    let mut response = Response::new(Body::new(body));
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
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
