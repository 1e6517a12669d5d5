//! A piece as conditions see it: attributes by name, and what is worked out from the tree of its spans.
//! Everything is made when it is first asked for, and belongs to one thread.

use super::Result;
use super::source::{Columns, Default, Source, signed};
use super::test::Test;
use super::tree::{NestedSets, child_counts, connected};
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::value::FieldValue;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use trace_store::{ABSENT, Piece, ROOT, RowSet, Table, ValueKind};

pub(crate) struct View<'p> {
    pub(crate) piece: &'p Piece,
    pub(crate) rows: usize,
    pub(crate) trace_ends: &'p [u32],
    /// The rows to be looked at.
    pub(crate) wanted: RowSet,
    /// The trace of each row.
    of: OnceCell<Rc<[u32]>>,
    nested: OnceCell<NestedSets>,
    connected: OnceCell<RowSet>,
    sources: RefCell<HashMap<Attribute, Rc<Source<'p>>>>,
}

/// The name of the attribute that says which service a resource is.
pub(crate) const SERVICE_NAME: &str = "service.name";

impl<'p> View<'p> {
    pub(crate) fn new(piece: &'p Piece) -> Result<Self> {
        Ok(Self {
            piece,
            rows: piece.rows(),
            trace_ends: piece.trace_ends()?,
            wanted: super::source::wanted(piece),
            of: OnceCell::new(),
            nested: OnceCell::new(),
            connected: OnceCell::new(),
            sources: RefCell::default(),
        })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.piece.wanted().is_none()
    }

    pub(crate) fn trace_rows(&self, trace: usize) -> Range<usize> {
        super::source::children(self.trace_ends, trace)
    }

    pub(crate) fn traces(&self) -> Range<usize> {
        0..self.trace_ends.len()
    }

    /// The trace of one row.
    pub(crate) fn trace_of_row(&self, row: usize) -> usize {
        self.trace_ends.partition_point(|end| *end as usize <= row)
    }

    /// The trace of each row.
    pub(crate) fn traces_of_rows(&self) -> &Rc<[u32]> {
        self.of.get_or_init(|| {
            let mut of = Vec::with_capacity(self.rows);
            for trace in self.traces() {
                of.resize(self.trace_ends[trace] as usize, trace as u32);
            }
            of.into()
        })
    }

    fn nested(&self) -> Result<&NestedSets> {
        if self.nested.get().is_none() {
            let nested = NestedSets::of(self.piece.parents()?, self.trace_ends);
            return Ok(self.nested.get_or_init(|| nested));
        }
        Ok(self.nested.get_or_init(NestedSets::default))
    }

    /// The rows that are below a root, which structural operators look at.
    pub(crate) fn connected(&self) -> Result<&RowSet> {
        let parents = self.piece.parents()?;
        Ok(self.connected.get_or_init(|| connected(parents)))
    }

    /// The roots, or all spans but those.
    pub(crate) fn roots(&self, are_wanted: bool) -> Result<RowSet> {
        let parents = self.piece.parents()?;
        Ok(RowSet::of(self.rows, |row| (parents[row] == ROOT) == are_wanted))
    }

    /// The root of a trace: the earliest, where there are several.
    pub(crate) fn root(&self, trace: usize) -> Result<Option<usize>> {
        let parents = self.piece.parents()?;
        Ok(self.trace_rows(trace).find(|row| parents[*row] == ROOT))
    }

    /// From the first start to the last end of a trace, in nanoseconds.
    pub(crate) fn bounds(&self, trace: usize) -> Result<(u64, u64)> {
        let start = self.piece.trace_starts()?[trace];
        Ok((start, start.saturating_add(self.piece.trace_durations()?[trace])))
    }

    /// The rows in which an attribute of spans is the text that a test asks for; `None` where the store
    /// can't tell without its column. Lists are equal to a text if they have it.
    pub(crate) fn rows_with_text(
        &self,
        attribute: &Attribute,
        test: &Test,
    ) -> Result<Option<RowSet>> {
        let Attribute::Named { scope: Scope::Span, name } = attribute else { return Ok(None) };
        let Some(text) = test.equal_text() else { return Ok(None) };
        let mut of_name = self.piece.keys(Table::Span).iter().filter(|key| *key.name == **name);
        if of_name.any(|key| !key.is_intrinsic && key.kind == ValueKind::Other) {
            return Ok(None);
        }
        let found = self.piece.rows_with_text(Table::Span, false, name, text.as_bytes())?;
        Ok(Some(found))
    }

