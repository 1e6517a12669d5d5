//! `_field_caps` and `_mapping`: which fields there are, and what their values are, found in the newest
//! lines and in the labels of their streams.

use super::envelope::Context;
use super::indices::{IndexPatterns, in_path};
use super::search::{INDEX_LABEL, MESSAGE, OTHER_INDEX, SearchError, TIME, is_like};
use axum::response::Response;
use log_store::{LogRows, NO_TEXTS, Needs, Order, Scratch, Select, Selection};
use model::TimeUnit;
use query::{Holding, Weight};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wire::json::JsonReader;
use wire::{FieldBuffer, flatten_json};

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Date,
    Text,
    Keyword,
    Boolean,
    Long,
    Double,
}

impl Kind {
    fn of(value: &str) -> Self {
        let is_decimal = value.bytes().any(|byte| byte.is_ascii_digit());
        match value {
            "true" | "false" => Self::Boolean,
            value if value.parse::<i64>().is_ok() => Self::Long,
            value if is_decimal && value.parse::<f64>().is_ok_and(f64::is_finite) => Self::Double,
            _ => Self::Keyword,
        }
    }

    /// Of values of both kinds.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Long, Self::Double) | (Self::Double, Self::Long) => Self::Double,
            _ => Self::Keyword,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Text => "text",
            Self::Keyword => "keyword",
            Self::Boolean => "boolean",
            Self::Long => "long",
            Self::Double => "double",
        }
    }
}

type Fields = BTreeMap<String, Kind>;

/// The fields that every line has.
const ALWAYS: [(&str, Kind); 2] = [(TIME, Kind::Date), (MESSAGE, Kind::Text)];

/// So many pieces are looked into, and so many lines of each.
const PIECES_MAX: usize = 4;
const LINES_MAX: usize = 1_000;
/// Lines that are older than the newest one by more than this are not looked at.
const SINCE_NS: i64 = 24 * 3_600 * 1_000_000_000;
/// What a field takes beside its name, and how many there may be.
const FIELD_BYTES: usize = 160;
const FIELDS_MAX: usize = 10_000;

/// The fields of each index that matches.
fn found(
    context: &Context,
    patterns: &IndexPatterns,
    memory: &Holding,
) -> Result<BTreeMap<String, Fields>, SearchError> {
    let store = &context.logs()?.store;
    let Some(all) = store.time_range(&context.call.tenant) else { return Ok(BTreeMap::new()) };
    let time = TimeUnit::Nanos.between(all.max.saturating_sub(SINCE_NS).max(all.min), all.max);
    let (matchers, needs) = (patterns.matchers()?, Needs { lines: true, fields: None });
    let order = Order::NewestFirst;
    let select = Select {
        time,
        matchers: &matchers,
        conditions: &[],
        identifier: None,
        texts: &NO_TEXTS,
        order,
        needs: &needs,
    };
    let selection = store.select(&context.call.tenant, &select)?;
    let (control, mut scratch) = (context.control(), Scratch::default());
    let mut looking =
        Looking { found: BTreeMap::new(), count: 0, memory, buffer: FieldBuffer::default() };
    for piece in 0..selection.pieces().len().min(PIECES_MAX) {
        control.check()?;
        let rows = selection.read(piece, &mut scratch)?;
        looking.rows(&selection, &rows)?;
    }
    Ok(looking.found)
}

struct Looking<'m> {
    found: BTreeMap<String, Fields>,
    count: usize,
    memory: &'m Holding,
    buffer: FieldBuffer,
}

