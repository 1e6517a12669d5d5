//! `json`: all fields of an object, with the names of nested ones joined by `_`.
//!
//! Arrays and nulls are left out. `path`: `json a="b.c[0]"`. `scan`: what lies where in the line.
//! `unescape`: texts without escapes.

mod path;
pub(super) mod scan;
pub(super) mod unescape;

pub use path::{JsonPath, JsonPaths};

use super::buffers::as_text;
use super::error::{ExtractError, JsonMistake};
use super::names::push_name;
use super::{Buffers, Fields};
use scan::{Key, Kind, Members, Value};
use std::ops::ControlFlow;
use unescape::unescape;

/// Objects nested deeper than this are given as their JSON text.
const NESTING_MAX: usize = 128;

/// All fields of the object that the line is. Of a line with a mistake the fields before it are given.
pub fn extract(
    line: &[u8],
    buffers: &mut Buffers,
    fields: &mut impl Fields,
) -> Result<(), ExtractError> {
    let Buffers { name, key, bytes, text, .. } = buffers;
    name.clear();
    let mut flattener = Flattener { name, key, bytes, text, fields };
    let mut members = Members::open(line, 0)?;
    match flattener.object(&mut members, 0) {
        Ok(()) | Err(Stop::Enough) => Ok(()),
        Err(Stop::Mistake(mistake)) => Err(mistake.into()),
    }
}

/// The keys that lead to the field of this name: the first one that [`extract`] would give.
pub fn path_of(line: &[u8], name: &str) -> Option<Vec<String>> {
    let mut search = PathSearch { wanted: name, name: String::new(), path: Vec::new() };
    search.within(&mut Members::open(line, 0).ok()?)?;
    Some(search.path)
}

struct PathSearch<'n> {
    wanted: &'n str,
    /// The names around, joined.
    name: String,
    path: Vec<String>,
}

impl PathSearch<'_> {
    fn within(&mut self, members: &mut Members<'_>) -> Option<()> {
        while let Some(key) = members.next_key().ok()? {
            let outside = self.name.len();
            self.push_key(key)?;
            let (is_object, value) = (members.is_object(), members.value().ok()?);
            let is_before = self.wanted.strip_prefix(&self.name[..]);
            if is_object && self.path.len() <= NESTING_MAX {
                if is_before.is_some_and(|rest| rest.starts_with('_'))
                    && let Ok(mut inner) = Members::open(value.bytes, 0)
                    && self.within(&mut inner).is_some()
                {
                    return Some(());
                }
            } else if is_before == Some("") && !matches!(value.kind, Kind::Array | Kind::Null) {
                return Some(());
            }
            self.name.truncate(outside);
            self.path.pop();
        }
        None
    }

    fn push_key(&mut self, key: Key<'_>) -> Option<()> {
        let mut text = Vec::new();
        match key.has_escapes {
            true => unescape(key.bytes, &mut text)?,
            false => text.extend_from_slice(key.bytes),
        }
        if !self.name.is_empty() {
            self.name.push('_');
        }
        push_name(&text, &mut self.name);
        self.path.push(String::from_utf8_lossy(&text).into_owned());
        Some(())
    }
}

enum Stop {
    Mistake(JsonMistake),
    /// The caller wants no more.
    Enough,
}

impl From<JsonMistake> for Stop {
    fn from(mistake: JsonMistake) -> Self {
        Self::Mistake(mistake)
    }
}

struct Flattener<'b, F> {
    /// The names around, and while a member is read its own.
    name: &'b mut String,
    key: &'b mut Vec<u8>,
    bytes: &'b mut Vec<u8>,
    text: &'b mut String,
    fields: &'b mut F,
}

impl<F: Fields> Flattener<'_, F> {
    fn object(&mut self, members: &mut Members<'_>, depth: usize) -> Result<(), Stop> {
        while let Some(key) = members.next_key()? {
            let outside = self.name.len();
            self.push_key(key)?;
            if members.is_object() && depth < NESTING_MAX {
                self.nested(members, depth)?;
            } else {
                self.member(members.value()?)?;
            }
            self.name.truncate(outside);
        }
        Ok(())
    }

    fn push_key(&mut self, key: Key<'_>) -> Result<(), JsonMistake> {
        if !self.name.is_empty() {
            self.name.push('_');
        }
        if !key.has_escapes {
            push_name(key.bytes, self.name);
            return Ok(());
        }
        self.key.clear();
        unescape(key.bytes, self.key).ok_or(JsonMistake::Escape)?;
        push_name(self.key, self.name);
        Ok(())
    }

    /// The outermost of nested objects must end before anything of it is given. Those within then end
    /// too, so that no byte is looked at more than twice, however deep the nesting is.
    fn nested(&mut self, members: &mut Members<'_>, depth: usize) -> Result<(), Stop> {
        if !self.wants_below() {
            members.value()?;
            return Ok(());
        }
        if depth == 0 {
            let object = members.value()?;
            return self.object(&mut Members::open(object.bytes, 0)?, depth + 1);
        }
        let mut inner = members.inner()?;
        self.object(&mut inner, depth + 1)?;
        members.go_on_behind(&inner);
        Ok(())
    }

    fn wants_below(&mut self) -> bool {
        if self.name.is_empty() {
            return true;
        }
        self.name.push('_');
        let wants = self.fields.wants_below(self.name);
        self.name.pop();
        wants
    }

    fn member(&mut self, value: Value<'_>) -> Result<(), Stop> {
        let is_left_out = matches!(value.kind, Kind::Array | Kind::Null);
        // A key of nothing but spaces is no name.
        if is_left_out || self.name.is_empty() || !self.fields.wants(self.name) {
            return Ok(());
        }
        let value = match value.kind {
            Kind::Text => shown(value.bytes, self.bytes, self.text),
            _ => as_text(value.bytes, self.text),
        };
        match self.fields.field(self.name, value) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Enough),
        }
    }
}

/// A text without its escapes; empty where one of them is wrong.
pub(super) fn shown<'b>(
    escaped: &'b [u8],
    bytes: &'b mut Vec<u8>,
    text: &'b mut String,
) -> &'b str {
    if memchr::memchr(b'\\', escaped).is_none() {
        return as_text(escaped, text);
    }
    bytes.clear();
    match unescape(escaped, bytes) {
        Some(()) => as_text(bytes, text),
        None => "",
    }
}
