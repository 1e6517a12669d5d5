//! Regular expressions as RE2 and Go understand them, run by the `regex` crate.
//!
//! Both are linear-time engines with nearly one syntax; where they differ the pattern is rewritten
//! or refused.
//!
//! Lives here: [`AnchoredRegex`], whose pattern matches whole values, and the simple patterns that need no engine. Most patterns of real
//! queries are literals, alternations of literals or a literal with `.*` beside it. `translate`:
//! Go's syntax to that of the crate. `compile`: the patterns compiled last are kept. `replace`: a
//! pattern with groups and a template. `search`: a pattern that may match any part of a text.
//! Invariants: compiling and matching take bounded memory, whatever the pattern.

mod compile;
mod replace;
mod search;
mod translate;

pub use replace::{ReplacePattern, TooLong};
pub use search::SearchRegex;
pub use translate::escape_regex;

use compile::{Compiled, Reach, compile};
use std::sync::Arc;

/// A pattern that must match all of a value.
#[derive(Clone, Debug)]
pub struct AnchoredRegex {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Anything,
    NotEmpty,
    /// Sorted, so that a list of thousands, which dashboards do send, is searched quickly.
    Literals(Vec<String>),
    /// `abc.*`
    Prefix(String),
    /// `.*abc`
    Suffix(String),
    /// `.*abc.*`
    Contains(String),
    Engine {
        compiled: Arc<Compiled>,
        prefix: String,
    },
}

impl AnchoredRegex {
    pub fn new(pattern: &str) -> Result<Self, String> {
        if let Some(form) = simple_form(pattern) {
            return Ok(Self { form });
        }
        let prefix = literal_prefix(pattern);
        Ok(Self { form: Form::Engine { compiled: compile(pattern, Reach::Whole)?, prefix } })
    }

    pub fn is_match(&self, value: &str) -> bool {
        match &self.form {
            Form::Anything => true,
            Form::NotEmpty => !value.is_empty(),
            Form::Literals(literals) => {
                literals.binary_search_by(|literal| literal.as_str().cmp(value)).is_ok()
            }
            Form::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Form::Suffix(suffix) => value.ends_with(suffix.as_str()),
            Form::Contains(part) => value.contains(part.as_str()),
            Form::Engine { compiled, prefix } => {
                value.starts_with(prefix.as_str()) && compiled.regex.is_match(value.as_bytes())
            }
        }
    }

    /// The memory that the pattern takes at most where it had to be compiled.
    pub fn compiled_bytes(&self) -> Option<usize> {
        match &self.form {
            Form::Engine { compiled, .. } => Some(compiled.bytes),
            _ => None,
        }
    }

    /// All values that match, sorted, where the pattern is a list of texts.
    pub fn literals(&self) -> Option<&[String]> {
        match &self.form {
            Form::Literals(literals) => Some(literals),
            _ => None,
        }
    }

    /// What every value that matches begins with.
    pub fn prefix(&self) -> Option<&str> {
        match &self.form {
            Form::Prefix(prefix) | Form::Engine { prefix, .. } if !prefix.is_empty() => {
                Some(prefix)
            }
            _ => None,
        }
    }
}

fn is_meta(c: char) -> bool {
    r"\.+*?()|[]{}^$".contains(c)
}

/// The texts of a pattern that only lists texts: `a|b\.c`.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let last = all.last_mut()?;
        match character {
            '|' => all.push(String::new()),
            '\\' => last.push(characters.next().filter(char::is_ascii_punctuation)?),
            special if is_meta(special) => return None,
            plain => last.push(plain),
        }
    }
    Some(all)
}

fn literal(pattern: &str) -> Option<String> {
    let [only] = <[String; 1]>::try_from(alternatives(pattern)?).ok()?;
    (!only.is_empty()).then_some(only)
}

fn simple_form(pattern: &str) -> Option<Form> {
    match pattern {
        ".*" => return Some(Form::Anything),
        ".+" => return Some(Form::NotEmpty),
        _ => {}
    }
    let inner = pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    if let Some(mut literals) = alternatives(inner.unwrap_or(pattern)) {
        literals.sort_unstable();
        literals.dedup();
        return Some(Form::Literals(literals));
    }
    let (open_start, rest) = strip(pattern, |p| p.strip_prefix(".*"));
    let (open_end, rest) = strip(rest, |p| p.strip_suffix(".*"));
    match (open_start, open_end, literal(rest)?) {
        (true, true, rest) => Some(Form::Contains(rest)),
        (true, false, rest) => Some(Form::Suffix(rest)),
        (false, true, rest) => Some(Form::Prefix(rest)),
        (false, false, _) => None,
    }
}

