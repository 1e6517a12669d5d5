//! Tests of gateway and maintenance on the simulated disk, with an engine that is a list per
//! tenant.

mod flush;
mod gateway;
mod repeats;
mod replay;
mod upkeep;

use crate::{ClockTrust, FlushSettings, Gateway, IngestError, Maintenance};
use engine::{
    BatchKind, Engine, EngineError, EngineStats, HeadSize, Intake, MergeRequest, RefusedBatches,
    TenantStatus,
};
use model::{Day, ErrorKind, Signal, TenantId, Ulid, WalPosition};
use parts::{Compression, Edit, Manifest, PartStore, PartSummary, Retention, Site};
use platform::sim::{CrashPolicy, Fault, Operation, SimClock, SimDisk};
use platform::{Clock, Disk, DiskBlobs, Ids, Random, SeededRandom, Space};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use wal::{Log, LogOptions, Replay, Replayed, SyncPolicy};

/// An engine that keeps rows in memory, then in "parts", and records the calls it got, in order.
#[derive(Debug)]
struct ListEngine {
    signal: Signal,
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    tenants: BTreeMap<TenantId, OfTenant>,
    asked: Vec<&'static str>,
    statuses_asked: usize,
    /// Flushes of these tenants fail.
    broken: BTreeSet<TenantId>,
    /// The next cut panics.
    cut_panics: bool,
    /// Batches add no rows.
    drops_rows: bool,
    /// Only for the tests of retention.
    stored: Vec<PartStore>,
    /// A merge lasts until the test ends it.
    merge_until: Option<Receiver<()>>,
}

#[derive(Debug, Default)]
struct OfTenant {
    head: Vec<String>,
    /// Rows that were cut, with the position of the cut.
    frozen: Vec<(WalPosition, Vec<String>)>,
    parts: Vec<String>,
    covered: Option<WalPosition>,
    last_applied: Option<WalPosition>,
    refused: BTreeSet<WalPosition>,
}

impl OfTenant {
    fn unflushed_from(&self) -> Option<WalPosition> {
        let covered = self.covered.unwrap_or(WalPosition::START);
        self.last_applied.filter(|last| *last >= covered).map(|_| covered)
    }
}

