//! The labels of one line while it goes through the stages: those of its stream, its fields, and what
//! stages extract from it.
//!
//! One buffer holds the texts, so that a line costs no allocation. Invariants: a name is listed once;
//! what is listed hides the stream's label of that name; errors are labels only for those who ask.

use crate::labels::LabelPairs;
use crate::value::EntryLabels;
use model::{LABEL_LENGTH_MAX, Labels};
use std::ops::Range;

pub(crate) const ERROR: &str = "__error__";
pub(crate) const ERROR_DETAILS: &str = "__error_details__";
/// What is appended to the name of an extracted label that the line has already.
pub(crate) const EXTRACTED: &str = "_extracted";

/// Where a label comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Stream,
    Field,
    Parsed,
    /// The stream's label of this name is gone.
    Removed,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
    origin: Origin,
}

#[derive(Debug)]
pub(crate) struct LineLabels<'a> {
    stream: &'a Labels,
    text: String,
    entries: Vec<Entry>,
    error: Option<&'static str>,
    details: String,
}

impl<'a> LineLabels<'a> {
    pub(crate) fn new(stream: &'a Labels) -> Self {
        let (text, details) = (String::new(), String::new());
        Self { stream, text, entries: Vec::new(), error: None, details }
    }

    /// Begins another line.
    pub(crate) fn reset(&mut self, stream: &'a Labels) {
        self.stream = stream;
        self.text.clear();
        self.entries.clear();
        self.reset_error();
        self.details.clear();
    }

    fn find(&self, name: &str) -> Option<usize> {
        let is_it = |entry: &Entry| {
            entry.name.len() == name.len() && &self.text[entry.name.clone()] == name
        };
        self.entries.iter().position(is_it)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        if name.starts_with("__error") {
            match name {
                ERROR => return self.error,
                ERROR_DETAILS => return self.error_details(),
                _ => {}
            }
        }
        match self.find(name) {
            Some(index) => {
                let entry = &self.entries[index];
                (entry.origin != Origin::Removed).then(|| &self.text[entry.value.clone()])
            }
            None => self.stream.get(name),
        }
    }

