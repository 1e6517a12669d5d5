//! The engine for any [`Kind`]: its tenants, and the [`Engine`] trait.

use crate::tenants::Tenants;
use crate::{
    Engine, EngineError, EngineStats, Kind, MergeRequest, RefusedBatches, Tenant, TenantStatus,
    plan_erasures, plan_merges,
};
use model::{Day, ErrorKind, Signal, TenantId, TimeRange, Ulid, WalPosition};
use parts::{Edit, Manifest, MergePlan, Site, Tombstone, tenants_with};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError};
use wal::Replayed;

pub struct Store<K: Kind> {
    pub kind: K,
    site: Site,
    tenants: Tenants<Tenant<K>>,
    limit: TenantLimit,
}

/// How many tenants may come to exist by being written to, and the setting that says so. Each has
/// files and a schedule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantLimit {
    pub most: usize,
    pub setting: &'static str,
}

impl TenantLimit {
    pub const NONE: Self = Self { most: usize::MAX, setting: "" };
}

impl<K: Kind> Store<K> {
    /// Opens the tenants that have manifests. `replay` then brings the batches of the write-ahead
    /// log.
    pub fn open(kind: K, site: Site) -> Result<Self, EngineError> {
        let store = Self { kind, site, tenants: Tenants::default(), limit: TenantLimit::NONE };
        for name in tenants_with(store.site.blobs.as_ref(), K::SIGNAL)? {
            store.tenant_or_new(&name)?;
        }
        Ok(store)
    }

    /// What was there before, and what the write-ahead log holds, is taken in any number.
    pub fn with_limit(self, limit: TenantLimit) -> Self {
        Self { limit, ..self }
    }

    /// The tenant, if it has any data: reading creates no tenant.
    pub fn tenant(&self, name: &TenantId) -> Option<Arc<Tenant<K>>> {
        self.tenants.get(name)
    }

    /// The tenant of a new batch; created if it does not exist and the limit allows one more.
    pub fn tenant_for_batch(&self, name: &TenantId) -> Result<Arc<Tenant<K>>, EngineError> {
        if let Some(tenant) = self.tenant(name) {
            return Ok(tenant);
        }
        let TenantLimit { most, setting } = self.limit;
        if self.tenants.len() >= most {
            // Not a matter of time, so the sender should not try again.
            let signal = K::SIGNAL;
            let message = format!(
                "tenant {name} would be one more than the {most} tenants of {signal} that \
                 `{setting}` allows: write to one of those, or raise it"
            );
            return Err(EngineError::new(ErrorKind::Forbidden, message));
        }
        self.tenant_or_new(name)
    }

    /// The tenant; created if it does not exist. For what was accepted before.
    pub fn tenant_or_new(&self, name: &TenantId) -> Result<Arc<Tenant<K>>, EngineError> {
        self.tenants.get_or_open(name, || Tenant::open(&self.kind, &self.site, name))
    }

    pub fn tenants(&self) -> Vec<Arc<Tenant<K>>> {
        self.tenants.all()
    }

    pub fn today(&self) -> Day {
        let now = K::SIGNAL.time_unit().of_ms(self.site.clock.wall_ms());
        Day::of(now, K::SIGNAL)
    }

    /// Records deletes, each as a time range and the engine's own encoding of the rows. All of them
    /// or none take effect for readers when this returns; the next merges erase the rows from the
    /// files.
    ///
    /// `barrier` must call its argument with the end of the write-ahead log while no batch is
    /// between the write-ahead log and a head. Nothing is written to disk during that call.
    pub fn delete(
        &self,
        tenant: &Tenant<K>,
        deletes: Vec<(TimeRange, Vec<u8>)>,
        barrier: impl FnOnce(
            &mut dyn FnMut(WalPosition) -> Result<(), EngineError>,
        ) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        // One delete at a time, so that generations and positions have the same order.
        let _deleting = tenant.deleting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut position = None;
        barrier(&mut |end| {
            tenant.split(&self.kind, end)?;
            position = Some(end);
            Ok(())
        })?;
        let position = position.expect("`barrier` calls its argument");
        let created_ms = self.site.clock.wall_ms();
        let tombstone = |(time, matcher)| Tombstone {
            id: tenant.store.mint_id(),
            time,
            matcher,
            created_ms,
            position,
            generation: 0,
        };
        let add_tombstones = deletes.into_iter().map(tombstone).collect();
        tenant.store.update(|_| Ok(Edit { add_tombstones, ..Edit::default() }))?;
        Ok(())
    }

    /// Rewrites the tenant's parts that still hold deleted rows. Returns how many.
    pub fn erase_deleted(&self, tenant: &Tenant<K>) -> Result<usize, EngineError> {
        self.merge_plans(tenant, true, plan_erasures).map(|done| done.len())
    }

    fn merge_plans(
        &self,
        tenant: &Tenant<K>,
        collect_now: bool,
        plan: impl FnOnce(&Manifest) -> Vec<MergePlan>,
    ) -> Result<Vec<MergePlan>, EngineError> {
        let _merging = tenant.merging.lock().unwrap_or_else(PoisonError::into_inner);
        let plans = plan(&tenant.store.snapshot());
        let outcome = tenant.merge_all(&self.kind, plans);
        match collect_now {
            true => tenant.store.collect_garbage_now()?,
            false => tenant.store.collect_garbage()?,
        };
        outcome.failed.map_or(Ok(outcome.done), Err)
    }

    fn tenant_for(&self, name: &TenantId) -> Result<Arc<Tenant<K>>, EngineError> {
        let missing =
            || EngineError::new(ErrorKind::NotFound, format!("there is no tenant {name}"));
        self.tenant(name).ok_or_else(missing)
    }
}

impl<K: Kind> Engine for Store<K> {
    fn signal(&self) -> Signal {
        K::SIGNAL
    }

