//! Numbers to numbers, where the standard library has no function of just this kind.

use std::f64::consts::{LN_2, PI};

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
    if value == 0.0 || !value.is_finite() {
        value
    } else if value.abs() > LARGE {
        (value.abs().ln() + LN_2).copysign(value)
    } else {
        value.asinh()
    }
}

/// From here on the inverse hyperbolic functions are a logarithm to the last bit; the library's own
/// square the number, which overflows.
const LARGE: f64 = (1_u64 << 28) as f64;

pub(super) fn acosh(value: f64) -> f64 {
    if value > LARGE { value.ln() + LN_2 } else { value.acosh() }
}

/// The larger of two; NaN where one is NaN, unless the other is infinite and so the larger whatever it
/// is compared with; plus zero above minus zero.
pub(crate) fn max(left: f64, right: f64) -> f64 {
    if left == f64::INFINITY || right == f64::INFINITY {
        f64::INFINITY
    } else if left.is_nan() || right.is_nan() {
        f64::NAN
    } else if left == right {
        if left.is_sign_positive() { left } else { right }
    } else {
        left.max(right)
    }
}

/// The smaller of two; NaN where one is NaN and none is minus infinity; minus zero below plus zero.
pub(crate) fn min(left: f64, right: f64) -> f64 {
    -max(-left, -right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_take_nan_along() {
        assert!(max(1.0, f64::NAN).is_nan() && min(f64::NAN, 1.0).is_nan());
        assert_eq!(max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(min(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert_eq!((max(1.0, 2.0), min(1.0, 2.0)), (2.0, 1.0));
        assert!(max(-0.0, 0.0).is_sign_positive() && min(-0.0, 0.0).is_sign_negative());
    }
}
