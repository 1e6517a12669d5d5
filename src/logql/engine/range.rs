//! Lines counted, or their values unwrapped, in windows: `rate({app="web"} |= "error" [5m])`.
//!
//! Where the pipeline is only conditions, rows are counted as they lie in columns (`columns`):
//! their labels are looked at once for each series of a piece. Otherwise rows go through the stages one
//! by one (`Worker::rows`). An aggregation around the window may be folded in: then series are grouped
//! as it groups them, and labels that it drops are never put together.

use super::groups::{Grouping, SeriesTable};
use super::pieces::{ROWS_PER_CHECK, Reading, add_fields};
use super::tally::Tally;
use super::unwrapped::{Sample, over_windows};
use super::windows::{Steps, Windows};
use super::{Bounds, Context, Result};
use crate::ast::{RangeAggregation, RangeOp};
use crate::error::QueryError;
use crate::extract::Buffers;
use crate::pipeline::conditions::Picked;
use crate::pipeline::labels::{ERROR, ERROR_DETAILS, LineLabels};
use crate::pipeline::{LineState, Pipeline, Purpose, Wanted};
use crate::storage::{Direction, Rows, Scratch};
use crate::value::Statistics;
use model::{Labels, MatchOp};
use query::{Control, Portions, Series, StepColumn, Weight};
use std::ops::Range;

/// The series of a window function. `grouping`: that of an aggregation around it which is folded in.
pub(super) fn series(
    context: &Context<'_>,
    aggregation: &RangeAggregation,
    steps: Steps,
    folded: Option<&query::Grouping>,
) -> Result<Vec<Series>> {
    let range = &aggregation.range;
    let windows = Windows::new(steps, range.range_ns, range.offset_ns);
    let counting = Counting::new(aggregation, windows, folded);
    let lines = matches!(aggregation.op, RangeOp::Bytes | RangeOp::BytesRate);
    let purpose = Purpose { lines, labels: counting.wanted() };
    let pipeline = Pipeline::new(&range.log, range.unwrap.as_ref(), &purpose, context.now_ns)?;
    let mut table = SeriesTable::new(&counting.grouping);
    if let Some(extent) = windows.extent() {
        let matchers = &range.log.matchers;
        let reading = Reading::new(context, matchers, &pipeline, extent, Direction::Forward)?;
        table = counting.read(context, &reading)?;
    }
    counting.finish(context, aggregation, table)
}

/// What is counted for each series.
#[derive(Debug)]
pub(super) enum Collected {
    Tally(Tally),
    Samples(Vec<Sample>),
}

/// Fewer samples than this are not worth a second thread.
const SAMPLES_FOR_THREADS: usize = 65_536;

impl Collected {
    fn samples(&self) -> usize {
        match self {
            Self::Tally(_) => 0,
            Self::Samples(samples) => samples.len(),
        }
    }

    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Tally(mine), Self::Tally(theirs)) => mine.merge(&theirs),
            (Self::Samples(mine), Self::Samples(theirs)) => mine.extend(theirs),
            _ => {}
        }
    }
}

pub(super) struct Counting {
    pub(super) windows: Windows,
    pub(super) grouping: Grouping,
    with_bytes: bool,
    unwraps: bool,
}

impl Counting {
    fn new(
        aggregation: &RangeAggregation,
        windows: Windows,
        folded: Option<&query::Grouping>,
    ) -> Self {
        let unwrap = aggregation.range.unwrap.as_ref();
        let is_absent = aggregation.op == RangeOp::Absent;
        let grouping = match folded.or(aggregation.grouping.as_ref()) {
            _ if is_absent => Grouping::Only(Vec::new()),
            Some(grouping) if !grouping.without => Grouping::Only(sorted(&grouping.labels)),
            grouping => {
                let mut dropped =
                    grouping.map_or_else(Vec::new, |grouping| grouping.labels.clone());
                dropped.extend(unwrap.map(|unwrap| unwrap.label.clone()));
                Grouping::AllBut(sorted(&dropped))
            }
        };
        let with_bytes = matches!(aggregation.op, RangeOp::Bytes | RangeOp::BytesRate);
        Self { windows, grouping, with_bytes, unwraps: unwrap.is_some() && !is_absent }
    }

