//! A query as a tree.

use crate::attribute::Attribute;
use crate::literal::Literal;

/// A query that has been read and validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub root: Root,
    /// `with(…)`, as it was written.
    pub hints: Vec<Hint>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// A search.
    Spans(Pipeline),
    /// Numbers over time.
    Metrics(MetricExpr),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    pub name: String,
    pub value: Literal,
}

impl Query {
    pub fn hint(&self, name: &str) -> Option<&Literal> {
        self.hints.iter().find(|hint| hint.name == name).map(|hint| &hint.value)
    }

    pub fn is_metrics(&self) -> bool {
        matches!(self.root, Root::Metrics(_))
    }
}

/// Stages, one behind the other: each takes sets of spans and gives sets of spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipeline {
    pub stages: Vec<Stage>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    Spans(SpanExpr),
    /// `| count() > 2`: keeps the sets of which it holds.
    Aggregate(AggregateFilter),
    /// `| by(status)`: a set for each value.
    By(FieldExpr),
    /// `| coalesce()`: one set again.
    Coalesce,
    /// `| select(name)`: attributes to show.
    Select(Vec<Attribute>),
}

/// Sets of spans, and how they are related.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanExpr {
    /// `{ … }`; `None`: every span.
    Filter(Option<FieldExpr>),
    Binary {
        op: SpanOp,
        left: Box<SpanExpr>,
        right: Box<SpanExpr>,
    },
    /// Several stages in parentheses.
    Pipeline(Pipeline),
}

/// How one span is related to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The right one is a child of the left one: `>`.
    Child,
    /// `>>`
    Descendant,
    /// The right one is the parent of the left one: `<`.
    Parent,
    /// `<<`
    Ancestor,
    /// `~`
    Sibling,
}

/// Which spans a structural operator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selects {
    /// Those of the right side that are related to one of the left.
    Right,
    /// Those of the right side that are related to none of the left: `!>`.
    Unrelated,
    /// Those of both sides that are related to one of the other: `&>`.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanOp {
    And,
    Or,
    Structural(Relation, Selects),
}

/// `count() > 2`
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateFilter {
    pub aggregate: Aggregate,
    pub op: FieldOp,
    pub value: Literal,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Aggregate {
    Count,
    Of(AggregateOp, FieldExpr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateOp {
    Avg,
    Min,
    Max,
    Sum,
}

impl AggregateOp {
    pub const ALL: [Self; 4] = [Self::Avg, Self::Min, Self::Max, Self::Sum];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
        }
    }
}

/// What is asked of a single span.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldExpr {
    Literal(Literal),
    Attribute(Attribute),
    Not(Box<FieldExpr>),
    Negate(Box<FieldExpr>),
    Binary { op: FieldOp, left: Box<FieldExpr>, right: Box<FieldExpr> },
}

impl FieldExpr {
    pub fn binary(op: FieldOp, left: Self, right: Self) -> Self {
        Self::Binary { op, left: Box::new(left), right: Box::new(right) }
    }

    /// Calls `visit` for each attribute, from left to right.
    pub fn each_attribute<'a>(&'a self, visit: &mut impl FnMut(&'a Attribute)) {
        match self {
            Self::Literal(_) => {}
            Self::Attribute(attribute) => visit(attribute),
            Self::Not(inner) | Self::Negate(inner) => inner.each_attribute(visit),
            Self::Binary { left, right, .. } => {
                left.each_attribute(visit);
                right.each_attribute(visit);
            }
        }
    }

    /// `a && b && c` as its parts, `a` alone as one.
    pub fn all_of(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().reduce(|left, right| Self::binary(FieldOp::And, left, right))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldOp {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Match,
    NotMatch,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

impl FieldOp {
    pub const ALL: [Self; 16] = [
        Self::Or,
        Self::And,
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::Match,
        Self::NotMatch,
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Mod,
        Self::Pow,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Match => "=~",
            Self::NotMatch => "!~",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        }
    }

    /// Higher binds tighter. `&&` and `||` bind alike, as Tempo has it.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or | Self::And => 1,
            Self::Add | Self::Sub => 3,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
            _ => 2,
        }
    }

    pub fn is_comparison(self) -> bool {
        self.precedence() == 2
    }

    pub fn is_arithmetic(self) -> bool {
        self.precedence() > 2
    }

    pub fn is_boolean(self) -> bool {
        self.precedence() == 1
    }

    /// The operator with its sides exchanged.
    pub fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            other => other,
        }
    }
}

/// The precedences of the signs before an operand: `!a * b` is `!(a * b)`, `-a + b` is `(-a) + b`.
pub(crate) const NOT_PRECEDENCE: u8 = 4;
pub(crate) const NEGATE_PRECEDENCE: u8 = 3;

/// Numbers over time.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricExpr {
    Spans(Box<SpanMetrics>),
    Number(Literal),
    Binary {
        op: FieldOp,
        left: Box<MetricExpr>,
        right: Box<MetricExpr>,
    },
    /// `| topk(3)`
    Pick {
        inner: Box<MetricExpr>,
        is_top: bool,
        count: usize,
    },
    /// `> 10`: leaves out the other points.
    Filter {
        inner: Box<MetricExpr>,
        op: FieldOp,
        value: Literal,
    },
}

impl MetricExpr {
    /// Calls `visit` for each of the metrics that are counted from spans.
    pub fn each_of_spans<'a>(&'a self, visit: &mut impl FnMut(&'a SpanMetrics)) {
        match self {
            Self::Spans(metrics) => visit(metrics),
            Self::Number(_) => {}
            Self::Binary { left, right, .. } => {
                left.each_of_spans(visit);
                right.each_of_spans(visit);
            }
            Self::Pick { inner, .. } | Self::Filter { inner, .. } => inner.each_of_spans(visit),
        }
    }
}

/// `{ … } | rate() by (…)`
#[derive(Clone, Debug, PartialEq)]
pub struct SpanMetrics {
    pub pipeline: Pipeline,
    pub function: MetricFunction,
    pub by: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MetricFunction {
    Rate,
    CountOverTime,
    /// `min_over_time(…)` and its like.
    OverTime(AggregateOp, Attribute),
    Quantile(Attribute, Vec<f64>),
    Histogram(Attribute),
    Compare(Compare),
}

/// `compare({ … }, 10, start, end)`
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// Of the spans, those that are compared with the others; `None`: all.
    pub selection: Option<FieldExpr>,
    /// How many values of an attribute are shown.
    pub top: usize,
    /// Nanoseconds: only spans that start within are of the selection.
    pub window: Option<(i64, i64)>,
}

impl MetricFunction {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::CountOverTime => "count_over_time",
            Self::OverTime(AggregateOp::Avg, _) => "avg_over_time",
            Self::OverTime(AggregateOp::Min, _) => "min_over_time",
            Self::OverTime(AggregateOp::Max, _) => "max_over_time",
            Self::OverTime(AggregateOp::Sum, _) => "sum_over_time",
            Self::Quantile(..) => "quantile_over_time",
            Self::Histogram(_) => "histogram_over_time",
            Self::Compare(_) => "compare",
        }
    }
}
