//! What the store guarantees: a selection is a view of one moment, deletes are whole, data that can't be
//! interpreted is kept, followers get what comes or are told what they missed.

use crate::lines::{Line, Wanted, lines_of, read, sorted};
use crate::world::{DAY_NS, TODAY_NS, World};
use log_store::{Condition, LogBatch, LogStore, Order, StoreSettings};
use model::{Labels, Matcher, Signal, TenantId, TimeUnit, WalPosition};
use parts::{Edit, PartStore, Site, Tombstone};
use platform::sim::{CrashPolicy, Fault, Operation, SimClock, SimDisk};
use platform::{Disk, DiskBlobs, Ids, SeededRandom};
use regex::bytes::Regex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use wal::Batch;
use wire::LogSink;

fn world() -> World {
    World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap()
}

/// The same folder in a new process.
fn reopened(world: World) -> World {
    let disk = world.disk.crash(CrashPolicy::KeepAll);
    drop(world);
    World::open(disk, Arc::new(SimClock::new()), 2).unwrap()
}

fn line(app: u32, step: i64) -> Line {
    let level = if step % 2 == 0 { "info" } else { "error" };
    Line::new(app, TODAY_NS + step, format!("step {step} of app{app}")).with("level", level)
}

fn lines(steps: std::ops::Range<i64>) -> Vec<Line> {
    sorted(steps.flat_map(|step| (0..4).map(move |app| line(app, step))).collect())
}

/// The tenant's parts and manifests, opened independently of the store.
fn parts_of(world: &World) -> PartStore {
    let clock = Arc::new(SimClock::new());
    let shared: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let blobs = Arc::new(DiskBlobs::open(shared, "blobs").unwrap());
    let ids = Arc::new(Ids::new(clock.clone(), Arc::new(SeededRandom::new(9))));
    let site = Site::new(blobs, clock, ids);
    PartStore::open(&site, world.tenant.clone(), Signal::Logs).unwrap()
}

#[test]
fn a_selection_is_a_view_of_one_moment() {
    let mut world = world();
    world.write_lines(&lines(0..50)).unwrap();
    world.flush().unwrap();
    world.write_lines(&lines(50..100)).unwrap();
    let select =
        |world: &World| Wanted::all().select(&world.store, &world.tenant, Order::NewestFirst);
    let (at_once, later) = (select(&world), select(&world));
    let read_now = || (lines_of(&at_once), at_once.warnings());
    assert!(read_now().0 == lines(0..100));
    world.write_lines(&lines(100..110)).unwrap();
    assert!(read_now().0 == lines(0..100));
    world.flush().unwrap();
    world.merge(true).unwrap();
    world.delete(Wanted::all().time, Wanted::of_app(1).delete()).unwrap();
    world.store.erase_deleted(&world.tenant).unwrap();
    world.flush().unwrap();
    for selection in [at_once, later] {
        assert!(lines_of(&selection) == lines(0..100));
        assert_eq!(selection.warnings(), Vec::<String>::new());
    }
    let remaining = lines(0..110).into_iter().filter(|line| line.app != 1);
    assert!(read(&world, &Wanted::all()) == remaining.collect::<Vec<_>>());
}

/// A delete of each kind of condition, which takes what was there, and nothing that comes later.
#[test]
fn lines_are_deleted_by_conditions() {
    let regex = |pattern: &str| Arc::new(Regex::new(pattern).unwrap());
    let text = |line: &Line| String::from_utf8(line.text.clone()).unwrap();
    let contains = Condition::Contains { texts: vec!["STEP 7".to_owned()], ignore_case: true };
    type Holds = Box<dyn Fn(&Line) -> bool>;
    let cases: Vec<(Wanted, Holds)> = vec![
        (Wanted::of_app(2), Box::new(|line| line.app == 2)),
        (Wanted::all().containing("step 1"), Box::new(move |line| text(line).contains("step 1"))),
        (Wanted::all().with(contains), Box::new(move |line| text(line).contains("step 7"))),
        (
            Wanted::all().with(Condition::Lacks { texts: vec!["app1".to_owned()] }),
            Box::new(move |line| !text(line).contains("app1")),
        ),
        (
            Wanted::of_app(1)
                .with(Condition::Matches { regex: regex("[02468] of"), negated: true }),
            Box::new(move |line| line.app == 1 && line.fields["level"] == "error"),
        ),
        // Of the stream with a label of that name the condition holds always.
        (
            Wanted::all().with_field("level", "error"),
            Box::new(|line| line.fields["level"] == "error" || line.app == 3),
        ),
        (
            Wanted { time: TimeUnit::Nanos.between(TODAY_NS + 5, TODAY_NS + 9), ..Wanted::all() },
            Box::new(|line| (TODAY_NS + 5..=TODAY_NS + 9).contains(&line.time)),
        ),
    ];
    for (wanted, is_gone) in cases {
        let mut world = world();
        world.write_lines(&lines(0..40)).unwrap();
        world.flush().unwrap();
        world.write_lines(&lines(40..80)).unwrap();
        world.delete(wanted.time, wanted.delete()).unwrap();
        world.write_lines(&lines(80..100)).unwrap();
        world.write_lines(&lines(5..8)).unwrap();
        let remaining = lines(0..80).into_iter().filter(|line| !is_gone(line));
        let expected = sorted(remaining.chain(lines(80..100)).chain(lines(5..8)).collect());
        assert!(expected.len() < 4 * 103, "{wanted:?} deletes nothing");
        let check = |world: &World, state: &str| {
            assert!(read(world, &Wanted::all()) == expected, "{wanted:?}, {state}");
        };
        check(&world, "at once");
        world.flush().unwrap();
        check(&world, "flushed");
        let mut world = reopened(world);
        check(&world, "reopened");
        world.store.erase_deleted(&world.tenant).unwrap();
        check(&world, "erased");
        world.merge(true).unwrap();
        check(&world, "merged");
        world.write_lines(&[]).unwrap();
        check(&reopened(world), "reopened again");
    }
}

