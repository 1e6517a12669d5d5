//! Random queries over lines of every kind: what is found when the store decides what it can is what is
//! found when it decides nothing.

use super::cases::{ids_of, load};
use crate::testing::TestServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const LINES: &[&str] = &[
    r#"line a -90 {"app":"web"} {} error timeout 결제가 실패"#,
    r#"line b -80 {"app":"web","user":"kim"} {"user":"lee"} Error: ＴＩＭＥＯＵＴ"#,
    r#"line c -70 {"app":"api"} {"user":"kim","tags":"[\"x\",\"kim\"]"} 재결제 timeouts"#,
    r#"line d -60 {"app":"api"} {} {"user":"kim","app":"web","n":5,"tags":["x"],"a":{"b":"x"}}"#,
    r#"line e -50 {"app":"api"} {"a.b":"x"} {"user":"\u006bim","n":"5"} "#,
    r#"line f -40 {"a_b":"x"} {"a.b":"y"} {"user":"k\u0069m","tags":"x"}"#,
    r#"line g -30 {"a_b":"y"} {"level":"error"} level=info x kim"#,
    r#"line h -20 {"level":"error"} {"n":"50"} 결제 결제를"#,
    r#"doc i -10 logs {"message":"x timeout","level":"warn","a":{"b":"x"},"user":"kim","tags":["y","kim"]}"#,
    r#"doc j -5 logs {"user":"","n":5,"b":null}"#,
];

/// A condition of the query language.
fn leaf() -> impl Strategy<Value = String> {
    let fields =
        prop::sample::select(vec!["app", "user", "a.b", "a_b", "level", "n", "tags", "_index"]);
    let values = prop::sample::select(vec![
        "web", "kim", "x", "y", "error", "warn", "5", "lee", "결제", "logs", "mirador", "k*",
        ">=5", "[4 TO 6]", "*",
    ]);
    let words = prop::sample::select(vec![
        "error",
        "timeout",
        "time*",
        "결제",
        "재결제",
        "\"결제가 실패\"",
        "kim",
        "/time.*/",
        "*out",
        "x",
    ]);
    prop_oneof![
        3 => (fields, values).prop_map(|(field, value)| format!("{field}:{value}")),
        2 => words.prop_map(str::to_owned),
        1 => Just("@timestamp:>now-1m".to_owned()),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let negated = |text: String, is: bool| if is { format!("(NOT {text})") } else { text };
    let leaf = (leaf(), prop::bool::weighted(0.25)).prop_map(move |(text, is)| negated(text, is));
    leaf.prop_recursive(2, 6, 3, |inner| {
        (prop::collection::vec(inner, 1..4), any::<bool>()).prop_map(|(parts, is_and)| {
            format!("({})", parts.join(if is_and { " AND " } else { " OR " }))
        })
    })
}

#[test]
fn the_store_decides_as_the_whole_query_does() {
    let server = TestServer::new(|_| {});
    LINES.iter().for_each(|line| load(&server, line));
    for is_flushed in [false, true] {
        if is_flushed {
            server.flush_logs();
        }
        let mut runner =
            TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
        let same = runner.run(&query(), |query| {
            let query: Value = json!({ "query_string": { "query": query } });
            let whole = json!({ "bool": { "should": [&query, { "term": { "no": "line" } }] } });
            prop_assert_eq!(ids_of(&server, &query), ids_of(&server, &whole));
            Ok(())
        });
        same.unwrap();
    }
}
