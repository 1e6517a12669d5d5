//! The gateway between protocols and engines. Step 7: async starts here.
//!
//! Lives here: the one way by which a batch becomes durable and visible ([`Gateway`]), and the upkeep
//! of the engines ([`Maintenance`]): replay, flushes by the schedule of each tenant, merges,
//! retention, letting go of the write-ahead log.
//! Not here: wire formats (protocols), what an engine is (engine), how one stores (the engines).
//! Invariants: a success is answered only after the batch's record is synced as the settings say and
//! its rows are visible; a batch is whole or was never there, whatever becomes of its caller; the
//! write-ahead log loses a segment only when no tenant of any engine needs it and no batch in it was
//! refused.
//!
//! Read first: [`Gateway`], [`Maintenance`], [`FlushSettings`].

mod gateway;
mod maintenance;
mod replay;
mod schedule;
#[cfg(test)]
mod tests;

pub use gateway::{Gateway, IngestError, batches_taken};
pub use maintenance::{FlushReport, Maintenance};
pub use replay::ReplayReport;
pub use schedule::FlushSettings;

/// This crate's instruments.
pub static METRICS: &[&dyn observe::Metric] = &[
    &gateway::BATCHES,
    &gateway::REFUSED,
    &maintenance::FLUSHES,
    &maintenance::FLUSH_SECONDS,
    &maintenance::FAILURES,
    &maintenance::TRUNCATED,
    &replay::REFUSED_BATCHES,
];
