//! Matchers, hints, names, exemplars, metadata, limits.

use crate::world::{LIMITS, Row, TODAY_MS, World, labels};
use metric_store::{BatchBuilder, Exemplar, Limits, Scratch, Select, StoreError};
use model::{
    ErrorKind, Labels, MatchOp, Matcher, MetricKind, MetricMetadata, STALE_BITS, TimeUnit,
    Unbounded,
};
use platform::sim::{CrashPolicy, SimClock, SimDisk};
use std::collections::BTreeSet;
use std::sync::Arc;

fn world() -> World {
    World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap()
}

fn names(world: &World, matchers: &[Matcher]) -> Vec<String> {
    let wanted = Select { time: TimeUnit::Millis.everything(), matchers, values_needed: false };
    let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
    let values = (0..selection.len()).map(|i| selection.labels(i).value("number").to_owned());
    let values: BTreeSet<String> = values.filter(|value| !value.is_empty()).collect();
    let values: Vec<String> = values.into_iter().collect();
    // A listing reads dictionaries and lists instead of series, and must return the same.
    assert_eq!(
        world.store.label_values(&world.tenant, &wanted, "number", &mut Unbounded).unwrap().0,
        values
    );
    values
}

/// Runs the check over the live head, over a frozen one, over parts, and over parts and a head.
fn in_every_state(world: &mut World, check: impl Fn(&World, &str)) {
    check(world, "live");
    world.cut();
    check(world, "frozen");
    world.flush().unwrap();
    check(world, "level 0");
    world.merge(true).unwrap();
    check(world, "merged");
    world.write(&[(0, TODAY_MS + 90_000, Row { bits: 0, start: 0 })]).unwrap();
    check(world, "part and head");
}

#[test]
fn matchers_select_series() {
    let mut world = world();
    let row = |series: u32| (series, TODAY_MS, Row { bits: u64::from(series), start: 0 });
    world.write(&(0..30).map(row).collect::<Vec<_>>()).unwrap();
    let pattern = |label: &str, pattern: &str, matches: bool| {
        let op = if matches { MatchOp::Regex } else { MatchOp::NotRegex };
        Matcher::new(op, label, pattern).unwrap()
    };
    in_every_state(&mut world, |world, state| {
        let check = |matchers: &[Matcher], wanted: &dyn Fn(u32) -> bool| {
            let mut expected: Vec<String> =
                (0..30).filter(|series| wanted(*series)).map(|series| series.to_string()).collect();
            expected.sort();
            assert_eq!(names(world, matchers), expected, "{state}: {matchers:?}");
        };
        check(&[], &|_| true);
        check(&[Matcher::equal("__name__", "metric_1")], &|s| s / 10 == 1);
        check(&[Matcher::equal("__name__", "metric_9")], &|_| false);
        check(&[Matcher::equal("zone", "")], &|s| s % 3 == 2);
        check(&[Matcher::not_equal("zone", "")], &|s| s % 3 != 2);
        check(&[pattern("number", ".*7", true)], &|s| s % 10 == 7);
        check(&[pattern("number", "[0-9]*7", true)], &|s| s % 10 == 7);
        check(&[pattern("number", ".*7", false), pattern("__name__", ".*_2", true)], &|s| {
            s % 10 != 7 && s / 10 == 2
        });
        check(&[pattern("number", "1.*", true)], &|s| s == 1 || s / 10 == 1);
        check(&[pattern("number", "2[0-4]", false)], &|s| !(20..25).contains(&s));
        check(&[pattern("number", "3|14|99", true)], &|s| s == 3 || s == 14);
        check(&[pattern("number", "3|14|99", false)], &|s| s != 3 && s != 14);
        check(&[pattern("zone", "|a", true)], &|s| s % 3 != 1);
        check(&[Matcher::equal("nothing", "")], &|_| true);
        check(&[pattern("__name__", ".*", false)], &|_| false);
    });
}

