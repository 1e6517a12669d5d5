//! Quantiles of floats.

/// The value below which the share `q` lies, between the two samples nearest. Reorders what it is
/// given; NaN counts as smallest.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
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

/// An order in which NaN comes before every number.
pub fn nan_first(left: &f64, right: &f64) -> std::cmp::Ordering {
    left.partial_cmp(right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_samples() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.0, &mut [3.0, 1.0, f64::NAN]), 3.0);
        assert!(quantile(0.0, &mut [3.0, f64::NAN]).is_nan());
        assert_eq!(quantile(1.1, &mut [1.0]), f64::INFINITY);
    }
}
