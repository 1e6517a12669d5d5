//! Flipped bits and truncated files: a read returns the right rows or an error, never wrong rows.

use crate::support::{
    ROWS_KIND, Scratch, TestClock, flush, merge, open, open_by, read_rows, summary,
};
use parts::inspect::{describe_manifest, describe_part};
use parts::{Compression, PageBuffer, Part, PartError, PartStore, manifest_key};
use platform::{Blobs, Random, ReadFile, SeededRandom};
use std::io;
use std::sync::Arc;

#[derive(Debug)]
struct Memory(Vec<u8>);

impl ReadFile for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        let range = offset as usize..end as usize;
        buffer.copy_from_slice(self.0.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn random(default: u64) -> SeededRandom {
    let seed = std::env::var("SEED").map_or(default, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    SeededRandom::new(seed)
}

fn read_blob(blobs: &dyn Blobs, key: &str) -> Vec<u8> {
    let length = blobs.open(key).unwrap().len().unwrap();
    blobs.get_range(key, 0, length as usize).unwrap()
}

/// Pages of all codecs and kinds, with and without keys, empty ones too.
fn sample_pages() -> Vec<(u16, Option<u64>, Vec<u8>, Compression)> {
    let wishes = [Compression::None, Compression::Lz4, Compression::Zstd { level: 3 }];
    let page = |i: u64| {
        let bytes = (0..i * 7 % 300).map(|b| (b % (i + 1)) as u8).collect();
        let key = i.is_multiple_of(2).then_some(i / 5);
        ((i % 2) as u16, key, bytes, wishes[(i % 3) as usize])
    };
    (0..60).map(page).collect()
}

fn sample_part(blobs: &Arc<dyn Blobs>) -> Vec<u8> {
    let store = open(blobs, &TestClock::new()).unwrap();
    let mut writer = store.new_part().unwrap();
    for (kind, key, bytes, compression) in sample_pages() {
        writer.page(kind, key, &bytes, compression).unwrap();
    }
    let part = writer.finish(summary(5, 0, 9)).unwrap();
    let key = store.snapshot().part_key(part.info.id);
    read_blob(blobs.as_ref(), &key)
}

fn open_bytes(bytes: Vec<u8>) -> Result<Part, PartError> {
    Part::from_file(Arc::new(Memory(bytes)), "flipped.part")
}

/// Every page is the one that was written, or an error. Returns the number of errors.
fn check_pages(part: &Part, buffer: &mut PageBuffer) -> usize {
    let Ok(count) = part.page_count() else { return 1 };
    let pages = sample_pages();
    assert_eq!(count as usize, pages.len());
    let mut bad = 0;
    for (index, (kind, key, bytes, _)) in pages.iter().enumerate() {
        let entry = part.entry(index as u32).unwrap();
        assert_eq!((entry.kind, entry.key), (*kind, *key));
        match part.page_into(index as u32, buffer) {
            Ok(read) => assert_eq!(read, bytes, "page {index} is wrong"),
            Err(error) => {
                assert!(error.is_damage());
                bad += 1;
            }
        }
    }
    bad
}

#[test]
fn flipped_bits_and_cuts_of_a_part_are_errors() {
    let scratch = Scratch::new();
    let whole = sample_part(&scratch.blobs());
    let original = open_bytes(whole.clone()).unwrap();
    original.verify().unwrap();
    let mut buffer = PageBuffer::default();
    assert_eq!(check_pages(&original, &mut buffer), 0);
    let random = random(11);
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        let at = random.below(bytes.len() as u64 * 8);
        bytes[at as usize / 8] ^= 1 << (at % 8);
        let found = open_bytes(bytes).and_then(|part| {
            assert_eq!(part.meta(), original.meta());
            check_pages(&part, &mut buffer);
            let _ = describe_part(&part, 100);
            part.verify()
        });
        let error = found.expect_err("every bit of the file is under a checksum");
        assert!(error.is_damage(), "bit {at}: {error}");
    }
    for length in 0..whole.len() {
        assert!(open_bytes(whole[..length].to_vec()).unwrap_err().is_damage(), "cut at {length}");
    }
}

#[test]
fn random_bytes_are_no_part() {
    let random = random(12);
    let scratch = Scratch::new();
    let whole = sample_part(&scratch.blobs());
    for _ in 0..1_000 {
        let mut bytes = vec![0; random.below(3_000) as usize];
        random.fill(&mut bytes);
        // With a valid tail, reading gets further.
        bytes.extend_from_slice(&whole[whole.len() - 20..]);
        assert!(open_bytes(bytes).unwrap_err().is_damage());
    }
}

/// Every bit flip and truncation of the newest manifest makes the store fall back by one generation
/// and report it, with all parts of that generation on disk.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files behind the store's back")]
fn a_damaged_manifest_falls_back_and_is_reported() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    flush(&store, &[0, 1]).unwrap();
    flush(&store, &[2, 3]).unwrap();
    let newest = flush(&store, &[4]).unwrap();
    let wal_needed_from = store.wal_needed_from();
    assert_eq!(wal_needed_from.offset, 4);
    let key = manifest_key(store.tenant(), store.signal(), newest.generation);
    let whole = read_blob(blobs.as_ref(), &key);
    let path = scratch.file(&key);
    let random = random(13);
    let bits = whole.len() as u64 * 8;
    let flips = (0..500).map(|_| random.below(bits)).map(|at| {
        let mut bytes = whole.clone();
        bytes[at as usize / 8] ^= 1 << (at % 8);
        bytes
    });
    let cuts = (0..whole.len()).step_by(3).map(|length| whole[..length].to_vec());
    for bytes in flips.chain(cuts) {
        std::fs::write(&path, &bytes).unwrap();
        assert!(describe_manifest("m", &bytes).is_err());
        let store = open(&blobs, &clock).unwrap();
        let snapshot = store.snapshot();
        assert_eq!(snapshot.generation, newest.generation - 1);
        assert!(snapshot.is_degraded());
        assert_eq!(snapshot.warnings(model::TimeUnit::Millis.at(5)).len(), 1);
        assert_eq!(read_rows(&store, &snapshot).unwrap(), [0, 1, 2, 3]);
        assert_eq!(
            snapshot.covered, wal_needed_from,
            "the write-ahead log still has what is missing"
        );
    }
    // Later generations carry the damage until it is acknowledged, and their numbers grow.
    let store = open(&blobs, &clock).unwrap();
    let next = flush(&store, &[4]).unwrap();
    assert_eq!(next.generation, newest.generation + 1);
    let store = open(&blobs, &clock).unwrap();
    assert!(store.snapshot().is_degraded());
    store.update(|_| Ok(parts::Edit { forget_damage: true, ..Default::default() })).unwrap();
    assert!(!open(&blobs, &clock).unwrap().snapshot().is_degraded());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files behind the store's back")]
fn no_readable_manifest_is_an_error_and_not_an_empty_store() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    for row in 0..3 {
        flush(&store, &[row]).unwrap();
    }
    for generation in 1..=3 {
        let key = manifest_key(store.tenant(), store.signal(), generation);
        std::fs::write(scratch.file(&key), b"rot").unwrap();
    }
    let error = open(&blobs, &clock).unwrap_err();
    assert!(matches!(error, PartError::NoReadableManifest { count: 3, .. }), "{error}");
    let store = open_by(PartStore::rebuild, &blobs, &clock).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(read_rows(&store, &snapshot).unwrap(), [0, 1, 2]);
    assert_eq!((snapshot.generation, snapshot.covered.offset), (4, 3));
    assert!(snapshot.is_degraded());
}

