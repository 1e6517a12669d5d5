//! Counts of lines and bytes by window.
//!
//! Kept as differences: what enters at a window and what leaves at one. A run of rows in order of time is
//! counted edge by edge rather than row by row.

use super::range::Extremes;
use super::windows::Windows;
use crate::pipeline::conditions::gallop;
use query::{Bitmap, StepColumn};
use std::ops::Range;

/// The tallies of many series. They lie together, because most queries of many series have one window.
#[derive(Debug)]
pub(crate) struct Tallies {
    windows: usize,
    with_bytes: bool,
    /// Each slab holds 2 to this power of them.
    shift: u32,
    slabs: Vec<Vec<i64>>,
}

/// The counts of one series.
#[derive(Debug)]
pub(crate) struct Tally<'t> {
    lines: &'t mut [i64],
    /// As long as `lines` where bytes matter, else empty.
    bytes: &'t mut [i64],
}

/// A slab has about this many numbers.
const SLAB: usize = 4_096;

impl Tallies {
    pub(crate) fn new(windows: usize, with_bytes: bool) -> Self {
        let of_one = windows.max(1) * (1 + usize::from(with_bytes));
        let shift = (SLAB / of_one).checked_ilog2().unwrap_or(0);
        Self { windows, with_bytes, shift, slabs: Vec::new() }
    }

    /// What one takes of memory.
    pub(crate) fn weight(windows: usize, with_bytes: bool) -> usize {
        windows * size_of::<i64>() * (1 + usize::from(with_bytes))
    }

    fn length(&self) -> usize {
        self.windows * (1 + usize::from(self.with_bytes))
    }

    /// From here on there are at least so many.
    pub(crate) fn reach(&mut self, count: usize) {
        while self.slabs.len() << self.shift < count {
            self.slabs.push(vec![0; self.length() << self.shift]);
        }
    }

    fn place(&self, number: usize) -> (usize, Range<usize>) {
        let start = (number & ((1 << self.shift) - 1)) * self.length();
        (number >> self.shift, start..start + self.length())
    }

    pub(crate) fn get(&mut self, number: usize) -> Tally<'_> {
        let (slab, range) = self.place(number);
        let (lines, bytes) = self.slabs[slab][range].split_at_mut(self.windows);
        Tally { lines, bytes }
    }

    /// The lines and the bytes of a series.
    fn counts(&self, number: usize) -> (&[i64], &[i64]) {
        let (slab, range) = self.place(number);
        self.slabs[slab][range].split_at(self.windows)
    }

    /// Adds those of another thread; `numbers`: which series here is each of the other's.
    pub(crate) fn merge(&mut self, other: &Self, numbers: &[usize]) {
        let add = |mine: &mut [i64], theirs: &[i64]| {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        };
        for (theirs, number) in numbers.iter().enumerate() {
            let (lines, bytes) = other.counts(theirs);
            let mine = self.get(*number);
            add(mine.lines, lines);
            add(mine.bytes, bytes);
        }
    }

    /// The windows in which a series has lines.
    pub(crate) fn present(&self, number: usize) -> impl Iterator<Item = usize> {
        let mut lines = 0;
        self.counts(number).0.iter().enumerate().filter_map(move |(step, change)| {
            lines += change;
            (lines > 0).then_some(step)
        })
    }

    /// The numbers of the series, of so many, that are among the largest or smallest ones of the only
    /// window, and of those that equal the last one of them.
    pub(crate) fn extremes(&self, series: usize, extremes: Extremes) -> Vec<usize> {
        let amount = |number: usize| {
            let (lines, bytes) = self.counts(number);
            let amount = if self.with_bytes { bytes } else { lines };
            let is_there = lines.first().is_some_and(|lines| *lines > 0);
            amount.first().copied().filter(|_| is_there)
        };
        // The most wanted ones have the largest ranks.
        let rank = |amount: i64| if extremes.largest { amount } else { -amount };
        let mut ranks: Vec<i64> = (0..series).filter_map(amount).map(rank).collect();
        if ranks.len() <= extremes.count {
            return (0..series).collect();
        }
        let Some(last) = extremes.count.checked_sub(1) else { return Vec::new() };
        let (_, least, _) = ranks.select_nth_unstable_by(last, |left, right| right.cmp(left));
        let least = *least;
        (0..series)
            .filter(|number| amount(*number).map(rank).is_some_and(|it| it >= least))
            .collect()
    }

    /// The values of all windows in which a series has lines: how many, or how many bytes, divided by
    /// `per`.
    pub(crate) fn finish(&self, number: usize, per: f64) -> StepColumn {
        let (of_lines, of_bytes) = self.counts(number);
        let (mut values, mut present) = (vec![0.0; self.windows], Bitmap::new(self.windows));
        let (mut lines, mut bytes) = (0, 0);
        for (step, value) in values.iter_mut().enumerate() {
            lines += of_lines[step];
            bytes += of_bytes.get(step).copied().unwrap_or_default();
            if lines > 0 {
                let amount = if self.with_bytes { bytes } else { lines };
                *value = amount as f64 / per;
                present.set(step);
            }
        }
        StepColumn::from_parts(values, present)
    }
}

