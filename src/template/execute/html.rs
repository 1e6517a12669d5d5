//! Values in HTML, made safe by the place where they stand.
//!
//! The place follows from what was written before: between tags, within a tag, or within an attribute
//! that holds an address. Addresses may only have schemes that lead to pages and mail, so that a value
//! from outside can't become a script. Not here: scripts and styles, in which values are escaped as
//! between tags.

use super::{Executed, Executor};
use crate::format::{Sink, show};
use crate::object::Safe;
use crate::value::Value;

/// What is looked at of what was written before.
const LOOK_BACK: usize = 4_096;
const ADDRESS_ATTRIBUTES: [&str; 8] =
    ["action", "background", "cite", "data", "formaction", "href", "poster", "src"];
const SCHEMES: [&str; 3] = ["http", "https", "mailto"];
/// What Go's html/template shows in the place of an address that it does not trust.
const UNTRUSTED: &[u8] = b"#ZgotmplZ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Text,
    Attribute,
    /// Within an address, and whether at its beginning.
    Address(bool),
}

impl<'a> Executor<'a, '_> {
    pub(super) fn show_in_html(&mut self, value: &Value<'a>) -> Executed<()> {
        let safe = match value {
            Value::Object(object) => object.safe(),
            _ => None,
        };
        let mut shown = Vec::new();
        if !matches!(value, Value::Nil) {
            let (left, bound) = (self.budget.made_left(), self.budget.made_bound());
            show(value, &mut Sink::new(&mut shown, left, bound))?;
        }
        let place = place(self.out.get(self.start..).unwrap_or_default());
        let escaped = match (place, safe) {
            (Place::Text, Some(Safe::Html)) => shown,
            (Place::Text | Place::Attribute, _) => escaped(&shown),
            (Place::Address(_), Some(Safe::Url)) => escaped(&normalized(&shown)),
            (Place::Address(true), _) if !is_trusted(&shown) => UNTRUSTED.to_vec(),
            (Place::Address(_), _) => escaped(&normalized(&shown)),
        };
        Ok(self.sink().write(&escaped)?)
    }
}

fn place(written: &[u8]) -> Place {
    let written = written.get(written.len().saturating_sub(LOOK_BACK)..).unwrap_or_default();
    let Some(at) = written.iter().rposition(|byte| matches!(byte, b'<' | b'>')) else {
        return Place::Text;
    };
    let (Some(b'<'), Some(tag)) = (written.get(at), written.get(at + 1..)) else {
        return Place::Text;
    };
    in_tag(&String::from_utf8_lossy(tag))
}

/// The place at the end of a tag that is not closed yet.
fn in_tag(tag: &str) -> Place {
    let mut rest = tag;
    while let Some(equals) = rest.find('=') {
        let (before, value) = (&rest[..equals], &rest[equals + 1..]);
        let name = before.trim_end().rsplit(|c: char| c.is_whitespace()).next().unwrap_or("");
        let value = value.trim_start();
        let (is_open, inside, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => match value[1..].find(quote) {
                Some(end) => (false, "", &value[end + 2..]),
                None => (true, &value[1..], ""),
            },
            _ => match value.find(|c: char| c.is_whitespace()) {
                Some(end) => (false, "", &value[end..]),
                None => (true, value, ""),
            },
        };
        if is_open {
            let name = name.to_ascii_lowercase();
            let is_address = ADDRESS_ATTRIBUTES.contains(&name.as_str());
            return if is_address { Place::Address(inside.is_empty()) } else { Place::Attribute };
        }
        rest = after;
    }
    Place::Attribute
}

/// Whether an address has no scheme, or one that leads to pages or mail.
fn is_trusted(address: &[u8]) -> bool {
    let end = address.iter().position(|byte| matches!(byte, b':' | b'/' | b'?' | b'#'));
    let Some(end) = end.filter(|end| address.get(*end) == Some(&b':')) else { return true };
    let scheme = address.get(..end).unwrap_or_default();
    SCHEMES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(scheme))
}

/// Bytes that can't stand in an address are percent-encoded; what is encoded already stays.
fn normalized(address: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(address.len());
    for byte in address {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(*byte),
            _ if b"-._~!#$&*+,/:;=?@[]%".contains(byte) => out.push(*byte),
            other => out.extend(format!("%{other:02x}").bytes()),
        }
    }
    out
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        out.extend_from_slice(match byte {
            0 => "\u{fffd}".as_bytes(),
            b'"' => b"&#34;",
            b'\'' => b"&#39;",
            b'+' => b"&#43;",
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            other => std::slice::from_ref(other),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_from_what_was_written() {
        let at = |written: &str| place(written.as_bytes());
        assert_eq!(at("<p>a"), Place::Text);
        assert_eq!(at(""), Place::Text);
        assert_eq!(at("<p class=\"a"), Place::Attribute);
        assert_eq!(at("<a class='x' href=\""), Place::Address(true));
        assert_eq!(at("<a href=\"http://a/?q="), Place::Address(false));
        assert_eq!(at("<a href=\"x\" title="), Place::Attribute);
        assert_eq!(at("<a href=\"x\">"), Place::Text);
    }

    #[test]
    fn addresses_that_are_scripts_are_not_trusted() {
        for address in ["javascript:alert(1)", "JavaScript:x", "data:text/html,x", "x:y"] {
            assert!(!is_trusted(address.as_bytes()), "{address}");
        }
        for address in ["http://a/b", "HTTPS://a", "mailto:a@b", "/x:y", "?a:b", "", "a/b"] {
            assert!(is_trusted(address.as_bytes()), "{address}");
        }
    }
}
