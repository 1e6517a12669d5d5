//! Limits of what a store takes: tenants, and the memory of heads.

use crate::world::{TODAY_MS, World};
use engine::{HeadMemory, TenantLimit};
use metric_store::{BatchBuilder, StoreSettings};
use model::{ErrorKind, Labels, TenantId, TimeUnit};
use platform::sim::{SimClock, SimDisk};
use std::sync::Arc;

/// Series with label values of 16 KiB.
fn fill(batch: &mut BatchBuilder, series: std::ops::Range<usize>) {
    for number in series {
        let value = format!("{number:0>16384}");
        let labels = Labels::from_pairs([("__name__", "m"), ("number", value.as_str())]);
        let slot = batch.series(labels.as_bytes());
        batch.sample(slot, TODAY_MS, 1.0);
    }
}

fn kind(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    match error.downcast_ref::<metric_store::StoreError>() {
        Some(error) => error.kind(),
        None => panic!("{error}"),
    }
}

#[test]
fn labels_that_do_not_fit_into_the_memory_are_refused() {
    let head_memory = HeadMemory { bytes_max: 8 << 20, setting: "storage.head_memory" };
    let settings = StoreSettings { head_memory, ..StoreSettings::default() };
    let disk = SimDisk::new();
    let mut world = World::open_limited(disk, Arc::new(SimClock::new()), settings).unwrap();
    let (mut taken, mut refusal) = (0, None);
    for batch in 0..100 {
        let series = batch * 50..batch * 50 + 50;
        match world.write_batch(|batch| fill(batch, series.clone())) {
            Ok(()) => taken = series.end,
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    let refusal = refusal.expect("100 batches are 160 MiB of labels and index");
    assert_eq!(kind(&*refusal), ErrorKind::Overloaded);
    assert!(refusal.to_string().contains("storage.head_memory"), "{refusal}");
    // 32 KiB each, for the labels and for the index.
    assert!((150..=256).contains(&taken), "{taken}");
    let bytes = world.store.series_stats().bytes;
    assert!((5 << 20..=8 << 20).contains(&bytes), "{bytes}");
    world.write_batch(|batch| fill(batch, 0..taken)).expect("known series are still taken");
    assert_eq!(world.rows(TimeUnit::Millis.everything()).unwrap().len(), taken);
}

/// Series that are no longer written make room within minutes, not within the hour that they may stay
/// otherwise.
#[test]
fn short_memory_lets_idle_series_go_sooner() {
    let head_memory = HeadMemory { bytes_max: 8 << 20, setting: "storage.head_memory" };
    let settings = StoreSettings { head_memory, ..StoreSettings::default() };
    let (disk, clock) = (SimDisk::new(), Arc::new(SimClock::new()));
    let mut world = World::open_limited(disk, clock.clone(), settings).unwrap();
    let mut taken = 0;
    while world.write_batch(|batch| fill(batch, taken..taken + 50)).is_ok() {
        taken += 50;
    }
    let mut minutes = 0;
    while world.write_batch(|batch| fill(batch, 10_000..10_050)).is_err() {
        clock.advance(std::time::Duration::from_secs(60));
        world.write_batch(|batch| fill(batch, 0..10)).unwrap();
        world.flush().unwrap();
        minutes += 1;
        assert!(minutes <= 15, "still no room");
    }
    assert!(minutes > 1, "{minutes}");
}

#[test]
fn a_tenant_too_many_is_refused_and_the_others_go_on() {
    let tenants = TenantLimit { most: 2, setting: "storage.tenants" };
    let settings = StoreSettings { tenants, ..StoreSettings::default() };
    let (disk, clock) = (SimDisk::new(), Arc::new(SimClock::new()));
    let mut world = World::open_limited(disk.clone(), clock.clone(), settings).unwrap();
    let mut write = |tenant: &str| {
        world.tenant = TenantId::new(tenant).unwrap();
        world.write_batch(|batch| fill(batch, 0..1))
    };
    write("a").unwrap();
    write("b").unwrap();
    let refusal = write("c").unwrap_err();
    assert_eq!(kind(&*refusal), ErrorKind::Forbidden);
    assert!(refusal.to_string().contains("storage.tenants"), "{refusal}");
    write("a").unwrap();
    drop(world);
    // What was acknowledged is taken back, also under a lower limit.
    let tenants = TenantLimit { most: 1, setting: "storage.tenants" };
    let settings = StoreSettings { tenants, ..StoreSettings::default() };
    let world = World::open_limited(disk, clock, settings).unwrap();
    assert_eq!(world.store.tenants().len(), 2);
}
