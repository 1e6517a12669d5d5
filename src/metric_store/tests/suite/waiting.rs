//! Who waits for the disk, and who must not.

use crate::world::{LIMITS, TODAY_MS};
use metric_store::{BatchBuilder, Matcher, MetricStore, Select, StoreSettings};
use model::{Labels, TenantId, TimeRange};
use platform::sim::{SimClock, SimDisk};
use platform::threads::scatter;
use platform::{BlobInfo, BlobWriter, Blobs, DiskBlobs, Ids, Random, ReadFile, SeededRandom};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wal::Position;

/// Longer than anything that does not wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first append to a part, or the first deletion, stands still until somebody lets it go on.
#[derive(Debug)]
struct Slow {
    inside: DiskBlobs,
    at: At,
    doors: Arc<Mutex<Option<Doors>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Append,
}

#[derive(Debug)]
struct Doors {
    reached: SyncSender<()>,
    go_on: Receiver<()>,
}

#[derive(Debug)]
struct SlowWriter {
    inside: Box<dyn BlobWriter>,
    doors: Option<Arc<Mutex<Option<Doors>>>>,
}

fn stand_still(doors: &Mutex<Option<Doors>>) {
    let taken = doors.lock().unwrap().take();
    if let Some(doors) = taken {
        doors.reached.send(()).unwrap();
        doors.go_on.recv_timeout(PATIENCE).expect("somebody waits for the disk who must not");
    }
}

impl BlobWriter for SlowWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.doors.iter().for_each(|doors| stand_still(doors));
        self.inside.append(bytes)
    }

    fn commit(self: Box<Self>) -> io::Result<()> {
        self.inside.commit()
    }
}

impl Blobs for Slow {
    fn create(&self, key: &str) -> io::Result<Box<dyn BlobWriter>> {
        let doors = (self.at == At::Append).then(|| Arc::clone(&self.doors));
        Ok(Box::new(SlowWriter { inside: self.inside.create(key)?, doors }))
    }

    fn open(&self, key: &str) -> io::Result<Arc<dyn ReadFile>> {
        self.inside.open(key)
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<BlobInfo>> {
        self.inside.list(prefix)
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        self.inside.delete(key)
    }
}

/// A store, and what stands still in it: (`reached`, `go_on`).
fn slow_store(at: At) -> (MetricStore, Receiver<()>, SyncSender<()>) {
    let (reached, is_reached) = sync_channel(1);
    let (let_go, go_on) = sync_channel(1);
    let inside = DiskBlobs::open(Arc::new(SimDisk::new()), "blobs").unwrap();
    let doors = Arc::new(Mutex::new(Some(Doors { reached, go_on })));
    let blobs = Arc::new(Slow { inside, at, doors });
    let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(1)));
    let ids = Arc::new(Ids::new(clock.clone(), random.clone()));
    let settings = StoreSettings { cache_bytes: 1 << 20 };
    let store = MetricStore::open(blobs, clock, ids, random, settings).unwrap();
    (store, is_reached, let_go)
}

/// Without a log: the position is all that the store wants of it.
fn write(store: &MetricStore, name: &str, series: usize, offset: u64) {
    let mut batch = BatchBuilder::new();
    // Nothing that packs well.
    let values = SeededRandom::new(offset);
    for number in 0..series {
        let number = number.to_string();
        let labels = Labels::from_pairs([("__name__", name), ("number", &number)]);
        let slot = batch.series(labels.as_bytes());
        batch.sample(slot, TODAY_MS + offset as i64, f64::from_bits(values.next_u64()));
    }
    let tenant = TenantId::default_tenant();
    let prepared = store.prepare(&tenant, LIMITS, &mut batch, &mut Vec::new()).unwrap();
    store.apply(prepared, &mut batch, Position { segment: 1, offset }).unwrap();
}

fn count(store: &MetricStore, name: &str) -> usize {
    let matchers = [Matcher::equal("__name__", name)];
    let wanted = Select { time: TimeRange::EVERYTHING, matchers: &matchers, values_needed: false };
    store.select(&TenantId::default_tenant(), &wanted).unwrap().len()
}

#[test]
fn a_new_series_does_not_wait_for_a_flush() {
    let (store, reached, let_go) = slow_store(At::Append);
    let store = &store;
    // So many that the part is written in several pieces, the first before all series are in.
    (1..200).for_each(|step| write(store, "old", 3_000, step));
    store.cut(Position { segment: 2, offset: 0 });
    let flush = || store.flush().unwrap();
    let meanwhile = move || {
        reached.recv().unwrap();
        write(store, "new", 1, 1);
        assert_eq!((count(store, "old"), count(store, "new")), (3_000, 1));
        let_go.send(()).unwrap();
    };
    let jobs: Vec<Box<dyn FnOnce() + Send>> = vec![Box::new(flush), Box::new(meanwhile)];
    scatter(jobs, |job| job());
    assert_eq!((count(store, "old"), count(store, "new")), (3_000, 1));
    assert_eq!(store.stats().parts, 1);
}
