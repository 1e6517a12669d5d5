//! `POST /api/v1/write`: remote write 1.0 and 2.0.
//!
//! A sender sends a request again when it is answered with 5xx or 429, and drops its data when it
//! is answered with any other 4xx. So data that can never be stored is answered with 400, and data
//! that may be stored later with 503 and `Retry-After`.

use super::Prometheus;
use crate::Call;
use crate::commit::{Committed, commit, room_for_batch};
use crate::guard::{ExtraLabels, Guard, Window, count_refused};
use crate::reply;
use crate::services::{ServiceError, Services};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use metric_store::MetricBatch;
use model::{ErrorKind, TenantId};
use observe::{Event, Fields, Level, Seldom};
use std::cell::RefCell;
use std::sync::Arc;
use wire::{
    Decoded, Encoding, HISTOGRAM_KIND, Rejections, WriteScratch, decode_write_v1, decode_write_v2,
    decompress_into,
};

const VERSION_1: &str = "prometheus.WriteRequest";
const VERSION_2: &str = "io.prometheus.write.v2.Request";
/// Memory that a worker thread keeps between requests.
const BUFFER_KEPT: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Logs once a minute at most: a misconfigured sender sends the same series every few seconds.
static SAID: Seldom = Seldom::new(60_000);

/// A request was stored without some of its series, and its sender was not told.
struct SeriesLeftOut<'a> {
    tenant: &'a TenantId,
    refused: &'a Rejections,
    unsaid: u64,
}

impl Event for SeriesLeftOut<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "a remote write was stored without some of its series";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("tenant", self.tenant);
        fields.integer("left_out", self.refused.count);
        fields.text("reasons", self.refused.summary());
        fields.integer("such_requests_unsaid", self.unsaid);
    }
}

/// Buffers that a worker thread keeps, to use them again for its next request.
#[derive(Default)]
struct Buffers {
    plain: Vec<u8>,
    scratch: WriteScratch,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

pub(super) async fn write(prometheus: Arc<Prometheus>, call: Call) -> Response {
    let (version, encoding) = match negotiate(&call).and_then(|v| Ok((v, encoding(&call)?))) {
        Ok(negotiated) => negotiated,
        Err(message) => return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message + "\n"),
    };
    let tenant = call.tenant.clone();
    let fill = {
        let prometheus = Arc::clone(&prometheus);
        move |call: &Call, batch: &mut MetricBatch| {
            fill(prometheus.services(), call, version, encoding, batch)
        }
    };
    match commit(prometheus.services(), call, fill).await {
        Ok((refused, committed)) => answer(version, refused, committed, |refused| {
            if let Some(unsaid) = SAID.admits(prometheus.services().clock.wall_ms()) {
                observe::emit(&SeriesLeftOut { tenant: &tenant, refused, unsaid });
            }
        }),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

/// The version is a parameter of the content type; without it, it is version 1.
fn negotiate(call: &Call) -> Result<Version, String> {
    let content_type = call.header("content-type");
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or("");
    if !media_type.is_empty() && !media_type.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(format!("expected application/x-protobuf as the media type, got {media_type}"));
    }
    match parts.find_map(|part| part.strip_prefix("proto=")) {
        None | Some(VERSION_1) => Ok(Version::One),
        Some(VERSION_2) => Ok(Version::Two),
        Some(other) => Err(format!(
            "{other} protobuf message is not accepted by this server; accepted {VERSION_1}, {VERSION_2}"
        )),
    }
}

/// Snappy, which is also meant when the header is missing; or zstd, as vmagent sends it.
fn encoding(call: &Call) -> Result<Encoding, String> {
    match call.header("content-encoding") {
        "" => Ok(Encoding::Snappy),
        named => match Encoding::from_header(named) {
            Some(encoding @ (Encoding::Snappy | Encoding::Zstd)) => Ok(encoding),
            _ => Err(format!(
                "{named} encoding (compression) is not accepted by this server; only snappy and zstd are acceptable"
            )),
        },
    }
}

/// The parts of a request that did not get into its batch.
struct Refused {
    /// Series that can't be stored: their labels or histograms are bad.
    malformed: Rejections,
    /// Samples of good series at times that can't be stored.
    untimely: Rejections,
}

fn fill(
    services: &Services,
    call: &Call,
    version: Version,
    encoding: Encoding,
    batch: &mut MetricBatch,
) -> Result<Refused, ServiceError> {
    let limits = services.metric_options.labels;
    let mut guard =
        Guard::new(batch, Window::now(services, &call.tenant)).with_labels(ExtraLabels::of(call)?);
    let invalid = |message: String| ServiceError::new(ErrorKind::Invalid, message);
    let decoded: Decoded = BUFFERS.with_borrow_mut(|buffers| {
        let Buffers { plain, scratch } = buffers;
        decompress_into(encoding, &call.body, call.decompressed_max, &mut &call.held, plain)
            .map_err(|error| ServiceError::new(error.kind(), error.to_string()))?;
        room_for_batch(call, plain.len())?;
        let decoded = match version {
            Version::One => decode_write_v1(plain, &limits, scratch, &mut guard)
                .map_err(|error| invalid(error.to_string()))?,
            Version::Two => decode_write_v2(plain, &limits, scratch, &mut guard)
                .map_err(|error| invalid(error.to_string()))?,
        };
        plain.clear();
        plain.shrink_to(BUFFER_KEPT);
        Ok::<_, ServiceError>(decoded)
    })?;
    let refused = Refused { malformed: decoded.rejected, untimely: guard.rejected };
    count_refused(&refused.malformed);
    count_refused(&refused.untimely);
    Ok(refused)
}

/// Senders of version 1 are told of series with bad labels only when nothing was stored, as with
/// Prometheus' own receiver; a counter and a line of the server's log tell the operator. They are
/// always told of other refusals. The rest is stored either way, and the headers say how much.
fn answer(
    version: Version,
    refused: Refused,
    committed: Committed,
    tell: impl FnOnce(&Rejections),
) -> Response {
    let Committed { samples, histograms, exemplars, rejected } = committed;
    let stored = samples + histograms + exemplars;
    let has_bad_histograms =
        refused.malformed.kinds.iter().any(|(kind, _)| *kind == HISTOGRAM_KIND);
    let mut all = refused.untimely;
    all.merge(rejected);
    let is_told = version == Version::Two || has_bad_histograms || !all.is_empty() || stored == 0;
    all.merge(refused.malformed);
    let mut response = match (all.is_empty(), is_told) {
        (false, true) => reply::text(StatusCode::BAD_REQUEST, all.summary() + "\n"),
        (false, false) => {
            tell(&all);
            reply::empty(StatusCode::NO_CONTENT)
        }
        (true, _) => reply::empty(StatusCode::NO_CONTENT),
    };
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", samples),
        ("x-prometheus-remote-write-histograms-written", histograms),
        ("x-prometheus-remote-write-exemplars-written", exemplars),
    ] {
        response.headers_mut().insert(name, HeaderValue::from(count));
    }
    response
}
