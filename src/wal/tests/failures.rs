use super::*;
use crate::SyncPolicy;
use ::model::WalPosition;
use platform::sim::{CrashPolicy, Fault, Operation};
use std::sync::mpsc;

fn assert_unavailable(result: Result<WalPosition, WalError>) {
    assert!(matches!(result, Err(WalError::Unavailable { .. })), "{result:?}");
}

/// No new segment is tried within an hour unless `retry_now` is called.
fn patient() -> LogOptions {
    LogOptions { retry: Duration::from_secs(3_600), ..options() }
}

#[test]
fn after_a_failed_write_or_sync_the_segment_takes_no_more() {
    for (operation, fault) in [
        (Operation::Sync, Fault::Eio),
        (Operation::Append, Fault::Eio),
        (Operation::Append, Fault::Enospc),
        (Operation::Append, Fault::ShortWrite(20)),
    ] {
        let disk = SimDisk::new();
        let (log, _) = try_open(&disk, patient()).unwrap();
        let before = Owned::numbered(1);
        let at = log.append_wait(&before.batch()).unwrap();
        disk.fail_next(operation, fault);
        assert_unavailable(log.append_wait(&Owned::numbered(2).batch()));
        assert!(matches!(log.health(), Health::Failed { since_ms: 1_795_219_200_000, .. }));
        let operations = disk.operations();
        assert_unavailable(log.append_wait(&Owned::numbered(3).batch()));
        assert_eq!(disk.operations(), operations, "refused at once");
        log.retry_now();
        wait_until_healthy(&log);
        let after = Owned::numbered(4);
        let next = log.append_wait(&after.batch()).unwrap();
        assert_eq!((at.segment, next.segment), (1, 2));
        let disk = disk.crash(CrashPolicy::LoseUnsynced);
        let found = batches(read(&disk).0);
        assert_eq!(found, [before, after], "{operation:?} {fault:?}");
    }
}

/// A batch whose sync failed may be replayed after all, in its place: delivery is at least once.
#[test]
fn a_batch_that_was_answered_with_an_error_may_come_back() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
    disk.fail_next(Operation::Sync, Fault::Eio);
    assert_unavailable(log.append_wait(&Owned::numbered(2).batch()));
    wait_until_healthy(&log);
    log.append_wait(&Owned::numbered(3).batch()).unwrap();
    let disk = disk.crash(CrashPolicy::KeepAll);
    assert_eq!(batches(read(&disk).0), [1, 2, 3].map(Owned::numbered));
}

#[test]
fn a_full_disk_is_waited_for() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let first = Owned::numbered(1);
    log.append_wait(&first.batch()).unwrap();
    disk.set_capacity(log.size_bytes() + 10);
    assert_unavailable(log.append_wait(&Owned::numbered(2).batch()));
    let operations = disk.operations();
    for _ in 0..50 {
        log.retry_now();
        assert!(matches!(log.health(), Health::Failed { .. }));
    }
    assert_eq!(disk.operations(), operations, "nothing is begun that could only fail");
    disk.set_capacity(1 << 20);
    wait_until_healthy(&log);
    let third = Owned::numbered(3);
    log.append_wait(&third.batch()).unwrap();
    drop(log);
    assert_eq!(batches(read(&disk).0), [first, third]);
}

#[test]
fn failures_leave_no_files_behind() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
    for operation in [Operation::Append, Operation::Sync, Operation::SyncDir, Operation::Create] {
        disk.keep_failing(operation, Fault::Eio);
        disk.fail_next(Operation::Append, Fault::Eio);
        assert_unavailable(log.append_wait(&Owned::numbered(2).batch()));
        let operations = disk.operations();
        while disk.operations() < operations + 30 {
            log.retry_now();
            std::thread::yield_now();
        }
        disk.heal();
        wait_until_healthy(&log);
    }
    drop(log);
    assert!(segment_paths(&disk).len() <= 2, "{:?}", segment_paths(&disk));
    assert_eq!(batches(read(&disk).0), [Owned::numbered(1)]);
}

#[test]
fn a_log_opens_on_a_full_disk_and_recovers() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let first = Owned::numbered(1);
    log.append_wait(&first.batch()).unwrap();
    drop(log);
    disk.set_capacity(100);
    let (log, mut replay) = open(&disk);
    assert_eq!(batches(collect(&mut replay)), std::slice::from_ref(&first), "reading goes on");
    assert_unavailable(log.append_wait(&Owned::numbered(2).batch()));
    disk.set_capacity(1 << 20);
    wait_until_healthy(&log);
    log.append_wait(&first.batch()).unwrap();
}

#[test]
fn truncation_gives_a_full_disk_its_space_back() {
    let disk = SimDisk::new();
    let (log, _) = try_open(&disk, patient()).unwrap();
    let last = (0..200).map(|n| log.append_wait(&Owned::numbered(n).batch()).unwrap()).last();
    disk.set_capacity(log.size_bytes());
    assert_unavailable(log.append_wait(&Owned::numbered(1).batch()));
    log.truncate_before(last.unwrap()).unwrap();
    wait_until_healthy(&log);
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
}

