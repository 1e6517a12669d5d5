//! How many lines a piece has, by stream and step of time, without putting any line together.
//!
//! A row group records how many lines and bytes each of its streams has. Times are read only where a
//! stream's lines belong to several steps, or some of them were not selected; then the lengths of the
//! texts in their slots tell how long they are.

use super::read::GroupRows;
use super::{Origin, Place, Scratch, Selection, Source};
use crate::error::StoreError;
use crate::head::Block;
use crate::lines::Lines;
use crate::part::{Group, LogPart, RunRows, Times};
use columns::RowSet;
use std::ops::Range;

/// Steps of time, by their starts in rising order. A time belongs to the last step that does not start
/// behind it, and to the first one where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a>(pub &'a [i64]);

impl Steps<'_> {
    /// All times are one step.
    pub const ONE: Self = Steps(&[]);

    pub fn of(self, time: i64) -> usize {
        self.0.partition_point(|start| *start <= time).saturating_sub(1)
    }

    /// Calls `each` with the steps that rows of a run belong to, and the rows.
    fn split(
        self,
        run: RunRows<'_>,
        times: &mut Times,
        mut each: impl FnMut(usize, Range<usize>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let rows = run.rows();
        let (mut at, mut step) = (rows.start, self.of(run.earliest(times)?));
        while at < rows.end {
            let end = match self.0.get(step + 1) {
                Some(next) => run.first_from(*next, times)?,
                None => rows.end,
            };
            if end > at {
                each(step, at..end)?;
                at = end;
                step += 1;
            } else {
                // Steps without lines may be many.
                step = (step + 1).max(self.of(times.at(at)?));
            }
        }
        Ok(())
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Lines,
    /// Lines and their bytes.
    Bytes,
}

impl Amount {
    fn of(self, bytes: u64) -> u64 {
        if self == Self::Bytes { bytes } else { 0 }
    }
}

/// Lines of one stream in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCount {
    pub stream: u32,
    pub step: usize,
    pub rows: u64,
    /// Of the lines.
    pub bytes: u64,
}

/// Adds rows that come in order of stream and time.
#[derive(Default)]
struct Counts(Vec<LineCount>);

impl Counts {
    fn add(&mut self, stream: u32, step: usize, rows: u64, bytes: u64) {
        match self.0.last_mut() {
            Some(last) if last.stream == stream && last.step == step => {
                last.rows += rows;
                last.bytes += bytes;
            }
            _ => self.0.push(LineCount { stream, step, rows, bytes }),
        }
    }
}

impl Selection {
    /// Counts the selected lines of a piece; a stream and step may come several times. A piece that is
    /// damaged has no lines, and is told in [`Selection::warnings`].
    pub fn count(
        &self,
        piece: usize,
        steps: Steps<'_>,
        scratch: &mut Scratch,
    ) -> Result<Vec<LineCount>, StoreError> {
        self.count_with(piece, steps, Amount::Bytes, scratch)
    }

    /// The same without bytes, which are 0 then: that is quicker where only some lines of a stream count.
    pub fn count_lines(
        &self,
        piece: usize,
        steps: Steps<'_>,
        scratch: &mut Scratch,
    ) -> Result<Vec<LineCount>, StoreError> {
        self.count_with(piece, steps, Amount::Lines, scratch)
    }

    fn count_with(
        &self,
        piece: usize,
        steps: Steps<'_>,
        amount: Amount,
        scratch: &mut Scratch,
    ) -> Result<Vec<LineCount>, StoreError> {
        let Place { source, index } = self.places[piece];
        let source = &self.sources[source as usize];
        match &source.from {
            Origin::Head(blocks) => {
                Ok(self.count_block(source, &blocks[index as usize], steps, amount))
            }
            Origin::Part(part) => {
                let counted = self.count_group(source, (part, index), steps, amount, scratch);
                counted.or_else(|error| self.part_failed(part.id, error).map(|()| Vec::new()))
            }
        }
    }

    fn count_block(
        &self,
        source: &Source,
        block: &Block,
        steps: Steps<'_>,
        amount: Amount,
    ) -> Vec<LineCount> {
        let mut counts = Counts::default();
        for row in 0..block.rows.len() {
            let stream = source.streams[block.rows.streams[row] as usize];
            if let Some(stream) = stream
                && self.holds(source, block, row)
            {
                let step = steps.of(block.rows.times[row]);
                counts.add(stream, step, 1, amount.of(block.rows.line(row).len() as u64));
            }
        }
        counts.0
    }

    fn count_group(
        &self,
        source: &Source,
        (part, index): (&LogPart, u32),
        steps: Steps<'_>,
        amount: Amount,
        scratch: &mut Scratch,
    ) -> Result<Vec<LineCount>, StoreError> {
        let group = part.group(index)?;
        let time = part.index.groups[index as usize].time;
        let step = steps.of(time.min);
        if self.is_whole(source, part, index) && step == steps.of(time.max) {
            return Ok(whole_runs(source, &group, step, amount));
        }
        let found = self.rows_of_group(source, part, (&group, index), self.time, scratch)?;
        let Some(found) = found else { return Ok(Vec::new()) };
        count_rows(source, &group, found, steps, amount)
    }
}

/// All lines of the streams that matched.
fn whole_runs(source: &Source, group: &Group, step: usize, amount: Amount) -> Vec<LineCount> {
    let mut counts = Counts::default();
    for run in &group.head.runs {
        if let Some(stream) = source.streams[run.stream as usize] {
            counts.add(stream, step, u64::from(run.rows), amount.of(run.bytes));
        }
    }
    counts.0
}

fn count_rows(
    source: &Source,
    group: &Group,
    GroupRows { rows, mut times, lines }: GroupRows,
    steps: Steps<'_>,
    amount: Amount,
) -> Result<Vec<LineCount>, StoreError> {
    let mut counts = Counts::default();
    let mut own_lines = None;
    for run in group.head.run_rows() {
        let Some(stream) = source.streams[run.stream() as usize] else { continue };
        steps.split(run, &mut times, |step, of_step| {
            let count = rows.count(of_step.clone());
            let bytes = match amount {
                Amount::Lines => 0,
                Amount::Bytes if count == run.rows().len() => run.bytes(),
                Amount::Bytes => {
                    if lines.is_none() && own_lines.is_none() {
                        own_lines = Some(Lines::new(group.lines()?, group.clone()));
                    }
                    let lines = lines.as_ref().or(own_lines.as_ref());
                    lines.map_or(Ok(0), |lines| bytes_of(lines, &rows, of_step))?
                }
            };
            if count > 0 {
                counts.add(stream, step, count as u64, bytes);
            }
            Ok(())
        })?;
    }
    Ok(counts.0)
}

/// The bytes of the lines of a range of rows that are in a set.
fn bytes_of(lines: &Lines<Group>, rows: &RowSet, range: Range<usize>) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for row in range.filter(|row| rows.contains(*row)) {
        bytes += lines.length(row)?;
    }
    Ok(bytes)
}
