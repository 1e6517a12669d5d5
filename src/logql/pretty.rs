//! A query over several lines: whatever is longer than a line is broken, stage by stage and operand by
//! operand.

use crate::ast::{BinaryExpr, Expr, LogExpr, MetricExpr, RangeAggregation};
use crate::print::{
    aggregate_head, operator, range_ends, range_text, replace_arguments, selector,
    sides_in_parentheses, unwrap_stages,
};

const LINE_MAX: usize = 100;
const INDENT: &str = "  ";

/// Formats for people to read, as `format_query` answers it.
pub fn prettify(expr: &Expr) -> String {
    match expr {
        Expr::Log(log) => lines(log, &[], "", 0),
        Expr::Metric(metric) => pretty(metric, 0),
    }
}

/// A selector with its stages, and what stands behind them.
fn lines(log: &LogExpr, more_stages: &[String], tail: &str, level: usize) -> String {
    let stages = log.stages.iter().map(|stage| stage.kind.to_string());
    let stages: Vec<String> = stages.chain(more_stages.iter().cloned()).collect();
    let indent = INDENT.repeat(level);
    let first = selector(&log.matchers);
    let line = format!(
        "{indent}{first}{}{tail}",
        stages.iter().map(|stage| format!(" {stage}")).collect::<String>()
    );
    if line.len() <= LINE_MAX {
        return line;
    }
    let stages: String = stages.iter().map(|stage| format!("\n{indent}{INDENT}{stage}")).collect();
    format!("{indent}{first}{stages}{tail}")
}

fn pretty(expr: &MetricExpr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let line = format!("{indent}{expr}");
    if line.len() <= LINE_MAX {
        return line;
    }
    match expr {
        MetricExpr::Number(_) | MetricExpr::Vector(_) => line,
        MetricExpr::Range(range) => window(range, level),
        MetricExpr::Aggregate(aggregate) => {
            let inner = pretty(&aggregate.inner, level + 1);
            format!("{indent}{}\n{inner}\n{indent})", aggregate_head(aggregate).trim_end())
        }
        MetricExpr::Binary(binary) => operands(binary, level),
        MetricExpr::LabelReplace(replace) => {
            let inner = pretty(&replace.inner, level + 1);
            let arguments = replace_arguments(replace);
            format!("{indent}label_replace(\n{inner},\n{indent}{INDENT}{arguments}\n{indent})")
        }
    }
}

fn window(aggregation: &RangeAggregation, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let (head, tail) = range_ends(aggregation);
    let range = &aggregation.range;
    let range_tail = format!(" {}", range_text(range));
    let inner = lines(&range.log, &unwrap_stages(range), &range_tail, level + 1);
    format!("{indent}{}\n{inner}\n{indent}{tail}", head.trim_end())
}

fn operands(binary: &BinaryExpr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let (left, right) = sides_in_parentheses(binary);
    let side = |side: &MetricExpr, in_parentheses: bool| {
        if in_parentheses {
            let inner = pretty(side, level + 2);
            format!("{indent}{INDENT}(\n{inner}\n{indent}{INDENT})")
        } else {
            pretty(side, level + 1)
        }
    };
    let (left, right) = (side(&binary.left, left), side(&binary.right, right));
    format!("{left}\n{indent}{}\n{right}", operator(binary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn check(query: &str, expected: &str) {
        let expr = parse(query).unwrap();
        let text = prettify(&expr);
        assert_eq!(text, expected);
        assert_eq!(parse(&text).unwrap(), expr);
    }

    #[test]
    fn short_queries_stay_on_their_line() {
        check("sum by(a)(rate({x=\"y\"}[5m]))", "sum by (a) (rate({x=\"y\"} [5m]))");
        check("{a=\"b\"}|=\"c\"|json", "{a=\"b\"} |= \"c\" | json");
    }

    #[test]
    fn long_pipelines_have_a_line_for_each_stage() {
        let query = "{app=\"a_rather_long_name\",env=\"production\"} |= \"some text\" | logfmt | level=\"error\" and took > 1s | user=\"somebody\"";
        let expected = "{app=\"a_rather_long_name\", env=\"production\"}\n  |= \"some text\"\n  | logfmt\n  | level=\"error\" and took>1s\n  | user=\"somebody\"";
        check(query, expected);
        let expected = format!(
            "sum by (level) (\n  count_over_time(\n    {} [5m]\n  )\n)",
            expected.replace('\n', "\n    ")
        );
        check(&format!("sum by (level) (count_over_time({query} [5m]))"), &expected);
    }
}
