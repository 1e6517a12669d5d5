//! The metric store as an engine.

use ingest::{Engine, EngineError, EngineStats, MergeRequest};
use metric_store::{MergeWish, MetricStore, StoreError};
use model::{Signal, Ulid};
use parts::Manifest;
use std::collections::BTreeSet;
use std::sync::Arc;
use wal::{Position, Replayed};

#[derive(Clone, Debug)]
pub(crate) struct MetricEngine(pub(crate) Arc<MetricStore>);

pub(super) fn engine_error(error: StoreError) -> EngineError {
    EngineError::new(error.kind(), error)
}

impl Engine for MetricEngine {
    fn signal(&self) -> Signal {
        Signal::Metrics
    }

    fn replay(&self, batch: &Replayed<'_>) -> Result<(), EngineError> {
        self.0.replay(batch).map_err(engine_error)
    }

    fn cut(&self, end: Position) {
        self.0.cut(end);
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.0.flush().map_err(engine_error)
    }

    fn log_needed_from(&self) -> Option<Position> {
        self.0.log_needed_from()
    }

    fn log_covered(&self) -> Option<Position> {
        self.0.log_covered()
    }

    fn merge(&self, request: &MergeRequest) -> Result<usize, EngineError> {
        let wish = MergeWish { full: request.full, space: request.space };
        self.0.merge(&wish).map_err(engine_error)
    }

    fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.0.manifests()
    }

    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError> {
        self.0.drop_parts(parts).map_err(engine_error)
    }

    fn stats(&self) -> EngineStats {
        let stats = self.0.stats();
        EngineStats {
            tenants: stats.tenants,
            head_rows: stats.head_rows,
            // What a flush frees: the names of series stay, and must not call for one flush after another.
            head_bytes: self.0.head_bytes(),
            parts: stats.parts,
            part_rows: stats.part_rows,
            part_bytes: stats.part_bytes,
            quarantined: stats.quarantined,
        }
    }
}
