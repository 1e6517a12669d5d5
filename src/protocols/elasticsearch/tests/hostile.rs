//! Requests that are wrong or cost far more than they look: each is answered, or refused with a reason.

use super::cases::load;
use super::{JSON, send};
use crate::testing::TestServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

fn ask(server: &TestServer, body: &str) -> (u16, String, String) {
    let (status, answer) = send(server, "POST /elasticsearch/_search", &[JSON], body);
    let text = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
    (status, text("type"), text("reason"))
}

#[test]
fn what_is_too_much_is_refused() {
    let server = TestServer::new(|_| {});
    load(&server, r#"line 1 -10 {"app":"web"} {"n":"5"} text"#);
    let nested = |count: usize| {
        let inner = format!(
            "{}{{\"match_all\":{{}}}}{}",
            "{\"bool\":{\"must\":".repeat(count),
            "}}".repeat(count)
        );
        format!("{{\"query\":{inner}}}")
    };
    let query =
        |query: &str| json!({ "query": { "query_string": { "query": query } } }).to_string();
    let aggs = |aggs: Value| json!({ "size": 0, "aggs": aggs }).to_string();
    let deep = (0..10).fold(
        json!({ "avg": { "field": "n" } }),
        |inner, _| json!({ "terms": { "field": "app" }, "aggs": { "a": inner } }),
    );
    for (body, kind, reason) in [
        (nested(70), "parsing_exception", "no JSON: recursion limit"),
        (nested(50).replace("match_all", "term"), "parsing_exception", "expects one field"),
        (query(&"a ".repeat(2_000)), "too_many_nested_clauses", "1024 conditions"),
        (query(&"(".repeat(100)), "query_shard_exception", "nest deeper"),
        (query(&"a".repeat(70_000)), "query_shard_exception", "longer than"),
        (query("/(a{900}){900}/"), "query_shard_exception", ""),
        (aggs(json!({ "a": deep })), "parsing_exception", "nest deeper"),
        (
            aggs(json!({ "a": { "histogram": {
                "field": "n", "interval": 1e-300, "extended_bounds": { "min": 0, "max": 9e300 },
            } } })),
            "too_many_buckets_exception",
            "max_buckets",
        ),
        (
            r#"{"from":18446744073709551615,"size":1}"#.to_owned(),
            "illegal_argument_exception",
            "too large",
        ),
        (r#"{"size":-1}"#.to_owned(), "parsing_exception", "whole number"),
        ("[]".to_owned(), "parsing_exception", "expected an object"),
        ("{".to_owned(), "parsing_exception", "no JSON"),
    ] {
        let shown: String = body.chars().take(80).collect();
        let answer = ask(&server, &body);
        assert_eq!((answer.0, answer.1.as_str()), (400, kind), "{shown}: {}", answer.2);
        assert!(answer.2.contains(reason), "{shown}: {}", answer.2);
    }
}

#[test]
fn memory_is_asked_for() {
    let server = TestServer::new(|setup| setup.services.logql.limits.memory_max = 20_000);
    for index in 0..100 {
        load(
            &server,
            &format!(r#"line {index} -10 {{"app":"web"}} {{"n":"{index}"}} text of some length"#),
        );
    }
    let terms = json!({ "size": 0, "aggs": { "a": { "terms": { "field": "n" } } } });
    for body in [terms, json!({ "size": 100 })] {
        let (status, kind, reason) = ask(&server, &body.to_string());
        assert_eq!((status, kind.as_str()), (400, "circuit_breaking_exception"), "{reason}");
        assert!(reason.contains("logs.max_memory"), "{reason}");
    }
}

/// JSON of the words that requests are made of.
fn value() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "query",
        "aggs",
        "bool",
        "must",
        "should",
        "must_not",
        "filter",
        "term",
        "terms",
        "range",
        "gte",
        "lt",
        "match",
        "query_string",
        "date_histogram",
        "fixed_interval",
        "calendar_interval",
        "field",
        "size",
        "sort",
        "order",
        "histogram",
        "interval",
        "filters",
        "avg",
        "percentiles",
        "percents",
        "bucket_script",
        "buckets_path",
        "script",
        "search_after",
        "extended_bounds",
        "min",
        "max",
        "offset",
        "time_zone",
        "@timestamp",
        "n",
        "app",
        "message",
        "fields",
        "_source",
        "highlight",
        "top_metrics",
        "metrics",
        "minimum_should_match",
        "exists",
        "ids",
        "values",
        "wildcard",
        "value",
        "moving_fn",
        "window",
    ]);
    let texts = prop::sample::select(vec![
        "@timestamp",
        "n",
        "app",
        "*",
        "now-1d/d",
        "1m",
        "month",
        "desc",
        "Asia/Seoul",
        "params.a / 2",
        "a~",
        "50%",
        "-3",
        "9223372036854775807d",
        "2023",
        "+5h",
        "\u{0}",
        "결제",
        "[",
        "1[50.0]",
    ]);
    let scalar = prop_oneof![
        texts.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-5i64..100).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    scalar.prop_recursive(5, 40, 4, move |inner| {
        let object = prop::collection::vec((keys.clone(), inner.clone()), 0..4);
        let object = object.prop_map(|pairs| {
            let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
            Value::Object(pairs.collect::<Map<_, _>>())
        });
        prop_oneof![3 => object, 1 => prop::collection::vec(inner, 0..4).prop_map(Value::from)]
    })
}

/// A search whose parts have the right names, whatever is in them.
fn search() -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(vec![
        "date_histogram",
        "histogram",
        "terms",
        "filters",
        "range",
        "avg",
        "percentiles",
        "top_metrics",
        "extended_stats",
        "cardinality",
        "derivative",
        "moving_fn",
        "bucket_script",
    ]);
    let queries = prop::sample::select(vec![
        "bool",
        "range",
        "terms",
        "match",
        "query_string",
        "wildcard",
        "regexp",
        "ids",
        "multi_match",
    ]);
    (value(), queries, value(), kinds, value(), value()).prop_map(
        |(all, query, of_query, kind, of_agg, sort)| {
            json!({
                "query": { "bool": { "should": [{ query: of_query }, { "match_all": {} }] } },
                "aggs": { "a": { kind: of_agg, "aggs": { "1": { "max": { "field": "n" } } } } },
                "sort": sort, "size": 5, "fields": all,
            })
        },
    )
}

#[test]
fn any_request_is_an_answer_or_an_error_that_says_why() {
    let server = TestServer::new(|_| {});
    load(&server, r#"line 1 -10 {"app":"web"} {"n":"5"} text"#);
    load(&server, r#"line 2 -5 {"app":"web"} {} {"n":[1,"x"],"app":{"n":1}}"#);
    let check = |body: Value| {
        let (status, kind, reason) = ask(&server, &body.to_string());
        prop_assert!(
            status == 200 || (status == 400 && !kind.is_empty() && !reason.is_empty()),
            "{status} {reason}"
        );
        Ok(())
    };
    let config = || Config { cases: 500, failure_persistence: None, ..Config::default() };
    TestRunner::new(config()).run(&value(), check).unwrap();
    TestRunner::new(config()).run(&search(), check).unwrap();
}
