//! Traces as a [`Kind`] of rows, from which `engine` makes a store.

use crate::batch::format::{self, BATCH_SCHEMA};
use crate::delete::TraceDelete;
use crate::error::StoreError;
use crate::head::Head;
use crate::part::Caches;
use crate::telemetry::HEAD_BYTES;
use crate::{flush, merge};
use engine::{
    EngineError, FlushOrigin, HeadSize, InputFailed, Kind, MemoryBudget, MergeOrder, PartOrigin,
};
use model::{Signal, Ulid};
use parts::{Manifest, MergePlan, NewPart};
use std::sync::Arc;

pub(crate) type Tenant = engine::Tenant<Traces>;
pub(crate) type TraceHead = engine::Head<Traces>;
pub(crate) type Store = engine::Store<Traces>;

/// What the tenants of the store share.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(crate) caches: Arc<Caches>,
    pub(crate) memory: MemoryBudget,
}

impl Kind for Traces {
    const SIGNAL: Signal = Signal::Traces;
    const BATCH_SCHEMA: u16 = BATCH_SCHEMA;
    /// Spans do not replace each other.
    const MERGE_ORDER: MergeOrder = MergeOrder::Any;

    type Context = ();
    type Rows = Head;
    type State = ();

    fn new_state(&self) {}

    fn context(&self, (): &(), _: Option<&()>) {}

    fn is_empty(rows: &Head) -> bool {
        rows.is_empty()
    }

    fn size(head: &TraceHead) -> HeadSize {
        let rows = head.read();
        HeadSize { rows: rows.rows, bytes: rows.bytes() as u64, series: 0 }
    }

    fn measured(&self, bytes: u64) {
        HEAD_BYTES.set(bytes as f64);
        self.memory.measured(bytes);
    }

    fn replay(&self, _: &Tenant, head: &TraceHead, payload: &[u8]) -> Result<(), EngineError> {
        let spans = format::decode(payload).map_err(StoreError::Batch)?;
        head.write().expect("no cut happens during the replay").push(&spans);
        Ok(())
    }

    fn write(
        &self,
        tenant: &Tenant,
        head: &TraceHead,
        origin: &FlushOrigin,
    ) -> Result<Vec<NewPart>, EngineError> {
        Ok(flush::write(self, tenant, &head.read(), origin)?)
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
        TraceDelete::decode(matcher).map(|_| ())
    }

    fn parts_gone(&self, parts: &[Ulid]) {
        self.caches.retain(|id| !parts.contains(&id));
    }
}
