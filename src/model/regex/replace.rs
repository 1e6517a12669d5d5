//! A pattern with groups and a template that names them, as `label_replace` has them.

use super::compile::{Compiled, Reach, compile};
use super::translate::group_key;
use regex::bytes::Captures;
use std::sync::Arc;

/// A pattern that must match all of a value, with its groups.
#[derive(Clone, Debug)]
pub struct ReplacePattern(Arc<Compiled>);

impl ReplacePattern {
    pub fn new(pattern: &str) -> Result<Self, String> {
        compile(pattern, Reach::Whole).map(Self)
    }

    /// `None` where the value does not match. `$1`, `${1}` and `${name}` stand for groups. A group may
    /// stand many times in the template: an error as soon as the result is longer than `length_max`.
    pub fn replace(
        &self,
        value: &str,
        template: &str,
        length_max: usize,
    ) -> Option<Result<String, TooLong>> {
        let captures = self.0.regex.captures(value.as_bytes())?;
        Some(expand(template, &captures, length_max))
    }
}

/// The result of a replacement is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

fn expand(template: &str, captures: &Captures<'_>, length_max: usize) -> Result<String, TooLong> {
    let mut out = String::new();
    expand_into(&mut out, template, captures, length_max)?;
    Ok(out)
}

/// Appends the template with its groups. An error as soon as `out` is longer than `length_max`.
pub(super) fn expand_into(
    out: &mut String,
    template: &str,
    captures: &Captures<'_>,
    length_max: usize,
) -> Result<(), TooLong> {
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        if out.len() > length_max {
            return Err(TooLong);
        }
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        match group_reference(rest) {
            Some((name, after)) => {
                out.push_str(&captured(captures, name));
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    if out.len() > length_max { Err(TooLong) } else { Ok(()) }
}

/// `name` or `{name}` at the start: the name and what follows.
fn group_reference(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if let Some(braced) = text.strip_prefix('{') {
        let (name, after) = braced.split_once('}')?;
        return (!name.is_empty() && name.chars().all(is_part)).then_some((name, after));
    }
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

fn captured(captures: &Captures<'_>, name: &str) -> String {
    let group = match name.parse::<usize>() {
        Ok(index) => captures.get(index),
        Err(_) => captures.name(&group_key(name)),
    };
    group.map(|group| String::from_utf8_lossy(group.as_bytes()).into_owned()).unwrap_or_default()
}
