use super::*;
use crate::Loss;
use crate::segment::HEADER_BYTES;
use ::model::WalPosition;
use platform::sim::{CrashPolicy, test_seed};

/// Some segments whose last stop was not clean, and the batches in them.
fn written(count: u64) -> (SimDisk, Vec<(WalPosition, Owned)>) {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let random = SeededRandom::new(count);
    let append = |_| {
        let owned = Owned::random(&random, 400);
        (log.append_wait(&owned.batch()).unwrap(), owned)
    };
    let all = (0..count).map(append).collect();
    (disk.crash(CrashPolicy::LoseUnsynced), all)
}

#[test]
fn a_tail_torn_at_any_byte_costs_only_what_was_torn() {
    let (disk, all) = written(9);
    let last_two = all[7].0;
    let path = segment_paths(&disk).pop().unwrap();
    assert_eq!(last_two.segment, all[8].0.segment, "both stand in one segment");
    let bytes = disk.contents(&path).unwrap();
    let random = SeededRandom::new(4);
    for cut in last_two.offset as usize..bytes.len() {
        let mut torn = bytes[..cut].to_vec();
        let whole = if cut as u64 >= all[8].0.offset { 8 } else { 7 };
        let at_boundary = cut as u64 == all[whole].0.offset;
        for garbage in [0, 1, 40] {
            let mut tail = vec![0; garbage];
            random.fill(&mut tail);
            torn.truncate(cut);
            torn.extend(tail);
            disk.overwrite(&path, &torn).unwrap();
            let disk = copy_of(&disk);
            let (found, summary) = read(&disk);
            assert_eq!(found, all[..whole], "cut at {cut}, {garbage} bytes of garbage");
            let torn_tails = u64::from(garbage > 0 || !at_boundary);
            assert_eq!((summary.torn_tails, summary.corrupt_ranges), (torn_tails, 0));
            assert!(!summary.clean_stop);
        }
    }
}

/// Opening changes a disk, so tests open a copy.
fn copy_of(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new();
    copy.create_dirs("wal").unwrap();
    for path in segment_paths(disk) {
        copy.overwrite(&path, &disk.contents(&path).unwrap()).unwrap();
    }
    copy
}

#[test]
fn a_log_goes_on_after_a_torn_tail() {
    let (disk, mut all) = written(9);
    let path = segment_paths(&disk).pop().unwrap();
    let bytes = disk.contents(&path).unwrap();
    disk.overwrite(&path, &bytes[..bytes.len() - 1]).unwrap();
    all.pop();
    let (log, _) = open(&disk);
    let next = Owned::numbered(1);
    all.push((log.append_wait(&next.batch()).unwrap(), next));
    drop(log);
    let (found, summary) = read(&disk);
    assert_eq!(found, all);
    assert_eq!((summary.torn_tails, summary.clean_stop), (1, true));
}

#[test]
fn no_flipped_bit_makes_a_wrong_batch() {
    let (disk, all) = written(60);
    let paths = segment_paths(&disk);
    let random = SeededRandom::new(test_seed());
    for _ in 0..1_000 {
        let disk = copy_of(&disk);
        let path = &paths[random.below(paths.len() as u64) as usize];
        let bits = disk.contents(path).unwrap().len() as u64 * 8;
        let bit = random.below(bits);
        disk.flip_bit(path, bit).unwrap();
        let (found, summary) = read(&disk);
        let missing: Vec<_> = all.iter().filter(|one| !found.contains(one)).collect();
        assert!(found.iter().all(|one| all.contains(one)), "bit {bit} of {path}");
        let in_header = bit < HEADER_BYTES as u64 * 8;
        assert_eq!(missing.len(), usize::from(!in_header), "bit {bit} of {path}: {missing:?}");
        let damage = summary.torn_tails + summary.corrupt_ranges;
        assert_eq!(damage, u64::from(!in_header), "bit {bit} of {path}");
    }
}

#[test]
fn a_wild_length_or_garbage_in_the_middle_costs_only_what_it_covers() {
    let (disk, all) = written(30);
    let path = segment_paths(&disk).remove(0);
    let bytes = disk.contents(&path).unwrap();
    let here: Vec<_> = all.iter().filter(|(at, _)| at.segment == 1).collect();
    let (from, to) = (here[2].0.offset as usize, here[5].0.offset as usize);
    let mut garbage = bytes.clone();
    SeededRandom::new(5).fill(&mut garbage[from..to]);
    let mut shorter = bytes.clone();
    shorter.drain(from + 5..to - 5);
    let mut zeros = bytes;
    zeros[from..to].fill(0);
    for (damaged, lost) in [(garbage, 2..5), (zeros, 2..5), (shorter, 2..here.len())] {
        disk.overwrite(&path, &damaged).unwrap();
        let (found, summary) = read(&copy_of(&disk));
        let expect: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(i, _)| !lost.contains(i))
            .map(|(_, b)| b.clone())
            .collect();
        assert_eq!(found, expect, "frames that moved are not taken for what they were");
        assert_eq!(summary.torn_tails + summary.corrupt_ranges, 1);
    }
}