impl Tally<'_> {
    fn shift(&mut self, step: usize, lines: i64, bytes: i64) {
        if let Some(count) = self.lines.get_mut(step) {
            *count += lines;
        }
        if let Some(count) = self.bytes.get_mut(step) {
            *count += bytes;
        }
    }

    /// One line that lies in these windows.
    pub(crate) fn add(&mut self, steps: Range<usize>, bytes: i64) {
        self.add_lines(steps, 1, bytes);
    }

    /// Lines that lie in these windows, and the bytes of all of them.
    pub(crate) fn add_lines(&mut self, steps: Range<usize>, lines: i64, bytes: i64) {
        self.shift(steps.start, lines, bytes);
        self.shift(steps.end, -lines, -bytes);
    }

    /// `count` rows in order of time. `bytes`: of the rows of a range.
    pub(crate) fn add_run(
        &mut self,
        windows: &Windows,
        count: usize,
        time: impl Fn(usize) -> i64,
        bytes: impl Fn(Range<usize>) -> i64,
    ) {
        let mut at = 0;
        while at < count {
            let step = windows.first_step(time(at));
            if step >= windows.count() {
                break;
            }
            let edge = windows.end(step);
            let rows = gallop(count - at, |offset| time(at + offset) <= edge);
            self.shift(step, rows as i64, bytes(at..at + rows));
            at += rows;
        }
        let mut at = 0;
        while at < count {
            let step = windows.end_step(time(at));
            if step >= windows.count() {
                break;
            }
            let edge = windows.before(step);
            let rows = gallop(count - at, |offset| time(at + offset) <= edge);
            self.shift(step, -(rows as i64), -bytes(at..at + rows));
            at += rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::windows::Steps;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_run_counts_as_its_rows(
            mut times in prop::collection::vec(-50i64..300, 0..40),
            step in 1i64..40, count in 1usize..15, range in 1i64..60, offset in -20i64..20,
        ) {
            times.sort_unstable();
            let windows = Windows::new(Steps { start_ns: 0, step_ns: step, count }, range, offset);
            let mut tallies = Tallies::new(count, true);
            tallies.reach(2);
            let bytes = |range: Range<usize>| range.map(|row| row as i64).sum();
            tallies.get(0).add_run(&windows, times.len(), |row| times[row], bytes);
            for (row, time) in times.iter().enumerate() {
                tallies.get(1).add(windows.first_step(*time)..windows.end_step(*time), row as i64);
            }
            let (run, rows) = (tallies.finish(0, 1.0), tallies.finish(1, 1.0));
            for step in 0..count {
                prop_assert_eq!(run.float(step), rows.float(step));
                let is_present = tallies.present(0).any(|present| present == step);
                prop_assert_eq!(is_present, rows.float(step).is_some());
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_left_out_is_beyond_so_many(
            amounts in prop::collection::vec(0_i64..6, 0..30), count in 0_usize..8, largest: bool,
        ) {
            let mut tallies = Tallies::new(1, false);
            tallies.reach(amounts.len());
            for (number, amount) in amounts.iter().enumerate() {
                tallies.get(number).add_lines(0..1, *amount, 0);
            }
            let kept = tallies.extremes(amounts.len(), Extremes { count, largest });
            let is_beyond =
                |one: i64, other: i64| if largest { one > other } else { one < other };
            for (number, amount) in amounts.iter().enumerate().filter(|(_, amount)| **amount > 0) {
                let beyond = |kept: &&usize| is_beyond(amounts[**kept], *amount);
                let is_left_out = !kept.contains(&number);
                prop_assert!(!is_left_out || kept.iter().filter(beyond).count() >= count);
            }
        }
    }
}
