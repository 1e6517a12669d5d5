//! Tests of gateway and maintenance on the simulated disk, with an engine that is a list per
//! tenant.

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
                head: HeadSize { rows: of_tenant.head.len() as u64, bytes },
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
        let gateway = Arc::new(Gateway::new(Arc::new(wal), WalPosition::START));
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
        self.gateway.commit(Row { list, tenant, text, check }).await
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

#[tokio::test]
async fn a_batch_is_on_the_disk_before_it_is_applied() {
    for large in [1, 1 << 20] {
        let world = World::new(options());
        let row = "x".repeat(large);
        let (disk, list, tenant) =
            (world.disk.clone(), Arc::clone(&world.list), world.tenant.clone());
        let expected = row.clone();
        let power_cut = move || {
            assert!(list.of(&tenant, |of_tenant| of_tenant.head.is_empty()));
            assert_eq!(logged(&disk.crash(CrashPolicy::LoseUnsynced)), [expected]);
        };
        world.commit_checked(&world.tenant, &row, power_cut).await.unwrap();
        assert_eq!(world.heads(), [row]);
    }
}

#[tokio::test]
async fn a_batch_is_whole_although_its_caller_goes_away() {
    let world = World::new(options());
    for row in ["small".to_owned(), "x".repeat(1 << 20)] {
        let mut committing = std::pin::pin!(world.commit(&row));
        tokio::select! {
            biased;
            done = &mut committing => panic!("nothing has been done yet: {done:?}"),
            () = async {} => {}
        }
    }
    while world.heads().len() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_in_an_engine_is_an_error_of_that_batch() {
    let world = World::new(options());
    let error = world.commit_checked(&world.tenant, "row", || panic!("for the test")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Bug);
    world.commit("next").await.unwrap();
    world.gateway.barrier(|_| ()).await;
}

#[tokio::test]
async fn a_barrier_is_told_the_position_behind_the_last_batch() {
    let world = World::new(options());
    let next = world.commit("one").await.unwrap();
    let behind = world.gateway.barrier(|end| end).await;
    assert!(behind > next);
}

#[tokio::test]
async fn an_emptied_write_ahead_log_goes_on_above_what_manifests_know() {
    let disk = SimDisk::new();
    let (wal, _) = open_wal(&disk, options());
    let known = WalPosition { segment: 9, offset: 5 };
    let gateway = Gateway::new(Arc::new(wal), known);
    assert_eq!(gateway.barrier(|end| end).await, known);
}

#[tokio::test]
async fn what_was_not_synced_is_not_applied_and_stops_what_follows() {
    for operation in [Operation::Sync, Operation::Append] {
        let world = World::new(options());
        world.commit("before").await.unwrap();
        world.disk.fail_next(operation, Fault::Eio);
        for row in ["lost", "refused at once"] {
            let error = world.commit(row).await.unwrap_err();
            assert!(matches!(error, IngestError::Wal(_)), "{error}");
            assert!(error.kind().is_retryable(), "its sender may try again");
        }
        assert_eq!(world.heads(), ["before"]);
        let left = world.disk.crash(CrashPolicy::LoseUnsynced);
        assert_eq!(logged(&left), ["before"], "{operation:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_encoded_reaches_no_write_ahead_log() {
    let world = World::new(options());
    let error = world.commit("").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Invalid, "the row is empty")
    );
    world.gateway.wal().shutdown();
    assert!(logged(&world.disk).is_empty());
}

/// Batches wait in the write-ahead log until its shutdown writes them.
fn waiting_wal() -> LogOptions {
    LogOptions { window: Duration::from_secs(3_600), queue_bytes: 1 << 20, ..options() }
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let world = World::new(LogOptions { queue_bytes: 64, ..waiting_wal() });
    let long = "x".repeat(200);
    let mut first = std::pin::pin!(world.commit(&long));
    tokio::select! {
        biased;
        done = &mut first => panic!("the sync is still to come: {done:?}"),
        () = let_others_go_on() => {}
    }
    let refused = world.commit(&long).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused}");
    world.gateway.wal().shutdown();
    first.await.unwrap();
    assert_eq!(world.heads().len(), 1);
}

