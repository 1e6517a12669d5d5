//! The times of a row group's rows, read block by block when they are needed; and how many lines each
//! stream has in each minute, which tells most of what is asked about time without reading any.

use super::GroupHead;
use super::group::Run;
use crate::error::StoreError;
use codec::{ByteWriter, DecodeError};
use columns::{Effort, Numbers, encode_numbers};
use model::TimeRange;
use std::ops::Range;

pub(crate) const MINUTE_NS: i64 = 60_000_000_000;

/// The minute of a time: it begins behind a whole minute and ends with the next one, as windows of
/// queries do.
pub(super) fn minute_of(time: i64) -> i64 {
    time.saturating_sub(1).div_euclid(MINUTE_NS) + 1
}

/// Lines by minute are recorded where a minute has at least so many on average.
const LINES_PER_MINUTE: usize = 4;

/// How many of the times, which rise, lie in each minute from that of the first one on; empty where
/// that would be many numbers for few lines.
pub(super) fn lines_by_minute(times: &[i64]) -> Vec<u32> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let first = minute_of(*first);
    let count = minute_of(*last).abs_diff(first).saturating_add(1);
    if count > (times.len() / LINES_PER_MINUTE) as u64 {
        return Vec::new();
    }
    let mut lines = vec![0; count as usize];
    for time in times {
        let at = minute_of(*time).abs_diff(first) as usize;
        if let Some(lines) = lines.get_mut(at) {
            *lines += 1;
        }
    }
    lines
}

/// Times are written as they are: the encoder takes the differences within each block.
pub(super) fn encode_times(times: &[i64], effort: Effort, writer: &mut ByteWriter) {
    let numbers: Vec<u64> = times.iter().map(|time| *time as u64).collect();
    encode_numbers(&numbers, effort.number_level(), writer);
}

/// The times of a row group.
#[derive(Debug)]
pub(crate) struct Times {
    numbers: Numbers<'static>,
    /// Those that were read, by block; the others are empty.
    blocks: Vec<Vec<i64>>,
    block_rows: usize,
    range: TimeRange,
    buffer: Vec<u64>,
}

impl Times {
    /// `page` holds the times of so many rows, all of them within a range.
    pub(super) fn new(page: Vec<u8>, rows: usize, range: TimeRange) -> Result<Self, StoreError> {
        let numbers = Numbers::of_bytes(page, rows)?;
        let block_rows = numbers.block_of(0).len().max(1);
        let blocks = vec![Vec::new(); rows.div_ceil(block_rows)];
        Ok(Self { numbers, blocks, block_rows, range, buffer: Vec::new() })
    }

    pub(crate) fn rows(&self) -> usize {
        self.numbers.len()
    }

    fn block(&mut self, row: usize) -> Result<&[i64], StoreError> {
        let wrong = DecodeError::Value { offset: 0, what: "times outside those of the row group" };
        let block = self.blocks.get_mut(row / self.block_rows).ok_or(wrong)?;
        if block.is_empty() {
            self.buffer.clear();
            self.numbers.block(row, &mut self.buffer)?;
            block.extend(self.buffer.iter().map(|number| *number as i64));
            // Lines are looked for, and merged, by the time of their row group.
            if !block.iter().all(|time| self.range.contains(*time)) {
                return Err(wrong.into());
            }
        }
        Ok(block)
    }

    pub(crate) fn at(&mut self, row: usize) -> Result<i64, StoreError> {
        let within = row % self.block_rows;
        Ok(self.block(row)?[within])
    }

    /// Appends the times of all rows.
    pub(crate) fn append_all(&mut self, into: &mut Vec<i64>) -> Result<(), StoreError> {
        for row in (0..self.rows()).step_by(self.block_rows) {
            into.extend_from_slice(self.block(row)?);
        }
        Ok(())
    }

