//! Batches that count once, when they arrive again.

use super::replay::restarted;
use super::*;
use std::sync::Arc;

/// Longer than a batch is known.
const LONG: Duration = Duration::from_secs(601);

impl World {
    async fn once_as(&self, origin: &[u8], text: &str) -> Result<WalPosition, IngestError> {
        let (list, tenant) = (Arc::clone(&self.list), self.tenant.clone());
        let (text, check, origin) = (text.to_owned(), Box::new(|| {}), Some(origin.to_vec()));
        self.gateway.commit(Row { list, tenant, text, check, origin }).await
    }

    async fn once(&self, text: &str) -> Result<WalPosition, IngestError> {
        self.once_as(b"", text).await
    }

    fn all(&self) -> Vec<String> {
        [self.list.parts(&self.tenant), self.heads()].concat()
    }
}

#[tokio::test]
async fn a_batch_that_arrives_again_is_answered_and_not_stored_again() {
    let world = World::new(options());
    for row in ["a", "b", "a"] {
        world.once(row).await.unwrap();
    }
    world.once(&"x".repeat(1 << 20)).await.unwrap();
    world.once(&"x".repeat(1 << 20)).await.unwrap();
    assert_eq!(world.heads().len(), 3);
    world.clock.advance(LONG);
    world.once("a").await.unwrap();
    assert_eq!(world.heads().len(), 4, "it is known for ten minutes");
}

#[tokio::test]
async fn batches_without_origin_and_of_other_origins_or_tenants_are_different() {
    let world = World::new(options());
    for _ in 0..2 {
        world.commit("a").await.unwrap();
        for origin in [&b""[..], b"one", b"two"] {
            world.once_as(origin, "a").await.unwrap();
        }
    }
    assert_eq!(world.heads(), ["a"; 5]);
    let other = World { tenant: TenantId::new("other").unwrap(), ..world };
    other.once("a").await.unwrap();
    assert_eq!(other.heads(), ["a"]);
}

#[tokio::test]
async fn a_repeat_waits_for_the_sync_of_the_first() {
    let world = World::new(LogOptions {
        window: Duration::from_secs(3_600),
        queue_bytes: 1 << 20,
        ..options()
    });
    let mut first = std::pin::pin!(world.once("a"));
    let mut second = std::pin::pin!(world.once("a"));
    tokio::select! {
        biased;
        _ = &mut first => panic!("the sync is still to come"),
        _ = &mut second => panic!("the sync is still to come"),
        () = let_others_go_on() => {}
    }
    world.gateway.wal().shutdown();
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    second.unwrap();
    assert_eq!(world.heads(), ["a"]);
}

#[tokio::test]
async fn a_repeat_is_not_acknowledged_when_the_first_fails() {
    let world = World::new(options());
    world.once("before").await.unwrap();
    world.disk.fail_next(Operation::Sync, Fault::Eio);
    let (first, second) = tokio::join!(world.once("a"), world.once("a"));
    assert!(matches!(first, Err(IngestError::Wal(_))), "{first:?}");
    assert!(matches!(second, Err(IngestError::Wal(_))), "{second:?}");
    assert_eq!(world.heads(), ["before"]);
}

#[tokio::test]
async fn a_batch_is_known_after_a_restart() {
    let world = World::new(options());
    for row in ["a", "b"] {
        world.once(row).await.unwrap();
    }
    let (world, report) = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!((world.heads(), report.refused), (vec!["a".to_owned(), "b".to_owned()], 0));
    world.once("b").await.unwrap();
    world.once("c").await.unwrap();
    assert_eq!(world.heads(), ["a", "b", "c"]);
    world.clock.advance(LONG);
    world.once("b").await.unwrap();
    assert_eq!(world.heads(), ["a", "b", "c", "b"]);
    let (world, _) = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!(world.heads(), ["a", "b", "c", "b"], "what was stored twice stays twice");
}

