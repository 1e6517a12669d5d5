//! The gateway: takes a batch through write-ahead log, sync, head and acknowledgement.

use crate::repeats::{
    Claim, Claimed, KNOWN_BATCHES, ONCE, Repeats, Underway, begin_payload, content,
};
use engine::{BatchKind, EngineError, Intake};
use model::{ErrorKind, WalPosition};
use observe::{Counter, CounterFamily};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, RwLock, oneshot};
use wal::{Batch, Log, WalError};

pub(crate) static BATCHES: Counter = Counter::new(
    "mirador_ingest_batches_total",
    "Batches that were written to the write-ahead log and applied.",
);
pub(crate) static REFUSED: CounterFamily = CounterFamily::new(
    "mirador_ingest_refused_total",
    "Batches that could not be written to the write-ahead log, by reason.",
    &["reason"],
);
pub(crate) static REPEATED: Counter = Counter::new(
    "mirador_ingest_repeated_total",
    "Batches that had been stored before, whole, and were answered without being stored again.",
);

/// Batches of this size or more are encoded, compressed and applied on a thread that may block: that
/// is about half a millisecond of work. Smaller ones do not pay for the change of threads, which takes
/// a twentieth of the processor time of requests with 2,000 samples.
const LARGE_BYTES: usize = 512 << 10;

/// After this many bytes of batches the maintenance looks at the heads at once, rather than at its next
/// turn: at full speed a second brings more than heads are to hold.
const FILL_BYTES: usize = 16 << 20;

/// A batch that should wait for a flush looks again after this time, and waits this often at most: then
/// the engine's own limit decides.
const WAIT: Duration = Duration::from_millis(20);
const WAITS_MAX: usize = 250;

/// Batches committed since the start, for the front page.
pub fn batches_taken() -> u64 {
    BATCHES.value()
}

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The write-ahead log was shut down before it answered.
    #[error("the server is stopping: send the batch again")]
    Stopping,
    #[error("a mistake in this program; the server's log says more")]
    Panicked,
}

impl IngestError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Wal(error) => error.kind(),
            Self::Engine(error) => error.kind,
            Self::Stopping => ErrorKind::Overloaded,
            Self::Panicked => ErrorKind::Bug,
        }
    }
}

/// Shared by all protocols.
#[derive(Debug)]
pub struct Gateway {
    wal: Arc<Log>,
    /// Held for reading from before a batch is encoded until it is applied, and for writing by a
    /// barrier. So no batch is between the write-ahead log and a head during a barrier.
    in_flight: Arc<RwLock<()>>,
    /// The position after the last applied batch, and never below a position in a manifest.
    applied: Mutex<WalPosition>,
    repeats: Arc<Repeats>,
    /// The bytes of batches since the last notice.
    filled: AtomicUsize,
    fill_notice: Notify,
}

impl Gateway {
    /// `known` is the highest position in any manifest: a new write-ahead log begins above it.
    pub fn new(wal: Arc<Log>, known: WalPosition, repeats: Arc<Repeats>) -> Self {
        let applied = Mutex::new(wal.end().max(known));
        let (filled, fill_notice) = (AtomicUsize::new(0), Notify::new());
        Self { wal, in_flight: Arc::default(), applied, repeats, filled, fill_notice }
    }

    pub fn wal(&self) -> &Arc<Log> {
        &self.wal
    }

    /// Writes a batch to the write-ahead log and applies it once it is as durable as the settings
    /// say. When this returns `Ok`, the batch may be acknowledged.
    ///
    /// The work runs in a task of its own, so that a caller that is dropped in the middle leaves no
    /// batch that is in the write-ahead log and not in a head.
    pub async fn commit<I>(self: &Arc<Self>, intake: I) -> Result<I::Done, IngestError>
    where
        I: Intake + Send + 'static,
        I::Done: Send + 'static,
    {
        let gateway = Arc::clone(self);
        let outcome = tokio::spawn(async move { gateway.commit_whole(intake).await }).await;
        outcome.unwrap_or(Err(IngestError::Panicked))
    }

