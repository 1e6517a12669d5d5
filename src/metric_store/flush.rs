//! A flush: writes a head into parts, one for each day.

use crate::StoreError;
use crate::columns::Columns;
use crate::head::{Head, Seen};
use crate::kind::MetricHead;
use crate::part::PartSplitter;
use crate::values::Effort;
use engine::FlushOrigin;
use model::{Day, MetricMetadata, Signal};
use parts::{NewPart, PartStore};
use std::collections::BTreeMap;

/// How many series a flush looks up in the registry at once.
const NAMED_AT_ONCE: usize = 1 << 10;

/// The registry is shared with the live head. Its lock is never held while a part is written, or a
/// batch with new series would wait for the disk.
pub(crate) fn write(
    store: &PartStore,
    frozen: &MetricHead,
    origin: &FlushOrigin,
) -> Result<Vec<NewPart>, StoreError> {
    let series = series_by_day(frozen);
    let rows = frozen.read();
    let mut days: Vec<Day> = rows.days().collect();
    if days.is_empty() && !rows.metadata.is_empty() {
        days.push(origin.today);
    }
    let mut parts = Vec::new();
    for (index, day) in days.into_iter().enumerate() {
        let mut builder = PartSplitter::new(store, origin.of_day(day), Effort::Quick)?;
        let of_day = series.get(&day).map_or(&[][..], Vec::as_slice);
        write_day(&mut builder, frozen, &rows, of_day, day)?;
        // Metadata of metrics has no time: it goes into the first part.
        let metadata: Vec<(String, MetricMetadata)> = match index {
            0 => rows.metadata.clone().into_iter().collect(),
            _ => Vec::new(),
        };
        parts.extend(builder.finish(&metadata)?);
    }
    Ok(parts)
}

/// The series that have samples on a day, in the order of parts.
fn series_by_day(frozen: &MetricHead) -> BTreeMap<Day, Vec<u32>> {
    let mut days: BTreeMap<Day, Vec<u32>> = BTreeMap::new();
    let registry = frozen.context.sorted_registry(None);
    let rows = frozen.read();
    for number in registry.numbers() {
        rows.for_each_day(number, |day| {
            let series = days.entry(day).or_default();
            if series.last() != Some(&number) {
                series.push(number);
            }
        });
    }
    days
}

fn write_day(
    builder: &mut PartSplitter<'_>,
    frozen: &MetricHead,
    rows: &Head,
    series: &[u32],
    day: Day,
) -> Result<(), StoreError> {
    let range = day.range(Signal::Metrics);
    let mut samples = Columns::default();
    for numbers in series.chunks(NAMED_AT_ONCE) {
        for (number, labels) in frozen.context.named(numbers) {
            samples.clear();
            rows.read(number, Seen::EVERYTHING, range, true, &mut samples);
            builder.series(&labels, &samples)?;
        }
    }
    for (number, exemplar) in &rows.exemplars {
        if range.contains(exemplar.time_ms) {
            let labels = frozen.context.registry().entry(*number).labels.clone();
            builder.exemplar(&labels, exemplar)?;
        }
    }
    Ok(())
}
