//! The maintenance of the engines: flushes, merges, retention, truncation of the write-ahead log.
//!
//! At most one flush, one merge and one retention run at a time. None waits for another kind, except
//! that a merge, once done, waits for a running flush to truncate the write-ahead log. Work
//! that has begun runs to its end under its lock, also if its caller is dropped; a caller that is
//! dropped while it waits for its turn starts no work. A panic in the work is returned to the
//! caller as an error.

use crate::gateway::Gateway;
use crate::repeats::Repeats;
use crate::replay::{self, REFUSED_BATCHES, ReplayReport, Unclaimed};
use crate::retention_clock::{ClockTrust, RetentionClock};
use crate::schedule::{FlushSettings, Schedule, Target};
use engine::{Engine, EngineError, MergeRequest, RefusedBatches, TenantStatus};
use model::{ErrorKind, Signal, TenantId, WalPosition};
use observe::{
    Counter, CounterFamily, Event, Fields, Histogram, LATENCY_SECONDS, Level, emit, with_causes,
};
use parts::{Retention, plan_retention};
use platform::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use wal::{Replay, WalError};

pub(crate) static FLUSHES: CounterFamily = CounterFamily::new(
    "mirador_flushes_total",
    "Flushes of one tenant's heads into parts, by signal.",
    &["signal"],
);
pub(crate) static FLUSH_SECONDS: Histogram = Histogram::new(
    "mirador_flush_seconds",
    "How long a flush of all tenants that were due took.",
    LATENCY_SECONDS,
);
pub(crate) static FAILURES: CounterFamily = CounterFamily::new(
    "mirador_maintenance_failures_total",
    "Flushes, merges and retention runs that failed and will be tried again, by work and signal.",
    &["work", "signal"],
);
pub(crate) static TRUNCATED: Counter = Counter::new(
    "mirador_wal_truncated_segments_total",
    "Segments of the write-ahead log that were deleted because nothing needs them.",
);

#[derive(Clone, Copy, Debug)]
pub struct FlushReport {
    /// How many tenants of all engines had rows to write.
    pub tenants: usize,
    pub elapsed: Duration,
}

struct WorkFailed<'a> {
    work: &'static str,
    signal: Signal,
    tenant: Option<&'a TenantId>,
    error: &'a EngineError,
}

impl Event for WorkFailed<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "maintenance of an engine failed and will be tried again";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("work", self.work);
        fields.text("signal", self.signal);
        if let Some(tenant) = self.tenant {
            fields.text("tenant", tenant);
        }
        fields.error(self.error);
    }

    fn count(&self) {
        FAILURES.increment(&[self.work, self.signal.as_str()]);
    }
}

/// Reports a failure. The error that is returned names the tenant and every cause: the answer to an
/// operator is one line.
fn failure(
    work: &'static str,
    signal: Signal,
    tenant: Option<&TenantId>,
    error: &EngineError,
) -> EngineError {
    emit(&WorkFailed { work, signal, tenant, error });
    let of_tenant = tenant.map_or(String::new(), |tenant| format!(" of tenant {tenant}"));
    EngineError::new(error.kind, format!("{signal}{of_tenant}: {}", with_causes(error)))
}

/// The current segment is only ended for a truncation if it has at least this many bytes.
const ROTATE_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub struct Maintenance {
    engines: Vec<Arc<dyn Engine>>,
    clock: Arc<dyn Clock>,
    retention_clock: Arc<RetentionClock>,
    repeats: Arc<Repeats>,
    unclaimed: Unclaimed,
    /// Work that needs several locks takes them in this order.
    merging: Arc<Mutex<()>>,
    retaining: Arc<Mutex<()>>,
    flushing: Arc<Mutex<Flushing>>,
}

/// The state of flushing. Its lock is held while a flush runs.
#[derive(Debug)]
struct Flushing {
    schedule: Schedule,
    /// The position of the last barrier: every batch below it is in a head or in parts.
    barrier: WalPosition,
}

