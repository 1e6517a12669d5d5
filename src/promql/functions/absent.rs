//! `absent`, `absent_over_time`, `present_over_time`: whether there are samples.

use crate::error::QueryError;
use crate::function::{Answer, Invocation, WindowFunction};
use crate::selector::Selector;
use crate::value::Value;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use query::{Bitmap, Series, StepColumn};
use std::collections::HashMap;

/// One wherever a window has samples.
pub(super) const PRESENT: WindowFunction = WindowFunction::of(|_, _| Ok(Answer::Float(1.0)));

/// One wherever no series has samples in its window.
pub(super) const ABSENT: WindowFunction = WindowFunction { is_inverted: true, ..PRESENT };

pub(super) fn absent(mut call: Invocation<'_>) -> Result<Value, QueryError> {
    let series = call.take_vector(0);
    let labels = labels_of(call.arguments[0].selector);
    Ok(Value::Vector(inverted(&series, labels, call.grid.steps())))
}

/// One at every step where no series has a value.
pub(crate) fn inverted(series: &[Series], labels: Labels, steps: usize) -> Vec<Series> {
    let mut any = Bitmap::new(steps);
    for one in series {
        any.union(one.column.present());
    }
    let mut column = StepColumn::new(steps);
    for step in (0..steps).filter(|step| !any.get(*step)) {
        column.set_float(step, 1.0);
    }
    if column.is_empty() { Vec::new() } else { vec![Series::new(labels, column)] }
}

/// The labels that a missing series would have had: those asked for exactly, and in no other way.
pub(crate) fn labels_of(selector: Option<&Selector>) -> Labels {
    let matchers: &[Matcher] = selector.map_or(&[], |selector| &selector.matchers);
    let mut builder = LabelsBuilder::new();
    let mut count: HashMap<&str, usize> = HashMap::new();
    matchers.iter().for_each(|matcher| *count.entry(&matcher.name).or_default() += 1);
    for matcher in matchers.iter().filter(|matcher| !matcher.is_metric_name()) {
        if matcher.op == MatchOp::Equal && count[matcher.name.as_str()] == 1 {
            builder.set(&matcher.name, &matcher.value);
        }
    }
    builder.build()
}
