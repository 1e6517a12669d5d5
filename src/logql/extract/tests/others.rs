//! The cases of the other stages.

use super::super::Buffers;
use super::super::decolorize::decolorize;
use super::super::ip::IpMatcher;
use super::super::pattern::{LinePattern, Pattern};
use super::super::regexp::RegexpFields;
use super::super::unpack::unpack;
use super::{Taken, check, outcome};
use std::borrow::Cow;

#[test]
fn regexp_gives_its_named_groups() {
    let regexp = RegexpFields::new(r#"(?P<a>\w+)=(\d)(?P<b>x)?(?<c>.*)"#).unwrap();
    let cases = [("k=1rest", "a=k|b=|c=rest"), ("xy k=2x", "a=k|b=x|c="), ("nothing", "")];
    check(&cases, |line, buffers, taken| {
        regexp.extract(line, buffers, taken);
        Ok(())
    });
    for (pattern, wanted) in [
        ("no capture", "at least one named capture must be supplied"),
        ("(a)", "at least one named capture must be supplied"),
        ("(?P<a>.)(?P<a>.)", "duplicate extracted label name 'a'"),
        ("(?P<9>.)", "invalid extracted label name '9'"),
        ("(", "error parsing regexp: missing closing ): `(`"),
    ] {
        assert_eq!(RegexpFields::new(pattern).unwrap_err(), wanted, "{pattern}");
    }
    assert!(RegexpFields::new(r"\((?P<a>.)\(?P<a>").is_ok());
}

#[test]
fn patterns_give_what_stands_between() {
    let cases = [
        (
            "<ip> - <user> [<_>] \"<path>\"",
            "1.2.3.4 - bob [now] \"/x\" rest",
            "ip=1.2.3.4|user=bob|path=/x",
        ),
        ("level=<l> <_>", "level=info x=1", "l=info"),
        ("level=<l> <_>", "xlevel=info x=1", ""),
        ("<a>,<b>,<c>", "1,2", "a=1|b=2"),
        ("<a> end", "no such", "a=no such"),
        ("<a>", "all of it", "a=all of it"),
        ("<a>", "", ""),
        ("<_> <a>", "x ", "a="),
        ("a < b <x>", "a < b 1", "x=1"),
        ("<1a><x>", "<1a>2", "x=2"),
    ];
    for (pattern, line, wanted) in cases {
        let compiled = Pattern::new(pattern).unwrap();
        let got = outcome(|buffers, taken| {
            compiled.extract(line.as_bytes(), buffers, taken);
            Ok(())
        });
        assert_eq!(got, wanted, "{pattern} {line}");
    }
    for (pattern, wanted) in [
        ("no capture", "at least one capture is required"),
        ("<_> only", "at least one capture is required"),
        ("", "at least one capture is required"),
        ("<a><b>", "found consecutive capture '<a><b>': invalid expression"),
        ("x<a><_>", "found consecutive capture '<a><_>': invalid expression"),
        ("<a> <a>", "duplicate capture name (a): invalid expression"),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap_err(), wanted, "{pattern}");
    }
}

#[test]
fn line_patterns_match_whole_lines() {
    for (pattern, line, wanted) in [
        ("level=<_> method=GET <_>", "level=info method=GET path=/", true),
        ("level=<_> method=GET <_>", "level=info method=GET ", false),
        ("<_>status=500<_>", "a status=500 b", true),
        ("<_>status=500<_>", "status=500 b", false),
        ("<_> bar", "foo bar baz", false),
        ("<_> baz", "foo bar baz", true),
        ("foo <_>", "foo bar baz", true),
        ("exact", "exact", true),
        ("exact", "exactly", false),
        ("<_>", "anything", true),
        ("<_>", "", false),
        ("", "", true),
        ("", "x", false),
        ("a<_>b", "ab", false),
        // What comes first of a pattern may stand anywhere: Loki has it so.
        ("a<_>b", "xa1b", true),
    ] {
        let got = LinePattern::new(pattern).unwrap().is_match(line.as_bytes());
        assert_eq!(got, wanted, "{pattern} {line}");
    }
    assert_eq!(
        LinePattern::new("<a> b").unwrap_err(),
        "named captures are not allowed: found '<a>'"
    );
    assert!(LinePattern::new("<_><_>").is_err());
}

