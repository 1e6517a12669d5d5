//! From the tree of the text to the tree that is evaluated: times are resolved, what is the same
//! at every step is marked so that it is evaluated once.

use crate::ast::{
    At, Duration, DurationExpr, DurationKind, Edges, Expr, StringLiteral, TimeShift, VectorSelector,
};
use crate::error::QueryError;
use crate::functions::{Body, Function};
use crate::options::EngineOptions;
use model::{MatchOp, Matcher};
use query::{AggregateOp, BinaryOp, Grouping, Position, VectorMatching, on_numbers};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

#[derive(Debug)]
pub(crate) enum Node {
    Number(f64),
    String(StringLiteral),
    Vector(Selector),
    /// Only as an argument, or as the whole query.
    Range(RangeSelector),
    Subquery(Box<Subquery>),
    Negate(Box<Node>),
    Binary(Box<Binary>),
    Call(Call),
    Aggregate(Box<Aggregate>),
    /// The same at every step: evaluated at the first.
    Invariant(Box<Node>),
}

#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Arc<[Matcher]>,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    pub(crate) edges: Edges,
    pub(crate) position: Position,
    /// What stands around it, for the store.
    pub(crate) hint: Hint,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Hint {
    pub(crate) function: &'static str,
    pub(crate) grouping: Vec<String>,
    pub(crate) by: bool,
    pub(crate) skip_histogram_buckets: bool,
}

impl Selector {
    pub(crate) fn of_matchers(matchers: Vec<Matcher>, position: Position) -> Self {
        Self {
            matchers: matchers.into(),
            offset_ms: 0,
            at_ms: None,
            edges: Edges::Plain,
            position,
            hint: Hint::default(),
        }
    }

    /// The moment that a step looks at.
    #[inline]
    pub(crate) fn moment(&self, step_ms: i64) -> i64 {
        self.at_ms.unwrap_or(step_ms) - self.offset_ms
    }

    /// Whether every series it selects has the same name.
    pub(crate) fn has_one_name(&self) -> bool {
        let exact = MatchOp::Equal;
        self.matchers.iter().any(|matcher| matcher.is_metric_name() && matcher.op == exact)
    }
}

#[derive(Debug)]
pub(crate) struct RangeSelector {
    pub(crate) selector: Selector,
    pub(crate) range_ms: i64,
    pub(crate) position: Position,
}

#[derive(Debug)]
pub(crate) struct Subquery {
    pub(crate) inner: Node,
    pub(crate) range_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
}

impl Subquery {
    pub(crate) fn moment(&self, step_ms: i64) -> i64 {
        self.at_ms.unwrap_or(step_ms) - self.offset_ms
    }
}

#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) left: Node,
    pub(crate) right: Node,
    pub(crate) return_bool: bool,
    pub(crate) matching: Option<VectorMatching>,
    pub(crate) position: Position,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: &'static Function,
    pub(crate) arguments: Vec<Node>,
    pub(crate) positions: Vec<Position>,
    pub(crate) position: Position,
}

#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) inner: Node,
    pub(crate) parameter: Option<Node>,
    pub(crate) grouping: Grouping,
    pub(crate) position: Position,
    pub(crate) inner_position: Position,
    pub(crate) parameter_position: Position,
}

impl Node {
    pub(crate) fn without_invariant(&self) -> &Node {
        match self {
            Self::Invariant(inner) => inner,
            other => other,
        }
    }

    pub(crate) fn first_selector(&self) -> Option<&Selector> {
        match self {
            Self::Number(_) | Self::String(_) => None,
            Self::Vector(selector) => Some(selector),
            Self::Range(range) => Some(&range.selector),
            Self::Subquery(subquery) => subquery.inner.first_selector(),
            Self::Negate(inner) | Self::Invariant(inner) => inner.first_selector(),
            Self::Binary(binary) => {
                binary.left.first_selector().or_else(|| binary.right.first_selector())
            }
            Self::Call(call) => call.arguments.iter().find_map(Node::first_selector),
            Self::Aggregate(aggregate) => aggregate.inner.first_selector(),
        }
    }
}

/// Functions whose result hangs on the evaluation time even where their arguments don't.
const TIME_DEPENDENT: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// Whether an expression with fixed selectors still changes with the evaluation time.
pub(crate) fn is_time_dependent(function: &str) -> bool {
    TIME_DEPENDENT.contains(&function)
}

/// The query's own times.
pub(crate) struct Planner<'a> {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// 0 for instant queries.
    pub(crate) step_ms: i64,
    pub(crate) options: &'a EngineOptions,
}

struct Planned {
    node: Node,
    /// The same at every step.
    invariant: bool,
    /// Worth an [`Node::Invariant`] around it.
    wrap: bool,
}

