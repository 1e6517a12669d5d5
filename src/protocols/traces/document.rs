//! A trace as OTLP's messages, which every API of traces answers in some form.
//!
//! Clients of Tempo need more than OTLP asks for: every resource has an attribute, and scopes and statuses
//! are there although they are empty.

use std::collections::BTreeMap;
use trace_store::{Column, Piece, StoreError, Table, decode_value};
use wire::otlp::AnyValue as Decoded;
use wire::proto::opentelemetry::proto::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use wire::proto::opentelemetry::proto::resource::v1::Resource;
use wire::proto::opentelemetry::proto::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};

/// The attribute that a resource without any gets.
pub(crate) const SERVICE_NAME: &str = "service.name";
pub(crate) const UNKNOWN_SERVICE: &str = "unknown_service";

/// The spans of some rows of a piece, by resource and scope in the order of their first span.
pub(crate) fn resource_spans(
    piece: &Piece,
    rows: std::ops::Range<usize>,
) -> Result<Vec<ResourceSpans>, StoreError> {
    let tables = Tables::read(piece)?;
    let resources = piece.entities(Table::Resource)?;
    let scopes = piece.entities(Table::Scope)?;
    let trace_id = trace_of(piece, rows.start)?;
    let mut documents: Vec<ResourceSpans> = Vec::new();
    let mut places: BTreeMap<u32, (usize, BTreeMap<u32, usize>)> = BTreeMap::new();
    for row in rows {
        let (resource, scope) = (resources[row], scopes[row]);
        let (at, known) = places.entry(resource).or_insert_with(|| {
            documents.push(ResourceSpans {
                resource: Some(tables.resource(resource as usize)),
                scope_spans: Vec::new(),
            });
            (documents.len() - 1, BTreeMap::new())
        });
        let list = &mut documents[*at].scope_spans;
        let place = *known.entry(scope).or_insert_with(|| {
            let scope = Some(tables.scope(scope as usize));
            list.push(ScopeSpans { scope, spans: Vec::new() });
            list.len() - 1
        });
        list[place].spans.push(tables.span(piece, trace_id, row)?);
    }
    Ok(documents)
}

fn trace_of(piece: &Piece, row: usize) -> Result<[u8; 16], StoreError> {
    let trace = piece.trace_ends()?.partition_point(|end| *end as usize <= row);
    Ok(piece.trace_ids()?.get(trace).copied().unwrap_or_default())
}

/// A column, its name, and whether it is a property.
struct Named {
    is_intrinsic: bool,
    name: String,
    column: Column,
}

/// The columns of all tables.
struct Tables([Vec<Named>; 5]);

