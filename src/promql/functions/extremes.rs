//! The smallest and the largest of windows that slide over a column of floats.
//!
//! Only samples that can still become the answer are kept: a better one makes those before it
//! pointless. So each sample comes and goes once, however long the windows are.

use crate::engine::column::StepColumn;
use std::collections::VecDeque;
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
    let mut candidates: VecDeque<usize> = VecDeque::new();
    let mut taken = 0;
    for (step, samples) in windows {
        while taken < samples.end {
            let value = values[taken];
            let beaten = |known: f64| better(value, known) || (known.is_nan() && !value.is_nan());
            while candidates.back().is_some_and(|last| beaten(values[*last])) {
                candidates.pop_back();
            }
            candidates.push_back(taken);
            taken += 1;
        }
        while candidates.front().is_some_and(|first| *first < samples.start) {
            candidates.pop_front();
        }
        if !samples.is_empty()
            && let Some(best) = candidates.front()
        {
            out.set_float(step, values[*best]);
        }
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
