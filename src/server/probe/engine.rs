//! The probe's engine: the smallest one that does everything an engine must.

use super::records::{self, Record, Records, SCHEMA};
use codec::DecodeError;
use ingest::{Engine, EngineError, EngineStats, MergeRequest};
use model::{Day, ErrorKind, Signal, TenantId, TimeRange, Ulid};
use parts::{
    Compression, Edit, LogPosition, Manifest, MergePlan, MergeSettings, PartError, PartStore,
    PartSummary, Site, plan_full_merge, plan_merges,
};
use platform::Space;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wal::{Position, Replayed};

const SIGNAL: Signal = Signal::Probe;
const PAGE: u16 = 1;
const PAGE_RECORDS: usize = 1_024;

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    Parts(#[from] PartError),
    #[error("can't list the stored tenants")]
    List(#[source] io::Error),
    #[error("a probe batch does not decode")]
    Decode(#[from] DecodeError),
    #[error("probe batches of schema {0} are not known")]
    Schema(u16),
}

impl ProbeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Parts(error) => error.kind(),
            Self::List(_) => ErrorKind::Io,
            Self::Decode(_) => ErrorKind::Corrupt,
            Self::Schema(_) => ErrorKind::Invalid,
        }
    }
}

impl From<ProbeError> for EngineError {
    fn from(error: ProbeError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// What one tenant's records are, and where.
#[derive(Debug)]
struct Tenant {
    store: PartStore,
    head: Mutex<Head>,
    /// One flush, merge or retention at a time.
    upkeep: Mutex<()>,
}

#[derive(Debug, Default)]
struct Head {
    records: Records,
    /// Cut but not yet in parts; readable all the while.
    cut: Option<Cut>,
    last_applied: Option<Position>,
}

#[derive(Clone, Debug)]
struct Cut {
    end: Position,
    records: Arc<Records>,
}

#[derive(Debug)]
pub struct ProbeEngine {
    site: Site,
    tenants: Mutex<BTreeMap<TenantId, Arc<Tenant>>>,
}

impl ProbeEngine {
    /// Finds the tenants that have manifests.
    pub fn open(site: Site) -> Result<Self, ProbeError> {
        let engine = Self { site, tenants: Mutex::new(BTreeMap::new()) };
        for name in parts::tenants_with(engine.site.blobs.as_ref(), SIGNAL)? {
            engine.tenant(&name)?;
        }
        Ok(engine)
    }

    /// Makes records readable that are in the log at `position`.
    pub fn apply(
        &self,
        tenant: &TenantId,
        records: Records,
        position: Position,
    ) -> Result<(), ProbeError> {
        let tenant = self.tenant(tenant)?;
        let mut head = tenant.head();
        head.records.extend(records);
        head.last_applied = head.last_applied.max(Some(position));
        Ok(())
    }

    /// All records of a tenant, and warnings about what could not be read.
    pub fn read(&self, tenant: &TenantId) -> Result<(Records, Vec<String>), ProbeError> {
        let tenant = self.tenant(tenant)?;
        // The head first: what a flush moves from there to the parts is then seen at least once.
        let mut found = tenant.head_records();
        let manifest = tenant.store.snapshot();
        for part in &manifest.parts {
            match tenant.read_part(&manifest, part.id) {
                Ok(records) => found.extend(records),
                Err(error) => tenant.set_aside(part.id, &error)?,
            }
        }
        Ok((found, tenant.store.snapshot().warnings(TimeRange::EVERYTHING)))
    }

    fn tenant(&self, name: &TenantId) -> Result<Arc<Tenant>, PartError> {
        let mut tenants = self.tenants();
        if let Some(tenant) = tenants.get(name) {
            return Ok(Arc::clone(tenant));
        }
        let store = PartStore::open(&self.site, name.clone(), SIGNAL)?;
        let tenant = Tenant { store, head: Mutex::default(), upkeep: Mutex::default() };
        Ok(Arc::clone(tenants.entry(name.clone()).or_insert(Arc::new(tenant))))
    }

    fn tenants(&self) -> MutexGuard<'_, BTreeMap<TenantId, Arc<Tenant>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Tenant>> {
        self.tenants().values().cloned().collect()
    }

    fn merge_settings(&self, space: Space) -> MergeSettings {
        let now_ms = self.site.clock.wall_ms();
        MergeSettings {
            fan_in: MergeSettings::FAN_IN,
            bytes_max: MergeSettings::BYTES_MAX,
            today: Day::of(now_ms, SIGNAL),
            quiet_before_ms: now_ms.max(0) as u64,
            space,
        }
    }
}

impl Tenant {
    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upkeep(&self) -> MutexGuard<'_, ()> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head_records(&self) -> Records {
        let head = self.head();
        let mut records = head.records.clone();
        let cut = head.cut.iter().flat_map(|cut| cut.records.iter());
        records.extend(cut.map(|(id, record)| (*id, record.clone())));
        records
    }

