//! Counts of spans as series.

use super::exemplars::Exemplars;
use super::steps::Steps;
use super::table::{Accumulator, Average, Count, Partial};
use super::{NAME, Series};
use crate::attribute::Attribute;
use crate::value::FieldValue;
use std::collections::BTreeMap;

/// The label of a bucket's upper end, and that of a quantile.
const BUCKET: &str = "__bucket";
const QUANTILE: &str = "p";

/// Counts by group and bucket; the last value of each key is the exponent.
pub(super) struct Bucketed {
    pub(super) counts: (Partial<Count>, Exemplars),
    /// By which the values of buckets are multiplied.
    pub(super) scale: f64,
}

fn labels(by: &[Attribute], key: Vec<FieldValue>) -> Vec<(String, FieldValue)> {
    by.iter().map(ToString::to_string).zip(key).collect()
}

/// Labels of a group; without any, the name of the function.
fn labels_or_name(by: &[Attribute], key: Vec<FieldValue>, name: &str) -> Vec<(String, FieldValue)> {
    match by.is_empty() {
        true => vec![(NAME.to_owned(), FieldValue::Text(name.to_owned()))],
        false => labels(by, key),
    }
}

/// `rate` and `count_over_time`: zero where there are no spans.
pub(super) fn counts(
    (mut partial, mut exemplars): (Partial<Count>, Exemplars),
    by: &[Attribute],
    name: &str,
    steps: &Steps,
    is_rate: bool,
) -> Vec<Series> {
    if by.is_empty() && partial.0.is_empty() {
        partial.0.insert(Vec::new(), vec![Count::default(); steps.count]);
    }
    let length = if is_rate { steps.seconds() } else { 1.0 };
    let times_ms = steps.times_ms();
    let series = partial.0.into_iter().map(|(key, cells)| {
        let values = cells.iter().map(|cell| cell.value() / length).collect();
        let exemplars = exemplars.take(&key);
        let labels = labels_or_name(by, key, name);
        Series { labels, times_ms: times_ms.clone(), values, exemplars }
    });
    series.collect()
}

/// Nothing where no span had a value.
pub(super) fn values<A: Accumulator>(
    found: (Partial<A>, Exemplars),
    by: (&[Attribute], &str),
    steps: &Steps,
) -> Vec<Series> {
    each(found, by, steps, A::value)
}

pub(super) fn sums(
    found: (Partial<Average>, Exemplars),
    by: (&[Attribute], &str),
    steps: &Steps,
) -> Vec<Series> {
    each(found, by, steps, Average::sum)
}

fn each<A>(
    (partial, mut exemplars): (Partial<A>, Exemplars),
    (by, name): (&[Attribute], &str),
    steps: &Steps,
    value: impl Fn(&A) -> f64,
) -> Vec<Series> {
    let times_ms = steps.times_ms();
    let series = partial.0.into_iter().map(|(key, cells)| {
        let values = cells.iter().map(&value).collect();
        let exemplars = exemplars.take(&key);
        let labels = labels_or_name(by, key, name);
        Series { labels, times_ms: times_ms.clone(), values, exemplars }
    });
    series.collect()
}

/// The upper end of a bucket.
fn bucket_end(exponent: i64, scale: f64) -> f64 {
    2_f64.powi(exponent as i32) * scale
}

pub(super) fn histogram(buckets: Bucketed, by: &[Attribute], steps: &Steps) -> Vec<Series> {
    let (partial, mut exemplars) = buckets.counts;
    let times_ms = steps.times_ms();
    let series = partial.0.into_iter().map(|(mut key, cells)| {
        let exemplars = exemplars.take(&key);
        let exponent = exponent(&mut key);
        let mut labels = labels(by, key);
        let end = FieldValue::Float(bucket_end(exponent, buckets.scale));
        labels.push((BUCKET.to_owned(), end));
        let values = cells.iter().map(Count::value).collect();
        Series { labels, times_ms: times_ms.clone(), values, exemplars }
    });
    series.collect()
}

/// Takes the exponent of its bucket off a key.
fn exponent(key: &mut Vec<FieldValue>) -> i64 {
    match key.pop() {
        Some(FieldValue::Int(exponent)) => exponent,
        _ => 0,
    }
}

pub(super) fn quantiles(
    buckets: Bucketed,
    by: &[Attribute],
    quantiles: &[f64],
    steps: &Steps,
) -> Vec<Series> {
    let (partial, mut exemplars) = buckets.counts;
    let mut groups: BTreeMap<Vec<FieldValue>, BTreeMap<i64, Vec<Count>>> = BTreeMap::new();
    let mut kept: BTreeMap<Vec<FieldValue>, Vec<super::Exemplar>> = BTreeMap::new();
    for (mut key, cells) in partial.0 {
        let found = exemplars.take(&key);
        let exponent = exponent(&mut key);
        kept.entry(key.clone()).or_default().extend(found);
        groups.entry(key).or_default().insert(exponent, cells);
    }
    let times_ms = steps.times_ms();
    let mut series = Vec::new();
    for (key, buckets_of) in groups {
        let mut exemplars = kept.remove(&key).unwrap_or_default();
        for p in quantiles {
            let mut labels = labels(by, key.clone());
            labels.push((QUANTILE.to_owned(), FieldValue::Float(*p)));
            let value = |step: usize| {
                let counts = buckets_of.iter().map(|(exponent, cells)| (*exponent, cells[step].0));
                quantile(*p, counts.filter(|(_, count)| *count > 0)) * buckets.scale
            };
            let values = (0..steps.count).map(value).collect();
            let exemplars = std::mem::take(&mut exemplars);
            series.push(Series { labels, times_ms: times_ms.clone(), values, exemplars });
        }
    }
    series
}

/// Between the ends of the bucket before and that of its own, as if values were spread evenly by their
/// logarithms; 0 of nothing. Rounded up to whole spans, so that a few spans have high quantiles as well.
fn quantile(p: f64, buckets: impl Iterator<Item = (i64, u64)> + Clone) -> f64 {
    let all: u64 = buckets.clone().map(|(_, count)| count).sum();
    if all == 0 {
        return 0.0;
    }
    let wanted = ((p * all as f64).ceil() as u64).max(1);
    let (mut before, mut lower) = (0, None);
    for (exponent, count) in buckets {
        if before + count >= wanted {
            let lower = lower.unwrap_or(exponent - 1) as f64;
            let part = (wanted - before) as f64 / count as f64;
            return 2_f64.powf(lower + part * (exponent as f64 - lower));
        }
        before += count;
        lower = Some(exponent);
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_powers_of_two() {
        let buckets = [(3, 1), (5, 2)];
        let of = |p| quantile(p, buckets.iter().copied());
        assert_eq!((of(0.0), of(0.3), of(1.0)), (8.0, 8.0, 32.0));
        assert_eq!(of(0.5), 16.0);
        assert_eq!(quantile(0.5, [].into_iter()), 0.0);
        assert_eq!(quantile(0.5, [(4, 2)].into_iter()), 2_f64.powf(3.5));
    }
}
