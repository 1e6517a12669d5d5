//! Tests of what every [`Disk`] promises, run on the real disk and on the simulated one.

use crate::sim::SimDisk;
use crate::{BlobInfo, Blobs, Disk, DiskBlobs, RealDisk};
use std::io::ErrorKind;
use std::sync::Arc;

fn check(run: fn(Arc<dyn Disk>)) {
    run(Arc::new(SimDisk::new()));
    let folder = TemporaryFolder::new();
    run(Arc::new(RealDisk::open(&folder.0).unwrap()));
}

struct TemporaryFolder(std::path::PathBuf);

impl TemporaryFolder {
    fn new() -> Self {
        use crate::Random;
        let name = format!("mirador-platform-{:016x}", crate::OsRandom.next_u64());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for TemporaryFolder {
    #[expect(clippy::disallowed_methods, reason = "cleans up after the real disk")]
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    let mut file = disk.create(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
}

fn read(disk: &dyn Disk, path: &str) -> Vec<u8> {
    disk.read_all(path, 1_000).unwrap()
}

fn names(disk: &dyn Disk, dir: &str) -> Vec<String> {
    disk.list(dir).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().expect("this must fail").kind()
}

#[test]
fn files_are_appended_and_read() {
    check(|disk| {
        let mut file = disk.create("a").unwrap();
        let reader = disk.open("a").unwrap();
        assert!(reader.is_empty().unwrap());
        file.append(b"one").unwrap();
        file.append(b"two").unwrap();
        assert_eq!(reader.len().unwrap(), 6);
        let mut middle = [0; 4];
        reader.read_exact_at(&mut middle, 1).unwrap();
        assert_eq!(&middle, b"netw");
        assert_eq!(kind(reader.read_exact_at(&mut middle, 3)), ErrorKind::UnexpectedEof);
        assert_eq!(kind(reader.read_exact_at(&mut middle, 1 << 40)), ErrorKind::UnexpectedEof);
        assert_eq!(read(&*disk, "a"), b"onetwo");
        assert_eq!(kind(disk.read_all("a", 5)), ErrorKind::InvalidData);
    });
}

#[test]
fn what_stands_is_not_created_again_and_what_is_missing_is_not_found() {
    check(|disk| {
        write(&*disk, "a", b"1");
        assert_eq!(kind(disk.create("a")), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.create("no/a")), ErrorKind::NotFound);
        assert_eq!(kind(disk.open("b")), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove("b")), ErrorKind::NotFound);
        assert_eq!(kind(disk.rename("b", "c")), ErrorKind::NotFound);
        assert_eq!(kind(disk.rename("a", "no/c")), ErrorKind::NotFound);
        assert_eq!(kind(disk.rename_new("b", "c")), ErrorKind::NotFound);
        assert_eq!(kind(disk.sync_dir("no")), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove_empty_dir("no")), ErrorKind::NotFound);
        assert!(disk.list("no").unwrap().is_empty());
    });
}

#[test]
fn names_move() {
    check(|disk| {
        disk.create_dirs("x/y").unwrap();
        write(&*disk, "a", b"1");
        write(&*disk, "b", b"2");
        assert_eq!(kind(disk.rename_new("a", "b")), ErrorKind::AlreadyExists);
        disk.rename("a", "b").unwrap();
        assert_eq!(read(&*disk, "b"), b"1");
        disk.rename_new("b", "x/y/c").unwrap();
        assert_eq!(names(&*disk, ""), ["x"]);
        disk.rename("x/y", "z").unwrap();
        assert_eq!(read(&*disk, "z/c"), b"1");
        disk.sync_dir("z").unwrap();
        disk.sync_dir("").unwrap();
    });
}

#[test]
fn folders_are_made_listed_and_removed() {
    check(|disk| {
        disk.create_dirs("x/y").unwrap();
        disk.create_dirs("x/y").unwrap();
        write(&*disk, "x/b", b"22");
        write(&*disk, "x/a", b"1");
        let entries = disk.list("x").unwrap();
        let seen: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.is_dir)).collect();
        assert_eq!(seen, [("a", false), ("b", false), ("y", true)]);
        assert_eq!(entries[1].len, 2);
        assert!(entries[1].modified_ms > 0);
        assert_eq!(kind(disk.remove_empty_dir("x")), ErrorKind::DirectoryNotEmpty);
        assert!(disk.remove("x/y").is_err(), "a folder is not removed as a file");
        disk.remove_empty_dir("x/y").unwrap();
        assert_eq!(names(&*disk, "x"), ["a", "b"]);
        assert_eq!(kind(disk.create_dirs("x/a/z")), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.list("x/a")), ErrorKind::NotADirectory);
    });
}

#[test]
fn a_removed_file_can_still_be_read_by_who_holds_it() {
    check(|disk| {
        write(&*disk, "a", b"old");
        let held = disk.open("a").unwrap();
        disk.remove("a").unwrap();
        write(&*disk, "a", b"new");
        let mut bytes = [0; 3];
        held.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"old");
        assert_eq!(read(&*disk, "a"), b"new");
    });
}

#[test]
fn paths_cannot_leave() {
    check(|disk| {
        for path in ["/a", "../a", "a/../b", "a//b", "a/", ".", "a\0"] {
            assert_eq!(kind(disk.create(path)), ErrorKind::InvalidInput, "{path:?}");
            assert_eq!(kind(disk.open(path)), ErrorKind::InvalidInput, "{path:?}");
            assert_eq!(kind(disk.rename("a", path)), ErrorKind::InvalidInput, "{path:?}");
        }
    });
}

