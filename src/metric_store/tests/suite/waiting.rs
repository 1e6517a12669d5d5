//! Which operations wait for the disk, and which must not.

use crate::world::{LIMITS, TODAY_MS, cut_all, flush_all, merge_all};
use metric_store::{BatchBuilder, MetricStore, Select, StoreSettings};
use model::{Labels, Matcher, TenantId, TimeUnit, Unbounded, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::threads::scatter;
use platform::{BlobInfo, BlobWriter, Blobs, DiskBlobs, Ids, Random, ReadFile, SeededRandom};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than anything that does not wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Once armed, the next operation of the kind blocks until the test lets it continue.
#[derive(Debug)]
struct Slow {
    inside: DiskBlobs,
    append: Door,
    delete: Door,
}

type Door = Arc<Mutex<Option<Doors>>>;

#[derive(Debug)]
struct Doors {
    reached: SyncSender<()>,
    go_on: Receiver<()>,
}

#[derive(Debug)]
struct SlowWriter {
    inside: Box<dyn BlobWriter>,
    door: Door,
}

fn stand_still(door: &Door) {
    let taken = door.lock().unwrap().take();
    if let Some(doors) = taken {
        doors.reached.send(()).unwrap();
        doors.go_on.recv_timeout(PATIENCE).expect("an operation waits for the disk that must not");
    }
}

impl BlobWriter for SlowWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        stand_still(&self.door);
        self.inside.append(bytes)
    }

    fn commit(self: Box<Self>) -> io::Result<()> {
        self.inside.commit()
    }
}

impl Blobs for Slow {
    fn create(&self, key: &str) -> io::Result<Box<dyn BlobWriter>> {
        let door = Arc::clone(&self.append);
        Ok(Box::new(SlowWriter { inside: self.inside.create(key)?, door }))
    }

    fn open(&self, key: &str) -> io::Result<Arc<dyn ReadFile>> {
        self.inside.open(key)
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<BlobInfo>> {
        self.inside.list(prefix)
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        stand_still(&self.delete);
        self.inside.delete(key)
    }
}

fn slow_store() -> (MetricStore, Arc<Slow>) {
    let inside = DiskBlobs::open(Arc::new(SimDisk::new()), "blobs").unwrap();
    let blobs = Arc::new(Slow { inside, append: Door::default(), delete: Door::default() });
    let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(1)));
    let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
    let settings = StoreSettings { cache_bytes: 1 << 20, ..StoreSettings::default() };
    let store = MetricStore::open(Site::new(blobs.clone(), clock, ids), random, settings).unwrap();
    (store, blobs)
}

/// Runs `others` while `work` is blocked at the door.
fn meanwhile(door: &Door, work: impl FnOnce() + Send, others: impl FnOnce() + Send) {
    let (reached, is_reached) = sync_channel(1);
    let (let_go, go_on) = sync_channel(1);
    *door.lock().unwrap() = Some(Doors { reached, go_on });
    let others = move || {
        is_reached.recv_timeout(PATIENCE).expect("the work never reached the door");
        others();
        let_go.send(()).unwrap();
    };
    let jobs: Vec<Box<dyn FnOnce() + Send>> = vec![Box::new(work), Box::new(others)];
    scatter(jobs, |job| job());
}

fn cut(store: &MetricStore, segment: u64) {
    cut_all(&*store.engine(), WalPosition { segment, offset: 0 });
}

/// Without a write-ahead log: the store only needs the position.
fn write(store: &MetricStore, name: &str, series: usize, offset: u64) {
    let mut batch = BatchBuilder::new();
    // Values that compress badly.
    let values = SeededRandom::new(offset);
    for number in 0..series {
        let number = number.to_string();
        let labels = Labels::from_pairs([("__name__", name), ("number", &number)]);
        let slot = batch.series(labels.as_bytes());
        batch.sample(slot, TODAY_MS + offset as i64, f64::from_bits(values.next_u64()));
    }
    let tenant = TenantId::default_tenant();
    let prepared = store.prepare(&tenant, LIMITS, &mut batch, &mut Vec::new()).unwrap();
    store.apply(prepared, &mut batch, WalPosition { segment: 1, offset }).unwrap();
}

fn count(store: &MetricStore, name: &str) -> usize {
    let matchers = [Matcher::equal("__name__", name)];
    let wanted =
        Select { time: TimeUnit::Millis.everything(), matchers: &matchers, values_needed: false };
    store.select(&TenantId::default_tenant(), &wanted, &mut Unbounded).unwrap().len()
}

#[test]
fn a_new_series_does_not_wait_for_a_flush() {
    let (store, slow) = slow_store();
    // So many series that the part is written in several pieces, the first before all series are
    // in.
    (1..200).for_each(|step| write(&store, "old", 3_000, step));
    cut(&store, 2);
    let flush = || flush_all(&*store.engine()).unwrap();
    meanwhile(&slow.append, flush, || {
        write(&store, "new", 1, 1);
        assert_eq!((count(&store, "old"), count(&store, "new")), (3_000, 1));
    });
    assert_eq!((count(&store, "old"), count(&store, "new")), (3_000, 1));
    assert_eq!(store.engine().stats().parts, 1);
}

fn merge(store: &MetricStore) {
    merge_all(&*store.engine(), true).unwrap();
}

fn two_parts_and_a_head() -> (MetricStore, Arc<Slow>) {
    let (store, slow) = slow_store();
    for segment in 1..3 {
        write(&store, "old", 3, segment);
        cut(&store, segment + 1);
        flush_all(&*store.engine()).unwrap();
    }
    write(&store, "new", 3, 9);
    (store, slow)
}

#[test]
fn a_flush_does_not_wait_for_a_merge() {
    let (store, slow) = two_parts_and_a_head();
    meanwhile(
        &slow.append,
        || merge(&store),
        || {
            cut(&store, 9);
            flush_all(&*store.engine()).unwrap();
            let stats = store.engine().stats();
            assert_eq!((stats.head.rows, stats.parts), (0, 3));
        },
    );
    assert_eq!((count(&store, "old"), count(&store, "new")), (3, 3));
    assert_eq!(store.engine().stats().parts, 2);
}

/// All ingestion waits for a cut.
#[test]
fn a_cut_does_not_wait_for_garbage() {
    let (store, slow) = two_parts_and_a_head();
    meanwhile(
        &slow.delete,
        || merge(&store),
        || {
            cut(&store, 9);
            assert_eq!((count(&store, "old"), count(&store, "new")), (3, 3));
        },
    );
    assert_eq!(store.engine().stats().parts, 1);
}
