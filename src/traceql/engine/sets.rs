//! Sets of spans as a list: grouped, aggregated.

use super::Result;
use super::cell::{Cell, compare};
use super::condition::{Bound, Scalar};
use super::plan::{AggregatePlan, Sets};
use super::view::View;
use crate::ast::AggregateOp;
use crate::value::FieldValue;
use std::collections::HashMap;
use trace_store::RowSet;

/// Spans of one trace, in the order of its tree.
#[derive(Clone, Debug)]
pub(crate) struct SpanSet {
    pub(crate) trace: u32,
    pub(crate) rows: Vec<u32>,
    /// What stages have found out about the set: `by(status)`, `count()`.
    pub(crate) attributes: Vec<(String, FieldValue)>,
}

/// One set for each trace that has spans.
pub(crate) fn list(view: &View<'_>, sets: Sets) -> Vec<SpanSet> {
    let rows = match sets {
        Sets::List(list) => return list,
        Sets::Rows(rows) => rows,
    };
    let mut list: Vec<SpanSet> = Vec::new();
    let mut trace = 0;
    for row in rows.iter() {
        while row >= view.trace_ends[trace] as usize {
            trace += 1;
        }
        match list.last_mut() {
            Some(last) if last.trace == trace as u32 => last.rows.push(row as u32),
            _ => list.push(SpanSet {
                trace: trace as u32,
                rows: vec![row as u32],
                attributes: Vec::new(),
            }),
        }
    }
    list
}

/// Leaves out spans that are not among these, and sets that have none.
pub(crate) fn within(mut list: Vec<SpanSet>, rows: &RowSet) -> Vec<SpanSet> {
    list.iter_mut().for_each(|set| set.rows.retain(|row| rows.contains(*row as usize)));
    list.retain(|set| !set.rows.is_empty());
    list
}

/// The value of a span; `false` where it cannot be computed.
fn computed<'b>(scalar: &Scalar, bound: &'b Bound<'_, '_>, row: u32) -> Cell<'b> {
    match bound.cell(row as usize) {
        Cell::Nil if !scalar.is_attribute() => Cell::Bool(false),
        cell => cell,
    }
}

/// A set for each value.
pub(crate) fn by(
    scalar: &Scalar,
    name: &str,
    view: &View<'_>,
    list: Vec<SpanSet>,
) -> Result<Vec<SpanSet>> {
    let bound = scalar.bind(view)?;
    let mut grouped: Vec<SpanSet> = Vec::new();
    for set in list {
        let mut places: HashMap<FieldValue, usize> = HashMap::new();
        for row in set.rows {
            let value = computed(scalar, &bound, row).to_value();
            let place = *places.entry(value).or_insert_with_key(|value| {
                let mut attributes = set.attributes.clone();
                attributes.push((name.to_owned(), value.clone()));
                grouped.push(SpanSet { trace: set.trace, rows: Vec::new(), attributes });
                grouped.len() - 1
            });
            grouped[place].rows.push(row);
        }
    }
    Ok(grouped)
}

/// The sets of which the comparison holds.
pub(crate) fn aggregate(
    plan: &AggregatePlan,
    view: &View<'_>,
    list: Vec<SpanSet>,
) -> Result<Vec<SpanSet>> {
    let of = match &plan.of {
        None => None,
        Some((op, scalar)) => Some((*op, scalar, scalar.bind(view)?)),
    };
    let mut kept = Vec::new();
    for mut set in list {
        let found = match &of {
            None => FieldValue::Int(set.rows.len() as i64),
            Some((op, scalar, bound)) => {
                folded(*op, set.rows.iter().map(|row| computed(scalar, bound, *row)))
            }
        };
        if compare(plan.op, Cell::of(&found), Cell::of(&plan.value)) {
            set.attributes.push((plan.name.clone(), found));
            kept.push(set);
        }
    }
    Ok(kept)
}

/// Nil where there is nothing to aggregate. The least and the greatest are found among values of all
/// types; only numbers are added.
fn folded<'b>(op: AggregateOp, cells: impl Iterator<Item = Cell<'b>>) -> FieldValue {
    let cells = cells.filter(|cell| !cell.is_nil());
    match op {
        AggregateOp::Min => cells.map(Cell::to_value).min().unwrap_or_default(),
        AggregateOp::Max => cells.map(Cell::to_value).max().unwrap_or_default(),
        AggregateOp::Sum | AggregateOp::Avg => {
            let (mut sum, mut count, mut are_durations, mut are_whole) = (0.0, 0_u64, false, true);
            for cell in cells {
                let Some(number) = cell.as_number() else { continue };
                sum += number.as_float();
                count += 1;
                are_durations |= matches!(cell, Cell::Duration(_));
                are_whole &= matches!(cell, Cell::Int(_));
            }
            let value = if op == AggregateOp::Avg { sum / count as f64 } else { sum };
            match () {
                () if count == 0 => FieldValue::Nil,
                () if are_durations => FieldValue::Duration(value as i64),
                () if are_whole && op == AggregateOp::Sum => FieldValue::Int(value as i64),
                () => FieldValue::Float(value),
            }
        }
    }
}
