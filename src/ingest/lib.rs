//! The gateway between protocols and engines. Step 7: async starts here.
//!
//! Lives here: the one way by which a batch becomes durable and visible (log, sync, apply,
//! acknowledge), and the care of the engines (replay, flush, merge, retention).
//! Not here: wire formats (protocols), how an engine stores (the engines).
//! Invariants: a success is answered only after the batch's record is synced as the settings say
//! and its rows are visible; a part never covers a log position whose batch is not in it; the log
//! loses a segment only when every engine has everything in it in parts.
//!
//! Read first: [`Engine`], [`Gateway`], [`Keeper`].

mod engine;
mod gateway;
mod keeper;
#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineError, EngineStats, MergeRequest};
pub use gateway::{BatchKind, Gateway, IngestError, Intake, batches_taken};
pub use keeper::{FlushReport, Keeper, KeeperSettings, ReplayReport};

/// This crate's instruments.
pub static METRICS: &[&dyn observe::Metric] = &[
    &gateway::BATCHES,
    &gateway::REFUSED,
    &keeper::FLUSHES,
    &keeper::FLUSH_FAILURES,
    &keeper::FLUSH_SECONDS,
    &keeper::MERGE_FAILURES,
];
