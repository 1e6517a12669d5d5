//! Merges and retention.

use super::*;

/// A manifest that a merge publishes may be what the write-ahead log was still kept for.
#[tokio::test]
async fn a_merge_lets_go_of_the_write_ahead_log() {
    let world = World::new(options());
    for row in &enough_rows() {
        world.commit(row).await.unwrap();
    }
    let needed = world.list.of(&world.tenant, |of_tenant| of_tenant.last_applied);
    world.list.of(&world.tenant, |of_tenant| of_tenant.refused.extend(needed));
    world.maintenance.flush(&world.gateway).await.unwrap();
    let kept = world.gateway.wal().size_bytes();
    world.list.of(&world.tenant, |of_tenant| of_tenant.refused.clear());
    let request = MergeRequest { full: true, space: SPACE };
    world.maintenance.merge(&world.gateway, request).await.unwrap();
    assert!(world.gateway.wal().size_bytes() < kept / 10);
}

#[tokio::test]
async fn merging_answers_what_the_engines_did() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    let request = MergeRequest { full: true, space: SPACE };
    assert_eq!(world.maintenance.merge(&world.gateway, request).await.unwrap(), 3);
    assert_eq!(world.list.rows().asked, ["merge", "merged"]);
    world.maintenance.tend().await.unwrap();
    assert_eq!(world.asked("tend"), 1);
}

/// One part of the same size for each of the days.
fn stored(site: &Site, signal: Signal, days: &[i64]) -> PartStore {
    let store = PartStore::open(site, TenantId::default_tenant(), signal).unwrap();
    let part = |day: &i64| {
        let day = Day(*day);
        let time = day.range(signal);
        let (covered, sources) = (WalPosition::START, Vec::new());
        let (bounds, engine) = (Vec::new(), Vec::new());
        let (schema, level, rows, series, tombstones_applied) = (1, 0, 1, 1, 0);
        let summary = PartSummary {
            schema,
            level,
            day,
            time,
            rows,
            series,
            tombstones_applied,
            covered,
            sources,
            bounds,
            engine,
        };
        let mut writer = store.new_part().unwrap();
        writer.page(1, None, &[0; 100_000], Compression::None).unwrap();
        writer.finish(summary).unwrap()
    };
    let add = days.iter().map(part).collect();
    store.update(|_| Ok(Edit { add, ..Edit::default() })).unwrap();
    store
}

#[tokio::test]
async fn engines_share_the_size_of_the_disk() {
    let world = World::new(options());
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let blobs = Arc::new(DiskBlobs::open(disk, "blobs").unwrap());
    let random = Arc::new(SeededRandom::new(3));
    let site =
        Site::new(blobs, world.clock.clone(), Arc::new(Ids::new(world.clock.clone(), random)));
    let lists = [(Signal::Metrics, [1, 4, 5]), (Signal::Logs, [2, 3, 5])].map(|(signal, days)| {
        let list = ListEngine::new(signal);
        list.rows().stored.push(stored(&site, signal, &days));
        Arc::new(list)
    });
    let engines = lists.iter().map(|list| Arc::clone(list) as Arc<dyn Engine>).collect();
    let maintenance = Arc::new(Maintenance::new(engines, world.clock.clone(), SETTINGS, None));
    let days = || {
        let manifests = lists.iter().flat_map(|list| list.manifests());
        manifests.map(|m| m.parts.iter().map(|p| p.day.0).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let retain =
        |bytes_max| move |_| Retention { bytes_max: Some(bytes_max), ..Retention::default() };
    assert_eq!(maintenance.retain(retain(700_000)).await.unwrap(), 0);
    assert_eq!(
        maintenance.retain(retain(450_000)).await.unwrap(),
        2,
        "the oldest two, one of each"
    );
    assert_eq!(days(), [vec![4, 5], vec![3, 5]]);
    assert_eq!(maintenance.retain(retain(350_000)).await.unwrap(), 1);
    assert_eq!(days(), [vec![4, 5], vec![5]]);
}

/// The wall clock jumps 60 days ahead: nothing is dropped at once, and everything that is too old
/// after a day in which the clock kept its pace.
#[tokio::test]
async fn a_wall_clock_that_jumps_drops_nothing() {
    let world = World::new(options());
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let blobs = Arc::new(DiskBlobs::open(disk, "blobs").unwrap());
    let ids = Ids::new(world.clock.clone(), Arc::new(SeededRandom::new(3)));
    let site = Site::new(blobs, world.clock.clone(), Arc::new(ids));
    let signal = Signal::Metrics;
    let today = Day::of(world.clock.wall_ms(), signal).0;
    let list = Arc::new(ListEngine::new(signal));
    list.rows().stored.push(stored(&site, signal, &[today - 20, today - 1, today]));
    let start = || {
        let engines = vec![Arc::clone(&list) as Arc<dyn Engine>];
        Arc::new(Maintenance::new(engines, world.clock.clone(), SETTINGS, None))
    };
    let fifteen_days = move |now_ms: i64| {
        let oldest_ms = BTreeMap::from([(signal, now_ms - 15 * 86_400_000)]);
        Retention { oldest_ms, ..Retention::default() }
    };
    let maintenance = start();
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 1);
    world.clock.set_wall_ns(world.clock.wall_ns() + 60 * 86_400_000_000_000);
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 0);
    assert!(matches!(maintenance.clock_trust(), ClockTrust::Distrusted { .. }));
    // Nor does a start drop anything: the newest manifest is 60 days old.
    let maintenance = start();
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(maintenance.retain(fifteen_days).await.unwrap(), 2);
    assert_eq!(maintenance.clock_trust(), ClockTrust::Trusted);
}
