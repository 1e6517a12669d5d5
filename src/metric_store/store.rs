//! The store of metrics, as the server and the languages use it.

use crate::apply::push_batch;
use crate::batch::format::{DecodedBatch, decode, encode};
use crate::batch::{BatchBuilder, Counts, Exemplar};
use crate::intake::Builders;
use crate::kind::{MetricHead, Metrics, Store, Tenant};
use crate::part::Caches;
use crate::select::{self, Select, Selection};
use crate::telemetry::{DELETES, SAMPLES_APPLIED};
use crate::{SeriesStats, StoreError};
use engine::{Engine, EngineError, HeadMemory, Kind, LabelDelete, MemoryBudget, TenantLimit};
use model::{Labels, Matcher, MetricMetadata, Room, TenantId, TimeRange, Unbounded, WalPosition};
use parts::{PartInfo, Site};
use platform::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The most memory for decoded pages of parts.
    pub cache_bytes: usize,
    pub tenants: TenantLimit,
    pub head_memory: HeadMemory,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 48 << 20,
            tenants: TenantLimit::NONE,
            head_memory: HeadMemory::UNLIMITED,
        }
    }
}

/// The limits of a tenant. The decoders check the limits of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most series in memory, which are those that were written recently.
    pub active_series_max: u64,
    /// The setting that says so, for the refusal that names it.
    pub setting: &'static str,
}

/// A batch that was resolved and encoded, and waits for the write-ahead log.
#[derive(Debug)]
pub struct Prepared {
    tenant: Arc<Tenant>,
    head: Arc<MetricHead>,
    limits: Limits,
    /// What the tenant's limits refused; the rest is in the batch.
    pub refused: Option<Refused>,
}

/// A delete whose matchers were resolved to label values.
#[derive(Debug)]
pub struct ResolvedDelete {
    time: TimeRange,
    series: LabelDelete,
}

#[derive(Debug)]
pub struct Refused {
    pub series: u64,
    /// The samples of the refused series.
    pub counts: Counts,
    /// The error names the limit.
    pub error: StoreError,
}

/// The schema of the batches that `prepare` encodes.
pub const BATCH_SCHEMA: u16 = Metrics::BATCH_SCHEMA;

/// Reads a batch of the write-ahead log, for those who follow it.
pub fn decode_batch(schema: u16, payload: &[u8]) -> Result<DecodedBatch, StoreError> {
    if schema != BATCH_SCHEMA {
        return Err(StoreError::UnknownSchema { schema });
    }
    Ok(decode(payload)?)
}

#[derive(Clone, Debug)]
pub struct MetricStore {
    store: Arc<Store>,
    pub(crate) builders: Arc<Builders>,
}

impl MetricStore {
    /// Opens the tenants that have parts. Replay then brings the batches of the write-ahead log
    /// through [`MetricStore::engine`].
    pub fn open(
        site: Site,
        random: Arc<dyn Random>,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        let caches = Arc::new(Caches::new(settings.cache_bytes));
        let memory = MemoryBudget::new(settings.head_memory);
        let kind = Metrics { caches, random, clock: Arc::clone(&site.clock), memory };
        let store = Store::open(kind, site)?.with_limit(settings.tenants);
        Ok(Self { store: Arc::new(store), builders: Arc::default() })
    }

