//! Metrics as protobuf: `io.prometheus.client.MetricFamily`, each with its length before it.
//!
//! Lives here: the families of a page, their metrics and values, borrowed from the page.
//! Not here: what becomes of them (scraping).
//! Invariants: lists take no more memory than a small multiple of the bytes that hold them.

use crate::protobuf::{Field, ProtobufError, Reader, zigzag64};
use crate::remote_write::{Side, span};
use model::{FloatHistogram, MetricKind, ResetHint};

type Result<T> = std::result::Result<T, ProtobufError>;

/// One family, whose metrics are not read yet.
#[derive(Clone, Copy, Debug)]
pub struct MetricFamily<'a> {
    pub name: &'a str,
    pub help: &'a str,
    pub unit: &'a str,
    pub kind: MetricKind,
    message: Reader<'a>,
}

/// Reads the families of a page one after the other.
#[derive(Clone, Copy, Debug)]
pub struct MetricFamilies<'a> {
    rest: Reader<'a>,
}

impl<'a> MetricFamilies<'a> {
    pub fn new(page: &'a [u8]) -> Self {
        Self { rest: Reader::new(page) }
    }

    pub fn next_family(&mut self) -> Result<Option<MetricFamily<'a>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = usize::try_from(self.rest.varint()?).map_err(|_| ProtobufError::Truncated)?;
        let (message, rest) =
            self.rest.rest().split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.rest = Reader::new(rest);
        MetricFamily::read(message).map(Some)
    }
}

impl<'a> MetricFamily<'a> {
    fn read(message: &'a [u8]) -> Result<Self> {
        let reader = Reader::new(message);
        // A type that is not written is the first of the enumeration.
        let mut family =
            Self { name: "", help: "", unit: "", kind: MetricKind::Counter, message: reader };
        let mut fields = reader;
        while let Some(field) = fields.next_field()? {
            match field.number {
                1 => family.name = field.text()?,
                2 => family.help = field.text()?,
                3 => family.kind = kind(field.int32()?),
                5 => family.unit = field.text()?,
                _ => {}
            }
        }
        Ok(family)
    }

    /// The next metric that has not been read.
    pub fn next_metric(&mut self) -> Result<Option<FamilyMetric<'a>>> {
        while let Some(field) = self.message.next_field()? {
            if field.number == 4 {
                return FamilyMetric::read(field.message()?).map(Some);
            }
        }
        Ok(None)
    }
}

fn kind(number: i32) -> MetricKind {
    match number {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Summary,
        4 => MetricKind::Histogram,
        5 => MetricKind::GaugeHistogram,
        _ => MetricKind::Unknown,
    }
}

/// One metric of a family.
#[derive(Clone, Debug)]
pub struct FamilyMetric<'a> {
    /// In the order of the message.
    pub labels: Vec<(&'a str, &'a str)>,
    pub timestamp_ms: Option<i64>,
    pub value: FamilyValue<'a>,
}

#[derive(Clone, Debug)]
pub enum FamilyValue<'a> {
    Number { value: f64, start_ms: i64, exemplar: Option<FamilyExemplar<'a>> },
    Summary { count: f64, sum: f64, start_ms: i64, quantiles: Vec<(f64, f64)> },
    Histogram(Box<FamilyHistogram<'a>>),
}

/// A histogram in either form, or in both.
#[derive(Clone, Debug, Default)]
pub struct FamilyHistogram<'a> {
    pub count: f64,
    pub sum: f64,
    pub start_ms: i64,
    pub buckets: Vec<FamilyBucket<'a>>,
    /// Its exponential buckets, if it has any. Not checked.
    pub native: Option<FloatHistogram>,
    pub is_float: bool,
    pub exemplars: Vec<FamilyExemplar<'a>>,
}

/// A classic bucket.
#[derive(Clone, Debug, Default)]
pub struct FamilyBucket<'a> {
    pub upper_bound: f64,
    pub cumulative: f64,
    pub exemplar: Option<FamilyExemplar<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FamilyExemplar<'a> {
    pub labels: Vec<(&'a str, &'a str)>,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
}

impl<'a> FamilyMetric<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self> {
        let none = FamilyValue::Number { value: 0.0, start_ms: 0, exemplar: None };
        let mut metric = Self { labels: Vec::new(), timestamp_ms: None, value: none };
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => metric.labels.push(pair(field.message()?)?),
                // Gauge, counter and untyped have their value in the same field.
                2 | 3 | 5 => metric.value = number(field.message()?)?,
                4 => metric.value = summary(field.message()?)?,
                6 => metric.timestamp_ms = Some(field.signed()?).filter(|time| *time != 0),
                7 => {
                    let histogram = FamilyHistogram::read(field.message()?)?;
                    metric.value = FamilyValue::Histogram(Box::new(histogram));
                }
                _ => {}
            }
        }
        Ok(metric)
    }
}