impl Planned {
    fn wrapped(self) -> Node {
        if self.wrap { Node::Invariant(Box::new(self.node)) } else { self.node }
    }

    fn constant(node: Node) -> Self {
        Self { node, invariant: true, wrap: false }
    }

    fn changing(node: Node) -> Self {
        Self { node, invariant: false, wrap: false }
    }

    fn fixed_if(node: Node, invariant: bool) -> Self {
        Self { node, invariant, wrap: invariant }
    }
}

impl Planner<'_> {
    pub(crate) fn plan(&self, expr: &Expr) -> Result<Node> {
        Ok(self.node(expr, &Hint::default())?.wrapped())
    }

    fn node(&self, expr: &Expr, hint: &Hint) -> Result<Planned> {
        match expr {
            Expr::Number(number) => Ok(Planned::constant(Node::Number(number.value))),
            Expr::String(string) => Ok(Planned::constant(Node::String(string.clone()))),
            Expr::Paren(paren) => self.node(&paren.inner, hint),
            Expr::Unary(unary) => {
                let inner = self.node(&unary.inner, hint)?;
                if !unary.negative {
                    return Ok(inner);
                }
                let Planned { node, invariant, .. } = inner;
                Ok(Planned::fixed_if(Node::Negate(Box::new(node)), invariant))
            }
            Expr::Vector(selector) => {
                let selector = self.selector(selector, hint)?;
                let fixed = selector.at_ms.is_some();
                Ok(Planned::fixed_if(Node::Vector(selector), fixed))
            }
            Expr::Matrix(matrix) => {
                let selector = self.selector(&matrix.selector, hint)?;
                let range_ms = self.positive(&matrix.range)?;
                let invariant = selector.at_ms.is_some();
                let range = RangeSelector { selector, range_ms, position: expr.position() };
                Ok(Planned { node: Node::Range(range), invariant, wrap: false })
            }
            Expr::Subquery(subquery) => self.subquery(subquery, hint),
            Expr::Binary(binary) => self.binary(binary, expr.position()),
            Expr::Call(call) => self.call(call, hint),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, hint),
        }
    }

    fn selector(&self, selector: &VectorSelector, hint: &Hint) -> Result<Selector> {
        let (offset_ms, at_ms) = self.shift(&selector.shift)?;
        Ok(Selector {
            matchers: selector.matchers.clone().into(),
            offset_ms,
            at_ms,
            edges: selector.edges,
            position: selector.position,
            hint: hint.clone(),
        })
    }

    fn shift(&self, shift: &TimeShift) -> Result<(i64, Option<i64>)> {
        let at = shift.at.map(|at| match at {
            At::Millis(millis) => millis,
            At::Start => self.start_ms,
            At::End => self.end_ms,
        });
        Ok((self.millis(&shift.offset)?, at))
    }

    fn subquery(&self, subquery: &crate::ast::SubqueryExpr, hint: &Hint) -> Result<Planned> {
        let hint = Hint { skip_histogram_buckets: false, ..hint.clone() };
        let inner = self.node(&subquery.inner, &hint)?.wrapped();
        let (offset_ms, at_ms) = self.shift(&subquery.shift)?;
        let step_ms = match &subquery.step {
            Some(step) => self.positive(step)?,
            None => self.options.subquery_step_ms,
        };
        let range_ms = self.positive(&subquery.range)?;
        let subquery = Subquery { inner, range_ms, step_ms, offset_ms, at_ms };
        let invariant = at_ms.is_some();
        Ok(Planned { node: Node::Subquery(Box::new(subquery)), invariant, wrap: false })
    }

    fn binary(&self, binary: &crate::ast::BinaryExpr, position: Position) -> Result<Planned> {
        let left = self.node(&binary.left, &Hint::default())?;
        let right = self.node(&binary.right, &Hint::default())?;
        let invariant = left.invariant && right.invariant;
        let (left, right) =
            if invariant { (left.node, right.node) } else { (left.wrapped(), right.wrapped()) };
        let node = Node::Binary(Box::new(Binary {
            op: binary.op,
            left,
            right,
            return_bool: binary.return_bool,
            matching: binary.matching.clone(),
            position,
        }));
        Ok(Planned::fixed_if(node, invariant))
    }

    fn call(&self, call: &crate::ast::Call, outer: &Hint) -> Result<Planned> {
        let name = call.function.name;
        if matches!(call.function.body, Body::Folded) {
            return Ok(Planned::constant(Node::Number(self.folded(name))));
        }
        let hint = call_hint(name, outer);
        let planned: Vec<Planned> = call
            .arguments
            .iter()
            .map(|argument| self.node(argument.unwrapped(), &hint))
            .collect::<Result<_>>()?;
        let fixed = planned.iter().all(|argument| argument.invariant);
        let invariant = fixed && !is_time_dependent(name);
        let unwrap = |argument: Planned| if invariant { argument.node } else { argument.wrapped() };
        let node = Node::Call(Call {
            function: call.function,
            arguments: planned.into_iter().map(unwrap).collect(),
            positions: call
                .arguments
                .iter()
                .map(|argument| argument.unwrapped().position())
                .collect(),
            position: call.position,
        });
        Ok(Planned::fixed_if(node, invariant))
    }

    fn folded(&self, name: &str) -> f64 {
        let millis = match name {
            "start" => self.start_ms,
            "end" => self.end_ms,
            "range" => self.end_ms - self.start_ms,
            _ => self.step_ms,
        };
        millis as f64 / 1000.0
    }

    fn aggregate(&self, aggregate: &crate::ast::AggregateExpr, outer: &Hint) -> Result<Planned> {
        let hint = Hint {
            function: aggregate.op.as_str(),
            grouping: aggregate.grouping.clone(),
            by: !aggregate.without,
            skip_histogram_buckets: outer.skip_histogram_buckets,
        };
        let inner_expr = aggregate.inner.unwrapped();
        let inner = self.node(inner_expr, &hint)?;
        let parameter_expr = aggregate.parameter.as_ref().map(Expr::unwrapped);
        let parameter =
            parameter_expr.map(|parameter| self.node(parameter, &Hint::default())).transpose()?;
        let invariant = inner.invariant && parameter.as_ref().is_none_or(|p| p.invariant);
        let unwrap = |planned: Planned| if invariant { planned.node } else { planned.wrapped() };
        let node = Node::Aggregate(Box::new(Aggregate {
            op: aggregate.op,
            inner: unwrap(inner),
            parameter: parameter.map(unwrap),
            grouping: Grouping { labels: aggregate.grouping.clone(), without: aggregate.without },
            position: aggregate.position,
            inner_position: inner_expr.position(),
            parameter_position: parameter_expr.map(Expr::position).unwrap_or_default(),
        }));
        let node = if invariant { Planned::fixed_if(node, true) } else { Planned::changing(node) };
        Ok(node)
    }

    fn positive(&self, duration: &Duration) -> Result<i64> {
        if let Duration::Computed(expr) = duration
            && self.seconds(expr)? <= 0.0
        {
            return Err(misplaced(expr, "duration must be greater than 0"));
        }
        self.millis(duration)
    }

    fn millis(&self, duration: &Duration) -> Result<i64> {
        match duration {
            Duration::Millis(millis) => Ok(*millis),
            Duration::Computed(expr) => {
                let seconds = self.seconds(expr)?;
                if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 / 1e9 {
                    return Err(misplaced(expr, "duration is out of range"));
                }
                Ok((seconds * 1000.0) as i64)
            }
        }
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64> {
        Ok(match &expr.kind {
            DurationKind::Number(number) => number.value,
            DurationKind::Step => self.step_ms as f64 / 1000.0,
            DurationKind::Range => (self.end_ms - self.start_ms) as f64 / 1000.0,
            DurationKind::Plus(inner) => self.seconds(inner)?,
            DurationKind::Minus(inner) => -self.seconds(inner)?,
            DurationKind::MinOf(left, right) => self.seconds(left)?.min(self.seconds(right)?),
            DurationKind::MaxOf(left, right) => self.seconds(left)?.max(self.seconds(right)?),
            DurationKind::Binary(op, left, right) => {
                let (left, right) = (self.seconds(left)?, self.seconds(right)?);
                match op {
                    BinaryOp::Div if right == 0.0 => {
                        return Err(QueryError::Invalid("division by zero".to_owned()));
                    }
                    BinaryOp::Mod if right == 0.0 => {
                        return Err(QueryError::Invalid("modulo by zero".to_owned()));
                    }
                    _ => on_numbers(*op, left, right),
                }
            }
        })
    }
}

/// What a duration comes to is known when the query's times are: before anything is evaluated.
fn misplaced(expr: &DurationExpr, message: &str) -> QueryError {
    let Position { start, end } = expr.position;
    QueryError::Invalid(format!("{start}:{end}: {message}"))
}

fn call_hint(name: &'static str, outer: &Hint) -> Hint {
    let skip_histogram_buckets = match name {
        "histogram_count" | "histogram_sum" | "histogram_avg" => true,
        "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => false,
        _ => outer.skip_histogram_buckets,
    };
    Hint { function: name, skip_histogram_buckets, ..Hint::default() }
}
