//! Whole traces in order: what readers see of a head, and what becomes a row group of a part.

use crate::measures::Kept;
use crate::spans::{Remap, Spans, duration_of};
use crate::tree::{Placed, Tree, TreeSpan};
use model::{TimeRange, TimeUnit};
use std::sync::{Arc, Mutex, PoisonError};

/// Spans in the order of their traces, which are in the order of their start.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) spans: Spans,
    /// The row of each span's parent, or [`ROOT`](crate::ROOT), or [`ORPHAN`](crate::ORPHAN).
    pub(crate) parents: Vec<u32>,
    pub(crate) trace_ids: Vec<[u8; 16]>,
    /// Behind the last span of each trace.
    pub(crate) trace_ends: Vec<u32>,
    /// The traces of which there are spans in parts, as far as a generation of the manifest is known.
    in_parts: Mutex<Option<InParts>>,
    pub(crate) measures: Kept,
}

/// A generation of the manifest, and the traces of which there are spans in its parts.
type InParts = (u64, Arc<Vec<[u8; 16]>>);

/// A time as a tick of a [`TimeRange`].
pub(crate) fn tick(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

impl Block {
    pub(crate) fn rows(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.parents.clear();
        self.trace_ids.clear();
        self.trace_ends.clear();
        self.measures = Kept::default();
    }

    /// The rows of each trace.
    pub(crate) fn traces(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let starts = [0].into_iter().chain(self.trace_ends.iter().copied());
        starts.zip(&self.trace_ends).map(|(start, end)| start as usize..*end as usize)
    }

    /// The first start and the last end of some rows, in nanoseconds.
    pub(crate) fn bounds(&self, rows: std::ops::Range<usize>) -> Option<(u64, u64)> {
        let spans = &self.spans;
        let end = |row: usize| spans.starts[row].saturating_add(duration_of(spans.lengths[row]));
        let first = rows.clone().map(|row| spans.starts[row]).min()?;
        Some((first, rows.map(end).max()?))
    }

    /// When each trace started, and how long it took, in nanoseconds.
    pub(crate) fn trace_times(&self) -> (Vec<u64>, Vec<u64>) {
        let bounds = self.traces().map(|rows| self.bounds(rows).unwrap_or_default());
        bounds.map(|(first, last)| (first, last - first)).unzip()
    }

    pub(crate) fn time(&self) -> Option<TimeRange> {
        let (first, last) = self.bounds(0..self.rows())?;
        Some(TimeUnit::Nanos.between(tick(first), tick(last)))
    }

    /// The traces of which there are spans in the parts of a generation. `find` looks for them.
    pub(crate) fn in_parts<E>(
        &self,
        generation: u64,
        find: impl FnOnce() -> Result<Vec<[u8; 16]>, E>,
    ) -> Result<Arc<Vec<[u8; 16]>>, E> {
        let mut known = self.in_parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.as_ref().filter(|(of, _)| *of == generation) {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(find()?);
        *known = Some((generation, Arc::clone(&found)));
        Ok(found)
    }

    pub(crate) fn bytes(&self) -> usize {
        let traces = self.trace_ids.len() * (size_of::<[u8; 16]>() + size_of::<u32>());
        self.spans.bytes() + self.parents.len() * size_of::<u32>() + traces
    }
}

/// Where a span is: the source, and its row there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: u32,
    pub(crate) row: u32,
}

/// A trace, and its spans among the places of [`Traces`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    pub(crate) id: [u8; 16],
    /// When its first span started.
    pub(crate) start: u64,
    first: u32,
    end: u32,
}

/// The traces of some sources in the order of their start, and where their spans are.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    pub(crate) list: Vec<Trace>,
    places: Vec<Place>,
}

