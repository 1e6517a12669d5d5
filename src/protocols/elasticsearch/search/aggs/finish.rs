//! Buckets in their order, as the JSON of an answer.

use super::super::date;
use super::super::error::{Result, SearchError};
use super::super::expr::number_of;
use super::super::field::Field;
use super::collect::{Bucket, Collected, TermBuckets, TopRow};
use super::pipeline::{self, number_at};
use super::{Agg, DateHistogram, Histogram, Kind, OrderBy, Terms, TopMetrics};
use query::{Holding, Weight};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What bounds an answer.
#[derive(Debug)]
pub(in super::super) struct Finishing<'f> {
    pub(in super::super) buckets_max: usize,
    pub(in super::super) made: usize,
    pub(in super::super) memory: &'f Holding,
}

/// What a bucket without lines takes.
const EMPTY_BYTES: usize = 512;

impl Finishing<'_> {
    fn count(&mut self, more: usize) -> Result<()> {
        self.made = self.made.saturating_add(more);
        match self.made > self.buckets_max {
            true => Err(SearchError::too_many_buckets(self.buckets_max)),
            false => Ok(()),
        }
    }
}

/// The aggregations of a bucket.
pub(in super::super) fn finish(
    aggs: &[Agg],
    bucket: Bucket,
    finishing: &mut Finishing<'_>,
) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for (agg, collected) in aggs.iter().zip(bucket.subs) {
        map.insert(agg.name.clone(), of_agg(agg, collected, finishing)?);
    }
    Ok(map)
}

fn of_agg(agg: &Agg, collected: Collected, finishing: &mut Finishing<'_>) -> Result<Value> {
    match (&agg.kind, collected) {
        (Kind::DateHistogram(histogram), Collected::Times(steps)) => {
            times(agg, histogram, steps, finishing)
        }
        (Kind::Histogram(histogram), Collected::Numbers(steps)) => {
            numbers(agg, histogram, steps, finishing)
        }
        (Kind::Terms(of), Collected::Terms(buckets)) => terms(agg, of, buckets, finishing),
        (kind, Collected::These(buckets)) => these(agg, kind, buckets, finishing),
        (Kind::TopMetrics(top), Collected::Top(rows)) => Ok(top_rows(top, rows)),
        (_, Collected::Figure(sum)) => Ok(Value::Object(figure(agg, &sum))),
        _ => Ok(Value::Null),
    }
}

fn figure(agg: &Agg, sum: &super::figures::Sum) -> Map<String, Value> {
    let Kind::Figure(figure) = &agg.kind else { return Map::new() };
    let as_date =
        |ms: f64| date::write((ms as i64).saturating_mul(1_000_000), "", super::Zone::UTC);
    let as_text = (figure.field == Field::Time).then_some(&as_date as &dyn Fn(f64) -> String);
    sum.value(&figure.kind, as_text)
}

/// A bucket with its key and what is inside.
fn of_bucket(
    agg: &Agg,
    key: Value,
    key_as_string: Option<String>,
    bucket: Bucket,
    finishing: &mut Finishing<'_>,
) -> Result<Map<String, Value>> {
    let count = bucket.count;
    let mut map = finish(&agg.subs, bucket, finishing)?;
    if let Some(text) = key_as_string {
        map.insert("key_as_string".to_owned(), text.into());
    }
    map.insert("key".to_owned(), key);
    map.insert("doc_count".to_owned(), count.into());
    Ok(map)
}

/// A list of buckets, with the figures of buckets.
fn list(agg: &Agg, mut buckets: Vec<Map<String, Value>>) -> Result<Vec<Value>> {
    pipeline::run(&agg.pipelines, &mut buckets)?;
    Ok(buckets.into_iter().map(Value::Object).collect())
}

// ── steps ──

