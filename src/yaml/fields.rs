//! The fields of a mapping, taken by name until none is left.

use crate::FromNode;
use crate::error::{Error, with_article};
use crate::node::{Entry, Node, Place};
use model::nearest;

/// The fields of one mapping. Every field that a type knows is asked for; [`Fields::end`] refuses what
/// nobody asked for.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: &'a [Entry],
    place: Place,
    what: &'static str,
    /// All names that were asked for, for suggestions.
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(entries: &'a [Entry], place: Place, what: &'static str) -> Self {
        Self { entries, place, what, known: Vec::new() }
    }

    /// The value of a field as it stands there; `None` where it is absent.
    pub fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(&entry.value)
    }

    /// `None` where the field is absent or null.
    pub fn optional<T: FromNode>(&mut self, name: &'static str) -> Result<Option<T>, Error> {
        match self.take(name).filter(|node| !node.is_null()) {
            Some(node) => T::from_node(node).map(Some).map_err(|error| self.named(name, error)),
            None => Ok(None),
        }
    }

    pub fn or<T: FromNode>(&mut self, name: &'static str, default: T) -> Result<T, Error> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    pub fn or_default<T: FromNode + Default>(&mut self, name: &'static str) -> Result<T, Error> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    pub fn required<T: FromNode>(&mut self, name: &'static str) -> Result<T, Error> {
        let missing = format!("{} needs the field `{name}`", with_article(self.what));
        self.optional(name)?.ok_or_else(|| self.error(missing))
    }

    /// An error of a scalar says which field it is about; errors from deeper inside name their own.
    fn named(&self, name: &str, error: Error) -> Error {
        let is_here = self.entries.iter().any(|entry| {
            let place = Place { line: error.line, column: error.column };
            entry.name == name && entry.value.text().is_some() && entry.value.place() == place
        });
        if is_here {
            return Error { message: format!("`{name}`: {}", error.message), ..error };
        }
        error
    }

    /// Where the mapping begins.
    pub fn line(&self) -> usize {
        self.place.line
    }

    /// An error at the mapping.
    pub fn error(&self, message: impl Into<String>) -> Error {
        self.place.error(message)
    }

    /// Refuses the first field that was not asked for.
    pub fn end(self) -> Result<(), Error> {
        let unknown = self.entries.iter().find(|entry| !self.known.contains(&&*entry.name));
        let Some(entry) = unknown else { return Ok(()) };
        let mut message = format!("`{}` is not a field of {}", entry.name, with_article(self.what));
        if let Some(near) = nearest(&entry.name, self.known.iter().copied()) {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        Err(entry.place.error(message))
    }
}
