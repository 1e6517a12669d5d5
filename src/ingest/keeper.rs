//! The care of the engines: replay at start-up; flush, merge and retention while running.

use crate::engine::{Engine, EngineError, MergeRequest};
use crate::gateway::Gateway;
use model::{ErrorKind, Signal};
use observe::{Counter, CounterFamily, Event, Fields, Histogram, LATENCY_SECONDS, Level, emit};
use parts::{RetentionSettings, plan_retention};
use platform::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use wal::{Log, Position, Progress, Replay, Replayed, WalError};

pub(crate) static FLUSHES: Counter =
    Counter::new("mirador_flushes_total", "Times the heads were written to parts.");
pub(crate) static FLUSH_FAILURES: CounterFamily = CounterFamily::new(
    "mirador_flush_failures_total",
    "Flushes that failed and will be tried again.",
    &["signal"],
);
pub(crate) static FLUSH_SECONDS: Histogram =
    Histogram::new("mirador_flush_seconds", "Time of a flush of all engines.", LATENCY_SECONDS);
pub(crate) static MERGE_FAILURES: CounterFamily = CounterFamily::new(
    "mirador_merge_failures_total",
    "Merges or retention runs that failed and will be tried again.",
    &["signal"],
);

/// What the settings say about when to do what.
#[derive(Clone, Copy, Debug)]
pub struct KeeperSettings {
    pub flush_interval: Duration,
    /// Log growth that calls for an early flush.
    pub flush_size: u64,
    /// Memory of the heads that calls for an early flush.
    pub head_size: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayReport {
    pub batches: u64,
    pub bytes: u64,
    /// Batches of signals that this version doesn't know or that an engine refused.
    pub skipped: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct FlushReport {
    pub covered: Position,
    pub elapsed: Duration,
}

struct EngineFailed<'a> {
    what: &'static str,
    signal: Signal,
    error: &'a EngineError,
}

impl Event for EngineFailed<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "an engine could not do its work, it will be tried again";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("what", self.what);
        fields.text("signal", self.signal);
        fields.error(self.error);
    }

    fn count(&self) {
        let family = if self.what == "flush" { &FLUSH_FAILURES } else { &MERGE_FAILURES };
        family.increment(&[self.signal.as_str()]);
    }
}

struct BatchRefused<'a> {
    signal: Signal,
    position: Position,
    reason: &'a str,
}

impl Event for BatchRefused<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "a logged batch could not be applied and stays in the log";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("signal", self.signal);
        fields.text("position", self.position);
        fields.text("reason", self.reason);
    }
}

/// A smaller log is not worth a new segment.
const ROTATE_BYTES: u64 = 1 << 20;

/// Owns the order in which engines are served: one flush at a time, and one merge or retention. A
/// merge may take an hour, and no flush can wait for it: heads and log grow meanwhile.
///
/// What was begun goes on to its end, under its locks, when whoever asked for it goes away; what
/// still waits for its turn goes with them. Should it panic, who asked is told.
#[derive(Debug)]
pub struct Keeper {
    engines: Vec<Arc<dyn Engine>>,
    clock: Arc<dyn Clock>,
    settings: KeeperSettings,
    /// Taken before `flushing` by who needs both.
    merging: Arc<Mutex<()>>,
    flushing: Arc<Mutex<Flushed>>,
}

/// What the last flush did.
#[derive(Debug)]
struct Flushed {
    at: platform::Moment,
    covered: Position,
    /// The log behind it.
    log_bytes: u64,
}

impl Keeper {
    pub fn new(
        engines: Vec<Arc<dyn Engine>>,
        clock: Arc<dyn Clock>,
        settings: KeeperSettings,
    ) -> Self {
        let covered = Position { segment: 0, offset: 0 };
        let flushed = Flushed { at: clock.now(), covered, log_bytes: 0 };
        Self {
            engines,
            clock,
            settings,
            merging: Arc::default(),
            flushing: Arc::new(Mutex::new(flushed)),
        }
    }

    pub fn engines(&self) -> &[Arc<dyn Engine>] {
        &self.engines
    }

