//! Files of every released format version must stay readable. A fixture is made once, by running
//! with `MAKE_FIXTURES=1`, and never changed afterwards.

use crate::support::{Scratch, TestClock, open, summary};
use parts::inspect::{describe_manifest, describe_part};
use parts::{Compression, Edit, Part, manifest_key};
use platform::Disk;
use platform::RealDisk;
use std::path::Path;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

#[expect(clippy::disallowed_methods, reason = "writes fixtures into the source tree")]
fn make() {
    let scratch = Scratch::new();
    let blobs = scratch.blobs();
    let store = open(&blobs, &TestClock::new()).unwrap();
    let mut writer = store.new_part().unwrap();
    writer.page(1, None, b"plain", Compression::None).unwrap();
    writer.page(2, Some(10), &[7; 100], Compression::Lz4).unwrap();
    writer.page(2, Some(300), &[9; 100], Compression::Zstd { level: 3 }).unwrap();
    let part = writer.finish(summary(5, 1, 9)).unwrap();
    let part_path = scratch.file(&store.snapshot().part_key(part.info.id));
    let state = Some(b"state".to_vec());
    let edit = Edit { add: vec![part], engine_state: state, ..Edit::default() };
    store.commit(0, &edit).unwrap();
    let manifest_path = scratch.file(&manifest_key(store.tenant(), store.signal(), 1));
    std::fs::create_dir_all(folder()).unwrap();
    std::fs::copy(part_path, folder().join("sample.part")).unwrap();
    std::fs::copy(manifest_path, folder().join("sample.manifest")).unwrap();
}

#[test]
fn version_1_is_read() {
    if std::env::var_os("MAKE_FIXTURES").is_some() {
        make();
    }
    let disk = RealDisk::open(folder()).unwrap();
    let part = Part::from_file(disk.open("sample.part").unwrap(), "sample.part").unwrap();
    part.verify().unwrap();
    assert_eq!(part.page(0).unwrap(), b"plain");
    let page = |key| part.page(part.find(2, key).unwrap().unwrap()).unwrap();
    assert_eq!((page(10), page(300)), (vec![7; 100], vec![9; 100]));
    assert_eq!(part.meta().summary, summary(5, 1, 9));
    let text = describe_part(&part, 2).unwrap();
    assert!(text.contains("kind     2: 2 pages, 200 bytes"), "{text}");
    assert!(text.contains("… and 1 more"), "{text}");
    let bytes = disk.read_all("sample.manifest", 1 << 20).unwrap();
    let text = describe_manifest("sample.manifest", &bytes).unwrap();
    assert!(text.contains(&part.meta().id.to_string()), "{text}");
    assert!(text.contains("generation 1\n"), "{text}");
    assert!(text.contains("engine state 5 bytes"), "{text}");
}
