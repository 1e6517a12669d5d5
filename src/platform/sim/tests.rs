use super::{CrashPolicy, Fault, Operation, SimClock, SimDisk, test_seed};
use crate::{Blobs, Clock, Disk, DiskBlobs, Random, SeededRandom};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

fn names(disk: &SimDisk, dir: &str) -> Vec<String> {
    disk.list(dir).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_name_and_its_bytes_are_synced_each_for_itself() {
    let disk = SimDisk::new();
    let mut nameless = disk.create("nameless").unwrap();
    nameless.append(b"1").unwrap();
    nameless.sync().unwrap();
    assert!(names(&disk.crash(CrashPolicy::LoseUnsynced), "").is_empty());

    let disk = SimDisk::new();
    let mut empty = disk.create("empty").unwrap();
    disk.sync_dir("").unwrap();
    empty.append(b"1").unwrap();
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    assert_eq!(after.contents("empty").unwrap(), b"");
}

#[test]
fn bytes_survive_up_to_the_sync() {
    for (policy, expect) in [(CrashPolicy::LoseUnsynced, "one"), (CrashPolicy::KeepAll, "onetwo")] {
        let disk = SimDisk::new();
        let mut file = disk.create("a").unwrap();
        file.append(b"one").unwrap();
        file.sync().unwrap();
        disk.sync_dir("").unwrap();
        file.append(b"two").unwrap();
        let after = disk.crash(policy);
        assert_eq!(after.contents("a").unwrap(), expect.as_bytes());
        assert!(file.append(b"three").is_err(), "the old disk is gone");
        assert!(disk.list("").is_err(), "the old disk is gone");
    }
}

#[test]
fn a_removal_and_a_rename_wait_for_the_folder() {
    let disk = SimDisk::new();
    for name in ["a", "b"] {
        drop(disk.create(name).unwrap());
    }
    disk.sync_dir("").unwrap();
    disk.remove("a").unwrap();
    disk.rename("b", "c").unwrap();
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    assert_eq!(names(&after, ""), ["a", "b"]);
    after.remove("a").unwrap();
    after.rename("b", "c").unwrap();
    after.sync_dir("").unwrap();
    assert_eq!(names(&after.crash(CrashPolicy::LoseUnsynced), ""), ["c"]);
}

#[test]
fn a_rename_between_folders_is_one_change() {
    let disk = SimDisk::new();
    disk.create_dirs("x").unwrap();
    disk.create_dirs("y").unwrap();
    drop(disk.create("x/a").unwrap());
    disk.rename("x/a", "y/a").unwrap();
    disk.sync_dir("y").unwrap();
    disk.sync_dir("x").unwrap();
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    assert!(names(&after, "x").is_empty(), "the old name must not come back");
    assert_eq!(names(&after, "y"), ["a"]);
}

#[test]
fn a_renamed_file_may_be_without_its_bytes() {
    let disk = SimDisk::new();
    let mut file = disk.create("a.tmp").unwrap();
    file.append(b"never synced").unwrap();
    disk.rename("a.tmp", "a").unwrap();
    disk.sync_dir("").unwrap();
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    assert_eq!(after.contents("a").unwrap(), b"");
}

#[test]
fn a_failed_sync_is_never_made_good_by_the_next() {
    let disk = SimDisk::new();
    let mut file = disk.create("a").unwrap();
    disk.sync_dir("").unwrap();
    file.append(b"lost").unwrap();
    disk.fail_next(Operation::Sync, Fault::Eio);
    assert!(file.sync().is_err());
    file.append(b"kept").unwrap();
    file.sync().unwrap();
    assert_eq!(disk.contents("a").unwrap(), b"lostkept");
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    assert_eq!(after.contents("a").unwrap(), b"\0\0\0\0kept");
}

#[test]
fn operations_fail_where_they_are_told_to() {
    let disk = SimDisk::new();
    let mut file = disk.create("a").unwrap();
    disk.fail_at(2, Fault::Enospc);
    file.append(b"1").unwrap();
    assert_eq!(file.append(b"2").unwrap_err().kind(), ErrorKind::StorageFull);
    disk.fail_next(Operation::Append, Fault::ShortWrite(1));
    file.sync().unwrap();
    assert!(file.append(b"34").is_err());
    assert_eq!(disk.contents("a").unwrap(), b"13");
    disk.keep_failing(Operation::Rename, Fault::Eio);
    assert!(disk.rename("a", "b").is_err());
    assert!(disk.rename("a", "b").is_err());
    disk.heal();
    disk.rename("a", "b").unwrap();
    assert_eq!(disk.operations(), 8);
    disk.set_unreadable("b", true);
    assert!(disk.read_all("b", 9).is_err());
}

#[test]
fn after_the_crash_point_nothing_works_and_the_state_stands_still() {
    let disk = SimDisk::new();
    let mut file = disk.create("a").unwrap();
    disk.sync_dir("").unwrap();
    disk.crash_at(3);
    file.append(b"1").unwrap();
    assert!(file.sync().is_err());
    assert!(file.append(b"2").is_err());
    assert!(disk.remove("a").is_err());
    assert!(disk.open("a").is_err());
    assert_eq!(disk.crash(CrashPolicy::KeepAll).contents("a").unwrap(), b"1");
}

#[test]
fn a_full_disk_has_room_again_after_a_removal() {
    let disk = SimDisk::new();
    disk.set_capacity(10);
    let mut file = disk.create("a").unwrap();
    file.append(b"12345678").unwrap();
    let mut other = disk.create("b").unwrap();
    assert_eq!(other.append(b"1234").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.contents("b").unwrap(), b"12", "what fits is written");
    assert_eq!(disk.space().unwrap().free, 0);
    disk.remove("a").unwrap();
    assert_eq!(disk.space().unwrap().free, 8);
    other.append(b"34").unwrap();
    disk.set_capacity(4);
    assert!(other.append(b"5").is_err());
}

#[test]
fn torn_states_repeat_from_their_seed_and_keep_what_was_synced() {
    let seeds = SeededRandom::new(test_seed());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let seed = seeds.next_u64();
        let run = || {
            let disk = SimDisk::new();
            let mut file = disk.create("a").unwrap();
            file.append(&[7; 700]).unwrap();
            file.sync().unwrap();
            disk.sync_dir("").unwrap();
            file.append(&[8; 2_000]).unwrap();
            drop(disk.create("b").unwrap());
            disk.rename("b", "c").unwrap();
            let after = disk.crash(CrashPolicy::Torn { seed });
            (after.contents("a").unwrap(), names(&after, ""))
        };
        let (bytes, names) = run();
        assert_eq!((bytes.clone(), names.clone()), run(), "seed {seed}");
        assert!(bytes[..700] == [7; 700], "seed {seed} tore what was synced");
        assert!(bytes.len() <= 2_700);
        seen.insert((bytes, names));
    }
    let some = |test: &dyn Fn(&[u8]) -> bool| seen.iter().any(|(bytes, _)| test(bytes));
    assert!(some(&|b| b.len() == 700) || some(&|b| b.len() % 512 == 0), "cut at a sector");
    assert!(some(&|b| b.len() % 512 != 0 && b.len() > 700), "cut at a byte");
    assert!(some(&|b| b[700..].contains(&0)), "zeros");
    assert!(some(&|b| b[700..].iter().any(|byte| !matches!(byte, 0 | 8))), "garbage");
    assert!(seen.iter().any(|(_, names)| names.contains(&"b".to_owned())), "only the creation");
    assert!(seen.iter().any(|(_, names)| names.contains(&"c".to_owned())), "the rename");
}

