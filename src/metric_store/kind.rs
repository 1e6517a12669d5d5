//! Metrics as a [`Kind`] of rows, from which `engine` makes a store.

use crate::activity::Activity;
use crate::apply::{define, push_replayed};
use crate::batch::format::{self, BATCH_SCHEMA};
use crate::head::Head;
use crate::part::Caches;
use crate::series::SeriesContext;
use crate::telemetry::HEAD_BYTES;
use crate::{StoreError, flush, merge};
use engine::{
    EngineError, FlushOrigin, HeadSize, InputFailed, Kind, LabelDelete, MemoryBudget, MergeOrder,
    PartOrigin,
};
use model::{Signal, Ulid};
use parts::{Manifest, MergePlan, NewPart};
use platform::{Clock, Random};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) type Tenant = engine::Tenant<Metrics>;
pub(crate) type MetricHead = engine::Head<Metrics>;
pub(crate) type Store = engine::Store<Metrics>;

/// What the tenants of the store share.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) caches: Arc<Caches>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) memory: MemoryBudget,
}

/// What a tenant keeps beside its heads and parts.
#[derive(Debug)]
pub(crate) struct TenantSeries {
    /// By epoch, the numbers of series in the write-ahead log and the numbers that they have now.
    replayed: Mutex<HashMap<u64, HashMap<u32, u32>>>,
    activity: Mutex<Activity>,
}

impl TenantSeries {
    pub(crate) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replayed(&self) -> MutexGuard<'_, HashMap<u64, HashMap<u32, u32>>> {
        self.replayed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics {
    /// A random epoch, never 0: 0 means that no epoch has the definition.
    fn new_epoch(&self) -> u64 {
        self.random.next_u64() | 1
    }
}

impl Kind for Metrics {
    const SIGNAL: Signal = Signal::Metrics;
    const BATCH_SCHEMA: u16 = BATCH_SCHEMA;
    /// Of two samples of a series for one millisecond the newer one counts.
    const MERGE_ORDER: MergeOrder = MergeOrder::Age;

    type Context = SeriesContext;
    type Rows = Head;
    type State = TenantSeries;

    fn new_state(&self) -> TenantSeries {
        let activity = Mutex::new(Activity::new(self.clock.now()));
        TenantSeries { replayed: Mutex::default(), activity }
    }

    fn context(&self, state: &TenantSeries, before: Option<&SeriesContext>) -> SeriesContext {
        let registry = before.map(|before| Arc::clone(&before.registry)).unwrap_or_default();
        let thinned = state.activity().take_thinned(self.clock.now());
        SeriesContext { registry: thinned.unwrap_or(registry), epoch: self.new_epoch() }
    }

    fn is_empty(rows: &Head) -> bool {
        rows.is_empty()
    }

    /// The size without the labels of series, which stay in memory after a flush.
    fn size(head: &MetricHead) -> HeadSize {
        let rows = head.read();
        HeadSize {
            rows: rows.rows,
            bytes: rows.sample_bytes() as u64,
            series: rows.series_used() as u64,
        }
    }

    fn memory(tenant: &Tenant) -> u64 {
        let heads = tenant.all_heads();
        let rows: usize = heads.iter().map(|head| head.read().bytes()).sum();
        // The live head comes last. A frozen one may have an older registry, for the time of a flush.
        let live = heads.last().map_or(0, |live| live.context.registry().bytes());
        (rows + live) as u64
    }

    fn measured(&self, bytes: u64) {
        HEAD_BYTES.set(bytes as f64);
        self.memory.measured(bytes);
    }

    fn replay(
        &self,
        tenant: &Tenant,
        head: &MetricHead,
        payload: &[u8],
    ) -> Result<(), EngineError> {
        let batch = format::decode(payload).map_err(StoreError::from)?;
        let mut replayed = tenant.state.replayed();
        let numbers = replayed.entry(batch.epoch).or_default();
        define(&head.context, numbers, &batch.definitions);
        let known = head.context.registry().len();
        let mut rows = head.write().expect("no cut happens during the replay");
        rows.reserve(known);
        match push_replayed(&mut rows, numbers, &batch) {
            0 => Ok(()),
            samples => Err(StoreError::UndefinedSeries { samples }.into()),
        }
    }

    fn write(
        &self,
        tenant: &Tenant,
        head: &MetricHead,
        origin: &FlushOrigin,
    ) -> Result<Vec<NewPart>, EngineError> {
        Ok(flush::write(&tenant.store, head, origin)?)
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
        LabelDelete::decode(matcher).map(|_| ()).map_err(|error| StoreError::from(error).into())
    }

    fn flushed(&self, tenant: &Tenant, head: &MetricHead) {
        tenant.state.activity().note(head);
    }

    fn tend(&self, tenant: &Tenant) {
        let live = tenant.live(self);
        tenant.state.activity().note(&live);
        Activity::thin(tenant, &live, self.clock.now(), self.memory.is_short());
    }

    fn wants_cut(state: &TenantSeries) -> bool {
        state.activity().has_thinned()
    }

    fn end_replay(state: &TenantSeries) {
        state.replayed().clear();
    }

    fn parts_gone(&self, parts: &[Ulid]) {
        self.caches.retain(|id| !parts.contains(&id));
    }
}
