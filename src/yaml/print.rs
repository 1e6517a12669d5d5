//! A tree as text again, as the API shows a configuration. Secrets are not in it.

use crate::Node;
use crate::node::{Content, Entry};

impl Node {
    /// The whole tree in block style.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        match self.content() {
            Content::Mapping(entries) if !entries.is_empty() => mapping(entries, 0, &mut out),
            Content::Sequence(items) if !items.is_empty() => sequence(items, 0, &mut out),
            _ => {
                inline(self, &mut out);
                out.push('\n');
            }
        }
        out
    }

    fn is_block(&self) -> bool {
        self.shown().is_none()
            && match self.content() {
                Content::Mapping(entries) => !entries.is_empty(),
                Content::Sequence(items) => !items.is_empty(),
                Content::Scalar { .. } => false,
            }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn mapping(entries: &[Entry], depth: usize, out: &mut String) {
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            indent(depth, out);
        }
        scalar(&entry.name, false, out);
        out.push(':');
        if !entry.value.is_block() {
            out.push(' ');
            inline(&entry.value, out);
            out.push('\n');
            continue;
        }
        out.push('\n');
        match entry.value.content() {
            Content::Mapping(inner) => {
                indent(depth + 1, out);
                mapping(inner, depth + 1, out);
            }
            // A list stands below its name, as Prometheus prints it.
            Content::Sequence(items) => {
                indent(depth, out);
                sequence(items, depth, out);
            }
            Content::Scalar { .. } => {}
        }
    }
}

fn sequence(items: &[Node], depth: usize, out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            indent(depth, out);
        }
        out.push_str("- ");
        match item.content() {
            _ if !item.is_block() => {
                inline(item, out);
                out.push('\n');
            }
            Content::Mapping(entries) => mapping(entries, depth + 1, out),
            Content::Sequence(inner) => sequence(inner, depth + 1, out),
            Content::Scalar { .. } => {}
        }
    }
}

fn inline(node: &Node, out: &mut String) {
    match (node.shown(), node.content()) {
        (Some(shown), _) => scalar(shown, true, out),
        (None, Content::Scalar { text, is_plain }) => scalar(text, *is_plain, out),
        (None, Content::Mapping(_)) => out.push_str("{}"),
        (None, Content::Sequence(_)) => out.push_str("[]"),
    }
}

/// A text is quoted where it would be read as something else without quotes.
fn scalar(text: &str, was_plain: bool, out: &mut String) {
    if text.is_empty() {
        return out.push_str(if was_plain { "null" } else { "\"\"" });
    }
    if is_safe(text) && (was_plain || !reads_as_other(text)) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if needs_escape(c) => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{85}')
}

/// Whether a plain scalar of this text is read as this text, whatever stands around it.
fn is_safe(text: &str) -> bool {
    let first_is_fine = text.starts_with(|c: char| c.is_alphanumeric() || "/_.<$(^+~".contains(c));
    let inner = |c: char| !c.is_control() && !"#:,[]{}\"'`\\|>&*!%@".contains(c);
    let is_inner_fine = text.chars().skip(1).all(|c| inner(c) || c == '>');
    first_is_fine
        && is_inner_fine
        && !text.ends_with(' ')
        && !text.chars().any(needs_escape)
        && !matches!(text, "---" | "..." | "<<")
}

/// Whether a plain scalar of this text could be taken for a number, a truth value or null.
fn reads_as_other(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", ".nan", ".inf"];
    text.starts_with(|c: char| c.is_ascii_digit() || "+.".contains(c)) || words.contains(&&*lower)
}
