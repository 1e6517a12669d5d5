//! Encodes and decodes a batch: `docs/formats/metrics-batch.md` draws the bytes.

use super::{BatchBuilder, Exemplar, HistogramSample};
use crate::histograms::{decode_histogram, encode_histogram};
use codec::{ByteReader, ByteWriter, DecodeError};
use model::{FloatHistogram, Labels, MetricKind, MetricMetadata};
use std::sync::Arc;

/// The schema number of batches with this encoding.
pub(crate) const BATCH_SCHEMA: u16 = 1;

/// More samples than fit into any payload: bounds the counts that a damaged payload may claim.
const SAMPLES_MAX: usize = 8 << 20;

pub(crate) fn encode(batch: &BatchBuilder, epoch: u64, out: &mut Vec<u8>) {
    let mut writer = ByteWriter { bytes: std::mem::take(out) };
    writer.u64(epoch);
    encode_definitions(batch, &mut writer);
    writer.varint(batch.slots.len() as u64);
    let number = |slot: &u32| i64::from(batch.numbers[*slot as usize]);
    // A scrape usually names the series in their order: one run for all of them.
    write_runs(batch.slots.iter().map(number), 1, &mut writer);
    write_runs(batch.times.iter().copied(), 0, &mut writer);
    batch.values.iter().for_each(|value| writer.u64(*value));
    writer.u8(u8::from(!batch.starts.is_empty()));
    write_runs(batch.starts.iter().copied(), 0, &mut writer);
    encode_histograms(batch, &mut writer);
    encode_exemplars(batch, &mut writer);
    encode_metadata(&batch.metadata, &mut writer);
    *out = writer.bytes;
}

fn encode_definitions(batch: &BatchBuilder, writer: &mut ByteWriter) {
    writer.varint(batch.defined.len() as u64);
    for slot in &batch.defined {
        writer.varint(u64::from(batch.numbers[*slot as usize]));
        writer.prefixed(batch.labels(*slot));
    }
}

/// Writes values as runs: the difference of the first value from the expected one, and how many
/// values follow, each `step` above the one before.
fn write_runs(values: impl Iterator<Item = i64>, step: i64, writer: &mut ByteWriter) {
    let (mut expected, mut first, mut length) = (0i64, 0i64, 0u64);
    let mut after_run = 0i64;
    for value in values {
        if length > 0 && value == expected {
            length += 1;
        } else {
            if length > 0 {
                writer.varint_signed(first.wrapping_sub(after_run));
                writer.varint(length);
                after_run = expected;
            }
            (first, length) = (value, 1);
        }
        expected = value.wrapping_add(step);
    }
    if length > 0 {
        writer.varint_signed(first.wrapping_sub(after_run));
        writer.varint(length);
    }
}

fn read_runs(
    reader: &mut ByteReader<'_>,
    count: usize,
    step: i64,
    into: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    into.clear();
    let mut expected = 0i64;
    while into.len() < count {
        let mut value = expected.wrapping_add(reader.varint_signed()?);
        let length = reader.length(count - into.len())?;
        if length == 0 {
            return Err(reader.value_error("an empty run"));
        }
        for _ in 0..length {
            into.push(value);
            value = value.wrapping_add(step);
        }
        expected = value;
    }
    Ok(())
}

fn encode_histograms(batch: &BatchBuilder, writer: &mut ByteWriter) {
    writer.varint(batch.histograms.len() as u64);
    for (slot, sample) in &batch.histograms {
        writer.varint(u64::from(batch.numbers[*slot as usize]));
        writer.varint_signed(sample.time_ms);
        writer.varint_signed(sample.start_ms);
        encode_histogram(&sample.histogram, &FloatHistogram::default(), writer);
    }
}

fn encode_exemplars(batch: &BatchBuilder, writer: &mut ByteWriter) {
    writer.varint(batch.exemplars.len() as u64);
    for (slot, exemplar) in &batch.exemplars {
        writer.varint(u64::from(batch.numbers[*slot as usize]));
        encode_exemplar(exemplar, writer);
    }
}

pub(crate) fn encode_exemplar(exemplar: &Exemplar, writer: &mut ByteWriter) {
    writer.varint_signed(exemplar.time_ms);
    writer.u64(exemplar.value.to_bits());
    writer.prefixed(exemplar.labels.as_bytes());
}

