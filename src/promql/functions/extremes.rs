//! The smallest and the largest of windows that slide over a column of floats.
//!
//! A window is the end of a front, whose best value is known from each sample on, and a back, of which
//! one best value is enough. When windows have left the front, the one that comes is the next
//! front. So each sample is compared twice at most, however long the windows are, and without a
//! branch that depends on it.

use query::StepColumn;
use std::ops::Range;

/// `windows`: steps with the samples in their windows, which never begin or end earlier than those
/// before.
/// Of equal values the first counts; NaN only where there is nothing else.
pub(crate) fn slide(
    values: &[f64],
    windows: impl Iterator<Item = (usize, Range<usize>)>,
    better: impl Fn(f64, f64) -> bool,
    out: &mut StepColumn,
) {
    let of = |first: f64, later: f64| {
        if better(later, first) | first.is_nan() { later } else { first }
    };
    // Best of `values[index..front_end]`, last index first.
    let mut front: Vec<f64> = Vec::new();
    let mut front_end = 0;
    // What lies behind the front: NaN, which anything beats, while nothing does.
    let (mut back, mut back_end) = (f64::NAN, 0);
    for (step, samples) in windows {
        if samples.is_empty() {
            continue;
        }
        if samples.start >= front_end {
            let mut best = f64::NAN;
            let from_here = values[samples.clone()].iter().rev().map(|value| {
                best = of(*value, best);
                best
            });
            front.clear();
            front.extend(from_here);
            (front_end, back, back_end) = (samples.end, f64::NAN, samples.end);
        }
        back = values[back_end..samples.end].iter().fold(back, |best, value| of(best, *value));
        back_end = samples.end;
        out.set_float(step, of(front[front_end - samples.start - 1], back));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the definition says, window by window.
    fn plainly(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
        let choose = |best: f64, value: &f64| match better(*value, best) || best.is_nan() {
            true => *value,
            false => best,
        };
        values[1..].iter().fold(values[0], choose)
    }

    proptest! {
        #[test]
        fn sliding_finds_what_looking_finds(
            values in prop::collection::vec(prop_oneof![(-3i32..3).prop_map(f64::from), Just(f64::NAN), Just(-0.0)], 1..40),
            jumps in prop::collection::vec((0usize..4, 0usize..4), 1..30),
        ) {
            let (mut low, mut high) = (0, 0);
            let windows: Vec<(usize, usize)> = jumps.iter().map(|(back, front)| {
                high = (high + front).min(values.len());
                low = (low + back).min(high);
                (low, high)
            }).collect();
            for greatest in [false, true] {
                let better = |v: f64, best: f64| if greatest { v > best } else { v < best };
                let mut out = StepColumn::new(windows.len());
                let ranges = windows.iter().map(|(low, high)| *low..*high).enumerate();
                slide(&values, ranges, better, &mut out);
                for (step, (low, high)) in windows.iter().enumerate() {
                    let expected = (low < high).then(|| plainly(&values[*low..*high], better));
                    let bits = |value: Option<f64>| value.filter(|v| !v.is_nan()).map(f64::to_bits);
                    prop_assert_eq!(bits(out.float(step)), bits(expected));
                    prop_assert_eq!(out.float(step).is_some(), expected.is_some());
                }
            }
        }
    }
}
