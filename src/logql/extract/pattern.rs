//! `pattern "<ip> - <_>"`, and the filters `|>` and `!>`: texts, and what stands between them.

use super::buffers::as_text;
use super::{Buffers, Fields};
use memchr::memmem::Finder;
use std::collections::BTreeSet;

const HYPHENS_OF_UUID: usize = 4;

#[derive(Clone, Debug)]
enum Part {
    Text(Box<Finder<'static>>),
    /// `<name>`; without a name `<_>`.
    Capture(Option<String>),
}

/// A pattern that gives fields.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Part>);

impl Pattern {
    pub fn new(text: &str) -> Result<Self, String> {
        let parts = parse(text);
        let mut names = parts.iter().filter_map(Part::name).peekable();
        if names.peek().is_none() {
            return Err("at least one capture is required".to_owned());
        }
        check_neighbours(&parts)?;
        let mut seen = BTreeSet::new();
        if let Some(name) = names.find(|name| !seen.insert(*name)) {
            return Err(format!("duplicate capture name ({name}): invalid expression"));
        }
        Ok(Self(parts))
    }

    /// The names of its captures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Part::name)
    }

    /// Whether none of its texts can begin, end or lie in a word with a digit (letters, digits, `_` and
    /// bytes beyond ASCII) or in a UUID, or have one in it.
    pub fn is_beside_words(&self) -> bool {
        let is_outside = |byte: Option<&u8>| {
            byte.is_some_and(|byte| {
                byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"_-".contains(byte)
            })
        };
        self.0.iter().all(|part| match part {
            Part::Text(text) => {
                let text = text.needle();
                is_outside(text.first())
                    && is_outside(text.last())
                    && !text.iter().any(u8::is_ascii_digit)
                    && text.iter().filter(|byte| **byte == b'-').count() < HYPHENS_OF_UUID
            }
            Part::Capture(_) => true,
        })
    }

    /// A capture ends where the next text of the pattern is. Where that is missing it is all of the rest,
    /// and the captures behind give nothing.
    pub fn extract(&self, line: &[u8], buffers: &mut Buffers, fields: &mut impl Fields) {
        let mut rest = line;
        let mut parts = &self.0[..];
        if let [Part::Text(text), others @ ..] = parts {
            let Some(after) = rest.strip_prefix(text.needle()) else { return };
            (rest, parts) = (after, others);
        }
        while let [Part::Capture(name), others @ ..] = parts
            && !line.is_empty()
        {
            let end = match others.first() {
                Some(Part::Text(text)) => text.find(rest).map(|at| (at, at + text.needle().len())),
                _ => None,
            };
            let value = end.and_then(|(at, _)| rest.get(..at)).unwrap_or(rest);
            if let Some(name) = name.as_ref().filter(|name| fields.wants(name))
                && fields.field(name, as_text(value, &mut buffers.text)).is_break()
            {
                return;
            }
            let Some((_, behind)) = end else { return };
            rest = rest.get(behind..).unwrap_or_default();
            parts = others.get(1..).unwrap_or_default();
        }
    }
}

/// A pattern that lines match or not.
#[derive(Clone, Debug)]
pub struct LinePattern(Vec<Part>);

impl LinePattern {
    pub fn new(text: &str) -> Result<Self, String> {
        let parts = parse(text);
        check_neighbours(&parts)?;
        match parts.iter().find_map(Part::name) {
            Some(name) => Err(format!("named captures are not allowed: found '<{name}>'")),
            None => Ok(Self(parts)),
        }
    }

    /// Whether the line matches, to its end; before a text that comes first anything may stand, as in
    /// Loki. What stands for `<_>` is not empty, and as short as can be.
    pub fn is_match(&self, line: &[u8]) -> bool {
        if line.is_empty() || self.0.is_empty() {
            return line.is_empty() && self.0.is_empty();
        }
        let mut rest = line;
        let mut is_behind_capture = false;
        for (index, part) in self.0.iter().enumerate() {
            let Part::Text(text) = part else {
                is_behind_capture = true;
                continue;
            };
            let Some(at) = text.find(rest) else { return false };
            if at == 0 && index > 0 {
                return false;
            }
            rest = rest.get(at + text.needle().len()..).unwrap_or_default();
            is_behind_capture = false;
        }
        is_behind_capture != rest.is_empty()
    }
}

impl Part {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Capture(name) => name.as_deref(),
            Self::Text(_) => None,
        }
    }

    fn is_capture(&self) -> bool {
        matches!(self, Self::Capture(_))
    }

    fn shown(&self) -> String {
        match self {
            Self::Capture(name) => format!("<{}>", name.as_deref().unwrap_or("_")),
            Self::Text(text) => String::from_utf8_lossy(text.needle()).into_owned(),
        }
    }
}

fn parse(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut literal = String::new();
    while let Some(next) = rest.chars().next() {
        if let Some((name, after)) = capture(rest) {
            push_text(&mut literal, &mut parts);
            parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
            rest = after;
        } else {
            literal.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    push_text(&mut literal, &mut parts);
    parts
}

fn push_text(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Text(Box::new(Finder::new(literal.as_bytes()).into_owned())));
        literal.clear();
    }
}

/// `<name>` at the beginning: the name and what follows.
fn capture(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    super::names::is_name(name).then_some((name, after))
}

fn check_neighbours(parts: &[Part]) -> Result<(), String> {
    let both = parts.windows(2).find(|pair| pair.iter().all(Part::is_capture));
    match both {
        Some(pair) => {
            let shown: String = pair.iter().map(Part::shown).collect();
            Err(format!("found consecutive capture '{shown}': invalid expression"))
        }
        None => Ok(()),
    }
}
