//! The columns of a trace that its map is made of.

use std::borrow::Cow;
use std::sync::Arc;
use trace_store::{Column, ORPHAN, Piece, ROOT, StoreError, Table};

const SERVER: u8 = 2;
const CONSUMER: u8 = 5;
const ERROR: u8 = 2;

/// The spans of one trace, in tree order: a parent is before its children, siblings are in the order of
/// their start.
pub(super) struct TraceSpans<'p> {
    piece: &'p Piece,
    parents: &'p [u32],
    pub(super) starts: &'p [u64],
    durations: &'p [u64],
    kinds: &'p [u8],
    statuses: &'p [u8],
    ids: &'p [[u8; 8]],
    /// The service of each span: its place among the distinct ones.
    services: Vec<u32>,
    pub(super) service_names: Vec<String>,
}

impl<'p> TraceSpans<'p> {
    pub(super) fn of(piece: &'p Piece) -> Result<Self, StoreError> {
        let columns = piece.columns(Table::Resource, false, "service.name")?;
        let mut service_names: Vec<String> = Vec::new();
        let name = |row: usize| text_of(&columns, row).unwrap_or_default();
        let of_resource: Vec<u32> = (0..piece.table_rows(Table::Resource))
            .map(|row| {
                let name = name(row);
                let known = service_names.iter().position(|known| *known == *name);
                known.unwrap_or_else(|| {
                    service_names.push(name.into_owned());
                    service_names.len() - 1
                }) as u32
            })
            .collect();
        let resources = piece.entities(Table::Resource)?.iter();
        Ok(Self {
            piece,
            parents: piece.parents()?,
            starts: piece.starts()?,
            durations: piece.durations()?,
            kinds: piece.kinds()?,
            statuses: piece.statuses()?,
            ids: piece.span_ids()?,
            services: resources.map(|resource| of_resource[*resource as usize]).collect(),
            service_names,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.parents.len()
    }

    /// `None` for roots, and where the parent is not there.
    pub(super) fn parent(&self, row: usize) -> Option<usize> {
        match self.parents[row] {
            ROOT | ORPHAN => None,
            parent => Some(parent as usize),
        }
    }

    pub(super) fn duration(&self, row: usize) -> u64 {
        self.durations[row]
    }

    pub(super) fn end_of(&self, row: usize) -> u64 {
        self.starts[row].saturating_add(self.durations[row])
    }

    pub(super) fn start(&self) -> u64 {
        self.starts.iter().copied().min().unwrap_or_default()
    }

    pub(super) fn end(&self) -> u64 {
        (0..self.len()).map(|row| self.end_of(row)).max().unwrap_or_default()
    }

    pub(super) fn id(&self, row: u32) -> [u8; 8] {
        self.ids[row as usize]
    }

    pub(super) fn service(&self, row: usize) -> &str {
        &self.service_names[self.services[row] as usize]
    }

    pub(super) fn name(&self, row: usize) -> Result<Cow<'p, str>, StoreError> {
        let names: &'p trace_store::TextColumn = self.piece.names()?;
        Ok(names.get(row).map(String::from_utf8_lossy).unwrap_or_default())
    }

    pub(super) fn is_error(&self, row: usize) -> bool {
        self.statuses[row] == ERROR
    }

    /// Whether work is handed to this span, by a message or a call.
    pub(super) fn is_receiver(&self, row: usize) -> bool {
        matches!(self.kinds[row], SERVER | CONSUMER)
    }

    /// Whether work enters a service with this span.
    pub(super) fn is_entry(&self, row: usize) -> bool {
        self.is_receiver(row)
            || self.parent(row).is_none_or(|parent| self.services[parent] != self.services[row])
    }

    /// The first root, or the first span of all where there is none.
    pub(super) fn root(&self) -> usize {
        self.parents.iter().position(|parent| *parent == ROOT).unwrap_or_default()
    }

    /// The columns of an attribute of spans.
    pub(super) fn attribute(&self, name: &str) -> Result<Arc<[Column]>, StoreError> {
        self.piece.columns(Table::Span, false, name)
    }
}

/// The text that a row has in one of the columns of an attribute.
pub(super) fn text_of(columns: &[Column], row: usize) -> Option<Cow<'_, str>> {
    columns.iter().find_map(|column| match column {
        Column::Text(texts) => texts.get(row).map(String::from_utf8_lossy),
        _ => None,
    })
}
