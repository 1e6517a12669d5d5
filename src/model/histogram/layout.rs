//! Moving counts to other bounds: coarser schemas, wider zero buckets, fewer custom bounds.

use super::{Buckets, FloatHistogram, custom_bounds_match};
use std::cmp::Ordering;
use std::sync::Arc;

impl FloatHistogram {
    /// Drops buckets without counts and joins the runs that then touch.
    pub fn compact(&mut self) -> &mut Self {
        compact_side(&mut self.positive);
        compact_side(&mut self.negative);
        self
    }

    /// The same counts in the wider buckets of a lower schema. Does nothing where the schema is
    /// already as low, or where custom buckets are involved.
    #[must_use]
    pub fn to_schema(&self, schema: i32) -> Self {
        let mut histogram = self.clone();
        histogram.reduce_to_schema(schema);
        histogram
    }

    pub(super) fn reduce_to_schema(&mut self, schema: i32) {
        if self.uses_custom_buckets() || schema >= self.schema {
            return;
        }
        let shift = (self.schema - schema).unsigned_abs().min(31);
        self.positive = merged(self.positive.entries(), |index| coarser(index, shift));
        self.negative = merged(self.negative.entries(), |index| coarser(index, shift));
        self.schema = schema;
    }

    /// How many values the zero bucket would hold at a threshold of at least `wanted`, and the
    /// threshold that this needs: it never cuts through a bucket that has counts.
    pub(super) fn zero_count_for(&self, wanted: f64) -> (f64, f64) {
        let mut threshold = wanted;
        'wider: loop {
            let mut count = self.zero_count;
            for bucket in self.positive_buckets().take_while(|bucket| bucket.lower < threshold) {
                count += bucket.count;
                if bucket.upper > threshold {
                    if bucket.count != 0.0 {
                        threshold = bucket.upper;
                    }
                    break;
                }
            }
            for bucket in self.negative_buckets().take_while(|bucket| bucket.upper > -threshold) {
                count += bucket.count;
                if bucket.lower < -threshold {
                    if bucket.count != 0.0 {
                        threshold = -bucket.lower;
                        continue 'wider;
                    }
                    break;
                }
            }
            return (count, threshold);
        }
    }

    /// Widens this zero bucket until it is as wide as the other's could become, and answers how
    /// many values the other's zero bucket then holds.
    pub(super) fn reconcile_zero_bucket(&mut self, other: &Self) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        // NaN thresholds match nothing; they can't be widened either.
        while threshold.partial_cmp(&self.zero_threshold).is_some_and(Ordering::is_ne) {
            if self.zero_threshold > threshold {
                (count, threshold) = other.zero_count_for(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                self.widen_zero_bucket(threshold);
            }
        }
        count
    }

    pub(super) fn widen_zero_bucket(&mut self, wanted: f64) {
        let (count, threshold) = self.zero_count_for(wanted);
        (self.zero_count, self.zero_threshold) = (count, threshold);
        self.positive = self.outside_zero(&self.positive);
        self.negative = self.outside_zero(&self.negative);
    }

    /// The buckets that the zero bucket does not swallow.
    pub(super) fn outside_zero(&self, side: &Buckets) -> Buckets {
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let outside = |index: i32| super::bound(index - 1, schema) >= threshold;
        Buckets::from_entries(side.entries().filter(|(index, _)| outside(*index)))
    }

    /// The same counts between fewer bounds; each of `bounds` must be one of this histogram's.
    pub(super) fn reduce_to_bounds(&mut self, bounds: &Arc<[f64]>) {
        if custom_bounds_match(&self.custom_bounds, bounds) {
            return;
        }
        let old = self.custom_bounds.clone();
        self.positive = merged(self.positive.entries(), |index| {
            let upper = super::custom_bound(&old, index);
            bounds.partition_point(|bound| *bound < upper) as i32
        });
        self.custom_bounds = bounds.clone();
    }
}

/// The bounds that both have.
pub(super) fn common_bounds(left: &[f64], right: &[f64]) -> Arc<[f64]> {
    left.iter().copied().filter(|bound| right.contains(bound)).collect()
}

fn coarser(index: i32, shift: u32) -> i32 {
    ((index - 1) >> shift) + 1
}

/// Adds up neighbours that get the same new index; `place` must not reorder.
fn merged(entries: impl Iterator<Item = (i32, f64)>, place: impl Fn(i32) -> i32) -> Buckets {
    let mut out: Vec<(i32, f64)> = Vec::new();
    for (index, count) in entries {
        let index = place(index);
        match out.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => out.push((index, count)),
        }
    }
    Buckets::from_entries(out)
}

fn compact_side(side: &mut Buckets) {
    *side = Buckets::from_entries(side.entries().filter(|(_, count)| *count != 0.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_schema_merges_neighbours() {
        let fine = FloatHistogram {
            schema: 1,
            positive: Buckets::from_entries([(-1, 1.0), (0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)]),
            ..Default::default()
        };
        let coarse = fine.to_schema(0);
        assert_eq!(coarse.positive, Buckets::from_entries([(0, 3.0), (1, 12.0), (2, 16.0)]));
        assert_eq!(fine.to_schema(2), fine);
    }

    #[test]
    fn the_zero_bucket_never_cuts_a_bucket_with_counts() {
        let mut histogram = FloatHistogram {
            zero_count: 1.0,
            positive: Buckets::from_entries([(1, 2.0), (2, 3.0)]),
            negative: Buckets::from_entries([(2, 5.0)]),
            ..Default::default()
        };
        histogram.widen_zero_bucket(1.5);
        assert_eq!((histogram.zero_threshold, histogram.zero_count), (2.0, 3.0));
        assert_eq!(histogram.positive, Buckets::from_entries([(2, 3.0)]));
        assert_eq!(histogram.negative, Buckets::from_entries([(2, 5.0)]));
    }

    #[test]
    fn compacting_drops_what_is_empty() {
        let mut histogram = FloatHistogram {
            positive: Buckets::from_entries([(0, 0.0), (1, 1.0), (2, 0.0), (3, 1.0), (4, 0.0)]),
            ..Default::default()
        };
        histogram.compact();
        assert_eq!(histogram.positive, Buckets::from_entries([(1, 1.0), (3, 1.0)]));
    }
}