/// Falling back loses nothing: parts that the newest generation dropped are still on disk for the
/// one before, also after collections and reopenings.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files behind the store's back")]
fn after_a_merge_the_generation_before_is_still_whole() {
    for restarts in 0..2 {
        let scratch = Scratch::new();
        let (blobs, clock) = (scratch.blobs(), TestClock::new());
        let mut store = open(&blobs, &clock).unwrap();
        for row in 0..5 {
            flush(&store, &[row]).unwrap();
        }
        let newest = merge(&store).unwrap();
        for _ in 0..restarts {
            store = open(&blobs, &clock).unwrap();
        }
        clock.advance_ms(1_000 * crate::support::HOUR_MS);
        store.collect_garbage().unwrap();
        let key = manifest_key(store.tenant(), store.signal(), newest.generation);
        std::fs::write(scratch.file(&key), b"rot").unwrap();
        let store = open(&blobs, &clock).unwrap();
        let snapshot = store.snapshot();
        assert_eq!((snapshot.parts.len(), snapshot.quarantined.len()), (5, 0));
        assert_eq!(read_rows(&store, &snapshot).unwrap(), [0, 1, 2, 3, 4]);
    }
}

/// The inputs of a merge are still on disk: their rows must not come twice. One part is damaged.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files behind the store's back")]
fn a_manifest_can_be_rebuilt_from_the_parts() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    flush(&store, &[0]).unwrap();
    flush(&store, &[1]).unwrap();
    merge(&store).unwrap();
    flush(&store, &[2]).unwrap();
    let snapshot = flush(&store, &[3]).unwrap();
    let rotten = scratch.file(&snapshot.part_key(snapshot.parts.last().unwrap().id));
    std::fs::write(rotten, b"rot").unwrap();
    std::fs::remove_dir_all(scratch.file("manifests")).unwrap();
    let store = open_by(PartStore::rebuild, &blobs, &clock).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(read_rows(&store, &snapshot).unwrap(), [0, 1, 2]);
    assert_eq!(snapshot.covered.offset, 3, "the write-ahead log brings row 3 again");
    assert_eq!(snapshot.warnings(model::TimeUnit::Millis.at(0)).len(), 2);
    assert_eq!(flush(&store, &[3]).unwrap().parts.len(), 3);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files behind the store's back")]