    pub(crate) fn source(&self, attribute: &Attribute) -> Result<Rc<Source<'p>>> {
        if let Some(known) = self.sources.borrow().get(attribute) {
            return Ok(Rc::clone(known));
        }
        let source = Rc::new(match attribute {
            Attribute::Named { scope, name } => self.named(*scope, name)?,
            Attribute::Intrinsic { intrinsic, .. } => self.intrinsic(*intrinsic)?,
        });
        self.sources.borrow_mut().insert(attribute.clone(), Rc::clone(&source));
        Ok(source)
    }

    fn named(&self, scope: Scope, name: &str) -> Result<Source<'p>> {
        let table = match scope {
            Scope::Span => Table::Span,
            Scope::Resource => Table::Resource,
            Scope::Instrumentation => Table::Scope,
            Scope::Event => Table::Event,
            Scope::Link => Table::Link,
            Scope::None => {
                let order = [Table::Span, Table::Resource, Table::Event, Table::Link, Table::Scope];
                let has = |table: &Table| {
                    let mut keys = self.piece.keys(*table).iter();
                    keys.any(|key| !key.is_intrinsic && *key.name == *name)
                };
                let tables = order.into_iter().filter(has);
                let sources = tables.map(|table| self.attribute(table, name));
                let mut sources = sources.collect::<Result<Vec<_>>>()?;
                return match sources.len() {
                    1 => Ok(sources.remove(0)),
                    _ => Ok(Source::First(sources)),
                };
            }
        };
        self.attribute(table, name)
    }

    pub(crate) fn attribute(&self, table: Table, name: &str) -> Result<Source<'p>> {
        let list = self.piece.columns(table, false, name)?;
        self.of_table(table, Columns::new(list, Default::Nothing, false))
    }

    fn of_table(&self, table: Table, columns: Columns) -> Result<Source<'p>> {
        Ok(match table {
            Table::Span => Source::Spans(columns),
            Table::Resource | Table::Scope => {
                let (of, entities) = (self.piece.entities(table)?, self.piece.table_rows(table));
                Source::Entities { of, entities, columns }
            }
            Table::Event | Table::Link => {
                Source::Children { ends: self.piece.child_ends(table)?, columns }
            }
        })
    }

    fn property(&self, table: Table, name: &str, default: Default) -> Result<Source<'p>> {
        let list = self.piece.columns(table, true, name)?;
        let are_durations = name == "timeSinceStart";
        self.of_table(table, Columns::new(list, default, are_durations))
    }

    fn intrinsic(&self, intrinsic: Intrinsic) -> Result<Source<'p>> {
        let piece = self.piece;
        Ok(match intrinsic {
            Intrinsic::Duration => Source::Durations(piece.durations()?),
            Intrinsic::Name => Source::Names(piece.names()?),
            Intrinsic::Status => Source::Statuses(piece.statuses()?),
            Intrinsic::Kind => Source::Kinds(piece.kinds()?),
            Intrinsic::SpanId => Source::SpanIds(piece.span_ids()?),
            Intrinsic::ParentId => {
                let ids = (0..self.rows).map(|row| piece.parent_id(row));
                Source::ParentIds(ids.collect::<std::result::Result<_, _>>()?)
            }
            Intrinsic::TraceId => {
                Source::TraceIds { ids: piece.trace_ids()?, of: Rc::clone(self.traces_of_rows()) }
            }
            Intrinsic::ChildCount => Source::Numbers(child_counts(piece.parents()?).into()),
            Intrinsic::NestedSetLeft => Source::Numbers(Rc::clone(&self.nested()?.left)),
            Intrinsic::NestedSetRight => Source::Numbers(Rc::clone(&self.nested()?.right)),
            Intrinsic::NestedSetParent => Source::Numbers(Rc::clone(&self.nested()?.parent)),
            Intrinsic::TraceDuration => self.of_traces(|trace| {
                let (start, end) = self.bounds(trace)?;
                Ok(FieldValue::Duration(signed(end - start)))
            })?,
            Intrinsic::RootName => self.of_roots(Rc::new(Source::Names(piece.names()?)))?,
            Intrinsic::RootService => {
                let service = Attribute::named(Scope::Resource, SERVICE_NAME);
                self.of_roots(self.source(&service)?)?
            }
            Intrinsic::StatusMessage => {
                self.property(Table::Span, "statusMessage", Default::EmptyText)?
            }
            Intrinsic::ScopeName => self.property(Table::Scope, "name", Default::EmptyText)?,
            Intrinsic::ScopeVersion => {
                self.property(Table::Scope, "version", Default::EmptyText)?
            }
            Intrinsic::EventName => self.property(Table::Event, "name", Default::EmptyText)?,
            Intrinsic::EventTime => {
                self.property(Table::Event, "timeSinceStart", Default::Nothing)?
            }
            Intrinsic::LinkTraceId => self.property(Table::Link, "traceID", Default::Nothing)?,
            Intrinsic::LinkSpanId => self.property(Table::Link, "spanID", Default::Nothing)?,
        })
    }

    fn of_traces(&self, value: impl Fn(usize) -> Result<FieldValue>) -> Result<Source<'p>> {
        let values = self.traces().map(value).collect::<Result<Vec<_>>>()?;
        Ok(Source::Traces { values: values.into(), of: Rc::clone(self.traces_of_rows()) })
    }

    /// A text of each trace's root.
    fn of_roots(&self, source: Rc<Source<'p>>) -> Result<Source<'p>> {
        let parents = self.piece.parents()?;
        let mut roots = Vec::with_capacity(self.trace_ends.len());
        for trace in self.traces() {
            let root = self.trace_rows(trace).find(|row| parents[*row] == ROOT);
            roots.push(root.map(|row| row as u32));
        }
        Ok(Source::Roots { source, roots, of: Rc::clone(self.traces_of_rows()) })
    }

    /// The name of a span.
    pub(crate) fn name(&self, row: usize) -> Result<String> {
        let names = self.piece.names()?;
        Ok(match names.codes[row] {
            ABSENT => String::new(),
            code => String::from_utf8_lossy(names.values.get(code as usize)).into_owned(),
        })
    }
}