/// Adds the steps without lines between the first and the last one.
fn fill<S: Ord + Copy>(
    agg: &Agg,
    steps: &mut BTreeMap<S, Bucket>,
    (first, last): (S, S),
    next: impl Fn(S) -> Option<S>,
    finishing: &mut Finishing<'_>,
) -> Result<()> {
    let (mut at, mut count) = (first, 0);
    while at <= last {
        count += 1;
        if count > finishing.buckets_max {
            return Err(SearchError::too_many_buckets(finishing.buckets_max));
        }
        if let Entry::Vacant(free) = steps.entry(at) {
            finishing.memory.take(Weight::bytes(EMPTY_BYTES))?;
            free.insert(Bucket::new(&agg.subs));
        }
        match next(at) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(())
}

/// The first and the last step, of those that are there and those that are asked for.
fn ends<S: Ord + Copy>(steps: &BTreeMap<S, Bucket>, extended: Option<(S, S)>) -> Option<(S, S)> {
    let there = steps.first_key_value().zip(steps.last_key_value());
    let there = there.map(|((first, _), (last, _))| (*first, *last));
    match (there, extended) {
        (Some(there), Some(asked)) => Some((there.0.min(asked.0), there.1.max(asked.1))),
        (there, asked) => there.or(asked),
    }
}

fn times(
    agg: &Agg,
    histogram: &DateHistogram,
    mut steps: BTreeMap<i64, Bucket>,
    finishing: &mut Finishing<'_>,
) -> Result<Value> {
    let DateHistogram { interval, zone, offset_ms, .. } = *histogram;
    let floor = |time: i64| interval.floor(time, zone, offset_ms);
    let extended = histogram.extended.map(|(from, to)| (floor(from), floor(to)));
    if histogram.min_doc_count == 0
        && let Some(ends) = ends(&steps, extended)
    {
        fill(agg, &mut steps, ends, |at| interval.next(at, zone, offset_ms), finishing)?;
    }
    steps.retain(|_, bucket| bucket.count >= histogram.min_doc_count);
    finishing.count(steps.len())?;
    let mut buckets = Vec::with_capacity(steps.len());
    for (start, bucket) in steps {
        let text = date::write(start.saturating_mul(1_000_000), &histogram.format, zone);
        buckets.push(of_bucket(agg, start.into(), Some(text), bucket, finishing)?);
    }
    let mut buckets = list(agg, buckets)?;
    if histogram.keys_fall {
        buckets.reverse();
    }
    Ok(json!({ "buckets": buckets }))
}

fn numbers(
    agg: &Agg,
    histogram: &Histogram,
    mut steps: BTreeMap<i64, Bucket>,
    finishing: &mut Finishing<'_>,
) -> Result<Value> {
    let step = |value: f64| ((value - histogram.offset) / histogram.interval).floor() as i64;
    let extended = histogram.extended.map(|(from, to)| (step(from), step(to)));
    if histogram.min_doc_count == 0
        && let Some(ends) = ends(&steps, extended)
    {
        fill(agg, &mut steps, ends, |at| at.checked_add(1), finishing)?;
    }
    steps.retain(|_, bucket| bucket.count >= histogram.min_doc_count);
    finishing.count(steps.len())?;
    let mut buckets = Vec::with_capacity(steps.len());
    for (step, bucket) in steps {
        let key = step as f64 * histogram.interval + histogram.offset;
        buckets.push(of_bucket(agg, key.into(), None, bucket, finishing)?);
    }
    Ok(json!({ "buckets": list(agg, buckets)? }))
}

// ── terms ──

fn terms(
    agg: &Agg,
    of: &Terms,
    buckets: TermBuckets,
    finishing: &mut Finishing<'_>,
) -> Result<Value> {
    let buckets = buckets.into_buckets();
    let are_numbers =
        !buckets.is_empty() && buckets.iter().all(|(key, _)| as_number(key).is_some());
    let wanted = buckets.into_iter().filter(|(_, bucket)| bucket.count >= of.min_doc_count);
    let mut sorted: Vec<Term> =
        wanted.map(|(key, bucket)| Term::new(agg, of, key, bucket)).collect();
    sorted.sort_by(|left, right| left.compare(right, of, are_numbers));
    let others: u64 = sorted.iter().skip(of.size).map(|term| term.bucket.count).sum();
    sorted.truncate(of.size);
    finishing.count(sorted.len())?;
    let mut found = Vec::with_capacity(sorted.len());
    for Term { key, bucket, .. } in sorted {
        let number = if are_numbers { as_number(&key) } else { None };
        let (key, text) = match number {
            Some(number) => (number, (of.field == Field::Time).then_some(key)),
            None => (Value::String(key), None),
        };
        found.push(of_bucket(agg, key, text, bucket, finishing)?);
    }
    Ok(json!({
        "doc_count_error_upper_bound": 0, "sum_other_doc_count": others, "buckets": list(agg, found)?,
    }))
}

/// A value of a number that is written as JSON would write it, so that nothing of it is lost.
fn as_number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return (whole.to_string() == text).then(|| whole.into());
    }
    number_of(text).filter(|number| format!("{number:?}") == text).map(Value::from)
}

