//! The slices of time in which lines are looked for until there are enough.
//!
//! Pieces often lie side by side in time, each with lines of other streams. So the newest lines of all
//! are found by reading the end of each piece rather than whole pieces. How long a slice has to be is
//! guessed: for the first by how many lines there are, for a further one by what those before it had.
//! Invariants: slices follow each other without a gap, and together are the time of all pieces.

use super::pieces::Reading;
use crate::storage::Direction;
use model::{TimeRange, TimeUnit};

#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) time: TimeRange,
    /// All that the slices before it have left.
    pub(super) is_last: bool,
}

#[derive(Debug)]
pub(super) struct Slices {
    direction: Direction,
    limit: usize,
    /// What is left, both ends included.
    rest: Option<(i64, i64)>,
    /// How long the next one should be; `None`: as long as the rest.
    length: Option<u64>,
    /// How long those so far were.
    passed: u64,
}

/// One of so many lines is guessed to be in the answer.
const LINES_FOR_ONE: u64 = 4;
/// The same where lines are filtered.
const FILTERED_LINES_FOR_ONE: u64 = 64;
/// A slice is at least so many times as long as those before it.
const GROWTH: u64 = 4;

impl Slices {
    pub(super) fn new(reading: &Reading<'_>, direction: Direction, limit: usize) -> Self {
        let time = reading.time;
        let pieces = reading.selection.pieces();
        let whole = pieces.iter().map(|piece| piece.time).reduce(TimeRange::union);
        let clipped = |whole: TimeRange| (whole.min.max(time.min), whole.max.min(time.max));
        let rest = whole.map(clipped).filter(|(min, max)| min <= max);
        let mut slices = Self { direction, limit, rest, length: None, passed: 0 };
        // Rare lines are looked for in all the time at once.
        if reading.selection.reads_within()
            && !reading.pipeline.conditions.seek_identifier()
            && let Some(TimeRange { min, max, .. }) = whole
        {
            let rows: u64 = pieces.iter().map(|piece| piece.rows).sum();
            let for_one = match reading.pipeline.drops_lines() {
                true => FILTERED_LINES_FOR_ONE,
                false => LINES_FOR_ONE,
            };
            let wanted = (limit as u64).saturating_mul(for_one);
            let length = u128::from(min.abs_diff(max)) * u128::from(wanted);
            slices.length = u64::try_from(length / u128::from(rows.max(1))).ok();
        }
        slices
    }

    /// The next slice, where those before it had `found` lines.
    pub(super) fn next(&mut self, found: usize) -> Option<Slice> {
        let (min, max) = self.rest?;
        if self.passed > 0 {
            self.length = self.next_length(found);
        }
        let left = min.abs_diff(max);
        let Some(length) = self.length.filter(|length| *length < left / 2) else {
            self.rest = None;
            return Some(Slice { time: TimeUnit::Nanos.between(min, max), is_last: true });
        };
        self.passed = self.passed.saturating_add(length).saturating_add(1);
        let time = match self.direction {
            Direction::Backward => {
                let edge = max.saturating_sub_unsigned(length);
                self.rest = Some((min, edge.saturating_sub(1)));
                (edge, max)
            }
            Direction::Forward => {
                let edge = min.saturating_add_unsigned(length);
                self.rest = Some((edge.saturating_add(1), max));
                (min, edge)
            }
        };
        Some(Slice { time: TimeUnit::Nanos.between(time.0, time.1), is_last: false })
    }

    /// Twice as long as needed if lines are as frequent as they were so far. Where there were none, they
    /// are so rare that all the rest is read at once.
    fn next_length(&self, found: usize) -> Option<u64> {
        let missing = self.limit.saturating_sub(found) as u128;
        let length = u128::from(self.passed) * missing * 2;
        let length = u64::try_from(length.checked_div(found as u128)?).ok()?;
        Some(length.max(self.passed.saturating_mul(GROWTH)))
    }
}
