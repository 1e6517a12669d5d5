//! How many small batches the write-ahead log acknowledges per second, and how long each waits.
//!
//! `cargo bench -p benches --bench wal_commit -- --dir FOLDER [--writers 64] [--count 5000]
//! [--bytes 200] [--window-us 0] [--sync-ms N]`; without `--sync-ms` every answer means "on disk".
#![expect(clippy::print_stdout, reason = "a bench is for reading")]

mod shared;

use model::{Signal, TenantId};
use platform::threads::Worker;
use platform::{Clock, Disk, OsRandom, RealClock, SeededRandom};
use shared::Arguments;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use wal::{Batch, Log, LogOptions, SyncPolicy};

fn main() {
    let arguments = Arguments::read();
    let writers: usize = arguments.get("writers", 64);
    let count: usize = arguments.get("count", 5_000);
    let bytes: usize = arguments.get("bytes", 200);
    let sync = match arguments.get("sync-ms", 0) {
        0 => SyncPolicy::Always,
        millis => SyncPolicy::Interval(Duration::from_millis(millis)),
    };
    let window = Duration::from_micros(arguments.get("window-us", 0));
    let disk: Arc<dyn Disk> = Arc::new(arguments.disk());
    let clock = Arc::new(RealClock::new());
    shared::clear(&*disk, "wal");
    let options = LogOptions { sync, window, ..LogOptions::default() };
    let opened = Log::open(Arc::clone(&disk), clock.clone(), Arc::new(OsRandom), options);
    let log = Arc::new(opened.expect("the write-ahead log opens").0);

    let (sender, receiver) = mpsc::channel();
    let start = clock.now();
    let writer = |number: usize| {
        let (log, clock, sender) = (Arc::clone(&log), clock.clone(), sender.clone());
        let run = move || {
            let waits = write(&log, &*clock, number as u64, count, bytes);
            sender.send(waits).expect("the receiver counts");
        };
        Worker::start("writer", run).expect("a thread starts")
    };
    let workers: Vec<Worker> = (0..writers).map(writer).collect();
    drop(sender);
    let mut waits: Vec<Duration> = receiver.iter().flatten().collect();
    let seconds = clock.now().since(start).as_secs_f64();
    drop(workers);

    waits.sort_unstable();
    let quantile = |q: f64| waits[((waits.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
    println!(
        "{} batches of {bytes} bytes, {writers} writers, {sync:?}: {:.0} acks/s, \
         p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        waits.len(),
        waits.len() as f64 / seconds,
        quantile(0.5),
        quantile(0.99),
        quantile(1.0),
    );
    drop(log);
    shared::clear(&*disk, "wal");
}

fn write(log: &Log, clock: &dyn Clock, seed: u64, count: usize, bytes: usize) -> Vec<Duration> {
    let tenant = TenantId::default_tenant();
    let random = SeededRandom::new(seed);
    let payloads: Vec<Vec<u8>> = (0..64).map(|_| shared::log_lines(&random, bytes)).collect();
    let write = |number: usize| {
        let payload = &payloads[number % payloads.len()];
        let batch = Batch { tenant: &tenant, signal: Signal::Logs, schema: 1, payload };
        let start = clock.now();
        log.append_wait(&batch).expect("the write-ahead log takes it");
        clock.now().since(start)
    };
    (0..count).map(write).collect()
}
