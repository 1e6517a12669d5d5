//! Writers, readers, followers and maintenance at once, through several restarts of the process, against
//! one model per writer. The write-ahead log and the parts are on separate disks, so that faults of one
//! can be told from those of the other; a power cut affects both.

use crate::lines::{Line, Wanted, fill, lines_of, sorted};
use crate::world::{DAY_NS, SPACE, TODAY_NS};
use engine::{Engine, Intake, MergeRequest};
use log_store::Tail;
use log_store::{
    BATCH_SCHEMA, LogStore, NO_TEXTS, Needs, Order as Sorting, Scratch, Select, StoreSettings,
};
use model::{Matcher, Signal, TenantId, TimeUnit, WalPosition};
use parts::Site;
use platform::sim::{CrashPolicy, Fault, Operation, SimClock, SimDisk, test_seed};
use platform::threads::scatter;
use platform::{Blobs, Disk, DiskBlobs, Ids, Random, SeededRandom};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::Duration;
use wal::{Batch, Log, LogOptions};

const WRITERS: u32 = 3;
/// The streams of all writers are below this one.
const LOCKSTEP: u32 = 1_000;
const LOCKSTEP_STREAMS: u32 = 20;

/// A running store with its write-ahead log and the barrier between them, for many threads.
struct Life {
    store: LogStore,
    engine: Arc<dyn Engine>,
    log: Log,
    tenant: TenantId,
    gate: RwLock<()>,
    applied: Mutex<WalPosition>,
}

struct Disks {
    log: SimDisk,
    blobs: SimDisk,
    clock: Arc<SimClock>,
}

impl Disks {
    fn new() -> Self {
        Self { log: SimDisk::new(), blobs: SimDisk::new(), clock: Arc::new(SimClock::new()) }
    }

    fn crash(&self, random: &SeededRandom) -> Self {
        let policy = match random.below(3) {
            0 => CrashPolicy::LoseUnsynced,
            1 => CrashPolicy::KeepAll,
            _ => CrashPolicy::Torn { seed: random.next_u64() },
        };
        let (log, blobs) = (self.log.crash(policy), self.blobs.crash(policy));
        Self { log, blobs, clock: Arc::clone(&self.clock) }
    }
}

impl Life {
    fn begin(disks: &Disks, seed: u64) -> Result<Self, Box<dyn Error>> {
        let blobs: Arc<dyn Disk> = Arc::new(disks.blobs.clone());
        let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(blobs, "blobs")?);
        let random = Arc::new(SeededRandom::new(seed));
        let clock = Arc::clone(&disks.clock);
        let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
        let settings = StoreSettings { cache_bytes: 256 << 10, ..StoreSettings::default() };
        let store = LogStore::open(Site::new(blobs, clock.clone(), ids), settings)?;
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
        Ok(Self { store, engine, log, tenant, gate: RwLock::new(()), applied })
    }

    fn write(&self, lines: &[Line]) {
        while !self.try_write(lines) {
            self.log.retry_now();
            std::thread::yield_now();
        }
    }

    /// Whether the write-ahead log accepted the batch. A refused batch was never written.
    fn try_write(&self, lines: &[Line]) -> bool {
        let _open: RwLockReadGuard<'_, ()> = self.gate.read().unwrap();
        let mut intake = self.store.batch(&self.tenant);
        fill(&mut intake, lines);
        let mut payload = Vec::new();
        intake.encode(&mut payload).unwrap();
        let (tenant, signal, schema) = (&self.tenant, Signal::Logs, BATCH_SCHEMA);
        let logged = Batch { tenant, signal, schema, payload: &payload };
        let position = match self.log.append_wait(&logged) {
            Ok(position) => position,
            Err(error) if error.is_retryable() => return false,
            Err(error) => panic!("{error}"),
        };
        intake.apply(position).unwrap();
        let mut applied = self.applied.lock().unwrap();
        *applied = (*applied).max(position.behind());
        true
    }

    fn barrier<T>(&self, work: impl FnOnce(WalPosition) -> T) -> T {
        let _closed = self.gate.write().unwrap();
        let applied = *self.applied.lock().unwrap();
        work(applied.max(self.log.end()))
    }

    fn cut(&self) {
        let cut = |end| self.engine.cut(&self.tenant, end);
        self.barrier(cut);
    }

    fn flush(&self) -> Result<(), Box<dyn Error>> {
        if self.store.tenants().is_empty() {
            return Ok(());
        }
        let _left = self.engine.flush(&self.tenant);
        self.engine.tend(&self.tenant);
        self.cut();
        self.engine.flush(&self.tenant)?;
        let needed = self.engine.tenants().iter().filter_map(|s| s.wal_needed_from).min();
        if let Some(needed) = needed {
            self.log.truncate_before(needed)?;
        }
        Ok(())
    }

    fn merge(&self, full: bool) -> Result<(), Box<dyn Error>> {
        if !self.store.tenants().is_empty() {
            self.engine.merge(&self.tenant, &MergeRequest { full, space: SPACE })?;
        }
        Ok(())
    }

    fn lines(&self, wanted: &Wanted) -> Vec<Line> {
        let selection = wanted.select(&self.store, &self.tenant, Sorting::OldestFirst);
        let lines = lines_of(&selection);
        assert_eq!(selection.warnings(), Vec::<String>::new());
        lines
    }
}

