//! Tests of the write-ahead log on the simulated disk.

mod concurrency;
mod crashes;
mod damage;
mod failures;
mod fixture;
mod followers;
mod hostile;
mod model;
mod round_trip;

use crate::{Batch, Health, Log, LogOptions, Replay, ReplaySummary, WalError};
use ::model::WalPosition;
use ::model::{Signal, TenantId};
use platform::sim::{SimClock, SimDisk};
use platform::{Disk, Random, SeededRandom};
use std::sync::Arc;
use std::time::Duration;

/// A batch that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owned {
    tenant: TenantId,
    signal: Signal,
    schema: u16,
    payload: Vec<u8>,
}

impl Owned {
    fn numbered(number: u64) -> Self {
        let payload = format!("batch {number} ").repeat(1 + number as usize % 7).into_bytes();
        Self { payload, ..Self::probe(b"") }
    }

    fn probe(payload: &[u8]) -> Self {
        let tenant = TenantId::default_tenant();
        Self { tenant, signal: Signal::Probe, schema: 1, payload: payload.to_vec() }
    }

    /// Half of the payloads can be packed.
    fn random(random: &dyn Random, payload_bytes_max: u64) -> Self {
        let mut payload = vec![0; random.below(payload_bytes_max + 1) as usize];
        random.fill(&mut payload);
        if random.below(2) == 0 {
            payload.iter_mut().for_each(|byte| *byte %= 3);
        }
        let tenant = TenantId::new(["a", "team-b", "it's"][random.below(3) as usize]).unwrap();
        let signal = Signal::ALL[random.below(4) as usize];
        Self { tenant, signal, schema: random.next_u64() as u16, payload }
    }

    fn batch(&self) -> Batch<'_> {
        let Self { tenant, signal, schema, payload } = self;
        Batch { tenant, signal: *signal, schema: *schema, payload }
    }
}

/// Small segments, quick retries.
fn options() -> LogOptions {
    LogOptions { segment_bytes: 4 << 10, retry: Duration::from_millis(1), ..LogOptions::default() }
}

fn try_open(disk: &SimDisk, options: LogOptions) -> Result<(Log, Replay), WalError> {
    // The salts differ from start to start, as in production.
    let random = SeededRandom::new(disk.operations() ^ 0x5A17);
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Log::open(disk, Arc::new(SimClock::new()), Arc::new(random), options)
}

fn open(disk: &SimDisk) -> (Log, Replay) {
    try_open(disk, options()).unwrap()
}

fn collect(replay: &mut Replay) -> Vec<(WalPosition, Owned)> {
    let mut found = Vec::new();
    while let Some(replayed) = replay.next_batch().unwrap() {
        let Batch { tenant, signal, schema, payload } = replayed.batch;
        let payload = payload.to_vec();
        found.push((replayed.position, Owned { tenant: tenant.clone(), signal, schema, payload }));
    }
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "positions must rise");
    let progress = replay.progress();
    assert_eq!(progress.done_bytes, progress.total_bytes);
    found
}

fn append_all(log: &Log, written: &[Owned]) -> Vec<WalPosition> {
    written.iter().map(|owned| log.append_wait(&owned.batch()).unwrap()).collect()
}

/// The batches and the summary of a replay of this disk.
fn read(disk: &SimDisk) -> (Vec<(WalPosition, Owned)>, ReplaySummary) {
    let (_log, mut replay) = open(disk);
    (collect(&mut replay), replay.summary())
}

fn batches(found: Vec<(WalPosition, Owned)>) -> Vec<Owned> {
    found.into_iter().map(|(_, owned)| owned).collect()
}

fn segment_paths(disk: &SimDisk) -> Vec<String> {
    let names = disk.list("wal").unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(".log")).map(|name| format!("wal/{name}")).collect()
}

fn wait_until_healthy(log: &Log) {
    while log.health() != Health::Healthy {
        std::thread::yield_now();
    }
}
