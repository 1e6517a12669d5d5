//! The decoder of requests and the writers of answers against the generated types of
//! `crate::proto`.

use super::*;
use crate::proto::prometheus as proto;
use model::BucketSpan;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use proto::histogram::{Count, ZeroCount};
use proto::{ChunkedReadResponse, LabelMatcher, Query, TimeSeries, label_matcher};

fn request_with(queries: Vec<Query>, accepted_response_types: Vec<i32>) -> Vec<u8> {
    proto::ReadRequest { queries, accepted_response_types }.encode_to_vec()
}

#[test]
fn requests_are_read() {
    let matcher = LabelMatcher {
        r#type: label_matcher::Type::Re.into(),
        name: "job".to_owned(),
        value: "a.*".to_owned(),
    };
    let query = Query { start_timestamp_ms: -5, end_timestamp_ms: 10, matchers: vec![matcher] };
    let matcher =
        ReadMatcher { op: ReadMatch::Regex, name: "job".to_owned(), value: "a.*".to_owned() };
    let read = ReadQuery { start_ms: -5, end_ms: 10, matchers: vec![matcher] };
    let expected = ReadRequest { queries: vec![read], takes_chunks: true };
    assert_eq!(decode_read_request(&request_with(vec![query], vec![1])), Ok(expected));
}

#[test]
fn requests_with_too_many_queries_are_refused() {
    let most = request_with(vec![Query::default(); QUERIES_MAX], vec![]);
    assert_eq!(decode_read_request(&most).unwrap().queries.len(), QUERIES_MAX);
    let over = request_with(vec![Query::default(); QUERIES_MAX + 1], vec![]);
    assert!(matches!(decode_read_request(&over), Err(ProtobufError::TooMany { .. })));
}

#[test]
fn frames_carry_their_length_and_checksum() {
    let labels = Labels::from_pairs([("__name__", "up")]);
    let mut out = Vec::new();
    let floats = vec![(1, 1.0), (2, 2.0)];
    let series = ReadSeries { labels, floats, ..ReadSeries::default() };
    append_chunked_frames(0, &series, 1 << 20, &mut out);
    assert_eq!(usize::from(out[0]), out.len() - 5);
    let checksum = u32::from_be_bytes([out[1], out[2], out[3], out[4]]);
    assert_eq!(checksum, crc32c::crc32c(&out[5..]));
}

#[test]
fn chunks_follow_in_time_and_frames_end_at_their_size() {
    let series = ReadSeries {
        labels: Labels::from_pairs([("__name__", "mixed")]),
        floats: (0..300).filter(|time| time % 100 != 50).map(|time| (time, 1.0)).collect(),
        histograms: [50, 150, 250, 400, 401].map(|time| (time, FloatHistogram::default())).to_vec(),
    };
    let spans: Vec<_> = chunks(&series).map(|c| (c.first_ms, c.last_ms, c.kind)).collect();
    let expected = [
        (0, 49, 1),
        (50, 50, 3),
        (51, 149, 1),
        (150, 150, 3),
        (151, 249, 1),
        (250, 250, 3),
        (251, 299, 1),
        (400, 401, 3),
    ];
    assert_eq!(spans, expected);
    let frames = |size_max| frames(&series, size_max).len();
    assert_eq!((frames(1 << 20), frames(0)), (1, 8));
}

/// A series' frames, their lengths and checksums taken off.
fn frames(series: &ReadSeries, size_max: usize) -> Vec<ChunkedReadResponse> {
    let mut bytes = Vec::new();
    append_chunked_frames(7, series, size_max, &mut bytes);
    let (mut rest, mut frames) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let length = prost::decode_length_delimiter(&mut rest).unwrap();
        let (checksum, message) = rest.split_at(4);
        let (message, after) = message.split_at(length);
        assert_eq!(checksum, crc32c::crc32c(message).to_be_bytes());
        frames.push(ChunkedReadResponse::decode(message).unwrap());
        rest = after;
    }
    frames
}

fn labels_of(labels: &[proto::Label]) -> Labels {
    Labels::from_pairs(labels.iter().map(|label| (label.name.as_str(), label.value.as_str())))
}

fn side_of(spans: &[proto::BucketSpan], counts: &[f64]) -> Buckets {
    let span = |span: &proto::BucketSpan| BucketSpan { offset: span.offset, length: span.length };
    Buckets { spans: spans.iter().map(span).collect(), counts: counts.to_vec() }
}

fn histogram_of(read: &proto::Histogram) -> (i64, FloatHistogram) {
    let Some(Count::CountFloat(count)) = read.count else { panic!("a float histogram") };
    let Some(ZeroCount::ZeroCountFloat(zero_count)) = read.zero_count else {
        panic!("a float histogram")
    };
    let hints = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];
    let histogram = FloatHistogram {
        count,
        zero_count,
        sum: read.sum,
        schema: read.schema,
        zero_threshold: read.zero_threshold,
        positive: side_of(&read.positive_spans, &read.positive_counts),
        negative: side_of(&read.negative_spans, &read.negative_counts),
        reset_hint: hints[read.reset_hint as usize],
        custom_bounds: read.custom_values.clone().into(),
    };
    (read.timestamp, histogram)
}