fn lost_and_shortened_parts_are_quarantined_on_opening() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    for row in 0..3 {
        flush(&store, &[row]).unwrap();
    }
    let snapshot = store.snapshot();
    let file = |at: usize| scratch.file(&snapshot.part_key(snapshot.parts[at].id));
    std::fs::remove_file(file(0)).unwrap();
    std::fs::write(file(1), b"short").unwrap();
    let store = open(&blobs, &clock).unwrap();
    assert_eq!(store.snapshot().quarantined.len(), 2);
    assert_eq!(read_rows(&store, &store.snapshot()).unwrap(), [2]);
}

/// A page is damaged while the store is open: the reader quarantines the part and serves the rest.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files behind the store's back")]
fn a_bad_page_costs_its_part_and_nothing_else() {
    let scratch = Scratch::new();
    let (blobs, clock) = (scratch.blobs(), TestClock::new());
    let store = open(&blobs, &clock).unwrap();
    flush(&store, &[0]).unwrap();
    let snapshot = flush(&store, &[1]).unwrap();
    let bad = snapshot.parts[0].id;
    let path = scratch.file(&snapshot.part_key(bad));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let part = store.part(&snapshot, bad).unwrap();
    let error = part.page(part.pages_of(ROWS_KIND).unwrap()[0]).unwrap_err();
    assert!(error.is_damage());
    let after = store.quarantine(bad, &error.to_string()).unwrap();
    assert_eq!(store.quarantine(bad, "again").unwrap().generation, after.generation);
    assert_eq!(read_rows(&store, &after).unwrap(), [1]);
    let warnings = after.warnings(model::TimeUnit::Millis.at(500));
    assert!(warnings[0].contains("checksum"), "{warnings:?}");
    assert!(
        after.warnings(model::TimeUnit::Millis.at(5_000)).is_empty(),
        "another time misses nothing"
    );
    drop((part, snapshot));
    clock.advance_ms(100 * crate::support::HOUR_MS);
    store.collect_garbage_now().unwrap();
    assert!(path.exists(), "the file is kept");
    assert_eq!(open(&blobs, &clock).unwrap().snapshot().quarantined.len(), 1);
}
