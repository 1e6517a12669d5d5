//! Exemplars of derived histograms: spans that their buckets count.

use super::groups::{Reader, Wanted};
use super::keys::Shown;
use super::shapes::SeriesSource;
use super::{SpanSeries, nanos, no_room};
use crate::storage::StorageError;
use model::{Labels, Matcher, Room};
use std::collections::BTreeMap;
use trace_store::{EdgeKey, Example, Examples, Select, SpanKey};

/// A span that a bucket of a histogram counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanExemplar {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// When it started.
    pub time_ms: i64,
    pub seconds: f64,
}

/// The exemplars of each series.
pub type SpanExemplars = BTreeMap<Labels, Vec<SpanExemplar>>;

/// Where so many are found, older pieces are not read.
const ENOUGH: usize = 1_000;

impl SpanSeries<'_> {
    /// Exemplars of the histograms that the selectors match, of spans that started between the two times;
    /// the newest, where there are many.
    pub fn exemplars(
        &self,
        range_ms: (i64, i64),
        selectors: &[Vec<Matcher>],
        room: &mut dyn Room,
    ) -> Result<SpanExemplars, StorageError> {
        let mut found = SpanExemplars::new();
        self.add_exemplars::<SpanKey>(range_ms, selectors, room, &mut found)?;
        self.add_exemplars::<EdgeKey>(range_ms, selectors, room, &mut found)?;
        found.values_mut().for_each(|list| list.sort_by_key(|one| (one.time_ms, one.trace_id)));
        Ok(found)
    }

    fn add_exemplars<K: Shown>(
        &self,
        (start_ms, end_ms): (i64, i64),
        selectors: &[Vec<Matcher>],
        room: &mut dyn Room,
        found: &mut SpanExemplars,
    ) -> Result<(), StorageError> {
        let shapes = K::SOURCE.shapes();
        let has_buckets = |wanted: &Wanted<'_>| {
            (0..).zip(shapes).any(|(at, shape)| shape.le.is_some() && wanted.shapes & 1 << at != 0)
        };
        let mut wanted = Wanted::of(K::SOURCE, selectors);
        wanted.retain(has_buckets);
        if wanted.is_empty() || end_ms < start_ms {
            return Ok(());
        }
        let time = nanos(start_ms.max(0), end_ms);
        let are_whole = K::SOURCE == SeriesSource::Edges;
        let pieces = self.store.select(self.tenant, &Select { time, trace_id: None, are_whole })?;
        let mut groups = Vec::new();
        let mut reader = Reader::new(&wanted, &mut groups, room);
        let mut count = 0;
        for index in 0..pieces.pieces().len() {
            self.check()?;
            // Most pieces have recorded what they count: columns are read where there is something.
            let Some(measures) = pieces.measures::<K>(index)? else { continue };
            if !reader.has_some(&measures)? {
                continue;
            }
            let Some(examples) = pieces.examples::<K>(index, time)? else { continue };
            count += add(&examples, &mut reader, found)?;
            if count >= ENOUGH {
                break;
            }
        }
        Ok(())
    }
}

/// How many were wanted.
fn add<K: Shown>(
    examples: &Examples<K>,
    reader: &mut Reader<'_>,
    found: &mut SpanExemplars,
) -> Result<usize, StorageError> {
    let (mut count, mut name) = (0, Vec::new());
    for example in &examples.list {
        let place = reader.place(&examples.texts, example.key, &mut name)?;
        let series = place.and_then(|place| reader.bucket(place, example.field));
        let Some(series) = series else { continue };
        let taken = series.as_bytes().len() + size_of::<SpanExemplar>() + 64;
        reader.room.take(taken).map_err(no_room)?;
        found.entry(series).or_default().push(SpanExemplar::of(example));
        count += 1;
    }
    Ok(count)
}

impl SpanExemplar {
    fn of<K>(example: &Example<K>) -> Self {
        let Example { trace_id, span_id, start_ns, duration_ns, .. } = *example;
        let time_ms = i64::try_from(start_ns / 1_000_000).unwrap_or(i64::MAX);
        Self { trace_id, span_id, time_ms, seconds: duration_ns as f64 / 1e9 }
    }
}