/// A series of an answer, as prost reads it.
fn series_of(read: &TimeSeries) -> ReadSeries {
    ReadSeries {
        labels: labels_of(&read.labels),
        floats: read.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect(),
        histograms: read.histograms.iter().map(histogram_of).collect(),
    }
}

fn side() -> impl Strategy<Value = Buckets> {
    let spans = vec((-9i32..9, 0u32..4), 0..3).prop_map(|spans| {
        spans.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect()
    });
    (spans, vec(any::<f64>(), 0..5)).prop_map(|(spans, counts)| Buckets { spans, counts })
}

prop_compose! {
    fn histogram()(
        (count, zero_count, sum, zero_threshold, schema) in any::<(f64, f64, f64, f64, i32)>(),
        (positive, negative) in (side(), side()),
        reset_hint in prop_oneof![Just(ResetHint::Unknown), Just(ResetHint::Gauge)],
        bounds in vec(any::<f64>(), 0..3),
    ) -> FloatHistogram {
        FloatHistogram {
            count, zero_count, sum, zero_threshold, schema, positive, negative, reset_hint,
            custom_bounds: bounds.into(),
        }
    }
}

prop_compose! {
    fn series()(
        labels in prop::collection::btree_map("[a-z]{1,5}", "[a-z]{1,5}", 0..4),
        floats in vec(any::<(i64, f64)>(), 0..4),
        histograms in vec((any::<i64>(), histogram()), 0..3),
    ) -> ReadSeries {
        let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        ReadSeries { labels: Labels::from_pairs(pairs), floats, histograms }
    }
}

prop_compose! {
    fn query()(
        (start_timestamp_ms, end_timestamp_ms) in any::<(i64, i64)>(),
        matchers in vec((-1i32..5, ".{0,3}", ".{0,3}"), 0..3),
    ) -> Query {
        let matcher = |(r#type, name, value)| LabelMatcher { r#type, name, value };
        let matchers = matchers.into_iter().map(matcher).collect();
        Query { start_timestamp_ms, end_timestamp_ms, matchers }
    }
}

/// What the decoder has to make of a query that prost has read.
fn expected_query(query: Query) -> ReadQuery {
    let op = |number| match label_matcher::Type::try_from(number) {
        Ok(label_matcher::Type::Neq) => ReadMatch::NotEqual,
        Ok(label_matcher::Type::Re) => ReadMatch::Regex,
        Ok(label_matcher::Type::Nre) => ReadMatch::NotRegex,
        Ok(label_matcher::Type::Eq) | Err(_) => ReadMatch::Equal,
    };
    let matcher = |matcher: LabelMatcher| ReadMatcher {
        op: op(matcher.r#type),
        name: matcher.name,
        value: matcher.value,
    };
    ReadQuery {
        start_ms: query.start_timestamp_ms,
        end_ms: query.end_timestamp_ms,
        matchers: query.matchers.into_iter().map(matcher).collect(),
    }
}

proptest! {
    #[test]
    fn requests_are_read_as_prost_reads_them(
        queries in vec(query(), 0..4), accepted in vec(0i32..3, 0..3)
    ) {
        let bytes = request_with(queries, accepted);
        let request = proto::ReadRequest::decode(&bytes[..]).unwrap();
        let expected = ReadRequest {
            takes_chunks: request.accepted_response_types.contains(&1),
            queries: request.queries.into_iter().map(expected_query).collect(),
        };
        prop_assert_eq!(decode_read_request(&bytes), Ok(expected));
    }

    #[test]
    fn answers_are_read_by_prost_as_they_were_written(
        results in vec(vec(series(), 0..3), 0..3)
    ) {
        let bytes = encode_read_response(&results);
        let response = proto::ReadResponse::decode(&bytes[..]).unwrap();
        let read = response.results.iter();
        let read: Vec<Vec<_>> =
            read.map(|result| result.timeseries.iter().map(series_of).collect()).collect();
        prop_assert_eq!(read, results);
    }

    #[test]
    fn frames_name_their_query_series_and_times(series in series()) {
        for frame in frames(&series, 1) {
            prop_assert_eq!(frame.query_index, 7);
            prop_assert_eq!(frame.chunked_series.len(), 1);
            prop_assert_eq!(labels_of(&frame.chunked_series[0].labels), series.labels.clone());
            for chunk in &frame.chunked_series[0].chunks {
                let is_float = chunk.r#type() == proto::chunk::Encoding::Xor;
                let first = match is_float {
                    true => series.floats.iter().any(|(time, _)| *time == chunk.min_time_ms),
                    false => series.histograms.iter().any(|(time, _)| *time == chunk.min_time_ms),
                };
                prop_assert!(first && !chunk.data.is_empty());
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = decode_read_request(&bytes);
    }
}
