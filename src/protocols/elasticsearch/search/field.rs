//! The names of what a line has, as queries write them, and where their values come from.
//!
//! A name means the label of the stream, else the field of the line, else the value in the line's JSON:
//! the first of these that is there. Dots of a name are underscores in a label's, because labels get
//! their names so. `.keyword` at the end is left away, which Elasticsearch's mappings add.

use std::collections::BTreeSet;
use wire::otlp::sanitize_name;

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    /// `@timestamp`
    Time,
    /// `message`, `_source` and `_all`: the line.
    Line,
    /// `_index`
    Index,
    /// `_id`
    Id,
    /// A label, a field or a value in the line, by its place in [`Fields`].
    Value(usize),
}

pub(in crate::elasticsearch) const TIME: &str = "@timestamp";
pub(in crate::elasticsearch) const MESSAGE: &str = "message";
/// The label that holds the index of documents that came by Elasticsearch's API.
pub(in crate::elasticsearch) const INDEX_LABEL: &str = "_index";
/// The index of lines that came another way.
pub(in crate::elasticsearch) const OTHER_INDEX: &str = "mirador";
pub(in crate::elasticsearch) const ID: &str = "_id";
const LEVEL: &str = "level";
/// The field that says which level a line was found to have.
pub(in crate::elasticsearch) const DETECTED_LEVEL: &str = "detected_level";

/// A name of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    /// The label of that name.
    pub(super) label: String,
    /// Whether `detected_level` stands in where there is no label and no field.
    pub(super) is_level: bool,
    /// Whether it may lie in the line's JSON.
    pub(super) is_in_json: bool,
}

/// The names that a request looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    named: Vec<Named>,
}

impl Fields {
    pub(super) fn find(&mut self, name: &str) -> Field {
        let name = name.strip_suffix(".keyword").unwrap_or(name);
        match name {
            TIME => Field::Time,
            MESSAGE | "_source" | "_all" | "*" => Field::Line,
            INDEX_LABEL => Field::Index,
            ID => Field::Id,
            name => Field::Value(self.place(name)),
        }
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.named.iter().position(|named| named.name == name) {
            return place;
        }
        let is_level = name == LEVEL;
        let is_in_json = name != DETECTED_LEVEL;
        let (name, label) = (name.to_owned(), sanitize_name(name));
        self.named.push(Named { name, label, is_level, is_in_json });
        self.named.len() - 1
    }

    pub(super) fn all(&self) -> &[Named] {
        &self.named
    }

    pub(super) fn named(&self, place: usize) -> &Named {
        &self.named[place]
    }

    /// The fields of lines that must be read for them.
    pub(super) fn columns(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.named.iter().map(|one| one.name.clone()).collect();
        if self.named.iter().any(|named| named.is_level) {
            names.insert(DETECTED_LEVEL.to_owned());
        }
        names
    }
}