#[test]
fn a_disk_crashes_again_and_again() {
    let mut disk = SimDisk::new();
    for seed in 0..50 {
        let mut file = disk.create(&format!("{seed}")).unwrap();
        file.append(&[1; 2_000]).unwrap();
        if seed % 2 == 0 {
            file.sync().unwrap();
        }
        disk = disk.crash(CrashPolicy::Torn { seed });
        let used: u64 = disk.list("").unwrap().iter().map(|entry| entry.len).sum();
        disk.set_capacity(1 << 20);
        assert_eq!(disk.space().unwrap().free, (1 << 20) - used);
    }
}

#[test]
fn a_bit_is_flipped_and_a_file_is_put_there() {
    let disk = SimDisk::new();
    disk.overwrite("a", &[0, 0]).unwrap();
    disk.flip_bit("a", 9).unwrap();
    assert!(disk.flip_bit("a", 16).is_err());
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    assert_eq!(after.contents("a").unwrap(), [0, 2]);
}

#[test]
fn the_clock_moves_when_it_is_moved() {
    let clock = Arc::new(SimClock::new());
    let disk = SimDisk::with_clock(clock.clone());
    let (wall, now) = (clock.wall_ms(), clock.now());
    clock.advance(Duration::from_secs(2));
    assert_eq!(clock.wall_ms(), wall + 2_000);
    assert_eq!(clock.now().since(now), Duration::from_secs(2));
    clock.set_wall_ns(5_000_000);
    assert_eq!(clock.now().since(now), Duration::from_secs(2));
    drop(disk.create("a").unwrap());
    assert_eq!(disk.list("").unwrap()[0].modified_ms, 5);
}

