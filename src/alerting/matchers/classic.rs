//! The syntax that Alertmanager began with: plain names; values with or without quotes, up to the next
//! comma.

use super::operator;
use model::{MatchOp, Matcher};

pub(super) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let inside = text.trim();
    let inside = inside.strip_prefix('{').unwrap_or(inside);
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    parts(inside)?.into_iter().map(one).collect()
}

/// The text at its commas, but for those within quotes. Nothing follows a last comma.
fn parts(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if is_quoted {
        return Err(format!("matcher value contains unescaped double quote: {text}"));
    }
    if !text[start..].trim().is_empty() {
        parts.push(&text[start..]);
    }
    Ok(parts)
}

fn one(text: &str) -> Result<Matcher, String> {
    let bad = || format!("bad matcher format: {text}");
    let trimmed = text.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = trimmed.find(|c| !is_name(c)).unwrap_or(trimmed.len());
    let (name, rest) = trimmed.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(bad());
    }
    let (op, value) = operator(rest.trim_start()).ok_or_else(bad)?;
    matcher(op, name, &unquoted(value.trim(), text)?)
}

fn matcher(op: MatchOp, name: &str, value: &str) -> Result<Matcher, String> {
    Matcher::new(op, name, value)
}

/// Without its quotes and escapes. A quote in the middle must be escaped; the end must be quoted where
/// the beginning is.
fn unquoted(value: &str, whole: &str) -> Result<String, String> {
    let quote_error = || format!("matcher value contains unescaped double quote: {value}");
    let (inside, is_quoted) = match value.strip_prefix('"') {
        Some(rest) => (rest, true),
        None => (value, false),
    };
    let mut out = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some('"') => out.push('"'),
                Some('\\') => out.push('\\'),
                // An escape that there is not stands for itself.
                Some(other) => out.extend(['\\', other]),
                None if is_quoted => return Err(format!("bad matcher format: {whole}")),
                None => out.push('\\'),
            },
            '"' if is_quoted && characters.as_str().is_empty() => return Ok(out),
            '"' => return Err(quote_error()),
            other => out.push(other),
        }
    }
    if is_quoted { Err(quote_error()) } else { Ok(out) }
}