    /// The first row of a range whose times rise that is not before a time.
    fn first_from(&mut self, rows: Range<usize>, time: i64) -> Result<usize, StoreError> {
        let Range { mut start, mut end } = rows;
        while start < end {
            let middle = start + (end - start) / 2;
            match self.at(middle)? < time {
                true => start = middle + 1,
                false => end = middle,
            }
        }
        Ok(start)
    }
}

/// The rows of one run, and the minutes of its lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunRows<'h> {
    head: &'h GroupHead,
    run: &'h Run,
    /// Of the row group.
    pub(crate) start: usize,
}

impl<'h> RunRows<'h> {
    pub(super) fn new(head: &'h GroupHead, run: &'h Run, start: usize) -> Self {
        Self { head, run, start }
    }

    pub(crate) fn stream(&self) -> u32 {
        self.run.stream
    }

    pub(crate) fn rows(&self) -> Range<usize> {
        self.start..self.start + self.run.rows as usize
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.run.bytes
    }

    /// The first row, of the row group, whose time is not before `time`; the row behind the run if there
    /// is none.
    pub(crate) fn first_from(&self, time: i64, times: &mut Times) -> Result<usize, StoreError> {
        let rows = self.rows();
        let lines = self.head.minutes_of(self.run);
        if lines.is_empty() {
            return times.first_from(rows, time);
        }
        // All lines of the minutes before this one are before the time.
        let minute = minute_of(time);
        let before = minute.saturating_sub(self.head.first_minute(self.run));
        let Ok(before) = usize::try_from(before) else { return Ok(rows.start) };
        let sum = |lines: &[u32]| lines.iter().map(|lines| *lines as usize).sum::<usize>();
        let first = rows.start + sum(&lines[..before.min(lines.len())]);
        let Some(own) = lines.get(before) else { return Ok(rows.end) };
        // A minute begins one nanosecond behind a whole one.
        match time.rem_euclid(MINUTE_NS) == 1 {
            true => Ok(first),
            false => times.first_from(first..(first + *own as usize).min(rows.end), time),
        }
    }

    /// A time that no row is before.
    pub(crate) fn earliest(&self, times: &mut Times) -> Result<i64, StoreError> {
        match self.head.minutes_of(self.run).is_empty() {
            true => times.at(self.start),
            false => {
                let whole = (self.head.first_minute(self.run) - 1).saturating_mul(MINUTE_NS);
                Ok(whole.saturating_add(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::GroupHead;
    use model::TimeUnit;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_found_by_their_times(
            gaps in prop::collection::vec(prop_oneof![0i64..3, Just(MINUTE_NS / 7), Just(MINUTE_NS)], 1..200),
            start in -3i64..3, copies in 1usize..60, wanted in -2i64..40, more in -2i64..3,
        ) {
            let mut time = start * MINUTE_NS / 2;
            let mut times = Vec::new();
            for gap in &gaps {
                time += gap;
                times.extend(std::iter::repeat_n(time, copies));
            }
            let mut writer = ByteWriter::default();
            encode_times(&times, Effort::Merge, &mut writer);
            let range = TimeUnit::Nanos.between(times[0], time);
            let read = || Times::new(writer.bytes.clone(), times.len(), range).unwrap();
            let mut all = Vec::new();
            read().append_all(&mut all).unwrap();
            prop_assert_eq!(&all, &times);
            let mut head = GroupHead::default();
            head.add_run(Run { rows: times.len() as u32, ..Run::default() }, &times);
            let run = RunRows::new(&head, &head.runs[0], 0);
            prop_assert!(run.earliest(&mut read()).unwrap() <= times[0]);
            let wanted = wanted * MINUTE_NS / 4 + more;
            let expected = times.partition_point(|time| *time < wanted);
            prop_assert_eq!(run.first_from(wanted, &mut read()).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_times_or_an_error(bytes: Vec<u8>, rows in 1usize..300, row in 0usize..400) {
            if let Ok(mut times) = Times::new(bytes, rows, TimeUnit::Nanos.everything()) {
                let _ = times.at(row);
            }
        }
    }
}