struct Term {
    key: String,
    bucket: Bucket,
    /// For each order by a figure its value.
    figures: Vec<Option<f64>>,
}

impl Term {
    fn new(agg: &Agg, of: &Terms, key: String, bucket: Bucket) -> Self {
        let figures = of.order.iter().map(|order| match &order.by {
            OrderBy::Figure(path) => figure_at(agg, &bucket, path),
            _ => None,
        });
        let figures = figures.collect();
        Self { key, bucket, figures }
    }

    fn compare(&self, other: &Self, of: &Terms, are_numbers: bool) -> Ordering {
        let by_key = || match are_numbers {
            true => {
                number_of(&self.key).partial_cmp(&number_of(&other.key)).unwrap_or(Ordering::Equal)
            }
            false => self.key.cmp(&other.key),
        };
        let by_count = || self.bucket.count.cmp(&other.bucket.count);
        if of.order.is_empty() {
            return by_count().reverse().then_with(by_key);
        }
        for (index, order) in of.order.iter().enumerate() {
            let compared = match order.by {
                OrderBy::Count => by_count(),
                OrderBy::Key => by_key(),
                OrderBy::Figure(_) => match (self.figures[index], other.figures[index]) {
                    // What has no value comes last in either direction.
                    (None, None) => Ordering::Equal,
                    (None, Some(_)) => return Ordering::Greater,
                    (Some(_), None) => return Ordering::Less,
                    (Some(mine), Some(other)) => mine.total_cmp(&other),
                },
            };
            let compared = if order.is_descending { compared.reverse() } else { compared };
            if compared.is_ne() {
                return compared;
            }
        }
        by_key()
    }
}

/// The figure inside a bucket that a path names.
fn figure_at(agg: &Agg, bucket: &Bucket, path: &str) -> Option<f64> {
    let mut map = Map::new();
    for (sub, collected) in agg.subs.iter().zip(&bucket.subs) {
        if let Collected::Figure(sum) = collected
            && path.starts_with(sub.name.as_str())
        {
            map.insert(sub.name.clone(), Value::Object(figure(sub, sum)));
        }
    }
    number_at(&map, path)
}

// ── others ──

fn these(
    agg: &Agg,
    kind: &Kind,
    buckets: Vec<Bucket>,
    finishing: &mut Finishing<'_>,
) -> Result<Value> {
    finishing.count(buckets.len())?;
    let mut each = buckets.into_iter();
    match kind {
        Kind::Filters(filters) => {
            let mut named = Map::new();
            for ((name, _), bucket) in filters.iter().zip(each) {
                let count = bucket.count;
                let mut map = finish(&agg.subs, bucket, finishing)?;
                map.insert("doc_count".to_owned(), count.into());
                let mut one = [map];
                pipeline::run(&agg.pipelines, &mut one)?;
                let [map] = one;
                named.insert(name.clone(), Value::Object(map));
            }
            Ok(json!({ "buckets": named }))
        }
        Kind::Range { ranges, .. } => {
            let mut found = Vec::new();
            for (span, bucket) in ranges.iter().zip(each) {
                let mut map = of_bucket(agg, span.key.as_str().into(), None, bucket, finishing)?;
                for (name, end) in [("from", span.from), ("to", span.to)] {
                    if end.is_finite() {
                        map.insert(name.to_owned(), end.into());
                    }
                }
                found.push(map);
            }
            Ok(json!({ "buckets": list(agg, found)? }))
        }
        _ => {
            let bucket = each.next().unwrap_or_else(|| Bucket::new(&agg.subs));
            let count = bucket.count;
            let mut map = finish(&agg.subs, bucket, finishing)?;
            map.insert("doc_count".to_owned(), count.into());
            Ok(Value::Object(map))
        }
    }
}

fn top_rows(top: &TopMetrics, rows: Vec<TopRow>) -> Value {
    let value = |text: &Option<String>| match text {
        None => Value::Null,
        Some(text) => number_of(text).map_or_else(|| text.as_str().into(), Value::from),
    };
    let row = |row: TopRow| {
        let sort: Value = match top.by {
            Field::Time => date::write(row.time, "", super::Zone::UTC).into(),
            _ => row.by.into(),
        };
        let names = top.fields.iter().map(|(name, _)| name.clone());
        let metrics: Map<String, Value> = names.zip(row.values.iter().map(value)).collect();
        json!({ "sort": [sort], "metrics": metrics })
    };
    json!({ "top": rows.into_iter().map(row).collect::<Vec<_>>() })
}