#[tokio::test]
async fn a_barrier_waits_for_batches_that_are_not_in_a_head_yet() {
    let world = World::new(waiting_wal());
    let mut batch = std::pin::pin!(world.commit("under way"));
    tokio::select! {
        biased;
        _ = &mut batch => panic!("the sync is still to come"),
        () = let_others_go_on() => {}
    }
    let mut barrier = std::pin::pin!(world.gateway.barrier(|_| world.heads()));
    tokio::select! {
        biased;
        _ = &mut barrier => panic!("a batch is under way"),
        () = let_others_go_on() => {}
    }
    world.gateway.wal().shutdown();
    let (committed, seen) = tokio::join!(batch, barrier);
    committed.unwrap();
    assert_eq!(seen, ["under way"]);
}

/// Enough rows that a flush begins a new segment, so that the old one can be deleted. They do not
/// compress.
fn enough_rows() -> Vec<String> {
    let random = SeededRandom::new(7);
    let number = |_| format!("{:016x}", random.next_u64());
    (0..30).map(|_| (0..5_000).map(number).collect()).collect()
}

#[tokio::test]
async fn a_flush_cuts_writes_and_lets_go_of_the_write_ahead_log() {
    let world = World::new(options());
    let rows = enough_rows();
    for row in &rows {
        world.commit(row).await.unwrap();
    }
    world.maintenance.flush(&world.gateway).await.unwrap();
    world.commit("after").await.unwrap();
    assert_eq!(world.list.rows().asked, ["flush", "cut", "flush"], "what was left goes first");
    assert!(world.list.parts(&world.tenant) == rows);
    assert_eq!(world.heads(), ["after"]);
    world.gateway.wal().shutdown();
    assert_eq!(logged(&world.disk), ["after"]);
}

#[tokio::test]
async fn a_flush_that_fails_keeps_the_write_ahead_log_and_is_done_again() {
    let world = World::new(options());
    let rows = enough_rows();
    for row in &rows {
        world.commit(row).await.unwrap();
    }
    let before = world.gateway.wal().size_bytes();
    world.list.rows().broken.insert(world.tenant.clone());
    let error = world.maintenance.flush(&world.gateway).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    assert!(world.gateway.wal().size_bytes() >= before, "nothing was let go of");
    world.list.rows().broken.clear();
    world.maintenance.flush(&world.gateway).await.unwrap();
    assert!(world.list.parts(&world.tenant) == rows);
    world.gateway.wal().shutdown();
    assert!(logged(&world.disk).is_empty());
}

#[tokio::test]
async fn flushes_come_when_they_are_due() {
    let world = World::new(options());
    world.clock.advance(Duration::from_secs(301));
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 0, "nothing is there");
    world.commit("small").await.unwrap();
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 0, "it has not waited long enough");
    world.clock.advance(Duration::from_secs(301));
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 1);
    world.commit(&"x".repeat(100)).await.unwrap();
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 2, "the head is large");
}

/// A tenant that can't be flushed must not make the others write a part every second, nor stop
/// truncation. Both happened once.
#[tokio::test]
async fn a_tenant_that_fails_is_no_trouble_of_the_others() {
    let world = World::new(options());
    let bad = TenantId::new("bad").unwrap();
    world.list.rows().broken.insert(bad.clone());
    world.commit_checked(&bad, &"x".repeat(200), || {}).await.unwrap();
    for _ in 0..20 {
        world.commit("calm").await.unwrap();
        world.flush_due().await;
        world.clock.advance(Duration::from_secs(5));
    }
    assert!(world.list.parts(&world.tenant).is_empty(), "it is not cut early");
    assert_eq!(world.asked("cut"), 1, "what could not be written is not cut again");
    assert!((5..12).contains(&world.asked("flush")), "it is tried less and less often");
    world.clock.advance(Duration::from_secs(300));
    let error = world.maintenance.flush_due(&world.gateway).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "probe of tenant bad: can't read or write blobs/part: the disk is on fire"
    );
    assert_eq!(world.list.parts(&world.tenant).len(), 20, "one flush for all of them");
    world.list.rows().broken.clear();
    world.clock.advance(Duration::from_secs(60));
    world.flush_due().await;
    assert_eq!(world.list.parts(&bad).len(), 1);
}

/// It happens once a second, and looks at every tenant.
#[tokio::test]
async fn a_tick_without_work_asks_once() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    world.gateway.wal().rotate();
    world.commit("row").await.unwrap();
    assert!(world.gateway.wal().segments().len() > 1);
    world.flush_due().await;
    assert_eq!(world.list.rows().statuses_asked, 1);
    assert!(world.gateway.wal().segments().len() > 1, "the rows are not in parts yet");
}

