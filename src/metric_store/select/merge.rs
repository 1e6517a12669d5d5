//! Merges the series of several sources into one order, each once.
//!
//! The series of a metric that only one source has are taken over as they are; labels are only
//! compared if several sources have the metric.

use super::gather::{Found, TAKEN_AT_ONCE};
use super::{Origin, Place, SeriesList, Source};
use crate::StoreError;
use model::{Room, compare_canonical};
use std::collections::BTreeMap;
use std::ops::Range;

/// `found` has an entry for each source.
pub(super) fn merge(
    sources: &[Source],
    mut found: Vec<Found>,
    room: &mut dyn Room,
) -> Result<SeriesList, StoreError> {
    if let [only] = &mut found[..] {
        let occurrences = only.places.iter().map(|place| (0, *place)).collect();
        return Ok(SeriesList { occurrences, ends: Vec::new() });
    }
    let mut metrics: BTreeMap<&str, Vec<(u32, Range<usize>)>> = BTreeMap::new();
    for (source, of_source) in found.iter().enumerate() {
        for (metric, range) in &of_source.metrics {
            metrics.entry(metric).or_default().push((source as u32, range.clone()));
        }
    }
    let (list, name) = Default::default();
    let mut merged = Merged { sources, found: &found, list, name, room };
    for runs in metrics.into_values() {
        merged.add(runs)?;
    }
    Ok(merged.list)
}

struct Merged<'a> {
    sources: &'a [Source],
    found: &'a [Found],
    list: SeriesList,
    /// The labels of the current series.
    name: Vec<u8>,
    room: &'a mut dyn Room,
}

/// The next series of one source, and its name.
struct Cursor {
    source: u32,
    rest: Range<usize>,
    name: Vec<u8>,
}

impl Merged<'_> {
    fn add(&mut self, runs: Vec<(u32, Range<usize>)>) -> Result<(), StoreError> {
        let new = |(source, rest)| Cursor { source, rest, name: Vec::new() };
        let mut cursors: Vec<Cursor> = runs.into_iter().map(new).collect();
        if cursors.len() > 1 {
            cursors.iter_mut().for_each(|cursor| self.write_name(cursor));
        }
        while cursors.len() > 1 {
            let first =
                cursors.iter().enumerate().min_by(|l, r| compare_canonical(&l.1.name, &r.1.name));
            let first = first.map_or(0, |(index, _)| index);
            std::mem::swap(&mut self.name, &mut cursors[first].name);
            for (index, cursor) in cursors.iter_mut().enumerate() {
                if index == first || cursor.name == self.name {
                    self.push(cursor.source, cursor.rest.start);
                    cursor.rest.start += 1;
                    self.write_name(cursor);
                }
            }
            self.end_series()?;
            cursors.retain(|cursor| !cursor.rest.is_empty());
        }
        for Cursor { source, rest, .. } in cursors {
            for index in rest {
                self.push(source, index);
                self.end_series()?;
            }
        }
        Ok(())
    }

    fn place(&self, source: u32, index: usize) -> Place {
        self.found[source as usize].places[index]
    }

    fn push(&mut self, source: u32, index: usize) {
        self.list.occurrences.push((source, self.place(source, index)));
    }

    fn end_series(&mut self) -> Result<(), StoreError> {
        if self.list.ends.len().is_multiple_of(TAKEN_AT_ONCE) {
            self.room.take(TAKEN_AT_ONCE * size_of::<(u32, Place, u32)>())?;
        }
        self.list.ends.push(self.list.occurrences.len() as u32);
        Ok(())
    }

    fn write_name(&self, cursor: &mut Cursor) {
        if cursor.rest.is_empty() {
            return;
        }
        let place = self.place(cursor.source, cursor.rest.start);
        match &self.sources[cursor.source as usize].from {
            Origin::Part(part) => part.write_labels(place, &mut cursor.name),
            Origin::Head(head) => {
                cursor.name.clear();
                let registry = head.head.context.registry();
                cursor.name.extend_from_slice(registry.entry(place.series).labels.as_bytes());
            }
        }
    }
}
