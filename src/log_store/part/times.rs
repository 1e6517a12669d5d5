//! The times of a row group's rows, read block by block when they are needed; and how many lines each
//! stream has in each *tick*, which is a minute or ten seconds: that tells most of what is asked about
//! time without reading any.

use super::GroupHead;
use super::group::Run;
use crate::error::StoreError;
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{Effort, NUMBERS_BLOCK, Numbers, encode_numbers};
use model::TimeRange;
use parts::Part;
use std::ops::Range;
use std::sync::Arc;

/// The lengths of ticks. Their numbers stand in files.
const TICKS_NS: [i64; 2] = [60_000_000_000, 10_000_000_000];

/// Lines by tick are recorded where a tick has at least so many on average, those of ten seconds if they
/// do.
const LINES_PER_TICK: usize = 8;

/// How many lines of a run lie in each tick from that of the first line on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    /// The number of the length.
    length: u8,
    first: i64,
    /// None are recorded, or all up to the last line.
    pub(super) count: u32,
}

/// The tick of a time: it begins behind a whole multiple of its length and ends with the next one, as
/// windows of queries do.
fn tick_of(time: i64, length: i64) -> i64 {
    time.saturating_sub(1).div_euclid(length) + 1
}

impl Ticks {
    /// The ticks of times, which rise, and the lines of each; none where that would be many numbers for
    /// few lines.
    pub(super) fn of(times: &[i64]) -> (Self, Vec<u32>) {
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return Default::default();
        };
        let most = (times.len() / LINES_PER_TICK) as u64;
        for (number, length) in TICKS_NS.iter().enumerate().rev() {
            let first = tick_of(*first, *length);
            let count = tick_of(*last, *length).abs_diff(first).saturating_add(1);
            if count <= most {
                let mut lines = vec![0; count as usize];
                for time in times {
                    let at = tick_of(*time, *length).abs_diff(first) as usize;
                    if let Some(lines) = lines.get_mut(at) {
                        *lines += 1;
                    }
                }
                return (Self { length: number as u8, first, count: count as u32 }, lines);
            }
        }
        Default::default()
    }

    fn length_ns(self) -> i64 {
        TICKS_NS.get(usize::from(self.length)).copied().unwrap_or(TICKS_NS[0])
    }

    /// `before` is the first tick of the run before that has ticks.
    pub(super) fn encode(self, before: &mut i64, writer: &mut ByteWriter) {
        writer.varint(u64::from(self.count));
        if self.count > 0 {
            writer.u8(self.length);
            writer.varint_signed(self.first.wrapping_sub(*before));
            *before = self.first;
        }
    }

    pub(super) fn decode(
        before: &mut i64,
        reader: &mut ByteReader<'_>,
    ) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("ticks of no length, or beyond all times");
        let count = reader.length(reader.remaining())? as u32;
        if count == 0 {
            return Ok(Self::default());
        }
        let length = reader.u8()?;
        let first = before.wrapping_add(reader.varint_signed()?);
        let ticks = Self { length, first, count };
        let most = i64::MAX / ticks.length_ns() + 1;
        if usize::from(length) >= TICKS_NS.len() || !(-most..=most).contains(&first) {
            return Err(wrong);
        }
        *before = first;
        Ok(ticks)
    }
}

/// Times are written as they are: the encoder takes the differences within each block.
pub(super) fn encode_times(times: &[i64], effort: Effort, writer: &mut ByteWriter) {
    let numbers: Vec<u64> = times.iter().map(|time| *time as u64).collect();
    encode_numbers(&numbers, effort.number_level(), writer);
}

/// The times of a row group. Their page is read when the first of them is asked for.
#[derive(Debug)]
pub(crate) struct Times {
    page: TimesPage,
    rows: usize,
    /// All of them are within this.
    range: TimeRange,
    /// Those that were read, by block; the others are empty.
    blocks: Vec<Vec<i64>>,
    buffer: Vec<u64>,
}

#[derive(Debug)]
enum TimesPage {
    Unread(Arc<Part>, u32),
    Read(Box<Numbers<'static>>),
}

impl Times {
    /// A page of a part holds the times of so many rows, all of them within a range.
    pub(super) fn new((part, page): (&Arc<Part>, u32), rows: usize, range: TimeRange) -> Self {
        Self::of_page(TimesPage::Unread(Arc::clone(part), page), rows, range)
    }

