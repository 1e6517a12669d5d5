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

/// Equal to Prometheus' result to the last bit, so it rounds twice.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_take_nan_along() {
        assert!(max(1.0, f64::NAN).is_nan() && min(f64::NAN, 1.0).is_nan());
        assert_eq!((max(1.0, 2.0), min(1.0, 2.0)), (2.0, 1.0));
        assert!(max(-0.0, 0.0).is_sign_positive() && min(-0.0, 0.0).is_sign_negative());
    }
}
