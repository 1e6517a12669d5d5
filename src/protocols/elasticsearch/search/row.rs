//! One line with its labels and fields, as conditions, aggregations and hits look at it.
//!
//! What costs something is done when it is asked for first: folding the line, reading its JSON.

use super::field::{DETECTED_LEVEL, Field, Fields, INDEX_LABEL, Named, OTHER_INDEX};
use super::words::fold;
use log_store::{LogField, LogRows};
use model::Labels;
use std::borrow::Cow;
use std::ops::ControlFlow;
use wire::json::{JsonError, JsonKind, JsonReader, JsonText};

/// What the rows of a piece have in common.
pub(super) struct PieceColumns<'p> {
    pub(super) rows: &'p LogRows<'p>,
    fields: &'p Fields,
    /// For each name of the request its column.
    columns: Vec<Option<&'p LogField>>,
    detected_level: Option<&'p LogField>,
}

impl<'p> PieceColumns<'p> {
    pub(super) fn new(rows: &'p LogRows<'p>, fields: &'p Fields) -> Self {
        let column = |name: &str| rows.fields.iter().find(|field| field.name == name);
        let columns = fields.all().iter().map(|named| column(&named.name)).collect();
        Self { rows, fields, columns, detected_level: column(DETECTED_LEVEL) }
    }
}

/// A stream, with the values of its labels that the names of the request mean: looked up once for all of
/// its rows.
pub(super) struct StreamLabels<'p> {
    labels: &'p Labels,
    values: Vec<Option<&'p str>>,
}

impl<'p> StreamLabels<'p> {
    pub(super) fn new(labels: &'p Labels, fields: &Fields) -> Self {
        let values = fields.all().iter().map(|named| label_of(labels, named)).collect();
        Self { labels, values }
    }
}

/// The buffers of a thread, reused from row to row.
#[derive(Debug, Default)]
pub(super) struct RowBuffers {
    /// For each name the value in the line's JSON.
    json: Vec<Option<String>>,
    folded: String,
    path: String,
}

/// A row.
pub(super) struct Row<'r> {
    piece: &'r PieceColumns<'r>,
    index: usize,
    stream: &'r StreamLabels<'r>,
    buffers: &'r mut RowBuffers,
    is_json_read: bool,
    is_folded: bool,
}

impl<'r> Row<'r> {
    pub(super) fn new(
        piece: &'r PieceColumns<'r>,
        index: usize,
        stream: &'r StreamLabels<'r>,
        buffers: &'r mut RowBuffers,
    ) -> Self {
        Self { piece, index, stream, buffers, is_json_read: false, is_folded: false }
    }

