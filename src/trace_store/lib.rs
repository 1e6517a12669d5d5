//! The columnar store of spans, for many tenants. Step 4.
//!
//! Lives here: batches for the write-ahead log, the head, parts of traces, selecting whole traces,
//! merging, deleting.
//! Not here: protocols, languages (`traceql` reads this store itself), when to flush or merge
//! (`ingest`), files and checksums (`parts`), the write-ahead log (`wal`).
//! Invariants: what was applied is in the next selection, and every span once; a piece that a reader
//! gets has whole traces, unless it asked for fragments; a length in bytes is checked before memory is
//! allocated for it.
//! When you change a layout: raise its schema, freeze a fixture of the old one under `tests/`, update
//! `docs/formats/traces-part.md` or `docs/formats/traces-batch.md`.
//!
//! Read first: [`TraceStore`], [`SpanBatch`], [`Selection`], [`Piece`]. The reasons:
//! `docs/adr/0019-traces-in-tree-order.md`.

mod attributes;
mod batch;
mod block;
mod column;
mod delete;
mod entries;
mod error;
mod flush;
mod head;
mod keys;
mod kind;
mod measures;
mod merge;
mod part;
mod piece;
mod select;
mod spans;
mod store;
mod telemetry;
mod tree;
mod value;

pub use batch::{SpanBatch, Written, format::BATCH_SCHEMA};
pub use column::{Column, Dense, DenseValues, Present};
pub use columns::{ABSENT, RowSet, TextColumn, TextList};
pub use delete::{KnownDelete, TraceDelete};
pub use entries::{EIGHTH_NS, Entries};
pub use error::StoreError;
pub use keys::{ColumnKey, Table, ValueKind};
pub use measures::{
    EDGE_BUCKETS, EdgeField, EdgeKey, EdgeKind, Example, Examples, LATENCY_BUCKETS, Measure,
    MeasureKey, Measures, SLOT_NS, SpanField, SpanKey, edge_bound_ns, latency_bound_ns,
};
pub use part::{Rollup, RollupCount, RollupKey, duration_size};
pub use piece::Piece;
pub use select::{PieceInfo, Select, Selection};
pub use store::{StoreSettings, TraceStore};
pub use telemetry::METRICS;
pub use tree::{ORPHAN, ROOT};
pub use value::decode_value;

/// The highest number of a kind of spans, which OTLP calls consumer.
pub const KIND_MAX: u8 = 5;
/// The highest number of a status, which OTLP calls error.
pub const STATUS_MAX: u8 = 2;