impl Maintenance {
    /// `recorded_ms` is the time that [`Maintenance::retention_time`] had when it was last recorded;
    /// without one, the time of the newest manifest stands for it.
    pub fn new(
        engines: Vec<Arc<dyn Engine>>,
        clock: Arc<dyn Clock>,
        settings: FlushSettings,
        recorded_ms: Option<i64>,
    ) -> Self {
        let published = || {
            let manifests = engines.iter().flat_map(|engine| engine.manifests());
            manifests.filter(|m| m.generation > 0).map(|manifest| manifest.created_ms).max()
        };
        let recorded_ms = recorded_ms.or_else(published);
        let retention_clock = Arc::new(RetentionClock::new(Arc::clone(&clock), recorded_ms));
        let repeats = Arc::new(Repeats::new(Arc::clone(&clock)));
        let flushing = Flushing { schedule: Schedule::new(settings), barrier: WalPosition::START };
        Self {
            engines,
            clock,
            retention_clock,
            repeats,
            unclaimed: Unclaimed::default(),
            merging: Arc::default(),
            retaining: Arc::default(),
            flushing: Arc::new(Mutex::new(flushing)),
        }
    }

    /// For the gateway, so that it knows what the write-ahead log held.
    pub fn repeats(&self) -> Arc<Repeats> {
        Arc::clone(&self.repeats)
    }

    pub fn engines(&self) -> &[Arc<dyn Engine>] {
        &self.engines
    }

    /// The highest position of the write-ahead log in any manifest.
    pub fn wal_covered(&self) -> WalPosition {
        let covered = self.engines.iter().filter_map(|engine| engine.wal_covered());
        covered.max().unwrap_or(WalPosition::START)
    }

    /// Gives every batch of the write-ahead log to its engine; blocking. `progress` is called with
    /// the bytes done and the total.
    pub fn replay(
        &self,
        replay: Replay,
        progress: impl FnMut(u64, u64),
    ) -> Result<ReplayReport, WalError> {
        let report =
            replay::replay(&self.engines, &self.unclaimed, &self.repeats, replay, progress);
        self.count_refused();
        report
    }

    // ── refused batches ──

    /// Batches that are kept in the write-ahead log because they could not be applied.
    pub fn refused(&self) -> Vec<RefusedBatches> {
        let of_engines = self.engines.iter().flat_map(|engine| engine.refused());
        of_engines.chain(self.unclaimed.list()).collect()
    }

    /// Gives up the refused batches of a tenant; blocking. Returns how many there were. The next
    /// flush truncates the write-ahead log that they kept.
    pub fn forget_refused(&self, signal: Signal, tenant: &TenantId) -> Result<usize, EngineError> {
        let engine = self.engines.iter().find(|engine| engine.signal() == signal);
        let of_engine = engine.map_or(Ok(0), |engine| engine.forget_refused(tenant))?;
        let forgotten = of_engine + self.unclaimed.forget(signal, tenant);
        self.count_refused();
        Ok(forgotten)
    }

    fn count_refused(&self) {
        let refused = self.refused();
        for signal in Signal::ALL {
            let of_signal = refused.iter().filter(|batches| batches.signal == signal);
            let count: usize = of_signal.map(|batches| batches.count).sum();
            REFUSED_BATCHES.set(&[signal.as_str()], count as f64);
        }
    }

    // ── flushing ──

    /// Writes everything in memory to parts and truncates the write-ahead log.
    pub async fn flush(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
    ) -> Result<FlushReport, EngineError> {
        let flushing = Arc::clone(&self.flushing).lock_owned().await;
        let (this, gateway) = (Arc::clone(self), Arc::clone(gateway));
        to_its_end(async move {
            let targets = this.statuses().await?;
            let targets = targets.into_iter().map(|(signal, status)| (signal, status.tenant));
            this.flush_targets(&gateway, flushing, targets.collect()).await
        })
        .await
    }

    /// Flushes the tenants that are due. A failure is reported and tried again when its tenant is
    /// due again; it does not affect other tenants.
    pub async fn flush_due(self: &Arc<Self>, gateway: &Arc<Gateway>) -> Result<(), EngineError> {
        let mut flushing = Arc::clone(&self.flushing).lock_owned().await;
        let (this, gateway) = (Arc::clone(self), Arc::clone(gateway));
        to_its_end(async move {
            let statuses = this.statuses().await?;
            let targets = this.due(&mut flushing.schedule, &gateway, &statuses);
            if targets.is_empty() {
                return this.truncate_by(&statuses, &gateway, flushing.barrier).await;
            }
            this.flush_targets(&gateway, flushing, targets).await.map(|_| ())
        })
        .await
    }

    fn due(
        &self,
        schedule: &mut Schedule,
        gateway: &Gateway,
        statuses: &[(Signal, TenantStatus)],
    ) -> Vec<Target> {
        let now = self.clock.now();
        let mut due = Vec::new();
        for engine in &self.engines {
            let signal = engine.signal();
            let of_engine = statuses.iter().filter(|(of, _)| *of == signal);
            let of_engine: Vec<_> = of_engine.map(|(_, status)| status.clone()).collect();
            let wal_bytes_from = |position| gateway.wal().bytes_from(position);
            due.extend(schedule.due(signal, &of_engine, now, wal_bytes_from));
        }
        due
    }

