//! Writers, readers, maintenance and retention at once, through several restarts of the process,
//! against one model per writer. The write-ahead log and the parts are on separate disks, so that
//! faults of one can be told from those of the other; a power cut affects both.

use crate::world::{
    DAY_MS, LIMITS, Row, Rows, TODAY_MS, cut_all, flush_all, merge_all, push_row, read_rows,
    tend_all, wal_needed_from,
};
use engine::Engine;
use metric_store::{BATCH_SCHEMA, BatchBuilder, MetricStore, Scratch, Select, StoreSettings};
use model::{
    Labels, Matcher, STALE_BITS, Signal, TenantId, TimeRange, TimeUnit, Unbounded, WalPosition,
};
use parts::{Retention, Site, plan_retention};
use platform::sim::{CrashPolicy, Fault, Operation, SimClock, SimDisk, test_seed};
use platform::threads::scatter;
use platform::{Blobs, Disk, DiskBlobs, Ids, Random, SeededRandom};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::Duration;
use wal::{Batch, Log, LogOptions};

const WRITERS: u32 = 3;
const LOCKSTEP_SERIES: u32 = 40;

/// A running store with its write-ahead log and the barrier between them, for many threads.
struct Life {
    store: MetricStore,
    engine: Arc<dyn Engine>,
    log: Log,
    tenant: TenantId,
    gate: RwLock<()>,
    applied: Mutex<WalPosition>,
    kept_from: Arc<AtomicI64>,
}

struct Disks {
    log: SimDisk,
    blobs: SimDisk,
    clock: Arc<SimClock>,
    /// Midnight of a day before which retention may have dropped data.
    kept_from: Arc<AtomicI64>,
}

