//! Plain growth of floats, the most common query of all, for all steps of a series at once.
//!
//! How far a window's samples are extended depends on times alone, except where a counter would fall
//! below zero, so it is computed once for all series that share their times.

use crate::function::Growth;
use query::StepColumn;
use std::ops::Range;

/// How the samples of a window lie in it, and what follows from that.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Milliseconds from the window's start to the first sample and from the last to its end.
    before_ms: i64,
    behind_ms: i64,
    samples: usize,
    /// Seconds between the first and the last sample, and from these to the edges.
    sampled: f64,
    to_start: f64,
    to_end: f64,
    factor: f64,
}

/// The window of a step: its first and last sample, and its shape.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    step: u32,
    first: u32,
    last: u32,
    shape: u32,
}

/// The stretch of each step's window of at least two samples.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    windows: Vec<Stretch>,
    /// Samples and steps at equal distances make the same few shapes again and again.
    shapes: Vec<Shape>,
    range_ms: i64,
    divisor: f64,
}

/// So many shapes are looked at before another is made.
const SHAPES_TRIED: usize = 4;

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
    pub(crate) fn of(
        times: &[i64],
        range_ms: i64,
        growth: Growth,
        windows: impl Iterator<Item = WindowAt>,
    ) -> Self {
        let divisor = if growth.per_second { seconds(range_ms) } else { 1.0 };
        let windows_max = windows.size_hint().1.unwrap_or(0);
        let list = Vec::with_capacity(windows_max);
        let mut all = Self { windows: list, shapes: Vec::new(), range_ms, divisor };
        for WindowAt { step, samples, end_ms } in windows.filter(|at| at.samples.len() > 1) {
            let (first, last) = (samples.start, samples.end - 1);
            let before_ms = times[first] - (end_ms - range_ms);
            let shape = all.shape(before_ms, end_ms - times[last], samples.len());
            let (step, first, last) = (step as u32, first as u32, last as u32);
            all.windows.push(Stretch { step, first, last, shape });
        }
        all
    }

    fn shape(&mut self, before_ms: i64, behind_ms: i64, samples: usize) -> u32 {
        let newest = self.shapes.iter().enumerate().rev().take(SHAPES_TRIED);
        let is_same = |shape: &Shape| {
            (shape.before_ms, shape.behind_ms, shape.samples) == (before_ms, behind_ms, samples)
        };
        if let Some((known, _)) = newest.into_iter().find(|(_, shape)| is_same(shape)) {
            return known as u32;
        }
        self.shapes.push(self.new_shape(before_ms, behind_ms, samples));
        self.shapes.len() as u32 - 1
    }

    /// The same arithmetic in the same order as for single windows: answers agree to the bit.
    fn new_shape(&self, before_ms: i64, behind_ms: i64, samples: usize) -> Shape {
        let sampled = seconds(self.range_ms - before_ms - behind_ms);
        let usual = sampled / (samples - 1) as f64;
        let threshold = usual * 1.1;
        let near = |distance: f64| if distance >= threshold { usual / 2.0 } else { distance };
        let (to_start, to_end) = (near(seconds(before_ms)), near(seconds(behind_ms)));
        let shape = Shape { before_ms, behind_ms, samples, sampled, to_start, to_end, factor: 0.0 };
        Shape { factor: self.factor(&shape, to_start), ..shape }
    }

    fn factor(&self, shape: &Shape, to_start: f64) -> f64 {
        (shape.sampled + to_start + shape.to_end) / shape.sampled / self.divisor
    }

    /// `resets`: the indexes at which the counter began anew, rising.
    pub(crate) fn grow(
        &self,
        values: &[f64],
        resets: &[u32],
        growth: Growth,
        out: &mut StepColumn,
    ) {
        for stretch in &self.windows {
            let shape = &self.shapes[stretch.shape as usize];
            let (first, last) = (values[stretch.first as usize], values[stretch.last as usize]);
            let mut increase = last - first;
            if growth.counter && !resets.is_empty() {
                let from = resets.partition_point(|index| *index <= stretch.first);
                let within = resets[from..].iter().take_while(|index| **index <= stretch.last);
                within.for_each(|index| increase += values[*index as usize - 1]);
            }
            let mut factor = shape.factor;
            // A counter that is large beside its increase does not come near zero.
            if growth.counter && increase > 0.0 && first >= 0.0 && first < 2.0 * increase {
                let to_zero = shape.sampled * (first / increase);
                if to_zero < shape.to_start {
                    factor = self.factor(shape, to_zero);
                }
            }
            out.set_float(stretch.step as usize, increase * factor);
        }
    }
}
