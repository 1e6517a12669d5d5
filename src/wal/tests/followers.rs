//! Reading behind the writer, holds, and where the next replay begins.

use super::*;
use crate::{Followed, Follower};

fn wanted() -> (Signal, TenantId) {
    (Signal::Probe, TenantId::default_tenant())
}

fn follower(log: &Arc<Log>, from: WalPosition) -> Follower {
    Follower::new(log, wanted(), (from, from), u64::MAX)
}

/// Appends, and waits until the end is behind what was answered: it moves a moment later.
fn append(log: &Log, written: &[Owned]) {
    let last = append_all(log, written).last().copied().unwrap_or_default();
    while log.end() <= last && last != WalPosition::START {
        std::thread::yield_now();
    }
}

/// All that can be read now, and how many bytes were lost.
fn drain(follower: &mut Follower) -> (Vec<Owned>, Option<u64>) {
    let (mut found, mut lost) = (Vec::new(), None);
    while let Some(next) = follower.next_batch().unwrap() {
        match next {
            Followed::Lost { bytes } => lost = Some(lost.unwrap_or(0) + bytes),
            Followed::Batch(replayed) => {
                let Batch { tenant, signal, schema, payload } = replayed.batch;
                let (tenant, payload) = (tenant.clone(), payload.to_vec());
                found.push(Owned { tenant, signal, schema, payload });
            }
        }
    }
    (found, lost)
}

fn numbered(range: std::ops::Range<u64>) -> Vec<Owned> {
    range.map(Owned::numbered).collect()
}

fn other(number: u64) -> Owned {
    match number % 2 {
        0 => Owned { signal: Signal::Logs, ..Owned::numbered(number) },
        _ => Owned { tenant: TenantId::new("other").unwrap(), ..Owned::numbered(number) },
    }
}

#[test]
fn a_follower_reads_what_is_its_own_once_and_in_order() {
    let disk = SimDisk::new();
    let log = Arc::new(open(&disk).0);
    let mut follower = follower(&log, WalPosition::START);
    assert_eq!(drain(&mut follower), (vec![], None));
    let mut written = Vec::new();
    for round in 0..40u64 {
        let batches = numbered(round * 10..round * 10 + round % 13);
        for batch in &batches {
            append(&log, &[batch.clone(), other(round)]);
        }
        assert_eq!(drain(&mut follower), (batches.clone(), None));
        assert!(!follower.is_behind());
        written.extend(batches);
    }
    assert!(log.segments().len() > 2, "several segments");
    assert_eq!(drain(&mut self::follower(&log, WalPosition::START)).0, written);
}

/// A follower that begins where another one was reads the rest, in this process and in the next one.
#[test]
fn a_position_is_a_place_to_continue_at() {
    let disk = SimDisk::new();
    let log = Arc::new(open(&disk).0);
    append(&log, &numbered(0..100));
    let mut first = follower(&log, WalPosition::START);
    for expected in numbered(0..37) {
        let Some(Followed::Batch(found)) = first.next_batch().unwrap() else { panic!("no batch") };
        assert_eq!(found.batch, expected.batch());
    }
    let position = first.position();
    assert_eq!(drain(&mut follower(&log, position)).0, numbered(37..100));
    drop((first, log));
    let log = Arc::new(open(&disk).0);
    append(&log, &numbered(100..110));
    assert_eq!(drain(&mut follower(&log, position)), (numbered(37..110), None));
}

#[test]
fn a_hold_keeps_segments_and_the_next_replay_leaves_them_out() {
    let disk = SimDisk::new();
    let log = Arc::new(open(&disk).0);
    append(&log, &numbered(0..200));
    let mut held = follower(&log, WalPosition::START);
    let all = log.segments().len();
    let needed = log.end();
    assert_eq!(log.truncate_before(needed).unwrap(), 0);
    assert_eq!(log.segments().len(), all);
    assert_eq!(drain(&mut held), (numbered(0..200), None));
    // Segments go as far as the follower has come.
    let middle = log.segments()[all / 2].sequence;
    let middle = WalPosition { segment: middle, offset: 0 };
    held.hold().set(middle, middle);
    assert_eq!(log.truncate_before(needed).unwrap(), all / 2);
    drop((held, log));

    let (log, mut replay) = open(&disk);
    let replayed: Vec<WalPosition> = collect(&mut replay).into_iter().map(|(at, _)| at).collect();
    assert!(!replayed.is_empty() && replayed.iter().all(|at| at.segment >= needed.segment));
    assert_eq!(replay.summary().gaps, 0);
    // Without a hold they go with the next truncation.
    let before = log.segments();
    assert!(before[0].sequence == middle.segment);
    log.truncate_before(needed).unwrap();
    assert_eq!(log.segments()[0].sequence, needed.segment);
}

