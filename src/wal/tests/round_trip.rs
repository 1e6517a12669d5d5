use super::*;
use crate::{Inspected, Packing, SyncPolicy, inspect};
use ::model::WalPosition;
use proptest::prelude::*;

fn owned() -> impl Strategy<Value = Owned> {
    let tenant = "[a-zA-Z0-9!_*'()-]{1,150}";
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(0..3u8, 0..5_000),
    ];
    (tenant, 0..4usize, any::<u16>(), payload).prop_map(|(tenant, signal, schema, payload)| Owned {
        tenant: TenantId::new(&tenant).unwrap(),
        signal: Signal::ALL[signal],
        schema,
        payload,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_appended_is_replayed(
        written in prop::collection::vec(owned(), 0..20),
        packed: bool,
        sync in prop_oneof![
            Just(SyncPolicy::Always),
            Just(SyncPolicy::Off),
            Just(SyncPolicy::Interval(Duration::from_micros(1))),
        ],
    ) {
        let disk = SimDisk::new();
        let packing = if packed { Packing::Lz4 } else { Packing::Plain };
        let (log, mut replay) = try_open(&disk, LogOptions { packing, sync, ..options() }).unwrap();
        prop_assert!(replay.next_batch().unwrap().is_none());
        let positions = append_all(&log, &written);
        drop(log);
        let (found, summary) = read(&disk);
        prop_assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), positions);
        prop_assert_eq!(batches(found), written);
        prop_assert!(summary.clean_stop);
        prop_assert_eq!((summary.torn_tails, summary.corrupt_ranges), (0, 0));
    }
}

#[test]
fn a_batch_larger_than_a_segment_has_one_of_its_own() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let random = SeededRandom::new(1);
    let mut large = Owned::probe(&vec![0; 300 << 10]);
    random.fill(&mut large.payload);
    let written = [Owned::numbered(1), large, Owned::numbered(2)];
    let positions = written.each_ref().map(|owned| log.append_wait(&owned.batch()).unwrap());
    assert_eq!(positions.map(|position| position.segment), [1, 2, 3]);
    drop(log);
    assert_eq!(batches(read(&disk).0), written);
}

#[test]
fn sizes_are_checked_before_anything_is_done() {
    let disk = SimDisk::new();
    let (log, _) = try_open(&disk, LogOptions { payload_bytes_max: 10, ..options() }).unwrap();
    let before = disk.operations();
    let error = log.append_wait(&Owned::probe(&[0; 11]).batch()).unwrap_err();
    assert!(matches!(error, WalError::TooLarge { size: 11, limit: 10 }), "{error}");
    assert_eq!(disk.operations(), before);
    log.append_wait(&Owned::probe(&[0; 10]).batch()).unwrap();
}

#[test]
fn truncation_removes_only_whole_segments_below() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let random = SeededRandom::new(2);
    let written: Vec<Owned> = (0..40).map(|_| Owned::random(&random, 900)).collect();
    let positions = append_all(&log, &written);
    let segments = log.segments();
    assert!(segments.len() > 3);
    let middle = positions[20];
    let below = segments.iter().filter(|info| info.sequence < middle.segment).count();
    assert_eq!(log.truncate_before(middle).unwrap(), below);
    assert_eq!(log.truncate_before(middle).unwrap(), 0);
    assert_eq!(log.segments().first().unwrap().sequence, middle.segment);
    assert_eq!(segment_paths(&disk).len(), segments.len() - below);
    log.truncate_before(WalPosition { segment: u64::MAX, offset: 0 }).unwrap();
    assert_eq!(log.segments().len(), 1, "the segment that is written stays");
    let last = Owned::numbered(1);
    log.append_wait(&last.batch()).unwrap();
    drop(log);
    let disk = disk.crash(platform::sim::CrashPolicy::LoseUnsynced);
    let found = batches(read(&disk).0);
    assert_eq!(found.last(), Some(&last));
    assert!(found.len() < 20);
}

