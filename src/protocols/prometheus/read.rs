//! `POST /api/v1/read`: remote read, as a stream of chunks or as one message of samples.
//!
//! A stream is written while it is sent. One message is compressed as a whole, so it is built in memory
//! first and may not have more samples than a query may hold.

use super::Prometheus;
use super::envelope::{ApiError, Context};
use super::selected::{Order, each_series};
use crate::api::stream::{Head, Pieces};
use crate::api::{Api as _, run_in_pool, stream_to};
use crate::bounds::unpack;
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use crate::{Call, reply};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use metric_store::SeriesSamples;
use model::{FloatHistogram, Labels, MatchOp, Matcher, is_stale};
use promql::QueryError;
use query::{Holding, RegexBudget, Weight};
use std::sync::Arc;
use wire::Encoding;
use wire::remote_read::{
    ReadMatch, ReadMatcher, ReadQuery, ReadRequest, ReadSeries, append_chunked_frames,
    decode_read_request, encode_read_response, snappy,
};

const STREAM: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// A client that accepts chunks is sent them while they are made, any other one message.
pub(super) async fn serve(prometheus: Arc<Prometheus>, call: Call) -> Response {
    let decode = move || (Asked::of(&call), call);
    let (asked, call) = match prometheus.services().work_turns.run(decode).await {
        Ok((Ok(asked), call)) => (asked, call),
        Ok((Err(error), _)) => return Prometheus::failure(&error),
        Err(error) => return Prometheus::failure(&error.into()),
    };
    if asked.takes_chunks {
        let head = Head { content_type: STREAM, is_gzip: false };
        let write = move |context: &Context, pieces: &mut Pieces<ApiError>| {
            chunks(context, &asked.queries, pieces)
        };
        return stream_to(prometheus, call, head, write).await;
    }
    run_in_pool(prometheus, call, move |context: &Context| samples(context, &asked.queries)).await
}

/// A request whose queries can all be answered: an error found later would break the answer off.
struct Asked {
    takes_chunks: bool,
    queries: Vec<Query>,
}

struct Query {
    range: (i64, i64),
    matchers: Vec<Matcher>,
}

impl Asked {
    fn of(call: &Call) -> Result<Self, ApiError> {
        let plain = unpack(call, Encoding::Snappy, &call.body)?;
        let ReadRequest { takes_chunks, queries } =
            decode_read_request(&plain).map_err(|error| ApiError::bad(error.to_string()))?;
        let mut regexes = RegexBudget::default();
        let queries = queries.iter().map(|query| Query::of(query, &mut regexes));
        let queries = queries.collect::<Result<_, _>>()?;
        Ok(Self { takes_chunks, queries })
    }
}

impl Query {
    fn of(asked: &ReadQuery, regexes: &mut RegexBudget) -> Result<Self, ApiError> {
        let counted = |asked: &ReadMatcher| {
            let matcher = matcher(asked)?;
            regexes.take(&matcher).map_err(|too_many| ApiError::bad(too_many.to_string()))?;
            Ok::<_, ApiError>(matcher)
        };
        let matchers = asked.matchers.iter().map(counted).collect::<Result<_, _>>()?;
        let start_ms = asked.start_ms.clamp(TIME_MIN_MS, TIME_MAX_MS);
        let range = (start_ms, asked.end_ms.clamp(start_ms, TIME_MAX_MS));
        // Nothing lies in a range that ends before it begins.
        let range = if asked.end_ms < asked.start_ms { (1, 0) } else { range };
        Ok(Self { range, matchers })
    }
}

/// Answers everything in one message. The series and the message made of them count as memory of a
/// query.
fn samples(context: &Context, queries: &[Query]) -> Result<Response, ApiError> {
    let memory = context.listing_memory();
    let mut results = Vec::new();
    for query in queries {
        let mut result = Vec::new();
        answer(context, query, &memory, |series| {
            // The series, its message, and the packed message are there at the same time.
            let weight = weight(&series);
            let weight = Weight { bytes: 3 * weight.bytes, ..weight };
            memory.take(weight).map_err(QueryError::from)?;
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
    queries: &[Query],
    pieces: &mut Pieces<ApiError>,
) -> Result<(), ApiError> {
    let memory = context.listing_memory();
    let frame_size = context.api.settings.read_frame_size.length();
    for (index, query) in queries.iter().enumerate() {
        answer(context, query, &memory, |series| {
            append_chunked_frames(index, &series, frame_size, &mut pieces.out);
            Ok(pieces.ready()?)
        })?;
    }
    Ok(())
}

fn answer(
    context: &Context,
    query: &Query,
    memory: &Holding,
    mut take: impl FnMut(ReadSeries) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let selectors = std::slice::from_ref(&query.matchers);
    each_series(context, selectors, query.range, Order::Labels, memory, |labels, columns| {
        let series = read_series(labels, columns, query.range);
        match series.floats.is_empty() && series.histograms.is_empty() {
            true => Ok(()),
            false => take(series),
        }
    })
}

/// What a series takes in memory.
fn weight(series: &ReadSeries) -> Weight {
    // A float sample is sixteen bytes.
    let histogram = |(_, one): &(i64, FloatHistogram)| 16 * one.sample_weight();
    let histograms: usize = series.histograms.iter().map(histogram).sum();
    Weight {
        samples: series.floats.len() + series.histograms.len(),
        bytes: series.labels.as_bytes().len() + size_of_val(&*series.floats) + histograms,
    }
}

fn read_series(labels: &Labels, columns: SeriesSamples<'_>, range: (i64, i64)) -> ReadSeries {
    let kept = |time: i64| (range.0..=range.1).contains(&time);
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
