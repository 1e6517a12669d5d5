//! Data of one day that does not fit into a page.

use crate::world::{TODAY_MS, World};
use metric_store::{Exemplar, HistogramSample, Scratch, Select};
use model::{Buckets, FloatHistogram, Labels, MetricKind, MetricMetadata, TimeUnit, Unbounded};
use parts::PAGE_RAW_MAX;
use platform::sim::{SimClock, SimDisk};
use std::sync::Arc;

const STEPS: usize = 100;

/// Flushed in halves and then merged, to test both ways of making a part.
fn in_two_parts_and_in_one(mut write: impl FnMut(&mut World, usize), check: impl Fn(&World)) {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    for step in 0..STEPS {
        write(&mut world, step);
        if step + 1 == STEPS / 2 {
            world.flush().unwrap();
        }
    }
    world.flush().unwrap();
    check(&world);
    world.merge(true).unwrap();
    assert_eq!(world.engine.stats().parts, 1);
    check(&world);
}

fn labels(number: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("number", number.to_string().as_str())])
}

#[test]
fn histograms_of_one_metric() {
    let buckets = (0..1_000).map(|index| (index, f64::from(index) + 0.5));
    let histogram = Arc::new(FloatHistogram {
        positive: Buckets::from_entries(buckets),
        ..FloatHistogram::default()
    });
    let series = 2 * PAGE_RAW_MAX / (STEPS * 1_000 * 8) + 1;
    let write = |world: &mut World, step: usize| {
        let fill = |batch: &mut metric_store::BatchBuilder| {
            for number in 0..series {
                let slot = batch.series(labels(number).as_bytes());
                let (time_ms, start_ms) = (TODAY_MS + step as i64, 0);
                let histogram = Arc::clone(&histogram);
                batch.histogram(slot, HistogramSample { time_ms, start_ms, histogram });
            }
        };
        world.write_batch(fill).unwrap();
    };
    in_two_parts_and_in_one(write, |world| {
        let wanted =
            Select { time: TimeUnit::Millis.everything(), matchers: &[], values_needed: true };
        let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
        assert_eq!(selection.len(), series);
        let mut scratch = Scratch::default();
        for index in 0..series {
            let read = selection.read(index, &mut scratch).unwrap();
            assert_eq!(read.histograms.values.len(), STEPS);
            assert!(read.histograms.values.iter().all(|found| **found == *histogram));
        }
    });
}

/// More than fits into a page: the merge goes on, in two parts, and so does a merge after it.
#[test]
fn histograms_of_one_series() {
    let steps = 160;
    let histogram = |step: usize| {
        let bucket = |index: i32| (index, f64::from((index * 7_919 + step as i32) % 1_000) + 0.1);
        let positive = Buckets::from_entries((0..64_000).map(bucket));
        FloatHistogram { positive, sum: step as f64, ..FloatHistogram::default() }
    };
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    for step in 0..steps {
        let fill = |batch: &mut metric_store::BatchBuilder| {
            for number in 0..2 {
                let slot = batch.series(labels(number).as_bytes());
                let time_ms = TODAY_MS + step as i64;
                match number {
                    0 => {
                        let histogram = Arc::new(histogram(step));
                        let sample = HistogramSample { time_ms, start_ms: 5, histogram };
                        batch.histogram(slot, sample);
                    }
                    _ => batch.sample(slot, time_ms, 1.0),
                }
            }
        };
        world.write_batch(fill).unwrap();
        if step % 40 == 39 {
            world.flush().unwrap();
        }
    }
    let check = |world: &World| {
        let wanted =
            Select { time: TimeUnit::Millis.everything(), matchers: &[], values_needed: true };
        let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
        assert_eq!(selection.len(), 2);
        let mut scratch = Scratch::default();
        let read = selection.read(0, &mut scratch).unwrap();
        assert_eq!(read.histograms.values.len(), steps);
        let found = read.histograms.values.iter().enumerate();
        found.for_each(|(step, found)| assert!(**found == histogram(step), "{step}"));
        assert!(read.histograms.starts.iter().all(|start| *start == 5));
        assert_eq!(selection.read(1, &mut scratch).unwrap().floats.values.len(), steps);
    };
    check(&world);
    for _ in 0..2 {
        world.merge(true).unwrap();
        let parts = world.engine.stats().parts;
        assert!((2..=4).contains(&parts), "{parts}");
        check(&world);
    }
}

#[test]
fn exemplars() {
    let trace = "x".repeat(100_000);
    let exemplar_labels = Labels::from_pairs([("trace_id", trace.as_str())]);
    let each = 2 * PAGE_RAW_MAX / (STEPS * trace.len()) + 1;
    let write = |world: &mut World, step: usize| {
        let fill = |batch: &mut metric_store::BatchBuilder| {
            let slot = batch.series(labels(0).as_bytes());
            let first = TODAY_MS + (step * each) as i64;
            batch.sample(slot, first, 1.0);
            for time_ms in first..first + each as i64 {
                let labels = exemplar_labels.clone();
                batch.exemplar(slot, Exemplar { labels, time_ms, value: 1.0 });
            }
        };
        world.write_batch(fill).unwrap();
    };
    in_two_parts_and_in_one(write, |world| {
        let found = world
            .store
            .exemplars(&world.tenant, TimeUnit::Millis.everything(), &[], &mut Unbounded)
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.len(), STEPS * each);
    });
}

#[test]
fn metadata() {
    let help = "x".repeat(2 * PAGE_RAW_MAX / STEPS);
    let write = |world: &mut World, step: usize| {
        let fill = |batch: &mut metric_store::BatchBuilder| {
            let (kind, unit) = (MetricKind::Gauge, String::new());
            let metadata = MetricMetadata { kind, unit, help: help.clone() };
            batch.metadata(&format!("m{step}"), metadata);
        };
        world.write_batch(fill).unwrap();
    };
    in_two_parts_and_in_one(write, |world| {
        assert_eq!(world.store.metadata(&world.tenant, &mut Unbounded).unwrap().len(), STEPS);
    });
}
