//! The tree of a query, with the position of everything in the text.
//!
//! Here: lines and their stages. `metric`: numbers made of lines.
//! Trees are equal where they mean the same, wherever they stand.

mod metric;

pub use metric::{
    BinaryExpr, Conversion, LabelReplace, LogRange, MetricExpr, NumberLiteral, RangeAggregation,
    RangeOp, Unwrap, VectorAggregation, VectorOp,
};

use model::Matcher;
use query::{BinaryOp, Position};

/// A query: of lines, or of numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Log(LogExpr),
    Metric(MetricExpr),
}

/// `{app="web"} |= "error" | logfmt`
#[derive(Clone, Debug)]
pub struct LogExpr {
    pub matchers: Vec<Matcher>,
    pub stages: Vec<Stage>,
    pub position: Position,
}

impl PartialEq for LogExpr {
    fn eq(&self, other: &Self) -> bool {
        self.matchers == other.matchers && self.stages == other.stages
    }
}

/// What is done with each line, one after the other.
#[derive(Clone, Debug)]
pub struct Stage {
    pub kind: StageKind,
    pub position: Position,
}

impl PartialEq for Stage {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    LineFilter(LineFilter),
    /// Without expressions all of the line is extracted.
    Json(Vec<Extraction>),
    Logfmt {
        strict: bool,
        keep_empty: bool,
        expressions: Vec<Extraction>,
    },
    Regexp(String),
    Pattern(String),
    Unpack,
    Decolorize,
    LabelFilter(LabelFilter),
    LineFormat(String),
    LabelFormat(Vec<LabelFormat>),
    Drop(Vec<LabelSelection>),
    Keep(Vec<LabelSelection>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    Lacks,
    /// `|~`
    Matches,
    /// `!~`
    MatchesNot,
    /// `|>`
    Pattern,
    /// `!>`
    PatternNot,
}

impl LineOp {
    pub const ALL: [Self; 6] = [
        Self::Contains,
        Self::Lacks,
        Self::Matches,
        Self::MatchesNot,
        Self::Pattern,
        Self::PatternNot,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::Lacks => "!=",
            Self::Matches => "|~",
            Self::MatchesNot => "!~",
            Self::Pattern => "|>",
            Self::PatternNot => "!>",
        }
    }

    pub fn is_negative(self) -> bool {
        matches!(self, Self::Lacks | Self::MatchesNot | Self::PatternNot)
    }
}

/// `|= "a" or "b"`: a line must have one of them. `!= "a" or "b"`: it must have none of them.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFilter {
    pub op: LineOp,
    pub operands: Vec<LineOperand>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineOperand {
    Text(String),
    /// `ip("10.0.0.0/8")`
    Ip(String),
}

/// `label="expression"`; `label` alone names the expression as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    pub label: String,
    pub expression: String,
}

/// A condition on labels.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelFilter {
    Text(Matcher),
    Number { label: String, op: BinaryOp, value: f64 },
    Duration { label: String, op: BinaryOp, nanos: i64 },
    Bytes { label: String, op: BinaryOp, bytes: u64 },
    Ip { label: String, negated: bool, pattern: String },
    And(Box<LabelFilter>, Box<LabelFilter>),
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFormat {
    pub label: String,
    pub value: LabelSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelSource {
    /// The label is renamed.
    Label(String),
    Template(String),
}

/// What `drop` and `keep` list.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelSelection {
    Name(String),
    /// The label, where its value matches.
    Matching(Matcher),
}

impl LabelSelection {
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Matching(matcher) => &matcher.name,
        }
    }
}

impl Expr {
    /// The selections of lines in the query, in the order of the text.
    pub fn selectors(&self) -> Vec<&LogExpr> {
        match self {
            Self::Log(log) => vec![log],
            Self::Metric(metric) => {
                metric.ranges().into_iter().map(|range| &range.range.log).collect()
            }
        }
    }
}
