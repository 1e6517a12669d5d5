//! What the protocols of logs have in common, between their bytes and the store.
//!
//! Lives here: `settings` (limits and what is added to lines), `level` (the level of a line), `guard`
//! (the sink that adds and refuses).
//! Not here: any protocol, decoding (wire), the store.
//! Invariants: every line that a client sends is passed to the store or refused; every refusal is
//! counted by its reason, and the protocol tells its client.

mod commit;
mod guard;
mod level;
mod record;
mod settings;

pub(crate) use commit::{CommittedLogs, Guard, RecordRoom, commit, commit_held, room_for_lines};
pub(crate) use guard::METRICS;
pub(crate) use record::{BadRecord, RecordShape, RecordWriter, ShapeNames};
pub use settings::{LogOptions, LogsSettings};