/// Mostly near now, sometimes at the edge of a day, far in the past, or at the ends of time.
fn any_time(random: &SeededRandom, now: i64) -> i64 {
    match random.below(40) {
        0 => i64::MAX - random.below(3) as i64,
        1 => i64::MIN + random.below(3) as i64,
        2..6 => TODAY_NS - random.below(4) as i64 * DAY_NS + random.below(3) as i64 - 1,
        6..10 => now - random.below(3 * DAY_NS as u64) as i64,
        10..20 => now - random.below(20) as i64 * 15_000,
        _ => now,
    }
}

/// Writes to streams of its own, and knows what must be there.
struct Writer {
    number: u32,
    random: SeededRandom,
    model: BTreeSet<Line>,
    now: i64,
    written: u64,
}

impl Writer {
    fn new(number: u32, seed: u64) -> Self {
        let random = SeededRandom::new(seed ^ u64::from(number) << 40);
        Self { number, random, model: BTreeSet::new(), now: TODAY_NS + DAY_NS / 2, written: 0 }
    }

    fn wanted(&self) -> Wanted {
        let value = format!("a{}[0-9]", self.number);
        let matcher = Matcher::new(model::MatchOp::Regex, "app", &value).unwrap();
        Wanted { matchers: vec![matcher], ..Wanted::all() }
    }

    fn line(&mut self) -> Line {
        self.written += 1;
        let (n, random) = (self.written, &self.random);
        let text = match random.below(4) {
            0 => format!("request {n} took {}ms", random.below(900)),
            1 => format!(r#"{{"n":{n},"id":"{:016x}"}}"#, random.next_u64()),
            2 => format!("{} happened {n}", ["This", "That", "결제"][random.below(3) as usize]),
            _ => format!("{n} {}", "x".repeat(random.below(200) as usize)),
        };
        let app = self.number * 10 + random.below(10) as u32;
        let line = Line::new(app, any_time(random, self.now), text);
        match random.below(3) {
            0 => line,
            1 => line.with("level", ["info", "error"][random.below(2) as usize]),
            _ => line.with("trace_id", &format!("{:016x}", random.next_u64())),
        }
    }

    fn steps(&mut self, life: &Life, count: usize) {
        for step in 0..count {
            self.now += 15_000;
            match self.random.below(16) {
                0 => self.delete(life),
                1..4 => self.check(life, step),
                4 => self.look_up(life),
                _ => self.write(life),
            }
        }
        self.check(life, count);
    }

    fn write(&mut self, life: &Life) {
        let count = match self.random.below(10) {
            0 => 200,
            _ => self.random.below(12) + 1,
        };
        let lines: Vec<Line> = (0..count).map(|_| self.line()).collect();
        life.write(&lines);
        self.model.extend(lines);
    }

    fn delete(&mut self, life: &Life) {
        let (one, other) = (any_time(&self.random, self.now), any_time(&self.random, self.now));
        let app = self.number * 10 + self.random.below(10) as u32;
        let text = ["took", "That", "\"n\":", "7"][self.random.below(4) as usize];
        let time = TimeUnit::Nanos.between(one.min(other), one.max(other));
        let wanted = Wanted { time, ..Wanted::of_app(app).containing(text) };
        // A failed delete may have happened or not; once repeated, it has.
        let delete = || {
            let barrier = |cut: &mut dyn FnMut(_) -> _| life.barrier(cut);
            life.store.delete(&life.tenant, &[(time, wanted.delete())], barrier)
        };
        while delete().is_err() {
            std::thread::yield_now();
        }
        let holds = |line: &Line| String::from_utf8_lossy(&line.text).contains(text);
        self.model.retain(|line| line.app != app || !time.contains(line.time) || !holds(line));
    }

    fn check(&self, life: &Life, step: usize) {
        let found = life.lines(&self.wanted());
        let expected: Vec<Line> = self.model.iter().cloned().collect();
        if found != expected {
            let found_set: BTreeSet<Line> = found.iter().cloned().collect();
            let missing = self.model.difference(&found_set).next();
            let more = found_set.difference(&self.model).next();
            let counts = (found.len(), expected.len());
            panic!("writer {}, step {step}: {missing:?}, {more:?}, {counts:?}", self.number);
        }
    }

    /// One line, by its identifier.
    fn look_up(&self, life: &Life) {
        let mut with_id = self.model.iter().filter(|line| line.fields.contains_key("trace_id"));
        let Some(line) = with_id.next_back() else { return };
        let found = life.lines(&self.wanted().with_field("trace_id", &line.fields["trace_id"]));
        assert_eq!(found, std::slice::from_ref(line));
    }
}

/// Each batch gives each of some streams one more line.
#[derive(Default)]
struct Lockstep {
    /// The number of acknowledged batches.
    done: AtomicU64,
    stop: AtomicBool,
}

impl Lockstep {
    fn batch(step: i64) -> Vec<Line> {
        // Late lines are among them, of the day before too.
        let time = TODAY_NS + if step % 3 == 0 { -step } else { step } * 1_000;
        let line = |n| Line::new(LOCKSTEP + n, time, format!("lockstep {step}"));
        (0..LOCKSTEP_STREAMS).map(line).collect()
    }

