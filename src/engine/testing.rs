//! An engine with its write-ahead log on a simulated disk, for the tests of engines.

mod fixtures;

use crate::{Engine, EngineError, Intake, MergeRequest};
use model::{TenantId, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, SeededRandom, Space};
use std::error::Error;
use std::sync::Arc;
use wal::{Batch, Log, LogOptions};

pub use fixtures::thawed;

/// Midnight of the simulated clock's first day.
pub const TODAY_NS: i64 = 1_795_219_200_000_000_000;
pub const DAY_NS: i64 = 86_400_000_000_000;
/// A disk with room.
pub const SPACE: Space = Space { total: 1 << 40, free: 1 << 39 };

/// An engine, its write-ahead log and its disk.
#[derive(Debug)]
pub struct World {
    pub disk: SimDisk,
    pub engine: Arc<dyn Engine>,
    pub log: Log,
    pub tenant: TenantId,
    end: WalPosition,
}

impl World {
    /// Opens the engine that `open` makes, and replays the write-ahead log. A batch that is refused is
    /// an error, unless `is_lenient`: then it is gone on with, as a server does.
    pub fn open<S>(
        disk: SimDisk,
        clock: Arc<SimClock>,
        seed: u64,
        is_lenient: bool,
        open: impl FnOnce(Site) -> Result<(S, Arc<dyn Engine>), Box<dyn Error>>,
    ) -> Result<(S, Self), Box<dyn Error>> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(Arc::clone(&shared), "blobs")?);
        let random = Arc::new(SeededRandom::new(seed));
        let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
        let (store, engine) = open(Site::new(blobs, clock.clone(), ids))?;
        let covered = engine.wal_covered().unwrap_or_default();
        let first_segment = covered.segment + 1;
        let options =
            LogOptions { segment_bytes: 16 << 10, first_segment, ..LogOptions::default() };
        let (log, mut replay) = Log::open(shared, clock, random, options)?;
        while let Some(replayed) = replay.next_batch()? {
            match engine.replay(&replayed) {
                Err(refused) if !is_lenient => return Err(refused.into()),
                _ => {}
            }
        }
        engine.end_replay();
        let end = log.end().max(covered);
        Ok((store, Self { disk, engine, log, tenant: TenantId::default_tenant(), end }))
    }

    /// Writes a batch to the write-ahead log and applies it.
    pub fn write<I: Intake>(&mut self, mut intake: I) -> Result<I::Done, Box<dyn Error>> {
        let mut payload = Vec::new();
        let kind = intake.kind();
        intake.encode(&mut payload)?;
        let (signal, schema) = (kind.signal, kind.schema);
        let batch = Batch { tenant: &kind.tenant, signal, schema, payload: &payload };
        let position = self.log.append_wait(&batch)?;
        let done = intake.apply(position)?;
        self.end = position.behind();
        Ok(done)
    }

    pub fn end(&self) -> WalPosition {
        self.end.max(self.log.end())
    }

    fn is_known(&self) -> bool {
        self.engine.tenants().iter().any(|status| status.tenant == self.tenant)
    }

    /// Writes the heads into parts, and truncates the write-ahead log.
    pub fn flush(&self) -> Result<(), Box<dyn Error>> {
        self.engine.cut(&self.tenant, self.end());
        if self.is_known() {
            self.engine.flush(&self.tenant)?;
        }
        let statuses = self.engine.tenants();
        let needed = statuses.iter().filter_map(|status| status.wal_needed_from).min();
        self.log.truncate_before(needed.unwrap_or(self.log.end()))?;
        Ok(())
    }

    pub fn merge(&self, full: bool) -> Result<usize, EngineError> {
        match self.is_known() {
            true => self.engine.merge(&self.tenant, &MergeRequest { full, space: SPACE }),
            false => Ok(0),
        }
    }
}
