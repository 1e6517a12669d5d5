//! Files of format version 2 must stay readable (version 1 was never released).
//!
//! `MIRADOR_FREEZE=1 cargo test -p metric_store fixtures` writes the folder again; only for a new
//! version.

use crate::world::{Row, Rows, TODAY_MS, World, labels};
use engine::testing::thawed;
use metric_store::{BatchBuilder, Exemplar};
use model::{Labels, MetricKind, MetricMetadata, STALE_BITS, TimeUnit, Unbounded};
use platform::sim::{CrashPolicy, SimClock, SimDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v2")
}

fn rows(flush: i64) -> Vec<(u32, i64, Row)> {
    let row = |n: i64| {
        let bits = match n % 7 {
            0 => STALE_BITS,
            1 => 0x7ff8_0000_0000_1234,
            2 => (-0.0f64).to_bits(),
            _ => ((n * 37 % 1_000) as f64 / 10.0).to_bits(),
        };
        let start = if n % 3 == 0 { TODAY_MS - 5 } else { 0 };
        ((n % 15) as u32, TODAY_MS + flush * 300_000 + n / 15 * 15_000, Row { bits, start })
    };
    (0..150).map(row).collect()
}

fn expected() -> Rows {
    let all = (0..4).flat_map(rows);
    all.map(|(series, time, row)| ((series, time), row)).collect()
}

fn exemplar(flush: i64) -> Exemplar {
    let labels = Labels::from_pairs([("trace_id", "4bf92f3577b34da6")]);
    Exemplar { labels, time_ms: TODAY_MS + flush * 300_000, value: 0.25 + flush as f64 }
}

fn metadata(flush: i64) -> MetricMetadata {
    let help = format!("What was flushed {flush} times.");
    MetricMetadata { kind: MetricKind::Counter, unit: "flushes".to_owned(), help }
}

/// Parts of two levels, and a write-ahead log.
fn make() -> SimDisk {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    for flush in 0..4 {
        world.write(&rows(flush)).unwrap();
        let beside_samples = |batch: &mut BatchBuilder| {
            let slot = batch.series(labels(0).as_bytes());
            batch.exemplar(slot, exemplar(flush));
            batch.metadata("metric_0", metadata(flush));
        };
        world.write_batch(beside_samples).unwrap();
        match flush {
            0 | 2 => world.flush().unwrap(),
            1 => {
                world.flush().unwrap();
                world.merge(true).unwrap();
            }
            _ => {}
        }
    }
    world.disk.crash(CrashPolicy::KeepAll)
}

#[test]
fn fixtures_of_version_2_are_read() {
    let disk = thawed(&folder(), make).unwrap();
    let world = World::open(disk, Arc::new(SimClock::new()), 9).unwrap();
    assert_eq!(world.engine.stats().parts, 2, "a merged part and a flushed one");
    for state in ["unchanged", "merged"] {
        assert_eq!(world.rows(TimeUnit::Millis.everything()).unwrap(), expected(), "{state}");
        let exemplars = world
            .store
            .exemplars(&world.tenant, TimeUnit::Millis.everything(), &[], &mut Unbounded)
            .unwrap();
        assert_eq!(exemplars, [(labels(0), (0..4).map(exemplar).collect())], "{state}");
        let known = world.store.metadata(&world.tenant, &mut Unbounded).unwrap();
        assert_eq!(known["metric_0"], metadata(3), "{state}");
        world.flush().unwrap();
        world.merge(true).unwrap();
    }
}
