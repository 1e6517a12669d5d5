//! Whole traces as columns, for readers: a block of a head, or a row group of a part.
//!
//! Columns are decoded when they are first asked for, and kept while the piece is.

use crate::block::Block;
use crate::column::{Column, Dense, DenseValues, Numbered};
use crate::entries::{Entries, EntryColumns};
use crate::error::StoreError;
use crate::keys::{ColumnKey, Table};
use crate::part::{GroupRows, TraceList};
use crate::spans::{NO_ID, Spans, duration_of};
use crate::tree::{ORPHAN, ROOT};
use columns::{RowSet, TextColumn};
use model::TimeRange;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[derive(Debug)]
pub struct Piece {
    from: Stored,
    time: TimeRange,
    traces: OnceLock<Arc<TraceList>>,
    starts: OnceLock<Vec<u64>>,
    durations: OnceLock<Vec<u64>>,
    names: OnceLock<TextColumn>,
    kinds: OnceLock<Vec<u8>>,
    statuses: OnceLock<Vec<u8>>,
    span_ids: OnceLock<Vec<[u8; 8]>>,
    parents: OnceLock<(Vec<u32>, Vec<ForeignParent>)>,
    entities: [OnceLock<Vec<u32>>; 2],
    child_ends: [OnceLock<Vec<u32>>; 2],
    columns: Mutex<HashMap<AttributeName, Arc<[Column]>>>,
    wanted: Option<RowSet>,
}

/// The table, whether it is a property, and the name.
type AttributeName = (Table, bool, Box<str>);

#[derive(Debug)]
enum Stored {
    Block { block: Arc<Block>, keys: Vec<Vec<ColumnKey>> },
    Group(GroupRows),
}

/// The parent id of a span whose parent in the tree has another id, or that has none.
pub(crate) type ForeignParent = (u32, [u8; 8]);

/// Loads what is not there yet.
fn once<T>(
    cell: &OnceLock<T>,
    load: impl FnOnce() -> Result<T, StoreError>,
) -> Result<&T, StoreError> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = load()?;
    Ok(cell.get_or_init(|| value))
}

impl Piece {
    /// `None` if the block has no span.
    pub(crate) fn of_block(block: Arc<Block>) -> Option<Self> {
        let time = block.time()?;
        let keys = Table::ALL.map(|table| keys_of(&block.spans, table)).to_vec();
        Some(Self::new(Stored::Block { block, keys }, time))
    }

    pub(crate) fn of_group(rows: GroupRows) -> Self {
        let time = rows.time();
        Self::new(Stored::Group(rows), time)
    }

    /// Some traces, whose numbers rise, as a piece of its own. Of its columns only the rows of these traces
    /// are read: quicker than whole columns as long as they are few, or next to each other. `None` where
    /// columns are in memory.
    pub fn some(&self, traces: &[u32]) -> Result<Option<Self>, StoreError> {
        let Stored::Group(rows) = &self.from else { return Ok(None) };
        let mut some = Self::of_group(rows.some(traces)?);
        if let Some(wanted) = &self.wanted {
            let ends = &self.traces()?.ends;
            let first = |trace: u32| trace.checked_sub(1).map_or(0, |before| ends[before as usize]);
            // The rows of a trace are wanted all, or none of them.
            let is_wanted = |trace: &u32| wanted.contains(first(*trace) as usize);
            let mut are_wanted = traces.iter().map(is_wanted);
            some.leave_out(|_| !are_wanted.next().unwrap_or_default())?;
        }
        Ok(Some(some))
    }

    fn new(from: Stored, time: TimeRange) -> Self {
        Self {
            from,
            time,
            traces: OnceLock::new(),
            starts: OnceLock::new(),
            durations: OnceLock::new(),
            names: OnceLock::new(),
            kinds: OnceLock::new(),
            statuses: OnceLock::new(),
            span_ids: OnceLock::new(),
            parents: OnceLock::new(),
            entities: Default::default(),
            child_ends: Default::default(),
            columns: Mutex::default(),
            wanted: None,
        }
    }

    /// The rows that a reader should look at, which are those of whole traces; `None`: all. The others
    /// are deleted, or in another piece as well.
    pub fn wanted(&self) -> Option<&RowSet> {
        self.wanted.as_ref()
    }

