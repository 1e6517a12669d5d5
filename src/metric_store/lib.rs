//! The columnar store of time series, for many tenants. Step 4.
//!
//! Lives here: batches for the write-ahead log, the head, parts of metrics, selecting, merging,
//! deleting.
//! Not here: protocols, languages (`promql` reads this store itself), when to flush or merge
//! (`ingest`), files and checksums (`parts`), the write-ahead log (`wal`).
//! Invariants: values are returned bit for bit; what was applied is in the next selection; of two
//! samples of a series for one millisecond the newer one counts, across heads, parts and restarts;
//! a length in bytes is checked before memory is allocated for it.
//! When you change a layout: raise its schema, freeze a fixture of the old one under `tests/`,
//! update `docs/formats/metrics-part.md` or `docs/formats/metrics-batch.md`.
//!
//! Read first: [`MetricStore`], [`BatchBuilder`], [`Selection`]. The reasons:
//! `docs/adr/0004-metric-store.md`.

mod activity;
mod apply;
mod batch;
mod columns;
mod error;
mod flush;
mod head;
mod histograms;
mod intake;
mod kind;
mod matcher;
mod merge;
mod part;
mod postings;
mod registry;
mod select;
mod series;
mod statistics;
mod store;
mod telemetry;
mod values;

pub use batch::format::DecodedBatch;
pub use batch::{BatchBuilder, Counts, Exemplar, HistogramSample, SeriesSlot};
pub use error::StoreError;
pub use intake::{MetricBatch, Written};
pub use select::{Samples, Scratch, Select, Selection, SeriesSamples, Union, in_label_order};
pub use statistics::{Cardinality, NameCount, SeriesStats};
pub use store::{
    BATCH_SCHEMA, Limits, MetricStore, Prepared, Refused, ResolvedDelete, StoreSettings,
    decode_batch,
};
pub use telemetry::METRICS;
