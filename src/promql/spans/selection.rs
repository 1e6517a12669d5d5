//! The derived series that selectors find.

use super::groups::{Group, Reader, SLOT_MS, Wanted, fields};
use super::keys::Shown;
use super::samples::{Day, append};
use super::shapes::{SeriesSource, Value};
use super::{SpanSeries, nanos, no_room};
use crate::storage::{Scratch, Selection, SeriesColumns, StorageError};
use model::{Labels, Matcher, Room};
use std::collections::BTreeSet;
use trace_store::{EdgeKey, Select, SpanKey};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) values_needed: bool,
}

/// The derived series that matched, in the order of their labels.
#[derive(Debug, Default)]
pub struct SpanSelection {
    range_ms: (i64, i64),
    /// The last slot that has ended.
    last_slot: i64,
    groups: Vec<Group>,
    series: Vec<(Labels, u32, Value)>,
    warnings: BTreeSet<String>,
}

impl SpanSeries<'_> {
    /// What there are series of in a time; both ends included, milliseconds. Ends with the first piece that
    /// has some.
    pub fn sources(
        &self,
        (start_ms, end_ms): (i64, i64),
    ) -> Result<Vec<SeriesSource>, StorageError> {
        let time = nanos(start_ms, end_ms.min(self.now_ms));
        let found =
            self.store.select(self.tenant, &Select { time, trace_id: None, are_whole: true })?;
        let mut sources = Vec::new();
        if self.has_some::<SpanKey>(&found)? {
            sources.push(SpanKey::SOURCE);
        }
        if self.has_some::<EdgeKey>(&found)? {
            sources.push(EdgeKey::SOURCE);
        }
        Ok(sources)
    }

    fn has_some<K: Shown>(&self, found: &trace_store::Selection) -> Result<bool, StorageError> {
        for index in 0..found.pieces().len() {
            self.check()?;
            let measures = found.measures::<K>(index)?;
            let is_shown = |key: &K| key.labels(&|_| String::new()).is_some();
            if measures.is_some_and(|measures| measures.keys.iter().any(is_shown)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl SpanSelection {
    pub(super) fn of(
        spans: &SpanSeries<'_>,
        asked: &Asked,
        selectors: &[Vec<Matcher>],
        room: &mut dyn Room,
    ) -> Result<Self, StorageError> {
        let last_ms = asked.end_ms.min(spans.now_ms);
        let mut selection = Self {
            range_ms: (asked.start_ms.max(0), last_ms),
            last_slot: last_ms.div_euclid(SLOT_MS),
            ..Self::default()
        };
        if last_ms >= selection.range_ms.0 {
            selection.read::<SpanKey>(spans, asked, selectors, room)?;
            selection.read::<EdgeKey>(spans, asked, selectors, room)?;
            selection.name_series(room)?;
        }
        Ok(selection)
    }

    fn read<K: Shown>(
        &mut self,
        spans: &SpanSeries<'_>,
        asked: &Asked,
        selectors: &[Vec<Matcher>],
        room: &mut dyn Room,
    ) -> Result<(), StorageError> {
        let wanted = Wanted::of(K::SOURCE, selectors);
        if wanted.is_empty() {
            return Ok(());
        }
        let first = self.range_ms.0.div_euclid(SLOT_MS) + i64::from(self.range_ms.0 % SLOT_MS != 0);
        let day = Day::of_slot(first);
        let are_whole = K::SOURCE == SeriesSource::Edges;
        let time = nanos(day.base() * SLOT_MS, self.last_slot * SLOT_MS);
        let found =
            spans.store.select(spans.tenant, &Select { time, trace_id: None, are_whole })?;
        let mut reader = Reader::new(&wanted, &mut self.groups, room);
        reader.slots = (day.base() + 1, first, self.last_slot);
        reader.values_needed = asked.values_needed;
        for index in 0..found.pieces().len() {
            spans.check()?;
            if let Some(measures) = found.measures::<K>(index)? {
                reader.add(&measures)?;
            }
        }
        reader.end();
        self.warnings.extend(found.warnings());
        Ok(())
    }

    /// Lists the series of the groups.
    fn name_series(&mut self, room: &mut dyn Room) -> Result<(), StorageError> {
        for (place, group) in (0..).zip(&self.groups) {
            for shape in group.shapes() {
                let more = shape.metric.len() + 64 + size_of::<(Labels, u32, Value)>();
                room.take(group.labels.as_bytes().len() + more).map_err(no_room)?;
                self.series.push((shape.labels(&group.labels), place, shape.value));
            }
        }
        self.series.sort_by(|(left, ..), (right, ..)| left.cmp(right));
        Ok(())
    }

    /// Leaves out the series that `is_known` has.
    pub(super) fn leave_out(&mut self, is_known: impl Fn(&Labels) -> bool) {
        self.series.retain(|(labels, ..)| !is_known(labels));
    }
}

impl Selection for SpanSelection {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].0.clone()
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        scratch.clear();
        let (_, group, value) = &self.series[index];
        let group = &self.groups[*group as usize];
        let fields = fields(group, *value);
        append(&group.amounts, fields, self.range_ms, self.last_slot, scratch);
        if matches!(value, Value::Sum(_)) {
            scratch.floats.iter_mut().for_each(|nanos| *nanos /= 1e9);
        }
        Ok(scratch.columns())
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.iter().cloned().collect()
    }
}
