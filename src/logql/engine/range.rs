//! Lines counted, or their values unwrapped, in windows: `rate({app="web"} |= "error" [5m])`.
//!
//! Where the pipeline is only conditions, rows are counted as they lie in columns (`columns`):
//! their labels are looked at once for each series of a piece. So they are where the store finds in its
//! columns what a stage would extract (`texts`). Otherwise rows go through the stages one
//! by one (`Worker::rows`). An aggregation around the window may be folded in: then series are grouped
//! as it groups them, and labels that it drops are never put together.

use super::columns::FieldCodes;
use super::groups::{Grouping, SeriesTable};
use super::pieces::{ROWS_PER_CHECK, Reading, add_fields};
use super::recorded::Recorded;
use super::tally::Tallies;
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
use codec::SecretHash;
use model::{Labels, MatchOp};
use query::{Bitmap, Portions, Series, StepColumn, Weight};
use std::ops::Range;

/// The series of a window function. `grouping`: that of an aggregation around it which is folded in.
pub(super) fn series(
    context: &Context<'_>,
    aggregation: &RangeAggregation,
    steps: Steps,
    folded: Option<&query::Grouping>,
) -> Result<Vec<Series>> {
    let counting = Counting::of(aggregation, steps, folded);
    let gathered = counting.gather(context, aggregation)?;
    counting.finish(context, aggregation, gathered, None)
}

/// The largest or smallest series of an instant query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extremes {
    pub(super) count: usize,
    pub(super) largest: bool,
}

/// The same, where only these matter: of windows in which lines are counted, others are left out.
pub(super) fn extreme_series(
    context: &Context<'_>,
    aggregation: &RangeAggregation,
    steps: Steps,
    folded: Option<&query::Grouping>,
    extremes: Extremes,
) -> Result<Vec<Series>> {
    let counting = Counting::of(aggregation, steps, folded);
    let gathered = counting.gather(context, aggregation)?;
    counting.finish(context, aggregation, gathered, Some(extremes))
}

/// How many series a window function has at each step, as one series without labels; none where it never
/// has any. The series themselves are not made. `None`: they have to be.
pub(super) fn count_of_series(
    context: &Context<'_>,
    aggregation: &RangeAggregation,
    steps: Steps,
    folded: Option<&query::Grouping>,
) -> Result<Option<Vec<Series>>> {
    let counting = Counting::of(aggregation, steps, folded);
    if counting.unwraps || aggregation.op == RangeOp::Absent {
        return Ok(None);
    }
    let gathered = counting.gather(context, aggregation)?;
    let Collected::Tallies(tallies) = &gathered.collected else { return Ok(None) };
    let mut counts = vec![0.0; steps.count];
    for number in 0..gathered.table.len() {
        context.control.check_in_turn(number)?;
        tallies.present(number).for_each(|step| counts[step] += 1.0);
    }
    let mut present = Bitmap::new(steps.count);
    (0..steps.count).filter(|step| counts[*step] > 0.0).for_each(|step| present.set(step));
    let column = StepColumn::from_parts(counts, present);
    let is_empty = column.is_empty();
    let series = (!is_empty).then(|| Series::new(Labels::empty(), column));
    Ok(Some(series.into_iter().collect()))
}

/// What is counted for each series, by its number.
#[derive(Debug)]
pub(super) enum Collected {
    Tallies(Tallies),
    Samples(Vec<Vec<Sample>>),
}

/// Series and what is counted for them.
#[derive(Debug)]
struct Gathered {
    table: SeriesTable,
    collected: Collected,
}

/// Fewer samples than this are not worth a second thread.
const SAMPLES_FOR_THREADS: usize = 65_536;

impl Collected {
    /// Makes room for so many series.
    pub(super) fn reach(&mut self, count: usize) {
        match self {
            Self::Tallies(tallies) => tallies.reach(count),
            Self::Samples(samples) if samples.len() < count => {
                samples.resize_with(count, Vec::new);
            }
            Self::Samples(_) => {}
        }
    }
}

