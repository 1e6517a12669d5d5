//! A native histogram as remote write spells it, in both versions.

use crate::protobuf::{Field, ProtobufError, Reader, zigzag64};
use model::{BucketSpan, Buckets, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, ResetHint};

/// Finer schemas than this are stored as this one.
const SCHEMA_STORED_MAX: i32 = 8;
/// Schemas that can be stored, or reduced to one that can.
const SCHEMAS_TAKEN: std::ops::RangeInclusive<i32> = -9..=52;

pub(super) struct ReadHistogram {
    pub(super) timestamp_ms: i64,
    pub(super) start_ms: i64,
    pub(super) is_float: bool,
    pub(super) histogram: FloatHistogram,
}

/// Why a histogram is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHistogram {
    #[error("histogram has an unknown schema {0}")]
    Schema(i32),
    #[error("histogram's spans don't cover its bucket counts")]
    Spans,
    #[error("histogram has a negative number of observations")]
    NegativeCount,
    #[error("histogram's buckets don't add up to its count")]
    Count,
    #[error("histogram with custom buckets has a zero bucket or negative buckets")]
    CustomSides,
    #[error("histogram's custom bounds don't rise")]
    CustomBounds,
}

#[derive(Default)]
pub(crate) struct Side {
    pub(crate) spans: Vec<BucketSpan>,
    pub(crate) deltas: Vec<i64>,
    pub(crate) counts: Vec<f64>,
}

impl Side {
    /// Integer histograms send differences of neighbours, float ones the counts.
    pub(crate) fn buckets(self, is_float: bool) -> Buckets {
        if is_float {
            return Buckets { spans: self.spans, counts: self.counts };
        }
        let running = self.deltas.iter().scan(0i64, |count, delta| {
            *count = count.wrapping_add(*delta);
            Some(*count as f64)
        });
        Buckets { spans: self.spans, counts: running.collect() }
    }
}

pub(super) fn read(message: &[u8]) -> Result<ReadHistogram, ProtobufError> {
    let mut histogram = FloatHistogram::default();
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let (mut timestamp_ms, mut start_ms, mut is_float) = (0, 0, false);
    let mut bounds: Vec<f64> = Vec::new();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => (histogram.count, is_float) = (field.unsigned()? as f64, false),
            2 => (histogram.count, is_float) = (field.double()?, true),
            3 => histogram.sum = field.double()?,
            4 => histogram.schema = field.zigzag32()?,
            5 => histogram.zero_threshold = field.double()?,
            6 => histogram.zero_count = field.unsigned()? as f64,
            7 => histogram.zero_count = field.double()?,
            8 => negative.spans.push(span(field)?),
            9 => field.each_varint(|delta| negative.deltas.push(zigzag64(delta)))?,
            10 => field.each_fixed64(|bits| negative.counts.push(f64::from_bits(bits)))?,
            11 => positive.spans.push(span(field)?),
            12 => field.each_varint(|delta| positive.deltas.push(zigzag64(delta)))?,
            13 => field.each_fixed64(|bits| positive.counts.push(f64::from_bits(bits)))?,
            14 => histogram.reset_hint = reset_hint(field.int32()?),
            15 => timestamp_ms = field.signed()?,
            16 => field.each_fixed64(|bits| bounds.push(f64::from_bits(bits)))?,
            17 => start_ms = field.signed()?,
            _ => {}
        }
    }
    histogram.positive = positive.buckets(is_float);
    histogram.negative = negative.buckets(is_float);
    histogram.custom_bounds = bounds.into();
    Ok(ReadHistogram { timestamp_ms, start_ms, is_float, histogram })
}

pub(crate) fn span(field: Field<'_>) -> Result<BucketSpan, ProtobufError> {
    let mut span = BucketSpan { offset: 0, length: 0 };
    let mut reader = field.message()?;
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => span.offset = field.zigzag32()?,
            2 => span.length = field.uint32()?,
            _ => {}
        }
    }
    Ok(span)
}

fn reset_hint(number: i32) -> ResetHint {
    match number {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

/// The histogram as it can be stored, or why it can't. Integer counts must add up; those of float
/// histograms, which may be sums and rates, need not.
pub fn check_histogram(
    histogram: FloatHistogram,
    is_float: bool,
) -> Result<FloatHistogram, BadHistogram> {
    check_side(&histogram.positive)?;
    check_side(&histogram.negative)?;
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        check_custom(&histogram)?;
    } else if !SCHEMAS_TAKEN.contains(&histogram.schema) {
        return Err(BadHistogram::Schema(histogram.schema));
    }
    check_counts(&histogram, is_float)?;
    Ok(match histogram.schema > SCHEMA_STORED_MAX {
        true => histogram.to_schema(SCHEMA_STORED_MAX),
        false => histogram,
    })
}

/// Spans cover exactly the counts, and no span but the first goes backwards.
fn check_side(side: &Buckets) -> Result<(), BadHistogram> {
    let covered: u64 = side.spans.iter().map(|span| u64::from(span.length)).sum();
    let backwards = side.spans.iter().skip(1).any(|span| span.offset < 0);
    if covered != side.counts.len() as u64 || backwards {
        return Err(BadHistogram::Spans);
    }
    let mut index = 0i64;
    for span in &side.spans {
        index += i64::from(span.offset) + i64::from(span.length);
        if i32::try_from(index).is_err() {
            return Err(BadHistogram::Spans);
        }
    }
    Ok(())
}

fn check_custom(histogram: &FloatHistogram) -> Result<(), BadHistogram> {
    let bounds = &histogram.custom_bounds;
    let rising = bounds.is_sorted_by(|left, right| left < right);
    if !rising || bounds.iter().any(|bound| bound.is_nan() || *bound == f64::INFINITY) {
        return Err(BadHistogram::CustomBounds);
    }
    if histogram.zero_count != 0.0 || !histogram.negative.is_empty() {
        return Err(BadHistogram::CustomSides);
    }
    let mut indexes = histogram.positive.entries().map(|(index, _)| i64::from(index));
    let in_bounds = indexes.all(|index| (0..=bounds.len() as i64).contains(&index));
    in_bounds.then_some(()).ok_or(BadHistogram::Spans)
}

/// Buckets may hold less than the count only where NaN was observed, which no bucket takes.
fn check_counts(histogram: &FloatHistogram, is_float: bool) -> Result<(), BadHistogram> {
    let sides = [&histogram.positive, &histogram.negative];
    let counts = || sides.iter().flat_map(|side| side.counts.iter().copied());
    let negative = |count: f64| count < 0.0;
    if counts().any(negative) || negative(histogram.count) || negative(histogram.zero_count) {
        return Err(BadHistogram::NegativeCount);
    }
    // A stale marker in the sum ends the series: nothing else counts then.
    if is_float || model::is_stale(histogram.sum) {
        return Ok(());
    }
    let total = counts().sum::<f64>() + histogram.zero_count;
    let short = total < histogram.count && !histogram.sum.is_nan();
    if total > histogram.count || short { Err(BadHistogram::Count) } else { Ok(()) }
}