#[test]
fn small_files_are_replaced_whole() {
    check(|disk| {
        disk.create_dirs("x").unwrap();
        disk.replace("x/a", b"1").unwrap();
        write(&*disk, "x/a.tmp", b"left over by a crash");
        disk.replace("x/a", b"2").unwrap();
        assert_eq!(read(&*disk, "x/a"), b"2");
        assert_eq!(names(&*disk, "x"), ["a"]);
    });
}

#[test]
fn a_lock_is_held_once() {
    check(|disk| {
        let lock = disk.lock("lock").unwrap().expect("nobody holds it");
        assert!(disk.lock("lock").unwrap().is_none());
        assert_eq!(names(&*disk, ""), ["lock"]);
        drop(lock);
        assert!(disk.lock("lock").unwrap().is_some());
    });
}

#[test]
fn space_is_reported() {
    check(|disk| {
        let space = disk.space().unwrap();
        assert!(space.free > 0 && space.free <= space.total);
    });
}

#[test]
fn blobs_appear_whole_or_not_at_all() {
    check(|disk| {
        let blobs = DiskBlobs::open(Arc::clone(&disk), "blobs").unwrap();
        let mut half = blobs.create("x/half").unwrap();
        half.append(b"1").unwrap();
        assert_eq!(kind(blobs.open("x/half")), ErrorKind::NotFound);
        assert!(blobs.list("").unwrap().is_empty());
        drop(half);
        assert!(names(&*disk, "blobs/x").is_empty());
        std::mem::forget(blobs.create("x/left").unwrap());
        let blobs = DiskBlobs::open(Arc::clone(&disk), "blobs").unwrap();
        assert!(names(&*disk, "blobs/x").is_empty());
        blobs.put_new("x/whole", b"0123456789").unwrap();
        assert_eq!(kind(blobs.put_new("x/whole", b"2")), ErrorKind::AlreadyExists);
        assert_eq!(names(&*disk, "blobs/x"), ["whole"]);
    });
}

#[test]
fn blobs_are_read_listed_and_deleted_by_key() {
    check(|disk| {
        let blobs = DiskBlobs::open(disk, "blobs").unwrap();
        for key in ["b/2", "a", "b/1"] {
            blobs.put_new(key, b"0123456789").unwrap();
        }
        let keys = |found: Vec<BlobInfo>| found.into_iter().map(|b| b.key).collect::<Vec<_>>();
        assert_eq!(keys(blobs.list("").unwrap()), ["a", "b/1", "b/2"]);
        assert_eq!(keys(blobs.list("b").unwrap()), ["b/1", "b/2"]);
        assert_eq!(blobs.get_range("b/1", 3, 4).unwrap(), b"3456");
        for (offset, length) in [(8, 3), (11, 0), (u64::MAX, 1), (0, usize::MAX)] {
            assert_eq!(kind(blobs.get_range("b/1", offset, length)), ErrorKind::UnexpectedEof);
        }
        blobs.delete("b/1").unwrap();
        assert_eq!(kind(blobs.open("b/1")), ErrorKind::NotFound);
        assert_eq!(kind(blobs.delete("b/1")), ErrorKind::NotFound);
    });
}

#[test]
fn a_duplicate_outlives_the_file_it_was_made_of() {
    check(|disk| {
        let large = vec![7; 3 << 20];
        write(&*disk, "a", &large);
        disk.create_dirs("x").unwrap();
        disk.duplicate("a", "x/b").unwrap();
        disk.sync_dir("x").unwrap();
        assert_eq!(kind(disk.duplicate("a", "x/b")), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.duplicate("none", "c")), ErrorKind::NotFound);
        assert_eq!(kind(disk.duplicate("a", "no/c")), ErrorKind::NotFound);
        disk.remove("a").unwrap();
        assert!(disk.read_all("x/b", 4 << 20).unwrap() == large);
    });
}

#[test]
fn blobs_are_duplicated_below_another_root() {
    check(|disk| {
        let blobs = DiskBlobs::open(Arc::clone(&disk), "blobs").unwrap();
        for key in ["b/2", "a", "b/1"] {
            blobs.put_new(key, key.as_bytes()).unwrap();
        }
        let half = blobs.create("b/half").unwrap();
        assert_eq!(blobs.duplicate_to("kept/blobs").unwrap(), 3);
        drop(half);
        blobs.delete("b/1").unwrap();
        let kept = DiskBlobs::open(disk, "kept/blobs").unwrap();
        let keys: Vec<_> = kept.list("").unwrap().into_iter().map(|blob| blob.key).collect();
        assert_eq!(keys, ["a", "b/1", "b/2"]);
        assert_eq!(kept.get_range("b/1", 0, 3).unwrap(), b"b/1");
    });
}

#[test]
fn duplicates_survive_a_power_cut() {
    let disk = Arc::new(SimDisk::new());
    let blobs = DiskBlobs::open(disk.clone(), "blobs").unwrap();
    blobs.put_new("b/1", b"one").unwrap();
    blobs.duplicate_to("kept/blobs").unwrap();
    let after = disk.crash(crate::sim::CrashPolicy::LoseUnsynced);
    assert_eq!(read(&after, "kept/blobs/b/1"), b"one");
}
