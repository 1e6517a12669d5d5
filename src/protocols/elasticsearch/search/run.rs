//! Searching: the store is asked, its pieces read by one thread or by several, rows counted, collected
//! into hits and buckets.
//!
//! 1. The query becomes a plan: covers, each a selection of the store (`plan`).
//! 2. The pieces of a selection are read in the order of the answer. A row for which the whole query holds
//!    is counted, added to the buckets, and kept where it is one of the best.
//! 3. Where no buckets are asked for, reading ends when no piece that is left can hold a better hit and
//!    enough lines are counted.

use super::aggs::{self, Agg, Bucket};
use super::error::Result;
use super::eval::{holds, of_stream};
use super::expr::Expr;
use super::field::{Fields, ID};
use super::hits::{Hit, Sorting, TopHits};
use super::plan::{Cover, Plan};
use super::row::{PieceColumns, Row, RowBuffers, StreamLabels};
use log_store::{LogRows, LogStore, NO_TEXTS, Needs, Order, Scratch, Select, Selection};
use model::{Matcher, TenantId, TimeRange};
use platform::threads::Helpers;
use query::{Control, Holding, Portions, Weight};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a search works with.
pub(in crate::elasticsearch) struct Searcher<'a> {
    pub(in crate::elasticsearch) store: &'a LogStore,
    pub(in crate::elasticsearch) tenant: &'a TenantId,
    pub(in crate::elasticsearch) helpers: &'a Helpers,
    pub(in crate::elasticsearch) control: &'a Control<'a>,
    pub(in crate::elasticsearch) memory: &'a Holding,
}

/// What is wanted of the rows.
pub(super) struct Wanted<'w> {
    pub(super) query: &'w Expr,
    pub(super) fields: &'w Fields,
    /// Of the indices that are asked for.
    pub(super) matchers: Vec<Matcher>,
    pub(super) sorting: &'w Sorting,
    /// Hits, those that are left out at the beginning included.
    pub(super) limit: usize,
    pub(super) search_after: Option<&'w [Value]>,
    pub(super) aggs: &'w [Agg],
    /// How far lines are counted.
    pub(super) total_max: u64,
}

/// What was found.
pub(super) struct Found {
    pub(super) total: u64,
    /// Reading ended before all lines were counted.
    pub(super) is_more: bool,
    pub(super) hits: Vec<Hit>,
    pub(super) bucket: Bucket,
    pub(super) warnings: Vec<String>,
}

/// Rows between two looks at the clock.
const ROWS_PER_CHECK: usize = 512;
/// Fewer rows than this are not worth a second thread.
const ROWS_FOR_THREADS: u64 = 8_192;
/// What a selected stream and a piece take.
const STREAM_BYTES: usize = 96;
const PIECE_BYTES: usize = 64;

