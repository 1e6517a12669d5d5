use super::*;
use ::model::WalPosition;
use platform::RealDisk;
use platform::threads::Worker;
use std::collections::BTreeMap;
use std::sync::Mutex;

const WRITERS: u64 = 16;
const EACH: u64 = 200;

/// Each writer sends its batches one after the other. All are replayed, each writer's in its order.
fn many_writers(disk: Arc<dyn Disk>, options: LogOptions) {
    let start = |disk: &Arc<dyn Disk>| {
        let random = platform::OsRandom;
        let clock = Arc::new(platform::RealClock::new());
        Log::open(Arc::clone(disk), clock, Arc::new(random), options.clone()).unwrap()
    };
    let (log, _) = start(&disk);
    let log = Arc::new(log);
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let writer = |writer: u64| {
        let (log, acknowledged) = (Arc::clone(&log), Arc::clone(&acknowledged));
        let write = move || {
            for number in 0..EACH {
                let owned = Owned::numbered(writer * EACH + number);
                let position = log.append_wait(&owned.batch()).unwrap();
                let old = acknowledged.lock().unwrap().insert(position, owned);
                assert_eq!(old, None, "two batches at {position}");
            }
        };
        Worker::start("writer", write).unwrap()
    };
    let writers: Vec<Worker> = (0..WRITERS).map(writer).collect();
    writers.into_iter().for_each(|worker| worker.join().unwrap());
    log.shutdown();
    let (_log, mut replay) = start(&disk);
    let found: BTreeMap<WalPosition, Owned> = collect(&mut replay).into_iter().collect();
    assert!(replay.summary().clean_stop);
    assert_eq!(found.len() as u64, WRITERS * EACH);
    let acknowledged = acknowledged.lock().unwrap();
    assert!(found == *acknowledged, "what was read is not what was acknowledged");
}

#[test]
fn many_writers_share_the_log() {
    many_writers(Arc::new(SimDisk::new()), options());
    let window = Duration::from_micros(200);
    many_writers(Arc::new(SimDisk::new()), LogOptions { window, ..options() });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "cleans up after the real disk")]
fn many_writers_share_the_log_on_a_real_disk() {
    let name = format!("mirador-wal-{:016x}", platform::OsRandom.next_u64());
    let folder = std::env::temp_dir().join(name);
    let options = LogOptions { segment_bytes: 64 << 10, ..options() };
    many_writers(Arc::new(RealDisk::open(&folder).unwrap()), options);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn waiting_batches_share_a_sync() {
    let disk = SimDisk::new();
    let window = Duration::from_secs(3_600);
    let (log, _) =
        try_open(&disk, LogOptions { window, segment_bytes: 1 << 20, ..options() }).unwrap();
    let before = disk.operations();
    (0..100).for_each(|number| log.append(&Owned::numbered(number).batch(), |_| {}));
    log.shutdown();
    assert_eq!(disk.operations() - before, 4, "one write, one sync; both again for the seal");
}