impl Looking<'_> {
    fn rows(&mut self, selection: &Selection, rows: &LogRows<'_>) -> Result<(), SearchError> {
        // Rows lie by stream: some of each are looked at.
        let step = rows.times.len().div_ceil(LINES_MAX).max(1);
        for row in (0..rows.times.len()).step_by(step) {
            let labels = selection.labels(rows.streams[row]);
            let index = labels.get(INDEX_LABEL).unwrap_or(OTHER_INDEX).to_owned();
            for (name, _) in labels.iter().filter(|(name, _)| *name != INDEX_LABEL) {
                self.add(&index, name, Kind::Keyword)?;
            }
            for field in rows.fields {
                if let Some(value) = field.column.get(row) {
                    self.add(&index, &field.name, Kind::of(&String::from_utf8_lossy(value)))?;
                }
            }
            self.json(&index, rows.lines.get(row))?;
        }
        Ok(())
    }

    /// The values in a line of JSON.
    fn json(&mut self, index: &str, line: &[u8]) -> Result<(), SearchError> {
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        // A line that is no JSON to its end has the values up to there.
        let _ = flatten_json(&mut JsonReader::new(line), &mut buffer);
        let added =
            buffer.iter().try_for_each(|(name, value)| self.add(index, name, Kind::of(value)));
        self.buffer = buffer;
        added
    }

    fn add(&mut self, index: &str, name: &str, kind: Kind) -> Result<(), SearchError> {
        if !self.found.contains_key(index) {
            self.found.insert(
                index.to_owned(),
                ALWAYS.map(|(name, kind)| (name.to_owned(), kind)).into(),
            );
        }
        let Some(fields) = self.found.get_mut(index) else { return Ok(()) };
        match fields.get_mut(name) {
            Some(Kind::Date | Kind::Text) => {}
            Some(known) => *known = known.and(kind),
            None if self.count < FIELDS_MAX => {
                self.memory.take(Weight::bytes(name.len() + FIELD_BYTES))?;
                fields.insert(name.to_owned(), kind);
                self.count += 1;
            }
            None => {}
        }
        Ok(())
    }
}

/// The patterns of fields that are asked for, in the address or in the body.
fn asked(context: &Context) -> Result<Vec<String>, SearchError> {
    let of_address = context.parameters.text("fields");
    if !of_address.is_empty() {
        return Ok(of_address.split(',').map(str::to_owned).collect());
    }
    let body = context.json_body()?;
    let names = match body.get("fields") {
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(Value::String(names)) => names.split(',').map(str::to_owned).collect(),
        _ => vec!["*".to_owned()],
    };
    Ok(names)
}

pub(super) fn field_caps(context: &Context) -> Result<Response, SearchError> {
    let (memory, asked) = (context.memory(), asked(context)?);
    let patterns = IndexPatterns::parse(&in_path(&context.call.path))?;
    let found = found(context, &patterns, &memory)?;
    let mut all: Fields = ALWAYS.map(|(name, kind)| (name.to_owned(), kind)).into();
    for (name, kind) in found.values().flatten() {
        let known = all.entry(name.clone()).or_insert(*kind);
        *known = known.and(*kind);
    }
    let is_asked = |name: &str| asked.iter().any(|pattern| is_like(pattern, name));
    let caps = |(name, kind): (String, Kind)| {
        let kind_name = kind.name();
        let of_kind = json!({
            "type": kind_name, "metadata_field": false, "searchable": true, "aggregatable": kind != Kind::Text,
        });
        (name, json!({ kind_name: of_kind }))
    };
    let fields: Map<String, Value> =
        all.into_iter().filter(|(name, _)| is_asked(name)).map(caps).collect();
    let indices: Vec<&String> = found.keys().collect();
    context.answered(json!({ "indices": indices, "fields": fields }), &memory)
}

pub(super) fn mapping(context: &Context) -> Result<Response, SearchError> {
    let memory = context.memory();
    let patterns = IndexPatterns::parse(&in_path(&context.call.path))?;
    let of_index = |(index, fields): (String, Fields)| {
        let of_field = |(name, kind): (String, Kind)| (name, json!({ "type": kind.name() }));
        let properties: Map<String, Value> = fields.into_iter().map(of_field).collect();
        (index, json!({ "mappings": { "properties": properties } }))
    };
    let all: Map<String, Value> =
        found(context, &patterns, &memory)?.into_iter().map(of_index).collect();
    context.answered(Value::Object(all), &memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_values() {
        for (values, expected) in [
            (&["1", "-2"][..], "long"),
            (&["1", "2.5"], "double"),
            (&["true"], "boolean"),
            (&["true", "1"], "keyword"),
            (&["inf"], "keyword"),
            (&["10.0.0.1"], "keyword"),
        ] {
            let kind = values.iter().map(|value| Kind::of(value)).reduce(Kind::and);
            assert_eq!(kind.unwrap().name(), expected, "{values:?}");
        }
    }
}
