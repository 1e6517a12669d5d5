//! A store, its write-ahead log and its disk.

use crate::lines::{Line, fill};
use engine::{Engine, EngineError, Intake, MergeRequest};
use log_store::{BATCH_SCHEMA, LogBatch, LogDelete, LogStore, StoreError, StoreSettings};
use model::{Signal, TenantId, TimeRange, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, SeededRandom, Space};
use std::error::Error;
use std::sync::Arc;
use wal::{Batch, Log, LogOptions};

pub(crate) const DAY_NS: i64 = 86_400_000_000_000;
/// Midnight of the simulated clock's first day.
pub(crate) const TODAY_NS: i64 = 1_795_219_200_000_000_000;
pub(crate) const SPACE: Space = Space { total: 1 << 40, free: 1 << 39 };

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) store: LogStore,
    pub(crate) tenant: TenantId,
    pub(crate) log: Log,
    pub(crate) engine: Arc<dyn Engine>,
    end: WalPosition,
}

impl World {
    pub(crate) fn open(
        disk: SimDisk,
        clock: Arc<SimClock>,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        Self::open_with(disk, clock, seed, StoreSettings::default(), |refused| Err(refused.into()))
    }

    /// Continues after refused batches, as a server does.
    pub(crate) fn open_lenient(
        disk: SimDisk,
        clock: Arc<SimClock>,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        Self::open_with(disk, clock, seed, StoreSettings::default(), |_| Ok(()))
    }

    pub(crate) fn open_with(
        disk: SimDisk,
        clock: Arc<SimClock>,
        seed: u64,
        settings: StoreSettings,
        on_refused: impl Fn(EngineError) -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(Arc::clone(&shared), "blobs")?);
        let random = Arc::new(SeededRandom::new(seed));
        let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
        let site = Site::new(blobs, clock.clone(), ids);
        let store = LogStore::open(site, settings)?;
        let engine = store.engine();
        let covered = engine.wal_covered().unwrap_or_default();
        let first_segment = covered.segment + 1;
        let options =
            LogOptions { segment_bytes: 16 << 10, first_segment, ..LogOptions::default() };
        let (log, mut replay) = Log::open(shared, clock, random, options)?;
        while let Some(replayed) = replay.next_batch()? {
            engine.replay(&replayed).or_else(&on_refused)?;
        }
        engine.end_replay();
        let end = log.end().max(covered);
        Ok(Self { disk, store, tenant: TenantId::default_tenant(), log, engine, end })
    }

    /// Writes a batch to the write-ahead log and applies it.
    pub(crate) fn write(&mut self, fill: impl FnOnce(&mut LogBatch)) -> Result<(), Box<dyn Error>> {
        let mut intake = self.store.batch(&self.tenant);
        fill(&mut intake);
        let mut payload = Vec::new();
        intake.encode(&mut payload)?;
        let batch = Batch {
            tenant: &self.tenant,
            signal: Signal::Logs,
            schema: BATCH_SCHEMA,
            payload: &payload,
        };
        let position = self.log.append_wait(&batch)?;
        intake.apply(position)?;
        self.end = position.behind();
        Ok(())
    }

    pub(crate) fn write_lines(&mut self, lines: &[Line]) -> Result<(), Box<dyn Error>> {
        self.write(|batch| fill(batch, lines))
    }

    pub(crate) fn end(&self) -> WalPosition {
        self.end.max(self.log.end())
    }

    pub(crate) fn flush(&self) -> Result<(), Box<dyn Error>> {
        self.engine.cut(&self.tenant, self.end());
        if self.store.tenants().contains(&self.tenant) {
            self.engine.flush(&self.tenant)?;
        }
        let statuses = self.engine.tenants();
        let needed = statuses.iter().filter_map(|status| status.wal_needed_from).min();
        self.log.truncate_before(needed.unwrap_or(self.log.end()))?;
        Ok(())
    }

    pub(crate) fn merge(&self, full: bool) -> Result<usize, EngineError> {
        match self.store.tenants().contains(&self.tenant) {
            true => self.engine.merge(&self.tenant, &MergeRequest { full, space: SPACE }),
            false => Ok(0),
        }
    }

    pub(crate) fn delete(&self, time: TimeRange, delete: LogDelete) -> Result<(), StoreError> {
        self.store.delete(&self.tenant, &[(time, delete)], |cut| cut(self.end()))
    }
}
