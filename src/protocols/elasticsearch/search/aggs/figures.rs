//! Figures of values: counts, sums, percentiles, distinct values; each can be joined with another.

use super::FigureKind;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};

/// What was added to a figure.
#[derive(Clone, Debug)]
pub(super) enum Sum {
    Stats(Stats),
    /// Hashes of values.
    Distinct(HashSet<u64>),
    Sketch(Sketch),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stats {
    count: u64,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Stats {
    const NONE: Self =
        Self { count: 0, sum: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// Percentiles: the values themselves as long as they are few, then counts of values within 1 % of each
/// other.
#[derive(Clone, Debug)]
pub(super) enum Sketch {
    Exact(Vec<f64>),
    Counted { counts: BTreeMap<i64, u64>, count: u64 },
}

/// So many values are kept as they are.
const EXACT_MAX: usize = 4_096;
/// The ratio of neighbouring buckets: half of its distance from 1 is the error.
const RATIO: f64 = 1.01;
/// Values nearer to zero than this are zero.
const TINY: f64 = 1e-9;

impl Sketch {
    /// Answers how many bytes more it takes.
    fn add(&mut self, value: f64) -> usize {
        match self {
            Self::Exact(values) if values.len() < EXACT_MAX => {
                values.push(value);
                size_of::<f64>()
            }
            Self::Exact(_) => {
                self.count();
                self.add(value)
            }
            Self::Counted { counts, count } => {
                *count += 1;
                let before = counts.len();
                *counts.entry(bucket_of(value)).or_default() += 1;
                (counts.len() - before) * BUCKET_BYTES
            }
        }
    }

    /// Turns values into counts.
    fn count(&mut self) {
        if let Self::Exact(values) = self {
            let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
            for value in values.iter() {
                *counts.entry(bucket_of(*value)).or_default() += 1;
            }
            *self = Self::Counted { counts, count: values.len() as u64 };
        }
    }

    fn merge(&mut self, mut other: Self) {
        if let (Self::Exact(mine), Self::Exact(values)) = (&mut *self, &other)
            && mine.len() + values.len() <= EXACT_MAX
        {
            mine.extend(values);
            return;
        }
        self.count();
        other.count();
        if let (Self::Counted { counts, count }, Self::Counted { counts: more, count: of_more }) =
            (self, other)
        {
            *count += of_more;
            more.into_iter().for_each(|(bucket, more)| *counts.entry(bucket).or_default() += more);
        }
    }

    /// The value below which so many percent lie, between its neighbours where they are known.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let share = (percent / 100.0).clamp(0.0, 1.0);
        match self {
            Self::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let last = sorted.len().checked_sub(1)?;
                let rank = share * last as f64;
                let below = sorted.get(rank.floor() as usize)?;
                let above = sorted.get(rank.ceil() as usize)?;
                Some(below + (above - below) * rank.fract())
            }
            Self::Counted { counts, count } => {
                let rank = (share * (*count as f64 - 1.0)).round() as u64;
                let mut before = 0;
                for (bucket, lines) in counts {
                    before += lines;
                    if before > rank {
                        return Some(value_of(*bucket));
                    }
                }
                None
            }
        }
    }
}

/// What a count of a sketch, and a hash of a distinct value, take.
const BUCKET_BYTES: usize = 32;

/// Buckets of values, in their order: 0 is zero, the sign that of the value.
fn bucket_of(value: f64) -> i64 {
    if value.abs() < TINY {
        return 0;
    }
    let power = ((value.abs() / TINY).ln() / RATIO.ln()).floor() as i64 + 1;
    if value < 0.0 { -power } else { power }
}

/// The middle of a bucket.
fn value_of(bucket: i64) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let value = TINY * RATIO.powf(bucket.unsigned_abs() as f64 - 0.5);
    if bucket < 0 { -value } else { value }
}

impl Sum {
    pub(super) fn new(kind: &FigureKind) -> Self {
        match kind {
            FigureKind::Cardinality => Self::Distinct(HashSet::new()),
            FigureKind::Percentiles(_) => Self::Sketch(Sketch::Exact(Vec::new())),
            _ => Self::Stats(Stats::NONE),
        }
    }

    /// Adds a value that may be a number; answers how many bytes more it takes.
    pub(super) fn add(&mut self, kind: &FigureKind, text: &str, number: Option<f64>) -> usize {
        match self {
            Self::Distinct(seen) => {
                usize::from(seen.insert(codec::xxh3_64(text.as_bytes()))) * BUCKET_BYTES
            }
            Self::Stats(stats) => {
                match number {
                    Some(number) => stats.add(number),
                    // Values that are no numbers can be counted all the same.
                    None if *kind == FigureKind::ValueCount => stats.count += 1,
                    None => {}
                }
                0
            }
            Self::Sketch(sketch) => number.map_or(0, |number| sketch.add(number)),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Stats(mine), Self::Stats(other)) => mine.merge(&other),
            (Self::Distinct(mine), Self::Distinct(other)) => mine.extend(other),
            (Self::Sketch(mine), Self::Sketch(other)) => mine.merge(other),
            _ => debug_assert!(false, "the figures of threads are of one kind"),
        }
    }