    /// Leaves out the traces for which `is_left_out` holds.
    pub(crate) fn leave_out(
        &mut self,
        mut is_left_out: impl FnMut(&[u8; 16]) -> bool,
    ) -> Result<(), StoreError> {
        let rows = self.rows();
        let mut wanted = RowSet::none(rows);
        let mut start = 0;
        let TraceList { ids, ends, .. } = self.traces()?;
        for (id, end) in ids.iter().zip(ends) {
            if !is_left_out(id) {
                wanted.insert_range(start..*end as usize);
            }
            start = *end as usize;
        }
        self.wanted = (wanted.len() < rows).then_some(wanted);
        Ok(())
    }

    pub fn rows(&self) -> usize {
        match &self.from {
            Stored::Block { block, .. } => block.rows(),
            Stored::Group(rows) => rows.rows(),
        }
    }

    /// Nanoseconds, from the first start to the last end.
    pub fn time(&self) -> TimeRange {
        self.time
    }

    fn traces(&self) -> Result<&TraceList, StoreError> {
        let list = once(&self.traces, || match &self.from {
            Stored::Block { block, .. } => Ok(Arc::new(TraceList::of(block))),
            Stored::Group(rows) => rows.traces(),
        })?;
        Ok(list)
    }

    pub fn trace_ids(&self) -> Result<&[[u8; 16]], StoreError> {
        Ok(&self.traces()?.ids)
    }

    /// Behind the last span of each trace. A trace's spans are in tree order: depth first, siblings by
    /// their start; behind them the orphans with what is below them.
    pub fn trace_ends(&self) -> Result<&[u32], StoreError> {
        Ok(&self.traces()?.ends)
    }

    /// When the first span of each trace started, in nanoseconds. Traces are in this order.
    pub fn trace_starts(&self) -> Result<&[u64], StoreError> {
        Ok(&self.traces()?.starts)
    }

    /// From the start of each trace to the end of its last span to end, in nanoseconds.
    pub fn trace_durations(&self) -> Result<&[u64], StoreError> {
        Ok(&self.traces()?.durations)
    }

    /// Nanoseconds.
    pub fn starts(&self) -> Result<&[u64], StoreError> {
        match &self.from {
            Stored::Block { block, .. } => Ok(&block.spans.starts),
            Stored::Group(rows) => {
                Ok(once(&self.starts, || rows.starts(self.traces()?, self.parents()?))?)
            }
        }
    }

    /// Nanoseconds; 0 where a span ended before it started.
    pub fn durations(&self) -> Result<&[u64], StoreError> {
        Ok(once(&self.durations, || match &self.from {
            Stored::Block { block, .. } => {
                Ok(block.spans.lengths.iter().map(|length| duration_of(*length)).collect())
            }
            Stored::Group(rows) => {
                let mut lengths = rows.lengths()?;
                lengths.iter_mut().for_each(|length| *length = duration_of(*length));
                Ok(lengths)
            }
        })?)
    }

    pub fn names(&self) -> Result<&TextColumn, StoreError> {
        once(&self.names, || match &self.from {
            Stored::Block { block, .. } => {
                let mut column = Numbered { rows: block.rows(), ..Numbered::default() };
                let names = block.spans.names.iter().enumerate();
                names.for_each(|(row, name)| column.push(row, u64::from(*name)));
                let texts = block.spans.texts.texts();
                match column.dense(crate::ValueKind::Text, texts).values {
                    DenseValues::Text(column) => Ok(column),
                    _ => Ok(TextColumn::default()),
                }
            }
            Stored::Group(rows) => rows.names(),
        })
    }

    /// As OTLP numbers them.
    pub fn kinds(&self) -> Result<&[u8], StoreError> {
        match &self.from {
            Stored::Block { block, .. } => Ok(&block.spans.kinds),
            Stored::Group(rows) => Ok(once(&self.kinds, || rows.kinds())?),
        }
    }

    /// As OTLP numbers them.
    pub fn statuses(&self) -> Result<&[u8], StoreError> {
        match &self.from {
            Stored::Block { block, .. } => Ok(&block.spans.statuses),
            Stored::Group(rows) => Ok(once(&self.statuses, || rows.statuses())?),
        }
    }

