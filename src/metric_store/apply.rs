//! Adds batches to a head.

use crate::batch::BatchBuilder;
use crate::batch::format::DecodedBatch;
use crate::head::{BatchCursor, FloatSample, Head};
use crate::series::SeriesContext;
use codec::xxh3_64;
use model::Labels;
use std::collections::HashMap;

pub(crate) fn push_batch(head: &mut Head, batch: &BatchBuilder) {
    let mut cursor = BatchCursor::default();
    for (index, slot) in batch.slots.iter().enumerate() {
        let start = batch.starts.get(index).copied().unwrap_or(0);
        let sample = FloatSample { time: batch.times[index], start, value: batch.values[index] };
        head.push(&mut cursor, batch.numbers[*slot as usize], sample);
    }
    for (slot, sample) in &batch.histograms {
        head.push_histogram(batch.numbers[*slot as usize], sample.clone());
    }
    for (slot, exemplar) in &batch.exemplars {
        head.push_exemplar(batch.numbers[*slot as usize], exemplar.clone());
    }
    batch.metadata.iter().for_each(|(metric, metadata)| head.push_metadata(metric, metadata));
    head.end_batch();
}

pub(crate) fn define(
    context: &SeriesContext,
    numbers: &mut HashMap<u32, u32>,
    definitions: &[(u32, Labels)],
) {
    if definitions.is_empty() {
        return;
    }
    let mut registry = context.registry_mut();
    for (number, labels) in definitions {
        let bytes = labels.as_bytes();
        let found = registry.find(xxh3_64(bytes), bytes);
        let own = found.unwrap_or_else(|| registry.insert(labels.clone()));
        numbers.insert(*number, own);
    }
}

/// Returns how many samples name a series that was never defined.
pub(crate) fn push_replayed(
    head: &mut Head,
    numbers: &HashMap<u32, u32>,
    batch: &DecodedBatch,
) -> u64 {
    let mut cursor = BatchCursor::default();
    let mut undefined = 0;
    let own = |number: u32| numbers.get(&number).copied();
    for (index, number) in batch.numbers.iter().enumerate() {
        let number = u32::try_from(*number).ok().and_then(own);
        let start = batch.starts.get(index).copied().unwrap_or(0);
        let sample = FloatSample { time: batch.times[index], start, value: batch.values[index] };
        match number {
            Some(number) => head.push(&mut cursor, number, sample),
            None => undefined += 1,
        }
    }
    for (number, sample) in &batch.histograms {
        match own(*number) {
            Some(number) => head.push_histogram(number, sample.clone()),
            None => undefined += 1,
        }
    }
    for (number, exemplar) in &batch.exemplars {
        if let Some(number) = own(*number) {
            head.push_exemplar(number, exemplar.clone());
        }
    }
    batch.metadata.iter().for_each(|(metric, metadata)| head.push_metadata(metric, metadata));
    head.end_batch();
    undefined
}