#[test]
fn a_segment_without_a_header_is_passed_over() {
    let (disk, all) = written(60);
    let paths = segment_paths(&disk);
    let mut bytes = disk.contents(&paths[1]).unwrap();
    bytes[..HEADER_BYTES].fill(0);
    disk.overwrite(&paths[1], &bytes).unwrap();
    disk.overwrite("wal/00000000000000f0.log", b"").unwrap();
    disk.overwrite("wal/00000000000000f1.log", &[9; 1_000]).unwrap();
    disk.overwrite("wal/notes.txt", b"no segment").unwrap();
    let (found, summary) = read(&disk);
    let expect: Vec<_> = all.into_iter().filter(|(at, _)| at.segment != 2).collect();
    assert_eq!(found, expect);
    assert_eq!((summary.corrupt_ranges, summary.corrupt_bytes), (1, bytes.len() as u64));
    assert_eq!(summary.torn_tails, 2);
}

#[test]
fn one_bad_sector_in_a_header_costs_nothing() {
    let (disk, all) = written(20);
    let path = segment_paths(&disk).remove(0);
    let bytes = disk.contents(&path).unwrap();
    for copy in [0..512, 512..1_024] {
        let mut damaged = bytes.clone();
        damaged[copy].fill(0xEE);
        disk.overwrite(&path, &damaged).unwrap();
        assert_eq!(read(&copy_of(&disk)).0, all);
    }
}

/// The first, one in the middle, or the newest: it is noticed, and the rest is read.
#[test]
fn a_missing_segment_is_noticed_and_only_missing() {
    let disk = SimDisk::new();
    let random = SeededRandom::new(60);
    let written: Vec<Owned> = (0..60).map(|_| Owned::random(&random, 400)).collect();
    let (log, _) = open(&disk);
    let all: Vec<_> = append_all(&log, &written).into_iter().zip(written).collect();
    drop(log);
    let last = all[all.len() - 1].0.segment;
    for missing in 1..=last {
        let disk = copy_with_chain(&disk);
        disk.remove(&segment_paths(&disk)[missing as usize - 1]).unwrap();
        let (found, summary) = read(&disk);
        let expected: Vec<_> =
            all.iter().filter(|(at, _)| at.segment != missing).cloned().collect();
        assert_eq!(found, expected);
        let at = |segment| WalPosition { segment, offset: 0 };
        let loss = Loss { from: at(missing), end: at(missing + 1) };
        assert_eq!((summary.gaps, summary.loss), (1, Some(loss)), "{missing}");
    }
}

/// Also where a power cut undoes deletions.
#[test]
fn truncated_segments_are_not_missing() {
    let torn = (0..20).map(|seed| CrashPolicy::Torn { seed });
    for policy in torn.chain([CrashPolicy::LoseUnsynced, CrashPolicy::KeepAll]) {
        let disk = SimDisk::new();
        let (log, _) = open(&disk);
        let random = SeededRandom::new(5);
        for number in 0..60 {
            let position = log.append_wait(&Owned::random(&random, 400).batch()).unwrap();
            if number % 20 == 0 {
                log.truncate_before(position).unwrap();
            }
        }
        let disk = disk.crash(policy);
        for start in 0..3 {
            assert_eq!(read(&disk).1.gaps, 0, "{policy:?}, start {start}");
        }
    }
}

fn copy_with_chain(disk: &SimDisk) -> SimDisk {
    let copy = copy_of(disk);
    let listed = disk.list("wal").unwrap();
    let chain = listed.iter().find(|entry| entry.name.ends_with(".chain")).unwrap();
    copy.overwrite(&format!("wal/{}", chain.name), b"").unwrap();
    copy
}

#[test]
fn a_renamed_copy_of_a_segment_gives_no_second_delivery() {
    let (disk, all) = written(10);
    let bytes = disk.contents(&segment_paths(&disk)[0]).unwrap();
    disk.overwrite("wal/00000000000000f0.log", &bytes).unwrap();
    let (found, summary) = read(&disk);
    assert_eq!(found, all);
    assert_eq!(summary.corrupt_ranges, 1);
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let (disk, _) = written(3);
    let path = segment_paths(&disk).remove(0);
    let mut bytes = disk.contents(&path).unwrap();
    for copy in [0, 512] {
        bytes[copy + 8] = 2;
        let crc = codec::crc32c(&bytes[copy..copy + 40]);
        bytes[copy + 40..copy + 44].copy_from_slice(&crc.to_le_bytes());
    }
    disk.overwrite(&path, &bytes).unwrap();
    let before = disk.operations();
    let error = try_open(&disk, options()).unwrap_err();
    assert!(matches!(error, WalError::Newer { found: 2, known: 1, .. }), "{error}");
    assert_eq!(disk.operations(), before + 1, "no more than the folder was made sure of");
}

#[test]
fn a_disk_that_cannot_be_read_is_an_error_and_not_an_empty_log() {
    let (disk, _) = written(30);
    let paths = segment_paths(&disk);
    let (_log, mut replay) = open(&disk);
    disk.set_unreadable(&paths[1], true);
    let end = loop {
        match replay.next_batch() {
            Ok(Some(_)) => {}
            end => break end.map(|_| ()),
        }
    };
    assert!(matches!(end, Err(WalError::Io { .. })), "{end:?}");
    assert!(try_open(&disk, options()).is_err());
}
