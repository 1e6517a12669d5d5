//! Encodes and decodes native histograms, each as its difference from the one before.
//!
//! A series keeps its layout for long, so an unchanged layout is one flag. Counts are whole numbers
//! most of the time, and then stored as varints of the difference from the count before; otherwise
//! as all eight bytes. Every bit is restored.

use codec::{ByteReader, ByteWriter, DecodeError};
use model::{BucketSpan, Buckets, FloatHistogram, ResetHint};
use std::sync::Arc;

/// Far more than any sender uses, and few enough that no layout takes much memory.
const BUCKETS_MAX: usize = 1 << 20;

const SAME_LAYOUT: u8 = 0x80;
const WHOLE_COUNTS: u8 = 0x40;

pub(crate) fn encode_histogram(
    histogram: &FloatHistogram,
    before: &FloatHistogram,
    writer: &mut ByteWriter,
) {
    let same = same_layout(histogram, before);
    let whole = counts(histogram).all(is_whole) && (!same || counts(before).all(is_whole));
    let mut flags = hint_code(histogram.reset_hint);
    flags |= if same { SAME_LAYOUT } else { 0 };
    flags |= if whole { WHOLE_COUNTS } else { 0 };
    writer.u8(flags);
    if !same {
        encode_layout(histogram, writer);
    }
    writer.u64(histogram.sum.to_bits());
    let mut base = counts(before);
    for count in counts(histogram) {
        let base = if same { base.next().unwrap_or(0.0) } else { 0.0 };
        match whole {
            true => writer.varint_signed(count as i64 - base as i64),
            false => writer.u64(count.to_bits()),
        }
    }
}

pub(crate) fn decode_histogram(
    reader: &mut ByteReader<'_>,
    before: &FloatHistogram,
) -> Result<FloatHistogram, DecodeError> {
    let flags = reader.u8()?;
    let wrong = reader.value_error("not a reset hint");
    let same = flags & SAME_LAYOUT != 0;
    let mut histogram = if same { before.clone() } else { decode_layout(reader)? };
    histogram.reset_hint = HINTS.get(usize::from(flags & 0x3F)).copied().ok_or(wrong)?;
    histogram.sum = f64::from_bits(reader.u64()?);
    for count in counts_mut(&mut histogram) {
        let base = if same { *count } else { 0.0 };
        *count = match flags & WHOLE_COUNTS != 0 {
            true => (base as i64).wrapping_add(reader.varint_signed()?) as f64,
            false => f64::from_bits(reader.u64()?),
        };
    }
    Ok(histogram)
}

/// Whether a conversion to `i64` and back keeps every bit.
fn is_whole(count: f64) -> bool {
    count.abs() < 9e15 && (count as i64 as f64).to_bits() == count.to_bits()
}

fn counts(histogram: &FloatHistogram) -> impl Iterator<Item = f64> + '_ {
    let sides = histogram.positive.counts.iter().chain(&histogram.negative.counts);
    [histogram.count, histogram.zero_count].into_iter().chain(sides.copied())
}

fn counts_mut(histogram: &mut FloatHistogram) -> impl Iterator<Item = &mut f64> {
    let FloatHistogram { count, zero_count, positive, negative, .. } = histogram;
    [count, zero_count].into_iter().chain(&mut positive.counts).chain(&mut negative.counts)
}

fn same_layout(left: &FloatHistogram, right: &FloatHistogram) -> bool {
    let side = |left: &Buckets, right: &Buckets| {
        left.spans == right.spans && left.counts.len() == right.counts.len()
    };
    left.schema == right.schema
        && left.zero_threshold.to_bits() == right.zero_threshold.to_bits()
        && side(&left.positive, &right.positive)
        && side(&left.negative, &right.negative)
        && model::custom_bounds_match(&left.custom_bounds, &right.custom_bounds)
}

fn encode_layout(histogram: &FloatHistogram, writer: &mut ByteWriter) {
    writer.varint_signed(i64::from(histogram.schema));
    writer.u64(histogram.zero_threshold.to_bits());
    writer.varint(histogram.custom_bounds.len() as u64);
    histogram.custom_bounds.iter().for_each(|bound| writer.u64(bound.to_bits()));
    for side in [&histogram.positive, &histogram.negative] {
        writer.varint(side.counts.len() as u64);
        writer.varint(side.spans.len() as u64);
        for span in &side.spans {
            writer.varint_signed(i64::from(span.offset));
            writer.varint(u64::from(span.length));
        }
    }
}

