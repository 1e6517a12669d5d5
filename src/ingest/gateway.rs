//! The way of a batch: log, sync, apply, acknowledge.

use crate::engine::EngineError;
use model::{ErrorKind, Signal, TenantId};
use observe::{Counter, CounterFamily};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{RwLock, oneshot};
use wal::{Batch, Log, Position, WalError};

pub(crate) static BATCHES: Counter =
    Counter::new("mirador_ingest_batches_total", "Batches that were logged and applied.");
pub(crate) static REFUSED: CounterFamily = CounterFamily::new(
    "mirador_ingest_refused_total",
    "Batches that could not be logged, by reason.",
    &["reason"],
);

/// Since the start, for the front page.
pub fn batches_taken() -> u64 {
    BATCHES.value()
}

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Log(#[from] WalError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The log went away in the middle: the server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl IngestError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Engine(error) => error.kind,
            Self::Stopping => ErrorKind::Overloaded,
        }
    }
}

/// Whose batch it is, and how its payload is to be read.
#[derive(Clone, Copy, Debug)]
pub struct BatchKind<'a> {
    pub tenant: &'a TenantId,
    pub signal: Signal,
    pub schema: u16,
}

/// A batch on its way into an engine. Both steps happen behind the gate: an engine may refer in the
/// payload to what it logged since the last cut, and no cut comes between them.
pub trait Intake {
    type Done;

    /// What the log is to hold.
    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError>;

    /// Makes the batch visible; it stands in the log at `position`.
    fn apply(self, position: Position) -> Result<Self::Done, EngineError>;
}

/// Shared by all protocols.
#[derive(Debug)]
pub struct Gateway {
    log: Arc<Log>,
    /// Held for reading from a batch's append to its application, for writing by a cut: so a cut
    /// sees no batch between log and engine.
    gate: RwLock<()>,
    /// Just behind the last batch that was applied.
    applied: Mutex<Position>,
}

impl Gateway {
    pub fn new(log: Arc<Log>) -> Self {
        let applied = Mutex::new(log.end());
        Self { log, gate: RwLock::new(()), applied }
    }

    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Logs a batch and, once it is as durable as the settings ask, applies it. When this answers
    /// `Ok` the batch may be acknowledged.
    ///
    /// Spawn it: a caller that goes away in the middle leaves a batch that is in the log but not
    /// applied until the next start. That is allowed (nobody was told it is stored) but surprising.
    pub async fn commit<T>(
        &self,
        kind: BatchKind<'_>,
        mut intake: impl Intake<Done = T>,
    ) -> Result<T, IngestError> {
        let _open = self.gate.read().await;
        let mut payload = Vec::new();
        intake.encode(&mut payload)?;
        let BatchKind { tenant, signal, schema } = kind;
        let (done, committed) = oneshot::channel();
        let batch = Batch { tenant, signal, schema, payload: &payload };
        self.log.append(&batch, move |result| {
            // The receiver is gone only when the caller is.
            let _ = done.send(result);
        });
        match committed.await {
            Ok(Ok(position)) => {
                BATCHES.increment();
                let outcome = intake.apply(position);
                self.note_applied(position);
                Ok(outcome?)
            }
            Ok(Err(error)) => {
                REFUSED.increment(&[error.kind().as_str()]);
                Err(error.into())
            }
            Err(_) => Err(IngestError::Stopping),
        }
    }

    /// Runs `work` while no batch is between log and engine, with the position behind the last one.
    /// All ingestion waits for it.
    pub async fn quiet<T>(&self, cut: impl FnOnce(Position) -> T) -> T {
        let _closed = self.gate.write().await;
        // The log's own end may lag behind its answers for a moment.
        let applied = *self.applied();
        cut(applied.max(self.log.end()))
    }

    fn note_applied(&self, position: Position) {
        let behind = Position { offset: position.offset + 1, ..position };
        let mut applied = self.applied();
        *applied = applied.max(behind);
    }

    fn applied(&self) -> MutexGuard<'_, Position> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
