//! Gateway and keeper on the simulated disk, with an engine that is a list.

use crate::{
    BatchKind, Engine, EngineError, EngineStats, Gateway, IngestError, Intake, Keeper,
    KeeperSettings, MergeRequest,
};
use model::{Day, ErrorKind, Signal, TenantId, Ulid};
use parts::{
    Compression, Edit, LogPosition, Manifest, PartStore, PartSummary, RetentionSettings, Site,
};
use platform::sim::{CrashPolicy, Fault, Operation, SimClock, SimDisk};
use platform::{Disk, DiskBlobs, Ids, Random, SeededRandom, Space};
use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use wal::{Log, LogOptions, Position, Replay, Replayed, SyncPolicy};

/// Keeps rows in memory, then in "parts", and remembers what it was asked, in order.
#[derive(Debug, Default)]
struct Shelf(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    head: Vec<String>,
    /// What was cut, and up to where.
    frozen: Vec<(Position, Vec<String>)>,
    parts: Vec<String>,
    covered: Option<Position>,
    last_applied: Option<Position>,
    asked: Vec<&'static str>,
    /// The next flush of something fails.
    is_broken: bool,
    /// The next cut panics.
    cut_panics: bool,
    /// Batches leave no rows.
    drops_rows: bool,
    /// For retention alone.
    stored: Vec<PartStore>,
    /// A merge lasts until it hears of it.
    merge_until: Option<Receiver<()>>,
}

impl Shelf {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap()
    }

    fn push(&self, row: String, position: Position) {
        let mut rows = self.rows();
        if !rows.drops_rows {
            rows.head.push(row);
        }
        rows.last_applied = Some(position);
    }
}

impl Engine for Shelf {
    fn signal(&self) -> Signal {
        Signal::Probe
    }

    fn replay(&self, batch: &Replayed<'_>) -> Result<(), EngineError> {
        let text = String::from_utf8(batch.batch.payload.to_vec())
            .map_err(|error| EngineError::new(ErrorKind::Corrupt, error))?;
        if self.rows().covered.is_none_or(|covered| batch.position >= covered) {
            self.push(text, batch.position);
        }
        Ok(())
    }

    fn cut(&self, end: Position) {
        let panics = std::mem::take(&mut self.rows().cut_panics);
        assert!(!panics, "asked to panic");
        let mut rows = self.rows();
        rows.asked.push("cut");
        let head = std::mem::take(&mut rows.head);
        rows.frozen.push((end, head));
    }

    fn flush(&self) -> Result<(), EngineError> {
        let mut rows = self.rows();
        rows.asked.push("flush");
        if !rows.frozen.is_empty() && std::mem::take(&mut rows.is_broken) {
            return Err(EngineError::new(ErrorKind::Io, "no part could be written"));
        }
        for (end, mut frozen) in std::mem::take(&mut rows.frozen) {
            rows.parts.append(&mut frozen);
            rows.covered = Some(end);
        }
        Ok(())
    }

    fn log_needed_from(&self) -> Option<Position> {
        let rows = self.rows();
        let covered = rows.covered.unwrap_or(Position { segment: 0, offset: 0 });
        rows.last_applied.filter(|last| *last >= covered).map(|_| covered)
    }

    fn log_covered(&self) -> Option<Position> {
        self.rows().covered
    }

    fn merge(&self, _: &MergeRequest) -> Result<usize, EngineError> {
        self.rows().asked.push("merge");
        let until = self.rows().merge_until.take();
        let ended = until.map_or(Ok(()), |until| until.recv_timeout(Duration::from_secs(60)));
        ended.map_err(|error| EngineError::new(ErrorKind::Bug, error))?;
        self.rows().asked.push("merged");
        Ok(3)
    }

    fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.rows().stored.iter().map(PartStore::snapshot).collect()
    }

    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError> {
        let mut dropped = 0;
        for store in &self.rows().stored {
            let manifest = store.snapshot();
            let remove: Vec<Ulid> = manifest.all_ids().filter(|id| parts.contains(id)).collect();
            dropped += remove.len();
            let edit = Edit { remove, ..Edit::default() };
            store.update(|_| Ok(edit)).map_err(|error| EngineError::new(error.kind(), error))?;
        }
        Ok(dropped)
    }

    fn stats(&self) -> EngineStats {
        let rows = self.rows();
        let head_bytes = rows.head.iter().map(|row| row.len() as u64).sum();
        EngineStats { head_rows: rows.head.len() as u64, head_bytes, ..EngineStats::default() }
    }
}

/// A row on its way to the shelf; `check` runs just before it is applied.
struct Row<'a> {
    shelf: &'a Shelf,
    text: String,
    check: Box<dyn FnOnce() + 'a>,
}

impl Intake for Row<'_> {
    type Done = Position;

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        if self.text.is_empty() {
            return Err(EngineError::new(ErrorKind::Invalid, "the row is empty"));
        }
        payload.extend_from_slice(self.text.as_bytes());
        Ok(())
    }

    fn apply(self, position: Position) -> Result<Position, EngineError> {
        (self.check)();
        self.shelf.push(self.text, position);
        Ok(position)
    }
}

/// Below what `enough_rows` takes.
const FLUSH_SIZE: u64 = 2 << 20;

struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
    shelf: Arc<Shelf>,
    gateway: Arc<Gateway>,
    keeper: Arc<Keeper>,
}

fn options() -> LogOptions {
    // Only the test says when a failed log tries again.
    LogOptions { retry: Duration::from_secs(3_600), ..LogOptions::default() }
}

fn open_log(disk: &SimDisk, options: LogOptions) -> (Log, Replay) {
    let random = SeededRandom::new(disk.operations() ^ 0x1A2B);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Log::open(shared, Arc::new(SimClock::new()), Arc::new(random), options).unwrap()
}

impl World {
    fn new(options: LogOptions) -> Self {
        let disk = SimDisk::new();
        let (log, _) = open_log(&disk, options);
        let (clock, shelf) = (Arc::new(SimClock::new()), Arc::new(Shelf::default()));
        let settings = KeeperSettings {
            flush_interval: Duration::from_secs(300),
            flush_size: FLUSH_SIZE,
            head_size: 100,
        };
        let engine: Arc<dyn Engine> = shelf.clone();
        let keeper = Arc::new(Keeper::new(vec![engine], clock.clone(), settings));
        Self { disk, clock, shelf, gateway: Arc::new(Gateway::new(Arc::new(log))), keeper }
    }

    async fn commit(&self, text: &str) -> Result<Position, IngestError> {
        self.commit_checked(text, || {}).await
    }

    async fn commit_checked(
        &self,
        text: &str,
        check: impl FnOnce(),
    ) -> Result<Position, IngestError> {
        let tenant = TenantId::default_tenant();
        let kind = BatchKind { tenant: &tenant, signal: Signal::Probe, schema: 1 };
        let (text, check) = (text.to_owned(), Box::new(check));
        self.gateway.commit(kind, Row { shelf: &self.shelf, text, check }).await
    }

    fn heads(&self) -> Vec<String> {
        self.shelf.rows().head.clone()
    }
}

/// What the log of a disk has, as a new process finds it.
fn logged(disk: &SimDisk) -> Vec<String> {
    let (_, mut replay) = open_log(disk, options());
    let mut rows = Vec::new();
    while let Some(found) = replay.next_batch().unwrap() {
        rows.push(String::from_utf8(found.batch.payload.to_vec()).unwrap());
    }
    rows
}

#[tokio::test]
async fn a_batch_is_on_the_disk_before_it_is_applied() {
    let world = World::new(options());
    let power_cut = || {
        assert!(world.heads().is_empty());
        assert_eq!(logged(&world.disk.crash(CrashPolicy::LoseUnsynced)), ["one"]);
    };
    world.commit_checked("one", power_cut).await.unwrap();
    assert_eq!(world.heads(), ["one"]);
}

#[tokio::test]
async fn quiet_work_is_told_the_position_behind_the_last_batch() {
    let world = World::new(options());
    let next = world.commit("one").await.unwrap();
    let behind = world.gateway.quiet(|end| end).await;
    assert!(behind > next);
}

