//! Is there anything at all?

use super::{Answer, Invocation, WindowFunction};
use crate::engine::eval::Value;
use crate::engine::plan::Node;
use crate::error::QueryError;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use query::{Bitmap, Series, StepColumn};

/// One wherever a window has samples. `absent_over_time` turns this round for all series at once.
pub(super) const PRESENT: WindowFunction = WindowFunction {
    evaluate: |_, _| Ok(Answer::Float(1.0)),
    keeps_name: false,
    counter: false,
    columnar: None,
    anchored: false,
    smoothed: false,
};

pub(super) fn absent(mut call: Invocation<'_>) -> Result<Value, QueryError> {
    let series = call.take_vector(0);
    let labels = labels_of(&call.nodes[0]);
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

/// The labels that a missing series would have had: those asked for exactly, and only once.
pub(crate) fn labels_of(node: &Node) -> Labels {
    let matchers: &[Matcher] = match node.without_invariant() {
        Node::Vector(selector) => &selector.matchers,
        Node::Range(range) => &range.selector.matchers,
        _ => return Labels::empty(),
    };
    let mut builder = LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| !matcher.is_metric_name()) {
        if matcher.op == MatchOp::Equal && !seen.contains(&matcher.name.as_str()) {
            builder.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            builder.remove(&matcher.name);
        }
    }
    builder.build()
}