#[test]
fn a_delete_whose_outcome_was_unknown_is_whole_or_was_never_there() {
    for operation in [Operation::SyncDir, Operation::RenameNew, Operation::Create] {
        let mut world = world();
        world.write_lines(&[line(1, 0), line(2, 0)]).unwrap();
        world.flush().unwrap();
        world.write_lines(&[line(1, 1), line(2, 1)]).unwrap();
        world.disk.fail_next(operation, Fault::Eio);
        assert!(world.delete(Wanted::all().time, Wanted::of_app(1).delete()).is_err());
        // The delete does not apply to later lines.
        world.write_lines(&[line(1, 2)]).unwrap();
        world.flush().unwrap();
        let found = read(&world, &Wanted::all());
        let of_one: Vec<i64> =
            found.iter().filter(|line| line.app == 1).map(|line| line.time - TODAY_NS).collect();
        assert!(of_one == [0, 1, 2] || of_one == [2], "{operation:?}: {of_one:?}");
        assert_eq!(read(&reopened(world), &Wanted::all()), found, "{operation:?}");
    }
}

#[test]
fn a_tombstone_that_can_not_be_read_does_not_bring_lines_back() {
    let mut world = world();
    world.write_lines(&lines(0..2)).unwrap();
    world.flush().unwrap();
    let store = parts_of(&world);
    let tombstone = Tombstone {
        id: store.mint_id(),
        time: TimeUnit::Nanos.everything(),
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

#[test]
fn a_batch_of_a_newer_version_outlives_flushes_and_restarts() {
    let mut world = world();
    world.write_lines(&[line(0, 0)]).unwrap();
    let newer =
        Batch { tenant: &world.tenant, signal: Signal::Logs, schema: 99, payload: b"newer" };
    let position: WalPosition = world.log.append_wait(&newer).unwrap();
    world.write_lines(&[line(0, 1)]).unwrap();
    let disk = world.disk.crash(CrashPolicy::KeepAll);
    let error = World::open(disk.clone(), Arc::new(SimClock::new()), 2).unwrap_err().to_string();
    assert!(error.contains("schema 99"), "{error}");
    let mut world = World::open_lenient(disk, Arc::new(SimClock::new()), 2).unwrap();
    for step in 2..6 {
        world.write_lines(&[line(0, step)]).unwrap();
        world.flush().unwrap();
    }
    for round in 0..3 {
        let refused = world.engine.refused();
        assert_eq!((refused.len(), refused[0].lowest), (1, Some(position)), "{round}");
        assert_eq!(read(&world, &Wanted::all()).len(), 6, "round {round}");
        let disk = world.disk.crash(CrashPolicy::KeepAll);
        world = World::open_lenient(disk, Arc::new(SimClock::new()), 3).unwrap();
        world.flush().unwrap();
    }
}

#[test]
fn streams_beyond_the_limit_are_refused_and_known_ones_are_not() {
    let settings = StoreSettings {
        streams_max: 3,
        streams_setting: "logs.streams_max",
        ..StoreSettings::default()
    };
    let (disk, clock) = (SimDisk::new(), Arc::new(SimClock::new()));
    let mut world = World::open_with(disk, clock, 1, settings, |e| Err(e.into())).unwrap();
    world.write_lines(&[line(0, 0), line(1, 0), line(2, 0)]).unwrap();
    let error = world.write_lines(&[line(0, 1), line(4, 1)]).unwrap_err().to_string();
    assert!(error.contains("logs.streams_max") && error.contains("1 new streams"), "{error}");
    world.write_lines(&[line(2, 2)]).unwrap();
    assert_eq!(read(&world, &Wanted::all()).len(), 4);
    world.flush().unwrap();
    world.write_lines(&[line(4, 3)]).unwrap();
}

#[test]
fn reading_and_deleting_create_no_tenants() {
    let mut world = world();
    world.tenant = TenantId::new("nobody").unwrap();
    assert_eq!(read(&world, &Wanted::all()), []);
    world.delete(Wanted::all().time, Wanted::of_app(1).delete()).unwrap();
    assert_eq!(world.store.erase_deleted(&world.tenant).unwrap(), 0);
    assert_eq!(world.store.time_range(&world.tenant), None);
    assert!(world.engine.tenants().is_empty() && world.store.tenants().is_empty());
    assert!(world.disk.list("blobs/manifests").unwrap().is_empty());
}

/// Late and early lines go to the parts of their days, also at the ends of time.
#[test]
fn lines_of_any_time_are_kept() {
    let mut world = world();
    let times = [i64::MIN, i64::MIN + 1, -DAY_NS, -1, 0, 1, TODAY_NS - 1, TODAY_NS, i64::MAX];
    let lines = times.map(|time| Line::new(0, time, format!("at {time}")));
    world.write_lines(&lines).unwrap();
    for state in ["in memory", "flushed", "merged"] {
        assert_eq!(read(&world, &Wanted::all()), sorted(lines.to_vec()), "{state}");
        for line in &lines {
            let time = TimeUnit::Nanos.at(line.time);
            let found = read(&world, &Wanted { time, ..Wanted::all() });
            assert_eq!(found, std::slice::from_ref(line), "{state}");
        }
        world.flush().unwrap();
        if state == "flushed" {
            world.merge(true).unwrap();
        }
    }
}

// ── following ──

/// The lines that a follower has got.
fn fresh_lines(world: &World, tail: &log_store::Tail, wanted: &Wanted) -> (Vec<Line>, u64) {
    let (fresh, missed) = tail.take();
    let needs = log_store::Needs { lines: true, fields: None };
    let select = log_store::Select {
        time: wanted.time,
        matchers: &wanted.matchers,
        conditions: &wanted.conditions,
        identifier: None,
        texts: &log_store::NO_TEXTS,
        order: Order::OldestFirst,
        needs: &needs,
    };
    (lines_of(&world.store.select_fresh(&fresh, &select)), missed.lines)
}

#[test]
fn followers_get_the_lines_that_come() {
    let mut world = world();
    world.write_lines(&lines(0..2)).unwrap();
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    let wake = Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let tail = world.store.follow(&world.tenant, wake).unwrap();
    assert_eq!(fresh_lines(&world, &tail, &Wanted::all()), (Vec::new(), 0));
    // Streams in another order than the head has them.
    let mut newer = lines(2..5);
    newer.reverse();
    world.write_lines(&newer).unwrap();
    world.write_lines(&lines(5..6)).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 2);
    assert_eq!(fresh_lines(&world, &tail, &Wanted::all()), (lines(2..6), 0));
    assert_eq!(fresh_lines(&world, &tail, &Wanted::all()), (Vec::new(), 0));
    world.write_lines(&lines(6..9)).unwrap();
    world.flush().unwrap();
    let wanted = Wanted { matchers: vec![Matcher::equal("app", "a2")], ..Wanted::all() };
    let found = fresh_lines(&world, &tail, &wanted.with_field("level", "error"));
    assert_eq!(found, (vec![line(2, 7)], 0));
    // Other tenants' lines are not theirs.
    world.tenant = TenantId::new("other").unwrap();
    world.write_lines(&lines(9..10)).unwrap();
    assert_eq!(fresh_lines(&world, &tail, &Wanted::all()), (Vec::new(), 0));
    drop(tail);
    world.tenant = TenantId::default_tenant();
    world.write_lines(&lines(10..11)).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 3);
}

