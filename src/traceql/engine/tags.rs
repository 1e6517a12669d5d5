//! Which attributes there are, and which values they have.

use super::condition::Condition;
use super::source::Source;
use super::view::View;
use super::{Answer, Context, Engine, Request, Result, check_length, reading};
use crate::ast::FieldExpr;
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::check;
use crate::literal::{Kind, Status};
use crate::value::FieldValue;
use model::TimeUnit;
use platform::Clock;
use query::Weight;
use std::collections::{BTreeMap, BTreeSet};
use trace_store::{Piece, RowSet, Select, Table, TraceStore};

/// Whose names are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TagScope {
    Resource,
    Span,
    Event,
    Link,
    Instrumentation,
    /// Properties of spans and traces, which are always the same.
    Intrinsic,
}

impl TagScope {
    pub const ALL: [Self; 6] = [
        Self::Resource,
        Self::Span,
        Self::Event,
        Self::Link,
        Self::Instrumentation,
        Self::Intrinsic,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Span => "span",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
            Self::Intrinsic => "intrinsic",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    fn table(self) -> Option<(Table, Scope)> {
        match self {
            Self::Resource => Some((Table::Resource, Scope::Resource)),
            Self::Span => Some((Table::Span, Scope::Span)),
            Self::Event => Some((Table::Event, Scope::Event)),
            Self::Link => Some((Table::Link, Scope::Link)),
            Self::Instrumentation => Some((Table::Scope, Scope::Instrumentation)),
            Self::Intrinsic => None,
        }
    }
}

/// The names of attributes, without their scopes, in order.
pub type TagNames = BTreeMap<TagScope, BTreeSet<String>>;

/// The values of an attribute, in order.
pub type TagValues = BTreeSet<FieldValue>;

/// The properties that Tempo lists, which are not all that there are.
const INTRINSIC_TAGS: [&str; 25] = [
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "link:spanID",
    "link:traceID",
    "name",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:parentID",
    "span:status",
    "span:statusMessage",
    "status",
    "statusMessage",
    "trace:duration",
    "trace:id",
    "trace:rootName",
    "trace:rootService",
    "traceDuration",
];

impl Engine {
    /// The names of attributes, of one scope or all. `filter`: only of spans that fulfil it.
    pub fn tag_names(
        &self,
        store: &TraceStore,
        clock: &dyn Clock,
        request: &Request<'_>,
        scope: Option<TagScope>,
        filter: Option<&FieldExpr>,
    ) -> Result<Answer<TagNames>> {
        let scopes: Vec<TagScope> = TagScope::ALL
            .into_iter()
            .filter(|one| scope.is_none_or(|scope| scope == *one))
            .collect();
        let reading = Tags::new(self, clock, request, filter)?;
        let mut names = reading.each(store, TagNames::new, |names, view, rows| {
            for scope in &scopes {
                if let Some((table, of)) = scope.table() {
                    reading.add_names(names.entry(*scope).or_default(), view, (table, of), rows)?;
                }
            }
            Ok(())
        })?;
        if scopes.contains(&TagScope::Intrinsic) {
            names.insert(TagScope::Intrinsic, INTRINSIC_TAGS.map(str::to_owned).into());
        }
        names.retain(|_, names| !names.is_empty());
        Ok(reading.context.into_answer(names))
    }

    /// The values of an attribute. `filter`: only of spans that fulfil it. There are none of what is
    /// different in every span.
    pub fn tag_values(
        &self,
        store: &TraceStore,
        clock: &dyn Clock,
        request: &Request<'_>,
        tag: &Attribute,
        filter: Option<&FieldExpr>,
    ) -> Result<Answer<TagValues>> {
        let reading = Tags::new(self, clock, request, filter)?;
        let fixed = match tag.as_intrinsic() {
            Some(Intrinsic::Status) => Some(Status::ALL.map(FieldValue::Status).into()),
            Some(Intrinsic::Kind) => Some(Kind::ALL.map(FieldValue::Kind).into()),
            Some(intrinsic) if !has_values(intrinsic) => Some(TagValues::new()),
            _ => None,
        };
        if let Some(fixed) = fixed {
            return Ok(reading.context.into_answer(fixed));
        }
        let reading = Tags { are_whole: reading.are_whole || check::is_of_trace(tag), ..reading };
        let most = self.options().limits.values_max;
        let values = reading.each(store, TagValues::new, |values, view, rows| {
            if values.len() < most {
                let source = view.source(tag)?;
                let before = values.len();
                add_values(values, &source, rows, view.rows);
                reading.hold_values(values.len() - before)?;
            }
            Ok(())
        })?;
        let values = values.into_iter().take(most).collect();
        Ok(reading.context.into_answer(values))
    }
}

/// Whether values are shared by spans, so that listing them helps.
fn has_values(intrinsic: Intrinsic) -> bool {
    matches!(
        intrinsic,
        Intrinsic::Name
            | Intrinsic::StatusMessage
            | Intrinsic::RootName
            | Intrinsic::RootService
            | Intrinsic::EventName
            | Intrinsic::ScopeName
            | Intrinsic::ScopeVersion
    )
}

/// A reading of names or values.
struct Tags<'a> {
    context: Context<'a>,
    time: model::TimeRange,
    condition: Condition,
    are_whole: bool,
}

