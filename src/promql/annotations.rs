//! Warnings and infos: what a query's author should know about its result, in Prometheus' words.
//!
//! The same words are said once, at the place where they were first raised.

use crate::ast::BinaryOp;
use crate::position::Position;
use model::{Day, Signal, format_float_go, quote_go};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

/// What two histograms were combined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Combining {
    Addition,
    Subtraction,
    Aggregation,
}

impl Combining {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// One thing to know. Numbers are kept as bits so that equal notes are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Note {
    InvalidQuantile(u64),
    InvalidRatio { given: u64, used: u64 },
    BadBucketLabel { metric: String, label: String },
    MixedFloatsHistograms(String),
    MixedFloatsHistogramsAggregation,
    MixedClassicNative(String),
    NotCounter(String),
    NotGauge(String),
    MixedExponentialCustom(String),
    IncompatibleBuckets(BinaryOpName),
    ResetCollision(Combining),
    StartTimeOverlap(String),
    SortInRange,
    PossibleNonCounter(String),
    PossibleNonCounterType { metric: String, metric_type: String },
    IncompatibleTypes { left: &'static str, op: BinaryOpName, right: &'static str },
    HistogramIgnoredInAggregation(&'static str),
    HistogramIgnoredInMixedRange(String),
    QuantileNanResult(String),
    QuantileNanSkew(String),
    FractionNans(String),
    BoundsReconciled(Combining),
    ForcedMonotonicity(String),
    Storage(String),
}

pub(crate) type BinaryOpName = &'static str;

impl Note {
    pub fn incompatible_types(left: &'static str, op: BinaryOp, right: &'static str) -> Self {
        Self::IncompatibleTypes { left, op: op.as_str(), right }
    }

