//! Starts: what is taken back from the write-ahead log.

use super::*;

/// The maintenance of a new process on this disk, with the same rows in parts.
pub(super) fn restarted(world: &World, disk: &SimDisk) -> (World, crate::ReplayReport) {
    let list = Arc::new(ListEngine::new(Signal::Probe));
    let covered = world.list.of(&world.tenant, |of_tenant| of_tenant.covered);
    list.of(&world.tenant, |of_tenant| of_tenant.covered = covered);
    let engine: Arc<dyn Engine> = list.clone();
    let clock = world.clock.clone();
    let maintenance = Arc::new(Maintenance::new(vec![engine], clock.clone(), SETTINGS, None));
    let (wal, replay) = open_wal(disk, options());
    let mut told = (0, 0);
    let report = maintenance.replay(replay, |done, total| told = (done, total)).unwrap();
    assert!(told.0 > 0 && told.0 <= told.1);
    let (known, repeats) = (maintenance.wal_covered(), maintenance.repeats());
    let gateway = Arc::new(Gateway::new(Arc::new(wal), known, repeats));
    let (disk, tenant) = (disk.clone(), world.tenant.clone());
    (World { disk, clock, list, gateway, maintenance, tenant }, report)
}

#[tokio::test]
async fn replay_gives_back_what_no_part_covers() {
    let world = World::new(options());
    for row in ["one", "two"] {
        world.commit(row).await.unwrap();
    }
    world.maintenance.flush(&world.gateway).await.unwrap();
    world.commit("three").await.unwrap();
    let (world, report) = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!(world.heads(), ["three"]);
    assert_eq!((report.batches, report.refused), (3, 0), "a small write-ahead log is kept whole");
    assert_eq!(world.asked("end replay"), 1);
    let covered = world.list.of(&world.tenant, |of_tenant| of_tenant.covered);
    assert_eq!(Some(world.maintenance.wal_covered()), covered);
}

/// Batches of an engine that is switched off, or of a newer version. They must not be truncated
/// after two flushes, as they once were.
#[tokio::test]
async fn refused_batches_stay_until_an_operator_gives_them_up() {
    let world = World::new(options());
    let refused = [(Signal::Traces, &b"nobody's"[..]), (Signal::Probe, b"\xff")];
    for (signal, payload) in refused {
        let batch = wal::Batch { tenant: &world.tenant, signal, schema: 1, payload };
        world.gateway.wal().append_wait(&batch).unwrap();
    }
    let (world, report) = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!(report.refused, 2);
    for _ in 0..4 {
        for row in &enough_rows() {
            world.commit(row).await.unwrap();
        }
        world.maintenance.flush(&world.gateway).await.unwrap();
    }
    let is_kept = |world: &World| world.gateway.wal().segments()[0].sequence == 1;
    assert!(is_kept(&world), "{:?}", world.gateway.wal().segments());
    let mut signals: Vec<Signal> =
        world.maintenance.refused().iter().map(|batches| batches.signal).collect();
    signals.sort();
    assert_eq!(signals, [Signal::Traces, Signal::Probe]);
    for (signal, _) in refused {
        assert!(is_kept(&world), "one of the two is still refused");
        assert_eq!(world.maintenance.forget_refused(signal, &world.tenant).unwrap(), 1);
        assert_eq!(world.maintenance.forget_refused(signal, &world.tenant).unwrap(), 0);
        world.maintenance.flush(&world.gateway).await.unwrap();
    }
    assert!(!is_kept(&world));
}
