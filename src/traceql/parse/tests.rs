//! What is read, what is refused and where, and that a printed query is the same one.

use super::*;
use crate::ast::{FieldExpr, FieldOp};
use crate::attribute::{Intrinsic, Scope};
use crate::literal::{Kind, Literal, Status};
use crate::prettify;
use proptest::prelude::*;

/// Reads a query and compares how it is printed; and that is read the same.
fn check(text: &str, expected: &str) {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(query.to_string(), expected, "{text}");
    assert_eq!(parse(expected).as_ref(), Ok(&query), "{expected}");
    let pretty = prettify(&query);
    assert_eq!(parse(&pretty), Ok(query), "{pretty}");
}

fn same(text: &str) {
    check(text, text);
}

fn refused(text: &str, expected: &str) {
    let error = parse(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn filters() {
    check("{}", "{ }");
    check("{true}", "{ true }");
    check(
        "{ span.http.method = \"GET\" && .a != 1 || resource.b >= 1.5s }",
        "{ (span.http.method = \"GET\" && .a != 1) || resource.b >= 1s500ms }",
    );
    same("{ name =~ \"GET.*\" && status != error && kind = client }");
    same("{ span.\"weird key\" = \"x\" && event.\"a\\\"b\" = nil }");
    same(
        "{ event:name = \"exception\" && link:spanID != \"\" && instrumentation:version > \"1\" }",
    );
    same("{ (span.a || span.b) && !span.c = true }");
    same("{ !(span.a && span.b) }");
    same("{ -span.a + 1 > span.b * (2 - span.c) ^ 2 }");
    same("{ (-span.a) * 2 = 1 && -(span.a * 2) = 1 }");
    check("{ `raw \\d` = name }", "{ \"raw \\\\d\" = name }");
    check("{ duration > 500ms * 2 }", "{ duration > 1s }");
    check("{ .a = 10 / 4 + 1 }", "{ .a = 3 }");
    check("{ .a = - 5 || .a = minInt }", "{ .a = -5 || .a = minInt }");
    check("{ .a = .25 || .b = 1e3 }", "{ .a = 0.25 || .b = 1000.0 }");
    check(
        "{ span:duration > 1h30m && trace:rootName = \"\" }",
        "{ span:duration > 1h30m && trace:rootName = \"\" }",
    );
}

#[test]
fn and_binds_like_or() {
    let query = parse("{ .a || .b && .c }").unwrap();
    assert_eq!(query.to_string(), "{ (.a || .b) && .c }");
    let Root::Spans(pipeline) = query.root else { panic!() };
    let crate::ast::Stage::Spans(crate::ast::SpanExpr::Filter(Some(expr))) = &pipeline.stages[0]
    else {
        panic!()
    };
    assert!(matches!(expr, FieldExpr::Binary { op: FieldOp::And, .. }));
    same("{ .a || (.b && .c) }");
    check("{ .a } || { .b } && { .c }", "({ .a } || { .b }) && { .c }");
    same("{ .a } || ({ .b } && { .c })");
}

#[test]
fn relations_and_stages() {
    for op in [
        "&&", "||", ">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<",
        "&<<", "&~",
    ] {
        same(&format!("{{ .a }} {op} {{ .b }}"));
    }
    same("{ .a } > { .b } ~ { .c }");
    same("{ .a } > ({ .b } > { .c })");
    check("({ .a } > { .b }) && { .c }", "{ .a } > { .b } && { .c }");
    same("({ .a } | count() > 1) >> ({ .b } | { .c })");
    same("{ } | by(resource.service.name) | count() >= 3 | coalesce() | select(name, span.a)");
    same("by(status) | avg(duration) > 100ms | max(span.a * 2) = -1");
    check("count() > 1 + 1", "count() > 2");
    same("{ } | { .a } > { .b } | sum(.a) != 0.5");
    same("{ status = error } with(most_recent=true)");
}

#[test]
fn metrics() {
    same("{ } | rate()");
    same("{ } | count_over_time() by (name, span.a) with(exemplars=5, sample=0.5)");
    same("{ } | quantile_over_time(duration, 0.5, 0.99) by (name) | topk(3) > 10");
    same("{ } | histogram_over_time(duration)");
    check("{ } | compare({ status = error })", "{ } | compare({ status = error }, 10)");
    same("{ } | compare({ status = error }, 5, 100, 200)");
    check("({ } | rate()) * 100 / ({ } | rate())", "({ } | rate()) * 100 / ({ } | rate())");
    check("(({ } | rate()) + 1) * 2", "(({ } | rate()) + 1) * 2");
    check("1 / 2 * ({ } | rate())", "0 * ({ } | rate())");
    same("({ } | rate()) * -1.5 | topk(2)");
    same("({ } | rate()) / ({ } | rate() | topk(1)) > 0.5");
    check("({ } | rate()) > 20 | topk(2)", "{ } | rate() > 20 | topk(2)");
}

#[test]
fn long_queries_have_a_line_for_each_stage() {
    let text = "{ span.http.method = \"GET\" && resource.service.name = \"frontend\" } | by(name) | select(span.http.status_code)";
    let lines = "{ span.http.method = \"GET\" && resource.service.name = \"frontend\" }\n  | by(name)\n  | select(span.http.status_code)";
    assert_eq!(prettify(&parse(text).unwrap()), lines);
    let text = "{ span.http.method = \"GET\" && resource.service.name = \"frontend\" } | rate() by (span.http.status_code) | topk(3) > 1 with(a=1)";
    let lines = "{ span.http.method = \"GET\" && resource.service.name = \"frontend\" }\n  | rate() by (span.http.status_code)\n  | topk(3) > 1\n  with(a=1)";
    assert_eq!(prettify(&parse(text).unwrap()), lines);
}

#[test]
fn errors_of_syntax_have_a_place() {
    for (text, expected) in [
        ("{ . }", "parse error at line 1, col 3: the name of an attribute is missing"),
        ("{ name = }", "parse error at line 1, col 10: syntax error: unexpected `}`"),
        ("{ name = tick }", "parse error at line 1, col 10: unknown identifier: tick"),
        ("{ status = broken }", "col 12: unknown identifier: broken"),
        ("{ span.a == }", "col 11: syntax error: unexpected `=`"),
        ("{ span. = 1 }", "col 3: the name of an attribute is missing"),
        ("{\n(true }", "line 2, col 7: syntax error: unexpected `}`, expecting `)`"),
        ("{", "line 1, col 2: syntax error: unexpected end of the query"),
        ("", "line 1, col 1"),
        ("}", "line 1, col 1: syntax error: unexpected `}`, expecting `{` or `(`"),
        ("true", "col 1"),
        (
            "{ } | count()",
            "col 14: syntax error: unexpected end of the query, expecting a comparison",
        ),
        ("{ } | by()", "col 10"),
        ("{ } | select()", "col 14"),
        ("coalesce()", "col 1"),
        ("{ } + { }", "col 5: syntax error: unexpected `+`"),
        ("{ } | nosuch() > 1", "col 7: syntax error: unexpected `nosuch`"),
        ("{ } >>> { }", "col 7: syntax error: unexpected `>`, expecting `{` or `(`"),
        ("{ } | max() = 1", "col 11"),
        ("{ } && ", "col 8: syntax error: unexpected end of the query, expecting `{` or `(`"),
        ("{ } | { } |", "col 12"),
        ("{ } | count() > \"a\"", "an aggregate can be compared with a number"),
        ("{ } | min(span.a) < max(span.b)", "not with another"),
        ("count() + count() = 1", "arithmetic with aggregates is not supported"),
        ("{ span:rootName = \"x\" }", "col 3: unknown intrinsic `span:rootName`"),
        ("{ trace:status = ok }", "col 3: unknown intrinsic `trace:status`"),
        ("{ parent.name = \"a\" }", "col 3: parent is not supported"),
        ("{ } | rate(", "col 12"),
        ("{ } | rate(duration)", "col 12: syntax error: unexpected `duration`, expecting `)`"),
        ("{ } | min_over_time()", "col 21"),
        (
            "{ } | quantile_over_time(duration)",
            "col 34: syntax error: unexpected `)`, expecting `,`",
        ),
        ("{ } | quantile_over_time(duration, 2)", "a quantile must be from 0 to 1"),
        ("{ } | rate() by ()", "col 18"),
        ("{ } | topk(1)", "col 7"),
        ("{ } | rate() | topk(0)", "greater than 0"),
        (
            "{ } | rate() | topk(-1)",
            "col 21: syntax error: unexpected `-`, expecting a whole number",
        ),
        ("{ } | compare({ }) | topk(1)", "compare() cannot be used with second stages"),
        ("{ } | rate() + 5", "col 14: syntax error: unexpected `+`"),
        ("5 + { } | rate()", "col 3: both sides must be spans, or both numbers"),
        ("({ } | rate()) % 2", "col 16: syntax error: unexpected `%`"),
        (
            "{ } | rate() by (status) | nosuch(1)",
            "col 28: syntax error: unexpected `nosuch`, expecting topk or bottomk",
        ),
        ("{ } | compare()", "col 15: syntax error: unexpected `)`, expecting `{`"),
        ("{ } | rate() == 1", "col 15: syntax error: unexpected `=`"),
        ("{ } | rate() by (.a, .b, .c, .d, .e, .f)", "5 attributes at most"),
        ("({ } | rate()) && { }", "col 16"),
        ("{ } && ({ } | rate())", "both sides must be spans"),
        ("{ } | ({ } | rate())", "a stage must answer spans"),
        ("{ } with(a)", "expecting `=`"),
        ("{ } with(a=span.b)", "a fixed value is needed here"),
        ("{ name = \"a", "col 10: literal not terminated"),
        ("{ .a = 5x }", "col 8: unknown unit"),
    ] {
        refused(text, expected);
    }
}

#[test]
fn errors_of_meaning_show_the_expression() {
    for (text, expected) in [
        ("{ event:name = nil }", "event:name = nil is not valid because intrinsics cannot be nil"),
        ("{ duration = nil }", "intrinsics cannot be nil"),
        ("{ resource.service.name = nil }", "resource.service.name cannot be nil"),
        ("{ kind = 3 }", "binary operations must operate on the same type: kind = 3"),
        ("{ 1 = \"a\" }", "must operate on the same type: 1 = \"a\""),
        ("{ name =~ \"(\" }", "invalid regex: `(`"),
        ("{ status }", "span filter field expressions must resolve to a boolean: { status }"),
        ("{ 1 + 1 }", "must resolve to a boolean: { 2 }"),
        ("{ span.x =~ 5 }", "illegal operation for the given types: span.x =~ 5"),
        ("{ span.x =~ span.y }", "illegal operation"),
        ("{ status > ok }", "illegal operation"),
        ("{ name + 1 = 2 }", "illegal operation"),
        ("{ !name }", "illegal operation"),
        ("{ span.a < nil }", "illegal operation"),
        ("{ 1 = nil }", "only an attribute can be compared with nil"),
        (
            "{ } | avg(name) > 1",
            "aggregate field expressions must resolve to a number type: avg(name)",
        ),
        ("{ } | by(1)", "grouping field expressions must reference the span: by(1)"),
        ("{ } | min_over_time(name)", "must resolve to a number type: min_over_time(name)"),
        ("{ } | compare({ name })", "must resolve to a boolean"),
        ("2 * 3", "a query of metrics needs spans"),
    ] {
        refused(text, expected);
    }
}

#[test]
fn size_and_depth_are_bounded() {
    refused(&format!("{{ .a = \"{}\" }}", "x".repeat(LENGTH_MAX)), "a query may have 131072 bytes");
    let nested = |open: &str, close: &str| {
        format!("{{ {}.a{} }}", open.repeat(60_000 / open.len()), close.repeat(60_000 / open.len()))
    };
    refused(&nested("(", ")"), "nested deeper than 100 levels");
    refused(&nested("!", ""), "nested deeper than 100 levels");
    refused(&nested("-", ""), "nested deeper than 100 levels");
    refused(&nested(".a ^ ", ""), "nested deeper than 100 levels");
    refused(&"(".repeat(100_000), "nested deeper than 100 levels");
    refused(&format!("{{ .a{} }}", " || .a".repeat(10_000)), "too many operators");
    refused(&format!("{{ }}{}", " > {}".repeat(10_000)), "too many operators");
    refused(&format!("{{ }}{}", " | {}".repeat(10_000)), "too many operators");
    assert!(parse(&format!("{{ .a{} }}", " || .a".repeat(900))).is_ok());
}

#[test]
fn attributes_are_named_by_clients() {
    let named = Attribute::named(Scope::Span, "http.method");
    assert_eq!(parse_attribute("span.http.method"), Ok(named));
    assert_eq!(parse_attribute("span:duration").unwrap().as_intrinsic(), Some(Intrinsic::Duration));
    assert!(parse_attribute("nosuch").is_err());
    assert!(parse_attribute("name name").is_err());
}

fn literals() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<i64>().prop_map(Literal::Int),
        (-1e6..1e6).prop_map(Literal::Float),
        "[a-z\"\\\\`가 ]{0,4}".prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Bool),
        (0i64..4_000_000_000_000).prop_map(Literal::Duration),
        Just(Literal::Status(Status::Error)),
        Just(Literal::Kind(Kind::Server)),
    ]
}

