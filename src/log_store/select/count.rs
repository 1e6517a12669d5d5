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
use crate::part::{Group, LogPart};

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
        let Place { source, index } = self.places[piece];
        let source = &self.sources[source as usize];
        match &source.from {
            Origin::Head(blocks) => Ok(self.count_block(source, &blocks[index as usize], steps)),
            Origin::Part(part) => {
                let counted = self.count_group(source, part, index, steps, scratch);
                counted.or_else(|error| self.part_failed(part.id, error).map(|()| Vec::new()))
            }
        }
    }

    fn count_block(&self, source: &Source, block: &Block, steps: Steps<'_>) -> Vec<LineCount> {
        let mut counts = Counts::default();
        for row in 0..block.rows.len() {
            let stream = source.streams[block.rows.streams[row] as usize];
            if let Some(stream) = stream
                && self.holds(source, block, row)
            {
                let step = steps.of(block.rows.times[row]);
                counts.add(stream, step, 1, block.rows.line(row).len() as u64);
            }
        }
        counts.0
    }

    fn count_group(
        &self,
        source: &Source,
        part: &LogPart,
        index: u32,
        steps: Steps<'_>,
        scratch: &mut Scratch,
    ) -> Result<Vec<LineCount>, StoreError> {
        let group = part.group(index)?;
        let time = part.index.groups[index as usize].time;
        let is_all_selected = self.conditions.is_empty()
            && self.time.covers(time)
            && source.deletes.at(time).next().is_none();
        let step = steps.of(time.min);
        if is_all_selected && step == steps.of(time.max) {
            return Ok(whole_runs(source, &group, step));
        }
        let found = self.rows_of_group(source, part, &group, index, scratch)?;
        found.map_or(Ok(Vec::new()), |found| count_rows(source, &group, found, steps))
    }
}

/// All lines of the streams that matched.
fn whole_runs(source: &Source, group: &Group, step: usize) -> Vec<LineCount> {
    let mut counts = Counts::default();
    for run in &group.head.runs {
        if let Some(stream) = source.streams[run.stream as usize] {
            counts.add(stream, step, u64::from(run.rows), run.bytes);
        }
    }
    counts.0
}

fn count_rows(
    source: &Source,
    group: &Group,
    found: GroupRows,
    steps: Steps<'_>,
) -> Result<Vec<LineCount>, StoreError> {
    let GroupRows { rows, times, mut lines } = found;
    let (mut counts, mut start) = (Counts::default(), 0);
    for run in &group.head.runs {
        let of_run = start..start + run.rows as usize;
        start = of_run.end;
        let Some(stream) = source.streams[run.stream as usize] else { continue };
        if of_run.is_empty() {
            continue;
        }
        let step = steps.of(times[of_run.start]);
        let is_one_step = step == steps.of(times[of_run.end - 1]);
        if is_one_step && rows.count(of_run.clone()) == of_run.len() {
            counts.add(stream, step, u64::from(run.rows), run.bytes);
            continue;
        }
        if lines.is_none() {
            lines = Some(Lines::new(group.lines()?, group.clone()));
        }
        let Some(lines) = &lines else { continue };
        for row in of_run.filter(|row| rows.contains(*row)) {
            counts.add(stream, steps.of(times[row]), 1, lines.length(row)?);
        }
    }
    Ok(counts.0)
}
