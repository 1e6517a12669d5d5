//! The task of one group: it sleeps until the next time slot, and evaluates the group there.

use crate::backend::Backend;
use crate::group::RunningGroup;
use crate::restore::RestoreLimits;
use crate::sink::AlertSink;
use crate::slot;
use crate::telemetry::{ITERATIONS, MISSED};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// A task looks at the wall clock at least so often, because it may jump.
const LOOK: Duration = Duration::from_secs(10);

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct Task {
    handle: AbortHandle,
    ended: tokio::sync::watch::Receiver<()>,
}

impl Task {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let (tell, ended) = tokio::sync::watch::channel(());
        let task = tokio::spawn(async move {
            work.await;
            drop(tell);
        });
        Self { handle: task.abort_handle(), ended }
    }

    /// Returns when the work is done, or was given up.
    pub(crate) async fn end(mut self) {
        while self.ended.changed().await.is_ok() {}
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// What the task of a group works with.
pub(crate) struct Runner {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) sink: Arc<dyn AlertSink>,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) group: Arc<RunningGroup>,
}

impl Runner {
    /// Until the group is stopped. Alerts are restored after the second evaluation: before that rules
    /// and senders may not have written what alerts depend on.
    pub(crate) async fn run(self, mut restores: Option<RestoreLimits>) {
        let (interval_ns, offset_ns) = (self.group.interval_ns(), self.group.offset_ns());
        let mut last_ns = slot::at_or_before(self.backend.wall_ns(), interval_ns, offset_ns);
        let mut evaluated = 0_u32;
        while let Some(next) = self.next(last_ns, interval_ns, offset_ns).await {
            last_ns = next.slot_ns;
            ITERATIONS.add(1 + next.missed);
            MISSED.add(next.missed);
            // The semaphore is never closed.
            let turn = tokio::select! {
                turn = self.turns.acquire() => turn,
                () = self.group.stopping() => return,
            };
            self.group.iterate(&*self.backend, &*self.sink, last_ns.div_euclid(1_000_000)).await;
            evaluated = evaluated.saturating_add(1);
            if evaluated >= 2
                && let Some(limits) = restores.take()
            {
                let now_ms = self.backend.wall_ns().div_euclid(1_000_000);
                self.group.restore(&*self.backend, now_ms, limits).await;
            }
            drop(turn);
        }
    }

    /// Waits for the next time slot; `None` when the group is stopped.
    async fn next(&self, mut last_ns: i64, interval_ns: i64, offset_ns: i64) -> Option<slot::Next> {
        loop {
            if self.group.is_stopped() {
                return None;
            }
            let now_ns = self.backend.wall_ns();
            if slot::is_set_back(last_ns, now_ns, interval_ns) {
                last_ns = slot::at_or_before(now_ns, interval_ns, offset_ns);
            }
            if let Some(next) = slot::due_after(last_ns, now_ns, interval_ns) {
                return Some(next);
            }
            let wait_ns = last_ns.saturating_add(interval_ns).saturating_sub(now_ns);
            let wait = Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(wait.min(LOOK)) => {}
                () = self.group.stopping() => return None,
            }
        }
    }
}