fn decode_layout(reader: &mut ByteReader<'_>) -> Result<FloatHistogram, DecodeError> {
    let wrong = reader.value_error("a histogram schema is out of range");
    let schema = i32::try_from(reader.varint_signed()?).map_err(|_| wrong)?;
    let zero_threshold = f64::from_bits(reader.u64()?);
    let count = reader.length(reader.remaining() / 8)?;
    let bounds: Result<Vec<f64>, DecodeError> =
        (0..count).map(|_| Ok(f64::from_bits(reader.u64()?))).collect();
    let custom_bounds: Arc<[f64]> = bounds?.into();
    let (positive, negative) = (decode_side(reader)?, decode_side(reader)?);
    Ok(FloatHistogram {
        schema,
        zero_threshold,
        positive,
        negative,
        custom_bounds,
        ..FloatHistogram::default()
    })
}

/// Counts follow later and take at least a byte each, so a side can't have more than the bytes
/// hold.
fn decode_side(reader: &mut ByteReader<'_>) -> Result<Buckets, DecodeError> {
    let count = reader.length(reader.remaining().min(BUCKETS_MAX))?;
    let spans = reader.length(reader.remaining() / 2)?;
    let span = |_| {
        let wrong = reader.value_error("a span is out of range");
        let offset = i32::try_from(reader.varint_signed()?).map_err(|_| wrong)?;
        Ok(BucketSpan { offset, length: reader.length(u32::MAX as usize)? as u32 })
    };
    let spans: Result<Vec<BucketSpan>, DecodeError> = (0..spans).map(span).collect();
    let spans = spans?;
    let covered: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if covered != count as u64 {
        return Err(reader.value_error("spans do not cover the counts"));
    }
    Ok(Buckets { spans, counts: vec![0.0; count] })
}

/// A hint is stored as its index here.
const HINTS: [ResetHint; 4] =
    [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];

fn hint_code(hint: ResetHint) -> u8 {
    HINTS.iter().position(|known| *known == hint).expect("every hint is listed") as u8
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
        let count =
            prop_oneof![(0u32..1000).prop_map(f64::from), any::<u64>().prop_map(f64::from_bits)];
        let side = prop::collection::btree_map(-40i32..40, count.clone(), 0..8);
        (0usize..4, -4i32..9, any::<u64>(), count.clone(), count, side.clone(), side).prop_map(
            |(hint, schema, sum, zero_count, count, positive, negative)| FloatHistogram {
                reset_hint: HINTS[hint],
                schema,
                zero_threshold: 0.001,
                zero_count,
                count,
                sum: f64::from_bits(sum),
                positive: Buckets::from_entries(positive),
                negative: Buckets::from_entries(negative),
                custom_bounds: Arc::from([]),
            },
        )
    }

    /// Compares bit for bit, NaNs included.
    pub(crate) fn same_bits(left: &FloatHistogram, right: &FloatHistogram) -> bool {
        same_layout(left, right)
            && left.reset_hint == right.reset_hint
            && left.sum.to_bits() == right.sum.to_bits()
            && counts(left).map(f64::to_bits).eq(counts(right).map(f64::to_bits))
    }

    proptest! {
        #[test]
        fn histograms_come_back(first in any_histogram(), second in any_histogram()) {
            let mut writer = ByteWriter::default();
            let empty = FloatHistogram::default();
            encode_histogram(&first, &empty, &mut writer);
            encode_histogram(&first, &first, &mut writer);
            encode_histogram(&second, &first, &mut writer);
            let mut reader = ByteReader::new(&writer.bytes);
            prop_assert!(same_bits(&decode_histogram(&mut reader, &empty).unwrap(), &first));
            prop_assert!(same_bits(&decode_histogram(&mut reader, &first).unwrap(), &first));
            prop_assert!(same_bits(&decode_histogram(&mut reader, &first).unwrap(), &second));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_a_histogram_or_an_error(bytes: Vec<u8>) {
            let mut reader = ByteReader::new(&bytes);
            while decode_histogram(&mut reader, &FloatHistogram::default()).is_ok() {}
        }
    }
}