#[tokio::test]
async fn what_was_not_synced_is_not_applied_and_stops_what_follows() {
    for operation in [Operation::Sync, Operation::Append] {
        let world = World::new(options());
        world.commit("before").await.unwrap();
        world.disk.fail_next(operation, Fault::Eio);
        for row in ["lost", "refused at once"] {
            let error = world.commit(row).await.unwrap_err();
            assert!(matches!(error, IngestError::Log(_)), "{error}");
            assert!(error.kind().is_retryable(), "its sender may try again");
        }
        assert_eq!(world.heads(), ["before"]);
        let left = world.disk.crash(CrashPolicy::LoseUnsynced);
        assert_eq!(logged(&left), ["before"], "{operation:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_encoded_reaches_no_log() {
    let world = World::new(options());
    let error = world.commit("").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Invalid, "the row is empty")
    );
    world.gateway.log().shutdown();
    assert!(logged(&world.disk).is_empty());
}

/// Batches wait in the log until it is shut down, which writes what waits.
fn waiting_log() -> LogOptions {
    LogOptions { window: Duration::from_secs(3_600), queue_bytes: 64, ..options() }
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let world = World::new(waiting_log());
    let long = "x".repeat(200);
    let mut first = std::pin::pin!(world.commit(&long));
    let refused = tokio::select! {
        biased;
        done = &mut first => panic!("it waits for company: {done:?}"),
        refused = world.commit(&long) => refused.unwrap_err(),
    };
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused}");
    world.gateway.log().shutdown();
    first.await.unwrap();
    assert_eq!(world.heads().len(), 1);
}

#[tokio::test]
async fn quiet_waits_for_batches_between_log_and_engine() {
    let world = World::new(waiting_log());
    let mut batch = std::pin::pin!(world.commit("under way"));
    let mut quiet = std::pin::pin!(world.gateway.quiet(|_| world.heads()));
    tokio::select! {
        biased;
        _ = &mut batch => panic!("it waits for company"),
        _ = &mut quiet => panic!("a batch is under way"),
        () = async {} => {}
    }
    world.gateway.log().shutdown();
    let (committed, seen) = tokio::join!(batch, quiet);
    committed.unwrap();
    assert_eq!(seen, ["under way"]);
}

/// Enough for a flush to begin a new segment, so that the old one can go; no packing helps.
fn enough_rows() -> Vec<String> {
    let random = SeededRandom::new(7);
    let number = |_| format!("{:016x}", random.next_u64());
    (0..30).map(|_| (0..5_000).map(number).collect()).collect()
}

#[tokio::test]
async fn a_flush_cuts_writes_and_lets_go_of_the_log() {
    let world = World::new(options());
    let rows = enough_rows();
    for row in &rows {
        world.commit(row).await.unwrap();
    }
    let report = world.keeper.flush(&world.gateway).await.unwrap();
    world.commit("after").await.unwrap();
    {
        let shelf = world.shelf.rows();
        assert_eq!(shelf.asked, ["flush", "cut", "flush"], "what was left goes first");
        assert!(shelf.parts == rows);
        assert_eq!(shelf.covered, Some(report.covered));
        assert_eq!(shelf.head, ["after"]);
    }
    world.gateway.log().shutdown();
    assert_eq!(logged(&world.disk), ["after"]);
}

#[tokio::test]
async fn a_flush_that_fails_keeps_the_log_and_is_done_again() {
    let world = World::new(options());
    let rows = enough_rows();
    for row in &rows {
        world.commit(row).await.unwrap();
    }
    let before = world.gateway.log().size_bytes();
    world.shelf.rows().is_broken = true;
    let error = world.keeper.flush(&world.gateway).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    assert!(world.gateway.log().size_bytes() >= before, "nothing was let go of");
    world.keeper.flush(&world.gateway).await.unwrap();
    assert!(world.shelf.rows().parts == rows);
    world.gateway.log().shutdown();
    assert!(logged(&world.disk).is_empty());
}