    async fn flush_targets(
        &self,
        gateway: &Arc<Gateway>,
        mut flushing: OwnedMutexGuard<Flushing>,
        targets: Vec<Target>,
    ) -> Result<FlushReport, EngineError> {
        let started = self.clock.now();
        // Heads that an earlier flush left frozen go first: an engine makes no new cut before they
        // are written.
        let (targets, failed) = self.flush_each(&mut flushing.schedule, targets, false).await;
        // A new segment, so that this flush frees whole segments of the write-ahead log.
        let wal = Arc::clone(gateway.wal());
        blocking(move || {
            if wal.end().offset >= ROTATE_BYTES {
                wal.rotate();
            }
            Ok(())
        })
        .await?;
        flushing.barrier = gateway
            .barrier(|end| {
                for (signal, tenant) in &targets {
                    self.engine(*signal).cut(tenant, end);
                }
                end
            })
            .await;
        let (flushed, failed_now) = self.flush_each(&mut flushing.schedule, targets, true).await;
        self.truncate(gateway, flushing.barrier).await?;
        let elapsed = self.clock.now().since(started);
        FLUSH_SECONDS.observe(elapsed.as_secs_f64());
        match failed.or(failed_now) {
            Some(error) => Err(error),
            None => Ok(FlushReport { tenants: flushed.len(), elapsed }),
        }
    }

    /// Flushes each tenant. Returns those that were flushed, and the first failure. `is_last` means
    /// that this writes what the latest cut froze.
    async fn flush_each(
        &self,
        schedule: &mut Schedule,
        targets: Vec<Target>,
        is_last: bool,
    ) -> (Vec<Target>, Option<EngineError>) {
        let (mut flushed, mut failed) = (Vec::new(), None);
        for target in targets {
            let (engine, tenant) = (Arc::clone(self.engine(target.0)), target.1.clone());
            match blocking(move || engine.flush(&tenant)).await {
                Ok(()) => {
                    if is_last {
                        schedule.flushed(&target, self.clock.now());
                        FLUSHES.increment(&[target.0.as_str()]);
                    }
                    flushed.push(target);
                }
                Err(error) => {
                    let error = failure("flush", target.0, Some(&target.1), &error);
                    schedule.failed(&target, self.clock.now());
                    failed = failed.or(Some(error));
                }
            }
        }
        (flushed, failed)
    }

    fn engine(&self, signal: Signal) -> &Arc<dyn Engine> {
        let engine = self.engines.iter().find(|engine| engine.signal() == signal);
        engine.expect("targets are made from the engines")
    }

    async fn statuses(&self) -> Result<Vec<(Signal, TenantStatus)>, EngineError> {
        let engines = self.engines.clone();
        blocking(move || {
            let of_engine = |engine: &Arc<dyn Engine>| {
                let signal = engine.signal();
                engine.tenants().into_iter().map(move |status| (signal, status))
            };
            Ok(engines.iter().flat_map(of_engine).collect())
        })
        .await
    }

    /// Deletes the segments of the write-ahead log that are no longer needed.
    async fn truncate(&self, gateway: &Gateway, barrier: WalPosition) -> Result<(), EngineError> {
        if gateway.wal().segments().len() < 2 {
            return Ok(());
        }
        let statuses = self.statuses().await?;
        self.truncate_by(&statuses, gateway, barrier).await
    }

    /// The statuses were asked after the barrier, so every batch below it is part of one of them.
    async fn truncate_by(
        &self,
        statuses: &[(Signal, TenantStatus)],
        gateway: &Gateway,
        barrier: WalPosition,
    ) -> Result<(), EngineError> {
        if gateway.wal().segments().len() < 2 {
            return Ok(());
        }
        let needed = statuses.iter().filter_map(|(_, status)| status.wal_needed_from);
        let bound = needed.chain(self.unclaimed.lowest()).fold(barrier, WalPosition::min);
        if gateway.wal().segments().iter().any(|segment| segment.sequence < bound.segment) {
            gateway.keep_known(bound.segment).await;
        }
        let wal = Arc::clone(gateway.wal());
        let gone = blocking(move || wal.truncate_before(bound).map_err(wal_error)).await?;
        TRUNCATED.add(gone as u64);
        Ok(())
    }

    // ── merging, retention, regular work ──

