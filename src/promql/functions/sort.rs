//! Orders. They mean something for single steps only: ranges are always ordered by labels.

use crate::annotations::Note;
use crate::error::QueryError;
use crate::function::Invocation;
use crate::value::Value;
use query::Series;
use query::aggregate::nan_first;
use std::cmp::Ordering;

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn sort(call: Invocation<'_>) -> Result<Value> {
    by_value(call, nan_first)
}

pub(super) fn sort_desc(call: Invocation<'_>) -> Result<Value> {
    by_value(call, |left, right| nan_first(right, left))
}

/// Histograms have no order and are left out; NaN comes last either way.
fn by_value(mut call: Invocation<'_>, order: fn(&f64, &f64) -> Ordering) -> Result<Value> {
    let mut series = prepare(&mut call);
    if call.grid.steps() > 1 {
        for one in &mut series {
            for step in 0..one.column.steps() {
                if one.column.float(step).is_none() {
                    one.column.remove(step);
                }
            }
        }
        return Ok(Value::Vector(series));
    }
    series.retain(|one| one.column.float(0).is_some());
    let key = |one: &Series| one.column.float(0).expect("the others are gone");
    series.sort_by(|left, right| {
        let (left, right) = (key(left), key(right));
        left.is_nan().cmp(&right.is_nan()).then_with(|| order(&left, &right))
    });
    Ok(Value::Vector(series))
}

fn prepare(call: &mut Invocation<'_>) -> Vec<Series> {
    // An order means nothing for several steps, be they those of a subquery.
    if call.grid.steps() > 1 {
        call.notes.add(Note::SortInRange, call.position);
    }
    call.take_vector(0)
}

pub(super) fn by_label(call: Invocation<'_>) -> Result<Value> {
    by_labels(call, false)
}

pub(super) fn by_label_desc(call: Invocation<'_>) -> Result<Value> {
    by_labels(call, true)
}

fn by_labels(mut call: Invocation<'_>, descending: bool) -> Result<Value> {
    let names: Vec<String> = (1..call.arguments.len()).map(|index| call.text(index)).collect();
    let mut series = prepare(&mut call);
    series.sort_by(|left, right| {
        let order = names
            .iter()
            .map(|name| natural(left.labels.value(name), right.labels.value(name)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| left.labels.cmp(&right.labels));
        if descending { order.reverse() } else { order }
    });
    Ok(Value::Vector(series))
}

/// Runs of digits compare as numbers: `node2` before `node10`.
fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (a, left_rest) = chunk(left);
        let (b, right_rest) = chunk(right);
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let order = match (number(a), number(b)) {
            (Some(x), Some(y)) => x.cmp(&y).then_with(|| a.len().cmp(&b.len())),
            _ => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// A run of digits or a run without them.
fn chunk(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

/// What is too long for a number is text.
fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        let mut names = ["node10", "node2", "node", "a1b10", "a1b9", ""];
        names.sort_by(|left, right| natural(left, right));
        assert_eq!(names, ["", "a1b9", "a1b10", "node", "node2", "node10"]);
    }
}