    fn of_page(page: TimesPage, rows: usize, range: TimeRange) -> Self {
        let blocks = vec![Vec::new(); rows.div_ceil(NUMBERS_BLOCK)];
        Self { page, rows, range, blocks, buffer: Vec::new() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    fn numbers(&mut self) -> Result<&mut Numbers<'static>, StoreError> {
        if let TimesPage::Unread(part, page) = &self.page {
            let numbers = Numbers::of_bytes(part.page(*page)?, self.rows)?;
            self.page = TimesPage::Read(Box::new(numbers));
        }
        match &mut self.page {
            TimesPage::Read(numbers) => Ok(numbers),
            TimesPage::Unread(..) => unreachable!("it was read above"),
        }
    }

    fn block(&mut self, row: usize) -> Result<&[i64], StoreError> {
        let wrong = DecodeError::Value { offset: 0, what: "times outside those of the row group" };
        let index = row / NUMBERS_BLOCK;
        if self.blocks.get(index).ok_or(wrong)?.is_empty() {
            let mut numbers = std::mem::take(&mut self.buffer);
            numbers.clear();
            self.numbers()?.block(row, &mut numbers)?;
            let block: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
            // Lines are looked for, and merged, by the time of their row group.
            if !block.iter().all(|time| self.range.contains(*time)) {
                return Err(wrong.into());
            }
            (self.blocks[index], self.buffer) = (block, numbers);
        }
        Ok(&self.blocks[index])
    }

    pub(crate) fn at(&mut self, row: usize) -> Result<i64, StoreError> {
        let within = row % NUMBERS_BLOCK;
        Ok(self.block(row)?[within])
    }

    /// Appends the times of all rows.
    pub(crate) fn append_all(&mut self, into: &mut Vec<i64>) -> Result<(), StoreError> {
        for row in (0..self.rows()).step_by(NUMBERS_BLOCK) {
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

/// The rows of one run, and the ticks of its lines.
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
        let (ticks, lines) = (self.run.ticks, self.head.ticks_of(self.run));
        if lines.is_empty() {
            return times.first_from(rows, time);
        }
        // All lines of the ticks before this one are before the time.
        let length = ticks.length_ns();
        let before = tick_of(time, length).saturating_sub(ticks.first);
        let Ok(before) = usize::try_from(before) else { return Ok(rows.start) };
        let sum = |lines: &[u32]| lines.iter().map(|lines| *lines as usize).sum::<usize>();
        let first = rows.start + sum(&lines[..before.min(lines.len())]);
        let Some(own) = lines.get(before) else { return Ok(rows.end) };
        // A tick begins one nanosecond behind a whole one.
        match time.rem_euclid(length) == 1 {
            true => Ok(first),
            false => times.first_from(first..(first + *own as usize).min(rows.end), time),
        }
    }

    /// A time that no row is before.
    pub(crate) fn earliest(&self, times: &mut Times) -> Result<i64, StoreError> {
        let ticks = self.run.ticks;
        match ticks.count {
            0 => times.at(self.start),
            _ => Ok((ticks.first - 1).saturating_mul(ticks.length_ns()).saturating_add(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::GroupHead;
    use model::TimeUnit;
    use proptest::prelude::*;

    const MINUTE_NS: i64 = TICKS_NS[0];

    fn read(bytes: Vec<u8>, rows: usize, range: TimeRange) -> Result<Times, DecodeError> {
        let page = TimesPage::Read(Box::new(Numbers::of_bytes(bytes, rows)?));
        Ok(Times::of_page(page, rows, range))
    }

    proptest! {
        #[test]
        fn rows_are_found_by_their_times(
            gaps in prop::collection::vec(prop_oneof![0i64..3, Just(MINUTE_NS / 7), Just(MINUTE_NS / 12), Just(MINUTE_NS)], 1..200),
            start in -3i64..3, copies in 1usize..60, wanted in -2i64..60, more in -2i64..3,
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
            let read = || read(writer.bytes.clone(), times.len(), range).unwrap();
            let mut all = Vec::new();
            read().append_all(&mut all).unwrap();
            prop_assert_eq!(&all, &times);
            let mut head = GroupHead::default();
            head.add_run(Run { rows: times.len() as u32, ..Run::default() }, &times);
            let run = RunRows::new(&head, &head.runs[0], 0);
            prop_assert!(run.earliest(&mut read()).unwrap() <= times[0]);
            let wanted = wanted * MINUTE_NS / 6 + more;
            let expected = times.partition_point(|time| *time < wanted);
            prop_assert_eq!(run.first_from(wanted, &mut read()).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_times_or_an_error(bytes: Vec<u8>, rows in 1usize..300, row in 0usize..400) {
            if let Ok(mut times) = read(bytes, rows, TimeUnit::Nanos.everything()) {
                let _ = times.at(row);
            }
        }
    }
}