fn names() -> impl Strategy<Value = Attribute> {
    let named = (proptest::sample::select(&Scope::ALL[..]), "[a-z.\"\\\\ (가=]{1,5}");
    prop_oneof![
        named.prop_map(|(scope, name)| Attribute::named(scope, name)),
        proptest::sample::select(Intrinsic::ALL).prop_map(Attribute::intrinsic),
    ]
}

fn fields() -> impl Strategy<Value = FieldExpr> {
    let leaf = prop_oneof![
        literals().prop_map(FieldExpr::Literal),
        names().prop_map(FieldExpr::Attribute),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        let op = proptest::sample::select(&FieldOp::ALL[..]);
        prop_oneof![
            inner.clone().prop_map(|inner| FieldExpr::Not(Box::new(inner))),
            inner.clone().prop_map(|inner| FieldExpr::Negate(Box::new(inner))),
            (op, inner.clone(), inner)
                .prop_map(|(op, left, right)| FieldExpr::binary(op, left, right)),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_query_or_an_error(text in "[{}()|&<>=!~a-z .\"0-9,*/^-]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_printed_expression_is_the_same_one(expr in fields()) {
        let text = expr.to_string();
        let (tokens, error) = tokens(&text);
        prop_assert_eq!(error, None, "{}", text);
        let mut parser = Parser::new(&text, &tokens, None);
        // What is computed when it is read is printed so.
        let read = parser.whole_field().map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let again = read.to_string();
        let (tokens, _) = crate::lex::tokens(&again);
        let mut parser = Parser::new(&again, &tokens, None);
        prop_assert_eq!(parser.whole_field().unwrap(), read, "{}", again);
    }
}
