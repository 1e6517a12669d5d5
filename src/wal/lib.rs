//! The write-ahead log, one for all signals and tenants: acknowledged batches survive a power cut.
//! Step 2.
//!
//! Lives here: appending with group commit, replay after a restart, truncation, followers, inspection.
//! Not here: what a payload means (the engines know it), when a head is cut and the write-ahead log
//! may be truncated (`ingest` decides), anything asynchronous: a callback reports that a batch is
//! on disk.
//! Invariants: a batch is acknowledged only after the write and, under [`SyncPolicy::Always`], the
//! sync that contains it; a file that failed once takes no more writes; a start never appends to an
//! old file; replay returns each batch byte for byte as it was written, or not at all.
//! Delivery is at least once: a batch whose append failed, or whose append was never answered, may
//! be replayed.
//! Read first: [`Log`], [`Replay`], [`Batch`]. The bytes: docs/formats/wal.md; why all signals
//! share one write-ahead log: docs/adr/0001. When you change the layout, raise the version and add
//! a folder to `fixtures/`.

mod batch;
mod chain;
mod committer;
mod error;
mod floor;
mod follow;
mod hold;
mod inspect;
mod log;
mod reader;
mod replay;
mod segment;
mod telemetry;
mod writer;

#[cfg(test)]
mod tests;

pub use batch::{Batch, PAYLOAD_BYTES_MAX, Packing, StoredBatch};
pub use error::WalError;
pub use follow::{Followed, Follower};
pub use hold::Hold;
pub use inspect::{Inspected, inspect};
pub use log::{Health, Log, LogOptions, SegmentInfo, SyncPolicy};
pub use replay::{Loss, Progress, Replay, ReplaySummary, Replayed};
pub use telemetry::METRICS;