    pub fn span_ids(&self) -> Result<&[[u8; 8]], StoreError> {
        match &self.from {
            Stored::Block { block, .. } => Ok(&block.spans.span_ids),
            Stored::Group(rows) => Ok(once(&self.span_ids, || rows.span_ids())?),
        }
    }

    fn tree(&self) -> Result<&(Vec<u32>, Vec<ForeignParent>), StoreError> {
        once(&self.parents, || match &self.from {
            Stored::Block { block, .. } => Ok((block.parents.clone(), foreign_parents(block))),
            Stored::Group(rows) => rows.tree(self.trace_ends()?),
        })
    }

    /// The row of each span's parent, or [`ROOT`] of one that names none, or [`ORPHAN`] of one whose
    /// parent never came.
    pub fn parents(&self) -> Result<&[u32], StoreError> {
        match &self.from {
            Stored::Block { block, .. } => Ok(&block.parents),
            Stored::Group(_) => Ok(&self.tree()?.0),
        }
    }

    /// The parent id that a span was sent with; `None` if it had none.
    pub fn parent_id(&self, row: usize) -> Result<Option<[u8; 8]>, StoreError> {
        let (parents, foreign) = self.tree()?;
        if let Ok(at) = foreign.binary_search_by_key(&(row as u32), |(row, _)| *row) {
            return Ok(Some(foreign[at].1).filter(|id| *id != NO_ID));
        }
        match parents[row] {
            ROOT | ORPHAN => Ok(None),
            parent => Ok(Some(self.span_ids()?[parent as usize])),
        }
    }

    /// The entry spans: as they are recorded, or from the columns.
    pub fn entries(&self) -> Result<Arc<Entries>, StoreError> {
        if let Stored::Group(rows) = &self.from
            && let Some(recorded) = rows.entries()?
        {
            return Ok(recorded);
        }
        let columns = EntryColumns {
            kinds: self.kinds()?,
            parents: self.parents()?,
            statuses: self.statuses()?,
            starts: self.starts()?,
        };
        let durations = self.durations()?;
        Ok(Arc::new(Entries::of(columns, |row| durations[row])))
    }

    /// The columns of a table.
    pub fn keys(&self, table: Table) -> &[ColumnKey] {
        match &self.from {
            Stored::Block { keys, .. } => &keys[table as usize],
            Stored::Group(rows) => rows.keys(table),
        }
    }

    /// The rows of a table.
    pub fn table_rows(&self, table: Table) -> usize {
        match &self.from {
            Stored::Block { block, .. } => block.spans.table(table).rows(),
            Stored::Group(rows) => rows.table_rows(table),
        }
    }

