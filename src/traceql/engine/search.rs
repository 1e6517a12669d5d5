//! Searching for traces: the newest that match, with the spans that did.
//!
//! Pieces are read from the newest on, as many at once as there are threads. The answer is the newest
//! traces by their start, ties by their id, whatever the pieces and threads; reading ends when no piece
//! that is left can hold a newer one.

use super::plan::{Plan, Sets, Shown};
use super::sets::{self, SpanSet};
use super::source::Source;
use super::view::{SERVICE_NAME, View};
use super::{Context, Result, reading};
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::value::FieldValue;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace_store::{Piece, RowSet, Select, TraceStore};

/// What a search asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// Traces.
    pub traces: usize,
    /// Spans of each set.
    pub spans: usize,
}

/// A trace that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceFound {
    pub trace_id: [u8; 16],
    /// `None` where the root has not arrived.
    pub root_service: Option<String>,
    pub root_name: Option<String>,
    pub start_ns: u64,
    pub duration_ns: u64,
    pub sets: Vec<SetFound>,
    pub services: BTreeMap<String, ServiceSpans>,
}

/// How many spans of a trace are a service's, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceSpans {
    pub spans: u64,
    pub errors: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SetFound {
    /// How many spans there are, of which some are listed.
    pub matched: usize,
    pub attributes: Vec<(String, FieldValue)>,
    pub spans: Vec<SpanFound>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SpanFound {
    pub span_id: [u8; 8],
    pub name: String,
    pub start_ns: u64,
    pub duration_ns: u64,
    /// What the query asked of it, under the names without scopes.
    pub attributes: Vec<(String, FieldValue)>,
}

impl TraceFound {
    /// Newest first.
    fn order(&self) -> (std::cmp::Reverse<u64>, [u8; 16]) {
        (std::cmp::Reverse(self.start_ns), self.trace_id)
    }

    fn bytes(&self) -> usize {
        let attributes = |list: &[(String, FieldValue)]| -> usize {
            list.iter().map(|(name, value)| 64 + name.len() + value.bytes()).sum()
        };
        let span = |span: &SpanFound| 128 + span.name.len() + attributes(&span.attributes);
        let set = |set: &SetFound| {
            64 + attributes(&set.attributes) + set.spans.iter().map(span).sum::<usize>()
        };
        256 + 64 * self.services.len() + self.sets.iter().map(set).sum::<usize>()
    }
}

/// The newest traces so far.
#[derive(Debug, Default)]
struct Newest {
    limit: usize,
    traces: Vec<TraceFound>,
    bytes: usize,
}

impl Newest {
    /// The start before which a trace is of no use.
    fn floor(&self) -> Option<u64> {
        let is_full = self.traces.len() >= self.limit;
        self.traces.last().filter(|_| is_full).map(|last| last.start_ns)
    }

    fn add(&mut self, traces: Vec<TraceFound>) {
        self.traces.extend(traces);
        self.traces.sort_by_key(TraceFound::order);
        self.traces.truncate(self.limit);
        self.bytes = self.traces.iter().map(TraceFound::bytes).sum();
    }
}

/// A search on its way.
struct Search<'s> {
    context: &'s Context<'s>,
    plan: &'s Plan,
    select: &'s Select,
    limits: SearchLimits,
    /// The newest traces of a piece were looked at first, and more were needed.
    is_sparse: AtomicBool,
}

pub(super) fn run(
    context: &Context<'_>,
    store: &TraceStore,
    plan: &Plan,
    select: &Select,
    limits: SearchLimits,
) -> Result<Vec<TraceFound>> {
    let selection = context.select(store, select)?;
    let search = Search { context, plan, select, limits, is_sparse: AtomicBool::default() };
    let mut newest = Newest { limit: limits.traces, ..Newest::default() };
    let width = context.options.helpers.width();
    let mut next = 0;
    while next < selection.pieces().len() {
        let floor = newest.floor();
        let is_done = |index: usize| {
            let end = selection.pieces()[index].time.max;
            floor.is_some_and(|floor| end >= 0 && (end as u64) < floor)
        };
        if is_done(next) {
            break;
        }
        let wave = next..(next + width).min(selection.pieces().len());
        next = wave.end;
        let in_piece = |piece: &Piece| search.in_piece(piece, floor);
        for found in reading::each(context, &selection, wave.collect(), in_piece)? {
            newest.add(found);
        }
        context.hold(newest.bytes)?;
    }
    context.finish(&selection);
    Ok(newest.traces)
}

