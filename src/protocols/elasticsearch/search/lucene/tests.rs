//! What texts become, and where they are wrong.

use super::super::expr::{Expr, LineTest, ValueTest};
use super::super::field::{Field, Fields};
use super::super::leaf::Builder;
use super::{Options, parse, parse_simple};
use proptest::prelude::*;

/// 2023-11-14 22:13:20 UTC.
const NOW_MS: i64 = 1_700_000_000_000;

fn shown(expr: &Expr, fields: &Fields) -> String {
    let list = |all: &[Expr], between: &str| {
        let each: Vec<String> = all.iter().map(|one| shown(one, fields)).collect();
        format!("({})", each.join(between))
    };
    match expr {
        Expr::All => "all".to_owned(),
        Expr::None => "none".to_owned(),
        Expr::And(all) => list(all, " & "),
        Expr::AtLeast(1, some) => list(some, " | "),
        Expr::AtLeast(least, some) => format!("{least} of {}", list(some, ", ")),
        Expr::Not(inner) => format!("!{}", shown(inner, fields)),
        Expr::Line(LineTest::Words(words)) => words.chunks().join("_"),
        Expr::Line(LineTest::Pattern { literal, .. }) => format!("~{literal}"),
        Expr::Line(LineTest::Regex(_)) => "/line/".to_owned(),
        Expr::Time { from, to } => format!("time {from}..{to}"),
        Expr::Value(field, test) => {
            let name = match field {
                Field::Value(place) => fields.named(*place).name.clone(),
                other => format!("{other:?}"),
            };
            match test {
                ValueTest::Any => format!("{name}?"),
                ValueTest::Equals(text) => format!("{name}={text}"),
                ValueTest::OneOf(texts) => format!("{name} in {texts:?}"),
                ValueTest::Matches(_) => format!("{name}~"),
                ValueTest::Range(_) => format!("{name} range"),
            }
        }
    }
}

fn read(text: &str, is_and: bool) -> String {
    let mut builder = Builder::new(NOW_MS);
    let options = Options { is_and, ..Options::default() };
    match parse(text, &options, &mut builder) {
        Ok(expr) => shown(&expr, &builder.fields),
        Err(error) => error.reason,
    }
}

#[test]
fn texts_are_read_as_lucene_reads_them() {
    for (text, expected) in [
        ("", "all"),
        ("*", "all"),
        ("*:*", "all"),
        ("error", "error"),
        ("a b", "(a | b)"),
        ("a AND b", "(a & b)"),
        ("a && b || c", "(a & b)"),
        ("a OR b", "(a | b)"),
        ("(a OR b) AND c", "((a | b) & c)"),
        ("+a b", "a"),
        ("a -b", "(!b & a)"),
        ("NOT a", "!a"),
        ("!a", "!a"),
        ("\"connection refused\"", "connection_refused"),
        ("level:error", "level=error"),
        ("level:\"not found\"", "level=not found"),
        ("level:(a OR b)", "level in {\"a\", \"b\"}"),
        ("NOT level:debug AND a", "(!level=debug & a)"),
        ("http.status:>=500", "http.status range"),
        ("http.status:[400 TO 499]", "http.status range"),
        ("a:{1 TO *}", "a range"),
        ("_exists_:user", "user?"),
        ("user:*", "user?"),
        ("user:k*m", "user~"),
        ("user:/k.m/", "user~"),
        ("/refus.d/", "/line/"),
        ("err*", "err"),
        ("e*r", "~e"),
        ("결제*", "결제"),
        (r"a\:b", "a:b"),
        (r"path:\/x\*", "path=/x*"),
        ("n:-5", "n=-5"),
        ("service.keyword:shop", "service=shop"),
        ("a^2 b", "(a | b)"),
        ("@timestamp:[* TO 1970-01-01]", "time -9223372036854775808..86399999999999"),
    ] {
        assert_eq!(read(text, false), expected, "{text}");
    }
    assert_eq!(read("a b", true), "(a & b)");
    assert_eq!(read("a OR b", true), "(a | b)");
}

#[test]
fn errors_say_where() {
    for (text, place, message) in [
        ("(a", 1, "closing parenthesis"),
        ("a)", 2, "closes nothing"),
        ("a \"b", 3, "closing quotes"),
        ("/a", 1, "closing slash"),
        ("a:", 3, "value is expected"),
        ("a:b:c", 3, "colon"),
        ("a:[1 5]", 3, "TO is missing"),
        ("a:[1 TO 5", 3, "closing bracket"),
        ("AND a", 1, "before AND"),
        ("roam~2", 5, "distances"),
        ("결제 ]", 4, "backslash"),
    ] {
        let error = read(text, false);
        let start = format!("failed to parse the query at character {place}:");
        assert!(error.starts_with(&start) && error.contains(message), "{text}: {error}");
    }
    assert!(read(&"(".repeat(100), false).contains("nest deeper than 64"));
    assert!(read("a:/[/", false).contains("at character 3"));
}

#[test]
fn the_simple_language_has_no_errors() {
    let read = |text: &str| {
        let mut builder = Builder::new(NOW_MS);
        let expr = parse_simple(text, &Options::default(), &mut builder).unwrap();
        shown(&expr, &builder.fields)
    };
    for (text, expected) in [
        ("a b", "(a | b)"),
        ("a + b", "(a & b)"),
        ("a + (b | c)", "(a & (b | c))"),
        ("\"a b\" -c", "(a_b | !c)"),
        ("err*", "err"),
        ("a) (b", "(a | b)"),
        ("", "none"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_tree_or_an_error(text in "(AND|OR|NOT|TO|_exists_|@timestamp)?[-a-c0-9 :\"/\\\\()\\[\\]{}<>=*?~^+!&|결é]{0,40}") {
        let mut builder = Builder::new(NOW_MS);
        drop(parse(&text, &Options::default(), &mut builder));
        drop(parse_simple(&text, &Options::default(), &mut builder));
    }

    #[test]
    fn any_bytes_are_a_tree_or_an_error(bytes: Vec<u8>) {
        let mut builder = Builder::new(NOW_MS);
        drop(parse(&String::from_utf8_lossy(&bytes), &Options::default(), &mut builder));
    }
}
