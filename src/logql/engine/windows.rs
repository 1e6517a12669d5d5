//! The moments at which windows end, and which of them a line lies in.
//!
//! A window is half-open: from `range` before its end, which is not in it, to its end, which is.

use std::ops::Range;

/// Evaluation times, in nanoseconds. An instant is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start_ns: i64,
    pub(crate) step_ns: i64,
    pub(crate) count: usize,
}

impl Steps {
    pub(crate) fn instant(time_ns: i64) -> Self {
        Self { start_ns: time_ns, step_ns: 1, count: 1 }
    }

    /// `None` where there are more than `count_max`. No steps where `end` is before `start`.
    pub(crate) fn range(
        start_ns: i64,
        end_ns: i64,
        step_ns: i64,
        count_max: usize,
    ) -> Option<Self> {
        let step_ns = step_ns.max(1);
        if end_ns < start_ns {
            return Some(Self { start_ns, step_ns, count: 0 });
        }
        let count = (i128::from(end_ns) - i128::from(start_ns)) / i128::from(step_ns) + 1;
        let count = usize::try_from(count).ok().filter(|count| *count <= count_max)?;
        Some(Self { start_ns, step_ns, count })
    }

    pub(crate) fn time(&self, step: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64))
    }

    pub(crate) fn times_ms(&self) -> impl Iterator<Item = i64> + use<> {
        let steps = *self;
        (0..steps.count).map(move |step| steps.time(step).div_euclid(1_000_000))
    }
}

/// The windows that end at the steps, shifted by an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    steps: Steps,
    range_ns: i64,
    offset_ns: i64,
}

impl Windows {
    pub(crate) fn new(steps: Steps, range_ns: i64, offset_ns: i64) -> Self {
        Self { steps, range_ns, offset_ns }
    }

    pub(crate) fn count(&self) -> usize {
        self.steps.count
    }

    pub(crate) fn range_seconds(&self) -> f64 {
        self.range_ns as f64 / 1e9
    }

    /// The last nanosecond of a window.
    pub(crate) fn end(&self, step: usize) -> i64 {
        self.steps.time(step).saturating_sub(self.offset_ns)
    }

    /// The last nanosecond before a window.
    pub(crate) fn before(&self, step: usize) -> i64 {
        self.end(step).saturating_sub(self.range_ns)
    }

    /// Where windows begin and end: between two such times, all times lie in the same windows.
    pub(crate) fn edges(&self) -> Vec<i64> {
        let behind = |time: i64| time.saturating_add(1);
        let edges = |step: usize| [behind(self.before(step)), behind(self.end(step))];
        let mut edges: Vec<i64> = (0..self.count()).flat_map(edges).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    /// The first and the last nanosecond that lie in any window.
    pub(crate) fn extent(&self) -> Option<(i64, i64)> {
        let last = self.steps.count.checked_sub(1)?;
        let first = self.before(0).saturating_add(1);
        (first <= self.end(last)).then_some((first, self.end(last)))
    }

    /// The first window that ends at this time or later; the number of windows where none does.
    pub(crate) fn first_step(&self, time_ns: i64) -> usize {
        self.first_at(i128::from(time_ns) + i128::from(self.offset_ns))
    }

    /// The first window that begins at this time or later, and so does not hold it.
    pub(crate) fn end_step(&self, time_ns: i64) -> usize {
        let shift = i128::from(self.offset_ns) + i128::from(self.range_ns);
        self.first_at(i128::from(time_ns) + shift)
    }

    fn first_at(&self, time: i128) -> usize {
        let behind = time - i128::from(self.steps.start_ns);
        if behind <= 0 {
            return 0;
        }
        // Dividing 64 bits is several times quicker.
        let step = match (u64::try_from(behind), u64::try_from(self.steps.step_ns)) {
            (Ok(behind), Ok(step)) => behind.div_ceil(step),
            _ => return self.steps.count,
        };
        usize::try_from(step).map_or(self.steps.count, |step| step.min(self.steps.count))
    }
}

/// Finds the windows of times that come in order: quicker than asking for each.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    windows: &'a Windows,
    first: usize,
    end: usize,
    /// Up to these times the two stay as they are.
    first_until: i64,
    end_until: i64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(windows: &'a Windows) -> Self {
        Self { windows, first: 0, end: 0, first_until: i64::MIN, end_until: i64::MIN }
    }

    /// The windows that a time lies in, which is not before the one asked for last.
    #[inline]
    pub(crate) fn steps(&mut self, time_ns: i64) -> Range<usize> {
        if time_ns > self.first_until {
            self.first = self.windows.first_step(time_ns);
            self.first_until = self.until(self.first, |step| self.windows.end(step));
        }
        if time_ns > self.end_until {
            self.end = self.windows.end_step(time_ns);
            self.end_until = self.until(self.end, |step| self.windows.before(step));
        }
        self.first..self.end
    }

    /// Up to this time all times lie in the windows that were answered last.
    pub(crate) fn same_until(&self) -> i64 {
        self.first_until.min(self.end_until)
    }

    fn until(&self, step: usize, edge: impl Fn(usize) -> i64) -> i64 {
        if step < self.windows.count() { edge(step) } else { i64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_lies_in_the_windows_that_say_so(
            start in -100i64..100, step in 1i64..20, count in 1usize..20, range in 1i64..50,
            offset in -30i64..30, time in -200i64..600,
        ) {
            let windows = Windows::new(Steps { start_ns: start, step_ns: step, count }, range, offset);
            let inside = |step: &usize| windows.before(*step) < time && time <= windows.end(*step);
            let expected: Vec<usize> = (0..count).filter(inside).collect();
            let (first, end) = (windows.first_step(time), windows.end_step(time));
            let mut cursor = Cursor::new(&windows);
            for earlier in [time - 50, time - 1, time] {
                let asked = windows.first_step(earlier)..windows.end_step(earlier);
                prop_assert_eq!(cursor.steps(earlier), asked.clone());
                let until = cursor.same_until().min(600);
                prop_assert_eq!(windows.first_step(until)..windows.end_step(until), asked);
            }
            prop_assert_eq!((first..end.max(first)).collect::<Vec<_>>(), &expected[..]);
            let edges = windows.edges();
            let edge = edges.partition_point(|edge| *edge <= time).checked_sub(1).map(|at| edges[at]);
            let at_edge = edge.map_or(0..0, |edge| windows.first_step(edge)..windows.end_step(edge));
            prop_assert_eq!(at_edge.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn extreme_times_are_no_trouble() {
        let steps = Steps::range(i64::MIN, i64::MAX, i64::MAX, 11_000).unwrap();
        assert_eq!(steps.count, 3);
        let windows = Windows::new(steps, i64::MAX, i64::MIN);
        for time in [i64::MIN, 0, i64::MAX] {
            assert!(windows.first_step(time) <= 3 && windows.end_step(time) <= 3);
        }
        assert_eq!(Steps::range(0, i64::MAX, 1, 11_000), None);
    }
}
