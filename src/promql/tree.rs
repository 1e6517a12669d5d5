//! The tree of a query as plain data, for tools that draw it: what Prometheus' `parse_query` shows.
//! What a query leaves to be computed (`[step() * 2]`) is 0 here.

use crate::ast::{At, Duration, DurationExpr, DurationKind, Expr, TimeShift, VectorSelector};
use crate::function::Function;
use crate::types::Edges;
use model::Matcher;
use query::{Cardinality, VectorMatching};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Tree {
    Aggregation {
        expr: Box<Tree>,
        grouping: Vec<String>,
        op: &'static str,
        param: Option<Box<Tree>>,
        without: bool,
    },
    BinaryExpr {
        #[serde(rename = "bool")]
        return_bool: bool,
        lhs: Box<Tree>,
        matching: Option<Matching>,
        op: &'static str,
        rhs: Box<Tree>,
    },
    Call {
        args: Vec<Tree>,
        func: FunctionInfo,
    },
    MatrixSelector {
        #[serde(flatten)]
        selector: SelectorInfo,
        range: i64,
        range_expr: Option<DurationTree>,
    },
    NumberLiteral {
        val: String,
    },
    ParenExpr {
        expr: Box<Tree>,
    },
    StringLiteral {
        val: String,
    },
    Subquery {
        expr: Box<Tree>,
        #[serde(flatten)]
        shift: ShiftInfo,
        range: i64,
        range_expr: Option<DurationTree>,
        step: i64,
        step_expr: Option<DurationTree>,
    },
    UnaryExpr {
        expr: Box<Tree>,
        op: &'static str,
    },
    VectorSelector {
        #[serde(flatten)]
        selector: SelectorInfo,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectorInfo {
    pub anchored: bool,
    pub matchers: Vec<MatcherInfo>,
    pub name: String,
    #[serde(flatten)]
    pub shift: ShiftInfo,
    pub smoothed: bool,
}

/// A duration that the query leaves to be computed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum DurationTree {
    NumberLiteral {
        val: String,
    },
    DurationExpr {
        lhs: Option<Box<DurationTree>>,
        op: &'static str,
        rhs: Option<Box<DurationTree>>,
        wrapped: bool,
    },
}

/// Milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShiftInfo {
    pub offset: i64,
    pub offset_expr: Option<DurationTree>,
    pub start_or_end: Option<&'static str>,
    pub timestamp: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatcherInfo {
    pub name: String,
    #[serde(rename = "type")]
    pub op: &'static str,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Matching {
    pub card: &'static str,
    pub fill_values: FillValues,
    pub include: Vec<String>,
    pub labels: Vec<String>,
    pub on: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FillValues {
    pub lhs: Option<f64>,
    pub rhs: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionInfo {
    pub arg_types: Vec<&'static str>,
    pub name: &'static str,
    pub return_type: &'static str,
    pub variadic: i32,
}

impl Tree {
    pub fn of(expr: &Expr) -> Self {
        match expr {
            Expr::Number(number) => Self::NumberLiteral { val: plain_number(number.value) },
            Expr::String(literal) => Self::StringLiteral { val: literal.text() },
            Expr::Paren(paren) => Self::ParenExpr { expr: Self::boxed(&paren.inner) },
            Expr::Unary(unary) => {
                let op = if unary.negative { "-" } else { "+" };
                Self::UnaryExpr { expr: Self::boxed(&unary.inner), op }
            }
            Expr::Binary(binary) => Self::BinaryExpr {
                return_bool: binary.return_bool,
                lhs: Self::boxed(&binary.left),
                matching: binary.matching.as_ref().map(Matching::of),
                op: binary.op.as_str(),
                rhs: Self::boxed(&binary.right),
            },
            Expr::Call(call) => Self::Call {
                args: call.arguments.iter().map(Self::of).collect(),
                func: FunctionInfo::of(call.function),
            },
            Expr::Aggregate(aggregate) => Self::Aggregation {
                expr: Self::boxed(&aggregate.inner),
                grouping: aggregate.grouping.clone(),
                op: aggregate.op.as_str(),
                param: aggregate.parameter.as_ref().map(Self::boxed),
                without: aggregate.without,
            },
            Expr::Vector(selector) => Self::VectorSelector { selector: SelectorInfo::of(selector) },
            Expr::Matrix(matrix) => Self::MatrixSelector {
                selector: SelectorInfo::of(&matrix.selector),
                range: millis(&matrix.range),
                range_expr: DurationTree::of(&matrix.range),
            },
            Expr::Subquery(subquery) => Self::Subquery {
                expr: Self::boxed(&subquery.inner),
                shift: ShiftInfo::of(&subquery.shift),
                range: millis(&subquery.range),
                range_expr: DurationTree::of(&subquery.range),
                step: subquery.step.as_ref().map_or(0, millis),
                step_expr: subquery.step.as_ref().and_then(DurationTree::of),
            },
        }
    }

    fn boxed(expr: &Expr) -> Box<Self> {
        Box::new(Self::of(expr))
    }
}

impl SelectorInfo {
    fn of(selector: &VectorSelector) -> Self {
        Self {
            anchored: selector.edges == Edges::Anchored,
            matchers: selector.matchers.iter().map(MatcherInfo::of).collect(),
            name: selector.name.clone(),
            shift: ShiftInfo::of(&selector.shift),
            smoothed: selector.edges == Edges::Smoothed,
        }
    }
}

impl ShiftInfo {
    fn of(shift: &TimeShift) -> Self {
        let (start_or_end, timestamp) = match shift.at {
            None => (None, None),
            Some(At::Millis(millis)) => (None, Some(millis)),
            Some(At::Start) => (Some("start"), None),
            Some(At::End) => (Some("end"), None),
        };
        let offset_expr = DurationTree::of(&shift.offset);
        Self { offset: millis(&shift.offset), offset_expr, start_or_end, timestamp }
    }
}

impl DurationTree {
    fn of(duration: &Duration) -> Option<Self> {
        match duration {
            Duration::Millis(_) => None,
            Duration::Computed(expr) => Some(Self::of_expr(expr)),
        }
    }

    fn of_expr(expr: &DurationExpr) -> Self {
        let boxed = |expr: &DurationExpr| Some(Box::new(Self::of_expr(expr)));
        let (op, lhs, rhs) = match &expr.kind {
            DurationKind::Number(number) => {
                return Self::NumberLiteral { val: plain_number(number.value) };
            }
            DurationKind::Step => ("step", None, None),
            DurationKind::Range => ("range", None, None),
            DurationKind::Plus(inner) => ("+", None, boxed(inner)),
            DurationKind::Minus(inner) => ("-", None, boxed(inner)),
            DurationKind::MinOf(left, right) => ("min_of", boxed(left), boxed(right)),
            DurationKind::MaxOf(left, right) => ("max_of", boxed(left), boxed(right)),
            DurationKind::Binary(op, left, right) => (op.as_str(), boxed(left), boxed(right)),
        };
        Self::DurationExpr { lhs, op, rhs, wrapped: expr.wrapped }
    }
}

impl MatcherInfo {
    fn of(matcher: &Matcher) -> Self {
        let (name, value) = (matcher.name.clone(), matcher.value.clone());
        Self { name, op: matcher.op.as_str(), value }
    }
}

impl Matching {
    fn of(matching: &VectorMatching) -> Self {
        let card: Cardinality = matching.cardinality;
        Self {
            card: card.as_str(),
            fill_values: FillValues { lhs: matching.fill_left, rhs: matching.fill_right },
            include: matching.include.clone(),
            labels: matching.labels.clone(),
            on: matching.on,
        }
    }
}

impl FunctionInfo {
    fn of(function: &Function) -> Self {
        Self {
            arg_types: function.arguments.iter().map(|argument| argument.as_str()).collect(),
            name: function.name,
            return_type: function.returns.as_str(),
            variadic: function.variadic,
        }
    }
}

fn millis(duration: &Duration) -> i64 {
    match duration {
        Duration::Millis(millis) => *millis,
        Duration::Computed(_) => 0,
    }
}

/// Never with an exponent.
fn plain_number(value: f64) -> String {
    if value == f64::INFINITY {
        return "+Inf".to_owned();
    }
    if value == f64::NEG_INFINITY { "-Inf".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ParseOptions, parse};
    use serde_json::{Value, json};

    fn tree(query: &str) -> Value {
        let expr = parse(query, &ParseOptions::everything()).unwrap();
        serde_json::to_value(Tree::of(&expr)).unwrap()
    }

    #[test]
    fn a_call_shows_its_function_and_its_range() {
        let found = tree("rate(up{a!=\"b\"}[5m] @ start() offset 1m)");
        let matchers = json!([
            {"name": "a", "type": "!=", "value": "b"},
            {"name": "__name__", "type": "=", "value": "up"},
        ]);
        let selector = json!({
            "type": "matrixSelector", "name": "up", "range": 300_000, "offset": 60_000,
            "matchers": matchers, "timestamp": null, "startOrEnd": "start",
            "anchored": false, "smoothed": false, "offsetExpr": null, "rangeExpr": null,
        });
        let function = json!({
            "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector",
        });
        assert_eq!(found, json!({"type": "call", "func": function, "args": [selector]}));
    }

    #[test]
    fn an_operator_shows_how_its_sides_match() {
        let found = tree("-x * (1e3 + Inf)");
        assert_eq!(found["type"], "binaryExpr");
        assert_eq!(found["matching"], Value::Null);
        assert_eq!(found["lhs"]["type"], "unaryExpr");
        let found = tree("x * on (a) group_left (b) y @ 3");
        let matching = json!({
            "card": "many-to-one", "labels": ["a"], "on": true, "include": ["b"],
            "fillValues": {"lhs": null, "rhs": null},
        });
        assert_eq!(found["matching"], matching);
        assert_eq!(found["rhs"]["timestamp"], 3000);
    }

    #[test]
    fn an_aggregation_shows_its_parameter() {
        let found = tree("quantile without (a) (1e3, last_over_time(x[1h:]))");
        assert_eq!(found["param"], json!({"type": "numberLiteral", "val": "1000"}));
        assert_eq!((&found["op"], &found["without"]), (&json!("quantile"), &json!(true)));
        let subquery = &found["expr"]["args"][0];
        assert_eq!((&subquery["range"], &subquery["step"]), (&json!(3_600_000), &json!(0)));
        assert_eq!((&subquery["rangeExpr"], &subquery["stepExpr"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn durations_that_are_computed_show_how() {
        let found = tree("x[step() * 2] offset -(1m + 1s)");
        let number = |value: &str| json!({"type": "numberLiteral", "val": value});
        let expr = |op: &str, lhs: Value, rhs: Value, wrapped: bool| json!({"type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": wrapped});
        let step = expr("step", Value::Null, Value::Null, false);
        assert_eq!(found["rangeExpr"], expr("*", step, number("2"), false));
        let sum = expr("+", number("60"), number("1"), true);
        assert_eq!(found["offsetExpr"], expr("-", Value::Null, sum, false));
    }
}
