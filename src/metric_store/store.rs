//! The store as the server holds it.

use crate::StoreError;
use crate::batch::format::{BATCH_SCHEMA, encode};
use crate::batch::{BatchBuilder, Counts, Exemplar};
use crate::deletes::Deleted;
use crate::part::Caches;
use crate::plan::{MergeWish, plan};
use crate::select::{self, Select, Selection};
use crate::telemetry::DELETES;
use crate::tenant::{LiveHead, Tenant, log_position};
use model::{Day, ErrorKind, Labels, Matcher, MetricMetadata, Signal, TenantId, TimeRange, Ulid};
use parts::{
    Edit, Manifest, PartError, PartInfo, PartStore, Site, Tombstone, plan_erasures, tenants_with,
};
use platform::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use wal::{Position, Replayed};

const SIGNAL: Signal = Signal::Metrics;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// What decoded pages of parts may take of memory.
    pub cache_bytes: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { cache_bytes: 48 << 20 }
    }
}

/// What a tenant may have. What labels may be is checked by whoever reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series in memory: those that were written to lately.
    pub active_series_max: u64,
}

/// A batch that was resolved and encoded, and waits for the log.
#[derive(Debug)]
pub struct Prepared {
    tenant: Arc<Tenant>,
    live: Arc<LiveHead>,
    limits: Limits,
    /// What the tenant's limits did not let in; the rest is in the batch.
    pub refused: Option<Refused>,
}

/// A delete that knows which series it means.
#[derive(Debug)]
pub struct ResolvedDelete {
    tenant: Arc<Tenant>,
    time: TimeRange,
    deleted: Deleted,
}

#[derive(Debug)]
pub struct Refused {
    pub series: u64,
    /// What came for them.
    pub counts: Counts,
    /// Names the limit.
    pub error: StoreError,
}

/// Figures of all tenants together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    pub tenants: u64,
    pub active_series: u64,
    pub head_rows: u64,
    /// Samples and names in memory.
    pub head_bytes: u64,
    pub parts: u64,
    pub part_rows: u64,
    pub part_bytes: u64,
    pub quarantined: u64,
}

#[derive(Debug)]
pub struct MetricStore {
    site: Site,
    random: Arc<dyn Random>,
    caches: Arc<Caches>,
    tenants: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
}

impl MetricStore {
    /// Opens the tenants that have parts. The log's batches come by `replay` then.
    pub fn open(
        site: Site,
        random: Arc<dyn Random>,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        let caches = Arc::new(Caches::new(settings.cache_bytes));
        let store = Self { site, random, caches, tenants: RwLock::default() };
        for tenant in tenants_with(store.site.blobs.as_ref(), SIGNAL)? {
            store.tenant(&tenant)?;
        }
        Ok(store)
    }

    // ── writing ──

    /// Resolves the batch's series and encodes it for the log behind what is in `payload`. From
    /// here to `apply` there must be no cut: this belongs under the gateway's gate.
    pub fn prepare(
        &self,
        tenant: &TenantId,
        limits: Limits,
        batch: &mut BatchBuilder,
        payload: &mut Vec<u8>,
    ) -> Result<Prepared, StoreError> {
        let tenant = self.tenant(tenant)?;
        let live = tenant.live();
        let series = live.resolve(batch, limits.active_series_max)?;
        let refused = (series > 0).then(|| Refused {
            series,
            counts: batch.drop_refused(),
            error: StoreError::Limit {
                limit: "active_series_max",
                tenant: tenant.store.tenant().to_string(),
                most: limits.active_series_max,
                refused: series,
            },
        });
        encode(batch, live.epoch, payload);
        Ok(Prepared { tenant, live, limits, refused })
    }

    /// Makes the batch readable; it stands in the log at `position`.
    pub fn apply(
        &self,
        prepared: Prepared,
        batch: &mut BatchBuilder,
        position: Position,
    ) -> Result<(), StoreError> {
        let Prepared { tenant, mut live, limits, .. } = prepared;
        while !tenant.apply(&live, batch, position) {
            // A cut came between. The batch is in the log above it, so it belongs to what follows.
            live = tenant.live();
            live.resolve(batch, limits.active_series_max)?;
            batch.drop_refused();
        }
        Ok(())
    }

