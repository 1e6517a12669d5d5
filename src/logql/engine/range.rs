//! Lines counted, or their values unwrapped, in windows: `rate({app="web"} |= "error" [5m])`.
//!
//! Where the pipeline is only conditions, rows are counted as they lie in columns (`count_columns`):
//! their labels are looked at once for each series of a piece. Otherwise rows go through the stages one
//! by one (`Worker::rows`). An aggregation around the window may be folded in: then series are grouped
//! as it groups them, and labels that it drops are never put together.

use super::groups::{Grouping, SeriesTable};
use super::pieces::{ROWS_PER_CHECK, Reading, add_field, add_fields};
use super::tally::Tally;
use super::unwrapped::{Sample, over_windows};
use super::windows::{Cursor, Steps, Windows};
use super::{Bounds, Context, Result};
use crate::ast::{RangeAggregation, RangeOp};
use crate::error::QueryError;
use crate::extract::Buffers;
use crate::pipeline::conditions::{Picked, stream_runs};
use crate::pipeline::labels::{ERROR, ERROR_DETAILS, LineLabels};
use crate::pipeline::{Line, LineState, Pipeline, Purpose, Wanted};
use crate::storage::{ABSENT, Direction, FieldColumn, Rows};
use crate::value::Statistics;
use model::{Labels, MatchOp};
use query::{Portions, Series, StepColumn, Weight};
use std::collections::HashMap;
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
    context.control.check()?;
    Ok(counting.finish(aggregation, table))
}

/// What is counted for each series.
#[derive(Debug)]
enum Collected {
    Tally(Tally),
    Samples(Vec<Sample>),
}

impl Collected {
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Tally(mine), Self::Tally(theirs)) => mine.merge(&theirs),
            (Self::Samples(mine), Self::Samples(theirs)) => mine.extend(theirs),
            _ => {}
        }
    }
}

struct Counting {
    windows: Windows,
    grouping: Grouping,
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
    fn empty(&self) -> Collected {
        if self.unwraps {
            return Collected::Samples(Vec::new());
        }
        Collected::Tally(Tally::new(self.windows.count(), self.with_bytes))
    }

    fn weight(&self) -> usize {
        if self.unwraps {
            return size_of::<Collected>();
        }
        Tally::weight(self.windows.count(), self.with_bytes)
    }

