//! Remote read: questions of other Prometheus servers, and the two shapes of answers.
//!
//! Lives here: the request's decoder, the answer with all samples in one message, and the stream of
//! frames with XOR chunks (`chunk`).
//! Not here: snappy around requests and whole answers (see `decompress`), what matches.

mod chunk;

pub use chunk::{CHUNK_SAMPLES, xor_chunk};

use crate::protobuf::{Field, ProtobufError, Reader, Writer};
use model::{Buckets, FloatHistogram, Labels, ResetHint};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMatch {
    #[default]
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadMatcher {
    pub op: ReadMatch,
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadQuery {
    pub start_ms: i64,
    pub end_ms: i64,
    pub matchers: Vec<ReadMatcher>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadRequest {
    pub queries: Vec<ReadQuery>,
    /// The client takes a stream of chunks.
    pub takes_chunks: bool,
}

/// More than any client asks at once.
const QUERIES_MAX: usize = 1_000;
const MATCHERS_MAX: usize = 1_000;

pub fn decode_read_request(request: &[u8]) -> Result<ReadRequest, ProtobufError> {
    let mut out = ReadRequest::default();
    let mut reader = Reader::new(request);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 if out.queries.len() == QUERIES_MAX => {
                return Err(ProtobufError::TooMany { what: "queries", limit: QUERIES_MAX });
            }
            1 => out.queries.push(query(field)?),
            2 => field.each_varint(|kind| out.takes_chunks |= kind == 1)?,
            _ => {}
        }
    }
    Ok(out)
}

fn query(field: Field<'_>) -> Result<ReadQuery, ProtobufError> {
    let mut out = ReadQuery::default();
    let mut reader = field.message()?;
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => out.start_ms = field.signed()?,
            2 => out.end_ms = field.signed()?,
            3 if out.matchers.len() == MATCHERS_MAX => {
                return Err(ProtobufError::TooMany { what: "matchers", limit: MATCHERS_MAX });
            }
            3 => out.matchers.push(matcher(field)?),
            _ => {}
        }
    }
    Ok(out)
}

fn matcher(field: Field<'_>) -> Result<ReadMatcher, ProtobufError> {
    let mut out = ReadMatcher::default();
    let mut reader = field.message()?;
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => {
                out.op = match field.unsigned()? {
                    1 => ReadMatch::NotEqual,
                    2 => ReadMatch::Regex,
                    3 => ReadMatch::NotRegex,
                    _ => ReadMatch::Equal,
                }
            }
            2 => field.text()?.clone_into(&mut out.name),
            3 => field.text()?.clone_into(&mut out.value),
            _ => {}
        }
    }
    Ok(out)
}

/// One series of an answer.
#[derive(Clone, Debug, Default)]
pub struct ReadSeries {
    pub labels: Labels,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, FloatHistogram)>,
}

/// A `ReadResponse`: for each query its series, whole.
pub fn encode_read_response(results: &[Vec<ReadSeries>]) -> Vec<u8> {
    let mut writer = Writer::new();
    for result in results {
        writer.message(1, |result_writer| {
            for series in result {
                result_writer.message(1, |writer| write_series(writer, series));
            }
        });
    }
    writer.into_bytes()
}

fn write_labels(writer: &mut Writer, labels: &Labels) {
    for (name, value) in labels.iter() {
        writer.message(1, |label| {
            label.text(1, name);
            label.text(2, value);
        });
    }
}

fn write_series(writer: &mut Writer, series: &ReadSeries) {
    write_labels(writer, &series.labels);
    for (time_ms, value) in &series.floats {
        writer.message(2, |sample| {
            sample.double(1, *value);
            sample.signed(2, *time_ms);
        });
    }
    for (time_ms, histogram) in &series.histograms {
        writer.message(4, |writer| write_histogram(writer, *time_ms, histogram));
    }
}

fn write_histogram(writer: &mut Writer, time_ms: i64, histogram: &FloatHistogram) {
    writer.double(2, histogram.count);
    writer.double(3, histogram.sum);
    writer.zigzag(4, histogram.schema.into());
    writer.double(5, histogram.zero_threshold);
    writer.double(7, histogram.zero_count);
    write_side(writer, [8, 10], &histogram.negative);
    write_side(writer, [11, 13], &histogram.positive);
    let hint = match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    writer.varint(14, hint);
    writer.signed(15, time_ms);
    if !histogram.custom_bounds.is_empty() {
        writer.packed_doubles(16, &histogram.custom_bounds);
    }
}

fn write_side(writer: &mut Writer, [spans, counts]: [u32; 2], side: &Buckets) {
    for span in &side.spans {
        writer.message(spans, |writer| {
            writer.zigzag(1, span.offset.into());
            writer.varint(2, span.length.into());
        });
    }
    if !side.counts.is_empty() {
        writer.packed_doubles(counts, &side.counts);
    }
}

/// Appends the frame of a `ChunkedReadResponse` with one series: length, CRC32C, message.
pub fn append_chunked_frame(
    query_index: usize,
    labels: &Labels,
    floats: &[(i64, f64)],
    out: &mut Vec<u8>,
) {
    let mut message = Writer::new();
    message.message(1, |series| {
        write_labels(series, labels);
        for samples in floats.chunks(CHUNK_SAMPLES) {
            let [first, last] = [samples[0].0, samples[samples.len() - 1].0];
            series.message(2, |chunk| {
                chunk.signed(1, first);
                chunk.signed(2, last);
                chunk.varint(3, 1);
                chunk.bytes(4, &xor_chunk(samples));
            });
        }
    });
    message.varint(2, query_index as u64);
    let message = message.into_bytes();
    let mut length = message.len() as u64;
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    out.extend_from_slice(&message);
}

/// In snappy's block format, as requests and whole answers travel.
pub fn snappy(plain: &[u8]) -> Option<Vec<u8>> {
    snap::raw::Encoder::new().compress_vec(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_read() {
        let mut writer = Writer::new();
        writer.message(1, |query| {
            query.signed(1, -5);
            query.signed(2, 10);
            query.message(3, |matcher| {
                matcher.varint(1, 2);
                matcher.text(2, "job");
                matcher.text(3, "a.*");
            });
        });
        writer.varint(2, 1);
        let matcher =
            ReadMatcher { op: ReadMatch::Regex, name: "job".to_owned(), value: "a.*".to_owned() };
        let query = ReadQuery { start_ms: -5, end_ms: 10, matchers: vec![matcher] };
        let expected = ReadRequest { queries: vec![query], takes_chunks: true };
        assert_eq!(decode_read_request(&writer.into_bytes()), Ok(expected));
    }

    #[test]
    fn frames_carry_their_length_and_checksum() {
        let labels = Labels::from_pairs([("__name__", "up")]);
        let mut out = Vec::new();
        append_chunked_frame(0, &labels, &[(1, 1.0), (2, 2.0)], &mut out);
        assert_eq!(usize::from(out[0]), out.len() - 5);
        let checksum = u32::from_be_bytes([out[1], out[2], out[3], out[4]]);
        assert_eq!(checksum, crc32c::crc32c(&out[5..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = decode_read_request(&bytes);
        }
    }
}
