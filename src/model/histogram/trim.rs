//! Cutting a histogram at a value: what stays is an estimate of the observations on one side.

use super::{Bucket, FloatHistogram};

/// Which side of the cut stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Below,
    Above,
}

/// What stays of a bucket, and where its values are taken to lie.
#[derive(Clone, Copy)]
struct Kept {
    count: f64,
    midpoint: f64,
}

impl Kept {
    const NOTHING: Self = Self { count: 0.0, midpoint: 0.0 };
}

#[derive(Default)]
struct Tally {
    count: f64,
    sum: f64,
    /// Something was removed: else the histogram stays as it is.
    changed: bool,
}

impl Tally {
    fn take(&mut self, before: f64, kept: Kept) -> f64 {
        self.changed |= before != kept.count;
        if kept.count != 0.0 {
            self.count += kept.count;
            self.sum += kept.count * kept.midpoint;
        }
        kept.count
    }
}

impl FloatHistogram {
    /// The observations up to a value (`</` in PromQL).
    #[must_use]
    pub fn trimmed_above(&self, limit: f64) -> Self {
        self.trimmed(limit, Keep::Below)
    }

    /// The observations from a value on (`>/` in PromQL).
    #[must_use]
    pub fn trimmed_below(&self, limit: f64) -> Self {
        self.trimmed(limit, Keep::Above)
    }

    fn trimmed(&self, limit: f64, keep: Keep) -> Self {
        let mut out = self.clone();
        if limit.is_nan() {
            // Nobody can say what lies below or above.
            out.scale(f64::NAN);
            return out;
        }
        let mut tally = Tally::default();
        let linear = self.uses_custom_buckets();
        let (mut has_positive, mut has_negative) = (false, false);
        for (count, bucket) in out.positive.counts.iter_mut().zip(self.positive_buckets()) {
            if bucket.count != 0.0 {
                has_positive = true;
                let kept = kept_of(&bucket, limit, keep, Side { positive: true, linear });
                *count = tally.take(bucket.count, kept);
            }
        }
        for (count, bucket) in out.negative.counts.iter_mut().zip(self.negative_buckets()) {
            if bucket.count != 0.0 {
                has_negative = true;
                let kept = kept_of(&bucket, limit, keep, Side { positive: false, linear });
                *count = tally.take(bucket.count, kept);
            }
        }
        if self.zero_count > 0.0 {
            let mut zero = self.zero_bucket();
            match (has_negative, has_positive) {
                (true, false) => zero.upper = 0.0,
                (false, true) => zero.lower = 0.0,
                _ => {}
            }
            out.zero_count = tally.take(zero.count, kept_of_zero(&zero, limit, keep));
        }
        if tally.changed {
            out.count = tally.count;
            out.sum = tally.sum;
            out.compact();
        }
        out
    }
}

#[derive(Clone, Copy)]
struct Side {
    positive: bool,
    /// Values are taken to be spread evenly, not exponentially.
    linear: bool,
}

fn kept_of(bucket: &Bucket, limit: f64, keep: Keep, side: Side) -> Kept {
    let (whole, partly) = match keep {
        Keep::Below => (bucket.upper <= limit, bucket.lower < limit),
        Keep::Above => (bucket.lower >= limit, bucket.upper > limit),
    };
    if whole {
        return Kept { count: bucket.count, midpoint: midpoint(bucket.lower, bucket.upper, side) };
    }
    if !partly {
        return Kept::NOTHING;
    }
    if bucket.lower == f64::NEG_INFINITY {
        return kept_of_open_below(bucket, limit, keep);
    }
    if bucket.upper == f64::INFINITY {
        // How its values are spread is unknown: all of them may lie beyond an upper limit.
        return match keep {
            Keep::Below => Kept::NOTHING,
            Keep::Above => Kept { count: bucket.count, midpoint: limit },
        };
    }
    let below = count_below(bucket, limit, side);
    match keep {
        Keep::Below => Kept { count: below, midpoint: midpoint(bucket.lower, limit, side) },
        Keep::Above => {
            Kept { count: bucket.count - below, midpoint: midpoint(limit, bucket.upper, side) }
        }
    }
}

/// A bucket from minus infinity: its values are taken to begin at zero where they can.
fn kept_of_open_below(bucket: &Bucket, limit: f64, keep: Keep) -> Kept {
    let inside = bucket.upper.is_finite() && bucket.upper > limit;
    match keep {
        Keep::Below if inside && limit > 0.0 => {
            Kept { count: bucket.count * limit / bucket.upper, midpoint: limit / 2.0 }
        }
        Keep::Below if bucket.upper <= 0.0 => Kept { count: bucket.count, midpoint: limit },
        Keep::Above if inside && limit >= 0.0 => Kept {
            count: bucket.count * (1.0 - limit / bucket.upper),
            midpoint: (limit + bucket.upper) / 2.0,
        },
        _ => Kept::NOTHING,
    }
}

fn kept_of_zero(zero: &Bucket, limit: f64, keep: Keep) -> Kept {
    let (lower, upper) = match keep {
        Keep::Below => (zero.lower, zero.upper.min(limit)),
        Keep::Above => (zero.lower.max(limit), zero.upper),
    };
    let all = (lower, upper) == (zero.lower, zero.upper);
    if all && (keep == Keep::Above || limit > zero.lower) {
        return Kept { count: zero.count, midpoint: lower.midpoint(upper) };
    }
    if lower >= upper {
        return Kept::NOTHING;
    }
    let count = zero.count * ((upper - lower) / (zero.upper - zero.lower));
    Kept { count, midpoint: lower.midpoint(upper) }
}

fn midpoint(lower: f64, upper: f64, side: Side) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) => {
            if upper > 0.0 {
                upper / 2.0
            } else {
                upper
            }
        }
        (false, true) => lower,
        (false, false) if side.linear => f64::midpoint(lower, upper),
        (false, false) => {
            let mean = (lower * upper).abs().sqrt();
            if side.positive { mean } else { -mean }
        }
    }
}

/// How many of a bucket's values lie below a limit inside of it.
fn count_below(bucket: &Bucket, limit: f64, side: Side) -> f64 {
    let fraction = if side.linear {
        (limit - bucket.lower) / (bucket.upper - bucket.lower)
    } else {
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        let at = limit.abs().log2();
        if side.positive {
            (at - lower) / (upper - lower)
        } else {
            1.0 - (at - upper) / (lower - upper)
        }
    };
    bucket.count * fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Buckets;

    #[test]
    fn what_lies_beyond_the_cut_is_gone() {
        let histogram = FloatHistogram {
            count: 7.0,
            sum: 12.0,
            positive: Buckets::from_entries([(1, 1.0), (2, 2.0), (3, 4.0)]),
            ..Default::default()
        };
        let low = histogram.trimmed_above(4.0);
        assert_eq!((low.count, low.positive.counts.as_slice()), (3.0, &[1.0, 2.0][..]));
        let high = histogram.trimmed_below(4.0);
        assert_eq!((high.count, high.positive.counts.as_slice()), (4.0, &[4.0][..]));
        assert_eq!(histogram.trimmed_above(0.0).count, 0.0);
        assert_eq!(histogram.trimmed_below(0.0).sum, histogram.sum);
    }
}
