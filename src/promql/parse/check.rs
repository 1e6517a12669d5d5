//! What is grammatical but meaningless: wrong types, wrong numbers of arguments, selectors that
//! would select everything.

use super::Parsed;
use crate::ast::{AggregateExpr, BinaryExpr, Call, Expr, VectorSelector};
use crate::error::ParseError;
use crate::function::SelectorUse;
use crate::types::ValueType;
use model::{MatchOp, quote_go};
use query::{AggregateOp, Cardinality, Position, VectorMatching};

pub(super) fn check(expr: &mut Expr, query: &str) -> Parsed<ValueType> {
    Checker { query }.check(expr)
}

struct Checker<'a> {
    query: &'a str,
}

fn fail<T>(position: Position, message: impl Into<String>) -> Parsed<T> {
    Err(ParseError::at(position, message))
}

impl Checker<'_> {
    fn check(&self, expr: &mut Expr) -> Parsed<ValueType> {
        let value_type = expr.value_type();
        let position = expr.position();
        match expr {
            Expr::Number(_) | Expr::String(_) => {}
            Expr::Paren(paren) => {
                self.check(&mut paren.inner)?;
            }
            Expr::Unary(unary) => {
                let inner = self.check(&mut unary.inner)?;
                if !is_arithmetic(inner) {
                    let message = "unary expression only allowed on expressions of type scalar or instant vector";
                    let got = quote_go(inner.documented().as_bytes());
                    return fail(position, format!("{message}, got {got}"));
                }
            }
            Expr::Binary(binary) => self.check_binary(binary, position)?,
            Expr::Call(call) => self.check_call(call)?,
            Expr::Aggregate(aggregate) => self.check_aggregate(aggregate)?,
            Expr::Vector(selector) => check_selector(selector)?,
            Expr::Matrix(matrix) => check_selector(&matrix.selector)?,
            Expr::Subquery(subquery) => {
                let inner = self.check(&mut subquery.inner)?;
                if inner != ValueType::Vector {
                    let message = "subquery is only allowed on instant vector";
                    return fail(position, format!("{message}, got {} instead", inner.as_str()));
                }
            }
        }
        Ok(value_type)
    }

    fn expect_type(&self, expr: &mut Expr, want: ValueType, context: &str) -> Parsed<()> {
        let position = expr.position();
        let got = self.check(expr)?;
        if got == want {
            return Ok(());
        }
        let (want, got) = (want.documented(), got.documented());
        fail(position, format!("expected type {want} in {context}, got {got}"))
    }

    fn check_aggregate(&self, aggregate: &mut AggregateExpr) -> Parsed<()> {
        self.expect_type(&mut aggregate.inner, ValueType::Vector, "aggregation expression")?;
        let want = match aggregate.op {
            AggregateOp::CountValues => ValueType::String,
            _ => ValueType::Scalar,
        };
        match &mut aggregate.parameter {
            Some(parameter) => self.expect_type(parameter, want, "aggregation parameter"),
            None => Ok(()),
        }
    }

    fn check_binary(&self, binary: &mut BinaryExpr, position: Position) -> Parsed<()> {
        let left = self.check(&mut binary.left)?;
        let right = self.check(&mut binary.right)?;
        let operator = self.operator_position(binary);
        let op = binary.op;
        if binary.return_bool && !op.is_comparison() {
            return fail(operator, "bool modifier can only be used on comparison operators");
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if op.is_comparison() && !binary.return_bool && scalars {
            return fail(operator, "comparisons between scalars must use BOOL modifier");
        }
        let matching = binary.matching.get_or_insert_default();
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        check_label_lists(matching, operator)?;
        for (value_type, expr) in [(left, &binary.left), (right, &binary.right)] {
            if !is_arithmetic(value_type) {
                let message = "binary expression must contain only scalar and instant vector types";
                return fail(expr.position(), message);
            }
        }
        let matching = binary.matching.as_ref().expect("it was just put there");
        if left == ValueType::Vector && right == ValueType::Vector {
            if op.is_set() {
                check_set_matching(matching, op.as_str(), position)?;
            }
            return Ok(());
        }
        check_no_matching(matching, position)?;
        binary.matching = None;
        if op.is_set() {
            let op = quote_go(op.as_str().as_bytes());
            let message = format!("set operator {op} not allowed in binary scalar expression");
            return fail(position, message);
        }
        Ok(())
    }

    /// From the first character of the operator to the last before the right side.
    fn operator_position(&self, binary: &BinaryExpr) -> Position {
        let between = Position::new(binary.left.position().end, binary.right.position().start);
        let text = self.query.get(between.start..between.end).unwrap_or_default();
        let start = between.start + (text.len() - text.trim_start().len());
        Position::new(start, between.start + text.trim_end().len())
    }

    fn check_call(&self, call: &mut Call) -> Parsed<()> {
        check_argument_count(call)?;
        if call.function.selectors == SelectorUse::LabelMatchers {
            check_info(call)?;
        }
        let types = call.function.arguments;
        for (index, argument) in call.arguments.iter_mut().enumerate() {
            let want = types[index.min(types.len() - 1)];
            let name = quote_go(call.function.name.as_bytes());
            self.expect_type(argument, want, &format!("call to function {name}"))?;
        }
        Ok(())
    }
}

