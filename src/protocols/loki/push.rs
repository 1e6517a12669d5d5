//! `POST /loki/api/v1/push`: lines of streams, in protobuf or JSON.
//!
//! A sender drops its data when it is answered with 400, and sends it again when it is answered with
//! 429 or 5xx. So what can never be stored is answered with 400, while the rest of the request is
//! stored; what may be stored later is answered with 503.

use super::Loki;
use super::routes::LokiRoute;
use crate::logs::{CommittedLogs, Guard, commit, room_for_lines};
use crate::services::ServiceError;
use crate::{Access, Body, Call, handler, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use model::ErrorKind;
use std::cell::RefCell;
use std::sync::Arc;
use wire::{
    DecodedLogs, DecompressError, Encoding, Rejections, decode_loki_push, decode_loki_push_json,
    decompress_into,
};

const fn pushing(path: &'static str, about: &'static str) -> LokiRoute {
    let (methods, access, body) = (&[Method::POST], Access::Tenant(Scope::Write), Body::AsSent);
    let (needs_stores, handler, refuse) = (true, handler!(push), reply::refuse_plainly);
    LokiRoute { methods, path, access, body, needs_stores, handler, refuse, about }
}

pub(super) static ROUTES: &[LokiRoute] = &[
    pushing("/loki/api/v1/push", "Loki's push: protobuf in snappy, or JSON"),
    pushing("/loki/loki/api/v1/push", "The same under its prefix"),
    pushing("/api/prom/push", "The same under its old name"),
    pushing("/loki/api/prom/push", "The same under its old name and its prefix"),
    pushing("/insert/loki/api/v1/push", "The same under VictoriaLogs' name"),
];

/// Memory that a worker thread keeps between requests.
const BUFFER_KEPT: usize = 4 << 20;

/// Buffers that a worker thread keeps, to use them again for its next request.
#[derive(Default)]
struct Buffers {
    plain: Vec<u8>,
    unpacked: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

async fn push(loki: Arc<Loki>, call: Call) -> Response {
    let named = call.header("content-encoding");
    let Some(encoding) = Encoding::from_header(named) else {
        let message = format!(
            "Content-Encoding {named:?} not supported: send snappy, gzip, deflate, zstd or none\n"
        );
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    };
    let media = call.header("content-type").split(';').next().unwrap_or("").trim();
    let format = match media.eq_ignore_ascii_case("application/json") {
        true => Format::Json,
        // Whatever else they are called, Loki takes them for protobuf.
        false => Format::Protobuf,
    };
    let fill = move |call: &Call, guard: &mut Guard<'_>| fill(call, format, encoding, guard);
    match commit(&loki.api.services, call, fill).await {
        Ok((had_streams, committed)) => answer(had_streams, &committed),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

fn answer(had_streams: bool, committed: &CommittedLogs) -> Response {
    let CommittedLogs { rejected, .. } = committed;
    if !rejected.is_empty() {
        let total = committed.lines + rejected.count;
        let summary = rejected.summary();
        let message = format!("{summary}, total ignored: {} out of {total}\n", rejected.count);
        return reply::text(StatusCode::BAD_REQUEST, message);
    }
    if !had_streams {
        let message = "error at least one valid stream is required for ingestion\n";
        return reply::text(StatusCode::UNPROCESSABLE_ENTITY, message);
    }
    reply::empty(StatusCode::NO_CONTENT)
}

/// Answers whether there was any stream.
fn fill(
    call: &Call,
    format: Format,
    encoding: Encoding,
    guard: &mut Guard<'_>,
) -> Result<(bool, Rejections), ServiceError> {
    guard.require_labels();
    let decoded = BUFFERS.with_borrow_mut(|buffers| {
        let decoded = match format {
            Format::Json => {
                let plain = &mut buffers.plain;
                unpack(call, encoding, &call.body, plain).map_err(unpacking)?;
                room_for_lines(&call.held, plain.len())?;
                decode_loki_push_json(plain, &mut &call.held, guard)
                    .map_err(|error| ServiceError::new(error.kind(), error.to_string()))?
            }
            Format::Protobuf => {
                let message = protobuf(call, encoding, buffers)?;
                room_for_lines(&call.held, message.len())?;
                decode_loki_push(message, guard)
                    .map_err(|error| ServiceError::new(ErrorKind::Invalid, error.to_string()))?
            }
        };
        for buffer in [&mut buffers.plain, &mut buffers.unpacked] {
            buffer.clear();
            buffer.shrink_to(BUFFER_KEPT);
        }
        Ok::<DecodedLogs, ServiceError>(decoded)
    })?;
    Ok((decoded.streams > 0 || !decoded.rejected.is_empty(), decoded.rejected))
}

/// Protobuf is packed with snappy whatever the header says; other encodings come around that, though
/// some senders replace snappy by them.
fn protobuf<'b>(
    call: &Call,
    encoding: Encoding,
    buffers: &'b mut Buffers,
) -> Result<&'b [u8], ServiceError> {
    let Buffers { plain, unpacked } = buffers;
    if matches!(encoding, Encoding::Identity | Encoding::Snappy) {
        unpack(call, Encoding::Snappy, &call.body, plain).map_err(unpacking)?;
        return Ok(plain);
    }
    unpack(call, encoding, &call.body, unpacked).map_err(unpacking)?;
    match unpack(call, Encoding::Snappy, unpacked, plain) {
        Ok(()) => Ok(plain),
        Err(DecompressError::Malformed { .. }) => Ok(unpacked),
        Err(error) => Err(unpacking(error)),
    }
}

fn unpack(
    call: &Call,
    encoding: Encoding,
    packed: &[u8],
    plain: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    decompress_into(encoding, packed, call.decompressed_max, &mut &call.held, plain)
}

fn unpacking(error: DecompressError) -> ServiceError {
    ServiceError::new(error.kind(), error.to_string())
}
