//! Which queries are refused although they can be read: the types of what is compared and computed.

use crate::ast::{
    Aggregate, Compare, FieldExpr, FieldOp, MetricExpr, MetricFunction, Pipeline, Query, Root,
    SpanExpr, SpanMetrics, Stage,
};
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::error::ParseError;
use crate::literal::{Literal, Type};
use model::{MatchOp, Matcher};

type Checked<T = ()> = Result<T, ParseError>;

pub(crate) fn query(query: &Query) -> Checked {
    match &query.root {
        Root::Spans(spans) => pipeline(spans),
        Root::Metrics(MetricExpr::Number(_)) => {
            refuse("a query of metrics needs spans: `({ … } | rate()) * 2`")
        }
        Root::Metrics(expr) => {
            let mut checked = Ok(());
            expr.each_of_spans(&mut |spans| {
                if checked.is_ok() {
                    checked = metrics(spans);
                }
            });
            checked
        }
    }
}

fn refuse<T>(message: impl Into<String>) -> Checked<T> {
    Err(ParseError::invalid(message))
}

fn pipeline(pipeline: &Pipeline) -> Checked {
    pipeline.stages.iter().try_for_each(stage)
}

fn stage(stage: &Stage) -> Checked {
    match stage {
        Stage::Spans(expr) => spans(expr),
        Stage::By(expr) => {
            type_of(expr)?;
            let mut has_attribute = false;
            expr.each_attribute(&mut |_| has_attribute = true);
            match has_attribute {
                true => Ok(()),
                false => refuse(format!(
                    "grouping field expressions must reference the span: by({expr})"
                )),
            }
        }
        Stage::Aggregate(filter) => match &filter.aggregate {
            Aggregate::Count => Ok(()),
            Aggregate::Of(op, expr) => {
                let name = op.as_str();
                number(type_of(expr)?, || format!("{name}({expr})"))
            }
        },
        Stage::Coalesce | Stage::Select(_) => Ok(()),
    }
}

fn number(known: Type, shown: impl Fn() -> String) -> Checked {
    if known == Type::Any || known.is_number() {
        return Ok(());
    }
    refuse(format!("aggregate field expressions must resolve to a number type: {}", shown()))
}

fn spans(expr: &SpanExpr) -> Checked {
    match expr {
        SpanExpr::Filter(None) => Ok(()),
        SpanExpr::Filter(Some(expr)) => filter(expr),
        SpanExpr::Binary { left, right, .. } => {
            spans(left)?;
            spans(right)
        }
        SpanExpr::Pipeline(inner) => pipeline(inner),
    }
}

fn metrics(metrics: &SpanMetrics) -> Checked {
    pipeline(&metrics.pipeline)?;
    let name = metrics.function.name();
    match &metrics.function {
        MetricFunction::Rate | MetricFunction::CountOverTime => Ok(()),
        MetricFunction::OverTime(_, attribute)
        | MetricFunction::Quantile(attribute, _)
        | MetricFunction::Histogram(attribute) => {
            number(attribute.type_of(), || format!("{name}({attribute})"))
        }
        MetricFunction::Compare(Compare { selection, .. }) => {
            selection.as_ref().map_or(Ok(()), filter)
        }
    }
}

/// What stands between braces.
pub(crate) fn filter(expr: &FieldExpr) -> Checked {
    match type_of(expr)? {
        Type::Bool | Type::Any => Ok(()),
        _ => {
            refuse(format!("span filter field expressions must resolve to a boolean: {{ {expr} }}"))
        }
    }
}

fn type_of(expr: &FieldExpr) -> Checked<Type> {
    match expr {
        FieldExpr::Literal(literal) => Ok(literal.type_of()),
        FieldExpr::Attribute(attribute) => Ok(attribute.type_of()),
        FieldExpr::Not(inner) => match type_of(inner)? {
            Type::Bool | Type::Any => Ok(Type::Bool),
            _ => illegal(expr),
        },
        FieldExpr::Negate(inner) => match type_of(inner)? {
            known if known == Type::Any || known.is_number() => Ok(known),
            _ => illegal(expr),
        },
        FieldExpr::Binary { op, left, right } => {
            let (left_type, right_type) = (type_of(left)?, type_of(right)?);
            if op.is_comparison() {
                comparison(expr, *op, (left, left_type), (right, right_type))?;
                return Ok(Type::Bool);
            }
            let fits = |known: Type| match op.is_boolean() {
                true => known == Type::Bool || known == Type::Any,
                false => known.is_number() || known == Type::Any,
            };
            if !fits(left_type) || !fits(right_type) {
                return illegal(expr);
            }
            Ok(if op.is_boolean() { Type::Bool } else { Type::Float })
        }
    }
}