/// Metadata, or a batch whose rows were all refused, leaves no rows to write, but the write-ahead
/// log grows.
#[tokio::test]
async fn a_write_ahead_log_without_rows_is_let_go_of() {
    let world = World::new(options());
    world.list.rows().drops_rows = true;
    for row in &enough_rows() {
        world.commit(row).await.unwrap();
    }
    let before = world.gateway.wal().size_bytes();
    assert!(before > WAL_SIZE, "{before}");
    world.flush_due().await;
    assert!(world.gateway.wal().size_bytes() < before / 10);
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 1, "nothing has come since");
}

#[tokio::test]
async fn neither_a_flush_nor_retention_waits_for_a_merge() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    let (end, until) = std::sync::mpsc::channel::<()>();
    world.list.rows().merge_until = Some(until);
    let request = MergeRequest { full: true, space: SPACE };
    let others = async {
        world.maintenance.flush(&world.gateway).await.unwrap();
        world.maintenance.retain(|_| Retention::default()).await.unwrap();
        assert_eq!(world.list.parts(&world.tenant), ["row"]);
        end.send(()).unwrap();
    };
    let (merged, ()) = tokio::join!(world.maintenance.merge(&world.gateway, request), others);
    assert_eq!(merged.unwrap(), 3);
}

/// The maintenance of a new process on this disk, with the same rows in parts.
fn restarted(world: &World, disk: &SimDisk) -> (World, crate::ReplayReport) {
    let list = Arc::new(ListEngine::new(Signal::Probe));
    let covered = world.list.of(&world.tenant, |of_tenant| of_tenant.covered);
    list.of(&world.tenant, |of_tenant| of_tenant.covered = covered);
    let engine: Arc<dyn Engine> = list.clone();
    let clock = world.clock.clone();
    let maintenance = Arc::new(Maintenance::new(vec![engine], clock.clone(), SETTINGS, None));
    let (wal, replay) = open_wal(disk, options());
    let mut told = (0, 0);
    let report = maintenance.replay(replay, |done, total| told = (done, total)).unwrap();
    assert!(told.0 > 0 && told.0 <= told.1);
    let gateway = Arc::new(Gateway::new(Arc::new(wal), maintenance.wal_covered()));
    let (disk, tenant) = (disk.clone(), world.tenant.clone());
    (World { disk, clock, list, gateway, maintenance, tenant }, report)
}

#[tokio::test]
async fn replay_gives_back_what_no_part_covers() {
    let world = World::new(options());
    for row in ["one", "two"] {
        world.commit(row).await.unwrap();
    }
    world.maintenance.flush(&world.gateway).await.unwrap();
    world.commit("three").await.unwrap();
    let (world, report) = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!(world.heads(), ["three"]);
    assert_eq!((report.batches, report.refused), (3, 0), "a small write-ahead log is kept whole");
    assert_eq!(world.asked("end replay"), 1);
    let covered = world.list.of(&world.tenant, |of_tenant| of_tenant.covered);
    assert_eq!(Some(world.maintenance.wal_covered()), covered);
}

/// Batches of an engine that is switched off, or of a newer version. They must not be truncated
/// after two flushes, as they once were.
#[tokio::test]
async fn refused_batches_stay_until_an_operator_gives_them_up() {
    let world = World::new(options());
    let refused = [(Signal::Traces, &b"nobody's"[..]), (Signal::Probe, b"\xff")];
    for (signal, payload) in refused {
        let batch = wal::Batch { tenant: &world.tenant, signal, schema: 1, payload };
        world.gateway.wal().append_wait(&batch).unwrap();
    }
    let (world, report) = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!(report.refused, 2);
    for _ in 0..4 {
        for row in &enough_rows() {
            world.commit(row).await.unwrap();
        }
        world.maintenance.flush(&world.gateway).await.unwrap();
    }
    let is_kept = |world: &World| world.gateway.wal().segments()[0].sequence == 1;
    assert!(is_kept(&world), "{:?}", world.gateway.wal().segments());
    let mut signals: Vec<Signal> =
        world.maintenance.refused().iter().map(|batches| batches.signal).collect();
    signals.sort();
    assert_eq!(signals, [Signal::Traces, Signal::Probe]);
    for (signal, _) in refused {
        assert!(is_kept(&world), "one of the two is still refused");
        assert_eq!(world.maintenance.forget_refused(signal, &world.tenant).unwrap(), 1);
        assert_eq!(world.maintenance.forget_refused(signal, &world.tenant).unwrap(), 0);
        world.maintenance.flush(&world.gateway).await.unwrap();
    }
    assert!(!is_kept(&world));
}