    pub fn is_warning(&self) -> bool {
        !matches!(
            self,
            Self::PossibleNonCounter(_)
                | Self::PossibleNonCounterType { .. }
                | Self::IncompatibleTypes { .. }
                | Self::HistogramIgnoredInAggregation(_)
                | Self::HistogramIgnoredInMixedRange(_)
                | Self::QuantileNanResult(_)
                | Self::QuantileNanSkew(_)
                | Self::FractionNans(_)
                | Self::BoundsReconciled(_)
                | Self::ForcedMonotonicity(_)
        )
    }
}

const FORCED: &str = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
const NON_COUNTER: &str =
    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
const NON_COUNTER_TYPE: &str =
    "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\"";
const MIXED: &str = "encountered a mix of histograms and floats for";
const MIXED_BUCKETS: &str = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
const NAN_OBSERVATIONS: &str = "input to histogram_quantile has NaN observations, result is";
const FRACTION_NANS: &str =
    "input to histogram_fraction has NaN observations, which are excluded from all fractions";

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Storage(text) = self {
            return f.write_str(text);
        }
        f.write_str(if self.is_warning() { "PromQL warning: " } else { "PromQL info: " })?;
        let number = |bits: &u64| format_float_go(f64::from_bits(*bits));
        let name = |name: &String| quote_go(name.as_bytes());
        match self {
            Self::InvalidQuantile(q) => {
                write!(f, "quantile value should be between 0 and 1, got {}", number(q))
            }
            Self::InvalidRatio { given, used } => {
                let (given, used) = (number(given), number(used));
                write!(f, "ratio value should be between -1 and 1, got {given}, capping to {used}")
            }
            Self::BadBucketLabel { metric, label } => {
                let label = name(label);
                write!(f, "bucket label \"le\" is missing or has a malformed value of {label}")?;
                write_metric(f, metric)
            }
            Self::MixedFloatsHistograms(metric) => {
                write!(f, "{MIXED} metric name {}", name(metric))
            }
            Self::MixedFloatsHistogramsAggregation => write!(f, "{MIXED} aggregation"),
            Self::MixedClassicNative(metric) => {
                f.write_str("vector contains a mix of classic and native histograms")?;
                write_metric(f, metric)
            }
            Self::NotCounter(metric) => {
                write!(f, "this native histogram metric is not a counter: {}", name(metric))
            }
            Self::NotGauge(metric) => {
                write!(f, "this native histogram metric is not a gauge: {}", name(metric))
            }
            Self::MixedExponentialCustom(metric) => write!(f, "{MIXED_BUCKETS} {}", name(metric)),
            Self::IncompatibleBuckets(op) => {
                write!(f, "incompatible bucket layout encountered for binary operator {op}")
            }
            Self::ResetCollision(what) => {
                write!(f, "conflicting counter resets during histogram {}", what.as_str())
            }
            Self::StartTimeOverlap(metric) => {
                let text = "sample has start time that overlaps with previous sample timestamp";
                write!(f, "{text} for metric {}", name(metric))
            }
            Self::SortInRange => f.write_str(
                "sort is ineffective for range queries since results are always ordered by labels",
            ),
            Self::PossibleNonCounter(metric) => write!(f, "{NON_COUNTER} {}", name(metric)),
            Self::PossibleNonCounterType { metric, metric_type } => {
                write!(f, "{NON_COUNTER_TYPE}, got {}: {}", name(metric_type), name(metric))
            }
            Self::IncompatibleTypes { left, op, right } => {
                let quoted = quote_go(op.as_bytes());
                write!(f, "incompatible sample types encountered for binary operator {quoted}: ")?;
                write!(f, "{left} {op} {right}")
            }
            Self::HistogramIgnoredInAggregation(op) => {
                write!(f, "ignored histogram in {op} aggregation")
            }
            Self::HistogramIgnoredInMixedRange(metric) => {
                f.write_str("ignored histograms in a range containing both floats and histograms")?;
                write!(f, " for metric name {}", name(metric))
            }
            Self::QuantileNanResult(metric) => {
                write!(f, "{NAN_OBSERVATIONS} NaN")?;
                write_metric(f, metric)
            }
            Self::QuantileNanSkew(metric) => {
                write!(f, "{NAN_OBSERVATIONS} skewed higher")?;
                write_metric(f, metric)
            }
            Self::FractionNans(metric) => {
                f.write_str(FRACTION_NANS)?;
                write_metric(f, metric)
            }
            Self::BoundsReconciled(what) => {
                write!(f, "mismatched custom buckets were reconciled during {}", what.as_str())
            }
            Self::ForcedMonotonicity(metric) => {
                f.write_str(FORCED)?;
                write_metric(f, metric)
            }
            Self::Storage(_) => unreachable!("written above"),
        }
    }
}

fn write_metric(f: &mut fmt::Formatter<'_>, metric: &str) -> fmt::Result {
    if metric.is_empty() {
        Ok(())
    } else {
        write!(f, " for metric name {}", quote_go(metric.as_bytes()))
    }
}

/// What all occurrences of one forced monotonicity have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ForcedRange {
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    pub(crate) difference_max: f64,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
    pub(crate) count: u64,
}

impl ForcedRange {
    fn merge(&mut self, other: &Self) {
        self.bucket_min = self.bucket_min.min(other.bucket_min);
        self.bucket_max = self.bucket_max.max(other.bucket_max);
        self.difference_max = self.difference_max.max(other.difference_max);
        self.time_min = self.time_min.min(other.time_min);
        self.time_max = self.time_max.max(other.time_max);
        self.count += other.count;
    }
}

impl fmt::Display for ForcedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = [self.bucket_min, self.bucket_max].map(format_float_go);
        let difference = two_digits(self.difference_max);
        write!(f, ", from buckets {low} to {high}, with a max diff of {difference}, over ")?;
        let (from, to) = (rfc3339(self.time_min), rfc3339(self.time_max));
        write!(f, "{} samples from {from} to {to}", self.count)
    }
}

fn two_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    format_float_go(rounded)
}

fn rfc3339(millis: i64) -> String {
    let seconds = millis / 1000;
    let day = Day::of(seconds * 1000, Signal::Metrics);
    let in_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Collects notes while a query runs. One per thread, merged afterwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    notes: RefCell<HashMap<Note, (Position, usize)>>,
    forced: RefCell<HashMap<Note, ForcedRange>>,
}