impl Search<'_> {
    /// Where the traces that can be in the answer have at most one in so many of a piece's spans, only
    /// those are read.
    const FEW: usize = 4;

    fn in_piece(&self, piece: &Piece, floor: Option<u64>) -> Result<Vec<TraceFound>> {
        let traces = self.traces_in_question(piece, floor)?;
        if !self.is_sparse.load(Ordering::Relaxed)
            && let Some(newest) =
                newest_of(piece, traces.clone(), self.context.options.first_spans)?
        {
            let found = self.in_traces(&newest, floor)?;
            if found.len() >= self.limits.traces {
                return Ok(found);
            }
            self.is_sparse.store(true, Ordering::Relaxed);
        }
        let spans = spans_of(piece, traces.clone())? as usize;
        if spans * Self::FEW <= piece.rows()
            && let Some(some) = piece.some(&numbers(traces))?
        {
            return self.in_traces(&some, floor);
        }
        self.in_traces(piece, floor)
    }

    /// The traces of a piece that can be in the answer, as far as their starts tell.
    fn traces_in_question(&self, piece: &Piece, floor: Option<u64>) -> Result<Range<usize>> {
        let starts = piece.trace_starts()?;
        let last = i128::from(self.select.time.max);
        let end = starts.partition_point(|start| i128::from(*start) <= last);
        let first = floor.map_or(0, |floor| starts.partition_point(|start| *start < floor));
        Ok(first.min(end)..end)
    }

    fn in_traces(&self, piece: &Piece, floor: Option<u64>) -> Result<Vec<TraceFound>> {
        let view = View::new(piece)?;
        let sets = self.plan.sets(&view, view.wanted.clone())?;
        let chosen = self.chosen(&view, &sets, floor)?;
        let list = match sets {
            Sets::Rows(rows) => {
                let mut of_chosen = RowSet::none(view.rows);
                let traces = chosen.iter().map(|trace| view.trace_rows(*trace as usize));
                traces.for_each(|rows| of_chosen.insert_range(rows));
                sets::list(&view, Sets::Rows(rows.and(&of_chosen)))
            }
            list => sets::list(&view, list),
        };
        if chosen.len() * Self::FEW <= view.trace_ends.len()
            && let Some(some) = piece.some(&chosen)?
        {
            let of_chosen = View::new(&some)?;
            let list = moved(list, &view, &chosen, &of_chosen);
            return self.shown(&of_chosen, &list);
        }
        let mut list = list;
        list.retain(|set| chosen.binary_search(&set.trace).is_ok());
        self.shown(&view, &list)
    }

    /// The newest traces that are in the time, have spans in the sets, and are not older than `floor`, by
    /// their rising numbers. Of those that start alike at the end of the list all are there, because the
    /// answer chooses by their ids.
    fn chosen(&self, view: &View<'_>, sets: &Sets, floor: Option<u64>) -> Result<Vec<u32>> {
        let time = self.select.time;
        let mut candidates: Vec<(u64, u32)> = Vec::new();
        for trace in traces_of(view, sets) {
            let (start, end) = view.bounds(trace as usize)?;
            let is_in_time = i128::from(end) >= i128::from(time.min)
                && i128::from(start) <= i128::from(time.max);
            if is_in_time && floor.is_none_or(|floor| start >= floor) {
                candidates.push((start, trace));
            }
        }
        candidates.sort_unstable_by_key(|(start, trace)| (std::cmp::Reverse(*start), *trace));
        if let Some((least, _)) = candidates.get(self.limits.traces.saturating_sub(1)) {
            let least = *least;
            candidates.retain(|(start, _)| *start >= least);
        }
        let mut chosen: Vec<u32> = candidates.into_iter().map(|(_, trace)| trace).collect();
        chosen.sort_unstable();
        Ok(chosen)
    }

    fn shown(&self, view: &View<'_>, list: &[SpanSet]) -> Result<Vec<TraceFound>> {
        let making = Making::new(view, &self.plan.shown(), self.limits.spans)?;
        let mut found = Vec::new();
        for (turn, sets) in list.chunk_by(|one, other| one.trace == other.trace).enumerate() {
            self.context.control.check_in_turn(turn)?;
            found.push(making.trace(sets)?);
        }
        Ok(found)
    }
}

/// The sets of some traces, as they are in a view of these traces only.
fn moved(list: Vec<SpanSet>, from: &View<'_>, traces: &[u32], to: &View<'_>) -> Vec<SpanSet> {
    let moved = |mut set: SpanSet| {
        let trace = traces.binary_search(&set.trace).ok()?;
        let before = from.trace_rows(set.trace as usize).start as u32;
        let first = to.trace_rows(trace).start as u32;
        set.rows.iter_mut().for_each(|row| *row = *row - before + first);
        set.trace = trace as u32;
        Some(set)
    };
    list.into_iter().filter_map(moved).collect()
}

