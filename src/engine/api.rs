//! The interface of an engine, as the gateway and the maintenance use it.

use model::{ErrorKind, Signal, TenantId, Ulid, WalPosition};
use parts::{Manifest, PartError};
use platform::Space;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::Arc;
use wal::Replayed;

/// A store of one signal for all tenants. Calls may block: make them on threads that may block.
///
/// The life of a batch: the gateway appends it to the write-ahead log and applies it to the head
/// through its [`Intake`]; `cut` freezes the head; `flush` writes the frozen head into parts, and the
/// manifest that publishes them says up to which position it covers the write-ahead log. After a
/// crash `replay` brings back what no manifest covers.
pub trait Engine: Debug + Send + Sync {
    fn signal(&self) -> Signal;

    /// Applies one batch at start-up, in the order of the write-ahead log. A batch that the
    /// tenant's manifest covers is skipped. A batch that is refused stays in the write-ahead log
    /// (see [`Engine::refused`]).
    fn replay(&self, batch: &Replayed<'_>) -> Result<(), EngineError>;

    /// The replay is over: state that only the replay needed can be dropped.
    fn end_replay(&self);

    /// What each tenant has in memory and what it needs of the write-ahead log.
    fn tenants(&self) -> Vec<TenantStatus>;

    /// Freezes what the tenant has applied so far, unless an earlier cut is not in parts yet. The
    /// caller holds a barrier: no batch of the tenant is between the write-ahead log and the head,
    /// so every batch below `end` has been applied and no later one has. Ingestion waits meanwhile,
    /// so it must be quick.
    fn cut(&self, tenant: &TenantId, end: WalPosition);

    /// Writes the tenant's frozen heads into parts. After an error it can be called again.
    fn flush(&self, tenant: &TenantId) -> Result<(), EngineError>;

    /// Merges the parts that are worth merging, or all parts of each day into one. Returns how many
    /// parts were merged.
    fn merge(&self, tenant: &TenantId, request: &MergeRequest) -> Result<usize, EngineError>;

    /// Slow, regular work of the engine's own, such as forgetting series that are no longer
    /// written.
    fn tend(&self, tenant: &TenantId);

    /// The highest position that any manifest covers. Segments of a new write-ahead log must lie
    /// above it, or their batches would be taken for covered ones.
    fn wal_covered(&self) -> Option<WalPosition>;

    /// The newest manifest of each tenant. Retention plans over the manifests of all engines.
    fn manifests(&self) -> Vec<Arc<Manifest>>;

    /// Drops the given parts that belong to this engine and still exist, even while a merge reads
    /// them. Returns how many were dropped.
    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError>;

    /// Records that the write-ahead log lost batches below `end`: answers of each tenant whose
    /// manifest does not cover that position carry the text until an operator has read it (see
    /// [`Engine::forget_refused`]). If that can't be written now, it is still so in this process,
    /// and the first failure is returned.
    fn note_loss(&self, end: WalPosition, text: &str) -> Result<(), EngineError>;

    /// Batches of the write-ahead log that could not be applied, and what is known to be missing, by
    /// tenant.
    fn refused(&self) -> Vec<RefusedBatches>;

    /// Gives up the tenant's refused batches, so that the write-ahead log need not keep them, and
    /// what is missing, so that answers no longer say so. Returns how many of both there were.
    fn forget_refused(&self, tenant: &TenantId) -> Result<usize, EngineError>;

    fn stats(&self) -> EngineStats;
}

/// What a batch is written as: its tenant, its signal, and the version of its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchKind {
    pub tenant: TenantId,
    pub signal: Signal,
    pub schema: u16,
}

/// A batch on its way into an engine. No cut happens between the two steps, so the payload may
/// refer to what the engine wrote to the write-ahead log since the last cut.
pub trait Intake {
    type Done;

    fn kind(&self) -> BatchKind;

    /// Roughly how many bytes `encode` and `apply` work on: large batches are moved to a thread
    /// that may block.
    fn size_bytes(&self) -> usize;

    /// Whether heads hold so much that the batch should wait for a flush before it is written.
    fn should_wait(&self) -> bool {
        false
    }

    /// `Some` if the batch counts once: when the same payload arrives again soon, because its sender
    /// missed the answer, it is not stored again. The bytes are what tells apart batches of equal
    /// payload that their sender knows to be different, such as a name that it gave; they may be empty.
    /// Such a batch must encode itself alike each time.
    fn origin(&self) -> Option<&[u8]> {
        None
    }

    /// The answer for a batch that counts once and is stored already.
    fn stored_before(self) -> Result<Self::Done, EngineError>
    where
        Self: Sized,
    {
        Err(EngineError::new(ErrorKind::Bug, "this batch counts as often as it arrives"))
    }

    /// Encodes the payload for the write-ahead log: appends it.
    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError>;

    /// Makes the batch visible. `position` is its position in the write-ahead log.
    fn apply(self, position: WalPosition) -> Result<Self::Done, EngineError>;
}

/// How much to merge, and the disk space there is for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// Merge all parts of each day into one, not only those that are worth merging.
    pub full: bool,
    pub space: Space,
}

/// How large a head is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadSize {
    /// Samples, lines or spans.
    pub rows: u64,
    /// The memory that a flush frees.
    pub bytes: u64,
    /// The series that have rows. A part repeats the labels of each, so a flush costs something for
    /// every series beside what it costs for rows; 0 where there is no such cost.
    pub series: u64,
}

impl std::ops::Add for HeadSize {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            series: self.series + other.series,
        }
    }
}

/// What a tenant has in memory and in the write-ahead log only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantStatus {
    pub tenant: TenantId,
    /// The size of the live and the frozen heads together.
    pub head: HeadSize,
    /// A frozen head waits to be written.
    pub is_frozen: bool,
    /// The engine requests a cut although no rows wait.
    pub wants_cut: bool,
    /// The first position of the write-ahead log that the tenant still needs; `None` if it needs
    /// nothing.
    pub wal_needed_from: Option<WalPosition>,
    /// Like `wal_needed_from`, but without refused batches: a flush moves it forward.
    pub wal_unflushed_from: Option<WalPosition>,
}

/// What one tenant's answers lack: batches that stay in the write-ahead log because they could not
/// be applied, and rows that are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBatches {
    pub signal: Signal,
    pub tenant: TenantId,
    pub count: usize,
    /// The position of the first of these batches.
    pub lowest: Option<WalPosition>,
    /// What else is missing, for people.
    pub missing: Vec<String>,
}

/// Figures for the front page and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    pub tenants: u64,
    pub head: HeadSize,
    pub parts: u64,
    pub part_rows: u64,
    pub part_bytes: u64,
    pub quarantined: u64,
}

/// An engine's error, with a kind that tells the caller what to do about it.
#[derive(Debug)]
pub struct EngineError {
    pub kind: ErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

impl EngineError {
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }
}

impl From<PartError> for EngineError {
    fn from(error: PartError) -> Self {
        Self::new(error.kind(), error)
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl Error for EngineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}
