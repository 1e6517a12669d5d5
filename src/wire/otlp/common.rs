//! Attributes, resources and scopes.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A value of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AnyValue<'a> {
    #[default]
    Empty,
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(Vec<AnyValue<'a>>),
    Map(Vec<Attribute<'a>>),
    Bytes(Cow<'a, [u8]>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribute<'a> {
    pub key: Cow<'a, str>,
    pub value: AnyValue<'a>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource<'a> {
    pub attributes: Vec<Attribute<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope<'a> {
    pub name: Cow<'a, str>,
    pub version: Cow<'a, str>,
    pub attributes: Vec<Attribute<'a>>,
}

impl<'a> AnyValue<'a> {
    /// The value of a label: text unchanged, everything else as JSON.
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Empty => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bytes(bytes) => Cow::Owned(base64_text(bytes)),
            _ => {
                let mut json = String::new();
                self.write_json(&mut json);
                Cow::Owned(json)
            }
        }
    }

    /// Appends what [`AnyValue::as_text`] answers.
    pub(crate) fn append_text(&self, out: &mut String) {
        match self {
            Self::Empty => {}
            Self::Text(text) => out.push_str(text),
            Self::Bytes(bytes) => out.push_str(&base64_text(bytes)),
            _ => self.write_json(out),
        }
    }

    /// Depth is bounded where values are read.
    fn write_json(&self, out: &mut String) {
        match self {
            Self::Empty => out.push_str("null"),
            Self::Text(text) => write_quoted(text, out),
            Self::Bytes(bytes) => write_quoted(&base64_text(bytes), out),
            Self::Bool(value) => drop(write!(out, "{value}")),
            Self::Int(value) => drop(write!(out, "{value}")),
            Self::Double(value) if value.is_finite() => out.push_str(&finite(*value)),
            Self::Double(value) => write_quoted(&model::format_float_go(*value), out),
            Self::Array(values) => {
                write_list(values, ['[', ']'], out, |value, out| value.write_json(out));
            }
            Self::Map(entries) => {
                // Whichever way they are sent, it is one value.
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|left, right| left.key.cmp(&right.key));
                write_list(&sorted, ['{', '}'], out, |entry, out| {
                    write_quoted(&entry.key, out);
                    out.push(':');
                    entry.value.write_json(out);
                });
            }
        }
    }
}

/// As JavaScript writes it: with an exponent only below 1e-6 and from 1e21 on.
fn finite(value: f64) -> String {
    match value.abs() {
        size if size != 0.0 && !(1e-6..1e21).contains(&size) => {
            let text = format!("{value:e}");
            if text.contains("e-") { text } else { text.replacen('e', "e+", 1) }
        }
        _ => value.to_string(),
    }
}

fn write_list<T>(
    items: &[T],
    [open, close]: [char; 2],
    out: &mut String,
    write: impl Fn(&T, &mut String),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

fn write_quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("text is always JSON"));
}

fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