fn pair<'a>(mut reader: Reader<'a>) -> Result<(&'a str, &'a str)> {
    let mut pair = ("", "");
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => pair.0 = field.text()?,
            2 => pair.1 = field.text()?,
            _ => {}
        }
    }
    Ok(pair)
}

fn number(mut reader: Reader<'_>) -> Result<FamilyValue<'_>> {
    let (mut number, mut began_ms, mut example) = (0.0, 0, None);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => number = field.double()?,
            2 => example = Some(exemplar(field.message()?)?),
            3 => began_ms = time_ms(field.message()?)?,
            _ => {}
        }
    }
    Ok(FamilyValue::Number { value: number, start_ms: began_ms, exemplar: example })
}

fn summary(mut reader: Reader<'_>) -> Result<FamilyValue<'_>> {
    let (mut count, mut sum, mut start_ms, mut quantiles) = (0.0, 0.0, 0, Vec::new());
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => count = field.unsigned()? as f64,
            2 => sum = field.double()?,
            3 => quantiles.push(quantile(field.message()?)?),
            4 => start_ms = time_ms(field.message()?)?,
            _ => {}
        }
    }
    Ok(FamilyValue::Summary { count, sum, start_ms, quantiles })
}

fn quantile(mut reader: Reader<'_>) -> Result<(f64, f64)> {
    let mut quantile = (0.0, 0.0);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => quantile.0 = field.double()?,
            2 => quantile.1 = field.double()?,
            _ => {}
        }
    }
    Ok(quantile)
}

fn exemplar(mut reader: Reader<'_>) -> Result<FamilyExemplar<'_>> {
    let mut exemplar = FamilyExemplar::default();
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => exemplar.labels.push(pair(field.message()?)?),
            2 => exemplar.value = field.double()?,
            3 => exemplar.timestamp_ms = Some(time_ms(field.message()?)?),
            _ => {}
        }
    }
    Ok(exemplar)
}

/// A `google.protobuf.Timestamp`.
fn time_ms(mut reader: Reader<'_>) -> Result<i64> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => seconds = field.signed()?,
            2 => nanos = i64::from(field.int32()?),
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000))
}

fn bucket(mut reader: Reader<'_>) -> Result<FamilyBucket<'_>> {
    let mut bucket = FamilyBucket::default();
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 if bucket.cumulative == 0.0 => bucket.cumulative = field.unsigned()? as f64,
            2 => bucket.upper_bound = field.double()?,
            3 => bucket.exemplar = Some(exemplar(field.message()?)?),
            4 => bucket.cumulative = field.double()?,
            _ => {}
        }
    }
    Ok(bucket)
}

/// The exponential buckets while they are read.
#[derive(Default)]
struct Native {
    histogram: FloatHistogram,
    positive: Side,
    negative: Side,
}

impl Native {
    fn is_there(&self) -> bool {
        let spans = !self.positive.spans.is_empty() || !self.negative.spans.is_empty();
        spans || self.histogram.zero_threshold > 0.0 || self.histogram.zero_count > 0.0
    }

