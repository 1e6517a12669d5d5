//! Sums, differences and multiples of histograms whose buckets need not match.

use super::layout::common_bounds;
use super::{Buckets, FloatHistogram, ResetHint, custom_bounds_match, same_bits};
use crate::KahanSum;
use std::cmp::Ordering;

/// Exponential and custom buckets have no common form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot combine histograms with exponential and with custom buckets")]
pub struct IncompatibleBuckets;

/// Conflicts that were resolved when two histograms were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CombineNotes {
    /// One said "reset", the other "not reset".
    pub reset_collision: bool,
    /// Their custom bounds differed; the result has the bounds that both had.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    pub fn scale(&mut self, factor: f64) -> &mut Self {
        let hint = self.reset_hint;
        self.for_each_number(|number| *number *= factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        } else {
            self.reset_hint = hint;
        }
        self
    }

    /// Dividing by zero makes every number infinite or NaN, so the buckets mean nothing any more.
    pub fn divide(&mut self, divisor: f64) -> &mut Self {
        self.for_each_number(|number| *number /= divisor);
        if divisor == 0.0 {
            self.positive = Buckets::default();
            self.negative = Buckets::default();
        }
        if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
        self
    }

    fn for_each_number(&mut self, change: impl Fn(&mut f64)) {
        let FloatHistogram { zero_count, count, sum, positive, negative, .. } = self;
        for number in [zero_count, count, sum] {
            change(number);
        }
        positive.counts.iter_mut().chain(&mut negative.counts).for_each(change);
    }

    /// Adds in place. Differences in zero threshold, schema and custom bounds are evened out; the
    /// other histogram stays as it is.
    pub fn add(&mut self, other: &Self) -> Result<CombineNotes, IncompatibleBuckets> {
        self.combine(other, |mine, theirs| mine + theirs)
    }

    /// Subtracts in place, like [`Self::add`].
    pub fn subtract(&mut self, other: &Self) -> Result<CombineNotes, IncompatibleBuckets> {
        self.combine(other, |mine, theirs| mine - theirs)
    }

    fn combine(
        &mut self,
        other: &Self,
        operation: impl Fn(f64, f64) -> f64 + Copy,
    ) -> Result<CombineNotes, IncompatibleBuckets> {
        let (other, notes) = self.align(other)?;
        self.zero_count = operation(self.zero_count, other.zero_count);
        self.count = operation(self.count, other.count);
        self.sum = operation(self.sum, other.sum);
        self.positive = merge(&self.positive, &other.positive, operation);
        self.negative = merge(&self.negative, &other.negative, operation);
        Ok(notes)
    }

    /// Adds in place and collects what rounding loses in `compensation`, a histogram of the same
    /// bounds: [`Self::add`] it in the end.
    pub fn add_kahan(
        &mut self,
        other: &Self,
        compensation: &mut Option<Box<Self>>,
    ) -> Result<CombineNotes, IncompatibleBuckets> {
        let (other, notes) = self.align(other)?;
        let lost = compensation.get_or_insert_with(|| Box::new(self.empty_twin()));
        lost.align_to(self);
        let step = |sum: &mut f64, value: f64, lost: &mut f64| {
            let next = KahanSum { sum: *sum, compensation: *lost }.plus(value);
            (*sum, *lost) = (next.sum, next.compensation);
        };
        step(&mut self.zero_count, other.zero_count, &mut lost.zero_count);
        step(&mut self.count, other.count, &mut lost.count);
        step(&mut self.sum, other.sum, &mut lost.sum);
        merge_kahan(&mut self.positive, &other.positive, &mut lost.positive);
        merge_kahan(&mut self.negative, &other.negative, &mut lost.negative);
        Ok(notes)
    }

    /// The same bounds, nothing counted. Sums of it with the original keep the original's hint.
    fn empty_twin(&self) -> Self {
        Self {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_bounds: self.custom_bounds.clone(),
            ..Self::default()
        }
    }

    /// Brings both to common bounds: changes this histogram in place, answers the other's new form.
    fn align(&mut self, other: &Self) -> Result<(Self, CombineNotes), IncompatibleBuckets> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleBuckets);
        }
        let mut notes = CombineNotes {
            reset_collision: self.merge_hint(other.reset_hint),
            ..Default::default()
        };
        let mut other = other.clone();
        if self.uses_custom_buckets() {
            if !custom_bounds_match(&self.custom_bounds, &other.custom_bounds) {
                notes.bounds_reconciled = true;
                let bounds = common_bounds(&self.custom_bounds, &other.custom_bounds);
                self.reduce_to_bounds(&bounds);
                other.reduce_to_bounds(&bounds);
            }
        } else {
            let zero_count = self.reconcile_zero_bucket(&other);
            other.align_to_zero(self.zero_threshold, zero_count);
            let schema = self.schema.min(other.schema);
            self.reduce_to_schema(schema);
            other.reduce_to_schema(schema);
        }
        Ok((other, notes))
    }

    /// Brings this one to the bounds of another that has gone through [`Self::align`] meanwhile.
    fn align_to(&mut self, target: &Self) {
        if self.uses_custom_buckets() {
            self.reduce_to_bounds(&target.custom_bounds);
            return;
        }
        if self.zero_threshold != target.zero_threshold {
            let (count, _) = self.zero_count_for(target.zero_threshold);
            self.align_to_zero(target.zero_threshold, count);
        }
        self.reduce_to_schema(target.schema);
    }

    fn align_to_zero(&mut self, threshold: f64, count: f64) {
        self.zero_threshold = threshold;
        self.zero_count = count;
        self.positive = self.outside_zero(&self.positive);
        self.negative = self.outside_zero(&self.negative);
    }

    /// The hint of a result: a gauge with anything is a gauge, an unknown hint with anything else is
    /// unknown. Returns true when one hint says "reset" and the other "not reset".
    fn merge_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, collision) = match (self.reset_hint, other) {
            (mine, theirs) if mine == theirs => (mine, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            (Reset, _) | (NotReset, _) => (Unknown, true),
        };
        self.reset_hint = hint;
        collision
    }

    /// Whether a sum has left the range of floats anywhere.
    pub fn has_overflow(&self) -> bool {
        let counts = self.positive.counts.iter().chain(&self.negative.counts);
        [self.zero_count, self.count, self.sum].iter().chain(counts).any(|n| n.is_infinite())
    }

    /// The same numbers in the same buckets, bit for bit; the hint does not count. Both should be
    /// compact: an empty bucket is a bucket here.
    pub fn same_as(&self, other: &Self) -> bool {
        self.schema == other.schema
            && same_bits(&self.numbers(), &other.numbers())
            && (!self.uses_custom_buckets()
                || custom_bounds_match(&self.custom_bounds, &other.custom_bounds))
            && same_side(&self.positive, &other.positive)
            && same_side(&self.negative, &other.negative)
    }

    fn numbers(&self) -> [f64; 4] {
        [self.zero_threshold, self.zero_count, self.count, self.sum]
    }
}

