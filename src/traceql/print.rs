//! A query as text, in one spelling: parsed again, it is the same tree.

use crate::ast::{
    Aggregate, AggregateFilter, Compare, FieldExpr, FieldOp, MetricExpr, MetricFunction,
    NEGATE_PRECEDENCE, NOT_PRECEDENCE, Pipeline, Query, Relation, Root, Selects, SpanExpr,
    SpanMetrics, SpanOp, Stage,
};
use crate::literal::Literal;
use std::fmt;

/// A query that is longer has a line for each of its stages.
const LINE_MAX: usize = 100;

/// Formats for people to read: long queries over several lines.
pub fn prettify(query: &Query) -> String {
    let line = query.to_string();
    let is_long = line.len() > LINE_MAX;
    let (stages, tail) = match &query.root {
        Root::Spans(pipeline) if is_long => (&pipeline.stages, Vec::new()),
        Root::Metrics(expr) if is_long => match last_stages(expr) {
            Some((metrics, tail)) => (&metrics.pipeline.stages, tail),
            None => return line,
        },
        _ => return line,
    };
    let stages = stages.iter().map(ToString::to_string).chain(tail);
    let text = stages.collect::<Vec<_>>().join("\n  | ");
    format!("{text}{}", hints(query).replacen(' ', "\n  ", 1))
}

/// The spans that metrics are of, and the stages behind them, where it is one chain.
fn last_stages(expr: &MetricExpr) -> Option<(&SpanMetrics, Vec<String>)> {
    match expr {
        MetricExpr::Spans(metrics) => Some((metrics, vec![function(metrics)])),
        MetricExpr::Pick { inner, is_top, count } => {
            let (metrics, mut stages) = last_stages(inner)?;
            stages.push(pick(*is_top, *count));
            Some((metrics, stages))
        }
        MetricExpr::Filter { inner, op, value } => {
            let (metrics, mut stages) = last_stages(inner)?;
            let last = stages.pop()?;
            stages.push(format!("{last} {} {value}", op.as_str()));
            Some((metrics, stages))
        }
        MetricExpr::Number(_) | MetricExpr::Binary { .. } => None,
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Spans(pipeline) => pipeline.fmt(f)?,
            Root::Metrics(expr) => expr.fmt(f)?,
        }
        f.write_str(&hints(self))
    }
}

/// ` with(…)`, or nothing.
fn hints(query: &Query) -> String {
    let shown = query.hints.iter().map(|hint| format!("{}={}", hint.name, hint.value));
    let shown = shown.collect::<Vec<_>>().join(", ");
    if shown.is_empty() { shown } else { format!(" with({shown})") }
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, stage) in self.stages.iter().enumerate() {
            let bar = if index > 0 { " | " } else { "" };
            write!(f, "{bar}{stage}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spans(expr) => expr.fmt(f),
            Self::Aggregate(AggregateFilter { aggregate, op, value }) => {
                write!(f, "{aggregate} {} {value}", op.as_str())
            }
            Self::By(expr) => write!(f, "by({expr})"),
            Self::Coalesce => f.write_str("coalesce()"),
            Self::Select(attributes) => write!(f, "select({})", joined(attributes)),
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count()"),
            Self::Of(op, expr) => write!(f, "{}({expr})", op.as_str()),
        }
    }
}

impl SpanOp {
    fn symbol(self) -> String {
        let (relation, selects) = match self {
            Self::And => return "&&".to_owned(),
            Self::Or => return "||".to_owned(),
            Self::Structural(relation, selects) => (relation, selects),
        };
        let prefix = match selects {
            Selects::Right => "",
            Selects::Unrelated => "!",
            Selects::Both => "&",
        };
        let relation = match relation {
            Relation::Child => ">",
            Relation::Descendant => ">>",
            Relation::Parent => "<",
            Relation::Ancestor => "<<",
            Relation::Sibling => "~",
        };
        format!("{prefix}{relation}")
    }

    fn level(self) -> u8 {
        if matches!(self, Self::And | Self::Or) { 1 } else { 2 }
    }
}

impl SpanExpr {
    fn level(&self) -> u8 {
        match self {
            Self::Binary { op, .. } => op.level(),
            Self::Filter(_) | Self::Pipeline(_) => u8::MAX,
        }
    }

    /// `&&` and `||` bind alike, which nobody expects: parentheses show how they are read.
    fn mixes_with(&self, other: SpanOp) -> bool {
        matches!(self, Self::Binary { op, .. } if other.level() == 1 && op.level() == 1 && *op != other)
    }
}