#[test]
fn after_a_rotation_the_old_segment_can_be_truncated() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    log.rotate();
    assert_eq!(log.segments().len(), 1, "an empty segment is as good as a new one");
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
    let end = log.end();
    log.rotate();
    assert_eq!(log.truncate_before(log.end()).unwrap(), 1);
    assert!(log.end() > end);
    let last = Owned::numbered(2);
    log.append_wait(&last.batch()).unwrap();
    drop(log);
    assert_eq!(batches(read(&disk).0), [last]);
}

#[test]
fn replay_starts_where_it_is_told_to() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let random = SeededRandom::new(3);
    let positions: Vec<WalPosition> =
        (0..30).map(|_| log.append_wait(&Owned::random(&random, 900).batch()).unwrap()).collect();
    drop(log);
    for start in [0, 1, 15, 29] {
        let (_log, mut replay) = open(&disk);
        replay.start_at(positions[start]);
        let found: Vec<WalPosition> = collect(&mut replay).iter().map(|(at, _)| *at).collect();
        assert_eq!(found, positions[start..]);
    }
}

#[test]
fn positions_grow_even_after_the_folder_was_emptied() {
    let disk = SimDisk::new();
    let (log, _) = try_open(&disk, LogOptions { first_segment: 77, ..options() }).unwrap();
    let position = log.append_wait(&Owned::numbered(1).batch()).unwrap();
    assert_eq!(position.segment, 77);
    drop(log);
    let (log, _) = open(&disk);
    assert_eq!(log.append_wait(&Owned::numbered(1).batch()).unwrap().segment, 78);
}

#[test]
fn the_end_passes_every_answered_batch() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    for number in 0..50 {
        let position = log.append_wait(&Owned::numbered(number).batch()).unwrap();
        while log.end() <= position {
            std::thread::yield_now();
        }
    }
    assert_eq!(log.size_bytes(), log.segments().iter().map(|info| info.bytes).sum::<u64>());
    let on_disk: u64 = disk.list("wal").unwrap().iter().map(|entry| entry.len).sum();
    assert_eq!(log.size_bytes(), on_disk);
}

#[test]
fn only_an_orderly_stop_is_clean() {
    let disk = SimDisk::new();
    let clean = |disk: &SimDisk| {
        let (log, replay) = open(disk);
        (log, replay.summary().clean_stop)
    };
    let (log, first) = clean(&disk);
    assert!(first, "there was nothing to stop");
    log.shutdown();
    let stopped = log.append_wait(&Owned::numbered(1).batch());
    assert!(matches!(stopped, Err(WalError::Stopped)));
    let (log, second) = clean(&disk);
    assert!(second);
    let disk = disk.crash(platform::sim::CrashPolicy::KeepAll);
    drop(log);
    assert!(!clean(&disk).1);
}

#[test]
fn a_segment_is_described_for_people() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
    log.append_wait(&Owned::probe(&[7; 600]).batch()).unwrap();
    let third = log.append_wait(&Owned::numbered(3).batch()).unwrap();
    drop(log);
    let path = segment_paths(&disk).remove(0);
    disk.flip_bit(&path, (third.offset + 30) * 8).unwrap();
    let mut lines = Vec::new();
    inspect(&disk, &path, &mut |seen: Inspected| lines.push(seen.to_string())).unwrap();
    let expect = [
        "segment 0000000000000001, created 1795219200000000000 ns after 1970",
        "      1024 ok tenant=default signal=probe schema=1 payload=16 stored=16 plain",
        "      1075 ok tenant=default signal=probe schema=1 payload=600 stored=14 lz4",
        "      1124 corrupt, 67 bytes",
        "      1191 seal",
    ];
    assert_eq!(lines, expect);
}

#[test]
fn what_happens_is_counted() {
    let mut registry = observe::Registry::default();
    registry.add(crate::METRICS);
    assert!(registry.metrics().iter().all(|metric| metric.name().starts_with("mirador_wal_")));
    let before = crate::telemetry::BATCHES.value();
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    append_all(&log, &[1, 2, 3].map(Owned::numbered));
    drop(log);
    assert!(crate::telemetry::BATCHES.value() >= before + 3);
}