    /// The highest position that any engine has in parts.
    pub fn log_covered(&self) -> Position {
        let covered = self.engines.iter().filter_map(|engine| engine.log_covered());
        covered.max().unwrap_or(Position { segment: 0, offset: 0 })
    }

    /// Gives every batch of the log to its engine; blocking. `progress` hears bytes done and all.
    pub fn replay(
        &self,
        mut replay: Replay,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<ReplayReport, WalError> {
        let mut report = ReplayReport::default();
        while let Some(replayed) = replay.next_batch()? {
            report.batches += 1;
            report.bytes += replayed.batch.payload.len() as u64;
            report.skipped += u64::from(!self.replay_one(&replayed));
            let Progress { done_bytes, total_bytes } = replay.progress();
            progress(done_bytes, total_bytes);
        }
        Ok(report)
    }

    /// Whether an engine took it.
    fn replay_one(&self, replayed: &Replayed<'_>) -> bool {
        let signal = replayed.batch.signal;
        let engine = self.engines.iter().find(|engine| engine.signal() == signal);
        let refused = match engine {
            Some(engine) => engine.replay(replayed).err().map(|error| error.to_string()),
            None => Some("this server has no engine for it".to_owned()),
        };
        if let Some(reason) = &refused {
            emit(&BatchRefused { signal, position: replayed.position, reason });
        }
        refused.is_none()
    }

    /// Writes all heads to parts and lets go of the log behind them.
    pub async fn flush(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
    ) -> Result<FlushReport, EngineError> {
        let (keeper, gateway) = (Arc::clone(self), Arc::clone(gateway));
        let flushed = Arc::clone(&self.flushing).lock_owned().await;
        to_its_end(async move { keeper.flush_alone(&gateway, flushed).await }).await
    }

    async fn flush_alone(
        &self,
        gateway: &Gateway,
        mut flushed: OwnedMutexGuard<Flushed>,
    ) -> Result<FlushReport, EngineError> {
        let started = self.clock.now();
        // What an earlier flush left goes first: behind it an engine may cut no further. Should it
        // fail again, the flush below says so.
        let _ = self.try_each(|engine| engine.flush().map(|()| 0)).await;
        // So that everything this flush writes lies in segments that can go as a whole.
        let log = Arc::clone(gateway.log());
        blocking(move || rotate(&log)).await?;
        let covered = gateway
            .quiet(|end| {
                self.engines.iter().for_each(|engine| engine.cut(end));
                end
            })
            .await;
        self.on_each("flush", |engine| engine.flush().map(|()| 0)).await?;
        self.truncate(gateway, covered).await?;
        let elapsed = self.clock.now().since(started);
        let log_bytes = gateway.log().size_bytes();
        *flushed = Flushed { at: self.clock.now(), covered, log_bytes };
        FLUSHES.increment();
        FLUSH_SECONDS.observe(elapsed.as_secs_f64());
        Ok(FlushReport { covered, elapsed })
    }

    /// Flushes when it is time to, or when the log or the heads have grown enough. What has no rows
    /// (metadata, exemplars, batches of which every sample was refused) is in the log all the same.
    pub async fn flush_when_due(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
    ) -> Result<(), EngineError> {
        let (waited, log_before) = {
            let flushed = self.flushing.lock().await;
            (self.clock.now().since(flushed.at), flushed.log_bytes)
        };
        let (rows, bytes) = self.heads();
        let log_bytes = gateway.log().size_bytes();
        let due = waited >= self.settings.flush_interval
            || log_bytes >= self.settings.flush_size
            || bytes >= self.settings.head_size;
        if due && (rows > 0 || bytes > 0 || log_bytes > log_before.max(ROTATE_BYTES)) {
            self.flush(gateway).await?;
        }
        Ok(())
    }

    /// Cuts the log below `covered`, or below what an engine still needs of it.
    async fn truncate(&self, gateway: &Gateway, covered: Position) -> Result<(), EngineError> {
        let needed = self.engines.iter().filter_map(|engine| engine.log_needed_from());
        let bound = needed.fold(covered, Position::min);
        let log = Arc::clone(gateway.log());
        blocking(move || log.truncate_before(bound).map_err(log_error)).await.map(|_| ())
    }

    /// Rows and bytes that are in memory alone.
    fn heads(&self) -> (u64, u64) {
        let stats = self.engines.iter().map(|engine| engine.stats());
        stats.fold((0, 0), |(rows, bytes), s| (rows + s.head_rows, bytes + s.head_bytes))
    }

    /// Merging publishes new generations, after which less of the log is needed.
    pub async fn merge(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        request: MergeRequest,
    ) -> Result<usize, EngineError> {
        let (keeper, gateway) = (Arc::clone(self), Arc::clone(gateway));
        let merging = Arc::clone(&self.merging).lock_owned().await;
        let alone = async move {
            let _merging = merging;
            keeper.merge_alone(&gateway, request).await
        };
        to_its_end(alone).await
    }

    async fn merge_alone(
        &self,
        gateway: &Gateway,
        request: MergeRequest,
    ) -> Result<usize, EngineError> {
        let merged = self.on_each("merge", move |engine| engine.merge(&request)).await?;
        let covered = self.flushing.lock().await.covered;
        self.truncate(gateway, covered).await?;
        Ok(merged)
    }

    /// Drops what is too old or, of all engines together, too much: the oldest first, whoever's it
    /// is. Answers how many parts.
    pub async fn retain(
        self: &Arc<Self>,
        retention: RetentionSettings,
    ) -> Result<usize, EngineError> {
        let keeper = Arc::clone(self);
        let merging = Arc::clone(&self.merging).lock_owned().await;
        let alone = async move {
            let _merging = merging;
            keeper.retain_alone(retention).await
        };
        to_its_end(alone).await
    }

    async fn retain_alone(&self, retention: RetentionSettings) -> Result<usize, EngineError> {
        let manifests: Vec<_> = self.engines.iter().flat_map(|engine| engine.manifests()).collect();
        let manifests = manifests.iter().map(|manifest| &**manifest);
        let parts = Arc::new(plan_retention(manifests, &retention));
        self.on_each("retain", move |engine| engine.drop_parts(&parts)).await
    }

    /// Runs `work` on a thread that may block, while no flush, merge or retention changes what the
    /// engines have on disk.
    pub async fn undisturbed<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let merging = Arc::clone(&self.merging).lock_owned().await;
        let flushing = Arc::clone(&self.flushing).lock_owned().await;
        let alone = async move {
            let _both = (merging, flushing);
            blocking(work).await
        };
        to_its_end(alone).await
    }