#[test]
fn a_truncation_that_fails_can_be_asked_for_again() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let last = (0..200).map(|n| log.append_wait(&Owned::numbered(n).batch()).unwrap()).last();
    let segments = log.segments().len();
    assert!(segments > 3);
    // The chain is shortened and synced, one segment is deleted, and the next deletion fails.
    disk.fail_at(disk.operations() + 3, Fault::Eio);
    assert!(log.truncate_before(last.unwrap()).is_err());
    assert_eq!(log.segments().len(), segments - 1);
    assert_eq!(log.truncate_before(last.unwrap()).unwrap(), segments - 2);
}

#[test]
fn a_failed_background_sync_makes_the_log_unhealthy() {
    let disk = SimDisk::new();
    let sync = SyncPolicy::Interval(Duration::from_millis(1));
    let (log, _) = try_open(&disk, LogOptions { sync, ..patient() }).unwrap();
    disk.fail_next(Operation::Sync, Fault::Eio);
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
    while log.health() == Health::Healthy {
        std::thread::yield_now();
    }
    assert_unavailable(log.append_wait(&Owned::numbered(2).batch()));
    log.retry_now();
    wait_until_healthy(&log);
    log.append_wait(&Owned::numbered(3).batch()).unwrap();
}

#[test]
fn a_rotation_that_fails_answers_those_who_wait() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let large = Owned { payload: (0..=255u8).collect::<Vec<_>>().repeat(10), ..Owned::numbered(0) };
    let large = Owned { payload: large.payload.iter().rev().copied().collect(), ..large };
    log.append_wait(&large.batch()).unwrap();
    disk.keep_failing(Operation::Create, Fault::Eio);
    let mut results = (0..100).map(|n| log.append_wait(&Owned::numbered(n).batch()));
    assert_unavailable(results.find(Result::is_err).expect("the segment is full at some time"));
    disk.heal();
    wait_until_healthy(&log);
    log.append_wait(&large.batch()).unwrap();
}

#[test]
fn a_full_queue_refuses_and_a_shutdown_answers_all() {
    let disk = SimDisk::new();
    let window = Duration::from_secs(3_600);
    let (log, _) = try_open(&disk, LogOptions { window, queue_bytes: 150, ..options() }).unwrap();
    let (sender, receiver) = mpsc::channel();
    let append = |number| {
        let sender = sender.clone();
        let answer = move |result: Result<WalPosition, WalError>| {
            sender.send((number, result.map_err(|error| error.to_string()))).unwrap();
        };
        log.append(&Owned::numbered(number).batch(), answer);
    };
    // The window keeps the committer from taking the batches; each frame has about 60 bytes.
    (0..9).filter(|number| number % 7 < 2).for_each(append);
    let (number, refused) = receiver.recv().unwrap();
    assert_eq!(number, 8);
    assert_eq!(refused.unwrap_err(), WalError::Overloaded.to_string());
    log.shutdown();
    let answered: Vec<u64> =
        receiver.try_iter().map(|(n, result)| result.map(|_| n).unwrap()).collect();
    assert_eq!(answered, [0, 1, 7]);
    assert_eq!(batches(read(&disk).0), [0, 1, 7].map(Owned::numbered));
}

/// One failed sync is the error of every batch in its group.
#[test]
fn a_failed_sync_answers_its_whole_group() {
    let disk = SimDisk::new();
    let window = Duration::from_secs(3_600);
    let (log, _) = try_open(&disk, LogOptions { window, ..options() }).unwrap();
    let (sender, receiver) = mpsc::channel();
    for number in 0..10 {
        let sender = sender.clone();
        log.append(&Owned::numbered(number).batch(), move |result| sender.send(result).unwrap());
    }
    disk.keep_failing(Operation::Sync, Fault::Eio);
    log.shutdown();
    let answers: Vec<_> = receiver.try_iter().collect();
    assert_eq!(answers.len(), 10);
    answers.into_iter().for_each(assert_unavailable);
    let disk = disk.crash(CrashPolicy::LoseUnsynced);
    let (found, summary) = read(&disk);
    assert!(found.is_empty() && !summary.clean_stop);
}

/// Appends stop while the engines still have disk space to write their heads, and go on after a
/// truncation.
#[test]
fn a_reserve_is_left_on_a_full_disk() {
    let disk = SimDisk::new();
    disk.set_capacity(40 << 10);
    let reserve_bytes = 10 << 10;
    let (log, _) = try_open(&disk, LogOptions { reserve_bytes, ..options() }).unwrap();
    let mut last = WalPosition::default();
    let refused =
        (0..).find_map(|number| match log.append_wait(&Owned::numbered(number).batch()) {
            Ok(position) => {
                last = position;
                None
            }
            refused => Some(refused),
        });
    assert_unavailable(refused.unwrap());
    let free = disk.space().unwrap().free;
    assert!((5 << 10..10 << 10).contains(&free), "{free} bytes are free");
    log.truncate_before(last).unwrap();
    wait_until_healthy(&log);
    log.append_wait(&Owned::numbered(1).batch()).unwrap();
}

#[test]
fn a_panic_in_an_answer_leaves_nobody_waiting() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    log.append(&Owned::numbered(1).batch(), |_| panic!("the caller's mistake"));
    while !matches!(log.append_wait(&Owned::numbered(2).batch()), Err(WalError::Stopped)) {
        std::thread::yield_now();
    }
    log.shutdown();
    assert!(matches!(log.health(), Health::Failed { .. }));
}
