//! The same query in other words: with `@` on every selector it can be evaluated at any time.

use crate::ast::{At, Expr, TimeShift};
use crate::options::ParseOptions;
use crate::parse::parse;

/// Queries and times that must have the answer of the query at its own time.
pub(super) fn at_variants(query: &str, time_ms: i64) -> Result<Vec<(String, i64)>, String> {
    let Ok(mut expr) = parse(query, &ParseOptions::everything()) else {
        // The query is run as it is, where its failure is compared.
        return Ok(Vec::new());
    };
    let mut changing = false;
    expr.walk(&mut |node| {
        changing |= matches!(node, Expr::Call(call) if call.function.is_time_dependent);
    });
    if changing {
        return Ok(Vec::new());
    }
    fix_times(&mut expr, time_ms);
    let text = expr.to_string();
    let times = if time_ms == 0 {
        vec![-1000, 0, 1000]
    } else {
        vec![-10 * time_ms, 0, time_ms / 5, time_ms, 10 * time_ms]
    };
    Ok(times.into_iter().map(|time| (text.clone(), time)).collect())
}

/// Below a subquery with `@` selectors follow the subquery.
fn fix_times(expr: &mut Expr, time_ms: i64) {
    let fix = |shift: &mut TimeShift| {
        if !matches!(shift.at, Some(At::Millis(_))) {
            shift.at = Some(At::Millis(time_ms));
        }
    };
    match expr {
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Paren(paren) => fix_times(&mut paren.inner, time_ms),
        Expr::Unary(unary) => fix_times(&mut unary.inner, time_ms),
        Expr::Binary(binary) => {
            fix_times(&mut binary.left, time_ms);
            fix_times(&mut binary.right, time_ms);
        }
        Expr::Call(call) => {
            call.arguments.iter_mut().for_each(|argument| fix_times(argument, time_ms));
        }
        Expr::Aggregate(aggregate) => {
            aggregate.parameter.iter_mut().for_each(|parameter| fix_times(parameter, time_ms));
            fix_times(&mut aggregate.inner, time_ms);
        }
        Expr::Vector(selector) => fix(&mut selector.shift),
        Expr::Matrix(matrix) => fix(&mut matrix.selector.shift),
        Expr::Subquery(subquery) => fix(&mut subquery.shift),
    }
}
