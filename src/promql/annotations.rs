//! Warnings and infos: what a query's author should know about its result, in Prometheus' words.
//!
//! Those of operators and aggregations are [`OperatorNote`]s; the words before each are PromQL's.

use model::{Day, Signal, format_float_go, quote_go};
use query::{Extent, Note as _, OperatorNote};
use std::fmt;

/// One thing to know. Numbers are kept as bits so that equal notes are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Note {
    Operator(OperatorNote),
    BadBucketLabel { metric: String, label: String },
    MixedFloatsHistograms(String),
    MixedClassicNative(String),
    NotCounter(String),
    NotGauge(String),
    StartTimeOverlap(String),
    SortInRange,
    PossibleNonCounter(String),
    PossibleNonCounterType { metric: String, metric_type: String },
    HistogramIgnoredInMixedRange(String),
    QuantileNanResult(String),
    QuantileNanSkew(String),
    FractionNans(String),
    ForcedMonotonicity(String),
    Storage(String),
}

impl From<OperatorNote> for Note {
    fn from(note: OperatorNote) -> Self {
        Self::Operator(note)
    }
}

impl query::Note for Note {
    type Extent = ForcedRange;

    fn is_warning(&self) -> bool {
        if let Self::Operator(note) = self {
            return note.is_warning();
        }
        !matches!(
            self,
            Self::PossibleNonCounter(_)
                | Self::PossibleNonCounterType { .. }
                | Self::HistogramIgnoredInMixedRange(_)
                | Self::QuantileNanResult(_)
                | Self::QuantileNanSkew(_)
                | Self::FractionNans(_)
                | Self::ForcedMonotonicity(_)
        )
    }

    fn has_place(&self) -> bool {
        !matches!(self, Self::Storage(_))
    }
}

/// Notes of PromQL, as they are collected while a query runs.
pub(crate) type Notes = query::Notes<Note>;

const FORCED: &str = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
const NON_COUNTER: &str =
    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
const NON_COUNTER_TYPE: &str =
    "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\"";
const MIXED: &str = "encountered a mix of histograms and floats for";
const NAN_OBSERVATIONS: &str = "input to histogram_quantile has NaN observations, result is";
const FRACTION_NANS: &str =
    "input to histogram_fraction has NaN observations, which are excluded from all fractions";

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Storage(text) = self {
            return f.write_str(text);
        }
        f.write_str(if self.is_warning() { "PromQL warning: " } else { "PromQL info: " })?;
        let name = |name: &String| quote_go(name.as_bytes());
        match self {
            Self::Operator(note) => write!(f, "{note}"),
            Self::BadBucketLabel { metric, label } => {
                let label = name(label);
                write!(f, "bucket label \"le\" is missing or has a malformed value of {label}")?;
                write_metric(f, metric)
            }
            Self::MixedFloatsHistograms(metric) => {
                write!(f, "{MIXED} metric name {}", name(metric))
            }
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
pub struct ForcedRange {
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    pub(crate) difference_max: f64,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
    pub(crate) count: u64,
}

impl Extent for ForcedRange {
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

#[cfg(test)]
mod tests {
    use super::*;
    use query::Position;

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
    fn forced_monotonicity_tells_its_extent() {
        let notes = Notes::default();
        let forced = || Note::ForcedMonotonicity("x".to_owned());
        let range = |bucket: f64, time| ForcedRange {
            bucket_min: bucket,
            bucket_max: bucket,
            difference_max: bucket * 10.0,
            time_min: time,
            time_max: time,
            count: 1,
        };
        notes.add_with_extent(forced(), Position::default(), range(0.5, 1_703_462_400_000));
        notes.add_with_extent(forced(), Position::default(), range(2.0, 1_703_462_460_000));
        let text = &notes.finish("q").infos[0];
        let end = "for metric name \"x\", from buckets 0.5 to 2, with a max diff of 20, over 2 samples from 2023-12-25T00:00:00Z to 2023-12-25T00:01:00Z (1:1)";
        assert!(text.ends_with(end), "{text}");
    }
}