    /// The labels that tell series apart.
    fn wanted(&self) -> Wanted {
        match &self.grouping {
            Grouping::Only(names) => Wanted::These(names.iter().cloned().collect()),
            Grouping::AllBut(_) => Wanted::All,
        }
    }

    /// What a new series begins with, and what that takes of memory.
    pub(super) fn empty(&self) -> Collected {
        if self.unwraps {
            return Collected::Samples(Vec::new());
        }
        Collected::Tally(Tally::new(self.windows.count(), self.with_bytes))
    }

    pub(super) fn weight(&self) -> usize {
        if self.unwraps {
            return size_of::<Collected>();
        }
        Tally::weight(self.windows.count(), self.with_bytes)
    }

    fn read(&self, context: &Context<'_>, reading: &Reading<'_>) -> Result<SeriesTable<Collected>> {
        let (pieces, bounds) = (0..reading.selection.pieces().len(), context.bounds());
        let read = |worker: &mut Worker<'_>, scratch: &mut Scratch, piece: usize| {
            worker.piece(bounds, reading, scratch, piece)
        };
        let workers = reading.for_each(context, pieces, || Worker::new(self), read)?;
        let mut whole = SeriesTable::new(&self.grouping);
        let mut portions = context.holding.portions();
        for (index, worker) in workers.into_iter().enumerate() {
            context.statistics.borrow_mut().add(&worker.statistics);
            if index == 0 {
                whole = worker.table;
            } else {
                whole.merge(worker.table, &mut portions, Collected::merge)?;
            }
        }
        Ok(whole)
    }

    fn finish(
        &self,
        context: &Context<'_>,
        aggregation: &RangeAggregation,
        table: SeriesTable<Collected>,
    ) -> Result<Vec<Series>> {
        if aggregation.op == RangeOp::Absent {
            return Ok(self.absent(aggregation, table).into_iter().collect());
        }
        let control = context.control;
        let finish = |series: Vec<(Labels, Collected)>| -> Result<Vec<Series>> {
            let mut finished = Vec::with_capacity(series.len());
            for (turn, (labels, collected)) in series.into_iter().enumerate() {
                control.check_in_turn(turn)?;
                let column = self.column(aggregation, collected, control)?;
                finished.extend((!column.is_empty()).then(|| Series::new(labels, column)));
            }
            Ok(finished)
        };
        let helpers = &context.options.helpers;
        let samples: usize = table.series.iter().map(|(_, collected)| collected.samples()).sum();
        if samples < SAMPLES_FOR_THREADS || helpers.width() < 2 {
            return finish(table.series);
        }
        let share = table.series.len().div_ceil(helpers.width()).max(1);
        let (mut shares, mut rest) = (Vec::new(), table.series);
        while !rest.is_empty() {
            let behind = rest.split_off(share.min(rest.len()));
            shares.push(std::mem::replace(&mut rest, behind));
        }
        let finished: Result<Vec<_>> = helpers.scatter(shares, finish).into_iter().collect();
        Ok(finished?.into_iter().flatten().collect())
    }

    fn column(
        &self,
        aggregation: &RangeAggregation,
        collected: Collected,
        control: &Control<'_>,
    ) -> Result<StepColumn> {
        match collected {
            Collected::Tally(tally) => Ok(tally.finish(match aggregation.op {
                RangeOp::Rate | RangeOp::BytesRate => self.windows.range_seconds(),
                _ => 1.0,
            })),
            Collected::Samples(mut samples) => {
                let parameter = aggregation.parameter.unwrap_or_default();
                let check = || control.check();
                Ok(over_windows(aggregation.op, parameter, &self.windows, &mut samples, check)?)
            }
        }
    }

    /// One, where no stream has a line, with the labels that the selector asks for by value.
    fn absent(
        &self,
        aggregation: &RangeAggregation,
        table: SeriesTable<Collected>,
    ) -> Option<Series> {
        let mut column = StepColumn::from_values(vec![1.0; self.windows.count()]);
        for (_, collected) in table.series {
            if let Collected::Tally(tally) = collected {
                let present = tally.finish(1.0);
                (0..self.windows.count())
                    .filter(|step| present.float(*step).is_some())
                    .for_each(|step| column.remove(step));
            }
        }
        let matchers = &aggregation.range.log.matchers;
        let only = |name: &str| matchers.iter().filter(|matcher| matcher.name == name).count() == 1;
        let equal =
            matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal && only(&matcher.name));
        let labels = Labels::from_pairs(
            equal.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())),
        );
        (!column.is_empty()).then(|| Series::new(labels, column))
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

