//! The gateway between protocols and engines. Step 7: async starts here.
//!
//! Lives here: the one way by which a batch becomes durable and visible ([`Gateway`]), what is known of
//! batches that may arrive again ([`Repeats`]), and the maintenance of the engines ([`Maintenance`]): replay, flushes by each tenant's schedule, merges,
//! retention, truncation of the write-ahead log.
//! Not here: wire formats (`protocols`), what every engine does (`engine`), what one stores (the
//! engines).
//! Invariants: a success is answered only after the batch is synced as the settings say and its
//! rows are visible; a batch is complete or was never there, also if its caller is dropped; a
//! segment of the write-ahead log is deleted only when no tenant of any engine needs it and it
//! holds no refused batch.
//!
//! Read first: [`Gateway`], [`Maintenance`], [`FlushSettings`].

mod gateway;
mod maintenance;
mod repeats;
mod replay;
mod retention_clock;
mod schedule;
#[cfg(test)]
mod tests;

pub use gateway::{Gateway, IngestError, batches_taken};
pub use maintenance::{FlushReport, Maintenance};
pub use repeats::Repeats;
pub use replay::ReplayReport;
pub use retention_clock::{ClockTrust, RetentionClock};
pub use schedule::FlushSettings;

/// The metrics of this crate.
pub static METRICS: &[&dyn observe::Metric] = &[
    &gateway::BATCHES,
    &gateway::REFUSED,
    &gateway::REPEATED,
    &maintenance::FLUSHES,
    &maintenance::FLUSH_SECONDS,
    &maintenance::FAILURES,
    &maintenance::TRUNCATED,
    &replay::REFUSED_BATCHES,
    &retention_clock::TRUSTED,
    &retention_clock::JUMPS,
];
