//! A query over several lines: whatever is longer than a line is broken at its outermost operator.

use crate::ast::Expr;
use crate::print::{aggregate_text, operator_text, subquery_suffix};

const LINE_MAX: usize = 100;
const INDENT: &str = "  ";

/// Formats as Prometheus' `format_query` does.
pub fn prettify(expr: &Expr) -> String {
    pretty(expr, 0)
}

fn pretty(expr: &Expr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let line = expr.to_string();
    if line.len() <= LINE_MAX {
        // A subquery that fits on a line is not indented, as in Prometheus.
        let is_subquery = matches!(expr, Expr::Subquery(_));
        return if is_subquery { line } else { format!("{indent}{line}") };
    }
    match expr {
        Expr::Aggregate(aggregate) => {
            let parameter = aggregate.parameter.as_ref();
            let parameter = parameter.map(|parameter| pretty(parameter, level + 1) + ",\n");
            let inner = pretty(&aggregate.inner, level + 1);
            let (head, parameter) = (aggregate_text(aggregate), parameter.unwrap_or_default());
            format!("{indent}{head}(\n{parameter}{inner}\n{indent})")
        }
        Expr::Binary(binary) => {
            let (left, right) = (pretty(&binary.left, level + 1), pretty(&binary.right, level + 1));
            format!("{left}\n{indent}{}\n{right}", operator_text(binary))
        }
        Expr::Call(call) => {
            let arguments: Vec<String> =
                call.arguments.iter().map(|argument| pretty(argument, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", call.function.name, arguments.join(",\n"))
        }
        Expr::Paren(paren) => {
            format!("{indent}(\n{}\n{indent})", pretty(&paren.inner, level + 1))
        }
        Expr::Subquery(subquery) => {
            format!("{}{}", pretty(&subquery.inner, level), subquery_suffix(subquery))
        }
        Expr::Unary(unary) => {
            let sign = if unary.negative { "-" } else { "+" };
            format!("{indent}{sign}{}", pretty(&unary.inner, level).trim_start())
        }
        Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {
            format!("{indent}{line}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ParseOptions;
    use crate::parse::parse;

    fn check(query: &str, expected: &str) {
        let expr = parse(query, &ParseOptions::everything()).unwrap();
        let text = prettify(&expr);
        assert_eq!(text, expected);
        assert_eq!(parse(&text, &ParseOptions::everything()).unwrap(), expr);
    }

    #[test]
    fn short_queries_stay_on_their_line() {
        check("sum by(a)(rate(x[5m]))", "sum by (a) (rate(x[5m]))");
    }

    #[test]
    fn long_queries_break_at_the_outermost_operator() {
        let selector = "a_metric_with_a_long_name{label_one=\"value one\",label_two=\"value two\"}";
        let query =
            format!("sum by (job) (rate({selector}[5m])) / on (job) group_left () {selector}");
        let expected = format!(
            "  sum by (job) (rate({selector}[5m]))\n/ on (job) group_left ()\n  {selector}"
        );
        check(&query, &expected);
    }

    #[test]
    fn subqueries_stand_at_the_margin() {
        let selector = "a_metric_with_a_long_name{label_one=\"value one\",label_two=\"value two\"}";
        let query = format!("max_over_time(rate({selector}[5m])[1h:] offset 5m)");
        let expected = format!("max_over_time(\nrate({selector}[5m])[1h:] offset 5m\n)");
        check(&query, &expected);
    }
}
