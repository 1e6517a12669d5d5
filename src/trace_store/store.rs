//! The store that the rest of Mirador sees.

use crate::batch::{IdleSpans, SpanBatch};
use crate::delete::{KnownDelete, TraceDelete};
use crate::error::StoreError;
use crate::kind::{Store, Traces};
use crate::part::Caches;
use crate::select::{self, Select, Selection};
use crate::spans::Spans;
use engine::{Engine, EngineError, HeadMemory, MemoryBudget, TenantLimit};
use model::{TenantId, TimeUnit, WalPosition};
use parts::{PartInfo, Site};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The most memory for decoded pieces of parts.
    pub cache_bytes: usize,
    pub tenants: TenantLimit,
    pub head_memory: HeadMemory,
    /// While heads take more than this, batches wait for a flush.
    pub crowded_bytes: u64,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            tenants: TenantLimit::NONE,
            head_memory: HeadMemory::UNLIMITED,
            crowded_bytes: u64::MAX,
        }
    }
}

#[derive(Clone, Debug)]
pub struct TraceStore {
    store: Arc<Store>,
    crowded_bytes: u64,
    pub(crate) idle: Arc<IdleSpans>,
}

impl TraceStore {
    /// Opens the tenants that have parts. Replay then brings the batches of the write-ahead log
    /// through [`TraceStore::engine`].
    pub fn open(site: Site, settings: StoreSettings) -> Result<Self, StoreError> {
        let caches = Arc::new(Caches::new(settings.cache_bytes));
        let kind = Traces { caches, memory: MemoryBudget::new(settings.head_memory) };
        let store = Store::open(kind, site)?.with_limit(settings.tenants);
        let crowded_bytes = settings.crowded_bytes;
        Ok(Self { store: Arc::new(store), crowded_bytes, idle: Arc::default() })
    }

    /// The store as an engine, for the maintenance.
    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.store) as Arc<dyn Engine>
    }

    // ── writing ──

    /// An empty batch.
    pub fn batch(&self, tenant: &TenantId) -> SpanBatch {
        SpanBatch::new(self.clone(), tenant.clone())
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.store.kind.memory.used() > self.crowded_bytes
    }

    /// Refuses a batch for which there is no memory.
    pub(crate) fn prepare(&self, batch: &SpanBatch) -> Result<(), StoreError> {
        let memory = &self.store.kind.memory;
        memory.check_known()?;
        memory.check_new(batch.bytes())?;
        self.store.tenant_for_batch(&batch.tenant)?;
        Ok(())
    }

    /// Makes the batch readable.
    pub(crate) fn apply(
        &self,
        tenant: &TenantId,
        spans: &Spans,
        position: WalPosition,
    ) -> Result<(), StoreError> {
        let tenant = self.store.tenant_or_new(tenant)?;
        loop {
            let head = tenant.live(&self.store.kind);
            // A head that a cut has sealed meanwhile takes no more rows.
            if let Some(mut rows) = head.write() {
                let before = rows.bytes();
                rows.push(spans);
                self.store.kind.memory.add(before, rows.bytes());
                break;
            }
        }
        tenant.note_applied(position);
        Ok(())
    }

    // ── deleting ──

    /// Deletes traces: readers no longer see them; the next merges remove them from the
    /// disk. Spans that arrive later are kept. For `barrier` see [`engine::Store::delete`].
    pub fn delete(
        &self,
        tenant: &TenantId,
        delete: &TraceDelete,
        barrier: impl FnOnce(
            &mut dyn FnMut(WalPosition) -> Result<(), EngineError>,
        ) -> Result<(), EngineError>,
    ) -> Result<(), StoreError> {
        let Some(tenant) = self.store.tenant(tenant) else { return Ok(()) };
        if !delete.trace_ids.is_empty() {
            let time = TimeUnit::Nanos.between(i64::MIN, i64::MAX);
            self.store.delete(&tenant, vec![(time, delete.encode())], barrier)?;
        }
        Ok(())
    }

    /// The deletes of which parts may still hold spans. One that was applied to all is not among them.
    pub fn deletes(&self, tenant: &TenantId) -> Result<Vec<KnownDelete>, StoreError> {
        let Some(tenant) = self.store.tenant(tenant) else { return Ok(Vec::new()) };
        let manifest = tenant.store.snapshot();
        let known = manifest.tombstones.iter().map(KnownDelete::of);
        Ok(known.collect::<Result<_, _>>()?)
    }

    // ── reading ──

    pub fn select(&self, tenant: &TenantId, wanted: &Select) -> Result<Selection, StoreError> {
        select::select(&self.store, tenant, wanted)
    }

    /// The parts of the newest generation.
    pub fn parts(&self, tenant: &TenantId) -> Vec<PartInfo> {
        let tenant = self.store.tenant(tenant);
        tenant.map_or(Vec::new(), |tenant| tenant.store.snapshot().parts.clone())
    }

    /// The tenants that have data, or were written to.
    pub fn tenants(&self) -> Vec<TenantId> {
        self.store.tenants().iter().map(|tenant| tenant.name().clone()).collect()
    }
}
