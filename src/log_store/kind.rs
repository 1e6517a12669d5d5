//! Logs as a [`Kind`] of rows, from which `engine` makes a store.

use crate::batch::format::{self, BATCH_SCHEMA};
use crate::delete::LogDelete;
use crate::error::StoreError;
use crate::head::Head;
use crate::part::Caches;
use crate::tail::Tails;
use crate::telemetry::HEAD_BYTES;
use crate::{flush, merge};
use engine::{
    EngineError, FlushOrigin, HeadSize, InputFailed, Kind, MemoryBudget, MergeOrder, PartOrigin,
};
use model::{Signal, Ulid};
use parts::{Manifest, MergePlan, NewPart};
use std::sync::Arc;

pub(crate) type Tenant = engine::Tenant<Logs>;
pub(crate) type LogHead = engine::Head<Logs>;
pub(crate) type Store = engine::Store<Logs>;

/// What the tenants of the store share.
#[derive(Debug)]
pub(crate) struct Logs {
    pub(crate) caches: Arc<Caches>,
    pub(crate) memory: MemoryBudget,
}

impl Kind for Logs {
    const SIGNAL: Signal = Signal::Logs;
    const BATCH_SCHEMA: u16 = BATCH_SCHEMA;
    /// Lines do not replace each other.
    const MERGE_ORDER: MergeOrder = MergeOrder::Any;

    type Context = ();
    type Rows = Head;
    type State = Tails;

    fn new_state(&self) -> Tails {
        Tails::default()
    }

    fn context(&self, _: &Tails, _: Option<&()>) {}

    fn is_empty(rows: &Head) -> bool {
        rows.is_empty()
    }

    fn size(head: &LogHead) -> HeadSize {
        let rows = head.read();
        HeadSize { rows: rows.rows, bytes: rows.bytes() as u64, series: 0 }
    }

    fn measured(&self, bytes: u64) {
        HEAD_BYTES.set(bytes as f64);
        self.memory.measured(bytes);
    }

    fn replay(&self, _: &Tenant, head: &LogHead, payload: &[u8]) -> Result<(), EngineError> {
        let mut batch = format::decode(payload).map_err(StoreError::Batch)?;
        let mut rows = head.write().expect("no cut happens during the replay");
        let _ = rows.push(&batch.streams, &mut batch.rows);
        Ok(())
    }

    fn write(
        &self,
        tenant: &Tenant,
        head: &LogHead,
        origin: &FlushOrigin,
    ) -> Result<Vec<NewPart>, EngineError> {
        Ok(flush::write(&tenant.store, &head.read(), origin)?)
    }

    fn merge(
        &self,
        tenant: &Tenant,
        manifest: &Arc<Manifest>,
        plan: &MergePlan,
        origin: PartOrigin,
    ) -> Result<Vec<NewPart>, InputFailed> {
        merge::merge(&tenant.store, manifest, plan, origin)
    }

    fn check_tombstone(matcher: &[u8]) -> Result<(), EngineError> {
        LogDelete::decode(matcher).map(|_| ())
    }

    fn parts_gone(&self, parts: &[Ulid]) {
        self.caches.retain(|id| !parts.contains(&id));
    }
}
