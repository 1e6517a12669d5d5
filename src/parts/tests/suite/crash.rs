//! A crash, or a temporary fault, at every operation of a script of flushes, merges and
//! collections.

use crate::faults::FaultyBlobs;
use crate::support::{HOUR_MS, Scratch, TestClock, flush, merge, open, part_files, read_rows};
use parts::{PartError, PartStore};
use platform::Blobs;
use std::sync::Arc;

/// Flushes rows in tens, with merges and collections in between. Returns how many rows were
/// acknowledged, and stops at the first failure.
fn script(store: &PartStore, acknowledged: &mut u64) -> Result<(), PartError> {
    for step in 0..4 {
        let rows: Vec<u64> = (step * 10..step * 10 + 10).collect();
        flush(store, &rows)?;
        *acknowledged = step * 10 + 10;
        if step % 2 == 1 {
            merge(store)?;
            store.collect_garbage()?;
        }
    }
    store.collect_garbage_now().map(|_| ())
}

/// The store has its old or its new state, never a mix; no referenced file is missing, and no
/// orphan stays for ever.
fn check_reopened(blobs: &Arc<dyn Blobs>, clock: &Arc<TestClock>, acknowledged: u64, at: &str) {
    let store = open(blobs, clock).unwrap();
    let snapshot = store.snapshot();
    assert!(!snapshot.is_degraded(), "{at}: {:?}", snapshot.damage);
    let rows = read_rows(&store, &snapshot).unwrap();
    let count = rows.len() as u64;
    assert_eq!(rows, (0..count).collect::<Vec<_>>(), "{at}: rows are a prefix, each once");
    assert!(count == acknowledged || count == acknowledged + 10, "{at}: {count} rows");
    assert_eq!(
        snapshot.covered.offset, count,
        "{at}: the parts hold exactly what the manifest covers"
    );
    assert!(store.wal_needed_from() <= snapshot.covered);
    clock.advance_ms(HOUR_MS + 60_000);
    // The next process continues after the crash and deletes every file that is not needed.
    flush(&store, &[count]).unwrap();
    drop(snapshot);
    store.collect_garbage_now().unwrap();
    assert_eq!(part_files(blobs.as_ref()), store.snapshot().parts.len(), "{at}: orphans stay");
    assert_eq!(read_rows(&store, &store.snapshot()).unwrap().len() as u64, count + 1);
}

#[test]
fn a_crash_at_every_operation_leaves_the_old_state_or_the_new() {
    for last_one_happens in [false, true] {
        for fuse in 0.. {
            let scratch = Scratch::new();
            let clock = TestClock::new();
            let faulty = FaultyBlobs::new(scratch.blobs(), fuse, last_one_happens, i64::MAX);
            let mut acknowledged = 0;
            let blobs = Arc::clone(&faulty) as Arc<dyn Blobs>;
            let run = open(&blobs, &clock).and_then(|store| script(&store, &mut acknowledged));
            let at = format!("crash at operation {fuse}, happens {last_one_happens}");
            assert!(run.is_err() || !faulty.burnt() || acknowledged == 40, "{at}");
            check_reopened(&scratch.blobs(), &clock, acknowledged, &at);
            if !faulty.burnt() {
                assert!(fuse > 50, "the script has {fuse} operations");
                break;
            }
        }
    }
}

/// The process continues after one or three failed operations, and must then be right too.
#[test]
fn a_passing_fault_at_every_operation_is_survived_by_the_same_process() {
    for (last_one_happens, failures) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
        for fuse in 0.. {
            let scratch = Scratch::new();
            let clock = TestClock::new();
            let faulty = FaultyBlobs::new(scratch.blobs(), fuse, last_one_happens, failures);
            let blobs = Arc::clone(&faulty) as Arc<dyn Blobs>;
            let at = format!("fault at operation {fuse}, {last_one_happens}, {failures}");
            let Some(store) = (0..5).find_map(|_| open(&blobs, &clock).ok()) else {
                panic!("{at}: the store does not open after the fault passed");
            };
            for step in 0..4u64 {
                flush_until_published(&store, step, &at);
                let _ = merge(&store);
                let _ = store.collect_garbage();
            }
            let read = |_| read_rows(&store, &store.snapshot()).ok();
            let rows = (0..5).find_map(read).expect("the fault passes");
            assert_eq!(rows, (0..40).collect::<Vec<_>>(), "{at}");
            check_reopened(&scratch.blobs(), &clock, 40, &at);
            if !faulty.burnt() {
                break;
            }
        }
    }
}

/// What an engine does: it repeats a flush of unknown outcome only if the manifest does not cover
/// its rows.
fn flush_until_published(store: &PartStore, step: u64, at: &str) {
    let rows: Vec<u64> = (step * 10..step * 10 + 10).collect();
    for _ in 0..10 {
        let _ = store.update(|_| Ok(parts::Edit::default()));
        if store.snapshot().covered.offset >= step * 10 + 10 || flush(store, &rows).is_ok() {
            return;
        }
    }
    panic!("{at}: flush {step} never gets through");
}