#[test]
fn without_values_times_and_stale_markers_are_true() {
    let mut world = world();
    let bits = [1.0f64.to_bits(), 2.5f64.to_bits(), STALE_BITS, 2.5f64.to_bits()];
    let row = |(index, bits): (usize, &u64)| {
        (0, TODAY_MS + index as i64 * 15_000, Row { bits: *bits, start: 0 })
    };
    for entry in bits.iter().enumerate() {
        world.write(&[row(entry), (1, row(entry).1, row((0, &bits[0])).2)]).unwrap();
    }
    in_every_state(&mut world, |world, state| {
        let time = TimeUnit::Millis.between(TODAY_MS + 15_000, TODAY_MS + 45_000);
        let wanted = Select { time, matchers: &[], values_needed: false };
        let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
        assert_eq!(selection.len(), 2, "{state}");
        for index in 0..2 {
            let mut scratch = Scratch::default();
            let floats = selection.read(index, &mut scratch).unwrap().floats;
            assert_eq!(floats.times, [TODAY_MS + 15_000, TODAY_MS + 30_000, TODAY_MS + 45_000]);
            let stale: Vec<bool> =
                floats.values.iter().map(|value| value.to_bits() == STALE_BITS).collect();
            let expected = selection.labels(index).value("number") == "0";
            assert_eq!(stale, [false, expected, false], "{state}");
        }
    });
}

#[test]
fn exemplars_and_metadata_come_back() {
    let mut world = world();
    let exemplar = |time_ms: i64| Exemplar {
        labels: Labels::from_pairs([("trace_id", "abc")]),
        time_ms,
        value: 0.25,
    };
    let metadata = |help: &str| MetricMetadata {
        kind: MetricKind::Counter,
        unit: "bytes".to_owned(),
        help: help.to_owned(),
    };
    let write = |world: &mut World, help: &str, time: i64| {
        world
            .write_batch(|batch: &mut BatchBuilder| {
                let slot = batch.series(labels(0).as_bytes());
                batch.sample(slot, time, 1.0);
                batch.exemplar(slot, exemplar(time));
                batch.metadata("metric_0", metadata(help));
            })
            .unwrap();
    };
    write(&mut world, "old", TODAY_MS);
    world.flush().unwrap();
    write(&mut world, "new", TODAY_MS + 1);
    in_every_state(&mut world, |world, state| {
        let known = world.store.metadata(&world.tenant, &mut Unbounded).unwrap();
        assert_eq!(known["metric_0"], metadata("new"), "{state}");
        let all = world
            .store
            .exemplars(&world.tenant, TimeUnit::Millis.everything(), &[], &mut Unbounded)
            .unwrap();
        assert_eq!(all, [(labels(0), vec![exemplar(TODAY_MS), exemplar(TODAY_MS + 1)])], "{state}");
        let one = [Matcher::equal("number", "0")];
        let found = world
            .store
            .exemplars(&world.tenant, TimeUnit::Millis.at(TODAY_MS), &one, &mut Unbounded)
            .unwrap();
        assert_eq!(found.len(), 1, "{state}");
        let other = [Matcher::equal("number", "1")];
        assert!(
            world
                .store
                .exemplars(&world.tenant, TimeUnit::Millis.everything(), &other, &mut Unbounded)
                .unwrap()
                .is_empty()
        );
    });
    let disk = world.disk.crash(CrashPolicy::LoseUnsynced);
    drop(world);
    let world = World::open(disk, Arc::new(SimClock::new()), 2).unwrap();
    assert_eq!(
        world.store.metadata(&world.tenant, &mut Unbounded).unwrap()["metric_0"],
        metadata("new")
    );
}

#[test]
fn a_limit_refuses_new_series_and_names_itself() {
    let world = world();
    let mut batch = BatchBuilder::new();
    for series in 0..5 {
        let slot = batch.series(labels(series).as_bytes());
        batch.sample(slot, TODAY_MS, 1.0);
    }
    let limits = Limits { active_series_max: 3, setting: "metrics.active_series_max" };
    let mut payload = Vec::new();
    let prepared = world.store.prepare(&world.tenant, limits, &mut batch, &mut payload).unwrap();
    let refused = prepared.refused.as_ref().unwrap();
    assert_eq!((refused.series, refused.counts.samples, batch.sample_count()), (2, 2, 3));
    assert_eq!(refused.error.kind(), ErrorKind::Limit);
    assert!(refused.error.to_string().contains("active_series_max"), "{}", refused.error);
    let position = world.log.end();
    world.store.apply(prepared, &mut batch, position).unwrap();
    assert_eq!(names(&world, &[]), ["0", "1", "2"]);
}