pub(crate) fn decode_exemplar(reader: &mut ByteReader<'_>) -> Result<Exemplar, DecodeError> {
    let time_ms = reader.varint_signed()?;
    let value = f64::from_bits(reader.u64()?);
    let wrong = reader.value_error("an exemplar's labels are not canonical");
    let labels = Labels::from_bytes(reader.prefixed()?).ok_or(wrong)?;
    Ok(Exemplar { labels, time_ms, value })
}

pub(crate) fn encode_metadata(metadata: &[(String, MetricMetadata)], writer: &mut ByteWriter) {
    writer.varint(metadata.len() as u64);
    for (metric, entry) in metadata {
        writer.text(metric);
        writer.u8(kind_code(entry.kind));
        writer.text(&entry.unit);
        writer.text(&entry.help);
    }
}

pub(crate) fn decode_metadata(
    reader: &mut ByteReader<'_>,
) -> Result<Vec<(String, MetricMetadata)>, DecodeError> {
    let count = reader.length(reader.remaining() / 4)?;
    let mut metadata = Vec::with_capacity(count);
    for _ in 0..count {
        let metric = reader.text()?.to_owned();
        let wrong = reader.value_error("not a kind of metric");
        let kind = KINDS.get(usize::from(reader.u8()?)).copied().ok_or(wrong)?;
        let (unit, help) = (reader.text()?.to_owned(), reader.text()?.to_owned());
        metadata.push((metric, MetricMetadata { kind, unit, help }));
    }
    Ok(metadata)
}

/// A kind is stored as its index here: only ever append.
const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

fn kind_code(kind: MetricKind) -> u8 {
    KINDS.iter().position(|known| *known == kind).expect("every kind is listed") as u8
}

/// A decoded batch, whose series are numbers of its epoch.
#[derive(Debug, Default)]
pub struct DecodedBatch {
    pub epoch: u64,
    pub definitions: Vec<(u32, Labels)>,
    /// The series of the samples.
    pub numbers: Vec<i64>,
    pub times: Vec<i64>,
    /// The bits of floats.
    pub values: Vec<u64>,
    /// Empty, or one for each sample.
    pub starts: Vec<i64>,
    pub histograms: Vec<(u32, HistogramSample)>,
    pub exemplars: Vec<(u32, Exemplar)>,
    pub metadata: Vec<(String, MetricMetadata)>,
}

pub(crate) fn decode(payload: &[u8]) -> Result<DecodedBatch, DecodeError> {
    let mut reader = ByteReader::new(payload);
    let mut batch = DecodedBatch { epoch: reader.u64()?, ..DecodedBatch::default() };
    batch.definitions = decode_definitions(&mut reader)?;
    // Each sample takes eight bytes of value, so the count can't exceed what the bytes hold.
    let count = reader.length((reader.remaining() / 8).min(SAMPLES_MAX))?;
    read_runs(&mut reader, count, 1, &mut batch.numbers)?;
    read_runs(&mut reader, count, 0, &mut batch.times)?;
    let values = reader.bytes(count * 8)?.chunks_exact(8);
    let value = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("chunks of eight"));
    batch.values = values.map(value).collect();
    if reader.u8()? != 0 {
        read_runs(&mut reader, count, 0, &mut batch.starts)?;
    }
    batch.histograms = decode_histograms(&mut reader)?;
    batch.exemplars = decode_exemplars(&mut reader)?;
    batch.metadata = decode_metadata(&mut reader)?;
    reader.finish()?;
    Ok(batch)
}

fn decode_definitions(reader: &mut ByteReader<'_>) -> Result<Vec<(u32, Labels)>, DecodeError> {
    let count = reader.length(reader.remaining() / 2)?;
    let mut definitions = Vec::with_capacity(count);
    for _ in 0..count {
        let number = series_number(reader)?;
        let wrong = reader.value_error("a definition's labels are not canonical");
        definitions.push((number, Labels::from_bytes(reader.prefixed()?).ok_or(wrong)?));
    }
    Ok(definitions)
}

fn series_number(reader: &mut ByteReader<'_>) -> Result<u32, DecodeError> {
    Ok(reader.length(u32::MAX as usize - 1)? as u32)
}

