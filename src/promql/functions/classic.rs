//! Classic histograms: one series per bucket, told apart by the label `le`.

use crate::annotations::{ForcedRange, Note, Notes};
use crate::error::QueryError;
use model::{FloatHistogram, LabelChoice, Labels};
use query::{LabelGroups, Portions, Position, Series, Slot};
use std::cmp::Ordering;
use std::sync::Arc;

pub(crate) const BUCKET_LABEL: &str = "le";

/// Differences this small between buckets are rounding, not data.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClassicBucket {
    pub(crate) upper: f64,
    /// Of everything up to the bound.
    pub(crate) count: f64,
}

/// The series of a vector, sorted into histograms once for all steps.
pub(crate) struct HistogramGroups {
    /// Labels without `le`, and the series of the buckets with their bounds.
    pub(crate) classic: Vec<(Labels, Vec<(usize, f64)>)>,
    /// Series that can be native histograms: those without a good `le` count here too.
    pub(crate) native: Vec<NativeSeries>,
    malformed: Vec<usize>,
}

pub(crate) struct NativeSeries {
    pub(crate) index: usize,
    /// The classic histogram of the same labels.
    classic: Option<usize>,
}

impl HistogramGroups {
    pub(crate) fn new(series: &[Series], portions: &mut Portions<'_>) -> Result<Self, QueryError> {
        let mut groups = LabelGroups::new(LabelChoice::all_but([BUCKET_LABEL]));
        let mut classic: Vec<(Labels, Vec<(usize, f64)>)> = Vec::new();
        let mut malformed = Vec::new();
        for (index, one) in series.iter().enumerate() {
            let Some(bound) = parse_bound(one.labels.value(BUCKET_LABEL)) else {
                malformed.push(index);
                continue;
            };
            let group = groups.number(&one.labels, portions)?;
            if group == classic.len() {
                let length = one.labels.as_bytes().len();
                let labels = portions.labels(length, || one.labels.chosen(groups.choice()))?;
                classic.push((labels, Vec::new()));
            }
            classic[group].1.push((index, bound));
        }
        let native = series.iter().enumerate().filter(|(_, one)| one.column.has_histograms());
        let native = native.map(|(index, one)| {
            let is_bucket = one.labels.get(BUCKET_LABEL).is_some();
            let classic = if is_bucket { None } else { groups.find(&one.labels) };
            NativeSeries { index, classic }
        });
        let native = native.collect();
        Ok(Self { classic, native, malformed })
    }

    /// The native histograms of a step. Where buckets of the same labels stand beside one, neither
    /// can be trusted: both are left out, with a note.
    pub(crate) fn native_at<'a>(
        &'a self,
        series: &'a [Series],
        step: usize,
        named: bool,
        notes: &Notes,
        position: Position,
    ) -> (Vec<(usize, &'a Arc<FloatHistogram>)>, Vec<usize>) {
        let mut found = Vec::new();
        let mut conflicts = Vec::new();
        for native in &self.native {
            let Some(Slot::Histogram(histogram)) = series[native.index].column.get(step) else {
                continue;
            };
            let group =
                native.classic.filter(|group| !self.buckets(*group, series, step).is_empty());
            match group {
                Some(group) => {
                    conflicts.push(group);
                    let metric = metric_of(&series[native.index].labels, named);
                    notes.add(Note::MixedClassicNative(metric), position);
                }
                None => found.push((native.index, histogram)),
            }
        }
        (found, conflicts)
    }

    pub(crate) fn buckets(
        &self,
        group: usize,
        series: &[Series],
        step: usize,
    ) -> Vec<ClassicBucket> {
        let members = self.classic[group].1.iter();
        let bucket = |(index, upper): &(usize, f64)| {
            let count = series[*index].column.float(step)?;
            Some(ClassicBucket { upper: *upper, count })
        };
        members.filter_map(bucket).collect()
    }

    /// Notes the floats of a step that no bucket bound belongs to.
    pub(crate) fn note_malformed(
        &self,
        series: &[Series],
        step: usize,
        named: bool,
        notes: &Notes,
        position: Position,
    ) {
        for index in &self.malformed {
            let one = &series[*index];
            if one.column.float(step).is_some() {
                let label = one.labels.value(BUCKET_LABEL).to_owned();
                let metric = metric_of(&one.labels, named);
                notes.add(Note::BadBucketLabel { metric, label }, position);
            }
        }
    }
}