impl Searcher<'_> {
    pub(super) fn run(&self, wanted: &Wanted<'_>) -> Result<Found> {
        let mut found = Gathered {
            total: 0,
            hits: TopHits::new(wanted.sorting, wanted.limit, wanted.search_after, self.memory)?,
            bucket: Bucket::new(wanted.aggs),
        };
        let mut warnings = BTreeSet::new();
        let plan = Plan::new(wanted.query, wanted.fields, wanted.matchers.clone());
        let mut is_more = false;
        if let Some(time) = plan.time {
            for cover in &plan.covers {
                is_more |= self.cover(wanted, cover, time, &mut found, &mut warnings)?;
            }
        }
        let Gathered { total, hits, bucket } = found;
        let (hits, warnings) = (hits.finish(0), warnings.into_iter().collect());
        Ok(Found { total, is_more, hits, bucket, warnings })
    }

    /// Answers whether some lines were not looked at.
    fn cover(
        &self,
        wanted: &Wanted<'_>,
        cover: &Cover,
        time: TimeRange,
        found: &mut Gathered<'_>,
        warnings: &mut BTreeSet<String>,
    ) -> Result<bool> {
        self.control.check()?;
        let selection = self.select(wanted, cover, time)?;
        let verdicts: Vec<Option<bool>> = (0..selection.stream_count() as u32)
            .map(|stream| of_stream(wanted.query, selection.labels(stream), wanted.fields))
            .collect();
        let reading = Reading { wanted, selection: &selection, verdicts: &verdicts };
        let ended = self.pieces(&reading, found)?;
        warnings.extend(selection.warnings());
        Ok(ended)
    }

    fn select(&self, wanted: &Wanted<'_>, cover: &Cover, time: TimeRange) -> Result<Selection> {
        let order = match wanted.sorting.is_newest_first() {
            true => Order::NewestFirst,
            false => Order::OldestFirst,
        };
        let Cover { matchers, conditions } = cover;
        let is_line_needed = wanted.needs_lines();
        let needs = wanted.needs(is_line_needed);
        let (identifier, texts) = (None, &NO_TEXTS);
        let mut select =
            Select { time, matchers, conditions, identifier, texts, order, needs: &needs };
        let selection = self.store.select(self.tenant, &select)?;
        let (streams, pieces) = (selection.stream_count(), selection.pieces().len());
        self.memory.take(Weight::bytes(2 * (streams * STREAM_BYTES + pieces * PIECE_BYTES)))?;
        if is_line_needed || !wanted.looks_into_json(&selection) {
            return Ok(selection);
        }
        let needs = wanted.needs(true);
        select.needs = &needs;
        Ok(self.store.select(self.tenant, &select)?)
    }

    /// Reads the pieces, in turns where reading may end early; answers whether some were left out.
    fn pieces(&self, reading: &Reading<'_>, found: &mut Gathered<'_>) -> Result<bool> {
        let (pieces, wanted) = (reading.selection.pieces(), reading.wanted);
        let all: Vec<usize> = (0..pieces.len()).collect();
        if !wanted.may_end_early() {
            self.turn(reading, &all, found)?;
            return Ok(false);
        }
        let mut is_more = false;
        for turn in all.chunks(self.helpers.width().max(1)) {
            let time = turn.iter().map(|piece| pieces[*piece].time).reduce(TimeRange::union);
            let has_hits = time.is_some_and(|time| found.hits.may_be_in(time));
            match has_hits || found.total < wanted.total_max {
                true => self.turn(reading, turn, found)?,
                false => is_more = true,
            }
        }
        Ok(is_more)
    }

    fn turn(
        &self,
        reading: &Reading<'_>,
        pieces: &[usize],
        found: &mut Gathered<'_>,
    ) -> Result<()> {
        let rows: u64 = pieces.iter().map(|piece| reading.selection.pieces()[*piece].rows).sum();
        let threads = match rows < ROWS_FOR_THREADS {
            true => 1,
            false => self.helpers.width().clamp(1, pieces.len().max(1)),
        };
        let next = AtomicUsize::new(0);
        let forks = (0..threads).map(|_| found.fork(reading.wanted.aggs)).collect();
        let run = |gathered| self.share(reading, pieces, &next, gathered);
        for gathered in self.helpers.scatter(forks, run) {
            found.merge(reading.wanted.aggs, gathered?);
        }
        Ok(())
    }

    /// What one thread does: one piece after the other of those that are left.
    fn share<'h>(
        &self,
        reading: &Reading<'_>,
        pieces: &[usize],
        next: &AtomicUsize,
        mut gathered: Gathered<'h>,
    ) -> Result<Gathered<'h>> {
        let (mut scratch, mut buffers) = (Scratch::default(), RowBuffers::default());
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            self.control.check()?;
            let rows = reading.selection.read(*piece, &mut scratch)?;
            self.rows(reading, &rows, &mut gathered, &mut buffers)?;
        }
        Ok(gathered)
    }

    fn rows(
        &self,
        reading: &Reading<'_>,
        rows: &LogRows<'_>,
        gathered: &mut Gathered<'_>,
        buffers: &mut RowBuffers,
    ) -> Result<()> {
        let wanted = reading.wanted;
        let piece = PieceColumns::new(rows, wanted.fields);
        let mut portions = self.memory.portions();
        let mut start = 0;
        // The rows of a stream lie together.
        for run in rows.streams.chunk_by(|left, right| left == right) {
            let of_stream = start..start + run.len();
            start = of_stream.end;
            let verdict = reading.verdicts.get(run[0] as usize).copied().flatten();
            if verdict == Some(false) {
                continue;
            }
            let labels = StreamLabels::new(reading.selection.labels(run[0]), wanted.fields);
            for index in of_stream {
                if index % ROWS_PER_CHECK == ROWS_PER_CHECK - 1 {
                    self.control.check()?;
                }
                let mut row = Row::new(&piece, index, &labels, buffers);
                if verdict.is_none() && !holds(wanted.query, &mut row) {
                    continue;
                }
                gathered.total += 1;
                gathered.hits.add(&mut row)?;
                if !wanted.aggs.is_empty() {
                    add_to(wanted.aggs, &mut gathered.bucket, &mut row, &mut portions)?;
                }
            }
        }
        Ok(portions.settle()?)
    }
}

fn add_to(
    aggs: &[Agg],
    bucket: &mut Bucket,
    row: &mut Row<'_>,
    portions: &mut Portions<'_>,
) -> Result<()> {
    let mut take = |bytes: usize| Ok(portions.take(Weight::bytes(bytes))?);
    aggs::add_row(aggs, bucket, row, &mut take)
}

/// A selection that is read.
struct Reading<'r> {
    wanted: &'r Wanted<'r>,
    selection: &'r Selection,
    /// What the labels of each stream say of the query.
    verdicts: &'r [Option<bool>],
}

impl Wanted<'_> {
    /// The hits are enough to know when nothing more is wanted.
    fn may_end_early(&self) -> bool {
        self.aggs.is_empty() && self.total_max < u64::MAX
    }

    fn needs(&self, lines: bool) -> Needs {
        let mut fields = self.fields.columns();
        fields.insert(ID.to_owned());
        // Hits show all fields.
        Needs { lines, fields: (self.limit == 0).then_some(fields) }
    }

    /// Whether lines are read in any case: for hits, and for words.
    fn needs_lines(&self) -> bool {
        self.limit > 0 || self.query.reads_line() || aggs::read_line(self.aggs)
    }

    /// Whether a value may lie in the JSON of a line, because a stream has no label of its name.
    fn looks_into_json(&self, selection: &Selection) -> bool {
        let streams =
            || (0..selection.stream_count() as u32).map(|stream| selection.labels(stream));
        let mut named = self.fields.all().iter().filter(|named| named.is_in_json);
        named.any(|named| streams().any(|labels| labels.get(&named.label).is_none()))
    }
}

/// What was found so far, or by one thread.
struct Gathered<'h> {
    total: u64,
    hits: TopHits<'h>,
    bucket: Bucket,
}

impl Gathered<'_> {
    fn fork(&self, aggs: &[Agg]) -> Self {
        Self { total: 0, hits: self.hits.fork(), bucket: Bucket::new(aggs) }
    }

    fn merge(&mut self, aggs: &[Agg], other: Self) {
        self.total += other.total;
        self.hits.merge(other.hits);
        aggs::merge(aggs, &mut self.bucket, other.bucket);
    }
}
