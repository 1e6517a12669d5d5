//! Native histograms: counts in buckets whose bounds follow from a schema number.
//!
//! Schema n from -4 to 8 (up to 52 can be computed with) has bounds at every power of
//! 2^(2^-n), for positive and negative values apart, and one bucket around zero. Schema -53 has
//! bounds that the histogram itself carries ("custom buckets"); they stand in the positive side.
//!
//! Lives here: the types, bucket bounds, iteration. `layout`: moving counts to other bounds.
//! `arithmetic`: sums, differences, scaling. `reset`: has a counter begun anew. `quantile`:
//! quantiles, fractions, variance. `trim`: cutting a histogram at a value. `text`: how it prints.
//! Invariants: a side's spans cover exactly its counts.

mod arithmetic;
mod bounds;
mod layout;
mod quantile;
mod reset;
mod text;
mod trim;

pub use arithmetic::{CombineNotes, IncompatibleBuckets};
pub use quantile::NanObservations;
pub use text::format_float_go;

use std::sync::Arc;

/// The schema number of custom buckets.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What the source knows about whether the counter began anew before this sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    /// Not a counter at all.
    Gauge,
}

/// A run of adjacent buckets: how far after the previous run it starts, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    pub offset: i32,
    pub length: u32,
}

/// The counts of one side, and where they stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    pub spans: Vec<BucketSpan>,
    pub counts: Vec<f64>,
}

impl Buckets {
    /// Counts in order of index. Spans that claim more buckets than there are end early.
    pub fn entries(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let mut index = 0i32;
        let indexes = self.spans.iter().flat_map(move |span| {
            let start = index.saturating_add(span.offset);
            index = start.saturating_add_unsigned(span.length);
            start..index
        });
        indexes.zip(self.counts.iter().copied())
    }

    /// From counts in strictly rising order of index.
    pub fn from_entries(entries: impl IntoIterator<Item = (i32, f64)>) -> Self {
        let mut buckets = Self::default();
        let mut next = 0i32;
        for (index, count) in entries {
            match buckets.spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => buckets.spans.push(BucketSpan { offset: index - next, length: 1 }),
            }
            buckets.counts.push(count);
            next = index.saturating_add(1);
        }
        buckets
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// One bucket with its bounds. Positive and custom buckets include the upper bound, negative
/// ones the lower, the zero bucket both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    pub count: f64,
    pub index: i32,
}

/// A histogram with floating-point counts. The integer kind is converted when it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    pub reset_hint: ResetHint,
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: Buckets,
    pub negative: Buckets,
    /// The upper bounds of custom buckets, rising, without the last (infinite) one.
    pub custom_bounds: Arc<[f64]>,
}

impl FloatHistogram {
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// How many float samples' worth of memory this is, as Prometheus counts samples.
    pub fn sample_weight(&self) -> usize {
        let floats = self.positive.counts.len() + self.negative.counts.len();
        let spans = self.positive.spans.len() + self.negative.spans.len();
        (8 + 4 + 8 * 4 + 8 * 5 * 3 + 8 * floats + 8 * spans + 8 * self.custom_bounds.len() + 8) / 16
    }

