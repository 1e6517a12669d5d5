//! Folders that released versions wrote. They are never written again: every later version must
//! read them.

use super::*;
use crate::Packing;

const V1: [(&str, &[u8]); 2] = [
    ("0000000000000001.log", include_bytes!("../fixtures/v1/0000000000000001.log")),
    ("0000000000000002.log", include_bytes!("../fixtures/v1/0000000000000002.log")),
];

/// Since segments name the one before them. The version is the same: earlier programs read them.
const V1_LINKED: [(&str, &[u8]); 2] = [
    ("0000000000000001.log", include_bytes!("../fixtures/v1-linked/0000000000000001.log")),
    ("0000000000000002.log", include_bytes!("../fixtures/v1-linked/0000000000000002.log")),
];

/// The content of the fixture of version 1: two runs of the server, both stopped cleanly. The first
/// wrote packed batches, the second plain ones.
fn v1_runs() -> [Vec<Owned>; 2] {
    let random = SeededRandom::new(1);
    [(); 2].map(|()| (0..12).map(|_| Owned::random(&random, 400)).collect())
}

fn v1_disk() -> SimDisk {
    let disk = SimDisk::new();
    for (packing, batches) in [Packing::Lz4, Packing::Plain].into_iter().zip(v1_runs()) {
        let options = LogOptions { packing, ..LogOptions::default() };
        let (log, _) = try_open(&disk, options).unwrap();
        append_all(&log, &batches);
    }
    disk
}

fn check_reading(files: [(&str, &[u8]); 2]) {
    let disk = SimDisk::new();
    disk.create_dirs("wal").unwrap();
    for (name, bytes) in files {
        disk.overwrite(&format!("wal/{name}"), bytes).unwrap();
    }
    let (found, summary) = read(&disk);
    assert_eq!(batches(found), v1_runs().concat());
    assert!(summary.clean_stop);
    assert_eq!((summary.torn_tails, summary.corrupt_ranges, summary.gaps), (0, 0, 0));
}

#[test]
fn version_1_is_read() {
    check_reading(V1);
    check_reading(V1_LINKED);
}

/// The writer still writes version 1, byte for byte. How LZ4 packs may change with its encoder.
#[test]
fn version_1_is_written() {
    let disk = v1_disk();
    let (name, bytes) = V1_LINKED[1];
    assert!(disk.contents(&format!("wal/{name}")).unwrap() == bytes, "{name} differs");
    assert_eq!(segment_paths(&disk).len(), V1.len());
}
