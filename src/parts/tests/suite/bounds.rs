//! What the stores of one site share.

use crate::support::{Scratch, TestClock, read_rows, write_rows};
use model::{Signal, TenantId, Ulid};
use parts::{Edit, PartStore, Site};
use platform::{BlobInfo, BlobWriter, Blobs, Ids, ReadFile, SeededRandom};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts the files that are open.
#[derive(Debug)]
struct Counted {
    inside: Arc<dyn Blobs>,
    open: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct CountedFile {
    inside: Arc<dyn ReadFile>,
    open: Arc<AtomicUsize>,
}

impl Drop for CountedFile {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

impl ReadFile for CountedFile {
    fn len(&self) -> io::Result<u64> {
        self.inside.len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inside.read_exact_at(buffer, offset)
    }
}

impl Blobs for Counted {
    fn create(&self, key: &str) -> io::Result<Box<dyn BlobWriter>> {
        self.inside.create(key)
    }

    fn open(&self, key: &str) -> io::Result<Arc<dyn ReadFile>> {
        let inside = self.inside.open(key)?;
        self.open.fetch_add(1, Relaxed);
        Ok(Arc::new(CountedFile { inside, open: Arc::clone(&self.open) }))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<BlobInfo>> {
        self.inside.list(prefix)
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        self.inside.delete(key)
    }
}

const PARTS: u64 = 40;

fn read_all(store: &PartStore) {
    assert_eq!(read_rows(store, &store.snapshot()).unwrap().len() as u64, PARTS);
}

#[test]
fn tenants_and_signals_share_the_open_files() {
    let scratch = Scratch::new();
    let open = Arc::new(AtomicUsize::new(0));
    let blobs = Arc::new(Counted { inside: scratch.blobs(), open: Arc::clone(&open) });
    let clock = TestClock::new();
    let ids = Arc::new(Ids::new(clock.clone(), Arc::new(SeededRandom::new(1))));
    let site = Site::new(blobs, clock, ids);
    let store = |number: usize| {
        let tenant = TenantId::new(&format!("tenant-{number}")).unwrap();
        let store = PartStore::open(&site, tenant, Signal::Probe).unwrap();
        let add = (0..PARTS).map(|row| write_rows(&store, &[row], 0, 1, &[]).unwrap()).collect();
        store.update(|_| Ok(Edit { add, ..Edit::default() })).unwrap();
        store
    };
    let stores: Vec<PartStore> = (0..20).map(store).collect();
    stores.iter().for_each(read_all);
    assert_eq!(open.load(Relaxed), 512, "of {} parts", 20 * PARTS);
    // The most recently used parts are still open; those of a dropped part or store are not.
    read_all(&stores[19]);
    assert_eq!(open.load(Relaxed), 512);
    let remove: Vec<Ulid> = stores[19].snapshot().all_ids().collect();
    stores[19].update(|_| Ok(Edit { remove, ..Edit::default() })).unwrap();
    assert_eq!(open.load(Relaxed), 512 - PARTS as usize);
    drop(stores);
    assert_eq!(open.load(Relaxed), 0);
}
