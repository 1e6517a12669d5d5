//! Spans in memory, as columns: what a batch holds on its way in, what a head holds, and what a part
//! holds of a row group while it is written or merged.

use crate::attributes::Attributes;
use crate::keys::{ColumnKey, Keys, Table, ValueKind};
use columns::Interner;

/// A parent id that stands for none.
pub(crate) const NO_ID: [u8; 8] = [0; 8];

/// Spans in any order.
///
/// Invariants: all columns of spans have the length of `starts`; every number of a text, key or entity
/// is there; ends never fall.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    /// Names of spans, and values of attributes.
    pub(crate) texts: Interner,
    pub(crate) keys: Keys,
    pub(crate) trace_ids: Vec<[u8; 16]>,
    pub(crate) span_ids: Vec<[u8; 8]>,
    pub(crate) parent_ids: Vec<[u8; 8]>,
    pub(crate) starts: Vec<u64>,
    /// End - start, which wraps where the end is before the start.
    pub(crate) lengths: Vec<u64>,
    pub(crate) names: Vec<u32>,
    pub(crate) kinds: Vec<u8>,
    pub(crate) statuses: Vec<u8>,
    /// The row of each span's resource and scope.
    pub(crate) entities: [Vec<u32>; 2],
    /// Behind the last event and link of each span.
    pub(crate) child_ends: [Vec<u32>; 2],
    tables: [Attributes; 5],
    /// The attributes of each distinct resource and scope.
    known: [Interner; 2],
    scratch: Vec<u8>,
}

/// What a span takes beside attributes, events and links.
const SPAN_BYTES: usize = 16 + 8 + 8 + 8 + 8 + 4 + 1 + 1 + 4 * 4;

/// The length in time of a span: 0 where the end is before the start.
pub(crate) fn duration_of(length: u64) -> u64 {
    if length > i64::MAX as u64 { 0 } else { length }
}

fn entity_index(table: Table) -> Option<usize> {
    match table {
        Table::Resource => Some(0),
        Table::Scope => Some(1),
        _ => None,
    }
}

impl Spans {
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(crate) fn table(&self, table: Table) -> &Attributes {
        &self.tables[table as usize]
    }

    pub(crate) fn table_mut(&mut self, table: Table) -> &mut Attributes {
        &mut self.tables[table as usize]
    }

    pub(crate) fn key(&mut self, is_intrinsic: bool, kind: ValueKind, name: &str) -> u32 {
        self.keys.number(is_intrinsic, kind, name)
    }

    pub(crate) fn text(&mut self, text: &[u8]) -> u64 {
        u64::from(self.texts.number(text))
    }

    /// Ends the row of a resource or scope that attributes were added to, and returns its row: an
    /// earlier one if that is equal, in whatever order their attributes came.
    pub(crate) fn end_entity(&mut self, table: Table) -> u32 {
        let Some(index) = entity_index(table) else { return 0 };
        let attributes = &mut self.tables[table as usize];
        self.scratch.clear();
        attributes.sort_row();
        let start = attributes.ends.last().map_or(0, |end| *end as usize);
        for (key, value) in attributes.keys[start..].iter().zip(&attributes.values[start..]) {
            self.scratch.extend_from_slice(&key.to_le_bytes());
            self.scratch.extend_from_slice(&value.to_le_bytes());
        }
        let row = self.known[index].number(&self.scratch);
        match row as usize == attributes.rows() {
            true => attributes.end_row(),
            false => attributes.drop_row(),
        }
        row
    }

    /// Ends the span whose attributes, events and links were added.
    pub(crate) fn end_span(&mut self, entities: [u32; 2]) {
        self.tables[Table::Span as usize].end_row();
        for (rows, row) in self.entities.iter_mut().zip(entities) {
            rows.push(row);
        }
        for (ends, table) in self.child_ends.iter_mut().zip([Table::Event, Table::Link]) {
            ends.push(self.tables[table as usize].rows() as u32);
        }
    }

    /// The rows of a span's events or links.
    pub(crate) fn children(&self, table: Table, row: usize) -> std::ops::Range<usize> {
        let ends = &self.child_ends[usize::from(table == Table::Link)];
        let start = if row == 0 { 0 } else { ends[row - 1] as usize };
        start..ends[row] as usize
    }

    /// The memory that it takes, also what it keeps for spans to come.
    pub(crate) fn bytes(&self) -> usize {
        let known = self.known.iter().map(Interner::memory).sum::<usize>();
        self.rows_bytes() + known + self.texts.memory() + self.keys.bytes()
    }

    /// The bytes of the spans that are there.
    pub(crate) fn content_bytes(&self) -> usize {
        self.rows_bytes() + self.texts.texts().bytes.len() + self.texts.len() * size_of::<u64>()
    }

