//! The formulas of scores. Pure.

/// How much of a change's weight is left where the service is not near.
const FAR: f64 = 0.3;
const CHANGE_MS: f64 = 600_000.0;
/// What a metric loses with each service between.
const HOP: f64 = 0.93;
/// No pattern is certain.
const PATTERN_MAX: f64 = 0.97;
/// For a critical value at 5 %.
const KS_5_PERCENT: f64 = 1.358;

/// What is left where an attribute only says which request it was.
const REQUEST: f64 = 0.9;

pub(crate) const LIFT: &str =
    "|share in selection - share in baseline|, * 0.9 where it only names the request";
pub(crate) const METRIC: &str = "D * 0.93^hops";
pub(crate) const PATTERN: &str = "log2((a + 1) / (b * k + 1)) / 10";
pub(crate) const CHANGE: &str = "e^(-dt / 10 min), * 0.3 where the service is not near";

pub(crate) fn lift(selection: f64, baseline: f64, names_request: bool) -> f64 {
    (selection - baseline).abs() * if names_request { REQUEST } else { 1.0 }
}

/// `length_ratio` is the length of the selection by that of the baseline.
pub(crate) fn pattern(selection: u64, baseline: u64, length_ratio: f64) -> f64 {
    let (selection, expected) = (selection as f64, baseline as f64 * length_ratio);
    (((selection + 1.0) / (expected + 1.0)).log2() / 10.0).min(PATTERN_MAX)
}

pub(crate) fn change(distance_ms: i64, is_near: bool) -> f64 {
    let weight = if is_near { 1.0 } else { FAR };
    (-(distance_ms.unsigned_abs() as f64) / CHANGE_MS).exp() * weight
}

pub(crate) fn metric(distance: f64, hops: u32) -> f64 {
    distance * HOP.powi(hops.min(100) as i32)
}

/// The greatest distance of two distributions (Kolmogorov and Smirnov), and from which distance on it is
/// more than chance in 95 of 100 cases. Sorts the values.
pub(crate) fn distance(selection: &mut [f64], baseline: &mut [f64]) -> (f64, f64) {
    selection.sort_by(f64::total_cmp);
    baseline.sort_by(f64::total_cmp);
    let (n, m) = (selection.len() as f64, baseline.len() as f64);
    let (mut left, mut right, mut greatest) = (0, 0, 0.0_f64);
    while left < selection.len() && right < baseline.len() {
        let value = selection[left].min(baseline[right]);
        left += selection[left..].iter().take_while(|one| **one <= value).count();
        right += baseline[right..].iter().take_while(|one| **one <= value).count();
        greatest = greatest.max((left as f64 / n - right as f64 / m).abs());
    }
    (greatest, KS_5_PERCENT * ((n + m) / (n * m)).sqrt())
}

/// The middle of sorted values.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scores_are_as_their_formulas_say() {
        assert_eq!((lift(0.25, 0.75, false), lift(1.0, 0.0, true)), (0.5, 0.9));
        assert_eq!(pattern(31, 0, 0.25), 0.5);
        assert_eq!(pattern(1, 4, 0.25), 0.0);
        assert!(pattern(0, 400, 0.25) < 0.0);
        assert_eq!(change(0, true), 1.0);
        assert!((change(600_000, false) - 0.3 / std::f64::consts::E).abs() < 1e-12);
        assert!((metric(1.0, 2) - 0.8649).abs() < 1e-12);
        assert_eq!(distance(&mut [5.0, 6.0], &mut [1.0, 2.0, 3.0]).0, 1.0);
        assert_eq!(distance(&mut [1.0, 2.0], &mut [2.0, 1.0]).0, 0.0);
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
    }

    proptest! {
        #[test]
        fn a_distance_is_what_counting_gives(
            mut left in prop::collection::vec(-3_i32..4, 1..20),
            mut right in prop::collection::vec(-3_i32..4, 1..20),
        ) {
            let below = |values: &[i32], at: i32| {
                values.iter().filter(|one| **one <= at).count() as f64 / values.len() as f64
            };
            let expected = (-3..4)
                .map(|at| (below(&left, at) - below(&right, at)).abs())
                .fold(0.0, f64::max);
            let floats = |values: &mut Vec<i32>| values.drain(..).map(f64::from).collect::<Vec<_>>();
            let found = distance(&mut floats(&mut left), &mut floats(&mut right));
            prop_assert!((found.0 - expected).abs() < 1e-12);
        }
    }
}
