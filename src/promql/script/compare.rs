//! What counts as the expected result.

use super::command::{Evaluation, Expectation, When};
use super::series::SequenceValue;
use crate::engine::{QueryValue, SampleOf, SampledSeries, VectorSample};
use crate::error::QueryError;
use model::{FloatHistogram, Labels, is_stale};
use query::{Annotations, Series, Slot};
use std::sync::Arc;

/// Values may differ by this share of their sum.
const TOLERANCE: f64 = 1e-6;

pub(super) fn check_failure(evaluation: &Evaluation, error: &QueryError) -> Result<(), String> {
    let text = error.to_string();
    match &evaluation.fail {
        Some(expected) if !expected.fits(&text) => {
            Err(format!("expected error {}, but got: {text}", describe(expected)))
        }
        _ => Ok(()),
    }
}

fn describe(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Anything => "of any kind".to_owned(),
        Expectation::Message(message) => format!("{message:?}"),
        Expectation::Pattern(pattern) => format!("matching {:?}", pattern.as_str()),
    }
}

pub(super) fn check_annotations(
    evaluation: &Evaluation,
    found: &Annotations,
) -> Result<(), String> {
    check_texts("warn", &evaluation.warn, evaluation.no_warn, &found.warnings)?;
    check_texts("info", &evaluation.info, evaluation.no_info, &found.infos)
}

fn check_texts(
    kind: &str,
    expected: &[Expectation],
    none: bool,
    found: &[String],
) -> Result<(), String> {
    if none && !found.is_empty() {
        return Err(format!("unexpected {kind} annotations: {found:?}"));
    }
    if let Some(missing) = expected.iter().find(|one| !found.iter().any(|text| one.fits(text))) {
        return Err(format!("expected {kind} annotation {}, found: {found:?}", describe(missing)));
    }
    if expected.is_empty() {
        return Ok(());
    }
    match found.iter().find(|text| !expected.iter().any(|one| one.fits(text))) {
        Some(text) => Err(format!("unexpected {kind} annotation {text:?}")),
        None => Ok(()),
    }
}

pub(super) fn check_result(evaluation: &Evaluation, value: &QueryValue) -> Result<(), String> {
    match value {
        QueryValue::Scalar { value, .. } => match evaluation.scalar {
            Some(expected) if nearly_equal(expected, *value) => Ok(()),
            Some(expected) => Err(format!("expected scalar {expected} but got {value}")),
            None => Err(format!("expected vector or matrix result, but got scalar {value}")),
        },
        QueryValue::String { value, .. } => match &evaluation.string {
            Some(expected) if expected == value => Ok(()),
            expected => Err(format!("expected string {expected:?} but got {value:?}")),
        },
        _ if evaluation.scalar.is_some() => {
            Err("expected scalar result, but got a vector or matrix".to_owned())
        }
        QueryValue::Vector(samples) => check_vector(evaluation, samples),
        QueryValue::Matrix { times_ms, series } => {
            check_sorted(series)?;
            let sampled: Vec<SampledSeries> =
                series.iter().map(|one| sampled(one, times_ms)).collect();
            check_matrix(evaluation, &sampled)
        }
        QueryValue::Samples(series) => check_matrix(evaluation, series),
    }
}

fn sampled(series: &Series, times_ms: &[i64]) -> SampledSeries {
    let samples = series.column.iter().map(|(step, slot)| (times_ms[step], sample_of(slot)));
    SampledSeries { labels: series.labels.clone(), samples: samples.collect() }
}

fn sample_of(slot: Slot<'_>) -> SampleOf {
    match slot {
        Slot::Float(value) => SampleOf::Float(value),
        Slot::Histogram(histogram) => SampleOf::Histogram(histogram.clone()),
    }
}

pub(super) fn check_sorted(series: &[Series]) -> Result<(), String> {
    match series.windows(2).find(|pair| pair[0].labels > pair[1].labels) {
        Some(pair) => Err(format!("{} sorts after {}", pair[0].labels, pair[1].labels)),
        None => Ok(()),
    }
}

/// What a range result has at one of its steps, in the form of an instant result.
pub(super) fn middle_of_range(
    evaluation: &Evaluation,
    times_ms: &[i64],
    series: &[Series],
    time_ms: i64,
) -> QueryValue {
    let step = times_ms.iter().position(|time| *time == time_ms);
    let samples: Vec<VectorSample> = series
        .iter()
        .filter_map(|one| {
            let value = sample_of(one.column.get(step?)?);
            Some(VectorSample { labels: one.labels.clone(), time_ms, value })
        })
        .collect();
    match (evaluation.scalar, samples.first().map(|sample| &sample.value)) {
        (Some(_), Some(SampleOf::Float(value))) => QueryValue::Scalar { time_ms, value: *value },
        _ => QueryValue::Vector(samples),
    }
}

fn expected_of<'a>(
    evaluation: &'a Evaluation,
    labels: &Labels,
) -> Result<(usize, &'a [SequenceValue]), String> {
    let position = evaluation.series.iter().position(|(expected, _)| expected == labels);
    match position {
        Some(position) => Ok((position, &evaluation.series[position].1)),
        None => Err(format!("unexpected metric {labels} in result")),
    }
}

