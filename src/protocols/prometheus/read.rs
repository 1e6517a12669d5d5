//! `POST /api/v1/read`: remote read, as one message of samples or as a stream of chunks.

use super::envelope::{ApiError, Context};
use super::export::each_series;
use crate::reply;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use model::is_stale;
use promql::{MatchOp, Matcher};
use std::ops::RangeInclusive;
use wire::Encoding;
use wire::remote_read::{
    ReadMatch, ReadMatcher, ReadQuery, ReadRequest, ReadSeries, append_chunked_frame,
    decode_read_request, encode_read_response, snappy,
};

const STREAM: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

pub(super) fn read(context: &Context) -> Result<Response, ApiError> {
    let call = &context.call;
    let plain = wire::decompress(Encoding::Snappy, &call.body, call.decompressed_max)
        .map_err(|error| ApiError::bad(error.to_string()))?;
    let ReadRequest { queries, takes_chunks } =
        decode_read_request(&plain).map_err(|error| ApiError::bad(error.to_string()))?;
    let results = queries.iter().map(|query| answer(context, query));
    let results = results.collect::<Result<Vec<_>, _>>()?;
    let has_histograms = results.iter().flatten().any(|series| !series.histograms.is_empty());
    // Clients that take chunks take samples too, and only samples can hold histograms here.
    match takes_chunks && !has_histograms {
        true => Ok(reply::of(StatusCode::OK, STREAM, stream(&results))),
        false => samples(&results),
    }
}

fn samples(results: &[Vec<ReadSeries>]) -> Result<Response, ApiError> {
    let too_large = || ApiError::bad("the answer is too large for one message");
    let packed = snappy(&encode_read_response(results)).ok_or_else(too_large)?;
    let mut response = reply::of(StatusCode::OK, "application/x-protobuf", packed);
    let encoding = HeaderValue::from_static("snappy");
    response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
    Ok(response)
}

fn stream(results: &[Vec<ReadSeries>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, result) in results.iter().enumerate() {
        for series in result.iter().filter(|series| !series.floats.is_empty()) {
            append_chunked_frame(index, &series.labels, &series.floats, &mut out);
        }
    }
    out
}

fn answer(context: &Context, query: &ReadQuery) -> Result<Vec<ReadSeries>, ApiError> {
    let matchers = query.matchers.iter().map(matcher).collect::<Result<Vec<_>, _>>()?;
    let range = query.start_ms..=query.end_ms;
    let mut out = Vec::new();
    each_series(context, &[matchers], (query.start_ms, query.end_ms), |labels, columns| {
        let floats =
            columns.floats.times.iter().copied().zip(columns.floats.values.iter().copied());
        let histograms = columns.histograms.times.iter().copied().zip(columns.histograms.values);
        let kept = within(&range);
        let series = ReadSeries {
            labels: labels.clone(),
            floats: floats.filter(|(time, value)| kept(*time) && !is_stale(*value)).collect(),
            histograms: histograms
                .filter(|(time, histogram)| kept(*time) && !is_stale(histogram.sum))
                .map(|(time, histogram)| (time, (**histogram).clone()))
                .collect(),
        };
        if !(series.floats.is_empty() && series.histograms.is_empty()) {
            out.push(series);
        }
    })?;
    out.sort_by(|left: &ReadSeries, right| left.labels.cmp(&right.labels));
    Ok(out)
}

fn within(range: &RangeInclusive<i64>) -> impl Fn(i64) -> bool {
    move |time| range.contains(&time)
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