    /// The schema of the batches that `prepare` encodes.
    pub const BATCH_SCHEMA: u16 = BATCH_SCHEMA;

    /// Takes back a batch at start-up. What the manifests cover already is passed over.
    pub fn replay(&self, replayed: &Replayed<'_>) -> Result<(), StoreError> {
        let Replayed { position, batch } = replayed;
        if batch.schema != BATCH_SCHEMA {
            return Err(StoreError::Schema(batch.schema));
        }
        self.tenant(batch.tenant)?.replay(batch.payload, *position)
    }

    // ── upkeep ──

    /// Sets everything applied so far apart, but for tenants whose last cut is not yet in parts: a
    /// flush that fails must not leave one head more with every try. No batch is between log and
    /// store meanwhile.
    pub fn cut(&self, end: Position) {
        for tenant in self.all() {
            tenant.cut(end, self.new_epoch(), self.site.clock.now());
        }
    }

    /// Writes what was cut into parts. After an error it can be called again.
    pub fn flush(&self) -> Result<(), StoreError> {
        let today = Day::of(self.site.clock.wall_ms(), SIGNAL);
        self.each_tenant(|tenant| tenant.flush(today).map(|()| 0)).map(|_| ())
    }

    /// The sum of what the work answers. One tenant's trouble is not that of the next: all are
    /// served, and the first failure is the answer.
    fn each_tenant(
        &self,
        mut work: impl FnMut(&Tenant) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let outcomes: Vec<_> = self.all().iter().map(|tenant| work(tenant)).collect();
        outcomes.into_iter().sum()
    }

    /// The first position of the log that is not yet safe without it.
    pub fn log_needed_from(&self) -> Option<Position> {
        self.all().iter().filter_map(|tenant| tenant.log_needed_from()).min()
    }

    /// The highest position that any manifest covers.
    pub fn log_covered(&self) -> Option<Position> {
        let covered = |tenant: &Arc<Tenant>| tenant.store.snapshot().covered;
        let highest = self.all().iter().map(covered).max()?;
        Some(Position { segment: highest.segment, offset: highest.offset })
    }

    /// Answers how many parts went into merges.
    pub fn merge(&self, wish: &MergeWish) -> Result<usize, StoreError> {
        self.each_tenant(|tenant| {
            let _upkeep = tenant.upkeep();
            let today = Day::of(self.site.clock.wall_ms(), SIGNAL);
            let plans = plan(&tenant.store.snapshot().parts, wish, today);
            let merged = tenant.merge_all(&plans);
            let merged = merged.map(|done| done.iter().map(|plan| plan.inputs.len()).sum());
            self.give_back(tenant, wish.full)?;
            merged
        })
    }

