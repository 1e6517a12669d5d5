//! Stored and derived series as one storage.

use super::{SpanSelection, SpanSeries, shapes};
use crate::storage::{Scratch, SelectHints, Selection, SeriesColumns, Storage, StorageError};
use crate::store::TenantMetrics;
use model::{Labels, Matcher, Room};
use std::collections::HashSet;

/// The metrics of one tenant, and the series that its spans give.
#[derive(Clone, Debug)]
pub struct TenantSeries<'a> {
    pub metrics: TenantMetrics<'a>,
    /// `None`: stored ones only.
    pub spans: Option<SpanSeries<'a>>,
}

impl Storage for TenantSeries<'_> {
    fn select<'a>(
        &'a self,
        hints: &SelectHints,
        matchers: &[Matcher],
        room: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let stored = self.metrics.select(hints, matchers, room)?;
        let Some(spans) = self.spans.filter(|_| shapes::may_match(matchers)) else {
            return Ok(stored);
        };
        let range_ms = (hints.start_ms, hints.end_ms.max(hints.start_ms));
        let selectors = self.metrics.narrowed(matchers);
        let mut derived = spans.select(range_ms, &selectors, room)?;
        if derived.is_empty() && derived.warnings().is_empty() {
            return Ok(stored);
        }
        leave_out_stored(&mut derived, &*stored, room)?;
        Ok(Box::new(Both { stored, derived }))
    }
}

/// A series that somebody wrote stands for the derived one of the same name and labels.
fn leave_out_stored(
    derived: &mut SpanSelection,
    stored: &dyn Selection,
    room: &mut dyn Room,
) -> Result<(), StorageError> {
    let mut known = HashSet::new();
    for index in 0..stored.len() {
        let labels = stored.labels(index);
        if shapes::is_derived(labels.metric_name()) {
            room.take(labels.as_bytes().len() + 64).map_err(super::no_room)?;
            known.insert(labels);
        }
    }
    derived.leave_out(|labels| known.contains(labels));
    Ok(())
}

/// Stored series, and behind them those that are derived.
struct Both<'a> {
    stored: Box<dyn Selection + 'a>,
    derived: SpanSelection,
}

impl Selection for Both<'_> {
    fn len(&self) -> usize {
        self.stored.len() + self.derived.len()
    }

    fn labels(&self, index: usize) -> Labels {
        match index.checked_sub(self.stored.len()) {
            None => self.stored.labels(index),
            Some(derived) => self.derived.labels(derived),
        }
    }

    fn drops_name(&self, index: usize) -> bool {
        index < self.stored.len() && self.stored.drops_name(index)
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        match index.checked_sub(self.stored.len()) {
            None => self.stored.columns(index, scratch),
            Some(derived) => self.derived.columns(derived, scratch),
        }
    }

    fn warnings(&self) -> Vec<String> {
        [self.stored.warnings(), self.derived.warnings()].concat()
    }
}