fn strip<'a>(text: &'a str, cut: impl Fn(&'a str) -> Option<&'a str>) -> (bool, &'a str) {
    cut(text).map_or((false, text), |rest| (true, rest))
}

/// What every match starts with. The last character before a repetition may be optional, so it
/// does not count.
fn literal_prefix(pattern: &str) -> String {
    let length = pattern.find(is_meta).unwrap_or(pattern.len());
    // After flags there may be a repetition, which is of what stands before the flags.
    if pattern.contains('|') || pattern.contains("(?") {
        return String::new();
    }
    let mut prefix = pattern[..length].to_owned();
    if pattern[length..].starts_with(['*', '?', '{']) {
        prefix.pop();
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        AnchoredRegex::new(pattern).unwrap().is_match(value)
    }

    #[test]
    fn patterns_match_whole_values() {
        for (pattern, yes, no) in [
            ("a|bc", "bc", "abc"),
            ("api.*", "api-1", "xapi"),
            (".*x.*", "axb", "ab"),
            ("(?i:PRO).*", "production", "pr"),
            ("a.c", "a\nc", "ac"),
            (r"\d+", "12", "٣"),
            (r"\w", "_", "ä"),
            (r"\s", " ", "s"),
            (r"a\s+b", "a \t\n\u{c}\rb", "ab"),
            (r"\S*", "ab", "a b"),
            (r"(\S+)\s(\S+)", "a b", "ab"),
            (r"[\s-]", " ", "s"),
            (r"(?i)\w", "\u{17f}", "ä"),
            (r"(?i)\W", "ä", "\u{17f}"),
            ("a(?i)+b", "aaB", "AAB"),
            ("a(?i)*?(?s)b", "B", "A"),
            ("(a(?i)){2}b", "aab", "aAb"),
            ("a+(?i)?b", "B", "c"),
            ("[0-9](?-s)(?m)+?", "12", "a"),
            ("(?i)(?s)(a).", "A\n", "a"),
            ("[+--]", ",", "."),
            ("[--b]+", "-.a", "c"),
            ("[[)]", ")", "("),
            ("a(?i){,2}", "a{,2}", "aa"),
            (r"\Qa.b\E", "a.b", "axb"),
            (r"x{2,3}", "xxx", "x"),
            ("a{b", "a{b", "ab"),
            ("a{,3}", "a{,3}", "aa"),
            ("[a&&b]", "&", "c"),
            ("[[]", "[", "]"),
            ("[[:]]", ":]", ":"),
            (r"\101", "A", "101"),
            (r"\<a", "<a", "a"),
            (r"\p{Greek}", "α", "a"),
            (r"\p{^Greek}", "a", "α"),
            (r"[^\d]", "a", "1"),
            ("", "", "a"),
            (r"a\.b", "a.b", "axb"),
            (r".*\.svc", "x.svc", "xsvc"),
            (r"a\.*", "a..", "ab"),
            (r"a\\.*", r"a\b", "a.b"),
            (r".*a\|b.*", "xa|by", "xa"),
            ("(a|)", "", "b"),
            ("(?P<x>a+)b", "aab", "b"),
            ("(?<x>a)", "a", "b"),
        ] {
            assert!(matches(pattern, yes), "{pattern} should match {yes:?}");
            assert!(!matches(pattern, no), "{pattern} should not match {no:?}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for pattern in [
            "a**", "*", "a{1001}", "a{3,2}", "(", "[", r"\C", r"\1", r"\u0041", "(?x)a", "a{2}{3}",
            r"\", "(?=a)", r"\pX1",
        ] {
            assert!(AnchoredRegex::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn mistakes_are_shown_as_go_shows_them() {
        for (pattern, mistake) in [
            ("a**", "invalid nested repetition operator: `**`"),
            ("ab?+c", "invalid nested repetition operator: `?+`"),
            ("a(?i)**", "invalid nested repetition operator: `**`"),
            ("x{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            ("a|*b", "missing argument to repetition operator: `*`"),
            ("(?i)*b", "missing argument to repetition operator: `*`"),
            ("a|(?i)+?b", "missing argument to repetition operator: `+?`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("a(?=b)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?iz)", "invalid or unsupported Perl syntax: `(?iz`"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
            ("(?P<n-x>a)", "invalid named capture: `(?P<n-x>`"),
            (r"a\u1234", r"invalid escape sequence: `\u`"),
            (r"a\8", r"invalid escape sequence: `\8`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            ("[[:]a:]", "invalid character class range: `[:]a:]`"),
            ("(a", "missing closing ): `(a`"),
            ("a)|(b", "unexpected ): `a)|(b`"),
            ("(?i:a))", "unexpected ): `(?i:a))`"),
            ("[a--b]", "invalid character class range: `a--`"),
        ] {
            let found = AnchoredRegex::new(pattern).unwrap_err();
            assert_eq!(found, format!("error parsing regexp: {mistake}"), "{pattern}");
        }
        assert!(matches("[[:^digit:]]", "a") && !matches("[[:^digit:]]", "1"));
    }

    #[test]
    fn refuses_what_would_explode() {
        for pattern in ["((a{1000}){1000}){1000}", &"(".repeat(5000), &r"\pL{1000}".repeat(50)] {
            assert!(AnchoredRegex::new(pattern).is_err());
        }
    }

    #[test]
    fn the_size_of_what_is_compiled_is_known() {
        let bytes = |pattern: &str| AnchoredRegex::new(pattern).unwrap().compiled_bytes();
        assert_eq!(bytes("a|b"), None);
        assert_eq!(bytes("a.c"), Some(32 << 10));
        assert!(bytes(r"(\pL\d){20}") > Some(32 << 10));
    }

    #[test]
    fn literals_and_prefixes_are_known() {
        for (pattern, literals) in [
            ("b|a|b", Some(vec!["a", "b"])),
            (r"(10\.0\.0\.1:9100|a\|b)", Some(vec!["10.0.0.1:9100", "a|b"])),
            ("", Some(vec![""])),
            (r"a\d|b", None),
            ("(a|b)|(c)", None),
            ("a.b", None),
        ] {
            let literals: Option<Vec<String>> =
                literals.map(|all| all.into_iter().map(str::to_owned).collect());
            let found = AnchoredRegex::new(pattern).unwrap();
            assert_eq!(found.literals(), literals.as_deref(), "{pattern}");
        }
        assert!(AnchoredRegex::new(r"(a\)").is_err() && AnchoredRegex::new(r"a\").is_err());
        assert_eq!(AnchoredRegex::new(r"10\.0\..*").unwrap().prefix(), Some("10.0."));
        assert_eq!(AnchoredRegex::new("abc?d").unwrap().prefix(), Some("ab"));
        assert_eq!(AnchoredRegex::new("abc|d+").unwrap().prefix(), None);
        assert_eq!(AnchoredRegex::new("node_.*").unwrap().prefix(), Some("node_"));
    }

    #[test]
    fn a_search_looks_for_a_part() {
        let found = |pattern: &str, text: &str| {
            SearchRegex::new(pattern).unwrap().is_match(text.as_bytes())
        };
        assert!(found("b", "abc") && !found("^b", "abc") && !found("a.b", "a\nb"));
        assert!(found("(?s)a.b", "a\nb") && found(r"\d{2}$", "a 12"));
        let pattern = SearchRegex::new("(?P<x>a)(b)(?P<_y>c)").unwrap();
        let names: Vec<Option<&str>> = pattern.group_names().collect();
        assert_eq!(names, [None, Some("x"), None, Some("_y")]);
        assert!(SearchRegex::new("(").is_err());
        // The same pattern for whole values is another one.
        assert!(!matches("b", "abc"));
    }

    #[test]
    fn templates_refer_to_groups() {
        let pattern = ReplacePattern::new("(?P<first>.*)-(.*)").unwrap();
        let replace = |template| pattern.replace("a-b", template, 9);
        assert_eq!(replace("$2/${1}/${first}/$$/$"), Some(Ok("b/a/a/$/$".to_owned())));
        assert_eq!(replace("$1x"), Some(Ok(String::new())));
        assert_eq!(pattern.replace("ab", "x", 9), None);
        assert_eq!(replace(&"$1".repeat(10)), Some(Err(TooLong)));
    }
}
