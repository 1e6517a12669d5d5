//! What lines give: cases by stage, and properties.

mod json;
mod logfmt;
mod others;
mod properties;

use super::json::JsonPaths;
use super::logfmt::LogfmtOptions;
use super::{Buffers, ExtractError, Fields};
use std::ops::ControlFlow;

/// Takes all fields.
#[derive(Default)]
struct Taken {
    fields: Vec<(String, String)>,
    absent: Vec<String>,
    /// Only these are wanted, where it is not empty.
    wanted: Vec<&'static str>,
    /// How many are enough.
    most: Option<usize>,
}

impl Fields for Taken {
    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.contains(&name)
    }

    fn wants_below(&self, prefix: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|name| name.starts_with(prefix))
    }

    fn field(&mut self, name: &str, value: &str) -> ControlFlow<()> {
        self.fields.push((name.to_owned(), value.to_owned()));
        if Some(self.fields.len()) == self.most {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn absent(&mut self, name: &str) {
        self.absent.push(name.to_owned());
    }
}

impl Taken {
    /// `a=1|b=2|-c`: fields, and what is absent.
    fn shown(&self) -> String {
        let fields = self.fields.iter().map(|(name, value)| format!("{name}={value}"));
        let absent = self.absent.iter().map(|name| format!("-{name}"));
        fields.chain(absent).collect::<Vec<_>>().join("|")
    }
}

/// What is extracted, and behind `!` what is wrong.
fn outcome(extract: impl FnOnce(&mut Buffers, &mut Taken) -> Result<(), ExtractError>) -> String {
    let mut taken = Taken::default();
    let result = extract(&mut Buffers::default(), &mut taken);
    match result {
        Ok(()) => taken.shown(),
        Err(error) => format!("{}!{}", taken.shown(), error.details().unwrap_or_default()),
    }
}

fn check(
    cases: &[(&str, &str)],
    extract: impl Fn(&[u8], &mut Buffers, &mut Taken) -> Result<(), ExtractError>,
) {
    for (line, wanted) in cases {
        let got = outcome(|buffers, taken| extract(line.as_bytes(), buffers, taken));
        assert_eq!(got, *wanted, "{line}");
    }
}

fn paths(expressions: &[(&str, &str)]) -> JsonPaths {
    JsonPaths::new(expressions.iter().copied()).unwrap()
}

fn logfmt_options(strict: bool, keep_empty: bool) -> LogfmtOptions {
    LogfmtOptions { strict, keep_empty }
}

#[test]
fn a_field_of_json_has_a_path() {
    let line = br#"{"a":1,"http":{"status":{"code":5},"a-b":{"c":"x"},"n":null},"http_status":7}"#;
    for (name, path) in [
        ("a", Some(&["a"][..])),
        ("http_status_code", Some(&["http", "status", "code"])),
        ("http_a_b_c", Some(&["http", "a-b", "c"])),
        ("http_status", Some(&["http_status"])),
        ("http_n", None),
        ("http", None),
    ] {
        let expected = path.map(|path| path.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(super::json::path_of(line, name), expected, "{name}");
    }
    assert_eq!(super::json::path_of(b"no object", "a"), None);
}