    /// From the bucket next to zero upwards.
    pub fn positive_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let entries: Vec<_> = self.positive.entries().collect();
        entries.into_iter().map(|(index, count)| self.positive_bucket(index, count))
    }

    /// From the bucket next to zero downwards.
    pub fn negative_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let entries: Vec<_> = self.negative.entries().collect();
        entries.into_iter().map(|(index, count)| self.negative_bucket(index, count))
    }

    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        }
    }

    /// Every bucket from the lowest value to the highest; the zero bucket only where it has counts.
    pub fn all_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        let bound = self.zero_threshold;
        let clip = move |bucket: &mut Bucket| {
            // A bucket that reaches into the zero bucket begins where that one ends.
            if bucket.lower >= 0.0 && bucket.lower < bound && bound < bucket.upper {
                bucket.lower = bound;
            }
            if bucket.upper <= 0.0 && bucket.upper > -bound && -bound > bucket.lower {
                bucket.upper = -bound;
            }
        };
        let clipped = move |mut bucket: Bucket| {
            clip(&mut bucket);
            bucket
        };
        let custom = self.uses_custom_buckets();
        let shape = move |bucket| if custom { bucket } else { clipped(bucket) };
        self.negative_buckets()
            .rev()
            .map(shape)
            .chain(zero)
            .chain(self.positive_buckets().map(shape))
    }

    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let custom = self.uses_custom_buckets();
        let (lower, upper) = if custom {
            (custom_bound(&self.custom_bounds, index - 1), custom_bound(&self.custom_bounds, index))
        } else {
            (bound(index - 1, self.schema), bound(index, self.schema))
        };
        let lower_inclusive = custom && index == 0;
        Bucket { lower, upper, lower_inclusive, upper_inclusive: true, count, index }
    }

    fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        Bucket {
            lower: -bound(index, self.schema),
            upper: -bound(index - 1, self.schema),
            lower_inclusive: true,
            upper_inclusive: false,
            count,
            index,
        }
    }
}

fn custom_bound(bounds: &[f64], index: i32) -> f64 {
    match usize::try_from(index) {
        Err(_) => f64::NEG_INFINITY,
        Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
    }
}

/// The upper bound of bucket `index`: 2^(index * 2^-schema). The bucket that would end at 2^1024
/// ends at the largest float instead, so that the one after it holds only the infinities.
pub(crate) fn bound(index: i32, schema: i32) -> f64 {
    let power = f64::from(index) * (-f64::from(schema)).exp2();
    if power == 1024.0 {
        return f64::MAX;
    }
    let whole = power.floor();
    // Splitting keeps whole powers of two exact.
    bounds::fraction(index, schema).unwrap_or_else(|| (power - whole).exp2()) * whole.exp2()
}

/// Bit for bit: two NaNs of the same bits are the same here.
pub fn custom_bounds_match(left: &[f64], right: &[f64]) -> bool {
    same_bits(left, right)
}

fn same_bits(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(l, r)| l.to_bits() == r.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_follow_the_schema() {
        assert_eq!((bound(0, 0), bound(1, 0), bound(-1, 0)), (1.0, 2.0, 0.5));
        assert_eq!((bound(1, -1), bound(2, -4)), (4.0, 2f64.powi(32)));
        assert_eq!(bound(3, 1), 2.82842712474619, "as Prometheus rounds it");
        assert_eq!(bound(1024, 0), f64::MAX);
        assert_eq!(bound(1025, 0), f64::INFINITY);
        assert_eq!(bound(-1074, 0), f64::from_bits(1));
    }

    #[test]
    fn buckets_come_in_order_of_value() {
        let histogram = FloatHistogram {
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive: Buckets::from_entries([(0, 1.0), (2, 2.0)]),
            negative: Buckets::from_entries([(0, 3.0), (1, 4.0)]),
            ..Default::default()
        };
        let uppers: Vec<_> = histogram.all_buckets().map(|bucket| bucket.upper).collect();
        assert_eq!(uppers, [-1.0, -0.5, 0.001, 1.0, 4.0]);
        let reverse: Vec<_> = histogram.all_buckets().rev().map(|bucket| bucket.count).collect();
        assert_eq!(reverse, [2.0, 1.0, 1.0, 3.0, 4.0]);
    }

    proptest! {
        #[test]
        fn entries_come_back(
            entries in prop::collection::btree_map(-100i32..100, 0.0f64..10.0, 0..20)
        ) {
            let buckets = Buckets::from_entries(entries.clone());
            prop_assert_eq!(buckets.entries().collect::<Vec<_>>(), entries.into_iter().collect::<Vec<_>>());
        }
    }
}
