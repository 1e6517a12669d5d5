//! Packing of answers that are in memory as a whole, in gzip or deflate. Streamed answers are packed by
//! `stream`, in gzip only.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use query::CancelFlag;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Smaller answers gain nothing.
const SIZE_MIN: usize = 1_024;
/// How much is packed between two looks at the flag.
const PIECE_SIZE: usize = 256 << 10;

/// How an answer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    /// With the header and checksum of zlib, as HTTP means it.
    Deflate,
}

impl Packing {
    const ALL: [Self; 2] = [Self::Gzip, Self::Deflate];

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The best that the client of a request with these headers accepts.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        Self::ALL.into_iter().find(|packing| accepts(headers, packing.name()))
    }

    /// `None` where the flag was raised meanwhile.
    fn pack(self, plain: &[u8], cancel: &CancelFlag) -> Option<Vec<u8>> {
        let (out, level) = (Vec::with_capacity(plain.len() / 4), Compression::fast());
        match self {
            Self::Gzip => write(GzEncoder::new(out, level), plain, cancel)?.finish(),
            Self::Deflate => write(ZlibEncoder::new(out, level), plain, cancel)?.finish(),
        }
        .map(Some)
        .expect("memory takes everything")
    }
}

fn write<W: io::Write>(mut encoder: W, plain: &[u8], cancel: &CancelFlag) -> Option<W> {
    for piece in plain.chunks(PIECE_SIZE) {
        if cancel.is_cancelled() {
            return None;
        }
        encoder.write_all(piece).expect("memory takes everything");
    }
    Some(encoder)
}

/// Whether the client of a request with these headers accepts gzip.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    accepts(headers, Packing::Gzip.name())
}

fn accepts(headers: &HeaderMap, name: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let refused = |weight: &str| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        parts.next() == Some(name) && !parts.any(refused)
    })
}

/// Packs an answer as its client accepts it, unless the answer is small or packed already. Either way
/// the answer says that it depends on what the client accepts. To be called where work may take its
/// time; it ends when the flag is raised.
pub(crate) fn packed(
    mut response: Response,
    accepted: Option<Packing>,
    cancel: &CancelFlag,
) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some(packing) = accepted else { return response };
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let plain = match whole(body) {
        Ok(plain) => plain,
        Err(body) => return Response::from_parts(parts, body),
    };
    if plain.len() < SIZE_MIN {
        return Response::from_parts(parts, plain.into());
    }
    let Some(packed) = packing.pack(&plain, cancel) else {
        // Nobody reads the answer.
        return Response::from_parts(parts, Body::empty());
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(packing.name()));
    Response::from_parts(parts, packed.into())
}

/// The bytes of a body that is in memory as a whole; any other body comes back.
fn whole(mut body: Body) -> Result<Bytes, Body> {
    let Some(length) = body.size_hint().exact() else { return Err(body) };
    if length == 0 {
        return Ok(Bytes::new());
    }
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().map_err(|_| body),
        _ => Err(body),
    }
}
