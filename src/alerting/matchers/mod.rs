//! Matchers as `alertmanager.yml`, the API and amtool write them.
//!
//! There are two syntaxes: the one that Alertmanager began with (`classic`), and one that takes any
//! name (`utf8`). As there, a text is read in both: where they disagree the classic one holds, and
//! where only one reads it that one does.

mod classic;
mod utf8;

use model::{MatchOp, Matcher, is_plain_name};

/// One or several conditions: `a="b"`, `{a="b",c=~"d.*"}`.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    match (classic::parse(text), utf8::parse(text)) {
        (Ok(matchers), _) | (Err(_), Ok(matchers)) => Ok(matchers),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Exactly one condition.
pub fn parse_matcher(text: &str) -> Result<Matcher, String> {
    let mut matchers = parse_matchers(text)?;
    match (matchers.pop(), matchers.is_empty()) {
        (Some(matcher), true) => Ok(matcher),
        _ => Err(format!("bad matcher format: {text}")),
    }
}

/// As Alertmanager writes it in keys of groups: `a="b"`.
pub fn matcher_text(matcher: &Matcher) -> String {
    let name = match is_plain_name(&matcher.name.replace(':', "_")) {
        true => matcher.name.clone(),
        false => model::quote_go(matcher.name.as_bytes()),
    };
    format!("{name}{}\"{}\"", matcher.op.as_str(), escaped(&matcher.value))
}

/// `{a="b",c="d"}`
pub fn matchers_text(matchers: &[Matcher]) -> String {
    let texts: Vec<String> = matchers.iter().map(matcher_text).collect();
    format!("{{{}}}", texts.join(","))
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out
}

/// The operator that a text begins with, and what follows.
fn operator(text: &str) -> Option<(MatchOp, &str)> {
    const OPERATORS: [(&str, MatchOp); 4] = [
        ("=~", MatchOp::Regex),
        ("!~", MatchOp::NotRegex),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ];
    let found = |(sign, op): (&str, MatchOp)| Some((op, text.strip_prefix(sign)?));
    OPERATORS.into_iter().find_map(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_syntaxes_are_read() {
        let read = |text: &str| parse_matchers(text).map(|found| matchers_text(&found));
        let ok = |text: &str| read(text).unwrap();
        assert_eq!(ok("a=b"), r#"{a="b"}"#);
        assert_eq!(ok(r#"{a="b",c=~"d.*"}"#), r#"{a="b",c=~"d.*"}"#);
        assert_eq!(ok(r#" a != "b c" "#), r#"{a!="b c"}"#);
        assert_eq!(ok("a!~b|c"), r#"{a!~"b|c"}"#);
        assert_eq!(ok(r#"a="b,c""#), r#"{a="b,c"}"#);
        assert_eq!(ok(r#"a="q\"u""#), r#"{a="q\"u"}"#);
        assert_eq!(ok("a="), r#"{a=""}"#);
        assert_eq!(ok("{}"), "{}");
        assert_eq!(ok("a=b,c=d,"), r#"{a="b",c="d"}"#);
        // Only the newer syntax takes these names.
        assert_eq!(ok(r#""my label"="b""#), r#"{"my label"="b"}"#);
        assert_eq!(ok("이름=값"), "{\"이름\"=\"값\"}");
        // Only the older one takes values like these.
        assert_eq!(ok("a=b=c"), r#"{a="b=c"}"#);
        assert_eq!(read("nothing").unwrap_err(), "bad matcher format: nothing");
        assert!(read(r#"a=~"(""#).is_err());
        assert!(read(r#"a="b"#).is_err());
        assert!(parse_matcher("a=b,c=d").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(name in "[a-z_가-힣 ]{1,6}", value in "[^\0]{0,8}", op in 0..2) {
            let op = if op == 0 { MatchOp::Equal } else { MatchOp::NotEqual };
            let matcher = Matcher::new(op, &name, &value).unwrap();
            prop_assert_eq!(parse_matcher(&matcher_text(&matcher)), Ok(matcher));
        }

        #[test]
        fn any_text_is_an_answer(text in ".{0,30}") {
            let _ = parse_matchers(&text);
        }
    }
}