#[test]
fn packed_lines_are_unpacked() {
    let unpacked = |line: &str| {
        let mut entry = b"before".to_vec();
        let mut taken = Taken::default();
        let result = unpack(line.as_bytes(), &mut Buffers::default(), &mut entry, &mut taken);
        let shown = match result {
            Ok(true) => String::from_utf8(entry).unwrap(),
            Ok(false) => "(as it was)".to_owned(),
            Err(error) => error.to_string(),
        };
        format!("{shown}: {}", taken.shown())
    };
    for (line, wanted) in [
        (
            r#"{"container":"c0","pod":"p1","_entry":"level=info \"x\""}"#,
            "level=info \"x\": container=c0|pod=p1",
        ),
        (r#"{"_entry":"e","n":1,"o":{"a":"b"},"a-b":"c\n"}"#, "e: a_b=c\n"),
        (r#"{"a":"b"}"#, "(as it was): "),
        ("", "(as it was): "),
        ("raw line", "expecting json object(6), but it is not: "),
        (r#" {"_entry":"x"}"#, "expecting json object(6), but it is not: "),
        (r#"{"a":"b","_entry":"x""#, "Value is array, but can't find closing ']' symbol: "),
        (r#"{"_entry":"\q"}"#, "Encountered an invalid escape sequence in a string: "),
    ] {
        assert_eq!(unpacked(line), wanted, "{line}");
    }
}

#[test]
fn colors_are_taken_away() {
    for (line, wanted) in [
        ("\x1b[31mlevel=warn\x1b[0m \x1b[1;4mn=29\x1b[0m end", "level=warn n=29 end"),
        ("\u{9b}1mx", "x"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b(Bx\x1b[2Ky", "xy"),
        ("\x1b alone", "\x1b alone"),
        ("plain 한", "plain 한"),
    ] {
        assert_eq!(decolorize(line.as_bytes()), wanted.as_bytes(), "{line:?}");
    }
    assert!(matches!(decolorize(b"plain"), Cow::Borrowed(_)));
    assert_eq!(&*decolorize(b"\xff\x1b[1mx\x9b"), b"\xffx\x9b");
}

#[test]
fn addresses_are_found() {
    for (pattern, text, wanted) in [
        ("10.0.0.0/8", "from 10.1.2.3:80 to", true),
        ("10.0.0.0/8", "from 11.1.2.3", false),
        ("10.0.0.0/8", "10.1.2.3.", false),
        ("10.0.0.0/8", "x10.1.2.3", true),
        ("10.0.0.0/8", "10.1.2", false),
        ("10.0.0.1", "a=10.0.0.1", true),
        ("10.0.0.1", "10.0.0.10", false),
        ("10.0.0.1-10.0.0.9", "10.0.0.9", true),
        ("10.0.0.1-10.0.0.9", "10.0.0.10", false),
        ("2001:db8::/32", "2001:db8::5 and 1.2.3.4", true),
        ("1.2.3.0/24", "2001:db8::5 and 1.2.3.4", true),
        ("::1", "at ::1 here", true),
        ("0.0.0.0/0", "::ffff:1.2.3.4", false),
        ("::/0", "::ffff:1.2.3.4", true),
        ("0.0.0.0/0", "", false),
        ("0.0.0.0/0", "1.1.1.1", true),
        ("2001:db8::1-2001:db8::ff", "[2001:db8::10]:80", true),
    ] {
        assert_eq!(
            IpMatcher::new(pattern).unwrap().is_match(text.as_bytes()),
            wanted,
            "{pattern} {text}"
        );
    }
    for pattern in [
        "x",
        "10.0.0.300",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/",
        "10.0.0.9-10.0.0.1",
        "10.0.0.1-::1",
        "",
    ] {
        let wanted = format!("ip: invalid pattern: {pattern:?}");
        assert_eq!(IpMatcher::new(pattern).unwrap_err(), wanted);
    }
}
