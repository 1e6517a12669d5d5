//! The rows of a row group that a reader looks at: all, or those of one trace.

use super::fixed::Wanted;
use super::reader::Group;
use crate::column::Column;
use crate::error::StoreError;
use crate::keys::{ColumnKey, Table};
use crate::piece::ForeignParent;
use columns::{RowSet, TextColumn};
use model::TimeRange;
use std::ops::Range;

#[derive(Clone, Debug)]
pub(crate) struct GroupRows {
    group: Group,
    rows: Wanted,
    /// The trace, if it is one.
    trace: Option<usize>,
}

impl GroupRows {
    pub(crate) fn all(group: Group) -> Self {
        let rows = group.all();
        Self { group, rows, trace: None }
    }

    /// The rows of one trace of these, which are all; `None` if there is no such trace.
    pub(crate) fn trace(&self, trace: usize) -> Result<Option<Self>, StoreError> {
        let list = self.group.trace_list()?;
        if self.trace.is_some() || trace >= list.ends.len() {
            return Ok(None);
        }
        let start = if trace == 0 { 0 } else { list.ends[trace - 1] as usize };
        let rows = Wanted { count: self.group.rows(), rows: start..list.ends[trace] as usize };
        Ok(Some(Self { group: self.group.clone(), rows, trace: Some(trace) }))
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows.rows.len()
    }

    /// Of the row group, also for one trace.
    pub(crate) fn time(&self) -> TimeRange {
        self.group.time()
    }

    pub(crate) fn keys(&self, table: Table) -> &[ColumnKey] {
        self.group.keys(table)
    }

    /// The ids and ends of the traces.
    pub(crate) fn traces(&self) -> Result<(Vec<[u8; 16]>, Vec<u32>), StoreError> {
        let list = self.group.trace_list()?;
        Ok(match self.trace {
            None => (list.ids.clone(), list.ends.clone()),
            Some(trace) => (vec![list.ids[trace]], vec![self.rows() as u32]),
        })
    }

    pub(crate) fn starts(&self, ends: &[u32], parents: &[u32]) -> Result<Vec<u64>, StoreError> {
        let list = self.group.trace_list()?;
        let starts = match self.trace {
            None => &list.starts[..],
            Some(trace) => &list.starts[trace..=trace],
        };
        self.group.starts_of(&self.rows, (ends, starts), parents)
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
        let first = self.first_child(&ends);
        Ok(ends[self.rows.rows.clone()].iter().map(|end| end - first).collect())
    }

    fn first_child(&self, ends: &[u32]) -> u32 {
        self.rows.rows.start.checked_sub(1).map_or(0, |before| ends[before])
    }

    /// The rows of a table.
    fn of_table(&self, table: Table) -> Result<Wanted, StoreError> {
        let count = self.group.table_rows(table);
        let rows: Range<usize> = match table {
            _ if self.trace.is_none() => 0..count,
            Table::Span => self.rows.rows.clone(),
            Table::Resource | Table::Scope => 0..count,
            Table::Event | Table::Link => {
                let ends = self.group.child_ends(usize::from(table == Table::Link))?;
                let first = self.first_child(&ends);
                first as usize..ends[self.rows.rows.end - 1] as usize
            }
        };
        Ok(Wanted { count, rows })
    }

    pub(crate) fn table_rows(&self, table: Table) -> usize {
        self.of_table(table).map_or(0, |wanted| wanted.rows.len())
    }

    /// The columns of a table whose keys are wanted.
    pub(crate) fn columns(
        &self,
        table: Table,
        is_wanted: impl Fn(&ColumnKey) -> bool,
    ) -> Result<Vec<Column>, StoreError> {
        let mut columns = Vec::new();
        let wanted = self.of_table(table)?;
        self.group.each_column(table, &wanted, is_wanted, |_, column| columns.push(column))?;
        Ok(columns)
    }

    /// The rows of a table in which an attribute is this text; `None` for one trace.
    pub(crate) fn rows_with_text(
        &self,
        table: Table,
        is_wanted: impl Fn(&ColumnKey) -> bool,
        text: &[u8],
    ) -> Result<Option<RowSet>, StoreError> {
        match self.trace {
            Some(_) => Ok(None),
            None => self.group.rows_with_text(table, is_wanted, text).map(Some),
        }
    }
}
