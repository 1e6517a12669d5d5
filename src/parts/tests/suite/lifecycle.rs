//! Normal operation: reading, racing commits, tombstones, and deleting files.

use crate::support::{
    HOUR_MS, ROWS_KIND, Scratch, TestClock, flush, merge, open, part_files, read_rows, summary,
    write_rows,
};
use model::{Signal, TimeUnit, Ulid, WalPosition};
use parts::{Compression, Edit, Manifest, PageBuffer, Part, PartError, PartSummary, Tombstone};
use platform::threads::Worker;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

#[test]
fn a_part_of_many_pages_is_found_and_read() {
    let scratch = Scratch::new();
    let blobs = scratch.blobs();
    let store = open(&blobs, &TestClock::new()).unwrap();
    let mut writer = store.new_part().unwrap();
    for index in 0..50_000u64 {
        let bytes = index.to_le_bytes().repeat(1 + index as usize % 5);
        let compression = if index % 2 == 0 { Compression::Lz4 } else { Compression::None };
        assert_eq!(
            writer.page((index % 3) as u16, Some(index * 2), &bytes, compression).unwrap(),
            index as u32
        );
    }
    let new = writer.finish(summary(1, 0, 0)).unwrap();
    let part = Part::open(blobs.as_ref(), &store.snapshot().part_key(new.info.id)).unwrap();
    assert_eq!((part.page_count().unwrap(), part.bytes()), (50_000, new.info.bytes));
    assert_eq!(part.pages_of(1).unwrap()[7], 22);
    assert_eq!(part.pages_of(9).unwrap(), []);
    assert_eq!(part.find(2, 10).unwrap(), Some(5));
    assert_eq!(part.find(2, 11).unwrap(), None);
    let mut buffer = PageBuffer::default();
    let mut next = 100;
    part.pages(100..40_000, &mut buffer, |index, bytes| {
        assert_eq!(index, next);
        assert_eq!(bytes[..8], u64::from(index).to_le_bytes());
        next += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(next, 40_000);
    assert!(matches!(part.page(50_000), Err(PartError::NoSuchPage { .. })));
}

#[test]
fn a_writer_refuses_what_a_reader_could_not_read() {
    let scratch = Scratch::new();
    let blobs = scratch.blobs();
    let store = open(&blobs, &TestClock::new()).unwrap();
    let mut writer = store.new_part().unwrap();
    let mut page = |kind, key| writer.page(kind, key, b"x", Compression::None);
    page(1, Some(5)).unwrap();
    page(2, None).unwrap();
    assert!(matches!(page(1, Some(4)), Err(PartError::Refused(_))), "keys rise");
    assert!(matches!(page(1, None), Err(PartError::Refused(_))), "all have keys");
    assert!(matches!(page(2, Some(1)), Err(PartError::Refused(_))), "or none");
    page(1, Some(5)).unwrap();
    let big = vec![0; parts::PAGE_RAW_MAX + 1];
    let refused = writer.page(3, None, &big, Compression::Lz4);
    assert!(matches!(refused, Err(PartError::Limit { .. })));
    let time = TimeUnit::Millis.between(0, 86_400_000);
    let refused = writer.finish(PartSummary { time, ..summary(1, 0, 0) });
    assert!(matches!(refused, Err(PartError::Refused(_))), "a part stays within its day");
    assert_eq!(part_files(blobs.as_ref()), 0, "nothing is left of a part that was not finished");
}

#[test]
fn a_commit_is_a_compare_and_swap() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let ours = open(&blobs, &clock).unwrap();
    let theirs = open(&blobs, &clock).unwrap();
    let part = write_rows(&ours, &[1], 0, 2, &[]).unwrap();
    flush(&theirs, &[0]).unwrap();
    let edit = Edit { add: vec![part], ..Edit::default() };
    let lost = ours.commit(0, &edit).unwrap_err();
    assert!(matches!(lost, PartError::Conflict { expected: 0, current: 1 }), "{lost}");
    assert_eq!(ours.snapshot().parts.len(), 1, "the loser sees what the winner wrote");
    assert!(matches!(ours.commit(0, &edit), Err(PartError::Conflict { .. })));
    let both = ours.commit(1, &edit).unwrap();
    assert_eq!(read_rows(&ours, &both).unwrap(), [0, 1], "the part was kept for the next try");
    assert!(matches!(ours.commit(2, &edit), Err(PartError::Refused(_))), "once is enough");
    let back = Edit { covered: Some(WalPosition::default()), ..Edit::default() };
    assert!(matches!(ours.commit(2, &back), Err(PartError::Refused(_))), "covered never goes back");
    let stranger = Edit { remove: vec![Ulid(9)], ..Edit::default() };
    assert!(matches!(ours.commit(2, &stranger), Err(PartError::NoSuchPart(Ulid(9)))));
}

/// Several stores over the same blobs race for each generation.
#[test]
fn of_racing_commits_exactly_one_wins() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    const RACERS: usize = 4;
    const ROUNDS: u64 = 25;
    let wins = Arc::new((0..ROUNDS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
    let barrier = Arc::new(Barrier::new(RACERS));
    let race = |number: usize| {
        let store = open(&blobs, &clock).unwrap();
        let (wins, barrier) = (Arc::clone(&wins), Arc::clone(&barrier));
        let run = move || {
            for round in 0..ROUNDS {
                barrier.wait();
                let edit = Edit { engine_state: Some(vec![number as u8]), ..Edit::default() };
                match store.commit(round, &edit) {
                    Ok(manifest) => {
                        assert_eq!(manifest.generation, round + 1);
                        wins[round as usize].fetch_add(1, SeqCst);
                    }
                    Err(error) => assert!(matches!(error, PartError::Conflict { .. }), "{error}"),
                }
                barrier.wait();
                // A racer that lost while the winner was still writing looks again.
                while store.snapshot().generation <= round {
                    let _ = store.commit(round, &Edit::default());
                }
            }
        };
        Worker::start(&format!("racer-{number}"), run).unwrap()
    };
    let racers: Vec<Worker> = (0..RACERS).map(race).collect();
    racers.into_iter().for_each(|racer| racer.join().unwrap());
    assert!(wins.iter().all(|count| count.load(SeqCst) == 1), "{wins:?}");
    assert_eq!(open(&blobs, &clock).unwrap().snapshot().generation, ROUNDS);
}

/// Readers see a prefix of the rows, each once, whatever merges and collections run meanwhile.
#[test]
fn readers_are_never_disturbed() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = Arc::new(open(&blobs, &clock).unwrap());
    let done = Arc::new(AtomicU64::new(0));
    let read = |number: usize| {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        let run = move || {
            let mut seen = 0;
            while done.load(SeqCst) == 0 {
                let snapshot = store.snapshot();
                std::thread::yield_now();
                let rows = read_rows(&store, &snapshot).unwrap();
                assert_eq!(rows, (0..rows.len() as u64).collect::<Vec<_>>());
                assert!(rows.len() >= seen, "what was seen once stays");
                seen = rows.len();
            }
        };
        Worker::start(&format!("reader-{number}"), run).unwrap()
    };
    let readers: Vec<Worker> = (0..3).map(read).collect();
    for row in 0..200 {
        flush(&store, &[row]).unwrap();
        if row % 4 == 3 {
            merge(&store).unwrap();
            store.collect_garbage_now().unwrap();
        }
    }
    done.store(1, SeqCst);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    store.collect_garbage_now().unwrap();
    assert_eq!(part_files(blobs.as_ref()), 1, "in the end only what is live is left");
}

#[test]
fn a_dropped_part_stays_as_long_as_it_is_read() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    flush(&store, &[0]).unwrap();
    let old = flush(&store, &[1]).unwrap();
    merge(&store).unwrap();
    let collected = store.collect_garbage().unwrap();
    assert_eq!((collected.files, collected.waiting), (0, 2), "the generation before names them");
    store.collect_garbage_now().unwrap();
    assert_eq!(part_files(blobs.as_ref()), 3, "a snapshot names them");
    assert_eq!(read_rows(&store, &old).unwrap(), [0, 1], "and they can still be opened");
    let held = store.part(&old, old.parts[0].id).unwrap();
    drop(old);
    let collected = store.collect_garbage_now().unwrap();
    assert_eq!((collected.files, collected.waiting), (1, 1), "an open handle holds its part");
    held.verify().unwrap();
    drop(held);
    assert_eq!(store.collect_garbage().unwrap().files, 1);
    assert_eq!(read_rows(&store, &store.snapshot()).unwrap(), [0, 1]);
}