/// Runs a script with a power cut at each of its operations, under every policy, and checks what is
/// left. The script notes what it acknowledged in the list that it is given.
fn cut_everywhere(
    script: fn(&SimDisk, &mut Vec<u32>) -> std::io::Result<()>,
    check: fn(&SimDisk, &[u32]),
) {
    let seeds = SeededRandom::new(test_seed());
    let whole = SimDisk::new();
    script(&whole, &mut Vec::new()).unwrap();
    for index in 0..whole.operations() {
        let torn = (0..8).map(|_| CrashPolicy::Torn { seed: seeds.next_u64() });
        for policy in [CrashPolicy::LoseUnsynced, CrashPolicy::KeepAll].into_iter().chain(torn) {
            let (disk, mut answered) = (SimDisk::new(), Vec::new());
            disk.crash_at(index);
            // Fails when the power is cut.
            let _ = script(&disk, &mut answered);
            check(&disk.crash(policy), &answered);
        }
    }
}

fn content(number: u32) -> Vec<u8> {
    vec![number as u8; 1_500]
}

#[test]
fn a_power_cut_leaves_a_replaced_file_old_or_new() {
    let script = |disk: &SimDisk, answered: &mut Vec<u32>| {
        for number in 1..5 {
            disk.replace("file", &content(number))?;
            answered.push(number);
        }
        Ok(())
    };
    cut_everywhere(script, |disk, answered| {
        let last = answered.last().copied().unwrap_or(0);
        match disk.contents("file") {
            Ok(bytes) => assert!(bytes == content(last) || bytes == content(last + 1)),
            Err(_) => assert_eq!(last, 0),
        }
        disk.replace("file", b"again").unwrap();
    });
}

#[test]
fn a_power_cut_leaves_blobs_whole_or_absent() {
    let script = |disk: &SimDisk, answered: &mut Vec<u32>| {
        let blobs = DiskBlobs::open(Arc::new(disk.clone()), "blobs")?;
        for number in 1..5 {
            blobs.put_new(&format!("day/{number}"), &content(number))?;
            answered.push(number);
        }
        Ok(())
    };
    cut_everywhere(script, |disk, answered| {
        let blobs = DiskBlobs::open(Arc::new(disk.clone()), "blobs").unwrap();
        let there = blobs.list("").unwrap();
        assert!(there.len() >= answered.len(), "{there:?}");
        for (number, blob) in (1..).zip(there) {
            assert_eq!(blob.key, format!("day/{number}"));
            assert!(blobs.get_range(&blob.key, 0, 1_500).unwrap() == content(number));
            assert_eq!(blob.len, 1_500);
        }
    });
}
