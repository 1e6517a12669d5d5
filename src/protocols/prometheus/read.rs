//! `POST /api/v1/read`: remote read, as a stream of chunks or as one message of samples.
//!
//! A stream is written while it is sent. One message is compressed as a whole, so it is built in memory
//! first and may not have more samples than a query may hold.

use super::Prometheus;
use super::envelope::{ApiError, Context};
use super::selected::{Order, each_series};
use crate::api::stream::{Head, Pieces};
use crate::api::{Api as _, mistake, run_in_pool, stream_to};
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use crate::{Call, reply};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use metric_store::SeriesSamples;
use model::{Labels, MatchOp, Matcher, is_stale};
use promql::QueryError;
use std::sync::Arc;
use wire::Encoding;
use wire::remote_read::{
    ReadMatch, ReadMatcher, ReadQuery, ReadRequest, ReadSeries, append_chunked_frames,
    decode_read_request, encode_read_response, snappy,
};

const STREAM: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// A client that accepts chunks is sent them while they are made, any other one message.
pub(super) async fn serve(prometheus: Arc<Prometheus>, call: Call) -> Response {
    let decode = move || (request(&call), call);
    let (request, call) = match tokio::task::spawn_blocking(decode).await {
        Ok((Ok(request), call)) => (request, call),
        Ok((Err(error), _)) => return Prometheus::failure(&error),
        Err(_) => return Prometheus::failure(&mistake().into()),
    };
    if request.takes_chunks {
        let head = Head { content_type: STREAM, is_gzip: false };
        let write = move |context: &Context, pieces: &mut Pieces<ApiError>| {
            chunks(context, &request, pieces)
        };
        return stream_to(prometheus, call, head, write).await;
    }
    run_in_pool(prometheus, call, move |context: &Context| samples(context, &request)).await
}

fn request(call: &Call) -> Result<ReadRequest, ApiError> {
    let plain = wire::decompress(Encoding::Snappy, &call.body, call.decompressed_max)
        .map_err(|error| ApiError::bad(error.to_string()))?;
    decode_read_request(&plain).map_err(|error| ApiError::bad(error.to_string()))
}

/// Answers everything in one message.
fn samples(context: &Context, request: &ReadRequest) -> Result<Response, ApiError> {
    let mut room = context.services().metric_options.engine.samples_max;
    let mut results = Vec::new();
    for query in &request.queries {
        let mut result = Vec::new();
        answer(context, query, |series| {
            let count = series.floats.len() + series.histograms.len();
            let left = room.checked_sub(count).ok_or(query::QueryError::TooManySamples);
            room = left.map_err(QueryError::from)?;
            result.push(series);
            Ok(())
        })?;
        results.push(result);
    }
    let too_large = || {
        ApiError::bad(
            "the answer is too large for one message: take STREAMED_XOR_CHUNKS, or ask for less",
        )
    };
    let packed = snappy(&encode_read_response(&results)).ok_or_else(too_large)?;
    let mut response = reply::of(StatusCode::OK, "application/x-protobuf", packed);
    let encoding = HeaderValue::from_static("snappy");
    response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
    Ok(response)
}

fn chunks(
    context: &Context,
    request: &ReadRequest,
    pieces: &mut Pieces<ApiError>,
) -> Result<(), ApiError> {
    let frame_size = context.api.settings.read_frame_size.length();
    for (index, query) in request.queries.iter().enumerate() {
        answer(context, query, |series| {
            append_chunked_frames(index, &series, frame_size, &mut pieces.out);
            Ok(pieces.ready()?)
        })?;
    }
    Ok(())
}

fn answer(
    context: &Context,
    query: &ReadQuery,
    mut take: impl FnMut(ReadSeries) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let matchers = query.matchers.iter().map(matcher).collect::<Result<Vec<_>, _>>()?;
    let start_ms = query.start_ms.clamp(TIME_MIN_MS, TIME_MAX_MS);
    let range = (start_ms, query.end_ms.clamp(start_ms, TIME_MAX_MS));
    each_series(context, &[matchers], range, Order::Labels, |labels, columns| {
        let series = read_series(labels, columns, query);
        match series.floats.is_empty() && series.histograms.is_empty() {
            true => Ok(()),
            false => take(series),
        }
    })
}

fn read_series(labels: &Labels, columns: SeriesSamples<'_>, query: &ReadQuery) -> ReadSeries {
    let kept = |time: i64| (query.start_ms..=query.end_ms).contains(&time);
    let floats = columns.floats.times.iter().copied().zip(columns.floats.values.iter().copied());
    let histograms = columns.histograms.times.iter().copied().zip(columns.histograms.values);
    ReadSeries {
        labels: labels.clone(),
        floats: floats.filter(|(time, value)| kept(*time) && !is_stale(*value)).collect(),
        histograms: histograms
            .filter(|(time, histogram)| kept(*time) && !is_stale(histogram.sum))
            .map(|(time, histogram)| (time, (**histogram).clone()))
            .collect(),
    }
}

fn matcher(asked: &ReadMatcher) -> Result<Matcher, ApiError> {
    let op = match asked.op {
        ReadMatch::Equal => MatchOp::Equal,
        ReadMatch::NotEqual => MatchOp::NotEqual,
        ReadMatch::Regex => MatchOp::Regex,
        ReadMatch::NotRegex => MatchOp::NotRegex,
    };
    Matcher::new(op, &asked.name, &asked.value).map_err(ApiError::bad)
}