    fn replay(&self, replayed: &Replayed<'_>) -> Result<(), EngineError> {
        let Replayed { position, batch } = replayed;
        let tenant = self.tenant_or_new(batch.tenant)?;
        tenant.note_applied(*position);
        if !tenant.needs_replay(*position) {
            return Ok(());
        }
        let head = tenant.live_at(&self.kind, *position);
        let replayed = match batch.schema == K::BATCH_SCHEMA {
            true => self.kind.replay(&tenant, &head, batch.payload),
            false => Err(unknown_schema::<K>(batch.schema)),
        };
        match &replayed {
            Ok(()) => tenant.note_accepted(*position),
            Err(_) => tenant.note_refused(*position),
        }
        replayed
    }

    fn end_replay(&self) {
        for tenant in self.tenants() {
            tenant.live(&self.kind);
            K::end_replay(&tenant.state);
        }
    }

    fn tenants(&self) -> Vec<TenantStatus> {
        let tenants = self.tenants.all();
        let memory = tenants.iter().map(|tenant| K::memory(tenant)).sum();
        self.kind.measured(memory);
        tenants.iter().map(|tenant| tenant.status()).collect()
    }

    fn cut(&self, tenant: &TenantId, end: WalPosition) {
        if let Some(tenant) = self.tenant(tenant) {
            tenant.cut(&self.kind, end);
        }
    }

    fn flush(&self, tenant: &TenantId) -> Result<(), EngineError> {
        self.tenant_for(tenant)?.flush(&self.kind, self.today())
    }

    fn merge(&self, tenant: &TenantId, request: &MergeRequest) -> Result<usize, EngineError> {
        let tenant = self.tenant_for(tenant)?;
        let (order, today) = (K::MERGE_ORDER, self.today());
        let done = self.merge_plans(&tenant, request.full, |manifest| {
            plan_merges(order, &manifest.parts, request, today)
        });
        Ok(done?.iter().map(|plan| plan.inputs.len()).sum())
    }

    fn tend(&self, tenant: &TenantId) {
        if let Some(tenant) = self.tenant(tenant) {
            self.kind.tend(&tenant);
        }
    }

    fn wal_covered(&self) -> Option<WalPosition> {
        let known = |tenant: &Arc<Tenant<K>>| {
            let manifest = tenant.store.snapshot();
            let deletes = manifest.tombstones.iter().map(|tombstone| tombstone.position);
            deletes.fold(manifest.covered, WalPosition::max)
        };
        self.tenants.all().iter().map(known).max()
    }

    fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.tenants.all().iter().map(|tenant| tenant.store.snapshot()).collect()
    }

    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError> {
        // A failure of one tenant does not stop the others.
        let tenants = self.tenants.all();
        let dropped: Vec<_> = tenants.iter().map(|t| t.drop_parts(&self.kind, parts)).collect();
        dropped.into_iter().sum()
    }

    fn note_loss(&self, end: WalPosition, text: &str) -> Result<(), EngineError> {
        // A failure of one tenant does not stop the others.
        let tenants = self.tenants.all();
        let concerned = tenants.iter().filter(|t| t.store.snapshot().covered < end);
        let noted: Vec<_> = concerned.map(|tenant| tenant.store.note_damage(text)).collect();
        Ok(noted.into_iter().collect::<Result<(), _>>()?)
    }

    fn refused(&self) -> Vec<RefusedBatches> {
        let of_tenant = |tenant: &Arc<Tenant<K>>| {
            let (refused, manifest) = (tenant.refused(), tenant.store.snapshot());
            let missing = manifest.damage.iter().map(|damage| damage.text.clone()).collect();
            let (lowest, count) = (refused.lowest(), refused.len());
            let tenant = tenant.name().clone();
            let found = RefusedBatches { signal: K::SIGNAL, tenant, count, lowest, missing };
            (count > 0 || !found.missing.is_empty()).then_some(found)
        };
        self.tenants.all().iter().filter_map(of_tenant).collect()
    }

    fn forget_refused(&self, tenant: &TenantId) -> Result<usize, EngineError> {
        let Some(tenant) = self.tenant(tenant) else { return Ok(0) };
        let missing = tenant.store.snapshot().damage.len();
        let forgotten = tenant.forget_refused() + missing;
        if forgotten > 0 {
            let engine_state = Some(tenant.refused().encode());
            let forget_damage = missing > 0;
            tenant.store.update(|_| Ok(Edit { engine_state, forget_damage, ..Edit::default() }))?;
            // Publishes once more, so that the generation before the newest does not list them
            // either.
            tenant.store.collect_garbage_now()?;
        }
        Ok(forgotten)
    }

    fn stats(&self) -> EngineStats {
        let mut stats = EngineStats::default();
        for tenant in self.tenants.all() {
            let sizes = tenant.all_heads();
            let manifest = tenant.store.snapshot();
            stats.tenants += 1;
            stats.head =
                sizes.iter().map(|head| K::size(head)).fold(stats.head, std::ops::Add::add);
            stats.parts += manifest.parts.len() as u64;
            stats.part_rows += manifest.parts.iter().map(|part| part.rows).sum::<u64>();
            stats.part_bytes += manifest.bytes();
            stats.quarantined += manifest.quarantined.len() as u64;
        }
        stats
    }
}

fn unknown_schema<K: Kind>(schema: u16) -> EngineError {
    let (signal, known) = (K::SIGNAL, K::BATCH_SCHEMA);
    let message = format!(
        "a batch of {signal} has schema {schema}, this program knows schema {known}: start a newer mirador"
    );
    EngineError::new(ErrorKind::Invalid, message)
}

impl<K: Kind> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("kind", &self.kind).finish_non_exhaustive()
    }
}
