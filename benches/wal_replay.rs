//! How fast a write-ahead log is replayed at start.
//!
//! `cargo bench -p benches --bench wal_replay -- --dir FOLDER [--megabytes 1000] [--bytes 65536]`
//! writes that much payload, opens the write-ahead log again and reads it with one thread. The
//! files are in the page cache, so this measures the code, not the disk.
#![expect(clippy::print_stdout, reason = "a bench is for reading")]

mod shared;

use model::{Signal, TenantId};
use platform::{Clock, Disk, OsRandom, RealClock, SeededRandom};
use shared::Arguments;
use std::sync::Arc;
use wal::{Batch, Log, LogOptions, Replay, SyncPolicy};

fn open(disk: &Arc<dyn Disk>) -> (Log, Replay) {
    let options = LogOptions { sync: SyncPolicy::Off, ..LogOptions::default() };
    let (clock, random) = (Arc::new(RealClock::new()), Arc::new(OsRandom));
    Log::open(Arc::clone(disk), clock, random, options).expect("the write-ahead log opens")
}

fn main() {
    let arguments = Arguments::read();
    let bytes: usize = arguments.get("bytes", 64 << 10);
    let count = arguments.get("megabytes", 1_000) * 1_000_000 / bytes;
    let disk: Arc<dyn Disk> = Arc::new(arguments.disk());
    let clock = RealClock::new();
    shared::clear(&*disk, "wal");
    fill(&disk, count, bytes);

    let start = clock.now();
    let (log, mut replay) = open(&disk);
    let mut sum = 0u64;
    while let Some(replayed) = replay.next_batch().expect("the write-ahead log is undamaged") {
        sum += u64::from(replayed.batch.payload[0]);
    }
    let seconds = clock.now().since(start).as_secs_f64();
    let (log_mb, payload_mb) =
        (replay.progress().total_bytes as f64 / 1e6, replay.summary().payload_bytes as f64 / 1e6);
    println!(
        "{} batches, {payload_mb:.0} MB in {log_mb:.0} MB of log: {seconds:.3} s, \
         {:.0} MB/s of log, {:.0} MB/s of payload (check {sum})",
        replay.summary().batches,
        log_mb / seconds,
        payload_mb / seconds,
    );
    drop(log);
    shared::clear(&*disk, "wal");
}

fn fill(disk: &Arc<dyn Disk>, count: usize, bytes: usize) {
    let (log, _) = open(disk);
    let random = SeededRandom::new(1);
    let tenant = TenantId::default_tenant();
    let payloads: Vec<Vec<u8>> = (0..64).map(|_| shared::log_lines(&random, bytes)).collect();
    for number in 0..count {
        let payload = &payloads[number % payloads.len()];
        let batch = Batch { tenant: &tenant, signal: Signal::Logs, schema: 1, payload };
        log.append_wait(&batch).expect("the write-ahead log takes it");
    }
}
