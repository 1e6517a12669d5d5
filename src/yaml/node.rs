//! The tree of a file.

use crate::error::{Error, with_article};
use crate::{Fields, FromNode};
use std::sync::{Arc, OnceLock};

/// A value of a file: a scalar, a sequence or a mapping. Cloning costs a reference count; an alias is
/// the same node as its anchor.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) content: Content,
    pub(crate) place: Place,
    /// How many nodes stand in this one, aliases counted as often as they are used.
    pub(crate) weight: usize,
    /// What is printed instead of the content, set when the node is read as a secret.
    shown: OnceLock<String>,
}

#[derive(Debug)]
pub(crate) enum Content {
    Scalar { text: String, is_plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    pub(crate) fn error(self, message: impl Into<String>) -> Error {
        Error { line: self.line, column: self.column, message: message.into() }
    }
}

impl Node {
    pub(crate) fn new(content: Content, place: Place) -> Self {
        let inside = match &content {
            Content::Scalar { .. } => 0,
            Content::Sequence(items) => items.iter().map(Self::weight).sum(),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.value.weight()).sum(),
        };
        Self(Arc::new(Inner { content, place, weight: inside + 1, shown: OnceLock::new() }))
    }

    /// A text that stands where another node stands. It is printed with quotes where it needs them.
    pub fn quoted(text: &str, at: &Self) -> Self {
        Self::new(Content::Scalar { text: text.to_owned(), is_plain: false }, at.place())
    }

    /// The same for what is no text: a number, `true`, `false`.
    pub fn plain(text: &str, at: &Self) -> Self {
        Self::new(Content::Scalar { text: text.to_owned(), is_plain: true }, at.place())
    }

    /// A sequence that stands where another node stands.
    pub fn list(items: Vec<Self>, at: &Self) -> Self {
        Self::new(Content::Sequence(items), at.place())
    }

    /// A mapping that stands where another node stands. Of fields with the same name the last counts.
    pub fn mapping(fields: Vec<(String, Self)>, at: &Self) -> Self {
        let mut entries: Vec<Entry> = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            entries.retain(|entry| entry.name != name);
            entries.push(Entry { name, place: value.place(), value });
        }
        Self::new(Content::Mapping(entries), at.place())
    }

    pub(crate) fn null(place: Place) -> Self {
        Self::new(Content::Scalar { text: String::new(), is_plain: true }, place)
    }

    pub(crate) fn content(&self) -> &Content {
        &self.0.content
    }

    pub(crate) fn place(&self) -> Place {
        self.0.place
    }

    pub(crate) fn weight(&self) -> usize {
        self.0.weight
    }

    /// From 1.
    pub fn line(&self) -> usize {
        self.0.place.line
    }

    /// An empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match self.content() {
            Content::Scalar { text, is_plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// The text of a scalar as it is written, without its quotes.
    pub fn text(&self) -> Option<&str> {
        match self.content() {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A scalar without quotes, which may be a number or a boolean.
    pub fn is_plain(&self) -> bool {
        matches!(self.content(), Content::Scalar { is_plain: true, .. })
    }

    pub fn read<T: FromNode>(&self) -> Result<T, Error> {
        T::from_node(self)
    }

    /// The fields of a mapping; none where the node is null. `what` is the mapping's name for
    /// messages, without an article: `scrape_config`.
    pub fn fields(&self, what: &'static str) -> Result<Fields<'_>, Error> {
        match self.content() {
            Content::Mapping(entries) => Ok(Fields::new(entries, self.place(), what)),
            _ if self.is_null() => Ok(Fields::new(&[], self.place(), what)),
            _ => Err(self.error(format!("{} is a mapping of fields", with_article(what)))),
        }
    }

    /// The items of a sequence; none where the node is null.
    pub fn items(&self) -> Result<&[Self], Error> {
        match self.content() {
            Content::Sequence(items) => Ok(items),
            _ if self.is_null() => Ok(&[]),
            _ => Err(self.error("expected a list: write each item behind a `-`")),
        }
    }

    /// The entries of a mapping with free keys, in the order of the file; none where the node is null.
    pub fn entries(&self) -> Result<Vec<(&str, &Self)>, Error> {
        match self.content() {
            Content::Mapping(entries) => {
                Ok(entries.iter().map(|entry| (entry.name.as_str(), &entry.value)).collect())
            }
            _ if self.is_null() => Ok(Vec::new()),
            _ => Err(self.error("expected a mapping of names to values")),
        }
    }

    /// An error at this node.
    pub fn error(&self, message: impl Into<String>) -> Error {
        self.place().error(message)
    }

    /// From now on the node is printed as this text. The first call decides.
    pub fn show_as(&self, text: impl Into<String>) {
        let _decided = self.0.shown.set(text.into());
    }

    pub(crate) fn shown(&self) -> Option<&str> {
        self.0.shown.get().map(String::as_str)
    }
}
