//! Numbers to numbers, where the standard library has no function of just this kind.

use std::f64::consts::PI;

/// Keeps zero and NaN as they are.
pub(super) fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// To the last bit as Prometheus has it, which rounds twice.
pub(super) fn degrees(radians: f64) -> f64 {
    radians * 180.0 / PI
}

pub(super) fn radians(degrees: f64) -> f64 {
    degrees * PI / 180.0
}

pub(super) fn asinh(value: f64) -> f64 {
    // The library's own loses the sign of zero and overflows early.
    if value == 0.0 || !value.is_finite() { value } else { value.asinh() }
}

/// The larger of two; NaN where one is NaN, plus zero above minus zero.
pub(crate) fn max(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() {
        f64::NAN
    } else if left == right {
        if left.is_sign_positive() { left } else { right }
    } else {
        left.max(right)
    }
}

/// The smaller of two; NaN where one is NaN, minus zero below plus zero.
pub(crate) fn min(left: f64, right: f64) -> f64 {
    -max(-left, -right)
}

/// The value below which the share `q` lies, between the two samples nearest. Reorders what it is
/// given; NaN counts as smallest.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor().max(0.0) as usize).min(last);
    let weight = rank - rank.floor();
    let (_, below, above) = values.select_nth_unstable_by(lower, nan_first);
    let next = above.iter().copied().min_by(nan_first).unwrap_or(*below);
    *below * (1.0 - weight) + next * weight
}

pub(crate) fn nan_first(left: &f64, right: &f64) -> std::cmp::Ordering {
    left.partial_cmp(right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_take_nan_along() {
        assert!(max(1.0, f64::NAN).is_nan() && min(f64::NAN, 1.0).is_nan());
        assert_eq!((max(1.0, 2.0), min(1.0, 2.0)), (2.0, 1.0));
        assert!(max(-0.0, 0.0).is_sign_positive() && min(-0.0, 0.0).is_sign_negative());
    }

    #[test]
    fn quantiles_lie_between_samples() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.0, &mut [3.0, 1.0, f64::NAN]), 3.0);
        assert!(quantile(0.0, &mut [3.0, f64::NAN]).is_nan());
        assert_eq!(quantile(1.1, &mut [1.0]), f64::INFINITY);
    }
}
