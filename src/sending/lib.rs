//! Sending samples on to other servers (`remote_write` of Prometheus' configuration), from the
//! write-ahead log. Step 8.
//!
//! Lives here: `destination` (what is sent where, and how), `reader` (from the write-ahead log to items:
//! `series`, `item`), `progress` and `position` (how far a destination has come, in memory and on the
//! disk), `batcher` and `shard` (requests), `metadata`, `retry` (what an answer means), `resharding` (how many
//! requests at once), `queue` (a destination at work), `manager` (all of them), `telemetry`.
//! Not here: the section of the configuration (`scrape` reads it), connections (`outbound`), the bytes
//! of requests (`wire`), what keeps the write-ahead log (`wal`).
//! Invariants: a position moves only over samples that were answered for or given up with a count, and
//! the write-ahead log is released only below a position that is on the disk; samples of one series are
//! sent in the order of the write-ahead log; queues are bounded, and ingest never waits for them.
//!
//! Read first: [`Senders`], [`Destination`], `queue`. Why the write-ahead log: docs/adr/0025.

mod batcher;
mod destination;
mod item;
mod manager;
mod metadata;
mod position;
mod progress;
mod queue;
mod reader;
mod resharding;
mod retry;
mod series;
mod shard;
mod telemetry;
#[cfg(test)]
mod tests;

pub use destination::{Destination, MetadataSettings, QueueSettings};
pub use manager::{SendError, Senders, Source};
pub use queue::DestinationView;
pub use telemetry::METRICS;
