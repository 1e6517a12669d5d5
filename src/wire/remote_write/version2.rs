//! `io.prometheus.write.v2.Request`: labels are pairs of references into one table of symbols.

use super::version1::kind;
use super::{EXEMPLAR_KIND, Pairs, WriteScratch, native_histogram, sample};
use crate::canonical::{BadLabels, LabelLimits, append_labels, keep_pair};
use crate::metric_sink::{Decoded, ExemplarRef, MetadataRef, MetricSink};
use crate::protobuf::{Field, ProtobufError, Reader};
use model::METRIC_NAME;

const SYMBOL: u32 = 4;
const TIME_SERIES: u32 = 5;

const LABEL_REFS: u32 = 1;
const SAMPLE: u32 = 2;
const HISTOGRAM: u32 = 3;
const EXEMPLAR: u32 = 4;
const METADATA: u32 = 5;

/// Two bytes of a request can make a symbol, which takes sixteen here: 16 MiB at most.
const SYMBOLS_MAX: usize = 1 << 20;

/// Why a version 2 request can't be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteV2Error {
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    #[error("symbols must start with an empty string")]
    FirstSymbol,
}

/// Passes every series of a version 2 request to `sink`.
pub fn decode_write_v2(
    request: &[u8],
    limits: &LabelLimits,
    scratch: &mut WriteScratch,
    sink: &mut (impl MetricSink + ?Sized),
) -> Result<Decoded, WriteV2Error> {
    let symbols = symbols(request)?;
    let pairs = Vec::new();
    let mut decoder = Decoder { symbols, limits, scratch, pairs, decoded: Decoded::default() };
    let mut reader = Reader::new(request);
    while let Some(field) = reader.next_field()? {
        if field.number == TIME_SERIES {
            decoder.series(field.bytes()?, sink)?;
        }
    }
    Ok(decoder.decoded)
}

/// Reads the whole table first: protobuf allows it to follow the series.
fn symbols(request: &[u8]) -> Result<Vec<&str>, WriteV2Error> {
    let mut symbols = Vec::new();
    let mut has_series = false;
    let mut reader = Reader::new(request);
    while let Some(field) = reader.next_field()? {
        match field.number {
            SYMBOL if symbols.len() == SYMBOLS_MAX => {
                let (what, limit) = ("symbols", SYMBOLS_MAX);
                return Err(ProtobufError::TooMany { what, limit }.into());
            }
            SYMBOL => symbols.push(field.text()?),
            TIME_SERIES => has_series = true,
            _ => {}
        }
    }
    let starts_empty = symbols.first().is_some_and(|first| first.is_empty());
    if (has_series || !symbols.is_empty()) && !starts_empty {
        return Err(WriteV2Error::FirstSymbol);
    }
    Ok(symbols)
}

struct Decoder<'a, 's> {
    symbols: Vec<&'a str>,
    limits: &'s LabelLimits,
    scratch: &'s mut WriteScratch,
    pairs: Pairs<'a>,
    decoded: Decoded,
}

/// What the decoder must know of a series before it reads the samples.
#[derive(Default)]
struct Shape {
    bad: Option<BadLabels>,
    samples: usize,
    histograms: usize,
}

