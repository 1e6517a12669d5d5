use super::*;
use platform::sim::{CrashPolicy, test_seed};

/// The third policy runs four times, each time with its own seed.
const ROUNDS: u64 = 6;

fn policy(number: u64, seed: u64) -> CrashPolicy {
    match number {
        0 => CrashPolicy::LoseUnsynced,
        1 => CrashPolicy::KeepAll,
        _ => CrashPolicy::Torn { seed },
    }
}

/// What a writer knows when the power is cut.
#[derive(Default)]
struct Ledger {
    /// In the order of writing, with whether each was acknowledged.
    written: Vec<(Owned, bool)>,
    /// Batches below this position were truncated, but the truncation may not have survived.
    truncated_before: usize,
}

/// Appends, truncates and restarts until the disk fails.
fn run_script(disk: &SimDisk, ledger: &mut Ledger) -> Result<(), WalError> {
    for _ in 0..4 {
        let (log, mut replay) = try_open(disk, small())?;
        while replay.next_batch()?.is_some() {}
        let mut positions = Vec::new();
        for _ in 0..14 {
            let number = ledger.written.len() as u64;
            let owned = Owned::numbered(number);
            let result = log.append_wait(&owned.batch());
            ledger.written.push((owned, result.is_ok()));
            positions.push((number as usize, result?));
        }
        let (number, position) = positions[7];
        let here = positions.iter().find(|(_, at)| at.segment == position.segment);
        ledger.truncated_before = here.map_or(number, |(first, _)| *first);
        log.truncate_before(position)?;
    }
    Ok(())
}

impl Ledger {
    fn check(&self, found: &[Owned], context: &str) {
        let first = found.first().map(|first| {
            self.written.iter().position(|(owned, _)| owned == first).expect("it was written")
        });
        let start = first.unwrap_or(self.truncated_before).min(self.truncated_before);
        let mut found = found.iter().peekable();
        for (number, (owned, acknowledged)) in self.written.iter().enumerate().skip(start) {
            let there = found.next_if_eq(&owned).is_some();
            let needed = *acknowledged && number >= self.truncated_before;
            assert!(there || !needed, "{context}: acknowledged batch {number} is gone");
        }
        assert_eq!(found.next(), None, "{context}: phantom, or out of order");
    }
}

fn small() -> LogOptions {
    LogOptions { segment_bytes: 1_500, ..options() }
}

/// Cuts the power during every operation of the script. Every acknowledged batch must survive.
#[test]
fn every_point_of_a_power_cut_leaves_what_was_acknowledged() {
    let seeds = SeededRandom::new(test_seed());
    let disk = SimDisk::new();
    run_script(&disk, &mut Ledger::default()).unwrap();
    let operations = disk.operations();
    assert!(operations > 120, "the script has {operations} operations");
    for index in 0..operations {
        for number in 0..ROUNDS {
            let policy = policy(number, seeds.next_u64());
            let (disk, mut ledger) = (SimDisk::new(), Ledger::default());
            disk.crash_at(index);
            // The script fails at the power cut; the ledger holds what was acknowledged before it.
            let _ = run_script(&disk, &mut ledger);
            let context = format!("power cut at {index}, {policy:?}");
            let disk = disk.crash(policy);
            let (found, _) = read(&disk);
            ledger.check(&batches(found), &context);
            check_after_restart(&disk, &context);
        }
    }
}

/// After the restart batches can be appended, and a second power cut keeps them.
fn check_after_restart(disk: &SimDisk, context: &str) {
    let (log, _) = try_open(disk, small()).unwrap();
    let next = Owned::numbered(1_000);
    log.append_wait(&next.batch()).expect(context);
    let disk = disk.crash(CrashPolicy::LoseUnsynced);
    assert_eq!(batches(read(&disk).0).last(), Some(&next), "{context}");
}

/// A killed process loses no acknowledged batch under any sync policy.
#[test]
fn a_kill_loses_nothing_even_without_syncs() {
    for sync in [crate::SyncPolicy::Off, crate::SyncPolicy::Interval(Duration::from_secs(9))] {
        let disk = SimDisk::new();
        let (log, _) = try_open(&disk, LogOptions { sync, ..options() }).unwrap();
        let written: Vec<Owned> = (0..200).map(Owned::numbered).collect();
        append_all(&log, &written);
        let disk = disk.crash(CrashPolicy::KeepAll);
        assert_eq!(batches(read(&disk).0), written);
    }
}

/// A power cut keeps every batch that was synced in the background. Each segment is synced before
/// the next one is begun.
#[test]
fn without_a_sync_per_batch_a_power_cut_loses_only_the_end() {
    let disk = SimDisk::new();
    let sync = crate::SyncPolicy::Off;
    let (log, _) = try_open(&disk, LogOptions { sync, ..options() }).unwrap();
    let written: Vec<Owned> = (0..200).map(Owned::numbered).collect();
    let positions = append_all(&log, &written);
    let last_segment = positions.last().unwrap().segment;
    let disk = disk.crash(CrashPolicy::LoseUnsynced);
    let kept = positions.iter().filter(|at| at.segment < last_segment).count();
    assert!(kept > 50);
    assert_eq!(batches(read(&disk).0), written[..kept]);
}
