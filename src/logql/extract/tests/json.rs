//! The cases of `json`.

use super::super::json::{self, JsonPath, JsonPaths};
use super::super::logfmt::{self, LogfmtOptions};
use super::super::{Buffers, ExtractError, JsonMistake};
use super::{Taken, check, outcome, paths};

const NO_OBJECT: &str = "!Value looks like object, but can't find closing '}' symbol";

#[test]
fn json_is_flattened() {
    let cases = [
        (r#"{"a":1,"b":"x","c":true,"d":false,"e":null,"f":[1,2]}"#, "a=1|b=x|c=true|d=false"),
        (r#" { "a" : { "b" : { "c" : -1.5e3 } , "d" : "" } } "#, "a_b_c=-1.5e3|a_d="),
        (
            r#"{"weird key-1.x":1,"9a":2,"한글":3," s ":4,"a":{"9b":5}}"#,
            "weird_key_1_x=1|_9a=2|__=3|s=4|a_9b=5",
        ),
        (r#"{"a":"q\"\\\/\b\f\n\r\t\u0041\uc720\ud83d\ude80"}"#, "a=q\"\\/\u{8}\u{c}\n\r\tA유🚀"),
        (r#"{"a":"bad \q","b":"\ud83d alone","c":"\u12"}"#, "a=|b=|c="),
        (r#"{"a\u0062":1,"a\"b":2}"#, "ab=1|a_b=2"),
        ("{\"a\":\"x\u{fffd}y\"}", "a=x y"),
        (r#"{"":1," ":{"a":2},"b":{"":3}}"#, "a=2|b_=3"),
        (r#"{"a":1,"a":2}"#, "a=1|a=2"),
        ("{}", ""),
        (r#"{"a":1} and more"#, "a=1"),
        (r#"{"a":1,}"#, "a=1"),
        (r#"{"a":[{"b":"]"}],"c":{"d":"}{"},"e":1}"#, "c_d=}{|e=1"),
    ];
    check(&cases, json::extract);
}

#[test]
fn json_with_mistakes_gives_what_comes_before() {
    let array = "!Value is array, but can't find closing ']' symbol";
    let (line, value) = ("!Malformed JSON error", "!Unknown value type");
    let cases = [
        ("not json", NO_OBJECT.to_owned()),
        ("", NO_OBJECT.to_owned()),
        (r#"["a",1]"#, NO_OBJECT.to_owned()),
        (r#""just a string""#, NO_OBJECT.to_owned()),
        (r#"{"level":"info""#, format!("level=info{array}")),
        (r#"{"a":1,"#, format!("a=1{array}")),
        (r#"{"a":1 "b":2}"#, format!("a=1{NO_OBJECT}")),
        (r#"{"a":{"b":1}"#, format!("a_b=1{array}")),
        (r#"{"a":{"b":1"#, NO_OBJECT.to_owned()),
        (r#"{"a":[1"#, array.to_owned()),
        (r#"{"a":"x"#, "!Value is string, but can't find closing '\"' symbol".to_owned()),
        (r#"{"a":nope}"#, value.to_owned()),
        (r#"{"a":}"#, value.to_owned()),
        (r#"{"a""#, line.to_owned()),
        (r#"{"a" 1}"#, line.to_owned()),
        (r#"{"a"#, line.to_owned()),
        (r#"{"a":"#, line.to_owned()),
        ("{", line.to_owned()),
        (r#"{1:2}"#, NO_OBJECT.to_owned()),
        (r#"{"a":1,"\q":2}"#, "a=1!Encountered an invalid escape sequence in a string".to_owned()),
    ];
    for (text, wanted) in cases {
        let got = outcome(|buffers, taken| json::extract(text.as_bytes(), buffers, taken));
        assert_eq!(got, wanted, "{text}");
    }
    assert_eq!(ExtractError::Json(JsonMistake::Object).code(), "JSONParserErr");
}

#[test]
fn json_nested_too_deep_is_given_as_text() {
    let line = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let got = outcome(|buffers, taken| json::extract(line.as_bytes(), buffers, taken));
    let (name, value) = got.split_once('=').unwrap();
    assert_eq!(name, "a_".repeat(129).trim_end_matches('_'));
    assert_eq!(value, format!("{}1{}", r#"{"a":"#.repeat(71), "}".repeat(71)));
    let line = r#"{"a":"#.repeat(100_000);
    assert!(
        json::extract(line.as_bytes(), &mut Buffers::default(), &mut Taken::default()).is_err()
    );
}

#[test]
fn only_what_is_wanted_is_given() {
    let line = br#"{"a":1,"b":{"c":2,"d":{"e":3}},"f":{"g":4},"h":"x"}"#;
    let mut taken = Taken { wanted: vec!["b_d_e", "h"], ..Taken::default() };
    json::extract(line, &mut Buffers::default(), &mut taken).unwrap();
    assert_eq!(taken.shown(), "b_d_e=3|h=x");
    // What comes behind the last one that is wanted is not looked at.
    let mut taken = Taken { most: Some(1), ..Taken::default() };
    json::extract(br#"{"a":1,"b":"#, &mut Buffers::default(), &mut taken).unwrap();
    assert_eq!(taken.shown(), "a=1");
    let mut taken = Taken { wanted: vec!["b"], ..Taken::default() };
    let options = LogfmtOptions::default();
    logfmt::extract(b"a=1 b=2 c=3", options, &mut Buffers::default(), &mut taken).unwrap();
    assert_eq!(taken.shown(), "b=2");
}

#[test]
fn json_paths_find_values() {
    let line = r#"{"a":"x","n":null,"req":{"m":"GET","h":{"User-Agent":"curl","x":1}},"tags":["p",["q","r"],{"k":[5]}],"e":"a\"b","o":{"q":"\""},"l":["\u0041"],"b.c":7,"a":"later"}"#;
    for (path, wanted) in [
        ("a", "v=x"),
        ("n", "v="),
        ("req.m", "v=GET"),
        (r#"req.h["User-Agent"]"#, "v=curl"),
        (r#"["req"]["h"]["x"]"#, "v=1"),
        ("tags[0]", "v=p"),
        ("tags[1][1]", "v=r"),
        ("tags[2].k[0]", "v=5"),
        ("tags[1]", r#"v=["q","r"]"#),
        ("tags[3]", "-v"),
        ("tags[2].none", "-v"),
        ("req.none", "-v"),
        ("none", "-v"),
        ("m", "-v"),
        ("req", r#"v={"m":"GET","h":{"User-Agent":"curl","x":1}}"#),
        ("e", "v=a\"b"),
        ("o", r#"v={"q":"\""}"#),
        ("l", r#"v=["A"]"#),
        (r#"["b.c"]"#, "v=7"),
    ] {
        let paths = paths(&[("v", path)]);
        let got = outcome(|buffers, taken| paths.extract(line.as_bytes(), buffers, taken));
        assert_eq!(got, wanted, "{path}");
    }
    let many =
        paths(&[("t", "tags[0]"), ("m", "req.m"), ("r", "req"), ("none", "x.y"), ("m2", "req.m")]);
    let got = outcome(|buffers, taken| many.extract(line.as_bytes(), buffers, taken));
    assert_eq!(
        got,
        format!("r={}|m=GET|m2=GET|t=p|-none", r#"{"m":"GET","h":{"User-Agent":"curl","x":1}}"#)
    );
}

#[test]
fn json_paths_are_lenient_with_lines() {
    let cases = [
        (r#"{"level":"info""#, "level=info|-status"),
        ("not json", "!"),
        (r#"["a",1]"#, "-level|-status"),
        (r#""just a string""#, "-level|-status"),
        ("{}", "-level|-status"),
        ("", ""),
        (r#"{"level":nope,"status":1}"#, "status=1|-level!Unknown value type"),
        (r#""level":1"#, "-level|-status!Malformed JSON error"),
        (r#"{"x":{"level":1},"status":2}"#, "status=2|-level"),
        (r#"{"x":[{"level":1}],"status":2}"#, "status=2|-level"),
    ];
    let paths = paths(&[("level", "level"), ("status", "status")]);
    check(&cases, |line, buffers, taken| paths.extract(line, buffers, taken));
}

#[test]
fn json_paths_are_checked() {
    for text in [
        "", ".", "a.", "a..b", "a[", "a[]", "a[x]", "a[1", "a[1.5]", "a b", "[\"a]", "9a", "a.[0]",
        "a-b",
    ] {
        assert!(JsonPath::parse(text).is_err(), "{text}");
    }
    let long = format!("a{}", "[0]".repeat(200));
    assert!(JsonPath::parse(&long).unwrap_err().contains("at most 128 steps"));
    assert_eq!(JsonPath::parse("a[ 0 ] . b"), JsonPath::parse("a[0].b"));
    assert_eq!(
        JsonPath::parse("a.b]").unwrap_err(),
        "cannot parse expression [a.b]]: expected a name behind a dot, [ or the end at column 4"
    );
    assert!(JsonPaths::new([("9", "a")].into_iter()).is_err());
}