    /// The store as an engine, for the maintenance.
    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.store) as Arc<dyn Engine>
    }

    // ── writing ──

    /// Resolves the batch's series and appends its encoding for the write-ahead log to `payload`.
    /// No cut may happen between this and `apply`: see [`engine::Intake`].
    pub fn prepare(
        &self,
        tenant: &TenantId,
        limits: Limits,
        batch: &mut BatchBuilder,
        payload: &mut Vec<u8>,
    ) -> Result<Prepared, StoreError> {
        let memory = &self.store.kind.memory;
        memory.check_known()?;
        let tenant = self.store.tenant_for_batch(tenant)?;
        let head = tenant.live(&self.store.kind);
        let series = head.context.resolve(batch, limits.active_series_max, memory)?;
        let refused = (series > 0).then(|| Refused {
            series,
            counts: batch.drop_refused(),
            error: StoreError::Limit {
                limit: limits.setting,
                tenant: tenant.name().to_string(),
                most: limits.active_series_max,
                refused: series,
            },
        });
        encode(batch, head.context.epoch, payload);
        Ok(Prepared { tenant, head, limits, refused })
    }

    /// Makes the batch readable. `position` is its position in the write-ahead log.
    pub fn apply(
        &self,
        prepared: Prepared,
        batch: &mut BatchBuilder,
        position: WalPosition,
    ) -> Result<(), StoreError> {
        let Prepared { tenant, mut head, limits, .. } = prepared;
        let memory = &self.store.kind.memory;
        while !push(&head, batch, memory) {
            // A cut happened in between. The batch is above it, so it belongs to the next head.
            head = tenant.live(&self.store.kind);
            // The batch is in the write-ahead log already, so memory is no reason to refuse it.
            head.context.resolve(batch, limits.active_series_max, &MemoryBudget::unlimited())?;
            batch.drop_refused();
        }
        tenant.note_applied(position);
        SAMPLES_APPLIED.add(batch.sample_count() as u64);
        Ok(())
    }

    /// Under which epoch the tenant's series are defined in the write-ahead log by now. Every batch of
    /// an earlier epoch was answered before the epoch changed.
    pub fn live_epoch(&self, tenant: &TenantId) -> Option<u64> {
        let tenant = self.store.tenant(tenant)?;
        Some(tenant.live(&self.store.kind).context.epoch)
    }

    // ── deleting ──

    /// Resolves a delete of matching series; `None` if no series matches. Rows that arrive between
    /// this and `delete` count as later than the delete.
    pub fn resolve_delete(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        time: TimeRange,
    ) -> Result<Option<ResolvedDelete>, StoreError> {
        let wanted = Select { time, matchers, values_needed: false };
        let selection = select::select(&self.store, tenant, &wanted, &mut Unbounded)?;
        if selection.is_empty() {
            return Ok(None);
        }
        let series = LabelDelete::resolve(matchers, |label| {
            (0..selection.len()).map(|i| selection.labels(i).value(label).to_owned()).collect()
        });
        Ok(Some(ResolvedDelete { time, series }))
    }

    /// Deletes samples: all of the deletes take effect or none. Readers no longer see the samples;
    /// the next merges, or `erase_deleted`, remove them from the disk. For `barrier` see
    /// [`engine::Store::delete`].
    pub fn delete(
        &self,
        tenant: &TenantId,
        deletes: &[ResolvedDelete],
        barrier: impl FnOnce(
            &mut dyn FnMut(WalPosition) -> Result<(), EngineError>,
        ) -> Result<(), EngineError>,
    ) -> Result<(), StoreError> {
        let Some(tenant) = self.store.tenant(tenant) else { return Ok(()) };
        if !deletes.is_empty() {
            let encoded = deletes.iter().map(|delete| (delete.time, delete.series.encode()));
            self.store.delete(&tenant, encoded.collect(), barrier)?;
            DELETES.add(deletes.len() as u64);
        }
        Ok(())
    }

    /// Rewrites the tenant's parts that still hold deleted samples. Returns how many.
    pub fn erase_deleted(&self, tenant: &TenantId) -> Result<usize, StoreError> {
        let tenant = self.store.tenant(tenant);
        Ok(tenant.map_or(Ok(0), |tenant| self.store.erase_deleted(&tenant))?)
    }

    // ── reading: what is found needs `room`, or the answer is `StoreError::NoRoom` ──

    pub fn select(
        &self,
        tenant: &TenantId,
        wanted: &Select<'_>,
        room: &mut dyn Room,
    ) -> Result<Selection, StoreError> {
        select::select(&self.store, tenant, wanted, room)
    }

    /// The names of labels in order, and warnings about what could not be read.
    pub fn label_names(
        &self,
        tenant: &TenantId,
        wanted: &Select<'_>,
        room: &mut dyn Room,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        select::label_names(&self.store, tenant, wanted, room)
    }

    /// The values of a label in order, and warnings about what could not be read.
    pub fn label_values(
        &self,
        tenant: &TenantId,
        wanted: &Select<'_>,
        label: &str,
        room: &mut dyn Room,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        select::label_values(&self.store, tenant, wanted, label, room)
    }

    pub fn metadata(
        &self,
        tenant: &TenantId,
        room: &mut dyn Room,
    ) -> Result<BTreeMap<String, MetricMetadata>, StoreError> {
        select::metadata(&self.store, tenant, room)
    }

    pub fn exemplars(
        &self,
        tenant: &TenantId,
        time: TimeRange,
        matchers: &[Matcher],
        room: &mut dyn Room,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, StoreError> {
        select::exemplars(&self.store, tenant, time, matchers, room)
    }

    /// From the first to the last sample, in memory and in parts; deleted samples may count.
    pub fn time_range(&self, tenant: &TenantId) -> Option<TimeRange> {
        let view = self.store.tenant(tenant)?.view(&self.store.kind);
        let of_heads = view.heads.iter().filter_map(|head| head.read().time());
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

    /// The series of all tenants, and the memory that they take.
    pub fn series_stats(&self) -> SeriesStats {
        let mut stats = SeriesStats::default();
        for tenant in self.store.tenants() {
            let registry = &tenant.live(&self.store.kind).context;
            stats.active_series += registry.registry().len() as u64;
            stats.bytes += registry.registry().bytes() as u64;
            let heads = tenant.all_heads();
            stats.bytes += heads.iter().map(|head| head.read().bytes() as u64).sum::<u64>();
        }
        stats
    }
}

/// Pushes the batch into the head against which it was resolved; false if a cut has sealed that
/// head.
fn push(head: &MetricHead, batch: &BatchBuilder, memory: &MemoryBudget) -> bool {
    let known = head.context.registry().len();
    let Some(mut rows) = head.write() else { return false };
    let before = rows.bytes();
    rows.reserve(known);
    push_batch(&mut rows, batch);
    memory.add(before, rows.bytes());
    drop(rows);
    if !batch.defined.is_empty() {
        let registry = head.context.registry();
        let numbers = batch.defined.iter().map(|slot| batch.numbers[*slot as usize]);
        numbers.for_each(|number| registry.entry(number).define(head.context.epoch));
    }
    true
}
