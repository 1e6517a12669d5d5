//! Counts of lines and bytes by window, for one series.
//!
//! Kept as differences: what enters at a window and what leaves at one. A run of rows in order of time is
//! counted edge by edge rather than row by row.

use super::windows::Windows;
use crate::pipeline::conditions::gallop;
use query::{Bitmap, StepColumn};
use std::ops::Range;

#[derive(Clone, Debug)]
pub(crate) struct Tally {
    lines: Vec<i64>,
    /// As long as `lines` where bytes matter, else empty.
    bytes: Vec<i64>,
}

impl Tally {
    pub(crate) fn new(windows: usize, with_bytes: bool) -> Self {
        let bytes = if with_bytes { vec![0; windows] } else { Vec::new() };
        Self { lines: vec![0; windows], bytes }
    }

    /// What it takes of memory.
    pub(crate) fn weight(windows: usize, with_bytes: bool) -> usize {
        windows * size_of::<i64>() * (1 + usize::from(with_bytes)) + size_of::<Self>()
    }

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
        self.shift(steps.start, 1, bytes);
        self.shift(steps.end, -1, -bytes);
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

    pub(crate) fn merge(&mut self, other: &Self) {
        let add = |mine: &mut Vec<i64>, theirs: &[i64]| {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        };
        add(&mut self.lines, &other.lines);
        add(&mut self.bytes, &other.bytes);
    }

    /// The values of all windows that have lines: how many, or how many bytes, divided by `per`.
    pub(crate) fn finish(self, per: f64) -> StepColumn {
        let (mut values, mut present) =
            (vec![0.0; self.lines.len()], Bitmap::new(self.lines.len()));
        let (mut lines, mut bytes) = (0, 0);
        for (step, value) in values.iter_mut().enumerate() {
            lines += self.lines[step];
            bytes += self.bytes.get(step).copied().unwrap_or_default();
            if lines > 0 {
                let amount = if self.bytes.is_empty() { lines } else { bytes };
                *value = amount as f64 / per;
                present.set(step);
            }
        }
        StepColumn::from_parts(values, present)
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
            let (mut run, mut rows) = (Tally::new(count, true), Tally::new(count, true));
            let bytes = |range: Range<usize>| range.map(|row| row as i64).sum();
            run.add_run(&windows, times.len(), |row| times[row], bytes);
            for (row, time) in times.iter().enumerate() {
                rows.add(windows.first_step(*time)..windows.end_step(*time), row as i64);
            }
            let (run, rows) = (run.finish(1.0), rows.finish(1.0));
            for step in 0..count {
                prop_assert_eq!(run.float(step), rows.float(step));
            }
        }
    }
}