/// A reader that follows first and selects then must not miss a line between the two.
#[test]
fn a_line_that_is_handed_on_is_there() {
    let mut world = world();
    let (store, tenant) = (world.store.clone(), world.tenant.clone());
    let seen = Arc::new(OnceLock::new());
    let told = Arc::clone(&seen);
    let look = move |store: &LogStore| {
        let selection = Wanted::all().select(store, &tenant, Order::NewestFirst);
        told.set(lines_of(&selection)).unwrap();
    };
    let tail = world.store.follow(&world.tenant, Box::new(move || look(&store))).unwrap();
    world.write_lines(&lines(0..3)).unwrap();
    assert_eq!(seen.get(), Some(&lines(0..3)));
    drop(tail);
}

#[test]
fn slow_followers_are_told_how_many_lines_they_missed() {
    let mut world = world();
    let tail = world.store.follow(&world.tenant, Box::new(|| {})).unwrap();
    let long = |n: i64| Line::new(0, TODAY_NS + n, vec![b'x'; 1 << 20]);
    let mut written = 0;
    for n in 0..20 {
        world.write_lines(&[long(2 * n), long(2 * n + 1)]).unwrap();
        written += 2;
    }
    let (found, dropped) = fresh_lines(&world, &tail, &Wanted::all());
    assert_eq!(found.len() as u64 + dropped, written);
    assert!((2..=8).contains(&found.len()), "{}", found.len());
    // A batch that is larger than what may wait comes when nothing else waits.
    let batch: Vec<Line> = (100..110).map(long).collect();
    world.write_lines(&batch).unwrap();
    world.write_lines(&[long(200)]).unwrap();
    assert_eq!(fresh_lines(&world, &tail, &Wanted::all()), (batch, 1));
    world.write_lines(&[long(300)]).unwrap();
    assert_eq!(fresh_lines(&world, &tail, &Wanted::all()), (vec![long(300)], 0));
    assert_eq!(read(&world, &Wanted::all()).len(), 52);
}