/// A manifest that a merge publishes may be what the write-ahead log was still kept for.
#[tokio::test]
async fn a_merge_lets_go_of_the_write_ahead_log() {
    let world = World::new(options());
    for row in &enough_rows() {
        world.commit(row).await.unwrap();
    }
    let needed = world.list.of(&world.tenant, |of_tenant| of_tenant.last_applied);
    world.list.of(&world.tenant, |of_tenant| of_tenant.refused.extend(needed));
    world.maintenance.flush(&world.gateway).await.unwrap();
    let kept = world.gateway.wal().size_bytes();
    world.list.of(&world.tenant, |of_tenant| of_tenant.refused.clear());
    let request = MergeRequest { full: true, space: SPACE };
    world.maintenance.merge(&world.gateway, request).await.unwrap();
    assert!(world.gateway.wal().size_bytes() < kept / 10);
}

#[tokio::test]
async fn merging_answers_what_the_engines_did() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    let request = MergeRequest { full: true, space: SPACE };
    assert_eq!(world.maintenance.merge(&world.gateway, request).await.unwrap(), 3);
    assert_eq!(world.list.rows().asked, ["merge", "merged"]);
    world.maintenance.tend().await.unwrap();
    assert_eq!(world.asked("tend"), 1);
}

/// One part of the same size for each of the days.
fn stored(site: &Site, signal: Signal, days: &[i64]) -> PartStore {
    let store = PartStore::open(site, TenantId::default_tenant(), signal).unwrap();
    let part = |day: &i64| {
        let day = Day(*day);
        let time = day.range(signal);
        let (covered, sources) = (WalPosition::START, Vec::new());
        let (bounds, engine) = (Vec::new(), Vec::new());
        let (schema, level, rows, series, tombstones_applied) = (1, 0, 1, 1, 0);
        let summary = PartSummary {
            schema,
            level,
            day,
            time,
            rows,
            series,
            tombstones_applied,
            covered,
            sources,
            bounds,
            engine,
        };
        let mut writer = store.new_part().unwrap();
        writer.page(1, None, &[0; 100_000], Compression::None).unwrap();
        writer.finish(summary).unwrap()
    };
    let add = days.iter().map(part).collect();
    store.update(|_| Ok(Edit { add, ..Edit::default() })).unwrap();
    store
}

