//! Estimates from buckets: quantiles, fractions, variance.
//!
//! Inside an exponential bucket values are taken to lie evenly on a logarithmic scale; inside the
//! zero bucket and custom buckets, evenly on a linear one.

use super::{Bucket, FloatHistogram};
use crate::KahanSum;

/// Values that are not numbers count in `count`, but lie in no bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanObservations {
    /// None that matter for the answer.
    Harmless,
    /// They stand above all buckets, so the answer is higher than it should be.
    Skewing,
    /// The answer would be one of them.
    Answering,
}

impl FloatHistogram {
    /// The value below which the share `q` of the observations lies.
    pub fn quantile(&self, q: f64) -> (f64, NanObservations) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, NanObservations::Harmless);
        }
        if q > 1.0 {
            return (f64::INFINITY, NanObservations::Harmless);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, NanObservations::Harmless);
        }
        // From above where that is shorter; but observations that are no numbers stand above
        // everything, and only counting from below leaves them out.
        let forward = self.sum.is_nan() || q < 0.5;
        let rank = if forward { q } else { 1.0 - q } * self.count;
        let buckets: Vec<Bucket> =
            if forward { self.all_buckets().collect() } else { self.all_buckets().rev().collect() };
        self.quantile_in(&buckets, rank, forward)
    }

    fn quantile_in(&self, buckets: &[Bucket], rank: f64, forward: bool) -> (f64, NanObservations) {
        let mut below = 0.0;
        let mut hit = None;
        for (position, bucket) in buckets.iter().enumerate() {
            hit = Some(position);
            if bucket.count == 0.0 {
                continue;
            }
            below += bucket.count;
            if below >= rank {
                break;
            }
        }
        let Some(position) = hit else {
            let nan = if self.sum.is_nan() {
                NanObservations::Answering
            } else {
                NanObservations::Harmless
            };
            return (if self.sum.is_nan() { f64::NAN } else { 0.0 }, nan);
        };
        let mut bucket = buckets[position];
        if let Some(value) = self.settle_bounds(&mut bucket) {
            return (value, NanObservations::Harmless);
        }
        let below = below.min(self.count);
        if below < rank {
            return if self.sum.is_nan() {
                (f64::NAN, NanObservations::Answering)
            } else {
                (bucket.upper, NanObservations::Harmless)
            };
        }
        let inside = if forward { rank - (below - bucket.count) } else { below - rank };
        let all = buckets[position + 1..].iter().fold(below, |sum, bucket| sum + bucket.count);
        let skewed = self.sum.is_nan() && all < self.count;
        let nan = if skewed { NanObservations::Skewing } else { NanObservations::Harmless };
        (self.interpolate(&bucket, inside / bucket.count), nan)
    }

    /// Replaces infinite and needlessly wide bounds by what is known; `Some` where that already
    /// is the answer.
    fn settle_bounds(&self, bucket: &mut Bucket) -> Option<f64> {
        if self.uses_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return Some(bucket.upper);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return Some(bucket.lower);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.settle_zero(bucket);
        }
        None
    }

    /// Where all buckets lie on one side, so do the values in the zero bucket.
    fn settle_zero(&self, bucket: &mut Bucket) {
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }

    fn interpolate(&self, bucket: &Bucket, fraction: f64) -> f64 {
        let linear = self.uses_custom_buckets() || (bucket.lower <= 0.0 && bucket.upper >= 0.0);
        if linear {
            return bucket.lower + (bucket.upper - bucket.lower) * fraction;
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    }

    /// The share of observations between two values. The flag: whether observations that are no
    /// numbers were left out.
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, bool) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, false);
        }
        if lower >= upper {
            return (0.0, false);
        }
        let buckets: Vec<Bucket> = self.all_buckets().collect();
        let total: f64 = buckets.iter().map(|bucket| bucket.count).sum();
        let has_nan = self.sum.is_nan() && total < self.count;
        let countable = if self.sum.is_nan() { total } else { self.count };
        let rank_of = |value| self.rank_of(&buckets, value).unwrap_or(countable).min(countable);
        ((rank_of(upper) - rank_of(lower)) / self.count, has_nan)
    }

    /// How many observations lie below a value; `None` above all buckets.
    fn rank_of(&self, buckets: &[Bucket], value: f64) -> Option<f64> {
        let mut rank = 0.0;
        for bucket in buckets {
            let mut bucket = *bucket;
            let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if zero {
                self.settle_zero(&mut bucket);
            }
            if bucket.lower >= value {
                return Some(rank);
            }
            if bucket.upper > value {
                let linear = zero || self.uses_custom_buckets();
                return Some(part_below(&bucket, value, linear, rank));
            }
            rank += bucket.count;
        }
        None
    }

    /// The variance of the observations, each taken to be its bucket's middle.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut squares = KahanSum::default();
        for bucket in self.all_buckets().filter(|bucket| bucket.count != 0.0) {
            let delta = self.middle(&bucket) - mean;
            squares = squares.plus(bucket.count * delta * delta);
        }
        (squares.sum + squares.compensation) / self.count
    }

    fn middle(&self, bucket: &Bucket) -> f64 {
        if self.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        }
    }
}

fn part_below(bucket: &Bucket, value: f64, linear: bool, rank: f64) -> f64 {
    if linear {
        // A bucket without a lower bound says nothing about where its values lie.
        if bucket.lower == f64::NEG_INFINITY {
            return bucket.count;
        }
        return rank + bucket.count * (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    let at = value.abs().log2();
    let fraction = if value > 0.0 {
        (at - lower) / (upper - lower)
    } else {
        1.0 - (at - upper) / (lower - upper)
    };
    rank + bucket.count * fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Buckets;

    fn sample() -> FloatHistogram {
        FloatHistogram {
            count: 4.0,
            sum: 5.0,
            positive: Buckets::from_entries([(0, 1.0), (1, 2.0), (2, 1.0)]),
            ..Default::default()
        }
    }

    #[test]
    fn quantiles_are_even_on_the_logarithmic_scale() {
        let (median, nan) = sample().quantile(0.5);
        assert!((median - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(nan, NanObservations::Harmless);
        assert_eq!(sample().quantile(-1.0).0, f64::NEG_INFINITY);
        assert_eq!(sample().quantile(1.0).0, 4.0);
        assert!(FloatHistogram::default().quantile(0.5).0.is_nan());
    }

    #[test]
    fn observations_that_are_no_numbers_are_noted() {
        let mut histogram = sample();
        histogram.sum = f64::NAN;
        histogram.count = 5.0;
        assert_eq!(histogram.quantile(0.5).1, NanObservations::Skewing);
        assert_eq!(histogram.quantile(1.0).1, NanObservations::Answering);
        assert_eq!(histogram.fraction(f64::NEG_INFINITY, f64::INFINITY), (0.8, true));
    }

    #[test]
    fn fractions_invert_quantiles() {
        let histogram = sample();
        for q in [0.1, 0.25, 0.6, 0.9] {
            let (value, _) = histogram.quantile(q);
            let (fraction, _) = histogram.fraction(f64::NEG_INFINITY, value);
            assert!((fraction - q).abs() < 1e-9, "{q}: {fraction}");
        }
    }
}