impl Traces {
    pub(crate) fn of(sources: &[&Spans]) -> Self {
        let rows = |(source, spans): (u32, &&Spans)| {
            (0..spans.len() as u32).map(move |row| Place { source, row }).collect::<Vec<_>>()
        };
        let mut places: Vec<Place> = (0..).zip(sources).flat_map(rows).collect();
        let id = |place: &Place| sources[place.source as usize].trace_ids[place.row as usize];
        places.sort_unstable_by_key(|place| (id(place), *place));
        let mut list = Vec::new();
        let mut first = 0;
        for of_trace in places.chunk_by(|left, right| id(left) == id(right)) {
            let start = |place: &Place| sources[place.source as usize].starts[place.row as usize];
            let start = of_trace.iter().map(start).min().unwrap_or(0);
            let end = first + of_trace.len() as u32;
            list.push(Trace { id: id(&of_trace[0]), start, first, end });
            first = end;
        }
        list.sort_unstable_by_key(|trace| (trace.start, trace.id));
        Self { list, places }
    }

    pub(crate) fn places(&self, trace: &Trace) -> &[Place] {
        &self.places[trace.first as usize..trace.end as usize]
    }
}

/// Makes blocks of the spans of some sources.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    pub(crate) block: Block,
    remaps: Vec<Remap>,
    tree: Tree,
    kept: Vec<Place>,
    shape: Vec<TreeSpan>,
    order: Vec<Placed>,
}

impl BlockBuilder {
    /// Spans will come from these, by their number.
    pub(crate) fn sources(&mut self, sources: &[&Spans]) {
        self.remaps = sources.iter().map(|spans| Remap::new(spans)).collect();
    }

    /// Spans of one source will come from other spans from now on.
    pub(crate) fn replace_source(&mut self, source: usize, spans: &Spans) {
        self.remaps[source] = Remap::new(spans);
    }

    /// The spans behind the first ones will come from these from now on.
    pub(crate) fn extra_sources(&mut self, kept: usize, sources: &[&Spans]) {
        self.remaps.truncate(kept);
        self.remaps.extend(sources[kept..].iter().map(|spans| Remap::new(spans)));
    }

    /// Begins a new block.
    pub(crate) fn clear(&mut self) {
        self.block.clear();
        self.remaps.iter_mut().for_each(Remap::clear);
    }

    /// Adds a trace, each of its spans once.
    pub(crate) fn push(&mut self, id: [u8; 16], places: &[Place], sources: &[&Spans]) {
        let spans = |place: &Place| (sources[place.source as usize], place.row as usize);
        self.kept.clear();
        self.kept.extend_from_slice(places);
        if places.len() > 1 {
            self.drop_repeated(sources);
        }
        self.shape.clear();
        self.shape.extend(self.kept.iter().map(|place| {
            let (spans, row) = spans(place);
            TreeSpan {
                id: spans.span_ids[row],
                parent_id: spans.parent_ids[row],
                start: spans.starts[row],
                kind: spans.kinds[row],
            }
        }));
        self.tree.order(&self.shape, &mut self.order);
        let first = self.block.rows() as u32;
        for placed in &self.order {
            let place = self.kept[placed.index as usize];
            let (from, row) = spans(&place);
            self.remaps[place.source as usize].copy(from, &mut self.block.spans, row);
            let parent = placed.parent;
            self.block.parents.push(if parent < crate::ORPHAN { first + parent } else { parent });
        }
        self.block.trace_ids.push(id);
        self.block.trace_ends.push(self.block.rows() as u32);
    }

    /// Drops spans that were sent twice.
    fn drop_repeated(&mut self, sources: &[&Spans]) {
        let id = |place: &Place| sources[place.source as usize].span_ids[place.row as usize];
        self.kept.sort_unstable_by_key(|place| (id(place), *place));
        self.kept.dedup_by(|later, kept| {
            let (left, right) = (sources[kept.source as usize], sources[later.source as usize]);
            left.is_same(kept.row as usize, right, later.row as usize)
        });
    }

    /// The traces of unordered spans, as a block.
    pub(crate) fn ordered(spans: &[&Spans]) -> Block {
        let traces = Traces::of(spans);
        let mut builder = Self::default();
        builder.sources(spans);
        for trace in &traces.list {
            builder.push(trace.id, traces.places(trace), spans);
        }
        builder.block
    }
}