impl<'a> Decoder<'a, '_> {
    fn series(
        &mut self,
        message: &'a [u8],
        sink: &mut (impl MetricSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let shape = self.shape(message)?;
        let bad = shape.bad.or_else(|| self.canonical().err());
        if let Some(reason) = bad {
            self.decoded.rejected.add(reason.kind(), || reason.to_string());
            return Ok(());
        }
        if shape.samples > 0 && shape.histograms > 0 {
            let name = self.metric_name();
            let reason = || format!("series of {name:?} has both float samples and histograms");
            self.decoded.rejected.add("mixed", reason);
            return Ok(());
        }
        if shape.samples + shape.histograms > 0 {
            sink.series(&self.scratch.labels);
            self.decoded.series += 1;
        }
        let metric = self.metric_name();
        self.contents(metric, message, shape.samples + shape.histograms > 0, sink)
    }

    fn metric_name(&self) -> &'a str {
        self.pairs.iter().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, value)| value)
    }

    /// Collects the labels and counts the rest.
    fn shape(&mut self, message: &'a [u8]) -> Result<Shape, ProtobufError> {
        self.pairs.clear();
        let mut shape = Shape::default();
        let mut refs = References::default();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next_field()? {
            match field.number {
                LABEL_REFS => refs.read(field, &self.symbols, self.limits, &mut self.pairs)?,
                SAMPLE => shape.samples += 1,
                HISTOGRAM => shape.histograms += 1,
                _ => {}
            }
        }
        shape.bad = refs.end();
        Ok(shape)
    }

    fn canonical(&mut self) -> Result<(), BadLabels> {
        if self.metric_name().is_empty() {
            return Err(BadLabels::NoMetricName);
        }
        self.scratch.labels.clear();
        append_labels(&mut self.pairs, self.limits, &mut self.scratch.labels)
    }

    fn contents(
        &mut self,
        metric: &'a str,
        message: &'a [u8],
        has_values: bool,
        sink: &mut (impl MetricSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next_field()? {
            match field.number {
                SAMPLE => sample(field.bytes()?, sink, &mut self.decoded)?,
                HISTOGRAM => native_histogram(field.bytes()?, sink, &mut self.decoded)?,
                EXEMPLAR if has_values => self.exemplar(field.message()?, sink)?,
                EXEMPLAR => self.decoded.rejected.add(EXEMPLAR_KIND, || {
                    format!("exemplar of {metric:?} comes without a sample or histogram")
                }),
                METADATA => self.metadata(metric, field.message()?, sink)?,
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
        let (mut value, mut timestamp_ms) = (0.0, 0);
        let mut refs = References::default();
        self.pairs.clear();
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => refs.read(field, &self.symbols, &LabelLimits::NONE, &mut self.pairs)?,
                2 => value = field.double()?,
                3 => timestamp_ms = field.signed()?,
                _ => {}
            }
        }
        let bytes = &mut self.scratch.exemplar_labels;
        bytes.clear();
        let labels = match refs.end() {
            Some(bad) => Err(bad),
            None => append_labels(&mut self.pairs, &LabelLimits::NONE, bytes),
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

    fn metadata(
        &mut self,
        metric: &str,
        mut reader: Reader<'a>,
        sink: &mut (impl MetricSink + ?Sized),
    ) -> Result<(), ProtobufError> {
        let mut metadata = MetadataRef::default();
        let symbol = |reference: u32| self.symbols.get(reference as usize).copied();
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => metadata.kind = kind(field.int32()?),
                3 => metadata.help = symbol(field.uint32()?).unwrap_or(""),
                4 => metadata.unit = symbol(field.uint32()?).unwrap_or(""),
                _ => {}
            }
        }
        if metadata != MetadataRef::default() {
            sink.metadata(metric, metadata);
        }
        Ok(())
    }
}

/// References come in pairs, possibly split over several fields.
#[derive(Default)]
struct References<'a> {
    name: Option<&'a str>,
    is_bad: bool,
}

impl<'a> References<'a> {
    fn read(
        &mut self,
        field: Field<'a>,
        symbols: &[&'a str],
        limits: &LabelLimits,
        pairs: &mut Pairs<'a>,
    ) -> Result<(), ProtobufError> {
        field.each_varint(|reference| {
            let symbol = usize::try_from(reference).ok().and_then(|index| symbols.get(index));
            match (symbol, self.name.take()) {
                (None, _) => self.is_bad = true,
                (Some(name), None) => self.name = Some(name),
                (Some(value), Some(name)) => keep_pair(pairs, (name, value), limits),
            }
        })
    }

    fn end(self) -> Option<BadLabels> {
        (self.is_bad || self.name.is_some()).then_some(BadLabels::Symbol)
    }
}