/// The name is only known where names are dropped at the end.
pub(crate) fn metric_of(labels: &Labels, named: bool) -> String {
    if named { labels.metric_name().to_owned() } else { String::new() }
}

fn parse_bound(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    match unsigned.as_str() {
        "inf" | "infinity" => {
            Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY })
        }
        "nan" => Some(f64::NAN),
        _ if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

/// Sorts, joins buckets of one bound, and gives up where the last is not infinite.
fn prepared(mut buckets: Vec<ClassicBucket>) -> Option<Vec<ClassicBucket>> {
    buckets.sort_by(|left, right| left.upper.total_cmp(&right.upper));
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    buckets.last().is_some_and(|last| last.upper == f64::INFINITY).then_some(buckets)
}

/// The estimate, and what had to be changed to make counts rise with the bounds.
pub(crate) fn bucket_quantile(
    q: f64,
    buckets: Vec<ClassicBucket>,
    time_ms: i64,
) -> (f64, Option<ForcedRange>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let Some(mut buckets) = prepared(buckets) else {
        return (f64::NAN, None);
    };
    let forced = make_monotonic(&mut buckets, time_ms);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, None);
    }
    let rank = q * observations;
    let hit =
        buckets[..last].partition_point(|b| b.count.partial_cmp(&rank).is_none_or(Ordering::is_lt));
    let value = if hit == last {
        buckets[last - 1].upper
    } else if hit == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let (start, below) = match hit.checked_sub(1) {
            Some(before) => (buckets[before].upper, buckets[before].count),
            None => (0.0, 0.0),
        };
        let inside = (rank - below) / (buckets[hit].count - below);
        start + (buckets[hit].upper - start) * inside
    };
    (value, forced)
}

fn make_monotonic(buckets: &mut [ClassicBucket], time_ms: i64) -> Option<ForcedRange> {
    let mut forced: Option<ForcedRange> = None;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == previous {
            continue;
        }
        if nearly_equal(previous, count) {
            bucket.count = previous;
        } else if count < previous {
            bucket.count = previous;
            let range = forced.get_or_insert(ForcedRange {
                bucket_min: bucket.upper,
                bucket_max: bucket.upper,
                difference_max: 0.0,
                time_min: time_ms,
                time_max: time_ms,
                count: 1,
            });
            range.bucket_min = range.bucket_min.min(bucket.upper);
            range.bucket_max = range.bucket_max.max(bucket.upper);
            range.difference_max = range.difference_max.max(previous - count);
        } else {
            previous = count;
        }
    }
    forced
}

fn nearly_equal(left: f64, right: f64) -> bool {
    let sum = left.abs() + right.abs();
    let difference = (left - right).abs();
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

/// The share of observations between two values.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: Vec<ClassicBucket>) -> f64 {
    let Some(buckets) = prepared(buckets) else {
        return f64::NAN;
    };
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value| rank_of(&buckets, value).unwrap_or(total).min(total);
    (rank(upper) - rank(lower)) / total
}

fn rank_of(buckets: &[ClassicBucket], value: f64) -> Option<f64> {
    // Where the first bound is positive, all values are taken to be positive.
    let mut low = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for bucket in buckets {
        if low >= value {
            return Some(rank);
        }
        if bucket.upper > value {
            if low == f64::NEG_INFINITY {
                return Some(bucket.count);
            }
            return Some(rank + (bucket.count - rank) * (value - low) / (bucket.upper - low));
        }
        rank = bucket.count;
        low = bucket.upper;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<ClassicBucket> {
        pairs.iter().map(|(upper, count)| ClassicBucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_lie_inside_their_bucket() {
        let some = buckets(&[(1.0, 1.0), (2.0, 3.0), (f64::INFINITY, 4.0)]);
        assert_eq!(bucket_quantile(0.5, some.clone(), 0).0, 1.5);
        assert_eq!(bucket_quantile(1.0, some.clone(), 0).0, 2.0);
        assert!(bucket_quantile(0.5, buckets(&[(1.0, 1.0)]), 0).0.is_nan());
        assert_eq!(bucket_fraction(0.0, 2.0, some), 0.75);
    }

    #[test]
    fn counts_are_made_to_rise() {
        let falling = buckets(&[(1.0, 3.0), (2.0, 2.0), (f64::INFINITY, 4.0)]);
        let (_, forced) = bucket_quantile(0.5, falling, 7);
        let forced = forced.unwrap();
        assert_eq!((forced.bucket_min, forced.bucket_max, forced.difference_max), (2.0, 2.0, 1.0));
    }
}