#[test]
fn labels_that_are_not_canonical_are_refused() {
    let world = world();
    let mut batch = BatchBuilder::new();
    let slot = batch.series(b"\x01b\x011\x01a\x011");
    batch.sample(slot, TODAY_MS, 1.0);
    let error =
        world.store.prepare(&world.tenant, LIMITS, &mut batch, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, StoreError::Labels), "{error}");
}

#[test]
fn statistics_count_what_there_is() {
    let mut world = world();
    let row = |series: u32| (series, TODAY_MS, Row { bits: 7, start: 0 });
    world.write(&(0..25).map(row).collect::<Vec<_>>()).unwrap();
    in_every_state(&mut world, |world, state| {
        let wanted =
            Select { time: TimeUnit::Millis.everything(), matchers: &[], values_needed: false };
        let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
        let cardinality = selection.cardinality(2, &mut Unbounded).unwrap();
        assert_eq!(cardinality.series, 25, "{state}");
        let shown = |counts: &[metric_store::NameCount]| -> Vec<String> {
            counts.iter().map(|entry| format!("{} {}", entry.name, entry.count)).collect()
        };
        assert_eq!(shown(&cardinality.metrics), ["metric_0 10", "metric_1 10"], "{state}");
        assert_eq!(shown(&cardinality.labels), ["number 25", "__name__ 3"], "{state}");
        assert_eq!(shown(&cardinality.pairs)[0], "__name__=metric_0 10", "{state}");
        let names = world.store.label_names(&world.tenant, &wanted, &mut Unbounded).unwrap().0;
        assert_eq!(names, ["__name__", "number", "zone"], "{state}");
        let matchers = [Matcher::equal("number", "3")];
        let wanted = Select { matchers: &matchers, ..wanted };
        let values = |label| {
            world.store.label_values(&world.tenant, &wanted, label, &mut Unbounded).unwrap().0
        };
        assert_eq!(values("number"), ["3"], "{state}");
        assert_eq!(values("__name__").len(), 1, "{state}");
        assert_eq!(values("missing").len(), 0, "{state}");
    });
}

#[test]
fn retention_drops_old_days() {
    let mut world = world();
    for day in 0..3 {
        let time = TODAY_MS - day * crate::world::DAY_MS;
        world.write(&[(0, time, Row { bits: 7, start: 0 })]).unwrap();
        world.flush().unwrap();
    }
    assert_eq!(world.retain(Some(TODAY_MS - crate::world::DAY_MS), None), 1);
    assert_eq!(world.rows(TimeUnit::Millis.everything()).unwrap().len(), 2);
    assert_eq!(world.retain(None, Some(1)), 2);
    assert!(world.rows(TimeUnit::Millis.everything()).unwrap().is_empty());
}

/// Series that the write-ahead log defines in an earlier epoch are found again.
#[test]
fn restarts_in_a_row_lose_nothing() {
    let mut disk = SimDisk::new();
    let clock = Arc::new(SimClock::new());
    for restart in 0..6 {
        let mut world = World::open(disk.clone(), clock.clone(), restart).unwrap();
        assert_eq!(world.rows(TimeUnit::Millis.everything()).unwrap().len() as u64, restart * 10);
        let time = TODAY_MS + restart as i64 * 15_000;
        let row = |series: u32| (series, time, Row { bits: restart, start: 0 });
        world.write(&(0..10).map(row).collect::<Vec<_>>()).unwrap();
        if restart == 3 {
            world.flush().unwrap();
        }
        disk = world.disk.crash(CrashPolicy::LoseUnsynced);
    }
}

