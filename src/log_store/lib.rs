//! The columnar store of log lines, for many tenants. Step 4.
//!
//! Lives here: batches for the write-ahead log, the head, parts of logs with the column of lines, the
//! index of identifiers, selecting (by streams, conditions and identifiers), following, merging, deleting.
//! Not here: protocols, languages (`logql` reads this store itself), what a label or a level is
//! called (protocols), when to flush or merge (`ingest`), files and checksums (`parts`), the
//! write-ahead log (`wal`).
//! Invariants: lines and fields are returned byte for byte; what was applied is in the next selection,
//! and every line once; a length in bytes is checked before memory is allocated for it.
//! When you change a layout: raise its schema, freeze a fixture of the old one under `tests/`, update
//! `docs/formats/logs-part.md` or `docs/formats/logs-batch.md`.
//!
//! Read first: [`LogStore`], [`LogBatch`], [`Selection`]. The reasons:
//! `docs/adr/0016-lines-as-templates.md`.

mod batch;
mod condition;
mod delete;
mod error;
mod expiry;
mod flush;
mod head;
mod identifier;
mod kind;
mod lines;
mod merge;
mod part;
mod pattern;
mod rows;
mod select;
mod store;
mod streams;
mod tail;
mod telemetry;

pub use batch::{LogBatch, Written, format::BATCH_SCHEMA};
pub use columns::{ABSENT, TextColumn, TextList};
pub use condition::Condition;
pub use delete::{KnownDelete, LogDelete};
pub use error::StoreError;
pub use expiry::{Expired, StreamRule, StreamRules};
pub use lines::{
    Answer, Found, FoundTexts, InTemplate, LineText, Template, TextCondition, TextNumber,
    TextReader, TextTest, WantedText,
};
pub use pattern::{WILDCARD, pattern_of};
pub use select::{
    FoundRows, LineCount, LineTexts, Listing, LogField, LogRows, NO_TEXTS, Needs, Order, Piece,
    Scratch, Select, Selection, Steps, TemplateCount, TemplateCounts, ValueLines,
};
pub use store::{LogStore, StoreSettings};
pub use tail::{Fresh, Missed, Tail};
pub use telemetry::METRICS;