impl Disks {
    fn new() -> Self {
        Self {
            log: SimDisk::new(),
            blobs: SimDisk::new(),
            clock: Arc::new(SimClock::new()),
            kept_from: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    fn crash(&self, random: &SeededRandom) -> Self {
        let policy = match random.below(3) {
            0 => CrashPolicy::LoseUnsynced,
            1 => CrashPolicy::KeepAll,
            _ => CrashPolicy::Torn { seed: random.next_u64() },
        };
        let (log, blobs) = (self.log.crash(policy), self.blobs.crash(policy));
        let (clock, kept_from) = (Arc::clone(&self.clock), Arc::clone(&self.kept_from));
        Self { log, blobs, clock, kept_from }
    }
}

impl Life {
    fn begin(disks: &Disks, seed: u64) -> Result<Self, Box<dyn Error>> {
        let blobs: Arc<dyn Disk> = Arc::new(disks.blobs.clone());
        let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(blobs, "blobs")?);
        let random = Arc::new(SeededRandom::new(seed));
        let clock = Arc::clone(&disks.clock);
        let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
        let settings = StoreSettings { cache_bytes: 1 << 20, ..StoreSettings::default() };
        let site = Site::new(blobs, clock.clone(), ids);
        let store = MetricStore::open(site, random.clone(), settings)?;
        let engine = store.engine();
        let covered = engine.wal_covered().unwrap_or_default();
        let first_segment = covered.segment + 1;
        let options =
            LogOptions { segment_bytes: 16 << 10, first_segment, ..LogOptions::default() };
        let (log, mut replay) = Log::open(Arc::new(disks.log.clone()), clock, random, options)?;
        while let Some(replayed) = replay.next_batch()? {
            engine.replay(&replayed)?;
        }
        engine.end_replay();
        let applied = Mutex::new(log.end().max(covered));
        let tenant = TenantId::default_tenant();
        let kept_from = Arc::clone(&disks.kept_from);
        Ok(Self { store, engine, log, tenant, gate: RwLock::new(()), applied, kept_from })
    }

    fn write(&self, batch: &mut BatchBuilder) {
        while !self.try_write(batch) {
            self.log.retry_now();
            std::thread::yield_now();
        }
    }

    /// Whether the write-ahead log accepted the batch. A refused batch was never written, so later
    /// batches must not rely on its definitions.
    fn try_write(&self, batch: &mut BatchBuilder) -> bool {
        let _open: RwLockReadGuard<'_, ()> = self.gate.read().unwrap();
        let mut payload = Vec::new();
        let prepared = self.store.prepare(&self.tenant, LIMITS, batch, &mut payload).unwrap();
        let schema = BATCH_SCHEMA;
        let logged =
            Batch { tenant: &self.tenant, signal: Signal::Metrics, schema, payload: &payload };
        let position = match self.log.append_wait(&logged) {
            Ok(position) => position,
            Err(error) if error.is_retryable() => return false,
            Err(error) => panic!("{error}"),
        };
        self.store.apply(prepared, batch, position).unwrap();
        let behind = position.behind();
        let mut applied = self.applied.lock().unwrap();
        *applied = (*applied).max(behind);
        true
    }

    fn barrier<T>(&self, work: impl FnOnce(WalPosition) -> T) -> T {
        let _closed = self.gate.write().unwrap();
        let applied = *self.applied.lock().unwrap();
        work(applied.max(self.log.end()))
    }

    fn flush(&self) -> Result<(), Box<dyn Error>> {
        let _left = flush_all(&*self.engine);
        tend_all(&*self.engine);
        self.barrier(|end| cut_all(&*self.engine, end));
        flush_all(&*self.engine)?;
        if let Some(needed) = wal_needed_from(&*self.engine) {
            self.log.truncate_before(needed)?;
        }
        Ok(())
    }

    /// Parts hold rows of one day each, so whole days are dropped.
    fn retain(&self, from: i64) -> Result<(), Box<dyn Error>> {
        self.kept_from.fetch_max(from, Ordering::SeqCst);
        let oldest_ms = [(Signal::Metrics, from)].into();
        let settings = Retention { oldest_ms, ..Retention::default() };
        let manifests = self.engine.manifests();
        let parts = plan_retention(manifests.iter().map(|manifest| &**manifest), &settings);
        self.engine.drop_parts(&parts)?;
        Ok(())
    }

    fn rows(&self, matchers: &[Matcher], time: TimeRange) -> Rows {
        read_rows(&self.store, &self.tenant, matchers, time, true).unwrap()
    }
}

fn owner(writer: u32) -> Matcher {
    Matcher::equal("__name__", &format!("metric_{writer}"))
}

/// Mostly near now, sometimes at the edge of a day, far in the past, or at the ends of time.
fn any_time(random: &SeededRandom, now: i64) -> i64 {
    match random.below(40) {
        0 => i64::MAX - random.below(3) as i64,
        1 => i64::MIN + random.below(3) as i64,
        2 => random.below(3) as i64 - 1,
        3..6 => TODAY_MS - random.below(4) as i64 * DAY_MS + random.below(3) as i64 - 1,
        6..10 => now - random.below(20 * DAY_MS as u64) as i64,
        10..20 => now - random.below(20) as i64 * 15_000,
        _ => now,
    }
}

fn any_row(random: &SeededRandom) -> Row {
    let bits = match random.below(8) {
        0 => random.next_u64(),
        1 => STALE_BITS,
        2 => 0x7ff8_0000_0000_0001 + random.below(5),
        _ => (random.below(50) as f64).to_bits(),
    };
    Row { bits, start: if random.below(5) == 0 { TODAY_MS - random.below(3) as i64 } else { 0 } }
}

struct Writer {
    number: u32,
    random: SeededRandom,
    model: Rows,
    now: i64,
}

impl Writer {
    fn new(number: u32, seed: u64) -> Self {
        let random = SeededRandom::new(seed ^ (u64::from(number) << 40));
        Self { number, random, model: Rows::new(), now: TODAY_MS + 3_600_000 }
    }

    fn steps(&mut self, life: &Life, count: usize) {
        for step in 0..count {
            self.now += 15_000;
            match self.random.below(16) {
                0 => self.delete(life),
                1..4 => self.check(life, step),
                _ => self.write(life),
            }
        }
        self.check(life, count);
    }

