//! Which samples each step looks at.
//!
//! Series that were scraped together share their times, so what was found for one serves the
//! others. They do not always come one after the other (sorted by labels, the same disk of each
//! machine does), so the clocks seen last are kept.
//!
//! Invariants: a [`Clocks`] serves one grid of windows; what it keeps is bounded.

use crate::function::Growth;
use crate::functions::rate::plain::{Stretches, WindowAt};
use query::SampleStats;
use std::ops::Range;

/// How many clocks are kept.
const KEPT: usize = 128;
/// Clocks with more samples and steps than this share one place, each replacing the one before.
const KEPT_LENGTH_MAX: usize = 2_048;

/// The windows of one clock that have samples.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    times: Vec<i64>,
    /// The step of the first of `bounds`.
    first_step: usize,
    /// For each step the first sample in its window and the one behind its last.
    bounds: Vec<(u32, u32)>,
    /// Computed for the first series that needs them.
    stretches: Option<Stretches>,
    /// How many series have looked at these windows since their samples were last counted.
    series: u64,
}

/// The samples of a window that no window before it has.
pub(crate) fn not_seen(samples: &Range<usize>, seen: &mut usize) -> Range<usize> {
    let new = samples.start.max(*seen)..samples.end.max(*seen);
    *seen = new.end;
    new
}

impl Windows {
    /// `span`: the first (not included) and last moment of a step's window; both never step back.
    fn fill(&mut self, times: &[i64], steps: usize, span: impl Fn(usize) -> (i64, i64)) {
        self.times.clear();
        self.times.extend_from_slice(times);
        self.bounds.clear();
        self.stretches = None;
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return };
        let begin = first_step_where(steps, |step| span(step).1 >= *first);
        let end = first_step_where(steps, |step| span(step).0 >= *last);
        self.first_step = begin;
        self.bounds.reserve(end.saturating_sub(begin));
        let (mut low, mut high) = (0, 0);
        for step in begin..end {
            let (after, until) = span(step);
            while low < times.len() && times[low] <= after {
                low += 1;
            }
            high = high.max(low);
            while high < times.len() && times[high] <= until {
                high += 1;
            }
            self.bounds.push((low as u32, high as u32));
        }
    }

    /// The part of growth in the windows that depends on times alone.
    pub(crate) fn stretches(
        &mut self,
        range_ms: i64,
        growth: Growth,
        end_of: impl Fn(usize) -> i64,
    ) -> &Stretches {
        let known = self.stretches.take();
        let known = known.unwrap_or_else(|| {
            let at = |(step, samples): (usize, Range<usize>)| WindowAt {
                step,
                samples,
                end_ms: end_of(step),
            };
            Stretches::of(&self.times, range_ms, growth, self.iter().map(at))
        });
        self.stretches.insert(known)
    }

    /// To be called for each series whose samples in these windows are to be counted: all are counted
    /// together later, because most series share their windows.
    pub(crate) fn look_at_all(&mut self) {
        self.series += 1;
    }

    fn count_into(&mut self, counted: &mut SampleStats) {
        let (series, mut seen) = (std::mem::take(&mut self.series), 0);
        if series == 0 {
            return;
        }
        for (step, samples) in self.iter() {
            let read = not_seen(&samples, &mut seen).len() as u64;
            counted.add_at(step, samples.len() as u64 * series, read * series);
        }
    }

    /// The steps beyond which no window has samples.
    pub(crate) fn steps(&self) -> Range<usize> {
        self.first_step..self.first_step + self.bounds.len()
    }

    /// The samples in the window of a step.
    pub(crate) fn at(&self, step: usize) -> Range<usize> {
        let bounds = step.checked_sub(self.first_step).and_then(|index| self.bounds.get(index));
        bounds.map_or(0..0, |(low, high)| *low as usize..*high as usize)
    }

    /// Steps with the samples in their windows, where there are any.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
        let all = self.bounds.iter().enumerate().filter(|(_, (low, high))| low < high);
        all.map(|(index, (low, high))| (self.first_step + index, *low as usize..*high as usize))
    }
}

/// The first step for which `is_true` holds, which must then hold for all later ones; `steps` where
/// there is none.
fn first_step_where(steps: usize, is_true: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, steps);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_true(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[derive(Debug, Default)]
pub(crate) struct Clocks {
    kept: Vec<Windows>,
    counted: SampleStats,
}

impl Clocks {
    /// The windows over samples at `times`; `steps` and `span` are the same each time.
    pub(crate) fn windows(
        &mut self,
        times: &[i64],
        steps: usize,
        span: impl Fn(usize) -> (i64, i64),
    ) -> &mut Windows {
        if self.kept.is_empty() {
            self.kept.resize_with(KEPT, Windows::default);
            self.counted = SampleStats::with_steps(steps);
        }
        let windows = &mut self.kept[place(times, steps)];
        if windows.times != times {
            windows.count_into(&mut self.counted);
            windows.fill(times, steps, span);
        }
        windows
    }

    /// What was looked at in whole windows.
    pub(crate) fn take_counted(&mut self) -> SampleStats {
        self.kept.iter_mut().for_each(|windows| windows.count_into(&mut self.counted));
        std::mem::take(&mut self.counted)
    }
}

fn place(times: &[i64], steps: usize) -> usize {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return 0 };
    if times.len() + steps > KEPT_LENGTH_MAX {
        return 0;
    }
    // Fibonacci hashing: the upper bits depend on all bits of the key.
    let key =
        (*first as u64) ^ (*last as u64).rotate_left(20) ^ (times.len() as u64).rotate_left(40);
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57) as usize % KEPT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_have_what_lies_in_them(
            clocks in prop::collection::vec((-50i64..50, prop::collection::vec(1i64..20, 0..30)), 1..5),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
            (steps, step, range, fixed) in (0usize..40, 1i64..30, 1i64..60, any::<bool>()),
        ) {
            let span = |at: usize| {
                let end = if fixed { 20 } else { -30 + step * at as i64 };
                (end - range, end)
            };
            let mut all = Clocks::default();
            for index in order {
                let (start, gaps) = index.get(&clocks);
                let times: Vec<i64> = gaps.iter().scan(*start, |at, gap| { *at += gap; Some(*at) }).collect();
                let windows = all.windows(&times, steps, span);
                let mut seen = Vec::new();
                for at in 0..steps {
                    let (after, until) = span(at);
                    let inside = |time: &&i64| **time > after && **time <= until;
                    let expected: Vec<i64> = times.iter().filter(inside).copied().collect();
                    let samples = windows.at(at);
                    prop_assert_eq!(&times[samples.clone()], &expected[..]);
                    if !expected.is_empty() {
                        prop_assert!(windows.steps().contains(&at));
                        seen.push((at, samples));
                    }
                }
                prop_assert_eq!(windows.iter().collect::<Vec<_>>(), seen);
            }
        }
    }
}
