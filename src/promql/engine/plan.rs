//! From the tree of the text to the tree that is evaluated: times are resolved, what is the same
//! at every step is marked so that it is evaluated once.

use crate::ast::{At, Duration, DurationExpr, DurationKind, Expr, TimeShift, VectorSelector};
use crate::error::QueryError;
use crate::function::{Body, Buckets, Function, QueryTime};
use crate::options::EngineOptions;
use crate::selector::{Selector, Shift};
use crate::storage::SampleDetail;
use crate::types::StringLiteral;
use query::{AggregateOp, BinaryOp, Grouping, Position, VectorMatching, on_numbers};

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
    /// A selector with a plus before it: its values are the same, but it is no selector any more for
    /// functions that look at one (`timestamp`, `absent`).
    Positive(Box<Node>),
    Binary(Box<Binary>),
    Call(Call),
    Aggregate(Box<Aggregate>),
    /// The same at every step: evaluated at the first.
    Invariant(Box<Node>),
}

#[derive(Debug)]
pub(crate) struct RangeSelector {
    pub(crate) selector: Selector,
    pub(crate) range_ms: i64,
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

    /// The selector, where the node is one.
    pub(crate) fn selector(&self) -> Option<&Selector> {
        match self.without_invariant() {
            Self::Vector(selector) => Some(selector),
            Self::Range(range) => Some(&range.selector),
            _ => None,
        }
    }

    /// The time that the first selector inside looks at, as the selector and the subqueries around it
    /// move it.
    pub(crate) fn first_shift(&self) -> Option<Shift> {
        match self {
            Self::Number(_) | Self::String(_) => None,
            Self::Vector(selector) => Some(selector.shift()),
            Self::Range(range) => Some(range.selector.shift()),
            Self::Subquery(subquery) => {
                let inner = subquery.inner.first_shift()?;
                Some(match inner.at_ms {
                    Some(_) => inner,
                    None => Shift {
                        offset_ms: inner.offset_ms + subquery.offset_ms,
                        at_ms: subquery.at_ms,
                    },
                })
            }
            Self::Negate(inner) | Self::Positive(inner) | Self::Invariant(inner) => {
                inner.first_shift()
            }
            Self::Binary(binary) => {
                binary.left.first_shift().or_else(|| binary.right.first_shift())
            }
            Self::Call(call) => call.arguments.iter().find_map(Node::first_shift),
            Self::Aggregate(aggregate) => aggregate.inner.first_shift(),
        }
    }
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
        Ok(self.node(expr, SampleDetail::default())?.wrapped())
    }

    fn node(&self, expr: &Expr, detail: SampleDetail) -> Result<Planned> {
        match expr {
            Expr::Number(number) => Ok(Planned::constant(Node::Number(number.value))),
            Expr::String(string) => Ok(Planned::constant(Node::String(string.clone()))),
            Expr::Paren(paren) => self.node(&paren.inner, detail),
            Expr::Unary(unary) => {
                let inner = self.node(&unary.inner, detail)?;
                if !unary.negative && inner.node.selector().is_none() {
                    return Ok(inner);
                }
                let Planned { node, invariant, .. } = inner;
                let sign = if unary.negative { Node::Negate } else { Node::Positive };
                Ok(Planned::fixed_if(sign(Box::new(node)), invariant))
            }
            Expr::Vector(selector) => {
                let selector = self.selector(selector, detail)?;
                let fixed = selector.at_ms.is_some();
                Ok(Planned::fixed_if(Node::Vector(selector), fixed))
            }
            Expr::Matrix(matrix) => {
                let selector = self.selector(&matrix.selector, detail)?;
                let range_ms = self.positive(&matrix.range)?;
                let invariant = selector.at_ms.is_some();
                let range = RangeSelector { selector, range_ms };
                Ok(Planned { node: Node::Range(range), invariant, wrap: false })
            }
            Expr::Subquery(subquery) => self.subquery(subquery),
            Expr::Binary(binary) => self.binary(binary, expr.position()),
            Expr::Call(call) => self.call(call, detail),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, detail),
        }
    }

    fn selector(&self, selector: &VectorSelector, detail: SampleDetail) -> Result<Selector> {
        let (offset_ms, at_ms) = self.shift(&selector.shift)?;
        Ok(Selector {
            matchers: selector.matchers.clone().into(),
            offset_ms,
            at_ms,
            edges: selector.edges,
            position: selector.position,
            detail,
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

    fn subquery(&self, subquery: &crate::ast::SubqueryExpr) -> Result<Planned> {
        let inner = self.node(&subquery.inner, SampleDetail::Everything)?.wrapped();
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
        let left = self.node(&binary.left, SampleDetail::default())?;
        let right = self.node(&binary.right, SampleDetail::default())?;
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

    fn call(&self, call: &crate::ast::Call, outer: SampleDetail) -> Result<Planned> {
        if let Body::Folded(time) = call.function.body {
            return Ok(Planned::constant(Node::Number(self.folded(time))));
        }
        let detail = match (call.function.buckets, outer) {
            (Buckets::Skipped, _) => SampleDetail::WithoutBuckets,
            (Buckets::AsOutside, SampleDetail::WithoutBuckets) => outer,
            (Buckets::AsOutside | Buckets::Needed, _) => SampleDetail::Everything,
        };
        let planned: Vec<Planned> = call
            .arguments
            .iter()
            .map(|argument| self.node(argument.unwrapped(), detail))
            .collect::<Result<_>>()?;
        let fixed = planned.iter().all(|argument| argument.invariant);
        let invariant = fixed && !call.function.is_time_dependent;
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

    fn folded(&self, time: QueryTime) -> f64 {
        let millis = match time {
            QueryTime::Start => self.start_ms,
            QueryTime::End => self.end_ms,
            QueryTime::Range => self.end_ms - self.start_ms,
            QueryTime::Step => self.step_ms,
        };
        millis as f64 / 1000.0
    }

    fn aggregate(
        &self,
        aggregate: &crate::ast::AggregateExpr,
        outer: SampleDetail,
    ) -> Result<Planned> {
        let detail = match outer {
            _ if aggregate.op.ignores_values() => SampleDetail::Times,
            SampleDetail::WithoutBuckets => outer,
            SampleDetail::Everything | SampleDetail::Times => SampleDetail::Everything,
        };
        let inner_expr = aggregate.inner.unwrapped();
        let inner = self.node(inner_expr, detail)?;
        let parameter_expr = aggregate.parameter.as_ref().map(Expr::unwrapped);
        let parameter = parameter_expr
            .map(|parameter| self.node(parameter, SampleDetail::default()))
            .transpose()?;
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

/// A duration can be computed as soon as the query's times are known, before anything is evaluated.
fn misplaced(expr: &DurationExpr, message: &str) -> QueryError {
    let Position { start, end } = expr.position;
    QueryError::Invalid(format!("{start}:{end}: {message}"))
}
