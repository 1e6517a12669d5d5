//! An engine as the gateway and the maintenance of a server see it.

use model::{ErrorKind, Signal, TenantId, Ulid, WalPosition};
use parts::{Manifest, PartError};
use platform::Space;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::Arc;
use wal::Replayed;

/// A store of one signal for all tenants. Calls may block: they belong on threads that may.
///
/// The life of a batch: the gateway appends it to the write-ahead log and applies it to the head
/// through its [`Intake`]; `cut` freezes the head; `flush` writes the frozen head into parts, and the
/// manifest that publishes them says up to which position it covers the write-ahead log. After a
/// crash `replay` brings back what no manifest covers.
pub trait Engine: Debug + Send + Sync {
    fn signal(&self) -> Signal;

    /// Takes back one batch at start-up, in the order of the write-ahead log. A batch that the
    /// tenant's manifest covers is passed over. A batch that is refused stays in the write-ahead log
    /// (see [`Engine::refused`]).
    fn replay(&self, batch: &Replayed<'_>) -> Result<(), EngineError>;

    /// The replay is over: what only it needed can be dropped.
    fn end_replay(&self);

    /// What each tenant has in memory and what it needs of the write-ahead log.
    fn tenants(&self) -> Vec<TenantStatus>;

    /// Freezes what the tenant has applied so far, unless an earlier cut is not in parts yet. No
    /// batch of the tenant is between the write-ahead log and the head while this runs, so every
    /// batch below `end` has been applied and no later one is. Ingestion waits: it must be quick.
    fn cut(&self, tenant: &TenantId, end: WalPosition);

    /// Writes the tenant's frozen heads into parts. After an error it can be called again.
    fn flush(&self, tenant: &TenantId) -> Result<(), EngineError>;

    /// Merges what is worth merging, or everything of a day into one part. Answers how many parts
    /// went into merges.
    fn merge(&self, tenant: &TenantId, request: &MergeRequest) -> Result<usize, EngineError>;

    /// Slow, regular work of the engine's own, such as forgetting series that nobody writes to.
    fn tend(&self, tenant: &TenantId);

    /// The highest position that any manifest covers. Segments of a new write-ahead log must lie
    /// above it, or their batches would be taken for covered ones.
    fn wal_covered(&self) -> Option<WalPosition>;

    /// The newest manifest of each tenant: retention plans over those of all engines.
    fn manifests(&self) -> Vec<Arc<Manifest>>;

    /// Drops those of the parts that belong to this engine and still exist, also while a merge
    /// reads them. Answers how many.
    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError>;

    /// Batches of the write-ahead log that could not be taken back, by tenant.
    fn refused(&self) -> Vec<RefusedBatches>;

    /// Gives up the tenant's refused batches, so that the write-ahead log need not keep them.
    /// Answers how many.
    fn forget_refused(&self, tenant: &TenantId) -> Result<usize, EngineError>;

    fn stats(&self) -> EngineStats;
}

/// Whose batch it is, and how its payload is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchKind {
    pub tenant: TenantId,
    pub signal: Signal,
    pub schema: u16,
}

/// A batch on its way into an engine. Both steps happen without a cut in between: an engine may
/// refer in the payload to what it wrote to the write-ahead log since the last cut.
pub trait Intake {
    type Done;

    fn kind(&self) -> BatchKind;

    /// About how many bytes `encode` and `apply` work on: large batches are moved to a thread that
    /// may take its time.
    fn size_bytes(&self) -> usize;

    /// What the write-ahead log is to hold.
    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError>;

    /// Makes the batch visible; it stands in the write-ahead log at `position`.
    fn apply(self, position: WalPosition) -> Result<Self::Done, EngineError>;
}

/// How much merging is wanted, and how much is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// Everything of a day into one part, instead of what is worth it.
    pub full: bool,
    pub space: Space,
}

/// How large a head is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadSize {
    /// Samples, lines or spans.
    pub rows: u64,
    /// Memory that a flush frees.
    pub bytes: u64,
}

impl std::ops::Add for HeadSize {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, bytes: self.bytes + other.bytes }
    }
}

/// What a tenant has that is not in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantStatus {
    pub tenant: TenantId,
    /// Of the live and the frozen heads together.
    pub head: HeadSize,
    /// A frozen head waits to be written.
    pub is_frozen: bool,
    /// The engine asks for a cut although nothing has to be written.
    pub wants_cut: bool,
    /// The first position of the write-ahead log that the tenant still needs; `None` for none.
    pub wal_needed_from: Option<WalPosition>,
    /// As `wal_needed_from`, without batches that were refused: a flush moves it on.
    pub wal_unflushed_from: Option<WalPosition>,
}

/// Batches of one tenant that stay in the write-ahead log because they could not be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBatches {
    pub signal: Signal,
    pub tenant: TenantId,
    pub count: usize,
    pub lowest: WalPosition,
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

/// An engine's error with what a caller may do about it.
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