/// Queries are split by ranges of series: any number of threads read one selection.
#[test]
fn threads_share_a_selection() {
    let mut world = world();
    let row = |series: u32| (series, TODAY_MS, Row { bits: u64::from(series), start: 0 });
    world.write(&(0..40).map(row).collect::<Vec<_>>()).unwrap();
    world.flush().unwrap();
    world.write(&[(3, TODAY_MS + 1, Row { bits: 9, start: 0 })]).unwrap();
    let wanted = Select { time: TimeUnit::Millis.everything(), matchers: &[], values_needed: true };
    let selection = Arc::new(world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    let workers: Vec<_> = (0..4)
        .map(|part| {
            let (selection, sender) = (Arc::clone(&selection), sender.clone());
            let run = move || {
                let mut scratch = Scratch::default();
                for index in (part..selection.len()).step_by(4) {
                    let read = selection.read(index, &mut scratch).unwrap();
                    sender.send(read.floats.times.len() + read.histograms.times.len()).unwrap();
                }
            };
            platform::threads::Worker::start("reader", run).unwrap()
        })
        .collect();
    drop(sender);
    assert_eq!(receiver.iter().sum::<usize>(), 41);
    drop(workers);
}

#[test]
fn selections_know_whether_they_are_in_the_order_of_labels() {
    let plain = [("__name__", "metric_0"), ("job", "x")];
    let early = [("UUID", "1"), ("__name__", "metric_9")];
    let (nameless, reserved) = ([("job", "x")], [("__address__", "a"), ("__name__", "z")]);
    for (odd, is_in_order) in
        [(&plain[..], true), (&early[..], false), (&nameless[..], false), (&reserved[..], false)]
    {
        let mut world = world();
        let write = |batch: &mut BatchBuilder| {
            for series in [labels(3), labels(12), Labels::from_pairs(odd.iter().copied())] {
                let slot = batch.series(series.as_bytes());
                batch.sample(slot, TODAY_MS, 1.0);
            }
        };
        world.write_batch(write).unwrap();
        in_every_state(&mut world, |world, state| {
            let time = TimeUnit::Millis.everything();
            let wanted = Select { time, matchers: &[], values_needed: false };
            let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
            assert_eq!(selection.is_in_label_order(), is_in_order, "{state} {odd:?}");
            let all: Vec<Labels> = (0..selection.len()).map(|i| selection.labels(i)).collect();
            assert_eq!(all.is_sorted(), is_in_order, "{state} {all:?}");
        });
    }
}

#[test]
fn reading_an_unknown_tenant_creates_nothing() {
    let world = world();
    for number in 0..50 {
        let tenant = model::TenantId::new(&format!("tenant-{number}")).unwrap();
        let wanted =
            Select { time: TimeUnit::Millis.everything(), matchers: &[], values_needed: false };
        assert!(world.store.select(&tenant, &wanted, &mut Unbounded).unwrap().is_empty());
        assert!(world.store.label_names(&tenant, &wanted, &mut Unbounded).unwrap().0.is_empty());
        assert!(world.store.metadata(&tenant, &mut Unbounded).unwrap().is_empty());
        assert!(
            world
                .store
                .exemplars(&tenant, TimeUnit::Millis.everything(), &[], &mut Unbounded)
                .unwrap()
                .is_empty()
        );
        let delete =
            world.store.resolve_delete(&tenant, &[], TimeUnit::Millis.everything()).unwrap();
        assert!(delete.is_none());
    }
    assert_eq!(world.engine.stats().tenants, 0);
}

#[test]
fn a_deleted_exemplar_is_gone_in_every_state_and_a_kept_one_stands_once() {
    let exemplar = |time_ms: i64, value: f64| {
        let labels = Labels::from_pairs([("trace_id", "a")]);
        Exemplar { labels, time_ms, value }
    };
    let check = |world: &World, context: &str| {
        let found = world
            .store
            .exemplars(&world.tenant, TimeUnit::Millis.everything(), &[], &mut Unbounded)
            .unwrap();
        let found: Vec<_> = found.iter().flat_map(|(_, all)| all.clone()).collect();
        let kept = [exemplar(TODAY_MS + 9, 1.0), exemplar(TODAY_MS + 9, 2.0)];
        assert_eq!(found, kept, "{context}");
    };
    for cuts_first in [false, true] {
        let mut world = world();
        let write = |batch: &mut BatchBuilder| {
            let slot = batch.series(labels(1).as_bytes());
            batch.sample(slot, TODAY_MS, 1.0);
            let all = [(0, 1.0), (9, 1.0), (9, 2.0), (9, 1.0), (9, 2.0)];
            all.iter()
                .for_each(|(at, value)| batch.exemplar(slot, exemplar(TODAY_MS + at, *value)));
        };
        world.write_batch(write).unwrap();
        if cuts_first {
            world.cut();
        }
        world.delete(&[Matcher::equal("number", "1")], TimeUnit::Millis.at(TODAY_MS)).unwrap();
        check(&world, "head");
        world.flush().unwrap();
        check(&world, "part");
        world.merge(true).unwrap();
        check(&world, "merged");
    }
}