    fn read_part(&self, manifest: &Manifest, id: Ulid) -> Result<Records, ProbeError> {
        let part = self.store.part(manifest, id)?;
        let mut found = Records::new();
        for page in part.pages_of(PAGE)? {
            found.extend(records::decode(&part.page(*page)?)?);
        }
        Ok(found)
    }

    /// Damage is quarantined and reported; a disk that fails now is only reported.
    fn set_aside(&self, id: Ulid, error: &ProbeError) -> Result<(), ProbeError> {
        if error.kind() == ErrorKind::Corrupt {
            self.store.quarantine(id, &error.to_string())?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), ProbeError> {
        let _upkeep = self.upkeep();
        let Some(cut) = self.head().cut.clone() else { return Ok(()) };
        let covered = log_position(cut.end);
        let mut edit = Edit { covered: Some(covered), ..Edit::default() };
        let manifest = self.store.snapshot();
        for (day, records) in by_day(&cut.records) {
            let source = Source { day, level: 0, covered, sources: Vec::new() };
            edit.add.push(self.write_part(&manifest, &source, &records)?);
        }
        self.store.update(|_| Ok(edit))?;
        self.head().cut = None;
        Ok(())
    }

    fn write_part(
        &self,
        manifest: &Manifest,
        source: &Source,
        records: &[(u64, &Record)],
    ) -> Result<parts::NewPart, ProbeError> {
        let mut writer = self.store.new_part()?;
        for page in records.chunks(PAGE_RECORDS) {
            let bytes = records::encode(page.iter().copied());
            writer.page(PAGE, Some(page[0].0), &bytes, Compression::Zstd { level: 1 })?;
        }
        let ticks = records.iter().map(|(_, record)| record.tick);
        let (min, max) = (ticks.clone().min().unwrap_or(0), ticks.max().unwrap_or(0));
        Ok(writer.finish(PartSummary {
            schema: SCHEMA,
            level: source.level,
            day: source.day,
            time: TimeRange { min, max },
            rows: records.len() as u64,
            series: 0,
            tombstones_applied: manifest.generation,
            covered: source.covered,
            sources: source.sources.clone(),
            bounds: Vec::new(),
            engine: Vec::new(),
        })?)
    }

    fn merge(&self, plan: &MergePlan) -> Result<(), ProbeError> {
        let manifest = self.store.snapshot();
        let mut records = Records::new();
        for id in &plan.inputs {
            match self.read_part(&manifest, *id) {
                Ok(found) => records.extend(found),
                Err(error) => {
                    self.set_aside(*id, &error)?;
                    return Err(error);
                }
            }
        }
        let source = Source {
            day: plan.day,
            level: plan.level,
            covered: manifest.covered,
            sources: plan.inputs.clone(),
        };
        let rows: Vec<(u64, &Record)> = records.iter().map(|(id, record)| (*id, record)).collect();
        let merged = self.write_part(&manifest, &source, &rows)?;
        let edit = Edit { add: vec![merged], remove: plan.inputs.clone(), ..Edit::default() };
        self.store.update(|_| Ok(edit))?;
        Ok(())
    }

    /// What of the log must stay: nothing, once even the generation before the newest covers all
    /// that was ever applied.
    fn log_needed_from(&self) -> Option<Position> {
        let last_applied = self.head().last_applied;
        let safe_below = self.store.log_needed_from();
        let needed = Position { segment: safe_below.segment, offset: safe_below.offset };
        self.holds_log(last_applied).then_some(needed)
    }

    fn holds_log(&self, last_applied: Option<Position>) -> bool {
        last_applied.is_some_and(|last| self.store.log_needed_from() <= log_position(last))
    }
}

/// Where a part's rows come from.
struct Source {
    day: Day,
    level: u8,
    covered: LogPosition,
    sources: Vec<Ulid>,
}

fn by_day(records: &Records) -> BTreeMap<Day, Vec<(u64, &Record)>> {
    let mut days: BTreeMap<Day, Vec<(u64, &Record)>> = BTreeMap::new();
    for (id, record) in records {
        days.entry(Day::of(record.tick, SIGNAL)).or_default().push((*id, record));
    }
    days
}

fn log_position(position: Position) -> LogPosition {
    LogPosition { segment: position.segment, offset: position.offset }
}

impl Engine for ProbeEngine {
    fn signal(&self) -> Signal {
        SIGNAL
    }