fn same_side(left: &Buckets, right: &Buckets) -> bool {
    left.counts.len() == right.counts.len()
        && left
            .entries()
            .zip(right.entries())
            .all(|(l, r)| l.0 == r.0 && l.1.to_bits() == r.1.to_bits())
}

fn merge(left: &Buckets, right: &Buckets, operation: impl Fn(f64, f64) -> f64) -> Buckets {
    if left.spans == right.spans {
        let counts = left.counts.iter().zip(&right.counts).map(|(l, r)| operation(*l, *r));
        return Buckets { spans: left.spans.clone(), counts: counts.collect() };
    }
    let mut out = Vec::with_capacity(left.counts.len() + right.counts.len());
    let (mut l, mut r) = (left.entries().peekable(), right.entries().peekable());
    loop {
        let order = match (l.peek(), r.peek()) {
            (None, None) => return Buckets::from_entries(out),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(&b.0),
        };
        let a = if order.is_le() { l.next() } else { None };
        let b = if order.is_ge() { r.next() } else { None };
        let index = a.or(b).expect("one of them is there").0;
        out.push((index, operation(a.map_or(0.0, |a| a.1), b.map_or(0.0, |b| b.1))));
    }
}

fn merge_kahan(sums: &mut Buckets, values: &Buckets, lost: &mut Buckets) {
    // Give all three the same buckets first; then it is three parallel columns.
    let keep = |mine: f64, _: f64| mine;
    let layout = merge(sums, values, keep);
    *lost = merge(lost, &merge(&layout, lost, |_, _| 0.0), keep);
    *sums = merge(&layout, lost, keep);
    let values = merge(&merge(sums, values, |_, theirs| theirs), lost, keep);
    let columns = sums.counts.iter_mut().zip(&values.counts).zip(&mut lost.counts);
    for ((sum, value), lost) in columns {
        let next = KahanSum { sum: *sum, compensation: *lost }.plus(*value);
        (*sum, *lost) = (next.sum, next.compensation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CUSTOM_BUCKETS_SCHEMA;
    use proptest::prelude::*;

    fn exponential(schema: i32, entries: &[(i32, f64)]) -> FloatHistogram {
        let total = entries.iter().fold(0.0, |total, entry| total + entry.1);
        FloatHistogram {
            schema,
            count: total,
            sum: total,
            positive: Buckets::from_entries(entries.iter().copied()),
            ..Default::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_bounds: bounds.into(),
            positive: Buckets::from_entries((0..).zip(counts.iter().copied())),
            ..Default::default()
        }
    }

    #[test]
    fn adding_evens_out_schemas() {
        let mut left = exponential(0, &[(1, 1.0)]);
        left.add(&exponential(1, &[(1, 2.0), (2, 3.0), (4, 5.0)])).unwrap();
        assert_eq!(left.positive, Buckets::from_entries([(1, 6.0), (2, 5.0)]));
        assert_eq!(left.schema, 0);
    }

    #[test]
    fn custom_bounds_meet_at_what_both_have() {
        let mut left = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0, 8.0]);
        let notes = left.add(&custom(&[2.0, 5.0], &[16.0, 32.0, 64.0])).unwrap();
        assert!(notes.bounds_reconciled);
        assert_eq!(&*left.custom_bounds, [2.0]);
        assert_eq!(left.positive.counts, [19.0, 108.0]);
        assert_eq!(left.add(&exponential(0, &[])), Err(IncompatibleBuckets));
    }

    #[test]
    fn compensated_sums_keep_small_counts() {
        let mut sum = exponential(0, &[(1, 1e100)]);
        let mut lost = None;
        sum.add_kahan(&exponential(0, &[(1, 1.0), (3, 2.0)]), &mut lost).unwrap();
        sum.add_kahan(&exponential(0, &[(0, 4.0), (1, -1e100)]), &mut lost).unwrap();
        sum.add(&lost.unwrap()).unwrap();
        assert_eq!(sum.positive, Buckets::from_entries([(0, 4.0), (1, 1.0), (3, 2.0)]));
        assert_eq!(sum.count, 3.0);
    }

    #[test]
    fn contradicting_hints_are_noted() {
        let mut left = FloatHistogram { reset_hint: ResetHint::Reset, ..Default::default() };
        let right = FloatHistogram { reset_hint: ResetHint::NotReset, ..Default::default() };
        assert!(left.add(&right).unwrap().reset_collision);
        assert_eq!(left.reset_hint, ResetHint::Unknown);
    }

    proptest! {
        #[test]
        fn subtracting_undoes_adding(
            left in prop::collection::btree_map(-20i32..20, 1u32..100, 0..10),
            right in prop::collection::btree_map(-20i32..20, 1u32..100, 0..10),
            schemas in (-2i32..3, -2i32..3),
        ) {
            let of = |entries: &std::collections::BTreeMap<i32, u32>, schema| {
                let entries: Vec<_> = entries.iter().map(|(i, c)| (*i, f64::from(*c))).collect();
                exponential(schema, &entries)
            };
            let (left, right) = (of(&left, schemas.0), of(&right, schemas.1));
            let mut sum = left.clone();
            sum.add(&right).unwrap();
            sum.subtract(&right).unwrap();
            let mut expected = left.to_schema(schemas.0.min(schemas.1));
            prop_assert!(sum.compact().same_as(expected.compact()));
        }
    }
}