    /// As `try_each`, and tells every failure. The first one is the answer.
    async fn on_each(
        &self,
        what: &'static str,
        work: impl Fn(&dyn Engine) -> Result<usize, EngineError> + Send + Clone + 'static,
    ) -> Result<usize, EngineError> {
        let (sum, failures) = self.try_each(work).await;
        for (signal, error) in &failures {
            emit(&EngineFailed { what, signal: *signal, error });
        }
        failures.into_iter().next().map_or(Ok(sum), |(_, error)| Err(error))
    }

    /// Runs the work on each engine, on a thread that may block, and adds up what they answer. All
    /// are served even when one fails.
    async fn try_each(
        &self,
        work: impl Fn(&dyn Engine) -> Result<usize, EngineError> + Send + Clone + 'static,
    ) -> (usize, Vec<(Signal, EngineError)>) {
        let (mut sum, mut failures) = (0, Vec::new());
        for engine in &self.engines {
            let (engine, work) = (Arc::clone(engine), work.clone());
            let signal = engine.signal();
            match blocking(move || work(engine.as_ref())).await {
                Ok(count) => sum += count,
                Err(error) => failures.push((signal, error)),
            }
        }
        (sum, failures)
    }
}

/// A task of its own: a client that hangs up drops its request's future, and with it would go the
/// locks, under threads that still work.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    let outcome = tokio::spawn(work).await;
    outcome
        .unwrap_or_else(|_| Err(EngineError::new(ErrorKind::Bug, "the care of engines panicked")))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(EngineError::new(ErrorKind::Bug, "an engine panicked")))
}

fn rotate(log: &Log) -> Result<(), EngineError> {
    if log.size_bytes() >= ROTATE_BYTES {
        log.rotate();
    }
    Ok(())
}

fn log_error(error: WalError) -> EngineError {
    EngineError::new(error.kind(), error)
}
