//! Where the values of an attribute are in a piece.

use super::cell::{Cell, Id};
use crate::literal::{Kind, Status};
use crate::value::FieldValue;
use std::rc::Rc;
use std::sync::Arc;
use trace_store::{ABSENT, Column, Piece, RowSet, TextColumn, decode_value};
use wire::otlp::AnyValue;

/// The columns of one key of a table.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) list: Arc<[Column]>,
    /// For each column the values of its codes, where they are lists.
    lists: Vec<Vec<FieldValue>>,
    /// What a row without a value has.
    pub(crate) default: Default,
    /// Whole numbers are durations.
    pub(crate) are_durations: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    Nothing,
    EmptyText,
}

impl Default {
    pub(crate) fn cell(self) -> Cell<'static> {
        match self {
            Self::Nothing => Cell::Nil,
            Self::EmptyText => Cell::Text(b""),
        }
    }
}

impl Columns {
    pub(crate) fn new(list: Arc<[Column]>, default: Default, are_durations: bool) -> Self {
        let values = |column: &Column| match column {
            Column::Other(column) => column.values.iter().map(list_value).collect(),
            _ => Vec::new(),
        };
        let lists = list.iter().map(values).collect();
        Self { list, lists, default, are_durations }
    }

    /// The values of the codes of a column of lists.
    pub(crate) fn lists(&self, column: usize) -> &[FieldValue] {
        &self.lists[column]
    }

    pub(crate) fn has(&self, row: usize) -> bool {
        self.list.iter().any(|column| column.has(row))
    }

    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        let with_value = self.list.iter().zip(&self.lists).find(|(column, _)| column.has(row));
        let Some((column, lists)) = with_value else { return self.default.cell() };
        match column {
            Column::Text(column) => Cell::Text(column.values.get(column.codes[row] as usize)),
            Column::Int(column) if self.are_durations => Cell::Duration(column.values[row]),
            Column::Int(column) => Cell::Int(column.values[row]),
            Column::Double(column) => Cell::Float(column.values[row]),
            Column::Bool(column) => Cell::Bool(column.values[row]),
            Column::Other(column) => Cell::of(&lists[column.codes[row] as usize]),
        }
    }
}

/// A list of one element is that element; maps and bytes are there, but have no value.
pub(crate) fn list_value(bytes: &[u8]) -> FieldValue {
    let Ok(AnyValue::Array(mut values)) = decode_value(bytes) else { return FieldValue::Nil };
    match values.len() {
        1 => values.pop().map_or(FieldValue::Nil, element),
        _ => FieldValue::List(values.into_iter().map(element).collect()),
    }
}

fn element(value: AnyValue<'_>) -> FieldValue {
    match value {
        AnyValue::Text(text) => FieldValue::Text(text.into_owned()),
        AnyValue::Bool(value) => FieldValue::Bool(value),
        AnyValue::Int(value) => FieldValue::Int(value),
        AnyValue::Double(value) => FieldValue::Float(value),
        AnyValue::Empty | AnyValue::Array(_) | AnyValue::Map(_) | AnyValue::Bytes(_) => {
            FieldValue::Nil
        }
    }
}

/// Where the value of each span is.
#[derive(Debug)]
pub(crate) enum Source<'p> {
    Names(&'p TextColumn),
    Durations(&'p [u64]),
    Statuses(&'p [u8]),
    Kinds(&'p [u8]),
    SpanIds(&'p [[u8; 8]]),
    ParentIds(Vec<Option<[u8; 8]>>),
    TraceIds {
        ids: &'p [[u8; 16]],
        of: Rc<[u32]>,
    },
    /// Whole numbers that are worked out from the tree.
    Numbers(Rc<[i64]>),
    /// Texts of the roots of traces, empty where there is none; the root of each trace, and the trace of
    /// each span.
    Roots {
        source: Rc<Source<'p>>,
        roots: Vec<Option<u32>>,
        of: Rc<[u32]>,
    },
    /// Values of traces, and the trace of each span.
    Traces {
        values: Rc<[FieldValue]>,
        of: Rc<[u32]>,
    },
    Spans(Columns),
    /// Values of resources or scopes, of which there are so many, and the row of each span's.
    Entities {
        of: &'p [u32],
        entities: usize,
        columns: Columns,
    },
    /// Values of events or links, and where those of each span end.
    Children {
        ends: &'p [u32],
        columns: Columns,
    },
    /// The first that has a value.
    First(Vec<Source<'p>>),
}

/// The rows of a span's events or links.
pub(crate) fn children(ends: &[u32], row: usize) -> std::ops::Range<usize> {
    let start = if row == 0 { 0 } else { ends[row - 1] as usize };
    start..ends[row] as usize
}

impl Source<'_> {
    /// The value of a span: the first one where events or links have several.
    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Names(names) => match names.codes[row] {
                ABSENT => Cell::Text(b""),
                code => Cell::Text(names.values.get(code as usize)),
            },
            Self::Durations(durations) => Cell::Duration(signed(durations[row])),
            Self::Statuses(statuses) => Cell::Status(Status::of(statuses[row])),
            Self::Kinds(kinds) => Cell::Kind(Kind::of(kinds[row])),
            Self::SpanIds(ids) => Cell::Id(Id::of(&ids[row])),
            Self::ParentIds(ids) => ids[row].map_or(Cell::Nil, |id| Cell::Id(Id::of(&id))),
            Self::TraceIds { ids, of } => Cell::Id(Id::of(&ids[of[row] as usize])),
            Self::Numbers(numbers) => Cell::Int(numbers[row]),
            Self::Traces { values, of } => Cell::of(&values[of[row] as usize]),
            Self::Roots { source, roots, of } => {
                let root = roots[of[row] as usize];
                let cell = root.map_or(Cell::Nil, |root| source.cell(root as usize));
                if cell.is_nil() { Cell::Text(b"") } else { cell }
            }
            Self::Spans(columns) => columns.cell(row),
            Self::Entities { of, columns, .. } => columns.cell(of[row] as usize),
            Self::Children { ends, columns } => {
                let mut cells = children(ends, row).map(|child| columns.cell(child));
                cells.find(|cell| !cell.is_nil()).unwrap_or_default()
            }
            Self::First(sources) => {
                let mut cells = sources.iter().map(|source| source.cell(row));
                cells.find(|cell| !cell.is_nil()).unwrap_or_default()
            }
        }
    }

    /// Whether a span has a value, a list or map that can't be shown included.
    pub(crate) fn has(&self, row: usize) -> bool {
        match self {
            Self::ParentIds(ids) => ids[row].is_some(),
            Self::Spans(columns) => columns.default != Default::Nothing || columns.has(row),
            Self::Entities { of, columns, .. } => {
                columns.default != Default::Nothing || columns.has(of[row] as usize)
            }
            Self::Children { ends, columns } => {
                let has = |child| columns.default != Default::Nothing || columns.has(child);
                children(ends, row).any(has)
            }
            Self::First(sources) => sources.iter().any(|source| source.has(row)),
            _ => true,
        }
    }
}

pub(crate) fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// The rows of a piece that are to be looked at.
pub(crate) fn wanted(piece: &Piece) -> RowSet {
    piece.wanted().cloned().unwrap_or_else(|| RowSet::all(piece.rows()))
}
