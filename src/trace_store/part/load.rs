//! Reads spans of a row group with everything they have, for merges and for single traces.

use super::fixed::{TraceList, Wanted};
use super::reader::Group;
use super::rows::children;
use crate::column::{Dense, DenseValues};
use crate::error::StoreError;
use crate::keys::{ColumnKey, Table};
use crate::spans::{NO_ID, Spans};
use crate::tree::{ORPHAN, ROOT};
use columns::TextList;

/// Some traces of a row group, with their spans.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) spans: Spans,
    pub(crate) trace_ids: Vec<[u8; 16]>,
    /// Behind the last span of each trace.
    pub(crate) trace_ends: Vec<u32>,
    pub(crate) trace_starts: Vec<u64>,
}

impl Group {
    /// All traces.
    pub(crate) fn load(&self) -> Result<Loaded, StoreError> {
        let list = self.trace_list()?;
        let spans = self.spans(&self.all(), (&list.ids, &list.ends, &list.starts))?;
        let TraceList { ids, ends, starts, .. } = &*list;
        Ok(Loaded {
            spans,
            trace_ids: ids.clone(),
            trace_ends: ends.clone(),
            trace_starts: starts.clone(),
        })
    }

    /// The traces that are wanted, each by itself.
    pub(crate) fn load_some(
        &self,
        is_wanted: impl Fn(&[u8; 16]) -> bool,
    ) -> Result<Vec<Loaded>, StoreError> {
        let list = self.trace_list()?;
        let mut loaded = Vec::new();
        for (index, id) in list.ids.iter().enumerate().filter(|(_, id)| is_wanted(id)) {
            let rows = list.rows(index);
            let (ends, trace_starts) = (vec![rows.len() as u32], vec![list.starts[index]]);
            let wanted = Wanted::some(self.rows(), rows);
            let spans = self.spans(&wanted, (&[*id], &ends, &trace_starts))?;
            let (trace_ids, trace_ends) = (vec![*id], ends);
            loaded.push(Loaded { spans, trace_ids, trace_ends, trace_starts });
        }
        Ok(loaded)
    }

    fn spans(
        &self,
        wanted: &Wanted,
        (ids, ends, trace_starts): (&[[u8; 16]], &[u32], &[u64]),
    ) -> Result<Spans, StoreError> {
        let mut spans = Spans::default();
        for (id, end) in ids.iter().zip(ends) {
            spans.trace_ids.resize(*end as usize, *id);
        }
        spans.span_ids = self.span_ids_of(wanted)?;
        let (parents, foreign) = self.tree_of(wanted, ends)?;
        spans.starts = self.starts_of(wanted, (ends, trace_starts), &parents)?;
        spans.parent_ids = parents
            .iter()
            .map(|parent| match *parent {
                ROOT | ORPHAN => NO_ID,
                parent => spans.span_ids[parent as usize],
            })
            .collect();
        foreign.iter().for_each(|(row, id)| spans.parent_ids[*row as usize] = *id);
        spans.lengths = self.lengths_of(wanted)?;
        let names = self.names_of(wanted)?;
        let numbers = numbers_of(&names.values, &mut spans);
        spans.names = names.codes.iter().map(|code| numbers[*code as usize] as u32).collect();
        spans.kinds = self.kinds_of(wanted)?;
        spans.statuses = self.statuses_of(wanted)?;
        self.load_table(Table::Span, wanted, &mut spans)?;
        self.load_entities(wanted, &mut spans)?;
        self.load_children(wanted, &mut spans)?;
        Ok(spans)
    }

    fn load_entities(&self, wanted: &Wanted, spans: &mut Spans) -> Result<(), StoreError> {
        for (index, table) in [Table::Resource, Table::Scope].into_iter().enumerate() {
            let rows = self.entities_of(wanted, index)?;
            let mut known = Spans::default();
            self.load_table(table, &Wanted::all(self.table_rows(table)), &mut known)?;
            let mut remap = crate::spans::Remap::new(&known);
            spans.entities[index] =
                rows.iter().map(|row| remap.entity(&known, spans, table, *row)).collect();
        }
        Ok(())
    }

    fn load_children(&self, wanted: &Wanted, spans: &mut Spans) -> Result<(), StoreError> {
        for (index, table) in [Table::Event, Table::Link].into_iter().enumerate() {
            let ends = self.child_ends(index)?;
            let count = self.table_rows(table);
            let children = match wanted.rows() {
                None => {
                    spans.child_ends[index] = ends;
                    Wanted::all(count)
                }
                Some(rows) => {
                    let of = |row: &u32| children(&ends, *row as usize);
                    let mut end = 0;
                    spans.child_ends[index].extend(rows.iter().map(|row| {
                        end += of(row).len() as u32;
                        end
                    }));
                    Wanted::some(count, rows.iter().flat_map(of))
                }
            };
            self.load_table(table, &children, spans)?;
        }
        Ok(())
    }

    /// Adds the wanted rows of a table.
    fn load_table(
        &self,
        table: Table,
        wanted: &Wanted,
        spans: &mut Spans,
    ) -> Result<(), StoreError> {
        let rows = wanted.len();
        let mut columns: Vec<(u32, Vec<(u32, u64)>)> = Vec::new();
        let mut counts = vec![0u32; rows];
        if rows > 0 {
            self.each_column(
                table,
                wanted,
                |_| true,
                |key, column| {
                    let values = values_of(key, column, spans);
                    values.1.iter().for_each(|(row, _)| counts[*row as usize] += 1);
                    columns.push(values);
                    Ok::<_, StoreError>(())
                },
            )?;
        }
        // The values of a row stand together: each column puts its own behind those of the one before.
        let attributes = spans.table_mut(table);
        let mut next: Vec<u32> = Vec::with_capacity(rows);
        let mut end = 0;
        for count in counts {
            next.push(end);
            end += count;
            attributes.ends.push(end);
        }
        attributes.keys.resize(end as usize, 0);
        attributes.values.resize(end as usize, 0);
        for (key, values) in columns {
            for (row, value) in values {
                let at = &mut next[row as usize];
                attributes.keys[*at as usize] = key;
                attributes.values[*at as usize] = value;
                *at += 1;
            }
        }
        Ok(())
    }
}

/// The numbers that texts have in `spans`.
fn numbers_of(texts: &TextList, spans: &mut Spans) -> Vec<u64> {
    texts.iter().map(|text| spans.text(text)).collect()
}

/// The number of a column's key in `spans`, and the rows that have a value with that value.
fn values_of(key: &ColumnKey, column: Dense, spans: &mut Spans) -> (u32, Vec<(u32, u64)>) {
    let number = spans.key(key.is_intrinsic, key.kind, &key.name);
    let values: Vec<u64> = match column.values {
        DenseValues::Text(column) | DenseValues::Other(column) => {
            let numbers = numbers_of(&column.values, spans);
            column.codes.iter().map(|code| numbers[*code as usize]).collect()
        }
        DenseValues::Int(values) => values.iter().map(|value| *value as u64).collect(),
        DenseValues::Double(values) => values.iter().map(|value| value.to_bits()).collect(),
        DenseValues::Bool(values) => values.iter().map(|value| u64::from(*value)).collect(),
    };
    let of_rows = match column.rows {
        None => (0..).zip(values).collect(),
        Some(rows) => rows.iter().map(|row| row as u32).zip(values).collect(),
    };
    (number, of_rows)
}