#[test]
fn a_batch_that_was_not_committed_is_not_there() {
    let mut world = world();
    drop(world.store.batch(&world.tenant));
    world.disk.fail_next(Operation::Append, Fault::Enospc);
    assert!(world.write_lines(&lines(0..1)).is_err());
    assert_eq!(read(&world, &Wanted::all()), []);
}

/// A trace's lines and a pod's lines are found whatever holds the identifier, in the head and in parts,
/// and only row groups that have it are read.
#[test]
fn lines_with_an_identifier_are_found_wherever_it_is() {
    let (hex, uuid) = ("1b4e28ba2fa111d2883f0016d3cca427", "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    let bytes: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let at = |number: i64| TODAY_NS + number;
    let carrying = [
        Line::new(0, at(1), "a field").with("trace_id", hex),
        Line::new(0, at(2), "a field that few lines have").with("pod_uid", uuid),
        Line::new(1, at(3), format!("pod {uuid} is up")),
        Line::new(1, at(4), format!("traceparent: 00-{hex}-00f067aa0ba902b7-01")),
        Line::new(2, at(5), format!(r#"{{"a":{{"trace":"{hex}"}}}}"#)),
        Line::new(2, at(6), format!(r#"{{"{uuid}":"a key", "message":"about {hex}."}}"#)),
    ];
    let others = [
        Line::new(0, at(7), format!("part of a word: x{hex} {hex}0 {uuid}_")),
        Line::new(1, at(8), "another").with("trace_id", "1b4e28ba2fa111d2883f0016d3cca428"),
    ];
    let mut world = world();
    let wanted = Wanted::all().carrying(&bytes);
    for round in 0..3 {
        let filling: Vec<Line> = (0..200)
            .map(|i| Line::new(i % 4, at(100 + i64::from(i)), format!("line {i}")))
            .collect();
        if round == 0 {
            world.write_lines(&carrying).unwrap();
            world.write_lines(&others).unwrap();
        }
        world.write_lines(&filling).unwrap();
        assert_eq!(read(&world, &wanted), sorted(carrying.to_vec()), "in the head");
        world.flush().unwrap();
        assert_eq!(read(&world, &wanted), sorted(carrying.to_vec()), "in a part");
        let selection = wanted.select(&world.store, &world.tenant, Order::NewestFirst);
        assert_eq!(selection.pieces().len(), 1, "of {} parts", round + 1);
    }
    world.merge(true).unwrap();
    assert_eq!(read(&world, &wanted), sorted(carrying.to_vec()), "in a merged part");
    let absent = Wanted::all().carrying(&[0xAB, 1, 2, 3]);
    assert_eq!(absent.select(&world.store, &world.tenant, Order::NewestFirst).pieces().len(), 0);
}

/// The label of a stream may be the identifier.
#[test]
fn lines_of_a_stream_with_an_identifier_are_found() {
    let mut world = world();
    let labels =
        Labels::from_pairs([("pod_uid", "1b4e28ba-2fa1-11d2-883f-0016d3cca427"), ("app", "a0")]);
    let write = |batch: &mut LogBatch| {
        batch.stream(labels.as_bytes());
        batch.line(TODAY_NS, b"of the pod", &[]);
    };
    world.write(write).unwrap();
    world.write_lines(&lines(0..20)).unwrap();
    let wanted = Wanted::all().carrying(&[
        0x1b, 0x4e, 0x28, 0xba, 0x2f, 0xa1, 0x11, 0xd2, 0x88, 0x3f, 0, 0x16, 0xd3, 0xcc, 0xa4, 0x27,
    ]);
    for _ in 0..2 {
        assert_eq!(read(&world, &wanted), [Line::new(0, TODAY_NS, "of the pod")]);
        world.flush().unwrap();
    }
}