    fn rows_bytes(&self) -> usize {
        self.len() * SPAN_BYTES + self.tables.iter().map(Attributes::bytes).sum::<usize>()
    }

    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.keys.clear();
        self.trace_ids.clear();
        self.span_ids.clear();
        self.parent_ids.clear();
        self.starts.clear();
        self.lengths.clear();
        self.names.clear();
        self.kinds.clear();
        self.statuses.clear();
        self.entities.iter_mut().chain(&mut self.child_ends).for_each(Vec::clear);
        self.tables.iter_mut().for_each(Attributes::clear);
        self.known.iter_mut().for_each(Interner::clear);
    }

    /// Whether two spans, of the same trace, are the same one sent twice.
    pub(crate) fn is_same(&self, row: usize, other: &Self, other_row: usize) -> bool {
        self.span_ids[row] == other.span_ids[other_row]
            && self.kinds[row] == other.kinds[other_row]
            && self.parent_ids[row] == other.parent_ids[other_row]
            && self.starts[row] == other.starts[other_row]
            && self.lengths[row] == other.lengths[other_row]
            && self.statuses[row] == other.statuses[other_row]
            && self.texts.texts().get(self.names[row] as usize)
                == other.texts.texts().get(other.names[other_row] as usize)
            && self.same_rows(Table::Span, row, other, other_row)
            && [Table::Event, Table::Link]
                .into_iter()
                .all(|table| self.same_children(table, row, other, other_row))
    }

    fn same_children(&self, table: Table, row: usize, other: &Self, other_row: usize) -> bool {
        let (mine, others) = (self.children(table, row), other.children(table, other_row));
        let pairs = mine.clone().zip(others.clone());
        mine.len() == others.len()
            && pairs.into_iter().all(|(mine, others)| self.same_rows(table, mine, other, others))
    }

    /// The order of attributes does not matter: parts forget it.
    fn same_rows(&self, table: Table, row: usize, other: &Self, other_row: usize) -> bool {
        let (mine, others) = (self.table(table), other.table(table));
        let has = |(key, value): (u32, u64)| {
            let key = self.keys.get(key);
            others.of(other_row).any(|(other_key, other_value)| {
                key == other.keys.get(other_key) && self.same_values(key, value, other, other_value)
            })
        };
        mine.range(row).len() == others.range(other_row).len() && mine.of(row).all(has)
    }

    fn same_values(&self, key: &ColumnKey, value: u64, other: &Self, other_value: u64) -> bool {
        match key.kind.is_text() {
            true => {
                self.texts.texts().get(value as usize)
                    == other.texts.texts().get(other_value as usize)
            }
            false => value == other_value,
        }
    }
}

/// What the numbers of one block of spans are in another one.
#[derive(Debug, Default)]
pub(crate) struct Remap {
    texts: Vec<u32>,
    keys: Vec<u32>,
    entities: [Vec<u32>; 2],
}

/// A number that has none yet.
const UNKNOWN: u32 = u32::MAX;

impl Remap {
    pub(crate) fn new(from: &Spans) -> Self {
        let rows = |table| vec![UNKNOWN; from.table(table).rows()];
        Self {
            texts: vec![UNKNOWN; from.texts.len()],
            keys: vec![UNKNOWN; from.keys.len()],
            entities: [rows(Table::Resource), rows(Table::Scope)],
        }
    }

    /// Forgets everything: the target is another one, or was cleared.
    pub(crate) fn clear(&mut self) {
        let Self { texts, keys, entities: [resources, scopes] } = self;
        [texts, keys, resources, scopes].into_iter().for_each(|numbers| numbers.fill(UNKNOWN));
    }

    fn text(&mut self, from: &Spans, to: &mut Spans, number: u32) -> u32 {
        let known = &mut self.texts[number as usize];
        if *known == UNKNOWN {
            *known = to.texts.number(from.texts.texts().get(number as usize));
        }
        *known
    }

    fn key(&mut self, from: &Spans, to: &mut Spans, number: u32) -> u32 {
        let known = &mut self.keys[number as usize];
        if *known == UNKNOWN {
            let ColumnKey { is_intrinsic, kind, name } = from.keys.get(number);
            *known = to.keys.number(*is_intrinsic, *kind, name);
        }
        *known
    }

    /// Copies the attributes of a row into the target's row that has not ended.
    fn attributes(&mut self, from: &Spans, to: &mut Spans, table: Table, row: usize) {
        for (key, value) in from.table(table).of(row) {
            let is_text = from.keys.get(key).kind.is_text();
            let key = self.key(from, to, key);
            let value = match is_text {
                true => u64::from(self.text(from, to, value as u32)),
                false => value,
            };
            to.table_mut(table).push(key, value);
        }
    }