#[test]
fn orphans_are_deleted_after_an_hour_and_abandoned_parts_at_once() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    flush(&store, &[0]).unwrap();
    let pending = write_rows(&store, &[1], 0, 2, &[]).unwrap();
    clock.advance_ms(50 * HOUR_MS);
    store.collect_garbage_now().unwrap();
    assert_eq!(part_files(blobs.as_ref()), 2, "a finished part waits for its commit");
    let another = open(&blobs, &clock).unwrap();
    let orphan = write_rows(&another, &[2], 0, 3, &[]).unwrap();
    drop(pending);
    assert_eq!(store.collect_garbage().unwrap().files, 1, "given up by this process");
    // It could be another process's part: its id is young.
    assert_eq!(part_files(blobs.as_ref()), 2);
    clock.advance_ms(HOUR_MS - 1);
    assert_eq!(store.collect_garbage().unwrap().files, 0);
    clock.advance_ms(1);
    assert_eq!(store.collect_garbage().unwrap().files, 1);
    drop(orphan);
}

#[test]
fn parts_that_an_earlier_process_dropped_are_deleted_at_once() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    flush(&store, &[0]).unwrap();
    flush(&store, &[1]).unwrap();
    merge(&store).unwrap();
    drop(store);
    let store = open(&blobs, &clock).unwrap();
    assert_eq!(store.collect_garbage_now().unwrap().files, 2);
    assert_eq!(read_rows(&store, &store.snapshot()).unwrap(), [0, 1]);
}