    fn replay(&self, replayed: &Replayed<'_>) -> Result<(), EngineError> {
        let Replayed { position, batch } = replayed;
        if batch.schema != SCHEMA {
            return Err(ProbeError::Schema(batch.schema).into());
        }
        let tenant = self.tenant(batch.tenant).map_err(ProbeError::from)?;
        if log_position(*position) < tenant.store.snapshot().covered {
            let mut head = tenant.head();
            head.last_applied = head.last_applied.max(Some(*position));
            return Ok(());
        }
        let records = records::decode(batch.payload).map_err(ProbeError::from)?;
        Ok(self.apply(batch.tenant, records.into_iter().collect(), *position)?)
    }

    fn cut(&self, end: Position) {
        for tenant in self.all() {
            let mut head = tenant.head();
            let mut records = std::mem::take(&mut head.records);
            // A cut that could not be written yet is written together with this one.
            if let Some(waiting) = head.cut.take() {
                let waiting = Arc::unwrap_or_clone(waiting.records);
                let newer = std::mem::replace(&mut records, waiting);
                records.extend(newer);
            }
            // Publishing once more, even nothing, lets go of the log behind the last batch.
            if !records.is_empty() || tenant.holds_log(head.last_applied) {
                head.cut = Some(Cut { end, records: Arc::new(records) });
            }
        }
    }

    fn flush(&self) -> Result<(), EngineError> {
        for tenant in self.all() {
            tenant.flush()?;
        }
        Ok(())
    }

    fn log_needed_from(&self) -> Option<Position> {
        self.all().iter().filter_map(|tenant| tenant.log_needed_from()).min()
    }

    fn log_covered(&self) -> Option<Position> {
        let covered = |tenant: &Arc<Tenant>| tenant.store.snapshot().covered;
        let highest = self.all().iter().map(covered).max()?;
        Some(Position { segment: highest.segment, offset: highest.offset })
    }

    fn merge(&self, request: &MergeRequest) -> Result<usize, EngineError> {
        let mut merged = 0;
        for tenant in self.all() {
            let _upkeep = tenant.upkeep();
            let manifest = tenant.store.snapshot();
            let settings = self.merge_settings(request.space);
            let plans = match request.full {
                true => plan_full_merge(&manifest.parts),
                false => plan_merges(&manifest.parts, &BTreeSet::new(), &settings),
            };
            for plan in &plans {
                tenant.merge(plan)?;
                merged += plan.inputs.len();
            }
            let collected = match request.full {
                true => tenant.store.collect_garbage_now(),
                false => tenant.store.collect_garbage(),
            };
            collected.map_err(ProbeError::from)?;
        }
        Ok(merged)
    }

    fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.all().iter().map(|tenant| tenant.store.snapshot()).collect()
    }

    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError> {
        let mut dropped = 0;
        for tenant in self.all() {
            let _upkeep = tenant.upkeep();
            let manifest = tenant.store.snapshot();
            let remove: Vec<_> = manifest.all_ids().filter(|id| parts.contains(id)).collect();
            if !remove.is_empty() {
                dropped += remove.len();
                let edit = Edit { remove, ..Edit::default() };
                tenant.store.update(|_| Ok(edit)).map_err(ProbeError::from)?;
                tenant.store.collect_garbage().map_err(ProbeError::from)?;
            }
        }
        Ok(dropped)
    }

    fn stats(&self) -> EngineStats {
        let mut stats = EngineStats::default();
        for tenant in self.all() {
            let head = tenant.head();
            let cut = head.cut.iter().flat_map(|cut| cut.records.values());
            let in_memory = head.records.values().chain(cut);
            let manifest = tenant.store.snapshot();
            stats.tenants += 1;
            for record in in_memory {
                stats.head_rows += 1;
                stats.head_bytes += record.text.len() as u64 + 64;
            }
            stats.parts += manifest.parts.len() as u64;
            stats.part_rows += manifest.parts.iter().map(|part| part.rows).sum::<u64>();
            stats.part_bytes += manifest.bytes();
            stats.quarantined += manifest.quarantined.len() as u64;
        }
        stats
    }
}
