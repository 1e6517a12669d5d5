//! The types that every crate shares. Step 0: depends on no other crate of Mirador.
//!
//! Lives here: tenants, signals, time ranges and days, part ids, positions in the write-ahead log,
//! error kinds; labels, samples and native histograms with their arithmetic; label matchers,
//! regular expressions and quoted strings as Go reads them, durations as text; alerts; how work asks for memory.
//! Not here: input and output of any kind, wire formats, how anything is stored.
//! Invariants: a `TenantId` is always valid and safe as one path component; a `TimeRange` knows its
//! unit and is never empty; ids that one machine made sort in the order in which it made them.

mod alert;
mod duration;
mod error;
mod histogram;
mod kahan;
mod labels;
mod matcher;
mod nearest;
mod quote;
mod regex;
mod room;
mod sample;
mod signal;
mod tenant;
mod time;
mod ulid;
mod wal_position;

pub use alert::Alert;
pub use duration::{format_duration, format_duration_ns, parse_duration, parse_duration_ns};
pub use error::ErrorKind;
pub use histogram::{
    Bucket, BucketSpan, Buckets, CUSTOM_BUCKETS_SCHEMA, CombineNotes, FloatHistogram,
    IncompatibleBuckets, NanObservations, ResetHint, custom_bounds_match, format_float_go,
};
pub use kahan::KahanSum;
pub use labels::{
    BytesHash, BytesHasher, LABEL_LENGTH_MAX, LabelChoice, Labels, LabelsBuilder, LabelsIter,
    METADATA_LABELS, METRIC_NAME, compare_canonical, is_plain_name, write_label,
};
pub use matcher::{MatchOp, Matcher, matches_all};
pub use nearest::nearest;
pub use quote::{quote_go, quote_rune_go, unquote_go};
pub use regex::{AnchoredRegex, ReplacePattern, SearchRegex, TooLong, escape_regex};
pub use room::{NoRoom, Room, Unbounded};
pub use sample::{
    MetricKind, MetricMetadata, STALE_BITS, Sample, SampleValue, is_stale, stale_marker,
};
pub use signal::Signal;
pub use tenant::{TenantError, TenantId};
pub use time::{Day, TimeRange, TimeUnit};
pub use ulid::Ulid;
pub use wal_position::WalPosition;
