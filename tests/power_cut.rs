//! Power cuts at every write, sync and rename of a script that appends, flushes, merges and
//! truncates: write-ahead log and parts together must recover everything acknowledged.

use crate::support::say;
use engine::{Engine, Intake, MergeRequest};
use model::{Signal, TenantId, WalPosition};
use parts::Site;
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use platform::{Blobs, Clock, Disk, DiskBlobs, Ids, Random, SeededRandom, Space};
use server::probe::records::{self, Record, Records, SCHEMA};
use server::probe::{Probe, ProbeBatch, ProbeStore, read_all};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use wal::{Batch, Log, LogOptions};

const OPERATIONS: u64 = 500;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Store {
    engine: Arc<ProbeStore>,
    log: Log,
    last: Option<WalPosition>,
}

fn open(disk: &SimDisk, seed: u64) -> Outcome<Store> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new());
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
    let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(Arc::clone(&disk), "blobs")?);
    let ids = Arc::new(Ids::new(Arc::clone(&clock), Arc::clone(&random)));
    let engine = Arc::new(ProbeStore::open(Probe, Site::new(blobs, Arc::clone(&clock), ids))?);
    let covered = engine.wal_covered().map_or(0, |position| position.segment);
    let options =
        LogOptions { first_segment: covered + 1, segment_bytes: 4 << 10, ..LogOptions::default() };
    let (log, mut replay) = Log::open(disk, clock, random, options)?;
    while let Some(batch) = replay.next_batch()? {
        engine.replay(&batch)?;
    }
    engine.end_replay();
    Ok(Store { engine, log, last: None })
}

impl Store {
    /// Appends records. Returns once they are acknowledged.
    fn append(&mut self, ids: std::ops::Range<u64>) -> Outcome<()> {
        let tenant = TenantId::default_tenant();
        let found: Records = ids.map(|id| (id, record(id))).collect();
        let payload = records::encode(found.iter().map(|(id, record)| (*id, record)));
        let signal = Signal::Probe;
        let batch = Batch { tenant: &tenant, signal, schema: SCHEMA, payload: &payload };
        let position = self.log.append_wait(&batch)?;
        let store = Arc::clone(&self.engine);
        ProbeBatch { store, tenant, records: found }.apply(position)?;
        self.last = Some(position);
        Ok(())
    }

    fn flush(&mut self) -> Outcome<()> {
        let Some(last) = self.last else { return Ok(()) };
        let end = last.behind();
        let tenant = TenantId::default_tenant();
        self.engine.cut(&tenant, end);
        self.engine.flush(&tenant)?;
        let statuses = Engine::tenants(&*self.engine);
        let needed = statuses.iter().filter_map(|status| status.wal_needed_from);
        let needed = needed.fold(end, WalPosition::min);
        self.log.truncate_before(needed)?;
        Ok(())
    }

    fn merge(&self, full: bool) -> Outcome<()> {
        let space = Space { total: u64::MAX, free: u64::MAX };
        for status in Engine::tenants(&*self.engine) {
            self.engine.merge(&status.tenant, &MergeRequest { full, space })?;
        }
        Ok(())
    }

    fn ids(&self) -> Outcome<BTreeSet<u64>> {
        let (found, warnings) = read_all(&self.engine, &TenantId::default_tenant())?;
        assert!(warnings.is_empty(), "{warnings:?}");
        for (id, found) in &found {
            assert_eq!(*found, record(*id), "a record came back changed");
        }
        Ok(found.into_keys().collect())
    }
}

fn record(id: u64) -> Record {
    Record { tick: id as i64, text: format!("record {id}").into_bytes().into() }
}

/// What the script did before the power cut.
#[derive(Default)]
struct Progress {
    sent: u64,
    acknowledged: u64,
}

/// Runs the same script for the same seed. Stops at the first error, which is the power cut.
fn script(disk: &SimDisk, seed: u64) -> Progress {
    let random = SeededRandom::new(seed);
    let mut progress = Progress::default();
    let Ok(mut store) = open(disk, seed) else { return progress };
    for _ in 0..OPERATIONS {
        let outcome = match random.below(20) {
            0 => store.flush(),
            1 => store.merge(random.below(4) == 0),
            _ => {
                let ids = progress.sent..progress.sent + 1 + random.below(3);
                progress.sent = ids.end;
                store.append(ids)
            }
        };
        if outcome.is_err() {
            break;
        }
        progress.acknowledged = progress.sent;
    }
    progress
}

/// The store must open and hold all acknowledged records, none that was never sent, and a prefix of
/// the script: the interrupted batch is there wholly or not at all, and no record follows it.
fn check(disk: &SimDisk, progress: &Progress, seed: u64, what: &str) {
    let mut store = open(disk, seed + 1).unwrap_or_else(|error| panic!("{what}: {error}"));
    let ids = store.ids().unwrap_or_else(|error| panic!("{what}: {error}"));
    let count = ids.len() as u64;
    assert!(ids.iter().copied().eq(0..count), "{what}: holes in {ids:?}");
    let whole = count == progress.acknowledged || count == progress.sent;
    assert!(whole, "{what}: {count} of {} to {}", progress.acknowledged, progress.sent);
    // The store works normally afterwards.
    store.append(count..count + 1).unwrap_or_else(|error| panic!("{what}: {error}"));
    store.flush().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(store.ids().unwrap().len() as u64, count + 1, "{what}");
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let seed = test_seed() >> 1;
    let whole = SimDisk::new();
    let progress = script(&whole, seed);
    assert_eq!(progress.acknowledged, progress.sent);
    let moments = whole.operations();
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let moment = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if moment >= moments {
                        return;
                    }
                    cut_at(moment, seed);
                }
            });
        }
    });
    say(&format!(
        "power cut at each of {moments} disk operations, 3 policies, 0 acknowledged lost"
    ));
}

fn cut_at(moment: u64, seed: u64) {
    let torn = CrashPolicy::Torn { seed: seed ^ moment };
    for policy in [CrashPolicy::LoseUnsynced, CrashPolicy::KeepAll, torn] {
        let disk = SimDisk::new();
        disk.crash_at(moment);
        let progress = script(&disk, seed);
        let survived = disk.crash(policy);
        check(
            &survived,
            &progress,
            seed,
            &format!("cut at {moment}, {policy:?}, SEED={}", seed << 1),
        );
    }
}