#[tokio::test]
async fn flushes_come_when_they_are_due() {
    let world = World::new(options());
    let due = || world.keeper.flush_when_due(&world.gateway);
    let flushes = || world.shelf.rows().asked.iter().filter(|asked| **asked == "cut").count();
    world.clock.advance(Duration::from_secs(301));
    due().await.unwrap();
    assert_eq!(flushes(), 0, "nothing is there");
    world.commit("small").await.unwrap();
    due().await.unwrap();
    assert_eq!(flushes(), 1, "it has waited long enough");
    world.commit("small").await.unwrap();
    due().await.unwrap();
    assert_eq!(flushes(), 1, "neither old nor large");
    world.commit(&"x".repeat(100)).await.unwrap();
    due().await.unwrap();
    assert_eq!(flushes(), 2, "the head is large");
}

/// Metadata, or batches that the engine refused: nothing to flush, but the log grows.
#[tokio::test]
async fn a_log_without_rows_is_let_go_of() {
    let world = World::new(options());
    world.shelf.rows().drops_rows = true;
    for row in &enough_rows() {
        world.commit(row).await.unwrap();
    }
    let before = world.gateway.log().size_bytes();
    assert!(before > FLUSH_SIZE, "{before}");
    world.keeper.flush_when_due(&world.gateway).await.unwrap();
    assert!(world.gateway.log().size_bytes() < before / 10);
    world.keeper.flush_when_due(&world.gateway).await.unwrap();
    let cuts = world.shelf.rows().asked.iter().filter(|asked| **asked == "cut").count();
    assert_eq!(cuts, 1, "nothing has come since");
}

#[tokio::test]
async fn a_flush_does_not_wait_for_a_merge() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    let (end, until) = std::sync::mpsc::channel::<()>();
    world.shelf.rows().merge_until = Some(until);
    let request = MergeRequest { full: true, space: Space { total: 1, free: 1 } };
    let flush = async {
        world.keeper.flush(&world.gateway).await.unwrap();
        assert_eq!(world.shelf.rows().parts, ["row"]);
        end.send(()).unwrap();
    };
    let (merged, ()) = tokio::join!(world.keeper.merge(&world.gateway, request), flush);
    assert_eq!(merged.unwrap(), 3);
}

#[tokio::test]
async fn replay_gives_back_what_no_part_covers() {
    let world = World::new(options());
    for row in ["one", "two"] {
        world.commit(row).await.unwrap();
    }
    world.keeper.flush(&world.gateway).await.unwrap();
    world.commit("three").await.unwrap();
    let tenant = TenantId::default_tenant();
    for (signal, payload) in [(Signal::Traces, &b"nobody's"[..]), (Signal::Probe, b"\xff")] {
        let batch = wal::Batch { tenant: &tenant, signal, schema: 1, payload };
        world.gateway.log().append_wait(&batch).unwrap();
    }
    let disk = world.disk.crash(CrashPolicy::LoseUnsynced);
    let shelf = Arc::new(Shelf::default());
    shelf.rows().covered = world.shelf.rows().covered;
    let engine: Arc<dyn Engine> = shelf.clone();
    let settings = KeeperSettings { flush_interval: Duration::ZERO, flush_size: 0, head_size: 0 };
    let keeper = Keeper::new(vec![engine], world.clock.clone(), settings);
    let (_, replay) = open_log(&disk, options());
    let mut heard = (0, 0);
    let report = keeper.replay(replay, |done, total| heard = (done, total)).unwrap();
    assert_eq!(shelf.rows().head, ["three"]);
    assert_eq!((report.batches, report.skipped), (5, 2), "a small log is kept whole");
    assert!(heard.0 > 0 && heard.0 <= heard.1);
    assert_eq!(Some(keeper.log_covered()), shelf.rows().covered);
}

#[tokio::test]
async fn merging_answers_what_the_engines_did() {
    let world = World::new(options());
    let request = MergeRequest { full: true, space: Space { total: 1, free: 1 } };
    assert_eq!(world.keeper.merge(&world.gateway, request).await.unwrap(), 3);
    assert_eq!(world.shelf.rows().asked, ["merge", "merged"]);
}

