//! What survives restarts, crashes, damage and a disk that fails.

use super::*;
use crate::alert::Fingerprint;
use crate::engine::{IntegrationId, LogEntry, LogKey, Silence};
use crate::matchers::parse_matchers;
use model::TenantId;
use platform::sim::{CrashPolicy, Fault, Operation, SimDisk, test_seed};
use platform::{Random, SeededRandom};
use proptest::prelude::*;
use std::collections::{BTreeMap as Map, BTreeSet};

const NOW: i64 = 1_700_000_000_000;

fn told(group: usize, at_ms: i64) -> Record {
    let integration = IntegrationId { receiver: "제주".to_owned(), kind: "webhook", index: 1 };
    let key = LogKey { group_key: format!("{{}}:{{a=\"{group}\n\"}}"), integration };
    let firing = BTreeSet::from([Fingerprint(7), Fingerprint(u64::MAX)]);
    let entry = LogEntry { at_ms, firing, resolved: BTreeSet::new(), expires_ms: NOW + 1_000 };
    Record::Told(TenantId::default_tenant(), key, entry)
}

fn silence(id: &str) -> Record {
    let silence = Silence {
        id: id.to_owned(),
        matchers: parse_matchers("a=b,c!~\"d|e\",\"f g\"=h").unwrap(),
        starts_at_ms: NOW,
        ends_at_ms: NOW + 5,
        updated_at_ms: NOW,
        created_by: "me".to_owned(),
        comment: "a\n\"b\"".to_owned(),
        annotations: Map::from([("x".to_owned(), "y".to_owned())]),
    };
    Record::Silence(TenantId::new("blue").unwrap(), silence)
}

fn open(disk: &SimDisk) -> (RecordFile, Vec<Record>) {
    RecordFile::open(Arc::new(disk.clone()), NOW).unwrap()
}

#[test]
fn records_outlive_restarts_and_power_cuts() {
    let disk = SimDisk::new();
    let (mut file, records) = open(&disk);
    assert!(records.is_empty());
    file.append(&[told(1, 1), silence("s")], NOW).unwrap();
    file.append(&[told(1, 2)], NOW).unwrap();
    let after = disk.crash(CrashPolicy::LoseUnsynced);
    let (_, records) = open(&after);
    assert_eq!(records, [silence("s"), told(1, 2)]);
    // Opening wrote a file of its own.
    let (_, records) = open(&after);
    assert_eq!(records, [silence("s"), told(1, 2)]);
    assert_eq!(after.list(FOLDER).unwrap().len(), 1);
    // What has ended is forgotten.
    let (_, records) = RecordFile::open(Arc::new(after), NOW + 1_000).unwrap();
    assert_eq!(records, [silence("s")]);
}

#[test]
fn old_records_are_left_behind() {
    let disk = SimDisk::new();
    let (mut file, _) = open(&disk);
    for round in 0..200 {
        let records: Vec<Record> = (0..100).map(|group| told(group, round)).collect();
        file.append(&records, NOW).unwrap();
    }
    let files = disk.list(FOLDER).unwrap();
    assert_eq!(files.len(), 1);
    assert!(files[0].len < 2 * COMPACT_BYTES, "{} bytes", files[0].len);
    assert_eq!(open(&disk).1.len(), 100);
}

#[test]
fn a_damaged_line_costs_only_itself() {
    let disk = SimDisk::new();
    let (mut file, _) = open(&disk);
    for group in 0..5 {
        file.append(&[told(group, 1)], NOW).unwrap();
    }
    let name = format!("{FOLDER}/{}", disk.list(FOLDER).unwrap()[0].name);
    let text = String::from_utf8(disk.contents(&name).unwrap()).unwrap();
    let line = text.lines().nth(3).unwrap();
    let at = text.find(line).unwrap() + 20;
    disk.flip_bit(&name, 8 * at as u64).unwrap();
    let before = DAMAGED_RECORDS.value();
    assert_eq!(open(&disk).1.len(), 4);
    assert_eq!(DAMAGED_RECORDS.value(), before + 1);
    // A file of another version is not read as if it were this one.
    disk.overwrite(&format!("{FOLDER}/state-000000000099"), b"mirador alerting state 9\n").unwrap();
    assert!(RecordFile::open(Arc::new(disk), NOW).is_err());
}

#[test]
fn a_disk_that_failed_is_used_again_with_a_new_file() {
    let disk = SimDisk::new();
    let (mut file, _) = open(&disk);
    file.append(&[told(1, 1)], NOW).unwrap();
    disk.fail_next(Operation::Sync, Fault::Eio);
    assert!(file.append(&[told(2, 1)], NOW).is_err());
    file.append(&[told(3, 1)], NOW).unwrap();
    let (_, records) = open(&disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!(records.len(), 3, "what failed was written with the next: {records:?}");
}

#[test]
fn a_full_disk_is_read_and_written_to_when_there_is_room() {
    let disk = SimDisk::new();
    let (mut file, _) = open(&disk);
    file.append(&[told(1, 1)], NOW).unwrap();
    drop(file);
    disk.set_capacity(0);
    let (mut file, records) = open(&disk);
    assert_eq!(records, [told(1, 1)]);
    assert!(file.append(&[told(2, 1)], NOW).is_err());
    disk.set_capacity(1 << 20);
    file.append(&[told(3, 1)], NOW).unwrap();
    assert_eq!(open(&disk).1.len(), 3);
}

/// The power is cut at every operation in turn: what was answered is there.
#[test]
fn what_was_answered_survives_any_crash() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    for operation in 0..60 {
        let disk = SimDisk::new();
        disk.crash_at(operation);
        let mut answered = Vec::new();
        if let Ok((mut file, _)) = RecordFile::open(Arc::new(disk.clone()), NOW) {
            for group in 0..8 {
                if file.append(&[told(group, 1)], NOW).is_ok() {
                    answered.push(told(group, 1));
                }
            }
        }
        let policy = CrashPolicy::Torn { seed: random.next_u64() };
        let (_, records) = open(&disk.crash(policy));
        for record in &answered {
            assert!(records.contains(record), "operation {operation}, SEED={seed}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut records = BTreeMap::new();
        let whole = [HEADER.as_bytes(), &bytes].concat();
        prop_assert!(read(&whole, &mut records).is_ok());
        let _ = Record::from_json(&String::from_utf8_lossy(&bytes));
    }
}