impl Gathered {
    /// Takes in what another thread has.
    fn merge(&mut self, other: Self, portions: &mut Portions<'_>) -> Result<()> {
        let numbers = self.table.merge(&other.table, portions)?;
        self.collected.reach(self.table.len());
        match (&mut self.collected, other.collected) {
            (Collected::Tallies(mine), Collected::Tallies(theirs)) => mine.merge(&theirs, &numbers),
            (Collected::Samples(mine), Collected::Samples(theirs)) => {
                numbers
                    .iter()
                    .zip(theirs)
                    .for_each(|(number, samples)| mine[*number].extend(samples));
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) struct Counting {
    pub(super) windows: Windows,
    pub(super) grouping: Grouping,
    pub(super) with_bytes: bool,
    unwraps: bool,
    /// Of the keys of series, for all threads.
    hash: SecretHash,
}

impl Counting {
    fn of(aggregation: &RangeAggregation, steps: Steps, folded: Option<&query::Grouping>) -> Self {
        let range = &aggregation.range;
        let windows = Windows::new(steps, range.range_ns, range.offset_ns);
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
        let (unwraps, hash) = (unwrap.is_some() && !is_absent, SecretHash::default());
        Self { windows, grouping, with_bytes, unwraps, hash }
    }

    /// The labels that tell series apart.
    fn wanted(&self) -> Wanted {
        match &self.grouping {
            Grouping::Only(names) => Wanted::These(names.iter().cloned().collect()),
            Grouping::AllBut(_) => Wanted::All,
        }
    }

    fn nothing(&self) -> Gathered {
        let collected = match self.unwraps {
            true => Collected::Samples(Vec::new()),
            false => Collected::Tallies(Tallies::new(self.windows.count(), self.with_bytes)),
        };
        Gathered { table: SeriesTable::new(&self.grouping, self.hash), collected }
    }

    /// What a new series takes of memory.
    pub(super) fn weight(&self) -> usize {
        match self.unwraps {
            true => 2 * size_of::<Vec<Sample>>(),
            false => Tallies::weight(self.windows.count(), self.with_bytes),
        }
    }

    fn gather(&self, context: &Context<'_>, aggregation: &RangeAggregation) -> Result<Gathered> {
        let range = &aggregation.range;
        let purpose = Purpose { lines: self.with_bytes, labels: self.wanted() };
        let pipeline = Pipeline::new(&range.log, range.unwrap.as_ref(), &purpose, context.now_ns)?;
        let Some(extent) = self.windows.extent() else { return Ok(self.nothing()) };
        let matchers = &range.log.matchers;
        let reading = Reading::new(context, matchers, &pipeline, extent, Direction::Forward)?;
        self.read(context, &reading)
    }

    fn read(&self, context: &Context<'_>, reading: &Reading<'_>) -> Result<Gathered> {
        let pieces: Vec<usize> = (0..reading.selection.pieces().len()).collect();
        let bounds = context.bounds();
        let recorded = self.recorded(reading);
        let read = |worker: &mut Worker<'_>, scratch: &mut Scratch, piece: usize| {
            worker.piece(bounds, reading, recorded.as_ref(), scratch, piece)
        };
        let workers = reading.for_each(context, &pieces, || Worker::new(self), read)?;
        let mut whole: Option<Gathered> = None;
        let mut portions = context.holding.portions();
        for worker in workers {
            context.statistics.borrow_mut().add(&worker.statistics);
            let gathered = Gathered { table: worker.table, collected: worker.collected };
            match &mut whole {
                Some(whole) => whole.merge(gathered, &mut portions)?,
                None => whole = Some(gathered),
            }
        }
        Ok(whole.unwrap_or_else(|| self.nothing()))
    }

    fn finish(
        &self,
        context: &Context<'_>,
        aggregation: &RangeAggregation,
        gathered: Gathered,
        extremes: Option<Extremes>,
    ) -> Result<Vec<Series>> {
        if aggregation.op == RangeOp::Absent {
            return Ok(self.absent(aggregation, &gathered).into_iter().collect());
        }
        let Gathered { table, collected } = gathered;
        let samples = match collected {
            Collected::Samples(samples) => samples,
            Collected::Tallies(tallies) => {
                let per = match aggregation.op {
                    RangeOp::Rate | RangeOp::BytesRate => self.windows.range_seconds(),
                    _ => 1.0,
                };
                let numbers: Vec<usize> = match extremes {
                    Some(extremes) => tallies.extremes(table.len(), extremes),
                    None => (0..table.len()).collect(),
                };
                return each_series(context, &table, &numbers, |it| tallies.finish(it, per));
            }
        };
        self.finish_samples(context, aggregation, &table, samples)
    }

    fn finish_samples(
        &self,
        context: &Context<'_>,
        aggregation: &RangeAggregation,
        table: &SeriesTable,
        mut samples: Vec<Vec<Sample>>,
    ) -> Result<Vec<Series>> {
        let control = context.control;
        let finish = |(first, samples): (usize, &mut [Vec<Sample>])| -> Result<Vec<Series>> {
            let parameter = aggregation.parameter.unwrap_or_default();
            let mut finished = Vec::with_capacity(samples.len());
            for (index, samples) in samples.iter_mut().enumerate() {
                control.check_in_turn(index)?;
                let check = || control.check();
                let mut samples = std::mem::take(samples);
                let column =
                    over_windows(aggregation.op, parameter, &self.windows, &mut samples, check)?;
                let labels = || table.labels(first + index);
                finished.extend((!column.is_empty()).then(|| Series::new(labels(), column)));
            }
            Ok(finished)
        };
        let helpers = &context.options.helpers;
        let count: usize = samples.iter().map(Vec::len).sum();
        if count < SAMPLES_FOR_THREADS || helpers.width() < 2 {
            return finish((0, &mut samples));
        }
        let share = samples.len().div_ceil(helpers.width()).max(1);
        let shares = samples.chunks_mut(share).enumerate();
        let shares = shares.map(|(index, samples)| (index * share, samples)).collect();
        let finished: Result<Vec<_>> = helpers.scatter(shares, finish).into_iter().collect();
        Ok(finished?.into_iter().flatten().collect())
    }

    /// One, where no stream has a line, with the labels that the selector asks for by value.
    fn absent(&self, aggregation: &RangeAggregation, gathered: &Gathered) -> Option<Series> {
        let mut column = StepColumn::from_values(vec![1.0; self.windows.count()]);
        if let Collected::Tallies(tallies) = &gathered.collected {
            for number in 0..gathered.table.len() {
                tallies.present(number).for_each(|step| column.remove(step));
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

/// Series of these numbers whose columns are not empty.
fn each_series(
    context: &Context<'_>,
    table: &SeriesTable,
    numbers: &[usize],
    column: impl Fn(usize) -> StepColumn,
) -> Result<Vec<Series>> {
    let mut series = Vec::with_capacity(numbers.len());
    for (turn, number) in numbers.iter().enumerate() {
        context.control.check_in_turn(turn)?;
        let column = column(*number);
        series.extend((!column.is_empty()).then(|| Series::new(table.labels(*number), column)));
    }
    Ok(series)
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
    pub(super) table: SeriesTable,
    pub(super) collected: Collected,
    pub(super) statistics: Statistics,
    buffers: Buffers,
}

impl<'a> Worker<'a> {
    fn new(counting: &'a Counting) -> Self {
        let Gathered { table, collected } = counting.nothing();
        let (statistics, buffers) = (Statistics::default(), Buffers::default());
        Self { counting, table, collected, statistics, buffers }
    }

    fn piece(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        recorded: Option<&Recorded<'_>>,
        scratch: &mut Scratch,
        piece: usize,
    ) -> Result<()> {
        if let Some(recorded) = recorded {
            let mut portions = bounds.holding.portions();
            let is_counted =
                self.count_recorded(reading, recorded, (piece, scratch), &mut portions)?;
            portions.settle()?;
            if is_counted {
                return Ok(());
            }
        }
        if reading.texts.is_some() && self.count_texts(bounds, reading, (piece, scratch))? {
            return Ok(());
        }
        let mut statistics = Statistics::default();
        reading.piece(piece, scratch, &mut statistics, |rows, picked| {
            let mut portions = bounds.holding.portions();
            let nothing = Labels::empty();
            let codes = recorded.and_then(|recorded| FieldCodes::new(recorded, rows, &nothing));
            if let Some(codes) = codes {
                self.count_fields(bounds, reading, (rows, picked), codes, &mut portions)?;
            } else if reading.pipeline.is_columnar() {
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
        let weight = self.counting.weight();
        let number = self.table.number(stream, &state.labels, portions, weight)?;
        self.collected.reach(self.table.len());
        match &mut self.collected {
            Collected::Tallies(tallies) => {
                tallies.get(number).add(steps, state.line.bytes().len() as i64);
            }
            Collected::Samples(samples) => {
                // A list that grows is at most half empty.
                portions.take(Weight::bytes(2 * size_of::<Sample>()))?;
                samples[number].push((state.time, value));
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
