//! A disk that fails for one tenant, or temporarily.

use crate::world::{LIMITS, Row, TODAY_MS, World, cut_all, flush_all, push_row};
use metric_store::{BatchBuilder, MetricStore};
use model::{TenantId, WalPosition};
use platform::sim::{Fault, Operation, SimClock, SimDisk};
use std::sync::Arc;

fn world() -> World {
    World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap()
}

fn row(series: u32, step: i64) -> (u32, i64, Row) {
    (series, TODAY_MS + step, Row { bits: step as u64, start: 0 })
}

#[test]
fn a_flush_that_fails_again_and_again_leaves_one_head() {
    let mut world = world();
    for step in 0..50 {
        world.write(&[row(1, step)]).unwrap();
        world.disk.keep_failing(Operation::RenameNew, Fault::Eio);
        assert!(world.flush().is_err());
        world.disk.heal();
    }
    assert_eq!(world.engine.stats().head.rows, 50);
    world.flush().unwrap();
    let stats = world.engine.stats();
    assert_eq!((stats.head.rows, stats.part_rows), (0, 50));
    assert_eq!(stats.parts, 2, "what was cut first, and the rest");
}

fn write(store: &MetricStore, tenant: &TenantId, segment: u64) {
    let mut batch = BatchBuilder::new();
    let (series, time, row) = row(1, segment as i64);
    push_row(&mut batch, series, time, row);
    let prepared = store.prepare(tenant, LIMITS, &mut batch, &mut Vec::new()).unwrap();
    store.apply(prepared, &mut batch, WalPosition { segment, offset: 0 }).unwrap();
}

#[test]
fn a_failing_tenant_does_not_stop_the_next() {
    let world = world();
    let tenants = ["first", "second"].map(|name| TenantId::new(name).unwrap());
    for segment in 1..3 {
        tenants.iter().for_each(|tenant| write(&world.store, tenant, segment));
        cut_all(&*world.engine, WalPosition { segment: segment + 1, offset: 0 });
        // The failure hits the first tenant.
        world.disk.fail_next(Operation::Create, Fault::Eio);
        assert!(flush_all(&*world.engine).is_err());
        assert_eq!(world.store.parts(&tenants[1]).len() as u64, segment);
        flush_all(&*world.engine).unwrap();
    }
    world.disk.fail_next(Operation::Create, Fault::Eio);
    assert!(world.merge(true).is_err());
    let parts = |tenant| world.store.parts(tenant).len();
    assert_eq!((parts(&tenants[0]), parts(&tenants[1])), (2, 1));
}