fn is_arithmetic(value_type: ValueType) -> bool {
    matches!(value_type, ValueType::Scalar | ValueType::Vector)
}

fn check_label_lists(matching: &VectorMatching, operator: Position) -> Parsed<()> {
    let both = matching.labels.iter().find(|label| matching.include.contains(label));
    match both {
        Some(label) if matching.on => {
            let label = quote_go(label.as_bytes());
            let message = format!("label {label} must not occur in ON and GROUP clause at once");
            fail(operator, message)
        }
        _ => Ok(()),
    }
}

fn check_set_matching(matching: &VectorMatching, op: &str, position: Position) -> Parsed<()> {
    if matches!(matching.cardinality, Cardinality::OneToMany | Cardinality::ManyToOne) {
        let op = quote_go(op.as_bytes());
        return fail(position, format!("no grouping allowed for {op} operation"));
    }
    if matching.fill_left.or(matching.fill_right).is_some() {
        return fail(position, "filling in missing series not allowed for set operators");
    }
    Ok(())
}

fn check_no_matching(matching: &VectorMatching, position: Position) -> Parsed<()> {
    if !matching.labels.is_empty() {
        return fail(position, "vector matching only allowed between instant vectors");
    }
    if matching.fill_left.or(matching.fill_right).is_some() {
        let message = "filling in missing series only allowed between instant vectors";
        return fail(position, message);
    }
    Ok(())
}

fn check_argument_count(call: &Call) -> Parsed<()> {
    let function = call.function;
    let (declared, given) = (function.arguments.len(), call.arguments.len());
    let name = quote_go(function.name.as_bytes());
    if function.variadic == 0 {
        if declared != given {
            let message = format!("expected {declared} argument(s) in call to {name}, got {given}");
            return fail(call.position, message);
        }
        return Ok(());
    }
    let least = declared - 1;
    if given < least {
        let message =
            format!("expected at least {least} argument(s) in call to {name}, got {given}");
        return fail(call.position, message);
    }
    let most = usize::try_from(function.variadic).map_or(usize::MAX, |extra| least + extra);
    if given > most {
        let message = format!("expected at most {most} argument(s) in call to {name}, got {given}");
        return fail(call.position, message);
    }
    Ok(())
}

/// The second argument of `info` is written as a selector but is only a list of matchers.
fn check_info(call: &mut Call) -> Parsed<()> {
    let position = call.position;
    let Some(argument) = call.arguments.get_mut(1) else {
        return Ok(());
    };
    if argument.value_type() != ValueType::Vector {
        let got = argument.value_type().documented();
        let message =
            format!("expected type instant vector in call to function \"info\", got {got}");
        return fail(position, message);
    }
    let argument_position = argument.position();
    match argument {
        Expr::Vector(selector) if selector.name.is_empty() => {
            selector.labels_only = true;
            Ok(())
        }
        Expr::Vector(_) => {
            fail(argument_position, "expected label selectors only, got vector selector instead")
        }
        _ => fail(argument_position, "expected label selectors only"),
    }
}

fn check_selector(selector: &VectorSelector) -> Parsed<()> {
    check_names(selector)?;
    let named = !selector.name.is_empty();
    let selective = || selector.matchers.iter().any(|matcher| !matcher.matches(""));
    if named || selector.labels_only || selective() {
        return Ok(());
    }
    fail(selector.position, "vector selector must contain at least one non-empty matcher")
}

/// A name before the braces rules out matchers for it; inside it can be given once.
fn check_names(selector: &VectorSelector) -> Parsed<()> {
    let mut names = selector.matchers.iter().filter(|matcher| matcher.is_metric_name());
    let (first, second) = if selector.name.is_empty() {
        let mut exact = names.filter(|matcher| matcher.op == MatchOp::Equal);
        (exact.next(), exact.next())
    } else {
        // Its own matcher is the last.
        (names.next_back(), names.next())
    };
    let (Some(first), Some(second)) = (first, second) else {
        return Ok(());
    };
    let [first, second] = [first, second].map(|matcher| quote_go(matcher.value.as_bytes()));
    fail(selector.position, format!("metric name must not be set twice: {first} or {second}"))
}
