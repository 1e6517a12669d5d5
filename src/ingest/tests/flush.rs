//! Flushes: when they come, what they let go of, and that nothing disturbs them.

use super::*;

#[tokio::test]
async fn a_flush_cuts_writes_and_lets_go_of_the_write_ahead_log() {
    let world = World::new(options());
    let rows = enough_rows();
    for row in &rows {
        world.commit(row).await.unwrap();
    }
    world.maintenance.flush(&world.gateway).await.unwrap();
    world.commit("after").await.unwrap();
    assert_eq!(world.list.rows().asked, ["flush", "cut", "flush"], "what was left goes first");
    assert!(world.list.parts(&world.tenant) == rows);
    assert_eq!(world.heads(), ["after"]);
    world.gateway.wal().shutdown();
    assert_eq!(logged(&world.disk), ["after"]);
}

#[tokio::test]
async fn a_flush_that_fails_keeps_the_write_ahead_log_and_is_done_again() {
    let world = World::new(options());
    let rows = enough_rows();
    for row in &rows {
        world.commit(row).await.unwrap();
    }
    let before = world.gateway.wal().size_bytes();
    world.list.rows().broken.insert(world.tenant.clone());
    let error = world.maintenance.flush(&world.gateway).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    assert!(world.gateway.wal().size_bytes() >= before, "nothing was let go of");
    world.list.rows().broken.clear();
    world.maintenance.flush(&world.gateway).await.unwrap();
    assert!(world.list.parts(&world.tenant) == rows);
    world.gateway.wal().shutdown();
    assert!(logged(&world.disk).is_empty());
}

#[tokio::test]
async fn flushes_come_when_they_are_due() {
    let world = World::new(options());
    world.clock.advance(Duration::from_secs(301));
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 0, "nothing is there");
    world.commit("small").await.unwrap();
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 0, "it has not waited long enough");
    world.clock.advance(Duration::from_secs(301));
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 1);
    world.commit(&"x".repeat(100)).await.unwrap();
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 2, "the head is large");
}

/// A tenant that can't be flushed must not make the others write a part every second, nor stop
/// truncation. Both happened once.
#[tokio::test]
async fn a_tenant_that_fails_is_no_trouble_of_the_others() {
    let world = World::new(options());
    let bad = TenantId::new("bad").unwrap();
    world.list.rows().broken.insert(bad.clone());
    world.commit_checked(&bad, &"x".repeat(200), || {}).await.unwrap();
    for _ in 0..20 {
        world.commit("calm").await.unwrap();
        world.flush_due().await;
        world.clock.advance(Duration::from_secs(5));
    }
    assert!(world.list.parts(&world.tenant).is_empty(), "it is not cut early");
    assert_eq!(world.asked("cut"), 1, "what could not be written is not cut again");
    assert!((5..12).contains(&world.asked("flush")), "it is tried less and less often");
    world.clock.advance(Duration::from_secs(300));
    let error = world.maintenance.flush_due(&world.gateway).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "probe of tenant bad: can't read or write blobs/part: the disk is on fire"
    );
    assert_eq!(world.list.parts(&world.tenant).len(), 20, "one flush for all of them");
    world.list.rows().broken.clear();
    world.clock.advance(Duration::from_secs(60));
    world.flush_due().await;
    assert_eq!(world.list.parts(&bad).len(), 1);
}

/// It happens once a second, and looks at every tenant.
#[tokio::test]
async fn a_tick_without_work_asks_once() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    world.gateway.wal().rotate();
    world.commit("row").await.unwrap();
    assert!(world.gateway.wal().segments().len() > 1);
    world.flush_due().await;
    assert_eq!(world.list.rows().statuses_asked, 1);
    assert!(world.gateway.wal().segments().len() > 1, "the rows are not in parts yet");
}

