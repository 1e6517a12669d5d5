//! `prometheus.WriteRequest`: every series has the texts of its labels.

use super::{EXEMPLAR_KIND, Pairs, WriteScratch, fast, native_histogram, sample};
use crate::canonical::{BadLabels, LabelLimits, append_labels, keep_pair};
use crate::metric_sink::{Decoded, ExemplarRef, MetadataRef, MetricSink};
use crate::protobuf::{Field, ProtobufError, Reader};
use model::{METRIC_NAME, MetricKind};

const TIME_SERIES: u32 = 1;
const METADATA: u32 = 3;

const LABEL: u32 = 1;
const SAMPLE: u32 = 2;
const EXEMPLAR: u32 = 3;
const HISTOGRAM: u32 = 4;

/// Passes every series of a version 1 request to `sink`.
pub fn decode_write_v1(
    request: &[u8],
    limits: &LabelLimits,
    scratch: &mut WriteScratch,
    sink: &mut (impl MetricSink + ?Sized),
) -> Result<Decoded, ProtobufError> {
    let mut decoder = Decoder { limits, scratch, pairs: Vec::new(), decoded: Decoded::default() };
    let mut reader = Reader::new(request);
    while let Some(field) = reader.next_field()? {
        match field.number {
            TIME_SERIES => {
                let length = field.bytes()?.len();
                // The message and the bytes after it: `fast` copies fixed sizes that may pass its end.
                let tail = &request[request.len() - reader.rest().len() - length..];
                decoder.series(tail, length, sink)?;
            }
            METADATA => metadata(field, sink)?,
            _ => {}
        }
    }
    Ok(decoder.decoded)
}

struct Decoder<'a, 's> {
    limits: &'s LabelLimits,
    scratch: &'s mut WriteScratch,
    pairs: Pairs<'a>,
    decoded: Decoded,
}

impl<'a> Decoder<'a, '_> {
    fn series(
        &mut self,
        tail: &'a [u8],
        length: usize,
        sink: &mut (impl MetricSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let message = &tail[..length];
        let found = fast::labels(tail, length, self.limits, &mut self.scratch.labels);
        if let Some(found) = found {
            let rest = &message[found.read..];
            let only = fast::only_sample(rest);
            if only.is_some() || !has_labels(rest)? {
                sink.series(&self.scratch.labels[..found.canonical]);
                self.decoded.series += 1;
                return match only {
                    Some((timestamp_ms, value)) => {
                        sink.sample(timestamp_ms, 0, value);
                        self.decoded.samples += 1;
                        Ok(())
                    }
                    None => self.samples(rest, sink),
                };
            }
        }
        match self.any_labels(message)? {
            Ok(()) => {
                sink.series(&self.scratch.labels);
                self.decoded.series += 1;
                self.samples(message, sink)
            }
            Err(reason) => {
                self.decoded.rejected.add(reason.kind(), || reason.to_string());
                Ok(())
            }
        }
    }

    /// Reads labels from any place in the message, in any order.
    fn any_labels(&mut self, message: &'a [u8]) -> Result<Result<(), BadLabels>, ProtobufError> {
        self.pairs.clear();
        let mut all_text = true;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next_field()? {
            if field.number == LABEL {
                match label(field.message()?)? {
                    Some(pair) => keep_pair(&mut self.pairs, pair, self.limits),
                    None => all_text = false,
                }
            }
        }
        if !all_text {
            return Ok(Err(BadLabels::Utf8));
        }
        let named = |(name, value): &(&str, &str)| *name == METRIC_NAME && !value.is_empty();
        if !self.pairs.iter().any(named) {
            return Ok(Err(BadLabels::NoMetricName));
        }
        self.scratch.labels.clear();
        Ok(append_labels(&mut self.pairs, self.limits, &mut self.scratch.labels))
    }

    fn samples(
        &mut self,
        message: &'a [u8],
        sink: &mut (impl MetricSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next_field()? {
            match field.number {
                SAMPLE => sample(field.bytes()?, sink, &mut self.decoded)?,
                HISTOGRAM => native_histogram(field.bytes()?, sink, &mut self.decoded)?,
                EXEMPLAR => self.exemplar(field.message()?, sink)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn exemplar(
        &mut self,
        mut reader: Reader<'a>,
        sink: &mut (impl MetricSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let (mut value, mut timestamp_ms, mut all_text) = (0.0, 0, true);
        self.pairs.clear();
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => match label(field.message()?)? {
                    Some(pair) => keep_pair(&mut self.pairs, pair, &LabelLimits::NONE),
                    None => all_text = false,
                },
                2 => value = field.double()?,
                3 => timestamp_ms = field.signed()?,
                _ => {}
            }
        }
        let bytes = &mut self.scratch.exemplar_labels;
        bytes.clear();
        let labels = match all_text {
            true => append_labels(&mut self.pairs, &LabelLimits::NONE, bytes),
            false => Err(BadLabels::Utf8),
        };
        match labels {
            Ok(()) => {
                sink.exemplar(ExemplarRef { labels: bytes, value, timestamp_ms });
                self.decoded.exemplars += 1;
            }
            Err(reason) => {
                self.decoded.rejected.add(EXEMPLAR_KIND, || format!("exemplar: {reason}"))
            }
        }
        Ok(())
    }
}

/// Whether a label follows another field. Protobuf allows it; no known sender does it.
fn has_labels(rest: &[u8]) -> Result<bool, ProtobufError> {
    let mut reader = Reader::new(rest);
    while let Some(field) = reader.next_field()? {
        if field.number == LABEL {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `None` where a text is not UTF-8.
fn label(mut reader: Reader<'_>) -> Result<Option<(&str, &str)>, ProtobufError> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok(std::str::from_utf8(name).ok().zip(std::str::from_utf8(value).ok()))
}

fn metadata(field: Field<'_>, sink: &mut (impl MetricSink + ?Sized)) -> Result<(), ProtobufError> {
    let (mut metric, mut metadata) = ("", MetadataRef::default());
    let mut reader = field.message()?;
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => metadata.kind = kind(field.int32()?),
            2 => metric = field.text()?,
            4 => metadata.help = field.text()?,
            5 => metadata.unit = field.text()?,
            _ => {}
        }
    }
    if !metric.is_empty() {
        sink.metadata(metric, metadata);
    }
    Ok(())
}

/// Both versions number the kinds alike.
pub(super) fn kind(number: i32) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}