impl ListEngine {
    fn new(signal: Signal) -> Self {
        Self { signal, rows: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    fn push(&self, tenant: &TenantId, row: String, position: WalPosition) {
        let mut rows = self.rows();
        let drops_rows = rows.drops_rows;
        let of_tenant = rows.tenants.entry(tenant.clone()).or_default();
        if !drops_rows {
            of_tenant.head.push(row);
        }
        of_tenant.last_applied = Some(position);
    }

    fn of<T>(&self, tenant: &TenantId, look: impl FnOnce(&mut OfTenant) -> T) -> T {
        look(self.rows().tenants.entry(tenant.clone()).or_default())
    }

    fn parts(&self, tenant: &TenantId) -> Vec<String> {
        self.of(tenant, |of_tenant| of_tenant.parts.clone())
    }
}

impl Engine for ListEngine {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn replay(&self, batch: &Replayed<'_>) -> Result<(), EngineError> {
        let (tenant, position) = (batch.batch.tenant, batch.position);
        let text = String::from_utf8(batch.batch.payload.to_vec()).map_err(|error| {
            self.of(tenant, |of_tenant| of_tenant.refused.insert(position));
            EngineError::new(ErrorKind::Corrupt, error)
        })?;
        if self.of(tenant, |of_tenant| of_tenant.covered.is_none_or(|covered| position >= covered))
        {
            self.push(tenant, text, position);
        }
        Ok(())
    }

    fn end_replay(&self) {
        self.rows().asked.push("end replay");
    }

    fn tenants(&self) -> Vec<TenantStatus> {
        self.rows().statuses_asked += 1;
        let status = |(tenant, of_tenant): (&TenantId, &OfTenant)| {
            let bytes = of_tenant.head.iter().map(|row| row.len() as u64).sum();
            let unflushed = of_tenant.unflushed_from();
            TenantStatus {
                tenant: tenant.clone(),
                head: HeadSize { rows: of_tenant.head.len() as u64, bytes, series: 0 },
                is_frozen: !of_tenant.frozen.is_empty(),
                wants_cut: false,
                wal_needed_from: unflushed
                    .into_iter()
                    .chain(of_tenant.refused.first().copied())
                    .min(),
                wal_unflushed_from: unflushed,
            }
        };
        self.rows().tenants.iter().map(status).collect()
    }

    fn cut(&self, tenant: &TenantId, end: WalPosition) {
        let panics = std::mem::take(&mut self.rows().cut_panics);
        assert!(!panics, "asked to panic");
        self.rows().asked.push("cut");
        self.of(tenant, |of_tenant| {
            if of_tenant.frozen.is_empty() {
                let head = std::mem::take(&mut of_tenant.head);
                of_tenant.frozen.push((end, head));
            }
        });
    }

    fn flush(&self, tenant: &TenantId) -> Result<(), EngineError> {
        let mut rows = self.rows();
        rows.asked.push("flush");
        let is_broken = rows.broken.contains(tenant);
        let of_tenant = rows.tenants.entry(tenant.clone()).or_default();
        if !of_tenant.frozen.is_empty() && is_broken {
            let source = std::io::Error::other("the disk is on fire");
            let error = parts::PartError::Io { key: "blobs/part".to_owned(), source };
            return Err(error.into());
        }
        for (end, mut frozen) in std::mem::take(&mut of_tenant.frozen) {
            of_tenant.parts.append(&mut frozen);
            of_tenant.covered = Some(end);
        }
        Ok(())
    }

    fn merge(&self, _: &TenantId, _: &MergeRequest) -> Result<usize, EngineError> {
        self.rows().asked.push("merge");
        let until = self.rows().merge_until.take();
        let ended = until.map_or(Ok(()), |until| until.recv_timeout(Duration::from_secs(60)));
        ended.map_err(|error| EngineError::new(ErrorKind::Bug, error))?;
        self.rows().asked.push("merged");
        Ok(3)
    }

    fn tend(&self, _: &TenantId) {
        self.rows().asked.push("tend");
    }

    fn wal_covered(&self) -> Option<WalPosition> {
        self.rows().tenants.values().filter_map(|of_tenant| of_tenant.covered).max()
    }

    fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.rows().stored.iter().map(PartStore::snapshot).collect()
    }

    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError> {
        let mut dropped = 0;
        for store in &self.rows().stored {
            let manifest = store.snapshot();
            let remove: Vec<Ulid> = manifest.named().filter(|id| parts.contains(id)).collect();
            dropped += remove.len();
            if remove.is_empty() {
                continue;
            }
            let edit = Edit { remove, ..Edit::default() };
            store.update(|_| Ok(edit))?;
        }
        Ok(dropped)
    }

    fn note_loss(&self, _: WalPosition, _: &str) -> Result<(), EngineError> {
        self.rows().asked.push("loss");
        Ok(())
    }

    fn refused(&self) -> Vec<RefusedBatches> {
        let rows = self.rows();
        let refused = rows.tenants.iter().filter_map(|(tenant, of_tenant)| {
            let lowest = Some(*of_tenant.refused.first()?);
            let (signal, count, missing) = (self.signal, of_tenant.refused.len(), Vec::new());
            Some(RefusedBatches { signal, tenant: tenant.clone(), count, lowest, missing })
        });
        refused.collect()
    }

    fn forget_refused(&self, tenant: &TenantId) -> Result<usize, EngineError> {
        Ok(self.of(tenant, |of_tenant| std::mem::take(&mut of_tenant.refused).len()))
    }

    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }
}

/// A row on its way to the engine; `check` runs just before it is applied.
struct Row {
    list: Arc<ListEngine>,
    tenant: TenantId,
    text: String,
    check: Box<dyn FnOnce() + Send>,
    /// Rows with one count once.
    origin: Option<Vec<u8>>,
}

impl Intake for Row {
    type Done = WalPosition;

