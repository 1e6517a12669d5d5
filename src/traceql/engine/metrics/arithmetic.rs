//! What is done with series: operators between them or with a number, `topk`, comparisons.

use super::super::Result;
use super::super::cell::ordering_fits;
use super::{NAME, Series};
use crate::ast::FieldOp;
use crate::literal::Literal;
use crate::value::FieldValue;
use query::Control;
use std::collections::HashMap;

/// What has no finite value is left out: x / 0, and where one side is missing.
fn combined(op: FieldOp, left: f64, right: f64) -> f64 {
    let value = match op {
        FieldOp::Add => left + right,
        FieldOp::Sub => left - right,
        FieldOp::Mul => left * right,
        FieldOp::Div => left / right,
        _ => f64::NAN,
    };
    if value.is_finite() { value } else { f64::NAN }
}

pub(super) fn with_number(
    op: FieldOp,
    mut series: Vec<Series>,
    number: &Literal,
    is_left: bool,
) -> Vec<Series> {
    let number = number.as_number().unwrap_or(f64::NAN);
    for value in series.iter_mut().flat_map(|one| &mut one.values) {
        let (left, right) = if is_left { (number, *value) } else { (*value, number) };
        *value = combined(op, left, right);
    }
    series
}

/// Series with the same labels are combined. One that is grouped by nothing is combined with each of the
/// other side.
pub(super) fn of_series(op: FieldOp, left: Vec<Series>, right: Vec<Series>) -> Vec<Series> {
    let single = |series: &[Series]| match series {
        [one] if ungrouped(one).is_some() => Some(one.clone()),
        _ => None,
    };
    match (single(&left), single(&right)) {
        (Some(left), Some(right)) => {
            let name = |one: &Series| ungrouped(one).unwrap_or_default().to_owned();
            let name = format!("({} {} {})", name(&left), op.as_str(), name(&right));
            let mut one = of_two(op, left, &right);
            one.labels = vec![(NAME.to_owned(), FieldValue::Text(name))];
            vec![one]
        }
        (None, Some(right)) => left.into_iter().map(|left| of_two(op, left, &right)).collect(),
        (Some(left), None) => {
            let with = |right: Series| {
                let one = of_two(op, left.clone(), &right);
                Series { labels: right.labels, ..one }
            };
            right.into_iter().map(with).collect()
        }
        (None, None) => {
            let mut others: HashMap<Vec<(String, FieldValue)>, Series> =
                right.into_iter().map(|one| (sorted(&one), one)).collect();
            let pair = |left: Series| {
                let right = others.remove(&sorted(&left))?;
                Some(of_two(op, left, &right))
            };
            left.into_iter().filter_map(pair).collect()
        }
    }
}

fn ungrouped(series: &Series) -> Option<&str> {
    match &series.labels[..] {
        [(label, FieldValue::Text(name))] if label == NAME => Some(name),
        _ => None,
    }
}

fn sorted(series: &Series) -> Vec<(String, FieldValue)> {
    let mut labels = series.labels.clone();
    labels.sort();
    labels
}

fn of_two(op: FieldOp, mut left: Series, right: &Series) -> Series {
    for (left, right) in left.values.iter_mut().zip(&right.values) {
        *left = combined(op, *left, *right);
    }
    left
}

/// At each step the series with the greatest or least values; of equal ones those whose labels are
/// first as text.
pub(super) fn pick(
    control: &Control<'_>,
    mut series: Vec<Series>,
    is_top: bool,
    count: usize,
) -> Result<Vec<Series>> {
    series.sort_by_cached_key(|one| {
        let shown = |(name, value): &(String, FieldValue)| (name.clone(), value.to_string());
        one.labels.iter().map(shown).collect::<Vec<_>>()
    });
    let steps = series.first().map_or(0, |one| one.values.len());
    for step in 0..steps {
        control.check_in_turn(step)?;
        let has_value = |index: &usize| !series[*index].values[step].is_nan();
        let mut order: Vec<usize> = (0..series.len()).filter(has_value).collect();
        order.sort_by(|one, other| {
            let ordering = series[*one].values[step].total_cmp(&series[*other].values[step]);
            if is_top { ordering.reverse() } else { ordering }
        });
        for index in order.into_iter().skip(count) {
            series[index].values[step] = f64::NAN;
        }
    }
    series.retain(|one| one.values.iter().any(|value| !value.is_nan()));
    Ok(series)
}

/// Leaves out points of which the comparison does not hold.
pub(super) fn filter(mut series: Vec<Series>, op: FieldOp, with: f64) -> Vec<Series> {
    for value in series.iter_mut().flat_map(|one| &mut one.values) {
        let ordering = f64::partial_cmp(value, &with);
        let holds = ordering.is_some_and(|ordering| ordering_fits(op, ordering));
        if !holds {
            *value = f64::NAN;
        }
    }
    series.retain(|one| one.values.iter().any(|value| !value.is_nan()));
    series
}
