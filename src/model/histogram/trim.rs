//! Cutting a histogram at a value: what stays is an estimate of the observations on one side.

use super::{Bucket, FloatHistogram};

/// Which side of the cut stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Below,
    Above,
}

/// What one bucket contributes to the trimmed histogram.
struct Cut {
    kept: f64,
    /// Where the removed values are taken to lie.
    removed_at: f64,
}

#[derive(Default)]
struct Tally {
    count: f64,
    removed_sum: f64,
    has_positive: bool,
    has_negative: bool,
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
        let mut tally = Tally::default();
        let custom = self.uses_custom_buckets();
        for (count, bucket) in out.positive.counts.iter_mut().zip(self.positive_buckets()) {
            if bucket.count == 0.0 {
                continue;
            }
            tally.has_positive |= !custom || bucket.upper > 0.0;
            tally.has_negative |= custom && (bucket.upper <= 0.0 || bucket.lower < 0.0);
            *count = tally.take(&bucket, limit, keep, Side { positive: true, custom });
        }
        for (count, bucket) in out.negative.counts.iter_mut().zip(self.negative_buckets()) {
            if bucket.count == 0.0 {
                continue;
            }
            tally.has_negative = true;
            *count = tally.take(&bucket, limit, keep, Side { positive: false, custom });
        }
        if self.zero_count > 0.0 {
            let mut zero = self.zero_bucket();
            self.settle_zero_for_trim(&mut zero);
            let below = count_below(&zero, limit, true, true);
            out.zero_count = if keep == Keep::Below { below } else { self.zero_count - below };
            tally.count += out.zero_count;
        }
        out.count = tally.count;
        out.sum = tally.sum(self.sum);
        out.compact();
        out
    }

    fn settle_zero_for_trim(&self, zero: &mut Bucket) {
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => zero.lower = 0.0,
            (false, true) => zero.upper = 0.0,
            _ => {}
        }
    }
}

#[derive(Clone, Copy)]
struct Side {
    positive: bool,
    custom: bool,
}

impl Tally {
    fn take(&mut self, bucket: &Bucket, limit: f64, keep: Keep, side: Side) -> f64 {
        let (whole, partly) = match keep {
            Keep::Below => (bucket.upper <= limit, bucket.lower < limit),
            Keep::Above => (bucket.lower >= limit, bucket.upper > limit),
        };
        if whole {
            self.count += bucket.count;
            return bucket.count;
        }
        let mut cut = cut(bucket, limit, keep, side);
        if !partly {
            cut.kept = 0.0;
            if !side.custom {
                cut.removed_at = (bucket.lower * bucket.upper).sqrt();
            }
        }
        self.removed_sum += (bucket.count - cut.kept) * cut.removed_at;
        self.count += cut.kept;
        cut.kept
    }

    fn sum(&self, before: f64) -> f64 {
        if self.count == 0.0 {
            return 0.0;
        }
        let sum = before - self.removed_sum;
        let impossible = (!self.has_negative && sum < 0.0) || (!self.has_positive && sum > 0.0);
        if impossible { 0.0 } else { sum }
    }
}

fn cut(bucket: &Bucket, limit: f64, keep: Keep, side: Side) -> Cut {
    if bucket.lower == f64::NEG_INFINITY {
        return cut_open_below(bucket, limit, keep);
    }
    if bucket.upper == f64::INFINITY {
        let all = keep == Keep::Above && limit <= bucket.lower;
        return if all {
            Cut { kept: bucket.count, removed_at: 0.0 }
        } else {
            Cut { kept: 0.0, removed_at: bucket.lower }
        };
    }
    let below = count_below(bucket, limit, side.positive, side.custom);
    let (kept, product) = match keep {
        Keep::Below => (below, bucket.lower.abs() * limit.abs()),
        Keep::Above => (bucket.count - below, limit.abs() * bucket.upper.abs()),
    };
    let removed_at = match (side.custom, side.positive) {
        (true, _) => (bucket.lower + bucket.upper) / 2.0,
        (false, true) => product.sqrt(),
        (false, false) => -product.sqrt(),
    };
    Cut { kept, removed_at }
}

/// A bucket from minus infinity: its values are taken to begin at zero where they can.
fn cut_open_below(bucket: &Bucket, limit: f64, keep: Keep) -> Cut {
    let inside = limit >= 0.0 && bucket.upper > limit && bucket.upper.is_finite();
    match keep {
        Keep::Below if limit >= bucket.upper => Cut { kept: bucket.count, removed_at: 0.0 },
        Keep::Above if limit <= bucket.lower => Cut { kept: bucket.count, removed_at: 0.0 },
        Keep::Below if inside => Cut {
            kept: bucket.count * limit / bucket.upper,
            removed_at: (limit + bucket.upper) / 2.0,
        },
        Keep::Above if inside => {
            Cut { kept: bucket.count * (1.0 - limit / bucket.upper), removed_at: limit / 2.0 }
        }
        _ => Cut { kept: 0.0, removed_at: bucket.upper },
    }
}

/// How many of a bucket's values lie at or below a limit.
fn count_below(bucket: &Bucket, limit: f64, positive: bool, linear: bool) -> f64 {
    if limit <= bucket.lower {
        return 0.0;
    }
    if limit >= bucket.upper {
        return bucket.count;
    }
    let fraction = if linear {
        (limit - bucket.lower) / (bucket.upper - bucket.lower)
    } else {
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        let at = limit.abs().log2();
        if positive { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
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