    fn write(&mut self, life: &Life) {
        let mut batch = BatchBuilder::new();
        let scrape = self.random.below(3) > 0;
        for _ in 0..self.random.below(12) + 1 {
            let series = self.number * 10 + self.random.below(10) as u32;
            let time = if scrape { self.now } else { any_time(&self.random, self.now) };
            let row = any_row(&self.random);
            push_row(&mut batch, series, time, row);
            self.model.insert((series, time), row);
        }
        life.write(&mut batch);
    }

    fn delete(&mut self, life: &Life) {
        let (one, other) = (any_time(&self.random, self.now), any_time(&self.random, self.now));
        let range = TimeUnit::Millis.between(one, other);
        let series = self.number * 10 + self.random.below(10) as u32;
        let matchers = [owner(self.number), Matcher::equal("number", &series.to_string())];
        // A failed delete may have happened or not; once repeated, it has.
        let resolved = life.store.resolve_delete(&life.tenant, &matchers, range).unwrap();
        let delete = || {
            let barrier = |cut: &mut dyn FnMut(_) -> _| life.barrier(cut);
            life.store.delete(&life.tenant, resolved.as_slice(), barrier)
        };
        while delete().is_err() {
            std::thread::yield_now();
        }
        self.model.retain(|(of, time), _| *of != series || !range.contains(*time));
    }

