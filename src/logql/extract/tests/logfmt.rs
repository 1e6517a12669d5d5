//! The cases of `logfmt`.

use super::super::logfmt::{self, LogfmtKeys};
use super::super::{Buffers, ExtractError, LogfmtMistake};
use super::{Taken, check, logfmt_options, outcome};

#[test]
fn logfmt_gives_its_pairs() {
    let cases = [
        ("a=1 b=x-y  c=\"a text\"\td=\"\" e= f", "a=1|b=x-y|c=a text"),
        (r#"a="q\"\\\/\b\f\n\r\t\'\u0041\ud83d\ude80""#, "a=q\"\\/\u{8}\u{c}\n\r\t'A🚀"),
        ("level=warn level=info", "level=warn|level=info"),
        ("ts.x-y=1 9a=2 한글=3", "ts_x_y=1|_9a=2|__=3"),
        ("=novalue x==y z=1", "z=1"),
        ("path=/a?id=4&q=a+b status=503", "status=503"),
        ("a=\"open b=1", ""),
        ("a=\"bad \\q\" b=1", "b=1"),
        ("a\"b c=1", "c=1"),
        ("a=b\"c\" d=1", "d=1"),
        ("a=\"x\"y=1 z=2", "a=x|y=1|z=2"),
        ("a=x\u{fffd}y b\u{fffd}=1 c=2", "a=x y|c=2"),
        ("", ""),
        ("   ", ""),
    ];
    let options = logfmt_options(false, false);
    check(&cases, |line, buffers, taken| logfmt::extract(line, options, buffers, taken));
    let cases = [("a= b c=\"\" d=1", "a=|b=|c=|d=1"), ("plain text", "plain=|text=")];
    let options = logfmt_options(false, true);
    check(&cases, |line, buffers, taken| logfmt::extract(line, options, buffers, taken));
    let mut taken = Taken::default();
    logfmt::extract(
        b"a=x\xffy b\xff=1",
        logfmt_options(false, false),
        &mut Buffers::default(),
        &mut taken,
    )
    .unwrap();
    assert_eq!(taken.shown(), "a=x y");
}

#[test]
fn strict_logfmt_ends_at_the_first_mistake() {
    let at =
        |position: usize, what: &str| format!("!logfmt syntax error at pos {position} : {what}");
    let cases = [
        ("a=1 =b c=2", format!("a=1{}", at(5, "unexpected '='"))),
        ("a=1 x==y c=2", format!("a=1{}", at(7, "unexpected '='"))),
        ("a=1 b=\"open", format!("a=1{}", at(12, "unterminated quoted value"))),
        (r#"a=1 b="\q" c"#, format!("a=1{}", at(11, "invalid quoted value"))),
        ("a=1 b\"c", format!("a=1{}", at(6, "unexpected '\"'"))),
        ("a\u{fffd}=1", at(5, "invalid key")),
        (
            "level=warn method=GET path=/api/v2/items?id=4&q=a+b",
            format!("level=warn|method=GET{}", at(44, "unexpected '='")),
        ),
        ("a=1 b=2", "a=1|b=2".to_owned()),
    ];
    for (line, wanted) in cases {
        let options = logfmt_options(true, false);
        let got =
            outcome(|buffers, taken| logfmt::extract(line.as_bytes(), options, buffers, taken));
        assert_eq!(got, wanted, "{line}");
    }
    let mistake = LogfmtMistake::Key;
    assert_eq!(ExtractError::Logfmt { position: 1, mistake }.code(), "LogfmtParserErr");
}

#[test]
fn logfmt_keys_are_looked_for() {
    let expressions =
        [("lvl", "level"), ("status", "status"), ("again", "status"), ("none", "\"x\"")];
    let keys = LogfmtKeys::new(expressions.into_iter()).unwrap();
    let cases = [
        ("level=info status=200", "lvl=info|status=200|again=200|-none"),
        ("level=a level=b", "lvl=a|lvl=b|-status|-again|-none"),
        ("lvl=direct", "lvl=direct|-status|-again|-none"),
        ("level= x=1", "lvl=|none=1|-status|-again"),
        ("level=x\u{fffd}", "lvl=|-status|-again|-none"),
        ("no pairs", "-lvl|-status|-again|-none"),
    ];
    check(&cases, |line, buffers, taken| keys.extract(line, false, buffers, taken));
    let strict =
        outcome(|buffers, taken| keys.extract(b"level=a =x status=1", true, buffers, taken));
    assert_eq!(strict, "lvl=a|-status|-again|-none!logfmt syntax error at pos 9 : unexpected '='");
    assert!(LogfmtKeys::new([("a", "b c")].into_iter()).is_err());
    assert!(LogfmtKeys::new([("a", "")].into_iter()).is_err());
    assert!(LogfmtKeys::new([("a-b", "b")].into_iter()).is_err());
}