fn illegal<T>(expr: &FieldExpr) -> Checked<T> {
    refuse(format!("illegal operation for the given types: {expr}"))
}

type Side<'a> = (&'a FieldExpr, Type);

fn comparison(expr: &FieldExpr, op: FieldOp, left: Side<'_>, right: Side<'_>) -> Checked {
    if left.1 == Type::Nil || right.1 == Type::Nil {
        let other = if right.1 == Type::Nil { left.0 } else { right.0 };
        return with_nil(expr, op, other);
    }
    if !left.1.is_comparable_to(right.1) {
        return refuse(format!("binary operations must operate on the same type: {expr}"));
    }
    let has = |known: Type| left.1 == known || right.1 == known;
    match op {
        FieldOp::Match | FieldOp::NotMatch => regex(expr, left, right.0),
        FieldOp::Eq | FieldOp::Ne => Ok(()),
        _ if has(Type::Bool) || has(Type::Status) || has(Type::Kind) => illegal(expr),
        _ => Ok(()),
    }
}

fn regex(expr: &FieldExpr, left: Side<'_>, pattern: &FieldExpr) -> Checked {
    let FieldExpr::Literal(Literal::Text(pattern)) = pattern else { return illegal(expr) };
    if left.1 != Type::Text && left.1 != Type::Any {
        return illegal(expr);
    }
    match Matcher::new(MatchOp::Regex, "", pattern) {
        Ok(_) => Ok(()),
        Err(message) => refuse(format!("invalid regex: `{pattern}`: {message}")),
    }
}

/// Everything that every span has cannot be missing.
fn with_nil(expr: &FieldExpr, op: FieldOp, other: &FieldExpr) -> Checked {
    if !matches!(op, FieldOp::Eq | FieldOp::Ne) {
        return illegal(expr);
    }
    let FieldExpr::Attribute(attribute) = other else {
        return refuse(format!("only an attribute can be compared with nil: {expr}"));
    };
    let why = match attribute {
        _ if op == FieldOp::Ne => return Ok(()),
        Attribute::Intrinsic { .. } => "intrinsics cannot be nil",
        Attribute::Named { scope: Scope::Resource, name } if name == "service.name" => {
            "resource.service.name cannot be nil"
        }
        Attribute::Named { .. } => return Ok(()),
    };
    refuse(format!("{expr} is not valid because {why}"))
}

/// Whether answering the query needs the spans of a trace together.
pub(crate) fn needs_whole_traces(pipeline: &Pipeline) -> bool {
    pipeline.stages.iter().any(|stage| match stage {
        Stage::Spans(SpanExpr::Filter(None)) | Stage::Coalesce => false,
        Stage::Spans(SpanExpr::Filter(Some(expr))) => needs_trace(expr),
        Stage::Spans(_) | Stage::Aggregate(_) => true,
        Stage::By(expr) => needs_trace(expr),
        Stage::Select(attributes) => attributes.iter().any(is_of_trace),
    })
}

pub(crate) fn needs_trace(expr: &FieldExpr) -> bool {
    // Roots are known by themselves.
    if is_root_test(expr).is_some() {
        return false;
    }
    match expr {
        FieldExpr::Binary { left, right, .. } => needs_trace(left) || needs_trace(right),
        FieldExpr::Not(inner) | FieldExpr::Negate(inner) => needs_trace(inner),
        FieldExpr::Attribute(attribute) => is_of_trace(attribute),
        FieldExpr::Literal(_) => false,
    }
}

pub(crate) fn is_of_trace(attribute: &Attribute) -> bool {
    attribute.as_intrinsic().is_some_and(Intrinsic::needs_whole_trace)
}

/// `nestedSetParent < 0` asks for roots and needs no numbers; `Some(false)`: for all but roots.
pub(crate) fn is_root_test(expr: &FieldExpr) -> Option<bool> {
    let FieldExpr::Binary { op, left, right } = expr else { return None };
    let (FieldExpr::Attribute(attribute), FieldExpr::Literal(Literal::Int(value))) =
        (&**left, &**right)
    else {
        return None;
    };
    if attribute.as_intrinsic() != Some(Intrinsic::NestedSetParent) {
        return None;
    }
    match (op, value) {
        (FieldOp::Lt, 0) | (FieldOp::Eq | FieldOp::Le, -1) => Some(true),
        (FieldOp::Ge, 0) | (FieldOp::Ne | FieldOp::Gt, -1) => Some(false),
        _ => None,
    }
}
