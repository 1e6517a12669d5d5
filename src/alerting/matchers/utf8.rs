//! The syntax that takes any name: names and values are quoted, or free of the signs that the syntax
//! needs.

use super::operator;
use model::Matcher;

pub(super) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let trimmed = text.trim();
    let inside = match (trimmed.strip_prefix('{'), trimmed.strip_suffix('}')) {
        (Some(_), Some(_)) if trimmed.len() > 1 => &trimmed[1..trimmed.len() - 1],
        (None, None) => trimmed,
        _ => return Err(format!("{text}: braces do not pair")),
    };
    let mut matchers = Vec::new();
    let mut rest = inside.trim_start();
    while !rest.is_empty() {
        let (name, after) = word(rest, text)?;
        let (op, after) = operator(after.trim_start())
            .ok_or_else(|| format!("{text}: expected one of =, !=, =~, !~ behind {name}"))?;
        let (value, after) = word(after.trim_start(), text)?;
        matchers.push(Matcher::new(op, &name, &value)?);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if rest.is_empty() => rest,
            None => return Err(format!("{text}: expected a comma before {rest}")),
        };
    }
    Ok(matchers)
}

/// A quoted text, or one without reserved signs, and what follows.
fn word<'t>(text: &'t str, whole: &str) -> Result<(String, &'t str), String> {
    if text.starts_with('"') {
        let mut is_escaped = false;
        let end = text.char_indices().skip(1).find(|(_, character)| {
            let ends = *character == '"' && !is_escaped;
            is_escaped = *character == '\\' && !is_escaped;
            ends
        });
        let (end, _) = end.ok_or_else(|| format!("{whole}: missing end \""))?;
        let bytes = model::unquote_go(&text[..=end]).map_err(|_| format!("{whole}: bad quotes"))?;
        let word = String::from_utf8(bytes).map_err(|_| format!("{whole}: invalid UTF-8"))?;
        return Ok((word, &text[end + 1..]));
    }
    let is_reserved = |c: char| {
        c.is_whitespace()
            || matches!(c, '{' | '}' | '!' | '=' | '~' | ',' | '\\' | '"' | '\'' | '`')
    };
    let end = text.find(is_reserved).unwrap_or(text.len());
    match end {
        0 => Err(format!("{whole}: expected a name or a value before {text:?}")),
        _ => Ok((text[..end].to_owned(), &text[end..])),
    }
}
