//! The rows of a row group that a reader looks at: all, or those of some traces.

use super::fixed::{TraceList, Wanted};
use super::reader::Group;
use crate::column::{Column, Dense};
use crate::entries::Entries;
use crate::error::StoreError;
use crate::keys::{ColumnKey, Table};
use crate::piece::ForeignParent;
use columns::{RowSet, TextColumn};
use model::TimeRange;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct GroupRows {
    group: Group,
    rows: Wanted,
    /// The numbers of the traces, which rise. `None`: all.
    traces: Option<Arc<[u32]>>,
}

impl GroupRows {
    pub(crate) fn all(group: Group) -> Self {
        let rows = group.all();
        Self { group, rows, traces: None }
    }

    /// The rows of some traces of these, whose numbers rise.
    pub(crate) fn some(&self, traces: &[u32]) -> Result<Self, StoreError> {
        let list = self.group.trace_list()?;
        let traces: Arc<[u32]> = match &self.traces {
            None => traces.into(),
            Some(mine) => traces.iter().map(|trace| mine[*trace as usize]).collect(),
        };
        let rows = traces.iter().flat_map(|trace| list.rows(*trace as usize));
        let rows = Wanted::some(self.group.rows(), rows);
        Ok(Self { group: self.group.clone(), rows, traces: Some(traces) })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Of the row group, also for some traces.
    pub(crate) fn time(&self) -> TimeRange {
        self.group.time()
    }

    /// The recorded entry spans; `None` for some traces, and where they are not recorded.
    pub(crate) fn entries(&self) -> Result<Option<Arc<Entries>>, StoreError> {
        if self.traces.is_some() { Ok(None) } else { self.group.entries() }
    }

    pub(crate) fn keys(&self, table: Table) -> &[ColumnKey] {
        self.group.keys(table)
    }

    pub(crate) fn traces(&self) -> Result<Arc<TraceList>, StoreError> {
        let list = self.group.trace_list()?;
        Ok(match &self.traces {
            None => list,
            Some(traces) => Arc::new(list.some(traces)),
        })
    }

    pub(crate) fn starts(
        &self,
        traces: &TraceList,
        parents: &[u32],
    ) -> Result<Vec<u64>, StoreError> {
        self.group.starts_of(&self.rows, (&traces.ends, &traces.starts), parents)
    }

    pub(crate) fn lengths(&self) -> Result<Vec<u64>, StoreError> {
        self.group.lengths_of(&self.rows)
    }

    pub(crate) fn span_ids(&self) -> Result<Vec<[u8; 8]>, StoreError> {
        self.group.span_ids_of(&self.rows)
    }

    pub(crate) fn tree(&self, ends: &[u32]) -> Result<(Vec<u32>, Vec<ForeignParent>), StoreError> {
        self.group.tree_of(&self.rows, ends)
    }

    pub(crate) fn names(&self) -> Result<TextColumn, StoreError> {
        self.group.names_of(&self.rows)
    }

    pub(crate) fn kinds(&self) -> Result<Vec<u8>, StoreError> {
        self.group.kinds_of(&self.rows)
    }

    pub(crate) fn statuses(&self) -> Result<Vec<u8>, StoreError> {
        self.group.statuses_of(&self.rows)
    }

    /// The row of each span's resource (0) or scope (1).
    pub(crate) fn entities(&self, index: usize) -> Result<Vec<u32>, StoreError> {
        self.group.entities_of(&self.rows, index)
    }

    /// Behind the last event (0) or link (1) of each span.
    pub(crate) fn child_ends(&self, index: usize) -> Result<Vec<u32>, StoreError> {
        let ends = self.group.child_ends(index)?;
        let Some(rows) = self.rows.rows() else { return Ok(ends) };
        let mut end = 0;
        let of = |row: &u32| {
            end += children(&ends, *row as usize).len() as u32;
            end
        };
        Ok(rows.iter().map(of).collect())
    }

    /// The rows of a table.
    fn of_table(&self, table: Table) -> Result<Wanted, StoreError> {
        let count = self.group.table_rows(table);
        let Some(rows) = self.rows.rows() else { return Ok(Wanted::all(count)) };
        Ok(match table {
            Table::Span => self.rows.clone(),
            Table::Resource | Table::Scope => Wanted::all(count),
            Table::Event | Table::Link => {
                let ends = self.group.child_ends(usize::from(table == Table::Link))?;
                let of = |row: &u32| children(&ends, *row as usize);
                Wanted::some(count, rows.iter().flat_map(of))
            }
        })
    }

    pub(crate) fn table_rows(&self, table: Table) -> usize {
        self.of_table(table).map_or(0, |wanted| wanted.len())
    }

    /// The columns of a table whose keys are wanted.
    pub(crate) fn columns(
        &self,
        table: Table,
        is_wanted: impl Fn(&ColumnKey) -> bool,
    ) -> Result<Vec<Column>, StoreError> {
        let mut columns = Vec::new();
        let rows = self.table_rows(table);
        self.each_column(table, is_wanted, |_, values| {
            columns.push(values.spread(rows));
            Ok::<_, StoreError>(())
        })?;
        Ok(columns)
    }

    /// The values of the keys that are wanted.
    pub(crate) fn each_column<E: From<StoreError>>(
        &self,
        table: Table,
        is_wanted: impl Fn(&ColumnKey) -> bool,
        each: impl FnMut(&ColumnKey, Dense) -> Result<(), E>,
    ) -> Result<(), E> {
        self.group.each_column(table, &self.of_table(table)?, is_wanted, each)
    }

    /// The rows of a table in which an attribute is this text; `None` where not all rows are looked at.
    pub(crate) fn rows_with_text(
        &self,
        table: Table,
        is_wanted: impl Fn(&ColumnKey) -> bool,
        text: &[u8],
    ) -> Result<Option<RowSet>, StoreError> {
        match self.traces {
            Some(_) => Ok(None),
            None => self.group.rows_with_text(table, is_wanted, text).map(Some),
        }
    }
}

/// The rows of a span's events or links.
pub(super) fn children(ends: &[u32], row: usize) -> std::ops::Range<u32> {
    let start = if row == 0 { 0 } else { ends[row - 1] };
    start..ends[row]
}