fn in_parentheses(shown: &impl fmt::Display, needed: bool) -> String {
    if needed { format!("({shown})") } else { shown.to_string() }
}

impl fmt::Display for SpanExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(None) => f.write_str("{ }"),
            Self::Filter(Some(expr)) => write!(f, "{{ {expr} }}"),
            Self::Pipeline(pipeline) => write!(f, "({pipeline})"),
            Self::Binary { op, left, right } => {
                let left = in_parentheses(left, left.level() < op.level() || left.mixes_with(*op));
                let right = in_parentheses(right, right.level() <= op.level());
                write!(f, "{left} {} {right}", op.symbol())
            }
        }
    }
}

impl FieldExpr {
    fn level(&self) -> u8 {
        match self {
            Self::Binary { op, .. } => op.precedence(),
            Self::Not(_) => NOT_PRECEDENCE,
            Self::Negate(_) => NEGATE_PRECEDENCE,
            Self::Literal(Literal::Int(value) | Literal::Duration(value)) if *value < 0 => {
                NEGATE_PRECEDENCE
            }
            Self::Literal(Literal::Float(value)) if value.is_sign_negative() => NEGATE_PRECEDENCE,
            Self::Literal(_) | Self::Attribute(_) => u8::MAX,
        }
    }

    /// As [`SpanExpr::mixes_with`].
    fn mixes_with(&self, other: FieldOp) -> bool {
        let is_other = |op: FieldOp| op.is_boolean() && op != other;
        matches!(self, Self::Binary { op, .. } if other.is_boolean() && is_other(*op))
    }
}

impl fmt::Display for FieldExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = |inner: &Self| in_parentheses(inner, inner.level() != u8::MAX);
        match self {
            Self::Literal(literal) => literal.fmt(f),
            Self::Attribute(attribute) => attribute.fmt(f),
            Self::Not(inner) => write!(f, "!{}", signed(inner)),
            Self::Negate(inner) => write!(f, "-{}", signed(inner)),
            Self::Binary { op, left, right } => {
                let own = op.precedence();
                let is_power = *op == FieldOp::Pow;
                let (lower, level) = (left.level(), right.level());
                let is_mixed = left.mixes_with(*op);
                let left =
                    in_parentheses(left, lower < own || is_mixed || is_power && lower == own);
                let right = in_parentheses(right, level < own || !is_power && level == own);
                write!(f, "{left} {} {right}", op.as_str())
            }
        }
    }
}

/// `topk(3)`
fn pick(is_top: bool, count: usize) -> String {
    format!("{}({count})", if is_top { "topk" } else { "bottomk" })
}

/// `rate() by (name)`
fn function(metrics: &SpanMetrics) -> String {
    let name = metrics.function.name();
    let arguments = match &metrics.function {
        MetricFunction::Rate | MetricFunction::CountOverTime => String::new(),
        MetricFunction::OverTime(_, attribute) | MetricFunction::Histogram(attribute) => {
            attribute.to_string()
        }
        MetricFunction::Quantile(attribute, quantiles) => {
            format!("{attribute}, {}", joined(quantiles))
        }
        MetricFunction::Compare(compare) => compare_arguments(compare),
    };
    let by = match metrics.by.is_empty() {
        true => String::new(),
        false => format!(" by ({})", joined(&metrics.by)),
    };
    format!("{name}({arguments}){by}")
}

fn compare_arguments(compare: &Compare) -> String {
    let filter = SpanExpr::Filter(compare.selection.clone());
    let window = compare.window.map(|(start, end)| format!(", {start}, {end}"));
    format!("{filter}, {}{}", compare.top, window.unwrap_or_default())
}

impl fmt::Display for MetricExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spans(metrics) => write!(f, "{} | {}", metrics.pipeline, function(metrics)),
            Self::Number(number) => number.fmt(f),
            Self::Pick { inner, is_top, count } => write!(f, "{inner} | {}", pick(*is_top, *count)),
            Self::Filter { inner, op, value } => write!(f, "{inner} {} {value}", op.as_str()),
            Self::Binary { op, left, right } => {
                let level = |side: &Self| match side {
                    Self::Binary { op, .. } => op.precedence(),
                    Self::Number(_) => u8::MAX,
                    Self::Spans(_) | Self::Pick { .. } | Self::Filter { .. } => 0,
                };
                let own = op.precedence();
                let left = in_parentheses(left, level(left) < own);
                let right = in_parentheses(right, level(right) <= own);
                write!(f, "{left} {} {right}", op.as_str())
            }
        }
    }
}
