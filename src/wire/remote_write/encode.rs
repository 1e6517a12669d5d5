//! Writes remote write requests of both versions, as Prometheus sends them.
//!
//! The encoder is a [`MetricSink`], so that whatever is decoded can be encoded again. Its buffers and,
//! for version 2, the texts that it knows stay from request to request: nothing is allocated per sample.

use crate::metric_sink::{ExemplarRef, MetadataRef, MetricSink};
use crate::protobuf::Writer;
use model::{Buckets, FloatHistogram, LabelsIter, MetricKind, ResetHint};
use std::collections::HashMap;

/// Which message a receiver is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteVersion {
    /// `prometheus.WriteRequest`
    #[default]
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

/// Texts that are known from earlier requests; beyond that they are forgotten.
const KNOWN_MAX: usize = 1 << 16;

#[derive(Debug)]
pub struct WriteEncoder {
    version: WriteVersion,
    /// The fields before the series: the symbols of version 2.
    request: Writer,
    all_series: Writer,
    series: Writer,
    message: Writer,
    label: Writer,
    /// In version 1 it follows all series.
    metadata: Writer,
    symbols: Symbols,
    refs: Vec<u64>,
}

impl WriteEncoder {
    pub fn new(version: WriteVersion) -> Self {
        let mut encoder = Self {
            version,
            request: Writer::new(),
            all_series: Writer::new(),
            series: Writer::new(),
            message: Writer::new(),
            label: Writer::new(),
            metadata: Writer::new(),
            symbols: Symbols::default(),
            refs: Vec::new(),
        };
        encoder.begin();
        encoder
    }

    fn begin(&mut self) {
        self.request.clear();
        self.all_series.clear();
        self.series.clear();
        self.metadata.clear();
        self.symbols.begin(&mut self.request);
        if self.version == WriteVersion::V1 {
            self.request.clear();
        }
    }

    /// The request as protobuf; the next one begins.
    pub fn finish(&mut self) -> Vec<u8> {
        self.end_series();
        let parts = [&self.request, &self.all_series, &self.metadata];
        let bytes = parts.map(Writer::as_bytes).concat();
        self.begin();
        bytes
    }

    fn end_series(&mut self) {
        if !self.series.is_empty() {
            let field = if self.version == WriteVersion::V1 { 1 } else { 5 };
            self.all_series.bytes(field, self.series.as_bytes());
            self.series.clear();
        }
    }

    /// Labels of a series or of an exemplar into `message`.
    fn labels(&mut self, labels: &[u8], of_exemplar: bool) {
        let out = if of_exemplar { &mut self.message } else { &mut self.series };
        let pairs = LabelsIter::of_canonical(labels);
        match self.version {
            WriteVersion::V1 => {
                for (name, value) in pairs {
                    self.label.clear();
                    self.label.text(1, name);
                    self.label.text(2, value);
                    out.bytes(1, self.label.as_bytes());
                }
            }
            WriteVersion::V2 => {
                self.refs.clear();
                for (name, value) in pairs {
                    let mut reference = |text| self.symbols.reference(text, &mut self.request);
                    self.refs.extend([reference(name), reference(value)]);
                }
                if !self.refs.is_empty() {
                    out.packed_varints(1, &self.refs);
                }
            }
        }
    }

    fn start(&mut self, field: u32, start_ms: i64) {
        if self.version == WriteVersion::V2 && start_ms != 0 {
            self.message.signed(field, start_ms);
        }
    }
}

