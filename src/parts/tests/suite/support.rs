//! Helpers that the tests share: a temporary folder, a clock that the test moves, and a minimal
//! engine whose pages are lists of row numbers.

use model::{Day, Signal, TenantId, TimeUnit, Ulid, WalPosition};
use parts::{Compression, Edit, Manifest, NewPart, PartError, PartStore, PartSummary, Site};
use platform::{Blobs, Clock, DiskBlobs, Ids, Moment, RealDisk, SeededRandom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub(crate) const ROWS_KIND: u16 = 1;
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// A folder that is removed with its content at the end of the test.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("mirador-parts-{}-{number}", std::process::id());
        // In memory where that is available: these tests sync thousands of times.
        let memory = std::path::Path::new("/dev/shm");
        let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self(above.join(name))
    }

    pub(crate) fn blobs(&self) -> Arc<dyn Blobs> {
        let disk = Arc::new(RealDisk::open(&self.0).unwrap());
        Arc::new(DiskBlobs::open(disk, "blobs").unwrap())
    }

    pub(crate) fn file(&self, key: &str) -> PathBuf {
        self.0.join("blobs").join(key)
    }
}

impl Drop for Scratch {
    #[expect(clippy::disallowed_methods, reason = "a test cleans up behind itself")]
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A clock that only moves when the test advances it. Real files have real ages, so it starts at
/// the real time.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(platform::RealClock::new().wall_ms())))
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Relaxed);
    }
}

impl Clock for TestClock {
    fn wall_ns(&self) -> i64 {
        self.0.load(Relaxed) * 1_000_000
    }

    fn now(&self) -> Moment {
        Moment(Duration::from_millis(self.0.load(Relaxed) as u64))
    }
}

type Opener = fn(&Site, TenantId, Signal) -> Result<PartStore, PartError>;

pub(crate) fn open(blobs: &Arc<dyn Blobs>, clock: &Arc<TestClock>) -> Result<PartStore, PartError> {
    open_by(PartStore::open, blobs, clock)
}

pub(crate) fn open_by(
    open: Opener,
    blobs: &Arc<dyn Blobs>,
    clock: &Arc<TestClock>,
) -> Result<PartStore, PartError> {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let random = Arc::new(SeededRandom::new(SEED.fetch_add(1, Relaxed)));
    let ids = Arc::new(Ids::new(Arc::clone(clock) as Arc<dyn Clock>, random));
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let site = Site::new(Arc::clone(blobs), clock, ids);
    open(&site, TenantId::default_tenant(), Signal::Probe)
}

pub(crate) fn summary(rows: u64, level: u8, covered: u64) -> PartSummary {
    PartSummary {
        schema: 1,
        level,
        day: Day(0),
        time: TimeUnit::Millis.between(0, 1_000),
        rows,
        series: 1,
        tombstones_applied: 0,
        covered: WalPosition { segment: 0, offset: covered },
        sources: Vec::new(),
        bounds: b"bounds".to_vec(),
        engine: b"engine".to_vec(),
    }
}

/// Writes one page of row numbers.
pub(crate) fn write_rows(
    store: &PartStore,
    rows: &[u64],
    level: u8,
    covered: u64,
    sources: &[Ulid],
) -> Result<NewPart, PartError> {
    let mut writer = store.new_part()?;
    let page: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
    writer.page(ROWS_KIND, Some(7), &page, Compression::Lz4)?;
    let sources = sources.to_vec();
    writer.finish(PartSummary { sources, ..summary(rows.len() as u64, level, covered) })
}

pub(crate) fn flush(store: &PartStore, rows: &[u64]) -> Result<Arc<Manifest>, PartError> {
    let covered = rows.iter().max().map_or(0, |row| row + 1);
    let part = write_rows(store, rows, 0, covered, &[])?;
    let covered = Some(WalPosition { segment: 0, offset: covered });
    store.update(|_| Ok(Edit { add: vec![part], covered, ..Edit::default() }))
}

/// Merges all parts into one.
pub(crate) fn merge(store: &PartStore) -> Result<Arc<Manifest>, PartError> {
    let snapshot = store.snapshot();
    let inputs: Vec<Ulid> = snapshot.parts.iter().map(|part| part.id).collect();
    let rows = read_rows(store, &snapshot)?;
    let part = write_rows(store, &rows, 3, snapshot.covered.offset, &inputs)?;
    store.update(|_| Ok(Edit { add: vec![part], remove: inputs, ..Edit::default() }))
}

/// Every row of the snapshot, sorted.
pub(crate) fn read_rows(store: &PartStore, snapshot: &Manifest) -> Result<Vec<u64>, PartError> {
    let mut rows = Vec::new();
    for info in &snapshot.parts {
        let part = store.part(snapshot, info.id)?;
        for page in part.pages_of(ROWS_KIND)? {
            let bytes = part.page(*page)?;
            let row = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().unwrap());
            rows.extend(bytes.chunks_exact(8).map(row));
        }
    }
    rows.sort_unstable();
    Ok(rows)
}

pub(crate) fn part_files(blobs: &dyn Blobs) -> usize {
    blobs.list("parts").unwrap().len()
}