/// A write that failed may have left the batch in the write-ahead log all the same.
#[tokio::test]
async fn a_batch_that_failed_and_was_sent_again_is_replayed_once() {
    let world = World::new(options());
    world.once("a").await.unwrap();
    let disk = world.disk.crash(CrashPolicy::LoseUnsynced);
    // The same bytes again, as of a write whose failure did not undo it.
    let (wal, mut replay) = open_wal(&disk, options());
    let found = replay.next_batch().unwrap().unwrap();
    wal.append_wait(&found.batch).unwrap();
    wal.shutdown();
    let (world, report) = restarted(&world, &disk.crash(CrashPolicy::LoseUnsynced));
    assert_eq!((report.batches, world.heads()), (2, vec!["a".to_owned()]));
}

#[tokio::test]
async fn a_batch_is_known_after_its_segment_is_gone() {
    let mut world = World::new(options());
    world.once("early").await.unwrap();
    for row in &enough_rows() {
        world.commit(row).await.unwrap();
    }
    world.maintenance.flush(&world.gateway).await.unwrap();
    let stored = world.list.parts(&world.tenant).len();
    // Each start has another seed, and hands on what the ones before it knew.
    for _ in 0..3 {
        let segments = world.gateway.wal().segments();
        assert!(segments[0].sequence > 1, "the segment is gone: {segments:?}");
        let (next, report) = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced));
        assert_eq!(report.refused, 0);
        world = next;
        world.once("early").await.unwrap();
        assert!(world.heads().is_empty(), "{stored} rows are in parts");
        for row in &enough_rows() {
            world.commit(row).await.unwrap();
        }
        world.maintenance.flush(&world.gateway).await.unwrap();
    }
    world.clock.advance(LONG);
    world.once("early").await.unwrap();
    assert_eq!(world.heads(), ["early"]);
}

#[tokio::test]
async fn the_table_is_bounded() {
    let world = World::new(options());
    world.once("first").await.unwrap();
    for number in 0..4_096 {
        world.once(&number.to_string()).await.unwrap();
    }
    world.once("4095").await.unwrap();
    assert_eq!(world.heads().len(), 4_097);
    world.once("first").await.unwrap();
    assert_eq!(world.heads().len(), 4_098);
}

/// Random batches, of few contents, with restarts, power cuts and flushes between, against the rule
/// that a content counts once within ten minutes.
#[tokio::test]
async fn contents_are_stored_as_often_as_the_rule_says() {
    let seed = platform::sim::test_seed();
    let random = SeededRandom::new(seed);
    let mut world = World::new(options());
    // By content: when it was stored last, and how often.
    let mut expected: BTreeMap<String, (i64, usize)> = BTreeMap::new();
    for _ in 0..400 {
        match random.below(20) {
            0 => {
                world.commit("so that there is something to read").await.unwrap();
                let parts = world.list.parts(&world.tenant);
                world = restarted(&world, &world.disk.crash(CrashPolicy::LoseUnsynced)).0;
                world.list.of(&world.tenant, |of_tenant| of_tenant.parts = parts);
            }
            1 => {
                world.commit(&enough_rows()[0].repeat(20)).await.unwrap();
                world.maintenance.flush(&world.gateway).await.unwrap();
            }
            2 => world.clock.advance(Duration::from_secs(random.below(900))),
            _ => {
                let row = format!("row {}", random.below(12));
                world.once(&row).await.unwrap();
                let now = world.clock.wall_ms();
                let (last, count) = expected.entry(row).or_insert((i64::MIN / 2, 0));
                if now - *last >= 600_000 {
                    (*last, *count) = (now, *count + 1);
                }
            }
        }
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for row in world.all().into_iter().filter(|row| row.starts_with("row")) {
        *found.entry(row).or_default() += 1;
    }
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(row, (_, count))| (row, count)).collect();
    assert_eq!(found, expected, "SEED={seed}");
}