/// Merging of what threads have found.
trait Merge {
    fn merge(&mut self, other: Self);
}

impl Merge for TagNames {
    fn merge(&mut self, other: Self) {
        other.into_iter().for_each(|(scope, names)| self.entry(scope).or_default().extend(names));
    }
}

impl Merge for TagValues {
    fn merge(&mut self, other: Self) {
        self.extend(other);
    }
}

impl<'a> Tags<'a> {
    fn new(
        engine: &'a Engine,
        clock: &'a dyn Clock,
        request: &Request<'a>,
        filter: Option<&FieldExpr>,
    ) -> Result<Self> {
        check_length(request, engine.options().limits.search_length_max_ns)?;
        let condition = Condition::of_filter(filter, &mut request.regexes.clone())?;
        let time = TimeUnit::Nanos.between(request.start_ns, request.end_ns);
        let are_whole = filter.is_some_and(check::needs_trace);
        Ok(Self { context: engine.context(clock, request), time, condition, are_whole })
    }

    fn has_filter(&self) -> bool {
        !matches!(self.condition, Condition::Constant(true))
    }

    /// Calls `add` with every piece and the rows that count; `None`: all.
    fn each<T: Merge + Send>(
        &self,
        store: &TraceStore,
        empty: impl Fn() -> T + Sync,
        add: impl Fn(&mut T, &View<'_>, Option<&RowSet>) -> Result<()> + Sync,
    ) -> Result<T> {
        let select = Select { time: self.time, trace_id: None, are_whole: self.are_whole };
        let selection = self.context.select(store, &select)?;
        let pieces = (0..selection.pieces().len()).collect();
        let work = |found: &mut T, piece: &Piece| {
            let view = View::new(piece)?;
            if !self.has_filter() && view.is_whole() {
                return add(found, &view, None);
            }
            let rows = self.condition.rows(&view)?.and(&view.wanted);
            if rows.is_empty() { Ok(()) } else { add(found, &view, Some(&rows)) }
        };
        let states = reading::fold(&self.context, &selection, pieces, &empty, work)?;
        self.context.finish(&selection);
        let mut all = empty();
        states.into_iter().for_each(|state| all.merge(state));
        Ok(all)
    }

    fn add_names(
        &self,
        names: &mut BTreeSet<String>,
        view: &View<'_>,
        (table, scope): (Table, Scope),
        rows: Option<&RowSet>,
    ) -> Result<()> {
        let most = self.context.options.limits.values_max;
        for key in view.piece.keys(table).iter().filter(|key| !key.is_intrinsic) {
            if names.len() >= most || names.contains(&*key.name) {
                continue;
            }
            let is_there = match rows {
                None => true,
                Some(rows) => {
                    let source = view.source(&Attribute::named(scope, &*key.name))?;
                    rows.iter().any(|row| source.has(row))
                }
            };
            if is_there {
                names.insert(key.name.to_string());
                self.hold_values(1)?;
            }
        }
        Ok(())
    }

    fn hold_values(&self, count: usize) -> Result<()> {
        const VALUE: usize = 128;
        Ok(self.context.holding.take(Weight::bytes(count * VALUE))?)
    }
}

/// The elements of lists, not lists.
fn add_value(values: &mut TagValues, value: FieldValue) {
    match value {
        FieldValue::Nil => {}
        FieldValue::List(list) => list.into_iter().for_each(|value| add_value(values, value)),
        value => {
            values.insert(value);
        }
    }
}

fn add_values(values: &mut TagValues, source: &Source<'_>, rows: Option<&RowSet>, all: usize) {
    match source {
        Source::First(sources) => {
            sources.iter().for_each(|source| add_values(values, source, rows, all));
        }
        Source::Children { ends, columns } => {
            let children = match rows {
                None => RowSet::all(ends.last().map_or(0, |end| *end as usize)),
                Some(rows) => {
                    let mut found = RowSet::none(ends.last().map_or(0, |end| *end as usize));
                    let ranges = rows.iter().map(|row| super::source::children(ends, row));
                    ranges.for_each(|range| found.insert_range(range));
                    found
                }
            };
            let mut distinct = Distinct::default();
            children.iter().for_each(|child| distinct.add(values, columns.cell(child)));
        }
        source => add_coded(values, source, rows, all),
    }
}

/// Skips a value that is the same as the one before.
#[derive(Default)]
struct Distinct {
    last: FieldValue,
}

impl Distinct {
    fn add(&mut self, values: &mut TagValues, cell: super::cell::Cell<'_>) {
        if super::cell::compare(crate::ast::FieldOp::Eq, cell, super::cell::Cell::of(&self.last)) {
            return;
        }
        self.last = cell.to_value();
        add_value(values, self.last.clone());
    }
}

/// By codes, so that each value is looked at once.
fn add_coded(values: &mut TagValues, source: &Source<'_>, rows: Option<&RowSet>, all: usize) {
    let coded = super::metrics::Coded::new(source, all);
    let mut is_used = vec![false; coded.values.len()];
    match rows {
        None => (0..all).for_each(|row| is_used[coded.code(row)] = true),
        Some(rows) => rows.iter().for_each(|row| is_used[coded.code(row)] = true),
    }
    let used = is_used.iter().enumerate().filter(|(_, is_used)| **is_used);
    used.for_each(|(code, _)| add_value(values, coded.values.get(code)));
}