    pub(crate) fn entity(&mut self, from: &Spans, to: &mut Spans, table: Table, row: u32) -> u32 {
        let index = usize::from(table == Table::Scope);
        if self.entities[index][row as usize] == UNKNOWN {
            self.attributes(from, to, table, row as usize);
            self.entities[index][row as usize] = to.end_entity(table);
        }
        self.entities[index][row as usize]
    }

    fn children(&mut self, from: &Spans, to: &mut Spans, table: Table, row: usize) {
        for child in from.children(table, row) {
            self.attributes(from, to, table, child);
            to.table_mut(table).end_row();
        }
    }

    /// Appends a span to the target, which is always the same one.
    pub(crate) fn copy(&mut self, from: &Spans, to: &mut Spans, row: usize) {
        to.trace_ids.push(from.trace_ids[row]);
        to.span_ids.push(from.span_ids[row]);
        to.parent_ids.push(from.parent_ids[row]);
        to.starts.push(from.starts[row]);
        to.lengths.push(from.lengths[row]);
        let name = self.text(from, to, from.names[row]);
        to.names.push(name);
        to.kinds.push(from.kinds[row]);
        to.statuses.push(from.statuses[row]);
        self.attributes(from, to, Table::Span, row);
        self.children(from, to, Table::Event, row);
        self.children(from, to, Table::Link, row);
        let resource = self.entity(from, to, Table::Resource, from.entities[0][row]);
        let scope = self.entity(from, to, Table::Scope, from.entities[1][row]);
        to.end_span([resource, scope]);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    type Attribute = (bool, u8, u8, u8);

    fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
        prop::collection::vec((any::<bool>(), 0u8..4, 0u8..5, 0u8..4), 0..5)
    }

    fn set(spans: &mut Spans, table: Table, attributes: &[Attribute]) {
        let mut seen = Vec::new();
        for (is_intrinsic, name, kind, value) in attributes {
            if seen.contains(&(is_intrinsic, name, kind)) {
                continue;
            }
            seen.push((is_intrinsic, name, kind));
            let kind = ValueKind::from_code(*kind).unwrap();
            let key = spans.key(*is_intrinsic, kind, &format!("k{name}"));
            let value = match kind {
                ValueKind::Text | ValueKind::Other => spans.text(&[b'v', *value]),
                ValueKind::Bool => u64::from(*value % 2),
                _ => u64::from(*value) << 40,
            };
            spans.table_mut(table).push(key, value);
        }
    }

    /// Spans of few traces with few ids.
    pub(crate) fn any_spans() -> impl Strategy<Value = Spans> {
        let ids = (0u8..6, 0u8..9, 0u8..9, 0u64..50, any::<u16>(), 0u8..6, 0u8..3);
        let tables = (attributes(), attributes(), attributes());
        let children = prop::collection::vec((any::<bool>(), attributes()), 0..3);
        let span = (ids, tables, children);
        prop::collection::vec(span, 1..60).prop_map(|list| {
            let mut spans = Spans::default();
            for ((trace, id, parent, start, length, kind, status), tables, children) in list {
                spans.trace_ids.push([trace; 16]);
                spans.span_ids.push([id + 1; 8]);
                spans.parent_ids.push([parent; 8]);
                spans.starts.push(1_700_000_000_000_000_000 + start);
                spans.lengths.push(u64::from(length).wrapping_sub(100));
                let name = spans.text(&[b'n', id % 3]) as u32;
                spans.names.push(name);
                spans.kinds.push(kind);
                spans.statuses.push(status);
                set(&mut spans, Table::Resource, &tables.0);
                let resource = spans.end_entity(Table::Resource);
                set(&mut spans, Table::Scope, &tables.1);
                let scope = spans.end_entity(Table::Scope);
                set(&mut spans, Table::Span, &tables.2);
                for (is_event, attributes) in children {
                    let table = if is_event { Table::Event } else { Table::Link };
                    set(&mut spans, table, &attributes);
                    spans.table_mut(table).end_row();
                }
                spans.end_span([resource, scope]);
            }
            spans
        })
    }

    proptest! {
        #[test]
        fn a_copy_is_the_same(spans in any_spans()) {
            let (mut copy, mut remap) = (Spans::default(), Remap::new(&spans));
            for row in (0..spans.len()).rev() {
                remap.copy(&spans, &mut copy, row);
            }
            for row in 0..spans.len() {
                let place = spans.len() - 1 - row;
                prop_assert!(spans.is_same(row, &copy, place));
                for (index, table) in [Table::Resource, Table::Scope].into_iter().enumerate() {
                    let (mine, other) = (spans.entities[index][row], copy.entities[index][place]);
                    prop_assert!(spans.same_rows(table, mine as usize, &copy, other as usize));
                }
            }
        }
    }
}
