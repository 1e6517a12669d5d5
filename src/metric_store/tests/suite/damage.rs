//! Damaged files: a part is quarantined and reported, and the rest is served.

use crate::world::{Row, Rows, TODAY_MS, World};
use metric_store::{Scratch, Select};
use model::{Matcher, TimeUnit, Unbounded};
use platform::Disk;
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use platform::{Random, SeededRandom};
use std::sync::Arc;

fn rows(from: i64) -> Vec<(u32, i64, Row)> {
    let row = |n: i64| {
        let bits = ((n % 17) as f64 / 4.0).to_bits();
        ((n % 30) as u32, from + n / 30 * 15_000, Row { bits, start: 0 })
    };
    (0..900).map(row).collect()
}

/// Two parts of two days.
fn two_parts(seed: u64) -> (World, Rows, Rows) {
    let clock = Arc::new(SimClock::new());
    let mut world = World::open(SimDisk::new(), clock, seed).unwrap();
    let (old, new) = (rows(TODAY_MS - 86_400_000), rows(TODAY_MS));
    world.write(&old).unwrap();
    world.flush().unwrap();
    world.write(&new).unwrap();
    world.flush().unwrap();
    world.merge(true).unwrap();
    let map = |rows: Vec<(u32, i64, Row)>| {
        rows.into_iter().map(|(series, time, row)| ((series, time), row)).collect()
    };
    (world, map(old), map(new))
}

#[test]
fn a_flipped_bit_never_changes_an_answer() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let (world, old, new) = two_parts(seed);
    let folder = format!("blobs/parts/{}/metrics", world.tenant);
    let files: Vec<String> = world
        .disk
        .list(&folder)
        .unwrap()
        .into_iter()
        .map(|e| format!("{folder}/{}", e.name))
        .collect();
    assert_eq!(files.len(), 2);
    let mut disk = world.disk.crash(CrashPolicy::KeepAll);
    drop(world);
    let manifests = format!("blobs/manifests/{}/metrics", model::TenantId::default_tenant());
    let whole = disk.contents(&files[0]).unwrap();
    let mut all = old;
    all.extend(new);
    let mut noticed = 0;
    for round in 0..150 {
        let mut bytes = whole.clone();
        let at = random.below(bytes.len() as u64 * 8);
        bytes[at as usize / 8] ^= 1 << (at % 8);
        disk.overwrite(&files[0], &bytes).unwrap();
        let known = disk.list(&manifests).unwrap();
        let mut world = World::open(disk.clone(), Arc::new(SimClock::new()), seed).unwrap();
        world.whole = false;
        let found = world.rows(TimeUnit::Millis.everything()).unwrap();
        for (key, row) in &found {
            assert_eq!(all.get(key), Some(row), "round {round}, bit {at}: a wrong value");
        }
        if found.len() < all.len() {
            assert!(found.len() >= 900, "round {round}, bit {at}: the other part is not served");
            let wanted =
                Select { time: TimeUnit::Millis.everything(), matchers: &[], values_needed: true };
            let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
            assert!(!selection.warnings().is_empty(), "round {round}, bit {at}: no warning");
            noticed += 1;
        }
        disk = world.disk.crash(CrashPolicy::KeepAll);
        // The generation that quarantined the part is deleted, so that the next round begins like
        // this one.
        for entry in disk.list(&manifests).unwrap() {
            if !known.iter().any(|before| before.name == entry.name) {
                disk.remove(&format!("{manifests}/{}", entry.name)).unwrap();
            }
        }
    }
    assert!(noticed > 50, "{noticed} flips were noticed");
}

#[test]
fn damage_that_a_merge_finds_quarantines_the_part() {
    let (mut world, ..) = two_parts(7);
    world.write(&rows(TODAY_MS + 600_000)).unwrap();
    world.flush().unwrap();
    let folder = format!("blobs/parts/{}/metrics", world.tenant);
    let name = world.disk.list(&folder).unwrap().pop().unwrap().name;
    let path = format!("{folder}/{name}");
    let mut bytes = world.disk.contents(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 4;
    world.disk.overwrite(&path, &bytes).unwrap();
    world.merge(true).unwrap();
    assert_eq!(world.engine.stats().quarantined, 1);
    let wanted = Select {
        time: TimeUnit::Millis.everything(),
        matchers: &[Matcher::equal("number", "0")],
        values_needed: true,
    };
    let selection = world.store.select(&world.tenant, &wanted, &mut Unbounded).unwrap();
    assert_eq!(selection.len(), 1);
    selection.read(0, &mut Scratch::default()).unwrap();
    assert_eq!(selection.warnings().len(), 1);
}