    /// The columns of a key, one for each type that occurs.
    pub fn columns(
        &self,
        table: Table,
        is_intrinsic: bool,
        name: &str,
    ) -> Result<Arc<[Column]>, StoreError> {
        let key = (table, is_intrinsic, name.into());
        let known = self.columns.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let fits = |key: &ColumnKey| key.is_intrinsic == is_intrinsic && *key.name == *name;
        let list: Vec<Column> = match &self.from {
            Stored::Block { block, .. } => columns_of(&block.spans, table, fits),
            Stored::Group(rows) => rows.columns(table, fits)?,
        };
        let list: Arc<[Column]> = list.into();
        let mut known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, Arc::clone(&list));
        Ok(list)
    }

    /// The values of all keys of a table, one after the other: quicker than their columns where all are
    /// needed once.
    pub fn each_column<E: From<StoreError>>(
        &self,
        table: Table,
        each: impl FnMut(&ColumnKey, Dense) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.from {
            Stored::Block { block, .. } => each_column_of(&block.spans, table, each),
            Stored::Group(rows) => rows.each_column(table, |_| true, each),
        }
    }

    /// The rows of a table in which an attribute or property is this text: quicker than its columns where
    /// these have not been read.
    pub fn rows_with_text(
        &self,
        table: Table,
        is_intrinsic: bool,
        name: &str,
        text: &[u8],
    ) -> Result<RowSet, StoreError> {
        let key = (table, is_intrinsic, name.into());
        let is_read =
            self.columns.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key);
        if let Stored::Group(rows) = &self.from
            && !is_read
        {
            let fits = |key: &ColumnKey| key.is_intrinsic == is_intrinsic && *key.name == *name;
            if let Some(found) = rows.rows_with_text(table, fits, text)? {
                return Ok(found);
            }
        }
        let mut found = RowSet::none(self.table_rows(table));
        for column in self.columns(table, is_intrinsic, name)?.iter() {
            let Column::Text(column) = column else { continue };
            let Some(wanted) = column.values.iter().position(|value| value == text) else {
                continue;
            };
            let rows = column.codes.iter().enumerate();
            rows.filter(|(_, code)| **code as usize == wanted)
                .for_each(|(row, _)| found.insert(row));
        }
        Ok(found)
    }

    /// For each span the row of its [`Table::Resource`] or [`Table::Scope`].
    pub fn entities(&self, table: Table) -> Result<&[u32], StoreError> {
        let index = usize::from(table == Table::Scope);
        match &self.from {
            Stored::Block { block, .. } => Ok(&block.spans.entities[index]),
            Stored::Group(rows) => Ok(once(&self.entities[index], || rows.entities(index))?),
        }
    }

    /// Behind the last [`Table::Event`] or [`Table::Link`] of each span.
    pub fn child_ends(&self, table: Table) -> Result<&[u32], StoreError> {
        let index = usize::from(table == Table::Link);
        match &self.from {
            Stored::Block { block, .. } => Ok(&block.spans.child_ends[index]),
            Stored::Group(rows) => Ok(once(&self.child_ends[index], || rows.child_ends(index))?),
        }
    }
}

/// The parent ids that are not those of the parents in the tree.
pub(crate) fn foreign_parents(block: &Block) -> Vec<ForeignParent> {
    let ids = &block.spans.span_ids;
    let is_foreign = |row: usize| match block.parents[row] {
        ROOT => false,
        ORPHAN => true,
        parent => ids[parent as usize] != block.spans.parent_ids[row],
    };
    let foreign = (0..block.rows()).filter(|row| is_foreign(*row));
    foreign.map(|row| (row as u32, block.spans.parent_ids[row])).collect()
}

/// The keys that some row of a table has.
fn keys_of(spans: &Spans, table: Table) -> Vec<ColumnKey> {
    let mut is_used = vec![false; spans.keys.len()];
    spans.table(table).keys.iter().for_each(|key| is_used[*key as usize] = true);
    let used = spans.keys.iter().zip(is_used).filter(|(_, is_used)| *is_used);
    used.map(|(key, _)| key.clone()).collect()
}

pub(crate) fn columns_of(
    spans: &Spans,
    table: Table,
    fits: impl Fn(&ColumnKey) -> bool,
) -> Vec<Column> {
    let attributes = spans.table(table);
    let numbers = (0..).zip(spans.keys.iter()).filter(|(_, key)| fits(key));
    let column = |(number, key): (u32, &ColumnKey)| {
        let mut values = Numbered { rows: attributes.rows(), ..Numbered::default() };
        for row in 0..attributes.rows() {
            let found = attributes.of(row).find(|(key, _)| *key == number);
            found.into_iter().for_each(|(_, value)| values.push(row, value));
        }
        let dense = || values.dense(key.kind, spans.texts.texts());
        (!values.of.is_empty()).then(|| dense().spread(attributes.rows()))
    };
    numbers.filter_map(column).collect()
}

/// The values of all keys of a table.
fn each_column_of<E>(
    spans: &Spans,
    table: Table,
    mut each: impl FnMut(&ColumnKey, Dense) -> Result<(), E>,
) -> Result<(), E> {
    let attributes = spans.table(table);
    let none = Numbered { rows: attributes.rows(), ..Numbered::default() };
    let mut columns = vec![none; spans.keys.len()];
    for row in 0..attributes.rows() {
        attributes.of(row).for_each(|(key, value)| columns[key as usize].push(row, value));
    }
    let texts = spans.texts.texts();
    let mut columns = spans.keys.iter().zip(&columns).filter(|(_, values)| !values.of.is_empty());
    columns.try_for_each(|(key, values)| each(key, values.dense(key.kind, texts)))
}
