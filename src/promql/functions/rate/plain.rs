//! Plain growth of floats, the commonest question of all, for all steps of a series at once.
//!
//! How far a window's samples are stretched depends on times alone, but for counters that would
//! fall below zero: it is found once for all series that share their times.

use super::Growth;
use crate::engine::column::StepColumn;
use std::ops::Range;

/// What the times of a window say.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: u32,
    last: u32,
    /// Seconds between the first and the last sample, and from these to the edges.
    sampled: f64,
    to_start: f64,
    to_end: f64,
    factor: f64,
}

/// The stretch of each step's window.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    /// Windows of at least two samples, with their steps.
    windows: Vec<(u32, Stretch)>,
    divisor: f64,
}

/// One window: which samples are in it and where it ends.
pub(crate) struct WindowAt {
    pub(crate) step: usize,
    pub(crate) samples: Range<usize>,
    pub(crate) end_ms: i64,
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

impl Stretches {
    /// The same arithmetic in the same order as for single windows: answers agree to the bit.
    pub(crate) fn of(
        times: &[i64],
        range_ms: i64,
        growth: Growth,
        windows: impl Iterator<Item = WindowAt>,
    ) -> Self {
        let divisor = if growth.per_second { seconds(range_ms) } else { 1.0 };
        let capacity = windows.size_hint().1.unwrap_or(0);
        let mut all = Self { windows: Vec::with_capacity(capacity), divisor };
        for WindowAt { step, samples, end_ms } in windows.filter(|at| at.samples.len() > 1) {
            let (low, high) = (samples.start, samples.end - 1);
            let sampled = seconds(times[high] - times[low]);
            let usual = sampled / (high - low) as f64;
            let threshold = usual * 1.1;
            let near = |distance: f64| if distance >= threshold { usual / 2.0 } else { distance };
            let to_start = near(seconds(times[low] - (end_ms - range_ms)));
            let to_end = near(seconds(end_ms - times[high]));
            let (first, last) = (low as u32, high as u32);
            let mut stretch = Stretch { first, last, sampled, to_start, to_end, factor: 0.0 };
            stretch.factor = all.factor(&stretch, to_start);
            all.windows.push((step as u32, stretch));
        }
        all
    }

    fn factor(&self, stretch: &Stretch, to_start: f64) -> f64 {
        (stretch.sampled + to_start + stretch.to_end) / stretch.sampled / self.divisor
    }

    /// `resets`: the indexes at which the counter began anew, rising.
    pub(crate) fn grow(
        &self,
        values: &[f64],
        resets: &[u32],
        growth: Growth,
        out: &mut StepColumn,
    ) {
        for (step, stretch) in &self.windows {
            let (first, last) = (values[stretch.first as usize], values[stretch.last as usize]);
            let mut increase = last - first;
            if growth.counter && !resets.is_empty() {
                let from = resets.partition_point(|index| *index <= stretch.first);
                let within = resets[from..].iter().take_while(|index| **index <= stretch.last);
                within.for_each(|index| increase += values[*index as usize - 1]);
            }
            let mut factor = stretch.factor;
            // A counter that is large beside its increase does not come near zero.
            if growth.counter && increase > 0.0 && first >= 0.0 && first < 2.0 * increase {
                let to_zero = stretch.sampled * (first / increase);
                if to_zero < stretch.to_start {
                    factor = self.factor(stretch, to_zero);
                }
            }
            out.set_float(*step as usize, increase * factor);
        }
    }
}
