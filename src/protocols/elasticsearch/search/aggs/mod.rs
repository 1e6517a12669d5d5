//! Aggregations: buckets of lines, figures of them, and figures of buckets.
//!
//! Lives here: what can be asked for; `parse` (JSON to that), `interval` (steps of time), `collect`
//! (adding rows, joining what threads have added), `figures` (sums, percentiles, distinct values),
//! `finish` (buckets in order, as JSON), `pipeline` (figures of buckets) with `script` (its arithmetic)
//! and `moving` (its windows).
//! Invariants: aggregations nest to a bounded depth; every bucket is counted and its memory asked for.

mod collect;
mod figures;
mod finish;
mod interval;
mod moving;
mod parse;
mod pipeline;
mod script;

pub(super) use collect::{Bucket, add_row, merge};
pub(super) use finish::{Finishing, finish};
pub(super) use parse::parse;

use super::expr::Expr;
use super::field::Field;
use super::zone::Zone;
use interval::Interval;
use pipeline::Pipeline;

/// An aggregation with its name in the answer.
#[derive(Clone, Debug)]
pub(super) struct Agg {
    name: String,
    kind: Kind,
    subs: Vec<Agg>,
    /// Figures of the buckets of this one.
    pipelines: Vec<(String, Pipeline)>,
}

#[derive(Clone, Debug)]
enum Kind {
    DateHistogram(DateHistogram),
    Histogram(Histogram),
    Terms(Terms),
    Filters(Vec<(String, Expr)>),
    /// One bucket, without a list around it.
    Filter(Expr),
    Range {
        field: Field,
        ranges: Vec<Span>,
    },
    Missing(Field),
    Figure(Figure),
    TopMetrics(TopMetrics),
}

#[derive(Clone, Debug)]
struct DateHistogram {
    interval: Interval,
    zone: Zone,
    offset_ms: i64,
    min_doc_count: u64,
    format: String,
    /// Milliseconds: buckets from here to there, also without lines.
    extended: Option<(i64, i64)>,
    /// Milliseconds: no buckets outside.
    hard: Option<(i64, i64)>,
    keys_fall: bool,
}

#[derive(Clone, Debug)]
struct Histogram {
    field: Field,
    interval: f64,
    offset: f64,
    min_doc_count: u64,
    extended: Option<(f64, f64)>,
}

#[derive(Clone, Debug)]
struct Terms {
    field: Field,
    size: usize,
    order: Vec<Order>,
    min_doc_count: u64,
    missing: Option<String>,
    include: Option<Choice>,
    exclude: Option<Choice>,
}

/// Values that are chosen by a list or an expression.
#[derive(Clone, Debug)]
enum Choice {
    These(std::collections::BTreeSet<String>),
    Like(model::AnchoredRegex),
}

#[derive(Clone, Debug)]
struct Order {
    by: OrderBy,
    is_descending: bool,
}

#[derive(Clone, Debug)]
enum OrderBy {
    Count,
    Key,
    /// A figure of the bucket, as a path of the answer: `1`, `1[95.0]`, `1.avg`.
    Figure(String),
}

/// From, to (not included), and the key in the answer.
#[derive(Clone, Debug)]
struct Span {
    key: String,
    from: f64,
    to: f64,
}

#[derive(Clone, Debug)]
struct Figure {
    kind: FigureKind,
    field: Field,
    missing: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum FigureKind {
    Avg,
    Min,
    Max,
    Sum,
    ValueCount,
    Stats,
    ExtendedStats { sigma: f64 },
    Cardinality,
    Percentiles(Vec<f64>),
}

#[derive(Clone, Debug)]
struct TopMetrics {
    fields: Vec<(String, Field)>,
    by: Field,
    is_descending: bool,
    size: usize,
}

/// How deep aggregations may lie in each other.
const DEPTH_MAX: usize = 8;
/// How many a request may have.
const AGGS_MAX: usize = 256;

/// Whether lines must be read for them.
pub(super) fn read_line(aggs: &[Agg]) -> bool {
    let reads = |agg: &Agg| match &agg.kind {
        Kind::Filter(filter) => filter.reads_line(),
        Kind::Filters(filters) => filters.iter().any(|(_, filter)| filter.reads_line()),
        Kind::Terms(Terms { field, .. })
        | Kind::Histogram(Histogram { field, .. })
        | Kind::Figure(Figure { field, .. })
        | Kind::Range { field, .. }
        | Kind::Missing(field) => is_of_line(*field),
        Kind::TopMetrics(top) => top.fields.iter().any(|(_, field)| is_of_line(*field)),
        Kind::DateHistogram(_) => false,
    };
    aggs.iter().any(|agg| reads(agg) || read_line(&agg.subs))
}

fn is_of_line(field: Field) -> bool {
    matches!(field, Field::Line | Field::Id)
}