    /// The label's value; empty where there is no such label.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    fn push_text(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn put(&mut self, name: &str, value: &str, origin: Origin) {
        // Series can't have longer ones, nor do people read them.
        let value = self.push_text(&value[..value.floor_char_boundary(LABEL_LENGTH_MAX)]);
        match self.find(name) {
            Some(index) => {
                let entry = &mut self.entries[index];
                (entry.value, entry.origin) = (value, origin);
            }
            None => {
                let name = self.push_text(name);
                self.entries.push(Entry { name, value, origin });
            }
        }
    }

    /// A field of the line. It is renamed where the stream has a label of that name.
    pub(crate) fn add_field(&mut self, name: &str, value: &str) {
        if self.stream.get(name).is_some() {
            let start = self.text.len();
            self.text.push_str(name);
            self.text.push_str(EXTRACTED);
            let name = start..self.text.len();
            let value = self.push_text(value);
            self.entries.push(Entry { name, value, origin: Origin::Field });
        } else {
            self.put(name, value, Origin::Field);
        }
    }

    /// Whether a label of this name comes from the stream or from a field, so that an extracted one
    /// must have another name.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        match self.find(name) {
            Some(index) => matches!(self.entries[index].origin, Origin::Field | Origin::Stream),
            None => self.stream.get(name).is_some(),
        }
    }

    /// Whether a stage has made a label of this name.
    pub(crate) fn is_parsed(&self, name: &str) -> bool {
        self.find(name).is_some_and(|index| self.entries[index].origin == Origin::Parsed)
    }

    /// Where a label comes from; `None` where it is not there.
    fn origin(&self, name: &str) -> Option<Origin> {
        match self.find(name) {
            Some(index) => Some(self.entries[index].origin).filter(|it| *it != Origin::Removed),
            None => self.stream.get(name).map(|_| Origin::Stream),
        }
    }

    /// Gives a label another name; it stays where it comes from. Nothing where there is none.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let (Some(origin), false) = (self.origin(from), from == to) else { return };
        let value = self.value(from).to_owned();
        self.remove(from);
        self.put(to, &value, origin);
    }

    pub(crate) fn set_parsed(&mut self, name: &str, value: &str) {
        self.put(name, value, Origin::Parsed);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        match name {
            ERROR => self.error = None,
            ERROR_DETAILS => self.details.clear(),
            _ => match self.find(name) {
                Some(index) => self.entries[index].origin = Origin::Removed,
                None if self.stream.get(name).is_some() => self.put(name, "", Origin::Removed),
                None => {}
            },
        }
    }

    /// All labels, without those of errors.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&str, &str)) {
        let made = self.of_origin(Origin::Field).chain(self.of_origin(Origin::Parsed));
        self.of_stream().chain(made).for_each(|(name, value)| visit(name, value));
    }

    // ── errors ──

    pub(crate) fn error(&self) -> Option<&'static str> {
        self.error
    }

    fn error_details(&self) -> Option<&str> {
        (!self.details.is_empty()).then_some(self.details.as_str())
    }

    /// `details` may be empty.
    pub(crate) fn set_error(&mut self, error: &'static str, details: &str) {
        self.error = Some(error);
        details.clone_into(&mut self.details);
    }

    pub(crate) fn reset_error(&mut self) {
        self.error = None;
    }

    // ── what comes out ──

    /// Appends what tells label sets of one stream apart. Equal keys mean equal labels.
    pub(crate) fn write_key(&self, key: &mut Vec<u8>) {
        let mut write = |tag: u8, name: &str, value: &str| {
            key.push(tag);
            key.extend_from_slice(&(name.len() as u32).to_le_bytes());
            key.extend_from_slice(name.as_bytes());
            key.extend_from_slice(&(value.len() as u32).to_le_bytes());
            key.extend_from_slice(value.as_bytes());
        };
        for entry in &self.entries {
            let (name, value) = (&self.text[entry.name.clone()], &self.text[entry.value.clone()]);
            write(entry.origin as u8, name, value);
        }
        write(u8::MAX, self.error.unwrap_or_default(), &self.details);
    }

    fn of_origin(&self, origin: Origin) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.entries.iter().filter(move |entry| entry.origin == origin);
        entries.map(|entry| (&self.text[entry.name.clone()], &self.text[entry.value.clone()]))
    }

    fn of_stream(&self) -> impl Iterator<Item = (&str, &str)> {
        let known = self.stream.iter().filter(|(name, _)| self.find(name).is_none());
        known.chain(self.of_origin(Origin::Stream))
    }

    fn of_errors(&self) -> impl Iterator<Item = (&str, &str)> {
        let error = self.error.map(|error| (ERROR, error));
        error.into_iter().chain(self.error_details().map(|details| (ERROR_DETAILS, details)))
    }

    pub(crate) fn sorted(&self) -> EntryLabels {
        EntryLabels {
            stream: LabelPairs::new(self.of_stream()),
            fields: LabelPairs::new(self.of_origin(Origin::Field)),
            parsed: LabelPairs::new(self.of_origin(Origin::Parsed).chain(self.of_errors())),
        }
    }

    /// All labels as those of a series. Empty ones are left out: a series can't have them.
    pub(crate) fn series(&self) -> Labels {
        let made = self.of_origin(Origin::Field).chain(self.of_origin(Origin::Parsed));
        Labels::from_pairs(self.of_stream().chain(made).chain(self.of_errors()))
    }

    /// How many bytes the texts of all labels have at most.
    pub(crate) fn length(&self) -> usize {
        self.stream.as_bytes().len() + self.text.len() + self.details.len() + 8 * self.entries.len()
    }
}

impl template::logql::Labels for LineLabels<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        LineLabels::get(self, name).map(str::as_bytes)
    }

    fn each<'l>(&'l self, visit: &mut dyn FnMut(&'l str, &'l [u8])) {
        let made = self.of_origin(Origin::Field).chain(self.of_origin(Origin::Parsed));
        let all = self.of_stream().chain(made).chain(self.of_errors());
        all.for_each(|(name, value)| visit(name, value.as_bytes()));
    }
}