    pub(super) fn labels(&self) -> &'r Labels {
        self.stream.labels
    }

    pub(super) fn time(&self) -> i64 {
        self.piece.rows.times.get(self.index).copied().unwrap_or_default()
    }

    pub(super) fn line(&self) -> &'r [u8] {
        match self.piece.rows.lines.is_empty() {
            true => &[],
            false => self.piece.rows.lines.get(self.index),
        }
    }

    /// The fields that were read of the line.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> {
        let index = self.index;
        let fields = self.piece.rows.fields.iter();
        fields.filter_map(move |field| Some((field.name.as_str(), field.column.get(index)?)))
    }

    /// The line, folded.
    pub(super) fn folded(&mut self) -> &str {
        if !self.is_folded {
            self.buffers.folded.clear();
            fold(&String::from_utf8_lossy(self.line()), &mut self.buffers.folded);
            self.is_folded = true;
        }
        &self.buffers.folded
    }

    /// The value of a field; of the line itself and its time there is none.
    pub(super) fn value(&mut self, field: Field) -> Option<Cow<'_, str>> {
        match field {
            Field::Value(place) => self.named(place),
            Field::Index => Some(Cow::Borrowed(index_of(self.labels()))),
            Field::Id => Some(Cow::Owned(super::source::id(self))),
            Field::Time | Field::Line => None,
        }
    }

    /// Calls `visit` with each value of a field: with several, where it holds a list.
    pub(super) fn each_value(
        &mut self,
        field: Field,
        mut visit: impl FnMut(&str) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(value) = self.value(field) else { return ControlFlow::Continue(()) };
        match value.starts_with('[').then(|| list(&value)).flatten() {
            Some(values) => values.iter().try_for_each(|value| visit(value)),
            None => visit(&value),
        }
    }

    fn named(&mut self, place: usize) -> Option<Cow<'_, str>> {
        let named = self.piece.fields.named(place);
        if let Some(Some(value)) = self.stream.values.get(place) {
            return Some(Cow::Borrowed(value));
        }
        let column = self.piece.columns.get(place).copied().flatten();
        let level = self.piece.detected_level.filter(|_| named.is_level);
        let found =
            [column, level].into_iter().flatten().find_map(|one| one.column.get(self.index));
        if let Some(value) = found {
            return Some(String::from_utf8_lossy(value));
        }
        if !named.is_in_json {
            return None;
        }
        self.read_json();
        self.buffers.json.get(place)?.as_deref().map(Cow::Borrowed)
    }

    fn read_json(&mut self) {
        if self.is_json_read {
            return;
        }
        self.is_json_read = true;
        let RowBuffers { json, path, .. } = &mut *self.buffers;
        json.clear();
        json.resize(self.piece.fields.all().len(), None);
        let line = self.piece.rows.lines;
        let line = if line.is_empty() { &[][..] } else { line.get(self.index) };
        if line.trim_ascii_start().first() == Some(&b'{') {
            path.clear();
            // A line that is no JSON to its end has the values up to there.
            let _ = object(&mut JsonReader::new(line), path, self.piece.fields.all(), json);
        }
    }
}

/// The index of a stream's lines.
pub(super) fn index_of(labels: &Labels) -> &str {
    labels.get(INDEX_LABEL).unwrap_or(OTHER_INDEX)
}

/// The value of a stream's label that a name means.
pub(super) fn label_of<'l>(labels: &'l Labels, named: &Named) -> Option<&'l str> {
    labels.get(&named.label).or_else(|| match named.is_level {
        true => labels.get(DETECTED_LEVEL),
        false => None,
    })
}

/// Takes the values of the names out of an object; nested ones are named with dots. The first of equal
/// names counts.
fn object(
    reader: &mut JsonReader<'_>,
    path: &mut String,
    names: &[Named],
    values: &mut [Option<String>],
) -> Result<(), JsonError> {
    reader.object(|reader, key| {
        let length = path.len();
        key.append_to(path);
        let place = names.iter().position(|named| named.name == *path);
        let is_above = || {
            names.iter().any(|named| {
                named.name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let taken = match (place, reader.kind()?) {
            (_, JsonKind::Object) if is_above() => {
                path.push('.');
                object(reader, path, names, values)
            }
            (Some(place), JsonKind::Null) => {
                let _ = place;
                reader.null()
            }
            (Some(place), JsonKind::Text) => keep(reader.text()?, &mut values[place]),
            (Some(place), _) => {
                let text = String::from_utf8_lossy(reader.skip()?);
                values[place].get_or_insert_with(|| text.into_owned());
                Ok(())
            }
            (None, _) => reader.skip().map(drop),
        };
        path.truncate(length);
        taken
    })
}

fn keep(text: JsonText<'_>, into: &mut Option<String>) -> Result<(), JsonError> {
    if into.is_none() {
        text.append_to(into.insert(String::new()));
    }
    Ok(())
}

/// The values of a list of JSON; `None` where it is none.
fn list(text: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut reader = JsonReader::new(text.as_bytes());
    let read = reader.array(|reader| {
        match reader.kind()? {
            JsonKind::Text => reader.text()?.append_to({
                values.push(String::new());
                values.last_mut().expect("it has just been pushed")
            }),
            _ => values.push(String::from_utf8_lossy(reader.skip()?).into_owned()),
        }
        Ok::<(), JsonError>(())
    });
    read.and_then(|()| reader.end()).ok()?;
    Some(values)
}
