//! What counts as expected, and how a difference is shown.

use super::read::{AlertTest, ExpressionTest};
use crate::Sample;
use crate::view::{AlertState, GroupView};
use model::{FloatHistogram, Labels, ResetHint, SampleValue, format_duration, format_float_go};
use std::fmt::Write as _;

pub(super) fn check_alerts(
    expected: &AlertTest,
    groups: impl Iterator<Item = GroupView>,
) -> Result<(), String> {
    let groups = groups.filter(|one| expected.group.is_empty() || one.key.name == expected.group);
    let rules = groups.flat_map(|group| group.rules);
    let rules = rules.filter(|rule| rule.rule.name() == expected.name);
    let alerts = rules.filter_map(|rule| rule.alerting).flat_map(|one| one.alerts);
    let firing = alerts.filter(|alert| alert.state == AlertState::Firing);
    let mut found: Vec<_> = firing.map(|alert| (alert.labels, alert.annotations)).collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    if found == expected.expected {
        return Ok(());
    }
    let (name, time) = (&expected.name, format_duration(expected.time_ms));
    let (wanted, found) = (shown_alerts(&expected.expected), shown_alerts(&found));
    Err(format!("alertname: {name}, time: {time},\n    exp:{wanted}\n    got:{found}"))
}

fn shown_alerts(alerts: &[(Labels, Labels)]) -> String {
    if alerts.is_empty() {
        return " []".to_owned();
    }
    let mut out = String::new();
    for (index, (labels, annotations)) in alerts.iter().enumerate() {
        let _ = write!(out, "\n        {index}: Labels:{labels} Annotations:{annotations}");
    }
    out
}

pub(super) fn check_expression(
    expected: &ExpressionTest,
    found: Result<Vec<Sample>, String>,
) -> Result<(), String> {
    let query = model::quote_go(expected.query.as_bytes());
    let place = format!("expr: {query}, time: {}", format_duration(expected.time_ms));
    let mut found = found.map_err(|error| format!("{place}, err: {error}"))?;
    let mut wanted = expected.expected.clone();
    for samples in [&mut found, &mut wanted] {
        samples.sort_by(|left, right| left.labels.cmp(&right.labels));
    }
    let equal = |(left, right): (&Sample, &Sample)| {
        left.labels == right.labels && is_equal(&left.value, &right.value, expected.is_fuzzy)
    };
    if found.len() == wanted.len() && found.iter().zip(&wanted).all(equal) {
        return Ok(());
    }
    let [wanted, found] = [wanted, found].map(|samples| shown(&samples));
    Err(format!("{place},\n    exp: {wanted}\n    got: {found}"))
}

fn is_equal(left: &SampleValue, right: &SampleValue, is_fuzzy: bool) -> bool {
    match (left, right) {
        (SampleValue::Float(left), SampleValue::Float(right)) if is_fuzzy => {
            let distance = (left - right).abs();
            left == right
                || (left.is_nan() && right.is_nan())
                || distance <= 1e-15 * left.abs().max(right.abs())
        }
        (SampleValue::Float(left), SampleValue::Float(right)) => {
            left == right || (left.is_nan() && right.is_nan())
        }
        (SampleValue::Histogram(left), SampleValue::Histogram(right)) => {
            plain(left) == plain(right)
        }
        _ => false,
    }
}

/// Without what is only known of neighbours.
fn plain(histogram: &FloatHistogram) -> FloatHistogram {
    FloatHistogram { reset_hint: ResetHint::Unknown, ..histogram.clone() }
}

fn shown(samples: &[Sample]) -> String {
    let one = |sample: &Sample| match &sample.value {
        SampleValue::Float(value) => format!("{} {}", sample.labels, format_float_go(*value)),
        SampleValue::Histogram(histogram) => format!("{} {histogram}", sample.labels),
    };
    match samples {
        [] => "nil".to_owned(),
        samples => samples.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}
