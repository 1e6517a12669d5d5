//! Numbers made of lines: windows, aggregations, operators.

use super::{LabelFilter, LogExpr};
use query::{BinaryOp, Grouping, Position, VectorMatching};

#[derive(Clone, Debug, PartialEq)]
pub enum MetricExpr {
    Number(NumberLiteral),
    /// `vector(1)`
    Vector(NumberLiteral),
    Range(Box<RangeAggregation>),
    Aggregate(Box<VectorAggregation>),
    Binary(Box<BinaryExpr>),
    LabelReplace(Box<LabelReplace>),
}

#[derive(Clone, Debug)]
pub struct NumberLiteral {
    pub value: f64,
    pub position: Position,
}

/// NaN equals NaN here: it is a comparison of trees, not of values.
impl PartialEq for NumberLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value || (self.value.is_nan() && other.value.is_nan())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeOp {
    Count,
    Rate,
    RateCounter,
    Bytes,
    BytesRate,
    Absent,
    Sum,
    Avg,
    Min,
    Max,
    Stddev,
    Stdvar,
    Quantile,
    First,
    Last,
}

impl RangeOp {
    pub const ALL: [Self; 15] = [
        Self::Count,
        Self::Rate,
        Self::RateCounter,
        Self::Bytes,
        Self::BytesRate,
        Self::Absent,
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Stddev,
        Self::Stdvar,
        Self::Quantile,
        Self::First,
        Self::Last,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count_over_time",
            Self::Rate => "rate",
            Self::RateCounter => "rate_counter",
            Self::Bytes => "bytes_over_time",
            Self::BytesRate => "bytes_rate",
            Self::Absent => "absent_over_time",
            Self::Sum => "sum_over_time",
            Self::Avg => "avg_over_time",
            Self::Min => "min_over_time",
            Self::Max => "max_over_time",
            Self::Stddev => "stddev_over_time",
            Self::Stdvar => "stdvar_over_time",
            Self::Quantile => "quantile_over_time",
            Self::First => "first_over_time",
            Self::Last => "last_over_time",
        }
    }

    /// Whether it needs `unwrap`; `None` where it may have it.
    pub fn needs_unwrap(self) -> Option<bool> {
        match self {
            Self::Rate | Self::Absent => None,
            Self::Count | Self::Bytes | Self::BytesRate => Some(false),
            _ => Some(true),
        }
    }

    pub fn allows_grouping(self) -> bool {
        matches!(
            self,
            Self::Avg
                | Self::Min
                | Self::Max
                | Self::Stddev
                | Self::Stdvar
                | Self::Quantile
                | Self::First
                | Self::Last
        )
    }
}

/// `quantile_over_time(0.9, {app="web"} | logfmt | unwrap took [5m]) by (pod)`
#[derive(Clone, Debug)]
pub struct RangeAggregation {
    pub op: RangeOp,
    pub parameter: Option<f64>,
    pub range: LogRange,
    pub grouping: Option<Grouping>,
    pub position: Position,
}

impl PartialEq for RangeAggregation {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op
            && self.parameter == other.parameter
            && self.range == other.range
            && self.grouping == other.grouping
    }
}

/// Lines in a window of time.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRange {
    pub log: LogExpr,
    pub unwrap: Option<Unwrap>,
    pub range_ns: i64,
    pub offset_ns: i64,
}

/// The label whose value counts, rather than the line.
#[derive(Clone, Debug)]
pub struct Unwrap {
    pub label: String,
    pub conversion: Option<Conversion>,
    /// After the value was read.
    pub filters: Vec<LabelFilter>,
    pub position: Position,
}

impl PartialEq for Unwrap {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label
            && self.conversion == other.conversion
            && self.filters == other.filters
    }
}

/// How the value of an unwrapped label is read, where it is no plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conversion {
    Bytes,
    Duration,
    DurationSeconds,
}

impl Conversion {
    pub const ALL: [Self; 3] = [Self::Bytes, Self::Duration, Self::DurationSeconds];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::DurationSeconds => "duration_seconds",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VectorOp {
    Sum,
    Avg,
    Count,
    Max,
    Min,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    ApproxTopk,
    Sort,
    SortDesc,
}

impl VectorOp {
    pub const ALL: [Self; 12] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Max,
        Self::Min,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::ApproxTopk,
        Self::Sort,
        Self::SortDesc,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Max => "max",
            Self::Min => "min",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::ApproxTopk => "approx_topk",
            Self::Sort => "sort",
            Self::SortDesc => "sort_desc",
        }
    }

    pub fn has_parameter(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::ApproxTopk)
    }
}

/// `topk by (app) (3, rate({env="prod"}[5m]))`
#[derive(Clone, Debug)]
pub struct VectorAggregation {
    pub op: VectorOp,
    /// How many, of `topk` and its like.
    pub parameter: Option<usize>,
    pub inner: MetricExpr,
    pub grouping: Option<Grouping>,
    pub position: Position,
}

impl PartialEq for VectorAggregation {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op
            && self.parameter == other.parameter
            && self.inner == other.inner
            && self.grouping == other.grouping
    }
}

#[derive(Clone, Debug)]
pub struct BinaryExpr {
    pub op: BinaryOp,
    pub return_bool: bool,
    pub matching: VectorMatching,
    pub left: MetricExpr,
    pub right: MetricExpr,
    /// Of the operator.
    pub position: Position,
}

impl PartialEq for BinaryExpr {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op
            && self.return_bool == other.return_bool
            && self.matching == other.matching
            && self.left == other.left
            && self.right == other.right
    }
}

/// `label_replace(v, "destination", "replacement", "source", "regex")`
#[derive(Clone, Debug)]
pub struct LabelReplace {
    pub inner: MetricExpr,
    pub destination: String,
    pub replacement: String,
    pub source: String,
    pub regex: String,
    pub position: Position,
}

impl PartialEq for LabelReplace {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
            && self.destination == other.destination
            && self.replacement == other.replacement
            && self.source == other.source
            && self.regex == other.regex
    }
}

impl MetricExpr {
    /// The expressions directly below this one.
    pub fn children(&self) -> Vec<&MetricExpr> {
        match self {
            Self::Number(_) | Self::Vector(_) | Self::Range(_) => Vec::new(),
            Self::Aggregate(aggregate) => vec![&aggregate.inner],
            Self::Binary(binary) => vec![&binary.left, &binary.right],
            Self::LabelReplace(replace) => vec![&replace.inner],
        }
    }

    /// The windows in the expression, in the order of the text.
    pub fn ranges(&self) -> Vec<&RangeAggregation> {
        match self {
            Self::Range(range) => vec![range],
            other => other.children().into_iter().flat_map(Self::ranges).collect(),
        }
    }
}