#[test]
fn what_is_given_up_is_told_with_its_bytes() {
    let disk = SimDisk::new();
    let log = Arc::new(open(&disk).0);
    append(&log, &numbered(0..200));
    let most = 3 * (4 << 10);
    let mut held = Follower::new(&log, wanted(), (WalPosition::START, WalPosition::START), most);
    let before = log.size_bytes();
    log.truncate_before(log.end()).unwrap();
    assert!(log.size_bytes() <= most);
    let (found, lost) = drain(&mut held);
    assert_eq!(lost, Some(before - log.size_bytes()));
    assert!(!found.is_empty() && found.len() < 200);
    let first = 200 - found.len() as u64;
    assert_eq!(found, numbered(first..200), "the newest are left");
    // A position in a deleted segment is told too, though nobody knows of how many bytes.
    let gone = WalPosition { segment: 1, offset: 2_000 };
    assert_eq!(drain(&mut follower(&log, gone)), (found, Some(0)));
}

#[test]
fn a_disk_that_is_nearly_full_takes_one_segment_at_a_time() {
    let disk = SimDisk::new();
    disk.set_capacity(1 << 20);
    let options = LogOptions { reserve_bytes: 400 << 10, ..options() };
    let log = Arc::new(try_open(&disk, options).unwrap().0);
    append(&log, &numbered(0..200));
    let mut held = follower(&log, WalPosition::START);
    assert_eq!(log.truncate_before(log.end()).unwrap(), 0);
    disk.set_capacity(800 << 10);
    assert_eq!(log.truncate_before(log.end()).unwrap(), 1);
    assert_eq!(log.truncate_before(log.end()).unwrap(), 1);
    assert!(drain(&mut held).1.is_some_and(|lost| lost > 0));
}

#[test]
fn damage_is_passed_over() {
    let disk = SimDisk::new();
    let log = Arc::new(open(&disk).0);
    append(&log, &numbered(0..20));
    let path = segment_paths(&disk)[0].clone();
    let mut bytes = disk.contents(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    disk.overwrite(&path, &bytes).unwrap();
    let (found, lost) = drain(&mut follower(&log, WalPosition::START));
    assert_eq!(found.len(), 19);
    assert!(lost.is_some_and(|lost| lost > 0));
}

/// Random appends, truncations, restarts and crashes: a follower that goes on from its position gets
/// every answered batch, in order.
#[test]
fn nothing_is_missed_over_crashes() {
    let random = SeededRandom::new(platform::sim::test_seed());
    let mut disk = SimDisk::new();
    let (mut written, mut read) = (0u64, Vec::new());
    let mut position = WalPosition::START;
    for _ in 0..60 {
        let log = Arc::new(open(&disk).0);
        let mut follower = follower(&log, position);
        for _ in 0..random.below(6) {
            let count = random.below(30);
            append(&log, &numbered(written..written + count));
            written += count;
            if random.below(2) == 0 {
                let (found, lost) = drain(&mut follower);
                assert_eq!(lost, None);
                read.extend(found);
                position = follower.position();
                follower.hold().set(position, position);
            }
            log.truncate_before(log.end()).unwrap();
        }
        if random.below(2) == 0 {
            disk = disk.crash(platform::sim::CrashPolicy::LoseUnsynced);
        }
    }
    let log = Arc::new(open(&disk).0);
    read.extend(drain(&mut follower(&log, position)).0);
    assert_eq!(read, numbered(0..written));
}
