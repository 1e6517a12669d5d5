//! What a template computes with.

use crate::object::Object;
use crate::time::Time;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value. Texts are borrowed from the data or the template wherever nothing was made of them.
#[derive(Clone, Debug, Default)]
pub enum Value<'a> {
    /// Go's nil, and what is missing: shown as `<no value>`, in lists as `<nil>`.
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, [u8]>),
    List(Arc<[Value<'a>]>),
    Map(Arc<Map<'a>>),
    Time(Time),
    /// Nanoseconds.
    Duration(i64),
    /// A value with fields and methods of its own, which the caller made.
    Object(Arc<dyn Object>),
    /// The data that the execution was given.
    Root,
}

/// What stands for a key that a map lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Nothing, shown as `<no value>`: maps of anything, such as JSON objects.
    #[default]
    Nothing,
    /// An empty text: maps of texts, such as labels.
    EmptyText,
}

impl Missing {
    pub(crate) fn value<'a>(self) -> Value<'a> {
        match self {
            Self::Nothing => Value::Nil,
            Self::EmptyText => Value::text(b""),
        }
    }
}

/// Values by key, in the order of the keys.
#[derive(Clone, Debug, Default)]
pub struct Map<'a> {
    pub entries: BTreeMap<String, Value<'a>>,
    pub missing: Missing,
}

impl<'a> Map<'a> {
    pub(crate) fn get(&self, key: &str) -> Value<'a> {
        self.entries.get(key).cloned().unwrap_or_else(|| self.missing.value())
    }
}

impl<'a> Value<'a> {
    pub const fn text(text: &'a [u8]) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub fn list(items: Vec<Self>) -> Self {
        Self::List(items.into())
    }

    pub fn map(entries: BTreeMap<String, Self>) -> Self {
        Self::Map(Arc::new(Map { entries, missing: Missing::Nothing }))
    }

    /// What `if` and `and` ask: whether it is something other than nothing, zero and empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Duration(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Object(object) => object.plain().is_true(),
            Self::Time(_) | Self::Root => true,
        }
    }

    /// The name of its type in Go, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(map) if map.missing == Missing::Nothing => "map[string]interface {}",
            Self::Map(_) | Self::Root => "map[string]string",
            Self::Time(_) => "time.Time",
            Self::Object(object) => object.type_name(),
            Self::Duration(_) => "time.Duration",
        }
    }

    /// What functions and loops see: of an object the list, the map or the text that it stands for.
    #[must_use]
    pub fn plain(self) -> Self {
        match self {
            Self::Object(object) => object.plain(),
            other => other,
        }
    }

    /// The bytes that only this value holds.
    pub(crate) fn owned_bytes(&self) -> usize {
        match self {
            Self::Text(Cow::Owned(text)) => text.len(),
            Self::Object(object) => object.bytes(),
            _ => 0,
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(text: Vec<u8>) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text.into_bytes()))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Value<'a> {
    fn from(text: Cow<'a, [u8]>) -> Self {
        Self::Text(text)
    }
}

impl From<Time> for Value<'_> {
    fn from(time: Time) -> Self {
        Self::Time(time)
    }
}