impl MetricSink for WriteEncoder {
    fn series(&mut self, labels: &[u8]) {
        self.end_series();
        self.labels(labels, false);
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        self.message.clear();
        if value.to_bits() != 0 {
            self.message.double(1, value);
        }
        if timestamp_ms != 0 {
            self.message.signed(2, timestamp_ms);
        }
        self.start(3, start_ms);
        self.series.bytes(2, self.message.as_bytes());
    }

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        self.message.clear();
        write_histogram(&mut self.message, timestamp_ms, &histogram);
        self.start(17, start_ms);
        let field = if self.version == WriteVersion::V1 { 4 } else { 3 };
        self.series.bytes(field, self.message.as_bytes());
    }

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        self.message.clear();
        self.labels(exemplar.labels, true);
        self.message.double(2, exemplar.value);
        self.message.signed(3, exemplar.timestamp_ms);
        let field = if self.version == WriteVersion::V1 { 3 } else { 4 };
        self.series.bytes(field, self.message.as_bytes());
    }

    /// In version 2 it belongs to the series that was named last.
    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        let MetadataRef { kind, unit, help } = metadata;
        self.message.clear();
        self.message.varint(1, kind_number(kind));
        match self.version {
            WriteVersion::V1 => {
                self.message.text(2, metric);
                self.message.text(4, help);
                self.message.text(5, unit);
                self.metadata.bytes(3, self.message.as_bytes());
            }
            WriteVersion::V2 => {
                let help = self.symbols.reference(help, &mut self.request);
                let unit = self.symbols.reference(unit, &mut self.request);
                self.message.varint(3, help);
                self.message.varint(4, unit);
                self.series.bytes(5, self.message.as_bytes());
            }
        }
    }
}

/// The texts of one request, each of which is written once.
#[derive(Debug, Default)]
struct Symbols {
    /// A text's request and its place there.
    known: HashMap<Box<str>, (u64, u64)>,
    request: u64,
    count: u64,
}

impl Symbols {
    fn begin(&mut self, request: &mut Writer) {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        self.request += 1;
        self.count = 0;
        self.reference("", request);
    }

    fn reference(&mut self, text: &str, request: &mut Writer) -> u64 {
        let here = (self.request, self.count);
        match self.known.get_mut(text) {
            Some((of, place)) if *of == self.request => return *place,
            Some(entry) => *entry = here,
            None => drop(self.known.insert(text.into(), here)),
        }
        self.count += 1;
        request.text(4, text);
        here.1
    }
}

fn kind_number(kind: MetricKind) -> u64 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::GaugeHistogram => 4,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}

/// As whole numbers where all counts are, which is what clients measure; otherwise with floats.
fn write_histogram(writer: &mut Writer, time_ms: i64, histogram: &FloatHistogram) {
    let sides = [&histogram.negative, &histogram.positive];
    let counts = || sides.iter().flat_map(|side| side.counts.iter());
    let whole = counts().chain([&histogram.count, &histogram.zero_count]).all(|c| is_whole(*c));
    // Whole counts of a receiver's must add up; those of float histograms need not.
    let total: f64 = counts().sum::<f64>() + histogram.zero_count;
    let whole = whole && total == histogram.count;
    match whole {
        true => writer.varint(1, histogram.count as u64),
        false => writer.double(2, histogram.count),
    }
    writer.double(3, histogram.sum);
    writer.zigzag(4, histogram.schema.into());
    writer.double(5, histogram.zero_threshold);
    match whole {
        true => writer.varint(6, histogram.zero_count as u64),
        false => writer.double(7, histogram.zero_count),
    }
    write_side(writer, [8, 9, 10], &histogram.negative, whole);
    write_side(writer, [11, 12, 13], &histogram.positive, whole);
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

fn is_whole(count: f64) -> bool {
    // Above 2^53 not every whole number is a float, and below 0 there is no count.
    (0.0..=9e15).contains(&count) && count.fract() == 0.0 && count.is_sign_positive()
}

fn write_side(
    writer: &mut Writer,
    [spans, deltas, counts]: [u32; 3],
    side: &Buckets,
    is_whole: bool,
) {
    for span in &side.spans {
        writer.message(spans, |writer| {
            writer.zigzag(1, span.offset.into());
            writer.varint(2, span.length.into());
        });
    }
    if side.counts.is_empty() {
        return;
    }
    if !is_whole {
        return writer.packed_doubles(counts, &side.counts);
    }
    let before = [0].into_iter().chain(side.counts.iter().map(|count| *count as i64));
    let differences = before.zip(&side.counts).map(|(before, count)| *count as i64 - before);
    writer.packed_zigzag(deltas, differences);
}
