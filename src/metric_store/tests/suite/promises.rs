//! What the store guarantees when something fails in the middle: deletes, refused batches, data
//! that can't be interpreted, retention during merges.

use crate::world::{Row, TODAY_MS, World, cut_all, flush_all};
use model::{ErrorKind, Matcher, Signal, TenantId, TimeUnit, WalPosition};
use parts::{Compression, Edit, PartStore, Retention, Site, Tombstone, plan_retention};
use platform::sim::{CrashPolicy, Fault, Operation, SimClock, SimDisk};
use platform::{Disk, DiskBlobs, Ids, SeededRandom};
use std::sync::Arc;
use wal::Batch;

fn world() -> World {
    World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap()
}

/// The same folder in a new process.
fn reopened(world: World) -> World {
    let disk = world.disk.crash(CrashPolicy::KeepAll);
    drop(world);
    World::open(disk, Arc::new(SimClock::new()), 2).unwrap()
}

fn row(series: u32, step: i64) -> (u32, i64, Row) {
    (series, TODAY_MS + step, Row { bits: step as u64, start: 0 })
}

fn count(world: &World) -> usize {
    world.rows(TimeUnit::Millis.everything()).unwrap().len()
}

/// The tenant's parts and manifests, opened independently of the store.
fn parts_of(world: &World) -> PartStore {
    let clock = Arc::new(SimClock::new());
    let shared: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let blobs = Arc::new(DiskBlobs::open(shared, "blobs").unwrap());
    let ids = Arc::new(Ids::new(clock.clone(), Arc::new(SeededRandom::new(9))));
    let site = Site::new(blobs, clock, ids);
    PartStore::open(&site, world.tenant.clone(), Signal::Metrics).unwrap()
}

/// The delete must apply to memory and parts alike. Once, after such a failure, samples in memory
/// stayed while those in parts were deleted.
#[test]
fn a_delete_whose_outcome_was_unknown_is_whole_or_was_never_there() {
    for operation in [Operation::SyncDir, Operation::RenameNew, Operation::Create] {
        let mut world = world();
        world.write(&[row(1, 0), row(2, 0)]).unwrap();
        world.flush().unwrap();
        world.write(&[row(1, 1), row(2, 1)]).unwrap();
        world.disk.fail_next(operation, Fault::Eio);
        let one = [Matcher::equal("number", "1")];
        assert!(world.delete(&one, TimeUnit::Millis.everything()).is_err(), "{operation:?}");
        // The delete does not apply to later samples.
        world.write(&[row(1, 2)]).unwrap();
        world.flush().unwrap();
        let rows = world.rows(TimeUnit::Millis.everything()).unwrap();
        let of_one: Vec<i64> =
            rows.keys().filter(|(series, _)| *series == 1).map(|(_, at)| at - TODAY_MS).collect();
        assert!(of_one == [0, 1, 2] || of_one == [2], "{operation:?}: {of_one:?}");
        let after = reopened(world);
        assert_eq!(after.rows(TimeUnit::Millis.everything()).unwrap(), rows, "{operation:?}");
    }
}

#[test]
fn deletes_are_refused_before_they_fill_the_memory() {
    let mut world = world();
    let one = [Matcher::equal("number", "1")];
    let mut refused = None;
    for step in 0..40 {
        world.write(&[row(1, step), row(2, step)]).unwrap();
        if let Err(error) = world.delete(&one, TimeUnit::Millis.everything()) {
            refused = refused.or(Some((step, error.kind())));
        }
    }
    assert_eq!(refused, Some((16, ErrorKind::Overloaded)));
    world.flush().unwrap();
    world.delete(&one, TimeUnit::Millis.everything()).unwrap();
    assert_eq!(count(&world), 40);
}

/// An unreadable tombstone must not be ignored. Once it deleted nothing, and the next merge marked
/// it as applied, so that the deleted samples were back for good.
#[test]
fn a_tombstone_that_can_not_be_read_does_not_bring_samples_back() {
    let mut world = world();
    world.write(&[row(1, 0), row(2, 0)]).unwrap();
    world.flush().unwrap();
    let store = parts_of(&world);
    let tombstone = Tombstone {
        id: store.mint_id(),
        time: TimeUnit::Millis.everything(),
        matcher: b"of a newer version".to_vec(),
        created_ms: 0,
        position: world.end(),
        generation: 0,
    };
    let edit = Edit { add_tombstones: vec![tombstone], ..Edit::default() };
    store.update(|_| Ok(edit)).unwrap();
    let disk = world.disk.crash(CrashPolicy::KeepAll);
    let error = World::open(disk, Arc::new(SimClock::new()), 2).unwrap_err().to_string();
    assert!(error.contains("can't be read") && error.contains("newer"), "{error}");
}