fn value(column: &Column, row: usize) -> Option<Value> {
    Some(match column {
        Column::Text(texts) => Value::StringValue(lossy(texts.get(row)?)),
        Column::Int(values) => Value::IntValue(values.get(row)?),
        Column::Double(values) => Value::DoubleValue(values.get(row)?),
        Column::Bool(values) => Value::BoolValue(values.get(row)?),
        Column::Other(texts) => other(&decode_value(texts.get(row)?).ok()?)?,
    })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Depth is bounded where values are read.
fn other(decoded: &Decoded<'_>) -> Option<Value> {
    let any = |decoded: &Decoded<'_>| AnyValue { value: other(decoded) };
    Some(match decoded {
        Decoded::Empty => return None,
        Decoded::Text(text) => Value::StringValue(text.to_string()),
        Decoded::Bool(value) => Value::BoolValue(*value),
        Decoded::Int(value) => Value::IntValue(*value),
        Decoded::Double(value) => Value::DoubleValue(*value),
        Decoded::Array(values) => {
            Value::ArrayValue(ArrayValue { values: values.iter().map(any).collect() })
        }
        Decoded::Map(entries) => Value::KvlistValue(KeyValueList {
            values: entries
                .iter()
                .map(|entry| KeyValue {
                    key: entry.key.to_string(),
                    value: Some(any(&entry.value)),
                })
                .collect(),
        }),
        Decoded::Bytes(bytes) => Value::BytesValue(bytes.to_vec()),
    })
}

impl Tables {
    fn read(piece: &Piece) -> Result<Self, StoreError> {
        let mut tables: [Vec<Named>; 5] = Default::default();
        for table in Table::ALL {
            let mut names: Vec<(bool, &str)> =
                piece.keys(table).iter().map(|key| (key.is_intrinsic, &*key.name)).collect();
            names.sort_unstable();
            names.dedup();
            for (is_intrinsic, name) in names {
                for column in piece.columns(table, is_intrinsic, name)?.iter() {
                    let (name, column) = (name.to_owned(), column.clone());
                    tables[table as usize].push(Named { is_intrinsic, name, column });
                }
            }
        }
        Ok(Self(tables))
    }

    fn attributes(&self, table: Table, row: usize) -> Vec<KeyValue> {
        let of_row = |named: &Named| {
            let is_there = !named.is_intrinsic && named.column.has(row);
            is_there.then(|| KeyValue {
                key: named.name.clone(),
                value: Some(AnyValue { value: value(&named.column, row) }),
            })
        };
        self.0[table as usize].iter().filter_map(of_row).collect()
    }

    fn property(&self, table: Table, name: &str, row: usize) -> Option<Value> {
        let mut of_name =
            self.0[table as usize].iter().filter(|named| named.is_intrinsic && named.name == name);
        of_name.find_map(|named| value(&named.column, row))
    }

    fn text(&self, table: Table, name: &str, row: usize) -> String {
        match self.property(table, name, row) {
            Some(Value::StringValue(text)) => text,
            _ => String::new(),
        }
    }

    fn number(&self, table: Table, name: &str, row: usize) -> i64 {
        match self.property(table, name, row) {
            Some(Value::IntValue(number)) => number,
            _ => 0,
        }
    }

    fn count(&self, table: Table, name: &str, row: usize) -> u32 {
        u32::try_from(self.number(table, name, row)).unwrap_or(0)
    }

    fn id(&self, table: Table, name: &str, row: usize) -> Vec<u8> {
        let mut id = Vec::new();
        columns::hex_to_ids(self.text(table, name, row).as_bytes(), &mut id);
        id
    }

    fn resource(&self, row: usize) -> Resource {
        let mut attributes = self.attributes(Table::Resource, row);
        if attributes.is_empty() {
            let text = Value::StringValue(UNKNOWN_SERVICE.to_owned());
            let value = Some(AnyValue { value: Some(text) });
            attributes.push(KeyValue { key: SERVICE_NAME.to_owned(), value });
        }
        Resource { attributes }
    }

    fn scope(&self, row: usize) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text(Table::Scope, "name", row),
            version: self.text(Table::Scope, "version", row),
            attributes: self.attributes(Table::Scope, row),
        }
    }

    fn span(&self, piece: &Piece, trace_id: [u8; 16], row: usize) -> Result<Span, StoreError> {
        let start = piece.starts()?[row];
        let children = |table| {
            let ends = piece.child_ends(table)?;
            let first = if row == 0 { 0 } else { ends[row - 1] as usize };
            Ok::<_, StoreError>(first..ends[row] as usize)
        };
        Ok(Span {
            trace_id: trace_id.to_vec(),
            span_id: piece.span_ids()?[row].to_vec(),
            trace_state: self.text(Table::Span, "traceState", row),
            parent_span_id: piece.parent_id(row)?.map_or(Vec::new(), |id| id.to_vec()),
            name: lossy(piece.names()?.get(row).unwrap_or_default()),
            kind: i32::from(piece.kinds()?[row]),
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(piece.durations()?[row]),
            attributes: self.attributes(Table::Span, row),
            dropped_attributes_count: self.count(Table::Span, "droppedAttributes", row),
            events: children(Table::Event)?.map(|child| self.event(child, start)).collect(),
            dropped_events_count: self.count(Table::Span, "droppedEvents", row),
            links: children(Table::Link)?.map(|child| self.link(child)).collect(),
            dropped_links_count: self.count(Table::Span, "droppedLinks", row),
            status: Some(Status {
                message: self.text(Table::Span, "statusMessage", row),
                code: i32::from(piece.statuses()?[row]),
            }),
            flags: self.count(Table::Span, "flags", row),
        })
    }

    fn event(&self, row: usize, start: u64) -> Event {
        let since = self.number(Table::Event, "timeSinceStart", row);
        Event {
            time_unix_nano: start.wrapping_add_signed(since),
            name: self.text(Table::Event, "name", row),
            attributes: self.attributes(Table::Event, row),
            dropped_attributes_count: self.count(Table::Event, "droppedAttributes", row),
        }
    }

    fn link(&self, row: usize) -> Link {
        Link {
            trace_id: self.id(Table::Link, "traceID", row),
            span_id: self.id(Table::Link, "spanID", row),
            trace_state: self.text(Table::Link, "traceState", row),
            attributes: self.attributes(Table::Link, row),
            dropped_attributes_count: self.count(Table::Link, "droppedAttributes", row),
            flags: self.count(Table::Link, "flags", row),
        }
    }
}
