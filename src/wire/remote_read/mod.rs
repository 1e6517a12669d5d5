//! Remote read: queries of other Prometheus servers, and the two forms of answers.
//!
//! Lives here: the request's decoder, the answer with all samples in one message, and the stream of
//! frames with XOR chunks (`chunk`).
//! Not here: snappy around requests (see `decompress`), which series match.

mod chunk;

pub use chunk::{CHUNK_SAMPLES, histogram_chunk, xor_chunk};

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
    /// The client accepts a stream of chunks.
    pub takes_chunks: bool,
}

/// More than any client sends in one request.
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
#[derive(Clone, Debug, Default, PartialEq)]
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

/// How Prometheus numbers the kinds of chunks.
const XOR_CHUNK: u64 = 1;
const FLOAT_HISTOGRAM_CHUNK: u64 = 3;

struct Chunk {
    first_ms: i64,
    last_ms: i64,
    kind: u64,
    data: Vec<u8>,
}

/// Floats and histograms of a series as chunks, in rising order of time.
struct Chunks<'a> {
    floats: &'a [(i64, f64)],
    histograms: &'a [(i64, FloatHistogram)],
}

fn chunks(series: &ReadSeries) -> Chunks<'_> {
    Chunks { floats: &series.floats, histograms: &series.histograms }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        match (self.floats.first(), self.histograms.first()) {
            (None, None) => None,
            (Some((float_ms, _)), Some((histogram_ms, _))) if float_ms < histogram_ms => {
                Some(self.float_chunk(*histogram_ms))
            }
            (Some(_), None) => Some(self.float_chunk(i64::MAX)),
            (until, Some(_)) => Some(self.histogram_chunk(until.map_or(i64::MAX, |float| float.0))),
        }
    }
}

impl Chunks<'_> {
    /// Of the first floats, as far as nothing of the other kind comes between.
    fn float_chunk(&mut self, until_ms: i64) -> Chunk {
        let run = self.floats.iter().take(CHUNK_SAMPLES);
        let run = run.take_while(|(time_ms, _)| *time_ms <= until_ms).count();
        let (samples, rest) = self.floats.split_at(run);
        self.floats = rest;
        let (kind, data) = (XOR_CHUNK, xor_chunk(samples));
        Chunk { first_ms: samples[0].0, last_ms: samples[run - 1].0, kind, data }
    }

    fn histogram_chunk(&mut self, until_ms: i64) -> Chunk {
        let run = self.histograms.iter().take(CHUNK_SAMPLES);
        let run = run.take_while(|(time_ms, _)| *time_ms <= until_ms).count();
        let (count, data) = histogram_chunk(&self.histograms[..run]);
        let (samples, rest) = self.histograms.split_at(count);
        self.histograms = rest;
        let kind = FLOAT_HISTOGRAM_CHUNK;
        Chunk { first_ms: samples[0].0, last_ms: samples[count - 1].0, kind, data }
    }
}

/// Appends frames of a `ChunkedReadResponse` with one series: each its length, CRC32C, message. A
/// frame ends when its chunks pass `size_max` bytes.
pub fn append_chunked_frames(
    query_index: usize,
    series: &ReadSeries,
    size_max: usize,
    out: &mut Vec<u8>,
) {
    let mut waiting = Vec::new();
    let mut size = 0;
    for chunk in chunks(series) {
        size += chunk.data.len();
        waiting.push(chunk);
        if size >= size_max {
            append_frame(query_index, &series.labels, &waiting, out);
            waiting.clear();
            size = 0;
        }
    }
    if !waiting.is_empty() {
        append_frame(query_index, &series.labels, &waiting, out);
    }
}

fn append_frame(query_index: usize, labels: &Labels, chunks: &[Chunk], out: &mut Vec<u8>) {
    let mut message = Writer::new();
    message.message(1, |series| {
        write_labels(series, labels);
        for Chunk { first_ms, last_ms, kind, data } in chunks {
            series.message(2, |chunk| {
                chunk.signed(1, *first_ms);
                chunk.signed(2, *last_ms);
                chunk.varint(3, *kind);
                chunk.bytes(4, data);
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
mod tests;