#[tokio::test]
async fn engines_share_the_size_of_the_disk() {
    let world = World::new(options());
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let blobs = Arc::new(DiskBlobs::open(disk, "blobs").unwrap());
    let random = Arc::new(SeededRandom::new(3));
    let site =
        Site::new(blobs, world.clock.clone(), Arc::new(Ids::new(world.clock.clone(), random)));
    let lists = [(Signal::Metrics, [1, 4, 5]), (Signal::Logs, [2, 3, 5])].map(|(signal, days)| {
        let list = ListEngine::new(signal);
        list.rows().stored.push(stored(&site, signal, &days));
        Arc::new(list)
    });
    let engines = lists.iter().map(|list| Arc::clone(list) as Arc<dyn Engine>).collect();
    let maintenance = Arc::new(Maintenance::new(engines, world.clock.clone(), SETTINGS, None));
    let days = || {
        let manifests = lists.iter().flat_map(|list| list.manifests());
        manifests.map(|m| m.parts.iter().map(|p| p.day.0).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let retain =
        |bytes_max| move |_| Retention { bytes_max: Some(bytes_max), ..Retention::default() };
    assert_eq!(maintenance.retain(retain(700_000)).await.unwrap(), 0);
    assert_eq!(
        maintenance.retain(retain(450_000)).await.unwrap(),
        2,
        "the oldest two, one of each"
    );
    assert_eq!(days(), [vec![4, 5], vec![3, 5]]);
    assert_eq!(maintenance.retain(retain(350_000)).await.unwrap(), 1);
    assert_eq!(days(), [vec![4, 5], vec![5]]);
}

/// The wall clock jumps 60 days ahead: nothing is dropped at once, and everything that is too old
/// after a day in which the clock kept its pace.
#[tokio::test]
async fn a_wall_clock_that_jumps_drops_nothing() {
    let world = World::new(options());
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let blobs = Arc::new(DiskBlobs::open(disk, "blobs").unwrap());
    let ids = Ids::new(world.clock.clone(), Arc::new(SeededRandom::new(3)));
    let site = Site::new(blobs, world.clock.clone(), Arc::new(ids));
    let signal = Signal::Metrics;
    let today = Day::of(world.clock.wall_ms(), signal).0;
    let list = Arc::new(ListEngine::new(signal));
    list.rows().stored.push(stored(&site, signal, &[today - 20, today - 1, today]));
    let start = || {
        let engines = vec![Arc::clone(&list) as Arc<dyn Engine>];
        Arc::new(Maintenance::new(engines, world.clock.clone(), SETTINGS, None))
    };
    let fifteen_days = move |now_ms: i64| {
        let oldest_ms = BTreeMap::from([(signal, now_ms - 15 * 86_400_000)]);
        Retention { oldest_ms, ..Retention::default() }
    };
    let maintenance = start();
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 1);
    world.clock.set_wall_ns(world.clock.wall_ns() + 60 * 86_400_000_000_000);
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 0);
    assert!(matches!(maintenance.clock_trust(), ClockTrust::Distrusted { .. }));
    // Nor does a start drop anything: the newest manifest is 60 days old.
    let maintenance = start();
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 2);
    assert_eq!(maintenance.clock_trust(), ClockTrust::Trusted);
}

#[tokio::test]
async fn undisturbed_work_sees_no_flush() {
    let world = World::new(LogOptions { sync: SyncPolicy::Always, ..options() });
    world.commit("row").await.unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let list = Arc::clone(&world.list);
    let work = move || {
        wait.recv().map_err(|error| EngineError::new(ErrorKind::Bug, error))?;
        Ok(list.rows().asked.len())
    };
    let mut work = std::pin::pin!(world.maintenance.undisturbed(work));
    let mut flush = std::pin::pin!(world.maintenance.flush(&world.gateway));
    tokio::select! {
        biased;
        _ = &mut work => panic!("it waits"),
        _ = &mut flush => panic!("a flush must wait"),
        () = async {} => {}
    }
    go.send(()).unwrap();
    let (asked, flushed) = tokio::join!(work, flush);
    assert_eq!(asked.unwrap(), 0);
    flushed.unwrap();
    assert_eq!(world.list.parts(&world.tenant), ["row"]);
}

/// A client that hangs up drops its request, but not the locks that its work still holds.
#[tokio::test]
async fn work_goes_on_undisturbed_when_its_caller_goes_away() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    let (end, until) = std::sync::mpsc::channel::<()>();
    world.list.rows().merge_until = Some(until);
    let request = MergeRequest { full: true, space: SPACE };
    {
        let mut merge = std::pin::pin!(world.maintenance.merge(&world.gateway, request));
        let merging = async {
            while world.list.rows().asked.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut merge => panic!("it waits"),
            () = merging => {}
        }
    }
    // A caller that is dropped while it waits for its turn starts no work.
    let waiting =
        tokio::time::timeout(Duration::ZERO, world.maintenance.merge(&world.gateway, request));
    assert!(waiting.await.is_err());
    let list = Arc::clone(&world.list);
    let looked = world.maintenance.undisturbed(move || Ok(list.rows().asked.clone()));
    let mut looked = std::pin::pin!(looked);
    let soon = tokio::time::timeout(Duration::from_millis(100), &mut looked).await;
    assert!(soon.is_err(), "the merge is still going on");
    end.send(()).unwrap();
    assert_eq!(looked.await.unwrap(), ["merge", "merged"]);
}

/// Cuts do not run on a thread of their own, so a panic in one once ended the caller.
#[tokio::test]
async fn a_panic_is_an_error_and_the_next_flush_works() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    world.list.rows().cut_panics = true;
    let error = world.maintenance.flush(&world.gateway).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bug);
    world.maintenance.flush(&world.gateway).await.unwrap();
    assert_eq!(world.list.parts(&world.tenant), ["row"]);
}