/// A part with an unreadable age must not count as the oldest of all: an older sample could win.
#[test]
fn a_part_whose_age_can_not_be_read_is_quarantined() {
    let mut world = world();
    world.write(&[row(1, 0), row(2, 0)]).unwrap();
    world.flush().unwrap();
    let store = parts_of(&world);
    let manifest = store.snapshot();
    let known = store.part(&manifest, manifest.parts[0].id).unwrap().meta().summary.clone();
    let mut writer = store.new_part().unwrap();
    writer.page(1, None, &[0; 10], Compression::None).unwrap();
    let ageless = writer.finish(parts::PartSummary { bounds: vec![9, 9, 9], ..known }).unwrap();
    store.update(|_| Ok(Edit { add: vec![ageless], ..Edit::default() })).unwrap();
    let mut world = reopened(world);
    assert_eq!((world.engine.stats().parts, world.engine.stats().quarantined), (1, 1));
    world.whole = false;
    assert_eq!(count(&world), 2, "the rest is served");
    world.merge(true).unwrap();
    assert_eq!(count(&world), 2);
}

fn refused_batch(world: &World, schema: u16, payload: &[u8]) -> WalPosition {
    let batch = Batch { tenant: &world.tenant, signal: Signal::Metrics, schema, payload };
    world.log.append_wait(&batch).unwrap()
}

/// A downgrade followed by an upgrade: the write-ahead log keeps the newer version's batch all the
/// time.
#[test]
fn a_batch_of_a_newer_version_outlives_flushes_and_restarts() {
    let mut world = world();
    world.write(&[row(1, 0)]).unwrap();
    let position = refused_batch(&world, 99, b"of a newer version");
    world.write(&[row(1, 1)]).unwrap();
    let disk = world.disk.crash(CrashPolicy::KeepAll);
    // `World::open` fails at a refused batch; a server continues.
    let error = World::open(disk.clone(), Arc::new(SimClock::new()), 2).unwrap_err().to_string();
    assert!(error.contains("schema 99"), "{error}");
    let mut world = World::open_lenient(disk, Arc::new(SimClock::new()), 2).unwrap();
    for step in 2..6 {
        world.write(&[row(1, step)]).unwrap();
        world.flush().unwrap();
    }
    for round in 0..3 {
        let refused = world.engine.refused();
        assert_eq!(
            (refused.len(), refused[0].count, refused[0].lowest),
            (1, 1, Some(position)),
            "{round}"
        );
        assert_eq!(world.log.segments()[0].sequence, position.segment, "{round}");
        assert_eq!(count(&world), 6, "round {round}");
        let disk = world.disk.crash(CrashPolicy::KeepAll);
        world = World::open_lenient(disk, Arc::new(SimClock::new()), 3).unwrap();
        world.flush().unwrap();
    }
    assert_eq!(world.engine.forget_refused(&world.tenant).unwrap(), 1);
    assert!(world.engine.refused().is_empty());
    world.write(&[row(1, 6)]).unwrap();
    world.flush().unwrap();
    world.flush().unwrap();
    let after = reopened(world);
    assert!(after.engine.refused().is_empty());
    assert_eq!(count(&after), 7);
}

#[test]
fn a_merge_whose_input_is_dropped_is_given_up() {
    let mut world = world();
    for step in 0..2 {
        world.write(&[row(1, step)]).unwrap();
        world.flush().unwrap();
    }
    let oldest_ms = [(Signal::Metrics, i64::MAX)].into();
    let retention = Retention { oldest_ms, ..Retention::default() };
    let manifests = world.engine.manifests();
    let parts = plan_retention(manifests.iter().map(|manifest| &**manifest), &retention);
    drop(manifests);
    assert_eq!(world.engine.drop_parts(&parts).unwrap(), 2);
    assert_eq!(world.engine.drop_parts(&parts).unwrap(), 0);
    assert_eq!(world.merge(true).unwrap(), 0);
    assert_eq!(count(&world), 0);
}

#[test]
fn reading_and_deleting_create_no_tenants() {
    let mut world = world();
    world.tenant = TenantId::new("nobody").unwrap();
    assert_eq!(count(&world), 0);
    world.delete(&[Matcher::equal("number", "1")], TimeUnit::Millis.everything()).unwrap();
    assert_eq!(world.store.erase_deleted(&world.tenant).unwrap(), 0);
    cut_all(&*world.engine, world.end());
    flush_all(&*world.engine).unwrap();
    assert!(world.engine.tenants().is_empty() && world.store.tenants().is_empty());
    assert!(world.disk.list("blobs/manifests").unwrap().is_empty());
}
