//! The tree of a query, with the position of everything in the text.

use crate::function::Function;
use crate::types::{Edges, StringLiteral, ValueType};
use model::Matcher;
use query::{AggregateOp, BinaryOp, Position, VectorMatching};

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Number(NumberLiteral),
    String(StringLiteral),
    Paren(ParenExpr),
    Unary(UnaryExpr),
    Binary(Box<BinaryExpr>),
    Call(Call),
    Aggregate(Box<AggregateExpr>),
    Vector(VectorSelector),
    Matrix(MatrixSelector),
    Subquery(Box<SubqueryExpr>),
}

#[derive(Clone, Debug)]
pub struct NumberLiteral {
    pub value: f64,
    /// It was written as a duration and prints as one.
    pub is_duration: bool,
    pub position: Position,
}

/// NaN equals NaN here: it is a comparison of trees, not of values.
impl PartialEq for NumberLiteral {
    fn eq(&self, other: &Self) -> bool {
        let same = self.value == other.value || (self.value.is_nan() && other.value.is_nan());
        same && self.is_duration == other.is_duration
    }
}

#[derive(Clone, Debug)]
pub struct ParenExpr {
    pub inner: Box<Expr>,
    pub position: Position,
}

impl PartialEq for ParenExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

#[derive(Clone, Debug)]
pub struct UnaryExpr {
    pub negative: bool,
    pub inner: Box<Expr>,
    pub start: usize,
}

impl PartialEq for UnaryExpr {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative && self.inner == other.inner
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct BinaryExpr {
    pub op: BinaryOp,
    pub left: Expr,
    pub right: Expr,
    pub return_bool: bool,
    /// Only between vectors.
    pub matching: Option<VectorMatching>,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub function: &'static Function,
    pub arguments: Vec<Expr>,
    pub position: Position,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name && self.arguments == other.arguments
    }
}

#[derive(Clone, Debug)]
pub struct AggregateExpr {
    pub op: AggregateOp,
    pub inner: Expr,
    pub parameter: Option<Expr>,
    pub grouping: Vec<String>,
    pub without: bool,
    pub position: Position,
}

impl PartialEq for AggregateExpr {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op
            && self.inner == other.inner
            && self.parameter == other.parameter
            && self.grouping == other.grouping
            && self.without == other.without
    }
}

/// A length of time: written out, or to be computed when the query's times are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    Millis(i64),
    Computed(Box<DurationExpr>),
}

impl Default for Duration {
    fn default() -> Self {
        Self::Millis(0)
    }
}

impl Duration {
    pub fn is_zero(&self) -> bool {
        *self == Self::Millis(0)
    }
}

#[derive(Clone, Debug)]
pub struct DurationExpr {
    pub kind: DurationKind,
    pub wrapped: bool,
    pub position: Position,
}

impl PartialEq for DurationExpr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.wrapped == other.wrapped
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    Number(NumberLiteral),
    /// The step of the query.
    Step,
    /// The range of the query.
    Range,
    Plus(Box<DurationExpr>),
    Minus(Box<DurationExpr>),
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
}

/// The moment that `@` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Millis(i64),
    Start,
    End,
}

/// `offset` and `@`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeShift {
    pub offset: Duration,
    pub at: Option<At>,
}

#[derive(Clone, Debug)]
pub struct VectorSelector {
    /// The name before the braces; empty where there is none.
    pub name: String,
    /// Those in the braces, then the name's.
    pub matchers: Vec<Matcher>,
    pub shift: TimeShift,
    pub edges: Edges,
    pub position: Position,
    /// A list of label matchers for `info`, which may match everything.
    pub labels_only: bool,
}

impl PartialEq for VectorSelector {
    fn eq(&self, other: &Self) -> bool {
        let texts = |selector: &Self| {
            let mut texts: Vec<_> = selector.matchers.iter().map(ToString::to_string).collect();
            texts.sort_unstable();
            texts
        };
        self.name == other.name
            && texts(self) == texts(other)
            && self.shift == other.shift
            && self.edges == other.edges
    }
}

#[derive(Clone, Debug)]
pub struct MatrixSelector {
    /// Offset, `@` and edges stand in here.
    pub selector: VectorSelector,
    pub range: Duration,
    pub end: usize,
}

impl PartialEq for MatrixSelector {
    fn eq(&self, other: &Self) -> bool {
        self.selector == other.selector && self.range == other.range
    }
}

#[derive(Clone, Debug)]
pub struct SubqueryExpr {
    pub inner: Expr,
    pub range: Duration,
    /// `None`: the engine's default.
    pub step: Option<Duration>,
    pub shift: TimeShift,
    pub end: usize,
}

impl PartialEq for SubqueryExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
            && self.range == other.range
            && self.step == other.step
            && self.shift == other.shift
    }
}

impl Expr {
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Paren(paren) => paren.inner.value_type(),
            Self::Unary(unary) => unary.inner.value_type(),
            Self::Binary(binary) => {
                let both_scalar = binary.left.value_type() == ValueType::Scalar
                    && binary.right.value_type() == ValueType::Scalar;
                if both_scalar { ValueType::Scalar } else { ValueType::Vector }
            }
            Self::Call(call) => call.function.returns,
            Self::Aggregate(_) | Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
        }
    }

    pub fn position(&self) -> Position {
        match self {
            Self::Number(number) => number.position,
            Self::String(string) => string.position,
            Self::Paren(paren) => paren.position,
            Self::Unary(unary) => Position::new(unary.start, unary.inner.position().end),
            Self::Binary(binary) => binary.left.position().to(binary.right.position()),
            Self::Call(call) => call.position,
            Self::Aggregate(aggregate) => aggregate.position,
            Self::Vector(selector) => selector.position,
            Self::Matrix(matrix) => Position::new(matrix.selector.position.start, matrix.end),
            Self::Subquery(subquery) => {
                Position::new(subquery.inner.position().start, subquery.end)
            }
        }
    }

    /// The expressions directly below this one.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Paren(paren) => vec![&paren.inner],
            Self::Unary(unary) => vec![&unary.inner],
            Self::Binary(binary) => vec![&binary.left, &binary.right],
            Self::Call(call) => call.arguments.iter().collect(),
            Self::Aggregate(aggregate) => {
                aggregate.parameter.iter().chain([&aggregate.inner]).collect()
            }
            Self::Subquery(subquery) => vec![&subquery.inner],
        }
    }

    /// Without the parentheses around it.
    pub fn unwrapped(&self) -> &Expr {
        match self {
            Self::Paren(paren) => paren.inner.unwrapped(),
            other => other,
        }
    }

    /// Visits this expression and all below it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// Every selector in the expression, in the order of the text.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut selectors = Vec::new();
        self.walk(&mut |expr| match expr {
            Expr::Vector(selector) => selectors.push(selector),
            Expr::Matrix(matrix) => selectors.push(&matrix.selector),
            _ => {}
        });
        selectors
    }
}
