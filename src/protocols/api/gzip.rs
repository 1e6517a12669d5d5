//! Gzip of answers that are in memory as a whole. Streamed answers are packed by `stream`.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use std::io::Write as _;

/// Smaller answers gain nothing.
const SIZE_MIN: usize = 1_024;
/// Larger ones are packed on a worker thread.
const IN_PLACE_MAX: usize = 32 << 10;

/// Whether the client of a request with these headers accepts gzip.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let refused = |weight: &str| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        parts.next() == Some("gzip") && !parts.any(refused)
    })
}

/// Packs an answer for a client that accepts gzip, unless the answer is small or packed already.
/// Either way the answer says that it depends on what the client accepts.
pub(crate) async fn packed(mut response: Response, is_accepted: bool) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !is_accepted || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(plain) = body.collect().await.map(|body| body.to_bytes()) else {
        return Response::from_parts(parts, Body::empty());
    };
    if plain.len() < SIZE_MIN {
        return Response::from_parts(parts, plain.into());
    }
    let is_small = plain.len() <= IN_PLACE_MAX;
    let pack = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        encoder.write_all(&plain).and_then(|()| encoder.finish()).unwrap_or_default()
    };
    let packed = match is_small {
        true => pack(),
        false => tokio::task::spawn_blocking(pack).await.unwrap_or_default(),
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, packed.into())
}