#[test]
fn old_generations_are_deleted() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    (0..20).for_each(|row| _ = flush(&store, &[row]).unwrap());
    let generations = blobs.list("manifests").unwrap();
    assert_eq!(generations.len() as u64, parts::GENERATIONS_KEPT);
    assert_eq!(generations.last().unwrap().key, "manifests/default/probe/00000000000000000020");
}

fn tombstone(store: &parts::PartStore, max: i64, position: u64) -> Tombstone {
    Tombstone {
        id: store.mint_id(),
        time: TimeUnit::Millis.between(0, max),
        matcher: b"all".to_vec(),
        created_ms: 1,
        position: WalPosition { segment: 0, offset: position },
        generation: 0,
    }
}

fn add_tombstone(store: &parts::PartStore, max: i64, position: u64) -> Arc<Manifest> {
    let add_tombstones = vec![tombstone(store, max, position)];
    store.update(|_| Ok(Edit { add_tombstones, ..Edit::default() })).unwrap()
}

#[test]
fn a_tombstone_lives_until_every_older_part_was_rewritten() {
    let scratch = Scratch::new();
    let store = open(&scratch.blobs(), &TestClock::new()).unwrap();
    flush(&store, &[0]).unwrap();
    let buried = add_tombstone(&store, 500, 1);
    assert_eq!(buried.tombstones[0].generation, 2);
    assert_eq!(buried.tombstones_for(&buried.parts[0]).count(), 1);
    // A merge that began before the tombstone does not apply it.
    let after = merge(&store).unwrap();
    assert_eq!(after.tombstones_for(&after.parts[0]).count(), 1);
    let id = after.parts[0].id;
    let mut writer = store.new_part().unwrap();
    writer.page(ROWS_KIND, Some(7), b"", Compression::None).unwrap();
    let applied = PartSummary { tombstones_applied: after.generation, ..summary(0, 3, 1) };
    let part = writer.finish(applied).unwrap();
    let edit = Edit { add: vec![part], remove: vec![id], ..Edit::default() };
    assert_eq!(store.commit(after.generation, &edit).unwrap().tombstones, []);
}

#[test]
fn a_tombstone_waits_for_rows_that_are_on_their_way() {
    let scratch = Scratch::new();
    let store = open(&scratch.blobs(), &TestClock::new()).unwrap();
    add_tombstone(&store, 500, 10);
    let later = store.update(|_| Ok(Edit::default())).unwrap();
    assert_eq!(later.tombstones.len(), 1, "no part has the rows yet, but the write-ahead log has");
    let flushed = flush(&store, &[8, 9]).unwrap();
    assert_eq!(flushed.tombstones_for(&flushed.parts[0]).count(), 1);
}

#[test]
fn a_manifest_of_another_signal_is_refused() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    flush(&store, &[0]).unwrap();
    let key = parts::manifest_key(store.tenant(), Signal::Probe, 1);
    let length = blobs.open(&key).unwrap().len().unwrap() as usize;
    let bytes = blobs.get_range(&key, 0, length).unwrap();
    let other = parts::manifest_key(store.tenant(), Signal::Probe, 2);
    blobs.put_new(&other, &bytes).unwrap();
    let store = open(&blobs, &clock).unwrap();
    assert_eq!(store.snapshot().generation, 1);
    assert!(store.snapshot().is_degraded());
    assert_eq!(flush(&store, &[1]).unwrap().generation, 3);
}
