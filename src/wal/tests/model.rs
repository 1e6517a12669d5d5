//! The write-ahead log against a list as its model, under random operations, faults and crashes.

use super::*;
use ::model::WalPosition;
use platform::sim::{CrashPolicy, Fault, Operation, test_seed};

/// The batches that must be replayed, and those that may be.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    /// Batches below were truncated; some of them may still be there.
    truncated: WalPosition,
}

struct Entry {
    owned: Owned,
    /// `None` where the answer was an error, or none came.
    position: Option<WalPosition>,
}

impl Model {
    /// No entry is ever removed: a deleted file reappears when its deletion was not synced, and a
    /// batch that was not acknowledged may be replayed after one start and not after the next.
    fn check(&self, found: Vec<(WalPosition, Owned)>) {
        let mut found = found.into_iter().peekable();
        for Entry { owned, position } in &self.entries {
            let same = |(at, there): &(WalPosition, Owned)| {
                there == owned && position.is_none_or(|position| position == *at)
            };
            if found.next_if(same).is_none()
                && let Some(position) = position
            {
                assert!(position.segment < self.truncated.segment, "{position} is gone");
            }
        }
        assert_eq!(found.next(), None, "phantom, or out of order");
    }
}

fn fault(random: &dyn Random, disk: &SimDisk) {
    let operation = [Operation::Append, Operation::Sync, Operation::Create, Operation::SyncDir];
    let faults = [Fault::Eio, Fault::Enospc, Fault::ShortWrite(random.below(100) as usize)];
    disk.fail_next(operation[random.below(4) as usize], faults[random.below(3) as usize]);
}

fn crash(random: &dyn Random, disk: &SimDisk) -> SimDisk {
    disk.crash(match random.below(4) {
        0 => CrashPolicy::LoseUnsynced,
        1 => CrashPolicy::KeepAll,
        _ => CrashPolicy::Torn { seed: random.next_u64() },
    })
}

fn run(seed: u64) {
    let random = SeededRandom::new(seed);
    let (mut disk, mut model) = (SimDisk::new(), Model::default());
    for _life in 0..6 {
        let (log, mut replay) = open(&disk);
        model.check(collect(&mut replay));
        for number in 0..random.below(60) {
            step(&random, &disk, &log, &mut model, number);
        }
        if random.below(2) == 0 {
            disk.heal();
            drop(log);
        } else {
            // The old instance keeps trying to write to a disk that is gone.
            disk = crash(&random, &disk);
        }
    }
    disk.heal();
    model.check(read(&disk).0);
}

fn step(random: &dyn Random, disk: &SimDisk, log: &Log, model: &mut Model, number: u64) {
    match random.below(20) {
        0 => fault(random, disk),
        1 if !model.entries.is_empty() => {
            let entry = &model.entries[random.below(model.entries.len() as u64) as usize];
            let Some(position) = entry.position else { return };
            model.truncated = model.truncated.max(position);
            let _ = log.truncate_before(position);
        }
        2 => wait_until_healthy(log),
        _ => {
            let mut owned = Owned::random(random, 700);
            // No two payloads are equal, so that each batch can be recognised.
            owned.payload.extend(number.to_le_bytes());
            owned.payload.extend(random.next_u64().to_le_bytes());
            let position = log.append_wait(&owned.batch()).ok();
            model.entries.push(Entry { owned, position });
        }
    }
}

#[test]
fn the_log_agrees_with_a_list() {
    let seeds = SeededRandom::new(test_seed());
    for _ in 0..200 {
        let seed = seeds.next_u64();
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "the run with seed {seed} failed");
    }
}