/// What each thread has for itself.
pub(super) struct Worker<'a> {
    pub(super) counting: &'a Counting,
    pub(super) table: SeriesTable<Collected>,
    pub(super) statistics: Statistics,
    buffers: Buffers,
}

impl<'a> Worker<'a> {
    fn new(counting: &'a Counting) -> Self {
        let table = SeriesTable::new(&counting.grouping);
        let (statistics, buffers) = (Statistics::default(), Buffers::default());
        Self { counting, table, statistics, buffers }
    }

    fn piece(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        scratch: &mut Scratch,
        piece: usize,
    ) -> Result<()> {
        let mut statistics = Statistics::default();
        reading.piece(piece, scratch, &mut statistics, |rows, picked| {
            let mut portions = bounds.holding.portions();
            if reading.pipeline.is_columnar() {
                self.count_columns(bounds, reading, rows, picked, &mut portions)?;
            } else {
                self.rows(bounds, reading, rows, picked, &mut portions)?;
            }
            Ok(portions.settle()?)
        })?;
        self.statistics.add(&statistics);
        Ok(())
    }

    fn rows(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        rows: &Rows<'_>,
        picked: &Picked,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let windows = &self.counting.windows;
        let nothing = Labels::empty();
        let mut state = LineState::new(&nothing);
        for index in 0..picked.len() {
            if index % ROWS_PER_CHECK == ROWS_PER_CHECK - 1 {
                bounds.control.check()?;
            }
            let (row, time) = (picked.row(index), rows.times[picked.row(index)]);
            let steps = windows.first_step(time)..windows.end_step(time);
            if steps.is_empty() {
                // Between two windows: its errors do not matter either.
                continue;
            }
            let stream = rows.streams[row];
            state.begin(time, reading.selection.labels(stream), rows.lines.get(row));
            add_fields(rows, row, &mut state.labels);
            if !reading.pipeline.run(&mut state, &mut self.buffers) {
                continue;
            }
            if let Some(value) = reading.pipeline.value(&mut state) {
                check_error(&state.labels)?;
                self.add((stream, &state), steps, value, portions)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        (stream, state): (u32, &LineState<'_>),
        steps: Range<usize>,
        value: f64,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        self.statistics.lines_after_filters += 1;
        let (counting, weight) = (self.counting, self.counting.weight());
        let number =
            self.table.number(stream, &state.labels, portions, weight, || counting.empty())?;
        match &mut self.table.series[number].1 {
            Collected::Tally(tally) => tally.add(steps, state.line.bytes().len() as i64),
            Collected::Samples(samples) => {
                // A list that grows is at most half empty.
                portions.take(Weight::bytes(2 * size_of::<Sample>()))?;
                samples.push((state.time, value));
            }
        }
        Ok(())
    }
}

/// A number of a line that a stage failed on would be wrong without anybody knowing.
fn check_error(labels: &LineLabels<'_>) -> Result<()> {
    let Some(error) = labels.error() else { return Ok(()) };
    let all = labels.sorted();
    let series = all.stream.with(&[&all.fields, &all.parsed]).to_string();
    debug_assert!(all.parsed.get(ERROR).is_some() || all.parsed.get(ERROR_DETAILS).is_none());
    Err(QueryError::Pipeline { error: error.to_owned(), series })
}
