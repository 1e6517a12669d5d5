//! Flushes: writes frozen heads into parts.

use crate::head::Frozen;
use crate::{EngineError, FlushOrigin, Kind, Tenant};
use model::Day;
use parts::{Edit, Manifest};
use std::sync::PoisonError;

impl<K: Kind> Tenant<K> {
    /// Writes every frozen head into parts, the oldest first. Rows without a time go into the part
    /// of `today`.
    pub(crate) fn flush(&self, kind: &K, today: Day) -> Result<(), EngineError> {
        let _flushing = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(frozen) = self.oldest_frozen() {
            // If it is unknown whether a delete was recorded, find out before its rows are written.
            self.store.resolve_uncertain()?;
            let origin = flush_origin(&frozen, &self.store.snapshot(), today);
            let add = kind.write(self, &frozen.head, &origin)?;
            let engine_state = Some(self.refused().encode());
            let edit = Edit { add, covered: Some(frozen.end), engine_state, ..Edit::default() };
            let published = self.store.update(|_| Ok(edit))?;
            assert_eq!(published.covered, frozen.end, "heads are published in their order");
            self.drop_frozen(&frozen);
            kind.flushed(self, &frozen.head);
        }
        Ok(())
    }
}

/// A delete cuts, so deletes that came after the head began apply to all its rows, and earlier ones
/// to none.
fn flush_origin<K: Kind>(frozen: &Frozen<K>, manifest: &Manifest, today: Day) -> FlushOrigin {
    let later = manifest.tombstones.iter().filter(|t| frozen.head.start < t.position);
    let first = later.map(|tombstone| tombstone.generation).min();
    let tombstones_applied = first.map_or(manifest.generation, |generation| generation - 1);
    FlushOrigin { today, covered: frozen.end, tombstones_applied }
}
