//! The store of logs, as the server and the languages use it.

use crate::batch::{IdleRows, LogBatch};
use crate::delete::{KnownDelete, LogDelete};
use crate::error::StoreError;
use crate::kind::{Logs, Store};
use crate::part::Caches;
use crate::select::{self, Listing, Select, Selection};
use crate::tail::{Fresh, Tail};
use engine::{Engine, EngineError, HeadMemory, MemoryBudget, TenantLimit};
use model::{Matcher, Room, TenantId, TimeRange, WalPosition};
use parts::{PartInfo, Site};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The most memory for decoded pieces of parts.
    pub cache_bytes: usize,
    pub tenants: TenantLimit,
    pub head_memory: HeadMemory,
    /// The most streams of one tenant's head, and the setting that says so.
    pub streams_max: u64,
    /// While heads take more than this, batches wait for a flush.
    pub crowded_bytes: u64,
    pub streams_setting: &'static str,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            tenants: TenantLimit::NONE,
            head_memory: HeadMemory::UNLIMITED,
            streams_max: u64::MAX,
            crowded_bytes: u64::MAX,
            streams_setting: "",
        }
    }
}

#[derive(Clone, Debug)]
pub struct LogStore {
    store: Arc<Store>,
    settings: StoreSettings,
    pub(crate) idle: Arc<IdleRows>,
}

impl LogStore {
    /// Opens the tenants that have parts. Replay then brings the batches of the write-ahead log
    /// through [`LogStore::engine`].
    pub fn open(site: Site, settings: StoreSettings) -> Result<Self, StoreError> {
        let caches = Arc::new(Caches::new(settings.cache_bytes));
        let kind = Logs { caches, memory: MemoryBudget::new(settings.head_memory) };
        let store = Store::open(kind, site)?.with_limit(settings.tenants);
        Ok(Self { store: Arc::new(store), settings, idle: Arc::default() })
    }

    /// The store as an engine, for the maintenance.
    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.store) as Arc<dyn Engine>
    }

    // ── writing ──

    /// An empty batch.
    pub fn batch(&self, tenant: &TenantId) -> LogBatch {
        LogBatch::new(self.clone(), tenant.clone())
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.store.kind.memory.used() > self.settings.crowded_bytes
    }

    /// Refuses a batch for which there is no memory, or whose streams are too many.
    pub(crate) fn prepare(&self, batch: &LogBatch) -> Result<(), StoreError> {
        let memory = &self.store.kind.memory;
        memory.check_known()?;
        let tenant = self.store.tenant_for_batch(&batch.tenant)?;
        let head = tenant.live(&self.store.kind);
        let rows = head.read();
        let is_new = |labels: &&model::Labels| rows.streams.find(labels.as_bytes()).is_none();
        let new = batch.streams.labels().iter().filter(is_new).count() as u64;
        if new == 0 {
            return Ok(());
        }
        memory.check_new(batch.streams.bytes())?;
        let StoreSettings { streams_max, streams_setting, .. } = self.settings;
        if rows.streams.len() as u64 + new > streams_max {
            return Err(StoreError::Streams {
                limit: streams_setting,
                tenant: batch.tenant.to_string(),
                most: streams_max,
                refused: new,
            });
        }
        Ok(())
    }

    /// Makes the batch readable.
    pub(crate) fn apply(
        &self,
        mut batch: LogBatch,
        position: WalPosition,
    ) -> Result<(), StoreError> {
        let tenant = self.store.tenant_or_new(&batch.tenant)?;
        let numbers = loop {
            let head = tenant.live(&self.store.kind);
            // A head that a cut has sealed meanwhile takes no more rows.
            if let Some(mut rows) = head.write() {
                let before = rows.bytes();
                let numbers = rows.push(batch.streams.labels(), &mut batch.rows);
                self.store.kind.memory.add(before, rows.bytes());
                break numbers;
            }
        };
        // Later than the head: so a reader that follows first and selects then misses no line.
        let tails = &tenant.state;
        if !tails.is_empty() {
            batch.rows.rename_streams(&numbers);
            tails.hand_on(batch.streams.labels(), &batch.rows);
        }
        tenant.note_applied(position);
        self.idle.give_back(batch.rows);
        Ok(())
    }

    // ── deleting ──

    /// Deletes lines: all of the deletes take effect or none. Readers no longer see the lines; the
    /// next merges, or `erase_deleted`, remove them from the disk. For `barrier` see
    /// [`engine::Store::delete`].
    pub fn delete(
        &self,
        tenant: &TenantId,
        deletes: &[(TimeRange, LogDelete)],
        barrier: impl FnOnce(
            &mut dyn FnMut(WalPosition) -> Result<(), EngineError>,
        ) -> Result<(), EngineError>,
    ) -> Result<(), StoreError> {
        let Some(tenant) = self.store.tenant(tenant) else { return Ok(()) };
        if !deletes.is_empty() {
            let encoded = deletes.iter().map(|(time, delete)| (*time, delete.encode()));
            self.store.delete(&tenant, encoded.collect(), barrier)?;
        }
        Ok(())
    }

    /// The deletes whose lines may still be in files, the oldest first. One that was applied to all files
    /// is forgotten.
    pub fn deletes(&self, tenant: &TenantId) -> Result<Vec<KnownDelete>, StoreError> {
        let Some(tenant) = self.store.tenant(tenant) else { return Ok(Vec::new()) };
        let manifest = tenant.store.snapshot();
        let known = manifest.tombstones.iter().map(KnownDelete::of);
        Ok(known.collect::<Result<_, _>>()?)
    }

    /// Rewrites the tenant's parts that still hold deleted lines. Returns how many.
    pub fn erase_deleted(&self, tenant: &TenantId) -> Result<usize, StoreError> {
        let tenant = self.store.tenant(tenant);
        Ok(tenant.map_or(Ok(0), |tenant| self.store.erase_deleted(&tenant))?)
    }

    // ── reading ──

    pub fn select(&self, tenant: &TenantId, wanted: &Select<'_>) -> Result<Selection, StoreError> {
        select::select(&self.store, tenant, wanted)
    }

    /// Streams with lines near the range, in no order.
    pub fn streams(
        &self,
        tenant: &TenantId,
        time: TimeRange,
        matchers: &[Matcher],
        room: &mut dyn Room,
    ) -> Result<Listing, StoreError> {
        select::streams(&self.store, tenant, time, matchers, room)
    }

    /// Follows the lines that a tenant gets from now on. `wake` is called when there are new ones, from
    /// the thread that applies them, so it must be quick.
    pub fn follow(
        &self,
        tenant: &TenantId,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Tail, StoreError> {
        // A tenant without data comes to exist, so the limit of tenants holds as for a batch.
        Ok(self.store.tenant_for_batch(tenant)?.state.follow(wake))
    }

    /// The lines among fresh ones that are wanted.
    pub fn select_fresh(&self, fresh: &[Arc<Fresh>], wanted: &Select<'_>) -> Selection {
        select::select_fresh(&self.store, fresh, wanted)
    }

    /// From the first to the last line, in memory and in parts; deleted ones may count.
    pub fn time_range(&self, tenant: &TenantId) -> Option<TimeRange> {
        let view = self.store.tenant(tenant)?.view(&self.store.kind);
        let of_head = |head: &Arc<crate::kind::LogHead>| {
            head.read().blocks.iter().map(|block| block.time).reduce(TimeRange::union)
        };
        let of_heads = view.heads.iter().filter_map(of_head);
        of_heads.chain(view.manifest.parts.iter().map(|part| part.time)).reduce(TimeRange::union)
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
