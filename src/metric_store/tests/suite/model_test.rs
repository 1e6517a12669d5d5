//! Random writes, cuts, flushes, merges, deletes and restarts, with a `BTreeMap` as the model.

use crate::world::{DAY_MS, Row, Rows, TODAY_MS, World, labels};
use model::{Matcher, STALE_BITS, TimeRange, TimeUnit};
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use platform::{Random, SeededRandom};
use std::sync::Arc;
use std::time::Duration;

const SERIES: u64 = 60;

/// The steps so far, shown when a check fails.
#[derive(Default)]
struct Trace(Vec<(usize, u64, i64)>);

impl Trace {
    fn push(&mut self, step: (usize, u64, i64)) {
        self.0.push(step);
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("steps, choices, times: {:?}", self.0);
        }
    }
}

fn bits(random: &SeededRandom) -> u64 {
    match random.below(10) {
        0 => random.next_u64(),
        1 => STALE_BITS,
        2 => (-0.0f64).to_bits(),
        3..6 => (random.below(1_000) as f64 / 8.0).to_bits(),
        _ => 1.5f64.to_bits(),
    }
}

/// Mostly a scrape of many series at one moment; sometimes any samples at any time.
fn any_rows(random: &SeededRandom, now: i64) -> Vec<(u32, i64, Row)> {
    let row = |random: &SeededRandom| Row {
        bits: bits(random),
        start: if random.below(4) == 0 { TODAY_MS - random.below(3) as i64 } else { 0 },
    };
    if random.below(4) > 0 {
        let first = random.below(SERIES);
        let count = random.below(SERIES - first) + 1;
        let jitter = random.below(2) as i64;
        return (first..first + count)
            .map(|series| (series as u32, now + jitter, row(random)))
            .collect();
    }
    let late = |random: &SeededRandom| {
        let time = now - random.below(2 * DAY_MS as u64) as i64 / 1_000 * 1_000;
        (random.below(SERIES) as u32, time, row(random))
    };
    (0..random.below(20)).map(|_| late(random)).collect()
}

fn any_range(random: &SeededRandom, now: i64) -> TimeRange {
    let one = now - random.below(3 * DAY_MS as u64) as i64;
    let other = now - random.below(DAY_MS as u64 / 4) as i64;
    TimeUnit::Millis.between(one, other)
}

fn delete(world: &World, model: &mut Rows, random: &SeededRandom, now: i64) {
    let range = any_range(random, now);
    let series = labels(random.below(SERIES) as u32);
    let label = ["__name__", "zone", "number"][random.below(3) as usize];
    let matcher = Matcher::equal(label, series.value(label));
    world.delete(std::slice::from_ref(&matcher), range).unwrap();
    model.retain(|(series, time), _| {
        !range.contains(*time) || labels(*series).value(label) != matcher.value
    });
}

fn check(world: &World, model: &Rows, range: TimeRange, step: usize) {
    let found = world.rows(range).unwrap();
    let expected: Rows = model
        .iter()
        .filter(|((_, time), _)| range.contains(*time))
        .map(|(k, v)| (*k, *v))
        .collect();
    for (key, row) in &expected {
        assert_eq!(found.get(key), Some(row), "step {step}: {key:?} of {range:?}");
    }
    assert_eq!(
        found.len(),
        expected.len(),
        "step {step}: rows that were never written in {range:?}"
    );
}

#[test]
fn the_store_is_a_map() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    for round in 0..16 {
        let clock = Arc::new(SimClock::new());
        let mut world = World::open(SimDisk::new(), clock.clone(), seed + round).unwrap();
        let mut model = Rows::new();
        let mut now = TODAY_MS + 3_600_000;
        let mut trace = Trace::default();
        for step in 0..150 {
            now += 15_000;
            let choice = random.below(20);
            trace.push((step, choice, now));
            match choice {
                0 => world.cut(),
                1 | 2 => world.flush().unwrap(),
                3 => drop(world.merge(random.below(2) == 0).unwrap()),
                4 => delete(&world, &mut model, &random, now),
                5 => {
                    let policy = match random.below(2) {
                        0 => CrashPolicy::LoseUnsynced,
                        _ => CrashPolicy::Torn { seed: random.next_u64() },
                    };
                    let disk = world.disk.crash(policy);
                    drop(world);
                    world = World::open(disk, clock.clone(), random.next_u64()).unwrap();
                }
                6 => drop(world.store.erase_deleted(&world.tenant).unwrap()),
                7 => {
                    now += random.below(DAY_MS as u64 / 2) as i64;
                    clock.advance(Duration::from_secs(1_800));
                }
                _ => {
                    let rows = any_rows(&random, now);
                    world.write(&rows).unwrap();
                    model.extend(rows.into_iter().map(|(series, time, row)| ((series, time), row)));
                }
            }
            if step % 5 == 0 {
                check(&world, &model, any_range(&random, now), step);
            }
        }
        check(&world, &model, TimeUnit::Millis.everything(), 1_000);
        world.flush().unwrap();
        world.merge(true).unwrap();
        check(&world, &model, TimeUnit::Millis.everything(), 1_001);
        assert!(world.store.erase_deleted(&world.tenant).is_ok());
        check(&world, &model, TimeUnit::Millis.everything(), 1_002);
    }
}

/// Merging neighbours in any order gives the same rows as sorting them: the last write of each
/// wins.
#[test]
fn a_merge_of_parts_is_a_sort_of_rows() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), seed).unwrap();
    let mut model = Rows::new();
    for flush in 0..40 {
        let rows: Vec<(u32, i64, Row)> = (0..30)
            .map(|_| {
                let row = Row { bits: random.next_u64(), start: 0 };
                (random.below(12) as u32, TODAY_MS + random.below(20) as i64, row)
            })
            .collect();
        world.write(&rows).unwrap();
        model.extend(rows.into_iter().map(|(series, time, row)| ((series, time), row)));
        world.flush().unwrap();
        world.merge(false).unwrap();
        check(&world, &model, TimeUnit::Millis.everything(), flush);
    }
    world.merge(true).unwrap();
    assert_eq!(world.engine.stats().parts, 1);
    check(&world, &model, TimeUnit::Millis.everything(), 1_000);
}
