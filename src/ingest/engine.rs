//! What the gateway asks of every engine, whatever its signal.

use model::{ErrorKind, Signal, Ulid};
use parts::Manifest;
use platform::Space;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::Arc;
use wal::{Position, Replayed};

/// A store of one signal for all tenants. Calls may block: they belong on worker threads.
///
/// The life of a batch: the gateway logs it, the protocol's handler applies it, `cut` sets it
/// apart, `flush` writes it into a part whose manifest says up to which position it covers the
/// log. After a crash `replay` brings back whatever the manifests don't cover.
pub trait Engine: Debug + Send + Sync {
    fn signal(&self) -> Signal;

    /// Takes back one batch at start-up, in log order. A batch that the tenant's manifest covers
    /// already must be passed over.
    fn replay(&self, batch: &Replayed<'_>) -> Result<(), EngineError>;

    /// Sets everything applied so far apart. No batch is between log and engine while this runs,
    /// so `end` is exactly what has been applied; it holds up ingestion and must be quick.
    fn cut(&self, end: Position);

    /// Writes what was cut into parts. After an error it can be called again.
    fn flush(&self) -> Result<(), EngineError>;

    /// The first position of the log that is not yet safe without it; `None` when all is. The log
    /// is cut below.
    fn log_needed_from(&self) -> Option<Position>;

    /// The highest position that any manifest covers. Segments of a new log must lie above it, or
    /// their batches would be taken for covered ones.
    fn log_covered(&self) -> Option<Position>;

    /// Merges what is worth merging, or everything of a day into one part. Answers how many parts
    /// went into merges.
    fn merge(&self, request: &MergeRequest) -> Result<usize, EngineError>;

    /// The parts that there are, tenant by tenant: retention plans over those of all engines.
    fn manifests(&self) -> Vec<Arc<Manifest>>;

    /// Drops those of the parts that are this engine's and still there. Answers how many.
    fn drop_parts(&self, parts: &BTreeSet<Ulid>) -> Result<usize, EngineError>;

    fn stats(&self) -> EngineStats;
}

/// How much merging is wished, and how much is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// Everything of a day into one part, instead of what is worth it.
    pub full: bool,
    pub space: Space,
}

/// Figures for the front page and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    pub tenants: u64,
    /// Samples, lines or spans that are not in parts yet.
    pub head_rows: u64,
    pub head_bytes: u64,
    pub parts: u64,
    pub part_rows: u64,
    pub part_bytes: u64,
    pub quarantined: u64,
}

/// An engine's error with what a caller may do about it.
#[derive(Debug)]
pub struct EngineError {
    pub kind: ErrorKind,
    pub source: Box<dyn Error + Send + Sync>,
}

impl EngineError {
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
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