    /// The parts that there are, tenant by tenant.
    pub fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.all().iter().map(|tenant| tenant.store.snapshot()).collect()
    }

    /// Drops those of the parts that are still there. Answers how many.
    pub fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, StoreError> {
        self.each_tenant(|tenant| {
            let _upkeep = tenant.upkeep();
            // A merge may have been faster.
            let manifest = tenant.store.snapshot();
            let remove: Vec<Ulid> = manifest.all_ids().filter(|id| parts.contains(id)).collect();
            let dropped = remove.len();
            if dropped > 0 {
                tenant.store.update(|_| Ok(Edit { remove, ..Edit::default() }))?;
                self.give_back(tenant, false)?;
            }
            Ok(dropped)
        })
    }

    /// What a delete of matching series is to mean; `None` where there is nothing to delete. Looks
    /// at names on the disk, so it is asked before anybody is made to wait: what comes between this
    /// and `delete` came at the same time as the delete.
    pub fn resolve_delete(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        time: TimeRange,
    ) -> Result<Option<ResolvedDelete>, StoreError> {
        let tenant = self.reading(tenant)?;
        let wanted = Select { time, matchers, values_needed: false };
        let selection = select::select(&tenant, &self.caches, &wanted)?;
        if selection.is_empty() {
            return Ok(None);
        }
        let deleted = Deleted::resolve(matchers, |label| {
            (0..selection.len()).map(|i| selection.labels(i).value(label).to_owned()).collect()
        });
        Ok(Some(ResolvedDelete { tenant, time, deleted }))
    }

    /// Deletes samples. Gone for readers at once; gone from the disk with the next merge, or by
    /// `clean_tombstones`. `position` is the end of the log; no batch is between log and store
    /// meanwhile, and no cut.
    pub fn delete(&self, delete: &ResolvedDelete, position: Position) -> Result<(), StoreError> {
        let ResolvedDelete { tenant, time, deleted } = delete;
        let tombstone = Tombstone {
            id: tenant.store.mint_id(),
            time: *time,
            matcher: deleted.encode(),
            created_ms: self.site.clock.wall_ms(),
            position: log_position(position),
            generation: 0,
        };
        let edit = Edit { add_tombstones: vec![tombstone], ..Edit::default() };
        tenant.delete(*time, deleted, || tenant.store.update(|_| Ok(edit)))?;
        DELETES.increment();
        Ok(())
    }

    /// Rewrites the parts that still hold deleted samples. Answers how many.
    pub fn clean_tombstones(&self) -> Result<usize, StoreError> {
        self.each_tenant(|tenant| {
            let _upkeep = tenant.upkeep();
            let manifest = tenant.store.snapshot();
            let mut plans = plan_erasures(&manifest, &BTreeSet::new());
            plans.extend(young_erasures(&manifest, &plans));
            let cleaned = tenant.merge_all(&plans).map(|done| done.len());
            self.give_back(tenant, true)?;
            cleaned
        })
    }

    /// The space of parts that nobody needs, `now` or as soon as that costs no generation.
    fn give_back(&self, tenant: &Tenant, now: bool) -> Result<(), StoreError> {
        match now {
            true => tenant.store.collect_garbage_now()?,
            false => tenant.store.collect_garbage()?,
        };
        self.forget_gone_parts();
        Ok(())
    }

    /// Ids are unique across tenants; another tenant's parts stay.
    fn forget_gone_parts(&self) {
        let mut live: BTreeSet<Ulid> = BTreeSet::new();
        for tenant in self.all() {
            live.extend(tenant.store.snapshot().parts.iter().map(|part| part.id));
        }
        self.caches.retain(|id| live.contains(&id));
    }

    /// Samples in memory, without the names and states of their series: what a cut and a flush free.
    pub fn head_bytes(&self) -> u64 {
        let of_tenant = |tenant: &Arc<Tenant>| -> usize {
            tenant.view().heads.iter().map(|(live, _)| live.read().sample_bytes()).sum()
        };
        self.all().iter().map(|tenant| of_tenant(tenant) as u64).sum()
    }

    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats::default();
        for tenant in self.all() {
            stats.tenants += 1;
            stats.active_series += tenant.live().registry().len() as u64;
            stats.head_bytes += tenant.live().registry().bytes() as u64;
            for (live, _) in tenant.view().heads {
                let head = live.read();
                stats.head_rows += head.rows;
                stats.head_bytes += head.bytes() as u64;
            }
            let manifest = tenant.store.snapshot();
            stats.parts += manifest.parts.len() as u64;
            stats.part_rows += manifest.parts.iter().map(|part| part.rows).sum::<u64>();
            stats.part_bytes += manifest.bytes();
            stats.quarantined += manifest.quarantined.len() as u64;
        }
        stats
    }

    // ── reading ──

    pub fn select(&self, tenant: &TenantId, wanted: &Select<'_>) -> Result<Selection, StoreError> {
        select::select(&self.reading(tenant)?, &self.caches, wanted)
    }

    /// The names of labels in order, and what the reader should know.
    pub fn label_names(
        &self,
        tenant: &TenantId,
        wanted: &Select<'_>,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        select::label_names(&self.reading(tenant)?, &self.caches, wanted)
    }

    /// The values of a label in order, and what the reader should know.
    pub fn label_values(
        &self,
        tenant: &TenantId,
        wanted: &Select<'_>,
        label: &str,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        select::label_values(&self.reading(tenant)?, &self.caches, wanted, label)
    }

    pub fn metadata(
        &self,
        tenant: &TenantId,
    ) -> Result<BTreeMap<String, MetricMetadata>, StoreError> {
        select::metadata(&self.reading(tenant)?, &self.caches)
    }

    pub fn exemplars(
        &self,
        tenant: &TenantId,
        time: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, StoreError> {
        select::exemplars(&self.reading(tenant)?, &self.caches, time, matchers)
    }

    /// From the first to the last sample, in memory and in parts; deleted ones may count.
    pub fn time_range(&self, tenant: &TenantId) -> Result<Option<TimeRange>, StoreError> {
        let tenant = self.reading(tenant)?;
        let parts = tenant.store.snapshot();
        let of_heads = tenant.view().heads.into_iter().filter_map(|(live, _)| live.read().time());
        let all = of_heads.chain(parts.parts.iter().map(|part| part.time));
        Ok(all.reduce(TimeRange::union))
    }

    /// The parts of the newest generation.
    pub fn parts(&self, tenant: &TenantId) -> Result<Vec<PartInfo>, StoreError> {
        Ok(self.reading(tenant)?.store.snapshot().parts.clone())
    }

    /// Those that have anything, or were written to.
    pub fn tenants(&self) -> Vec<TenantId> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.keys().cloned().collect()
    }

    fn all(&self) -> Vec<Arc<Tenant>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().cloned().collect()
    }

    fn tenant(&self, name: &TenantId) -> Result<Arc<Tenant>, StoreError> {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.map_or_else(|| self.open_tenant(name).map_err(StoreError::from), Ok)
    }

    /// To be read: asking for what nobody ever wrote to leaves nothing behind.
    fn reading(&self, name: &TenantId) -> Result<Arc<Tenant>, StoreError> {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.map_or_else(|| Ok(Arc::new(self.new_tenant(name)?)), Ok)
    }

    fn open_tenant(&self, name: &TenantId) -> Result<Arc<Tenant>, PartError> {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = tenants.get(name) {
            return Ok(Arc::clone(tenant));
        }
        let tenant = Arc::new(self.new_tenant(name)?);
        tenants.insert(name.clone(), Arc::clone(&tenant));
        Ok(tenant)
    }

    fn new_tenant(&self, name: &TenantId) -> Result<Tenant, PartError> {
        let store = PartStore::open(&self.site, name.clone(), SIGNAL)?;
        Ok(Tenant::new(store, self.new_epoch(), self.site.clock.now()))
    }

    /// Never 0, which no definition stands in.
    fn new_epoch(&self) -> u64 {
        self.random.next_u64() | 1
    }
}

/// Parts that a merge would touch some day, but that are asked to be clean now.
fn young_erasures(manifest: &Manifest, planned: &[parts::MergePlan]) -> Vec<parts::MergePlan> {
    let is_planned = |id: Ulid| planned.iter().any(|plan| plan.inputs.contains(&id));
    let concerned =
        manifest.parts.iter().filter(|part| manifest.tombstones_for(part).next().is_some());
    let young = concerned.filter(|part| !is_planned(part.id));
    let plan = |part: &PartInfo| parts::MergePlan {
        day: part.day,
        level: part.level,
        inputs: vec![part.id],
        bytes: part.bytes,
    };
    young.map(plan).collect()
}

impl StoreError {
    /// Whether the sender may try again.
    pub fn is_retryable(&self) -> bool {
        let kind: ErrorKind = self.kind();
        kind.is_retryable()
    }
}
