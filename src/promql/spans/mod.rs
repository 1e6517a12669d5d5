//! Series that are derived from the spans of a tenant when they are asked for: span metrics and the service
//! graph, under the names and labels of Tempo's metrics generator.
//!
//! Lives here: what the series are (`shapes`, `keys`), finding them (`selection`), the counts that they are
//! made of (`groups`), their samples (`samples`) and `exemplars`, and both kinds of series as one storage
//! (`both`).
//! Not here: what is counted, and where counts are recorded (`trace_store`).
//! A series is a counter that begins with 0 at the start of each UTC day, with a sample at every quarter of
//! a minute from its first span of the day on; so its values do not depend on what is asked. The reasons:
//! `docs/adr/0020-series-of-spans.md`.

mod both;
mod exemplars;
mod groups;
mod keys;
mod samples;
mod selection;
mod shapes;

pub use both::TenantSeries;
pub use exemplars::{SpanExemplar, SpanExemplars};
pub use selection::SpanSelection;
pub use shapes::{MetricFamily, SeriesSource, metric_families};

use crate::storage::StorageError;
use model::{Matcher, NoRoom, Room, TenantId, TimeRange, TimeUnit};
use query::Control;
use trace_store::{Select, TraceStore};

/// The series that a tenant's spans give.
#[derive(Clone, Copy, Debug)]
pub struct SpanSeries<'a> {
    pub store: &'a TraceStore,
    pub tenant: &'a TenantId,
    /// Counters end here.
    pub now_ms: i64,
    pub control: &'a Control<'a>,
}

impl From<trace_store::StoreError> for StorageError {
    fn from(error: trace_store::StoreError) -> Self {
        Self { message: error.to_string(), kind: error.kind() }
    }
}

fn no_room(error: NoRoom) -> StorageError {
    StorageError { message: error.to_string(), kind: error.kind() }
}

impl SpanSeries<'_> {
    /// The series that match any of the selectors and have samples between the two times, both included.
    pub fn select(
        &self,
        (start_ms, end_ms): (i64, i64),
        selectors: &[Vec<Matcher>],
        room: &mut dyn Room,
    ) -> Result<SpanSelection, StorageError> {
        let asked = selection::Asked { start_ms, end_ms, values_needed: true };
        SpanSelection::of(self, &asked, selectors, room)
    }

    /// The same without samples.
    pub fn list(
        &self,
        (start_ms, end_ms): (i64, i64),
        selectors: &[Vec<Matcher>],
        room: &mut dyn Room,
    ) -> Result<SpanSelection, StorageError> {
        let asked = selection::Asked { start_ms, end_ms, values_needed: false };
        SpanSelection::of(self, &asked, selectors, room)
    }

    /// Whether any selector could match a derived series, whatever spans there are.
    pub fn may_match(selectors: &[Vec<Matcher>]) -> bool {
        selectors.iter().any(|matchers| shapes::may_match(matchers))
    }

    /// Whether there are spans of this time, in milliseconds.
    pub fn has_spans(&self, (start_ms, end_ms): (i64, i64)) -> Result<bool, StorageError> {
        let wanted = Select { time: nanos(start_ms, end_ms), trace_id: None, are_whole: false };
        Ok(!self.store.select(self.tenant, &wanted)?.pieces().is_empty())
    }

    fn check(&self) -> Result<(), StorageError> {
        let stopped =
            |stop: query::Stop| StorageError { message: stop.to_string(), kind: stop.kind() };
        self.control.check().map_err(stopped)
    }
}

fn nanos(start_ms: i64, end_ms: i64) -> TimeRange {
    let ns = |ms: i64| ms.saturating_mul(1_000_000);
    TimeUnit::Nanos.between(ns(start_ms), ns(end_ms.max(start_ms)))
}