fn numbers(traces: Range<usize>) -> Vec<u32> {
    (traces.start as u32..traces.end as u32).collect()
}

/// How many spans some traces have.
fn spans_of(piece: &Piece, traces: Range<usize>) -> Result<u32> {
    let ends = piece.trace_ends()?;
    let before = |trace: usize| trace.checked_sub(1).map_or(0, |last| ends[last]);
    Ok(before(traces.end) - before(traces.start))
}

/// The newest of some traces, which have so many spans, as a piece of their own; `None` where that is not
/// quicker.
fn newest_of(piece: &Piece, traces: Range<usize>, wanted: u32) -> Result<Option<Piece>> {
    let (starts, Range { start: oldest, end }) = (piece.trace_starts()?, traces);
    let mut first = end;
    while first > oldest && spans_of(piece, first..end)? < wanted {
        first -= 1;
    }
    // Traces that start alike stay together, because their ids choose between them.
    while first > oldest && starts[first] == starts[first - 1] {
        first -= 1;
    }
    let spans = spans_of(piece, first..end)? as usize;
    match first > oldest && spans * Search::FEW <= piece.rows() {
        true => Ok(piece.some(&numbers(first..end))?),
        false => Ok(None),
    }
}

/// The traces that have spans in the sets, each once.
fn traces_of(view: &View<'_>, sets: &Sets) -> Vec<u32> {
    match sets {
        Sets::Rows(rows) => {
            let has_rows = |trace: &usize| rows.count(view.trace_rows(*trace)) > 0;
            view.traces().filter(has_rows).map(|trace| trace as u32).collect()
        }
        Sets::List(list) => {
            let mut traces: Vec<u32> = list.iter().map(|set| set.trace).collect();
            traces.dedup();
            traces
        }
    }
}

/// Puts together what is shown of traces of a piece.
struct Making<'v, 'p> {
    view: &'v View<'p>,
    spans: usize,
    service: Rc<Source<'p>>,
    shown: Vec<ShownAttribute<'v, 'p>>,
}

struct ShownAttribute<'v, 'p> {
    name: String,
    source: Rc<Source<'p>>,
    tests: Vec<&'v super::test::Test>,
    /// What spans without a value are shown to have.
    without: Option<FieldValue>,
}

impl<'v, 'p> Making<'v, 'p> {
    fn new(view: &'v View<'p>, shown: &Shown<'v>, spans: usize) -> Result<Self> {
        let service = view.source(&Attribute::named(Scope::Resource, SERVICE_NAME))?;
        let mut attributes = Vec::new();
        for (attribute, tests) in &shown.attributes {
            if attribute.as_intrinsic().is_some_and(is_shown_anyway) {
                continue;
            }
            let name = match attribute.as_intrinsic() {
                Some(intrinsic) => intrinsic.as_str().to_owned(),
                None => attribute.name().to_owned(),
            };
            let without = without_value(attribute).filter(|_| tests.is_empty());
            let source = view.source(attribute)?;
            attributes.push(ShownAttribute { name, source, tests: tests.clone(), without });
        }
        Ok(Self { view, spans, service, shown: attributes })
    }

    fn trace(&self, sets: &[SpanSet]) -> Result<TraceFound> {
        let (view, trace) = (self.view, sets[0].trace as usize);
        let (start, end) = view.bounds(trace)?;
        let root = view.root(trace)?;
        let service = |row: usize| self.text_of_service(row);
        let sets = sets.iter().map(|set| self.set(set));
        Ok(TraceFound {
            trace_id: view.piece.trace_ids()?[trace],
            root_service: root.map(service),
            root_name: root.map(|row| view.name(row)).transpose()?,
            start_ns: start,
            duration_ns: end - start,
            sets: sets.collect::<Result<_>>()?,
            services: self.services(trace)?,
        })
    }

    fn text_of_service(&self, row: usize) -> String {
        match self.service.cell(row).to_value() {
            FieldValue::Text(text) => text,
            _ => String::new(),
        }
    }

