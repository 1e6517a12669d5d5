//! Weeks in which series appear and disappear.

use crate::world::{TODAY_MS, World};
use metric_store::{BatchBuilder, SeriesStats};
use model::{Labels, TenantId};
use platform::sim::{SimClock, SimDisk};
use std::sync::Arc;
use std::time::Duration;

const HOURS: usize = 21 * 24;
const PER_HOUR: usize = 120;
const HOUR_MS: i64 = 3_600_000;

fn hour(batch: &mut BatchBuilder, hour: usize) {
    // One deployment an hour: all pods have new names.
    for pod in 0..PER_HOUR {
        let pod = format!("{hour}-{pod}");
        let slot = batch.series(Labels::from_pairs([("__name__", "up"), ("pod", &pod)]).as_bytes());
        for minute in [0, 30] {
            batch.sample(slot, TODAY_MS + hour as i64 * HOUR_MS + minute * 60_000, 1.0);
        }
    }
}

#[test]
fn weeks_of_churn_take_no_more_memory_than_a_day() {
    let clock = Arc::new(SimClock::new());
    let mut world = World::open(SimDisk::with_clock(clock.clone()), clock.clone(), 1).unwrap();
    let mut after_a_day = SeriesStats::default();
    for number in 0..HOURS {
        world.write_batch(|batch| hour(batch, number)).unwrap();
        clock.advance(Duration::from_secs(3_600));
        world.flush().unwrap();
        world.merge(false).unwrap();
        let oldest = TODAY_MS + (number as i64 - 48) * HOUR_MS;
        world.retain(Some(oldest), None);
        let (stats, series) = (world.engine.stats(), world.store.series_stats());
        assert!(series.active_series <= 3 * PER_HOUR as u64, "hour {number}: {series:?}");
        match number {
            24 => after_a_day = series,
            25.. => assert!(series.bytes <= 2 * after_a_day.bytes, "hour {number}"),
            _ => {}
        }
        assert!(stats.parts < 40, "hour {number}: {stats:?}");
        assert!(stats.part_rows <= 4 * 24 * 2 * PER_HOUR as u64, "hour {number}: {stats:?}");
    }
}

#[test]
fn a_tenant_that_has_fallen_silent_is_forgotten() {
    let clock = Arc::new(SimClock::new());
    let mut world = World::open(SimDisk::with_clock(clock.clone()), clock.clone(), 1).unwrap();
    world.write_batch(|batch| hour(batch, 0)).unwrap();
    world.flush().unwrap();
    assert_eq!(world.store.series_stats().active_series, PER_HOUR as u64);
    // Another tenant continues to write.
    world.tenant = TenantId::new("other").unwrap();
    for number in 1..5 {
        clock.advance(Duration::from_secs(3_601));
        let slot = |batch: &mut BatchBuilder| {
            let slot = batch.series(Labels::from_pairs([("__name__", "up")]).as_bytes());
            batch.sample(slot, TODAY_MS + number * HOUR_MS, 1.0);
        };
        world.write_batch(slot).unwrap();
        world.flush().unwrap();
    }
    assert_eq!(world.store.series_stats().active_series, 1);
    // The silent tenant's samples can still be read, and it can write again.
    world.tenant = TenantId::default_tenant();
    world.write_batch(|batch| hour(batch, 0)).unwrap();
    assert_eq!(world.store.series_stats().active_series, PER_HOUR as u64 + 1);
}