impl Notes {
    pub(crate) fn add(&self, note: Note, position: Position) {
        let mut notes = self.notes.borrow_mut();
        let order = notes.len();
        notes.entry(note).or_insert((position, order));
    }

    pub(crate) fn add_forced(&self, metric: &str, position: Position, range: ForcedRange) {
        let note = Note::ForcedMonotonicity(metric.to_owned());
        let mut forced = self.forced.borrow_mut();
        match forced.get_mut(&note) {
            Some(known) => known.merge(&range),
            None => {
                forced.insert(note.clone(), range);
            }
        }
        drop(forced);
        self.add(note, position);
    }

    pub(crate) fn merge(&self, other: Self) {
        let mut others: Vec<_> = other.notes.into_inner().into_iter().collect();
        others.sort_by_key(|(_, (_, order))| *order);
        for (note, (position, _)) in others {
            self.add(note, position);
        }
        let mut forced = self.forced.borrow_mut();
        for (note, range) in other.forced.into_inner() {
            forced.entry(note).and_modify(|known| known.merge(&range)).or_insert(range);
        }
    }

    pub(crate) fn finish(self, query: &str) -> Annotations {
        let mut notes: Vec<_> = self.notes.into_inner().into_iter().collect();
        notes.sort_by_key(|(_, (_, order))| *order);
        let mut annotations = Annotations::default();
        let forced = self.forced.into_inner();
        for (note, (position, _)) in notes {
            let range = forced.get(&note).map(ToString::to_string).unwrap_or_default();
            let place = position.line_and_column(query);
            let text = match note {
                Note::Storage(_) => note.to_string(),
                _ => format!("{note}{range} ({place})"),
            };
            if note.is_warning() {
                annotations.warnings.push(text);
            } else {
                annotations.infos.push(text);
            }
        }
        annotations
    }
}

/// The texts, in the order in which they were first raised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

impl Annotations {
    /// The first few of each kind, and how many more there were.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        Self {
            warnings: shortened(self.warnings, most, "warning"),
            infos: shortened(self.infos, most, "info"),
        }
    }
}

fn shortened(mut texts: Vec<String>, most: usize, kind: &str) -> Vec<String> {
    let more = texts.len().saturating_sub(most);
    if more > 0 {
        texts.truncate(most);
        texts.push(format!("{more} more {kind} annotations omitted"));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_said_once() {
        let notes = Notes::default();
        notes.add(Note::NotGauge("x".to_owned()), Position::new(4, 5));
        notes.add(Note::NotGauge("x".to_owned()), Position::new(9, 10));
        let annotations = notes.finish("rate(x[5m])");
        assert_eq!(
            annotations.warnings,
            ["PromQL warning: this native histogram metric is not a gauge: \"x\" (1:5)"]
        );
    }

    #[test]
    fn too_many_are_counted() {
        let texts = |count: usize| (0..count).map(|index| format!("note {index}")).collect();
        let annotations = Annotations { warnings: texts(13), infos: texts(10) }.at_most(10);
        assert_eq!(annotations.warnings.len(), 11);
        assert_eq!(annotations.warnings[9..], ["note 9", "3 more warning annotations omitted"]);
        assert_eq!(annotations.infos.len(), 10);
    }

    #[test]
    fn forced_monotonicity_tells_its_extent() {
        let notes = Notes::default();
        let range = |bucket: f64, time| ForcedRange {
            bucket_min: bucket,
            bucket_max: bucket,
            difference_max: bucket * 10.0,
            time_min: time,
            time_max: time,
            count: 1,
        };
        notes.add_forced("x", Position::default(), range(0.5, 1_703_462_400_000));
        notes.add_forced("x", Position::default(), range(2.0, 1_703_462_460_000));
        let text = &notes.finish("q").infos[0];
        let end = "for metric name \"x\", from buckets 0.5 to 2, with a max diff of 20, over 2 samples from 2023-12-25T00:00:00Z to 2023-12-25T00:01:00Z (1:1)";
        assert!(text.ends_with(end), "{text}");
    }
}