    fn services(&self, trace: usize) -> Result<BTreeMap<String, ServiceSpans>> {
        let statuses = self.view.piece.statuses()?;
        let resources = self.view.piece.entities(trace_store::Table::Resource)?;
        let mut by_resource: BTreeMap<u32, ServiceSpans> = BTreeMap::new();
        let mut rows = BTreeMap::new();
        for row in self.view.trace_rows(trace) {
            let counts = by_resource.entry(resources[row]).or_default();
            counts.spans += 1;
            counts.errors += u64::from(statuses[row] == crate::Status::Error as u8);
            rows.entry(resources[row]).or_insert(row);
        }
        let mut services: BTreeMap<String, ServiceSpans> = BTreeMap::new();
        for (resource, counts) in by_resource {
            let service = services.entry(self.text_of_service(rows[&resource])).or_default();
            service.spans += counts.spans;
            service.errors += counts.errors;
        }
        Ok(services)
    }

    fn set(&self, set: &SpanSet) -> Result<SetFound> {
        let spans = set.rows.iter().take(self.spans).map(|row| self.span(*row as usize));
        Ok(SetFound {
            matched: set.rows.len(),
            attributes: set.attributes.clone(),
            spans: spans.collect::<Result<_>>()?,
        })
    }

    fn span(&self, row: usize) -> Result<SpanFound> {
        let piece = self.view.piece;
        let mut attributes = Vec::new();
        for shown in &self.shown {
            shown.add_values(&shown.source, row, &mut attributes);
        }
        Ok(SpanFound {
            span_id: piece.span_ids()?[row],
            name: self.view.name(row)?,
            start_ns: piece.starts()?[row],
            duration_ns: piece.durations()?[row],
            attributes,
        })
    }
}

impl ShownAttribute<'_, '_> {
    /// Of an attribute without a scope the values of every scope.
    fn add_values(&self, source: &Source<'_>, row: usize, into: &mut Vec<(String, FieldValue)>) {
        let before = into.len();
        match source {
            Source::First(sources) => {
                sources.iter().for_each(|source| self.add_value(source, row, into));
            }
            source => self.add_value(source, row, into),
        }
        if into.len() == before {
            into.extend(self.without.clone().map(|value| (self.name.clone(), value)));
        }
    }

    fn add_value(&self, source: &Source<'_>, row: usize, into: &mut Vec<(String, FieldValue)>) {
        let is_shown =
            |cell| self.tests.is_empty() || self.tests.iter().any(|test| test.holds(cell));
        let value = match source {
            Source::Children { ends, columns } => {
                // Of several the last one.
                let children = super::source::children(ends, row).rev();
                let mut cells = children.map(|child| columns.cell(child));
                let found = cells.find(|cell| !cell.is_nil() && is_shown(*cell));
                let default = columns.default.cell();
                found.or(Some(default).filter(|_| self.tests.is_empty()))
            }
            source => Some(source.cell(row)).filter(|cell| is_shown(*cell)),
        };
        let value = value.unwrap_or_default();
        if !value.is_nil() {
            into.push((self.name.clone(), value.to_value()));
        }
    }
}

/// What every span of an answer has beside its attributes.
fn is_shown_anyway(intrinsic: Intrinsic) -> bool {
    matches!(
        intrinsic,
        Intrinsic::Name
            | Intrinsic::Duration
            | Intrinsic::SpanId
            | Intrinsic::TraceId
            | Intrinsic::TraceDuration
            | Intrinsic::RootName
            | Intrinsic::RootService
    )
}

/// Attributes that Tempo has columns for even where no span has them: it shows that they are missing,
/// and boards that are made for it rely on that.
pub(crate) const ALWAYS_SHOWN: [(Scope, &str); 13] = [
    (Scope::Resource, "k8s.cluster.name"),
    (Scope::Resource, "k8s.container.name"),
    (Scope::Resource, "k8s.namespace.name"),
    (Scope::Span, "http.method"),
    (Scope::Span, "http.request.method"),
    (Scope::Span, "http.response.status_code"),
    (Scope::Span, "http.route"),
    (Scope::Span, "http.status_code"),
    (Scope::Span, "http.url"),
    (Scope::Span, "server.address"),
    (Scope::Span, "server.port"),
    (Scope::Span, "url.path"),
    (Scope::Span, "url.route"),
];

/// What is shown of an attribute that is selected, and that a span does not have.
fn without_value(attribute: &Attribute) -> Option<FieldValue> {
    match attribute {
        Attribute::Named { scope, name } => {
            let is_known = |(known, text): &(Scope, &str)| {
                text == name && (known == scope || *scope == Scope::None)
            };
            ALWAYS_SHOWN.iter().any(is_known).then_some(FieldValue::Nil)
        }
        // A root's parent, as OTLP may write it.
        Attribute::Intrinsic { intrinsic: Intrinsic::ParentId, .. } => {
            Some(FieldValue::Text("0".repeat(16)))
        }
        Attribute::Intrinsic { .. } => None,
    }
}