    fn check(&self, life: &Life, step: usize) {
        let found = life.rows(&[owner(self.number)], TimeUnit::Millis.everything());
        // Read after the rows: retention may have run in between.
        let kept_from = life.kept_from.load(Ordering::SeqCst);
        for (key, row) in &self.model {
            let (writer, now) = (self.number, found.get(key));
            let gone = now.is_none() && key.1 < kept_from;
            assert!(gone || now == Some(row), "writer {writer}, step {step}: {key:?}, {now:?}");
        }
        for (key, row) in &found {
            assert_eq!(self.model.get(key), Some(row), "never written: {key:?}, step {step}");
        }
    }
}

/// Each batch gives all series of a metric one more sample.
#[derive(Default)]
struct Lockstep {
    /// The number of acknowledged batches.
    done: AtomicU64,
    stop: AtomicBool,
}

fn lockstep_labels(series: u32) -> Labels {
    Labels::from_pairs([("__name__", "lockstep"), ("number", series.to_string().as_str())])
}

impl Lockstep {
    fn write(&self, life: &Life, count: usize) {
        for _ in 0..count {
            let step = self.done.load(Ordering::SeqCst) as i64;
            let mut batch = BatchBuilder::new();
            for series in 0..LOCKSTEP_SERIES {
                let slot = batch.series(lockstep_labels(series).as_bytes());
                // Includes late samples: every third one is earlier than the others.
                let time = TODAY_MS + if step % 3 == 0 { -step } else { step } * 1_000;
                batch.sample(slot, time, step as f64);
            }
            // And a series that was never written before.
            let name = format!("churn_{step}");
            let slot = batch.series(Labels::from_pairs([("__name__", name.as_str())]).as_bytes());
            batch.sample(slot, TODAY_MS, 0.0);
            life.write(&mut batch);
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A reader sees whole batches, none of them twice, and never fewer than before.
    fn read(&self, life: &Life) {
        let mut seen = 0;
        let mut scratch = Scratch::default();
        let matchers = [Matcher::equal("__name__", "lockstep")];
        while !self.stop.load(Ordering::SeqCst) {
            let acknowledged = self.done.load(Ordering::SeqCst) as usize;
            let wanted = Select {
                time: TimeUnit::Millis.everything(),
                matchers: &matchers,
                values_needed: true,
            };
            let selection = life.store.select(&life.tenant, &wanted, &mut Unbounded).unwrap();
            assert!(selection.warnings().is_empty(), "{:?}", selection.warnings());
            let mut counts = Vec::new();
            for index in 0..selection.len() {
                let read = selection.read(index, &mut scratch).unwrap();
                assert!(read.floats.times.windows(2).all(|pair| pair[0] < pair[1]));
                counts.push(read.floats.times.len());
            }
            let Some(first) = counts.first().copied() else {
                assert_eq!(acknowledged, 0);
                continue;
            };
            assert!(counts.iter().all(|count| *count == first), "half a batch: {counts:?}");
            assert_eq!(counts.len(), LOCKSTEP_SERIES as usize);
            assert!(first >= acknowledged, "{acknowledged} acknowledged, {first} found");
            assert!(first >= seen, "{seen} seen, {first} now");
            seen = first;
        }
    }
}

/// Cuts, flushes, merges and deletes garbage in random order, on a disk that sometimes fails.
fn upkeep(life: &Life, disks: &Disks, random: &SeededRandom, stop: &AtomicBool) {
    let operations = [
        Operation::Create,
        Operation::Append,
        Operation::Sync,
        Operation::RenameNew,
        Operation::Remove,
        Operation::SyncDir,
        Operation::CreateDirs,
    ];
    while !stop.load(Ordering::SeqCst) {
        if random.below(6) == 0 {
            let operation = operations[random.below(operations.len() as u64) as usize];
            let fault = [Fault::Eio, Fault::Enospc, Fault::ShortWrite(3)];
            disks.blobs.fail_next(operation, fault[random.below(3) as usize]);
        }
        // After a failed sync it is unknown whether a batch was written. So the disk of the
        // write-ahead log is only ever full, which refuses before anything is written.
        if random.below(4) == 0 {
            let operation = [Operation::Append, Operation::Create][random.below(2) as usize];
            disks.log.fail_next(operation, Fault::Enospc);
        }
        // Failed work is tried again later.
        let _failed = match random.below(9) {
            0 => {
                life.barrier(|end| cut_all(&*life.engine, end));
                None
            }
            1..4 => life.flush().err(),
            4 | 5 => merge_all(&*life.engine, false).err().map(Into::into),
            6 => merge_all(&*life.engine, true).err().map(Into::into),
            7 => life.retain(TODAY_MS - (1 + random.below(20) as i64) * DAY_MS).err(),
            _ => life.store.erase_deleted(&life.tenant).err().map(Into::into),
        };
        disks.clock.advance(Duration::from_secs(random.below(1_200)));
    }
    disks.blobs.heal();
    disks.log.heal();
}

fn run_life(life: &Life, disks: &Disks, writers: &mut [Writer], lockstep: &Lockstep, seed: u64) {
    lockstep.stop.store(false, Ordering::SeqCst);
    let left = AtomicU64::new(writers.len() as u64 + 1);
    let random = SeededRandom::new(seed);
    let end = || {
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            lockstep.stop.store(true, Ordering::SeqCst);
        }
    };
    type Job<'a> = Box<dyn FnOnce() + Send + 'a>;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for writer in writers {
        jobs.push(Box::new(|| {
            writer.steps(life, STEPS);
            end();
        }));
    }
    jobs.push(Box::new(|| {
        lockstep.write(life, STEPS);
        end();
    }));
    jobs.push(Box::new(|| lockstep.read(life)));
    jobs.push(Box::new(|| upkeep(life, disks, &random, &lockstep.stop)));
    // A panic must not leave the other threads running for ever.
    let guarded = |job: Job<'_>| {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        if outcome.is_err() {
            lockstep.stop.store(true, Ordering::SeqCst);
        }
        outcome
    };
    for outcome in scatter(jobs, guarded) {
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }
}

const STEPS: usize = 60;

/// `STRESS_LIVES=200` runs more restarts.
fn lives() -> u64 {
    std::env::var("STRESS_LIVES").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

#[test]
fn many_at_once_see_what_was_written() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let mut disks = Disks::new();
    let lockstep = Lockstep::default();
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, seed)).collect();
    for life_number in 0..lives() {
        let life = Life::begin(&disks, random.next_u64()).unwrap();
        for writer in &writers {
            writer.check(&life, 0);
        }
        run_life(&life, &disks, &mut writers, &lockstep, seed + life_number);
        let after = disks.crash(&random);
        drop(life);
        disks = after;
    }
    let life = Life::begin(&disks, random.next_u64()).unwrap();
    life.flush().unwrap();
    merge_all(&*life.engine, true).unwrap();
    writers.iter().for_each(|writer| writer.check(&life, 0));
}
