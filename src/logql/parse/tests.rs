use super::*;
use crate::pretty::prettify;
use proptest::prelude::*;

/// The query in its one spelling, which is the same query.
fn spelled(query: &str) -> String {
    let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let text = expr.to_string();
    assert_eq!(parse(&text).as_ref(), Ok(&expr), "{text}");
    assert_eq!(parse(&prettify(&expr)).as_ref(), Ok(&expr), "{text}");
    text
}

#[test]
fn queries_have_one_spelling() {
    for (query, expected) in [
        ("{ app = \"a\" , env =~ `p.+` }  # comment", "{app=\"a\", env=~\"p.+\"}"),
        ("({a=\"b\"} |= \"x\") | json", "{a=\"b\"} |= \"x\" | json"),
        ("{a=\"b\"}!=\"x\" or \"y\"|~`\\d`", "{a=\"b\"} != \"x\" or \"y\" |~ \"\\\\d\""),
        ("{a=\"b\"}|=ip(\"::1\") or \"z\"", "{a=\"b\"} |= ip(\"::1\") or \"z\""),
        (
            "{a=\"b\"}|json x=\"a.b\",y|logfmt --strict --keep-empty z",
            "{a=\"b\"} | json x=\"a.b\", y | logfmt --strict --keep-empty z",
        ),
        (
            "{a=\"b\"}|x=\"1\",y=~\"2\" or z>=1.5KB",
            "{a=\"b\"} | x=\"1\" and (y=~\"2\" or z>=1500B)",
        ),
        ("{a=\"b\"}|x==5 y!=ip(\"1.1.1.1\")", "{a=\"b\"} | x==5 and y!=ip(\"1.1.1.1\")"),
        ("{a=\"b\"}|x>-1 and y<1h30m or z!=2", "{a=\"b\"} | x>-1 and y<1h30m or z!=2"),
        ("{a=\"b\"}|drop x,y=\"1\"|keep z!~\"2\"", "{a=\"b\"} | drop x, y=\"1\" | keep z!~\"2\""),
        ("{a=\"b\"}|label_format x=y,z=\"{{.a}}\"", "{a=\"b\"} | label_format x=y, z=\"{{.a}}\""),
        (
            "rate({a=\"b\"}[5m]|json|unwrap bytes(x)|x>1)",
            "rate({a=\"b\"} | json | unwrap bytes(x) | x>1 [5m])",
        ),
        ("rate(({a=\"b\"}|json)[5m] offset -1h)", "rate({a=\"b\"} | json [5m] offset -1h)"),
        (
            "quantile_over_time(0.9,{a=\"b\"}|unwrap x[90s])by(y)",
            "quantile_over_time(0.9, {a=\"b\"} | unwrap x [1m30s]) by (y)",
        ),
        ("sum(rate({a=\"b\"}[1m]))by(x,y)", "sum by (x, y) (rate({a=\"b\"} [1m]))"),
        ("topk without()(3,rate({a=\"b\"}[1m]))", "topk without () (3, rate({a=\"b\"} [1m]))"),
        ("1+2*3-(4-5)-6^7^8", "1 + 2 * 3 - (4 - 5) - 6 ^ 7 ^ 8"),
        ("(2^3)^2*-1", "(2 ^ 3) ^ 2 * -1"),
        (
            "vector(1)>bool on(a)group_left(b)vector(2)",
            "vector(1) > bool on (a) group_left (b) vector(2)",
        ),
        (
            "vector(1) / on (a) group_left (vector(2) + vector(3))",
            "vector(1) / on (a) group_left () (vector(2) + vector(3))",
        ),
        (
            "label_replace(vector(1),\"a\",\"$1\",\"b\",\"(.*)\")",
            "label_replace(vector(1), \"a\", \"$1\", \"b\", \"(.*)\")",
        ),
        (
            "sum by (count, rate) (rate({json=\"b\"}[1m]))",
            "sum by (count, rate) (rate({json=\"b\"} [1m]))",
        ),
    ] {
        assert_eq!(spelled(query), expected, "{query}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (query, expected) in [
        (
            "{",
            "parse error at line 1, col 2: syntax error: unexpected $end, expecting IDENTIFIER or }",
        ),
        (
            "{app=web}",
            "parse error at line 1, col 6: syntax error: unexpected IDENTIFIER, expecting STRING",
        ),
        (
            "{a=\"b\"}\n|= error",
            "parse error at line 2, col 4: syntax error: unexpected IDENTIFIER, expecting STRING or ip",
        ),
        ("{a=\"b\"} | unwrap x", "parse error at line 1, col 11: syntax error: unexpected unwrap"),
        ("{a=\"b\"} | n >> 5", "parse error at line 1, col 14: syntax error: unexpected >"),
        (
            "{a=\"b\"} | n != 0B",
            "parse error : unable to parse literal as a float: strconv.ParseFloat: parsing \"0B\": invalid syntax",
        ),
        (
            "{a=\"b\"} |~ \"(\"",
            "parse error : stage '|~ \"(\"' : error parsing regexp: missing closing ): `(`",
        ),
        (
            "rate({a=\"b\"}[5x])",
            "parse error at line 1, col 13: unknown unit \"x\" in duration \"5x\"",
        ),
        (
            "sum_over_time({a=\"b\"}[5m])",
            "parse error : invalid aggregation sum_over_time without unwrap",
        ),
        ("topk(0, vector(1))", "parse error : invalid parameter (must be greater than 0) topk(0"),
        (
            "1 and 2",
            "parse error : unexpected literal for left leg of logical/set binary operation (and): 1.000000",
        ),
        (
            "{a=\"b\"} == 1",
            "parse error : unexpected type for left leg of binary operation (==): *syntax.MatchersExpr",
        ),
        ("nosuch(vector(1))", "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
        (
            "{a=\"b\"} | label_format a=\"b\", a=\"c\"",
            "parse error : multiple label name 'a' not allowed in a single format operation",
        ),
    ] {
        assert_eq!(parse(query).unwrap_err().to_string(), expected, "{query}");
    }
    for query in [
        "",
        "{}",
        "{a=~\".*\"}",
        "{a!=\"b\"}",
        "vector(-1)",
        "{a=\"b\"} |",
        "{a=\"b\"} | drop",
        "{a=\"b\"} | size>1.5kb",
        "rate({a=\"b\"}[5m])[5m]",
        "rate({a=\"b\"}[5m]) offset 5m",
        "vector(1) and on (a) group_left vector(2)",
        "sum({a=\"b\"})",
        "{a=\"\\xff\"}",
    ] {
        assert!(parse(query).is_err(), "{query}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let long = format!("{{a=\"{}\"}}", "x".repeat(LENGTH_MAX));
    assert!(parse(&long).unwrap_err().message.starts_with("input size too long"));
    for (open, close) in [("(", ")"), ("sum(", ")"), ("1+", ""), ("2^", "")] {
        let deep = format!("{}vector(1){}", open.repeat(5_000), close.repeat(5_000));
        assert!(parse(&deep).unwrap_err().message.contains("nests deeper"), "{open}");
    }
    let chain = format!("{{a=\"b\"}} | {}x=\"1\"", "x=\"1\" and ".repeat(5_000));
    assert!(parse(&chain).is_err());
    let commas = format!("{{a=\"b\"}} | {}x=\"1\"", "x=\"1\",".repeat(5_000));
    assert!(parse(&commas).is_err());
    let parentheses = format!("rate({}{{a=\"b\"}}[5m]{})", "(".repeat(5_000), ")".repeat(5_000));
    assert!(parse(&parentheses).is_err());
    let parentheses = format!("{{a=\"b\"}} | {}x=1", "(".repeat(5_000));
    assert!(parse(&parentheses).is_err());
}

proptest! {
    #[test]
    fn any_words_are_a_query_or_an_error(
        words in prop::collection::vec(prop::sample::select(vec![
            "{a=\"b\"}", "{", "}", "(", ")", "|", "|=", "!=", "\"x\"", "json", "a", "=", ",", ">", "5",
            "5m", "1KB", "[5m]", "rate", "(", ")", "sum", "by", "unwrap", "or", "and", "offset", "-",
            "+", "ip", "logfmt", "--strict", "drop", "on", "group_left", "vector", "bool", "|>",
        ]), 0..20),
    ) {
        let query = words.join(" ");
        if let Ok(expr) = parse(&query) {
            prop_assert_eq!(parse(&expr.to_string()), Ok(expr));
        }
    }
}
