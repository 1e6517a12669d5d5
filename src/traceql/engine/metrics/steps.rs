//! Which step a span belongs to: each step is an interval that its point ends, and that the point belongs
//! to, as Tempo has it.

use super::super::Result;
use crate::error::QueryError;
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// Before the first interval, in nanoseconds.
    before: i64,
    length: i64,
    pub(crate) count: usize,
}

impl Steps {
    pub(crate) fn instant(start_ns: i64, end_ns: i64) -> Self {
        Self { before: start_ns, length: end_ns.saturating_sub(start_ns).max(1), count: 1 }
    }

    /// Points are multiples of the step, from the one at the start or before it to the one at the end or
    /// behind it.
    pub(crate) fn range(start_ns: i64, end_ns: i64, step_ns: i64, most: usize) -> Result<Self> {
        if step_ns <= 0 {
            return Err(QueryError::Invalid("the step must be greater than 0".to_owned()));
        }
        let (step, start, end) = (i128::from(step_ns), i128::from(start_ns), i128::from(end_ns));
        let first = start.div_euclid(step) * step;
        let last = -(-end).div_euclid(step) * step;
        let count = usize::try_from((last - first) / step + 1).unwrap_or(usize::MAX);
        if count > most.saturating_add(2) {
            let message = format!(
                "the step is so short that there are {count} points, the most is {most}: ask for a \
                 longer step or a shorter time"
            );
            return Err(QueryError::Invalid(message));
        }
        let before = i64::try_from(first - step).map_err(|_| {
            QueryError::Invalid("the start is out of range: ask for a later one".to_owned())
        })?;
        Ok(Self { before, length: step_ns, count })
    }

    /// The first and the last nanosecond of all intervals.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        let length = self.length.saturating_mul(i64::try_from(self.count).unwrap_or(i64::MAX));
        (self.before.saturating_add(1), self.before.saturating_add(length))
    }

    /// The longest length of which all ends of intervals are multiples.
    pub(crate) fn unit_ns(&self) -> u64 {
        let (mut one, mut other) = (self.before.unsigned_abs(), self.length.unsigned_abs());
        while other > 0 {
            (one, other) = (other, one % other);
        }
        one
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.length as f64 / 1e9
    }

    pub(crate) fn times_ms(&self) -> Arc<[i64]> {
        let point = |step: usize| {
            let end = i128::from(self.before) + i128::from(self.length) * (step as i128 + 1);
            (end / 1_000_000) as i64
        };
        (0..self.count).map(point).collect()
    }

    pub(crate) fn finder(&self) -> StepFinder {
        StepFinder { steps: *self, after: 0, to: 0, step: 0 }
    }

    fn find(&self, start: i128) -> Option<usize> {
        let offset = start - i128::from(self.before) - 1;
        let step = usize::try_from(offset.div_euclid(i128::from(self.length))).ok()?;
        (step < self.count).then_some(step)
    }
}

/// Finds steps of spans, of which many in a row are in the same one.
#[derive(Clone, Debug)]
pub(crate) struct StepFinder {
    steps: Steps,
    /// The interval of the last span: behind the one, up to the other.
    after: u64,
    to: u64,
    step: usize,
}

impl StepFinder {
    #[inline]
    pub(crate) fn find(&mut self, start: u64) -> Option<usize> {
        if start > self.after && start <= self.to {
            return Some(self.step);
        }
        self.find_other(start)
    }

    #[cold]
    fn find_other(&mut self, start: u64) -> Option<usize> {
        let step = self.steps.find(i128::from(start))?;
        let after = i128::from(self.steps.before) + i128::from(self.steps.length) * step as i128;
        let to = after + i128::from(self.steps.length);
        // A step that reaches below zero or beyond the numbers is found anew for each span.
        if let (Ok(after), Ok(to)) = (u64::try_from(after), u64::try_from(to)) {
            (self.after, self.to, self.step) = (after, to, step);
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_end_their_intervals() {
        let steps = Steps::range(100, 1700, 300, 100).unwrap();
        assert_eq!((steps.count, steps.bounds()), (7, (-299, 1800)));
        let mut finder = steps.finder();
        for (start, step) in [
            (0, Some(0)),
            (1, Some(1)),
            (300, Some(1)),
            (301, Some(2)),
            (299, Some(1)),
            (1800, Some(6)),
            (1801, None),
            (u64::MAX, None),
        ] {
            assert_eq!(finder.find(start), step, "{start}");
        }
        assert_eq!(steps.unit_ns(), 300);
        assert_eq!(Steps::instant(400, 1_000).unit_ns(), 200);
        assert!(Steps::range(0, 1000, 1, 100).is_err());
        assert!(Steps::range(0, 1000, 0, 100).is_err());
        let all = Steps::range(i64::MIN, i64::MAX, i64::MAX, 100);
        assert!(all.is_err());
        assert_eq!(Steps::instant(5, 5).bounds(), (6, 6));
    }
}