fn check_vector(evaluation: &Evaluation, samples: &[VectorSample]) -> Result<(), String> {
    for (position, sample) in samples.iter().enumerate() {
        let labels = &sample.labels;
        let (expected_position, values) = expected_of(evaluation, labels)
            .map_err(|message| format!("{message}, has value {}", text_of(&sample.value)))?;
        if evaluation.ordered && expected_position != position {
            return Err(format!(
                "expected metric {labels} at position {} but was at {}",
                expected_position + 1,
                position + 1
            ));
        }
        let Some(expected) = values.first() else {
            return Err(format!("no value expected for {labels}"));
        };
        if !same_value(expected, &sample.value) {
            let (expected, got) = (expected_text(expected), text_of(&sample.value));
            return Err(format!("expected {expected} for {labels} but got {got}"));
        }
    }
    all_found(evaluation, samples.iter().map(|sample| &sample.labels))
}

fn all_found<'a>(
    evaluation: &Evaluation,
    found: impl Iterator<Item = &'a Labels>,
) -> Result<(), String> {
    let found: Vec<&Labels> = found.collect();
    match evaluation.series.iter().find(|(labels, _)| !found.contains(&labels)) {
        Some((labels, _)) => Err(format!("expected metric {labels} not found")),
        None => Ok(()),
    }
}

fn check_matrix(evaluation: &Evaluation, series: &[SampledSeries]) -> Result<(), String> {
    if evaluation.ordered {
        return Err("expected ordered result, but query returned a matrix".to_owned());
    }
    let When::Range { start_ms, end_ms, step_ms } = evaluation.expected_steps else {
        return Err("expected an instant result, but got a matrix".to_owned());
    };
    for one in series {
        let (_, values) = expected_of(evaluation, &one.labels)
            .map_err(|message| format!("{message}, has {}", samples_text(one)))?;
        let times = (0..).map(|index| start_ms + step_ms * index);
        let expected: Vec<(i64, &SequenceValue)> = times
            .zip(values)
            .filter(|(_, value)| !matches!(value, SequenceValue::Omitted))
            .collect();
        if expected.iter().any(|(time, _)| *time > end_ms) {
            return Err(format!("more values expected for {} than there are steps", one.labels));
        }
        let fits = expected.len() == one.samples.len()
            && expected.iter().zip(&one.samples).all(|((time, expected), (got_time, got))| {
                time == got_time && same_value(expected, got)
            });
        if !fits {
            let expected: Vec<String> = expected
                .iter()
                .map(|(time, value)| format!("{} @{time}", expected_text(value)))
                .collect();
            let (expected, got) = (expected.join(" "), samples_text(one));
            return Err(format!("expected for {}: {expected}, but got: {got}", one.labels));
        }
    }
    all_found(evaluation, series.iter().map(|one| &one.labels))
}

fn samples_text(series: &SampledSeries) -> String {
    let texts = series.samples.iter().map(|(time, value)| format!("{} @{time}", text_of(value)));
    texts.collect::<Vec<_>>().join(" ")
}

fn text_of(value: &SampleOf) -> String {
    match value {
        SampleOf::Float(value) => format!("{value}"),
        SampleOf::Histogram(histogram) => histogram_text(histogram),
    }
}

fn expected_text(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "_".to_owned(),
        SequenceValue::Float(value) => format!("{value}"),
        SequenceValue::Histogram(histogram, _) => histogram_text(histogram),
    }
}

fn histogram_text(histogram: &FloatHistogram) -> String {
    let FloatHistogram { schema, reset_hint, custom_bounds, .. } = histogram;
    format!("{histogram} schema {schema} hint {reset_hint:?} bounds {custom_bounds:?}")
}

fn same_value(expected: &SequenceValue, got: &SampleOf) -> bool {
    match (expected, got) {
        (SequenceValue::Float(expected), SampleOf::Float(got)) => nearly_equal(*expected, *got),
        (SequenceValue::Histogram(expected, hinted), SampleOf::Histogram(got)) => {
            same_histogram(expected, got, *hinted)
        }
        _ => false,
    }
}

fn same_histogram(
    expected: &Arc<FloatHistogram>,
    got: &Arc<FloatHistogram>,
    hint_counts: bool,
) -> bool {
    let (mut left, mut right) = ((**expected).clone(), (**got).clone());
    left.compact();
    right.compact();
    let counts = |histogram: &FloatHistogram| {
        let mut counts = histogram.positive.counts.clone();
        counts.extend_from_slice(&histogram.negative.counts);
        counts.extend([histogram.count, histogram.sum, histogram.zero_count]);
        counts
    };
    left.schema == right.schema
        && left.zero_threshold == right.zero_threshold
        && left.custom_bounds == right.custom_bounds
        && left.positive.spans == right.positive.spans
        && left.negative.spans == right.negative.spans
        && counts(&left).iter().zip(&counts(&right)).all(|(l, r)| nearly_equal(*l, *r))
        && (!hint_counts || left.reset_hint == right.reset_hint)
}

fn nearly_equal(left: f64, right: f64) -> bool {
    if is_stale(left) || is_stale(right) {
        return is_stale(left) && is_stale(right);
    }
    if left == right || (left.is_nan() && right.is_nan()) {
        return true;
    }
    let (sum, difference) = (left.abs() + right.abs(), (left - right).abs());
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