fn decode_histograms(
    reader: &mut ByteReader<'_>,
) -> Result<Vec<(u32, HistogramSample)>, DecodeError> {
    let count = reader.length(reader.remaining() / 8)?;
    let mut histograms = Vec::with_capacity(count);
    for _ in 0..count {
        let number = series_number(reader)?;
        let (time_ms, start_ms) = (reader.varint_signed()?, reader.varint_signed()?);
        let histogram = Arc::new(decode_histogram(reader, &FloatHistogram::default())?);
        histograms.push((number, HistogramSample { time_ms, start_ms, histogram }));
    }
    Ok(histograms)
}

fn decode_exemplars(reader: &mut ByteReader<'_>) -> Result<Vec<(u32, Exemplar)>, DecodeError> {
    let count = reader.length(reader.remaining() / 11)?;
    (0..count).map(|_| Ok((series_number(reader)?, decode_exemplar(reader)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::SeriesSlot;
    use crate::histograms::tests::{any_histogram, same_bits};
    use proptest::prelude::*;

    type Sample = (u32, i64, i64, u64);

    fn any_samples() -> impl Strategy<Value = Vec<Sample>> {
        let start = prop_oneof![3 => Just(0i64), 1 => any::<i64>()];
        let time = prop_oneof![3 => Just(1_000i64), 1 => any::<i64>()];
        prop::collection::vec((0u32..5, time, start, any::<u64>()), 0..50)
    }

    fn builder(samples: &[Sample], histograms: &[FloatHistogram]) -> BatchBuilder {
        let mut batch = BatchBuilder::new();
        for series in 0..5 {
            let number = series.to_string();
            batch.series_with(|bytes| model::write_label("number", &number, bytes));
        }
        for (slot, time, start, bits) in samples {
            batch.sample_since(SeriesSlot(*slot), *time, *start, f64::from_bits(*bits));
        }
        for (index, histogram) in histograms.iter().enumerate() {
            let histogram = Arc::new(histogram.clone());
            let sample = HistogramSample { time_ms: index as i64, start_ms: 3, histogram };
            batch.histogram(SeriesSlot(index as u32 % 5), sample);
        }
        let labels = Labels::from_pairs([("trace_id", "1")]);
        batch.exemplar(SeriesSlot(1), Exemplar { labels, time_ms: 5, value: 0.5 });
        let unit = "seconds".to_owned();
        let metadata = MetricMetadata { kind: MetricKind::Summary, unit, help: "help".to_owned() };
        batch.metadata("metric", metadata);
        batch.numbers = vec![70, 3, 4, 5, u32::MAX - 1];
        batch.defined = vec![0, 4];
        batch
    }

    proptest! {
        #[test]
        fn batches_come_back(
            samples in any_samples(),
            histograms in prop::collection::vec(any_histogram(), 0..4),
        ) {
            let batch = builder(&samples, &histograms);
            let mut bytes = Vec::new();
            encode(&batch, 77, &mut bytes);
            let back = decode(&bytes).unwrap();
            prop_assert_eq!(back.epoch, 77);
            let number = |slot: u32| batch.numbers[slot as usize];
            let numbers: Vec<i64> = samples.iter().map(|s| i64::from(number(s.0))).collect();
            prop_assert_eq!(&back.numbers, &numbers);
            prop_assert_eq!(&back.times, &batch.times);
            prop_assert_eq!(&back.values, &batch.values);
            prop_assert_eq!(&back.starts, &batch.starts);
            prop_assert_eq!(back.definitions.len(), 2);
            prop_assert_eq!(back.definitions[1].1.value("number"), "4");
            prop_assert_eq!(&back.metadata, &batch.metadata);
            prop_assert_eq!(&back.exemplars, &[(3, batch.exemplars[0].1.clone())]);
            prop_assert_eq!(back.histograms.len(), histograms.len());
            for ((_, sample), expected) in back.histograms.iter().zip(&histograms) {
                prop_assert!(same_bits(&sample.histogram, expected));
            }
        }

        #[test]
        fn any_bytes_are_a_batch_or_an_error(bytes: Vec<u8>, samples in any_samples(), flip: u16) {
            let _ = decode(&bytes);
            let mut bytes = Vec::new();
            encode(&builder(&samples, &[]), 77, &mut bytes);
            let at = usize::from(flip) / 8 % bytes.len();
            bytes[at] ^= 1 << (flip % 8);
            let _ = decode(&bytes);
            let _ = decode(&bytes[..at]);
        }
    }
}
