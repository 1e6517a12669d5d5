//! `regexp "(?P<name>…)"`: fields from the named groups of a pattern.

use super::buffers::as_text;
use super::names::is_name;
use super::{Buffers, Fields};
use model::SearchRegex;
use std::collections::BTreeSet;

/// A pattern with named groups, which may match any part of the line.
#[derive(Clone, Debug)]
pub struct RegexpFields {
    regex: SearchRegex,
    /// The groups that have names.
    groups: Vec<(usize, String)>,
}

impl RegexpFields {
    pub fn new(pattern: &str) -> Result<Self, String> {
        if let Some(name) = doubled_name(pattern) {
            return Err(format!("duplicate extracted label name '{name}'"));
        }
        let regex = SearchRegex::new(pattern)?;
        let named = regex.group_names().enumerate().filter_map(|(at, name)| Some((at, name?)));
        let groups: Vec<(usize, String)> = named.map(|(at, name)| (at, name.to_owned())).collect();
        if groups.is_empty() {
            return Err("at least one named capture must be supplied".to_owned());
        }
        if let Some((_, name)) = groups.iter().find(|(_, name)| !is_name(name)) {
            return Err(format!("invalid extracted label name '{name}'"));
        }
        Ok(Self { regex, groups })
    }

    /// Nothing where the pattern does not match. A group that took no part is an empty field.
    pub fn extract(&self, line: &[u8], buffers: &mut Buffers, fields: &mut impl Fields) {
        let Some(captures) = self.regex.engine().captures(line) else { return };
        for (group, name) in &self.groups {
            if !fields.wants(name) {
                continue;
            }
            let value = captures.get(*group).map_or(&b""[..], |group| group.as_bytes());
            if fields.field(name, as_text(value, &mut buffers.text)).is_break() {
                return;
            }
        }
    }
}

/// The first name that two groups have: the engine refuses such patterns in other words.
fn doubled_name(pattern: &str) -> Option<&str> {
    let mut seen = BTreeSet::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['\\', '(']) {
        let here = rest.get(at..)?;
        let head = ["(?P<", "(?<"].into_iter().find_map(|head| here.strip_prefix(head));
        if let Some((name, _)) = head.and_then(|inside| inside.split_once('>'))
            && !seen.insert(name)
        {
            return Some(name);
        }
        // An escaped character begins no group.
        let skipped =
            if here.starts_with('\\') { here.chars().take(2).map(char::len_utf8).sum() } else { 1 };
        rest = here.get(skipped..)?;
    }
    None
}
