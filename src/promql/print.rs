//! A query in its one canonical line, as Prometheus prints it. What is printed parses to the same
//! tree again.

use crate::ast::{
    AggregateExpr, At, BinaryExpr, Duration, DurationExpr, DurationKind, Expr, MatrixSelector,
    NumberLiteral, SubqueryExpr, TimeShift, VectorSelector,
};
use crate::types::Edges;
use model::{MatchOp, Matcher, format_duration, format_float_go, is_plain_name, quote_go};
use query::{Cardinality, VectorMatching, format_number};
use std::fmt;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(string) => f.write_str(&quote_go(&string.bytes)),
            Self::Paren(paren) => write!(f, "({})", paren.inner),
            Self::Unary(unary) => {
                write!(f, "{}{}", if unary.negative { "-" } else { "+" }, unary.inner)
            }
            Self::Binary(binary) => {
                write!(f, "{} {} {}", binary.left, operator_text(binary), binary.right)
            }
            Self::Call(call) => {
                write!(f, "{}({})", call.function.name, comma_separated(&call.arguments))
            }
            Self::Aggregate(aggregate) => {
                write!(f, "{}(", aggregate_text(aggregate))?;
                if let Some(parameter) = &aggregate.parameter {
                    write!(f, "{parameter}, ")?;
                }
                write!(f, "{})", aggregate.inner)
            }
            Self::Vector(selector) => {
                write!(f, "{}", Bare(selector))?;
                f.write_str(&at_text(&selector.shift))?;
                f.write_str(edges_text(selector.edges))?;
                f.write_str(&offset_text(&selector.shift))
            }
            Self::Matrix(matrix) => matrix.fmt(f),
            Self::Subquery(subquery) => {
                write!(f, "{}{}", subquery.inner, subquery_suffix(subquery))
            }
        }
    }
}

fn comma_separated(expressions: &[Expr]) -> String {
    let texts: Vec<String> = expressions.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl fmt::Display for NumberLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            // Cut off like the duration itself was.
            f.write_str(&format_duration((self.value * 1000.0).round() as i64))
        } else {
            f.write_str(&format_number(self.value))
        }
    }
}

impl fmt::Display for MatrixSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shift = &self.selector.shift;
        write!(f, "{}[{}]", Bare(&self.selector), duration_text(&self.range))?;
        f.write_str(edges_text(self.selector.edges))?;
        write!(f, "{}{}", at_text(shift), offset_text(shift))
    }
}

/// A selector without what follows it.
struct Bare<'a>(&'a VectorSelector);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(selector) = self;
        let is_name = |matcher: &&Matcher| {
            let exact = matcher.op == MatchOp::Equal;
            matcher.is_metric_name() && exact && matcher.value == selector.name
        };
        let others = selector
            .matchers
            .iter()
            .filter(|matcher| selector.name.is_empty() || !is_name(matcher));
        let mut texts: Vec<String> = others.map(ToString::to_string).collect();
        texts.sort_unstable();
        f.write_str(&selector.name)?;
        if texts.is_empty() && !selector.name.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", texts.join(","))
    }
}

fn at_text(shift: &TimeShift) -> String {
    match shift.at {
        None => String::new(),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        Some(At::Millis(millis)) => {
            let sign = if millis < 0 { "-" } else { "" };
            let millis = millis.unsigned_abs();
            format!(" @ {sign}{}.{:03}", millis / 1000, millis % 1000)
        }
    }
}

fn offset_text(shift: &TimeShift) -> String {
    if shift.offset.is_zero() {
        return String::new();
    }
    format!(" offset {}", duration_text(&shift.offset))
}

fn edges_text(edges: Edges) -> &'static str {
    match edges {
        Edges::Plain => "",
        Edges::Anchored => " anchored",
        Edges::Smoothed => " smoothed",
    }
}

fn duration_text(duration: &Duration) -> String {
    match duration {
        Duration::Millis(millis) => format_duration(*millis),
        Duration::Computed(expr) => expr.to_string(),
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_str("(")?;
        }
        match &self.kind {
            DurationKind::Number(number) => number.fmt(f)?,
            DurationKind::Step => f.write_str("step()")?,
            DurationKind::Range => f.write_str("range()")?,
            DurationKind::Plus(inner) => inner.fmt(f)?,
            DurationKind::Minus(inner) => write!(f, "-{inner}")?,
            DurationKind::MinOf(left, right) => write!(f, "min_of({left}, {right})")?,
            DurationKind::MaxOf(left, right) => write!(f, "max_of({left}, {right})")?,
            DurationKind::Binary(op, left, right) => {
                write!(f, "{left} {} {right}", op.as_str())?;
            }
        }
        if self.wrapped { f.write_str(")") } else { Ok(()) }
    }
}

pub(crate) fn subquery_suffix(subquery: &SubqueryExpr) -> String {
    let step = subquery.step.as_ref().map(duration_text).unwrap_or_default();
    let (at, offset) = (at_text(&subquery.shift), offset_text(&subquery.shift));
    format!("[{}:{step}]{at}{offset}", duration_text(&subquery.range))
}

fn label_list(labels: &[String]) -> String {
    let quoted = labels
        .iter()
        .map(|label| if is_plain_name(label) { label.clone() } else { quote_go(label.as_bytes()) });
    quoted.collect::<Vec<_>>().join(", ")
}

/// `sum by (a, b) ` with its space, `sum` without one.
pub(crate) fn aggregate_text(aggregate: &AggregateExpr) -> String {
    let op = aggregate.op.as_str();
    let labels = label_list(&aggregate.grouping);
    if aggregate.without {
        format!("{op} without ({labels}) ")
    } else if aggregate.grouping.is_empty() {
        op.to_owned()
    } else {
        format!("{op} by ({labels}) ")
    }
}

/// The operator with everything up to its right side.
pub(crate) fn operator_text(binary: &BinaryExpr) -> String {
    let mut text = binary.op.as_str().to_owned();
    if binary.return_bool {
        text.push_str(" bool");
    }
    if let Some(matching) = &binary.matching {
        text.push_str(&matching_text(matching));
    }
    text
}

fn matching_text(matching: &VectorMatching) -> String {
    let mut text = String::new();
    let grouped = matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
    if !matching.labels.is_empty() || matching.on || grouped {
        let word = if matching.on { "on" } else { "ignoring" };
        text.push_str(&format!(" {word} ({})", label_list(&matching.labels)));
    }
    if grouped {
        let left = matching.cardinality == Cardinality::ManyToOne;
        let side = if left { "left" } else { "right" };
        text.push_str(&format!(" group_{side} ({})", label_list(&matching.include)));
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            text.push_str(&format!(" fill ({})", format_float_go(left)));
        }
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    text.push_str(&format!(" fill_{side} ({})", format_float_go(value)));
                }
            }
        }
    }
    text
}
