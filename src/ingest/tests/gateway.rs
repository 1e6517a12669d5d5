//! Batches on their way through the gateway, and barriers.

use super::*;

#[tokio::test]
async fn a_batch_is_on_the_disk_before_it_is_applied() {
    for large in [1, 1 << 20] {
        let world = World::new(options());
        let row = "x".repeat(large);
        let (disk, list, tenant) =
            (world.disk.clone(), Arc::clone(&world.list), world.tenant.clone());
        let expected = row.clone();
        let power_cut = move || {
            assert!(list.of(&tenant, |of_tenant| of_tenant.head.is_empty()));
            assert_eq!(logged(&disk.crash(CrashPolicy::LoseUnsynced)), [expected]);
        };
        world.commit_checked(&world.tenant, &row, power_cut).await.unwrap();
        assert_eq!(world.heads(), [row]);
    }
}

#[tokio::test]
async fn a_batch_is_whole_although_its_caller_goes_away() {
    let world = World::new(options());
    for row in ["small".to_owned(), "x".repeat(1 << 20)] {
        let mut committing = std::pin::pin!(world.commit(&row));
        tokio::select! {
            biased;
            done = &mut committing => panic!("nothing has been done yet: {done:?}"),
            () = async {} => {}
        }
    }
    while world.heads().len() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_in_an_engine_is_an_error_of_that_batch() {
    let world = World::new(options());
    let error = world.commit_checked(&world.tenant, "row", || panic!("for the test")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Bug);
    world.commit("next").await.unwrap();
    world.gateway.barrier(|_| ()).await;
}

#[tokio::test]
async fn a_barrier_is_told_the_position_behind_the_last_batch() {
    let world = World::new(options());
    let next = world.commit("one").await.unwrap();
    let behind = world.gateway.barrier(|end| end).await;
    assert!(behind > next);
}

#[tokio::test]
async fn an_emptied_write_ahead_log_goes_on_above_what_manifests_know() {
    let disk = SimDisk::new();
    let (wal, _) = open_wal(&disk, options());
    let known = WalPosition { segment: 9, offset: 5 };
    let repeats = Arc::new(crate::Repeats::new(Arc::new(SimClock::new())));
    let gateway = Gateway::new(Arc::new(wal), known, repeats);
    assert_eq!(gateway.barrier(|end| end).await, known);
}

#[tokio::test]
async fn what_was_not_synced_is_not_applied_and_stops_what_follows() {
    for operation in [Operation::Sync, Operation::Append] {
        let world = World::new(options());
        world.commit("before").await.unwrap();
        world.disk.fail_next(operation, Fault::Eio);
        for row in ["lost", "refused at once"] {
            let error = world.commit(row).await.unwrap_err();
            assert!(matches!(error, IngestError::Wal(_)), "{error}");
            assert!(error.kind().is_retryable(), "its sender may try again");
        }
        assert_eq!(world.heads(), ["before"]);
        let left = world.disk.crash(CrashPolicy::LoseUnsynced);
        assert_eq!(logged(&left), ["before"], "{operation:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_encoded_reaches_no_write_ahead_log() {
    let world = World::new(options());
    let error = world.commit("").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Invalid, "the row is empty")
    );
    world.gateway.wal().shutdown();
    assert!(logged(&world.disk).is_empty());
}

/// Batches wait in the write-ahead log until its shutdown writes them.
fn waiting_wal() -> LogOptions {
    LogOptions { window: Duration::from_secs(3_600), queue_bytes: 1 << 20, ..options() }
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let world = World::new(LogOptions { queue_bytes: 64, ..waiting_wal() });
    let long = "x".repeat(200);
    let mut first = std::pin::pin!(world.commit(&long));
    tokio::select! {
        biased;
        done = &mut first => panic!("the sync is still to come: {done:?}"),
        () = let_others_go_on() => {}
    }
    let refused = world.commit(&long).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused}");
    world.gateway.wal().shutdown();
    first.await.unwrap();
    assert_eq!(world.heads().len(), 1);
}

#[tokio::test]
async fn a_barrier_waits_for_batches_that_are_not_in_a_head_yet() {
    let world = World::new(waiting_wal());
    let mut batch = std::pin::pin!(world.commit("under way"));
    tokio::select! {
        biased;
        _ = &mut batch => panic!("the sync is still to come"),
        () = let_others_go_on() => {}
    }
    let mut barrier = std::pin::pin!(world.gateway.barrier(|_| world.heads()));
    tokio::select! {
        biased;
        _ = &mut barrier => panic!("a batch is under way"),
        () = let_others_go_on() => {}
    }
    world.gateway.wal().shutdown();
    let (committed, seen) = tokio::join!(batch, barrier);
    committed.unwrap();
    assert_eq!(seen, ["under way"]);
}