    async fn commit_whole<I>(&self, mut intake: I) -> Result<I::Done, IngestError>
    where
        I: Intake + Send + 'static,
        I::Done: Send + 'static,
    {
        // Senders are slowed down while heads hold more than flushes keep up with.
        let mut waits = 0;
        while waits < WAITS_MAX && intake.should_wait() {
            self.wait_for_flush().await;
            waits += 1;
        }
        let _in_flight = self.in_flight.read().await;
        let size = intake.size_bytes();
        let is_large = size >= LARGE_BYTES;
        let (intake, claimed, committed) = loop {
            match self.append(intake, is_large).await? {
                Appended::Waits(intake, claimed, committed) => break (intake, claimed, committed),
                Appended::Stored(intake) => {
                    REPEATED.increment();
                    return Ok(intake.stored_before()?);
                }
                Appended::Underway(again, other) => {
                    other.ended().await;
                    intake = again;
                }
            }
        };
        let position = match committed.await {
            Ok(Ok(position)) => position,
            Ok(Err(error)) => {
                REFUSED.increment(&[error.kind().as_str()]);
                return Err(error.into());
            }
            Err(_) => return Err(IngestError::Stopping),
        };
        BATCHES.increment();
        let apply = move || intake.apply(position);
        let outcome = if is_large { blocking(apply).await? } else { apply() };
        self.note_applied(position);
        self.note_filled(size);
        let done = outcome?;
        // Before a barrier may begin: what it finds below its position is in the table.
        if let Some(claimed) = claimed {
            claimed.stored(position);
        }
        Ok(done)
    }

    /// Hands the batch to the write-ahead log, unless it counts once and is there already.
    async fn append<I>(&self, mut intake: I, is_large: bool) -> Result<Appended<I>, IngestError>
    where
        I: Intake + Send + 'static,
    {
        let (wal, repeats) = (Arc::clone(&self.wal), Arc::clone(&self.repeats));
        let append = move || {
            let mut payload = Vec::new();
            let once_ms = intake.origin().map(|origin| {
                let now_ms = repeats.now_ms();
                begin_payload(now_ms, origin, &mut payload);
                now_ms
            });
            intake.encode(&mut payload)?;
            let BatchKind { tenant, signal, mut schema } = intake.kind();
            let mut claimed = None;
            if let Some(now_ms) = once_ms {
                schema |= ONCE;
                match repeats.claim(signal, &tenant, now_ms, content(&payload)) {
                    Claim::Write(claim) => claimed = Some(claim),
                    Claim::Stored => return Ok(Appended::Stored(intake)),
                    Claim::Underway(other) => return Ok(Appended::Underway(intake, other)),
                }
            }
            let batch = Batch { tenant: &tenant, signal, schema, payload: &payload };
            Ok(Appended::Waits(intake, claimed, write(&wal, &batch)))
        };
        if is_large { blocking(append).await? } else { append() }
    }

    /// Writes the digests of recent batches that only segments below this one tell of, so that those may
    /// be deleted.
    pub(crate) async fn keep_known(&self, segment: u64) {
        for (signal, tenant, list) in self.repeats.only_below(segment) {
            let batch = Batch { tenant: &tenant, signal, schema: KNOWN_BATCHES, payload: &list };
            // On a full disk space is needed more than to know of a repeat after the next start.
            if let Ok(Ok(position)) = write(&self.wal, &batch).await {
                let _ = self.repeats.listed(signal, &tenant, &list, position);
            }
        }
    }

    /// Wakes the maintenance and gives it some time. Nothing is held meanwhile that a flush needs.
    async fn wait_for_flush(&self) {
        self.fill_notice.notify_one();
        tokio::time::sleep(WAIT).await;
    }

    /// Returns when much has come in since the last time.
    pub async fn filled(&self) {
        self.fill_notice.notified().await;
    }

    fn note_filled(&self, bytes: usize) {
        if self.filled.fetch_add(bytes, Relaxed) + bytes >= FILL_BYTES {
            self.filled.store(0, Relaxed);
            self.fill_notice.notify_one();
        }
    }

    /// Runs `work` while no batch is between the write-ahead log and a head, with the position
    /// after the last one. All ingestion waits meanwhile, so `work` must not do I/O.
    pub async fn barrier<T>(&self, work: impl FnOnce(WalPosition) -> T) -> T {
        let _alone = self.in_flight.write().await;
        // The end of the write-ahead log may be updated a moment after its answers.
        let applied = *self.applied();
        work(applied.max(self.wal.end()))
    }

    fn note_applied(&self, position: WalPosition) {
        let mut applied = self.applied();
        *applied = (*applied).max(position.behind());
    }

    fn applied(&self) -> MutexGuard<'_, WalPosition> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Committed = oneshot::Receiver<Result<WalPosition, WalError>>;

/// How far a batch came.
enum Appended<I> {
    /// It waits for its sync.
    Waits(I, Option<Claimed>, Committed),
    /// It is durable and readable already.
    Stored(I),
    /// An equal one is being written.
    Underway(I, Underway),
}

fn write(wal: &Log, batch: &Batch<'_>) -> Committed {
    let (answer, committed) = oneshot::channel();
    wal.append(batch, move |result| {
        // The receiver is gone only when the server is stopping.
        let _ = answer.send(result);
    });
    committed
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, IngestError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| IngestError::Panicked)
}