    fn kind(&self) -> BatchKind {
        let (tenant, signal) = (self.tenant.clone(), self.list.signal);
        BatchKind { tenant, signal, schema: 1 }
    }

    fn size_bytes(&self) -> usize {
        self.text.len()
    }

    fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref()
    }

    fn stored_before(self) -> Result<WalPosition, EngineError> {
        Ok(WalPosition::START)
    }

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        if self.text.is_empty() {
            return Err(EngineError::new(ErrorKind::Invalid, "the row is empty"));
        }
        payload.extend_from_slice(self.text.as_bytes());
        Ok(())
    }

    fn apply(self, position: WalPosition) -> Result<WalPosition, EngineError> {
        (self.check)();
        self.list.push(&self.tenant, self.text, position);
        Ok(position)
    }
}

const WAL_SIZE: u64 = 2 << 20;

struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
    list: Arc<ListEngine>,
    gateway: Arc<Gateway>,
    maintenance: Arc<Maintenance>,
    tenant: TenantId,
}

const SETTINGS: FlushSettings =
    FlushSettings { interval: Duration::from_secs(300), wal_size: WAL_SIZE, head_size: 100 };

const SPACE: Space = Space { total: 1, free: 1 };

fn options() -> LogOptions {
    // A failed write-ahead log is tried again only when the test says so.
    LogOptions { retry: Duration::from_secs(3_600), ..LogOptions::default() }
}

fn open_wal(disk: &SimDisk, options: LogOptions) -> (Log, Replay) {
    let random = SeededRandom::new(disk.operations() ^ 0x1A2B);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Log::open(shared, Arc::new(SimClock::new()), Arc::new(random), options).unwrap()
}

impl World {
    fn new(options: LogOptions) -> Self {
        let disk = SimDisk::new();
        let (wal, _) = open_wal(&disk, options);
        let (clock, list) = (Arc::new(SimClock::new()), Arc::new(ListEngine::new(Signal::Probe)));
        let engine: Arc<dyn Engine> = list.clone();
        let maintenance = Arc::new(Maintenance::new(vec![engine], clock.clone(), SETTINGS, None));
        let repeats = maintenance.repeats();
        let gateway = Arc::new(Gateway::new(Arc::new(wal), WalPosition::START, repeats));
        let tenant = TenantId::default_tenant();
        Self { disk, clock, list, gateway, maintenance, tenant }
    }

    async fn commit(&self, text: &str) -> Result<WalPosition, IngestError> {
        self.commit_checked(&self.tenant, text, || {}).await
    }

    async fn commit_checked(
        &self,
        tenant: &TenantId,
        text: &str,
        check: impl FnOnce() + Send + 'static,
    ) -> Result<WalPosition, IngestError> {
        let (list, tenant) = (Arc::clone(&self.list), tenant.clone());
        let (text, check) = (text.to_owned(), Box::new(check));
        self.gateway.commit(Row { list, tenant, text, check, origin: None }).await
    }

    fn heads(&self) -> Vec<String> {
        self.list.of(&self.tenant, |of_tenant| of_tenant.head.clone())
    }

    fn asked(&self, what: &str) -> usize {
        self.list.rows().asked.iter().filter(|asked| **asked == what).count()
    }

    async fn flush_due(&self) {
        // A failure was reported and is tried again.
        let _ = self.maintenance.flush_due(&self.gateway).await;
    }
}

/// The rows in the write-ahead log of a disk, as a new process finds them.
fn logged(disk: &SimDisk) -> Vec<String> {
    let (_, mut replay) = open_wal(disk, options());
    let mut rows = Vec::new();
    while let Some(found) = replay.next_batch().unwrap() {
        rows.push(String::from_utf8(found.batch.payload.to_vec()).unwrap());
    }
    rows
}

/// Lets the other tasks run until they wait.
async fn let_others_go_on() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Enough rows that a flush begins a new segment, so that the old one can be deleted. They do not
/// compress.
fn enough_rows() -> Vec<String> {
    let random = SeededRandom::new(7);
    let number = |_| format!("{:016x}", random.next_u64());
    (0..30).map(|_| (0..5_000).map(number).collect()).collect()
}