    /// Merges the parts of every tenant and returns how many parts were merged. After a failure of
    /// one tenant the others are still merged, and the first failure is returned. Merges publish
    /// further generations, after which less of the write-ahead log is needed: it is truncated.
    pub async fn merge(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        request: MergeRequest,
    ) -> Result<usize, EngineError> {
        let merging = Arc::clone(&self.merging).lock_owned().await;
        let (this, gateway) = (Arc::clone(self), Arc::clone(gateway));
        let alone = async move {
            let _merging = merging;
            let merged = this.merge_alone(request).await;
            let barrier = this.flushing.lock().await.barrier;
            this.truncate(&gateway, barrier).await?;
            merged
        };
        to_its_end(alone).await
    }

    async fn merge_alone(&self, request: MergeRequest) -> Result<usize, EngineError> {
        let (mut merged, mut failed) = (0, None);
        for (signal, status) in self.statuses().await? {
            let (engine, tenant) = (Arc::clone(self.engine(signal)), status.tenant.clone());
            match blocking(move || engine.merge(&tenant, &request)).await {
                Ok(parts) => merged += parts,
                Err(error) => {
                    let error = failure("merge", signal, Some(&status.tenant), &error);
                    failed = failed.or(Some(error));
                }
            }
        }
        failed.map_or(Ok(merged), Err)
    }

    /// The time by which retention measures ages, in milliseconds since 1970.
    pub fn retention_time(&self) -> i64 {
        self.retention_clock.now_ms()
    }

    /// The clock of that time, by which what arrives is too old or too new as well.
    pub fn retention_clock(&self) -> Arc<RetentionClock> {
        Arc::clone(&self.retention_clock)
    }

    /// Whether that time follows the wall clock.
    pub fn clock_trust(&self) -> ClockTrust {
        self.retention_clock.trust()
    }

    /// Drops parts that are too old and, of all engines together, the oldest parts above the size
    /// limit. Returns how many. Does not wait for a merge that reads them. `limits` is given
    /// [`Maintenance::retention_time`], and may block.
    pub async fn retain(
        self: &Arc<Self>,
        limits: impl FnOnce(i64) -> Retention + Send + 'static,
    ) -> Result<usize, EngineError> {
        let retaining = Arc::clone(&self.retaining).lock_owned().await;
        let this = Arc::clone(self);
        let alone = async move {
            let _retaining = retaining;
            let now_ms = this.retention_time();
            let retention = blocking(move || Ok(limits(now_ms))).await?;
            this.retain_alone(retention).await
        };
        to_its_end(alone).await
    }

    async fn retain_alone(&self, retention: Retention) -> Result<usize, EngineError> {
        let manifests: Vec<_> = self.engines.iter().flat_map(|engine| engine.manifests()).collect();
        let manifests = manifests.iter().map(|manifest| &**manifest);
        let parts = Arc::new(plan_retention(manifests, &retention));
        let (mut dropped, mut failed) = (0, None);
        for engine in &self.engines {
            let (signal, engine, parts) = (engine.signal(), Arc::clone(engine), Arc::clone(&parts));
            match blocking(move || engine.drop_parts(&parts)).await {
                Ok(count) => dropped += count,
                Err(error) => {
                    failed = failed.or(Some(failure("retention", signal, None, &error)));
                }
            }
        }
        failed.map_or(Ok(dropped), Err)
    }

    /// The engines' own slow, regular work.
    pub async fn tend(self: &Arc<Self>) -> Result<(), EngineError> {
        for (signal, status) in self.statuses().await? {
            let engine = Arc::clone(self.engine(signal));
            blocking(move || {
                engine.tend(&status.tenant);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Runs `work` on a thread that may block, while no flush, merge or retention changes the
    /// engines' files.
    pub async fn undisturbed<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let merging = Arc::clone(&self.merging).lock_owned().await;
        let retaining = Arc::clone(&self.retaining).lock_owned().await;
        let flushing = Arc::clone(&self.flushing).lock_owned().await;
        let alone = async move {
            let _all = (merging, retaining, flushing);
            blocking(work).await
        };
        to_its_end(alone).await
    }
}

/// Runs the work as a task of its own: when a client hangs up, its request's future is dropped, and
/// the locks in it would be released while threads still work.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    let panicked = || EngineError::new(ErrorKind::Bug, "the maintenance of engines panicked");
    tokio::spawn(work).await.unwrap_or_else(|_| Err(panicked()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(EngineError::new(ErrorKind::Bug, "an engine panicked")))
}

fn wal_error(error: WalError) -> EngineError {
    EngineError::new(error.kind(), error)
}