    /// Whether the field was one of these.
    fn take(&mut self, field: Field<'_>) -> Result<bool> {
        let (histogram, positive, negative) =
            (&mut self.histogram, &mut self.positive, &mut self.negative);
        match field.number {
            5 => histogram.schema = field.zigzag32()?,
            6 => histogram.zero_threshold = field.double()?,
            7 => histogram.zero_count = field.unsigned()? as f64,
            8 => histogram.zero_count = field.double()?,
            9 => negative.spans.push(span(field)?),
            10 => field.each_varint(|delta| negative.deltas.push(zigzag64(delta)))?,
            11 => field.each_fixed64(|bits| negative.counts.push(f64::from_bits(bits)))?,
            12 => positive.spans.push(span(field)?),
            13 => field.each_varint(|delta| positive.deltas.push(zigzag64(delta)))?,
            14 => field.each_fixed64(|bits| positive.counts.push(f64::from_bits(bits)))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self, count: f64, sum: f64, is_float: bool) -> Option<FloatHistogram> {
        if !self.is_there() {
            return None;
        }
        let Self { histogram, positive, negative } = self;
        Some(FloatHistogram {
            count,
            sum,
            reset_hint: ResetHint::Unknown,
            positive: positive.buckets(is_float),
            negative: negative.buckets(is_float),
            ..histogram
        })
    }
}

impl<'a> FamilyHistogram<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self> {
        let (mut histogram, mut native) = (Self::default(), Native::default());
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 if !histogram.is_float => histogram.count = field.unsigned()? as f64,
                2 => histogram.sum = field.double()?,
                3 => histogram.buckets.push(bucket(field.message()?)?),
                4 => {
                    let count = field.double()?;
                    if count > 0.0 {
                        (histogram.count, histogram.is_float) = (count, true);
                    }
                }
                15 => histogram.start_ms = time_ms(field.message()?)?,
                16 => histogram.exemplars.push(exemplar(field.message()?)?),
                _ => drop(native.take(field)?),
            }
        }
        histogram.native = native.finish(histogram.count, histogram.sum, histogram.is_float);
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::Writer;
    use proptest::prelude::*;

    fn label(writer: &mut Writer, name: &str, value: &str) {
        writer.message(1, |pair| {
            pair.text(1, name);
            pair.text(2, value);
        });
    }

    fn time(writer: &mut Writer, field: u32, seconds: i64, nanos: u64) {
        writer.message(field, |time| {
            time.signed(1, seconds);
            time.varint(2, nanos);
        });
    }

    fn page(families: &[Writer]) -> Vec<u8> {
        let mut page = Vec::new();
        for family in families {
            let bytes = family.clone().into_bytes();
            assert!(bytes.len() < 128 * 128);
            page.extend([bytes.len() as u8 & 0x7f | 0x80, (bytes.len() >> 7) as u8]);
            page.extend(bytes);
        }
        page
    }

    fn family(name: &str, kind: u64, metric: impl FnOnce(&mut Writer)) -> Writer {
        let mut writer = Writer::new();
        writer.text(1, name);
        writer.text(2, "help");
        writer.varint(3, kind);
        writer.message(4, metric);
        writer.text(5, "seconds");
        writer
    }

    #[test]
    fn counters_have_exemplars_and_a_start() {
        let counter = family("a_total", 0, |metric| {
            label(metric, "x", "1");
            metric.message(3, |counter| {
                counter.double(1, 5.0);
                counter.message(2, |exemplar| {
                    label(exemplar, "trace_id", "t");
                    exemplar.double(2, 0.5);
                    time(exemplar, 3, 2, 500_000_000);
                });
                time(counter, 3, 1, 1_000_000);
            });
            metric.signed(6, 77);
        });
        let page = page(&[counter]);
        let mut families = MetricFamilies::new(&page);
        let mut family = families.next_family().unwrap().unwrap();
        assert_eq!((family.name, family.help, family.unit), ("a_total", "help", "seconds"));
        let metric = family.next_metric().unwrap().unwrap();
        assert_eq!((&metric.labels[..], metric.timestamp_ms), (&[("x", "1")][..], Some(77)));
        let FamilyValue::Number { value, start_ms, exemplar } = metric.value else { panic!() };
        assert_eq!((value, start_ms), (5.0, 1_001));
        let labels = vec![("trace_id", "t")];
        let expected = FamilyExemplar { labels, value: 0.5, timestamp_ms: Some(2_500) };
        assert_eq!(exemplar, Some(expected));
        assert!(family.next_metric().unwrap().is_none());
        assert!(families.next_family().unwrap().is_none());
    }

    #[test]
    fn histograms_have_both_kinds_of_buckets() {
        let histogram = family("h", 4, |metric| {
            metric.message(7, |histogram| {
                histogram.varint(1, 6);
                histogram.double(2, 7.5);
                histogram.message(3, |bucket| {
                    bucket.varint(1, 4);
                    bucket.double(2, 1.0);
                });
                histogram.zigzag(5, 3);
                histogram.double(6, 0.001);
                histogram.varint(7, 1);
                histogram.message(12, |span| {
                    span.zigzag(1, -2);
                    span.varint(2, 2);
                });
                histogram.packed_zigzag(13, [2, 1]);
            });
        });
        let page = page(&[histogram]);
        let mut family = MetricFamilies::new(&page).next_family().unwrap().unwrap();
        let metric = family.next_metric().unwrap().unwrap();
        let FamilyValue::Histogram(histogram) = metric.value else { panic!() };
        assert_eq!((histogram.count, histogram.sum), (6.0, 7.5));
        assert_eq!((histogram.buckets[0].upper_bound, histogram.buckets[0].cumulative), (1.0, 4.0));
        let native = histogram.native.unwrap();
        assert_eq!((native.schema, native.count, native.zero_count), (3, 6.0, 1.0));
        assert_eq!(native.positive.entries().collect::<Vec<_>>(), [(-2, 2.0), (-1, 3.0)]);
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_families_or_an_error(bytes: Vec<u8>) {
            let mut families = MetricFamilies::new(&bytes);
            while let Ok(Some(mut family)) = families.next_family() {
                while let Ok(Some(_)) = family.next_metric() {}
            }
        }
    }
}