    /// As Elasticsearch writes it; `as_text` writes dates beside numbers.
    pub(super) fn value(
        &self,
        kind: &FigureKind,
        as_text: Option<&dyn Fn(f64) -> String>,
    ) -> Map<String, Value> {
        match (self, kind) {
            (Self::Distinct(seen), _) => object(json!({ "value": seen.len() })),
            (Self::Sketch(sketch), FigureKind::Percentiles(percents)) => {
                let mut values = Map::new();
                for percent in percents {
                    values.insert(format!("{percent:?}"), number(sketch.percentile(*percent)));
                }
                object(json!({ "values": values }))
            }
            (Self::Stats(stats), kind) => stats_value(stats, kind, as_text),
            (Self::Sketch(_), _) => Map::new(),
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn number(value: Option<f64>) -> Value {
    value.filter(|value| value.is_finite()).map_or(Value::Null, Value::from)
}

fn stats_value(
    stats: &Stats,
    kind: &FigureKind,
    as_text: Option<&dyn Fn(f64) -> String>,
) -> Map<String, Value> {
    let some = |value: f64| (stats.count > 0).then_some(value);
    let mean = some(stats.sum / stats.count as f64);
    let value = match kind {
        FigureKind::Avg => mean,
        FigureKind::Min => some(stats.min),
        FigureKind::Max => some(stats.max),
        FigureKind::Sum => Some(stats.sum),
        FigureKind::ValueCount => return object(json!({ "value": stats.count })),
        FigureKind::ExtendedStats { sigma } => return extended(stats, *sigma),
        _ => return basic(stats),
    };
    let mut map = object(json!({ "value": number(value) }));
    if let (Some(as_text), Some(value)) = (as_text, value) {
        map.insert("value_as_string".to_owned(), as_text(value).into());
    }
    map
}

fn basic(stats: &Stats) -> Map<String, Value> {
    let some = |value: f64| number((stats.count > 0).then_some(value));
    object(json!({
        "count": stats.count, "min": some(stats.min), "max": some(stats.max),
        "avg": some(stats.sum / stats.count as f64), "sum": number(Some(stats.sum)),
    }))
}

fn extended(stats: &Stats, sigma: f64) -> Map<String, Value> {
    let count = stats.count as f64;
    let mean = stats.sum / count;
    let spread = (stats.squares - mean * stats.sum).max(0.0);
    let (population, sampling) = (spread / count, spread / (count - 1.0));
    let deviation = population.sqrt();
    let mut map = basic(stats);
    map.extend(object(json!({
        "sum_of_squares": number((stats.count > 0).then_some(stats.squares)),
        "variance": number(Some(population)),
        "variance_population": number(Some(population)),
        "variance_sampling": number(Some(sampling)),
        "std_deviation": number(Some(deviation)),
        "std_deviation_population": number(Some(deviation)),
        "std_deviation_sampling": number(Some(sampling.sqrt())),
        "std_deviation_bounds": {
            "upper": number(Some(mean + sigma * deviation)),
            "lower": number(Some(mean - sigma * deviation)),
            "upper_population": number(Some(mean + sigma * deviation)),
            "lower_population": number(Some(mean - sigma * deviation)),
            "upper_sampling": number(Some(mean + sigma * sampling.sqrt())),
            "lower_sampling": number(Some(mean - sigma * sampling.sqrt())),
        },
    })));
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_near() {
        let percentile = |count: u32, percent: f64| {
            let mut sketch = Sketch::Exact(Vec::new());
            for value in 1..=count {
                sketch.add(f64::from(value));
            }
            sketch.percentile(percent).unwrap()
        };
        assert!((percentile(100, 50.0) - 50.5).abs() < 1e-9);
        assert!((percentile(100_000, 95.0) / 95_000.0 - 1.0).abs() < 0.01);
        assert_eq!(Sketch::Exact(Vec::new()).percentile(50.0), None);
    }

    proptest! {
        #[test]
        fn joined_figures_are_those_of_all(left in prop::collection::vec(-1e6..1e6, 0..50), right in prop::collection::vec(-1e6..1e6, 0..50)) {
            let sum = |values: &[f64]| {
                let mut sum = Sum::new(&FigureKind::Percentiles(vec![50.0]));
                for value in values {
                    sum.add(&FigureKind::Avg, "", Some(*value));
                }
                sum
            };
            let mut joined = sum(&left);
            joined.merge(sum(&right));
            let kind = FigureKind::Percentiles(vec![10.0, 99.0]);
            prop_assert_eq!(joined.value(&kind, None), sum(&[left, right].concat()).value(&kind, None));
        }

        #[test]
        fn buckets_keep_the_order_of_values(one in -1e9..1e9, other in -1e9..1e9) {
            if one < other {
                prop_assert!(bucket_of(one) <= bucket_of(other));
            }
            prop_assert!((value_of(bucket_of(one)) - one).abs() <= 0.01 * one.abs() + TINY);
        }
    }
}
