//! Pieces of a selection, read and narrowed down by their conditions, by one thread or by several.

use super::{Context, Result};
use crate::pipeline::Pipeline;
use crate::pipeline::conditions::Picked;
use crate::pipeline::labels::LineLabels;
use crate::pipeline::texts::TextPlan;
use crate::storage::{ABSENT, Direction, FieldColumn, FoundRows, Rows, Scratch, Select, Selection};
use crate::value::Statistics;
use model::{Matcher, TimeRange, TimeUnit};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many rows may go through the stages between two looks at the clock: less than a millisecond.
pub(super) const ROWS_PER_CHECK: usize = 512;
/// Fewer rows than this are not worth a second thread.
const ROWS_FOR_THREADS: u64 = 8_192;

/// What a query reads.
pub(super) struct Reading<'a> {
    pub(super) selection: Box<dyn Selection + 'a>,
    pub(super) pipeline: &'a Pipeline,
    pub(super) time: TimeRange,
    /// For each stream whether its labels let its lines through.
    passing: Vec<bool>,
    /// How rows are counted by texts in their lines, and which of those are needed.
    pub(super) texts: Option<(&'a TextPlan, Vec<usize>)>,
}

impl<'a> Reading<'a> {
    /// `first` and `last`: nanoseconds, both included.
    pub(super) fn new(
        context: &Context<'a>,
        matchers: &[Matcher],
        pipeline: &'a Pipeline,
        (first, last): (i64, i64),
        direction: Direction,
    ) -> Result<Self> {
        context.control.check()?;
        let select = Select {
            time: TimeUnit::Nanos.between(first, last),
            matchers,
            conditions: &pipeline.conditions.wanted,
            texts: &pipeline.texts,
            direction,
            needs: &pipeline.needs,
        };
        let selection = context.storage.select(&select, &mut context.holding.portions())?;
        let passing = pipeline.conditions.streams(&*selection);
        context.warnings.borrow_mut().extend(selection.warnings());
        let streams = selection.stream_count() as u64;
        context.statistics.borrow_mut().streams += streams;
        let plan = pipeline.text_plan.as_ref();
        let texts = plan.and_then(|plan| Some((plan, plan.needed(&*selection)?)));
        Ok(Self { selection, pipeline, time: select.time, passing, texts })
    }

    /// Whether the labels of a stream let its lines through.
    pub(super) fn lets_through(&self, stream: u32) -> bool {
        self.passing.get(stream as usize) == Some(&true)
    }

    /// Reads a piece and gives its rows, and those of them for which the conditions hold, to `visit`.
    pub(super) fn piece<R>(
        &self,
        piece: usize,
        scratch: &mut Scratch,
        statistics: &mut Statistics,
        visit: impl FnOnce(&Rows<'_>, &Picked) -> Result<R>,
    ) -> Result<R> {
        let rows = self.selection.read(piece, scratch)?;
        self.visit(piece, &rows, statistics, visit)
    }

    /// The same for the rows of a piece within a time.
    pub(super) fn piece_within<R>(
        &self,
        (piece, time): (usize, TimeRange),
        scratch: &mut Scratch,
        statistics: &mut Statistics,
        visit: impl FnOnce(&Rows<'_>, &Picked) -> Result<R>,
    ) -> Result<R> {
        let rows = self.selection.read_within(piece, time, scratch)?;
        self.visit(piece, &rows, statistics, visit)
    }

    /// Whether the store can say which rows come through, before it reads more than their times.
    pub(super) fn finds(&self) -> bool {
        self.pipeline.is_columnar() && self.passing.iter().all(|passes| *passes)
    }

    /// The same for those rows within a time that were found.
    pub(super) fn piece_found<R>(
        &self,
        (found, time): (FoundRows, TimeRange),
        scratch: &mut Scratch,
        statistics: &mut Statistics,
        visit: impl FnOnce(&Rows<'_>, &Picked) -> Result<R>,
    ) -> Result<R> {
        let piece = found.piece;
        let rows = self.selection.read_found(found, time, scratch)?;
        self.visit(piece, &rows, statistics, visit)
    }

    /// Gives rows that were read, and those of them for which the conditions hold, to `visit`.
    pub(super) fn visit<R>(
        &self,
        piece: usize,
        rows: &Rows<'_>,
        statistics: &mut Statistics,
        visit: impl FnOnce(&Rows<'_>, &Picked) -> Result<R>,
    ) -> Result<R> {
        let picked = self.pipeline.conditions.pick(rows, &*self.selection, &self.passing);
        // A store may have left out rows for which a condition does not hold.
        let known = self.selection.pieces().get(piece);
        let (known_rows, known_bytes) = known.map_or((0, 0), |piece| (piece.rows, piece.bytes));
        statistics.lines += known_rows.max(rows.times.len() as u64);
        statistics.bytes += known_bytes.max(rows.lines.bytes.len() as u64);
        statistics.metadata_bytes += metadata_bytes(rows);
        visit(rows, &picked)
    }

    /// Runs `work` for these pieces, each thread with a state of its own, and answers the states.
    pub(super) fn for_each<W: Send>(
        &self,
        context: &Context<'_>,
        pieces: &[usize],
        state: impl Fn() -> W + Sync,
        work: impl Fn(&mut W, &mut Scratch, usize) -> Result<()> + Sync,
    ) -> Result<Vec<W>> {
        let all = self.selection.pieces();
        let rows: u64 = pieces.iter().filter_map(|piece| Some(all.get(*piece)?.rows)).sum();
        let helpers = &context.options.helpers;
        let is_small = rows < ROWS_FOR_THREADS;
        let threads = if is_small { 1 } else { helpers.width().clamp(1, pieces.len().max(1)) };
        let next = AtomicUsize::new(0);
        let control = context.control;
        let run = |_: usize| {
            let (mut state, mut scratch) = (state(), Scratch::default());
            loop {
                let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    return Ok(state);
                };
                control.check()?;
                work(&mut state, &mut scratch, *piece)?;
            }
        };
        if threads == 1 {
            return Ok(vec![run(0)?]);
        }
        helpers.scatter((0..threads).collect(), run).into_iter().collect()
    }
}

/// Of the fields that some row has: a value counts for each row that has it, by its average length.
fn metadata_bytes(rows: &Rows<'_>) -> u64 {
    let of_column = |column: &FieldColumn<'_>| {
        let present = column.codes.iter().filter(|code| **code != ABSENT).count();
        let average = column.values.bytes.len() / column.values.len().max(1);
        (present * (column.name.len() + average)) as u64
    };
    rows.fields.iter().map(of_column).sum()
}

/// The fields of a row, as labels.
pub(super) fn add_fields(rows: &Rows<'_>, row: usize, labels: &mut LineLabels<'_>) {
    for column in &rows.fields {
        add_field(column, row, labels);
    }
}

pub(super) fn add_field(column: &FieldColumn<'_>, row: usize, labels: &mut LineLabels<'_>) {
    match column.codes.get(row) {
        None | Some(&ABSENT) => {}
        Some(code) => {
            let value = String::from_utf8_lossy(column.values.get(*code as usize));
            labels.add_field(column.name, &value);
        }
    }
}