/// Metadata, or a batch whose rows were all refused, leaves no rows to write, but the write-ahead
/// log grows.
#[tokio::test]
async fn a_write_ahead_log_without_rows_is_let_go_of() {
    let world = World::new(options());
    world.list.rows().drops_rows = true;
    for row in &enough_rows() {
        world.commit(row).await.unwrap();
    }
    let before = world.gateway.wal().size_bytes();
    assert!(before > WAL_SIZE, "{before}");
    world.flush_due().await;
    assert!(world.gateway.wal().size_bytes() < before / 10);
    world.flush_due().await;
    assert_eq!(world.asked("cut"), 1, "nothing has come since");
}

#[tokio::test]
async fn neither_a_flush_nor_retention_waits_for_a_merge() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    let (end, until) = std::sync::mpsc::channel::<()>();
    world.list.rows().merge_until = Some(until);
    let request = MergeRequest { full: true, space: SPACE };
    let others = async {
        world.maintenance.flush(&world.gateway).await.unwrap();
        world.maintenance.retain(|_| Retention::default()).await.unwrap();
        assert_eq!(world.list.parts(&world.tenant), ["row"]);
        end.send(()).unwrap();
    };
    let (merged, ()) = tokio::join!(world.maintenance.merge(&world.gateway, request), others);
    assert_eq!(merged.unwrap(), 3);
}

#[tokio::test]
async fn undisturbed_work_sees_no_flush() {
    let world = World::new(LogOptions { sync: SyncPolicy::Always, ..options() });
    world.commit("row").await.unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let list = Arc::clone(&world.list);
    let work = move || {
        wait.recv().map_err(|error| EngineError::new(ErrorKind::Bug, error))?;
        Ok(list.rows().asked.len())
    };
    let mut work = std::pin::pin!(world.maintenance.undisturbed(work));
    let mut flush = std::pin::pin!(world.maintenance.flush(&world.gateway));
    tokio::select! {
        biased;
        _ = &mut work => panic!("it waits"),
        _ = &mut flush => panic!("a flush must wait"),
        () = async {} => {}
    }
    go.send(()).unwrap();
    let (asked, flushed) = tokio::join!(work, flush);
    assert_eq!(asked.unwrap(), 0);
    flushed.unwrap();
    assert_eq!(world.list.parts(&world.tenant), ["row"]);
}

/// A client that hangs up drops its request, but not the locks that its work still holds.
#[tokio::test]
async fn work_goes_on_undisturbed_when_its_caller_goes_away() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    let (end, until) = std::sync::mpsc::channel::<()>();
    world.list.rows().merge_until = Some(until);
    let request = MergeRequest { full: true, space: SPACE };
    {
        let mut merge = std::pin::pin!(world.maintenance.merge(&world.gateway, request));
        let merging = async {
            while world.list.rows().asked.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut merge => panic!("it waits"),
            () = merging => {}
        }
    }
    // A caller that is dropped while it waits for its turn starts no work.
    let waiting =
        tokio::time::timeout(Duration::ZERO, world.maintenance.merge(&world.gateway, request));
    assert!(waiting.await.is_err());
    let list = Arc::clone(&world.list);
    let looked = world.maintenance.undisturbed(move || Ok(list.rows().asked.clone()));
    let mut looked = std::pin::pin!(looked);
    let soon = tokio::time::timeout(Duration::from_millis(100), &mut looked).await;
    assert!(soon.is_err(), "the merge is still going on");
    end.send(()).unwrap();
    assert_eq!(looked.await.unwrap(), ["merge", "merged"]);
}

/// Cuts do not run on a thread of their own, so a panic in one once ended the caller.
#[tokio::test]
async fn a_panic_is_an_error_and_the_next_flush_works() {
    let world = World::new(options());
    world.commit("row").await.unwrap();
    world.list.rows().cut_panics = true;
    let error = world.maintenance.flush(&world.gateway).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bug);
    world.maintenance.flush(&world.gateway).await.unwrap();
    assert_eq!(world.list.parts(&world.tenant), ["row"]);
}