    fn write(&self, life: &Life, count: usize) {
        for _ in 0..count {
            life.write(&Self::batch(self.done.load(Ordering::SeqCst) as i64));
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A reader sees whole batches, none of them twice, and never fewer than before.
    fn read(&self, life: &Life) {
        let (mut seen, mut scratch) = (0, Scratch::default());
        let matchers = [Matcher::new(model::MatchOp::Regex, "app", "a10[0-9]{2}").unwrap()];
        let needs = Needs { lines: true, fields: Some(BTreeSet::new()) };
        while !self.stop.load(Ordering::SeqCst) {
            let acknowledged = self.done.load(Ordering::SeqCst);
            let select = Select {
                time: TimeUnit::Nanos.everything(),
                matchers: &matchers,
                conditions: &[],
                identifier: None,
                texts: &NO_TEXTS,
                order: Sorting::NewestFirst,
                needs: &needs,
            };
            let selection = life.store.select(&life.tenant, &select).unwrap();
            let mut steps: BTreeMap<Vec<u8>, BTreeSet<u32>> = BTreeMap::new();
            for piece in 0..selection.pieces().len() {
                let rows = selection.read(piece, &mut scratch).unwrap();
                for (stream, text) in rows.streams.iter().zip(rows.lines.iter()) {
                    let is_new = steps.entry(text.to_vec()).or_default().insert(*stream);
                    assert!(is_new, "a line is there twice");
                }
            }
            assert_eq!(selection.warnings(), Vec::<String>::new());
            let is_whole = |streams: &BTreeSet<u32>| streams.len() == LOCKSTEP_STREAMS as usize;
            assert!(steps.values().all(is_whole), "half a batch");
            let count = steps.len() as u64;
            assert!(count >= acknowledged, "{acknowledged} acknowledged, {count} found");
            assert!(count >= seen, "{seen} seen, {count} now");
            seen = count;
        }
    }

    /// A follower gets every batch, in order; it never waits for long, so it misses none.
    fn follow(&self, life: &Life, tail: &Tail, from: u64) {
        let matchers = [Matcher::new(model::MatchOp::Regex, "app", "a10[0-9]{2}").unwrap()];
        let wanted = Wanted { matchers: matchers.to_vec(), ..Wanted::all() };
        let needs = Needs { lines: true, fields: None };
        let mut got = Vec::new();
        let mut take = || {
            let (fresh, missed) = tail.take();
            let dropped = missed.lines;
            assert_eq!(dropped, 0);
            let select = Select {
                time: wanted.time,
                matchers: &wanted.matchers,
                conditions: &[],
                identifier: None,
                texts: &NO_TEXTS,
                order: Sorting::OldestFirst,
                needs: &needs,
            };
            got.extend(lines_of(&life.store.select_fresh(&fresh, &select)));
        };
        while !self.stop.load(Ordering::SeqCst) {
            take();
            std::thread::yield_now();
        }
        take();
        let done = self.done.load(Ordering::SeqCst);
        let expected = (from..done).flat_map(|step| Self::batch(step as i64));
        assert!(sorted(got) == sorted(expected.collect()), "a follower missed lines");
    }
}

/// Cuts, flushes, merges and erases in random order, on a disk that sometimes fails.
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
        let _failed = match random.below(8) {
            0 => {
                life.cut();
                None
            }
            1..4 => life.flush().err(),
            4 | 5 => life.merge(false).err(),
            6 => life.merge(true).err(),
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
    let from = lockstep.done.load(Ordering::SeqCst);
    let tail = life.store.follow(&life.tenant, Box::new(|| {})).unwrap();
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
    jobs.push(Box::new(|| lockstep.follow(life, &tail, from)));
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
    let mut writers: Vec<Writer> = (1..=WRITERS).map(|number| Writer::new(number, seed)).collect();
    for life_number in 0..lives() {
        let life = Life::begin(&disks, random.next_u64()).unwrap();
        for writer in &writers {
            writer.check(&life, 0);
        }
        run_life(&life, &disks, &mut writers, &lockstep, seed.wrapping_add(life_number));
        let after = disks.crash(&random);
        drop(life);
        disks = after;
    }
    let life = Life::begin(&disks, random.next_u64()).unwrap();
    life.flush().unwrap();
    life.merge(true).unwrap();
    writers.iter().for_each(|writer| writer.check(&life, 0));
}