    fn read(&self, context: &Context<'_>, reading: &Reading<'_>) -> Result<SeriesTable<Collected>> {
        let (pieces, bounds) = (0..reading.selection.pieces().len(), context.bounds());
        let workers = reading.for_each(
            context,
            pieces,
            || Worker::new(self),
            |worker, scratch, piece| {
                let mut statistics = Statistics::default();
                reading.piece(piece, scratch, &mut statistics, |rows, picked| {
                    let mut portions = bounds.holding.portions();
                    if reading.pipeline.is_columnar() {
                        worker.count_columns(bounds, reading, rows, picked, &mut portions)?;
                    } else {
                        worker.rows(bounds, reading, rows, picked, &mut portions)?;
                    }
                    Ok(portions.settle()?)
                })?;
                worker.statistics.add(&statistics);
                Ok(())
            },
        )?;
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

    fn finish(&self, aggregation: &RangeAggregation, table: SeriesTable<Collected>) -> Vec<Series> {
        if aggregation.op == RangeOp::Absent {
            return self.absent(aggregation, table).into_iter().collect();
        }
        let per = match aggregation.op {
            RangeOp::Rate | RangeOp::BytesRate => self.windows.range_seconds(),
            _ => 1.0,
        };
        let parameter = aggregation.parameter.unwrap_or_default();
        let finished = table.series.into_iter().map(|(labels, collected)| {
            let column = match collected {
                Collected::Tally(tally) => tally.finish(per),
                Collected::Samples(mut samples) => {
                    over_windows(aggregation.op, parameter, &self.windows, &mut samples)
                }
            };
            Series::new(labels, column)
        });
        finished.filter(|series| !series.column.is_empty()).collect()
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
struct Worker<'a> {
    counting: &'a Counting,
    table: SeriesTable<Collected>,
    statistics: Statistics,
    buffers: Buffers,
}

impl<'a> Worker<'a> {
    fn new(counting: &'a Counting) -> Self {
        let table = SeriesTable::new(&counting.grouping);
        let (statistics, buffers) = (Statistics::default(), Buffers::default());
        Self { counting, table, statistics, buffers }
    }

    // ── rows one by one ──

    fn rows(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        rows: &Rows<'_>,
        picked: &Picked,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let (counting, pipeline) = (self.counting, reading.pipeline);
        let nothing = Labels::empty();
        let mut state =
            LineState { time: 0, labels: LineLabels::new(&nothing), line: Line::Stored(&[]) };
        for index in 0..picked.len() {
            if index % ROWS_PER_CHECK == ROWS_PER_CHECK - 1 {
                bounds.control.check()?;
            }
            let row = picked.row(index);
            let time = rows.times[row];
            let steps = counting.windows.first_step(time)..counting.windows.end_step(time);
            if steps.is_empty() {
                // Between two windows: its errors do not matter either.
                continue;
            }
            let stream = rows.streams[row];
            state.time = time;
            state.labels.reset(reading.selection.labels(stream));
            add_fields(rows, row, &mut state.labels);
            state.line = Line::Stored(rows.lines.get(row));
            if !pipeline.run(&mut state, &mut self.buffers) {
                continue;
            }
            let value = if pipeline.unwraps() { pipeline.value(&mut state) } else { Some(1.0) };
            let Some(value) = value else { continue };
            check_error(&state.labels)?;
            self.statistics.lines_after_filters += 1;
            let weight = counting.weight();
            let number =
                self.table.number(stream, &state.labels, portions, weight, || counting.empty())?;
            match &mut self.table.series[number].1 {
                Collected::Tally(tally) => tally.add(steps, state.line.bytes().len() as i64),
                Collected::Samples(samples) => {
                    // A list that grows is at most half empty.
                    portions.take(Weight::bytes(2 * size_of::<Sample>()))?;
                    samples.push((time, value));
                }
            }
        }
        Ok(())
    }

    // ── columns ──

    fn count_columns(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        rows: &Rows<'_>,
        picked: &Picked,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        self.statistics.lines_after_filters += picked.len() as u64;
        let may_keep = |column: &&FieldColumn<'_>| self.counting.grouping.may_keep(column.name);
        let columns: Vec<&FieldColumn<'_>> = rows.fields.iter().filter(may_keep).collect();
        let mut at = 0;
        for run in stream_runs(rows) {
            bounds.control.check()?;
            let count = match picked {
                Picked::All(_) => run.len(),
                Picked::Some(picked) => {
                    picked[at..].partition_point(|row| (*row as usize) < run.end)
                }
            };
            let indexes = at..at + count;
            at = indexes.end;
            if count == 0 {
                continue;
            }
            let labels = reading.selection.labels(rows.streams[run.start]);
            let split = split_by_fields(&columns, picked, &indexes);
            self.count_stream(labels, (&columns, rows), picked, (indexes, split), portions)?;
        }
        Ok(())
    }

    fn count_stream(
        &mut self,
        stream: &Labels,
        (columns, rows): (&[&FieldColumn<'_>], &Rows<'_>),
        picked: &Picked,
        (indexes, split): (Range<usize>, Split),
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let counting = self.counting;
        let mut labels = LineLabels::new(stream);
        let mut numbers = Vec::with_capacity(split.firsts.len());
        for first in &split.firsts {
            labels.reset(stream);
            for column in columns {
                add_field(column, picked.row(*first), &mut labels);
            }
            let weight = counting.weight();
            numbers.push(self.table.resolve(&labels, portions, weight, || counting.empty())?);
        }
        let time = |index: usize| rows.times[picked.row(index)];
        if let [number] = numbers[..] {
            if let Collected::Tally(tally) = &mut self.table.series[number].1 {
                let start = indexes.start;
                let bytes = |range: Range<usize>| {
                    line_bytes(rows, picked, start + range.start..start + range.end)
                };
                tally.add_run(
                    &counting.windows,
                    indexes.len(),
                    |offset| time(start + offset),
                    bytes,
                );
            }
            return Ok(());
        }
        let mut cursor = Cursor::new(&counting.windows);
        for (index, group) in indexes.zip(split.groups) {
            let row = picked.row(index);
            let steps = cursor.steps(rows.times[row]);
            if steps.is_empty() {
                continue;
            }
            if let Collected::Tally(tally) = &mut self.table.series[numbers[group as usize]].1 {
                tally.add(steps, rows.lines.get(row).len() as i64);
            }
        }
        Ok(())
    }
}

fn line_bytes(rows: &Rows<'_>, picked: &Picked, indexes: Range<usize>) -> i64 {
    if let Picked::All(_) = picked {
        let end = |row: usize| {
            row.checked_sub(1)
                .and_then(|row| rows.lines.ends.get(row))
                .map_or(0, |end| i64::from(*end))
        };
        return end(indexes.end) - end(indexes.start);
    }
    indexes.map(|index| rows.lines.get(picked.row(index)).len() as i64).sum()
}

/// Rows split by the values of some fields.
struct Split {
    /// The number of each row's group; empty where there is one group only.
    groups: Vec<u32>,
    /// The first row of each group.
    firsts: Vec<usize>,
}

/// One field after the other: the groups so far are split by its codes.
fn split_by_fields(columns: &[&FieldColumn<'_>], picked: &Picked, indexes: &Range<usize>) -> Split {
    let mut split = Split { groups: Vec::new(), firsts: vec![indexes.start] };
    for column in columns {
        let code = |index: usize| column.codes.get(picked.row(index)).copied().unwrap_or(ABSENT);
        let first = code(indexes.start);
        if split.groups.is_empty() && indexes.clone().all(|index| code(index) == first) {
            continue;
        }
        if split.groups.is_empty() {
            split.groups = vec![0; indexes.len()];
        }
        let mut known = Numbers::new(split.firsts.len(), column.values.len());
        let mut firsts = Vec::new();
        for (index, group) in indexes.clone().zip(&mut split.groups) {
            let next = firsts.len() as u32;
            *group = known.number(*group, code(index), next);
            if *group == next {
                firsts.push(index);
            }
        }
        split.firsts = firsts;
    }
    split
}

/// The numbers of pairs of a group and a code: a table where there are few, else a map.
enum Numbers {
    Table { numbers: Vec<u32>, codes: usize },
    Map(HashMap<(u32, u32), u32>),
}

impl Numbers {
    const TABLE_MAX: usize = 1 << 14;

    fn new(groups: usize, values: usize) -> Self {
        // One more: for rows without the field.
        let codes = values + 1;
        match groups.checked_mul(codes).filter(|pairs| *pairs <= Self::TABLE_MAX) {
            Some(pairs) => Self::Table { numbers: vec![u32::MAX; pairs], codes },
            None => Self::Map(HashMap::new()),
        }
    }

    /// The number of a pair; `next` where it is met for the first time.
    #[inline]
    fn number(&mut self, group: u32, code: u32, next: u32) -> u32 {
        match self {
            Self::Table { numbers, codes } => {
                let code = (code as usize).min(*codes - 1);
                match numbers.get_mut(group as usize * *codes + code) {
                    Some(number) if *number == u32::MAX => {
                        *number = next;
                        next
                    }
                    Some(number) => *number,
                    None => next,
                }
            }
            Self::Map(numbers) => *numbers.entry((group, code)).or_insert(next),
        }
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
