//! The grouping key of a push: the labels in the path.
//!
//! `/metrics/job/batch/instance/a`, where a name that ends in `@base64` has its value in base64, URL-safe,
//! with or without padding; `=` alone is the empty value. Names that begin with `U__` are UTF-8 names as
//! Prometheus escapes them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{Labels, LabelsBuilder, is_plain_name};

const BASE64_SUFFIX: &str = "@base64";
const JOB: &str = "job";

/// Reads what follows `/metrics/` of a path whose segments are still percent-encoded.
pub(super) fn read(path: &str, decode: impl Fn(&str) -> String) -> Result<Labels, String> {
    let segments: Vec<&str> = path.split('/').collect();
    if !segments.len().is_multiple_of(2) {
        return Err(format!("odd number of components in label string {path:?}"));
    }
    let mut labels = LabelsBuilder::new();
    for (index, pair) in segments.chunks_exact(2).enumerate() {
        let (name, value) = label(&decode(pair[0]), &decode(pair[1]))?;
        if index == 0 && (name != JOB || value.is_empty()) {
            return Err("job name is required".to_owned());
        }
        if index > 0 && name == JOB {
            return Err("the label \"job\" stands in the path twice".to_owned());
        }
        labels.set(&name, &value);
    }
    Ok(labels.build())
}

fn label(name: &str, value: &str) -> Result<(String, String), String> {
    let (name, value) = match name.strip_suffix(BASE64_SUFFIX) {
        Some(name) => {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(value.trim_end_matches('='));
            let wrong = || format!("invalid base64 encoding in label string {value:?}");
            let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            (name, text.ok_or_else(wrong)?)
        }
        None => (name, value.to_owned()),
    };
    let name = unescaped(name).unwrap_or_else(|| name.to_owned());
    let is_reserved = name.starts_with("__");
    if name.is_empty() || is_reserved || value.len() > model::LABEL_LENGTH_MAX {
        return Err(format!("improper label name {name:?}"));
    }
    Ok((name, value))
}

/// `U__a_2e_b` is `a.b`: `_2e_` is a character by its number, `__` an underscore.
fn unescaped(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    if !is_plain_name(name) {
        return None;
    }
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once('_') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (number, after) = after.split_once('_')?;
        out.push(char::from_u32(u32::from_str_radix(number, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Result<Vec<(String, String)>, String> {
        let labels = read(path, str::to_owned)?;
        Ok(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn labels_of_a_path() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("job/a", &[("job", "a")]),
            ("job/a/instance/b", &[("instance", "b"), ("job", "a")]),
            ("job@base64/L3Zhci90bXA", &[("job", "/var/tmp")]),
            ("job@base64/L3Zhci90bXA=/x@base64/=", &[("job", "/var/tmp")]),
            ("job/a/name@base64/zqDPgc6_zrzOt864zrXPjc-C", &[("job", "a"), ("name", "Προμηθεύς")]),
            ("job/a/U__b_2e_c__d/e", &[("b.c_d", "e"), ("job", "a")]),
        ];
        for (path, expected) in cases {
            let found = of(path).unwrap();
            let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(&found, expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_key() {
        let cases = [
            ("job", "odd number of components in label string \"job\""),
            ("job/", "job name is required"),
            ("job@base64/=", "job name is required"),
            ("instance/a", "job name is required"),
            ("job/a/b", "odd number of components in label string \"job/a/b\""),
            ("job/a/__name__/b", "improper label name \"__name__\""),
            ("job/a/b@base64/%", "invalid base64 encoding in label string \"%\""),
            ("job/a/job/b", "the label \"job\" stands in the path twice"),
        ];
        for (path, expected) in cases {
            assert_eq!(of(path), Err(expected.to_owned()), "{path}");
        }
    }
}