/// One part for each of the days, all of one size.
fn stored(site: &Site, signal: Signal, days: &[i64]) -> PartStore {
    let store = PartStore::open(site, TenantId::default_tenant(), signal).unwrap();
    let part = |day: &i64| {
        let day = Day(*day);
        let time = day.range(signal);
        let (covered, sources) = (LogPosition::default(), Vec::new());
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
    let shelves =
        [(Signal::Metrics, [1, 4, 5]), (Signal::Logs, [2, 3, 5])].map(|(signal, days)| {
            let shelf = Shelf::default();
            shelf.rows().stored.push(stored(&site, signal, &days));
            Arc::new(shelf)
        });
    let engines = shelves.iter().map(|shelf| Arc::clone(shelf) as Arc<dyn Engine>).collect();
    let settings = KeeperSettings { flush_interval: Duration::ZERO, flush_size: 0, head_size: 0 };
    let keeper = Arc::new(Keeper::new(engines, world.clock.clone(), settings));
    let days = || {
        let manifests = shelves.iter().flat_map(|shelf| shelf.manifests());
        manifests.map(|m| m.parts.iter().map(|p| p.day.0).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let retain = |bytes_max| RetentionSettings { oldest_ms: None, bytes_max: Some(bytes_max) };
    assert_eq!(keeper.retain(retain(700_000)).await.unwrap(), 0);
    assert_eq!(keeper.retain(retain(450_000)).await.unwrap(), 2, "the oldest two, one of each");
    assert_eq!(days(), [vec![4, 5], vec![3, 5]]);
    assert_eq!(keeper.retain(retain(350_000)).await.unwrap(), 1);
    assert_eq!(days(), [vec![4, 5], vec![5]]);
}

#[tokio::test]
async fn undisturbed_work_sees_no_flush() {
    let world = World::new(LogOptions { sync: SyncPolicy::Always, ..options() });
    world.commit("row").await.unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let shelf = Arc::clone(&world.shelf);
    let work = move || {
        wait.recv().map_err(|error| EngineError::new(ErrorKind::Bug, error))?;
        Ok(shelf.rows().asked.len())
    };
    let mut work = std::pin::pin!(world.keeper.undisturbed(work));
    let mut flush = std::pin::pin!(world.keeper.flush(&world.gateway));
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
    assert_eq!(world.shelf.rows().parts, ["row"]);
}

/// A client that hangs up takes its request away, but not the locks that the work still needs.
#[tokio::test]
async fn work_goes_on_undisturbed_when_its_caller_goes_away() {
    let world = World::new(options());
    let (end, until) = std::sync::mpsc::channel::<()>();
    world.shelf.rows().merge_until = Some(until);
    let request = MergeRequest { full: true, space: Space { total: 1, free: 1 } };
    {
        let mut merge = std::pin::pin!(world.keeper.merge(&world.gateway, request));
        let merging = async {
            while world.shelf.rows().asked.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut merge => panic!("it waits"),
            () = merging => {}
        }
    }
    // Who goes away while waiting for a turn leaves nothing to do.
    let waiting = tokio::time::timeout(Duration::ZERO, world.keeper.merge(&world.gateway, request));
    assert!(waiting.await.is_err());
    let shelf = Arc::clone(&world.shelf);
    let looked = world.keeper.undisturbed(move || Ok(shelf.rows().asked.clone()));
    let mut looked = std::pin::pin!(looked);
    let soon = tokio::time::timeout(Duration::from_millis(100), &mut looked).await;
    assert!(soon.is_err(), "the merge is still going on");
    end.send(()).unwrap();
    assert_eq!(looked.await.unwrap(), ["merge", "merged"]);
}

/// What cuts is no work on a thread of its own: a panic there ended who had asked for it.
#[tokio::test]
async fn a_panic_is_an_error_and_the_next_flush_works() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    world.shelf.rows().cut_panics = true;
    let error = world.keeper.flush(&world.gateway).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bug);
    world.keeper.flush(&world.gateway).await.unwrap();
    assert_eq!(world.shelf.rows().parts, ["row"]);
}
